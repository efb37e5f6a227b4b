from __future__ import annotations

import base64

import pytest

from tests.github_runner import masks


@pytest.mark.parametrize(
    ("text", "secrets", "expected"),
    [
        ("a secret b", ["secret"], "a *** b"),
        ("abcdef", ["abc", "cde"], "***f"),  # they overlap
        ("abcdef", ["abc", "def"], "***"),  # they touch
        ("aaa", ["aa"], "***"),
        ("nothing", ["other"], "nothing"),
        ("", ["x"], ""),
    ],
)
def test_a_secret_is_hidden(text: str, secrets: list[str], expected: str) -> None:
    assert masks.mask(text, secrets) == expected


@pytest.mark.parametrize(
    ("secret", "form"),
    [
        ("secret key", base64.b64encode(b"secret key").decode()),
        ("secret key", base64.b64encode(b"ecret key").decode()),
        ("secret key", base64.b64encode(b"cret key").decode()),
        ('a"b', 'a\\"b'),
        ("it's", "it''s"),
        ("a\nb\t", "a\\nb\\t"),
        ("a b/é", "a%20b%2F%C3%A9"),
        ("<a&'>", "&lt;a&amp;&apos;&gt;"),
        ('"long enough"', "long enough"),
        ("part one&part two", "part one&"),
        ("part one&part two", "part two"),
        ("part one&+part two", "art two"),
    ],
)
def test_other_ways_to_write_a_secret_are_hidden_too(secret: str, form: str) -> None:
    assert masks.mask(f"[{form}]", [secret]) == "[***]"


@pytest.mark.parametrize(("secret", "form"), [('"short"', "short"), ("a&b", "a&"), ("a&b", "b")])
def test_pieces_that_are_too_short_are_not(secret: str, form: str) -> None:
    assert masks.mask(form, [secret]) == form
