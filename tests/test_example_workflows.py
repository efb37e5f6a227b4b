"""The workflows of the example, run from their files as GitHub runs them, against a cloud and a GitHub on this machine.

One story, told by fixtures: each is the next thing that happens in the repository, and keeps what could be seen just
after it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from google.cloud import iam_admin_v1, run_v2
from google.protobuf.field_mask_pb2 import FieldMask

from emulator.rpc import SYSTEM
from emulator.server import Emulator
from emulator.services.github_repositories import numeric_id
from emulator.world import World, WorldSettings
from octue_action.project_setup import attribute_condition
from tests import wind_yield
from tests.github_runner import Event, StepResult, WorkflowRun, Workflows, by_hand
from tests.github_runner.workflows import git
from tests.runs import LAYERS, PLAN, ROOT, Job

REPOSITORY = "my-org/wind-yield"
FORK = "somebody/wind-yield"
OWN = "octue/deploy-cloud-run-action@v0"
PROGRAM = [sys.executable, "-E", "-s", str(ROOT / "entrypoint.py")]
"""What the action's image runs."""

AUTHOR = ("-c", "user.name=GitHub", "-c", "user.email=noreply@github.com")

SERVICE = "wind-yield"
PREVIEW = "wind-yield-pr-1"
ENVIRONMENT, PREVIEW_ENVIRONMENT = f"{SERVICE} (my-project)", f"{PREVIEW} (my-project)"
SERVICE_NAME = f"projects/my-project/locations/europe-west1/services/{SERVICE}"
NIGHTLY = Event("schedule", payload={"schedule": "17 3 * * *"})


class EmulatedGitHub:
    """The emulator's GitHub, as the repository's workflows see it."""

    def __init__(self, world: World) -> None:
        self._world = world

    def start_run(self, event: Event, workflow: str) -> Mapping[str, str]:
        run: dict[str, Any] = {"ref": event.ref, "event_name": event.name, "workflow": workflow}
        if event.name == "pull_request":
            told: Any = event.payload["pull_request"]
            head = told["head"]
            run |= {"action": event.payload["action"], "head_ref": head["ref"], "head_sha": head["sha"]}
            run["head_repository"] = head["repo"]["full_name"]
        return self._world.github.start_run(**run)

    def job_token(self, permissions: Mapping[str, str]) -> str:
        return self._world.github.job_token(permissions=permissions)


@dataclass(frozen=True)
class Chapter:
    """Something that happened, the workflows that it started, and what there was afterwards.

    :param commit: the newest one of what it happened to; of a pull request that of its branch.
    :param runs: by the names of the workflows' files.
    :param world: everything in the cloud and on GitHub.
    """

    commit: str
    runs: Mapping[str, WorkflowRun]
    world: Mapping[str, Any]

    @property
    def run(self) -> WorkflowRun:
        """The one workflow that was started."""
        (run,) = self.runs.values()
        return run

    @property
    def step(self) -> StepResult:
        """The one step of an action in it."""
        (step,) = (step for job in self.run.jobs.values() for step in job.all_steps)
        return step

    @property
    def github(self) -> Mapping[str, Any]:
        """What there is in the repository."""
        shown: Mapping[str, Any] = self.world["github"].get(REPOSITORY, {"issues": [], "deployments": []})
        return shown

    @property
    def issues(self) -> list[Any]:
        """Those that are no pull requests."""
        return [issue for issue in self.github["issues"] if "pull_request" not in issue]

    @property
    def comments(self) -> list[Any]:
        """Those on pull requests."""
        return [comment for issue in self.github["issues"] for comment in issue["comments"]]

    def deployments(self, environment: str) -> list[list[str]]:
        """The states that each deployment to an environment went through, the oldest first."""
        return [
            [status["state"] for status in deployment["statuses"]]
            for deployment in self.github["deployments"]
            if deployment["environment"] == environment
        ]

    def service(self, name: str = SERVICE) -> Any:
        """The Cloud Run service of that name."""
        return next(each for each in self.world["services"]["services"] if each["name"].endswith(f"/{name}"))

    @property
    def topics(self) -> list[str]:
        """Those on which something is asked: those for answers are of who asked."""
        names = [topic["name"] for topic in self.world["topics"].get("topics", [])]
        return [name for name in names if ".answers." not in name]

    @property
    def in_google_cloud(self) -> dict[str, Any]:
        """All that stays as it is where nothing was changed: builds and images only become more."""
        return {
            **{kind: found for kind, found in self.world.items() if kind not in {"builds", "github"}},
            "topics": self.topics,
            "policies": {
                name: sorted(policy.get("bindings", []), key=str) for name, policy in self.world["policies"].items()
            },
        }


