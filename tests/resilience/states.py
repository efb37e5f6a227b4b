"""What there is in a cloud, in a form in which two clouds with the same things are equal, whatever happened in them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from google.cloud import artifactregistry_v1, run_v2
from google.cloud.devtools import cloudbuild_v1

from emulator import rest
from emulator.operations import raw
from emulator.rpc import SYSTEM
from tests.resilience.clouds import Cloud

SERVICE = "my-org-sum"
PROJECT = "projects/my-project"
LOCATION = f"{PROJECT}/locations/europe-west1"
SERVICE_NAME = f"{LOCATION}/services/{SERVICE}"
ACCOUNT = f"{SERVICE}@my-project.iam.gserviceaccount.com"
MEMBER = f"serviceAccount:{ACCOUNT}"
OCTUE_ROLE = f"{PROJECT}/roles/octue_service_user"
INVOKER = "roles/run.invoker"
TOPIC_PREFIX = f"{PROJECT}/topics/octue.services."
LABELS = ("managed-by", "octue-service", "github-repository-id", "octue-preview")

OURS = {OCTUE_ROLE: PROJECT, INVOKER: SERVICE_NAME}
"""The roles that the action gives to the service's account, and on what."""

_OF_HISTORY = {"uid", "uniqueId", "oauth2ClientId", "etag", "generation", "observedGeneration", "timing", "pullTiming"}
_RANDOM = (
    (re.compile(r"-\d{5}-[a-z]{3}\b"), "-REVISION"),
    (re.compile(r"-sub-\d{3}\b"), "-sub-NUMBER"),
)


def everything(cloud: Cloud) -> dict[str, Any]:
    """All that there is, as the cloud's APIs show it: kind -> the things of that kind."""
    world = cloud.world
    shown = cloud.job.look()
    lists = {
        "service_accounts": "accounts",
        "image_repositories": "repositories",
        "topics": "topics",
        "subscriptions": "subscriptions",
        "services": "services",
        "event_triggers": "triggers",
        "build_triggers": "triggers",
        "builds": "builds",
    }
    things: dict[str, Any] = {kind: shown[kind].get(name, []) for kind, name in lists.items()}
    things["policies"] = [{"name": name, **policy} for name, policy in shown["policies"].items()]
    things["images"] = [
        rest.to_json(raw(image))
        for repository in things["image_repositories"]
        for image in world.artifact_registry.list_docker_images(
            artifactregistry_v1.ListDockerImagesRequest(parent=repository["name"]), SYSTEM
        ).docker_images
    ]
    things["revisions"] = [
        {"name": revision.name, "image": revision.containers[0].image}
        for service in things["services"]
        for revision in world.cloud_run.services[1]
        .list_revisions(run_v2.ListRevisionsRequest(parent=service["name"]), SYSTEM)
        .revisions
    ]
    everywhere = cloudbuild_v1.ListBuildTriggersRequest(parent=f"{PROJECT}/locations/global")
    things["build_triggers"] += [
        rest.to_json(raw(trigger)) for trigger in world.cloud_build.list_build_triggers(everywhere, SYSTEM).triggers
    ]
    return things


def state(cloud: Cloud) -> dict[str, Any]:
    """What there is, without what two histories that end alike may differ in: times, versions, random names."""
    things = everything(cloud)
    names = dict(_random_names(things))
    plain = _plain(things, names)
    plain["policies"] = [_sorted_policy(policy) for policy in plain["policies"]]
    return {kind: sorted(items, key=_text) for kind, items in plain.items()}


