from __future__ import annotations

import datetime

import grpc
import pytest
import requests
from google.cloud import iam_credentials_v1
from google.iam.v1 import policy_pb2

from emulator.errors import ApiError
from emulator.rpc import Call
from emulator.server import Emulator
from emulator.world import World

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
STRANGER = Call("x", "user:stranger@example.com", frozenset({"user:stranger@example.com"}))


def trusted(world: World) -> Call:
    member = next(iter(world.policies.members(account(world), "roles/iam.workloadIdentityUser")))
    return Call("x", "principal://x", frozenset({"principal://x", member}))


def account(world: World) -> str:
    return f"projects/my-project/serviceAccounts/{world.iam.deployer}"


def access_token_request(world: World, seconds: int = 3600) -> iam_credentials_v1.GenerateAccessTokenRequest:
    return iam_credentials_v1.GenerateAccessTokenRequest(
        name=account(world).replace("my-project/", "-/", 1), scope=SCOPES, lifetime=datetime.timedelta(seconds=seconds)
    )


def test_who_is_bound_to_the_account_gets_its_access_token(world: World) -> None:
    answer = world.iam_credentials.generate_access_token(access_token_request(world, 60), trusted(world))

    assert world.tokens.identify(answer.access_token).principal == f"serviceAccount:{world.iam.deployer}"
    world.clock.advance(61)
    with pytest.raises(ApiError, match="UNAUTHENTICATED"):
        world.tokens.identify(answer.access_token)


def test_who_is_not_bound_is_denied(world: World) -> None:
    with pytest.raises(ApiError) as refusal:
        world.iam_credentials.generate_access_token(access_token_request(world), STRANGER)

    assert refusal.value.code == grpc.StatusCode.PERMISSION_DENIED
    assert refusal.value.message == (
        "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist)."
    )


def test_a_token_creator_is_allowed_too(world: World) -> None:
    binding = policy_pb2.Binding(role="roles/iam.serviceAccountTokenCreator", members=[STRANGER.principal])
    world.policies.set(account(world), policy_pb2.Policy(bindings=[binding]))

    world.iam_credentials.generate_access_token(access_token_request(world), STRANGER)


def test_a_lifetime_over_an_hour_is_refused(world: World) -> None:
    with pytest.raises(ApiError, match=r"The access token lifetime cannot exceed 3600 seconds\."):
        world.iam_credentials.generate_access_token(access_token_request(world, 3601), trusted(world))


def test_an_account_that_does_not_exist_is_not_found(world: World) -> None:
    request = iam_credentials_v1.GenerateAccessTokenRequest(
        name="projects/-/serviceAccounts/nobody@my-project.iam.gserviceaccount.com", scope=SCOPES
    )

    with pytest.raises(ApiError, match="Gaia id not found for email nobody@") as refusal:
        world.iam_credentials.generate_access_token(request, trusted(world))

    assert refusal.value.code == grpc.StatusCode.NOT_FOUND


def test_an_id_token_is_for_the_audience_asked_for(world: World) -> None:
    request = iam_credentials_v1.GenerateIdTokenRequest(name=account(world), audience="https://sum.run.app")

    token = world.iam_credentials.generate_id_token(request, trusted(world)).token

    assert world.tokens.check_id_token(token, "https://sum.run.app") == world.iam.deployer
    with pytest.raises(ApiError, match="getOpenIdToken"):
        world.iam_credentials.generate_id_token(request, STRANGER)


def test_over_http_the_time_of_expiry_is_told(emulator: Emulator) -> None:
    world = emulator.world
    call = trusted(world)
    response = requests.post(
        f"{world.base_url}/iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/"
        f"{world.iam.deployer}:generateAccessToken",
        json={"scope": SCOPES, "lifetime": "600s", "delegates": None},
        headers={"Authorization": f"Bearer {world.tokens.issue_access_token(call.principal, call.members)}"},
        timeout=5,
    )

    assert response.status_code == 200, response.text
    expiry = datetime.datetime.fromisoformat(response.json()["expireTime"])
    assert 590 < (expiry - world.clock.now()).total_seconds() <= 600
