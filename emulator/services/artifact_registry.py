"""Artifact Registry: repositories of container images, and what docker push and pull do with them."""

from __future__ import annotations

import re
import threading
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from google.cloud import artifactregistry_v1 as registry
from google.iam.v1 import iam_policy_pb2, policy_pb2
from google.longrunning import operations_pb2
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from emulator.errors import ApiError, already_exists, failed_precondition, invalid_argument, not_found
from emulator.images import Image
from emulator.operations import raw
from emulator.rpc import Call

if TYPE_CHECKING:
    from emulator.world import World

_MEDIA_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
_REPOSITORY_ID = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_REFERENCE = re.compile(
    r"(?P<location>[-a-z0-9]+)-docker\.pkg\.dev/(?P<project>[^/]+)/(?P<repository>[^/]+)/(?P<package>[^:@]+)"
    r"(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_UPDATABLE = {"description", "labels", "docker_config", "cleanup_policies", "cleanup_policy_dry_run"}


@dataclass
class _Package:
    """The images of one name in a repository."""

    images: dict[str, tuple[Image, Timestamp]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class ArtifactRegistry:
    """``google.devtools.artifactregistry.v1.ArtifactRegistry``."""

    SERVICES: ClassVar[tuple[str, ...]] = ("google.devtools.artifactregistry.v1.ArtifactRegistry",)

    def __init__(self, world: World) -> None:
        self._world = world
        self._repositories: dict[str, registry.Repository] = {}
        self._being_made: set[str] = set()
        self._packages: dict[str, dict[str, _Package]] = {}
        self._lock = threading.RLock()

    def push(self, reference: str, image: Image) -> str:
        """Store an image and give its reference by digest.

        :param reference: ``R-docker.pkg.dev/P/REPOSITORY/NAME:TAG``; the tag is ``latest`` where it has none.
        :raises ApiError: NOT_FOUND where the repository does not exist, INVALID_ARGUMENT for a malformed reference.
        """
        parts = _parse(reference)
        tag = parts["tag"] or "latest"
        with self._lock:
            name = _repository_name(parts)
            if name not in self._repositories:
                raise not_found(f'name unknown: Repository "{parts["repository"]}" not found')
            package = self._packages[name].setdefault(parts["package"], _Package())
            immutable = self._repositories[name].docker_config.immutable_tags
            if immutable and package.tags.get(tag, image.digest) != image.digest:
                raise failed_precondition(f"cannot update tag {tag}. The repository has enabled tag immutability")
            package.images.setdefault(image.digest, (image, self._world.clock.timestamp()))
            package.tags[tag] = image.digest
        return f"{_address(parts)}@{image.digest}"

    def pull(self, reference: str) -> Image:
        """The image of a reference by tag or digest.

        :raises ApiError: NOT_FOUND where there is no such image, INVALID_ARGUMENT for a malformed reference.
        """
        parts = _parse(reference)
        with self._lock:
            package = self._packages.get(_repository_name(parts), {}).get(parts["package"], _Package())
            digest = parts["digest"] or package.tags.get(parts["tag"] or "latest", "")
            if digest not in package.images:
                raise not_found(f"Image '{reference}' not found.")
            return package.images[digest][0]

    def create_repository(self, request: registry.CreateRepositoryRequest, call: Call) -> operations_pb2.Operation:
        """Make a repository, as an operation."""
        if not _REPOSITORY_ID.fullmatch(request.repository_id):
            raise invalid_argument(f'invalid repository ID "{request.repository_id}"')
        if not request.repository.format_:
            raise invalid_argument("the repository format must be specified")
        name = f"{request.parent}/repositories/{request.repository_id}"
        repository = registry.Repository(request.repository)
        with self._lock:
            if name in self._repositories:
                raise already_exists("the repository already exists")
            is_first = name not in self._being_made
            self._being_made.add(name)

        def work() -> Message:
            with self._lock:
                if not is_first:
                    raise already_exists("the repository already exists")
                self._being_made.discard(name)
                self._repositories[name] = self._completed(repository, name)
                self._packages[name] = {}
                answer = registry.Repository(self._repositories[name])
                # Recorded so: what the operation answers does not say when.
                del answer.create_time, answer.update_time
                return raw(answer)

        return self._operation(request.parent, "artifact_registry create", work)

    def get_repository(self, request: registry.GetRepositoryRequest, call: Call) -> registry.Repository:
        """One repository; only here, and in the list, does it say its address."""
        with self._lock:
            return self._with_address(self._repository(request.name))

    def list_repositories(
        self,
        request: registry.ListRepositoriesRequest,
        call: Call,
    ) -> registry.ListRepositoriesResponse:
        """All repositories of a location, on one page."""
        with self._lock:
            found = [
                self._with_address(repository)
                for name, repository in sorted(self._repositories.items())
                if name.startswith(f"{request.parent}/")
            ]
        return registry.ListRepositoriesResponse(repositories=found)

    def update_repository(self, request: registry.UpdateRepositoryRequest, call: Call) -> registry.Repository:
        """Change the fields of the mask."""
        paths = set(request.update_mask.paths) or _UPDATABLE
        if not paths <= _UPDATABLE:
            raise invalid_argument(f"update_mask: {', '.join(sorted(paths - _UPDATABLE))} cannot be changed")
        with self._lock:
            repository = self._repository(request.repository.name)
            for path in paths:
                setattr(repository, path, getattr(request.repository, path))
            repository.update_time = self._world.clock.timestamp()
            return registry.Repository(repository)

    def delete_repository(self, request: registry.DeleteRepositoryRequest, call: Call) -> operations_pb2.Operation:
        """Delete a repository with its images, as an operation."""
        with self._lock:
            self._repository(request.name)

        def work() -> Message:
            with self._lock:
                self._repositories.pop(request.name, None)
                self._packages.pop(request.name, None)
            self._world.policies.remove(request.name)
            return Empty()

        return self._operation(request.name.partition("/repositories/")[0], "artifact_registry delete", work)

    def get_docker_image(self, request: registry.GetDockerImageRequest, call: Call) -> registry.DockerImage:
        """One image, by digest."""
        repository = request.name.partition("/dockerImages/")[0]
        with self._lock:
            for image in self._docker_images(repository):
                if image.name == request.name:
                    return image
        raise _absent()

    def list_docker_images(
        self,
        request: registry.ListDockerImagesRequest,
        call: Call,
    ) -> registry.ListDockerImagesResponse:
        """All images of a repository, on one page."""
        with self._lock:
            self._repository(request.parent)
            return registry.ListDockerImagesResponse(docker_images=list(self._docker_images(request.parent)))

    def get_package(self, request: registry.GetPackageRequest, call: Call) -> registry.Package:
        """One image name."""
        with self._lock:
            package = self._package(request.name)
            times = [uploaded.ToDatetime() for _, uploaded in package.images.values()]
            return registry.Package(name=request.name, create_time=min(times), update_time=max(times))

    def get_version(self, request: registry.GetVersionRequest, call: Call) -> registry.Version:
        """One image of a name, by digest."""
        parent, _, digest = request.name.partition("/versions/")
        with self._lock:
            images = self._package(parent).images
            if digest not in images:
                raise _absent()
            uploaded = images[digest][1]
            return registry.Version(name=request.name, create_time=uploaded, update_time=uploaded)

    def get_tag(self, request: registry.GetTagRequest, call: Call) -> registry.Tag:
        """One tag, and the version it stands for."""
        parent, _, tag = request.name.partition("/tags/")
        with self._lock:
            tags = self._package(parent).tags
            if tag not in tags:
                raise _absent()
            return registry.Tag(name=request.name, version=f"{parent}/versions/{tags[tag]}")

    def list_tags(self, request: registry.ListTagsRequest, call: Call) -> registry.ListTagsResponse:
        """All tags of an image name, on one page."""
        with self._lock:
            tags = self._package(request.parent).tags
            return registry.ListTagsResponse(
                tags=[
                    registry.Tag(name=f"{request.parent}/tags/{tag}", version=f"{request.parent}/versions/{digest}")
                    for tag, digest in sorted(tags.items())
                ]
            )

    def get_iam_policy(self, request: iam_policy_pb2.GetIamPolicyRequest, call: Call) -> policy_pb2.Policy:
        """The policy of a repository."""
        with self._lock:
            self._repository(request.resource)
        return self._world.policies.get(request.resource, request.options.requested_policy_version)

    def set_iam_policy(self, request: iam_policy_pb2.SetIamPolicyRequest, call: Call) -> policy_pb2.Policy:
        """Replace the policy of a repository."""
        with self._lock:
            self._repository(request.resource)
        return self._world.policies.set(request.resource, request.policy, request.update_mask)

    def test_iam_permissions(
        self, request: iam_policy_pb2.TestIamPermissionsRequest, call: Call
    ) -> iam_policy_pb2.TestIamPermissionsResponse:
        """The permissions the caller has of those asked for."""
        with self._lock:
            self._repository(request.resource)
        held = self._world.access.held(call, request.resource, request.permissions)
        return iam_policy_pb2.TestIamPermissionsResponse(permissions=held)

    def _repository(self, name: str) -> registry.Repository:
        if name not in self._repositories:
            raise _absent()
        return self._repositories[name]

    def _package(self, name: str) -> _Package:
        repository, _, package = name.partition("/packages/")
        packages = self._packages.get(repository, {})
        if urllib.parse.unquote(package) not in packages:
            raise _absent()
        return packages[urllib.parse.unquote(package)]

    def _completed(self, repository: registry.Repository, name: str) -> registry.Repository:
        """With what Artifact Registry fills in by itself, as recorded from it."""
        scanning = registry.Repository.VulnerabilityScanningConfig
        now = self._world.clock.timestamp()
        repository.name = name
        repository.mode = registry.Repository.Mode(repository.mode or registry.Repository.Mode.STANDARD_REPOSITORY)
        repository.create_time = repository.update_time = now
        repository.satisfies_pzi = True
        if repository.mode == registry.Repository.Mode.STANDARD_REPOSITORY:
            state = scanning.EnablementState.SCANNING_DISABLED
            reason = "API containerscanning.googleapis.com is not enabled."
        else:
            state = scanning.EnablementState.SCANNING_UNSUPPORTED
            reason = f"Repository mode {repository.mode.name} is not supported."
        repository.vulnerability_scanning_config = scanning(
            enablement_state=state, enablement_state_reason=reason, last_enable_time=now
        )
        return repository

    def _with_address(self, repository: registry.Repository) -> registry.Repository:
        _, project, _, location, _, repository_id = repository.name.split("/")
        answer = registry.Repository(repository)
        answer.registry_uri = f"{location}-docker.pkg.dev/{project}/{repository_id}"
        return answer

    def _docker_images(self, repository: str) -> Iterator[registry.DockerImage]:
        for package_name, package in sorted(self._packages.get(repository, {}).items()):
            name = urllib.parse.quote(package_name, safe="")
            for digest, (_, uploaded) in package.images.items():
                address = self._with_address(self._repositories[repository]).registry_uri
                yield registry.DockerImage(
                    name=f"{repository}/dockerImages/{name}@{digest}",
                    uri=f"{address}/{package_name}@{digest}",
                    tags=sorted(tag for tag, tagged in package.tags.items() if tagged == digest),
                    upload_time=uploaded,
                    build_time=uploaded,
                    update_time=uploaded,
                    media_type=_MEDIA_TYPE,
                )

    def _operation(self, location: str, kind: str, work: Callable[[], Message]) -> operations_pb2.Operation:
        return self._world.operations.start(
            f"{location}/operations/{uuid.uuid4()}", kind, work, metadata=lambda: raw(registry.OperationMetadata())
        )


def _parse(reference: str) -> dict[str, str]:
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise invalid_argument(f"Invalid image reference: {reference}")
    return match.groupdict(default="")


def _repository_name(parts: dict[str, str]) -> str:
    return f"projects/{parts['project']}/locations/{parts['location']}/repositories/{parts['repository']}"


def _address(parts: dict[str, str]) -> str:
    return f"{parts['location']}-docker.pkg.dev/{parts['project']}/{parts['repository']}/{parts['package']}"


def _absent() -> ApiError:
    return not_found("Requested entity was not found.")
