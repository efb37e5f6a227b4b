"""The emulator as others reach it: one loopback port for gRPC and HTTP."""

from __future__ import annotations

from types import TracebackType

from emulator.dispatch import Dispatcher
from emulator.front import LOOPBACK, Front
from emulator.grpc_server import GrpcServer
from emulator.http_server import HttpServer
from emulator.world import World, WorldSettings


class Emulator:
    """A local cloud that is served while the context lasts.

    :param settings: what it is like.
    :param port: where to listen on 127.0.0.1; any free port where 0.
    """

    def __init__(self, settings: WorldSettings, port: int = 0) -> None:
        self.world = World(settings)
        self._front = Front(port)
        self.address = f"{LOOPBACK}:{self._front.port}"
        self.world.address = self.address
        self._stopped = False

    def __enter__(self) -> Emulator:
        dispatcher = Dispatcher(self.world)
        self._grpc = GrpcServer(dispatcher, self._front.reset)
        self._http = HttpServer(self.world, dispatcher, self._front.reset)
        self._front.serve(self._grpc.port, self._http.port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop everything: the services' processes first, then the servers; a second time does nothing."""
        if self._stopped:
            return
        self._stopped = True
        self.world.close()
        self._front.stop()
        self._grpc.stop()
        self._http.stop()