def differences(expected: Any, found: Any, where: str = "") -> list[str]:
    """Where two states differ, each as a line."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return [
            line
            for key in sorted(expected.keys() | found.keys())
            for line in differences(expected.get(key), found.get(key), f"{where}.{key}")
        ]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return [line for number, (a, b) in pairs for line in differences(a, b, f"{where}[{number}]")]
    if expected == found:
        return []
    return [f"{where}: expected {_text(expected)}, found {_text(found)}"]


def of_others(cloud: Cloud) -> dict[str, Any]:
    """What is not ours: things of others as they are, byte by byte, and what others have put on our things."""
    things = everything(cloud)
    found: dict[str, Any] = {}
    for kind, items in things.items():
        for item in items:
            if kind == "policies":
                found[f"policy of {item['name']}"] = _others_policy(item)
            elif kind in {"builds", "images", "revisions"}:
                continue
            elif not _is_ours(kind, item):
                found[f"{kind}: {item['name']}"] = item
            else:
                found[f"on our {kind}"] = _beside(kind, item)
    return found


def duplicates(cloud: Cloud, *, services: int = 1, builds: int = 1) -> list[str]:
    """What is there twice, and should not be.

    :param services: how many there are of ours.
    :param builds: how often a commit may be built.
    """
    things = everything(cloud)
    problems = []
    for kind, items in things.items():
        if kind in {"builds", "revisions", "images"}:
            continue
        counted = Counter(item["name"] for item in items)
        problems += [f"{kind}: {name} is there {times} times" for name, times in counted.items() if times > 1]
        ours = [item["name"] for item in items if _is_ours(kind, item)]
        if len(ours) > services and kind != "policies":
            problems.append(f"{kind}: there are several of ours: {ours}")
    for policy in things["policies"]:
        problems += _repeated_in(policy)
    built = Counter(build["substitutions"]["COMMIT_SHA"] for build in things["builds"])
    return problems + [f"commit {commit} was built {times} times" for commit, times in built.items() if times > builds]


def _repeated_in(policy: Mapping[str, Any]) -> Iterator[str]:
    bindings = policy.get("bindings", [])
    kinds = Counter(_text([binding["role"], binding.get("condition")]) for binding in bindings)
    yield from (f"policy of {policy['name']}: several bindings for {kind}" for kind, n in kinds.items() if n > 1)
    for binding in bindings:
        members = Counter(binding["members"])
        yield from (
            f"policy of {policy['name']}: {member} {times} times in {binding['role']}"
            for member, times in members.items()
            if times > 1
        )


def _is_ours(kind: str, item: Mapping[str, Any]) -> bool:
    if kind == "service_accounts":
        return bool(item["email"] == ACCOUNT)
    if kind == "subscriptions":
        return item["topic"].startswith(TOPIC_PREFIX) and "eventarc" in item["name"]
    if kind == "topics":
        return bool(item["name"].startswith(TOPIC_PREFIX) and "managed-by" in item.get("labels", {}))
    return bool(item["name"].rpartition("/")[2] == SERVICE)


def _beside(kind: str, item: Mapping[str, Any]) -> dict[str, Any]:
    """What others have put on a thing of ours, and what the action has nothing to do with."""
    labels = {key: value for key, value in item.get("labels", {}).items() if key not in LABELS}
    beside: dict[str, Any] = {"labels": labels}
    if kind == "build_triggers":
        beside["tags"] = [tag for tag in item["tags"] if not tag.startswith(LABELS)]
        beside |= {key: item.get(key) for key in ("approvalConfig", "includedFiles", "ignoredFiles", "filter")}
    if kind == "services":
        template = item["template"]
        annotations = template.get("annotations", {})
        beside["tagged"] = [target for target in item.get("traffic", []) if target.get("tag")]
        beside["annotations"] = {k: v for k, v in annotations.items() if not k.startswith("octue-action/")}
        beside["volumes"] = template.get("volumes")
        beside["mounts"] = template["containers"][0].get("volumeMounts")
        beside["description"] = item.get("description")
    return beside


def _others_policy(policy: Mapping[str, Any]) -> dict[str, Any]:
    kept = []
    for binding in policy.get("bindings", []):
        ours = OURS.get(binding["role"]) == policy["name"] and "condition" not in binding
        members = [member for member in binding["members"] if not (ours and member == MEMBER)]
        if members:
            kept.append({**binding, "members": members})
    return {"bindings": sorted(kept, key=_text), "auditConfigs": policy.get("auditConfigs", [])}


def _random_names(things: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for trigger in things["build_triggers"]:
        yield trigger["id"], f"ID OF TRIGGER {trigger['name']}"
    for build in things["builds"]:
        yield build["id"], f"ID OF BUILD OF {build['substitutions']['COMMIT_SHA']}"


def _plain(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in _OF_HISTORY and not k.endswith("Time")}
        return {key: _plain(item, names) for key, item in kept.items()}
    if isinstance(value, list):
        return [_plain(item, names) for item in value]
    if not isinstance(value, str):
        return value
    for name, stable in names.items():
        value = value.replace(name, stable)
    for pattern, stable in _RANDOM:
        value = pattern.sub(stable, value)
    return value


def _sorted_policy(policy: Mapping[str, Any]) -> dict[str, Any]:
    bindings = [{**binding, "members": sorted(binding["members"])} for binding in policy.get("bindings", [])]
    return {**policy, "bindings": sorted(bindings, key=_text)}


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
