"""Cloud Build: triggers, and real builds of local commits."""

import base64
import subprocess
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import artifactregistry_v1, run_v2
from google.cloud.devtools import cloudbuild_v1
from google.cloud.devtools.cloudbuild_v1.services.cloud_build.transports import CloudBuildGrpcTransport
from google.cloud.logging_v2 import types as logging_types
from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport
from google.protobuf.field_mask_pb2 import FieldMask

from emulator.rpc import SYSTEM
from emulator.services import cloud_build
from emulator.world import World, WorldSettings

PROJECT = "projects/my-project"
LOCATION = f"{PROJECT}/locations/europe-west1"
IMAGE = "europe-west1-docker.pkg.dev/my-project/sum/sum"
DOCKER = "gcr.io/cloud-builders/docker"
CLOUD_SDK = "gcr.io/google.com/cloudsdktool/cloud-sdk:slim"
CONNECTED = f"{LOCATION}/connections/github/repositories/my-org-sum"
Status = cloudbuild_v1.Build.Status
FailureType = cloudbuild_v1.Build.FailureInfo.FailureType

DOCKERFILE = 'FROM python:3.11-slim\nWORKDIR /app\nCOPY . .\nCMD ["python", "server.py"]\n'
SERVER = """
import http.server, os
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), http.server.BaseHTTPRequestHandler).serve_forever()
"""


def git(repository: Path, *arguments: str) -> str:
    command = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(repository: Path, **files: str) -> str:
    for name, content in files.items():
        (repository / name).write_text(content)
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--allow-empty", "-m", "change")
    return git(repository, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, **{"Dockerfile": DOCKERFILE, "server.py": SERVER})
    return folder


@pytest.fixture
def head(repository: Path) -> str:
    return git(repository, "rev-parse", "HEAD")


@pytest.fixture
def settings(tmp_path: Path, cache: Path, repository: Path) -> WorldSettings:
    return WorldSettings(state=tmp_path / "state", cache=cache, repositories={"my-org/sum": repository})


@pytest.fixture
def client(channel: grpc.Channel) -> cloudbuild_v1.CloudBuildClient:
    return cloudbuild_v1.CloudBuildClient(transport=CloudBuildGrpcTransport(channel=channel))


@pytest.fixture(autouse=True)
def registry(channel: grpc.Channel) -> None:
    transport = artifactregistry_v1.ArtifactRegistryClient.get_transport_class("grpc")(channel=channel)
    repository = artifactregistry_v1.Repository(format_=artifactregistry_v1.Repository.Format.DOCKER)
    registry = artifactregistry_v1.ArtifactRegistryClient(transport=transport)
    registry.create_repository(parent=LOCATION, repository_id="sum", repository=repository).result(timeout=5)


@pytest.fixture
def world(emulator: Any) -> World:
    world: World = emulator.world
    return world


def step(name: str, *arguments: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "args": list(arguments), **fields}


BUILD_AND_PUSH = (
    step(DOCKER, "build", "-t", f"{IMAGE}:$COMMIT_SHA", "."),
    step(DOCKER, "push", f"{IMAGE}:$COMMIT_SHA"),
)


def bash(script: str, **fields: Any) -> dict[str, Any]:
    return step(CLOUD_SDK, "-c", script, entrypoint="bash", **fields)


def trigger(*steps: dict[str, Any], build: dict[str, Any] | None = None, **fields: Any) -> cloudbuild_v1.BuildTrigger:
    event = {"owner": "my-org", "name": "sum", "push": {"branch": "^main$"}}
    return cloudbuild_v1.BuildTrigger(
        {
            "name": "sum",
            "github": event,
            "build": {"steps": list(steps) or [bash("true")], **(build or {})},
            **fields,
        }
    )


def create(
    client: cloudbuild_v1.CloudBuildClient, wanted: cloudbuild_v1.BuildTrigger | None = None, parent: str = LOCATION
) -> cloudbuild_v1.BuildTrigger:
    return client.create_build_trigger(
        request=cloudbuild_v1.CreateBuildTriggerRequest(parent=parent, trigger=wanted or trigger())
    )


