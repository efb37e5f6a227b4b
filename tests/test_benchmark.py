"""The benchmark computes what a run cannot do without, holds the figures against their targets, and runs the action."""

from __future__ import annotations

import base64
import dataclasses
import graphlib
import itertools
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octue_action.deployment import ORDER
from script.benchmarking import __main__ as program
from script.benchmarking import graph, growth
from script.benchmarking.cloud import Unmeasurable, container_command, make_repository, write_octue_yaml
from script.benchmarking.figures import Measured, Row, Sample, Spread
from script.benchmarking.measuring import World, all_worlds, quick_worlds
from script.benchmarking.paths import Call, Node, critical_path, depth, longest_way, reading_seconds, writing_seconds
from script.benchmarking.table import as_json, as_markdown
from script.benchmarking.targets import TARGETS, verdicts

ROOT = Path(__file__).parent.parent
BUILD = f"operations/build/my-project/{base64.b64encode(b'build-1').decode()}"
FAST = Sample(
    seconds=1.0,
    cpu_seconds=0.9,
    emulator_cpu_seconds=0.1,
    memory=100_000_000,
    requests=20,
    writes=0,
    policy_writes=0,
    builds=0,
    conflicts=0,
    depth=6,
    span=0.6,
    round_trip=0.1,
    sign_in=0.3,
    reading=0.2,
    writing=0.5,
)
UNPRUNED = Row(False, 1, "unpruned")


def call(method: str, began: float, ended: float, **fields: Any) -> Call:
    return Call(method=f"google.some.v1.Api/{method}", began=began, ended=ended, **fields)


def measured(samples: dict[Row, list[Sample]]) -> Measured:
    return Measured(where="Somewhere.", samples=samples, interpreter=[0.02], bare_import=[0.8, 1.0, 0.9])


def fast(**changes: Any) -> Measured:
    """One in which every target is reached, but for what a fresh deployment of one service is told to have."""
    rows = [
        Row(latencies, services, what)
        for latencies in (False, True)
        for services in (1, 10)
        for what in ("fresh", "no-op", "update", "plan")
    ]
    samples = {row: [dataclasses.replace(FAST, **(changes if row.what == "fresh" else {}))] for row in rows}
    return measured({**samples, UNPRUNED: [dataclasses.replace(FAST, cpu_seconds=1.4, memory=150_000_000)]})


def missed(found: Measured, margin: float = 1.0) -> list[str]:
    return [verdict.what for verdict in verdicts(found, margin) if verdict.complaint]


# The critical path


class TestLongestWay:
    def test_the_longer_of_two_ways_counts(self) -> None:
        seconds = {"repository": 1.0, "build": 5.0, "topic": 2.0, "service": 3.0}
        on = {"repository": (), "build": ("repository",), "topic": (), "service": ("build", "topic", "elsewhere")}

        assert longest_way(seconds, on) == (9.0, ("repository", "build", "service"))

    def test_what_takes_no_time_is_no_part_of_the_way(self) -> None:
        assert longest_way({"a": 0.0, "b": 1.0}, {"a": (), "b": ("a",)}) == (1.0, ("b",))

    def test_nothing_takes_no_time(self) -> None:
        assert longest_way({}, {}) == (0.0, ())

    def test_a_circle_has_no_way(self) -> None:
        with pytest.raises(graphlib.CycleError):
            longest_way({"a": 1.0, "b": 1.0}, {"a": ("b",), "b": ("a",)})

    @given(
        seconds=st.lists(st.floats(0, 10), min_size=1, max_size=6),
        edges=st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5))),
    )
    def test_it_is_the_longest_of_all_chains(self, seconds: list[float], edges: set[tuple[int, int]]) -> None:
        nodes = range(len(seconds))
        on = {str(node): tuple(str(other) for other in range(node) if (node, other) in edges) for node in nodes}
        chains = (
            chain
            for size in range(1, len(seconds) + 1)
            for chain in itertools.combinations(nodes, size)
            if all(str(a) in on[str(b)] for a, b in itertools.pairwise(chain))
        )

        longest, _ = longest_way({str(node): seconds[node] for node in nodes}, on)

        assert longest == pytest.approx(max(math.fsum(seconds[node] for node in chain) for chain in chains))


