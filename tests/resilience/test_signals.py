"""Processes that are told to end at one of their requests, as GitHub's runner does where a workflow is cancelled."""

from __future__ import annotations

import signal
import time

import pytest

from tests.resilience.clouds import succeeded
from tests.resilience.processes import AT_ONCE, at, moments, start
from tests.resilience.rows import Row
from tests.resilience.worlds import Moment, Worlds

ROW = "signals"

SECONDS_TO_STOP = 5.0
ANSWER_SECONDS = 0.2
"""How long the answer takes during which the signal comes."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_run_that_is_told_to_end_does_so_and_the_next_goes_on(
    worlds: Worlds, row: Row, number: signal.Signals
) -> None:
    def check(moment: Moment) -> None:
        with worlds.fresh("empty") as cloud, start(cloud) as process:
            told: list[float] = []

            def tell() -> None:
                told.append(time.monotonic())
                process.send_signal(number)

            cloud.world.faults.add(at(moment, tell, ANSWER_SECONDS))
            stdout, stderr = process.communicate()
            seconds = time.monotonic() - told[0]
            run = cloud.job.read(process.returncode, stdout, stderr, 0)
            cloud.world.faults.check()
            cloud.world.faults.clear()
            assert seconds <= SECONDS_TO_STOP
            assert run.stderr == ""
            is_last = moment == moments(worlds)[-1]
            if run.code == 0 and is_last:  # all was done already
                assert "deployed" in run.summary
            else:
                assert run.code == 128 + number
                assert "cancelled" in run.summary
            succeeded(cloud.deploy())
            worlds.check("empty", cloud)

    row.each(moments(worlds), check, sample=2, at_once=AT_ONCE)
