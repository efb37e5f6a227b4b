from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
import requests
from google.api_core import exceptions
from google.cloud import artifactregistry_v1
from google.cloud.artifactregistry_v1.services.artifact_registry.transports import ArtifactRegistryGrpcTransport
from google.pubsub_v1 import PublisherClient, Topic
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from emulator import faults
from emulator.errors import ApiError
from emulator.faults import Fault, Moment, UnusedFaults
from emulator.server import Emulator
from emulator.services import github, sts
from emulator.services.sts import TokenError
from emulator.world import World

TOPIC = "projects/my-project/topics/questions"
CREATE = "google.pubsub.v1.Publisher/CreateTopic"
GET = "google.pubsub.v1.Publisher/GetTopic"
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE

KINDS = [
    (faults.unavailable, grpc.StatusCode.UNAVAILABLE, 503, ""),
    (faults.internal, grpc.StatusCode.INTERNAL, 500, ""),
    (faults.unknown, grpc.StatusCode.UNKNOWN, 500, ""),
    (faults.gateway_timeout, grpc.StatusCode.DEADLINE_EXCEEDED, 504, ""),
    (faults.rate_limited, grpc.StatusCode.RESOURCE_EXHAUSTED, 429, "RATE_LIMIT_EXCEEDED"),
    (faults.count_limited, grpc.StatusCode.RESOURCE_EXHAUSTED, 429, ""),
    (faults.quota_403, grpc.StatusCode.PERMISSION_DENIED, 403, ""),
    (faults.token_expired, grpc.StatusCode.UNAUTHENTICATED, 401, "ACCESS_TOKEN_EXPIRED"),
    (faults.denied, grpc.StatusCode.PERMISSION_DENIED, 403, "IAM_PERMISSION_DENIED"),
    (faults.disabled, grpc.StatusCode.PERMISSION_DENIED, 403, "SERVICE_DISABLED"),
    (faults.conflict, grpc.StatusCode.ABORTED, 409, ""),
]


class Caller:
    """Asks for topics, and does not ask again by itself.

    :param token: of whom it calls as.
    """

    def __init__(self, emulator: Emulator, channel: grpc.Channel, token: str) -> None:
        self._emulator = emulator
        self._token = token
        self._publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))

    def create(self, name: str = TOPIC) -> Topic:
        return self._publisher.create_topic(name=name, retry=None, timeout=10)

    def get(self, name: str = TOPIC, timeout: float = 10) -> Topic:
        return self._publisher.get_topic(topic=name, retry=None, timeout=timeout)

    def over_http(self, http_method: str, name: str = TOPIC) -> requests.Response:
        url = f"http://{self._emulator.address}/pubsub.googleapis.com/v1/{name}"
        headers = {"Authorization": f"Bearer {self._token}"}
        return requests.request(http_method, url, json={}, headers=headers, timeout=10)


def create_over_http(caller: Caller) -> None:
    caller.over_http("PUT").raise_for_status()


@pytest.fixture
def deployer(emulator: Emulator, channel: grpc.Channel, deployer_token: str) -> Caller:
    return Caller(emulator, channel, deployer_token)


@pytest.fixture
def call_as(emulator: Emulator, open_channel: Callable[[str], grpc.Channel]) -> Callable[[str], Caller]:
    def call_as(principal: str) -> Caller:
        token = emulator.world.tokens.issue_access_token(principal)
        return Caller(emulator, open_channel(token), token)

    return call_as


def names_of_topics(emulator: Emulator) -> list[str]:
    answer = requests.get(f"http://{emulator.address}/emulator/world", timeout=10).json()
    return [topic["name"] for topic in answer["topics"].get("topics", [])]


def log(emulator: Emulator) -> list[tuple[str, str, str]]:
    return [(call.method.rpartition("/")[2], call.status, call.lost) for call in emulator.world.requests]


