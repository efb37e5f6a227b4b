"""One streaming pull: messages out, acknowledgements in, until either side ends it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import grpc
from google.pubsub_v1.types import pubsub

from emulator.delivery import Backlog, Delivery
from emulator.errors import ApiError, invalid_argument
from emulator.pubsub_config import check_lease_seconds
from emulator.rpc import Call

_LARGEST_RESPONSE = 1000


class StreamingPull:
    """The server's side of a stream.

    :param backlog: where the messages come from.
    :param first: the request that opened the stream; it says the deadline of leases and how much may be outstanding.
    :param requests: those that follow.
    :param call: tells whether the client still listens.
    """

    def __init__(
        self,
        backlog: Backlog,
        first: pubsub.StreamingPullRequest,
        requests: Iterator[pubsub.StreamingPullRequest],
        call: Call,
    ) -> None:
        self._backlog = backlog
        self._requests = requests
        self._call = call
        self._most_messages = first.max_outstanding_messages
        self._most_bytes = first.max_outstanding_bytes
        self._seconds = 0
        self._outstanding: dict[str, int] = {}  # size of each message by the id it was handed out under
        self._ended = False
        self._error: ApiError | None = None
        self._take_in(first)

    def responses(self) -> Iterator[pubsub.StreamingPullResponse]:
        """The messages, as they come.

        :raises ApiError: with the reason, where the subscription is gone or a request was wrong.
        """
        threading.Thread(target=self._read, name="streaming pull requests", daemon=True).start()
        while deliveries := self._backlog.receive(
            self._room, ack_deadline=self._ack_deadline, is_wanted=self._is_wanted
        ):
            with self._backlog.changed:
                self._outstanding |= {delivery.ack_id: len(delivery.message.data) for delivery in deliveries}
            yield self._response(deliveries)
        error = self._error or (self._backlog.closed if not self._ended else None)
        if error is not None:
            raise error

    def _read(self) -> None:
        try:
            for request in self._requests:
                self._take_in(request)
        except ApiError as error:
            self._error = error
        except grpc.RpcError:
            pass  # the client has cancelled the call
        finally:
            with self._backlog.changed:
                self._ended = True
                self._backlog.changed.notify_all()

    def _take_in(self, request: pubsub.StreamingPullRequest) -> None:
        if len(request.modify_deadline_seconds) != len(request.modify_deadline_ack_ids):
            raise invalid_argument("modify_deadline_seconds and modify_deadline_ack_ids must be of the same length.")
        if request.stream_ack_deadline_seconds:
            check_lease_seconds(request.stream_ack_deadline_seconds)
            self._seconds = request.stream_ack_deadline_seconds
        if request.ack_ids:
            self._backlog.acknowledge(request.ack_ids)
        for ack_id, seconds in zip(request.modify_deadline_ack_ids, request.modify_deadline_seconds, strict=True):
            check_lease_seconds(seconds)
            self._backlog.modify([ack_id], seconds)

    def _is_wanted(self) -> bool:
        return not self._ended and self._call.is_active()

    def _ack_deadline(self) -> float:
        return self._seconds or self._backlog.rules.ack_deadline

    def _room(self) -> int:
        self._outstanding = {
            ack_id: size for ack_id, size in self._outstanding.items() if self._backlog.is_leased(ack_id)
        }
        if 0 < self._most_bytes <= sum(self._outstanding.values()):
            return 0
        if self._most_messages <= 0:
            return _LARGEST_RESPONSE
        return min(_LARGEST_RESPONSE, self._most_messages - len(self._outstanding))

    def _response(self, deliveries: list[Delivery]) -> pubsub.StreamingPullResponse:
        rules = self._backlog.rules
        return pubsub.StreamingPullResponse(
            received_messages=[received(self._backlog, delivery) for delivery in deliveries],
            subscription_properties=pubsub.StreamingPullResponse.SubscriptionProperties(
                exactly_once_delivery_enabled=rules.exactly_once, message_ordering_enabled=rules.ordered
            ),
        )


def received(backlog: Backlog, delivery: Delivery) -> pubsub.ReceivedMessage:
    """A delivery as a puller gets it."""
    return pubsub.ReceivedMessage(
        ack_id=delivery.ack_id,
        message=delivery.message,
        delivery_attempt=delivery.attempt if backlog.rules.shows_attempts else 0,
    )
