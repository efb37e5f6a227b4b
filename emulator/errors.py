"""The error every emulated API raises, and how it looks over gRPC and over HTTP."""

from __future__ import annotations

from http import HTTPStatus

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

# google/rpc/code.proto says which HTTP status each code has.
HTTP_STATUS: dict[grpc.StatusCode, HTTPStatus] = {
    grpc.StatusCode.OK: HTTPStatus.OK,
    grpc.StatusCode.CANCELLED: HTTPStatus.REQUEST_TIMEOUT,  # Google answers 499, which HTTPStatus does not know
    grpc.StatusCode.UNKNOWN: HTTPStatus.INTERNAL_SERVER_ERROR,
    grpc.StatusCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
    grpc.StatusCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS: HTTPStatus.CONFLICT,
    grpc.StatusCode.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    grpc.StatusCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    grpc.StatusCode.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    grpc.StatusCode.FAILED_PRECONDITION: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.ABORTED: HTTPStatus.CONFLICT,
    grpc.StatusCode.OUT_OF_RANGE: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    grpc.StatusCode.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
    grpc.StatusCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS: HTTPStatus.INTERNAL_SERVER_ERROR,
}


class ApiError(Exception):
    """A refusal as Google's APIs give it.

    :param code: the canonical code.
    :param message: the text for people.
    :param details: ``google.rpc`` messages such as ``ErrorInfo``.
    """

    def __init__(self, code: grpc.StatusCode, message: str, *details: Message) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.details = details

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"

    @property
    def name(self) -> str:
        """How the log of requests calls it: the canonical code's name."""
        return self.code.name

    @property
    def http_status(self) -> HTTPStatus:
        """The HTTP status that goes with the code."""
        return HTTP_STATUS[self.code]

    def status(self) -> status_pb2.Status:
        """The error as ``google.rpc.Status``."""
        status = status_pb2.Status(code=code_pb2.Code.Value(self.code.name), message=self.message)
        for detail in self.details:
            packed = Any()
            packed.Pack(detail)
            status.details.append(packed)
        return status


class BadGateway(ApiError):
    """502 from a proxy in front of an API, which knows nothing of the API's form; gRPC makes its own status of it."""

    PAGE = (
        "<!DOCTYPE html>\n<html lang=en>\n  <meta charset=utf-8>\n  <title>Error 502 (Server Error)!!1</title>\n"
        "  <p><b>502.</b> <ins>That's an error.</ins>\n  <p>The server encountered a temporary error and could not "
        "complete your request.<p>Please try again in 30 seconds.  <ins>That's all we know.</ins>\n"
    )

    def __init__(self) -> None:
        super().__init__(grpc.StatusCode.UNAVAILABLE, "Received http2 header with status: 502")

    @property
    def name(self) -> str:
        """How the log of requests calls it."""
        return "BAD_GATEWAY"

    @property
    def http_status(self) -> HTTPStatus:
        """502."""
        return HTTPStatus.BAD_GATEWAY


class ConnectionReset(ApiError):
    """No answer at all: the caller's connection is reset, which gRPC tells the caller as UNAVAILABLE."""

    def __init__(self) -> None:
        super().__init__(grpc.StatusCode.UNAVAILABLE, "Connection reset by peer")

    @property
    def name(self) -> str:
        """How the log of requests calls it."""
        return "CONNECTION_RESET"


def not_found(message: str, *details: Message) -> ApiError:
    """404 NOT_FOUND."""
    return ApiError(grpc.StatusCode.NOT_FOUND, message, *details)


def already_exists(message: str, *details: Message) -> ApiError:
    """409 ALREADY_EXISTS."""
    return ApiError(grpc.StatusCode.ALREADY_EXISTS, message, *details)


def aborted(message: str, *details: Message) -> ApiError:
    """409 ABORTED: somebody else changed it in between."""
    return ApiError(grpc.StatusCode.ABORTED, message, *details)


def invalid_argument(message: str, *details: Message) -> ApiError:
    """400 INVALID_ARGUMENT."""
    return ApiError(grpc.StatusCode.INVALID_ARGUMENT, message, *details)


def failed_precondition(message: str, *details: Message) -> ApiError:
    """400 FAILED_PRECONDITION."""
    return ApiError(grpc.StatusCode.FAILED_PRECONDITION, message, *details)


def permission_denied(message: str, *details: Message) -> ApiError:
    """403 PERMISSION_DENIED."""
    return ApiError(grpc.StatusCode.PERMISSION_DENIED, message, *details)


def unauthenticated(message: str, *details: Message) -> ApiError:
    """401 UNAUTHENTICATED."""
    return ApiError(grpc.StatusCode.UNAUTHENTICATED, message, *details)


def unimplemented(message: str, *details: Message) -> ApiError:
    """501 UNIMPLEMENTED."""
    return ApiError(grpc.StatusCode.UNIMPLEMENTED, message, *details)


def service_disabled(host: str, title: str, project_number: str) -> ApiError:
    """403 PERMISSION_DENIED, SERVICE_DISABLED: an API is switched off in the project.

    :param host: the API's, ``run.googleapis.com``.
    :param title: its product's, ``Cloud Run Admin API``.
    """
    url = f"https://console.developers.google.com/apis/api/{host}/overview?project={project_number}"
    message = (
        f"{title} has not been used in project {project_number} before or it is disabled. Enable it by visiting "
        f"{url} then retry. If you enabled this API recently, wait a few minutes for the action to propagate to "
        "our systems and retry."
    )
    metadata = {"service": host, "consumer": f"projects/{project_number}", "activationUrl": url}
    return permission_denied(
        message,
        error_details_pb2.ErrorInfo(reason="SERVICE_DISABLED", domain="googleapis.com", metadata=metadata),
        error_details_pb2.LocalizedMessage(locale="en-US", message=message),
        error_details_pb2.Help(
            links=[error_details_pb2.Help.Link(description="Google developers console API activation", url=url)]
        ),
    )


def permission_error(permission: str, resource: str) -> tuple[str, error_details_pb2.ErrorInfo]:
    """Message and detail with which IAM refuses a caller that lacks a permission.

    :param permission: ``iam.serviceAccounts.getAccessToken``.
    :param resource: relative resource name.
    """
    return f"Permission '{permission}' denied on resource (or it may not exist).", error_details_pb2.ErrorInfo(
        reason="IAM_PERMISSION_DENIED",
        domain="iam.googleapis.com",
        metadata={"permission": permission, "resource": resource},
    )
