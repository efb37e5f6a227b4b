"""The guide as one list: from the settings of a service to the resources that should stand in Google Cloud."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from octue_action import names, regions
from octue_action.failure import Failure, GoogleError
from octue_action.graph import walk
from octue_action.plan import Action, Change, Plan
from octue_action.resource import Resource, is_ours
from octue_action.resources.artifact_repository import ArtifactRepository
from octue_action.resources.build_trigger import NEVER, BuildTrigger
from octue_action.resources.cloud_run_service import CloudRunService, bytes_of, is_changing
from octue_action.resources.container_image import ContainerImage
from octue_action.resources.eventarc_trigger import EventarcTrigger
from octue_action.resources.iam_member import IamMember
from octue_action.resources.pubsub_subscription import PubsubSubscription
from octue_action.resources.pubsub_topic import PubsubTopic
from octue_action.resources.service_account import ServiceAccount

if TYPE_CHECKING:
    from google.cloud import eventarc_v1, run_v2
    from google.pubsub_v1.types import pubsub

    from octue_action.google import Google
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
    :param shared: those among them that a service and its previews have in common.
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


@dataclass(frozen=True)
class Destruction:
    """What of a deployment is to be deleted, one by one; the rest goes with these.

    :param resources: in the order in which they were made.
    :param kept: those among them that stay in any case, by address: why, as a clause.
    :param refusals: why nothing of it may be deleted.
    """

    resources: tuple[Resource, ...]
    kept: Mapping[str, str]
    refusals: tuple[Failure, ...] = ()


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


class Existing:
    """What is there of the services and of the triggers around them, read once: it decides about topics and names.

    :param triggers: the Eventarc triggers of each region.
    :param services: the Cloud Run services by full resource name; None for one that is not there.
    :param topics: the project's Pub/Sub topics, where neither says on which one a service is asked.
    :param neighbours: all Cloud Run services of each region, where something is to be destroyed beside them.
    :param elsewhere: ids of the topics that services in other regions are asked on, as far as that was looked at, and
        of each a subscription that says so.
    """

    def __init__(
        self,
        triggers: Mapping[str, Iterable[eventarc_v1.Trigger]],
        services: Mapping[str, run_v2.Service | None],
        topics: Iterable[pubsub.Topic] = (),
        neighbours: Mapping[str, Iterable[run_v2.Service]] | None = None,
        elsewhere: Mapping[str, str] | None = None,
    ) -> None:
        self._triggers = {region: list(listed) for region, listed in triggers.items()}
        self._services = services
        self._topics = list(topics)
        self._neighbours = {region: list(listed) for region, listed in (neighbours or {}).items()}
        self._elsewhere = dict(elsewhere or {})
        self._unseen: list[str] = []

    @classmethod
    def read(cls, google: Google, settings: Settings) -> Existing:
        """Ask for the triggers of every region that a service is in, and for the services, all together.

        Only then for the topics: a service that is gone has left its topic, and its askers know it.
        """
        from google.cloud import eventarc_v1, run_v2
        from google.pubsub_v1.types import pubsub

        parents = {f"projects/{settings.project_id}/locations/{s.region}": s.region for s in settings.services}
        services = [_resource_name(settings.project_id, service) for service in settings.services]
        asked: dict[str, Callable[[], Any]] = {
            **{
                f"triggers of {p}": partial(
                    google.list, google.eventarc.list_triggers, eventarc_v1.ListTriggersRequest(parent=p)
                )
                for p in parents
            },
            **{n: partial(google.find, google.run.get_service, run_v2.GetServiceRequest(name=n)) for n in services},
        }
        if settings.mode == "destroy":
            asked |= {
                f"services of {p}": partial(google.list, google.run.list_services, run_v2.ListServicesRequest(parent=p))
                for p in parents
            }
        answers = walk({name: set() for name in asked}, lambda name: asked[name]())
        existing = cls(
            {region: answers[f"triggers of {parent}"] for parent, region in parents.items()},
            {name: answers[name] for name in services},
            neighbours={region: answers.get(f"services of {parent}", ()) for parent, region in parents.items()},
        )
        project = settings.project_id
        if settings.mode == "destroy" and existing._leaves_accounts(settings):
            elsewhere = _services_elsewhere(google, project, parents.values())
            existing._neighbours |= {region: listed for region, listed in elsewhere.items() if listed is not None}
            existing._unseen = sorted(region for region, listed in elsewhere.items() if listed is None)
        unsaid = [s for s in settings.services if not (s.service_id or existing._said_topic(project, s))]
        if unsaid:
            request = pubsub.ListTopicsRequest(project=f"projects/{project}", page_size=1000)
            existing._topics = google.list(google.publisher.list_topics, request)
        existing._elsewhere = _asked_elsewhere(google, project, existing._in_question(settings, unsaid))
        return existing

    def _leaves_accounts(self, settings: Settings) -> bool:
        """Whether there is an account that would go, as nothing in the region of its service uses it, too."""
        return any(
            not service.runtime_service_account
            and not self._users_of(_runtime_account(settings, service)[0], service, service.region)
            for service in settings.services
        )

    def _in_question(self, settings: Settings, unsaid: Iterable[ServiceSettings]) -> dict[str, str]:
        """The topics that are taken, or deleted, only if no service in another region is asked on them.

        :returns: their ids, and of each the region of the service that it is for.
        """
        project, found = settings.project_id, dict[str, str]()
        there = {topic.name.rpartition("/")[2] for topic in self._topics}
        for service in unsaid:
            labels = names.labels(service.service, settings.github.repository_id, service.preview)
            derived = itertools.takewhile(lambda topic_id: topic_id in there, _derived_topics(project, service))
            found |= dict.fromkeys([*derived, *self._ours(labels)], service.region)
        for service in settings.services if settings.delete_topic else ():
            said = names.topic_id(service.service_id) if service.service_id else self._said_topic(project, service)
            found |= {said: service.region} if said else {}
        return found

    def _ours(self, labels: Mapping[str, str]) -> list[str]:
        """The topics for questions that carry these labels."""
        ours = [topic.name.rpartition("/")[2] for topic in self._topics if is_ours(topic.labels, labels)]
        return [topic_id for topic_id in ours if _UUID.fullmatch(topic_id.removeprefix(names.TOPIC_PREFIX))]

    def is_asked_elsewhere(self, topic_id: str) -> bool:
        """Whether a service in another region is asked on a topic, as far as that was looked at."""
        return topic_id in self._elsewhere

    def notices(self, settings: Settings) -> Iterator[str]:
        """What is good to know of what is there: topics of a service that it does not get."""
        project = settings.project_id
        for service in settings.services:
            labels = names.labels(service.service, settings.github.repository_id, service.preview)
            own = dict.fromkeys([next(_derived_topics(project, service)), *self._ours(labels)])
            for topic_id in own if not (service.service_id or self._said_topic(project, service)) else ():
                if topic_id in self._elsewhere:
                    yield (
                        f"{service.service} in {service.region} is asked on a topic of its own. The topic {topic_id} "
                        f"stays with a service in another region, whose subscription {self._elsewhere[topic_id]} it "
                        "has. If nothing is there any more, delete the trigger that is left over, or take the topic "
                        f"all the same:\nservice_id: {topic_id.removeprefix(names.TOPIC_PREFIX)}"
                    )

    def own_topic_id(self, project_id: str, service: ServiceSettings) -> str:
        """The topic of a service that has none yet: made of its name, and on which none in another region is asked."""
        return next(it for it in _derived_topics(project_id, service) if it not in self._elsewhere)

    def service(self, resource_name: str) -> run_v2.Service | None:
        """The Cloud Run service of that full name."""
        return self._services.get(resource_name)

    def trigger_of(self, service: ServiceSettings) -> eventarc_v1.Trigger | None:
        """The trigger that carries questions to a service: our own, or one made by hand after Octue's guide."""
        ours = names.eventarc_trigger(service.service)
        candidates = [t for t in self._triggers.get(service.region, ()) if _asks(t, service)]
        return next((t for t in candidates if t.name.rpartition("/")[2] == ours), next(iter(candidates), None))

    def trigger_named(self, trigger: EventarcTrigger) -> eventarc_v1.Trigger | None:
        """The trigger of that very name, whatever it does."""
        return next((t for t in self._triggers.get(trigger.location, ()) if t.name == trigger.resource_name), None)

    def topic_id(self, project_id: str, service: ServiceSettings, labels: Mapping[str, str]) -> str:
        """The topic on which a service is asked; empty where none is known.

        A trigger can be deleted in the console, and a service by this action: the askers still know the topic. So it is
        the one that the trigger names, or the service itself, or else the only one with its labels.
        """
        said = self._said_topic(project_id, service)
        questions = [topic_id for topic_id in self._ours(labels) if topic_id not in self._elsewhere]
        return said or (questions[0] if len(questions) == 1 else "")

    def users_of_images(self, service: ServiceSettings) -> list[str]:
        """The other Cloud Run services of its region that use the images of a service: itself, and its previews."""
        return sorted(name for name in self._family(service, service.region) if name != service.service)

    def users_of_account(self, account: str, service: ServiceSettings) -> list[str]:
        """The other Cloud Run services that run as an account, which is the whole project's: in any region."""
        others = sorted(self._neighbours.keys() - {service.region})
        elsewhere = (f"{name} in {region}" for region in others for name in self._users_of(account, service, region))
        return [*self._users_of(account, service, service.region), *elsewhere]

    @property
    def unseen_regions(self) -> Sequence[str]:
        """The regions whose services could not be looked at."""
        return self._unseen

    def _users_of(self, account: str, service: ServiceSettings, region: str) -> list[str]:
        """The services of a region that run as an account, but for that very one."""
        found = (it.name.rpartition("/")[2] for it in self._neighbours.get(region, ()) if _runs_as(it) == account)
        return sorted(name for name in found if region != service.region or name != service.service)

    def _family(self, service: ServiceSettings, region: str) -> Iterator[str]:
        """The services of a region that are the same as that one, or a preview of it."""
        for other in self._neighbours.get(region, ()):
            name, preview = other.name.rpartition("/")[2], other.labels.get("octue-preview", "")
            of = name.removesuffix(f"-{preview}") if preview else name
            if of == service.real_service:
                yield name

    def _said_topic(self, project_id: str, service: ServiceSettings) -> str:
        trigger = self.trigger_of(service)
        if trigger is not None:
            return _topic_id(trigger)
        found = self._services.get(_resource_name(project_id, service))
        variables = found.template.containers[0].env if found is not None and found.template.containers else ()
        said = next((variable.value for variable in variables if variable.name == SERVICE_ID), "")
        service_id = said.removeprefix(names.TOPIC_PREFIX)
        return names.topic_id(service_id) if _UUID.fullmatch(service_id) else ""


