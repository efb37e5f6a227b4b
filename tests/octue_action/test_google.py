"""The door to Google Cloud: what is repeated and what is not, what an operation ends with, and where calls go."""

from __future__ import annotations

import contextlib
import functools
import itertools
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import google.oauth2.credentials
import grpc
import pytest
from google.api_core import exceptions
from google.cloud import artifactregistry_v1, run_v2
from google.iam.v1 import iam_policy_pb2
from google.longrunning import operations_pb2
from google.pubsub_v1.types import pubsub
from google.rpc import error_details_pb2

from emulator.errors import ApiError
from emulator.server import Emulator
from emulator.tokens import Identity
from emulator.world import World
from octue_action import google as door
from octue_action import logs, question, quirks
from octue_action.cancellation import Cancellation, Cancelled
from octue_action.clock import Clock
from octue_action.failure import GoogleError
from octue_action.google import Google
from octue_action.rates import RATES, Limiters, Rate, Rates
from octue_action.rest import RestRequest
from tests.clocks import SimulatedClock

CLIENTS = (
    *("artifact_registry", "cloud_build", "eventarc", "iam", "projects", "publisher", "run", "subscriber", "revisions"),
    *("logging", "service_usage"),
)
PROJECT = "projects/my-project"
PARENT = f"{PROJECT}/locations/europe-west1"

Fail = Callable[..., list[int]]


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow one another at once."""
    monkeypatch.setattr(Cancellation, "pause", lambda *_: None)


def refused(code: grpc.StatusCode, message: str = "no", reason: str = "") -> ApiError:
    details = [error_details_pb2.ErrorInfo(reason=reason, domain="googleapis.com")] if reason else []
    return ApiError(code, message, *details)


@pytest.fixture
def fail(world: World, monkeypatch: pytest.MonkeyPatch) -> Fail:
    """Makes project policies fail with an error, a number of times, before they work again."""

    def arrange(method: str, error: ApiError, times: int) -> list[int]:
        calls: list[int] = []
        works = getattr(world.policies, method)

        def answer(*arguments: Any) -> Any:
            calls.append(len(calls))
            if len(calls) <= times:
                raise error
            return works(*arguments)

        monkeypatch.setattr(world.policies, method, answer)
        return calls

    return arrange


def by(clock: Clock, google: Google) -> Google:
    """The same door, for a run that goes by a clock of its own."""
    return Google(google._credentials, google._emulator, cancellation=Cancellation(clock))


def read_policy(google: Google) -> Any:
    return google.read(google.projects.get_iam_policy, iam_policy_pb2.GetIamPolicyRequest(resource=PROJECT))


def around(google: Google, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function in a method's place, which says whose it is."""
    return functools.wraps(google.projects.get_iam_policy)(function)


def write_policy(google: Google) -> Any:
    """Write a policy, and leave its bindings as they are."""
    request = iam_policy_pb2.SetIamPolicyRequest(resource=PROJECT)
    request.update_mask.paths.append("etag")
    return google.write(google.projects.set_iam_policy, request)


UNKNOWN = [
    refused(grpc.StatusCode.UNAVAILABLE),
    refused(grpc.StatusCode.INTERNAL),
    refused(grpc.StatusCode.UNKNOWN),
    refused(grpc.StatusCode.DEADLINE_EXCEEDED),
]
"""After which nobody knows whether the call was carried out."""

NOT_DONE = [
    refused(grpc.StatusCode.RESOURCE_EXHAUSTED, reason="RATE_LIMIT_EXCEEDED"),
    refused(
        grpc.StatusCode.PERMISSION_DENIED,
        "Quota exceeded for quota metric 'Writes' and limit 'Writes per minute' of service 's'.",
    ),
]
"""After which nothing was done, and the next one may be."""

LASTING = [
    refused(grpc.StatusCode.PERMISSION_DENIED),
    refused(grpc.StatusCode.INVALID_ARGUMENT),
    refused(grpc.StatusCode.FAILED_PRECONDITION),
    refused(grpc.StatusCode.ABORTED),
    refused(grpc.StatusCode.NOT_FOUND),
    refused(grpc.StatusCode.UNIMPLEMENTED),
    refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded for quota group 'topics'."),
    refused(grpc.StatusCode.RESOURCE_EXHAUSTED, reason="RESOURCE_QUOTA_EXCEEDED"),
]


