"""GitHub as a job sees it: the variables of a run, and OIDC tokens for it.

Claims and variables as documented in https://docs.github.com/actions/reference/security/oidc and
https://docs.github.com/actions/reference/workflows-and-actions/variables.
"""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import urllib.parse
import uuid
from typing import TYPE_CHECKING, Any

import jwt

from emulator.errors import ApiError, invalid_argument, unauthenticated
from emulator.tokens import shared_key

if TYPE_CHECKING:
    from emulator.world import World

ISSUER = "https://token.actions.githubusercontent.com"
METHOD = "github.actions.IdToken/GetIdToken"
HOST = "token.actions.githubusercontent.com"
API_HOST = "api.github.com"
ID_TOKEN_SECONDS = 300
_REQUEST_TOKEN_SECONDS = 6 * 3600
_REQUEST_AUDIENCE = "id-token-request"


def numeric_id(name: str) -> str:
    """The number by which GitHub knows an owner or a repository; here it follows from the name.

    :param name: ``owner`` or ``owner/name``.
    """
    return str(int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % 900_000_000 + 100_000_000)


def error_json(error: ApiError) -> dict[str, str]:
    """A refusal as the provider writes it in JSON."""
    return {"message": error.message}


class GitHub:
    """Runs of workflows, and the OIDC provider for them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._runs = itertools.count(1)
        self.key = shared_key(ISSUER)

    def start_run(
        self,
        *,
        repository: str | None = None,
        ref: str = "refs/heads/main",
        sha: str | None = None,
        event_name: str = "push",
        actor: str = "octocat",
        workflow: str = "Deploy",
        environment: str | None = None,
        id_token_permission: bool = True,
    ) -> dict[str, str]:
        """Begin a workflow run and give the environment variables of its job.

        :param repository: ``owner/name``; the trusted one of the world where ``None``.
        :param ref: full name, ``refs/heads/main``, ``refs/tags/v1`` or ``refs/pull/1/merge``.
        :param sha: the commit; what ``ref`` is in the local git repository where ``None``.
        :param event_name: ``push``, ``workflow_dispatch``, ``pull_request``, ...
        :param environment: the deployment environment of the job.
        :param id_token_permission: whether the job has ``id-token: write``; a pull request from a fork never has it.
        :raises ApiError: INVALID_ARGUMENT where the local git repository has no such ``ref``.
        """
        repository = repository or self._world.settings.trusted
        number = next(self._runs)
        sha = sha or self._commit(repository, ref)
        owner = repository.partition("/")[0]
        run_id = str(7_000_000_000 + number)
        workflow_ref = f"{repository}/.github/workflows/deploy.yml@{ref}"
        claims = {
            "sub": _subject(repository, ref, event_name, environment),
            "repository": repository,
            "repository_id": numeric_id(repository),
            "repository_owner": owner,
            "repository_owner_id": numeric_id(owner),
            "repository_visibility": "public",
            "ref": ref,
            "ref_type": _ref_type(ref),
            "ref_protected": "false",
            "sha": sha,
            "head_ref": "",
            "base_ref": "",
            "event_name": event_name,
            "actor": actor,
            "actor_id": numeric_id(actor),
            "workflow": workflow,
            "workflow_ref": workflow_ref,
            "workflow_sha": sha,
            "job_workflow_ref": workflow_ref,
            "job_workflow_sha": sha,
            "run_id": run_id,
            "run_number": str(number),
            "run_attempt": "1",
            "runner_environment": "github-hosted",
        }
        if environment is not None:
            claims["environment"] = environment
        return self._variables(claims) | (self._id_token_variables(claims) if id_token_permission else {})

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

    def _commit(self, repository: str, ref: str) -> str:
        folder = self._world.settings.repositories.get(repository)
        if folder is None:
            return hashlib.sha1(f"{repository} {ref}".encode(), usedforsecurity=False).hexdigest()
        command = ["git", "-C", str(folder), "rev-parse", "--verify", f"{ref}^{{commit}}"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise invalid_argument(f"{repository} has no {ref}: {done.stderr.strip()}")
        return done.stdout.strip()

    def _id_token_variables(self, claims: dict[str, str]) -> dict[str, str]:
        expiry = int(self._world.clock.time()) + _REQUEST_TOKEN_SECONDS
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
            "GITHUB_JOB": "deploy",
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
