"""The kinds of resource as a table for the laws that hold for all: an example of each, and how it drifts.

The examples stand on the ``ground`` of conftest.py: images, accounts, topics and the service ``standing``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from google.cloud import artifactregistry_v1, eventarc_v1, iam_admin_v1, run_v2
from google.cloud.devtools import cloudbuild_v1
from google.iam.v1 import iam_policy_pb2, policy_pb2
from google.protobuf import duration_pb2
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import MessageToDict
from google.pubsub_v1.types import pubsub
from google.type import expr_pb2

from octue_action.google import Google
from octue_action.resource import Resource
from octue_action.resources.artifact_repository import ArtifactRepository
from octue_action.resources.build_trigger import BuildTrigger
from octue_action.resources.cloud_run_service import CloudRunService, Memory
from octue_action.resources.eventarc_trigger import EventarcTrigger
from octue_action.resources.iam_member import Condition, IamMember
from octue_action.resources.iam_role import IamRole, grouped
from octue_action.resources.project_service import ProjectService
from octue_action.resources.pubsub_subscription import PubsubSubscription
from octue_action.resources.pubsub_topic import PubsubTopic
from octue_action.resources.service_account import ServiceAccount
from octue_action.resources.workload_identity_pool import API, Federation, WorkloadIdentityPool
from octue_action.resources.workload_identity_provider import WorkloadIdentityProvider
from octue_action.rest import RestRequest

PROJECT = "my-project"
LOCATION = "europe-west1"
PARENT = f"projects/{PROJECT}/locations/{LOCATION}"
LABELS = {"managed-by": "octue-action", "octue-service": "sum", "github-repository-id": "1296269"}
TAGS = tuple(f"{key}-{value}" for key, value in LABELS.items())
OTHERS_LABELS = {**LABELS, "github-repository-id": "583231"}
IMAGES = tuple(f"{LOCATION}-docker.pkg.dev/{PROJECT}/images/sum:{tag}" for tag in "12")
ACCOUNTS = tuple(f"sum-{number}@{PROJECT}.iam.gserviceaccount.com" for number in ("one", "two"))
TOPICS = tuple(f"projects/{PROJECT}/topics/octue.services.{number}" for number in ("one", "two"))
REPOSITORY = "my-org/my-repository"
OTHER_REPOSITORY = "my-org/other"
OWNER = "user:owner@example.com"
STANDING = f"{PARENT}/services/standing"

VOLATILE = {
    *("conditions", "createTime", "etag", "generation", "lastModifier", "latestCreatedRevision"),
    *("latestReadyRevision", "observedGeneration", "reconciling", "registryUri", "terminalCondition", "updateTime"),
}
"""Fields that Google Cloud changes with every write."""

Act = Callable[[Google, Any], object]
"""What somebody does to a resource."""


@dataclass(frozen=True)
class Kind:
    """One kind of resource.

    :param example: an example of a name that is free.
    :param beneath: what must stand before it can.
    :param drifts: for each compared field, how somebody changes it and nothing else.
    :param adorn: somebody adds what is not ours.
    :param message: all of it as the API shows it, without what is volatile.
    :param others: the same thing as another repository would make it; None where nothing says whose it is.
    """

    example: Callable[[str], Resource]
    drifts: Mapping[str, Act]
    message: Callable[[Google, Any], dict[str, Any]]
    beneath: Act = lambda _google, _resource: None
    adorn: Act = lambda _google, _resource: None
    others: Callable[[Any], Resource] | None = None


def shown(message: Any) -> dict[str, Any]:
    """A message of an API as JSON, without what is volatile."""
    pb = type(message).pb(message) if hasattr(type(message), "pb") else message
    return {name: value for name, value in MessageToDict(pb).items() if name not in VOLATILE}


def _topic(name: str) -> PubsubTopic:
    return PubsubTopic(project_id=PROJECT, topic_id=f"octue.services.{name}", labels=LABELS)


def _topic_labels(labels: Mapping[str, str]) -> Act:
    def change(google: Google, topic: PubsubTopic) -> None:
        message = pubsub.Topic(name=topic.resource_name, labels={**LABELS, **labels})
        google.publisher.update_topic(topic=message, update_mask=FieldMask(paths=["labels"]))

    return change


def _repository(name: str) -> ArtifactRepository:
    return ArtifactRepository(project_id=PROJECT, location=LOCATION, repository_id=name, labels=LABELS)


def _repository_name(repository: ArtifactRepository) -> str:
    return f"{PARENT}/repositories/{repository.repository_id}"


def _repository_labels(labels: Mapping[str, str]) -> Act:
    def change(google: Google, repository: ArtifactRepository) -> None:
        message = artifactregistry_v1.Repository(name=_repository_name(repository), labels=labels)
        google.artifact_registry.update_repository(repository=message, update_mask=FieldMask(paths=["labels"]))

    return change


def _account(name: str) -> ServiceAccount:
    account_id = f"octue-{name}"
    return ServiceAccount(
        project_id=PROJECT,
        account_id=account_id,
        email=f"{account_id}@{PROJECT}.iam.gserviceaccount.com",
        owner=LABELS,
        display_name="Octue service sum",
    )


def _account_name(account: ServiceAccount) -> str:
    return f"projects/{PROJECT}/serviceAccounts/{account.email}"


def _edit_account(field: str, value: str) -> Act:
    def change(google: Google, account: ServiceAccount) -> None:
        message = iam_admin_v1.ServiceAccount({"name": _account_name(account), field: value})
        mask = FieldMask(paths=[field])
        request = iam_admin_v1.PatchServiceAccountRequest(service_account=message, update_mask=mask)
        google.iam.patch_service_account(request=request)

    return change


def _project_member(name: str) -> IamMember:
    return IamMember(
        resource=f"projects/{PROJECT}",
        role=f"projects/{PROJECT}/roles/octue_service_user",
        member=f"serviceAccount:{name}@elsewhere.iam.gserviceaccount.com",
    )


def _conditional_member(name: str) -> IamMember:
    return replace(
        _project_member(name),
        role="roles/resourcemanager.projectIamAdmin",
        condition=Condition("only-viewers", "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []) == []"),
    )


def _read_anew(google: Google, _: IamMember) -> None:
    """Others have changed the policy by other doors."""
    google.policies.clear()


def _account_member(name: str) -> IamMember:
    pool = "projects/123456789012/locations/global/workloadIdentityPools/github"
    return IamMember(
        resource=f"projects/{PROJECT}/serviceAccounts/{ACCOUNTS[0]}",
        role="roles/iam.workloadIdentityUser",
        member=f"principalSet://iam.googleapis.com/{pool}/attribute.repository_id/{name}",
    )


def _service_member(name: str) -> IamMember:
    return IamMember(
        resource=STANDING,
        role="roles/run.invoker",
        member=f"serviceAccount:{name}@elsewhere.iam.gserviceaccount.com",
    )


def policy_of(google: Google, member: IamMember) -> policy_pb2.Policy:
    """The whole policy that the member is in."""
    client = google.policy_client(member.resource)
    request = iam_policy_pb2.GetIamPolicyRequest(resource=member.resource)
    request.options.requested_policy_version = 3
    policy: policy_pb2.Policy = client.get_iam_policy(request=request)
    return policy


def set_policy(google: Google, member: IamMember, policy: policy_pb2.Policy) -> None:
    """Somebody writes the policy that the member is in."""
    client = google.policy_client(member.resource)
    policy.version = 3
    request = iam_policy_pb2.SetIamPolicyRequest(resource=member.resource, policy=policy)
    request.update_mask.paths.extend(["bindings", "etag", "audit_configs"])
    client.set_iam_policy(request=request)


def _policy_shown(google: Google, member: IamMember) -> dict[str, Any]:
    policy = policy_of(google, member)
    bindings = {
        (binding.role, binding.condition.SerializeToString(deterministic=True)): set(binding.members)
        for binding in policy.bindings
    }
    return {"bindings": bindings, "audit": [config.SerializeToString() for config in policy.audit_configs]}


def _revoke(google: Google, member: IamMember) -> None:
    policy = policy_of(google, member)
    for binding in policy.bindings:
        wanted = member.condition.expression if member.condition else ""
        is_of_role = binding.role == member.role and binding.condition.expression == wanted
        if is_of_role and member.member in binding.members:
            binding.members.remove(member.member)
    set_policy(google, member, policy)


def _grant_to_others(google: Google, member: IamMember) -> None:
    policy = policy_of(google, member)
    policy.bindings.add(role=member.role, members=["user:colleague@example.com", "deleted:user:gone@example.com?uid=1"])
    policy.bindings.add(
        role=member.role,
        members=[member.member, "group:guests@example.com"],
        condition=expr_pb2.Expr(title="for a while", expression='request.time < timestamp("2030-01-01T00:00:00Z")'),
    )
    policy.audit_configs.add(service="run.googleapis.com").audit_log_configs.add(log_type="DATA_READ")
    set_policy(google, member, policy)


def _service(name: str) -> CloudRunService:
    return CloudRunService(
        project_id=PROJECT,
        location=LOCATION,
        service=name,
        image=IMAGES[0],
        service_account=ACCOUNTS[0],
        ingress="internal",
        environment={"SERVICE_ID": "one", "COMPUTE_PROVIDER": "GOOGLE_CLOUD_RUN", "EMPTY": ""},
        secrets={"TOKEN": "token:latest"},
        memory=Memory(2**29),
        cpu=Decimal(1),
        concurrency=10,
        timeout=3600,
        min_instances=0,
        max_instances=10,
        execution_environment="gen2",
        labels=LABELS,
    )


def edit_service(edit: Callable[[run_v2.Service], object]) -> Act:
    """Somebody edits a Cloud Run service in the console."""

    def change(google: Google, resource: CloudRunService) -> None:
        service = google.run.get_service(name=resource.resource_name)
        service.template.revision = ""
        edit(service)
        operation = google.run.update_service(service=service)
        google.finish(google.run, operation, run_v2.Service)

    return change


def edit_container(edit: Callable[[run_v2.Container], object]) -> Act:
    """Somebody edits the container of a Cloud Run service."""
    return edit_service(lambda service: edit(service.template.containers[0]))


def _set(path: str, value: object) -> Act:
    def edit(service: run_v2.Service) -> None:
        *parents, last = path.split(".")
        target: Any = service
        for parent in parents:
            target = getattr(target, parent)
        setattr(target, last, value)

    return edit_service(edit)


def _edit_environment(container: run_v2.Container) -> None:
    container.env = [
        *(variable for variable in container.env if variable.name not in {"SERVICE_ID", "EMPTY"}),
        run_v2.EnvVar(name="SERVICE_ID", value="two"),
        run_v2.EnvVar(name="DEBUG", value="1"),
    ]


def _edit_secrets(container: run_v2.Container) -> None:
    container.env = [variable for variable in container.env if variable.name != "TOKEN"]


def _pin_traffic(service: run_v2.Service) -> None:
    revision = service.latest_ready_revision.rpartition("/")[2]
    kind = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
    tagged = [target for target in service.traffic if target.tag]
    service.traffic = [run_v2.TrafficTarget(type_=kind, revision=revision, percent=100), *tagged]


def service_message(google: Google, service: CloudRunService) -> dict[str, Any]:
    """A Cloud Run service without what is volatile; in which order it has its variables makes no difference."""
    message = shown(google.run.get_service(name=service.resource_name))
    message["template"]["containers"][0]["env"].sort(key=lambda variable: variable["name"])
    return message


def _adorn_service(service: run_v2.Service) -> None:
    service.labels = {**service.labels, "team": "science"}
    service.annotations = {"note": "ours, too"}
    service.custom_audiences = ["https://sum.example.com"]
    template, container = service.template, service.template.containers[0]
    template.labels = {"team": "science"}
    template.annotations = {"example.com/note": "kept"}
    template.session_affinity = True
    container.startup_probe.failure_threshold = 3
    container.resources.startup_cpu_boost = True
    container.env = [*reversed(container.env)]
    tagged = run_v2.TrafficTarget(
        type_=run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION,
        revision=service.latest_ready_revision.rpartition("/")[2],
        tag="tried",
    )
    service.traffic = [*service.traffic, tagged]


SERVICE_DRIFTS: Mapping[str, Act] = {
    "image": edit_container(lambda container: setattr(container, "image", IMAGES[1])),
    "command": edit_container(lambda container: setattr(container, "command", ["python", "-S", "-E", "/server.py"])),
    "args": edit_container(lambda container: setattr(container, "args", ["python", "-S", "-E", "/server.py"])),
    "service_account": _set("template.service_account", ACCOUNTS[1]),
    "ingress": _set("ingress", run_v2.IngressTraffic.INGRESS_TRAFFIC_ALL),
    "needs_token": _set("invoker_iam_disabled", True),
    "environment": edit_container(_edit_environment),
    "secrets": edit_container(_edit_secrets),
    "memory": edit_container(lambda container: container.resources.limits.update({"memory": "1Gi"})),
    "cpu": edit_container(lambda container: container.resources.limits.update({"cpu": "2"})),
    "concurrency": _set("template.max_instance_request_concurrency", 80),
    "timeout": _set("template.timeout", duration_pb2.Duration(seconds=300)),
    "min_instances": _set("template.scaling.min_instance_count", 1),
    "max_instances": _set("template.scaling.max_instance_count", 100),
    "execution_environment": _set(
        "template.execution_environment", run_v2.ExecutionEnvironment.EXECUTION_ENVIRONMENT_GEN1
    ),
    "traffic": edit_service(_pin_traffic),
    "labels": edit_service(lambda service: service.labels.pop("managed-by")),
}


def _build_trigger(name: str) -> BuildTrigger:
    return BuildTrigger(
        project_id=PROJECT,
        location=LOCATION,
        trigger_name=name,
        repository=REPOSITORY,
        branch_pattern="^main$",
        image=f"{LOCATION}-docker.pkg.dev/{PROJECT}/images/{name}",
        dockerfile="Dockerfile",
        cloud_run_service=name,
        build_service_account=ACCOUNTS[0],
        tags=TAGS,
    )


def edit_build_trigger(mask: Sequence[str], **fields: Any) -> Act:
    """Somebody edits a build trigger.

    :param mask: the fields that are changed.
    """

    def change(google: Google, resource: BuildTrigger) -> None:
        trigger = cloudbuild_v1.BuildTrigger({"resource_name": resource.resource_name, **fields})
        request = cloudbuild_v1.UpdateBuildTriggerRequest(trigger=trigger, update_mask=FieldMask(paths=list(mask)))
        google.cloud_build.update_build_trigger(request=request)

    return change


def build_trigger_message(google: Google, trigger: BuildTrigger) -> dict[str, Any]:
    """A build trigger as the API shows it."""
    request = cloudbuild_v1.GetBuildTriggerRequest(name=trigger.resource_name)
    return shown(google.cloud_build.get_build_trigger(request=request))


def _github(repository: str, branch: str) -> dict[str, Any]:
    owner, _, name = repository.partition("/")
    return {"owner": owner, "name": name, "push": {"branch": branch}}


BUILD_TRIGGER_DRIFTS: Mapping[str, Act] = {
    "repository": edit_build_trigger(["github"], github=_github(OTHER_REPOSITORY, "^main$")),
    "branch_pattern": edit_build_trigger(["github"], github=_github(REPOSITORY, "^release$")),
    "build_service_account": edit_build_trigger(
        ["service_account"], service_account=f"projects/{PROJECT}/serviceAccounts/{ACCOUNTS[1]}"
    ),
    "disabled": edit_build_trigger(["disabled"], disabled=True),
    "tags": edit_build_trigger(["tags"], tags=["science"]),
    "build": edit_build_trigger(
        ["build.steps"], build={"steps": [{"name": "gcr.io/cloud-builders/docker", "args": ["build", "."]}]}
    ),
}


def _trigger(name: str) -> EventarcTrigger:
    return EventarcTrigger(
        project_id=PROJECT,
        location=LOCATION,
        trigger_id=name,
        topic=TOPICS[0],
        service="standing",
        service_account=ACCOUNTS[0],
        labels=LABELS,
    )


def edit_trigger(edit: Callable[[eventarc_v1.Trigger], object], path: str) -> Act:
    """Somebody edits an Eventarc trigger."""

    def change(google: Google, resource: EventarcTrigger) -> None:
        trigger = google.eventarc.get_trigger(name=resource.resource_name)
        edit(trigger)
        mask = FieldMask(paths=[path])
        operation = google.eventarc.update_trigger(trigger=trigger, update_mask=mask, allow_missing=False)
        google.finish(google.eventarc, operation, eventarc_v1.Trigger)

    return change


def _destination(name: str, value: str) -> Act:
    return edit_trigger(lambda trigger: setattr(trigger.destination.cloud_run, name, value), "destination")


def _trigger_with_topic_two(google: Google, trigger: EventarcTrigger) -> None:
    trigger.delete(google)
    replace(trigger, topic=TOPICS[1]).create(google)


def _subscription(name: str) -> PubsubSubscription:
    return PubsubSubscription(trigger=_trigger(name).resource_name)


def trigger_of(google: Google, subscription: PubsubSubscription) -> None:
    """Make the trigger that a subscription belongs to."""
    _trigger(subscription.name).create(google)


def subscription_name(google: Google, subscription: PubsubSubscription) -> str:
    """The full name that Eventarc gave to the subscription of a trigger."""
    name: str = google.eventarc.get_trigger(name=subscription.trigger).transport.pubsub.subscription
    return name if "/" in name else f"projects/{PROJECT}/subscriptions/{name}"


def _edit_subscription(mask: str, **fields: Any) -> Act:
    def change(google: Google, resource: PubsubSubscription) -> None:
        message = pubsub.Subscription(name=subscription_name(google, resource), **fields)
        google.subscriber.update_subscription(subscription=message, update_mask=FieldMask(paths=[mask]))

    return change


def _role(name: str) -> IamRole:
    return IamRole(
        project_id=PROJECT,
        role_id=name.replace("-", "_"),
        role_title="Summer",
        owner=LABELS,
        includes=grouped(["run.services.get", "run.services.list", "pubsub.topics.get"]),
    )


def _edit_role(mask: str, **fields: Any) -> Act:
    def change(google: Google, role: IamRole) -> None:
        message = iam_admin_v1.Role(**fields)
        request = iam_admin_v1.UpdateRoleRequest(name=role.role, role=message, update_mask=FieldMask(paths=[mask]))
        google.iam.update_role(request=request)

    return change


def _pool(name: str) -> WorkloadIdentityPool:
    return WorkloadIdentityPool(project_id=PROJECT, pool_id=name, display_name="Sum", owner=LABELS)


def _provider(name: str) -> WorkloadIdentityProvider:
    return WorkloadIdentityProvider(
        project_id=PROJECT,
        pool_id="github",
        provider_id=name,
        display_name="Sum",
        owner=LABELS,
        issuer="https://token.actions.githubusercontent.com",
        attribute_mapping={"google.subject": "assertion.sub", "attribute.repository_id": "assertion.repository_id"},
        attribute_condition="assertion.repository_id == '1'",
    )


def edit_federation(mask: str, **body: Any) -> Act:
    """Somebody edits a workload identity pool, or a provider."""

    def change(google: Google, thing: Federation) -> None:
        request = RestRequest("PATCH", f"{API}/{thing.resource_name}", {"updateMask": mask}, body)
        google.finish_rest(google.write(google.rest("update"), request), API)

    return change


def federation_message(google: Google, thing: Federation) -> dict[str, Any]:
    """A workload identity pool or a provider as the API shows it."""
    return google.read(google.rest("get"), RestRequest("GET", f"{API}/{thing.resource_name}"))


_OTHER_ISSUER = {"issuerUri": "https://token.example.com"}
_ISSUER = "https://token.actions.githubusercontent.com"
FEDERATION_DRIFTS: Mapping[str, Act] = {
    "display_name": edit_federation("displayName", displayName="Mine"),
    "owner": edit_federation("description", description="Somebody has made this."),
    "state": edit_federation("disabled", disabled=True),
}
PROVIDER_DRIFTS: Mapping[str, Act] = {
    **FEDERATION_DRIFTS,
    "issuer": edit_federation("oidc", oidc=_OTHER_ISSUER),
    "attribute_mapping": edit_federation(
        "attributeMapping", attributeMapping={"google.subject": "assertion.actor", "attribute.actor": "assertion.actor"}
    ),
    "attribute_condition": edit_federation("attributeCondition", attributeCondition="assertion.actor != ''"),
    "allowed_audiences": edit_federation("oidc", oidc={"issuerUri": _ISSUER, "allowedAudiences": ["anybody"]}),
    "keys": edit_federation("oidc", oidc={"issuerUri": _ISSUER, "jwksJson": '{"keys": []}'}),
}


FREE_API = "datastore.googleapis.com"
"""One that nothing here uses."""


def service_name(api: ProjectService) -> str:
    """The full name of an API in the project."""
    return f"projects/{PROJECT}/services/{api.api}"


KINDS: Mapping[str, Kind] = {
    "pubsub_topic": Kind(
        example=_topic,
        drifts={"labels": _topic_labels({"managed-by": "somebody", "team": "science"})},
        adorn=_topic_labels({"team": "science"}),
        message=lambda google, topic: shown(google.publisher.get_topic(topic=topic.resource_name)),
        others=lambda topic: replace(topic, labels=OTHERS_LABELS),
    ),
    "artifact_repository": Kind(
        example=_repository,
        drifts={"labels": _repository_labels({"team": "science"})},
        adorn=_repository_labels({**LABELS, "team": "science"}),
        message=lambda google, it: shown(google.artifact_registry.get_repository(name=_repository_name(it))),
        others=lambda it: replace(it, labels=OTHERS_LABELS),
    ),
    "service_account": Kind(
        example=_account,
        drifts={
            "display_name": _edit_account("display_name", "An account"),
            "owner": _edit_account("description", "An account that somebody made"),
        },
        message=lambda google, account: shown(google.iam.get_service_account(name=_account_name(account))),
        others=lambda account: replace(account, owner=OTHERS_LABELS),
    ),
    "iam_member of a project": Kind(
        example=_project_member, drifts={"granted": _revoke}, adorn=_grant_to_others, message=_policy_shown
    ),
    "iam_member of a service": Kind(
        example=_service_member, drifts={"granted": _revoke}, adorn=_grant_to_others, message=_policy_shown
    ),
    "cloud_run_service": Kind(
        example=_service,
        drifts=SERVICE_DRIFTS,
        adorn=edit_service(_adorn_service),
        message=service_message,
        others=lambda service: replace(service, labels=OTHERS_LABELS),
    ),
    "build_trigger": Kind(
        example=_build_trigger,
        drifts=BUILD_TRIGGER_DRIFTS,
        adorn=edit_build_trigger(
            ["included_files", "approval_config", "tags"],
            included_files=["src/**"],
            approval_config={"approval_required": True},
            tags=[*TAGS, "science"],
        ),
        message=build_trigger_message,
        others=lambda trigger: replace(trigger, tags=tuple(f"{key}-{value}" for key, value in OTHERS_LABELS.items())),
    ),
    "eventarc_trigger": Kind(
        example=_trigger,
        drifts={
            "topic": _trigger_with_topic_two,
            "service": _destination("service", "other"),
            "path": _destination("path", "/elsewhere"),
            "service_account": edit_trigger(
                lambda trigger: setattr(trigger, "service_account", ACCOUNTS[1]),
                "service_account",
            ),
            "labels": edit_trigger(lambda trigger: trigger.labels.pop("octue-service"), "labels"),
        },
        adorn=edit_trigger(lambda trigger: trigger.labels.update({"team": "science"}), "labels"),
        message=lambda google, trigger: shown(google.eventarc.get_trigger(name=trigger.resource_name)),
        others=lambda trigger: replace(trigger, labels=OTHERS_LABELS),
    ),
    "pubsub_subscription": Kind(
        example=_subscription,
        beneath=trigger_of,
        drifts={
            "ack_deadline_seconds": _edit_subscription("ack_deadline_seconds", ack_deadline_seconds=10),
            "expires": _edit_subscription("expiration_policy", expiration_policy={"ttl": {"seconds": 31 * 86400}}),
        },
        adorn=_edit_subscription("labels", labels={"team": "science"}),
        message=lambda google, it: shown(
            google.subscriber.get_subscription(subscription=subscription_name(google, it))
        ),
    ),
    "iam_member of a project under a condition": Kind(
        example=_conditional_member,
        beneath=_read_anew,
        drifts={"granted": _revoke},
        adorn=_grant_to_others,
        message=_policy_shown,
    ),
    "iam_member of a service account": Kind(
        example=_account_member,
        beneath=_read_anew,
        drifts={"granted": _revoke},
        adorn=_grant_to_others,
        message=_policy_shown,
    ),
    "project_service": Kind(
        example=lambda _: ProjectService(project_id=PROJECT, api=FREE_API),
        beneath=lambda google, api: api.delete(google),
        drifts={},
        message=lambda google, api: shown(google.service_usage.get_service(request={"name": service_name(api)})),
    ),
    "iam_role": Kind(
        example=_role,
        drifts={
            "role_title": _edit_role("title", title="Mine"),
            "owner": _edit_role("description", description="Somebody has made this."),
            "includes": _edit_role("included_permissions", included_permissions=["run.services.delete"]),
            "stage": _edit_role("stage", stage=iam_admin_v1.Role.RoleLaunchStage.DISABLED),
        },
        message=lambda google, role: shown(google.iam.get_role(request={"name": role.role})),
        others=lambda role: replace(role, owner=OTHERS_LABELS),
    ),
    "workload_identity_pool": Kind(
        example=_pool,
        drifts=FEDERATION_DRIFTS,
        message=federation_message,
        others=lambda pool: replace(pool, owner=OTHERS_LABELS),
    ),
    "workload_identity_provider": Kind(
        example=_provider,
        drifts=PROVIDER_DRIFTS,
        adorn=edit_federation(
            "attributeMapping",
            attributeMapping={
                "google.subject": "assertion.sub",
                "attribute.repository_id": "assertion.repository_id",
                "attribute.actor": "assertion.actor",
            },
        ),
        message=federation_message,
        others=lambda provider: replace(provider, owner=OTHERS_LABELS),
    ),
}
