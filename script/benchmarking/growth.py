"""What a run costs more where there is much in the project: members of its policy, and revisions of the service."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from script.benchmarking.cloud import Cloud, Unmeasurable, cloud
from script.benchmarking.figures import Spread
from script.benchmarking.table import in_seconds, table

MEMBERS = (20, 500, 1_490)
"""Members of the project's policy: the emulator's own are fewer, and Google Cloud takes 1,500."""

REVISIONS = (3, 100, 1_000)
"""Revisions of the service; Cloud Run keeps a thousand."""

_PROJECT = "my-project"
_POLICY = f"cloudresourcemanager.googleapis.com/v3/projects/{_PROJECT}"
_SERVICE = f"run.googleapis.com/v2/projects/{_PROJECT}/locations/europe-west1/services/service-001"


@dataclass(frozen=True)
class Figures:
    """What several runs came to.

    :param what: is run, and what there is much of.
    :param number: how much there is.
    :param seconds: how long the runs took.
    :param requests: the most that a run made.
    """

    what: str
    number: int
    seconds: Spread
    requests: int


def measure(rounds: int, say: Callable[[str], None]) -> Iterator[Figures]:
    """Measure runs for one service against a server that answers at once.

    :param rounds: how often each is measured.
    :param say: told what is being done.
    :raises Unmeasurable: where the action fails, or there is more than there should be.
    """
    for number in MEMBERS:
        say(f"{number} members in the project's policy")
        fresh, again = zip(*(_with_members(number) for _ in range(rounds)), strict=True)
        yield _figures("Fresh deployment, members of the project's policy", number, fresh)
        yield _figures("The same commit again, members of the project's policy", number, again)
    for number in REVISIONS:
        say(f"{number} revisions")
        back, again = zip(*_with_revisions(number, rounds), strict=True)
        yield _figures("Rollback, revisions of the service", number, back)
        yield _figures("The deployment after it, revisions of the service", number, again)


def as_markdown(figures: Iterable[Figures]) -> str:
    """A table for people."""
    head = ("What grows", "how many", "median, s", "least to most, s", "requests", "runs")
    return table(head, *(_row(it) for it in figures))


def _row(figures: Figures) -> tuple[str, ...]:
    spread = figures.seconds
    return figures.what, f"{figures.number:,}", *in_seconds(spread), str(figures.requests), str(spread.runs)


def _figures(what: str, number: int, runs: Iterable[tuple[float, int]]) -> Figures:
    seconds, requests = zip(*runs, strict=True)
    return Figures(what, number, Spread.of(seconds), max(requests))


def with_members(policy: Mapping[str, Any], number: int) -> dict[str, Any]:
    """A policy with so many members, each counted as often as it is named, as Google Cloud counts them.

    :raises Unmeasurable: where it has more.
    """
    there = sum(len(binding["members"]) for binding in policy["bindings"])
    if there > number:
        raise Unmeasurable(f"The project's policy has {there} members already, and {number} were asked for.")
    viewers = {"role": "roles/viewer", "members": [f"user:person-{n}@example.com" for n in range(number - there)]}
    return {**policy, "bindings": [*policy["bindings"], *[viewers] * (number > there)]}


@contextlib.contextmanager
def _cloud() -> Iterator[Cloud]:
    """A cloud that answers at once, with a repository of one service."""
    with (
        tempfile.TemporaryDirectory(prefix="octue-benchmark-") as folder,
        cloud(Path(folder), 1, latencies=False, seed=1) as made,
    ):
        yield made


def _with_members(number: int) -> tuple[tuple[float, int], tuple[float, int]]:
    """A first deployment, and another one, in a project in whose policy there are so many."""
    with _cloud() as made:
        version = {"options": {"requestedPolicyVersion": 3}}
        policy = made.ask(f"{_POLICY}:getIamPolicy", version, made.owners_token)
        made.ask(f"{_POLICY}:setIamPolicy", {"policy": with_members(policy, number)}, made.owners_token)
        return made.timed("deploy"), made.timed("deploy")


def _with_revisions(number: int, rounds: int) -> Iterator[tuple[tuple[float, int], tuple[float, int]]]:
    """Rollbacks, and the deployments after them, of a service of which there are so many revisions."""
    with _cloud() as made:
        made.timed("deploy")
        for revision in range(1, number - 1):
            _add_revision(made, revision)
        made.timed("deploy")
        for _ in range(rounds):
            yield made.timed("rollback"), made.timed("deploy")


def _add_revision(made: Cloud, number: int) -> None:
    """Change a variable, as somebody does in the console."""
    service = made.ask(_SERVICE, token=made.owners_token)
    (container,) = service["template"]["containers"]
    container["env"] = [it for it in container["env"] if it["name"] != "NUMBER"]
    container["env"].append({"name": "NUMBER", "value": str(number)})
    service["template"].pop("revision", None)
    operation = made.ask(_SERVICE, service, made.owners_token, verb="PATCH")["name"]
    while not made.ask(f"run.googleapis.com/v2/{operation}", token=made.owners_token).get("done"):
        pass
