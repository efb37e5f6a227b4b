"""Jobs that grant too little to what they call: GitHub then does not start the workflow, or a step fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from script.workflow_checks.document import Finding, Value
from script.workflow_checks.repository import all_steps, calls, is_own_action, permissions

# actions/runner, src/Sdk/WorkflowParser/Permissions.cs
_SCOPES = (
    *("actions", "artifact-metadata", "attestations", "checks", "contents", "deployments", "discussions", "id-token"),
    *("issues", "models", "packages", "pages", "pull-requests", "repository-projects", "security-events", "statuses"),
    *("vulnerability-alerts", "workflows"),
)
_LEVELS = ("none", "read", "write")
_ALL = {"read-all": "read", "write-all": "write"}

_Permissions = Mapping[str, str]

# Where neither job nor workflow says anything: what new repositories and organisations give (PermissionsHelper.cs
# beside the above, LimitedRead).
_UNSAID: _Permissions = {"contents": "read", "packages": "read"}


def of_called_workflows(workflow: Value) -> Iterator[Finding]:
    """Calls of workflows that ask for more than the calling job has."""
    for name, job, called in calls(workflow):
        for asking, missing in _asked_beyond(called, _granted(job, workflow, _UNSAID)):
            yield job.finding(
                f"job `{name}` calls {job['uses'].text}, where {asking} needs {_shown(missing)}: "
                f"add it to the `permissions` of `{name}`."
            )


def of_steps(workflow: Value) -> Iterator[Finding]:
    """Steps with actions that need more than their job has."""
    for group in all_steps(workflow):
        if group.job is None or _is_given_by_callers(group.job, workflow):
            continue
        granted = _granted(group.job, workflow, _UNSAID)
        for step in group.steps:
            missing = _beyond(_needed(step), granted)
            if missing:
                yield step.finding(
                    f"{step['uses'].text} needs {_shown(missing)}: add it to the `permissions` of the job."
                )


def _needed(step: Value) -> _Permissions:
    """What a step's action needs; this one signs in to Google Cloud as the workflow where it is told how."""
    if is_own_action(step["uses"]):
        return {"id-token": "write"} if step["with"]["workload_identity_provider"].exists else {}
    return {scope: level.text for scope, level in permissions(step["uses"]).items()}


def _asked_beyond(called: Value, granted: _Permissions) -> Iterator[tuple[str, _Permissions]]:
    """Who asks for what beyond what is granted: as GitHub, the workflow as a whole, each job, and what they call."""
    whole = _read(called["permissions"])
    if missing := _beyond(whole or {}, granted):
        yield "the workflow", missing
    for name, job in called["jobs"].items():
        asked = _needed_by_steps(job) if _is_given_by_callers(job, called) else _read(job["permissions"]) or {}
        if missing := _beyond(asked, granted):
            yield f"job `{name}`", missing
    for _, job, nested in calls(called):
        yield from _asked_beyond(nested, _granted(job, called, granted))


def _is_given_by_callers(job: Value, workflow: Value) -> bool:
    """Whether a job of a workflow that is only ever called says nothing: it has what its callers grant."""
    is_only_called = [event for event, _ in workflow["on"].items()] == ["workflow_call"]
    return is_only_called and not job["permissions"].exists and not workflow["permissions"].exists


def _needed_by_steps(job: Value) -> _Permissions:
    return {scope: level for step in job["steps"] for scope, level in _needed(step).items()}


def _granted(job: Value, workflow: Value, otherwise: _Permissions) -> _Permissions:
    """What a job is given: by itself, else by its workflow; otherwise, where neither says anything."""
    said = _read(job["permissions"] if job["permissions"].exists else workflow["permissions"])
    return otherwise if said is None else said


def _read(value: Value) -> _Permissions | None:
    if not value.exists:
        return None
    if value.text in _ALL:
        return dict.fromkeys(_SCOPES, _ALL[value.text])
    return {scope: level.text for scope, level in value.items()}


def _beyond(asked: _Permissions, granted: _Permissions) -> _Permissions:
    """The permissions that are asked for and not granted."""
    return {
        scope: level
        for scope, level in asked.items()
        if level in _LEVELS and _LEVELS.index(level) > _LEVELS.index(granted.get(scope, "none"))
    }


def _shown(asked: _Permissions) -> str:
    return ", ".join(f"`{scope}: {level}`" for scope, level in asked.items())
