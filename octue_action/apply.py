"""Carries a plan out: each change as soon as those it depends on are done, and what became of it."""

from __future__ import annotations

import contextlib
import enum
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from octue_action import quirks
from octue_action.attempts import Attempts, AttemptsTogether, Deletion
from octue_action.cancellation import Cancelled
from octue_action.failure import Failure, fault
from octue_action.graph import gathered, walk
from octue_action.plan import IN_THE_WAY, Action, Change, Plan
from octue_action.resource import Entry, Resource

if TYPE_CHECKING:
    from octue_action.google import Google
    from octue_action.quirks import Quirk


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


WORST_FIRST = (
    Status.FAILED,
    Status.UNFINISHED,
    Status.NOT_BEGUN,
    Status.SKIPPED,
    Status.APPLIED,
    Status.UNCHANGED,
)
"""What of several changes says what became of them in all, if it is among them."""


@dataclass(frozen=True)
class Outcome:
    """What became of one change.

    :param change: what was done, which is less than was planned where somebody else did it first.
    :param status: how it ended.
    :param seconds: how long it took.
    :param resource: the resource as it stands now; None where that is not known.
    :param failure: why it failed.
    :param has_written: whether this run has changed something, or nobody knows whether it has.
    :param waited_on: labels of the resources whose failure it was skipped for.
    """

    change: Change
    status: Status
    seconds: float = 0.0
    resource: Resource | None = None
    failure: Failure | None = None
    waited_on: tuple[str, ...] = ()
    has_written: bool = False

    @property
    def is_cut_short(self) -> bool:
        """Whether the run was cancelled before the change was made."""
        return self.status in {Status.UNFINISHED, Status.NOT_BEGUN}


def in_all(outcomes: Sequence[Outcome]) -> Status:
    """What became of several changes in all."""
    status = next((it for it in WORST_FIRST if any(o.status is it for o in outcomes)), Status.UNCHANGED)
    if status is Status.NOT_BEGUN and any(o.has_written or o.status is Status.APPLIED for o in outcomes):
        return Status.UNFINISHED
    return status


Listener = Callable[[Outcome], None]


def apply(plan: Plan, google: Google, tell: Listener) -> tuple[Outcome, ...]:
    """Make the changes of a plan; a failure skips only what depends on it.

    :param plan: one without refusals.
    :param google: the door to Google Cloud.
    :param tell: called with each outcome as it comes, from several threads; a log that nobody takes stops nothing.
    :returns: the outcomes in the order of the plan.
    """
    outcomes: dict[str, Outcome] = {}
    groups = _written_together(plan)
    group_of = {address: name for name, changes in groups.items() for address in changes}
    turns = {name: threading.Lock() for name in groups}
    settled: dict[str, Outcome] = {}

    def settle(group: str) -> None:
        """Make those of a group whose turn has come, and that are not made yet."""
        left = {it: change for it, change in groups[group].items() if it not in settled and it not in outcomes}
        settled.update(_outcomes_together(plan, left, outcomes, google))

    def visit(node: str) -> None:
        if node in groups:
            settle(node)
            return
        if group := group_of.get(node):
            # What was left out, as what it says was not known yet, is made together, too: it may all be known by now.
            with turns[group]:
                if node not in settled:
                    settle(group)
        change, before = plan.by_address[node], _before(plan, node, outcomes)
        outcome = outcomes[node] = settled.get(node) or _outcome(plan, change, before, google)
        with contextlib.suppress(OSError):
            tell(outcome)

    walk(gathered(plan.graph, groups), visit)
    return tuple(outcomes[address] for address in plan.by_address)


def _before(plan: Plan, address: str, outcomes: Mapping[str, Outcome]) -> list[Outcome]:
    """What became of those that a resource depends on."""
    return [outcomes[on] for on in sorted(plan.graph[address]) if on in outcomes]


def _broken(before: Iterable[Outcome]) -> tuple[str, ...]:
    """Labels of those that are not as they must be for what depends on them."""
    return tuple(o.change.resource.label for o in before if o.status in {Status.FAILED, Status.SKIPPED})


def _stays(change: Change) -> bool:
    """Whether nothing is to be done to it, whatever becomes of what it depends on."""
    return change.action is Action.NO_OP and change.reason != IN_THE_WAY


def _has_changed(whole: str | None, before: Iterable[Outcome]) -> bool:
    """Whether what something is part of has been changed in this run."""
    return any(o.status is Status.APPLIED for o in before if o.change.resource.address == whole)


