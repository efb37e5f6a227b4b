"""The emulator's time: one place to ask, so that a test can move it."""

from __future__ import annotations

import datetime
import threading
import time

from google.protobuf.timestamp_pb2 import Timestamp


class Clock:
    """Time as the emulated cloud sees it: the machine's, and what a test has added with ``advance``."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._moved = threading.Condition()
        self._waiting: list[threading.Condition] = []

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time() + self._ahead

    def now(self) -> datetime.datetime:
        """The time with its zone, UTC."""
        return datetime.datetime.fromtimestamp(self.time(), datetime.UTC)

    def timestamp(self) -> Timestamp:
        """The time as a protobuf message."""
        stamp = Timestamp()
        stamp.FromDatetime(self.now())
        return stamp

    def advance(self, seconds: float) -> None:
        """Let that many seconds have passed, waking whoever sleeps."""
        with self._moved:
            self._ahead += seconds
            self._moved.notify_all()
            waiting = list(self._waiting)
        for condition in waiting:
            with condition:
                condition.notify_all()

    def sleep(self, seconds: float) -> None:
        """Wait until that many seconds of this clock have passed."""
        end = self.time() + seconds
        with self._moved:
            while (left := end - self.time()) > 0:
                self._moved.wait(left)

    def wait(self, condition: threading.Condition, until: float | None = None) -> None:
        """Wait on a condition until it is notified, this clock shows a time, or a test moves the clock.

        :param condition: held by the caller, who looks at its state again afterwards.
        :param until: seconds since the epoch; ``None`` for no such time.
        """
        with self._moved:
            self._waiting.append(condition)
        try:
            condition.wait(None if until is None else max(0.0, until - self.time()))
        finally:
            with self._moved:
                self._waiting.remove(condition)
