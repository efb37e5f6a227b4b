"""Eventarc as Google's own client sees it, and the services that its triggers call."""

from __future__ import annotations

import json
import queue
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud.eventarc_v1 import EventarcClient, types
from google.cloud.eventarc_v1.services.eventarc.transports import EventarcGrpcTransport
from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1.types import pubsub

from emulator.errors import ApiError, not_found
from emulator.rpc import SYSTEM
from emulator.server import Emulator
from emulator.world import World

PARENT = "projects/my-project/locations/europe-west1"
NAME = f"{PARENT}/triggers/my-org-sum"
TOPIC = "projects/my-project/topics/octue.services.42"
MODE = "__GCP_CloudEventsMode=CUSTOM_PUBSUB_projects%2Fmy-project%2Ftopics%2Foctue.services.42"
URI = "https://my-org-sum-abc-ew.a.run.app"
PUBLISHED = "google.cloud.pubsub.topic.v1.messagePublished"


@dataclass(frozen=True)
class Answer:
    status: int


@dataclass
class CloudRun:
    """Two services that note the requests they get."""

    requests: queue.Queue[tuple[str, str, Mapping[str, str], bytes]] = field(default_factory=queue.Queue)
    status: int = 204

    def find(self, name: str) -> None:
        if name not in {f"{PARENT}/services/my-org-sum", f"{PARENT}/services/my-org-sum-2"}:
            raise not_found(f"Resource '{name}' was not found")

    def service_uri(self, project: str, region: str, service: str) -> str:
        assert (project, region) == ("my-project", "europe-west1")
        return URI.replace("my-org-sum", service)

    def request(
        self, hostname: str, method: str, target: str, headers: Mapping[str, str], body: bytes, *, internal: bool
    ) -> Answer:
        assert method == "POST"
        assert internal
        self.requests.put((hostname, target, headers, body))
        return Answer(self.status)


@pytest.fixture
def world(emulator: Emulator) -> World:
    return emulator.world


@pytest.fixture
def cloud_run(world: World, monkeypatch: pytest.MonkeyPatch) -> CloudRun:
    cloud_run = CloudRun()
    monkeypatch.setattr(world, "cloud_run", cloud_run)
    return cloud_run


@pytest.fixture
def account(world: World) -> str:
    return str(world.iam.deployer)


@pytest.fixture
def topic(world: World) -> str:
    world.pubsub.publisher.create_topic(pubsub.Topic(name=TOPIC), SYSTEM)
    return TOPIC


@pytest.fixture
def client(channel: grpc.Channel, cloud_run: CloudRun) -> EventarcClient:  # noqa: ARG001 - it must be there before
    return EventarcClient(transport=EventarcGrpcTransport(channel=channel))


@pytest.fixture
def trigger(topic: str, account: str) -> types.Trigger:
    """A trigger as the action asks for it."""
    return types.Trigger(
        name=NAME,
        event_filters=[types.EventFilter(attribute="type", value=PUBLISHED)],
        destination=types.Destination(cloud_run=types.CloudRun(service="my-org-sum", region="europe-west1")),
        service_account=account,
        transport=types.Transport(pubsub=types.Pubsub(topic=topic)),
        labels={"managed-by": "octue-action"},
    )


@pytest.fixture
def create(client: EventarcClient, trigger: types.Trigger) -> Callable[..., types.Trigger]:
    def create(trigger: types.Trigger = trigger) -> types.Trigger:
        operation = client.create_trigger(parent=PARENT, trigger=trigger, trigger_id="my-org-sum")
        created: types.Trigger = operation.result(timeout=5)
        return created

    return create


def subscription(world: World, trigger: types.Trigger) -> pubsub.Subscription:
    name = trigger.transport.pubsub.subscription
    config = world.pubsub.subscriber.get_subscription(pubsub.GetSubscriptionRequest(subscription=name), SYSTEM)
    assert isinstance(config, pubsub.Subscription)
    return config


def publish(world: World, text: str) -> str:
    messages = [pubsub.PubsubMessage(data=text.encode())]
    response = world.pubsub.publisher.publish(pubsub.PublishRequest(topic=TOPIC, messages=messages), SYSTEM)
    return str(response.message_ids[0])


