"""The runner: builds an action's image, runs a step with it, cancels it, and reads what it left behind.

After ``ActionRunner.cs``, ``ContainerActionHandler.cs``, ``ActionManager.cs`` and ``StepsRunner.cs``.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from tests.github_runner import action as actions
from tests.github_runner import container, files
from tests.github_runner.action import Action
from tests.github_runner.commands import Log
from tests.github_runner.container import TOKENS, Folders
from tests.github_runner.errors import BuildFailed, MalformedFileError, NotModelled
from tests.github_runner.process import Process
from tests.github_runner.step import Line, Step, StepResult

_ADDRESS = "{{.Endpoints.docker.Host}}"
"""Where the engine listens by the client's context; when it runs a step it has another HOME, without contexts."""


class Runner:
    """A runner with one job, whose steps use container actions. Leaving it removes its images and containers.

    :param folder: where it keeps what belongs to the job; a folder of the machine that the engine runs on.
    :param engine: the Docker client.
    :param build_arguments: for the build of an action's image, which GitHub never has.
    :param options: more options of ``docker run``, such as ``--network host``, which GitHub never has.
    :param stand_ins: images of this machine in place of those of a registry, by what ``action.yml`` calls them after
        ``docker://``. All others are pulled.
    """

    def __init__(
        self,
        folder: Path,
        *,
        engine: str = "docker",
        build_arguments: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        stand_ins: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = folder.resolve()
        self._client = shutil.which(engine) or engine
        self._build_arguments = dict(build_arguments or {})
        self._options = tuple(options)
        self._stand_ins = dict(stand_ins or {})
        self._images: dict[Path, str] = {}
        self._label = secrets.token_hex(3)
        self._address = os.environ.get("DOCKER_HOST") or self._ask("context", "inspect", "--format", _ADDRESS).strip()

    @property
    def client_environment(self) -> dict[str, str]:
        """The Docker client's own variables when it runs a step, beside those it hands to the container by name."""
        own = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("DOCKER_")}
        return {**own, "DOCKER_HOST": self._address, "CI": "true"}

    def __enter__(self) -> Runner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def run(self, action_folder: Path, step: Step) -> StepResult:
        """Run a step to its end.

        :raises Refused: where the runner does not accept the action.
        :raises BuildFailed: where there is no image of it.
        :raises NotModelled: where this harness cannot say what the runner would do.
        """
        return self.start(action_folder, step).wait()

    def start(self, action_folder: Path, step: Step) -> Running:
        """Start a step, and come back once its container is on its way.

        :raises Refused: where the runner does not accept the action.
        :raises BuildFailed: where there is no image of it.
        :raises NotModelled: where this harness cannot say what the runner would do.
        """
        action = actions.load(action_folder.resolve())
        folders = Folders(self._folder, step.workspace.resolve(), str(uuid.uuid4()))
        variables = container.environment(action, step, folders)
        folders.create(event_of(step))
        image = self.image(action)
        name = container.container_name(image, secrets.token_hex(3))
        arguments = container.run_arguments(
            action,
            step,
            folders,
            image=image,
            name=name,
            label=self._label,
            socket=_socket(self._address),
            options=self._options,
            variables=variables,
        )
        return Running(
            action,
            step,
            folders,
            command=(self._client, *arguments),
            environment={**self.client_environment, **variables, "GITHUB_ACTIONS": "true"},
            container=name,
            remains=lambda: self.container_exists(name),
        )

    def image(self, action: Action) -> str:
        """The image of an action: built, once in the job, or pulled.

        :raises BuildFailed: where it cannot be had; the runner tries three times, this one once.
        """
        if action.dockerfile is None:
            return self._pull(action.image[len("docker://") :])
        if action.dockerfile not in self._images:
            self._images[action.dockerfile] = self._build(action.dockerfile)
        return self._images[action.dockerfile]

    def container_exists(self, name: str) -> bool:
        """Whether there is a container of that name, running or not."""
        return bool(self._ask("ps", "--all", "--quiet", "--filter", f"name=^/{name}$"))

    def close(self) -> None:
        """Remove what is left of its containers and images. GitHub throws the machine away."""
        if left := self._ask("ps", "--all", "--quiet", "--filter", f"label={self._label}").split():
            self._ask("rm", "--force", *left)
        if self._images:
            self._ask("rmi", "--force", *self._images.values())
        self._images.clear()

    def _build(self, dockerfile: Path) -> str:
        image = f"{self._label}:{uuid.uuid4().hex}"
        options = [part for name, value in self._build_arguments.items() for part in ("--build-arg", f"{name}={value}")]
        self._make("build", *options, "-t", image, "-f", str(dockerfile), str(dockerfile.parent))
        return image

    def _pull(self, image: str) -> str:
        if image in self._stand_ins:
            return self._stand_ins[image]
        self._make("pull", image)
        return image

    def _make(self, *arguments: str) -> None:
        done = subprocess.run(
            [self._client, *arguments],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        if done.returncode:
            raise BuildFailed(f"Docker {arguments[0]} failed with exit code {done.returncode}", done.stdout)

    def _ask(self, *arguments: str) -> str:
        return subprocess.run([self._client, *arguments], check=True, capture_output=True, text=True).stdout


class Running:
    """A step on its way, which a runner's ``start`` gives.

    :param command: what is run.
    :param environment: all variables of it.
    :param container: name of the container; empty where the action runs without one.
    :param remains: whether the container is there.
    """

    def __init__(
        self,
        action: Action,
        step: Step,
        folders: Folders,
        *,
        command: tuple[str, ...],
        environment: Mapping[str, str],
        container: str,
        remains: Callable[[], bool],
    ) -> None:
        self.name = container
        self._remains = remains
        self._step = step
        self._folders = folders
        self._command = command
        self._lines: list[Line] = []
        self._not_modelled: NotModelled | None = None
        self._arrival = threading.Condition()
        self._timed_out = False
        self._result: StepResult | None = None
        self._log = Log(debug=step.debug, path_of=folders.in_repository)
        for secret in (*step.secrets, *(environment[token] for token in TOKENS if token in environment)):
            self._log.hide(secret)
        for warning in action.warnings(step.inputs):
            self._log.warning(warning)
        self._process = Process(command, environment, folders.workspace, self._receive)
        self._timer = self._start_timer()

    def wait_for(self, text: str, seconds: float = 60) -> Line:
        """Wait until a line has arrived that contains a text, and give it.

        :raises TimeoutError: where none does.
        """
        with self._arrival:
            if not self._arrival.wait_for(lambda: any(text in line.text for line in self._lines), seconds):
                raise TimeoutError(f"no line with {text!r} in {seconds} s but {[line.text for line in self._lines]}")
            return next(line for line in self._lines if text in line.text)

    def send(self, number: signal.Signals) -> None:
        """Send one signal to the Docker client, which hands it on. The runner itself only ever cancels."""
        self._process.send(number)

    def cancel(self) -> None:
        """Begin to cancel the step as the runner does. Does not wait."""
        self._process.cancel()

    def wait(self) -> StepResult:
        """Wait for the end of the step and read what it left behind.

        :raises NotModelled: where the step did what this harness cannot judge.
        """
        if self._result is None:
            code = self._process.wait()
            if self._timer is not None:
                self._timer.cancel()
            if self._not_modelled is not None:
                raise self._not_modelled
            self._result = self._read(code)
        return self._result

    def _read(self, code: int) -> StepResult:
        conclusion = self._conclude(code)
        left = _Left(self._folders, self._log)
        return StepResult(
            exit_code=code,
            conclusion="failure" if self._log.failed and conclusion == "success" else conclusion,
            log=self._log,
            lines=tuple(self._lines),
            outputs=left.outputs,
            state=left.state,
            env=left.env,
            path=left.path,
            summary=left.summary,
            files=left.contents,
            cancellation=self._process.cancellation,
            container=self.name,
            container_remains=self._remains(),
            command=self._command,
            seconds=self._process.seconds,
        )

    def _start_timer(self) -> threading.Timer | None:
        if self._step.timeout_minutes is None:
            return None
        timer = threading.Timer(self._step.timeout_minutes * 60, self._time_out)
        timer.daemon = True
        timer.start()
        return timer

    def _time_out(self) -> None:
        self._timed_out = True
        self.cancel()

    def _receive(self, line: Line) -> None:
        with self._arrival:
            self._lines.append(line)
            try:
                self._log.read(line.text)
            except NotModelled as error:
                self._not_modelled = self._not_modelled or error
            self._arrival.notify_all()

    def _conclude(self, code: int) -> str:
        """That a step was cancelled counts more than its exit code: ``StepsRunner.RunStepAsync``."""
        if self._process.cancellation is None:
            return "failure" if code else "success"
        if self._timed_out:
            minutes = f"{self._step.timeout_minutes:g}"
            self._log.error(f"The action '{self._step.name}' has timed out after {minutes} minutes.")
            return "failure"
        self._log.error("The operation was canceled.")
        return "cancelled"


class _Left:
    """What a step left in the files for the runner, read in its order; trouble goes to the log."""

    def __init__(self, folders: Folders, log: Log) -> None:
        self._log = log
        contents = {name: path.read_bytes() if path.is_file() else b"" for name, path in folders.files.items()}
        self.contents = {f"GITHUB_{name.upper()}": content for name, content in contents.items()}
        if contents["artifacts"] or contents["artifacts_list"]:
            raise NotModelled("GITHUB_ARTIFACTS")
        self.path = tuple(files.read_path(contents["path"]))
        self.env: dict[str, str] = {}
        self._read("env", contents["env"], self._set_env)
        self.summary = files.shown_summary(contents["step_summary"], log)
        self.state = dict(log.state)
        self._read("state", contents["state"], self.state.__setitem__)
        self.outputs = dict(log.outputs)
        self._read("output", contents["output"], lambda name, value: files.set_output(self.outputs, name, value))

    def _read(self, name: str, content: bytes, keep: Callable[[str, str], None]) -> None:
        try:
            for key, value in files.pairs(content):
                keep(key, value)
        except MalformedFileError as error:
            self._log.error(f"Unable to process file command '{name}' successfully.")
            self._log.error(str(error))
            self._log.failed = True

    def _set_env(self, name: str, value: str) -> None:
        if name.upper() == files.NOT_SETTABLE:
            self._log.error(f"Can't store {files.NOT_SETTABLE} output parameter using '$GITHUB_ENV' command.")
        elif not name:
            raise MalformedFileError("Value cannot be null. (Parameter 'name')")
        else:
            self.env[name] = value


def event_of(step: Step) -> str | None:
    """The JSON of the event that started the step's workflow; None where it names no file."""
    path = step.variables.get("GITHUB_EVENT_PATH")
    return None if path is None else Path(path).read_text(encoding="utf-8")


def _socket(address: str) -> str:
    """The engine's socket on this machine.

    :raises NotModelled: for an engine on another machine, which does not have the folders that are mounted.
    """
    if not address.startswith("unix://"):
        raise NotModelled(f"an engine on another machine: {address}")
    return address.removeprefix("unix://")
