from __future__ import annotations

import pytest

from tests.github_runner import NotModelled, Refused
from tests.github_runner.yaml_reader import read, read_typed


@pytest.mark.parametrize(
    ("scalar", "text"),
    [
        ("yes", "yes"),  # a text in YAML 1.2
        ("on", "on"),
        ("True", "true"),
        ("'True'", "True"),
        ("~", ""),
        ("", ""),
        ("'~'", "~"),
        ("3600", "3600"),
        ("1.5", "1.5"),
        ("'1.50'", "1.50"),
        ("2026-01-02", "2026-01-02"),
        ("512Mi", "512Mi"),
        (">-\n  a\n  b", "a b"),
    ],
)
def test_a_scalar_is_the_text_that_the_runner_makes_of_it(scalar: str, text: str) -> None:
    assert read(f"a: {scalar}\nb: [c]") == {"a": text, "b": ["c"]}


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("True", True),
        ("'true'", "true"),
        ("~", None),
        ("''", ""),
        ("3600", 3600),
        ("1.5", 1.5),
        ("'7'", "7"),
        ("on", "on"),
    ],
)
def test_where_types_are_told_apart_a_scalar_is_what_it_is(scalar: str, value: object) -> None:
    found = read_typed(f"a: {scalar}\n")
    assert found == {"a": value}
    assert isinstance(found, dict)
    assert type(found["a"]) is type(value)


@pytest.mark.parametrize("document", ["a: &x 1\nb: *x", "a: 1\nA: 2", "a: [", "", "[a]: 1", "a: 1\n---\nb: 2"])
def test_what_the_runner_does_not_accept_is_refused(document: str) -> None:
    with pytest.raises(Refused):
        read(document)


@pytest.mark.parametrize("scalar", ["1.50", "0x1f", "0o17", "1e3", ".inf", "+5", "007", "!!int 3"])
def test_a_number_that_it_would_write_differently_is_not_guessed(scalar: str) -> None:
    with pytest.raises(NotModelled):
        read(f"a: {scalar}")
