from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import grpc
import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from emulator.errors import failed_precondition
from emulator.server import Emulator

NAME = "projects/my-project/locations/europe-west1/operations/one"


@pytest.fixture
def stub(channel: grpc.Channel) -> operations_pb2_grpc.OperationsStub:
    return operations_pb2_grpc.OperationsStub(channel)


@pytest.fixture
def go(emulator: Emulator) -> Iterator[threading.Event]:
    """An operation that ends when the event is set."""
    event = threading.Event()

    def work() -> Message:
        event.wait(10)
        return Empty()

    emulator.world.operations.start(NAME, "test", work, metadata=Empty)
    yield event
    event.set()


def test_an_operation_is_not_done_before_its_work_is(
    stub: operations_pb2_grpc.OperationsStub, go: threading.Event
) -> None:
    assert not stub.GetOperation(operations_pb2.GetOperationRequest(name=NAME)).done

    go.set()

    done = stub.WaitOperation(operations_pb2.WaitOperationRequest(name=NAME))
    assert done.done
    assert done.response.type_url == "type.googleapis.com/google.protobuf.Empty"


def test_waiting_ends_with_the_operation(stub: operations_pb2_grpc.OperationsStub, go: threading.Event) -> None:
    threading.Timer(0.1, go.set).start()
    start = time.monotonic()

    assert stub.WaitOperation(operations_pb2.WaitOperationRequest(name=NAME)).done
    assert time.monotonic() - start < 2


def test_waiting_ends_with_the_time_given(stub: operations_pb2_grpc.OperationsStub, go: threading.Event) -> None:
    request = operations_pb2.WaitOperationRequest(name=NAME, timeout=Duration(nanos=100_000_000))

    assert not stub.WaitOperation(request).done
    assert not go.is_set()


def test_a_failure_is_in_the_operation(emulator: Emulator, stub: operations_pb2_grpc.OperationsStub) -> None:
    def work() -> Message:
        raise failed_precondition("No.")

    emulator.world.operations.start(NAME, "test", work, metadata=Empty)

    operation = stub.WaitOperation(operations_pb2.WaitOperationRequest(name=NAME))
    assert (operation.error.code, operation.error.message) == (9, "No.")


def test_an_operation_that_never_was_is_not_found(stub: operations_pb2_grpc.OperationsStub) -> None:
    with pytest.raises(grpc.RpcError) as refusal:
        stub.GetOperation(operations_pb2.GetOperationRequest(name=NAME))

    assert refusal.value.code() == grpc.StatusCode.NOT_FOUND
