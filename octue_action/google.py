"""The one door to Google Cloud: clients, endpoint, deadlines, retries, operations and errors.

No other module builds a client, a channel or a retry. Client libraries are imported when they are first needed.
"""

from __future__ import annotations

import datetime
import functools
import inspect
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import google.auth.transport.requests
import grpc
from google.api_core import exceptions, grpc_helpers
from google.auth.transport.requests import AuthorizedSession

from octue_action import quirks
from octue_action.cancellation import Cancellation, Cancelled
from octue_action.failure import Failure, GoogleError
from octue_action.pruned_imports import connect
from octue_action.quirks import Quirk
from octue_action.rates import Limiters
from octue_action.rest import RestMethod, RestRequest
from octue_action.session import SCOPE, session_for

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from google.cloud.artifactregistry_v1 import ArtifactRegistryClient
    from google.cloud.devtools.cloudbuild_v1 import CloudBuildClient
    from google.cloud.eventarc_v1 import EventarcClient
    from google.cloud.iam_admin_v1 import IAMClient
    from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
    from google.cloud.resourcemanager_v3 import ProjectsClient
    from google.cloud.run_v2 import RevisionsClient, ServicesClient
    from google.cloud.service_usage_v1 import ServiceUsageClient
    from google.iam.v1.policy_pb2 import Policy
    from google.longrunning.operations_pb2 import Operation
    from google.protobuf.message import Message
    from google.pubsub_v1 import PublisherClient, SubscriberClient

Answer = TypeVar("Answer")
Client = TypeVar("Client")
Item = TypeVar("Item")

CALL_SECONDS = 60.0
"""Deadline of one request: several client libraries have none of their own."""

OPERATION_SECONDS = 15 * 60.0
"""How long a long-running operation may take: longer than Cloud Run and Eventarc themselves try."""

LONG_WAIT = 5.0
"""After how many seconds of waiting for its turn a request is worth a line."""

LONG_AGO = datetime.datetime(1970, 1, 2)
"""When a token that was refused has ended."""

_TOO_LONG = "received metadata size exceeds"
_NO_TOKEN = "metadata from plugin failed"  # noqa: S105 - what gRPC says, and no token

_OPTIONS = (("grpc.max_receive_message_length", -1),)
"""gRPC itself takes no more than 4 MiB, and a message of Pub/Sub has up to 10 MB."""

WAIT_SECONDS = 50.0
"""How long one question may wait for an operation on the server's side."""


