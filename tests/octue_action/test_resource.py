from __future__ import annotations

import importlib
import pkgutil
import typing
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octue_action import resources
from octue_action.resource import FieldChange, Resource, diff, is_ours, marks_of
from tests.octue_action.fakes import Thing

for module in pkgutil.iter_modules(resources.__path__):
    importlib.import_module(f"{resources.__name__}.{module.name}")
KINDS = [kind for kind in [Thing, *Resource.__subclasses__()] if hasattr(kind, "kind")]

maps = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["1", "2"]))


def test_nothing_differs_from_itself() -> None:
    thing = Thing(thing_id="a", tags={"x": "1"}, secrets={"y": "2"})

    assert diff(thing, thing) == ()


def test_a_field_that_differs_is_named_with_both_values() -> None:
    assert diff(Thing(thing_id="a", size=2), Thing(thing_id="a", size=1)) == (FieldChange("size", 1, 2),)


def test_none_in_the_desired_resource_is_not_ours_to_say() -> None:
    assert diff(Thing(thing_id="a", size=None), Thing(thing_id="a", size=7)) == ()


def test_an_immutable_field_says_so() -> None:
    (change,) = diff(Thing(thing_id="a", colour="blue"), Thing(thing_id="a"))

    assert change.immutable


def test_what_google_cloud_tells_is_not_compared() -> None:
    assert diff(Thing(thing_id="a", told=""), Thing(thing_id="a", told="news", ours=False)) == ()


def test_what_a_resource_is_and_what_it_needs_is_not_compared() -> None:
    wanted = Thing(thing_id="a", depends_on=("thing.b",), part_of="thing.c")

    assert diff(wanted, Thing(thing_id="a")) == ()


def test_every_key_of_a_map_that_is_not_there_at_all_is_to_be_added() -> None:
    there = Thing(thing_id="a", secrets=None)  # type: ignore[arg-type]  # as a kind may read what was never set

    changes = diff(Thing(thing_id="a", secrets={"x": "1"}), there)

    assert changes == (FieldChange("secrets[x]", None, "1", sensitive=True),)


def test_a_sensitive_map_is_compared_key_by_key() -> None:
    changes = diff(Thing(thing_id="a", secrets={"x": "1", "y": "2"}), Thing(thing_id="a", secrets={"y": "3", "z": "4"}))

    assert [(change.name, change.sensitive) for change in changes] == [
        ("secrets[x]", True),
        ("secrets[y]", True),
        ("secrets[z]", True),
    ]


@given(actual=maps, desired=maps)
def test_other_peoples_keys_of_an_additive_map_are_no_difference(
    actual: dict[str, str], desired: dict[str, str]
) -> None:
    changes = diff(Thing(thing_id="a", tags=desired), Thing(thing_id="a", tags={**actual, **desired, "theirs": "1"}))

    assert changes == ()


@given(actual=maps, desired=maps)
def test_setting_what_differs_leaves_no_difference(actual: dict[str, str], desired: dict[str, str]) -> None:
    wanted, there = Thing(thing_id="a", tags=desired, secrets=desired), Thing(thing_id="a", tags=actual, secrets=actual)

    changed_keys = {change.name for change in diff(wanted, there)}

    assert not diff(wanted, replace(there, tags={**actual, **desired}, secrets=desired))
    assert {f"tags[{key}]" for key in desired if actual.get(key) != desired[key]} <= changed_keys


def test_a_thing_is_ours_only_when_every_ownership_label_agrees() -> None:
    wanted = {"managed-by": "octue-action", "octue-service": "sum", "github-repository-id": "1", "team": "wind"}

    assert is_ours({**wanted, "more": "labels"}, wanted)
    assert is_ours({key: value for key, value in wanted.items() if key != "team"}, wanted)
    assert not is_ours({**wanted, "github-repository-id": "2"}, wanted)
    assert not is_ours({}, wanted)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_marks_of_each_field_are_those_of_its_annotation(kind: type[Resource]) -> None:
    hints = typing.get_type_hints(kind, include_extras=True)
    expected = {field.name: frozenset(getattr(hints[field.name], "__metadata__", ())) for field in fields(kind)}

    assert {field.name: marks_of(field.type) for field in fields(kind)} == expected