def start(client: cloudbuild_v1.CloudBuildClient, **source: Any) -> Any:
    name = f"{LOCATION}/triggers/sum"
    return client.run_build_trigger(
        request=cloudbuild_v1.RunBuildTriggerRequest(name=name, source=cloudbuild_v1.RepoSource(source))
    )


def build(client: cloudbuild_v1.CloudBuildClient, *steps: dict[str, Any], **fields: Any) -> cloudbuild_v1.Build:
    """The build of main's newest commit with these steps, when it has ended."""
    create(client, trigger(*steps, **fields))
    operation = start(client, branch_name="main")
    operation.exception(timeout=60)
    name = operation.metadata.build.name
    return client.get_build(request=cloudbuild_v1.GetBuildRequest(name=name))


# Triggers


def test_a_trigger_is_found_by_name_and_by_id(client: cloudbuild_v1.CloudBuildClient) -> None:
    made = create(client)
    assert made.id
    assert made.create_time
    assert made.resource_name == f"{LOCATION}/triggers/{made.id}"
    for short in (made.id, "sum"):
        found = client.get_build_trigger(
            request=cloudbuild_v1.GetBuildTriggerRequest(name=f"{LOCATION}/triggers/{short}")
        )
        assert found == made
    listed = client.list_build_triggers(request=cloudbuild_v1.ListBuildTriggersRequest(parent=LOCATION))
    assert list(listed) == [made]


def test_global_triggers_are_apart(client: cloudbuild_v1.CloudBuildClient) -> None:
    made = client.create_build_trigger(project_id="my-project", trigger=trigger())
    assert made.resource_name.startswith(f"{PROJECT}/locations/global/triggers/")
    assert client.get_build_trigger(project_id="my-project", trigger_id="sum") == made
    regional = cloudbuild_v1.GetBuildTriggerRequest(name=f"{LOCATION}/triggers/sum")
    with pytest.raises(exceptions.NotFound):
        client.get_build_trigger(request=regional)


def test_a_trigger_is_changed_as_a_whole_or_by_mask(client: cloudbuild_v1.CloudBuildClient) -> None:
    made = create(client, trigger(description="one", tags=["a"]))
    wanted = trigger(description="two", resource_name=f"{LOCATION}/triggers/sum")
    masked = cloudbuild_v1.UpdateBuildTriggerRequest(trigger=wanted, update_mask=FieldMask(paths=["description"]))
    changed = client.update_build_trigger(request=masked)
    assert (changed.description, list(changed.tags)) == ("two", ["a"])
    whole = cloudbuild_v1.UpdateBuildTriggerRequest(trigger=wanted, trigger_id="sum")
    changed = client.update_build_trigger(request=whole)
    assert list(changed.tags) == []
    assert (changed.id, changed.create_time) == (made.id, made.create_time)


def test_a_deleted_trigger_is_gone(client: cloudbuild_v1.CloudBuildClient) -> None:
    create(client)
    deletion = cloudbuild_v1.DeleteBuildTriggerRequest(name=f"{LOCATION}/triggers/sum")
    client.delete_build_trigger(request=deletion)
    with pytest.raises(exceptions.NotFound):
        client.delete_build_trigger(request=deletion)


def test_a_trigger_name_is_taken_once(client: cloudbuild_v1.CloudBuildClient) -> None:
    create(client)
    with pytest.raises(exceptions.AlreadyExists):
        create(client)


def test_a_repository_must_be_connected_by_a_person(world: World, client: cloudbuild_v1.CloudBuildClient) -> None:
    connected = dict(world.cloud_build.connected)
    world.cloud_build.connected.clear()
    page = "https://console.cloud.google.com/cloud-build/triggers/connect?project=123456789012"

    with pytest.raises(exceptions.FailedPrecondition) as refusal:
        create(client)

    assert refusal.value.message == (
        f"Repository mapping does not exist. Please visit {page} to connect a repository to your project"
    )
    for repository in connected.values():
        world.cloud_build.connect(repository)
    create(client)
    assert world.cloud_build.connected == connected


