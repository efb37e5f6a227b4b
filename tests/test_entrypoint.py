"""The process that the container runs, as the runner starts and stops it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.server import Emulator
from emulator.world import WorldSettings
from tests.runs import Job

ROOT = Path(__file__).parent.parent
SECONDS_TO_STOP = 5.0


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    """A job whose deployment hangs for a minute, while its image repository is made."""
    seconds = {"artifact_registry create": 60.0}
    with Emulator(WorldSettings(state=tmp_path / "state", cache=tmp_path / "cache", seconds=seconds)) as emulator:
        workspace = tmp_path / "workspace"
        workspace.mkdir()
        (workspace / "octue.yaml").write_text("name: sum-service\nproject_name: my-project\nregion: europe-west1\n")
        (workspace / "Dockerfile").write_text("FROM python:3.11-slim\n")
        job = Job(emulator, workspace)
        job.commit()
        yield job


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_run_ends_at_once_and_says_so(job: Job, number: signal.Signals) -> None:
    command = [sys.executable, "-E", "-s", str(ROOT / "entrypoint.py")]
    environment = job.environment(sha=job.commit({"a": "1"}))
    with subprocess.Popen(command, env=environment, cwd=job.workspace, stdout=subprocess.PIPE, text=True) as process:
        while not any(request.method.endswith("/CreateRepository") for request in job.world.requests):
            assert process.poll() is None
            time.sleep(0.05)
        start = time.monotonic()
        process.send_signal(number)
        output, _ = process.communicate(timeout=SECONDS_TO_STOP)

    assert time.monotonic() - start < SECONDS_TO_STOP
    assert process.returncode == 128 + number
    assert "Cancelled." in output
    assert "Traceback" not in output
