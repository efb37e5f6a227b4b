"""Markdown that is too long for where it is to be shown, cut so that what is left is still Markdown."""

from __future__ import annotations

import re


def fitted(markdown: str, size: int, notice: str, folds_notice: str = "") -> bytes:
    """The Markdown as it fits: where it is too long, without the last ones of several folded parts.

    Where that is not enough it is cut at the end of a line, and what the cut leaves open is closed.

    :param size: bytes in UTF-8, of all that is given
    :param notice: Markdown that says what was done, behind the cut
    :param folds_notice: Markdown that says so in place of folded parts, with ``{count}`` for how many they are; without
        it they are not left out
    """
    whole = markdown.encode("utf-8", "backslashreplace")
    if len(whole) <= size:
        return whole
    shortened = _without_last_folds(whole, size, folds_notice) if folds_notice else b""
    return shortened or _cut(whole, size, notice)


def _without_last_folds(whole: bytes, size: int, notice: str) -> bytes:
    """All but as few of the last folded parts as must go; nothing where that is not enough, or there is only one."""
    parts = _parts(whole)
    folds = [position for position, (_, is_fold) in enumerate(parts) if is_fold]
    length = len(whole)
    for count, position in enumerate(reversed(folds if len(folds) > 1 else ()), start=1):
        length -= len(parts[position][0])
        said = notice.format(count=count).encode()
        if length + len(said) <= size:
            left = b"".join(part for part, is_fold in parts[position:] if not is_fold)
            return b"".join(part for part, _ in parts[:position]) + said + left
    return b""


def _parts(whole: bytes) -> list[tuple[bytes, bool]]:
    """The Markdown in parts, and whether each is one that is folded, and not within another."""
    parts: list[tuple[bytes, bool]] = []
    markup = _OpenMarkup()
    lines: list[bytes] = []
    in_fold = False
    for line in whole.splitlines(keepends=True):
        if markup.is_closed and line.lower().startswith(b"<details"):
            parts.append((b"".join(lines), False))
            lines, in_fold = [], True
        markup.read(line.decode())
        lines.append(line)
        if in_fold and markup.is_closed:
            parts.append((b"".join(lines), True))
            lines, in_fold = [], False
    return [*parts, (b"".join(lines), False)]


def _cut(whole: bytes, size: int, notice: str) -> bytes:
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

    @property
    def is_closed(self) -> bool:
        """Whether nothing is open."""
        return not self._fence and not self._tags

    def read(self, line: str) -> None:
        """Take in the next line."""
        if "pre" in self._tags:  # whatever stands in it is no Markdown
            self._read_tags(line)
            return
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
