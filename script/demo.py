"""The demonstration: a real Octue service, deployed by the action into the emulator, asked, changed, and taken back.

Everything runs as it does on GitHub, but on this machine: the action as its own process with the variables that
GitHub's runner sets, the emulator as another, the service as a third, and Octue's own client as the one who asks.
"""

from __future__ import annotations

import contextlib
import html
import json
import re
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

from script.local_cloud import ESSENTIALS, EXAMPLE, ROOT, commit, git, is_the_actions, read_variables

REPOSITORY = "octue/wind-yield"
WIND_SPEEDS = [4.0, 7.5, 11.0, 14.0, 9.0, 2.0]
QUESTION = {"hourly_wind_speeds": WIND_SPEEDS, "rated_power": 3.0}
MOST_REQUESTS = 45
"""Of a first deployment, beside those that look whether a build or another operation has ended."""
LOOKS = ("CloudBuild/GetBuild", "Operations/GetOperation", "Operations/WaitOperation")


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
    """Both acts, in one cloud."""
    repository = make_repository(folder / "repository")
    with emulator(repository, folder / "state") as cloud:
        before = cloud.things()
        answer = deploy_and_ask(cloud, repository)
        change_and_take_back(cloud, repository, answer)
        after = cloud.things()
        different = sorted(kind for kind in before.keys() | after.keys() if before.get(kind) != after.get(kind))
        expect(not different, f"after destroying, the project is not as it was before: {', '.join(different)}")
        print("\nThe project is as it was before the first deployment.")


def deploy_and_ask(cloud: Cloud, repository: Path) -> Any:
    """The first act: deploy from nothing, the same commit again, and a new commit; ask each time.

    :returns: the last answer.
    """
    heading("1. From a repository to an answered question")
    first = cloud.run()
    expect(first.requests <= MOST_REQUESTS, f"{first.requests} requests, more than {MOST_REQUESTS}")
    answer = cloud.ask(first)
    first.show()

    heading("2. The same commit again: nothing to do")
    second = cloud.run()
    expect(second.writes == 0, f"{second.writes} requests that write, where there was nothing to do")
    expect(second.outputs["changed"] == "false", "the second run says that it changed something")
    expect(second.outputs["revision"] == first.outputs["revision"], "the second run made a revision")
    expect(cloud.ask(second) == answer, "the same service gives another answer")

    heading("3. A new commit: one build, one revision, the same topic")
    change_code(repository)
    cloud.push()
    third = cloud.run()
    expect(third.outputs["topic_name"] == first.outputs["topic_name"], "the topic has changed")
    expect(third.outputs["image"] != first.outputs["image"], "the image has not changed")
    builds = cloud.builds()
    expect(builds == 2, f"{builds} builds for two commits")
    expect("-00002-" in third.outputs["revision"], f"two commits made revision {third.outputs['revision']}")
    new_answer = cloud.ask(third)
    expect(new_answer != answer, "the new commit gives the old answer")
    return new_answer


def change_and_take_back(cloud: Cloud, repository: Path, answer: Any) -> None:
    """The second act: somebody changes the service by hand, a commit does not start, and in the end all goes.

    :param answer: what the service answers as it should be.
    """
    heading("4. Somebody changes memory and a variable by hand: drift names both")
    cloud.change_by_hand()
    drift = cloud.run("drift", code=1)
    for changed in ("memory: is 1Gi, wanted 512Mi", "environment[ROUNDING]: not wanted"):
        expect(changed in drift.log, f"drift does not say {changed!r}")
    expect(drift.writes == 0, "looking for drift wrote something")

    heading("5. The plan says what a deployment would do, and the deployment does it")
    plan = cloud.run("plan")
    expect(plan.writes == 0, "planning wrote something")
    mended = cloud.run()
    expect(mended.outputs["plan"] == plan.outputs["plan"], "the deployment had another plan")
    cloud.run("drift")
    expect(cloud.ask(mended) == answer, "the mended service gives another answer")

    heading("6. A commit that does not start: the revision before goes on serving")
    break_program(repository)
    broken = cloud.run(code=1)
    expect(cloud.ask(broken) == answer, "the revision before does not answer")

    heading("7. Rolled back, until the next deployment")
    back = cloud.run("rollback")
    expect(back.outputs["revision"] == mended.outputs["revision"], f"it went back to {back.outputs['revision']}")
    expect(cloud.ask(back) == answer, "the revision that was gone back to gives another answer")
    back.show()

    heading("8. Destroyed")
    cloud.run("destroy", code=2, confirm="another-name")
    destroyed = cloud.run("destroy", confirm="wind-yield", delete_topic="true")
    destroyed.show()


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


def break_program(repository: Path) -> None:
    """Commit a version that ends as soon as it is started."""
    dockerfile = repository / "Dockerfile"
    start = dockerfile.read_text().rpartition("CMD ")[0]
    dockerfile.write_text(f"{start}CMD exec python -c 'raise SystemExit(\"no wind today\")'\n")
    commit(repository, "Start something else")


