"""The same deployment and question as always, with Google's own Pub/Sub emulator carrying the messages.

Google's emulator has no Eventarc: questions that reach it are handed to ours, which brings them to the service. The
answer goes its own way through Google's.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.pubsub_v1 import PublisherClient, SubscriberClient, types
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from emulator.server import Emulator
from emulator.world import World, WorldSettings
from tests import wind_yield
from tests.runs import LAYERS, REPOSITORY, Job


class Forwarder:
    """Hands what is published on a topic of Google's emulator to the same topic of ours.

    :param address: host and port of Google's emulator.
    :param world: our cloud.
    :param topic: full resource name; made on Google's emulator.
    """

    def __init__(self, address: str, world: World, topic: str) -> None:
        self._world, self._topic = world, topic
        self._channel = grpc.insecure_channel(address)
        self._subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=self._channel))
        self._subscription = f"{topic.partition('/topics/')[0]}/subscriptions/forwarded"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._forward)
        self.forwarded = 0

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Forward while this lasts."""
        PublisherClient(transport=PublisherGrpcTransport(channel=self._channel)).create_topic(name=self._topic)
        self._subscriber.create_subscription(name=self._subscription, topic=self._topic)
        self._thread.start()
        try:
            yield
        finally:
            self._over.set()
            self._thread.join()
            self._channel.close()

    def _forward(self) -> None:
        request = types.PullRequest(subscription=self._subscription, max_messages=10, return_immediately=True)
        while not self._over.wait(0.1):
            received = self._subscriber.pull(request).received_messages
            if received:
                self._world.pubsub.publish(self._topic, [each.message for each in received])
                ack_ids = [each.ack_id for each in received]
                self._subscriber.acknowledge(subscription=self._subscription, ack_ids=ack_ids)
                self.forwarded += len(received)


@pytest.mark.witness
@pytest.mark.filterwarnings("ignore:The return_immediately flag")
def test_the_service_answers_the_same_through_googles_pubsub_emulator(google_address: str, tmp_path: Path) -> None:
    workspace = tmp_path / "repository"
    wind_yield.check_out(workspace)
    settings = WorldSettings(
        state=tmp_path / "state",
        cache=LAYERS,
        repositories={REPOSITORY: workspace},
        instance_pubsub_host=google_address,
    )
    with Emulator(settings) as emulator:
        job = Job(emulator, workspace)
        job.commit()
        run = job.deploy()
        assert run.code == 0, run.stdout
        forwarder = Forwarder(google_address, job.world, run.outputs["topic_name"])
        with forwarder.running():
            answer = wind_yield.ask(run.outputs["service_id"], google_address)
        published = [request for request in job.world.requests if request.method.endswith("Publisher/Publish")]
    assert answer == wind_yield.answer()
    assert forwarder.forwarded == 1
    assert published == [], "the answer came through our Pub/Sub"
