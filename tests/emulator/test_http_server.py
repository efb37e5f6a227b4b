from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from emulator.forwarding import Response
from emulator.server import Emulator

HOST = "sum-123456789012.europe-west1.run.app"


@pytest.fixture
def asked(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What Cloud Run was asked, which answers everything with a cookie or two."""
    calls: list[tuple[Any, ...]] = []

    def request(*arguments: Any, internal: bool) -> Response:
        calls.append((*arguments, internal))
        return Response(418, (("Set-Cookie", "a"), ("Set-Cookie", "b"), ("Transfer-Encoding", "chunked")), b"tea")

    monkeypatch.setattr(emulator.world.cloud_run, "request", request)
    return calls


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_request_for_a_service_comes_from_outside(
    emulator: Emulator, asked: list[tuple[Any, ...]], method: str
) -> None:
    connection = http.client.HTTPConnection(emulator.address, timeout=5)
    connection.request(method, f"/{HOST}/a%20b?c=d", b"body", {"X-Test": "x"})
    response = connection.getresponse()
    body = response.read()
    connection.close()

    assert (response.status, body) == (418, b"" if method == "HEAD" else b"tea")
    assert response.headers.get_all("Set-Cookie") == ["a", "b"]
    host, its_method, path, headers, its_body, internal = asked[0]
    assert (host, its_method, path, its_body, internal) == (HOST, method, "/a%20b?c=d", b"body", False)
    assert headers["x-test"] == "x"


def test_a_body_in_chunks_is_joined(emulator: Emulator, asked: list[tuple[Any, ...]]) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"first "
        yield b"second"

    connection = http.client.HTTPConnection(emulator.address, timeout=5)
    connection.request("POST", f"/{HOST}/", chunks(), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    connection.getresponse().read()
    connection.close()

    assert asked[0][4] == b"first second"


def test_one_connection_serves_several_requests(emulator: Emulator) -> None:
    connection = http.client.HTTPConnection(emulator.address, timeout=5)
    for _ in range(3):
        connection.request("GET", "/emulator/requests")
        assert json.loads(connection.getresponse().read()) == []
    connection.close()


def test_a_slow_client_is_waited_for(emulator: Emulator) -> None:
    host, _, port = emulator.address.partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as client:
        for part in (b"P", b"OST /emulator/runs HT", b"TP/1.0\r\nContent-Length: 2\r\n\r\n", b"{}"):
            client.sendall(part)
        answer = b"".join(iter(lambda: client.recv(65536), b""))

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"GITHUB_SHA" in answer


def test_a_push_reaches_cloud_build(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed = []
    monkeypatch.setattr(emulator.world.cloud_build, "push", lambda *arguments: pushed.append(arguments))
    connection = http.client.HTTPConnection(emulator.address, timeout=5)
    body = {"repository": "a/b", "ref": "refs/heads/main", "sha": "0" * 40}
    connection.request("POST", "/emulator/push", json.dumps(body))

    assert connection.getresponse().status == 200
    assert pushed == [("a/b", "refs/heads/main", "0" * 40)]
    connection.close()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/www.googleapis.com/oauth2/v3/certs", 200),
        ("/www.googleapis.com/other", 404),
        ("/token.actions.githubusercontent.com/.well-known/jwks", 200),
        ("/token.actions.githubusercontent.com/other", 404),
        ("/token.actions.githubusercontent.com/1/idtoken", 401),
        ("/sts.googleapis.com/v1/token", 404),
    ],
)
def test_keys_are_public_and_tokens_are_not(emulator: Emulator, path: str, status: int) -> None:
    connection = http.client.HTTPConnection(emulator.address, timeout=5)
    connection.request("GET", path)

    assert connection.getresponse().status == status
    connection.close()


def test_a_failure_of_the_emulator_itself_is_an_answer_too(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(emulator.world.cloud_build, "push", fail)
    connection = http.client.HTTPConnection(emulator.address, timeout=5)
    connection.request("POST", "/emulator/push", json.dumps({"repository": "a/b", "ref": "r", "sha": "s"}))
    response = connection.getresponse()

    assert (response.status, json.loads(response.read())["error"]["message"]) == (500, "emulator: ZeroDivisionError()")
    connection.close()
