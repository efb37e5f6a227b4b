from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

import pytest

from octue_action.deployment import ORDER
from octue_action.failure import Failure
from octue_action.plan import Action, make_destruction, make_plan
from octue_action.resource import Mark
from tests.octue_action.fakes import Cloud, Line, Thing
from tests.runs import PLAN


@dataclass(frozen=True, kw_only=True)
class Formed(Thing):
    """One with another field that cannot be changed, and that can be read where it is not there."""

    shape: Annotated[str, Mark.IMMUTABLE] = "square"
    is_granted: Annotated[bool, Mark.OUTPUT] = True

    @property
    def is_there(self) -> bool:
        return self.is_granted


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
    assert plan.refusals == ()


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
    (refusal,) = plan.refusals
    assert refusal.message == "The Thing a exists already, and this workflow did not make it."


def test_the_plan_for_programs_has_no_sensitive_value(cloud: Cloud) -> None:
    cloud.things["a"] = Thing(thing_id="a", secrets={"x": "old-secret"})

    plan = make_plan([Thing(thing_id="a", size=2, secrets={"x": "new-secret"})], cloud.door, adopt=False)

    assert plan.as_json() == {
        "version": 1,
        "purpose": "deploy",
        "has_changes": True,
        "changes": [
            {
                "address": "thing.a",
                "kind": "thing",
                "name": "a",
                "action": "update",
                "ours": True,
                "origin": "",
                "reason": "",
                "fields": [
                    {"name": "size", "forces_replacement": False, "before": 1, "after": 2},
                    {"name": "secrets[x]", "forces_replacement": False, "sensitive": True},
                ],
            }
        ],
        "refusals": [],
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": 2},
        {"purpose": "look"},
        {"extra": 1},
        {"changes": [{}]},
        {"changes": None},
        {"refusals": [1]},
    ],
)
def test_what_is_published_about_the_plan_lets_nothing_else_pass(cloud: Cloud, wrong: dict[str, object]) -> None:
    plan = make_plan([], cloud.door, adopt=False).as_json()

    assert PLAN.is_valid(plan)
    assert not PLAN.is_valid(plan | wrong)


def test_the_kinds_that_are_published_are_those_that_there_are() -> None:
    kinds = PLAN.schema["$defs"]["change"]["properties"]["kind"]["enum"]  # type: ignore[index]  # it is an object

    assert kinds == [kind.kind for kind in ORDER]


def test_a_plan_can_be_written_as_json_whatever_differs(cloud: Cloud) -> None:
    cpu, tags = Decimal("0.5"), ("a", "b")
    cloud.things["a"] = Thing(thing_id="a", size=cpu, colour=tags)  # type: ignore[arg-type]  # as other kinds have them

    plan = make_plan([Thing(thing_id="a", size=2)], cloud.door, adopt=False)

    fields = json.loads(json.dumps(plan.as_json()))["changes"][0]["fields"]
    assert [(field["before"], field["after"]) for field in fields] == [("0.5", 2), ("a, b", "red")]


def test_all_that_is_said_of_a_new_thing_is_planned(cloud: Cloud) -> None:
    (change,) = make_plan([Thing(thing_id="a", tags={"x": "y"})], cloud.door, adopt=False).changes

    assert [(field.name, field.before, field.after) for field in change.fields] == [
        ("size", None, 1),
        ("colour", None, "red"),
        ("tags[x]", None, "y"),
    ]


def test_what_forces_a_replacement_is_told_and_a_creation_forces_none(cloud: Cloud) -> None:
    cloud.things["a"] = Thing(thing_id="a", colour="blue")

    replaced, made = make_plan([Thing(thing_id="a"), Thing(thing_id="b")], cloud.door, adopt=False).as_json()["changes"]

    assert [field["forces_replacement"] for field in replaced["fields"]] == [True]
    assert not any(field["forces_replacement"] for field in made["fields"])


