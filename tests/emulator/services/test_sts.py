from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import grpc
import jwt
import pytest
import requests
from google.auth import identity_pool
from google.auth.transport.requests import Request
from google.cloud import iam_admin_v1
from google.cloud.iam_admin_v1.services.iam.transports import IAMGrpcTransport

from emulator.server import Emulator
from emulator.services.sts import TokenError
from emulator.tokens import SigningKey
from emulator.world import World
from tests.emulator.calls import caller

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt"


def form(world: World, token: str, **changes: str) -> dict[str, str]:
    return {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": f"//iam.googleapis.com/{world.sts.provider.name}",
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "subject_token": token,
        "subject_token_type": JWT_TYPE,
        "scope": SCOPE,
        **changes,
    }


def github_token(world: World, audience: str | None = None, **run: Any) -> str:
    variables = world.github.start_run(**run)
    audience = audience or f"https://iam.googleapis.com/{world.sts.provider.name}"
    return world.github.id_token(variables["ACTIONS_ID_TOKEN_REQUEST_TOKEN"], audience)


def changed(world: World, claims: dict[str, Any], key: SigningKey | None = None) -> str:
    """A token of GitHub with other claims, signed by GitHub or by somebody else."""
    before = jwt.decode(github_token(world), options={"verify_signature": False})
    return (key or world.github.key).sign(before | claims)


def test_githubs_token_becomes_a_federated_one(world: World) -> None:
    answer = world.sts.exchange(form(world, github_token(world)))

    identity = world.tokens.identify(answer["access_token"])
    pool = f"iam.googleapis.com/{world.sts.provider.pool}"
    assert identity.principal == f"principal://{pool}/subject/repo:my-org/my-repository:ref:refs/heads/main"
    assert f"principalSet://{pool}/attribute.repository/my-org/my-repository" in identity.members
    assert f"principalSet://{pool}/*" in identity.members
    assert answer["token_type"] == "Bearer"
    assert answer["issued_token_type"] == "urn:ietf:params:oauth:token-type:access_token"


def test_the_federated_token_lasts_no_longer_than_githubs(world: World) -> None:
    answer = world.sts.exchange(form(world, github_token(world)))

    assert 295 <= answer["expires_in"] <= 300


@pytest.mark.parametrize(
    ("run", "why"),
    [
        ({"repository": "my-org/other"}, "another repository"),
        ({"repository": "other/my-repository"}, "another owner"),
        ({"ref": "refs/heads/feature"}, "another branch"),
        ({"ref": "refs/pull/1/merge", "event_name": "pull_request"}, "another event"),
    ],
)
def test_the_condition_refuses_other_runs(world: World, run: dict[str, str], why: str) -> None:
    with pytest.raises(TokenError) as refusal:
        world.sts.exchange(form(world, github_token(world, **run)))

    assert refusal.value.error == "unauthorized_client", why
    assert refusal.value.message == "The given credential is rejected by the attribute condition."


def test_without_a_condition_every_run_is_accepted(world: World) -> None:
    world.sts.provider = replace(world.sts.provider, condition="")

    world.sts.exchange(form(world, github_token(world, repository="other/other")))


def test_a_condition_can_ask_for_mapped_attributes(world: World) -> None:
    world.sts.provider = replace(
        world.sts.provider, condition="attribute.actor == 'ann' && google.subject.startsWith('repo:')"
    )

    world.sts.exchange(form(world, github_token(world, actor="ann")))
    with pytest.raises(TokenError, match="unauthorized_client"):
        world.sts.exchange(form(world, github_token(world, actor="bob")))


def test_a_mapped_subject_over_127_bytes_fails(world: World) -> None:
    world.sts.provider = replace(world.sts.provider, condition="")

    with pytest.raises(TokenError, match=r"The size of mapped attribute exceeds the 127 bytes limit\."):
        world.sts.exchange(form(world, github_token(world, ref="refs/heads/" + "x" * 100)))


