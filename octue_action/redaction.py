"""Tokens are shown to nobody, wherever they stand: texts from elsewhere may repeat them."""

from __future__ import annotations

import re
from collections.abc import Iterable

_TOKEN = re.compile(r"""ya29\.[^\s"']+|eyJ[\w-]+(\.[\w-]*)*|gh[opsur]_\w+|github_pat_\w+|(?<=Bearer )[^\s"',]+""")
"""Google's access tokens, JSON web tokens and GitHub's tokens, and what stands where one does in a header."""


def is_token(text: str) -> bool:
    """Whether a text is a token as a whole."""
    return _TOKEN.fullmatch(text) is not None


def redacted(text: str) -> str:
    """The text with ``(token)`` in place of each token."""
    return _TOKEN.sub("(token)", text)


SHORTEST_SECRET = 8
"""Characters: what is shorter stands in too many words by chance."""


def without(text: str, secrets: Iterable[str]) -> str:
    """The text with ``(hidden)`` in place of each of these texts, and of each of their lines."""
    lines = {line.strip() for secret in secrets for line in (secret, *secret.splitlines())}
    for line in sorted(lines, key=len, reverse=True):
        if len(line) >= SHORTEST_SECRET:
            text = text.replace(line, "(hidden)")
    return text
