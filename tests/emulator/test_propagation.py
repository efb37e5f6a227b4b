from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest
import requests
from google.api_core import exceptions
from google.cloud import iam_admin_v1, run_v2
from google.cloud.eventarc_v1 import EventarcClient, types
from google.cloud.eventarc_v1.services.eventarc.transports import EventarcGrpcTransport
from google.cloud.iam_admin_v1.services.iam.transports import IAMGrpcTransport
from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport
from google.iam.v1 import policy_pb2
from google.pubsub_v1 import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

from emulator.errors import ApiError
from emulator.propagation import IAM_READ_FLAP, Propagation
from emulator.rpc import SYSTEM
from emulator.server import Emulator
from emulator.world import World

PROJECT = "projects/my-project"
EMAIL = "sum-runner@my-project.iam.gserviceaccount.com"
ACCOUNT = f"{PROJECT}/serviceAccounts/{EMAIL}"
TOPIC = f"{PROJECT}/topics/octue.services.42"
LOCATION = f"{PROJECT}/locations/europe-west1"


@pytest.fixture
def world(emulator: Emulator) -> World:
    return emulator.world


@pytest.fixture
def iam(channel: grpc.Channel) -> iam_admin_v1.IAMClient:
    return iam_admin_v1.IAMClient(transport=IAMGrpcTransport(channel=channel))


@pytest.fixture
def publisher(channel: grpc.Channel) -> PublisherClient:
    return PublisherClient(transport=PublisherGrpcTransport(channel=channel))


@pytest.fixture
def ask(iam: iam_admin_v1.IAMClient) -> Callable[[str], str]:
    """Reads or makes the account, and gives the verb with the status of the answer."""

    def ask(verb: str) -> str:
        try:
            if verb == "GET":
                iam.get_service_account(name=ACCOUNT)
            else:
                iam.create_service_account(name=PROJECT, account_id="sum-runner")
        except exceptions.GoogleAPICallError as refusal:
            return f"{verb} {refusal.code}"
        return f"{verb} 200"

    return ask


def make_trigger(channel: grpc.Channel, account: str = "") -> types.Trigger:
    """Make a trigger that calls a service as that account."""
    client = EventarcClient(transport=EventarcGrpcTransport(channel=channel))
    trigger = types.Trigger(
        event_filters=[{"attribute": "type", "value": "google.cloud.pubsub.topic.v1.messagePublished"}],
        service_account=account,
        destination={"cloud_run": {"service": "sum", "region": "europe-west1"}},
    )
    made: types.Trigger = client.create_trigger(parent=LOCATION, trigger=trigger, trigger_id="sum").result(timeout=5)
    return made


