"""What is there already and was not made by this workflow: listed, left alone, and taken over where that is wanted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from google.cloud import eventarc_v1, iam_admin_v1, run_v2
from google.cloud.devtools import cloudbuild_v1
from google.iam.v1 import policy_pb2
from google.longrunning import operations_pb2
from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1.types import pubsub

from emulator.rpc import SYSTEM
from emulator.world import World
from tests.runs import Job, Run

PROJECT = "projects/my-project"
LOCATION = f"{PROJECT}/locations/europe-west1"
SERVICE = f"{LOCATION}/services/my-org-sum"
OLD_ID = "11111111-2222-4333-8444-555555555555"
OLD_TOPIC = f"{PROJECT}/topics/octue.services.{OLD_ID}"
OLD_ACCOUNT = "made-by-hand@my-project.iam.gserviceaccount.com"


@pytest.fixture
def world(job: Job) -> World:
    return job.world


def run(job: Job, **inputs: str) -> Run:
    """Run the action by hand, so that no build of a push is waited for."""
    return job.deploy(inputs, event_name="workflow_dispatch")


def done(world: World, operation: operations_pb2.Operation) -> None:
    assert world.operations.wait(operation.name, 10).done


def hand_made_service(world: World, variables: Sequence[Mapping[str, str]] = ()) -> None:
    container = {"image": "europe-west1-docker.pkg.dev/my-project/my-org-sum/my-org-sum:by-hand", "env": variables}
    service = run_v2.Service(template={"containers": [container], "service_account": OLD_ACCOUNT})
    done(world, world.cloud_run.create(LOCATION, "my-org-sum", service, SYSTEM))


def hand_made_account(world: World) -> None:
    request = iam_admin_v1.CreateServiceAccountRequest(name=PROJECT, account_id=OLD_ACCOUNT.partition("@")[0])
    world.iam.create_service_account(request, SYSTEM)


def hand_made_trigger(world: World, topic: str, trigger_id: str) -> None:
    trigger = eventarc_v1.Trigger(
        event_filters=[{"attribute": "type", "value": "google.cloud.pubsub.topic.v1.messagePublished"}],
        destination={"cloud_run": {"service": "my-org-sum", "region": "europe-west1"}},
        transport={"pubsub": {"topic": topic}},
        service_account=OLD_ACCOUNT,
    )
    request = eventarc_v1.CreateTriggerRequest(parent=LOCATION, trigger_id=trigger_id, trigger=trigger)
    done(world, world.eventarc.create_trigger(request, SYSTEM))


def a_service(job: Job) -> None:
    hand_made_account(job.world)
    hand_made_service(job.world)


def a_topic(job: Job) -> None:
    topic = run(job, mode="plan").outputs["topic_name"]
    job.world.pubsub.publisher.create_topic(pubsub.Topic(name=topic), SYSTEM)


def a_trigger(job: Job) -> None:
    """One of the same name that carries something else to somebody else."""
    hand_made_account(job.world)
    hand_made_service(job.world)
    topic = f"{PROJECT}/topics/something-else"
    job.world.pubsub.publisher.create_topic(pubsub.Topic(name=topic), SYSTEM)
    hand_made_trigger(job.world, topic, "my-org-sum")


def a_deployment_of_another_repository(job: Job) -> None:
    assert job.here(job.environment(event_name="workflow_dispatch") | {"GITHUB_REPOSITORY_ID": "1"}).code == 0


FOREIGN = {
    a_service: ["Cloud Run service my-org-sum"],
    a_topic: ["Pub/Sub topic octue.services."],
    a_trigger: ["Cloud Run service my-org-sum", "Eventarc trigger my-org-sum"],
    a_deployment_of_another_repository: [
        *("Service account my-org-sum@", "Image repository my-org-sum", "Build trigger my-org-sum"),
        *("Pub/Sub topic octue.services.", "Cloud Run service my-org-sum", "Eventarc trigger my-org-sum"),
    ],
}


@pytest.mark.parametrize(("make", "named"), FOREIGN.items(), ids=[each.__name__ for each in FOREIGN])
def test_what_is_not_ours_is_named_and_left_alone(job: Job, make: Callable[[Job], None], named: list[str]) -> None:
    make(job)
    before = job.look()
    deployed = run(job)
    assert deployed.code == 1
    assert deployed.writes == []
    assert job.look() == before
    assert len(deployed.errors) == len(named)
    for error, name in zip(deployed.errors, named, strict=True):
        assert f"The {name}" in error.replace("`", "")
        assert "adopt: true" in error.partition("What to do:")[2]
        assert name in deployed.summary.replace("`", "").replace("@\u200c", "@")
    assert len(json.loads(deployed.outputs["plan"])["refusals"]) == len(named)


# Taken over


def after_the_guide(world: World) -> None:
    """As somebody leaves it who has followed Octue's twelve steps, with an account of its own and no SERVICE_ID."""
    hand_made_account(world)
    hand_made_service(world)
    world.pubsub.publisher.create_topic(pubsub.Topic(name=OLD_TOPIC), SYSTEM)
    hand_made_trigger(world, OLD_TOPIC, "trigger-7kq2x1zj")


