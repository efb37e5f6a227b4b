"""Somebody cancels the workflow, at any moment of a deployment: the container is gone soon, and nothing is lost."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from emulator.faults import Fault
from tests.container.conftest import Begin
from tests.container.jobs import ContainerJob
from tests.github_runner import Running, StepResult

SECONDS = 5.0

NOTHING, GOES_ON = "Nothing was changed.", "still being created in Google Cloud"

MOMENTS = {
    "signing in": ("/ExchangeToken", NOTHING),
    "planning": ("Services/GetService", NOTHING),
    "making the image repository": ("/CreateRepository", GOES_ON),
    "starting a build": ("/RunBuildTrigger", GOES_ON),
    "waiting for a build": ("CloudBuild/GetBuild", GOES_ON),
    "making the service": ("Services/CreateService", GOES_ON),
    "waiting for the service": ("/WaitOperation", GOES_ON),
    "making the trigger": ("Eventarc/CreateTrigger", GOES_ON),
}
"""What the action has just asked for, and what its summary says when it is cancelled then."""

HOUR = 3600.0
OPERATIONS = {
    "making the image repository": "artifact_registry_to_create",
    "starting a build": "cloud_build_to_build",
    "waiting for a build": "cloud_build_to_build",
    "making the service": "cloud_run_to_create",
    "waiting for the service": "cloud_run_to_create",
    "making the trigger": "eventarc_to_create",
}


def begin_at(begin: Begin, moment: str) -> ContainerJob:
    """A job whose deployment does not get past a moment: the operation that is waited for then takes an hour."""
    return begin(**({OPERATIONS[moment]: HOUR} if moment in OPERATIONS else {}))


def by_the_runner(running: Running) -> None:
    """As GitHub's runner does it, which sends SIGINT first."""
    running.cancel()


def by_sigterm(running: Running) -> None:
    """As an engine does it that is stopped."""
    running.send(signal.SIGTERM)


def hold(run: StepResult, code: int, told: str) -> None:
    """Hold what is so of every run that was cancelled."""
    assert run.exit_code == code
    assert not run.container_remains
    assert "cancelled" in (run.summary or "")
    assert told in (run.summary or "")
    assert not run.log.failed, "no file for the runner is malformed"
    assert not any("Traceback" in line.text for line in run.lines)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("cancel", [by_the_runner, by_sigterm])
def test_a_cancelled_deployment_is_told_of_and_the_next_run_finishes_it(
    begin: Begin, moment: str, cancel: Callable[[Running], None]
) -> None:
    job = begin_at(begin, moment)
    method, told = MOMENTS[moment]
    if moment == "planning":  # which is over sooner than a signal comes
        job.world.faults.add(Fault(method="google.cloud.run.v2.Services/GetService", late_seconds=2.0))
    # Should a signal go unheard, the step's own time is soon over.
    running = job.start(replace(job.step(), timeout_minutes=0.2))
    job.wait_for(method)

    start = time.monotonic()
    cancel(running)
    cancelled = running.wait()
    seconds = time.monotonic() - start
    job.world.clock.advance(HOUR)
    finished = job.run(job.step())
    seen = len(job.world.requests)
    repeated = job.run(job.step())

    assert seconds < SECONDS
    hold(cancelled, 130 if cancel is by_the_runner else 143, told)
    assert finished.conclusion == repeated.conclusion == "success", finished.log.text
    assert not any(request.writes for request in list(job.world.requests)[seen:])
    look = job.look()
    assert [len(look[kind][of]) for kind, of in (("services", "services"), ("topics", "topics"))] == [1, 1]
    assert len(look["builds"]["builds"]) == 1


def test_a_run_that_is_cancelled_at_once_ends_with_the_runners_second_signal_at_the_latest(job: ContainerJob) -> None:
    """Until Python has started, which takes some 30 ms, the kernel keeps signals from a container's first process."""
    running = job.start(job.step())

    running.cancel()
    run = running.wait()

    assert run.cancellation is not None
    assert run.cancellation.signal in {"SIGINT", "SIGTERM"}
    assert not run.container_remains
    assert not any(request.writes for request in job.world.requests)
