from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
import requests
from google.api_core import exceptions
from google.cloud import iam_admin_v1
from google.cloud.iam_admin_v1 import types
from google.cloud.iam_admin_v1.services.iam.transports import IAMGrpcTransport
from google.iam.v1 import policy_pb2

from emulator import permissions
from emulator.known_permissions import KNOWN
from emulator.rpc import Call
from emulator.server import Emulator
from tests.emulator.calls import caller

PROJECT = "projects/my-project"
OCTUE_ROLE = f"{PROJECT}/roles/octue_service_user"
EMAIL = "sum-runner@my-project.iam.gserviceaccount.com"
NAME = f"{PROJECT}/serviceAccounts/{EMAIL}"


@pytest.fixture
def iam(channel: grpc.Channel) -> iam_admin_v1.IAMClient:
    return iam_admin_v1.IAMClient(transport=IAMGrpcTransport(channel=channel))


def create(iam: iam_admin_v1.IAMClient, account_id: str = "sum-runner") -> types.ServiceAccount:
    return iam.create_service_account(
        request={
            "name": PROJECT,
            "account_id": account_id,
            "service_account": {"display_name": "Sum", "description": "Runs the sum service."},
        }
    )


def test_an_account_is_there_as_soon_as_it_is_made(iam: iam_admin_v1.IAMClient) -> None:
    account = create(iam)

    assert (account.name, account.email, account.project_id) == (NAME, EMAIL, "my-project")
    assert (account.display_name, account.description) == ("Sum", "Runs the sum service.")
    assert account.unique_id == account.oauth2_client_id
    assert len(account.unique_id) == 21
    assert iam.get_service_account(name=NAME) == account


@pytest.mark.parametrize("name", [f"projects/-/serviceAccounts/{EMAIL}", NAME.replace("my-project/", "123456789012/")])
def test_an_account_is_found_by_its_other_names(iam: iam_admin_v1.IAMClient, name: str) -> None:
    account = create(iam)

    assert iam.get_service_account(name=name) == account
    assert iam.get_service_account(name=f"{PROJECT}/serviceAccounts/{account.unique_id}") == account


def test_an_account_that_does_not_exist_is_not_found(iam: iam_admin_v1.IAMClient) -> None:
    with pytest.raises(exceptions.NotFound, match="Unknown service account"):
        iam.get_service_account(name=NAME)


def test_an_account_cannot_be_made_twice(iam: iam_admin_v1.IAMClient) -> None:
    create(iam)

    with pytest.raises(
        exceptions.AlreadyExists, match=r"Service account ID already exists within project projects/my-project\."
    ):
        create(iam)


@pytest.mark.parametrize("account_id", ["short", "x" * 31, "Capitals", "1digit-first", "ends-with-", "under_score"])
def test_an_account_id_must_be_well_formed(iam: iam_admin_v1.IAMClient, account_id: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=account_id):
        create(iam, account_id)


@pytest.mark.parametrize("account_id", ["sixsix", "x" * 30])
def test_an_account_id_has_six_to_thirty_characters(iam: iam_admin_v1.IAMClient, account_id: str) -> None:
    create(iam, account_id)


def test_another_project_may_not_exist(iam: iam_admin_v1.IAMClient) -> None:
    with pytest.raises(exceptions.PermissionDenied, match=r"denied on resource \(or it may not exist\)"):
        iam.get_service_account(name="projects/other/serviceAccounts/a@other.iam.gserviceaccount.com")


def test_a_patch_changes_the_fields_of_its_mask(iam: iam_admin_v1.IAMClient) -> None:
    before = create(iam)
    wanted = types.ServiceAccount(name=NAME, display_name="New", description="New", etag=before.etag)

    answer = iam.patch_service_account(request={"service_account": wanted, "update_mask": {"paths": ["description"]}})

    after = iam.get_service_account(name=NAME)
    assert answer == types.ServiceAccount(name=NAME, description="New")
    assert (after.display_name, after.description) == ("Sum", "New")
    assert after.etag != before.etag


