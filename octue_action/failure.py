"""What could not be done, told to a person."""

from __future__ import annotations

from collections.abc import Mapping

ISSUES_URL = "https://github.com/octue/deploy-cloud-run-action/issues/new"


class Failure(Exception):
    """Something that could not be done, told to a person.

    :param message: what happened and why.
    :param remedy: one thing to do, which can be pasted; empty where none is known.
    :param log_url: of a build that failed: where its log is.

    ``aftermath`` is what stands, or no longer stands, because of it, as a sentence; empty where nothing is to be said.
    """

    def __init__(self, message: str, remedy: str = "", log_url: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.log_url = log_url
        self.aftermath = ""

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


def fault(error: Exception) -> Failure:
    """A mistake of this action's own, told to a person; the error stays attached for debug logging."""
    failure = Failure(
        f"This is a fault of the action itself, not of your service: {type(error).__name__}: {error}",
        f"Run the job again with debug logging, and report what it says:\n{ISSUES_URL}",
    )
    failure.__cause__ = error
    return failure