class Story:
    """The repository and what becomes of it."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.emulator = emulator
        self.world = emulator.world
        self._job = Job(emulator, folder / "repository")
        self._job.commit()
        self.empty = Chapter("", {}, self._job.look()).in_google_cloud
        self._workflows = Workflows(
            repository=self._job.workspace,
            folder=folder / "runner",
            github=EmulatedGitHub(self.world),
            others={OWN: ROOT},
            command=PROGRAM,
            env={"GOOGLE_CLOUD_EMULATOR_HOST": emulator.address},
        )

    def happens(self, event: Event) -> Chapter:
        """Let something happen, and wait until all that it started is over."""
        told: Any = event.payload.get("pull_request")
        commit = told["head"]["sha"] if told else self._git("rev-parse", event.ref)
        return Chapter(commit, self._workflows.run(event), self._job.look())

    def push(self, rated: float | None = None) -> Chapter:
        """Commit and push to main, which Cloud Build is told of, too.

        :param rated: another rated wind speed in the program.
        """
        sha = self._commit(rated)
        self.world.cloud_build.push(REPOSITORY, "refs/heads/main", sha)
        return self.happens(Event("push"))

    def propose(self, number: int, action: str, rated: float | None = None, repository: str = REPOSITORY) -> Chapter:
        """Push to the branch of a pull request, which GitHub tries to merge.

        :param action: what happens to the pull request by that.
        :param rated: another rated wind speed in the program.
        :param repository: where its branch is.
        """
        branch, merge_ref = f"change-{number}", f"refs/pull/{number}/merge"
        self._git("switch", "--quiet", *(("--create",) if action == "opened" else ()), branch)
        sha = self._commit(rated)
        self._git("switch", "--quiet", "main")
        merge = self._git(*AUTHOR, "commit-tree", f"{branch}^{{tree}}", "-p", "main", "-p", branch, "-m", "Merge")
        self._git("update-ref", merge_ref, merge)
        head = {"ref": branch, "sha": sha, "repo": {"full_name": repository}}
        payload: dict[str, Any] = {"action": action, "number": number, "pull_request": {"head": head}}
        return self.happens(Event("pull_request", merge_ref, payload))

    def ask(self, step: StepResult) -> dict[str, Any]:
        """Ask the service that a step deployed, through its topic."""
        return wind_yield.ask(step.outputs["service_id"], self.emulator.address)

    def _commit(self, rated: float | None) -> str:
        """The newest commit of the branch; a new one where the rated wind speed is to be another."""
        if rated is None:
            return self._git("rev-parse", "HEAD")
        text = (self._job.workspace / "app.py").read_text()
        return self._job.commit({"app.py": re.sub("RATED = [0-9.]+", f"RATED = {rated}", text)})

    def _git(self, *arguments: str) -> str:
        return git(self._job.workspace, *arguments)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("example")
    wind_yield.check_out(folder / "repository")
    settings = WorldSettings(
        state=folder / "state",
        cache=LAYERS,
        repositories={REPOSITORY: folder / "repository"},
        repository_visibility="private",
    )
    with Emulator(settings) as emulator:
        _set_up(emulator.world)
        yield Story(emulator, folder)


def _set_up(world: World) -> None:
    """What the workflows take for granted: an account that builds, and the provider that the set-up makes for them."""
    builder = iam_admin_v1.CreateServiceAccountRequest(name="projects/my-project", account_id="builder")
    world.iam.create_service_account(builder, SYSTEM)
    owner_id, repository_id = numeric_id(REPOSITORY.partition("/")[0]), numeric_id(REPOSITORY)
    condition = attribute_condition(str(owner_id), str(repository_id), pull_requests=True)
    world.sts.provider = replace(world.sts.provider, condition=condition)


@pytest.fixture(scope="module")
def deployed(story: Story) -> Chapter:
    """The first push to main."""
    return story.push()


@pytest.fixture(scope="module")
def opened(story: Story, deployed: Chapter) -> Chapter:  # noqa: ARG001 - comes after it
    """A pull request with other code."""
    return story.propose(1, "opened", 12.0)


@pytest.fixture(scope="module")
def preview_answer(story: Story, opened: Chapter) -> dict[str, Any]:
    """What the preview answers."""
    return story.ask(_preview(opened))


@pytest.fixture(scope="module")
def pushed_to(story: Story, preview_answer: dict[str, Any]) -> Chapter:  # noqa: ARG001 - comes after it
    """Another commit in the pull request."""
    return story.propose(1, "synchronize", 14.0)


@pytest.fixture(scope="module")
def second_preview_answer(story: Story, pushed_to: Chapter) -> dict[str, Any]:
    """What the preview answers then."""
    return story.ask(_preview(pushed_to))


@pytest.fixture(scope="module")
def closed(story: Story, second_preview_answer: dict[str, Any]) -> Chapter:  # noqa: ARG001 - comes after it
    """The pull request is closed and not merged."""
    return story.propose(1, "closed")


@pytest.fixture(scope="module")
def from_fork(story: Story, closed: Chapter) -> Chapter:  # noqa: ARG001 - comes after it
    """A pull request from somebody else's repository."""
    return story.propose(2, "opened", 1.0, FORK)


