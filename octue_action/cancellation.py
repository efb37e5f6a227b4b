"""The end of a run before its time: somebody cancels the workflow, or it takes longer than it may.

GitHub's runner then sends SIGINT, SIGTERM 7.5 seconds later, and kills what is left 2.5 seconds after that
(actions/runner, ``ProcessInvoker.cs``). What Google Cloud has begun cannot be called back; so nothing new is begun,
what was done is told, and the next run finishes the rest.
"""

from __future__ import annotations

import datetime
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from octue_action.clock import Clock

SIGNALS = (signal.SIGINT, signal.SIGTERM)

GRACE_SECONDS = 1.0
"""How long requests that are under way may still be answered: most are within half a second."""

CUT_SECONDS = 2.0
"""How long the run then has to tell what it knows, its connections being closed."""

LAST_SECONDS = 1.0
"""How long telling what is known may take, before the process ends whatever it does."""

SHORTEST_SECONDS = 0.1
"""What a request is given when no time is left."""

POLL_SECONDS, POLL_SHARE = 0.2, 0.06
"""The pause between two looks at something that takes its time: so many seconds, or that share of what has passed.

It ends somewhere within a pause: so to notice that costs 100 ms or 3 % on average, whatever it is and takes.
"""

FIRST_POLL_SECONDS, FIRST_POLL_GROWTH = 0.005, 5.0
"""The first pause, and by how much the next ones are longer until they are those above."""

TOO_LONG = 1
"""Exit code of a run that has taken longer than it may."""


class Cancelled(BaseException):
    """The run has been cancelled; as an exit is, so is this no error that anything but the end of the run deals with.

    :param begun: whether something that Google Cloud goes on with was under way or waited for.
    """

    def __init__(self, *, begun: bool = False) -> None:
        super().__init__("The run was cancelled.")
        self.begun = begun


class Cancellation:
    """Somebody's wish that the run ends, for several threads; whoever waits for anything waits here.

    :param clock: by which is waited; the machine's unless given.

    ``cut`` and ``tell`` are called from another thread when a run does not end by itself: the one closes connections,
    the other tells people what is known when even that has not helped.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._asked = threading.Event()
        self._seconds = self._end = math.inf
        self._ends_process = False
        self.ended = "was cancelled"
        """How the run ended, behind "The run": for people."""
        self.exit_code = 0
        self.cut: Callable[[], None] = lambda: None
        self.tell: Callable[[], None] = lambda: None

    @classmethod
    def by_signals(cls) -> Cancellation:
        """A cancellation that comes with the first SIGINT or SIGTERM, and sees to it that the process ends soon after.

        So it does when the run's time is over, whatever it may wait for then, as an answer that comes byte by byte.
        To be made before any other thread: signals are held back in all of them, and one waits for them. So none
        interrupts a thread at a moment when it holds something, and process 1 of a container, which the kernel spares
        signals that it has no handler for, gets them.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        cancellation = cls()
        cancellation._ends_process = True
        threading.Thread(target=cancellation._wait_for_signal, daemon=True, name="signals").start()
        return cancellation

    @property
    def asked(self) -> bool:
        """Whether the run is to end."""
        return self._asked.is_set()

    def ask(self, number: signal.Signals = signal.SIGINT) -> None:
        """Have the run end.

        :param number: the signal that says so; the exit code follows from it, as a shell has it.
        """
        self.exit_code = 128 + number
        self._asked.set()

    def limit(self, seconds: float) -> None:
        """Have the run end when so many seconds have passed, with the exit code of a failure."""
        self._seconds, self._end = seconds, self.now() + seconds
        if self._ends_process:
            _after(seconds, self._end_overdue)

    @property
    def too_long(self) -> bool:
        """Whether the run is to end as it has taken longer than it may."""
        return self.asked and self.exit_code == TOO_LONG

    def now(self) -> float:
        """Seconds on the clock by which is waited."""
        return self._clock.now()

    def date(self) -> datetime.datetime:
        """The day and its time on that clock, in UTC."""
        return self._clock.date()

    def left(self) -> float:
        """How many seconds there are until the run must end; infinity where it has no limit."""
        return self._end - self.now()

    def within(self, seconds: float) -> float:
        """So many seconds, or as few as are left: the deadline of a request, which must not be zero."""
        return max(SHORTEST_SECONDS, min(seconds, self.left()))

    def check(self) -> None:
        """Go on only where the run is not to end.

        :raises Cancelled: where it is.
        """
        if self.left() <= 0:
            self._end_in_time()
        if self.asked:
            raise Cancelled

    def pause(self, seconds: float) -> None:
        """Wait, at most until the run is to end.

        :raises Cancelled: where it is.
        """
        self._clock.wait(self._asked, min(seconds, max(0.0, self.left())))
        self.check()

    def poll(
        self,
        seconds: float,
        *,
        first: float = FIRST_POLL_SECONDS,
        growth: float | None = None,
        most: float = 10.0,
        at_once: bool = True,
    ) -> Iterator[None]:
        """Yield again and again after growing pauses, until that many seconds have passed.

        :param seconds: how long in all.
        :param first: the first pause in seconds.
        :param growth: by which each next one is longer; None where they are soon those of ``POLL_SECONDS``.
        :param most: the longest pause in seconds.
        :param at_once: whether to yield before the first pause, too; needless for what has only just begun.
        :raises Cancelled: where the run is to end first.
        """
        start, length = self.now(), first
        if at_once:
            yield
        while self.now() + length <= start + seconds:
            self.pause(length)
            yield
            usual = max(POLL_SECONDS, POLL_SHARE * (self.now() - start))
            longer = length * growth if growth is not None else min(length * FIRST_POLL_GROWTH, usual)
            length = min(longer, most)

    def _wait_for_signal(self) -> NoReturn:
        self.ask(signal.Signals(signal.sigwait(SIGNALS)))
        self._end_process()

    def _end_overdue(self) -> NoReturn:
        self._end_in_time()
        self._end_process()

    def _end_in_time(self) -> None:
        if not self.asked:
            self.exit_code, self.ended = TOO_LONG, f"took longer than the {self._seconds / 60:g} minutes it may take"
            self._asked.set()

    def _end_process(self) -> NoReturn:
        _after(GRACE_SECONDS + CUT_SECONDS + LAST_SECONDS, os._exit, self.exit_code)
        # Each further signal is from somebody who does not want to wait.
        _wait_for_another(GRACE_SECONDS)
        self.cut()
        _wait_for_another(CUT_SECONDS)
        self.tell()
        os._exit(self.exit_code)


def _after(seconds: float, call: Callable[..., object], *arguments: Any) -> None:
    """Call something after so many seconds, unless the process has ended by then."""
    timer = threading.Timer(seconds, call, arguments)
    timer.daemon = True
    timer.start()


def _wait_for_another(seconds: float) -> None:
    """Wait so long, or until there is another signal, as ``sigtimedwait`` does, which macOS lacks."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if signal.sigpending() & set(SIGNALS):
            signal.sigwait(SIGNALS)
            return
        time.sleep(0.02)
