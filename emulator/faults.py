"""What goes wrong on the way: calls that are refused, lost, late or answered otherwise, by method, count and moment.

Texts of the errors: as recorded or reported for Google's APIs; reasons: google/api/error_reason.proto.
"""

from __future__ import annotations

import copy
import enum
import fnmatch
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, TypeVar, Unpack

import grpc
from google.rpc import error_details_pb2

from emulator import apis
from emulator.errors import (
    ApiError,
    BadGateway,
    ConnectionReset,
    aborted,
    permission_denied,
    permission_error,
    service_disabled,
    unauthenticated,
)
from emulator.services import github, sts
from emulator.services.github_access import BOT
from emulator.services.github_errors import inaccessible, issues_disabled, too_fast
from emulator.tokens import INVALID

if TYPE_CHECKING:
    from emulator.world import World

Answer = TypeVar("Answer")
ErrorOf = Callable[[str, str], ApiError]
"""Makes an error for the full name of a method and the project's number."""

DEAD = "the caller is dead"
_SIGN_IN = (github.METHOD, sts.METHOD)
_DOMAIN = "googleapis.com"


class Moment(enum.Enum):
    """When a call is hit."""

    BEFORE = "before"
    """Nothing was done."""

    AFTER = "after"
    """It is done, and its answer is lost; an operation that it began goes on."""

    ANSWERED = "answered"
    """It is done and answered; only the death of a caller has this moment."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that goes wrong with calls.

    :param method: pattern of the full name, as the log of requests has it: ``google.pubsub.v1.Publisher/CreateTopic``,
        ``*/SetIamPolicy``, ``*``.
    :param error: what is answered instead, or what makes that for the method; ``None`` for the faults below.
    :param moment: whether the call is carried out before the error, or the reset.
    :param reset: whether the caller's connection is reset instead of any answer; gRPC loses all calls of that
        connection.
    :param late_seconds: by how many seconds of the machine's time the answer, or the error, is late: the deadlines of
        gRPC go by that time.
    :param change: gives what is answered in place of the right answer, from a copy of it.
    :param kills: whether every call after it is refused as one of a dead caller.
    :param skip: how many calls that match pass first, whether or not another fault hits them.
    :param times: how many calls it hits then; ``None`` for all.
    :param seconds: instead of ``times``: it hits all calls for so many seconds of the emulator's time from the first.
    :param principal: pattern of the callers, as the log of requests has them; where ``None`` the deployer's account,
        identities of the pool, jobs that ask GitHub, and whoever signs in: not a service, a build or a person.
    """

    method: str
    error: ApiError | ErrorOf | None = None
    moment: Moment = Moment.BEFORE
    reset: bool = False
    late_seconds: float = 0.0
    change: Callable[[Any], Any] | None = None
    kills: bool = False
    skip: int = 0
    times: int | None = 1
    seconds: float | None = None
    principal: str | None = None

    def __post_init__(self) -> None:
        if not (self.error or self.reset or self.late_seconds or self.change or self.kills):
            raise ValueError(f"Nothing goes wrong by this fault of {self.method}")
        if self.reset and self.error:
            raise ValueError("A connection that is reset carries no error")
        if self._refuses and (self.change or self.moment is Moment.ANSWERED):
            raise ValueError("There is either an answer or an error")

    def __str__(self) -> str:
        return f"{self._what} {self.method}, call {self.skip + 1}"

    @property
    def _refuses(self) -> bool:
        return self.reset or self.error is not None

    @property
    def _what(self) -> str:
        if self.kills:
            return f"death {self.moment.value}"
        refusal = self.refusal(self.method, "")
        if refusal is not None:
            return f"{refusal.name} {self.moment.value}"
        return "changed answer of" if self.change else f"answer {self.late_seconds:g} s late of"

    def refusal(self, method: str, project_number: str) -> ApiError | None:
        """What is answered instead; ``None`` where the answer is."""
        if self.reset:
            return ConnectionReset()
        if self.error is None or isinstance(self.error, ApiError):
            return self.error
        return self.error(method, project_number)


