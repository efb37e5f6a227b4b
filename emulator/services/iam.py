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

from emulator.errors import (
    aborted,
    already_exists,
    invalid_argument,
    not_found,
    permission_denied,
    permission_error,
)
from emulator.rpc import SYSTEM, Call
from emulator.services.github_repositories import numeric_id

if TYPE_CHECKING:
    from emulator.world import World

_ACCOUNT_ID_LENGTHS = range(6, 31)
_ACCOUNT_ID = re.compile(r"[a-z][-a-z0-9]*[a-z0-9]")
_ROLE_ID = re.compile(r"[A-Za-z0-9_.]{3,64}")
_DESCRIPTION_LIMIT_BYTES = 256
_DISPLAY_NAME_LIMIT_BYTES = 100
_UPDATABLE = {"display_name", "displayName", "description"}

# What Octue's SDK does at run time, derived from its code.
_OCTUE_PERMISSIONS = (
    "pubsub.subscriptions.consume",
    "pubsub.subscriptions.create",
    "pubsub.subscriptions.delete",
    "pubsub.topics.attachSubscription",
    "pubsub.topics.create",
    "pubsub.topics.delete",
    "pubsub.topics.get",
    "pubsub.topics.publish",
    "secretmanager.versions.access",
)


# What a deployer does, to deploy, to take back, to ask, and to show logs.
_DEPLOYER_PERMISSIONS = (
    "artifactregistry.repositories.create",
    "artifactregistry.repositories.delete",
    "artifactregistry.repositories.downloadArtifacts",
    "artifactregistry.repositories.get",
    "artifactregistry.repositories.update",
    "artifactregistry.tags.get",
    "cloudbuild.builds.create",
    "cloudbuild.builds.get",
    "cloudbuild.builds.list",
    "eventarc.operations.get",
    "eventarc.triggers.create",
    "eventarc.triggers.delete",
    "eventarc.triggers.get",
    "eventarc.triggers.list",
    "eventarc.triggers.update",
    "iam.serviceAccounts.actAs",
    "iam.serviceAccounts.create",
    "iam.serviceAccounts.delete",
    "iam.serviceAccounts.get",
    "iam.serviceAccounts.update",
    "logging.logEntries.list",
    "pubsub.subscriptions.consume",
    "pubsub.subscriptions.create",
    "pubsub.subscriptions.delete",
    "pubsub.subscriptions.get",
    "pubsub.subscriptions.update",
    "pubsub.topics.attachSubscription",
    "pubsub.topics.create",
    "pubsub.topics.delete",
    "pubsub.topics.get",
    "pubsub.topics.list",
    "pubsub.topics.publish",
    "pubsub.topics.update",
    "resourcemanager.projects.getIamPolicy",
    "run.operations.get",
    "run.revisions.list",
    "run.services.create",
    "run.services.delete",
    "run.services.get",
    "run.services.getIamPolicy",
    "run.services.list",
    "run.services.setIamPolicy",
    "run.services.update",
)


@dataclass
class _Newness:
    """What decides whether an account that was made is read.

    :param made: seconds since the epoch.
    :param reads: how many there were since.
    """

    made: float
    reads: int = 0


