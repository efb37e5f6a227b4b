"""GitHub's runner as far as an action can tell: what it reads from a step's output and files, for tests to ask.

An independent reader of what ``octue_action.runner`` writes, after the runner's own source (github.com/actions/runner
2.336.0): ``ActionCommand.cs`` and ``ActionCommandManager.cs`` for commands, ``FileCommandManager.cs`` for files,
``ExecutionContext.cs`` for annotations. It shares no code with the action.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

ANNOTATION_KINDS = ("notice", "warning", "error")
COMMANDS = frozenset(
    {
        *ANNOTATION_KINDS,
        *("add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "group", "remove-matcher"),
        *("save-state", "set-env", "set-output", "stop-commands"),
    }
)
ANNOTATIONS_OF_EACH_KIND = 10
ANNOTATION_LENGTH = 4096
OUTPUTS_SIZE = 1024 * 1024
SUMMARY_SIZE = 1024 * 1024

_DATA_ESCAPES = (("%0D", "\r"), ("%0A", "\n"), ("%25", "%"))
_PROPERTY_ESCAPES = (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%"))
_OLD_ESCAPES = (("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]"), ("%25", "%"))


class MalformedFileError(Exception):
    """A file the runner cannot read: it fails the step, whatever its exit code."""


@dataclass(frozen=True)
class Command:
    """A line that the runner obeyed."""

    name: str
    data: str
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Annotation:
    """What GitHub shows on the page of the run."""

    kind: str
    message: str
    title: str = ""
    file: str | None = None
    line: int | None = None
    column: int | None = None


@dataclass
class Log:
    """What became of a step's standard output.

    :param lines: the log as people see it: masked, without the lines that were commands
    :param commands: the lines that were commands
    :param annotations: the annotations that GitHub shows
    :param dropped: the annotations it does not, as there are too many
    :param masks: texts that are hidden
    :param groups: titles of the groups
    """

    lines: list[str] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    annotations: list[Annotation] = field(default_factory=list)
    dropped: list[Annotation] = field(default_factory=list)
    masks: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The log as one text."""
        return "\n".join(self.lines)

    def mask(self, text: str) -> str:
        """The text with everything secret in it hidden."""
        for secret in sorted(self.masks, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def of_kind(self, kind: str) -> list[Annotation]:
        """The annotations of one kind that GitHub shows."""
        return [annotation for annotation in self.annotations if annotation.kind == kind]


def read_log(stdout: str) -> Log:
    """Read a step's standard output as the runner does, line by line in the order of arrival."""
    log = Log()
    for line in _lines(stdout):
        command = parse_command(line)
        if command is None:
            log.lines.append(log.mask(line))
        else:
            log.commands.append(command)
            _obey(command, log)
    return log


def parse_command(line: str) -> Command | None:
    """The command that the line is to the runner, or None where it is text."""
    return _parse_new_style(line) or _parse_old_style(line)


def read_outputs(content: bytes, log: Log | None = None) -> dict[str, str]:
    """The outputs in a file ``GITHUB_OUTPUT``, as the next step gets them.

    :param log: the step's log; an output with something masked in it is dropped
    :raises MalformedFileError: as the runner does
    """
    text = content.decode("utf-8-sig", "replace")
    outputs: dict[str, str] = {}
    position = 0
    while position < len(text):
        line, position = _read_line(text, position)
        if not line:
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if equals >= 0 and (heredoc < 0 or equals < heredoc):
            name, _, value = line.partition("=")
        elif heredoc >= 0:
            name, _, delimiter = line.partition("<<")
            if not name or not delimiter:
                raise MalformedFileError(f"Invalid format '{line}'. Name and delimiter must not be empty")
            value, position = _read_heredoc(text, position, delimiter)
        else:
            raise MalformedFileError(f"Invalid format '{line}'")
        outputs[name] = value
    if sum(len((name + value).encode("utf-16-le")) for name, value in outputs.items()) > OUTPUTS_SIZE:
        raise MalformedFileError("The outputs are over 1 MB")
    return {name: value for name, value in outputs.items() if log is None or log.mask(value) == value}


def read_summary(content: bytes) -> str | None:
    """The summary that GitHub shows, or None where it is too large to be shown."""
    return content.decode() if len(content) <= SUMMARY_SIZE else None


def _obey(command: Command, log: Log) -> None:
    if command.name == "add-mask":
        parts = [command.data, *(part.strip() for part in re.split(r"[\r\n]", command.data))]
        log.masks += [part for part in parts if part.strip() and part not in log.masks]
    elif command.name == "group":
        log.groups.append(log.mask(command.data))
    elif command.name in ANNOTATION_KINDS:
        annotation = _annotation(command, log)
        log.lines += f"{command.name.capitalize()}: {annotation.message}".split("\n")
        shown = len(log.of_kind(command.name)) < ANNOTATIONS_OF_EACH_KIND
        (log.annotations if shown else log.dropped).append(annotation)


def _annotation(command: Command, log: Log) -> Annotation:
    message = log.mask(command.data).encode("utf-16-le", "surrogatepass")[: 2 * ANNOTATION_LENGTH]
    line, column = (command.properties.get(name, "") for name in ("line", "col"))
    return Annotation(
        kind=command.name,
        message=message.decode("utf-16-le", "replace"),
        title=command.properties.get("title", ""),
        file=command.properties.get("file"),
        line=int(line) if line.isdecimal() else None,
        column=int(column) if line.isdecimal() and column.isdecimal() else None,
    )


def _parse_new_style(line: str) -> Command | None:
    line = line.lstrip()
    if not line.startswith("::"):
        return None
    head, found, data = line[2:].partition("::")
    name, _, properties = head.partition(" ")
    if not found or name.lower() not in COMMANDS:
        return None
    return Command(
        name.lower(), _unescape(data, _DATA_ESCAPES), _properties(properties.strip(), ",", _PROPERTY_ESCAPES)
    )


def _parse_old_style(line: str) -> Command | None:
    _, found, rest = line.partition("##[")
    head, closed, data = rest.partition("]")
    name, _, properties = head.partition(" ")
    if not found or not closed or name.lower() not in COMMANDS:
        return None
    return Command(name.lower(), _unescape(data, _OLD_ESCAPES), _properties(properties, ";", _OLD_ESCAPES))


def _properties(text: str, separator: str, escapes: tuple[tuple[str, str], ...]) -> dict[str, str]:
    pairs = (item.partition("=") for item in text.split(separator))
    return {name: _unescape(value, escapes) for name, _, value in pairs if name and value}


def _unescape(text: str, escapes: tuple[tuple[str, str], ...]) -> str:
    for escape, char in escapes:
        text = text.replace(escape, char)
    return text


def _lines(text: str) -> list[str]:
    """The lines of a .NET StreamReader: CR, LF and CRLF end one."""
    lines = re.split(r"\r\n|\r|\n", text)
    return lines[:-1] if lines[-1] == "" else lines


def _read_line(text: str, position: int) -> tuple[str, int]:
    end = text.find("\n", position)
    return (text[position:], len(text)) if end < 0 else (text[position:end], end + 1)


def _read_heredoc(text: str, position: int, delimiter: str) -> tuple[str, int]:
    start = end = position
    while position < len(text):
        line_start = position
        line, position = _read_line(text, position)
        if line == delimiter:
            return text[start : max(start, end)], position
        end = position - 1 if text.startswith("\n", position - 1) else line_start + len(line)
    raise MalformedFileError(f"Invalid value. Matching delimiter not found '{delimiter}'")
