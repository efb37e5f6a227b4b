"""The log that tells more of a failure: which one it is, and its newest lines from Cloud Logging.

Whoever reads them looks only where something has failed already. What goes wrong here fails nothing more.
"""

from __future__ import annotations

import datetime
import functools
import itertools
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from octue_action import quirks
from octue_action.cancellation import Cancelled
from octue_action.failure import Failure, GoogleError
from octue_action.redaction import redacted, without

if TYPE_CHECKING:
    from google.cloud.logging_v2 import types

    from octue_action.google import Google

LINES = 50
"""The most lines of a log that are shown."""

ENTRIES = 200
"""The most that are read: between those of a build's step there are others."""

LONGEST_LINE = 2_000
"""Characters of a line that are kept: an entry may have 256 KiB, and much is looked for in a line."""

PERIOD = datetime.timedelta(days=1)
"""How far back entries are looked for: without a time, all that is kept is searched, and that takes long
(cloud.google.com/logging/docs/view/logging-query-language#finding-quickly)."""

SECONDS = 10.0
"""How long lines are waited for at most: they show some seconds after they were written."""


@dataclass(frozen=True, kw_only=True)
class LogSource(ABC):
    """A log in Cloud Logging.

    :param since: what was written before does not matter; where None, what was written before ``PERIOD``.
    """

    project_id: str
    since: datetime.datetime | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """The page of Google's console that shows it."""

    @property
    @abstractmethod
    def filter(self) -> str:
        """What chooses its entries, in cloud.google.com/logging/docs/view/logging-query-language."""

    @abstractmethod
    def has_end(self, lines: Sequence[str]) -> bool:
        """Whether the last words are among these lines."""

    def chosen(self, lines: Sequence[str]) -> list[str]:
        """The lines that belong to what failed."""
        return [*lines]


@dataclass(frozen=True, kw_only=True)
class BuildLog(LogSource):
    """The log of a build that Cloud Build keeps in Cloud Logging.

    :param build_id: a UUID.
    :param step: number of the step that failed, from 0; None where none is known to have.
    :param shown_at: its address, as Cloud Build gives it.
    """

    build_id: str
    shown_at: str
    step: int | None = None

    @property
    def url(self) -> str:
        """As Cloud Build gives it."""
        return self.shown_at

    @property
    def filter(self) -> str:
        """Its labels are on cloud.google.com/build/docs/securing-builds/store-manage-build-logs."""
        return _all_of(
            'resource.type="build"',
            f"resource.labels.build_id={json.dumps(self.build_id)}",
            f'logName="projects/{self.project_id}/logs/cloudbuild"',
        )

    def has_end(self, lines: Sequence[str]) -> bool:
        """Cloud Build's own last line says which step failed."""
        return any(line == "ERROR" or line.startswith(("ERROR: build step ", "ERROR: context ")) for line in lines)

    def chosen(self, lines: Sequence[str]) -> list[str]:
        """The lines of the failed step, without its name; those of a build's only step have none."""
        of_steps = [match for line in lines if (match := _STEP.match(line))]
        if self.step is None or not of_steps:
            return [line for line in lines if line not in _HEADINGS]
        return [match["text"] for match in of_steps if int(match["number"]) == self.step]


_STEP = re.compile(r'Step #(?P<number>\d{1,4})(?: - "[^"]*")?: (?P<text>.*)')
_HEADINGS = frozenset({"FETCHSOURCE", "BUILD", "PUSH", "DONE", "ERROR"})


