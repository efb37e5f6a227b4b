from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self, cast

import pytest

from octue_action import quirks
from octue_action.apply import Outcome, Status, apply
from octue_action.cancellation import Cancellation, Cancelled
from octue_action.failure import Failure, GoogleError
from octue_action.google import Google
from octue_action.plan import Action, make_destruction, make_plan
from octue_action.quirks import Quirk
from octue_action.resource import Resource
from tests.clocks import SimulatedClock
from tests.octue_action.fakes import Cloud, Line, Thing


@pytest.fixture
def cloud() -> Cloud:
    return Cloud(cancellation=Cancellation(SimulatedClock()))


def run(cloud: Cloud, *things: Resource) -> dict[str, Outcome]:
    told: list[Outcome] = []
    plan = make_plan(things, cloud.door, adopt=False)
    cloud.calls.clear()
    outcomes = apply(plan, cloud.door, told.append)
    assert sorted(o.change.resource.name for o in told) == sorted(o.change.resource.name for o in outcomes)
    return {outcome.change.resource.name: outcome for outcome in outcomes}


def test_changes_are_made_and_a_second_run_has_none(cloud: Cloud) -> None:
    cloud.things = {"b": Thing(thing_id="b", size=5), "c": Thing(thing_id="c", colour="blue"), "d": Thing(thing_id="d")}
    things = [Thing(thing_id=label) for label in "abcd"]

    first = run(cloud, *things)
    second = run(cloud, *things)

    assert [o.change.action for o in first.values()] == [Action.CREATE, Action.UPDATE, Action.REPLACE, Action.NO_OP]
    assert [o.status for o in first.values()] == [Status.APPLIED] * 3 + [Status.UNCHANGED]
    assert {o.status for o in second.values()} == {Status.UNCHANGED}
    assert cloud.calls == []


def test_a_replacement_removes_before_it_creates(cloud: Cloud) -> None:
    cloud.things["a"] = Thing(thing_id="a", colour="blue")

    run(cloud, Thing(thing_id="a"))

    assert cloud.calls == ["read a", "delete a", "create a"]


def test_a_failure_skips_only_what_depends_on_it(cloud: Cloud) -> None:
    cloud.errors["create a"] = [Failure("no")]

    outcomes = run(
        cloud,
        Thing(thing_id="a"),
        Thing(thing_id="b", depends_on=("thing.a",)),
        Thing(thing_id="c", depends_on=("thing.b",)),
        Thing(thing_id="d"),
    )

    assert {name: o.status for name, o in outcomes.items()} == {
        "a": Status.FAILED,
        "b": Status.SKIPPED,
        "c": Status.SKIPPED,
        "d": Status.APPLIED,
    }
    assert outcomes["b"].waited_on == ("Thing a",)
    assert outcomes["c"].waited_on == ("Thing b",)
    assert set(cloud.things) == {"d"}


def test_an_update_that_somebody_else_has_made_meanwhile_is_not_made_again(cloud: Cloud) -> None:
    cloud.things["a"] = Thing(thing_id="a", size=5)
    plan = make_plan([Thing(thing_id="a")], cloud.door, adopt=False)
    cloud.things["a"] = Thing(thing_id="a")

    (outcome,) = apply(plan, cloud.door, lambda _: None)

    assert outcome.status is Status.UNCHANGED
    assert "update a" not in cloud.calls


def test_an_update_writes_upon_what_is_there_now(cloud: Cloud) -> None:
    cloud.things["a"] = Thing(thing_id="a", size=5)
    plan = make_plan([Thing(thing_id="a")], cloud.door, adopt=False)
    cloud.things["a"] = Thing(thing_id="a", size=5, tags={"theirs": "1"})

    apply(plan, cloud.door, lambda _: None)

    assert cloud.things["a"].tags == {"theirs": "1"}


def test_a_part_is_compared_again_when_its_whole_was_changed(cloud: Cloud) -> None:
    class Whole(Thing):
        def update(self, google: Google, actual: Self) -> Self:  # makes its part anew
            cloud.things["part"] = Thing(thing_id="part", size=10)
            return super().update(google, actual)

    cloud.things = {"whole": Whole(thing_id="whole", size=5), "part": Thing(thing_id="part", size=600)}
    part = Thing(thing_id="part", size=600, part_of="thing.whole", depends_on=("thing.whole",))

    outcomes = run(cloud, Whole(thing_id="whole"), part)

    assert outcomes["part"].change.action is Action.UPDATE
    assert cloud.things["part"].size == 600


def test_what_only_comes_after_something_is_not_compared_again_when_that_was_changed(cloud: Cloud) -> None:
    run(cloud, Thing(thing_id="a"), Thing(thing_id="b", depends_on=("thing.a",)))

    assert cloud.calls == ["create a", "create b"]


def test_what_this_run_has_only_waited_for_was_made_all_the_same(cloud: Cloud) -> None:
    class BegunBySomebodyElse(Thing):
        def create(self, google: Google) -> Self:
            made = super().create(google)
            cloud.writes = 0
            return made

    outcome = run(cloud, BegunBySomebodyElse(thing_id="a"))["a"]

    assert (outcome.status, outcome.change.action) == (Status.APPLIED, Action.CREATE)


def test_an_outcome_says_how_long_it_took(cloud: Cloud) -> None:
    class Slow(Thing):
        def create(self, google: Google) -> Self:
            google.cancellation.pause(3.0)
            return super().create(google)

    outcomes = run(cloud, Slow(thing_id="a"), Slow(thing_id="b", depends_on=("thing.a",)))

    assert [outcome.seconds for outcome in outcomes.values()] == [3.0, 3.0]


