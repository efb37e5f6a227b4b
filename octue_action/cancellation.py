"""The end of a run before its time: somebody cancels the workflow.

GitHub's runner then sends SIGINT, SIGTERM 7.5 seconds later, and kills what is left 2.5 seconds after that
(actions/runner, ``ProcessInvoker.cs``). What Google Cloud has begun cannot be called back; so nothing new is begun,
what was done is told, and the next run finishes the rest.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)

GRACE_SECONDS = 1.0
"""How long requests that are under way may still be answered: most are within half a second."""

CUT_SECONDS = 2.0
"""How long the run then has to tell what it knows, its connections being closed."""

LAST_SECONDS = 1.0
"""How long telling what is known may take, before the process ends whatever it does."""


class Cancelled(BaseException):
    """The run has been cancelled; as an exit is, so is this no error that anything but the end of the run deals with.

    :param begun: whether something that Google Cloud goes on with was under way or waited for.
    """

    def __init__(self, *, begun: bool = False) -> None:
        super().__init__("The run was cancelled.")
        self.begun = begun


class Cancellation:
    """Somebody's wish that the run ends, for several threads.

    ``cut`` and ``tell`` are called from another thread when a run does not end by itself: the one closes connections,
    the other tells people what is known when even that has not helped.
    """

    def __init__(self) -> None:
        self._asked = threading.Event()
        self.exit_code = 0
        self.cut: Callable[[], None] = lambda: None
        self.tell: Callable[[], None] = lambda: None

    @classmethod
    def by_signals(cls) -> Cancellation:
        """A cancellation that comes with the first SIGINT or SIGTERM, and sees to it that the process ends soon after.

        To be made before any other thread: signals are held back in all of them, and one waits for them. So none
        interrupts a thread at a moment when it holds something, and process 1 of a container, which the kernel spares
        signals that it has no handler for, gets them.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        cancellation = cls()
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

    def check(self) -> None:
        """Go on only where the run is not to end.

        :raises Cancelled: where it is.
        """
        if self.asked:
            raise Cancelled

    def pause(self, seconds: float) -> None:
        """Wait, at most until the run is to end.

        :raises Cancelled: where it is.
        """
        if self._asked.wait(seconds):
            raise Cancelled

    def _wait_for_signal(self) -> NoReturn:
        number = signal.Signals(signal.sigwait(SIGNALS))
        self.ask(number)
        last = threading.Timer(GRACE_SECONDS + CUT_SECONDS + LAST_SECONDS, os._exit, (self.exit_code,))
        last.daemon = True
        last.start()
        # Each further signal is from somebody who does not want to wait.
        _wait_for_another(GRACE_SECONDS)
        self.cut()
        _wait_for_another(CUT_SECONDS)
        self.tell()
        os._exit(self.exit_code)


def _wait_for_another(seconds: float) -> None:
    """Wait so long, or until there is another signal, as ``sigtimedwait`` does, which macOS lacks."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if signal.sigpending() & set(SIGNALS):
            signal.sigwait(SIGNALS)
            return
        time.sleep(0.02)
