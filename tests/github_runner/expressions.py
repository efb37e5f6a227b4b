"""``${{ }}`` in an ``action.yml``: ``TemplateReader.cs`` and the expressions in it, as far as actions use them.

Modelled are literals and a property of a context (``inputs.a``, ``inputs['a']``). Operators and functions are not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tests.github_runner.errors import ActionRefused, NotModelled

_NAME = r"[A-Za-z_][A-Za-z0-9_-]*"
_PROPERTY = re.compile(rf"({_NAME})\s*(?:\.\s*({_NAME})|\[\s*'((?:[^']|'')*)'\s*\])")
_STRING = re.compile(r"'((?:[^']|'')*)'")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})")
_EXPRESSION = re.compile(r"\$\{\{((?:[^'}]|'[^']*'|\}(?!\}))*)\}\}")

Contexts = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Literal:
    """A text that is the same in every run."""

    text: str

    def evaluate(self, _: Contexts) -> str:
        return self.text


@dataclass(frozen=True)
class Property:
    """A value of a context, such as ``inputs.region``."""

    context: str
    name: str

    def evaluate(self, contexts: Contexts) -> str:
        values = contexts.get(self.context)
        if values is None:
            raise NotModelled(f"the context {self.context!r}")
        found = [value for name, value in values.items() if name.lower() == self.name.lower()]
        if not found and self.context != "inputs":
            raise NotModelled(f"{self.context}.{self.name}, whose value nobody gave")
        return found[0] if found else ""  # an input that there is not is null, and null as text is empty


@dataclass(frozen=True)
class Template:
    """A text with expressions in it.

    :param pieces: literals and properties, in their order.
    """

    pieces: tuple[Literal | Property, ...]

    def evaluate(self, contexts: Contexts) -> str:
        """The text in a run.

        :param contexts: values by name, of each context that is known.
        :raises NotModelled: where a value of a context other than ``inputs`` is not given.
        """
        return "".join(piece.evaluate(contexts) for piece in self.pieces)


def parse(text: str, allowed: frozenset[str]) -> Template:
    """Take a text apart, as the runner does when it loads an action.

    :param allowed: the contexts that may be used there, such as ``inputs``.
    :raises ActionRefused: where the runner does not accept the text.
    :raises NotModelled: for an expression beyond a literal or a property.
    """
    pieces: list[Literal | Property] = []
    position = 0
    while (start := text.find("${{", position)) >= 0:
        found = _EXPRESSION.match(text, start)
        if found is None:
            raise ActionRefused(f"The expression is not closed: {text!r}")
        pieces += [Literal(text[position:start]), _parse_expression(found[1].strip(), allowed)]
        position = found.end()
    pieces.append(Literal(text[position:]))
    return Template(tuple(piece for piece in pieces if piece != Literal("")))


def _parse_expression(text: str, allowed: frozenset[str]) -> Literal | Property:
    if not text:
        raise ActionRefused("An expression was expected")
    if string := _STRING.fullmatch(text):
        return Literal(string[1].replace("''", "'"))
    if text in ("true", "false", "null"):
        return Literal("" if text == "null" else text)
    if _INTEGER.fullmatch(text):
        return Literal(str(int(text)))
    if place := _PROPERTY.fullmatch(text):
        context = place[1].lower()
        if context not in allowed:
            raise ActionRefused(f"Unrecognized named-value: '{place[1]}'")
        return Property(context, place[2] or place[3].replace("''", "'"))
    raise NotModelled(f"the expression {text!r}")
