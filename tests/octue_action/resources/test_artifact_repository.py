"""Image repositories: what is special of them beside the laws."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from google.cloud import artifactregistry_v1

from emulator.world import World
from octue_action.apply import Outcome, apply
from octue_action.failure import GoogleError
from octue_action.google import Google
from octue_action.plan import Action, make_plan
from octue_action.resource import diff
from octue_action.resources.artifact_repository import ArtifactRepository
from tests.octue_action.resources.kinds import LABELS, LOCATION, PROJECT


@pytest.fixture
def repository(name: str) -> ArtifactRepository:
    return ArtifactRepository(project_id=PROJECT, location=LOCATION, repository_id=name, labels=LABELS)


@pytest.fixture
def slow(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {"artifact_registry create": 0.4, "artifact_registry delete": 0.4}
    monkeypatch.setattr(world.operations, "_seconds", seconds)


@pytest.mark.usefixtures("slow")
def test_a_repository_that_takes_its_time_is_waited_for(repository: ArtifactRepository, google: Google) -> None:
    assert diff(repository, repository.create(google)) == ()
    repository.delete(google)
    assert repository.read(google) is None


@pytest.mark.usefixtures("slow")
def test_a_repository_that_a_cancelled_run_has_begun_is_waited_for(
    repository: ArtifactRepository, google: Google
) -> None:
    begin_to_make(repository, google, LABELS)
    (outcome,) = deploy(repository, google)
    assert outcome.failure is None
    assert outcome.resource is not None
    assert diff(repository, outcome.resource) == ()


@pytest.mark.usefixtures("slow")
def test_a_repository_that_somebody_else_makes_meanwhile_is_not_taken_over(
    repository: ArtifactRepository, google: Google
) -> None:
    begin_to_make(repository, google, {})
    (outcome,) = deploy(repository, google)
    assert "this workflow did not make it" in str(outcome.failure)
    assert google.artifact_registry.get_repository(name=repository._resource_name).labels == {}


def deploy(repository: ArtifactRepository, google: Google) -> tuple[Outcome, ...]:
    return apply(make_plan([repository], google, adopt=False), google, lambda _: None)


def begin_to_make(repository: ArtifactRepository, google: Google, labels: Mapping[str, str]) -> None:
    google.artifact_registry.create_repository(
        parent=f"projects/{PROJECT}/locations/{LOCATION}",
        repository_id=repository.repository_id,
        repository=artifactregistry_v1.Repository(format_="DOCKER", labels=labels),
    )


@pytest.mark.usefixtures("slow")
def test_an_operation_that_ends_badly_is_an_error_with_its_message(
    repository: ArtifactRepository, google: Google, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(world.artifact_registry, "_completed", fail)
    with pytest.raises(GoogleError, match="the disk is full"):
        repository.create(google)


def test_a_repository_that_holds_something_else_is_refused_and_never_replaced(
    repository: ArtifactRepository, google: Google
) -> None:
    operation = google.artifact_registry.create_repository(
        parent=f"projects/{PROJECT}/locations/{LOCATION}",
        repository_id=repository.repository_id,
        repository=artifactregistry_v1.Repository(format_="MAVEN", labels=LABELS),
    )
    google.finish(google.artifact_registry, operation, artifactregistry_v1.Repository)
    plan = make_plan([repository], google, adopt=True)
    (refusal,) = plan.refusals
    assert repository.repository_id in refusal.message
    assert "not for images, but for MAVEN" in refusal.message
    assert plan.changes[0].action is not Action.REPLACE