@pytest.fixture(scope="module")
def quiet_night(story: Story, from_fork: Chapter) -> Chapter:  # noqa: ARG001 - comes after it
    """A night after which all is as it was deployed."""
    return story.happens(NIGHTLY)


@pytest.fixture(scope="module")
def night_after_a_change(story: Story, quiet_night: Chapter) -> Chapter:  # noqa: ARG001 - comes after it
    """A night after somebody has changed the service in the console."""
    service = run_v2.Service(story.world.cloud_run.find(SERVICE_NAME).service)
    (container,) = service.template.containers
    container.resources.limits["memory"] = "1Gi"
    next(variable for variable in container.env if variable.name == "USE_OCTUE_LOG_HANDLER").value = "0"
    request = run_v2.UpdateServiceRequest(service=service, update_mask=FieldMask(paths=["template"]))
    operation = story.world.cloud_run.services[0].update_service(request, SYSTEM)
    assert story.world.operations.wait(operation.name, 30).done
    return story.happens(NIGHTLY)


@pytest.fixture(scope="module")
def next_night(story: Story, night_after_a_change: Chapter) -> Chapter:  # noqa: ARG001 - comes after it
    """The night after that, in which nothing is other than before."""
    return story.happens(NIGHTLY)


@pytest.fixture(scope="module")
def deployed_again(story: Story, next_night: Chapter) -> Chapter:  # noqa: ARG001 - comes after it
    """Somebody runs the deployment of the newest commit again."""
    return story.happens(Event("push"))


@pytest.fixture(scope="module")
def good_night(story: Story, deployed_again: Chapter) -> Chapter:  # noqa: ARG001 - comes after it
    """The night after that."""
    return story.happens(NIGHTLY)


@pytest.fixture(scope="module")
def new_code(story: Story, good_night: Chapter) -> Chapter:  # noqa: ARG001 - comes after it
    """A push of new code to main."""
    return story.push(11.0)


