from __future__ import annotations

import pytest

from octue_action.redaction import is_token, redacted


@pytest.mark.parametrize(
    "token",
    [
        "ya29.a0AfB_byC-1234.5678",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl-_x",
        "eyJhbGciOiJSUzI1NiJ9",
        *(f"gh{kind}_16C7e42F292c6912E7710c838347Ae178B4a" for kind in "opsur"),
        "github_pat_11ABCDEFG0aBcDeFgHiJkL_mNoPq",
    ],
)
def test_a_token_is_not_shown_and_what_stands_around_it_is(token: str) -> None:
    assert redacted(f'Refused: "Bearer {token}", says Google') == 'Refused: "Bearer (token)", says Google'


@pytest.mark.parametrize("text", ["", "they obey J. Smith", "ghost_writer", "the 29. of May", "github_patience"])
def test_other_words_are_shown_as_they_are(text: str) -> None:
    assert redacted(text) == text


def test_each_of_several_tokens_is_hidden() -> None:
    assert redacted("ya29.a and eyJb.c") == "(token) and (token)"


def test_only_a_token_as_a_whole_is_one() -> None:
    assert is_token("ghs_0123456789abcdefghijklmnopqrstuvwxyz")
    assert not any(map(is_token, ["", "true", "main", "x ghs_0123456789", "ghs_0123456789 x"]))
