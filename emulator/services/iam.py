"""IAM: service accounts, their policies, and the project's own roles."""

from __future__ import annotations

import math
import re
import secrets
import threading
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar

from google.cloud import iam_admin_v1
from google.iam.v1 import iam_policy_pb2, policy_pb2
from google.protobuf.empty_pb2 import Empty

from emulator import known_permissions, project_setup
from emulator.errors import (
    aborted,
    already_exists,
    failed_precondition,
    invalid_argument,
    not_found,
    permission_denied,
    permission_error,
)
from emulator.rpc import SYSTEM, Call

if TYPE_CHECKING:
    from emulator.world import World

_ACCOUNT_ID_LENGTHS = range(6, 31)
_ACCOUNT_ID = re.compile(r"[a-z][-a-z0-9]*[a-z0-9]")
_ROLE_ID = re.compile(r"[A-Za-z0-9_.]{3,64}")
_ROLE_TITLE_LIMIT = 100
_ROLE_DESCRIPTION_LIMIT = 300
_ROLE_FIELDS = ["title", "description", "included_permissions", "stage"]
_ROLES_ON_A_PAGE = 300
_DAY = 24 * 60 * 60.0
_ROLE_CAN_BE_TAKEN_BACK = 7 * _DAY
_ROLE_ID_IS_TAKEN = 37 * _DAY
_DESCRIPTION_LIMIT_BYTES = 256
_DISPLAY_NAME_LIMIT_BYTES = 100
_UPDATABLE = {"display_name", "displayName", "description"}


@dataclass
class _Newness:
    """What decides whether an account that was made is read.

    :param made: seconds since the epoch.
    :param reads: how many there were since.
    """

    made: float
    reads: int = 0


