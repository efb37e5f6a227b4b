"""Markdown that is too long for where it is to be shown, cut so that what is left is still Markdown."""

from __future__ import annotations

import re


def fitted(markdown: str, size: int, notice: str) -> bytes:
    """The Markdown as it fits, cut at the end of a line where it is too long, with what a cut leaves open closed.

    :param size: bytes in UTF-8, of all that is given
    :param notice: Markdown that says what was done, behind the cut
    """
    whole = markdown.encode("utf-8", "backslashreplace")
    if len(whole) <= size:
        return whole
    markup = _OpenMarkup()
    end, closing = 0, ""
    room = size - len(notice.encode())
    for line in whole.splitlines(keepends=True):
        markup.read(line.decode())
        if end + len(line) + len(markup.closing().encode()) > room:
            break
        end, closing = end + len(line), markup.closing()
    return whole[:end] + closing.encode() + notice.encode()


class _OpenMarkup:
    """What has been opened in the Markdown read so far, and would swallow what comes after it."""

    _FENCE = re.compile(r"([ \t]*(`{3,}|~{3,}))(.*)")
    _CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)")
    _LONGEST_LINE = 20_000  # in which code spans are looked for: their ends may be searched for again and again
    _TAG = re.compile(
        r"<(/?)(details|summary|table|thead|tbody|tr|td|th|ul|ol|li|pre|code|blockquote|div)\b[^<>]*>", re.IGNORECASE
    )

    def __init__(self) -> None:
        self._fence = ""  # with its indentation, which puts it into a list
        self._tags: list[str] = []

    def read(self, line: str) -> None:
        """Take in the next line."""
        fence = self._FENCE.match(line)
        if self._fence:
            marker = self._fence.lstrip()
            if fence and fence[2].startswith(marker) and not fence[3].strip():
                self._fence = ""
        elif fence and not (fence[2].startswith("`") and "`" in fence[3]):
            self._fence = fence[1]
        else:
            self._read_tags(self._CODE_SPAN.sub("", line) if len(line) <= self._LONGEST_LINE else line)

    def _read_tags(self, line: str) -> None:
        for closes, name in self._TAG.findall(line.lower()):
            if not closes:
                self._tags.append(name)
            elif name in self._tags:
                while self._tags.pop() != name:
                    pass

    def closing(self) -> str:
        """The lines that end all of it; the blank one ends a table."""
        fence = f"{self._fence}\n" if self._fence else ""
        return f"{fence}\n{''.join(f'</{name}>' for name in reversed(self._tags))}"
