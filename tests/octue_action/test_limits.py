from __future__ import annotations

import pytest

from octue_action import limits
from octue_action.limits import Size
from octue_action.problems import Given


def size(**changes: object) -> Size:
    """A size with what was written; the rest are defaults."""
    defaults: dict[str, object] = {
        "memory": "512Mi",
        "cpu": "1",
        "concurrency": 1,
        "min_instances": 0,
        "max_instances": 10,
        "execution_environment": None,
    }
    given = {name: Given(name=name, text=str(value)) for name, value in changes.items()}
    return Size(**(defaults | changes), given=given)  # type: ignore[arg-type]  # the values are of many types


# The table of cloud.google.com/run/docs/configuring/services/cpu, at its edges.
@pytest.mark.parametrize(
    ("cpu", "least", "most", "too_little", "too_much"),
    [
        ("0.08", "128Mi", "512Mi", None, "513Mi"),
        ("0.49", "128Mi", "512Mi", None, "513Mi"),
        ("0.5", "128Mi", "1Gi", None, "1025Mi"),
        ("1", "128Mi", "4Gi", None, "4097Mi"),
        ("2", "128Mi", "8Gi", None, "8193Mi"),
        ("4", "2Gi", "16Gi", "2047Mi", "17Gi"),
        ("6", "4Gi", "24Gi", "4095Mi", "25Gi"),
        ("8", "4Gi", "32Gi", "4G", None),
    ],
)
def test_memory_and_cpus_go_together_as_cloud_run_has_it(
    cpu: str, least: str, most: str, too_little: str | None, too_much: str | None
) -> None:
    for memory in (least, most):
        assert limits.problems(size(cpu=cpu, memory=memory)) == []
    for memory in filter(None, (too_little, too_much)):
        (problem,) = limits.problems(size(cpu=cpu, memory=memory))
        assert problem.expected == f"from {least} to {most} of memory with {cpu} CPU"


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"cpu": "0.5", "concurrency": 2}, "concurrency"),
        ({"cpu": "0.5", "execution_environment": "gen2"}, "execution_environment"),
        ({"memory": "256Mi", "execution_environment": "gen2"}, "execution_environment"),
        ({"min_instances": 3, "max_instances": 2}, "min_instances"),
    ],
)
def test_what_does_not_go_together_is_a_problem_of_its_own(changes: dict[str, object], title: str) -> None:
    assert [problem.title for problem in limits.problems(size(**changes))] == [title]


@pytest.mark.parametrize(
    ("memory", "cpu", "suits"), [("512Mi", "1", True), ("511Mi", "1", False), ("512Mi", "0.99", False)]
)
def test_gen2_needs_half_a_gibibyte_and_a_whole_cpu(memory: str, cpu: str, suits: bool) -> None:
    assert limits.suits_gen2(memory, cpu) is suits
