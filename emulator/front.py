"""The one port: each connection is passed on to the gRPC or to the HTTP server, by how it begins."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading

LOOPBACK = "127.0.0.1"
_RESET_SECONDS = 5.0
_HTTP2_PREFACE = b"PRI "  # RFC 9113, section 3.4; no HTTP/1.1 method is called so


class Front:
    """A listener on loopback, in a thread of its own.

    :param port: where to listen; any free port where 0.
    """

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server((LOOPBACK, port), backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="front", daemon=True)
        self._connections: set[asyncio.Transport] = set()
        self._clients: dict[int, _Client] = {}

    def serve(self, grpc_port: int, http_port: int) -> None:
        """Begin to pass connections on.

        :param grpc_port: loopback port of the gRPC server.
        :param http_port: loopback port of the HTTP server.
        """
        self._thread.start()
        serving = self._loop.create_server(
            lambda: _Client(grpc_port, http_port, self._connections, self._clients), sock=self._listener
        )
        asyncio.run_coroutine_threadsafe(serving, self._loop).result()

    def reset(self, port: int) -> None:
        """Reset a client's connection (TCP RST), with every call on it, and wait until that is done.

        :param port: from which the connection is passed on to the gRPC or the HTTP server.
        """
        with contextlib.suppress(RuntimeError, TimeoutError):  # where the loop ends meanwhile, so do all connections
            asyncio.run_coroutine_threadsafe(self._reset(port), self._loop).result(_RESET_SECONDS)

    def stop(self) -> None:
        """Close the port and every connection."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._abort)
            self._thread.join()
        self._listener.close()

    async def _reset(self, port: int) -> None:
        if port in self._clients:
            await self._clients[port].reset()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def _abort(self) -> None:
        self._listener.close()
        for transport in list(self._connections):
            transport.abort()
        self._loop.call_soon(self._loop.stop)


class _Pipe(asyncio.Protocol):
    """One end of a connection: what comes in goes out of the other end."""

    def __init__(self, connections: set[asyncio.Transport]) -> None:
        self._connections = connections
        self.transport: asyncio.Transport
        self.other: _Pipe | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream protocol gets a stream transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.transport = transport
        self._connections.add(transport)

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        if self.other is not None and self.other.transport.can_write_eof():
            self.other.transport.write_eof()
        return self.other is not None

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - whatever the reason
        self._connections.discard(self.transport)
        if self.other is not None:
            self.other.transport.close()


class _Client(_Pipe):
    """The end towards the client, which finds out where the connection is to go."""

    def __init__(
        self, grpc_port: int, http_port: int, connections: set[asyncio.Transport], clients: dict[int, _Client]
    ) -> None:
        super().__init__(connections)
        self._clients = clients
        self._port = 0
        self._lost = asyncio.Event()
        self._ports = {True: grpc_port, False: http_port}
        self._first = b""
        self._connecting: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            self.other.transport.write(data)
            return
        self._first += data
        if self._connecting is None and (
            len(self._first) >= len(_HTTP2_PREFACE) or not _HTTP2_PREFACE.startswith(self._first)
        ):
            port = self._ports[self._first.startswith(_HTTP2_PREFACE)]
            self._connecting = asyncio.get_running_loop().create_task(self._connect(port))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._clients.pop(self._port, None)
        self._lost.set()

    async def reset(self) -> None:
        linger_for_no_time = struct.pack("ii", 1, 0)  # closing then sends RST, man 7 socket
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_for_no_time)
        self.transport.abort()
        await self._lost.wait()

    async def _connect(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, server = await loop.create_connection(lambda: _Pipe(self._connections), LOOPBACK, port)
        except OSError:
            self.transport.close()
            return
        server.other = self
        self._port = server.transport.get_extra_info("sockname")[1]
        self._clients[self._port] = self
        server.transport.write(self._first)
        self.other = server
        if self.transport.is_closing():
            server.transport.close()
