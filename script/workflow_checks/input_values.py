"""Inputs with values they cannot have: of called workflows, of workflows started by hand, and of this action."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from octue_action.problems import Problem
from octue_action.settings import INPUTS, InvalidSettings, load
from script.workflow_checks.document import EXPRESSION, Finding, Value, references
from script.workflow_checks.repository import all_steps, calls, is_own_action, root

_INSTEAD = {"number": "a number without quotes", "boolean": "true or false, without quotes"}
_PASSES_ON = Path(".github/workflows/deploy.yml")
_OF_THE_REPOSITORY = frozenset({"config", "services", "dockerfile"})
_AN_IMAGE = "europe-docker.pkg.dev/project/repository/image:tag"

# The variables of GitHub that the action reads, of any run.
_A_RUN = {
    "GITHUB_REPOSITORY": "owner/repository",
    "GITHUB_REPOSITORY_ID": "1",
    "GITHUB_REPOSITORY_OWNER_ID": "2",
    "GITHUB_SHA": "0" * 40,
    "GITHUB_REF": "refs/heads/main",
    "GITHUB_RUN_ID": "3",
    "GITHUB_SERVER_URL": "https://github.com",
}


def defaults(workflow: Value) -> Iterator[Finding]:
    """Defaults of another type than their input's, or that are none of its options."""
    for event in ("workflow_call", "workflow_dispatch"):
        for name, declared in workflow["on"][event]["inputs"].items():
            default, options = declared["default"], [option.text for option in declared["options"]]
            if default.exists:
                yield from _of_another_type(f"the default of `{name}`", default, declared["type"].text, workflow)
            if declared["type"].text == "choice" and default.text and default.text not in options:
                yield default.finding(
                    f"the default of `{name}` is {default.text!r}: make it one of its options, {', '.join(options)}."
                )


def of_called_workflows(workflow: Value) -> Iterator[Finding]:
    """Values of another type than the input of the called workflow has; only text takes what is of another type.

    So it is in actions/runner, src/Sdk/WorkflowParser/Conversion/WorkflowTemplateConverter.cs.
    """
    for _, job, called in calls(workflow):
        declared = called["on"]["workflow_call"]["inputs"]
        for name, value in job["with"].items():
            yield from _of_another_type(f"`{name}`", value, declared[name]["type"].text, workflow)


def of_this_action(workflow: Value) -> Iterator[Finding]:
    """Values that this action refuses, given to it or to the workflow that passes them on."""
    for group in all_steps(workflow):
        for step in group.steps:
            if is_own_action(step["uses"]):
                yield from _refused(step["with"], workflow)
    for _, job, called in calls(workflow):
        if called.file.resolve() == _PASSES_ON.resolve():
            yield from _refused(job["with"], workflow)


def _of_another_type(subject: str, value: Value, wanted: str, workflow: Value) -> Iterator[Finding]:
    if wanted in _INSTEAD and _type(value, workflow) not in {wanted, None}:
        yield value.finding(
            f"{subject} is {value.text!r}, which is a {_type(value, workflow)} and must be a {wanted}: "
            f"give {_INSTEAD[wanted]}, or an expression with fromJSON()."
        )


def _type(value: Value, workflow: Value) -> str | None:
    """The type that a value has in the end; ``None`` where that is not known before it runs."""
    if "${{" not in value.text:
        return value.type
    expression = EXPRESSION.fullmatch(value.text.strip())
    if expression is None:
        return "string"
    inner = expression[1].strip()
    if re.fullmatch(r"(needs\.[\w-]+\.outputs|vars)\.[\w-]+", inner):
        return "string"
    types = {"choice": "string", "environment": "string"}
    declared = _declared(inner, workflow)["type"].text
    return types.get(declared, declared) or None


def _declared(expression: str, workflow: Value) -> Value:
    """The input of the workflow that an expression consists of; none where it is something else."""
    name = "".join(name for (name,) in references(expression, "inputs", "*") if expression.lower() == f"inputs.{name}")
    inputs = [workflow["on"][event]["inputs"] for event in ("workflow_call", "workflow_dispatch")]
    return next((it[name] for it in inputs if it[name].exists), inputs[0][name])


def _refused(inputs: Value, workflow: Value) -> Iterator[Finding]:
    given = {name: _known(value, workflow) for name, value in inputs.items() if name in INPUTS}
    for problem in _problems(given, workflow):
        if problem.file is None and given.get(problem.title):
            yield inputs[problem.title].finding(f"{problem.message} Expected: {problem.expected}.")


def _known(value: Value, workflow: Value) -> str | None:
    """What the action gets, with the default where it is an input of the workflow; ``None`` where nobody knows."""
    if "${{" not in value.text:
        return value.text
    expression = EXPRESSION.fullmatch(value.text.strip())
    declared = _declared(expression[1].strip(), workflow) if expression else None
    return declared["default"].text if declared and declared.exists else None


def _problems(given: Mapping[str, str | None], workflow: Value) -> Iterator[Problem]:
    """What the action says to these inputs, in the repository that the workflow is in."""
    repository = root(workflow.file)
    environment = {f"INPUT_{name.upper()}": value for name, value in given.items() if value is not None}
    if given.get("image", "") is None:  # without any, nothing but a build would do
        environment["INPUT_IMAGE"] = _AN_IMAGE
    try:
        load({**_A_RUN, **environment, "GITHUB_WORKSPACE": str(repository.resolve())})
    except InvalidSettings as invalid:
        has_service = (repository / "octue.yaml").is_file()
        yield from (it for it in invalid.problems if has_service or it.title not in _OF_THE_REPOSITORY)
