"""Workload identity pools and providers: how they are made, what they may be like, and how they are taken back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from emulator.errors import ApiError
from emulator.messages import workload_identity as messages
from emulator.rpc import SYSTEM
from emulator.server import Emulator
from emulator.world import WorldSettings
from tests.emulator.calls import Refused, caller

PROJECT_LOCATION = "projects/my-project/locations/global"
POOLS = f"iam.googleapis.com/v1/{PROJECT_LOCATION}/workloadIdentityPools"
NUMBERED = "projects/123456789012/locations/global/workloadIdentityPools"
GITHUB = "https://token.actions.githubusercontent.com"
PROVIDER = {
    "displayName": "Of GitHub",
    "oidc": {"issuerUri": GITHUB},
    "attributeMapping": {"google.subject": "assertion.sub", "attribute.repository_id": "assertion.repository_id"},
    "attributeCondition": "assertion.repository_id == '1'",
}


@pytest.fixture
def call(emulator: Emulator) -> Callable[..., Any]:
    return caller(emulator)


@pytest.fixture
def providers(call: Callable[..., Any]) -> str:
    """Where the providers of a new pool are."""
    call("POST", f"{POOLS}?workloadIdentityPoolId=ours", {"displayName": "Ours"})
    return f"{POOLS}/ours/providers"


def test_a_pool_is_named_by_the_projects_number(call: Callable[..., Any]) -> None:
    made = call("POST", f"{POOLS}?workloadIdentityPoolId=ours", {"displayName": "Ours", "description": "Of us."})

    assert made.pop("@type") == "type.googleapis.com/google.iam.v1.WorkloadIdentityPool"
    assert made == {"name": f"{NUMBERED}/ours", "displayName": "Ours", "description": "Of us.", "state": "ACTIVE"}
    assert call("GET", f"{POOLS}/ours") == made
    assert call("GET", f"iam.googleapis.com/v1/{NUMBERED}/ours") == made


def test_a_provider_is_what_it_was_made_as(call: Callable[..., Any], providers: str) -> None:
    call("POST", f"{providers}?workloadIdentityPoolProviderId=octue", PROVIDER)

    name = f"{NUMBERED}/ours/providers/octue"
    assert call("GET", f"{providers}/octue") == {"name": name, "state": "ACTIVE", **PROVIDER}
    assert call("GET", providers)["workloadIdentityPoolProviders"] == [call("GET", f"{providers}/octue")]


def test_a_pool_is_there_when_its_operation_is_done_and_its_id_is_taken_before(settings: WorldSettings) -> None:
    with Emulator(replace(settings, seconds={"iam create": 1000.0})) as emulator:
        service = emulator.world.workload_identity
        request = messages.CreatePoolRequest(parent=PROJECT_LOCATION, workload_identity_pool_id="ours")

        operation = service.create_workload_identity_pool(request, SYSTEM)

        assert not operation.done
        with pytest.raises(ApiError, match="NOT_FOUND"):
            service.get_workload_identity_pool(messages.GetRequest(name=f"{NUMBERED}/ours"), SYSTEM)
        with pytest.raises(ApiError, match="ALREADY_EXISTS"):
            service.create_workload_identity_pool(request, SYSTEM)


@pytest.mark.parametrize("new_id", ["abc", "x" * 33, "Capitals", "under_score", "gcp-ours", ""])
def test_an_id_must_be_well_formed(call: Callable[..., Any], providers: str, new_id: str) -> None:
    for url in (f"{POOLS}?workloadIdentityPoolId={new_id}", f"{providers}?workloadIdentityPoolProviderId={new_id}"):
        with pytest.raises(Refused, match="4 to 32"):
            call("POST", url, PROVIDER if "providers" in url else {})


def test_an_id_is_taken_once(call: Callable[..., Any], providers: str) -> None:
    call("POST", f"{providers}?workloadIdentityPoolProviderId=octue", PROVIDER)

    with pytest.raises(Refused, match="ALREADY_EXISTS: Requested entity already exists"):
        call("POST", f"{POOLS}?workloadIdentityPoolId=ours", {})
    with pytest.raises(Refused, match="ALREADY_EXISTS"):
        call("POST", f"{providers}?workloadIdentityPoolProviderId=octue", PROVIDER)


def test_what_is_deleted_is_still_read_holds_its_id_and_can_be_taken_back(call: Callable[..., Any]) -> None:
    call("POST", f"{POOLS}?workloadIdentityPoolId=ours", {})

    call("DELETE", f"{POOLS}/ours")

    deleted = call("GET", f"{POOLS}/ours")
    assert deleted["state"] == "DELETED"
    assert deleted["expireTime"]
    assert "ours" not in str(call("GET", POOLS))
    assert "ours" in str(call("GET", f"{POOLS}?showDeleted=true"))
    with pytest.raises(Refused, match="ALREADY_EXISTS"):
        call("POST", f"{POOLS}?workloadIdentityPoolId=ours", {})
    with pytest.raises(Refused, match="DELETED"):
        call("DELETE", f"{POOLS}/ours")
    with pytest.raises(Refused, match="is deleted"):
        call("PATCH", f"{POOLS}/ours?updateMask=displayName", {"displayName": "x"})
    with pytest.raises(Refused, match="is deleted"):
        call("POST", f"{POOLS}/ours/providers?workloadIdentityPoolProviderId=octue", PROVIDER)

    call("POST", f"{POOLS}/ours:undelete", {})

    assert call("GET", f"{POOLS}/ours") == {"name": f"{NUMBERED}/ours", "state": "ACTIVE"}
    with pytest.raises(Refused, match="ACTIVE"):
        call("POST", f"{POOLS}/ours:undelete", {})


def test_a_provider_can_be_taken_back(call: Callable[..., Any], providers: str) -> None:
    call("POST", f"{providers}?workloadIdentityPoolProviderId=octue", PROVIDER)

    call("DELETE", f"{providers}/octue")
    assert call("GET", f"{providers}/octue")["state"] == "DELETED"
    call("POST", f"{providers}/octue:undelete", {})

    assert call("GET", f"{providers}/octue")["state"] == "ACTIVE"


def test_the_mask_says_what_is_changed(call: Callable[..., Any], providers: str) -> None:
    call("POST", f"{providers}?workloadIdentityPoolProviderId=octue", PROVIDER)
    wanted = {
        "displayName": "Not this",
        "attributeMapping": {"google.subject": "assertion.sub", "attribute.ref": "assertion.ref"},
        "oidc": {"allowedAudiences": ["us"]},
    }

    call("PATCH", f"{providers}/octue?updateMask=attributeMapping,oidc.allowedAudiences", wanted)

    changed = call("GET", f"{providers}/octue")
    assert changed["displayName"] == "Of GitHub"
    assert changed["attributeMapping"] == wanted["attributeMapping"]
    assert changed["oidc"] == {"issuerUri": GITHUB, "allowedAudiences": ["us"]}
    assert changed["attributeCondition"] == PROVIDER["attributeCondition"]


@pytest.mark.parametrize("mask", ["", "?updateMask=name", "?updateMask=state", "?updateMask=colour"])
def test_a_mask_must_name_what_can_be_changed(call: Callable[..., Any], providers: str, mask: str) -> None:  # noqa: ARG001 - the pool is wanted
    with pytest.raises(Refused, match="INVALID_ARGUMENT"):
        call("PATCH", f"{POOLS}/ours{mask}", {"displayName": "x"})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"oidc": {}}, "issuer"),
        ({"oidc": {"issuerUri": "http://token.example.com"}}, "https"),
        ({"oidc": {"issuerUri": GITHUB, "allowedAudiences": ["a"] * 11}}, "at most 10"),
        ({"oidc": {"issuerUri": GITHUB, "allowedAudiences": ["a" * 257]}}, "256"),
        ({"attributeMapping": {}}, r"google\.subject must be mapped"),
        ({"attributeMapping": {"google.subject": "assertion.sub", "attribute.X": "assertion.x"}}, r"attribute\.X"),
        ({"attributeMapping": {"google.subject": "assertion.sub", "google.other": "assertion.x"}}, r"google\.other"),
        ({"attributeMapping": {"google.subject": "assertion."}}, "not a valid CEL expression"),
        ({"attributeMapping": {"google.subject": f"'{'x' * 2048}'"}}, "at most 2048"),
        (
            {"attributeMapping": {"google.subject": "assertion.sub"} | {f"attribute.a{n}": "'x'" for n in range(51)}},
            "at most 50",
        ),
        ({"attributeCondition": "assertion.repository_id = '1'"}, "not a valid CEL expression"),
        ({"attributeCondition": f"assertion.ref == '{'x' * 4096}'"}, "at most 4096"),
        ({"displayName": "x" * 33}, "at most 32"),
        ({"description": "x" * 257}, "at most 256"),
    ],
)
def test_a_provider_that_cannot_be_is_refused(
    call: Callable[..., Any], providers: str, change: dict[str, Any], why: str
) -> None:
    with pytest.raises(Refused, match=f"INVALID_ARGUMENT.*{why}"):
        call("POST", f"{providers}?workloadIdentityPoolProviderId=octue", PROVIDER | change)
    with pytest.raises(Refused, match="NOT_FOUND"):
        call("GET", f"{providers}/octue")


@pytest.mark.parametrize(
    ("condition", "accepted"),
    [
        ("", False),
        ("true", False),
        ("1 == 1", False),
        ("attribute.unmapped == 'x'", False),
        ("assertion.repository_owner == 'my-org'", True),
        ("assertion['repository_owner'] == 'my-org'", True),
        ("attribute.repository_id == '1'", True),
        ("google.subject.startsWith('repo:')", True),
    ],
)
def test_the_condition_of_githubs_provider_must_look_at_a_claim(
    call: Callable[..., Any], providers: str, condition: str, *, accepted: bool
) -> None:
    url = f"{providers}?workloadIdentityPoolProviderId=octue"
    provider = PROVIDER | {"attributeCondition": condition}

    if accepted:
        call("POST", url, provider)
    else:
        with pytest.raises(Refused, match="The attribute condition must reference one of the provider's claims"):
            call("POST", url, provider)


def test_a_change_is_checked_as_what_is_new(call: Callable[..., Any], providers: str) -> None:
    call("POST", f"{providers}?workloadIdentityPoolProviderId=octue", PROVIDER)

    with pytest.raises(Refused, match="provider's claims"):
        call("PATCH", f"{providers}/octue?updateMask=attributeCondition", {"attributeCondition": ""})

    assert call("GET", f"{providers}/octue")["attributeCondition"] == PROVIDER["attributeCondition"]


def test_an_issuer_of_ones_own_needs_no_condition(call: Callable[..., Any], providers: str) -> None:
    oidc = {"issuerUri": "https://tokens.example.com"}

    call(
        "POST", f"{providers}?workloadIdentityPoolProviderId=other", PROVIDER | {"oidc": oidc, "attributeCondition": ""}
    )

    assert "attributeCondition" not in call("GET", f"{providers}/other")


def test_what_is_not_there_is_not_found(call: Callable[..., Any]) -> None:
    for url in (f"{POOLS}/none", f"{POOLS}/none/providers", f"{POOLS}/none/providers/octue"):
        with pytest.raises(Refused, match=r"NOT_FOUND: Requested entity was not found\."):
            call("GET", url)
    with pytest.raises(Refused, match="PERMISSION_DENIED"):
        call("GET", f"{POOLS.replace('my-project', 'other')}/none")


def test_lists_have_pages(call: Callable[..., Any]) -> None:
    for number in range(3):
        call("POST", f"{POOLS}?workloadIdentityPoolId=pool-{number}", {})

    first = call("GET", f"{POOLS}?pageSize=3")
    second = call("GET", f"{POOLS}?pageSize=3&pageToken={first['nextPageToken']}")

    pools = [pool["name"].rpartition("/")[2] for page in (first, second) for pool in page["workloadIdentityPools"]]
    assert pools == ["github", "pool-0", "pool-1", "pool-2"]
    assert "nextPageToken" not in second


@pytest.mark.parametrize(
    ("method", "url", "permission"),
    [
        ("POST", f"{POOLS}?workloadIdentityPoolId=ours", "iam.workloadIdentityPools.create"),
        ("GET", f"{POOLS}/github", "iam.workloadIdentityPools.get"),
        ("GET", POOLS, "iam.workloadIdentityPools.list"),
        ("PATCH", f"{POOLS}/github?updateMask=displayName", "iam.workloadIdentityPools.update"),
        ("DELETE", f"{POOLS}/github", "iam.workloadIdentityPools.delete"),
        ("POST", f"{POOLS}/github:undelete", "iam.workloadIdentityPools.undelete"),
        (
            "POST",
            f"{POOLS}/github/providers?workloadIdentityPoolProviderId=ours",
            "iam.workloadIdentityPoolProviders.create",
        ),
        ("GET", f"{POOLS}/github/providers/octue", "iam.workloadIdentityPoolProviders.get"),
        ("GET", f"{POOLS}/github/providers", "iam.workloadIdentityPoolProviders.list"),
        (
            "PATCH",
            f"{POOLS}/github/providers/octue?updateMask=displayName",
            "iam.workloadIdentityPoolProviders.update",
        ),
        ("DELETE", f"{POOLS}/github/providers/octue", "iam.workloadIdentityPoolProviders.delete"),
    ],
)
def test_each_call_asks_for_its_permission(emulator: Emulator, method: str, url: str, permission: str) -> None:
    content: dict[str, Any] | None = None if method in {"GET", "DELETE"} else {}

    with pytest.raises(Refused) as refusal:
        caller(emulator, "user:stranger@example.com")(method, url, content)

    assert refusal.value.error["details"][0]["metadata"]["permission"] == permission