class Iam:
    """``google.iam.admin.v1.IAM``; begins with the deployer account and the Octue role."""

    SERVICES: ClassVar[tuple[str, ...]] = ("google.iam.admin.v1.IAM",)

    def __init__(self, world: World) -> None:
        self._world = world
        self._project = f"projects/{world.settings.project_id}"
        self._domain = f"{world.settings.project_id}.iam.gserviceaccount.com"
        self._accounts: dict[str, iam_admin_v1.ServiceAccount] = {}
        self._new: dict[str, _Newness] = {}
        self._roles: dict[str, iam_admin_v1.Role] = {}
        self._lock = threading.RLock()
        self.deployer = self._seed_deployer()
        self._seed_role("octue_service_user", "octue-service-user", _OCTUE_PERMISSIONS)
        self._seed_role("octue_deployer", "Octue deployer", _DEPLOYER_PERMISSIONS)

    def find(self, account: str) -> iam_admin_v1.ServiceAccount | None:
        """The account of an e-mail address or unique id; ``None`` where there is none."""
        with self._lock:
            found = self._accounts.get(account)
            if found is None:
                found = next((other for other in self._accounts.values() if other.unique_id == account), None)
            return iam_admin_v1.ServiceAccount(found) if found is not None else None

    def knows_account(self, email: str) -> bool:
        """Whether a policy may name an account: one of this project must exist, others are taken on trust."""
        return not email.endswith(f"@{self._domain}") or self.find(email) is not None

    def is_older(self, email: str, seconds: float) -> bool:
        """Whether an account has been there for so many seconds; those that were not made here always have."""
        with self._lock:
            return self._age(email) >= seconds

    def knows_role(self, role: str) -> bool:
        """Whether a policy may name a role: one of this project must exist, others are taken on trust."""
        with self._lock:
            return not role.startswith(f"{self._project}/") or role in self._roles

    def permissions_of(self, role: str) -> frozenset[str] | None:
        """What a role of this project includes; None for any other role."""
        with self._lock:
            found = self._roles.get(role)
            return frozenset(found.included_permissions) if found is not None else None

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
        """A role of the project."""
        with self._lock:
            if request.name not in self._roles:
                raise not_found(f"The role named {request.name} was not found.")
            return iam_admin_v1.Role(self._roles[request.name])

    def create_role(self, request: iam_admin_v1.CreateRoleRequest, call: Call) -> iam_admin_v1.Role:
        """A new role of the project."""
        self._check_project(request.parent, "iam.roles.create", call)
        if not _ROLE_ID.fullmatch(request.role_id):
            raise invalid_argument(
                f"The role_id '{request.role_id}' must match [a-zA-Z0-9_.]{{3,64}}: a hyphen is not allowed."
            )
        name = f"{self._project}/roles/{request.role_id}"
        with self._lock:
            if name in self._roles:
                raise already_exists(f"A role named {request.role_id} in {self._project} already exists.")
            role = iam_admin_v1.Role(request.role)
            role.name, role.etag = name, secrets.token_bytes(8)
            self._roles[name] = role
            return iam_admin_v1.Role(role)

    def update_role(self, request: iam_admin_v1.UpdateRoleRequest, call: Call) -> iam_admin_v1.Role:
        """Change a role of the project: the fields of the mask."""
        with self._lock:
            role = self._roles.get(request.name)
            if role is None:
                raise not_found(f"The role named {request.name} was not found.")
            for path in request.update_mask.paths:
                setattr(role, path, getattr(request.role, path))
            role.etag = secrets.token_bytes(8)
            return iam_admin_v1.Role(role)

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

    def _seed_deployer(self) -> str:
        account = self._create("deployer", "Deployer of Octue services", "Impersonated by the trusted repository.")
        trusted = self._world.sts.principal_set("repository_id", numeric_id(self._world.settings.trusted))
        binding = policy_pb2.Binding(role="roles/iam.workloadIdentityUser", members=[trusted])
        self._world.policies.seed(account.name, policy_pb2.Policy(version=1, bindings=[binding]))
        return str(account.email)

    def _seed_role(self, role_id: str, title: str, included: tuple[str, ...]) -> None:
        name = f"{self._project}/roles/{role_id}"
        self._roles[name] = iam_admin_v1.Role(
            name=name,
            title=title,
            included_permissions=included,
            stage=iam_admin_v1.Role.RoleLaunchStage.GA,
            etag=secrets.token_bytes(8),
        )


def _check_texts(account: iam_admin_v1.ServiceAccount) -> None:
    if len(account.display_name.encode()) > _DISPLAY_NAME_LIMIT_BYTES:
        raise invalid_argument("The display name of a service account can have at most 100 bytes.")
    if len(account.description.encode()) > _DESCRIPTION_LIMIT_BYTES:
        raise invalid_argument("The description of a service account can have at most 256 bytes.")


def _number() -> str:
    return "1" + "".join(secrets.choice("0123456789") for _ in range(20))