SECOND_GENERATION = {"repository": CONNECTED, "push": {"branch": "^main$"}}


@pytest.mark.parametrize(
    ("wanted", "parent", "error", "message"),
    [
        (trigger(name="a_b"), LOCATION, exceptions.InvalidArgument, "invalid trigger name"),
        (trigger(name="a" * 65), LOCATION, exceptions.InvalidArgument, "invalid trigger name"),
        (
            trigger(github={"owner": "my-org", "name": "unknown", "push": {"branch": "main"}}),
            LOCATION,
            exceptions.FailedPrecondition,
            "Repository mapping does not exist",
        ),
        (
            trigger(github={}, repository_event_config=SECOND_GENERATION),
            f"{PROJECT}/locations/global",
            exceptions.InvalidArgument,
            'cannot be created in the "global" region',
        ),
        (
            trigger(github={}, repository_event_config=SECOND_GENERATION),
            f"{PROJECT}/locations/us-west1",
            exceptions.InvalidArgument,
            "does not match the current region: us-west1",
        ),
        (
            trigger(github={"owner": "my-org", "name": "sum", "push": {"branch": "("}}),
            LOCATION,
            exceptions.InvalidArgument,
            "invalid branch pattern",
        ),
        (trigger(substitutions={"MINE": "1"}), LOCATION, exceptions.InvalidArgument, "must begin with an underscore"),
        (trigger(build={"steps": []}), LOCATION, exceptions.InvalidArgument, "at least one build step"),
        (trigger(), "projects/other/locations/europe-west1", exceptions.PermissionDenied, "does not have permission"),
    ],
)
def test_what_cannot_be_a_trigger_is_refused(
    client: cloudbuild_v1.CloudBuildClient,
    wanted: cloudbuild_v1.BuildTrigger,
    parent: str,
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        create(client, wanted, parent)


# Builds


def test_a_commit_is_built_pushed_and_shown_as_the_real_one_is(
    client: cloudbuild_v1.CloudBuildClient, world: World, head: str
) -> None:
    made = create(client, trigger(*BUILD_AND_PUSH, build={"images": [f"{IMAGE}:$SHORT_SHA"]}, tags=["octue"]))
    wanted = trigger(
        step(DOCKER, "build", "-t", f"{IMAGE}:$COMMIT_SHA", "-t", f"{IMAGE}:$SHORT_SHA", "."),
        step(DOCKER, "push", f"{IMAGE}:$COMMIT_SHA"),
        build={"images": [f"{IMAGE}:$SHORT_SHA"]},
        tags=["octue"],
        resource_name=made.resource_name,
    )
    client.update_build_trigger(request=cloudbuild_v1.UpdateBuildTriggerRequest(trigger=wanted))
    operation = start(client, commit_sha=head)
    queued = operation.metadata.build
    encoded = base64.b64encode(queued.id.encode()).decode()
    assert operation.operation.name == f"operations/build/my-project/{encoded}"

    done = operation.result(timeout=60)
    assert done.status == Status.SUCCESS
    assert done.name == f"{LOCATION}/builds/{done.id}"
    assert done.build_trigger_id == made.id
    assert list(done.tags) == ["octue", f"trigger-{made.id}"]
    assert list(done.steps[1].args) == ["push", f"{IMAGE}:{head}"]
    assert [each.status for each in done.steps] == [Status.SUCCESS, Status.SUCCESS]
    assert done.steps[0].timing.end_time >= done.steps[0].timing.start_time
    assert set(done.timing) == {"FETCHSOURCE", "BUILD", "PUSH"}
    assert done.substitutions["COMMIT_SHA"] == head
    assert done.substitutions["SHORT_SHA"] == head[:7]
    assert done.substitutions["REPO_NAME"] == "sum"
    assert done.substitutions["TRIGGER_NAME"] == "sum"
    assert done.source_provenance.resolved_git_source.revision == head
    assert done.log_url == (
        f"https://console.cloud.google.com/cloud-build/builds;region=europe-west1/{done.id}?project=123456789012"
    )
    assert done.create_time <= done.start_time <= done.finish_time
    assert [image.name for image in done.results.images] == [f"{IMAGE}:{head[:7]}"]
    image = world.artifact_registry.pull(f"{IMAGE}:{head}")
    assert image.digest == done.results.images[0].digest
    assert (image.files / "app" / "server.py").read_text() == SERVER
    assert "Step 1/4 : FROM python:3.11-slim" in world.cloud_build.log(done.id)


def test_the_commit_is_built_and_not_the_folder(
    client: cloudbuild_v1.CloudBuildClient, world: World, repository: Path, head: str
) -> None:
    commit(repository, **{"server.py": "later"})
    (repository / "server.py").write_text("not even committed")
    create(client, trigger(*BUILD_AND_PUSH))
    start(client, commit_sha=head).result(timeout=60)
    image = world.artifact_registry.pull(f"{IMAGE}:{head}")
    assert (image.files / "app" / "server.py").read_text() == SERVER


def test_steps_really_run_with_substitutions_in_them(client: cloudbuild_v1.CloudBuildClient, world: World) -> None:
    done = build(
        client,
        bash("echo $_GREETING ${_GREETING} $$HOME $PROJECT_ID $BRANCH_NAME; ls; echo kept > kept.txt"),
        bash("cat kept.txt"),
        substitutions={"_GREETING": "hello"},
    )
    lines = world.cloud_build.log(done.id).splitlines()
    assert any(line.startswith("Step #0: hello hello /") and line.endswith("my-project main") for line in lines)
    assert "Step #0: server.py" in lines
    assert "Step #1: kept" in lines


def test_a_run_may_set_substitutions(client: cloudbuild_v1.CloudBuildClient, world: World) -> None:
    create(client, trigger(bash("echo value=$_MINE"), substitutions={"_MINE": "trigger"}))
    done = start(client, branch_name="main", substitutions={"_MINE": "run"}).result(timeout=20)
    assert "value=run" in world.cloud_build.log(done.id)


def test_a_failed_step_ends_the_build(client: cloudbuild_v1.CloudBuildClient, world: World) -> None:
    done = build(client, bash("echo out of order; exit 3"), bash("echo never"))
    assert done.status == Status.FAILURE
    assert done.failure_info.type_ == FailureType.USER_BUILD_STEP
    assert "step exited with non-zero status: 3" in done.failure_info.detail
    assert done.steps[0].status == Status.FAILURE
    assert done.steps[0].exit_code == 3
    assert done.steps[1].status == Status.STATUS_UNKNOWN
    assert "out of order" in world.cloud_build.log(done.id)


def entries(world: World, build_id: str) -> list[Any]:
    """What Cloud Logging has of a build."""
    request = logging_types.ListLogEntriesRequest(
        resource_names=[PROJECT],
        filter=f'resource.type="build" resource.labels.build_id="{build_id}" logName="{PROJECT}/logs/cloudbuild"',
    )
    return list(world.logging.list_log_entries(request, SYSTEM).entries)


def test_the_lines_of_several_steps_are_told_apart_in_cloud_logging(
    client: cloudbuild_v1.CloudBuildClient, world: World
) -> None:
    done = build(client, bash("echo first", id="one"), bash("echo out of order; exit 3"), bash("echo never"))

    logged = entries(world, done.id)
    assert [entry.text_payload for entry in logged] == [
        f'starting build "{done.id}"',
        "FETCHSOURCE",
        "BUILD",
        'Starting Step #0 - "one"',
        'Step #0 - "one": first',
        'Finished Step #0 - "one"',
        "Starting Step #1",
        "Step #1: out of order",
        "Finished Step #1",
        "ERROR",
        f'ERROR: build step 1 "{CLOUD_SDK}" failed: step exited with non-zero status: 3',
    ]
    assert dict(logged[0].resource.labels) == {
        "project_id": "my-project",
        "build_id": done.id,
        "build_trigger_id": done.build_trigger_id,
    }
    assert [entry.labels["build_step"] for entry in logged[3:6]] == ["MAIN", 'Step #0 - "one"', "MAIN"]


def test_the_lines_of_the_only_step_have_no_name_before_them(
    client: cloudbuild_v1.CloudBuildClient, world: World
) -> None:
    done = build(client, bash("echo alone"))

    lines = [entry.text_payload for entry in entries(world, done.id)]
    assert lines == [f'starting build "{done.id}"', "FETCHSOURCE", "BUILD", "alone", "DONE"]


@pytest.mark.parametrize(("logging", "is_shown"), [("CLOUD_LOGGING_ONLY", True), ("NONE", False), ("GCS_ONLY", False)])
def test_where_the_log_of_a_build_goes_is_its_options_to_say(
    client: cloudbuild_v1.CloudBuildClient, world: World, logging: str, is_shown: bool
) -> None:
    done = build(client, bash("echo line"), build={"options": {"logging": logging}})

    assert bool(entries(world, done.id)) is is_shown
    assert "line" in world.cloud_build.log(done.id)


def test_the_operation_of_a_failed_build_ends_with_an_error(client: cloudbuild_v1.CloudBuildClient) -> None:
    create(client, trigger(bash("exit 1")))
    with pytest.raises(exceptions.Unknown, match="Build failed; check build logs for details"):
        start(client, branch_name="main").result(timeout=20)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([step("gcr.io/cloud-builders/npm", "install")], "the emulator has no builder gcr.io/cloud-builders/npm"),
        ([step(DOCKER, "run", "x")], "knows build, push, pull and tag"),
        ([step(DOCKER, "build", "--squash", ".")], "does not understand this"),
        ([step(DOCKER, "build", "..")], "unable to prepare context"),
        ([step(DOCKER, "build", "-f", "../Dockerfile", ".")], "must be inside the source"),
        ([step(DOCKER, "build", "-f", "Other", ".")], "open Other: no such file or directory"),
        ([step(DOCKER, "push", f"{IMAGE}:x")], "does not exist locally"),
        ([step(CLOUD_SDK, "deploy", entrypoint="terraform")], "has bash, sh and gcloud"),
        ([step(CLOUD_SDK, "projects", "list", entrypoint="gcloud")], "non-zero status: 1"),
    ],
)
def test_what_a_step_cannot_do_fails_it_in_plain_words(
    client: cloudbuild_v1.CloudBuildClient, world: World, steps: list[dict[str, Any]], message: str
) -> None:
    done = build(client, *steps)
    assert done.status == Status.FAILURE
    assert message in world.cloud_build.log(done.id)


