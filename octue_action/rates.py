"""How fast each of Google's APIs may be asked, and whose turn it is: a run of many services asks no faster.

What is published are default quotas of a project, for a minute, shared with everybody who works in it. So that no
minute of a run has more than that, a half of it may come at once, and the other half evenly. What is asked too fast all
the same is refused, and asked again (``quirks.RATE_LIMITED``), from then on no faster than the refusal says.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass

MINUTE = 60.0

TOGETHER = 10.0
"""Seconds within which refusals are of requests that were made at one rate."""

_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Rate:
    """How many requests may be made: in any minute at most both together.

    :param per_minute: evenly, for as long as it takes.
    :param burst: at once, after so long a pause that they are left over.
    """

    per_minute: int
    burst: int

    @classmethod
    def within(cls, quota: int) -> Rate:
        """A rate that keeps a quota, which is of a minute, whatever minute it is."""
        return cls(per_minute=quota - quota // 2, burst=quota // 2)


@dataclass(frozen=True)
class Rates:
    """Those of one API.

    :param reads: of methods that change nothing.
    :param writes: of the others; None where all have one quota.
    """

    reads: Rate
    writes: Rate | None = None


UNPUBLISHED = Rate(per_minute=600, burst=600)
"""Far more than a hundred services need, where no figure is known: what that is too fast for says so itself."""

RATES: Mapping[str, Rates] = {
    # cloud.google.com/artifact-registry/quotas: in each region, 60,000 requests, of which 18,000 writes.
    "artifactregistry.googleapis.com": Rates(Rate.within(60_000), Rate.within(18_000)),
    # cloud.google.com/build/quotas names limits of builds, and of requests only where a project's own are shown.
    "cloudbuild.googleapis.com": Rates(UNPUBLISHED, UNPUBLISHED),
    # cloud.google.com/resource-manager/docs/limits: 600 reads, and 600 writes.
    "cloudresourcemanager.googleapis.com": Rates(Rate.within(600), Rate.within(600)),
    # cloud.google.com/eventarc/docs/quotas: 6,000 reads of triggers, and 600 writes.
    "eventarc.googleapis.com": Rates(Rate.within(6_000), Rate.within(600)),
    # cloud.google.com/iam/quotas: 6,000 reads, and 600 writes.
    "iam.googleapis.com": Rates(Rate.within(6_000), Rate.within(600)),
    # cloud.google.com/logging/quotas: 60 requests that list entries.
    "logging.googleapis.com": Rates(Rate.within(60)),
    # cloud.google.com/pubsub/quotas: 6,000 operations of an administrator, as all of these are.
    "pubsub.googleapis.com": Rates(Rate.within(6_000)),
    # cloud.google.com/run/quotas says that there are limits for each region, and where a project's own are shown: they
    # differ. A new project was reported with 600 reads and 30 writes. A hundred services write two hundred times; the
    # first refusal says what the quota is.
    "run.googleapis.com": Rates(UNPUBLISHED, Rate(per_minute=180, burst=180)),
    # cloud.google.com/service-usage/docs has no figure.
    "serviceusage.googleapis.com": Rates(UNPUBLISHED, UNPUBLISHED),
}


class Limiter:
    """Gives turns, in the order in which they are asked for, none faster than a rate; for several threads.

    It is a token bucket that is kept as one moment, when it would be full: the generic cell rate algorithm of ITU-T
    I.371.

    :param rate: of the turns.
    """

    def __init__(self, rate: Rate) -> None:
        self._full = 0.0
        self._halved = -TOGETHER
        self._lock = threading.Lock()
        self._set(rate)

    def _set(self, rate: Rate) -> None:
        self._quota = rate.per_minute + rate.burst
        self._interval = MINUTE / rate.per_minute
        self._tolerance = rate.burst * self._interval

    def turn(self, now: float) -> float:
        """Take the next turn, and say in how many seconds it is.

        :param now: seconds on a clock that never goes back.
        """
        with self._lock:
            self._full = max(self._full, now) + self._interval
            return max(0.0, self._full - self._tolerance - now)

    def slow_down(self, quota: int, now: float) -> None:
        """Keep to a smaller quota from now on, of which nothing is left; one that is no smaller changes nothing.

        :param quota: in a minute.
        :param now: as for ``turn``.
        """
        with self._lock:
            if 0 < quota < self._quota:
                # A tenth less: requests do not take equally long, so they come in other intervals than they begin in.
                self._slow(quota * 9 // 10, now)
                self._quota = quota

    def halve(self, now: float) -> None:
        """Keep to half the rate from now on, where a refusal does not tell what the quota is.

        :param now: as for ``turn``.
        """
        with self._lock:
            if now >= self._halved + TOGETHER:
                self._halved = now
                self._slow(self._quota // 2, now)

    def _slow(self, per_minute: int, now: float) -> None:
        """Give turns evenly from now on, and none that is left over."""
        self._set(Rate(per_minute=max(1, per_minute), burst=1))
        self._full = now + self._interval


class Limiters:
    """The limiters of all APIs, for one run.

    :param rates: by host; an API that is none of these is asked as fast as it comes.
    """

    def __init__(self, rates: Mapping[str, Rates] = RATES) -> None:
        self._limiters = {
            (host, writes): limiter for host, of_api in rates.items() for writes, limiter in _of(of_api).items()
        }

    def turn(self, host: str, now: float, *, writes: bool) -> float:
        """Take the next turn with an API, and say in how many seconds it is.

        :param host: ``run.googleapis.com``.
        :param now: as for ``Limiter``.
        :param writes: whether the request can change anything.
        """
        limiter = self._limiters.get((host, writes))
        return limiter.turn(now) if limiter is not None else 0.0

    def learn(self, host: str, now: float, metadata: Mapping[str, str], *, writes: bool) -> None:
        """Slow down after a refusal: to the quota that it tells, or, where it tells none, by half.

        :param metadata: of its ``ErrorInfo``.
        """
        limiter, told = self._limiters.get((host, writes)), metadata.get("quota_limit_value", "")
        if limiter is None or "PerMinute" not in metadata.get("quota_limit", "PerMinute"):
            return
        if _NUMBER.fullmatch(told) and int(told) > 0:
            limiter.slow_down(int(told), now)
        else:
            limiter.halve(now)


def _of(rates: Rates) -> dict[bool, Limiter]:
    """The limiters of one API: of requests that write, and of those that do not."""
    reads = Limiter(rates.reads)
    return {False: reads, True: Limiter(rates.writes) if rates.writes is not None else reads}
