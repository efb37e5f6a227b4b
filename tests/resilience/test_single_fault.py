"""Deployments in which one call goes wrong, once."""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

import pytest

from emulator import faults
from emulator.faults import Fault
from tests.resilience.clouds import log, succeeded
from tests.resilience.rows import Row
from tests.resilience.worlds import Moment, Worlds
from tests.runs import Run

ROW = "single fault"

CALL_SECONDS = 0.5
"""By the machine's time, by which gRPC's deadlines go."""

PASSING: list[Callable[..., Fault]] = [
    faults.unavailable,
    faults.internal,
    faults.unknown,
    faults.bad_gateway,
    faults.gateway_timeout,
    faults.connection_reset,
    faults.rate_limited,
    faults.quota_403,
    faults.token_expired,
    faults.conflict,
]

PERMANENT = {
    faults.denied: "PERMISSION_DENIED",
    faults.disabled: "has not been used in project",
    faults.count_limited: "RESOURCE_EXHAUSTED",
}
"""What does not pass by itself, and what the error then says."""

SIGN_IN = ("/GetIdToken", "/ExchangeToken", "/GenerateAccessToken")


@pytest.mark.parametrize("kind", PASSING, ids=lambda kind: kind.__name__)
def test_what_passes_by_itself_is_overcome(worlds: Worlds, row: Row, kind: Callable[..., Fault]) -> None:
    def check(moment: Moment) -> None:
        with worlds.fresh("empty") as cloud:
            cloud.world.faults.add(kind(moment.method, skip=moment.occurrence - 1))
            run = cloud.deploy()
            cloud.world.faults.check()
            if run.code != 0 and _may_be_told(kind, moment):
                _names(run, "")
                run = cloud.deploy()
            succeeded(run)
            worlds.check("empty", cloud)

    row.each(worlds.undisturbed("empty").moments, check, sample=1, at_once=2)


@pytest.mark.parametrize("kind", PERMANENT, ids=lambda kind: kind.__name__)
def test_what_does_not_pass_is_named_and_the_next_run_goes_on(
    worlds: Worlds, row: Row, kind: Callable[..., Fault]
) -> None:
    def check(moment: Moment) -> None:
        with worlds.fresh("empty") as cloud:
            cloud.world.faults.add(kind(moment.method, skip=moment.occurrence - 1))
            run = cloud.deploy()
            cloud.world.faults.check()
            if run.code != 0:
                _names(run, "" if moment.method.endswith(SIGN_IN) else PERMANENT[kind])
                succeeded(cloud.deploy())
            worlds.check("empty", cloud)

    row.each(worlds.undisturbed("empty").moments, check, sample=1, at_once=2)


def test_an_answer_that_is_late_is_asked_for_again(worlds: Worlds, row: Row) -> None:
    def check(moment: Moment) -> None:
        late = faults.late(moment.method, late_seconds=2 * CALL_SECONDS, skip=moment.occurrence - 1)
        with (
            worlds.fresh("empty") as cloud,
            mock.patch("octue_action.google.CALL_SECONDS", CALL_SECONDS),
            mock.patch("octue_action.auth.TOKEN_SECONDS", CALL_SECONDS),
        ):
            cloud.world.faults.add(late)
            run = cloud.deploy()
            cloud.world.faults.check()
            succeeded(run)
            worlds.check("empty", cloud)

    row.each(worlds.undisturbed("empty").moments, check, sample=1)


def _may_be_told(kind: Callable[..., Fault], moment: Moment) -> bool:
    """Whether a run may end with an error though the fault passes: nothing was done yet.

    STS and GitHub refuse nobody so for a moment only, and nothing that is read is in conflict with anything.
    """
    return moment.method.endswith(SIGN_IN) or (kind is faults.conflict and not moment.writes)


def _names(run: Run, words: str) -> None:
    assert run.code == 1, log(run)
    assert len(run.errors) == 1, log(run)
    assert words in run.errors[0]
    assert "What to do:" in run.errors[0]
