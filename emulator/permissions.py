"""Which permission each method of the APIs asks for, and on what.

From the reference of each method, and the pages below https://cloud.google.com/iam/docs/roles-permissions. That
triggers of Cloud Build are changed and deleted with ``cloudbuild.builds.create`` is in the reference of
projects.locations.triggers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ACT_AS = "iam.serviceAccounts.actAs"
GET_ACCESS_TOKEN = "iam.serviceAccounts.getAccessToken"  # noqa: S105 - a permission's name
GET_ID_TOKEN = "iam.serviceAccounts.getOpenIdToken"  # noqa: S105 - the same
DOWNLOAD = "artifactregistry.repositories.downloadArtifacts"


@dataclass(frozen=True)
class Demand:
    """A permission that a call needs.

    :param permission: ``run.services.get``.
    :param resource: relative name of what it is needed on; that of its project, or of what it is in, gives it, too.
    """

    permission: str
    resource: str


Demands = Callable[[Any], Iterator[Demand]]
"""From a request to what it demands."""


def demands(name: str, request: Any) -> list[Demand]:
    """What a call needs.

    :param name: full name of the method.
    :param request: its message.
    :raises KeyError: where the method is not known here.
    """
    return [demand for each in OF_METHODS[name] for demand in each(request)]


def _on(permission: str, path: str) -> Demands:
    """One permission on what a field of the request names."""

    def demanded(request: Any) -> Iterator[Demand]:
        yield Demand(permission, _field(request, path))

    return demanded


def _acting_as(path: str) -> Demands:
    """To act as the account that a field names; nothing where it names none."""

    def demanded(request: Any) -> Iterator[Demand]:
        email = _field(request, path).rpartition("/")[2]
        if email:
            yield Demand(ACT_AS, f"projects/-/serviceAccounts/{email}")

    return demanded


def _downloading(request: Any) -> Iterator[Demand]:
    """To read the image of a service from Artifact Registry (cloud.google.com/run/docs/deploying)."""
    for container in request.service.template.containers:
        stored = re.match(
            r"(?P<location>[a-z0-9-]+)-docker\.pkg\.dev/(?P<project>[^/]+)/(?P<name>[^/]+)/", container.image
        )
        if stored:
            location = f"projects/{stored['project']}/locations/{stored['location']}"
            yield Demand(DOWNLOAD, f"{location}/repositories/{stored['name']}")


def _of_policy(verb: str) -> Demands:
    """To read or write the policy of anything that is asked through ``google.iam.v1.IAMPolicy``."""

    def demanded(request: Any) -> Iterator[Demand]:
        kind = request.resource.split("/")[-2]
        api = {"topics": "pubsub", "subscriptions": "pubsub", "services": "run", "repositories": "artifactregistry"}
        yield Demand(f"{api.get(kind, 'eventarc')}.{kind}.{verb}IamPolicy", request.resource)

    return demanded


def _of_operation(request: Any) -> Iterator[Demand]:
    """Cloud Run's and Eventarc's operations ask for a permission; ``Operation`` tells them apart."""
    yield Demand("operations.get", request.name)


def _attaching(request: Any) -> Iterator[Demand]:
    yield Demand("pubsub.subscriptions.create", request.name.partition("/subscriptions/")[0])
    yield Demand("pubsub.topics.attachSubscription", request.topic)


def _field(request: Any, path: str) -> str:
    for name in path.split("."):
        request = getattr(request, name)
    return str(request)


_RUN = "google.cloud.run.v2"
_EVENTARC = "google.cloud.eventarc.v1.Eventarc"
_PROJECTS = "google.cloud.resourcemanager.v3.Projects"
_REGISTRY = "google.devtools.artifactregistry.v1.ArtifactRegistry"
_BUILD = "google.devtools.cloudbuild.v1.CloudBuild"
_IAM = "google.iam.admin.v1.IAM"
_CREDENTIALS = "google.iam.credentials.v1.IAMCredentials"
_PUBLISHER = "google.pubsub.v1.Publisher"
_SUBSCRIBER = "google.pubsub.v1.Subscriber"
_USAGE = "google.api.serviceusage.v1.ServiceUsage"
_POOLS = "google.iam.v1.WorkloadIdentityPools"


def _deploying(permission: str, path: str) -> tuple[Demands, ...]:
    return (_on(permission, path), _acting_as("service.template.service_account"), _downloading)


def _build_trigger(path: str, *, account: str = "") -> tuple[Demands, ...]:
    return (_on("cloudbuild.builds.create", path), *([_acting_as(account)] if account else []))


OF_METHODS: Mapping[str, tuple[Demands, ...]] = {
    f"{_RUN}.Services/CreateService": _deploying("run.services.create", "parent"),
    f"{_RUN}.Services/DeleteService": (_on("run.services.delete", "name"),),
    f"{_RUN}.Services/GetIamPolicy": (_on("run.services.getIamPolicy", "resource"),),
    f"{_RUN}.Services/GetService": (_on("run.services.get", "name"),),
    f"{_RUN}.Services/ListServices": (_on("run.services.list", "parent"),),
    f"{_RUN}.Services/SetIamPolicy": (_on("run.services.setIamPolicy", "resource"),),
    f"{_RUN}.Services/TestIamPermissions": (),
    f"{_RUN}.Services/UpdateService": _deploying("run.services.update", "service.name"),
    f"{_RUN}.Revisions/DeleteRevision": (_on("run.revisions.delete", "name"),),
    f"{_RUN}.Revisions/GetRevision": (_on("run.revisions.get", "name"),),
    f"{_RUN}.Revisions/ListRevisions": (_on("run.revisions.list", "parent"),),
    f"{_EVENTARC}/CreateTrigger": (
        _on("eventarc.triggers.create", "parent"),
        _acting_as("trigger.service_account"),
    ),
    f"{_EVENTARC}/DeleteTrigger": (_on("eventarc.triggers.delete", "name"),),
    f"{_EVENTARC}/GetTrigger": (_on("eventarc.triggers.get", "name"),),
    f"{_EVENTARC}/ListTriggers": (_on("eventarc.triggers.list", "parent"),),
    f"{_EVENTARC}/UpdateTrigger": (
        _on("eventarc.triggers.update", "trigger.name"),
        _acting_as("trigger.service_account"),
    ),
    f"{_PROJECTS}/GetIamPolicy": (_on("resourcemanager.projects.getIamPolicy", "resource"),),
    f"{_PROJECTS}/GetProject": (_on("resourcemanager.projects.get", "name"),),
    f"{_PROJECTS}/SetIamPolicy": (_on("resourcemanager.projects.setIamPolicy", "resource"),),
    f"{_PROJECTS}/TestIamPermissions": (),
    f"{_REGISTRY}/CreateRepository": (_on("artifactregistry.repositories.create", "parent"),),
    f"{_REGISTRY}/DeleteRepository": (_on("artifactregistry.repositories.delete", "name"),),
    f"{_REGISTRY}/GetDockerImage": (_on("artifactregistry.dockerimages.get", "name"),),
    f"{_REGISTRY}/GetIamPolicy": (_on("artifactregistry.repositories.getIamPolicy", "resource"),),
    f"{_REGISTRY}/GetPackage": (_on("artifactregistry.packages.get", "name"),),
    f"{_REGISTRY}/GetRepository": (_on("artifactregistry.repositories.get", "name"),),
    f"{_REGISTRY}/GetTag": (_on("artifactregistry.tags.get", "name"),),
    f"{_REGISTRY}/GetVersion": (_on("artifactregistry.versions.get", "name"),),
    f"{_REGISTRY}/ListDockerImages": (_on("artifactregistry.dockerimages.list", "parent"),),
    f"{_REGISTRY}/ListRepositories": (_on("artifactregistry.repositories.list", "parent"),),
    f"{_REGISTRY}/ListTags": (_on("artifactregistry.tags.list", "parent"),),
    f"{_REGISTRY}/SetIamPolicy": (_on("artifactregistry.repositories.setIamPolicy", "resource"),),
    f"{_REGISTRY}/TestIamPermissions": (),
    f"{_REGISTRY}/UpdateRepository": (_on("artifactregistry.repositories.update", "repository.name"),),
    f"{_BUILD}/CancelBuild": (_on("cloudbuild.builds.update", "name"),),
    f"{_BUILD}/CreateBuildTrigger": _build_trigger("parent", account="trigger.service_account"),
    f"{_BUILD}/DeleteBuildTrigger": _build_trigger("name"),
    f"{_BUILD}/GetBuild": (_on("cloudbuild.builds.get", "name"),),
    f"{_BUILD}/GetBuildTrigger": (_on("cloudbuild.builds.get", "name"),),
    f"{_BUILD}/ListBuildTriggers": (_on("cloudbuild.builds.list", "parent"),),
    f"{_BUILD}/ListBuilds": (_on("cloudbuild.builds.list", "parent"),),
    f"{_BUILD}/RunBuildTrigger": _build_trigger("name"),
    f"{_BUILD}/UpdateBuildTrigger": _build_trigger("trigger.resource_name", account="trigger.service_account"),
    f"{_IAM}/CreateRole": (_on("iam.roles.create", "parent"),),
    f"{_IAM}/CreateServiceAccount": (_on("iam.serviceAccounts.create", "name"),),
    f"{_IAM}/DeleteRole": (_on("iam.roles.delete", "name"),),
    f"{_IAM}/DeleteServiceAccount": (_on("iam.serviceAccounts.delete", "name"),),
    f"{_IAM}/GetIamPolicy": (_on("iam.serviceAccounts.getIamPolicy", "resource"),),
    f"{_IAM}/GetRole": (_on("iam.roles.get", "name"),),
    f"{_IAM}/GetServiceAccount": (_on("iam.serviceAccounts.get", "name"),),
    f"{_IAM}/ListRoles": (_on("iam.roles.list", "parent"),),
    f"{_IAM}/ListServiceAccounts": (_on("iam.serviceAccounts.list", "name"),),
    f"{_IAM}/PatchServiceAccount": (_on("iam.serviceAccounts.update", "service_account.name"),),
    f"{_IAM}/SetIamPolicy": (_on("iam.serviceAccounts.setIamPolicy", "resource"),),
    f"{_IAM}/TestIamPermissions": (),
    f"{_IAM}/UndeleteRole": (_on("iam.roles.undelete", "name"),),
    f"{_IAM}/UpdateRole": (_on("iam.roles.update", "name"),),
    f"{_IAM}/UpdateServiceAccount": (_on("iam.serviceAccounts.update", "name"),),
    # These look for the account first, and then for the permission themselves.
    f"{_CREDENTIALS}/GenerateAccessToken": (),
    f"{_CREDENTIALS}/GenerateIdToken": (),
    "google.iam.v1.IAMPolicy/GetIamPolicy": (_of_policy("get"),),
    "google.iam.v1.IAMPolicy/SetIamPolicy": (_of_policy("set"),),
    "google.iam.v1.IAMPolicy/TestIamPermissions": (),
    "google.longrunning.Operations/GetOperation": (_of_operation,),
    "google.longrunning.Operations/WaitOperation": (_of_operation,),
    "google.logging.v2.LoggingServiceV2/ListLogEntries": (
        lambda request: (Demand("logging.logEntries.list", name) for name in request.resource_names),
    ),
    f"{_PUBLISHER}/CreateTopic": (_on("pubsub.topics.create", "name"),),
    f"{_PUBLISHER}/DeleteTopic": (_on("pubsub.topics.delete", "topic"),),
    f"{_PUBLISHER}/DetachSubscription": (_on("pubsub.topics.detachSubscription", "subscription"),),
    f"{_PUBLISHER}/GetTopic": (_on("pubsub.topics.get", "topic"),),
    f"{_PUBLISHER}/ListTopicSubscriptions": (_on("pubsub.topics.get", "topic"),),
    f"{_PUBLISHER}/ListTopics": (_on("pubsub.topics.list", "project"),),
    f"{_PUBLISHER}/Publish": (_on("pubsub.topics.publish", "topic"),),
    f"{_PUBLISHER}/UpdateTopic": (_on("pubsub.topics.update", "topic.name"),),
    f"{_SUBSCRIBER}/Acknowledge": (_on("pubsub.subscriptions.consume", "subscription"),),
    f"{_SUBSCRIBER}/CreateSubscription": (_attaching,),
    f"{_SUBSCRIBER}/DeleteSubscription": (_on("pubsub.subscriptions.delete", "subscription"),),
    f"{_SUBSCRIBER}/GetSubscription": (_on("pubsub.subscriptions.get", "subscription"),),
    f"{_SUBSCRIBER}/ListSubscriptions": (_on("pubsub.subscriptions.list", "project"),),
    f"{_SUBSCRIBER}/ModifyAckDeadline": (_on("pubsub.subscriptions.consume", "subscription"),),
    f"{_SUBSCRIBER}/ModifyPushConfig": (_on("pubsub.subscriptions.update", "subscription"),),
    f"{_SUBSCRIBER}/Pull": (_on("pubsub.subscriptions.consume", "subscription"),),
    f"{_SUBSCRIBER}/StreamingPull": (_on("pubsub.subscriptions.consume", "subscription"),),
    f"{_SUBSCRIBER}/UpdateSubscription": (_on("pubsub.subscriptions.update", "subscription.name"),),
    # cloud.google.com/iam/docs/create-service-agents: it takes no permission.
    "google.api.serviceusage.v1beta1.ServiceUsage/GenerateServiceIdentity": (),
    f"{_USAGE}/BatchEnableServices": (_on("serviceusage.services.enable", "parent"),),
    f"{_USAGE}/BatchGetServices": (_on("serviceusage.services.get", "parent"),),
    f"{_USAGE}/DisableService": (_on("serviceusage.services.disable", "name"),),
    f"{_USAGE}/EnableService": (_on("serviceusage.services.enable", "name"),),
    f"{_USAGE}/GetService": (_on("serviceusage.services.get", "name"),),
    f"{_USAGE}/ListServices": (_on("serviceusage.services.list", "parent"),),
    f"{_POOLS}/CreateWorkloadIdentityPool": (_on("iam.workloadIdentityPools.create", "parent"),),
    f"{_POOLS}/CreateWorkloadIdentityPoolProvider": (_on("iam.workloadIdentityPoolProviders.create", "parent"),),
    f"{_POOLS}/DeleteWorkloadIdentityPool": (_on("iam.workloadIdentityPools.delete", "name"),),
    f"{_POOLS}/DeleteWorkloadIdentityPoolProvider": (_on("iam.workloadIdentityPoolProviders.delete", "name"),),
    f"{_POOLS}/GetWorkloadIdentityPool": (_on("iam.workloadIdentityPools.get", "name"),),
    f"{_POOLS}/GetWorkloadIdentityPoolProvider": (_on("iam.workloadIdentityPoolProviders.get", "name"),),
    f"{_POOLS}/ListWorkloadIdentityPoolProviders": (_on("iam.workloadIdentityPoolProviders.list", "parent"),),
    f"{_POOLS}/ListWorkloadIdentityPools": (_on("iam.workloadIdentityPools.list", "parent"),),
    f"{_POOLS}/UndeleteWorkloadIdentityPool": (_on("iam.workloadIdentityPools.undelete", "name"),),
    f"{_POOLS}/UndeleteWorkloadIdentityPoolProvider": (_on("iam.workloadIdentityPoolProviders.undelete", "name"),),
    f"{_POOLS}/UpdateWorkloadIdentityPool": (_on("iam.workloadIdentityPools.update", "workload_identity_pool.name"),),
    f"{_POOLS}/UpdateWorkloadIdentityPoolProvider": (
        _on("iam.workloadIdentityPoolProviders.update", "workload_identity_pool_provider.name"),
    ),
}
