"""Pub/Sub as Google's own clients see it."""

from __future__ import annotations

import base64
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud.pubsub_v1 import SubscriberClient as StreamingClient  # type: ignore[import-untyped]  # it has no types
from google.iam.v1 import iam_policy_pb2, iam_policy_pb2_grpc, policy_pb2
from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1 import PublisherClient, SubscriberClient, types
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from emulator.server import Emulator

TOPIC = "projects/my-project/topics/octue.services.42"
SUBSCRIPTION = "projects/my-project/subscriptions/octue.services.42"
pytestmark = pytest.mark.filterwarnings("ignore:The return_immediately flag")  # it keeps the tests quick
PUSHER = "my-service@my-project.iam.gserviceaccount.com"


@pytest.fixture
def open_door(emulator: Emulator) -> Iterator[grpc.Channel]:
    """A channel without a token, as clients use that find PUBSUB_EMULATOR_HOST."""
    with grpc.insecure_channel(emulator.address) as channel:
        yield channel


@pytest.fixture
def publisher(open_door: grpc.Channel) -> PublisherClient:
    return PublisherClient(transport=PublisherGrpcTransport(channel=open_door))


@pytest.fixture
def subscriber(open_door: grpc.Channel) -> SubscriberClient:
    return SubscriberClient(transport=SubscriberGrpcTransport(channel=open_door))


@pytest.fixture
def topic(publisher: PublisherClient) -> str:
    return str(publisher.create_topic(name=TOPIC).name)


@pytest.fixture
def subscribe(subscriber: SubscriberClient, topic: str) -> Callable[..., types.Subscription]:
    def subscribe(**settings: Any) -> types.Subscription:
        return subscriber.create_subscription(
            request=types.Subscription({"name": SUBSCRIPTION, "topic": topic, **settings})
        )

    return subscribe


@pytest.fixture
def pull(subscriber: SubscriberClient) -> Callable[..., list[types.ReceivedMessage]]:
    def pull(most: int = 10) -> list[types.ReceivedMessage]:
        request = types.PullRequest(subscription=SUBSCRIPTION, max_messages=most, return_immediately=True)
        return list(subscriber.pull(request).received_messages)

    return pull


def message(text: str, **attributes: str) -> types.PubsubMessage:
    return types.PubsubMessage(data=text.encode(), attributes=attributes)


def texts(messages: list[types.ReceivedMessage]) -> list[str]:
    return [received.message.data.decode() for received in messages]


class Endpoint:
    """Takes pushed messages on this machine and answers them as it is told.

    :ivar requests: headers and body of each request, as they come.
    :ivar statuses: of the next answers; 204 once there are none.
    """

    def __init__(self) -> None:
        self.requests: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
        self.statuses: list[int] = []
        self.hold = threading.Event()
        self.hold.set()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.requests.put((dict(self.headers), body))
                endpoint.hold.wait(10)
                self.send_response(endpoint.statuses.pop(0) if endpoint.statuses else 204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name http.server gives it
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 100

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/path"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def body(self) -> Any:
        return json.loads(self.requests.get(timeout=5)[1])

    def close(self) -> None:
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    yield endpoint
    endpoint.close()


# Topics


def test_a_topic_is_made_read_listed_and_deleted(publisher: PublisherClient) -> None:
    created = publisher.create_topic(request=types.Topic(name=TOPIC, labels={"managed-by": "octue-action"}))
    assert (
        created == publisher.get_topic(topic=TOPIC) == next(iter(publisher.list_topics(project="projects/my-project")))
    )
    publisher.delete_topic(topic=TOPIC)
    with pytest.raises(exceptions.NotFound, match=r"^404 Resource not found \(resource=octue.services.42\)\.$"):
        publisher.get_topic(topic=TOPIC)


def test_a_topic_is_made_only_once(publisher: PublisherClient, topic: str) -> None:
    expected = r"^409 Resource already exists in the project \(resource=octue.services.42\)\.$"
    with pytest.raises(exceptions.AlreadyExists, match=expected):
        publisher.create_topic(name=topic)


@pytest.mark.parametrize("topic_id", ["ab", "googol", "1abc", "a b", "x" * 256, "octue/services"])
def test_a_bad_topic_name_is_refused(publisher: PublisherClient, topic_id: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=r"Invalid resource name given \(name=projects/my-project/"):
        publisher.create_topic(name=f"projects/my-project/topics/{topic_id}")


def test_another_project_is_not_there(publisher: PublisherClient) -> None:
    with pytest.raises(exceptions.NotFound, match="Requested project not found"):
        publisher.create_topic(name="projects/other/topics/abc")


@pytest.mark.parametrize("labels", [{"Upper": "x"}, {"": "x"}, {"a": "Ü B"}, {"a" * 64: ""}, {"1a": ""}])
def test_bad_labels_are_refused(publisher: PublisherClient, labels: dict[str, str]) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="Invalid labels"):
        publisher.create_topic(request=types.Topic(name=TOPIC, labels=labels))