class UnusedFaults(AssertionError):
    """Faults that no call came for: the test does not test what it says."""


@dataclass(eq=False)
class _Armed:
    """A fault and what has come of it.

    :param seen: how many calls matched.
    :param hits: how many of them it hit.
    :param until: seconds since the epoch, when it ends.
    """

    fault: Fault
    seen: int = 0
    hits: int = 0
    until: float | None = None

    def is_due(self, now: float) -> bool:
        if self.seen <= self.fault.skip:
            return False
        if self.fault.seconds is not None:
            return self.until is None or now < self.until
        return self.fault.times is None or self.hits < self.fault.times

    def hit(self, now: float) -> None:
        self.hits += 1
        if self.until is None and self.fault.seconds is not None:
            self.until = now + self.fault.seconds


class Faults:
    """What goes wrong in a world: nothing, until faults are added.

    Each call that one request asks and one message answers can be hit, over gRPC and HTTP alike, those of GitHub's REST
    API, and the two calls that sign in; streams cannot. Of several faults that are due for a call, the first added
    hits.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._armed: list[_Armed] = []
        self._dead: Fault | None = None
        self._closed = threading.Event()

    def add(self, *faults: Fault) -> None:
        """Let these things go wrong from now on."""
        with self._lock:
            self._armed += [_Armed(fault) for fault in faults]

    def kill(self, method: str, *, moment: Moment, skip: int = 0, principal: str | None = None) -> None:
        """Let the caller die at a call, as SIGKILL looks from the cloud.

        Every call after it is refused as PERMISSION_DENIED and not carried out, until ``clear``.

        :param method: as in ``Fault``.
        :param moment: of the call: not done; done and refused; done and answered.
        :param skip: as in ``Fault``.
        :param principal: as in ``Fault``: who dies.
        """
        error = None if moment is Moment.ANSWERED else permission_denied(DEAD)
        self.add(Fault(method=method, error=error, moment=moment, kills=True, skip=skip, principal=principal))

    def clear(self) -> None:
        """Let nothing go wrong any more; who was dead lives."""
        with self._lock:
            self._armed, self._dead = [], None

    @property
    def unused(self) -> tuple[Fault, ...]:
        """The faults that hit no call."""
        with self._lock:
            return tuple(armed.fault for armed in self._armed if not armed.hits)

    def check(self) -> None:
        """See that every fault has hit a call.

        :raises UnusedFaults: naming those that have not.
        """
        with self._lock:
            idle = [f"{armed.fault} ({armed.seen} came)" for armed in self._armed if not armed.hits]
        if idle:
            raise UnusedFaults("No call was hit by: " + "; ".join(idle))

    def close(self) -> None:
        """Wait for no late answer any more."""
        self._closed.set()

    def answer(self, method: str, principal: str, do: Callable[[], Answer], lose: Callable[[str], None]) -> Answer:
        """The answer to a call, with the fault that hits it.

        :param method: full name.
        :param principal: who calls, as the log of requests has it.
        :param do: carries the call out.
        :param lose: told how the call ended where the caller is not: the canonical code's name.
        :raises ApiError: what is answered instead.
        """
        armed = self._meet(method, principal)
        if armed is None:
            return do()
        refusal = armed.fault.refusal(method, self._world.settings.project_number)
        if refusal is None:
            return self._altered(armed, do)
        if armed.fault.moment is Moment.AFTER:
            lose(_outcome(do))
        self._closed.wait(armed.fault.late_seconds)
        raise refusal.with_traceback(None)  # or the one object would gather the traces of every call

    def _altered(self, armed: _Armed, do: Callable[[], Answer]) -> Answer:
        fault = armed.fault
        try:
            answer = do()
        finally:
            self._closed.wait(fault.late_seconds)
            self._end(armed)
        changed: Answer = fault.change(copy.deepcopy(answer)) if fault.change else answer
        return changed

    def _meet(self, method: str, principal: str) -> _Armed | None:
        now = self._world.clock.time()
        with self._lock:
            if self._dead is not None and self._is_by(self._dead, method, principal):
                raise permission_denied(DEAD)
            matching = [armed for armed in self._armed if self._is_met(armed.fault, method, principal)]
            for armed in matching:
                armed.seen += 1
            due = next((armed for armed in matching if armed.is_due(now)), None)
            if due is not None:
                due.hit(now)
        if due is not None and due.fault.moment is not Moment.ANSWERED:
            self._end(due)
        return due

    def _end(self, armed: _Armed) -> None:
        """Let the caller be dead where the fault kills, and has not been cleared meanwhile."""
        with self._lock:
            if armed.fault.kills and armed in self._armed:
                self._dead = armed.fault

    def _is_met(self, fault: Fault, method: str, principal: str) -> bool:
        return fnmatch.fnmatchcase(method, fault.method) and self._is_by(fault, method, principal)

    def _is_by(self, fault: Fault, method: str, principal: str) -> bool:
        if fault.principal is not None:
            return fnmatch.fnmatchcase(principal, fault.principal)
        deployer = f"serviceAccount:{self._world.iam.deployer}"
        return method in _SIGN_IN or principal in {deployer, BOT} or principal.startswith("principal://")


def _outcome(do: Callable[[], Any]) -> str:
    try:
        do()
    except ApiError as error:
        return error.name
    return grpc.StatusCode.OK.name


class When(TypedDict, total=False):
    """Which calls a fault hits, and when; see ``Fault``."""

    moment: Moment
    skip: int
    times: int | None
    seconds: float | None
    principal: str | None


def unavailable(method: str, **when: Unpack[When]) -> Fault:
    """503 UNAVAILABLE."""
    return _error(method, grpc.StatusCode.UNAVAILABLE, "The service is currently unavailable.", when)


def internal(method: str, **when: Unpack[When]) -> Fault:
    """500 INTERNAL."""
    return _error(method, grpc.StatusCode.INTERNAL, "Internal error encountered.", when)


def unknown(method: str, **when: Unpack[When]) -> Fault:
    """500 UNKNOWN."""
    return _error(method, grpc.StatusCode.UNKNOWN, "Unknown Error.", when)


def gateway_timeout(method: str, **when: Unpack[When]) -> Fault:
    """504 DEADLINE_EXCEEDED."""
    message = "Deadline expired before operation could complete."
    return _error(method, grpc.StatusCode.DEADLINE_EXCEEDED, message, when)


def bad_gateway(method: str, **when: Unpack[When]) -> Fault:
    """502 with a page in HTML; UNAVAILABLE over gRPC."""
    return Fault(method=method, error=BadGateway(), **when)


def rate_limited(method: str, **when: Unpack[When]) -> Fault:
    """429 RESOURCE_EXHAUSTED for too many calls in a minute."""

    def error(called: str, project_number: str) -> ApiError:
        detail = error_details_pb2.ErrorInfo(
            reason="RATE_LIMIT_EXCEEDED",
            domain=_DOMAIN,
            metadata={
                "service": _api(called).host,
                "consumer": f"projects/{project_number}",
                "quota_metric": f"{_api(called).host}/requests",
                "quota_limit": "RequestsPerMinutePerProject",
            },
        )
        return ApiError(grpc.StatusCode.RESOURCE_EXHAUSTED, _quota_message(called, project_number), detail)

    return Fault(method=method, error=error, **when)


def count_limited(method: str, **when: Unpack[When]) -> Fault:
    """429 RESOURCE_EXHAUSTED for too many things, which does not pass by itself."""
    message = "Quota exceeded for total allowable count of resources per project per region."
    return _error(method, grpc.StatusCode.RESOURCE_EXHAUSTED, message, when)


def quota_403(method: str, **when: Unpack[When]) -> Fault:
    """403 PERMISSION_DENIED for too many calls in a minute."""
    return Fault(method=method, error=lambda called, number: permission_denied(_quota_message(called, number)), **when)


def token_expired(method: str, **when: Unpack[When]) -> Fault:
    """401 UNAUTHENTICATED."""

    def error(called: str, project_number: str) -> ApiError:  # noqa: ARG001 - as every maker of errors
        metadata = {"service": _api(called).host, "method": called.replace("/", ".")}
        detail = error_details_pb2.ErrorInfo(reason="ACCESS_TOKEN_EXPIRED", domain=_DOMAIN, metadata=metadata)
        return unauthenticated(INVALID, detail)

    return Fault(method=method, error=error, **when)


def denied(
    method: str, *, permission: str = "resourcemanager.projects.get", resource: str = "", **when: Unpack[When]
) -> Fault:
    """403 PERMISSION_DENIED for want of a permission.

    :param permission: ``pubsub.topics.create``.
    :param resource: relative resource name.
    """
    return Fault(method=method, error=permission_denied(*permission_error(permission, resource)), **when)


def disabled(method: str, **when: Unpack[When]) -> Fault:
    """403 PERMISSION_DENIED, SERVICE_DISABLED: the API is off in the project."""

    def error(called: str, project_number: str) -> ApiError:
        host, title = _api(called)
        return service_disabled(host, title, project_number)

    return Fault(method=method, error=error, **when)


def conflict(method: str, **when: Unpack[When]) -> Fault:
    """409 ABORTED: somebody else changed it in between."""

    def error(called: str, project_number: str) -> ApiError:  # noqa: ARG001 - as every maker of errors
        if called.endswith("/SetIamPolicy"):
            return aborted(
                "There were concurrent policy changes. Please retry the whole read-modify-write with exponential "
                "backoff."
            )
        return aborted(
            "Conflict for resource: version '1715037503975865' was specified but current version is '1715042482762098'."
        )

    return Fault(method=method, error=error, **when)


def connection_reset(method: str, **when: Unpack[When]) -> Fault:
    """No answer: the caller's connection is reset."""
    return Fault(method=method, reset=True, **when)