def test_a_conflict_is_begun_again_from_reading(cloud: Cloud) -> None:
    conflict = GoogleError("update_thing", "ABORTED", "concurrent changes")
    cloud.things["a"] = Thing(thing_id="a", size=5)
    cloud.errors["update a"] = [conflict, conflict]

    outcomes = run(cloud, Thing(thing_id="a"))

    assert outcomes["a"].status is Status.APPLIED
    assert cloud.calls == ["read a", "update a"] * 3


def test_after_a_cancellation_what_was_begun_is_told_from_what_was_not(cloud: Cloud) -> None:
    class Waited(Thing):
        """A thing that takes its time, in which somebody cancels the run."""

        def create(self, google: Google) -> Self:
            google.cancellation.ask()
            raise Cancelled(begun=True)

    class Twice(Thing):
        """A thing that takes two writes, between which somebody cancels the run."""

        def create(self, google: Google) -> Self:
            super().create(google)
            cloud.writes += 1
            raise Cancelled

    class Refused(Thing):
        """A thing for which the door is closed already."""

        def create(self, google: Google) -> Self:
            google.cancellation.check()
            return super().create(google)

    cloud.things["d"] = Thing(thing_id="d")
    outcomes = run(
        cloud,
        Waited(thing_id="a"),
        Twice(thing_id="b", depends_on=("thing.a",)),
        Refused(thing_id="c", depends_on=("thing.b",)),
        Thing(thing_id="d", depends_on=("thing.c",)),
    )

    assert {name: o.status for name, o in outcomes.items()} == {
        "a": Status.UNFINISHED,
        "b": Status.UNFINISHED,
        "c": Status.NOT_BEGUN,
        "d": Status.UNCHANGED,
    }


def test_a_conflict_is_not_begun_again_after_a_cancellation(cloud: Cloud) -> None:
    cloud.things["a"] = Thing(thing_id="a", size=5)
    cloud.errors["update a"] = [GoogleError("update_thing", "ABORTED", "concurrent changes")]
    cloud.cancellation.ask()

    outcomes = run(cloud, Thing(thing_id="a"))

    assert outcomes["a"].status is Status.NOT_BEGUN
    assert cloud.calls == ["read a", "update a"]


def test_a_conflict_that_does_not_end_is_a_failure(cloud: Cloud) -> None:
    cloud.things["a"] = Thing(thing_id="a", size=5)
    cloud.errors["update a"] = [GoogleError("update_thing", "ABORTED", "again")] * 500

    assert run(cloud, Thing(thing_id="a"))["a"].status is Status.FAILED
    assert cloud.cancellation.now() <= quirks.CHANGED_MEANWHILE.seconds


# Writes of which nobody knows whether they were done


LOST = GoogleError("write_thing", "UNAVAILABLE", "the answer is lost")


class Lost(Thing):
    """A thing whose first creation or change is done, and its answer lost."""

    def _write(self, google: Google, verb: str, tags: Mapping[str, str]) -> Self:
        written = super()._write(google, verb, tags)
        if google.cancellation.now() == 0:
            raise LOST
        return written


def test_a_creation_whose_answer_is_lost_is_read_back_and_not_made_again(cloud: Cloud) -> None:
    outcome = run(cloud, Lost(thing_id="a"))["a"]

    assert cloud.calls == ["create a", "read a"]
    assert outcome.status is Status.APPLIED
    assert outcome.change.action is Action.CREATE
    assert outcome.resource == cloud.things["a"]


def test_an_update_whose_answer_is_lost_is_read_back_and_not_made_again(cloud: Cloud) -> None:
    cloud.things["a"] = Thing(thing_id="a", size=5)

    outcome = run(cloud, Lost(thing_id="a"))["a"]

    assert cloud.calls == ["read a", "update a", "read a"]
    assert outcome.status is Status.APPLIED
    assert outcome.change.action is Action.UPDATE


def test_an_answer_that_is_lost_is_told_with_the_name_of_what_was_written(cloud: Cloud) -> None:
    told: list[str] = []
    cloud.progress = told.append
    cloud.errors["create a"] = [LOST]

    run(cloud, Thing(thing_id="a"))

    assert told == ["Thing a: an answer was lost; looking what became of it"]


def test_a_write_that_was_not_done_is_made_again(cloud: Cloud) -> None:
    cloud.errors["create a"] = [LOST]

    outcome = run(cloud, Thing(thing_id="a"))["a"]

    assert cloud.calls == ["create a", "read a", "create a"]
    assert outcome.status is Status.APPLIED


def test_a_replacement_that_got_no_further_than_the_deletion_is_finished(cloud: Cloud) -> None:
    cloud.things["a"] = Thing(thing_id="a", colour="blue")
    cloud.errors["create a"] = [LOST]

    outcome = run(cloud, Thing(thing_id="a"))["a"]

    assert cloud.calls == ["read a", "delete a", "create a", "read a", "create a"]
    assert outcome.status is Status.APPLIED


def test_a_second_attempt_knows_that_it_is_one(cloud: Cloud) -> None:
    class Wary(Thing):
        def retried(self) -> Self:
            return replace(self, tags={"looked": "twice"})

    cloud.errors["create a"] = [LOST]

    run(cloud, Wary(thing_id="a"))

    assert cloud.things["a"].tags == {"looked": "twice"}


