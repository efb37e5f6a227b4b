"""The instances of one Cloud Run revision: started when requests come, stopped when none do."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from emulator.clock import Clock
from emulator.processes import Instance

# A request waits about this long for room before Cloud Run turns it away.
# https://cloud.google.com/run/docs/about-instance-autoscaling
_PENDING_SECONDS = 10.0


class NotListeningError(Exception):
    """A container that ended, or did not listen in time."""


class NoRoomError(Exception):
    """All instances are busy, and there may be no more of them."""


class Instances:
    """The instances of a revision.

    :param start: starts one.
    :param not_listening: told of one that did not listen: whether it still ran then.
    :param clock: the emulator's time, by which instances are idle.
    :param concurrency: requests that one instance takes at once.
    :param maximum: how many instances there may be.
    :param startup_seconds: how long one may take to listen.
    :param idle_seconds: one without requests for that long is stopped.
    """

    def __init__(
        self,
        start: Callable[[], Instance],
        clock: Clock,
        *,
        not_listening: Callable[[bool], None],
        concurrency: int,
        maximum: int,
        startup_seconds: float,
        idle_seconds: float,
    ) -> None:
        self._start = start
        self._clock = clock
        self._not_listening = not_listening
        self._concurrency = concurrency
        self._maximum = maximum
        self._startup_seconds = startup_seconds
        self._idle_seconds = idle_seconds
        self._minimum = 0
        self._closed = False
        self._slots: list[_Slot] = []
        self._changed = threading.Condition()

    def __len__(self) -> int:
        with self._changed:
            return len(self._slots)

    def keep(self, minimum: int) -> None:
        """Start instances until there are that many, and never stop the last ones when idle.

        :raises NotListeningError: where one does not start.
        """
        with self._changed:
            self._minimum = minimum
            missing = [self._add() for _ in range(minimum - len(self._slots))]
        for slot in missing:
            self._make_ready(slot)

    def check(self) -> None:
        """Start an instance if there is none; it stays until it is idle.

        :raises NotListeningError: where it does not start.
        """
        with self.instance():
            pass

    @contextlib.contextmanager
    def instance(self) -> Iterator[Instance]:
        """An instance with room for one request, for as long as the request takes.

        :raises NotListeningError: where it does not start.
        :raises NoRoomError: where none had room in time.
        """
        slot, is_new = self._reserve()
        try:
            if is_new:
                self._make_ready(slot)
            yield slot.wait()
        finally:
            with self._changed:
                slot.requests -= 1
                slot.idle_since = self._clock.time()
                self._changed.notify_all()

    def stop_idle(self) -> None:
        """Stop the instances that have had no request for long, and forget those that ended by themselves."""
        with self._changed:
            ended = [slot for slot in self._slots if slot.has_ended]
            idle = [slot for slot in self._slots if slot.is_idle(self._clock.time() - self._idle_seconds)]
            leaving = ended + idle[: max(0, len(self._slots) - len(ended) - self._minimum)]
            self._slots = [slot for slot in self._slots if slot not in leaving]
        for slot in leaving:
            slot.stop()

    def retire(self) -> None:
        """Keep none of them any longer: each is stopped as soon as it has answered."""
        with self._changed:
            self._minimum = 0
            self._idle_seconds = 0.0
        self.stop_idle()

    def close(self) -> None:
        """Stop all of them, also those that are answering."""
        with self._changed:
            self._closed = True
            slots, self._slots = self._slots, []
            self._changed.notify_all()
        for slot in slots:
            slot.stop()

    def _reserve(self) -> tuple[_Slot, bool]:
        end = time.monotonic() + _PENDING_SECONDS
        with self._changed:
            while not self._closed:
                self._slots = [slot for slot in self._slots if not slot.has_ended]
                for slot in self._slots:
                    if slot.requests < self._concurrency:
                        slot.requests += 1
                        return slot, False
                if len(self._slots) < self._maximum:
                    slot = self._add()
                    slot.requests += 1
                    return slot, True
                if not self._changed.wait(max(0.0, end - time.monotonic())):
                    break
        raise NoRoomError("The request was aborted because there was no available instance.")

    def _add(self) -> _Slot:
        slot = _Slot(self._clock.time())
        self._slots.append(slot)
        return slot

    def _make_ready(self, slot: _Slot) -> None:
        instance = None
        try:
            instance = self._start()
            if not instance.wait_until_it_listens(self._startup_seconds):
                is_late = instance.running
                instance.stop()
                self._not_listening(is_late)
                raise NotListeningError("The container failed to start and listen.")
            slot.set(instance)
        except BaseException:  # whatever it is, those who wait for the slot must not wait for ever
            slot.set(None)
            if instance is not None:
                instance.stop()
            with self._changed:
                self._slots = [other for other in self._slots if other is not slot]
            raise
        if self._closed:
            slot.stop()


class _Slot:
    """A place for an instance: reserved at once, filled when the instance listens."""

    def __init__(self, now: float) -> None:
        self.requests = 0
        self.idle_since = now
        self._instance: Instance | None = None
        self._settled = threading.Event()

    @property
    def has_ended(self) -> bool:
        return self._settled.is_set() and (self._instance is None or not self._instance.running)

    def is_idle(self, since: float) -> bool:
        return self._settled.is_set() and not self.has_ended and not self.requests and self.idle_since <= since

    def set(self, instance: Instance | None) -> None:
        self._instance = instance
        self._settled.set()

    def wait(self) -> Instance:
        self._settled.wait()
        if self._instance is None:
            raise NotListeningError("The container failed to start and listen.")
        return self._instance

    def stop(self) -> None:
        if self._instance is not None:
            self._instance.stop()
