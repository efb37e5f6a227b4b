"""Custom roles, which others who own the project can change, too."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.cloud import iam_admin_v1

from emulator.errors import ApiError
from emulator.faults import Fault, denied
from emulator.rpc import SYSTEM
from emulator.world import World
from octue_action import quirks
from octue_action.apply import Outcome, Status, apply
from octue_action.failure import GoogleError
from octue_action.google import Google
from octue_action.plan import make_plan
from octue_action.resource import as_description
from octue_action.resources.iam_role import IamRole, RoleIsGone, grouped
from tests.octue_action.resources.kinds import LABELS, OWNER, PROJECT


@pytest.fixture
def role(google: Google, name: str) -> Iterator[IamRole]:
    """A role that is there."""
    made = IamRole(
        project_id=PROJECT,
        role_id=name.replace("-", "_"),
        role_title="Summer",
        owner=LABELS,
        includes=grouped(["run.services.get"]),
    )
    made.create(google)
    yield made
    made.delete(google)


def change(world: World, role: IamRole, path: str, value: Any) -> None:
    """Change a role as somebody else."""
    changed = iam_admin_v1.Role(**{path: value})
    request = iam_admin_v1.UpdateRoleRequest(name=role.role, role=changed, update_mask={"paths": [path]})
    world.iam.update_role(request, SYSTEM)


def applied_while(world: World, google: Google, wanted: IamRole, path: str, value: Any) -> Outcome:
    """Change a role, while somebody else does so between the reading and the writing."""
    plan = make_plan([wanted], google, adopt=False)
    read, changes = google.iam.get_role, iter([(path, value)])

    @functools.wraps(read)
    def get_role(**arguments: Any) -> iam_admin_v1.Role:
        answer: iam_admin_v1.Role = read(**arguments)
        for changed in changes:
            change(world, wanted, *changed)
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(google.iam, "get_role", get_role)
        (outcome,) = apply(plan, google, lambda _: None)
    return outcome


def test_a_role_that_somebody_takes_over_between_reading_and_writing_is_left_to_them(
    google: Google, world: World, role: IamRole
) -> None:
    theirs = as_description({**LABELS, "github-repository-id": "2"})
    outcome = applied_while(world, google, replace(role, role_title="Winter"), "description", theirs)

    assert outcome.status is Status.FAILED
    assert outcome.failure is not None
    assert "exists already, and this workflow did not make it" in outcome.failure.message
    assert present(google, role).role_title == "Summer"
    change(world, role, "description", as_description(LABELS))


def test_a_role_that_somebody_changes_between_reading_and_writing_is_read_again_and_changed(
    google: Google, world: World, role: IamRole
) -> None:
    outcome = applied_while(world, google, replace(role, role_title="Winter"), "title", "Autumn")

    assert outcome.status is Status.APPLIED
    assert [field.before for field in outcome.change.fields] == ["Autumn"], "which is what was there at last"


REFUSALS = [
    ApiError(grpc.StatusCode.FAILED_PRECONDITION, "The role cannot be undeleted."),
    ApiError(grpc.StatusCode.NOT_FOUND, "The role was not found."),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
def test_a_role_that_is_seen_and_cannot_be_taken_back_is_gone(
    google: Google, world: World, role: IamRole, refusal: ApiError
) -> None:
    role.delete(google)
    undelete = "google.iam.admin.v1.IAM/UndeleteRole"
    world.faults.add(Fault(method=undelete, error=refusal, principal=OWNER))
    (outcome,) = apply(make_plan([role], google, adopt=False), google, lambda _: None)

    assert isinstance(outcome.failure, RoleIsGone)
    assert outcome.failure.role_id == role.role_id
    role.update(google, present(google, role))


def test_a_role_that_somebody_else_takes_back_meanwhile_is_looked_at_again(
    google: Google, world: World, role: IamRole
) -> None:
    role.delete(google)
    deleted = present(google, role)
    world.iam.undelete_role(iam_admin_v1.UndeleteRoleRequest(name=role.role), SYSTEM)

    with pytest.raises(GoogleError) as refusal:
        role.update(google, deleted)
    assert quirks.CHANGED_MEANWHILE.holds(refusal.value)


def test_a_role_that_may_not_be_taken_back_is_not_called_gone(google: Google, world: World, role: IamRole) -> None:
    role.delete(google)
    world.faults.add(denied("google.iam.admin.v1.IAM/UndeleteRole", principal=OWNER))

    with pytest.raises(GoogleError, match="PERMISSION_DENIED"):
        role.update(google, present(google, role))
    role.update(google, present(google, role))


def present(google: Google, role: IamRole) -> IamRole:
    actual = role.read(google)
    assert actual is not None
    return actual


def test_which_version_of_a_role_was_read_is_no_difference(google: Google, world: World, role: IamRole) -> None:
    change(world, role, "title", "Summer")
    assert not make_plan([role], google, adopt=False).has_changes
