"""Which services of octue.yaml run one image: those of one recipe, whichever of them a run is about."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from octue_action.configuration import ServiceConfiguration
from octue_action.github_context import GitHubContext
from octue_action.keys import KEY_OF_INPUT, default_of
from octue_action.problems import Findings, Given, Problem
from octue_action.service_settings import Recipe, ServiceReader, ServiceSettings

_OF_CHOSEN = frozenset({"service_name", "dockerfile", "branch_pattern"})
"""Inputs that say of the services of this run what octue.yaml can say of each: another step may say another thing."""


@dataclass(frozen=True)
class ImageGroups:
    """The services of octue.yaml, those of one image together; a single one stands in no group.

    :param groups: their Cloud Run names without a preview, in the order of the file.
    """

    groups: tuple[tuple[str, ...], ...] = ()

    def joined(self, service: ServiceSettings) -> ServiceSettings:
        """The service, which knows with which others it is built."""
        group = next((it for it in self.groups if service.real_service in it), (service.real_service,))
        return replace(service, built_together=group)

    @property
    def namesakes(self) -> frozenset[str]:
        """The services whose names images have."""
        return frozenset(group[0] for group in self.groups)


def inputs_unknown_to_others(
    configured: Sequence[ServiceConfiguration], chosen: Collection[ServiceConfiguration], given: Mapping[str, Given]
) -> Iterator[Problem]:
    """The inputs by which some services would be built otherwise than octue.yaml says, where it has others, too.

    A step for the others would take them for services that are built in the same way, and deploy their image.
    """
    if len(chosen) >= len(configured):
        return
    for name in ("dockerfile", "branch_pattern"):
        key = KEY_OF_INPUT[name]
        said = {it.settings[key].text if key in it.settings else default_of(key) for it in chosen}
        if name in given and said != {given[name].text}:
            yield given[name].problem(
                f"Input `{name}` is for some of the services of octue.yaml, and a step for the others would not know.",
                f"`{key}` of these services in octue.yaml",
            )


def image_groups(
    configured: Sequence[ServiceConfiguration],
    chosen: Collection[ServiceConfiguration],
    given: Mapping[str, Given],
    github: GitHubContext,
) -> ImageGroups:
    """Put the services that are built in the same way together.

    What is wrong with a service that is not chosen is no matter of this run: if it cannot be seen how that is built, it
    stands alone, and if it has no name, it does not count.

    :param configured: all services of octue.yaml, in its order.
    :param chosen: those among them that the run is about.
    :param given: the inputs.
    """
    if len(configured) == 1:
        return ImageGroups()  # there is nothing to be read a second time for
    of_run = {id(it) for it in chosen}
    said_of_all = {name: it for name, it in given.items() if name not in _OF_CHOSEN}
    groups: dict[Recipe | str, list[str]] = {}
    for it in configured:
        inputs = given if id(it) in of_run else said_of_all
        service, recipe = ServiceReader(inputs, it, github, Findings()).recipe()
        group = groups.setdefault(recipe or service, [])
        if service and service not in group:
            group.append(service)
    return ImageGroups(tuple(tuple(group) for group in groups.values() if group))
