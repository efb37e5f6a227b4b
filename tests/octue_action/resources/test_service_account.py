"""Service accounts, which Google Cloud shows, hides and shows again while they are new."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from google.cloud import iam_admin_v1

from emulator.errors import ApiError, already_exists, failed_precondition, not_found, permission_denied
from emulator.world import World
from octue_action.apply import Status, apply
from octue_action.failure import Failure, GoogleError
from octue_action.google import Google
from octue_action.plan import Action, make_plan
from octue_action.resource import diff
from octue_action.resources import service_account
from octue_action.resources.service_account import ServiceAccount
from tests.octue_action.resources.kinds import LABELS, PROJECT


@pytest.fixture
def account(name: str) -> ServiceAccount:
    return ServiceAccount(
        project_id=PROJECT,
        account_id=name,
        email=f"{name}@{PROJECT}.iam.gserviceaccount.com",
        owner=LABELS,
        display_name="Octue service sum",
    )


class Flapping:
    """IAM as a recording shows it of a new account: seen, not seen, and seen again.

    :param seen: for each reading in turn, whether the account is seen; it is for ever after.
    :param unseen: how an account reads that is not seen.
    """

    def __init__(
        self,
        world: World,
        monkeypatch: pytest.MonkeyPatch,
        seen: list[bool],
        unseen: Callable[[str], ApiError] = not_found,
    ) -> None:
        self._unseen = unseen
        self._read = world.iam._account
        self._seen: Iterator[bool] = iter(seen)
        self.readings = 0
        monkeypatch.setattr(world.iam, "_account", self._account)

    def _account(self, *arguments: Any) -> iam_admin_v1.ServiceAccount:
        self.readings += 1
        if not next(self._seen, True):
            raise self._unseen("Unknown service account")
        found: iam_admin_v1.ServiceAccount = self._read(*arguments)
        return found


def hidden(_: str) -> ApiError:
    return permission_denied("Permission 'iam.serviceAccounts.get' denied on resource (or it may not exist).")


def test_a_new_account_is_read_until_it_is_seen_three_times_in_a_row(
    account: ServiceAccount, google: Google, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    flapping = Flapping(world, monkeypatch, seen=[True, True, False, True, False])
    assert diff(account, account.create(google)) == ()
    assert flapping.readings == 5 + 3


def test_a_new_account_that_reads_as_forbidden_is_read_again(
    account: ServiceAccount, google: Google, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    flapping = Flapping(world, monkeypatch, seen=[False, True, False], unseen=hidden)
    assert diff(account, account.create(google)) == ()
    assert flapping.readings == 3 + 3


def test_an_account_that_reads_as_forbidden_for_a_moment_is_read_again(
    account: ServiceAccount, google: Google, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.create(google)
    flapping = Flapping(world, monkeypatch, seen=[False, False], unseen=hidden)
    assert account.read(google) is not None
    assert flapping.readings == 3


def test_a_new_account_that_cannot_be_read_for_another_reason_is_an_error_at_once(
    account: ServiceAccount, google: Google, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    Flapping(world, monkeypatch, seen=[False], unseen=failed_precondition)
    with pytest.raises(GoogleError, match="FAILED_PRECONDITION"):
        account.create(google)


def test_an_account_that_exists_and_reads_as_absent_is_taken_as_it_is(
    account: ServiceAccount, google: Google, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.create(google)
    flapping = Flapping(world, monkeypatch, seen=[False] * 3)
    plan = make_plan([account], google, adopt=False)
    assert [change.action for change in plan.changes] == [Action.CREATE]
    (outcome,) = apply(plan, google, lambda _: None)
    assert outcome.status is Status.UNCHANGED
    assert flapping.readings == 3 + 1


def test_an_account_that_is_never_shown_is_a_failure_that_says_so(
    account: ServiceAccount, google: Google, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    Flapping(world, monkeypatch, seen=[False] * 1000)
    monkeypatch.setattr(service_account, "VISIBLE_SECONDS", 0.3)
    with pytest.raises(Failure, match="was made, but Google Cloud does not show it") as caught:
        account.create(google)
    assert caught.value.remedy.startswith(f"gcloud iam service-accounts describe {account.email} --project={PROJECT}")


def test_a_refusal_is_an_error_that_is_told_as_it_is(
    account: ServiceAccount, google: Google, monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    with pytest.raises(GoogleError, match="does not have a length between 6 and 30"):
        replace(account, account_id="short").create(google)

    def refuse(*_: Any) -> None:
        raise already_exists("Service account ID already exists within project.")

    monkeypatch.setattr(world.iam, "_create", refuse)
    with pytest.raises(GoogleError, match="ALREADY_EXISTS"):
        account.create(google)


def test_its_description_says_whose_it_is(account: ServiceAccount, google: Google) -> None:
    account.create(google)
    message = google.iam.get_service_account(name=f"projects/{PROJECT}/serviceAccounts/{account.email}")
    assert message.description == "managed-by=octue-action octue-service=sum github-repository-id=1296269"


def test_an_account_whose_description_a_person_wrote_is_not_ours(account: ServiceAccount, google: Google) -> None:
    made = iam_admin_v1.ServiceAccount(display_name=account.display_name, description="x = y, and a=b=c too")
    request = iam_admin_v1.CreateServiceAccountRequest(
        name=f"projects/{PROJECT}", account_id=account.account_id, service_account=made
    )
    google.iam.create_service_account(request=request)
    actual = account.read(google)
    assert actual is not None
    assert not actual.ours
