"""Workload identity pools and their providers: whose tokens the project accepts.

Reference and limits: https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools and
.providers below it. What is deleted can be taken back for 30 days, and its id is not free until then.
"""

from __future__ import annotations

import datetime
import re
import secrets
import threading
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import celpy
from celpy.celparser import CELParseError
from google.longrunning import operations_pb2

from emulator import messages
from emulator.errors import (
    already_exists,
    failed_precondition,
    invalid_argument,
    not_found,
    permission_denied,
    permission_error,
)
from emulator.operations import raw
from emulator.rpc import Call
from emulator.services import github

if TYPE_CHECKING:
    from emulator.world import World

ACTIVE, DELETED = messages.State.ACTIVE, messages.State.DELETED

_ID = re.compile(r"(?!gcp-)[a-z0-9-]{4,32}")
_NAME = re.compile(r"projects/(?P<project>[^/]+)/locations/global(/workloadIdentityPools/[^/]+(/providers/[^/]+)?)?")
_ATTRIBUTE = re.compile(r"google\.subject|google\.groups|attribute\.[a-z0-9_]{1,100}")
_REFERENCE = re.compile(r"\bassertion\b|\b(?:google|attribute)\.\w+")
_OUTPUT_ONLY = {"name", "state", "expire_time"}
_KEPT_FOR = datetime.timedelta(days=30)
_LONGEST_NAME = 32
_LONGEST_DESCRIPTION = 256
_MOST_ATTRIBUTES = 50
_LONGEST_EXPRESSION = 2048
_LONGEST_CONDITION = 4096
_MOST_AUDIENCES = 10
_LONGEST_AUDIENCE = 256
_LARGEST_PAGE = {"pools": 1000, "providers": 100}

# Everybody on GitHub has tokens of this issuer, so a condition must tell them apart
# (cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines#conditions).
_ISSUERS_FOR_ALL = {github.ISSUER}


