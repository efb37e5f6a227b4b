"""One member's role on one thing: added to the policy that is there, which is never rewritten."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from octue_action.failure import Failure, GoogleError
from octue_action.quirks import (
    BAD_REQUEST,
    POOL_NOT_YET_IN_POLICIES,
    ROLE_NOT_YET_IN_POLICIES,
    SERVICE_ACCOUNT_NOT_YET_IN_POLICIES,
    Quirk,
    names,
)
from octue_action.resource import Entry, Mark, Permissions

if TYPE_CHECKING:
    from google.iam.v1.policy_pb2 import Policy

    from octue_action.google import Google

POLICY_VERSION = 3
"""The only version in which bindings with conditions survive being read and written."""


@dataclass(frozen=True)
class Condition:
    """Under which a role is granted.

    :param title: for people.
    :param expression: CEL, what counts.
    """

    title: str
    expression: str


EVERYONE = frozenset({"allUsers", "allAuthenticatedUsers"})


@dataclass(frozen=True, kw_only=True)
class IamMember(Entry):
    """A role granted to a member on a project, a Cloud Run service or a service account.

    :param resource: relative name, ``projects/P``, ``projects/P/locations/R/services/S`` or
        ``projects/P/serviceAccounts/E``.
    :param role: ``roles/run.invoker`` or ``projects/P/roles/R``.
    :param member: ``serviceAccount:E``, or ``principalSet://iam.googleapis.com/POOL/attribute.A/V``.
    :param condition: under which; the same role without it, or under another one, is another grant.
    :param granted: whether the member has the role.
    :param public: of an actual one: the grants to everyone on the internet, as ``--member=M --role=R``.
    :param may_be_public: whether that is wanted.
    :param member_may_be_new: whether policies may not know the member yet, because this deployment makes it.
    :param role_may_be_new: the same of the role; one that is not there is refused in the same words, for ever.
    """

    kind: ClassVar[str] = "iam_member"
    title: ClassVar[str] = "IAM member"

    resource: Annotated[str, Mark.IDENTITY]
    role: Annotated[str, Mark.IDENTITY]
    member: Annotated[str, Mark.IDENTITY]
    condition: Annotated[Condition | None, Mark.IDENTITY] = None
    granted: bool = True
    public: Annotated[tuple[str, ...], Mark.OUTPUT] = ()
    may_be_public: Annotated[bool, Mark.IDENTITY] = False
    member_may_be_new: Annotated[bool, Mark.IDENTITY] = True
    role_may_be_new: Annotated[bool, Mark.IDENTITY] = False

    @property
    def name(self) -> str:
        role, resource = self.role.rpartition("/")[2], self.resource.rpartition("/")[2]
        member = self.member.partition("/attribute.")[2] or self.member.partition(":")[2]
        under = f" ({self.condition.title})" if self.condition else ""
        return f"{role} on {resource} for {member}{under}"

    @property
    def console_url(self) -> str:
        _, project, *path = self.resource.split("/")
        match path:
            case ["locations", location, "services", service]:
                return f"https://console.cloud.google.com/run/detail/{location}/{service}/security?project={project}"
            case ["serviceAccounts", email]:
                return (
                    f"https://console.cloud.google.com/iam-admin/serviceaccounts/details/{email}/permissions"
                    f"?project={project}"
                )
        return f"https://console.cloud.google.com/iam-admin/iam?project={project}"

    @property
    def is_there(self) -> bool:
        return self.granted

    @property
    def permissions(self) -> Permissions:
        apis = {"services": "run.services", "serviceAccounts": "iam.serviceAccounts"}
        of = apis.get(self.resource.split("/")[-2], "resourcemanager.projects")
        write = (f"{of}.setIamPolicy",)
        return Permissions(read=(f"{of}.getIamPolicy",), create=write, update=write, delete=write)

    @property
    def own_policy(self) -> str:
        return self.resource if self.resource.count("/") > 1 else ""

    @property
    def entry_of(self) -> str:
        return f"policy of {self.resource}"

    @classmethod
    def read_together(cls, google: Google, entries: Sequence[Self]) -> Sequence[Self]:
        resource = entries[0].resource
        with google.policy_lock(resource):
            policy = google.policies[resource] = read_policy(google, resource)
        return [entry._canonical(policy) for entry in entries]

    @classmethod
    def write_together(cls, google: Google, entries: Sequence[Self]) -> Sequence[Self]:
        policy = _change(google, entries, add_member)
        return [entry._canonical(policy) for entry in entries]

    @classmethod
    def delete_together(cls, google: Google, entries: Sequence[Self]) -> None:
        _change(google, entries, remove_member)

    def is_named_in(self, failure: Failure) -> bool:
        is_for_one = isinstance(failure, GoogleError) and failure.status in {*BAD_REQUEST, "NOT_FOUND"}
        return is_for_one and any(names(failure, name) for name in (self.member.partition(":")[2], self.role))

    @property
    def passing(self) -> tuple[Quirk, ...]:
        of_member = (SERVICE_ACCOUNT_NOT_YET_IN_POLICIES, POOL_NOT_YET_IN_POLICIES) if self.member_may_be_new else ()
        # The same policy may name a role of somebody else's that is deleted, which does not pass.
        of_role = (ROLE_NOT_YET_IN_POLICIES.naming(self.role),) if self.role_may_be_new else ()
        return of_member + of_role

    def refusals(self, actual: Self, *, adopt: bool) -> tuple[Failure, ...]:
        if not actual.public or self.may_be_public:
            return ()
        _, project, _, location, _, service = self.resource.split("/")
        commands = "\n".join(
            f"gcloud run services remove-iam-policy-binding {service} --region={location} --project={project} {grant}"
            for grant in actual.public
        )
        message = (
            f"Everyone on the internet may call the service `{service}`, and the step does not say `ingress: all`."
        )
        return (Failure(message, commands),)

    def _canonical(self, policy: Policy) -> Self:
        return replace(
            self,
            granted=any(self.member in binding.members for binding in _granting(policy, self.role, self.condition)),
            public=_public_grants(policy) if "/services/" in self.resource else (),
        )


def _change(
    google: Google, entries: Sequence[IamMember], change: Callable[[Policy, str, str, Condition | None], bool]
) -> Policy:
    """Change the one policy that all entries are of, and give it as it then is.

    :param change: makes the change for one entry, in place, and says whether it was one.
    """
    resource = entries[0].resource

    def changes(policy: Policy) -> bool:
        return sum(change(policy, entry.role, entry.member, entry.condition) for entry in entries) > 0

    with google.policy_lock(resource):
        policy = google.policies.pop(resource, None)
        # Written upon what was read last; where that is old by now, Google refuses it with a conflict.
        is_changed = policy is not None and changes(policy)
        if policy is None or not is_changed:
            policy = read_policy(google, resource)
            is_changed = changes(policy)
        if is_changed:
            policy = _write_policy(google, resource, policy)
        google.policies[resource] = policy
    return policy


def _write_policy(google: Google, resource: str, policy: Policy) -> Policy:
    from google.iam.v1 import iam_policy_pb2

    policy.version = POLICY_VERSION
    # Without a mask the API takes bindings and etag, and leaves the audit configuration as it is.
    request = iam_policy_pb2.SetIamPolicyRequest(resource=resource, policy=policy)
    try:
        return google.write(google.policy_client(resource).set_iam_policy, request)
    except GoogleError as error:
        # Who may change certain roles alone is held against the policy as it is by now: what somebody else has
        # granted since we read it would look as if we took it away.
        if error.status != "PERMISSION_DENIED" or read_policy(google, resource).etag == policy.etag:
            raise
        raise GoogleError(error.method, "ABORTED", "The policy was changed in the meantime.") from error


def read_policy(google: Google, resource: str) -> Policy:
    """The IAM policy of something, with its conditions.

    :param resource: relative name.
    :raises GoogleError: where it may not be read.
    """
    from google.iam.v1 import iam_policy_pb2

    request = iam_policy_pb2.GetIamPolicyRequest(resource=resource)
    request.options.requested_policy_version = POLICY_VERSION
    return google.read(google.policy_client(resource).get_iam_policy, request)


def add_member(policy: Policy, role: str, member: str, condition: Condition | None = None) -> bool:
    """Grant the role to the member, in place, leaving all else as it is.

    :returns: whether the policy was changed.
    """
    granted = _granting(policy, role, condition)
    if any(member in binding.members for binding in granted):
        return False
    if granted:
        granted[0].members.append(member)
    else:
        binding = policy.bindings.add(role=role, members=[member])
        if condition is not None:
            binding.condition.title, binding.condition.expression = condition.title, condition.expression
    return True


def remove_member(policy: Policy, role: str, member: str, condition: Condition | None = None) -> bool:
    """Take the role from the member, in place, leaving all else as it is.

    :returns: whether the policy was changed.
    """
    places = [n for n, b in enumerate(policy.bindings) if _is_grant(b, role, condition) and member in b.members]
    for place in reversed(places):
        binding = policy.bindings[place]
        others = [other for other in binding.members if other != member]
        if others:
            binding.members[:] = others
        else:
            del policy.bindings[place]
    return bool(places)


def _public_grants(policy: Policy) -> tuple[str, ...]:
    return tuple(
        f"--member={member} --role={shlex.quote(binding.role)}"
        for binding in policy.bindings
        for member in sorted(EVERYONE.intersection(binding.members))
    )


def _granting(policy: Policy, role: str, condition: Condition | None) -> list[Any]:
    return [binding for binding in policy.bindings if _is_grant(binding, role, condition)]


def _is_grant(binding: Any, role: str, condition: Condition | None) -> bool:
    """Whether a binding gives the role to somebody under this very condition.

    Where none is wanted, one of a title alone is one already; else the expression counts, whatever it is called.
    """
    if binding.role != role or not binding.members:
        return False
    if condition is None:
        return not binding.condition.ByteSize()
    return bool(binding.condition.expression == condition.expression)
