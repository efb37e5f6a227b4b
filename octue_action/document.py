"""Reading a YAML file that nobody vouches for: small, shallow, plain, and every value with its line and column.

YAML can do much that a configuration never needs and an attacker likes: aliases that multiply, tags that build
objects, keys given twice. All of it is refused. What two versions of YAML read differently (``no``, ``012``, ``1:30``)
is refused as well, because Octue's SDK reads the same file with another reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from octue_action.problems import UNPRINTABLE, InvalidSettings, Problem, shown

MAXIMUM_BYTES = 256 * 1024
MAXIMUM_DEPTH = 20
MAXIMUM_VALUES = 10_000
MAXIMUM_PROBLEMS = 20

# libyaml's parser where PyYAML was built with it: the same events, thirty times as fast.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Control characters, line ends that editors do not count as such, and characters that make text read backwards.
_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff]|\r(?!\n)")

# YAML 1.2.2, section 10.3.2, as far as YAML 1.1 reads the same.
_NULL = re.compile(r"(~|null|Null|NULL)?\Z")
_BOOLEAN = re.compile(r"(true|True|TRUE|false|False|FALSE)\Z")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})\Z")
_FLOAT = re.compile(r"[-+]?([0-9]{1,20}\.[0-9]{0,20}|\.[0-9]{1,20})([eE][-+][0-9]{1,3})?\Z")

# What YAML 1.1 takes for something else than YAML 1.2 does: booleans, octal, binary, base sixty, digits with _.
_AMBIGUOUS = re.compile(
    r"(yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF"
    r"|[-+]?0[0-9][0-9_]*|[-+]?0b[01_]+|[-+]?0o[0-7]+|[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9_]*)?"
    r"|[-+]?[0-9][0-9]*_[0-9_]*(\.[0-9_]*)?|[-+]?[0-9]+(\.[0-9]*)?[eE][0-9]+|[-+]?[0-9]+[eE][-+][0-9]+)\Z"
)

_PLAIN_WORDS = (
    (
        "cannot start any token",
        "A character stands here that YAML keeps for itself: text that begins with it needs quotes",
    ),
    (
        "mapping values are not allowed",
        "A colon does not belong here: the line is indented wrongly, or text with `: ` in it lacks quotes",
    ),
    ("could not find expected ':'", "A line here has no colon after its key"),
    ("end of stream", "A quote or a bracket is opened and never closed"),
    ("',' or ']'", "A list in square brackets is not closed, or a comma is missing"),
    ("',' or '}'", "A mapping in braces is not closed, or a comma is missing"),
    ("block end", "This line is not indented like the ones it belongs to"),
    ("expected key", "This line is not indented like the ones it belongs to"),
    ("node content", "A value is missing, or a bracket is never closed"),
    ("document start", "Text goes on here where the value has already ended"),
    ("'-' indicator", "This line is not indented like the ones it belongs to"),
)

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Position:
    """Where something stands in the file, both counted from 1."""

    line: int
    column: int


@dataclass
class Node:
    """A value in the file.

    :param value: a scalar, a mapping of nodes, or a list of nodes
    :param text: a scalar as it was written, without its quotes
    :param keys: where each key of a mapping stands
    """

    position: Position
    value: Scalar | dict[str, Node] | list[Node]
    text: str = ""
    keys: dict[str, Position] = field(default_factory=dict)

    def plain(self) -> object:
        """The value without positions. It recurses at most ``MAXIMUM_DEPTH`` times."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def at(self, path: list[str | int]) -> Node:
        """The value at the end of a path of keys and indices."""
        node = self
        for step in path:
            if isinstance(node.value, dict):
                node = node.value[str(step)]
            elif isinstance(node.value, list):
                node = node.value[int(step)]
        return node


@dataclass
class _Open:
    """A collection that has begun and not ended, and the key whose value comes next."""

    node: Node
    key: str | None = None

    @property
    def wants_key(self) -> bool:
        return isinstance(self.node.value, dict) and self.key is None


def parse(data: bytes, file: str) -> Node | None:
    """The value of a YAML file; ``None`` for a file without any.

    :param file: how the file is called in problems
    :raises InvalidSettings: with all the problems that can be told apart
    """
    text = _decode(data, file)
    composer = _Composer(file)
    try:
        for event in _events(text):
            composer.take(event)
    except yaml.MarkedYAMLError as error:
        composer.problems.append(_syntax_problem(error, text, file))
    except (yaml.YAMLError, ValueError, OverflowError):  # an escape in quotes that stands for no character
        composer.problems.append(Problem(message=f"{file} is not valid YAML.", file=file, line=1, title="YAML"))
    if composer.problems:
        raise InvalidSettings(composer.problems)
    return composer.root


def _events(text: str) -> Iterator[yaml.Event]:
    events: Iterator[yaml.Event] = yaml.parse(text, Loader=_LOADER)
    return events


def _decode(data: bytes, file: str) -> str:
    if len(data) > MAXIMUM_BYTES:
        message = f"{file} is larger than {MAXIMUM_BYTES // 1024} KiB."
        raise InvalidSettings([Problem(message=message, expected="a short configuration", file=file, line=1)])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"{file} is not written in UTF-8."
        problem = Problem(message=message, expected="a text file saved as UTF-8", file=file, line=line, title="YAML")
        raise InvalidSettings([problem]) from None
    if hidden := _HIDDEN.search(text):
        start = hidden.start()
        raise InvalidSettings(
            [
                Problem(
                    message=f"{file} has the invisible character U+{ord(text[start]):04X} in it. Delete it.",
                    file=file,
                    line=text.count("\n", 0, start) + 1,
                    column=start - text.rfind("\n", 0, start),
                    title="YAML",
                )
            ]
        )
    return text


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, file: str) -> Problem:
    lines = text.rstrip().split("\n")
    marks = [mark for mark in (error.problem_mark, error.context_mark) if mark]
    # What is missed only at the end of the file is better shown where it began.
    mark = next((mark for mark in marks if mark.line < len(lines)), None)
    line, column = (mark.line + 1, mark.column + 1) if mark else (len(lines), 1)
    words = _plain_words(error.problem or "", lines[line - 1], column)
    return Problem(message=f"{words}.", expected="valid YAML", file=file, line=line, column=column, title="YAML")


