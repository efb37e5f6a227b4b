"""Pub/Sub: topics, subscriptions, and messages that are pulled, streamed or pushed.

It answers as the real service does, as far as public recordings and documentation show; Google's own emulator differs
from both in places that ``tests/emulator/test_pubsub_witness.py`` names.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, TypeVar

import grpc
from google.iam.v1 import iam_policy_pb2, policy_pb2
from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1.types import pubsub
from google.rpc import error_details_pb2

from emulator.delivery import Backlog, Rules
from emulator.errors import ApiError, already_exists, failed_precondition, invalid_argument, not_found
from emulator.message_filter import FilterError, Predicate, parse_filter
from emulator.pubsub_config import (
    DELETED_TOPIC,
    check_lease_seconds,
    check_name,
    check_publish,
    check_topic,
    completed,
    duration,
    invalid_name,
    short,
    updated_subscription,
    updated_topic,
)
from emulator.push import Push
from emulator.rpc import SYSTEM, Call
from emulator.streaming_pull import StreamingPull, received

if TYPE_CHECKING:
    from emulator.world import World

_PULL_SECONDS = 5.0
"""How long an unanswered pull waits; the real service's wait is not documented, "a bounded amount of time"."""

_LARGEST_PULL = 1000
_LARGEST_PAGE = 1000
_FIRST_MESSAGE_ID = 10_000_000_000_000_001
_VERSION_ATTRIBUTE = "x-goog-version"

_Item = TypeVar("_Item")


@dataclass
class _Subscription:
    config: pubsub.Subscription
    backlog: Backlog
    matches: Predicate
    last_active: float
    push: Push | None = None
    streams: int = 0
    most_attempts: int | None = None

    def apply_rules(self) -> None:
        """Let the messages flow as the configuration says."""
        rules = Rules.of(self.config)
        self.backlog.rules = replace(rules, max_attempts=self.most_attempts or rules.max_attempts)

    @property
    def is_attached(self) -> bool:
        return not self.config.detached and self.config.topic != DELETED_TOPIC