class TestReading:
    def test_all_is_read_at_once_so_the_slowest_read_counts(self) -> None:
        calls = [call("GetService", 0, 0.2, about="a"), call("GetTopic", 0.5, 1.0, about="t")]

        assert reading_seconds(calls) == pytest.approx(0.5)

    def test_of_what_was_read_twice_the_quicker_one_counts(self) -> None:
        assert reading_seconds([call("GetTag", 0, 0.5, about="a"), call("GetTag", 1, 1.2, about="a")]) == pytest.approx(
            0.2
        )

    def test_a_list_counts_where_it_is_quicker_than_one_by_one(self) -> None:
        one_by_one = [call("GetTopic", 0, 0.1, about="a"), call("GetTopic", 0, 0.9, about="b")]

        assert reading_seconds([*one_by_one, call("ListTopics", 0, 0.3)]) == pytest.approx(0.3)
        assert reading_seconds([*one_by_one, call("ListTopics", 0, 1.5)]) == pytest.approx(0.9)

    def test_a_subscription_is_read_after_the_trigger_that_names_it(self) -> None:
        calls = [call("ListTriggers", 0, 0.4), call("GetSubscription", 0.4, 0.5, about="s")]

        assert reading_seconds(calls) == pytest.approx(0.5)

    def test_what_is_read_once_something_is_written_does_not_count(self) -> None:
        calls = [call("GetTopic", 0, 0.1), call("CreateTopic", 0.2, 0.3, writes=True), call("GetService", 0.4, 9.0)]

        assert reading_seconds(calls) == pytest.approx(0.1)

    def test_no_read_takes_no_time(self) -> None:
        assert reading_seconds([]) == 0


class TestWriting:
    service = Node(address="s", method="(Create|Update)Service", about="/services/a$")
    image = Node(address="i", method="RunBuildTrigger", about="/triggers/a$")

    def test_a_write_without_an_operation_takes_its_call(self) -> None:
        calls = [call("CreateService", 1, 1.5, writes=True, about="p/services/a")]

        assert writing_seconds(self.service, calls, {}) == pytest.approx(0.5)

    def test_an_operation_counts_to_its_end_and_half_the_way_back(self) -> None:
        calls = [
            call("CreateService", 1, 1.5, writes=True, about="p/services/a", operation="o"),
            call("GetOperation", 2.0, 2.1, about="o", operation="o", latency=0.1),
            call("WaitOperation", 1.6, 3.3, about="o", operation="o", latency=0.4),
        ]

        assert writing_seconds(self.service, calls, {"o": 3.1}) == pytest.approx(2.1 + 0.2)

    def test_a_policy_of_what_the_run_made_is_read_before_it_is_written(self) -> None:
        grant = Node(address="g", method="SetIamPolicy", about="^p/services/a$", reads="GetIamPolicy")
        write = call("SetIamPolicy", 2, 2.5, writes=True, about="p/services/a")
        made = call("CreateService", 1, 1.2, writes=True, about="p/services/a")
        of_the_plan = call("GetIamPolicy", 0, 0.9, about="p/services/a")
        of_what_was_made = call("GetIamPolicy", 1.3, 1.6, about="p/services/a")

        assert writing_seconds(grant, [of_the_plan, made, write], {}) == pytest.approx(0.5)
        assert writing_seconds(grant, [made, of_what_was_made, write], {}) == pytest.approx(0.3 + 0.5)

    def test_that_it_was_told_late_does_not_count(self) -> None:
        calls = [
            call("CreateService", 1, 1.5, writes=True, about="p/services/a", operation="o"),
            call("GetOperation", 9.0, 9.2, about="o", operation="o", latency=0.2),
        ]

        assert writing_seconds(self.service, calls, {"o": 3.0}) == pytest.approx(2.0 + 0.1)

    def test_a_build_may_be_asked_itself(self) -> None:
        calls = [
            call("RunBuildTrigger", 0, 0.5, writes=True, about="p/triggers/a", operation=BUILD),
            call("GetBuild", 5, 5.2, about="p/builds/build-1", latency=0.2),
        ]

        assert writing_seconds(self.image, calls, {BUILD: 4.0}) == pytest.approx(4.1)

    @pytest.mark.parametrize("fields", [{"status": "ABORTED"}, {"about": "p/services/b"}, {"writes": False}])
    def test_what_failed_or_is_about_something_else_is_no_write_of_it(self, fields: dict[str, Any]) -> None:
        given = {"writes": True, "about": "p/services/a", **fields}

        assert writing_seconds(self.service, [call("CreateService", 0, 1, **given)], {}) == 0


