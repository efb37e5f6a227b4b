"""Resource Manager: the one project, and its policy that many others write too."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from google.cloud import resourcemanager_v3
from google.iam.v1 import iam_policy_pb2, policy_pb2

from emulator.errors import invalid_argument, permission_denied
from emulator.rpc import Call

if TYPE_CHECKING:
    from emulator.world import World

OWNER = "user:owner@example.com"
"""Who made the project."""


class Projects:
    """``google.cloud.resourcemanager.v3.Projects``; begins with an owner."""

    SERVICES: ClassVar[tuple[str, ...]] = ("google.cloud.resourcemanager.v3.Projects",)

    def __init__(self, world: World) -> None:
        self._world = world
        settings = world.settings
        self.name = f"projects/{settings.project_id}"
        self._number_name = f"projects/{settings.project_number}"
        self._created = world.clock.now()
        owner = policy_pb2.Binding(role="roles/owner", members=[OWNER])
        world.policies.seed(self.name, policy_pb2.Policy(version=1, bindings=[owner]))

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