def test_an_outage_that_does_not_end_is_the_error_that_it_was(cloud: Cloud) -> None:
    cloud.errors["create a"] = [LOST] * 500

    outcome = run(cloud, Thing(thing_id="a"))["a"]

    assert outcome.failure is LOST
    assert cloud.cancellation.now() <= quirks.OUTCOME_UNKNOWN.seconds


# What somebody else does at the same time


def test_what_somebody_has_made_meanwhile_is_taken_as_it_is_where_it_is_ours(cloud: Cloud) -> None:
    class Slow(Thing):
        def create(self, google: Google) -> Self:  # noqa: ARG002 - as Thing's
            cloud.call("create", self.thing_id)
            cloud.things["a"] = Thing(thing_id="a", told="another run's")
            raise GoogleError("create_thing", "ALREADY_EXISTS", "it exists")

    outcome = run(cloud, Slow(thing_id="a"))["a"]

    assert cloud.calls == ["create a", "read a"]
    assert outcome.status is Status.UNCHANGED
    assert outcome.change.action is Action.NO_OP
    assert outcome.resource == Thing(thing_id="a", told="another run's")


@pytest.mark.parametrize("adopt", [False, True])
def test_what_a_stranger_has_made_meanwhile_is_touched_only_where_it_may_be_adopted(cloud: Cloud, adopt: bool) -> None:
    class Late(Thing):
        def create(self, google: Google) -> Self:  # noqa: ARG002 - as Thing's
            cloud.things["a"] = Thing(thing_id="a", size=9, ours=False)
            raise GoogleError("create_thing", "ALREADY_EXISTS", "it exists")

    plan = make_plan([Late(thing_id="a")], cloud.door, adopt=adopt)
    (outcome,) = apply(plan, cloud.door, lambda _: None)

    assert outcome.status is (Status.APPLIED if adopt else Status.FAILED)
    assert cloud.things["a"].size == (1 if adopt else 9)
    assert adopt or "this workflow did not make it" in str(outcome.failure)


def test_what_a_stranger_has_made_meanwhile_is_refused_also_where_it_is_as_it_should_be(cloud: Cloud) -> None:
    class Late(Thing):
        def create(self, google: Google) -> Self:  # noqa: ARG002 - as Thing's
            cloud.things["a"] = Thing(thing_id="a", ours=False)
            raise GoogleError("create_thing", "ALREADY_EXISTS", "it exists")

    assert run(cloud, Late(thing_id="a"))["a"].status is Status.FAILED


def test_what_exists_and_does_not_show_yet_is_waited_for(cloud: Cloud) -> None:
    exists = GoogleError("create_thing", "ALREADY_EXISTS", "it exists")
    cloud.errors["create a"] = [exists] * 5

    assert run(cloud, Thing(thing_id="a"))["a"].status is Status.APPLIED
    assert cloud.calls == ["create a", *["read a", "create a"] * 5]


def test_what_somebody_has_deleted_meanwhile_is_made_anew(cloud: Cloud) -> None:
    class Vanishing(Thing):
        def update(self, google: Google, actual: Self) -> Self:  # noqa: ARG002 - as Thing's
            cloud.things.clear()
            raise GoogleError("update_thing", "NOT_FOUND", "it is gone")

    cloud.things["a"] = Thing(thing_id="a", size=5)

    outcome = run(cloud, Vanishing(thing_id="a"))["a"]

    assert outcome.status is Status.APPLIED
    assert cloud.things["a"].size == 1


def test_a_fault_of_our_own_fails_only_its_resource_and_says_whose_it_is(cloud: Cloud) -> None:
    class Faulty(Thing):
        def create(self, google: Google) -> Self:  # noqa: ARG002 - as Thing's
            raise LookupError("oh")

    outcomes = run(cloud, Faulty(thing_id="a"), Thing(thing_id="b"))

    assert [outcome.status for outcome in outcomes.values()] == [Status.FAILED, Status.APPLIED]
    assert "a fault of the action itself, not of your service: LookupError: oh" in str(outcomes["a"].failure)


def test_an_answer_that_is_older_than_the_write_is_no_failure(cloud: Cloud) -> None:
    class Stale(Thing):
        def update(self, google: Google, actual: Self) -> Self:
            super().update(google, actual)
            return replace(self, size=actual.size)

    cloud.things["a"] = Thing(thing_id="a", size=5)

    outcome = run(cloud, Stale(thing_id="a"))["a"]

    assert outcome.status is Status.APPLIED
    assert cloud.calls == ["read a", "update a", "read a"]


def test_another_refusal_is_not_tried_again(cloud: Cloud) -> None:
    cloud.errors["create a"] = [GoogleError("create_thing", "PERMISSION_DENIED", "no")] * 2

    assert run(cloud, Thing(thing_id="a"))["a"].status is Status.FAILED
    assert cloud.calls == ["create a"]


def test_an_answer_that_is_not_what_was_wanted_is_a_failure(cloud: Cloud) -> None:
    class Stubborn(Thing):
        def create(self, google: Google) -> Self:
            return self._stubborn(super().create(google))

        def update(self, google: Google, actual: Self) -> Self:
            return self._stubborn(super().update(google, actual))

        def _stubborn(self, written: Self) -> Self:
            cloud.things["a"] = replace(written, size=99, secrets={"x": "1"})
            return cast(Self, cloud.things["a"])

    outcome = run(cloud, Stubborn(thing_id="a"))["a"]

    assert outcome.status is Status.FAILED
    assert outcome.failure is not None
    assert outcome.failure.message == "The Thing a was written, but is not as it should be: size, secrets[x]."
    assert outcome.failure.remedy == "Run the job again; if it stays, somebody or something else changes it too."


