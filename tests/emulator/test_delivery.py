from __future__ import annotations

import dataclasses
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.pubsub_v1.types import pubsub

from emulator.clock import Clock
from emulator.delivery import Backlog, Delivery, Rules
from emulator.errors import ApiError, not_found

RULES = Rules(
    ack_deadline=10,
    retention=600,
    ordered=False,
    exactly_once=False,
    backoff=(0, 0),
    max_attempts=None,
    shows_attempts=False,
)


class Flow:
    """A backlog with a clock to move and a place where its given-up messages go."""

    def __init__(self, **rules: object) -> None:
        self.clock = Clock()
        self.given_up: queue.Queue[tuple[str, int]] = queue.Queue()
        self.backlog = Backlog(
            "projects/p/subscriptions/flow",
            dataclasses.replace(RULES, **rules),  # type: ignore[arg-type]  # each test names fields with their types
            self.clock,
            lambda message, attempts: self.given_up.put((message.data.decode(), attempts)),
        )

    def add(self, *texts: str, key: str = "") -> None:
        for text in texts:
            self.backlog.add(pubsub.PubsubMessage(data=text.encode(), ordering_key=key))

    def receive(self, limit: int = 10) -> list[Delivery]:
        return self.backlog.receive(lambda: limit, until=self.clock.time())

    def texts(self, limit: int = 10) -> list[str]:
        return [delivery.message.data.decode() for delivery in self.receive(limit)]


@pytest.fixture
def flow() -> Flow:
    return Flow()


def test_messages_come_in_the_order_they_were_added(flow: Flow) -> None:
    flow.add("a", "b", "c")
    assert flow.texts(2) == ["a", "b"]
    assert flow.texts(2) == ["c"]


def test_a_leased_message_is_not_handed_out_again_before_its_deadline(flow: Flow) -> None:
    flow.add("a")
    assert flow.texts() == ["a"]
    flow.clock.advance(9)
    assert flow.texts() == []


def test_a_message_not_acknowledged_in_time_is_handed_out_again(flow: Flow) -> None:
    flow.add("a")
    (first,) = flow.receive()
    flow.clock.advance(10)
    (second,) = flow.receive()
    assert (first.attempt, second.attempt) == (1, 2)
    assert first.ack_id != second.ack_id


def test_an_acknowledged_message_never_comes_again(flow: Flow) -> None:
    flow.add("a")
    (delivery,) = flow.receive()
    assert flow.backlog.acknowledge([delivery.ack_id]) == []
    flow.clock.advance(100)
    assert flow.texts() == []
    assert len(flow.backlog) == 0


def test_an_acknowledgement_after_the_deadline_still_counts(flow: Flow) -> None:
    flow.add("a")
    (delivery,) = flow.receive()
    flow.clock.advance(11)
    assert flow.backlog.acknowledge([delivery.ack_id]) == []
    assert flow.texts() == []


def test_with_exactly_once_delivery_a_late_acknowledgement_does_not_count() -> None:
    flow = Flow(exactly_once=True)
    flow.add("a")
    (delivery,) = flow.receive()
    flow.clock.advance(11)
    assert flow.backlog.acknowledge([delivery.ack_id]) == [delivery.ack_id]
    assert flow.texts() == ["a"]


def test_a_negatively_acknowledged_message_comes_again_at_once(flow: Flow) -> None:
    flow.add("a")
    (delivery,) = flow.receive()
    flow.backlog.modify([delivery.ack_id], 0)
    assert flow.texts() == ["a"]


def test_a_deadline_can_be_moved(flow: Flow) -> None:
    flow.add("a")
    (delivery,) = flow.receive()
    flow.backlog.modify([delivery.ack_id], 60)
    flow.clock.advance(59)
    assert flow.texts() == []
    flow.clock.advance(1)
    assert flow.texts() == ["a"]


def test_modifying_a_lost_lease_changes_nothing(flow: Flow) -> None:
    flow.add("a")
    (first,) = flow.receive()
    flow.clock.advance(11)
    flow.receive()
    assert flow.backlog.modify([first.ack_id], 0) == [first.ack_id]
    assert flow.texts() == []


