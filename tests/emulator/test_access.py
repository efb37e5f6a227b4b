"""Who may do what: every method asks for something, by the roles that the policies give, under their conditions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from google.iam.v1 import iam_policy_pb2, policy_pb2
from google.type import expr_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator import permissions, roles
from emulator.errors import ApiError
from emulator.rpc import Call, Methods
from emulator.world import World

PROJECT = "projects/my-project"
SERVICE = f"{PROJECT}/locations/europe-west1/services/sum"
OCTUE_ROLE = f"{PROJECT}/roles/octue_service_user"
ANNA = Call("x", "user:anna@example.com", frozenset({"user:anna@example.com"}))
SET_POLICY = "google.cloud.resourcemanager.v3.Projects/SetIamPolicy"

FREE = {
    "google.api.serviceusage.v1beta1.ServiceUsage/GenerateServiceIdentity",
    "google.cloud.resourcemanager.v3.Projects/TestIamPermissions",
    "google.cloud.run.v2.Services/TestIamPermissions",
    "google.devtools.artifactregistry.v1.ArtifactRegistry/TestIamPermissions",
    "google.iam.admin.v1.IAM/TestIamPermissions",
    "google.iam.credentials.v1.IAMCredentials/GenerateAccessToken",
    "google.iam.credentials.v1.IAMCredentials/GenerateIdToken",
    "google.iam.v1.IAMPolicy/TestIamPermissions",
}
"""What asks for nothing, or asks itself."""


def grant(world: World, resource: str, role: str, *members: str, condition: str = "") -> None:
    policy = world.policies.get(resource)
    binding = policy.bindings.add(role=role, members=members or [ANNA.principal])
    if condition:
        binding.condition.CopyFrom(expr_pb2.Expr(title="if", expression=condition))
    world.policies.seed(resource, policy)


def set_policy(world: World, change: Iterable[tuple[str, str]]) -> iam_policy_pb2.SetIamPolicyRequest:
    policy = policy_pb2.Policy()
    policy.CopyFrom(world.policies.get(PROJECT))
    for role, member in change:
        policy.bindings.add(role=role, members=[member])
    return iam_policy_pb2.SetIamPolicyRequest(resource=PROJECT, policy=policy)


def test_every_method_says_what_it_asks_for(world: World) -> None:
    answered = {method.name for method in Methods(world.services)}

    assert answered <= permissions.OF_METHODS.keys()
    assert {name for name in answered if not permissions.OF_METHODS[name]} <= FREE


def test_a_role_on_the_project_counts_for_all_that_is_in_it(world: World) -> None:
    grant(world, PROJECT, "roles/run.viewer")

    assert world.access.holds(ANNA, "run.services.get", SERVICE)
    assert world.access.holds(ANNA, "run.revisions.list", f"{SERVICE}/revisions/sum-1")
    assert not world.access.holds(ANNA, "run.services.update", SERVICE)


def test_a_role_on_one_thing_counts_there_alone(world: World) -> None:
    grant(world, SERVICE, "roles/run.developer")

    assert world.access.holds(ANNA, "run.services.update", SERVICE)
    assert not world.access.holds(ANNA, "run.services.update", f"{SERVICE}-2")
    assert not world.access.holds(ANNA, "run.services.update", PROJECT)


def test_an_account_is_the_same_by_whatever_name_it_is_called(world: World) -> None:
    email = world.iam.deployer
    account = world.iam.find(email)
    assert account is not None
    grant(world, account.name, "roles/iam.serviceAccountUser")

    for name in (f"projects/-/serviceAccounts/{email}", f"{PROJECT}/serviceAccounts/{account.unique_id}"):
        assert world.access.holds(ANNA, permissions.ACT_AS, name)


def test_who_is_anybody_has_what_anybody_has(world: World) -> None:
    grant(world, SERVICE, "roles/run.invoker", "allUsers")

    assert world.access.holds(ANNA, "run.routes.invoke", SERVICE)


def test_a_custom_role_includes_what_it_says_now(world: World) -> None:
    grant(world, PROJECT, OCTUE_ROLE)

    assert world.access.holds(ANNA, "pubsub.topics.publish", PROJECT)
    assert not world.access.holds(ANNA, "pubsub.topics.update", PROJECT)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ('request.time < timestamp("2100-01-01T00:00:00Z")', True),
        ('request.time < timestamp("2020-01-01T00:00:00Z")', False),
        ('resource.name.startsWith("projects/my-project/locations/europe-west1/services/s")', True),
        ('resource.name.startsWith("projects/my-project/locations/europe-west1/services/t")', False),
        ("this is no CEL", False),
        ("unknown.attribute == 1", False),
    ],
)
def test_a_condition_must_be_met_by_what_is_called_for(world: World, condition: str, *, holds: bool) -> None:
    grant(world, PROJECT, "roles/run.viewer", condition=condition)

    assert world.access.holds(ANNA, "run.services.get", SERVICE) is holds


def test_who_may_give_one_role_may_give_no_other(world: World) -> None:
    only = f"api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(['{OCTUE_ROLE}'])"
    grant(world, PROJECT, "roles/resourcemanager.projectIamAdmin", condition=only)
    member = "user:bob@example.com"

    world.access.check(SET_POLICY, set_policy(world, [(OCTUE_ROLE, member)]), ANNA)
    for roles_given in ([("roles/owner", member)], [(OCTUE_ROLE, member), ("roles/viewer", member)]):
        with pytest.raises(ApiError, match="does not have permission"):
            world.access.check(SET_POLICY, set_policy(world, roles_given), ANNA)


def test_who_may_take_all_others_away_is_nobody_under_that_condition(world: World) -> None:
    only = f"api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(['{OCTUE_ROLE}'])"
    grant(world, PROJECT, "roles/resourcemanager.projectIamAdmin", condition=only)

    with pytest.raises(ApiError):
        world.access.check(SET_POLICY, iam_policy_pb2.SetIamPolicyRequest(resource=PROJECT), ANNA)


def test_what_is_tested_is_what_is_held(world: World) -> None:
    grant(world, PROJECT, "roles/pubsub.editor")
    asked = ["pubsub.topics.create", "pubsub.topics.setIamPolicy", "run.services.get"]

    assert world.access.held(ANNA, PROJECT, asked) == ["pubsub.topics.create"]


@pytest.mark.parametrize("asked", [["run.*"], [f"run.services.get{n}" for n in range(101)]], ids=["wildcard", "101"])
def test_what_cannot_be_tested_is_refused(world: World, asked: list[str]) -> None:
    with pytest.raises(ApiError, match="At most 100"):
        world.access.held(ANNA, PROJECT, asked)


def test_each_role_is_less_than_the_owners() -> None:
    known = {"run.services.get", "pubsub.topics.create", "iam.roles.create", "resourcemanager.projects.setIamPolicy"}

    for role in roles.PATTERNS:
        assert {p for p in known if roles.includes(role, p)} <= {p for p in known if roles.includes("roles/owner", p)}
    assert not roles.includes("roles/editor", "resourcemanager.projects.setIamPolicy")
    assert not roles.includes("roles/owner", "iam.serviceAccounts.getAccessToken")


GRANTS = st.tuples(
    st.sampled_from([PROJECT, SERVICE]),
    st.sampled_from(sorted(roles.PATTERNS)),
    st.sampled_from(["", 'request.time < timestamp("2020-01-01T00:00:00Z")']),
)
ASKED = ["run.services.get", "run.services.update", "run.services.setIamPolicy", "run.routes.invoke"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.lists(GRANTS, max_size=4), more=st.lists(GRANTS, max_size=4))
def test_a_further_grant_takes_nothing_away(world: World, before: list[Any], more: list[Any]) -> None:
    for resource in (PROJECT, SERVICE):
        world.policies.seed(resource, policy_pb2.Policy())
    for resource, role, condition in before:
        grant(world, resource, role, condition=condition)
    held = set(world.access.held(ANNA, SERVICE, ASKED))
    for resource, role, condition in more:
        grant(world, resource, role, condition=condition)

    assert held <= set(world.access.held(ANNA, SERVICE, ASKED))
