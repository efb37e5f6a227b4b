"""Runs of many services: what they share is read and written once, and what fails for one leaves the others alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.cloud import run_v2
from google.rpc import error_details_pb2

from emulator import faults
from emulator.errors import ApiError
from emulator.faults import Fault
from emulator.known_failures import FAILURES
from emulator.propagation import Propagation
from emulator.rpc import Call
from emulator.services.cloud_run import Services
from octue_action import logs
from octue_action.cancellation import Cancellation
from octue_action.google import Google
from octue_action.logs import Log, LogSource
from octue_action.main import MOST_LOGS
from tests.resilience.clouds import CloudTime
from tests.runs import Job, Run, job_of_small_service

PROJECT = "projects/my-project"
ROLE = f"{PROJECT}/roles/octue_service_user"
READ, WRITE = (f"google.cloud.resourcemanager.v3.Projects/{verb}IamPolicy" for verb in ("Get", "Set"))
CREATE_ACCOUNT = "google.iam.admin.v1.IAM/CreateServiceAccount"

Begin = Callable[..., Job]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Gives a job of a repository with so many services, in a cloud where nothing is really built or started."""
    contexts: list[Any] = []

    def begin(count: int, **settings: Any) -> Job:
        contexts.append(job_of_small_service(tmp_path, hollow=True, **settings))
        job: Job = contexts[-1].__enter__()
        job.commit({"octue.yaml": octue_yaml(count)})
        return job

    yield begin
    for context in contexts:
        context.__exit__(None, None, None)


def octue_yaml(count: int) -> str:
    """A configuration of so many services."""
    settings = {"project_name": "my-project", "region": "europe-west1"}
    return json.dumps({"services": [{"name": name(number), **settings} for number in range(count)]})


def name(number: int) -> str:
    return f"sum-{number:02}"


def account(number: int) -> str:
    return f"{name(number)}@my-project.iam.gserviceaccount.com"


def member(number: int) -> str:
    return f"serviceAccount:{account(number)}"


def deploy(job: Job, **inputs: str) -> Run:
    return job.deploy(inputs, event_name="workflow_dispatch")


def calls(run: Run, method: str) -> list[str]:
    """How each call of a method ended."""
    return [request.status for request in run.requests if request.method == method]


def members(job: Job) -> set[str]:
    """Those who have Octue's role, of the services."""
    return {it for it in job.world.policies.members(PROJECT, ROLE) if it.startswith("serviceAccount:sum-")}


def services(job: Job) -> set[str]:
    return {service["name"].rpartition("/")[2] for service in job.look()["services"].get("services", ())}


def triggers(job: Job) -> set[str]:
    return {trigger["name"].rpartition("/")[2] for trigger in job.look()["event_triggers"].get("triggers", ())}


def everything(count: int, *but: int) -> set[str]:
    return {name(number) for number in range(count)} - {name(number) for number in but}


def held(job: Job, count: int, *but: int) -> None:
    """Check that all services but these are there, with all that they need."""
    assert services(job) == triggers(job) == everything(count, *but)
    assert {member(number) for number in range(count) if number not in but} <= members(job)


def test_many_services_read_the_projects_policy_once_and_write_it_once(begin: Begin) -> None:
    job = begin(10)

    planned = deploy(job, mode="plan")
    made = deploy(job)
    again = deploy(job)

    assert [run.code for run in (planned, made, again)] == [0, 0, 0], made.stdout
    assert len(calls(planned, READ)) == 1
    assert calls(made, READ) == ["OK"], "for the plan"
    assert calls(made, WRITE) == ["OK"]
    assert calls(again, READ) == ["OK"]
    assert again.writes == []
    assert "ABORTED" not in {request.status for run in job.runs for request in run.requests}
    assert len(members(job)) == 10
    held(job, 10)
    assert set(json.loads(made.outputs["services"])) == everything(10)


def test_a_hundred_services_are_deployed_in_one_run(begin: Begin) -> None:
    job = begin(100)

    run = deploy(job)

    assert run.code == 0, run.stdout
    assert (calls(run, READ), calls(run, WRITE)) == (["OK"], ["OK"])
    assert {request.status for request in run.requests} <= {"OK", "NOT_FOUND"}
    held(job, 100)


