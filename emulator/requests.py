"""The log of every API call: what a test counts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

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
    """

    number: int
    method: str
    principal: str
    writes: bool
    status: str
    lost: str = ""


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
        writes = not method.rpartition("/")[2].startswith(_READS)
        with self._lock:
            number = len(self._requests) + 1
            self._requests.append(Request(number, method, principal, writes, IN_PROGRESS))
            return number

    def end(self, number: int, status: str) -> None:
        """Note how a call ended.

        :param number: what ``begin`` gave.
        :param status: name of the canonical code.
        """
        with self._lock:
            self._requests[number - 1] = replace(self._requests[number - 1], status=status)

    def lose(self, number: int, status: str) -> None:
        """Note that a call was carried out and that its answer is lost.

        :param number: what ``begin`` gave.
        :param status: how it ended in the service: name of the canonical code.
        """
        with self._lock:
            self._requests[number - 1] = replace(self._requests[number - 1], lost=status)
