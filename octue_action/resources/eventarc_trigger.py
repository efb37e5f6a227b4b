"""The Eventarc trigger that carries questions from the topic to the service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from octue_action.quirks import (
    EVENTARC_AGENT_NOT_READY,
    SERVICE_ACCOUNT_NOT_YET_IN_EVENTARC,
    Quirk,
)
from octue_action.resource import Mark, Permissions, Resource, is_ours

if TYPE_CHECKING:
    from google.cloud import eventarc_v1

    from octue_action.google import Google

MESSAGE_PUBLISHED = "google.cloud.pubsub.topic.v1.messagePublished"


@dataclass(frozen=True, kw_only=True)
class EventarcTrigger(Resource):
    """A trigger for messages of one Pub/Sub topic, delivered to one Cloud Run service.

    :param trigger_id: its id within project and location; Pub/Sub triggers are regional.
    :param topic: ``projects/P/topics/T``.
    :param service: the Cloud Run service's name, in the trigger's own location.
    :param service_account: e-mail of the account that calls the service.
    :param account_may_be_new: whether that account may have been made a moment ago.
    :param etag: of an actual one: which version of it was read.
    """

    kind: ClassVar[str] = "eventarc_trigger"
    title: ClassVar[str] = "Eventarc trigger"

    project_id: Annotated[str, Mark.IDENTITY]
    location: Annotated[str, Mark.IDENTITY]
    trigger_id: Annotated[str, Mark.IDENTITY]
    topic: Annotated[str, Mark.IMMUTABLE]
    event_type: Annotated[str, Mark.IMMUTABLE] = MESSAGE_PUBLISHED
    service: str
    path: str = "/"
    service_account: str
    labels: Annotated[Mapping[str, str], Mark.ADDITIVE]
    account_may_be_new: Annotated[bool, Mark.IDENTITY] = False
    etag: Annotated[str, Mark.OUTPUT] = ""

    @property
    def name(self) -> str:
        return self.trigger_id

    @property
    def resource_name(self) -> str:
        """``projects/P/locations/R/triggers/T``."""
        return f"projects/{self.project_id}/locations/{self.location}/triggers/{self.trigger_id}"

    @property
    def console_url(self) -> str:
        return (
            f"https://console.cloud.google.com/eventarc/triggers/{self.location}/{self.trigger_id}"
            f"?project={self.project_id}"
        )

    @property
    def permissions(self) -> Permissions:
        return Permissions(
            read=("eventarc.triggers.get",),
            create=("eventarc.triggers.create", "eventarc.operations.get"),
            update=("eventarc.triggers.update", "eventarc.operations.get"),
            delete=("eventarc.triggers.delete", "eventarc.operations.get"),
        )

    @property
    def acts_as(self) -> str:
        return self.service_account

    def read(self, google: Google) -> Self | None:
        from google.cloud import eventarc_v1

        trigger = google.find(google.eventarc.get_trigger, eventarc_v1.GetTriggerRequest(name=self.resource_name))
        return self.canonical(trigger) if trigger is not None else None

    def create(self, google: Google) -> Self:
        from google.cloud import eventarc_v1

        request = eventarc_v1.CreateTriggerRequest(
            parent=f"projects/{self.project_id}/locations/{self.location}",
            trigger_id=self.trigger_id,
            trigger=self._message(self.labels),
        )
        return self._finished(google, google.write(google.eventarc.create_trigger, request), self.labels)

    def update(self, google: Google, actual: Self) -> Self:
        from google.cloud import eventarc_v1
        from google.protobuf import field_mask_pb2

        labels = {**actual.labels, **self.labels}
        request = eventarc_v1.UpdateTriggerRequest(
            trigger=self._message(labels),
            update_mask=field_mask_pb2.FieldMask(paths=["destination", "service_account", "labels"]),
        )
        return self._finished(google, google.write(google.eventarc.update_trigger, request), labels)

    def delete(self, google: Google) -> None:
        from google.cloud import eventarc_v1

        google.subscriptions.pop(self.resource_name, None)  # which goes with it
        operation = google.remove(
            google.eventarc.delete_trigger, eventarc_v1.DeleteTriggerRequest(name=self.resource_name, etag=self.etag)
        )
        if operation is not None:
            google.finish(google.eventarc, operation, eventarc_v1.Trigger)

    def canonical(self, trigger: eventarc_v1.Trigger) -> Self:
        """The trigger as Eventarc gives it, in the form of this one."""
        labels = dict(trigger.labels)
        destination = trigger.destination.cloud_run
        return replace(
            self,
            topic=trigger.transport.pubsub.topic,
            event_type=next((f.value for f in trigger.event_filters if f.attribute == "type"), ""),
            service=destination.service if destination.region == self.location else "",
            path=destination.path or "/",
            service_account=trigger.service_account,
            labels=labels,
            etag=trigger.etag,
            ours=is_ours(labels, self.labels),
        )

    def _finished(self, google: Google, operation: Any, labels: Mapping[str, str]) -> Self:
        """The trigger when the operation is done, which answers with all of it but its labels, recordings show.

        :param labels: as they were written.
        """
        from google.cloud import eventarc_v1

        trigger = google.finish(google.eventarc, operation, eventarc_v1.Trigger)
        google.subscriptions[self.resource_name] = trigger.transport.pubsub.subscription
        trigger.labels = dict(labels)
        return self.canonical(trigger)

    @property
    def passing(self) -> tuple[Quirk, ...]:
        new = (SERVICE_ACCOUNT_NOT_YET_IN_EVENTARC,) if self.account_may_be_new else ()
        return (EVENTARC_AGENT_NOT_READY, *new)

    def _message(self, labels: Mapping[str, str]) -> eventarc_v1.Trigger:
        from google.cloud import eventarc_v1

        return eventarc_v1.Trigger(
            name=self.resource_name,
            event_filters=[eventarc_v1.EventFilter(attribute="type", value=self.event_type)],
            destination=eventarc_v1.Destination(
                cloud_run=eventarc_v1.CloudRun(service=self.service, region=self.location, path=self.path)
            ),
            transport=eventarc_v1.Transport(pubsub=eventarc_v1.Pubsub(topic=self.topic)),
            service_account=self.service_account,
            labels=dict(labels),
        )