def test_the_critical_path_is_to_sign_in_then_to_read_then_the_longest_way() -> None:
    nodes = [
        Node(address="topic", method="CreateTopic", about="/topics/t$"),
        Node(address="service", method="CreateService", about="/services/a$", depends_on=("topic",)),
        Node(address="account", method="CreateServiceAccount", about="/serviceAccounts/a$"),
    ]
    calls = [
        call("GetIdToken", 0, 0.1),
        call("ExchangeToken", 0.1, 0.3),
        call("GenerateAccessToken", 0.3, 0.6),
        call("GetTopic", 0.7, 1.0, about="p/topics/t"),
        call("CreateTopic", 2, 2.2, writes=True, about="p/topics/t"),
        call("CreateServiceAccount", 2, 2.9, writes=True, about="p/serviceAccounts/a"),
        call("CreateService", 3, 3.4, writes=True, about="p/services/a", operation="o"),
        call("WaitOperation", 3.4, 5.1, about="o", operation="o", latency=0.2),
    ]

    path = critical_path(nodes, calls, {"o": 5.0})

    assert path.sign_in == pytest.approx(0.6)
    assert path.reading == pytest.approx(0.3)
    assert path.writing == pytest.approx(0.2 + 2.0 + 0.1)
    assert path.way == ("topic", "service")


class TestDepth:
    def test_calls_at_the_same_time_are_one_step(self) -> None:
        assert depth([call("GetA", 0, 1), call("GetB", 0.5, 2), call("GetC", 1, 3), call("GetD", 3, 4)]) == 3

    @given(
        st.lists(st.tuples(st.integers(0, 20), st.integers(1, 5)), max_size=7).map(
            lambda spans: [call("GetA", began, began + length) for began, length in spans]
        )
    )
    def test_it_is_the_longest_of_all_chains(self, calls: list[Call]) -> None:
        chains = (
            chain
            for size in range(len(calls) + 1)
            for chain in itertools.combinations(sorted(calls, key=lambda it: it.began), size)
            if all(b.began >= a.ended for a, b in itertools.pairwise(chain))
        )

        assert depth(calls) == max(len(chain) for chain in chains)


# The figures


@given(st.lists(st.floats(0, 100), min_size=1))
def test_a_spread_goes_from_the_least_to_the_most(values: list[float]) -> None:
    spread = Spread.of(values)

    assert min(values) == spread.least <= spread.median <= spread.most == max(values)
    assert spread.runs == len(values)


class TestTargets:
    def test_all_are_reached_where_a_run_is_fast(self) -> None:
        found = verdicts(fast())

        assert all(verdict.is_reached for verdict in found), [it.what for it in found if not it.is_reached]

    @pytest.mark.parametrize(
        ("changes", "what"),
        [
            (
                {"seconds": 1.6},
                ["fresh, no latency: times the bare import", "fresh, latencies: times the critical path"],
            ),
            ({"policy_writes": 10}, ["fresh, 10 services: writes of the project's policy"]),
            ({"conflicts": 1}, ["any run: conflicts of our own making"]),
            ({"memory": 130_000_000}, ["any run of one service: peak memory"]),
            ({"requests": 46}, ["fresh: requests"]),
        ],
    )
    def test_a_figure_beyond_its_limit_is_missed(self, changes: dict[str, Any], what: list[str]) -> None:
        assert missed(fast(**changes)) == what

    def test_a_margin_is_for_what_is_not_the_same_on_any_machine(self) -> None:
        found = fast(seconds=1.3, requests=46, memory=130_000_000)
        found.samples[Row(True, 1, "no-op")] = [dataclasses.replace(FAST, depth=7)]

        assert missed(found, 2.0) == [
            "any run of one service: peak memory",
            "fresh: requests",
            "no-op, latencies: calls one after the other, signing in included",
        ]
        assert not any(it.is_reached for it in verdicts(found, 2.0) if it.figure == 46)

    @pytest.mark.parametrize(("margin", "allowed"), [(1.0, 2.5), (1.1, 2.75), (2.0, 3.0)])
    def test_a_margin_is_no_wider_than_its_target_may_have(self, margin: float, allowed: float) -> None:
        (verdict,) = (it for it in verdicts(fast(), margin) if "times one service" in it.what)

        assert verdict.allowed == pytest.approx(allowed)

    def test_many_services_are_held_against_one(self) -> None:
        found = fast()
        found.samples[Row(True, 10, "fresh")] = [dataclasses.replace(FAST, seconds=2.6)]

        assert missed(found) == ["fresh, latencies: 10 services, times one service"]

    @pytest.mark.parametrize(("seconds", "is_missed"), [(1.1, False), (1.0, True)])
    def test_a_run_must_take_more_of_the_processor_with_nothing_pruned(
        self, seconds: float, *, is_missed: bool
    ) -> None:
        found = fast()
        found.samples[UNPRUNED] = [dataclasses.replace(FAST, cpu_seconds=seconds)]

        expected = ["no-op, no latency: own CPU, times that with nothing pruned"] * is_missed
        assert missed(found, 2.0) == expected

    def test_the_time_of_a_no_op_is_told_in_round_trips(self) -> None:
        found = fast()
        found.samples[Row(True, 1, "no-op")] = [dataclasses.replace(FAST, span=0.7)]

        assert [it.figure for it in verdicts(found) if "round trips" in it.what] == [pytest.approx(7)]
        assert found.whole_round_trips(Row(True, 1, "no-op")) == pytest.approx(10)

    def test_what_was_not_measured_is_not_reached_and_a_check_says_so(self) -> None:
        found = verdicts(measured({Row(False, 1, "plan"): [FAST]}))

        assert {it.what for it in found if it.is_reached} == {
            "any run: conflicts of our own making",
            "any run of one service: peak memory",
        }
        assert all("not measured" in it.complaint for it in found if not it.is_reached)

    @pytest.mark.parametrize("worlds", [quick_worlds(), all_worlds([1, 10, 100], 5)])
    def test_all_are_measured_in_quick_mode_and_without_options(self, worlds: list[World]) -> None:
        found = verdicts(measured({row: [FAST] for world in worlds for row in world.rows}))

        assert [it.what for it in found if it.figure is None] == []
        assert sum("100 services" in it.what for it in found) == 3


