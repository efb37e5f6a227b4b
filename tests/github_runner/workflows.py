"""The workflows of a repository: what an event starts, which jobs run, what they may, and what they leave behind.

A job's steps use actions: ``actions/checkout`` is played, and a container action runs as a program (``HostRunner``).
"""

from __future__ import annotations

import concurrent.futures
import json
import re
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from tests.github_runner import files, triggers, workflow
from tests.github_runner.commands import Log
from tests.github_runner.container import GITHUB_VARIABLES
from tests.github_runner.errors import NotModelled, Refused
from tests.github_runner.expressions import Contexts, Template, Value, is_truthy, parse_expression
from tests.github_runner.host import HostRunner
from tests.github_runner.step import Step, StepResult
from tests.github_runner.triggers import Event
from tests.github_runner.workflow import Job, Workflow, WorkflowStep

FOLDER = ".github/workflows"

_USES = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(?P<path>/[^@]+)?@(?P<ref>.+)")
_IS_FROM_FORK = parse_expression(
    "github.event.pull_request && github.event.pull_request.head.repo.full_name != github.repository",
    frozenset({"github"}),
)
_ID_TOKEN = ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")


class GitHub(Protocol):
    """What a run of a workflow has from GitHub."""

    def start_run(self, event: Event, workflow: str) -> Mapping[str, str]:
        """The variables of a new run: ``GITHUB_*``, and those of a job that may ask for an OIDC token.

        :param workflow: its name.
        """

    def job_token(self, permissions: Mapping[str, str]) -> str:
        """A ``GITHUB_TOKEN`` with exactly these permissions."""


@dataclass(frozen=True)
class JobRun:
    """What became of a job.

    :param name: for people.
    :param conclusion: success, failure or skipped.
    :param permissions: that its token had.
    :param concurrency: the group that it was in.
    :param outputs: as other jobs get them.
    :param checked_out: the commits that were put into its workspace.
    :param steps: what its actions left behind, in their order, without the checkout.
    :param called: the jobs of the workflow that it called.
    """

    name: str
    conclusion: str
    permissions: Mapping[str, str] = field(default_factory=dict)
    concurrency: str | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)
    checked_out: tuple[str, ...] = ()
    steps: tuple[StepResult, ...] = ()
    called: Mapping[str, JobRun] = field(default_factory=dict)

    @property
    def all_steps(self) -> tuple[StepResult, ...]:
        """Its steps and those of the jobs that it called."""
        return (*self.steps, *(step for job in self.called.values() for step in job.all_steps))


@dataclass(frozen=True)
class WorkflowRun:
    """What became of a workflow.

    :param concurrency: the group that it was in.
    :param jobs: by their keys in the file.
    """

    concurrency: str | None
    jobs: Mapping[str, JobRun]

    @property
    def conclusion(self) -> str:
        """Success, failure, or skipped where no job ran."""
        return _conclusion(self.jobs)


