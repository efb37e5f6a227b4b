"""The Pub/Sub topic through which a service is asked questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from octue_action.quirks import PROJECT_NOT_YET_READY, Quirk
from octue_action.resource import Mark, Permissions, Resource, is_ours

if TYPE_CHECKING:
    from google.pubsub_v1.types import pubsub

    from octue_action.google import Google


@dataclass(frozen=True, kw_only=True)
class PubsubTopic(Resource):
    """A topic.

    :param topic_id: ``octue.services.<uuid>``.
    :param kept: whether a topic that somebody else made is to be used, because the user or the service says so.
    """

    kind: ClassVar[str] = "pubsub_topic"
    title: ClassVar[str] = "Pub/Sub topic"

    project_id: Annotated[str, Mark.IDENTITY]
    topic_id: Annotated[str, Mark.IDENTITY]
    labels: Annotated[Mapping[str, str], Mark.ADDITIVE]
    kept: Annotated[bool, Mark.IDENTITY] = False

    @property
    def name(self) -> str:
        return self.topic_id

    @property
    def resource_name(self) -> str:
        """``projects/P/topics/T``."""
        return f"projects/{self.project_id}/topics/{self.topic_id}"

    @property
    def passing(self) -> tuple[Quirk, ...]:
        return (PROJECT_NOT_YET_READY,)

    @property
    def console_url(self) -> str:
        return f"https://console.cloud.google.com/cloudpubsub/topic/detail/{self.topic_id}?project={self.project_id}"

    @property
    def permissions(self) -> Permissions:
        return Permissions(
            read=("pubsub.topics.get",),
            create=("pubsub.topics.create",),
            update=("pubsub.topics.update",),
            delete=("pubsub.topics.delete",),
        )

    @property
    def own_policy(self) -> str:
        return self.resource_name

    def read(self, google: Google) -> Self | None:
        from google.pubsub_v1.types import pubsub

        topic = google.find(google.publisher.get_topic, pubsub.GetTopicRequest(topic=self.resource_name))
        return self.canonical(topic) if topic is not None else None

    def create(self, google: Google) -> Self:
        from google.pubsub_v1.types import pubsub

        topic = pubsub.Topic(name=self.resource_name, labels=dict(self.labels))
        return self.canonical(google.write(google.publisher.create_topic, topic))

    def update(self, google: Google, actual: Self) -> Self:
        from google.protobuf import field_mask_pb2
        from google.pubsub_v1.types import pubsub

        topic = pubsub.Topic(name=self.resource_name, labels={**actual.labels, **self.labels})
        request = pubsub.UpdateTopicRequest(topic=topic, update_mask=field_mask_pb2.FieldMask(paths=["labels"]))
        return self.canonical(google.write(google.publisher.update_topic, request))

    def delete(self, google: Google) -> None:
        from google.pubsub_v1.types import pubsub

        google.remove(google.publisher.delete_topic, pubsub.DeleteTopicRequest(topic=self.resource_name))

    def canonical(self, topic: pubsub.Topic) -> Self:
        """The topic as Pub/Sub gives it, in the form of this one."""
        labels = dict(topic.labels)
        return replace(self, labels=labels, ours=self.kept or is_ours(labels, self.labels))
