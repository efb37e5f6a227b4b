"""A real Octue service, deployed by the action into a local cloud and asked through its topic, commit by commit.

One story, told by fixtures: each is the next push to the same repository, and keeps what could be seen just after it.
"""

from __future__ import annotations

import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from emulator.server import Emulator
from emulator.world import World, WorldSettings
from tests import wind_yield
from tests.runs import LAYERS, REPOSITORY, Job, Run

MOST_REQUESTS = 45
PROJECT = "projects/my-project"
LOCATION = f"{PROJECT}/locations/europe-west1"
SERVICE = f"{LOCATION}/services/wind-yield"
ACCOUNT = "wind-yield@my-project.iam.gserviceaccount.com"
IMAGES = "europe-west1-docker.pkg.dev/my-project/wind-yield/wind-yield"
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"

FASTER = {"RATED = 13.0": "RATED = 12.0"}
SLOWER = {"RATED = 12.0": "RATED = 14.0"}


@dataclass(frozen=True)
class Chapter:
    """A push, the run of the action for it, and what the service answered afterwards.

    :param sha: the commit.
    """

    sha: str
    run: Run
    answer: dict[str, Any]

    @property
    def builds(self) -> list[Any]:
        """All builds until then, the newest first."""
        return list(self.run.world["builds"]["builds"])


class Story:
    """The repository and what becomes of it.

    :param emulator: the cloud.
    :param job: of the repository's workflow.
    """

    def __init__(self, emulator: Emulator, job: Job) -> None:
        self.emulator = emulator
        self.job = job
        self.empty = job.look()
        self.original = (job.workspace / "Dockerfile").read_text()

    def changed(self, name: str, changes: dict[str, str]) -> dict[str, str]:
        """A file with some of its text changed."""
        text = (self.job.workspace / name).read_text()
        for before, after in changes.items():
            assert before in text
            text = text.replace(before, after)
        return {name: text}

    def chapter(self, sha: str, *, event_name: str = "push") -> Chapter:
        """Run the action, and ask."""
        run = self.job.step(event_name=event_name)
        service_id = run.outputs["service_id"]
        return Chapter(sha, run, wind_yield.ask(service_id, self.emulator.address))

    def push(self, files: dict[str, str]) -> Chapter:
        """Commit and push; Cloud Build hears of it when the action is already looking for the build of the push."""
        sha = self.job.commit(files)
        over = threading.Event()
        before = len(self.job.world.requests)
        notice = threading.Thread(target=self._tell_cloud_build, args=(sha, before, over))
        notice.start()
        try:
            return self.chapter(sha)
        finally:
            over.set()
            notice.join()

    def _tell_cloud_build(self, sha: str, before: int, over: threading.Event) -> None:
        while not over.wait(0.05):
            if any(request.method.endswith("/ListBuilds") for request in list(self.job.world.requests)[before:]):
                self.job.world.cloud_build.push(REPOSITORY, "refs/heads/main", sha)
                return


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("deployment")
    workspace = folder / "repository"
    wind_yield.check_out(workspace)
    settings = WorldSettings(state=folder / "state", cache=LAYERS, repositories={REPOSITORY: workspace})
    with Emulator(settings) as emulator:
        yield Story(emulator, Job(emulator, workspace))


@pytest.fixture(scope="module")
def world(story: Story) -> World:
    return story.job.world


@pytest.fixture(scope="module")
def first(story: Story) -> Chapter:
    """The first commit, before there is anything."""
    return story.chapter(story.job.commit())


@pytest.fixture(scope="module")
def again(story: Story, first: Chapter) -> Chapter:
    """The same commit once more."""
    return story.chapter(first.sha)


@pytest.fixture(scope="module")
def new_code(story: Story, again: Chapter) -> Chapter:  # noqa: ARG001 - comes after it
    """A push of new code, which also starts the build trigger."""
    return story.push(story.changed("app.py", FASTER))


@pytest.fixture(scope="module")
def new_settings(story: Story, new_code: Chapter) -> Chapter:  # noqa: ARG001 - comes after it
    """A push of another octue.yaml."""
    return story.push(story.changed("octue.yaml", {"512Mi": "1Gi"}))


