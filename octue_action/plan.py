"""Reads what exists, compares it with what should, and says what would change: nothing is written here."""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from octue_action.failure import Failure
from octue_action.graph import backwards, walk
from octue_action.resource import Entry, FieldChange, Resource, diff

if TYPE_CHECKING:
    from octue_action.google import Google

VERSION = 1
"""Of the plan for programs, which ``docs/plan.schema.json`` describes; raised where something of it goes or changes."""

Purpose = Literal["deploy", "destroy", "rollback"]

Known: TypeAlias = Mapping[str, "Resource | Failure | None"]
"""What has been read, by address: None for what is not there, and the failure for what could not be read."""

NOT_OURS = "this workflow did not make it"
NOT_THERE = "there is none"
IN_THE_WAY = "something is in the way"


class Action(enum.StrEnum):
    """What happens to a resource."""

    NO_OP = "no-op"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"


@dataclass(frozen=True)
class Change:
    """What happens to one resource, and why.

    :param resource: how it should be; of what is deleted: which it is.
    :param action: what is done to it.
    :param fields: what differs; of a creation all that is said of it.
    :param actual: how it is; None where there is none.
    :param reason: why nothing is done to it where that is not plain, as a clause.
    :param refusal: why it may not be touched, where the rest of the plan may be carried out.
    """

    resource: Resource
    action: Action
    fields: tuple[FieldChange, ...] = ()
    actual: Resource | None = None
    reason: str = ""
    refusal: Failure | None = None

    @property
    def is_foreign(self) -> bool:
        """Whether it is there, and this workflow did not make it."""
        return self.actual is not None and not self.actual.ours

    def as_json(self) -> dict[str, Any]:
        """The change for programs; values of sensitive fields are left out."""
        return {
            "address": self.resource.address,
            "kind": self.resource.kind,
            "name": self.resource.name,
            "action": str(self.action),
            "ours": not self.is_foreign,
            "origin": self.resource.origin if self.action is Action.CREATE else "",
            "reason": self.reason,
            "fields": [_field_as_json(field) for field in self.fields],
        }


@dataclass(frozen=True)
class Plan:
    """What a run would do, resource by resource, in the order in which a person would do it.

    :param changes: one for each resource.
    :param refusals: why nothing may be done at all; empty where the plan may be applied.
    :param adopt: whether what is not ours may be taken over.
    :param purpose: what the plan is for.
    """

    changes: tuple[Change, ...]
    refusals: tuple[Failure, ...] = ()
    adopt: bool = False
    purpose: Purpose = "deploy"

    @property
    def has_changes(self) -> bool:
        """Whether anything would be written."""
        return any(change.action is not Action.NO_OP for change in self.changes)

    @property
    def obstacles(self) -> tuple[Failure, ...]:
        """Why nothing may be done at all, or nothing to some of several services."""
        return (*self.refusals, *(change.refusal for change in self.changes if change.refusal is not None))

    @functools.cached_property
    def by_address(self) -> Mapping[str, Change]:
        """The changes by the address of their resource."""
        return {change.resource.address: change for change in self.changes}

    @functools.cached_property
    def graph(self) -> Mapping[str, AbstractSet[str]]:
        """Address -> the addresses of those whose turn is before; what is destroyed goes after what depends on it."""
        stands = {address: set(change.resource.depends_on) for address, change in self.by_address.items()}
        return backwards(stands) if self.purpose == "destroy" else stands

    def as_json(self) -> dict[str, Any]:
        """The plan for programs, as ``docs/plan.schema.json`` describes it."""
        return {
            "version": VERSION,
            "purpose": self.purpose,
            "has_changes": self.has_changes,
            "changes": [change.as_json() for change in self.changes],
            "refusals": [obstacle.message for obstacle in self.obstacles],
        }


def read_all(resources: Iterable[Resource], google: Google) -> Known:
    """Read resources that are part of nothing else, all together.

    :param resources: some of them may be the same.
    """
    groups = grouped({resource.address: resource for resource in resources}.values())
    found = walk({group: set() for group in groups}, lambda group: _read_or_failure(groups[group], google))
    return {address: actual for of_group in found.values() for address, actual in of_group.items()}


