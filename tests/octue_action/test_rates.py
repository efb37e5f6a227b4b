"""How fast Google's APIs are asked: never faster than they allow, and never slower than they need be."""

from __future__ import annotations

import bisect
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from octue_action.rates import MINUTE, RATES, Limiter, Limiters, Rate, Rates

TINY = 1e-6
"""Seconds that are lost in sums of floating-point numbers."""


def turns(rate: Rate, comings: list[float]) -> list[float]:
    """When each of those who come, in this order, has its turn."""
    limiter = Limiter(rate)
    return [now + limiter.turn(now) for now in comings]


RATE = st.builds(Rate, per_minute=st.integers(1, 200), burst=st.integers(1, 50))
COMINGS = st.lists(st.floats(0.0, 20.0), max_size=150).map(lambda pauses: [sum(pauses[:n]) for n in range(len(pauses))])


@given(RATE, COMINGS)
@example(Rate(per_minute=60, burst=5), [1000.0] * 150)
def test_in_no_minute_there_are_more_turns_than_the_rate_and_the_burst(rate: Rate, comings: list[float]) -> None:
    given_turns = turns(rate, comings)

    for number, first in enumerate(given_turns):
        in_minute = bisect.bisect_left(given_turns, first + MINUTE - TINY) - number
        assert in_minute <= rate.per_minute + rate.burst


@given(RATE, COMINGS)
def test_nobody_waits_where_there_is_room_and_nobody_longer_than_until_there_is(
    rate: Rate, comings: list[float]
) -> None:
    """Held against a bucket of tokens that is filled and emptied step by step."""
    tokens, filled_at = float(rate.burst), 0.0
    for came, turn in zip(comings, turns(rate, comings), strict=True):
        at = max(came, filled_at)
        tokens = min(float(rate.burst), tokens + (at - filled_at) * rate.per_minute / MINUTE)
        missing = max(0.0, 1.0 - tokens) * MINUTE / rate.per_minute
        assert turn == pytest.approx(at + missing, abs=TINY)
        tokens, filled_at = max(tokens, 1.0) - 1.0, at + missing


@given(RATE, COMINGS)
def test_turns_are_in_the_order_in_which_they_were_asked_for(rate: Rate, comings: list[float]) -> None:
    assert all(earlier <= later for earlier, later in pairwise(turns(rate, comings)))


def test_several_threads_share_the_turns() -> None:
    limiter, together = Limiter(Rate(per_minute=60, burst=10)), threading.Barrier(8)

    def take(_: int) -> list[float]:
        together.wait()
        return [limiter.turn(100.0) for _ in range(25)]

    with ThreadPoolExecutor(8) as pool:
        waits = sorted(wait for taken in pool.map(take, range(8)) for wait in taken)

    assert waits == pytest.approx([max(0.0, number - 9.0) for number in range(200)])


@pytest.mark.parametrize("quota", [2, 59, 60, 600])
def test_a_quota_is_kept_in_every_minute(quota: int) -> None:
    rate = Rate.within(quota)

    assert rate.per_minute + rate.burst == quota
    assert rate.per_minute > 0 < rate.burst


def test_reads_and_writes_of_an_api_take_turns_of_their_own_where_they_have_quotas_of_their_own() -> None:
    one = Rate(per_minute=1, burst=1)
    limiters = Limiters({"apart": Rates(one, one), "together": Rates(one)})

    assert [limiters.turn("apart", 0.0, writes=writes) for writes in (False, True)] == [0.0, 0.0]
    assert [limiters.turn("together", 0.0, writes=writes) for writes in (False, True)] == [0.0, 60.0]
    assert [limiters.turn("elsewhere", 0.0, writes=True) for _ in range(9)] == [0.0] * 9


@pytest.mark.parametrize("host", RATES)
def test_one_service_has_room_with_every_api(host: str) -> None:
    limiters = Limiters()

    assert {limiters.turn(host, 0.0, writes=False) for _ in range(20)} == {0.0}
    assert {limiters.turn(host, 60.0, writes=True) for _ in range(10)} == {0.0}


def metadata(value: str, limit: str = "WritePerMinutePerProjectRegion") -> dict[str, str]:
    """Of the ``ErrorInfo`` of a refusal, as google/oss-fuzz#8772 shows one."""
    return {"quota_limit": limit, "quota_limit_value": value, "quota_location": "europe-west1"}


def test_a_refusal_that_tells_the_quota_is_learnt_from() -> None:
    limiters = Limiters({"api": Rates(Rate(per_minute=60, burst=60), Rate(per_minute=60, burst=60))})
    for _ in range(40):
        limiters.turn("api", 0.0, writes=True)

    limiters.learn("api", 10.0, metadata("30"), writes=True)
    limiters.learn("api", 10.0, metadata("30"), writes=True)

    assert [limiters.turn("api", 10.0, writes=True) for _ in range(3)] == pytest.approx(
        [60 / 27, 120 / 27, 180 / 27]
    ), "a tenth less than it"
    assert [limiters.turn("api", 10.0, writes=False) for _ in range(60)] == [0.0] * 60


@pytest.mark.parametrize("told", [{}, metadata("0"), metadata("-1"), metadata("many"), {"quota_limit": "APerMinute"}])
def test_after_a_refusal_that_tells_no_quota_the_rate_is_halved_once_for_all_that_were_made_at_it(
    told: dict[str, str],
) -> None:
    limiters = Limiters({"api": Rates(Rate(per_minute=60, burst=60))})

    for now in (100.0, 101.0, 109.0):
        limiters.learn("api", now, told, writes=True)
    assert [limiters.turn("api", 109.0, writes=True) for _ in range(3)] == pytest.approx([0.0, 1.0, 2.0])
    limiters.learn("api", 120.0, told, writes=True)

    assert [limiters.turn("api", 120.0, writes=True) for _ in range(3)] == pytest.approx([2.0, 4.0, 6.0])


@pytest.mark.parametrize("told", [metadata("120"), metadata("30", "TopicsPerProject"), {"quota_limit": "Topics"}])
def test_a_refusal_that_tells_no_smaller_quota_of_a_minute_changes_nothing(told: dict[str, str]) -> None:
    limiters = Limiters({"api": Rates(Rate(per_minute=60, burst=60))})

    limiters.learn("api", 0.0, told, writes=False)
    limiters.learn("elsewhere", 0.0, told, writes=False)

    assert [limiters.turn("api", 0.0, writes=False) for _ in range(61)] == [*[0.0] * 60, 1.0]
