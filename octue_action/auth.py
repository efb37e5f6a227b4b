"""From GitHub's token to Google's: Workload Identity Federation, in memory, and every refusal in plain words."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import google.auth.exceptions
import google.auth.transport.requests
import requests
from google.auth import identity_pool
from google.auth.credentials import Credentials

from octue_action.cancellation import Cancellation, Cancelled
from octue_action.failure import Failure, GoogleError
from octue_action.github_context import GARBAGE, is_from_fork, json_file
from octue_action.permissions import EVENTS
from octue_action.problems import Rejected
from octue_action.redaction import redacted
from octue_action.session import SCOPE, session_for

if TYPE_CHECKING:
    from octue_action.settings import GitHubContext, Settings

TOKEN_SECONDS = 30.0
"""How long GitHub, STS and IAM Credentials may each take to answer."""

TROUBLE_SECONDS = 30.0
"""How long one of them is asked again while it says that it is in trouble: they answer 5xx now and then."""

SHOWN_CLAIMS = (
    "sub", "repository", "repository_id", "repository_owner", "repository_owner_id", "ref", "event_name", "environment",
)  # fmt: skip
"""Claims of GitHub's token that attribute conditions are written with; none of them is secret."""

Mask = Callable[[str], None]

GOOGLES_HOSTS = frozenset({"sts.googleapis.com", "iamcredentials.googleapis.com", "oauth2.googleapis.com"})
"""Where credentials may be exchanged: the hosts that google-github-actions/auth and Google's keys name."""

_ADDRESS = re.compile(r"(?P<scheme>https?)://(?P<host>[a-z0-9.-]+)(?::[0-9]+)?/[!-~]*", re.IGNORECASE)
"""An address that everybody reads alike: nothing before the host but the scheme, nothing odd behind it."""


class AuthenticationError(Failure):
    """Google Cloud would not let this workflow in, or GitHub would not vouch for it."""


class SignIn:
    """Signing in to Google Cloud.

    :param settings: which provider and account, or which credentials file.
    :param mask: told every token before it is used.
    :param cancellation: after which no server in trouble is asked again.
    :raises AuthenticationError: where a credentials file cannot be used.

    ``credentials`` are there at once, so that connections can be opened with them; they work after ``wait``.
    """

    def __init__(self, settings: Settings, mask: Mask, cancellation: Cancellation | None = None) -> None:
        self._settings = settings
        self._cancellation = cancellation or Cancellation()
        self._provider = _GitHubToken(settings, mask, self._cancellation)
        self.credentials: Credentials = _Masked(
            _federated(settings, self._provider) if settings.workload_identity_provider else _from_file(settings),
            mask,
            self._cancellation,
        )

    def wait(self) -> Credentials:
        """Have the first token issued, and give the credentials.

        :raises AuthenticationError: where a token is refused, with the cause and what to do.
        """
        # Without the causes: their texts, and so a traceback's, have the whole body of an answer.
        try:
            session = session_for(emulator=self._settings.emulator is not None)
            self.credentials.refresh(google.auth.transport.requests.Request(session))
        except GARBAGE as error:
            raise _not_understood(type(error).__name__) from None
        except google.auth.exceptions.GoogleAuthError as error:
            self._cancellation.check()
            raise _explain(error, self._settings, self._provider.claims) from None
        return self.credentials


def sign_in(settings: Settings, mask: Mask, cancellation: Cancellation | None = None) -> Credentials:
    """Get credentials that work.

    The parameters, and what is raised, are those of ``SignIn``.
    """
    return SignIn(settings, mask, cancellation).wait()


_REFUSALS = (
    google.auth.exceptions.OAuthError,
    google.auth.exceptions.RefreshError,
    google.auth.exceptions.TransportError,
)


