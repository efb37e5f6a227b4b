"""What is wrong with the settings, and the words to say it: values with the place where they stand, problems, hints."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

_Value = TypeVar("_Value")

# Neither can be sent to Google nor printed: NUL ends a C string, a lone surrogate is a byte that was not UTF-8.
UNPRINTABLE = re.compile("[\x00\ud800-\udfff]")


MAXIMUM_PROBLEMS = 50
"""More than anybody corrects at a time."""

_MOST_LISTED = 20
"""Names in a phrase."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing to put right before anything can be deployed.

    :param message: what is wrong, where, and perhaps what was meant
    :param expected: what should stand there, as a phrase; empty where the message says it
    :param file: path inside the repository; ``None`` when it stands in no file, as an input
    :param line: from 1
    :param column: from 1
    :param title: a few words that name the setting
    :param remedy: what can be pasted; empty where ``expected`` says enough
    """

    message: str
    expected: str = ""
    file: str | None = None
    line: int | None = None
    column: int | None = None
    title: str = ""
    remedy: str = ""


class InvalidSettings(Exception):
    """The settings cannot be used.

    :param problems: all of them, in the order of files and lines
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.message for problem in self.problems))


class Rejected(Exception):
    """A value is not what it should be.

    :param reason: a clause that follows "... is 'x': "; empty where ``expected`` says enough
    :param expected: what should stand there, as a phrase
    :param hint: a sentence on what was perhaps meant
    """

    def __init__(self, reason: str = "", expected: str = "", hint: str = "") -> None:
        self.reason, self.expected, self.hint = reason, expected, hint
        super().__init__(reason or expected)


@dataclass(frozen=True, kw_only=True)
class Given:
    """A value that somebody wrote, and where.

    :param name: the input's or the key's name
    :param text: the value as it was written
    :param secret: it must not be shown
    :param part: which part of the setting it is, where it is not the whole, e.g. ``A name``
    """

    name: str
    text: str
    part: str = ""
    file: str | None = None
    line: int | None = None
    column: int | None = None
    secret: bool = False

    @property
    def subject(self) -> str:
        """What the value is called at the start of a sentence."""
        setting = f"`{self.name}`" if self.file else f"input `{self.name}`"
        return f"{self.part} in {setting}" if self.part else setting[0].upper() + setting[1:]

    @property
    def place(self) -> str:
        """What the value is called in a sentence about another one."""
        return f"`{self.name}` in {self.file}, line {self.line}" if self.file else f"input `{self.name}`"

    @property
    def quoted(self) -> str:
        """The value itself in a sentence, unless it must not be shown."""
        return "what is not shown here" if self.secret else shown(self.text)

    def problem(self, message: str, expected: str = "") -> Problem:
        """A problem that stands where this value stands."""
        return Problem(
            message=message, expected=expected, file=self.file, line=self.line, column=self.column, title=self.name
        )


class Findings:
    """The problems found so far: reading goes on after each, so that all are reported together."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, *problems: Problem) -> None:
        """Keep these problems."""
        self.problems.extend(problems)

    def take(self, parse: Callable[[str], _Value], given: Given | None, default: _Value) -> _Value:
        """What the parser makes of a value; the default where none is given, or where it is rejected."""
        if given is None:
            return default
        try:
            return parse(given.text)
        except Rejected as rejected:
            self.add(rejection(given, rejected))
            return default

    def raise_if_any(self) -> None:
        """Stop here when there are problems.

        :raises InvalidSettings: with every problem once, those without a file first, then by file and line; of very
            many only the first, and how many more there are
        """
        if self.problems:
            unique = sorted(dict.fromkeys(self.problems), key=lambda it: (it.file or "", it.line or 0, it.column or 0))
            rest = len(unique) - MAXIMUM_PROBLEMS
            more = [Problem(message=f"There are {rest:,} more problems: put these right first.")] if rest > 0 else []
            raise InvalidSettings([*unique[:MAXIMUM_PROBLEMS], *more])


def rejection(given: Given, rejected: Rejected) -> Problem:
    """The problem with a value that its parser rejected."""
    value = "not right" if given.secret else shown(given.text)
    reason = f": {rejected.reason}" if rejected.reason else ""
    return given.problem(f"{given.subject} is {value}{reason}.{rejected.hint}", rejected.expected)


def shown(text: str, limit: int = 60) -> str:
    """Text from elsewhere as it may go into a log: in quotes, on one line, shortened, control characters escaped."""
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")


def listed(words: Sequence[str]) -> str:
    """Names in a phrase; of many the first ones, and how many others there are."""
    rest = len(words) - _MOST_LISTED
    return f"{', '.join(words[:_MOST_LISTED])} and {rest} others" if rest > 0 else ", ".join(words)


def perhaps(word: str, candidates: Iterable[str]) -> str:
    """The sentence " Perhaps you meant `x`." for the candidate nearest to a word, or nothing."""
    normal = word[:64].lower().replace("-", "_")
    known = {candidate.lower().replace("-", "_"): candidate for candidate in candidates}
    nearest = difflib.get_close_matches(normal, known, n=1)
    return f" Perhaps you meant `{known[nearest[0]]}`." if nearest else ""
