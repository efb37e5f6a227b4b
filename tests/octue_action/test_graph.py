from __future__ import annotations

import graphlib
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octue_action.graph import backwards, gathered, walk


@st.composite
def acyclic_graphs(draw: st.DrawFn) -> dict[str, set[str]]:
    names = [f"n{number}" for number in range(draw(st.integers(0, 12)))]
    return {
        name: draw(st.sets(st.sampled_from(names[:position]), max_size=4)) if position else set()
        for position, name in enumerate(names)
    }


@given(acyclic_graphs())
def test_every_node_is_visited_once_and_after_all_it_depends_on(graph: dict[str, set[str]]) -> None:
    visited: list[str] = []

    def visit(node: str) -> str:
        assert graph[node] <= set(visited)
        visited.append(node)
        return node.upper()

    results = walk(graph, visit, workers=4)

    assert sorted(visited) == sorted(graph)
    assert results == {node: node.upper() for node in graph}


def test_independent_nodes_are_visited_together() -> None:
    both_are_there = threading.Barrier(2, timeout=10)

    results = walk({"a": set(), "b": set()}, lambda _: both_are_there.wait())

    assert sorted(results.values()) == [0, 1]


def test_a_node_does_not_wait_for_a_slow_one_it_does_not_depend_on() -> None:
    last_was_visited = threading.Event()

    def visit(node: str) -> bool:
        if node == "slow":
            return last_was_visited.wait(10)
        if node == "last":
            last_was_visited.set()
        return True

    assert walk({"slow": set(), "first": set(), "last": {"first"}}, visit)["slow"]


def test_what_a_node_depends_on_may_be_outside_the_graph() -> None:
    assert walk({"a": {"elsewhere"}}, lambda node: node) == {"a": "a"}


def test_a_cycle_is_refused_before_anything_is_visited() -> None:
    visited: list[str] = []

    with pytest.raises(graphlib.CycleError):
        walk({"a": {"b"}, "b": {"a"}}, visited.append)

    assert not visited


def test_an_exception_of_a_visit_is_raised() -> None:
    def visit(node: str) -> None:
        raise LookupError(node)

    with pytest.raises(LookupError, match="a"):
        walk({"a": set(), "b": {"a"}}, visit)


def test_after_an_exception_no_further_visit_begins() -> None:
    visited: list[str] = []

    def visit(node: str) -> None:
        visited.append(node)
        time.sleep(0.01)
        raise LookupError(node)

    with pytest.raises(LookupError):
        walk({str(number): set() for number in range(500)}, visit, workers=2)

    assert len(visited) < 10


def test_a_hundred_visits_are_under_way_together() -> None:
    together = threading.Barrier(100)

    walk({str(number): set() for number in range(100)}, lambda _: together.wait(10))


@given(acyclic_graphs())
def test_a_graph_turned_round_twice_is_the_same(graph: dict[str, set[str]]) -> None:
    assert backwards(backwards(graph)) == graph
    assert {(on, node) for node, on_all in backwards(graph).items() for on in on_all} == {
        (node, on) for node, on_all in graph.items() for on in on_all
    }


@given(acyclic_graphs(), st.data())
def test_a_groups_turn_is_after_all_that_any_of_it_needs_and_before_each_of_it(
    graph: dict[str, set[str]], data: st.DataObject
) -> None:
    kinds = {node: data.draw(st.sampled_from(["", "one", "other"])) for node in graph}
    groups = {kind: [node for node in graph if kinds[node] == kind] for kind in ("one", "other")}
    visited: list[str] = []

    walk(gathered(graph, groups), visited.append)

    assert sorted(visited) == sorted([*graph, *groups])
    for name, nodes in groups.items():
        turn = visited.index(name)
        assert all(turn < visited.index(node) for node in nodes)
        assert all(visited.index(on) < visited.index(node) for node in graph for on in graph[node])


def test_a_group_waits_for_what_any_of_it_depends_on() -> None:
    graph = {"a": {"x"}, "b": {"y"}, "x": set(), "y": set()}

    assert gathered(graph, {"both": ["a", "b"]}) == {
        "a": {"x", "both"},
        "b": {"y", "both"},
        "x": set(),
        "y": set(),
        "both": {"x", "y"},
    }


def test_a_group_does_not_wait_for_what_depends_on_one_of_it() -> None:
    graph = {"a": {"x"}, "middle": {"a"}, "b": {"middle"}, "x": set()}

    assert gathered(graph, {"both": ["a", "b"]})["both"] == {"x"}