def test_a_mapping_that_asks_for_a_claim_that_is_not_there_fails(world: World) -> None:
    world.sts.provider = replace(world.sts.provider, mapping={"google.subject": "assertion.environment"})

    with pytest.raises(TokenError, match="invalid_grant"):
        world.sts.exchange(form(world, github_token(world)))


def test_a_token_signed_by_somebody_else_is_refused(world: World) -> None:
    with pytest.raises(TokenError, match=r"invalid_grant: Invalid JWT Signature"):
        world.sts.exchange(form(world, changed(world, {}, SigningKey())))


def test_a_token_of_another_issuer_is_refused(world: World) -> None:
    with pytest.raises(TokenError, match=r"The issuer in ID Token https://ghe.example.com does not match"):
        world.sts.exchange(form(world, changed(world, {"iss": "https://ghe.example.com"})))


def test_a_token_for_another_audience_is_refused(world: World) -> None:
    with pytest.raises(TokenError, match=r"The audience in ID Token \[https://example.com\] does not match"):
        world.sts.exchange(form(world, github_token(world, audience="https://example.com")))


def test_an_expired_token_is_refused(world: World) -> None:
    token = github_token(world)
    world.clock.advance(301)

    with pytest.raises(TokenError, match="stale"):
        world.sts.exchange(form(world, token))


def test_a_token_from_the_future_is_refused(world: World) -> None:
    now = int(world.clock.time())

    with pytest.raises(TokenError, match="not yet valid"):
        world.sts.exchange(form(world, changed(world, {"iat": now + 600, "exp": now + 900})))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"audience": "//iam.googleapis.com/projects/1/locations/global/x"}, "invalid_target"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"subject_token": ""}, "invalid_request"),
        ({"subject_token": "x"}, "invalid_grant"),
        ({"subject_token_type": "urn:ietf:params:aws:token-type:aws4_request"}, "invalid_request"),
    ],
)
def test_a_wrong_request_is_refused(world: World, change: dict[str, str], error: str) -> None:
    with pytest.raises(TokenError) as refusal:
        world.sts.exchange(form(world, github_token(world), **change))

    assert refusal.value.error == error


POOL = "iam.googleapis.com/v1/projects/my-project/locations/global/workloadIdentityPools/github"


@pytest.mark.parametrize("what", [POOL, f"{POOL}/providers/octue"], ids=["pool", "provider"])
@pytest.mark.parametrize("how", ["deleted", "disabled"])
def test_what_is_deleted_or_disabled_lets_nobody_in_until_it_is_taken_back(
    emulator: Emulator, what: str, how: str
) -> None:
    world, call = emulator.world, caller(emulator)
    asked = form(world, github_token(world))
    if how == "deleted":
        call("DELETE", what)
    else:
        call("PATCH", f"{what}?updateMask=disabled", {"disabled": True})

    with pytest.raises(TokenError, match="invalid_target: The target service"):
        world.sts.exchange(asked)

    if how == "deleted":
        call("POST", f"{what}:undelete", {})
    else:
        call("PATCH", f"{what}?updateMask=disabled", {"disabled": False})
    world.sts.exchange(asked)


def test_a_provider_that_is_made_lets_in_whom_its_condition_accepts(emulator: Emulator) -> None:
    world = emulator.world
    provider = {
        "oidc": {"issuerUri": "https://token.actions.githubusercontent.com"},
        "attributeMapping": {"google.subject": "assertion.sub", "attribute.mine": "assertion.repository_owner"},
        "attributeCondition": "assertion.repository_owner == 'other'",
    }
    caller(emulator)("POST", f"{POOL}/providers?workloadIdentityPoolProviderId=other", provider)
    name = "projects/123456789012/locations/global/workloadIdentityPools/github/providers/other"
    audience = {"audience": f"//iam.googleapis.com/{name}"}

    token = github_token(world, f"https://iam.googleapis.com/{name}", repository="other/x")
    identity = world.tokens.identify(world.sts.exchange(form(world, token, **audience))["access_token"])

    assert any(member.endswith("/workloadIdentityPools/github/attribute.mine/other") for member in identity.members)
    with pytest.raises(TokenError, match="unauthorized_client"):
        world.sts.exchange(form(world, github_token(world, f"https://iam.googleapis.com/{name}"), **audience))
    with pytest.raises(TokenError, match="does not match the expected audience"):
        world.sts.exchange(form(world, github_token(world, repository="other/x"), **audience))