def test_an_account_that_cannot_be_made_leaves_the_other_services_alone(begin: Begin) -> None:
    job = begin(10)
    job.world.faults.add(faults.denied(CREATE_ACCOUNT, skip=4))

    run = deploy(job)

    (failed,) = everything(10) - services(job)
    assert run.code == 1
    assert calls(run, WRITE) == ["OK"]
    assert len(members(job)) == 9
    held(job, 10, int(failed[-2:]))
    assert len(run.errors) == 1
    assert deploy(job).code == 0
    held(job, 10)


@pytest.mark.parametrize("method", ["google.cloud.run.v2.Services/CreateService", "google.pubsub.v1.*/CreateTopic"])
def test_what_cannot_be_made_of_one_service_leaves_the_others_alone(begin: Begin, method: str) -> None:
    job = begin(10)
    job.world.faults.add(faults.denied(method, skip=3))

    run = deploy(job)

    (failed,) = everything(10) - triggers(job)
    assert run.code == 1
    assert len(run.errors) == 1
    assert triggers(job) == everything(10, int(failed[-2:]))
    assert deploy(job).code == 0
    held(job, 10)


def test_a_refusal_to_write_the_policy_is_one_call_and_one_failure_of_all(begin: Begin) -> None:
    job = begin(10)
    job.world.faults.add(faults.denied(WRITE, permission="resourcemanager.projects.setIamPolicy", times=None))

    run = deploy(job)

    assert run.code == 1
    assert calls(run, WRITE) == ["PERMISSION_DENIED"]
    assert len(run.errors) == 1
    assert members(job) == triggers(job) == set()
    assert services(job) == everything(10)
    job.world.faults.clear()
    assert deploy(job).code == 0
    held(job, 10)


def test_an_account_that_policies_never_know_is_refused_for_its_own_service_alone(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = begin(10, leaps=True)
    policies = job.world.policies
    sees = policies._sees_account
    monkeypatch.setattr(policies, "_sees_account", lambda email: email != account(3) and sees(email))

    run = job.here(job.environment(event_name="workflow_dispatch"), Cancellation(CloudTime(job.world)))

    assert run.code == 1
    assert calls(run, WRITE)[:2] == ["INVALID_ARGUMENT", "OK"]
    assert set(calls(run, WRITE)[2:]) == {"INVALID_ARGUMENT"}
    assert triggers(job) == everything(10, 3)
    assert members(job) == {member(number) for number in range(10) if number != 3}


def test_an_account_that_policies_do_not_know_yet_keeps_no_other_service_waiting(begin: Begin) -> None:
    job = begin(10)
    refusal = ApiError(grpc.StatusCode.INVALID_ARGUMENT, f"Service account {account(3)} does not exist.")
    job.world.faults.add(Fault(method=WRITE, error=refusal, times=1))

    run = deploy(job)

    assert run.code == 0, run.stdout
    assert calls(run, WRITE) == ["INVALID_ARGUMENT", "OK", "OK"]
    held(job, 10)


def test_accounts_that_policies_know_late_take_few_calls(begin: Begin) -> None:
    job = begin(10, propagation=Propagation(accounts_in_policies=20.0), leaps=True)
    cancellation = Cancellation(CloudTime(job.world))

    run = job.here(job.environment(event_name="workflow_dispatch"), cancellation)

    assert run.code == 0, run.stdout
    assert 1 <= calls(run, WRITE).count("OK") <= 2
    assert calls(run, WRITE).count("OK") < len(calls(run, WRITE))
    assert "ABORTED" not in calls(run, WRITE)
    held(job, 10)


def test_what_somebody_else_writes_between_reading_and_writing_stays(begin: Begin) -> None:
    job = begin(10)
    theirs = "user:somebody@example.com"

    def edit(answer: Any) -> Any:
        policy = job.world.policies.get(PROJECT)
        policy.bindings.add(role="roles/browser", members=[theirs])
        job.world.policies.seed(PROJECT, policy)
        return answer

    job.world.faults.add(Fault(method=READ, change=edit))

    run = deploy(job)

    assert run.code == 0, run.stdout
    refused, written = calls(run, WRITE)
    assert refused in {"ABORTED", "PERMISSION_DENIED"}, "as who may grant one role only would take theirs away"
    assert written == "OK"
    assert theirs in job.world.policies.members(PROJECT, "roles/browser")
    held(job, 10)


def test_two_runs_at_once_keep_each_others_members(begin: Begin, tmp_path: Path) -> None:
    job = begin(20)
    other = Job(job._emulator, job.workspace, tmp_path / "other-files")
    halves = [",".join(sorted(everything(20))[half::2]) for half in (0, 1)]

    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda it: deploy(it[0], services=it[1]), zip((job, other), halves, strict=True)))

    assert [run.code for run in runs] == [0, 0], [run.stdout for run in runs]
    written = [request for request in job.world.requests if request.method == WRITE]
    assert Counter(request.status for request in written)["OK"] == 2
    held(job, 20)


