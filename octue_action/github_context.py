"""What GitHub says about the run: the commit, the repository, who started it, and where to ask for a token."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from octue_action.problems import UNPRINTABLE, Findings, Problem, shown

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


@dataclass(frozen=True, kw_only=True)
class GitHubContext:
    """The workflow run.

    :param repository: ``owner/name``
    :param repository_id: GitHub's number of the repository
    :param repository_owner_id: GitHub's number of its owner
    :param commit: the full SHA
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


def read(environment: Mapping[str, str], findings: Findings) -> GitHubContext:
    """The run as GitHub's variables describe it; what is missing or malformed is added to the findings."""
    values = {name: environment.get(name, "") for name in VARIABLES}
    findings.add(*(_malformed(name) for name, value in values.items() if UNPRINTABLE.search(value)))
    for name, (pattern, expected) in _REQUIRED.items():
        if not pattern.fullmatch(values[name]):
            findings.add(_unusable(name, values[name], expected))
    server = values["GITHUB_SERVER_URL"] or "https://github.com"
    repository = values["GITHUB_REPOSITORY"]
    return GitHubContext(
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
