"""The command of a project's owner, in a project that nobody has set up, and deployments with just what it made."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google.auth
import grpc
import pytest
import requests
import yaml
from google.auth.credentials import Credentials
from google.auth.exceptions import RefreshError
from google.cloud import iam_admin_v1

from emulator.errors import ApiError
from emulator.faults import Fault, Moment, denied
from emulator.rpc import SYSTEM
from octue_action import bootstrap, permissions, project_setup
from octue_action.failure import Failure
from tests.runs import REPOSITORY, TOKEN, Job, Run, job_of_small_service

ROOT = Path(__file__).parent.parent.parent
GOLDEN = Path(__file__).parent / "golden" / "bootstrap.txt"
OWNER = "user:owner@example.com"
ROLE = "projects/my-project/roles/octue_deployer"
WRITES = "*/[!GLTg]*"
"""Every method but those that get, list or test something."""

IN_OTHER_WORLDS = {
    *("artifactregistry.repositories.update", "eventarc.triggers.delete", "eventarc.triggers.update"),
    *("iam.serviceAccounts.update", "pubsub.subscriptions.get", "pubsub.topics.get", "pubsub.topics.update"),
    *("run.services.getIamPolicy", "run.services.update", "resourcemanager.projects.getIamPolicy"),
}
"""What a first deployment does without: ``tests/resilience/test_permissions.py`` takes it away where it is needed."""

ARGUMENTS = ("--project=my-project", f"--repository={REPOSITORY}", "--region=europe-west1", "--yes")


@pytest.fixture
def new_job(tmp_path: Path) -> Iterator[Job]:
    """A repository with a service, beside a project in which there is only its owner."""
    with job_of_small_service(tmp_path, is_set_up=False) as job:
        yield job


@dataclass(frozen=True)
class Ended:
    """One run of the command.

    :param code: its exit code.
    :param text: what it wrote.
    :param writes: the methods it called that can change something.
    """

    code: int
    text: str
    writes: list[str]


def set_up(job: Job, *more: str, owner: str = OWNER, answer: str = "", arguments: tuple[str, ...] = ARGUMENTS) -> Ended:
    """Run the command as somebody.

    :param answer: to its question.
    """
    world = job.world
    before, output = len(world.requests), io.StringIO()
    code = bootstrap.main([*arguments, *more], environment_of(job, owner), output, ask=lambda _: answer)
    text = output.getvalue()
    assert not TOKEN.search(text)
    writes = [request.method for request in list(world.requests)[before:] if request.writes]
    return Ended(code, text, writes)


def inputs(ended: Ended) -> dict[str, str]:
    """What the step that the command prints gives to the action."""
    step = re.search(r"^ +- uses: .*?\n\n", ended.text, re.MULTILINE | re.DOTALL)
    assert step is not None
    (found,) = yaml.safe_load(step.group())
    return dict(found["with"])


def deploy(job: Job, ended: Ended, **more: str) -> Run:
    """Run the printed step, once a person has connected the repository."""
    job.world.cloud_build.connect(REPOSITORY)
    return job.deploy({**inputs(ended), **more})


def test_what_it_makes_is_enough_for_a_deployment_and_for_its_destruction(new_job: Job) -> None:
    ended = set_up(new_job)
    assert ended.code == 0, ended.text
    assert inputs(ended)["deployer_service_account"] == "deployer@my-project.iam.gserviceaccount.com"

    run = deploy(new_job, ended)
    assert run.errors == []
    assert run.code == 0
    assert "is not there yet" not in run.log.text, "the service agents are there"
    assert deploy(new_job, ended).writes == []
    assert deploy(new_job, ended, mode="destroy", confirm="my-org-sum").code == 0


def test_a_second_run_changes_nothing_and_prints_the_step_again(new_job: Job) -> None:
    first, second = set_up(new_job), set_up(new_job)
    assert (second.code, second.writes) == (0, [])
    assert inputs(second) == inputs(first)


def test_a_dry_run_tells_all_and_writes_nothing(new_job: Job) -> None:
    before = new_job.look()
    ended = set_up(new_job, "--dry-run")
    assert (ended.code, ended.writes) == (0, [])
    assert new_job.look() == before
    assert ended.text.count("will be created") > 20
    assert "This was a dry run: nothing was changed." in ended.text


@pytest.mark.parametrize(("answer", "does"), [("y", True), ("YES", True), ("", False), ("no", False)])
def test_it_asks_before_it_does_anything(new_job: Job, answer: str, does: bool) -> None:
    ended = set_up(new_job, arguments=ARGUMENTS[:-1], answer=answer)
    assert bool(ended.writes) is does
    assert ended.code == (0 if does else 1)
    assert ("Nothing was changed." in ended.text) is not does


ENABLE = "*.ServiceUsage/EnableService"
IN_PROGRESS = "Another activation or deactivation is in progress for the following service(s): {}."


@pytest.mark.parametrize("code", [grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.ABORTED])
def test_while_google_switches_other_apis_it_waits_and_goes_on(new_job: Job, code: grpc.StatusCode) -> None:
    refusal = ApiError(code, IN_PROGRESS.format("run.googleapis.com"))
    new_job.world.faults.add(Fault(method=ENABLE, error=refusal, times=3, principal=OWNER))
    ended = set_up(new_job)
    assert ended.code == 0, ended.text
    assert "waiting until Google Cloud has switched the project's other APIs" in ended.text
    assert set_up(new_job).writes == []


def test_a_role_that_policies_do_not_know_yet_is_waited_for(new_job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    iam, asked = new_job.world.iam, 0
    knows_role = iam.knows_role

    def knows_it_later(role: str) -> bool:
        nonlocal asked
        asked += role == ROLE
        return knows_role(role) and not (role == ROLE and asked <= 3)

    monkeypatch.setattr(iam, "knows_role", knows_it_later)
    ended = set_up(new_job)
    assert ended.code == 0, ended.text
    assert "waiting until policies accept the new role" in ended.text
    assert new_job.world.policies.members("projects/my-project", ROLE)


OCTUE_ROLE = "projects/my-project/roles/octue_service_user"
DAY = 24 * 60 * 60.0


@pytest.mark.parametrize(
    ("role", "way_out"),
    [
        (ROLE, "--deployer=another-deployer"),
        (OCTUE_ROLE, "--octue-role=projects/my-project/roles/octue_service_user_2"),
    ],
)
def test_a_role_that_was_deleted_a_week_ago_is_told_with_the_way_round_it(
    new_job: Job, role: str, way_out: str
) -> None:
    iam = new_job.world.iam
    set_up(new_job)
    iam.delete_role(iam_admin_v1.DeleteRoleRequest(name=role), SYSTEM)
    new_job.world.clock.advance(8 * DAY)

    ended = set_up(new_job)
    assert ended.code == 1
    assert f"The Custom role {role.rpartition('/')[2]} was deleted more than seven days ago" in ended.text
    assert way_out.replace("another-deployer", "ANOTHER-NAME") in ended.text
    make = iam_admin_v1.CreateRoleRequest(parent="projects/my-project", role_id="octue_service_user_2")
    iam.create_role(make, SYSTEM)
    assert set_up(new_job, way_out).code == 0


def test_a_role_that_was_deleted_today_is_taken_back(new_job: Job) -> None:
    set_up(new_job)
    new_job.world.iam.delete_role(iam_admin_v1.DeleteRoleRequest(name=ROLE), SYSTEM)
    ended = set_up(new_job)
    assert ended.code == 0, ended.text
    assert "google.iam.admin.v1.IAM/UndeleteRole" in ended.writes


SECOND = ("--repository=my-org/second", "--repository-id=2", "--owner-id=3")
OF_ITS_OWN = ("--provider=octue-second", "--deployer=deployer-second")


def test_two_repositories_of_one_project_each_keep_their_own_permissions(new_job: Job) -> None:
    first, second = ("--no-destroy",), (*SECOND, *OF_ITS_OWN)
    assert (set_up(new_job, *first).code, set_up(new_job, *second).code) == (0, 0)
    assert (set_up(new_job, *first).writes, set_up(new_job, *second).writes) == ([], [])

    assert included(new_job, ROLE) == {*project_setup.deployers_permissions(destroys=False)}
    assert included(new_job, f"{ROLE}_second") == {*permissions.DEPLOYER}
    has = new_job.world.policies.members
    project, account = "projects/my-project", "serviceAccount:{}@my-project.iam.gserviceaccount.com"
    assert has(project, ROLE) == {account.format("deployer")}
    assert has(project, f"{ROLE}_second") == {account.format("deployer-second")}


def test_a_second_repository_that_has_no_names_of_its_own_is_told_to_take_some(new_job: Job) -> None:
    set_up(new_job)
    ended = set_up(new_job, *SECOND)
    assert (ended.code, ended.writes) == (1, [])
    assert "The Custom role octue_deployer exists already, and this command did not make it." in ended.text
    assert "give my-org/second its own:\n--provider=ANOTHER-NAME --deployer=ANOTHER-NAME" in ended.text


def included(job: Job, role: str) -> set[str]:
    """The permissions of a role."""
    return {*job.world.iam.get_role(iam_admin_v1.GetRoleRequest(name=role), SYSTEM).included_permissions}


def test_what_people_read_of_it(new_job: Job) -> None:
    ended = set_up(new_job)
    text = re.sub(r"\d+\.\d s", "0.0 s", ended.text)
    # What does not depend on one another is done at the same time, and ends in any order.
    lines = text.splitlines()
    done = [n for n, line in enumerate(lines) if re.search(r"\d\.\d s\)?$", line)]
    lines[done[0] : done[-1] + 1] = sorted(lines[done[0] : done[-1] + 1])
    text = "\n".join(lines) + "\n"
    if os.environ.get("REWRITE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def test_wherever_it_is_killed_the_next_run_finishes(new_job: Job) -> None:
    """One project, in which it dies after each time one change more; the last that dies leaves nothing to change."""
    faults = new_job.world.faults
    died = 0
    while True:
        faults.kill(WRITES, moment=Moment.AFTER, principal=OWNER)
        ended = set_up(new_job)
        if not ended.writes:
            break
        assert ended.code == 1
        died += 1
        faults.clear()
    faults.clear()
    assert died > 10
    assert deploy(new_job, set_up(new_job)).code == 0


def test_what_is_refused_for_good_is_told_and_the_rest_is_done(new_job: Job) -> None:
    refusal = ApiError(grpc.StatusCode.PERMISSION_DENIED, "Permission 'iam.roles.create' denied on resource.")
    new_job.world.faults.add(
        Fault(method="google.iam.admin.v1.IAM/CreateRole", error=refusal, times=None, principal=OWNER)
    )
    ended = set_up(new_job)
    assert ended.code == 1
    assert "Permission 'iam.roles.create' denied" in ended.text
    assert "Not everything was done. Run the same command again" in ended.text
    assert "google.iam.v1.WorkloadIdentityPools/CreateWorkloadIdentityPool" in ended.writes


def test_who_may_not_do_it_is_told_all_that_is_lacking_and_nothing_is_changed(new_job: Job) -> None:
    set_up(new_job)
    new_job.world.iam.delete_role(iam_admin_v1.DeleteRoleRequest(name=ROLE), SYSTEM)
    policy = new_job.world.policies.get("projects/my-project")
    policy.bindings.add(role="roles/viewer", members=["user:guest@example.com"])
    policy.bindings.add(role="roles/iam.securityReviewer", members=["user:guest@example.com"])
    new_job.world.policies.seed("projects/my-project", policy)
    ended = set_up(new_job, owner="user:guest@example.com")
    assert (ended.code, ended.writes) == (1, [])
    assert "You may not do all that this needs in the project my-project." in ended.text
    assert "- iam.roles." in ended.text
    assert "--role=roles/iam.roleAdmin" in ended.text


def test_every_permission_that_it_takes_is_in_a_role_that_it_names() -> None:
    given = project_setup.ProjectSetup(
        project_id="my-project",
        project_number="1",
        repository="a/b",
        repository_id="2",
        owner_id="3",
        region="europe-west1",
        services=("sum",),
    )
    asked = {
        need.permission
        for resource in project_setup.resources(given)
        for action in ("create", "update")
        for need in resource.needs(action)
    }
    remedies = {permission: bootstrap.missing_permissions({permission: ""}, "p").remedy for permission in asked}

    assert len(asked) > 20
    assert [permission for permission, remedy in remedies.items() if "--role=roles/owner" in remedy] == []


@pytest.mark.parametrize(
    "wrong",
    [
        ("--project=Wrong_Project",),
        ("--repository=no-slash",),
        ("--region=",),
        ("--branch=main' || true || '",),
        ("--repository-id=one",),
        ("--provider=gcp-mine",),
        ("--deployer=x",),
        ("--deployer=builder",),
        ("--surprise",),
    ],
    ids=lambda wrong: wrong[0],
)
def test_arguments_that_cannot_be_used_are_refused_before_anything_is_asked(
    new_job: Job, wrong: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    before = len(new_job.world.requests)
    ended = set_up(new_job, *wrong)
    assert ended.code == bootstrap.BAD_ARGUMENTS
    assert len(new_job.world.requests) == before
    assert "usage: python -m octue_action.bootstrap" in capsys.readouterr().err


def test_a_private_repository_is_told_how_its_numbers_are_found(new_job: Job) -> None:
    ended = set_up(new_job, "--repository=my-org/hidden")
    assert (ended.code, ended.writes) == (1, [])
    assert "gh api repos/my-org/hidden" in ended.text
    assert "private repositories it shows only to those who are signed in" in ended.text
    assert set_up(new_job, "--repository=my-org/hidden", "--repository-id=1", "--owner-id=2", "--dry-run").code == 0


@pytest.mark.parametrize(
    ("region", "told"),
    [
        ("euorpe-west1", ["'euorpe-west1': there is no such region.", "Perhaps you meant `europe-west1`"]),
        ("europe-west1-b", ["'europe-west1-b': it is a zone.", "Perhaps you meant `europe-west1`."]),
        ("us-central2", ["neither Cloud Run nor Eventarc serves", "one of the nearest that both serve, `--region="]),
    ],
)
def test_a_region_that_nothing_can_run_in_is_refused_with_those_that_are_meant_or_near(
    new_job: Job, region: str, told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = len(new_job.world.requests)
    ended = set_up(new_job, f"--region={region}")
    assert ended.code == bootstrap.BAD_ARGUMENTS
    assert len(new_job.world.requests) == before
    error = capsys.readouterr().err
    assert [words for words in told if words not in error] == []


def test_a_region_that_came_after_the_table_is_let_through(new_job: Job) -> None:
    assert set_up(new_job, "--region=us-east10", "--dry-run").code == 0


def test_a_project_that_is_not_there_to_be_seen_is_told_as_such(new_job: Job) -> None:
    ended = set_up(new_job, "--project=mispelt-project")
    assert (ended.code, ended.writes) == (1, [])
    assert "There is no project mispelt-project, or you may not see it." in ended.text
    assert "gcloud projects list" in ended.text


def test_that_it_may_not_be_asked_who_may_do_what_is_told_in_plain_words(new_job: Job) -> None:
    set_up(new_job)
    new_job.world.iam.delete_role(iam_admin_v1.DeleteRoleRequest(name=ROLE), SYSTEM)
    asked = "google.cloud.resourcemanager.v3.Projects/TestIamPermissions"
    new_job.world.faults.add(denied(asked, principal=OWNER))
    ended = set_up(new_job)
    assert (ended.code, ended.writes) == (1, [])
    assert "You may not do all that this needs in the project my-project." in ended.text
    assert "--role=roles/browser" in ended.text


class SignedOut(Credentials):
    """Application Default Credentials that have ended."""

    def refresh(self, request: Any) -> None:  # noqa: ARG002 - google-auth's signature
        raise RefreshError("Reauthentication is needed.")


class SignedOutMeanwhile(Credentials):
    """Those that end when they are first used over HTTP."""

    def refresh(self, request: Any) -> None:
        """The token stands already."""

    def before_request(self, *_: Any) -> None:
        raise RefreshError("Reauthentication is needed.")


@pytest.mark.parametrize("kind", [SignedOut, SignedOutMeanwhile])
def test_credentials_that_have_ended_are_told_with_the_way_to_sign_in_again(
    new_job: Job, kind: type[Credentials], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(new_job)
    found = kind()
    if kind is SignedOutMeanwhile:
        found.token = new_job.world.tokens.issue_access_token(OWNER)
    monkeypatch.setattr(google.auth, "default", lambda **_: (found, "my-project"))
    ended = set_up(new_job, owner="")
    assert (ended.code, ended.writes) == (bootstrap.FAILURE, [])
    assert "Google Cloud does not accept your credentials" in ended.text
    assert ended.text.rstrip().endswith("gcloud auth application-default login")


def test_who_interrupts_the_question_has_changed_nothing(new_job: Job) -> None:
    def interrupt(_: str) -> str:
        raise KeyboardInterrupt

    output = io.StringIO()
    code = bootstrap.main(ARGUMENTS[:-1], environment_of(new_job), output, ask=interrupt)
    assert code == 128 + signal.SIGINT
    assert output.getvalue().endswith("Interrupted. Nothing was changed.\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_at_the_keyboard_a_signal_ends_it_at_once(new_job: Job, number: signal.Signals) -> None:
    with at_keyboard(new_job) as process:
        begin = time.monotonic()
        process.send_signal(number)
        process.wait(timeout=20)
        text, error = process.communicate()
    assert time.monotonic() - begin < 3
    assert (process.returncode, error) == (128 + number, b"")
    assert text.endswith(b"Interrupted. Nothing was changed.\n")


@pytest.mark.parametrize(
    ("typed", "code", "told"), [(b"no\n", 1, b"Nothing was changed."), (b"", 1, b"Nobody is there")]
)
def test_at_the_keyboard_it_takes_no_for_an_answer_and_silence_too(
    new_job: Job, typed: bytes, code: int, told: bytes
) -> None:
    with at_keyboard(new_job) as process:
        text, error = process.communicate(typed, timeout=20)
    assert (process.returncode, error) == (code, b"")
    assert told in text


@contextlib.contextmanager
def at_keyboard(job: Job) -> Iterator[subprocess.Popen[bytes]]:
    """The command as a process of its own, which has put its question."""
    command = [sys.executable, "-m", "octue_action.bootstrap", *ARGUMENTS[:-1]]
    pipe = subprocess.PIPE
    environment = {"PATH": os.environ["PATH"], **environment_of(job)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe
    ) as process:
        assert process.stdout is not None
        read = b""
        while not read.endswith(b"[y/N] "):
            letters = process.stdout.read(1)
            assert letters, "it has ended"
            read += letters
        yield process


def environment_of(job: Job, owner: str = OWNER) -> dict[str, str]:
    """The variables with which somebody runs the command; without a token where nobody is named."""
    world = job.world
    token = {bootstrap.TOKEN_VARIABLE: world.tokens.issue_access_token(owner)} if owner else {}
    return {
        "GOOGLE_CLOUD_EMULATOR_HOST": world.address,
        "GITHUB_API_URL": f"{world.base_url}/api.github.com",
        **token,
    }


def test_credentials_that_are_refused_are_told_with_the_way_to_sign_in_again(new_job: Job) -> None:
    output = io.StringIO()
    environment = {**environment_of(new_job), bootstrap.TOKEN_VARIABLE: "ya29.not-a-token"}
    assert bootstrap.main(ARGUMENTS, environment, output) == bootstrap.FAILURE
    assert "Google Cloud does not accept your credentials" in output.getvalue()
    assert "gcloud auth application-default login" in output.getvalue()


def test_a_github_that_cannot_be_reached_is_no_private_repository() -> None:
    with pytest.raises(Failure, match=r"http://127\.0\.0\.1:9 does not tell the numbers of a/b: ConnectionError"):
        bootstrap.repository_numbers("a/b", {"GITHUB_API_URL": "http://127.0.0.1:9"})


# Its role is minimal


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Job, dict[str, str]]]:
    """A project that was set up, the repository connected, nothing deployed; and the inputs of its step."""
    with job_of_small_service(tmp_path_factory.mktemp("prepared"), is_set_up=False) as job:
        ended = set_up(job)
        job.world.cloud_build.connect(REPOSITORY)
        yield job, inputs(ended)


def let(job: Job, included: Iterable[str]) -> None:
    """Let the deployer's role include just that."""
    role = iam_admin_v1.Role(included_permissions=sorted(included))
    mask = {"paths": ["included_permissions"]}
    job.world.iam.update_role(iam_admin_v1.UpdateRoleRequest(name=ROLE, role=role, update_mask=mask), SYSTEM)


