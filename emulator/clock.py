"""The emulator's time: one place to ask, so that a test can move it, and so that waiting need not take time."""

from __future__ import annotations

import contextlib
import datetime
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

# Between two requests of a client in this process about 1 ms passes, on two busy cores sometimes more than 6 ms: a leap
# that comes too early costs nothing but seconds of this clock. Looking several times, rather than waiting once, gives
# each thread that could run a turn: a look takes longer on a machine that is busy.
_LOOKS = 3
_LOOK_SECONDS = 0.001


@dataclass(frozen=True, eq=False)
class _Wait:
    """Somebody who waits.

    :param condition: what is notified when the time has come.
    :param until: seconds since the epoch; ``None`` where only a notification ends it.
    :param leap: whether somebody cannot go on before it ends, so that time leaps.
    """

    condition: threading.Condition
    until: float | None
    leap: bool


class Clock:
    """Time as the emulated cloud sees it: the machine's, and what was added to it.

    With ``leaps``, time that everybody only waits through is skipped: when somebody sleeps here, nobody is at work and
    nothing has happened for some three milliseconds of the machine's time, the time leaps to the earliest moment that
    anybody waits for. Then whoever waits for that moment goes on, and all is looked at anew. Where nobody waits, time
    is the machine's.

    Who sleeps is a client or an operation, something that goes on by itself and then ends. What serves for ever, as a
    push subscription that will deliver again or a pull that is repeated, waits without ``leap``: a cloud that is left
    alone stays at its time. But no leap passes over the moments that these wait for. Idle instances are looked for by
    the machine's time, and found idle by this clock's.

    :param leaps: whether to skip time; there is then a thread that watches, until ``close``.
    """

    def __init__(self, *, leaps: bool = False) -> None:
        self._leaps = leaps
        self._ahead = 0.0
        self._lock = threading.Lock()
        self._all_wait = threading.Condition(self._lock)
        self._waits: list[_Wait] = []
        self._mine = threading.local()
        self._at_work = 0
        self._signs_of_life = 0
        self._closed = False
        if leaps:
            threading.Thread(target=self._watch, name="clock", daemon=True).start()

    def close(self) -> None:
        """Leap no more; whoever still sleeps does so by the machine's time."""
        with self._lock:
            self._closed = True
            self._all_wait.notify_all()

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
        with self._lock:
            self._ahead += seconds
            waits = list(self._waits)
        _wake(waits)

    def sleep(self, seconds: float) -> None:
        """Wait until that many seconds of this clock have passed."""
        until = self.time() + seconds
        condition = threading.Condition()
        with condition:
            while self.time() < until:
                self.wait(condition, until, leap=True)

    def wait(self, condition: threading.Condition, until: float | None = None, *, leap: bool = False) -> None:
        """Wait on a condition until it is notified, this clock shows a time, or a test moves the clock.

        A thread that is at work is not meanwhile.

        :param condition: held by the caller, who looks at its state again afterwards.
        :param until: seconds since the epoch; ``None`` for no such time.
        :param leap: whether time may leap there.
        """
        wait = _Wait(condition, until, leap)
        depth, self._mine.depth = self._depth, 0
        with self._lock:
            self._waits.append(wait)
            self._count(-1 if depth else 0)
        try:
            condition.wait(None if until is None else max(0.0, until - self.time()))
        finally:
            with self._lock:
                self._waits.remove(wait)
                self._count(1 if depth else 0)
            self._mine.depth = depth

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Be at work: time does not leap before the context ends, or its thread waits here within it."""
        depth = self._depth
        self._mine.depth = depth + 1
        if not depth:
            self._turn(1)
        try:
            yield
        finally:
            self._mine.depth = depth
            if not depth:
                self._turn(-1)

    def start(self, work: Callable[[], object], name: str) -> None:
        """Work in a thread of its own, as ``working`` from this moment on and not only from when the thread runs.

        :param name: the thread's.
        """

        def run() -> None:
            self._mine.depth = 1
            try:
                work()
            finally:
                self._turn(-1)

        self._turn(1)
        threading.Thread(target=run, name=name, daemon=True).start()

    @property
    def _depth(self) -> int:
        """How many ``working`` the calling thread is in."""
        depth: int = getattr(self._mine, "depth", 0)
        return depth

    def _turn(self, more: int) -> None:
        if self._leaps:
            with self._lock:
                self._count(more)

    def _count(self, more: int) -> None:
        """Note a sign of life and how many more threads are now at work."""
        self._at_work += more
        self._signs_of_life += 1
        if self._all_only_wait():
            self._all_wait.notify_all()

    def _watch(self) -> None:
        while (signs := self._signs_when_all_wait()) is not None:
            if self._is_quiet(signs):
                self._leap(signs)

    def _signs_when_all_wait(self) -> int | None:
        """How many signs of life there were when everybody has come to wait; ``None`` once the clock is closed."""
        with self._lock:
            self._all_wait.wait_for(lambda: self._closed or self._all_only_wait())
            return None if self._closed else self._signs_of_life

    def _all_only_wait(self) -> bool:
        """Whether somebody sleeps, and nobody is at work."""
        return not self._at_work and any(wait.leap and wait.until for wait in self._waits)

    def _next_moment(self) -> float:
        return min((wait.until for wait in self._waits if wait.until is not None), default=0.0)

    def _is_quiet(self, signs: int) -> bool:
        for _ in range(_LOOKS):
            time.sleep(_LOOK_SECONDS)
            if self._signs_of_life != signs:
                return False
        return True

    def _leap(self, signs: int) -> None:
        with self._lock:
            if self._signs_of_life != signs:
                return
            # It may be over already: whoever went to sleep before an earlier leap, and so for longer than it now takes,
            # is woken by nobody else where work has taken the time since.
            moment = max(self._next_moment(), self.time())
            self._ahead += max(0.0, moment - self.time())
            due = [wait for wait in self._waits if wait.until is not None and wait.until <= moment]
        _wake(due)


def _wake(waits: Iterable[_Wait]) -> None:
    for wait in waits:
        with wait.condition:
            wait.condition.notify_all()
