"""Workflows of a small repository, whose jobs use a small action of the tests' own."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.github_runner import Event, JobRun, NotModelled, Refused, Workflows, by_hand
from tests.github_runner.workflows import git

AUTHOR = ("-c", "user.name=A", "-c", "user.email=a@example.com")
ID_TOKEN = {"ACTIONS_ID_TOKEN_REQUEST_URL": "http://127.0.0.1/", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "the-request-token"}
PUSH = Event("push")

ACTION = """\
name: Small
inputs:
  what: {}
  token: {}
  fail: {default: "no"}
runs:
  using: docker
  image: Dockerfile
"""
PROGRAM = """\
import json, os, sys
event = json.load(open(os.environ["GITHUB_EVENT_PATH"]))
files = sorted(name for name in os.listdir() if name != ".git")
print("SEEN " + json.dumps({"event": event, "files": files, "environment": dict(os.environ)}))
with open(os.environ["GITHUB_OUTPUT"], "a") as outputs:
    print("echo=" + os.environ["INPUT_WHAT"], "hidden=a-secret-word", "empty=", sep="\\n", file=outputs)
print("::add-mask::a-secret-word")
sys.exit(os.environ["INPUT_FAIL"] == "yes")
"""
CALLED = """\
on:
  workflow_call:
    inputs:
      what: {type: string, default: nothing}
      loud: {type: boolean}
    outputs:
      said: {value: "${{ jobs.work.outputs.said }}"}
jobs:
  work:
    name: Work ${{ inputs.loud && 'loudly' || 'quietly' }}
    runs-on: ubuntu-24.04
    concurrency: {group: "called-${{ github.run_id }}"}
    outputs:
      said: ${{ steps.small.outputs.echo }}
    steps:
      - id: small
        uses: $/.
        with: {what: "${{ inputs.what }}"}
"""
JOB = """\
on:
  push:
    branches: [main]
permissions: {}
jobs:
  work:
    runs-on: ubuntu-24.04
    permissions: {contents: read}
    outputs:
      said: ${{ steps.small.outputs.echo }}
      hidden: ${{ steps.small.outputs.hidden }}
      empty: ${{ steps.small.outputs.empty }}
    steps:
      - uses: actions/checkout@v7
        with: {persist-credentials: false}
      - id: small
        uses: owner/small@v1
        with: {what: "run ${{ github.run_id }}", token: "${{ github.token }}"}
"""
CALLER = """\
on:
  push:
jobs:
  call:
    permissions: {contents: read}
    uses: owner/small/.github/workflows/called.yml@v1
    with: {what: hello}
"""


class FakeGitHub:
    """Gives a run what it needs, and remembers which tokens it gave."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self.permissions: list[Mapping[str, str]] = []

    def start_run(self, event: Event, workflow: str) -> Mapping[str, str]:
        return {
            "GITHUB_SHA": git(self._repository, "rev-parse", event.ref),
            "GITHUB_REF": event.ref,
            "GITHUB_REPOSITORY": "owner/service",
            "GITHUB_RUN_ID": "77",
            "GITHUB_WORKFLOW": workflow,
            **ID_TOKEN,
        }

    def job_token(self, permissions: Mapping[str, str]) -> str:
        self.permissions.append(permissions)
        return f"ghs_{len(self.permissions):036}"