def statuses(world: World, count: int, method: str = GET, principal: str | None = None) -> str:
    """How calls end, one letter each: ``.`` where none of the faults hits."""
    caller = principal or f"serviceAccount:{world.iam.deployer}"
    letters = ""
    for _ in range(count):
        try:
            world.faults.answer(method, caller, lambda: None, lambda _: None)
        except ApiError as error:
            letters += error.name[0]
        else:
            letters += "."
    return letters


@pytest.mark.parametrize(("kind", "code", "reason"), [(kind, code, reason) for kind, code, _, reason in KINDS])
def test_over_grpc_an_error_has_its_code_and_its_reason(
    emulator: Emulator, deployer: Caller, kind: Callable[..., Fault], code: grpc.StatusCode, reason: str
) -> None:
    emulator.world.faults.add(kind(GET))

    with pytest.raises(exceptions.GoogleAPICallError) as refusal:
        deployer.get()

    assert refusal.value.grpc_status_code is code
    assert (refusal.value.reason or "") == reason


@pytest.mark.parametrize(("kind", "code", "status", "reason"), KINDS)
def test_over_http_an_error_is_json_with_its_details(
    emulator: Emulator, deployer: Caller, kind: Callable[..., Fault], code: grpc.StatusCode, status: int, reason: str
) -> None:
    emulator.world.faults.add(kind(GET))

    response = deployer.over_http("GET")

    error = response.json()["error"]
    assert (response.status_code, error["code"], error["status"]) == (status, status, code.name)
    assert "".join(detail.get("reason", "") for detail in error.get("details", [])) == reason


@pytest.mark.parametrize(("kind", "code"), [(kind, code) for kind, code, *_ in KINDS])
def test_a_call_that_was_hit_is_logged_with_the_error(
    emulator: Emulator, deployer: Caller, kind: Callable[..., Fault], code: grpc.StatusCode
) -> None:
    emulator.world.faults.add(kind(GET))

    deployer.over_http("GET")

    assert log(emulator) == [("GetTopic", code.name, "")]


def test_an_api_that_is_off_is_named_with_the_page_that_turns_it_on(emulator: Emulator, deployer: Caller) -> None:
    emulator.world.faults.add(faults.disabled("google.pubsub.*"))

    with pytest.raises(exceptions.Forbidden, match=r"^403 Cloud Pub/Sub API has not been used in project 123456789012"):
        deployer.get()


def test_the_details_of_an_api_that_is_off_are_googles(emulator: Emulator, deployer: Caller) -> None:
    emulator.world.faults.add(faults.disabled("*"))

    with pytest.raises(exceptions.Forbidden) as refusal:
        deployer.get()

    status = rpc_status.from_call(refusal.value.errors[0])
    info, message = error_details_pb2.ErrorInfo(), error_details_pb2.LocalizedMessage()
    assert status is not None
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(message)
    url = "https://console.developers.google.com/apis/api/pubsub.googleapis.com/overview?project=123456789012"
    assert info.metadata == {
        "service": "pubsub.googleapis.com",
        "consumer": "projects/123456789012",
        "activationUrl": url,
    }
    assert message.message == refusal.value.message


def test_a_permission_that_is_missing_can_be_named(emulator: Emulator, deployer: Caller) -> None:
    emulator.world.faults.add(faults.denied(GET, permission="pubsub.topics.get", resource=TOPIC))

    with pytest.raises(exceptions.Forbidden, match=r"Permission 'pubsub\.topics\.get' denied") as refusal:
        deployer.get()

    assert refusal.value.metadata == {"permission": "pubsub.topics.get", "resource": TOPIC}


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("google.iam.v1.IAMPolicy/SetIamPolicy", "There were concurrent policy changes"),
        (CREATE, "Conflict for resource"),
    ],
)
def test_a_conflict_says_what_others_have_changed(world: World, method: str, message: str) -> None:
    world.faults.add(faults.conflict("*"))

    with pytest.raises(ApiError, match=f"^ABORTED: {message}"):
        world.faults.answer(method, "principal://x", lambda: None, lambda _: None)


