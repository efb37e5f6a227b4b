"""From GitHub's token to Google's: Workload Identity Federation, in memory, and every refusal in plain words."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import google.auth
import google.auth.exceptions
import google.auth.transport.requests
import requests
from google.api_core import retry
from google.auth import identity_pool
from google.auth.credentials import Credentials

from octue_action.google import SCOPE, Failure

if TYPE_CHECKING:
    from octue_action.settings import GitHubContext, Settings

TOKEN_SECONDS = 30.0
"""How long GitHub, STS and IAM Credentials may each take to answer."""

SHOWN_CLAIMS = (
    "sub", "repository", "repository_id", "repository_owner", "repository_owner_id", "ref", "event_name", "environment",
)  # fmt: skip
"""Claims of GitHub's token that attribute conditions are written with; none of them is secret."""

Mask = Callable[[str], None]

_TOKEN = re.compile(r"ya29\.[\w.~+/-]+|eyJ[\w-]+(\.[\w-]+){0,2}|(?<=oken\": \")[^\"]+|(?<=oken\":\")[^\"]+")
"""Google's access tokens, JSON web tokens, and whatever stands in a JSON field whose name ends in ``token``."""


class AuthenticationError(Failure):
    """Google Cloud would not let this workflow in, or GitHub would not vouch for it."""


def sign_in(settings: Settings, mask: Mask) -> Credentials:
    """Get credentials that work: the first token has been issued when this returns.

    :param settings: which provider and account, or which credentials file.
    :param mask: told every token before it is used.
    :raises AuthenticationError: where a token is refused, with the cause and what to do.
    """
    provider = _GitHubToken(settings, mask)
    credentials = (
        _federated(settings, provider) if settings.workload_identity_provider else _from_file(settings.credentials_file)
    )
    request = google.auth.transport.requests.Request()
    try:
        _while_unavailable(lambda: credentials.refresh(request))
    except google.auth.exceptions.GoogleAuthError as error:
        raise _explain(error, settings, provider.claims) from error
    mask(str(credentials.token))
    return credentials


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
        scopes=[SCOPE],
    )


def _from_file(path: Path | None) -> Credentials:
    try:
        credentials: Credentials = google.auth.load_credentials_from_file(str(path), scopes=[SCOPE])[0]
    except (google.auth.exceptions.GoogleAuthError, OSError, ValueError) as error:
        raise AuthenticationError(
            f"The credentials file {path} cannot be used: {error}",
            "Remove GOOGLE_APPLICATION_CREDENTIALS and give this action `workload_identity_provider` instead.",
        ) from error
    return credentials


def _url(emulator: str | None, host: str, path: str) -> str:
    return f"http://{emulator}/{host}{path}" if emulator else f"https://{host}{path}"


def _while_unavailable(refresh: Callable[[], None]) -> None:
    """Repeat what google-auth marks as worth repeating: STS and IAM Credentials answer 5xx now and then."""
    retry.Retry(predicate=lambda error: getattr(error, "retryable", False), initial=0.5, maximum=5.0, timeout=30.0)(
        refresh
    )()


class _GitHubToken(identity_pool.SubjectTokenSupplier):
    """Asks GitHub for a token that says which repository, branch and event this job is.

    :param settings: the provider is the token's audience.
    :param mask: told every token.
    """

    def __init__(self, settings: Settings, mask: Mask) -> None:
        self._github = settings.github
        self._audience = f"https://iam.googleapis.com/{settings.workload_identity_provider}"
        self._mask = mask
        self.claims: Mapping[str, Any] = {}

    def get_subject_token(self, context: Any, request: Any) -> str:  # noqa: ARG002 - google-auth's signature
        """GitHub's token for the provider; google-auth calls this."""
        url, secret = self._github.id_token_request_url, self._github.id_token_request_token
        if not url or not secret:
            raise _no_id_token(self._github)
        try:
            answer = retry.Retry(predicate=_is_server_trouble, initial=0.5, maximum=5.0, timeout=30.0)(
                lambda: self._ask(url, secret)
            )()
            token = answer.json()["value"]
        except (requests.RequestException, ValueError, KeyError, google.api_core.exceptions.RetryError) as error:
            raise AuthenticationError(
                f"GitHub did not give an identity token: {type(error).__name__}.",
                "Run the job again; if it stays, look at https://www.githubstatus.com.",
            ) from error
        self._mask(token)
        self.claims = _claims(token)
        return str(token)

    def _ask(self, url: str, secret: str) -> requests.Response:
        answer = requests.get(
            url,
            params={"audience": self._audience},
            headers={"Authorization": f"bearer {secret}"},
            timeout=TOKEN_SECONDS,
        )
        answer.raise_for_status()
        return answer


