"""The worlds in which a deployment may find itself, and how a deployment goes in each that nothing disturbs."""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.cloud import artifactregistry_v1, eventarc_v1, iam_admin_v1, run_v2
from google.cloud.devtools import cloudbuild_v1
from google.iam.v1 import iam_policy_pb2, policy_pb2
from google.longrunning import operations_pb2
from google.protobuf import duration_pb2
from google.pubsub_v1.types import pubsub
from google.type import expr_pb2

from emulator.rpc import Call
from tests.resilience.clouds import Cloud, Clouds, succeeded
from tests.resilience.states import (
    ACCOUNT,
    INVOKER,
    LOCATION,
    MEMBER,
    OCTUE_ROLE,
    PROJECT,
    SERVICE,
    SERVICE_NAME,
    TOPIC_PREFIX,
    differences,
    duplicates,
    of_others,
    state,
)
from tests.runs import REPOSITORY, Run

PERSON = Call("console", principal="user:owner@example.com")
OTHER = "orders"
OTHER_SERVICE_ID = "5d3c1f2e-9b1a-4c7d-8e6f-0a1b2c3d4e5f"
OTHER_ACCOUNT = f"{OTHER}-service@my-project.iam.gserviceaccount.com"
OTHER_MEMBER = f"serviceAccount:{OTHER_ACCOUNT}"
GONE_MEMBER = f"deleted:serviceAccount:{ACCOUNT}?uid=100000000000000000001"

_POLLED = ("/GetOperation", "/WaitOperation", "/GetBuild", "/ListBuilds")
_FIRST_POLLS = 2


@dataclass(frozen=True)
class Moment:
    """A request of a deployment, by which it is found in another run: the threads of a run come in any order.

    :param method: full name.
    :param occurrence: how many-th of this method, from 1.
    :param writes: whether it can change anything.
    """

    method: str
    occurrence: int
    writes: bool = False

    def __str__(self) -> str:
        return f"{self.method} #{self.occurrence}"


@dataclass(frozen=True)
class Undisturbed:
    """A deployment that nothing disturbed.

    :param run: what it left behind.
    :param state: of the cloud afterwards.
    """

    run: Run
    state: dict[str, Any]

    @property
    def moments(self) -> list[Moment]:
        """All its requests; of those that are repeated until something is done the first ones only."""
        return moments_of(self.run)


def moments_of(run: Run) -> list[Moment]:
    """The requests of a run; of those that are repeated until something is done the first ones only."""
    counted: Counter[str] = Counter()
    moments = []
    for request in run.requests:
        counted[request.method] += 1
        if not request.method.endswith(_POLLED) or counted[request.method] <= _FIRST_POLLS:
            moments.append(Moment(request.method, counted[request.method], request.writes))
    return moments


class Worlds:
    """Makes the worlds, and knows how a deployment ends in each.

    :param clouds: in which they are made.
    """

    def __init__(self, clouds: Clouds) -> None:
        self._clouds = clouds
        self.undisturbed = functools.cache(self._undisturbed)

    @contextlib.contextmanager
    def fresh(self, name: str, **settings: Any) -> Iterator[Cloud]:
        """A world of that name, in a cloud of its own."""
        with self._clouds.fresh(**settings) as cloud:
            WORLDS[name](cloud)
            cloud.others = of_others(cloud)
            yield cloud

    def check(self, name: str, cloud: Cloud) -> None:
        """Check that a cloud is as a deployment that nothing disturbed leaves a world of that name.

        :raises AssertionError: with what is different.
        """
        cloud.settle()
        problems = differences(self.undisturbed(name).state, state(cloud)) + damage(cloud)
        if problems:
            raise AssertionError("\n".join(problems))

    def _undisturbed(self, name: str) -> Undisturbed:
        with self.fresh(name) as cloud:
            run = cloud.deploy()
            succeeded(run)
            cloud.settle()
            assert damage(cloud) == []
            again = cloud.deploy()
            succeeded(again)
            assert again.writes == []
            return Undisturbed(run, state(cloud))


def damage(cloud: Cloud) -> list[str]:
    """What is there twice, and what of others' things is no longer as it was when the cloud was made."""
    now = of_others(cloud)
    return duplicates(cloud) + differences(cloud.others, {name: now.get(name) for name in cloud.others})


# The worlds


def empty(cloud: Cloud) -> None:
    """Nothing is there."""


def complete(cloud: Cloud) -> None:
    """The same commit is deployed already."""
    succeeded(cloud.deploy())


