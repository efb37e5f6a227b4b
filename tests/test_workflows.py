"""What script/check-workflows finds, and what no checker looks at."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
OWN_ACTION = "octue/deploy-cloud-run-action"
WORKFLOWS = sorted([*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob("examples/*/.github/workflows/*.yml")])
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
DEPLOY: dict[Any, Any] = yaml.safe_load((ROOT / ".github/workflows/deploy.yml").read_text())
CALL: dict[str, Any] = DEPLOY[True]["workflow_call"]  # YAML 1.1 reads the key `on` as true
JOB: dict[str, Any] = DEPLOY["jobs"]["deploy"]

# Inputs that the reusable workflow does not have: a token is no input of a workflow, as inputs are shown to everyone.
# Where something is to be shown, it gives the job's own.
LEFT_OUT = {"github_token"}
TOKEN = "${{ inputs.show_on_github && github.token || '' }}"

MISTAKES = {
    "an input that the action does not have": (
        "uses: $/.\n        with:",
        "uses: $/.\n        with:\n          colour: red",
    ),
    "an input that another action does not have": ("persist-credentials: false", "persist-credential: false"),
    "an input that the workflow does not have": ("${{ inputs.region }}", "${{ inputs.regoin }}"),
    "a step that there is not": ("steps.deploy.outputs.plan", "steps.deployment.outputs.plan"),
    "a job that there is not": ("jobs.deploy.outputs.plan", "jobs.deployment.outputs.plan"),
    "a key that there is not": ("timeout-minutes: 360", "timeout: 360"),
    "a permission that there is not": ("\njobs:\n", "\npermissions:\n  id-tokens: write\n\njobs:\n"),
    "an action that is not pinned": ("checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "checkout@v7"),
    "an action whose inputs nobody has looked at": ("checkout@3d3c42e5", "checkout@3d3c42e6"),
    "permissions for every job": ("\njobs:\n", "\npermissions: write-all\n\njobs:\n"),
    "a text from elsewhere in a script": (
        "    steps:\n",
        "    steps:\n      - name: Greet\n        run: echo ${{ github.head_ref }}\n\n",
    ),
}


def steps(workflow: Path) -> Iterator[dict[str, Any]]:
    for job in yaml.safe_load(workflow.read_text())["jobs"].values():
        yield from job.get("steps", [])


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the script checks, without the examples."""
    for source in [ROOT / "action.yml", *ROOT.glob(".github/workflows/*.yml")]:
        target = tmp_path / source.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    return tmp_path


@pytest.fixture(scope="module")
def npm() -> None:
    if shutil.which("npm") is None:
        pytest.skip("NOT CHECKED: the workflows, as this machine has no Node with npm")


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    script = ROOT / "script" / "check-workflows"
    return subprocess.run([script, folder], capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.usefixtures("npm")
class TestCheckWorkflows:
    def test_finds_nothing_in_this_checkout(self) -> None:
        result = check(ROOT)
        assert result.returncode == 0, result.stdout + result.stderr

    @pytest.mark.parametrize("mistake", MISTAKES)
    def test_finds(self, checkout: Path, mistake: str) -> None:
        workflow = checkout / ".github" / "workflows" / "deploy.yml"
        right, wrong = MISTAKES[mistake]
        assert right in workflow.read_text()
        workflow.write_text(workflow.read_text().replace(right, wrong))
        result = check(checkout)
        assert result.returncode == 1
        assert "deploy.yml" in result.stdout + result.stderr

    def test_finds_a_key_of_the_action_that_there_is_not(self, checkout: Path) -> None:
        action = checkout / "action.yml"
        action.write_text(action.read_text().replace("image: Dockerfile", "image: Dockerfile\n  main: entrypoint.py"))
        result = check(checkout)
        assert result.returncode == 1
        assert "action.yml" in result.stdout + result.stderr


class TestDeploy:
    def test_has_every_input_of_the_action_but_those_left_out(self) -> None:
        assert set(ACTION["inputs"]) - set(CALL["inputs"]) == LEFT_OUT

    def test_passes_every_input_on_under_its_name(self) -> None:
        (step,) = (step for step in JOB["steps"] if step["uses"].startswith("$/"))
        assert step["with"] == {
            name: f"${{{{ inputs.{name} }}}}" for name in CALL["inputs"] if name in ACTION["inputs"]
        } | {"github_token": TOKEN}

    @pytest.mark.parametrize("name", [name for name in CALL["inputs"] if name in ACTION["inputs"]])
    def test_an_input_that_is_left_out_means_the_same_as_in_the_action(self, name: str) -> None:
        """A boolean without a default arrives as false, a number as 0, and neither as nothing."""
        declared = CALL["inputs"][name]
        default = str(declared.get("default", "")).lower()
        assert default == ACTION["inputs"][name].get("default", "")
        assert declared["type"] == ("boolean" if default in {"true", "false"} else "string")

    def test_maps_every_output_of_the_action(self) -> None:
        assert JOB["outputs"] == {name: f"${{{{ steps.deploy.outputs.{name} }}}}" for name in ACTION["outputs"]}
        assert {name: output["value"] for name, output in CALL["outputs"].items()} == {
            name: f"${{{{ jobs.deploy.outputs.{name} }}}}" for name in ACTION["outputs"]
        }

    def test_describes_its_outputs_as_the_action_does(self) -> None:
        assert {name: output["description"] for name, output in CALL["outputs"].items()} == {
            name: output["description"] for name, output in ACTION["outputs"].items()
        }

    def test_never_cancels_a_running_deployment(self) -> None:
        assert JOB["concurrency"]["cancel-in-progress"] is False

    def test_has_the_permissions_of_its_caller_and_asks_for_none_itself(self) -> None:
        """What a called workflow asks for, every caller has to grant; what it does not say, it has from its caller."""
        assert "permissions" not in DEPLOY
        assert "permissions" not in JOB
        assert not CALL["inputs"]["show_on_github"]["default"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: str(path.relative_to(ROOT)))
class TestEveryWorkflow:
    def test_pins_each_action_by_commit_and_names_its_version(self, workflow: Path) -> None:
        for line in re.findall(r"uses: *(.*)", workflow.read_text()):
            own = line.startswith((f"{OWN_ACTION}@", f"{OWN_ACTION}/", "$/"))
            assert own or re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} +# v\d+\.\d+\.\d+", line), line

    def test_has_no_expression_in_a_script(self, workflow: Path) -> None:
        assert [step["run"] for step in steps(workflow) if "${{" in step.get("run", "")] == []

    def test_gives_no_permission_to_all_jobs(self, workflow: Path) -> None:
        if workflow.name != "deploy.yml" or workflow.parent.parent.parent != ROOT:  # that one is only ever called
            assert yaml.safe_load(workflow.read_text())["permissions"] == {}
