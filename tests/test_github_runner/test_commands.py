from __future__ import annotations

import pytest

from tests.github_runner import Annotation, Command, Log, NotModelled, parse_command, read_log


class TestParsing:
    def test_a_command_stands_at_the_start_of_a_line_after_blanks(self) -> None:
        assert parse_command(" \t::Error file=a%2Cb,line=3::50%25%0Adone") == Command(
            "error", "50%\ndone", {"file": "a,b", "line": "3"}
        )

    def test_an_old_command_stands_anywhere_in_a_line(self) -> None:
        assert parse_command("x ##[warning file=a%3Bb;line=1]y%5D") == Command(
            "warning", "y]", {"file": "a;b", "line": "1"}
        )

    @pytest.mark.parametrize(
        "line",
        ["a::error::b", "::unknown::c", "::error", ":: error::x", "##[unknown]x", "##[error", "::pause-logging::"],
    )
    def test_anything_else_is_text(self, line: str) -> None:
        assert parse_command(line) is None
        assert read_log(line).lines == [line]

    @pytest.mark.parametrize(
        ("properties", "expected"),
        [("a=1,b", {"a": "1"}), ("a=", {}), ("=1", {}), ("a=b=c", {"a": "b=c"}), (",,a=1,,", {"a": "1"})],
    )
    def test_a_property_has_a_name_and_a_value(self, properties: str, expected: dict[str, str]) -> None:
        command = parse_command(f"::error {properties}::x")
        assert command is not None
        assert command.properties == expected

    def test_escapes_are_undone_once_and_percent_last(self) -> None:
        assert parse_command("::debug::%250A %0a") == Command("debug", "%0A %0a")

    @pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
    def test_any_line_end_starts_a_new_line(self, end: str) -> None:
        assert [command.data for command in read_log(f"text{end}::debug::a{end}::debug::b").commands] == ["a", "b"]


class TestAnnotations:
    def test_ten_of_each_kind_are_shown_and_all_are_in_the_log(self) -> None:
        log = read_log("\n".join(f"::error::{number}" for number in range(12)) + "\n::warning::w")
        assert [a.message for a in log.of_kind("error")] == [str(number) for number in range(10)]
        assert [a.message for a in log.dropped] == ["10", "11"]
        assert [a.message for a in log.of_kind("warning")] == ["w"]
        assert len(log.lines) == 13

    def test_a_message_is_masked_and_then_cut_at_4096_units_of_utf_16(self) -> None:
        log = read_log("::add-mask::secret\n::error::secret" + "😀" * 3000)
        message = log.annotations[0].message
        assert message.startswith("***😀")
        assert len(message.encode("utf-16-le")) // 2 == 4096

    def test_a_blank_message_is_not_shown_but_counts(self) -> None:
        log = read_log("::error:: \n" * 10 + "::error::late")
        assert log.annotations == []

    @pytest.mark.parametrize(
        ("given", "line", "end_line", "column", "end_column"),
        [
            ("line=3,col=9", 3, None, 9, None),
            ("col=9", None, None, None, None),
            ("endLine=4", 4, 4, None, None),
            ("line=3,endLine=4,col=1", 3, 4, None, None),
            ("line=4,endLine=3", None, None, None, None),
            ("line=4,col=5,endColumn=4", 4, None, None, None),
            ("line=4,endColumn=5", 4, None, 5, 5),
            ("line=x", None, None, None, None),
            ("LINE=3,endline=3", 3, 3, None, None),
        ],
    )
    def test_a_place_that_contradicts_itself_is_left_out(
        self, given: str, line: int | None, end_line: int | None, column: int | None, end_column: int | None
    ) -> None:
        (annotation,) = read_log(f"::error {given}::x").annotations
        assert (annotation.line, annotation.end_line) == (line, end_line)
        assert (annotation.column, annotation.end_column) == (column, end_column)

    def test_the_path_of_a_file_is_translated(self) -> None:
        log = Log(path_of=lambda path: path.removeprefix("/github/workspace/"))
        log.read("::notice file=/github/workspace/a.py,title=T::x")
        assert log.annotations == [Annotation("notice", "x", "T", "a.py")]


class TestMasks:
    def test_a_secret_and_each_of_its_lines_are_hidden_from_then_on(self) -> None:
        log = read_log("one two\n::add-mask::one%0A  two%0A%0A\none and two")
        assert log.lines == ["one two", "*** and ***"]

    def test_a_blank_one_is_a_warning(self) -> None:
        log = read_log("::add-mask:: ")
        assert log.masks == []
        assert "Can't add secret mask" in log.of_kind("warning")[0].message


class TestDeprecatedAndDisabled:
    def test_set_output_and_save_state_work_with_a_warning(self) -> None:
        log = read_log("::set-output name=a::1\n::save-state name=b::2")
        assert (log.outputs, log.state, log.failed) == ({"a": "1"}, {"b": "2"}, False)
        assert [a.message.split()[1] for a in log.of_kind("warning")] == ["`set-output`", "`save-state`"]

    def test_an_output_without_a_name_fails_the_step(self) -> None:
        log = read_log("::set-output::1")
        assert log.failed
        assert log.of_kind("error")[0].message == "Unable to process command '::set-output::1' successfully."

    @pytest.mark.parametrize("line", ["::set-env name=A::1", "::add-path::/bin"])
    def test_set_env_and_add_path_are_refused_and_fail_the_step(self, line: str) -> None:
        log = read_log(line)
        assert log.failed
        assert "command is disabled" in log.of_kind("error")[1].message

    @pytest.mark.parametrize("line", ["::add-matcher::a.json", "::remove-matcher owner=a::", "::stop-commands::error"])
    def test_what_changes_the_runner_in_a_way_not_modelled_is_raised(self, line: str) -> None:
        with pytest.raises(NotModelled):
            read_log(line)


class TestStopCommands:
    def test_commands_are_text_until_the_token(self) -> None:
        log = read_log("::stop-commands::Token-77\n::error::x\n::token-77::\n::error::y")
        assert [a.message for a in log.annotations] == ["y"]
        assert log.lines == ["::stop-commands::***", "::error::x", "::token-77::", "Error: y"]

    def test_a_token_that_nobody_stopped_with_is_text(self) -> None:
        assert read_log("::token::").commands == []


class TestEchoDebugAndGroups:
    def test_echo_shows_the_lines_of_commands_but_not_of_secrets(self) -> None:
        log = read_log("::echo::on\n::group::G\n::add-mask::secret\n::echo::OFF\n::group::H")
        assert log.lines == ["::group::G", "::add-mask::***", "::echo::OFF"]
        assert log.groups == ["G", "H"]

    def test_another_value_of_echo_fails_the_step(self) -> None:
        assert read_log("::echo::perhaps").failed

    def test_debug_lines_are_shown_where_debug_logging_is_on(self) -> None:
        log = Log(debug=True)
        log.read("::debug::a%0Ab")
        assert log.lines == ["Debug: a", "Debug: b"]
        assert read_log("::debug::a").lines == []

    def test_the_marks_of_a_composite_action_are_the_runners_alone(self) -> None:
        assert read_log("##[start-action x]").lines == [r"##[\start-action x]"]
