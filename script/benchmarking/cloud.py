"""A local cloud of its own for a few runs, and the runs as GitHub's runner starts them."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from script.benchmarking import graph
from script.benchmarking.figures import Sample
from script.benchmarking.paths import Call, Node, critical_path, depth, waited_for
from script.local_cloud import ESSENTIALS, EXAMPLE, ROOT, commit, git, is_the_actions, read_variables

REPOSITORY = "octue/measured"
OPERATIONS_FACTOR = 0.1
"""How long operations take where calls take their time: this part of what the real ones take."""

PYTHON = (sys.executable, "-E", "-s")
"""Python as the action's container starts it."""

ACTION = (str(ROOT / "entrypoint.py"),)
"""What Python runs then."""

UNPRUNED_ACTION = (
    "-c",
    f"""
import runpy, sys
sys.path[0] = {str(ROOT)!r}
from octue_action import pruned_imports
pruned_imports.install = lambda environment: None
runpy.run_path({ACTION[0]!r}, run_name="__main__")
""",
)
"""The same with nothing pruned: the action itself has no switch for that."""

_MEMORY = ("512Mi", "1Gi")
_CONFLICTS = frozenset({"ABORTED", "ALREADY_EXISTS", "RESOURCE_EXHAUSTED"})
_SET_PROJECT_POLICY = "google.cloud.resourcemanager.v3.Projects/SetIamPolicy"


class Unmeasurable(Exception):
    """The action did not do what is measured."""


@dataclass(frozen=True)
class Process:
    """What a process took.

    :param seconds: from before it was started until it was gone.
    :param cpu_seconds: on all cores.
    :param memory: most bytes at a time.
    :param code: its exit code.
    :param output: what it wrote.
    """

    seconds: float
    cpu_seconds: float
    memory: int
    code: int
    output: str


