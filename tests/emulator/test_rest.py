from __future__ import annotations

import json
from typing import Any

import pytest

from emulator import rest
from emulator.dispatch import Dispatcher
from emulator.errors import ApiError
from emulator.world import World

PROJECT = "projects/my-project"
ACCOUNT = f"{PROJECT}/serviceAccounts/deployer@my-project.iam.gserviceaccount.com"
REGISTRY = "artifactregistry.googleapis.com"
LOCATION = f"/v1/{PROJECT}/locations/europe-west1"


class Client:
    def __init__(self, world: World) -> None:
        self.rest = rest.build(Dispatcher(world))
        self.authorization = f"Bearer {world.tokens.issue_access_token('user:owner@example.com')}"

    def __call__(self, method: str, host: str, path: str, body: Any = None, query: str = "") -> dict[str, Any]:
        content = json.dumps(body).encode() if body is not None else b""
        return self.rest.answer(method, host, path, query, self.authorization, content)


@pytest.fixture
def client(world: World) -> Client:
    return Client(world)


def test_every_api_of_a_deployment_has_routes(client: Client) -> None:
    names = {route.rpc for routes in client.rest.routes.values() for route in routes}

    for name in (
        "google.cloud.run.v2.Services/CreateService",
        "google.cloud.eventarc.v1.Eventarc/CreateTrigger",
        "google.devtools.cloudbuild.v1.CloudBuild/RunBuildTrigger",
        "google.devtools.artifactregistry.v1.ArtifactRegistry/CreateRepository",
        "google.cloud.resourcemanager.v3.Projects/SetIamPolicy",
        "google.iam.admin.v1.IAM/CreateServiceAccount",
        "google.logging.v2.LoggingServiceV2/ListLogEntries",
        "google.iam.credentials.v1.IAMCredentials/GenerateAccessToken",
        "google.pubsub.v1.Publisher/CreateTopic",
    ):
        assert name in names


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("run.googleapis.com", f"/v2/{PROJECT}/locations/europe-west1/operations/none"),
        ("eventarc.googleapis.com", f"/v1/{PROJECT}/locations/europe-west1/operations/none"),
        (REGISTRY, f"{LOCATION}/operations/none"),
        ("cloudbuild.googleapis.com", "/v1/operations/build/my-project/none"),
        ("cloudbuild.googleapis.com", f"/v1/{PROJECT}/locations/europe-west1/operations/none"),
    ],
)
def test_operations_are_asked_for_at_the_api_that_began_them(client: Client, host: str, path: str) -> None:
    with pytest.raises(ApiError, match=r"NOT_FOUND: Operation .*none was not found\."):
        client("GET", host, path)


def test_one_path_may_belong_to_several_apis(client: Client) -> None:
    path = f"/v1/{PROJECT}/locations/europe-west1/triggers"

    found = {
        route.rpc
        for host in ("cloudbuild.googleapis.com", "eventarc.googleapis.com")
        for route in client.rest.routes[host]
        if route.path.fullmatch(path) and route.http_method == "GET"
    }

    assert found == {
        "google.devtools.cloudbuild.v1.CloudBuild/ListBuildTriggers",
        "google.cloud.eventarc.v1.Eventarc/ListTriggers",
    }


def test_a_verb_is_no_part_of_the_name_before_it(client: Client) -> None:
    policy = client("POST", "iam.googleapis.com", f"/v1/{ACCOUNT}:getIamPolicy")

    assert policy["bindings"][0]["role"] == "roles/iam.workloadIdentityUser"


def test_path_query_and_body_make_the_request(client: Client) -> None:
    body = {"format": "DOCKER", "labels": {"a": "b"}}
    operation = client("POST", REGISTRY, f"{LOCATION}/repositories", body, "repositoryId=sum")
    while not operation.get("done"):
        operation = client("GET", REGISTRY, f"/v1/{operation['name']}")

    assert operation["response"]["labels"] == {"a": "b"}
    assert client("GET", REGISTRY, f"{LOCATION}/repositories/sum")["format"] == "DOCKER"
    as_numbers = client("GET", REGISTRY, f"{LOCATION}/repositories/sum", query="%24alt=json%3Benum-encoding%3Dint")
    assert as_numbers["format"] == 1
    changed = client("PATCH", REGISTRY, f"{LOCATION}/repositories/sum", {"description": "x"}, "updateMask=description")
    assert changed["description"] == "x"


def test_a_nested_query_parameter_reaches_its_field(client: Client) -> None:
    resource = f"/v1/{ACCOUNT}:getIamPolicy"

    assert client("POST", "iam.googleapis.com", resource, query="options.requestedPolicyVersion=3")["version"] == 1


@pytest.mark.parametrize("mask", ["description,display_name", "description,displayName"])
def test_a_field_mask_may_be_written_either_way(client: Client, mask: str) -> None:
    body = {"serviceAccount": {"description": "x", "displayName": "y"}, "updateMask": mask}

    assert client("PATCH", "iam.googleapis.com", f"/v1/{ACCOUNT}", body)["displayName"] == "y"


def test_a_percent_encoded_name_is_decoded(client: Client) -> None:
    assert client("GET", "iam.googleapis.com", f"/v1/{ACCOUNT.replace('@', '%40')}")["name"] == ACCOUNT


@pytest.mark.parametrize(
    ("body", "query"),
    [({"accountid": 1}, ""), ({"accountId": {"a": 1}}, ""), ([1], ""), (None, "no_such_field=1")],
)
def test_a_request_that_is_not_of_its_type_is_an_invalid_argument(client: Client, body: Any, query: str) -> None:
    with pytest.raises(ApiError, match="INVALID_ARGUMENT: Invalid JSON payload"):
        client("POST", "iam.googleapis.com", f"/v1/{PROJECT}/serviceAccounts", body, query)


def test_a_method_that_nothing_implements_is_unimplemented(client: Client) -> None:
    with pytest.raises(ApiError, match=r"UNIMPLEMENTED: The emulator does not implement google\.devtools"):
        client("GET", REGISTRY, f"{LOCATION}/repositories/sum/files/x")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_path_that_nothing_has_is_not_found(client: Client, method: str) -> None:
    with pytest.raises(ApiError, match=r"NOT_FOUND: The requested URL /v1/nothing"):
        client(method, REGISTRY, "/v1/nothing")
