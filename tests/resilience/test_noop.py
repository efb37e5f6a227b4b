"""Deployments of what is deployed already."""

from __future__ import annotations

from tests.resilience.clouds import succeeded
from tests.resilience.rows import Row
from tests.resilience.worlds import Worlds

ROW = "no-op"
RUNS = 100


def test_a_run_in_a_complete_world_writes_nothing(worlds: Worlds, row: Row) -> None:
    with worlds.fresh("complete") as cloud:

        def check(number: int) -> None:
            run = cloud.deploy()
            succeeded(run)
            assert run.writes == [], f"run {number} wrote"
            assert run.outputs["changed"] == "false"

        row.each(range(1, RUNS + 1), check, sample=10)
        worlds.check("complete", cloud)
