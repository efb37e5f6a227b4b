"""Each refusal that passes by itself is told from those that do not, and waited for as long as it may take."""

from __future__ import annotations

import itertools

import pytest

from octue_action import quirks
from octue_action.failure import Failure, GoogleError
from octue_action.quirks import NotAsWritten, Quirk

ALL = {name: it for name, it in vars(quirks).items() if isinstance(it, Quirk)}
ACCOUNT = "Service account a@b.iam.gserviceaccount.com does not exist."
ROLE = "Role projects/p/roles/octue_service_user does not exist in the resource's hierarchy."
AGENT = "Permission denied while using the Eventarc Service Agent. If you recently started to use Eventarc, it may take"
ACT_AS = "Permission 'iam.serviceaccounts.actAs' denied on service account a@b (or it may not exist)."
GET_TOKENS = "Google Cloud Run Service Agent does not have permission to get access tokens for the service account a@b."
PER_MINUTE = "Quota exceeded for quota metric 'M' and limit 'L per minute' of service 's'."
RECEIVE = 'Permission "eventarc.events.receiveEvent" denied on "a@b"'
IMPORT = "The service has encountered an error during container import. Please try again later."
READ_IMAGE = "Cloud Run Service Agent must have permission to read the image, i. If you just enabled the Cloud Run API"


def error(status: str, said: str = "no", method: str = "m", *, reason: str = "", ended: bool = False) -> GoogleError:
    return GoogleError(method, status, said, reason, is_of_operation=ended)


OUTAGES = ("UNAVAILABLE", "INTERNAL", "UNKNOWN", "DEADLINE_EXCEEDED", "CANCELLED")

CASES: dict[str, tuple[list[Failure], list[Failure]]] = {
    "OUTAGE": (
        [error(status) for status in OUTAGES],
        [Failure("no"), error("INTERNAL", ended=True), error("ABORTED"), error("NOT_FOUND"), error("DATA_LOSS")],
    ),
    "OUTCOME_UNKNOWN": (
        [error(status) for status in OUTAGES],
        [error("UNAVAILABLE", ended=True), error("RESOURCE_EXHAUSTED"), error("PERMISSION_DENIED")],
    ),
    "RATE_LIMITED": (
        [error("RESOURCE_EXHAUSTED", reason="RATE_LIMIT_EXCEEDED"), error("PERMISSION_DENIED", PER_MINUTE)],
        [
            error("RESOURCE_EXHAUSTED"),
            error("RESOURCE_EXHAUSTED", reason="RESOURCE_QUOTA_EXCEEDED"),
            error("UNAVAILABLE", reason="RATE_LIMIT_EXCEEDED"),
            error("PERMISSION_DENIED", "Quota exceeded for quota metric 'M' and limit 'L per day' of service 's'."),
            error("PERMISSION_DENIED"),
            Failure(PER_MINUTE),
        ],
    ),
    "TOKEN_REFUSED": ([error("UNAUTHENTICATED")], [error("PERMISSION_DENIED")]),
    "OPERATION_NOT_YET_VISIBLE": (
        [error("NOT_FOUND", method="get_operation"), error("NOT_FOUND", method="wait_operation")],
        [error("NOT_FOUND", method="get_topic"), error("ABORTED", method="get_operation")],
    ),
    "SERVICE_ACCOUNT_NOT_YET_IN_POLICIES": (
        [error("INVALID_ARGUMENT", ACCOUNT)],
        [error("INVALID_ARGUMENT", "Invalid member: x."), error("INVALID_ARGUMENT", ROLE), error("NOT_FOUND", ACCOUNT)],
    ),
    "SERVICE_ACCOUNT_NOT_YET_USABLE": (
        [error("PERMISSION_DENIED", ACT_AS)],
        [error("PERMISSION_DENIED", "Permission 'run.services.create' denied"), error("INVALID_ARGUMENT", ACT_AS)],
    ),
    "CLOUD_RUN_AGENT_NOT_READY": (
        [error("PERMISSION_DENIED", GET_TOKENS)],
        [error("PERMISSION_DENIED", ACT_AS), error("NOT_FOUND", GET_TOKENS)],
    ),
    "EVENTARC_AGENT_NOT_READY": (
        [error("FAILED_PRECONDITION", f'Invalid resource state for "": {AGENT}'), error("INVALID_ARGUMENT", AGENT)],
        [error("INVALID_ARGUMENT", "Invalid trigger ID"), error("PERMISSION_DENIED", AGENT)],
    ),
    "SERVICE_ACCOUNT_NOT_YET_IN_EVENTARC": (
        [
            error("INVALID_ARGUMENT", ACCOUNT),
            error("NOT_FOUND", ACCOUNT),
            error("FAILED_PRECONDITION", ""),
            error("PERMISSION_DENIED", RECEIVE),
        ],
        [
            error("INVALID_ARGUMENT", "Invalid trigger ID"),
            error("PERMISSION_DENIED", "Permission 'eventarc.triggers.create' denied"),
            error("NOT_FOUND", ""),
            error("PERMISSION_DENIED", ""),
        ],
    ),
    "PROJECT_NOT_YET_READY": (
        [error("FAILED_PRECONDITION", "The project is not ready. Please retry this operation later.")],
        [error("FAILED_PRECONDITION", "The policy constraints/gcp.resourceLocations forbids it."), error("ABORTED")],
    ),
    "CHANGED_MEANWHILE": ([error("ABORTED")], [error("ALREADY_EXISTS"), error("ABORTED", ended=True)]),
    "EXISTS_ALREADY": (
        [error("ALREADY_EXISTS", method="create_topic"), error("ALREADY_EXISTS", ended=True)],
        [error("ALREADY_EXISTS", method="update_service"), error("ABORTED", method="create_topic")],
    ),
    "GONE_MEANWHILE": (
        [error("NOT_FOUND", method="update_topic"), error("NOT_FOUND", method="patch_service_account")],
        [error("NOT_FOUND", method="create_trigger"), error("NOT_FOUND", method="get_update_topic")],
    ),
    "SERVICE_ACCOUNT_READ_AS_FORBIDDEN": (
        [error("PERMISSION_DENIED", method="get_service_account")],
        [error("PERMISSION_DENIED", method="create_service_account"), error("NOT_FOUND", method="get_service_account")],
    ),
    "NOT_YET_AS_WRITTEN": ([NotAsWritten("no")], [Failure("no"), error("ABORTED")]),
    "CONTAINER_IMPORT_FAILED": (
        [error("INTERNAL", IMPORT, ended=True)],
        [error("INTERNAL", IMPORT), error("INTERNAL", READ_IMAGE, ended=True)],
    ),
    "IMAGE_NOT_YET_READABLE": (
        [error("FAILED_PRECONDITION", READ_IMAGE, ended=True)],
        [error("FAILED_PRECONDITION", READ_IMAGE), error("FAILED_PRECONDITION", IMPORT, ended=True)],
    ),
}


