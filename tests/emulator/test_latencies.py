"""Calls take the time that was recorded of the real cloud, and each the same time in every run."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
from google.api_core import exceptions
from google.cloud import run_v2
from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport
from google.pubsub_v1 import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from hypothesis import given
from hypothesis import strategies as st

from emulator import rest
from emulator.dispatch import Dispatcher
from emulator.faults import Fault
from emulator.latencies import RECORDED, Latencies, Percentiles, verb
from emulator.server import Emulator
from emulator.world import World, WorldSettings

SECONDS = Percentiles(0.1, 0.2, 0.4, 1.3)
GET_SERVICE = "google.cloud.run.v2.Services/GetService"
SLOW = Latencies({"run.googleapis.com GET": Percentiles(0.2, 0.2, 0.2, 0.2)}, {"run.googleapis.com GET": 1})


class TestPercentiles:
    @pytest.mark.parametrize(
        ("share", "seconds"), [(0, 0.1), (0.1, 0.1), (0.3, 0.15), (0.5, 0.2), (0.9, 0.4), (0.945, 0.85), (1, 1.3)]
    )
    def test_between_what_is_known_are_straight_lines_and_nothing_is_beyond(self, share: float, seconds: float) -> None:
        assert SECONDS.at(share) == pytest.approx(seconds)

    @given(
        values=st.lists(st.floats(0, 100), min_size=4, max_size=4).map(sorted),
        shares=st.lists(st.floats(0, 1), min_size=2, max_size=2).map(sorted),
    )
    def test_a_larger_share_takes_no_less_and_all_stay_within_the_recorded(
        self, values: list[float], shares: list[float]
    ) -> None:
        low, high = (Percentiles(*values).at(share) for share in shares)

        assert values[0] <= low <= high + 1e-9
        assert high <= values[-1] + 1e-9


class TestLatencies:
    def test_what_is_in_the_repository_is_read_in_seconds(self) -> None:
        recorded = Latencies.load(RECORDED, 0)

        assert recorded.of("run.googleapis.com", "GET", reads=True) == Percentiles(0.1, 0.116, 0.35, 0.391)

    @pytest.mark.parametrize("content", ["", "[]", "{}", '{"requests": {"a GET": {"p10": 1}}}'])
    def test_a_file_of_another_form_is_refused(self, content: str, tmp_path: Path) -> None:
        file = tmp_path / "latencies.json"
        file.write_text(content)

        with pytest.raises(ValueError, match="has no latencies by host and verb"):
            Latencies.load(file, 0)

    @pytest.mark.parametrize(
        ("host", "verb", "reads", "like"),
        [
            ("run.googleapis.com", "PATCH", False, "run.googleapis.com POST"),
            ("run.googleapis.com", "POST", True, "run.googleapis.com POST"),
            ("artifactregistry.googleapis.com", "POST", True, "artifactregistry.googleapis.com GET"),
        ],
    )
    def test_what_was_not_recorded_takes_the_time_of_something_like_it(
        self, host: str, verb: str, reads: bool, like: str
    ) -> None:
        recorded = Latencies.load(RECORDED, 0)

        assert recorded.of(host, verb, reads=reads) == recorded.recorded[like]

    @pytest.mark.parametrize(
        ("host", "reads", "p50"),
        [("sts.googleapis.com", True, 0.16), ("pubsub.googleapis.com", False, 0.42), ("", False, 0.42)],
    )
    def test_of_a_host_without_any_it_takes_the_mean_of_all_hosts(self, host: str, reads: bool, p50: float) -> None:
        found = Latencies.load(RECORDED, 0).of(host, "POST", reads=reads)

        assert found.p50 == pytest.approx(p50, abs=0.005)

    @given(seed=st.integers(), number=st.integers(0, 1000))
    def test_a_call_takes_the_same_time_in_every_run(self, seed: int, number: int) -> None:
        first, second = (Latencies.load(RECORDED, seed) for _ in range(2))

        assert first.seconds(GET_SERVICE, number, "run.googleapis.com", "GET") == second.seconds(
            GET_SERVICE, number, "run.googleapis.com", "GET"
        )

    def test_many_calls_take_what_was_recorded(self) -> None:
        latencies = Latencies({"a GET": SECONDS}, {"a GET": 1})

        drawn = sorted(latencies.seconds("a/GetX", number, "a", "GET") for number in range(4000))

        assert drawn[400] == pytest.approx(0.1, abs=0.01)
        assert statistics.median(drawn) == pytest.approx(0.2, abs=0.01)
        assert drawn[3600] == pytest.approx(0.4, abs=0.05)

    def test_another_seed_gives_other_times(self) -> None:
        drawn = {
            Latencies.load(RECORDED, seed).seconds(GET_SERVICE, 0, "run.googleapis.com", "GET") for seed in range(9)
        }

        assert len(drawn) > 1

    def test_without_any_a_call_takes_no_time(self) -> None:
        assert Latencies().seconds(GET_SERVICE, 0, "run.googleapis.com", "GET") == 0


def test_each_method_has_the_verb_that_it_has_over_http(world: World) -> None:
    """Waiting for an operation is the only exception, and meant to be one."""
    dispatcher = Dispatcher(world)
    implemented = {method.name for method in dispatcher.methods}
    over_http: dict[str, set[str]] = {}
    for routes in rest.build(dispatcher).routes.values():
        for route in routes:
            if route.rpc in implemented:
                over_http.setdefault(route.rpc, set()).add(route.http_method)

    different = {name: verbs for name, verbs in over_http.items() if verb(name) not in verbs}

    assert different == {"google.longrunning.Operations/WaitOperation": {"POST"}}


class TestDelays:
    @pytest.fixture
    def emulator(self, settings: WorldSettings) -> Iterator[Emulator]:
        with Emulator(replace(settings, latencies=SLOW)) as emulator:
            yield emulator

    @pytest.fixture
    def get(self, channel: grpc.Channel) -> Callable[[], None]:
        client = run_v2.ServicesClient(transport=ServicesGrpcTransport(channel=channel))

        def get() -> None:
            with pytest.raises(exceptions.NotFound):
                client.get_service(name="projects/my-project/locations/europe-west1/services/none")

        return get

    def test_the_deployer_waits_for_each_call_and_the_log_says_how_long(
        self, emulator: Emulator, get: Callable[[], None]
    ) -> None:
        began = time.monotonic()
        get()
        seconds = time.monotonic() - began

        (call,) = emulator.world.requests
        assert seconds >= 0.2
        assert call.latency == pytest.approx(0.2)
        assert 0.2 <= call.ended - call.began <= seconds
        assert call.about == "projects/my-project/locations/europe-west1/services/none"

    def test_a_call_is_carried_out_when_half_of_its_time_is_over(
        self, emulator: Emulator, channel: grpc.Channel
    ) -> None:
        world, moments = emulator.world, []

        def look(answer: Any) -> Any:
            moments.append(time.monotonic())
            return answer

        world.faults.add(Fault(method="google.pubsub.v1.Publisher/CreateTopic", change=look))
        client = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        client.create_topic(name="projects/my-project/topics/abc")

        (call,) = world.requests
        assert call.about == "projects/my-project/topics/abc"
        # Nothing was recorded of Pub/Sub here: it takes what Cloud Run takes.
        assert call.latency == pytest.approx(0.2)
        assert moments[0] - call.began >= 0.1
        assert call.ended - moments[0] >= 0.1

    def test_calls_over_http_take_their_time_and_the_emulators_own_pages_none(
        self, emulator: Emulator, deployer_token: str
    ) -> None:
        url = f"http://{emulator.address}/run.googleapis.com/v2/projects/my-project/locations/europe-west1/services"
        answer = requests.get(url, headers={"Authorization": f"Bearer {deployer_token}"}, timeout=5)
        shown = requests.get(f"http://{emulator.address}/emulator/requests", timeout=5)

        assert answer.elapsed.total_seconds() >= 0.2
        assert [call["latency"] for call in shown.json()] == [pytest.approx(0.2)]

    def test_a_services_calls_take_no_time(self, emulator: Emulator) -> None:
        delays = emulator.world.delays
        account = "serviceAccount:wind-yield@my-project.iam.gserviceaccount.com"
        deployer = f"serviceAccount:{emulator.world.iam.deployer}"

        assert delays.draw(GET_SERVICE, account, "run.googleapis.com", "GET") == 0
        assert delays.draw(GET_SERVICE, "anonymous", "run.googleapis.com", "GET") == 0
        assert delays.draw(GET_SERVICE, deployer, "run.googleapis.com", "GET") == pytest.approx(0.2)


def test_the_command_line_refuses_a_file_without_latencies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from emulator.__main__ import main  # noqa: PLC0415 - it takes the signals of the process that it runs in

    file = tmp_path / "empty.json"
    file.write_text(json.dumps({}))

    assert main(["--latencies", str(file), "--state", str(tmp_path)]) == 2
    assert "has no latencies by host and verb" in capsys.readouterr().err