# Replacements


def test_a_replacement_deletes_nothing_that_has_become_somebody_elses_since_the_plan(cloud: Cloud) -> None:
    cloud.things["a"] = Thing(thing_id="a", colour="blue")
    plan = make_plan([Thing(thing_id="a")], cloud.door, adopt=False)
    cloud.things["a"] = theirs = Thing(thing_id="a", colour="green", ours=False)

    (outcome,) = apply(plan, cloud.door, lambda _: None)

    assert outcome.status is Status.FAILED
    assert "this workflow did not make it" in str(outcome.failure)
    assert cloud.things["a"] is theirs


def test_a_replacement_that_another_run_has_made_is_not_made_again(cloud: Cloud) -> None:
    cloud.things["a"] = Thing(thing_id="a", colour="blue")
    plan = make_plan([Thing(thing_id="a")], cloud.door, adopt=False)
    cloud.things["a"] = made = Thing(thing_id="a")

    (outcome,) = apply(plan, cloud.door, lambda _: None)

    assert outcome.status is Status.UNCHANGED
    assert cloud.things["a"] is made


def test_a_replacement_that_fails_after_the_deletion_says_so_and_counts_as_written(cloud: Cloud) -> None:
    cloud.things["a"] = Thing(thing_id="a", colour="blue")
    cloud.errors["create a"] = [GoogleError("create_thing", "PERMISSION_DENIED", "no")]

    outcome = run(cloud, Thing(thing_id="a"))["a"]

    assert outcome.status is Status.FAILED
    assert outcome.failure is not None
    assert outcome.failure.aftermath == "The Thing of before is deleted already."
    assert outcome.has_written


def test_a_failure_that_changed_nothing_has_written_nothing(cloud: Cloud) -> None:
    cloud.errors["create a"] = [GoogleError("create_thing", "PERMISSION_DENIED", "no")]

    outcome = run(cloud, Thing(thing_id="a"))["a"]

    assert not outcome.has_written
    assert outcome.failure is not None
    assert outcome.failure.aftermath == ""


# What shows later than it was made


def test_what_reads_other_than_written_is_read_again_and_not_written_again(cloud: Cloud) -> None:
    class Stale(Thing):
        def update(self, google: Google, actual: Self) -> Self:
            super().update(google, actual)
            cloud.things["a"] = actual
            return actual

    cloud.things["a"] = Thing(thing_id="a", size=5)

    outcome = run(cloud, Stale(thing_id="a"))["a"]

    assert outcome.status is Status.FAILED
    assert "is not as it should be: size" in str(outcome.failure)
    assert cloud.calls.count("update a") == 1
    assert cloud.calls.count("read a") > 3
    assert cloud.cancellation.now() <= quirks.NOT_YET_AS_WRITTEN.seconds


def test_what_reads_other_than_written_and_then_not_at_all_is_told_as_what_does_not_show(cloud: Cloud) -> None:
    class Vanishing(Thing):
        def update(self, google: Google, actual: Self) -> Self:
            super().update(google, actual)
            cloud.things.clear()
            return actual

    cloud.things["a"] = Thing(thing_id="a", size=5)

    outcome = run(cloud, Vanishing(thing_id="a"))["a"]

    assert outcome.status is Status.FAILED
    assert outcome.failure is not None
    assert outcome.failure.message == "The Thing a was written, but is not as it should be: it does not show."
    assert "create a" not in cloud.calls


def test_a_refusal_that_passes_for_one_kind_alone_is_waited_out_for_that_kind(cloud: Cloud) -> None:
    class Patient(Thing):
        @property
        def passing(self) -> tuple[Quirk, ...]:
            return (quirks.PROJECT_NOT_YET_READY,)

    refusal = GoogleError("create_thing", "FAILED_PRECONDITION", "Please retry this operation.")
    cloud.errors = {"create a": [refusal] * 3, "create b": [refusal] * 3}

    outcomes = run(cloud, Patient(thing_id="a"), Thing(thing_id="b"))

    assert [o.status for o in outcomes.values()] == [Status.APPLIED, Status.FAILED]


def test_a_log_that_nobody_takes_stops_nothing(cloud: Cloud) -> None:
    def broken(_: Outcome) -> None:
        raise BrokenPipeError

    plan = make_plan([Thing(thing_id="a"), Thing(thing_id="b", depends_on=("thing.a",))], cloud.door, adopt=False)
    outcomes = apply(plan, cloud.door, broken)

    assert [o.status for o in outcomes] == [Status.APPLIED] * 2


# Destroying


def destroy(cloud: Cloud, *things: Thing) -> dict[str, Outcome]:
    plan = make_destruction(things, cloud.door, kept={})
    cloud.calls.clear()
    return {outcome.change.resource.name: outcome for outcome in apply(plan, cloud.door, lambda _: None)}


CHAIN = (Thing(thing_id="a"), Thing(thing_id="b", depends_on=("thing.a",)), Thing(thing_id="c"))


