"""The log of every API call: what a test counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

IN_PROGRESS = "IN_PROGRESS"
_READS = (
    "Get",
    "List",
    "TestIamPermissions",
    "Wait",
    "Search",
    "Fetch",
    "Query",
    "BatchGet",
    "Exchange",
    "GenerateAccess",
    "GenerateId",
)


@dataclass(frozen=True)
class Request:
    """One call.

    :param number: its place in the log, from 1.
    :param method: full name, ``google.pubsub.v1.Publisher/CreateTopic``, over gRPC and HTTP alike; of GitHub's REST API
        ``github.rest.Issues/CreateComment``.
    :param principal: who called, as an IAM member, or ``anonymous``; of GitHub's REST API the account's login.
    :param writes: whether the method can change anything but tokens.
    :param status: how it ended for the caller: name of the canonical code, or of a fault, or ``IN_PROGRESS``.
    :param lost: how it ended in the service where a fault kept that from the caller, ``OK`` where it was done; empty
        for every other call.
    :param about: name of what the call is about, where the request says it: of what is made, the name that it will
        have, as far as whoever asks can choose it.
    :param operation: name of the long-running operation that is answered.
    :param latency: seconds that the call was on its way and back, beside being carried out.
    :param began: when it came in, in seconds on a clock that all calls and operations share and that never goes back.
    :param ended: when it was answered, on the same clock; 0 where it is in progress.
    """

    number: int
    method: str
    principal: str
    writes: bool
    status: str
    lost: str = ""
    about: str = field(default="", compare=False)
    operation: str = field(default="", compare=False)
    latency: float = field(default=0.0, compare=False)
    began: float = field(default=0.0, compare=False)
    ended: float = field(default=0.0, compare=False)


def writes(method: str) -> bool:
    """Whether a method can change anything but tokens.

    :param method: its full name.
    """
    return not method.rpartition("/")[2].startswith(_READS)


class Requests:
    """All calls since the emulator was started, in the order in which they came."""

    def __init__(self) -> None:
        self._requests: list[Request] = []
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Request]:
        with self._lock:
            return iter(list(self._requests))

    def __len__(self) -> int:
        return len(self._requests)

    def begin(self, method: str, principal: str) -> int:
        """Note a call that has come in.

        :returns: its number, for ``end``.
        """
        with self._lock:
            number = len(self._requests) + 1
            request = Request(number, method, principal, writes(method), IN_PROGRESS, began=time.monotonic())
            self._requests.append(request)
            return number

    def tell(self, number: int, **known: Any) -> None:
        """Note more of a call: ``about``, ``operation`` or ``latency``.

        :param number: what ``begin`` gave.
        """
        with self._lock:
            self._requests[number - 1] = replace(self._requests[number - 1], **known)

    def end(self, number: int, status: str) -> None:
        """Note how a call ended.

        :param number: what ``begin`` gave.
        :param status: name of the canonical code.
        """
        with self._lock:
            entry = replace(self._requests[number - 1], status=status, ended=time.monotonic())
            self._requests[number - 1] = entry

    def lose(self, number: int, status: str) -> None:
        """Note that a call was carried out and that its answer is lost.

        :param number: what ``begin`` gave.
        :param status: how it ended in the service: name of the canonical code.
        """
        with self._lock:
            self._requests[number - 1] = replace(self._requests[number - 1], lost=status)


# Where requests name what they are about, and the collections of those that name it by an id.
_NAMES = (
    "name",
    "resource",
    "subscription",
    "topic",
    "service.name",
    "trigger.resource_name",
    "repository.name",
    "service_account.name",
    "subscription.name",
    "topic.name",
    "parent",
    "project",
)
_IDS = {
    "service_id": "services",
    "repository_id": "repositories",
    "trigger_id": "triggers",
    "account_id": "serviceAccounts",
    "role_id": "roles",
    "trigger.name": "triggers",
}


def about(request: Any) -> str:
    """Name of what a request is about; empty where it names nothing.

    :param request: its message.
    """
    parent = getattr(request, "parent", "") or getattr(request, "name", "")
    for path, collection in _IDS.items():
        if parent and (short := _field(request, path)):
            return f"{parent}/{collection}/{short}"
    return next((named for path in _NAMES if isinstance(named := _field(request, path), str) and named), "")


def _field(message: Any, path: str) -> Any:
    for part in path.split("."):
        message = getattr(message, part, "")
    return message