def test_many_services_are_destroyed_with_one_write_of_the_policy(begin: Begin) -> None:
    job = begin(10)
    assert deploy(job).code == 0

    run = deploy(job, mode="destroy", confirm=",".join(everything(10)))

    assert run.code == 0, run.stdout
    assert calls(run, WRITE) == ["OK"]
    assert members(job) == services(job) == triggers(job) == set()
    order = [request.method for request in run.requests if request.writes]
    assert order.index(WRITE) < order.index("google.iam.admin.v1.IAM/DeleteServiceAccount")
    accounts = [account["email"] for account in job.look()["service_accounts"]["accounts"]]
    assert not [email for email in accounts if email.startswith("sum-")]


# What is in the way of one of them


def test_a_service_that_is_not_ours_is_left_alone_and_the_others_are_deployed(begin: Begin) -> None:
    job = begin(10)
    template = run_v2.RevisionTemplate(containers=[run_v2.Container(image="docker.io/library/nginx")])
    location = f"{PROJECT}/locations/europe-west1"
    job.world.cloud_run.services[0].create_service(
        run_v2.CreateServiceRequest(
            parent=location, service_id=name(3), service=run_v2.Service(template=template, labels={"team": "wind"})
        ),
        Call("console", principal="user:owner@example.com"),
    )

    planned = deploy(job, mode="plan")
    run = deploy(job)

    assert [planned.code, run.code] == [1, 1]
    assert planned.writes == []
    assert planned.summary.startswith("<h2>❌ 1 of 10 services: something is in the way</h2>\n\n<blockquote>")
    first_row = planned.summary.partition("<th>Changes</th>")[2].partition("</tr>")[2].partition("</tr>")[0]
    assert name(3) in first_row
    assert "left alone" in first_row
    assert len(json.loads(planned.outputs["plan"])["refusals"]) == 1
    (sentence,) = {line for line in run.log.text.splitlines() if "Plan: " in line}
    assert sentence in planned.log.text
    assert sentence.endswith(" left alone.")
    assert f"Cloud Run service {name(3)} left alone: something is in the way" in planned.log.text
    assert "    concurrency: 80 → 10\n" in planned.log.text
    assert "none → " not in planned.log.text.partition(f"Service account {account(3)} left alone")[2][:200]
    (error,) = run.errors
    assert error.startswith(f"The Cloud Run service {name(3)} exists already, and this workflow did not make it.")
    assert error in planned.errors
    assert triggers(job) == everything(10, 3)
    assert members(job) == {member(number) for number in range(10) if number != 3}
    mine = job.look()["services"]["services"]
    assert [it["labels"] for it in mine if it["name"].endswith(name(3))] == [{"team": "wind"}]


