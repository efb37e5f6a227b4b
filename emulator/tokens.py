"""The tokens the local Google issues and checks: signed, addressed, and valid for a limited time."""

from __future__ import annotations

import functools
import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.types import Options

from emulator.clock import Clock
from emulator.errors import ApiError, unauthenticated

GOOGLE_ISSUER = "https://accounts.google.com"
LIFETIME_SECONDS = 3600.0
_PREFIX = "ya29."
INVALID = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
    "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
)
_MISSING = (
    "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other valid "
    "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
)

# Times go by the emulator's clock, and each token's audience is checked where the token is used.
_TIMES_UNCHECKED: Options = {"verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_aud": False}


@dataclass(frozen=True)
class Identity:
    """Who a token stands for.

    :param principal: as an IAM member, ``serviceAccount:E`` or ``principal://...``.
    :param members: every IAM member it matches, itself among them.
    """

    principal: str
    members: frozenset[str]


class SigningKey:
    """An RSA key that signs JSON Web Tokens, and its public half as others may fetch it."""

    def __init__(self) -> None:
        self._private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._public = self._private.public_key()
        self.key_id = secrets.token_hex(20)

    def sign(self, claims: Mapping[str, Any]) -> str:
        """The claims as a JWT, RS256."""
        return jwt.encode(dict(claims), self._private, algorithm="RS256", headers={"kid": self.key_id})

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of a token that this key signed; times and audience are the caller's to check.

        :raises jwt.InvalidTokenError: for anything else.
        """
        claims: dict[str, Any] = jwt.decode(token, self._public, algorithms=["RS256"], options=_TIMES_UNCHECKED)
        return claims

    @functools.cached_property
    def key_set(self) -> dict[str, Any]:
        """The public key as a JSON Web Key Set."""
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._public))
        return {"keys": [{**key, "kid": self.key_id, "alg": "RS256", "use": "sig"}]}


@functools.cache
def shared_key(issuer: str) -> SigningKey:  # noqa: ARG001 - the cache tells them apart by it
    """The key of an issuer, the same in all local clouds of this process: to make one takes longer than all the rest.

    :param issuer: URL.
    """
    return SigningKey()


class Tokens:
    """Access tokens for the APIs, and OIDC tokens with which Google calls services.

    :param clock: the emulator's time, by which tokens expire.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self.key = shared_key(GOOGLE_ISSUER)

    def issue_access_token(
        self, principal: str, members: Collection[str] = (), seconds: float = LIFETIME_SECONDS
    ) -> str:
        """An opaque access token.

        :param principal: whom it stands for, as an IAM member.
        :param members: the other IAM members that this principal matches.
        :param seconds: how long it is valid.
        """
        claims = {"sub": principal, "members": sorted({principal, *members}), "exp": self._clock.time() + seconds}
        return _PREFIX + jwt.encode(claims, self._secret, algorithm="HS256")

    def identify(self, token: str | None) -> Identity:
        """Whom an access token stands for.

        :raises ApiError: UNAUTHENTICATED for none, a foreign, a changed or an expired one.
        """
        if not token:
            raise unauthenticated(_MISSING)
        try:
            claims = jwt.decode(
                token.removeprefix(_PREFIX), self._secret, algorithms=["HS256"], options=_TIMES_UNCHECKED
            )
        except jwt.InvalidTokenError:
            raise unauthenticated(INVALID) from None
        if claims["exp"] <= self._clock.time():
            raise unauthenticated(INVALID)
        return Identity(claims["sub"], frozenset(claims["members"]))

    def issue_id_token(self, email: str, audience: str) -> str:
        """An OIDC token of Google for a service account, valid for an hour.

        :param email: the service account's.
        :param audience: whom it is meant for, usually a URL.
        """
        now = int(self._clock.time())
        return self.key.sign(
            {
                "iss": GOOGLE_ISSUER,
                "aud": audience,
                "azp": email,
                "sub": email,
                "email": email,
                "email_verified": True,
                "iat": now,
                "exp": now + int(LIFETIME_SECONDS),
            }
        )

    def check_id_token(self, token: str, audience: str | Collection[str]) -> str:
        """The e-mail address in an OIDC token.

        :param token: the JWT.
        :param audience: the audience, or audiences, of which it must have one.
        :raises ApiError: UNAUTHENTICATED for a foreign, changed or expired token, or one meant for somebody else.
        """
        audiences = {audience} if isinstance(audience, str) else set(audience)
        try:
            claims = self.key.claims(token)
        except jwt.InvalidTokenError:
            raise _invalid_id_token("its signature is not Google's") from None
        if claims.get("iss") != GOOGLE_ISSUER:
            raise _invalid_id_token("its issuer is not Google")
        if claims.get("exp", 0) <= self._clock.time():
            raise _invalid_id_token("it has expired")
        if claims.get("aud") not in audiences:
            raise _invalid_id_token(f"it is meant for {claims.get('aud')}")
        return str(claims["email"])


def _invalid_id_token(reason: str) -> ApiError:
    return unauthenticated(f"The OIDC token is not valid: {reason}.")
