"""Tokens are shown to nobody, wherever they stand: texts from elsewhere may repeat them."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"""ya29\.[^\s"']+|eyJ[\w-]+(\.[\w-]*)*|gh[opsur]_\w+|github_pat_\w+""")
"""Google's access tokens, JSON web tokens and GitHub's tokens."""


def is_token(text: str) -> bool:
    """Whether a text is a token as a whole."""
    return _TOKEN.fullmatch(text) is not None


def redacted(text: str) -> str:
    """The text with ``(token)`` in place of each token."""
    return _TOKEN.sub("(token)", text)
