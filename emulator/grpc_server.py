"""The APIs over gRPC: any method by its full name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.message import Message
from grpc_status import rpc_status

from emulator.dispatch import Dispatcher
from emulator.errors import ApiError, ConnectionReset
from emulator.front import LOOPBACK
from emulator.operations import raw
from emulator.rpc import Method

# A streaming pull holds its thread for as long as it lasts.
_THREADS = 1000
_OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5000),
)


class GrpcServer:
    """A gRPC server on a loopback port of its own.

    :param dispatcher: who answers.
    :param reset: resets a caller's connection, given the port that it comes from.
    """

    def __init__(self, dispatcher: Dispatcher, reset: Callable[[int], None]) -> None:
        self._server = grpc.server(ThreadPoolExecutor(_THREADS, "grpc"), options=_OPTIONS)
        self._server.add_generic_rpc_handlers((_Handler(dispatcher, reset),))
        self.port: int = self._server.add_insecure_port(f"{LOOPBACK}:0")
        self._server.start()

    def stop(self) -> None:
        """Cancel every call and close the port."""
        self._server.stop(grace=None).wait()


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, dispatcher: Dispatcher, reset: Callable[[int], None]) -> None:
        self._dispatcher = dispatcher
        self._reset = reset

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        name = handler_call_details.method.removeprefix("/")
        metadata = dict(handler_call_details.invocation_metadata)
        authorization = str(metadata["authorization"]) if "authorization" in metadata else None
        try:
            method = self._dispatcher.methods.find(name)
        except ApiError:
            return grpc.unary_unary_rpc_method_handler(self._unary(name, authorization))
        if method.streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._stream(name, authorization), _parser(method.request_type), _serialize
            )
        return grpc.unary_unary_rpc_method_handler(self._unary(name, authorization), None, _serialize)

    def _unary(self, name: str, authorization: str | None) -> Callable[[bytes, grpc.ServicerContext], Any]:
        def parse(data: bytes) -> Callable[[Method], Any]:
            return lambda method: _parser(method.request_type)(data)

        def answer(data: bytes, context: grpc.ServicerContext) -> Any:
            try:
                return self._dispatcher.answer(name, authorization, parse(data))
            except ApiError as error:
                refusal = error
            if isinstance(refusal, ConnectionReset):
                self._reset(int(context.peer().rpartition(":")[2]))
            return context.abort_with_status(rpc_status.to_status(refusal.status()))

        return answer

    def _stream(
        self, name: str, authorization: str | None
    ) -> Callable[[Iterator[Any], grpc.ServicerContext], Iterator[Any]]:
        def answer(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
            try:
                yield from self._dispatcher.stream(name, authorization, requests, context.is_active)
            except grpc.RpcError:
                return  # the caller is gone
            except ApiError as error:
                refusal = error
            else:
                return
            context.abort_with_status(rpc_status.to_status(refusal.status()))

        return answer


def _parser(message_type: type[Any]) -> Callable[[bytes], Any]:
    if hasattr(message_type, "deserialize"):
        return message_type.deserialize  # type: ignore[no-any-return]  # proto-plus classes have no types for this
    return message_type.FromString  # type: ignore[no-any-return]  # protobuf classes neither


def _serialize(message: Any) -> bytes:
    protobuf: Message = raw(message)
    return protobuf.SerializeToString()
