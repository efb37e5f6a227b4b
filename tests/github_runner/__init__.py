"""GitHub's runner as far as a container action can tell, for tests to run steps with: actions/runner 2.336.0.

``Runner`` runs an action's container as the runner does and gives a ``StepResult``; ``read_log``, ``read_outputs``
and ``read_summary`` judge what a step wrote by itself. No code is shared with the action. Where the runner would do
what is not modelled here, ``NotModelled`` is raised: nothing is guessed.

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
- Of ``uses:`` there is only an action of the same repository (``./``): GITHUB_ACTION_REPOSITORY and GITHUB_ACTION_REF
  are empty unless given.
- A runner is one job on a Linux machine of github.com without ``container:`` and ``services:``. Conditions,
  ``continue-on-error`` and other kinds of steps do not exist.
"""

from tests.github_runner.action import Action, is_dockerfile, load
from tests.github_runner.commands import COMMANDS, Annotation, Command, Log, parse_command, read_log
from tests.github_runner.errors import ActionRefused, BuildFailed, MalformedFileError, NotModelled
from tests.github_runner.files import job_outputs, read_outputs, read_path, read_summary, shown_summary
from tests.github_runner.runner import Runner, Running
from tests.github_runner.step import Cancellation, Line, Step, StepResult

__all__ = [
    "COMMANDS",
    "Action",
    "ActionRefused",
    "Annotation",
    "BuildFailed",
    "Cancellation",
    "Command",
    "Line",
    "Log",
    "MalformedFileError",
    "NotModelled",
    "Runner",
    "Running",
    "Step",
    "StepResult",
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