@pytest.fixture(scope="module")
def unbuildable(story: Story, new_settings: Chapter) -> Chapter:  # noqa: ARG001 - comes after it
    """A commit that cannot be built, deployed by hand."""
    sha = story.job.commit(story.changed("Dockerfile", {"WORKDIR /app": "WORKDIR /app\nRUN exit 7"}))
    return story.chapter(sha, event_name="workflow_dispatch")


@pytest.fixture(scope="module")
def crashing(story: Story, unbuildable: Chapter) -> Chapter:  # noqa: ARG001 - comes after it
    """A commit whose program ends as soon as it is started, deployed by hand."""
    crash = "CMD exec python -c 'raise SystemExit(\"no wind today\")'\n"
    dockerfile = story.original.partition("# No worker timeout")[0] + crash
    return story.chapter(story.job.commit({"Dockerfile": dockerfile}), event_name="workflow_dispatch")


@pytest.fixture(scope="module")
def crashing_again(story: Story, crashing: Chapter) -> Chapter:
    """The same commit once more; its image is there already."""
    return story.chapter(crashing.sha, event_name="workflow_dispatch")


@pytest.fixture(scope="module")
def mended(story: Story, crashing_again: Chapter) -> Chapter:  # noqa: ARG001 - comes after it
    """A push that puts it right, with new code."""
    return story.push({"Dockerfile": story.original, **story.changed("app.py", SLOWER)})


# From nothing


def test_a_deployment_from_nothing_succeeds_within_few_requests(first: Chapter) -> None:
    assert first.run.code == 0, first.run.stdout
    assert first.run.stderr == ""
    assert first.run.errors == []
    assert len(first.run.requests) <= MOST_REQUESTS
    assert [request.status for request in first.run.requests if request.status not in {"OK", "NOT_FOUND"}] == []


def test_the_service_answers_octues_own_client(first: Chapter) -> None:
    assert first.answer == wind_yield.answer()


def test_the_outputs_say_where_everything_is(first: Chapter, world: World) -> None:
    outputs = dict(first.run.outputs)
    assert re.fullmatch(UUID, outputs["service_id"])
    assert outputs["topic_name"] == f"{PROJECT}/topics/octue.services.{outputs['service_id']}"
    assert outputs["service_account"] == ACCOUNT
    assert outputs["image"] == f"{IMAGES}:{first.sha}"
    assert outputs["service_url"] == world.cloud_run.service_uri("my-project", "europe-west1", "wind-yield")
    assert re.fullmatch(r"wind-yield-00001-[a-z]{3}", outputs["revision"])
    assert outputs["build_log_url"] == first.builds[0]["logUrl"]
    assert outputs["changed"] == "true"
    assert '"has_changes":true' in outputs["plan"]
    assert f'"service_id": "{outputs["service_id"]}"' in outputs["services"]


def test_the_summary_says_how_to_ask(first: Chapter) -> None:
    assert "wind-yield deployed" in first.run.summary
    assert first.run.outputs["topic_name"] in first.run.summary
    assert f"id=&quot;{first.run.outputs['service_id']}&quot;" in first.run.summary
    assert first.run.outputs["build_log_url"].partition("?")[0] in first.run.summary


def test_the_cloud_run_service_is_as_octue_needs_it(first: Chapter) -> None:
    (service,) = first.run.world["services"]["services"]
    template = service["template"]
    (container,) = template["containers"]
    assert service["name"] == SERVICE
    assert service["ingress"] == "INGRESS_TRAFFIC_INTERNAL_ONLY"
    assert not service.get("invokerIamDisabled", False)
    assert template["timeout"] == "3600s"
    assert template["serviceAccount"] == ACCOUNT
    assert template["scaling"]["maxInstanceCount"] == 2
    assert container["image"] == f"{IMAGES}:{first.sha}"
    assert container["resources"]["limits"]["memory"] == "512Mi"
    assert {variable["name"]: variable["value"] for variable in container["env"]} == {
        "SERVICE_ID": first.run.outputs["service_id"],
        "COMPUTE_PROVIDER": "GOOGLE_CLOUD_RUN",
        "USE_OCTUE_LOG_HANDLER": "1",
    }