def test_a_trigger_is_read_as_the_real_service_shows_it(
    create: Callable[..., types.Trigger], client: EventarcClient, trigger: types.Trigger
) -> None:
    answer = create()
    read = client.get_trigger(name=NAME)
    shown = types.Trigger.to_dict(read, always_print_fields_with_no_presence=False)
    assert shown.keys() == {
        *("name", "uid", "create_time", "update_time", "event_filters", "service_account"),
        *("destination", "transport", "labels", "etag"),
    }
    assert re.fullmatch(
        r"projects/my-project/subscriptions/eventarc-europe-west1-my-org-sum-sub-\d{3}",
        read.transport.pubsub.subscription,
    )
    assert read.transport.pubsub.topic == TOPIC
    assert read.labels == trigger.labels
    assert (answer.labels, answer.uid) == ({}, read.uid)
    assert list(client.list_triggers(parent=PARENT)) == [read]
    assert list(client.list_triggers(parent="projects/my-project/locations/-")) == [read]
    assert list(client.list_triggers(parent="projects/my-project/locations/europe-west2")) == []


def test_the_operation_has_the_real_name_and_metadata(client: EventarcClient, trigger: types.Trigger) -> None:
    operation = client.create_trigger(parent=PARENT, trigger=trigger, trigger_id="my-org-sum")
    operation.result(timeout=5)
    assert re.fullmatch(
        PARENT + r"/operations/operation-\d{13}-[0-9a-f]{13}-[0-9a-f]{8}-[0-9a-f]{8}", operation.operation.name
    )
    metadata = operation.metadata
    assert (metadata.target, metadata.verb, metadata.api_version) == (NAME, "create", "v1")
    assert "end_time" in metadata


def test_the_subscription_of_a_trigger_has_the_deadline_that_is_too_short(
    create: Callable[..., types.Trigger], world: World, account: str
) -> None:
    config = pubsub.Subscription.to_dict(subscription(world, create()))
    assert config["topic"] == TOPIC
    assert config["ack_deadline_seconds"] == 10
    assert config["message_retention_duration"] == "86400s"
    assert config["expiration_policy"] == {"ttl": "2678400s"}
    assert config["push_config"]["push_endpoint"] == f"{URI}/?{MODE}"
    assert config["push_config"]["oidc_token"] == {"service_account_email": account, "audience": URI}


def test_a_published_message_reaches_the_service_as_a_cloud_event(
    create: Callable[..., types.Trigger], world: World, cloud_run: CloudRun, account: str
) -> None:
    name = create().transport.pubsub.subscription
    message_id = publish(world, "question")
    hostname, target, headers, body = cloud_run.requests.get(timeout=5)
    envelope = json.loads(body)
    assert (hostname, target) == ("my-org-sum-abc-ew.a.run.app", f"/?{MODE}")
    assert (envelope["subscription"], envelope["message"]["data"]) == (name, "cXVlc3Rpb24=")
    assert world.tokens.check_id_token(headers["Authorization"].removeprefix("Bearer "), URI) == account
    assert {header: value for header, value in headers.items() if header.lower().startswith(("ce-", "content"))} == {
        "Content-Type": "application/json",
        "ce-id": message_id,
        "ce-source": f"//pubsub.googleapis.com/{TOPIC}",
        "ce-specversion": "1.0",
        "ce-type": PUBLISHED,
        "ce-time": envelope["message"]["publishTime"],
    }


def test_a_trigger_exists_only_once(create: Callable[..., types.Trigger]) -> None:
    create()
    with pytest.raises(exceptions.AlreadyExists, match=f"Resource '{NAME}' already exists") as caught:
        create()
    assert [detail.resource_name for detail in caught.value.details] == [NAME]


def test_an_absent_trigger_is_not_found(client: EventarcClient) -> None:
    with pytest.raises(exceptions.NotFound, match=f"Resource '{NAME}' was not found"):
        client.get_trigger(name=NAME)


def test_without_a_topic_eventarc_makes_one_and_takes_it_away_again(
    create: Callable[..., types.Trigger], trigger: types.Trigger, client: EventarcClient, world: World
) -> None:
    trigger.transport = types.Transport()
    made = create(trigger).transport.pubsub.topic
    assert re.fullmatch(r"projects/my-project/topics/eventarc-europe-west1-my-org-sum-\d{3}", made)
    assert made in world.pubsub.topics
    client.delete_trigger(name=NAME).result(timeout=5)
    assert made not in world.pubsub.topics