def drifted(cloud: Cloud) -> None:
    """The same commit is deployed, and a person has changed each thing by hand."""
    complete(cloud)
    other_things(cloud)
    _drift(cloud)


def foreign(cloud: Cloud) -> None:
    """Other people's things are there, among them such as the deployment makes."""
    other_things(cloud)
    _share_project_policy(cloud)


def shared(cloud: Cloud) -> None:
    """The same commit is deployed, other people have put theirs beside and on each thing, and changed what is ours."""
    complete(cloud)
    other_things(cloud)
    _share_project_policy(cloud)
    _share_our_things(cloud)
    _drift(cloud)


def moved(cloud: Cloud) -> None:
    """The same commit is deployed, and is to be asked on another topic: the trigger cannot be changed, but replaced."""
    complete(cloud)
    other_things(cloud)
    _label_topic(cloud, _our_topic(cloud), {"team": "wind"})
    cloud.inputs["service_id"] = OTHER_SERVICE_ID


WORLDS: dict[str, Callable[[Cloud], None]] = {
    world.__name__: world for world in (empty, complete, drifted, foreign, shared, moved)
}


def _drift(cloud: Cloud) -> None:
    # Without its labels a thing is nobody's, and only taken over where that is said.
    cloud.inputs["adopt"] = "true"
    for drift in DRIFTS.values():
        drift(cloud)


def _drift_account(cloud: Cloud) -> None:
    account = iam_admin_v1.ServiceAccount(name=f"{PROJECT}/serviceAccounts/{ACCOUNT}", display_name="Mine")
    cloud.world.iam.patch_service_account(
        iam_admin_v1.PatchServiceAccountRequest(service_account=account, update_mask={"paths": ["display_name"]}),
        PERSON,
    )


def _drift_image_repository(cloud: Cloud) -> None:
    registry = cloud.world.artifact_registry
    name = f"{LOCATION}/repositories/{SERVICE}"
    repository = registry.get_repository(artifactregistry_v1.GetRepositoryRequest(name=name), PERSON)
    labels = {key: value for key, value in repository.labels.items() if key != "octue-service"}
    registry.update_repository(
        artifactregistry_v1.UpdateRepositoryRequest(
            repository=artifactregistry_v1.Repository(name=name, labels={**labels, "team": "wind"}),
            update_mask={"paths": ["labels"]},
        ),
        PERSON,
    )


def _drift_topic(cloud: Cloud) -> None:
    topic = _our_topic(cloud)
    _label_topic(cloud, topic, {"managed-by": "octue-action", "team": "wind"})


def _label_topic(cloud: Cloud, topic: pubsub.Topic, labels: Mapping[str, str]) -> None:
    changed = pubsub.Topic(name=topic.name, labels=dict(labels))
    cloud.world.pubsub.publisher.update_topic(
        pubsub.UpdateTopicRequest(topic=changed, update_mask={"paths": ["labels"]}), PERSON
    )


def _drift_service(cloud: Cloud) -> None:
    def change(service: run_v2.Service) -> None:
        container = service.template.containers[0]
        container.resources.limits["memory"] = "256Mi"
        container.env[0].value = "another"
        container.env.append(run_v2.EnvVar(name="MINE", value="1"))
        service.labels = {"team": "wind", **{k: v for k, v in service.labels.items() if k != "managed-by"}}
        service.ingress = run_v2.IngressTraffic(run_v2.IngressTraffic.INGRESS_TRAFFIC_ALL)

    _change_service(cloud, change)


def _drift_carriers(cloud: Cloud) -> None:
    """The trigger and its subscription."""
    eventarc = cloud.world.eventarc
    name = f"{LOCATION}/triggers/{SERVICE}"
    trigger = eventarc.get_trigger(eventarc_v1.GetTriggerRequest(name=name), PERSON)
    trigger.service_account = OTHER_ACCOUNT
    trigger.destination.cloud_run.path = "/elsewhere"
    trigger.labels = {"team": "wind", **{k: v for k, v in trigger.labels.items() if k != "github-repository-id"}}
    request = eventarc_v1.UpdateTriggerRequest(
        trigger=trigger, update_mask={"paths": ["service_account", "destination", "labels"]}
    )
    finish(cloud, eventarc.update_trigger(request, PERSON))
    subscription = pubsub.Subscription(
        name=trigger.transport.pubsub.subscription,
        ack_deadline_seconds=10,
        expiration_policy=pubsub.ExpirationPolicy(ttl=duration_pb2.Duration(seconds=31 * 24 * 3600)),
    )
    cloud.world.pubsub.subscriber.update_subscription(
        pubsub.UpdateSubscriptionRequest(
            subscription=subscription, update_mask={"paths": ["ack_deadline_seconds", "expiration_policy"]}
        ),
        PERSON,
    )


