"""The pool of identities from outside Google Cloud, and what it has in common with the providers that are in it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from octue_action.resource import Mark, Permissions, Resource, as_description, from_description, is_ours
from octue_action.rest import RestRequest

if TYPE_CHECKING:
    from octue_action.google import Google

API = "iam.googleapis.com/v1"
"""There is no gRPC for these (cloud.google.com/iam/docs/reference/rest)."""

DELETED = "DELETED"


@dataclass(frozen=True, kw_only=True)
class Federation(Resource):
    """A pool, or a provider in one. They have no labels, so a description says whose it is.

    What is deleted can be undeleted for 30 days, and its id is taken as long
    (cloud.google.com/iam/docs/manage-workload-identity-pools-providers).

    :param display_name: what the console shows, at most 32 characters.
    :param owner: the labels that it would carry if it could.
    :param state: ``ACTIVE``; of an actual one also ``DISABLED``, when nobody gets in by it, or ``DELETED``.
    """

    project_id: Annotated[str, Mark.IDENTITY]
    pool_id: Annotated[str, Mark.IDENTITY]
    display_name: str
    owner: Annotated[Mapping[str, str], Mark.ADDITIVE]
    state: str = "ACTIVE"

    id_parameter: ClassVar[str]
    """Of the query that makes one: what its id is called."""
    collection: ClassVar[str]
    """As permissions call these things."""

    @property
    def console_url(self) -> str:
        return (
            f"https://console.cloud.google.com/iam-admin/workload-identity-pools/pool/{self.pool_id}"
            f"?project={self.project_id}"
        )

    @property
    def permissions(self) -> Permissions:
        return Permissions(
            read=(f"iam.{self.collection}.get",),
            create=(f"iam.{self.collection}.create",),
            update=(f"iam.{self.collection}.update", f"iam.{self.collection}.undelete"),
            delete=(f"iam.{self.collection}.delete",),
        )

    @property
    def is_there(self) -> bool:
        return self.state != DELETED

    def read(self, google: Google) -> Self | None:
        found = google.find(google.rest(f"get_{self.kind}"), RestRequest("GET", f"{API}/{self.resource_name}"))
        return self._canonical(found) if found is not None else None

    def create(self, google: Google) -> Self:
        parent, _, own_id = self.resource_name.rpartition("/")
        request = RestRequest("POST", f"{API}/{parent}", {self.id_parameter: own_id}, self._body(self.owner))
        return self._written(google, f"create_{self.kind}", request)

    def update(self, google: Google, actual: Self) -> Self:
        if actual.state == DELETED:
            undeletion = RestRequest("POST", f"{API}/{self.resource_name}:undelete", body={})
            google.finish_rest(google.write(google.rest(f"undelete_{self.kind}"), undeletion), API)
        body = self._body({**actual.owner, **self.owner}, actual)
        request = RestRequest("PATCH", f"{API}/{self.resource_name}", {"updateMask": ",".join(body)}, body)
        return self._written(google, f"update_{self.kind}", request)

    def delete(self, google: Google) -> None:
        actual = self.read(google)
        if actual is None or not actual.is_there:
            return
        request = RestRequest("DELETE", f"{API}/{self.resource_name}")
        operation = google.remove(google.rest(f"delete_{self.kind}"), request)
        if operation is not None:
            google.finish_rest(operation, API)

    @property
    @abstractmethod
    def resource_name(self) -> str:
        """Relative name, with the project's id."""

    def _written(self, google: Google, method: str, request: RestRequest) -> Self:
        return self._canonical(google.finish_rest(google.write(google.rest(method), request), API))

    def _body(self, owner: Mapping[str, str], actual: Self | None = None) -> dict[str, Any]:
        """All that is said of it, as the API has it.

        :param actual: what is there of it already.
        """
        return {
            "displayName": self.display_name,
            "description": as_description(owner),
            "disabled": False,
        }

    def _canonical(self, message: Mapping[str, Any]) -> Self:
        owner, state = from_description(message.get("description", "")), message.get("state", "ACTIVE")
        return replace(
            self,
            display_name=message.get("displayName", ""),
            owner=owner,
            state="DISABLED" if message.get("disabled") and state != DELETED else state,
            ours=is_ours(owner, self.owner),
        )


@dataclass(frozen=True, kw_only=True)
class WorkloadIdentityPool(Federation):
    """A pool of identities; what it may do is in the policies that name identities of it."""

    kind: ClassVar[str] = "workload_identity_pool"
    title: ClassVar[str] = "Workload identity pool"
    id_parameter: ClassVar[str] = "workloadIdentityPoolId"
    collection: ClassVar[str] = "workloadIdentityPools"

    @property
    def name(self) -> str:
        return self.pool_id

    @property
    def resource_name(self) -> str:
        return f"projects/{self.project_id}/locations/global/workloadIdentityPools/{self.pool_id}"
