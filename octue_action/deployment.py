"""The guide as one list: from the settings of a service to the resources that should stand in Google Cloud."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from octue_action import names
from octue_action.existing import SERVICE_ID, Existing, runtime_account
from octue_action.failure import Failure
from octue_action.plan import Action, Change, Plan
from octue_action.resource import Resource
from octue_action.resources.artifact_repository import ArtifactRepository
from octue_action.resources.build_trigger import NEVER, BuildTrigger, tags_of
from octue_action.resources.cloud_run_service import CloudRunService, bytes_of, is_changing
from octue_action.resources.container_image import ContainerImage
from octue_action.resources.eventarc_trigger import EventarcTrigger
from octue_action.resources.iam_member import IamMember
from octue_action.resources.pubsub_subscription import PubsubSubscription
from octue_action.resources.pubsub_topic import PubsubTopic
from octue_action.resources.service_account import ServiceAccount

if TYPE_CHECKING:
    from octue_action.settings import ServiceSettings, Settings


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One Octue service and all that belongs to it.

    :param service: where and how it runs.
    :param topic: where it is asked.
    :param account: e-mail of the account it runs as.
    :param trigger: what carries questions to it.
    :param image: the image that is built for it; None where a ready one was given.
    :param others: everything else.
    :param shared: those among them that a service and its previews have in common, and those built together.
    :param serving_image: the image that serves afterwards, where that is not the service's newest one.
    """

    service: CloudRunService
    topic: PubsubTopic
    account: str
    trigger: EventarcTrigger
    image: ContainerImage | None
    others: tuple[Resource, ...]
    shared: tuple[Resource, ...] = ()
    serving_image: str = ""

    @property
    def service_id(self) -> str:
        """The UUID by which ``Child`` knows it."""
        return self.topic.topic_id.removeprefix(names.TOPIC_PREFIX)

    @property
    def resources(self) -> tuple[Resource, ...]:
        """All of them, in the order in which a person would make them."""
        listed = [*self.others, self.image, self.topic, self.service, self.trigger]
        order = {kind: position for position, kind in enumerate(ORDER)}
        return tuple(sorted((r for r in listed if r is not None), key=lambda r: order[type(r)]))


def own_addresses(deployments: Sequence[Deployment]) -> list[frozenset[str]]:
    """Addresses of what each service shares with none of the others."""
    addresses = [frozenset(resource.address for resource in it.resources) for it in deployments]
    count = Counter(itertools.chain.from_iterable(addresses))
    return [frozenset(address for address in of_one if count[address] == 1) for of_one in addresses]


@dataclass(frozen=True)
class Destruction:
    """What of a deployment is to be deleted, one by one; the rest goes with these.

    :param resources: in the order in which they were made.
    :param kept: those among them that stay in any case, by address: why, as a clause.
    :param refusals: why nothing of it may be deleted.
    :param earlier: addresses of what it may have had before it was built together with others.
    """

    resources: tuple[Resource, ...]
    kept: Mapping[str, str]
    refusals: tuple[Failure, ...] = ()
    earlier: frozenset[str] = frozenset()


MOST_NAMED = 3
"""How many of the services are named that use something, too."""

ORDER: tuple[type[Resource], ...] = (
    ServiceAccount,
    ArtifactRepository,
    BuildTrigger,
    ContainerImage,
    PubsubTopic,
    CloudRunService,
    IamMember,
    EventarcTrigger,
    PubsubSubscription,
)


