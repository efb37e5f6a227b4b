"""Cloud Logging: the log entries of builds and containers, to be read."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from google.cloud.logging_v2 import types

from emulator.errors import invalid_argument, permission_denied, permission_error
from emulator.log_filter import FilterError, parse_filter
from emulator.logs import Log, Resource
from emulator.rpc import Call

if TYPE_CHECKING:
    from emulator.world import World

_PAGE = 50
_LARGEST_PAGE = 1000
_MOST_RESOURCES = 100
_ORDERS = ("timestamp asc", "timestamp desc")

_Key = tuple[int, str]
"""What entries are ordered by: nanoseconds since the epoch, and what tells those of the same moment apart."""


class Logging:
    """``google.logging.v2.LoggingServiceV2``: reading alone. Entries are written by the services of the cloud.

    Pages, order and limits are from google/logging/v2/logging.proto.

    :param world: the local cloud.
    """

    SERVICES: ClassVar[tuple[str, ...]] = ("google.logging.v2.LoggingServiceV2",)

    def __init__(self, world: World) -> None:
        self._world = world
        self._logs: list[Log] = []
        self._lock = threading.Lock()

    def log(self, kind: str, labels: Mapping[str, str], *, shown: bool = True) -> Log:
        """A new log, which is kept as long as the cloud.

        :param kind: type of the monitored resource, ``build``.
        :param labels: its labels beside the project's.
        :param shown: whether Cloud Logging has it.
        """
        project_id = self._world.settings.project_id
        resource = Resource(project_id=project_id, type=kind, labels={"project_id": project_id, **labels})
        log = Log(resource, self._world.clock.timestamp)
        if shown:
            with self._lock:
                self._logs.append(log)
        return log

    def list_log_entries(self, request: types.ListLogEntriesRequest, call: Call) -> types.ListLogEntriesResponse:
        """The entries that pass the filter, from the oldest on unless asked otherwise, on pages."""
        self._check_resources(request.resource_names)
        size, is_descending = _page_size(request), _is_descending(request)
        after = _position(request)
        entries = self._found(request.filter, is_descending=is_descending)
        if after is not None:
            entries = [entry for entry in entries if (_key(entry) < after if is_descending else _key(entry) > after)]
        page = entries[:size]
        token = _token(request, _key(page[-1])) if len(entries) > size else ""
        return types.ListLogEntriesResponse(entries=page, next_page_token=token)

    def _found(self, text: str, *, is_descending: bool) -> list[Any]:
        try:
            passes = parse_filter(text)
        except FilterError as error:
            raise invalid_argument(f"Unparseable filter: {error}") from error
        shown = (self._world.clock.time() - self._world.propagation.log_entries) * 1e9
        with self._lock:
            logs = list(self._logs)
        found = (entry for log in logs for entry in log if _key(entry)[0] <= shown and passes(entry))
        return sorted(found, key=_key, reverse=is_descending)

    def _check_resources(self, names: Sequence[str]) -> None:
        if not 1 <= len(names) <= _MOST_RESOURCES:
            raise invalid_argument(f"resource_names: from 1 to {_MOST_RESOURCES} names of parents are needed")
        settings = self._world.settings
        for name in names:
            kind, _, parent = name.partition("/")
            if kind not in {"projects", "folders", "organizations", "billingAccounts"} or not parent:
                raise invalid_argument(f"'{name}' is not a valid resource name")
            if (kind, parent.partition("/")[0]) not in {
                ("projects", settings.project_id),
                ("projects", settings.project_number),
            }:
                raise permission_denied(*permission_error("logging.logEntries.list", name))


def _key(entry: Any) -> _Key:
    return entry.timestamp.ToNanoseconds(), entry.insert_id


def _page_size(request: types.ListLogEntriesRequest) -> int:
    if not 0 <= request.page_size <= _LARGEST_PAGE:
        raise invalid_argument(f"page_size must be between 0 and {_LARGEST_PAGE}")
    return request.page_size or _PAGE


def _is_descending(request: types.ListLogEntriesRequest) -> bool:
    if request.order_by and request.order_by not in _ORDERS:
        raise invalid_argument(f"order_by must be one of: {', '.join(_ORDERS)}")
    return request.order_by == _ORDERS[1]


# A token says after which entry a page begins: entries that come later, or show later, move none from page to page.


def _token(request: types.ListLogEntriesRequest, after: _Key) -> str:
    return base64.urlsafe_b64encode(json.dumps([_query(request), *after]).encode()).decode()


def _position(request: types.ListLogEntriesRequest) -> _Key | None:
    if not request.page_token:
        return None
    try:
        query, time, number = json.loads(base64.b64decode(request.page_token, altchars=b"-_", validate=True))
        if query == _query(request):
            return int(time), str(number)
    except (ValueError, TypeError):
        pass
    raise invalid_argument("page_token doesn't match arguments from the request")


def _query(request: types.ListLogEntriesRequest) -> str:
    asked = json.dumps([*request.resource_names, request.filter, request.order_by])
    return hashlib.sha256(asked.encode()).hexdigest()[:16]
