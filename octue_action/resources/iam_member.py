"""One member's role on one thing: added to the policy that is there, which is never rewritten."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from octue_action.failure import Failure, GoogleError
from octue_action.quirks import SERVICE_ACCOUNT_NOT_YET_IN_POLICIES, Quirk
from octue_action.resource import Mark, Permissions, Resource

if TYPE_CHECKING:
    from google.iam.v1.policy_pb2 import Policy

    from octue_action.google import Google

POLICY_VERSION = 3
"""The only version in which bindings with conditions survive being read and written."""

EVERYONE = frozenset({"allUsers", "allAuthenticatedUsers"})


@dataclass(frozen=True, kw_only=True)
class IamMember(Resource):
    """A role granted, without condition, to a member on a project or a Cloud Run service.

    :param resource: relative name, ``projects/P`` or ``projects/P/locations/R/services/S``.
    :param role: ``roles/run.invoker`` or ``projects/P/roles/R``.
    :param member: ``serviceAccount:E``.
    :param granted: whether the member has the role.
    :param public: of an actual one: the grants to everyone on the internet, as ``--member=M --role=R``.
    :param may_be_public: whether that is wanted.
    :param member_may_be_new: whether policies may not know the member yet, because this deployment makes it.
    """

    kind: ClassVar[str] = "iam_member"
    title: ClassVar[str] = "IAM member"

    resource: Annotated[str, Mark.IDENTITY]
    role: Annotated[str, Mark.IDENTITY]
    member: Annotated[str, Mark.IDENTITY]
    granted: bool = True
    public: Annotated[tuple[str, ...], Mark.OUTPUT] = ()
    may_be_public: Annotated[bool, Mark.IDENTITY] = False
    member_may_be_new: Annotated[bool, Mark.IDENTITY] = True

    @property
    def name(self) -> str:
        role, resource = self.role.rpartition("/")[2], self.resource.rpartition("/")[2]
        return f"{role} on {resource} for {self.member.partition(':')[2]}"

    @property
    def console_url(self) -> str:
        project, _, location_and_service = self.resource.removeprefix("projects/").partition("/locations/")
        if not location_and_service:
            return f"https://console.cloud.google.com/iam-admin/iam?project={project}"
        location, _, service = location_and_service.partition("/services/")
        return f"https://console.cloud.google.com/run/detail/{location}/{service}/security?project={project}"

    @property
    def is_there(self) -> bool:
        return self.granted

    @property
    def permissions(self) -> Permissions:
        of = "run.services" if self.own_policy else "resourcemanager.projects"
        write = (f"{of}.setIamPolicy",)
        return Permissions(read=(f"{of}.getIamPolicy",), create=write, update=write, delete=write)

    @property
    def own_policy(self) -> str:
        return self.resource if "/services/" in self.resource else ""

    def read(self, google: Google) -> Self | None:
        with google.policy_lock(self.resource):
            policy = google.policies[self.resource] = self._read_policy(google)
        return self._canonical(policy)

    def create(self, google: Google) -> Self:
        return self._grant(google)

    def update(self, google: Google, actual: Self) -> Self:
        return self._grant(google)

    def delete(self, google: Google) -> None:
        with google.policy_lock(self.resource):
            policy = self._read_policy(google)
            if remove_member(policy, self.role, self.member):
                self._write_policy(google, policy)

    @property
    def passing(self) -> tuple[Quirk, ...]:
        return (SERVICE_ACCOUNT_NOT_YET_IN_POLICIES,) if self.member_may_be_new else ()

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

    def _grant(self, google: Google) -> Self:
        with google.policy_lock(self.resource):
            policy = google.policies.pop(self.resource, None)
            # Written upon what was read for the plan; where that is old by now, Google refuses it with a conflict.
            if policy is None or self._canonical(policy).granted:
                policy = self._read_policy(google)
            if add_member(policy, self.role, self.member):
                policy = self._write_policy(google, policy)
            google.policies[self.resource] = policy
        return self._canonical(policy)

    def _canonical(self, policy: Policy) -> Self:
        return replace(
            self,
            granted=any(self.member in binding.members for binding in _unconditional(policy, self.role)),
            public=_public_grants(policy) if "/services/" in self.resource else (),
        )

    def _read_policy(self, google: Google) -> Policy:
        from google.iam.v1 import iam_policy_pb2

        request = iam_policy_pb2.GetIamPolicyRequest(resource=self.resource)
        request.options.requested_policy_version = POLICY_VERSION
        return google.read(google.policy_client(self.resource).get_iam_policy, request)

    def _write_policy(self, google: Google, policy: Policy) -> Policy:
        from google.iam.v1 import iam_policy_pb2

        policy.version = POLICY_VERSION
        # Without a mask the API takes bindings and etag, and leaves the audit configuration as it is.
        request = iam_policy_pb2.SetIamPolicyRequest(resource=self.resource, policy=policy)
        try:
            return google.write(google.policy_client(self.resource).set_iam_policy, request)
        except GoogleError as error:
            # Who may change certain roles alone is held against the policy as it is by now: what somebody else has
            # granted since we read it would look as if we took it away.
            if error.status != "PERMISSION_DENIED" or self._read_policy(google).etag == policy.etag:
                raise
            raise GoogleError(error.method, "ABORTED", "The policy was changed in the meantime.") from error


def add_member(policy: Policy, role: str, member: str) -> bool:
    """Grant the role to the member, in place, leaving all else as it is.

    :returns: whether the policy was changed.
    """
    granted = _unconditional(policy, role)
    if any(member in binding.members for binding in granted):
        return False
    if granted:
        granted[0].members.append(member)
    else:
        policy.bindings.add(role=role, members=[member])
    return True


def remove_member(policy: Policy, role: str, member: str) -> bool:
    """Take the role from the member, in place, leaving all else as it is.

    :returns: whether the policy was changed.
    """
    places = [n for n, b in enumerate(policy.bindings) if _is_grant(b, role) and member in b.members]
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
        f"--member={member} --role={binding.role}"
        for binding in policy.bindings
        for member in sorted(EVERYONE.intersection(binding.members))
    )


def _unconditional(policy: Policy, role: str) -> list[Any]:
    return [binding for binding in policy.bindings if _is_grant(binding, role)]


def _is_grant(binding: Any, role: str) -> bool:
    """Whether a binding gives the role to somebody without any condition, be that one of a title alone."""
    return binding.role == role and bool(binding.members) and not binding.condition.ByteSize()
