"""Deployments and their statuses.

https://docs.github.com/rest/deployments/deployments and https://docs.github.com/rest/deployments/statuses.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from emulator.errors import ApiError
from emulator.services.github_errors import GitHubError, invalid, missing
from emulator.services.github_operations import (
    FLAG,
    NULLABLE_TEXT,
    PAGING,
    TEXT,
    Answer,
    Call,
    Field,
    Operation,
    page,
)
from emulator.services.github_repositories import Deployment, DeploymentStatus

LONGEST_DESCRIPTION = 140
"""Characters of a status's description."""

STATES = ("error", "failure", "inactive", "in_progress", "queued", "pending", "success")

_PRODUCTION = "production"
_DEPLOYMENTS = "/repos/{owner}/{repo}/deployments"
_DEPLOYMENT = f"{_DEPLOYMENTS}/{{deployment_id}}"
_FILTERS = ("sha", "ref", "task", "environment")


def _list_deployments(call: Call) -> Answer:
    wanted = {name: call.query[name] for name in _FILTERS if name in call.query}
    newest_first = reversed(call.repository.deployments.values())
    found = [each for each in newest_first if all(getattr(each, name) == value for name, value in wanted.items())]
    return page(call, found, lambda each: call.documents.deployment(call.repository, each))


def _create_deployment(call: Call) -> Answer:
    body, now = call.body, call.now
    sha = _commit(call)
    _check_contexts(call, sha)
    environment = body.get("environment", _PRODUCTION)
    deployment = Deployment(
        id=call.new_id(),
        ref=body["ref"],
        sha=sha,
        task=body.get("task", "deploy"),
        payload=body.get("payload") or {},
        creator=call.caller.login,
        original_environment=environment,
        environment=environment,
        description=body.get("description", ""),
        transient=body.get("transient_environment", False),
        production=body.get("production_environment", environment == _PRODUCTION),
        created=now,
        updated=now,
    )
    call.repository.deployments[deployment.id] = deployment
    return _made(call.documents.deployment(call.repository, deployment))


def _get_deployment(call: Call) -> Answer:
    return Answer(HTTPStatus.OK, call.documents.deployment(call.repository, _deployment(call)))


def _delete_deployment(call: Call) -> Answer:
    deployment = _deployment(call)
    if len(call.repository.deployments) > 1 and deployment.state != "inactive":
        raise GitHubError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "We cannot delete an active deployment unless it is the only deployment in a given environment.",
        )
    del call.repository.deployments[deployment.id]
    return Answer(HTTPStatus.NO_CONTENT)


def _list_statuses(call: Call) -> Answer:
    deployment = _deployment(call)
    newest_first = deployment.statuses[::-1]
    return page(call, newest_first, lambda each: call.documents.status(call.repository, deployment, each))


def _create_status(call: Call) -> Answer:
    deployment, body = _deployment(call), call.body
    _check_status(call)
    deployment.environment = body.get("environment") or deployment.environment
    status = _add_status(
        call,
        deployment,
        body["state"],
        description=body.get("description", ""),
        log_url=body.get("log_url") or body.get("target_url", ""),
        environment_url=body.get("environment_url", ""),
    )
    if status.state == "success" and body.get("auto_inactive", True):
        _retire_others(call, deployment)
    return _made(call.documents.status(call.repository, deployment, status))


def _get_status(call: Call) -> Answer:
    deployment = _deployment(call)
    for status in deployment.statuses:
        if status.id == call.numbers["status_id"]:
            return Answer(HTTPStatus.OK, call.documents.status(call.repository, deployment, status))
    raise missing()


def _made(content: dict[str, Any]) -> Answer:
    return Answer(HTTPStatus.CREATED, content, {"Location": content["url"]})


def _deployment(call: Call) -> Deployment:
    deployment = call.repository.deployments.get(call.numbers["deployment_id"])
    if deployment is None:
        raise missing()
    return deployment


def _commit(call: Call) -> str:
    ref: str = call.body["ref"]
    try:
        return call.world.github.commit(call.repository.name, ref)
    except ApiError:
        raise GitHubError(HTTPStatus.UNPROCESSABLE_ENTITY, f"No ref found for: {ref}") from None