class _Refused(google.auth.exceptions.RefreshError):
    """A refusal of which only the words and the status are kept.

    :param error: of google-auth.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(_said(error))  # type: ignore[no-untyped-call]  # google-auth has no types here
        self.status = _status(error)


class _Masked(Credentials):
    """Credentials whose tokens the mask is told before they are used, also when they are renewed later.

    :param credentials: those of google-auth.
    :param mask: told every token.
    :param cancellation: after which no server in trouble is asked again.
    """

    def __init__(self, credentials: Credentials, mask: Mask, cancellation: Cancellation) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # google-auth has no types here
        self._credentials = credentials
        self._mask = mask
        self._cancellation = cancellation

    def refresh(self, request: Callable[..., Any]) -> None:
        """Get a new token; google-auth calls this."""
        try:
            self._credentials.refresh(_patient(request, self._mask, self._cancellation))
        except Cancelled:
            # gRPC's own threads, which call this too, know no other end than an error.
            raise google.auth.exceptions.RefreshError("The run is to end.") from None
        except _REFUSALS as error:
            # A renewal's errors reach people by way of gRPC, which adds all that they say to its own message.
            raise _Refused(error) from None
        if not isinstance(self._credentials.token, str):
            raise TypeError("google-auth takes any answer with a time for one with a token")
        self.token, self.expiry = self._credentials.token, self._credentials.expiry


def _patient(request: Callable[..., Any], mask: Mask, cancellation: Cancellation) -> Callable[..., Any]:
    """google-auth's way to ask, made to ask again where a server is in trouble, and to mask what is answered.

    On the way to the last token there are others: GitHub's, where a file names its source, and the federated one.
    """

    def ask(*arguments: Any, **named: Any) -> Any:
        for _ in cancellation.poll(TROUBLE_SECONDS, first=0.5, growth=2.0, most=5.0):
            try:
                answer, lost = request(*arguments, **{**named, "timeout": cancellation.within(TOKEN_SECONDS)}), None
            except google.auth.exceptions.TransportError as error:
                answer, lost = None, error
            if answer is not None and not _is_trouble(answer.status):
                break
        if lost is not None:
            raise lost
        for token in _tokens_in(answer.data):
            mask(token)
        return answer

    return ask


def _tokens_in(body: bytes | str) -> list[str]:
    try:
        fields = json.loads(body).items()
    except GARBAGE:
        return []
    names = {"access_token", "accessToken", "value"}
    return [value for name, value in fields if name in names and isinstance(value, str)]


def _federated(settings: Settings, provider: _GitHubToken) -> Credentials:
    account = settings.deployer_service_account
    return identity_pool.Credentials(
        audience=f"//iam.googleapis.com/{settings.workload_identity_provider}",
        subject_token_type="urn:ietf:params:oauth:token-type:jwt",  # noqa: S106 - the name of a kind, not a secret
        token_url=_url(settings.emulator, "sts.googleapis.com", "/v1/token"),
        subject_token_supplier=provider,
        service_account_impersonation_url=account
        and _url(
            settings.emulator,
            "iamcredentials.googleapis.com",
            f"/v1/projects/-/serviceAccounts/{account}:generateAccessToken",
        ),
        # Less than the hour that is allowed: a clock that is not quite right would make it more.
        service_account_impersonation_options={"token_lifetime_seconds": 3300},
        scopes=[SCOPE],
    )


def _from_file(settings: Settings) -> Credentials:
    """Credentials of a file as google-github-actions/auth writes it: of a federation, or a service account's key.

    google-auth's own loader of any file would ask Google at once for the project, also where an emulator is meant.
    """
    path = settings.credentials_file
    try:
        content = json_file(Path(str(path)))
        _refuse_strangers(content, settings)
        credentials: Credentials = _loader(content["type"])(content, scopes=[SCOPE])
    except (google.auth.exceptions.GoogleAuthError, Rejected, *GARBAGE) as error:
        raise AuthenticationError(
            redacted(f"The credentials file {path} cannot be used: {type(error).__name__}: {error}"),
            "Remove GOOGLE_APPLICATION_CREDENTIALS and give this action `workload_identity_provider` instead.",
        ) from None
    return credentials


def _loader(kind: str) -> Any:
    if kind == "external_account":
        return identity_pool.Credentials.from_info
    if kind == "service_account":
        from google.oauth2 import service_account

        return service_account.Credentials.from_service_account_info
    raise ValueError(f"its type is {kind!r}")


def _refuse_strangers(content: Mapping[str, Any], settings: Settings) -> None:
    """Refuse a file that would have a token sent to anybody but Google, or taken from anybody but GitHub.

    google-auth itself checks none of it (google.auth.identity_pool.Credentials says so).

    :raises ValueError: with the field that leads elsewhere.
    """
    for name in ("token_url", "token_uri", "service_account_impersonation_url"):
        if name in content and not _may_be_asked(str(content[name]), settings.emulator):
            raise ValueError(f"its {name} is not Google's")
    source = content.get("credential_source", {})
    theirs, given = (_origin(str(url)) for url in (settings.github.id_token_request_url, source.get("url")))
    if source and (given is None or given != theirs):
        raise ValueError("its credential_source is not GitHub's")


def _may_be_asked(url: str, emulator: str | None) -> bool:
    hosts = {"127.0.0.1", "localhost"} if emulator else GOOGLES_HOSTS
    return _origin(url) in {("http" if emulator else "https", host) for host in hosts}


def _origin(url: str) -> tuple[str, str] | None:
    """Scheme and host; the port is left to whoever wrote the address, since some leave out the usual one."""
    address = _ADDRESS.fullmatch(url)
    return (address["scheme"].lower(), address["host"].lower()) if address else None


def _url(emulator: str | None, host: str, path: str) -> str:
    return f"http://{emulator}/{host}{path}" if emulator else f"https://{host}{path}"


class _GitHubToken(identity_pool.SubjectTokenSupplier):
    """Asks GitHub for a token that says which repository, branch and event this job is.

    :param settings: the provider is the token's audience.
    :param mask: told every token.
    :param cancellation: after which no server in trouble is asked again.
    """

    def __init__(self, settings: Settings, mask: Mask, cancellation: Cancellation) -> None:
        self._github = settings.github
        self._emulator = settings.emulator
        self._session = session_for(emulator=settings.emulator is not None)
        self._audience = f"https://iam.googleapis.com/{settings.workload_identity_provider}"
        self._mask = mask
        self._cancellation = cancellation
        self.claims: Mapping[str, Any] = {}

    def get_subject_token(self, context: Any, request: Any) -> str:  # noqa: ARG002 - google-auth's signature
        """GitHub's token for the provider; google-auth calls this."""
        url, secret = self._github.id_token_request_url, self._github.id_token_request_token
        if not url or not secret:
            raise _no_id_token(self._github)
        if self._emulator and not _may_be_asked(url, self._emulator):
            raise AuthenticationError(
                "GOOGLE_CLOUD_EMULATOR_HOST is set, and no emulator is given a token of GitHub itself.",
                "Remove GOOGLE_CLOUD_EMULATOR_HOST from the job, or let the emulator play GitHub, too.",
            )
        try:
            token = self._ask(url, secret).json()["value"]
            if not isinstance(token, str):
                raise TypeError(f"{type(token).__name__} is no token")
        except (requests.RequestException, *GARBAGE) as error:
            raise AuthenticationError(
                f"GitHub did not give an identity token: {type(error).__name__}.",
                "Run the job again; if it stays, look at https://www.githubstatus.com.",
            ) from error
        self._mask(token)
        self.claims = _claims(token)
        return token

    def _ask(self, url: str, secret: str) -> requests.Response:
        for _ in self._cancellation.poll(TROUBLE_SECONDS, first=0.5, growth=2.0, most=5.0):
            try:
                return self._ask_once(url, secret)
            except requests.RequestException as error:
                if not _is_server_trouble(error):
                    raise
                trouble = error
        raise trouble

    def _ask_once(self, url: str, secret: str) -> requests.Response:
        answer = self._session.get(
            url,
            params={"audience": self._audience},
            headers={"Authorization": f"bearer {secret}"},
            timeout=self._cancellation.within(TOKEN_SECONDS),
        )
        answer.raise_for_status()
        return answer


