"""The one door to GitHub's API: the comment on a pull request, the issue, the deployments.

All of it only tells people what the action does, and none of it decides about a run. So GitHub is asked for seconds,
not minutes, and whatever goes wrong is one kind of failure. To be imported only where there is a token, since PyGithub
takes its time.

Of comments and issues there is one for each key, found again by a marker on its first line. Two runs at once may both
write one; then both keep the oldest. Facts of the API are from https://docs.github.com/en/rest.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

import requests
from github import Auth, BadAttributeException, GithubException, RateLimitExceededException
from github.Deployment import Deployment
from github.DeploymentStatus import DeploymentStatus
from github.Issue import Issue
from github.IssueComment import IssueComment
from github.Repository import Repository
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, Requester

from octue_action.cancellation import Cancellation
from octue_action.failure import Failure
from octue_action.github_context import GARBAGE, GitHubContext, is_from_fork
from octue_action.markdown import fitted
from octue_action.redaction import redacted

CALL_SECONDS = 20.0
"""How long one call of ``GitHub`` begins requests; the last one may take ``ANSWER_SECONDS`` more."""

ANSWER_SECONDS = 10
"""How long one answer may take: after so long GitHub itself gives a request up ("Troubleshooting", Timeouts)."""

PAUSES = (0.5, 1.0, 2.0)
"""Seconds before each further try while GitHub is in trouble."""

SHOWN_SECONDS = 4.0
"""How long what was created may take to be listed, before nobody looks for others beside it any more."""

INACTIVE_IN_A_ROW = 5
"""After so many that are inactive already all older ones are taken to be: GitHub lists the newest first."""

LABEL = "octue-action"
"""Of our issues, so that few have to be looked through."""

BODY_BYTES = 65_536
"""The longest body that GitHub takes has so many characters; counted in bytes, none is longer."""

TITLE_CHARACTERS = 256
DESCRIPTION_CHARACTERS = 140
ENVIRONMENT_CHARACTERS = 255

API_VERSION = "2022-11-28"

_BODY_CUT = "\n\n_The rest is left out: GitHub takes no more than 65,536 characters._\n"
_FOLDS_CUT = (
    "\n_{count} folded parts are left out here: GitHub takes no more than 65,536 characters. "
    "The log of the run tells what is in them._\n\n"
)
_KEY = re.compile(r"[A-Za-z0-9_.]{1,64}")
_API_URL = re.compile(r"https://[a-z0-9.-]+(:[0-9]+)?(/[\w./-]*)?", re.IGNORECASE)
_LOOPBACK_URL = re.compile(r"http://(127\.0\.0\.1|localhost)(:[0-9]+)?(/[\w./-]*)?", re.IGNORECASE)
_WEB_URL = re.compile(r"https?://[!-~]+")
_PERMISSION = re.compile(r"([a-z_]+)=(read|write)")

_AGAIN = "Run the job again; if it stays, look at https://www.githubstatus.com."
_ALWAYS_NEEDED = {"contents": "read", "id-token": "write"}

Item = TypeVar("Item")
Marked = TypeVar("Marked", bound=IssueComment | Issue)


class GitHubError(Failure):
    """Something that GitHub would not do, or did not answer."""


class _Trouble(GitHubError):
    """GitHub did not answer, or is in trouble: nobody knows whether it did what it was asked for."""

    def __init__(self, what: str) -> None:
        super().__init__(f"GitHub {what}.", _AGAIN)


class GitHub:
    """Shows on GitHub what the action does; may be used by several threads.

    :param context: which repository, commit and run it is about, and where the API is.
    :param token: ``GITHUB_TOKEN`` or another one.
    :param cancellation: after which nothing is asked any more; every method raises ``Cancelled`` then.
    :raises GitHubError: where the API is at an address that no token may be sent to.

    Every method raises ``GitHubError`` where GitHub refuses or does not answer, half a minute after it began at the
    latest. A rate limit is not waited for.
    """

    def __init__(self, context: GitHubContext, token: str, cancellation: Cancellation) -> None:
        if not (_API_URL.fullmatch(context.api_url) or _LOOPBACK_URL.fullmatch(context.api_url)):
            raise GitHubError(
                "GITHUB_API_URL is no address that the token may be sent to.",
                "Leave GITHUB_API_URL as GitHub's runner sets it: an address that begins with https://.",
            )
        self._context = context
        self._token = token
        self._cancellation = cancellation
        self._login = ""

    def show_comment(self, number: int, key: str, body: str) -> str:
        """Show a text as the one comment of a key on a pull request: written, or changed in place.

        :param number: of the pull request.
        :param key: letters, digits, ``_`` and ``.``, 64 of them at most.
        :param body: Markdown; what is too long is cut.
        :returns: the comment's address.
        """
        text = self._body(key, body)
        with self._asking("write a comment on the pull request", "pull-requests") as repository:
            pull_request = repository.get_issue(number)
            comment, *younger = self._one(
                lambda: self._ours(pull_request.get_comments(), key), lambda: pull_request.create_comment(text)
            )
            for other in younger:
                _delete(other)
            if not _says(comment, text):
                comment.edit(text)
            return _web_address(comment)

    def open_issue(self, key: str, title: str, body: str) -> str:
        """Show a text as the one open issue of a key: opened, or changed in place.

        :param key: as for ``show_comment``.
        :param title: one line; what is too long is cut.
        :param body: Markdown; what is too long is cut.
        :returns: the issue's address.
        """
        title, text = self._line(title, TITLE_CHARACTERS), self._body(key, body)
        with self._asking("open an issue", "issues") as repository:
            issue, *younger = self._one(
                lambda: self._open_issues(repository, key), lambda: repository.create_issue(title, text, labels=[LABEL])
            )
            for other in younger:
                other.edit(state="closed", state_reason="not_planned")
            if issue.title != title or not _says(issue, text):
                issue.edit(title=title, body=text)
            return _web_address(issue)

    def close_issue(self, key: str, body: str) -> str | None:
        """Close the open issue of a key, as completed.

        :param key: as for ``show_comment``.
        :param body: what it says from then on, in Markdown.
        :returns: its address; None where none is open.
        """
        text = self._body(key, body)
        with self._asking("close the issue", "issues") as repository:
            issues = self._open_issues(repository, key)
            for issue in issues:
                issue.edit(state="closed", state_reason="completed", body=text)
            return _web_address(issues[0]) if issues else None

    def begin_deployment(self, environment: str, *, description: str, is_preview: bool) -> int:
        """Show a deployment of the run's commit as in progress.

        :param environment: one line.
        :param description: one line; what is too long is cut.
        :param is_preview: whether the environment is there for a while only.
        :returns: its id, for ``end_deployment``.
        """
        payload = {"run": self._context.run_url, "key": uuid.uuid4().hex}
        sha, name = self._context.commit, self._line(environment, ENVIRONMENT_CHARACTERS)
        with self._asking("show the deployment", "deployments") as repository:
            deployment = self._create(
                lambda: repository.create_deployment(
                    sha,
                    auto_merge=False,
                    required_contexts=[],
                    payload=payload,
                    environment=name,
                    description=self._line(description, DESCRIPTION_CHARACTERS),
                    transient_environment=is_preview,
                    # Nobody but other programs asks an Octue service, and only where an environment is not for
                    # production does GitHub see by itself that a newer deployment has taken an older one's place.
                    production_environment=False,
                ),
                lambda: [it for it in repository.get_deployments(sha, environment=name) if _payload(it) == payload],
            )
            with suppress(GitHubError):  # that it can be ended matters more
                self._set_state(deployment, "in_progress")
            return _id(deployment)

    def end_deployment(self, deployment: int, state: str, *, description: str = "", environment_url: str = "") -> None:
        """Show how a deployment ended.

        :param deployment: what ``begin_deployment`` gave.
        :param state: ``success`` or ``failure``, or another one that GitHub has.
        :param description: one line; what is too long is cut.
        :param environment_url: a page about what is deployed.
        """
        with self._asking("show how the deployment ended", "deployments") as repository:
            self._set_state(repository.get_deployment(deployment), state, description, environment_url)

    def retire_deployments(self, environment: str, *, but: int | None = None) -> int:
        """Show that nothing of an environment is there any more: its deployments become inactive.

        :param environment: as it was given to ``begin_deployment``.
        :param but: the id of one that stays, as it has taken the others' place.
        :returns: how many were not inactive yet.
        """
        retired = inactive = 0
        name = self._line(environment, ENVIRONMENT_CHARACTERS)
        with self._asking("show that the deployments are gone", "deployments") as repository:
            for deployment in repository.get_deployments(environment=name):
                if _id(deployment) == but:
                    continue
                if _state(deployment) == "inactive":
                    inactive += 1
                else:
                    self._set_state(deployment, "inactive")
                    retired, inactive = retired + 1, 0
                if inactive == INACTIVE_IN_A_ROW:
                    break
        return retired

    @contextmanager
    def _asking(self, purpose: str, permission: str) -> Iterator[Repository]:
        """The repository, for what one call asks of it; whatever goes wrong with it is a ``GitHubError``.

        Without the causes: what they say may be the whole of a request, and so the token.

        :param purpose: behind "GitHub would not".
        :param permission: to write, as a workflow names it: ``pull-requests``.
        """
        requester = None
        try:
            requester = _requester(self._context.api_url, self._token, self._cancellation)
            yield Repository(requester, url=f"/repos/{self._context.repository}")
        except GithubException as refusal:
            raise self._explained(refusal, purpose, permission) from None
        except (requests.RequestException, BadAttributeException, AssertionError, RuntimeError, *GARBAGE) as error:
            raise GitHubError(f"GitHub's answer makes no sense: {type(error).__name__}.", _AGAIN) from None
        finally:
            if requester is not None:
                requester.close()

    def _one(self, find: Callable[[], list[Marked]], create: Callable[[], Marked]) -> list[Marked]:
        """All that there is of a key, the oldest first; where there is nothing, it is created.

        Two runs that create at once find both: who sees its own sees what is older, too. Whose answer was lost does
        not know its own, and looks for as long as that may take to be listed.
        """
        found = find()
        if found:
            return found
        lost: list[_Trouble] = []
        created = self._create(create, find, lost)
        for _ in self._cancellation.poll(SHOWN_SECONDS, first=1.0, growth=1.0):
            found = find()
            if not lost and _id(created) in map(_id, found):
                break
        return found if _id(created) in map(_id, found) else [*found, created]

    def _create(
        self, create: Callable[[], Item], find: Callable[[], list[Item]], lost: list[_Trouble] | None = None
    ) -> Item:
        """Create something; where nobody knows whether it was, look for it before trying again.

        :param lost: is given each trouble after which nobody knew.
        """
        lost = [] if lost is None else lost
        for _ in _tries(self._cancellation):
            found = find() if lost else []
            if found:
                return found[0]
            try:
                return create()
            except _Trouble as trouble:
                lost.append(trouble)
        raise lost[-1]

    def _ours(self, items: Iterable[Marked], key: str) -> list[Marked]:
        """Those of a key that this token's own author wrote, the oldest first: nobody else can plant one."""
        marker = _marker(key)
        marked = [item for item in items if (item.body or "").partition("\n")[0].rstrip() == marker]
        return sorted((item for item in marked if self._is_author(item.user)), key=_id)

    def _open_issues(self, repository: Repository, key: str) -> list[Issue]:
        # GitHub lists pull requests among the issues.
        issues = self._ours(repository.get_issues(state="open", labels=[LABEL]), key)
        return [issue for issue in issues if re.search(r"/issues/[0-9]+$", issue.html_url)]

    def _is_author(self, user: Any) -> bool:
        if self._token.startswith("ghs_"):  # an app's token, as GITHUB_TOKEN is; GitHub does not say whose
            return user is not None and bool(user.type == "Bot")
        if user is None:
            return False
        if not self._login:
            self._login = user.requester.requestJsonAndCheck("GET", "/user")[1]["login"]
        return bool(user.login == self._login)

    def _set_state(self, deployment: Deployment, state: str, description: str = "", environment_url: str = "") -> None:
        # PyGithub's own method knows only the older name of ``log_url``.
        status = {
            "state": state,
            "log_url": self._context.run_url,
            "description": self._line(description, DESCRIPTION_CHARACTERS),
        }
        if _WEB_URL.fullmatch(environment_url):
            status["environment_url"] = environment_url

        def create() -> DeploymentStatus:
            requester, url = deployment.requester, f"{deployment.url}/statuses"
            headers, answer = requester.requestJsonAndCheck("POST", url, input=status)
            return DeploymentStatus(requester, headers, answer, completed=True)

        self._create(create, lambda: [it for it in deployment.get_statuses() if it.state == state])

    def _body(self, key: str, body: str) -> str:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} cannot be a key")
        return fitted(f"{_marker(key)}\n{self._hidden(body)}", BODY_BYTES, _BODY_CUT, _FOLDS_CUT).decode()

    def _line(self, text: str, most: int) -> str:
        """The text as one line of so many characters at most."""
        printable = "".join(char if char.isprintable() else " " for char in self._hidden(text))
        line = " ".join(printable.split())
        return line if len(line) <= most else f"{line[: most - 1]}…"

    def _hidden(self, text: str) -> str:
        return redacted(text.replace(self._token, "(token)") if self._token else text)

    def _explained(self, refusal: GithubException, purpose: str, permission: str) -> GitHubError:
        headers = {name.lower(): value for name, value in (refusal.headers or {}).items()}
        said = refusal.data.get("message") if isinstance(refusal.data, dict) else None
        told = f"{refusal.status}: {self._line(str(said or 'without a reason'), 300)}"
        if _is_of_rate_limit(refusal, headers):
            end = _end_of_rate_limit(headers)
            return GitHubError(f"GitHub's rate limit for this token is used up{end}.", "Run the job again then.")
        if refusal.status == requests.codes.unauthorized:
            return GitHubError(
                f"GitHub does not accept the token ({told}).", "Give the step `github_token: ${{ github.token }}`."
            )
        message = f"GitHub would not {purpose} ({told})."
        if refusal.status == requests.codes.gone:
            return GitHubError(message, "Turn issues on in the settings of the repository.")
        if refusal.status not in {requests.codes.forbidden, requests.codes.not_found}:
            return GitHubError(message, _AGAIN)
        if is_from_fork(self._context):
            return GitHubError(
                f"{message} The pull request is from a fork, whose runs may not write to this repository.",
                "Leave `github_token` out for pull requests from forks.",
            )
        needed = _needed(headers.get("x-accepted-github-permissions", ""), permission)
        listed = " and ".join(f"`{name}: {level}`" for name, level in needed.items())
        block = "\n".join(f"  {name}: {level}" for name, level in sorted((_ALWAYS_NEEDED | needed).items()))
        return GitHubError(
            f"{message} Perhaps the token lacks the permission {listed}.",
            f"Add to the job in your workflow file:\n\npermissions:\n{block}",
        )


