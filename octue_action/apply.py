"""Carries a plan out: each change as soon as those it depends on are done, and what became of it."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from octue_action import quirks
from octue_action.cancellation import Cancelled
from octue_action.failure import Failure, fault
from octue_action.graph import walk
from octue_action.plan import Action, Change, Plan, compare, deletion, refusals_of
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


Listener = Callable[[Outcome], None]


def apply(plan: Plan, google: Google, tell: Listener) -> tuple[Outcome, ...]:
    """Make the changes of a plan; a failure skips only what depends on it.

    :param plan: one without refusals.
    :param google: the door to Google Cloud.
    :param tell: called with each outcome as it comes, from several threads; a log that nobody takes stops nothing.
    :returns: the outcomes in the order of the plan.
    """
    outcomes: dict[str, Outcome] = {}

    def visit(address: str) -> Outcome:
        before = [outcomes[on] for on in sorted(plan.graph[address]) if on in outcomes]
        outcome = outcomes[address] = _outcome(plan, plan.by_address[address], before, google)
        with contextlib.suppress(OSError):
            tell(outcome)
        return outcome

    walk(plan.graph, visit)
    return tuple(outcomes[address] for address in plan.by_address)


def _outcome(plan: Plan, change: Change, before: list[Outcome], google: Google) -> Outcome:
    broken = tuple(o.change.resource.label for o in before if o.status in {Status.FAILED, Status.SKIPPED})
    if broken:
        return Outcome(change, Status.SKIPPED, waited_on=broken)
    start, writes = google.cancellation.now(), google.writes
    whole_changed = any(
        o.status is Status.APPLIED for o in before if o.change.resource.address == change.resource.part_of
    )
    attempts: _Attempts | _Deletion = (
        _Deletion(change, google)
        if plan.purpose == "destroy"
        else _Attempts(change, google, plan_may_be_old=whole_changed, adopt=plan.adopt)
    )
    status, resource, failure = Status.FAILED, None, None
    try:
        passing = (*change.resource.passing, *quirks.OF_RESOURCES)
        resource = google.repeat(attempts.make, passing, about=change.resource.label)
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
    if failure is not None and attempts.has_deleted:
        failure.aftermath = f"The {change.resource.title} of before is deleted already. {failure.aftermath}".rstrip()
    # What is part of something new is new, too, though it is there by now, and only put right.
    is_told = status is Status.UNCHANGED or attempts.change.action is not Action.NO_OP
    made = attempts.change if is_told and not (whole_changed and change.action is Action.CREATE) else change
    has_written = google.writes > writes
    return Outcome(made, status, google.cancellation.now() - start, resource, failure, has_written=has_written)


class _Deletion:
    """What a destruction does to one resource, in as many attempts as it takes.

    :param change: as planned: a deletion, or nothing.
    :param google: the door to Google Cloud.
    """

    has_deleted = False

    def __init__(self, change: Change, google: Google) -> None:
        self.change = change
        self._google = google

    def make(self) -> Resource | None:
        """One attempt; what is there is read first: it may be gone by now, or somebody else's.

        :raises Failure: which may pass by itself.
        """
        if self.change.action is Action.DELETE:
            resource = self.change.resource
            self.change = deletion(resource, resource.read(self._google))
        if self.change.action is not Action.DELETE:
            return self.change.actual
        cast(Resource, self.change.actual).delete(self._google)  # which is there, where it is to be deleted
        return None


class _Attempts:
    """A change that is made in as many attempts as it takes.

    :param change: as planned.
    :param google: the door to Google Cloud.
    :param plan_may_be_old: whether what came before in this run, as a build, may have changed what was planned upon.
    :param adopt: whether what is not ours may be taken over.

    ``has_deleted`` says whether a replacement has got as far as deleting what was there.
    """

    def __init__(self, change: Change, google: Google, *, plan_may_be_old: bool, adopt: bool) -> None:
        self.change = change
        self.has_deleted = False
        self._google = google
        self._adopt = adopt
        # A change writes upon what is there, and a replacement deletes it: neither goes by what was there a while ago.
        self._reads = plan_may_be_old or change.action in {Action.UPDATE, Action.REPLACE}
        self._is_written = False

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
        resource = change.actual if self._is_written else self._write(change)
        self._check(resource)
        return resource

    def _compare_again(self) -> None:
        resource = self.change.resource
        actual = resource.read(self._google)
        self.change = compare(resource, actual)
        if actual is not None:
            for refusal in refusals_of(self.change, actual, adopt=self._adopt):
                raise refusal

    def _write(self, change: Change) -> Resource | None:
        desired, actual = change.resource, change.actual
        if change.action is Action.CREATE:
            return desired.create(self._google)
        if actual is None or change.action is Action.NO_OP:
            return actual
        if change.action is Action.UPDATE:
            return desired.update(self._google, actual)
        actual.delete(self._google)
        self.has_deleted = True
        return desired.create(self._google)

    def _check(self, resource: Resource | None) -> None:
        """Hold the answer of the write against what was wanted: a difference that remains is no success.

        From then on it is only read, and no more written, until it is as it was written.
        """
        wanted = self.change.resource
        left = diff(wanted, resource) if resource is not None else ()
        if left or (self._is_written and resource is None):
            self._is_written = True
            names = ", ".join(field.name for field in left) or "it does not show"
            raise NotAsWritten(
                f"The {wanted.label} was written, but is not as it should be: {names}.",
                "Run the job again; if it stays, somebody or something else changes it too.",
            )
