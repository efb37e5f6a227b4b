"""Whole runs of the action in each mode, and what they show on GitHub.

How the modes go together, from whatever state, is held in ``tests/resilience/test_lifecycle.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from google.cloud import run_v2
from google.protobuf.field_mask_pb2 import FieldMask

from emulator import faults
from emulator.rpc import SYSTEM
from emulator.world import World
from octue_action.cancellation import Cancellation
from tests import wind_yield
from tests.runs import OCTUE_YAML, REPOSITORY, Job, Run, job_of_small_service

SERVICE = "my-org-sum"
SERVICE_NAME = f"projects/my-project/locations/europe-west1/services/{SERVICE}"
CONSOLE = f"https://console.cloud.google.com/run/detail/europe-west1/{SERVICE}/metrics?project=my-project"
MARKER = "<!-- octue-action: "
WRITES = {"deployments": "write", "pull-requests": "write", "issues": "write"}
BROKEN = 'FROM python:3.11-slim\nCMD ["python", "-c", "raise SystemExit(1)"]\n'


@pytest.fixture
def world(job: Job) -> World:
    return job.world


def run(job: Job, mode: str = "deploy", *, token: bool = False, **inputs: str) -> Run:
    """Run a mode as a step of a workflow that somebody started by hand."""
    given = {"mode": mode, **({"github_token": job.world.github.job_token(permissions=WRITES)} if token else {})}
    return job.deploy({**given, **inputs}, event_name="workflow_dispatch")


def plan_on_pull_request(job: Job, *, token: bool = True, head: str | None = None, **inputs: str) -> Run:
    """Plan in a run for the pull request 7, from this repository or the one given."""
    _let_pull_requests_in(job.world)
    given = {"mode": "plan", **({"github_token": job.world.github.job_token(permissions=WRITES)} if token else {})}
    variables = job.environment(
        {**given, **inputs},
        event_name="pull_request",
        ref="refs/pull/7/merge",
        head_repository=head,
        head_sha=None if head is None else "f" * 40,
        head_ref="main" if head is None else "change",
    )
    # As where a repository lets runs for forks have all that others have: GitHub lets them sign in nowhere else.
    signs_in = {name: it for name, it in job.environment().items() if name.startswith("ACTIONS_ID_TOKEN")}
    return job.here({**signs_in, **variables})


def _let_pull_requests_in(world: World) -> None:
    """As the README says for those who want plans and previews on pull requests."""
    condition = world.sts.provider.condition.replace("assertion.ref == 'refs/heads/main'", "true")
    condition = condition.replace("'push'", "'pull_request', 'push'")
    world.sts.provider = replace(world.sts.provider, condition=condition)


def github(job: Job) -> Mapping[str, Any]:
    """What there is on GitHub."""
    nothing: Mapping[str, Any] = {"issues": [], "deployments": []}
    shown: Mapping[str, Any] = job.look()["github"].get(REPOSITORY, nothing)
    return shown


def states(job: Job) -> list[tuple[str, list[str]]]:
    """The deployments on GitHub, the oldest first, with the states that they went through."""
    return [
        (deployment["environment"], [status["state"] for status in deployment["statuses"]])
        for deployment in github(job)["deployments"]
    ]


def change_by_hand(world: World, concurrency: int = 3) -> None:
    """Somebody changes a field of the service in the console."""
    service = run_v2.Service(world.cloud_run.find(SERVICE_NAME).service)
    service.template.max_instance_request_concurrency = concurrency
    mask = FieldMask(paths=["template"])
    request = run_v2.UpdateServiceRequest(service=service, update_mask=mask)
    operation = world.cloud_run.services[0].update_service(request, SYSTEM)
    assert world.operations.wait(operation.name, 10).done


# Plan


def test_a_plan_says_all_that_would_be_made_and_what_would_be_built(job: Job) -> None:
    planned = run(job, "plan")

    assert planned.code == 0
    changes = {change["kind"]: change for change in json.loads(planned.outputs["plan"])["changes"]}
    fields = {field["name"]: field for field in changes["cloud_run_service"]["fields"]}
    assert fields["memory"] == {"name": "memory", "forces_replacement": False, "before": None, "after": "128Mi"}
    assert fields["environment[SERVICE_ID]"] == {
        "name": "environment[SERVICE_ID]",
        "forces_replacement": False,
        "sensitive": True,
    }
    sha = job.environment()["GITHUB_SHA"]
    assert changes["container_image"]["origin"] == f"built from commit {sha} by the build trigger {SERVICE}"
    assert f"built from commit {sha}" in planned.log.text
    assert "memory: 128Mi" in planned.log.text
    assert planned.outputs["changed"] == "false"


def test_no_value_of_a_variable_is_in_a_plan(job: Job) -> None:
    planned = run(job, "plan", environment_variables="PASSWORD=open-sesame")

    assert "environment[PASSWORD]: added" in planned.log.text
    assert "open-sesame" not in planned.readable


def test_a_plan_is_one_comment_on_the_pull_request_that_is_changed_in_place(job: Job) -> None:
    first = plan_on_pull_request(job)
    change = plan_on_pull_request(job, memory="512Mi")

    (issue,) = github(job)["issues"]
    (comment,) = issue["comments"]
    assert (first.code, change.code) == (0, 0)
    assert comment["body"].startswith(MARKER)
    assert "the plan" in comment["body"]
    assert "memory: 512Mi" in comment["body"]
    assert f"shown on the pull request: {comment['html_url']}" in change.log.text


def test_the_plans_of_two_configurations_are_two_comments(job: Job) -> None:
    job.commit({"other.yaml": OCTUE_YAML.replace("sum", "product")})

    for config in ("octue.yaml", "other.yaml", "octue.yaml"):
        assert plan_on_pull_request(job, config=config).code == 0

    (issue,) = github(job)["issues"]
    assert len(issue["comments"]) == 2


def test_a_plan_of_a_pull_request_is_for_the_commit_of_its_branch(job: Job) -> None:
    planned = plan_on_pull_request(job)

    assert planned.outputs["image"].endswith(f":{job.world.github.commit('my-org/sum-service', 'refs/heads/main')}")


def test_without_a_token_the_plan_is_in_the_summary_and_the_log_says_why(job: Job) -> None:
    planned = plan_on_pull_request(job, token=False)

    assert planned.code == 0
    assert "the plan" in planned.summary
    assert "No comment on the pull request, since the step has no `github_token`." in planned.log.text
    assert github(job)["issues"][0]["comments"] == []


def test_of_a_pull_request_from_a_fork_the_log_says_why_there_is_no_comment(job: Job) -> None:
    planned = plan_on_pull_request(job, head="somebody/fork")

    assert planned.code == 0, planned.stdout
    assert "since it is from a fork" in planned.log.text
    assert github(job)["issues"][0]["comments"] == []


def test_a_plan_that_must_not_be_carried_out_is_shown_on_the_pull_request_too(job: Job) -> None:
    run(job)
    _disown(job.world)

    planned = plan_on_pull_request(job)

    assert planned.code == 1
    assert "this workflow did not make it" in planned.log.text
    assert "something is in the way" in github(job)["issues"][0]["comments"][0]["body"]
    assert [c["kind"] for c in json.loads(planned.outputs["plan"])["changes"] if not c["ours"]] == ["cloud_run_service"]


def _disown(world: World) -> None:
    service = run_v2.Service(world.cloud_run.find(SERVICE_NAME).service)
    service.labels = {"team": "wind"}
    request = run_v2.UpdateServiceRequest(service=service, update_mask=FieldMask(paths=["labels"]))
    operation = world.cloud_run.services[0].update_service(request, SYSTEM)
    assert world.operations.wait(operation.name, 10).done


# Drift


def test_drift_fails_names_what_differs_and_changes_nothing(job: Job, world: World) -> None:
    run(job)
    assert run(job, "drift").code == 0
    change_by_hand(world)

    drift = run(job, "drift")

    assert drift.code == 1
    assert drift.writes == []
    assert drift.errors == [f"Cloud Run service {SERVICE} differs\n    concurrency: is 3, wanted 10"]
    assert "drift" in drift.summary
    assert "concurrency: is 3, wanted 10" in drift.summary


def test_what_others_have_added_is_no_drift(job: Job, world: World) -> None:
    run(job)
    service = run_v2.Service(world.cloud_run.find(SERVICE_NAME).service)
    service.labels["team"] = "wind"
    service.template.annotations["team"] = "wind"
    request = run_v2.UpdateServiceRequest(service=service)
    operation = world.cloud_run.services[0].update_service(request, SYSTEM)
    assert world.operations.wait(operation.name, 10).done

    assert run(job, "drift").code == 0


def test_drift_is_one_issue_until_there_is_none_any_more(job: Job, world: World) -> None:
    run(job)
    assert run(job, "drift", token=True).code == 0
    assert github(job)["issues"] == []

    change_by_hand(world, 3)
    run(job, "drift", token=True)
    change_by_hand(world, 5)
    run(job, "drift", token=True)
    (issue,) = github(job)["issues"]
    assert issue["title"] == f"Drift: {SERVICE} in my-project"
    assert "concurrency: is 5, wanted 10" in issue["body"]
    assert issue["state"] == "open"

    run(job)
    assert run(job, "drift", token=True).code == 0
    (issue,) = github(job)["issues"]
    assert (issue["state"], issue["state_reason"]) == ("closed", "completed")
    assert "no drift" in issue["body"]

    change_by_hand(world, 3)
    run(job, "drift", token=True)
    assert [issue["state"] for issue in github(job)["issues"]] == ["closed", "open"]


# Destroy


def test_a_destruction_that_is_not_confirmed_sends_nothing(job: Job) -> None:
    run(job)
    before = job.look()

    refused = run(job, "destroy", confirm="sun")

    assert refused.code == 2
    assert refused.requests == ()
    assert job.look() == before


def test_of_a_service_that_never_was_nothing_is_said_to_stay(job: Job) -> None:
    nothing = run(job, "destroy", confirm="sum")

    assert nothing.code == 0
    assert "left alone: its askers know it" not in nothing.log.text
    assert " 0 left alone, " in nothing.log.text


def test_of_a_service_that_is_not_ours_nothing_is_destroyed_nor_said_to_be_gone(job: Job, world: World) -> None:
    run(job, token=True)
    _disown(world)
    before = job.look()

    refused = run(job, "destroy", token=True, confirm="sum", adopt="true", delete_topic="true")

    assert (refused.code, refused.writes) == (1, [])
    assert job.look() == before
    assert f"= Cloud Run service {SERVICE} left alone: this workflow did not make it" in refused.log.text
    assert "nothing of it is destroyed" in refused.errors[0]
    assert "something is in the way" in refused.summary
    assert "gone" not in refused.readable


def test_the_topic_that_a_destruction_has_left_is_found_again_whatever_its_id(job: Job) -> None:
    service_id = "11111111-2222-4333-8444-555555555555"
    first = run(job, service_id=service_id)
    assert run(job, "destroy", confirm="sum").code == 0

    again = run(job)

    assert again.outputs["service_id"] == first.outputs["service_id"] == service_id
    assert run(job, "destroy", confirm="sum").code == 0
    gone = run(job, "destroy", confirm="sum", delete_topic="true")
    assert gone.code == 0
    assert gone.world["topics"] == {}


def test_what_needs_what_cannot_be_deleted_stays_and_the_log_says_so(job: Job, world: World) -> None:
    run(job)
    world.faults.add(faults.denied("google.cloud.run.v2.Services/DeleteService", times=None))

    failed = run(job, "destroy", confirm="sum")

    assert failed.code == 1
    assert f"! Cloud Run service {SERVICE} failed" in failed.log.text
    skipped = f"- Image repository {SERVICE} skipped, because there is still"
    assert skipped in failed.log.text
    assert "the deletion failed" in failed.summary
    world.faults.clear()
    assert run(job, "destroy", confirm="sum").code == 0


# Rollback


def test_a_rollback_has_the_outputs_and_the_summary_of_a_deployment(job: Job) -> None:
    first = run(job)
    job.commit({"more.txt": "1"})
    second = run(job)
    assert second.outputs["revision"] != first.outputs["revision"]

    back = run(job, "rollback")

    assert back.code == 0
    same = ("service_url", "topic_name", "service_id", "service_account", "image", "revision")
    assert {name: back.outputs[name] for name in same} == {name: first.outputs[name] for name in same}
    assert "rolled back" in back.summary
    assert first.outputs["revision"] in back.summary
    drift = run(job, "drift")
    assert f"is rolled back, or somebody has moved its traffic: {first.outputs['revision']} serves" in drift.errors[0]
    forward = run(job)
    assert forward.outputs["revision"] == second.outputs["revision"]


def test_a_rollback_to_what_there_is_not_says_what_there_is(job: Job) -> None:
    run(job)

    refused = run(job, "rollback")

    assert refused.code == 1
    assert refused.writes == []
    (error,) = refused.errors
    assert "no revision before the present one that is ready" in error
    assert "There is no other revision. Deploy an earlier commit instead." in error


# Deployments on GitHub


def test_a_deployment_is_shown_while_it_is_made_and_with_its_page_when_it_is(job: Job) -> None:
    made = run(job, token=True)

    assert made.code == 0, made.stdout
    assert states(job) == [(f"{SERVICE} (my-project)", ["in_progress", "success"])]
    (deployment,) = github(job)["deployments"]
    assert deployment["sha"] == job.environment()["GITHUB_SHA"]
    assert not deployment["transient_environment"]
    success = deployment["statuses"][-1]
    assert success["environment_url"] == CONSOLE
    assert "/actions/runs/" in success["log_url"]


def test_a_deployment_that_fails_is_shown_as_one(job: Job) -> None:
    run(job, token=True)
    job.commit({"Dockerfile": BROKEN})

    assert run(job, token=True).code == 1

    assert states(job)[-1] == (f"{SERVICE} (my-project)", ["in_progress", "failure"])


def test_a_rollback_is_shown_as_a_deployment_of_the_commit_that_serves_again(job: Job) -> None:
    first = job.environment()["GITHUB_SHA"]
    run(job, token=True)
    job.commit({"more.txt": "1"})
    run(job, token=True)

    run(job, "rollback", token=True)

    assert [deployment["sha"] for deployment in github(job)["deployments"]].count(first) == 2
    assert github(job)["deployments"][-1]["sha"] == first


def test_a_deployment_that_is_cancelled_does_not_stay_in_progress(job: Job, world: World) -> None:
    cancellation = Cancellation()

    def cancel(answer: object) -> object:
        cancellation.ask()
        return answer

    world.faults.add(faults.Fault(method="*/CreateService", change=cancel))
    inputs = {"github_token": world.github.job_token(permissions=WRITES)}

    cancelled = job.here(job.environment(inputs, event_name="workflow_dispatch"), cancellation)

    assert cancelled.code == 130
    assert states(job) == [(f"{SERVICE} (my-project)", ["in_progress", "failure"])]
    assert github(job)["deployments"][0]["statuses"][-1]["description"] == "The run was cancelled"
    assert "the deployment was cancelled" in cancelled.summary


def test_a_newer_deployment_takes_an_older_ones_place_and_a_destruction_leaves_none(job: Job) -> None:
    run(job, token=True)
    job.commit({"more.txt": "1"})
    run(job, token=True)
    run(job, "rollback", token=True)
    assert [shown[-1] for _, shown in states(job)] == ["inactive", "inactive", "success"]

    assert run(job, "destroy", token=True, confirm="sum").code == 0

    assert [shown[-1] for _, shown in states(job)] == ["inactive", "inactive", "inactive"]


def test_a_preview_is_shown_in_an_environment_of_its_own_that_does_not_last(job: Job) -> None:
    run(job, token=True)
    run(job, token=True, preview="pr-7")

    assert [environment for environment, _ in states(job)] == [
        f"{SERVICE} (my-project)",
        f"{SERVICE}-pr-7 (my-project)",
    ]
    assert github(job)["deployments"][-1]["transient_environment"]
    assert states(job)[0][1][-1] == "success"


def test_of_a_preview_only_the_newest_deployment_is_shown_as_active(job: Job) -> None:
    for _ in range(3):
        job.commit({"more.txt": str(len(job.runs))})
        run(job, token=True, preview="pr-7")

    assert [shown[-1] for _, shown in states(job)] == ["inactive", "inactive", "success"]


def test_an_image_of_somebody_elses_is_shown_as_a_deployment_of_this_commit(job: Job) -> None:
    image = run(job).outputs["image"].replace("my-org-sum:", "other:").partition(":")[0] + f":{'a' * 40}"
    assert run(job, "destroy", confirm="sum").code == 0

    run(job, token=True, image=image)

    assert github(job)["deployments"][0]["sha"] == job.environment()["GITHUB_SHA"]


@pytest.mark.parametrize("method", ["github.rest.*", "*/CreateDeployment", "*/CreateDeploymentStatus"])
def test_a_deployment_that_github_does_not_show_has_succeeded_all_the_same(job: Job, world: World, method: str) -> None:
    world.faults.add(faults.unavailable(method, times=None, principal="*"))

    made = run(job, token=True)

    assert made.code == 0, made.stdout
    (warning,) = made.log.of_kind("warning")[:1]
    assert warning.title == "Not shown on GitHub"
    assert SERVICE in warning.message


def test_what_github_refuses_for_one_service_is_not_asked_for_the_others(job: Job) -> None:
    services = [f"  - {{name: sum-{n}, project_name: my-project, region: europe-west1}}" for n in range(3)]
    job.commit({"octue.yaml": "\n".join(["services:", *services])})

    made = run(job, github_token=job.world.github.job_token(permissions={"contents": "read"}))

    assert made.code == 0, made.stdout
    assert len(made.log.of_kind("warning")) == 1
    assert sum("github.rest" in request.method for request in job.world.requests) == 1


def test_a_token_that_may_not_do_it_is_told_which_permission_it_lacks(job: Job, world: World) -> None:
    made = run(job, github_token=world.github.job_token(permissions={"contents": "read"}))

    assert made.code == 0
    (warning,) = made.log.of_kind("warning")
    assert "deployments: write" in warning.message
    assert made.errors == []


def test_a_rate_limit_is_a_warning_and_not_waited_for(job: Job, world: World) -> None:
    token = world.github.job_token(permissions=WRITES)
    world.github.use_up_requests(token)

    made = run(job, github_token=token)

    assert made.code == 0
    (warning,) = made.log.of_kind("warning")
    assert "rate limit" in warning.message


# The question


def test_a_service_that_does_not_answer_fails_the_run_and_says_what_to_look_at(job: Job) -> None:
    run(job)

    asked = run(job, token=True, question='{"a": 1}', question_timeout="1")

    assert asked.code == 1
    (error,) = asked.errors
    assert "was not answered within 1 s" in error
    assert "the question was not answered" in asked.summary
    assert asked.outputs["answer"] == ""
    assert asked.outputs["revision"]
    assert states(job)[-1][1] == ["in_progress", "failure"]
    assert [topic["name"] for topic in asked.world["topics"]["topics"]] == [asked.outputs["topic_name"]]


def test_a_deployment_that_does_not_answer_is_rolled_back_where_that_is_wanted(job: Job) -> None:
    first = run(job)
    job.commit({"more.txt": "1"})

    asked = run(job, question="1", question_timeout="1", rollback_on_failure="true")

    assert asked.code == 1
    assert asked.outputs["revision"] == first.outputs["revision"]
    assert asked.outputs["image"] == first.outputs["image"]
    (error,) = asked.errors
    assert f"So the traffic is back on {first.outputs['revision']}, which served before." in error
    assert run(job, "drift").code == 1


def test_a_first_deployment_that_does_not_answer_has_nothing_to_go_back_to(job: Job) -> None:
    asked = run(job, question="1", question_timeout="1", rollback_on_failure="true")

    assert asked.code == 1
    (error,) = asked.errors
    assert "It was not rolled back. " in error
    assert "no revision before this deployment" in error


def test_an_unchanged_service_that_does_not_answer_is_left_as_it_is(job: Job) -> None:
    run(job)
    job.commit({"more.txt": "1"})
    second = run(job)

    asked = run(job, question="1", question_timeout="1", rollback_on_failure="true", revision="my-org-sum-00001-abc")

    assert asked.code == 1
    assert asked.outputs["revision"] == second.outputs["revision"]
    assert "nothing that it could take back" in asked.errors[0]


def test_a_run_that_is_cancelled_before_it_rolls_back_says_what_stands(job: Job, world: World) -> None:
    run(job)
    job.commit({"more.txt": "1"})
    cancellation = Cancellation()

    def cancel(answer: object) -> object:
        cancellation.ask()
        return answer

    world.faults.add(faults.Fault(method="*/ListRevisions", change=cancel))
    inputs = {"github_token": world.github.job_token(permissions=WRITES)}
    inputs |= {"question": "1", "question_timeout": "1", "rollback_on_failure": "true"}

    ended = job.here(job.environment(inputs, event_name="workflow_dispatch"), cancellation)

    assert ended.code == 130
    assert "Nothing was changed" not in ended.readable
    assert "It could not be rolled back." in ended.summary
    assert states(job)[-1][1] == ["in_progress", "failure"]


def test_a_question_is_not_asked_where_the_deployment_failed(job: Job) -> None:
    job.commit({"Dockerfile": BROKEN})

    failed = run(job, question="1", question_timeout="1")

    assert failed.code == 1
    assert not any(method.endswith("/Publish") for method in failed.writes)


@pytest.fixture(scope="module")
def wind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """A workflow of the example's repository."""
    with job_of_small_service(tmp_path_factory.mktemp("wind")) as job:
        for file in wind_yield.EXAMPLE.iterdir():
            if file.is_file():
                (job.workspace / file.name).write_text(file.read_text())
        job.commit()
        yield job


WIND = json.dumps({"hourly_wind_speeds": wind_yield.WIND_SPEEDS, "rated_power": wind_yield.RATED_POWER})


def test_the_answer_of_octues_own_service_is_in_the_outputs_and_in_the_summary(wind: Job) -> None:
    asked = run(wind, question=WIND)

    assert asked.code == 0, asked.stdout
    assert json.loads(asked.outputs["answer"]) == wind_yield.answer()
    assert "Answered in" in asked.summary
    assert "energy_yield" in asked.summary
    assert "What the service logged" in asked.summary
    assert [t["name"] for t in asked.world["topics"]["topics"]] == [asked.outputs["topic_name"]]


def test_an_analysis_that_fails_is_told_with_the_services_log(wind: Job) -> None:
    asked = run(wind, question='{"hourly_wind_speeds": "none", "rated_power": 1}')

    assert asked.code == 1
    assert "The service answered with an error" in asked.errors[0]
    assert "Traceback (most recent call last)" in asked.summary
