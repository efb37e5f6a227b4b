"""Every refusal that passes by itself, one by one: how it is told from others, who says that it passes, and how long.

What is not here is taken for permanent, and fails at once.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeGuard

from google.api_core import retry

from octue_action.failure import Failure, GoogleError

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
"""Seconds between two tries at most. What is taken is drawn at random, below a limit that grows from the first on."""


@dataclass(frozen=True)
class Quirk:
    """A refusal that is known to pass by itself.

    :param told: what is waited for, for the log; empty where it is not worth a line.
    :param holds: whether a failure is this one.
    :param seconds: how long it is waited for, from the first one on.
    :param times: how often it is tried again at most; None for as often as there is time.
    :param least: how many seconds every pause takes at least.
    """

    told: str
    holds: Callable[[Failure], bool]
    seconds: float
    times: int | None = None
    least: float = 0.0

    def naming(self, name: str) -> Quirk:
        """The same, where the refusal names this very thing, and not another one that is none of ours."""
        return replace(self, holds=lambda failure: self.holds(failure) and names(failure, name))

    def pauses(self) -> Iterator[float]:
        """How many seconds to wait before each further try."""
        drawn = retry.exponential_sleep_generator(FIRST_PAUSE, LONGEST_PAUSE)
        return itertools.islice((max(self.least, pause) for pause in drawn), self.times)


def names(failure: Failure, name: str) -> bool:
    """Whether a failure is told of this very thing, and not of one that is called like a part of it, or more."""
    return re.search(rf"(?<![\w.@-]){re.escape(name)}(?![\w.@-]*\w)", failure.message) is not None


class NotAsWritten(Failure):
    """Something was written, and reads other than it was written."""


class NotYetThere(Failure):
    """Something that Google Cloud makes by itself beside what was made, and that is not there."""


_LONGEST_TEXT = 10_000
"""Characters of Google's words in which something is looked for."""


def _is(
    *statuses: str, reason: str = "", method: str = "", says: str = "", of_operation: bool | None = False
) -> Callable[[Failure], bool]:
    """A predicate for Google's refusals.

    :param statuses: one of these canonical codes; any where none is given.
    :param reason: pattern of how ``ErrorInfo.reason`` begins.
    :param method: pattern of how the client's method begins.
    :param says: pattern of something in the message, in small letters.
    :param of_operation: whether it is the end of an operation, and not the refusal of a call; None for either.
    """
    reasons, methods, texts = re.compile(reason), re.compile(method), re.compile(says)
    return lambda failure: (
        isinstance(failure, GoogleError)
        and (not statuses or failure.status in statuses)
        and of_operation in {None, failure.is_of_operation}
        and reasons.match(failure.reason) is not None
        and methods.match(failure.method) is not None
        and texts.search(failure.said[:_LONGEST_TEXT].lower()) is not None
    )


def _any(*predicates: Callable[[Failure], bool]) -> Callable[[Failure], bool]:
    return lambda failure: any(predicate(failure) for predicate in predicates)


def _is_disabled(failure: Failure) -> TypeGuard[GoogleError]:
    return isinstance(failure, GoogleError) and failure.reason == "SERVICE_DISABLED"


BAD_REQUEST = ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE")
"""What is 400 over HTTP, which is all that some reports say."""

# Of single calls

OUTAGE = Quirk("", _is("UNAVAILABLE", "INTERNAL", "UNKNOWN", "DEADLINE_EXCEEDED", "CANCELLED"), 60.0)
"""For readings: 503, 500, 504, lost connections, and what gRPC makes of a proxy's page.

Source: hashicorp/terraform-provider-google, error_retry_predicates.go, isCommonRetryableErrorCode,
isConnectionResetNetworkError and isIoEOFError.
"""

RATE_LIMITED = Quirk(
    "Waiting, as Google Cloud allows this project no more requests at the moment.",
    _any(
        _is("RESOURCE_EXHAUSTED", reason="RATE_LIMIT_EXCEEDED$"),
        _is("PERMISSION_DENIED", says=r"quota exceeded for quota metric '.*' and limit '.* per minute'"),
    ),
    2 * 60.0,
)
"""A rate that was exceeded, and never a limit on how many of a thing may exist; nothing was done.

Source: hashicorp/terraform-provider-google, error_retry_predicates.go, Is429RetryableQuotaError and
is403QuotaExceededPerMinuteError.
"""

TOKEN_REFUSED = Quirk("", _is("UNAUTHENTICATED"), 60.0, times=1)
"""A token that ended, or was withdrawn, on its way: a new one is asked for; nothing was done."""

