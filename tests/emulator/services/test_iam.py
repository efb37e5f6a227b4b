from __future__ import annotations

import grpc
import pytest
import requests
from google.api_core import exceptions
from google.cloud import iam_admin_v1
from google.cloud.iam_admin_v1 import types
from google.cloud.iam_admin_v1.services.iam.transports import IAMGrpcTransport
from google.iam.v1 import policy_pb2

from emulator.server import Emulator

PROJECT = "projects/my-project"
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
    role = iam.get_role(request={"name": f"{PROJECT}/roles/octue_service_user"})

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