def test_the_page_and_the_json_have_every_row_and_every_target() -> None:
    found = fast()
    told = verdicts(found)

    page, content = as_markdown(found, told), json.loads(as_json(found, told))

    assert page.count("| One field changed | 10 |") == 4
    assert page.count("| reached |") == len(TARGETS)
    assert page.count("| The same commit again, with nothing pruned | 1 |") == 2
    assert len(content["rows"]) == 17
    assert content["rows"][0]["samples"][0]["seconds"] == 1.0


def test_the_page_about_performance_has_the_tables_that_are_printed_today() -> None:
    found = measured({Row(latencies, 100, "fresh"): [FAST] for latencies in (False, True)})
    printed = as_markdown(found, verdicts(found))
    heads = [line for line in printed.splitlines() if line.startswith("| ") and "services" in line.split("|")[2]]
    page = (ROOT / "docs" / "performance.md").read_text()

    assert len(heads) == 3
    assert [head for head in heads if head not in page] == []
    assert [it.what for it in verdicts(found) if f"| {it.what} |" not in page] == []
    assert growth.as_markdown([]).splitlines()[0] in page


def test_a_check_fails_where_a_limit_is_broken_and_where_a_target_was_not_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def check(found: Measured) -> tuple[int, list[str]]:
        monkeypatch.setattr(program, "measure", lambda *_, **__: found)
        code = program.main(["--quick", "--check", "2"])
        return code, capsys.readouterr().err.splitlines()

    of_one = measured({row: samples for row, samples in fast().samples.items() if row.services == 1})

    assert check(fast()) == (0, [])
    assert check(fast(requests=46)) == (1, ["fresh: requests: 46, and 45 at most"])
    code, told = check(of_one)
    assert code == 1
    assert len(told) == 3
    assert all(": not measured" in line for line in told)


@pytest.mark.parametrize(("of_many", "expected"), [(None, 5), (2, 2), (7, 7)])
def test_a_hundred_services_are_measured_as_often_as_one_unless_another_number_is_given(
    of_many: int | None, expected: int
) -> None:
    rounds = {(it.services, it.latencies): it.rounds for it in all_worlds([1, 100], 5, of_many)}

    assert rounds == {(1, False): 5, (1, True): 5, (100, False): expected, (100, True): expected}


