from __future__ import annotations

from typing import Any

import pytest

from tests.github_runner import Event, NotModelled, Refused, by_hand
from tests.github_runner.triggers import call_inputs, dispatch_inputs, starts
from tests.github_runner.workflow import Workflow, load

FILE = "some.yml"
MAIN = Event("push", "refs/heads/main")
NIGHT = Event("schedule", payload={"schedule": "17 3 * * *"})

DECLARED = """
      where: {required: true}
      how: {default: quietly}
      loud: {type: boolean}
"""


def workflow(on: str) -> Workflow:
    return load(f"on:\n  {on}\njobs: {{}}\n")


def declaring(event: str, inputs: str = DECLARED) -> Workflow:
    return workflow(f"{event}:\n    inputs:{inputs}")


def pull_request(action: str) -> Event:
    return Event("pull_request", "refs/pull/1/merge", {"action": action})


@pytest.mark.parametrize(
    ("on", "event", "expected"),
    [
        ("push: {branches: [main, next]}", MAIN, True),
        ("push: {branches: main}", MAIN, True),
        ("push: {branches: [main]}", Event("push", "refs/heads/other"), False),
        ("push: {branches: [main]}", Event("push", "refs/heads/domain"), False),
        ("push: {branches: [v1]}", Event("push", "refs/tags/v1"), False),
        ("push:", Event("push", "refs/tags/v1"), True),
        ("pull_request:", MAIN, False),
        ("pull_request:", pull_request("synchronize"), True),
        ("pull_request:", pull_request("closed"), False),
        ("pull_request: {types: [closed]}", pull_request("closed"), True),
        ("pull_request: {types: [closed]}", pull_request("opened"), False),
        ("schedule: [{cron: 1 2 * * *}, {cron: 17 3 * * *}]", NIGHT, True),
        ("schedule: [{cron: 18 3 * * *}]", NIGHT, False),
        ("workflow_dispatch:", by_hand(FILE), True),
        ("workflow_dispatch:", by_hand("other.yml"), False),
        ("workflow_call:", MAIN, False),
    ],
)
def test_an_event_starts_the_workflows_that_wait_for_it(on: str, event: Event, expected: bool) -> None:
    assert starts(workflow(on), event, FILE) is expected


def test_only_what_says_so_is_started_by_hand() -> None:
    with pytest.raises(Refused, match="does not have 'workflow_dispatch' trigger"):
        starts(workflow("push:"), by_hand(FILE), FILE)


@pytest.mark.parametrize(
    ("on", "event"),
    [
        ("push: {branches: ['releases/**']}", MAIN),
        ("push: {paths: [app.py]}", MAIN),
        ("pull_request: {branches: [main]}", pull_request("opened")),
        ("issues:", Event("issues")),
    ],
)
def test_other_filters_and_events_are_not_guessed(on: str, event: Event) -> None:
    with pytest.raises(NotModelled):
        starts(workflow(on), event, FILE)


class TestInputs:
    def test_what_was_typed_is_what_the_input_is(self) -> None:
        inputs = dispatch_inputs(declaring("workflow_dispatch"), by_hand(FILE, Where="here", loud="true"))
        assert inputs == {"where": "here", "how": "quietly", "loud": True}

    def test_what_is_not_given_is_the_default_or_nothing(self) -> None:
        assert dispatch_inputs(declaring("workflow_dispatch"), by_hand(FILE, where=""))["loud"] is False

    def test_of_another_event_there_are_none(self) -> None:
        assert dispatch_inputs(declaring("workflow_dispatch"), MAIN) == {}

    def test_a_job_hands_on_what_it_is(self) -> None:
        call = declaring(
            "workflow_call", "\n      a: {type: string}\n      b: {type: boolean}\n      c: {type: number}"
        )
        assert call_inputs(call, {"a": None, "b": True, "c": 3}) == {"a": "", "b": True, "c": 3}
        assert call_inputs(call, {}) == {"a": "", "b": False, "c": 0}

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({}, "Input where is required"),
            ({"where": "here", "colour": "red"}, "colour is not defined"),
            ({"where": "here", "loud": "true"}, "Unexpected value 'true' for the boolean input loud"),
        ],
    )
    def test_a_call_that_github_does_not_accept_is_refused(self, given: Any, message: str) -> None:
        with pytest.raises(Refused, match=message):
            call_inputs(declaring("workflow_call"), given)

    def test_only_what_says_so_is_called(self) -> None:
        with pytest.raises(Refused, match="not reusable"):
            call_inputs(workflow("push:"), {})

    @pytest.mark.parametrize("inputs", [{"colour": "red", "where": "here"}, {"loud": "true"}])
    def test_other_inputs_by_hand_are_refused(self, inputs: dict[str, str]) -> None:
        with pytest.raises(Refused):
            dispatch_inputs(declaring("workflow_dispatch"), by_hand(FILE, **inputs))

    @pytest.mark.parametrize("given", [{"where": True}, {"where": 3}, {"where": "here", "loud": None}])
    def test_what_github_does_with_values_of_other_kinds_is_not_guessed(self, given: Any) -> None:
        with pytest.raises(NotModelled):
            call_inputs(declaring("workflow_call"), given)
