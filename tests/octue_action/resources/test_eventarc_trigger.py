"""Eventarc triggers: what is special of them beside the laws."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from emulator.errors import invalid_argument
from emulator.world import World
from octue_action.apply import Status, apply
from octue_action.failure import GoogleError
from octue_action.google import Google
from octue_action.plan import Action, compare, make_plan
from octue_action.resource import diff
from octue_action.resources.eventarc_trigger import EventarcTrigger
from tests.octue_action.resources.kinds import ACCOUNTS, LABELS, LOCATION, PROJECT, TOPICS

pytestmark = pytest.mark.usefixtures("ground")


@pytest.fixture
def trigger(name: str) -> EventarcTrigger:
    return EventarcTrigger(
        project_id=PROJECT,
        location=LOCATION,
        trigger_id=name,
        topic=TOPICS[0],
        service="standing",
        service_account=ACCOUNTS[0],
        labels=LABELS,
    )


def deploy(trigger: EventarcTrigger, google: Google) -> Status:
    (outcome,) = apply(make_plan([trigger], google, adopt=False), google, lambda _: None)
    return outcome.status


def test_a_service_agent_that_is_not_ready_yet_is_waited_for(
    trigger: EventarcTrigger, google: Google, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.eventarc, "service_agent_ready", False)
    seen = len(world.requests)
    threading.Timer(0.3, setattr, (world.eventarc, "service_agent_ready", True)).start()
    assert deploy(trigger, google) is Status.APPLIED
    asked = [request.status for request in list(world.requests)[seen:] if request.method.endswith("/CreateTrigger")]
    assert asked[-1] == "OK"
    assert set(asked[:-1]) == {"FAILED_PRECONDITION"}


def test_an_account_that_eventarc_does_not_see_yet_is_waited_for(
    trigger: EventarcTrigger, google: Google, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise invalid_argument(f"Service account {ACCOUNTS[0]} does not exist.")

    with monkeypatch.context() as patch:
        patch.setattr(world.eventarc, "_check_agent", refuse)
        threading.Timer(0.3, patch.undo).start()
        assert deploy(replace(trigger, account_may_be_new=True), google) is Status.APPLIED


def test_a_given_account_that_does_not_exist_is_an_error_at_once(trigger: EventarcTrigger, google: Google) -> None:
    with pytest.raises(GoogleError, match="does not exist"):
        replace(trigger, service_account=f"nobody@{PROJECT}.iam.gserviceaccount.com").create(google)


def test_a_topic_that_is_not_there_is_an_error_at_once(trigger: EventarcTrigger, google: Google) -> None:
    nowhere = replace(trigger, topic=f"projects/{PROJECT}/topics/octue.services.nowhere")
    with pytest.raises(GoogleError, match="NOT_FOUND from create_trigger"):
        nowhere.create(google)


def test_another_topic_is_a_new_trigger_and_both_topics_stay(trigger: EventarcTrigger, google: Google) -> None:
    trigger.create(google)
    moved = replace(trigger, topic=TOPICS[1])
    plan = make_plan([moved], google, adopt=False)
    assert [change.action for change in plan.changes] == [Action.REPLACE]
    (outcome,) = apply(plan, google, lambda _: None)
    assert outcome.status is Status.APPLIED
    assert google.eventarc.get_trigger(name=trigger.resource_name).transport.pubsub.topic == TOPICS[1]
    topics = {topic.name for topic in google.publisher.list_topics(project=f"projects/{PROJECT}")}
    assert set(TOPICS) <= topics


def test_a_service_of_the_same_name_in_another_region_is_another_service(
    trigger: EventarcTrigger, google: Google
) -> None:
    trigger.create(google)
    message = google.eventarc.get_trigger(name=trigger.resource_name)
    message.destination.cloud_run.region = "europe-west4"
    (field,) = diff(trigger, trigger.canonical(message))
    assert field.name == "service"


def test_another_event_type_is_a_replacement(trigger: EventarcTrigger, google: Google) -> None:
    trigger.create(google)
    message = google.eventarc.get_trigger(name=trigger.resource_name)
    message.event_filters[0].value = "google.cloud.audit.log.v1.written"
    assert compare(trigger, trigger.canonical(message)).action is Action.REPLACE


def test_no_path_is_the_root(trigger: EventarcTrigger, google: Google) -> None:
    trigger.create(google)
    message = google.eventarc.get_trigger(name=trigger.resource_name)
    message.destination.cloud_run.path = ""
    assert diff(trigger, trigger.canonical(message)) == ()


def test_the_subscription_of_a_trigger_that_is_deleted_is_not_read_for_the_next_one(
    trigger: EventarcTrigger, google: Google
) -> None:
    trigger.create(google)
    told = google.subscriptions[trigger.resource_name]

    trigger.delete(google)

    assert told
    assert trigger.resource_name not in google.subscriptions
