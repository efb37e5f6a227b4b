"""The service account that an Octue service runs as."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from octue_action.cancellation import FIRST_POLL_SECONDS
from octue_action.failure import Failure, GoogleError
from octue_action.quirks import SERVICE_ACCOUNT_READ_AS_FORBIDDEN
from octue_action.resource import Mark, Permissions, Resource, as_description, from_description, is_ours

if TYPE_CHECKING:
    from google.cloud import iam_admin_v1

    from octue_action.google import Google

VISIBLE_SECONDS = 7 * 60.0
CONSECUTIVE_READS = 3
"""A new account can be read, not read and read again; Terraform's provider, too, waits for three answers in a row."""


@dataclass(frozen=True, kw_only=True)
class ServiceAccount(Resource):
    """A service account; accounts have no labels, so its description says whose it is.

    :param account_id: 6 to 30 characters, the part of the e-mail before the ``@``.
    :param email: the whole e-mail.
    :param owner: the labels that it would carry if it could.
    """

    kind: ClassVar[str] = "service_account"
    title: ClassVar[str] = "Service account"

    project_id: Annotated[str, Mark.IDENTITY]
    account_id: Annotated[str, Mark.IDENTITY]
    email: Annotated[str, Mark.IDENTITY]
    owner: Annotated[Mapping[str, str], Mark.ADDITIVE]
    display_name: str

    @property
    def name(self) -> str:
        return self.email

    @property
    def console_url(self) -> str:
        return f"https://console.cloud.google.com/iam-admin/serviceaccounts?project={self.project_id}"

    @property
    def description(self) -> str:
        """Whose it is."""
        return as_description(self.owner)

    @property
    def permissions(self) -> Permissions:
        return Permissions(
            read=("iam.serviceAccounts.get",),
            create=("iam.serviceAccounts.create",),
            update=("iam.serviceAccounts.update",),
            delete=("iam.serviceAccounts.delete",),
        )

    @property
    def own_policy(self) -> str:
        return self._resource_name

    def read(self, google: Google) -> Self | None:
        account = google.repeat(functools.partial(self._find, google), [SERVICE_ACCOUNT_READ_AS_FORBIDDEN])
        return self._canonical(account) if account is not None else None

    def create(self, google: Google) -> Self:
        from google.cloud import iam_admin_v1

        request = iam_admin_v1.CreateServiceAccountRequest(
            name=f"projects/{self.project_id}",
            account_id=self.account_id,
            service_account=iam_admin_v1.ServiceAccount(display_name=self.display_name, description=self.description),
        )
        google.write(google.iam.create_service_account, request)
        return self._wait_until_visible(google)

    def update(self, google: Google, actual: Self) -> Self:
        from google.cloud import iam_admin_v1
        from google.protobuf import field_mask_pb2

        account = iam_admin_v1.ServiceAccount(
            name=self._resource_name, display_name=self.display_name, description=self.description
        )
        request = iam_admin_v1.PatchServiceAccountRequest(
            service_account=account, update_mask=field_mask_pb2.FieldMask(paths=["display_name", "description"])
        )
        return self._canonical(google.write(google.iam.patch_service_account, request))

    def delete(self, google: Google) -> None:
        from google.cloud import iam_admin_v1

        google.remove(
            google.iam.delete_service_account, iam_admin_v1.DeleteServiceAccountRequest(name=self._resource_name)
        )

    @property
    def _resource_name(self) -> str:
        return f"projects/{self.project_id}/serviceAccounts/{self.email}"

    def _canonical(self, account: iam_admin_v1.ServiceAccount) -> Self:
        owner = from_description(account.description)
        return replace(self, display_name=account.display_name, owner=owner, ours=is_ours(owner, self.owner))

    def _find(self, google: Google) -> iam_admin_v1.ServiceAccount | None:
        from google.cloud import iam_admin_v1

        request = iam_admin_v1.GetServiceAccountRequest(name=self._resource_name)
        return google.find(google.iam.get_service_account, request)

    def _find_new(self, google: Google) -> iam_admin_v1.ServiceAccount | None:
        """The account, or None where it does not show yet; a new one also reads as forbidden for a while."""
        try:
            return self._find(google)
        except GoogleError as error:
            if not SERVICE_ACCOUNT_READ_AS_FORBIDDEN.holds(error):
                raise
            return None

    def _wait_until_visible(self, google: Google) -> Self:
        in_a_row = 0
        for _ in google.poll(VISIBLE_SECONDS, first=FIRST_POLL_SECONDS, growth=1.5, most=5.0):
            account = self._find_new(google)
            in_a_row = in_a_row + 1 if account is not None else 0
            if account is not None and in_a_row == CONSECUTIVE_READS:
                return self._canonical(account)
        raise Failure(
            f"The service account {self.email} was made, but Google Cloud does not show it after "
            f"{VISIBLE_SECONDS / 60:.0f} minutes. When the command below shows it, run the job again.",
            f"gcloud iam service-accounts describe {self.email} --project={self.project_id}",
        )
