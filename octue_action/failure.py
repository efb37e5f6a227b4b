"""What could not be done, told to a person."""

from __future__ import annotations

import re
import traceback
import urllib.parse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from octue_action.redaction import redacted

if TYPE_CHECKING:
    from octue_action.logs import LogSource

ISSUES_URL = "https://github.com/octue/deploy-cloud-run-action/issues/new"

LONGEST_URL = 2_000
"""Characters of a link to a report: what every browser takes."""


class Failure(Exception):
    """Something that could not be done, told to a person.

    :param message: what happened and why.
    :param remedy: one thing to do, which can be pasted; empty where none is known.
    :param log_url: of a build or a container that failed: where its log is.

    ``aftermath`` is what stands, or no longer stands, because of it, as a sentence; empty where nothing is to be said.
    ``log_source`` is the log that tells more, where there is one; ``log`` are its last lines once they are read.
    """

    def __init__(self, message: str, remedy: str = "", log_url: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.log_url = log_url
        self.aftermath = ""
        self.log_source: LogSource | None = None
        self.log: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.message


class GoogleError(Failure):
    """A refusal of one of Google's APIs, or an operation that ended badly.

    :param method: what was called, ``create_service``; of an operation: its name.
    :param status: the canonical code's name, ``PERMISSION_DENIED``.
    :param said: Google's own words.
    :param reason: ``ErrorInfo.reason`` where the answer carries one, ``SERVICE_DISABLED``.
    :param metadata: ``ErrorInfo.metadata``, such as ``{"permission": "run.services.create"}``.
    :param is_of_operation: whether it is how an operation ended, and so no question of what became of the call.
    """

    def __init__(
        self,
        method: str,
        status: str,
        said: str,
        reason: str = "",
        remedy: str = "",
        *,
        metadata: Mapping[str, str] | None = None,
        is_of_operation: bool = False,
    ) -> None:
        super().__init__(f"{status} from {method}: {said}" if said else f"{status} from {method}", remedy)
        self.method = method
        self.status = status
        self.said = said
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.is_of_operation = is_of_operation


class Fault(Failure):
    """A mistake of this action's own.

    :param error: what was raised; it stays attached for debug logging.
    """

    def __init__(self, error: Exception, remedy: str) -> None:
        super().__init__(
            f"This is a fault of the action itself, not of your service: {type(error).__name__}: {error}", remedy
        )
        self.error = error
        self.__cause__ = error


def fault(error: Exception, version: str = "", mode: str = "") -> Fault:
    """A mistake of this action's own, told to a person, with a report that says where it happened, and not with what.

    :param version: of this action.
    :param mode: of this run.
    """
    where = [f"{Path(it.filename).name}:{it.lineno} {it.name}" for it in traceback.extract_tb(error.__traceback__)]
    facts = {"Version": version, "Mode": mode, "Error": type(error).__name__, "Where": "\n".join(where[-_FRAMES:])}
    url = report_url(f"Fault: {type(error).__name__}", facts)
    return Fault(error, f"Run the job again with debug logging, and report what it says:\n{url}")


_FRAMES = 8
"""Of a traceback, the last ones, which a report has."""


def report_url(title: str, facts: Mapping[str, str], hidden: Iterable[str] = ()) -> str:
    """The address of a new report with these facts, for a person to look through and send.

    :param hidden: what nobody else is to read, beside what looks like a token, a name or a number of somebody's.
    """
    told = {name: _anonymous(value, hidden) or "?" for name, value in facts.items()}
    for length in range(LONGEST_URL, 0, -50):
        body = "\n".join(f"{name}: {value[:length]}" for name, value in told.items())
        query = urllib.parse.urlencode({"title": title, "body": body}, quote_via=urllib.parse.quote)
        if len(ISSUES_URL) + 1 + len(query) <= LONGEST_URL:
            break
    return f"{ISSUES_URL}?{query}"


_LONGEST_FACT = 10_000
"""Characters of a fact that are looked at: a link has room for far fewer, and none of these is cut in two."""

_PERSONAL = (
    (re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w.-]+\w"), "EMAIL"),
    (
        re.compile(r"\b(projects|locations|services|topics|serviceAccounts|repositories|triggers)/[\w.:~%+-]+"),
        r"\1/NAME",
    ),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\d{6,}"), "NUMBER"),
)


def _anonymous(text: str, hidden: Iterable[str]) -> str:
    """The text without what says whose it is."""
    text = redacted(text[:_LONGEST_FACT])
    for pattern, name in _PERSONAL:
        text = pattern.sub(name, text)
    for value in sorted(filter(None, hidden), key=len, reverse=True):
        text = text.replace(value, "NAME")
    return text
