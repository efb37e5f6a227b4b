from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from google.protobuf.empty_pb2 import Empty

from emulator.world import World, WorldSettings


class _Receiver(BaseHTTPRequestHandler):
    received: ClassVar[list[tuple[str, str | None, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.path, self.headers["X-Test"], body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        pass


@pytest.fixture
def receiver() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Receiver)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_message_is_delivered_to_a_server_on_this_machine(world: World, receiver: str) -> None:
    assert world.deliver(f"{receiver}/path?a=b", {"X-Test": "x"}, b"body") == 204
    assert _Receiver.received.pop() == ("/path?a=b", "x", b"body")


def test_a_message_for_a_service_goes_to_cloud_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def request(*arguments: Any, internal: bool) -> SimpleNamespace:
        asked.append((*arguments, internal))
        return SimpleNamespace(status=204)

    monkeypatch.setattr(world.cloud_run, "request", request)

    assert world.deliver("https://sum-123.europe-west1.run.app/?x=y", {}, b"body") == 204
    assert asked == [("sum-123.europe-west1.run.app", "POST", "/?x=y", {}, b"body", True)]


@pytest.mark.parametrize("url", ["https://example.com/", "http://example.com/", "http://127.0.0.1:1/", "nonsense"])
def test_nothing_is_delivered_elsewhere(world: World, url: str) -> None:
    assert world.deliver(url, {}, b"") == 502


def test_the_first_repository_is_trusted_unless_another_is_named(settings: WorldSettings, tmp_path: Path) -> None:
    several = replace(settings, repositories={"a/b": tmp_path, "c/d": tmp_path})

    assert settings.trusted == "my-org/my-repository"
    assert several.trusted == "a/b"
    assert replace(several, trusted_repository="c/d").trusted == "c/d"


def test_closing_a_world_ends_the_threads_that_it_began(settings: WorldSettings) -> None:
    before = set(threading.enumerate())
    world = World(replace(settings, leaps=True, seconds={"slow": 1000}))
    with world.clock.working():  # so that no time passes
        world.operations.start("one", "slow", Empty, metadata=Empty)
        own = set(threading.enumerate()) - before

        world.close()

    for thread in own:
        thread.join(5)
    assert own
    assert not any(thread.is_alive() for thread in own)


def test_the_time_of_a_world_leaps_where_it_is_told_to(settings: WorldSettings) -> None:
    world = World(replace(settings, leaps=True))
    began = world.clock.time()

    world.clock.sleep(300)

    world.close()
    assert world.clock.time() - began >= 300
