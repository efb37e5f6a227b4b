"""Images of commits: built once, by whoever begins first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emulator.world import World
from octue_action.cancellation import Cancellation, Cancelled
from octue_action.failure import Failure
from octue_action.google import Google
from octue_action.logs import BuildLog
from octue_action.plan import Action, make_plan
from octue_action.resources import container_image
from octue_action.resources.build_trigger import BuildTrigger
from octue_action.resources.container_image import ContainerImage
from tests.octue_action.resources.commits import commit
from tests.octue_action.resources.conftest import DOCKERFILE, SERVER
from tests.octue_action.resources.kinds import KINDS, LOCATION, PROJECT, REPOSITORY

pytestmark = pytest.mark.usefixtures("ground")

FAIL = "RUN python -c 'raise SystemExit(3)'\n"

Runs = Callable[[], int]


@pytest.fixture
def trigger(name: str, google: Google) -> BuildTrigger:
    trigger = KINDS["build_trigger"].example(name)
    assert isinstance(trigger, BuildTrigger)
    trigger.create(google)
    return trigger


@pytest.fixture
def image(trigger: BuildTrigger, checkout: Path) -> ContainerImage:
    """The image of a new commit."""
    return of_commit(trigger, commit(checkout, {"Dockerfile": DOCKERFILE, "server.py": SERVER}))


def of_commit(trigger: BuildTrigger, sha: str) -> ContainerImage:
    return ContainerImage(
        project_id=PROJECT,
        location=LOCATION,
        repository_id="images",
        image_name=trigger.trigger_name,
        commit=sha,
        trigger=trigger.resource_name,
        build_tag=trigger.tags[1],
    )


@pytest.fixture
def runs(world: World) -> Runs:
    """How often a trigger was run since the test began."""
    first = len(world.requests)
    return lambda: sum(r.method.endswith("/RunBuildTrigger") for r in list(world.requests)[first:])


def builds(world: World) -> list[Any]:
    return list(world.cloud_build._builds.values())


def push(world: World, image: ContainerImage) -> list[str]:
    """The push that GitHub tells Cloud Build of."""
    ids: list[str] = world.cloud_build.push(REPOSITORY, "refs/heads/main", image.commit)
    return ids


@pytest.fixture
def slow_image(trigger: BuildTrigger, checkout: Path) -> ContainerImage:
    """The image of a commit whose build takes a while; no layer of it is kept from another test."""
    sleep = f"RUN python -c 'import time; time.sleep(0.7)  # {trigger.trigger_name}'\n"
    return of_commit(trigger, commit(checkout, {"Dockerfile": f"{DOCKERFILE}{sleep}"}))


def test_an_image_is_built_by_its_trigger_for_the_deployment_alone(
    image: ContainerImage, google: Google, world: World, runs: Runs
) -> None:
    assert image.read(google) is None
    built = image.create(google)
    assert built.digest.startswith("sha256:")
    assert built.build_log_url.startswith("https://console.cloud.google.com/cloud-build/builds;region=europe-west1/")
    assert runs() == 1
    build = world.cloud_build._builds[built.build_log_url.rpartition("/")[2].partition("?")[0]].build
    assert build.substitutions["COMMIT_SHA"] == image.commit
    assert build.substitutions["_UPDATE_SERVICE"] == "false"
    assert "The deployment that runs this build updates the service." in world.cloud_build.log(build.id)
    assert world.artifact_registry.pull(f"{LOCATION}-docker.pkg.dev/{PROJECT}/images/{image.image_name}:{image.commit}")


def test_an_image_that_is_there_is_not_built_again(image: ContainerImage, google: Google, runs: Runs) -> None:
    built = image.create(google)
    (change,) = make_plan([image], google, adopt=False).changes
    assert change.action is Action.NO_OP
    assert isinstance(change.actual, ContainerImage)
    assert change.actual.digest == built.digest
    assert runs() == 1
    image.delete(google)
    assert image.read(google) is not None, "images go with their repository"


def test_a_build_that_is_under_way_is_waited_for(
    slow_image: ContainerImage, google: Google, world: World, runs: Runs
) -> None:
    push(world, slow_image)
    built = slow_image.create(google)
    assert built.digest
    assert runs() == 0


def test_the_build_of_the_push_that_started_the_workflow_is_waited_for(
    image: ContainerImage, google: Google, world: World, runs: Runs
) -> None:
    threading.Timer(0.3, push, (world, image)).start()
    assert replace(image, pushed=True).create(google).digest
    assert runs() == 0


def test_a_run_that_is_cancelled_while_it_waits_for_the_build_of_a_push_has_begun_none(
    image: ContainerImage, google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(google, "cancellation", Cancellation())
    threading.Timer(0.3, google.cancellation.ask).start()
    with pytest.raises(Cancelled) as caught:
        replace(image, pushed=True).create(google)
    assert not caught.value.begun


def test_a_push_that_starts_no_build_is_not_waited_for_long(
    image: ContainerImage, google: Google, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_image, "APPEARANCE_SECONDS", 0.1)
    assert replace(image, pushed=True).create(google).digest
    assert runs() == 1


def test_two_deployments_of_one_commit_make_one_build(
    slow_image: ContainerImage, google: Google, world: World, runs: Runs
) -> None:
    first = threading.Thread(target=slow_image.create, args=(google,))
    first.start()
    while not any(it.build.substitutions["COMMIT_SHA"] == slow_image.commit for it in builds(world)):
        threading.Event().wait(0.01)
    assert slow_image.create(google).digest
    first.join()
    assert runs() == 1


def test_a_failed_build_is_a_failure_with_its_step_and_its_log(
    trigger: BuildTrigger, checkout: Path, google: Google, runs: Runs
) -> None:
    image = of_commit(trigger, commit(checkout, {"Dockerfile": f"{DOCKERFILE}{FAIL}"}))
    with pytest.raises(Failure, match="The build of the image ended with FAILURE at the step `build`") as caught:
        image.create(google)
    assert "https://console.cloud.google.com/cloud-build/builds;region=europe-west1/" in caught.value.log_url
    source = caught.value.log_source
    assert isinstance(source, BuildLog)
    assert source.build_id in source.url
    assert source.step == 0
    assert runs() == 1
    with pytest.raises(Failure):
        image.create(google)
    assert runs() == 2, "a build that failed is not waited for again"


def test_a_commit_that_was_not_pushed_is_a_failure_that_says_so(trigger: BuildTrigger, google: Google) -> None:
    with pytest.raises(Failure, match=r"ended with FAILURE: .*couldn't find remote ref"):
        of_commit(trigger, "0" * 40).create(google)


def test_an_image_that_was_pushed_will_do_however_the_build_ends(
    trigger: BuildTrigger, image: ContainerImage, google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BuildTrigger, "_update_script", lambda *_: "exit 1")
    actual = trigger.read(google)
    assert actual is not None
    changed = replace(trigger)
    assert actual.build != changed.build
    changed.update(google, actual)
    said: list[str] = []
    monkeypatch.setattr(google, "progress", said.append)
    assert image.create(google).digest
    assert said[-1] == "The build pushed the image, and then ended with FAILURE."


def test_a_build_that_pushes_something_else_is_a_failure(
    trigger: BuildTrigger, image: ContainerImage, google: Google
) -> None:
    elsewhere = replace(image, image_name="something-else")
    with pytest.raises(Failure, match="there is no image something-else"):
        elsewhere.create(google)
    assert trigger.read(google) is not None


def test_an_image_that_was_deleted_is_built_again(
    image: ContainerImage, google: Google, world: World, runs: Runs
) -> None:
    image.create(google)
    packages = world.artifact_registry._packages[f"projects/{PROJECT}/locations/{LOCATION}/repositories/images"]
    del packages[image.image_name]
    assert image.read(google) is None
    assert image.create(google).digest
    assert runs() == 2


def test_a_build_that_takes_too_long_is_a_failure_with_its_log(
    slow_image: ContainerImage, google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_image, "BUILD_SECONDS", 0.1)
    with pytest.raises(Failure, match=r"The build takes longer than 0 minutes\.") as caught:
        slow_image.create(google)
    assert caught.value.log_url.startswith("https://console.cloud.google.com/cloud-build/builds")
    assert caught.value.log_url in caught.value.remedy


def test_the_log_is_told_of_while_it_is_waited_for(
    image: ContainerImage, google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(google, "progress", said.append)
    built = image.create(google)
    assert said == [f"Building {image.name}: {built.build_log_url}"]