def test_only_the_fields_that_a_resource_speaks_of_are_compared(cloud: Cloud) -> None:
    cloud.things["a"] = Thing(thing_id="a", size=5, colour="blue")

    wanted = Thing(thing_id="a", size=2, only=frozenset({"size"}))
    (change,) = make_plan([wanted], cloud.door, adopt=False).changes

    assert [field.name for field in change.fields] == ["size"]


def test_what_is_not_ours_is_changed_where_it_is_adopted_but_never_made_anew(cloud: Cloud) -> None:
    theirs = Formed(thing_id="b", size=9, colour="blue", shape="round", ours=False)
    cloud.things = {"a": Thing(thing_id="a", size=9, ours=False), "b": theirs}

    plan = make_plan([Thing(thing_id="a"), Formed(thing_id="b")], cloud.door, adopt=True)

    (refusal,) = plan.refusals
    assert refusal.message == (
        "The Thing b exists already, this workflow did not make it, and Google Cloud cannot change its colour and "
        "shape."
    )
    assert refusal.remedy == "Look at it. Where nobody needs it, delete it:\nhttps://console.example/b?a=1&b=2"
    assert [change["ours"] for change in plan.as_json()["changes"]] == [False, False]


# Destroying


def test_what_is_there_is_deleted_last_made_first_and_what_is_not_is_left_alone(cloud: Cloud) -> None:
    cloud.things = {"a": Thing(thing_id="a"), "c": Thing(thing_id="c")}

    plan = make_destruction([Thing(thing_id=name) for name in "abc"], cloud.door, kept={})

    assert [(c.resource.name, c.action) for c in plan.changes] == [
        ("c", Action.DELETE),
        ("b", Action.NO_OP),
        ("a", Action.DELETE),
    ]
    assert plan.changes[1].reason == "there is none"
    assert [change.actual for change in plan.changes] == [cloud.things["c"], None, cloud.things["a"]]
    assert plan.purpose == "destroy"
    assert sorted(cloud.calls) == ["read a", "read b", "read c"]


def test_what_depends_on_something_is_gone_before_it(cloud: Cloud) -> None:
    things = [Thing(thing_id="a"), Thing(thing_id="b", depends_on=("thing.a",))]

    assert make_destruction(things, cloud.door, kept={}).graph == {"thing.b": set(), "thing.a": {"thing.b"}}
    assert make_plan(things, cloud.door, adopt=False).graph == {"thing.a": set(), "thing.b": {"thing.a"}}


def test_what_is_kept_is_not_even_read(cloud: Cloud) -> None:
    cloud.things["a"] = Thing(thing_id="a")

    plan = make_destruction([Thing(thing_id="a")], cloud.door, kept={"thing.a": "others need it"})

    assert [(c.action, c.reason) for c in plan.changes] == [(Action.NO_OP, "others need it")]
    assert cloud.calls == []
    assert not plan.has_changes


def test_what_is_not_ours_is_not_deleted_nor_what_is_owned_with_it(cloud: Cloud) -> None:
    cloud.things = {"a": Thing(thing_id="a", ours=False), "of a": Thing(thing_id="of a")}

    things = [Thing(thing_id="a"), Thing(thing_id="of a", owned_with="thing.a")]
    plan = make_destruction(things, cloud.door, kept={})

    assert [change.action for change in plan.changes] == [Action.NO_OP, Action.NO_OP]
    assert [change.reason for change in plan.changes] == [
        "this workflow did not make it: the Thing a",
        "this workflow did not make it",
    ]


def test_what_can_be_read_and_is_not_there_all_the_same_is_not_deleted(cloud: Cloud) -> None:
    cloud.things["a"] = Formed(thing_id="a", is_granted=False)

    (change,) = make_destruction([Formed(thing_id="a")], cloud.door, kept={}).changes

    assert (change.action, change.reason) == (Action.NO_OP, "there is none")


