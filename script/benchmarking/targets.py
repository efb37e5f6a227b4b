"""What must be reached, and whether it is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from script.benchmarking.figures import Measured, Row, Sample

MB = 1_000_000

STEADY = 1.0
"""The widest margin of what is the same however busy a machine is: what is counted, memory, and ratios of CPU."""


@dataclass(frozen=True)
class Target:
    """A figure and what it must not exceed.

    :param what: the figure in words; ``{many}`` is the greatest number of services measured, in words.
    :param figure: gives it.
    :param most: its limit.
    :param widest: the widest margin that may be given it: so wide that no busy machine breaks the limit, and no wider.
    :param unit: what stands after the numbers.
    """

    what: str
    figure: Callable[[Measured], float]
    most: float
    widest: float = math.inf
    unit: str = ""


@dataclass(frozen=True)
class Verdict:
    """What became of a target.

    :param what: the figure in words.
    :param figure: what was measured; None where it was not.
    :param allowed: the limit with its margin.
    """

    target: Target
    what: str
    figure: float | None
    allowed: float

    @property
    def is_reached(self) -> bool:
        """Whether the figure was measured and keeps to the limit, without any margin."""
        return self.figure is not None and self.figure <= self.target.most

    @property
    def complaint(self) -> str:
        """What a check says against it: that nobody measured it, or that it is beyond the limit and its margin."""
        if self.figure is None:
            return f"{self.what}: not measured, and a check needs all of them"
        return f"{self.what}: {self.figure:g}, and {self.allowed:g} at most" if self.figure > self.allowed else ""


ONE = 1


def _most(measured: Measured, of: Callable[[Sample], float], services: int, *what: str) -> float:
    """The most that any run had, or any of some rows; nobody runs the action with nothing pruned."""
    return max(
        of(sample)
        for row, samples in measured.samples.items()
        if row.services == services and (row.what in what if what else row.what != "unpruned")
        for sample in samples
    )


def _many(measured: Measured) -> int:
    """The greatest number of services, more than one."""
    return max(number for number in measured.numbers if number > ONE)


def _times_unpruned(measured: Measured) -> float:
    pruned, unpruned = (measured.cpu_seconds(Row(False, ONE, what)) for what in ("no-op", "unpruned"))
    return pruned / unpruned


def _times_one(measured: Measured) -> float:
    many, one = (measured.seconds(Row(True, number, "fresh")).median for number in (_many(measured), ONE))
    return many / one


TARGETS = (
    Target(
        "fresh, no latency: times the bare import",
        lambda m: m.over_import(Row(False, ONE, "fresh")),
        1.5,
        widest=1.5,
    ),
    Target(
        "no-op, no latency: times the bare import",
        lambda m: m.over_import(Row(False, ONE, "no-op")),
        1.3,
        widest=1.5,
    ),
    # 1 / 1.15. On a busy machine both take longer, and hardly more of the processor.
    Target("no-op, no latency: own CPU, times that with nothing pruned", _times_unpruned, 0.87, widest=STEADY),
    Target(
        "fresh, latencies: times the critical path",
        lambda m: m.over_critical_path(Row(True, ONE, "fresh")),
        1.08,
        widest=1.25,
    ),
    Target(
        "no-op, latencies: round trips of time, from the first call that signs in to the last answer",
        lambda m: m.round_trips(Row(True, ONE, "no-op")),
        6,
        widest=1.5,
    ),
    Target("fresh, latencies: {many}, times one service", _times_one, 2.5, widest=1.2),
    Target(
        "fresh, {many}: writes of the project's policy",
        lambda m: _most(m, lambda sample: sample.policy_writes, _many(m), "fresh"),
        1,
        widest=STEADY,
    ),
    Target(
        "any run: conflicts of our own making",
        lambda m: max(_most(m, lambda sample: sample.conflicts, number) for number in m.numbers),
        0,
        widest=STEADY,
    ),
    Target(
        "any run of one service: peak memory",
        lambda m: _most(m, lambda sample: sample.memory / MB, ONE),
        120,
        widest=STEADY,
        unit="MB",
    ),
    Target(
        "any run of {many}: peak memory",
        lambda m: _most(m, lambda sample: sample.memory / MB, _many(m)),
        200,
        widest=STEADY,
        unit="MB",
    ),
    Target("fresh: requests", lambda m: _most(m, lambda s: s.requests, ONE, "fresh"), 45, widest=STEADY),
    Target("no-op: requests", lambda m: _most(m, lambda s: s.requests, ONE, "no-op"), 20, widest=STEADY),
    Target(
        "no-op: writes",
        lambda m: max(_most(m, lambda sample: sample.writes, number, "no-op") for number in m.numbers),
        0,
        widest=STEADY,
    ),
    Target(
        "no-op, latencies: calls one after the other, signing in included",
        lambda m: statistics.median(sample.depth for sample in m.samples[Row(True, ONE, "no-op")]),
        6,
        widest=STEADY,
    ),
)


def verdicts(measured: Measured, margin: float = 1.0, targets: Iterable[Target] = TARGETS) -> list[Verdict]:
    """What became of each target.

    :param margin: by which limits are multiplied; where that is more than a target may have, its widest one is.
    """
    return [_verdict(target, measured, margin) for target in targets]


def _verdict(target: Target, measured: Measured, margin: float) -> Verdict:
    many = f"{_many(measured)} services" if max(measured.numbers, default=0) > ONE else "many services"
    try:
        figure: float | None = target.figure(measured)
    except (KeyError, ValueError):  # a row that was not measured
        figure = None
    return Verdict(target, target.what.format(many=many), figure, target.most * min(margin, target.widest))