def test_a_patch_of_an_older_state_is_aborted(iam: iam_admin_v1.IAMClient) -> None:
    old = create(iam)
    mask = {"paths": ["description"]}
    iam.patch_service_account(request={"service_account": {"name": NAME, "description": "x"}, "update_mask": mask})

    with pytest.raises(exceptions.Aborted):
        iam.patch_service_account(request={"service_account": old, "update_mask": mask})


def test_nothing_else_can_be_patched(iam: iam_admin_v1.IAMClient) -> None:
    create(iam)

    with pytest.raises(exceptions.InvalidArgument, match="only display_name and description"):
        iam.patch_service_account(request={"service_account": {"name": NAME}, "update_mask": {"paths": ["email"]}})


def test_a_deleted_account_is_gone_and_named_as_deleted(emulator: Emulator, iam: iam_admin_v1.IAMClient) -> None:
    account = create(iam)
    binding = policy_pb2.Binding(role="roles/viewer", members=[f"serviceAccount:{EMAIL}"])
    policy = emulator.world.policies.get(PROJECT)
    policy.bindings.append(binding)
    emulator.world.policies.seed(PROJECT, policy)

    iam.delete_service_account(name=NAME)

    with pytest.raises(exceptions.NotFound):
        iam.delete_service_account(name=NAME)
    gone = f"deleted:serviceAccount:{EMAIL}?uid={account.unique_id}"
    assert gone in emulator.world.policies.members(PROJECT, "roles/viewer")
    assert create(iam).unique_id != account.unique_id


def test_all_accounts_are_listed(iam: iam_admin_v1.IAMClient) -> None:
    create(iam)

    emails = [account.email for account in iam.list_service_accounts(name=PROJECT)]

    assert emails == ["deployer@my-project.iam.gserviceaccount.com", EMAIL]


def test_an_account_has_a_policy(iam: iam_admin_v1.IAMClient) -> None:
    create(iam)
    policy = iam.get_iam_policy(request={"resource": NAME})
    policy.bindings.add(role="roles/iam.serviceAccountUser", members=["user:a@example.com"])

    iam.set_iam_policy(request={"resource": NAME, "policy": policy})

    assert iam.get_iam_policy(request={"resource": NAME}).bindings[0].members == ["user:a@example.com"]
    with pytest.raises(exceptions.Aborted, match="There were concurrent policy changes"):
        iam.set_iam_policy(request={"resource": NAME, "policy": policy})


def test_the_trusted_repository_may_act_as_the_deployer(emulator: Emulator, iam: iam_admin_v1.IAMClient) -> None:
    policy = iam.get_iam_policy(request={"resource": f"{PROJECT}/serviceAccounts/{emulator.world.iam.deployer}"})

    repository_id = emulator.world.github.start_run()["GITHUB_REPOSITORY_ID"]
    assert policy.bindings[0].role == "roles/iam.workloadIdentityUser"
    assert policy.bindings[0].members[0].endswith(f"/attribute.repository_id/{repository_id}")


def test_the_octue_role_is_there(iam: iam_admin_v1.IAMClient) -> None:
    role = iam.get_role(request={"name": OCTUE_ROLE})

    assert role.title == "octue-service-user"
    assert "pubsub.topics.publish" in role.included_permissions


def test_a_role_can_be_made_once(iam: iam_admin_v1.IAMClient) -> None:
    request = {"parent": PROJECT, "role_id": "my_role", "role": {"title": "Mine"}}
    role = iam.create_role(request=request)

    assert iam.get_role(request={"name": role.name}).title == "Mine"
    with pytest.raises(exceptions.AlreadyExists):
        iam.create_role(request=request)
    with pytest.raises(exceptions.InvalidArgument, match="hyphen"):
        iam.create_role(request=request | {"role_id": "my-role"})
    with pytest.raises(exceptions.NotFound):
        iam.get_role(request={"name": f"{PROJECT}/roles/none"})


def test_over_http_errors_have_the_list_of_googles_older_apis(emulator: Emulator, deployer_token: str) -> None:
    response = requests.get(
        f"{emulator.world.base_url}/iam.googleapis.com/v1/{NAME}",
        headers={"Authorization": f"Bearer {deployer_token}"},
        timeout=5,
    )

    assert response.json()["error"]["errors"] == [
        {"domain": "global", "message": "Unknown service account", "reason": "notFound"}
    ]


