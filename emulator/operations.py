"""Long-running operations: work that takes configurable time, then ends well or badly."""

from __future__ import annotations

import math
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.longrunning import operations_pb2
from google.protobuf.message import Message

from emulator.clock import Clock
from emulator.errors import ApiError, not_found

Work = Callable[[], Message]


@dataclass(frozen=True)
class Timing:
    """When one operation was under way.

    :param name: the operation's full resource name.
    :param kind: what it is, as in ``seconds``.
    :param began: seconds on the clock of the log of requests.
    :param ended: the same; 0 where it is under way.
    """

    name: str
    kind: str
    began: float
    ended: float


class Operations:
    """All operations of the local cloud, by name.

    :param clock: the emulator's time.
    :param seconds: how long each kind of work takes before it is done, for example ``{"cloud_run create": 0.2}``;
        kinds that are not named take no time beyond the work itself.
    """

    def __init__(self, clock: Clock, seconds: Mapping[str, float]) -> None:
        self._clock = clock
        self._seconds = dict(seconds)
        self._operations: dict[str, _Operation] = {}
        self._changed = threading.Condition()
        self._closed = False

    def timings(self) -> Iterator[Timing]:
        """When each of them was under way, in the order in which they began."""
        with self._changed:
            operations = list(self._operations.values())
        return (Timing(each.name, each.kind, each.began, each.ended) for each in operations)

    def close(self) -> None:
        """End the operations that have not begun to work yet, badly."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def start(self, name: str, kind: str, work: Work, *, metadata: Callable[[], Message]) -> operations_pb2.Operation:
        """Begin work in the background and give the operation as it stands.

        :param name: the operation's full resource name.
        :param kind: what it is, as in ``seconds``.
        :param work: gives the response; an ``ApiError`` from it is the operation's error.
        :param metadata: gives the metadata as they stand whenever the operation is read.
        """
        operation = _Operation(name, kind, metadata)
        with self._changed:
            self._operations[name] = operation
        first = operation.message()

        begins = self._clock.time() + self._seconds.get(kind, 0.0)

        def run() -> None:
            result: Message | ApiError
            try:
                self._wait_until(begins)
                result = work()
            except ApiError as error:
                result = error
            except Exception as error:  # noqa: BLE001 - a bug of the emulator must end the operation, not hang it
                traceback.print_exc()
                result = ApiError(grpc.StatusCode.INTERNAL, f"emulator: {error!r}")
            with self._changed:
                operation.result = result
                operation.ended = time.monotonic()
                self._changed.notify_all()

        self._clock.start(run, f"operation {kind}")
        return first

    def get(self, name: str) -> operations_pb2.Operation:
        """The operation as it stands now.

        :raises ApiError: NOT_FOUND for a name that never was.
        """
        with self._changed:
            if name not in self._operations:
                raise not_found(f"Operation {name} was not found.")
            return self._operations[name].message()

    def kind(self, name: str) -> str:
        """What an operation is; empty for a name that never was."""
        with self._changed:
            return self._operations[name].kind if name in self._operations else ""

    def wait(self, name: str, seconds: float = math.inf) -> operations_pb2.Operation:
        """The operation when it is done, or as it stands after that many seconds."""
        self.get(name)
        until = self._clock.time() + seconds
        with self._changed:
            operation = self._operations[name]
            while operation.result is None and self._clock.time() < until:
                self._clock.wait(self._changed, until if until < math.inf else None, leap=True)
            return operation.message()

    def _wait_until(self, moment: float) -> None:
        with self._changed:
            while not self._closed and self._clock.time() < moment:
                self._clock.wait(self._changed, moment, leap=True)
            if self._closed:
                raise ApiError(grpc.StatusCode.UNAVAILABLE, "The emulator is stopping.")


class _Operation:
    def __init__(self, name: str, kind: str, metadata: Callable[[], Message]) -> None:
        self.name = name
        self.kind = kind
        self.metadata = metadata
        self.result: Message | ApiError | None = None
        self.began = time.monotonic()
        self.ended = 0.0

    def message(self) -> operations_pb2.Operation:
        message = operations_pb2.Operation(name=self.name, done=self.result is not None)
        message.metadata.Pack(raw(self.metadata()))
        if isinstance(self.result, ApiError):
            message.error.CopyFrom(self.result.status())
        elif self.result is not None:
            message.response.Pack(raw(self.result))
        return message


def raw(message: Any) -> Message:
    """The protobuf message inside a proto-plus one; a protobuf message as it is."""
    pb: Message = type(message).pb(message) if hasattr(type(message), "pb") else message
    return pb
