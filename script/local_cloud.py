"""What the scripts share that run the action against the emulator: its variables, its log, and a repository."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "wind-yield"

ESSENTIALS = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
"""What a process gets of this one's environment."""


def read_variables(process: subprocess.Popen[str]) -> dict[str, str]:
    """The variables that the emulator prints until it is ready.

    :raises subprocess.SubprocessError: where it ends before.
    """
    variables: dict[str, str] = {}
    for line in process.stdout or ():
        if line.startswith("#"):
            return variables
        name, _, value = shlex.split(line)[1].partition("=")
        variables[name] = value
    raise subprocess.SubprocessError("the emulator did not start")


def is_the_actions(request: Mapping[str, Any], variables: Mapping[str, str]) -> bool:
    """Whether the action made a request, and not a build's account, nor a service or who asks it over Pub/Sub.

    :param request: as ``/emulator/requests`` shows it.
    :param variables: that the emulator has printed.
    """
    deployer = f"serviceAccount:{variables['INPUT_DEPLOYER_SERVICE_ACCOUNT']}"
    is_sign_in = not request["principal"].startswith("serviceAccount:") and "pubsub" not in request["method"]
    return is_sign_in or request["principal"] == deployer


def git(repository: Path, *arguments: str) -> str:
    """What git says in a repository."""
    done = subprocess.run(["git", *arguments], cwd=repository, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(repository: Path, message: str) -> None:
    """Commit all that has changed."""
    git(repository, "add", "--all")
    git(repository, "-c", "user.name=Demo", "-c", "user.email=demo@example.com", "commit", "--quiet", "-m", message)
