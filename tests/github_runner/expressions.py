"""``${{ }}`` in an ``action.yml`` or a workflow: ``TemplateReader.cs`` and the expressions in it, ``DistributedTask``.

Modelled are literals, properties of contexts (``github.event.number``, ``inputs['a']``), ``&&``, ``||``, ``!``, ``==``,
``!=``, parentheses and ``format``. Other operators and functions are not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from tests.github_runner.errors import NotModelled, Refused

Value: TypeAlias = "bool | int | float | str | Mapping[str, Value] | Sequence[Value] | None"
Contexts = Mapping[str, Mapping[str, Value]]

_TEMPLATE = re.compile(r"\$\{\{((?:[^'}]|'[^']*'|\}(?!\}))*)\}\}")
_TOKEN = re.compile(
    r"(?P<string>'(?:[^']|'')*')"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_-]*)"
    r"|(?P<number>[-+.]?[0-9][0-9A-Za-z.+-]*)"
    r"|(?P<sign>&&|\|\||==|!=|[<>]=?|[!()\[\],.*])"
)
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})")
_DECIMAL = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
_ODD_NUMBER = re.compile(r"[-+]?(?:0[xo][0-9a-fA-F]+|Infinity|[0-9.]+[eE][-+]?[0-9]+)")
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([0-9]+)\}|[{}]")
_LITERALS: Mapping[str, Value] = {"true": True, "false": False, "null": None}
_OTHER_LITERALS = frozenset({"NaN", "Infinity"})
_OTHER_SIGNS = frozenset({"<", ">", "<=", ">=", "*"})
_OTHER_FUNCTIONS = frozenset(
    {"always", "cancelled", "case", "contains", "endswith", "failure", "fromjson", "hashfiles", "join"}
    | {"startswith", "success", "tojson"}
)


class Expression(Protocol):
    """What has a value in a run."""

    def value(self, contexts: Contexts) -> Value:
        """The value, by those of the contexts."""


@dataclass(frozen=True)
class Literal:
    """A value that is the same in every run."""

    of: Value

    def value(self, _: Contexts) -> Value:
        return self.of


@dataclass(frozen=True)
class Property:
    """A property of a context, such as ``inputs.region``, or of something in it, such as ``github.event.number``.

    :param names: behind the name of the context.
    """

    context: str
    names: tuple[str, ...]

    def value(self, contexts: Contexts) -> Value:
        values = contexts.get(self.context)
        if values is None:
            raise NotModelled(f"the context {self.context!r}")
        first, *others = self.names
        if self.context != "inputs" and first.lower() not in map(str.lower, values):
            raise NotModelled(f"{self.context}.{first}, whose value nobody gave")
        found = _property(values, first)
        for name in others:
            found = _property(found, name)
        return found


@dataclass(frozen=True)
class Not:
    """``!``."""

    operand: Expression

    def value(self, contexts: Contexts) -> Value:
        return not is_truthy(self.operand.value(contexts))


@dataclass(frozen=True)
class Equality:
    """``==`` or ``!=``.

    :param holds: whether it is true where both are equal.
    """

    left: Expression
    right: Expression
    holds: bool

    def value(self, contexts: Contexts) -> Value:
        return equal(self.left.value(contexts), self.right.value(contexts)) == self.holds


@dataclass(frozen=True)
class Choice:
    """``&&`` or ``||``: gives one of its operands, the other is not looked at where the first decides.

    :param goes_on: whether the right one counts where the left one is truthy.
    """

    left: Expression
    right: Expression
    goes_on: bool

    def value(self, contexts: Contexts) -> Value:
        left = self.left.value(contexts)
        return self.right.value(contexts) if is_truthy(left) == self.goes_on else left


@dataclass(frozen=True)
class Format:
    """``format('{0}', ...)``."""

    pattern: Expression
    arguments: tuple[Expression, ...]

    def value(self, contexts: Contexts) -> Value:
        texts = [text_of(argument.value(contexts)) for argument in self.arguments]

        def replacement(found: re.Match[str]) -> str:
            if found[0] in ("{{", "}}"):
                return found[0][0]
            if found[1] is None or int(found[1]) >= len(texts):
                raise Refused(f"The format string is invalid: {found.string!r}")
            return texts[int(found[1])]

        return _PLACEHOLDER.sub(replacement, text_of(self.pattern.value(contexts)))


@dataclass(frozen=True)
class Template:
    """A text with expressions in it, or a scalar of another kind.

    :param pieces: literals and expressions, in their order.
    """

    pieces: tuple[Expression, ...]

    def evaluate(self, contexts: Contexts) -> str:
        """The text in a run.

        :param contexts: values by name, of each context that is known.
        :raises NotModelled: where a value of a context other than ``inputs`` is not given.
        """
        return "".join(text_of(piece.value(contexts)) for piece in self.pieces)

    def value(self, contexts: Contexts) -> Value:
        """The value in a run: of an expression that stands alone what it gives, with text around it a text.

        :raises NotModelled: as ``evaluate``.
        """
        return self.pieces[0].value(contexts) if len(self.pieces) == 1 else self.evaluate(contexts)


def parse(text: str, allowed: frozenset[str]) -> Template:
    """Take a text apart, as the runner does when it loads an action.

    :param allowed: the contexts that may be used there, such as ``inputs``.
    :raises Refused: where the runner does not accept the text.
    :raises NotModelled: for what is not modelled of the language.
    """
    pieces: list[Expression] = []
    position = 0
    while (start := text.find("${{", position)) >= 0:
        found = _TEMPLATE.match(text, start)
        if found is None:
            raise Refused(f"The expression is not closed: {text!r}")
        pieces += [Literal(text[position:start]), parse_expression(found[1], allowed)]
        position = found.end()
    pieces.append(Literal(text[position:]))
    return Template(tuple(piece for piece in pieces if piece != Literal("")))


def parse_expression(text: str, allowed: frozenset[str]) -> Expression:
    """Read what stands between ``${{`` and ``}}``.

    :param allowed: the contexts that may be used there.
    :raises Refused: where the runner does not accept it.
    :raises NotModelled: for what is not modelled of the language.
    """
    return _Reader(text, allowed).read()


def is_truthy(value: Value) -> bool:
    """Whether a value counts as true: false, 0, '', null and what is no number do not."""
    return bool(value) and value == value if not isinstance(value, Mapping | list) else True  # noqa: PLR0124 - NaN


def equal(left: Value, right: Value) -> bool:
    """Whether GitHub takes two values for equal: texts in any case, and of different kinds as numbers."""
    if isinstance(left, Mapping | list) or isinstance(right, Mapping | list):
        raise NotModelled("`==` of a value that has others in it")
    if isinstance(left, str) and isinstance(right, str):
        return left.upper() == right.upper()
    if left is None and right is None:
        return True
    return _number(left) == _number(right)


def text_of(value: Value) -> str:
    """A value as a text.

    :raises NotModelled: for one that has others in it, and a number that is no whole one.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float) and value == int(value):
        return str(int(value))
    if isinstance(value, str):
        return value
    raise NotModelled(f"{value!r} as a text")


