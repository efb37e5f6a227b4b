"""A step that uses an action, and what it left behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.github_runner import files
from tests.github_runner.commands import Annotation, Log


@dataclass(frozen=True)
class Step:
    """A step of a workflow that uses an action.

    :param workspace: the folder of the repository on the host, which the container sees as ``/github/workspace``.
    :param inputs: the step's ``with``, its expressions evaluated.
    :param env: the ``env`` of workflow, job and step, likewise.
    :param variables: what GitHub gives to the run: ``GITHUB_*``, ``RUNNER_*``, and ``ACTIONS_*`` for its tokens.
    :param secrets: what is hidden in the log from the start, beside the tokens.
    :param token: ``github.token``; an action gets it through an input alone.
    :param id: the step's ``id``.
    :param name: what the step is called on the page of the run.
    :param timeout_minutes: when it is cancelled; parts of a minute, unlike on GitHub, are for tests.
    :param debug: whether debug logging is on.
    """

    workspace: Path
    inputs: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    token: str | None = None
    id: str = "deploy"
    name: str = "Run ./"
    timeout_minutes: float | None = None
    debug: bool = False


@dataclass(frozen=True)
class Line:
    """A line that the Docker client wrote.

    :param stream: ``stdout`` or ``stderr``.
    :param seconds: since the client was started.
    """

    stream: str
    text: str
    seconds: float


@dataclass(frozen=True)
class Cancellation:
    """How a cancelled step ended.

    :param signal: the last one that was sent to the Docker client before it ended: SIGINT, SIGTERM or SIGKILL.
    :param seconds: from the first signal to the client's end.
    """

    signal: str
    seconds: float


@dataclass(frozen=True)
class StepResult:
    """What a step left behind.

    :param exit_code: the Docker client's, which is the container's, or the program's own; negative where a signal ended
        the process itself.
    :param conclusion: success, failure or cancelled.
    :param log: what became of its lines, with the errors of the runner itself.
    :param lines: as they arrived, commands too.
    :param outputs: as the next step of the job gets them.
    :param state: what was saved for a ``post-entrypoint``.
    :param env: variables that later steps of the job get.
    :param path: folders that later steps of the job search first, the last one before the others.
    :param summary: Markdown that GitHub shows; None where there is none or it was dropped.
    :param files: the files for the runner as they are, by their variables: GITHUB_OUTPUT and so on.
    :param cancellation: how it ended where it was cancelled, by a person or for its time.
    :param container: the container's name; empty where the action ran without one.
    :param container_remains: whether the container was still there when the client had ended.
    :param command: the Docker client and its arguments.
    :param seconds: from the start of the client to its end.
    """

    exit_code: int
    conclusion: str
    log: Log
    lines: tuple[Line, ...]
    outputs: Mapping[str, str]
    state: Mapping[str, str]
    env: Mapping[str, str]
    path: tuple[str, ...]
    summary: str | None
    files: Mapping[str, bytes]
    cancellation: Cancellation | None
    container: str
    container_remains: bool
    command: tuple[str, ...]
    seconds: float

    @property
    def annotations(self) -> list[Annotation]:
        """What GitHub shows on the page of the run."""
        return self.log.annotations

    @property
    def job_outputs(self) -> dict[str, str]:
        """The outputs as another job gets them.

        :raises NotModelled: where they are over 1 MB.
        """
        return files.job_outputs(self.outputs, self.log)

    @property
    def seconds_to_first_line(self) -> float | None:
        """From the start of the Docker client to the first line; None where there is none."""
        return self.lines[0].seconds if self.lines else None
