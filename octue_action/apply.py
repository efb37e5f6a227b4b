"""Carries a plan out: each change as soon as those it depends on are done, and what became of it."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from octue_action import quirks
from octue_action.cancellation import Cancelled
from octue_action.failure import Failure, fault
from octue_action.graph import walk
from octue_action.plan import Action, Change, Plan, compare
from octue_action.quirks import NotAsWritten
from octue_action.resource import Resource, diff

if TYPE_CHECKING:
    from octue_action.google import Google


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
        outcome = outcomes[address] = _outcome(change, before, google, adopt=plan.adopt)
        tell(outcome)
        return outcome

    walk({address: set(change.resource.depends_on) for address, change in plan.by_address.items()}, visit)
    return tuple(outcomes[address] for address in plan.by_address)


def _outcome(change: Change, before: list[Outcome], google: Google, *, adopt: bool) -> Outcome:
    broken = tuple(o.change.resource.label for o in before if o.status in {Status.FAILED, Status.SKIPPED})
    if broken:
        return Outcome(change, Status.SKIPPED, waited_on=broken)
    whole_changed = any(
        o.status is Status.APPLIED for o in before if o.change.resource.address == change.resource.part_of
    )
    start, writes = google.cancellation.now(), google.writes
    attempts = _Attempts(change, google, read_first=whole_changed or change.action is Action.UPDATE, adopt=adopt)
    status, resource, failure = Status.FAILED, None, None
    try:
        resource = google.repeat(attempts.make, quirks.OF_RESOURCES, about=change.resource.label)
    except Cancelled as cancelled:
        status = Status.UNFINISHED if cancelled.begun or google.writes > writes else Status.NOT_BEGUN
    except Failure as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - whatever it is, the others go on and the summary tells what was done
        failure = fault(error)
    else:
        # A write whose answer was lost was this run's all the same, though its resource then reads as it should be.
        is_unchanged = attempts.change.action is Action.NO_OP and google.writes == writes
        status = Status.UNCHANGED if is_unchanged else Status.APPLIED
    made = attempts.change if status is Status.UNCHANGED or attempts.change.action is not Action.NO_OP else change
    return Outcome(made, status, google.cancellation.now() - start, resource, failure)


class _Attempts:
    """A change that is made in as many attempts as it takes.

    :param change: as planned.
    :param google: the door to Google Cloud.
    :param read_first: whether the first attempt, too, reads and compares before it writes. An update writes what was
        read with it, and what came before in this run, as a build, may have changed it.
    :param adopt: whether what is not ours may be taken over.
    """

    def __init__(self, change: Change, google: Google, *, read_first: bool, adopt: bool) -> None:
        self.change = change
        self._google = google
        self._reads = read_first
        self._adopt = adopt

    def make(self) -> Resource | None:
        """One attempt; another one compares again what is there, and writes only what is still missing.

        :raises Failure: which may pass by itself.
        """
        if self._reads:
            self._compare_again()
        self._reads = True
        change = self.change
        # What this attempt may have done without an answer, the next one looks for.
        self.change = replace(change, resource=change.resource.retried())
        resource = _write(change, self._google)
        _check(change, resource)
        return resource

    def _compare_again(self) -> None:
        resource = self.change.resource
        actual = resource.read(self._google)
        if actual is not None:
            for refusal in resource.refusals(actual, adopt=self._adopt):
                raise refusal
        self.change = compare(resource, actual)


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
        raise NotAsWritten(
            f"The {change.resource.label} was written, but is not as it should be: {names}.",
            "Run the job again; if it stays, somebody or something else changes it too.",
        )
