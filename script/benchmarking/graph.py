"""The graph of a deployment, as the action itself has it for a first one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from octue_action.deployment import desired
from octue_action.existing import Existing
from octue_action.resources.iam_member import IamMember
from octue_action.settings import load
from script.benchmarking.paths import Node

_WRITTEN: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "service_account": ("(Create|Patch)ServiceAccount", lambda it: f"/serviceAccounts/({it.account_id}|{it.email})$"),
    "artifact_repository": ("(Create|Update)Repository", lambda it: f"/repositories/{it.repository_id}$"),
    "build_trigger": ("(Create|Update)BuildTrigger", lambda it: f"/triggers/{it.trigger_name}$"),
    "container_image": ("RunBuildTrigger", lambda it: f"/triggers/{it.trigger.rpartition('/')[2]}$"),
    "pubsub_topic": ("(Create|Update)Topic", lambda it: f"/topics/{re.escape(it.topic_id)}$"),
    "cloud_run_service": ("(Create|Update)Service", lambda it: f"/services/{it.service}$"),
    "iam_member": ("SetIamPolicy", lambda it: f"^{it.resource}$"),
    "eventarc_trigger": ("(Create|Update)Trigger", lambda it: f"/triggers/{it.trigger_id}$"),
    "pubsub_subscription": ("UpdateSubscription", lambda it: f"-{it.trigger.rpartition('/')[2]}-sub-"),
}
"""Of each kind: the methods that write it, as a pattern, and a pattern of what those calls are about."""


def graph(environment: Mapping[str, str]) -> list[Node]:
    """The resources of all services of a run, each once.

    :param environment: the variables of a step that runs the action.
    """
    settings = load(environment)
    resources = {
        resource.address: resource
        for service in settings.services
        for resource in desired(settings, service, Existing({}, {})).resources
    }
    return [
        Node(
            address=address,
            method=_WRITTEN[resource.kind][0],
            about=_WRITTEN[resource.kind][1](resource),
            depends_on=resource.depends_on,
            reads="GetIamPolicy" if isinstance(resource, IamMember) else "",
        )
        for address, resource in resources.items()
    ]
