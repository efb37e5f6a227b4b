"""Which versions a requirement allows: ranges of releases, as pip and as Poetry write them. Pure functions.

Releases of three numbers at most are all that is read here, which is what Octue's SDK and those it needs have. What is
written otherwise (a release candidate, an address, an epoch) is not known, and nothing is said about it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Release = tuple[int, int, int]
"""Major, minor and patch."""

FIRST: Release = (0, 0, 0)

_NUMBERS = r"([0-9]{1,9}(?:\.[0-9]{1,9}){0,2})"
# packaging.python.org/en/latest/specifications/version-specifiers/
_PIP = re.compile(rf"(===|==|~=|!=|<=|>=|<|>)\s*v?{_NUMBERS}(\.\*)?\Z")
# python-poetry.org/docs/dependency-specification/
_POETRY = re.compile(rf"(\^|~|=)?\s*v?{_NUMBERS}(\.\*)?\Z")
_BETWEEN_CLAUSES = re.compile(r"\s*,\s*|(?<=[0-9*])\s+(?=[<>=!~^])")
_LONGEST = 200


@dataclass(frozen=True)
class Range:
    """Releases, as intervals in ascending order: each from its first release on, and before its second.

    The last one may have no end: then its second is ``None``.
    """

    intervals: tuple[tuple[Release, Release | None], ...]

    def __and__(self, other: Range) -> Range:
        both = [
            (max(a, c), b if d is None else d if b is None else min(b, d))
            for a, b in self.intervals
            for c, d in other.intervals
        ]
        return Range(tuple((first, end) for first, end in both if end is None or first < end))

    def __invert__(self) -> Range:
        gaps: list[tuple[Release, Release | None]] = []
        start: Release | None = FIRST
        for first, end in self.intervals:
            if start is not None and start < first:
                gaps.append((start, first))
            start = end
        return Range((*gaps, *([(start, None)] if start is not None else [])))

    def __or__(self, other: Range) -> Range:
        return ~(~self & ~other)

    def __contains__(self, release: Release) -> bool:
        return any(first <= release and (end is None or release < end) for first, end in self.intervals)

    def __bool__(self) -> bool:
        return bool(self.intervals)

    @property
    def is_one(self) -> bool:
        """Whether it is a single release."""
        return len(self.intervals) == 1 and self.intervals[0][1] == _after(self.intervals[0][0])

    def is_within(self, other: Range) -> bool:
        """Whether there are such releases, and all of them are the other's as well."""
        return bool(self) and not self & ~other

    def has_newest_of(self, allowed: Range) -> bool:
        """Whether the newest release that is allowed, which is what pip installs, is one of these."""
        last = Range(allowed.intervals[-1:])
        common = (last & self).intervals
        return bool(common) and common[-1][1] == last.intervals[0][1]


EVERY = Range(((FIRST, None),))


def between(first: Release, end: Release | None) -> Range:
    """From one release on, and before another one."""
    return EVERY & Range(((first, end),))


def of_pip(text: str) -> Range | None:
    """What a version specifier allows, ``>=0.30,<0.40``; everything where there is none.

    :returns: None where it is not known.
    """
    return _all(text, poetry=False)


def of_poetry(text: str) -> Range | None:
    """What a constraint of Poetry's allows, ``^0.39`` or ``0.39.0``.

    :returns: None where it is not known.
    """
    if len(text) > _LONGEST:
        return None
    alternatives = [_all(part, poetry=True) for part in re.split(r"\|\|?", text)]
    allowed = Range(())
    for alternative in alternatives:
        if alternative is None:
            return None
        allowed |= alternative
    return allowed


def _all(text: str, *, poetry: bool) -> Range | None:
    """What all clauses together allow."""
    text = text.strip()
    if len(text) > _LONGEST:
        return None
    allowed = EVERY
    for clause in _BETWEEN_CLAUSES.split(text.rstrip(",")) if text not in {"", "*"} else ():
        of_clause = _clause(clause, poetry=poetry)
        if of_clause is None:
            return None
        allowed &= of_clause
    return allowed


def _clause(clause: str, *, poetry: bool) -> Range | None:
    if match := _PIP.match(clause):
        operator, is_prefix = match[1], match[3] is not None
        return _of_pip(operator, _numbers(match[2]), is_prefix=is_prefix)
    if poetry and (match := _POETRY.match(clause)):
        numbers = _numbers(match[2])
        if match[1] == "^":
            return between(_padded(numbers), _caret_end(numbers))
        if match[1] == "~":
            return between(_padded(numbers), _bumped(numbers[: min(2, len(numbers))]))
        return _of_pip("==", numbers, is_prefix=match[3] is not None)
    return None


def _of_pip(operator: str, numbers: tuple[int, ...], *, is_prefix: bool) -> Range | None:
    release = _padded(numbers)
    if is_prefix and operator not in {"==", "!="}:
        return None
    same = between(release, _bumped(numbers) if is_prefix else _after(release))
    allowed = {
        "==": same,
        "===": same,
        "!=": ~same,
        ">=": between(release, None),
        ">": between(_after(release), None),
        "<=": between(FIRST, _after(release)),
        "<": between(FIRST, release),
    }
    if len(numbers) > 1:
        allowed["~="] = between(release, _bumped(numbers[:-1]))
    return allowed.get(operator)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split("."))


def _padded(numbers: tuple[int, ...]) -> Release:
    major, minor, patch = (*numbers, 0, 0)[:3]
    return major, minor, patch


def _bumped(numbers: tuple[int, ...]) -> Release:
    """The first release that no longer begins with these numbers."""
    return _padded((*numbers[:-1], numbers[-1] + 1))


def _caret_end(numbers: tuple[int, ...]) -> Release:
    """What Poetry's ``^`` ends before: the leftmost number that is not 0 grows, or else the last one."""
    leftmost = next((place for place, number in enumerate(numbers) if number), len(numbers) - 1)
    return _bumped(numbers[: leftmost + 1])


def _after(release: Release) -> Release:
    return (*release[:2], release[2] + 1)
