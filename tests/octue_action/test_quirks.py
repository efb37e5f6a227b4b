"""Each refusal that passes by itself is told from those that do not, and waited for as long as it may take."""

from __future__ import annotations

import itertools
import re

import pytest

from octue_action import quirks
from octue_action.failure import Failure, GoogleError
from octue_action.quirks import NotAsWritten, NotYetThere, Quirk

ALL = {name: it for name, it in vars(quirks).items() if isinstance(it, Quirk)}
ACCOUNT = "Service account a@b.iam.gserviceaccount.com does not exist."
ROLE = "Role projects/p/roles/octue_service_user does not exist in the resource's hierarchy."
AGENT = "Permission denied while using the Eventarc Service Agent. If you recently started to use Eventarc, it may take"
ACT_AS = "Permission 'iam.serviceaccounts.actAs' denied on service account a@b (or it may not exist)."
GET_TOKENS = "Google Cloud Run Service Agent does not have permission to get access tokens for the service account a@b."
SWITCHING = "Another activation or deactivation is in progress for the following service(s): run.googleapis.com."
UNSUPPORTED = "Role projects/p/roles/octue_deployer is not supported for this resource."
PER_MINUTE = "Quota exceeded for quota metric 'M' and limit 'L per minute' of service 's'."
HIDDEN = "Permission 'iam.serviceAccounts.get' denied on resource (or it may not exist)."
RECEIVE = 'Permission "eventarc.events.receiveEvent" denied on "a@b"'
READY = "The project is not ready. Please retry this operation later."
IMPORT = "The service has encountered an error during container import. Please try again later."
READ_IMAGE = "Cloud Run Service Agent must have permission to read the image, i. If you just enabled the Cloud Run API"


def error(status: str, said: str = "no", method: str = "m", *, reason: str = "", ended: bool = False) -> GoogleError:
    return GoogleError(method, status, said, reason, is_of_operation=ended)


OUTAGES = ("UNAVAILABLE", "INTERNAL", "UNKNOWN", "DEADLINE_EXCEEDED", "CANCELLED")

POOL = "Identity Pool does not exist (projects/1/locations/global/workloadIdentityPools/github). Please check that you"


def disabled(api: str) -> GoogleError:
    return GoogleError("m", "PERMISSION_DENIED", "no", "SERVICE_DISABLED", metadata={"service": api})


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
            error("INVALID_ARGUMENT", PER_MINUTE),
            Failure(PER_MINUTE),
        ],
    ),
    "TOKEN_REFUSED": ([error("UNAUTHENTICATED")], [error("PERMISSION_DENIED")]),
    "API_NOT_YET_ON": (
        [disabled("iam.googleapis.com")],
        [disabled("serviceusage.googleapis.com"), error("PERMISSION_DENIED"), Failure("SERVICE_DISABLED")],
    ),
    "POOL_NOT_YET_IN_POLICIES": (
        [error("INVALID_ARGUMENT", POOL)],
        [error("INVALID_ARGUMENT", ACCOUNT), error("NOT_FOUND", POOL)],
    ),
    "ROLE_NOT_YET_IN_POLICIES": (
        [
            error("INVALID_ARGUMENT", ROLE),
            error("INVALID_ARGUMENT", "Role (projects/p/roles/r) does not exist in the resource's hierarchy."),
            error("NOT_FOUND", ROLE),
            error("INVALID_ARGUMENT", UNSUPPORTED),
        ],
        [error("INVALID_ARGUMENT", ACCOUNT), error("INVALID_ARGUMENT", "no"), error("PERMISSION_DENIED", ROLE)],
    ),
    "APIS_ARE_BEING_SWITCHED": (
        [error("FAILED_PRECONDITION", SWITCHING), error("ABORTED", SWITCHING), error("INVALID_ARGUMENT", SWITCHING)],
        [error("FAILED_PRECONDITION", "Billing account is not found."), error("PERMISSION_DENIED", SWITCHING)],
    ),
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
            error("OUT_OF_RANGE", ""),
            error("PERMISSION_DENIED", RECEIVE),
        ],
        [
            error("INVALID_ARGUMENT", "Invalid trigger ID"),
            error("PERMISSION_DENIED", "Permission 'eventarc.triggers.create' denied"),
            error("NOT_FOUND", ""),
            error("PERMISSION_DENIED", ""),
            error("NOT_FOUND", RECEIVE),
        ],
    ),
    "PROJECT_NOT_YET_READY": (
        [error("FAILED_PRECONDITION", READY)],
        [
            error("FAILED_PRECONDITION", "The policy constraints/gcp.resourceLocations forbids it."),
            error("ABORTED", READY),
        ],
    ),
    "CHANGED_MEANWHILE": ([error("ABORTED")], [error("ALREADY_EXISTS"), error("ABORTED", ended=True)]),
    "EXISTS_ALREADY": (
        [error("ALREADY_EXISTS", method="create_topic"), error("ALREADY_EXISTS", method="operation", ended=True)],
        [error("ALREADY_EXISTS", method="update_service"), error("ABORTED", method="create_topic")],
    ),
    "GONE_MEANWHILE": (
        [error("NOT_FOUND", method="update_topic")],
        [
            error("NOT_FOUND", method="create_trigger"),
            error("NOT_FOUND", method="get_update_topic"),
            error("NOT_FOUND", method="patch_service_account"),
            error("PERMISSION_DENIED", method="update_topic"),
        ],
    ),
    "SERVICE_ACCOUNT_HIDES": (
        [
            error("PERMISSION_DENIED", HIDDEN, "get_service_account"),
            error("NOT_FOUND", method="patch_service_account"),
        ],
        [
            error("PERMISSION_DENIED", HIDDEN, "patch_service_account"),
            error("PERMISSION_DENIED", "The caller does not have permission", "get_service_account"),
            error("PERMISSION_DENIED", method="create_service_account"),
            error("NOT_FOUND", method="get_service_account"),
        ],
    ),
    "SERVICE_ACCOUNT_READ_AS_FORBIDDEN": (
        [error("PERMISSION_DENIED", HIDDEN, "get_service_account")],
        [
            error("PERMISSION_DENIED", method="create_service_account"),
            error("NOT_FOUND", HIDDEN, "get_service_account"),
        ],
    ),
    "POLICY_NOT_YET_VISIBLE": (
        [error("NOT_FOUND", method="get_iam_policy"), error("NOT_FOUND", method="set_iam_policy")],
        [error("NOT_FOUND", method="get_service"), error("PERMISSION_DENIED", method="get_iam_policy")],
    ),
    "PART_NOT_YET_VISIBLE": ([NotYetThere("no")], [Failure("no"), NotAsWritten("no"), error("NOT_FOUND")]),
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


