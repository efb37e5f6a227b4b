"""GitHub's REST API, as far as deploying and telling of it needs it.

What is modelled is checked as GitHub does: the token, the rate limit, the repository, the permission, the request. What
is not is answered with 501, so that nobody takes it for GitHub's own answer.
https://docs.github.com/rest/using-the-rest-api.
"""

from __future__ import annotations

import json
import re
import urllib.parse
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from emulator.dispatch import Dispatcher
from emulator.errors import ApiError, BadGateway, ConnectionReset
from emulator.services import github_deployments, github_issues
from emulator.services.github_access import NOBODY, Caller
from emulator.services.github_errors import (
    GitHubError,
    error_json,
    inaccessible,
    missing,
    requires_authentication,
)
from emulator.services.github_operations import Answer, Call, Operation
from emulator.services.github_repositories import Repository

if TYPE_CHECKING:
    from emulator.world import World

HOST = "api.github.com"
_NOWHERE = Repository("")
_NAME = r"[A-Za-z0-9_.-]+"
_GROUPS = {"owner": _NAME, "repo": _NAME}
_SEARCHES_IN_A_MINUTE = 30


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as it came.

    :param verb: of HTTP.
    :param path: beginning with ``/``, still percent-encoded.
    :param query: without ``?``.
    :param headers: by their names in small letters.
    """

    verb: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


def _get_repository(call: Call) -> Answer:
    name = call.repository.name
    is_open = [issue.state == "open" for issue in call.repository.issues.values()]
    may_push = call.caller.may("write", ("contents",), name)
    permissions = {"admin": False, "maintain": False, "push": may_push, "triage": may_push, "pull": True}
    content = call.documents.repository(name, sum(is_open))
    return Answer(HTTPStatus.OK, content | ({} if call.caller == NOBODY else {"permissions": permissions}))


def _get_user(call: Call) -> Answer:
    if call.caller.is_job:
        raise inaccessible()
    if call.caller == NOBODY:
        raise requires_authentication()
    return Answer(HTTPStatus.OK, call.documents.authenticated_user(call.caller.login))


def _get_rate_limit(call: Call) -> Answer:
    core = call.world.github.limits.window(call.caller).as_json()
    minute = {"limit": _SEARCHES_IN_A_MINUTE, "remaining": _SEARCHES_IN_A_MINUTE, "reset": int(call.now) + 60}
    search = {**minute, "used": 0, "resource": "search"}
    return Answer(HTTPStatus.OK, {"resources": {"core": core, "search": search}, "rate": core})


RATE_LIMIT = Operation(
    id="rate-limit/get",
    verb="GET",
    path="/rate_limit",
    docs="rate-limit/rate-limit#get-rate-limit-status-for-the-authenticated-user",
    answer=_get_rate_limit,
)
OPERATIONS = (
    *github_deployments.OPERATIONS,
    *github_issues.OPERATIONS,
    Operation(
        id="repos/get",
        verb="GET",
        path="/repos/{owner}/{repo}",
        docs="repos/repos#get-a-repository",
        answer=_get_repository,
        permissions=("metadata",),
    ),
    Operation(
        id="users/get-authenticated",
        verb="GET",
        path="/user",
        docs="users/users#get-the-authenticated-user",
        answer=_get_user,
    ),
    RATE_LIMIT,
)
"""Everything that is modelled."""


class GitHubRest:
    """From a request to its answer.

    :param world: whose GitHub it is.
    :param dispatcher: notes the calls, and lets them meet faults.
    """

    def __init__(self, world: World, dispatcher: Dispatcher) -> None:
        self._world = world
        self._dispatcher = dispatcher
        self._routes = [(_pattern(operation.path), operation) for operation in OPERATIONS]

    def answer(self, asked: Asked) -> Answer:
        """The answer to any request; a refusal is one too.

        :raises ConnectionReset: where there is none.
        :raises BadGateway: where something before GitHub answers.
        """
        operation, names = self._find(asked)
        caller, refusal = self._identify(asked)

        def do() -> Answer:
            if refusal is not None:
                raise refusal
            return self._answer(operation, caller, names, asked)

        try:
            answer = self._dispatcher.noted(operation.method, caller.login, do, host=HOST, verb=asked.verb)
        except (ConnectionReset, BadGateway):
            raise
        except ApiError as error:
            answer = _refusal(error, operation)
        return replace(answer, headers={**self._usual_headers(operation, caller), **answer.headers})

    def _find(self, asked: Asked) -> tuple[Operation, Mapping[str, str]]:
        for pattern, operation in self._routes:
            match = pattern.fullmatch(asked.path)
            if match is not None and operation.verb == asked.verb:
                return operation, match.groupdict()
        return _not_modelled(asked), {}

    def _identify(self, asked: Asked) -> tuple[Caller, ApiError | None]:
        try:
            return self._world.github.access.identify(asked.headers.get("authorization")), None
        except ApiError as refusal:
            return NOBODY, refusal

    def _answer(self, operation: Operation, caller: Caller, names: Mapping[str, str], asked: Asked) -> Answer:
        _check_user_agent(asked)
        if operation is not RATE_LIMIT:
            self._world.github.limits.count(caller)
        repository = self._repository(caller, names)
        self._check_permission(operation, caller, repository)
        query = dict(urllib.parse.parse_qsl(asked.query, keep_blank_values=True))
        operation.check_query(query)
        body = _json_object(asked.body)
        operation.check_body(body)
        call = Call(
            world=self._world,
            caller=caller,
            repository=repository,
            url=f"{self._world.base_url}/{HOST}{asked.path}",
            numbers={name: int(value) for name, value in names.items() if name not in _GROUPS},
            query=query,
            body=body,
        )
        with self._world.github.repositories.lock:
            return operation.answer(call)

    def _repository(self, caller: Caller, names: Mapping[str, str]) -> Repository:
        """The repository that a path names, where the caller may know of it."""
        if not names:
            return _NOWHERE
        repository = self._world.github.repositories.find(f"{names['owner']}/{names['repo']}")
        if repository is None or not (self._is_public or caller.is_person or caller.repository == repository.name):
            raise missing()
        return repository

    def _check_permission(self, operation: Operation, caller: Caller, repository: Repository) -> None:
        """See that the caller may; what is public can be read by anybody."""
        if not operation.permissions or (self._is_public and operation.level == "read"):
            return
        if caller == NOBODY:
            raise requires_authentication()
        if not caller.may(operation.level, operation.permissions, repository.name):
            raise inaccessible()

    @property
    def _is_public(self) -> bool:
        return self._world.settings.repository_visibility == "public"

    def _usual_headers(self, operation: Operation, caller: Caller) -> dict[str, str]:
        accepted = operation.accepted_permissions if caller.is_job else ""
        return {
            **self._world.github.limits.window(caller).headers(),
            **({"X-Accepted-GitHub-Permissions": accepted} if accepted else {}),
            "X-GitHub-Media-Type": "github.v3; format=json",
            "X-GitHub-Request-Id": uuid.uuid4().hex.upper(),
        }


def _pattern(path: str) -> re.Pattern[str]:
    """What matches the paths of an operation: names of repositories, and numbers."""
    return re.compile(re.sub(r"{(\w+)}", lambda name: f"(?P<{name[1]}>{_GROUPS.get(name[1], '[0-9]+')})", path))


def _not_modelled(asked: Asked) -> Operation:
    def refuse(_: Call) -> Answer:
        raise GitHubError(HTTPStatus.NOT_IMPLEMENTED, f"The emulator does not model {asked.verb} {asked.path}.")

    return Operation(id=f"not-modelled/{asked.verb.lower()}", verb=asked.verb, path=asked.path, docs="", answer=refuse)


def _check_user_agent(asked: Asked) -> None:
    """See that the caller says what it is, as GitHub insists."""
    if not asked.headers.get("user-agent"):
        raise GitHubError(
            HTTPStatus.FORBIDDEN,
            "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.",
        )


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body or b"{}")
    except ValueError:
        raise GitHubError(HTTPStatus.BAD_REQUEST, "Problems parsing JSON") from None
    if not isinstance(content, dict):
        raise GitHubError(HTTPStatus.BAD_REQUEST, "Body should be a JSON object")
    return content


def _refusal(error: ApiError, operation: Operation) -> Answer:
    headers = error.headers if isinstance(error, GitHubError) else {}
    return Answer(error.http_status, error_json(error, operation.documentation_url), headers)
