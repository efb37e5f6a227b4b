"""The README says what is so: its tables, its workflows and its commands."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from octue_action import permissions
from octue_action.inputs import INPUTS
from octue_action.settings import load
from tests.gcloud import understands

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def table(heading: str) -> dict[str, tuple[str, ...]]:
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0].split("\n### ")[0]
    rows = [
        tuple(cell.strip() for cell in line.strip("|").split(" | "))
        for line in section.splitlines()
        if line[:3] == "| `"
    ]
    return {row[0].strip("` "): row[1:] for row in rows}


OF_THE_WORKFLOW = {"environment", "show_on_github"}
"""Inputs that only the reusable workflow has."""
WORKFLOWS = [block for block in blocks("yaml") if "jobs:" in block]
EXAMPLES = sorted(file for file in ROOT.glob("examples/*/.github/workflows/*.yml") if file.name != "deploy.yml")


def test_every_input_stands_in_the_table_with_its_default() -> None:
    expected = {name: (f"`{i.default}`" if i.default else i.otherwise, i.description) for name, i in INPUTS.items()}

    assert table("Inputs") == expected


def test_the_role_of_a_planner_has_just_what_a_plan_needs() -> None:
    (listed,) = re.findall(r'roles create octue_planner .*?--permissions="(.*?)"', README, re.DOTALL)

    assert sorted(listed.replace("\\\n", "").split(",")) == sorted(permissions.PLAN)


def test_every_output_stands_in_the_table() -> None:
    assert table("Outputs") == {name: (output["description"],) for name, output in ACTION["outputs"].items()}


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_the_workflows_to_paste_are_workflows(workflow: str, tmp_path: Path) -> None:
    file = tmp_path / "deploy.yml"
    file.write_text(workflow)

    checked = subprocess.run(
        [ROOT / ".venv/bin/check-jsonschema", "--builtin-schema", "vendor.github-workflows", file],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout
    assert not set(_inputs_of(workflow)) - set(INPUTS)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_the_workflows_of_the_example_stand_in_it_as_they_are(file: Path) -> None:
    """Those that ``tests/test_example_workflows.py`` runs; deploy.yml is what the README begins with, explained."""
    assert file.read_text() in WORKFLOWS


def test_the_step_and_the_octue_yaml_to_paste_are_settings_that_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "octue.yaml").write_text(next(block for block in blocks("yaml") if block.startswith("services:")))
    (tmp_path / "Dockerfile").write_text("FROM python:3.11-slim\n")

    settings = load(
        {
            **{f"INPUT_{name.upper()}": value for name, value in _inputs_of(WORKFLOWS[0]).items()},
            "GITHUB_WORKSPACE": str(tmp_path),
            "GITHUB_REPOSITORY": "my-org/my-repository",
            "GITHUB_REPOSITORY_ID": "1",
            "GITHUB_REPOSITORY_OWNER_ID": "2",
            "GITHUB_SHA": "0" * 40,
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_RUN_ID": "3",
            "GITHUB_SERVER_URL": "https://github.com",
        }
    )

    assert [service.service for service in settings.services] == ["wind-yield"]


def test_the_commands_are_there_to_run() -> None:
    commands = re.findall(r"`?(script/[a-z-]+)", README)

    assert {"script/demo", "script/test"} <= set(commands)
    assert all(os.access(ROOT / command, os.X_OK) for command in commands)


def test_the_shell_commands_are_shell() -> None:
    for block in blocks("shell"):
        subprocess.run(["bash", "-n"], input=block, text=True, check=True)


@pytest.mark.witness
def test_gcloud_understands_the_commands(tmp_path: Path) -> None:
    assert understands("\n".join(block for block in blocks("shell") if "gcloud " in block), tmp_path) == 2


def test_the_python_to_paste_is_python() -> None:
    for block in blocks("python"):
        compile(block, "README.md", "exec")


def test_the_links_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    headings = (re.sub(r"[^\w -]", "", heading) for heading in re.findall(r"^#+ (.*)$", README, re.MULTILINE))
    anchors = {f"#{heading.lower().replace(' ', '-')}" for heading in headings}

    assert links
    assert all(link in anchors if link.startswith("#") else (ROOT / link).exists() for link in links)


def _inputs_of(workflow: str) -> dict[str, str]:
    """Those that any job gives the action, or the workflow that hands them on to it."""
    given: dict[str, str] = {}
    for job in yaml.safe_load(workflow)["jobs"].values():
        given |= {name: value for name, value in job.get("with", {}).items() if name not in OF_THE_WORKFLOW}
        given |= job["steps"][-1].get("with", {}) if "steps" in job else {}
    return given
