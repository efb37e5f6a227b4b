"""The subscription of a trigger, which Eventarc makes and whose settings are ours."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest
from google.pubsub_v1.types import pubsub

from octue_action.apply import Status, apply
from octue_action.failure import Failure
from octue_action.google import Google
from octue_action.plan import Action, make_plan
from octue_action.resource import diff
from octue_action.resources.eventarc_trigger import EventarcTrigger
from octue_action.resources.pubsub_subscription import PubsubSubscription
from tests.octue_action.resources.kinds import ACCOUNTS, LABELS, LOCATION, PROJECT, TOPICS, subscription_name

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


@pytest.fixture
def subscription(trigger: EventarcTrigger) -> PubsubSubscription:
    return PubsubSubscription(trigger=trigger.resource_name, part_of=trigger.address, depends_on=(trigger.address,))


def test_with_its_trigger_it_is_put_right_in_one_run(
    trigger: EventarcTrigger, subscription: PubsubSubscription, google: Google
) -> None:
    plan = make_plan([trigger, subscription], google, adopt=False)
    outcomes = apply(plan, google, lambda _: None)
    assert [outcome.status for outcome in outcomes] == [Status.APPLIED, Status.APPLIED]
    made = google.subscriber.get_subscription(subscription=subscription_name(google, subscription))
    assert made.ack_deadline_seconds == 600
    assert "expiration_policy" in made, "none at all is a month, an empty one is for ever"
    assert made.expiration_policy == pubsub.ExpirationPolicy()


def test_ten_seconds_and_a_month_are_what_eventarc_gives_it(
    trigger: EventarcTrigger, subscription: PubsubSubscription, google: Google
) -> None:
    trigger.create(google)
    _, change = make_plan([trigger, subscription], google, adopt=False).changes
    assert change.action is Action.UPDATE
    assert [(field.name, field.before, field.after) for field in change.fields] == [
        ("ack_deadline_seconds", 10, 600),
        ("expires", True, False),
    ]


def test_where_it_pushes_to_is_left_alone(
    trigger: EventarcTrigger, subscription: PubsubSubscription, google: Google
) -> None:
    trigger.create(google)
    name = subscription_name(google, subscription)
    before = google.subscriber.get_subscription(subscription=name)
    actual = subscription.read(google)
    assert actual is not None
    subscription.update(google, actual)
    after = google.subscriber.get_subscription(subscription=name)
    assert after.push_config == before.push_config
    assert after.push_config.oidc_token.service_account_email == ACCOUNTS[0]
    assert after.message_retention_duration == before.message_retention_duration


@pytest.mark.parametrize("short", [False, True])
def test_its_name_is_what_the_trigger_says_with_or_without_the_project(
    trigger: EventarcTrigger,
    subscription: PubsubSubscription,
    google: Google,
    short: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trigger.create(google)
    full = subscription_name(google, subscription)
    message = google.eventarc.get_trigger(name=trigger.resource_name)
    message.transport.pubsub.subscription = full.rpartition("/")[2] if short else full
    asked = functools.wraps(google.eventarc.get_trigger)(lambda **_: message)
    monkeypatch.setattr(google.eventarc, "get_trigger", asked)
    google.subscriptions.clear()  # so that it is asked for, and not what making it has told
    actual = subscription.read(google)
    assert actual is not None
    assert actual.resource_name == full
    assert actual.console_url.endswith(f"/detail/{full.rpartition('/')[2]}?project=my-project")


def test_a_trigger_that_has_lost_it_is_a_failure_that_says_how_to_get_a_new_one(
    trigger: EventarcTrigger, subscription: PubsubSubscription, google: Google
) -> None:
    trigger.create(google)
    google.subscriber.delete_subscription(subscription=subscription_name(google, subscription))
    assert subscription.read(google) is None
    with pytest.raises(Failure, match="has lost its subscription") as caught:
        subscription.create(google)
    assert f"gcloud eventarc triggers delete {trigger.trigger_id} --location=europe-west1" in caught.value.remedy


def test_a_new_trigger_gives_it_a_new_one_which_is_put_right_too(
    trigger: EventarcTrigger, subscription: PubsubSubscription, google: Google
) -> None:
    apply(make_plan([trigger, subscription], google, adopt=False), google, lambda _: None)
    moved = replace(trigger, topic=TOPICS[1])
    outcomes = apply(make_plan([moved, subscription], google, adopt=False), google, lambda _: None)
    assert [str(outcome.change.action) for outcome in outcomes] == ["replace", "create"]
    actual = subscription.read(google)
    assert actual is not None
    assert diff(subscription, actual) == ()
    assert google.subscriber.get_subscription(subscription=actual.resource_name).topic == TOPICS[1]


def test_it_goes_with_its_trigger(trigger: EventarcTrigger, subscription: PubsubSubscription, google: Google) -> None:
    trigger.create(google)
    subscription.delete(google)
    assert subscription.read(google) is not None
    trigger.delete(google)
    assert subscription.read(google) is None
