"""A deployment through all modes: what is planned is done, what is made is gone afterwards, from whatever state."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.cloud import artifactregistry_v1, eventarc_v1, iam_admin_v1, run_v2
from google.cloud.devtools import cloudbuild_v1
from google.pubsub_v1.types import pubsub

from emulator.errors import permission_denied
from emulator.faults import Fault
from emulator.faults import Moment as When
from emulator.rpc import Methods
from octue_action.deployment import ORDER
from tests.resilience.clouds import Cloud, log, succeeded
from tests.resilience.rows import Row
from tests.resilience.states import ACCOUNT, LOCATION, PROJECT, SERVICE, SERVICE_NAME, differences, of_others, state
from tests.resilience.test_crash import die
from tests.resilience.worlds import DRIFTS, PERSON, WORLDS, Moment, Worlds, finish, moments_of, other_things
from tests.runs import Run

ROW = "all modes"

TITLES = {kind.kind: kind.title for kind in ORDER}
SIGNS = {"create": "+", "update": "~", "replace": "±", "delete": "-"}
DESTROY = {"mode": "destroy", "confirm": SERVICE, "delete_topic": "true"}
PREVIEW = {"preview": "pr-7"}
DESTROY_PREVIEW = {**DESTROY, **PREVIEW, "confirm": f"{SERVICE}-pr-7"}
HISTORY = {"builds"}
"""What nothing takes back."""


def things(cloud: Cloud) -> dict[str, Any]:
    """All that there is, but for what nothing takes back, and policies that say nothing."""
    found = {kind: items for kind, items in state(cloud).items() if kind not in HISTORY}
    found["policies"] = [policy for policy in found["policies"] if policy.get("bindings")]
    return found


def changes(run: Run) -> dict[str, str]:
    """What a plan does to what; what stays is left out."""
    return {c["address"]: c["action"] for c in json.loads(run.outputs["plan"])["changes"] if c["action"] != "no-op"}


def done(run: Run) -> set[str]:
    """The lines of the log that say what was done."""
    lines = (line for line in run.log.text.splitlines() if line[:2] in {"+ ", "~ ", "± ", "- "})
    return {line.rpartition(" in ")[0] for line in lines} - {""}


@pytest.fixture
def nothing(worlds: Worlds) -> dict[str, Any]:
    """What there is in a project before anything is deployed."""
    with worlds.fresh("empty") as cloud:
        return things(cloud)


# Plan


@pytest.mark.parametrize("world", WORLDS)
def test_a_plan_needs_no_permission_to_write_and_writes_nothing(worlds: Worlds, world: str) -> None:
    with worlds.fresh(world) as cloud:
        before = state(cloud)
        forbid_writes(cloud)
        for mode in ("plan", "drift"):
            run = cloud.deploy({"mode": mode})
            assert run.writes == []
            assert run.errors == [] or mode == "drift"
        cloud.world.faults.clear()
        assert differences(before, state(cloud)) == []


def forbid_writes(cloud: Cloud) -> None:
    """Refuse the deployer every call that could change something."""
    reads = ("Get", "List", "TestIamPermissions", "Exchange", "Generate", "Wait")
    refusal = permission_denied("The caller does not have permission")
    names = [method.name for method in Methods(cloud.world.services)]
    assert len(names) > 50
    for name in names:
        if not name.rpartition("/")[2].startswith(reads):
            cloud.world.faults.add(Fault(method=name, error=refusal, times=None))


def gone(delete: Callable[[Cloud], object]) -> Callable[[Cloud], None]:
    def do(cloud: Cloud) -> None:
        answer = delete(cloud)
        if hasattr(answer, "done"):
            finish(cloud, answer)

    return do


DELETIONS: dict[str, Callable[[Cloud], None]] = {
    "account": gone(
        lambda cloud: cloud.world.iam.delete_service_account(
            iam_admin_v1.DeleteServiceAccountRequest(name=f"{PROJECT}/serviceAccounts/{ACCOUNT}"), PERSON
        )
    ),
    "image repository": gone(
        lambda cloud: cloud.world.artifact_registry.delete_repository(
            artifactregistry_v1.DeleteRepositoryRequest(name=f"{LOCATION}/repositories/{SERVICE}"), PERSON
        )
    ),
    "build trigger": gone(
        lambda cloud: cloud.world.cloud_build.delete_build_trigger(
            cloudbuild_v1.DeleteBuildTriggerRequest(name=f"{LOCATION}/triggers/{SERVICE}"), PERSON
        )
    ),
    "topic": gone(
        lambda cloud: cloud.world.pubsub.publisher.delete_topic(
            pubsub.DeleteTopicRequest(topic=next(t for t in cloud.world.pubsub.topics if "octue.services" in t)), PERSON
        )
    ),
    "service": gone(
        lambda cloud: cloud.world.cloud_run.services[0].delete_service(
            run_v2.DeleteServiceRequest(name=SERVICE_NAME), PERSON
        )
    ),
    "carriers": gone(
        lambda cloud: cloud.world.eventarc.delete_trigger(
            eventarc_v1.DeleteTriggerRequest(name=f"{LOCATION}/triggers/{SERVICE}"), PERSON
        )
    ),
}
"""What a person deletes by hand."""


def mishaps(seed: int) -> Iterator[tuple[str, ...]]:
    """Some things changed, and others deleted, by hand: at random, and no end of it."""
    chance = random.Random(seed)
    while True:
        deleted = chance.sample(sorted(DELETIONS), chance.randint(0, 3))
        changed = [thing for thing in DRIFTS if thing not in deleted and chance.random() < 0.4]
        if "service" in deleted:
            changed = [thing for thing in changed if thing != "invoker"]
        yield tuple([f"change {thing}" for thing in changed] + [f"delete {thing}" for thing in deleted])


def befall(cloud: Cloud, mishap: tuple[str, ...]) -> None:
    for each in mishap:
        verb, _, thing = each.partition(" ")
        (DRIFTS if verb == "change" else DELETIONS)[thing](cloud)


def test_what_a_plan_says_a_deployment_then_does(worlds: Worlds, row: Row, seed: int) -> None:
    def check(mishap: tuple[str, ...]) -> None:
        with worlds.fresh("complete") as cloud:
            cloud.inputs["adopt"] = "true"
            other_things(cloud)
            befall(cloud, mishap)
            cloud.settle()
            planned, looked = cloud.deploy({"mode": "plan"}), cloud.deploy({"mode": "drift"})
            succeeded(planned)
            assert looked.code == (1 if changes(planned) else 0), log(looked)

            made = cloud.deploy()

            succeeded(made)
            assert made.outputs["plan"] == planned.outputs["plan"]
            assert done(made) == {line(c) for c in json.loads(planned.outputs["plan"])["changes"]} - {""}
            assert cloud.deploy({"mode": "drift"}).code == 0

    row.each(list(itertools.islice(mishaps(seed), 200)), check, sample=10)


def line(change: dict[str, Any]) -> str:
    """How the log says that a change is made."""
    verbs = {"create": "created", "update": "changed", "replace": "replaced"}
    action = change["action"]
    label = f"{TITLES[change['kind']]} {change['name']}"
    return f"{SIGNS[action]} {label} {verbs[action]}" if action in verbs else ""


# Destroy


@pytest.mark.parametrize("world", ["empty", "foreign"])
def test_after_creating_and_destroying_the_project_is_as_it_was_before(worlds: Worlds, world: str) -> None:
    with worlds.fresh(world) as cloud:
        before = things(cloud)
        succeeded(cloud.deploy())

        succeeded(cloud.deploy(DESTROY))

        cloud.settle()
        assert differences(before, things(cloud)) == []


def test_the_topic_stays_unless_that_is_said_and_the_next_deployment_finds_it(
    worlds: Worlds, nothing: dict[str, Any]
) -> None:
    with worlds.fresh("complete") as cloud:
        destroyed = cloud.deploy({**DESTROY, "delete_topic": "false"})
        succeeded(destroyed)
        assert [kind for kind, items in things(cloud).items() if items != nothing[kind]] == ["topics"]
        assert "left alone: its askers know it" in destroyed.log.text
        again = cloud.deploy()
        succeeded(again)
        assert again.outputs["topic_name"] == destroyed.outputs["topic_name"]


def test_destroying_twice_does_nothing_the_second_time(worlds: Worlds) -> None:
    with worlds.fresh("complete") as cloud:
        first, second = cloud.deploy(DESTROY), cloud.deploy(DESTROY)
        succeeded(first)
        succeeded(second)
        assert second.writes == []
        assert (first.outputs["changed"], second.outputs["changed"]) == ("true", "false")
        assert "is gone already" in second.summary


@pytest.mark.parametrize("world", ["drifted", "shared", "foreign"])
def test_nothing_of_anybody_elses_is_destroyed(worlds: Worlds, world: str) -> None:
    with worlds.fresh(world) as cloud:
        succeeded(cloud.deploy())
        others = {name: item for name, item in of_others(cloud).items() if _stands_alone(name)}

        succeeded(cloud.deploy({**DESTROY, "delete_topic": "false"}))

        now = of_others(cloud)
        assert differences(others, {name: now.get(name) for name in others}) == []


def _stands_alone(name: str) -> bool:
    """Whether it is a thing of others, and not what others have put on one of ours, which goes with it."""
    return SERVICE_NAME not in name and not name.startswith("on our")


@pytest.mark.parametrize("when", When, ids=lambda when: when.value)
def test_a_destruction_that_died_is_finished_by_the_next(
    worlds: Worlds, row: Row, nothing: dict[str, Any], when: When
) -> None:
    def check(moment: Moment) -> None:
        with worlds.fresh("complete") as cloud:
            cloud.inputs |= DESTROY
            die(cloud, moment, when)
            succeeded(cloud.deploy())
            cloud.settle()
            assert differences(nothing, things(cloud)) == []

    with worlds.fresh("complete") as cloud:
        moments = moments_of(cloud.deploy(DESTROY))
    row.each(moments, check, sample=4, at_once=2)


@pytest.mark.parametrize("mishap", DELETIONS)
def test_what_is_left_of_a_deployment_is_destroyed(worlds: Worlds, nothing: dict[str, Any], mishap: str) -> None:
    with worlds.fresh("complete") as cloud:
        DELETIONS[mishap](cloud)
        cloud.settle()
        succeeded(cloud.deploy(DESTROY))
        cloud.settle()
        # Google Cloud itself forgets the members that are deleted accounts, after a while.
        left = differences(nothing, things(cloud))
        assert [line for line in left if f"deleted:serviceAccount:{ACCOUNT}" not in line] == []


# Previews


def test_a_preview_stands_beside_the_service_and_goes_without_a_trace(worlds: Worlds) -> None:
    with worlds.fresh("complete") as cloud:
        before = things(cloud)

        made = cloud.deploy(PREVIEW)

        succeeded(made)
        assert made.outputs["topic_name"] != cloud.deploy().outputs["topic_name"]
        assert len(things(cloud)["services"]) == 2
        assert cloud.deploy({**PREVIEW, "mode": "drift"}).code == 0
        succeeded(cloud.deploy(DESTROY_PREVIEW))
        cloud.settle()
        assert differences(before, things(cloud)) == []


def test_a_preview_that_comes_first_and_goes_leaves_nothing(worlds: Worlds, nothing: dict[str, Any]) -> None:
    with worlds.fresh("empty") as cloud:
        succeeded(cloud.deploy(PREVIEW))
        succeeded(cloud.deploy(DESTROY_PREVIEW))
        cloud.settle()
        assert differences(nothing, things(cloud)) == []


def test_what_a_preview_has_made_first_the_service_takes_for_its_own(worlds: Worlds) -> None:
    with worlds.fresh("empty") as cloud:
        succeeded(cloud.deploy(PREVIEW))

        made = cloud.deploy()

        succeeded(made)
        assert len(made.world["builds"]["builds"]) == 1
        assert "adopt" not in made.log.text


def test_a_service_that_goes_leaves_its_previews_what_they_share_and_the_last_of_them_takes_it(
    worlds: Worlds, nothing: dict[str, Any]
) -> None:
    with worlds.fresh("complete") as cloud:
        preview = cloud.deploy(PREVIEW)
        succeeded(preview)

        gone = cloud.deploy(DESTROY)

        succeeded(gone)
        assert f"left alone: {SERVICE}-pr-7 uses it, too" in gone.log.text
        again = cloud.deploy(PREVIEW)
        succeeded(again)
        assert again.writes == []
        succeeded(cloud.deploy(DESTROY_PREVIEW))
        cloud.settle()
        assert differences(nothing, things(cloud)) == []