@pytest.mark.parametrize(
    "method",
    [
        "google.cloud.run.v2.Services/GetService",
        "google.cloud.run.v2.Services/GetIamPolicy",
        "google.pubsub.v1.Publisher/GetTopic",
        "google.pubsub.v1.Subscriber/GetSubscription",
    ],
)
def test_what_cannot_be_read_of_one_service_leaves_the_others_alone(begin: Begin, method: str) -> None:
    job = begin(10)
    assert deploy(job).code == 0
    job.world.faults.add(faults.denied(method, skip=3))
    job.commit({"more.txt": "1"})

    run = deploy(job)

    assert run.code == 1
    assert len(run.errors) == 1
    statuses = [values["status"] for values in json.loads(run.outputs["services"]).values()]
    assert sorted(statuses) == ["applied"] * 9 + ["failed"]
    revisions = [values["revision"] for values in json.loads(run.outputs["services"]).values()]
    assert sum("-00002-" in revision for revision in revisions) == 9
    assert deploy(job).code == 0
    held(job, 10)


def test_what_cannot_be_read_of_one_region_leaves_the_services_in_the_others_alone(begin: Begin) -> None:
    job = begin(3)
    services = json.loads(octue_yaml(3))
    services["services"][1]["region"] = "europe-west4"
    job.commit({"octue.yaml": json.dumps(services)})
    job.world.faults.add(faults.denied("google.cloud.eventarc.v1.Eventarc/ListTriggers"))

    run = deploy(job)

    assert run.code == 1
    statuses = [values["status"] for values in json.loads(run.outputs["services"]).values()]
    assert statuses in (["failed", "applied", "failed"], ["applied", "failed", "applied"]), "whichever was asked first"
    assert deploy(job).code == 0
    assert deploy(job, mode="drift").code == 0


def test_topics_that_cannot_be_listed_are_in_the_way_of_new_services_alone(begin: Begin) -> None:
    job = begin(3)
    assert deploy(job).code == 0
    job.commit({"octue.yaml": octue_yaml(4)})
    job.world.faults.add(faults.denied("google.pubsub.v1.Publisher/ListTopics"))

    run = deploy(job)

    assert run.code == 1
    assert [values["status"] for values in json.loads(run.outputs["services"]).values()][-1] == "failed"
    assert [error for error in run.errors if "sum-00" in error] == []
    assert deploy(job).code == 0
    held(job, 4)


# Quotas


@pytest.mark.parametrize("told", [{}, {"quota_limit": "WritePerMinutePerProjectRegion", "quota_limit_value": "10"}])
def test_a_quota_far_below_what_is_taken_for_it_is_found_and_kept_and_all_services_stand(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, told: dict[str, str]
) -> None:
    made, create = list[float](), Services.create_service

    def within_quota(self: Services, request: run_v2.CreateServiceRequest, call: Call) -> Any:
        now = job.world.clock.time()
        if sum(time > now - 60.0 for time in made) >= 10:
            info = error_details_pb2.ErrorInfo(reason="RATE_LIMIT_EXCEEDED", metadata=told)
            raise ApiError(grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded.", info)
        made.append(now)
        return create(self, request, call)

    monkeypatch.setattr(Services, "create_service", within_quota)
    job = begin(60, leaps=True)

    run = job.here(job.environment(event_name="workflow_dispatch"), Cancellation(CloudTime(job.world)))

    assert run.code == 0, run.errors
    assert "RESOURCE_EXHAUSTED" in calls(run, "google.cloud.run.v2.Services/CreateService")
    held(job, 60)


# What fails in many of them


def test_of_many_services_that_fail_some_logs_are_read_and_all_are_told(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, real = list[LogSource](), logs.read

    def noted(google: Google, source: LogSource, hidden: Sequence[str]) -> Log:
        read.append(source)
        return real(google, source, hidden)

    monkeypatch.setattr(logs, "read", noted)
    job = begin(MOST_LOGS + 5, leaps=True)
    job.world.faults.add(*FAILURES["run-port"].faults(times=None))

    run = job.here(job.environment(event_name="workflow_dispatch"), Cancellation(CloudTime(job.world)))

    assert run.code == 1
    assert f"{MOST_LOGS + 5} of {MOST_LOGS + 5} services: the deployment failed" in run.summary
    assert run.log.text.count("! Cloud Run service sum-") == MOST_LOGS + 5
    assert len(read) == MOST_LOGS