@pytest.fixture(scope="module")
def rolled_back(story: Story, new_code: Chapter) -> Chapter:  # noqa: ARG001 - comes after it
    """Somebody rolls it back."""
    return story.happens(by_hand("rollback.yml"))


@pytest.fixture(scope="module")
def answer_after_rollback(story: Story, rolled_back: Chapter) -> dict[str, Any]:
    """What the service answers then."""
    return story.ask(rolled_back.step)


@pytest.fixture(scope="module")
def not_destroyed(story: Story, answer_after_rollback: dict[str, Any]) -> Chapter:  # noqa: ARG001 - comes after it
    """Somebody wants to destroy it, and mistypes its name."""
    return story.happens(by_hand("destroy.yml", confirm="wind-yeild"))


@pytest.fixture(scope="module")
def destroyed(story: Story, not_destroyed: Chapter) -> Chapter:  # noqa: ARG001 - comes after it
    """Somebody destroys it."""
    return story.happens(by_hand("destroy.yml", confirm="wind-yield"))


@pytest.fixture(scope="module")
def erased(story: Story, destroyed: Chapter) -> Chapter:  # noqa: ARG001 - comes after it
    """Somebody destroys what is left of it, its topic too."""
    return story.happens(by_hand("destroy.yml", confirm="wind-yield", delete_topic="true"))


def _preview(chapter: Chapter) -> StepResult:
    return chapter.run.jobs["preview"].all_steps[0]


def _succeeded(chapter: Chapter, *jobs: str) -> None:
    """See that these jobs succeeded and no other ran, without errors or warnings."""
    ran = {id_: job.conclusion for id_, job in chapter.run.jobs.items() if job.conclusion != "skipped"}
    assert ran == dict.fromkeys(jobs, "success"), _logs(chapter)
    for job in chapter.run.jobs.values():
        for step in job.all_steps:
            assert not step.annotations, _logs(chapter)
            PLAN.validate(json.loads(step.outputs["plan"]))


def _logs(chapter: Chapter) -> str:
    return "\n\n".join(step.log.text for job in chapter.run.jobs.values() for step in job.all_steps)


# A push to main


def test_a_push_to_main_deploys(deployed: Chapter) -> None:
    assert list(deployed.runs) == ["deploy.yml"]
    _succeeded(deployed, "deploy")
    assert deployed.step.outputs["revision"].startswith("wind-yield-00001-")
    assert (deployed.run.jobs["deploy"].called["deploy"].concurrency or "").startswith("octue-deploy-")


def test_a_job_may_do_what_its_workflow_says_and_no_more(deployed: Chapter) -> None:
    permissions = {"contents": "read", "id-token": "write", "deployments": "write"}
    assert deployed.run.jobs["deploy"].permissions == permissions
    assert deployed.github["issues"] == []


def test_the_deployment_is_shown_on_github(deployed: Chapter) -> None:
    assert deployed.deployments(ENVIRONMENT) == [["in_progress", "success"]]


# A pull request


def test_a_pull_request_gets_a_service_of_its_own_that_answers(
    deployed: Chapter, opened: Chapter, preview_answer: dict[str, Any]
) -> None:
    assert list(opened.runs) == ["preview.yml"]
    _succeeded(opened, "preview", "plan")
    assert opened.run.jobs["preview"].outputs["topic_name"] not in deployed.topics
    assert opened.run.jobs["preview"].outputs["topic_name"] in opened.topics
    assert opened.service() == deployed.service()
    assert preview_answer == wind_yield.answer(12.0)


