"""Which revision the traffic goes back to; how it gets there is held in ``resources/test_rollback.py``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import pytest
from google.cloud import run_v2
from hypothesis import given
from hypothesis import strategies as st

from octue_action.failure import Failure
from octue_action.resources.cloud_run_service import CloudRunService
from octue_action.rollback import choose
from tests.octue_action.resources.kinds import KINDS

SERVICE = cast(CloudRunService, KINDS["cloud_run_service"].example("sum"))


def revision(number: int, *, is_ready: bool = True) -> run_v2.Revision:
    state = run_v2.Condition.State.CONDITION_SUCCEEDED if is_ready else run_v2.Condition.State.CONDITION_FAILED
    return run_v2.Revision(
        name=f"projects/p/locations/r/services/sum/revisions/sum-{number:05}",
        create_time={"seconds": 1_700_000_000 + number},
        conditions=[run_v2.Condition(type_="Ready", state=state)],
    )


def made_last(number: int) -> CloudRunService:
    message = run_v2.Service(latest_created_revision=f"projects/p/locations/r/services/sum/revisions/sum-{number:05}")
    return replace(SERVICE, message=message)


def chosen(revisions: Sequence[run_v2.Revision], last: int, named: str | None = None) -> str:
    return choose(revisions, made_last(last), named).name.rpartition("/")[2]


def test_the_newest_ready_one_before_the_one_made_last_is_chosen() -> None:
    assert chosen([revision(1), revision(2), revision(3)], 3) == "sum-00002"


def test_one_that_was_never_ready_is_passed_over() -> None:
    assert chosen([revision(1), revision(2, is_ready=False), revision(3)], 3) == "sum-00001"


def test_after_a_deployment_that_failed_what_serves_now_is_kept() -> None:
    assert chosen([revision(1), revision(2), revision(3, is_ready=False)], 3) == "sum-00002"


def test_one_that_is_named_is_chosen_whichever_it_is() -> None:
    assert chosen([revision(1), revision(2), revision(3)], 3, "sum-00001") == "sum-00001"


@given(st.permutations([1, 2, 3, 4]), st.sets(st.integers(1, 4), max_size=3))
def test_the_order_in_which_they_are_listed_does_not_matter(order: list[int], failed: set[int]) -> None:
    revisions = [revision(number, is_ready=number not in failed) for number in order]
    earlier = [number for number in (3, 2, 1) if number not in failed]
    if earlier:
        assert chosen(revisions, 4) == f"sum-{earlier[0]:05}"
    else:
        with pytest.raises(Failure, match="no revision before the present one that is ready"):
            chosen(revisions, 4)


@pytest.mark.parametrize("named", ["sum-00002", "sum-00009"])
def test_one_that_is_not_ready_or_not_there_is_refused_and_the_others_are_named(named: str) -> None:
    with pytest.raises(Failure, match=f"no revision {named} that is ready") as caught:
        chosen([revision(1), revision(2, is_ready=False), revision(3)], 3, named)
    assert caught.value.remedy.splitlines()[1:] == ["sum-00003", "sum-00001"]
