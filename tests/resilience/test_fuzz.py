"""A hundred thousand inputs, files and answers made up by grammar and accident, and as many written ones as there are.

The action is to say what is wrong with them, in words and nothing else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import re
import subprocess
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import grpc
import pytest

from emulator.errors import ApiError
from emulator.faults import Fault
from octue_action import blocks, report
from octue_action import main as action
from octue_action.apply import Outcome, Status
from octue_action.deployment import Deployment, desired
from octue_action.existing import Existing
from octue_action.failure import Failure
from octue_action.plan import Action, Change, Plan
from octue_action.resource import FieldChange, Resource
from octue_action.runner import Runner
from octue_action.settings import load
from tests import github_runner
from tests.resilience.attacks import (
    GITHUB_TOKEN,
    IN_THE_CONTAINER,
    OUTPUTS,
    PASSWORD,
    ROOT,
    SERVICE,
    WRITTEN,
    Case,
    Left,
    hold_harmless,
)
from tests.resilience.mutations import FRAGMENTS, GITHUB, GOOD, Attacker
from tests.resilience.rows import Row
from tests.resilience.worlds import Worlds

ROW = "fuzzed inputs and octue.yaml"
CASES, PAGES, CHUNKS, SAMPLE = 100_000, 10_000, 20, 150
"""In chunks, so that several processes can share them."""

ENOUGH = {name: values[0] for name, values in GITHUB.items()} | {
    "INPUT_WORKLOAD_IDENTITY_PROVIDER": GOOD["workload_identity_provider"][0]
}
"""The variables of a step that deploys."""


class Telling(Runner):
    """The action's way to talk to GitHub's runner, and what it has meant to say in it."""

    meant: ClassVar[Counter[str]] = Counter()

    def _annotate(self, kind: str, message: str, title: str, place: Mapping[str, str]) -> None:
        self.meant[kind] += 1
        super()._annotate(kind, message, title, place)

    @contextlib.contextmanager
    def group(self, title: str) -> Iterator[None]:
        self.meant["group"] += 1
        with super().group(title):
            yield


class Step:
    """A step whose runner starts the action in this process, again and again, in one folder."""

    def __init__(self, folder: Path) -> None:
        self._workspace, self._output, self._summary = folder / "workspace", folder / "output", folder / "summary"
        self._workspace.mkdir()
        (self._workspace / "Dockerfile").write_text("FROM scratch\n")
        self._event = folder / "event.json"
        self._contents: dict[Path, bytes] = {}

    def environment(self, case: Case) -> dict[str, str]:
        """Check the repository out, empty the files of the step, and give its variables."""
        contents = {"octue.yaml": SERVICE.encode(), "event.json": b"{}", **case.files}
        for name, content in contents.items():
            self._put(self._event if name == "event.json" else self._workspace / name, content)
        for file in (self._output, self._summary):
            self._put(file, b"")
        return {
            "GITHUB_WORKSPACE": str(self._workspace),
            "GITHUB_EVENT_PATH": str(self._event),
            "INPUT_GITHUB_TOKEN": GITHUB_TOKEN,
            **case.variables,
            "GITHUB_OUTPUT": str(self._output),
            "GITHUB_STEP_SUMMARY": str(self._summary),
        }

    def _put(self, file: Path, content: bytes) -> None:
        """Write a file unless it is like that: in a hundred thousand cases, most of the time would go there."""
        if self._contents.get(file) != content:
            file.write_bytes(content)
            self._contents[file] = content

    def run_as_a_process(self, case: Case) -> Left:
        """Start the action as its container does."""
        environment = self.environment(case)
        command = [sys.executable, *IN_THE_CONTAINER, str(ROOT / "entrypoint.py")]
        begin = time.perf_counter()
        done = subprocess.run(
            command, env=environment, cwd=self._workspace, capture_output=True, check=False, timeout=60
        )
        seconds = time.perf_counter() - begin
        return self._left(done.returncode, done.stdout.decode(), done.stderr.decode(), seconds)

    def run(self, case: Case) -> Left:
        """Start the action in this process."""
        Telling.meant = Counter()
        environment = self.environment(case)
        stream, errors = io.StringIO(), io.StringIO()
        begin = time.perf_counter()
        with contextlib.redirect_stderr(errors), warnings.catch_warnings():
            warnings.simplefilter("error")
            code = action.main(environment, stream)
        return self._left(code, stream.getvalue(), errors.getvalue(), time.perf_counter() - begin)

    def _left(self, code: int, stdout: str, stderr: str, seconds: float) -> Left:
        self._contents |= {file: file.read_bytes() for file in (self._output, self._summary)}
        return Left(code, stdout, stderr, self._contents[self._output], self._contents[self._summary].decode(), seconds)


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Step:
    monkeypatch.setattr(action, "Runner", Telling)
    return Step(tmp_path)


def test_what_is_written_is_told_in_words_and_nothing_else(step: Step, row: Row) -> None:
    assert len(WRITTEN) >= 60

    def check(scenario: str) -> None:
        case = WRITTEN[scenario]
        left = step.run_as_a_process(Case({**ENOUGH, **case.variables}, case.files))
        with told(left, scenario):
            hold_harmless(left, case.variables)
            assert left.code in {1, 2}
            assert left.output == b""

    row.each(list(WRITTEN), check, sample=8)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_what_is_made_up_is_told_in_words_and_nothing_else(chunk: int, step: Step, row: Row) -> None:
    codes: Counter[int] = Counter()

    def check(scenario: str) -> None:
        case = Attacker(scenario).case()
        left = step.run(case)
        codes[left.code] += 1
        with told(left, case):
            hold_harmless(left, case.variables)
            hold_meant(left)
            assert left.output == b""

    scenarios = [f"case {number:06}" for number in range(chunk, CASES, CHUNKS)]
    row.each(scenarios, check, sample=SAMPLE)
    assert codes.keys() == {1, 2} or len(scenarios) < SAMPLE, "some of it is good, and some is refused"


@contextlib.contextmanager
def told(left: Left, case: object) -> Iterator[None]:
    """Says what does not hold, of which log and page, and how the case is written down as one of those below."""
    try:
        yield
    except (AssertionError, github_runner.MalformedFileError) as error:
        *_, place = traceback.extract_tb(error.__traceback__)
        log, page = left.stdout[-3000:], left.summary[-3000:]
        raise AssertionError(f"{place.line}\n{error}\nlog: {log!r}\npage: {page!r}\n{case}") from None


def hold_meant(left: Left) -> None:
    """Every annotation and group is one that the action means, and there is no other."""
    seen = Counter(command.name for command in left.log.commands if command.name != "add-mask")
    meant = {kind: min(count, 10) for kind, count in Telling.meant.items()}
    assert seen == Counter({**meant, **({"endgroup": meant["group"]} if "group" in meant else {})})
    assert all(set(command.properties) <= {"title", "file", "line", "col"} for command in left.log.commands)
    assert "fault of the action" not in left.stdout


OWN = ("resource", "trigger")
"""Full names of resources, which the action puts together itself."""

TOKEN = "ya29.a0AfH6SMBx-0123456789_abcdefghij"


class Pages:
    """What is told of deployments in which names, messages and addresses are made up."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self._deployment = deployment
        self._output, self._summary = folder / "output", folder / "summary"

    def tell(self, attacker: Attacker) -> tuple[Left, dict[str, str]]:
        """The log, the page and the outputs of one deployment, and these as they were meant."""
        self._output.write_bytes(b"")
        stream = io.StringIO()
        Telling.meant = Counter()
        environment = {"GITHUB_OUTPUT": str(self._output), "GITHUB_STEP_SUMMARY": str(self._summary)}
        runner = Telling(environment, stream)
        runner.mask(TOKEN)
        begin = time.perf_counter()
        outcomes = [self._outcome(resource, attacker) for resource in self._deployment.resources]
        failures = [outcome.failure for outcome in outcomes if outcome.failure is not None]
        plan = Plan(tuple(outcome.change for outcome in outcomes), tuple(failures))
        with runner.group(attacker.text()):
            runner.info("\n".join([*report.plan_lines(plan), *map(report.outcome_line, outcomes)]))
        for failure in failures:
            runner.error(f"{failure.message}\n{failure.remedy}", title=attacker.text())
        outputs = {name: attacker.text() for name in OUTPUTS} | {"plan": json.dumps(plan.as_json())}
        runner.set_outputs(outputs)
        runner.write_summary(self._page(plan, outcomes, failures, attacker))
        seconds = time.perf_counter() - begin
        return Left(
            1, stream.getvalue(), "", self._output.read_bytes(), self._summary.read_bytes().decode(), seconds
        ), outputs

    def _page(self, plan: Plan, outcomes: Sequence[Outcome], failures: Sequence[Failure], attacker: Attacker) -> str:
        deployments = [self._deployment]
        pages = (
            report.plan_summary(plan, deployments),
            report.refused_summary(plan, deployments),
            report.failure_summary(attacker.text(), failures),
            report.deployment_summary(deployments, outcomes, 1.0),
        )
        return attacker.one_of(pages)

    def _outcome(self, resource: Resource, attacker: Attacker) -> Outcome:
        texts: dict[str, Any] = {
            field.name: attacker.text()
            for field in dataclasses.fields(resource)
            if isinstance(getattr(resource, field.name), str) and field.name not in OWN and attacker.chance(0.3)
        }
        odd = dataclasses.replace(resource, **texts)
        shown = attacker.chance(0.5)
        field_change = FieldChange(
            attacker.text(),
            attacker.text() if shown else PASSWORD,
            attacker.text() if shown else PASSWORD,
            immutable=attacker.chance(0.2),
            sensitive=not shown,
        )
        change = Change(attacker.one_of((resource, odd)), attacker.one_of(list(Action)), (field_change,), odd)
        failure = Failure(
            f"{attacker.text()} {TOKEN} {attacker.text()}",
            attacker.text(),
            attacker.one_of(("", attacker.text(), f"{blocks.CONSOLE}{attacker.text()}")),
        )
        status = attacker.one_of(list(Status))
        return Outcome(
            change,
            status,
            1.0,
            odd if attacker.chance(0.7) else None,
            failure if status is Status.FAILED else None,
            (attacker.text(),),
        )


