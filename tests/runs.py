"""Whole runs of the action against a local cloud, as a workflow starts them, and what each leaves behind."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

from emulator.requests import Request
from emulator.server import Emulator
from emulator.world import World, WorldSettings
from octue_action.cancellation import Cancellation
from octue_action.main import main
from tests import github_runner

ROOT = Path(__file__).resolve().parent.parent
REPOSITORY = "my-org/sum-service"
LAYERS = ROOT / ".cache" / "emulator"
"""Built layers, shared with the demonstration: what an image needs is installed once on a machine."""

OCTUE_YAML = """\
services:
  - name: sum
    namespace: my-org
    project_name: my-project
    region: europe-west1
"""
DOCKERFILE = 'FROM python:3.11-slim\nWORKDIR /app\nCOPY server.py .\nCMD ["python", "-S", "server.py"]\n'
SERVER = """\
import os, socket
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    listener.accept()[0].close()
"""
SMALL_SERVICE = {"octue.yaml": OCTUE_YAML, "Dockerfile": DOCKERFILE, "server.py": SERVER}
"""A repository with a program of a few lines that is quickly built."""

PLAN = jsonschema.Draft202012Validator(json.loads((ROOT / "docs" / "plan.schema.json").read_text()))
"""What is published about the output `plan`, which each run is held against."""

_ESSENTIALS = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


@dataclass(frozen=True)
class Run:
    """What one run of the action left behind.

    :param code: its exit code.
    :param stdout: what it wrote, as it is.
    :param stderr: the same.
    :param outputs: as the next step of the job gets them.
    :param output_file: the file that it wrote them to.
    :param summary: Markdown.
    :param requests: what it asked GitHub and Google for.
    :param world: everything there is in the cloud afterwards, as the emulator shows it.
    """

    code: int
    stdout: str
    stderr: str
    outputs: Mapping[str, str]
    output_file: str
    summary: str
    requests: tuple[Request, ...]
    world: Mapping[str, Any]

    @property
    def log(self) -> github_runner.Log:
        """What GitHub makes of its output."""
        return github_runner.read_log(self.stdout)

    @property
    def errors(self) -> list[str]:
        """The messages of the annotations that are errors."""
        return [annotation.message for annotation in self.log.of_kind("error")]

    @property
    def writes(self) -> list[str]:
        """The methods it called that can change something."""
        return [request.method for request in self.requests if request.writes]

    @property
    def readable(self) -> str:
        """All that somebody can read of it: everything but the commands that hide a text."""
        log = "\n".join(line for line in self.stdout.splitlines() if not line.startswith("::add-mask::"))
        return "\n".join([log, self.stderr, self.summary, self.output_file])


class Job:
    """A job of a workflow in a repository, whose steps use the action.

    :param emulator: the cloud.
    :param workspace: the repository as it is checked out.
    :param files: where GitHub's runner keeps the files of a step; a new folder beside the workspace unless given.

    ``runs`` are those so far.
    """

    def __init__(self, emulator: Emulator, workspace: Path, files: Path | None = None) -> None:
        self._emulator = emulator
        self.workspace = workspace
        self.files = files or workspace.parent / f"{workspace.name}-files"
        self.files.mkdir(parents=True)
        self.runs: list[Run] = []

    @property
    def world(self) -> World:
        """The cloud itself."""
        return self._emulator.world

    def environment(self, inputs: Mapping[str, str] | None = None, **run: Any) -> dict[str, str]:
        """The variables of a step in a new run of the workflow.

        :param inputs: beside those that sign in, by name.
        :param run: how the run was started, as ``start_run`` takes it.
        """
        world = self.world
        given = {
            "workload_identity_provider": world.sts.provider.name,
            "deployer_service_account": world.iam.deployer,
            **(inputs or {}),
        }
        return {
            **_ESSENTIALS,
            **world.github.start_run(**run),
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_OUTPUT": str(self.files / "output"),
            "GITHUB_STEP_SUMMARY": str(self.files / "summary"),
            "GOOGLE_CLOUD_EMULATOR_HOST": self._emulator.address,
            **{f"INPUT_{name.upper()}": value for name, value in given.items()},
        }

    def here(self, environment: Mapping[str, str], cancellation: Cancellation | None = None) -> Run:
        """Run the action in this process."""
        before = self.empty_files()
        stream = io.StringIO()
        code = main(environment, stream, cancellation=cancellation)
        return self.read(code, stream.getvalue(), "", before)

    def deploy(self, inputs: Mapping[str, str] | None = None, **run: Any) -> Run:
        """Run the action in this process as the step of a new run."""
        return self.here(self.environment(inputs, **run))

    def step(self, inputs: Mapping[str, str] | None = None, **run: Any) -> Run:
        """Run the action as the container does: a process of its own, with GitHub's variables and no others."""
        environment = self.environment(inputs, **run)
        before = self.empty_files()
        command = [sys.executable, "-E", "-s", str(ROOT / "entrypoint.py")]
        done = subprocess.run(
            command, env=environment, cwd=self.workspace, capture_output=True, text=True, check=False, timeout=240
        )
        return self.read(done.returncode, done.stdout, done.stderr, before)

    def look(self) -> dict[str, Any]:
        """Everything there is in the cloud."""
        with urllib.request.urlopen(f"http://{self._emulator.address}/emulator/world") as answer:
            shown: dict[str, Any] = json.load(answer)
        return shown

    def commit(self, files: Mapping[str, str] | None = None) -> str:
        """Commit the repository as it is, with these files written before, and give the SHA."""
        for name, text in (files or {}).items():
            (self.workspace / name).write_text(text)
        if not (self.workspace / ".git").exists():
            self._git("init", "--quiet", "--initial-branch=main")
        self._git("add", "--all")
        self._git("-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "--quiet", "-m", "Change")
        return self._git("rev-parse", "HEAD")

    def _git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.workspace, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def empty_files(self) -> int:
        for name in ("output", "summary"):
            (self.files / name).write_text("")
        return len(self.world.requests)

    def read(self, code: int, stdout: str, stderr: str, before: int) -> Run:
        log = github_runner.read_log(stdout)
        run = Run(
            code=code,
            stdout=stdout,
            stderr=stderr,
            outputs=github_runner.read_outputs((self.files / "output").read_bytes(), log),
            output_file=(self.files / "output").read_text(),
            summary=github_runner.read_summary((self.files / "summary").read_bytes()) or "",
            requests=tuple(request for request in list(self.world.requests)[before:] if self._is_the_actions(request)),
            world=self.look(),
        )
        self.runs.append(run)
        if run.outputs.get("plan"):
            PLAN.validate(json.loads(run.outputs["plan"]))
        return run

    def _is_the_actions(self, request: Request) -> bool:
        """Whether the action made a request, and not a build, or a service that uses Pub/Sub without a token."""
        if request.principal == "anonymous":
            return not request.method.startswith("google.pubsub.")
        deployer = f"serviceAccount:{self.world.iam.deployer}"
        return request.principal == deployer or not request.principal.startswith("serviceAccount:")


TOKEN = re.compile(r"ya29\.|eyJ|gh[sp]_")
"""What a token looks like, wherever it comes from."""


@contextmanager
def job_of_small_service(folder: Path, **settings: Any) -> Iterator[Job]:
    """A workflow of a repository with a small service, in a cloud that has nothing of it yet.

    :param folder: for all files.
    :param settings: of the cloud's world.
    :raises AssertionError: where in the end a token can be read in what any run left behind.
    """
    workspace = folder / "repository"
    workspace.mkdir()
    given: dict[str, Any] = {"state": folder / "state", "cache": LAYERS, "repositories": {REPOSITORY: workspace}}
    with Emulator(WorldSettings(**given, **settings)) as emulator:
        job = Job(emulator, workspace)
        job.commit(SMALL_SERVICE)
        yield job
        leaks = [run.readable for run in job.runs if TOKEN.search(run.readable)]
        assert leaks == [], "a token can be read"


def credentials_file(folder: Path, variables: Mapping[str, str], world: World, *, account: bool) -> Path:
    """A file as google-github-actions/auth writes it, src/client/workload_identity_federation.ts.

    :param variables: of the run that GitHub vouches for.
    :param account: whether the deployer's account is to be impersonated.
    """
    audience = urllib.parse.quote(f"https://iam.googleapis.com/{world.sts.provider.name}", safe="")
    impersonation = f"v1/projects/-/serviceAccounts/{world.iam.deployer}:generateAccessToken"
    content: dict[str, Any] = {
        "type": "external_account",
        "audience": f"//iam.googleapis.com/{world.sts.provider.name}",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{world.base_url}/sts.googleapis.com/v1/token",
        "credential_source": {
            "url": f"{variables['ACTIONS_ID_TOKEN_REQUEST_URL']}&audience={audience}",
            "headers": {"Authorization": f"Bearer {variables['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"},
            "format": {"type": "json", "subject_token_field_name": "value"},
        },
    }
    if account:
        content["service_account_impersonation_url"] = f"{world.base_url}/iamcredentials.googleapis.com/{impersonation}"
    path = folder / "gha-creds-0123456789abcdef.json"
    path.write_text(json.dumps(content))
    return path