def desired(settings: Settings, service: ServiceSettings, existing: Existing) -> Deployment:
    """What should stand for one service.

    :param existing: a trigger that is there keeps its name, and its topic is kept where the settings name none.
    """
    labels = names.labels(service.service, settings.github.repository_id, service.preview)
    trigger = existing.trigger_of(service)
    derived = existing.own_topic_id(settings.project_id, service)
    given = names.topic_id(service.service_id) if service.service_id else ""
    topic_id = given or existing.topic_id(settings.project_id, service, labels) or derived
    topic = PubsubTopic(
        project_id=settings.project_id, topic_id=topic_id, labels=labels, kept=bool(given) or topic_id != derived
    )
    account, made = _runtime_account(settings, service)
    build = _build(settings, service)
    image = next((resource for resource in build if isinstance(resource, ContainerImage)), None)
    run = _cloud_run_service(settings, service, labels, topic, account, (*made, *build))
    role = IamMember(
        resource=f"projects/{settings.project_id}",
        role=settings.octue_role,
        member=f"serviceAccount:{account}",
        member_may_be_new=bool(made),
        owned_with=next(iter(_addresses(made)), None),
        depends_on=_addresses(made),
    )
    invoker = IamMember(
        resource=run.resource_name,
        role="roles/run.invoker",
        member=f"serviceAccount:{account}",
        member_may_be_new=bool(made),
        may_be_public=service.ingress == "all",
        part_of=run.address,
        depends_on=_addresses([run, *made]),
    )
    carrier = EventarcTrigger(
        project_id=settings.project_id,
        location=service.region,
        trigger_id=trigger.name.rpartition("/")[2] if trigger is not None else names.eventarc_trigger(service.service),
        topic=topic.resource_name,
        service=service.service,
        service_account=account,
        account_may_be_new=bool(made),
        labels=labels,
        depends_on=_addresses([topic, run, role, invoker]),
    )
    subscription = PubsubSubscription(
        trigger=carrier.resource_name, part_of=carrier.address, depends_on=_addresses([carrier])
    )
    others = (*made, *(r for r in build if r is not image), role, invoker, subscription)
    repositories = (r for r in build if isinstance(r, ArtifactRepository))
    return Deployment(
        service=run,
        topic=topic,
        account=account,
        trigger=carrier,
        image=image,
        others=others,
        shared=(*repositories, *made, role),
    )


def known(deployment: Deployment, existing: Existing) -> dict[str, Resource | Failure | None]:
    """What has been read of a deployment's resources already, by address, as ``plan.Known``."""
    failure = existing.unread(deployment.service.resource_name)
    if failure is not None:
        return {deployment.service.address: failure}
    trigger = existing.trigger_named(deployment.trigger)
    service = existing.service(deployment.service.resource_name)
    read: dict[str, Resource | Failure | None] = {
        deployment.trigger.address: deployment.trigger.canonical(trigger) if trigger is not None else None
    }
    # A service that is changing at the moment is read again, and waited for.
    if service is None or not is_changing(service):
        read[deployment.service.address] = deployment.service.canonical(service) if service is not None else None
    if existing.topics is not None:  # of one that is not there, Pub/Sub would remember for a while that it is not
        topic = existing.topics.get(deployment.topic.resource_name)
        read[deployment.topic.address] = deployment.topic.canonical(topic) if topic is not None else None
    return read


def destroyed(settings: Settings, service: ServiceSettings, existing: Existing) -> tuple[Deployment, Destruction]:
    """What goes when a service goes, and what stays all the same.

    :param existing: as for ``desired``.
    """
    # What an earlier deployment has built goes, too, also where this run names a ready image.
    service = replace(service, image=None)
    deployment, build = desired(settings, service, existing), _build(settings, service)
    before = _built_before(settings, service, existing)
    earlier = tuple(resource for resource, _ in before)
    # The topic goes only where the topic's own labels say whose it is. And before the service: as long as that stands,
    # it says which topic is its own.
    topic = replace(deployment.topic, kept=False, depends_on=_addresses([deployment.service]))
    run = replace(deployment.service, depends_on=(*deployment.service.depends_on, *_addresses(earlier)))
    listed = replace(deployment, topic=topic, service=run, others=(*deployment.others, *earlier)).resources
    resources = tuple(r for r in listed if r.part_of is None and r is not deployment.image)
    users = existing.users_of_account(settings, service, deployment.account)
    of_account = _use(users) or _unseen(existing.unseen_regions)
    uses = {
        **dict.fromkeys(_addresses(deployment.shared), of_account),
        **{it.address: _use(_users_of_build(it, settings, service, existing)) for it in build},
        **{it.address: _use(_users_of_build(it, settings, as_it_was, existing)) for it, as_it_was in before},
    }
    kept = {address: use for address, use in uses.items() if use}
    if service.runtime_service_account:
        kept |= {
            r.address: "the account was given to the service, and may have had it before"
            for r in deployment.resources
            if isinstance(r, IamMember) and r.part_of is None
        }
    if existing.is_asked_elsewhere(topic.topic_id):
        kept[topic.address] = "a service in another region is asked on it"
    is_there = existing.topics is None or topic.resource_name in existing.topics
    if is_there and not settings.delete_topic:
        kept[topic.address] = "its askers know it; `delete_topic: true` deletes it"
    refusals = _foreign(deployment.service, existing)
    return deployment, Destruction(resources, kept, refusals, frozenset(_addresses(earlier)))


