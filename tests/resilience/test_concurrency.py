"""Deployments at the same time: of one service, of several, and beside a person and Terraform.

A seed decides when each run begins and how long each call takes to come through, by the cloud's clock: so it decides
in which order the calls come. What is left to chance is the order of calls that come at the same moment.
"""

from __future__ import annotations

import functools
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from google.iam.v1 import policy_pb2

from emulator.errors import ApiError
from tests.resilience.clouds import SERVICES, Cloud, succeeded
from tests.resilience.processes import Event
from tests.resilience.rows import Row
from tests.resilience.states import PROJECT, differences, duplicates, of_others, state
from tests.resilience.worlds import Worlds, change_policy
from tests.runs import Run

ROW = "concurrent runs"

SPREADS = (1.0, 10.0, 90.0)
"""Within how many seconds all runs begin, and others edit: a deployment takes about as long as the last of them."""

EDITS = 6
"""How often a person, and Terraform, change the project's policy meanwhile."""

PERSONS_ROLE, TERRAFORMS_ROLE = EDITED_ROLES = ("roles/browser", "roles/logging.viewer")

MORE_WRITES = 10
"""How many more writes than alone a run may take, beside one for each of the others."""


@dataclass(frozen=True)
class Schedule:
    """Runs at the same time.

    :param runs: how many.
    :param seed: decides when what happens.
    """

    runs: int
    seed: int

    def __str__(self) -> str:
        return f"{self.runs} runs, seed {self.seed}"


def _schedules(seed: int, counts: Mapping[int, int]) -> list[Schedule]:
    """Schedules with seeds of their own.

    :param counts: number of runs -> of how many schedules.
    """
    return [Schedule(runs, seed * 1000 + number) for runs, count in counts.items() for number in range(count)]


class _Delays:
    """How long what happens in a cloud takes to begin, drawn one after the other.

    :param schedule: whose seed decides.
    """

    def __init__(self, cloud: Cloud, schedule: Schedule) -> None:
        self._clock = cloud.world.clock
        self._random = random.Random(str(schedule))
        self._lock = threading.Lock()
        self._spread = self._random.choice(SPREADS)

    def pause(self, parts: int = 1) -> None:
        """Wait before the next of so many things that happen while all runs begin."""
        with self._lock:
            seconds = self._random.uniform(0.0, self._spread / parts)
        self._clock.sleep(seconds)

    def come_through(self) -> None:
        """Wait as a call does on its way: seldom, and then sometimes for long."""
        with self._lock:
            seconds = self._random.choice((0.0, 0.0, 0.0, 0.0, 0.2, 1.0, 5.0))
        if seconds:
            self._clock.sleep(seconds)


PARTS = pytest.mark.parametrize("part", range(4))
"""Each a quarter of the schedules, so that several processes share them."""


@PARTS
def test_runs_of_one_service_at_the_same_time_make_one_of_each(worlds: Worlds, row: Row, seed: int, part: int) -> None:
    def check(schedule: Schedule) -> None:
        with worlds.fresh("empty") as cloud:
            _run(worlds, cloud, schedule)
            expected = worlds.undisturbed("empty").state
            problems = differences(_lasting(expected), _lasting(state(cloud)))
            _hold(problems + duplicates(cloud, builds=schedule.runs))

    row.each(_schedules(seed, {2: 200, 5: 50, 20: 12})[part::4], check, sample=1, at_once=2)


@PARTS
def test_runs_of_several_services_at_the_same_time_make_one_of_each(
    worlds: Worlds, row: Row, seed: int, part: int
) -> None:
    def check(schedule: Schedule) -> None:
        with worlds.fresh("empty") as cloud:
            _run(worlds, cloud, schedule, several=True)
            found = state(cloud)
            counted = {kind: len(found[kind]) for kind in ("services", "topics", "subscriptions", "event_triggers")}
            assert counted == dict.fromkeys(counted, schedule.runs)
            _hold(duplicates(cloud, services=schedule.runs, builds=schedule.runs))

    row.each(_schedules(seed, {2: 100, 5: 20, 20: 4})[part::4], check, sample=1, at_once=2)


