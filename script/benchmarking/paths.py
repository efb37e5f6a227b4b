"""What a run cannot do without, from the graph of its resources and the times of its own calls.

The critical path is what remains where a program costs nothing and knows beforehand what it will be told:

1. Sign in: the calls for GitHub's token, its exchange, and the account's token, one after the other.
2. Read: all that is there of the resources, at once, so the slowest of these reads. What is told only by another
   reading comes after that: a trigger's subscription is named by the trigger. Of what was read twice, the quicker one
   counts; of what was listed as well as read one by one, too.
3. Write: the longest way through the graph, each resource from the call that makes it to its answer, or to the end of
   the operation that the call began and the half of a round trip in which that is told. A policy of something that the
   run has made is read before, as no policy is written but upon the version that was read. A resource that is not
   written costs nothing. Nothing is written before all is read, as a plan is made and may be refused.

Other reads between writes, repeated calls, pauses between two questions whether an operation is done, and the time of
the process itself are none of it.
"""

from __future__ import annotations

import base64
import graphlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SIGN_IN = ("GetIdToken", "ExchangeToken", "GenerateAccessToken")

READS: Mapping[str, tuple[str, str]] = {
    "service accounts": ("GetServiceAccount", "ListServiceAccounts"),
    "image repositories": ("GetRepository", "ListRepositories"),
    "build triggers": ("GetBuildTrigger", "ListBuildTriggers"),
    "images": ("GetTag", "ListTags"),
    "topics": ("GetTopic", "ListTopics"),
    "services": ("GetService", "ListServices"),
    "policies": ("GetIamPolicy", ""),
    "permissions": ("TestIamPermissions", ""),
    "triggers": ("GetTrigger", "ListTriggers"),
    "subscriptions": ("GetSubscription", "ListSubscriptions"),
}
"""What has to be read: the method for one of a kind, and the method for all of them, if there is one."""

AFTER = {"subscriptions": "triggers"}
"""What can be read only when something else has been."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call as the emulator's log has it.

    :param method: its full name.
    :param began: seconds, as ``ended``.
    """

    method: str
    began: float
    ended: float
    writes: bool = False
    status: str = "OK"
    about: str = ""
    operation: str = ""
    latency: float = 0.0

    @classmethod
    def of(cls, shown: Mapping[str, Any]) -> Call:
        """One of those that ``/emulator/requests`` shows."""
        return cls(**{name: shown[name] for name in cls.__dataclass_fields__})

    @property
    def short(self) -> str:
        """The method's name alone."""
        return self.method.rpartition("/")[2]

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began


@dataclass(frozen=True, kw_only=True)
class Node:
    """A resource of the graph.

    :param address: by which others name it.
    :param method: pattern of the short names of the methods that make or change it.
    :param about: pattern of what those calls are about.
    :param depends_on: addresses of the resources that must stand before.
    :param reads: short name of the method whose answer is written upon; empty where there is none.
    """

    address: str
    method: str
    about: str
    depends_on: tuple[str, ...] = ()
    reads: str = ""

    def is_written_by(self, call: Call) -> bool:
        """Whether a call has made or changed it."""
        matches = re.fullmatch(self.method, call.short) and re.search(self.about, call.about)
        return call.writes and call.status == "OK" and matches is not None


@dataclass(frozen=True)
class Path:
    """The parts of the critical path, in seconds.

    :param way: addresses of the resources that the longest way goes through.
    """

    sign_in: float
    reading: float
    writing: float
    way: tuple[str, ...] = ()


def critical_path(nodes: Iterable[Node], calls: Sequence[Call], operations: Mapping[str, float]) -> Path:
    """What a run could not do without.

    :param nodes: the resources of all its services.
    :param calls: those of the run.
    :param operations: when each operation ended, by name.
    """
    graph = {node.address: node for node in nodes}
    seconds = {address: writing_seconds(node, calls, operations) for address, node in graph.items()}
    writing, way = longest_way(seconds, {address: node.depends_on for address, node in graph.items()})
    sign_in = sum(min((call.seconds for call in calls if call.short == name), default=0.0) for name in SIGN_IN)
    return Path(sign_in, reading_seconds(calls), writing, way)