def _built_before(
    settings: Settings, service: ServiceSettings, existing: Existing
) -> list[tuple[Resource, ServiceSettings]]:
    """What may have built the service before it was built as it is now: alone, or after one that is no more.

    :returns: each with the service as it was then.
    """
    namesakes = {service.real_service, existing.image_service(settings.project_id, service)}
    earlier = namesakes - {"", service.image_service, *settings.namesakes}
    # A preview leaves the images to the service itself, whose earlier revisions may run them.
    own = BuildTrigger if service.preview else ArtifactRepository | BuildTrigger
    return [
        (resource, as_it_was)
        for namesake in sorted(earlier)
        for as_it_was in [replace(service, built_together=(namesake,))]
        for resource in _build(settings, as_it_was)
        if isinstance(resource, own)
    ]


def _users_of_build(
    resource: Resource, settings: Settings, service: ServiceSettings, existing: Existing
) -> Sequence[str]:
    """Who else uses the repository of a service's images, or the trigger that builds them."""
    if isinstance(resource, BuildTrigger):
        return existing.users_of_trigger(settings, service)
    return existing.users_of_images(settings, service)


def _use(users: Sequence[str]) -> str:
    """Who else uses something, as a clause; empty where nobody does."""
    if len(users) > MOST_NAMED:
        return f"{', '.join(users[:MOST_NAMED])} and {len(users) - MOST_NAMED} more use it, too"
    return f"{' and '.join(users)} {'uses' if len(users) == 1 else 'use'} it, too" if users else ""


def _unseen(unseen_regions: Sequence[str]) -> str:
    if not unseen_regions:
        return ""
    named = ", ".join(unseen_regions[:MOST_NAMED]) + (" and others" if unseen_regions[MOST_NAMED:] else "")
    return f"Google Cloud does not tell whether a service in {named} uses it"


def _foreign(service: CloudRunService, existing: Existing) -> tuple[Failure, ...]:
    """The refusal of a service that is there and not ours: what it runs on is not taken from under it."""
    found = existing.service(service.resource_name)
    if found is None or service.canonical(found).ours:
        return ()
    message = f"The {service.label} exists, and this workflow did not make it: nothing of it is destroyed."
    remedy = (
        f"Look at it. To take it over, and then destroy it, deploy it with `adopt: true` first:\n{service.console_url}"
    )
    return (Failure(message, remedy),)


def informed(plan: Plan, deployments: Iterable[Deployment]) -> Plan:
    """The plan in which each resource knows of those that this run only makes.

    An image looks for no build that is there already where its trigger is new. And an account may be new to Cloud Run,
    or to Eventarc, where this run makes it, or the first thing that runs as it: a run that was killed may have made it.

    :param deployments: what the plan is of.
    """

    def settled(change: Change) -> Resource:
        resource: Resource = change.resource
        trigger = first.get(resource.address)
        if trigger is not None:
            before = () if trigger == resource.address else (*resource.depends_on, trigger)
            resource = replace(resource, depends_on=before)
        if isinstance(resource, ContainerImage):
            stands = f"{BuildTrigger.kind}.{resource.trigger.rpartition('/')[2]}" not in made
            return replace(resource, trigger_stands=stands)
        if isinstance(resource, CloudRunService | EventarcTrigger):
            account = f"{ServiceAccount.kind}.{resource.service_account}" in made
            is_new = account or change.action is not Action.UPDATE
            return replace(resource, account_may_be_new=resource.account_may_be_new and is_new)
        return resource

    made = {address for address, change in plan.by_address.items() if change.action is Action.CREATE}
    # Nothing but making it tells whether the repository is connected to Cloud Build. Where it is not, nothing is made.
    first = {
        address: trigger
        for deployment in deployments
        for trigger in made.intersection(r.address for r in deployment.others if isinstance(r, BuildTrigger))
        for address in _addresses(deployment.resources)
    }
    return replace(plan, changes=tuple(replace(c, resource=settled(c)) for c in plan.changes))


def _runtime_account(settings: Settings, service: ServiceSettings) -> tuple[str, tuple[ServiceAccount, ...]]:
    """The e-mail of the account, and the account where it is the service's own; a preview runs as the service does."""
    email = runtime_account(service, settings.project_id)
    if service.runtime_service_account:
        return email, ()
    account = ServiceAccount(
        project_id=settings.project_id,
        account_id=names.service_account_id(service.real_service),
        email=email,
        owner=names.labels(service.real_service, settings.github.repository_id),
        display_name=f"Octue service {service.real_service}",
    )
    return email, (account,)


