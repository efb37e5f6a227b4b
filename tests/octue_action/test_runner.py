from __future__ import annotations

import io
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octue_action.runner import OutputsNotWritten, Runner
from tests.github_runner import Command, Log, parse_command, read_log, read_outputs, read_summary

# Texts that are looking for trouble: pieces of commands and heredocs, line ends, escapes, invisible and odd characters.
pieces = st.sampled_from(
    (
        *(
            "::",
            "##[",
            "]",
            "error",
            "add-mask",
            "set-output name=a",
            "stop-commands",
            ",",
            ":",
            "%0A",
            "%25",
            "=",
            "<<",
        ),
        *(
            " ",
            "\t",
            "\r",
            "\n",
            "\r\n",
            "\x85",
            "\u2028",
            "\x1b[31m",
            "\x00",
            "\u200b",
            "\ufeff",
            "\xa0",
            "é",
            "😀",
            "\ud800",
        ),
    )
)
hostile = st.lists(st.one_of(pieces, st.text(max_size=3)), max_size=12).map("".join)
encodable = hostile.map(lambda text: text.encode("utf-8", "ignore").decode())


class Step:
    """A step whose output and files are kept, to be read as the runner reads them."""

    def __init__(self, folder: Path | None = None, **environment: str) -> None:
        self.stream = io.StringIO()
        if folder:
            self.output, self.summary = folder / "output", folder / "summary"
            self.output.touch()
            self.summary.touch()
            environment |= {"GITHUB_OUTPUT": str(self.output), "GITHUB_STEP_SUMMARY": str(self.summary)}
        self.runner = Runner(environment, self.stream)

    @property
    def log(self) -> Log:
        return read_log(self.stream.getvalue())


@pytest.fixture
def step(tmp_path: Path) -> Step:
    return Step(tmp_path)


