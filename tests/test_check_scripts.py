"""script/check-scripts finds mistakes in shell scripts and Dockerfiles."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# The file, what is right, what is wrong, and what is said about it.
MISTAKES = {
    "a variable without quotes": (".ci/run", 'cd "$(dirname "$0")/.."', "cd $1", "SC2086"),
    "a variable that nobody sets": ("script/test", "script/environment", "$CHECKUOT/script/environment", "SC2154"),
    "a failure that goes unseen": ("script/test", "script/environment", 'echo "$(script/environment)"', "SC2312"),
    "a script that is no script": ("script/demo", "exec ", "if true; then exec ", "SC1"),
    "packages of no particular version": (
        *("Dockerfile", "\nLABEL ", "\nRUN apt-get update && apt-get install -y git\nLABEL "),
        "DL3008",
    ),
    "an entrypoint that is not told of a cancellation": ("Dockerfile", "ENTRYPOINT [", "ENTRYPOINT python #", "DL3025"),
    "a folder that depends on the base": (
        *("examples/wind-yield/Dockerfile", "WORKDIR /app", "WORKDIR app"),
        "DL3000",
    ),
}


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    script = ROOT / "script" / "check-scripts"
    return subprocess.run([script, folder], capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the script checks."""
    for folder in ("script", ".ci", "examples"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "Dockerfile", tmp_path)
    return tmp_path


def test_there_is_nothing_to_find_in_this_checkout() -> None:
    result = check(ROOT)

    assert result.stdout + result.stderr == ""
    assert result.returncode == 0


@pytest.mark.parametrize("mistake", MISTAKES)
def test_finds(checkout: Path, mistake: str) -> None:
    file, right, wrong, message = MISTAKES[mistake]
    text = (checkout / file).read_text()
    assert right in text
    (checkout / file).write_text(text.replace(right, wrong, 1))

    result = check(checkout)

    assert result.returncode == 1
    assert message in result.stdout
    assert file in result.stdout


def test_finds_a_script_by_what_runs_it(tmp_path: Path) -> None:
    (tmp_path / "deeply" / "hidden").mkdir(parents=True)
    (tmp_path / "deeply" / "hidden" / "script").write_text("#!/bin/sh\ncd $1\n")
    (tmp_path / "python").write_text("#!/usr/bin/env python\ncd $1\n")

    result = check(tmp_path)

    assert "deeply/hidden/script line 2" in result.stdout
    assert "python" not in result.stdout
    assert result.returncode == 1


def test_does_not_look_at_what_a_tool_has_made(tmp_path: Path) -> None:
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "script").write_text("#!/bin/sh\ncd $1\n")

    assert check(tmp_path).returncode == 0
