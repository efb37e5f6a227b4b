"""Deployments in which Google Cloud sees only after a while what was made a moment ago."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from emulator.propagation import IAM_READ_FLAP, Propagation
from tests.resilience.clouds import log
from tests.resilience.rows import Row
from tests.resilience.worlds import Worlds

ROW = "delays of visibility"

DELAYS = [0, 1, 10, 60, 180, 300]
"""Seconds by the cloud's clock."""

MOST_SECONDS = 7 * 60.0


def _reads(seconds: float) -> Propagation:
    return Propagation(account_reads=seconds, topics=seconds)


def _policies(seconds: float) -> Propagation:
    return Propagation(account_reads=IAM_READ_FLAP, accounts_in_policies=seconds)


def _users(seconds: float) -> Propagation:
    return Propagation(account_reads=IAM_READ_FLAP, accounts_in_cloud_run=seconds, accounts_in_eventarc=seconds)


def _agent(seconds: float) -> Propagation:
    return Propagation(account_reads=IAM_READ_FLAP, eventarc_agent=seconds)


@pytest.mark.parametrize(
    "delayed",
    [
        pytest.param(_reads, id="new things are read"),
        pytest.param(_policies, id="policies take the new account"),
        pytest.param(_users, id="Cloud Run and Eventarc take the new account"),
        pytest.param(_agent, id="Eventarc is ready"),
    ],
)
def test_what_is_not_seen_yet_is_waited_for(worlds: Worlds, row: Row, delayed: Callable[[float], Propagation]) -> None:
    def check(seconds: int) -> None:
        with worlds.fresh("empty", propagation=delayed(seconds)) as cloud:
            begin = cloud.world.clock.time()
            run = cloud.deploy()
            taken = cloud.world.clock.time() - begin
            assert taken <= MOST_SECONDS, f"it took {taken:.0f} s\n{log(run)}"
            if run.code == 0:
                worlds.check("empty", cloud)
            else:
                assert any("What to do:" in error for error in run.errors), log(run)

    row.each(DELAYS, check, sample=1)