def test_a_deleted_trigger_takes_its_subscription_along_and_leaves_the_topic(
    create: Callable[..., types.Trigger], client: EventarcClient, world: World
) -> None:
    created = create()
    client.delete_trigger(name=NAME).result(timeout=5)
    with pytest.raises(ApiError, match="NOT_FOUND"):
        subscription(world, created)
    assert TOPIC in world.pubsub.topics
    with pytest.raises(exceptions.NotFound):
        client.delete_trigger(name=NAME)
    client.delete_trigger(request=types.DeleteTriggerRequest(name=NAME, allow_missing=True)).result(timeout=5)


def test_deleting_with_an_old_etag_is_refused(create: Callable[..., types.Trigger], client: EventarcClient) -> None:
    create()
    with pytest.raises(exceptions.Aborted):
        client.delete_trigger(request=types.DeleteTriggerRequest(name=NAME, etag="old"))
    etag = client.get_trigger(name=NAME).etag
    client.delete_trigger(request=types.DeleteTriggerRequest(name=NAME, etag=etag)).result(timeout=5)


def test_destination_and_labels_can_be_changed(
    create: Callable[..., types.Trigger], client: EventarcClient, trigger: types.Trigger, world: World
) -> None:
    created = create()
    mask = FieldMask(paths=["ack_deadline_seconds"])
    longer = pubsub.Subscription(name=created.transport.pubsub.subscription, ack_deadline_seconds=600)
    world.pubsub.subscriber.update_subscription(
        pubsub.UpdateSubscriptionRequest(subscription=longer, update_mask=mask), SYSTEM
    )
    trigger.destination.cloud_run.service = "my-org-sum-2"
    trigger.destination.cloud_run.path = "/route"
    trigger.labels = {"a": "b"}
    client.update_trigger(trigger=trigger, update_mask=FieldMask(paths=["destination", "labels"])).result(timeout=5)
    read = client.get_trigger(name=NAME)
    assert (read.destination, read.labels) == (trigger.destination, {"a": "b"})
    assert (read.uid, read.transport) == (created.uid, created.transport)
    config = subscription(world, read)
    assert config.push_config.push_endpoint == f"https://my-org-sum-2-abc-ew.a.run.app/route?{MODE}"
    assert config.ack_deadline_seconds == 600


def test_the_transport_of_a_trigger_never_changes(
    create: Callable[..., types.Trigger], client: EventarcClient, trigger: types.Trigger
) -> None:
    create()
    with pytest.raises(exceptions.InvalidArgument, match="'transport' of a trigger cannot be changed"):
        client.update_trigger(trigger=trigger, update_mask=FieldMask(paths=["transport"]))


def test_with_one_attempt_a_failed_delivery_is_dropped(
    create: Callable[..., types.Trigger], trigger: types.Trigger, world: World, cloud_run: CloudRun
) -> None:
    trigger.retry_policy = types.Trigger.RetryPolicy(max_attempts=1)
    create(trigger)
    cloud_run.status = 500
    publish(world, "question")
    cloud_run.requests.get(timeout=5)
    world.clock.advance(100)
    with pytest.raises(queue.Empty):
        cloud_run.requests.get(timeout=0.3)


def test_validating_changes_nothing(client: EventarcClient, trigger: types.Trigger) -> None:
    request = types.CreateTriggerRequest(parent=PARENT, trigger=trigger, trigger_id="my-org-sum", validate_only=True)
    client.create_trigger(request=request).result(timeout=5)
    assert list(client.list_triggers(parent=PARENT)) == []


def test_the_service_agent_must_be_ready(create: Callable[..., types.Trigger], world: World) -> None:
    world.eventarc.service_agent_ready = False
    with pytest.raises(exceptions.FailedPrecondition, match="Permission denied while using the Eventarc Service Agent"):
        create()
    world.eventarc.service_agent_ready = True
    create()


AGENT = "serviceAccount:service-123456789012@gcp-sa-eventarc.iam.gserviceaccount.com"