def test_the_preview_is_of_what_is_on_the_branch_and_runs_beside_the_plan(opened: Chapter) -> None:
    preview, plan = opened.run.jobs["preview"], opened.run.jobs["plan"]
    (container,) = opened.service(PREVIEW)["template"]["containers"]
    assert [job.called["deploy"].checked_out for job in (preview, plan)] == [(opened.commit,)] * 2
    assert container["image"].endswith(f":{opened.commit}")
    assert preview.outputs["image"] == plan.outputs["image"] == container["image"]
    groups = [job.called["deploy"].concurrency or "" for job in (preview, plan)]
    assert groups[0] == f"octue-deploy-{REPOSITORY}---octue.yaml--pr-1"
    assert groups[1].startswith(f"octue-deploy-{REPOSITORY}---octue.yaml---reading-")


def test_each_job_of_a_pull_request_may_write_what_it_shows(opened: Chapter) -> None:
    assert {id_: job.permissions for id_, job in opened.run.jobs.items()} == {
        "preview": {"contents": "read", "id-token": "write", "deployments": "write"},
        "plan": {"contents": "read", "id-token": "write", "pull-requests": "write"},
    }


def test_the_preview_is_shown_as_a_deployment(opened: Chapter) -> None:
    assert opened.deployments(PREVIEW_ENVIRONMENT) == [["in_progress", "success"]]
    assert opened.deployments(ENVIRONMENT) == [["in_progress", "success"]]
    assert opened.github["deployments"][-1]["sha"] == opened.commit


def test_the_plan_is_one_comment_about_the_service_itself(opened: Chapter) -> None:
    (comment,) = opened.comments
    assert "wind-yield: the plan" in comment["body"]
    assert opened.run.jobs["plan"].outputs["image"] in comment["body"]


def test_another_commit_changes_the_same_preview(
    opened: Chapter, pushed_to: Chapter, second_preview_answer: dict[str, Any]
) -> None:
    _succeeded(pushed_to, "preview", "plan")
    assert pushed_to.run.jobs["preview"].outputs["topic_name"] == opened.run.jobs["preview"].outputs["topic_name"]
    assert second_preview_answer == wind_yield.answer(14.0)


def test_each_commit_of_the_preview_is_shown_as_a_deployment(pushed_to: Chapter) -> None:
    """GitHub itself makes none of them inactive, as their environment is transient."""
    states = pushed_to.deployments(PREVIEW_ENVIRONMENT)
    assert states == [["in_progress", "success", "inactive"], ["in_progress", "success"]]


def test_another_commit_changes_the_same_comment(opened: Chapter, pushed_to: Chapter) -> None:
    (before,), (after,) = opened.comments, pushed_to.comments
    assert after["id"] == before["id"]
    assert pushed_to.run.jobs["plan"].outputs["image"] in after["body"]
    assert opened.run.jobs["plan"].outputs["image"] not in after["body"]


def test_when_the_pull_request_is_closed_the_preview_is_gone_without_a_trace(
    deployed: Chapter, closed: Chapter
) -> None:
    _succeeded(closed, "preview")
    assert closed.run.jobs["plan"].conclusion == "skipped"
    assert closed.in_google_cloud == deployed.in_google_cloud
    assert [states[-1] for states in closed.deployments(PREVIEW_ENVIRONMENT)] == ["inactive", "inactive"]


def test_for_a_pull_request_from_a_fork_no_job_runs(closed: Chapter, from_fork: Chapter) -> None:
    assert from_fork.run.conclusion == "skipped"
    assert {job.conclusion for job in from_fork.run.jobs.values()} == {"skipped"}
    assert from_fork.in_google_cloud == closed.in_google_cloud


# Drift


def test_a_night_without_drift_is_green_and_opens_no_issue(quiet_night: Chapter) -> None:
    assert list(quiet_night.runs) == ["drift.yml"]
    _succeeded(quiet_night, "drift")
    assert quiet_night.issues == []


def test_what_was_changed_by_hand_is_drift_and_one_issue_names_it(night_after_a_change: Chapter) -> None:
    (issue,) = night_after_a_change.issues
    assert night_after_a_change.run.conclusion == "failure"
    assert night_after_a_change.step.exit_code == 1
    for text in ("memory: is 1Gi, wanted 512Mi", "environment[USE_OCTUE_LOG_HANDLER]: differs"):
        assert text in issue["body"]
    assert "memory: 1Gi → 512Mi" in night_after_a_change.step.log.text


