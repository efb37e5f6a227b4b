from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from emulator.server import Emulator
from emulator.world import World, WorldSettings
from tests.rights import let

MAIN = "refs/heads/main"


@pytest.fixture
def settings(tmp_path: Path) -> WorldSettings:
    return WorldSettings(state=tmp_path / "state", cache=tmp_path / "cache", idle_seconds=1)


@pytest.fixture
def emulator(settings: WorldSettings) -> Iterator[Emulator]:
    with Emulator(settings) as emulator:
        let(emulator.world, "user:a@example.com", emulator.world.sts.principal_set("ref", MAIN))
        yield emulator


@pytest.fixture
def world(settings: WorldSettings) -> Iterator[World]:
    """A world without a server, for tests that call its services directly."""
    world = World(settings)
    yield world
    world.close()


@pytest.fixture
def open_channel(emulator: Emulator) -> Iterator[Callable[[str], grpc.Channel]]:
    """Opens a gRPC channel with an access token, as the action does."""
    channels = []

    def open_channel(token: str) -> grpc.Channel:
        credentials = grpc.composite_channel_credentials(
            grpc.local_channel_credentials(), grpc.access_token_call_credentials(token)
        )
        channels.append(grpc.secure_channel(emulator.address, credentials))
        return channels[-1]

    yield open_channel
    for channel in channels:
        channel.close()


@pytest.fixture
def deployer_token(emulator: Emulator) -> str:
    return emulator.world.tokens.issue_access_token(f"serviceAccount:{emulator.world.iam.deployer}")


@pytest.fixture
def channel(open_channel: Callable[[str], grpc.Channel], deployer_token: str) -> grpc.Channel:
    return open_channel(deployer_token)