def _plain_words(said: str, line: str, column: int) -> str:
    if line[column - 1 : column] == "\t":
        return "A tab stands where YAML wants spaces"
    return next((words for part, words in _PLAIN_WORDS if part in said), f"YAML cannot be read here ({shown(said)})")


class _Composer:
    """Builds nodes from the parser's events with a stack of its own, so that no input can exhaust Python's."""

    def __init__(self, file: str) -> None:
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._file = file
        self._stack: list[_Open] = []
        self._values = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        """Take the next event of the file.

        :raises InvalidSettings: when reading on makes no sense
        """
        mark = event.start_mark
        position = Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._stop(position, "A second YAML document begins here.", "one document, without `---` after it")
            case yaml.NodeEvent():
                self._node(event, position)
            case yaml.CollectionEndEvent():
                self._stack.pop()

    def _node(self, event: yaml.NodeEvent, position: Position) -> None:
        self._values += 1
        if self._values > MAXIMUM_VALUES:
            self._stop(position, f"There are more than {MAXIMUM_VALUES:,} values.", "a short configuration")
        self._refuse_indirection(event, position)
        match event:
            case yaml.ScalarEvent():
                self._scalar(event, position)
            case yaml.MappingStartEvent():
                self._open(Node(position, {}))
            case yaml.SequenceStartEvent():
                self._open(Node(position, []))
            case _:  # an alias, refused above: it leaves an empty value behind
                self._place(Node(position, None))

    def _refuse_indirection(self, event: yaml.NodeEvent, position: Position) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._note(position, f"`*{_word(event.anchor)}` is an alias, which is not allowed.", "the value itself")
        elif event.anchor is not None:
            self._note(position, f"`&{_word(event.anchor)}` is an anchor, which is not allowed.", "the value alone")
        tag = event.tag if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) else None
        if tag is not None:
            self._note(position, f"The tag {shown(tag)} is not allowed.", "the value alone")

    def _scalar(self, event: yaml.ScalarEvent, position: Position) -> None:
        text = event.value
        is_plain = event.style is None or event.style == ""
        if UNPRINTABLE.search(text):
            self._note(position, f"{shown(text)} has a character that cannot be used.", "text without it")
        if self._stack and self._stack[-1].wants_key:
            self._key(text, position, is_text=not is_plain or isinstance(_resolve(text), str))
            return
        if is_plain and _AMBIGUOUS.match(text):
            self._note(position, f"{shown(text)} is not read alike by every YAML reader.", _unambiguous(text))
        self._place(Node(position, _resolve(text) if is_plain else text, text))

    def _key(self, key: str, position: Position, *, is_text: bool) -> None:
        opened = self._stack[-1]
        opened.key = key
        if not is_text:
            self._note(position, f"The key {shown(key)} is not text.", "a name")
        if (first := opened.node.keys.get(key)) is not None:
            message = f"The key {shown(key)} stands here again: it is already on line {first.line}."
            self._note(position, message, "each key once")
            return
        opened.node.keys[key] = position

    def _open(self, node: Node) -> None:
        if self._stack and self._stack[-1].wants_key:
            self._stop(node.position, "A list or a mapping stands where a key belongs.", "a name")
        if len(self._stack) >= MAXIMUM_DEPTH:
            self._stop(node.position, f"This is nested more than {MAXIMUM_DEPTH} deep.", "a flat configuration")
        self._place(node)
        self._stack.append(_Open(node))

    def _place(self, node: Node) -> None:
        if not self._stack:
            self.root = node
            return
        opened = self._stack[-1]
        if isinstance(opened.node.value, list):
            opened.node.value.append(node)
        elif isinstance(opened.node.value, dict):
            if opened.key is None:  # an alias in the place of a key
                self._stop(node.position, "A key is missing here.", "a name")
            else:
                opened.node.value.setdefault(opened.key, node)
                opened.key = None

    def _note(self, position: Position, message: str, expected: str) -> None:
        self.problems.append(
            Problem(
                message=message,
                expected=expected,
                file=self._file,
                line=position.line,
                column=position.column,
                title="YAML",
            )
        )
        if len(self.problems) >= MAXIMUM_PROBLEMS:
            raise InvalidSettings(self.problems)

    def _stop(self, position: Position, message: str, expected: str) -> None:
        self._note(position, message, expected)
        raise InvalidSettings(self.problems)


def _resolve(text: str) -> Scalar:
    """What a scalar without quotes stands for. A number too long to be meant as one stays text."""
    if _NULL.match(text):
        return None
    if _BOOLEAN.match(text):
        return text.lower() == "true"
    if _INTEGER.match(text):
        return int(text)
    if _FLOAT.match(text):
        return float(text)
    return text


def _unambiguous(text: str) -> str:
    words = {"yes": "true", "on": "true", "no": "false", "off": "false"}
    meant = words.get(text.lower())
    return f"`{meant}`, or `'{text}'` in quotes if text is meant" if meant else "a plain number, or text in quotes"


def _word(name: str | None) -> str:
    return shown(name or "", 30)[1:-1]
