"""Topics: what is special of them beside the laws."""

from __future__ import annotations

from dataclasses import replace

import pytest

from octue_action.apply import Status, apply
from octue_action.google import Google
from octue_action.plan import Action, make_plan
from octue_action.resources.pubsub_topic import PubsubTopic
from tests.octue_action.resources.kinds import LABELS, OTHERS_LABELS, PROJECT


@pytest.fixture
def topic(name: str) -> PubsubTopic:
    return PubsubTopic(project_id=PROJECT, topic_id=f"octue.services.{name}", labels=LABELS)


def test_a_topic_that_is_to_be_kept_is_used_whoever_made_it(topic: PubsubTopic, google: Google) -> None:
    replace(topic, labels=OTHERS_LABELS).create(google)
    plan = make_plan([replace(topic, kept=True)], google, adopt=False)
    assert plan.refusals == ()
    assert [change.action for change in plan.changes] == [Action.UPDATE]
    (outcome,) = apply(plan, google, lambda _: None)
    assert outcome.status is Status.APPLIED
    assert dict(google.publisher.get_topic(topic=topic.resource_name).labels) == LABELS


def test_an_update_leaves_what_else_a_topic_has(topic: PubsubTopic, google: Google) -> None:
    settings = {"labels": {"team": "science"}, "message_retention_duration": {"seconds": 3600}}
    google.publisher.create_topic(request={"name": topic.resource_name, **settings})
    actual = topic.read(google)
    assert actual is not None
    topic.update(google, actual)
    message = google.publisher.get_topic(topic=topic.resource_name)
    assert message.message_retention_duration.total_seconds() == 3600  # type: ignore[attr-defined]  # it is a timedelta
    assert dict(message.labels) == {"team": "science", **LABELS}