def _check_contexts(call: Call, sha: str) -> None:
    """See that the commit's checks are well; a job that is running, and be it the caller's own, is not yet."""
    pending = call.repository.pending.get(sha, set())
    required = call.body.get("required_contexts")
    unmet = sorted(pending if required is None else required)
    if unmet:
        contexts = [{"context": name, "state": "pending"} for name in unmet]
        error = {"contexts": contexts, "resource": "Deployment", "field": "required_contexts", "code": "invalid"}
        message = f"Conflict: Commit status checks failed for {call.body['ref']}."
        raise GitHubError(HTTPStatus.CONFLICT, message, errors=[error])


def _check_status(call: Call) -> None:
    if len(call.body.get("description", "")) > LONGEST_DESCRIPTION:
        message = f"description is too long (maximum is {LONGEST_DESCRIPTION} characters)"
        raise invalid("DeploymentStatus", "custom", "description", message)
    for name in ("target_url", "log_url", "environment_url"):
        url = call.body.get(name, "")
        if url and not url.startswith(("http://", "https://")):
            raise invalid("DeploymentStatus", "custom", name, f"{name} must use http(s) scheme")


def _add_status(
    call: Call,
    deployment: Deployment,
    state: str,
    *,
    description: str = "",
    log_url: str = "",
    environment_url: str = "",
) -> DeploymentStatus:
    status = DeploymentStatus(
        id=call.new_id(),
        state=state,
        creator=call.caller.login,
        environment=deployment.environment,
        description=description,
        log_url=log_url,
        environment_url=environment_url,
        created=call.now,
    )
    deployment.statuses.append(status)
    deployment.updated = status.created
    return status


def _retire_others(call: Call, deployment: Deployment) -> None:
    """Let earlier deployments to the same environment be inactive; not in production, and nothing transient."""
    for other in call.repository.deployments.values():
        is_earlier = other.id < deployment.id and other.environment == deployment.environment
        if is_earlier and other.state == "success" and not (other.transient or other.production):
            _add_status(call, other, "inactive")


OPERATIONS = (
    Operation(
        id="repos/list-deployments",
        verb="GET",
        path=_DEPLOYMENTS,
        docs="deployments/deployments#list-deployments",
        answer=_list_deployments,
        permissions=("deployments",),
        query=(*_FILTERS, *PAGING),
    ),
    Operation(
        id="repos/create-deployment",
        verb="POST",
        path=_DEPLOYMENTS,
        docs="deployments/deployments#create-a-deployment",
        answer=_create_deployment,
        permissions=("deployments",),
        body={
            "ref": Field((str,), required=True),
            "task": TEXT,
            "auto_merge": FLAG,
            "required_contexts": Field((list,)),
            "payload": Field((dict, str)),
            "environment": TEXT,
            "description": NULLABLE_TEXT,
            "transient_environment": FLAG,
            "production_environment": FLAG,
        },
    ),
    Operation(
        id="repos/get-deployment",
        verb="GET",
        path=_DEPLOYMENT,
        docs="deployments/deployments#get-a-deployment",
        answer=_get_deployment,
        permissions=("deployments",),
    ),
    Operation(
        id="repos/delete-deployment",
        verb="DELETE",
        path=_DEPLOYMENT,
        docs="deployments/deployments#delete-a-deployment",
        answer=_delete_deployment,
        permissions=("deployments",),
    ),
    Operation(
        id="repos/list-deployment-statuses",
        verb="GET",
        path=f"{_DEPLOYMENT}/statuses",
        docs="deployments/statuses#list-deployment-statuses",
        answer=_list_statuses,
        permissions=("deployments",),
        query=PAGING,
    ),
    Operation(
        id="repos/create-deployment-status",
        verb="POST",
        path=f"{_DEPLOYMENT}/statuses",
        docs="deployments/statuses#create-a-deployment-status",
        answer=_create_status,
        permissions=("deployments",),
        body={
            "state": Field((str,), required=True, choices=STATES),
            "target_url": TEXT,
            "log_url": TEXT,
            "description": TEXT,
            "environment": TEXT,
            "environment_url": TEXT,
            "auto_inactive": FLAG,
        },
    ),
    Operation(
        id="repos/get-deployment-status",
        verb="GET",
        path=f"{_DEPLOYMENT}/statuses/{{status_id}}",
        docs="deployments/statuses#get-a-deployment-status",
        answer=_get_status,
        permissions=("deployments",),
    ),
)
