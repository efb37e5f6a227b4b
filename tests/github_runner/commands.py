"""A step's log: which of its lines are commands, and what becomes of them.

After ``ActionCommand.cs`` (how a line is read), ``ActionCommandManager.cs`` (what each command does),
``OutputManager.cs`` (what becomes of the other lines) and ``ExecutionContext.cs`` (annotations). Of the features that
GitHub's server switches on for a job, those of github.com are taken as on: notices are annotations, and ``set-output``
and ``save-state`` work with a warning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from tests.github_runner import masks
from tests.github_runner.errors import NotModelled

ANNOTATION_KINDS = ("notice", "warning", "error")
COMMANDS = frozenset(
    {
        *ANNOTATION_KINDS,
        *("add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "group", "remove-matcher"),
        *("save-state", "set-env", "set-output", "stop-commands"),
    }
)
NOT_ECHOED = frozenset({*ANNOTATION_KINDS, "add-mask", "debug"})
ANNOTATIONS_OF_EACH_KIND = 10
ANNOTATION_LENGTH = 4096
LONGEST_UNMASKED_TOKEN = 6

_DATA_ESCAPES = (("%0D", "\r"), ("%0A", "\n"), ("%25", "%"))
_PROPERTY_ESCAPES = (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%"))
_OLD_ESCAPES = (("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]"), ("%25", "%"))


@dataclass(frozen=True)
class Command:
    """A line that the runner obeyed."""

    name: str
    data: str
    properties: Mapping[str, str] = field(default_factory=dict)

    def of(self, name: str) -> str:
        """A property, whose name is found in any case; empty where it is not given."""
        found = [value for key, value in self.properties.items() if key.lower() == name.lower()]
        return found[-1] if found else ""


@dataclass(frozen=True)
class Annotation:
    """What GitHub shows on the page of the run."""

    kind: str
    message: str
    title: str = ""
    file: str | None = None
    line: int | None = None
    column: int | None = None
    end_line: int | None = None
    end_column: int | None = None


@dataclass
class Log:
    """What became of a step's output.

    :param lines: the log as people see it: masked, without the lines that were commands.
    :param commands: the lines that were commands.
    :param annotations: the annotations that GitHub shows.
    :param dropped: the annotations it does not, as there are too many or the message is blank.
    :param masks: texts that are hidden.
    :param groups: titles of the groups.
    :param outputs: what the deprecated command ``set-output`` set.
    :param state: what the deprecated command ``save-state`` saved.
    :param failed: whether a command was refused or could not be obeyed, which fails the step.
    :param debug: whether debug logging is on for the job.
    :param path_of: what the path of a file in an annotation is turned into.
    """

    lines: list[str] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    annotations: list[Annotation] = field(default_factory=list)
    dropped: list[Annotation] = field(default_factory=list)
    masks: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    state: dict[str, str] = field(default_factory=dict)
    failed: bool = False
    debug: bool = False
    path_of: Callable[[str], str] = field(default=str, repr=False)
    _echo: bool = field(init=False, default=False)
    _stop_token: str | None = field(init=False, default=None)
    _counted: dict[str, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._echo = self.debug

    @property
    def text(self) -> str:
        """The log as one text."""
        return "\n".join(self.lines)

    def mask(self, text: str) -> str:
        """The text with everything secret in it hidden."""
        return masks.mask(text, self.masks)

    def of_kind(self, kind: str) -> list[Annotation]:
        """The annotations of one kind that GitHub shows."""
        return [annotation for annotation in self.annotations if annotation.kind == kind]

    def read(self, line: str) -> None:
        """Read the next line, without its end.

        :raises NotModelled: for a command that makes the runner do what this one cannot.
        """
        known = COMMANDS if self._stop_token is None else COMMANDS | {self._stop_token.lower()}
        command = parse_command(line, known)
        if command is None:
            self.write(_without_markers(line))
        elif self._stop_token is not None:
            self._read_while_stopped(line, command)
        else:
            self.commands.append(command)
            self._obey(line, command)

    def write(self, line: str) -> None:
        """Add a line that is no command."""
        self.lines.append(self.mask(line))

    def annotate(self, annotation: Annotation) -> None:
        """Add an annotation, and its message to the lines: masked, cut, and shown unless there are too many."""
        message = self.mask(annotation.message).encode("utf-16-le", "surrogatepass")[: 2 * ANNOTATION_LENGTH]
        annotation = _with_message(annotation, message.decode("utf-16-le", "replace"))
        if annotation.message:
            self.lines += f"{annotation.kind.capitalize()}: {annotation.message}".split("\n")
        count = self._counted[annotation.kind] = self._counted.get(annotation.kind, 0) + 1
        shown = count <= ANNOTATIONS_OF_EACH_KIND and annotation.message.strip()
        (self.annotations if shown else self.dropped).append(annotation)

    def error(self, message: str) -> None:
        """Add an error of the runner's own."""
        self.annotate(Annotation("error", message))

    def warning(self, message: str) -> None:
        """Add a warning of the runner's own."""
        self.annotate(Annotation("warning", message))

    def hide(self, secret: str) -> None:
        """Hide a text, and each of its lines, in everything that follows."""
        parts = [secret, *(part.strip() for part in re.split(r"[\r\n]", secret))]
        self.masks += [part for part in dict.fromkeys(parts) if part.strip() and part not in self.masks]

    def _read_while_stopped(self, line: str, command: Command) -> None:
        self.write(_without_markers(line))
        if self._stop_token is not None and command.name == self._stop_token.lower():
            self._stop_token = None

    def _obey(self, line: str, command: Command) -> None:
        if self._echo and command.name not in NOT_ECHOED and command.name != "stop-commands":
            self.write(line)
        if command.name in ANNOTATION_KINDS:
            self.annotate(_annotation(command, self.path_of))
        elif command.name in ("set-output", "save-state"):
            self._set(line, command)
        elif command.name in ("set-env", "add-path"):
            self._refuse(line, f"The `{command.name}` command is disabled. {_USE_FILES}")
        elif command.name in ("add-matcher", "remove-matcher"):
            raise NotModelled(f"problem matchers: {line!r}")
        else:
            self._obey_small(line, command)

    def _obey_small(self, line: str, command: Command) -> None:
        match command.name:
            case "add-mask" if not command.data.strip():
                self.warning("Can't add secret mask for empty string in ##[add-mask] command.")
            case "add-mask":
                self._add_mask(command.data)
            case "debug" if self.debug:
                self.lines += [f"Debug: {self.mask(part)}" for part in command.data.replace("\r\n", "\n").split("\n")]
            case "group":
                self.groups.append(self.mask(command.data))
            case "echo":
                self._set_echo(line, command.data.strip().upper())
            case "stop-commands":
                self._stop(line, command.data)

    def _add_mask(self, secret: str) -> None:
        if self._echo:
            self.write("::add-mask::***")
        self.hide(secret)

    def _set(self, line: str, command: Command) -> None:
        self.warning(f"The `{command.name}` command is deprecated and will be disabled soon. {_USE_FILES}")
        name = command.of("name")
        if not name:
            self._refuse(line, f"Required field 'name' is missing in ##[{command.name}] command.")
        else:
            (self.outputs if command.name == "set-output" else self.state)[name] = command.data

    def _refuse(self, line: str, reason: str) -> None:
        self.error(f"Unable to process command '{line}' successfully.")
        self.error(reason)
        self.failed = True

    def _set_echo(self, line: str, value: str) -> None:
        if value not in ("ON", "OFF"):
            self._refuse(line, f"Invalid echo command value. Possible values can be: 'on', 'off'. It is: '{value}'.")
        else:
            self._echo = value == "ON"

    def _stop(self, line: str, token: str) -> None:
        if not token or token.lower() in COMMANDS | {"pause-logging"}:
            raise NotModelled(f"a token that the runner refuses, leaving the container to itself: {line!r}")
        self._stop_token = token
        if len(token) > LONGEST_UNMASKED_TOKEN and token not in self.masks:
            self.masks.append(token)
        self.write(line)