def test_labels_of_a_topic_can_be_changed(publisher: PublisherClient, topic: str) -> None:
    change = types.Topic(name=topic, labels={"a": "b"})
    assert publisher.update_topic(topic=change, update_mask=FieldMask(paths=["labels"])).labels == {"a": "b"}
    cleared = publisher.update_topic(topic=types.Topic(name=topic), update_mask=FieldMask(paths=["labels"]))
    assert cleared.labels == {}


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], "must contain a non-empty paths list"),
        (["name"], "the 'name' field in the Topic is not mutable"),
        (["nonsense"], "'nonsense' is not a known Topic field"),
    ],
)
def test_a_wrong_mask_for_a_topic_is_refused(
    publisher: PublisherClient, topic: str, paths: list[str], expected: str
) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=expected):
        publisher.update_topic(topic=types.Topic(name=topic), update_mask=FieldMask(paths=paths))


def test_topics_come_in_pages(publisher: PublisherClient) -> None:
    names = [f"projects/my-project/topics/topic-{number}" for number in range(5)]
    for name in names:
        publisher.create_topic(name=name)
    pages = publisher.list_topics(request=types.ListTopicsRequest(project="projects/my-project", page_size=2)).pages
    assert [[found.name for found in page.topics] for page in pages] == [names[:2], names[2:4], names[4:]]


# Subscriptions


def test_a_subscription_gets_the_real_defaults(
    subscribe: Callable[..., types.Subscription], subscriber: SubscriberClient
) -> None:
    created = subscribe()
    assert created == subscriber.get_subscription(subscription=SUBSCRIPTION)
    assert types.Subscription.to_dict(created, always_print_fields_with_no_presence=False) == {
        "name": SUBSCRIPTION,
        "topic": TOPIC,
        "push_config": {},
        "ack_deadline_seconds": 10,
        "message_retention_duration": "604800s",
        "expiration_policy": {"ttl": "2678400s"},
        "state": 1,
    }


def test_an_empty_expiration_policy_means_never(
    subscribe: Callable[..., types.Subscription], subscriber: SubscriberClient, emulator: Emulator
) -> None:
    subscribe(expiration_policy=types.ExpirationPolicy())
    emulator.world.clock.advance(400 * 86400)
    assert "ttl" not in subscriber.get_subscription(subscription=SUBSCRIPTION).expiration_policy


def test_a_subscription_that_nobody_uses_expires(
    subscribe: Callable[..., types.Subscription], subscriber: SubscriberClient, emulator: Emulator
) -> None:
    subscribe()
    emulator.world.clock.advance(30 * 86400)
    subscriber.pull(request=types.PullRequest(subscription=SUBSCRIPTION, max_messages=1, return_immediately=True))
    emulator.world.clock.advance(30 * 86400)
    subscriber.get_subscription(subscription=SUBSCRIPTION)
    emulator.world.clock.advance(2 * 86400)
    with pytest.raises(exceptions.NotFound):
        subscriber.get_subscription(subscription=SUBSCRIPTION)


