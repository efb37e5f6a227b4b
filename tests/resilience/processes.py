"""The action as a process of its own in a cloud, and what happens to it at one of its requests."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from emulator.errors import ApiError
from emulator.faults import Fault
from tests.resilience.clouds import Cloud, succeeded
from tests.resilience.worlds import Moment, Worlds, moments_of
from tests.runs import ROOT

COMMAND = [sys.executable, "-E", "-s", str(ROOT / "entrypoint.py")]
AT_ONCE = 4
"""How many processes at a time: each waits, by the machine's time, much longer than it works."""


@dataclass(frozen=True, kw_only=True)
class Event(Fault):
    """Something that happens when a call has come in, before it is carried out and rightly answered.

    :param happens: does it.
    """

    happens: Callable[[], None]

    def __str__(self) -> str:
        return f"event at {self.method}, call {self.skip + 1}"

    def refusal(self, method: str, project_number: str) -> ApiError | None:  # noqa: ARG002 - as any fault's
        self.happens()
        return None


@functools.cache
def moments(worlds: Worlds) -> list[Moment]:
    """The requests of a process that nothing disturbs: its time is the machine's, and so it asks less often."""
    with worlds.fresh("empty") as cloud:
        run = cloud.job.step(sha=cloud.commit, event_name="workflow_dispatch")
        succeeded(run)
        return moments_of(run)


def start(cloud: Cloud) -> subprocess.Popen[str]:
    """Start the action as the container does."""
    environment = cloud.environment()
    cloud.job.empty_files()
    pipe = subprocess.PIPE
    return subprocess.Popen(COMMAND, env=environment, cwd=cloud.job.workspace, stdout=pipe, stderr=pipe, text=True)


def at(moment: Moment, happens: Callable[[], None], seconds: float = 0.001) -> Event:
    """Let something happen when a request comes in.

    :param seconds: how long its answer takes then, by the machine's time.
    """
    return Event(method=moment.method, skip=moment.occurrence - 1, happens=happens, late_seconds=seconds)
