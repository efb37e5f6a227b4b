"""How long calls are on their way and back: drawn from what was recorded of the real cloud, the same in every run."""

from __future__ import annotations

import contextlib
import json
import math
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from emulator.requests import writes
from emulator.services import sts

if TYPE_CHECKING:
    from emulator.world import World

RECORDED = Path(__file__).with_name("recorded_latencies.json")
"""What was recorded of the real cloud; the file says where."""

_SHARES = (0.1, 0.5, 0.9, 0.99)
_WRITES = ("POST", "PUT", "PATCH", "DELETE")
_BY_PREFIX = {"Get": "GET", "List": "GET", "BatchGet": "GET", "Update": "PATCH", "Patch": "PATCH", "Delete": "DELETE"}

# Those that do not have the verb of their name.
_VERBS = {
    "github.actions.IdToken/GetIdToken": "GET",
    "google.cloud.resourcemanager.v3.Projects/GetIamPolicy": "POST",
    "google.iam.admin.v1.IAM/GetIamPolicy": "POST",
    "google.iam.admin.v1.IAM/UpdateServiceAccount": "PUT",
    "google.logging.v2.LoggingServiceV2/ListLogEntries": "POST",
    "google.pubsub.v1.Publisher/CreateTopic": "PUT",
    "google.pubsub.v1.Subscriber/CreateSubscription": "PUT",
    # A POST, which takes no longer than reading the operation beside the time that it waits.
    "google.longrunning.Operations/WaitOperation": "GET",
}


@dataclass(frozen=True)
class Percentiles:
    """How long calls of one kind took.

    :param p10: seconds that one of ten calls did not exceed, and the others likewise.
    """

    p10: float
    p50: float
    p90: float
    p99: float

    def at(self, share: float) -> float:
        """Seconds that this share of the calls did not exceed: on straight lines between what is known, and no further.

        :param share: 0 to 1.
        """
        values = (self.p10, self.p50, self.p90, self.p99)
        if share <= _SHARES[0]:
            return values[0]
        for low, high, begin, end in zip(_SHARES, _SHARES[1:], values, values[1:], strict=False):
            if share <= high:
                return begin + (end - begin) * (share - low) / (high - low)
        return values[-1]


@dataclass(frozen=True)
class Latencies:
    """How long the calls of each host take.

    What was not recorded takes the time of something like it: a read that of the host's GET, a write that of another
    write of the host, POST before others. Where the host has none, a read takes that of all recorded GETs together and
    a write that of all POSTs, each weighted by how many were recorded. An exchange of tokens is a read.

    :param recorded: by host and verb, ``run.googleapis.com GET``; calls take no time where there is none.
    :param counts: of how many calls each of these is.
    :param seed: with another one, each call takes another time.
    """

    recorded: Mapping[str, Percentiles] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0

    @classmethod
    def load(cls, file: Path, seed: int) -> Latencies:
        """What a file says, which has the form of ``RECORDED``.

        :raises ValueError: where it has another one.
        """
        try:
            requests = json.loads(file.read_text())["requests"]
            return cls(
                {
                    key: Percentiles(*(each[f"p{share * 100:g}"] / 1000 for share in _SHARES))
                    for key, each in requests.items()
                },
                {key: each["n"] for key, each in requests.items()},
                seed,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{file} has no latencies by host and verb: {error!r}") from error

    def of(self, host: str, verb: str, *, reads: bool) -> Percentiles:
        """How long calls take.

        :param host: ``run.googleapis.com``.
        :param verb: of HTTP, whichever way the call came.
        :param reads: whether nothing is changed by them.
        """
        like_it = (verb, "GET") if reads else (verb, *_WRITES)
        found = next((self.recorded[key] for each in like_it if (key := f"{host} {each}") in self.recorded), None)
        return found or self._pooled("GET" if reads else "POST")

    def seconds(self, method: str, number: int, host: str, verb: str) -> float:
        """How long one call takes.

        :param method: its full name.
        :param number: how many calls of this method came before.
        """
        if not self.recorded:
            return 0.0
        # It has to be the same in every run.
        share = random.Random(f"{self.seed} {method} {number}").random()  # noqa: S311 - nothing secret depends on it
        return self.of(host, verb, reads=not writes(method)).at(share)

    def _pooled(self, verb: str) -> Percentiles:
        keys = [key for key in self.recorded if key.endswith(f" {verb}")] or list(self.recorded)
        count = sum(self.counts[key] for key in keys)

        def mean(name: str) -> float:
            return math.fsum(getattr(self.recorded[key], name) * self.counts[key] for key in keys) / count

        return Percentiles(*(mean(f"p{share * 100:g}") for share in _SHARES))


class Delays:
    """Lets each call from outside take its time, half of it before it is carried out and half after it.

    From outside come those who sign in, the deployer, jobs that ask GitHub, and people; not builds and services.

    :param world: whose calls.
    :param latencies: how long they take.
    """

    def __init__(self, world: World, latencies: Latencies) -> None:
        self._world = world
        self._latencies = latencies
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def draw(self, method: str, principal: str, host: str, verb: str) -> float:
        """Seconds that the next call of a method takes beside being carried out.

        :param method: full name.
        :param principal: who calls, as the log of requests has it.
        """
        if not self._is_from_outside(method, principal):
            return 0.0
        with self._lock:
            number = self._counts[method]
            self._counts[method] += 1
        return self._latencies.seconds(method, number, host, verb)

    @contextlib.contextmanager
    def on_the_way(self, seconds: float) -> Iterator[None]:
        """Half the time before the context begins and half after it, however it ends; the machine's time."""
        time.sleep(seconds / 2)
        try:
            yield
        finally:
            time.sleep(seconds / 2)

    def _is_from_outside(self, method: str, principal: str) -> bool:
        deployer = f"serviceAccount:{self._world.iam.deployer}"
        signs_in = method == sts.METHOD or method.startswith("github.")
        return signs_in or principal == deployer or principal.startswith(("principal://", "user:"))


def verb(method: str) -> str:
    """The verb that a method of Google's has over HTTP.

    :param method: full name, ``google.cloud.run.v2.Services/GetService``.
    """
    short = method.rpartition("/")[2]
    by_name = next((verb for prefix, verb in _BY_PREFIX.items() if short.startswith(prefix)), "POST")
    return _VERBS.get(method, by_name)
