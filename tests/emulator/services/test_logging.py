"""Cloud Logging: what builds and containers have written, as Google's client library reads it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import grpc
import pytest
import requests
from google.api_core import exceptions
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcTransport
from google.iam.v1 import policy_pb2
from google.logging.type import log_severity_pb2

from emulator.logs import Log, Severity
from emulator.propagation import Propagation
from emulator.server import Emulator
from emulator.world import World, WorldSettings

PROJECT = "projects/my-project"
STDOUT = "run.googleapis.com/stdout"
ALL: dict[str, Any] = {"resource_names": [PROJECT]}


@pytest.fixture
def world(emulator: Emulator) -> World:
    return emulator.world


@pytest.fixture
def open_client(open_channel: Callable[[str], grpc.Channel]) -> Callable[[str], LoggingServiceV2Client]:
    def open_client(token: str) -> LoggingServiceV2Client:
        return LoggingServiceV2Client(transport=LoggingServiceV2GrpcTransport(channel=open_channel(token)))

    return open_client


@pytest.fixture
def client(open_client: Callable[[str], LoggingServiceV2Client], deployer_token: str) -> LoggingServiceV2Client:
    return open_client(deployer_token)


@pytest.fixture
def log(world: World) -> Log:
    return world.logging.log("cloud_run_revision", {"service_name": "sum"})


def texts(client: LoggingServiceV2Client, **request: Any) -> list[str]:
    return [entry.text_payload for entry in client.list_log_entries(request={**ALL, **request})]


def test_an_entry_says_where_it_is_from(client: LoggingServiceV2Client, log: Log, world: World) -> None:
    before = world.clock.now()
    log.write("run.googleapis.com/varlog/system", "Done", severity=Severity.ERROR, labels={"instanceId": "0a1b"})

    (entry,) = client.list_log_entries(request=ALL)

    assert entry.text_payload == "Done"
    assert entry.log_name == "projects/my-project/logs/run.googleapis.com%2Fvarlog%2Fsystem"
    assert entry.resource.type == "cloud_run_revision"
    assert dict(entry.resource.labels) == {"project_id": "my-project", "service_name": "sum"}
    assert dict(entry.labels) == {"instanceId": "0a1b"}
    assert entry.severity == log_severity_pb2.ERROR
    written: Any = entry.timestamp
    assert before <= written <= world.clock.now()
    assert entry.insert_id


def test_what_a_program_writes_as_json_is_structured(client: LoggingServiceV2Client, log: Log) -> None:
    lines = ['{"severity": "warning", "message": "Late", "seconds": 3}', '{"no": "json"', "{}", '["a list"]']
    for line in lines:
        log.write_output(STDOUT, line)

    structured, *plain = client.list_log_entries(request=ALL)

    assert dict(structured.json_payload) == {"message": "Late", "seconds": 3.0}
    assert structured.severity == log_severity_pb2.WARNING
    assert [entry.text_payload for entry in plain] == lines[1:]


def test_entries_of_all_logs_come_in_the_order_in_which_they_were_written(
    client: LoggingServiceV2Client, log: Log, world: World
) -> None:
    build = world.logging.log("build", {"build_id": "1"})
    for number in range(10):
        (build if number % 2 else log).write(STDOUT, str(number))
    written = [str(number) for number in range(10)]

    assert texts(client) == written
    assert texts(client, order_by="timestamp asc") == written
    assert texts(client, order_by="timestamp desc") == written[::-1]


def test_a_filter_chooses_entries(client: LoggingServiceV2Client, log: Log, world: World) -> None:
    world.logging.log("build", {"build_id": "1"}).write("cloudbuild", "of a build")
    log.write(STDOUT, "of a container")

    assert texts(client, filter='resource.type="build" AND resource.labels.build_id="1"') == ["of a build"]
    assert texts(client, filter='resource.type="build" OR textPayload:"container"') == ["of a build", "of a container"]


@pytest.mark.parametrize("order", ["timestamp asc", "timestamp desc"])
def test_pages_have_each_entry_once_also_where_others_are_written_meanwhile(
    client: LoggingServiceV2Client, log: Log, order: str
) -> None:
    for number in range(7):
        log.write(STDOUT, str(number))
    pages = client.list_log_entries(request={**ALL, "page_size": 3, "order_by": order}).pages

    first = [entry.text_payload for entry in next(pages).entries]
    log.write(STDOUT, "7")
    others = [[entry.text_payload for entry in page.entries] for page in pages]

    assert [len(page) for page in (first, *others)][:2] == [3, 3]
    written = [str(number) for number in (range(8) if order.endswith("asc") else range(6, -1, -1))]
    assert [*first, *itertools.chain(*others)] == written


def test_a_page_has_fifty_entries_unless_asked_otherwise(client: LoggingServiceV2Client, log: Log) -> None:
    for number in range(51):
        log.write(STDOUT, str(number))

    assert [len(page.entries) for page in client.list_log_entries(request=ALL).pages] == [50, 1]


def test_the_last_page_names_no_other(client: LoggingServiceV2Client, log: Log) -> None:
    for number in range(4):
        log.write(STDOUT, str(number))

    pages = [*client.list_log_entries(request={**ALL, "page_size": 2}).pages]

    assert [len(page.entries) for page in pages] == [2, 2]
    assert [bool(page.next_page_token) for page in pages] == [True, False]


def test_the_token_of_a_page_is_good_for_the_same_request_alone(client: LoggingServiceV2Client, log: Log) -> None:
    log.write(STDOUT, "one")
    log.write(STDOUT, "two")
    token = next(client.list_log_entries(request={**ALL, "page_size": 1}).pages).next_page_token

    assert texts(client, page_size=1, page_token=token) == ["two"]
    for changed in ({"filter": "one"}, {"order_by": "timestamp desc"}):
        with pytest.raises(exceptions.InvalidArgument, match="page_token"):
            texts(client, page_token=token, **changed)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"filter": 'severity="ERROR" AND'}, "Unparseable filter: syntax error at line 1, column 21"),
        ({"filter": 'thud="x"'}, "Unparseable filter: Field not found"),
        ({"order_by": "severity"}, "order_by must be one of"),
        ({"page_size": -1}, "page_size must be between"),
        ({"page_size": 1001}, "page_size must be between"),
        ({"page_token": "made up"}, "page_token"),
        ({"page_token": "W10="}, "page_token"),
        ({"resource_names": []}, "resource_names"),
        ({"resource_names": ["my-project"]}, "not a valid resource name"),
        ({"resource_names": [PROJECT] * 101}, "resource_names"),
    ],
)
def test_what_cannot_be_understood_is_an_invalid_argument(
    client: LoggingServiceV2Client, request_: dict[str, Any], message: str
) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=message):
        texts(client, **request_)


def test_nothing_is_read_without_the_permission_to_list_log_entries(
    open_client: Callable[[str], LoggingServiceV2Client], world: World, log: Log
) -> None:
    log.write(STDOUT, "hush")
    reader = "serviceAccount:reader@other.iam.gserviceaccount.com"
    client = open_client(world.tokens.issue_access_token(reader))

    with pytest.raises(exceptions.PermissionDenied, match=r"logging\.logEntries\.list"):
        texts(client)

    policy = world.policies.get(world.projects.name)
    policy.bindings.append(policy_pb2.Binding(role="roles/logging.viewer", members=[reader]))
    world.policies.seed(world.projects.name, policy)
    assert texts(client) == ["hush"]


def test_the_logs_of_another_project_are_not_read(client: LoggingServiceV2Client) -> None:
    with pytest.raises(exceptions.PermissionDenied):
        texts(client, resource_names=["projects/other"])


def test_the_seeded_deployer_may_read_logs_over_http_too(settings: WorldSettings) -> None:
    with Emulator(settings) as emulator:
        world = emulator.world
        world.logging.log("build", {}).write("cloudbuild", "line")
        token = world.tokens.issue_access_token(f"serviceAccount:{world.iam.deployer}")
        answer = requests.post(
            f"{world.base_url}/logging.googleapis.com/v2/entries:list",
            json={"resourceNames": [PROJECT], "filter": "resource.type=build"},
            headers={"Authorization": f"Bearer {token}"},
            timeout=5,
        )

    (entry,) = answer.json()["entries"]
    assert entry["textPayload"] == "line"


class TestLateEntries:
    """Entries that are listed some seconds after they were written."""

    @pytest.fixture
    def settings(self, settings: WorldSettings) -> WorldSettings:
        return dataclasses.replace(settings, propagation=Propagation(log_entries=5))

    def test_an_entry_shows_some_seconds_after_it_was_written(
        self, client: LoggingServiceV2Client, log: Log, world: World
    ) -> None:
        log.write(STDOUT, "first")
        world.clock.advance(3)
        log.write(STDOUT, "second")
        assert texts(client) == []

        world.clock.advance(3)
        assert texts(client) == ["first"]

        world.clock.advance(3)
        assert texts(client) == ["first", "second"]


def test_the_oldest_lines_of_a_log_give_way(log: Log) -> None:
    for number in range(10_003):
        log.write(STDOUT, str(number))

    lines = log.lines()
    assert (len(lines), lines[0], lines[-1]) == (10_000, "3", "10002")
