"""The rows of the suite: what each has tried, what failed of it, and how a single one is tried again."""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

Scenario = TypeVar("Scenario")

PROPERTY = "row"
"""Name of the property of a test's report that carries its row to where the rows are added up."""

MARKS = ("<!-- rows: written by script/resilience --page docs/resilience.md -->", "<!-- rows: end -->")

_SHOWN_FAILURES = 20

_ORDER = (
    "crash, then run again",
    "real SIGKILL of the process, then again",
    "single fault",
    "write with unknown outcome",
    "delays of visibility",
    "concurrent runs",
    "policy merge",
    "fuzzed inputs and octue.yaml",
    "signals",
    "secrets",
    "no-op",
    "each of the 53 failures",
    "partial failure",
)
"""In which the rows are shown; any other comes after them."""


@dataclass(frozen=True)
class Choice:
    """Which scenarios are tried.

    :param full: all of them.
    :param seed: of the sample otherwise.
    :param only: those whose name has this text in it; all where empty.
    """

    full: bool = False
    seed: int = 0
    only: str = ""

    def of(self, scenarios: Iterable[Scenario], sample: int, test: str) -> list[Scenario]:
        """The scenarios to try.

        :param sample: how many where not all are.
        :param test: which test asks, so that each draws its own.
        """
        named = [scenario for scenario in scenarios if self.only in str(scenario)]
        if self.full or self.only or len(named) <= sample:
            return named
        drawn = set(random.Random(f"{self.seed} {test}").sample(range(len(named)), sample))
        return [scenario for number, scenario in enumerate(named) if number in drawn]


@dataclass
class Row:
    """What one test adds to a row.

    :param title: the row's name.
    :param test: the test's id, with which it is started again.
    """

    title: str
    test: str
    choice: Choice
    scenarios: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    def each(
        self, scenarios: Sequence[Scenario], check: Callable[[Scenario], None], *, sample: int, at_once: int = 1
    ) -> None:
        """Check one scenario after the other, and fail at the end with all that failed.

        :param scenarios: their text is their name.
        :param check: raises what is wrong.
        :param sample: how many are tried where not all are.
        :param at_once: how many are checked at the same time, where they wait more than they work.
        """
        chosen = self.choice.of(scenarios, sample, self.test)
        self.scenarios += len(chosen)
        begin = time.perf_counter()
        with ThreadPoolExecutor(at_once) as pool:
            for future in [pool.submit(self._try, scenario, check) for scenario in chosen]:
                future.result()
        self.seconds += time.perf_counter() - begin
        if self.failures:
            pytest.fail(self._told(len(chosen)), pytrace=False)

    def _try(self, scenario: Scenario, check: Callable[[Scenario], None]) -> None:
        try:
            check(scenario)
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - whatever it is, the others are tried
            where = "" if isinstance(error, AssertionError) else "".join(traceback.format_tb(error.__traceback__)[-2:])
            self.failures.append(f"{scenario}\n{type(error).__name__}: {error}\n{where}")

    def _told(self, tried: int) -> str:
        more = len(self.failures) - _SHOWN_FAILURES
        listed = "\n\n".join(self.failures[:_SHOWN_FAILURES]) + (f"\n\n... and {more} more" if more > 0 else "")
        again = f"pytest '{self.test}' --full --scenario 'PART OF ITS NAME'"
        return f"{self.title}: {len(self.failures)} of {tried} failed (seed {self.choice.seed})\n{again}\n\n{listed}"

    def as_json(self) -> dict[str, Any]:
        """For the report of the test."""
        return {
            "title": self.title,
            "scenarios": self.scenarios,
            "failures": self.failures,
            "seconds": round(self.seconds, 3),
        }


class Table:
    """All rows of a run of the suite, over all of its processes."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}

    def add(self, part: dict[str, Any]) -> None:
        """Add what one test has done to its row."""
        row = self.rows.setdefault(part["title"], {"scenarios": 0, "failures": [], "seconds": 0.0})
        row["scenarios"] += part["scenarios"]
        row["failures"] += part["failures"]
        row["seconds"] += part["seconds"]

    def lines(self) -> list[str]:
        """A line per row."""
        return [
            f"{row['row']}: {row['scenarios']} scenarios, {row['passed']} passed, {row['seconds']} s"
            for row in self.as_json()
        ]

    def as_page(self, page: str) -> str:
        """A page in which these rows stand between its marks.

        :param page: Markdown.
        """
        before, _, rest = page.partition(MARKS[0])
        lines = [f"| {row['row']} | {row['scenarios']:,} | {row['passed']:,} |" for row in self.as_json()]
        table = "\n".join(["| row | scenarios | passed |", "|---|---:|---:|", *lines])
        return f"{before}{MARKS[0]}\n\n{table}\n\n{MARKS[1]}{rest.partition(MARKS[1])[2]}"

    def as_json(self) -> list[dict[str, Any]]:
        """For programs."""
        return [
            {
                "row": title,
                "scenarios": row["scenarios"],
                "passed": row["scenarios"] - len(row["failures"]),
                "seconds": round(row["seconds"], 1),
                "failures": row["failures"],
            }
            for title, row in sorted(self.rows.items(), key=lambda item: _place(item[0]))
        ]


def _place(title: str) -> int:
    return _ORDER.index(title) if title in _ORDER else len(_ORDER)
