from __future__ import annotations

import base64
import http.client
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import iam_admin_v1, pubsub_v1
from google.cloud.iam_admin_v1.services.iam.transports import IAMGrpcTransport
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from emulator.server import Emulator
from emulator.world import WorldSettings

TOPIC = "projects/my-project/topics/questions"
ACCOUNTS = "projects/my-project/serviceAccounts"


def iam(channel: grpc.Channel) -> iam_admin_v1.IAMClient:
    return iam_admin_v1.IAMClient(transport=IAMGrpcTransport(channel=channel))


def request(emulator: Emulator, method: str, path: str, body: Any = None, token: str | None = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(emulator.address, timeout=10)
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    connection.request(method, path, json.dumps(body) if body is not None else None, headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


def test_one_port_answers_grpc_and_http(emulator: Emulator, channel: grpc.Channel, deployer_token: str) -> None:
    name = f"{ACCOUNTS}/deployer@my-project.iam.gserviceaccount.com"
    over_grpc = iam(channel).get_service_account(name=name)
    status, over_http = request(emulator, "GET", f"/iam.googleapis.com/v1/{name}", token=deployer_token)

    assert status == 200
    assert over_http["uniqueId"] == over_grpc.unique_id


def test_a_call_without_a_token_is_unauthenticated(emulator: Emulator) -> None:
    with grpc.insecure_channel(emulator.address) as channel, pytest.raises(exceptions.Unauthenticated, match="missing"):
        iam(channel).list_service_accounts(name="projects/my-project")


def test_a_call_with_a_bad_token_is_unauthenticated(open_channel: Callable[[str], grpc.Channel]) -> None:
    with pytest.raises(exceptions.Unauthenticated, match="invalid authentication credentials"):
        iam(open_channel("ya29.not-ours")).list_service_accounts(name="projects/my-project")


def test_an_expired_token_is_unauthenticated(emulator: Emulator, channel: grpc.Channel) -> None:
    emulator.world.clock.advance(3600)

    with pytest.raises(exceptions.Unauthenticated):
        iam(channel).list_service_accounts(name="projects/my-project")


@pytest.mark.parametrize("token", [None, "ya29.not-ours"])
def test_over_http_tokens_are_checked_too(emulator: Emulator, token: str | None) -> None:
    status, answer = request(emulator, "GET", f"/iam.googleapis.com/v1/{ACCOUNTS}", token=token)

    assert status == 401
    assert answer["error"]["status"] == "UNAUTHENTICATED"


def test_pubsub_clients_that_find_the_emulators_variable_need_no_token(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.address)
    with pubsub_v1.PublisherClient() as publisher:
        publisher.create_topic(name=TOPIC)
        assert publisher.publish(TOPIC, b"x").result(timeout=5)

    assert {call.principal for call in emulator.world.requests} == {"anonymous"}


def test_a_bad_token_is_refused_for_pubsub_too(emulator: Emulator) -> None:
    status, _ = request(emulator, "PUT", f"/pubsub.googleapis.com/v1/{TOPIC}", {}, token="ya29.not-ours")

    assert status == 401


def test_a_method_that_nothing_implements_is_unimplemented(channel: grpc.Channel) -> None:
    with pytest.raises(exceptions.MethodNotImplemented, match=r"google.iam.admin.v1.IAM/ListServiceAccountKeys"):
        iam(channel).list_service_account_keys(request={})


def test_a_refusal_has_its_details_over_grpc(channel: grpc.Channel) -> None:
    with pytest.raises(exceptions.Forbidden) as refusal:
        iam(channel).get_service_account(name="projects/other/serviceAccounts/a@other.iam.gserviceaccount.com")

    status = rpc_status.from_call(refusal.value.errors[0])
    detail = error_details_pb2.ErrorInfo()
    assert status is not None
    assert status.details[0].Unpack(detail)
    assert detail.reason == "IAM_PERMISSION_DENIED"


def test_a_failure_of_the_emulator_itself_is_internal(
    emulator: Emulator, channel: grpc.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(emulator.world.iam, "find", fail)

    with pytest.raises(exceptions.InternalServerError, match="ZeroDivisionError"):
        iam(channel).get_service_account(name=f"{ACCOUNTS}/a@my-project.iam.gserviceaccount.com")


def test_every_call_is_noted_with_who_called_and_how_it_ended(
    emulator: Emulator, channel: grpc.Channel, deployer_token: str
) -> None:
    iam(channel).list_service_accounts(name="projects/my-project")
    request(emulator, "POST", f"/iam.googleapis.com/v1/{ACCOUNTS}", {"accountId": "x"}, token=deployer_token)
    request(emulator, "GET", f"/iam.googleapis.com/v1/{ACCOUNTS}")

    _, calls = request(emulator, "GET", "/emulator/requests")

    deployer = "serviceAccount:deployer@my-project.iam.gserviceaccount.com"
    assert [(call["principal"], call["writes"], call["status"]) for call in calls] == [
        (deployer, False, "OK"),
        (deployer, True, "INVALID_ARGUMENT"),
        ("anonymous", False, "UNAUTHENTICATED"),
    ]


def test_the_world_can_be_looked_at(emulator: Emulator) -> None:
    status, world = request(emulator, "GET", "/emulator/world")

    assert status == 200
    assert world["service_accounts"]["accounts"][0]["email"] == "deployer@my-project.iam.gserviceaccount.com"
    assert "projects/my-project" in world["policies"]


def test_a_run_can_be_started_over_http(emulator: Emulator) -> None:
    status, variables = request(emulator, "POST", "/emulator/runs", {"repository": "a/b", "sha": "0" * 40})

    assert status == 200
    assert variables["GITHUB_REPOSITORY"] == "a/b"
    assert variables["ACTIONS_ID_TOKEN_REQUEST_URL"].startswith(f"http://{emulator.address}/")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/emulator/runs", {"no_such_thing": 1}, 400),
        ("POST", "/emulator/connect", {"repository": "nobody/knows"}, 400),
        ("POST", "/emulator/push", {"repository": "a/b"}, 400),
        ("GET", "/emulator/nothing", None, 404),
        ("GET", "/storage.googleapis.com/v1/b", None, 501),
        ("GET", "/run.googleapis.com/v9/nothing", None, 404),
        ("GET", "/", None, 501),
    ],
)
def test_requests_that_make_no_sense_are_answered(
    emulator: Emulator, method: str, path: str, body: Any, status: int
) -> None:
    assert request(emulator, method, path, body)[0] == status


def test_the_port_is_on_loopback_only(emulator: Emulator) -> None:
    address, _, port = emulator.address.partition(":")

    assert address == "127.0.0.1"
    with socket.create_server(("127.0.0.2", int(port))):
        pass  # a port that listened on every address would be taken here


def test_a_large_message_goes_through(emulator: Emulator, deployer_token: str) -> None:
    data = base64.b64encode(os.urandom(7_000_000)).decode()
    request(emulator, "PUT", f"/pubsub.googleapis.com/v1/{TOPIC}", {}, deployer_token)

    status, answer = request(
        emulator, "POST", f"/pubsub.googleapis.com/v1/{TOPIC}:publish", {"messages": [{"data": data}]}, deployer_token
    )

    assert status == 200, answer


def test_a_call_takes_about_a_millisecond(channel: grpc.Channel) -> None:
    client = iam(channel)
    client.list_service_accounts(name="projects/my-project")
    times = []
    for _ in range(50):
        start = time.perf_counter()
        client.list_service_accounts(name="projects/my-project")
        times.append(time.perf_counter() - start)

    assert sorted(times)[25] < 0.02


def test_stopping_ends_streams_and_closes_the_port(settings: WorldSettings) -> None:
    with Emulator(settings) as emulator:
        token = emulator.world.tokens.issue_access_token("user:owner@example.com")
        credentials = grpc.composite_channel_credentials(
            grpc.local_channel_credentials(), grpc.access_token_call_credentials(token)
        )
        channel = grpc.secure_channel(emulator.address, credentials)
        iam(channel).list_service_accounts(name="projects/my-project")
        start = time.monotonic()
        emulator.stop()
        assert time.monotonic() - start < 2
        port = int(emulator.address.rpartition(":")[2])
    channel.close()

    with socket.socket() as later:
        assert later.connect_ex(("127.0.0.1", port)) != 0
    assert "front" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_program_prints_the_variables_and_stops_when_told(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "emulator", "--project", "other-project", "--state", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = list(itertools.takewhile(lambda line: not line.startswith("# The emulator is ready"), process.stdout))
    variables = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines if "=" in line)
    process.send_signal(number)

    assert process.wait(timeout=2) == 0
    assert variables["INPUT_PROJECT_ID"] == "other-project"
    assert variables["GOOGLE_CLOUD_EMULATOR_HOST"] == variables["PUBSUB_EMULATOR_HOST"]
