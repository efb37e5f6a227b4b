"""How a change is made: by itself, or with others in one request, in as many attempts as it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from octue_action.failure import Failure
from octue_action.plan import Action, Change, Plan, compare, deletion, refusals_of
from octue_action.quirks import NotAsWritten
from octue_action.resource import Entry, Resource, diff

if TYPE_CHECKING:
    from octue_action.google import Google


class Deletion:
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


class Attempts:
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
        # A change writes upon what is there, and a replacement deletes it: neither goes by what was there a while ago,
        # but where the write itself is refused then.
        is_old = change.action in {Action.UPDATE, Action.REPLACE} and not isinstance(change.resource, Entry)
        self._reads = plan_may_be_old or is_old
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


class AttemptsTogether:
    """Changes of one thing's entries, which are made in one request, in as many attempts as it takes.

    Where what one of them says is refused, the others go on without it: it has failed, or goes its own way where its
    refusal passes by itself.

    :param changes: as planned, by address.
    :param google: the door to Google Cloud.
    :param plan: what they are of.

    ``changes`` are those that are still made together, and ``failures`` those of others. ``resources`` are as they now
    stand, and ``written`` the addresses of what this run has changed, or may have. ``left_for`` is the last failure for
    which somebody was left out.
    """

    def __init__(self, changes: Mapping[str, Change], google: Google, plan: Plan) -> None:
        self.changes = dict(changes)
        self.failures: dict[str, Failure] = {}
        self.resources: dict[str, Resource | None] = {}
        self.written: set[str] = set()
        self.left_for: Failure | None = None
        self._google = google
        self._plan = plan
        self._reads = False

    def make(self) -> None:
        """One attempt; another one compares again what is there, and writes only what is still missing.

        :raises Failure: which may pass by itself.
        """
        if self._reads:
            self._compare_again()
        self._reads = True
        while todo := {a: change for a, change in self.changes.items() if change.action is not Action.NO_OP}:
            try:
                self._write(todo)
                return
            except Failure as failure:
                self._leave_out(failure, todo)

    def _compare_again(self) -> None:
        entries = _entries(self.changes)
        for actual in type(entries[0]).read_together(self._google, entries):
            address, resource = actual.address, self.changes[actual.address].resource
            self.resources[address] = actual
            if self._plan.purpose == "destroy":
                self.changes[address] = deletion(resource, actual)
                continue
            self.changes[address] = compare(resource, actual)
            refusal = next(iter(refusals_of(self.changes[address], actual, adopt=self._plan.adopt)), None)
            if refusal is not None:
                self._fail(address, refusal)

    def _write(self, todo: Mapping[str, Change]) -> None:
        entries, writes = _entries(todo), self._google.writes
        try:
            written = self._written(entries)
        finally:
            if self._google.writes > writes:
                self.written |= todo.keys()
        self.resources |= {**dict.fromkeys(todo), **{entry.address: entry for entry in written}}
        for entry in written:
            if diff(todo[entry.address].resource, entry):
                del self.changes[entry.address]  # it goes its own way, which is patient with what does not show yet

    def _written(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Make the change of each entry in one request, and give those that are there then."""
        kind = type(entries[0])
        if self._plan.purpose != "destroy":
            return kind.write_together(self._google, entries)
        kind.delete_together(self._google, entries)
        return ()

    def _leave_out(self, failure: Failure, todo: Mapping[str, Change]) -> None:
        """Go on without those that a failure is about.

        :raises Failure: the same, where it is about all of them, or passes for those that are left out: before the
            others are tried again, there is a pause, as many may have the same to wait for.
        """
        named = [entry for entry in _entries(todo) if entry.is_named_in(failure)]
        if len(named) in {0, len(todo)}:
            raise failure
        self.left_for = failure
        passes = {entry.address: any(quirk.holds(failure) for quirk in entry.passing) for entry in named}
        for address, may_pass in passes.items():
            if may_pass:
                del self.changes[address]
            else:
                self._fail(address, failure)
        if any(passes.values()):
            raise failure

    def _fail(self, address: str, failure: Failure) -> None:
        self.failures[address] = failure
        del self.changes[address]


def _entries(changes: Mapping[str, Change]) -> list[Entry]:
    """What the changes are of; each of them is an entry."""
    return [cast(Entry, change.resource) for change in changes.values()]
