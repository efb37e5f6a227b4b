"""The subscription that Eventarc made for a trigger, put right."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from octue_action.quirks import NotYetThere
from octue_action.resource import Mark, Permissions, Resource

if TYPE_CHECKING:
    from google.pubsub_v1.types import pubsub

    from octue_action.google import Google


@dataclass(frozen=True, kw_only=True)
class PubsubSubscription(Resource):
    """The push subscription of an Eventarc trigger: Eventarc makes and removes it, its settings are ours.

    With Eventarc's 10 s an analysis that takes longer is delivered, and runs, again and again.

    :param trigger: full resource name of the trigger; it names the subscription.
    :param ack_deadline_seconds: how long Pub/Sub waits for the answer to a question; 600 is the most it allows.
    :param expires: whether it is deleted after a month without questions.
    :param resource_name: of an actual one: ``projects/P/subscriptions/S``.
    """

    kind: ClassVar[str] = "pubsub_subscription"
    title: ClassVar[str] = "Trigger's subscription"

    trigger: Annotated[str, Mark.IDENTITY]
    ack_deadline_seconds: int = 600
    expires: bool = False
    resource_name: Annotated[str, Mark.OUTPUT] = ""

    @property
    def name(self) -> str:
        return self.trigger.rpartition("/")[2]

    @property
    def console_url(self) -> str:
        project = self.trigger.split("/")[1]
        subscription = self.resource_name.rpartition("/")[2]
        page = f"detail/{subscription}" if subscription else "list"
        return f"https://console.cloud.google.com/cloudpubsub/subscription/{page}?project={project}"

    @property
    def permissions(self) -> Permissions:
        return Permissions(
            read=("eventarc.triggers.get", "pubsub.subscriptions.get"),
            create=("pubsub.subscriptions.update",),
            update=("pubsub.subscriptions.update",),
        )

    @property
    def own_policy(self) -> str:
        return self.resource_name

    def read(self, google: Google) -> Self | None:
        from google.pubsub_v1.types import pubsub

        # What was told a moment ago is told once: who reads again, asks again.
        told = google.subscriptions.pop(self.trigger, None)
        if told is None:
            told = self._ask(google)
        if not told:
            return None
        request = pubsub.GetSubscriptionRequest(subscription=_full_name(told, self.trigger))
        subscription = google.find(google.subscriber.get_subscription, request)
        return self._canonical(subscription) if subscription is not None else None

    def create(self, google: Google) -> Self:
        actual = self.read(google)
        if actual is None:
            _, project, _, location, _, trigger = self.trigger.split("/")
            raise NotYetThere(
                f"The Eventarc trigger {trigger} has lost its subscription, so no question reaches the service.",
                f"gcloud eventarc triggers delete {shlex.quote(trigger)} --location={location} --project={project}\n"
                "# and run the job again: it makes a new trigger on the same topic",
            )
        return self.update(google, actual)

    def update(self, google: Google, actual: Self) -> Self:
        from google.protobuf import field_mask_pb2
        from google.pubsub_v1.types import pubsub

        subscription = pubsub.Subscription(
            name=actual.resource_name,
            ack_deadline_seconds=self.ack_deadline_seconds,
            expiration_policy=pubsub.ExpirationPolicy(),  # an empty policy means "never"
        )
        request = pubsub.UpdateSubscriptionRequest(
            subscription=subscription,
            update_mask=field_mask_pb2.FieldMask(paths=["ack_deadline_seconds", "expiration_policy"]),
        )
        return self._canonical(google.write(google.subscriber.update_subscription, request))

    def delete(self, google: Google) -> None:
        """Nothing: Eventarc removes it with its trigger."""

    def _ask(self, google: Google) -> str:
        """The subscription that the trigger names; empty where there is none."""
        from google.cloud import eventarc_v1

        trigger = google.find(google.eventarc.get_trigger, eventarc_v1.GetTriggerRequest(name=self.trigger))
        return str(trigger.transport.pubsub.subscription) if trigger is not None else ""

    def _canonical(self, subscription: pubsub.Subscription) -> Self:
        return replace(
            self,
            ack_deadline_seconds=subscription.ack_deadline_seconds,
            expires=bool(subscription.expiration_policy.ttl),
            resource_name=subscription.name,
        )


def _full_name(subscription: str, trigger: str) -> str:
    """Eventarc gives the subscription with or without its project."""
    return subscription if "/" in subscription else f"projects/{trigger.split('/')[1]}/subscriptions/{subscription}"