def test_never_can_be_set_later_and_taken_back(
    subscribe: Callable[..., types.Subscription], subscriber: SubscriberClient
) -> None:
    subscribe()
    mask = FieldMask(paths=["expiration_policy", "ack_deadline_seconds"])
    never = types.Subscription(name=SUBSCRIPTION, ack_deadline_seconds=600, expiration_policy=types.ExpirationPolicy())
    updated = subscriber.update_subscription(subscription=never, update_mask=mask)
    assert (updated.ack_deadline_seconds, "expiration_policy" in updated) == (600, True)
    assert "ttl" not in updated.expiration_policy
    back = subscriber.update_subscription(subscription=types.Subscription(name=SUBSCRIPTION), update_mask=mask)
    assert back.ack_deadline_seconds == 10
    assert types.ExpirationPolicy.to_dict(back.expiration_policy) == {"ttl": "2678400s"}


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"ack_deadline_seconds": 9}, r"\(ack_deadline=9\). The ack deadline must be between 10 and 600 seconds"),
        ({"ack_deadline_seconds": 601}, r"\(ack_deadline=601\)"),
        ({"message_retention_duration": {"seconds": 599}}, "You passed 9m59s in the request.*between 10m and 744h"),
        (
            {"expiration_policy": {"ttl": {"seconds": 3600}}},
            "You passed 1h in the request, but the minimum value is 24h",
        ),
        ({"filter": "nonsense"}, "Invalid filter"),
        ({"filter": f'attributes.a = "{"x" * 256}"'}, "filter is too large"),
        ({"push_config": {"push_endpoint": "http://example.com/"}}, "Invalid push endpoint"),
        ({"topic": "nonsense"}, r"Invalid resource name given \(name=nonsense\)"),
        ({"retry_policy": {"maximum_backoff": {"seconds": 601}}}, "maximum_backoff 10m1s"),
        ({"dead_letter_policy": {"dead_letter_topic": TOPIC, "max_delivery_attempts": 4}}, "between 5 and 100"),
    ],
)
def test_wrong_settings_of_a_subscription_are_refused(
    subscribe: Callable[..., types.Subscription], wrong: dict[str, Any], expected: str
) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=expected):
        subscribe(**wrong)


def test_a_subscription_needs_its_topic(subscribe: Callable[..., types.Subscription]) -> None:
    with pytest.raises(exceptions.NotFound, match=r"Resource not found \(resource=absent\)\."):
        subscribe(topic="projects/my-project/topics/absent")


@pytest.mark.parametrize("field", ["topic", "filter", "name", "enable_message_ordering"])
def test_some_fields_of_a_subscription_never_change(
    subscribe: Callable[..., types.Subscription], subscriber: SubscriberClient, field: str
) -> None:
    subscribe()
    with pytest.raises(exceptions.InvalidArgument, match=f"the '{field}' field in the Subscription is not mutable"):
        subscriber.update_subscription(
            subscription=types.Subscription(name=SUBSCRIPTION), update_mask=FieldMask(paths=[field])
        )


def test_a_deleted_topic_leaves_its_subscriptions_behind(
    subscribe: Callable[..., types.Subscription], publisher: PublisherClient, subscriber: SubscriberClient
) -> None:
    subscribe()
    publisher.delete_topic(topic=TOPIC)
    assert subscriber.get_subscription(subscription=SUBSCRIPTION).topic == "_deleted-topic_"
    publisher.create_topic(name=TOPIC)
    assert list(publisher.list_topic_subscriptions(topic=TOPIC)) == []


