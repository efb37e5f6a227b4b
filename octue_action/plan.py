"""Reads what exists, compares it with what should, and says what would change: nothing is written here."""

from __future__ import annotations

import enum
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from octue_action.graph import walk
from octue_action.resource import FieldChange, Resource, diff

if TYPE_CHECKING:
    from octue_action.failure import Failure
    from octue_action.google import Google


class Action(enum.StrEnum):
    """What happens to a resource."""

    NO_OP = "no-op"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"


@dataclass(frozen=True)
class Change:
    """What happens to one resource, and why.

    :param resource: how it should be.
    :param action: what is done to it.
    :param fields: what differs; empty for a creation.
    :param actual: how it is; None where there is none.
    """

    resource: Resource
    action: Action
    fields: tuple[FieldChange, ...] = ()
    actual: Resource | None = None

    def as_json(self) -> dict[str, Any]:
        """The change for programs; values of sensitive fields are left out."""
        return {
            "address": self.resource.address,
            "kind": self.resource.kind,
            "name": self.resource.name,
            "action": str(self.action),
            "fields": [_field_as_json(field) for field in self.fields],
        }


@dataclass(frozen=True)
class Plan:
    """What a run would do, resource by resource, in the order of the deployment.

    :param changes: one for each resource.
    :param refusals: why nothing may be done at all; empty where the plan may be applied.
    :param adopt: whether what is not ours may be taken over.
    """

    changes: tuple[Change, ...]
    refusals: tuple[Failure, ...] = ()
    adopt: bool = False

    @property
    def has_changes(self) -> bool:
        """Whether anything would be written."""
        return any(change.action is not Action.NO_OP for change in self.changes)

    @functools.cached_property
    def by_address(self) -> Mapping[str, Change]:
        """The changes by the address of their resource."""
        return {change.resource.address: change for change in self.changes}

    def as_json(self) -> dict[str, Any]:
        """The plan for programs."""
        return {
            "has_changes": self.has_changes,
            "changes": [change.as_json() for change in self.changes],
            "refusals": [refusal.message for refusal in self.refusals],
        }


def make_plan(
    resources: Sequence[Resource], google: Google, *, adopt: bool, known: Mapping[str, Resource | None] | None = None
) -> Plan:
    """Read every resource, independent ones together, and compare.

    :param resources: what should exist.
    :param google: the door to Google Cloud.
    :param adopt: whether what is not ours may be taken over.
    :param known: resources that have been read already, by address; None for one that is not there.
    """
    desired = {resource.address: resource for resource in resources}
    actual: dict[str, Resource | None] = dict(known or {})

    def read(address: str) -> Change:
        resource = desired[address]
        if address not in actual:
            missing = resource.part_of is not None and actual.get(resource.part_of) is None
            actual[address] = None if missing else resource.read(google)
        change = compare(resource, actual[address])
        if change.action is Action.REPLACE:
            actual[address] = None  # what is part of it goes with it, and is made anew
        return change

    wholes = {address: {resource.part_of} if resource.part_of else set() for address, resource in desired.items()}
    changes = walk(wholes, read)
    ordered = tuple(changes[address] for address in desired)
    refusals = (
        refusal
        for change in ordered
        if change.actual is not None
        for refusal in change.resource.refusals(change.actual, adopt=adopt)
    )
    return Plan(ordered, tuple(refusals), adopt)


def compare(desired: Resource, actual: Resource | None) -> Change:
    """What must happen for ``actual`` to become ``desired``."""
    if actual is None:
        return Change(desired, Action.CREATE)
    changed = diff(desired, actual)
    if any(field.immutable for field in changed):
        return Change(desired, Action.REPLACE, changed, actual)
    return Change(desired, Action.UPDATE if changed else Action.NO_OP, changed, actual)


def _field_as_json(field: FieldChange) -> dict[str, Any]:
    if field.sensitive:
        return {"name": field.name, "sensitive": True}
    return {"name": field.name, "before": _plain(field.before), "after": _plain(field.after)}


def _plain(value: Any) -> Any:
    """A value as JSON has it: an amount of CPU is a decimal number, which JSON does not know."""
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
