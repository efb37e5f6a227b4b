"""The Artifact Registry repository that holds a service's images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from octue_action.failure import Failure
from octue_action.resource import Mark, Permissions, Resource, is_ours

if TYPE_CHECKING:
    from google.cloud import artifactregistry_v1

    from octue_action.google import Google

DOCKER = "DOCKER"


@dataclass(frozen=True, kw_only=True)
class ArtifactRepository(Resource):
    """A repository for container images.

    :param repository_id: its id within project and location.
    :param format: of an actual one: what it holds; it cannot be changed, and replacing it would lose what it holds.
    """

    kind: ClassVar[str] = "artifact_repository"
    title: ClassVar[str] = "Image repository"

    project_id: Annotated[str, Mark.IDENTITY]
    location: Annotated[str, Mark.IDENTITY]
    repository_id: Annotated[str, Mark.IDENTITY]
    format: Annotated[str, Mark.OUTPUT] = DOCKER
    labels: Annotated[Mapping[str, str], Mark.ADDITIVE]

    @property
    def name(self) -> str:
        return self.repository_id

    @property
    def console_url(self) -> str:
        return (
            f"https://console.cloud.google.com/artifacts/docker/{self.project_id}/{self.location}/{self.repository_id}"
            f"?project={self.project_id}"
        )

    @property
    def permissions(self) -> Permissions:
        return Permissions(
            read=("artifactregistry.repositories.get",),
            create=("artifactregistry.repositories.create",),
            update=("artifactregistry.repositories.update",),
            delete=("artifactregistry.repositories.delete",),
        )

    @property
    def own_policy(self) -> str:
        return self._resource_name

    def read(self, google: Google) -> Self | None:
        from google.cloud import artifactregistry_v1

        repository = google.find(
            google.artifact_registry.get_repository, artifactregistry_v1.GetRepositoryRequest(name=self._resource_name)
        )
        return self._canonical(repository) if repository is not None else None

    def create(self, google: Google) -> Self:
        from google.cloud import artifactregistry_v1

        repository = artifactregistry_v1.Repository(
            format_=DOCKER, labels=dict(self.labels), description="Images of an Octue service"
        )
        request = artifactregistry_v1.CreateRepositoryRequest(
            parent=f"projects/{self.project_id}/locations/{self.location}",
            repository_id=self.repository_id,
            repository=repository,
        )
        operation = google.write(google.artifact_registry.create_repository, request)
        return self._canonical(google.finish(google.artifact_registry, operation, artifactregistry_v1.Repository))

    def update(self, google: Google, actual: Self) -> Self:
        from google.cloud import artifactregistry_v1
        from google.protobuf import field_mask_pb2

        repository = artifactregistry_v1.Repository(name=self._resource_name, labels={**actual.labels, **self.labels})
        request = artifactregistry_v1.UpdateRepositoryRequest(
            repository=repository, update_mask=field_mask_pb2.FieldMask(paths=["labels"])
        )
        return self._canonical(google.write(google.artifact_registry.update_repository, request))

    def delete(self, google: Google) -> None:
        from google.cloud import artifactregistry_v1
        from google.protobuf import empty_pb2

        operation = google.remove(
            google.artifact_registry.delete_repository,
            artifactregistry_v1.DeleteRepositoryRequest(name=self._resource_name),
        )
        if operation is not None:
            google.finish(google.artifact_registry, operation, empty_pb2.Empty)

    def refusals(self, actual: Self, *, adopt: bool) -> tuple[Failure, ...]:
        if actual.format != DOCKER:
            message = f"The repository `{self.name}` of Artifact Registry is not for images, but for {actual.format}."
            return (Failure(message, "Give the service another name, or the repository."),)
        return super().refusals(actual, adopt=adopt)

    @property
    def _resource_name(self) -> str:
        return f"projects/{self.project_id}/locations/{self.location}/repositories/{self.repository_id}"

    def _canonical(self, repository: artifactregistry_v1.Repository) -> Self:
        labels = dict(repository.labels)
        return replace(self, format=repository.format_.name, labels=labels, ours=is_ours(labels, self.labels))