def _is_server_trouble(error: Exception) -> bool:
    if isinstance(error, requests.HTTPError):
        return error.response is not None and error.response.status_code >= requests.codes.server_error
    return isinstance(error, requests.ConnectionError | requests.Timeout)


def _claims(token: str) -> Mapping[str, Any]:
    """What the token says; its signature is Google's to check."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, binascii.Error):
        return {}
    return {name: claims[name] for name in SHOWN_CLAIMS if name in claims} if isinstance(claims, dict) else {}


def _no_id_token(github: GitHubContext) -> AuthenticationError:
    if _is_fork(github):
        return AuthenticationError(
            "This run is for a pull request from a fork, and GitHub gives those no identity token.",
            "Let this workflow run on `push` to a branch of this repository, not on pull requests from forks.",
        )
    return AuthenticationError(
        "GitHub gives this job no identity token, because the job lacks the permission `id-token: write`.",
        "Add to the job in your workflow file:\n\npermissions:\n  contents: read\n  id-token: write",
    )


def _is_fork(github: GitHubContext) -> bool:
    if not github.event_name.startswith("pull_request") or github.event_path is None:
        return False
    try:
        head = json.loads(github.event_path.read_text())["pull_request"]["head"]["repo"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    # GitHub gives null for the repository of a fork that was deleted.
    return head is None or head.get("full_name") != github.repository


def _explain(error: Exception, settings: Settings, claims: Mapping[str, Any]) -> AuthenticationError:
    """The refusal in plain words. The texts of STS are in google-github-actions/auth, docs/TROUBLESHOOTING.md."""
    text = _said(error)
    provider = settings.workload_identity_provider
    told = "\n".join(f"  {name}: {value}" for name, value in claims.items())
    if "attribute condition" in text:
        return AuthenticationError(
            f"The provider's attribute condition refuses this run. GitHub's token says:\n{told}",
            "Compare this with the condition, and change the one that is wrong:\n"
            f"gcloud iam workload-identity-pools providers describe {provider} --format='value(attributeCondition)'",
        )
    if "invalid_target" in text:
        return AuthenticationError(
            f"There is no workload identity provider {provider}, or it is disabled.",
            "Copy the full name, with the project's number, from:\n"
            "gcloud iam workload-identity-pools providers list --location=global "
            f"--workload-identity-pool=POOL --project={settings.project_id} --format='value(name)'",
        )
    if "getAccessToken" in text or "Permission" in text or "PERMISSION_DENIED" in text:
        pool = str(provider).rpartition("/providers/")[0]
        member = f"principalSet://iam.googleapis.com/{pool}/attribute.repository_id/{settings.github.repository_id}"
        return AuthenticationError(
            f"This repository may not act as {settings.deployer_service_account}, or there is no such account: {text}",
            f"gcloud iam service-accounts add-iam-policy-binding {settings.deployer_service_account} "
            f"--project={settings.project_id} --role=roles/iam.workloadIdentityUser --member='{member}'",
        )
    if "invalid_grant" in text:
        return AuthenticationError(
            f"The provider {provider} does not accept GitHub's token: {text}. The token says:\n{told}",
            "Check that the provider's issuer is https://token.actions.githubusercontent.com and that it maps "
            "google.subject to at most 127 bytes.",
        )
    return AuthenticationError(f"Google Cloud did not let this run in: {text}")


def _said(error: Exception) -> str:
    """What the answer said, without any token: google-auth puts the whole body of an answer into its errors."""
    text = " ".join(str(part) for part in error.args if isinstance(part, str | bytes))
    return _TOKEN.sub("(token)", text)
