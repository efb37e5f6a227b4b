"""Secrets, and how the runner hides them: ``SecretMasker.cs`` and ``ValueEncoders.cs``."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from functools import cache
from urllib.parse import quote
from xml.sax.saxutils import escape

_SHORTEST_PIECE = 6
_SHORTEST_QUOTED = 8


def mask(text: str, secrets: list[str]) -> str:
    """The text with each secret, and each usual way to write it, replaced by ``***``.

    Secrets that overlap or touch are hidden as one, as ``SecretMasker.MaskSecrets`` does.
    """
    hidden = ""
    position = 0
    for start, end in _merged(sorted(_places(text, secrets))):
        hidden += text[position:start] + "***"
        position = end
    return hidden + text[position:]


@cache
def forms(secret: str) -> frozenset[str]:
    """The secret and the other ways to write it that the runner hides too."""
    return frozenset(filter(None, (secret, *(encode(secret) for encode in _ENCODERS))))


def _places(text: str, secrets: list[str]) -> Iterator[tuple[int, int]]:
    for form in frozenset().union(*map(forms, secrets)):
        start = text.find(form)
        while start >= 0:
            yield start, start + len(form)
            start = text.find(form, start + 1)


def _merged(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in places:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _base64_from(offset: int) -> Callable[[str], str]:
    def encode(secret: str) -> str:
        content = secret.encode("utf-8", "replace")
        return base64.b64encode(content[offset:] if len(content) > offset else content).decode()

    return encode


def _in_json(secret: str) -> str:
    return json.dumps(secret, ensure_ascii=False)[1:-1]


def _without_quotes(secret: str) -> str:
    quoted = len(secret) > _SHORTEST_QUOTED and secret[0] == secret[-1] == '"'
    return secret[1:-1] if quoted else ""


def _before_ampersand(secret: str) -> str:
    """PowerShell may show a command in two pieces, parted at ``&``; after ``&+`` it colours one letter."""
    end = secret.find("&+") + 2 if "&+" in secret else secret.rfind("&") + 1
    return secret[:end] if end >= _SHORTEST_PIECE else ""


def _after_ampersand(secret: str) -> str:
    start = secret.find("&+") + 3 if "&+" in secret else secret.rfind("&") + 1
    return secret[start:] if start and len(secret) - start >= _SHORTEST_PIECE else ""


_ENCODERS: tuple[Callable[[str], str], ...] = (
    *(_base64_from(offset) for offset in range(3)),
    lambda secret: secret.replace('"', '\\"'),
    lambda secret: secret.replace("'", "''"),
    _in_json,
    lambda secret: quote(secret.encode("utf-8", "replace"), safe="-_.~"),
    lambda secret: escape(secret, {'"': "&quot;", "'": "&apos;"}),
    _without_quotes,
    _before_ampersand,
    _after_ampersand,
)
