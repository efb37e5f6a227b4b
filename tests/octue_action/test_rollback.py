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
from octue_action.rollback import before_failure, name_of, named, previous, ready
from tests.octue_action.resources.kinds import KINDS

SERVICE = cast(CloudRunService, KINDS["cloud_run_service"].example("sum"))


def revision(number: int, *, is_ready: bool = True, image: str = "", nanos: int = 0) -> run_v2.Revision:
    state = run_v2.Condition.State.CONDITION_SUCCEEDED if is_ready else run_v2.Condition.State.CONDITION_FAILED
    return run_v2.Revision(
        name=f"projects/p/locations/r/services/sum/revisions/sum-{number:05}",
        create_time={"seconds": 1_700_000_000 + (0 if nanos else number), "nanos": nanos},
        containers=[run_v2.Container(image=image or f"image-{number}")],
        conditions=[run_v2.Condition(type_="Ready", state=state)],
    )


def standing(last: int, serving: int | None = None) -> CloudRunService:
    """The service with its newest revision, and the one that serves."""
    message = run_v2.Service(latest_created_revision=f"projects/p/locations/r/services/sum/revisions/sum-{last:05}")
    return replace(SERVICE, message=message, revision=f"sum-{serving or last:05}")


def chosen(revisions: Sequence[run_v2.Revision], last: int, name: str | None = None) -> str:
    return name_of((named(name) if name else previous)(ready(revisions), standing(last)))


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


def test_of_two_that_were_made_within_a_second_the_later_one_is_the_newer() -> None:
    first, second = revision(1, nanos=1), revision(2, nanos=500_000_000)
    assert list(map(name_of, ready([first, second]))) == ["sum-00002", "sum-00001"]


def back_from(revisions: Sequence[run_v2.Revision], *, served: int | None, now: int) -> str:
    """Where the traffic goes when the deployment of ``image-9`` turns out to be bad."""
    choose = before_failure(f"sum-{served:05}" if served else "", "image-9")
    return name_of(choose(ready(revisions), standing(now)))


def test_after_a_bad_deployment_the_traffic_goes_back_to_what_served_before_it() -> None:
    revisions = [revision(1), revision(2), revision(3, image="image-9")]
    assert back_from(revisions, served=2, now=3) == "sum-00002"


def test_it_does_not_go_to_one_that_somebody_has_rolled_back_before() -> None:
    revisions = [revision(1), revision(2), revision(3, image="image-9")]
    assert back_from(revisions, served=1, now=3) == "sum-00001"


def test_it_does_not_go_to_what_the_build_of_the_same_commit_has_made() -> None:
    revisions = [revision(1), revision(2, image="image-9"), revision(3, image="image-9")]
    assert back_from(revisions, served=2, now=3) == "sum-00001"


def test_it_does_not_go_to_one_that_was_made_since_and_does_not_serve() -> None:
    revisions = [revision(1), revision(2, image="image-9"), revision(3, image="image-9"), revision(4)]
    assert back_from(revisions, served=2, now=3) == "sum-00001"


def test_where_all_are_of_one_image_it_goes_to_what_served_before() -> None:
    revisions = [revision(number, image="image-9") for number in (1, 2, 3)]
    assert back_from(revisions, served=2, now=3) == "sum-00002"


def test_what_this_run_has_not_changed_is_not_taken_back() -> None:
    with pytest.raises(Failure) as caught:
        back_from([revision(1), revision(2, image="image-9")], served=2, now=2)
    assert caught.value.message == (
        "This run has not changed what serves, sum-00002, so there is nothing that it could take back."
    )
    assert caught.value.remedy == "To go back all the same, run the action with:\nmode: rollback"


def test_a_first_deployment_has_nothing_before_it() -> None:
    with pytest.raises(Failure) as caught:
        back_from([revision(1, image="image-9")], served=None, now=1)
    assert caught.value.message == "The Cloud Run service sum has no revision before this deployment that is ready."
    assert caught.value.remedy == "There is no other revision. Deploy an earlier commit instead."


@pytest.mark.parametrize("name", ["sum-00002", "sum-00009"])
def test_one_that_is_not_ready_or_not_there_is_refused_and_the_others_are_named(name: str) -> None:
    with pytest.raises(Failure, match=f"no revision {name} that is ready") as caught:
        chosen([revision(1), revision(2, is_ready=False), revision(3)], 3, name)
    assert caught.value.remedy == "Name one of these, newest first, in `revision`:\nsum-00001"
