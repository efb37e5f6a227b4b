"""The GitHub runner: log lines, groups, annotations, masks, outputs and the step summary.

The one module that talks to the runner that executes the action. It does so in the two ways the runner reads: commands
on standard output (``::error::text``) and files named by environment variables (``GITHUB_OUTPUT``). The escaping of
both comes from ``actions-toolkit``; here is what that lacks: text from elsewhere that cannot become a command, GitHub's
limits kept rather than run into, a stream flushed line by line, several threads, checked names, the summary.

Facts of the runner are from its source, github.com/actions/runner 2.336.0: ``ActionCommand.cs``,
``FileCommandManager.cs`` and ``ExecutionContext.cs``.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from actions_toolkit.command import Command
from actions_toolkit.file_command import prepare_key_value_message

from octue_action.markdown import fitted
from octue_action.redaction import redacted

_ANNOTATIONS_OF_EACH_KIND = 10  # the runner drops what comes after, per step
_ANNOTATION_LENGTH = 4096  # of the message, in UTF-16 units; the runner cuts the rest off without a word
OUTPUTS_SIZE = 1_000_000  # bytes of a job's outputs, which GitHub counts in UTF-16
_SUMMARY_SIZE = 1024 * 1024  # bytes; a longer summary is not shown at all

_OUTPUT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")

_SUMMARY_CUT = "\n\n_The rest of this summary is left out: GitHub shows no more than 1 MiB._\n"
_SUMMARY_FOLDS_CUT = (
    "\n_{count} folded parts are left out here: GitHub shows no more than 1 MiB. "
    "What was done is in the log of this step._\n\n"
)
_MESSAGE_CUT = "\n[cut: the whole message is in the log of this step]"


class OutputsNotWritten(Exception):
    """The file that takes the outputs cannot be written: what the next steps go by is missing."""


class Runner:
    """The runner that executes this step, for several threads at once.

    :param environment: the environment variables; ``GITHUB_OUTPUT``, ``GITHUB_STEP_SUMMARY``, ``RUNNER_DEBUG`` are read
    :param stream: where the runner listens, standard output unless told otherwise. One stream for everything: a mask
        and what it hides, sent by two, can arrive in the wrong order
    """

    def __init__(self, environment: Mapping[str, str], stream: TextIO | None = None) -> None:
        self._environment = environment
        self._stream = stream or sys.stdout
        self._lock = threading.RLock()
        self._open_groups = 0
        self._page_lock = threading.Lock()
        self._has_page = False
        # Replaced as a whole: whoever reads it needs no lock, which is held for as long as nobody reads the stream.
        self._masked: frozenset[str] = frozenset()
        self._annotations: Counter[str] = Counter()

    def mask(self, secret: str) -> None:
        """Have the runner write ``***`` for a secret from now on, and for each of its lines.

        Only for what is secret in itself: GitHub also drops every output that has a masked text in it, so that masking
        a project's name would lose all its URLs.

        :param secret: a blank one is passed over, as it would hide every blank
        """
        lines = [line.strip() for line in secret.splitlines()]
        with self._lock:
            for text in dict.fromkeys([secret, *lines, *map(visible, lines)]):
                if text.strip():
                    self._masked |= {text}
                    self._issue("add-mask", text)

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Fold what is logged in the meantime under a title.

        The runner knows no groups within groups: an inner one is a line in the outer one.
        """
        with self._lock:
            if self._open_groups == 0:
                self._issue("group", visible(title))
            else:
                self._print(title)
            self._open_groups += 1
        try:
            yield
        finally:
            with self._lock:
                self._open_groups -= 1
                if self._open_groups == 0:
                    self._issue("endgroup")

    def info(self, text: str) -> None:
        """Log a text as it is, whatever is in it: nothing the runner would obey, nothing a terminal would.

        :param text: one line or several; they stay together
        """
        with self._lock:
            self._print(text)

    def debug(self, text: str) -> None:
        """Log a text for who has turned debug logging on for the run."""
        if self._environment.get("RUNNER_DEBUG") != "1":
            return
        with self._lock:
            for line in _lines(self._hidden(text)):
                self._issue("debug", visible(line))

    def notice(
        self,
        message: str,
        *,
        title: str = "",
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        """Annotate the run with something good to know.

        :param message: shown to 4096 characters; a longer one is in the log as a whole
        :param title: a heading, shown instead of the kind of annotation
        :param file: path of the file it is about, from the root of the repository
        :param line: line in that file, from 1
        :param column: column in that line, from 1
        """
        self._annotate("notice", message, title, _place(file, line, column))

    def warning(
        self,
        message: str,
        *,
        title: str = "",
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        """Annotate the run with what went on but should not stay so; arguments as for ``notice``."""
        self._annotate("warning", message, title, _place(file, line, column))

    def error(
        self,
        message: str,
        *,
        title: str = "",
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        """Annotate the run with what went wrong; arguments as for ``notice``."""
        self._annotate("error", message, title, _place(file, line, column))

    def set_outputs(self, outputs: Mapping[str, str]) -> None:
        """Hand all outputs of this step to the runner, in one write; without ``GITHUB_OUTPUT``, log them for people.

        Where they are more than GitHub takes (1 MB), the largest are left out, with a warning each.

        :param outputs: each value arrives as it is, line ends included
        :raises ValueError: when a name is not of letters, digits, ``-`` and ``_``; nothing is written then
        :raises OutputsNotWritten: when the file cannot be written
        """
        for name in outputs:
            if not _OUTPUT_NAME.fullmatch(name):
                raise ValueError(f"{name!r} cannot be the name of an output: letters, digits, '-' and '_' only")
        kept = self._within_limit({name: redacted(value) for name, value in outputs.items()})
        path = self._environment.get("GITHUB_OUTPUT")
        if not path:
            self.info("\n".join(f"{name} = {value}" for name, value in kept.items()))
            return
        message = "".join(f"{prepare_key_value_message(name, value)}\n" for name, value in kept.items())
        try:
            _append(path, message.encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise OutputsNotWritten(f"The outputs could not be written: {error}") from error

    def write_summary(self, markdown: str, *, replace: bool = True) -> None:
        """Show a page on the run, in place of the one that this step has shown before.

        A page over 1 MiB loses its last folded parts, or else is cut at the end of a line, and says so. Without
        ``GITHUB_STEP_SUMMARY`` there is nobody to show it to. A page that cannot be written is a warning: what it tells
        of has happened all the same.

        :param markdown: GitHub's Markdown
        :param replace: whether a page that has been shown before gives way; else it stays, and this one is not shown
        """
        path = self._environment.get("GITHUB_STEP_SUMMARY")
        if not path:
            return
        page = _fit_summary(self._hidden(markdown))
        try:
            with self._page_lock:
                if replace or not self._has_page:
                    _replace(path, page)
                    self._has_page = True
        except OSError as error:
            self.warning(f"The summary could not be written: {error}")

    def _annotate(self, kind: str, message: str, title: str, place: Mapping[str, str]) -> None:
        text = "\n".join(visible(line) for line in _lines(self._hidden(message)))
        with self._lock:
            self._annotations[kind] += 1
            if self._annotations[kind] > _ANNOTATIONS_OF_EACH_KIND:
                self._print(": ".join(filter(None, [kind.capitalize(), ":".join(place.values()), title, text])))
                return
            tail = ""
            if self._annotations[kind] == _ANNOTATIONS_OF_EACH_KIND:
                tail = f"\n[GitHub shows ten of each kind: any further {kind} is only in the log of this step]"
            shown = _fit_message(text, tail)
            properties = {"title": title, **place}
            self._issue(kind, shown, {name: visible(redacted(value)) for name, value in properties.items() if value})
            if shown != text + tail:
                self._print(text)

    def _hidden(self, text: str) -> str:
        """The text without tokens and what is masked: where a long message is cut, half a token would match no mask."""
        for secret in sorted(self._masked, key=len, reverse=True):
            text = text.replace(secret, "***")
        return redacted(text)

    def _within_limit(self, outputs: Mapping[str, str]) -> dict[str, str]:
        kept = dict(outputs)
        while size_of(kept) > OUTPUTS_SIZE:
            largest = max(kept, key=lambda name: len(kept[name]))
            del kept[largest]
            self.warning(f"The output '{largest}' is left out: GitHub takes no more than 1 MB of outputs.")
        return kept

    def _issue(self, command: str, message: str = "", properties: Mapping[str, str] | None = None) -> None:
        self._write(str(Command(command, dict(properties or {}), message)))

    def _print(self, text: str) -> None:
        self._write("\n".join(_neutral(line) for line in _lines(self._hidden(text))))

    def _write(self, text: str) -> None:
        encoding = self._stream.encoding or "utf-8"
        self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        self._stream.flush()


def _place(file: str | None, line: int | None, column: int | None) -> dict[str, str]:
    """The annotation's place as far as it is known; a line without a file, or a column without a line, is none."""
    place: dict[str, str] = {}
    for name, value in (("file", file), ("line", line), ("col", column)):
        if not value:
            break
        place[name] = str(value)
    return place


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n")


def visible(text: str) -> str:
    r"""The text with control and invisible characters written out (``\x1b``), tabs excepted.

    The runner's line reader ends a line at a lone carriage return too, and its comparison of texts passes over
    invisible characters: with these gone, a line is what it seems.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char == "\t" else char.encode("unicode_escape").decode() for char in text
    )


def _neutral(line: str) -> str:
    """The line as one that the runner does not obey: it looks for ``::name`` after blanks and ``##[name]`` anywhere."""
    line = visible(line).replace("##[", "##\\[")
    start = len(line) - len(line.lstrip())
    return f"{line[:start]}\\{line[start:]}" if line.startswith("::", start) else line


def size_of(outputs: Mapping[str, str]) -> int:
    """How many bytes GitHub counts of outputs."""
    return sum(2 * _utf16_length(name + value) for name, value in outputs.items())


def _utf16_length(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _fit_message(text: str, tail: str) -> str:
    """The text and its tail as one message that the runner does not cut."""
    if _utf16_length(text + tail) <= _ANNOTATION_LENGTH:
        return text + tail
    room = _ANNOTATION_LENGTH - _utf16_length(_MESSAGE_CUT + tail)
    start = text.encode("utf-16-le")[: 2 * room].decode("utf-16-le", "ignore")
    return start + _MESSAGE_CUT + tail


def _append(path: str, content: bytes) -> None:
    """Add to a file in one write, so that a process killed at that moment leaves no half an entry."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        if os.write(file, content) != len(content):
            raise OSError(errno.ENOSPC, "it could not be written whole", path)
    finally:
        os.close(file)


def _replace(path: str, content: bytes) -> None:
    """Put other content into a file that stays the same file: it may be mounted, so that none can take its place."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644), "wb") as file:
        file.write(content)
        file.truncate()


def _fit_summary(markdown: str) -> bytes:
    """The summary as GitHub accepts it."""
    return fitted(markdown, _SUMMARY_SIZE, _SUMMARY_CUT, _SUMMARY_FOLDS_CUT)