def test_what_is_owned_with_something_that_is_gone_already_is_deleted(cloud: Cloud) -> None:
    cloud.things = {"of a": Thing(thing_id="of a")}

    things = [Thing(thing_id="a"), Thing(thing_id="of a", owned_with="thing.a")]

    assert [c.action for c in make_destruction(things, cloud.door, kept={}).changes] == [Action.DELETE, Action.NO_OP]


# Several services, something being in the way of one


PARTS = ({"thing.a", "thing.b", "thing.shared"}, {"thing.c", "thing.d", "thing.shared"})


def two_services() -> list[Thing]:
    return [
        Thing(thing_id="shared"),
        Thing(thing_id="a", depends_on=("thing.shared",)),
        Thing(thing_id="b", depends_on=("thing.a",)),
        Thing(thing_id="c", depends_on=("thing.shared",)),
        Thing(thing_id="d", depends_on=("thing.c",)),
    ]


def test_what_is_refused_of_one_of_several_services_leaves_out_what_is_that_ones_alone(cloud: Cloud) -> None:
    cloud.things["b"] = Thing(thing_id="b", ours=False)

    plan = make_plan(two_services(), cloud.door, adopt=False, parts=PARTS)

    assert plan.refusals == ()
    assert {c.resource.name: (c.action, c.reason) for c in plan.changes} == {
        "shared": (Action.CREATE, ""),
        "a": (Action.NO_OP, "something is in the way"),
        "b": (Action.NO_OP, "something is in the way"),
        "c": (Action.CREATE, ""),
        "d": (Action.CREATE, ""),
    }
    assert [c.resource.name for c in plan.changes if c.refusal is not None] == ["b"]
    assert plan.graph["thing.a"] == {"thing.shared", "thing.b"}
    assert plan.graph["thing.b"] == set()


def test_what_cannot_be_read_of_one_of_several_services_leaves_out_what_is_that_ones_alone(cloud: Cloud) -> None:
    cloud.errors["read c"] = [failure := Failure("no")]

    plan = make_plan(two_services(), cloud.door, adopt=False, parts=PARTS)

    assert [c.resource.name for c in plan.changes if c.action is Action.CREATE] == ["shared", "a", "b"]
    assert [c.refusal for c in plan.changes if c.refusal is not None] == [failure]


@pytest.mark.parametrize("parts", [(), PARTS[:1], PARTS])
def test_what_is_in_the_way_of_all_services_refuses_all(cloud: Cloud, parts: Sequence[set[str]]) -> None:
    cloud.things["shared"] = Thing(thing_id="shared", ours=False)

    plan = make_plan(two_services(), cloud.door, adopt=False, parts=parts)

    assert len(plan.refusals) == 1
    assert [c.resource.name for c in plan.changes if c.action is Action.CREATE] == ["a", "b", "c", "d"]


@pytest.mark.parametrize("parts", [(), PARTS[:1], PARTS])
def test_what_cannot_be_read_and_all_services_need_is_raised(cloud: Cloud, parts: Sequence[set[str]]) -> None:
    cloud.errors["read shared"] = [Failure("no")]

    with pytest.raises(Failure, match="no"):
        make_plan(two_services(), cloud.door, adopt=False, parts=parts)


# What is read together


def test_entries_of_one_thing_are_read_in_one_request_and_those_that_are_known_not_at_all(cloud: Cloud) -> None:
    cloud.things["whole"] = Thing(thing_id="whole")
    cloud.pages = {"page": {"a"}, "other": {"b"}}
    known = Line(text="known")
    resources = [
        Thing(thing_id="whole"),
        Line(text="a"),
        known,
        Line(text="new"),
        Line(text="b", page="other", part_of="thing.whole"),
        Line(text="c", page="third", part_of="thing.missing"),
    ]

    plan = make_plan(resources, cloud.door, adopt=False, known={known.address: known, "thing.missing": None})

    assert sorted(cloud.calls) == ["read other", "read page", "read whole"]
    assert [change.action for change in plan.changes] == [
        *[Action.NO_OP] * 3,
        Action.UPDATE,
        Action.NO_OP,
        Action.CREATE,
    ]
