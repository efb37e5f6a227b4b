"""Every name that is derived from a service's: pure functions, so all of them are known before anything is made."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterable

TOPIC_PREFIX = "octue.services."

_HASH_LENGTH = 8
_ACCOUNT_MINIMUM, _ACCOUNT_MAXIMUM = 6, 30
_TRIGGER_MAXIMUM = 64
_LOOKS_HASHED = re.compile(r"-[0-9a-f]{8}\Z")


def service(namespace: str | None, name: str, preview: str | None = None) -> str:
    """The Cloud Run service's name: the Octue service's, its namespace before it and the preview's suffix after it.

    :param namespace: the Octue namespace, e.g. ``my-org``
    :param name: the Octue service's name, e.g. ``sum``
    :param preview: suffix of a preview deployment, e.g. ``pr-123``
    """
    return "-".join(part for part in (namespace, name, preview) if part)


def service_id(project_id: str, region: str, service: str, number: int = 1) -> str:
    """The UUID of a service that has none yet: always the same for the same service, so no state has to be kept.

    :param service: the Cloud Run service's name
    :param number: another one than 1 where the first is taken
    """
    name = f"//run.googleapis.com/projects/{project_id}/locations/{region}/services/{service}"
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name if number == 1 else f"{name}/{number}"))


def topic_id(service_id: uuid.UUID | str) -> str:
    """The Pub/Sub topic on which the service is asked: ``octue.services.<uuid>``."""
    return f"{TOPIC_PREFIX}{service_id}"


def service_account_id(service: str) -> str:
    """The id of the service's runtime account: the service's name, made to fit 6 to 30 characters.

    A name that has to be changed gets a short hash, and so does one that looks as if it had one: two services never
    share an account. The limits are those of ``google.iam.admin.v1.CreateServiceAccountRequest.account_id``.
    """
    if _ACCOUNT_MINIMUM <= len(service) <= _ACCOUNT_MAXIMUM and not _LOOKS_HASHED.search(service):
        return service
    digest = hashlib.sha256(service.encode()).hexdigest()[:_HASH_LENGTH]
    stem = service if len(service) >= _ACCOUNT_MINIMUM else f"octue-{service}"
    return f"{stem[: _ACCOUNT_MAXIMUM - _HASH_LENGTH - 1].rstrip('-')}-{digest}"


def service_account_email(account_id: str, project_id: str) -> str:
    """The e-mail of a service account; in a domain-scoped project (``example.com:proj``) the domain comes last."""
    domain, _, project = project_id.rpartition(":")
    return f"{account_id}@{f'{project}.{domain}' if domain else project}.iam.gserviceaccount.com"


def project_of(email: str) -> str:
    """The project of a service account; ``-``, which stands for any, where its e-mail does not say it."""
    named = email.partition("@")[2].removesuffix(".iam.gserviceaccount.com")
    if named.endswith("gserviceaccount.com"):
        return "-"
    project, _, domain = named.partition(".")
    return f"{domain}:{project}" if domain else project


def artifact_repository(service: str) -> str:
    """The Artifact Registry repository that keeps the service's images."""
    return service


def image(region: str, project_id: str, service: str, commit: str) -> str:
    """The image of a commit, tagged with its full SHA.

    :param project_id: a domain-scoped project ``example.com:proj`` is a path of two parts in an image's name
    """
    path = project_id.replace(":", "/")
    return f"{region}-docker.pkg.dev/{path}/{artifact_repository(service)}/{service}:{commit}"


def image_service(region: str, project_id: str, reference: str) -> str:
    """The service after which an image is called; empty where it is none that is called as ``image`` does."""
    name, _, commit = reference.rpartition(":")
    service = name.rpartition("/")[2]
    return service if service and image(region, project_id, service, commit) == reference else ""


def build_trigger(service: str) -> str:
    """The Cloud Build trigger's name, of at most 64 characters, as a service's has.

    Only where previews of several services share one, that of the first of them and the suffix may be longer.
    """
    if len(service) <= _TRIGGER_MAXIMUM:
        return service
    digest = hashlib.sha256(service.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{service[: _TRIGGER_MAXIMUM - _HASH_LENGTH - 1].rstrip('-')}-{digest}"


def eventarc_trigger(service: str) -> str:
    """The Eventarc trigger's name; legal because a service's name is (starts with a letter, under 63)."""
    return service


def deployer_role_id(account_id: str) -> str:
    """The custom role of an account that deploys: no two accounts share one; custom role ids have no hyphens."""
    return f"octue_{account_id.replace('-', '_')}"


def deployer_role_of(member: str) -> str:
    """The custom role of who deploys: of an account, or of a repository that has none; the usual one if none is known.

    :param member: as policies name it, ``serviceAccount:deployer@P.iam.gserviceaccount.com``.
    """
    kind, _, name = member.partition(":")
    if kind == "serviceAccount":
        return deployer_role_id(name.partition("@")[0])
    repository = re.search(r"/workloadIdentityPools/[^/]+/attribute\.repository_id/(\d+)\Z", name)
    return f"octue_repository_{repository[1]}" if repository else deployer_role_id("deployer")


def octue_role(project_id: str) -> str:
    """The role that lets a service ask and answer: custom role ids have no hyphens, so Octue's title cannot be one."""
    return f"projects/{project_id}/roles/octue_service_user"


def label_value(text: str) -> str:
    """Any text as the value of a Google Cloud label: lower case letters, digits, ``_`` and ``-``, at most 63."""
    return re.sub(r"[^a-z0-9_-]", "-", text.lower())[:63]


def labels(service: str, repository_id: str, preview: str | None = None) -> dict[str, str]:
    """The labels that say whose a resource is.

    :param repository_id: GitHub's number of the repository, which survives renaming
    :param preview: suffix of a preview deployment: it never passes for a service that only has the same name
    """
    whose = {
        "managed-by": "octue-action",
        "octue-service": label_value(service),
        "github-repository-id": label_value(repository_id),
    }
    return whose | ({"octue-preview": label_value(preview)} if preview else {})


def key(resource_names: Iterable[str]) -> str:
    """A short word that stands for a set of resources, always the same for the same ones in whatever order."""
    return hashlib.sha256("\n".join(sorted(resource_names)).encode()).hexdigest()[:16]