def test_a_push_to_a_registry_that_is_not_there_fails(client: cloudbuild_v1.CloudBuildClient) -> None:
    elsewhere = IMAGE.replace("/sum/sum", "/none/sum")
    done = build(client, step(DOCKER, "build", "-t", elsewhere, "."), build={"images": [elsewhere]})
    assert done.failure_info.type_ == FailureType.PUSH_FAILED


def test_an_image_that_no_step_built_is_not_pushed(client: cloudbuild_v1.CloudBuildClient) -> None:
    done = build(client, bash("true"), build={"images": [IMAGE]})
    assert done.failure_info.type_ == FailureType.PUSH_IMAGE_NOT_FOUND


def test_an_image_without_tag_is_listed_with_latest_too(client: cloudbuild_v1.CloudBuildClient) -> None:
    done = build(client, step(DOCKER, "build", "-t", IMAGE, "."), build={"images": [IMAGE]})
    assert [image.name for image in done.results.images] == [IMAGE, f"{IMAGE}:latest"]


def test_a_commit_that_was_not_pushed_cannot_be_fetched(client: cloudbuild_v1.CloudBuildClient) -> None:
    create(client)
    operation = start(client, commit_sha="0" * 40)
    operation.exception(timeout=20)
    done = operation.metadata.build
    assert done.status == Status.FAILURE
    assert done.failure_info.type_ == FailureType.FETCH_SOURCE_FAILED
    assert "couldn't find remote ref" in done.failure_info.detail