def test_a_bad_gateway_is_a_page_over_http(emulator: Emulator, deployer: Caller) -> None:
    emulator.world.faults.add(faults.bad_gateway(GET))

    response = deployer.over_http("GET")

    assert response.status_code == 502
    assert response.headers["Content-Type"] == "text/html; charset=UTF-8"
    assert response.text.startswith("<!DOCTYPE html>")
    assert log(emulator) == [("GetTopic", "BAD_GATEWAY", "")]


def test_a_bad_gateway_is_what_grpc_makes_of_it(emulator: Emulator, deployer: Caller) -> None:
    emulator.world.faults.add(faults.bad_gateway(GET))

    with pytest.raises(exceptions.ServiceUnavailable, match="Received http2 header with status: 502"):
        deployer.get()


@pytest.mark.parametrize("create", [Caller.create, create_over_http])
def test_before_a_call_nothing_is_done(emulator: Emulator, deployer: Caller, create: Callable[[Caller], Any]) -> None:
    emulator.world.faults.add(faults.unavailable(CREATE))

    with pytest.raises((exceptions.ServiceUnavailable, requests.HTTPError)):
        create(deployer)

    assert names_of_topics(emulator) == []
    assert log(emulator) == [("CreateTopic", "UNAVAILABLE", "")]


@pytest.mark.parametrize("create", [Caller.create, create_over_http])
def test_after_a_call_it_is_done_and_its_answer_is_lost(
    emulator: Emulator, deployer: Caller, create: Callable[[Caller], Any]
) -> None:
    emulator.world.faults.add(faults.unavailable(CREATE, moment=Moment.AFTER))

    with pytest.raises((exceptions.ServiceUnavailable, requests.HTTPError)):
        create(deployer)

    assert names_of_topics(emulator) == [TOPIC]
    assert log(emulator) == [("CreateTopic", "UNAVAILABLE", "OK")]


def test_a_refusal_of_the_service_can_be_lost_too(emulator: Emulator, deployer: Caller) -> None:
    deployer.create()
    emulator.world.faults.add(faults.unavailable(CREATE, moment=Moment.AFTER))

    with pytest.raises(exceptions.ServiceUnavailable):
        deployer.create()

    assert log(emulator)[1] == ("CreateTopic", "UNAVAILABLE", "ALREADY_EXISTS")


def test_a_failure_of_the_emulator_itself_is_not_hidden(world: World) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    world.faults.add(faults.unavailable("*", moment=Moment.AFTER))

    with pytest.raises(ZeroDivisionError):
        world.faults.answer(GET, "principal://x", fail, lambda _: None)


def test_an_operation_whose_answer_is_lost_goes_on(emulator: Emulator, channel: grpc.Channel) -> None:
    registry = artifactregistry_v1.ArtifactRegistryClient(transport=ArtifactRegistryGrpcTransport(channel=channel))
    emulator.world.faults.add(faults.internal("*/CreateRepository", moment=Moment.AFTER))
    parent = "projects/my-project/locations/europe-west1"
    repository = artifactregistry_v1.Repository(format_=artifactregistry_v1.Repository.Format.DOCKER)

    with pytest.raises(exceptions.InternalServerError):
        registry.create_repository(parent=parent, repository_id="images", repository=repository, retry=None)

    deadline = time.monotonic() + 10
    while not (found := list(registry.list_repositories(parent=parent))) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [each.name for each in found] == [f"{parent}/repositories/images"]


def test_a_late_answer_is_the_right_one(emulator: Emulator, deployer: Caller) -> None:
    emulator.world.faults.add(faults.late(CREATE, late_seconds=0.3))

    start = time.monotonic()
    topic = deployer.create()

    assert time.monotonic() - start >= 0.3
    assert topic.name == TOPIC
    assert log(emulator) == [("CreateTopic", "OK", "")]


def test_a_late_answer_finds_nobody_who_waits(emulator: Emulator, deployer: Caller) -> None:
    deployer.create()
    emulator.world.faults.add(faults.late(GET, late_seconds=1))

    with pytest.raises(exceptions.DeadlineExceeded):
        deployer.get(timeout=0.2)


