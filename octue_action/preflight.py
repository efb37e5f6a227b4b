"""What must be so before the first write: permissions, APIs, agents. All that is missing is told together.

Google Cloud itself refuses one call after the other, each for one reason, when half of the work is done.
"""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from octue_action import names, permissions
from octue_action.failure import Failure, GoogleError
from octue_action.graph import walk
from octue_action.plan import Action, Change, Plan, compare, deletion
from octue_action.resource import ACT_AS, Need, Resource
from octue_action.resources.eventarc_trigger import EventarcTrigger
from octue_action.resources.service_account import ServiceAccount

if TYPE_CHECKING:
    from google.iam.v1.policy_pb2 import Policy

    from octue_action.google import Google
    from octue_action.settings import Settings

_LISTED = {
    "eventarc.triggers.list": "to see which triggers there are",
    "pubsub.topics.list": "to see which topics there are",
    "run.services.get": "to see whether the service is there",
}
_OF_MODES: Mapping[str, Mapping[str, str]] = {
    "destroy": {"run.services.list": "to see which services use the same things"},
    "rollback": {"run.revisions.list": "to see which revisions there are"},
}

AGENTS = {
    "eventarc.googleapis.com": "roles/eventarc.serviceAgent",
}
"""The API whose own account in the project is made only when it is first used, and the role that it then has there.

cloud.google.com/iam/docs/service-agents. Those of Cloud Run and Cloud Build come when their API is switched on.
"""


@dataclass(frozen=True)
class Lack:
    """A permission that is missing.

    :param need: which, and where.
    :param purpose: what for, as ``to create the Pub/Sub topic T``.
    :param is_there: whether the thing on which it could be granted is there.
    """

    need: Need
    purpose: str
    is_there: bool = False


def held(google: Google, settings: Settings) -> frozenset[str] | None:
    """Which of the permissions that any run needs the caller has on the whole project.

    None where that is not told, which stops nothing: what may not be done is refused then when its turn comes.
    """
    try:
        return google.held(f"projects/{settings.project_id}", permissions.ALL)
    except GoogleError:
        return None


def refusals(plan: Plan, google: Google, settings: Settings, on_project: frozenset[str] | None) -> tuple[Failure, ...]:
    """Why a plan cannot be carried out by who is to do it; nothing where it can, or where that is not known.

    :param on_project: as ``held`` gives it.
    """
    needed = {**_needed(plan.changes), **_asking(settings)}
    lacks = _lacking(needed, google, on_project)
    return (_told(lacks, (), google, settings),) if lacks else ()


def lacks(plan: Plan, google: Google, on_project: frozenset[str]) -> tuple[Lack, ...]:
    """What the caller lacks for the writes of a plan, each permission once.

    :param on_project: those of its permissions that it has on the whole project.
    """
    return _lacking(_needed(plan.changes), google, on_project)


def unreadable(refusal: Failure, google: Google, settings: Settings, resources: Sequence[Resource]) -> Failure | None:
    """All that is missing, where a reading was refused for one thing that is; None where nothing is seen to be.

    :param refusal: of the reading.
    :param resources: what the run is about.
    """
    if not isinstance(refusal, GoogleError) or refusal.status != "PERMISSION_DENIED":
        return None
    on_project = held(google, settings)
    survey = _Survey(google, settings.mode, on_project)
    needed = survey.needed(resources)
    lacks = _lacking(needed, google, on_project) if on_project is not None else ()
    apis = sorted({api for error in (refusal, *survey.refusals) if (api := _disabled_api(error))})
    return _told(lacks, apis, google, settings) if lacks or apis else None


def notices(plan: Plan, google: Google, settings: Settings, on_project: frozenset[str] | None) -> Iterator[str]:
    """What will make no run fail, and yet is better known beforehand, with the commands that mend it.

    :param on_project: as ``held`` gives it.
    """
    project = settings.project_id
    for api in _missing_agents(plan, google.policies.get(f"projects/{project}")):
        yield (
            f"The account by which {api} acts in the project {project} is not there yet. Google Cloud makes it now, "
            f"which may take some minutes. To make it beforehand:\n"
            f"gcloud beta services identity create --service={api} --project={project}"
        )
    if on_project is None and plan.has_changes:
        yield (
            f"{_who(settings)} has permissions in the project {project} that Google Cloud does not tell: what it "
            "may not do is refused in its turn, and not told beforehand."
        )
    unexplained = [Lack(Need(it), "") for it in permissions.EXPLAIN if on_project is not None and it not in on_project]
    if plan.has_changes and unexplained:
        commands = "\n".join(_grants(unexplained, google.policies.get(f"projects/{project}"), settings))
        yield (
            f"{_who(settings)} may not read logs in the project {project} ({', '.join(permissions.EXPLAIN)}): if "
            f"a build or a container fails, this run cannot show why. To allow it:\n{commands}"
        )


