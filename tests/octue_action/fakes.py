"""A kind of resource that lives in a dictionary, for tests of what all kinds share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Self, cast

from octue_action.cancellation import Cancellation
from octue_action.failure import Failure
from octue_action.google import Google
from octue_action.resource import Mark, Permissions, Resource


@dataclass
class Cloud:
    """What exists, and what was done to it."""

    things: dict[str, Thing] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    errors: dict[str, list[Failure]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    cancellation: Cancellation = field(default_factory=Cancellation)
    writes: int = 0
    progress: Callable[[str], None] = lambda _: None
    repeat = Google.repeat
    _waits = Google._waits

    def call(self, verb: str, label: str) -> None:
        with self.lock:
            self.calls.append(f"{verb} {label}")
            errors = self.errors.get(f"{verb} {label}", [])
            error = errors.pop(0) if errors else None
        if error is not None:
            raise error

    @property
    def door(self) -> Google:
        """The cloud in the place of the door to Google, which only the resources look at."""
        return cast(Google, self)


@dataclass(frozen=True, kw_only=True)
class Thing(Resource):
    """A resource with a field of every sort."""

    kind: ClassVar[str] = "thing"
    title: ClassVar[str] = "Thing"

    thing_id: Annotated[str, Mark.IDENTITY]
    size: int | None = 1
    colour: Annotated[str, Mark.IMMUTABLE] = "red"
    tags: Annotated[Mapping[str, str], Mark.ADDITIVE] = field(default_factory=dict)
    secrets: Annotated[Mapping[str, str], Mark.SENSITIVE] = field(default_factory=dict)
    told: Annotated[str, Mark.OUTPUT] = ""

    @property
    def name(self) -> str:
        return self.thing_id

    @property
    def console_url(self) -> str:
        return f"https://console.example/{self.thing_id}?a=1&b=2"

    @property
    def permissions(self) -> Permissions:
        return Permissions(read=("things.get",), create=("things.create",), update=("things.update",))

    def read(self, google: Google) -> Self | None:
        cloud = _cloud(google)
        cloud.call("read", self.thing_id)
        return cast("Self | None", cloud.things.get(self.thing_id))

    def create(self, google: Google) -> Self:
        return self._write(google, "create", {})

    def update(self, google: Google, actual: Self) -> Self:
        return self._write(google, "update", actual.tags)

    def delete(self, google: Google) -> None:
        cloud = _cloud(google)
        cloud.call("delete", self.thing_id)
        cloud.things.pop(self.thing_id, None)
        cloud.writes += 1

    def _write(self, google: Google, verb: str, tags: Mapping[str, str]) -> Self:
        cloud = _cloud(google)
        cloud.call(verb, self.thing_id)
        written = replace(self, told="by the cloud", tags={**tags, **self.tags})
        cloud.things[self.thing_id] = written
        cloud.writes += 1
        return written


def _cloud(google: Any) -> Cloud:
    return cast(Cloud, google)
