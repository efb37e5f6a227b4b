"""What stands in the cloud beneath the resources under test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from google.oauth2.credentials import Credentials

from emulator.images import Image
from emulator.server import Emulator
from emulator.world import World, WorldSettings
from octue_action.cancellation import Cancellation
from octue_action.google import Google
from octue_action.resources.artifact_repository import ArtifactRepository
from octue_action.resources.cloud_run_service import CloudRunService, Memory
from octue_action.resources.pubsub_topic import PubsubTopic
from octue_action.resources.service_account import ServiceAccount
from tests.octue_action.resources.commits import commit, git
from tests.octue_action.resources.kinds import (
    ACCOUNTS,
    FREE_API,
    IMAGES,
    LABELS,
    LOCATION,
    OTHER_REPOSITORY,
    OWNER,
    PROJECT,
    REPOSITORY,
    TOPICS,
)
from tests.rights import let

DOCKERFILE = 'FROM python:3.11-slim\nCOPY server.py /\nCMD ["python", "-S", "-E", "/server.py"]\n'
SERVER = """
import os, socket
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    listener.accept()[0].close()
"""


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """What takes no time here is asked for again at once."""

    poll = Cancellation.poll
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cancellation, "poll", lambda self, seconds, **p: poll(self, seconds, **{**p, "first": 0.02}))
        yield


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built layers, which the modules share."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The git repository that is built from."""
    folder = tmp_path_factory.mktemp("repository")
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, {"Dockerfile": DOCKERFILE, "server.py": SERVER})
    return folder


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory, checkout: Path, cache: Path) -> Iterator[Emulator]:
    """A local cloud that knows the repository, under two names."""
    repositories = {REPOSITORY: checkout, OTHER_REPOSITORY: checkout}
    settings = WorldSettings(
        state=tmp_path_factory.mktemp("state"), cache=cache, idle_seconds=1, repositories=repositories
    )
    with Emulator(settings) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def google(emulator: Emulator) -> Google:
    """The door to the local cloud, for the project's owner: who may do what, other tests say."""
    return Google(Credentials(emulator.world.tokens.issue_access_token(OWNER)), emulator.address)


@pytest.fixture(scope="module")
def images(world: World, google: Google, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Two images of a program that listens, and does nothing else."""
    folder = tmp_path_factory.mktemp("image")
    files, environment = folder / "files", folder / "environment"
    files.mkdir()
    (files / "server.py").write_text(SERVER)
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to(sys.executable)
    ArtifactRepository(project_id=PROJECT, location=LOCATION, repository_id="images", labels=LABELS).create(google)
    for number, reference in enumerate(IMAGES):
        image = Image(f"sha256:{number:064}", files, environment, "/", ("python", "-S", "-E", "/server.py"))
        world.artifact_registry.push(reference, image)


@pytest.fixture(scope="module")
def ground(google: Google, world: World, images: None) -> None:  # noqa: ARG001 - the service needs the images
    """Two services, topics and service accounts and a secret, for what stands on them."""
    world.cloud_run.secrets["token", "latest"] = "a secret"
    world.service_usage.disable(FREE_API)
    for email in ACCOUNTS:
        ServiceAccount(
            project_id=PROJECT,
            account_id=email.partition("@")[0],
            email=email,
            owner=LABELS,
            display_name="Octue service",
        ).create(google)
    let(world, f"serviceAccount:{ACCOUNTS[0]}")  # builds, too
    for topic in TOPICS:
        PubsubTopic(project_id=PROJECT, topic_id=topic.rpartition("/")[2], labels=LABELS).create(google)
    for service in ("standing", "other"):
        CloudRunService(
            project_id=PROJECT,
            location=LOCATION,
            service=service,
            image=IMAGES[0],
            service_account=ACCOUNTS[0],
            ingress="internal",
            environment={},
            secrets={},
            memory=Memory(2**29),
            cpu=Decimal(1),
            concurrency=1,
            timeout=3600,
            min_instances=0,
            max_instances=10,
            labels=LABELS,
        ).create(google)
