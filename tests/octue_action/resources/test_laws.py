"""What holds for every kind of resource, whatever it is: each law is tried on each kind."""

from __future__ import annotations

import json
import typing
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any

import pytest

from emulator.world import World
from octue_action.apply import Status, apply
from octue_action.google import Google
from octue_action.plan import Action, compare, make_plan
from octue_action.resource import Mark, Resource, diff
from tests.octue_action.resources.kinds import KINDS, Kind

pytestmark = pytest.mark.usefixtures("ground")

HAVE_TESTS_OF_THEIR_OWN = {("cloud_run_service", "ready"), ("eventarc_trigger", "event_type")}
NEVER_ABSENT = {title for title in KINDS if title.startswith("iam_member")}
"""Somebody who has no role can be read, too."""
MADE_BY_OTHERS = {"pubsub_subscription"}
"""Made, and removed, with something else."""
SHOWN_NOWHERE = {"project_service"}
"""Beside the world, and not in it."""
KEPT = {"iam_role", "workload_identity_pool", "workload_identity_provider"}
"""Still there for a while after they were deleted."""
OWNED = [title for title, kind in KINDS.items() if kind.others]


@pytest.fixture(params=KINDS)
def title(request: pytest.FixtureRequest) -> str:
    """Each kind in its turn; tests that hold for some only choose these themselves."""
    return str(request.param)


@pytest.fixture
def kind(title: str) -> Kind:
    return KINDS[title]


@pytest.fixture
def desired(kind: Kind, name: str, google: Google) -> Resource:
    """A resource that is not there yet, and all that it needs is."""
    resource = kind.example(name)
    kind.beneath(google, resource)
    return resource


@pytest.fixture
def writes(world: World) -> Callable[[], list[str]]:
    """What has been written since the last time that this was asked."""
    seen = 0

    def new() -> list[str]:
        nonlocal seen
        requests = list(world.requests)[seen:]
        seen += len(requests)
        return [request.method for request in requests if request.writes]

    return new


def names(changes: Sequence[Any]) -> set[str]:
    return {change.name.partition("[")[0] for change in changes}


def marks(resource_type: type[Resource]) -> dict[str, tuple[Mark, ...]]:
    hints = typing.get_type_hints(resource_type, include_extras=True)
    return {f.name: getattr(hints[f.name], "__metadata__", ()) for f in fields(resource_type)}


def carry_out(resources: Sequence[Resource], google: Google, *, adopt: bool = False) -> list[Status]:
    plan = make_plan(resources, google, adopt=adopt)
    assert not plan.refusals
    return [outcome.status for outcome in apply(plan, google, lambda _: None)]


@pytest.mark.parametrize("title", [title for title in KINDS if title not in NEVER_ABSENT])
def test_what_is_not_there_reads_as_none(kind: Kind, name: str, google: Google) -> None:
    assert kind.example(name).read(google) is None


def test_what_was_made_is_as_it_should_be_by_the_answer_and_by_reading(desired: Resource, google: Google) -> None:
    assert diff(desired, desired.create(google)) == ()
    actual = desired.read(google)
    assert actual is not None
    assert diff(desired, actual) == ()
    assert actual.address == desired.address
    assert actual.ours


def test_a_second_run_writes_nothing(desired: Resource, google: Google, writes: Callable[[], list[str]]) -> None:
    assert carry_out([desired], google) == [Status.APPLIED]
    assert writes() != []
    assert carry_out([desired], google) == [Status.UNCHANGED]
    assert writes() == []


@pytest.mark.parametrize("title", KINDS)
def test_every_field_that_is_compared_has_a_drift(title: str, kind: Kind) -> None:
    compared = {
        field
        for field, marked in marks(type(kind.example("sum"))).items()
        if not {Mark.IDENTITY, Mark.OUTPUT}.intersection(marked)
    }
    assert compared - kind.drifts.keys() == {field for of, field in HAVE_TESTS_OF_THEIR_OWN if of == title}


