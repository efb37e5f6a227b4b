from __future__ import annotations

import pytest

from tests.github_runner import (
    Log,
    MalformedFileError,
    NotModelled,
    job_outputs,
    read_outputs,
    read_path,
    read_summary,
    shown_summary,
)
from tests.github_runner.files import pairs


class TestPairs:
    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ("a=1\n\nb=2", [("a", "1"), ("b", "2")]),
            ("a=b<<c\n", [("a", "b<<c")]),
            ("a<<b=c\nv\nb=c\n", [("a", "v")]),
            ("a<<E\nx\n\ny\nE\n", [("a", "x\n\ny")]),
            ("a<<E\nE\n", [("a", "")]),
            ("a<<E\n\nE", [("a", "")]),
            ("a<<E\nx\r\nE\n", [("a", "x\r")]),
            ("a<<E\n E\nE\n", [("a", " E")]),
            (" a = 1 \r\n", [(" a ", " 1 \r")]),
            ("=1", [("", "1")]),
            ("\ufeffa=1", [("a", "1")]),
        ],
    )
    def test_the_first_of_equals_and_heredoc_decides_and_lf_alone_ends_a_line(
        self, content: str, expected: list[tuple[str, str]]
    ) -> None:
        assert list(pairs(content.encode())) == expected

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("a", "Invalid format 'a'"),
            ("<<E\n", "must not be empty"),
            ("a<<\n", "must not be empty"),
            ("a<<E\nx\n", "Matching delimiter not found 'E'"),
            ("a<<E\nx", "EOF marker missing new line"),
            ("a<<E\r\nx\nE\n", "Matching delimiter not found"),
        ],
    )
    def test_anything_else_is_malformed_and_what_stands_before_it_counts(self, content: str, message: str) -> None:
        read = pairs(f"first=1\n{content}".encode())
        assert next(read) == ("first", "1")
        with pytest.raises(MalformedFileError, match=message):
            list(read)

    def test_another_encoding_is_not_modelled(self) -> None:
        with pytest.raises(NotModelled):
            list(pairs("a=1".encode("utf-16")))


class TestOutputs:
    def test_the_last_one_counts_whatever_the_case_of_its_name(self) -> None:
        assert read_outputs(b"Plan=1\nplan=2\n") == {"Plan": "2"}

    def test_an_empty_name_is_malformed(self) -> None:
        with pytest.raises(MalformedFileError):
            read_outputs(b"=1\n")

    def test_another_job_gets_neither_masked_nor_empty_ones(self) -> None:
        log = Log(masks=["secret"])
        assert job_outputs({"a": "1", "b": "a secret", "c": ""}, log) == {"a": "1"}

    def test_over_one_megabyte_of_utf_16_nothing_is_guessed(self) -> None:
        assert read_outputs(b"a=" + b"x" * (512 * 1024 - 1))
        with pytest.raises(NotModelled):
            read_outputs(b"a=" + b"x" * (512 * 1024))


class TestPath:
    def test_of_the_same_folder_twice_the_later_stays(self) -> None:
        assert read_path(b"/a\n\n/b\r\n/a\n") == ["/b", "/a"]


class TestSummary:
    def test_it_is_masked_line_by_line_and_ends_with_a_line_end(self) -> None:
        log = Log(masks=["secret"])
        assert shown_summary(b"# A secret\r\nend", log) == "# A ***\nend\n"

    def test_there_is_none_where_nothing_was_written(self) -> None:
        log = Log()
        assert shown_summary(b"", log) is None
        assert log.annotations == []

    def test_one_byte_too_many_drops_it_with_an_error(self) -> None:
        log = Log()
        assert shown_summary(b"x" * (1024 * 1024), log) is not None
        assert shown_summary(b"x" * (1024 * 1024 + 1), log) is None
        assert read_summary(b"x" * (1024 * 1024 + 1)) is None
        assert [annotation.kind for annotation in log.annotations] == ["error"]
        assert not log.failed