class PubSub:
    """All topics and subscriptions, and the three services that work on them.

    :param world: the local cloud.
    """

    def __init__(self, world: World) -> None:
        self.lock = threading.RLock()
        self.publisher = Publisher(self)
        self.subscriber = Subscriber(self)
        self.services = (self.publisher, self.subscriber, PubSubPolicies(self))
        self.world = world
        self.topics: dict[str, pubsub.Topic] = {}
        self._topics_made: dict[str, float] = {}
        self._subscriptions: dict[str, _Subscription] = {}
        self._message_ids = itertools.count(_FIRST_MESSAGE_ID)

    def close(self) -> None:
        """End all pulls, streams and pushes."""
        stopping = ApiError(grpc.StatusCode.UNAVAILABLE, "The emulator is stopping.")
        with self.lock:
            for subscription in self._subscriptions.values():
                _stop(subscription, stopping)

    def check_project(self, project: str) -> None:
        """Check that a project is the one there is.

        :raises ApiError: NOT_FOUND.
        """
        if project != self.world.settings.project_id:
            raise not_found(
                f"Requested project not found or user does not have access to it (project={project}). Make sure to "
                "specify the unique project identifier and not the Google Cloud Console display name."
            )

    def topic(self, name: str) -> pubsub.Topic:
        """The topic of that full name, not a copy.

        :raises ApiError: NOT_FOUND, or INVALID_ARGUMENT for a name that no topic can have.
        """
        check_name(name, "topics")
        with self.lock:
            if name not in self.topics:
                raise _absent(name)
            return self.topics[name]

    def add_topic(self, topic: pubsub.Topic) -> None:
        """Begin a topic, whose configuration is complete and whose name is free."""
        self.topics[topic.name] = topic
        self._topics_made[topic.name] = self.world.clock.time()

    def is_read(self, topic: str, call: Call) -> bool:
        """Whether a topic that is there can be read yet."""
        age = self.world.clock.time() - self._topics_made.get(topic, -math.inf)
        return call == SYSTEM or age >= self.world.propagation.topics

    def subscription(self, name: str) -> _Subscription:
        """The subscription of that full name.

        :raises ApiError: NOT_FOUND, or INVALID_ARGUMENT for a name that no subscription can have.
        """
        check_name(name, "subscriptions")
        with self.lock:
            found = self.find_subscription(name)
            if found is None:
                raise _absent(name)
            return found

    def find_subscription(self, name: str) -> _Subscription | None:
        """The subscription of that full name, ``None`` where there is none."""
        return next((item for item in self.live_subscriptions() if item.config.name == name), None)

    def live_subscriptions(self) -> list[_Subscription]:
        """The subscriptions by name; those that nobody has used for longer than they may live are deleted first."""
        now = self.world.clock.time()
        with self.lock:
            for subscription in list(self._subscriptions.values()):
                policy = pubsub.ExpirationPolicy.pb(subscription.config.expiration_policy)
                idle = now - subscription.last_active
                if not subscription.streams and idle > duration(policy, "ttl", math.inf):
                    self.remove_subscription(subscription)
            return [self._subscriptions[name] for name in sorted(self._subscriptions)]

    def add_subscription(self, config: pubsub.Subscription) -> None:
        """Begin a subscription, whose configuration is complete and whose name is free."""
        backlog = Backlog(config.name, Rules.of(config), self.world.clock, DeadLetter(self, config.name))
        subscription = _Subscription(config, backlog, _filter(config.filter), self.world.clock.time())
        self._subscriptions[config.name] = subscription
        self.set_push(subscription)

    def remove_subscription(self, subscription: _Subscription) -> None:
        """End a subscription and what its clients wait for."""
        name = subscription.config.name
        with self.lock:
            self._subscriptions.pop(name, None)
        _stop(subscription, _absent(name))
        self.world.policies.remove(name)

    def set_push(self, subscription: _Subscription) -> None:
        """Push as the subscription's configuration now says, or no longer."""
        if subscription.push is not None:
            subscription.push.stop()
            subscription.push = None
        if subscription.config.push_config.push_endpoint and not subscription.config.detached:
            subscription.push = Push(
                subscription.backlog,
                subscription.config.push_config,
                self.world.tokens,
                self.world.deliver,
                lambda: self.touch(subscription),
            )

    def limit_attempts(self, name: str, attempts: int | None) -> None:
        """Drop the messages of a subscription that were delivered that often without success, as Eventarc can ask.

        :param attempts: ``None`` for no such limit.
        """
        with self.lock:
            subscription = self.subscription(name)
            subscription.most_attempts = attempts
            subscription.apply_rules()

    def touch(self, subscription: _Subscription) -> None:
        """Note that the subscription is in use, so that it does not expire."""
        subscription.last_active = self.world.clock.time()

    def publish(self, topic: str, messages: Sequence[pubsub.PubsubMessage]) -> list[str]:
        """Give messages to the subscriptions of a topic that want them, and the messages' new ids.

        :raises ApiError: NOT_FOUND for a topic that is not there.
        """
        with self.lock:
            self.topic(topic)
            targets = [item for item in self.live_subscriptions() if item.config.topic == topic and item.is_attached]
            ids = []
            for message in messages:
                published = pubsub.PubsubMessage(
                    message, message_id=str(next(self._message_ids)), publish_time=self.world.clock.timestamp()
                )
                for target in targets:
                    if target.matches(published.attributes):
                        target.backlog.add(published)
                ids.append(published.message_id)
            return ids


class DeadLetter:
    """Where a subscription's messages go that nobody acknowledges.

    :param pubsub_service: all topics and subscriptions.
    :param subscription_name: whose messages.
    """

    def __init__(self, pubsub_service: PubSub, subscription_name: str) -> None:
        self._pubsub = pubsub_service
        self._name = subscription_name

    def __call__(self, message: pubsub.PubsubMessage, attempts: int) -> None:
        """Publish the message on the dead letter topic, with attributes that say where it comes from.

        Without such a topic, which happens where Eventarc limits the attempts, the message is dropped.
        """
        subscription = self._pubsub.find_subscription(self._name)
        topic = subscription.config.dead_letter_policy.dead_letter_topic if subscription else ""
        if subscription is None or not topic:
            return
        forwarded = pubsub.PubsubMessage(
            data=message.data,
            ordering_key=message.ordering_key,
            attributes={
                **message.attributes,
                "CloudPubSubDeadLetterSourceDeliveryCount": str(attempts),
                "CloudPubSubDeadLetterSourceSubscription": short(self._name),
                "CloudPubSubDeadLetterSourceSubscriptionProject": self._name.split("/")[1],
            },
        )
        try:
            self._pubsub.publish(topic, [forwarded])
        except ApiError:
            # The topic is gone: the message stays where it was.
            subscription.backlog.add(message)


