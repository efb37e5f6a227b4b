"""The account by which one of Google's APIs acts in the project, made before the API is first used."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from octue_action.resource import Mark, Permissions, Resource
from octue_action.resources.iam_member import read_policy
from octue_action.rest import RestRequest

if TYPE_CHECKING:
    from octue_action.google import Google

API = "serviceusage.googleapis.com/v1beta1"
"""The one version that makes service identities, and over HTTP alone."""


@dataclass(frozen=True, kw_only=True)
class ServiceIdentity(Resource):
    """A service agent. That it has a role on the project is the only sign of it: none can be read.

    One that is made on request gets no role by that, and to make it takes no permission
    (cloud.google.com/iam/docs/create-service-agents).

    :param api: whose it is, ``eventarc.googleapis.com``.
    :param email: ``service-NUMBER@gcp-sa-eventarc.iam.gserviceaccount.com``.
    """

    kind: ClassVar[str] = "service_identity"
    title: ClassVar[str] = "Service identity"

    project_id: Annotated[str, Mark.IDENTITY]
    api: Annotated[str, Mark.IDENTITY]
    email: Annotated[str, Mark.IDENTITY]

    @property
    def name(self) -> str:
        return self.email

    @property
    def console_url(self) -> str:
        return f"https://console.cloud.google.com/iam-admin/iam?project={self.project_id}"

    @property
    def permissions(self) -> Permissions:
        return Permissions(read=("resourcemanager.projects.getIamPolicy",))

    def read(self, google: Google) -> Self | None:
        resource = f"projects/{self.project_id}"
        with google.policy_lock(resource):
            policy = google.policies[resource] = read_policy(google, resource)
        member = f"serviceAccount:{self.email}"
        return self if any(member in binding.members for binding in policy.bindings) else None

    def create(self, google: Google) -> Self:
        url = f"{API}/projects/{self.project_id}/services/{self.api}:generateServiceIdentity"
        operation = google.write(google.rest("generate_service_identity"), RestRequest("POST", url, body={}))
        made = google.finish_rest(operation, API)
        return replace(self, email=str(made.get("email", self.email)))

    def update(self, google: Google, actual: Self) -> Self:
        return actual

    def delete(self, google: Google) -> None:
        """Google Cloud keeps it."""
