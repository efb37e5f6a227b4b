"""Whole runs of the action in this process: what is refused and how it is told, and the ways that a deployment takes.

The service is a program of a few lines that is quickly built; Octue's own is deployed in ``tests/test_deployment.py``.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from google.iam.v1 import policy_pb2
from google.longrunning import operations_pb2
from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1.types import pubsub

from emulator.rpc import SYSTEM
from emulator.world import World
from octue_action.cancellation import Cancellation
from tests.rights import let
from tests.runs import OCTUE_YAML, Job, Run

PROJECT = "projects/my-project"
LOCATION = f"{PROJECT}/locations/europe-west1"
SERVICE = f"{LOCATION}/services/my-org-sum"
OLD_ID = "11111111-2222-4333-8444-555555555555"
OLD_TOPIC = f"{PROJECT}/topics/octue.services.{OLD_ID}"
OLD_ACCOUNT = "made-by-hand@my-project.iam.gserviceaccount.com"

TWO_SERVICES = f"{OCTUE_YAML}{OCTUE_YAML.partition(chr(10))[2].replace('sum', 'product')}"


@pytest.fixture
def world(job: Job) -> World:
    return job.world


@pytest.fixture
def untouched(job: Job) -> Iterator[None]:
    """Holds that there is afterwards what was there before."""
    before = job.look()
    yield
    assert job.look() == before


def deploy(job: Job, **inputs: str) -> Run:
    """Deploy what is in the repository, by hand, so that no build of a push is waited for."""
    return job.deploy(inputs, event_name="workflow_dispatch")


def done(world: World, operation: operations_pb2.Operation) -> None:
    assert world.operations.wait(operation.name, 10).done


def actions(run: Run) -> dict[str, str]:
    """What the plan does to what, by kind; what stays is left out."""
    changes = json.loads(run.outputs["plan"])["changes"]
    return {change["kind"]: change["action"] for change in changes if change["action"] != "no-op"}


# Inputs that cannot be used


@pytest.mark.usefixtures("untouched")
def test_all_problems_are_told_together_where_they_stand_before_any_request(job: Job) -> None:
    job.commit({"octue.yaml": OCTUE_YAML.replace("europe-west1", "Europe") + "    memmory: 512Mi\n    cpus: 3\n"})
    run = deploy(job, ingress="everybody")
    places = [(error.file, error.line, error.title) for error in run.log.of_kind("error")]
    assert run.code == 2
    assert run.requests == ()
    assert places == [
        (None, None, "ingress"),
        ("octue.yaml", 5, "region"),
        ("octue.yaml", 6, "memmory"),
        ("octue.yaml", 7, "cpus"),
    ]
    assert "Perhaps you meant `memory`" in run.errors[2]
    assert all("Expected: " in error for error in (run.errors[0], run.errors[1], run.errors[3]))
    assert "The inputs cannot be used" in run.summary
    assert "octue.yaml, line 6" in run.summary
    assert run.outputs == {}


HOSTILE = {
    "a bomb of aliases": "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nservices: [*c, *c]\n",
    "a tag that builds an object": 'services: !!python/object/apply:os.system ["touch hacked"]\n',
    "lists without end": f"services: {'[' * 5000}\n",
    "no YAML": "services: [\n",
    "binary": "\x00\x01\x02",
    "a workflow command": "services:\n  - '::add-mask::x': \"\\n::error::y\"\n",
}


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_octue_yaml_is_refused_at_its_line(job: Job, text: str) -> None:
    job.commit({"octue.yaml": text})
    run = deploy(job)
    errors = [error for error in run.log.of_kind("error") if error.file]
    assert run.code == 2
    assert run.requests == ()
    assert errors
    assert all(error.file == "octue.yaml" and error.line for error in errors)
    assert not (job.workspace / "hacked").exists()
    assert {command.name for command in run.log.commands} == {"error"}


@pytest.mark.usefixtures("untouched")
def test_a_config_outside_the_repository_is_refused(job: Job, tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text(OCTUE_YAML)
    (job.workspace / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    for config in ("../outside.yaml", "link.yaml", str(tmp_path / "outside.yaml")):
        run = deploy(job, config=config)
        assert (run.code, run.requests) == (2, ())


# Runs that are cancelled while settings are read


@pytest.mark.usefixtures("untouched")
def test_a_run_that_is_cancelled_while_settings_are_read_ends_there_and_says_that_nothing_was_changed(job: Job) -> None:
    cancellation = Cancellation()
    cancellation.ask(signal.SIGTERM)

    run = job.here(job.environment({"ingress": "everybody"}), cancellation)

    assert run.code == 128 + signal.SIGTERM
    assert run.requests == ()
    (warning,) = run.log.of_kind("warning")
    assert warning.message == "The run was cancelled. Nothing was changed."
    assert run.summary.endswith("Nothing was changed.\n")
    assert run.errors == [], "what has been found so far is not all"


def test_of_a_run_that_is_stuck_while_settings_are_read_it_is_said_that_nothing_was_changed(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancellation = Cancellation()

    def stuck(*_: object) -> None:
        cancellation.tell()  # as the thread does that waits for signals, before it ends the process
        raise LookupError

    monkeypatch.setattr("octue_action.main.load", stuck)
    run = job.here(job.environment(), cancellation)

    assert [it.message for it in run.log.of_kind("warning")] == ["The run was cancelled. Nothing was changed."]


# Runs that may not sign in


def without_permission(job: Job) -> dict[str, str]:
    return job.environment(id_token_permission=False)


def from_a_fork(job: Job) -> dict[str, str]:
    event = job.files / "event.json"
    event.write_text(json.dumps({"pull_request": {"head": {"repo": {"full_name": "somebody/sum-service"}}}}))
    sha = "0" * 40
    run = job.environment(event_name="pull_request", ref="refs/pull/1/merge", sha=sha, id_token_permission=False)
    return run | {"GITHUB_EVENT_PATH": str(event)}


def of_another_repository(job: Job) -> dict[str, str]:
    return job.environment(repository="somebody/else")


def on_another_branch(job: Job) -> dict[str, str]:
    return job.environment(ref="refs/heads/experiment", sha="0" * 40)


def with_another_provider(job: Job) -> dict[str, str]:
    provider = "projects/123456789012/locations/global/workloadIdentityPools/github/providers/absent"
    return job.environment({"workload_identity_provider": provider})


def without_the_right_to_impersonate(job: Job) -> dict[str, str]:
    job.world.policies.set(f"{PROJECT}/serviceAccounts/{job.world.iam.deployer}", policy_pb2.Policy())
    return job.environment()


REFUSED = {
    without_permission: ("lacks the permission `id-token: write`", "permissions:"),
    from_a_fork: ("pull request from a fork", "not on pull requests from forks"),
    of_another_repository: ("repository: somebody/else", "providers describe"),
    on_another_branch: ("ref: refs/heads/experiment", "providers describe"),
    with_another_provider: ("There is no workload identity provider", "providers list"),
    without_the_right_to_impersonate: ("may not act as deployer@", "add-iam-policy-binding"),
}


@pytest.mark.parametrize(("begin", "told"), REFUSED.items(), ids=[each.__name__ for each in REFUSED])
def test_a_run_that_may_not_sign_in_is_told_why_and_what_to_do(
    job: Job, begin: Callable[[Job], Mapping[str, str]], told: tuple[str, str]
) -> None:
    environment = begin(job)
    before = job.look()
    run = job.here(environment)
    cause, remedy = told
    (error,) = run.errors
    assert run.code == 1
    assert cause in error
    assert remedy in error.partition("What to do:")[2]
    assert run.writes == []
    assert job.look() == before
    assert "Nothing was changed" in run.summary


def test_without_a_permission_nobody_is_asked(job: Job) -> None:
    assert job.here(without_permission(job)).requests == ()


def test_a_repository_can_sign_in_without_a_deployer_account(job: Job) -> None:
    let(job.world, job.world.sts.principal_set("ref", "refs/heads/main"))
    run = job.deploy({"deployer_service_account": "", "mode": "plan"})
    callers = {request.principal.partition("://")[0] for request in run.requests if request.principal != "anonymous"}
    assert run.code == 0
    assert callers == {"principal"}


# Plans


@pytest.mark.usefixtures("untouched")
def test_a_plan_for_an_empty_world_creates_everything_and_writes_nothing(job: Job) -> None:
    run = deploy(job, mode="plan")
    plan = json.loads(run.outputs["plan"])
    assert run.code == 0
    assert run.writes == []
    assert plan["has_changes"] is True
    assert set(actions(run)) == {
        *("service_account", "artifact_repository", "build_trigger", "container_image", "pubsub_topic"),
        *("cloud_run_service", "iam_member", "eventarc_trigger", "pubsub_subscription"),
    }
    assert "+ Cloud Run service my-org-sum will be created" in run.log.lines
    assert "Nothing was changed" in run.summary
    assert run.outputs["changed"] == "false"


def test_a_plan_for_a_complete_world_has_nothing_to_do(job: Job) -> None:
    deployed = deploy(job)
    run = deploy(job, mode="plan")
    assert deployed.code == 0, deployed.stdout
    assert (run.code, run.writes, actions(run)) == (0, [], {})
    assert json.loads(run.outputs["plan"])["has_changes"] is False
    assert "Nothing to do" in run.log.text
    assert run.outputs["service_url"] == deployed.outputs["service_url"]


def test_a_plan_for_a_drifted_world_says_what_differs_and_a_deployment_puts_it_right(job: Job, world: World) -> None:
    deploy(job)
    (subscription,) = job.look()["subscriptions"]["subscriptions"]
    world.pubsub.subscriber.update_subscription(
        pubsub.UpdateSubscriptionRequest(
            subscription={"name": subscription["name"], "ack_deadline_seconds": 10},
            update_mask=FieldMask(paths=["ack_deadline_seconds"]),
        ),
        SYSTEM,
    )
    world.policies.set(SERVICE, policy_pb2.Policy())

    planned = deploy(job, mode="plan")
    assert planned.writes == []
    assert actions(planned) == {"iam_member": "update", "pubsub_subscription": "update"}
    assert "    ack_deadline_seconds: 10 → 600" in planned.log.lines

    mended = deploy(job)
    assert (mended.code, len(mended.writes), mended.outputs["changed"]) == (0, 2, "true")
    assert actions(deploy(job, mode="plan")) == {}


# What is there and is not wanted


def test_a_service_open_to_everyone_is_refused_unless_that_is_wanted(job: Job, world: World) -> None:
    deploy(job)
    policy = world.policies.get(SERVICE)
    policy.bindings.add(role="roles/run.invoker", members=["allUsers"])
    world.policies.set(SERVICE, policy)

    refused = deploy(job)
    (error,) = refused.errors
    assert (refused.code, refused.writes) == (1, [])
    assert "Everyone on the internet may call the service `my-org-sum`" in error
    assert "remove-iam-policy-binding" in error
    assert "ingress: all" in error

    wanted = deploy(job, ingress="all")
    assert wanted.code == 0, wanted.stdout
    assert "allUsers" in world.policies.members(SERVICE, "roles/run.invoker")


# Failures


def test_a_failure_in_the_middle_skips_only_what_needs_it_and_says_what_is_known(job: Job) -> None:
    run = deploy(job, secrets="PASSWORD=absent:latest")
    (error,) = run.errors
    assert run.code == 1
    assert "absent" in error
    assert "- Eventarc trigger my-org-sum skipped" in run.log.text
    assert "skipped: it needs" in run.summary
    assert "the deployment failed" in run.summary
    assert run.outputs["topic_name"] in [topic["name"] for topic in run.world["topics"]["topics"]]
    assert run.outputs["service_account"] == "my-org-sum@my-project.iam.gserviceaccount.com"
    assert run.outputs["build_log_url"].startswith("https://")
    assert run.outputs["changed"] == "true"
    assert run.world["event_triggers"].get("triggers", []) == []


def test_after_a_failure_the_next_run_finishes_the_rest(job: Job, world: World) -> None:
    failed = deploy(job, secrets="PASSWORD=absent:latest")
    world.cloud_run.secrets["absent", "latest"] = "open sesame"
    run = deploy(job, secrets="PASSWORD=absent:latest")
    assert (failed.code, run.code) == (1, 0), run.stdout
    assert run.outputs["topic_name"] == failed.outputs["topic_name"]
    assert len(run.world["builds"]["builds"]) == 1
    assert "open sesame" not in run.readable


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The action with a mistake in it."""

    def make_plan(*_: object, **__: object) -> None:
        raise LookupError("the mistake")

    monkeypatch.setattr("octue_action.modes.make_plan", make_plan)


