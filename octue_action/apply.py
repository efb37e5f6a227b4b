"""Carries a plan out: each change as soon as those it depends on are done, and what became of it."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from octue_action.cancellation import Cancelled
from octue_action.google import Failure, GoogleError, fault
from octue_action.graph import walk
from octue_action.plan import Action, Change, Plan, compare
from octue_action.resource import Resource, diff

if TYPE_CHECKING:
    from octue_action.google import Google

CONFLICTS = 5
"""How often a change is begun again because somebody else changed the same thing meanwhile."""


class Status(enum.StrEnum):
    """What became of a change."""

    UNCHANGED = "unchanged"
    APPLIED = "applied"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNFINISHED = "unfinished"
    """Begun, and not waited for any longer, as the run was cancelled."""
    NOT_BEGUN = "not begun"
    """As the run was cancelled."""


@dataclass(frozen=True)
class Outcome:
    """What became of one change.

    :param change: what was done, which is less than was planned where somebody else did it first.
    :param status: how it ended.
    :param seconds: how long it took.
    :param resource: the resource as it stands now; None where that is not known.
    :param failure: why it failed.
    :param waited_on: labels of the resources whose failure it was skipped for.
    """

    change: Change
    status: Status
    seconds: float = 0.0
    resource: Resource | None = None
    failure: Failure | None = None
    waited_on: tuple[str, ...] = ()

    @property
    def is_cut_short(self) -> bool:
        """Whether the run was cancelled before the change was made."""
        return self.status in {Status.UNFINISHED, Status.NOT_BEGUN}


Listener = Callable[[Outcome], None]


def apply(plan: Plan, google: Google, tell: Listener) -> tuple[Outcome, ...]:
    """Make the changes of a plan; a failure skips only what depends on it.

    :param plan: one without refusals.
    :param google: the door to Google Cloud.
    :param tell: called with each outcome as it comes, from several threads.
    :returns: the outcomes in the order of the plan.
    """
    outcomes: dict[str, Outcome] = {}

    def visit(address: str) -> Outcome:
        change = plan.by_address[address]
        before = [outcomes[on] for on in change.resource.depends_on if on in outcomes]
        outcome = outcomes[address] = _outcome(change, before, google)
        tell(outcome)
        return outcome

    walk({address: set(change.resource.depends_on) for address, change in plan.by_address.items()}, visit)
    return tuple(outcomes[address] for address in plan.by_address)


def _outcome(change: Change, before: list[Outcome], google: Google) -> Outcome:
    broken = tuple(o.change.resource.label for o in before if o.status in {Status.FAILED, Status.SKIPPED})
    if broken:
        return Outcome(change, Status.SKIPPED, waited_on=broken)
    whole_changed = any(
        o.status is Status.APPLIED for o in before if o.change.resource.address == change.resource.part_of
    )
    start, writes = time.monotonic(), google.writes
    try:
        change, resource = _carry_out(change, google, read_again=whole_changed)
    except Cancelled as cancelled:
        begun = cancelled.begun or google.writes > writes
        return Outcome(change, Status.UNFINISHED if begun else Status.NOT_BEGUN, time.monotonic() - start)
    except Failure as failure:
        return Outcome(change, Status.FAILED, time.monotonic() - start, failure=failure)
    except Exception as error:  # noqa: BLE001 - whatever it is, the others go on and the summary tells what was done
        return Outcome(change, Status.FAILED, time.monotonic() - start, failure=fault(error))
    status = Status.UNCHANGED if change.action is Action.NO_OP else Status.APPLIED
    return Outcome(change, status, time.monotonic() - start, resource)


def _carry_out(change: Change, google: Google, *, read_again: bool) -> tuple[Change, Resource | None]:
    """Make the change, comparing again first where the plan may be old, and begin again on a conflict."""
    for attempt in range(CONFLICTS):
        # An update writes what was read with it, and what came before in this run, as a build, may have changed it.
        if attempt or read_again or change.action is Action.UPDATE:
            change = compare(change.resource, change.resource.read(google))
        try:
            resource = _write(change, google)
        except GoogleError as error:
            if error.status != "ABORTED" or attempt == CONFLICTS - 1:
                raise
            google.cancellation.pause(0.2 * 2**attempt)
            continue
        _check(change, resource)
        return change, resource
    raise AssertionError("the last attempt returns or raises")


def _write(change: Change, google: Google) -> Resource | None:
    desired, actual = change.resource, change.actual
    if change.action is Action.NO_OP or (actual is None and change.action is not Action.CREATE):
        return actual
    if change.action is Action.UPDATE and actual is not None:
        return desired.update(google, actual)
    if change.action is Action.REPLACE:
        desired.delete(google)
    return desired.create(google)


def _check(change: Change, resource: Resource | None) -> None:
    """Hold the answer of the write against what was wanted: a difference that remains is no success."""
    left = diff(change.resource, resource) if resource is not None else ()
    if left:
        names = ", ".join(field.name for field in left)
        raise Failure(
            f"The {change.resource.label} was written, but is not as it should be: {names}.",
            "Run the job again; if it stays, somebody or something else changes it too.",
        )