def test_every_quirk_is_in_these_tests() -> None:
    assert CASES.keys() == ALL.keys()


@pytest.mark.parametrize("name", ALL)
def test_a_quirk_is_that_refusal_and_no_other(name: str) -> None:
    these, others = CASES[name]
    assert [ALL[name].holds(failure) for failure in these] == [True] * len(these)
    assert [ALL[name].holds(failure) for failure in others] == [False] * len(others)


@pytest.mark.parametrize("passing", [quirks.OF_READINGS, quirks.OF_WRITES, quirks.OF_RESOURCES])
def test_a_missing_permission_or_a_wrong_value_never_passes(passing: tuple[Quirk, ...]) -> None:
    permanent = [
        error("PERMISSION_DENIED", method="create_service"),
        error("INVALID_ARGUMENT"),
        error("FAILED_PRECONDITION"),
        error("NOT_FOUND", method="create_trigger"),
        error("UNIMPLEMENTED"),
        error("RESOURCE_EXHAUSTED"),
        error("INTERNAL", ended=True),
    ]
    assert not any(quirk.holds(failure) for quirk in passing for failure in permanent)


def test_a_write_is_repeated_as_it_is_only_where_nothing_was_done() -> None:
    assert not any(quirk.holds(error(status)) for quirk in quirks.OF_WRITES for status in OUTAGES)


def test_pauses_grow_and_are_drawn_at_random_below_their_limit() -> None:
    drawn = [list(itertools.islice(quirks.OUTAGE.pauses(), 12)) for _ in range(200)]
    most = [max(pauses) for pauses in zip(*drawn, strict=True)]

    assert most[0] <= quirks.OUTAGE.first
    assert all(pause <= quirks.LONGEST_PAUSE for pauses in drawn for pause in pauses)
    assert most[-1] > 10 * most[0]
    assert len({pauses[0] for pauses in drawn}) > 100


def test_a_quirk_that_is_tried_a_few_times_only_has_as_many_pauses() -> None:
    assert len(list(quirks.TOKEN_REFUSED.pauses())) == 1
    assert len(list(quirks.NOT_YET_AS_WRITTEN.pauses())) == 3
    assert len(list(itertools.islice(quirks.OUTAGE.pauses(), 100))) == 100


def test_the_image_is_given_more_time_than_a_reading() -> None:
    first = [next(quirks.IMAGE_NOT_YET_READABLE.pauses()) for _ in range(100)]
    assert quirks.LONGEST_PAUSE < max(first) <= quirks.IMAGE_NOT_YET_READABLE.first


@pytest.mark.parametrize("name", ALL)
def test_no_quirk_is_waited_for_longer_than_seven_minutes(name: str) -> None:
    assert 0 < ALL[name].seconds <= 7 * 60