def run(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Process:
    """Run a program to its end.

    The operating system counts memory from the fork on, so that no child has less than this process had itself: some
    40 MB, where the action has more than twice as much.

    :param folder: where it is started, and where what it writes is kept meanwhile.
    """
    log = folder / "output.log"
    with log.open("w+b") as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024
    memory, cpu = usage.ru_maxrss * unit, usage.ru_utime + usage.ru_stime
    return Process(seconds, cpu, memory, process.returncode, log.read_text(errors="replace"))


class Cloud:
    """An emulator whose images are empty, with a repository of so many services that is to be deployed to it.

    :param process: the emulator's.
    :param variables: what it has printed for others to set.
    :param folder: where the repository is, and the files of GitHub's runner.
    :param services: how many there are in octue.yaml.
    """

    def __init__(
        self, process: subprocess.Popen[str], variables: Mapping[str, str], folder: Path, services: int
    ) -> None:
        self._process = process
        self._variables = variables
        self._folder = folder
        self._services = services
        self._memory = _MEMORY[0]

    def deploy(self) -> Sample:
        """Deploy the commit as it stands: from nothing at first, and later with nothing to do."""
        return self._measured("deploy")

    def deploy_unpruned(self) -> Sample:
        """Deploy the commit as it stands, with all that the imports would have been pruned of."""
        return self._measured("deploy", action=UNPRUNED_ACTION)

    def update(self) -> Sample:
        """Deploy one service with another memory than it has, and nothing else."""
        self._memory = self._other_memory
        write_octue_yaml(self._folder / "repository", self._services, self._memory)
        return self._measured("deploy")

    def plan(self) -> Sample:
        """Plan what ``update`` would do."""
        write_octue_yaml(self._folder / "repository", self._services, self._other_memory)
        try:
            return self._measured("plan")
        finally:
            write_octue_yaml(self._folder / "repository", self._services, self._memory)

    def in_container(self, image: str) -> Sample:
        """Deploy with nothing to do, by ``docker run`` of an image of the action."""
        return self._measured("deploy", image=image)

    def timed(self, mode: str) -> tuple[float, int]:
        """Run the action in a mode, and give how many seconds it took, and how many requests it made."""
        measured = self._measured(mode)
        return measured.seconds, measured.requests

    @property
    def url(self) -> str:
        """Where the emulator is reached over HTTP."""
        return f"http://{self._variables['GOOGLE_CLOUD_EMULATOR_HOST']}"

    @functools.cached_property
    def owners_token(self) -> str:
        """An access token of the project's owner."""
        return str(self.ask("emulator/access_token", {"person": "user:owner@example.com"})["token"])

    def git(self, *words: str) -> str:
        """What git says in the repository."""
        return git(self._folder / "repository", *words)

    def ask(self, page: str, body: Mapping[str, Any] | None = None, token: str = "", *, verb: str = "") -> Any:
        """What a page of the emulator says, or one of an API.

        :param body: what it is given.
        :param token: an access token.
        :param verb: of HTTP; where it is empty, GET, or POST with a body.
        """
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.url}/{page}",
            json.dumps(body).encode() if body is not None else None,
            {"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
            method=verb or None,
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            return json.load(answer)

    @property
    def _other_memory(self) -> str:
        return next(memory for memory in _MEMORY if memory != self._memory)

    def _measured(self, mode: str, *, action: Sequence[str] = ACTION, image: str = "") -> Sample:
        environment = self._environment(mode)
        command = container_command(image, environment, self._folder) if image else [*PYTHON, *action]
        before, cpu = len(self.ask("emulator/requests")), _cpu_seconds(self._process.pid)
        engine = {name: value for name, value in os.environ.items() if name.startswith("DOCKER_")} if image else {}
        done = run(command, environment | engine, self._folder)
        cpu = _cpu_seconds(self._process.pid) - cpu
        if done.code:
            raise Unmeasurable(f"The action ended with {done.code} in mode {mode}:\n{done.output[-4000:]}")
        shown = [each for each in self.ask("emulator/requests")[before:] if is_the_actions(each, self._variables)]
        return sample(done, shown, self.ask("emulator/operations"), graph.graph(environment), emulator_cpu_seconds=cpu)

    def _environment(self, mode: str) -> dict[str, str]:
        files = {name: self._folder / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for file in files.values():
            file.write_text("")
        return {
            **ESSENTIALS,
            **{name: value for name, value in self._variables.items() if name.startswith("INPUT_")},
            "GOOGLE_CLOUD_EMULATOR_HOST": self._variables["GOOGLE_CLOUD_EMULATOR_HOST"],
            # Started by hand, as no build of a push is waited for then.
            **self.ask("emulator/runs", {"event_name": "workflow_dispatch"}),
            "INPUT_MODE": mode,
            "GITHUB_WORKSPACE": str(self._folder / "repository"),
            **{name: str(file) for name, file in files.items()},
        }


def container_command(image: str, environment: Mapping[str, str], folder: Path) -> list[str]:
    """``docker run`` of the action's image, which reaches the emulator on this machine.

    :param environment: the variables of the step.
    :param folder: where the repository is, and the files of GitHub's runner; in the container it has the same name.
    """
    variables = [f"{name}={value}" for name, value in environment.items() if name not in ESSENTIALS]
    words = [word for variable in variables for word in ("--env", variable)]
    where = ["--network", "host", "--volume", f"{folder}:{folder}", "--workdir", environment["GITHUB_WORKSPACE"]]
    return ["docker", "run", "--rm", *where, *words, image]


def sample(
    done: Process,
    shown: Sequence[Mapping[str, Any]],
    operations: Sequence[Mapping[str, Any]],
    nodes: Sequence[Node],
    *,
    emulator_cpu_seconds: float,
) -> Sample:
    """What a run came to.

    :param shown: its calls, as ``/emulator/requests`` shows them.
    :param operations: as ``/emulator/operations`` shows them.
    :param nodes: the graph.
    """
    calls = [Call.of(each) for each in shown]
    ended = {each["name"]: each["ended"] for each in operations if each["ended"]}
    begun = {call.operation for call in calls if call.writes}
    path = critical_path(nodes, calls, ended)
    return Sample(
        seconds=done.seconds,
        cpu_seconds=done.cpu_seconds,
        emulator_cpu_seconds=emulator_cpu_seconds,
        memory=done.memory,
        requests=len(calls),
        writes=sum(call.writes for call in calls),
        policy_writes=sum(call.method == _SET_PROJECT_POLICY for call in calls),
        builds=sum(each["kind"] == "cloud_build build" and each["name"] in begun for each in operations),
        conflicts=sum(call.status in _CONFLICTS for call in calls),
        depth=depth(calls),
        span=max(call.ended for call in calls) - min(call.began for call in calls),
        round_trip=statistics.fmean(call.seconds for call in waited_for(calls)),
        sign_in=path.sign_in,
        reading=path.reading,
        writing=path.writing,
    )


@contextlib.contextmanager
def cloud(folder: Path, services: int, *, latencies: bool, seed: int) -> Iterator[Cloud]:
    """A cloud in which nothing stands yet, as a process of its own.

    :param folder: an empty one.
    :param services: how many are to be deployed.
    :param latencies: whether calls and operations take their time.
    :param seed: of the latencies.
    """
    repository = folder / "repository"
    make_repository(repository, services)
    slow = ["--latencies", "--seed", str(seed), "--duration-factor", str(OPERATIONS_FACTOR)] if latencies else []
    command = [sys.executable, "-m", "emulator", "--hollow", "--repository", f"{REPOSITORY}={repository}", *slow]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Cloud(process, read_variables(process), folder, services)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


def make_repository(path: Path, services: int) -> None:
    """A git repository as a user has it, with so many services of one Dockerfile."""
    shutil.copytree(EXAMPLE, path, ignore=shutil.ignore_patterns(".github"))
    write_octue_yaml(path, services, _MEMORY[0])
    git(path, "init", "--quiet", "--initial-branch=main")
    commit(path, "Add the services")


def write_octue_yaml(repository: Path, services: int, memory: str) -> None:
    """Write octue.yaml.

    :param memory: of the first service; the others have the lesser one.
    """
    listed = [
        f"  - name: service-{number:03}\n    project_name: my-project\n    region: europe-west1\n"
        f"    memory: {memory if number == 1 else _MEMORY[0]}\n"
        for number in range(1, services + 1)
    ]
    (repository / "octue.yaml").write_text("services:\n" + "".join(listed))


def _cpu_seconds(pid: int) -> float:
    """What a process has had of all cores until now, where the system tells (man 5 proc)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
