"""The filter language of Pub/Sub subscriptions.

Grammar and meaning follow https://cloud.google.com/pubsub/docs/subscription-message-filter: ``attributes:key``,
``attributes.key = "value"``, ``!=``, ``hasPrefix(attributes.key, "prefix")``, joined by AND or OR (not both without
parentheses) and negated by NOT or ``-``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

Predicate = Callable[[Mapping[str, str]], bool]

_TOKEN = re.compile(r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<mark>!=|[-=:.,()]))""")


class FilterError(ValueError):
    """A text that is no filter."""


def parse_filter(text: str) -> Predicate:
    """The predicate on a message's attributes that a filter stands for; the empty filter lets everything through.

    :raises FilterError: for a text that is not of the filter language.
    """
    if not text.strip():
        return lambda _attributes: True
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._next = 0

    def parse(self) -> Predicate:
        predicate = self._expression()
        if self._peek():
            raise FilterError(f"unexpected {self._peek()}")
        return predicate

    def _expression(self) -> Predicate:
        first = self._term()
        joint = self._peek()
        if joint not in {"AND", "OR"}:
            return first
        terms = [first]
        while self._peek() == joint:
            self._take()
            terms.append(self._term())
        if self._peek() in {"AND", "OR"}:
            raise FilterError("AND and OR need parentheses around one of them")
        every = all if joint == "AND" else any
        return lambda attributes: every(term(attributes) for term in terms)

    def _term(self) -> Predicate:
        opening = self._take()
        if opening in {"NOT", "-"}:
            negated = self._term()
            return lambda attributes: not negated(attributes)
        if opening == "(":
            inner = self._expression()
            self._expect(")")
            return inner
        if opening == "hasPrefix":
            return self._has_prefix()
        if opening == "attributes":
            return self._comparison()
        raise FilterError(f"unexpected {opening or 'end'}")

    def _has_prefix(self) -> Predicate:
        self._expect("(")
        self._expect("attributes")
        self._expect(".")
        key = self._key()
        self._expect(",")
        prefix = self._string()
        self._expect(")")
        return lambda attributes: key in attributes and attributes[key].startswith(prefix)

    def _comparison(self) -> Predicate:
        if self._peek() == ":":
            self._take()
            present = self._key()
            return lambda attributes: present in attributes
        self._expect(".")
        key = self._key()
        operator = self._take()
        if operator == "=":
            wanted = self._string()
            return lambda attributes: attributes.get(key) == wanted
        if operator == "!=":
            unwanted = self._string()
            # Per the documentation a message without the attribute passes as well.
            return lambda attributes: attributes.get(key) != unwanted
        raise FilterError(f"unexpected {operator or 'end'} after attributes.{key}")

    def _key(self) -> str:
        token = self._take()
        if token.startswith('"'):
            return _unquoted(token)
        if not token or not (token[0].isalpha() or token[0] == "_"):
            raise FilterError(f"{token or 'end'} is no attribute key")
        return token

    def _string(self) -> str:
        token = self._take()
        if not token.startswith('"'):
            raise FilterError(f"{token or 'end'} where a quoted string belongs")
        return _unquoted(token)

    def _expect(self, wanted: str) -> None:
        token = self._take()
        if token != wanted:
            raise FilterError(f"{token or 'end'} where {wanted} belongs")

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self._next += 1
        return token


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    position = 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise FilterError(f"unexpected {text[position:].strip()[:10]}")
        tokens.append(match.group(match.lastgroup or 0))
        position = match.end()
    return tokens


def _unquoted(token: str) -> str:
    try:
        return str(json.loads(token))
    except ValueError as error:
        raise FilterError(f"{token} is no string") from error
