"""What services leave behind that are built after another one from now on: a trigger that would go on updating them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from octue_action import names
from octue_action.graph import walk
from octue_action.plan import Action, Change, compare
from octue_action.resources.build_trigger import BuildTrigger, tags_of

if TYPE_CHECKING:
    from octue_action.existing import Existing
    from octue_action.google import Google
    from octue_action.settings import ServiceSettings, Settings


def retired(settings: Settings, existing: Existing, google: Google) -> tuple[Change, ...]:
    """What is done to the triggers of before: those that are ours, and update such a service, are switched off.

    They are looked for only where a service runs what they have built, so that other runs ask nothing for it.
    """
    left = _left(settings, existing)
    found = walk({before: set() for before in left}, lambda it: _trigger(settings, it, left[it][0]).read(google))
    updating = (
        trigger
        for before, trigger in found.items()
        if trigger is not None and trigger.ours and any(trigger.updates(it.service) for it in left[before])
    )
    changes = (compare(replace(it, disabled=True, only=frozenset({"disabled"})), it) for it in updating)
    return tuple(change for change in changes if change.action is not Action.NO_OP)


def notices(settings: Settings, existing: Existing, changes: Iterable[Change]) -> Iterator[str]:
    """What is good to know of the images of before: they stay, as earlier revisions run them.

    :param changes: those that ``retired`` has given.
    """
    triggers = {change.resource.name for change in changes}
    for before, services in _left(settings, existing).items():
        listed = " and ".join(it.service for it in services)
        region, project = services[0].region, settings.project_id
        trigger = f"\ngcloud builds triggers delete {before} --region={region} --project={project}"
        yield (
            f"From now on the images of {listed} are in the repository {services[0].image_service}. Earlier revisions "
            f"run those in the repository {before}, which stays. When nobody rolls back to them any more, and nothing "
            f"else needs it:\ngcloud artifacts repositories delete {names.artifact_repository(before)} "
            f"--location={region} --project={project}{trigger if before in triggers else ''}"
        )


def _left(settings: Settings, existing: Existing) -> dict[str, list[ServiceSettings]]:
    """The services that run an image of before, by the service after which that is called, and now no other is.

    So it is where a service has come to be built together with others, or the first of those is no more in octue.yaml.
    """
    left: dict[str, list[ServiceSettings]] = {}
    for service in settings.services:
        before = existing.image_service(settings.project_id, service)
        is_built = service.image is None and service.preview is None
        if is_built and before and before not in settings.namesakes | {service.image_service}:
            left.setdefault(before, []).append(service)
    return left


def _trigger(settings: Settings, before: str, service: ServiceSettings) -> BuildTrigger:
    """The trigger called after a service, to be read; of a service name there is one, in one region."""
    return BuildTrigger(
        project_id=settings.project_id,
        location=service.region,
        trigger_name=names.build_trigger(before),
        repository=settings.github.repository,
        branch_pattern=service.branch_pattern,
        image=names.image(service.region, settings.project_id, before, "").rpartition(":")[0],
        dockerfile=service.dockerfile,
        cloud_run_service=before,
        build_service_account=None,
        tags=tags_of(names.labels(before, settings.github.repository_id)),
    )
