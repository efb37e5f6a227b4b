"""What is there of the services before anything is planned: it decides about topics and names, and what others use."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from octue_action import names, regions
from octue_action.failure import Failure, GoogleError
from octue_action.graph import walk
from octue_action.resource import is_ours
from octue_action.resources.eventarc_trigger import EventarcTrigger

if TYPE_CHECKING:
    from google.cloud import eventarc_v1, run_v2
    from google.pubsub_v1.types import pubsub

    from octue_action.google import Google
    from octue_action.settings import ServiceSettings, Settings


Answer = TypeVar("Answer")


class _Unread:
    """Why something could not be read, by the full name of the Cloud Run service that it is about.

    :param keeps: whether that is kept, and not raised.
    """

    def __init__(self, *, keeps: bool = False) -> None:
        self.failures: dict[str, Failure] = {}
        self._keeps = keeps

    def or_else(self, otherwise: Answer, about: Iterable[str], read: Callable[[], Answer]) -> Answer:
        """What is read, or something else where it cannot be.

        :param about: names of the services for which it is read.
        """
        try:
            return read()
        except Failure as failure:
            if not self._keeps:
                raise
            for name in about:
                self.failures.setdefault(name, failure)
            return otherwise


class Existing:
    """What is there of the services and of the triggers around them, read once: it decides about topics and names.

    :param triggers: the Eventarc triggers of each region.
    :param services: the Cloud Run services by full resource name; None for one that is not there.
    :param topics: the project's Pub/Sub topics, where neither says on which one a service is asked; None where they
        were not listed.
    :param neighbours: all Cloud Run services of each region, where something is to be destroyed beside them.
    :param elsewhere: ids of the topics that services in other regions are asked on, as far as that was looked at, and
        of each a subscription that says so.
    """

    def __init__(
        self,
        triggers: Mapping[str, Iterable[eventarc_v1.Trigger]],
        services: Mapping[str, run_v2.Service | None],
        topics: Iterable[pubsub.Topic] | None = None,
        neighbours: Mapping[str, Iterable[run_v2.Service]] | None = None,
        elsewhere: Mapping[str, str] | None = None,
    ) -> None:
        self._triggers = {region: list(listed) for region, listed in triggers.items()}
        self._services = services
        self.topics = _by_name(topics) if topics is not None else None
        """The project's topics by full name; None where they were not listed."""
        self._neighbours = {region: list(listed) for region, listed in (neighbours or {}).items()}
        self._elsewhere = dict(elsewhere or {})
        self._unseen: list[str] = []
        self._unread = _Unread()

    @classmethod
    def read(cls, google: Google, settings: Settings) -> Existing:
        """Ask for the triggers of every region that a service is in, and for the services, all together.

        Only then for the topics: a service that is gone has left its topic, and its askers know it.

        :raises Failure: where something cannot be read. Of several services that are to be deployed it is kept instead,
            as what is in the way of those that it is about.
        """
        from google.cloud import eventarc_v1, run_v2
        from google.pubsub_v1.types import pubsub

        parents = {f"projects/{settings.project_id}/locations/{s.region}": s.region for s in settings.services}
        services = [resource_name(settings.project_id, service) for service in settings.services]
        unread = _Unread(keeps=settings.mode in {"deploy", "plan"} and len(services) > 1)

        def triggers(parent: str) -> Iterable[eventarc_v1.Trigger]:
            request = eventarc_v1.ListTriggersRequest(parent=parent)
            about = [name for name in services if name.startswith(f"{parent}/")]
            return unread.or_else([], about, partial(google.list, google.eventarc.list_triggers, request))

        def service(name: str) -> run_v2.Service | None:
            request = run_v2.GetServiceRequest(name=name)
            return unread.or_else(None, [name], partial(google.find, google.run.get_service, request))

        asked: dict[str, Callable[[], Any]] = {
            **{f"triggers of {parent}": partial(triggers, parent) for parent in parents},
            **{name: partial(service, name) for name in services},
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
        existing._unread = unread
        project = settings.project_id
        if settings.mode == "destroy" and existing._leaves_accounts(settings):
            elsewhere = _services_elsewhere(google, project, parents.values())
            existing._neighbours |= {region: listed for region, listed in elsewhere.items() if listed is not None}
            existing._unseen = sorted(region for region, listed in elsewhere.items() if listed is None)
        unsaid = [service for service in settings.services if not existing._told_topic(project, service)]
        if unsaid:
            request = pubsub.ListTopicsRequest(project=f"projects/{project}", page_size=1000)
            about = [resource_name(project, service) for service in unsaid]
            topics = unread.or_else(None, about, partial(google.list, google.publisher.list_topics, request))
            existing.topics = _by_name(topics) if topics is not None else None
        existing._elsewhere = _asked_elsewhere(google, project, existing._in_question(settings, unsaid), unread)
        for trigger in itertools.chain.from_iterable(existing._triggers.values()):
            google.subscriptions[trigger.name] = trigger.transport.pubsub.subscription
        return existing

    def _leaves_accounts(self, settings: Settings) -> bool:
        """Whether there is an account that would go, as nothing in the region of its service uses it, too."""
        return any(
            not service.runtime_service_account
            and not self._users_of(settings, runtime_account(service, settings.project_id), service.region)
            for service in settings.services
        )

    def _in_question(self, settings: Settings, unsaid: Iterable[ServiceSettings]) -> dict[str, ServiceSettings]:
        """The topics that are taken, or deleted, only if no service in another region is asked on them.

        :returns: their ids, and of each the service that it is for.
        """
        project = settings.project_id
        found: dict[str, ServiceSettings] = {}
        for service in unsaid:
            found |= dict.fromkeys(self._own_topics(settings, service), service)
        for service in settings.services if settings.delete_topic else ():
            told = self._told_topic(project, service)
            found |= {told: service} if told else {}
        return found

    def _own_topics(self, settings: Settings, service: ServiceSettings) -> list[str]:
        """The topics that are there and would be a service's, by its name and region, or by their labels."""
        there = {name.rpartition("/")[2] for name in self.topics or ()}
        labels = names.labels(service.service, settings.github.repository_id, service.preview)
        derived = itertools.takewhile(lambda it: it in there, _derived_topics(settings.project_id, service))
        return list(dict.fromkeys([*derived, *self._ours(labels)]))

    def _ours(self, labels: Mapping[str, str]) -> list[str]:
        """The topics for questions that carry these labels."""
        topics = (self.topics or {}).values()
        ours = [topic.name.rpartition("/")[2] for topic in topics if is_ours(topic.labels, labels)]
        return [topic_id for topic_id in ours if _UUID.fullmatch(topic_id.removeprefix(names.TOPIC_PREFIX))]

    def is_asked_elsewhere(self, topic_id: str) -> bool:
        """Whether a service in another region is asked on a topic, as far as that was looked at."""
        return topic_id in self._elsewhere

    def notices(self, settings: Settings) -> Iterator[str]:
        """What is good to know of what is there: topics of a service that it does not get."""
        for service in settings.services:
            is_told = self._told_topic(settings.project_id, service)
            for topic_id in self._own_topics(settings, service) if not is_told else ():
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

    def unread(self, resource_name: str) -> Failure | None:
        """Why something of a Cloud Run service, by its full name, could not be read; None where all could."""
        return self._unread.failures.get(resource_name)

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

    def image_service(self, project_id: str, service: ServiceSettings) -> str:
        """The service after which the image is called that a service runs now; empty where nothing is known of it."""
        found = self._services.get(resource_name(project_id, service))
        images = [container.image for container in found.template.containers] if found is not None else []
        return names.image_service(service.region, project_id, images[0]) if images else ""

    def users_of_images(self, settings: Settings, service: ServiceSettings) -> list[str]:
        """The Cloud Run services of its region, beside those of this run, that use the images which a service has."""
        return sorted(_name(it) for it in self._users_of_images(settings, service))

    def users_of_trigger(self, settings: Settings, service: ServiceSettings) -> list[str]:
        """Those among them whose images the same trigger builds: a preview's are built by another one."""
        found = self._users_of_images(settings, service)
        return sorted(_name(it) for it in found if _preview(it) == (service.preview or ""))

    def users_of_account(self, settings: Settings, service: ServiceSettings, account: str) -> list[str]:
        """The Cloud Run services, beside those of this run, that run as an account: it is the project's, in any region.

        Those in other regions than that of the service are named with it.
        """
        others = sorted(self._neighbours.keys() - {service.region})
        elsewhere = (f"{name} in {region}" for region in others for name in self._users_of(settings, account, region))
        return [*self._users_of(settings, account, service.region), *elsewhere]

    @property
    def unseen_regions(self) -> Sequence[str]:
        """The regions whose services could not be looked at."""
        return self._unseen

    def _users_of(self, settings: Settings, account: str, region: str) -> list[str]:
        """The services of a region, beside those of this run, that run as an account."""
        return sorted(_name(it) for it in self._others(settings, region) if _runs_as(it) == account)

    def _users_of_images(self, settings: Settings, service: ServiceSettings) -> Iterator[run_v2.Service]:
        """Those that run them, and those that would by their name, unless they run what was built after another."""
        where = (service.region, settings.project_id)
        repository, _, _ = names.image(*where, service.image_service, "").rpartition("/")
        for other in self._others(settings, service.region):
            images = [container.image for container in other.template.containers]
            is_known = any(names.image_service(*where, image) for image in images)
            is_namesake = _real_name(other) == service.image_service
            if any(image.startswith(f"{repository}/") for image in images) or (is_namesake and not is_known):
                yield other

    def _others(self, settings: Settings, region: str) -> Iterator[run_v2.Service]:
        """The services of a region that the run is not about."""
        own = {service.service for service in settings.services if service.region == region}
        return (it for it in self._neighbours.get(region, ()) if _name(it) not in own)

    def _told_topic(self, project_id: str, service: ServiceSettings) -> str:
        """The topic that the settings name, or what is there says; empty where neither does."""
        given = names.topic_id(service.service_id) if service.service_id else ""
        return given or self._said_topic(project_id, service)

    def _said_topic(self, project_id: str, service: ServiceSettings) -> str:
        trigger = self.trigger_of(service)
        if trigger is not None:
            return _topic_id(trigger)
        found = self._services.get(resource_name(project_id, service))
        variables = found.template.containers[0].env if found is not None and found.template.containers else ()
        said = next((variable.value for variable in variables if variable.name == SERVICE_ID), "")
        service_id = said.removeprefix(names.TOPIC_PREFIX)
        return names.topic_id(service_id) if _UUID.fullmatch(service_id) else ""


def _by_name(topics: Iterable[pubsub.Topic]) -> Mapping[str, pubsub.Topic]:
    return {topic.name: topic for topic in topics}


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


def _name(service: run_v2.Service) -> str:
    return str(service.name.rpartition("/")[2])


def _preview(service: run_v2.Service) -> str:
    """The suffix of the preview that a service is; empty where it is none."""
    return str(service.labels.get("octue-preview", ""))


def _real_name(service: run_v2.Service) -> str:
    """What a service is called without the suffix of the preview that it is."""
    preview = _preview(service)
    return _name(service).removesuffix(f"-{preview}") if preview else _name(service)


def _runs_as(service: run_v2.Service) -> str:
    return str(service.template.service_account)


def _asked_elsewhere(
    google: Google, project: str, topics: Mapping[str, ServiceSettings], unread: _Unread
) -> dict[str, str]:
    """Those of the topics on which a service in another region is asked, too: both would answer every question.

    Eventarc names the subscription of a trigger ``eventarc-<region>-<trigger>-sub-<number>``.

    :param topics: ids, and of each the service that it is for.
    :param unread: takes what could not be read.
    :returns: their ids, and of each a subscription of another region's.
    """
    from google.pubsub_v1.types import pubsub

    def subscriptions(topic_id: str) -> list[str]:
        request = pubsub.ListTopicSubscriptionsRequest(topic=f"projects/{project}/topics/{topic_id}")
        try:
            return google.list(google.publisher.list_topic_subscriptions, request)
        except GoogleError as error:
            if error.status == "NOT_FOUND":
                return []
            raise

    def foreign_subscription(topic_id: str) -> str:
        about = [resource_name(project, topics[topic_id])]
        names_of_all = unread.or_else(list[str](), about, partial(subscriptions, topic_id))
        ids = [name.rpartition("/")[2] for name in names_of_all]
        own = f"eventarc-{topics[topic_id].region}-"
        return next((it for it in ids if it.startswith("eventarc-") and not it.startswith(own)), "")

    found = walk({topic_id: set() for topic_id in topics}, foreign_subscription)
    return {topic_id: subscription for topic_id, subscription in found.items() if subscription}


SERVICE_ID = "SERVICE_ID"
"""The variable by which a service knows on which topic it is asked."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _derived_topics(project_id: str, service: ServiceSettings) -> Iterator[str]:
    """The topics that a service may have by its name and its region: the first one, and others where that is taken."""
    numbers = itertools.count(1)
    return (names.topic_id(names.service_id(project_id, service.region, service.service, n)) for n in numbers)


def runtime_account(service: ServiceSettings, project_id: str) -> str:
    """The e-mail of the account that a service runs as; a preview runs as the service does."""
    own = names.service_account_email(names.service_account_id(service.real_service), project_id)
    return service.runtime_service_account or own


def resource_name(project_id: str, service: ServiceSettings) -> str:
    """The full name of a service in Cloud Run."""
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
