"""Pushing the messages of a subscription to its endpoint.

After https://cloud.google.com/pubsub/docs/push and https://cloud.google.com/pubsub/docs/payload-unwrapping.
"""

from __future__ import annotations

import base64
import json
import threading
import urllib.parse
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from google.pubsub_v1.types import pubsub

from emulator.delivery import Backlog, Delivery
from emulator.tokens import Tokens

MODE_PARAMETER = "__GCP_CloudEventsMode"
"""What Eventarc adds to the URL it has messages pushed to; access logs in public issues show it."""

MODE_PREFIX = "CUSTOM_PUBSUB_"
MESSAGE_PUBLISHED = "google.cloud.pubsub.topic.v1.messagePublished"

_ACKNOWLEDGING = {
    HTTPStatus.PROCESSING,
    HTTPStatus.OK,
    HTTPStatus.CREATED,
    HTTPStatus.ACCEPTED,
    HTTPStatus.NO_CONTENT,
}
_USER_AGENT = "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)"
_LARGEST_PARALLEL = 1000

Post = Callable[[str, Mapping[str, str], bytes], int]


class Push:
    """Pushes messages as they come, each in a thread of its own, until it is stopped.

    A request is outstanding for the acknowledgement deadline. After that the message is pushed again, even though the
    first request may still be running: so a deadline of 10 s makes an analysis of 25 s run three times.

    :param backlog: where the messages come from.
    :param config: where they go, and as whom.
    :param tokens: issues the token that the requests carry.
    :param post: sends a request and gives the status of the answer.
    :param on_success: called after a request that was answered well.
    """

    def __init__(
        self,
        backlog: Backlog,
        config: pubsub.PushConfig,
        tokens: Tokens,
        post: Post,
        on_success: Callable[[], None],
    ) -> None:
        self._backlog = backlog
        self._config = config
        self._tokens = tokens
        self._post = post
        self._on_success = on_success
        self._running = 0
        self._stopped = False
        threading.Thread(target=self._run, name=f"push {backlog.name}", daemon=True).start()

    def stop(self) -> None:
        """Begin no more requests."""
        with self._backlog.changed:
            self._stopped = True
            self._backlog.changed.notify_all()

    def _run(self) -> None:
        while deliveries := self._backlog.receive(self._room, is_wanted=lambda: not self._stopped):
            with self._backlog.changed:
                self._running += len(deliveries)
            for delivery in deliveries:
                threading.Thread(target=self._push, args=(delivery,), name="push request", daemon=True).start()

    def _room(self) -> int:
        return _LARGEST_PARALLEL - self._running

    def _push(self, delivery: Delivery) -> None:
        try:
            acknowledged = self._send(delivery) in _ACKNOWLEDGING
        except Exception:  # noqa: BLE001 - whatever goes wrong on the way, the message is pushed again
            acknowledged = False
        with self._backlog.changed:
            self._running -= 1
        if acknowledged:
            self._backlog.acknowledge([delivery.ack_id])
            self._on_success()
        else:
            self._backlog.modify([delivery.ack_id], 0)

    def _send(self, delivery: Delivery) -> int:
        url = self._config.push_endpoint
        headers = {"User-Agent": _USER_AGENT, "From": "noreply@google.com"}
        if self._config.oidc_token.service_account_email:
            audience = self._config.oidc_token.audience or url
            token = self._tokens.issue_id_token(self._config.oidc_token.service_account_email, audience)
            headers["Authorization"] = f"Bearer {token}"
        if "no_wrapper" in self._config:
            if self._config.no_wrapper.write_metadata:
                headers |= _metadata_headers(delivery, self._backlog.name)
            return self._post(url, headers, delivery.message.data)
        headers |= {"Content-Type": "application/json", **cloud_event_headers(url, delivery.message)}
        shows_attempts = self._backlog.rules.shows_attempts
        return self._post(url, headers, envelope(delivery, self._backlog.name, shows_attempts=shows_attempts))


def envelope(delivery: Delivery, subscription: str, *, shows_attempts: bool) -> bytes:
    """The body of a push request: a JSON object with the message and the subscription's name.

    :param shows_attempts: whether it tells the delivery attempt, as it does under a dead letter policy.
    """
    message = delivery.message
    published = _timestamp(message)
    wrapped: dict[str, object] = {
        "attributes": dict(message.attributes),
        "data": base64.b64encode(message.data).decode(),
        "messageId": message.message_id,
        "message_id": message.message_id,
        "publishTime": published,
        "publish_time": published,
        "orderingKey": message.ordering_key,
    }
    body: dict[str, object] = {
        "message": {field: value for field, value in wrapped.items() if value},
        "subscription": subscription,
    }
    if shows_attempts:
        body["deliveryAttempt"] = delivery.attempt
    return json.dumps(body).encode()


def cloud_event_headers(url: str, message: pubsub.PubsubMessage) -> dict[str, str]:
    """The CloudEvents attributes with which a pushed message reaches a service behind an Eventarc trigger.

    In Google Cloud the front of Cloud Run adds them where the URL has the mode parameter. Names and values follow
    https://cloud.google.com/eventarc/docs/cloudevents and the HTTP binding of CloudEvents 1.0.

    :param url: the endpoint; without the mode parameter there are no such headers.
    """
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
    mode = query.get(MODE_PARAMETER, [""])[0]
    if not mode.startswith(MODE_PREFIX):
        return {}
    return {
        "ce-id": message.message_id,
        "ce-source": f"//pubsub.googleapis.com/{mode.removeprefix(MODE_PREFIX)}",
        "ce-specversion": "1.0",
        "ce-type": MESSAGE_PUBLISHED,
        "ce-time": _timestamp(message),
    }


def _metadata_headers(delivery: Delivery, subscription: str) -> dict[str, str]:
    message = delivery.message
    headers = {
        "x-goog-pubsub-subscription-name": subscription,
        "x-goog-pubsub-message-id": message.message_id,
        "x-goog-pubsub-publish-time": _timestamp(message),
        **dict(message.attributes),
    }
    if message.ordering_key:
        headers["x-goog-pubsub-ordering-key"] = message.ordering_key
    return headers


def _timestamp(message: pubsub.PubsubMessage) -> str:
    fields: Any = pubsub.PubsubMessage.pb(message)
    return str(fields.publish_time.ToJsonString())