MY_ROLE = f"{PROJECT}/roles/my_role"


def make_role(iam: iam_admin_v1.IAMClient, *permissions: str) -> types.Role:
    role = {"title": "Mine", "included_permissions": permissions, "stage": types.Role.RoleLaunchStage.GA}
    return iam.create_role(request={"parent": PROJECT, "role_id": "my_role", "role": role})


@pytest.mark.parametrize("unknown", ["run.services.gett", "resourcemanager.projects.list", "run.*"])
def test_a_role_includes_only_permissions_that_there_are(iam: iam_admin_v1.IAMClient, unknown: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=re.escape(f"Permission {unknown} is not valid.")):
        make_role(iam, "run.services.get", unknown)

    role = make_role(iam, "run.services.get")
    with pytest.raises(exceptions.InvalidArgument, match="is not valid"):
        iam.update_role(
            request={
                "name": role.name,
                "role": {"included_permissions": [unknown]},
                "update_mask": {"paths": ["included_permissions"]},
            }
        )


def test_the_mask_says_what_of_a_role_is_changed(iam: iam_admin_v1.IAMClient) -> None:
    before = make_role(iam, "run.services.get")

    changed = iam.update_role(
        request={
            "name": MY_ROLE,
            "role": {"title": "Not this", "included_permissions": ["run.services.list"]},
            "update_mask": {"paths": ["included_permissions"]},
        }
    )

    assert (changed.title, list(changed.included_permissions)) == ("Mine", ["run.services.list"])
    assert changed.etag != before.etag
    assert iam.get_role(request={"name": MY_ROLE}) == changed


def test_a_role_that_somebody_else_has_changed_is_not_overwritten(iam: iam_admin_v1.IAMClient) -> None:
    before = make_role(iam, "run.services.get")
    change = {"name": MY_ROLE, "role": {"title": "New", "etag": before.etag}, "update_mask": {"paths": ["title"]}}
    iam.update_role(request=change)

    with pytest.raises(exceptions.Aborted, match="concurrent"):
        iam.update_role(request=change)


def test_a_role_that_is_deleted_grants_nothing_and_can_be_taken_back(
    emulator: Emulator, iam: iam_admin_v1.IAMClient
) -> None:
    access, anna = emulator.world.access, Call("x", "user:anna@example.com")
    make_role(iam, "run.services.get")
    policy = emulator.world.policies.get(PROJECT)
    policy.bindings.add(role=MY_ROLE, members=[anna.principal])
    emulator.world.policies.set(PROJECT, policy)
    assert access.holds(anna, "run.services.get", PROJECT)

    assert iam.delete_role(request={"name": MY_ROLE}).deleted

    assert not access.holds(anna, "run.services.get", PROJECT)
    assert iam.get_role(request={"name": MY_ROLE}).deleted
    assert MY_ROLE not in {role.name for role in iam.list_roles(request={"parent": PROJECT})}
    assert MY_ROLE in {role.name for role in iam.list_roles(request={"parent": PROJECT, "show_deleted": True})}
    with pytest.raises(exceptions.FailedPrecondition, match=r"role_id \(my_role\) where there is an existing role"):
        make_role(iam, "run.services.get")
    with pytest.raises(exceptions.FailedPrecondition, match="deleted"):
        iam.update_role(request={"name": MY_ROLE, "role": {"title": "New"}})
    with pytest.raises(exceptions.FailedPrecondition, match="already deleted"):
        iam.delete_role(request={"name": MY_ROLE})

    iam.undelete_role(request={"name": MY_ROLE})

    assert access.holds(anna, "run.services.get", PROJECT)
    with pytest.raises(exceptions.FailedPrecondition, match="not deleted"):
        iam.undelete_role(request={"name": MY_ROLE})


