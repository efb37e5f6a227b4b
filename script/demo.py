"""The demonstration: a real Octue service, deployed by the action into the emulator, and asked, three times over.

Everything runs as it does on GitHub, but on this machine: the action as its own process with the variables that
GitHub's runner sets, the emulator as another, the service as a third, and Octue's own client as the one who asks.
"""

from __future__ import annotations

import contextlib
import html
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "wind-yield"
REPOSITORY = "octue/wind-yield"
WIND_SPEEDS = [4.0, 7.5, 11.0, 14.0, 9.0, 2.0]
QUESTION = {"hourly_wind_speeds": WIND_SPEEDS, "rated_power": 3.0}
MOST_REQUESTS = 45

ESSENTIALS = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


class Wrong(Exception):
    """The demonstration did not show what it should."""


def main() -> int:
    """Run the demonstration, and give the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leaves through every `finally`
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="octue-demo-") as folder:
        try:
            demonstrate(Path(folder))
        except (Wrong, OSError, subprocess.SubprocessError) as wrong:
            print(f"\nThe demonstration failed: {wrong}", file=sys.stderr)
            return 1
    print(f"\nAll as it should be, in {time.monotonic() - start:.0f} s; nothing is left running.")
    return 0


def demonstrate(folder: Path) -> None:
    """Deploy from nothing, the same commit again, and a new commit; ask each time."""
    repository = make_repository(folder / "repository")
    with emulator(repository, folder / "state") as cloud:
        heading("1. From a repository to an answered question")
        first = cloud.deploy()
        expect(first.requests <= MOST_REQUESTS, f"{first.requests} requests, more than {MOST_REQUESTS}")
        answer = cloud.ask(first)
        first.show()

        heading("2. The same commit again: nothing to do")
        second = cloud.deploy()
        expect(second.writes == 0, f"{second.writes} requests that write, where there was nothing to do")
        expect(second.outputs["changed"] == "false", "the second run says that it changed something")
        expect(second.outputs["revision"] == first.outputs["revision"], "the second run made a revision")
        expect(cloud.ask(second) == answer, "the same service gives another answer")

        heading("3. A new commit: one build, one revision, the same topic")
        change_code(repository)
        cloud.push()
        third = cloud.deploy()
        expect(third.outputs["topic_name"] == first.outputs["topic_name"], "the topic has changed")
        expect(third.outputs["image"] != first.outputs["image"], "the image has not changed")
        builds = cloud.builds()
        expect(builds == 2, f"{builds} builds for two commits")
        expect("-00002-" in third.outputs["revision"], f"two commits made revision {third.outputs['revision']}")
        expect(cloud.ask(third) != answer, "the new commit gives the old answer")


def make_repository(path: Path) -> Path:
    """The example as a git repository of its own, as a user has it."""
    shutil.copytree(EXAMPLE, path)
    git(path, "init", "--quiet", "--initial-branch=main")
    commit(path, "Add the service")
    return path


def change_code(repository: Path) -> None:
    """Push a new version: the turbine now gives its rated power at a lower wind speed."""
    app = repository / "app.py"
    app.write_text(app.read_text().replace("RATED = 13.0", "RATED = 12.0"))
    commit(repository, "Reach the rated power earlier")


def commit(repository: Path, message: str) -> None:
    """Commit all that has changed."""
    git(repository, "add", "--all")
    git(repository, "-c", "user.name=Demo", "-c", "user.email=demo@example.com", "commit", "--quiet", "-m", message)


def git(repository: Path, *arguments: str) -> str:
    """Run git in the repository and give what it prints."""
    return subprocess.run(
        ["git", *arguments], cwd=repository, check=True, capture_output=True, text=True
    ).stdout.strip()


class Run:
    """What one run of the action left behind.

    :param outputs: by name.
    :param summary: Markdown.
    :param requests: how many requests it made.
    :param writes: how many of them can change something.
    """

    def __init__(self, outputs: Mapping[str, str], summary: str, requests: int, writes: int) -> None:
        self.outputs = outputs
        self.summary = summary
        self.requests = requests
        self.writes = writes

    def show(self) -> None:
        """Print the outputs and the summary, which on GitHub is a page."""
        print("\nOutputs:")
        for name, value in self.outputs.items():
            print(f"  {name}: {value if len(value) < 120 else value[:117] + '...'}")
        print("\nSummary:")
        cells = re.sub(r"</t[dh]>\s*<t[dh]>", "  |  ", self.summary.replace("<br>", " "))
        for line in html.unescape(re.sub(r"<[^>]*>", "", cells)).splitlines():
            print(f"  {line}".rstrip())


class Cloud:
    """The emulator, seen from outside.

    :param variables: what it prints for others to set.
    :param repository: the git repository that stands for the one on GitHub.
    """

    def __init__(self, variables: Mapping[str, str], repository: Path) -> None:
        self._variables = variables
        self._repository = repository
        self._base = f"http://{variables['GOOGLE_CLOUD_EMULATOR_HOST']}"

    def deploy(self) -> Run:
        """Run the action as a step of a workflow on the newest commit.

        :raises Wrong: where it does not succeed.
        """
        before = len(self._get("requests"))
        files = {name: self._repository.parent / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for file in files.values():
            file.write_text("")
        environment = {
            **ESSENTIALS,
            **{name: value for name, value in self._variables.items() if name.startswith("INPUT_")},
            "GOOGLE_CLOUD_EMULATOR_HOST": self._variables["GOOGLE_CLOUD_EMULATOR_HOST"],
            **self._post("runs", {}),
            "GITHUB_WORKSPACE": str(self._repository),
            **{name: str(file) for name, file in files.items()},
        }
        action = [sys.executable, "-E", "-s", str(ROOT / "entrypoint.py")]  # as in the Dockerfile
        start = time.monotonic()
        code = play_runner(action, environment, self._repository)
        expect(code == 0, f"the action ended with exit code {code}")
        made = [request for request in self._get("requests")[before:] if self._is_the_actions(request)]
        writes = [request["method"] for request in made if request["writes"]]
        print(f"({time.monotonic() - start:.1f} s, {len(made)} requests, {len(writes)} of them writes)")
        return Run(
            read_outputs(files["GITHUB_OUTPUT"]), files["GITHUB_STEP_SUMMARY"].read_text(), len(made), len(writes)
        )

    def _is_the_actions(self, request: Mapping[str, Any]) -> bool:
        """Whether the action made a request, and not a build's account, nor a service or who asks it over Pub/Sub."""
        deployer = f"serviceAccount:{self._variables['INPUT_DEPLOYER_SERVICE_ACCOUNT']}"
        is_sign_in = not request["principal"].startswith("serviceAccount:") and "pubsub" not in request["method"]
        return is_sign_in or request["principal"] == deployer

    def ask(self, run: Run) -> Any:
        """Ask the deployed service through its topic with Octue's own client, and give its answer.

        :raises Wrong: where there is no answer, or one that cannot be.
        """
        project = self._variables["INPUT_PROJECT_ID"]
        environment = {**ESSENTIALS, "PUBSUB_EMULATOR_HOST": self._variables["PUBSUB_EMULATOR_HOST"]}
        client = [ROOT / ".cache/octue/bin/python", ROOT / "script/ask.py"]
        question = json.dumps(QUESTION)
        asked = subprocess.run(
            [*client, run.outputs["service_id"], project, question],
            env=environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        expect(asked.returncode == 0, f"no answer:\n{asked.stdout}{asked.stderr}")
        answer = json.loads(asked.stdout.splitlines()[-1])
        expect(0 < answer["energy_yield"] < sum(WIND_SPEEDS), f"a strange answer: {answer}")
        print(f"\nAsked:    {question}\nAnswered: {json.dumps(answer)}")
        return answer

    def push(self) -> None:
        """Tell Cloud Build of the newest commit, as GitHub does."""
        sha = git(self._repository, "rev-parse", "HEAD")
        self._post("push", {"repository": REPOSITORY, "ref": "refs/heads/main", "sha": sha})

    def builds(self) -> int:
        """How many builds there have been."""
        return len(self._get("world")["builds"]["builds"])

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self._base}/emulator/{path}") as answer:  # noqa: S310 - loopback
            return json.load(answer)

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        request = urllib.request.Request(f"{self._base}/emulator/{path}", json.dumps(body).encode())  # noqa: S310 - loopback
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
            return json.load(answer)