def _drift_build_trigger(cloud: Cloud) -> None:
    def change(trigger: cloudbuild_v1.BuildTrigger) -> None:
        trigger.github.push.branch = "^other$"
        trigger.build.steps[0].args.append("--no-cache")
        trigger.tags = [tag for tag in trigger.tags if not tag.startswith("managed-by")]

    _change_build_trigger(cloud, change)


def _take_away(policy: policy_pb2.Policy, role: str) -> None:
    for binding in policy.bindings:
        if binding.role == role and not binding.condition.expression:
            binding.members[:] = [member for member in binding.members if member != MEMBER]


DRIFTS: dict[str, Callable[[Cloud], None]] = {
    "account": _drift_account,
    "image repository": _drift_image_repository,
    "topic": _drift_topic,
    "service": _drift_service,
    "carriers": _drift_carriers,
    "build trigger": _drift_build_trigger,
    "role": lambda cloud: change_policy(cloud, PROJECT, lambda policy: _take_away(policy, OCTUE_ROLE)),
    "invoker": lambda cloud: change_policy(cloud, SERVICE_NAME, lambda policy: _take_away(policy, INVOKER)),
}
"""What a person changes by hand, thing by thing."""


def other_things(cloud: Cloud) -> None:
    """One of each kind that has nothing to do with the deployment."""
    world = cloud.world
    world.iam.create_service_account(
        iam_admin_v1.CreateServiceAccountRequest(name=PROJECT, account_id=OTHER_ACCOUNT.partition("@")[0]), PERSON
    )
    world.pubsub.publisher.create_topic(pubsub.Topic(name=f"{PROJECT}/topics/{OTHER}"), PERSON)
    world.pubsub.subscriber.create_subscription(
        pubsub.Subscription(name=f"{PROJECT}/subscriptions/{OTHER}", topic=f"{PROJECT}/topics/{OTHER}"), PERSON
    )
    repository = artifactregistry_v1.Repository(format_=artifactregistry_v1.Repository.Format.DOCKER)
    finish(
        cloud,
        world.artifact_registry.create_repository(
            artifactregistry_v1.CreateRepositoryRequest(parent=LOCATION, repository_id=OTHER, repository=repository),
            PERSON,
        ),
    )
    template = run_v2.RevisionTemplate(
        containers=[run_v2.Container(image=f"europe-west1-docker.pkg.dev/my-project/{OTHER}/{OTHER}:1")]
    )
    finish(
        cloud,
        world.cloud_run.services[0].create_service(
            run_v2.CreateServiceRequest(
                parent=LOCATION, service_id=OTHER, service=run_v2.Service(template=template, labels={"team": "wind"})
            ),
            PERSON,
        ),
    )
    _make_trigger(cloud, OTHER, OTHER, OTHER)
    build = cloudbuild_v1.Build(steps=[cloudbuild_v1.BuildStep(name="gcr.io/cloud-builders/docker", args=["version"])])
    owner, _, name = REPOSITORY.partition("/")
    world.cloud_build.create_build_trigger(
        cloudbuild_v1.CreateBuildTriggerRequest(
            parent=LOCATION,
            trigger=cloudbuild_v1.BuildTrigger(
                name=OTHER,
                build=build,
                github=cloudbuild_v1.GitHubEventsConfig(
                    owner=owner, name=name, push=cloudbuild_v1.PushFilter(branch="^orders$")
                ),
            ),
        ),
        PERSON,
    )


def _make_trigger(cloud: Cloud, trigger_id: str, topic: str, service: str) -> None:
    trigger = eventarc_v1.Trigger(
        event_filters=[
            eventarc_v1.EventFilter(attribute="type", value="google.cloud.pubsub.topic.v1.messagePublished")
        ],
        destination=eventarc_v1.Destination(
            cloud_run=eventarc_v1.CloudRun(service=service, region="europe-west1", path="/")
        ),
        transport=eventarc_v1.Transport(pubsub=eventarc_v1.Pubsub(topic=f"{PROJECT}/topics/{topic}")),
        service_account=OTHER_ACCOUNT,
    )
    request = eventarc_v1.CreateTriggerRequest(parent=LOCATION, trigger_id=trigger_id, trigger=trigger)
    finish(cloud, cloud.world.eventarc.create_trigger(request, PERSON))