def test_all_that_takes_labels_says_whose_it_is(first: Chapter, world: World) -> None:
    labels = {
        "managed-by": "octue-action",
        "octue-service": "wind-yield",
        "github-repository-id": world.github.start_run()["GITHUB_REPOSITORY_ID"],
    }
    seen = first.run.world
    (service,) = seen["services"]["services"]
    (topic,) = seen["topics"]["topics"]
    (trigger,) = seen["event_triggers"]["triggers"]
    (repository,) = seen["image_repositories"]["repositories"]
    (build_trigger,) = seen["build_triggers"]["triggers"]
    assert [service["labels"], topic["labels"], trigger["labels"], repository["labels"]] == [labels] * 4
    assert build_trigger["tags"] == [f"{key}-{value}" for key, value in labels.items()]


def test_questions_are_carried_by_one_trigger_that_waits_long_enough(first: Chapter) -> None:
    (trigger,) = first.run.world["event_triggers"]["triggers"]
    (subscription,) = first.run.world["subscriptions"]["subscriptions"]
    assert trigger["name"] == f"{LOCATION}/triggers/wind-yield"
    assert trigger["transport"]["pubsub"] == {
        "topic": first.run.outputs["topic_name"],
        "subscription": subscription["name"],
    }
    assert trigger["serviceAccount"] == ACCOUNT
    assert subscription["pushConfig"]["oidcToken"]["serviceAccountEmail"] == ACCOUNT
    assert subscription["ackDeadlineSeconds"] == 600
    assert subscription["expirationPolicy"] == {}


def test_only_the_triggers_account_may_call_the_service(first: Chapter) -> None:
    before_and_after = first.run.world["policies"]
    assert before_and_after[SERVICE]["bindings"] == [
        {"role": "roles/run.invoker", "members": [f"serviceAccount:{ACCOUNT}"]}
    ]
    elsewhere = [
        name
        for name, policy in before_and_after.items()
        for binding in policy.get("bindings", [])
        if binding["role"] == "roles/run.invoker" and name != SERVICE
    ]
    assert elsewhere == []


def test_nothing_else_in_the_projects_policy_is_touched(story: Story, first: Chapter) -> None:
    before, after = (dict(seen["policies"][PROJECT]) for seen in (story.empty, first.run.world))
    ours = {"role": f"{PROJECT}/roles/octue_service_user", "members": [f"serviceAccount:{ACCOUNT}"]}
    assert ours in after["bindings"]
    assert _sorted([each for each in after["bindings"] if each != ours]) == _sorted(before["bindings"])
    assert any("condition" in each for each in after["bindings"])
    assert after["auditConfigs"] == before["auditConfigs"]


def test_no_policy_is_written_but_the_projects_and_the_services(story: Story, first: Chapter) -> None:
    before, after = story.empty["policies"], first.run.world["policies"]
    assert {name for name in after if after[name] != before.get(name)} == {PROJECT, SERVICE}


def test_the_image_has_the_whole_sha_as_its_tag(first: Chapter, world: World) -> None:
    assert len(first.sha) == 40
    assert world.artifact_registry.pull(f"{IMAGES}:{first.sha}").digest.startswith("sha256:")
    assert [build["status"] for build in first.builds] == ["SUCCESS"]


def test_no_token_can_be_read_anywhere(first: Chapter) -> None:
    assert first.run.log.masks
    assert not re.search(r"ya29\.|eyJ", first.run.readable)


def test_the_service_cannot_be_called_from_outside(story: Story, first: Chapter) -> None:
    host = first.run.outputs["service_url"].removeprefix("https://")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://{story.emulator.address}/{host}/", data=b"{}")
    assert refused.value.code == 404


def test_the_service_cannot_be_called_without_a_token_or_with_another_accounts(first: Chapter, world: World) -> None:
    url = first.run.outputs["service_url"]
    stranger = world.tokens.issue_id_token(world.iam.deployer, url)
    statuses = [
        world.cloud_run.request(url.removeprefix("https://"), "POST", "/", headers, b"{}", internal=True).status
        for headers in ({}, {"Authorization": f"Bearer {stranger}"})
    ]
    assert statuses == [403, 403]


# The same again


def test_the_same_commit_again_writes_nothing(first: Chapter, again: Chapter) -> None:
    assert again.run.code == 0
    assert again.run.writes == []
    assert again.builds == first.builds
    assert again.run.outputs["changed"] == "false"
    assert '"has_changes":false' in again.run.outputs["plan"]
    assert "is up to date" in again.run.summary