class _Requester(Requester):
    """Sends the requests of one call: what may be repeated is, for a while, and nobody is followed elsewhere.

    :param api_url: where the API is.
    :param cancellation: after which nothing is sent.
    """

    def __init__(self, api_url: str, token: str, cancellation: Cancellation) -> None:
        super().__init__(
            auth=Auth.Token(token),
            base_url=api_url.rstrip("/"),
            timeout=max(1, int(cancellation.within(ANSWER_SECONDS))),
            user_agent="octue-action",
            per_page=100,
            verify=True,
            retry=0,  # PyGithub's own retries would wait for the end of a rate limit, for up to an hour
            pool_size=None,
            lazy=True,  # nothing is read only to have an object of it
            api_version=API_VERSION,
        )
        self._cancellation = cancellation
        self._end = cancellation.now() + CALL_SECONDS

    def requestJson(self, verb: str, url: str, *arguments: Any, **named: Any) -> tuple[int, dict[str, Any], str]:  # noqa: N802 - PyGithub's name
        """Send a request, each that PyGithub makes.

        :raises _Trouble: where it is not answered, or with 5xx, and cannot be repeated or not any more.
        """
        for _ in _tries(self._cancellation):
            try:
                return self._once(verb, url, *arguments, **named)
            except _Trouble as error:
                trouble = error
                if verb == "POST":
                    break
        raise trouble

    def _once(self, verb: str, url: str, *arguments: Any, **named: Any) -> tuple[int, dict[str, Any], str]:
        self._cancellation.check()
        if self._cancellation.now() > self._end:
            raise GitHubError(f"GitHub takes over {CALL_SECONDS:.0f} s.", _AGAIN)
        if not url.startswith(("/", f"{self.base_url}/")):
            raise _led_elsewhere()
        try:
            status, headers, body = super().requestJson(verb, url, *arguments, **named)
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            raise _Trouble(f"does not answer: {type(error).__name__}") from None
        if status >= requests.codes.internal_server_error:
            raise _Trouble(f"is in trouble: it answers {status}")
        if requests.codes.multiple_choices <= status < requests.codes.bad_request:
            raise _led_elsewhere()
        return status, headers, body