def play_runner(action: list[str], environment: Mapping[str, str], workspace: Path) -> int:
    """Run the action and show its log as GitHub's runner does: without the commands, and what they hide, in it."""
    with subprocess.Popen(action, env=environment, cwd=workspace, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            command, _, text = line.strip().removeprefix("::").partition("::")
            if not line.startswith("::"):
                print(line, end="", flush=True)
            elif not command.startswith(("add-mask", "endgroup")):
                print(f"{command.partition(' ')[0]}: {text}" if command != "group" else f"--- {text}", flush=True)
    return process.returncode


@contextlib.contextmanager
def emulator(repository: Path, state: Path) -> Iterator[Cloud]:
    """The emulator as a process of its own, stopped at the end whatever happens."""
    state.mkdir()
    process = subprocess.Popen(
        [
            sys.executable, "-m", "emulator", "--repository", f"{REPOSITORY}={repository}",
            "--state", str(state), "--cache", str(ROOT / ".cache/emulator"), "--duration-factor", "0.02",
        ],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield Cloud(read_variables(process), repository)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Wrong("the emulator did not stop") from None


def read_variables(process: subprocess.Popen[str]) -> dict[str, str]:
    """The variables that the emulator prints until it is ready."""
    variables: dict[str, str] = {}
    for line in process.stdout or ():
        if line.startswith("#"):
            return variables
        name, _, value = shlex.split(line)[1].partition("=")
        variables[name] = value
    raise Wrong("the emulator did not start")


def read_outputs(file: Path) -> dict[str, str]:
    """The outputs as GitHub's runner reads them: ``name<<delimiter``, lines, ``delimiter``."""
    outputs, lines = {}, iter(file.read_text().split("\n"))
    for line in lines:
        if "<<" in line:
            name, _, delimiter = line.partition("<<")
            outputs[name] = "\n".join(iter(lambda: next(lines), delimiter))
    return outputs


def expect(fact: bool, otherwise: str) -> None:
    """Go on where the fact holds.

    :raises Wrong: where it does not.
    """
    if not fact:
        raise Wrong(otherwise)


def heading(text: str) -> None:
    """Print a heading."""
    print(f"\n\n{text}\n{'=' * len(text)}\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
