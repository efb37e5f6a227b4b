"""The query language of Cloud Logging, with which log entries are chosen.

Grammar and meaning follow https://cloud.google.com/logging/docs/view/logging-query-language: comparisons of a field
with a value, joined by ``AND`` (which may be left out) and ``OR`` (which binds closer), negated by ``NOT`` or ``-``;
letters count alike, small or capital. Its functions, such as ``sample``, are not known here.
"""

from __future__ import annotations

import datetime
import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.cloud.logging_v2 import types
from google.logging.type import log_severity_pb2
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor

Predicate = Callable[[Any], bool]
"""Whether a log entry is chosen, which is given as its protobuf message."""

_TOKEN = re.compile(
    r"""
    (?P<blank>\s+|--[^\n]*)
    |(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<word>[\w*/%+@$][\w.*/%+@$-]*(?:(?<=\.)"(?:[^"\\]|\\.)*"(?:\.[\w.-]*)?)*)
    |(?P<operator>!=|>=|<=|=~|!~|[=<>:])
    |(?P<mark>[()-])
    """,
    re.VERBOSE,
)
_SEGMENT = re.compile(r'"(?:[^"\\]|\\.)*"|[^."]+')
_LOG_ENTRY: Descriptor = types.LogEntry.pb(types.LogEntry()).DESCRIPTOR
_TIMESTAMP = "google.protobuf.Timestamp"
_STRUCT = "google.protobuf.Struct"
_SEVERITY = "google.logging.type.LogSeverity"
_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


class FilterError(ValueError):
    """A text that is no filter."""


def parse_filter(text: str) -> Predicate:
    """The predicate on log entries that a filter stands for; the empty filter lets everything through.

    :raises FilterError: for a text that is not of the query language, in Cloud Logging's words.
    """
    parser = _Parser(text)
    return parser.filter() if parser.token.text else lambda _entry: True


@dataclass(frozen=True)
class _Token:
    """A piece of a filter.

    :param kind: ``string``, ``word``, ``operator`` or ``mark``; empty for the end.
    :param place: ``line 1, column 2``.
    """

    kind: str
    text: str
    place: str

    @property
    def value(self) -> str:
        """What it stands for as a value."""
        return _unquoted(self.text) if self.kind == "string" else self.text

    def refused(self) -> FilterError:
        return FilterError(f"syntax error at {self.place}, token '{self.text}'")


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = [*_tokens(text)]

    @property
    def token(self) -> _Token:
        return self._tokens[0]

    def filter(self) -> Predicate:
        predicate = self._all_of(self._comparison)
        if self.token.text:
            raise self.token.refused()
        return predicate

    def _all_of(self, leaf: Callable[[], Predicate]) -> Predicate:
        terms = [self._any_of(leaf)]
        while self.token.text not in {"", ")"}:
            if self.token.text == "AND":
                self._take()
            terms.append(self._any_of(leaf))
        return terms[0] if len(terms) == 1 else lambda entry: all(term(entry) for term in terms)

    def _any_of(self, leaf: Callable[[], Predicate]) -> Predicate:
        terms = [self._negatable(leaf)]
        while self.token.text == "OR":
            self._take()
            terms.append(self._negatable(leaf))
        return terms[0] if len(terms) == 1 else lambda entry: any(term(entry) for term in terms)

    def _negatable(self, leaf: Callable[[], Predicate]) -> Predicate:
        if self.token.text in {"NOT", "-"}:
            self._take()
            negated = self._negatable(leaf)
            return lambda entry: not negated(entry)
        if self.token.text == "(":
            self._take()
            inner = self._all_of(leaf)
            self._take(")")
            return inner
        return leaf()

    def _comparison(self) -> Predicate:
        first = self._take_value()
        if self.token.kind != "operator":
            return _anywhere(first.value)
        if first.kind != "word":
            raise self.token.refused()
        field, compared_by = _field(first.text), self._take().text

        def compared() -> Predicate:
            return field.compared(compared_by, self._take_value().value)

        # A field may be compared with several values at once: severity=(ERROR OR CRITICAL).
        return self._negatable(compared) if self.token.text == "(" else compared()

    def _take_value(self) -> _Token:
        token = self._take()
        if token.kind not in {"word", "string"} or token.text in {"AND", "OR", "NOT"}:
            raise token.refused()
        return token

    def _take(self, wanted: str = "") -> _Token:
        token = self.token
        if wanted and token.text != wanted:
            raise token.refused()
        if token.text:
            del self._tokens[0]
        return token


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _Token("", text[position], _place(text, position)).refused()
        if match.lastgroup != "blank":
            yield _Token(str(match.lastgroup), match[0], _place(text, position))
        position = match.end()
    yield _Token("", "", _place(text, position))


