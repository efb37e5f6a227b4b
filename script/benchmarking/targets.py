"""What must be reached, and whether it is."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from script.benchmarking.figures import Measured, Row, Sample

MB = 1_000_000


@dataclass(frozen=True)
class Target:
    """A figure and what it must not exceed.

    :param what: the figure in words; ``{many}`` is the greatest number of services measured, in words.
    :param figure: gives it.
    :param most: its limit.
    :param is_count: whether it is counted, and so the same on any machine; else a margin may be given.
    :param unit: what stands after the numbers.
    """

    what: str
    figure: Callable[[Measured], float]
    most: float
    is_count: bool = False
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
    def is_broken(self) -> bool:
        """Whether the figure was measured and is beyond the limit and its margin."""
        return self.figure is not None and self.figure > self.allowed


ONE = 1


def _most(measured: Measured, of: Callable[[Sample], float], services: int, *what: str) -> float:
    """The most that any run had."""
    return max(
        of(sample)
        for row, samples in measured.samples.items()
        if row.services == services and (row.what in what or not what)
        for sample in samples
    )


def _many(measured: Measured) -> int:
    """The greatest number of services, more than one."""
    return max(number for number in measured.numbers if number > ONE)


def _times_one(measured: Measured) -> float:
    many, one = (measured.seconds(Row(True, number, "fresh")).median for number in (_many(measured), ONE))
    return many / one


TARGETS = (
    Target("fresh, no latency: times the bare import", lambda m: m.over_import(Row(False, ONE, "fresh")), 1.5),
    Target("no-op, no latency: times the bare import", lambda m: m.over_import(Row(False, ONE, "no-op")), 1.3),
    Target("fresh, latencies: times the critical path", lambda m: m.over_critical_path(Row(True, ONE, "fresh")), 1.08),
    Target(
        "no-op, latencies: round trips of time, from the first call that signs in to the last answer",
        lambda m: m.round_trips(Row(True, ONE, "no-op")),
        6,
    ),
    Target("fresh, latencies: {many}, times one service", _times_one, 2.5),
    Target(
        "fresh, {many}: writes of the project's policy",
        lambda m: _most(m, lambda sample: sample.policy_writes, _many(m), "fresh"),
        1,
        is_count=True,
    ),
    Target(
        "any run: conflicts of our own making",
        lambda m: max(_most(m, lambda sample: sample.conflicts, number) for number in m.numbers),
        0,
        is_count=True,
    ),
    Target("any run of one service: peak memory", lambda m: _most(m, lambda s: s.memory / MB, ONE), 120, unit="MB"),
    Target("any run of {many}: peak memory", lambda m: _most(m, lambda s: s.memory / MB, _many(m)), 200, unit="MB"),
    Target("fresh: requests", lambda m: _most(m, lambda s: s.requests, ONE, "fresh"), 45, is_count=True),
    Target("no-op: requests", lambda m: _most(m, lambda s: s.requests, ONE, "no-op"), 20, is_count=True),
    Target(
        "no-op: writes",
        lambda m: max(_most(m, lambda sample: sample.writes, number, "no-op") for number in m.numbers),
        0,
        is_count=True,
    ),
    Target(
        "no-op, latencies: calls one after the other, signing in included",
        lambda m: statistics.median(sample.depth for sample in m.samples[Row(True, ONE, "no-op")]),
        6,
    ),
)


def verdicts(measured: Measured, margin: float = 1.0, targets: Iterable[Target] = TARGETS) -> list[Verdict]:
    """What became of each target.

    :param margin: by which limits of what is not counted are multiplied.
    """
    return [_verdict(target, measured, margin) for target in targets]


def _verdict(target: Target, measured: Measured, margin: float) -> Verdict:
    many = f"{_many(measured)} services" if max(measured.numbers, default=0) > ONE else "many services"
    try:
        figure: float | None = target.figure(measured)
    except (KeyError, ValueError):  # a row that was not measured
        figure = None
    allowed = target.most if target.is_count else target.most * margin
    return Verdict(target, target.what.format(many=many), figure, allowed)
