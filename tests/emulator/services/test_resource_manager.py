from __future__ import annotations

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import resourcemanager_v3
from google.cloud.resourcemanager_v3.services.projects.transports import ProjectsGrpcTransport
from google.iam.v1 import policy_pb2

PROJECT = "projects/my-project"
OCTUE_ROLE = f"{PROJECT}/roles/octue_service_user"


@pytest.fixture
def projects(channel: grpc.Channel) -> resourcemanager_v3.ProjectsClient:
    return resourcemanager_v3.ProjectsClient(transport=ProjectsGrpcTransport(channel=channel))


def read(projects: resourcemanager_v3.ProjectsClient, version: int = 3) -> policy_pb2.Policy:
    return projects.get_iam_policy(request={"resource": PROJECT, "options": {"requested_policy_version": version}})


@pytest.mark.parametrize("name", [PROJECT, "projects/123456789012"])
def test_the_project_is_found_by_id_and_number(projects: resourcemanager_v3.ProjectsClient, name: str) -> None:
    project = projects.get_project(name=name)

    assert project.name == "projects/123456789012"
    assert project.project_id == "my-project"
    assert project.state == resourcemanager_v3.Project.State.ACTIVE


def test_another_project_may_not_exist(projects: resourcemanager_v3.ProjectsClient) -> None:
    with pytest.raises(exceptions.PermissionDenied, match="The caller does not have permission"):
        projects.get_project(name="projects/other")


def test_others_have_their_part_in_the_policy(projects: resourcemanager_v3.ProjectsClient) -> None:
    policy = read(projects)

    members = {member for binding in policy.bindings for member in binding.members}
    assert policy.version == 3
    assert any(binding.condition.expression for binding in policy.bindings)
    assert any(member.startswith("deleted:") for member in members)
    assert "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com" in members
    assert policy.audit_configs


def test_a_member_is_added_and_the_rest_stays(projects: resourcemanager_v3.ProjectsClient) -> None:
    before = read(projects)
    policy = policy_pb2.Policy()
    policy.CopyFrom(before)
    policy.bindings.add(role=OCTUE_ROLE, members=["serviceAccount:deployer@my-project.iam.gserviceaccount.com"])

    after = projects.set_iam_policy(request={"resource": PROJECT, "policy": policy})

    assert list(after.bindings)[:-1] == list(before.bindings)
    assert after.bindings[-1].role == OCTUE_ROLE
    assert after.audit_configs == before.audit_configs
    assert read(projects) == after


def test_two_writers_do_not_lose_each_others_members(projects: resourcemanager_v3.ProjectsClient) -> None:
    first, second = read(projects), read(projects)
    first.bindings.add(role="roles/viewer", members=["user:first@example.com"])
    second.bindings.add(role="roles/viewer", members=["user:second@example.com"])
    projects.set_iam_policy(request={"resource": PROJECT, "policy": first})

    with pytest.raises(exceptions.Aborted, match="There were concurrent policy changes"):
        projects.set_iam_policy(request={"resource": PROJECT, "policy": second})


def test_a_policy_read_at_a_lower_version_cannot_be_written_back(projects: resourcemanager_v3.ProjectsClient) -> None:
    policy = read(projects, version=1)

    assert policy.version == 1
    with pytest.raises(exceptions.InvalidArgument):
        projects.set_iam_policy(request={"resource": PROJECT, "policy": policy})


def test_an_account_that_does_not_exist_cannot_be_granted(projects: resourcemanager_v3.ProjectsClient) -> None:
    policy = read(projects)
    policy.bindings.add(role=OCTUE_ROLE, members=["serviceAccount:none@my-project.iam.gserviceaccount.com"])

    with pytest.raises(
        exceptions.InvalidArgument, match=r"Service account none@my-project.iam.gserviceaccount.com does not exist\."
    ):
        projects.set_iam_policy(request={"resource": PROJECT, "policy": policy})


def test_the_public_cannot_have_a_role_on_a_project(projects: resourcemanager_v3.ProjectsClient) -> None:
    policy = read(projects)
    policy.bindings.add(role="roles/viewer", members=["allUsers"])

    with pytest.raises(exceptions.InvalidArgument, match="allUsers"):
        projects.set_iam_policy(request={"resource": PROJECT, "policy": policy})


def test_permissions_can_be_asked_for(projects: resourcemanager_v3.ProjectsClient) -> None:
    asked = ["resourcemanager.projects.get"]

    assert projects.test_iam_permissions(resource=PROJECT, permissions=asked).permissions == asked
