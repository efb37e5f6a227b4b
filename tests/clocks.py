"""Clocks that let no real time pass."""

from __future__ import annotations

import datetime
import threading

from octue_action.clock import Clock


class SimulatedClock(Clock):
    """A clock that goes by waiting only, and remembers each wait; for one thread."""

    def __init__(self) -> None:
        self.time = 0.0
        self.waits: list[float] = []

    def now(self) -> float:
        return self.time

    def date(self) -> datetime.datetime:
        return datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC) + datetime.timedelta(seconds=self.time)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        if not event.is_set():
            self.waits.append(seconds)
            self.time += seconds
        return event.is_set()
