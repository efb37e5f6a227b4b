from __future__ import annotations

from typing import Any

import pytest
from google.cloud import artifactregistry_v1, eventarc_v1, iam_admin_v1, run_v2
from google.cloud.devtools import cloudbuild_v1
from google.iam.v1 import iam_policy_pb2
from google.pubsub_v1.types import pubsub

from emulator.requests import IN_PROGRESS, Request, Requests, about

LOCATION = "projects/p/locations/europe-west1"


def test_a_call_is_there_as_soon_as_it_comes_in() -> None:
    requests = Requests()
    requests.begin("google.pubsub.v1.Publisher/CreateTopic", "anonymous")

    assert list(requests) == [Request(1, "google.pubsub.v1.Publisher/CreateTopic", "anonymous", True, IN_PROGRESS)]


def test_a_call_gets_its_status_whatever_came_in_between() -> None:
    requests = Requests()
    first = requests.begin("a/GetX", "anonymous")
    requests.begin("a/GetY", "anonymous")
    requests.end(first, "NOT_FOUND")

    assert [(request.method, request.status) for request in requests] == [
        ("a/GetX", "NOT_FOUND"),
        ("a/GetY", IN_PROGRESS),
    ]
    assert len(requests) == 2


def test_a_call_whose_answer_is_lost_tells_how_it_ended_for_either_side() -> None:
    requests = Requests()
    number = requests.begin("a/CreateX", "anonymous")
    requests.lose(number, "OK")
    requests.end(number, "UNAVAILABLE")

    assert [(request.status, request.lost) for request in requests] == [("UNAVAILABLE", "OK")]


@pytest.mark.parametrize(
    ("method", "writes"),
    [
        ("GetService", False),
        ("ListTopics", False),
        ("TestIamPermissions", False),
        ("WaitOperation", False),
        ("ExchangeToken", False),
        ("GenerateAccessToken", False),
        ("CreateService", True),
        ("SetIamPolicy", True),
        ("RunBuildTrigger", True),
        ("Publish", True),
    ],
)
def test_methods_that_change_something_are_told_from_those_that_do_not(method: str, writes: bool) -> None:
    requests = Requests()
    requests.begin(f"google.some.v1.Api/{method}", "anonymous")

    assert [request.writes for request in requests] == [writes]


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (run_v2.GetServiceRequest(name=f"{LOCATION}/services/a"), f"{LOCATION}/services/a"),
        (run_v2.CreateServiceRequest(parent=LOCATION, service_id="a"), f"{LOCATION}/services/a"),
        (run_v2.UpdateServiceRequest(service={"name": f"{LOCATION}/services/a"}), f"{LOCATION}/services/a"),
        (eventarc_v1.CreateTriggerRequest(parent=LOCATION, trigger_id="a"), f"{LOCATION}/triggers/a"),
        (
            cloudbuild_v1.CreateBuildTriggerRequest(parent=LOCATION, trigger={"name": "a"}),
            f"{LOCATION}/triggers/a",
        ),
        (cloudbuild_v1.UpdateBuildTriggerRequest(trigger={"resource_name": "t"}), "t"),
        (cloudbuild_v1.RunBuildTriggerRequest(name=f"{LOCATION}/triggers/a"), f"{LOCATION}/triggers/a"),
        (
            artifactregistry_v1.CreateRepositoryRequest(parent=LOCATION, repository_id="a"),
            f"{LOCATION}/repositories/a",
        ),
        (iam_admin_v1.CreateServiceAccountRequest(name="projects/p", account_id="a"), "projects/p/serviceAccounts/a"),
        (iam_policy_pb2.SetIamPolicyRequest(resource="projects/p"), "projects/p"),
        (pubsub.Topic(name="projects/p/topics/a"), "projects/p/topics/a"),
        (pubsub.GetTopicRequest(topic="projects/p/topics/a"), "projects/p/topics/a"),
        (pubsub.UpdateSubscriptionRequest(subscription={"name": "s"}), "s"),
        (eventarc_v1.ListTriggersRequest(parent=LOCATION), LOCATION),
        (None, ""),
    ],
)
def test_a_call_is_about_what_its_request_names(request_: Any, name: str) -> None:
    assert about(request_) == name


def test_what_is_told_of_a_call_is_there_beside_its_times() -> None:
    requests = Requests()
    number = requests.begin("a/CreateX", "anonymous")
    requests.tell(number, about="x", operation="operations/1", latency=0.5)
    (open_call,) = requests
    requests.end(number, "OK")
    (call,) = requests

    assert (call.about, call.operation, call.latency) == ("x", "operations/1", 0.5)
    assert open_call.ended == 0
    assert call.ended >= call.began > 0
