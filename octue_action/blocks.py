"""What pages are made of: HTML inside Markdown, in which every text is escaped, so that none can become markup.

Pure functions from texts to HTML; those that take HTML call it blocks, cells or rows.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from octue_action.runner import visible

if TYPE_CHECKING:
    from octue_action.failure import Failure

CONSOLE = "https://console.cloud.google.com/"
"""Where all links lead: an address from elsewhere that is another is shown, and not made a link."""

_REFERENCE = re.compile(r"(?<!\w)@(?=\w)|#(?=\d)|\bGH-(?=\d)", re.IGNORECASE)
"""The beginning of what GitHub would make a link of: a mention, or the number of an issue."""


def page(*blocks: str) -> str:
    """A page of these blocks; empty ones are left out."""
    return "\n\n".join(block for block in blocks if block) + "\n"


def table(headings: Sequence[str], rows: Iterable[str]) -> str:
    """A table with these headings."""
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    return f"<table>\n<tr>{head}</tr>\n" + "\n".join(rows) + "\n</table>"


def row(*cells: str) -> str:
    """A row of a table."""
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def link(label: str, url: str) -> str:
    """A link to a page of Google's console."""
    return f'<a href="{text(url)}">{text(label)}</a>'


def code(shown: str) -> str:
    """A text in the type of code; nothing where there is none."""
    return f"<code>{text(shown)}</code>" if shown else ""


def fold(title: str, *blocks: str, is_open: bool = False) -> str:
    """Blocks that are shown when somebody opens them.

    :param title: HTML, always shown.
    :param is_open: whether they are shown until somebody closes them.
    """
    inside = page(*blocks).rstrip("\n")
    return f"<details{' open' if is_open else ''}><summary>{title}</summary>\n\n{inside}\n\n</details>"


def folded_text(title: str, shown: str) -> str:
    """A text with its lines, to be opened; at the beginning of a line ``<pre>`` lasts over blank ones, too."""
    return fold(text(title), f"<pre>{preformatted(shown)}</pre>")


def log_block(failure: Failure, lines: Sequence[str] | None = None) -> str:
    """The last lines of the log that tells more of a failure, folded, and where the rest is.

    :param lines: those that are shown; all that are known unless given.
    """
    shown = failure.log if lines is None else lines
    if not shown:
        return ""
    rest = (
        f'\n\n<p><a href="{text(failure.log_url)}">The whole log</a></p>' if failure.log_url.startswith(CONSOLE) else ""
    )
    return folded_text(f"The last {len(shown)} lines of its log", "\n".join(shown)) + rest


def all_explained(failures: Iterable[Failure]) -> list[str]:
    """Each failure, and a remedy that several share only behind the last of them."""
    listed = list(failures)
    last = {failure.remedy: position for position, failure in enumerate(listed)}
    return [
        explained(failure.message, failure.remedy if last[failure.remedy] == position else "")
        for position, failure in enumerate(listed)
    ]


def explained(message: str, remedy: str) -> str:
    """What happened, and what to do about it."""
    what_to_do = f"\n\nWhat to do:\n\n<pre>{preformatted(remedy)}</pre>" if remedy else ""
    if remedy.startswith(CONSOLE) and "\n" not in remedy:
        what_to_do = f'\n\n<p>What to do: look at <a href="{text(remedy)}">{text(remedy)}</a></p>'
    return f"<blockquote>{text(message, keep_lines=True)}</blockquote>{what_to_do}"


def preformatted(shown: str) -> str:
    """Text as it stands with its lines, for ``<pre>``, which only its own end ends."""
    return html.escape("\n".join(_lines(shown)))


def text(shown: str, *, keep_lines: bool = False) -> str:
    """Text as it stands, in HTML; without blank lines, since one would end the HTML and begin Markdown.

    A zero-width character keeps GitHub from making a link of ``@name`` and ``#1``.
    """
    escaped = [html.escape(_REFERENCE.sub("\\g<0>\u200c", line)) for line in _lines(shown)]
    return "<br>".join(escaped) if keep_lines else " ".join(" ".join(escaped).split())


def _lines(shown: str) -> list[str]:
    """The lines of a text, in which nothing is hidden from who reads them."""
    return [visible(line) for line in shown.replace("\r\n", "\n").removesuffix("\n").split("\n")]
