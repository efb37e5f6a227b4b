"""What starts a workflow, and with which inputs: an event by its ``on``, or the job of another workflow.

After "Events that trigger workflows" and "Workflow syntax", ``on``, in https://docs.github.com/actions/reference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.github_runner.errors import NotModelled, Refused
from tests.github_runner.expressions import Value
from tests.github_runner.workflow import Input, Workflow
from tests.github_runner.yaml_reader import Scalar, TypedNode

_ACTIVITIES = ("opened", "synchronize", "reopened")
"""Of a pull request, those that start a workflow that names none."""

_NOTHING: Mapping[str, Scalar] = {"string": "", "boolean": False, "number": 0}
"""What an input is that has no default and is not given."""


@dataclass(frozen=True)
class Event:
    """Something that happens in a repository.

    :param name: ``push``, ``pull_request``, ``schedule`` or ``workflow_dispatch``.
    :param ref: full name of what it happens to: ``refs/heads/main``, ``refs/pull/1/merge``.
    :param payload: what GitHub tells of it, as far as it decides about something.
    :param workflow: name of the file that is started by hand.
    """

    name: str
    ref: str = "refs/heads/main"
    payload: Mapping[str, Value] = field(default_factory=dict)
    workflow: str = ""


def by_hand(workflow: str, **inputs: str) -> Event:
    """The event of somebody who starts a workflow.

    :param workflow: name of its file.
    :param inputs: as they are typed, by name.
    """
    return Event("workflow_dispatch", payload={"inputs": inputs}, workflow=workflow)


def starts(workflow: Workflow, event: Event, file: str) -> bool:
    """Whether an event starts a workflow.

    :param file: the workflow's name among the others.
    :raises Refused: where GitHub does not let it be started by hand.
    :raises NotModelled: for an event, or a filter, that is not modelled.
    """
    if event.name == "workflow_dispatch":
        return event.workflow == file and _may_be_started_by_hand(workflow, file)
    on = workflow.on.get(event.name)
    if on is None:
        return False
    if event.name == "push":
        return _is_pushed(_filters(on, "branches"), event.ref)
    if event.name == "pull_request":
        return event.payload["action"] in _texts(_filters(on, "types").get("types"), _ACTIVITIES)
    if event.name == "schedule":
        return isinstance(on, list) and {"cron": event.payload["schedule"]} in on
    raise NotModelled(f"the event {event.name}")


def dispatch_inputs(workflow: Workflow, event: Event) -> dict[str, Value]:
    """The context ``inputs`` of a workflow that was started by an event; empty unless that was by hand.

    :raises Refused: for an input that there is not, or that is needed and not given, or of another type.
    """
    if event.name != "workflow_dispatch":
        return {}
    typed = event.payload.get("inputs")
    declared = workflow.inputs_of("workflow_dispatch")
    given = {name: _typed(str(text), declared.get(name)) for name, text in dict(_as_mapping(typed)).items()}
    return _inputs(declared, given, "started")


def call_inputs(workflow: Workflow, given: Mapping[str, Value]) -> dict[str, Value]:
    """The context ``inputs`` of a workflow that the job of another calls.

    :param given: the job's ``with``.
    :raises Refused: for an input that there is not, or that is needed and not given, or of another type.
    """
    if "workflow_call" not in workflow.on:
        raise Refused("workflow is not reusable as it is missing a `on.workflow_call` trigger")
    return _inputs(workflow.inputs_of("workflow_call"), given, "calling")


def _inputs(declared: Mapping[str, Input], given: Mapping[str, Value], doing: str) -> dict[str, Value]:
    names = {name.lower(): name for name in declared}
    if unknown := [name for name in given if name.lower() not in names]:
        raise Refused(f"Invalid input, {', '.join(unknown)} is not defined in the workflow.")
    named = {names[name.lower()]: value for name, value in given.items()}
    if missing := [name for name, of in declared.items() if of.required and name not in named]:
        raise Refused(f"Input {', '.join(missing)} is required, but not provided while {doing}.")
    return {name: _checked(name, of, named[name] if name in named else _default(of)) for name, of in declared.items()}


def _default(of: Input) -> Scalar:
    return _NOTHING[of.kind] if of.default is None else of.default


def _checked(name: str, of: Input, value: Value) -> Value:
    """The value of an input, if it is of its type."""
    if of.kind == "string" and value is None:
        return ""
    if value is None or (of.kind == "string" and not isinstance(value, str)):
        raise NotModelled(f"{value!r} for the {of.kind} input {name}")
    right = {"string": str, "boolean": bool, "number": int | float}[of.kind]
    if not isinstance(value, right) or isinstance(value, bool) != (of.kind == "boolean"):
        raise Refused(f"Unexpected value '{value}' for the {of.kind} input {name}")
    return value


def _typed(text: str, of: Input | None) -> Value:
    """What was typed, as what the input is."""
    if of is None or of.kind == "string":
        return text
    if of.kind == "boolean" and text in ("true", "false"):
        return text == "true"
    raise NotModelled(f"{text!r} typed as a {of.kind}")


def _may_be_started_by_hand(workflow: Workflow, file: str) -> bool:
    if "workflow_dispatch" not in workflow.on:
        raise Refused(f"{file} does not have 'workflow_dispatch' trigger.")
    return True


def _is_pushed(filters: Mapping[str, TypedNode], ref: str) -> bool:
    """Whether a push is to one of the branches; of tags there are none where branches are named."""
    if "branches" not in filters:
        return True
    patterns = _texts(filters["branches"], ())
    if glob := [pattern for pattern in patterns if not re.fullmatch(r"[\w./-]+", pattern)]:
        raise NotModelled(f"the pattern {glob[0]}")
    return ref.removeprefix("refs/heads/") in patterns


def _filters(on: object, *known: str) -> Mapping[str, TypedNode]:
    filters = _as_mapping(on)
    if unknown := set(filters) - set(known):
        raise NotModelled(f"the filter {', '.join(sorted(unknown))}")
    return filters


def _as_mapping(value: object) -> Mapping[str, TypedNode]:
    if not isinstance(value, Mapping):
        raise NotModelled(f"{value!r} where a mapping was expected")
    return value


def _texts(node: TypedNode, otherwise: tuple[str, ...]) -> tuple[str, ...]:
    """A text, or several."""
    if node is None:
        return otherwise
    return tuple(str(item) for item in node) if isinstance(node, list) else (str(node),)
