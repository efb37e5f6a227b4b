"""A wish to end is seen by every thread; that signals bring it, tests/test_entrypoint.py shows with real processes."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octue_action.cancellation import SHORTEST_SECONDS, TOO_LONG, Cancellation, Cancelled
from tests.clocks import SimulatedClock


def test_until_the_run_is_to_end_nothing_is_held_up() -> None:
    cancellation = Cancellation()

    cancellation.check()
    cancellation.pause(0.0)

    assert not cancellation.asked
    assert cancellation.exit_code == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_to_end_goes_no_further_and_its_exit_code_names_the_signal(
    number: signal.Signals, code: int
) -> None:
    cancellation = Cancellation()

    cancellation.ask(number)

    assert cancellation.exit_code == code
    with pytest.raises(Cancelled):
        cancellation.check()
    with pytest.raises(Cancelled):
        cancellation.pause(60.0)


def test_a_thread_that_pauses_is_woken() -> None:
    cancellation = Cancellation()
    threading.Timer(0.1, cancellation.ask).start()
    start = time.monotonic()

    with pytest.raises(Cancelled):
        cancellation.pause(60.0)

    assert time.monotonic() - start < 5


def test_no_code_that_deals_with_errors_deals_with_the_end_of_the_run() -> None:
    assert not issubclass(Cancelled, Exception)


# A run that takes too long


def test_a_run_ends_by_itself_when_its_time_is_over() -> None:
    cancellation = Cancellation(SimulatedClock())
    cancellation.limit(90.0)
    cancellation.pause(60.0)
    assert cancellation.left() == 30.0

    with pytest.raises(Cancelled):
        cancellation.pause(60.0)

    assert cancellation.now() == 90.0
    assert cancellation.too_long
    assert cancellation.exit_code == TOO_LONG
    assert cancellation.ended == "took longer than the 1.5 minutes it may take"
    with pytest.raises(Cancelled):
        cancellation.check()


def test_a_run_that_is_cancelled_first_has_not_taken_too_long() -> None:
    clock = SimulatedClock()
    cancellation = Cancellation(clock)
    cancellation.limit(1.0)
    cancellation.ask()
    clock.time += 60.0

    with pytest.raises(Cancelled):
        cancellation.check()

    assert not cancellation.too_long
    assert cancellation.exit_code == 130
    assert cancellation.ended == "was cancelled"


def test_a_request_is_given_no_more_time_than_is_left_and_never_none() -> None:
    clock = SimulatedClock()
    cancellation = Cancellation(clock)
    assert cancellation.within(60.0) == 60.0
    cancellation.limit(90.0)
    assert cancellation.within(60.0) == 60.0
    clock.time = 80.0
    assert cancellation.within(60.0) == 10.0
    clock.time = 100.0
    assert cancellation.within(60.0) == SHORTEST_SECONDS > 0


def test_without_a_limit_a_run_may_take_for_ever() -> None:
    clock = SimulatedClock()
    clock.time = 1e9

    Cancellation(clock).check()


# Polling


def polled(seconds: float, **pauses: Any) -> tuple[SimulatedClock, list[float]]:
    clock = SimulatedClock()
    return clock, [clock.time for _ in Cancellation(clock).poll(seconds, **pauses)]


def test_polling_begins_at_once_and_slows_down() -> None:
    clock, times = polled(60.0, first=1.0, growth=2.0, most=10.0)
    assert clock.waits == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0, 10.0]
    assert times == [0.0, 1.0, 3.0, 7.0, 15.0, 25.0, 35.0, 45.0, 55.0]


def test_polling_for_no_time_is_one_look() -> None:
    clock, times = polled(0.0)
    assert times == [0.0]
    assert clock.waits == []


def test_polling_what_has_just_begun_waits_first() -> None:
    _, times = polled(3.0, first=1.0, growth=1.0, at_once=False)
    assert times == [1.0, 2.0, 3.0]


def test_polling_never_lasts_longer_than_it_may() -> None:
    clock, _ = polled(100.0, first=0.3, growth=1.6, most=10.0)
    assert clock.time <= 100.0
    assert max(clock.waits) == 10.0


@given(seconds=st.floats(0.0, 3600.0))
def test_an_end_is_noticed_after_a_fifth_of_a_second_or_six_hundredths_of_what_passed_at_the_latest(
    seconds: float,
) -> None:
    clock = SimulatedClock()
    seen = next(clock.time for _ in Cancellation(clock).poll(7200.0) if clock.time >= seconds)
    assert seen - seconds <= min(max(0.2, 0.0601 * seen), 10.0), "on average it is half of that"


def test_what_takes_half_a_minute_is_looked_at_less_than_sixty_times() -> None:
    _, times = polled(30.0)
    assert len(times) < 60


def test_polling_ends_with_the_run() -> None:
    cancellation = Cancellation(SimulatedClock())
    cancellation.limit(5.0)
    with pytest.raises(Cancelled):
        for _ in cancellation.poll(60.0, first=1.0):
            pass
    assert cancellation.now() == 5.0
