from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.github_runner.command_line import quoted_argument, quoted_name, split


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("a  b\tc", ["a", "b", "c"]),
        ('"a b" ""', ["a b", ""]),
        ('a"b c"d', ["ab cd"]),
        (r'"a\"b"', ['a"b']),
        (r'"a\\" b', ["a\\", "b"]),
        (r"a\b \\c", [r"a\b", r"\\c"]),
        ('"a""b"', ['a"b']),
        ("a\nb", ["a\nb"]),
        ("", []),
    ],
)
def test_a_text_is_taken_apart_as_dotnet_does(text: str, arguments: list[str]) -> None:
    assert split(text) == arguments


@given(st.text(alphabet='ab "\\\t=', max_size=12).filter(bool))
def test_the_name_of_a_variable_arrives_as_it_is(name: str) -> None:
    assert split(f"-e {quoted_name(name)} x") == ["-e", name, "x"]


@given(st.text(alphabet='ab "\n\t=', max_size=12))
def test_an_argument_without_a_backslash_arrives_as_it_is(argument: str) -> None:
    assert split(f"{quoted_argument(argument)} x") == [argument, "x"]


def test_a_backslash_before_a_quote_breaks_out_of_an_argument() -> None:
    assert split(quoted_argument('a\\" --more "')) == ["a\\", "--more", '"']