@pytest.fixture
def pages(step: Step, tmp_path: Path) -> Pages:
    settings = load(step.environment(Case(ENOUGH)))
    return Pages(desired(settings, settings.services[0], Existing({}, {})), tmp_path)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_what_google_says_is_told_in_words_and_nothing_else(chunk: int, pages: Pages, row: Row) -> None:
    def check(scenario: str) -> None:
        left, outputs = pages.tell(Attacker(scenario))
        with told(left, scenario):
            hold_harmless(left, {})
            hold_meant(left)
            assert TOKEN not in left.summary
            arrived = github_runner.read_outputs(left.output)
            assert arrived == {name: as_it_arrives(text) for name, text in outputs.items()}

    scenarios = [f"page {number:06}" for number in range(chunk, PAGES, CHUNKS)]
    row.each(scenarios, check, sample=SAMPLE // 5)


SAFE_TO_PASTE = re.compile(r"[\w@.:/=-]*|https://github\.com/octue/deploy-cloud-run-action/issues/new\?[\w.~%&=-]*")
"""Parts of commands, and the link that has written a report."""

TEXTS = 5
"""Of each request of a deployment."""

CODES = (
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)
SAID = (
    "Permission 'run.services.create{0}' denied on resource 'projects/my-project{0}' (or it may not exist).",
    "Service account a{0}@my-project.iam.gserviceaccount.com does not exist.",
    "Cloud Run Admin API has not been used in project my-project{0} before or it is disabled.",
    "Revision 'sum-00001-abc{0}' is not ready and cannot serve traffic. {0} Logs URL: https://x/{0}",
    "Quota exceeded for quota metric '{0}' and limit '{0}' of service 'run.googleapis.com'",
    "{0}",
)
"""Google's own words, in which there is often something of somebody else's."""


def test_what_an_api_refuses_with_is_told_in_words_and_nothing_else(worlds: Worlds, row: Row) -> None:
    moments = {f"{moment}, {n}": moment for moment in worlds.undisturbed("empty").moments for n in range(TEXTS)}

    def check(scenario: str) -> None:
        attacker = Attacker(scenario)
        moment = moments[scenario]
        said = attacker.one_of(SAID).format(attacker.mutated(attacker.one_of(FRAGMENTS)))
        error = ApiError(attacker.one_of(CODES), said.replace("\0", "").encode(errors="replace").decode()[:4000])
        with worlds.fresh("empty") as cloud:
            cloud.world.faults.add(Fault(method=moment.method, error=error, skip=moment.occurrence - 1, times=None))
            run = cloud.deploy()
            cloud.world.faults.check()
        left = Left(run.code, run.stdout, run.stderr, run.output_file.encode(), run.summary, 0.0)
        with told(left, f"{scenario}: {error}"):
            hold_harmless(left, {})
            assert "fault of the action" not in left.stdout
            for message in run.errors:
                _, _, remedy = message.partition("What to do:")
                words = [word for word in remedy.split() if "pwned" in word]
                assert all(SAFE_TO_PASTE.fullmatch(word) for word in words), "a remedy is pasted into a shell"

    row.each(list(moments), check, sample=3)


def as_it_arrives(text: str) -> str:
    """Without half characters, which cannot be written, and without the token."""
    return text.encode("utf-8", "backslashreplace").decode().replace(TOKEN, "(token)")
