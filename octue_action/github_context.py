"""What GitHub says about the run: the commit, the repository, who started it, and where to ask for a token."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from octue_action import workspace
from octue_action.problems import UNPRINTABLE, Findings, Problem, Rejected, shown

# docs.github.com, "Default environment variables", and for the last two "OpenID Connect reference".
VARIABLES = (
    "GITHUB_ACTOR",
    "GITHUB_API_URL",
    "GITHUB_EVENT_NAME",
    "GITHUB_EVENT_PATH",
    "GITHUB_REF",
    "GITHUB_REPOSITORY",
    "GITHUB_REPOSITORY_ID",
    "GITHUB_REPOSITORY_OWNER_ID",
    "GITHUB_RUN_ID",
    "GITHUB_SERVER_URL",
    "GITHUB_SHA",
    "GITHUB_WORKSPACE",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
)

_REQUIRED = {
    "GITHUB_REPOSITORY": (re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+"), "owner/name"),
    "GITHUB_REPOSITORY_ID": (re.compile(r"[0-9]+"), "the repository's number"),
    "GITHUB_SHA": (re.compile(r"[0-9a-f]{40}"), "a commit's full SHA"),
}

MAXIMUM_BYTES = 32 * 1024 * 1024
"""Largest file that is read: GitHub's payloads end at 25 MB, and a credentials file has a few KB."""

GARBAGE = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError)
"""What reading raises where a file, or an answer, is not of the form that is taken for granted."""


@dataclass(frozen=True, kw_only=True)
class GitHubContext:
    """The workflow run.

    :param repository: ``owner/name``
    :param repository_id: GitHub's number of the repository
    :param repository_owner_id: GitHub's number of its owner
    :param commit: the full SHA; of a pull request from this repository that of its branch, and not of what GitHub
        would make of merging it, which is in no branch and soon forgotten
    :param ref: e.g. ``refs/heads/main``
    :param event_name: e.g. ``push``
    :param actor: who started the run
    :param run_url: the run's page
    :param api_url: GitHub's API
    :param workspace: where the repository is checked out
    :param event_path: file with the event's payload
    :param id_token_request_url: where to ask for an OIDC token; none without ``id-token: write``
    :param id_token_request_token: the token to ask with
    """

    repository: str
    repository_id: str
    repository_owner_id: str
    commit: str
    ref: str
    event_name: str
    actor: str
    run_url: str
    api_url: str
    workspace: Path
    event_path: Path | None = None
    id_token_request_url: str | None = None
    id_token_request_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class PullRequest:
    """The pull request that a run is for.

    :param number: as in its address
    :param head_sha: the full SHA of its newest commit; that of the run is the merge of it
    :param is_fork: whether it comes from another repository, or from one that is gone
    """

    number: int
    head_sha: str
    is_fork: bool


def read(environment: Mapping[str, str], findings: Findings) -> GitHubContext:
    """The run as GitHub's variables describe it; what is missing or malformed is added to the findings."""
    values = {name: environment.get(name, "") for name in VARIABLES}
    findings.add(*(_malformed(name) for name, value in values.items() if UNPRINTABLE.search(value)))
    for name, (pattern, expected) in _REQUIRED.items():
        if not pattern.fullmatch(values[name]):
            findings.add(_unusable(name, values[name], expected))
    server = values["GITHUB_SERVER_URL"] or "https://github.com"
    repository = values["GITHUB_REPOSITORY"]
    context = GitHubContext(
        repository=repository,
        repository_id=values["GITHUB_REPOSITORY_ID"],
        repository_owner_id=values["GITHUB_REPOSITORY_OWNER_ID"],
        commit=values["GITHUB_SHA"],
        ref=values["GITHUB_REF"],
        event_name=values["GITHUB_EVENT_NAME"],
        actor=values["GITHUB_ACTOR"],
        run_url=f"{server}/{repository}/actions/runs/{values['GITHUB_RUN_ID']}",
        api_url=values["GITHUB_API_URL"] or "https://api.github.com",
        workspace=_workspace(values["GITHUB_WORKSPACE"], findings),
        event_path=_path(values["GITHUB_EVENT_PATH"]),
        id_token_request_url=values["ACTIONS_ID_TOKEN_REQUEST_URL"] or None,
        id_token_request_token=values["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] or None,
    )
    # Not of `pull_request_target`, whose runs may do more than those who open pull requests: they are for the base.
    pull_request = pull_request_of(context) if context.event_name == "pull_request" else None
    if pull_request is None or pull_request.is_fork:
        return context
    return replace(context, commit=pull_request.head_sha)


def pull_request_of(context: GitHubContext) -> PullRequest | None:
    """The pull request that the run is for; None where it is for none, or its event is of no form that is known.

    docs.github.com, "Webhook events and payloads", ``pull_request``.
    """
    try:
        event = _pull_request(context)
        number, head_sha = event["number"], event["head"]["sha"]
        if type(number) is int and number > 0 and re.fullmatch("[0-9a-f]{40}", head_sha):
            return PullRequest(number=number, head_sha=head_sha, is_fork=_is_fork(event, context))
    except (Rejected, *GARBAGE):
        pass
    return None


def is_from_fork(context: GitHubContext) -> bool:
    """Whether the run is for a pull request from a fork; False where its event does not say so."""
    try:
        return _is_fork(_pull_request(context), context)
    except (Rejected, *GARBAGE):
        return False


def json_file(path: Path) -> Any:
    """What a file outside the repository says, wherever its name leads: no pipe is waited for, no device read.

    :raises Rejected: where it cannot be read; one of ``GARBAGE`` where it is no JSON
    """
    return json.loads(workspace.read(path.parent, path.name, MAXIMUM_BYTES))


def _pull_request(context: GitHubContext) -> Any:
    if not context.event_name.startswith("pull_request") or context.event_path is None:
        raise LookupError("The run is for no pull request")
    return json_file(context.event_path)["pull_request"]


def _is_fork(pull_request: Any, context: GitHubContext) -> bool:
    repository = pull_request["head"]["repo"]
    # GitHub gives null for the repository of a fork that was deleted.
    return repository is None or bool(repository["full_name"] != context.repository)


def _workspace(text: str, findings: Findings) -> Path:
    """The runner starts the action in the workspace, so that is where it is unless the variable says otherwise."""
    path = _path(text) or Path.cwd()
    try:
        exists = path.is_dir()
    except OSError:
        exists = False
    if not exists:
        findings.add(_unusable("GITHUB_WORKSPACE", text, "the folder of the checked-out repository"))
    return path


def _path(text: str) -> Path | None:
    return Path(text) if text and not UNPRINTABLE.search(text) else None


def _malformed(name: str) -> Problem:
    return Problem(message=f"The variable {name} has a character that cannot be used.", title=name)


def _unusable(name: str, value: str, expected: str) -> Problem:
    what = f"is {shown(value)}" if value else "is not set"
    message = f"GitHub's variable {name} {what}. Run the action as a step of a GitHub workflow."
    return Problem(message=message, expected=expected, title=name)