def test_a_detached_subscription_gets_nothing_more(
    subscribe: Callable[..., types.Subscription], publisher: PublisherClient, subscriber: SubscriberClient
) -> None:
    subscribe()
    publisher.detach_subscription(request=types.DetachSubscriptionRequest(subscription=SUBSCRIPTION))
    assert subscriber.get_subscription(subscription=SUBSCRIPTION).detached
    with pytest.raises(exceptions.FailedPrecondition):
        subscriber.pull(subscription=SUBSCRIPTION, max_messages=1)


def test_seek_is_not_there(subscribe: Callable[..., types.Subscription], subscriber: SubscriberClient) -> None:
    subscribe()
    with pytest.raises(exceptions.MethodNotImplemented):
        subscriber.seek(request=types.SeekRequest(subscription=SUBSCRIPTION))


# Messages


def test_a_message_reaches_every_subscription_as_it_was_published(
    subscribe: Callable[..., types.Subscription],
    publisher: PublisherClient,
    pull: Callable[..., list[types.ReceivedMessage]],
) -> None:
    subscribe()
    ids = publisher.publish(topic=TOPIC, messages=[message("a", key="value"), message("b")]).message_ids
    first, second = pull()
    assert [first.message.message_id, second.message.message_id] == list(ids) == sorted(ids, key=int)
    assert (first.message.data, dict(first.message.attributes)) == (b"a", {"key": "value"})
    published: Any = types.PubsubMessage.pb(first.message)
    assert abs(published.publish_time.seconds - time.time()) < 60
    assert first.delivery_attempt == 0


def test_messages_published_before_the_subscription_are_not_for_it(
    subscribe: Callable[..., types.Subscription],
    publisher: PublisherClient,
    topic: str,
    pull: Callable[..., list[types.ReceivedMessage]],
) -> None:
    publisher.publish(topic=topic, messages=[message("early")])
    subscribe()
    assert pull() == []


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([], "message_count is too small"),
        ([types.PubsubMessage()], "One or more messages in the publish request is empty"),
        ([message("a", googkey="x")], "Invalid attribute key 'googkey'"),
        ([message("a", key="x" * 1025)], "attribute_value_size is too large"),
        ([message("x")] * 1001, "message_count is too large. You passed 1001"),
        ([message("x" * 10_000_001)], "request_size is too large"),
    ],
)
def test_what_cannot_be_published_is_refused(
    publisher: PublisherClient, topic: str, messages: list[types.PubsubMessage], expected: str
) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=expected):
        publisher.publish(topic=topic, messages=messages)


def test_publishing_to_a_topic_that_is_not_there_fails(publisher: PublisherClient) -> None:
    with pytest.raises(exceptions.NotFound, match=r"Resource not found \(resource=octue.services.42\)"):
        publisher.publish(topic=TOPIC, messages=[message("a")])


def test_a_message_not_acknowledged_in_time_is_delivered_again(
    subscribe: Callable[..., types.Subscription],
    publisher: PublisherClient,
    pull: Callable[..., list[types.ReceivedMessage]],
    emulator: Emulator,
) -> None:
    subscribe()
    publisher.publish(topic=TOPIC, messages=[message("a")])
    assert texts(pull()) == ["a"]
    assert pull() == []
    emulator.world.clock.advance(10)
    assert texts(pull()) == ["a"]


def test_an_acknowledged_message_is_done_with(
    subscribe: Callable[..., types.Subscription],
    publisher: PublisherClient,
    subscriber: SubscriberClient,
    pull: Callable[..., list[types.ReceivedMessage]],
    emulator: Emulator,
) -> None:
    subscribe()
    publisher.publish(topic=TOPIC, messages=[message("a"), message("b")])
    first, second = pull()
    subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[first.ack_id])
    subscriber.modify_ack_deadline(subscription=SUBSCRIPTION, ack_ids=[second.ack_id], ack_deadline_seconds=0)
    assert texts(pull()) == ["b"]
    emulator.world.clock.advance(1000)
    assert texts(pull()) == ["b"]


