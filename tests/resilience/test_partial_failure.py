"""Deployments of which a part fails, or that take longer than they may: what is told, and what stands all the same."""

from __future__ import annotations

import re

from emulator import faults
from tests.resilience.clouds import Cloud, log, succeeded
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

KNOWN_BEFORE = {"topic_name", "service_id", "service_account", "image"}


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
            assert run.outputs["changed"] == "true"
            assert bool(run.outputs["service_url"]) == ("Cloud Run service" not in {failed, *skipped})
            cloud.world.faults.check()
            cloud.world.faults.clear()
            succeeded(cloud.deploy())
            worlds.check("empty", cloud)

    row.each(list(FAILING), check, sample=2)


ALL = 10
"""Resources of a deployment."""


def test_a_run_that_takes_too_long_tells_what_is_done_and_the_next_one_finishes_it(worlds: Worlds, row: Row) -> None:
    def check(operation: str) -> None:
        with worlds.fresh("empty", seconds={operation: 600.0}) as cloud:
            run = cloud.deploy({"timeout_minutes": "5"})

            assert run.code == 1
            assert "took longer than the 5 minutes it may take" in run.summary
            assert "still being created in Google Cloud" in run.summary
            assert "not begun" in run.summary
            assert [annotation.title for annotation in run.log.of_kind("error")] == ["Took too long"]
            assert "raise `timeout_minutes`" in run.errors[0]
            assert run.outputs["topic_name"]
            finish(cloud)
            worlds.check("empty", cloud)

    row.each(["artifact_registry create", "cloud_build build", "cloud_run create"], check, sample=1)


def finish(cloud: Cloud) -> None:
    """Run again until it is done, as long operations take several runs."""
    cloud.world.clock.sleep(600.0)
    succeeded(cloud.deploy())
