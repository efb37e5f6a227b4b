"""What the container hands to the runner arrives as it is, whatever is in it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.container.jobs import ContainerJob

HOSTILE = {
    "lines": "one\ntwo\n\nfour\n",
    "carriage_returns": "one\r\ntwo\rthree",
    "quotes": "\"'`$(id)${HOME}\\",
    "percent": "100%25%0A%0D",
    "command": "::set-output name=image::evil\n##[set-output name=image]evil\n::stop-commands::x",
    "assignment": "image=evil\nimage<<EOF\nevil\nEOF",
    "delimiter": "ghadelimiter_0\nEOF\n<<ghadelimiter\n_GitHubActionsFileCommandDelimeter_",
    "unicode": "naïve 🌬️ \u2028\u2029\u202e",
    "empty": "",
    "blank": "  \t ",
}

SET_OUTPUTS = f"""
import os
from octue_action.runner import Runner
runner = Runner(os.environ)
runner.set_outputs({HOSTILE!r})
runner.info({HOSTILE["command"]!r})
"""

WRITE_SUMMARY = """
import os
from octue_action.runner import Runner
page = "<table>" + "".join(f"<tr><td>{row}</td></tr>\\n" for row in range(200_000)) + "</table>"
assert len(page) > 2 * 1024 * 1024
Runner(os.environ).write_summary(page)
"""


def test_outputs_arrive_intact_with_anything_in_them(job: ContainerJob, tmp_path: Path) -> None:
    run = job.probe(tmp_path, SET_OUTPUTS)

    assert run.conclusion == "success", run.log.text
    assert run.outputs == HOSTILE
    assert run.log.commands == []


def test_hostile_text_in_an_input_comes_out_as_text(job: ContainerJob) -> None:
    value = "a\n::set-output name=image::evil\n##[error]evil\nimage=evil %0A \"'"
    step = job.step({"mode": "plan", "environment_variables": json.dumps({"TEXT": value})})

    run = job.run(step)

    assert run.conclusion == "success", run.log.text
    service = next(c for c in json.loads(run.outputs["plan"])["changes"] if c["kind"] == "cloud_run_service")
    assert service["action"] == "create"
    assert run.outputs["image"].startswith("europe-west1-docker.pkg.dev/")
    assert run.annotations == []


def test_a_summary_over_the_limit_is_cut_and_says_so(job: ContainerJob, tmp_path: Path) -> None:
    run = job.probe(tmp_path, WRITE_SUMMARY)

    assert run.summary is not None, "GitHub drops a summary that is too large"
    assert len(run.summary.encode()) <= 1024 * 1024
    assert run.summary.count("<tr>") > 10_000
    assert "</table>" in run.summary
    assert run.summary.rstrip().endswith("_The rest of this summary is left out: GitHub shows no more than 1 MiB._")
    assert run.annotations == []