def test_a_quirk_can_be_of_one_thing_that_the_refusal_names() -> None:
    quirk = quirks.ROLE_NOT_YET_IN_POLICIES.naming("projects/p/roles/octue_deployer")
    others = [UNSUPPORTED.replace("octue_deployer", other) for other in ("octue_deployer_2", "octue_deployer.2", "x")]

    assert quirk.holds(error("INVALID_ARGUMENT", UNSUPPORTED))
    assert quirk.holds(
        error("INVALID_ARGUMENT", "Role (projects/p/roles/octue_deployer) does not exist in the resource's hierarchy.")
    )
    assert not any(quirk.holds(error("INVALID_ARGUMENT", other)) for other in others)
    assert not quirk.holds(error("PERMISSION_DENIED", UNSUPPORTED))
    assert (quirk.told, quirk.seconds) == (quirks.ROLE_NOT_YET_IN_POLICIES.told, 5 * 60.0)


MINUTE = 60.0
WAITS = {
    "OUTAGE": (1 * MINUTE, None),
    "RATE_LIMITED": (2 * MINUTE, None),
    "TOKEN_REFUSED": (1 * MINUTE, 1),
    "API_NOT_YET_ON": (5 * MINUTE, None),
    "POOL_NOT_YET_IN_POLICIES": (5 * MINUTE, None),
    "ROLE_NOT_YET_IN_POLICIES": (5 * MINUTE, None),
    "APIS_ARE_BEING_SWITCHED": (5 * MINUTE, None),
    "OPERATION_NOT_YET_VISIBLE": (1 * MINUTE, None),
    "SERVICE_ACCOUNT_NOT_YET_IN_POLICIES": (7 * MINUTE, None),
    "SERVICE_ACCOUNT_NOT_YET_USABLE": (7 * MINUTE, None),
    "CLOUD_RUN_AGENT_NOT_READY": (5 * MINUTE, None),
    "EVENTARC_AGENT_NOT_READY": (7 * MINUTE, None),
    "SERVICE_ACCOUNT_NOT_YET_IN_EVENTARC": (7 * MINUTE, None),
    "PROJECT_NOT_YET_READY": (5 * MINUTE, None),
    "CHANGED_MEANWHILE": (5 * MINUTE, None),
    "OUTCOME_UNKNOWN": (2 * MINUTE, None),
    "EXISTS_ALREADY": (7 * MINUTE, None),
    "GONE_MEANWHILE": (1 * MINUTE, None),
    "SERVICE_ACCOUNT_HIDES": (7 * MINUTE, None),
    "SERVICE_ACCOUNT_READ_AS_FORBIDDEN": (0.5 * MINUTE, None),
    "POLICY_NOT_YET_VISIBLE": (1 * MINUTE, None),
    "PART_NOT_YET_VISIBLE": (2 * MINUTE, None),
    "NOT_YET_AS_WRITTEN": (1 * MINUTE, None),
    "CONTAINER_IMPORT_FAILED": (1 * MINUTE, 1),
    "IMAGE_NOT_YET_READABLE": (5 * MINUTE, 3),
}
"""How long each may take, and how often it is tried again at most."""