def reading_seconds(calls: Sequence[Call]) -> float:
    """How long reading takes at least: all at once, but for what must come after something else."""
    first_write = min((call.began for call in calls if call.writes), default=float("inf"))
    reads = [call for call in calls if not call.writes and call.began < first_write]
    seconds = {kind: _kind_seconds(reads, *methods) for kind, methods in READS.items()}
    return max(it + (seconds[AFTER[kind]] if kind in AFTER and it else 0.0) for kind, it in seconds.items())


def _kind_seconds(reads: Iterable[Call], one: str, all_of_them: str) -> float:
    each: dict[str, float] = {}
    for call in reads:
        if call.short == one:
            each[call.about] = min(call.seconds, each.get(call.about, call.seconds))
    lists = [call.seconds for call in reads if call.short == all_of_them]
    ways = [*([max(each.values())] if each else []), *([min(lists)] if lists else [])]
    return min(ways, default=0.0)


def writing_seconds(node: Node, calls: Sequence[Call], operations: Mapping[str, float]) -> float:
    """From the call that wrote a resource, the last one that did, until its end is told; 0 where none did."""
    write = next((call for call in reversed(calls) if node.is_written_by(call)), None)
    if write is None:
        return 0.0
    if write.operation not in operations:
        return _read_before(node, write, calls) + write.seconds
    ended = operations[write.operation]
    tell = sorted((call for call in calls if _tells(call, write.operation) and call.ended >= ended), key=_end)
    return max(write.seconds, ended - write.began + (tell[0].latency / 2 if tell else 0.0))


def _read_before(node: Node, write: Call, calls: Iterable[Call]) -> float:
    """How long it took to read what a write is upon, where that was made by the run itself; else it is of the plan."""
    made = min(call.began for call in calls if call.writes)
    reads = [
        call.seconds
        for call in calls
        if call.short == node.reads and re.search(node.about, call.about) and made < call.began < write.began
    ]
    return min(reads, default=0.0)


def _end(call: Call) -> float:
    return call.ended


def _tells(call: Call, operation: str) -> bool:
    """Whether a call tells how an operation stands; of a build it may be asked itself."""
    if call.operation == operation:
        return True
    prefix, _, encoded = operation.rpartition("/")
    return prefix.startswith("operations/build") and call.about.endswith(
        f"/builds/{base64.b64decode(encoded).decode()}"
    )


def longest_way(seconds: Mapping[str, float], depends_on: Mapping[str, Iterable[str]]) -> tuple[float, tuple[str, ...]]:
    """The longest way through a graph, and what it goes through.

    :param seconds: of each node.
    :param depends_on: the nodes that must be done before each; those that are none of the graph are ignored.
    :raises graphlib.CycleError: where there is no way.
    """
    best: dict[str, tuple[float, tuple[str, ...]]] = {}
    sorter = graphlib.TopologicalSorter({node: [on for on in depends_on[node] if on in seconds] for node in seconds})
    for node in sorter.static_order():
        before = max((best[on] for on in depends_on[node] if on in best), default=(0.0, ()))
        best[node] = (before[0] + seconds[node], (*before[1], *((node,) if seconds[node] else ())))
    return max(best.values(), default=(0.0, ()))


def waited_for(calls: Iterable[Call]) -> list[Call]:
    """The calls for which the last answer had to wait, the first of them last: each was answered before the next began.

    Of those that were made together it is the slowest.
    """
    left = sorted(calls, key=_end)
    chain: list[Call] = []
    while left:
        chain.append(left[-1])
        left = [call for call in left if call.ended <= chain[-1].began]
    return chain


def depth(calls: Iterable[Call]) -> int:
    """How many calls the longest chain has, each of which began after the one before had ended."""
    length, end = 0, float("-inf")
    for call in sorted(calls, key=_end):  # the one that ends first never shortens the chain
        if call.began >= end:
            length, end = length + 1, call.ended
    return length