@pytest.mark.parametrize("seconds", [-1, 601])
def test_a_deadline_outside_the_limits_is_refused(
    subscribe: Callable[..., types.Subscription], subscriber: SubscriberClient, seconds: int
) -> None:
    subscribe()
    with pytest.raises(exceptions.InvalidArgument, match="must be between 0 and 600 seconds"):
        subscriber.modify_ack_deadline(subscription=SUBSCRIPTION, ack_ids=["x"], ack_deadline_seconds=seconds)


def test_acknowledging_nothing_is_refused(
    subscribe: Callable[..., types.Subscription], subscriber: SubscriberClient
) -> None:
    subscribe()
    with pytest.raises(exceptions.InvalidArgument, match="You have not specified an ack ID"):
        subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[])


def test_a_late_acknowledgement_is_refused_with_exactly_once_delivery(
    subscribe: Callable[..., types.Subscription],
    publisher: PublisherClient,
    subscriber: SubscriberClient,
    pull: Callable[..., list[types.ReceivedMessage]],
    emulator: Emulator,
) -> None:
    subscribe(enable_exactly_once_delivery=True)
    publisher.publish(topic=TOPIC, messages=[message("a")])
    (received,) = pull()
    emulator.world.clock.advance(11)
    with pytest.raises(exceptions.InvalidArgument, match="Some acknowledgement ids") as caught:
        subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[received.ack_id])
    assert caught.value.reason == "EXACTLY_ONCE_ACKID_FAILURE"


def test_a_filter_keeps_messages_away(
    subscribe: Callable[..., types.Subscription],
    publisher: PublisherClient,
    pull: Callable[..., list[types.ReceivedMessage]],
) -> None:
    subscribe(filter='attributes.sender_type = "PARENT"')
    publisher.publish(topic=TOPIC, messages=[message("a", sender_type="CHILD"), message("b", sender_type="PARENT")])
    assert texts(pull()) == ["b"]


def test_ordering_keys_count_where_the_subscription_wants_it(
    subscribe: Callable[..., types.Subscription],
    publisher: PublisherClient,
    pull: Callable[..., list[types.ReceivedMessage]],
) -> None:
    subscribe(enable_message_ordering=True)
    ordered = [types.PubsubMessage(data=text, ordering_key="k") for text in (b"1", b"2")]
    publisher.publish(topic=TOPIC, messages=ordered)
    assert texts(pull(1)) == ["1"]
    assert pull() == []


def test_a_message_delivered_too_often_goes_to_the_dead_letter_topic(
    subscribe: Callable[..., types.Subscription],
    publisher: PublisherClient,
    subscriber: SubscriberClient,
    pull: Callable[..., list[types.ReceivedMessage]],
) -> None:
    dead_topic = publisher.create_topic(name="projects/my-project/topics/dead").name
    dead = subscriber.create_subscription(name="projects/my-project/subscriptions/dead", topic=dead_topic).name
    subscribe(dead_letter_policy={"dead_letter_topic": dead_topic, "max_delivery_attempts": 5})
    publisher.publish(topic=TOPIC, messages=[message("a")])
    for attempt in range(1, 6):
        (received,) = pull()
        assert received.delivery_attempt == attempt
        subscriber.modify_ack_deadline(subscription=SUBSCRIPTION, ack_ids=[received.ack_id], ack_deadline_seconds=0)
    (given_up,) = subscriber.pull(subscription=dead, max_messages=1).received_messages
    assert given_up.message.data == b"a"
    assert given_up.message.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
    assert pull() == []


def test_a_pull_waits_for_a_message(
    subscribe: Callable[..., types.Subscription], publisher: PublisherClient, subscriber: SubscriberClient
) -> None:
    subscribe()
    timer = threading.Timer(0.2, publisher.publish, kwargs={"topic": TOPIC, "messages": [message("a")]})
    timer.start()
    started = time.monotonic()
    assert texts(list(subscriber.pull(subscription=SUBSCRIPTION, max_messages=1).received_messages)) == ["a"]
    assert 0.1 < time.monotonic() - started < 3
    timer.join()


