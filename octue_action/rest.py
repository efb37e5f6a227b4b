"""Methods of Google's APIs that there are over HTTP alone, called as clients' methods are: request in, answer out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import google.auth.exceptions
import grpc
import requests
from google.api_core import exceptions
from google.rpc import error_details_pb2

_ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
_GARBAGE = (AttributeError, KeyError, TypeError, ValueError)


@dataclass(frozen=True)
class RestRequest:
    """One request.

    :param verb: of HTTP.
    :param url: host, version and name, ``iam.googleapis.com/v1/projects/P/locations/global/workloadIdentityPools/W``.
    :param params: of the query.
    :param body: JSON.
    """

    verb: str
    url: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None


class RestMethod:
    """A method, by the name that it is told by.

    :param name: as a client's method would be called, ``create_workload_identity_pool``.
    :param session: which signs requests.
    :param root: what stands before the host: ``https:/``, or an emulator's address.
    """

    def __init__(self, name: str, session: requests.Session, root: str) -> None:
        self.__name__ = name
        self._session = session
        self._root = root

    def __call__(self, *, request: RestRequest, timeout: float, retry: None = None) -> dict[str, Any]:  # noqa: ARG002 - as clients' methods have it
        """Ask, and give the answer.

        :param timeout: in seconds.
        :raises GoogleAPICallError: where it is refused, or nobody answers.
        :raises ValueError: where the answer is no JSON.
        """
        try:
            answer = self._session.request(
                request.verb,
                f"{self._root}/{request.url}",
                params=dict(request.params),
                json=request.body,
                timeout=timeout,
            )
        except google.auth.exceptions.GoogleAuthError as error:
            raise exceptions.from_grpc_status(grpc.StatusCode.UNAUTHENTICATED, str(error.args[0])) from None
        except requests.Timeout:
            raise exceptions.from_grpc_status(grpc.StatusCode.DEADLINE_EXCEEDED, "No answer in time.") from None
        except requests.RequestException as error:
            raise exceptions.from_grpc_status(grpc.StatusCode.UNAVAILABLE, type(error).__name__) from None
        if not answer.ok:
            raise _refusal(answer)
        content: dict[str, Any] = answer.json()
        return content


def _refusal(answer: requests.Response) -> exceptions.GoogleAPICallError:
    """The refusal as gRPC would have it: with the canonical code, and ``ErrorInfo`` where there is one."""
    refusal: exceptions.GoogleAPICallError
    try:
        error = answer.json()["error"]
        code, message = grpc.StatusCode[error["status"]], str(error["message"])
        info = next((it for it in error.get("details", ()) if it.get("@type") == _ERROR_INFO), None)
        given = {name: info[name] for name in ("reason", "domain", "metadata") if name in info} if info else None
        error_info = error_details_pb2.ErrorInfo(**given) if given else None
    except _GARBAGE:  # of a proxy, perhaps
        is_outage = answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
        code = grpc.StatusCode.UNAVAILABLE if is_outage else grpc.StatusCode.UNKNOWN
        message, error_info = f"{answer.status_code} {answer.reason}", None
    refusal = exceptions.from_grpc_status(code, message, error_info=error_info)
    return refusal