def _build(settings: Settings, service: ServiceSettings) -> tuple[Resource, ...]:
    """What makes the image, the same for all services that are built together.

    A preview's image goes beside the service's own, and is made by a trigger that no push starts.
    """
    if service.image:
        return ()
    repository = ArtifactRepository(
        project_id=settings.project_id,
        location=service.region,
        repository_id=names.artifact_repository(service.image_service),
        labels=names.labels(service.image_service, settings.github.repository_id),
    )
    first, *others = service.built_services
    tags = tags_of(names.labels(first, settings.github.repository_id, service.preview))
    trigger = BuildTrigger(
        project_id=settings.project_id,
        location=service.region,
        trigger_name=names.build_trigger(first),
        repository=service.repository_connection or settings.github.repository,
        branch_pattern=service.branch_pattern if _builds_pushes(service) else NEVER,
        image=_image(settings, service).rpartition(":")[0],
        dockerfile=service.dockerfile,
        cloud_run_service=first,
        also_updated=tuple(others),
        build_service_account=service.build_service_account,
        build_secrets=service.build_secrets,
        tags=tags,
        depends_on=_addresses([repository]),
    )
    image = ContainerImage(
        project_id=settings.project_id,
        location=service.region,
        repository_id=repository.repository_id,
        image_name=service.image_service,
        commit=settings.github.commit,
        trigger=trigger.resource_name,
        build_tag=next(tag for tag in tags if tag.startswith("octue-service-")),
        pushed=_starts_trigger(settings, service),
        depends_on=_addresses([repository, trigger]),
    )
    return repository, trigger, image


def _image(settings: Settings, service: ServiceSettings) -> str:
    """The image of this run's commit."""
    return names.image(service.region, settings.project_id, service.image_service, settings.github.commit)


def _builds_pushes(service: ServiceSettings) -> bool:
    return service.build_trigger == "push" and service.preview is None


def _starts_trigger(settings: Settings, service: ServiceSettings) -> bool:
    """Whether the event that started this workflow is a push that starts the build trigger, too."""
    kind, _, branch = settings.github.ref.removeprefix("refs/").partition("/")
    return (
        _builds_pushes(service)
        and settings.github.event_name == "push"
        and kind == "heads"
        and _matches(service.branch_pattern, branch)
    )


def _matches(branch_pattern: str, branch: str) -> bool:
    """Whether a branch's pushes are built; a pattern that only Cloud Build's RE2 can deal with is taken to match.

    Where that is wrong, a build is waited for that does not come, for ``container_image.APPEARANCE_SECONDS``.
    """
    try:
        return _takes_long(branch_pattern) or re.search(branch_pattern, branch) is not None
    except re.error:
        return True


MOST_EFFORT = 10
"""Two repetitions and two alternatives: what Python tries at most in less than a second for the longest branch name."""


def _takes_long(pattern: str) -> bool:
    """Whether Python could try a pattern for years, as it does with repetitions of repetitions: RE2 never does."""
    repetitions, alternatives = len(re.findall("[*+?{]", pattern)), pattern.count("|")
    return 4 * repetitions + alternatives > MOST_EFFORT or re.search(r"\)[*+?{]", pattern) is not None


def _cloud_run_service(
    settings: Settings,
    service: ServiceSettings,
    labels: Mapping[str, str],
    topic: PubsubTopic,
    account: str,
    needed: Iterable[Resource],
) -> CloudRunService:
    return CloudRunService(
        project_id=settings.project_id,
        location=service.region,
        service=service.service,
        image=service.image or _image(settings, service),
        service_account=account,
        ingress=service.ingress,
        environment={**service.environment_variables, **_octue_variables(service, topic)},
        secrets={name: f"{ref.secret}:{ref.version}" for name, ref in service.secrets.items()},
        memory=bytes_of(service.memory),
        cpu=Decimal(service.cpu),
        concurrency=service.concurrency,
        timeout=service.timeout,
        min_instances=service.min_instances,
        max_instances=service.max_instances,
        execution_environment=service.execution_environment,
        labels={**service.labels, **labels},
        account_may_be_new=service.runtime_service_account is None,
        depends_on=_addresses(needed),
    )


def _octue_variables(service: ServiceSettings, topic: PubsubTopic) -> dict[str, str]:
    """The variables that Octue's SDK reads; without ``SERVICE_ID``, which the guide forgets, every question is lost."""
    variables = {
        SERVICE_ID: topic.topic_id.removeprefix(names.TOPIC_PREFIX),
        "COMPUTE_PROVIDER": "GOOGLE_CLOUD_RUN",
        "USE_OCTUE_LOG_HANDLER": "1",
    }
    if service.namespace:
        variables |= {"OCTUE_SERVICE_NAMESPACE": service.namespace, "OCTUE_SERVICE_NAME": service.name}
    return variables


def _addresses(resources: Iterable[Resource]) -> tuple[str, ...]:
    return tuple(resource.address for resource in resources)
