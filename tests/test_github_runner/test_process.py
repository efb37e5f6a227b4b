from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.github_runner import process
from tests.github_runner.process import Process
from tests.github_runner.step import Line

IGNORE = """
import signal, sys, time
for name in sys.argv[1:]:
    signal.signal(getattr(signal, name), signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""


class Started:
    """A Python process, and its lines so far."""

    def __init__(self, folder: Path, code: str, *arguments: str) -> None:
        self.lines: list[Line] = []
        self.process = Process([sys.executable, "-c", code, *arguments], os.environ, folder, self.lines.append)

    def wait_for_line(self) -> None:
        deadline = time.monotonic() + 30
        while not self.lines and time.monotonic() < deadline:
            time.sleep(0.01)
        assert self.lines


@pytest.fixture
def short_ladder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "SIGINT_SECONDS", 0.3)
    monkeypatch.setattr(process, "SIGTERM_SECONDS", 0.2)


def test_the_rungs_are_those_of_the_runner() -> None:
    assert (process.SIGINT_SECONDS, process.SIGTERM_SECONDS) == (7.5, 2.5)


@pytest.mark.usefixtures("short_ladder")
@pytest.mark.parametrize(
    ("ignored", "last", "seconds"),
    [((), "SIGINT", 0), (("SIGINT",), "SIGTERM", 0.3), (("SIGINT", "SIGTERM"), "SIGKILL", 0.5)],
)
def test_a_process_gets_one_signal_after_the_other(
    tmp_path: Path, ignored: tuple[str, ...], last: str, seconds: float
) -> None:
    started = Started(tmp_path, IGNORE, *ignored)
    started.wait_for_line()
    started.process.cancel()
    started.process.cancel()  # once is enough
    code = started.process.wait()
    assert started.process.cancellation is not None
    assert started.process.cancellation.signal == last
    assert seconds <= started.process.cancellation.seconds < seconds + 5
    assert code == -signal.Signals[last]


def test_a_process_that_has_ended_is_not_cancelled(tmp_path: Path) -> None:
    started = Started(tmp_path, "pass")
    assert started.process.wait() == 0
    started.process.cancel()
    assert started.process.cancellation is None


def test_lines_arrive_when_they_are_written_and_from_both_streams(tmp_path: Path) -> None:
    code = """
import sys, time
for text, stream in (("one\\r\\ntwo\\rthree", sys.stdout), ("\\xe9", sys.stderr), ("end", sys.stdout)):
    stream.write(text + "\\n"); stream.flush(); time.sleep(0.3)
"""
    started = Started(tmp_path, code)
    started.process.wait()
    assert [(line.stream, line.text) for line in started.lines] == [
        ("stdout", "one"),
        ("stdout", "two"),
        ("stdout", "three"),
        ("stderr", "é"),
        ("stdout", "end"),
    ]
    assert started.lines[-1].seconds - started.lines[0].seconds > 0.5
    assert started.process.seconds > started.lines[-1].seconds


def test_bytes_that_are_no_utf_8_are_replaced(tmp_path: Path) -> None:
    started = Started(tmp_path, "import os; os.write(1, b'\\xef\\xbb\\xbfa\\xffb')")
    started.process.wait()
    assert [line.text for line in started.lines] == ["a\N{REPLACEMENT CHARACTER}b"]