@dataclass(frozen=True, kw_only=True)
class Workflows:
    """The workflows of a repository.

    :param repository: the local git repository that stands for the one on GitHub.
    :param folder: where runners keep what belongs to jobs; not there yet.
    :param github: gives variables and tokens.
    :param others: folders with what workflows use of other repositories: ``{"owner/name@ref": folder}``.
    :param command: what runs in place of an action's container.
    :param env: variables that every step has beside GitHub's.
    """

    repository: Path
    folder: Path
    github: GitHub
    others: Mapping[str, Path]
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)

    def run(self, event: Event) -> dict[str, WorkflowRun]:
        """Let something happen, and run the workflows that it starts to their ends.

        :returns: by the names of their files.
        :raises Refused: where GitHub does not accept a workflow or the inputs it is started with.
        :raises NotModelled: where this harness cannot say what GitHub would do.
        """
        commit = git(self.repository, "rev-parse", f"{event.ref}^{{commit}}")
        there = self._at(commit)
        if event.workflow and event.workflow not in there:
            raise Refused(f"There is no workflow {event.workflow}")
        started = {file: found for file, found in there.items() if triggers.starts(found, event, file)}
        return {file: self._begin(found, event, commit).workflow(found) for file, found in started.items()}

    def _at(self, commit: str) -> dict[str, Workflow]:
        """The workflows in a commit."""
        paths = git(self.repository, "ls-tree", "--name-only", commit, f"{FOLDER}/").splitlines()
        return {Path(path).name: workflow.load(git(self.repository, "show", f"{commit}:{path}")) for path in paths}

    def _begin(self, found: Workflow, event: Event, commit: str) -> _Run:
        variables = dict(self.github.start_run(event, found.name))
        if variables["GITHUB_SHA"] != commit:
            raise NotModelled(f"a run for {variables['GITHUB_SHA']} where {event.ref} is {commit}")
        folder = self.folder / variables["GITHUB_RUN_ID"]
        folder.mkdir(parents=True)
        payload = dict(event.payload)
        if "GITHUB_EVENT_PATH" in variables:
            payload |= json.loads(Path(variables["GITHUB_EVENT_PATH"]).read_text())
        variables["GITHUB_EVENT_PATH"] = str(folder / "event.json")
        (folder / "event.json").write_text(json.dumps(payload))
        return _Run(self, variables, payload, triggers.dispatch_inputs(found, event), folder)


@dataclass(frozen=True)
class _Scope:
    """Where a job stands.

    :param permissions: that it has; None where the repository's settings say them.
    :param folder: where it keeps what belongs to it.
    :param origin: the repository that its workflow is from, if that is another one.
    """

    contexts: Contexts
    permissions: Mapping[str, str] | None
    folder: Path
    origin: Path | None = None

    @property
    def granted(self) -> Mapping[str, str]:
        """The permissions.

        :raises NotModelled: where the repository's settings say them.
        """
        if self.permissions is None:
            raise NotModelled("a job without permissions, which the settings of the repository say")
        return self.permissions


