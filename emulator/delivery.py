"""The flow of a subscription's messages: who holds which for how long, and when it is delivered again.

What is modelled, after https://cloud.google.com/pubsub/docs/subscription-properties: a message handed out is leased
until its acknowledgement deadline; when that passes, or at a negative acknowledgement, it is delivered again, after the
backoff of the retry policy. With ordering, a key's next message waits until all before it are acknowledged.
"""

from __future__ import annotations

import heapq
import math
import re
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from google.pubsub_v1.types import pubsub

from emulator.clock import Clock
from emulator.errors import ApiError, invalid_argument
from emulator.pubsub_config import duration

_ACK_ID = re.compile(r"(?P<subscription>.+):(?P<number>[0-9]+)-(?P<attempt>[0-9]+)")
_PUSH_BACKOFF_SECONDS = (0.1, 60.0)
_RETRY_POLICY_BACKOFF_SECONDS = (10.0, 600.0)
_LARGEST_EXPONENT = 30
"""Beyond this many doublings every backoff is at its maximum anyway."""


@dataclass(frozen=True)
class Rules:
    """What of a subscription's configuration decides how its messages flow; times in seconds.

    :param backoff: smallest and largest wait before a message is delivered again; it doubles with each attempt.
    :param max_attempts: a message delivered that often without acknowledgement is given up; ``None`` never.
    :param shows_attempts: whether deliveries tell their attempt, which they do under a dead letter policy.
    """

    ack_deadline: float
    retention: float
    ordered: bool
    exactly_once: bool
    backoff: tuple[float, float]
    max_attempts: int | None
    shows_attempts: bool

    @classmethod
    def of(cls, config: pubsub.Subscription) -> Rules:
        """The rules of a subscription whose defaults have been filled in."""
        settings: Any = pubsub.Subscription.pb(config)
        dead_letter = settings.HasField("dead_letter_policy")
        return cls(
            ack_deadline=float(settings.ack_deadline_seconds),
            retention=duration(settings, "message_retention_duration", math.inf),
            ordered=settings.enable_message_ordering,
            exactly_once=settings.enable_exactly_once_delivery,
            backoff=_backoff(settings),
            max_attempts=settings.dead_letter_policy.max_delivery_attempts if dead_letter else None,
            shows_attempts=dead_letter,
        )


@dataclass(frozen=True)
class Delivery:
    """One handing-out of a message.

    :param ack_id: with which this handing-out is acknowledged.
    :param attempt: how many times the message has been handed out, this time included.
    """

    ack_id: str
    message: pubsub.PubsubMessage
    attempt: int


@dataclass
class _Entry:
    number: int
    message: pubsub.PubsubMessage
    key: str
    published: float
    attempts: int = 0
    leased_until: float | None = None


