"""The Docker client as a process, its lines as they arrive, and how the runner cancels it: ``ProcessInvoker.cs``."""

from __future__ import annotations

import io
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from tests.github_runner.step import Cancellation, Line

SIGINT_SECONDS = 7.5
SIGTERM_SECONDS = 2.5
STREAM_SECONDS = 5


class Process:
    """A process that was started.

    :param on_line: is given each line when it arrives, one at a time.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        on_line: Callable[[Line], None],
    ) -> None:
        self._on_line = on_line
        self._lock = threading.Lock()
        self._ladder: threading.Thread | None = None
        self._signal = ""
        self._cancelled_at = 0.0
        self._ended_at = 0.0
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C at the tests' terminal is not for it
        )
        self._threads = [
            self._thread(lambda: self._read("stdout", self._process.stdout)),
            self._thread(lambda: self._read("stderr", self._process.stderr)),
            self._thread(self._watch),
        ]

    @property
    def seconds(self) -> float:
        """From start to end."""
        return self._ended_at - self._started_at

    @property
    def cancellation(self) -> Cancellation | None:
        """How it ended where it was cancelled."""
        return Cancellation(self._signal, max(0.0, self._ended_at - self._cancelled_at)) if self._signal else None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def cancel(self) -> None:
        """Begin to end it: SIGINT, SIGTERM 7.5 s later, SIGKILL 2.5 s after that. Does not wait."""
        with self._lock:
            if self._ladder is None and self._process.poll() is None:
                self._cancelled_at = time.monotonic()
                self._ladder = self._thread(self._climb)

    def wait(self) -> int:
        """Wait for its end and its last lines, and give its exit code."""
        code = self._process.wait()
        for thread in self._threads:
            thread.join(STREAM_SECONDS)
        if self._ladder is not None:
            self._ladder.join()
        return code

    def _climb(self) -> None:
        for number, seconds in ((signal.SIGINT, SIGINT_SECONDS), (signal.SIGTERM, SIGTERM_SECONDS)):
            self._send_in_turn(number)
            try:
                self._process.wait(seconds)
                return
            except subprocess.TimeoutExpired:
                continue
        self._send_in_turn(signal.SIGKILL)

    def _send_in_turn(self, number: signal.Signals) -> None:
        self._signal = number.name
        self.send(number)

    def _watch(self) -> None:
        self._process.wait()
        self._ended_at = time.monotonic()

    def _read(self, name: str, stream: IO[bytes] | None) -> None:
        assert isinstance(stream, io.BufferedReader)  # as both are pipes
        with io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline=None) as lines:
            for line in lines:
                with self._lock:
                    self._on_line(Line(name, line.removesuffix("\n"), time.monotonic() - self._started_at))

    @staticmethod
    def _thread(target: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=target, daemon=True)
        thread.start()
        return thread
