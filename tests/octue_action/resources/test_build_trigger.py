"""Build triggers: what is special of them beside the laws."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from google.cloud.devtools import cloudbuild_v1

from emulator.world import World
from octue_action.apply import Status, apply
from octue_action.cancellation import Cancellation
from octue_action.failure import GoogleError
from octue_action.google import Google
from octue_action.plan import make_plan
from octue_action.resource import diff
from octue_action.resources.build_trigger import AT_ONCE, NEVER, BuildTrigger, tags_of
from tests.octue_action.resources.commits import commit
from tests.octue_action.resources.kinds import (
    ACCOUNTS,
    KINDS,
    LABELS,
    LOCATION,
    OTHER_REPOSITORY,
    OTHERS_LABELS,
    PARENT,
    PROJECT,
    REPOSITORY,
    build_trigger_message,
    edit_build_trigger,
)

pytestmark = pytest.mark.usefixtures("ground")

CONNECTED = f"{PARENT}/connections/github/repositories/my-org-my-repository"


@pytest.fixture
def trigger(name: str) -> BuildTrigger:
    trigger = KINDS["build_trigger"].example(name)
    assert isinstance(trigger, BuildTrigger)
    return trigger


def reading(trigger: BuildTrigger, google: Google) -> BuildTrigger:
    actual = trigger.read(google)
    assert actual is not None
    return actual


def deploy(trigger: BuildTrigger, google: Google) -> Status:
    (outcome,) = apply(make_plan([trigger], google, adopt=False), google, lambda _: None)
    return outcome.status


def test_it_is_regional_so_that_repositories_of_both_generations_can_be_built(
    trigger: BuildTrigger, google: Google
) -> None:
    trigger.create(google)
    assert build_trigger_message(google, trigger)["resourceName"].startswith(f"{PARENT}/triggers/")
    found = google.cloud_build.list_build_triggers(
        request=cloudbuild_v1.ListBuildTriggersRequest(parent=f"projects/{PROJECT}/locations/global")
    )
    assert list(found) == []


def test_it_builds_a_repository_of_the_first_generation(trigger: BuildTrigger, google: Google) -> None:
    trigger.create(google)
    message = build_trigger_message(google, trigger)
    assert message["github"] == {"owner": "my-org", "name": "my-repository", "push": {"branch": "^main$"}}
    assert "repositoryEventConfig" not in message


def test_it_builds_a_repository_of_the_second_generation(trigger: BuildTrigger, google: Google) -> None:
    connected = replace(trigger, repository=CONNECTED)
    assert diff(connected, connected.create(google)) == ()
    message = build_trigger_message(google, trigger)
    assert message["repositoryEventConfig"]["repository"] == CONNECTED
    assert message["repositoryEventConfig"]["push"] == {"branch": "^main$"}
    assert "github" not in message


@pytest.mark.parametrize(("before", "after"), [(REPOSITORY, CONNECTED), (CONNECTED, REPOSITORY)])
def test_it_moves_from_one_generation_to_the_other(
    before: str, after: str, trigger: BuildTrigger, google: Google
) -> None:
    replace(trigger, repository=before).create(google)
    moved = replace(trigger, repository=after)
    assert deploy(moved, google) is Status.APPLIED
    assert diff(moved, reading(moved, google)) == ()
    message = build_trigger_message(google, trigger)
    assert ("github" in message, "repositoryEventConfig" in message) == (after is REPOSITORY, after is CONNECTED)


def test_a_repository_that_is_not_connected_is_an_error_with_the_page_where_a_person_connects_it(
    trigger: BuildTrigger, google: Google
) -> None:
    with pytest.raises(GoogleError, match="Repository mapping does not exist") as caught:
        replace(trigger, repository="my-org/unknown").create(google)
    assert "https://console.cloud.google.com/cloud-build/triggers/connect?project=123456789012" in str(caught.value)


def test_a_repository_of_a_connection_in_another_region_is_an_error(trigger: BuildTrigger, google: Google) -> None:
    with pytest.raises(GoogleError, match="does not match the current region"):
        replace(trigger, repository=CONNECTED.replace("europe-west1", "europe-west4")).create(google)


def test_its_steps_build_push_and_update(trigger: BuildTrigger, google: Google) -> None:
    trigger.create(google)
    build = build_trigger_message(google, trigger)["build"]
    assert [step["id"] for step in build["steps"]] == ["build", "push", "update"]
    tagged = f"{trigger.image}:$COMMIT_SHA"
    assert build["steps"][0]["args"] == ["build", "--tag", tagged, "--file", "Dockerfile", "."]
    assert build["steps"][1]["args"] == ["push", tagged]
    assert f"--image={tagged}" in build["steps"][2]["args"][1]
    assert build["options"]["logging"] == "CLOUD_LOGGING_ONLY"


@pytest.mark.parametrize(
    "changes",
    [
        {"image": "europe-west1-docker.pkg.dev/my-project/images/other"},
        {"dockerfile": "docker/Dockerfile"},
        {"cloud_run_service": "other"},
        {"build_secrets": ("token",)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_the_build_is_made_of_is_drift_of_the_build(
    changes: dict[str, object], trigger: BuildTrigger, google: Google
) -> None:
    trigger.create(google)
    changed = replace(trigger, **changes)  # type: ignore[arg-type]  # each of its own type
    assert {field.name.partition("[")[0] for field in diff(changed, reading(changed, google))} == {"build"}
    assert deploy(changed, google) is Status.APPLIED
    assert deploy(changed, google) is Status.UNCHANGED


def test_a_plan_says_what_differs_in_which_step(trigger: BuildTrigger, google: Google) -> None:
    trigger.create(google)
    changed = replace(trigger, dockerfile="docker/Dockerfile", build_secrets=("token",))
    fields = {field.name: (field.before, field.after) for field in diff(changed, reading(changed, google))}
    assert fields.keys() == {"build[build]", "build[secret token]"}
    assert fields["build[secret token]"] == (None, "token")
    before, after = fields["build[build]"]
    assert "--file Dockerfile ." in before
    assert "--file docker/Dockerfile --build-arg=token . (secrets: token)" in after


def test_pushes_that_update_nothing_any_more_are_drift(trigger: BuildTrigger, google: Google) -> None:
    trigger.create(google)
    edit_build_trigger(["substitutions"], substitutions={"_UPDATE_SERVICE": "false"})(google, trigger)
    (field,) = diff(trigger, reading(trigger, google))
    assert (field.name, field.before, field.after) == ("build[substitution _UPDATE_SERVICE]", "false", "true")
    assert deploy(trigger, google) is Status.APPLIED
    assert deploy(trigger, google) is Status.UNCHANGED


@pytest.mark.parametrize(
    "argument", ["--build-arg=TOKEN=secret", "--build-arg TOKEN=secret", "--set-env-vars=A=secret"]
)
def test_no_value_in_somebody_elses_step_is_shown(trigger: BuildTrigger, google: Google, argument: str) -> None:
    trigger.create(google)
    step = {"name": "gcr.io/cloud-builders/docker", "args": ["build", *argument.split(), "."]}
    edit_build_trigger(["build.steps"], build={"steps": [step]})(google, trigger)
    shown = reading(trigger, google).build["step 1"]
    assert "secret" not in shown
    assert argument.partition("=secret")[0] in shown


def test_what_cloud_build_fills_into_the_steps_is_no_drift(trigger: BuildTrigger, google: Google) -> None:
    trigger.create(google)
    edit_build_trigger(["build.timeout"], build={"timeout": {"seconds": 600}})(google, trigger)
    assert diff(trigger, reading(trigger, google)) == ()


def test_secrets_reach_the_dockerfile_as_arguments(
    trigger: BuildTrigger, google: Google, world: World, checkout: Path
) -> None:
    secretive = replace(trigger, build_secrets=("token",), branch_pattern="^secretive$")
    secretive.create(google)
    build = build_trigger_message(google, trigger)["build"]
    assert build["steps"][0]["secretEnv"] == ["token"]
    assert "--build-arg=token" in build["steps"][0]["args"]
    version = f"projects/{PROJECT}/secrets/token/versions/latest"
    assert build["availableSecrets"]["secretManager"] == [{"versionName": version, "env": "token"}]

    world.cloud_run.secrets["token", "latest"] = "correct horse"
    check = "import os; assert os.environ['token'] == 'correct horse'"
    sha = commit(checkout, {"Dockerfile": f'FROM python:3.11-slim\nARG token\nRUN python -c "{check}"\n'})
    (build_id,) = world.cloud_build.push(REPOSITORY, "refs/heads/secretive", sha)
    for _ in Cancellation().poll(20.0, first=0.02):
        if world.cloud_build._builds[build_id].build.status.name not in {"PENDING", "QUEUED", "WORKING"}:
            break
    assert world.cloud_build._builds[build_id].build.status.name == "SUCCESS", world.cloud_build.log(build_id)


def test_an_account_that_is_not_ours_to_say_is_left_alone(trigger: BuildTrigger, google: Google) -> None:
    trigger.create(google)
    any_account = replace(trigger, build_service_account=None)
    assert deploy(any_account, google) is Status.UNCHANGED
    assert deploy(replace(any_account, dockerfile="other"), google) is Status.APPLIED
    assert reading(trigger, google).build_service_account == ACCOUNTS[0]


def test_without_an_account_none_is_asked_for(trigger: BuildTrigger, google: Google) -> None:
    replace(trigger, build_service_account=None).create(google)
    assert "serviceAccount" not in build_trigger_message(google, trigger)


def test_a_trigger_that_nothing_pushes_is_only_run_by_the_action(
    trigger: BuildTrigger, google: Google, world: World, checkout: Path
) -> None:
    manual = replace(trigger, branch_pattern=NEVER, repository=OTHER_REPOSITORY)
    manual.create(google)
    sha = commit(checkout, {})
    for ref in ("refs/heads/main", "refs/heads/release/1", "refs/tags/v1"):
        assert world.cloud_build.push(OTHER_REPOSITORY, ref, sha) == []


def test_its_tags_say_whose_it_is(trigger: BuildTrigger, google: Google) -> None:
    trigger.create(google)
    assert build_trigger_message(google, trigger)["tags"] == [f"{key}-{value}" for key, value in LABELS.items()]


@pytest.mark.parametrize(
    "theirs",
    [OTHERS_LABELS, {**LABELS, "octue-preview": "pr-2"}],
    ids=["of another repository", "of a preview that was called so"],
)
def test_one_that_is_taken_over_is_nobody_elses_any_more(
    trigger: BuildTrigger, google: Google, theirs: dict[str, str]
) -> None:
    other = replace(trigger, tags=tags_of(theirs))
    other.create(google)
    assert not reading(trigger, google).ours

    (outcome,) = apply(make_plan([trigger], google, adopt=True), google, lambda _: None)

    assert outcome.status is Status.APPLIED
    assert reading(trigger, google).ours
    assert not reading(other, google).ours


def test_tags_of_others_stay(trigger: BuildTrigger, google: Google) -> None:
    trigger.create(google)
    edit_build_trigger(["tags"], tags=["science", *trigger.tags])(google, trigger)
    assert deploy(trigger, google) is Status.UNCHANGED
    assert deploy(replace(trigger, dockerfile="other"), google) is Status.APPLIED
    assert set(build_trigger_message(google, trigger)["tags"]) == {"science", *trigger.tags}


# Several services of one image


GCLOUD = """\
#!/bin/sh
echo "$*" >> calls
case "$3 $4" in
"describe absent") echo "ERROR: Cannot find service [absent]" >&2; exit 1 ;;
"describe unseen" | "update stubborn") echo "ERROR: refused" >&2; exit 1 ;;
"describe ready") echo "images/sum-of-others:1" ;;
"describe digest") echo "images/sum@sha256:1" ;;
"describe "*) echo "WARNING: something else"; echo "images/sum:1" ;;
esac
"""
WHERE = f"--region={LOCATION} --project={PROJECT}"
SHOWN = "value(spec.template.spec.containers[0].image)"


@pytest.fixture
def update(trigger: BuildTrigger, google: Google, tmp_path: Path) -> Callable[..., Updated]:
    """Run the last step of the build for some services, with a gcloud that knows not all of them."""
    (tmp_path / "gcloud").write_text(GCLOUD)
    (tmp_path / "gcloud").chmod(0o755)

    def run(*services: str, pushed: str = "true") -> Updated:
        first, *others = services
        made = replace(trigger, cloud_run_service=first, also_updated=tuple(others), image="images/sum")
        made.create(google)
        step = build_trigger_message(google, made)["build"]["steps"][2]
        made.delete(google)
        # What Cloud Build makes of it, cloud.google.com/build/docs/build/build-file-schema: $$ stands for $.
        given = step["args"][1].replace("${_UPDATE_SERVICE}", pushed).replace("$COMMIT_SHA", "1234")
        script = given.replace("$$", "$")
        variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        command = [step["entrypoint"], step["args"][0], script]
        (tmp_path / "calls").write_text("")
        done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
        return Updated(done.returncode, (tmp_path / "calls").read_text().splitlines(), done.stdout, done.stderr)

    return run


class Updated(NamedTuple):
    """What became of the last step."""

    code: int
    calls: list[str]
    stdout: str
    stderr: str

    @property
    def services(self) -> list[str]:
        """Those that it tried to update, by their names."""
        return sorted(call.split()[3] for call in self.calls if call.startswith("run services update "))


def test_all_services_of_an_image_are_updated(update: Callable[..., Updated]) -> None:
    done = update("sum", "product")
    assert (done.code, done.stderr) == (0, "")
    for name in ("sum", "product"):
        assert [call for call in done.calls if call.split()[3] == name] == [
            f"run services describe {name} {WHERE} --format={SHOWN} --quiet",
            f"run services update {name} {WHERE} --image=images/sum:1234 --quiet",
        ]


def test_one_that_was_given_a_ready_image_keeps_it(update: Callable[..., Updated]) -> None:
    done = update("sum", "ready", "digest")

    assert done.code == 0
    assert sorted(done.services) == ["digest", "sum"]
    assert "ready runs another image, and keeps it: images/sum-of-others:1" in done.stdout


def test_however_many_there_are_each_is_updated_once(update: Callable[..., Updated]) -> None:
    services = [f"sum-{number}" for number in range(3 * AT_ONCE)]
    assert sorted(update(*services).services) == sorted(services)


@pytest.mark.parametrize("services", [("sum",), ("sum", "product")])
def test_a_build_that_the_action_runs_updates_none_of_them(
    update: Callable[..., Updated], services: tuple[str, ...]
) -> None:
    done = update(*services, pushed="false")
    assert (done.code, done.calls) == (0, [])
    assert "The deployment that runs this build updates the service" in done.stdout


@pytest.mark.parametrize("services", [("absent",), ("absent", "sum"), ("sum", "absent")])
def test_one_that_is_not_there_yet_is_no_failure(update: Callable[..., Updated], services: tuple[str, ...]) -> None:
    done = update(*services)
    assert done.code == 0
    assert done.services == [name for name in services if name == "sum"]
    assert "yet: the first deployment makes it." in done.stdout


@pytest.mark.parametrize("failing", ["stubborn", "unseen"])
def test_one_that_cannot_be_updated_fails_the_build_and_keeps_no_other_from_being_updated(
    update: Callable[..., Updated], failing: str
) -> None:
    done = update("sum", failing, "product")
    assert done.code != 0
    assert [name for name in done.services if name != failing] == ["product", "sum"]
    assert "ERROR: refused" in done.stderr
    assert f"Not updated: {failing}\n" in done.stderr
    assert update(failing).code == 1


def test_what_a_push_does_for_one_service_alone_is_told_as_it_always_was(trigger: BuildTrigger) -> None:
    where = f"{trigger.name} {WHERE}"
    assert trigger.build["update"] == (
        'gcr.io/google.com/cloudsdktool/cloud-sdk:slim bash -c if [ "${_UPDATE_SERVICE}" != "true" ]; then '
        'echo "The deployment that runs this build updates the service." '
        f"elif found=$$(gcloud run services describe {where} --quiet 2>&1); then "
        f"gcloud run services update {where} --image={trigger.image}:$COMMIT_SHA --quiet "
        'elif [[ "$$found" == *"Cannot find service"* ]]; then '
        'echo "There is no such service yet: the first deployment makes it." '
        'else echo "$$found" >&2; exit 1 fi'
    )


def test_a_hundred_services_fit_into_one_step(trigger: BuildTrigger, google: Google) -> None:
    longest = [f"{'s' * 46}{number:03}" for number in range(100)]
    made = replace(trigger, cloud_run_service=longest[0], also_updated=tuple(longest[1:]))
    step = build_trigger_message(google, made.create(google))["build"]["steps"][2]
    assert len(step["args"][1]) < 10_000, "cloud.google.com/build/docs/build-config-file-schema#args"
    assert len(made._description()) <= 100


def test_a_service_that_joins_is_drift_of_the_build_and_changes_nothing_else(
    trigger: BuildTrigger, google: Google
) -> None:
    trigger.create(google)
    joined = replace(trigger, also_updated=("product",))
    assert [field.name for field in diff(joined, reading(joined, google))] == ["build[update]"]
    assert deploy(joined, google) is Status.APPLIED
    assert deploy(joined, google) is Status.UNCHANGED
    assert build_trigger_message(google, trigger)["description"].endswith(f"{trigger.name} and 1 other")


@pytest.mark.parametrize("others", [(), ("product",), ("product", "mean")])
def test_it_is_seen_which_services_a_push_updates(
    trigger: BuildTrigger, google: Google, others: tuple[str, ...]
) -> None:
    replace(trigger, also_updated=others).create(google)
    found = reading(trigger, google)
    names = [trigger.name, "product", "mean", "prod", "services", LOCATION]
    assert [name for name in names if found.updates(name)] == [trigger.name, *others]


def test_one_that_is_switched_off_stays_as_it_is_else(trigger: BuildTrigger, google: Google) -> None:
    trigger.create(google)
    edit_build_trigger(["description"], description="Mine")(google, trigger)
    before = build_trigger_message(google, trigger)
    off = replace(reading(trigger, google), dockerfile="other", disabled=True, only=frozenset({"disabled"}))
    assert deploy(off, google) is Status.APPLIED
    after = build_trigger_message(google, trigger)
    assert after.pop("disabled") is True
    assert after == before