def test_a_refusal_can_be_late(emulator: Emulator, deployer: Caller) -> None:
    emulator.world.faults.add(faults.late(GET, late_seconds=0.3))

    start = time.monotonic()
    with pytest.raises(exceptions.NotFound):
        deployer.get()

    assert time.monotonic() - start >= 0.3


def test_an_error_can_be_late(world: World) -> None:
    world.faults.add(Fault(method=GET, error=ApiError(UNAVAILABLE, "x"), late_seconds=0.3))

    start = time.monotonic()

    assert statuses(world, 1) == "U"
    assert time.monotonic() - start >= 0.3


def test_a_world_that_ends_waits_for_no_late_answer(world: World) -> None:
    world.faults.add(faults.late(GET, late_seconds=30))

    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(statuses, world, 1)
        while world.faults.unused:
            time.sleep(0.01)
        world.close()

        assert pending.result(timeout=5) == "."


def renamed(topic: Topic) -> Topic:
    topic.name = f"{topic.name}-changed"
    return topic


def test_an_answer_can_be_changed_and_only_the_answer(emulator: Emulator, deployer: Caller) -> None:
    deployer.create()
    emulator.world.faults.add(Fault(method=GET, change=renamed))

    names = [deployer.get().name, deployer.get().name]

    assert names == [f"{TOPIC}-changed", TOPIC]


def test_a_refusal_is_not_changed(emulator: Emulator, deployer: Caller) -> None:
    emulator.world.faults.add(Fault(method=GET, change=renamed))

    with pytest.raises(exceptions.NotFound):
        deployer.get()


@pytest.mark.parametrize(("moment", "topics"), [(Moment.BEFORE, []), (Moment.AFTER, [TOPIC])])
def test_over_http_the_connection_is_really_reset(
    emulator: Emulator, deployer: Caller, moment: Moment, topics: list[str]
) -> None:
    emulator.world.faults.add(faults.connection_reset(CREATE, moment=moment))

    with pytest.raises(requests.ConnectionError, match="Connection reset by peer"):
        deployer.over_http("PUT")

    assert names_of_topics(emulator) == topics
    assert log(emulator) == [("CreateTopic", "CONNECTION_RESET", "OK" if topics else "")]


@pytest.mark.parametrize(("moment", "topics"), [(Moment.BEFORE, []), (Moment.AFTER, [TOPIC])])
def test_over_grpc_the_connection_is_really_reset(
    emulator: Emulator, deployer: Caller, moment: Moment, topics: list[str]
) -> None:
    emulator.world.faults.add(faults.connection_reset(CREATE, moment=moment))

    # A broken pipe is what a reset is to whoever was just writing.
    with pytest.raises(exceptions.ServiceUnavailable, match=r"Connection reset by peer|Broken pipe") as refusal:
        deployer.create()

    assert rpc_status.from_call(refusal.value.errors[0]) is None, "the emulator's own words came through"
    assert names_of_topics(emulator) == topics
    assert log(emulator) == [("CreateTopic", "CONNECTION_RESET", "OK" if topics else "")]


def test_after_a_reset_the_same_channel_goes_on(emulator: Emulator, deployer: Caller) -> None:
    emulator.world.faults.add(faults.connection_reset(CREATE))

    with pytest.raises(exceptions.ServiceUnavailable):
        deployer.create()

    assert deployer.create().name == TOPIC


def test_a_reset_leaves_the_connections_of_others(emulator: Emulator, deployer: Caller, deployer_token: str) -> None:
    url = f"http://{emulator.address}/pubsub.googleapis.com/v1/{TOPIC}"
    with requests.Session() as other:
        other.headers["Authorization"] = f"Bearer {deployer_token}"
        other.put(url, json={}, timeout=10)
        emulator.world.faults.add(faults.late(GET, late_seconds=0.5), faults.connection_reset(GET))
        with ThreadPoolExecutor(1) as pool:
            pending = pool.submit(other.get, url, timeout=10)
            while len(emulator.world.requests) < 2:
                time.sleep(0.01)
            with pytest.raises(exceptions.ServiceUnavailable):
                deployer.get()

            assert pending.result().status_code == 200