@dataclass(frozen=True, kw_only=True)
class RevisionLog(LogSource):
    """What the containers of a revision write, and what Cloud Run says of them.

    :param location: region of the service.
    :param revision: its name, ``sum-00001-abc``; empty for all of the service.
    """

    location: str
    service: str
    revision: str

    @property
    def url(self) -> str:
        """That of all revisions of the service."""
        return (
            f"https://console.cloud.google.com/run/detail/{self.location}/{self.service}/logs?project={self.project_id}"
        )

    @property
    def filter(self) -> str:
        """What there is, is on cloud.google.com/run/docs/logging; requests do not matter here."""
        names = (f'logName="projects/{self.project_id}/logs/run.googleapis.com%2F{name}"' for name in _OF_REVISIONS)
        return _all_of(
            'resource.type="cloud_run_revision"',
            f"resource.labels.service_name={json.dumps(self.service)}",
            f"resource.labels.location={json.dumps(self.location)}",
            *([f"resource.labels.revision_name={json.dumps(self.revision)}"] if self.revision else []),
            f"({' OR '.join(names)})",
        )

    def has_end(self, lines: Sequence[str]) -> bool:
        """Cloud Run itself says how the container ended."""
        return any(_END_OF_CONTAINER.search(line) for line in lines)


_OF_REVISIONS = ("stdout", "stderr", "varlog%2Fsystem")
_END_OF_CONTAINER = re.compile(
    r"Container called exit\(|Container terminated on signal|probe failed \d+ time|Application failed to start"
)


@dataclass(frozen=True)
class Log:
    """The last lines of a log.

    :param url: the page that shows all of it.
    :param lines: without what is secret.
    :param refusal: why it could not be read.
    """

    url: str
    lines: tuple[str, ...] = ()
    refusal: GoogleError | None = None


def read(google: Google, source: LogSource, hidden: Iterable[str] = ()) -> Log:
    """The last lines of a log, as far as they show in time; a run that is to end waits for none.

    :param hidden: texts that nobody is to read.
    """
    lines: list[str] = []
    refusal = None
    try:
        for _ in google.poll(SECONDS, first=0.5, growth=1.6, most=3.0):
            before = lines
            try:
                lines, refusal = _newest(google, source), None
            except GoogleError as error:
                refusal = error
                if not (quirks.OUTAGE.holds(error) or quirks.RATE_LIMITED.holds(error)):
                    break
                continue
            # Lines from several places do not show in the order in which they were written.
            if lines == before and source.has_end(lines):
                break
    except (Cancelled, Failure):
        pass
    # First hidden, then cut: of a text that is cut in two, the first half would not be known again.
    shown = [without(redacted(line), hidden)[:LONGEST_LINE] for line in source.chosen(lines)[-LINES:]]
    return Log(source.url, tuple(shown), refusal if not shown else None)


def glance(google: Google, source: LogSource) -> list[str]:
    """The last lines of a log as they show now, for nobody to read; nothing where it may not be read."""
    try:
        return _newest(google, source, passing=())
    except GoogleError:
        return []


def _newest(google: Google, source: LogSource, passing: Sequence[quirks.Quirk] = (quirks.TOKEN_REFUSED,)) -> list[str]:
    from google.cloud.logging_v2 import types

    @functools.wraps(google.logging.list_log_entries)
    def newest(**named: Any) -> Iterator[types.LogEntry]:
        return itertools.islice(google.logging.list_log_entries(**named), ENTRIES)

    since = source.since or google.cancellation.date() - PERIOD
    request = types.ListLogEntriesRequest(
        resource_names=[f"projects/{source.project_id}"],
        filter=_all_of(source.filter, f'timestamp>="{since:%Y-%m-%dT%H:%M:%SZ}"'),
        order_by="timestamp desc",
        page_size=ENTRIES,
    )
    entries = google.list(newest, request, passing=passing)
    return [line for entry in reversed(entries) for line in _text(entry).splitlines()]


def _text(entry: types.LogEntry) -> str:
    """What an entry says: as text, or as the message of something structured, as JSON that a program prints."""
    if entry.text_payload:
        return entry.text_payload
    fields = dict(entry.json_payload or {})
    message = fields.get("message")
    return message if isinstance(message, str) else json.dumps(fields, default=str) if fields else ""


def _all_of(*conditions: str) -> str:
    return " AND ".join(conditions)