class WorkloadIdentity:
    """``google.iam.v1.WorkloadIdentityPools``, which is called over HTTP alone; begins with none.

    :param world: the local cloud.
    """

    SERVICES: ClassVar[tuple[str, ...]] = ("google.iam.v1.WorkloadIdentityPools",)

    def __init__(self, world: World) -> None:
        self._world = world
        self._things: dict[str, Any] = {}
        self._being_made: set[str] = set()
        self._lock = threading.RLock()

    # What others ask

    def add(self, name: str, thing: Any) -> Any:
        """Put a pool or a provider there, in place of one of the same name.

        :param name: full resource name, with the project's number.
        :param thing: what it is like.
        :raises ApiError: INVALID_ARGUMENT where it cannot be like that.
        """
        _check(thing)
        return self.seed(name, thing)

    def seed(self, name: str, thing: Any) -> Any:
        """The same, unchecked."""
        added = type(thing)(thing)
        added.name, added.state = name, ACTIVE
        with self._lock:
            self._things[name] = added
            self._being_made.discard(name)
            return type(added)(added)

    def provider(self, name: str) -> Any | None:
        """A provider whose tokens are accepted now: neither it nor its pool is deleted or disabled."""
        with self._lock:
            found = [self._things.get(each) for each in (name.partition("/providers/")[0], name)]
            if any(thing is None or thing.state != ACTIVE or thing.disabled for thing in found):
                return None
            return messages.WorkloadIdentityPoolProvider(found[-1])

    # Pools

    def create_workload_identity_pool(
        self, request: messages.CreatePoolRequest, call: Call
    ) -> operations_pb2.Operation:
        """Make a pool."""
        parent = self._name(request.parent)
        return self._create(
            parent, "workloadIdentityPools", request.workload_identity_pool_id, request.workload_identity_pool
        )

    def get_workload_identity_pool(self, request: messages.GetRequest, call: Call) -> messages.WorkloadIdentityPool:
        """A pool, also one that is deleted."""
        found: messages.WorkloadIdentityPool = self._find(request.name)
        return found

    def list_workload_identity_pools(self, request: messages.ListRequest, call: Call) -> messages.ListPoolsResponse:
        """The pools of the project."""
        found, token = self._list(request, "workloadIdentityPools", _LARGEST_PAGE["pools"])
        return messages.ListPoolsResponse(workload_identity_pools=found, next_page_token=token)

    def update_workload_identity_pool(
        self, request: messages.UpdatePoolRequest, call: Call
    ) -> operations_pb2.Operation:
        """Change the fields of a pool that the mask names."""
        return self._update(request.workload_identity_pool, messages.UpdatePoolRequest.pb(request).update_mask)

    def delete_workload_identity_pool(self, request: messages.GetRequest, call: Call) -> operations_pb2.Operation:
        """Delete a pool; none of its providers works then."""
        return self._mark(request.name, ACTIVE, DELETED)

    def undelete_workload_identity_pool(self, request: messages.GetRequest, call: Call) -> operations_pb2.Operation:
        """Take a pool back."""
        return self._mark(request.name, DELETED, ACTIVE)

    # Providers

    def create_workload_identity_pool_provider(
        self, request: messages.CreateProviderRequest, call: Call
    ) -> operations_pb2.Operation:
        """Make a provider."""
        if self._find(request.parent).state != ACTIVE:
            raise failed_precondition(f"The pool {request.parent} is deleted.")
        return self._create(
            self._name(request.parent),
            "providers",
            request.workload_identity_pool_provider_id,
            request.workload_identity_pool_provider,
        )

    def get_workload_identity_pool_provider(
        self, request: messages.GetRequest, call: Call
    ) -> messages.WorkloadIdentityPoolProvider:
        """A provider, also one that is deleted."""
        found: messages.WorkloadIdentityPoolProvider = self._find(request.name)
        return found

    def list_workload_identity_pool_providers(
        self, request: messages.ListRequest, call: Call
    ) -> messages.ListProvidersResponse:
        """The providers of a pool."""
        self._find(request.parent)
        found, token = self._list(request, "providers", _LARGEST_PAGE["providers"])
        return messages.ListProvidersResponse(workload_identity_pool_providers=found, next_page_token=token)

    def update_workload_identity_pool_provider(
        self, request: messages.UpdateProviderRequest, call: Call
    ) -> operations_pb2.Operation:
        """Change the fields of a provider that the mask names."""
        mask = messages.UpdateProviderRequest.pb(request).update_mask
        return self._update(request.workload_identity_pool_provider, mask)

    def delete_workload_identity_pool_provider(
        self, request: messages.GetRequest, call: Call
    ) -> operations_pb2.Operation:
        """Delete a provider."""
        return self._mark(request.name, ACTIVE, DELETED)

    def undelete_workload_identity_pool_provider(
        self, request: messages.GetRequest, call: Call
    ) -> operations_pb2.Operation:
        """Take a provider back."""
        return self._mark(request.name, DELETED, ACTIVE)

    # Parts

    def _name(self, name: str) -> str:
        """A name as Google writes it: with the project's number."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise invalid_argument("Request contains an invalid argument.")
        settings = self._world.settings
        if match["project"] not in {settings.project_id, settings.project_number}:
            raise permission_denied(*permission_error("iam.workloadIdentityPools.get", name))
        return name.replace(match["project"], settings.project_number, 1)

    def _find(self, name: str) -> Any:
        with self._lock:
            found = self._things.get(self._name(name))
        if found is None:
            raise not_found("Requested entity was not found.")
        return type(found)(found)

    def _list(self, request: messages.ListRequest, kind: str, largest: int) -> tuple[list[Any], str]:
        prefix = f"{self._name(request.parent)}/{kind}/"
        with self._lock:
            found = [
                thing
                for name, thing in sorted(self._things.items())
                if name.startswith(prefix)
                and "/" not in name.removeprefix(prefix)
                and (request.show_deleted or thing.state == ACTIVE)
            ]
        first = int(request.page_token or 0)
        end = first + min(request.page_size or messages.PAGE, largest)
        return found[first:end], str(end) if end < len(found) else ""

    def _create(self, parent: str, kind: str, new_id: str, thing: Any) -> operations_pb2.Operation:
        if not _ID.fullmatch(new_id):
            raise invalid_argument(
                f"Invalid id '{new_id}': 4 to 32 lower-case letters, digits and hyphens; it may not begin with gcp-."
            )
        _check(thing)
        name = f"{parent}/{kind}/{new_id}"
        with self._lock:
            if name in self._things or name in self._being_made:
                raise already_exists("Requested entity already exists")
            self._being_made.add(name)
        return self._operation(name, "create", lambda: self.add(name, thing))

    def _update(self, wanted: Any, mask: Any) -> operations_pb2.Operation:
        current = self._find(wanted.name)
        if current.state != ACTIVE:
            raise failed_precondition(f"{current.name} is deleted.")
        if not mask.paths or {path.partition(".")[0] for path in mask.paths} & _OUTPUT_ONLY:
            raise invalid_argument("update_mask: it must name fields, and none that is output only.")
        try:
            mask.MergeMessage(raw(wanted), raw(current), replace_message_field=True, replace_repeated_field=True)
        except ValueError as error:
            raise invalid_argument(f"update_mask: {error}") from None
        _check(current)
        return self._operation(current.name, "update", lambda: self.add(current.name, current))

    def _mark(self, name: str, before: int, after: int) -> operations_pb2.Operation:
        thing = self._find(name)
        if thing.state != before:
            raise failed_precondition(f"The state of {thing.name} is {messages.State(thing.state).name}.")
        thing.state = after
        until = self._world.clock.now() + _KEPT_FOR
        thing.expire_time = until.strftime("%Y-%m-%dT%H:%M:%SZ") if after == DELETED else ""

        def work() -> Any:
            with self._lock:
                self._things[thing.name] = thing
            return thing

        return self._operation(thing.name, "delete" if after == DELETED else "undelete", work)

    def _operation(self, name: str, verb: str, work: Callable[[], Any]) -> operations_pb2.Operation:
        operation = f"{name}/operations/{secrets.token_hex(12)}"
        return self._world.operations.start(
            operation, f"iam {verb}", lambda: raw(work()), metadata=lambda: raw(messages.OperationMetadata())
        )


def _check(thing: Any) -> None:
    """Refuse what no pool or provider can be like."""
    if len(thing.display_name) > _LONGEST_NAME:
        raise invalid_argument(f"The display name can have at most {_LONGEST_NAME} characters.")
    if len(thing.description) > _LONGEST_DESCRIPTION:
        raise invalid_argument(f"The description can have at most {_LONGEST_DESCRIPTION} characters.")
    if isinstance(thing, messages.WorkloadIdentityPoolProvider):
        _check_issuer(thing.oidc)
        _check_mapping(thing.attribute_mapping)
        _check_condition(thing.attribute_condition, thing.attribute_mapping, thing.oidc.issuer_uri)


def _check_issuer(oidc: messages.Oidc) -> None:
    if not oidc.issuer_uri:
        raise invalid_argument("oidc.issuer_uri: a provider needs the issuer of its tokens.")
    if not re.fullmatch(r"https://[^\s?#]+", oidc.issuer_uri):
        raise invalid_argument(f"oidc.issuer_uri: '{oidc.issuer_uri}' must be a URI with scheme https.")
    audiences: Collection[str] = oidc.allowed_audiences
    if len(audiences) > _MOST_AUDIENCES or any(len(audience) > _LONGEST_AUDIENCE for audience in audiences):
        raise invalid_argument(
            f"oidc.allowed_audiences: at most {_MOST_AUDIENCES}, each of at most {_LONGEST_AUDIENCE} characters."
        )


def _check_mapping(mapping: Mapping[str, str]) -> None:
    if "google.subject" not in mapping:
        raise invalid_argument("attribute_mapping: google.subject must be mapped.")
    if len([name for name in mapping if name.startswith("attribute.")]) > _MOST_ATTRIBUTES:
        raise invalid_argument(f"attribute_mapping: at most {_MOST_ATTRIBUTES} custom attributes can be mapped.")
    for name, expression in mapping.items():
        if not _ATTRIBUTE.fullmatch(name):
            raise invalid_argument(
                f"attribute_mapping: '{name}' is none of google.subject, google.groups and attribute.NAME, with a name "
                "of lower-case letters, digits and underscores."
            )
        _check_expression(f"attribute_mapping[{name}]", expression, _LONGEST_EXPRESSION)


def _check_condition(condition: str, mapping: Mapping[str, str], issuer: str) -> None:
    if condition:
        _check_expression("attribute_condition", condition, _LONGEST_CONDITION)
    named = set(_REFERENCE.findall(condition))
    if issuer in _ISSUERS_FOR_ALL and not named & {"assertion", *mapping}:
        raise invalid_argument(
            "The attribute condition must reference one of the provider's claims. For more information, see "
            "https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines#conditions"
        )


def _check_expression(field: str, expression: str, longest: int) -> None:
    if len(expression) > longest:
        raise invalid_argument(f"{field}: at most {longest} characters.")
    try:
        celpy.Environment().compile(expression)
    except CELParseError as error:
        raise invalid_argument(f"{field}: not a valid CEL expression: {error.args[0]}") from None
