"""Whole runs with several services of one octue.yaml: what each mode does with them, and what people read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.cloud import run_v2
from google.protobuf.field_mask_pb2 import FieldMask

from emulator import faults
from emulator.rpc import SYSTEM
from tests.octue_action.services import NAMES, octue_yaml
from tests.runs import REPOSITORY, Job, Run, job_of_small_service

WRITES = {"deployments": "write", "pull-requests": "write", "issues": "write"}
SERVICES = [f"my-org-{name}" for name in NAMES]


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    """A workflow of a repository with three services."""
    with job_of_small_service(tmp_path, hollow=True) as job:
        job.commit({"octue.yaml": octue_yaml(NAMES)})
        yield job


@pytest.fixture
def deployed(job: Job) -> Job:
    """The same, its services being deployed."""
    assert run(job).code == 0
    return job


def run(job: Job, mode: str = "deploy", **inputs: str) -> Run:
    token = job.world.github.job_token(permissions=WRITES)
    return job.deploy({"mode": mode, "github_token": token, **inputs}, event_name="workflow_dispatch")


def services(run: Run) -> dict[str, dict[str, str]]:
    told: dict[str, dict[str, str]] = json.loads(run.outputs["services"])
    return told


def states(job: Job, environment: str) -> list[str]:
    shown = job.look()["github"][REPOSITORY]["deployments"]
    return [it["statuses"][-1]["state"] for it in shown if it["environment"] == f"{environment} (my-project)"]


def test_of_three_services_one_fails_and_the_next_run_makes_what_failed(job: Job) -> None:
    job.world.faults.add(faults.denied("google.cloud.run.v2.Services/CreateService"))

    failed = run(job)

    assert failed.code == 1
    changed = {name: values["changed"] for name, values in services(failed).items()}
    assert list(changed) == SERVICES
    assert sum(bool(values["service_url"]) for values in services(failed).values()) == 2
    assert failed.summary.startswith("<h2>❌ 1 of 3 services: the deployment failed</h2>\n\n1 failed, 2 created.")
    assert len(failed.errors) == 1
    assert sorted(state for name in SERVICES for state in states(job, name)) == ["failure", "success", "success"]

    again = run(job)

    assert again.code == 0, again.stdout
    assert "3 services deployed</h2>\n\n1 created, 2 unchanged." in again.summary
    assert sorted(values["changed"] for values in services(again).values()) == ["false", "false", "true"]


def test_what_stays_is_counted_and_not_listed(deployed: Job) -> None:
    unchanged = run(deployed)

    assert unchanged.code == 0
    assert all(method.startswith("github.rest.") for method in unchanged.writes)
    assert unchanged.outputs["changed"] == "false"
    assert "3 services: there was nothing to do</h2>\n\n3 unchanged." in unchanged.summary
    assert "= 24 of 24 resources stay\n" in unchanged.log.text
    assert "Service account" not in unchanged.log.text


def test_where_a_service_has_nothing_to_go_back_to_none_is_rolled_back(deployed: Job) -> None:
    refused = run(deployed, "rollback")

    assert refused.code == 1
    assert refused.writes == []
    (error,) = refused.errors
    assert "has no revision before the present one that is ready" in error


def test_several_services_are_rolled_back_together(job: Job) -> None:
    first = services(run(job))
    job.commit({"more.txt": "1"})
    assert run(job).code == 0

    back = run(job, "rollback", services="wind, my-org/water")

    assert back.code == 0, back.stdout
    assert list(services(back)) == ["my-org-wind", "my-org-water"]
    for name, values in services(back).items():
        assert {key: values[key] for key in ("image", "revision")} == {
            key: first[name][key] for key in ("image", "revision")
        }
    assert "2 services rolled back</h2>\n\n2 rolled back." in back.summary
    drift = run(job, "drift")
    assert drift.code == 1
    assert "2 of 3 services: drift" in drift.summary
    assert drift.summary.count("is rolled back, or somebody has moved its traffic") == 2


def test_a_preview_of_several_services_is_made_and_destroyed_together(deployed: Job) -> None:
    job = deployed
    made = run(job, preview="pr-7", services="wind,sun")
    assert made.code == 0, made.stdout

    gone = run(job, "destroy", preview="pr-7", services="wind,sun", confirm="wind-pr-7, sun-pr-7", delete_topic="true")

    assert gone.code == 0, gone.stdout
    assert "2 services deleted</h2>\n\n2 deleted." in gone.summary
    assert states(job, "my-org-wind-pr-7") == states(job, "my-org-sun-pr-7") == ["inactive"]
    names = [it["name"].rpartition("/")[2] for it in gone.world["services"]["services"]]
    assert sorted(names) == sorted(SERVICES)


def test_what_is_in_the_way_of_several_services_is_one_annotation(deployed: Job) -> None:
    for name in NAMES:
        disown(deployed, f"my-org-{name}")

    refused = run(deployed)

    assert refused.code == 1
    (error,) = refused.errors
    assert error.count("exists already, and this workflow did not make it.") == 3
    assert "3 services: something is in the way" in refused.summary


def test_several_services_are_destroyed_when_all_are_named(deployed: Job) -> None:
    job, confirm = deployed, ", ".join(NAMES)
    assert run(job, "destroy", confirm="wind, sun").code == 2

    gone = run(job, "destroy", confirm=confirm)

    assert gone.code == 0, gone.stdout
    assert gone.world["services"] == {}
    assert "3 services deleted</h2>" in gone.summary
    assert "3 of " not in gone.log.text
    assert all(states(job, name)[-1] == "inactive" for name in SERVICES)


def disown(job: Job, service: str) -> None:
    """Somebody takes the action's labels off a service."""
    found = run_v2.Service(
        job.world.cloud_run.find(f"projects/my-project/locations/europe-west1/services/{service}").service
    )
    found.labels = {"team": "wind"}
    request = run_v2.UpdateServiceRequest(service=found, update_mask=FieldMask(paths=["labels"]))
    operation = job.world.cloud_run.services[0].update_service(request, SYSTEM)
    assert job.world.operations.wait(operation.name, 10).done
