"""One of Google's APIs, switched on in the project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from octue_action.quirks import APIS_ARE_BEING_SWITCHED, Quirk
from octue_action.resource import Mark, Permissions, Resource

if TYPE_CHECKING:
    from octue_action.google import Google

SERVICE_USAGE = "serviceusage.googleapis.com"
"""The API that switches others on: it is on in every new project."""


def project_number(google: Google, project_id: str) -> str:
    """The number of a project, as Service Usage says it: Resource Manager may be off as yet.

    :raises GoogleError: where there is no such project, or the caller may not see its services.
    """
    from google.cloud import service_usage_v1

    request = service_usage_v1.GetServiceRequest(name=f"projects/{project_id}/services/{SERVICE_USAGE}")
    return str(google.read(google.service_usage.get_service, request).parent.rpartition("/")[2])


@dataclass(frozen=True, kw_only=True)
class ProjectService(Resource):
    """An API that is on; one that is off is as good as not there, and neither is anything of its kind.

    :param api: its host, ``run.googleapis.com``.
    """

    kind: ClassVar[str] = "project_service"
    title: ClassVar[str] = "Enabled API"

    project_id: Annotated[str, Mark.IDENTITY]
    api: Annotated[str, Mark.IDENTITY]

    @property
    def name(self) -> str:
        return self.api

    @property
    def console_url(self) -> str:
        return f"https://console.cloud.google.com/apis/library/{self.api}?project={self.project_id}"

    @property
    def permissions(self) -> Permissions:
        return Permissions(
            read=("serviceusage.services.get",),
            create=("serviceusage.services.enable",),
            delete=("serviceusage.services.disable",),
        )

    def read(self, google: Google) -> Self | None:
        from google.cloud import service_usage_v1

        request = service_usage_v1.GetServiceRequest(name=self._resource_name)
        service = google.read(google.service_usage.get_service, request)
        return self if service.state == service_usage_v1.State.ENABLED else None

    def create(self, google: Google) -> Self:
        from google.cloud import service_usage_v1

        request = service_usage_v1.EnableServiceRequest(name=self._resource_name)
        operation = google.write(google.service_usage.enable_service, request)
        google.finish(google.service_usage, operation, service_usage_v1.EnableServiceResponse)
        return self

    def update(self, google: Google, actual: Self) -> Self:
        return actual

    def delete(self, google: Google) -> None:
        from google.cloud import service_usage_v1

        if self.read(google) is None:
            return
        request = service_usage_v1.DisableServiceRequest(name=self._resource_name)
        operation = google.write(google.service_usage.disable_service, request)
        google.finish(google.service_usage, operation, service_usage_v1.DisableServiceResponse)

    @property
    def passing(self) -> tuple[Quirk, ...]:
        return (APIS_ARE_BEING_SWITCHED,)

    @property
    def _resource_name(self) -> str:
        return f"projects/{self.project_id}/services/{self.api}"
