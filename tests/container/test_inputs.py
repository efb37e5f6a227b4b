"""Each input of action.yml reaches the action in its container, as does what the runner gives beside them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from octue_action.inputs import INPUTS
from tests.container.jobs import ContainerJob
from tests.github_runner import load
from tests.runs import credentials_file

WRONG = 'no\x1b "$(id)" `id`'
UNCHECKED = {"confirm", "github_token"}
"""Inputs that take any text."""

TELL = """
import json, os
from octue_action.settings import load
settings = load(os.environ)
with open(os.environ["GITHUB_OUTPUT"], "a") as file:
    print("settings=" + json.dumps([settings.confirm, settings.github_token, settings.mode]), file=file)
"""


def test_each_input_of_action_yml_reaches_the_action_and_a_wrong_one_is_told_by_its_name(
    job: ContainerJob, action: Path
) -> None:
    declared = load(action).defaults

    every = job.run(job.step(dict.fromkeys(declared, WRONG)))
    services = job.run(job.step({"services": WRONG}))

    assert every.exit_code == services.exit_code == 2
    assert every.log.of_kind("warning") == [], "the runner knows of all of them"
    told = every.log.text + services.log.text
    assert {name for name in INPUTS if f"Input `{name}`" not in told} == UNCHECKED
    assert set(declared) == set(INPUTS)
    assert "The inputs cannot be used" in (every.summary or "")
    assert list(job.world.requests) == []


def test_inputs_that_take_any_text_arrive_as_they_are(job: ContainerJob, tmp_path: Path) -> None:
    text = 'my-org-sum "\\" `$HOME` %0A {0}'
    inputs = {**job.step().inputs, "confirm": text, "github_token": "ghs_0123456789"}

    told = job.probe(tmp_path, TELL, inputs=inputs)

    assert json.loads(told.outputs["settings"]) == [text, "ghs_0123456789", "deploy"]


def test_every_default_of_action_yml_is_what_the_action_does_without_the_input(action: Path) -> None:
    defaults = {name: default.evaluate({}) for name, default in load(action).defaults.items()}

    assert defaults == {name: declared.default for name, declared in INPUTS.items()}


def test_a_credentials_file_in_the_workspace_is_found_where_the_container_sees_it(job: ContainerJob) -> None:
    """As google-github-actions/auth writes it, and names it in the environment by its path on the host."""
    step = job.step({"mode": "plan", "workload_identity_provider": "", "deployer_service_account": ""})
    file = credentials_file(job.workspace, step.variables, job.world, account=True)

    run = job.run(replace(step, env={**step.env, "GOOGLE_APPLICATION_CREDENTIALS": str(file)}))

    assert run.conclusion == "success", run.log.text
    assert json.loads(run.outputs["plan"])["has_changes"]


def test_nothing_of_the_workspace_or_the_environment_is_run(job: ContainerJob) -> None:
    """Python starts in the workspace, with the workflow's environment and the home folder of the job."""
    step = job.step({"mode": "plan"})
    planted = "raise SystemExit('run by mistake')\n"
    for name in ("json.py", "octue_action.py", "sitecustomize.py", "usercustomize.py", "entrypoint.py"):
        (job.workspace / name).write_text(planted)
    env = {
        **step.env,
        "PYTHONPATH": "/github/workspace",
        "PYTHONSTARTUP": "/github/workspace/json.py",
        "PYTHONINSPECT": "1",
        "PYTHONUSERBASE": "/github/workspace",
        "PATH": "/github/workspace",
    }

    run = job.run(replace(step, env=env))

    assert run.conclusion == "success", run.log.text
