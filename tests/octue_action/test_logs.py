"""Reading the log of what failed: from a Cloud Logging that answers as each test says."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from google.cloud.logging_v2 import types
from hypothesis import given
from hypothesis import strategies as st

from octue_action import logs, quirks
from octue_action.cancellation import Cancellation
from octue_action.failure import GoogleError
from octue_action.google import Google
from octue_action.logs import LONGEST_LINE, BuildLog, LogSource, RevisionLog, read
from tests.clocks import SimulatedClock
from tests.octue_action.failed_logs import BUILD_LOG, CONTAINERS

REVISION = RevisionLog(
    project_id="my-project", location="europe-west1", service="my-org-sum", revision="my-org-sum-00001-abc"
)
BUILD = BuildLog(project_id="my-project", build_id="6c1b", shown_at=BUILD_LOG, step=1)

Answer = Sequence[types.LogEntry] | Exception


def entries(*lines: str) -> list[types.LogEntry]:
    return [types.LogEntry(text_payload=line) for line in lines]


@dataclass
class CloudLogging:
    """Gives one answer after the other, and the last one for ever.

    :param answers: entries from the oldest on, or errors.
    """

    answers: list[Answer]
    requests: list[types.ListLogEntriesRequest] = field(default_factory=list)
    cancellation: Cancellation = field(default_factory=lambda: Cancellation(SimulatedClock()))
    poll = Google.poll

    @property
    def logging(self) -> CloudLogging:
        return self

    def list_log_entries(self, request: types.ListLogEntriesRequest) -> Iterator[types.LogEntry]:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return reversed(answer)

    def list(self, method: Callable[..., Any], request: Any, *, passing: Any) -> list[Any]:
        assert passing == (quirks.TOKEN_REFUSED,)
        return [*method(request=request)]


def log_of(source: LogSource, *answers: Answer, hidden: Sequence[str] = ()) -> logs.Log:
    return read(cast(Google, CloudLogging([*answers])), source, hidden)


def test_the_lines_of_a_revision_are_given_in_the_order_in_which_they_were_written() -> None:
    assert log_of(REVISION, entries(*CONTAINERS["import"])).lines == CONTAINERS["import"]


def test_an_entry_of_several_lines_is_several_lines_and_json_is_its_message() -> None:
    structured = types.LogEntry(json_payload={"message": "two\nthree", "level": 3})
    without_message = types.LogEntry(json_payload={"level": 3.0})

    log = log_of(REVISION, [*entries("one"), structured, without_message])

    assert log.lines == ("one", "two", "three", '{"level": 3.0}')


def test_only_what_the_containers_and_cloud_run_say_of_this_revision_since_yesterday_is_asked_for() -> None:
    door = CloudLogging([entries("Container called exit(1).")])

    read(cast(Google, door), REVISION)

    request = door.requests[0]
    assert request.resource_names == ["projects/my-project"]
    assert request.order_by == "timestamp desc"
    assert request.filter == (
        'resource.type="cloud_run_revision" AND resource.labels.service_name="my-org-sum" AND '
        'resource.labels.location="europe-west1" AND resource.labels.revision_name="my-org-sum-00001-abc" AND '
        '(logName="projects/my-project/logs/run.googleapis.com%2Fstdout" OR '
        'logName="projects/my-project/logs/run.googleapis.com%2Fstderr" OR '
        'logName="projects/my-project/logs/run.googleapis.com%2Fvarlog%2Fsystem") AND timestamp>="2026-01-01T00:00:00Z"'
    )


def test_lines_that_show_late_are_waited_for() -> None:
    late = entries("Traceback", "Container called exit(1).")

    assert log_of(REVISION, [], entries("Container called exit(1)."), late).lines == (
        "Traceback",
        "Container called exit(1).",
    )


def test_lines_that_never_show_are_waited_for_ten_seconds() -> None:
    door = CloudLogging([[]])

    log = read(cast(Google, door), REVISION)

    assert log == logs.Log(REVISION.url)
    assert 5.0 < door.cancellation.now() <= logs.SECONDS


def test_a_run_that_is_to_end_waits_for_no_lines() -> None:
    door = CloudLogging([entries("one")])
    door.cancellation.ask()

    assert read(cast(Google, door), REVISION).lines == ("one",)
    assert door.cancellation.now() == 0.0


@pytest.mark.parametrize("status", ["PERMISSION_DENIED", "NOT_FOUND", "UNIMPLEMENTED", "INVALID_ARGUMENT"])
def test_a_log_that_is_refused_is_asked_for_once_and_the_refusal_kept(status: str) -> None:
    refusal = GoogleError("list_log_entries", status, "no")
    door = CloudLogging([refusal])

    log = read(cast(Google, door), REVISION)

    assert log == logs.Log(REVISION.url, refusal=refusal)
    assert len(door.requests) == 1


@pytest.mark.parametrize("status", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL"])
def test_trouble_that_passes_is_waited_out_within_the_same_time(status: str) -> None:
    trouble = GoogleError("list_log_entries", status, "no")

    assert log_of(REVISION, trouble, entries("Container called exit(1).")).lines == ("Container called exit(1).",)
    assert log_of(REVISION, trouble).refusal is trouble


def test_of_a_build_only_the_lines_of_the_failed_step_are_shown_without_its_name() -> None:
    lines = (
        "starting build",
        'Step #0 - "fetch": Fetched',
        'Starting Step #1 - "build"',
        'Step #1 - "build": Step 1/3 : FROM python',
        'Step #1 - "build": COPY failed: file not found',
        'Finished Step #1 - "build"',
        "ERROR",
        'ERROR: build step 1 "gcr.io/cloud-builders/docker" failed: step exited with non-zero status: 1',
    )

    assert log_of(BUILD, entries(*lines)).lines == ("Step 1/3 : FROM python", "COPY failed: file not found")


def test_a_build_of_one_step_does_not_name_it() -> None:
    lines = ("BUILD", "COPY failed", "ERROR: build step 0 failed", "ERROR")

    assert log_of(BUILD, entries(*lines)).lines == ("COPY failed", "ERROR: build step 0 failed")


@pytest.mark.parametrize("place", range(LONGEST_LINE - 40, LONGEST_LINE + 5, 5))
def test_a_secret_that_is_cut_in_two_is_not_shown_either(place: int) -> None:
    secret = "correct-horse-battery-staple"
    line = "x" * place + secret + "y" * 100

    (shown,) = log_of(REVISION, entries(line, "Container called exit(1).")[:1], hidden=[secret]).lines

    assert len(shown) <= LONGEST_LINE
    assert secret[:8] not in shown


def test_what_was_written_before_a_given_time_is_not_asked_for() -> None:
    door = CloudLogging([entries("Container called exit(1).")])
    since = datetime.datetime(2025, 12, 31, 23, 59, tzinfo=datetime.UTC)

    read(cast(Google, door), replace(REVISION, since=since))

    assert door.requests[0].filter.endswith('AND timestamp>="2025-12-31T23:59:00Z"')


def test_of_a_long_log_the_last_lines_are_kept() -> None:
    lines = [f"line {number}" for number in range(90)]

    assert log_of(REVISION, entries(*lines, "Container called exit(1).")).lines == (
        *lines[-49:],
        "Container called exit(1).",
    )


@given(before=st.text(), secret=st.text(alphabet="abc-=! '\"\\", min_size=8, max_size=20), after=st.text())
def test_no_secret_is_in_what_is_read(before: str, secret: str, after: str) -> None:
    log = log_of(REVISION, entries(before + secret + after + " ya29.token"), hidden=[secret])

    assert "ya29" not in "\n".join(log.lines)
    assert not secret.strip() or len(secret.strip()) < 8 or secret.strip() not in "\n".join(log.lines)
