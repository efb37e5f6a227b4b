from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import grpc
import pytest
import requests
from google.cloud import iam_admin_v1
from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import pubsub

from emulator import apis
from emulator.errors import not_found
from emulator.rpc import SYSTEM, Call
from emulator.server import Emulator
from emulator.world import World, WorldSettings
from tests.runs import Job, job_of_small_service

TOPIC = "projects/my-project/topics/octue.services.42"
SUBSCRIPTION = "projects/my-project/subscriptions/octue.services.42"


class _Receiver(BaseHTTPRequestHandler):
    received: ClassVar[list[tuple[str, str | None, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.path, self.headers["X-Test"], body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        pass


@pytest.fixture
def receiver() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Receiver)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_message_is_delivered_to_a_server_on_this_machine(world: World, receiver: str) -> None:
    assert world.deliver(f"{receiver}/path?a=b", {"X-Test": "x"}, b"body") == 204
    assert _Receiver.received.pop() == ("/path?a=b", "x", b"body")


def test_a_message_for_a_service_goes_to_cloud_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def request(*arguments: Any, internal: bool) -> SimpleNamespace:
        asked.append((*arguments, internal))
        return SimpleNamespace(status=204)

    monkeypatch.setattr(world.cloud_run, "request", request)

    assert world.deliver("https://sum-123.europe-west1.run.app/?x=y", {}, b"body") == 204
    assert asked == [("sum-123.europe-west1.run.app", "POST", "/?x=y", {}, b"body", True)]


@pytest.mark.parametrize("url", ["https://example.com/", "http://example.com/", "http://127.0.0.1:1/", "nonsense"])
def test_nothing_is_delivered_elsewhere(world: World, url: str) -> None:
    assert world.deliver(url, {}, b"") == 502


def test_the_first_repository_is_trusted_unless_another_is_named(settings: WorldSettings, tmp_path: Path) -> None:
    several = replace(settings, repositories={"a/b": tmp_path, "c/d": tmp_path})

    assert settings.trusted == "my-org/my-repository"
    assert several.trusted == "a/b"
    assert replace(several, trusted_repository="c/d").trusted == "c/d"


@pytest.fixture
def new(settings: WorldSettings) -> Iterator[World]:
    """A project that nobody has set up."""
    world = World(replace(settings, is_set_up=False))
    yield world
    world.close()


def test_in_a_new_project_only_the_owner_is_there(new: World) -> None:
    policy = new.policies.get("projects/my-project")
    accounts = new.iam.list_service_accounts(
        iam_admin_v1.ListServiceAccountsRequest(name="projects/my-project"), SYSTEM
    )
    roles = new.iam.list_roles(iam_admin_v1.ListRolesRequest(parent="projects/my-project"), SYSTEM)

    assert [(b.role, list(b.members)) for b in policy.bindings] == [("roles/owner", ["user:owner@example.com"])]
    assert new.policies.names() == ["projects/my-project"]
    assert (list(accounts.accounts), list(roles.roles), list(new.workload_identity)) == ([], [], [])
    assert new.iam.find(new.iam.deployer) is None
    assert not any(new.service_usage.has_role(host) for host, api in apis.APIS.items() if api.agent)
    with pytest.raises(LookupError, match="not set up"):
        _ = new.sts.provider


def test_in_a_new_project_the_apis_are_off_that_google_does_not_switch_on(new: World) -> None:
    assert new.service_usage.enabled() == [host for host, api in sorted(apis.APIS.items()) if api.on_by_default]


def test_the_owner_of_a_new_project_may_do_all_that_it_takes_to_set_it_up(new: World) -> None:
    owner = Call("x", "user:owner@example.com")
    asked = [
        "iam.roles.create",
        "iam.serviceAccounts.create",
        "iam.serviceAccounts.setIamPolicy",
        "iam.workloadIdentityPoolProviders.create",
        "iam.workloadIdentityPools.create",
        "resourcemanager.projects.setIamPolicy",
        "serviceusage.services.enable",
    ]

    assert new.access.held(owner, "projects/my-project", asked) == asked


def test_a_project_that_is_set_up_has_what_its_owner_has_made(world: World) -> None:
    deployer = f"serviceAccount:{world.iam.deployer}"

    assert world.policies.members("projects/my-project", "projects/my-project/roles/octue_deployer") == {deployer}
    assert all(world.service_usage.has_role(host) for host in apis.APIS)
    assert world.service_usage.is_enabled("run.googleapis.com")
    assert [each.name.rpartition("/")[2] for each in world.workload_identity] == ["github", "octue"]


@pytest.mark.parametrize(
    ("changes", "connected"),
    [
        ({}, ["a/b", "c/d"]),
        ({"is_set_up": False}, []),
        ({"connected_repositories": ["c/d"]}, ["c/d"]),
        ({"connected_repositories": ["c/d"], "is_set_up": False}, ["c/d"]),
    ],
)
def test_cloud_build_knows_the_repositories_that_are_connected(
    settings: WorldSettings, tmp_path: Path, changes: dict[str, Any], connected: list[str]
) -> None:
    world = World(replace(settings, repositories={"a/b": tmp_path, "c/d": tmp_path}, **changes))

    found = list(world.cloud_build.connected.values())

    world.close()
    assert found == connected


def test_closing_a_world_ends_the_threads_that_it_began(settings: WorldSettings) -> None:
    before = set(threading.enumerate())
    world = World(replace(settings, leaps=True, seconds={"slow": 1000}))
    with world.clock.working():  # so that no time passes
        world.operations.start("one", "slow", Empty, metadata=Empty)
        own = set(threading.enumerate()) - before

        world.close()

    for thread in own:
        thread.join(5)
    assert own
    assert not any(thread.is_alive() for thread in own)


def test_the_time_of_a_world_leaps_where_it_is_told_to(settings: WorldSettings) -> None:
    world = World(replace(settings, leaps=True))
    began = world.clock.time()

    world.clock.sleep(300)

    world.close()
    assert world.clock.time() - began >= 300


def test_a_push_that_fails_again_and_again_does_not_make_time_run(settings: WorldSettings) -> None:
    world = World(replace(settings, leaps=True))
    config = pubsub.PushConfig(push_endpoint="http://127.0.0.1:1/")
    retry = pubsub.RetryPolicy(minimum_backoff={"seconds": 100}, maximum_backoff={"seconds": 100})
    world.pubsub.publisher.create_topic(pubsub.Topic(name=TOPIC), SYSTEM)
    world.pubsub.subscriber.create_subscription(
        pubsub.Subscription(name=SUBSCRIPTION, topic=TOPIC, push_config=config, retry_policy=retry), SYSTEM
    )
    began = world.clock.time()

    world.pubsub.publish(TOPIC, [pubsub.PubsubMessage(data=b"question")])
    time.sleep(0.2)

    passed = world.clock.time() - began
    world.close()
    assert passed < 5


@pytest.fixture
def leaping(settings: WorldSettings) -> Iterator[Emulator]:
    with Emulator(replace(settings, leaps=True)) as emulator:
        yield emulator


@pytest.fixture
def sleeper(leaping: Emulator) -> Callable[[float], bool]:
    """Begins to sleep for long when first called, and tells whether it still does after that much of real time."""
    sleeping = threading.Thread(target=leaping.world.clock.sleep, args=(1000,), daemon=True)

    def stays_asleep(seconds: float) -> bool:
        if not sleeping.ident:
            sleeping.start()
        sleeping.join(seconds)
        return sleeping.is_alive()

    return stays_asleep


def ask(emulator: Emulator, method: str, path: str, **more: Any) -> None:
    token = emulator.world.tokens.issue_access_token("user:owner@example.com")
    headers = {"Authorization": f"Bearer {token}"}
    requests.request(method, f"http://{emulator.address}/{path}", headers=headers, timeout=5, **more)


@pytest.mark.parametrize(
    ("service", "name", "method", "path"),
    [
        ("github", "id_token", "GET", "token.actions.githubusercontent.com/idtoken"),
        ("sts", "exchange", "POST", "sts.googleapis.com/v1/token"),
        ("policies", "names", "GET", "emulator/world"),
        ("cloud_run", "_find_by_hostname", "GET", "sum-123.europe-west1.run.app/"),
        ("pubsub", "check_project", "GET", "pubsub.googleapis.com/v1/projects/my-project/topics"),
    ],
)
def test_time_does_not_leap_while_a_request_is_answered(
    leaping: Emulator,
    sleeper: Callable[[float], bool],
    monkeypatch: pytest.MonkeyPatch,
    service: str,
    name: str,
    method: str,
    path: str,
) -> None:
    asleep = []

    def answer(*_: object) -> None:
        asleep.append(sleeper(0.1))
        raise not_found("There is nothing.")

    monkeypatch.setattr(getattr(leaping.world, service), name, answer)

    ask(leaping, method, path)

    assert asleep == [True]
    assert not sleeper(10)


def test_time_does_not_leap_while_a_call_over_grpc_is_answered(
    leaping: Emulator, sleeper: Callable[[float], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep = []
    monkeypatch.setattr(leaping.world.pubsub, "check_project", lambda _: asleep.append(sleeper(0.1)))

    with grpc.insecure_channel(leaping.address) as channel:
        publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        list(publisher.list_topics(project="projects/my-project"))

    assert asleep == [True]
    assert not sleeper(10)


def test_time_does_not_leap_while_a_service_gets_a_message(
    leaping: Emulator, sleeper: Callable[[float], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep = []
    monkeypatch.setattr(leaping.world.cloud_run, "_find_by_hostname", lambda _: asleep.append(sleeper(0.1)))

    leaping.world.deliver("https://sum-123.europe-west1.run.app/", {}, b"")

    assert asleep == [True]
    assert not sleeper(10)


def test_who_waits_for_messages_for_ever_does_not_keep_time_from_leaping(leaping: Emulator) -> None:
    world = leaping.world
    world.pubsub.publisher.create_topic(pubsub.Topic(name=TOPIC), SYSTEM)
    world.pubsub.subscriber.create_subscription(pubsub.Subscription(name=SUBSCRIPTION, topic=TOPIC), SYSTEM)
    began = world.clock.time()

    with grpc.insecure_channel(leaping.address) as channel:
        subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        first = pubsub.StreamingPullRequest(subscription=SUBSCRIPTION, stream_ack_deadline_seconds=10)
        stream = subscriber.streaming_pull(requests=iter([first]))
        world.clock.sleep(300)
        stream.cancel()  # type: ignore[attr-defined]  # it is a call of gRPC, too

    assert world.clock.time() - began >= 300


class TestAHollowWorld:
    """The one for measuring: all is there that a deployment makes, and nothing was built or started for it."""

    @pytest.fixture
    def job(self, tmp_path: Path) -> Iterator[Job]:
        with job_of_small_service(tmp_path, hollow=True) as job:
            yield job

    def test_a_deployment_ends_well_and_a_second_one_has_nothing_to_do(self, job: Job) -> None:
        first, second = (job.deploy(event_name="workflow_dispatch") for _ in range(2))

        assert (first.code, second.code) == (0, 0), first.readable
        assert first.outputs["revision"].startswith("my-org-sum-00001-")
        assert second.outputs["changed"] == "false"
        (build,) = first.world["builds"]["builds"]
        assert [build["status"], *(step["status"] for step in build["steps"])] == ["SUCCESS"] * 4

    def test_no_program_is_started_and_no_file_is_made(self, job: Job, tmp_path: Path) -> None:
        run = job.deploy(event_name="workflow_dispatch")
        url = run.outputs["service_url"].replace("https://", f"{job.world.base_url}/")

        assert [path for path in (tmp_path / "state").rglob("*") if path.is_file()] == []
        assert requests.get(url, timeout=5).status_code == 404  # as before: it takes questions from inside alone
        assert job.world.deliver(run.outputs["service_url"], {}, b"") in {401, 403, 503}

    def test_an_image_that_was_never_pushed_is_missing_here_too(self, job: Job) -> None:
        image = "europe-west1-docker.pkg.dev/my-project/none/none:1"
        run = job.deploy({"image": image}, event_name="workflow_dispatch")

        assert run.code == 1
        assert "none" in run.readable

    def test_the_pages_tell_when_each_operation_was_under_way_and_which_call_began_it(self, job: Job) -> None:
        job.deploy(event_name="workflow_dispatch")
        calls, operations = (
            requests.get(f"{job.world.base_url}/emulator/{page}", timeout=5).json()
            for page in ("requests", "operations")
        )

        began_by = {call["operation"]: call for call in reversed(calls) if call["operation"]}
        kinds = {operation["kind"]: began_by[operation["name"]]["method"] for operation in operations}
        assert {kind: method.rpartition("/")[2] for kind, method in kinds.items()} == {
            "artifact_registry create": "CreateRepository",
            "cloud_build build": "RunBuildTrigger",
            "cloud_run create": "CreateService",
            "eventarc create": "CreateTrigger",
        }
        assert all(0 < operation["began"] <= operation["ended"] for operation in operations)
