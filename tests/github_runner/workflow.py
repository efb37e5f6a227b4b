"""A workflow: what its file says, read as GitHub does by ``workflow-v1.0.json``, as far as it is modelled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.github_runner import expressions, yaml_reader
from tests.github_runner.errors import NotModelled, Refused
from tests.github_runner.expressions import Expression, Literal, Template
from tests.github_runner.yaml_reader import Scalar, TypedNode

# Where which contexts may be used: "Contexts reference", context availability.
_IN_WORKFLOW = frozenset({"github", "inputs", "vars"})
_IN_CONDITION = _IN_WORKFLOW | {"needs"}
_IN_JOB = _IN_CONDITION | {"strategy", "matrix"}
_IN_STEP = _IN_JOB | {"job", "runner", "env", "secrets", "steps"}
_IN_OUTPUT = _IN_WORKFLOW | {"jobs"}

_LEVELS = frozenset({"none", "read", "write"})


@dataclass(frozen=True)
class WorkflowStep:
    """A step of a job, which uses an action.

    :param id: by which others know it; empty where it has none.
    :param name: for people; empty where it has none.
    :param inputs: its ``with``.
    """

    id: str
    name: Template
    uses: str
    inputs: Mapping[str, Template]


@dataclass(frozen=True)
class Job:
    """A job of a workflow: it has steps, or it calls another workflow.

    :param id: its key.
    :param name: for people.
    :param condition: its ``if``; None where it has none.
    :param permissions: None where it has those of its workflow.
    :param concurrency: the group of which only one runs at a time; None where it is in none.
    :param uses: the workflow that it calls; empty where it has steps.
    :param inputs: its ``with``.
    :param environment: a deployment environment; None where it has none.
    :param outputs: of its steps, for others.
    """

    id: str
    name: Template
    condition: Expression | None
    permissions: Mapping[str, str] | None
    concurrency: Template | None
    uses: str
    inputs: Mapping[str, Template]
    environment: Template | None
    outputs: Mapping[str, Template]
    steps: tuple[WorkflowStep, ...]


@dataclass(frozen=True)
class Input:
    """An input that a workflow declares, for being called or started by hand.

    :param kind: its ``type``: string, boolean or number.
    :param default: None where there is none.
    """

    kind: str
    required: bool
    default: Scalar


@dataclass(frozen=True)
class Workflow:
    """A workflow file.

    :param name: empty where it has none.
    :param on: what starts it: an event's name, and what more is said about it.
    :param permissions: of its jobs; None where they have those of the repository's settings.
    :param concurrency: the group of which only one runs at a time; None where it is in none.
    :param outputs: for who calls it.
    """

    name: str
    on: Mapping[str, Mapping[str, TypedNode] | list[TypedNode]]
    permissions: Mapping[str, str] | None
    concurrency: Template | None
    jobs: Mapping[str, Job]
    outputs: Mapping[str, Template]

    def inputs_of(self, event: str) -> dict[str, Input]:
        """The inputs that are declared for ``workflow_call`` or ``workflow_dispatch``."""
        declared = _mapping(_mapping(self.on[event], event).get("inputs"), "inputs")
        return {name: _input(_mapping(of, name)) for name, of in declared.items()}


def load(text: str) -> Workflow:
    """Read a workflow file.

    :raises Refused: where GitHub does not accept it.
    :raises NotModelled: for keys that this harness cannot say the effect of.
    """
    root = _mapping(yaml_reader.read_typed(text), "workflow")
    _check_keys(root, {"name", "on", "permissions", "concurrency", "jobs"}, "workflow")
    on = _on(root.get("on"))
    return Workflow(
        name=_text(root.get("name"), "name"),
        on=on,
        permissions=_permissions(root),
        concurrency=_concurrency(root, _IN_WORKFLOW),
        jobs={id_: _job(id_, _mapping(job, id_)) for id_, job in _mapping(root.get("jobs"), "jobs").items()},
        outputs={
            name: _template(_mapping(of, name).get("value"), _IN_OUTPUT)
            for name, of in _mapping(_mapping(on.get("workflow_call", {}), "call").get("outputs"), "outputs").items()
        },
    )


def _on(node: TypedNode) -> dict[str, Mapping[str, TypedNode] | list[TypedNode]]:
    if not isinstance(node, dict):
        raise NotModelled("`on` that is no mapping")
    return {event: of if isinstance(of, list) else _mapping(of, event) for event, of in node.items()}


def _job(id_: str, job: Mapping[str, TypedNode]) -> Job:
    calls = "uses" in job
    own = {"uses", "with"} if calls else {"runs-on", "timeout-minutes", "environment", "outputs", "steps"}
    _check_keys(job, {"name", "if", "permissions", "concurrency", *own}, f"job {id_}")
    if not calls and not _text(job.get("runs-on"), "runs-on").startswith("ubuntu-"):
        raise NotModelled(f"a job that runs on {job.get('runs-on')}")
    return Job(
        id=id_,
        name=_template(job.get("name", id_), _IN_JOB),
        condition=_condition(job["if"]) if "if" in job else None,
        permissions=_permissions(job),
        concurrency=_concurrency(job, _IN_JOB),
        uses=_text(job.get("uses"), "uses"),
        inputs=_templates(job.get("with"), _IN_JOB),
        environment=_template(job["environment"], _IN_JOB) if "environment" in job else None,
        outputs=_templates(job.get("outputs"), _IN_STEP),
        steps=tuple(_step(_mapping(step, "step")) for step in _sequence(job.get("steps"), "steps")),
    )


def _step(step: Mapping[str, TypedNode]) -> WorkflowStep:
    _check_keys(step, {"id", "name", "uses", "with"}, "step")
    return WorkflowStep(
        id=_text(step.get("id"), "id"),
        name=_template(step.get("name"), _IN_STEP),
        uses=_text(step.get("uses"), "uses"),
        inputs=_templates(step.get("with"), _IN_STEP),
    )


def _condition(node: TypedNode) -> Expression:
    """An ``if``, which is an expression with or without ``${{ }}``."""
    if not isinstance(node, str):
        return Literal(_scalar(node, "if"))
    if "${{" not in node:
        return expressions.parse_expression(node, _IN_CONDITION)
    template = expressions.parse(node, _IN_CONDITION)
    if len(template.pieces) != 1:
        raise NotModelled(f"the condition {node!r}, which has text around its expression")
    return template.pieces[0]


def _permissions(node: Mapping[str, TypedNode]) -> dict[str, str] | None:
    if "permissions" not in node:
        return None
    if isinstance(node["permissions"], str):
        raise NotModelled(f"permissions: {node['permissions']}")
    permissions = {name: _text(level, name) for name, level in _mapping(node["permissions"], "permissions").items()}
    if wrong := set(permissions.values()) - _LEVELS:
        raise Refused(f"Unexpected value '{', '.join(sorted(wrong))}'")
    return permissions


def _concurrency(node: Mapping[str, TypedNode], allowed: frozenset[str]) -> Template | None:
    if "concurrency" not in node:
        return None
    of = node["concurrency"]
    if not isinstance(of, dict):
        return _template(of, allowed)
    _check_keys(of, {"group", "cancel-in-progress"}, "concurrency")
    if of.get("cancel-in-progress", False) is not False:
        raise NotModelled("a job that is cancelled by the next one")
    return _template(of.get("group"), allowed)


def _input(of: Mapping[str, TypedNode]) -> Input:
    _check_keys(of, {"description", "type", "required", "default"}, "input")
    kind = _text(of.get("type", "string"), "type")
    if kind not in {"string", "boolean", "number"}:
        raise NotModelled(f"an input of the type {kind}")
    if not isinstance(of.get("required", False), bool):
        raise Refused(f"A boolean was expected as 'required', and not {of['required']!r}")
    return Input(kind, required=of.get("required") is True, default=_scalar(of.get("default"), "default"))


def _templates(node: TypedNode, allowed: frozenset[str]) -> dict[str, Template]:
    return {name: _template(value, allowed) for name, value in _mapping(node, "with").items()}


def _template(node: TypedNode, allowed: frozenset[str]) -> Template:
    scalar = _scalar(node, "value")
    if isinstance(scalar, str):
        return expressions.parse(scalar, allowed)
    return Template((Literal(scalar),))


def _check_keys(node: Mapping[str, TypedNode], known: set[str], where: str) -> None:
    if unknown := set(node) - known:
        raise NotModelled(f"{', '.join(sorted(unknown))} in a {where}")


def _mapping(node: object, name: str) -> dict[str, TypedNode]:
    if node is None:
        return {}
    if not isinstance(node, dict):
        raise Refused(f"A mapping was expected as '{name}'")
    return node


def _sequence(node: TypedNode, name: str) -> list[TypedNode]:
    if node is None:
        return []
    if not isinstance(node, list):
        raise Refused(f"A sequence was expected as '{name}'")
    return node


def _scalar(node: TypedNode, name: str) -> Scalar:
    if isinstance(node, list | dict):
        raise Refused(f"A scalar was expected as '{name}'")
    return node


def _text(node: TypedNode, name: str) -> str:
    if node is not None and not isinstance(node, str):
        raise Refused(f"A text was expected as '{name}'")
    return node or ""