class Run:
    """What one run of the action left behind.

    :param outputs: by name.
    :param log: what it wrote.
    :param summary: Markdown.
    :param requests: how many requests it made, beside ``LOOKS``.
    :param writes: how many of them can change something.
    """

    def __init__(self, outputs: Mapping[str, str], log: str, summary: str, requests: int, writes: int) -> None:
        self.outputs = outputs
        self.log = log
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

    def run(self, mode: str = "deploy", *, code: int = 0, **inputs: str) -> Run:
        """Run the action as a step of a workflow on the newest commit.

        :param code: the exit code that it should end with.
        :param inputs: beside those that every step has.
        :raises Wrong: where it ends with another one.
        """
        before = len(self._get("emulator/requests"))
        files = {name: self._repository.parent / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for file in files.values():
            file.write_text("")
        environment = {
            **ESSENTIALS,
            **{name: value for name, value in self._variables.items() if name.startswith("INPUT_")},
            "GOOGLE_CLOUD_EMULATOR_HOST": self._variables["GOOGLE_CLOUD_EMULATOR_HOST"],
            **self._post("emulator/runs", {}),
            **{f"INPUT_{name.upper()}": value for name, value in {"mode": mode, **inputs}.items()},
            "GITHUB_WORKSPACE": str(self._repository),
            **{name: str(file) for name, file in files.items()},
        }
        action = [sys.executable, "-E", "-s", str(ROOT / "entrypoint.py")]  # as in the Dockerfile
        start = time.monotonic()
        ended, log = play_runner(action, environment, self._repository)
        expect(ended == code, f"the action ended with exit code {ended}, not {code}")
        made = [
            request for request in self._get("emulator/requests")[before:] if is_the_actions(request, self._variables)
        ]
        writes = [request["method"] for request in made if request["writes"]]
        looks = [request for request in made if request["method"].endswith(LOOKS)]
        counted = len(made) - len(looks)
        print(
            f"({time.monotonic() - start:.1f} s, {counted} requests, {len(writes)} of them writes, "
            f"and {len(looks)} looks whether something had ended)"
        )
        return Run(
            read_outputs(files["GITHUB_OUTPUT"]),
            log,
            files["GITHUB_STEP_SUMMARY"].read_text(),
            counted,
            len(writes),
        )

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

    def change_by_hand(self) -> None:
        """Change the service as somebody does in the console: more memory, and one variable more."""
        project, region = self._variables["INPUT_PROJECT_ID"], self._variables["INPUT_REGION"]
        path = f"run.googleapis.com/v2/projects/{project}/locations/{region}/services/wind-yield"
        token = self._post("emulator/access_token", {"person": "user:owner@example.com"})["token"]
        service = self._get(path, token)
        (container,) = service["template"]["containers"]
        container["resources"]["limits"]["memory"] = "1Gi"
        container["env"].append({"name": "ROUNDING", "value": "3"})
        service["template"].pop("revision", None)
        operation = self._patch(path, service, token)["name"]
        while not self._get(f"run.googleapis.com/v2/{operation}", token).get("done"):
            time.sleep(0.1)

    def things(self) -> Any:
        """What there is in the project, but for builds, which nothing takes back, and what askers leave behind.

        Octue's SDK removes the subscription to each answer, and not its topic.
        """
        world = self._get("emulator/world")
        policies = {name: policy.get("bindings", []) for name, policy in world.pop("policies").items()}
        kinds = {name: value for name, value in world.items() if name not in {"builds", "github"}}
        topics = [topic for topic in world["topics"].get("topics", []) if ".answers." not in topic["name"]]
        return {
            **kinds,
            "topics": topics,
            "policies": {name: bindings for name, bindings in policies.items() if bindings},
        }

    def push(self) -> None:
        """Tell Cloud Build of the newest commit, as GitHub does."""
        sha = git(self._repository, "rev-parse", "HEAD")
        self._post("emulator/push", {"repository": REPOSITORY, "ref": "refs/heads/main", "sha": sha})

    def builds(self) -> int:
        """How many builds there have been."""
        return len(self._get("emulator/world")["builds"]["builds"])

    def _get(self, path: str, token: str = "") -> Any:
        return self._ask("GET", path, None, token)

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._ask("POST", path, body)

    def _patch(self, path: str, body: Mapping[str, Any], token: str) -> Any:
        return self._ask("PATCH", path, body, token)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None, token: str = "") -> Any:
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self._base}/{path}",
            json.dumps(body).encode() if body is not None else None,
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
            return json.load(answer)


def play_runner(action: list[str], environment: Mapping[str, str], workspace: Path) -> tuple[int, str]:
    """Run the action and show its log as GitHub's runner does: without the commands, and what they hide, in it.

    :returns: the exit code, and what was shown.
    """
    shown = []
    with subprocess.Popen(action, env=environment, cwd=workspace, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            command, _, text = line.strip().removeprefix("::").replace("%0A", "\n").partition("::")
            if not line.startswith("::"):
                shown.append(line.rstrip("\n"))
            elif not command.startswith(("add-mask", "endgroup")):
                shown.append(f"{command.partition(' ')[0]}: {text}" if command != "group" else f"--- {text}")
            else:
                continue
            print(shown[-1], flush=True)
    return process.returncode, "\n".join(shown)


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
