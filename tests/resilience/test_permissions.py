"""Deployments by who lacks one permission: it alone is named, nothing is changed, and the commands told mend it."""

from __future__ import annotations

import re
import shlex

import pytest
from google.cloud import iam_admin_v1
from google.iam.v1 import policy_pb2
from google.type import expr_pb2

from emulator.errors import permission_denied
from emulator.faults import Fault
from octue_action import permissions
from tests.resilience.clouds import Cloud, succeeded
from tests.resilience.states import PROJECT
from tests.resilience.worlds import PERSON, Worlds, change_policy
from tests.runs import Run

ROLE = f"{PROJECT}/roles/octue_deployer"
ADMIN = "roles/resourcemanager.projectIamAdmin"

WORLDS = {
    "artifactregistry.repositories.update": "drifted",
    "eventarc.triggers.delete": "moved",
    "eventarc.triggers.update": "drifted",
    "iam.serviceAccounts.update": "drifted",
    "pubsub.subscriptions.get": "complete",
    "pubsub.topics.update": "drifted",
    "run.services.getIamPolicy": "complete",
    "run.services.update": "drifted",
    "pubsub.topics.get": "complete",
    "resourcemanager.projects.getIamPolicy": "complete",
}
"""The world in which each permission is needed, where that is not the empty one."""

OF_MODES = {
    "destroy": permissions.DESTROY,
    "rollback": permissions.ROLL_BACK,
}


def let(cloud: Cloud, included: set[str]) -> None:
    """Let the deployer do just that."""
    request = iam_admin_v1.UpdateRoleRequest(
        name=ROLE,
        role=iam_admin_v1.Role(included_permissions=sorted(included)),
        update_mask={"paths": ["included_permissions"]},
    )
    cloud.world.iam.update_role(request, PERSON)


def may_not_grant(cloud: Cloud) -> None:
    """Take the conditional right to give Octue's role from the deployer."""

    def change(policy: policy_pb2.Policy) -> None:
        for place in reversed([n for n, binding in enumerate(policy.bindings) if binding.role == ADMIN]):
            del policy.bindings[place]

    change_policy(cloud, PROJECT, change)


def make_role(cloud: Cloud, role_id: str) -> None:
    """Make a custom role that allows next to nothing."""
    role = iam_admin_v1.Role(included_permissions=["resourcemanager.projects.get"])
    cloud.world.iam.create_role(iam_admin_v1.CreateRoleRequest(parent=PROJECT, role_id=role_id, role=role), PERSON)


def named(run: Run) -> list[str]:
    """The permissions that the run says are missing."""
    (error,) = run.errors
    return re.findall(r"^- ([\w.]+), to \w+", error, re.MULTILINE)


@pytest.mark.parametrize("permission", sorted(permissions.DEPLOY))
def test_of_a_deployment_just_the_missing_permission_is_named_and_nothing_is_changed(
    worlds: Worlds, permission: str
) -> None:
    with worlds.fresh(WORLDS.get(permission, "empty")) as cloud:
        let(cloud, {*permissions.DEPLOY} - {permission})
        if permission == "resourcemanager.projects.getIamPolicy":
            may_not_grant(cloud)  # what gives that right gives this permission, too

        run = cloud.deploy()

        # Who may not see the project's policy does not know either whether it has to be changed.
        beside = [permissions.GRANT] if permission == "resourcemanager.projects.getIamPolicy" else []
        assert run.code == 1
        assert named(run) == [permission, *beside]
        assert run.writes == []
        assert f"gcloud iam roles update octue_deployer --project=my-project --add-permissions={permission}" in [
            line.strip() for line in run.errors[0].splitlines()
        ]
        assert permission in run.summary


def test_with_just_the_listed_permissions_all_worlds_are_deployed_to(worlds: Worlds) -> None:
    for world in ("empty", "drifted", "moved"):
        with worlds.fresh(world) as cloud:
            let(cloud, {*permissions.DEPLOY})
            succeeded(cloud.deploy())


