"""Deployments in which the answer to a write is lost, whether it was done or not."""

from __future__ import annotations

from collections.abc import Callable

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


@pytest.mark.parametrize("world", ["empty", "shared"])
@pytest.mark.parametrize("when", [When.BEFORE, When.AFTER], ids=["not done", "done"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_write_whose_answer_is_lost_is_done_once(
    worlds: Worlds, row: Row, kind: Callable[..., Fault], when: When, world: str
) -> None:
    """Builds too: the state has all of them, and all revisions."""

    def check(moment: Moment) -> None:
        with worlds.fresh(world) as cloud:
            cloud.world.faults.add(kind(moment.method, moment=when, skip=moment.occurrence - 1))
            succeeded(cloud.deploy())
            cloud.world.faults.check()
            worlds.check(world, cloud)

    row.each([moment for moment in worlds.undisturbed(world).moments if moment.writes], check, sample=1, at_once=2)
