"""The example in ``examples/wind-yield``: a repository of it, a question to it, and what the answer must be."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.runs import ROOT

EXAMPLE = ROOT / "examples" / "wind-yield"
SERVICE = "wind-yield"
WIND_SPEEDS = [4.0, 7.5, 11.0, 14.0, 9.0, 2.0, 26.0]
RATED_POWER = 3.0

_CLIENT = [str(ROOT / ".cache" / "octue" / "bin" / "python"), str(ROOT / "script" / "ask.py")]


def check_out(workspace: Path) -> None:
    """Copy the example's files, as they are in git, into a new folder."""
    shutil.copytree(EXAMPLE, workspace, ignore=shutil.ignore_patterns("__pycache__"))


def ask(service_id: str, pubsub_host: str) -> dict[str, Any]:
    """Ask the service with Octue's own client, in a process with Octue's SDK, and give the output values.

    :param pubsub_host: host and port of the Pub/Sub to ask through.
    """
    question = json.dumps({"hourly_wind_speeds": WIND_SPEEDS, "rated_power": RATED_POWER})
    done = subprocess.run(
        [*_CLIENT, service_id, "my-project", question],
        env={"PUBSUB_EMULATOR_HOST": pubsub_host},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, f"no answer:\n{done.stdout}{done.stderr}"
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def answer(rated_wind_speed: float = 13.0) -> dict[str, float]:
    """What a turbine yields that reaches its rated power at that wind speed, m/s."""

    def part(speed: float) -> float:
        if not 3.5 <= speed <= 25:
            return 0.0
        return min(1.0, (speed**3 - 3.5**3) / (rated_wind_speed**3 - 3.5**3))

    hours = sum(part(speed) for speed in WIND_SPEEDS)
    return {"energy_yield": round(hours * RATED_POWER, 3), "capacity_factor": round(hours / len(WIND_SPEEDS), 3)}