def test_a_fault_hits_once_and_from_the_first_call_unless_told_otherwise(world: World) -> None:
    world.faults.add(faults.unavailable(GET))

    assert statuses(world, 3) == "U.."


def test_calls_can_pass_before_a_fault_hits_some(world: World) -> None:
    world.faults.add(faults.unavailable(GET, skip=2, times=3))

    assert statuses(world, 7) == "..UUU.."


def test_a_fault_can_hit_all_calls(world: World) -> None:
    world.faults.add(faults.unavailable(GET, skip=1, times=None))

    assert statuses(world, 50) == "." + 49 * "U"


def test_a_fault_can_last_from_its_first_hit_on(world: World) -> None:
    world.faults.add(faults.unavailable(GET, skip=1, seconds=60))

    before = statuses(world, 1)
    world.clock.advance(100)
    first = statuses(world, 2)
    world.clock.advance(55)
    within = statuses(world, 1)
    world.clock.advance(6)
    later = statuses(world, 2)

    assert (before, first, within, later) == (".", "UU", "U", "..")


def test_of_several_faults_the_first_added_hits(world: World) -> None:
    world.faults.add(faults.internal("*/GetTopic"))
    world.faults.add(faults.unavailable("*"), faults.denied(CREATE))

    assert statuses(world, 4) == "IU.."


def test_calls_that_another_fault_hits_count_among_those_that_pass(world: World) -> None:
    world.faults.add(faults.internal(GET), faults.unavailable(GET, skip=1))

    assert statuses(world, 3) == "IU."


def test_other_methods_are_not_hit(world: World) -> None:
    world.faults.add(faults.unavailable("*/SetIamPolicy"))

    assert statuses(world, 2, GET) == ".."
    assert statuses(world, 2, "google.iam.v1.IAMPolicy/SetIamPolicy") == "U."


def test_of_many_calls_at_once_no_more_are_hit_than_should_be(world: World) -> None:
    world.faults.add(faults.unavailable(GET, skip=10, times=70))

    with ThreadPoolExecutor(16) as pool:
        letters = "".join(pool.map(lambda _: statuses(world, 5), range(40)))

    assert letters.count("U") == 70


OTHERS = [
    "anonymous",
    "user:a@example.com",
    "serviceAccount:builder@my-project.iam.gserviceaccount.com",
    "serviceAccount:123456789012-compute@developer.gserviceaccount.com",
]


@pytest.mark.parametrize("principal", OTHERS)
def test_services_builds_and_people_are_not_hit(world: World, principal: str) -> None:
    world.faults.add(faults.unavailable("*", times=None))

    assert statuses(world, 2, principal=principal) == ".."


@pytest.mark.parametrize("principal", OTHERS)
def test_services_builds_and_people_are_hit_where_a_fault_says_so(world: World, principal: str) -> None:
    world.faults.add(faults.unavailable("*", times=None, principal=principal))

    assert statuses(world, 1, principal=principal) == "U"
    assert statuses(world, 1) == "."


def test_an_identity_of_the_pool_is_hit(world: World) -> None:
    world.faults.add(faults.unavailable("*"))

    assert statuses(world, 1, principal="principal://iam.googleapis.com/x/subject/repo:a/b:ref:refs/heads/main") == "U"


def test_calls_of_the_emulator_to_itself_are_not_hit(emulator: Emulator) -> None:
    emulator.world.faults.add(faults.unavailable("*", times=None, principal="*"))

    assert names_of_topics(emulator) == []


def id_token(emulator: Emulator) -> requests.Response:
    run = emulator.world.github.start_run()
    headers = {"Authorization": f"Bearer {run['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"}
    url = f"{run['ACTIONS_ID_TOKEN_REQUEST_URL']}&audience=//iam.googleapis.com/{emulator.world.sts.provider.name}"
    return requests.get(url, headers=headers, timeout=10)


