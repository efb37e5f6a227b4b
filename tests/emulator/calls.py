"""Calls over HTTP as somebody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests

from emulator.server import Emulator

OWNER = "user:owner@example.com"


class Refused(Exception):
    """An answer that is none of success.

    :param status: the HTTP status.
    :param error: ``error`` in the JSON.
    """

    def __init__(self, status: int, error: dict[str, Any]) -> None:
        super().__init__(f"{error['status']}: {error['message']}")
        self.status = status
        self.error = error


def caller(emulator: Emulator, principal: str = OWNER) -> Callable[..., Any]:
    """What calls the APIs as somebody, ``call("GET", "run.googleapis.com/v2/...", {})``, and waits for operations.

    :raises Refused: from each call that is not answered with success.
    """
    token = emulator.world.tokens.issue_access_token(principal)

    def call(method: str, url: str, content: dict[str, Any] | None = None) -> Any:
        response = requests.request(
            method,
            f"http://{emulator.address}/{url}",
            headers={"Authorization": f"Bearer {token}"},
            json=content,
            timeout=5,
        )
        answer = response.json()
        if not response.ok:
            raise Refused(response.status_code, answer["error"])
        if "/operations/" not in f"/{answer.get('name', '')}" or method == "GET":
            return answer
        if not answer.get("done"):
            emulator.world.operations.wait(answer["name"])
            host, version = url.split("/")[:2]
            answer = call("GET", f"{host}/{version}/{answer['name']}")
        return answer["response"]

    return call