@PARTS
def test_runs_beside_a_person_and_terraform_take_nothing_from_them(
    worlds: Worlds, row: Row, seed: int, part: int
) -> None:
    def check(schedule: Schedule) -> None:
        with worlds.fresh("foreign") as cloud:
            _run(worlds, cloud, schedule, beside=(_person, _terraform))
            now = of_others(cloud)
            policy = now[f"policy of {PROJECT}"]
            edited = {b["role"]: sorted(b["members"]) for b in policy["bindings"] if b["role"] in EDITED_ROLES}
            policy["bindings"] = [b for b in policy["bindings"] if b["role"] not in EDITED_ROLES]
            assert edited == {
                PERSONS_ROLE: [_member("person", number) for number in range(EDITS)],
                TERRAFORMS_ROLE: [_member("terraform", EDITS - 1)],
            }
            problems = differences(cloud.others, {name: now.get(name) for name in cloud.others})
            _hold(problems + duplicates(cloud, builds=schedule.runs))

    row.each(_schedules(seed, {2: 200, 5: 50, 20: 4})[part::4], check, sample=1, at_once=2)


def _run(
    worlds: Worlds,
    cloud: Cloud,
    schedule: Schedule,
    *,
    several: bool = False,
    beside: Sequence[Callable[[Cloud, _Delays], None]] = (),
) -> None:
    """Let a schedule take place, to its end.

    :param several: whether each run deploys a service of its own.
    :param beside: what others do meanwhile.
    """
    delays = _Delays(cloud, schedule)
    before = len(cloud.world.requests)
    cloud.world.faults.add(Event(method="*", times=None, happens=delays.come_through, late_seconds=1e-6))

    def deploy(number: int) -> Run:
        delays.pause()
        return cloud.deploy({"config": SERVICES[number]} if several else {}, job=cloud.new_job())

    with ThreadPoolExecutor(schedule.runs + len(beside)) as pool:
        others = [pool.submit(act, cloud, delays) for act in beside]
        for run in pool.map(deploy, range(schedule.runs)):
            succeeded(run)
        for other in others:
            other.result()
    writes = [request for request in list(cloud.world.requests)[before:] if request.writes]
    alone = sum(request.writes for request in worlds.undisturbed("empty").run.requests)
    assert len(writes) <= schedule.runs * (alone + MORE_WRITES + schedule.runs), f"{len(writes)} writes"
    cloud.settle()


def _person(cloud: Cloud, delays: _Delays) -> None:
    """Adds members, one after the other."""
    for number in range(EDITS):
        delays.pause(EDITS)
        _edit(cloud, functools.partial(_add, number))


def _add(number: int, policy: policy_pb2.Policy) -> None:
    policy.bindings.add(role=PERSONS_ROLE, members=[_member("person", number)])


def _terraform(cloud: Cloud, delays: _Delays) -> None:
    """Writes its own binding anew, as ``google_project_iam_binding`` does."""
    for number in range(EDITS):
        delays.pause(EDITS)
        _edit(cloud, functools.partial(_rewrite, number))


def _rewrite(number: int, policy: policy_pb2.Policy) -> None:
    kept = [binding for binding in policy.bindings if binding.role != TERRAFORMS_ROLE]
    del policy.bindings[:]
    policy.bindings.extend(kept)
    policy.bindings.add(role=TERRAFORMS_ROLE, members=[_member("terraform", number)])


def _edit(cloud: Cloud, change: Callable[[policy_pb2.Policy], None]) -> None:
    """Change the project's policy, again where somebody else has just done so."""
    while True:
        try:
            change_policy(cloud, PROJECT, change)
            return
        except ApiError as error:
            if error.name != "ABORTED":
                raise


def _member(who: str, number: int) -> str:
    return f"user:{who}-{number}@example.com"


def _lasting(found: Mapping[str, Any]) -> dict[str, Any]:
    """Without builds: nobody can ask Cloud Build to build a commit only once."""
    return {kind: things for kind, things in found.items() if kind != "builds"}


def _hold(problems: Sequence[str]) -> None:
    if problems:
        raise AssertionError("\n".join(problems))