@pytest.mark.usefixtures("faulty", "untouched")
def test_a_fault_of_the_action_is_told_as_one(job: Job) -> None:
    run = deploy(job)
    (error,) = run.log.of_kind("error")
    assert run.code == 1
    assert error.title == "Fault of the action"
    assert "fault of the action itself, not of your service: LookupError: the mistake" in error.message
    assert "Traceback" not in run.stdout
    assert "Fault of the action" in run.summary


@pytest.mark.usefixtures("faulty")
def test_with_debug_logging_a_fault_shows_where_it_happened(job: Job) -> None:
    run = job.here(job.environment() | {"RUNNER_DEBUG": "1"})
    debug = "\n".join(command.data for command in run.log.commands if command.name == "debug")
    assert "in make_plan" in debug
    assert "LookupError: the mistake" in debug


def test_outputs_that_cannot_be_written_fail_the_run_and_what_was_done_stands(job: Job) -> None:
    environment = {**job.environment(), "GITHUB_OUTPUT": "/dev/full"}
    run = job.here(environment)
    (error,) = run.errors
    assert run.code == 1
    assert error.startswith("The outputs could not be written: ")
    assert "fault of the action" not in run.summary
    assert [it["name"].rpartition("/")[2] for it in run.world["services"]["services"]] == ["my-org-sum"]


# Several services


def test_two_services_of_one_octue_yaml_are_deployed_together(job: Job) -> None:
    job.commit({"octue.yaml": TWO_SERVICES})
    run = deploy(job)
    assert run.code == 0, run.stdout
    services: dict[str, dict[str, Any]] = json.loads(run.outputs["services"])
    assert list(services) == ["my-org-sum", "my-org-product"]
    first = {name: value for name, value in services["my-org-sum"].items() if name != "status"}
    assert {name: run.outputs[name] for name in first} == first
    assert services["my-org-sum"]["topic_name"] != services["my-org-product"]["topic_name"]
    assert sorted(each["name"].rpartition("/")[2] for each in run.world["services"]["services"]) == sorted(services)
    assert len(run.world["event_triggers"]["triggers"]) == 2

    one = deploy(job, services="product")
    assert list(json.loads(one.outputs["services"])) == ["my-org-product"]
    assert one.writes == []