def exchange(emulator: Emulator, token: str = "") -> requests.Response:
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": f"//iam.googleapis.com/{emulator.world.sts.provider.name}",
        "subject_token": token or "not-a-token",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
    }
    return requests.post(f"http://{emulator.address}/sts.googleapis.com/v1/token", data=form, timeout=10)


def test_github_can_fail_to_vouch_for_a_run(emulator: Emulator) -> None:
    emulator.world.faults.add(faults.unavailable(github.METHOD, moment=Moment.AFTER))

    responses = [id_token(emulator), id_token(emulator)]

    assert [response.status_code for response in responses] == [503, 200]
    assert responses[0].json() == {"message": "The service is currently unavailable."}
    assert log(emulator) == [("GetIdToken", "UNAVAILABLE", "OK"), ("GetIdToken", "OK", "")]


@pytest.mark.parametrize(
    ("kind", "status", "error"),
    [
        (faults.unavailable, 503, "temporarily_unavailable"),
        (faults.rate_limited, 429, "temporarily_unavailable"),
        (faults.internal, 500, "server_error"),
        (faults.gateway_timeout, 504, "server_error"),
        (faults.denied, 403, "access_denied"),
        (faults.token_expired, 401, "invalid_client"),
    ],
)
def test_the_token_exchange_fails_in_its_own_form(
    emulator: Emulator, kind: Callable[..., Fault], status: int, error: str
) -> None:
    emulator.world.faults.add(kind(sts.METHOD))
    token = id_token(emulator).json()["value"]

    failed, done = exchange(emulator, token), exchange(emulator, token)

    assert (failed.status_code, failed.json()["error"]) == (status, error)
    assert failed.json()["error_description"]
    assert done.json()["token_type"] == "Bearer"


def test_the_token_exchange_can_refuse_a_token(emulator: Emulator) -> None:
    error = TokenError("unauthorized_client", "The given credential is rejected by the attribute condition.")
    emulator.world.faults.add(Fault(method=sts.METHOD, error=error))

    response = exchange(emulator)

    assert response.status_code == 400
    assert response.json() == {"error": "unauthorized_client", "error_description": error.message}
    assert log(emulator) == [("ExchangeToken", "unauthorized_client", "")]


@pytest.mark.parametrize("sign_in", [id_token, exchange])
def test_signing_in_can_lose_its_connection_or_meet_a_bad_gateway(
    emulator: Emulator, sign_in: Callable[[Emulator], requests.Response]
) -> None:
    emulator.world.faults.add(faults.connection_reset("*"), faults.bad_gateway("*"))

    with pytest.raises(requests.ConnectionError, match="Connection reset by peer"):
        sign_in(emulator)
    response = sign_in(emulator)

    assert response.status_code == 502
    assert response.text.startswith("<!DOCTYPE html>")


def test_a_fault_that_has_hit_is_used(world: World) -> None:
    world.faults.add(faults.unavailable(GET, times=5))

    statuses(world, 1)

    assert world.faults.unused == ()
    world.faults.check()


def test_a_fault_that_has_hit_nothing_is_named(world: World) -> None:
    late = faults.unavailable(GET, skip=3, moment=Moment.AFTER)
    world.faults.add(
        faults.unavailable(GET),
        late,
        faults.disabled("*/SetIamPolicy"),
        faults.connection_reset(CREATE),
        faults.late(CREATE, late_seconds=2),
        Fault(method=CREATE, change=renamed),
    )

    statuses(world, 2)

    assert world.faults.unused[0] is late
    with pytest.raises(UnusedFaults) as unused:
        world.faults.check()
    assert str(unused.value).removeprefix("No call was hit by: ").split("; ") == [
        f"UNAVAILABLE after {GET}, call 4 (2 came)",
        "PERMISSION_DENIED before */SetIamPolicy, call 1 (0 came)",
        f"CONNECTION_RESET before {CREATE}, call 1 (0 came)",
        f"answer 2 s late of {CREATE}, call 1 (0 came)",
        f"changed answer of {CREATE}, call 1 (0 came)",
    ]


