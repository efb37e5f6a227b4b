"""The tests in this folder can fail: a copy of the action with one thing broken in it turns one of them red."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.container.jobs import copy_of_the_action
from tests.runs import ROOT

HERE = Path(__file__).parent

INPUTS = "test_inputs.py::test_each_input_of_action_yml_reaches_the_action_and_a_wrong_one_is_told_by_its_name"
DEFAULTS = "test_inputs.py::test_every_default_of_action_yml_is_what_the_action_does_without_the_input"
OUTPUTS = "test_deployment.py::test_the_example_is_deployed_and_answers_and_the_second_time_there_is_nothing_to_do"
HOSTILE = "test_outputs.py::test_outputs_arrive_intact_with_anything_in_them"
SUMMARY = "test_outputs.py::test_a_summary_over_the_limit_is_cut_and_says_so"
PLANTED = "test_inputs.py::test_nothing_of_the_workspace_or_the_environment_is_run"
CANCEL = "test_cancellation.py::test_a_cancelled_deployment_is_told_of_and_the_next_run_finishes_it"
WAITING = f"{CANCEL}[by_the_runner-waiting for the service]"
TERMINATED = f"{CANCEL}[by_sigterm-waiting for the service]"

SHELL_FORM = "ENTRYPOINT /usr/local/bin/python -E -s /action/entrypoint.py"

MISTAKES = {
    "an input by another name": ("action.yml", "  region_policy:", "  region_polcy:", INPUTS),
    "an input left out": (
        "action.yml",
        "  service_id:\n    description: The UUID",
        "  x_service_id:\n    description: The UUID",
        INPUTS,
    ),
    "another default": ("action.yml", "default: internal", "default: all", DEFAULTS),
    "an output by another name": ("action.yml", "  service_url:", "  service_uri:", OUTPUTS),
    "an output that is not escaped": (
        "octue_action/runner.py",
        "prepare_key_value_message(name, value)",
        "name + '=' + value",
        HOSTILE,
    ),
    "a summary that is not cut": (
        "octue_action/runner.py",
        "_fit_summary(self._hidden(markdown))",
        "markdown.encode()",
        SUMMARY,
    ),
    "the path of a Dockerfile that is not there": (
        "action.yml",
        "image: Dockerfile",
        "image: docker/Dockerfile",
        INPUTS,
    ),
    "the path of an entrypoint that is not there": ("Dockerfile", "/action/entrypoint.py", "/action/main.py", INPUTS),
    "modules from the environment": ("Dockerfile", '"-E", "-s", ', "", PLANTED),
    "a shell in front": ("Dockerfile", r"ENTRYPOINT \[.*\]", SHELL_FORM, WAITING),
    "no heed of signals": (
        "entrypoint.py",
        r"Cancellation.by_signals\(\).*",
        "Cancellation()",
        TERMINATED,
    ),
    "a thread that nothing wakes": (
        "octue_action/google.py",
        "self.cancellation.cut = self._close",
        "pass",
        WAITING,
    ),
}


@pytest.mark.skipif("ACTION_IMAGE" in os.environ or "ACTION_FOLDER" in os.environ, reason="of this checkout only")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_turns_a_test_red(mistake: str, engine: str, tmp_path: Path) -> None:
    name, right, wrong, test = MISTAKES[mistake]
    copy = copy_of_the_action(tmp_path / "copy")
    text, changes = re.subn(right if "\\" in right else re.escape(right), wrong, (copy / name).read_text())
    assert changes == 1, "the copy is as it was"
    (copy / name).write_text(text)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=line", f"{HERE}/{test}"],
        cwd=ROOT,
        env={**os.environ, "ACTION_FOLDER": str(copy), "ACTION_BASE_IMAGE": engine},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 1, done.stdout
    assert re.search(r"^1 (failed|error) in", done.stdout, re.MULTILINE), done.stdout
