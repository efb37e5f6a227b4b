"""Many services, and what becomes of them, for tests of what people and programs are told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from octue_action.apply import Outcome, Status
from octue_action.deployment import Deployment, desired
from octue_action.existing import Existing
from octue_action.failure import Failure
from octue_action.plan import Action, Change, Plan, compare
from octue_action.resource import Resource
from octue_action.resources.cloud_run_service import CloudRunService
from octue_action.settings import load

NAMES = ("wind", "sun", "water")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
PROVIDER = "projects/123456789012/locations/global/workloadIdentityPools/github/providers/github"

Services = Callable[[int], list[Deployment]]


def octue_yaml(names: Sequence[str]) -> str:
    """An octue.yaml of these services."""
    keys = "    namespace: my-org\n    project_name: my-project\n    region: europe-west1\n"
    return "services:\n" + "".join(f"  - name: {name}\n{keys}" for name in names)


def services_in(folder: Path, number: int) -> list[Deployment]:
    """What should stand of so many services; where there are many, their names are as long as names may be."""
    long = [f"service-{n:03}-with-a-name-as-long-as-may-be" for n in range(number)]
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (folder / "octue.yaml").write_text(octue_yaml(NAMES if number == len(NAMES) else long))
    loaded = load(
        {
            "GITHUB_WORKSPACE": str(folder),
            "GITHUB_REPOSITORY": "my-org/sum-service",
            "GITHUB_REPOSITORY_ID": "1296269",
            "GITHUB_REPOSITORY_OWNER_ID": "583231",
            "GITHUB_SHA": COMMIT,
            "GITHUB_REF": "refs/heads/main",
            "INPUT_WORKLOAD_IDENTITY_PROVIDER": PROVIDER,
        }
    )
    return [desired(loaded, service, Existing({}, {})) for service in loaded.services]


def crash(service: str, lines: int = 2, width: int = 0) -> Failure:
    url = f"https://console.cloud.google.com/run/detail/europe-west1/{service}/logs?project=my-project"
    failure = Failure(f"The container of {service} ended at its start, with exit code 1.", url, url)
    failure.log = tuple(f"line {n} {'x' * width}".rstrip() for n in range(lines))
    return failure


def outcome(resource: Resource, action: Action, status: Status, failure: Failure | None = None) -> Outcome:
    stands = (
        replace(resource, url=f"https://{resource.service}-abc-ew.a.run.app", revision=f"{resource.service}-00001-abc")
        if isinstance(resource, CloudRunService)
        else resource
    )
    change = Change(resource, action)
    waited_on = ("Cloud Run service it-is-part-of",) if status is Status.SKIPPED else ()
    seconds = 1.25 if status in {Status.APPLIED, Status.FAILED} else 0.0
    there = stands if status in {Status.APPLIED, Status.UNCHANGED} else None
    return Outcome(change, status, seconds, there, failure, waited_on=waited_on)


def outcomes_of(deployment: Deployment, kind: str, failure: Failure | None = None) -> list[Outcome]:
    """What becomes of a service: it is ``created``, ``unchanged``, ``cut`` short, or its container ``failed``."""
    if kind == "created":
        return [outcome(resource, Action.CREATE, Status.APPLIED) for resource in deployment.resources]
    if kind == "unchanged":
        return [outcome(resource, Action.NO_OP, Status.UNCHANGED) for resource in deployment.resources]
    if kind == "cut":
        return [outcome(resource, Action.CREATE, Status.NOT_BEGUN) for resource in deployment.resources]
    names = [type(resource).__name__ for resource in deployment.resources]
    at = names.index("CloudRunService")
    return [
        outcome(resource, Action.CREATE, Status.APPLIED)
        if position < at
        else outcome(resource, Action.CREATE, Status.FAILED, failure or crash(deployment.service.service))
        if position == at
        else outcome(resource, Action.CREATE, Status.SKIPPED)
        for position, resource in enumerate(deployment.resources)
    ]


def resources_of(deployments: Sequence[Deployment]) -> list[Resource]:
    """All that belongs to them, what they share once."""
    return list({it.address: it for deployment in deployments for it in deployment.resources}.values())


def each(deployments: Sequence[Deployment], kinds: Sequence[str]) -> list[Outcome]:
    """What becomes of each; of what they share, what is said of the first."""
    every: dict[str, Outcome] = {}
    for deployment, kind in zip(deployments, kinds, strict=True):
        for it in outcomes_of(deployment, kind):
            every.setdefault(it.change.resource.address, it)
    return list(every.values())


def plan_of(deployments: Sequence[Deployment], *, refused: bool = False) -> Plan:
    resources = resources_of(deployments)
    refusals = [Failure(f"The {it.label} exists already.", "adopt: true") for it in resources]
    changes = tuple(compare(it, None) for it in resources)
    return Plan(changes, tuple(refusals) if refused else ())