def test_who_may_not_give_octues_role_is_told_the_conditional_grant(worlds: Worlds) -> None:
    with worlds.fresh("empty") as cloud:
        may_not_grant(cloud)

        run = cloud.deploy()

        assert named(run) == [permissions.GRANT]
        assert run.writes == []
        command = shlex.split(run.errors[0].splitlines()[-1])
        assert command[:4] == ["gcloud", "projects", "add-iam-policy-binding", "my-project"]
        assert f"--role={ADMIN}" in command
        assert any("hasOnly(['projects/my-project/roles/octue_service_user'])" in word for word in command)


@pytest.mark.parametrize(("mode", "permission"), [(m, p) for m, listed in OF_MODES.items() for p in listed])
def test_of_each_mode_just_the_missing_permission_is_named(worlds: Worlds, mode: str, permission: str) -> None:
    inputs = {"destroy": {"confirm": "my-org-sum", "delete_topic": "true"}, "rollback": {}}[mode]
    with worlds.fresh("drifted" if mode == "rollback" else "complete") as cloud:
        if mode == "rollback":
            succeeded(cloud.deploy())
        let(cloud, {*permissions.DEPLOY, *permissions.DESTROY, *permissions.ROLL_BACK} - {permission})

        run = cloud.deploy({**inputs, "mode": mode})

        assert run.code == 1
        assert named(run) == [permission]
        assert run.writes == []

        let(cloud, {*permissions.DEPLOY, *permissions.DESTROY, *permissions.ROLL_BACK})
        succeeded(cloud.deploy({**inputs, "mode": mode}))


# A trigger is read by itself only where it changes while a run is under way: else what was listed is enough.
@pytest.mark.parametrize("permission", sorted({*permissions.PLAN} - {"eventarc.triggers.get"}))
def test_a_plan_needs_no_more_than_to_read(worlds: Worlds, permission: str) -> None:
    # Topics are listed where nothing says on which one the service is asked.
    with worlds.fresh("empty" if permission == "pubsub.topics.list" else "complete") as cloud:
        let(cloud, {*permissions.PLAN})
        may_not_grant(cloud)
        succeeded(cloud.deploy({"mode": "plan"}))
        let(cloud, {*permissions.PLAN} - {permission})

        run = cloud.deploy({"mode": "plan"})

        assert run.code == 1
        assert named(run) == [permission]


def test_all_that_is_missing_is_told_at_once(worlds: Worlds) -> None:
    with worlds.fresh("empty") as cloud:
        missing = {"eventarc.triggers.create", "iam.serviceAccounts.actAs", "pubsub.topics.create", "run.services.get"}
        let(cloud, {*permissions.DEPLOY} - missing)

        run = cloud.deploy()

        assert named(run) == sorted(missing)
        assert run.writes == []


def test_who_has_no_role_of_its_own_gets_one_with_just_that(worlds: Worlds) -> None:
    with worlds.fresh("empty") as cloud:

        def change(policy: policy_pb2.Policy) -> None:
            for binding in policy.bindings:
                if binding.role == ROLE:
                    binding.role = "roles/viewer"
            policy.bindings.add(
                role="roles/iam.securityReviewer", members=[f"serviceAccount:{cloud.world.iam.deployer}"]
            )

        change_policy(cloud, PROJECT, change)

        run = cloud.deploy()

        assert "pubsub.topics.create" in named(run)
        assert "gcloud iam roles create octue_deployer --project=my-project" in run.errors[0]
        assert "--role=projects/my-project/roles/octue_deployer --condition=None" in run.errors[0]
        assert "never set up" in run.errors[0]


GRANTS = {
    "its own, which another deployer has, too": policy_pb2.Binding(role=ROLE, members=["user:else@example.com"]),
    "Octue's": policy_pb2.Binding(role=f"{PROJECT}/roles/octue_service_user"),
    "one of others as well": policy_pb2.Binding(role=f"{PROJECT}/roles/theirs", members=["user:else@example.com"]),
    "one under a condition": policy_pb2.Binding(
        role=f"{PROJECT}/roles/sometimes", condition=expr_pb2.Expr(title="at times", expression="true")
    ),
}