class Backlog:
    """The messages of one subscription that nobody has acknowledged yet.

    :param name: the subscription's full name.
    :param rules: how its messages flow; may be replaced while they do.
    :param give_up: called in a thread of its own with a message that was delivered too often, and how often.
    """

    def __init__(
        self, name: str, rules: Rules, clock: Clock, give_up: Callable[[pubsub.PubsubMessage, int], None]
    ) -> None:
        self.name = name
        self.rules = rules
        self.changed = threading.Condition()
        self.closed: ApiError | None = None
        self._clock = clock
        self._give_up = give_up
        self._added = 0
        self._entries: dict[int, _Entry] = {}
        self._ready: list[tuple[float, int]] = []  # heap of (when it may go out, entry's number)
        self._leases: list[tuple[float, int]] = []  # heap of (when the lease ends, entry's number); old ones stay in
        self._keys: dict[str, list[int]] = {}  # unacknowledged entries of each ordering key, in order
        self._held: dict[str, list[int]] = {}  # of these, the ones waiting for an earlier one

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, message: pubsub.PubsubMessage) -> None:
        """Take in a message that was published."""
        with self.changed:
            self._added += 1
            key = message.ordering_key if self.rules.ordered else ""
            now = self._clock.time()
            self._drop_outdated(now)
            self._entries[self._added] = _Entry(self._added, message, key, published=now)
            if key:
                self._keys.setdefault(key, []).append(self._added)
            heapq.heappush(self._ready, (now, self._added))
            self.changed.notify_all()

    def receive(
        self,
        room: Callable[[], int],
        *,
        until: float | None = None,
        ack_deadline: Callable[[], float] | None = None,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> list[Delivery]:
        """Wait for messages and lease them; nothing when the time is over, or the backlog or the caller is done.

        :param room: how many messages the caller can take now; asked again whenever something changes.
        :param until: seconds since the epoch; ``None`` waits for ever.
        :param ack_deadline: seconds of the lease; the subscription's where ``None``.
        :param is_wanted: asked again whenever something changes; false ends the wait.
        """
        with self.changed:
            while self.closed is None and is_wanted():
                limit = room()
                deliveries = self._lease(limit, ack_deadline() if ack_deadline else self.rules.ack_deadline)
                if deliveries:
                    return deliveries
                if until is not None and self._clock.time() >= until:
                    break
                self._clock.wait(self.changed, self._next_event(until, with_messages=limit > 0))
            return []

    def acknowledge(self, ack_ids: Collection[str]) -> list[str]:
        """Forget messages for good, and give the ids that came too late.

        An acknowledgement after its deadline still counts where nobody else has acknowledged, except with exactly-once
        delivery; Google's emulator does the same, and the documentation allows it.

        :raises ApiError: INVALID_ARGUMENT for what was never an id of this subscription.
        """
        parsed = [(ack_id, *self._parse(ack_id)) for ack_id in ack_ids]
        late = []
        with self.changed:
            self._expire_leases()
            for ack_id, number, attempt in parsed:
                entry = self._entries.get(number)
                if self.rules.exactly_once and not _holds(entry, attempt):
                    late.append(ack_id)
                elif entry is not None:
                    self._forget(entry)
            self.changed.notify_all()
        return late

    def modify(self, ack_ids: Collection[str], seconds: float) -> list[str]:
        """Let leases end that many seconds from now, 0 at once, and give the ids that came too late.

        :raises ApiError: INVALID_ARGUMENT for what was never an id of this subscription.
        """
        parsed = [(ack_id, *self._parse(ack_id)) for ack_id in ack_ids]
        late = []
        with self.changed:
            self._expire_leases()
            for ack_id, number, attempt in parsed:
                entry = self._entries.get(number)
                if entry is None or not _holds(entry, attempt):
                    late.append(ack_id)
                elif seconds == 0:
                    self._release(entry)
                else:
                    self._set_lease(entry, seconds)
            self.changed.notify_all()
        return late

    def is_leased(self, ack_id: str) -> bool:
        """Whether the message is still with whom it was handed out to under that id."""
        with self.changed:
            number, attempt = self._parse(ack_id)
            return _holds(self._entries.get(number), attempt)

    def clear(self) -> None:
        """Forget all messages."""
        with self.changed:
            for entry in list(self._entries.values()):
                self._forget(entry)
            self.changed.notify_all()

    def close(self, reason: ApiError) -> None:
        """Hand out nothing more, and tell whoever waits why."""
        with self.changed:
            self.closed = reason
            self.changed.notify_all()

    def _lease(self, limit: int, seconds: float) -> list[Delivery]:
        self._expire_leases()
        now = self._clock.time()
        batch: dict[int, _Entry] = {}
        while len(batch) < limit and self._ready and self._ready[0][0] <= now:
            _, number = heapq.heappop(self._ready)
            entry = self._entries.get(number)
            if entry is None:
                continue  # acknowledged late, while it waited to go out again
            if entry.published + self.rules.retention <= now:
                self._forget(entry)
            elif self._must_wait(entry, batch):
                self._held.setdefault(entry.key, []).append(number)
            else:
                batch[number] = entry
        return [self._hand_out(entry, seconds) for entry in batch.values()]

    def _hand_out(self, entry: _Entry, seconds: float) -> Delivery:
        entry.attempts += 1
        self._set_lease(entry, seconds)
        return Delivery(f"{self.name}:{entry.number}-{entry.attempts}", entry.message, entry.attempts)

    def _must_wait(self, entry: _Entry, batch: Collection[int]) -> bool:
        earlier = (number for number in self._keys.get(entry.key, ()) if number < entry.number)
        return any(number not in batch for number in earlier)

    def _set_lease(self, entry: _Entry, seconds: float) -> None:
        entry.leased_until = self._clock.time() + seconds
        heapq.heappush(self._leases, (entry.leased_until, entry.number))

    def _expire_leases(self) -> None:
        now = self._clock.time()
        while self._leases and self._leases[0][0] <= now:
            until, number = heapq.heappop(self._leases)
            entry = self._entries.get(number)
            if entry is not None and entry.leased_until == until:
                self._release(entry)

    def _release(self, entry: _Entry) -> None:
        # A key's later messages that are out go out again too, so that the order holds.
        together = [entry] + [
            later
            for number in self._keys.get(entry.key, ())
            if number > entry.number and (later := self._entries[number]).leased_until is not None
        ]
        for released in together:
            released.leased_until = None
            heapq.heappush(self._ready, (self._clock.time() + self._delay(entry), released.number))
        self._let_go(entry.key)
        if self.rules.max_attempts is not None and entry.attempts >= self.rules.max_attempts:
            self._forget(entry)
            arguments = (entry.message, entry.attempts)
            threading.Thread(target=self._give_up, args=arguments, name="dead letter", daemon=True).start()

    def _delay(self, entry: _Entry) -> float:
        smallest, largest = self.rules.backoff
        return min(largest, smallest * float(2 ** min(entry.attempts - 1, _LARGEST_EXPONENT)))

    def _forget(self, entry: _Entry) -> None:
        del self._entries[entry.number]
        if entry.key:
            numbers = self._keys[entry.key]
            numbers.remove(entry.number)
            if not numbers:
                del self._keys[entry.key]
            self._let_go(entry.key)

    def _let_go(self, key: str) -> None:
        for number in self._held.pop(key, ()):
            heapq.heappush(self._ready, (self._clock.time(), number))

    def _drop_outdated(self, now: float) -> None:
        while self._entries:
            oldest = next(iter(self._entries.values()))
            if oldest.published + self.rules.retention > now:
                return
            self._forget(oldest)

    def _next_event(self, until: float | None, *, with_messages: bool) -> float | None:
        times = [] if until is None else [until]
        if self._leases:
            times.append(self._leases[0][0])
        if with_messages and self._ready:
            times.append(self._ready[0][0])
        return min(times, default=None)

    def _parse(self, ack_id: str) -> tuple[int, int]:
        match = _ACK_ID.fullmatch(ack_id)
        if match is None or match["subscription"] != self.name:
            raise invalid_argument(f"You have passed an invalid ack ID to the service (ack_id={ack_id}).")
        return int(match["number"]), int(match["attempt"])


def _holds(entry: _Entry | None, attempt: int) -> bool:
    return entry is not None and entry.leased_until is not None and entry.attempts == attempt


def _backoff(settings: Any) -> tuple[float, float]:
    if settings.HasField("retry_policy"):
        smallest, largest = _RETRY_POLICY_BACKOFF_SECONDS
        policy = settings.retry_policy
        return duration(policy, "minimum_backoff", smallest), duration(policy, "maximum_backoff", largest)
    return _PUSH_BACKOFF_SECONDS if settings.push_config.push_endpoint else (0.0, 0.0)
