"""The one door to Google Cloud: clients, endpoint, deadlines, retries, operations and errors.

No other module builds a client, a channel or a retry. Client libraries are imported when they are first needed.
"""

from __future__ import annotations

import functools
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import google.auth.transport.requests
import grpc
import requests
from google.api_core import exceptions, grpc_helpers, retry

from octue_action.cancellation import Cancellation, Cancelled

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from google.cloud.artifactregistry_v1 import ArtifactRegistryClient
    from google.cloud.devtools.cloudbuild_v1 import CloudBuildClient
    from google.cloud.eventarc_v1 import EventarcClient
    from google.cloud.iam_admin_v1 import IAMClient
    from google.cloud.resourcemanager_v3 import ProjectsClient
    from google.cloud.run_v2 import ServicesClient
    from google.iam.v1.policy_pb2 import Policy
    from google.longrunning.operations_pb2 import Operation
    from google.pubsub_v1 import PublisherClient, SubscriberClient

Answer = TypeVar("Answer")
Client = TypeVar("Client")
Item = TypeVar("Item")

SCOPE = "https://www.googleapis.com/auth/cloud-platform"

ISSUES_URL = "https://github.com/octue/deploy-cloud-run-action/issues/new"

CALL_SECONDS = 60.0
"""Deadline of one request: several client libraries have none of their own."""

OPERATION_SECONDS = 15 * 60.0
"""How long a long-running operation may take: longer than Cloud Run and Eventarc themselves try."""


