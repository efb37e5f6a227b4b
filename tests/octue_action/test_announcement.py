"""What GitHub is told of several services: few enough requests, whatever their number."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from octue_action.announcement import MOST_ENVIRONMENTS, Announcement
from octue_action.cancellation import Cancellation
from octue_action.deployment import Deployment, desired
from octue_action.existing import Existing
from octue_action.runner import Runner
from octue_action.settings import load
from tests.octue_action.services import octue_yaml
from tests.runs import REPOSITORY, Job

WRITES = {"deployments": "write", "pull-requests": "write", "issues": "write"}

Begin = Callable[..., tuple[Announcement, list[Deployment]]]


@pytest.fixture
def begin(job: Job) -> Begin:
    """Gives the announcement of a run with so many services, and what is to stand of them."""

    def make(number: int, **inputs: str) -> tuple[Announcement, list[Deployment]]:
        job.commit({"octue.yaml": octue_yaml([f"s{n:03}" for n in range(number)])})
        token = job.world.github.job_token(permissions=WRITES)
        settings = load(job.environment({"github_token": token, **inputs}, event_name="workflow_dispatch"))
        deployments = [desired(settings, service, Existing({}, {})) for service in settings.services]
        return Announcement(settings, Runner({}, io.StringIO()), Cancellation()), deployments

    return make


def deployments_on_github(job: Job) -> list[Mapping[str, Any]]:
    """Those that there are, the oldest first."""
    shown: list[Mapping[str, Any]] = job.look()["github"][REPOSITORY]["deployments"]
    return shown


def creations(job: Job) -> int:
    """How many requests have created something."""
    made = ("CreateDeployment", "CreateDeploymentStatus")
    return sum(request.method.endswith(made) for request in job.world.requests)


def urls_of(deployments: list[Deployment]) -> dict[str, str]:
    return {it.service.service: it.service.console_url for it in deployments}


def states(deployment: Mapping[str, Any]) -> list[str]:
    return [status["state"] for status in deployment["statuses"]]


def test_few_services_have_an_environment_each(job: Job, begin: Begin) -> None:
    announcement, deployments = begin(3)

    announcement.begin(deployments)
    announcement.end({k: v for k, v in urls_of(deployments).items() if k != "my-org-s001"}, "The deployment failed")

    assert [(it["environment"], states(it)) for it in deployments_on_github(job)] == [
        ("my-org-s000 (my-project)", ["in_progress", "success"]),
        ("my-org-s001 (my-project)", ["in_progress", "failure"]),
        ("my-org-s002 (my-project)", ["in_progress", "success"]),
    ]
    assert deployments_on_github(job)[1]["statuses"][-1]["description"] == "The deployment failed"


@pytest.mark.parametrize("number", [MOST_ENVIRONMENTS + 1, 100])
def test_many_services_are_one_deployment_to_one_environment(job: Job, begin: Begin, number: int) -> None:
    announcement, deployments = begin(number)

    announcement.begin(deployments)
    announcement.end(urls_of(deployments), "")

    (shown,) = deployments_on_github(job)
    assert (shown["environment"], states(shown)) == ("octue.yaml (my-project)", ["in_progress", "success"])
    assert shown["description"] == f"{number} services to Cloud Run"
    assert shown["sha"] == job.environment()["GITHUB_SHA"]
    assert shown["statuses"][-1]["environment_url"] == "https://console.cloud.google.com/run?project=my-project"
    assert creations(job) == 3


def test_where_some_of_many_services_failed_the_one_deployment_has_and_says_how_many(job: Job, begin: Begin) -> None:
    announcement, deployments = begin(50)

    announcement.begin(deployments)
    announcement.end(urls_of(deployments[2:]), "The deployment failed")

    (shown,) = deployments_on_github(job)
    assert shown["statuses"][-1]["state"] == "failure"
    assert shown["statuses"][-1]["description"] == "2 of 50 services: The deployment failed"


def test_previews_of_many_services_have_an_environment_that_goes_with_them(job: Job, begin: Begin) -> None:
    announcement, deployments = begin(11, preview="pr-7")

    announcement.begin(deployments)
    announcement.end(urls_of(deployments), "")
    announcement.retire([it.service.service for it in deployments])

    (shown,) = deployments_on_github(job)
    assert shown["environment"] == "octue.yaml pr-7 (my-project)"
    assert shown["transient_environment"]
    assert states(shown) == ["in_progress", "success", "inactive"]


@pytest.mark.parametrize("number", [1, MOST_ENVIRONMENTS, 100])
def test_however_many_services_github_is_never_asked_to_create_more_than_it_allows_in_a_minute(
    job: Job, begin: Begin, number: int
) -> None:
    announcement, deployments = begin(number)
    start = time.monotonic()

    announcement.begin(deployments)
    took = time.monotonic() - start
    announcement.end(urls_of(deployments), "")

    assert creations(job) <= 80 // 2
    assert took < 1, "a deployment does not wait for GitHub"


def test_the_issue_about_drift_in_many_services_has_a_title_that_can_be_read(job: Job, begin: Begin) -> None:
    announcement, deployments = begin(100)

    announcement.show_drift("# Drift\n", deployments, is_there=True)

    (issue,) = job.look()["github"][REPOSITORY]["issues"]
    assert issue["title"] == "Drift: 100 services in my-project"


def test_of_what_github_refuses_to_retire_no_other_is_tried(job: Job, begin: Begin) -> None:
    token = job.world.github.job_token(permissions=WRITES)
    announcement, deployments = begin(3, github_token=token)
    job.world.github.use_up_requests(token)
    before = len(job.world.requests)

    announcement.retire([it.service.service for it in deployments])

    assert sum("github.rest" in request.method for request in list(job.world.requests)[before:]) == 1