def _share_project_policy(cloud: Cloud) -> None:
    def change(policy: policy_pb2.Policy) -> None:
        policy.bindings.add(role=OCTUE_ROLE, members=[OTHER_MEMBER, GONE_MEMBER])
        policy.bindings.add(role=OCTUE_ROLE, members=[OTHER_MEMBER], condition=_condition("a-year"))
        policy.bindings.add(role="roles/pubsub.publisher", members=[OTHER_MEMBER, GONE_MEMBER])

    change_policy(cloud, PROJECT, change)


def _share_our_things(cloud: Cloud) -> None:
    _share_service_policy(cloud)
    topic = _our_topic(cloud)
    _label_topic(cloud, topic, {**topic.labels, "team": "wind"})
    cloud.world.pubsub.subscriber.create_subscription(
        pubsub.Subscription(name=f"{PROJECT}/subscriptions/listener", topic=topic.name), PERSON
    )
    _make_trigger(cloud, f"{OTHER}-to-sum", OTHER, SERVICE)
    _share_service(cloud)

    def change(trigger: cloudbuild_v1.BuildTrigger) -> None:
        trigger.tags.append("team-wind")
        trigger.included_files = ["src/**"]
        trigger.ignored_files = ["docs/**"]
        trigger.filter = "true"
        trigger.approval_config = cloudbuild_v1.ApprovalConfig(approval_required=False)

    _change_build_trigger(cloud, change)


def _share_service(cloud: Cloud) -> None:
    def change(service: run_v2.Service) -> None:
        service.description = "Adds numbers"
        service.labels["cost-centre"] = "42"
        service.template.annotations["team"] = "wind"
        service.template.volumes = [run_v2.Volume(name="scratch", empty_dir=run_v2.EmptyDirVolumeSource())]
        service.template.containers[0].volume_mounts = [run_v2.VolumeMount(name="scratch", mount_path="/scratch")]
        service.template.revision = ""
        service.traffic.append(
            run_v2.TrafficTarget(
                type_=run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION,
                revision=service.latest_ready_revision.rpartition("/")[2],
                tag="before",
            )
        )

    _change_service(cloud, change)


def _share_service_policy(cloud: Cloud) -> None:
    def change(policy: policy_pb2.Policy) -> None:
        policy.bindings.add(role=INVOKER, members=[OTHER_MEMBER, GONE_MEMBER])
        policy.bindings.add(role=INVOKER, members=[MEMBER], condition=_condition("a-year"))
        policy.bindings.add(role="roles/run.viewer", members=["user:guest@example.com"])

    change_policy(cloud, SERVICE_NAME, change)


def _condition(title: str) -> expr_pb2.Expr:
    return expr_pb2.Expr(title=title, expression='request.time < timestamp("2030-01-01T00:00:00Z")')


# How a person changes things


def finish(cloud: Cloud, operation: operations_pb2.Operation) -> None:
    """Let an operation end."""
    cloud.world.operations.wait(operation.name, 3600)


def _our_topic(cloud: Cloud) -> pubsub.Topic:
    topics = cloud.world.pubsub.topics
    return pubsub.Topic(topics[next(name for name in topics if name.startswith(TOPIC_PREFIX))])


def _change_service(cloud: Cloud, change: Callable[[run_v2.Service], None]) -> None:
    services = cloud.world.cloud_run.services[0]
    service = services.get_service(run_v2.GetServiceRequest(name=SERVICE_NAME), PERSON)
    change(service)
    finish(cloud, services.update_service(run_v2.UpdateServiceRequest(service=service), PERSON))


def _change_build_trigger(cloud: Cloud, change: Callable[[cloudbuild_v1.BuildTrigger], None]) -> None:
    name = f"{LOCATION}/triggers/{SERVICE}"
    trigger = cloud.world.cloud_build.get_build_trigger(cloudbuild_v1.GetBuildTriggerRequest(name=name), PERSON)
    change(trigger)
    cloud.world.cloud_build.update_build_trigger(
        cloudbuild_v1.UpdateBuildTriggerRequest(trigger=trigger, trigger_id=trigger.id), PERSON
    )


def change_policy(cloud: Cloud, resource: str, change: Callable[[policy_pb2.Policy], None]) -> None:
    """Read, change and write, as everybody should."""
    owner: Any = cloud.world.projects if resource == PROJECT else cloud.world.cloud_run.services[0]
    request = iam_policy_pb2.GetIamPolicyRequest(resource=resource, options={"requested_policy_version": 3})
    policy = owner.get_iam_policy(request, PERSON)
    policy.version = 3
    change(policy)
    owner.set_iam_policy(iam_policy_pb2.SetIamPolicyRequest(resource=resource, policy=policy), PERSON)
