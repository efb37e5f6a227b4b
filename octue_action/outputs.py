"""From plans and outcomes to the outputs of the contract. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from octue_action.plan import Action, Plan

if TYPE_CHECKING:
    from octue_action.apply import Outcome
    from octue_action.deployment import Deployment
    from octue_action.question import Answer


def outputs(
    deployments: Sequence[Deployment], plan: Plan, outcomes: Sequence[Outcome] = (), answer: Answer | None = None
) -> dict[str, str]:
    """Those of the first service by themselves, and those of all as JSON.

    :param outcomes: what became of the plan; empty where it was not carried out.
    :param answer: to the question that was asked afterwards.
    """
    stands: dict[str, Any] = {c.resource.address: c.actual for c in plan.changes if c.action is not Action.DELETE}
    stands |= {o.change.resource.address: o.resource for o in outcomes if o.resource is not None}
    logs = {o.change.resource.address: o.failure.log_url for o in outcomes if o.failure is not None}
    each = {deployment.service.service: _of_service(deployment, stands, logs) for deployment in deployments}
    has_changed = any(o.has_written or o.status in {"applied", "unfinished"} for o in outcomes)
    if plan.purpose == "destroy":
        each = {name: {**values, "image": ""} for name, values in each.items()}
    return {
        **next(iter(each.values())),
        "changed": "true" if has_changed else "false",
        "plan": plan_json(plan),
        "answer": _strict_json(answer.output_values) if answer is not None else "",
        "services": json.dumps(each),
    }


def plan_json(plan: Plan) -> str:
    """The plan as ``docs/plan.schema.json`` describes it."""
    return json.dumps(plan.as_json(), separators=(",", ":"))


def _strict_json(value: object) -> str:
    """A value as JSON, which has no word for what is not a number or is infinite; Python's has."""
    return json.dumps(json.loads(json.dumps(value), parse_constant=lambda _: None))


def _of_service(deployment: Deployment, stands: Mapping[str, Any], logs: Mapping[str, str]) -> dict[str, str]:
    service = stands.get(deployment.service.address)
    image_address = deployment.image.address if deployment.image is not None else ""
    return {
        "service_url": getattr(service, "url", ""),
        "topic_name": deployment.topic.resource_name,
        "service_id": deployment.service_id,
        "service_account": deployment.account,
        "image": deployment.serving_image or deployment.service.image,
        "revision": getattr(service, "revision", ""),
        "build_log_url": logs.get(image_address) or getattr(stands.get(image_address), "build_log_url", ""),
    }
