"""The whole deployment of the example, from the container."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import wind_yield
from tests.container.conftest import Begin
from tests.container.jobs import ContainerJob
from tests.github_runner import StepResult, load


@pytest.fixture
def example(begin: Begin, tmp_path: Path) -> ContainerJob:
    wind_yield.check_out(tmp_path / "repository")
    return begin()


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_example_is_deployed_and_answers_and_the_second_time_there_is_nothing_to_do(
    example: ContainerJob, action: Path
) -> None:
    before = contents(example.workspace)

    first = example.run(example.step())
    answer = wind_yield.ask(first.outputs["service_id"], example.emulator.address)
    seen = len(example.world.requests)
    second = example.run(example.step())

    assert (first.conclusion, second.conclusion) == ("success", "success"), first.log.text + second.log.text
    assert answer == wind_yield.answer()
    assert first.summary is not None
    assert "wind-yield deployed" in first.summary
    assert "is up to date" in (second.summary or "")
    assert not any(request.writes for request in list(example.world.requests)[seen:])
    assert not any(line.stream == "stderr" for line in (*first.lines, *second.lines))
    assert contents(example.workspace) == before, "the workspace is not the action's to write in"
    _hold_outputs(first, load(action).outputs)


def _hold_outputs(result: StepResult, declared: frozenset[str]) -> None:
    """Each output that action.yml declares is set, and no other, and reaches the jobs that need this one."""
    assert set(result.outputs) == declared
    assert [name for name, value in result.outputs.items() if not value] == ["answer"]  # as nothing was asked
    assert result.job_outputs == {name: value for name, value in result.outputs.items() if value}
    assert json.loads(result.outputs["services"])["wind-yield"]["service_url"] == result.outputs["service_url"]