class _Run:
    """A run of a workflow.

    :param workflows: the repository's.
    :param variables: of its jobs.
    :param payload: of the event that started it.
    :param inputs: that it was started with.
    :param folder: where its jobs keep what belongs to them.
    """

    def __init__(
        self,
        workflows: Workflows,
        variables: Mapping[str, str],
        payload: Mapping[str, Value],
        inputs: Mapping[str, Value],
        folder: Path,
    ) -> None:
        self._workflows = workflows
        self._variables = variables
        self._inputs = inputs
        self._folder = folder
        self._groups: set[str] = set()
        self._lock = threading.Lock()
        named = {name: f"GITHUB_{name.upper()}" for name in GITHUB_VARIABLES}
        known = {name: variables[variable] for name, variable in named.items() if variable in variables}
        self._github: dict[str, Value] = {**known, "event": payload}

    def workflow(self, started: Workflow) -> WorkflowRun:
        """Run all jobs."""
        scope = _Scope({"github": self._github, "inputs": self._inputs}, started.permissions, self._folder)
        group = self._enter(started.concurrency, scope)
        return WorkflowRun(group, self._jobs(started.jobs, scope))

    def _jobs(self, jobs: Mapping[str, Job], scope: _Scope) -> dict[str, JobRun]:
        """Run jobs side by side, as none can need another."""
        with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
            started = {id_: pool.submit(self._job, job, scope) for id_, job in jobs.items()}
            return {id_: run.result() for id_, run in started.items()}

    def _job(self, job: Job, scope: _Scope) -> JobRun:
        """Run a job, or leave it out."""
        name = job.name.evaluate(scope.contexts)
        if job.condition is not None and not is_truthy(job.condition.value(scope.contexts)):
            return JobRun(name, "skipped")
        if job.environment is not None and job.environment.evaluate(scope.contexts):
            raise NotModelled(f"the environment of the job {job.id}")
        own = replace(scope, permissions=self._allowed(job, scope), folder=scope.folder / job.id)
        group = self._enter(job.concurrency, own)
        run = self._call(job, own) if job.uses else self._work(job, own)
        return replace(run, name=name, permissions=own.granted, concurrency=group)

    def _allowed(self, job: Job, scope: _Scope) -> Mapping[str, str]:
        """What a job may: for a pull request from a fork only read."""
        allowed = scope.granted if job.permissions is None else job.permissions
        if not is_truthy(_IS_FROM_FORK.value(scope.contexts)):
            return allowed
        levels = {name: "read" if level == "write" else level for name, level in allowed.items()}
        return {**levels, "id-token": "none"}

    def _enter(self, group: Template | None, scope: _Scope) -> str | None:
        """Go into a concurrency group, where there is nobody of this run yet."""
        if group is None:
            return None
        name = group.evaluate(scope.contexts)
        with self._lock:
            if name.lower() in self._groups:
                raise NotModelled(f"two of one run in the concurrency group {name}")
            self._groups.add(name.lower())
        return name

    def _call(self, job: Job, scope: _Scope) -> JobRun:
        """Run the jobs of another repository's workflow."""
        origin, path = _find(self._workflows.others, job.uses)
        if path.parent != origin / FOLDER:
            raise Refused(f"{job.uses} is not in {FOLDER}")
        called = workflow.load(path.read_text())
        if called.permissions is not None or any(each.permissions is not None for each in called.jobs.values()):
            raise NotModelled("a called workflow with permissions of its own")
        given = {name: value.value(scope.contexts) for name, value in job.inputs.items()}
        contexts = {**scope.contexts, "inputs": triggers.call_inputs(called, given)}
        inner = replace(scope, contexts=contexts, origin=origin)
        self._enter(called.concurrency, inner)
        jobs = self._jobs(called.jobs, inner)
        results: dict[str, Value] = {
            id_: {"outputs": run.outputs, "result": run.conclusion} for id_, run in jobs.items()
        }
        outputs = {name: value.evaluate({**contexts, "jobs": results}) for name, value in called.outputs.items()}
        return JobRun("", _conclusion(jobs), outputs=files.job_outputs(outputs, Log()), called=jobs)

    def _work(self, job: Job, scope: _Scope) -> JobRun:
        """Run the steps of a job."""
        work = _Work(self._workflows, self._variables_of(job, scope), scope)
        github = {**self._github, "job": job.id, "token": work.token}
        contexts = {**scope.contexts, "github": github, "steps": work.outcomes}
        for step in job.steps:
            work.run(step, contexts)
        outputs = {name: value.evaluate(contexts) for name, value in job.outputs.items()}
        return JobRun(
            name="",
            conclusion=work.conclusion,
            outputs=files.job_outputs(outputs, work.log),
            checked_out=tuple(work.checked_out),
            steps=tuple(work.results),
        )

    def _variables_of(self, job: Job, scope: _Scope) -> dict[str, str]:
        """The variables of a job: those for OIDC tokens only where it may have them."""
        left_out = () if scope.granted.get("id-token") == "write" else _ID_TOKEN
        given = {name: value for name, value in self._variables.items() if name not in left_out}
        return given | {"GITHUB_JOB": job.id}


