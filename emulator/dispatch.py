"""What happens to every API call, however it came: checks of token, API and permissions, and how it ends noted."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import grpc

from emulator.errors import ApiError
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

        def do() -> Any:
            if refusal is not None:
                raise refusal
            method = self.methods.find(name)
            request, call = parse(method), Call(name, identity.principal, identity.members)
            self._world.service_usage.check(name, request)
            self._world.access.check(name, request, call)
            return method.answer(request, call)

        with self._world.clock.working():
            return self.noted(name, identity.principal, do)

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

    def noted(self, name: str, principal: str, do: Callable[[], Answer]) -> Answer:
        """The answer to a call, or the fault that hits it, noted with how it ends.

        :param name: full name of the method.
        :param principal: who calls.
        :param do: carries the call out.
        :raises ApiError: what the service refuses it with, or the fault; INTERNAL where the emulator itself fails.
        """
        requests = self._world.requests
        with self._entry(name, principal) as number:
            return self._world.faults.answer(name, principal, do, lambda status: requests.lose(number, status))

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
        except Exception as error:
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