def test_looking_for_drift_changes_nothing(night_after_a_change: Chapter) -> None:
    (container,) = night_after_a_change.service()["template"]["containers"]
    assert container["resources"]["limits"]["memory"] == "1Gi"


def test_the_same_drift_the_next_night_is_the_same_issue(night_after_a_change: Chapter, next_night: Chapter) -> None:
    (before,), (after,) = night_after_a_change.issues, next_night.issues
    assert next_night.run.conclusion == "failure"
    assert (after["number"], after["state"]) == (before["number"], "open")
    assert after["comments"] == []


def test_a_deployment_changes_it_back_and_builds_nothing(next_night: Chapter, deployed_again: Chapter) -> None:
    (container,) = deployed_again.service()["template"]["containers"]
    _succeeded(deployed_again, "deploy")
    assert container["resources"]["limits"]["memory"] == "512Mi"
    assert deployed_again.world["builds"] == next_night.world["builds"]


def test_the_night_after_it_is_green_and_closes_the_issue(good_night: Chapter) -> None:
    (issue,) = good_night.issues
    _succeeded(good_night, "drift")
    assert (issue["state"], issue["state_reason"]) == ("closed", "completed")


# The way back


def test_new_code_makes_a_revision_that_serves(new_code: Chapter) -> None:
    _succeeded(new_code, "deploy")
    assert new_code.step.outputs["revision"] == _serving(new_code)


def test_a_rollback_gives_the_traffic_to_the_revision_before(
    deployed_again: Chapter, rolled_back: Chapter, answer_after_rollback: dict[str, Any]
) -> None:
    assert list(rolled_back.runs) == ["rollback.yml"]
    _succeeded(rolled_back, "rollback")
    assert rolled_back.run.jobs["rollback"].outputs["revision"] == deployed_again.step.outputs["revision"]
    assert _serving(rolled_back) == deployed_again.step.outputs["revision"]
    assert answer_after_rollback == wind_yield.answer()


def test_a_rollback_is_shown_as_a_deployment(rolled_back: Chapter) -> None:
    *before, newest = rolled_back.deployments(ENVIRONMENT)
    assert newest == ["in_progress", "success"]
    assert {states[-1] for states in before} == {"inactive"}


# The end


def test_with_another_name_nothing_is_destroyed(rolled_back: Chapter, not_destroyed: Chapter) -> None:
    assert list(not_destroyed.runs) == ["destroy.yml"]
    assert not_destroyed.run.conclusion == "failure"
    assert not_destroyed.step.exit_code == 2
    assert not_destroyed.in_google_cloud == rolled_back.in_google_cloud
    assert not_destroyed.github == rolled_back.github


def test_with_its_name_the_service_is_destroyed_and_its_topic_is_kept(deployed: Chapter, destroyed: Chapter) -> None:
    _succeeded(destroyed, "destroy")
    assert destroyed.world["services"] == {}
    assert destroyed.world["event_triggers"] == {}
    assert destroyed.world["build_triggers"] == {}
    assert destroyed.topics == deployed.topics


def test_a_destroyed_service_has_no_active_deployment(destroyed: Chapter) -> None:
    assert {states[-1] for states in destroyed.deployments(ENVIRONMENT)} == {"inactive"}


def test_with_its_topic_nothing_is_left(story: Story, erased: Chapter) -> None:
    _succeeded(erased, "destroy")
    assert erased.in_google_cloud == story.empty


def _serving(chapter: Chapter) -> str:
    """The revision that has all the traffic."""
    (target,) = chapter.service()["trafficStatuses"]
    assert target["percent"] == 100
    return str(target["revision"] if "revision" in target else chapter.service()["latestReadyRevision"]).rpartition(
        "/"
    )[2]