def _is_trouble(status: int) -> bool:
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS


def _is_server_trouble(error: Exception) -> bool:
    if isinstance(error, requests.HTTPError):
        return error.response is not None and _is_trouble(error.response.status_code)
    return isinstance(error, requests.ConnectionError | requests.Timeout)


def _claims(token: str) -> Mapping[str, Any]:
    """What the token says; its signature is Google's to check."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except GARBAGE:
        return {}
    return {name: claims[name] for name in SHOWN_CLAIMS if name in claims} if isinstance(claims, dict) else {}


def _no_id_token(github: GitHubContext) -> AuthenticationError:
    if is_from_fork(github):
        return AuthenticationError(
            "This run is for a pull request from a fork, and GitHub gives those no identity token.",
            "Let this workflow run on `push` to a branch of this repository, not on pull requests from forks.",
        )
    return AuthenticationError(
        "GitHub gives this job no identity token, because the job lacks the permission `id-token: write`.",
        "Add to the job in your workflow file:\n\npermissions:\n  contents: read\n  id-token: write",
    )


def _explain(error: Exception, settings: Settings, claims: Mapping[str, Any]) -> AuthenticationError:
    """The refusal in plain words. The texts of STS are in google-github-actions/auth, docs/TROUBLESHOOTING.md."""
    from octue_action.diagnosis import explain

    text = _said(error)
    about = {"provider": settings.workload_identity_provider, "deployer": settings.deployer_service_account}
    refusal = GoogleError(
        "sign_in", getattr(error, "status", ""), text, metadata={name: value for name, value in about.items() if value}
    )
    diagnosis = explain(refusal, project_id=settings.project_id, caller=settings.repository_principal)
    if diagnosis is None:
        return AuthenticationError(f"Google Cloud did not let this run in: {text}", _AGAIN)
    asked = _recommended(settings.github) if "attribute condition" in text else {}
    told = [diagnosis.cause, f"Google's answer: {text}", _claims_told(claims, asked)]
    return AuthenticationError("\n".join(filter(None, told)), diagnosis.remedy)


def _claims_told(claims: Mapping[str, Any], asked: Mapping[str, tuple[str, ...]]) -> str:
    """What GitHub's token says, beside what a condition asks for.

    :param asked: the values that it lets in, by claim; nothing where no condition matters.
    """
    if not claims:
        return ""
    heading = (
        "GitHub's token says (and in brackets, what that condition asks for):" if asked else "GitHub's token says:"
    )
    lines = [f"  {name}: {value}{_wanted(asked.get(name))}" for name, value in claims.items()]
    return "\n".join([*([_verdict(claims, asked)] if asked else []), heading, *lines])


def _verdict(claims: Mapping[str, Any], asked: Mapping[str, tuple[str, ...]]) -> str:
    reasons = [
        f"{name} is {claims.get(name, 'not said')}, not {_one_of(values)}"
        for name, values in asked.items()
        if str(claims.get(name, "")) not in values
    ]
    if reasons:
        return f"The condition that the README recommends would refuse this token: {'; '.join(reasons)}."
    return (
        "With the numbers of this repository, the condition that the README recommends would let this token in: the "
        "provider's own asks for something else, such as another repository."
    )


def _wanted(values: tuple[str, ...] | None) -> str:
    return f" [{_one_of(values)}]" if values else ""


def _recommended(github: GitHubContext) -> Mapping[str, tuple[str, ...]]:
    """The values of claims that the README's condition lets in, for this very repository."""
    return {
        "repository_owner_id": (github.repository_owner_id,),
        "repository_id": (github.repository_id,),
        "ref": ("refs/heads/main",),
        "event_name": EVENTS,
    }


