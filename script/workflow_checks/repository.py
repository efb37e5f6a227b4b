"""What workflows refer to: actions and called workflows, of this repository, of an example, and of others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from script.workflow_checks.document import Value, read

OWN = "octue/deploy-cloud-run-action"
_ACTIONS_IN_USE = Path(__file__).parents[1] / "actions-in-use.yml"


@dataclass(frozen=True)
class Steps:
    """Steps that see each other's outputs: those of a job, or of a composite action.

    :param scope: what the outputs are known in
    :param job: ``None`` in an action
    """

    document: Value
    scope: Value
    job: Value | None
    steps: Value


def all_steps(document: Value) -> Iterator[Steps]:
    """Those of each job of a workflow, or of an action."""
    for _name, job in document["jobs"].items():  # noqa: PERF102 - a Value is no dict
        yield Steps(document, job, job, job["steps"])
    if document["runs"].exists:
        yield Steps(document, document, None, document["runs"]["steps"])


def calls(workflow: Value) -> Iterator[tuple[str, Value, Value]]:
    """The jobs that call a workflow, each with its id and that workflow, where it is known.

    The language service reports those that are not known.
    """
    for name, job in workflow["jobs"].items():
        file = _file(job["uses"])
        if file is not None and file.is_file():
            yield name, job, read(file)


def is_own_action(uses: Value) -> bool:
    """Whether a step runs the action of this repository."""
    file = _file(uses)
    return file is not None and file.resolve() == Path().resolve()


def outputs(uses: Value) -> frozenset[str] | None:
    """The names, in lower case, of the outputs that an action declares; ``None`` where that is not known."""
    folder = _file(uses)
    if folder is None:
        known = _actions_in_use()[uses.text]
        return frozenset(known["outputs"].text.lower().split()) if known.exists else None
    action = next((file for name in ("action.yml", "action.yaml") if (file := folder / name).is_file()), None)
    return None if action is None else frozenset(name.lower() for name, _ in read(action)["outputs"].items())


def permissions(uses: Value) -> Value:
    """The permissions that an action of another repository needs."""
    return _actions_in_use()[uses.text]["permissions"]


def root(file: Path) -> Path:
    """The root of the repository that a workflow is in: an example is a repository of its own."""
    return file.parent / "../.." if file.parent.name == "workflows" else Path()


def _file(uses: Value) -> Path | None:
    """The file or folder, where it is in this repository or in the workflow's own."""
    text = uses.text
    if text.startswith(("$/", "./")):
        return root(uses.file) / text[2:]
    name, _, _ = text.partition("@")
    return Path(name.removeprefix(OWN).lstrip("/")) if name == OWN or name.startswith(f"{OWN}/") else None


@cache
def _actions_in_use() -> Value:
    return read(_ACTIONS_IN_USE)
