"""The way back: which revision of a service takes the traffic again, and the service in which it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from octue_action.failure import Failure
from octue_action.resources.cloud_run_service import CloudRunService

if TYPE_CHECKING:
    from google.cloud import run_v2

    from octue_action.google import Google

Choose: TypeAlias = "Callable[[Sequence[run_v2.Revision], CloudRunService], run_v2.Revision]"
"""Picks one of a service's ready revisions, the newest of which is the first, given the service as it stands."""

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


def target(service: CloudRunService, google: Google, choose: Choose) -> Target:
    """Find out where the traffic of a service goes back to; of the service itself nothing else is to change.

    :param service: as a deployment wants it.
    :param choose: picks the revision: ``previous``, ``named`` or ``before_failure``.
    :raises Failure: where there is no such service, or no such revision that is ready.
    """
    from google.cloud import run_v2

    actual = service.read(google)
    if actual is None:
        raise Failure(f"There is no {service.label} to roll back.", "Deploy it first:\nmode: deploy")
    request = run_v2.ListRevisionsRequest(parent=service.resource_name)
    listed = google.list(google.revisions.list_revisions, request)
    chosen = choose(ready(listed), actual)
    wanted = replace(actual, traffic=name_of(chosen), only=frozenset({"traffic"}))
    return Target(wanted, actual, _image(chosen))


def ready(revisions: Iterable[run_v2.Revision]) -> list[run_v2.Revision]:
    """Those that are ready, or have been before they were retired, the newest first."""
    return sorted((r for r in revisions if _is_ready(r)), key=_made_at, reverse=True)


def previous(revisions: Sequence[run_v2.Revision], service: CloudRunService) -> run_v2.Revision:
    """The newest ready revision before the one that was made last, whichever serves.

    So a rollback that is run again changes nothing, and one after a failed deployment keeps what serves now.

    :param revisions: the service's ready ones, the newest first.
    :param service: as it stands.
    :raises Failure: where there is none.
    """
    made_last = service.message.latest_created_revision.rpartition("/")[2]
    others = (r for r in revisions if name_of(r) != made_last)
    return _first(others, "revision before the present one", revisions, service)


def named(name: str) -> Choose:
    """Pick the revision of that name.

    :raises Failure: from what is given, where it is not there, or not ready.
    """
    return lambda revisions, service: _first(
        (r for r in revisions if name_of(r) == name), f"revision {name}", revisions, service
    )


def before_failure(served: str, image: str) -> Choose:
    """Pick the revision that served before a deployment which has turned out to be bad.

    :param served: the name of the revision that served when the deployment began; empty where there was none.
    :param image: of the deployment. The build of a push updates the service, too: where that was first, what served
        when the deployment began is of the same image, and just as bad.
    :raises Failure: from what is given, where there is none, or where the deployment has changed nothing.
    """

    def choose(revisions: Sequence[run_v2.Revision], service: CloudRunService) -> run_v2.Revision:
        if served == service.revision:
            message = f"This run has not changed what serves, {served}, so there is nothing that it could take back."
            raise Failure(message, "To go back all the same, run the action with:\nmode: rollback")
        names = [name_of(r) for r in revisions]
        before = revisions[names.index(served) :] if served in names else []
        others = (r for r in before if _image(r) != image)
        return _first([*others, *before], "revision before this deployment", revisions, service)

    return choose


def name_of(revision: run_v2.Revision) -> str:
    """A revision's name, without its service's."""
    return str(revision.name.rpartition("/")[2])


def _first(
    candidates: Iterable[run_v2.Revision], what: str, revisions: Sequence[run_v2.Revision], service: CloudRunService
) -> run_v2.Revision:
    found = next(iter(candidates), None)
    if found is not None:
        return found
    names = [name for name in map(name_of, revisions) if name != service.revision][:MOST_NAMED]
    listed = "\n".join(["Name one of these, newest first, in `revision`:", *names])
    remedy = listed if names else "There is no other revision. Deploy an earlier commit instead."
    raise Failure(f"The {service.label} has no {what} that is ready.", remedy)


def _image(revision: run_v2.Revision) -> str:
    return next((container.image for container in revision.containers), "")


def _made_at(revision: run_v2.Revision) -> Any:
    """When it was made: proto-plus gives a ``datetime`` where the client library declares a ``Timestamp``."""
    return revision.create_time


def _is_ready(revision: run_v2.Revision) -> bool:
    return any(c.type_ == "Ready" and c.state.name == "CONDITION_SUCCEEDED" for c in revision.conditions)