def _outcome(plan: Plan, change: Change, before: list[Outcome], google: Google) -> Outcome:
    broken = _broken(before)
    if broken and _stays(change):
        return Outcome(change, Status.UNCHANGED, resource=change.actual)
    if broken:
        return Outcome(change, Status.SKIPPED, waited_on=broken)
    if change.refusal is not None:
        return Outcome(change, Status.FAILED, failure=change.refusal)
    whole_changed = _has_changed(change.resource.part_of, before)
    attempts: Attempts | Deletion = (
        Deletion(change, google)
        if plan.purpose == "destroy"
        else Attempts(change, google, plan_may_be_old=whole_changed, adopt=plan.adopt)
    )
    end = _tried(attempts.make, change.resource.passing, change.resource.label, google)
    status, failure = end.status, end.failure
    # A write whose answer was lost was this run's all the same, though its resource then reads as it should be.
    if status is Status.APPLIED and attempts.change.action is Action.NO_OP and not end.has_written:
        status = Status.UNCHANGED
    if failure is not None and attempts.has_deleted:
        failure.aftermath = f"The {change.resource.title} of before is deleted already. {failure.aftermath}".rstrip()
    made = _told(change, attempts.change, status, whole_changed=whole_changed)
    return Outcome(made, status, end.seconds, end.resource, failure, has_written=end.has_written)


def _told(planned: Change, made: Change, status: Status, *, whole_changed: bool) -> Change:
    """What is told to have been done where it has ended so."""
    # What is part of something new is new, too, though it is there by now, and only put right.
    is_told = status is Status.UNCHANGED or made.action is not Action.NO_OP
    return made if is_told and not (whole_changed and planned.action is Action.CREATE) else planned


@dataclass(frozen=True)
class _End:
    """How something that was tried has ended, as ``Outcome`` has it."""

    status: Status
    seconds: float
    resource: Resource | None
    failure: Failure | None
    has_written: bool


def _tried(make: Callable[[], Resource | None], passing: Iterable[Quirk], about: str, google: Google) -> _End:
    """Try until it succeeds, or fails with something that does not pass, or the run is to end.

    :param passing: the refusals that pass by themselves, beside those that do for all resources.
    :param about: what is tried, for whoever waits.
    """
    start, writes = google.cancellation.now(), google.writes
    status, resource, failure = Status.FAILED, None, None
    try:
        resource = google.repeat(make, (*passing, *quirks.OF_RESOURCES), about=about)
    except Cancelled as cancelled:
        status = Status.UNFINISHED if cancelled.begun or google.writes > writes else Status.NOT_BEGUN
    except Failure as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - whatever it is, the others go on and the summary tells what was done
        failure = fault(error)
    else:
        status = Status.APPLIED
    return _End(status, google.cancellation.now() - start, resource, failure, google.writes > writes)


# Entries of one thing, which are written in one request


def _written_together(plan: Plan) -> dict[str, dict[str, Change]]:
    """The changes of each thing's entries, by address; of one alone there is nothing to gather."""
    groups: dict[str, dict[str, Change]] = {}
    for address, change in plan.by_address.items():
        if isinstance(change.resource, Entry) and change.action is not Action.NO_OP:
            groups.setdefault(change.resource.entry_of, {})[address] = change
    return {name: changes for name, changes in groups.items() if len(changes) > 1}


def _outcomes_together(
    plan: Plan, changes: Mapping[str, Change], outcomes: Mapping[str, Outcome], google: Google
) -> dict[str, Outcome]:
    """Make the changes of a thing's entries whose turn has come.

    :returns: their outcomes, by address; what is not among them is left to be made, or skipped, by itself.
    """
    ready = {
        address: change
        for address, change in changes.items()
        if plan.graph[address] & plan.graph.keys() <= outcomes.keys() and not _broken(_before(plan, address, outcomes))
    }
    if not ready:
        return {}
    attempts = AttemptsTogether(ready, google, plan)
    passing = dict.fromkeys(quirk for change in ready.values() for quirk in change.resource.passing)
    first, *others = (change.resource.label for change in ready.values())
    about = f"{first} and {len(others)} more" if others else first
    end = _tried(attempts.make, passing, about, google)

    def outcome(address: str) -> Outcome | None:
        planned, has_written = ready[address], address in attempts.written
        if address in attempts.failures:
            failure = attempts.failures[address]
            return Outcome(planned, Status.FAILED, end.seconds, failure=failure, has_written=has_written)
        change = attempts.changes.get(address)
        if change is None:
            return None
        if end.status is Status.APPLIED or change.action is Action.NO_OP:
            status = Status.APPLIED if has_written else Status.UNCHANGED
            # An entry is planned to be created only where what it is part of is.
            made = _told(planned, change, status, whole_changed=True)
            return Outcome(made, status, end.seconds, attempts.resources[address], has_written=has_written)
        # What is told of one that was left out says nothing about those that are left.
        if end.failure is not None and end.failure is attempts.left_for:
            return None
        return Outcome(planned, end.status, end.seconds, failure=end.failure, has_written=has_written)

    return {address: it for address in ready if (it := outcome(address)) is not None}