class Publisher:
    """``google.pubsub.v1.Publisher``.

    :param state: all topics and subscriptions.
    """

    SERVICES: ClassVar[tuple[str, ...]] = ("google.pubsub.v1.Publisher",)

    def __init__(self, state: PubSub) -> None:
        self._state = state

    def create_topic(self, request: pubsub.Topic, call: Call) -> pubsub.Topic:
        """Make a topic."""
        self._state.check_project(check_name(request.name, "topics"))
        check_topic(request)
        with self._state.lock:
            if request.name in self._state.topics:
                raise _present(request.name)
            self._state.add_topic(pubsub.Topic(request))
        return request

    def get_topic(self, request: pubsub.GetTopicRequest, call: Call) -> pubsub.Topic:
        """A topic; a new one perhaps not yet, as its absence is remembered for a while."""
        with self._state.lock:
            topic = self._state.topic(request.topic)
            if not self._state.is_read(topic.name, call):
                raise _absent(topic.name)
            return pubsub.Topic(topic)

    def update_topic(self, request: pubsub.UpdateTopicRequest, call: Call) -> pubsub.Topic:
        """Change the fields of a topic that the mask names."""
        with self._state.lock:
            changed = updated_topic(self._state.topic(request.topic.name), request)
            self._state.topics[changed.name] = changed
            return pubsub.Topic(changed)

    def list_topics(self, request: pubsub.ListTopicsRequest, call: Call) -> pubsub.ListTopicsResponse:
        """The topics by name."""
        self._state.check_project(request.project.removeprefix("projects/"))
        with self._state.lock:
            names = [name for name in sorted(self._state.topics) if self._state.is_read(name, call)]
            topics = [pubsub.Topic(self._state.topics[name]) for name in names]
        page, token = _page(topics, request.page_size, request.page_token)
        return pubsub.ListTopicsResponse(topics=page, next_page_token=token)

    def list_topic_subscriptions(
        self,
        request: pubsub.ListTopicSubscriptionsRequest,
        call: Call,
    ) -> pubsub.ListTopicSubscriptionsResponse:
        """The names of the subscriptions attached to a topic."""
        with self._state.lock:
            self._state.topic(request.topic)
            names = [
                item.config.name
                for item in self._state.live_subscriptions()
                if item.config.topic == request.topic and item.is_attached
            ]
        page, token = _page(names, request.page_size, request.page_token)
        return pubsub.ListTopicSubscriptionsResponse(subscriptions=page, next_page_token=token)

    def delete_topic(self, request: pubsub.DeleteTopicRequest, call: Call) -> Empty:
        """Delete a topic; its subscriptions stay, without one."""
        with self._state.lock:
            self._state.topic(request.topic)
            del self._state.topics[request.topic]
            for subscription in self._state.live_subscriptions():
                if subscription.config.topic == request.topic:
                    subscription.config.topic = DELETED_TOPIC
        self._state.world.policies.remove(request.topic)
        return Empty()

    def detach_subscription(
        self,
        request: pubsub.DetachSubscriptionRequest,
        call: Call,
    ) -> pubsub.DetachSubscriptionResponse:
        """Take a subscription from its topic for good; its messages are dropped."""
        with self._state.lock:
            subscription = self._state.subscription(request.subscription)
            subscription.config.detached = True
            self._state.set_push(subscription)
            subscription.backlog.clear()
        return pubsub.DetachSubscriptionResponse()

    def publish(self, request: pubsub.PublishRequest, call: Call) -> pubsub.PublishResponse:
        """Publish messages."""
        self._state.topic(request.topic)
        check_publish(request)
        return pubsub.PublishResponse(message_ids=self._state.publish(request.topic, request.messages))


