"""The process that the container runs, as the runner starts and stops it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from emulator.faults import Fault
from emulator.server import Emulator
from emulator.world import WorldSettings
from tests.runs import Job, Run

ROOT = Path(__file__).parent.parent
COMMAND = [sys.executable, "-E", "-s", str(ROOT / "entrypoint.py")]
SECONDS_TO_STOP = 5.0

Slow = Callable[[str], Job]


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Slow]:
    """Gives a job whose deployment hangs for a minute in an operation."""
    emulators: list[Emulator] = []

    def begin(operation: str) -> Job:
        emulator = Emulator(
            WorldSettings(state=tmp_path / "state", cache=tmp_path / "cache", seconds={operation: 60.0})
        )
        emulators.append(emulator.__enter__())
        workspace = tmp_path / "workspace"
        workspace.mkdir()
        (workspace / "octue.yaml").write_text("name: sum-service\nproject_name: my-project\nregion: europe-west1\n")
        (workspace / "Dockerfile").write_text("FROM python:3.11-slim\n")
        job = Job(emulator, workspace)
        job.commit()
        return job

    yield begin
    for emulator in emulators:
        emulator.__exit__(None, None, None)


def start(job: Job, environment: Mapping[str, str], command: Sequence[str] = COMMAND) -> subprocess.Popen[str]:
    job.empty_files()
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, cwd=job.workspace, stdout=pipe, stderr=pipe, text=True)


def stop(job: Job, process: subprocess.Popen[str], number: signal.Signals) -> tuple[Run, float]:
    """Send a signal, and give what the run leaves behind, and how many seconds it took to end."""
    begin = time.monotonic()
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=2 * SECONDS_TO_STOP)
    return job.read(process.returncode, stdout, stderr, 0), time.monotonic() - begin


@contextlib.contextmanager
def asking_a_silent_server(job: Job) -> Iterator[subprocess.Popen[str]]:
    """The action, once it has asked for GitHub's token and gets no answer."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/token?a=b"
        process = start(job, {**job.environment(), "ACTIONS_ID_TOKEN_REQUEST_URL": url})
        silent.accept()
        yield process


def cancel(job: Job, method: str, number: signal.Signals) -> tuple[Run, float]:
    """Start the action, and stop it as soon as it has called a method."""
    process = start(job, job.environment({"image": "europe-docker.pkg.dev/my-project/images/sum:1"}))
    while not any(method in request.method for request in list(job.world.requests)):
        assert process.poll() is None
        time.sleep(0.01)
    return stop(job, process, number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("method", ["Services/CreateService", "/WaitOperation"])
def test_a_cancelled_run_begins_nothing_new_and_tells_what_google_cloud_goes_on_with(
    slow: Slow, method: str, number: signal.Signals
) -> None:
    job = slow("cloud_run create")

    run, seconds = cancel(job, method, number)

    assert seconds < SECONDS_TO_STOP
    assert run.code == 128 + number
    assert run.stderr == ""
    assert "the deployment was cancelled" in run.summary
    assert "still being created in Google Cloud" in run.summary
    assert "not begun" in run.summary
    assert [annotation.title for annotation in run.log.of_kind("warning")] == ["Cancelled"]
    assert not any(method.endswith("/CreateTrigger") for method in run.writes)
    assert run.outputs["changed"] == "true"
    assert run.outputs["topic_name"].startswith("projects/my-project/topics/octue.services.")


def test_what_google_cloud_goes_on_with_counts_as_changed(slow: Slow) -> None:
    job = slow("cloud_run update")
    image = "europe-docker.pkg.dev/my-project/images/sum"
    job.step({"image": f"{image}:1"})
    begin = len(job.world.requests)
    process = start(job, job.environment({"image": f"{image}:1", "memory": "1Gi"}))
    while not any("/WaitOperation" in request.method for request in list(job.world.requests)[begin:]):
        assert process.poll() is None
        time.sleep(0.01)
    run, _ = stop(job, process, signal.SIGINT)

    assert "still being changed in Google Cloud" in run.summary
    assert run.outputs["changed"] == "true"


@pytest.mark.parametrize("method", ["/GetIdToken", "/ExchangeToken", "/GenerateAccessToken", "/GetService"])
def test_a_run_that_is_cancelled_before_it_changes_anything_says_so(slow: Slow, method: str) -> None:
    job = slow("cloud_run create")
    # Else the plan may be made, and its first change begun, before the signal comes.
    job.world.faults.add(Fault(method="google.cloud.run.v2.Services/GetService", late_seconds=3.0))

    run, seconds = cancel(job, method, signal.SIGINT)

    assert seconds < SECONDS_TO_STOP
    assert run.code == 128 + signal.SIGINT
    assert "Nothing was changed." in run.summary
    assert run.writes == []


def test_a_run_that_does_not_end_by_itself_is_ended(slow: Slow) -> None:
    """GitHub's server is asked for a token, and is silent: nothing wakes the thread that listens to it."""
    job = slow("cloud_run create")
    with asking_a_silent_server(job) as process:
        run, seconds = stop(job, process, signal.SIGINT)

    assert seconds < SECONDS_TO_STOP
    assert run.code == 128 + signal.SIGINT
    assert "The run was cancelled" in run.summary
    assert run.writes == []


def test_a_run_whose_log_nobody_reads_still_ends_and_tells(slow: Slow) -> None:
    job = slow("cloud_run create")
    job.empty_files()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"." * 1024)
    os.set_blocking(writing, True)
    process = subprocess.Popen(COMMAND, env=job.environment(), cwd=job.workspace, stdout=writing)
    time.sleep(1.0)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)

    assert process.wait(2 * SECONDS_TO_STOP) == 128 + signal.SIGINT
    assert time.monotonic() - begin < SECONDS_TO_STOP
    assert "The run was cancelled" in (job.files / "summary").read_text()
    os.close(reading)
    os.close(writing)