def _missing_agents(plan: Plan, policy: Policy | None) -> list[str]:
    """The APIs whose own account in the project the plan needs, and which the project's policy does not name.

    :param policy: None where it may not be seen.
    """
    new = {c.resource.kind for c in plan.changes if c.action in {Action.CREATE, Action.REPLACE}}
    if policy is None or EventarcTrigger.kind not in new:
        return []
    given = {binding.role for binding in policy.bindings if binding.members}
    return [api for api, role in AGENTS.items() if role not in given]


class _Survey:
    """What would be done, as far as it can be seen by who may not see all of it.

    :param mode: of the run.
    :param on_project: the permissions that the caller is known to have there; None where that is not known.

    ``refusals`` are those of the readings.
    """

    def __init__(self, google: Google, mode: str, on_project: frozenset[str] | None) -> None:
        self._google = google
        self._mode = mode
        self._on_project = on_project or frozenset()
        self.refusals: list[GoogleError] = []

    def needed(self, resources: Sequence[Resource]) -> dict[Need, str]:
        """What the run needs of its resources, each with its purpose."""
        by_address = {resource.address: resource for resource in resources}
        read = walk({address: set() for address in by_address}, lambda address: self._of(by_address[address]))
        listed = {Need(permission): why for permission, why in {**_LISTED, **_OF_MODES.get(self._mode, {})}.items()}
        return {need: why for part in (*read.values(), listed) for need, why in part.items()}

    def _of(self, resource: Resource) -> dict[Need, str]:
        actions = self._actions(resource)
        return {
            need: _purpose(action, resource) for action in (Action.NO_OP, *actions) for need in resource.needs(action)
        }

    def _actions(self, resource: Resource) -> tuple[Action, ...]:
        """What would be done to it; where it cannot be read, all that might be."""
        is_destroyed = self._mode == "destroy"
        if self._mode in {"plan", "drift"}:
            return ()
        if self._mode == "rollback":
            return (Action.UPDATE,)
        # A new account reads as forbidden for a while, which is waited for: not where it is plain that it is.
        if isinstance(resource, ServiceAccount) and not self._on_project.issuperset(resource.permissions.read):
            self._ask_for_api_of(resource)
            return (Action.DELETE,) if is_destroyed else (Action.CREATE,)
        try:
            actual = resource.read(self._google)
        except GoogleError as error:
            self.refusals.append(error)
            return (Action.DELETE,) if is_destroyed else (Action.CREATE, Action.UPDATE)
        return ((deletion if is_destroyed else compare)(resource, actual).action,)

    def _ask_for_api_of(self, account: ServiceAccount) -> None:
        """Call the account's API in a way that nobody waits for, to be refused where it is switched off."""
        try:
            self._google.held(account.own_policy, account.permissions.read)
        except GoogleError as error:
            self.refusals.append(error)


def _needed(changes: Iterable[Change]) -> dict[Need, str]:
    """What the writes of a plan need, each with its purpose; what is read has been read."""
    return {
        need: _purpose(change.action, change.resource)
        for change in changes
        if change.action is not Action.NO_OP
        for need in change.resource.needs(change.action)
    }


def _asking(settings: Settings) -> dict[Need, str]:
    if settings.question is None or settings.mode not in {"deploy", "rollback"}:
        return {}
    return {Need(permission): "to ask the question" for permission in permissions.ASK}


def _purpose(action: Action, resource: Resource) -> str:
    return f"to {_VERBS[action]} the {resource.label}"


_VERBS = {
    Action.NO_OP: "read",
    Action.CREATE: "create",
    Action.UPDATE: "update",
    Action.REPLACE: "replace",
    Action.DELETE: "delete",
}


def _lacking(needed: Mapping[Need, str], google: Google, on_project: frozenset[str] | None) -> tuple[Lack, ...]:
    """What of it the caller has neither on the project nor on the thing itself."""
    wanted: dict[str, list[Need]] = {}
    for need in needed:
        if on_project is not None and need.permission not in on_project:
            wanted.setdefault(need.resource, []).append(need)

    def missing(resource: str) -> list[Lack]:
        asked = [need.permission for need in wanted[resource]]
        has = _held_on(resource, asked, google) if resource else None
        return [
            Lack(need, needed[need], has is not None) for need in wanted[resource] if need.permission not in (has or ())
        ]

    found = walk({resource: set() for resource in wanted}, missing)
    lacks = [lack for resource in wanted for lack in found[resource]]
    # Of a permission that is lacking for several things, one is named; each account is opened by itself.
    first = {(lack.need.permission, _account(lack)): lack for lack in reversed(lacks)}
    return tuple(sorted(first.values(), key=lambda lack: lack.need.permission))


def _account(lack: Lack) -> str:
    """The account as which the caller lacks the right to act, where there is one to be seen."""
    return lack.need.resource if lack.is_there and lack.need.permission == ACT_AS else ""


def _held_on(resource: str, asked: Sequence[str], google: Google) -> frozenset[str] | None:
    """Those of the permissions that the caller has on one thing; None where there is no such thing to be seen.

    All of them where that cannot be asked: nothing is refused for what is not known.
    """
    try:
        return google.held(resource, asked)
    except GoogleError as error:
        return None if error.status in {"NOT_FOUND", "PERMISSION_DENIED"} else frozenset(asked)