class Failure(Exception):
    """Something that could not be done, told to a person.

    :param message: what happened and why.
    :param remedy: one thing to do, which can be pasted; empty where none is known.
    :param log_url: of a build that failed: where its log is.
    """

    def __init__(self, message: str, remedy: str = "", log_url: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.log_url = log_url


def fault(error: Exception) -> Failure:
    """A mistake of this action's own, told to a person; the error stays attached for debug logging."""
    failure = Failure(
        f"This is a fault of the action itself, not of your service: {type(error).__name__}: {error}",
        f"Run the job again with debug logging, and report what it says:\n{ISSUES_URL}",
    )
    failure.__cause__ = error
    return failure


class GoogleError(Failure):
    """A refusal of one of Google's APIs.

    :param method: what was called, ``create_service``.
    :param status: the canonical code's name, ``PERMISSION_DENIED``.
    :param reason: ``ErrorInfo.reason`` where the answer carries one, ``SERVICE_DISABLED``.
    """

    def __init__(self, method: str, status: str, message: str, reason: str = "", remedy: str = "") -> None:
        super().__init__(f"{status} from {method}: {message}" if message else f"{status} from {method}", remedy)
        self.method = method
        self.status = status
        self.reason = reason


@dataclass(frozen=True)
class Quirk:
    """A refusal that is known to pass by itself.

    :param told: what is waited for, as a sentence for the log; empty where it is not worth one.
    :param holds: whether an error is this one.
    :param seconds: how long it is waited for.
    """

    told: str
    holds: Callable[[Exception], bool]
    seconds: float


def _is_transient(error: Exception) -> bool:
    """503 and lost connections (UNAVAILABLE), 500, 504, and 429 where it is a rate and not a count of things.

    Source: hashicorp/terraform-provider-google, error_retry_predicates.go, isCommonRetryableErrorCode and
    Is429RetryableQuotaError.
    """
    if isinstance(error, exceptions.ResourceExhausted):
        return bool(error.reason == "RATE_LIMIT_EXCEEDED")
    return isinstance(error, exceptions.ServiceUnavailable | exceptions.InternalServerError | exceptions.GatewayTimeout)


def _says(kind: type[Exception], *patterns: str) -> Callable[[Exception], bool]:
    return lambda error: isinstance(error, kind) and any(re.search(p, str(error).lower()) for p in patterns)


TRANSIENT = Quirk("", _is_transient, 60.0)
"""For reads, which can be repeated without harm."""

SERVICE_ACCOUNT_NOT_YET_IN_POLICIES = Quirk(
    "Waiting until policies accept the new service account.",
    _says(exceptions.InvalidArgument, r"service account .* does not exist"),
    5 * 60.0,
)
"""A policy names an account that was made a moment ago; a role that does not exist is refused in like words, for ever.

Source: hashicorp/terraform-provider-google, IamServiceAccountNotFound.
"""

SERVICE_ACCOUNT_NOT_YET_USABLE = Quirk(
    "Waiting until Cloud Run sees the new service account.",
    _says(exceptions.Forbidden, "iam.serviceaccounts.actas", "does not have permission to get access tokens"),
    5 * 60.0,
)
"""Cloud Run does not see an account, or the right to act as it, that was made a moment ago: wait only after making one.

Sources: google/keyword_factory#22, GoogleCloudPlatform/terraform-google-cloud-run#28.
"""

EVENTARC_AGENT_NOT_READY = Quirk(
    "Waiting until Eventarc is ready in this project; the first time it takes some minutes.",
    _says(
        exceptions.BadRequest,
        "permission denied while using the eventarc service agent",
        r"service account .* does not exist",
    ),
    7 * 60.0,
)
"""The first trigger of a project, and a trigger for an account made a moment ago.

Source: GoogleCloudPlatform/terraform-docs-samples#203.
"""


class Google:
    """Calls Google's APIs as one caller.

    :param credentials: of google-auth; refreshed as needed.
    :param emulator: ``127.0.0.1:PORT`` where an emulator answers in Google's place; None for Google itself.
    :param progress: told, in a sentence, what is being waited for.
    :param cancellation: after which no call begins, and all connections may be cut.
    """

    def __init__(
        self,
        credentials: Credentials,
        emulator: str | None = None,
        progress: Callable[[str], None] = lambda _: None,
        cancellation: Cancellation | None = None,
    ) -> None:
        self.progress = progress
        self.cancellation = cancellation or Cancellation()
        self.cancellation.cut = self._close
        self._channels: list[grpc.Channel] = []
        self._written = threading.local()
        self._credentials = credentials
        self._emulator = emulator
        self._lock = threading.RLock()
        self._policy_locks: dict[str, threading.Lock] = {}
        self.policies: dict[str, Policy] = {}
        """The IAM policies as they were last seen, by resource; read and written under ``policy_lock``."""

    @functools.cached_property
    def run(self) -> ServicesClient:
        """Cloud Run's services."""
        from google.cloud.run_v2 import ServicesClient

        return self._client(ServicesClient, "run.googleapis.com")

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
        return self._call(method, request, (TRANSIENT,))

    def list(self, method: Callable[..., Iterable[Item]], request: Any) -> list[Item]:
        """Call a method that lists, and give the items of all pages.

        :raises GoogleError: where it is refused.
        """
        call = functools.partial(method, request=request, timeout=CALL_SECONDS, retry=None)
        return self._repeated(lambda: [*call()], (TRANSIENT,), getattr(method, "__name__", "list"))

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

    def write(self, method: Callable[..., Answer], request: Any, *, wait_out: Sequence[Quirk] = ()) -> Answer:
        """Call a method that changes something, once.

        :param wait_out: refusals after which nothing was done and which pass by themselves.
        :raises GoogleError: where it is refused.
        """
        answer = self._call(method, request, wait_out, writes=True)
        self._written.times = self.writes + 1
        return answer

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

    def finish(self, operation: Any, *, seconds: float = OPERATION_SECONDS) -> Any:
        """Wait for a long-running operation by asking again and again, and give its response.

        :param operation: as a client library's method gives it.
        :raises GoogleError: where it ends badly or takes longer than ``seconds``.
        """
        for _ in self.poll(seconds, at_once=False):
            if self._repeated(operation.done, (TRANSIENT,), operation.operation.name):
                return self._repeated(operation.result, (), operation.operation.name)
        raise GoogleError("operation", "DEADLINE_EXCEEDED", f"{operation.operation.name} took over {seconds:.0f} s.")

    def finish_run(self, operation: Any, response_type: type[Answer], *, seconds: float = OPERATION_SECONDS) -> Answer:
        """Wait for an operation of Cloud Run, which can wait on the server's side.

        :param operation: as a method of Cloud Run's client gives it.
        :param response_type: proto-plus class of the response.
        :raises GoogleError: where it ends badly or takes longer than ``seconds``.
        """
        state = operation.operation
        # The server may answer before the time is over, so between two questions there is a pause all the same.
        for _ in self.poll(seconds):
            if state.done:
                break
            state = self._wait_on_server(state.name)
        if not state.done:
            raise GoogleError("operation", "DEADLINE_EXCEEDED", f"{state.name} took over {seconds:.0f} s.")
        if state.HasField("error"):
            error = exceptions.from_grpc_status(_status_code(state.error.code), state.error.message)
            raise _google_error("Cloud Run", error)
        answer = response_type()
        state.response.Unpack(response_type.pb(answer))  # type: ignore[attr-defined]  # proto-plus gives each class pb()
        return answer

    def _wait_on_server(self, name: str) -> Operation:
        from google.longrunning import operations_pb2

        request = operations_pb2.WaitOperationRequest(name=name)
        request.timeout.FromSeconds(int(CALL_SECONDS) - 10)
        answer = self.read(self.run.wait_operation, request)
        # The gRPC transport of google-cloud-run 0.16 gives this one answer as raw bytes.
        return operations_pb2.Operation.FromString(answer) if isinstance(answer, bytes) else answer

    def _call(
        self, method: Callable[..., Answer], request: Any, quirks: Sequence[Quirk], *, writes: bool = False
    ) -> Answer:
        call = functools.partial(method, request=request, timeout=CALL_SECONDS, retry=None)
        return self._repeated(call, quirks, getattr(method, "__name__", "call"), writes=writes)

    def poll(self, seconds: float, *, begun: bool = True, **pauses: Any) -> Iterator[None]:
        """Yield again and again, as the function of that name does, until something in Google Cloud has ended.

        :param begun: whether it belongs to what this run makes; False where somebody else's doing is waited for first.
        :raises Cancelled: where the run is to end first.
        """
        try:
            yield from poll(seconds, pause=self.cancellation.pause, **pauses)
        except Cancelled:
            raise Cancelled(begun=begun) from None

    def _repeated(
        self, call: Callable[[], Answer], quirks: Sequence[Quirk], name: str, *, writes: bool = False
    ) -> Answer:
        begin = time.monotonic()
        pauses: dict[Quirk, Iterator[bool]] = {}
        while True:
            try:
                return self._once(call, writes=writes)
            except exceptions.GoogleAPICallError as error:
                quirk = next((quirk for quirk in quirks if quirk.holds(error)), None)
                if quirk is None or not next(pauses.setdefault(quirk, self._pauses(quirk, begin)), False):
                    raise _google_error(name, error) from error

    def _once(self, call: Callable[[], Answer], *, writes: bool) -> Answer:
        self.cancellation.check()
        try:
            return call()
        except (exceptions.Cancelled, ValueError):
            # So ends a call whose channel is closed, and so is one refused that comes after. Nobody knows what it did.
            if self.cancellation.asked:
                raise Cancelled(begun=writes) from None
            raise

    def _pauses(self, quirk: Quirk, begin: float) -> Iterator[bool]:
        """Pause as often as the quirk has time for, telling once, and not for every try, what is waited for.

        :param begin: when the first try began, by ``time.monotonic``: one that gets no answer takes of that time, too.
        """
        end = begin + quirk.seconds
        if quirk.told:
            self.progress(quirk.told)
        for pause in retry.exponential_sleep_generator(0.5, 15.0):
            if time.monotonic() + pause > end:
                return
            self.cancellation.pause(pause)
            yield True

    def _close(self) -> None:
        """End every call that is under way."""
        with self._lock:
            for channel in self._channels:
                channel.close()

    def _client(self, client_class: Callable[..., Client], host: str) -> Client:
        transport = client_class.get_transport_class("grpc")  # type: ignore[attr-defined]  # each client class has it
        with self._lock:
            channel = self._channel(host)
            self._channels.append(channel)
            return client_class(transport=transport(channel=channel))

    def _channel(self, host: str) -> grpc.Channel:
        if self._emulator is not None:
            return self._emulator_channel
        channel: grpc.Channel = grpc_helpers.create_channel(
            f"{host}:443", credentials=self._credentials, default_scopes=(SCOPE,)
        )
        return channel

    @functools.cached_property
    def _emulator_channel(self) -> grpc.Channel:
        # An insecure channel would send no token at all; local credentials do, on loopback only.
        credentials = grpc.composite_channel_credentials(
            grpc.local_channel_credentials(), grpc.metadata_call_credentials(_BearerToken(self._credentials))
        )
        options = (("grpc.enable_http_proxy", 0),)  # no proxy stands before an emulator, whatever the variables say
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
        callback((("authorization", f"Bearer {self._credentials.token}"),), None)


def session_for(*, emulator: bool) -> requests.Session:
    """A session for requests over HTTP; an emulator is asked itself, whatever the variables say of proxies."""
    session = requests.Session()
    session.trust_env = not emulator
    return session


def poll(
    seconds: float,
    *,
    pause: Callable[[float], None] | None = None,
    first: float = 0.3,
    growth: float = 1.6,
    most: float = 10.0,
    at_once: bool = True,
) -> Iterator[None]:
    """Yield again and again after growing pauses, until that many seconds have passed.

    :param seconds: how long in all.
    :param pause: waits so many seconds; ``time.sleep`` unless given.
    :param first: the first pause in seconds; each next one is ``growth`` times longer, up to ``most``.
    :param at_once: whether to yield before the first pause, too; needless for what has only just begun.
    """
    end, length = time.monotonic() + seconds, first
    if at_once:
        yield
    while time.monotonic() + length <= end:
        (pause or time.sleep)(length)
        yield
        length = min(length * growth, most)


def _google_error(method: str, error: Exception) -> GoogleError:
    grpc_status = getattr(error, "grpc_status_code", None)
    status = grpc_status.name if grpc_status is not None else type(error).__name__
    return GoogleError(method, status, getattr(error, "message", str(error)), getattr(error, "reason", "") or "")


def _status_code(number: int) -> grpc.StatusCode:
    return next(code for code in grpc.StatusCode if code.value[0] == number)