class Google:
    """Calls Google's APIs as one caller.

    :param credentials: of google-auth; refreshed as needed.
    :param emulator: ``127.0.0.1:PORT`` where an emulator answers in Google's place; None for Google itself.
    :param progress: told, in a sentence, what is being waited for.
    :param cancellation: after which no call begins, and all connections may be cut.
    :param patience: refusals that pass by themselves for this caller, beside those that do for all.
    """

    def __init__(
        self,
        credentials: Credentials,
        emulator: str | None = None,
        progress: Callable[[str], None] = lambda _: None,
        cancellation: Cancellation | None = None,
        patience: Sequence[Quirk] = (),
    ) -> None:
        self.progress = progress
        self._patience = tuple(patience)
        self.cancellation = cancellation or Cancellation()
        self.cancellation.cut = self._close
        self._channels: dict[str, grpc.Channel] = {}
        self._limiters = Limiters()
        self._waits_told: set[str] = set()
        self._written = threading.local()
        self._turns = threading.local()
        self._credentials = credentials
        self._emulator = emulator
        self._lock = threading.RLock()
        self._policy_locks: dict[str, threading.Lock] = {}
        self.policies: dict[str, Policy] = {}
        """The IAM policies as they were last seen, by resource; read and written under ``policy_lock``."""
        self.subscriptions: dict[str, str] = {}
        """The subscription that Eventarc last told for a trigger, by the trigger's full name, for one reading of it.

        Empty where it told none.
        """

    @functools.cached_property
    def run(self) -> ServicesClient:
        """Cloud Run's services."""
        from google.cloud.run_v2 import ServicesClient

        return self._client(ServicesClient, "run.googleapis.com")

    @functools.cached_property
    def revisions(self) -> RevisionsClient:
        """Cloud Run's revisions."""
        from google.cloud.run_v2 import RevisionsClient

        return self._client(RevisionsClient, "run.googleapis.com")

    @functools.cached_property
    def publisher(self) -> PublisherClient:
        """Pub/Sub's topics."""
        from google.pubsub_v1 import PublisherClient

        return self._client(PublisherClient, "pubsub.googleapis.com")

    @functools.cached_property
    def subscriber(self) -> SubscriberClient:
        """Pub/Sub's subscriptions."""
        from google.pubsub_v1 import SubscriberClient

        return self._client(SubscriberClient, "pubsub.googleapis.com")

    @functools.cached_property
    def eventarc(self) -> EventarcClient:
        """Eventarc's triggers."""
        from google.cloud.eventarc_v1 import EventarcClient

        return self._client(EventarcClient, "eventarc.googleapis.com")

    @functools.cached_property
    def cloud_build(self) -> CloudBuildClient:
        """Cloud Build's triggers and builds."""
        from google.cloud.devtools.cloudbuild_v1 import CloudBuildClient

        return self._client(CloudBuildClient, "cloudbuild.googleapis.com")

    @functools.cached_property
    def artifact_registry(self) -> ArtifactRegistryClient:
        """Artifact Registry's repositories and tags."""
        from google.cloud.artifactregistry_v1 import ArtifactRegistryClient

        return self._client(ArtifactRegistryClient, "artifactregistry.googleapis.com")

    @functools.cached_property
    def iam(self) -> IAMClient:
        """Service accounts."""
        from google.cloud.iam_admin_v1 import IAMClient

        return self._client(IAMClient, "iam.googleapis.com")

    @functools.cached_property
    def projects(self) -> ProjectsClient:
        """Projects and their policies."""
        from google.cloud.resourcemanager_v3 import ProjectsClient

        return self._client(ProjectsClient, "cloudresourcemanager.googleapis.com")

    @functools.cached_property
    def logging(self) -> LoggingServiceV2Client:
        """Logs; without the rest of google-cloud-logging, which would write them."""
        from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client

        return self._client(LoggingServiceV2Client, "logging.googleapis.com")

    @functools.cached_property
    def service_usage(self) -> ServiceUsageClient:
        """Which APIs are on."""
        from google.cloud.service_usage_v1 import ServiceUsageClient

        return self._client(ServiceUsageClient, "serviceusage.googleapis.com")

    def prepare(self, clients: Iterable[str]) -> None:
        """Import clients, make them, and open their connections, before they are needed: it takes no token yet.

        :param clients: names of properties, ``run``.
        """
        for name in clients:
            getattr(self, name)
        for channel in self._channels.values():
            connect(channel)

    def rest(self, name: str) -> RestMethod:
        """A method that there is over HTTP alone.

        :param name: by which it is told, ``create_workload_identity_pool``.
        """
        return RestMethod(name, self._session, f"http://{self._emulator}" if self._emulator else "https:/")

    @property
    def writes(self) -> int:
        """How often the calling thread has changed something in Google Cloud."""
        return getattr(self._written, "times", 0)

    def policy_lock(self, resource: str) -> threading.Lock:
        """The lock that keeps two of our own threads from changing one IAM policy at a time."""
        with self._lock:
            return self._policy_locks.setdefault(resource, threading.Lock())

    def read(self, method: Callable[..., Answer], request: Any) -> Answer:
        """Call a method that changes nothing; what passes by itself is repeated.

        :raises GoogleError: where it is refused.
        """
        return self._read(method, request, quirks.OF_READINGS)

    def list(
        self,
        method: Callable[..., Iterable[Item]],
        request: Any,
        *,
        passing: Sequence[Quirk] = quirks.OF_READINGS,
    ) -> list[Item]:
        """Call a method that lists, and give the items of all pages.

        :param passing: what is repeated.
        :raises GoogleError: where it is refused.
        """
        waited_for = (*passing, *self._patience)
        return self.repeat(lambda: self._once(lambda **named: [*method(**named)], request, method), waited_for)

    def find(self, method: Callable[..., Answer], request: Any) -> Answer | None:
        """Call a method that reads one thing; None where there is no such thing.

        :raises GoogleError: where it is refused for another reason.
        """
        try:
            return self.read(method, request)
        except GoogleError as error:
            if error.status == "NOT_FOUND":
                return None
            raise

    def write(self, method: Callable[..., Answer], request: Any) -> Answer:
        """Call a method that changes something; it is repeated only where it is known that nothing was done.

        :raises GoogleError: where it is refused, or nobody knows what was done (``quirks.OUTCOME_UNKNOWN``).
        """
        return self.repeat(lambda: self._write_once(method, request), (*quirks.OF_WRITES, *self._patience))

    def remove(self, method: Callable[..., Answer], request: Any) -> Answer | None:
        """Call a method that deletes one thing; None where it is gone already.

        :raises GoogleError: where it is refused for another reason.
        """
        try:
            return self.write(method, request)
        except GoogleError as error:
            if error.status == "NOT_FOUND":
                return None
            raise

    def held(self, resource: str, permissions: Iterable[str]) -> frozenset[str]:
        """Those of the permissions that the caller has on something.

        :param resource: relative name of a project, a service account, a Cloud Run service, a topic, a subscription or
            an image repository.
        :param permissions: at most 100.
        :raises GoogleError: where it is not there, among others.
        """
        from google.iam.v1 import iam_policy_pb2

        request = iam_policy_pb2.TestIamPermissionsRequest(resource=resource, permissions=permissions)
        return frozenset(self.read(self.policy_client(resource).test_iam_permissions, request).permissions)

    def policy_client(self, resource: str) -> Any:
        """The client that knows the IAM policy of something.

        :param resource: as for ``held``.
        """
        clients: dict[str, Callable[[], Any]] = {
            "projects": lambda: self.projects,
            "repositories": lambda: self.artifact_registry,
            "serviceAccounts": lambda: self.iam,
            "services": lambda: self.run,
            "subscriptions": lambda: self.subscriber,
            "topics": lambda: self.publisher,
        }
        return clients[resource.split("/")[-2]]()

    def finish(
        self, client: Any, operation: Any, response_type: type[Answer], *, seconds: float = OPERATION_SECONDS
    ) -> Answer:
        """Wait for a long-running operation, on the server's side where the API can, and give its response.

        :param client: of the API that began it.
        :param operation: as a method of that client gives it.
        :param response_type: proto-plus or protobuf class of the response.
        :raises GoogleError: where it ends badly or takes longer than ``seconds``.
        """
        state = operation.operation
        # The server may answer before the time is over, so between two questions there is a pause all the same.
        for _ in self.poll(seconds, at_once=state.done or _can_wait(client)):
            if not state.done:
                state = self._operation(client, state.name)
            if state.done:
                break
        if not state.done:
            raise _overdue(state.name, seconds)
        if state.HasField("error"):
            raise GoogleError("operation", _status(state.error.code), state.error.message, is_of_operation=True)
        answer = response_type()
        state.response.Unpack(_protobuf(answer))
        return answer

    def finish_rest(
        self, operation: Mapping[str, Any], api: str, *, seconds: float = OPERATION_SECONDS
    ) -> dict[str, Any]:
        """Wait for a long-running operation of an API that there is over HTTP alone, and give its response.

        :param operation: as a method of it gives it.
        :param api: host and version, ``iam.googleapis.com/v1``.
        :raises GoogleError: where it ends badly or takes longer than ``seconds``.
        """
        passing = (*quirks.OF_READINGS, quirks.OPERATION_NOT_YET_VISIBLE)
        for _ in self.poll(seconds, at_once=bool(operation.get("done"))):
            if not operation.get("done"):
                request = RestRequest("GET", f"{api}/{operation['name']}")
                operation = self._read(self.rest("get_operation"), request, passing)
            if operation.get("done"):
                break
        if not operation.get("done"):
            raise _overdue(str(operation["name"]), seconds)
        if "error" in operation:
            error = operation["error"]
            raise GoogleError(
                "operation", _status(error.get("code", 2)), str(error.get("message", "")), is_of_operation=True
            )
        return dict(operation.get("response", {}))

    def _operation(self, client: Any, name: str) -> Operation:
        from google.longrunning import operations_pb2

        passing = (*quirks.OF_READINGS, quirks.OPERATION_NOT_YET_VISIBLE)
        if not _can_wait(client):
            return self._read(client.get_operation, operations_pb2.GetOperationRequest(name=name), passing)
        request = operations_pb2.WaitOperationRequest(name=name)
        request.timeout.FromSeconds(int(WAIT_SECONDS))
        answer = self._read(client.wait_operation, request, passing)
        # The gRPC transport of google-cloud-run 0.16 gives this one answer as raw bytes.
        return operations_pb2.Operation.FromString(answer) if isinstance(answer, bytes) else answer

    def poll(self, seconds: float, *, begun: bool = True, **pauses: Any) -> Iterator[None]:
        """Yield again and again, as ``Cancellation.poll`` does, until something in Google Cloud has ended.

        :param begun: whether it belongs to what this run makes; False where somebody else's doing is waited for first.
        :raises Cancelled: where the run is to end first.
        """
        try:
            yield from self.cancellation.poll(seconds, **pauses)
        except Cancelled:
            raise Cancelled(begun=begun) from None

    def repeat(self, attempt: Callable[[], Answer], passing: Sequence[Quirk], *, about: str = "") -> Answer:
        """Try until it succeeds, or fails with something that does not pass, or not in time.

        :param about: what is tried, where that is not plain from what is told of the quirk.
        :raises Failure: of the last try.
        :raises Cancelled: where the run is to end first.
        """
        waits: dict[Quirk, Iterator[None]] = {}
        while True:
            try:
                return attempt()
            except Failure as failure:
                quirk = next((quirk for quirk in passing if quirk.holds(failure)), None)
                if quirk is None:
                    raise
                try:
                    next(waits.setdefault(quirk, self._waits(quirk, about)))
                except StopIteration:
                    raise failure from failure.__cause__

    def _waits(self, quirk: Quirk, about: str) -> Iterator[None]:
        """Wait as often as the quirk has time for, telling once, and not for every try, what is waited for.

        Until a try has its turn with an API does not count: it says nothing of how long the quirk lasts.
        """
        end = self.cancellation.now() + quirk.seconds - self._waited_for_turns
        if quirk.told:
            self.progress(f"{about}: {quirk.told}" if about else quirk.told)
        for pause in quirk.pauses():
            if self.cancellation.now() + pause > end + self._waited_for_turns:
                return
            self.cancellation.pause(pause)
            yield

    def _read(self, method: Callable[..., Answer], request: Any, passing: Sequence[Quirk]) -> Answer:
        return self.repeat(lambda: self._once(method, request, method), (*passing, *self._patience))

    def _write_once(self, method: Callable[..., Answer], request: Any) -> Answer:
        try:
            answer = self._once(method, request, method, writes=True)
        except GoogleError as error:
            self._written.times = self.writes + quirks.OUTCOME_UNKNOWN.holds(error)
            raise
        self._written.times = self.writes + 1
        return answer

    def _once(
        self, call: Callable[..., Answer], request: Any, method: Callable[..., Any], *, writes: bool = False
    ) -> Answer:
        host = _host(method, request)
        self._wait_for_turn(host, writes=writes)
        seconds, token = self.cancellation.within(CALL_SECONDS), self._credentials.token
        try:
            return call(request=request, timeout=seconds, retry=None)
        except (exceptions.GoogleAPICallError, ValueError) as error:
            # A call whose channel is closed ends with the one, one that comes after with the other.
            if self.cancellation.asked and isinstance(error, exceptions.Cancelled | ValueError):
                raise Cancelled(begun=writes) from None
            refusal = _google_error(method, error)
            if quirks.RATE_LIMITED.holds(refusal):
                self._limiters.learn(host, self.cancellation.now(), refusal.metadata, writes=writes)
            if quirks.TOKEN_REFUSED.holds(refusal) and self._credentials.token == token:
                self._credentials.expiry = LONG_AGO  # so that the next call asks for another one
            raise refusal from error

    def _wait_for_turn(self, host: str, *, writes: bool) -> None:
        """Wait until an API may be asked once more, telling once where that takes long.

        :raises Cancelled: where the run is to end first.
        """
        self.cancellation.check()
        seconds = self._limiters.turn(host, self.cancellation.now(), writes=writes)
        if seconds >= LONG_WAIT and host not in self._waits_told:
            self._waits_told.add(host)
            self.progress(f"Waiting, as {host} is asked no faster than Google Cloud allows.")
        if seconds > 0.0:
            self.cancellation.pause(seconds)
            self._turns.seconds = self._waited_for_turns + seconds

    @property
    def _waited_for_turns(self) -> float:
        """Seconds that this thread has waited for turns until now."""
        return float(getattr(self._turns, "seconds", 0.0))

    def _close(self) -> None:
        """End every call that is under way."""
        with self._lock:
            for channel in self._channels.values():
                channel.close()

    def _client(self, client_class: Callable[..., Client], host: str) -> Client:
        transport = client_class.get_transport_class("grpc")  # type: ignore[attr-defined]  # each client class has it
        with self._lock:
            return client_class(transport=transport(channel=self._channel(host)))

    def _channel(self, host: str) -> grpc.Channel:
        """The one channel to a host, which all clients of its API share."""
        target = self._emulator or f"{host}:443"
        if target not in self._channels:
            opened = self._open_to_emulator() if self._emulator is not None else self._open(target)
            self._channels[target] = opened
        return self._channels[target]

    def _open(self, target: str) -> grpc.Channel:
        channel: grpc.Channel = grpc_helpers.create_channel(
            target, credentials=self._credentials, default_scopes=(SCOPE,), options=_OPTIONS
        )
        return channel

    @functools.cached_property
    def _session(self) -> AuthorizedSession:
        asked = google.auth.transport.requests.Request(session_for(emulator=self._emulator is not None))
        # A token that is refused is asked for anew in one place: where all refusals are.
        session = AuthorizedSession(self._credentials, refresh_status_codes=(), auth_request=asked)
        session.trust_env = self._emulator is None
        return session

    def _open_to_emulator(self) -> grpc.Channel:
        # An insecure channel would send no token at all; local credentials do, on loopback only.
        credentials = grpc.composite_channel_credentials(
            grpc.local_channel_credentials(), grpc.metadata_call_credentials(_BearerToken(self._credentials))
        )
        # No proxy stands before an emulator, whatever the variables say.
        options = (*_OPTIONS, ("grpc.enable_http_proxy", 0))
        return grpc.secure_channel(str(self._emulator), credentials, options)


