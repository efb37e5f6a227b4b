"""IAM policies of all resources, with the etags, versions and checks of the real ones."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection
from typing import TYPE_CHECKING

from google.iam.v1 import policy_pb2
from google.protobuf.field_mask_pb2 import FieldMask

from emulator.errors import aborted, invalid_argument

if TYPE_CHECKING:
    from emulator.world import World

CONDITIONS_VERSION = 3
_EMPTY_ETAG = b"\x00\x20\x01"  # "ACAB", what Google answers for a policy that nobody has written
_CONDITION_MARK = "_withcond_"
_MEMBER_PREFIXES = (
    "allUsers",
    "allAuthenticatedUsers",
    "deleted:",
    "domain:",
    "group:",
    "principal://",
    "principalSet://",
    "projectEditor:",
    "projectOwner:",
    "projectViewer:",
    "serviceAccount:",
    "user:",
)


class Policies:
    """The policies by relative resource name, ``projects/P/topics/T``.

    :param world: whose accounts and roles a policy may name.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._policies: dict[str, policy_pb2.Policy] = {}
        self._writes = 0
        self._lock = threading.RLock()

    def bindings(self, resource_name: str) -> list[policy_pb2.Binding]:
        """What a policy grants, for whoever must know who may do what; nobody's request."""
        with self._lock:
            return list(self._policies.get(resource_name, policy_pb2.Policy()).bindings)

    def get(self, resource_name: str, requested_version: int = CONDITIONS_VERSION) -> policy_pb2.Policy:
        """The policy of a resource, without roles that are deleted for good; an empty one where nobody has set any.

        :param resource_name: relative, without the API's host.
        :param requested_version: below 3, conditions are left out and the roles of their bindings marked
            (https://cloud.google.com/iam/docs/policies#versions).
        """
        with self._lock:
            policy = policy_pb2.Policy()
            policy.CopyFrom(self._policies.get(resource_name, policy_pb2.Policy(etag=_EMPTY_ETAG)))
        for place, binding in reversed(list(enumerate(policy.bindings))):
            if self._world.iam.has_lost_role(binding.role):
                del policy.bindings[place]
        if requested_version < CONDITIONS_VERSION and _has_conditions(policy):
            _hide_conditions(policy)
        return policy

    def set(
        self, resource_name: str, policy: policy_pb2.Policy, update_mask: FieldMask | None = None
    ) -> policy_pb2.Policy:
        """Replace the policy of a resource and give the new one.

        :param resource_name: relative, without the API's host.
        :param policy: with the etag of the policy it was made from; without etag it overwrites whatever is there.
        :param update_mask: fields to replace; bindings and etag where it names none.
        :raises ApiError: ABORTED when somebody else has written since; INVALID_ARGUMENT for members or roles that
            do not exist, and for conditions in a policy below version 3.
        """
        self._check_members(policy)
        with self._lock:
            current = self.get(resource_name)
            _check_etag(policy, current)
            _check_version(policy, current)
            changed = policy_pb2.Policy(audit_configs=current.audit_configs, bindings=current.bindings)
            paths = _paths(update_mask)
            if "bindings" in paths:
                del changed.bindings[:]
                changed.bindings.extend(_merged(policy.bindings))
            if "audit_configs" in paths:
                del changed.audit_configs[:]
                changed.audit_configs.extend(policy.audit_configs)
            changed.version = CONDITIONS_VERSION if _has_conditions(changed) else 1
            self._store(resource_name, changed)
            return self.get(resource_name)

    def seed(self, resource_name: str, policy: policy_pb2.Policy) -> None:
        """Put a policy there as it is, unchecked, as if it had been there before."""
        with self._lock:
            self._store(resource_name, policy)

    def members(self, resource_name: str, role: str) -> frozenset[str]:
        """The members that have a role on a resource without condition."""
        bindings = self.get(resource_name).bindings
        return frozenset(
            member
            for binding in bindings
            for member in binding.members
            if binding.role == role and not binding.condition.expression
        )

    def grants(self, resource_name: str, roles: Collection[str], members: Collection[str]) -> bool:
        """Whether any of the members has any of the roles on a resource, without condition."""
        return any(not self.members(resource_name, role).isdisjoint(members) for role in roles)

    def remove(self, resource_name: str) -> None:
        """Forget the policy of a resource that is deleted."""
        with self._lock:
            self._policies.pop(resource_name, None)

    def mark_deleted(self, email: str, unique_id: str) -> None:
        """Name a service account as deleted wherever it is a member, as Google does.

        :param email: the account's.
        :param unique_id: the account's number, which tells it from a later one of the same name.
        """
        old, new = f"serviceAccount:{email}", f"deleted:serviceAccount:{email}?uid={unique_id}"
        with self._lock:
            for resource_name, policy in list(self._policies.items()):
                if not any(old in binding.members for binding in policy.bindings):
                    continue
                for binding in policy.bindings:
                    members = [new if member == old else member for member in binding.members]
                    binding.members[:] = members
                self._store(resource_name, policy)

    def names(self) -> list[str]:
        """The resources that have a policy, sorted."""
        with self._lock:
            return sorted(self._policies)

    def _store(self, resource_name: str, policy: policy_pb2.Policy) -> None:
        self._writes += 1
        stored = policy_pb2.Policy()
        stored.CopyFrom(policy)
        stored.etag = b"\x07" + hashlib.sha256(f"{resource_name} {self._writes}".encode()).digest()[:7]
        self._policies[resource_name] = stored

    def _check_members(self, policy: policy_pb2.Policy) -> None:
        for binding in policy.bindings:
            if _CONDITION_MARK in binding.role:
                raise invalid_argument(f"Role {binding.role} is not supported for this resource.")
            if not self._world.iam.knows_role(binding.role):
                raise invalid_argument(f"Role {binding.role} does not exist in the resource's hierarchy.")
            for member in binding.members:
                if not member.startswith(_MEMBER_PREFIXES):
                    raise invalid_argument(f"Invalid member: {member}.")
                kind, _, email = member.partition(":")
                if kind == "serviceAccount" and not self._sees_account(email):
                    raise invalid_argument(f"Service account {email} does not exist.")

    def _sees_account(self, email: str) -> bool:
        iam, seconds = self._world.iam, self._world.propagation.accounts_in_policies
        return iam.knows_account(email) and iam.is_older(email, seconds)


