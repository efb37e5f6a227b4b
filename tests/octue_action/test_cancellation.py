"""A wish to end is seen by every thread; that signals bring it, tests/test_entrypoint.py shows with real processes."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from octue_action.cancellation import Cancellation, Cancelled


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