def take_role_of_agent(world: World) -> None:
    policy = world.policies.get("projects/my-project")
    for place in reversed([n for n, b in enumerate(policy.bindings) if b.role == "roles/eventarc.serviceAgent"]):
        del policy.bindings[place]
    world.policies.seed("projects/my-project", policy)


def test_the_service_agent_must_have_its_role(create: Callable[..., types.Trigger], world: World) -> None:
    take_role_of_agent(world)
    with pytest.raises(exceptions.FailedPrecondition, match="verify that it has Eventarc Service Agent role"):
        create()

    policy = world.policies.get("projects/my-project")
    policy.bindings.add(role="roles/eventarc.serviceAgent", members=[AGENT])
    world.policies.set("projects/my-project", policy)
    create()


def test_the_first_trigger_makes_the_service_agent_with_its_role(
    create: Callable[..., types.Trigger], world: World
) -> None:
    take_role_of_agent(world)
    world.service_usage._agents.clear()

    create()

    assert world.policies.members("projects/my-project", "roles/eventarc.serviceAgent") == {AGENT}


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"event_filters": []}, exceptions.InvalidArgument, "exactly one event filter"),
    (
        {"event_filters": [{"attribute": "type", "value": "google.cloud.storage.object.v1.finalized"}]},
        exceptions.MethodNotImplemented,
        "knows the event type",
    ),
    (
        {"event_filters": [{"attribute": "type", "value": PUBLISHED}, {"attribute": "bucket", "value": "b"}]},
        exceptions.InvalidArgument,
        "cannot be filtered by bucket",
    ),
    ({"destination": {"workflow": "w"}}, exceptions.MethodNotImplemented, "Cloud Run services only"),
    (
        {"destination": {"cloud_run": {"service": "absent", "region": "europe-west1"}}},
        exceptions.NotFound,
        "services/absent",
    ),
    (
        {"service_account": "absent@my-project.iam.gserviceaccount.com"},
        exceptions.InvalidArgument,
        "Service account absent",
    ),
    ({"transport": {"pubsub": {"topic": f"{TOPIC}-absent"}}}, exceptions.NotFound, "Resource not found"),
    ({"retry_policy": {"max_attempts": 3}}, exceptions.InvalidArgument, "can only be 1"),
    ({"channel": f"{PARENT}/channels/c"}, exceptions.InvalidArgument, "has no channel"),
    ({"name": f"{PARENT}/triggers/other"}, exceptions.InvalidArgument, "is not"),
]


@pytest.mark.parametrize(("wrong", "error", "expected"), WRONG)
def test_a_wrong_trigger_is_refused(
    client: EventarcClient, trigger: types.Trigger, wrong: dict[str, Any], error: type[Exception], expected: str
) -> None:
    asked = types.Trigger({**types.Trigger.to_dict(trigger), **wrong})
    with pytest.raises(error, match=expected):
        client.create_trigger(parent=PARENT, trigger=asked, trigger_id="my-org-sum")


@pytest.mark.parametrize("trigger_id", ["", "Upper", "1abc", "a" * 64, "ends-"])
def test_a_bad_trigger_id_is_refused(client: EventarcClient, trigger: types.Trigger, trigger_id: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="Invalid trigger ID"):
        client.create_trigger(parent=PARENT, trigger=trigger, trigger_id=trigger_id)


def test_a_trigger_on_a_topic_is_never_global(client: EventarcClient, trigger: types.Trigger) -> None:
    trigger.name = ""
    with pytest.raises(exceptions.InvalidArgument, match="regional"):
        client.create_trigger(parent="projects/my-project/locations/global", trigger=trigger, trigger_id="my-org-sum")


def test_channels_are_not_there(client: EventarcClient) -> None:
    with pytest.raises(exceptions.MethodNotImplemented):
        client.get_channel(name=f"{PARENT}/channels/c")


def test_eventarc_needs_a_token(emulator: Emulator) -> None:
    with grpc.insecure_channel(emulator.address) as channel:
        client = EventarcClient(transport=EventarcGrpcTransport(channel=channel))
        with pytest.raises(exceptions.Unauthenticated):
            client.get_trigger(name=NAME)
