"""GitHub's runner as far as a container action can tell, for tests to run steps with: actions/runner 2.336.0.

``Runner`` runs an action's container as the runner does and gives a ``StepResult``; ``HostRunner`` runs what is in the
container without one; ``Workflows`` runs the workflows that an event starts, from their files; ``read_log``,
``read_outputs`` and ``read_summary`` judge what a step wrote by itself. No code is shared with the action. Where the
runner, or GitHub, would do what is not modelled here, ``NotModelled`` is raised: nothing is guessed.

What differs from GitHub on purpose:

- ``options`` of ``docker run``, such as ``--network host``, since GitHub gives a network of its own and the tests'
  cloud listens on the machine alone; ``build_arguments``, for a base image that this machine has; ``stand_ins`` for
  images that it cannot pull. None of them unless a test says so.
- The engine's socket is mounted from where the Docker client finds it.
- Images are built and pulled in one attempt, not three, when the first step needs them.
- Lines of stdout and stderr are read in the order of their arrival. The runner reads the two streams side by side, so
  that lines of different streams can change places.
- The log has what the container wrote and the runner's warnings and errors, and not the lines with which the runner
  says what it is about to do.
- A timeout may be a part of a minute.
- GITHUB_ACTION_REPOSITORY and GITHUB_ACTION_REF are empty unless given, also for ``$/``.
- A runner is one job on a Linux machine of github.com without ``container:`` and ``services:``.
- Jobs of a workflow have no ``needs``, and all run at once. Their steps use actions; scripts, conditions of steps,
  ``continue-on-error`` and ``env`` do not exist. ``actions/checkout`` is played: it leaves a whole
  clone, not one commit.
- ``timeout-minutes`` of a job is not watched, and nobody waits for a concurrency group: its name is only told.
- A workflow that is called is the file in a folder of this machine, whatever ref is named.
"""

from tests.github_runner.action import Action, is_dockerfile, load
from tests.github_runner.commands import COMMANDS, Annotation, Command, Log, parse_command, read_log
from tests.github_runner.errors import BuildFailed, MalformedFileError, NotModelled, Refused
from tests.github_runner.files import job_outputs, read_outputs, read_path, read_summary, shown_summary
from tests.github_runner.host import HostRunner
from tests.github_runner.runner import Runner, Running
from tests.github_runner.step import Cancellation, Line, Step, StepResult
from tests.github_runner.triggers import Event, by_hand
from tests.github_runner.workflows import GitHub, JobRun, WorkflowRun, Workflows

__all__ = [
    "COMMANDS",
    "Action",
    "Annotation",
    "BuildFailed",
    "Cancellation",
    "Command",
    "Event",
    "GitHub",
    "HostRunner",
    "JobRun",
    "Line",
    "Log",
    "MalformedFileError",
    "NotModelled",
    "Refused",
    "Runner",
    "Running",
    "Step",
    "StepResult",
    "WorkflowRun",
    "Workflows",
    "by_hand",
    "is_dockerfile",
    "job_outputs",
    "load",
    "parse_command",
    "read_log",
    "read_outputs",
    "read_path",
    "read_summary",
    "shown_summary",
]