def _check_etag(policy: policy_pb2.Policy, current: policy_pb2.Policy) -> None:
    if policy.etag and policy.etag != current.etag:
        raise aborted(
            "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff."
        )


def _check_version(policy: policy_pb2.Policy, current: policy_pb2.Policy) -> None:
    # policy.proto: any change of a policy that has conditions needs version 3, unless the etag is left out: then the
    # conditions are lost.
    if policy.version not in (0, 1, CONDITIONS_VERSION):
        raise invalid_argument(f"Invalid policy version {policy.version}.")
    if policy.version == CONDITIONS_VERSION:
        return
    if _has_conditions(policy) or (policy.etag and _has_conditions(current)):
        raise invalid_argument("Specified policy version is invalid for a policy with conditions: it must be 3.")


def replaces_bindings(update_mask: FieldMask | None) -> bool:
    """Whether a change with this mask is one of who has which role."""
    return "bindings" in _paths(update_mask)


def _paths(update_mask: FieldMask | None) -> set[str]:
    paths = set(update_mask.paths) if update_mask is not None else set()
    return {path.replace("auditConfigs", "audit_configs") for path in paths} or {"bindings", "etag"}


def _has_conditions(policy: policy_pb2.Policy) -> bool:
    return any(binding.condition.expression for binding in policy.bindings)


def _hide_conditions(policy: policy_pb2.Policy) -> None:
    policy.version = 1
    for binding in policy.bindings:
        if binding.condition.expression:
            mark = hashlib.sha256(binding.condition.SerializeToString(deterministic=True)).hexdigest()[:20]
            binding.role = f"{binding.role}{_CONDITION_MARK}{mark}"
            binding.ClearField("condition")


def _merged(bindings: Collection[policy_pb2.Binding]) -> list[policy_pb2.Binding]:
    """One binding per role and condition, each member once, none without members."""
    merged: dict[tuple[str, bytes], policy_pb2.Binding] = {}
    for binding in bindings:
        key = (binding.role, binding.condition.SerializeToString(deterministic=True))
        kept = merged.setdefault(key, policy_pb2.Binding(role=binding.role))
        if binding.HasField("condition"):
            kept.condition.CopyFrom(binding.condition)
        kept.members.extend(member for member in dict.fromkeys(binding.members) if member not in kept.members)
    return [binding for binding in merged.values() if binding.members]
