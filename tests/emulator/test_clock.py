from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from google.protobuf.empty_pb2 import Empty

from emulator.clock import Clock
from emulator.operations import Operations

QUIET_SECONDS = 0.1
"""Of the machine's time: many times longer than it takes until time leaps."""


@pytest.fixture
def clock() -> Iterator[Clock]:
    """A clock that leaps."""
    clock = Clock(leaps=True)
    yield clock
    clock.close()


def in_threads(*works: Callable[[], object]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    return threads


def join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_a_clock_that_does_not_leap_sleeps_by_the_machines_time() -> None:
    clock, start = Clock(), time.monotonic()

    clock.sleep(QUIET_SECONDS)

    assert time.monotonic() - start >= QUIET_SECONDS


def test_a_sleep_takes_the_clocks_time_and_next_to_none_of_the_machines(clock: Clock) -> None:
    began, start = clock.time(), time.monotonic()

    clock.sleep(300)

    assert 300 <= clock.time() - began < 302
    assert time.monotonic() - start < 2


def test_nobody_wakes_before_their_time(clock: Clock) -> None:
    early = []

    def sleep(seconds: float) -> None:
        until = clock.time() + seconds
        clock.sleep(seconds)
        early.append(clock.time() < until)

    join(in_threads(*(lambda s=s: sleep(s) for s in (0.0, 0.001, 0.5, 7, 7, 1000))))

    assert early == [False] * 6


def test_twenty_sleepers_wake_in_the_order_of_their_times_and_time_goes_by_the_longest(clock: Clock) -> None:
    began = clock.time()
    woken: list[int] = []

    def sleep(seconds: int) -> None:
        clock.sleep(seconds)
        woken.append(seconds)

    with clock.working():  # so that all of them sleep before time leaps
        threads = in_threads(*(lambda s=s: sleep(s) for s in range(200, 0, -10)))
        time.sleep(QUIET_SECONDS)
    join(threads)

    assert woken == list(range(10, 201, 10))
    assert 200 <= clock.time() - began < 203


def test_time_never_goes_back(clock: Clock) -> None:
    done = threading.Event()
    seen: list[float] = []

    def look() -> None:
        while not done.wait(0.0002):
            seen.append(clock.time())

    def sleep() -> None:
        for _ in range(10):
            clock.sleep(1)

    looker = in_threads(look)
    join(in_threads(sleep, sleep, sleep))
    done.set()
    join(looker)

    assert seen == sorted(seen)
    assert seen[-1] - seen[0] > 9


def test_time_does_not_leap_while_somebody_is_at_work(clock: Clock) -> None:
    began = clock.time()

    with clock.working():
        threads = in_threads(lambda: clock.sleep(300))
        time.sleep(QUIET_SECONDS)
        passed = clock.time() - began

    join(threads)
    assert passed < 5
    assert clock.time() - began >= 300


def test_who_is_at_work_in_several_ways_is_so_until_the_last_ends(clock: Clock) -> None:
    began = clock.time()
    threads = []

    with clock.working():
        with clock.working():
            threads += in_threads(lambda: clock.sleep(300))
        time.sleep(QUIET_SECONDS)
        passed = clock.time() - began

    join(threads)
    assert passed < 5


def test_who_sleeps_within_their_work_is_not_at_work_meanwhile_and_is_again_afterwards(clock: Clock) -> None:
    with clock.working():
        clock.sleep(300)
        threads = in_threads(lambda: clock.sleep(300))
        after = clock.time()
        time.sleep(QUIET_SECONDS)
        passed = clock.time() - after

    join(threads)
    assert passed < 5


def test_work_in_a_thread_of_its_own_counts_from_when_it_is_ordered_until_it_ends(clock: Clock) -> None:
    go = threading.Event()

    clock.start(lambda: go.wait(10), "work")
    began = clock.time()
    threads = in_threads(lambda: clock.sleep(300))
    time.sleep(QUIET_SECONDS)
    passed = clock.time() - began
    go.set()

    join(threads)
    assert passed < 5


def test_time_stands_where_nobody_sleeps(clock: Clock) -> None:
    began = clock.time()
    condition = threading.Condition()

    def serve() -> None:
        with condition:
            clock.wait(condition, clock.time() + 300)

    in_threads(serve)
    time.sleep(QUIET_SECONDS)

    assert clock.time() - began < 5


def test_a_leap_does_not_pass_over_the_moment_that_others_wait_for(clock: Clock) -> None:
    condition = threading.Condition()
    served: list[float] = []
    began = clock.time()

    def serve() -> None:
        while len(served) < 2:
            with condition:
                clock.wait(condition, clock.time() + 100)
            served.append(clock.time() - began)

    servers = in_threads(serve)
    time.sleep(QUIET_SECONDS)
    clock.sleep(300)

    join(servers)
    assert served == [pytest.approx(100, abs=2), pytest.approx(200, abs=2)]


def test_who_slept_through_a_leap_wakes_in_time_where_work_has_taken_the_rest(clock: Clock) -> None:
    def sleep_and_work() -> None:
        clock.sleep(20)
        with clock.working():
            time.sleep(2 * QUIET_SECONDS)

    start = time.monotonic()

    join(in_threads(sleep_and_work, lambda: clock.sleep(20 + QUIET_SECONDS)))

    assert time.monotonic() - start < 5


def test_a_test_may_move_a_clock_that_leaps(clock: Clock) -> None:
    with clock.working():
        threads = in_threads(lambda: clock.sleep(300))
        time.sleep(QUIET_SECONDS)
        clock.advance(300)
        join(threads)


def test_a_closed_clock_leaps_no_more_and_its_thread_ends() -> None:
    before = set(threading.enumerate())
    clock = Clock(leaps=True)
    (watcher,) = set(threading.enumerate()) - before

    clock.close()

    join([watcher])
    began = clock.time()
    in_threads(lambda: clock.sleep(300))
    time.sleep(QUIET_SECONDS)
    assert clock.time() - began < 5


def test_an_operation_takes_the_clocks_time(clock: Clock) -> None:
    operations = Operations(clock, {"slow": 20})
    began, start = clock.time(), time.monotonic()

    operations.start("one", "slow", Empty, metadata=Empty)
    done = operations.wait("one", 60).done

    assert done
    assert 20 <= clock.time() - began < 25
    assert time.monotonic() - start < 2


def test_waiting_for_an_operation_ends_by_the_clocks_time(clock: Clock) -> None:
    operations = Operations(clock, {"slow": 100})
    began = clock.time()

    operations.start("one", "slow", Empty, metadata=Empty)

    assert not operations.wait("one", 60).done
    assert 60 <= clock.time() - began < 65


def test_time_does_not_leap_while_an_operation_works(clock: Clock) -> None:
    operations = Operations(clock, {})
    go = threading.Event()

    def work() -> Empty:
        go.wait(10)
        return Empty()

    operations.start("one", "test", work, metadata=Empty)
    began = clock.time()
    threading.Timer(QUIET_SECONDS, go.set).start()

    assert operations.wait("one", 60).done
    assert clock.time() - began < 5


def test_an_operation_whose_time_has_not_come_when_the_emulator_stops_ends_without_work(clock: Clock) -> None:
    operations = Operations(clock, {"slow": 1000})
    worked = []

    def work() -> Empty:
        worked.append(True)
        return Empty()

    with clock.working():  # so that its time does not come
        operations.start("one", "slow", work, metadata=Empty)
        operations.close()
        ended = operations.wait("one", 10)

    assert ended.error.message == "The emulator is stopping."
    assert worked == []
