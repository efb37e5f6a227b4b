from __future__ import annotations

import grpc
import jwt
import pytest

from emulator.clock import Clock
from emulator.errors import ApiError
from emulator.tokens import SigningKey, Tokens

EMAIL = "invoker@my-project.iam.gserviceaccount.com"
URL = "https://sum.run.app"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> Tokens:
    return Tokens(clock)


def test_an_access_token_tells_for_whom_it_was_issued(tokens: Tokens) -> None:
    identity = tokens.identify(tokens.issue_access_token("principal://x", {"principalSet://y"}))

    assert identity.principal == "principal://x"
    assert identity.members == {"principal://x", "principalSet://y"}


@pytest.mark.parametrize("token", [None, "", "ya29.", "ya29.abc", "something else"])
def test_what_is_no_access_token_is_refused(tokens: Tokens, token: str | None) -> None:
    with pytest.raises(ApiError) as refusal:
        tokens.identify(token)

    assert refusal.value.code == grpc.StatusCode.UNAUTHENTICATED


def test_an_access_token_of_another_emulator_is_refused(tokens: Tokens, clock: Clock) -> None:
    with pytest.raises(ApiError, match="invalid authentication credentials"):
        tokens.identify(Tokens(clock).issue_access_token("user:a@example.com"))


def test_an_access_token_expires_by_the_emulators_clock(tokens: Tokens, clock: Clock) -> None:
    token = tokens.issue_access_token("user:a@example.com", seconds=60)
    clock.advance(59)
    tokens.identify(token)
    clock.advance(1)

    with pytest.raises(ApiError, match="UNAUTHENTICATED"):
        tokens.identify(token)


def test_an_id_token_gives_the_account_to_its_audience(tokens: Tokens) -> None:
    token = tokens.issue_id_token(EMAIL, URL)

    assert tokens.check_id_token(token, URL) == EMAIL
    assert tokens.check_id_token(token, ["https://other.run.app", URL]) == EMAIL


def test_an_id_token_for_somebody_else_is_refused(tokens: Tokens) -> None:
    with pytest.raises(ApiError, match=f"meant for {URL}"):
        tokens.check_id_token(tokens.issue_id_token(EMAIL, URL), "https://other.run.app")


def test_an_id_token_expires(tokens: Tokens, clock: Clock) -> None:
    token = tokens.issue_id_token(EMAIL, URL)
    clock.advance(3600)

    with pytest.raises(ApiError, match="expired"):
        tokens.check_id_token(token, URL)


def test_an_id_token_that_google_did_not_sign_is_refused(tokens: Tokens) -> None:
    claims = jwt.decode(tokens.issue_id_token(EMAIL, URL), options={"verify_signature": False})

    with pytest.raises(ApiError, match="signature"):
        tokens.check_id_token(SigningKey().sign(claims), URL)


def test_an_id_token_that_google_did_not_issue_is_refused(tokens: Tokens) -> None:
    claims = jwt.decode(tokens.issue_id_token(EMAIL, URL), options={"verify_signature": False})

    with pytest.raises(ApiError, match="issuer"):
        tokens.check_id_token(tokens.key.sign(claims | {"iss": "https://accounts.example.com"}), URL)


def test_the_key_set_checks_what_the_key_signed(tokens: Tokens) -> None:
    token = tokens.issue_id_token(EMAIL, URL)
    keys = jwt.PyJWKSet.from_dict(tokens.key.key_set)

    claims = jwt.decode(token, keys[jwt.get_unverified_header(token)["kid"]], algorithms=["RS256"], audience=URL)

    assert claims["email"] == EMAIL