def test_an_unknown_branch_is_refused(client: cloudbuild_v1.CloudBuildClient) -> None:
    create(client)
    with pytest.raises(exceptions.FailedPrecondition, match="Couldn't read commit"):
        start(client, branch_name="none")


def test_a_build_with_its_own_account_must_say_where_it_logs(
    client: cloudbuild_v1.CloudBuildClient, world: World
) -> None:
    account = f"{PROJECT}/serviceAccounts/{world.iam.deployer}"
    create(client, trigger(service_account=account))
    with pytest.raises(exceptions.InvalidArgument, match=r"if 'build\.service_account' is specified"):
        start(client, branch_name="main")
    options = {"logging": cloudbuild_v1.BuildOptions.LoggingMode.CLOUD_LOGGING_ONLY}
    changed = trigger(service_account=account, build={"options": options}, resource_name=f"{LOCATION}/triggers/sum")
    client.update_build_trigger(request=cloudbuild_v1.UpdateBuildTriggerRequest(trigger=changed))
    assert start(client, branch_name="main").result(timeout=20).service_account == account


def test_a_build_that_takes_too_long_ends(client: cloudbuild_v1.CloudBuildClient) -> None:
    done = build(client, bash("sleep 30"), build={"timeout": {"seconds": 1}})
    assert done.status == Status.TIMEOUT
    assert done.steps[0].status == Status.TIMEOUT


