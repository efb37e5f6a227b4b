"""What builds and containers write, and what Google says of them: as the log entries that Cloud Logging has of it."""

from __future__ import annotations

import collections
import enum
import itertools
import json
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.api.monitored_resource_pb2 import MonitoredResource
from google.cloud.logging_v2 import types
from google.logging.type import log_severity_pb2
from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp

_KEPT_ENTRIES = 10_000
_NUMBERS = itertools.count(1)
# Protobuf's own class: of every line that a program writes there is one, and that of proto-plus takes its time.
_LogEntry = type(types.LogEntry.pb(types.LogEntry()))


class Severity(enum.IntEnum):
    """https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry#LogSeverity."""

    DEFAULT = 0
    INFO = 200
    WARNING = 400
    ERROR = 500


@dataclass(frozen=True, kw_only=True)
class Resource:
    """What log entries are of.

    :param project_id: of the project whose logs they are in.
    :param type: ``build``, https://cloud.google.com/logging/docs/api/v2/resource-list.
    :param labels: the labels that resources of this type have.
    """

    project_id: str
    type: str
    labels: Mapping[str, str]


class Log:
    """The newest log entries of one resource.

    :param resource: what they are of.
    :param clock: gives the time of an entry.
    """

    def __init__(self, resource: Resource, clock: Callable[[], Timestamp]) -> None:
        self._resource = resource
        self._clock = clock
        self._entries: collections.deque[Any] = collections.deque(maxlen=_KEPT_ENTRIES)

    def write(
        self,
        log_id: str,
        text: str,
        *,
        severity: Severity = Severity.DEFAULT,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Keep a line; the oldest gives way when there are too many.

        :param log_id: of the project's log that it belongs to, ``run.googleapis.com/stdout``.
        :param text: a line.
        :param labels: beside those of the resource.
        """
        self._entries.append(self._entry(log_id, severity, labels, text_payload=text))

    def write_output(self, log_id: str, line: str, *, labels: Mapping[str, str] | None = None) -> None:
        """Keep a line that a program on Cloud Run wrote: what is a JSON object is kept as such.

        Its ``severity`` is that of the entry (https://cloud.google.com/run/docs/logging#log-json).
        """
        fields = _object(line)
        if fields:
            severity = _severity(fields.pop("severity", None))
            self._entries.append(self._entry(log_id, severity, labels, json_payload=fields))
        else:
            self.write(log_id, line, labels=labels)

    def _entry(self, log_id: str, severity: int, labels: Mapping[str, str] | None, **payload: Any) -> Any:
        now = self._clock()
        return _LogEntry(
            log_name=f"projects/{self._resource.project_id}/logs/{urllib.parse.quote(log_id, safe='')}",
            resource=MonitoredResource(type=self._resource.type, labels=self._resource.labels),
            timestamp=now,
            receive_timestamp=now,
            severity=severity,
            insert_id=f"{next(_NUMBERS):016x}",
            labels=labels,
            **payload,
        )

    def __iter__(self) -> Iterator[Any]:
        """The entries as protobuf messages."""
        return iter(tuple(self._entries))

    def lines(self) -> list[str]:
        """All lines that were kept."""
        return [_line(entry) for entry in self]


def _line(entry: Any) -> str:
    return str(entry.text_payload) or json.dumps(json_format.MessageToDict(entry.json_payload))


def _object(line: str) -> dict[str, Any]:
    """The fields of a line that is a JSON object; none of any other."""
    if not line.startswith("{"):
        return {}
    try:
        return dict(json.loads(line))
    except ValueError:
        return {}


def _severity(name: Any) -> int:
    known = log_severity_pb2.LogSeverity.DESCRIPTOR.values_by_name.get(str(name).upper())
    return Severity.DEFAULT if known is None else int(known.number)
