"""Resource Manager: the one project, and its policy that many others write too."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from google.cloud import resourcemanager_v3
from google.iam.v1 import iam_policy_pb2, policy_pb2
from google.type import expr_pb2

from emulator.errors import invalid_argument, permission_denied
from emulator.policies import CONDITIONS_VERSION
from emulator.rpc import Call

if TYPE_CHECKING:
    from emulator.world import World

# Each API's own account in the project, and the role it works with
# (https://cloud.google.com/iam/docs/service-agents).
_SERVICE_AGENTS = {
    "roles/artifactregistry.serviceAgent": "service-{number}@gcp-sa-artifactregistry.iam.gserviceaccount.com",
    "roles/cloudbuild.serviceAgent": "service-{number}@gcp-sa-cloudbuild.iam.gserviceaccount.com",
    "roles/eventarc.serviceAgent": "service-{number}@gcp-sa-eventarc.iam.gserviceaccount.com",
    "roles/pubsub.serviceAgent": "service-{number}@gcp-sa-pubsub.iam.gserviceaccount.com",
    "roles/run.serviceAgent": "service-{number}@serverless-robot-prod.iam.gserviceaccount.com",
}


class Projects:
    """``google.cloud.resourcemanager.v3.Projects``; begins with a policy in which others have their part."""

    SERVICES: ClassVar[tuple[str, ...]] = ("google.cloud.resourcemanager.v3.Projects",)

    def __init__(self, world: World) -> None:
        self._world = world
        settings = world.settings
        self.name = f"projects/{settings.project_id}"
        self._number_name = f"projects/{settings.project_number}"
        self._created = world.clock.now()
        policy = _seeded_policy(settings.project_number)
        if settings.is_set_up:
            policy.bindings.extend(_deployers_part(settings.project_id))
        world.policies.seed(self.name, policy)

    def get_project(self, request: resourcemanager_v3.GetProjectRequest, call: Call) -> resourcemanager_v3.Project:
        """The project, by id or number."""
        self._check(request.name)
        return resourcemanager_v3.Project(
            name=self._number_name,
            parent="organizations/987654321098",
            project_id=self._world.settings.project_id,
            state=resourcemanager_v3.Project.State.ACTIVE,
            display_name=self._world.settings.project_id,
            create_time=self._created,
            update_time=self._created,
            etag='W/"d41d8cd98f00b204"',
        )

    def get_iam_policy(self, request: iam_policy_pb2.GetIamPolicyRequest, call: Call) -> policy_pb2.Policy:
        """The project's policy, without conditions unless version 3 is asked for."""
        self._check(request.resource)
        return self._world.policies.get(self.name, request.options.requested_policy_version)

    def set_iam_policy(self, request: iam_policy_pb2.SetIamPolicyRequest, call: Call) -> policy_pb2.Policy:
        """Replace the project's policy; what ``allUsers`` may do is not said at this level."""
        self._check(request.resource)
        for binding in request.policy.bindings:
            if "allUsers" in binding.members:
                raise invalid_argument("Members allUsers and allAuthenticatedUsers cannot have roles on a project.")
        return self._world.policies.set(self.name, request.policy, request.update_mask)

    def test_iam_permissions(
        self,
        request: iam_policy_pb2.TestIamPermissionsRequest,
        call: Call,
    ) -> iam_policy_pb2.TestIamPermissionsResponse:
        """The permissions the caller has of those asked for."""
        self._check(request.resource)
        held = self._world.access.held(call, request.resource, request.permissions)
        return iam_policy_pb2.TestIamPermissionsResponse(permissions=held)

    def _check(self, name: str) -> None:
        if name not in {self.name, self._number_name}:
            raise permission_denied("The caller does not have permission")


def _deployers_part(project_id: str) -> list[policy_pb2.Binding]:
    """What the owner has let the deployer do: its own role, and to give Octue's role, and no other, to accounts."""
    deployer = f"serviceAccount:deployer@{project_id}.iam.gserviceaccount.com"
    octue_role = f"projects/{project_id}/roles/octue_service_user"
    only = expr_pb2.Expr(
        title="only-octues-role",
        expression=f"api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(['{octue_role}'])",
    )
    return [
        policy_pb2.Binding(role=f"projects/{project_id}/roles/octue_deployer", members=[deployer]),
        policy_pb2.Binding(role="roles/resourcemanager.projectIamAdmin", members=[deployer], condition=only),
    ]


def _seeded_policy(number: str) -> policy_pb2.Policy:
    bindings = [
        policy_pb2.Binding(role=role, members=[f"serviceAccount:{agent.format(number=number)}"])
        for role, agent in _SERVICE_AGENTS.items()
    ]
    bindings += [
        policy_pb2.Binding(
            role="roles/editor",
            members=[
                f"serviceAccount:{number}-compute@developer.gserviceaccount.com",
                f"serviceAccount:{number}@cloudservices.gserviceaccount.com",
            ],
        ),
        policy_pb2.Binding(role="roles/owner", members=["user:owner@example.com"]),
        policy_pb2.Binding(
            role="roles/viewer",
            members=["deleted:user:former@example.com?uid=123456789012345678901", "group:scientists@example.com"],
        ),
        policy_pb2.Binding(
            role="roles/storage.objectViewer",
            members=["user:guest@example.com"],
            condition=expr_pb2.Expr(
                title="until-2030",
                description="A guest's access ends with the project.",
                expression='request.time < timestamp("2030-01-01T00:00:00Z")',
            ),
        ),
    ]
    logged = policy_pb2.AuditLogConfig(log_type=policy_pb2.AuditLogConfig.DATA_WRITE)
    return policy_pb2.Policy(
        version=CONDITIONS_VERSION,
        bindings=bindings,
        audit_configs=[policy_pb2.AuditConfig(service="allServices", audit_log_configs=[logged])],
    )
