"""Signing in: with the emulator where it goes as it should, with a server that says anything where it does not."""

from __future__ import annotations

import datetime
import http.server
import json
import re
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.cloud import resourcemanager_v3

from emulator.errors import ApiError
from emulator.server import Emulator
from emulator.services.sts import Provider
from emulator.tokens import Identity
from emulator.world import World
from octue_action import auth
from octue_action.auth import AuthenticationError, sign_in
from octue_action.cancellation import Cancellation
from octue_action.google import Google
from octue_action.settings import Settings, load
from tests.rights import let
from tests.runs import credentials_file

Begin = Callable[..., dict[str, str]]

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJyZXBvOm15LW9yZy9teS1yZXBvc2l0b3J5In0.c2lnbmF0dXJl"
ACCESS_TOKEN = "ya29.c.b0AXv0zTOQ-aVery_Secret.access~token+with/all=signs"
OPAQUE = "0123456789abcdef-opaque-token"
TOKENS = (JWT, ACCESS_TOKEN, OPAQUE)


def ignore(_: str) -> None:
    """A mask for tests in which nothing is to be hidden."""


@pytest.fixture
def run_settings(run_environment: Begin) -> Settings:
    """The settings of a run that may do everything, on its own."""
    return load(run_environment())


@pytest.fixture(scope="module", autouse=True)
def repositories_may_do_everything(world: World) -> None:
    """Also those that come as themselves, and not as the deployer."""
    let(world, world.sts.principal_set("ref", "refs/heads/main"))


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses between tries."""
    monkeypatch.setattr(Cancellation, "pause", lambda *_: None)


def project_read_with(credentials: Any, settings: Settings) -> str:
    """What the token opens: the project as Google Cloud shows it."""
    google = Google(credentials, settings.emulator)
    request = resourcemanager_v3.GetProjectRequest(name="projects/my-project")
    return google.read(google.projects.get_project, request).project_id


def refusal(settings: Settings) -> AuthenticationError:
    """How signing in is refused; wherever it is looked at, there is no token in it."""
    with pytest.raises(AuthenticationError) as caught:
        sign_in(settings, ignore)
    error = caught.value
    shown = "\n".join([str(error), repr(error), error.message, error.remedy, *traceback.format_exception(error)])
    assert not re.search(r"ya29|eyJ|opaque-token", shown)
    return error


# The good paths


def test_with_an_account_the_token_is_the_accounts(run_settings: Settings, world: World) -> None:
    credentials = sign_in(run_settings, ignore)
    assert world.tokens.identify(credentials.token).principal == f"serviceAccount:{world.iam.deployer}"
    assert project_read_with(credentials, run_settings) == "my-project"


def test_without_an_account_the_token_is_the_repositorys(run_environment: Begin, world: World) -> None:
    environment = run_environment()
    del environment["INPUT_DEPLOYER_SERVICE_ACCOUNT"]
    settings = load(environment)
    credentials = sign_in(settings, ignore)
    identity = world.tokens.identify(credentials.token)
    assert identity.principal == (
        f"principal://iam.googleapis.com/{world.sts.provider.pool}/subject/"
        "repo:my-org/my-repository:ref:refs/heads/main"
    )
    assert project_read_with(credentials, settings) == "my-project"


@pytest.mark.parametrize("account", [True, False], ids=["with an account", "without"])
def test_a_file_of_google_github_actions_auth_will_do(
    account: bool,
    run_environment: Begin,
    emulator: Emulator,
    tmp_path: Path,
) -> None:
    environment = run_environment()
    path = credentials_file(tmp_path, environment, emulator.world, account=account)
    del environment["INPUT_WORKLOAD_IDENTITY_PROVIDER"], environment["INPUT_DEPLOYER_SERVICE_ACCOUNT"]
    settings = load({**environment, "GOOGLE_APPLICATION_CREDENTIALS": str(path)})
    assert project_read_with(sign_in(settings, ignore), settings) == "my-project"


def test_no_credentials_file_is_written(
    run_environment: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNNER_TEMP", str(tmp_path))
    sign_in(load(run_environment()), ignore)
    assert list(tmp_path.iterdir()) == []


# Masks


@pytest.fixture
def used(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every token that STS, IAM Credentials or an API is given, in order."""
    tokens: list[str] = []
    exchange, identify = world.sts.exchange, world.tokens.identify

    def exchanged(form: Mapping[str, str]) -> dict[str, Any]:
        tokens.append(form["subject_token"])
        return exchange(form)

    def identified(token: str | None) -> Identity:
        tokens.append(str(token))
        return identify(token)

    monkeypatch.setattr(world.sts, "exchange", exchanged)
    monkeypatch.setattr(world.tokens, "identify", identified)
    return tokens


