from __future__ import annotations

import pytest

from emulator.requests import IN_PROGRESS, Request, Requests


def test_a_call_is_there_as_soon_as_it_comes_in() -> None:
    requests = Requests()
    requests.begin("google.pubsub.v1.Publisher/CreateTopic", "anonymous")

    assert list(requests) == [Request(1, "google.pubsub.v1.Publisher/CreateTopic", "anonymous", True, IN_PROGRESS)]


def test_a_call_gets_its_status_whatever_came_in_between() -> None:
    requests = Requests()
    first = requests.begin("a/GetX", "anonymous")
    requests.begin("a/GetY", "anonymous")
    requests.end(first, "NOT_FOUND")

    assert [(request.method, request.status) for request in requests] == [
        ("a/GetX", "NOT_FOUND"),
        ("a/GetY", IN_PROGRESS),
    ]
    assert len(requests) == 2


def test_a_call_whose_answer_is_lost_tells_how_it_ended_for_either_side() -> None:
    requests = Requests()
    number = requests.begin("a/CreateX", "anonymous")
    requests.lose(number, "OK")
    requests.end(number, "UNAVAILABLE")

    assert [(request.status, request.lost) for request in requests] == [("UNAVAILABLE", "OK")]


@pytest.mark.parametrize(
    ("method", "writes"),
    [
        ("GetService", False),
        ("ListTopics", False),
        ("TestIamPermissions", False),
        ("WaitOperation", False),
        ("ExchangeToken", False),
        ("GenerateAccessToken", False),
        ("CreateService", True),
        ("SetIamPolicy", True),
        ("RunBuildTrigger", True),
        ("Publish", True),
    ],
)
def test_methods_that_change_something_are_told_from_those_that_do_not(method: str, writes: bool) -> None:
    requests = Requests()
    requests.begin(f"google.some.v1.Api/{method}", "anonymous")

    assert [request.writes for request in requests] == [writes]