@pytest.mark.parametrize("name", ALL)
def test_a_quirk_is_waited_for_as_long_and_as_often_as_was_seen_to_be_needed(name: str) -> None:
    assert (ALL[name].seconds, ALL[name].times) == WAITS[name]


OF_KINDS = (
    "POOL_NOT_YET_IN_POLICIES",
    "ROLE_NOT_YET_IN_POLICIES",
    "APIS_ARE_BEING_SWITCHED",
    "SERVICE_ACCOUNT_NOT_YET_IN_POLICIES",
    "SERVICE_ACCOUNT_NOT_YET_USABLE",
    "CLOUD_RUN_AGENT_NOT_READY",
    "EVENTARC_AGENT_NOT_READY",
    "SERVICE_ACCOUNT_NOT_YET_IN_EVENTARC",
    "PROJECT_NOT_YET_READY",
)
"""Which one kind of resource names."""


@pytest.mark.parametrize("name", OF_KINDS)
def test_what_is_not_ready_may_be_said_by_the_call_or_by_the_end_of_its_operation(name: str) -> None:
    for failure in CASES[name][0]:
        assert isinstance(failure, GoogleError)
        failure.is_of_operation = True
        assert ALL[name].holds(failure)
        failure.is_of_operation = False
        assert ALL[name].holds(failure)


@pytest.mark.parametrize("name", ALL)
def test_what_is_waited_for_is_told_in_a_sentence_or_of_a_resource_in_what_goes_behind_its_name(name: str) -> None:
    behind_a_name = ALL[name] in quirks.OF_RESOURCES or name in OF_KINDS
    assert re.fullmatch(r"([A-Z]?[a-z][^.]+[a-z])?" if behind_a_name else r"([A-Z][a-z][^.]+\.)?", ALL[name].told)


@pytest.mark.parametrize("name", ALL)
def test_what_takes_minutes_is_told_unless_it_is_the_business_of_somebody_else(name: str) -> None:
    is_worth_a_line = ALL[name].seconds > 1 * MINUTE or name in {
        "CONTAINER_IMPORT_FAILED",
        "SERVICE_ACCOUNT_READ_AS_FORBIDDEN",
    }
    of_somebody_else = {"CHANGED_MEANWHILE", "SERVICE_ACCOUNT_HIDES"}
    assert bool(ALL[name].told) == (is_worth_a_line and name not in of_somebody_else)


def passed(passing: tuple[Quirk, ...], failure: Failure) -> bool:
    return any(quirk.holds(failure) for quirk in passing)


def test_a_reading_is_repeated_after_an_outage_a_rate_limit_or_a_refused_token() -> None:
    for name in ("OUTAGE", "RATE_LIMITED", "TOKEN_REFUSED"):
        assert all(passed(quirks.OF_READINGS, failure) for failure in CASES[name][0])


def test_a_write_is_repeated_as_it_is_after_a_rate_limit_or_a_refused_token() -> None:
    for name in ("RATE_LIMITED", "TOKEN_REFUSED"):
        assert all(passed(quirks.OF_WRITES, failure) for failure in CASES[name][0])


@pytest.mark.parametrize(
    "name",
    [
        "CHANGED_MEANWHILE",
        "OUTCOME_UNKNOWN",
        "EXISTS_ALREADY",
        "GONE_MEANWHILE",
        "SERVICE_ACCOUNT_HIDES",
        "POLICY_NOT_YET_VISIBLE",
        "PART_NOT_YET_VISIBLE",
        "NOT_YET_AS_WRITTEN",
        "CONTAINER_IMPORT_FAILED",
        "IMAGE_NOT_YET_READABLE",
    ],
)
def test_a_resource_is_looked_at_again_after_what_leaves_open_how_it_is(name: str) -> None:
    assert all(passed(quirks.OF_RESOURCES, failure) for failure in CASES[name][0])


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

    assert 0.25 < most[0] <= 0.5
    assert 14.0 < max(max(pauses) for pauses in drawn) <= 15.0
    assert most[-1] > 10 * most[0]
    assert len({pauses[0] for pauses in drawn}) > 100


def test_a_quirk_that_is_tried_a_few_times_only_has_as_many_pauses() -> None:
    assert len(list(quirks.TOKEN_REFUSED.pauses())) == 1
    assert len(list(quirks.IMAGE_NOT_YET_READABLE.pauses())) == 3
    assert len(list(itertools.islice(quirks.OUTAGE.pauses(), 100))) == 100


def test_what_takes_minutes_to_pass_is_given_time_before_each_try() -> None:
    pauses = [pause for _ in range(50) for pause in quirks.IMAGE_NOT_YET_READABLE.pauses()]
    assert all(pause == quirks.IMAGE_NOT_YET_READABLE.least == 30.0 for pause in pauses)
    assert quirks.OUTAGE.least == 0.0


@pytest.mark.parametrize("name", ALL)
def test_no_quirk_is_waited_for_longer_than_seven_minutes(name: str) -> None:
    assert 0 < ALL[name].seconds <= 7 * 60