def _place(text: str, position: int) -> str:
    before = text[:position]
    return f"line {before.count(chr(10)) + 1}, column {position - before.rfind(chr(10))}"


def _unquoted(text: str) -> str:
    try:
        return str(json.loads(text, strict=False))
    except ValueError:  # Cloud Logging leaves an escape alone that it does not know, as in a regular expression
        return text[1:-1].replace('\\"', '"')


@dataclass(frozen=True)
class _Field:
    """What a filter compares.

    :param read: its value in an entry; ``None`` where it is missing: then no comparison holds, not even ``!=``.
    :param kind: full name of its message or enumeration; empty for others.
    """

    read: Callable[[Any], Any]
    kind: str = ""

    def compared(self, operator_: str, wanted: str) -> Predicate:
        if (operator_, wanted) == (":", "*"):
            return lambda entry: bool(self.read(entry))
        compared = self._test(operator_, wanted)

        def test(entry: Any) -> bool:
            value = self.read(entry)
            return value is not None and compared(value)

        return test

    def _test(self, operator_: str, wanted: str) -> Callable[[Any], bool]:
        order = _ORDERS.get(operator_)
        if self.kind in _KINDS:
            # A colon asks whether a text is in another, and is like = of all else.
            other = _KINDS[self.kind](wanted)
            return lambda value: (order or operator.eq)(value, other)
        if operator_ in {"=~", "!~"}:
            pattern = _pattern(wanted)
            return lambda value: (pattern.search(_text(value)) is None) == (operator_ == "!~")
        folded = wanted.casefold()
        if order is None:
            return lambda value: folded in _text(value).casefold()
        return lambda value: order(*_comparable(value, folded))


def _comparable(value: Any, wanted: str) -> tuple[Any, Any]:
    """Both as numbers where the value is one, else both as texts."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        try:
            return float(value), float(wanted)
        except ValueError:
            pass
    return _text(value).casefold(), wanted


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise FilterError(f"invalid regular expression: {error}") from error


def _nanoseconds(text: str) -> int:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise FilterError(f"invalid timestamp: '{text}'") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    since = moment - datetime.datetime.fromtimestamp(0, datetime.UTC)
    return since // datetime.timedelta(microseconds=1) * 1000


def _severity(text: str) -> int:
    if text.isdecimal():
        return int(text)
    try:
        return int(log_severity_pb2.LogSeverity.Value(text.upper()))
    except ValueError as error:
        raise FilterError(f"invalid severity: '{text}'") from error


_KINDS: Mapping[str, Callable[[str], int]] = {_TIMESTAMP: _nanoseconds, _SEVERITY: _severity}


def _field(path: str) -> _Field:
    segments = [_unquoted(segment) if segment.startswith('"') else segment for segment in _SEGMENT.findall(path)]
    field = _field_of(_LOG_ENTRY, segments)
    if field is None:
        raise FilterError(f"Field not found: '{path}'.")
    return field


def _field_of(descriptor: Descriptor, path: Sequence[str]) -> _Field | None:
    """The field at a path below a message; ``None`` where the message type has none."""
    first, rest = (path[0], path[1:]) if path else ("", [])
    found = next((field for field in descriptor.fields if first in {field.json_name, field.name}), None)
    if found is None:
        return None
    name, message_type = found.name, found.message_type
    if message_type is None:
        kind = found.enum_type.full_name if found.enum_type else ""
        return None if rest else _Field(lambda message: getattr(message, name), kind)
    if message_type.full_name == _TIMESTAMP:
        return None if rest else _Field(lambda message: getattr(message, name).ToNanoseconds(), _TIMESTAMP)
    if message_type.full_name == _STRUCT:
        return _Field(lambda message: _inside(json_format.MessageToDict(getattr(message, name)), rest))
    if message_type.GetOptions().map_entry:
        return _Field(lambda message: _inside(getattr(message, name), rest))
    inner = _field_of(message_type, rest)
    return inner and _Field(lambda message: inner.read(getattr(message, name)), inner.kind)


def _inside(value: Any, path: Sequence[str]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _anywhere(wanted: str) -> Predicate:
    """Whether any field of an entry has a text in it."""
    folded = wanted.casefold()
    return lambda entry: any(folded in _text(leaf).casefold() for leaf in _leaves(json_format.MessageToDict(entry)))


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value