def test_the_outputs_of_the_same_commit_are_the_same(first: Chapter, again: Chapter) -> None:
    differing = {name for name, value in again.run.outputs.items() if value != first.run.outputs[name]}
    assert differing <= {"changed", "plan", "build_log_url", "services"}
    assert again.answer == wind_yield.answer()


# The next commits


def test_new_code_is_built_once_and_makes_one_revision_behind_the_same_topic(first: Chapter, new_code: Chapter) -> None:
    assert new_code.run.code == 0, new_code.run.stdout
    assert len(new_code.builds) == 2
    assert new_code.run.outputs["build_log_url"] == new_code.builds[0]["logUrl"]
    assert re.fullmatch(r"wind-yield-00002-[a-z]{3}", new_code.run.outputs["revision"])
    assert new_code.run.outputs["topic_name"] == first.run.outputs["topic_name"]
    assert new_code.run.outputs["image"] == f"{IMAGES}:{new_code.sha}"
    assert new_code.run.outputs["changed"] == "true"


def test_the_new_code_answers(new_code: Chapter) -> None:
    assert new_code.answer == wind_yield.answer(12.0) != wind_yield.answer()


def test_a_changed_octue_yaml_changes_the_service(new_settings: Chapter) -> None:
    (service,) = new_settings.run.world["services"]["services"]
    assert new_settings.run.code == 0, new_settings.run.stdout
    assert service["template"]["containers"][0]["resources"]["limits"]["memory"] == "1Gi"
    assert service["template"]["containers"][0]["image"] == f"{IMAGES}:{new_settings.sha}"
    assert "memory: 512Mi → 1Gi" in new_settings.run.stdout
    assert new_settings.answer == wind_yield.answer(12.0)


def test_a_failed_build_fails_the_step_and_says_where_to_look(unbuildable: Chapter) -> None:
    (error,) = unbuildable.run.errors
    assert unbuildable.run.code == 1
    assert "at the step `build`" in error
    assert unbuildable.builds[0]["logUrl"] in error
    assert unbuildable.builds[0]["logUrl"].partition("?")[0] in unbuildable.run.summary
    assert "the deployment failed" in unbuildable.run.summary


def test_after_a_failed_build_the_old_revision_answers(new_settings: Chapter, unbuildable: Chapter) -> None:
    assert unbuildable.run.world["services"] == new_settings.run.world["services"]
    assert unbuildable.answer == wind_yield.answer(12.0)


def test_a_program_that_does_not_start_fails_the_step_and_the_revision_before_goes_on_serving(
    new_settings: Chapter, crashing: Chapter
) -> None:
    (error,) = crashing.run.errors
    assert crashing.run.code == 1
    assert "failed to start and listen on the port" in error
    assert f"What served before goes on serving: {new_settings.run.outputs['revision']}." in error
    assert "the deployment failed" in crashing.run.summary


def test_a_failed_deployment_is_not_taken_for_done_when_it_is_run_again(
    crashing: Chapter, crashing_again: Chapter
) -> None:
    assert crashing_again.run.code == 1
    assert crashing_again.builds == crashing.builds
    assert any("failed to start and listen on the port" in error for error in crashing_again.run.errors)


def test_behind_a_program_that_does_not_start_the_old_revision_answers(
    new_settings: Chapter, crashing: Chapter, crashing_again: Chapter
) -> None:
    for chapter in (crashing, crashing_again):
        (service,) = chapter.run.world["services"]["services"]
        assert service["latestReadyRevision"].rpartition("/")[2] == new_settings.run.outputs["revision"]
        assert chapter.run.outputs["revision"] == new_settings.run.outputs["revision"]
        assert chapter.answer == wind_yield.answer(12.0)


def test_a_good_commit_puts_everything_right(first: Chapter, mended: Chapter) -> None:
    (service,) = mended.run.world["services"]["services"]
    assert mended.run.code == 0, mended.run.stdout
    assert service["terminalCondition"]["state"] == "CONDITION_SUCCEEDED"
    assert service["latestReadyRevision"].rpartition("/")[2] == mended.run.outputs["revision"]
    assert mended.run.outputs["topic_name"] == first.run.outputs["topic_name"]
    assert mended.answer == wind_yield.answer(14.0)


def _sorted(bindings: list[Any]) -> list[Any]:
    return sorted(bindings, key=str)