@pytest.mark.parametrize("account", [True, False], ids=["with an account", "without"])
@pytest.mark.parametrize("file", [True, False], ids=["from a file", "with a provider"])
def test_every_token_is_masked_before_it_is_used_also_when_it_is_renewed(
    account: bool,
    file: bool,
    run_environment: Begin,
    emulator: Emulator,
    tmp_path: Path,
    used: list[str],
) -> None:
    environment = run_environment()
    if file:
        path = credentials_file(tmp_path, environment, emulator.world, account=account)
        environment["GOOGLE_APPLICATION_CREDENTIALS"] = str(path)
        del environment["INPUT_WORKLOAD_IDENTITY_PROVIDER"]
    if file or not account:
        del environment["INPUT_DEPLOYER_SERVICE_ACCOUNT"]
    settings = load(environment)
    masked: list[tuple[str, int]] = []
    credentials = sign_in(settings, lambda token: masked.append((token, len(used))))
    project_read_with(credentials, settings)
    first = len(used)
    credentials.expiry = datetime.datetime(2020, 1, 1)
    project_read_with(credentials, settings)

    assert first == (3 if account else 2)
    assert len(used) > first + 1
    assert used[-1] != used[first - 1]
    for position, token in enumerate(used):
        assert any(known == token and seen <= position for known, seen in masked), f"token {position} was not masked"


# Refusals


def test_without_the_permission_the_message_says_what_to_add(run_environment: Begin) -> None:
    error = refusal(load(run_environment(id_token_permission=False)))
    assert "lacks the permission `id-token: write`" in error.message
    assert error.remedy == "Add to the job in your workflow file:\n\npermissions:\n  contents: read\n  id-token: write"


@pytest.mark.parametrize("head", [{"repo": {"full_name": "somebody/my-repository"}}, {"repo": None}])
def test_a_pull_request_from_a_fork_is_told_that_forks_get_no_token(
    head: Mapping[str, Any], run_environment: Begin, tmp_path: Path
) -> None:
    error = refusal(load(pull_request(run_environment, tmp_path, {"pull_request": {"head": head}})))
    assert "pull request from a fork" in error.message
    assert "`push`" in error.remedy


@pytest.mark.parametrize(
    "event",
    [
        {"pull_request": {"head": {"repo": {"full_name": "my-org/my-repository"}}}},
        {"pull_request": None},
        {"pull_request": {"head": {"repo": "my-org/my-repository"}}},
        [],
        {},
        "garbage",
    ],
)
def test_any_other_pull_request_is_told_of_the_permission(event: Any, run_environment: Begin, tmp_path: Path) -> None:
    error = refusal(load(pull_request(run_environment, tmp_path, event)))
    assert "lacks the permission" in error.message


def pull_request(run_environment: Begin, folder: Path, event: Any) -> dict[str, str]:
    path = folder / "event.json"
    path.write_text(json.dumps(event))
    environment = run_environment(event_name="pull_request", ref="refs/pull/1/merge", id_token_permission=False)
    return {**environment, "GITHUB_EVENT_PATH": str(path)}


def test_a_wrong_provider_is_named_with_the_command_that_lists_the_right_ones(run_settings: Settings) -> None:
    provider = "projects/123456789012/locations/global/workloadIdentityPools/github/providers/wrong"
    error = refusal(replace(run_settings, workload_identity_provider=provider))
    assert f"There is no workload identity provider {provider}" in error.message
    assert "gcloud iam workload-identity-pools providers list" in error.remedy
    assert "--project=my-project" in error.remedy


def test_a_refused_condition_is_shown_with_what_the_token_says(run_environment: Begin, world: World) -> None:
    error = refusal(load(run_environment(ref="refs/heads/try", environment="production")))
    assert "The project does not let this workflow in" in error.message
    for claim in (
        "  ref: refs/heads/try [refs/heads/main]",
        "  sub: repo:my-org/my-repository:environment:production",
        "  event_name: push [push or schedule or workflow_dispatch]",
        "  environment: production",
        "  repository: my-org/my-repository",
    ):
        assert claim in error.message.splitlines()
    assert "would refuse this token: ref is refs/heads/try, not refs/heads/main.\n" in error.message
    assert "cannot be read by a run that was not let in" in error.message
    assert (
        f"gcloud iam workload-identity-pools providers describe {world.sts.provider.name} "
        "--format='value(attributeCondition)'"
    ) in error.remedy


def test_a_token_that_the_recommended_condition_lets_in_is_told_that_the_providers_asks_for_something_else(
    run_environment: Begin,
) -> None:
    error = refusal(load(run_environment(repository="somebody/else")))

    assert "the provider's own asks for something else, such as another repository.\n" in error.message