def test_faults_that_are_cleared_neither_hit_nor_count_as_unused(world: World) -> None:
    world.faults.add(faults.unavailable(GET))

    world.faults.clear()

    world.faults.check()
    assert statuses(world, 1) == "."


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"reset": True, "error": ApiError(UNAVAILABLE, "x")},
        {"change": renamed, "error": ApiError(UNAVAILABLE, "x")},
        {"change": renamed, "reset": True},
        {"moment": Moment.ANSWERED, "error": ApiError(UNAVAILABLE, "x")},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Fault(method=GET, **wrong)


@pytest.mark.parametrize(
    ("moment", "topics", "logged"),
    [
        (Moment.BEFORE, ["a"], ("CreateTopic", "PERMISSION_DENIED", "")),
        (Moment.AFTER, ["a", "b"], ("CreateTopic", "PERMISSION_DENIED", "OK")),
        (Moment.ANSWERED, ["a", "b"], ("CreateTopic", "OK", "")),
    ],
)
def test_whoever_dies_at_a_call_does_nothing_more(
    emulator: Emulator, deployer: Caller, moment: Moment, topics: list[str], logged: tuple[str, str, str]
) -> None:
    emulator.world.faults.kill(CREATE, skip=1, moment=moment)

    responses = [deployer.over_http("PUT", f"projects/my-project/topics/topic-{name}") for name in "abcd"]
    with pytest.raises(exceptions.Forbidden, match="the caller is dead"):
        deployer.get()

    assert [response.ok for response in responses] == [True, moment is Moment.ANSWERED, False, False]
    assert responses[-1].json()["error"]["message"] == "the caller is dead"
    assert [name.rpartition("-")[2] for name in names_of_topics(emulator)] == topics
    dead = ("PERMISSION_DENIED", "")
    assert log(emulator)[1:] == [logged, ("CreateTopic", *dead), ("CreateTopic", *dead), ("GetTopic", *dead)]
    emulator.world.faults.check()


def test_who_is_dead_cannot_sign_in(emulator: Emulator) -> None:
    emulator.world.faults.kill(github.METHOD, moment=Moment.ANSWERED)

    responses = [id_token(emulator), id_token(emulator), exchange(emulator)]

    assert [response.status_code for response in responses] == [200, 403, 403]


def test_when_one_dies_others_live(emulator: Emulator, deployer: Caller, call_as: Callable[[str], Caller]) -> None:
    emulator.world.faults.kill("*", moment=Moment.BEFORE)
    with pytest.raises(exceptions.Forbidden):
        deployer.create()

    assert call_as("user:a@example.com").create().name == TOPIC


def test_somebody_else_can_die(emulator: Emulator, deployer: Caller, call_as: Callable[[str], Caller]) -> None:
    emulator.world.faults.kill("*", moment=Moment.BEFORE, principal="user:*")
    person = call_as("user:a@example.com")

    for _ in range(2):
        with pytest.raises(exceptions.Forbidden, match="the caller is dead"):
            person.create()

    assert deployer.create().name == TOPIC


def test_clearing_lets_the_dead_live(world: World) -> None:
    world.faults.kill(GET, moment=Moment.BEFORE)
    dead = statuses(world, 2)

    world.faults.clear()

    assert (dead, statuses(world, 2)) == ("PP", "..")


def test_a_death_that_comes_to_pass_after_everything_was_cleared_is_none(world: World) -> None:
    world.faults.kill(GET, moment=Moment.ANSWERED)

    world.faults.answer(GET, "principal://x", world.faults.clear, lambda _: None)

    assert statuses(world, 1) == "."


def test_a_death_to_which_no_call_came_is_unused(world: World) -> None:
    world.faults.kill(GET, skip=1, moment=Moment.BEFORE)

    assert statuses(world, 1) == "."
    with pytest.raises(UnusedFaults, match=rf"death before {GET}, call 2 \(1 came\)"):
        world.faults.check()