class Subscriber:
    """``google.pubsub.v1.Subscriber``.

    :param state: all topics and subscriptions.
    """

    SERVICES: ClassVar[tuple[str, ...]] = ("google.pubsub.v1.Subscriber",)

    def __init__(self, state: PubSub) -> None:
        self._state = state

    def create_subscription(self, request: pubsub.Subscription, call: Call) -> pubsub.Subscription:
        """Make a subscription to a topic."""
        self._state.check_project(check_name(request.name, "subscriptions"))
        check_name(request.topic, "topics")
        config = completed(request)
        _filter(config.filter)
        with self._state.lock:
            if self._state.find_subscription(request.name) is not None:
                raise _present(request.name)
            self._state.topic(config.topic)
            if config.push_config.push_endpoint:
                _fill_in_version(config)
            self._state.add_subscription(config)
            return pubsub.Subscription(config)

    def get_subscription(self, request: pubsub.GetSubscriptionRequest, call: Call) -> pubsub.Subscription:
        """A subscription."""
        with self._state.lock:
            return self._read(self._state.subscription(request.subscription))

    def update_subscription(self, request: pubsub.UpdateSubscriptionRequest, call: Call) -> pubsub.Subscription:
        """Change the fields of a subscription that the mask names."""
        with self._state.lock:
            subscription = self._state.subscription(request.subscription.name)
            changed = updated_subscription(subscription.config, request)
            self._replace(subscription, changed)
            # The answer to an update shows the version also of a subscription that is pulled; reading it does not.
            answer = pubsub.Subscription(changed)
            _fill_in_version(answer)
            return answer

    def list_subscriptions(
        self,
        request: pubsub.ListSubscriptionsRequest,
        call: Call,
    ) -> pubsub.ListSubscriptionsResponse:
        """The subscriptions by name."""
        self._state.check_project(request.project.removeprefix("projects/"))
        with self._state.lock:
            subscriptions = [self._read(item) for item in self._state.live_subscriptions()]
        page, token = _page(subscriptions, request.page_size, request.page_token)
        return pubsub.ListSubscriptionsResponse(subscriptions=page, next_page_token=token)

    def delete_subscription(self, request: pubsub.DeleteSubscriptionRequest, call: Call) -> Empty:
        """Delete a subscription with its messages."""
        with self._state.lock:
            self._state.remove_subscription(self._state.subscription(request.subscription))
        return Empty()

    def modify_push_config(self, request: pubsub.ModifyPushConfigRequest, call: Call) -> Empty:
        """Push from now on as the request says; with an empty configuration messages are to be pulled."""
        with self._state.lock:
            subscription = self._state.subscription(request.subscription)
            changed = pubsub.Subscription(subscription.config)
            changed.push_config = request.push_config
            self._replace(subscription, completed(changed))
        return Empty()

    def modify_ack_deadline(self, request: pubsub.ModifyAckDeadlineRequest, call: Call) -> Empty:
        """Give messages back (0 seconds) or keep them that many seconds more."""
        subscription = self._state.subscription(request.subscription)
        _check_ack_ids(request.ack_ids)
        check_lease_seconds(request.ack_deadline_seconds)
        late = subscription.backlog.modify(request.ack_ids, request.ack_deadline_seconds)
        _refuse_late(subscription, late)
        return Empty()

    def acknowledge(self, request: pubsub.AcknowledgeRequest, call: Call) -> Empty:
        """Be done with messages."""
        subscription = self._state.subscription(request.subscription)
        _check_ack_ids(request.ack_ids)
        self._state.touch(subscription)
        _refuse_late(subscription, subscription.backlog.acknowledge(request.ack_ids))
        return Empty()

    def pull(self, request: pubsub.PullRequest, call: Call) -> pubsub.PullResponse:
        """Messages, after a wait if there are none; perhaps none after all."""
        subscription = self._pullable(request.subscription)
        if request.max_messages <= 0:
            raise invalid_argument("You have passed an invalid argument to the service (argument=max_messages).")
        wait = 0.0 if request.return_immediately else _PULL_SECONDS
        backlog = subscription.backlog
        deliveries = backlog.receive(
            lambda: min(request.max_messages, _LARGEST_PULL),
            until=self._state.world.clock.time() + wait,
            is_wanted=call.is_active,
        )
        if backlog.closed is not None:
            raise backlog.closed
        return pubsub.PullResponse(received_messages=[received(backlog, delivery) for delivery in deliveries])

    def streaming_pull(
        self, requests: Iterator[pubsub.StreamingPullRequest], call: Call
    ) -> Iterator[pubsub.StreamingPullResponse]:
        """Messages as they come, until the client ends the stream or the subscription is gone."""
        first = next(requests, None)
        if first is None:
            return
        subscription = self._pullable(first.subscription)
        with self._state.lock:
            subscription.streams += 1
        try:
            yield from StreamingPull(subscription.backlog, first, requests, call).responses()
        finally:
            with self._state.lock:
                subscription.streams -= 1
            self._state.touch(subscription)

    def _pullable(self, name: str) -> _Subscription:
        subscription = self._state.subscription(name)
        if subscription.config.detached:
            raise failed_precondition(f"Subscription is detached (resource={short(name)}).")
        if subscription.push is not None:
            raise failed_precondition("This method is not supported for this subscription type.")
        self._state.touch(subscription)
        return subscription

    def _read(self, subscription: _Subscription) -> pubsub.Subscription:
        # Unlike the answer to a write, reading leaves the push attributes out; recordings of the real service show it.
        answer = pubsub.Subscription(subscription.config)
        answer.push_config.attributes = {}
        topic = self._state.topics.get(answer.topic)
        if topic is not None and "message_retention_duration" in topic:
            answer.topic_message_retention_duration = topic.message_retention_duration
        return answer

    def _replace(self, subscription: _Subscription, changed: pubsub.Subscription) -> None:
        pushes_differently = subscription.config.push_config != changed.push_config
        subscription.config = changed
        subscription.apply_rules()
        self._state.touch(subscription)
        if pushes_differently:
            self._state.set_push(subscription)