def make_plan(
    resources: Sequence[Resource],
    google: Google,
    *,
    adopt: bool,
    known: Known | None = None,
    purpose: Purpose = "deploy",
    parts: Sequence[AbstractSet[str]] = (),
) -> Plan:
    """Read every resource, independent ones together, and compare.

    :param resources: what should exist.
    :param google: the door to Google Cloud.
    :param adopt: whether what is not ours may be taken over.
    :param known: resources that have been read already.
    :param purpose: ``deploy`` or ``rollback``.
    :param parts: addresses of what each of several services needs. Where something is in the way of some of them, what
        is theirs alone is left out, and the plan is one for the others.
    :raises Failure: where something cannot be read that all services need.
    """
    unread: dict[str, Failure] = {}
    changes = _read_all(resources, google, known, compare, unread if len(parts) > 1 else None)
    obstacles: dict[str, tuple[Failure, ...]] = {address: (failure,) for address, failure in unread.items()}
    for change in changes:
        refusals = refusals_of(change, change.actual, adopt=adopt) if change.actual is not None else ()
        obstacles |= {change.resource.address: refusals} if refusals else {}
    others = [part for part in parts if obstacles.keys().isdisjoint(part)]
    if obstacles and others:
        needed = set[str]().union(*others)
        stopped = [part - needed for part in parts if part not in others]
        return Plan(_without(changes, obstacles, stopped), (), adopt, purpose)
    for failure in unread.values():
        raise failure
    return Plan(changes, tuple(refusal for of_one in obstacles.values() for refusal in of_one), adopt, purpose)


def _without(
    changes: Iterable[Change], obstacles: Mapping[str, Sequence[Failure]], parts: Sequence[AbstractSet[str]]
) -> tuple[Change, ...]:
    """The changes with nothing being done to some parts, each of which depends on what is in its way.

    :param obstacles: why some resources may not be touched, by address.
    :param parts: addresses.
    """

    def left_out(change: Change) -> Change:
        resource, refusals = change.resource, obstacles.get(change.resource.address)
        before = sorted({it for part in parts if resource.address in part for it in part & obstacles.keys()})
        if refusals:
            waits = replace(resource, depends_on=())
            return replace(change, resource=waits, action=Action.NO_OP, reason=IN_THE_WAY, refusal=refusals[0])
        if not before:
            return change
        waits = replace(resource, depends_on=(*resource.depends_on, *before))
        return replace(change, resource=waits, action=Action.NO_OP, reason=IN_THE_WAY)

    return tuple(left_out(change) for change in changes)


def make_destruction(
    resources: Sequence[Resource],
    google: Google,
    *,
    kept: Mapping[str, str],
    known: Known | None = None,
    earlier: AbstractSet[str] = frozenset(),
) -> Plan:
    """Read every resource, and plan to delete those that are ours, last made first.

    :param resources: what a deployment makes, in its order.
    :param google: the door to Google Cloud.
    :param kept: those that stay in any case, and are not even read, by address: why, as a clause.
    :param known: resources that have been read already.
    :param earlier: addresses of those that only an earlier deployment may have made: nothing is said of them where they
        are not there, or not ours.
    """
    read = _read_all([r for r in resources if r.address not in kept], google, known, deletion)
    found = (change for change in read if change.action is Action.DELETE or change.resource.address not in earlier)
    changes = {change.resource.address: change for change in found}
    kept_changes = {r.address: Change(r, Action.NO_OP, reason=kept[r.address]) for r in resources if r.address in kept}
    told = {**changes, **kept_changes}
    ordered = (told[r.address] for r in reversed(resources) if r.address in told)
    return Plan(tuple(_with_owner(change, changes) for change in ordered), purpose="destroy")


def grouped(resources: Iterable[Resource]) -> dict[str, list[Resource]]:
    """The resources by what is read in one request: each by itself, and all entries of one thing together."""
    groups: dict[str, list[Resource]] = {}
    for resource in resources:
        groups.setdefault(_group(resource), []).append(resource)
    return groups


def _group(resource: Resource) -> str:
    return resource.entry_of if isinstance(resource, Entry) else resource.address


def read_group(resources: Sequence[Resource], google: Google) -> dict[str, Resource | None]:
    """The resources of a group as they are, by address; None for one that is not there.

    :param resources: as ``grouped`` puts them together, or some of these.
    """
    entries = [resource for resource in resources if isinstance(resource, Entry)]
    found = type(entries[0]).read_together(google, entries) if entries else [it.read(google) for it in resources]
    return dict(zip((it.address for it in resources), found, strict=True))