def _services_elsewhere(
    google: Google, project: str, regions_of_run: Iterable[str]
) -> dict[str, list[run_v2.Service] | None]:
    """The Cloud Run services of each other region, some of which may use the same account.

    Asked once: None where a region does not answer, which is no reason to leave the service in this one alone.
    """
    from google.cloud import run_v2

    others = [it.name for it in regions.table().values() if it.cloud_run and it.name not in regions_of_run]

    def listed(region: str) -> list[run_v2.Service] | None:
        request = run_v2.ListServicesRequest(parent=f"projects/{project}/locations/{region}")
        try:
            return google.list(google.run.list_services, request, passing=())
        except GoogleError as error:
            # So Google refuses who may not use a region at all, as some are for some customers only.
            is_closed = error.status == "PERMISSION_DENIED" and f"locations/{region}' (or it may not" in error.said
            return [] if is_closed or error.status == "NOT_FOUND" else None

    return walk({region: set() for region in others}, listed, workers=len(others) or 1)


def _runs_as(service: run_v2.Service) -> str:
    return str(service.template.service_account)


def _asked_elsewhere(google: Google, project: str, topics: Mapping[str, str]) -> dict[str, str]:
    """Those of the topics on which a service in another region is asked, too: both would answer every question.

    Eventarc names the subscription of a trigger ``eventarc-<region>-<trigger>-sub-<number>``.

    :param topics: ids, and of each the region of the service that it is for.
    :returns: their ids, and of each a subscription of another region's.
    """
    from google.pubsub_v1.types import pubsub

    def foreign_subscription(topic_id: str) -> str:
        request = pubsub.ListTopicSubscriptionsRequest(topic=f"projects/{project}/topics/{topic_id}")
        try:
            names_of_all = google.list(google.publisher.list_topic_subscriptions, request)
        except GoogleError as error:
            if error.status == "NOT_FOUND":
                return ""
            raise
        ids = [name.rpartition("/")[2] for name in names_of_all]
        own = f"eventarc-{topics[topic_id]}-"
        return next((it for it in ids if it.startswith("eventarc-") and not it.startswith(own)), "")

    found = walk({topic_id: set() for topic_id in topics}, foreign_subscription)
    return {topic_id: subscription for topic_id, subscription in found.items() if subscription}


