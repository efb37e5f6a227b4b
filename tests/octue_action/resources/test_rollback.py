"""How the traffic of a service goes back to an earlier revision, and forward again, in a local cloud."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from google.cloud import run_v2

from emulator.world import World
from octue_action.apply import Outcome, Status, apply
from octue_action.failure import Failure, GoogleError
from octue_action.google import Google
from octue_action.plan import make_plan
from octue_action.resources.cloud_run_service import LATEST, CloudRunService
from octue_action.rollback import named, previous, target
from tests.octue_action.resources.kinds import KINDS

pytestmark = pytest.mark.usefixtures("ground")


@pytest.fixture
def service(name: str) -> CloudRunService:
    example = KINDS["cloud_run_service"].example(name)
    assert isinstance(example, CloudRunService)
    return example


def deploy(service: CloudRunService, google: Google) -> Outcome:
    (outcome,) = apply(make_plan([service], google, adopt=False), google, lambda _: None)
    return outcome


@pytest.fixture
def roll_back(service: CloudRunService, google: Google) -> Callable[..., Outcome]:
    def go_back(revision: str | None = None) -> Outcome:
        back = target(service, google, named(revision) if revision else previous)
        plan = make_plan([back.service], google, adopt=False, purpose="rollback")
        assert plan.refusals == ()
        (outcome,) = apply(plan, google, lambda _: None)
        return outcome

    return go_back


def serving(service: CloudRunService, google: Google) -> str:
    actual = service.read(google)
    assert actual is not None
    return actual.revision


@pytest.fixture
def two(service: CloudRunService, google: Google) -> tuple[str, str]:
    """The service with two revisions, and their names."""
    deploy(service, google)
    first = serving(service, google)
    deploy(replace(service, concurrency=5), google)
    return first, serving(service, google)


def test_only_the_traffic_goes_back_and_nothing_else_is_written(
    two: tuple[str, str], service: CloudRunService, google: Google, roll_back: Callable[..., Outcome], world: World
) -> None:
    before = run_v2.Service(world.cloud_run.find(service.resource_name).service)

    outcome = roll_back()

    assert outcome.status is Status.APPLIED
    assert [field.name for field in outcome.change.fields] == ["traffic"]
    assert serving(service, google) == two[0]
    after = world.cloud_run.find(service.resource_name).service
    assert after.template == before.template
    assert after.latest_created_revision == before.latest_created_revision


def test_a_rollback_that_is_run_again_changes_nothing(two: tuple[str, str], roll_back: Callable[..., Outcome]) -> None:
    roll_back()
    outcome = roll_back()

    assert outcome.status is Status.UNCHANGED
    assert outcome.resource is not None
    assert outcome.resource.traffic == two[0]  # type: ignore[attr-defined]  # it is a service


def test_the_next_deployment_goes_forward_again(
    two: tuple[str, str], service: CloudRunService, google: Google, roll_back: Callable[..., Outcome]
) -> None:
    roll_back()

    outcome = deploy(replace(service, concurrency=5), google)

    assert outcome.status is Status.APPLIED
    assert serving(service, google) == two[1]
    deploy(replace(service, concurrency=7), google)
    assert serving(service, google) not in two


def test_a_rollback_from_a_revision_that_failed_keeps_what_serves(
    two: tuple[str, str], service: CloudRunService, google: Google, roll_back: Callable[..., Outcome]
) -> None:
    broken = deploy(replace(service, secrets={"PASSWORD": "missing:1"}), google)
    assert broken.status is Status.FAILED
    assert serving(service, google) == two[1]

    outcome = roll_back()

    assert outcome.status is Status.APPLIED, outcome.failure
    assert outcome.change.fields[0].before == LATEST
    assert serving(service, google) == two[1]


def test_after_a_rollback_a_new_revision_that_fails_does_not_bring_back_what_was_rolled_back(
    two: tuple[str, str], service: CloudRunService, google: Google, roll_back: Callable[..., Outcome]
) -> None:
    roll_back()

    broken = deploy(replace(service, secrets={"PASSWORD": "missing:1"}), google)

    assert broken.status is Status.FAILED
    assert broken.failure is not None
    assert two[0] in broken.failure.aftermath
    assert serving(service, google) == two[0]


def test_a_move_of_the_traffic_that_google_refuses_is_a_failure(
    two: tuple[str, str], service: CloudRunService, google: Google
) -> None:
    back = replace(target(service, google, named(two[0])).service, traffic="there-is-none")

    with pytest.raises(GoogleError):
        back.update(google, target(service, google, named(two[0])).actual)
    assert serving(service, google) == two[1]


def test_what_is_not_there_cannot_be_rolled_back(service: CloudRunService, google: Google) -> None:
    with pytest.raises(Failure, match="There is no Cloud Run service"):
        target(service, google, previous)
