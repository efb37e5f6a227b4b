"""From plans and outcomes to the outputs of the contract. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from octue_action.plan import Action, Plan
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
    any of them.

    :param outcomes: what became of the plan; empty where it was not carried out.
    :param answer: to the question that was asked afterwards.
    """
    stands: dict[str, Any] = {c.resource.address: c.actual for c in plan.changes if c.action is not Action.DELETE}
    stands |= {o.change.resource.address: o.resource for o in outcomes if o.resource is not None}
    logs = {o.change.resource.address: o.failure.log_url for o in outcomes if o.failure is not None}
    changed = {o.change.resource.address for o in outcomes if o.has_written or o.status in {"applied", "unfinished"}}
    each = {it.service.service: _of_service(it, stands, logs, changed) for it in deployments}
    if plan.purpose == "destroy":
        each = {name: {**values, "image": ""} for name, values in each.items()}
    told = {
        **next(iter(each.values())),
        "changed": _yes_or_no(bool(changed)),
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


def _of_service(
    deployment: Deployment, stands: Mapping[str, Any], logs: Mapping[str, str], changed: set[str]
) -> dict[str, str]:
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
        "changed": _yes_or_no(not changed.isdisjoint(resource.address for resource in deployment.resources)),
    }
