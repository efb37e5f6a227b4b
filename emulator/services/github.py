"""GitHub as a job sees it: the variables of a run, its payload and its tokens. The REST API is in ``github_rest``.

Claims and variables as documented in https://docs.github.com/actions/reference/security/oidc and
https://docs.github.com/actions/reference/workflows-and-actions/variables; payloads in
https://docs.github.com/webhooks/webhook-events-and-payloads.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import subprocess
import urllib.parse
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt

from emulator.errors import ApiError, invalid_argument, not_found, unauthenticated
from emulator.services.github_access import BOT, JOB_PERMISSIONS, Access, Caller, RateLimits, granted
from emulator.services.github_json import Documents, account_number
from emulator.services.github_repositories import (
    DEFAULT_BRANCH,
    Branch,
    Issue,
    PullRequest,
    Repositories,
    Repository,
    numeric_id,
)
from emulator.tokens import shared_key

if TYPE_CHECKING:
    from emulator.world import World

ISSUER = "https://token.actions.githubusercontent.com"
METHOD = "github.actions.IdToken/GetIdToken"
HOST = "token.actions.githubusercontent.com"
API_HOST = "api.github.com"
ID_TOKEN_SECONDS = 300
_JOB = "deploy"
_JOB_SECONDS = 6 * 3600
_REQUEST_AUDIENCE = "id-token-request"
_MERGE_REF = re.compile(r"refs/pull/([1-9][0-9]*)/merge")
_SHA = re.compile(r"[0-9a-f]{40}")


def error_json(error: ApiError) -> dict[str, str]:
    """A refusal as the provider of OIDC tokens writes it in JSON."""
    return {"message": error.message}


class GitHub:
    """Runs of workflows, the tokens of their jobs, and the repositories in which they run.

    ``repositories`` is what there is in them, ``access`` the tokens, ``limits`` how many requests each has left.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._runs = itertools.count(1)
        self.key = shared_key(ISSUER)
        self.access = Access(world.clock)
        self.limits = RateLimits(world.clock)
        self.repositories = Repositories()
        for name in (*world.settings.repositories, world.settings.trusted):
            self.repositories.add(name)

    @property
    def documents(self) -> Documents:
        """What shows everything in JSON."""
        return Documents(f"{self._world.base_url}/{API_HOST}", self._world.settings.repository_visibility)

    def start_run(
        self,
        *,
        repository: str | None = None,
        ref: str = "refs/heads/main",
        sha: str | None = None,
        event_name: str = "push",
        action: str = "synchronize",
        head_ref: str = "change",
        head_repository: str | None = None,
        head_sha: str | None = None,
        actor: str = "octocat",
        workflow: str = "Deploy",
        environment: str | None = None,
        id_token_permission: bool = True,
    ) -> dict[str, str]:
        """Begin a workflow run and give the environment variables of its job.

        For ``pull_request`` they name a file with the event's payload, ``GITHUB_EVENT_PATH``. The pull request of
        ``refs/pull/1/merge`` is opened where there is none of that number, and closed or opened again as the action
        says.

        :param repository: ``owner/name``; the trusted one of the world where ``None``.
        :param ref: full name, ``refs/heads/main``, ``refs/tags/v1`` or ``refs/pull/1/merge``.
        :param sha: the commit; what ``ref`` is in the local git repository where ``None``, or the head of a pull
            request whose merge is not there.
        :param event_name: ``push``, ``workflow_dispatch``, ``pull_request``, ...
        :param action: what happened to the pull request: ``opened``, ``synchronize``, ``closed``, ``reopened``, ...
        :param head_ref: its branch, if it is opened now.
        :param head_repository: where that branch is, ``owner/name``; it comes from a fork if that is elsewhere.
        :param head_sha: the branch's commit, now; that of the local git repository where ``None``.
        :param environment: the deployment environment of the job.
        :param id_token_permission: whether the job has ``id-token: write``; a pull request from a fork never has it.
        :raises ApiError: INVALID_ARGUMENT where the local git repository has no such ``ref``.
        """
        place = self.repositories.add(repository or self._world.settings.trusted)
        is_pull_request = event_name == "pull_request"
        issue = self._pull_request(place, ref, actor, head_ref, head_repository, head_sha) if is_pull_request else None
        pull = None if issue is None else issue.pull_request
        run = {
            "sub": _subject(place.name, ref, event_name, environment),
            "ref": ref,
            "sha": sha or self._commit_of_run(place.name, ref, pull),
            "head_ref": "" if pull is None else pull.head.ref,
            "base_ref": "" if pull is None else pull.base.ref,
            "event_name": event_name,
            "actor": actor,
            "actor_id": str(account_number(actor)),
            "workflow": workflow,
            **({} if environment is None else {"environment": environment}),
        }
        claims = self._claims(place.name, run)
        place.begin_check(_JOB, claims["sha"] if pull is None else pull.head.sha, claims["sha"])
        variables = self._variables(claims)
        if id_token_permission and not (pull and pull.is_from_fork):
            variables |= self._id_token_variables(claims)
        if issue is not None and pull is not None:
            self._happen(issue, action, actor)
            variables["GITHUB_EVENT_PATH"] = str(self._write_event(place, issue, pull, action, actor, claims["run_id"]))
        return variables

    def job_token(
        self,
        repository: str | None = None,
        permissions: Mapping[str, str] = JOB_PERMISSIONS,
        *,
        from_fork: bool = False,
        seconds: float = _JOB_SECONDS,
    ) -> str:
        """The ``GITHUB_TOKEN`` of a job, ``ghs_...``, with which ``github-actions[bot]`` asks.

        :param repository: ``owner/name``; the trusted one of the world where ``None``.
        :param permissions: of the job, as in a workflow: ``{"deployments": "write"}``; what is not named is not
            granted.
        :param from_fork: whether the run is of a pull request from a fork, so that it may only read.
        :param seconds: how long it is valid.
        :raises ApiError: INVALID_ARGUMENT for a level other than ``none``, ``read`` or ``write``.
        """
        place = self.repositories.add(repository or self._world.settings.trusted)
        caller = Caller(
            BOT,
            number=int(numeric_id(place.owner)) % 10**8,
            repository=place.name,
            permissions=granted(permissions, read_only=from_fork),
            expires=self._world.clock.time() + seconds,
        )
        return self.access.issue(caller)

    def personal_token(self, login: str = "octocat", *, seconds: float = float("inf")) -> str:
        """A person's own token, ``ghp_...``, with which everything may be done in all repositories.

        :param seconds: how long it is valid.
        """
        expires = self._world.clock.time() + seconds
        return self.access.issue(Caller(login, number=account_number(login), expires=expires))

    def use_up_requests(self, token: str, *, reset_seconds: float = 3600.0, status: int = 403) -> None:
        """Leave the holder of a token no request, as if all of this hour had been made.

        :param reset_seconds: until when.
        :param status: of the refusals, 403 or 429: GitHub gives both.
        """
        self.limits.use_up(self.access.caller(token), reset_seconds, HTTPStatus(status))

    def open_pull_request(
        self,
        *,
        repository: str | None = None,
        number: int | None = None,
        head_ref: str = "change",
        head_repository: str | None = None,
        head_sha: str | None = None,
        title: str = "Change something",
        author: str = "octocat",
    ) -> int:
        """Open a pull request into the default branch, and give its number.

        :param repository: ``owner/name``; the trusted one of the world where ``None``.
        :param number: the next one where ``None``.
        :param head_ref: the branch's short name.
        :param head_repository: where that branch is, ``owner/name``; the same repository where ``None``.
        :param head_sha: its commit; that of the local git repository where ``None``.
        """
        place = self.repositories.add(repository or self._world.settings.trusted)
        source = head_repository or place.name
        head = Branch(repository=source, ref=head_ref, sha=head_sha or self._tip(source, head_ref))
        base = Branch(repository=place.name, ref=DEFAULT_BRANCH, sha=self._tip(place.name, DEFAULT_BRANCH))
        return self._open(place, number or place.next_number, title, author, PullRequest(head=head, base=base)).number

    def close_pull_request(self, number: int, *, repository: str | None = None, merged: bool = False) -> None:
        """Close a pull request.

        :param repository: ``owner/name``; the trusted one of the world where ``None``.
        :param merged: whether it is merged by that.
        :raises ApiError: NOT_FOUND where there is none.
        """
        place = self.repositories.add(repository or self._world.settings.trusted)
        issue = place.issues.get(number)
        if issue is None or issue.pull_request is None:
            raise not_found(f"{place.name} has no pull request {number}.")
        self._happen(issue, "closed", issue.author)
        if merged:
            issue.pull_request.merged = issue.closed

    def snapshot(self) -> dict[str, Any]:
        """All that was made in the repositories: issues with their comments, deployments with their statuses."""
        with self.repositories.lock:
            return self.documents.everything(self.repositories)

    def id_token(self, request_token: str, audience: str | None) -> str:
        """The OIDC token of a run.

        :param request_token: ``ACTIONS_ID_TOKEN_REQUEST_TOKEN`` of the run.
        :param audience: whom it is meant for; the owner's page where ``None``.
        :raises ApiError: UNAUTHENTICATED for a request token that is not of a run, or whose run is over.
        """
        now = int(self._world.clock.time())
        try:
            request = self.key.claims(request_token)
        except jwt.InvalidTokenError:
            raise unauthenticated("The request token is not of a run.") from None
        if request.get("aud") != _REQUEST_AUDIENCE or request["exp"] <= now:
            raise unauthenticated("The request token has expired.")
        claims: dict[str, Any] = request["run"]
        return self.key.sign(
            claims
            | {
                "iss": ISSUER,
                "aud": audience or f"https://github.com/{claims['repository_owner']}",
                "jti": str(uuid.uuid4()),
                "iat": now,
                "nbf": now - ID_TOKEN_SECONDS,
                "exp": now + ID_TOKEN_SECONDS,
            }
        )

    def commit(self, repository: str, ref: str) -> str:
        """The full SHA that a ref stands for; without a local git repository one that follows from its name.

        :param ref: full name, a branch's or a tag's short name, or a SHA.
        :raises ApiError: INVALID_ARGUMENT where the repository has no such ref.
        """
        if ref in self.repositories.add(repository).commits:
            return ref
        folder = self._world.settings.repositories.get(repository)
        if folder is None:
            return ref if _SHA.fullmatch(ref) else _made_up(repository, ref)
        command = ["git", "-C", str(folder), "rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise invalid_argument(f"{repository} has no {ref}: {done.stderr.strip()}")
        return done.stdout.split()[-1]

    def _commit_of_run(self, repository: str, ref: str, pull: PullRequest | None) -> str:
        if pull is None:
            return self.commit(repository, ref)
        if repository not in self._world.settings.repositories:
            return _made_up(repository, ref)
        try:
            return self.commit(repository, ref)
        except ApiError:
            return pull.head.sha

    def _tip(self, repository: str, branch: str) -> str:
        """The last commit of a branch; one that follows from its name where there is no such branch on this machine."""
        ref = f"refs/heads/{branch}"
        try:
            return self.commit(repository, ref)
        except ApiError:
            return _made_up(repository, ref)

    def _pull_request(
        self,
        place: Repository,
        ref: str,
        actor: str,
        head_ref: str,
        head_repository: str | None,
        head_sha: str | None,
    ) -> Issue | None:
        """The pull request that a run is for, opened if need be; ``None`` where the ref is of none."""
        match = _MERGE_REF.fullmatch(ref)
        if match is None:
            return None
        number = int(match[1])
        if number not in place.issues:
            self.open_pull_request(
                repository=place.name,
                number=number,
                head_ref=head_ref,
                head_repository=head_repository,
                head_sha=head_sha,
                author=actor,
            )
        issue = place.issues[number]
        if issue.pull_request is None:
            raise invalid_argument(f"{place.name}#{number} is an issue, not a pull request.")
        if head_sha is not None:
            issue.pull_request.head.sha = head_sha
        return issue

    def _open(self, place: Repository, number: int, title: str, author: str, pull: PullRequest) -> Issue:
        now = self._world.clock.time()
        new_id = self.repositories.new_id()
        with self.repositories.lock:
            if number in place.issues:
                raise invalid_argument(f"{place.name}#{number} exists.")
            place.issues[number] = Issue(
                id=new_id, number=number, title=title, author=author, created=now, updated=now, pull_request=pull
            )
            place.commits |= {pull.head.sha, pull.base.sha}
        return place.issues[number]

    def _happen(self, issue: Issue, action: str, by: str) -> None:
        """Close or open a pull request, if that is what happened."""
        now = self._world.clock.time()
        if action == "closed" and issue.state == "open":
            issue.close(by, now, None)
        if action == "reopened" and issue.state == "closed":
            issue.reopen(now)

    def _write_event(
        self, place: Repository, issue: Issue, pull: PullRequest, action: str, actor: str, run_id: str
    ) -> Path:
        content = {
            "action": action,
            "number": issue.number,
            "pull_request": self.documents.pull_request(place, issue, pull),
            "repository": self.documents.repository(place.name),
            "sender": self.documents.user(actor),
        }
        path = self._world.settings.state / "github" / f"event-{run_id}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2))
        return path

    def _claims(self, repository: str, run: Mapping[str, str]) -> dict[str, str]:
        number = next(self._runs)
        owner = repository.partition("/")[0]
        workflow_ref = f"{repository}/.github/workflows/deploy.yml@{run['ref']}"
        return {
            **run,
            "repository": repository,
            "repository_id": numeric_id(repository),
            "repository_owner": owner,
            "repository_owner_id": numeric_id(owner),
            "repository_visibility": self._world.settings.repository_visibility,
            "ref_type": _ref_type(run["ref"]),
            "ref_protected": "false",
            "workflow_ref": workflow_ref,
            "workflow_sha": run["sha"],
            "job_workflow_ref": workflow_ref,
            "job_workflow_sha": run["sha"],
            "run_id": str(7_000_000_000 + number),
            "run_number": str(number),
            "run_attempt": "1",
            "runner_environment": "github-hosted",
        }

    def _id_token_variables(self, claims: dict[str, str]) -> dict[str, str]:
        expiry = int(self._world.clock.time()) + _JOB_SECONDS
        token = self.key.sign({"aud": _REQUEST_AUDIENCE, "exp": expiry, "run": claims})
        path = f"{claims['run_id']}/_apis/pipelines/workflows/idtoken"
        query = urllib.parse.urlencode({"api-version": "2.0"})
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self._world.base_url}/{HOST}/{path}?{query}",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": token,
        }

    def _variables(self, claims: dict[str, str]) -> dict[str, str]:
        same = {
            f"GITHUB_{name.upper()}": claims[name]
            for name in (
                *("actor", "actor_id", "base_ref", "event_name", "head_ref", "ref", "ref_protected", "ref_type"),
                *("repository", "repository_id", "repository_owner", "repository_owner_id"),
                *("run_attempt", "run_id", "run_number", "sha", "workflow", "workflow_ref", "workflow_sha"),
            )
        }
        return same | {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": f"{self._world.base_url}/{API_HOST}",
            "GITHUB_GRAPHQL_URL": f"{self._world.base_url}/{API_HOST}/graphql",
            "GITHUB_JOB": _JOB,
            "GITHUB_REF_NAME": claims["ref"].split("/", 2)[-1],
            "GITHUB_RETENTION_DAYS": "90",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_TRIGGERING_ACTOR": claims["actor"],
        }


def _subject(repository: str, ref: str, event_name: str, environment: str | None) -> str:
    if environment is not None:
        return f"repo:{repository}:environment:{environment}"
    if event_name == "pull_request":
        return f"repo:{repository}:pull_request"
    return f"repo:{repository}:ref:{ref}"


def _ref_type(ref: str) -> str:
    return "tag" if ref.startswith("refs/tags/") else "branch"


def _made_up(repository: str, ref: str) -> str:
    full = ref if ref.startswith("refs/") else f"refs/heads/{ref}"
    return hashlib.sha1(f"{repository} {full}".encode(), usedforsecurity=False).hexdigest()
