"""How many requests a run makes, which of them wait for others, and that none is made twice for nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from emulator.latencies import Latencies, Percentiles
from emulator.requests import Request
from tests.runs import Job, job_of_small_service

MOST_OF_FRESH, MOST_OF_NO_OP = 45, 20
SIGN_IN = ("GetIdToken", "ExchangeToken", "GenerateAccessToken")

LOOKS = ("/GetBuild", "/GetOperation", "/WaitOperation")
"""Whether something has ended: more of them the longer it takes."""

SECONDS = 0.2
"""How long each call takes where it matters which wait for others: longer than a busy machine mixes them up."""


def methods(requests: Iterable[Request]) -> list[str]:
    return [request.method.rpartition("/")[2] for request in requests]


def depth(requests: Iterable[Request]) -> int:
    """The longest chain of requests each of which began after the one before had been answered."""
    longest: dict[float, int] = {}
    for request in sorted(requests, key=lambda it: it.began):
        before = [length for ended, length in longest.items() if ended <= request.began]
        longest[request.ended] = max(longest.get(request.ended, 0), max(before, default=0) + 1)
    return max(longest.values())


@pytest.fixture
def deployed(job: Job) -> Job:
    assert job.deploy(event_name="workflow_dispatch").code == 0
    return job


def test_a_first_deployment_asks_for_each_thing_once(deployed: Job) -> None:
    (run,) = deployed.runs
    asked = Counter((it.method.rpartition("/")[2], it.about) for it in run.requests)
    repeated = {method for (method, _), times in asked.items() if times > 1}
    assert repeated <= {"GetServiceAccount", "GetOperation", "GetBuild", "WaitOperation", "GetTag"}, "those wait"
    looks = [it for it in run.requests if it.method.endswith(LOOKS)]
    assert len(run.requests) - len(looks) <= MOST_OF_FRESH


def test_a_topic_that_is_not_there_is_not_asked_for_as_pubsub_would_remember_that(deployed: Job) -> None:
    assert "GetTopic" not in methods(deployed.runs[0].requests)


def test_a_first_deployment_reads_no_policy_again_that_it_has_read_for_the_plan(deployed: Job) -> None:
    of_project = [it for it in deployed.runs[0].requests if it.about == "projects/my-project"]
    assert Counter(methods(of_project))["GetIamPolicy"] == 1


def test_where_all_is_as_it_should_be_few_requests_say_so(deployed: Job) -> None:
    run = deployed.deploy(event_name="workflow_dispatch")
    assert run.writes == []
    assert len(run.requests) <= MOST_OF_NO_OP
    assert max(Counter((it.method, it.about) for it in run.requests).values()) == 1, "nothing is asked twice"


@pytest.fixture
def far_away(tmp_path: Path) -> Iterator[Job]:
    """A deployed service, in a cloud in which every call takes as long."""
    each = Percentiles(SECONDS, SECONDS, SECONDS, SECONDS)
    kinds = ("any.googleapis.com GET", "any.googleapis.com POST")
    latencies = Latencies(dict.fromkeys(kinds, each), dict.fromkeys(kinds, 1))
    with job_of_small_service(tmp_path, latencies=latencies) as job:
        assert job.deploy(event_name="workflow_dispatch").code == 0
        yield job


def test_where_all_is_as_it_should_be_readings_take_two_round_trips_and_signing_in_three(far_away: Job) -> None:
    run = far_away.deploy(event_name="workflow_dispatch")
    signing_in = [it for it in run.requests if it.method.rpartition("/")[2] in SIGN_IN]
    assert depth(signing_in) == 3
    assert depth([it for it in run.requests if it not in signing_in]) == 2


def test_each_thing_is_made_as_soon_as_what_it_needs_is_there(far_away: Job) -> None:
    made = far_away.runs[0].requests
    requests = {it.method.rpartition("/")[2]: it for it in made}
    requests["operation of the repository"] = next(it for it in made if it.method.endswith("/GetOperation"))

    def follows(later: str, earlier: str) -> bool:
        return 0.0 <= requests[later].began - requests[earlier].ended < SECONDS

    assert follows("RunBuildTrigger", "operation of the repository")
    assert follows("CreateService", "GetTag")
    assert follows("CreateTrigger", "SetIamPolicy")
    assert requests["CreateServiceAccount"].began < requests["RunBuildTrigger"].ended, "they need nothing of each other"
    assert requests["CreateTopic"].began < requests["RunBuildTrigger"].ended