def test_a_build_can_be_cancelled(client: cloudbuild_v1.CloudBuildClient) -> None:
    create(client, trigger(bash("sleep 30")))
    operation = start(client, branch_name="main")
    name = operation.metadata.build.name
    assert client.cancel_build(request=cloudbuild_v1.CancelBuildRequest(name=name)).status == Status.CANCELLED
    with pytest.raises(exceptions.FailedPrecondition):
        client.cancel_build(request=cloudbuild_v1.CancelBuildRequest(name=name))


def test_a_secret_reaches_the_step_that_asks_for_it(client: cloudbuild_v1.CloudBuildClient, world: World) -> None:
    world.cloud_run.secrets["token", "latest"] = "hush"
    version = {"version_name": f"{PROJECT}/secrets/token/versions/latest", "env": "TOKEN"}
    done = build(
        client,
        bash("test $$TOKEN = hush", secret_env=["TOKEN"]),
        bash("test -z $$TOKEN"),
        build={"available_secrets": {"secret_manager": [version]}},
    )
    assert done.status == Status.SUCCESS


# Pushes


def test_a_push_starts_the_triggers_whose_pattern_matches_the_branch(
    client: cloudbuild_v1.CloudBuildClient, world: World, head: str
) -> None:
    create(client)
    create(client, trigger(name="other", github={"owner": "my-org", "name": "sum", "push": {"branch": "^release"}}))
    create(client, trigger(name="off", disabled=True))
    create(client, trigger(name="second", github={}, repository_event_config=SECOND_GENERATION))
    ids = world.cloud_build.push("my-org/sum", "refs/heads/main", head)
    names = {
        client.get_build(request=cloudbuild_v1.GetBuildRequest(name=f"{LOCATION}/builds/{each}")).substitutions[
            "TRIGGER_NAME"
        ]
        for each in ids
    }
    assert names == {"sum", "second"}
    assert world.cloud_build.push("my-org/sum", "refs/heads/feature", head) == []
    assert world.cloud_build.push("my-org/elsewhere", "refs/heads/main", head) == []


