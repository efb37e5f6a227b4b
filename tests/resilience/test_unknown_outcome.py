"""Deployments in which the answer to a write is lost, whether it was done or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from emulator import faults
from emulator.faults import Fault
from emulator.faults import Moment as When
from tests.resilience.clouds import succeeded
from tests.resilience.rows import Row
from tests.resilience.worlds import Moment, Worlds

ROW = "write with unknown outcome"

KINDS: list[Callable[..., Fault]] = [
    faults.unavailable,
    faults.internal,
    faults.bad_gateway,
    faults.gateway_timeout,
    faults.connection_reset,
]


@dataclass(frozen=True)
class Loss:
    """A write whose answer is lost.

    :param moment: which write.
    :param kind: makes the fault.
    """

    moment: Moment
    kind: Callable[..., Fault]

    def __str__(self) -> str:
        return f"{self.kind.__name__} at {self.moment}"


@pytest.mark.parametrize("world", ["empty", "shared", "moved"])
@pytest.mark.parametrize("when", [When.BEFORE, When.AFTER], ids=["not done", "done"])
def test_a_write_whose_answer_is_lost_is_done_once(worlds: Worlds, row: Row, when: When, world: str) -> None:
    """Builds too: the state has all of them, and all revisions."""

    def check(loss: Loss) -> None:
        with worlds.fresh(world) as cloud:
            cloud.world.faults.add(loss.kind(loss.moment.method, moment=when, skip=loss.moment.occurrence - 1))
            succeeded(cloud.deploy())
            cloud.world.faults.check()
            worlds.check(world, cloud)

    writes = [moment for moment in worlds.undisturbed(world).moments if moment.writes]
    row.each([Loss(moment, kind) for kind in KINDS for moment in writes], check, sample=3, at_once=2)
