"""What shellcheck finds in the scripts of steps, told with the line of the workflow."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from script.workflow_checks.document import EXPRESSION, Finding, Value
from script.workflow_checks.repository import Steps, all_steps

_SHELLCHECK = Path(sys.executable).parent / "shellcheck"
_SETTINGS = Path(__file__).parents[2] / ".shellcheckrc"

# docs.github.com, "Workflow syntax for GitHub Actions", on `shell`: without one, it is bash without pipefail.
_BEGINNINGS = {
    "": "#!/bin/bash\nset -e",
    "bash": "#!/bin/bash\nset -eo pipefail",
    "sh": "#!/bin/sh\nset -e",
}

# docs.github.com, "Variables reference": what every job has, beside what its workflow gives it.
_VARIABLES = (
    *("CI", "GITHUB_ACTION", "GITHUB_ACTION_PATH", "GITHUB_ACTION_REPOSITORY", "GITHUB_ACTIONS", "GITHUB_ACTOR"),
    *("GITHUB_ACTOR_ID", "GITHUB_API_URL", "GITHUB_BASE_REF", "GITHUB_ENV", "GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH"),
    *("GITHUB_GRAPHQL_URL", "GITHUB_HEAD_REF", "GITHUB_JOB", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_REF"),
    *("GITHUB_REF_NAME", "GITHUB_REF_PROTECTED", "GITHUB_REF_TYPE", "GITHUB_REPOSITORY", "GITHUB_REPOSITORY_ID"),
    *("GITHUB_REPOSITORY_OWNER", "GITHUB_REPOSITORY_OWNER_ID", "GITHUB_RETENTION_DAYS", "GITHUB_RUN_ATTEMPT"),
    *("GITHUB_RUN_ID", "GITHUB_RUN_NUMBER", "GITHUB_SERVER_URL", "GITHUB_SHA", "GITHUB_STEP_SUMMARY"),
    *("GITHUB_TRIGGERING_ACTOR", "GITHUB_WORKFLOW", "GITHUB_WORKFLOW_REF", "GITHUB_WORKFLOW_SHA", "GITHUB_WORKSPACE"),
    *("RUNNER_ARCH", "RUNNER_DEBUG", "RUNNER_ENVIRONMENT", "RUNNER_NAME", "RUNNER_OS", "RUNNER_TEMP"),
    "RUNNER_TOOL_CACHE",
)

# A neutral text stands for each expression, so that a comparison with it looks as if it came out the same every time.
_OF_EXPRESSIONS = "SC2050,SC2157,SC2194"


def scripts(document: Value) -> Iterator[Finding]:
    """What is wrong in every ``run`` of a workflow or a composite action."""
    for group in all_steps(document):
        for step in group.steps:
            if step["run"].exists:
                yield from _script(step, group)


def _script(step: Value, group: Steps) -> Iterator[Finding]:
    places = [step, *(it["defaults"]["run"] for it in (group.job, group.document) if it is not None)]
    shell = next((it["shell"] for it in places if it["shell"].exists), step["shell"])
    if shell.text not in _BEGINNINGS:
        yield shell.finding(f"nothing here checks a script for {shell.text!r}: write it for bash, or call a file.")
        return
    given = [name for it in (group.document, group.job, step) if it is not None for name, _ in it["env"].items()]
    for line, message in _shellcheck(_BEGINNINGS[shell.text], given, _without_expressions(step["run"].text)):
        yield Finding(step.file, _line(step["run"], line), message)


def _line(run: Value, line: int) -> int:
    """Where a line of a script, from 1, stands in the workflow; of a folded text, that it begins."""
    if run.is_block:
        return run.line + line
    return run.line


def _without_expressions(script: str) -> str:
    """The script with as many neutral characters in place of each expression."""
    return EXPRESSION.sub(lambda expression: re.sub(r"[^\n]", "_", expression[0]), script)


def _shellcheck(beginning: str, variables: list[str], script: str) -> Iterator[tuple[int, str]]:
    """What shellcheck finds, each with its line in the script, from 1.

    :param beginning: what bash or sh is called with
    :param variables: those that the environment has, whatever is in them
    """
    names = " ".join((*_VARIABLES, *filter(str.isidentifier, variables)))  # a shell has no others
    before = f"{beginning}\nread -r {names}; export {names}\n"
    command = [str(_SHELLCHECK), f"--rcfile={_SETTINGS}", f"--exclude={_OF_EXPRESSIONS}", "--format=json", "-"]
    result = subprocess.run(command, input=before + script, capture_output=True, text=True, check=False)
    if result.returncode > 1:  # 1 is for findings
        raise RuntimeError(result.stderr)
    for comment in json.loads(result.stdout):
        about = f"SC{comment['code']}"
        yield (
            comment["line"] - before.count("\n"),
            f"{comment['message']} ({about}, https://www.shellcheck.net/wiki/{about})",
        )
