"""IAM Credentials: short-lived tokens of a service account for those who may impersonate it."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from google.cloud import iam_credentials_v1

from emulator.errors import invalid_argument, not_found, permission_denied, permission_error
from emulator.permissions import GET_ACCESS_TOKEN, GET_ID_TOKEN
from emulator.rpc import Call
from emulator.tokens import LIFETIME_SECONDS

if TYPE_CHECKING:
    from emulator.world import World


class IamCredentials:
    """``google.iam.credentials.v1.IAMCredentials``."""

    SERVICES: ClassVar[tuple[str, ...]] = ("google.iam.credentials.v1.IAMCredentials",)

    def __init__(self, world: World) -> None:
        self._world = world

    def generate_access_token(
        self, request: iam_credentials_v1.GenerateAccessTokenRequest, call: Call
    ) -> iam_credentials_v1.GenerateAccessTokenResponse:
        """An access token of the account, for an hour at most."""
        email = self._allowed(request.name, GET_ACCESS_TOKEN, call)
        if not request.scope:
            raise invalid_argument("Request contains an invalid argument.")
        lifetime: Any = request.lifetime  # proto-plus gives a timedelta, whatever its annotation says
        seconds = lifetime.total_seconds() or LIFETIME_SECONDS
        if seconds > LIFETIME_SECONDS:
            raise invalid_argument("The access token lifetime cannot exceed 3600 seconds.")
        principal = f"serviceAccount:{email}"
        return iam_credentials_v1.GenerateAccessTokenResponse(
            access_token=self._world.tokens.issue_access_token(principal, {principal}, seconds),
            # Whole seconds: google-auth reads no others, and Google gives no others.
            expire_time=self._world.clock.now().replace(microsecond=0) + datetime.timedelta(seconds=seconds),
        )

    def generate_id_token(
        self, request: iam_credentials_v1.GenerateIdTokenRequest, call: Call
    ) -> iam_credentials_v1.GenerateIdTokenResponse:
        """An OIDC token of the account."""
        email = self._allowed(request.name, GET_ID_TOKEN, call)
        if not request.audience:
            raise invalid_argument("Request contains an invalid argument.")
        return iam_credentials_v1.GenerateIdTokenResponse(
            token=self._world.tokens.issue_id_token(email, request.audience)
        )

    def _allowed(self, name: str, permission: str, call: Call) -> str:
        account = self._world.iam.find(name.rpartition("/")[2])
        if account is None:
            raise not_found(f"Not found; Gaia id not found for email {name.rpartition('/')[2]}")
        if not self._world.access.holds(call, permission, account.name):
            raise permission_denied(*permission_error(permission, account.name))
        return str(account.email)
