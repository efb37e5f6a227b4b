from __future__ import annotations

from dataclasses import replace
from typing import Self

import pytest

from octue_action.apply import Outcome, Status, apply
from octue_action.cancellation import Cancelled
from octue_action.google import Failure, Google, GoogleError
from octue_action.plan import Action, make_plan
from tests.octue_action.fakes import Cloud, Thing


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def run(cloud: Cloud, *things: Thing) -> dict[str, Outcome]:
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

    assert cloud.calls == ["delete a", "create a"]


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


def test_a_conflict_that_does_not_end_is_a_failure(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud.cancellation, "pause", lambda _: None)
    cloud.things["a"] = Thing(thing_id="a", size=5)
    cloud.errors["update a"] = [GoogleError("update_thing", "ABORTED", "again")] * 50

    assert run(cloud, Thing(thing_id="a"))["a"].status is Status.FAILED


def test_a_fault_of_our_own_fails_only_its_resource_and_says_whose_it_is(cloud: Cloud) -> None:
    class Faulty(Thing):
        def create(self, google: Google) -> Self:  # noqa: ARG002 - as Thing's
            raise LookupError("oh")

    outcomes = run(cloud, Faulty(thing_id="a"), Thing(thing_id="b"))

    assert [outcome.status for outcome in outcomes.values()] == [Status.FAILED, Status.APPLIED]
    assert "a fault of the action itself, not of your service: LookupError: oh" in str(outcomes["a"].failure)


def test_another_refusal_is_not_tried_again(cloud: Cloud) -> None:
    cloud.errors["create a"] = [GoogleError("create_thing", "PERMISSION_DENIED", "no")] * 2

    assert run(cloud, Thing(thing_id="a"))["a"].status is Status.FAILED
    assert cloud.calls == ["create a"]


def test_an_answer_that_is_not_what_was_wanted_is_a_failure(cloud: Cloud) -> None:
    class Stubborn(Thing):
        def create(self, google: Google) -> Self:
            return replace(super().create(google), size=99)

    outcome = run(cloud, Stubborn(thing_id="a"))["a"]

    assert outcome.status is Status.FAILED
    assert "is not as it should be: size" in str(outcome.failure)