class TestLog:
    @given(hostile)
    def test_no_text_is_read_as_a_command(self, text: str) -> None:
        step = Step()
        step.runner.info(text)
        assert step.log.commands == []

    @pytest.mark.parametrize(
        "text",
        [
            "::error::x",
            "  \t::add-mask::x",
            "\xa0::error::x",
            "fine\n::set-output name=a::b",
            "progress\r::stop-commands::x",
            "anything ##[error]x",
            "###[add-mask]x",
        ],
    )
    def test_the_commands_it_neutralises_are_ones_the_runner_would_obey(self, text: str) -> None:
        step = Step()
        assert read_log(text).commands
        step.runner.info(text)
        assert step.log.commands == []

    def test_control_characters_are_made_visible(self, step: Step) -> None:
        step.runner.info("\x1b[31mred\x00 \u202eback\ttab")
        assert step.stream.getvalue() == "\\x1b[31mred\\x00 \\u202eback\ttab\n"

    def test_an_ordinary_text_stays_as_it_is(self, step: Step) -> None:
        step.runner.info("Created topic projects/p/topics/octue.services.1 in 1.2 s: café\n  std::vector\n")
        assert (
            step.stream.getvalue() == "Created topic projects/p/topics/octue.services.1 in 1.2 s: café\n  std::vector\n"
        )

    def test_a_line_is_out_before_the_next_one_is_written(self, tmp_path: Path) -> None:
        with (tmp_path / "log").open("w", encoding="utf-8") as stream:
            Runner({}, stream).info("first")
            assert (tmp_path / "log").read_text() == "first\n"

    def test_a_stream_that_cannot_hold_a_character_gets_its_escape(self) -> None:
        buffer = io.BytesIO()
        stream = io.TextIOWrapper(buffer, encoding="ascii")
        Runner({}, stream).info("café")
        assert buffer.getvalue() == b"caf\\xe9\n"

    def test_lines_of_many_threads_stay_whole_and_together(self, step: Step) -> None:
        def log(name: str) -> None:
            for number in range(50):
                step.runner.info(f"{name} {number} begins\n{name} {number} ends")

        threads = [threading.Thread(target=log, args=(f"thread{number}",)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        lines = step.log.lines
        assert len(lines) == 8 * 50 * 2
        assert all(begin.replace("begins", "ends") == end for begin, end in zip(lines[::2], lines[1::2], strict=True))

    def test_standard_output_is_the_stream_unless_told_otherwise(self, capsys: pytest.CaptureFixture[str]) -> None:
        Runner({}).info("hello")
        assert capsys.readouterr().out == "hello\n"


class TestDebug:
    def test_nothing_is_logged_unless_debug_logging_is_on(self, step: Step) -> None:
        step.runner.debug("detail")
        assert step.stream.getvalue() == ""

    def test_each_line_is_a_debug_command_where_it_is_on(self) -> None:
        step = Step(RUNNER_DEBUG="1")
        step.runner.debug("one\n::error::two\x1b")
        assert step.log.commands == [Command("debug", "one"), Command("debug", "::error::two\\x1b")]


class TestGroup:
    def test_what_is_logged_inside_stands_between_group_and_endgroup(self, step: Step) -> None:
        with step.runner.group("Plan"):
            step.runner.info("inside")
        assert step.stream.getvalue() == "::group::Plan\ninside\n::endgroup::\n"

    def test_an_inner_group_is_a_line_of_the_outer_one(self, step: Step) -> None:
        with step.runner.group("Apply"), step.runner.group("Topic"):
            step.runner.info("inside")
        assert step.stream.getvalue() == "::group::Apply\nTopic\ninside\n::endgroup::\n"

    def test_an_error_ends_the_group(self, step: Step) -> None:
        with pytest.raises(ZeroDivisionError), step.runner.group("Plan"):
            raise ZeroDivisionError
        assert step.stream.getvalue().endswith("::endgroup::\n")

    @given(hostile)
    def test_a_title_is_one_group_whatever_is_in_it(self, title: str) -> None:
        step = Step()
        with step.runner.group(title):
            pass
        assert [command.name for command in step.log.commands] == ["group", "endgroup"]
        assert step.log.lines == []


class TestMask:
    def test_a_secret_is_hidden_in_what_follows(self, step: Step) -> None:
        step.runner.mask("s3cr3t%token")
        step.runner.info("the token is s3cr3t%token")
        assert step.log.lines == ["the token is ***"]

    def test_each_line_of_a_secret_is_hidden_alone_too(self, step: Step) -> None:
        step.runner.mask("-----BEGIN-----\r\n  abcdef\n\n-----END-----\n")
        step.runner.info("abcdef and -----END-----")
        assert step.log.lines == ["*** and ***"]
        assert all(mask.strip() for mask in step.log.masks)

    @pytest.mark.parametrize("secret", ["", " ", "\n", "\r\n \t"])
    def test_a_blank_secret_masks_nothing(self, step: Step, secret: str) -> None:
        step.runner.mask(secret)
        assert step.stream.getvalue() == ""

    def test_a_secret_is_hidden_where_its_control_characters_are_made_visible(self, step: Step) -> None:
        step.runner.mask("a\x1bb")
        step.runner.info("a\x1bb")
        assert step.log.lines == ["***"]

    def test_a_masked_output_is_dropped_by_the_runner(self, step: Step) -> None:
        step.runner.mask("my-project")
        step.runner.set_outputs({"service_url": "https://my-project.run.app", "changed": "true"})
        assert read_outputs(step.output.read_bytes(), step.log) == {"changed": "true"}


class TestAnnotations:
    @pytest.mark.parametrize("kind", ["notice", "warning", "error"])
    def test_an_annotation_has_its_kind_title_and_place(self, step: Step, kind: str) -> None:
        getattr(step.runner, kind)("Not a region: 'mars'", title="Input, region", file="octue.yaml", line=3, column=9)
        (annotation,) = step.log.annotations
        assert (annotation.kind, annotation.message, annotation.title) == (
            kind,
            "Not a region: 'mars'",
            "Input, region",
        )
        assert (annotation.file, annotation.line, annotation.column) == ("octue.yaml", 3, 9)

    def test_a_column_without_a_line_is_left_out(self, step: Step) -> None:
        step.runner.error("wrong", file="octue.yaml", column=9)
        assert step.stream.getvalue() == "::error file=octue.yaml::wrong\n"

    def test_a_plain_message_has_no_properties(self, step: Step) -> None:
        step.runner.warning("slow")
        assert step.stream.getvalue() == "::warning::slow\n"

    @given(hostile, hostile, hostile)
    def test_an_annotation_is_one_command_whatever_is_in_it(self, message: str, title: str, file: str) -> None:
        step = Step()
        step.runner.error(message, title=title, file=file, line=1)
        (command,) = step.log.commands
        assert command.name == "error"
        assert set(command.properties) <= {"title", "file", "line"}

    def test_several_lines_arrive_as_several_lines(self, step: Step) -> None:
        step.runner.error("first\r\nsecond: 100%\n")
        assert step.log.annotations[0].message == "first\nsecond: 100%"

    def test_the_tenth_of_a_kind_says_that_more_are_in_the_log_and_they_are(self, step: Step) -> None:
        for number in range(1, 13):
            step.runner.error(f"problem {number}", title="Settings", file="octue.yaml", line=number)
        step.runner.warning("another kind")
        log = step.log
        assert len(log.of_kind("error")) == 10
        assert log.dropped == []
        assert "only in the log" not in log.of_kind("error")[8].message
        assert "only in the log" in log.of_kind("error")[9].message
        assert log.lines[-3:-1] == [f"Error: octue.yaml:{number}: Settings: problem {number}" for number in (11, 12)]
        assert [annotation.message for annotation in log.of_kind("warning")] == ["another kind"]

    @given(st.integers(4000, 4200), st.sampled_from(["x", "é", "😀"]), st.integers(0, 9))
    def test_no_message_is_cut_by_the_runner(self, length: int, char: str, before: int) -> None:
        step = Step()
        for _ in range(before):
            step.runner.notice("earlier")
        message = char * length
        step.runner.notice(message)
        *_, command = step.log.commands
        shown = step.log.of_kind("notice")[-1].message
        assert shown == command.data
        assert shown.startswith(message) or ("[cut: " in shown and step.log.lines[-1] == message)

    def test_a_long_message_is_in_the_log_as_a_whole(self, step: Step) -> None:
        step.runner.error("::error::" + "x" * 5000 + "the end")
        assert len(step.log.annotations) == 1
        assert step.log.lines[-1].endswith("the end")


class TestOutputs:
    # In small letters: to the runner, names that differ in their case only are one.
    @given(st.dictionaries(st.from_regex(r"\A[a-z_][a-z0-9_-]{0,8}\Z"), encodable, max_size=4))
    def test_what_arrives_is_what_was_sent(
        self, tmp_path_factory: pytest.TempPathFactory, outputs: dict[str, str]
    ) -> None:
        step = Step(tmp_path_factory.mktemp("step"))
        step.runner.set_outputs(outputs)
        assert read_outputs(step.output.read_bytes()) == outputs
        assert step.stream.getvalue() == ""

    @pytest.mark.parametrize("name", ["", "a b", "1st", "a=b", "a<<b", "a\nb", "a\n", "é"])
    def test_a_name_that_could_be_read_otherwise_is_refused_and_nothing_is_written(self, step: Step, name: str) -> None:
        with pytest.raises(ValueError, match="cannot be the name of an output"):
            step.runner.set_outputs({"changed": "true", name: "x"})
        assert step.output.read_bytes() == b""

    def test_later_outputs_are_added_to_earlier_ones(self, step: Step) -> None:
        step.runner.set_outputs({"a": "1", "b": "2"})
        step.runner.set_outputs({"b": "3"})
        assert read_outputs(step.output.read_bytes()) == {"a": "1", "b": "3"}

    def test_all_outputs_are_one_write(self, step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
        sizes: list[int] = []

        def write(_: int, content: bytes) -> int:
            sizes.append(len(content))
            return sizes[-1]

        monkeypatch.setattr("octue_action.runner.os.write", write)
        step.runner.set_outputs({"a": "1", "b": "2"})
        assert len(sizes) == 1

    def test_a_write_cut_short_is_an_error(self, step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("octue_action.runner.os.write", lambda _, content: len(content) - 1)
        with pytest.raises(OutputsNotWritten, match=r"could not be written: .*whole"):
            step.runner.set_outputs({"a": "1"})

    def test_the_largest_output_is_left_out_where_all_are_more_than_github_takes(self, step: Step) -> None:
        step.runner.set_outputs({"plan": "x" * 400_000, "services": "y" * 200_000, "changed": "true"})
        assert read_outputs(step.output.read_bytes()) == {"services": "y" * 200_000, "changed": "true"}
        (warning,) = step.log.of_kind("warning")
        assert "'plan'" in warning.message

    def test_without_a_file_they_are_text_for_people(self) -> None:
        step = Step()
        step.runner.set_outputs({"changed": "true", "plan": "::set-output name=a::b"})
        assert step.stream.getvalue() == "changed = true\nplan = ::set-output name=a::b\n"
        assert step.log.commands == []


class TestSummary:
    def test_the_page_is_shown_as_it_is(self, step: Step) -> None:
        step.runner.write_summary("# Déployé 🎉\n")
        assert step.summary.read_text(encoding="utf-8") == "# Déployé 🎉\n"

    def test_a_second_page_takes_the_place_of_the_first(self, step: Step) -> None:
        step.runner.write_summary("a long first page\n")
        inode = step.summary.stat().st_ino
        step.runner.write_summary("second\n")
        assert step.summary.read_text() == "second\n"
        assert step.summary.stat().st_ino == inode  # a mounted file must stay the same file

    def test_a_page_that_is_to_replace_none_is_shown_only_where_there_is_none(self, step: Step) -> None:
        step.runner.write_summary("first\n", replace=False)
        step.runner.write_summary("second\n", replace=False)
        assert step.summary.read_text() == "first\n"

    def test_a_page_is_written_also_while_nobody_reads_the_log(self, step: Step) -> None:
        with step.runner._lock:  # as a thread has it that waits for its line to be read
            thread = threading.Thread(target=step.runner.write_summary, args=("page\n",), daemon=True)
            thread.start()
            thread.join(10)
        assert step.summary.read_text() == "page\n"

    def test_a_page_of_exactly_the_limit_is_left_alone(self, step: Step) -> None:
        page = "x" * (1024 * 1024)
        step.runner.write_summary(page)
        assert read_summary(step.summary.read_bytes()) == page

    @pytest.mark.parametrize("line", ["é" * 50, "x", "| a | b |", "- 😀"])
    def test_a_longer_page_is_cut_at_the_end_of_a_line_and_says_so(self, step: Step, line: str) -> None:
        page = f"{line}\n" * (1024 * 1024 // len(line.encode()))
        step.runner.write_summary(page)
        shown = read_summary(step.summary.read_bytes())
        assert shown
        assert len(shown.encode()) > 1024 * 1024 - 300
        kept, note = shown.split("\n\n", 1)
        assert set(kept.split("\n")) == {line}
        assert "left out" in note

    @pytest.mark.parametrize(
        ("opening", "line", "closing"),
        [
            ("```json\n", "{", "\n```\n\n\n\n_The rest"),
            ("  ~~~~\n", "```", "\n  ~~~~\n\n\n\n_The rest"),
            ("<details><summary>Log</summary>\n\n```\n", "<td>", "\n```\n\n</details>\n\n_The rest"),
            ("<table>\n<tr><td>", "<b>x</b>", "\n\n</td></tr></table>\n\n_The rest"),
            ("<details>\n</details>\n`<details>`\n", "x", "\nx\n\n\n\n_The rest"),
            ("<pre>\n```\n</pre>\n", "x", "\nx\n\n\n\n_The rest"),
            ("<DETAILS open>\n<table><tr>\n</table>\n", "x", "\nx\n\n</details>\n\n_The rest"),
        ],
    )
    def test_what_a_cut_leaves_open_is_closed(self, step: Step, opening: str, line: str, closing: str) -> None:
        step.runner.write_summary(opening + f"{line}\n" * (1024 * 1024))
        shown = read_summary(step.summary.read_bytes())
        assert shown
        assert closing in shown

    def test_one_line_over_the_limit_leaves_the_note_alone(self, step: Step) -> None:
        step.runner.write_summary("x" * (2 * 1024 * 1024))
        assert step.summary.read_text().strip().startswith("_The rest")

    def test_without_a_file_nothing_is_written(self) -> None:
        step = Step()
        step.runner.write_summary("# Page\n")
        assert step.stream.getvalue() == ""

    def test_a_page_that_cannot_be_written_is_a_warning(self, tmp_path: Path) -> None:
        step = Step(GITHUB_STEP_SUMMARY=str(tmp_path))
        step.runner.write_summary("# Page\n")
        assert "could not be written" in step.log.of_kind("warning")[0].message


def test_neither_requests_nor_pygithub_is_loaded_for_it() -> None:
    """The toolkit's own core and github modules bring both, at half a second a start."""
    code = "import sys, octue_action.runner; print(sorted({'requests', 'github'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


def test_the_reading_runner_takes_a_command_apart() -> None:
    assert parse_command(" ::Error file=a%2Cb,line=3::50%25%0Adone") == Command(
        "error", "50%\ndone", {"file": "a,b", "line": "3"}
    )
    assert parse_command("x ##[warning]y") == Command("warning", "y")
    assert parse_command("a::b::c") is None
    assert parse_command("::unknown::c") is None