class _Work:
    """The steps of a job.

    :param variables: of each.
    """

    def __init__(self, workflows: Workflows, variables: Mapping[str, str], scope: _Scope) -> None:
        self._workflows = workflows
        self._variables = variables
        self._scope = scope
        self._workspace = scope.folder / "work" / variables["GITHUB_REPOSITORY"].rpartition("/")[2]
        self._workspace.mkdir(parents=True)
        self._runner = HostRunner(scope.folder / "runner", workflows.command)
        self.token = workflows.github.job_token({k: v for k, v in scope.granted.items() if k != "id-token"})
        self.outcomes: dict[str, Value] = {}
        self.checked_out: list[str] = []
        self.results: list[StepResult] = []
        self.conclusion = "success"

    @property
    def log(self) -> Log:
        """What hides all that was hidden in a step."""
        return Log(masks=[self.token, *(mask for result in self.results for mask in result.log.masks)])

    def run(self, step: WorkflowStep, contexts: Contexts) -> None:
        """Run a step, unless one before it has failed."""
        if self.conclusion != "success":
            outcome, outputs = "skipped", {}
        elif step.uses.startswith("actions/checkout@"):
            outcome, outputs = "success", self._check_out(step, contexts)
        else:
            outcome, outputs = self._act(step, contexts)
            self.conclusion = outcome
        if step.id:
            self.outcomes[step.id] = {"outputs": outputs, "outcome": outcome, "conclusion": outcome}

    def _check_out(self, step: WorkflowStep, contexts: Contexts) -> dict[str, str]:
        """Put a commit into the workspace: that of the run where no other is named."""
        if unknown := set(step.inputs) - {"persist-credentials", "ref"}:
            raise NotModelled(f"{', '.join(sorted(unknown))} of actions/checkout")
        if self._scope.granted.get("contents", "none") == "none":
            raise NotModelled("a checkout without `contents: read`, which only a public repository allows")
        ref = step.inputs["ref"].evaluate(contexts) if "ref" in step.inputs else ""
        git(self._workspace, "clone", "--quiet", "--shared", "--no-checkout", str(self._workflows.repository), ".")
        git(self._workspace, "checkout", "--quiet", "--detach", ref or self._variables["GITHUB_SHA"])
        self.checked_out.append(git(self._workspace, "rev-parse", "HEAD"))
        return {"commit": self.checked_out[-1], "ref": ref}

    def _act(self, step: WorkflowStep, contexts: Contexts) -> tuple[str, dict[str, str]]:
        """Run an action, and give its conclusion and its outputs."""
        folder, variables = self._action(step.uses)
        result = self._runner.run(
            folder,
            Step(
                workspace=self._workspace,
                inputs={name: value.evaluate(contexts) for name, value in step.inputs.items()},
                env=self._workflows.env,
                variables={**self._variables, **variables},
                secrets=(self.token,),
                token=self.token,
                id=step.id or f"__{step.uses.partition('@')[0].replace('/', '_')}",
                name=step.name.evaluate(contexts) or f"Run {step.uses}",
            ),
        )
        self.results.append(result)
        return result.conclusion, dict(result.outputs)

    def _action(self, uses: str) -> tuple[Path, dict[str, str]]:
        """The folder of an action, and what the runner says of where it is from."""
        if uses.startswith("$/"):
            if self._scope.origin is None:
                raise NotModelled(f"{uses} in a workflow of the repository itself")
            return self._scope.origin / uses.removeprefix("$/"), {}
        _, folder = _find(self._workflows.others, uses)
        repository, _, ref = uses.partition("@")
        return folder, {"GITHUB_ACTION_REPOSITORY": repository, "GITHUB_ACTION_REF": ref}


def _find(others: Mapping[str, Path], uses: str) -> tuple[Path, Path]:
    """Where on this machine something of another repository is: the repository's folder, and the path in it.

    :param others: folders of repositories, ``{"owner/name@ref": folder}``.
    :param uses: ``owner/name/path@ref``.
    :raises NotModelled: where it is not on this machine.
    """
    match = _USES.fullmatch(uses)
    folder = others.get(f"{match['repository']}@{match['ref']}") if match else None
    if match is None or folder is None:
        raise NotModelled(f"uses: {uses}")
    return folder, folder / (match["path"] or "").removeprefix("/")


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, and give what it writes."""
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _conclusion(jobs: Mapping[str, JobRun]) -> str:
    conclusions = {job.conclusion for job in jobs.values()}
    return next(each for each in ("cancelled", "failure", "success", "skipped") if each in conclusions)
