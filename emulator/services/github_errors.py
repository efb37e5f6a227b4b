"""A refusal of GitHub's REST API, and how it looks.

Texts: as reported for GitHub's API, or from https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api
and https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import grpc

from emulator.errors import ApiError

DOCS = "https://docs.github.com/rest"
INACCESSIBLE = "Resource not accessible by integration"
_LIMITS = f"{DOCS}/using-the-rest-api/rate-limits-for-the-rest-api"

# What the log of requests calls each status, which HTTPStatus and the canonical codes do not quite share.
_CODES = {
    HTTPStatus.BAD_REQUEST: grpc.StatusCode.INVALID_ARGUMENT,
    HTTPStatus.UNAUTHORIZED: grpc.StatusCode.UNAUTHENTICATED,
    HTTPStatus.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    HTTPStatus.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    HTTPStatus.GONE: grpc.StatusCode.NOT_FOUND,
    HTTPStatus.CONFLICT: grpc.StatusCode.ABORTED,
    HTTPStatus.UNPROCESSABLE_ENTITY: grpc.StatusCode.INVALID_ARGUMENT,
    HTTPStatus.TOO_MANY_REQUESTS: grpc.StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.NOT_IMPLEMENTED: grpc.StatusCode.UNIMPLEMENTED,
}


class GitHubError(ApiError):
    """A refusal as GitHub gives it.

    :param status: of the response.
    :param message: the text for people.
    :param errors: what is wrong with each field, for 409 and 422.
    :param headers: what the response has beside the usual ones.
    :param documentation_url: the page of the operation where empty.
    """

    def __init__(
        self,
        status: HTTPStatus,
        message: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        documentation_url: str = "",
    ) -> None:
        super().__init__(_CODES[status], message)
        self._status = status
        self.errors = errors
        self.headers = dict(headers or {})
        self.documentation_url = documentation_url

    @property
    def http_status(self) -> HTTPStatus:
        """The status of the response."""
        return self._status


def error_json(error: ApiError, documentation_url: str = DOCS) -> dict[str, Any]:
    """Any refusal as GitHub writes it in JSON.

    :param documentation_url: the page of the operation.
    """
    own = error.documentation_url if isinstance(error, GitHubError) else ""
    errors = list(error.errors) if isinstance(error, GitHubError) else []
    return {
        "message": error.message,
        **({"errors": errors} if errors else {}),
        "documentation_url": own or documentation_url,
        "status": str(int(error.http_status)),
    }


def bad_credentials() -> GitHubError:
    """401: no such token, or one that has expired."""
    return GitHubError(HTTPStatus.UNAUTHORIZED, "Bad credentials", documentation_url=DOCS)


def requires_authentication() -> GitHubError:
    """401: no token where one is needed."""
    return GitHubError(HTTPStatus.UNAUTHORIZED, "Requires authentication")


def inaccessible() -> GitHubError:
    """403: the job's token lacks the permission."""
    return GitHubError(HTTPStatus.FORBIDDEN, INACCESSIBLE)


def missing() -> GitHubError:
    """404: there is no such thing, or the caller may not know of it."""
    return GitHubError(HTTPStatus.NOT_FOUND, "Not Found")


def issues_disabled() -> GitHubError:
    """410: the repository has no issues, and never will have any unless its settings change."""
    return GitHubError(HTTPStatus.GONE, "Issues has been disabled in this repository.")


def malformed(message: str) -> GitHubError:
    """422: the body is not as the operation's description says."""
    return GitHubError(HTTPStatus.UNPROCESSABLE_ENTITY, f"Invalid request.\n\n{message}")


def invalid(resource: str, code: str, field: str, message: str) -> GitHubError:
    """422: a field that cannot be so.

    :param resource: ``IssueComment``.
    :param code: ``custom``, ``invalid``, ``missing_field`` or ``unprocessable``.
    """
    error = {"resource": resource, "code": code, "field": field, "message": message}
    return GitHubError(HTTPStatus.UNPROCESSABLE_ENTITY, "Validation Failed", errors=[error])


def out_of_requests(whose: str, status: HTTPStatus) -> GitHubError:
    """The primary rate limit: too many requests in this hour.

    :param whose: ``installation ID 1``, ``user ID 1`` or an address.
    :param status: 403 or 429.
    """
    return GitHubError(status, f"API rate limit exceeded for {whose}.", documentation_url=_LIMITS)


def too_fast(retry_after: int | None, status: HTTPStatus) -> GitHubError:
    """A secondary rate limit: too many requests at once, or too much that is new.

    :param retry_after: seconds, as the header of that name says; ``None`` for no such header.
    :param status: 403 or 429.
    """
    return GitHubError(
        status,
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
        headers={} if retry_after is None else {"Retry-After": str(retry_after)},
        documentation_url=f"{_LIMITS}#about-secondary-rate-limits",
    )
