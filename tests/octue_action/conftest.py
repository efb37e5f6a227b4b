"""A repository checked out by a workflow, the environment the runner gives the action in it, and a cloud to act on."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from emulator.server import Emulator
from emulator.world import World, WorldSettings
from octue_action.auth import sign_in
from octue_action.deployment import Deployment
from octue_action.google import Google
from octue_action.settings import InvalidSettings, Problem, Settings, load
from tests.octue_action.services import PROVIDER, Services, services_in
from tests.runs import OCTUE_YAML, Job, job_of_small_service


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A repository with an octue.yaml and a Dockerfile."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "octue.yaml").write_text(OCTUE_YAML)
    (folder / "Dockerfile").write_text("FROM scratch\n")
    return folder


@pytest.fixture
def environment(workspace: Path) -> dict[str, str]:
    """The least that a deployment needs."""
    return {
        "GITHUB_WORKSPACE": str(workspace),
        "GITHUB_REPOSITORY": "my-org/sum-service",
        "GITHUB_REPOSITORY_ID": "1296269",
        "GITHUB_REPOSITORY_OWNER_ID": "583231",
        "GITHUB_SHA": "0123456789abcdef0123456789abcdef01234567",
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_RUN_ID": "42",
        "GITHUB_SERVER_URL": "https://github.com",
        "INPUT_WORKLOAD_IDENTITY_PROVIDER": PROVIDER,
    }


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Services:
    """Makes what should stand of so many services."""
    return functools.cache(lambda number: services_in(tmp_path_factory.mktemp("services"), number))


@pytest.fixture(scope="session")
def three(services: Services) -> list[Deployment]:
    return services(3)


@pytest.fixture(scope="session")
def hundred(services: Services) -> list[Deployment]:
    return services(100)


@pytest.fixture
def problems() -> Callable[[Mapping[str, str]], tuple[Problem, ...]]:
    """What is wrong with an environment."""

    def find(environment: Mapping[str, str]) -> tuple[Problem, ...]:
        try:
            load(environment)
        except InvalidSettings as error:
            return error.problems
        return ()

    return find


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    """A workflow of a repository with a small service, in a cloud that has nothing of it yet."""
    with job_of_small_service(tmp_path) as job:
        yield job


_NUMBERS = itertools.count(1)


@pytest.fixture
def name() -> str:
    """A name that nothing in the cloud has yet, so that tests can share one."""
    return f"sum-{next(_NUMBERS):04}"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A local cloud for the tests of a module, in which operations take next to no time."""
    folder = tmp_path_factory.mktemp("emulator")
    with Emulator(WorldSettings(state=folder / "state", cache=folder / "cache", idle_seconds=1)) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def world(emulator: Emulator) -> World:
    return emulator.world


@pytest.fixture(scope="module")
def run_environment(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, str]]:
    """Begins a workflow run, and gives the environment that the action has in it."""

    def begin(**run: object) -> dict[str, str]:
        folder = tmp_path_factory.mktemp("workspace")
        (folder / "octue.yaml").write_text(OCTUE_YAML)
        (folder / "Dockerfile").write_text("FROM scratch\n")
        world = emulator.world
        return world.github.start_run(**run) | {  # type: ignore[arg-type]  # each test gives what start_run takes
            "GITHUB_WORKSPACE": str(folder),
            "GOOGLE_CLOUD_EMULATOR_HOST": emulator.address,
            "INPUT_WORKLOAD_IDENTITY_PROVIDER": world.sts.provider.name,
            "INPUT_DEPLOYER_SERVICE_ACCOUNT": world.iam.deployer,
        }

    return begin


@pytest.fixture(scope="module")
def run_settings(run_environment: Callable[..., dict[str, str]]) -> Settings:
    """The settings of a run that may do everything."""
    return load(run_environment())


@pytest.fixture(scope="module")
def google(run_settings: Settings) -> Google:
    """The door to the local cloud, for the deployer."""
    return Google(sign_in(run_settings, mask=lambda _: None), run_settings.emulator)
