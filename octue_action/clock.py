"""The time of a run: one place to ask, and to wait in, so that a test can let minutes pass in no time."""

from __future__ import annotations

import datetime
import threading
import time


class Clock:
    """The machine's time."""

    def now(self) -> float:
        """Seconds on a clock that never goes back; its zero has no meaning."""
        return time.monotonic()

    def date(self) -> datetime.datetime:
        """The day and its time, in UTC."""
        return datetime.datetime.now(datetime.UTC)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait so many seconds, at most until the event is set.

        :returns: whether it is set.
        """
        return event.wait(seconds)