API_NOT_YET_ON = Quirk(
    "Waiting until the APIs that were switched on a moment ago can be used.",
    lambda failure: _is_disabled(failure) and failure.metadata.get("service") != "serviceusage.googleapis.com",
    5 * 60.0,
)
"""Only for who has switched the API on, or has seen that it is on; the one that switches others on is not waited for.

Source: the refusal itself, which says to wait a few minutes where the API was enabled recently.
"""

OPERATION_NOT_YET_VISIBLE = Quirk("", _is("NOT_FOUND", method="(get|wait)_operation"), 60.0)
"""An operation that was begun a moment ago.

Source: hashicorp/terraform-provider-google, common_operation.go, CommonRefreshFunc.
"""

_is_forbidden = _is("PERMISSION_DENIED", method="get_service_account", says="may not exist")

SERVICE_ACCOUNT_READ_AS_FORBIDDEN = Quirk("Waiting until Google Cloud shows the service account.", _is_forbidden, 30.0)
"""For readings: an account that was made a moment ago, by a run that was killed, reads as one that may not be read.

Source: as for SERVICE_ACCOUNT_HIDES.
"""

# Of a resource that is to be made what it should be: it is read and compared again before anything is written again.
# What is told of these stands behind the resource's name.

CHANGED_MEANWHILE = Quirk("", _is("ABORTED"), 5 * 60.0)
"""Somebody else changed the same thing, or the same policy, between our reading and our writing.

Sources: DataBiosphere/leonardo#737 for policies; Cloud Run's audit logs for services.
"""

OUTCOME_UNKNOWN = Quirk("an answer was lost; looking what became of it", OUTAGE.holds, 2 * 60.0)
"""A write of which nobody knows whether it was done."""

EXISTS_ALREADY = Quirk(
    "it exists already; reading it",
    _is("ALREADY_EXISTS", method="create_|operation", of_operation=None),
    7 * 60.0,
)
"""What could not be read, and yet is there: a new account shows and hides in turns, an absent topic is remembered as
absent, a repository or trigger that is being made does not show, a service that is being deleted still holds its name.

Sources: GoogleCloudPlatform/k8s-config-connector, the recording of composerenvironmentbasic; magic-modules, Topic.yaml;
hashicorp/terraform-provider-google, IsCloudRunCreationConflict.
"""

GONE_MEANWHILE = Quirk("", _is("NOT_FOUND", method="update_"), 60.0)
"""What was read a moment ago, and somebody has deleted since: it is made anew."""

SERVICE_ACCOUNT_HIDES = Quirk("", _any(_is_forbidden, _is("NOT_FOUND", method="patch_service_account")), 7 * 60.0)
"""A new account, which shows and hides in turns; the plan was allowed to read it.

Source: hashicorp/terraform-provider-google, IsForbiddenIamServiceAccountRetryableError.
"""

POLICY_NOT_YET_VISIBLE = Quirk("", _is("NOT_FOUND", method="(get|set)_iam_policy"), 60.0)
"""That of a service which was made a moment ago."""

PART_NOT_YET_VISIBLE = Quirk("waiting until it shows", lambda failure: isinstance(failure, NotYetThere), 2 * 60.0)
"""The subscription of a trigger which was made a moment ago, by this run or another one."""

NOT_YET_AS_WRITTEN = Quirk("", lambda failure: isinstance(failure, NotAsWritten), 60.0)
"""A reading that is older than our writing: it is read again, and not written again."""

CONTAINER_IMPORT_FAILED = Quirk(
    "Cloud Run could not import the image; trying once more",
    _is(says="error during container import", of_operation=True),
    60.0,
    times=1,
)
"""Source: Cloud Run's troubleshooting page, which says to try again."""

IMAGE_NOT_YET_READABLE = Quirk(
    "waiting until Cloud Run may read the image",
    _is(says="must have permission to read the image", of_operation=True),
    5 * 60.0,
    times=3,
    least=30.0,
)
"""Where Cloud Run was enabled a moment ago. Source: Cloud Run's troubleshooting page."""

# Of one kind of resource, which names them in ``passing``

SERVICE_ACCOUNT_NOT_YET_IN_POLICIES = Quirk(
    "waiting until policies accept the new service account",
    _is("INVALID_ARGUMENT", says=r"service account .* does not exist", of_operation=None),
    7 * 60.0,
)
"""A policy names an account that was made a moment ago; a role that does not exist is refused in like words, for ever.

Source: hashicorp/terraform-provider-google, IamServiceAccountNotFound.
"""

