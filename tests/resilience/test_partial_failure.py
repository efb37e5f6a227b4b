"""Deployments of which a part fails, or that take longer than they may: what is told, and what stands all the same."""

from __future__ import annotations

import re
import threading

import grpc

from emulator import faults
from emulator.errors import ApiError
from emulator.known_failures import FAILURES
from octue_action.cancellation import Cancellation
from octue_action.clock import Clock
from tests.resilience.clouds import log, succeeded
from tests.resilience.rows import Row
from tests.resilience.worlds import Worlds

ROW = "partial failure"

FAILING = {
    "google.pubsub.v1.Publisher/CreateTopic": ("Pub/Sub topic", ["Eventarc trigger", "Trigger's subscription"]),
    "google.cloud.eventarc.v1.Eventarc/CreateTrigger": ("Eventarc trigger", ["Trigger's subscription"]),
    "google.cloud.run.v2.Services/CreateService": (
        "Cloud Run service",
        ["IAM member run.invoker", "Eventarc trigger", "Trigger's subscription"],
    ),
    "google.devtools.cloudbuild.v1.CloudBuild/RunBuildTrigger": (
        "Container image",
        ["Cloud Run service", "IAM member run.invoker", "Eventarc trigger", "Trigger's subscription"],
    ),
    "google.iam.admin.v1.IAM/CreateServiceAccount": (
        "Service account",
        [
            "Cloud Run service",
            "IAM member octue_service_user",
            "IAM member run.invoker",
            "Eventarc trigger",
            "Trigger's subscription",
        ],
    ),
}
"""The call that is refused: whose failure it is, and what is skipped for it. All else is made."""

KNOWN_BEFORE = {"topic_name", "service_id", "service_account"}


def test_a_failure_skips_what_depends_on_it_and_all_else_is_made_and_told(worlds: Worlds, row: Row) -> None:
    def check(method: str) -> None:
        failed, skipped = FAILING[method]
        with worlds.fresh("empty") as cloud:
            cloud.world.faults.add(faults.denied(method, times=None))
            run = cloud.deploy()

            lines = log(run).splitlines()
            assert run.code == 1
            assert "the deployment failed" in run.summary
            assert [line for line in lines if line.startswith(f"! {failed}")]
            told = [line for line in lines if line.startswith("- ") and "skipped, because it needs" in line]
            assert len(told) == len(skipped), told
            assert all(any(line.startswith(f"- {label}") for line in told) for label in skipped), told
            made = [line for line in lines if re.match(r"[+~] .* (created|changed) in ", line)]
            assert len(made) == ALL - 1 - len(skipped), made
            assert all(run.outputs[name] for name in KNOWN_BEFORE)
            assert bool(run.outputs["image"]) == (failed != "Container image")
            assert run.outputs["changed"] == "true"
            assert bool(run.outputs["service_url"]) == ("Cloud Run service" not in {failed, *skipped})
            cloud.world.faults.check()
            cloud.world.faults.clear()
            succeeded(cloud.deploy())
            worlds.check("empty", cloud)

    row.each(list(FAILING), check, sample=2)


ALL = 10
"""Resources of a deployment."""

TAKEN_LATE = {
    "google.pubsub.v1.Subscriber/GetSubscription": 0,
    "google.cloud.run.v2.Services/GetIamPolicy": 0,
}
"""Readings of what was made a moment ago, and how many of them are before that."""


def test_what_was_made_a_moment_ago_and_does_not_show_is_waited_for(worlds: Worlds, row: Row) -> None:
    def check(method: str) -> None:
        with worlds.fresh("empty") as cloud:
            absent = ApiError(grpc.StatusCode.NOT_FOUND, "It was not found.")
            cloud.world.faults.add(faults.Fault(method=method, error=absent, skip=TAKEN_LATE[method], seconds=20.0))
            succeeded(cloud.deploy())
            cloud.world.faults.check()
            worlds.check("empty", cloud)

    row.each(list(TAKEN_LATE), check, sample=1)


def test_a_change_that_does_not_become_ready_counts_as_a_change(worlds: Worlds, row: Row) -> None:
    def check(world: str) -> None:
        with worlds.fresh(world) as cloud:
            cloud.world.faults.add(*FAILURES["run-port"].faults(times=None))
            run = cloud.deploy({"memory": "1Gi"})
            assert run.code == 1
            assert run.outputs["changed"] == "true"
            assert re.search(r"What served before goes on serving: my-org-sum-00001-\w{3}\.", run.errors[0])

    row.each(["complete"], check, sample=1)


class Hurried(Clock):
    """A clock that goes by waiting, in which the cloud does not get any further."""

    def __init__(self) -> None:
        self._waited = 0.0

    def now(self) -> float:
        return super().now() + self._waited

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self._waited += seconds
        return event.is_set()


def test_a_run_that_takes_too_long_tells_what_is_done_and_the_next_one_finishes_it(worlds: Worlds, row: Row) -> None:
    def check(operation: str) -> None:
        with worlds.fresh("empty", leaps=False, seconds={operation: 600.0}) as cloud:
            run = cloud.deploy({"timeout_minutes": "5"}, cancellation=Cancellation(Hurried()))

            assert run.code == 1
            assert "took longer than the 5 minutes it may take" in run.summary
            assert "still being created in Google Cloud" in run.summary
            assert "not begun" in run.summary
            assert [annotation.title for annotation in run.log.of_kind("error")] == ["Took too long"]
            assert "raise `timeout_minutes`" in run.errors[0]
            assert run.outputs["topic_name"]
            cloud.world.clock.advance(600.0)
            succeeded(cloud.deploy())
            assert cloud.deploy().writes == []

    row.each(["artifact_registry create", "cloud_build build"], check, sample=1)
