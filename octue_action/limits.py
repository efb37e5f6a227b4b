"""Which sizes of an instance Cloud Run allows together: memory, CPUs, concurrency, execution environment, instances."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain

from octue_action.problems import Given, Problem
from octue_action.values import ExecutionEnvironment, memory_bytes

GEN2_MEMORY = "512Mi"
"""The least memory of the second-generation execution environment."""

# cloud.google.com/run/docs/configuring/services/cpu, "vCPU and memory table": CPUs from which on, least, most.
_MEMORY_OF_CPUS = (
    (Decimal("0.08"), "128Mi", "512Mi"),
    (Decimal("0.5"), "128Mi", "1Gi"),
    (Decimal(1), "128Mi", "4Gi"),
    (Decimal(2), "128Mi", "8Gi"),
    (Decimal(4), "2Gi", "16Gi"),
    (Decimal(6), "4Gi", "24Gi"),
    (Decimal(8), "4Gi", "32Gi"),
)


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large a service's instances are, and how many there may be.

    :param execution_environment: as it was written; ``None`` where it was not
    :param given: where each of these was written; a setting that is not here has its default
    """

    memory: str
    cpu: str
    concurrency: int
    min_instances: int
    max_instances: int
    execution_environment: ExecutionEnvironment | None
    given: Mapping[str, Given]


def suits_gen2(memory: str, cpu: str) -> bool:
    """Whether the second-generation execution environment, Octue's default, can run an instance of this size."""
    return is_enough_for_gen2(memory) and Decimal(cpu) >= 1


def is_enough_for_gen2(memory: str) -> bool:
    """Whether the second-generation execution environment can run an instance of this memory."""
    return memory_bytes(memory) >= memory_bytes(GEN2_MEMORY)


def default_concurrency(cpu: str) -> int:
    """Octue's default, or the only one that Cloud Run allows with less than one CPU."""
    return 10 if Decimal(cpu) >= 1 else 1


def problems(size: Size) -> list[Problem]:
    """What Cloud Run would refuse about settings that are fine each by itself."""
    return list(chain(_memory(size), _fraction(size), _environment(size), _instances(size)))


def _memory(size: Size) -> Iterator[Problem]:
    least, most = next((it[1], it[2]) for it in reversed(_MEMORY_OF_CPUS) if Decimal(size.cpu) >= it[0])
    if not memory_bytes(least) <= memory_bytes(size.memory) <= memory_bytes(most):
        yield _conflict(size, "memory", "cpu", f"from {least} to {most} of memory with {size.cpu} CPU")


def _fraction(size: Size) -> Iterator[Problem]:
    if Decimal(size.cpu) >= 1:
        return
    if size.concurrency > 1:
        yield _conflict(size, "concurrency", "cpu", "a concurrency of 1 with less than 1 CPU")
    if size.execution_environment == "gen2":
        yield _conflict(size, "execution_environment", "cpu", "gen1, or at least 1 CPU")


def _environment(size: Size) -> Iterator[Problem]:
    if size.execution_environment == "gen2" and not is_enough_for_gen2(size.memory):
        expected = f"gen1 (or no `execution_environment`), or at least {GEN2_MEMORY} of memory"
        yield _conflict(size, "execution_environment", "memory", expected)


def _instances(size: Size) -> Iterator[Problem]:
    if size.min_instances > size.max_instances:
        yield _conflict(size, "min_instances", "max_instances", "no more instances at least than at most")


def _conflict(size: Size, one: str, other: str, expected: str) -> Problem:
    """A problem that names two settings, at the one that somebody wrote: the defaults go with each other."""
    if one not in size.given:
        one, other = other, one
    return size.given[one].problem(f"{_value(size, one)} does not go with {_value(size, other)}.", expected)


def _value(size: Size, setting: str) -> str:
    given = size.given.get(setting)
    place = f"({given.place})" if given else "(the default)"
    return f"{setting} {getattr(size, setting)} {place}"