def test_a_waiting_pull_ends_when_the_subscription_is_deleted(
    subscribe: Callable[..., types.Subscription], subscriber: SubscriberClient
) -> None:
    subscribe()
    timer = threading.Timer(0.2, subscriber.delete_subscription, kwargs={"subscription": SUBSCRIPTION})
    timer.start()
    with pytest.raises(exceptions.NotFound):
        subscriber.pull(subscription=SUBSCRIPTION, max_messages=1)
    timer.join()


# Streams


@pytest.fixture
def streamer(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[StreamingClient]:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.address)
    with StreamingClient() as client:
        yield client


def test_googles_subscriber_gets_and_acknowledges_every_message(
    subscribe: Callable[..., types.Subscription],
    publisher: PublisherClient,
    streamer: StreamingClient,
    pull: Callable[..., list[types.ReceivedMessage]],
    emulator: Emulator,
) -> None:
    subscribe()
    got: queue.Queue[bytes] = queue.Queue()

    def take(received: Any) -> None:
        got.put(received.data)
        received.ack()

    stream = streamer.subscribe(SUBSCRIPTION, callback=take)
    for first in range(0, 300, 100):
        publisher.publish(topic=TOPIC, messages=[message(str(number)) for number in range(first, first + 100)])
    assert {got.get(timeout=5) for _ in range(300)} == {str(number).encode() for number in range(300)}
    stream.cancel()
    stream.result(timeout=5)
    emulator.world.clock.advance(100)
    assert pull() == []


def test_a_message_nacked_on_a_stream_comes_again(
    subscribe: Callable[..., types.Subscription], publisher: PublisherClient, streamer: StreamingClient
) -> None:
    subscribe()
    got: queue.Queue[Any] = queue.Queue()
    stream = streamer.subscribe(SUBSCRIPTION, callback=got.put)
    publisher.publish(topic=TOPIC, messages=[message("a")])
    got.get(timeout=5).nack()
    again = got.get(timeout=5)
    again.ack()
    assert again.data == b"a"
    stream.cancel()
    stream.result(timeout=5)


def test_a_stream_ends_when_the_subscription_is_deleted(
    subscribe: Callable[..., types.Subscription], subscriber: SubscriberClient, streamer: StreamingClient
) -> None:
    subscribe()
    stream = streamer.subscribe(SUBSCRIPTION, callback=lambda received: received.ack())
    time.sleep(0.2)
    subscriber.delete_subscription(subscription=SUBSCRIPTION)
    with pytest.raises(exceptions.NotFound):
        stream.result(timeout=5)


def test_a_stream_leases_as_long_as_it_asks_and_gives_no_more_than_it_can_take(
    subscribe: Callable[..., types.Subscription],
    publisher: PublisherClient,
    subscriber: SubscriberClient,
    emulator: Emulator,
    pull: Callable[..., list[types.ReceivedMessage]],
) -> None:
    subscribe()
    publisher.publish(topic=TOPIC, messages=[message(text) for text in "abc"])
    requests: queue.Queue[types.StreamingPullRequest | None] = queue.Queue()
    requests.put(
        types.StreamingPullRequest(
            subscription=SUBSCRIPTION, stream_ack_deadline_seconds=60, max_outstanding_messages=2
        )
    )
    responses = subscriber.streaming_pull(iter(requests.get, None), timeout=30)
    first = list(next(iter(responses)).received_messages)
    assert texts(first) == ["a", "b"]
    emulator.world.clock.advance(30)
    requests.put(types.StreamingPullRequest(ack_ids=[first[0].ack_id]))
    assert texts(list(next(iter(responses)).received_messages)) == ["c"]
    requests.put(None)
    assert list(responses) == []
    assert pull() == []


