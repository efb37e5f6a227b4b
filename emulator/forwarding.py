"""HTTP requests passed on to containers, and the pages that Cloud Run's front end gives by itself."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

# Headers of one connection, not of the request (RFC 9110, 7.6.1).
_HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}


@dataclass(frozen=True)
class Response:
    """A service's answer to a HTTP request.

    :param status: HTTP status code.
    :param headers: name and value in the order they came.
    :param body: decoded from any transfer encoding.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def page(status: HTTPStatus, text: str) -> Response:
    """The page that Cloud Run's front end answers with by itself."""
    body = f"<html><head><title>{status.value} {status.phrase}</title></head><body><h1>Error: {text}</h1></body></html>"
    return Response(status, (("Content-Type", "text/html; charset=UTF-8"),), body.encode())


def forward(
    port: int, hostname: str, method: str, target: str, headers: Mapping[str, str], body: bytes, seconds: float
) -> Response:
    """Pass a request on to a container.

    :param port: where the container listens on this machine.
    :param hostname: what the caller called.
    :param target: path and query.
    :param seconds: how long the container may be silent.
    :raises TimeoutError: where it takes longer.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request(method, target, body, _seen_headers(hostname, headers))
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    kept = tuple((name, value) for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP)
    return Response(answer.status, kept, content)


def _seen_headers(hostname: str, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers a container sees: Cloud Run takes the signature out of the token it has checked.

    https://cloud.google.com/run/docs/troubleshooting#signature-removed
    """
    forwarded = {
        name: value for name, value in headers.items() if name.lower() not in _HOP_BY_HOP | {"host", "content-length"}
    }
    for name, value in forwarded.items():
        if name.lower() == "authorization" and value.count(".") == 2:  # noqa: PLR2004 - a JWT has three parts
            forwarded[name] = value.rpartition(".")[0] + ".SIGNATURE_REMOVED_BY_GOOGLE"
    return {**forwarded, "Host": hostname, "X-Forwarded-Proto": "https"}