def by_octues_deployer(world: World) -> None:
    """As octue 0.28.2 leaves it, ``CloudRunDeployer``: named after the service, and open to everyone.

    It runs as the project's default account, in whose place another one stands here.
    """
    hand_made_account(world)
    variables = [{"name": "SERVICE_NAME", "value": "my-org-sum"}]
    hand_made_service(world, variables=variables)
    everyone = policy_pb2.Binding(role="roles/run.invoker", members=["allUsers"])
    world.policies.set(SERVICE, policy_pb2.Policy(bindings=[everyone]))
    world.pubsub.publisher.create_topic(pubsub.Topic(name=OLD_TOPIC), SYSTEM)
    hand_made_trigger(world, OLD_TOPIC, "my-org-sum-trigger")
    (subscription,) = world.pubsub.publisher.list_topic_subscriptions(
        pubsub.ListTopicSubscriptionsRequest(topic=OLD_TOPIC), SYSTEM
    ).subscriptions
    world.pubsub.subscriber.update_subscription(
        pubsub.UpdateSubscriptionRequest(
            subscription={"name": subscription, "ack_deadline_seconds": 600},
            update_mask=FieldMask(paths=["ack_deadline_seconds"]),
        ),
        SYSTEM,
    )


def by_gcloud(world: World) -> None:
    """As somebody leaves it who uses gcloud, gives everything the service's name, and knows of SERVICE_ID."""
    hand_made_account(world)
    hand_made_service(world, variables=[{"name": "SERVICE_ID", "value": f"octue.services.{OLD_ID}"}])
    world.pubsub.publisher.create_topic(pubsub.Topic(name=OLD_TOPIC), SYSTEM)
    hand_made_trigger(world, OLD_TOPIC, "my-org-sum")
    trigger = cloudbuild_v1.BuildTrigger(
        name="my-org-sum",
        github={"owner": "my-org", "name": "sum-service", "push": {"branch": "^main$"}},
        build={"steps": [{"name": "gcr.io/cloud-builders/docker", "args": ["build", "."]}]},
    )
    request = cloudbuild_v1.CreateBuildTriggerRequest(parent=LOCATION, trigger=trigger)
    world.cloud_build.create_build_trigger(request, SYSTEM)


ORIGINS: dict[Callable[[World], None], dict[str, str]] = {
    after_the_guide: {"cloud_run_service": "update", "eventarc_trigger": "update"},
    by_octues_deployer: {"cloud_run_service": "update", "eventarc_trigger": "update"},
    by_gcloud: {"build_trigger": "update", "cloud_run_service": "update", "eventarc_trigger": "update"},
}
"""How somebody else makes a service, and what of it adopting changes."""

each_origin = pytest.mark.parametrize(("make", "changed"), ORIGINS.items(), ids=[it.__name__ for it in ORIGINS])


