"""What a machine may have beside Python: a Docker engine, and Google's own Pub/Sub emulator to hold ours against."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

START_SECONDS = 60
DOCKERFILE = Path(__file__).parent.parent / "Dockerfile"


@pytest.fixture(scope="session")
def engine() -> str:
    """A Docker engine that answers: the name of the image that the action's is built on there.

    ``ACTION_BASE_IMAGE`` names a stand-in where the engine reaches no registry. With ``REQUIRE_ENGINE`` a machine
    without an engine is a failure and not a skip.
    """
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True, check=False).returncode:
        if os.environ.get("REQUIRE_ENGINE"):
            pytest.fail("No Docker engine answers, and REQUIRE_ENGINE is set")
        pytest.skip("NOT TESTED IN A CONTAINER: no Docker engine answers on this machine; .ci/engine makes one")
    base = re.search(r"^ARG BASE_IMAGE=(\S+)", DOCKERFILE.read_text(), re.MULTILINE)
    assert base is not None
    return os.environ.get("ACTION_BASE_IMAGE", base[1])


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
