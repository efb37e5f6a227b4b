from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import artifactregistry_v1 as registry
from google.cloud.artifactregistry_v1.services.artifact_registry.transports import ArtifactRegistryGrpcTransport
from google.iam.v1 import policy_pb2
from google.protobuf.field_mask_pb2 import FieldMask

from emulator.errors import ApiError
from emulator.images import Image
from emulator.server import Emulator

LOCATION = "projects/my-project/locations/europe-west1"
REPOSITORY = f"{LOCATION}/repositories/sum"
ADDRESS = "europe-west1-docker.pkg.dev/my-project/sum/sum"
IMAGE = Image("sha256:" + "a" * 64, Path("/files"), Path("/environment"))
OTHER = replace(IMAGE, digest="sha256:" + "b" * 64)


@pytest.fixture
def client(channel: grpc.Channel) -> registry.ArtifactRegistryClient:
    return registry.ArtifactRegistryClient(transport=ArtifactRegistryGrpcTransport(channel=channel))


def create(client: registry.ArtifactRegistryClient, **fields: object) -> registry.Repository:
    repository = registry.Repository({"format_": registry.Repository.Format.DOCKER, **fields})
    operation = client.create_repository(parent=LOCATION, repository_id="sum", repository=repository)
    made: registry.Repository = operation.result(timeout=5)
    return made


@pytest.fixture
def repository(client: registry.ArtifactRegistryClient) -> registry.Repository:
    return create(client)


def test_a_repository_is_there_when_its_operation_is_done(client: registry.ArtifactRegistryClient) -> None:
    made = create(client, labels={"a": "b"})

    read = client.get_repository(name=REPOSITORY)
    assert made.name == read.name == REPOSITORY
    assert read.labels == {"a": "b"}
    assert read.mode == registry.Repository.Mode.STANDARD_REPOSITORY
    assert read.registry_uri == "europe-west1-docker.pkg.dev/my-project/sum"
    assert read.create_time == read.update_time


@pytest.mark.usefixtures("repository")
def test_a_repository_cannot_be_made_twice(client: registry.ArtifactRegistryClient) -> None:
    with pytest.raises(exceptions.AlreadyExists, match="the repository already exists"):
        create(client)


def test_a_repository_that_does_not_exist_is_not_found(client: registry.ArtifactRegistryClient) -> None:
    with pytest.raises(exceptions.NotFound, match=r"Requested entity was not found\."):
        client.get_repository(name=REPOSITORY)


@pytest.mark.parametrize("repository_id", ["Sum", "1sum", "sum_1", "sum-", ""])
def test_a_repository_id_must_be_well_formed(client: registry.ArtifactRegistryClient, repository_id: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="invalid repository ID"):
        client.create_repository(parent=LOCATION, repository_id=repository_id, repository=registry.Repository())


def test_a_repository_needs_a_format(client: registry.ArtifactRegistryClient) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="format"):
        client.create_repository(parent=LOCATION, repository_id="sum", repository=registry.Repository())


def test_an_update_changes_the_fields_of_its_mask(
    client: registry.ArtifactRegistryClient, repository: registry.Repository
) -> None:
    wanted = registry.Repository(name=repository.name, labels={"a": "b"}, description="x")
    client.update_repository(repository=wanted, update_mask=FieldMask(paths=["labels"]))

    read = client.get_repository(name=REPOSITORY)
    assert (dict(read.labels), read.description) == ({"a": "b"}, "")
    with pytest.raises(exceptions.InvalidArgument, match="mode"):
        client.update_repository(repository=wanted, update_mask=FieldMask(paths=["mode"]))


def test_a_deleted_repository_is_gone_with_its_images(
    emulator: Emulator, client: registry.ArtifactRegistryClient, repository: registry.Repository
) -> None:
    emulator.world.artifact_registry.push(f"{ADDRESS}:one", IMAGE)
    client.delete_repository(name=repository.name).result(timeout=5)

    with pytest.raises(exceptions.NotFound):
        client.get_repository(name=REPOSITORY)
    create(client)
    with pytest.raises(ApiError, match="not found"):
        emulator.world.artifact_registry.pull(f"{ADDRESS}:one")


@pytest.mark.usefixtures("repository")
def test_what_was_pushed_is_pulled_by_tag_and_by_digest(emulator: Emulator) -> None:
    images = emulator.world.artifact_registry
    reference = images.push(f"{ADDRESS}:one", IMAGE)

    assert reference == f"{ADDRESS}@{IMAGE.digest}"
    assert images.pull(reference) == images.pull(f"{ADDRESS}:one") == IMAGE
    for absent in (f"{ADDRESS}:two", f"{ADDRESS}@{OTHER.digest}", f"{ADDRESS}-other:one", ADDRESS):
        with pytest.raises(ApiError, match=f"Image '{absent}' not found"):
            images.pull(absent)