class Iam:
    """``google.iam.admin.v1.IAM``."""

    SERVICES: ClassVar[tuple[str, ...]] = ("google.iam.admin.v1.IAM",)

    def __init__(self, world: World) -> None:
        self._world = world
        self._project = f"projects/{world.settings.project_id}"
        self._domain = f"{world.settings.project_id}.iam.gserviceaccount.com"
        self._accounts: dict[str, iam_admin_v1.ServiceAccount] = {}
        self._new: dict[str, _Newness] = {}
        self._roles: dict[str, iam_admin_v1.Role] = {}
        self._roles_deleted: dict[str, float] = {}
        self._lock = threading.RLock()

    @property
    def deployer(self) -> str:
        """E-mail address of the account that the trusted repository impersonates, where the project is set up."""
        return project_setup.deployer(self._world.settings)

    def find(self, account: str) -> iam_admin_v1.ServiceAccount | None:
        """The account of an e-mail address or unique id; ``None`` where there is none."""
        with self._lock:
            found = self._accounts.get(account)
            if found is None:
                found = next((other for other in self._accounts.values() if other.unique_id == account), None)
            return iam_admin_v1.ServiceAccount(found) if found is not None else None

    def knows_account(self, email: str) -> bool:
        """Whether a policy may name an account: those of this project must exist, others are taken on trust."""
        usage = self._world.service_usage
        if usage.is_agent(email):
            return usage.knows_agent(email)
        return not email.endswith(f"@{self._domain}") or self.find(email) is not None

    def is_older(self, email: str, seconds: float) -> bool:
        """Whether an account has been there for so many seconds; those that were not made here always have."""
        with self._lock:
            return self._age(email) >= seconds

    def knows_role(self, role: str) -> bool:
        """Whether a policy may name a role: one of this project must exist, others are taken on trust."""
        with self._lock:
            found = self._roles.get(role)
            return not role.startswith(f"{self._project}/") or (found is not None and not found.deleted)

    def has_lost_role(self, role: str) -> bool:
        """Whether a role of this project was deleted so long ago that policies do not name it any more."""
        return self._is_gone(role)

    def permissions_of(self, role: str) -> frozenset[str] | None:
        """What a role of this project includes; None for any other role."""
        with self._lock:
            found = self._roles.get(role)
            if found is None:
                return None
            return frozenset() if found.deleted else frozenset(found.included_permissions)

    def list_service_accounts(
        self, request: iam_admin_v1.ListServiceAccountsRequest, call: Call
    ) -> iam_admin_v1.ListServiceAccountsResponse:
        """All accounts of the project that are seen yet, on one page."""
        self._check_project(request.name, "iam.serviceAccounts.list", call)
        with self._lock:
            seen = [
                account
                for email, account in self._accounts.items()
                if call == SYSTEM or self._read_status(email) == HTTPStatus.OK
            ]
            return iam_admin_v1.ListServiceAccountsResponse(accounts=seen)

    def get_service_account(
        self, request: iam_admin_v1.GetServiceAccountRequest, call: Call
    ) -> iam_admin_v1.ServiceAccount:
        """One account, by e-mail address or unique id; a new one perhaps not yet."""
        with self._lock:
            account = self._account(request.name, "iam.serviceAccounts.get", call)
            status = self._read_status(account.email)
            if account.email in self._new:
                self._new[account.email].reads += 1
        if status == HTTPStatus.NOT_FOUND:
            raise not_found(f"Service account {account.name} does not exist.")
        if status == HTTPStatus.FORBIDDEN:
            raise permission_denied(*permission_error("iam.serviceAccounts.get", account.name))
        return account

    def create_service_account(
        self, request: iam_admin_v1.CreateServiceAccountRequest, call: Call
    ) -> iam_admin_v1.ServiceAccount:
        """A new account."""
        self._check_project(request.name, "iam.serviceAccounts.create", call)
        account_id = request.account_id
        if len(account_id) not in _ACCOUNT_ID_LENGTHS:
            raise invalid_argument(f'The account ID "{account_id}" does not have a length between 6 and 30.')
        if not _ACCOUNT_ID.fullmatch(account_id):
            raise invalid_argument(
                f'The account ID "{account_id}" must begin with a lowercase letter, and have only lowercase letters, '
                "digits and hyphens."
            )
        _check_texts(request.service_account)
        with self._lock:
            email = f"{account_id}@{self._domain}"
            if email in self._accounts:
                raise already_exists(f"Service account ID already exists within project {self._project}.")
            if call != SYSTEM:
                self._new[email] = _Newness(self._world.clock.time())
            return self._create(account_id, request.service_account.display_name, request.service_account.description)

    def patch_service_account(
        self, request: iam_admin_v1.PatchServiceAccountRequest, call: Call
    ) -> iam_admin_v1.ServiceAccount:
        """Change display name or description; the answer has the name and what was changed, as the real one does."""
        paths = set(request.update_mask.paths)
        if not paths or not paths <= _UPDATABLE:
            raise invalid_argument("update_mask: only display_name and description can be changed.")
        changed = self._change(request.service_account, paths, call)
        answer = iam_admin_v1.ServiceAccount(name=changed.name)
        if "description" in paths:
            answer.description = changed.description
        if paths & {"display_name", "displayName"}:
            answer.display_name = changed.display_name
        return answer

    def update_service_account(self, request: iam_admin_v1.ServiceAccount, call: Call) -> iam_admin_v1.ServiceAccount:
        """Change display name and description."""
        return self._change(request, _UPDATABLE, call)

    def delete_service_account(self, request: iam_admin_v1.DeleteServiceAccountRequest, call: Call) -> Empty:
        """Delete an account; policies that name it then say so."""
        with self._lock:
            account = self._account(request.name, "iam.serviceAccounts.delete", call)
            del self._accounts[account.email]
        self._world.policies.remove(account.name)
        self._world.policies.mark_deleted(account.email, account.unique_id)
        return Empty()

    def get_iam_policy(self, request: iam_policy_pb2.GetIamPolicyRequest, call: Call) -> policy_pb2.Policy:
        """The policy of an account: who may act as it."""
        account = self._account(request.resource, "iam.serviceAccounts.getIamPolicy", call)
        return self._world.policies.get(account.name, request.options.requested_policy_version)

    def set_iam_policy(self, request: iam_policy_pb2.SetIamPolicyRequest, call: Call) -> policy_pb2.Policy:
        """Replace the policy of an account."""
        account = self._account(request.resource, "iam.serviceAccounts.setIamPolicy", call)
        return self._world.policies.set(account.name, request.policy, request.update_mask)

    def test_iam_permissions(
        self, request: iam_policy_pb2.TestIamPermissionsRequest, call: Call
    ) -> iam_policy_pb2.TestIamPermissionsResponse:
        """The permissions the caller has of those asked for."""
        self._account(request.resource, "iam.serviceAccounts.get", call)
        held = self._world.access.held(call, request.resource, request.permissions)
        return iam_policy_pb2.TestIamPermissionsResponse(permissions=held)

    def get_role(self, request: iam_admin_v1.GetRoleRequest, call: Call) -> iam_admin_v1.Role:
        """A role of the project, also one that is deleted."""
        with self._lock:
            return iam_admin_v1.Role(self._role(request.name))

    def list_roles(self, request: iam_admin_v1.ListRolesRequest, call: Call) -> iam_admin_v1.ListRolesResponse:
        """The roles of the project; without what they include unless the full view is asked for."""
        self._check_project(request.parent, "iam.roles.list", call)
        with self._lock:
            roles = [
                iam_admin_v1.Role(role)
                for role in self._roles.values()
                if not self._is_gone(role.name) and (request.show_deleted or not role.deleted)
            ]
        if request.view != iam_admin_v1.RoleView.FULL:
            for role in roles:
                role.included_permissions = []
        first = int(request.page_token or 0)
        end = first + (request.page_size or _ROLES_ON_A_PAGE)
        return iam_admin_v1.ListRolesResponse(
            roles=roles[first:end], next_page_token=str(end) if end < len(roles) else ""
        )

    def create_role(self, request: iam_admin_v1.CreateRoleRequest, call: Call) -> iam_admin_v1.Role:
        """A new role of the project."""
        self._check_project(request.parent, "iam.roles.create", call)
        if not _ROLE_ID.fullmatch(request.role_id):
            raise invalid_argument(
                f"The role_id '{request.role_id}' must match [a-zA-Z0-9_.]{{3,64}}: a hyphen is not allowed."
            )
        _check_role(request.role)
        name = f"{self._project}/roles/{request.role_id}"
        with self._lock:
            if self._is_gone(name, _ROLE_ID_IS_TAKEN):
                del self._roles[name], self._roles_deleted[name]
            if self._is_gone(name):
                raise failed_precondition(
                    f"You can't create a role_id ({request.role_id}) which has been marked for deletion."
                )
            if name in self._roles_deleted:
                raise failed_precondition(
                    f"You can't create a role with role_id ({request.role_id}) where there is an existing role with "
                    "that role_id in a deleted state."
                )
            if name in self._roles:
                raise already_exists(f"A role named {request.role_id} in {self._project} already exists.")
            role = iam_admin_v1.Role(request.role)
            role.name, role.etag = name, secrets.token_bytes(8)
            self._roles[name] = role
            return iam_admin_v1.Role(role)

    def update_role(self, request: iam_admin_v1.UpdateRoleRequest, call: Call) -> iam_admin_v1.Role:
        """Change a role of the project: the fields of the mask, or all that are given."""
        _check_role(request.role)
        with self._lock:
            role = self._role(request.name, request.role.etag)
            if role.deleted:
                raise failed_precondition(f"You can't update role_id ({request.name}) because it is deleted.")
            paths = list(request.update_mask.paths) or _ROLE_FIELDS
            if not set(paths) <= set(_ROLE_FIELDS):
                raise invalid_argument(f"update_mask: only {', '.join(_ROLE_FIELDS)} of a role can be changed.")
            for path in paths:
                setattr(role, path, getattr(request.role, path))
            role.etag = secrets.token_bytes(8)
            return iam_admin_v1.Role(role)

    def delete_role(self, request: iam_admin_v1.DeleteRoleRequest, call: Call) -> iam_admin_v1.Role:
        """Delete a role: it grants nothing any more, and can be taken back for 7 days."""
        return self._mark_role(request.name, request.etag, deleted=True)

    def undelete_role(self, request: iam_admin_v1.UndeleteRoleRequest, call: Call) -> iam_admin_v1.Role:
        """Take a role back."""
        return self._mark_role(request.name, request.etag, deleted=False)

    def query_testable_permissions(
        self, request: iam_admin_v1.QueryTestablePermissionsRequest, call: Call
    ) -> iam_admin_v1.QueryTestablePermissionsResponse:
        """The permissions that a role of the project may include, on one page; gcloud looks before it makes a role."""
        # gcloud names the host at which it reaches Resource Manager, which is the emulator's.
        project = "/".join(request.full_resource_name.split("/")[-2:])
        self._check_project(project, "resourcemanager.projects.get", call)
        stage = iam_admin_v1.Permission.PermissionLaunchStage.GA
        listed = [iam_admin_v1.Permission(name=name, stage=stage) for name in sorted(known_permissions.KNOWN)]
        return iam_admin_v1.QueryTestablePermissionsResponse(permissions=listed)

    def _mark_role(self, name: str, etag: bytes, *, deleted: bool) -> iam_admin_v1.Role:
        with self._lock:
            role = self._role(name, etag)
            if role.deleted == deleted:
                raise failed_precondition(f"The role {name} is {'already' if deleted else 'not'} deleted.")
            role.deleted, role.etag = deleted, secrets.token_bytes(8)
            if deleted:
                self._roles_deleted[role.name] = self._world.clock.time()
            else:
                del self._roles_deleted[role.name]
            return iam_admin_v1.Role(role)

    def _is_gone(self, role: str, seconds: float = _ROLE_CAN_BE_TAKEN_BACK) -> bool:
        """Whether a role was deleted so long ago that nobody sees it any more."""
        return self._world.clock.time() - self._roles_deleted.get(role, math.inf) >= seconds

    def _role(self, name: str, etag: bytes = b"") -> iam_admin_v1.Role:
        number_name = f"projects/{self._world.settings.project_number}/"
        role = self._roles.get(name.replace(number_name, f"{self._project}/", 1))
        if role is None or self._is_gone(role.name):
            raise not_found(f"The role named {name} was not found.")
        if etag and etag != role.etag:
            raise aborted("There were concurrent role changes. Please retry the whole read-modify-write.")
        return role

    def _account(self, name: str, permission: str, call: Call) -> iam_admin_v1.ServiceAccount:
        parent, _, account = name.rpartition("/serviceAccounts/")
        self._check_project(parent, permission, call)
        found = self.find(account)
        if found is None:
            raise not_found("Unknown service account")
        return found

    def _age(self, email: str) -> float:
        new = self._new.get(email)
        return self._world.clock.time() - new.made if new else math.inf

    def _read_status(self, email: str) -> HTTPStatus:
        """What the next read of an account is answered with."""
        new = self._new.get(email)
        return self._world.propagation.account_read(new.reads, self._age(email)) if new else HTTPStatus.OK

    def _check_project(self, name: str, permission: str, call: Call) -> None:
        own = {self._project, f"projects/{self._world.settings.project_number}", "projects/-"}
        if name not in own:
            raise permission_denied(*permission_error(permission, f"{name} for {call.principal}"))

    def _create(self, account_id: str, display_name: str, description: str) -> iam_admin_v1.ServiceAccount:
        email = f"{account_id}@{self._domain}"
        unique_id = _number()
        account = iam_admin_v1.ServiceAccount(
            name=f"{self._project}/serviceAccounts/{email}",
            project_id=self._world.settings.project_id,
            unique_id=unique_id,
            email=email,
            display_name=display_name,
            description=description,
            etag=secrets.token_bytes(8),
            oauth2_client_id=unique_id,
        )
        self._accounts[email] = account
        return iam_admin_v1.ServiceAccount(account)

    def _change(self, wanted: iam_admin_v1.ServiceAccount, paths: set[str], call: Call) -> iam_admin_v1.ServiceAccount:
        _check_texts(wanted)
        with self._lock:
            account = self._account(wanted.name, "iam.serviceAccounts.update", call)
            if wanted.etag and wanted.etag != account.etag:
                raise aborted("The service account was changed by somebody else. Read it again and repeat the change.")
            if "description" in paths:
                account.description = wanted.description
            if paths & {"display_name", "displayName"}:
                account.display_name = wanted.display_name
            account.etag = secrets.token_bytes(8)
            self._accounts[account.email] = account
            return iam_admin_v1.ServiceAccount(account)


def _check_role(role: iam_admin_v1.Role) -> None:
    if len(role.title) > _ROLE_TITLE_LIMIT:
        raise invalid_argument(f"The title of a role can have at most {_ROLE_TITLE_LIMIT} characters.")
    if len(role.description) > _ROLE_DESCRIPTION_LIMIT:
        raise invalid_argument(f"The description of a role can have at most {_ROLE_DESCRIPTION_LIMIT} characters.")
    for permission in role.included_permissions:
        if permission not in known_permissions.KNOWN:
            raise invalid_argument(f"Permission {permission} is not valid.")


def _check_texts(account: iam_admin_v1.ServiceAccount) -> None:
    if len(account.display_name.encode()) > _DISPLAY_NAME_LIMIT_BYTES:
        raise invalid_argument("The display name of a service account can have at most 100 bytes.")
    if len(account.description.encode()) > _DESCRIPTION_LIMIT_BYTES:
        raise invalid_argument("The description of a service account can have at most 256 bytes.")


def _number() -> str:
    return "1" + "".join(secrets.choice("0123456789") for _ in range(20))