class _BearerToken(grpc.AuthMetadataPlugin):
    """Adds the access token to each call to an emulator.

    google-auth's own plugin would ask Google itself for the account's region boundary, in the background.
    """

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._lock = threading.Lock()

    def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:  # noqa: ARG002 - grpc's signature
        with self._lock:
            if not self._credentials.valid:
                self._credentials.refresh(google.auth.transport.requests.Request(session_for(emulator=True)))
            token = self._credentials.token
        callback((("authorization", f"Bearer {token}"),), None)


def _google_error(method: Callable[..., Any], error: Any) -> GoogleError:
    name = getattr(method, "__name__", "call")
    # A refusal that is too long for gRPC comes as another one, or as one that contradicts itself, which api-core minds.
    if isinstance(error, ValueError) or _TOO_LONG in error.message:
        return GoogleError(name, grpc.StatusCode.UNKNOWN.name, f"The answer makes no sense: {error}")
    status = error.grpc_status_code.name if error.grpc_status_code is not None else type(error).__name__
    # So gRPC says that there was no token to send: no call was made.
    if _NO_TOKEN in error.message:
        status = grpc.StatusCode.UNAUTHENTICATED.name
    return GoogleError(name, status, error.message, error.reason or "", metadata=error.metadata)


def _host(method: Callable[..., Any], request: Any) -> str:
    """The host of the API that a method is of: a client's own, or a function around one that ``functools.wraps``."""
    if isinstance(request, RestRequest):
        return request.url.partition("/")[0]
    return str(inspect.unwrap(method).__self__.DEFAULT_ENDPOINT)


def _overdue(name: str, seconds: float) -> GoogleError:
    return GoogleError(
        "operation",
        "DEADLINE_EXCEEDED",
        f"{name} took over {seconds:.0f} s.",
        remedy="Run the job again: it goes on from what is there by then.",
        is_of_operation=True,
    )


def _can_wait(client: Any) -> bool:
    """Whether an API can wait for its operations on the server's side, as Cloud Run's can."""
    return hasattr(client, "wait_operation")


def _protobuf(message: Any) -> Message:
    """The protobuf message inside a proto-plus one; a protobuf message as it is."""
    protobuf: Message = type(message).pb(message) if hasattr(type(message), "pb") else message
    return protobuf


def _status(number: int) -> str:
    """Name of a canonical code; a number that this version does not know is UNKNOWN."""
    return next((code.name for code in grpc.StatusCode if code.value[0] == number), grpc.StatusCode.UNKNOWN.name)