def secondary_rate_limit(
    method: str, *, retry_after: int | None = 60, status: int = 403, **when: Unpack[When]
) -> Fault:
    """403 or 429 of GitHub's REST API for too much at once.

    :param retry_after: seconds, as the answer says; ``None`` where it does not say.
    """
    return Fault(method=method, error=too_fast(retry_after, HTTPStatus(status)), **when)


def inaccessible_to_job(method: str, **when: Unpack[When]) -> Fault:
    """403 of GitHub's REST API for want of a permission."""
    return Fault(method=method, error=inaccessible(), **when)


def issues_disabled_in_repository(method: str, **when: Unpack[When]) -> Fault:
    """410 of GitHub's REST API: the repository's settings allow no issues."""
    return Fault(method=method, error=issues_disabled(), **when)


def late(method: str, *, late_seconds: float = 1.0, **when: Unpack[When]) -> Fault:
    """The right answer, but late.

    :param late_seconds: by how much, in the machine's time.
    """
    return Fault(method=method, late_seconds=late_seconds, **when)


def _error(method: str, code: grpc.StatusCode, message: str, when: When) -> Fault:
    return Fault(method=method, error=ApiError(code, message), **when)


class _Api(NamedTuple):
    host: str
    title: str


def _api(method: str) -> _Api:
    """The API of a method; of a pattern, or of GitHub's, one without a name."""
    host = apis.of_method(method, resource="projects/p/topics/t", operation="cloud_run")
    return _Api(host, apis.APIS[host].title) if host is not None else _Api(_DOMAIN, "This API")


def _quota_message(method: str, project_number: str) -> str:
    host = _api(method).host
    return (
        f"Quota exceeded for quota metric 'Requests' and limit 'Requests per minute' of service '{host}' for consumer "
        f"'project_number:{project_number}'."
    )
