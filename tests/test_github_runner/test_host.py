"""Steps without a container, by a small action of the tests' own."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path

import pytest

from tests.github_runner import HostRunner, Refused, Step, StepResult
from tests.test_github_runner.conftest import MakeAction

SHOW = "import json, os; print(json.dumps({'cwd': os.getcwd(), **os.environ}))"


def run(folder: Path, action: Path, step: Step) -> StepResult:
    return HostRunner(folder / "runner", [sys.executable, str(action / "action.py")]).run(action, step)


def test_the_program_gets_what_its_container_would_get_with_paths_of_this_machine(
    make_action: MakeAction, step: Step, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "mine")
    action = make_action(SHOW, head="inputs:\n  region:\n    default: mars")
    step = dataclasses.replace(step, env={"HERE": str(workspace)}, variables={"GITHUB_SHA": "abc"})
    environment = json.loads(run(tmp_path, action, step).lines[0].text)
    expected = {
        "cwd": str(workspace),
        "GITHUB_WORKSPACE": str(workspace),
        "HERE": str(workspace),
        "INPUT_REGION": "mars",
        "GITHUB_SHA": "abc",
        "GITHUB_ACTIONS": "true",
        "CI": "true",
        "PATH": os.environ["PATH"],
        "HOME": f"{tmp_path}/runner/_temp/_github_home",
    }
    assert {name: environment.get(name) for name in expected} == expected
    assert "GITHUB_TOKEN" not in environment


def test_what_it_leaves_behind_is_read_also_when_it_fails(make_action: MakeAction, step: Step, tmp_path: Path) -> None:
    script = """
import os, sys
open(os.environ["GITHUB_OUTPUT"], "a").write("a=1\\n")
open(os.environ["GITHUB_STEP_SUMMARY"], "a").write("# Page")
print("::error file=octue.yaml,line=2::It is wrong")
sys.exit(2)
"""
    result = run(tmp_path, make_action(script), step)
    assert (result.exit_code, result.conclusion, result.outputs) == (2, "failure", {"a": "1"})
    assert result.summary == "# Page\n"
    assert [(error.message, error.file, error.line) for error in result.annotations] == [
        ("It is wrong", "octue.yaml", 2)
    ]
    assert (result.container, result.container_remains) == ("", False)


def test_an_action_that_the_runner_does_not_accept_is_not_run(
    make_action: MakeAction, step: Step, tmp_path: Path
) -> None:
    with pytest.raises(Refused):
        run(tmp_path, make_action("print(1)", runs="  main: index.js\n"), step)
