"""A job of a workflow whose steps run the action's container, against a cloud on this machine."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from emulator.server import Emulator
from emulator.world import World, WorldSettings
from tests.github_runner import Runner, Running, Step, StepResult
from tests.runs import LAYERS, REPOSITORY, ROOT, SMALL_SERVICE, Job

PINNED = "example.com/pinned"
"""What a copy of action.yml calls an image that is given ready-made, as a release's calls its own."""


def action_folder(scratch: Path) -> Path:
    """The action under test: this checkout, or what ``ACTION_FOLDER`` names, or a copy with the image of a release.

    :param scratch: where a copy is made.
    """
    if "ACTION_IMAGE" not in os.environ:
        return Path(os.environ.get("ACTION_FOLDER", ROOT))
    action = (ROOT / "action.yml").read_text()
    assert "image: Dockerfile\n" in action
    (scratch / "action.yml").write_text(action.replace("image: Dockerfile\n", f"image: docker://{PINNED}\n"))
    return scratch


def make_runner(folder: Path, base: str) -> Runner:
    """A runner on which the action's container reaches a cloud on this machine.

    :param base: the image to build the action's on.
    """
    return Runner(
        folder,
        build_arguments={"BASE_IMAGE": base},
        options=("--network", "host"),
        stand_ins={PINNED: os.environ.get("ACTION_IMAGE", "")},
    )


class ContainerJob:
    """A job in a repository with a small service, or with what is in its workspace already.

    :param emulator: the cloud.
    :param runner: runs the containers.
    :param action: folder of the action.
    :param workspace: the repository as it is checked out.
    """

    def __init__(self, emulator: Emulator, runner: Runner, action: Path, workspace: Path) -> None:
        self.emulator = emulator
        self.workspace = workspace
        self._runner = runner
        self._action = action
        self._job = Job(emulator, workspace)
        self._job.commit({} if any(workspace.iterdir()) else SMALL_SERVICE)

    @property
    def world(self) -> World:
        """The cloud itself."""
        return self.emulator.world

    def look(self) -> dict[str, Any]:
        """Everything there is in the cloud."""
        return self._job.look()

    def step(self, inputs: Mapping[str, str] | None = None, **run: Any) -> Step:
        """A step in a new run of the workflow, by hand, so that no build of a push is waited for.

        :param inputs: beside those that sign in, by name.
        :param run: how the run was started, as the emulator takes it.
        """
        world = self.world
        return Step(
            workspace=self.workspace,
            inputs={
                "workload_identity_provider": world.sts.provider.name,
                "deployer_service_account": world.iam.deployer,
                **(inputs or {}),
            },
            env={"GOOGLE_CLOUD_EMULATOR_HOST": self.emulator.address},
            variables=world.github.start_run(**{"event_name": "workflow_dispatch", **run}),
        )

    def start(self, step: Step) -> Running:
        """Start the action's container."""
        return self._runner.start(self._action, step)

    def run(self, step: Step) -> StepResult:
        """Run the action's container to its end."""
        return self._runner.run(self._action, step)

    def probe(self, scratch: Path, code: str, **changes: Any) -> StepResult:
        """Run Python in the action's image, with its modules, in place of the action.

        :param scratch: where a copy of the action is made that starts the code.
        :param code: a script; it lies in the workspace.
        :param changes: of the step.
        """
        copy = scratch / "probe"
        shutil.copytree(
            self._action, copy, ignore=lambda folder, names: _all_but_the_image(folder, names, self._action)
        )
        action = (copy / "action.yml").read_text()
        entrypoint = "  entrypoint: /usr/local/bin/python\n  args: [-E, -s, /github/workspace/probe.py]\n"
        (copy / "action.yml").write_text(action.rstrip() + "\n" + entrypoint)
        (self.workspace / "probe.py").write_text(f'import sys\nsys.path.append("/action")\n{code}')
        return self._runner.run(copy, replace(self.step(), **changes))

    def wait_for(self, method: str, seconds: float = 15.0) -> None:
        """Wait until something has called a method of the cloud.

        :param method: how its name ends.
        """
        end = time.monotonic() + seconds
        while not any(request.method.endswith(method) for request in list(self.world.requests)):
            assert time.monotonic() < end, f"{method} was not called"
            time.sleep(0.005)


def _all_but_the_image(folder: str, names: list[str], action: Path) -> list[str]:
    """What of a checkout does not go into the image, and so is not copied."""
    needed = {"action.yml", "Dockerfile", ".dockerignore", "entrypoint.py", "octue_action", "requirements"}
    return [name for name in names if name == "__pycache__" or (Path(folder) == action and name not in needed)]


def copy_of_the_action(folder: Path) -> Path:
    """A copy of all that makes the action and its image, to change something in."""
    shutil.copytree(ROOT, folder, ignore=lambda path, names: _all_but_the_image(path, names, ROOT))
    return folder


def make_emulator(folder: Path, repository: Path, seconds: Mapping[str, float] | None = None) -> Emulator:
    """A cloud that knows the repository.

    :param seconds: how long its operations take.
    """
    settings = WorldSettings(
        state=folder / "state", cache=LAYERS, repositories={REPOSITORY: repository}, seconds=seconds or {}
    )
    return Emulator(settings)