def code(error: ApiError) -> str:
    return error.code.name


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("error", [*UNKNOWN, *NOT_DONE], ids=code)
def test_a_reading_is_repeated_where_the_trouble_passes(error: ApiError, google: Google, fail: Fail) -> None:
    calls = fail("get", error, times=3)
    assert read_policy(google).bindings
    assert len(calls) == 4


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("error", LASTING, ids=code)
def test_a_reading_is_not_repeated_where_it_would_be_refused_again(error: ApiError, google: Google, fail: Fail) -> None:
    calls = fail("get", error, times=1)
    with pytest.raises(GoogleError) as caught:
        read_policy(google)
    assert caught.value.status == error.code.name
    assert len(calls) == 1


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("error", [*UNKNOWN, *LASTING], ids=code)
def test_a_writing_is_not_repeated_where_it_may_have_been_done_or_would_be_refused_again(
    error: ApiError, google: Google, fail: Fail
) -> None:
    calls = fail("set", error, times=1)
    with pytest.raises(GoogleError) as caught:
        write_policy(google)
    assert caught.value.status == error.code.name
    assert caught.value.method == "set_iam_policy"
    assert len(calls) == 1


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("error", NOT_DONE, ids=code)
def test_a_writing_is_repeated_where_nothing_was_done(error: ApiError, google: Google, fail: Fail) -> None:
    calls = fail("set", error, times=3)
    write_policy(google)
    assert len(calls) == 4


@pytest.mark.parametrize(("error", "counts"), [*((error, 1) for error in UNKNOWN), (LASTING[0], 0)])
def test_what_may_have_been_written_counts_as_written(error: ApiError, counts: int, google: Google, fail: Fail) -> None:
    fail("set", error, times=1)
    before = google.writes
    with pytest.raises(GoogleError):
        write_policy(google)
    assert google.writes - before == counts


def test_a_write_that_is_done_counts_once(google: Google) -> None:
    before = google.writes
    write_policy(google)
    assert google.writes - before == 1


@pytest.fixture
def refuse_tokens(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[str | None]]:
    """Has tokens refused, a number of times; gives those that were shown."""

    def arrange(times: int) -> list[str | None]:
        shown: list[str | None] = []
        identify = world.tokens.identify

        def answer(token: str | None) -> Identity:
            shown.append(token)
            if len(shown) <= times:
                raise refused(grpc.StatusCode.UNAUTHENTICATED)
            return identify(token)

        monkeypatch.setattr(world.tokens, "identify", answer)
        return shown

    return arrange


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("call", [read_policy, write_policy])
def test_a_refused_token_is_replaced(
    call: Callable[[Google], Any], google: Google, refuse_tokens: Callable[[int], list[str | None]]
) -> None:
    shown = refuse_tokens(1)
    call(google)
    assert shown[0] not in shown[1:]