def test_what_was_made_is_deleted_backwards_and_a_second_time_there_is_nothing_to_do(cloud: Cloud) -> None:
    cloud.things = {thing.name: thing for thing in CHAIN}

    first = destroy(cloud, *CHAIN)
    calls = list(cloud.calls)
    second = destroy(cloud, *CHAIN)

    assert {o.status for o in first.values()} == {Status.APPLIED}
    assert calls.index("delete b") < calls.index("delete a")
    assert cloud.things == {}
    assert {o.status for o in second.values()} == {Status.UNCHANGED}
    assert cloud.calls == []


def test_what_cannot_be_deleted_keeps_only_what_it_needs(cloud: Cloud) -> None:
    cloud.things = {thing.name: thing for thing in CHAIN}
    cloud.errors["delete b"] = [Failure("no")]

    outcomes = destroy(cloud, *CHAIN)

    assert [outcomes[name].status for name in "bac"] == [Status.FAILED, Status.SKIPPED, Status.APPLIED]
    assert outcomes["a"].waited_on == ("Thing b",)
    assert cloud.things.keys() == {"a", "b"}
    assert outcomes["b"].failure is not None
    assert outcomes["b"].failure.aftermath == ""


@pytest.mark.parametrize("now", [None, Thing(thing_id="a", ours=False)])
def test_what_is_gone_or_somebody_elses_by_the_time_it_is_to_be_deleted_is_left_alone(
    cloud: Cloud, now: Thing | None
) -> None:
    cloud.things["a"] = Thing(thing_id="a")
    plan = make_destruction([Thing(thing_id="a")], cloud.door, kept={})
    cloud.things = {"a": now} if now else {}
    cloud.calls.clear()

    (outcome,) = apply(plan, cloud.door, lambda _: None)

    assert outcome.status is Status.UNCHANGED
    assert cloud.calls == ["read a"]


def test_a_deletion_whose_answer_was_lost_is_looked_after(cloud: Cloud) -> None:
    cloud.things["a"] = Thing(thing_id="a")
    cloud.errors["delete a"] = [GoogleError("delete_a", "UNAVAILABLE", "lost")]

    outcomes = destroy(cloud, Thing(thing_id="a"))

    assert outcomes["a"].status is Status.APPLIED
    assert cloud.calls == ["read a", "delete a", "read a", "delete a"]


def test_what_is_not_ours_is_left_as_it_is_whatever_it_is_like(cloud: Cloud) -> None:
    cloud.things["a"] = theirs = Thing(thing_id="a", size=9, ours=False)

    outcomes = destroy(cloud, Thing(thing_id="a"))

    assert outcomes["a"].status is Status.UNCHANGED
    assert outcomes["a"].resource is theirs
    assert cloud.things == {"a": theirs}


# Told as planned


class Whole(Thing):
    """One that makes its part itself, other than it is wanted."""

    def create(self, google: Google) -> Self:
        cast(Cloud, google).things["part"] = Thing(thing_id="part", size=9)
        return super().create(google)


def test_what_is_part_of_something_new_is_told_as_new_though_it_is_only_put_right(cloud: Cloud) -> None:
    part = Thing(thing_id="part", part_of="thing.whole", depends_on=("thing.whole",))

    outcomes = run(cloud, Whole(thing_id="whole"), part)

    assert (outcomes["part"].status, outcomes["part"].change.action) == (Status.APPLIED, Action.CREATE)
    assert "update part" in cloud.calls


def test_of_several_services_the_one_that_something_is_in_the_way_of_fails_untouched(cloud: Cloud) -> None:
    cloud.things["b"] = Thing(thing_id="b", ours=False)
    parts = [{"thing.a", "thing.b"}, {"thing.c"}]
    plan = make_plan([Thing(thing_id=text) for text in "abc"], cloud.door, adopt=False, parts=parts)
    cloud.calls.clear()

    outcomes = named(apply(plan, cloud.door, lambda _: None))

    assert cloud.calls == ["create c"]
    assert {address: o.status for address, o in outcomes.items()} == {
        "thing.a": Status.SKIPPED,
        "thing.b": Status.FAILED,
        "thing.c": Status.APPLIED,
    }
    assert outcomes["thing.a"].waited_on == ("Thing b",)
    assert "exists already" in str(outcomes["thing.b"].failure)


# What is written together


def lines(*texts: str, **told: Any) -> list[Line]:
    return [Line(text=text, depends_on=(f"thing.{text}",), **told) for text in texts]


def refusal(text: str, why: str = "is not known") -> GoogleError:
    return GoogleError("write_page", "INVALID_ARGUMENT", f"The line {text} {why}.")


NOT_YET_KNOWN = Quirk("waiting", lambda failure: "is not known yet" in failure.message, 60.0)


def written_by(cloud: Cloud) -> list[str]:
    return [call for call in cloud.calls if call.startswith("write")]


def test_entries_of_one_thing_are_read_in_one_request_and_written_in_one(cloud: Cloud) -> None:
    wanted = lines(*"abc")

    outcomes = run(cloud, *(Thing(thing_id=text) for text in "abc"), *wanted)
    calls = list(cloud.calls)
    plan = make_plan(wanted, cloud.door, adopt=False)

    assert {outcome.status for outcome in outcomes.values()} == {Status.APPLIED}
    assert [call for call in calls if "page" in call] == ["write page a b c"], "upon what was read for the plan"
    assert not plan.has_changes
    assert cloud.calls.count("read page") == 1


def test_entries_of_different_things_are_written_apart(cloud: Cloud) -> None:
    run(cloud, Line(text="a", page="one"), Line(text="b", page="one"), Line(text="c", page="other"))

    assert sorted(written_by(cloud)) == ["write one a b", "write other c"]