def test_a_role_that_was_deleted_is_not_seen_after_a_week_and_its_id_is_free_after_a_month_more(
    emulator: Emulator, open_channel: Callable[[str], grpc.Channel]
) -> None:
    def client_after(days: int) -> iam_admin_v1.IAMClient:
        emulator.world.clock.advance(days * 24 * 60 * 60.0)
        token = emulator.world.tokens.issue_access_token("user:owner@example.com")
        return iam_admin_v1.IAMClient(transport=IAMGrpcTransport(channel=open_channel(token)))

    iam = client_after(0)
    make_role(iam, "run.services.get")
    iam.delete_role(request={"name": MY_ROLE})

    policy = emulator.world.policies.get(PROJECT)
    policy.bindings.add(role=MY_ROLE, members=["user:anna@example.com"])
    emulator.world.policies.seed(PROJECT, policy)

    assert emulator.world.policies.members(PROJECT, MY_ROLE)
    iam = client_after(8)
    assert not emulator.world.policies.members(PROJECT, MY_ROLE)
    assert MY_ROLE not in {role.name for role in iam.list_roles(request={"parent": PROJECT, "show_deleted": True})}
    for call in (iam.get_role, iam.undelete_role):
        with pytest.raises(exceptions.NotFound):
            call(request={"name": MY_ROLE})
    with pytest.raises(exceptions.FailedPrecondition, match=r"role_id \(my_role\) which has been marked for deletion"):
        make_role(iam, "run.services.get")

    iam = client_after(30)
    make_role(iam, "run.services.get")
    assert not iam.get_role(request={"name": MY_ROLE}).deleted


def test_the_list_of_roles_says_what_they_include_where_it_is_asked_for(iam: iam_admin_v1.IAMClient) -> None:
    make_role(iam, "run.services.get")

    basic = {role.name: role for role in iam.list_roles(request={"parent": PROJECT, "page_size": 2})}
    full = {role.name: role for role in iam.list_roles(request={"parent": PROJECT, "view": types.RoleView.FULL})}

    assert basic.keys() == full.keys() == {MY_ROLE, OCTUE_ROLE, f"{PROJECT}/roles/octue_deployer"}
    assert not basic[MY_ROLE].included_permissions
    assert list(full[MY_ROLE].included_permissions) == ["run.services.get"]


def test_roles_are_made_changed_and_deleted_over_http(emulator: Emulator) -> None:
    call, roles = caller(emulator), f"iam.googleapis.com/v1/{PROJECT}/roles"
    made = call("POST", roles, {"roleId": "my_role", "role": {"includedPermissions": ["run.services.get"]}})

    changed = call("PATCH", f"{roles}/my_role?updateMask=title", {"title": "New", "etag": made["etag"]})

    assert changed == made | {"title": "New", "etag": changed["etag"]}
    assert call("DELETE", f"{roles}/my_role")["deleted"]
    call("POST", f"{roles}/my_role:undelete", {})
    assert changed | {"etag": ""} == call("GET", f"{roles}/my_role") | {"etag": ""}
    assert {role["name"] for role in call("GET", roles)["roles"]} >= {MY_ROLE, OCTUE_ROLE}


@pytest.mark.parametrize(("title", "description"), [("x" * 101, ""), ("", "x" * 301)])
def test_the_texts_of_a_role_have_limits(iam: iam_admin_v1.IAMClient, title: str, description: str) -> None:
    role = {"title": title, "description": description}

    with pytest.raises(exceptions.InvalidArgument, match="at most"):
        iam.create_role(request={"parent": PROJECT, "role_id": "my_role", "role": role})


def test_what_can_be_included_is_what_there_is(iam: iam_admin_v1.IAMClient) -> None:
    resource = f"//cloudresourcemanager.googleapis.com/{PROJECT}"

    found = iam.query_testable_permissions(request={"full_resource_name": resource})

    assert {permission.name for permission in found} == KNOWN


class Anything:
    """A request that has every field, each of which names a topic."""

    def __getattr__(self, name: str) -> Any:
        return self if name != "resource" else f"{PROJECT}/topics/t"

    def __iter__(self) -> Iterator[Any]:
        return iter([self])

    def __str__(self) -> str:
        return f"{PROJECT}/topics/t"


def test_every_permission_that_a_call_asks_for_can_be_in_a_role() -> None:
    asked = {
        demand.permission
        for demands in permissions.OF_METHODS.values()
        for demand in (each for demanded in demands if demanded.__name__ == "demanded" for each in demanded(Anything()))
    }

    assert len(asked) > 70
    assert asked <= KNOWN
