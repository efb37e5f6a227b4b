"""The way back: which revision of a service takes the traffic again, and the service in which it does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from octue_action.failure import Failure

if TYPE_CHECKING:
    from google.cloud import run_v2

    from octue_action.google import Google
    from octue_action.resources.cloud_run_service import CloudRunService

MOST_NAMED = 10
"""How many revisions are named where one has to be chosen."""


@dataclass(frozen=True)
class Target:
    """Where the traffic goes.

    :param service: the service as it stands, in which the revision has all the traffic.
    :param actual: the service as it stands.
    :param image: the container image of the revision.
    """

    service: CloudRunService
    actual: CloudRunService
    image: str


def target(service: CloudRunService, google: Google, *, revision: str | None) -> Target:
    """Find out where the traffic of a service goes back to; of the service itself nothing else is to change.

    :param service: as a deployment wants it.
    :param revision: the name of a revision; None for the previous one.
    :raises Failure: where there is no such service, or no such revision that is ready.
    """
    from google.cloud import run_v2

    actual = service.read(google)
    if actual is None:
        raise Failure(f"There is no {service.label} to roll back.", "Deploy it first:\nmode: deploy")
    request = run_v2.ListRevisionsRequest(parent=service.resource_name)
    revisions = google.list(google.revisions.list_revisions, request)
    chosen = choose(revisions, actual, revision)
    wanted = replace(actual, traffic=_name(chosen.name), only=frozenset({"traffic"}))
    return Target(wanted, actual, chosen.containers[0].image)


def choose(revisions: Iterable[run_v2.Revision], service: CloudRunService, named: str | None) -> run_v2.Revision:
    """The revision that is named, or else the newest ready one before the one that was made last.

    So a rollback that is run again changes nothing, and one after a failed deployment keeps what serves now.

    :param service: as it stands.
    :raises Failure: where it is not there, or not ready.
    """
    ready = sorted((r for r in revisions if _is_ready(r)), key=_made_at, reverse=True)
    made_last = service.message.latest_created_revision.rpartition("/")[2]
    candidates = [r for r in ready if (_name(r.name) == named if named else _name(r.name) != made_last)]
    if candidates:
        return candidates[0]
    which = f"no revision {named}" if named else "no revision before the present one"
    names = "\n".join(_name(r.name) for r in ready[:MOST_NAMED])
    remedy = f"Name one of these, newest first, in `revision`:\n{names}" if names else "Deploy again:\nmode: deploy"
    raise Failure(f"The {service.label} has {which} that is ready.", remedy)


def _name(resource_name: str) -> str:
    return resource_name.rpartition("/")[2]


def _made_at(revision: run_v2.Revision) -> str:
    return str(type(revision).to_dict(revision)["create_time"])


def _is_ready(revision: run_v2.Revision) -> bool:
    return any(c.type_ == "Ready" and c.state.name == "CONDITION_SUCCEEDED" for c in revision.conditions)