def test_its_role_has_what_all_modes_need_and_no_more(prepared: tuple[Job, dict[str, str]]) -> None:
    job, _ = prepared
    by_the_grant = {"resourcemanager.projects.getIamPolicy", permissions.GRANT}
    assert included(job, ROLE) == {*permissions.ALL} - by_the_grant


@pytest.mark.parametrize(
    ("permission", "more"),
    [
        *((permission, {}) for permission in sorted({*permissions.DEPLOY} - IN_OTHER_WORLDS)),
        *((permission, {"question": "{}"}) for permission in sorted({*permissions.ASK} - {*permissions.DEPLOY})),
    ],
)
def test_without_one_of_its_permissions_that_one_is_named_and_nothing_is_changed(
    prepared: tuple[Job, dict[str, str]], permission: str, more: dict[str, str]
) -> None:
    job, given = prepared
    let(job, {*permissions.DEPLOYER} - {permission})
    run = job.deploy({**given, **more})
    assert run.code == 1
    assert run.writes == []
    assert {*re.findall(r"^- ([\w.]+), to ", "\n".join(run.errors), re.MULTILINE)} == {permission}


def test_without_the_right_to_read_logs_it_deploys_and_says_what_is_lost(new_job: Job) -> None:
    ended = set_up(new_job)
    let(new_job, {*permissions.DEPLOYER} - {*permissions.EXPLAIN})
    run = deploy(new_job, ended)
    assert run.code == 0
    (notice,) = [it.message for it in run.log.of_kind("notice") if "may not read logs" in it.message]
    assert "--add-permissions=logging.logEntries.list" in notice


def test_on_the_emulator_a_person_connects_the_repository_over_http(new_job: Job) -> None:
    ended = set_up(new_job)
    assert new_job.deploy(inputs(ended)).code == 1
    address = f"{new_job.world.base_url}/emulator/connect"
    assert requests.post(address, json={"repository": REPOSITORY}, timeout=5).ok
    assert new_job.deploy(inputs(ended)).code == 0
