"""Cloud Run: services as the API shows them, and the containers behind them."""

import dataclasses
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import artifactregistry_v1, run_v2
from google.cloud.logging_v2 import types as logging_types
from google.cloud.run_v2.services.revisions.transports import RevisionsGrpcTransport
from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport
from google.iam.v1 import policy_pb2
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import MessageToDict

from emulator.forwarding import Response
from emulator.images import Image
from emulator.operations import Operations
from emulator.rpc import SYSTEM
from emulator.server import Emulator
from emulator.world import World, WorldSettings

LOCATION = "projects/my-project/locations/europe-west1"
NAME = f"{LOCATION}/services/sum"
IMAGE = "europe-west1-docker.pkg.dev/my-project/sum/sum:one"
ALL = run_v2.IngressTraffic.INGRESS_TRAFFIC_ALL
INTERNAL = run_v2.IngressTraffic.INGRESS_TRAFFIC_INTERNAL_ONLY

SERVER = """
import http.server, json, os, sys, time, urllib.parse

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        time.sleep(float(query.get("sleep", 0)))
        answer = {"pid": os.getpid(), "environment": dict(os.environ), "headers": dict(self.headers)}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

print("listening", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


TAKE = """
def take():
    import time
    held = bytearray(b"x") * (700 * 1024 * 1024)
    time.sleep(60)
