"""Google's own Pub/Sub emulator, where this machine has it, to hold ours against."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

START_SECONDS = 60


def _command() -> list[str]:
    """How Google's emulator is started here, or a skipped test that says what is missing."""
    gcloud, java = shutil.which("gcloud"), shutil.which("java")
    if gcloud is None or java is None:
        pytest.skip(f"NOT COMPARED with Google's Pub/Sub emulator: no {'java' if gcloud else 'gcloud'} on this machine")
    root = subprocess.run(
        [gcloud, "info", "--format=value(installation.sdk_root)"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout.strip()
    jars = sorted(Path(root, "platform", "pubsub-emulator", "lib").glob("cloud-pubsub-emulator-*.jar"))
    if not jars:
        pytest.skip("NOT COMPARED with Google's Pub/Sub emulator: gcloud has no component pubsub-emulator here")
    return [java, "-jar", str(jars[-1])]


@pytest.fixture
def google_address() -> Iterator[str]:
    command = _command()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [*command, "--host=127.0.0.1", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        address = f"127.0.0.1:{port}"
        with grpc.insecure_channel(address) as channel:
            grpc.channel_ready_future(channel).result(timeout=START_SECONDS)
        yield address
    finally:
        process.kill()
        process.wait()
