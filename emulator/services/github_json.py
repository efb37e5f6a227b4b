"""What GitHub's REST API and the payloads of its events show of everything, in JSON.

Fields as in GitHub's published description of the API, https://github.com/github/rest-api-description.
"""

from __future__ import annotations

import base64
import datetime
import urllib.parse
from collections.abc import Iterable
from typing import Any

from emulator.services.github_access import BOT
from emulator.services.github_repositories import (
    DEFAULT_BRANCH,
    Branch,
    Comment,
    Deployment,
    DeploymentStatus,
    Issue,
    PullRequest,
    Repository,
    numeric_id,
)

HTML = "https://github.com"
_BOT_NUMBER = 41898282  # https://api.github.com/users/github-actions[bot]
_BIRTH = "2020-01-01T00:00:00Z"

_USER_LINKS = {
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}
_REPOSITORY_LINKS = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}
_EMOTIONS = ("+1", "-1", "laugh", "confused", "heart", "hooray", "eyes", "rocket")


def timestamp(seconds: float) -> str:
    """A time as GitHub writes it, ``2026-01-31T12:00:00Z``.

    :param seconds: since the epoch.
    """
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _optional(seconds: float | None) -> str | None:
    return None if seconds is None else timestamp(seconds)


def _node_id(kind: str, number: int | str) -> str:
    return base64.b64encode(f"{kind}{number}".encode()).decode()


def account_number(login: str) -> int:
    """The number by which GitHub knows an account."""
    return _BOT_NUMBER if login == BOT else int(numeric_id(login))