"""

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see how much is used")


@pytest.fixture
def world(emulator: Emulator) -> World:
    return emulator.world


def push(world: World, folder: Path, code: str, tag: str = "one") -> str:
    """Put an image into the registry whose program is that Python code."""
    files, environment = folder / tag / "files", folder / tag / "environment"
    (files / "app").mkdir(parents=True)
    (files / "app" / "server.py").write_text(code)
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to(sys.executable)
    digest = "sha256:" + f"{abs(hash(code + tag)):x}".rjust(64, "0")
    image = Image(digest, files, environment, "/app", ("python", "/app/server.py"), {"FROM_IMAGE": "yes"})
    return str(world.artifact_registry.push(f"europe-west1-docker.pkg.dev/my-project/sum/sum:{tag}", image))


@pytest.fixture(autouse=True)
def registry(world: World, channel: grpc.Channel, tmp_path: Path) -> None:
    transport = artifactregistry_v1.ArtifactRegistryClient.get_transport_class("grpc")(channel=channel)
    client = artifactregistry_v1.ArtifactRegistryClient(transport=transport)
    repository = artifactregistry_v1.Repository(format_=artifactregistry_v1.Repository.Format.DOCKER)
    client.create_repository(parent=LOCATION, repository_id="sum", repository=repository).result(timeout=5)
    push(world, tmp_path, SERVER)


@pytest.fixture
def services(channel: grpc.Channel) -> run_v2.ServicesClient:
    return run_v2.ServicesClient(transport=ServicesGrpcTransport(channel=channel))


@pytest.fixture
def revisions(channel: grpc.Channel) -> run_v2.RevisionsClient:
    return run_v2.RevisionsClient(transport=RevisionsGrpcTransport(channel=channel))


def service(image: str = IMAGE, **fields: Any) -> run_v2.Service:
    template = {"containers": [{"image": image, **fields.pop("container", {})}], **fields.pop("template", {})}
    return run_v2.Service(template=template, **fields)


def create(services: run_v2.ServicesClient, wanted: run_v2.Service | None = None) -> run_v2.Service:
    operation = services.create_service(parent=LOCATION, service=wanted or service(), service_id="sum")
    created: run_v2.Service = operation.result(timeout=20)
    return created


def update(services: run_v2.ServicesClient, wanted: run_v2.Service) -> run_v2.Service:
    updated: run_v2.Service = services.update_service(service=wanted).result(timeout=20)
    return updated


def allow(world: World, member: str) -> None:
    binding = policy_pb2.Binding(role="roles/run.invoker", members=[member])
    world.policies.set(NAME, policy_pb2.Policy(bindings=[binding]))


def get(world: World, url: str, path: str = "/", *, internal: bool = True, token: str = "") -> Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    response: Response = world.cloud_run.request(
        url.removeprefix("https://"), "GET", path, headers, b"", internal=internal
    )
    return response


@pytest.fixture
def public(world: World, services: run_v2.ServicesClient) -> Callable[..., run_v2.Service]:
    """Makes a service that everybody may call."""

    def make(**fields: Any) -> run_v2.Service:
        made = create(services, service(**fields))
        allow(world, "allUsers")
        return made

    return make


# The API


def test_a_new_service_is_pending_and_then_filled_in_as_the_real_one_is(services: run_v2.ServicesClient) -> None:
    operation = services.create_service(parent=LOCATION, service=service(), service_id="sum")
    first = MessageToDict(run_v2.Service.pb(operation.metadata))
    assert first["reconciling"] is True
    assert first["terminalCondition"] == {"state": "CONDITION_PENDING"}
    assert "observedGeneration" not in first

    made = MessageToDict(run_v2.Service.pb(operation.result(timeout=20)))
    assert made["template"] == {
        "scaling": {"maxInstanceCount": 100},
        "timeout": "300s",
        "serviceAccount": "123456789012-compute@developer.gserviceaccount.com",
        "containers": [
            {
                "image": IMAGE,
                "resources": {"limits": {"memory": "512Mi", "cpu": "1000m"}, "cpuIdle": True},
                "ports": [{"name": "http1", "containerPort": 8080}],
                "startupProbe": {
                    "timeoutSeconds": 240,
                    "periodSeconds": 240,
                    "failureThreshold": 1,
                    "tcpSocket": {"port": 8080},
                },
            }
        ],
        "maxInstanceRequestConcurrency": 80,
    }
    assert made["traffic"] == [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}]
    assert made["trafficStatuses"] == made["traffic"]
    assert made["terminalCondition"]["type"] == "Ready"
    assert made["terminalCondition"]["state"] == "CONDITION_SUCCEEDED"
    assert [condition["type"] for condition in made["conditions"]] == ["RoutesReady", "ConfigurationsReady"]
    assert made["generation"] == made["observedGeneration"] == "1"
    assert "reconciling" not in made
    assert made["creator"] == made["lastModifier"] == "deployer@my-project.iam.gserviceaccount.com"
    assert made["ingress"] == "INGRESS_TRAFFIC_ALL"
    assert made["launchStage"] == "GA"
    assert made["latestReadyRevision"].startswith(f"{NAME}/revisions/sum-00001-")
    assert made["uri"].startswith("https://sum-")
    assert made["uri"].endswith("-ew.a.run.app")
    assert made["etag"] == first["etag"]
    assert services.get_service(name=NAME) == operation.result()


def test_a_name_is_taken_once(services: run_v2.ServicesClient) -> None:
    create(services)
    with pytest.raises(exceptions.AlreadyExists, match=r"Resource already exists\."):
        services.create_service(parent=LOCATION, service=service(), service_id="sum")


def test_a_service_that_is_not_there_is_not_found(services: run_v2.ServicesClient) -> None:
    message = f'service "{NAME}" not found'
    with pytest.raises(exceptions.NotFound, match=message):
        services.get_service(name=NAME)
    with pytest.raises(exceptions.NotFound, match=message):
        services.update_service(service=service(name=NAME))
    with pytest.raises(exceptions.NotFound, match=message):
        services.delete_service(name=NAME)
    with pytest.raises(exceptions.NotFound, match="Resource 'sum' of kind 'SERVICE' in region 'europe-west1'"):
        services.get_iam_policy(request={"resource": NAME})


def test_an_update_may_make_what_is_missing(services: run_v2.ServicesClient) -> None:
    request = run_v2.UpdateServiceRequest(service=service(name=NAME), allow_missing=True)
    assert services.update_service(request=request).result(timeout=20).generation == 1


def test_a_new_template_makes_a_new_revision_and_other_changes_do_not(
    services: run_v2.ServicesClient, revisions: run_v2.RevisionsClient
) -> None:
    made = create(services)
    labelled = services.get_service(name=NAME)
    labelled.labels["team"] = "wind"
    labelled = update(services, labelled)
    assert labelled.latest_ready_revision == made.latest_ready_revision
    assert labelled.generation == labelled.observed_generation == 2
    assert labelled.etag != made.etag

    changed = update(services, service(name=NAME, container={"env": [{"name": "A", "value": "1"}]}))
    assert changed.latest_ready_revision.startswith(f"{NAME}/revisions/sum-00002-")
    listed = [revision.name for revision in revisions.list_revisions(parent=NAME)]
    assert listed == [changed.latest_ready_revision, made.latest_ready_revision]
    assert revisions.get_revision(name=listed[0]).containers[0].env[0].value == "1"


def test_an_update_that_changes_nothing_leaves_the_service_as_it_is(services: run_v2.ServicesClient) -> None:
    made = create(services)
    assert update(services, run_v2.Service(made)) == made


def test_a_mask_says_what_an_update_takes(services: run_v2.ServicesClient) -> None:
    create(services, service(labels={"a": "1"}, ingress=INTERNAL))
    wanted = service(name=NAME, labels={"b": "2"}, ingress=ALL)
    changed = services.update_service(service=wanted, update_mask=FieldMask(paths=["labels"])).result(timeout=20)
    assert dict(changed.labels) == {"b": "2"}
    assert changed.ingress == INTERNAL
    with pytest.raises(exceptions.InvalidArgument, match="update_mask"):
        services.update_service(service=wanted, update_mask=FieldMask(paths=["no_such_field"]))


def test_an_update_waits_as_pending_with_the_old_conditions(services: run_v2.ServicesClient) -> None:
    create(services)
    operation = services.update_service(service=service(name=NAME, container={"env": [{"name": "A", "value": "1"}]}))
    first = operation.metadata
    assert first.reconciling
    assert (first.generation, first.observed_generation) == (2, 1)
    assert first.terminal_condition.type_ == "Ready"
    assert first.terminal_condition.state == run_v2.Condition.State.CONDITION_PENDING
    assert all(condition.state == run_v2.Condition.State.CONDITION_SUCCEEDED for condition in first.conditions)
    operation.result(timeout=20)


def test_an_old_etag_is_refused_with_both_versions(services: run_v2.ServicesClient) -> None:
    made = create(services)
    update(services, service(name=NAME, labels={"a": "1"}))
    made.labels["a"] = "2"
    with pytest.raises(exceptions.Aborted, match=r"Conflict for resource 'sum': version '\d{16}' was specified but"):
        services.update_service(service=made)


def test_a_revision_name_sent_back_with_another_content_is_refused(services: run_v2.ServicesClient) -> None:
    create(services, service(template={"revision": "sum-first"}))
    wanted = service(name=NAME, template={"revision": "sum-first"}, container={"args": ["other"]})
    with pytest.raises(exceptions.AlreadyExists, match="'sum-first' with different configuration already exists"):
        services.update_service(service=wanted)


def test_validate_only_checks_and_makes_nothing(services: run_v2.ServicesClient) -> None:
    request = run_v2.CreateServiceRequest(parent=LOCATION, service_id="sum", service=service(), validate_only=True)
    services.create_service(request=request).result(timeout=5)
    with pytest.raises(exceptions.NotFound):
        services.get_service(name=NAME)


def test_a_deleted_service_is_gone_with_its_policy(world: World, public: Callable[..., run_v2.Service]) -> None:
    made = public()
    services = run_v2.ServicesClient(transport=ServicesGrpcTransport(channel=open_local(world)))
    services.delete_service(name=NAME).result(timeout=10)
    assert list(services.list_services(parent=LOCATION)) == []
    assert NAME not in world.policies.names()
    assert get(world, made.uri).status == 404


def test_a_service_is_there_until_its_deletion_is_done_and_cannot_be_made_again_before(
    world: World, services: run_v2.ServicesClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(services)
    slow = Operations(world.clock, {"cloud_run delete": 60})
    with monkeypatch.context() as patch:
        patch.setattr(world, "operations", slow)
        deletion = services.delete_service(name=NAME)

    assert "delete_time" in services.get_service(name=NAME)
    with pytest.raises(exceptions.AlreadyExists, match="Resource already exists"):
        create(services)

    world.clock.advance(60)
    assert slow.wait(deletion.operation.name, 10).done
    with pytest.raises(exceptions.NotFound):
        services.get_service(name=NAME)
    assert create(services).generation == 1


def test_no_container_starts_once_the_emulator_stops(
    world: World, services: run_v2.ServicesClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull = world.artifact_registry.pull

    def stop_and_pull(reference: str) -> Image:
        world.cloud_run.close()
        return pull(reference)

    monkeypatch.setattr(world.artifact_registry, "pull", stop_and_pull)
    operation = services.create_service(parent=LOCATION, service=service(), service_id="sum").operation

    assert world.operations.wait(operation.name, 10).HasField("error")
    assert not (world.settings.state / "instances").exists()


def open_local(world: World) -> grpc.Channel:
    token = world.tokens.issue_access_token(f"serviceAccount:{world.iam.deployer}")
    credentials = grpc.composite_channel_credentials(
        grpc.local_channel_credentials(), grpc.access_token_call_credentials(token)
    )
    return grpc.secure_channel(world.address, credentials)


@pytest.mark.parametrize("name", ["Sum", "1sum", "sum-", "s" * 50, "a_b", ""])
def test_bad_names_are_refused(services: run_v2.ServicesClient, name: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="service_id"):
        services.create_service(parent=LOCATION, service=service(), service_id=name)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (service(image=""), "an image is required"),
        (service(labels={"run.googleapis.com/x": "1"}), "reserved domain"),
        (service(labels={"serving.knative.dev": "1"}), "reserved domain"),
        (service(labels={"Team": "1"}), "can only contain lowercase letters"),
        (service(container={"env": [{"name": "PORT", "value": "1"}]}), "reserved env names were provided: PORT"),
        (service(container={"env": [{"name": "K_SERVICE", "value": "1"}]}), "reserved env names"),
        (service(template={"max_instance_request_concurrency": 1001}), "between 1 and 1000"),
        (service(template={"timeout": {"seconds": 3601}}), "between 1s and 3600s"),
        (service(container={"resources": {"limits": {"memory": "64Mi"}}}), "container memory"),
        (service(container={"resources": {"limits": {"memory": "8Gi"}}}), "between 128Mi and 4096Mi"),
        (service(container={"resources": {"limits": {"cpu": "3"}}}), "It must be less than 1, or 1, 2, 4, 6 or 8"),
        (service(container={"resources": {"limits": {"memory": "much"}}}), "not a quantity"),
        (
            service(
                template={"execution_environment": "EXECUTION_ENVIRONMENT_GEN2"},
                container={"resources": {"limits": {"memory": "256Mi"}}},
            ),
            "Total memory < 512 Mi is not supported with gen2",
        ),
        (service(template={"scaling": {"min_instance_count": 3, "max_instance_count": 2}}), "must not be greater"),
        (service(traffic=[{"percent": 50}]), "add up to 100"),
    ],
)
def test_what_cloud_run_does_not_take_is_refused(
    services: run_v2.ServicesClient, wanted: run_v2.Service, message: str
) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=message):
        services.create_service(parent=LOCATION, service=wanted, service_id="sum")


def test_an_account_that_does_not_exist_is_refused(services: run_v2.ServicesClient) -> None:
    wanted = service(template={"service_account": "nobody@my-project.iam.gserviceaccount.com"})
    with pytest.raises(exceptions.PermissionDenied, match=r"Permission 'iam\.serviceaccounts\.actAs' denied"):
        services.create_service(parent=LOCATION, service=wanted, service_id="sum")


def test_another_project_is_refused(services: run_v2.ServicesClient) -> None:
    with pytest.raises(exceptions.PermissionDenied, match=r"run\.services\.get"):
        services.get_service(name="projects/other/locations/europe-west1/services/sum")


# Revisions that do not become ready


def test_a_missing_image_fails_the_service_and_leaves_it_there(services: run_v2.ServicesClient) -> None:
    missing = IMAGE.replace(":one", ":none")
    with pytest.raises(exceptions.NotFound, match=f"Image '{missing}' not found"):
        create(services, service(image=missing))
    left = services.get_service(name=NAME)
    assert left.terminal_condition.state == run_v2.Condition.State.CONDITION_FAILED
    assert left.terminal_condition.reason == run_v2.Condition.CommonReason.CONTAINER_MISSING
    assert not left.reconciling
    assert not left.latest_ready_revision
    assert left.latest_created_revision


def test_a_container_that_does_not_listen_fails_and_the_one_before_goes_on_serving(
    world: World,
    services: run_v2.ServicesClient,
    revisions: run_v2.RevisionsClient,
    public: Callable[..., run_v2.Service],
    tmp_path: Path,
) -> None:
    made = public()
    push(world, tmp_path, "raise SystemExit('no configuration')", "broken")
    with pytest.raises(exceptions.FailedPrecondition, match="failed to start and listen on the port defined provided"):
        update(services, service(image=IMAGE.replace(":one", ":broken"), name=NAME))
    left = services.get_service(name=NAME)
    assert left.latest_ready_revision == made.latest_ready_revision
    assert left.latest_created_revision != made.latest_ready_revision
    assert left.terminal_condition.state == run_v2.Condition.State.CONDITION_FAILED
    revision = revisions.get_revision(name=left.latest_created_revision)
    reason = run_v2.Condition.RevisionReason.HEALTH_CHECK_CONTAINER_ERROR
    assert revision.conditions[0].revision_reason == reason
    assert "no configuration" in world.cloud_run.logs(NAME)
    assert get(world, left.uri).status == 200


def entries(world: World, log_id: str, service_name: str = "sum") -> list[Any]:
    """The log entries of a service in one log."""
    request = logging_types.ListLogEntriesRequest(
        resource_names=["projects/my-project"],
        filter=f'resource.type="cloud_run_revision" resource.labels.service_name="{service_name}" '
        f'logName="projects/my-project/logs/run.googleapis.com%2F{log_id}"',
    )
    return list(world.logging.list_log_entries(request, SYSTEM).entries)


def lines(world: World, log_id: str) -> list[str]:
    return [entry.text_payload for entry in entries(world, log_id)]


def test_the_log_of_a_crash_has_what_the_program_wrote_and_what_cloud_run_says(
    world: World, services: run_v2.ServicesClient, tmp_path: Path
) -> None:
    push(world, tmp_path, "print('Reading', __file__); raise SystemExit('no configuration')", "broken")
    with pytest.raises(exceptions.FailedPrecondition, match=r"PORT=8080"):
        create(services, service(image=IMAGE.replace(":one", ":broken")))

    (out,) = entries(world, "stdout")
    revision = services.get_service(name=NAME).latest_created_revision.rpartition("/")[2]
    assert out.text_payload == "Reading /app/server.py"
    assert dict(out.resource.labels) == {
        "project_id": "my-project",
        "service_name": "sum",
        "revision_name": revision,
        "location": "europe-west1",
        "configuration_name": "sum",
    }
    assert lines(world, "stderr") == ["no configuration"]
    ended, probe = lines(world, "varlog%2Fsystem")
    assert ended == "Container called exit(1)."
    assert probe == (
        'Default STARTUP TCP probe failed 1 time consecutively for container "sum-1" on port 8080. The instance was '
        "not started.\nConnection failed with status CANCELLED."
    )


class TestShortStart:
    """Where a container may take a second until it listens."""

    @pytest.fixture
    def settings(self, settings: WorldSettings) -> WorldSettings:
        return dataclasses.replace(settings, startup_seconds=1.0)

    def test_a_container_that_does_not_listen_in_time_fails_its_revision(
        self, world: World, services: run_v2.ServicesClient, tmp_path: Path
    ) -> None:
        push(world, tmp_path, "import time; time.sleep(60)", "slow")
        began = time.monotonic()
        with pytest.raises(exceptions.FailedPrecondition, match="failed to start and listen on the port"):
            create(services, service(image=IMAGE.replace(":one", ":slow")))

        assert time.monotonic() - began < 20
        (told,) = lines(world, "varlog%2Fsystem")
        assert told.endswith("The instance was not started.\nConnection failed with status DEADLINE_EXCEEDED.")


@needs_proc
def test_a_container_that_takes_too_much_memory_at_its_start_fails_its_revision(
    world: World, services: run_v2.ServicesClient, tmp_path: Path
) -> None:
    push(world, tmp_path, "held = bytearray(b'x') * (300 * 1024 * 1024)\nimport time; time.sleep(60)", "large")
    with pytest.raises(exceptions.FailedPrecondition, match="failed to start and listen on the port"):
        create(
            services,
            service(image=IMAGE.replace(":one", ":large"), container={"resources": {"limits": {"memory": "128Mi"}}}),
        )

    memory, ended, probe = lines(world, "varlog%2Fsystem")
    assert memory.startswith("Memory limit of 128 MiB exceeded with ")
    assert ended == "Container terminated on signal 9."
    assert "probe failed" in probe


@needs_proc
def test_a_container_that_takes_too_much_memory_for_a_request_is_killed_and_another_one_serves_the_next(
    world: World, public: Callable[..., run_v2.Service], tmp_path: Path
) -> None:
    greedy = SERVER.replace("    def do_GET(self):", "    def do_GET(self):\n        if 'take' in self.path: take()")
    push(world, tmp_path, TAKE + greedy, "greedy")
    made = public(image=IMAGE.replace(":one", ":greedy"))

    assert get(world, made.uri, "/?take=1").status == 503
    assert get(world, made.uri).status == 200
    assert lines(world, "varlog%2Fsystem")[0].startswith("Memory limit of 512 MiB exceeded with ")
    assert "could not start or ended" in lines(world, "requests")[0]


def test_a_secret_that_does_not_exist_fails_the_revision(world: World, services: run_v2.ServicesClient) -> None:
    variable = {"name": "KEY", "value_source": {"secret_key_ref": {"secret": "key", "version": "latest"}}}
    with pytest.raises(exceptions.NotFound, match="Secret projects/123456789012/secrets/key/versions/latest"):
        create(services, service(container={"env": [variable]}))
    world.cloud_run.secrets["key", "latest"] = "hush"
    allow(world, "allUsers")
    with pytest.raises(exceptions.NotFound, match="is not ready"):
        update(services, service(name=NAME, container={"env": [variable]}, labels={"same": "template"}))
    made = update(services, service(name=NAME, container={"env": [variable, {"name": "A", "value": "1"}]}))
    assert json.loads(get(world, made.uri).body)["environment"]["KEY"] == "hush"


# Requests


def test_a_request_reaches_the_container_with_its_environment_and_nothing_of_the_machine(
    world: World, public: Callable[..., run_v2.Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST_SECRET", "hush")
    made = public(container={"env": [{"name": "SERVICE_ID", "value": "abc"}]})
    answer = json.loads(get(world, made.uri).body)
    environment = answer["environment"]
    assert environment["SERVICE_ID"] == "abc"
    assert environment["FROM_IMAGE"] == "yes"
    assert environment["K_SERVICE"] == environment["K_CONFIGURATION"] == "sum"
    assert made.latest_ready_revision.endswith(environment["K_REVISION"])
    assert environment["PUBSUB_EMULATOR_HOST"] == world.address
    assert environment["GOOGLE_CLOUD_PROJECT"] == "my-project"
    assert "HOST_SECRET" not in environment
    assert f"https://{answer['headers']['Host']}" == made.uri
    assert "listening" in world.cloud_run.logs(NAME)


def test_only_the_inside_reaches_a_service_of_internal_ingress(
    world: World, public: Callable[..., run_v2.Service]
) -> None:
    made = public(ingress=INTERNAL)
    assert get(world, made.uri, internal=False).status == 404
    assert get(world, made.uri, internal=True).status == 200
    assert get(world, "https://unknown-abc-ew.a.run.app").status == 404


def test_callers_show_who_they_are_and_need_the_invoker_role(world: World, services: run_v2.ServicesClient) -> None:
    made = create(services)
    caller = "caller@other-project.iam.gserviceaccount.com"
    token = world.tokens.issue_id_token(caller, made.uri)
    assert get(world, made.uri).status == 403
    assert get(world, made.uri, token=token).status == 403
    allow(world, f"serviceAccount:{caller}")
    answer = get(world, made.uri, token=token)
    assert answer.status == 200
    seen = json.loads(answer.body)["headers"]["Authorization"]
    assert seen.endswith(".SIGNATURE_REMOVED_BY_GOOGLE")
    assert get(world, made.uri, token="made.up.token").status == 401
    assert get(world, made.uri, token=world.tokens.issue_id_token(caller, "https://elsewhere.run.app")).status == 401
    assert get(world, made.urls[0], token=token).status == 200


def test_an_idle_instance_is_stopped_and_the_next_request_starts_another(
    world: World, public: Callable[..., run_v2.Service]
) -> None:
    made = public()
    first = json.loads(get(world, made.uri).body)["pid"]
    assert json.loads(get(world, made.uri).body)["pid"] == first
    world.clock.advance(10)
    time.sleep(1)
    assert json.loads(get(world, made.uri).body)["pid"] != first


def test_the_least_instances_stay(world: World, public: Callable[..., run_v2.Service]) -> None:
    made = public(template={"scaling": {"min_instance_count": 1}})
    first = json.loads(get(world, made.uri).body)["pid"]
    world.clock.advance(10)
    time.sleep(0.6)
    assert json.loads(get(world, made.uri).body)["pid"] == first


def test_requests_beyond_the_concurrency_start_more_instances(
    world: World, public: Callable[..., run_v2.Service]
) -> None:
    made = public(template={"max_instance_request_concurrency": 1, "scaling": {"max_instance_count": 2}})
    answers: list[Response] = []
    threads = [threading.Thread(target=lambda: answers.append(get(world, made.uri, "/?sleep=0.7"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status for answer in answers] == [200] * 4
    assert len({json.loads(answer.body)["pid"] for answer in answers}) == 2


def test_a_request_without_room_is_turned_away(
    world: World, public: Callable[..., run_v2.Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emulator.instances._PENDING_SECONDS", 0.1)
    made = public(template={"max_instance_request_concurrency": 1, "scaling": {"max_instance_count": 1}})
    busy = threading.Thread(target=get, args=(world, made.uri, "/?sleep=1"))
    busy.start()
    time.sleep(0.3)
    assert get(world, made.uri).status == 429
    busy.join()


def test_a_request_that_takes_too_long_is_ended(world: World, public: Callable[..., run_v2.Service]) -> None:
    made = public(template={"timeout": {"seconds": 1}})
    answer = get(world, made.uri, "/?sleep=3")
    assert (answer.status, answer.body) == (504, b"upstream request timeout")


def test_tags_lead_to_a_revision_without_traffic(
    world: World, services: run_v2.ServicesClient, public: Callable[..., run_v2.Service]
) -> None:
    made = public()
    old = made.latest_ready_revision.rpartition("/")[2]
    by_name = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
    traffic = [{"type_": by_name, "revision": old, "percent": 100}, {"tag": "next", "type_": 1}]
    changed = update(services, service(name=NAME, container={"env": [{"name": "A", "value": "2"}]}, traffic=traffic))
    status = changed.traffic_statuses[1]
    assert status.uri == changed.uri.replace("https://", "https://next---")
    assert changed.uri == made.uri
    assert json.loads(get(world, changed.uri).body)["environment"]["K_REVISION"] == old
    assert json.loads(get(world, status.uri).body)["environment"]["A"] == "2"


def test_the_traffic_stays_where_it_is_when_it_is_sent_to_what_is_not_there(
    world: World, services: run_v2.ServicesClient, public: Callable[..., run_v2.Service]
) -> None:
    made = public()
    by_name = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
    traffic = [{"type_": by_name, "revision": f"{NAME}-00099-abc", "percent": 100}]
    with pytest.raises(exceptions.FailedPrecondition, match="is not ready or does not exist"):
        update(services, service(name=NAME, traffic=traffic))
    shown = services.get_service(name=made.name)
    assert shown.terminal_condition.state == run_v2.Condition.State.CONDITION_FAILED
    assert shown.traffic_statuses == made.traffic_statuses
    assert get(world, made.uri).status == 200


def test_a_revision_with_traffic_is_not_deleted(
    services: run_v2.ServicesClient, revisions: run_v2.RevisionsClient
) -> None:
    made = create(services)
    with pytest.raises(exceptions.FailedPrecondition, match="is serving traffic"):
        revisions.delete_revision(name=made.latest_ready_revision)
    update(services, service(name=NAME, container={"env": [{"name": "A", "value": "2"}]}))
    revisions.delete_revision(name=made.latest_ready_revision).result(timeout=5)
    with pytest.raises(exceptions.NotFound):
        revisions.get_revision(name=made.latest_ready_revision)