SERVICE_ID = "SERVICE_ID"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _derived_topics(project_id: str, service: ServiceSettings) -> Iterator[str]:
    """The topics that a service may have by its name and its region: the first one, and others where that is taken."""
    numbers = itertools.count(1)
    return (names.topic_id(names.service_id(project_id, service.region, service.service, n)) for n in numbers)


def _resource_name(project_id: str, service: ServiceSettings) -> str:
    return f"projects/{project_id}/locations/{service.region}/services/{service.service}"


def _asks(trigger: eventarc_v1.Trigger, service: ServiceSettings) -> bool:
    destination = trigger.destination.cloud_run
    return (
        destination.service == service.service
        and destination.region == service.region
        and _topic_id(trigger).startswith(names.TOPIC_PREFIX)
    )


def _topic_id(trigger: eventarc_v1.Trigger) -> str:
    return str(trigger.transport.pubsub.topic.rpartition("/")[2])


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
    build = _build(settings, service, labels)
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


def known(deployment: Deployment, existing: Existing) -> dict[str, Resource | None]:
    """What has been read of a deployment's resources already, by address; None for what is not there."""
    trigger = existing.trigger_named(deployment.trigger)
    service = existing.service(deployment.service.resource_name)
    read: dict[str, Resource | None] = {
        deployment.trigger.address: deployment.trigger.canonical(trigger) if trigger is not None else None
    }
    # A service that is changing at the moment is read again, and waited for.
    if service is None or not is_changing(service):
        read[deployment.service.address] = deployment.service.canonical(service) if service is not None else None
    return read


