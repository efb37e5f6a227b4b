"""Processes that the machine kills at one of their requests, and the run after each."""

from __future__ import annotations

import signal

from tests.resilience.clouds import succeeded
from tests.resilience.processes import AT_ONCE, at, moments, start
from tests.resilience.rows import Row
from tests.resilience.worlds import Moment, Worlds

ROW = "real SIGKILL of the process, then again"


def test_what_a_killed_process_left_is_finished_by_the_next_run(worlds: Worlds, row: Row) -> None:
    def check(moment: Moment) -> None:
        with worlds.fresh("empty") as cloud, start(cloud) as process:

            def kill() -> None:
                process.kill()
                process.wait()

            cloud.world.faults.add(at(moment, kill))
            process.communicate()
            assert process.returncode == -signal.SIGKILL
            cloud.world.faults.check()
            cloud.world.faults.clear()
            succeeded(cloud.deploy())
            worlds.check("empty", cloud)

    row.each(moments(worlds), check, sample=2, at_once=AT_ONCE)
