"""Steps without a container: the action's own program as a process of this machine, for tests that need no engine."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from pathlib import Path

from tests.github_runner import action as actions
from tests.github_runner import container
from tests.github_runner.container import Folders
from tests.github_runner.runner import Running, event_of
from tests.github_runner.step import Step, StepResult


class HostRunner:
    """A runner with one job, whose container action runs as a program, with the variables of its container alone.

    What an image brings along is this machine's: PATH, and a locale with UTF-8. Paths are those of this machine.

    :param folder: where it keeps what belongs to the job.
    :param command: what the image would run, and its arguments.
    """

    def __init__(self, folder: Path, command: Sequence[str]) -> None:
        self._folder = folder.resolve()
        self._command = tuple(command)

    def run(self, action_folder: Path, step: Step) -> StepResult:
        """Run a step to its end.

        :raises Refused: where the runner does not accept the action.
        :raises NotModelled: where this harness cannot say what the runner would do.
        """
        action = actions.load(action_folder.resolve())
        folders = Folders(self._folder, step.workspace.resolve(), str(uuid.uuid4()))
        variables = container.host_environment(action, step, folders)
        folders.create(event_of(step))
        image = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        return Running(
            action,
            step,
            folders,
            command=self._command,
            environment={**image, **variables, "GITHUB_ACTIONS": "true", "CI": "true"},
            container="",
            remains=lambda: False,
        ).wait()