def test_a_wrong_acknowledgement_ends_the_stream(
    subscribe: Callable[..., types.Subscription], subscriber: SubscriberClient
) -> None:
    subscribe()
    opening = types.StreamingPullRequest(subscription=SUBSCRIPTION, stream_ack_deadline_seconds=60)
    stream = subscriber.streaming_pull(iter([opening, types.StreamingPullRequest(ack_ids=["x"])]), timeout=10)
    with pytest.raises(exceptions.InvalidArgument, match="invalid ack ID"):
        list(stream)


# Push


def test_a_message_is_pushed_in_its_wrapper_with_a_token(
    subscribe: Callable[..., types.Subscription], publisher: PublisherClient, endpoint: Endpoint, emulator: Emulator
) -> None:
    subscribe(push_config={"push_endpoint": endpoint.url, "oidc_token": {"service_account_email": PUSHER}})
    (message_id,) = publisher.publish(topic=TOPIC, messages=[message("hello", question="1")]).message_ids
    headers, body = endpoint.requests.get(timeout=5)
    token = headers["Authorization"].removeprefix("Bearer ")
    assert emulator.world.tokens.check_id_token(token, endpoint.url) == PUSHER
    assert headers["Content-Type"] == "application/json"
    assert not any(name.lower().startswith("ce-") for name in headers)
    envelope = json.loads(body)
    published = envelope["message"].pop("publishTime")
    assert envelope == {
        "message": {
            "attributes": {"question": "1"},
            "data": base64.b64encode(b"hello").decode(),
            "messageId": message_id,
            "message_id": message_id,
            "publish_time": published,
        },
        "subscription": SUBSCRIPTION,
    }


def test_a_push_that_fails_is_made_again_after_a_backoff(
    subscribe: Callable[..., types.Subscription], publisher: PublisherClient, endpoint: Endpoint, emulator: Emulator
) -> None:
    endpoint.statuses = [500, 404, 204]
    subscribe(push_config={"push_endpoint": endpoint.url})
    publisher.publish(topic=TOPIC, messages=[message("a")])
    for _ in range(3):
        assert endpoint.body()["message"]["data"] == base64.b64encode(b"a").decode()
    emulator.world.clock.advance(1000)
    with pytest.raises(queue.Empty):
        endpoint.requests.get(timeout=0.3)


def test_the_retry_policy_says_when_a_failed_push_is_made_again(
    subscribe: Callable[..., types.Subscription], publisher: PublisherClient, endpoint: Endpoint, emulator: Emulator
) -> None:
    endpoint.statuses = [500]
    subscribe(push_config={"push_endpoint": endpoint.url}, retry_policy={"minimum_backoff": {"seconds": 60}})
    publisher.publish(topic=TOPIC, messages=[message("a")])
    endpoint.body()
    with pytest.raises(queue.Empty):
        endpoint.requests.get(timeout=0.3)
    emulator.world.clock.advance(60)
    endpoint.body()


def test_a_push_longer_than_the_deadline_is_made_again_meanwhile(
    subscribe: Callable[..., types.Subscription], publisher: PublisherClient, endpoint: Endpoint, emulator: Emulator
) -> None:
    endpoint.hold.clear()
    subscribe(push_config={"push_endpoint": endpoint.url})
    publisher.publish(topic=TOPIC, messages=[message("slow")])
    first = endpoint.body()
    emulator.world.clock.advance(11)
    assert endpoint.body() == first
    endpoint.hold.set()


def test_with_a_longer_deadline_a_slow_push_is_made_once(
    subscribe: Callable[..., types.Subscription], publisher: PublisherClient, endpoint: Endpoint, emulator: Emulator
) -> None:
    endpoint.hold.clear()
    subscribe(push_config={"push_endpoint": endpoint.url}, ack_deadline_seconds=600)
    publisher.publish(topic=TOPIC, messages=[message("slow")])
    endpoint.body()
    emulator.world.clock.advance(500)
    endpoint.hold.set()
    time.sleep(0.2)
    emulator.world.clock.advance(500)
    with pytest.raises(queue.Empty):
        endpoint.requests.get(timeout=0.3)


