"""What is read of other regions before something is destroyed that they may use."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest

from octue_action import existing, regions
from octue_action.failure import GoogleError
from octue_action.google import Google


@dataclass
class Regions:
    """A Google Cloud whose regions all refuse to list services, each in words with its own name in them."""

    status: str
    said: str
    run = SimpleNamespace(list_services=None)

    def list(self, method: Any, request: Any, *, passing: tuple[()]) -> list[Any]:
        assert (method, passing) == (self.run.list_services, ()), "asked once"
        raise GoogleError("list_services", self.status, self.said.format(request.parent.rpartition("/")[2]))


@pytest.mark.parametrize(
    ("status", "said", "listed"),
    [
        ("PERMISSION_DENIED", "Permission denied on 'locations/{}' (or it may not exist).", []),
        ("NOT_FOUND", "There is no region {}.", []),
        ("PERMISSION_DENIED", "Permission denied on 'locations/europe-other1' (or it may not exist).", None),
        ("PERMISSION_DENIED", "Permission 'run.services.list' denied on 'projects/p/locations/{}'.", None),
        ("UNAVAILABLE", "{}", None),
    ],
    ids=["closed", "gone", "another one is closed", "refused", "in trouble"],
)
def test_only_a_region_that_the_project_may_not_use_is_known_to_have_no_services(
    status: str, said: str, listed: list[Any] | None
) -> None:
    google = cast(Google, Regions(status, said))

    found = existing._services_elsewhere(google, "my-project", ["europe-west1"])

    assert found.keys() == {it.name for it in regions.table().values() if it.cloud_run} - {"europe-west1"}
    assert all(it == listed for it in found.values())
