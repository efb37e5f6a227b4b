"""Walks a dependency graph, each node as soon as those it depends on are done, independent ones together."""

from __future__ import annotations

import concurrent.futures
import graphlib
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import TypeVar

Result = TypeVar("Result")

WORKERS = 128
"""Visits under way together: each of a hundred services may wait for something of its own, which takes a thread."""


def backwards(graph: Mapping[str, AbstractSet[str]]) -> dict[str, set[str]]:
    """The same graph with each edge turned round: node -> the nodes that depend on it."""
    turned: dict[str, set[str]] = {node: set() for node in graph}
    for node, on in graph.items():
        for other in on & graph.keys():
            turned[other].add(node)
    return turned


def gathered(graph: Mapping[str, AbstractSet[str]], groups: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """The same graph with one more node for each group, whose turn is before that of the group's own nodes.

    It waits for all that any of these depends on; only not for what itself depends on one of them.

    :param groups: the further node -> nodes of the graph.
    """
    wider = {node: set(on) for node, on in graph.items()}
    for name, nodes in groups.items():
        own = set(nodes)
        wider[name] = set[str]().union(*(wider[node] for node in own)) - _downstream(wider, own)
        for node in own:
            wider[node].add(name)
    return wider


def _downstream(graph: Mapping[str, AbstractSet[str]], nodes: AbstractSet[str]) -> set[str]:
    """The nodes, and all that depend on one of them, by whatever way."""
    dependents, found, left = backwards(graph), set[str](), list(nodes)
    while left:
        node = left.pop()
        if node not in found:
            found.add(node)
            left += dependents[node]
    return found


def walk(
    graph: Mapping[str, AbstractSet[str]], visit: Callable[[str], Result], *, workers: int = WORKERS
) -> dict[str, Result]:
    """Visit every node once, after all it depends on.

    ``visit`` decides for itself what the failure of a dependency means; an exception from it stops the walk and is
    raised when the visits under way have ended; none is begun any more.

    :param graph: node -> the nodes it depends on; nodes that are not keys themselves are ignored.
    :param visit: called from several threads at once.
    :param workers: how many visits may be under way together.
    :raises graphlib.CycleError: where the graph has a cycle; nothing was visited then.
    """
    sorter = graphlib.TopologicalSorter({node: on & graph.keys() for node, on in graph.items()})
    sorter.prepare()
    results: dict[str, Result] = {}
    with concurrent.futures.ThreadPoolExecutor(max_workers=workers, thread_name_prefix="walk") as pool:
        under_way: dict[concurrent.futures.Future[Result], str] = {}
        while sorter.is_active():
            under_way |= {pool.submit(visit, node): node for node in sorter.get_ready()}
            done, _ = concurrent.futures.wait(under_way, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                node = under_way.pop(future)
                try:
                    results[node] = future.result()
                except BaseException:  # whatever it is, nothing more is begun before it is raised
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
                sorter.done(node)
    return results