def test_a_repository_that_may_not_act_as_the_account_is_given_the_command(
    run_settings: Settings, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.access, "holds", lambda *_: False)
    error = refusal(run_settings)
    assert f"This repository may not act as {world.iam.deployer}" in error.message
    member = world.sts.principal_set("repository_id", run_settings.github.repository_id)
    assert f"It comes as {member}, " in error.message
    assert error.remedy == (
        f"gcloud iam service-accounts add-iam-policy-binding {world.iam.deployer} --project=my-project "
        f"--role=roles/iam.workloadIdentityUser --member={member}"
    )


def test_an_account_that_does_not_exist_is_named(run_settings: Settings) -> None:
    account = "nobody@my-project.iam.gserviceaccount.com"
    error = refusal(replace(run_settings, deployer_service_account=account))
    assert error.message.startswith(f"There is no service account {account}: ")
    assert error.remedy == "gcloud iam service-accounts list --project=my-project"


def test_a_mapping_that_does_not_fit_is_an_error_with_the_words_of_sts(
    run_settings: Settings, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = world.sts.provider
    mapping = {**provider.mapping, "google.subject": "assertion.sub + assertion.sub + assertion.sub + assertion.sub"}
    monkeypatch.setattr(world.sts, "provider", Provider(provider.name, provider.issuer, mapping, provider.condition))
    error = refusal(run_settings)
    assert "The size of mapped attribute exceeds the 127 bytes limit" in error.message
    assert "  sub: repo:my-org/my-repository:ref:refs/heads/main" in error.message
    assert "update-oidc" in error.remedy


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"type": "external_account"}', '{"type": "unknown"}', "\0"])
def test_a_credentials_file_that_is_none_is_an_error_that_names_it(
    content: str, run_settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "credentials.json"
    path.write_text(content)
    error = refusal(replace(run_settings, workload_identity_provider=None, credentials_file=path))
    assert f"The credentials file {path} cannot be used" in error.message
    assert "`workload_identity_provider`" in error.remedy


# Trouble that passes


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("place", ["sts", "iam_credentials", "github"])
def test_a_server_that_is_in_trouble_for_a_moment_is_asked_again(
    place: str, run_settings: Settings, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = {"sts": "exchange", "iam_credentials": "generate_access_token", "github": "id_token"}
    service = getattr(world, place)
    works = getattr(service, methods[place])
    calls: list[int] = []

    if place == "iam_credentials":  # its methods are looked up once, when the server starts
        works = world.tokens.issue_access_token
        service, method = world.tokens, "issue_access_token"
    else:
        method = methods[place]

    def fail_at_first(*arguments: Any, **named: Any) -> Any:
        calls.append(len(calls))
        if len(calls) <= 2:
            raise ApiError(grpc.StatusCode.UNAVAILABLE, "The service is currently unavailable.")
        return works(*arguments, **named)

    monkeypatch.setattr(service, method, fail_at_first)
    assert project_read_with(sign_in(run_settings, ignore), run_settings) == "my-project"
    assert len(calls) >= 3


# A server that says anything


@dataclass
class Answers:
    """What a server answers: to GitHub's, to STS' and to IAM Credentials' callers.

    :param address: ``127.0.0.1:PORT``.
    """

    address: str = ""
    github: tuple[int, str] = (200, json.dumps({"value": JWT}))
    sts: tuple[int, str] = (200, json.dumps({"access_token": ACCESS_TOKEN, "expires_in": 300}))
    iam: tuple[int, str] = (
        200,
        json.dumps({"accessToken": ACCESS_TOKEN, "expireTime": "2099-01-01T00:00:00Z"}),
    )

    def to(self, path: str) -> tuple[int, str]:
        if "sts.googleapis.com" in path:
            return self.sts
        return self.iam if "iamcredentials.googleapis.com" in path else self.github


@pytest.fixture
def answers() -> Iterator[Answers]:
    answers = Answers()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, body = answers.to(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET  # noqa: N815 - the name is http.server's

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        answers.address = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield answers
        server.shutdown()
        thread.join()


@pytest.fixture
def strange_settings(run_settings: Settings, answers: Answers, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A run in which all of GitHub and Google Cloud is that server."""
    monkeypatch.setattr(auth, "TROUBLE_SECONDS", 0.0)
    github = replace(run_settings.github, id_token_request_url=f"http://{answers.address}/idtoken?api-version=2.0")
    return replace(run_settings, github=github, emulator=answers.address)


def test_that_server_lets_in_whom_it_should(strange_settings: Settings) -> None:
    assert sign_in(strange_settings, ignore).token == ACCESS_TOKEN


GARBAGE = [
    *("", "<html>Bad Gateway</html>", "null", "[]", "{}", "0", '"text"', "\ufeff{}", "[" * 5000),
    *(json.dumps(JWT), json.dumps([ACCESS_TOKEN]), ACCESS_TOKEN, f"token={OPAQUE}", f'{{"value": ["{JWT}"]}}'),
]
SECRETIVE = [
    *(json.dumps({name: token}) for token in TOKENS for name in ("access_token", "accessToken", "token", "value")),
    *(json.dumps({"accessToken": token, "expireTime": "soon"}) for token in TOKENS),
    *(json.dumps({"accessToken": token, "expireTime": 17}) for token in TOKENS),
    *(json.dumps({"access_token": token, "expires_in": "soon"}) for token in TOKENS),
    *(json.dumps({"access_token": token, "expires_in": 1e300}) for token in TOKENS),
    *(json.dumps({"access_token": {"value": token}}, indent=4) for token in TOKENS),
    *(json.dumps({"access_token": [token], "expires_in": 300}) for token in TOKENS),
    *(json.dumps({"accessToken": [token], "expireTime": "2099-01-01T00:00:00Z"}) for token in TOKENS),
    *(f'{{"accessToken"\n:\n"{token}"}}' for token in TOKENS),
    *(f"{{'accessToken': '{token}'}}" for token in TOKENS),
    *(f"access_token={token}&expires_in=300" for token in TOKENS),
    *(f'{{"accessToken": "{token}' for token in TOKENS),
    *(json.dumps({"error": {"message": "no", "details": [{"token": token}]}}) for token in TOKENS),
    *(json.dumps({"error": "invalid_grant", "id_token": token}) for token in TOKENS),
    *(json.dumps({"error": "invalid_grant", "error_description": f"{token} is stale"}) for token in TOKENS[:2]),
    *(json.dumps({"error": {"message": f"PERMISSION_DENIED for {token}"}}) for token in TOKENS[:2]),
    *(json.dumps({"error": [token]}) for token in TOKENS),
    *(json.dumps({"error": {token: token}}) for token in TOKENS),
    *(json.dumps([{"access_token": token}]) for token in TOKENS),
    *(json.dumps({"access_token": token}).replace('"', '\\"') for token in TOKENS),
]


@pytest.mark.parametrize("status", [200, 400, 403, 404, 500])
@pytest.mark.parametrize("place", ["github", "sts", "iam"])
def test_garbage_is_an_error_in_plain_words_and_no_token_is_in_it(
    place: str, status: int, strange_settings: Settings, answers: Answers
) -> None:
    for body in (*GARBAGE, *SECRETIVE):
        if status == 200 and any(good(place, body, token) for token in TOKENS):
            continue
        setattr(answers, place, (status, body))
        error = refusal(strange_settings)
        assert error.message, body
        assert error.remedy, body


def good(place: str, body: str, token: str) -> bool:
    """Whether an answer is what it should be: GitHub's tokens are not ours to judge."""
    return place == "github" and body == json.dumps({"value": token})


@pytest.mark.usefixtures("fast")
def test_trouble_that_does_not_pass_is_an_error(strange_settings: Settings, answers: Answers) -> None:
    for place in ("github", "sts", "iam"):
        setattr(answers, place, (503, json.dumps({"error": {"code": 503, "message": "The service is unavailable."}})))
        error = refusal(strange_settings)
        assert error.remedy
        setattr(answers, place, getattr(Answers(), place))


@pytest.mark.parametrize("account", [True, False], ids=["with an account", "without"])
def test_nobody_who_answers_is_an_error_that_says_so(account: bool, strange_settings: Settings) -> None:
    # Port 9 is nobody's on loopback.
    lost = replace(strange_settings, emulator="127.0.0.1:9")
    error = refusal(lost if account else replace(lost, deployer_service_account=None))
    assert "refused" in error.message


def test_a_github_that_does_not_answer_is_an_error_that_says_so(strange_settings: Settings) -> None:
    github = replace(strange_settings.github, id_token_request_url="http://127.0.0.1:9/idtoken")
    error = refusal(replace(strange_settings, github=github))
    assert "GitHub did not give an identity token" in error.message
    assert "githubstatus.com" in error.remedy


def test_a_service_accounts_key_will_do_too(run_settings: Settings, tmp_path: Path, answers: Answers) -> None:
    """google-github-actions/auth writes one where it is given ``credentials_json``."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path / "key.json"
    content = {
        "type": "service_account",
        "client_email": "deployer@my-project.iam.gserviceaccount.com",
        "private_key": pem.decode(),
        "private_key_id": "1",
        "token_uri": f"http://{answers.address}/token",
    }
    path.write_text(json.dumps(content))
    answers.github = (200, json.dumps({"access_token": ACCESS_TOKEN, "expires_in": 3600}))
    masked: list[str] = []
    settings = replace(run_settings, workload_identity_provider=None, credentials_file=path)
    assert sign_in(settings, masked.append).token == ACCESS_TOKEN
    assert ACCESS_TOKEN in masked