# The action's own graph


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The variables of a step in a repository with three services."""
    repository = tmp_path / "repository"
    make_repository(repository, 3)
    return {
        "GITHUB_WORKSPACE": str(repository),
        "GITHUB_REPOSITORY": "octue/measured",
        "GITHUB_REPOSITORY_ID": "1",
        "GITHUB_REPOSITORY_OWNER_ID": "2",
        "GITHUB_SHA": "1" * 40,
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_EVENT_NAME": "workflow_dispatch",
        "ACTIONS_ID_TOKEN_REQUEST_URL": "http://127.0.0.1:1/",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "none",
        "INPUT_WORKLOAD_IDENTITY_PROVIDER": "projects/1/locations/global/workloadIdentityPools/github/providers/octue",
        "GOOGLE_CLOUD_EMULATOR_HOST": "127.0.0.1:1",
    }


def test_the_graph_has_every_kind_that_a_deployment_makes(environment: dict[str, str]) -> None:
    nodes = graph.graph(environment)
    addresses = {node.address for node in nodes}

    assert {address.partition(".")[0] for address in addresses} == {kind.kind for kind in ORDER}
    assert addresses.issuperset(on for node in nodes for on in node.depends_on)


def test_another_memory_is_that_of_the_first_service_alone(tmp_path: Path) -> None:
    write_octue_yaml(tmp_path, 3, "1Gi")

    assert (tmp_path / "octue.yaml").read_text().count("1Gi") == 1


def test_the_container_gets_the_steps_variables_and_not_the_machines(
    environment: dict[str, str], tmp_path: Path
) -> None:
    command = container_command("action:1", {"PATH": "/bin", **environment}, tmp_path)

    assert command[:3] == ["docker", "run", "--rm"]
    assert command[-1] == "action:1"
    assert command[command.index("--volume") + 1] == f"{tmp_path}:{tmp_path}"
    given = [command[place + 1] for place, word in enumerate(command) if word == "--env"]
    assert given == [f"{name}={value}" for name, value in environment.items()]


# The whole


def test_what_grows_is_measured_with_so_many_members_and_revisions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "MEMBERS", (30,))
    monkeypatch.setattr(growth, "REVISIONS", (4,))

    figures = list(growth.measure(1, lambda _: None))

    assert [(it.what.partition(",")[0], it.number) for it in figures] == [
        ("Fresh deployment", 30),
        ("The same commit again", 30),
        ("Rollback", 4),
        ("The deployment after it", 4),
    ]
    assert all(it.seconds.least > 0.1 for it in figures)


def test_what_grows_is_told_with_its_spread_and_its_runs() -> None:
    figures = growth.Figures("Rollback, revisions of the service", 1000, Spread.of([0.5, 0.4, 0.75]), 11)

    assert growth.as_markdown([figures]).splitlines()[2:] == [
        "| Rollback, revisions of the service | 1,000 | 0.50 | 0.40 to 0.75 | 11 | 3 |"
    ]


@pytest.mark.parametrize("number", [13, 14, 1_490])
def test_a_policy_gets_so_many_members_as_are_told(number: int) -> None:
    policy = growth.with_members({"etag": "e", "bindings": [{"role": "roles/owner", "members": ["m"] * 13}]}, number)

    assert sum(len(binding["members"]) for binding in policy["bindings"]) == number
    assert all(binding["members"] for binding in policy["bindings"])
    assert policy["etag"] == "e"


def test_no_policy_is_told_to_have_fewer_members_than_it_has() -> None:
    with pytest.raises(Unmeasurable, match="13 members already, and 10 were asked for"):
        growth.with_members({"bindings": [{"role": "roles/owner", "members": ["m"] * 13}]}, 10)


def test_it_measures_the_action_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "script.benchmarking", "--services", "1", "--rounds", "1", "--json", str(file)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=240)

    assert done.returncode == 0, done.stderr
    assert "| Fresh deployment | 1 |" in done.stdout
    rows = {(row["latencies"], row["what"]): row["samples"][0] for row in json.loads(file.read_text())["rows"]}
    for latencies in (False, True):
        assert rows[latencies, "fresh"]["builds"] == 1
        assert rows[latencies, "no-op"]["writes"] == rows[latencies, "plan"]["writes"] == 0
        assert rows[latencies, "update"]["writes"] == 1
        assert rows[latencies, "fresh"]["memory"] > 50_000_000
    unpruned, pruned = rows[False, "unpruned"], rows[False, "no-op"]
    assert unpruned["requests"] == pruned["requests"]
    assert unpruned["memory"] > pruned["memory"] + 5_000_000, "what is imported is there"
    for what, row in ((what, row) for (latencies, what), row in rows.items() if latencies):
        assert 0 < row["critical_path"] < row["seconds"], what
        assert row["round_trip"] > 0.05
    # Three tenths of a second and more to sign in; then repository, trigger, build, service and trigger.
    assert rows[True, "fresh"]["writing"] > 3.6 + 2.1 + 0.4
