"""What there is in GitHub's repositories: issues, pull requests, comments, deployments."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

DEFAULT_BRANCH = "main"


def numeric_id(name: str) -> str:
    """The number by which GitHub knows an owner or a repository; here it follows from the name.

    :param name: ``owner`` or ``owner/name``.
    """
    return str(int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % 900_000_000 + 100_000_000)


@dataclass(kw_only=True)
class Comment:
    """A comment on an issue or a pull request.

    :param issue: number of the issue.
    :param author: login.
    :param body: Markdown.
    :param created: seconds since the epoch.
    :param updated: the same.
    """

    id: int
    issue: int
    author: str
    body: str
    created: float
    updated: float


@dataclass(kw_only=True)
class Branch:
    """One side of a pull request.

    :param repository: ``owner/name``.
    :param ref: the branch's short name.
    :param sha: its commit.
    """

    repository: str
    ref: str
    sha: str


@dataclass(kw_only=True)
class PullRequest:
    """What a pull request has beyond an issue.

    :param head: what is to be merged.
    :param base: into which it is.
    :param merged: seconds since the epoch; ``None`` where it is not.
    """

    head: Branch
    base: Branch
    merged: float | None = None

    @property
    def is_from_fork(self) -> bool:
        """Whether what is to be merged lies in another repository."""
        return self.head.repository != self.base.repository


@dataclass(kw_only=True)
class Issue:
    """An issue, or a pull request, which is one too.

    :param author: login.
    :param body: Markdown, or ``None``.
    :param state: ``open`` or ``closed``.
    :param state_reason: ``completed``, ``not_planned``, ``duplicate``, ``reopened`` or ``None``.
    :param created: seconds since the epoch, as all times.
    :param closed_by: login.
    """

    id: int
    number: int
    title: str
    author: str
    created: float
    updated: float
    body: str | None = None
    labels: list[str] = field(default_factory=list)
    state: str = "open"
    state_reason: str | None = None
    closed: float | None = None
    closed_by: str | None = None
    pull_request: PullRequest | None = None

    def close(self, by: str, now: float, reason: str | None) -> None:
        """Close it."""
        self.state, self.state_reason, self.closed, self.closed_by, self.updated = "closed", reason, now, by, now

    def reopen(self, now: float) -> None:
        """Open it again."""
        reason = None if self.pull_request else "reopened"
        self.state, self.state_reason, self.closed, self.closed_by, self.updated = "open", reason, None, None, now


@dataclass(frozen=True, kw_only=True)
class DeploymentStatus:
    """What has become of a deployment.

    :param state: ``in_progress``, ``success``, ...
    :param creator: login.
    :param environment: where to.
    :param created: seconds since the epoch.
    """

    id: int
    state: str
    creator: str
    environment: str
    description: str
    log_url: str
    environment_url: str
    created: float


@dataclass(kw_only=True)
class Deployment:
    """A request to deploy a commit.

    :param ref: what was asked for: a branch, a tag or a SHA.
    :param payload: what its creator gave along with it.
    :param creator: login.
    :param original_environment: where to, as it was made.
    :param transient: whether that environment will cease to exist.
    :param production: whether people use that environment.
    :param statuses: the first came first.
    """

    id: int
    ref: str
    sha: str
    task: str
    payload: Any
    creator: str
    original_environment: str
    environment: str
    description: str | None
    transient: bool
    production: bool
    created: float
    updated: float
    statuses: list[DeploymentStatus] = field(default_factory=list)

    @property
    def state(self) -> str | None:
        """The newest status; ``None`` where there is none."""
        return self.statuses[-1].state if self.statuses else None


class Repository:
    """One repository.

    :param name: ``owner/name``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.issues: dict[int, Issue] = {}
        self.comments: dict[int, Comment] = {}
        self.deployments: dict[int, Deployment] = {}
        self.commits: set[str] = set()
        """Commits that are known beside those of the local git repository."""
        self.pending: dict[str, set[str]] = {}
        """By commit: the checks that have not ended, each a job."""

    @property
    def owner(self) -> str:
        """Login of the account that it belongs to."""
        return self.name.partition("/")[0]

    @property
    def is_empty(self) -> bool:
        """Whether nothing that GitHub's API can make is in it."""
        return not (self.issues or self.deployments)

    def begin_check(self, name: str, sha: str, *more: str) -> None:
        """Note that a job runs for a commit.

        :param name: the job's.
        :param sha: the commit that GitHub shows it at.
        :param more: others that are known by it.
        """
        self.commits |= {sha, *more}
        self.pending.setdefault(sha, set()).add(name)

    @property
    def next_number(self) -> int:
        """The number of the next issue or pull request."""
        return max(self.issues, default=0) + 1

    def comments_on(self, issue: Issue) -> list[Comment]:
        """The comments on an issue, the first came first."""
        return [comment for comment in self.comments.values() if comment.issue == issue.number]


class Repositories:
    """All repositories that GitHub has; one comes to be when something happens in it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._repositories: dict[str, Repository] = {}
        self._ids = itertools.count(3_000_000_001)

    def __iter__(self) -> Iterator[Repository]:
        return iter(list(self._repositories.values()))

    def new_id(self) -> int:
        """A number that nothing has yet."""
        return next(self._ids)

    def add(self, name: str) -> Repository:
        """The repository of that name, which there is from now on.

        :param name: ``owner/name``.
        """
        with self.lock:
            return self._repositories.setdefault(name.lower(), Repository(name))

    def find(self, name: str) -> Repository | None:
        """The repository of that name, in capitals or small letters."""
        return self._repositories.get(name.lower())