@pytest.mark.parametrize("ack_id", ["not-an-ack-id", "projects/p/subscriptions/other:1-1", ""])
def test_an_id_of_no_message_here_is_refused(flow: Flow, ack_id: str) -> None:
    with pytest.raises(ApiError, match=r"invalid ack ID to the service \(ack_id="):
        flow.backlog.acknowledge([ack_id])


def test_the_backoff_doubles_up_to_its_maximum() -> None:
    flow = Flow(backoff=(10, 25))
    flow.add("a")
    for backoff in (10, 20, 25, 25):
        (delivery,) = flow.receive()
        flow.backlog.modify([delivery.ack_id], 0)
        flow.clock.advance(backoff - 1)
        assert flow.texts() == []
        flow.clock.advance(1)


def test_a_message_is_kept_for_its_retention_only(flow: Flow) -> None:
    flow.add("old")
    flow.clock.advance(599)
    flow.add("young")
    flow.clock.advance(1)
    assert flow.texts() == ["young"]
    assert len(flow.backlog) == 1


def test_outdated_messages_make_room_for_new_ones(flow: Flow) -> None:
    flow.add("a", "b")
    flow.clock.advance(601)
    flow.add("c")
    assert len(flow.backlog) == 1


def test_messages_of_a_key_wait_until_the_ones_before_are_acknowledged() -> None:
    flow = Flow(ordered=True)
    flow.add("1", "2", key="k")
    flow.add("other", key="l")
    (first,) = flow.receive(1)
    assert flow.texts() == ["other"]
    flow.backlog.acknowledge([first.ack_id])
    assert flow.texts() == ["2"]


def test_messages_of_a_key_can_come_together_in_order() -> None:
    flow = Flow(ordered=True)
    flow.add("1", "2", "3", key="k")
    assert flow.texts() == ["1", "2", "3"]


def test_a_redelivered_message_takes_those_after_it_along() -> None:
    flow = Flow(ordered=True)
    flow.add("1", "2", "3", key="k")
    deliveries = flow.receive()
    flow.backlog.modify([deliveries[1].ack_id], 0)
    assert flow.texts() == []
    flow.backlog.acknowledge([deliveries[0].ack_id])
    assert flow.texts() == ["2", "3"]


def test_without_ordering_keys_do_not_matter(flow: Flow) -> None:
    flow.add("1", "2", key="k")
    assert flow.texts(1) == ["1"]
    assert flow.texts(1) == ["2"]


def test_a_message_delivered_too_often_is_given_up() -> None:
    flow = Flow(max_attempts=2)
    flow.add("a")
    for _ in range(2):
        (delivery,) = flow.receive()
        flow.backlog.modify([delivery.ack_id], 0)
    assert flow.texts() == []
    assert flow.given_up.get(timeout=5) == ("a", 2)


def test_a_waiting_receiver_gets_a_message_as_soon_as_it_is_there(flow: Flow) -> None:
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(flow.backlog.receive, lambda: 1)
        flow.add("a")
        assert [delivery.message.data for delivery in waiting.result(timeout=5)] == [b"a"]


def test_a_waiting_receiver_wakes_when_the_clock_passes_a_deadline(flow: Flow) -> None:
    flow.add("a")
    flow.receive()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(flow.backlog.receive, lambda: 1)
        assert not waiting.done()
        flow.clock.advance(10)
        assert [delivery.attempt for delivery in waiting.result(timeout=5)] == [2]


def test_a_waiting_receiver_is_told_that_the_backlog_is_closed(flow: Flow) -> None:
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(flow.backlog.receive, lambda: 1)
        flow.backlog.close(not_found("gone"))
        assert waiting.result(timeout=5) == []


def test_waiting_costs_no_processor_time(flow: Flow) -> None:
    """Also for a receiver that has no room for the messages that are there."""
    flow.add("a", "b")
    flow.receive(1)
    thread = threading.Thread(target=flow.backlog.receive, args=(lambda: 0,), daemon=True)
    thread.start()
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.1
    flow.backlog.close(not_found("gone"))
    thread.join(5)
    assert not thread.is_alive()


def test_many_receivers_never_get_the_same_message(flow: Flow) -> None:
    flow.add(*(str(number) for number in range(300)))
    with ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(lambda _: flow.texts(7), range(60)))
    texts = [text for batch in batches for text in batch]
    assert sorted(texts, key=int) == [str(number) for number in range(300)]
