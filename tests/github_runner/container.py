"""What the container of a step gets.

After ``ContainerActionHandler.cs``, ``ContainerInfo.cs`` and ``DockerCommandManager.cs``.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.github_runner import command_line
from tests.github_runner.action import Action
from tests.github_runner.errors import NotModelled
from tests.github_runner.step import Step

WORKSPACE = "/github/workspace"
FILE_COMMANDS = {
    "path": "add_path_",
    "env": "set_env_",
    "step_summary": "step_summary_",
    "state": "save_state_",
    "output": "set_output_",
    "artifacts": "artifacts_",
    "artifacts_list": "artifacts_list_",
}
"""The files of a step, by their names in the context ``github``, in the order in which the runner reads them."""

GITHUB_VARIABLES = frozenset(
    {
        *("action_path", "action_ref", "action_repository", "action", "actor", "actor_id", "api_url", "artifacts"),
        *("artifacts_list", "base_ref", "env", "event_name", "event_path", "graphql_url", "head_ref", "job", "output"),
        *("path", "ref_name", "ref_protected", "ref_type", "ref", "repository", "repository_id", "repository_owner"),
        *("repository_owner_id", "retention_days", "run_attempt", "run_id", "run_number", "server_url", "sha"),
        *("state", "step_summary", "triggering_actor", "workflow", "workflow_ref", "workflow_sha", "workspace"),
    }
)
"""What of the context ``github`` becomes a variable ``GITHUB_*``: ``GitHubContext.cs``. The token does not."""

ACTIONS_VARIABLES = frozenset(
    {
        *("ACTIONS_CACHE_MODE", "ACTIONS_CACHE_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL"),
        *("ACTIONS_ORCHESTRATION_ID", "ACTIONS_RESULTS_URL", "ACTIONS_RUNTIME_TOKEN", "ACTIONS_RUNTIME_URL"),
    }
)
TOKENS = ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_RUNTIME_TOKEN")

_RUNTIME = {"ACTIONS_RUNTIME_URL": "https://runtime.invalid/", "ACTIONS_RUNTIME_TOKEN": "the-token-of-the-runtime"}
_UNSAFE = ("ACTIONS_ALLOW_UNSECURE_COMMANDS", "ACTIONS_ALLOW_UNSECURE_STOPCOMMAND_TOKENS")
_ARCHITECTURES = {"x86_64": "X64", "amd64": "X64", "aarch64": "ARM64", "arm64": "ARM64"}


@dataclass(frozen=True)
class Mount:
    """A folder of the host in the container."""

    host: str
    container: str


@dataclass(frozen=True)
class Folders:
    """Where the runner keeps what belongs to a job, on the host.

    :param root: the runner's own work folder.
    :param workspace: the repository.
    :param suffix: what tells the files of one step from those of another.
    """

    root: Path
    workspace: Path
    suffix: str

    @property
    def temporary(self) -> Path:
        """RUNNER_TEMP."""
        return self.root / "_temp"

    @property
    def home(self) -> Path:
        """HOME."""
        return self.temporary / "_github_home"

    @property
    def workflow(self) -> Path:
        """Where the event that started the workflow is."""
        return self.temporary / "_github_workflow"

    @property
    def file_commands(self) -> Path:
        """Where the files are that a step writes for the runner."""
        return self.temporary / "_runner_file_commands"

    @property
    def files(self) -> dict[str, Path]:
        """The files of the step, by their names in the context ``github``."""
        return {name: self.file_commands / f"{prefix}{self.suffix}" for name, prefix in FILE_COMMANDS.items()}

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """What the container sees, in the order of the runner."""
        return (
            Mount(str(self.temporary), "/github/runner_temp"),
            Mount(str(self.home), "/github/home"),
            Mount(str(self.workflow), "/github/workflow"),
            Mount(str(self.file_commands), "/github/file_commands"),
            Mount(str(self.workspace), WORKSPACE),
        )

    def create(self, event: str | None) -> None:
        """Make the folders and the files of the step.

        :param event: the JSON of the event that started the workflow.
        """
        for folder in (self.home, self.workflow, self.file_commands, self.root / "_tool"):
            folder.mkdir(parents=True, exist_ok=True)
        for file in self.files.values():
            file.touch(exist_ok=False)
        if event is not None:
            (self.workflow / "event.json").write_text(event, encoding="utf-8")

    def to_container(self, value: str) -> str:
        """A value of the environment as the container gets it: a path in a mounted folder is translated.

        Only a value that is such a path or begins with one followed by ``/``; a path inside of another text is not.
        """
        return next((t for m in reversed(self.mounts) if (t := _moved(value, m.host, m.container)) is not None), value)

    def to_host(self, path: str) -> str:
        """A path of the container on the host, where it is in a mounted folder."""
        return next((t for m in reversed(self.mounts) if (t := _moved(path, m.container, m.host)) is not None), path)

    def in_repository(self, path: str) -> str:
        """The file of an annotation as GitHub shows it: relative to the workspace where it is in there."""
        host = self.to_host(path)
        return host.removeprefix(f"{self.workspace}/")


def contexts(step: Step, folders: Folders) -> dict[str, dict[str, str]]:
    """The contexts ``github`` and ``runner`` of a step, as far as they are texts.

    :raises NotModelled: for a variable of the run that the runner does not set.
    """
    github: dict[str, str] = {}
    runner: dict[str, str] = {}
    for name, value in step.variables.items():
        prefix, _, rest = name.partition("_")
        if prefix == "GITHUB" and rest.lower() in GITHUB_VARIABLES:
            github[rest.lower()] = value
        elif prefix == "RUNNER":
            runner[rest.lower()] = value
        elif name not in ACTIONS_VARIABLES and (name, value) not in (("GITHUB_ACTIONS", "true"), ("CI", "true")):
            raise NotModelled(
                f"the variable {name}, which the runner does not set; what a workflow sets belongs in env"
            )
    return {"github": github | _github(step, folders), "runner": _runner(step, folders, runner)}


def environment(action: Action, step: Step, folders: Folders) -> dict[str, str]:
    """The variables of the container, paths translated.

    :raises NotModelled: as ``host_environment``.
    """
    return {name: folders.to_container(value) for name, value in host_environment(action, step, folders).items()}


def host_environment(action: Action, step: Step, folders: Folders) -> dict[str, str]:
    """The variables of the container with paths of the host; later ones take precedence over earlier ones.

    :raises NotModelled: for a variable of the run that the runner does not set, or one that allows unsafe commands.
    """
    if unsafe := [name for name in _UNSAFE if name in step.env]:
        raise NotModelled(f"a step with {unsafe[0]}")
    known = contexts(step, folders)
    inputs = action.inputs(step.inputs, known)
    variables = dict(step.env) | {input_variable(name): value for name, value in inputs.items()}
    for name, value in action.environment.items():
        variables.setdefault(name, value.evaluate({"inputs": inputs}))
    variables["HOME"] = str(folders.home)
    variables |= {
        f"GITHUB_{name.upper()}": value for name, value in known["github"].items() if name in GITHUB_VARIABLES
    }
    variables |= {f"RUNNER_{name.upper()}": value for name, value in known["runner"].items()}
    return variables | _RUNTIME | {name: value for name, value in step.variables.items() if name in ACTIONS_VARIABLES}


def input_variable(name: str) -> str:
    """The variable of an input: blanks become ``_``, hyphens stay."""
    return f"INPUT_{name.replace(' ', '_').upper()}"


def run_arguments(
    action: Action,
    step: Step,
    folders: Folders,
    *,
    image: str,
    name: str,
    label: str,
    socket: str,
    options: Sequence[str],
    variables: Mapping[str, str],
) -> list[str]:
    """The arguments of the Docker client.

    :param socket: of the engine, on the host.
    :param options: more of ``docker run``, which GitHub does not give.
    :param variables: of the container, of which only the names are arguments.
    """
    inputs = action.inputs(step.inputs, contexts(step, folders))
    given = {input_name.lower(): value for input_name, value in inputs.items()}
    entrypoint = action.entrypoint or given.get("entrypoint", "")
    return [
        *command_line.split(f"run --name {name} --label {label} --workdir {WORKSPACE} --rm"),
        *command_line.split(" ".join(f"-e {command_line.quoted_name(variable)}" for variable in variables if variable)),
        *("-e", "GITHUB_ACTIONS=true"),
        *(() if "CI" in variables else ("-e", "CI=true")),
        *(command_line.split(f'--entrypoint "{entrypoint}"') if entrypoint else ()),
        *_volumes((Mount(socket, "/var/run/docker.sock"), *folders.mounts)),
        *options,
        image,
        *command_line.split(_arguments(action, inputs, given.get("args", ""))),
    ]


def container_name(image: str, suffix: str) -> str:
    """The image's name without what a name may not have (``NameValidation.Sanitize``), and a suffix of its own."""
    return f"{re.sub(r'^[0-9]+', '', re.sub('[^A-Za-z0-9_]', '', image))}_{suffix}"