def destroyed(settings: Settings, service: ServiceSettings, existing: Existing) -> tuple[Deployment, Destruction]:
    """What goes when a service goes, and what stays all the same.

    :param existing: as for ``desired``.
    """
    # What an earlier deployment has built goes, too, also where this run names a ready image.
    deployment = desired(settings, replace(service, image=None), existing)
    # The topic goes only where the topic's own labels say whose it is. And before the service: as long as that stands,
    # it says which topic is its own.
    topic = replace(deployment.topic, kept=False, depends_on=_addresses([deployment.service]))
    goes_alone = (r for r in deployment.resources if r.part_of is None and r is not deployment.image)
    of_images = _use(existing.users_of_images(service))
    of_account = _use(existing.users_of_account(deployment.account, service)) or _unseen(existing.unseen_regions)
    uses = {it.address: of_images if isinstance(it, ArtifactRepository) else of_account for it in deployment.shared}
    kept = {address: use for address, use in uses.items() if use}
    if service.runtime_service_account:
        kept |= {
            r.address: "the account was given to the service, and may have had it before"
            for r in deployment.resources
            if isinstance(r, IamMember) and r.part_of is None
        }
    if existing.is_asked_elsewhere(topic.topic_id):
        kept[topic.address] = "a service in another region is asked on it"
    if not settings.delete_topic:
        kept[topic.address] = "its askers know it; `delete_topic: true` deletes it"
    resources = tuple(topic if r is deployment.topic else r for r in goes_alone)
    return deployment, Destruction(resources, kept, _foreign(deployment.service, existing))


def _use(users: Sequence[str]) -> str:
    """Who else uses something, as a clause; empty where nobody does."""
    return f"{' and '.join(users)} {'uses' if len(users) == 1 else 'use'} it, too" if users else ""


def _unseen(unseen_regions: Sequence[str]) -> str:
    if not unseen_regions:
        return ""
    named = ", ".join(unseen_regions[:3]) + (" and others" if len(unseen_regions) > 3 else "")  # noqa: PLR2004
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
    if service.runtime_service_account:
        return service.runtime_service_account, ()
    account_id = names.service_account_id(service.real_service)
    email = names.service_account_email(account_id, settings.project_id)
    account = ServiceAccount(
        project_id=settings.project_id,
        account_id=account_id,
        email=email,
        owner=names.labels(service.real_service, settings.github.repository_id),
        display_name=f"Octue service {service.real_service}",
    )
    return email, (account,)


def _build(settings: Settings, service: ServiceSettings, labels: Mapping[str, str]) -> tuple[Resource, ...]:
    """What makes the image: a preview's goes beside the service's own, by a trigger that no push starts."""
    if service.image:
        return ()
    repository = ArtifactRepository(
        project_id=settings.project_id,
        location=service.region,
        repository_id=names.artifact_repository(service.real_service),
        labels=names.labels(service.real_service, settings.github.repository_id),
    )
    tagged = names.image(service.region, settings.project_id, service.real_service, settings.github.commit)
    tags = tuple(f"{key}-{value}" for key, value in labels.items())
    trigger = BuildTrigger(
        project_id=settings.project_id,
        location=service.region,
        trigger_name=names.build_trigger(service.service),
        repository=service.repository_connection or settings.github.repository,
        branch_pattern=service.branch_pattern if _builds_pushes(service) else NEVER,
        image=tagged.rpartition(":")[0],
        dockerfile=service.dockerfile,
        cloud_run_service=service.service,
        build_service_account=service.build_service_account,
        build_secrets=service.build_secrets,
        tags=tags,
        depends_on=_addresses([repository]),
    )
    image = ContainerImage(
        project_id=settings.project_id,
        location=service.region,
        repository_id=repository.repository_id,
        image_name=service.real_service,
        commit=settings.github.commit,
        trigger=trigger.resource_name,
        build_tag=next(tag for tag in tags if tag.startswith("octue-service-")),
        pushed=_starts_trigger(settings, service),
        depends_on=_addresses([repository, trigger]),
    )
    return repository, trigger, image


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
        image=service.image
        or names.image(service.region, settings.project_id, service.real_service, settings.github.commit),
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