def test_entries_are_written_when_all_that_any_of_them_waits_for_is_settled(cloud: Cloud) -> None:
    class Slow(Thing):
        def create(self, google: Google) -> Self:
            google.cancellation.pause(3.0)
            return super().create(google)

    outcomes = carried_out(cloud, Thing(thing_id="a"), Slow(thing_id="b"), *lines(*"ab"))

    assert written_by(cloud) == ["write page a b"]
    assert cloud.calls.index("create b") < cloud.calls.index("write page a b")
    assert {outcome.status for outcome in outcomes.values()} == {Status.APPLIED}


def named(outcomes: tuple[Outcome, ...]) -> dict[str, Outcome]:
    return {outcome.change.resource.address: outcome for outcome in outcomes}


def carried_out(cloud: Cloud, *resources: Resource) -> dict[str, Outcome]:
    plan = make_plan(resources, cloud.door, adopt=False)
    cloud.calls.clear()
    return named(apply(plan, cloud.door, lambda _: None))


def test_an_entry_whose_dependency_has_failed_is_skipped_and_the_others_are_written(cloud: Cloud) -> None:
    cloud.errors["create b"] = [Failure("no")]

    outcomes = carried_out(cloud, *(Thing(thing_id=text) for text in "abc"), *lines(*"abc"))

    assert written_by(cloud) == ["write page a c"]
    assert outcomes["line.b"].status is Status.SKIPPED
    assert outcomes["line.b"].waited_on == ("Thing b",)
    assert [outcomes[f"line.{text}"].status for text in "ac"] == [Status.APPLIED] * 2


def test_a_refusal_for_all_entries_is_one_failure_and_one_call(cloud: Cloud) -> None:
    cloud.errors["write page"] = [GoogleError("write_page", "PERMISSION_DENIED", "no")] * 9

    outcomes = carried_out(cloud, *lines(*"abcd"), Thing(thing_id="e", depends_on=("line.a",)))

    (failure,) = {outcomes[f"line.{text}"].failure for text in "abcd"}
    assert failure is not None
    assert {outcomes[f"line.{text}"].resource for text in "abcd"} == {None}
    assert {outcomes[f"line.{text}"].status for text in "abcd"} == {Status.FAILED}
    assert not any(outcomes[f"line.{text}"].has_written for text in "abcd")
    assert outcomes["thing.e"].status is Status.SKIPPED
    assert len(written_by(cloud)) == 1


def test_an_entry_that_is_refused_for_itself_fails_and_the_others_are_written_at_once(cloud: Cloud) -> None:
    cloud.errors["write page"] = [refusal("b"), refusal("d")]

    outcomes = carried_out(cloud, *lines(*"abcd"))

    assert written_by(cloud) == ["write page a b c d", "write page a c d", "write page a c"]
    assert {text: outcomes[f"line.{text}"].status for text in "abcd"} == {
        "a": Status.APPLIED,
        "b": Status.FAILED,
        "c": Status.APPLIED,
        "d": Status.FAILED,
    }
    assert "The line b " in str(outcomes["line.b"].failure)
    assert "The line d " in str(outcomes["line.d"].failure)
    assert cloud.cancellation.now() == 0.0


def test_an_entry_whose_refusal_passes_goes_its_own_way_and_the_others_wait_no_longer(cloud: Cloud) -> None:
    cloud.errors["write page"] = [
        refusal("b", "is not known yet"),
        *[None] * 1,
        *[refusal("b", "is not known yet")] * 5,
    ]

    outcomes = carried_out(cloud, *lines(*"abc", waited_for=(NOT_YET_KNOWN,)))

    assert written_by(cloud) == ["write page a b c", "write page a c", *["write page b"] * 6]
    assert {outcome.status for outcome in outcomes.values()} == {Status.APPLIED}
    assert 0.0 < outcomes["line.a"].seconds <= quirks.FIRST_PAUSE < outcomes["line.b"].seconds
    assert cloud.pages["page"] == {"a", "b", "c"}


@pytest.mark.parametrize("what", ["The page", "Each of a b c "])
def test_what_is_refused_for_all_entries_and_passes_is_waited_for_together(cloud: Cloud, what: str) -> None:
    cloud.errors["write page"] = [GoogleError("write_page", "INVALID_ARGUMENT", f"{what} is not known yet.")] * 3
    told: list[str] = []
    cloud.progress = told.append

    outcomes = carried_out(cloud, *lines(*"abc", waited_for=(NOT_YET_KNOWN,)))

    assert told == ["Line a and 2 more: waiting"]
    assert written_by(cloud) == ["write page a b c"] * 4
    assert {outcome.status for outcome in outcomes.values()} == {Status.APPLIED}


def test_those_who_are_left_when_others_are_waited_for_in_vain_do_not_fail_with_them(cloud: Cloud) -> None:
    texts = [f"t{number}" for number in range(40)]
    impatient = Quirk("", NOT_YET_KNOWN.holds, 60.0, times=1)
    cloud.errors["write page"] = [refusal(text, "is not known yet") for text in texts[:2]]

    outcomes = carried_out(cloud, *lines(*texts, waited_for=(impatient,)))

    assert {outcome.status for outcome in outcomes.values()} == {Status.APPLIED}