class _DirectConnection(HTTPRequestsConnectionClass):
    """A connection to this machine itself, whatever the variables say of proxies."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.session.trust_env = False


class _LoopbackRequester(_Requester):
    """Asks an emulator on this machine."""


_LoopbackRequester.injectConnectionClasses(_DirectConnection, HTTPSRequestsConnectionClass)


def _requester(api_url: str, token: str, cancellation: Cancellation) -> _Requester:
    kind = _LoopbackRequester if _LOOPBACK_URL.fullmatch(api_url) else _Requester
    return kind(api_url, token, cancellation)


def _tries(cancellation: Cancellation) -> Iterator[None]:
    yield
    for pause in PAUSES:
        cancellation.pause(pause)
        yield


def _led_elsewhere() -> GitHubError:
    return GitHubError("GitHub's answer leads elsewhere, where the token is not sent.", _AGAIN)


def _marker(key: str) -> str:
    return f"<!-- octue-action: {key} -->"


def _id(item: Any) -> int:
    """The number of something; the older, the lower."""
    number = item.id
    if not isinstance(number, int):
        raise TypeError("There is no id")
    return number


def _web_address(item: Any) -> str:
    address = item.html_url
    if not isinstance(address, str):
        raise TypeError("There is no address")
    return address


def _says(item: IssueComment | Issue, text: str) -> bool:
    """Whether it says a text already, whatever became of its line ends."""
    return (item.body or "").replace("\r\n", "\n").rstrip() == text.rstrip()


def _delete(comment: IssueComment) -> None:
    try:
        comment.delete()
    except GithubException as refusal:
        if refusal.status != requests.codes.not_found:  # else another run has deleted it
            raise


def _payload(deployment: Deployment) -> Mapping[str, Any] | None:
    try:
        return deployment.payload
    except BadAttributeException:  # somebody else's may be a text
        return None


def _state(deployment: Deployment) -> str:
    """How a deployment stands by its newest status."""
    newest = max(deployment.get_statuses(), key=_id, default=None)
    return newest.state if newest is not None else ""


def _is_of_rate_limit(refusal: GithubException, headers: Mapping[str, str]) -> bool:
    """Whether a request was one too many ("Troubleshooting", Rate limit errors)."""
    if refusal.status == requests.codes.too_many_requests or isinstance(refusal, RateLimitExceededException):
        return True
    return refusal.status == requests.codes.forbidden and (
        headers.get("x-ratelimit-remaining") == "0" or "retry-after" in headers
    )


def _end_of_rate_limit(headers: Mapping[str, str]) -> str:
    """Until when, as a clause; nothing where the answer does not say it."""
    with suppress(*GARBAGE, OSError):
        if "retry-after" in headers:
            return f" for {int(headers['retry-after'])} s"
        return f" until {datetime.fromtimestamp(int(headers['x-ratelimit-reset']), UTC):%Y-%m-%d %H:%M:%S} UTC"
    return ""


def _needed(accepted: str, permission: str) -> dict[str, str]:
    """The permissions that a request needs, as a workflow names them.

    :param accepted: ``X-Accepted-GitHub-Permissions``: sets of permissions with ``;`` between them, of which any one
        is enough.
    :param permission: preferred to others, and needed where the answer does not say anything.
    """
    accepted_sets = [
        {name.replace("_", "-"): level for name, level in _PERMISSION.findall(one) if name != "metadata"}
        for one in accepted.split(";")
    ]
    own = {permission: "write"}
    preferred = [one for one in accepted_sets if own.items() <= one.items()]
    return next(filter(None, (*preferred, *accepted_sets)), own)