@pytest.mark.usefixtures("repository")
def test_without_a_tag_latest_is_meant(emulator: Emulator) -> None:
    emulator.world.artifact_registry.push(ADDRESS, IMAGE)

    assert emulator.world.artifact_registry.pull(f"{ADDRESS}:latest") == IMAGE


@pytest.mark.usefixtures("repository")
def test_a_tag_moves_to_the_newest_image(emulator: Emulator) -> None:
    images = emulator.world.artifact_registry
    images.push(f"{ADDRESS}:one", IMAGE)
    images.push(f"{ADDRESS}:one", OTHER)

    assert images.pull(f"{ADDRESS}:one") == OTHER
    assert images.pull(f"{ADDRESS}@{IMAGE.digest}") == IMAGE


def test_a_tag_that_cannot_change_does_not(emulator: Emulator, client: registry.ArtifactRegistryClient) -> None:
    create(client, docker_config={"immutable_tags": True})
    images = emulator.world.artifact_registry
    images.push(f"{ADDRESS}:one", IMAGE)
    images.push(f"{ADDRESS}:one", IMAGE)

    with pytest.raises(ApiError, match="tag immutability"):
        images.push(f"{ADDRESS}:one", OTHER)


def test_without_its_repository_an_image_cannot_be_pushed(emulator: Emulator) -> None:
    with pytest.raises(ApiError, match='Repository "sum" not found'):
        emulator.world.artifact_registry.push(f"{ADDRESS}:one", IMAGE)


@pytest.mark.parametrize("reference", ["sum", "gcr.io/my-project/sum", f"{ADDRESS}:", f"{ADDRESS}@sha256:abc"])
def test_a_malformed_reference_is_refused(emulator: Emulator, reference: str) -> None:
    with pytest.raises(ApiError, match="Invalid image reference"):
        emulator.world.artifact_registry.pull(reference)


@pytest.mark.usefixtures("repository")
def test_images_and_tags_are_resources(emulator: Emulator, client: registry.ArtifactRegistryClient) -> None:
    emulator.world.artifact_registry.push(f"{ADDRESS}:one", IMAGE)
    emulator.world.artifact_registry.push(f"{ADDRESS}:two", IMAGE)
    package = f"{REPOSITORY}/packages/sum"

    tag = client.get_tag(name=f"{package}/tags/one")
    assert tag.version == f"{package}/versions/{IMAGE.digest}"
    assert [tag.name.rpartition("/")[2] for tag in client.list_tags(request={"parent": package})] == ["one", "two"]
    assert client.get_version(name=tag.version).name == tag.version
    assert client.get_package(name=package).name == package
    image = client.get_docker_image(name=f"{REPOSITORY}/dockerImages/sum@{IMAGE.digest}")
    assert (image.uri, list(image.tags)) == (f"{ADDRESS}@{IMAGE.digest}", ["one", "two"])
    assert list(client.list_docker_images(parent=REPOSITORY)) == [image]


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("get_tag", "packages/sum/tags/none"),
        ("get_tag", "packages/none/tags/one"),
        ("get_version", f"packages/sum/versions/{OTHER.digest}"),
        ("get_package", "packages/none"),
        ("get_docker_image", f"dockerImages/sum@{OTHER.digest}"),
    ],
)
def test_what_was_never_pushed_is_not_found(
    emulator: Emulator, client: registry.ArtifactRegistryClient, method: str, name: str
) -> None:
    emulator.world.artifact_registry.push(f"{ADDRESS}:one", IMAGE)

    with pytest.raises(exceptions.NotFound):
        getattr(client, method)(name=f"{REPOSITORY}/{name}")


def test_repositories_of_one_location_are_listed(
    client: registry.ArtifactRegistryClient, repository: registry.Repository
) -> None:
    assert [found.name for found in client.list_repositories(parent=LOCATION)] == [repository.name]
    assert not list(client.list_repositories(parent="projects/my-project/locations/us-central1"))


@pytest.mark.usefixtures("repository")
def test_a_repository_has_a_policy(client: registry.ArtifactRegistryClient) -> None:
    binding = policy_pb2.Binding(role="roles/artifactregistry.reader", members=["user:a@example.com"])
    client.set_iam_policy(request={"resource": REPOSITORY, "policy": policy_pb2.Policy(bindings=[binding])})

    assert list(client.get_iam_policy(request={"resource": REPOSITORY}).bindings) == [binding]
    with pytest.raises(exceptions.NotFound):
        client.get_iam_policy(request={"resource": f"{LOCATION}/repositories/none"})