def _github(step: Step, folders: Folders) -> dict[str, str]:
    event = {"event_path": str(folders.workflow / "event.json")} if "GITHUB_EVENT_PATH" in step.variables else {}
    own = {"workspace": str(folders.workspace), "action": step.id, "action_repository": "", "action_ref": ""}
    given = {
        name: step.variables[f"GITHUB_{name.upper()}"] for name in own if f"GITHUB_{name.upper()}" in step.variables
    }
    given.pop("workspace", None)
    token = {} if step.token is None else {"token": step.token}
    return own | given | event | token | {name: str(path) for name, path in folders.files.items()}


def _runner(step: Step, folders: Folders, given: Mapping[str, str]) -> dict[str, str]:
    """The context ``runner``: ``JobRunner.cs``, ``JobExtension.cs``, ``TempDirectoryManager.cs``."""
    return {
        **({"debug": "1"} if step.debug else {}),
        "os": "Linux",
        "arch": _ARCHITECTURES[platform.machine().lower()],
        "name": "GitHub Actions 1",
        "environment": "github-hosted",
        **given,
        "tool_cache": str(folders.root / "_tool"),
        "temp": str(folders.temporary),
        "workspace": str(folders.workspace.parent),
    }


def _arguments(action: Action, inputs: Mapping[str, str], given: str) -> str:
    if action.arguments is None:
        return given
    return " ".join(command_line.quoted_argument(item.evaluate({"inputs": inputs})) for item in action.arguments)


def _volumes(mounts: Sequence[Mount]) -> list[str]:
    quoted = ('"{}":"{}"'.format(*(p.replace('"', '\\"') for p in (mount.host, mount.container))) for mount in mounts)
    return [argument for volume in quoted for argument in command_line.split(f"-v {volume}")]


def _moved(path: str, old: str, new: str) -> str | None:
    return new + path.removeprefix(old) if path == old or path.startswith(f"{old}/") else None