_USE_FILES = "Please upgrade to using Environment Files."


def read_log(stdout: str) -> Log:
    """Read a step's output as the runner does, line by line in the order of arrival."""
    log = Log()
    for line in split_lines(stdout):
        log.read(line)
    return log


def split_lines(text: str) -> list[str]:
    """The lines of a .NET StreamReader: CR, LF and CRLF end one."""
    lines = re.split(r"\r\n|\r|\n", text)
    return lines[:-1] if lines[-1] == "" else lines


def parse_command(line: str, known: Collection[str] = COMMANDS) -> Command | None:
    """The command that the line is to the runner, or None where it is text.

    :param known: the names of the commands, in lower case; anything else that looks like a command is text.
    """
    return _parse_new_style(line, known) or _parse_old_style(line, known)


def _parse_new_style(line: str, known: Collection[str]) -> Command | None:
    line = line.lstrip()
    if not line.startswith("::"):
        return None
    head, found, data = line[2:].partition("::")
    name, _, properties = head.partition(" ")
    if not found or name.lower() not in known:
        return None
    return Command(
        name.lower(), _unescape(data, _DATA_ESCAPES), _properties(properties.strip(), ",", _PROPERTY_ESCAPES)
    )


def _parse_old_style(line: str, known: Collection[str]) -> Command | None:
    _, found, rest = line.partition("##[")
    head, closed, data = rest.partition("]")
    name, _, properties = head.partition(" ")
    if not found or not closed or name.lower() not in known:
        return None
    return Command(name.lower(), _unescape(data, _OLD_ESCAPES), _properties(properties, ";", _OLD_ESCAPES))


def _properties(text: str, separator: str, escapes: tuple[tuple[str, str], ...]) -> dict[str, str]:
    pairs = (item.partition("=") for item in text.split(separator))
    return {name: _unescape(value, escapes) for name, _, value in pairs if name and value}


def _unescape(text: str, escapes: tuple[tuple[str, str], ...]) -> str:
    for escape, char in escapes:
        text = text.replace(escape, char)
    return text


def _without_markers(line: str) -> str:
    """The runner alone may write the lines that begin and end an action of a composite one."""
    return line.replace("##[start-action", r"##[\start-action").replace("##[end-action", r"##[\end-action")


def _with_message(annotation: Annotation, message: str) -> Annotation:
    return Annotation(**{**vars(annotation), "message": message})


def _annotation(command: Command, path_of: Callable[[str], str]) -> Annotation:
    line, end_line, column, end_column = _place(command)
    return Annotation(
        kind=command.name,
        message=command.data,
        title=command.of("title"),
        file=path_of(command.of("file")) if command.of("file") else None,
        line=line,
        column=column,
        end_line=end_line,
        end_column=end_column,
    )


def _place(command: Command) -> tuple[int | None, int | None, int | None, int | None]:
    """Where an annotation stands, without what contradicts itself (``ValidateLinesAndColumns``)."""
    line, end_line, column, end_column = (_number(command.of(name)) for name in ("line", "endLine", "col", "endColumn"))
    line = end_line if line is None else line
    column = end_column if column is None else column
    if line is None or (end_line is not None and end_line != line):
        column = end_column = None
    if line is not None and end_line is not None and end_line < line:
        line = end_line = None
    if column is not None and end_column is not None and end_column < column:
        column = end_column = None
    return line, end_line, column, end_column


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\s*[+-]?[0-9]{1,9}\s*", text, re.ASCII) else None