Make = Callable[..., Workflows]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a repository with workflow files: ``make({"some.yml": text})``."""

    def make(files: Mapping[str, str], called: str = CALLED) -> Workflows:
        other = tmp_path / "small"
        _write(other / ".github/workflows", {"called.yml": called})
        _write(other, {"action.yml": ACTION, "Dockerfile": "FROM scratch\n", "program.py": PROGRAM})
        repository = tmp_path / "service"
        _write(repository / ".github/workflows", files)
        git(repository, "init", "--quiet", "--initial-branch=main")
        git(repository, "add", "--all")
        git(repository, *AUTHOR, "commit", "--quiet", "-m", "Begin")
        return Workflows(
            repository=repository,
            folder=tmp_path / "runner",
            github=FakeGitHub(repository),
            others={"owner/small@v1": other},
            command=[sys.executable, str(other / "program.py")],
            env={"CLOUD": "here"},
        )

    return make


def _write(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def seen(job: JobRun) -> dict[str, Any]:
    """What the action saw in its one step."""
    (step,) = job.all_steps
    shown: dict[str, Any] = json.loads(step.lines[0].text.removeprefix("SEEN "))
    return shown


def permissions(workflows: Workflows) -> list[Mapping[str, str]]:
    """Those of the tokens that were given."""
    assert isinstance(workflows.github, FakeGitHub)
    return workflows.github.permissions


class TestRun:
    def test_an_event_starts_those_that_wait_for_it_as_they_are_in_its_commit(self, make: Make) -> None:
        other = JOB.replace("[main]", "[other]")
        workflows = make({"one.yml": JOB, "two.yml": other, "hand.yml": "on: {workflow_dispatch: }\njobs: {}\n"})
        (workflows.repository / ".github/workflows/two.yml").write_text(JOB)  # not committed

        assert list(workflows.run(PUSH)) == ["one.yml"]

    def test_only_a_workflow_that_there_is_can_be_started_by_hand(self, make: Make) -> None:
        with pytest.raises(Refused, match=r"no workflow two\.yml"):
            make({"one.yml": JOB}).run(by_hand("two.yml"))

    def test_an_action_sees_inputs_variables_the_event_and_what_is_checked_out(self, make: Make) -> None:
        workflows = make({"one.yml": f"name: First\n{JOB}"})
        (workflows.repository / "new.txt").write_text("not committed")
        job = workflows.run(Event("push", payload={"forced": True}))["one.yml"].jobs["work"]

        what, environment = seen(job), seen(job)["environment"]
        assert (what["event"], what["files"]) == ({"forced": True}, [".github"])
        assert environment["INPUT_WHAT"] == "run 77"
        assert environment["INPUT_FAIL"] == "no"
        assert environment["INPUT_TOKEN"] == "ghs_000000000000000000000000000000000001"
        assert environment["INPUT_TOKEN"] not in job.steps[0].log.text
        assert environment["GITHUB_WORKFLOW"] == "First"
        assert environment["GITHUB_JOB"] == "work"
        assert environment["GITHUB_ACTION_REPOSITORY"] == "owner/small"
        assert environment["GITHUB_WORKSPACE"].endswith("/service")
        assert environment["CLOUD"] == "here"

    @pytest.mark.parametrize("ref", ["", "refs/heads/main~1"])
    def test_the_checkout_takes_the_commit_that_it_is_told_or_that_of_the_run(self, make: Make, ref: str) -> None:
        workflows = make({"one.yml": JOB.replace("persist-credentials: false", f"ref: '{ref}'")})
        git(workflows.repository, *AUTHOR, "commit", "--quiet", "--allow-empty", "-m", "More")
        job = workflows.run(PUSH)["one.yml"].jobs["work"]

        assert job.checked_out == (git(workflows.repository, "rev-parse", ref or "main"),)

    def test_it_sees_nothing_of_this_machine(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GITHUB_TOKEN", "mine")
        monkeypatch.setenv("SOMETHING", "else")
        environment = seen(make({"one.yml": JOB}).run(PUSH)["one.yml"].jobs["work"])["environment"]

        assert not {"GITHUB_TOKEN", "SOMETHING"} & set(environment)

    def test_another_job_gets_no_output_that_is_empty_or_hidden(self, make: Make) -> None:
        assert make({"one.yml": JOB}).run(PUSH)["one.yml"].jobs["work"].outputs == {"said": "run 77"}

    def test_after_a_step_that_fails_no_other_runs(self, make: Make) -> None:
        again = "\n      - uses: owner/small@v1\n"
        run = make({"one.yml": JOB.replace('what: "', 'fail: "yes", what: "').rstrip() + again}).run(PUSH)["one.yml"]

        assert run.conclusion == "failure"
        assert [step.exit_code for step in run.jobs["work"].steps] == [1]

    def test_a_job_whose_condition_does_not_hold_is_skipped(self, make: Make) -> None:
        text = JOB.replace("runs-on:", "if: github.ref == 'refs/heads/other'\n    runs-on:")
        run = make({"one.yml": text}).run(PUSH)["one.yml"]

        assert (run.conclusion, run.jobs["work"].steps) == ("skipped", ())

    def test_what_is_typed_by_hand_is_an_input(self, make: Make) -> None:
        on = "workflow_dispatch:\n    inputs:\n      what:\n"
        text = JOB.replace("push:\n    branches: [main]", on).replace("github.run_id", "inputs.what")
        job = make({"one.yml": text}).run(by_hand("one.yml", what="hello"))["one.yml"].jobs["work"]

        assert job.outputs["said"] == "run hello"


class TestPermissions:
    def test_a_token_has_those_of_the_job(self, make: Make) -> None:
        workflows = make({"one.yml": JOB})
        job = workflows.run(PUSH)["one.yml"].jobs["work"]

        assert permissions(workflows) == [job.permissions] == [{"contents": "read"}]

    def test_a_job_without_any_has_those_of_its_workflow(self, make: Make) -> None:
        text = JOB.replace("    permissions: {contents: read}\n", "")
        workflows = make({"one.yml": text.replace("permissions: {}", "permissions: {contents: write}")})
        workflows.run(PUSH)

        assert permissions(workflows) == [{"contents": "write"}]

    @pytest.mark.parametrize(("level", "expected"), [("write", True), ("none", False)])
    def test_only_with_the_permission_there_is_an_oidc_token(self, make: Make, level: str, expected: bool) -> None:
        workflows = make({"one.yml": JOB.replace("contents: read", f"contents: read, id-token: {level}")})
        environment = seen(workflows.run(PUSH)["one.yml"].jobs["work"])["environment"]

        assert (set(ID_TOKEN) <= set(environment)) is expected
        assert permissions(workflows) == [{"contents": "read"}]

    @pytest.mark.parametrize(
        ("repository", "expected"),
        [("somebody/service", {"contents": "read", "id-token": "none"}), ("owner/service", None)],
    )
    def test_for_a_pull_request_from_a_fork_there_is_only_reading(
        self, make: Make, repository: str, expected: Mapping[str, str] | None
    ) -> None:
        given = {"contents": "write", "id-token": "write"}
        text = JOB.replace("contents: read", "contents: write, id-token: write")
        head = {"repo": {"full_name": repository}}
        event = Event("pull_request", payload={"action": "opened", "pull_request": {"head": head}})
        run = make({"one.yml": text.replace("push:\n    branches: [main]", "pull_request:")}).run(event)["one.yml"]

        assert run.jobs["work"].permissions == (expected or given)


class TestCall:
    def test_the_jobs_of_another_workflow_run_with_its_inputs_and_give_outputs(self, make: Make) -> None:
        run = make({"one.yml": CALLER}).run(PUSH)["one.yml"].jobs["call"]
        work = run.called["work"]

        assert (run.conclusion, run.outputs) == ("success", {"said": "hello"})
        assert (work.name, work.concurrency, work.permissions) == ("Work quietly", "called-77", {"contents": "read"})

    def test_a_job_that_fails_fails_its_caller(self, make: Make) -> None:
        called = CALLED.replace("with: {", 'with: {fail: "yes", ')
        assert make({"one.yml": CALLER}, called).run(PUSH)["one.yml"].jobs["call"].conclusion == "failure"

    @pytest.mark.parametrize("given", ["what: hello, colour: red", 'loud: "true"'])
    def test_other_inputs_are_refused(self, make: Make, given: str) -> None:
        with pytest.raises(Refused):
            make({"one.yml": CALLER.replace("what: hello", given)}).run(PUSH)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("owner/small@v1", "owner/small@v2"),
        ("owner/small@v1", "owner/other@v1"),
        ("owner/small@v1", "./"),
        ("owner/small@v1", "$/."),
        ("persist-credentials: false", "fetch-depth: 0"),
        ("contents: read", "contents: none"),
        ("permissions: {}\njobs", "jobs"),
        ("runs-on:", "environment: production\n    runs-on:"),
        ("permissions: {}", "concurrency: one\npermissions: {}"),
    ],
)
def test_what_is_not_modelled_is_not_passed_over(make: Make, old: str, new: str) -> None:
    text = JOB.replace("    permissions: {contents: read}\n", "") if "jobs" in old else JOB
    with pytest.raises(NotModelled):
        make({"one.yml": text.replace(old, new).replace("runs-on:", "concurrency: One\n    runs-on:")}).run(PUSH)
