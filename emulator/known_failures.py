"""The failures that Google Cloud is known for, as data, and how the emulator comes to show each of them.

``known_failures.json`` says of each where it is known from, and how well.
"""

from __future__ import annotations

import enum
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import grpc
from google.cloud import run_v2
from google.cloud.devtools import cloudbuild_v1
from google.longrunning import operations_pb2
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from emulator.errors import ApiError, BadGateway, not_found
from emulator.faults import Fault
from emulator.services.sts import TokenError

_FILE = Path(__file__).parent / "known_failures.json"
_SERVICE = "google.cloud.run.v2.Services/GetService"
_TAGS = "google.devtools.artifactregistry.v1.ArtifactRegistry/GetTag"

PLACES: Mapping[str, str] = MappingProxyType(
    {
        "project_id": "my-project",
        "project_number": "123456789012",
        "region": "europe-west1",
        "account": "my-org-sum@my-project.iam.gserviceaccount.com",
        "service": "my-org-sum",
        "topic": "octue.services.eff94507-e5be-59f4-8087-33a6e99f1484",
        "image": "europe-west1-docker.pkg.dev/my-project/my-org-sum/my-org-sum:0123456789ab",
        "repository": "projects/my-project/locations/us-central1/connections/github/repositories/my-org-sum-service",
        "issuer": "https://github.example.com/_services/token",
        "api": "pubsub.googleapis.com",
        "metric": "Administrator operations",
    }
)
"""What the texts name where nobody says otherwise."""


class Sort(enum.StrEnum):
    """By what a failure shows."""

    REFUSAL = "refusal"
    """A call is refused."""

    SIGN_IN = "sign_in"
    """The exchange of a token is refused, in a form of its own."""

    PAGE = "page"
    """A proxy answers instead."""

    CONNECTION = "connection"
    """There is no answer."""

    OPERATION = "operation"
    """What was begun ends badly; the call that began it was answered."""

    BUILD = "build"
    """A build is not successful; every call is answered."""


@dataclass(frozen=True, kw_only=True)
class KnownFailure:
    """One known failure.

    :param id: short name.
    :param sort: by what it shows.
    :param methods: patterns of the methods, as the log of requests has them; one fault for each.
    :param status: the canonical code's name; of a sign-in its own code, of a build its status.
    :param message: Google's text, with ``{places}``; see ``PLACES``.
    :param details: of the answer, in JSON: a list is what gRPC carries, too, an object is of HTTP alone.
    :param kind: whether it passes by itself.
    :param source: where it is known from.
    :param evidence: how well it is known, and what of it is guessed.
    """

    id: str
    sort: Sort
    methods: tuple[str, ...]
    status: str
    message: str
    details: Any
    kind: str
    source: str
    evidence: str

    def text(self, **places: str) -> str:
        """Google's text.

        :param places: what it names, beside ``PLACES``.
        """
        return _filled(self.message, places)

    def error(self, **places: str) -> ApiError:
        """What a call is refused with.

        :param places: what the text names, beside ``PLACES``.
        :raises ValueError: where no call is.
        """
        if self.sort is Sort.SIGN_IN:
            return TokenError(self.status, self.text(**places))
        if self.sort is Sort.PAGE:
            return BadGateway()
        if self.sort in {Sort.BUILD, Sort.CONNECTION}:
            raise ValueError(f"{self.id} is no error that is answered")
        return ApiError(grpc.StatusCode[self.status], self.text(**places), *self._details(places))

    def faults(self, *, times: int | None = 1, skip: int = 0, **places: str) -> tuple[Fault, ...]:
        """What makes the emulator show it.

        :param times: how many calls of each method it hits; None for all.
        :param skip: how many calls of each method pass first.
        :param places: what the text names, beside ``PLACES``.
        """
        when = functools.partial(Fault, times=times, skip=skip)
        if self.sort is Sort.CONNECTION:
            return tuple(when(method=method, reset=True) for method in self.methods)
        if self.sort is Sort.OPERATION:
            rollouts = _Rollouts(self.error(**places), (self.details or {}).get("reason", ""))
            reading = Fault(method=_SERVICE, change=rollouts.show, times=None)
            return (*(when(method=method, change=rollouts.end) for method in self.methods), reading)
        if self.sort is Sort.BUILD:
            # What the build made in truth does not show, or it would be an image in spite of the failure.
            hidden = Fault(method=_TAGS, error=not_found("Requested entity was not found."), times=None)
            return (*(when(method=method, change=self._ended) for method in self.methods), hidden)
        return tuple(when(method=method, error=self.error(**places)) for method in self.methods)

    def _details(self, places: Mapping[str, str]) -> tuple[Message, ...]:
        if not isinstance(self.details, list):
            return ()
        return tuple(_detail(json.loads(_filled(json.dumps(detail), places))) for detail in self.details)

    def _ended(self, build: cloudbuild_v1.Build) -> cloudbuild_v1.Build:
        build.status = getattr(cloudbuild_v1.Build.Status, self.status)
        if self.details:
            build.failure_info = cloudbuild_v1.Build.FailureInfo(type_=self.details["failureInfo"]["type"])
        return build


class _Rollouts:
    """Has operations of Cloud Run end as those do whose revision is not ready, and their services say so.

    :param error: with which an operation ends.
    :param reason: name of the condition's reason; none where empty.
    """

    def __init__(self, error: ApiError, reason: str) -> None:
        self._error = error
        self._condition = run_v2.Condition(
            type_="Ready", state=run_v2.Condition.State.CONDITION_FAILED, message=error.message
        )
        if reason in run_v2.Condition.CommonReason.__members__:
            self._condition.reason = getattr(run_v2.Condition.CommonReason, reason)
        elif reason:
            self._condition.revision_reason = getattr(run_v2.Condition.RevisionReason, reason)
        self._failed: set[tuple[str, int]] = set()

    def end(self, operation: operations_pb2.Operation) -> operations_pb2.Operation:
        """An operation that ends badly; one of another API goes on."""
        service = run_v2.Service.pb(run_v2.Service())
        if operation.metadata.Unpack(service):
            self._failed.add((service.name, service.generation))
            operation.done = True
            operation.error.CopyFrom(self._error.status())
        return operation

    def show(self, service: run_v2.Service) -> run_v2.Service:
        """A service that is not ready until it is changed again."""
        if (service.name, service.generation) in self._failed and not service.reconciling:
            service.terminal_condition = self._condition
        return service


def _filled(text: str, places: Mapping[str, str]) -> str:
    """The text with its places filled; braces of JSON stay, since no place is called so."""
    for name, value in {**PLACES, **places}.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _detail(content: dict[str, Any]) -> Message:
    known = {f"type.googleapis.com/{kind.DESCRIPTOR.full_name}": kind for kind in _KINDS}
    fields = {name: value for name, value in content.items() if name != "@type"}
    detail: Message = json_format.ParseDict(fields, known[content["@type"]]())
    return detail


_KINDS = (error_details_pb2.ErrorInfo, error_details_pb2.LocalizedMessage, error_details_pb2.RequestInfo)


def _known(content: dict[str, Any]) -> KnownFailure:
    return KnownFailure(**{**content, "sort": Sort(content["sort"]), "methods": tuple(content["methods"])})


FAILURES: Mapping[str, KnownFailure] = MappingProxyType(
    {known.id: known for known in map(_known, json.loads(_FILE.read_text())["failures"])}
)
"""All known failures by id."""
