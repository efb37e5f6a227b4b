"""Our Pub/Sub and Google's own emulator, led through the same scenario.

What both answer is compared step by step: codes of refusals and what the answers hold, but not the wording of messages,
which differs everywhere: ours are those of the real service. Where Google's emulator differs in more than words, the
step stands in ``DIFFERENCES`` with the reason.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud.pubsub_v1 import SubscriberClient as StreamingClient  # type: ignore[import-untyped]  # it has no types
from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1 import PublisherClient, SubscriberClient, types
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from emulator.server import Emulator

PROJECT = "projects/my-project"
TOPIC = f"{PROJECT}/topics/scenario"
SUBSCRIPTION = f"{PROJECT}/subscriptions/scenario"
STREAMED = f"{PROJECT}/subscriptions/streamed"
FILTERED = f"{PROJECT}/subscriptions/filtered"

NOT_UPDATED = "Google's emulator cannot update this field"
NOT_CHECKED = "Google's emulator does not check this, the real service does"
DIFFERENCES = {
    "read the defaults of a subscription": "Google's emulator leaves out expiration policy and state",
    "update the labels of a topic": NOT_UPDATED,
    "update the labels of a subscription": NOT_UPDATED,
    "let a subscription never expire": NOT_UPDATED,
    "label a topic in capitals": NOT_CHECKED,
    "ask for an ack deadline that is too short": NOT_CHECKED,
    "subscribe with a filter that is none": NOT_CHECKED,
    "publish a reserved attribute": NOT_CHECKED,
    "pull through a filter": "Google's emulator stores filters and does not apply them",
    "lease for too long": NOT_CHECKED,
    "pull what is pushed": NOT_CHECKED,
}

# What must come out in any case, so that two scenarios that both fail do not count as the same.
FLOW = {
    "pull": [("a", {}), ("b", {"key": "value"})],
    "pull what is leased": [],
    "pull what was nacked": ["a", "b"],
    "pull what was not acknowledged in time": ["a", "b"],
    "acknowledge": None,
    "pull what was acknowledged": [],
    "pull what was acknowledged late": [],
    "pull through a filter": ["wanted"],
    "stream": ["again", "again", "b", "c"],
    "pull what was streamed": [],
}


class Scenario:
    """The same calls wherever they go.

    :param address: host and port of a Pub/Sub.
    """

    def __init__(self, address: str) -> None:
        self.results: dict[str, Any] = {}
        channel = grpc.insecure_channel(address)
        self._publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        self._subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))

    def run(self) -> dict[str, Any]:
        """What each step gave."""
        self._topics()
        self._subscriptions()
        self._messages()
        self._filter()
        self._stream()
        self._endings()
        return self.results

    def _step(self, name: str, call: Callable[[], Any]) -> None:
        assert name not in self.results
        try:
            self.results[name] = call()
        except exceptions.GoogleAPICallError as error:
            self.results[name] = error.grpc_status_code.name if error.grpc_status_code else repr(error)

    def _topics(self) -> None:
        publisher = self._publisher
        self._step("make a topic", lambda: publisher.create_topic(name=TOPIC).name)
        self._step("make it again", lambda: publisher.create_topic(name=TOPIC))
        for bad in ("ab", "googol", "1abc", "a b", "x" * 256):
            self._step(f"make a topic {bad}", partial(publisher.create_topic, name=f"{PROJECT}/topics/{bad}"))
        self._step("make a topic without a project", lambda: publisher.create_topic(name="nonsense"))
        self._step("read the topic", lambda: publisher.get_topic(topic=TOPIC).name)
        self._step("read an absent topic", lambda: publisher.get_topic(topic=f"{TOPIC}-absent"))
        self._step("list topics", lambda: [topic.name for topic in publisher.list_topics(project=PROJECT)])
        shouting = types.Topic(name=f"{PROJECT}/topics/shouting", labels={"Upper": "x"})
        self._step("label a topic in capitals", lambda: publisher.create_topic(request=shouting).name)
        for name, paths in (
            ("update the labels of a topic", ["labels"]),
            ("update the name of a topic", ["name"]),
            ("update an unknown field of a topic", ["nonsense"]),
            ("update nothing of a topic", []),
        ):
            self._step(name, partial(self._update_labels, paths))

    def _subscriptions(self) -> None:
        self._step("subscribe", lambda: self._subscribe(SUBSCRIPTION).ack_deadline_seconds)
        self._step("subscribe again", lambda: self._subscribe(SUBSCRIPTION))
        self._step(
            "subscribe to an absent topic", lambda: self._subscribe(f"{SUBSCRIPTION}-x", topic=f"{TOPIC}-absent")
        )
        self._step("read the defaults of a subscription", lambda: _shown(self._read(SUBSCRIPTION)))
        self._step("read an absent subscription", lambda: self._read(f"{SUBSCRIPTION}-absent"))
        for seconds, name in ((5, "short"), (601, "long")):
            subscribe = partial(self._subscribe, f"{SUBSCRIPTION}-{seconds}", ack_deadline_seconds=seconds)
            self._step(f"ask for an ack deadline that is too {name}", subscribe)
        self._step(
            "ask for a retention that is too short",
            lambda: self._subscribe(f"{SUBSCRIPTION}-kept", message_retention_duration={"seconds": 10}),
        )
        self._step("subscribe with a filter that is none", lambda: self._subscribe(f"{SUBSCRIPTION}-f", filter="?"))
        self._step(
            "subscribe for ever",
            lambda: _shown(self._subscribe(f"{SUBSCRIPTION}-ever", expiration_policy={}))["expiration_policy"],
        )
        self._step("lengthen the ack deadline", lambda: self._update(ack_deadline_seconds=600).ack_deadline_seconds)
        self._step("go back to the default", lambda: self._update(ack_deadline_seconds=0).ack_deadline_seconds)
        self._step("update the labels of a subscription", lambda: dict(self._update(labels={"a": "b"}).labels))
        self._step(
            "let a subscription never expire", lambda: "ttl" in self._update(expiration_policy={}).expiration_policy
        )
        self._step("update the topic of a subscription", lambda: self._update(topic=f"{TOPIC}-other"))
        self._step("update the filter of a subscription", lambda: self._update(filter="attributes:a"))
        self._step("list the topic's subscriptions", self._topic_subscriptions)

    def _messages(self) -> None:
        pull, acknowledge, modify = self._pull, self._acknowledge, self._modify
        self._step("publish an empty message", lambda: self._publish(types.PubsubMessage()))
        self._step("publish nothing", self._publish)
        self._step("publish to an absent topic", lambda: self._publish(_message("x"), topic=f"{TOPIC}-absent"))
        self._step("publish a reserved attribute", lambda: len(self._publish(_message("x", googkey="y"))))
        self._drain()
        self._step("publish", lambda: len(self._publish(_message("a"), _message("b", key="value"))))
        self._step("pull none at most", lambda: pull(0))
        self._step("pull from an absent subscription", lambda: pull(1, f"{SUBSCRIPTION}-absent"))
        self._step("pull", lambda: sorted((text, attributes) for text, attributes, _ in pull(10)))
        self._step("pull what is leased", lambda: pull(10))
        self._step("acknowledge nothing", lambda: acknowledge([]))
        self._step("acknowledge with a wrong id", lambda: acknowledge(["nonsense"]))
        self._step("lease with a wrong id", lambda: modify(["nonsense"], 10))
        self._step("lease for a negative time", lambda: modify(self._ack_ids, -1))
        self._step("lease for too long", lambda: modify(self._ack_ids, 601))
        self._step("nack", lambda: modify(self._ack_ids, 0))
        self._step("pull what was nacked", lambda: sorted(text for text, _, _ in pull(10)))
        self._step("shorten the lease", lambda: modify(self._ack_ids, 1))
        time.sleep(1.5)
        self._step("pull what was not acknowledged in time", lambda: sorted(text for text, _, _ in pull(10)))
        self._step("acknowledge", lambda: acknowledge(self._ack_ids))
        self._step("acknowledge again", lambda: acknowledge(self._ack_ids))
        self._step("pull what was acknowledged", lambda: pull(10))
        self._publish(_message("late"))
        pull(10)
        modify(self._ack_ids, 1)
        time.sleep(1.5)
        self._step("acknowledge late", lambda: acknowledge(self._ack_ids))
        self._step("pull what was acknowledged late", lambda: pull(10))

    def _filter(self) -> None:
        self._subscribe(FILTERED, filter='attributes.wanted = "yes"')
        self._publish(_message("wanted", wanted="yes"), _message("unwanted"))
        self._step("pull through a filter", lambda: sorted(text for text, _, _ in self._pull(10, FILTERED)))
        self._drain()

    def _stream(self) -> None:
        self._subscribe(STREAMED)
        got: queue.Queue[Any] = queue.Queue()
        nacked = set()

        def take(message: Any) -> None:
            if message.data == b"again" and message.data not in nacked:
                nacked.add(message.data)
                message.nack()
            else:
                message.ack()
            got.put(message.data.decode())

        # The client reads the address from PUBSUB_EMULATOR_HOST.
        with StreamingClient() as client:
            stream = client.subscribe(STREAMED, callback=take)
            self._publish(*(_message(text) for text in ("again", "b", "c")))
            self._step("stream", lambda: sorted(got.get(timeout=20) for _ in range(4)))
            stream.cancel()
            stream.result(timeout=20)
        self._step("pull what was streamed", lambda: self._pull(10, STREAMED))
        self._drain()

    def _endings(self) -> None:
        publisher, subscriber = self._publisher, self._subscriber
        push = types.PushConfig(push_endpoint="http://127.0.0.1:9/")
        self._step("push instead", lambda: subscriber.modify_push_config(subscription=SUBSCRIPTION, push_config=push))
        self._step("read where it is pushed", lambda: self._read(SUBSCRIPTION).push_config.push_endpoint)
        self._step("pull what is pushed", lambda: self._pull(1))
        self._step("delete the topic", lambda: publisher.delete_topic(topic=TOPIC))
        self._step("delete the topic again", lambda: publisher.delete_topic(topic=TOPIC))
        self._step("read the topic of what is left", lambda: self._read(SUBSCRIPTION).topic)
        self._step("make the topic anew", lambda: publisher.create_topic(name=TOPIC).name)
        self._step("list the new topic's subscriptions", self._topic_subscriptions)
        self._step("unsubscribe", lambda: subscriber.delete_subscription(subscription=SUBSCRIPTION))
        self._step("unsubscribe again", lambda: subscriber.delete_subscription(subscription=SUBSCRIPTION))

    def _update_labels(self, paths: list[str]) -> dict[str, str]:
        labelled = types.Topic(name=TOPIC, labels={"a": "b"})
        return dict(self._publisher.update_topic(topic=labelled, update_mask=FieldMask(paths=paths)).labels)

    def _subscribe(self, name: str, **settings: Any) -> types.Subscription:
        request = types.Subscription({"name": name, "topic": TOPIC, **settings})
        return self._subscriber.create_subscription(request=request)

    def _read(self, name: str) -> types.Subscription:
        return self._subscriber.get_subscription(subscription=name)

    def _update(self, **settings: Any) -> types.Subscription:
        changed = types.Subscription({"name": SUBSCRIPTION, **settings})
        return self._subscriber.update_subscription(subscription=changed, update_mask=FieldMask(paths=list(settings)))

    def _topic_subscriptions(self) -> bool:
        return SUBSCRIPTION in list(self._publisher.list_topic_subscriptions(topic=TOPIC))

    def _publish(self, *messages: types.PubsubMessage, topic: str = TOPIC) -> list[str]:
        return list(self._publisher.publish(topic=topic, messages=list(messages)).message_ids)

    def _pull(self, most: int, subscription: str = SUBSCRIPTION) -> list[tuple[str, dict[str, str], int]]:
        request = types.PullRequest(subscription=subscription, max_messages=most, return_immediately=True)
        received = self._subscriber.pull(request).received_messages
        if received:
            self._ack_ids = [message.ack_id for message in received]
        return [(m.message.data.decode(), dict(m.message.attributes), m.delivery_attempt) for m in received]

    def _acknowledge(self, ack_ids: list[str]) -> None:
        self._subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=ack_ids)

    def _modify(self, ack_ids: list[str], seconds: int) -> None:
        self._subscriber.modify_ack_deadline(subscription=SUBSCRIPTION, ack_ids=ack_ids, ack_deadline_seconds=seconds)

    def _drain(self) -> None:
        while self._pull(100):
            self._acknowledge(self._ack_ids)


def _message(text: str, **attributes: str) -> types.PubsubMessage:
    return types.PubsubMessage(data=text.encode(), attributes=attributes)


def _shown(subscription: types.Subscription) -> dict[str, Any]:
    shown: dict[str, Any] = types.Subscription.to_dict(subscription, always_print_fields_with_no_presence=False)
    return shown


@pytest.mark.witness
@pytest.mark.filterwarnings("ignore:The return_immediately flag")
def test_our_pubsub_does_as_googles_emulator_does(
    google_address: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = []
    for address in (emulator.address, google_address):
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        results.append(Scenario(address).run())
    ours, theirs = results
    assert ours.keys() == theirs.keys()
    assert {step: ours[step] for step in FLOW} == FLOW
    different = {step: (ours[step], theirs[step]) for step in ours if ours[step] != theirs[step]}
    unexplained = {step: answers for step, answers in different.items() if step not in DIFFERENCES}
    assert unexplained == {}
    assert DIFFERENCES.keys() - different.keys() == set(), "these no longer differ"