POOL_NOT_YET_IN_POLICIES = Quirk(
    "waiting until policies accept the new workload identity pool",
    _is("INVALID_ARGUMENT", says="identity pool does not exist", of_operation=None),
    5 * 60.0,
)
"""A policy names identities of a pool that was made a moment ago.

Source: googleforgames/global-multiplayer-demo#39.
"""

ROLE_NOT_YET_IN_POLICIES = Quirk(
    "waiting until policies accept the new role",
    _is(
        *BAD_REQUEST,
        "NOT_FOUND",
        says=r"role .*(does not exist in the resource's hierarchy|is not supported for this resource)",
        of_operation=None,
    ),
    5 * 60.0,
)
"""A policy names a role that was made a moment ago: only for who has made it, or has seen that it is there.

Source: none of Google's; who grants roles as soon as they are made, reports 12 to 60 seconds.
"""

APIS_ARE_BEING_SWITCHED = Quirk(
    "waiting until Google Cloud has switched the project's other APIs",
    _is(*BAD_REQUEST, "ABORTED", says="another activation or deactivation is in progress", of_operation=None),
    5 * 60.0,
)
"""APIs that bring others with them are switched on together here, and somebody else may switch some, too.

Source: hashicorp/terraform-provider-google, error_retry_predicates.go, ServiceUsageServiceBeingActivated.
"""

SERVICE_ACCOUNT_NOT_YET_USABLE = Quirk(
    "waiting until Cloud Run sees the new service account",
    _is("PERMISSION_DENIED", says=r"iam\.serviceaccounts\.actas", of_operation=None),
    7 * 60.0,
)
"""Cloud Run does not see an account, or the right to act as it, that was made a moment ago: wait only after making one.

Source: google/keyword_factory#22.
"""

CLOUD_RUN_AGENT_NOT_READY = Quirk(
    "waiting until Cloud Run is ready in this project; the first time it takes some minutes",
    _is("PERMISSION_DENIED", says="does not have permission to get access tokens", of_operation=None),
    5 * 60.0,
)
"""Cloud Run's own account in a project where it was enabled a moment ago.

Source: GoogleCloudPlatform/terraform-google-cloud-run#28.
"""

EVENTARC_AGENT_NOT_READY = Quirk(
    "waiting until Eventarc is ready in this project; the first time it takes some minutes",
    _is(*BAD_REQUEST, says="permission denied while using the eventarc service agent", of_operation=None),
    7 * 60.0,
)
"""The first trigger of a project.

Source: GoogleCloudPlatform/terraform-docs-samples#203.
"""

SERVICE_ACCOUNT_NOT_YET_IN_EVENTARC = Quirk(
    "waiting until Eventarc sees the new service account",
    _any(
        _is(*BAD_REQUEST, "NOT_FOUND", says=r"service account .* does not exist", of_operation=None),
        _is(*BAD_REQUEST, says="^$", of_operation=None),
        _is("PERMISSION_DENIED", says=r"eventarc\.events\.receiveevent", of_operation=None),
    ),
    7 * 60.0,
)
"""A trigger for an account that was made, or given a role, a moment ago: wait only after making one.

Sources: GoogleCloudPlatform/k8s-config-connector, a recording with four times 400 whose bodies are left out;
GoogleCloudPlatform/eventarc-samples#94.
"""

PROJECT_NOT_YET_READY = Quirk(
    "waiting until Pub/Sub is ready in this project",
    _is(*BAD_REQUEST, says="retry this operation", of_operation=None),
    5 * 60.0,
)
"""A topic in a new project, whose organisation's policy Pub/Sub does not know yet.

Source: hashicorp/terraform-provider-google, PubsubTopicProjectNotReady.
"""

OF_READINGS = (OUTAGE, RATE_LIMITED, TOKEN_REFUSED)
OF_WRITES = (RATE_LIMITED, TOKEN_REFUSED)
OF_RESOURCES = (
    CHANGED_MEANWHILE,
    OUTCOME_UNKNOWN,
    EXISTS_ALREADY,
    GONE_MEANWHILE,
    SERVICE_ACCOUNT_HIDES,
    POLICY_NOT_YET_VISIBLE,
    PART_NOT_YET_VISIBLE,
    NOT_YET_AS_WRITTEN,
    CONTAINER_IMPORT_FAILED,
    IMAGE_NOT_YET_READABLE,
)
