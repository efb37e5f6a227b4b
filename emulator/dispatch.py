"""What happens to every API call, however it came: checks of token, API and permissions, and how it ends noted."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import grpc
from google.longrunning.operations_pb2 import Operation

from emulator import apis, latencies
from emulator.errors import ApiError, unimplemented
from emulator.operations import raw
from emulator.requests import about
from emulator.rpc import ANONYMOUS, Call, Method, Methods
from emulator.tokens import Identity
from emulator.world import World

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

# Clients that find PUBSUB_EMULATOR_HOST send no token at all.
_OPEN_TO_ALL = ("google.pubsub.v1.Publisher/", "google.pubsub.v1.Subscriber/")
_SCHEME = "bearer "
_NOBODY = Identity(ANONYMOUS, frozenset())


class Dispatcher:
    """From a method's name and a token to its answer.

    :param world: whose services answer.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.methods = Methods(world.services)

    def answer(self, name: str, authorization: str | None, parse: Callable[[Method], Any]) -> Any:
        """The answer to a call with one request.

        :param name: full name of the method.
        :param authorization: the header of that name; ``None`` where there is none.
        :param parse: gives the request's message.
        :raises ApiError: whatever the service refuses it with.
        """
        identity, refusal = self._identify(name, authorization)
        with self._world.clock.working(), self._entry(name, identity.principal) as number:
            method = request = None
            try:
                method = self.methods.find(name)
                request = parse(method)
            except ApiError as error:
                refusal = refusal or error
            self._world.requests.tell(number, about=about(raw(request)))

            def do() -> Any:
                if refusal is not None or method is None:
                    raise refusal or unimplemented(name)
                call = Call(name, identity.principal, identity.members)
                self._world.service_usage.check(name, request)
                self._world.access.check(name, request, call)
                return method.answer(request, call)

            host, verb = self._host(name, request), latencies.verb(name)
            answer = self._carried_out(number, name, identity.principal, do, host=host, verb=verb)
            if isinstance(raw(answer), Operation):
                self._world.requests.tell(number, operation=answer.name)
            return answer

    def stream(
        self, name: str, authorization: str | None, requests: Iterator[Any], is_active: Callable[[], bool]
    ) -> Iterator[Any]:
        """The answers to a stream of requests; no fault hits it.

        :param is_active: whether the caller still listens.
        :raises ApiError: whatever the service refuses it with.
        """
        identity, refusal = self._identify(name, authorization)
        with self._entry(name, identity.principal):
            if refusal is not None:
                raise refusal
            call = Call(name, identity.principal, identity.members, is_active)
            yield from self.methods.find(name).answer(self._checked(name, requests, call), call)

    def _checked(self, name: str, requests: Iterator[Any], call: Call) -> Iterator[Any]:
        """The requests of a stream, the first of which says what it is about."""
        for number, request in enumerate(requests):
            if number == 0:
                self._world.service_usage.check(name, request)
                self._world.access.check(name, request, call)
            yield request

    def noted(self, name: str, principal: str, do: Callable[[], Answer], *, host: str, verb: str) -> Answer:
        """The answer to a call, or the fault that hits it, noted with how it ends.

        :param name: full name of the method.
        :param principal: who calls.
        :param do: carries the call out.
        :param host: who is called, ``run.googleapis.com``.
        :param verb: of HTTP.
        :raises ApiError: what the service refuses it with, or the fault; INTERNAL where the emulator itself fails.
        """
        with self._entry(name, principal) as number:
            return self._carried_out(number, name, principal, do, host=host, verb=verb)

    def _carried_out(
        self, number: int, name: str, principal: str, do: Callable[[], Answer], *, host: str, verb: str
    ) -> Answer:
        """The answer to a call that has an entry, after the time that it takes."""
        requests, delays = self._world.requests, self._world.delays
        seconds = delays.draw(name, principal, host, verb)
        requests.tell(number, latency=seconds)
        with delays.on_the_way(seconds):
            return self._world.faults.answer(name, principal, do, lambda status: requests.lose(number, status))

    def _host(self, name: str, request: Any) -> str:
        """The host of a method's API; empty where that is not known."""
        operation = self._world.operations.kind(getattr(request, "name", ""))
        return apis.of_method(name, resource=getattr(request, "resource", ""), operation=operation) or ""

    @contextlib.contextmanager
    def _entry(self, name: str, principal: str) -> Iterator[int]:
        """An entry in the log of requests, by its number."""
        number = self._world.requests.begin(name, principal)
        status = grpc.StatusCode.OK.name
        try:
            yield number
        except ApiError as error:
            status = error.name
            raise
        except (grpc.RpcError, GeneratorExit):
            status = grpc.StatusCode.CANCELLED.name
            raise
        except Exception as error:  # a bug of the emulator is told to the caller, and ends no server
            status = grpc.StatusCode.INTERNAL.name
            logger.exception("%s failed", name)
            raise ApiError(grpc.StatusCode.INTERNAL, f"emulator: {error!r}") from error
        finally:
            self._world.requests.end(number, status)

    def _identify(self, name: str, authorization: str | None) -> tuple[Identity, ApiError | None]:
        if authorization is None and name.startswith(_OPEN_TO_ALL):
            return _NOBODY, None
        try:
            return self._world.tokens.identify(bearer_token(authorization)), None
        except ApiError as refusal:
            return _NOBODY, refusal


def bearer_token(authorization: str | None) -> str | None:
    """The token in an ``Authorization`` header; ``None`` where there is no bearer token."""
    if authorization is None or not authorization.lower().startswith(_SCHEME):
        return None
    return authorization[len(_SCHEME) :].strip()