class PubSubPolicies:
    """``google.iam.v1.IAMPolicy``, which of the APIs here only Pub/Sub answers under this name.

    :param state: all topics and subscriptions.
    """

    SERVICES: ClassVar[tuple[str, ...]] = ("google.iam.v1.IAMPolicy",)

    def __init__(self, state: PubSub) -> None:
        self._state = state

    def get_iam_policy(self, request: iam_policy_pb2.GetIamPolicyRequest, call: Call) -> policy_pb2.Policy:
        """The policy of a topic or subscription."""
        self._check(request.resource)
        return self._state.world.policies.get(request.resource, request.options.requested_policy_version)

    def set_iam_policy(self, request: iam_policy_pb2.SetIamPolicyRequest, call: Call) -> policy_pb2.Policy:
        """Replace the policy of a topic or subscription."""
        self._check(request.resource)
        return self._state.world.policies.set(request.resource, request.policy, request.update_mask)

    def test_iam_permissions(
        self,
        request: iam_policy_pb2.TestIamPermissionsRequest,
        call: Call,
    ) -> iam_policy_pb2.TestIamPermissionsResponse:
        """The permissions the caller has of those asked for."""
        self._check(request.resource)
        held = self._state.world.access.held(call, request.resource, request.permissions)
        return iam_policy_pb2.TestIamPermissionsResponse(permissions=held)

    def _check(self, resource: str) -> None:
        if "/topics/" in resource:
            self._state.topic(resource)
        elif "/subscriptions/" in resource:
            self._state.subscription(resource)
        else:
            raise invalid_name(resource)


def _absent(name: str) -> ApiError:
    return not_found(f"Resource not found (resource={short(name)}).")


def _present(name: str) -> ApiError:
    return already_exists(f"Resource already exists in the project (resource={short(name)}).")


def _filter(text: str) -> Predicate:
    try:
        return parse_filter(text)
    except FilterError as error:
        raise invalid_argument(f"Invalid filter {text!r}: {error}.") from error


def _fill_in_version(config: pubsub.Subscription) -> None:
    config.push_config.attributes.setdefault(_VERSION_ATTRIBUTE, "v1")


def _stop(subscription: _Subscription, reason: ApiError) -> None:
    if subscription.push is not None:
        subscription.push.stop()
    subscription.backlog.close(reason)


def _check_ack_ids(ack_ids: Sequence[str]) -> None:
    if not ack_ids:
        raise invalid_argument("You have not specified an ack ID in the request.")


def _refuse_late(subscription: _Subscription, late: Sequence[str]) -> None:
    if late and subscription.config.enable_exactly_once_delivery:
        raise invalid_argument(
            "Some acknowledgement ids in the request were invalid. This could be because the acknowledgement ids have "
            "expired or the acknowledgement ids were malformed.",
            error_details_pb2.ErrorInfo(
                reason="EXACTLY_ONCE_ACKID_FAILURE",
                domain="pubsub.googleapis.com",
                metadata=dict.fromkeys(late, "PERMANENT_FAILURE_INVALID_ACK_ID"),
            ),
        )


def _page(items: Sequence[_Item], size: int, token: str) -> tuple[Sequence[_Item], str]:
    if token and not token.isdecimal():
        raise invalid_argument("You have passed an invalid argument to the service (argument=page_token).")
    first = int(token or 0)
    end = first + min(size or _LARGEST_PAGE, _LARGEST_PAGE)
    return items[first:end], str(end) if end < len(items) else ""
