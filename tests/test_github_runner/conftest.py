"""A small action of the tests' own: what it prints and writes is a script that a test gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.github_runner import Runner, Step

EXEC_FORM = 'ENTRYPOINT ["python", "-u", "/action.py"]'

MakeAction = Callable[..., Path]


@pytest.fixture
def make_action(tmp_path: Path) -> MakeAction:
    """Makes an action: ``make_action(script, runs=..., entrypoint=...)`` gives its folder."""

    def make(script: str = "", *, head: str = "", runs: str = "", entrypoint: str = EXEC_FORM) -> Path:
        folder = tmp_path / "action"
        folder.mkdir(exist_ok=True)
        (folder / "action.yml").write_text(f"name: Small\n{head}\nruns:\n  using: docker\n  image: Dockerfile\n{runs}")
        (folder / "Dockerfile").write_text(
            f"ARG BASE_IMAGE=scratch\nFROM ${{BASE_IMAGE}}\nCOPY action.py /action.py\n{entrypoint}\n"
        )
        (folder / "action.py").write_text(script)
        return folder

    return make


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "work" / "repository"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def step(workspace: Path) -> Step:
    return Step(workspace)


@pytest.fixture
def runner(engine: str, tmp_path: Path) -> Iterator[Runner]:
    with Runner(tmp_path / "runner", build_arguments={"BASE_IMAGE": engine}) as runner:
        yield runner
