"""Google's Security Token Service: GitHub's token in, a federated access token out.

RFC 8693; the checks and the order of https://cloud.google.com/iam/docs/workload-identity-federation.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import celpy
import grpc
import jwt
from celpy.adapter import json_to_cel
from celpy.celparser import CELParseError
from celpy.evaluation import CELEvalError

from emulator import messages
from emulator.errors import ApiError
from emulator.tokens import LIFETIME_SECONDS

if TYPE_CHECKING:
    from emulator.world import World

METHOD = "google.identity.sts.v1.SecurityTokenService/ExchangeToken"
HOST = "sts.googleapis.com"
_GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
_ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - the name of a type, not a token
_SUBJECT_TOKEN_TYPES = {"urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token"}
_SUBJECT_LIMIT_BYTES = 127
_LEEWAY_SECONDS = 60


# RFC 6749, sections 4.1.2.1 and 5.2, for what is not the token's fault.
_ERRORS = {
    grpc.StatusCode.PERMISSION_DENIED: "access_denied",
    grpc.StatusCode.UNAUTHENTICATED: "invalid_client",
    grpc.StatusCode.UNAVAILABLE: "temporarily_unavailable",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "temporarily_unavailable",
}


class TokenError(ApiError):
    """A refusal in the form of RFC 6749, section 5.2.

    :param error: the code, ``invalid_grant``.
    :param description: the text for people.
    """

    def __init__(self, error: str, description: str) -> None:
        super().__init__(grpc.StatusCode.INVALID_ARGUMENT, description)
        self.error = error

    @property
    def name(self) -> str:
        """How the log of requests calls it."""
        return self.error


def error_json(error: ApiError) -> dict[str, str]:
    """Any refusal as this service writes it in JSON."""
    code = error.error if isinstance(error, TokenError) else _ERRORS.get(error.code, "server_error")
    return {"error": code, "error_description": error.message}


@dataclass(frozen=True)
class Provider:
    """A provider of a workload identity pool.

    :param name: full resource name, with the project's number.
    :param issuer: whose tokens it accepts.
    :param mapping: CEL expression for ``google.subject`` and each ``attribute.NAME``.
    :param condition: CEL expression that must be true; none where empty.
    :param audiences: one of which its tokens must be meant for; itself where there are none.
    """

    name: str
    issuer: str
    mapping: Mapping[str, str]
    condition: str = ""
    audiences: tuple[str, ...] = ()

    @property
    def pool(self) -> str:
        """Full resource name of the pool it belongs to."""
        return self.name.partition("/providers/")[0]


class Sts:
    """The token exchange, for the providers that there are.

    :param world: whose pools have the providers.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._name = (
            f"projects/{world.settings.project_number}/locations/global/workloadIdentityPools/github/providers/octue"
        )

    @property
    def provider(self) -> Provider:
        """The provider of the trusted repository, where the project is set up; may be replaced to try another.

        :raises LookupError: where the project is not set up.
        """
        found = self._find(self._name)
        if found is None:
            raise LookupError(f"{self._name} is not there: the project is not set up")
        return found

    @provider.setter
    def provider(self, provider: Provider) -> None:
        self._world.workload_identity.seed(
            provider.name,
            messages.WorkloadIdentityPoolProvider(
                attribute_mapping=dict(provider.mapping),
                attribute_condition=provider.condition,
                oidc=messages.Oidc(issuer_uri=provider.issuer, allowed_audiences=provider.audiences),
            ),
        )

    def principal_set(self, attribute: str, value: str) -> str:
        """The IAM member for all identities of the pool that have an attribute value.

        :param attribute: its name, without ``attribute.``.
        """
        return _principal_set(self._name.partition("/providers/")[0], attribute, value)

    def exchange(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Exchange a token.

        :param form: the fields of the request.
        :raises TokenError: where the token, or the request, is refused.
        """
        self._world.service_usage.check(METHOD, None)
        _check_form(form)
        provider = self._find(form["audience"].removeprefix("//iam.googleapis.com/"))
        if provider is None or not form["audience"].startswith("//iam.googleapis.com/"):
            raise TokenError(
                "invalid_target",
                'The target service indicated by the "audience" parameters is invalid. This might either be because '
                "the pool or provider is disabled or deleted or because it doesn't exist.",
            )
        claims = self._claims(form["subject_token"], provider)
        attributes = _attributes(claims, provider)
        principal = f"principal://iam.googleapis.com/{provider.pool}/subject/{attributes['google.subject']}"
        members = {
            _principal_set(provider.pool, name.removeprefix("attribute."), value)
            for name, value in attributes.items()
            if name.startswith("attribute.")
        }
        members.add(f"principalSet://iam.googleapis.com/{provider.pool}/*")
        seconds = min(int(claims["exp"] - self._world.clock.time()), int(LIFETIME_SECONDS))
        return {
            "access_token": self._world.tokens.issue_access_token(principal, members, seconds),
            "issued_token_type": _ACCESS_TOKEN_TYPE,
            "token_type": "Bearer",
            "expires_in": seconds,
        }

    def _find(self, name: str) -> Provider | None:
        found = self._world.workload_identity.provider(name)
        if found is None:
            return None
        return Provider(
            name=name,
            issuer=found.oidc.issuer_uri,
            mapping=dict(found.attribute_mapping),
            condition=found.attribute_condition,
            audiences=tuple(found.oidc.allowed_audiences),
        )

    def _claims(self, token: str, provider: Provider) -> dict[str, Any]:
        try:
            unverified = jwt.decode(token, options={"verify_signature": False})
        except jwt.InvalidTokenError:
            raise TokenError("invalid_grant", "Unable to parse the ID Token.") from None
        if unverified.get("iss") != provider.issuer:
            raise TokenError(
                "invalid_grant",
                f"The issuer in ID Token {unverified.get('iss')} does not match the expected ones: {provider.issuer}/",
            )
        try:
            claims = self._world.github.key.claims(token)
        except jwt.InvalidTokenError:
            raise TokenError("invalid_grant", "Invalid JWT Signature.") from None
        _check_audience(claims, provider)
        self._check_times(claims)
        return claims

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self._world.clock.time()
        if claims["exp"] <= now:
            raise TokenError("invalid_grant", f"ID Token issued at {claims['iat']} is stale to sign-in.")
        if claims["iat"] > now + _LEEWAY_SECONDS:
            raise TokenError("invalid_grant", f"ID Token issued at {claims['iat']} is not yet valid.")


def _principal_set(pool: str, attribute: str, value: str) -> str:
    return f"principalSet://iam.googleapis.com/{pool}/attribute.{attribute}/{value}"


def _check_audience(claims: Mapping[str, Any], provider: Provider) -> None:
    default = (f"https://iam.googleapis.com/{provider.name}", f"//iam.googleapis.com/{provider.name}")
    if claims.get("aud") not in (provider.audiences or default):
        raise TokenError(
            "invalid_grant", f"The audience in ID Token [{claims.get('aud')}] does not match the expected audience."
        )


def _attributes(claims: Mapping[str, Any], provider: Provider) -> dict[str, str]:
    assertion = json_to_cel(dict(claims))
    attributes = {
        name: str(_evaluate(expression, {"assertion": assertion})) for name, expression in provider.mapping.items()
    }
    if len(attributes["google.subject"].encode()) > _SUBJECT_LIMIT_BYTES:
        raise TokenError("invalid_grant", "The size of mapped attribute exceeds the 127 bytes limit.")
    if provider.condition:
        names = {"assertion": assertion, **{name: json_to_cel(value) for name, value in attributes.items()}}
        if not _evaluate(provider.condition, names):
            raise TokenError("unauthorized_client", "The given credential is rejected by the attribute condition.")
    return attributes


def _check_form(form: Mapping[str, str]) -> None:
    if form.get("grant_type") != _GRANT_TYPE:
        raise TokenError("unsupported_grant_type", f"Invalid grant_type: it must be {_GRANT_TYPE}.")
    for name in ("audience", "subject_token", "subject_token_type", "requested_token_type", "scope"):
        if not form.get(name):
            raise TokenError("invalid_request", f"Missing required field {name}.")
    if form["subject_token_type"] not in _SUBJECT_TOKEN_TYPES:
        raise TokenError("invalid_request", f"Invalid subject_token_type: {form['subject_token_type']}.")


@functools.lru_cache
def _program(expression: str) -> Any:
    environment = celpy.Environment()
    return environment.program(environment.compile(expression))


def _evaluate(expression: str, names: dict[str, Any]) -> Any:
    try:
        return _program(expression).evaluate(names)
    except (CELEvalError, CELParseError):
        raise TokenError("invalid_grant", "The attribute mapping or condition could not be evaluated.") from None