class Documents:
    """Everything in JSON, with addresses below that of the API.

    :param api: URL without a slash at the end.
    :param visibility: of the repositories, ``public`` or ``private``.
    """

    def __init__(self, api: str, visibility: str) -> None:
        self._api = api
        self._visibility = visibility

    def user(self, login: str, kind: str | None = None) -> dict[str, Any]:
        """An account.

        :param kind: ``User``, ``Bot`` or ``Organization``; as the login tells where ``None``.
        """
        number = account_number(login)
        url = f"{self._api}/users/{urllib.parse.quote(login)}"
        page = f"{HTML}/apps/{login.removesuffix('[bot]')}" if login.endswith("[bot]") else f"{HTML}/{login}"
        return {
            "login": login,
            "id": number,
            "node_id": _node_id("User", number),
            "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?v=4",
            "gravatar_id": "",
            "url": url,
            "html_url": page,
            **{name: url + path for name, path in _USER_LINKS.items()},
            "type": kind or ("Bot" if login.endswith("[bot]") else "User"),
            "user_view_type": "public",
            "site_admin": False,
        }

    def authenticated_user(self, login: str) -> dict[str, Any]:
        """An account as it sees itself."""
        nothing = ("name", "company", "blog", "location", "email", "hireable", "bio")
        counts = ("public_repos", "public_gists", "followers", "following", "private_gists", "total_private_repos")
        more = ("owned_private_repos", "disk_usage", "collaborators")
        return {
            **self.user(login),
            **dict.fromkeys(nothing),
            **dict.fromkeys((*counts, *more), 0),
            "created_at": _BIRTH,
            "updated_at": _BIRTH,
            "two_factor_authentication": True,
            "user_view_type": "private",
        }

    def repository_url(self, name: str) -> str:
        """Address of a repository.

        :param name: ``owner/name``.
        """
        return f"{self._api}/repos/{name}"

    def repository(self, name: str, open_issues: int = 0) -> dict[str, Any]:
        """A repository.

        :param name: ``owner/name``.
        :param open_issues: how many issues and pull requests are open in it.
        """
        owner, _, short = name.partition("/")
        number = int(numeric_id(name))
        url = self.repository_url(name)
        counts = ("forks", "network", "stargazers", "subscribers", "watchers")
        features = ("has_issues", "has_projects", "has_wiki", "has_downloads")
        without = ("has_pages", "has_discussions", "archived", "disabled", "fork", "is_template")
        return {
            "id": number,
            "node_id": _node_id("Repository", number),
            "name": short,
            "full_name": name,
            "owner": self.user(owner, "Organization"),
            "private": self._visibility != "public",
            "visibility": self._visibility,
            "html_url": f"{HTML}/{name}",
            "url": url,
            **{key: url + path for key, path in _REPOSITORY_LINKS.items()},
            "clone_url": f"{HTML}/{name}.git",
            "git_url": f"git://github.com/{name}.git",
            "ssh_url": f"git@github.com:{name}.git",
            "svn_url": f"{HTML}/{name}",
            "default_branch": DEFAULT_BRANCH,
            **dict.fromkeys(("description", "homepage", "language", "license", "mirror_url")),
            **{f"{count}_count": 0 for count in counts},
            **dict.fromkeys(("forks", "watchers", "size"), 0),
            **dict.fromkeys(("open_issues", "open_issues_count"), open_issues),
            **dict.fromkeys(features, True),
            **dict.fromkeys(without, False),
            **dict.fromkeys(("created_at", "updated_at", "pushed_at"), _BIRTH),
            "topics": [],
        }

    def comment(self, repository: Repository, issue: Issue, comment: Comment) -> dict[str, Any]:
        """A comment on an issue or a pull request."""
        url = f"{self.repository_url(repository.name)}/issues/comments/{comment.id}"
        return {
            "id": comment.id,
            "node_id": _node_id("IssueComment", comment.id),
            "url": url,
            "html_url": f"{_page(repository, issue)}#issuecomment-{comment.id}",
            "issue_url": f"{self.repository_url(repository.name)}/issues/{comment.issue}",
            "body": comment.body,
            "user": self.user(comment.author),
            "author_association": _association(comment.author, repository),
            "created_at": timestamp(comment.created),
            "updated_at": timestamp(comment.updated),
            "reactions": _no_reactions(url),
            "performed_via_github_app": None,
        }

    def issue(self, repository: Repository, issue: Issue) -> dict[str, Any]:
        """An issue, or a pull request as one."""
        url = f"{self.repository_url(repository.name)}/issues/{issue.number}"
        return {
            "id": issue.id,
            "node_id": _node_id("Issue", issue.id),
            "url": url,
            "repository_url": self.repository_url(repository.name),
            "labels_url": f"{url}/labels{{/name}}",
            "comments_url": f"{url}/comments",
            "events_url": f"{url}/events",
            "timeline_url": f"{url}/timeline",
            "html_url": _page(repository, issue),
            "number": issue.number,
            "title": issue.title,
            "body": issue.body,
            "state": issue.state,
            "state_reason": issue.state_reason,
            "user": self.user(issue.author),
            "author_association": _association(issue.author, repository),
            "labels": [self._label(repository, name) for name in issue.labels],
            "comments": len(repository.comments_on(issue)),
            "closed_by": None if issue.closed_by is None else self.user(issue.closed_by),
            "closed_at": _optional(issue.closed),
            "created_at": timestamp(issue.created),
            "updated_at": timestamp(issue.updated),
            "assignees": [],
            **dict.fromkeys(("assignee", "milestone", "active_lock_reason", "performed_via_github_app")),
            "locked": False,
            "reactions": _no_reactions(url),
            **self._pull_request_of(repository, issue),
        }

    def pull_request(self, repository: Repository, issue: Issue, pull: PullRequest) -> dict[str, Any]:
        """A pull request as the payload of an event has it, as far as anybody here looks at it."""
        shared = (
            "number",
            "title",
            "body",
            "state",
            "user",
            "closed_at",
            "created_at",
            "updated_at",
            "locked",
            "labels",
        )
        as_issue = self.issue(repository, issue)
        links = self._pull_request_of(repository, issue)["pull_request"]
        return {
            **{
                name: as_issue[name]
                for name in (*shared, "assignees", "author_association", "comments_url", "comments")
            },
            "id": issue.id,
            "node_id": _node_id("PullRequest", issue.id),
            **{name: links[name] for name in ("url", "html_url", "diff_url", "patch_url", "merged_at")},
            "issue_url": as_issue["url"],
            "head": self._branch(pull.head),
            "base": self._branch(pull.base),
            "draft": False,
            "merged": pull.merged is not None,
        }

    def deployment(self, repository: Repository, deployment: Deployment) -> dict[str, Any]:
        """A deployment."""
        url = f"{self.repository_url(repository.name)}/deployments/{deployment.id}"
        return {
            "url": url,
            "id": deployment.id,
            "node_id": _node_id("Deployment", deployment.id),
            "sha": deployment.sha,
            "ref": deployment.ref,
            "task": deployment.task,
            "payload": deployment.payload,
            "original_environment": deployment.original_environment,
            "environment": deployment.environment,
            "description": deployment.description,
            "creator": self.user(deployment.creator),
            "created_at": timestamp(deployment.created),
            "updated_at": timestamp(deployment.updated),
            "statuses_url": f"{url}/statuses",
            "repository_url": self.repository_url(repository.name),
            "transient_environment": deployment.transient,
            "production_environment": deployment.production,
            "performed_via_github_app": None,
        }

    def status(self, repository: Repository, deployment: Deployment, status: DeploymentStatus) -> dict[str, Any]:
        """A status of a deployment."""
        url = f"{self.repository_url(repository.name)}/deployments/{deployment.id}"
        return {
            "url": f"{url}/statuses/{status.id}",
            "id": status.id,
            "node_id": _node_id("DeploymentStatus", status.id),
            "state": status.state,
            "creator": self.user(status.creator),
            "description": status.description,
            "environment": status.environment,
            "target_url": status.log_url,
            "log_url": status.log_url,
            "environment_url": status.environment_url,
            "created_at": timestamp(status.created),
            "updated_at": timestamp(status.created),
            "deployment_url": url,
            "repository_url": self.repository_url(repository.name),
            "performed_via_github_app": None,
        }

    def everything(self, repositories: Iterable[Repository]) -> dict[str, Any]:
        """All that was made, by the repository's name: issues with their comments, deployments with their statuses."""
        return {each.name: self._contents(each) for each in repositories if not each.is_empty}

    def _contents(self, repository: Repository) -> dict[str, Any]:
        return {
            "issues": [
                self.issue(repository, issue)
                | {"comments": [self.comment(repository, issue, each) for each in repository.comments_on(issue)]}
                for issue in repository.issues.values()
            ],
            "deployments": [
                self.deployment(repository, deployment)
                | {"statuses": [self.status(repository, deployment, each) for each in deployment.statuses]}
                for deployment in repository.deployments.values()
            ],
        }

    def _label(self, repository: Repository, name: str) -> dict[str, Any]:
        number = int(numeric_id(f"{repository.name} {name}"))
        return {
            "id": number,
            "node_id": _node_id("Label", number),
            "url": f"{self.repository_url(repository.name)}/labels/{urllib.parse.quote(name)}",
            "name": name,
            "description": None,
            "color": "ededed",
            "default": False,
        }

    def _branch(self, branch: Branch) -> dict[str, Any]:
        owner = branch.repository.partition("/")[0]
        return {
            "label": f"{owner}:{branch.ref}",
            "ref": branch.ref,
            "sha": branch.sha,
            "user": self.user(owner),
            "repo": self.repository(branch.repository),
        }

    def _pull_request_of(self, repository: Repository, issue: Issue) -> dict[str, Any]:
        if issue.pull_request is None:
            return {}
        page = _page(repository, issue)
        links = {
            "url": f"{self.repository_url(repository.name)}/pulls/{issue.number}",
            "html_url": page,
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            "merged_at": _optional(issue.pull_request.merged),
        }
        return {"pull_request": links, "draft": False}


def _page(repository: Repository, issue: Issue) -> str:
    kind = "issues" if issue.pull_request is None else "pull"
    return f"{HTML}/{repository.name}/{kind}/{issue.number}"


def _association(login: str, repository: Repository) -> str:
    if login == repository.owner:
        return "OWNER"
    return "NONE" if login.endswith("[bot]") else "MEMBER"


def _no_reactions(url: str) -> dict[str, Any]:
    return {"url": f"{url}/reactions", "total_count": 0, **dict.fromkeys(_EMOTIONS, 0)}
