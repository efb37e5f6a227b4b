"""What a run costs more where there is much in the project: members of its policy, and revisions of the service."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from script.benchmarking.cloud import Cloud, cloud

MEMBERS = (10, 500, 1_490)
"""Members of the project's policy; Google Cloud takes 1,500."""

REVISIONS = (3, 100, 1_000)
"""Revisions of the service; Cloud Run keeps a thousand."""

_PROJECT = "my-project"
_POLICY = f"cloudresourcemanager.googleapis.com/v3/projects/{_PROJECT}"
_SERVICE = f"run.googleapis.com/v2/projects/{_PROJECT}/locations/europe-west1/services/service-001"

Figures = tuple[str, int, float, int]
"""What is run, of how much, how many seconds it took in the median, and how many requests it made."""


def measure(rounds: int, say: Callable[[str], None]) -> Iterator[Figures]:
    """Measure runs for one service against a server that answers at once.

    :param rounds: how often each is measured.
    :param say: told what is being done.
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


def as_markdown(figures: Sequence[Figures]) -> str:
    """A table for people."""
    rows = [f"| {what} | {number:,} | {seconds:.2f} | {requests} |" for what, number, seconds, requests in figures]
    return "\n".join(["| What grows | how many | median, s | requests |", "| --- | --- | --- | --- |", *rows])


def _figures(what: str, number: int, runs: Sequence[tuple[float, int]]) -> Figures:
    return what, number, statistics.median(seconds for seconds, _ in runs), max(requests for _, requests in runs)


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
        there = sum(len(binding["members"]) for binding in policy["bindings"])
        members = [f"user:person-{n}@example.com" for n in range(number - there)]
        policy["bindings"].append({"role": "roles/viewer", "members": members or ["user:person@example.com"]})
        made.ask(f"{_POLICY}:setIamPolicy", {"policy": policy}, made.owners_token)
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
