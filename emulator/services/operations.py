"""Long-running operations as callers ask for them; all APIs share this service."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from google.longrunning import operations_pb2

from emulator.rpc import Call

if TYPE_CHECKING:
    from emulator.world import World

_LONGEST_WAIT_SECONDS = 60.0


class OperationsApi:
    """``google.longrunning.Operations``."""

    SERVICES: ClassVar[tuple[str, ...]] = ("google.longrunning.Operations",)

    def __init__(self, world: World) -> None:
        self._operations = world.operations

    def get_operation(self, request: operations_pb2.GetOperationRequest, call: Call) -> operations_pb2.Operation:
        """The operation as it stands."""
        return self._operations.get(request.name)

    def wait_operation(self, request: operations_pb2.WaitOperationRequest, call: Call) -> operations_pb2.Operation:
        """The operation when it is done, or as it stands after the time the caller gives it."""
        wanted = request.timeout.ToTimedelta().total_seconds() if request.HasField("timeout") else _LONGEST_WAIT_SECONDS
        return self._operations.wait(request.name, min(wanted, _LONGEST_WAIT_SECONDS))
