from __future__ import annotations

import json
from decimal import Decimal

import pytest

from octue_action.plan import Action, make_plan
from tests.octue_action.fakes import Cloud, Thing


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def test_what_is_not_there_is_created(cloud: Cloud) -> None:
    plan = make_plan([Thing(thing_id="a")], cloud.door, adopt=False)

    assert [change.action for change in plan.changes] == [Action.CREATE]
    assert plan.has_changes


def test_what_is_as_it_should_be_is_left_alone(cloud: Cloud) -> None:
    cloud.things["a"] = Thing(thing_id="a")

    plan = make_plan([Thing(thing_id="a")], cloud.door, adopt=False)

    assert [change.action for change in plan.changes] == [Action.NO_OP]
    assert not plan.has_changes


def test_what_differs_is_updated_or_replaced_where_it_cannot_be(cloud: Cloud) -> None:
    cloud.things = {"a": Thing(thing_id="a", size=5), "b": Thing(thing_id="b", colour="blue", size=5)}

    plan = make_plan([Thing(thing_id="a"), Thing(thing_id="b")], cloud.door, adopt=False)

    assert [change.action for change in plan.changes] == [Action.UPDATE, Action.REPLACE]
    assert [field.name for field in plan.changes[1].fields] == ["size", "colour"]


def test_planning_only_reads(cloud: Cloud) -> None:
    cloud.things["a"] = Thing(thing_id="a", size=5)

    make_plan([Thing(thing_id="a"), Thing(thing_id="b")], cloud.door, adopt=False)

    assert sorted(cloud.calls) == ["read a", "read b"]


def test_a_part_of_what_is_not_there_is_not_asked_for(cloud: Cloud) -> None:
    make_plan([Thing(thing_id="part", part_of="thing.whole"), Thing(thing_id="whole")], cloud.door, adopt=False)

    assert cloud.calls == ["read whole"]


def test_a_part_of_what_is_replaced_is_made_anew_with_it(cloud: Cloud) -> None:
    cloud.things = {"whole": Thing(thing_id="whole", colour="blue"), "part": Thing(thing_id="part")}

    plan = make_plan([Thing(thing_id="whole"), Thing(thing_id="part", part_of="thing.whole")], cloud.door, adopt=False)

    assert [change.action for change in plan.changes] == [Action.REPLACE, Action.CREATE]


def test_what_was_read_before_is_not_read_again(cloud: Cloud) -> None:
    plan = make_plan(
        [Thing(thing_id="a"), Thing(thing_id="b")],
        cloud.door,
        adopt=False,
        known={"thing.a": Thing(thing_id="a", size=9), "thing.b": None},
    )

    assert cloud.calls == []
    assert [change.action for change in plan.changes] == [Action.UPDATE, Action.CREATE]


def test_the_changes_stand_in_the_order_of_the_deployment(cloud: Cloud) -> None:
    labels = ["c", "a", "b"]

    plan = make_plan([Thing(thing_id=label) for label in labels], cloud.door, adopt=False)

    assert [change.resource.name for change in plan.changes] == labels


def test_what_is_not_ours_is_refused_by_name(cloud: Cloud) -> None:
    cloud.things["a"] = Thing(thing_id="a", ours=False)

    plan = make_plan([Thing(thing_id="a")], cloud.door, adopt=False)

    (refusal,) = plan.refusals
    assert refusal.message == "The Thing a exists already, and this workflow did not make it."
    assert "adopt: true" in refusal.remedy
    assert make_plan([Thing(thing_id="a")], cloud.door, adopt=True).refusals == ()


def test_what_is_not_ours_is_not_replaced_either(cloud: Cloud) -> None:
    cloud.things["a"] = Thing(thing_id="a", colour="blue", ours=False)

    plan = make_plan([Thing(thing_id="a")], cloud.door, adopt=False)

    assert [change.action for change in plan.changes] == [Action.REPLACE]
    assert len(plan.refusals) == 1


def test_the_plan_for_programs_has_no_sensitive_value(cloud: Cloud) -> None:
    cloud.things["a"] = Thing(thing_id="a", secrets={"x": "old-secret"})

    plan = make_plan([Thing(thing_id="a", size=2, secrets={"x": "new-secret"})], cloud.door, adopt=False)

    assert plan.as_json() == {
        "has_changes": True,
        "changes": [
            {
                "address": "thing.a",
                "kind": "thing",
                "name": "a",
                "action": "update",
                "fields": [
                    {"name": "size", "before": 1, "after": 2},
                    {"name": "secrets[x]", "sensitive": True},
                ],
            }
        ],
        "refusals": [],
    }


def test_a_plan_can_be_written_as_json_whatever_differs(cloud: Cloud) -> None:
    cloud.things["a"] = Thing(thing_id="a", size=Decimal("0.5"))  # type: ignore[arg-type]  # as an amount of CPU is

    plan = make_plan([Thing(thing_id="a", size=2)], cloud.door, adopt=False)

    assert json.loads(json.dumps(plan.as_json()))["changes"][0]["fields"] == [
        {"name": "size", "before": "0.5", "after": 2}
    ]