def _property(value: Value, name: str) -> Value:
    """A property of a value; null where it has none of that name, or none at all."""
    if not isinstance(value, Mapping):
        return None
    return next((found for key, found in value.items() if key.lower() == name.lower()), None)


def _number(value: Value) -> float:
    if isinstance(value, str):
        text = value.strip()
        if _ODD_NUMBER.fullmatch(text):
            raise NotModelled(f"the number {text}")
        return float(text or 0) if not text or _DECIMAL.fullmatch(text) else math.nan
    return float(value or 0) if value is None or isinstance(value, int | float) else math.nan


class _Reader:
    """Reads one expression from left to right; an operator binds less than those in the methods below its own."""

    def __init__(self, text: str, allowed: frozenset[str]) -> None:
        self._text = text
        self._allowed = allowed
        self._tokens = _tokens(text)

    def read(self) -> Expression:
        if not self._tokens:
            raise Refused("An expression was expected")
        expression = self._or()
        if self._tokens:
            raise Refused(f"Unexpected symbol: '{self._tokens[0]}' in {self._text!r}")
        return expression

    def _or(self) -> Expression:
        left = self._and()
        while self._take("||"):
            left = Choice(left, self._and(), goes_on=False)
        return left

    def _and(self) -> Expression:
        left = self._equality()
        while self._take("&&"):
            left = Choice(left, self._equality(), goes_on=True)
        return left

    def _equality(self) -> Expression:
        left = self._not()
        while (sign := self._next) in ("==", "!="):
            self._take(sign)
            left = Equality(left, self._not(), holds=sign == "==")
        return left

    def _not(self) -> Expression:
        if self._take("!"):
            return Not(self._not())
        if self._take("("):
            inner = self._or()
            self._expect(")")
            return inner
        return self._operand()

    def _operand(self) -> Expression:
        token = self._pop()
        if token.startswith("'"):
            return Literal(_unquoted(token))
        if _INTEGER.fullmatch(token):
            return Literal(int(token))
        if token in _LITERALS:
            return Literal(_LITERALS[token])
        if token in _OTHER_LITERALS or token[0] in "-+.0123456789":
            raise NotModelled(f"the number {token}")
        if not re.match("[A-Za-z_]", token):
            raise Refused(f"Unexpected symbol: '{token}' in {self._text!r}")
        return self._call(token) if self._take("(") else self._place(token)

    def _call(self, name: str) -> Expression:
        if name.lower() in _OTHER_FUNCTIONS:
            raise NotModelled(f"the function {name}")
        if name.lower() != "format":
            raise Refused(f"Unrecognized function: '{name}'")
        arguments = [self._or()]
        while self._take(","):
            arguments.append(self._or())
        self._expect(")")
        return Format(arguments[0], tuple(arguments[1:]))

    def _place(self, context: str) -> Expression:
        if context.lower() not in self._allowed:
            raise Refused(f"Unrecognized named-value: '{context}'")
        names: list[str] = []
        while self._next in (".", "["):
            names.append(self._name())
        if not names:
            raise NotModelled(f"the whole context {context!r}")
        return Property(context.lower(), tuple(names))

    def _name(self) -> str:
        if self._take("."):
            return self._pop()
        self._expect("[")
        token = self._pop()
        if not token.startswith("'"):
            raise NotModelled(f"an index that is no text, in {self._text!r}")
        self._expect("]")
        return _unquoted(token)

    @property
    def _next(self) -> str:
        return self._tokens[0] if self._tokens else ""

    def _take(self, token: str) -> bool:
        """Whether that is the next token, which is gone then."""
        return self._next == token and bool(self._tokens.pop(0))

    def _expect(self, token: str) -> None:
        if not self._take(token):
            raise Refused(f"'{token}' was expected in {self._text!r}")

    def _pop(self) -> str:
        if not self._tokens:
            raise Refused(f"Unexpected end of expression: {self._text!r}")
        return self._tokens.pop(0)


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    position = 0
    while text[position:].strip():
        position += len(text[position:]) - len(text[position:].lstrip())
        found = _TOKEN.match(text, position)
        if found is None:
            raise Refused(f"Unexpected symbol: '{text[position]}' in {text!r}")
        if found["sign"] in _OTHER_SIGNS:
            raise NotModelled(f"the operator {found[0]} in {text!r}")
        tokens.append(found[0])
        position = found.end()
    return tokens


def _unquoted(token: str) -> str:
    return token[1:-1].replace("''", "'")
