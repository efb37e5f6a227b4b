"""From the full name of a method to the function that answers it.

A service is a plain class: ``SERVICES`` names the gRPC services it answers for, and each public method with an
annotated ``request`` is an RPC: ``create_service`` answers ``CreateService``. A method with annotated ``requests``
answers a stream. What no method answers is UNIMPLEMENTED.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from emulator.errors import unimplemented

ANONYMOUS = "anonymous"


@dataclass(frozen=True)
class Call:
    """One call as a service sees it.

    :param method: full name, ``google.pubsub.v1.Publisher/CreateTopic``.
    :param principal: who calls, as an IAM member: ``serviceAccount:E``, ``principal://...``; or ``anonymous``.
    :param members: every IAM member the caller matches (itself, its principal sets).
    :param is_active: for streams: whether the caller still listens.
    """

    method: str
    principal: str = ANONYMOUS
    members: frozenset[str] = frozenset()
    is_active: Callable[[], bool] = field(default=lambda: True, compare=False)


SYSTEM = Call("system", principal="system")
"""A call that the local cloud makes of itself, as Eventarc does when it makes a subscription."""


class Service(Protocol):
    """What a module of ``emulator.services`` provides."""

    SERVICES: ClassVar[tuple[str, ...]]
    """Full names of the gRPC services answered, ``google.cloud.run.v2.Services``."""


@dataclass(frozen=True)
class Method:
    """One RPC: its request type and the function that answers.

    :param name: full name, ``google.cloud.run.v2.Services/CreateService``.
    :param request_type: proto-plus or protobuf message class of the request.
    :param answer: the function; for a stream it takes and gives iterators.
    :param streaming: whether both sides stream.
    """

    name: str
    request_type: type[Any]
    answer: Callable[[Any, Call], Any]
    streaming: bool


def camel_case(name: str) -> str:
    """``create_service`` as ``CreateService``; ``IAM`` has no exception: Google writes ``GetIamPolicy``."""
    return "".join(part.capitalize() for part in name.split("_"))


class Methods:
    """The methods of all services by full name.

    :param services: the services; a later one never replaces an earlier one's method.
    """

    def __init__(self, services: typing.Iterable[Service]) -> None:
        self._methods: dict[str, Method] = {}
        for service in services:
            for method in _methods_of(service):
                if method.name in self._methods:
                    raise ValueError(f"{method.name} is answered twice")
                self._methods[method.name] = method

    def __iter__(self) -> Iterator[Method]:
        return iter(self._methods.values())

    def find(self, name: str) -> Method:
        """The method of that full name.

        :raises ApiError: UNIMPLEMENTED where no service answers it.
        """
        if name not in self._methods:
            raise unimplemented(f"The emulator does not implement {name}.")
        return self._methods[name]


def _methods_of(service: Service) -> Iterator[Method]:
    for attribute, function in inspect.getmembers(service, inspect.ismethod):
        if attribute.startswith("_"):
            continue
        hints = typing.get_type_hints(function)
        streamed = typing.get_args(hints["requests"])[0] if "requests" in hints else None
        request_type = streamed or hints.get("request")
        if request_type is None:
            continue
        for name in service.SERVICES:
            yield Method(f"{name}/{camel_case(attribute)}", request_type, function, streamed is not None)
