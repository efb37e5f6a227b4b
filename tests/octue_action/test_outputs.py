"""What the next step of a job gets, of one service and of a hundred."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from octue_action.apply import Status
from octue_action.deployment import Deployment
from octue_action.failure import Failure
from octue_action.outputs import outputs, refused_outputs
from octue_action.plan import Action, Plan, compare
from octue_action.runner import OUTPUTS_SIZE, size_of
from tests.octue_action.services import Services, each, outcome, plan_of, resources_of
from tests.runs import PLAN

SINGLE = (
    "service_url",
    "topic_name",
    "service_id",
    "service_account",
    "image",
    "revision",
    "build_log_url",
    "changed",
)


def test_the_single_outputs_are_those_of_the_first_service_and_services_has_all_of_each(
    three: list[Deployment],
) -> None:
    told = outputs(three, plan_of(three), each(three, ["created", "unchanged", "created"]))

    services = json.loads(told["services"])
    assert list(services) == ["my-org-wind", "my-org-sun", "my-org-water"]
    assert all(tuple(values) == (*SINGLE, "status") for values in services.values())
    assert {name: told[name] for name in SINGLE[:7]} == {name: services["my-org-wind"][name] for name in SINGLE[:7]}
    assert services["my-org-water"]["service_url"] == "https://my-org-water-abc-ew.a.run.app"


def test_each_service_says_whether_it_was_changed(three: list[Deployment]) -> None:
    told = outputs(three, plan_of(three), each(three, ["unchanged", "created", "failed"]))

    changed = {name: values["changed"] for name, values in json.loads(told["services"]).items()}
    assert changed == {"my-org-wind": "false", "my-org-sun": "true", "my-org-water": "true"}
    assert told["changed"] == "true"


def test_each_service_says_what_became_of_it_and_a_plan_says_nothing(three: list[Deployment]) -> None:
    told = outputs(three, plan_of(three), each(three, ["unchanged", "created", "failed"]))
    planned = outputs(three, plan_of(three))

    assert [it["status"] for it in json.loads(told["services"]).values()] == ["unchanged", "applied", "failed"]
    assert {it["status"] for it in json.loads(planned["services"]).values()} == {""}
    assert "status" not in told


def test_what_is_shared_is_a_change_of_the_run_and_of_no_single_service(three: list[Deployment]) -> None:
    sharing = [replace(it, image=three[0].image) for it in three[:2]]
    image = three[0].image
    assert image is not None

    told = outputs(sharing, plan_of(sharing), [outcome(image, Action.CREATE, Status.APPLIED)])

    assert [values["changed"] for values in json.loads(told["services"]).values()] == ["false", "false"]
    assert told["changed"] == "true"


@pytest.mark.parametrize("status", [Status.FAILED, Status.SKIPPED, Status.NOT_BEGUN])
def test_an_image_that_was_not_made_is_no_change_and_what_serves_is_told_instead(
    three: list[Deployment], status: Status
) -> None:
    deployment = three[0]
    image, service = deployment.image, deployment.service
    assert image is not None
    serving = replace(service, image="europe-west1-docker.pkg.dev/p/r/i:old", revision="wind-00001-abc")
    plan = Plan(tuple(compare(it, serving if it is service else None) for it in deployment.resources))
    outcomes = [
        replace(outcome(image, Action.CREATE, status), has_written=status is Status.FAILED),
        outcome(service, Action.UPDATE, Status.SKIPPED),
    ]

    told = outputs([deployment], plan, outcomes)

    assert told["changed"] == "false"
    assert (told["image"], told["revision"]) == (serving.image, "wind-00001-abc")


def test_an_image_that_was_not_made_and_nothing_serves_is_none(three: list[Deployment]) -> None:
    image = three[0].image
    assert image is not None

    told = outputs(three[:1], plan_of(three[:1]), [outcome(image, Action.CREATE, Status.FAILED)])

    assert told["image"] == ""


@pytest.mark.parametrize("number", [1, 3, 30, 100])
def test_the_outputs_of_however_many_services_are_no_more_than_github_takes(services: Services, number: int) -> None:
    deployments = services(number)

    told = outputs(deployments, plan_of(deployments), each(deployments, ["created"] * number))

    assert size_of(told) <= OUTPUTS_SIZE
    plan = json.loads(told["plan"])
    PLAN.validate(plan)
    assert len(plan["changes"]) == 7 * number + 3
    assert ("fields_left_out" in plan) == (number == 100)
    assert len(json.loads(told["services"])) == number


def test_where_the_plan_would_be_too_long_what_differs_is_told_before_what_is_new(hundred: list[Deployment]) -> None:
    changed = hundred[0].service
    changes = tuple(
        compare(it, replace(changed, concurrency=3) if it is changed else None) for it in resources_of(hundred)
    )

    plan = json.loads(outputs(hundred, Plan(changes))["plan"])

    assert plan["fields_left_out"] == "create"
    assert [it["address"] for it in plan["changes"] if it["fields"]] == [changed.address]


def test_where_even_that_is_too_long_no_field_is_told(hundred: list[Deployment]) -> None:
    actual = {d.service.address: replace(d.service, image="x" * 3_000) for d in hundred}
    plan = Plan(tuple(compare(it, actual.get(it.address)) for it in resources_of(hundred)))

    told = outputs(hundred, plan)

    assert size_of(told) <= OUTPUTS_SIZE
    assert json.loads(told["plan"])["fields_left_out"] == "all"
    PLAN.validate(json.loads(told["plan"]))


def test_the_plan_that_is_refused_fits_too(hundred: list[Deployment]) -> None:
    plan = replace(plan_of(hundred), refusals=(Failure("It is not ours."),))

    told = refused_outputs(plan)

    assert size_of(told) <= OUTPUTS_SIZE
    PLAN.validate(json.loads(told["plan"]))
    assert json.loads(told["plan"])["refusals"] == ["It is not ours."]