def _read_or_failure(resources: Sequence[Resource], google: Google) -> Known:
    """The same, or for each of them the failure where they cannot be read."""
    try:
        return read_group(resources, google)
    except Failure as failure:
        return {it.address: failure for it in resources}


def compare(desired: Resource, actual: Resource | None) -> Change:
    """What must happen for ``actual`` to become ``desired``."""
    changed = diff(desired, actual)
    if actual is None:
        return Change(desired, Action.CREATE, changed)
    if any(field.immutable for field in changed):
        return Change(desired, Action.REPLACE, changed, actual)
    return Change(desired, Action.UPDATE if changed else Action.NO_OP, changed, actual)


def deletion(resource: Resource, actual: Resource | None) -> Change:
    """What must happen for a resource to be gone, if it is ours."""
    if actual is None or not actual.is_there:
        return Change(resource, Action.NO_OP, reason=NOT_THERE)
    if not actual.ours:
        return Change(resource, Action.NO_OP, actual=actual, reason=NOT_OURS)
    return Change(resource, Action.DELETE, actual=actual)


def refusals_of(change: Change, actual: Resource, *, adopt: bool) -> tuple[Failure, ...]:
    """Why a change must not be made.

    :param actual: the resource as it is.
    :param adopt: whether what is not ours may be taken over; that it is made anew is no taking over.
    """
    resource = change.resource
    refusals = resource.refusals(actual, adopt=adopt)
    if refusals or actual.ours or change.action is not Action.REPLACE:
        return refusals
    fields = " and ".join(field.name for field in change.fields if field.immutable)
    message = f"The {resource.label} exists already, {NOT_OURS}, and Google Cloud cannot change its {fields}."
    return (Failure(message, f"Look at it. Where nobody needs it, delete it:\n{actual.console_url}"),)


def _read_all(
    resources: Sequence[Resource],
    google: Google,
    known: Known | None,
    judge: Callable[[Resource, Resource | None], Change],
    unread: dict[str, Failure] | None = None,
) -> tuple[Change, ...]:
    """What ``judge`` says of each resource and of what is there of it.

    :param unread: takes why something could not be read, by address, which is raised where this is None.
    """
    desired = {resource.address: resource for resource in resources}
    found = dict(known or {})
    groups = grouped(desired.values())

    def read(group: str) -> list[Change]:
        new = [it for it in groups[group] if it.address not in found]
        there = [it for it in new if it.part_of is None or isinstance(found.get(it.part_of), Resource)]
        found.update({it.address: None for it in new} | dict(_read_or_failure(there, google)))
        return [judged(it, found[it.address]) for it in groups[group]]

    def judged(resource: Resource, actual: Resource | Failure | None) -> Change:
        if isinstance(actual, Failure):
            if unread is None:
                raise actual
            unread[resource.address], actual = actual, None
        change = judge(resource, actual)
        if change.action is Action.REPLACE:
            found[resource.address] = None  # what is part of it goes with it, and is made anew
        return change

    wholes = {
        group: {_group(desired[it.part_of]) for it in members if it.part_of in desired}
        for group, members in groups.items()
    }
    changes = {change.resource.address: change for group in walk(wholes, read).values() for change in group}
    return tuple(changes[address] for address in desired)


def _with_owner(change: Change, changes: Mapping[str, Change]) -> Change:
    """The deletion of what cannot say whose it is: it stays where the resource that says so is not ours."""
    for owner in changes.values():
        if owner.resource.address == change.resource.owned_with and owner.is_foreign:
            return replace(change, action=Action.NO_OP, reason=f"{NOT_OURS}: the {owner.resource.label}")
    return change


def _field_as_json(field: FieldChange) -> dict[str, Any]:
    known = {"sensitive": True} if field.sensitive else {"before": _plain(field.before), "after": _plain(field.after)}
    return {"name": field.name, "forces_replacement": field.immutable and field.before is not None, **known}


def _plain(value: Any) -> Any:
    """A value as JSON has it: what has words of its own, as an amount of CPU or memory, is told in these."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return value if type(value) in {str, int, float, bool, type(None)} else str(value)