@pytest.fixture
def cloud_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every service is there."""
    monkeypatch.setattr(world.cloud_run, "find", lambda _: None)


def test_everything_is_seen_at_once_unless_said_otherwise(
    iam: iam_admin_v1.IAMClient, publisher: PublisherClient
) -> None:
    iam.create_service_account(name=PROJECT, account_id="sum-runner")
    publisher.create_topic(name=TOPIC)

    assert iam.get_service_account(name=ACCOUNT).email == EMAIL
    assert publisher.get_topic(topic=TOPIC).name == TOPIC


def test_a_new_account_is_read_in_the_recorded_order(world: World, ask: Callable[[str], str]) -> None:
    world.propagation = Propagation(account_reads=IAM_READ_FLAP)

    answers = [ask(answer.partition(" ")[0]) for answer in IAM_READ_FLAP]

    assert answers == list(IAM_READ_FLAP)
    assert [ask("GET") for _ in range(5)] == ["GET 200"] * 5


def test_reads_follow_the_record_whatever_is_made_again_between_them(world: World, ask: Callable[[str], str]) -> None:
    world.propagation = Propagation(account_reads=IAM_READ_FLAP)
    ask("POST")

    answers = [ask("GET") for _ in range(8)]

    assert answers == [f"GET {status}" for status in (200, 404, 200, 404, 404, 404, 200, 200)]
    assert ask("POST") == "POST 409"


def test_an_account_that_is_not_seen_yet_is_refused_as_in_the_recording(
    world: World, iam: iam_admin_v1.IAMClient
) -> None:
    world.propagation = Propagation(account_reads=("POST 200", "GET 404", "GET 403"))
    iam.create_service_account(name=PROJECT, account_id="sum-runner")

    with pytest.raises(exceptions.NotFound, match=f"Service account {ACCOUNT} does not exist."):
        iam.get_service_account(name=ACCOUNT)
    with pytest.raises(exceptions.PermissionDenied, match=r"Permission 'iam.serviceAccounts.get' denied on resource"):
        iam.get_service_account(name=ACCOUNT)
    assert iam.get_service_account(name=ACCOUNT).email == EMAIL


def test_an_account_may_be_unseen_for_a_time(world: World, iam: iam_admin_v1.IAMClient) -> None:
    world.propagation = Propagation(account_reads=60)
    iam.create_service_account(name=PROJECT, account_id="sum-runner")

    world.clock.advance(50)
    with pytest.raises(exceptions.NotFound):
        iam.get_service_account(name=ACCOUNT)
    assert [account.email for account in iam.list_service_accounts(name=PROJECT)] == [world.iam.deployer]

    world.clock.advance(10)
    assert iam.get_service_account(name=ACCOUNT).email == EMAIL
    assert [account.email for account in iam.list_service_accounts(name=PROJECT)] == [world.iam.deployer, EMAIL]


def test_an_account_that_is_deleted_and_made_again_is_new_again(world: World, ask: Callable[[str], str]) -> None:
    world.propagation = Propagation(account_reads=("POST 200", "GET 404"))
    ask("POST")
    assert [ask("GET"), ask("GET")] == ["GET 404", "GET 200"]

    world.iam.delete_service_account(iam_admin_v1.DeleteServiceAccountRequest(name=ACCOUNT), SYSTEM)
    ask("POST")

    assert [ask("GET"), ask("GET")] == ["GET 404", "GET 200"]


def test_what_was_there_before_is_seen(world: World, iam: iam_admin_v1.IAMClient) -> None:
    world.propagation = Propagation(account_reads=("GET 404",) * 3, accounts_in_policies=300)

    assert iam.get_service_account(name=f"{PROJECT}/serviceAccounts/{world.iam.deployer}")
    world.policies.set(PROJECT, policy_naming(world.iam.deployer))


def policy_naming(email: str) -> policy_pb2.Policy:
    return policy_pb2.Policy(bindings=[policy_pb2.Binding(role="roles/viewer", members=[f"serviceAccount:{email}"])])


def test_policies_name_a_new_account_only_after_a_time(world: World, iam: iam_admin_v1.IAMClient) -> None:
    world.propagation = Propagation(accounts_in_policies=60)
    iam.create_service_account(name=PROJECT, account_id="sum-runner")

    world.clock.advance(50)
    with pytest.raises(ApiError, match=f"Service account {EMAIL} does not exist.") as refusal:
        world.policies.set(TOPIC, policy_naming(EMAIL))

    assert refusal.value.code == grpc.StatusCode.INVALID_ARGUMENT
    assert iam.get_service_account(name=ACCOUNT).email == EMAIL
    world.clock.advance(10)
    world.policies.set(TOPIC, policy_naming(EMAIL))


def test_cloud_run_runs_as_a_new_account_only_after_a_time(
    world: World, iam: iam_admin_v1.IAMClient, channel: grpc.Channel
) -> None:
    world.propagation = Propagation(accounts_in_cloud_run=60)
    services = run_v2.ServicesClient(transport=ServicesGrpcTransport(channel=channel))
    service = run_v2.Service(template={"containers": [{"image": "nowhere"}], "service_account": EMAIL})
    request = run_v2.CreateServiceRequest(parent=LOCATION, service=service, service_id="sum", validate_only=True)
    iam.create_service_account(name=PROJECT, account_id="sum-runner")

    world.clock.advance(50)
    with pytest.raises(exceptions.PermissionDenied, match=f"'iam.serviceaccounts.actAs' denied on .* {EMAIL}"):
        services.create_service(request=request)

    world.clock.advance(10)
    services.create_service(request=request)


def test_eventarc_calls_as_a_new_account_only_after_a_time(
    world: World,
    iam: iam_admin_v1.IAMClient,
    channel: grpc.Channel,
    cloud_run: None,  # noqa: ARG001 - it must be there before
) -> None:
    world.propagation = Propagation(accounts_in_eventarc=60)
    iam.create_service_account(name=PROJECT, account_id="sum-runner")

    world.clock.advance(50)
    with pytest.raises(exceptions.InvalidArgument, match=f"Service account {EMAIL} does not exist."):
        make_trigger(channel, EMAIL)

    world.clock.advance(10)
    assert make_trigger(channel, EMAIL).service_account == EMAIL


def test_eventarc_is_ready_some_time_after_it_was_first_asked(
    world: World,
    channel: grpc.Channel,
    cloud_run: None,  # noqa: ARG001 - it must be there before
) -> None:
    world.propagation = Propagation(eventarc_agent=60)
    world.clock.advance(1000)

    for _ in range(2):
        with pytest.raises(exceptions.FailedPrecondition, match="Permission denied while using the Eventarc Service"):
            make_trigger(channel)
        world.clock.advance(30)

    assert make_trigger(channel).name == f"{LOCATION}/triggers/sum"


def test_eventarc_begins_to_be_ready_with_a_request_that_is_refused_for_another_reason(
    world: World,
    channel: grpc.Channel,
    cloud_run: None,  # noqa: ARG001 - it must be there before
) -> None:
    world.propagation = Propagation(eventarc_agent=60)
    with pytest.raises(exceptions.InvalidArgument):
        make_trigger(channel, EMAIL)

    world.clock.advance(60)

    assert make_trigger(channel).name == f"{LOCATION}/triggers/sum"


def test_eventarc_is_ready_for_the_first_trigger_where_its_agent_was_asked_for_before(
    world: World,
    channel: grpc.Channel,
    cloud_run: None,  # noqa: ARG001 - it must be there before
) -> None:
    world.propagation = Propagation(eventarc_agent=60)
    world.service_usage.ask_for("eventarc.googleapis.com")

    world.clock.advance(60)

    assert make_trigger(channel).name == f"{LOCATION}/triggers/sum"


def test_a_new_topic_is_not_read_for_a_time_and_cannot_be_made_again(world: World, publisher: PublisherClient) -> None:
    world.propagation = Propagation(topics=60)
    publisher.create_topic(name=TOPIC)

    world.clock.advance(50)
    with pytest.raises(exceptions.NotFound, match=r"Resource not found \(resource=octue.services.42\)."):
        publisher.get_topic(topic=TOPIC)
    with pytest.raises(
        exceptions.AlreadyExists, match=r"already exists in the project \(resource=octue.services.42\)."
    ):
        publisher.create_topic(name=TOPIC)
    assert list(publisher.list_topics(project=PROJECT)) == []

    world.clock.advance(10)
    assert publisher.get_topic(topic=TOPIC).name == TOPIC
    assert [topic.name for topic in publisher.list_topics(project=PROJECT)] == [TOPIC]


def test_the_emulators_own_page_shows_what_is_not_seen_yet(
    world: World, iam: iam_admin_v1.IAMClient, publisher: PublisherClient
) -> None:
    world.propagation = Propagation(topics=60, account_reads=60)
    iam.create_service_account(name=PROJECT, account_id="sum-runner")
    publisher.create_topic(name=TOPIC)

    shown = requests.get(f"{world.base_url}/emulator/world", timeout=5).json()

    assert EMAIL in {account["email"] for account in shown["service_accounts"]["accounts"]}
    assert shown["topics"]["topics"] == [{"name": TOPIC}]


@pytest.mark.parametrize("answer", ["GET", "404", "GET 500", "POST 404", "PUT 200", "get 404"])
def test_what_is_no_answer_is_no_record(answer: str) -> None:
    with pytest.raises(ValueError, match=f"'{answer}' is not of the form"):
        Propagation(account_reads=("GET 404", answer))