def test_of_those_who_are_refused_together_each_fails_or_waits_as_its_own_kind_of_refusal_has_it(cloud: Cloud) -> None:
    wanted = [*lines(*"ab"), *lines("c", waited_for=(NOT_YET_KNOWN,))]
    cloud.errors["write page"] = [GoogleError("write_page", "INVALID_ARGUMENT", "Each of b c is not known yet.")]

    outcomes = carried_out(cloud, *wanted)

    assert [outcomes[f"line.{text}"].status for text in "abc"] == [Status.APPLIED, Status.FAILED, Status.APPLIED]
    assert written_by(cloud) == ["write page a b c", "write page a", "write page c"]
    assert cloud.cancellation.now() > 0.0


def test_entries_whose_dependencies_have_all_failed_are_all_skipped(cloud: Cloud) -> None:
    cloud.errors |= {f"create {text}": [Failure("no")] for text in "ab"}

    outcomes = carried_out(cloud, *(Thing(thing_id=text) for text in "ab"), *lines(*"ab"))

    assert [outcomes[f"line.{text}"].status for text in "ab"] == [Status.SKIPPED] * 2


def test_the_only_entry_whose_turn_comes_is_told_by_its_own_name(cloud: Cloud) -> None:
    cloud.errors = {"create a": [Failure("no")], "write page": [refusal("b", "is not known yet")]}
    told: list[str] = []
    cloud.progress = told.append

    outcomes = carried_out(cloud, *(Thing(thing_id=text) for text in "ab"), *lines(*"ab", waited_for=(NOT_YET_KNOWN,)))

    assert told == ["Line b: waiting"]
    assert outcomes["line.b"].status is Status.APPLIED


def test_entries_that_are_as_they_should_be_are_not_looked_at_again(cloud: Cloud) -> None:
    cloud.pages["page"] = {"a", "b"}

    carried_out(cloud, *lines(*"ab"))

    assert cloud.calls == []


def test_entries_that_are_part_of_something_new_are_told_as_new(cloud: Cloud) -> None:
    whole = Thing(thing_id="whole")
    parts = [Line(text=text, part_of=whole.address, depends_on=(whole.address,)) for text in "ab"]

    outcomes = carried_out(cloud, whole, *parts, Line(text="c"), Line(text="d"))

    assert [outcomes[f"line.{text}"].change.action for text in "abcd"] == [Action.CREATE] * 2 + [Action.UPDATE] * 2


def test_an_entry_that_is_as_it_should_be_does_not_fail_with_those_that_cannot_be_written(cloud: Cloud) -> None:
    plan = make_plan(lines(*"abc"), cloud.door, adopt=False)
    cloud.pages["page"] = {"b"}
    cloud.errors["write page"] = [None, GoogleError("write_page", "PERMISSION_DENIED", "no")]  # first it is stale

    outcomes = named(apply(plan, cloud.door, lambda _: None))

    assert [outcomes[f"line.{text}"].status for text in "abc"] == [Status.FAILED, Status.UNCHANGED, Status.FAILED]
    assert outcomes["line.b"].failure is None


def test_a_failure_after_a_lost_answer_may_have_changed_something(cloud: Cloud) -> None:
    class LostOnce(Line):
        @classmethod
        def write_together(cls, google: Google, entries: Sequence[Self]) -> Sequence[Self]:
            if not cloud.writes:
                cloud.writes += 1
                raise LOST
            return super().write_together(google, entries)

    cloud.errors["write page"] = [refusal("b")]

    outcome = carried_out(cloud, LostOnce(text="a"), LostOnce(text="b"))["line.b"]

    assert (outcome.status, outcome.has_written) == (Status.FAILED, True)
    assert outcome.seconds > 0.0


def test_a_conflict_over_several_entries_is_begun_again_from_reading(cloud: Cloud) -> None:
    conflict = GoogleError("write_page", "ABORTED", "concurrent changes")
    cloud.errors["write page"] = [conflict, conflict]

    outcomes = carried_out(cloud, *lines(*"ab"))

    assert cloud.calls == ["write page a b", *["read page", "write page a b"] * 2]
    assert {outcome.status for outcome in outcomes.values()} == {Status.APPLIED}


def test_an_entry_that_somebody_else_has_written_meanwhile_is_told_as_unchanged(cloud: Cloud) -> None:
    plan = make_plan(lines(*"abc"), cloud.door, adopt=False)
    cloud.pages["page"] = {"b"}

    outcomes = named(apply(plan, cloud.door, lambda _: None))

    assert written_by(cloud) == ["write page a b c", "write page a c"]
    assert outcomes["line.b"].status is Status.UNCHANGED
    assert [outcomes[f"line.{text}"].status for text in "ac"] == [Status.APPLIED] * 2
    assert [outcomes[f"line.{text}"].has_written for text in "abc"] == [True, False, True]
    assert [outcomes[f"line.{text}"].resource for text in "abc"] == lines(*"abc")


def test_entries_whose_answer_was_lost_are_this_runs_and_are_not_written_again(cloud: Cloud) -> None:
    class Lost(Line):
        @classmethod
        def write_together(cls, google: Google, entries: Sequence[Self]) -> Sequence[Self]:
            super().write_together(google, entries)
            raise LOST

    outcomes = carried_out(cloud, Lost(text="a"), Lost(text="b"))

    assert written_by(cloud) == ["write page a b"]
    assert {outcome.status for outcome in outcomes.values()} == {Status.APPLIED}
    assert {outcome.change.action for outcome in outcomes.values()} == {Action.UPDATE}
    assert all(outcome.has_written for outcome in outcomes.values())