@pytest.mark.usefixtures("no_pauses")
def test_a_token_that_another_thread_has_replaced_already_is_not_replaced_again(
    google: Google, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two calls with the old token the second is refused only when the first has come again with the new one."""
    read_policy(google)
    identify, shown, is_replaced = world.tokens.identify, list[str | None](), threading.Event()
    numbers, both_are_here = itertools.count(1), threading.Barrier(2, timeout=10.0)

    def answer(token: str | None) -> Identity:
        identity = identify(token)
        if identity.principal.startswith("principal:"):
            return identity  # asks for a new token
        shown.append(token)
        if token != shown[0]:
            is_replaced.set()
            return identity
        number = next(numbers)
        both_are_here.wait()
        if number == 2:
            assert is_replaced.wait(10.0)
        raise refused(grpc.StatusCode.UNAUTHENTICATED)

    monkeypatch.setattr(world.tokens, "identify", answer)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(read_policy, [google, google]))

    assert len(shown) == 4
    assert len(set(shown)) == 2


@pytest.mark.usefixtures("no_pauses")
def test_a_new_token_that_is_refused_too_is_an_error(google: Google, fail: Fail) -> None:
    calls = fail("set", refused(grpc.StatusCode.UNAUTHENTICATED), times=9)
    with pytest.raises(GoogleError, match="UNAUTHENTICATED"):
        write_policy(google)
    assert len(calls) == 2


@pytest.mark.usefixtures("no_pauses")
def test_what_is_waited_for_is_told_once(google: Google, fail: Fail, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(google, "progress", said.append)
    fail("set", NOT_DONE[0], times=3)
    write_policy(google)
    assert said == [quirks.RATE_LIMITED.told]


def test_trouble_that_does_not_pass_in_time_is_the_error_that_it_was(google: Google, fail: Fail) -> None:
    clock = SimulatedClock()
    fail("get", refused(grpc.StatusCode.UNAVAILABLE, "The service is unavailable."), times=1000)
    with pytest.raises(GoogleError, match=r"^UNAVAILABLE from get_iam_policy: .*The service is unavailable\.$"):
        read_policy(by(clock, google))
    assert quirks.OUTAGE.seconds - quirks.LONGEST_PAUSE <= clock.time <= quirks.OUTAGE.seconds


def test_what_lasts_a_moment_only_is_waited_for_without_a_word(google: Google, fail: Fail) -> None:
    quiet = by(SimulatedClock(), google)
    said: list[str] = []
    quiet.progress = said.append
    fail("get", refused(grpc.StatusCode.UNAVAILABLE), times=3)
    read_policy(quiet)
    assert said == []


def test_a_try_at_the_very_end_of_the_time_is_still_made(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, tries = SimulatedClock(), list[float]()
    monkeypatch.setattr(quirks.Quirk, "pauses", lambda _: itertools.repeat(quirks.OUTAGE.seconds / 4))

    def attempt() -> None:
        tries.append(clock.time)
        raise GoogleError("m", "UNAVAILABLE", "no")

    with pytest.raises(GoogleError):
        by(clock, google).repeat(attempt, [quirks.OUTAGE])
    assert tries == [quirks.OUTAGE.seconds * quarter / 4 for quarter in range(5)]


def test_a_reading_that_gets_no_answer_is_asked_for_once_more(google: Google) -> None:
    clock, calls = SimulatedClock(), []

    def silent(**arguments: Any) -> Any:
        calls.append(arguments["timeout"])
        clock.time += arguments["timeout"]
        raise exceptions.DeadlineExceeded("deadline exceeded")

    with pytest.raises(GoogleError):
        by(clock, google).read(around(google, silent), None)
    assert calls == [door.CALL_SECONDS] * 2


def test_no_call_may_take_longer_than_the_run_has_left(google: Google) -> None:
    door = by(SimulatedClock(), google)
    door.cancellation.limit(5.0)
    given: list[float] = []
    door.read(around(google, lambda **arguments: given.append(arguments["timeout"])), None)
    assert given == [5.0]


def test_a_refusal_that_is_too_long_for_grpc_is_an_answer_that_makes_no_sense(google: Google, fail: Fail) -> None:
    fail("set", refused(grpc.StatusCode.NOT_FOUND, "no " * 10_000), times=9)
    with pytest.raises(GoogleError, match="UNKNOWN from set_iam_policy: The answer makes no sense"):
        write_policy(google)


def test_what_is_not_there_is_none_when_it_is_looked_for(google: Google) -> None:
    request = pubsub.GetTopicRequest(topic=f"{PROJECT}/topics/nowhere")
    assert google.find(google.publisher.get_topic, request) is None
    with pytest.raises(GoogleError, match="NOT_FOUND from get_topic"):
        google.read(google.publisher.get_topic, request)


def test_another_refusal_is_an_error_when_something_is_looked_for(google: Google) -> None:
    request = pubsub.GetTopicRequest(topic="projects/somebody-elses/topics/t")
    with pytest.raises(GoogleError) as caught:
        google.find(google.publisher.get_topic, request)
    assert caught.value.status != "NOT_FOUND"


def test_what_is_gone_already_is_none_when_it_is_removed(google: Google) -> None:
    request = pubsub.DeleteTopicRequest(topic=f"{PROJECT}/topics/nowhere")
    assert google.remove(google.publisher.delete_topic, request) is None


def test_another_refusal_is_an_error_when_something_is_removed(google: Google) -> None:
    with pytest.raises(GoogleError):
        google.remove(google.publisher.delete_topic, pubsub.DeleteTopicRequest(topic="projects/other/topics/t"))


def test_a_list_has_the_items_of_all_pages(google: Google) -> None:
    names = {f"{PROJECT}/topics/page-{number}" for number in range(5)}
    for name in names:
        google.publisher.create_topic(name=name)
    request = pubsub.ListTopicsRequest(project=PROJECT, page_size=2)
    assert names <= {topic.name for topic in google.list(google.publisher.list_topics, request)}


def test_an_error_says_its_reason(google: Google, fail: Fail) -> None:
    fail("get", refused(grpc.StatusCode.PERMISSION_DENIED, "It is off.", reason="SERVICE_DISABLED"), times=1)
    with pytest.raises(GoogleError) as caught:
        read_policy(google)
    assert caught.value.reason == "SERVICE_DISABLED"
    assert str(caught.value) == "PERMISSION_DENIED from get_iam_policy: It is off."


# Operations


def operation(google: Google, repository: str) -> Any:
    message = artifactregistry_v1.Repository(format_="DOCKER")
    request = artifactregistry_v1.CreateRepositoryRequest(parent=PARENT, repository_id=repository, repository=message)
    return google.write(google.artifact_registry.create_repository, request)


def finished(google: Google, repository: str, **arguments: Any) -> artifactregistry_v1.Repository:
    made = operation(google, repository)
    return google.finish(google.artifact_registry, made, artifactregistry_v1.Repository, **arguments)


def test_an_operation_that_ends_well_gives_its_response(google: Google, name: str) -> None:
    assert finished(google, name).name == f"{PARENT}/repositories/{name}"


def test_an_operation_that_ends_badly_is_an_error_with_its_message(
    google: Google, name: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "There are too many repositories.")

    monkeypatch.setattr(world.artifact_registry, "_completed", fail)
    with pytest.raises(GoogleError, match="There are too many repositories") as caught:
        finished(google, name)
    assert caught.value.status == "RESOURCE_EXHAUSTED"


def test_an_operation_that_takes_too_long_is_an_error_that_says_how_long(
    google: Google, name: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.operations, "_seconds", {"artifact_registry create": 5.0})
    with pytest.raises(GoogleError, match=r"DEADLINE_EXCEEDED from operation: .* took over \d+ s"):
        finished(google, name, seconds=0.5)


def test_trouble_while_an_operation_is_asked_for_is_waited_out(
    google: Google, name: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    get = world.operations.get
    answers = iter([refused(grpc.StatusCode.UNAVAILABLE)])

    def get_or_fail(name: str) -> operations_pb2.Operation:
        for error in answers:
            raise error
        return get(name)

    monkeypatch.setattr(world.operations, "get", get_or_fail)
    assert finished(google, name).name.endswith(name)


class RunOperation:
    """An operation as Cloud Run's client gives it."""

    def __init__(self, message: operations_pb2.Operation) -> None:
        self.operation = message


@pytest.fixture
def start(world: World) -> Callable[..., RunOperation]:
    """Starts an operation of Cloud Run that does some work."""

    def begin(work: Callable[[], Any], kind: str = "cloud_run create") -> RunOperation:
        metadata = run_v2.Service.pb(run_v2.Service())
        name = f"{PARENT}/operations/{next(_NUMBERS)}"
        return RunOperation(world.operations.start(name, kind, work, metadata=lambda: metadata))

    return begin


_NUMBERS = itertools.count()


def test_an_operation_of_cloud_run_is_waited_for_on_the_servers_side(
    google: Google, start: Callable[..., RunOperation], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.operations, "_seconds", {"cloud_run create": 0.3})
    seen = len(world.requests)
    answer = google.finish(google.run, start(lambda: run_v2.Service(name="sum")), run_v2.Service)
    assert isinstance(answer, run_v2.Service)
    assert answer.name == "sum"
    methods = [request.method.rpartition("/")[2] for request in list(world.requests)[seen:]]
    assert methods == ["WaitOperation"]


@pytest.mark.parametrize("status", [grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND])
def test_an_operation_of_cloud_run_that_ends_badly_is_an_error_with_its_message(
    status: grpc.StatusCode, google: Google, start: Callable[..., RunOperation]
) -> None:
    def work() -> None:
        raise refused(status, "Revision 'sum-00001-abc' is not ready and cannot serve traffic.")

    with pytest.raises(GoogleError, match="Revision 'sum-00001-abc' is not ready") as caught:
        google.finish(google.run, start(work), run_v2.Service)
    assert caught.value.status == status.name


def test_an_operation_of_cloud_run_that_takes_too_long_is_an_error(
    google: Google, start: Callable[..., RunOperation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "WAIT_SECONDS", 0.0)
    ended = threading.Event()
    running = start(lambda: run_v2.Service() if ended.wait(5) else None)
    with pytest.raises(GoogleError, match=r"DEADLINE_EXCEEDED from operation: .* took over 0 s"):
        google.finish(google.run, running, run_v2.Service, seconds=0.0)
    ended.set()


# The end of the run


def of_a_run_that_can_end(google: Google, address: str | None = None) -> tuple[Google, Cancellation]:
    cancellation = Cancellation()
    return Google(google._credentials, address or google._emulator, cancellation=cancellation), cancellation


def test_after_a_cancellation_nothing_is_asked_and_nothing_written(google: Google, fail: Fail) -> None:
    door, cancellation = of_a_run_that_can_end(google)
    reads, writes = (fail(method, refused(grpc.StatusCode.INTERNAL), times=0) for method in ("get", "set"))
    cancellation.ask()

    for call in (read_policy, write_policy):
        with pytest.raises(Cancelled) as caught:
            call(door)
        assert not caught.value.begun

    assert reads == writes == []
    assert door.writes == 0


def test_what_passes_by_itself_is_not_waited_out_after_a_cancellation(google: Google, fail: Fail) -> None:
    door, cancellation = of_a_run_that_can_end(google)
    calls = fail("get", refused(grpc.StatusCode.UNAVAILABLE), times=1000)
    threading.Timer(0.3, cancellation.ask).start()

    with pytest.raises(Cancelled):
        read_policy(door)

    assert calls


@pytest.mark.parametrize("call", [read_policy, write_policy])
def test_a_call_that_is_cut_off_ends_and_only_of_a_write_nobody_knows_what_it_did(
    call: Callable[[Google], Any], google: Google, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    door, cancellation = of_a_run_that_can_end(google)
    silent = threading.Event()

    def cut(*_: Any) -> None:
        cancellation.ask()
        cancellation.cut()
        silent.wait(10)

    monkeypatch.setattr(world.policies, "get", cut)
    monkeypatch.setattr(world.policies, "set", cut)
    with pytest.raises(Cancelled) as caught:
        call(door)
    silent.set()

    assert caught.value.begun is (call is write_policy)


@pytest.mark.parametrize("error", [exceptions.Cancelled("closed"), ValueError("Cannot invoke RPC on closed channel!")])
def test_a_call_whose_connection_is_closed_is_cancelled_only_where_the_run_is_to_end(
    error: Exception, google: Google
) -> None:
    door, cancellation = of_a_run_that_can_end(google)

    def closed(**_: Any) -> None:
        raise error

    def closed_at_the_end(**_: Any) -> None:
        cancellation.ask()
        raise error

    with pytest.raises(GoogleError):
        door.write(around(google, closed), None)
    with pytest.raises(Cancelled):
        door.write(around(google, closed_at_the_end), None)


def test_what_google_refuses_while_the_run_ends_is_a_refusal_all_the_same(google: Google) -> None:
    door, cancellation = of_a_run_that_can_end(google)

    def refuse(**_: Any) -> None:
        cancellation.ask()
        raise exceptions.PermissionDenied("no")

    with pytest.raises(GoogleError, match="PERMISSION_DENIED"):
        door.write(around(google, refuse), None)


@pytest.mark.parametrize("begun", [True, False])
def test_what_is_waited_for_in_google_cloud_has_begun_unless_it_is_said_to_be_somebody_elses_doing(
    google: Google, begun: bool
) -> None:
    door, cancellation = of_a_run_that_can_end(google)
    polls = door.poll(60.0) if begun else door.poll(60.0, begun=False)
    next(polls)
    cancellation.ask()

    with pytest.raises(Cancelled) as caught:
        next(polls)

    assert caught.value.begun == begun


def test_each_thread_knows_what_it_has_written(google: Google) -> None:
    write_policy(google)
    other: list[int] = []
    thread = threading.Thread(target=lambda: other.append(google.writes))
    thread.start()
    thread.join()

    assert google.writes > 0
    assert other == [0]


# Where calls go


def test_every_client_speaks_to_the_emulator_and_to_nothing_else(
    google: Google, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets: list[str] = []
    secure_channel = grpc.secure_channel

    def note(target: str, *arguments: Any, **named: Any) -> grpc.Channel:
        targets.append(target)
        return secure_channel(target, *arguments, **named)

    monkeypatch.setattr(grpc, "secure_channel", note)
    monkeypatch.setattr(grpc, "insecure_channel", lambda target, *_: pytest.fail(f"no token would be sent to {target}"))
    fresh = Google(google._credentials, emulator.address)
    for client in CLIENTS:
        assert getattr(fresh, client) is getattr(fresh, client)
    assert targets == [emulator.address]


def test_without_an_emulator_each_api_has_one_channel_to_its_own_host_over_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    targets: list[str] = []
    secure_channel = grpc.secure_channel

    def note(target: str, *_: Any, **__: Any) -> grpc.Channel:
        targets.append(target)
        return secure_channel("127.0.0.1:9", grpc.local_channel_credentials())

    monkeypatch.setattr(grpc, "secure_channel", note)
    credentials = google.oauth2.credentials.Credentials("ya29.token")
    real = Google(credentials)
    for client in CLIENTS:
        getattr(real, client)
    hosts = (
        *(
            "artifactregistry",
            "cloudbuild",
            "eventarc",
            "iam",
            "cloudresourcemanager",
            "pubsub",
            "run",
            "logging",
            "serviceusage",
        ),
    )
    assert targets == [f"{host}.googleapis.com:443" for host in hosts]


def test_connections_are_there_before_the_first_call(google: Google) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        door, cancellation = of_a_run_that_can_end(google, f"127.0.0.1:{server.getsockname()[1]}")
        door.prepare(["run"])

        connection, _ = server.accept()
        with connection:
            connection.settimeout(5)
            assert connection.recv(3) == b"PRI", "how HTTP/2 begins"
        cancellation.cut()


def test_every_client_of_the_door_is_in_these_tests() -> None:
    found = {name for name, it in vars(Google).items() if type(it).__name__ == "cached_property"}
    assert {name for name in found if not name.startswith("_")} == set(CLIENTS)


def test_every_request_carries_the_token_and_a_deadline(google: Google, world: World) -> None:
    seen = len(world.requests)
    given: dict[str, Any] = {}

    def get_topic(**arguments: Any) -> None:
        given.update(arguments)

    google.read(around(google, get_topic), "a request")
    assert given == {"request": "a request", "timeout": door.CALL_SECONDS, "retry": None}
    google.find(google.publisher.get_topic, pubsub.GetTopicRequest(topic=f"{PROJECT}/topics/nowhere"))
    (request,) = list(world.requests)[seen:]
    assert request.principal == f"serviceAccount:{world.iam.deployer}"


def test_each_policy_has_one_lock(google: Google) -> None:
    assert google.policy_lock(PROJECT) is google.policy_lock(PROJECT)
    assert google.policy_lock(PROJECT) is not google.policy_lock("projects/other")


# How fast


ONE_A_MINUTE = Rates(Rate(per_minute=1, burst=1), Rate(per_minute=1, burst=1))


def slowly(host: str, clock: Clock, google: Google, progress: Callable[[str], None] = lambda _: None) -> Google:
    """The same door, for a run in which an API is asked once a minute."""
    slow = Google(google._credentials, google._emulator, progress, Cancellation(clock))
    slow._limiters = Limiters({host: ONE_A_MINUTE})
    return slow


@pytest.mark.parametrize("call", [read_policy, write_policy])
def test_an_api_is_asked_no_faster_than_it_may_be(call: Callable[[Google], Any], google: Google) -> None:
    clock, told = SimulatedClock(), list[str]()
    slow = slowly("cloudresourcemanager.googleapis.com", clock, google, told.append)

    for _ in range(3):
        call(slow)

    assert clock.waits == [60.0, 60.0]
    assert told == ["Waiting, as cloudresourcemanager.googleapis.com is asked no faster than Google Cloud allows."]


def test_lists_and_methods_over_http_take_turns_like_all_others(google: Google) -> None:
    clock = SimulatedClock()
    slow = slowly("pubsub.googleapis.com", clock, google)
    for _ in range(2):
        slow.list(slow.publisher.list_topics, pubsub.ListTopicsRequest(project=PROJECT))
    assert clock.waits == [60.0]

    slow = slowly("iam.googleapis.com", clock, google)
    for _ in range(2):
        request = RestRequest("GET", f"iam.googleapis.com/v1/{PROJECT}/locations/global/workloadIdentityPools/none")
        with contextlib.suppress(GoogleError):  # the caller may not read it
            slow.find(slow.rest("get_workload_identity_pool"), request)
    assert clock.waits == [60.0, 60.0]


def test_reading_logs_and_waiting_for_messages_take_turns_though_there_are_functions_around_the_methods(
    google: Google,
) -> None:
    clock = SimulatedClock()
    slow = slowly("logging.googleapis.com", clock, google)
    source = logs.RevisionLog(project_id="my-project", location="europe-west1", service="sum", revision="")
    for _ in range(2):
        logs.glance(slow, source)
    assert clock.waits == [60.0]

    slow = slowly("pubsub.googleapis.com", clock, google)
    for _ in range(2):
        with contextlib.suppress(GoogleError):  # there is no such subscription
            question._pull(slow, f"{PROJECT}/subscriptions/none", 60.0, ())
    assert clock.waits == [60.0, 60.0]


def test_a_function_that_is_of_no_api_is_not_called(google: Google) -> None:
    with pytest.raises(AttributeError):
        google.read(lambda **_: None, None)


def test_waiting_for_turns_takes_nothing_of_the_patience_with_a_refusal_that_passes(google: Google) -> None:
    clock, rate = SimulatedClock(), Rates(Rate(per_minute=1, burst=1))
    slow = by(clock, google)
    slow._limiters = Limiters({"cloudresourcemanager.googleapis.com": rate})
    refusal = exceptions.ResourceExhausted(
        "slower", error_info=error_details_pb2.ErrorInfo(reason="RATE_LIMIT_EXCEEDED")
    )
    answers = [refusal] * 4

    def refuse(**_: Any) -> str:
        if answers:
            raise answers.pop()
        return "done"

    assert slow.write(around(google, refuse), None) == "done"
    assert clock.time > 1.5 * quirks.RATE_LIMITED.seconds


def test_every_client_is_of_an_api_whose_rate_is_known(google: Google) -> None:
    assert {door._host(getattr(google, client).__enter__, None) for client in CLIENTS} == set(RATES)


def test_a_run_that_is_to_end_waits_for_no_turn(google: Google, world: World) -> None:
    slow = slowly("cloudresourcemanager.googleapis.com", Clock(), google)
    read_policy(slow)
    before = len(world.requests)
    threading.Timer(0.2, slow.cancellation.ask).start()

    with pytest.raises(Cancelled) as caught:
        read_policy(slow)

    assert not caught.value.begun
    assert len(world.requests) == before


def test_what_a_refusal_tells_of_the_quota_is_kept_to(google: Google, fail: Fail) -> None:
    told = {"quota_limit": "WriteRequestsPerMinutePerProject", "quota_limit_value": "6"}
    detail = error_details_pb2.ErrorInfo(reason="RATE_LIMIT_EXCEEDED", domain="googleapis.com", metadata=told)
    calls = fail("set", ApiError(grpc.StatusCode.RESOURCE_EXHAUSTED, "no", detail), 1)
    clock = SimulatedClock()
    door = by(clock, google)

    for _ in range(3):
        write_policy(door)

    assert len(calls) == 4
    assert clock.now() == pytest.approx(3 * 12.0), "five a minute, a little less than it says"
