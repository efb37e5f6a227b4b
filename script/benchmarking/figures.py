"""What is measured: one run of a program, and many of them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """What several runs came to, in whatever unit.

    :param runs: how many there were.
    """

    least: float
    median: float
    most: float
    runs: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of these, of which there is one at least."""
        return cls(min(values), statistics.median(values), max(values), len(values))


@dataclass(frozen=True, order=True)
class Row:
    """What is run.

    :param latencies: whether calls take the time that was recorded of the real cloud, and operations a tenth of theirs.
    :param services: how many there are in octue.yaml.
    :param what: ``fresh``, ``no-op``, ``unpruned``, ``update``, ``plan`` or ``container``.
    """

    latencies: bool
    services: int
    what: str


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run of the action.

    :param seconds: from before the process was started until it was gone.
    :param cpu_seconds: of the process, on all cores.
    :param emulator_cpu_seconds: of the emulator in that time, which has the same cores; 0 where nobody tells.
    :param memory: most bytes that the process had at a time; 0 where nobody tells.
    :param requests: how many it made, those that sign in among them.
    :param writes: how many of them can change something.
    :param policy_writes: how many wrote the project's policy.
    :param builds: how many builds began.
    :param conflicts: how many were refused for what the run itself did: ABORTED, ALREADY_EXISTS, RESOURCE_EXHAUSTED.
    :param depth: how many calls the longest chain has, each of which began after the one before had ended.
    :param span: seconds from the beginning of the first call to the answer of the last.
    :param round_trip: seconds that a call took for which the last answer had to wait, in the mean: of those that were
        made together it is the slowest.
    :param sign_in: seconds of the critical path, as the next two: ``paths.critical_path``.
    """

    seconds: float
    cpu_seconds: float
    emulator_cpu_seconds: float
    memory: int
    requests: int
    writes: int
    policy_writes: int
    builds: int
    conflicts: int
    depth: int
    span: float
    round_trip: float
    sign_in: float
    reading: float
    writing: float

    @property
    def critical_path(self) -> float:
        """Seconds that no program could do without, whatever it costs itself."""
        return self.sign_in + self.reading + self.writing


@dataclass(frozen=True, kw_only=True)
class Measured:
    """All that was measured.

    :param where: on what, as a sentence.
    :param samples: of each row.
    :param interpreter: seconds of the bare interpreter, in each round.
    :param bare_import: seconds of the interpreter that imports ``google.cloud.run_v2`` and ends, in each round.
    :param notes: what else there is to say, a sentence each.
    :param container: seconds of the action's base image that runs ``python -c pass``, in each round; empty where there
        is no engine.
    :param gcloud: seconds of gcloud's commands for one service, in each round; empty where it was not asked.
    """

    where: str
    samples: dict[Row, list[Sample]]
    interpreter: list[float]
    bare_import: list[float]
    notes: tuple[str, ...] = ()
    container: tuple[float, ...] = ()
    gcloud: tuple[float, ...] = ()

    def seconds(self, row: Row) -> Spread:
        """How long a row takes."""
        return Spread.of([sample.seconds for sample in self.samples[row]])

    def cpu_seconds(self, row: Row) -> float:
        """How long it has the processor in the median."""
        return statistics.median(sample.cpu_seconds for sample in self.samples[row])

    @property
    def numbers(self) -> list[int]:
        """How many services were measured, ascending."""
        return sorted({row.services for row in self.samples})

    def over_import(self, row: Row) -> float:
        """How often the bare import fits into a row."""
        return self.seconds(row).median / statistics.median(self.bare_import)

    def over_critical_path(self, row: Row) -> float:
        """How often its critical path fits into a row; each run has its own."""
        return statistics.median(sample.seconds / sample.critical_path for sample in self.samples[row])

    def whole_round_trips(self, row: Row) -> float:
        """How often a round trip fits into a row's whole process; each run has its own."""
        return statistics.median(sample.seconds / sample.round_trip for sample in self.samples[row])

    def round_trips(self, row: Row) -> float:
        """How often a round trip fits between a row's first call and its last answer; each run has its own."""
        return statistics.median(sample.span / sample.round_trip for sample in self.samples[row])
