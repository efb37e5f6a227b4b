"""Inputs and outputs that nobody declares: GitHub puts an empty text in their place."""

from __future__ import annotations

from collections.abc import Iterator

from octue_action.problems import perhaps
from script.workflow_checks.document import Finding, Value, references
from script.workflow_checks.repository import all_steps, outputs


def inputs_of_an_action(document: Value) -> Iterator[Finding]:
    """What ``runs`` of an action takes from inputs that the action does not declare."""
    declared = {name.lower() for name, _ in document["inputs"].items()}
    for value, expression in document["runs"].expressions():
        for (name,) in references(expression, "inputs", "*"):
            if name not in declared:
                yield value.finding(
                    f"`inputs.{name}` is not declared: add it to `inputs`, or correct it.{perhaps(name, declared)}"
                )


def outputs_of_steps(document: Value) -> Iterator[Finding]:
    """What is taken from the outputs of a step whose action does not declare them."""
    for group in all_steps(document):
        actions = {step["id"].text.lower(): step["uses"] for step in group.steps if step["uses"].exists}
        for value, expression in group.scope.expressions():
            for step, name in references(expression, "steps", "*", "outputs", "*"):
                known = outputs(actions[step]) if step in actions else None
                if known is not None and name not in known:
                    yield value.finding(
                        f"`{actions[step].text}` has no output `{name}`: take one that its action.yml declares."
                        f"{perhaps(name, known)}"
                    )