def _one_of(values: tuple[str, ...]) -> str:
    return " or ".join(values)


_AGAIN = "Run the job again; if it stays, look at https://status.cloud.google.com."


def _not_understood(what: str) -> AuthenticationError:
    return AuthenticationError(
        f"Google Cloud answered with something that is neither token nor refusal: {what}.", _AGAIN
    )


def _status(error: Exception) -> str:
    """``unauthorized_client`` of STS, ``PERMISSION_DENIED`` of IAM Credentials; empty where none is said."""
    try:
        refusal = json.loads(error.args[1])["error"]
    except GARBAGE:
        return ""
    status = refusal.get("status") if isinstance(refusal, dict) else refusal
    return status if isinstance(status, str) and _STATUS.fullmatch(status) else ""


_STATUS = re.compile(r"[A-Za-z_]{1,40}")


def _said(error: Exception) -> str:
    """What the answer said, without any token.

    google-auth puts the whole body of an answer into its errors: of that, only the words of a refusal are taken.
    """
    first, body = (*error.args, "", "")[:2]
    try:
        answer = json.loads(body)
        refusal = answer["error"]
    except GARBAGE:
        text = "the answer makes no sense" if first == body else first
    else:
        text = refusal.get("message") if isinstance(refusal, dict) else refusal
        if isinstance(answer.get("error_description"), str):
            text = f"{text}: {answer['error_description']}"
        if not isinstance(text, str):
            text = "the refusal makes no sense"
    return redacted(str(text))