def test_an_entry_that_has_become_somebody_elses_since_the_plan_is_left_alone(cloud: Cloud) -> None:
    class Taken(Line):
        @classmethod
        def read_together(cls, google: Google, entries: Sequence[Self]) -> Sequence[Self]:
            found = super().read_together(google, entries)
            return [replace(it, ours=it.text != "b" or cloud.calls.count("read page") == 1) for it in found]

    plan = make_plan([Taken(text=text) for text in "abc"], cloud.door, adopt=False)
    cloud.pages["page"] = {"theirs"}
    outcomes = named(apply(plan, cloud.door, lambda _: None))

    assert written_by(cloud) == ["write page a b c", "write page a c"]
    assert [outcomes[f"line.{text}"].status for text in "abc"] == [Status.APPLIED, Status.FAILED, Status.APPLIED]
    assert "this workflow did not make it" in str(outcomes["line.b"].failure)
    assert not outcomes["line.b"].has_written


def test_an_entry_that_does_not_show_as_written_is_looked_after_by_itself(cloud: Cloud) -> None:
    class Stale(Line):
        @classmethod
        def write_together(cls, google: Google, entries: Sequence[Self]) -> Sequence[Self]:
            written = super().write_together(google, entries)
            return [replace(it, is_written=it.text != "b" or len(entries) == 1) for it in written]

    outcomes = carried_out(cloud, Stale(text="a"), Stale(text="b"))

    assert [outcomes[f"line.{text}"].status for text in "ab"] == [Status.APPLIED, Status.APPLIED]
    assert written_by(cloud) == ["write page a b", "write page b"]


def test_a_fault_in_writing_several_entries_is_a_failure_of_each(cloud: Cloud) -> None:
    class Faulty(Line):
        @classmethod
        def write_together(cls, google: Google, entries: Sequence[Self]) -> Sequence[Self]:  # noqa: ARG003 - as Line's
            raise LookupError("oh")

    outcomes = carried_out(cloud, Faulty(text="a"), Faulty(text="b"), Thing(thing_id="c"))

    assert [outcome.status for outcome in outcomes.values()] == [Status.FAILED, Status.FAILED, Status.APPLIED]
    assert "LookupError: oh" in str(outcomes["line.a"].failure)


def test_entries_are_told_as_unfinished_where_the_run_ends_while_they_are_written(cloud: Cloud) -> None:
    class Ended(Line):
        @classmethod
        def write_together(cls, google: Google, entries: Sequence[Self]) -> Sequence[Self]:
            google.cancellation.pause(3.0)
            cloud.writes += 1
            google.cancellation.ask()
            raise Cancelled(begun=len(entries) > 1)

    outcomes = carried_out(cloud, Ended(text="a"), Ended(text="b"))

    assert [outcome.status for outcome in outcomes.values()] == [Status.UNFINISHED] * 2
    assert [(outcome.seconds, outcome.has_written) for outcome in outcomes.values()] == [(3.0, True)] * 2


def test_an_entry_that_waits_for_what_another_one_is_needed_for_is_written_by_itself(cloud: Cloud) -> None:
    first, middle = Line(text="a"), Thing(thing_id="m", depends_on=("line.a",))
    last = Line(text="z", depends_on=("thing.m",))

    outcomes = carried_out(cloud, first, middle, last)

    assert written_by(cloud) == ["write page a", "write page z"]
    assert {outcome.status for outcome in outcomes.values()} == {Status.APPLIED}


def test_entries_are_deleted_together_and_before_what_they_name(cloud: Cloud) -> None:
    things = [Thing(thing_id=text) for text in "abc"]
    cloud.things, cloud.pages = {thing.name: thing for thing in things}, {"page": {"a", "b", "c", "theirs"}}
    plan = make_destruction([*things, *lines(*"abc")], cloud.door, kept={})
    cloud.calls.clear()
    cloud.pages["page"].discard("b")  # by somebody else

    outcomes = named(apply(plan, cloud.door, lambda _: None))

    of_page = [call for call in cloud.calls if "page" in call]
    assert of_page == ["delete page a b c", "read page", "delete page a c"]
    assert all(cloud.calls.index("delete page a c") < cloud.calls.index(f"delete {text}") for text in "abc")
    assert [outcomes[f"line.{text}"].status for text in "abc"] == [Status.APPLIED, Status.UNCHANGED, Status.APPLIED]
    assert [outcomes[f"line.{text}"].resource for text in "ac"] == [None, None]
    assert cloud.pages["page"] == {"theirs"}


def test_of_entries_that_are_deleted_the_one_that_is_still_needed_stays_with_what_it_names(cloud: Cloud) -> None:
    things = [Thing(thing_id=text) for text in "ab"]
    users = [Thing(thing_id=f"user-{text}", depends_on=(f"line.{text}",)) for text in "ab"]
    cloud.things, cloud.pages = {it.name: it for it in (*things, *users)}, {"page": {"a", "b"}}
    cloud.errors["delete user-a"] = [Failure("no")]
    plan = make_destruction([*things, *lines(*"ab"), *users], cloud.door, kept={})

    outcomes = named(apply(plan, cloud.door, lambda _: None))

    assert outcomes["line.a"].status is outcomes["thing.a"].status is Status.SKIPPED
    assert cloud.pages["page"] == {"a"}
    assert cloud.things.keys() == {"a", "user-a"}