def test_pushes_run_side_by_side(
    subscribe: Callable[..., types.Subscription], publisher: PublisherClient, endpoint: Endpoint
) -> None:
    endpoint.hold.clear()
    subscribe(push_config={"push_endpoint": endpoint.url})
    publisher.publish(topic=TOPIC, messages=[message(str(number)) for number in range(20)])
    bodies = {endpoint.body()["message"]["data"] for _ in range(20)}
    endpoint.hold.set()
    assert len(bodies) == 20


def test_a_message_can_be_pushed_without_wrapper(
    subscribe: Callable[..., types.Subscription], publisher: PublisherClient, endpoint: Endpoint
) -> None:
    subscribe(push_config={"push_endpoint": endpoint.url, "no_wrapper": {"write_metadata": True}})
    publisher.publish(topic=TOPIC, messages=[message("bare", colour="blue")])
    headers, body = endpoint.requests.get(timeout=5)
    assert body == b"bare"
    assert headers["colour"] == "blue"
    assert headers["x-goog-pubsub-subscription-name"] == SUBSCRIPTION


def test_pushing_can_be_turned_on_and_off(
    subscribe: Callable[..., types.Subscription],
    publisher: PublisherClient,
    subscriber: SubscriberClient,
    endpoint: Endpoint,
    pull: Callable[..., list[types.ReceivedMessage]],
) -> None:
    subscribe()
    publisher.publish(topic=TOPIC, messages=[message("a")])
    subscriber.modify_push_config(subscription=SUBSCRIPTION, push_config=types.PushConfig(push_endpoint=endpoint.url))
    assert endpoint.body()["message"]["data"] == base64.b64encode(b"a").decode()
    with pytest.raises(exceptions.FailedPrecondition, match="not supported for this subscription type"):
        pull()
    subscriber.modify_push_config(subscription=SUBSCRIPTION, push_config=types.PushConfig())
    publisher.publish(topic=TOPIC, messages=[message("b")])
    assert texts(pull()) == ["b"]


def test_push_attributes_show_in_the_answer_to_a_write_only(
    subscribe: Callable[..., types.Subscription], subscriber: SubscriberClient, endpoint: Endpoint
) -> None:
    created = subscribe(push_config={"push_endpoint": endpoint.url})
    assert created.push_config.attributes == {"x-goog-version": "v1"}
    assert subscriber.get_subscription(subscription=SUBSCRIPTION).push_config.attributes == {}


# Policies


def test_topics_and_subscriptions_have_policies(
    subscribe: Callable[..., types.Subscription], publisher: PublisherClient, channel: grpc.Channel
) -> None:
    subscribe()
    policies = iam_policy_pb2_grpc.IAMPolicyStub(channel)
    binding = policy_pb2.Binding(role="roles/pubsub.publisher", members=["allAuthenticatedUsers"])
    for resource in (TOPIC, SUBSCRIPTION):
        written = policies.SetIamPolicy(
            iam_policy_pb2.SetIamPolicyRequest(resource=resource, policy=policy_pb2.Policy(bindings=[binding]))
        )
        assert policies.GetIamPolicy(iam_policy_pb2.GetIamPolicyRequest(resource=resource)) == written
    publisher.delete_topic(topic=TOPIC)
    with pytest.raises(grpc.RpcError) as caught:
        policies.GetIamPolicy(iam_policy_pb2.GetIamPolicyRequest(resource=TOPIC))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_a_policy_needs_a_token(open_door: grpc.Channel, topic: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        iam_policy_pb2_grpc.IAMPolicyStub(open_door).GetIamPolicy(iam_policy_pb2.GetIamPolicyRequest(resource=topic))
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
