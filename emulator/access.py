"""Who may do what: each call is held against the caller's roles, as Google's IAM does it."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import celpy
from celpy import celtypes
from celpy.celparser import CELParseError
from celpy.evaluation import CELEvalError
from google.iam.v1 import policy_pb2

from emulator import permissions, roles
from emulator.errors import ApiError, invalid_argument, permission_denied, permission_error
from emulator.permissions import Demand
from emulator.policies import replaces_bindings
from emulator.rpc import ANONYMOUS, SYSTEM, Call

if TYPE_CHECKING:
    from emulator.world import World

MODIFIED_GRANTS = "iam.googleapis.com/modifiedGrantsByRole"
"""The roles whose members a change of a policy changes (cloud.google.com/iam/docs/setting-limits-on-granting-roles)."""

MOST_TESTED = 100
"""Permissions in one request, says cloud.google.com/resource-manager/reference/rest/v3/projects/testIamPermissions."""

EVERYBODY = frozenset({"allUsers", "allAuthenticatedUsers"})
_SET_PROJECT_POLICY = "google.cloud.resourcemanager.v3.Projects/SetIamPolicy"
_NONE_FOR_OPERATIONS = ("cloudbuild", "artifactregistry", "serviceusage")


class Access:
    """What callers may do.

    :param world: whose policies and roles say so.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def check(self, name: str, request: Any, call: Call) -> None:
        """Refuse a call whose caller lacks a permission for it.

        :param name: full name of the method.
        :param request: its message.
        :raises ApiError: PERMISSION_DENIED, in the words of the API.
        """
        if call.principal in {SYSTEM.principal, ANONYMOUS}:
            return  # nobody's token is checked before: only Pub/Sub lets them in
        attributes = self._attributes(name, request)
        for demand in map(self._of_operation, permissions.demands(name, request)):
            if demand is not None and not self.holds(call, demand.permission, demand.resource, attributes):
                raise _refusal(name, demand)

    def held(self, call: Call, resource: str, asked: Iterable[str]) -> list[str]:
        """Those of the permissions that the caller has on something.

        :raises ApiError: INVALID_ARGUMENT for too many of them, and for wildcards.
        """
        listed = list(asked)
        if len(listed) > MOST_TESTED or any("*" in permission for permission in listed):
            raise invalid_argument(f"At most {MOST_TESTED} permissions can be tested, and none with a wildcard.")
        return [permission for permission in listed if self.holds(call, permission, resource)]

    def holds(
        self, call: Call, permission: str, resource: str, attributes: Mapping[str, Iterable[str]] | None = None
    ) -> bool:
        """Whether a caller has a permission on something, by its own policy or that of what it is in.

        :param resource: relative name.
        :param attributes: of the call, which conditions may look at.
        """
        if call == SYSTEM:
            return True
        members = {call.principal, *call.members, *EVERYBODY}
        return any(
            self._includes(binding.role, permission)
            and not members.isdisjoint(binding.members)
            and (
                not binding.condition.expression
                or self._is_met(binding.condition.expression, resource, attributes or {})
            )
            for owner in self._owners(resource)
            for binding in self._world.policies.bindings(owner)
        )

    def _owners(self, resource: str) -> list[str]:
        """The thing itself and all that it is in, up to the project, by their names."""
        parts = resource.split("/")
        project = self._world.projects.name
        if parts[0] != "projects":
            return [project]  # what is named by a project's id beside it
        parts[:2] = project.split("/")
        if parts[-2:-1] == ["serviceAccounts"] and (account := self._world.iam.find(parts[-1])) is not None:
            return [str(account.name), project]
        return ["/".join(parts[:end]) for end in range(len(parts), 1, -2)]

    def _includes(self, role: str, permission: str) -> bool:
        custom = self._world.iam.permissions_of(role)
        return permission in custom if custom is not None else roles.includes(role, permission)

    def _of_operation(self, demand: Demand) -> Demand | None:
        """The permission to look at an operation is that of its API; some ask for none."""
        if demand.permission != "operations.get":
            return demand
        kind = self._world.operations.kind(demand.resource).partition(" ")[0].replace("cloud_run", "run")
        api = kind.replace("_", "")
        return None if api not in {"run", "eventarc"} else Demand(f"{api}.operations.get", demand.resource)

    def _attributes(self, name: str, request: Any) -> dict[str, Iterable[str]]:
        if name != _SET_PROJECT_POLICY:
            return {}
        before = self._world.policies.bindings(self._world.projects.name)
        after = request.policy.bindings if replaces_bindings(request.update_mask) else before
        changed = _grants(before) ^ _grants(after)
        return {MODIFIED_GRANTS: sorted({role for role, _, _ in changed})}

    def _is_met(self, expression: str, resource: str, attributes: Mapping[str, Iterable[str]]) -> bool:
        """Whether a condition holds; one that cannot be evaluated grants nothing."""
        given = {
            "api": celtypes.MapType(
                {
                    celtypes.StringType(name): celtypes.ListType([celtypes.StringType(value) for value in values])
                    for name, values in attributes.items()
                }
            ),
            "request": celtypes.MapType(
                {celtypes.StringType("time"): celtypes.TimestampType(self._world.clock.now().isoformat())}
            ),
            "resource": celtypes.MapType({celtypes.StringType("name"): celtypes.StringType(resource)}),
        }
        try:
            return bool(_program(expression).evaluate(given))
        except (CELEvalError, CELParseError, TypeError, ValueError):
            return False


def _get_attribute(api: Any, name: Any, default: Any) -> Any:
    return api.get(name, default)


def _has_only(values: Any, allowed: Any) -> Any:
    return celtypes.BoolType(all(value in allowed for value in values))


@functools.lru_cache
def _program(expression: str) -> Any:
    environment = celpy.Environment()
    functions: Any = {"getAttribute": _get_attribute, "hasOnly": _has_only}
    return environment.program(environment.compile(expression), functions=functions)


def _grants(bindings: Iterable[policy_pb2.Binding]) -> set[tuple[str, str, bytes]]:
    return {
        (binding.role, member, binding.condition.SerializeToString(deterministic=True))
        for binding in bindings
        for member in binding.members
    }


_WORDS = {
    "google.cloud.run.": "Permission '{permission}' denied on resource '{resource}' (or resource may not exist).",
    "google.pubsub.": "User not authorized to perform this action.",
    "google.cloud.eventarc.": 'Permission "{permission}" denied on "{resource}"',
    "google.devtools.artifactregistry.": (
        'Permission "{permission}" denied on resource "{resource}" (or it may not exist).'
    ),
    "google.devtools.cloudbuild.": "The caller does not have permission",
    "google.cloud.resourcemanager.": "The caller does not have permission",
}
"""How each API refuses, as recorded or reported; some do not say what is missing. All others: ``permission_error``."""


def _refusal(name: str, demand: Demand) -> ApiError:
    if demand.permission == permissions.ACT_AS:
        email = demand.resource.rpartition("/")[2]
        return permission_denied(
            f"Permission 'iam.serviceaccounts.actAs' denied on service account {email} (or it may not exist)."
        )
    words = next((words for api, words in _WORDS.items() if name.startswith(api)), None)
    if words is None:
        return permission_denied(*permission_error(demand.permission, demand.resource))
    return permission_denied(words.format(permission=demand.permission, resource=demand.resource))
