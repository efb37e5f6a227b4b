"""How the runner hands arguments to the Docker client: as one text, which .NET takes apart again.

``ContainerActionHandler.cs`` and ``DockerUtil.cs`` quote by hand, and not all of it well: an argument of ``action.yml``
with ``\\"`` in it ends up as several. So both halves are modelled, not just what was meant.
"""

from __future__ import annotations

import re


def quoted_argument(text: str) -> str:
    """An item of ``args`` as the runner writes it: quotes are escaped, backslashes before them are not."""
    return '"' + text.replace('"', '\\"') + '"'


def quoted_name(text: str) -> str:
    """The name of a variable as the runner writes it, which loses nothing: ``DockerUtil.EscapeString``."""
    return '"' + re.sub(r"(\\+)$", r"\1\1", re.sub(r'(\\*)"', r'\1\1\\"', text)) + '"'


def split(text: str) -> list[str]:
    """The arguments in a text, by the rules of .NET's ``ProcessStartInfo.Arguments``.

    Blanks and tabs part them outside of quotes. Two backslashes before a quote are one, and a backslash before a quote
    makes it a character. Two quotes inside quotes are one as a character.
    """
    arguments: list[str] = []
    position = 0
    while (position := _skip_blanks(text, position)) < len(text):
        argument, position = _next(text, position)
        arguments.append(argument)
    return arguments


def _skip_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t":
        position += 1
    return position


def _next(text: str, position: int) -> tuple[str, int]:
    argument = ""
    inside = False
    while position < len(text) and (inside or text[position] not in " \t"):
        if text[position] == "\\":
            characters, position = _backslashes(text, position)
            argument += characters
        elif text[position] != '"':
            argument += text[position]
            position += 1
        elif inside and text.startswith('""', position):
            argument += '"'
            position += 2
        else:
            inside = not inside
            position += 1
    return argument, position


def _backslashes(text: str, position: int) -> tuple[str, int]:
    end = position
    while text.startswith("\\", end):
        end += 1
    count = end - position
    if not text.startswith('"', end):
        return "\\" * count, end
    return "\\" * (count // 2) + '"' * (count % 2), end + count % 2