def _disabled_api(error: GoogleError) -> str:
    """The API for whose being off an error is; nothing where what is named is none, as it goes into a command."""
    named = error.metadata.get("service", "") if error.reason == "SERVICE_DISABLED" else ""
    return named if re.fullmatch(r"[a-z0-9-]+\.googleapis\.com", named) else ""


# What is told


def _who(settings: Settings) -> str:
    from octue_action.diagnosis import who

    return who(settings.caller)


def _told(lacks: Sequence[Lack], apis: Sequence[str], google: Google, settings: Settings) -> Failure:
    from octue_action.catalogue import SETUP_URL

    project = settings.project_id
    said = []
    if apis:
        said.append(f"These parts of Google Cloud are switched off in the project {project}: {', '.join(apis)}.")
    if lacks:
        listed = "\n".join(f"- {lack.need.permission}, {lack.purpose}" for lack in lacks)
        said.append(
            f"{_who(settings)} may not do all that this run needs in the project {project}. It lacks:\n{listed}"
        )
    policy = google.policies.get(f"projects/{project}")
    if lacks and not _own_roles(policy, settings):
        said.append(f"If the project was never set up for this repository, do that, and nothing else: {SETUP_URL}")
    said.append(
        "Whoever owns the project pastes the commands below into a shell. Some minutes later run the job again."
    )
    commands = [*_switch_on(apis, project), *_grants(lacks, policy, settings)]
    return Failure("\n".join(said), "\n".join(commands))


_GRANTING_ROLE = "roles/resourcemanager.projectIamAdmin"


def _switch_on(apis: Sequence[str], project: str) -> list[str]:
    return [f"gcloud services enable {' '.join(apis)} --project={project}"] if apis else []


def _grants(lacks: Sequence[Lack], policy: Policy | None, settings: Settings) -> list[str]:
    """The commands after which nothing of it is lacking, each granting no more than that.

    :param policy: the project's; None where it may not be seen.
    """
    from octue_action.catalogue import CONDITIONS
    from octue_action.diagnosis import member

    project = settings.project_id
    caller = shlex.quote(member(settings.caller, project))
    commands, rest = [], []
    for lack in lacks:
        if lack.need.permission == permissions.GRANT:
            condition = shlex.quote(CONDITIONS[_GRANTING_ROLE].format(octue_role=settings.octue_role))
            commands.append(
                f"gcloud projects add-iam-policy-binding {project} --member={caller} --role={_GRANTING_ROLE} "
                f"--condition={condition}"
            )
        elif account := _account(lack):
            email = account.rpartition("/")[2]
            commands.append(
                f"gcloud iam service-accounts add-iam-policy-binding {email} --project={project} --member={caller} "
                "--role=roles/iam.serviceAccountUser"
            )
        else:
            rest.append(lack.need.permission)
    return [*_extend_role(rest, policy, settings), *commands] if rest else commands


def _extend_role(lacking: Sequence[str], policy: Policy | None, settings: Settings) -> list[str]:
    """The commands that add permissions to the caller's own role, or make one where it has none."""
    from octue_action.diagnosis import member

    project = settings.project_id
    caller = shlex.quote(member(settings.caller, project))
    listed = ",".join(lacking)
    usual = names.deployer_role_of(settings.caller)
    if roles := _own_roles(policy, settings):
        role_id = shlex.quote(usual if usual in roles else min(roles))
        return [f"gcloud iam roles update {role_id} --project={project} --add-permissions={listed}"]
    role_id = _free_role(usual, policy, settings)
    granted = f"--member={caller} --role=projects/{project}/roles/{role_id} --condition=None"
    # Where the policy may not be seen, or the role has lost its grant, the role may be there already.
    return [
        f"gcloud iam roles create {role_id} --project={project} --title='Octue deployer' --permissions={listed} ||",
        f"  gcloud iam roles update {role_id} --project={project} --add-permissions={listed}",
        f"gcloud projects add-iam-policy-binding {project} {granted}",
    ]


def _free_role(usual: str, policy: Policy | None, settings: Settings) -> str:
    """The id of a custom role that nobody has on the project, as far as can be seen: the usual one, or another.

    With a dot, which no account's name has: it is no other deployer's.
    """
    taken = {settings.octue_role, names.octue_role(settings.project_id)}
    taken |= {binding.role for binding in (policy.bindings if policy else ()) if binding.members}
    numbered = (f"{usual}.{number}" for number in itertools.count(2))
    candidates = itertools.chain([usual], numbered)
    return next(it for it in candidates if f"projects/{settings.project_id}/roles/{it}" not in taken)


def _own_roles(policy: Policy | None, settings: Settings) -> list[str]:
    """The ids of the project's custom roles that the caller alone has, and always: what is added nobody else gets.

    Never Octue's, which the account of each service has.
    """
    own = f"projects/{settings.project_id}/roles/"
    return [
        binding.role.removeprefix(own)
        for binding in (policy.bindings if policy else ())
        if binding.role.startswith(own)
        and list(binding.members) == [settings.caller]
        and not binding.HasField("condition")
        and binding.role != settings.octue_role
    ]
