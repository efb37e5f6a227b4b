"""APIs that are switched on, and the accounts by which they act."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from google.oauth2.credentials import Credentials

from emulator.server import Emulator
from emulator.world import World, WorldSettings
from octue_action.apply import Status, apply
from octue_action.failure import GoogleError
from octue_action.google import Google
from octue_action.plan import make_plan
from octue_action.resources.iam_member import IamMember
from octue_action.resources.project_service import ProjectService, project_number
from octue_action.resources.service_identity import ServiceIdentity
from tests.octue_action.resources.kinds import OWNER, PROJECT

AGENT = "service-123456789012@gcp-sa-eventarc.iam.gserviceaccount.com"
EVENTARC = ProjectService(project_id=PROJECT, api="eventarc.googleapis.com")
MANAGER = ProjectService(project_id=PROJECT, api="cloudresourcemanager.googleapis.com")
IDENTITY = ServiceIdentity(
    project_id=PROJECT, api="eventarc.googleapis.com", email=AGENT, depends_on=(EVENTARC.address,)
)
ROLE = IamMember(
    resource=f"projects/{PROJECT}",
    role="roles/eventarc.serviceAgent",
    member=f"serviceAccount:{AGENT}",
    depends_on=(IDENTITY.address,),
)


@pytest.fixture
def new_world(tmp_path: Path) -> Iterator[World]:
    """A project in which nothing is set up."""
    with Emulator(WorldSettings(state=tmp_path / "state", cache=tmp_path / "cache", is_set_up=False)) as emulator:
        yield emulator.world


@pytest.fixture
def owner(new_world: World) -> Google:
    return Google(Credentials(new_world.tokens.issue_access_token(OWNER)), new_world.address)


def test_the_number_of_a_project_is_told_while_nothing_is_on_yet(owner: Google) -> None:
    assert project_number(owner, PROJECT) == "123456789012"


def test_an_api_is_switched_on_and_off_and_off_again(owner: Google, new_world: World) -> None:
    assert EVENTARC.read(owner) is None
    assert EVENTARC.create(owner) == EVENTARC == EVENTARC.read(owner)
    assert EVENTARC.create(owner) == EVENTARC, "which changes nothing"
    assert new_world.service_usage.is_enabled("eventarc.googleapis.com")

    EVENTARC.delete(owner)
    EVENTARC.delete(owner)
    assert EVENTARC.read(owner) is None


def test_an_api_that_does_not_exist_is_an_error(owner: Google) -> None:
    with pytest.raises(GoogleError, match="PERMISSION_DENIED"):
        replace(EVENTARC, api="nothing.googleapis.com").create(owner)


def test_the_account_of_an_api_is_made_before_its_first_use_and_given_its_role(owner: Google, new_world: World) -> None:
    MANAGER.create(owner)
    assert IDENTITY.read(owner) is None

    outcomes = apply(make_plan([EVENTARC, IDENTITY, ROLE], owner, adopt=False), owner, lambda _: None)

    assert {outcome.status for outcome in outcomes} == {Status.APPLIED}
    assert new_world.service_usage.knows_agent(AGENT)
    assert IDENTITY.read(owner) == IDENTITY
    assert not make_plan([EVENTARC, IDENTITY, ROLE], owner, adopt=False).has_changes


def test_to_make_an_account_that_is_there_changes_nothing(owner: Google) -> None:
    assert IDENTITY.create(owner) == IDENTITY.create(owner) == IDENTITY
