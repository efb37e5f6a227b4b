"""Deployments that die at one request, and the next one after each."""

from __future__ import annotations

import pytest

from emulator.errors import ApiError, permission_denied
from emulator.faults import DEAD, Fault
from emulator.faults import Moment as When
from octue_action.cancellation import Cancellation
from tests.resilience.clouds import Cloud, succeeded
from tests.resilience.rows import Row
from tests.resilience.worlds import WORLDS, Moment, Worlds

ROW = "crash, then run again"


@pytest.mark.parametrize("when", When, ids=lambda when: when.value)
@pytest.mark.parametrize("world", WORLDS)
def test_what_a_run_left_that_died_is_finished_by_the_next(worlds: Worlds, row: Row, world: str, when: When) -> None:
    def check(moment: Moment) -> None:
        with worlds.fresh(world) as cloud:
            die(cloud, moment, when)
            succeeded(cloud.deploy())
            worlds.check(world, cloud)

    row.each(worlds.undisturbed(world).moments, check, sample=2, at_once=2)


def die(cloud: Cloud, moment: Moment, when: When) -> None:
    """Deploy, and be dead from one moment on: the cloud hears no more of the run, which ends at once."""
    cancellation = cloud.cancellation()
    cloud.world.faults.add(_death(moment, when, cancellation))
    cloud.deploy(cancellation=cancellation)
    cloud.world.faults.check()
    cloud.world.faults.clear()


def _death(moment: Moment, when: When, cancellation: Cancellation) -> Fault:
    def refuse(method: str, project_number: str) -> ApiError:  # noqa: ARG001 - as every maker of errors
        cancellation.ask()
        return permission_denied(DEAD)

    def answer(right: object) -> object:
        cancellation.ask()
        return right

    is_answered = when is When.ANSWERED
    return Fault(
        method=moment.method,
        skip=moment.occurrence - 1,
        moment=when,
        error=None if is_answered else refuse,
        change=answer if is_answered else None,
        kills=True,
    )