def test_a_provider_with_audiences_of_its_own_accepts_these_alone(world: World) -> None:
    usual = github_token(world)
    world.sts.provider = replace(world.sts.provider, audiences=("https://octue.example.com",))

    world.sts.exchange(form(world, github_token(world, "https://octue.example.com")))
    with pytest.raises(TokenError, match="does not match the expected audience"):
        world.sts.exchange(form(world, usual))


def test_a_token_of_github_is_not_one_of_another_issuer(world: World) -> None:
    world.sts.provider = replace(world.sts.provider, issuer="https://tokens.example.com")

    with pytest.raises(TokenError, match=r"does not match the expected ones: https://tokens\.example\.com/"):
        world.sts.exchange(form(world, github_token(world)))


def test_the_service_that_exchanges_tokens_can_be_off(emulator: Emulator) -> None:
    asked = form(emulator.world, github_token(emulator.world))
    emulator.world.service_usage.disable("sts.googleapis.com")

    response = requests.post(f"{emulator.world.base_url}/sts.googleapis.com/v1/token", data=asked, timeout=5)

    assert response.status_code == 403
    assert response.json()["error"] == "access_denied"
    assert "Security Token Service API has not been used" in response.json()["error_description"]


def test_over_http_a_refusal_has_the_shape_of_oauth(emulator: Emulator) -> None:
    token = github_token(emulator.world, repository="other/other")
    url = f"{emulator.world.base_url}/sts.googleapis.com/v1/token"
    response = requests.post(url, data=form(emulator.world, token), timeout=5)

    assert response.status_code == 400
    assert response.json() == {
        "error": "unauthorized_client",
        "error_description": "The given credential is rejected by the attribute condition.",
    }
    assert [(request.writes, request.status) for request in emulator.world.requests] == [(False, "unauthorized_client")]


class _Supplier(identity_pool.SubjectTokenSupplier):
    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def get_subject_token(self, context: Any, request: Any) -> str:  # noqa: ARG002 - google.auth's signature
        audience = context.audience.replace("//", "https://", 1)
        response = requests.get(
            f"{self._variables['ACTIONS_ID_TOKEN_REQUEST_URL']}&audience={audience}",
            headers={"Authorization": f"bearer {self._variables['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"},
            timeout=5,
        )
        return str(response.json()["value"])


def credentials(emulator: Emulator, *, impersonate: bool) -> Any:
    world = emulator.world
    email = world.iam.deployer
    host = f"{world.base_url}/iamcredentials.googleapis.com"
    url = f"{host}/v1/projects/-/serviceAccounts/{email}:generateAccessToken"
    return identity_pool.Credentials(
        audience=f"//iam.googleapis.com/{world.sts.provider.name}",
        subject_token_type=JWT_TYPE,
        token_url=f"{world.base_url}/sts.googleapis.com/v1/token",
        subject_token_supplier=_Supplier(world.github.start_run()),
        service_account_impersonation_url=url if impersonate else None,
        scopes=[SCOPE],
    )


@pytest.mark.parametrize("impersonate", [True, False])
def test_google_auth_gets_a_token_that_the_apis_accept(
    emulator: Emulator, open_channel: Callable[[str], grpc.Channel], impersonate: bool
) -> None:
    found = credentials(emulator, impersonate=impersonate)
    found.refresh(Request())
    client = iam_admin_v1.IAMClient(transport=IAMGrpcTransport(channel=open_channel(found.token)))

    client.list_service_accounts(name="projects/my-project")

    principal = [request.principal for request in emulator.world.requests][-1]
    assert principal.startswith(f"serviceAccount:{emulator.world.iam.deployer}" if impersonate else "principal://")