def test_builds_are_listed_by_filter_newest_first(
    client: cloudbuild_v1.CloudBuildClient, repository: Path, head: str
) -> None:
    made = create(client)
    first = start(client, commit_sha=head).result(timeout=20)
    later = commit(repository, **{"new.txt": "new"})
    second = start(client, commit_sha=later).result(timeout=20)

    def listed(text: str) -> list[str]:
        request = cloudbuild_v1.ListBuildsRequest(parent=LOCATION, filter=text)
        return [each.id for each in client.list_builds(request=request)]

    assert listed("") == [second.id, first.id]
    assert listed(f'trigger_id="{made.id}" AND substitutions.COMMIT_SHA="{head}"') == [first.id]
    assert listed('status!="SUCCESS"') == []
    assert listed(f"build_id={second.id} AND status=SUCCESS") == [second.id]
    for wrong in ("nonsense", 'unknown_field="1"', "status="):
        with pytest.raises(exceptions.InvalidArgument, match="invalid list filter"):
            listed(wrong)


# The steps' gcloud


@pytest.fixture
def services(channel: grpc.Channel) -> run_v2.ServicesClient:
    return run_v2.ServicesClient(transport=ServicesGrpcTransport(channel=channel))


UPDATE = (
    "if gcloud run services describe sum --region=europe-west1 --project=$PROJECT_ID --quiet > /dev/null; then\n"
    f"gcloud run services update sum --region europe-west1 --image={IMAGE}:$COMMIT_SHA --quiet\n"
    "else echo no service yet; fi"
)


def test_gcloud_finds_no_service_where_there_is_none(client: cloudbuild_v1.CloudBuildClient, world: World) -> None:
    log = world.cloud_build.log(build(client, bash(UPDATE)).id)
    assert "ERROR: (gcloud.run.services.describe) Cannot find service [sum]" in log
    assert "no service yet" in log


def test_gcloud_updates_the_image_of_a_service_that_exists(
    client: cloudbuild_v1.CloudBuildClient,
    services: run_v2.ServicesClient,
    world: World,
    repository: Path,
    head: str,
) -> None:
    create(client, trigger(*BUILD_AND_PUSH, bash(UPDATE)))
    start(client, commit_sha=head).result(timeout=60)
    wanted = run_v2.Service(template={"containers": [{"image": f"{IMAGE}:{head}"}]})
    services.create_service(parent=LOCATION, service=wanted, service_id="sum").result(timeout=20)

    later = commit(repository, **{"new.txt": "new"})
    done = start(client, commit_sha=later).result(timeout=60)
    service = services.get_service(name=f"{LOCATION}/services/sum")
    assert service.template.containers[0].image == f"{IMAGE}:{later}"
    assert service.last_modifier == "123456789012-compute@developer.gserviceaccount.com"
    assert "has been deployed and is serving 100 percent of traffic" in world.cloud_build.log(done.id)


def test_closing_the_world_stops_its_builds(client: cloudbuild_v1.CloudBuildClient, world: World) -> None:
    create(client, trigger(bash("sleep 60")))
    operation = start(client, branch_name="main")
    world.cloud_build.close()
    name = operation.metadata.build.name
    found = client.get_build(request=cloudbuild_v1.GetBuildRequest(name=name))
    assert found.status == Status.CANCELLED


@pytest.mark.parametrize("bare", [False, True])
def test_a_commit_is_checked_out_beside_what_the_repository_has_in_work(
    client: cloudbuild_v1.CloudBuildClient, repository: Path, tmp_path: Path, world: World, bare: bool
) -> None:
    (repository / "unfinished").write_text("somebody's work")
    before = git(repository, "status", "--short")
    if bare:
        git(tmp_path, "clone", "--quiet", "--bare", str(repository), "bare.git")
        world.settings.repositories["my-org/sum"] = tmp_path / "bare.git"  # type: ignore[index]  # a dict in these tests

    done = build(client, bash("test -f Dockerfile && test ! -e unfinished"))

    assert done.status == Status.SUCCESS
    assert git(repository, "status", "--short") == before


def test_a_bug_of_the_emulator_ends_the_build_that_it_breaks(
    client: cloudbuild_v1.CloudBuildClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(cloud_build, "_check_out", broken)

    assert build(client, bash("true")).status == Status.INTERNAL_ERROR
