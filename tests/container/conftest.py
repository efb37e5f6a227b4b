"""The action's image, built once, and jobs that run it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.container.jobs import ContainerJob, action_folder, make_emulator, make_runner
from tests.github_runner import Runner, load

Begin = Callable[..., ContainerJob]


@pytest.fixture(scope="session")
def action(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the action under test."""
    return action_folder(tmp_path_factory.mktemp("action"))


@pytest.fixture(scope="session")
def runner(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with make_runner(tmp_path_factory.mktemp("runner"), engine) as runner:
        yield runner


@pytest.fixture(scope="session")
def image(runner: Runner, action: Path) -> str:
    """The action's image."""
    return runner.image(load(action))


@pytest.fixture
def begin(runner: Runner, action: Path, tmp_path: Path) -> Iterator[Begin]:
    """Gives a job in a cloud that has nothing yet, and whose operations take as long as told."""
    with contextlib.ExitStack() as stack:

        def begin(workspace: Path | None = None, **seconds: float) -> ContainerJob:
            workspace = workspace or tmp_path / "repository"
            workspace.mkdir(exist_ok=True)
            named = {name.replace("_to_", " "): value for name, value in seconds.items()}
            emulator = stack.enter_context(make_emulator(tmp_path, workspace, named))
            return ContainerJob(emulator, runner, action, workspace)

        yield begin


@pytest.fixture
def job(begin: Begin) -> ContainerJob:
    """A job in a cloud that has nothing yet, and where nothing takes time."""
    return begin()
