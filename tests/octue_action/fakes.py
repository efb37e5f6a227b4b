"""A kind of resource that lives in a dictionary, for tests of what all kinds share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Self, cast

from octue_action.cancellation import Cancellation
from octue_action.failure import Failure, GoogleError
from octue_action.google import Google
from octue_action.quirks import Quirk
from octue_action.resource import Entry, Mark, Permissions, Resource


@dataclass
class Cloud:
    """What exists, and what was done to it."""

    things: dict[str, Thing] = field(default_factory=dict)
    pages: dict[str, set[str]] = field(default_factory=dict)
    seen: dict[str, set[str]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    errors: dict[str, Sequence[Failure | None]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    cancellation: Cancellation = field(default_factory=Cancellation)
    writes: int = 0
    progress: Callable[[str], None] = lambda _: None
    repeat = Google.repeat
    _waits = Google._waits
    _waited_for_turns = 0.0

    def call(self, verb: str, label: str, texts: Sequence[str] = ()) -> None:
        with self.lock:
            self.calls.append(" ".join((verb, label, *sorted(texts))))
            error, *self.errors[f"{verb} {label}"] = self.errors.get(f"{verb} {label}") or [None]
        if error is not None:
            raise error

    def change(self, verb: str, page: str, texts: Sequence[str]) -> set[str]:
        """A call that changes some lines of a page as it was read, and what is on the page, to be changed."""
        self.call(verb, page, texts)
        there = self.pages.setdefault(page, set())
        if there != self.seen.setdefault(page, set()):
            raise GoogleError(f"{verb}_page", "ABORTED", "concurrent changes")
        self.writes += 1
        self.seen[page] = there  # whatever is changed from now on
        return there

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


@dataclass(frozen=True, kw_only=True)
class Line(Entry):
    """A line of a page, whose lines are read, written and deleted together."""

    kind: ClassVar[str] = "line"
    title: ClassVar[str] = "Line"

    text: Annotated[str, Mark.IDENTITY]
    page: Annotated[str, Mark.IDENTITY] = "page"
    is_written: bool = True
    waited_for: Annotated[tuple[Quirk, ...], Mark.IDENTITY] = ()

    @property
    def name(self) -> str:
        return self.text

    @property
    def console_url(self) -> str:
        return f"https://console.example/{self.page}"

    @property
    def permissions(self) -> Permissions:
        return Permissions(read=("pages.get",))

    @property
    def is_there(self) -> bool:
        return self.is_written

    @property
    def entry_of(self) -> str:
        return self.page

    @property
    def passing(self) -> tuple[Quirk, ...]:
        return self.waited_for

    def is_named_in(self, failure: Failure) -> bool:
        return f" {self.text} " in failure.message

    @classmethod
    def read_together(cls, google: Google, entries: Sequence[Self]) -> Sequence[Self]:
        cloud, page = _cloud(google), entries[0].page
        cloud.call("read", page)
        cloud.seen[page] = set(cloud.pages.get(page, ()))
        return [replace(entry, is_written=entry.text in cloud.seen[page]) for entry in entries]

    @classmethod
    def write_together(cls, google: Google, entries: Sequence[Self]) -> Sequence[Self]:
        texts = _cloud(google).change("write", entries[0].page, [entry.text for entry in entries])
        texts.update(entry.text for entry in entries)
        return [replace(entry, is_written=entry.text in texts) for entry in entries]

    @classmethod
    def delete_together(cls, google: Google, entries: Sequence[Self]) -> None:
        texts = _cloud(google).change("delete", entries[0].page, [entry.text for entry in entries])
        texts.difference_update(entry.text for entry in entries)