@pytest.mark.parametrize(("title", "field"), [(title, field) for title, kind in KINDS.items() for field in kind.drifts])
def test_a_drift_is_seen_and_mended_and_nothing_else_is_touched(
    kind: Kind, desired: Resource, field: str, google: Google
) -> None:
    desired.create(google)
    kind.adorn(google, desired)
    before = kind.message(google, desired)
    kind.drifts[field](google, desired)

    actual = desired.read(google)
    assert actual is not None
    change = compare(desired, actual)
    assert names(change.fields) == {field}
    immutable = Mark.IMMUTABLE in marks(type(desired))[field]
    assert change.action is (Action.REPLACE if immutable else Action.UPDATE)

    # Without our labels it is no longer ours.
    assert carry_out([desired], google, adopt=True) == [Status.APPLIED]
    mended = desired.read(google)
    assert mended is not None
    assert diff(desired, mended) == ()
    if not immutable:
        assert kind.message(google, desired) == before


@pytest.mark.parametrize(
    ("title", "field"),
    [
        (title, field)
        for title, kind in KINDS.items()
        for field, marked in marks(type(kind.example("sum"))).items()
        if Mark.IMMUTABLE in marked
    ],
)
def test_a_difference_that_google_cloud_cannot_change_is_a_replacement(
    desired: Resource, field: str, google: Google
) -> None:
    desired.create(google)
    actual = desired.read(google)
    wanted: Any = replace(desired, **{field: "something else"})  # type: ignore[arg-type]  # a field of any kind
    assert compare(wanted, actual).action is Action.REPLACE


@pytest.mark.parametrize("title", [title for title in KINDS if title not in MADE_BY_OTHERS | KEPT | SHOWN_NOWHERE])
def test_what_is_removed_leaves_the_world_as_it_was_and_may_be_removed_twice(
    desired: Resource, google: Google, world: World
) -> None:
    before = snapshot(world)
    desired.create(google)
    assert snapshot(world) != before
    desired.delete(google)
    desired.delete(google)
    assert snapshot(world) == before


@pytest.mark.parametrize("title", sorted(KEPT))
def test_what_is_kept_after_its_deletion_is_no_longer_there_and_is_undeleted_when_it_is_wanted_again(
    desired: Resource, google: Google
) -> None:
    desired.create(google)
    desired.delete(google)
    desired.delete(google)
    gone = desired.read(google)
    assert gone is not None
    assert not gone.is_there

    change = compare(desired, gone)
    assert change.action is Action.UPDATE
    assert len(change.fields) == 1
    assert change.fields[0].before == "DELETED"
    assert carry_out([desired], google) == [Status.APPLIED]
    again = desired.read(google)
    assert again is not None
    assert diff(desired, again) == ()


@pytest.mark.parametrize("title", OWNED)
def test_what_is_not_ours_is_refused_until_it_may_be_adopted(kind: Kind, desired: Resource, google: Google) -> None:
    assert kind.others is not None
    kind.others(desired).create(google)
    (refusal,) = make_plan([desired], google, adopt=False).refusals
    assert refusal.message == f"The {desired.label} exists already, and this workflow did not make it."
    assert "adopt: true" in refusal.remedy

    carry_out([desired], google, adopt=True)
    assert make_plan([desired], google, adopt=False).refusals == ()


def test_every_page_of_the_console_names_the_project(desired: Resource) -> None:
    assert desired.console_url.startswith("https://console.cloud.google.com/")
    assert "project=my-project" in desired.console_url


@contextmanager
def opened(url: str) -> Iterator[Any]:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - the emulator's own page
        yield json.load(answer)


def snapshot(world: World) -> Any:
    """All there is, without what a policy keeps of having been written."""
    with opened(f"{world.base_url}/emulator/world") as page:
        policies = {
            resource: {key: value for key, value in policy.items() if key not in {"etag", "version"}}
            for resource, policy in page["policies"].items()
        }
        return page | {"policies": {resource: policy for resource, policy in policies.items() if policy}}
