"""Who may do what on GitHub: tokens, what they permit, and how many requests they have left.

As documented in https://docs.github.com/actions/tutorials/authenticate-with-github_token and
https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api.
"""

from __future__ import annotations

import secrets
import string
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from emulator.clock import Clock
from emulator.errors import invalid_argument
from emulator.rpc import ANONYMOUS
from emulator.services.github_errors import bad_credentials, out_of_requests

BOT = "github-actions[bot]"
"""Who a job's token stands for."""

JOB_PERMISSIONS: Mapping[str, str] = {"contents": "read", "deployments": "write", "pull-requests": "write"}
"""What a job that deploys and comments on pull requests asks for."""

_LEVELS = ("none", "read", "write")
_SCHEMES = ("bearer ", "token ")
_ALPHABET = string.ascii_letters + string.digits
_HOUR_SECONDS = 3600


@dataclass(frozen=True)
class Caller:
    """Who asks GitHub for something.

    :param login: ``octocat``; ``anonymous`` without a token.
    :param number: of the account, or of the installation for a job's token.
    :param repository: ``owner/name``: all that a job's token is for; ``None`` for people.
    :param permissions: level by name, ``{"deployments": "write"}``; what is not in it is not permitted to a job.
    :param expires: seconds since the epoch.
    """

    login: str
    number: int = 0
    repository: str | None = None
    permissions: Mapping[str, str] = field(default_factory=dict)
    expires: float = float("inf")

    @property
    def is_job(self) -> bool:
        """Whether it is a job, with an installation token."""
        return self.repository is not None

    @property
    def is_person(self) -> bool:
        """Whether it is somebody with a token of their own, who may do anything."""
        return self.repository is None and self.login != ANONYMOUS

    def may(self, level: str, names: Collection[str], repository: str) -> bool:
        """Whether one of these permissions is granted for a repository, and so much of it.

        :param level: ``read`` or ``write``.
        :param names: ``pull_requests``, ...
        """
        if self.repository is None:
            return self.is_person
        granted = [self.permissions.get(name, "none") for name in names]
        return self.repository == repository and any(_LEVELS.index(each) >= _LEVELS.index(level) for each in granted)


NOBODY = Caller(ANONYMOUS)


class Access:
    """The tokens that GitHub knows.

    :param clock: the emulator's time, by which they expire.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._callers: dict[str, Caller] = {}

    def issue(self, caller: Caller) -> str:
        """A new token, ``ghs_...`` for a job and ``ghp_...`` for a person."""
        kind = "ghs" if caller.is_job else "ghp"
        token = f"{kind}_{''.join(secrets.choice(_ALPHABET) for _ in range(36))}"
        self._callers[token] = caller
        return token

    def caller(self, token: str) -> Caller:
        """Whom a token stands for.

        :raises GitHubError: 401 for one that GitHub does not know, or that has expired.
        """
        caller = self._callers.get(token)
        if caller is None or caller.expires <= self._clock.time():
            raise bad_credentials()
        return caller

    def identify(self, authorization: str | None) -> Caller:
        """Who sends a header ``Authorization``; nobody without it.

        :raises GitHubError: 401 for no valid token.
        """
        if authorization is None:
            return NOBODY
        scheme = next((each for each in _SCHEMES if authorization.lower().startswith(each)), None)
        if scheme is None:
            raise bad_credentials()
        return self.caller(authorization[len(scheme) :].strip())


def granted(permissions: Mapping[str, str], *, read_only: bool) -> dict[str, str]:
    """The permissions of a job's token, with the names that GitHub's API has for them.

    :param permissions: as a workflow has them: ``{"pull-requests": "write"}``; ``metadata: read`` is always granted.
    :param read_only: whether all of them are for reading alone, as for a pull request from a fork.
    :raises ApiError: INVALID_ARGUMENT for a level that is none.
    """
    for name, level in permissions.items():
        if level not in _LEVELS:
            raise invalid_argument(f"The permission {name} can be none, read or write, not {level!r}.")
    levels = {name.replace("-", "_"): level for name, level in permissions.items()}
    if read_only:
        levels = {name: "read" if level == "write" else level for name, level in levels.items()}
    return {"metadata": "read", **levels}


@dataclass
class Window:
    """An hour of requests, or what is left of it.

    :param limit: how many are allowed in it.
    :param reset: seconds since the epoch, when the next one begins.
    :param status: how requests beyond the limit are refused: 403 or 429.
    """

    limit: int
    reset: int
    used: int = 0
    status: HTTPStatus = HTTPStatus.FORBIDDEN

    def as_json(self) -> dict[str, int | str]:
        """As ``GET /rate_limit`` has it."""
        left = max(0, self.limit - self.used)
        used = min(self.used, self.limit)
        return {"limit": self.limit, "remaining": left, "reset": self.reset, "used": used, "resource": "core"}

    def headers(self) -> dict[str, str]:
        """As every response has it."""
        return {f"X-RateLimit-{name.title()}": str(value) for name, value in self.as_json().items()}


class RateLimits:
    """The primary rate limits: how many requests each caller has left in the hour."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[str, Window] = {}
        self._lock = threading.Lock()

    def count(self, caller: Caller) -> None:
        """Note a request.

        :raises GitHubError: 403 or 429 for one too many.
        """
        window = self.window(caller)
        with self._lock:
            window.used += 1
        if window.used > window.limit:
            raise out_of_requests(_whose(caller), window.status)

    def window(self, caller: Caller) -> Window:
        """The present hour of a caller."""
        now = int(self._clock.time())
        with self._lock:
            window = self._windows.get(_whose(caller))
            if window is None or window.reset <= now:
                window = self._windows[_whose(caller)] = Window(_limit(caller), now + _HOUR_SECONDS)
            return window

    def use_up(self, caller: Caller, reset_seconds: float, status: HTTPStatus) -> None:
        """Leave a caller no request.

        :param reset_seconds: how long.
        :param status: as in ``Window``.
        """
        limit = _limit(caller)
        window = Window(limit, int(self._clock.time() + reset_seconds), used=limit, status=status)
        with self._lock:
            self._windows[_whose(caller)] = window


def _limit(caller: Caller) -> int:
    """Requests in an hour: of a job's repository, of a person, of an address."""
    if caller.is_job:
        return 1000
    return 5000 if caller.is_person else 60


def _whose(caller: Caller) -> str:
    if caller.is_job:
        return f"installation ID {caller.number}"
    return f"user ID {caller.number}" if caller.is_person else "127.0.0.1"