def changes(planned: Run) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(planned.outputs["plan"])["changes"]
    return listed


def identities(seen: Any) -> dict[str, Any]:
    """By what each thing would not be the same any more if it were made anew."""
    return {
        "service": [service["uid"] for service in seen["services"]["services"]],
        "trigger": [(trigger["uid"], trigger["name"]) for trigger in seen["event_triggers"]["triggers"]],
        "topic": [topic["name"] for topic in seen["topics"]["topics"]],
        "subscription": [subscription["name"] for subscription in seen["subscriptions"]["subscriptions"]],
    }


def let_nobody_in(world: World) -> None:
    """What the remedy says for a service that is open to everyone."""
    policy = world.policies.get(SERVICE)
    del policy.bindings[:]
    world.policies.set(SERVICE, policy)


@each_origin
def test_a_plan_lists_what_somebody_else_has_made_as_such(
    job: Job, world: World, make: Callable[[World], None], changed: dict[str, str]
) -> None:
    make(world)

    planned = run(job, mode="plan")

    theirs = {change["kind"]: change["action"] for change in changes(planned) if not change["ours"]}
    assert theirs == changed
    assert (planned.code, planned.writes) == (1, [])
    for title in ("Cloud Run service my-org-sum", "Eventarc trigger"):
        (line,) = (line for line in planned.log.lines if line.startswith(f"~ {title}"))
        assert line.endswith("will be changed; this workflow did not make it")
    adopting = run(job, mode="plan", adopt="true")
    assert "will be changed; this workflow did not make it, and adopts it" in adopting.log.text


@pytest.mark.parametrize("make", ORIGINS, ids=lambda make: make.__name__)
def test_adopting_takes_it_over_without_making_anything_anew(
    job: Job, world: World, make: Callable[[World], None]
) -> None:
    make(world)
    let_nobody_in(world)
    before = identities(job.look())

    adopted = run(job, adopt="true")

    assert adopted.code == 0, adopted.stdout
    assert identities(adopted.world) == before
    assert not any("Delete" in method for method in adopted.writes)
    assert adopted.outputs["service_id"] == OLD_ID
    assert adopted.outputs["topic_name"] == OLD_TOPIC
    (service,) = adopted.world["services"]["services"]
    variables = {each["name"]: each["value"] for each in service["template"]["containers"][0]["env"]}
    assert variables["SERVICE_ID"] == OLD_ID
    (subscription,) = adopted.world["subscriptions"]["subscriptions"]
    assert subscription["ackDeadlineSeconds"] == 600
    again = run(job)
    assert (again.code, again.writes, again.outputs["service_id"]) == (0, [], OLD_ID)
    assert all(change["ours"] for change in changes(again))


def test_what_is_open_to_everyone_is_not_taken_over_before_that_is_ended(job: Job, world: World) -> None:
    by_octues_deployer(world)

    refused = run(job, adopt="true")

    assert (refused.code, refused.writes) == (1, [])
    (error,) = refused.errors
    assert "remove-iam-policy-binding my-org-sum" in error
    assert "--member=allUsers" in error


def test_what_could_only_be_taken_over_by_making_it_anew_is_refused(job: Job) -> None:
    a_trigger(job)

    refused = run(job, adopt="true")

    assert (refused.code, refused.writes) == (1, [])
    (error,) = refused.errors
    assert "Google Cloud cannot change its topic" in error
    assert "https://console.cloud.google.com/eventarc/triggers/europe-west1/my-org-sum" in error


def test_what_was_adopted_is_destroyed_like_what_was_made(job: Job, world: World) -> None:
    after_the_guide(world)
    assert run(job, adopt="true").code == 0

    destroyed = run(job, mode="destroy", confirm="sum", delete_topic="true")

    assert destroyed.code == 0, destroyed.stdout
    for kind in ("services", "event_triggers", "topics", "subscriptions"):
        assert destroyed.world[kind] == {}, kind
    accounts = [account["email"] for account in destroyed.world["service_accounts"]["accounts"]]
    assert OLD_ACCOUNT in accounts
