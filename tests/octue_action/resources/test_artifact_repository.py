"""Image repositories: what is special of them beside the laws."""

from __future__ import annotations

import pytest
from google.cloud import artifactregistry_v1

from emulator.world import World
from octue_action.google import Google, GoogleError
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
    google.finish(
        google.artifact_registry.create_repository(
            parent=f"projects/{PROJECT}/locations/{LOCATION}",
            repository_id=repository.repository_id,
            repository=artifactregistry_v1.Repository(format_="MAVEN", labels=LABELS),
        )
    )
    plan = make_plan([repository], google, adopt=True)
    (refusal,) = plan.refusals
    assert repository.repository_id in refusal.message
    assert "not for images, but for MAVEN" in refusal.message
    assert plan.changes[0].action is not Action.REPLACE
