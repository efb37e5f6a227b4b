"""Methods that there are over HTTP alone answer, and refuse, as those of the clients do."""

from __future__ import annotations

import json
from typing import Any

import google.auth.exceptions
import pytest
import requests

from octue_action.google import _google_error
from octue_action.rest import RestMethod, RestRequest

REQUEST = RestRequest("PATCH", "iam.googleapis.com/v1/name", {"updateMask": "a"}, {"a": 1})


class Session(requests.Session):
    """Gives one answer, and keeps what it was asked."""

    def __init__(self, status: int = 200, body: str = "{}", error: Exception | None = None) -> None:
        super().__init__()
        self._answer = requests.Response()
        self._answer.status_code, self._answer._content, self._answer.reason = status, body.encode(), "Reason"
        self._error = error
        self.asked: list[Any] = []

    def request(self, *arguments: Any, **named: Any) -> requests.Response:
        self.asked.append((arguments, named))
        if self._error is not None:
            raise self._error
        return self._answer


def call(session: Session) -> dict[str, Any]:
    return RestMethod("update_thing", session, "https:/")(request=REQUEST, timeout=3.0, retry=None)


def refusal(session: Session) -> Any:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is, the door makes a failure of it
        call(session)
    return _google_error(RestMethod("update_thing", session, ""), caught.value)


def test_a_request_is_sent_as_it_is_and_answered() -> None:
    session = Session(body='{"name": "n"}')
    assert call(session) == {"name": "n"}
    (arguments, named) = session.asked[0]
    assert arguments == ("PATCH", "https://iam.googleapis.com/v1/name")
    assert named == {"params": {"updateMask": "a"}, "json": {"a": 1}, "timeout": 3.0}


def test_a_refusal_has_the_canonical_code_and_its_reason() -> None:
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "R", "domain": "d", "metadata": {"a": "b"}}
    body = {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "No.", "details": [{"@type": "x"}, info]}}
    told = refusal(Session(403, json.dumps(body)))
    assert (told.method, told.status, told.said) == ("update_thing", "PERMISSION_DENIED", "No.")
    assert (told.reason, told.metadata) == ("R", {"a": "b"})


@pytest.mark.parametrize(
    ("session", "status"),
    [
        (Session(404, '{"error": {"status": "NOT_FOUND", "message": "none"}}'), "NOT_FOUND"),
        (Session(409, '{"error": {"status": "ALREADY_EXISTS", "message": "it is"}}'), "ALREADY_EXISTS"),
        (Session(503, "<html>"), "UNAVAILABLE"),
        (Session(502, '{"error": "no object"}'), "UNAVAILABLE"),
        (Session(404, "<html>"), "UNKNOWN"),
        (Session(400, '{"error": {"status": "NONSENSE", "message": ""}}'), "UNKNOWN"),
        (Session(400, '{"error": {"status": "NOT_FOUND", "message": "", "details": [{"@type": 1}, 2]}}'), "UNKNOWN"),
        (Session(200, "<html>"), "UNKNOWN"),
        (Session(error=requests.ReadTimeout()), "DEADLINE_EXCEEDED"),
        (Session(error=requests.ConnectionError()), "UNAVAILABLE"),
        (Session(error=google.auth.exceptions.RefreshError("no token")), "UNAUTHENTICATED"),
    ],
)
def test_whatever_goes_wrong_has_a_code(session: Session, status: str) -> None:
    assert refusal(session).status == status


def test_nothing_of_a_lost_connection_is_told_that_could_have_a_token_in_it() -> None:
    told = refusal(Session(error=requests.ConnectionError("ya29.secret")))
    assert "ya29" not in str(told)
