from __future__ import annotations

import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from octue_action import document
from octue_action.problems import InvalidSettings, Problem


def problems(data: bytes) -> tuple[Problem, ...]:
    try:
        document.parse(data, "octue.yaml")
    except InvalidSettings as error:
        return error.problems
    return ()


def refusals(data: bytes) -> tuple[Problem, ...]:
    found = problems(data)
    assert found
    return found


def plain(text: str) -> object:
    root = document.parse(text.encode(), "octue.yaml")
    return root.plain() if root else None


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("10", 10),
        ("-3", -3),
        ("0.5", 0.5),
        ("1.5e+3", 1500.0),
        ("text", "text"),
        ("'no'", "no"),
        ('"012"', "012"),
        ("2024-01-01", "2024-01-01"),
        ("1.2.3", "1.2.3"),
        ("=", "="),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_scalars_are_read_as_in_the_core_schema_of_yaml_1_2(written: str, read: object) -> None:
    assert plain(f"a: {written}") == {"a": read}


@pytest.mark.parametrize("word", ["no", "Yes", "on", "OFF", "012", "1:30", "1_000", "0b11", "0o7", "1e3"])
def test_what_yaml_readers_do_not_read_alike_is_refused(word: str) -> None:
    (problem,) = refusals(f"a: 1\nb: {word}\n".encode())
    assert (problem.line, problem.column) == (2, 4)
    assert f"'{word}' is not read alike by every YAML reader." in problem.message
    assert "quotes" in problem.expected


def test_every_value_knows_where_it_stands() -> None:
    root = document.parse(b"a:\n  - x\n  - b: {c: y}\n", "octue.yaml")
    assert root is not None
    assert root.at(["a", 0]).position == document.Position(2, 5)
    assert root.at(["a", 1, "b", "c"]).position == document.Position(3, 12)
    assert root.at(["a", 1]).keys == {"b": document.Position(3, 5)}


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert plain("\ufeffname: sum") == {"name": "sum"}


@pytest.mark.parametrize("text", ["", "# nothing\n", "\n\n", "---\n"])
def test_a_file_without_a_value_is_empty(text: str) -> None:
    assert plain(text) is None


HOSTILE = {
    "a billion laughs": (b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n", "anchor", 1),
    "an alias to itself": (b"a: &a [*a]\n", "anchor", 1),
    "deep lists": (b"[" * 200_000, "nested", 1),
    "deep mappings": (b"{a: " * 60_000, "nested", 1),
    "deep blocks": (b"".join(b" " * depth + b"a:\n" for depth in range(600)), "nested", 21),
    "deep dashes": (b"- " * 100_000, "nested", 1),
    "an object": (b"a: 1\nb: !!python/object/apply:os.system ['true']\n", "tag", 2),
    "a tag of its own": (b"a: !secret x\n", "tag", 1),
    "binary": (b"a: !!binary aGk=\n", "tag", 1),
    "a tag without end": (b"!" * 100_000, "tag", 1),
    "a merge key": (b"a: &x {b: 1}\nc:\n  <<: *x\n", "anchor", 1),
    "too many keys": (b"".join(b"k%d: 1\n" % number for number in range(20_000)), "more than 10,000", 5000),
    "a large file": (b"#" * 300_000, "larger than 256 KiB", 1),
    "NUL": (b"a: 1\nb: \x00\n", "U+0000", 2),
    "an escaped NUL": (b'a: 1\nb: "\\0"\n', "cannot be used", 2),
    "a line end that no editor counts": ("a: 1\nb: x\x85c: y\n".encode(), "U+0085", 2),
    "a line separator": ("a: 1\nb: x\u2028c: y\n".encode(), "U+2028", 2),
    "text that reads backwards": ("a: 1\nb: \u202etxet\n".encode(), "U+202E", 2),
    "an old line end": (b"a: 1\nb: 2\rc: 3\n", "U+000D", 2),
    "a lone surrogate": (b'a: "\\uD800"\n', "cannot be", 1),
    "no character at all": (b'a: "\\UFFFFFFFF"\n', "YAML", 1),
    "Latin-1": (b"a: 1\nb: caf\xe9\n", "UTF-8", 2),
    "UTF-16": ("a: 1\n".encode("utf-16"), "UTF-8", 1),
    "two documents": (b"a: 1\n---\nb: 2\n", "second YAML document", 2),
    "a key twice": (b"a: 1\nb: 2\na: 3\n", "already on line 1", 3),
    "a number as a key": (b"a: 1\n1: b\n", "not text", 2),
    "a list as a key": (b"? [a]\n: b\n", "where a key belongs", 1),
    "an alias as a key": (b"a: 1\n*b : c\n", "alias", 2),
    "a tab": (b"a:\n\tb: 1\n", "tab", 2),
    "an open quote": (b'a: "x\n', "never closed", 1),
    "an open list": (b"b: 1\na: [1, 2\n", "not closed", 2),
    "a colon in text": (b"a: b: c\n", "colon", 1),
    "a wrong indentation": (b"a:\n    b: 1\n  c: 2\n", "indented", 3),
    "a version of the future": (b"%YAML 9.9\n---\na: 1\n", "YAML", 1),
    "quotes without end": (b'"' * 100_000, "ended", 1),
    "colons without end": (b":" * 200_000, "colon", 1),
}


@pytest.mark.parametrize(("data", "words", "line"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_at_once_with_its_line(data: bytes, words: str, line: int) -> None:
    start = time.monotonic()
    problem = refusals(data)[0]
    assert time.monotonic() - start < 1
    assert words in problem.message
    assert (problem.file, problem.line) == ("octue.yaml", line)


@pytest.mark.parametrize(("data", "words", "line"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_alike_where_pyyaml_has_no_libyaml(
    monkeypatch: pytest.MonkeyPatch, data: bytes, words: str, line: int
) -> None:
    monkeypatch.setattr(document, "_LOADER", yaml.SafeLoader)
    problem = refusals(data)[0]
    assert words in problem.message
    assert problem.line == line


@pytest.mark.parametrize("data", [b"a: " + b"9" * 200_000, b" " * 250_000, b"\n" * 250_000, b">\n" + b" x\n" * 80_000])
def test_a_large_but_simple_file_is_read_at_once(data: bytes) -> None:
    start = time.monotonic()
    document.parse(data, "octue.yaml")
    assert time.monotonic() - start < 1


def test_all_that_is_wrong_comes_together() -> None:
    problems = refusals(b"a: no\nb: &x 1\nc: *x\nd: !t 1\na: 2\n")
    assert [problem.line for problem in problems] == [1, 2, 3, 4, 5]


def test_a_flood_of_problems_is_cut_off() -> None:
    assert len(refusals(b"[" + b"*a ," * 5000 + b"]")) == document.MAXIMUM_PROBLEMS


def test_what_is_quoted_from_the_file_cannot_break_a_line_of_the_log() -> None:
    (problem,) = refusals(b'"a\\n::error::x": 1\n"a\\n::error::x": 2\n')
    assert "\n" not in problem.message
    assert "\\n::error" in problem.message


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    assert all(problem.line for problem in problems(data))


@given(st.text(alphabet="abc:-[]{}&*!|>'\"%@`?#,~ \t\n019.", max_size=80))
def test_any_punctuation_is_read_or_refused(text: str) -> None:
    last = text.count("\n") + 1
    assert all(problem.line and problem.line <= last for problem in problems(text.encode()))