@pytest.mark.parametrize("whose", GRANTS)
def test_to_a_role_that_others_have_or_that_holds_at_times_nothing_is_added(worlds: Worlds, whose: str) -> None:
    """Else whoever mends it for one deployer would let others do the same: every service, with Octue's role."""
    with worlds.fresh("empty") as cloud:
        let(cloud, {*permissions.DEPLOY} - {"pubsub.topics.create"})
        make_role(cloud, "theirs")
        make_role(cloud, "sometimes")

        def change(policy: policy_pb2.Policy) -> None:
            for binding in policy.bindings:
                if binding.role == ROLE:
                    binding.role = "roles/viewer"
            granted = policy.bindings.add()
            granted.CopyFrom(GRANTS[whose])
            granted.members.append(f"serviceAccount:{cloud.world.iam.deployer}")

        change_policy(cloud, PROJECT, change)

        run = cloud.deploy()

        changed = re.findall(r"gcloud iam roles \w+ ([\w.]+)", run.errors[0])
        free = "octue_deployer.2" if GRANTS[whose].role == ROLE else "octue_deployer"
        assert changed == [free, free]  # made, or extended where it is there


def test_a_role_of_the_callers_own_is_extended_whatever_its_name(worlds: Worlds) -> None:
    with worlds.fresh("empty") as cloud:
        make_role(cloud, "ours")

        def change(policy: policy_pb2.Policy) -> None:
            for binding in policy.bindings:
                if binding.role == ROLE:
                    binding.role = f"{PROJECT}/roles/ours"

        change_policy(cloud, PROJECT, change)

        run = cloud.deploy()

        assert re.findall(r"gcloud iam roles \w+ \w+", run.errors[0]) == ["gcloud iam roles update ours"]


@pytest.mark.parametrize("mode", ["deploy", "rollback", "destroy"])
def test_where_permissions_cannot_be_asked_for_the_run_goes_on(worlds: Worlds, mode: str) -> None:
    inputs = {"destroy": {"confirm": "my-org-sum", "delete_topic": "true"}}.get(mode, {})
    with worlds.fresh("drifted") as cloud:
        if mode != "deploy":
            succeeded(cloud.deploy())
        refusal = permission_denied("Some policy of the organisation forbids it.")
        cloud.world.faults.add(Fault(method="*Projects/TestIamPermissions", error=refusal, times=None))

        run = cloud.deploy({**inputs, "mode": mode})

        succeeded(run)
        cloud.world.faults.check()
        deployer = "deployer@my-project.iam.gserviceaccount.com"
        assert f"{deployer} has permissions in the project my-project that Google Cloud does not tell" in run.stdout


def test_a_rollback_that_may_not_look_is_told_what_a_rollback_takes_and_no_more(worlds: Worlds) -> None:
    with worlds.fresh("complete") as cloud:
        let(cloud, set())
        may_not_grant(cloud)

        run = cloud.deploy({"mode": "rollback"})

        assert set(named(run)) == {
            "artifactregistry.repositories.downloadArtifacts",
            "eventarc.triggers.list",
            "iam.serviceAccounts.actAs",
            "pubsub.topics.list",
            "run.operations.get",
            "run.revisions.list",
            "run.services.get",
            "run.services.update",
        }


def test_an_account_that_may_be_acted_as_by_its_own_policy_is_enough(worlds: Worlds) -> None:
    email = "mine-own@my-project.iam.gserviceaccount.com"
    with worlds.fresh("empty") as cloud:
        cloud.world.iam.create_service_account(
            iam_admin_v1.CreateServiceAccountRequest(name=PROJECT, account_id="mine-own"), PERSON
        )
        cloud.settle()
        cloud.inputs["runtime_service_account"] = email
        let(cloud, {*permissions.DEPLOY} - {"iam.serviceAccounts.actAs"})

        refused = cloud.deploy()

        command = (
            f"gcloud iam service-accounts add-iam-policy-binding {email} --project=my-project "
            "--member=serviceAccount:deployer@my-project.iam.gserviceaccount.com --role=roles/iam.serviceAccountUser"
        )
        assert named(refused) == ["iam.serviceAccounts.actAs"]
        assert refused.errors[0].splitlines()[-1] == command

        binding = policy_pb2.Binding(
            role="roles/iam.serviceAccountUser", members=[f"serviceAccount:{cloud.world.iam.deployer}"]
        )
        cloud.world.policies.set(f"{PROJECT}/serviceAccounts/{email}", policy_pb2.Policy(bindings=[binding]))
        succeeded(cloud.deploy())
