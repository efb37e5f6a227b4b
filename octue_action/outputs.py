"""From plans and outcomes to the outputs of the contract. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

from octue_action.apply import Status, in_all
from octue_action.deployment import own_addresses
from octue_action.plan import Action, Plan
from octue_action.resources.container_image import ContainerImage
from octue_action.runner import OUTPUTS_SIZE, size_of

if TYPE_CHECKING:
    from octue_action.apply import Outcome
    from octue_action.deployment import Deployment
    from octue_action.question import Answer


def outputs(
    deployments: Sequence[Deployment], plan: Plan, outcomes: Sequence[Outcome] = (), answer: Answer | None = None
) -> dict[str, str]:
    """Those of the first service by themselves, and those of all as JSON.

    There is one plan, that of all services, and as much of it as GitHub takes; something was changed where it was in
    any of them, or in what several share.

    :param outcomes: what became of the plan; empty where it was not carried out.
    :param answer: to the question that was asked afterwards.
    """
    stands: dict[str, Any] = {c.resource.address: c.actual for c in plan.changes if c.action is not Action.DELETE}
    stands |= {o.change.resource.address: o.resource for o in outcomes if o.resource is not None}
    by_address = {outcome.change.resource.address: outcome for outcome in outcomes}
    each = {
        deployment.service.service: _of_service(deployment, stands, by_address, own)
        for deployment, own in zip(deployments, own_addresses(deployments), strict=True)
    }
    if plan.purpose == "destroy":
        each = {name: {**values, "image": ""} for name, values in each.items()}
    first = {name: value for name, value in next(iter(each.values())).items() if name != "status"}
    told = {
        **first,
        "changed": _yes_or_no(any(map(_has_changed, outcomes))),
        "plan": "",
        "answer": _strict_json(answer.output_values) if answer is not None else "",
        "services": json.dumps(each),
    }
    return _with_plan(told, plan)


def refused_outputs(plan: Plan) -> dict[str, str]:
    """The outputs of a plan that must not be carried out, as much of it as GitHub takes."""
    return _with_plan({"plan": "", "changed": "false"}, plan)


def _in_full(plan: Plan) -> str:
    """The plan as ``docs/plan.schema.json`` describes it."""
    return _compact(plan.as_json())


def _without_new_fields(plan: Plan) -> str:
    """The plan without all that is said of what is created."""
    return _shortened(plan, "create", lambda change: change["action"] == Action.CREATE)


def _without_fields(plan: Plan) -> str:
    """The plan, and of what differs only that it does."""
    return _shortened(plan, "all", lambda _: True)


_WRITE: tuple[Callable[[Plan], str], ...] = (_in_full, _without_new_fields, _without_fields)
"""Ways to tell a plan, each shorter than the one before."""


def _shortened(plan: Plan, left_out: str, is_shortened: Callable[[Mapping[str, Any]], bool]) -> str:
    told = plan.as_json()
    changes = [{**change, "fields": []} if is_shortened(change) else change for change in told["changes"]]
    return _compact({**told, "changes": changes, "fields_left_out": left_out})


def _with_plan(outputs: Mapping[str, str], plan: Plan) -> dict[str, str]:
    """The outputs with the plan, told in the first way with which GitHub takes them, or in the last."""
    told = dict(outputs)
    for write in _WRITE:
        told["plan"] = write(plan)
        if size_of(told) <= OUTPUTS_SIZE:
            break
    return told


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _strict_json(value: object) -> str:
    """A value as JSON, which has no word for what is not a number or is infinite; Python's has."""
    return json.dumps(json.loads(json.dumps(value), parse_constant=lambda _: None))


def _yes_or_no(value: bool) -> str:
    return "true" if value else "false"


def _has_changed(outcome: Outcome) -> bool:
    """Whether something is not as it was: a build that failed has left nothing behind."""
    if outcome.status is Status.FAILED and isinstance(outcome.change.resource, ContainerImage):
        return False
    return outcome.has_written or outcome.status in {Status.APPLIED, Status.UNFINISHED}


def _of_service(
    deployment: Deployment, stands: Mapping[str, Any], outcomes: Mapping[str, Outcome], own: AbstractSet[str]
) -> dict[str, str]:
    """The outputs of one service.

    :param stands: what is there, by address.
    :param outcomes: by address; empty for a plan.
    :param own: addresses of what it shares with no other service.
    """
    service = stands.get(deployment.service.address)
    image_address = deployment.image.address if deployment.image is not None else ""
    built = outcomes.get(image_address)
    is_missing = built is not None and built.status not in {Status.APPLIED, Status.UNCHANGED}
    wanted = deployment.serving_image or deployment.service.image
    log_url = built.failure.log_url if built is not None and built.failure is not None else ""
    of_own = [outcomes[address] for address in own & outcomes.keys()]
    return {
        "service_url": getattr(service, "url", ""),
        "topic_name": deployment.topic.resource_name,
        "service_id": deployment.service_id,
        "service_account": deployment.account,
        "image": getattr(service, "image", "") if is_missing else wanted,
        "revision": getattr(service, "revision", ""),
        "build_log_url": log_url or getattr(stands.get(image_address), "build_log_url", ""),
        "changed": _yes_or_no(any(map(_has_changed, of_own))),
        "status": str(in_all(of_own)) if outcomes else "",
    }