def test_a_run_ends_where_there_is_no_sigtimedwait_as_on_macos(slow: Slow) -> None:
    job = slow("cloud_run create")
    script = f"import runpy, signal; del signal.sigtimedwait; runpy.run_path({COMMAND[-1]!r}, run_name='__main__')"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/token?a=b"
        command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {script}"]
        process = start(job, {**job.environment(), "ACTIONS_ID_TOKEN_REQUEST_URL": url}, command)
        silent.accept()
        run, seconds = stop(job, process, signal.SIGINT)

    assert seconds < SECONDS_TO_STOP
    assert run.code == 128 + signal.SIGINT
    assert run.stderr == ""


def test_a_run_whose_time_is_over_is_ended_whatever_it_waits_for() -> None:
    """As for a server that drips its answer: each byte is in time, and the whole never ends."""
    script = """
import time
from octue_action.cancellation import Cancellation
cancellation = Cancellation.by_signals()
cancellation.cut = lambda: print("cut", flush=True)
cancellation.tell = lambda: print(cancellation.ended, flush=True)
cancellation.limit(0.3)
time.sleep(60)
"""
    begin = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)

    assert time.monotonic() - begin < SECONDS_TO_STOP
    assert ended.returncode == 1
    assert ended.stdout.splitlines() == ["cut", "took longer than the 0.005 minutes it may take"]


def test_each_further_signal_ends_one_wait(slow: Slow) -> None:
    job = slow("cloud_run create")
    with asking_a_silent_server(job) as process:
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
        _, seconds = stop(job, process, signal.SIGTERM)

    assert seconds < 1.0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells which signals are held back")
def test_a_signal_at_the_very_beginning_is_not_lost(slow: Slow) -> None:
    """Importing takes its time, and process 1 of a container is spared signals that nobody waits for."""
    job = slow("cloud_run create")
    process = start(job, job.environment())
    while not held_back(process.pid) >> (signal.SIGTERM - 1) & 1:
        assert process.poll() is None
    run, seconds = stop(job, process, signal.SIGTERM)

    assert seconds < SECONDS_TO_STOP
    assert run.code == 128 + signal.SIGTERM
    assert run.requests == ()


def held_back(pid: int) -> int:
    """The set of signals that a process holds back, one bit for each."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"^SigBlk:\s*(\w+)", status, re.MULTILINE)[0], 16)
