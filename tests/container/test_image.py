"""What is in the action's image, and what is not."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

MEGABYTE = 1_000_000
MOST_OVER_THE_BASE = 75 * MEGABYTE

ABSENT = """
import importlib.util, pathlib, shutil, sys
for name in ("pip", "ensurepip", "setuptools", "tests", "emulator", "examples", "opentelemetry.sdk"):
    print(f"module {name}: {importlib.util.find_spec(name)}")
for name in ("pip", "pip3", "gcc", "cc", "git"):
    print(f"program {name}: {shutil.which(name)}")
packages = next(pathlib.Path("/usr/local/lib").glob("python3*/*-packages"))
print(f"sources: {[str(path) for path in packages.rglob('*.py')][:3] or None}")
own = pathlib.Path("/action").rglob("*")
print(f"others: {[str(p) for p in own if p.is_file() and p.suffix not in {'.py', '.pyc', '.csv', '.json'}] or None}")
package = pathlib.Path("/action/octue_action")
bytecode = {path.name.partition('.')[0] for path in package.rglob("*.pyc")}
print(f"not compiled: {[path.name for path in package.rglob('*.py') if path.stem not in bytecode] or None}")
"""


def inspect(image: str) -> dict[str, Any]:
    """What the engine knows of an image; one that was only built upon may have to be pulled for that."""
    if subprocess.run(["docker", "image", "inspect", image], check=False, capture_output=True).returncode:
        subprocess.run(["docker", "pull", "--quiet", image], check=True, capture_output=True)
    done = subprocess.run(["docker", "image", "inspect", image], check=True, capture_output=True, text=True)
    (found,) = json.loads(done.stdout)
    return dict(found)


def python(image: str, code: str) -> str:
    command = ["docker", "run", "--rm", "--entrypoint", "/usr/local/bin/python", image, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_it_has_no_installer_no_compiler_no_tests_and_no_emulator_and_is_compiled(image: str) -> None:
    found = python(image, ABSENT).splitlines()

    assert len(found) > 10
    assert [line for line in found if not line.endswith(": None")] == []


def test_it_starts_python_itself_as_root_which_no_shell_keeps_signals_from(image: str) -> None:
    config = inspect(image)["Config"]

    assert config["Entrypoint"][0] == "/usr/local/bin/python"
    assert config["Entrypoint"][-1] == "/action/entrypoint.py"
    assert config["Cmd"] in (None, [])
    assert config["User"] in {"", "root"}
    assert config["WorkingDir"] in {"", "/"}


@pytest.mark.parametrize("label", ["title", "description", "vendor", "base.name"])
def test_it_says_what_it_is(image: str, label: str) -> None:
    assert inspect(image)["Config"]["Labels"][f"org.opencontainers.image.{label}"]


def test_it_is_not_much_larger_than_its_base(image: str, engine: str) -> None:
    layers = inspect(image)
    base = inspect(engine)

    assert layers["RootFS"]["Layers"][: len(base["RootFS"]["Layers"])] == base["RootFS"]["Layers"]
    assert layers["Size"] - base["Size"] <= MOST_OVER_THE_BASE
