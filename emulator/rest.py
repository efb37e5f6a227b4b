"""The APIs over HTTP and JSON, by the URI templates that the official client libraries carry with them.

Rules of transcoding: google/api/http.proto. Errors: https://cloud.google.com/apis/design/errors#http_mapping.
"""

from __future__ import annotations

import importlib
import json
import re
import urllib.parse
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from emulator.dispatch import Dispatcher
from emulator.errors import ApiError, invalid_argument, not_found, unimplemented
from emulator.operations import raw
from emulator.rpc import Method

# Host, the client library's module, and the gRPC service of each API that has a REST transport.
_APIS = (
    ("run.googleapis.com", "google.cloud.run_v2.services.services", "google.cloud.run.v2.Services"),
    ("run.googleapis.com", "google.cloud.run_v2.services.revisions", "google.cloud.run.v2.Revisions"),
    ("pubsub.googleapis.com", "google.pubsub_v1.services.publisher", "google.pubsub.v1.Publisher"),
    ("pubsub.googleapis.com", "google.pubsub_v1.services.subscriber", "google.pubsub.v1.Subscriber"),
    ("eventarc.googleapis.com", "google.cloud.eventarc_v1.services.eventarc", "google.cloud.eventarc.v1.Eventarc"),
    (
        "cloudbuild.googleapis.com",
        "google.cloud.devtools.cloudbuild_v1.services.cloud_build",
        "google.devtools.cloudbuild.v1.CloudBuild",
    ),
    (
        "artifactregistry.googleapis.com",
        "google.cloud.artifactregistry_v1.services.artifact_registry",
        "google.devtools.artifactregistry.v1.ArtifactRegistry",
    ),
    (
        "cloudresourcemanager.googleapis.com",
        "google.cloud.resourcemanager_v3.services.projects",
        "google.cloud.resourcemanager.v3.Projects",
    ),
    (
        "serviceusage.googleapis.com",
        "google.cloud.service_usage_v1.services.service_usage",
        "google.api.serviceusage.v1.ServiceUsage",
    ),
    (
        "iamcredentials.googleapis.com",
        "google.cloud.iam_credentials_v1.services.iam_credentials",
        "google.iam.credentials.v1.IAMCredentials",
    ),
)

_USAGE_HOST = "serviceusage.googleapis.com"

# Services that several APIs share.
_MIXINS = ("google.longrunning.Operations", "google.iam.v1.IAMPolicy")

# google.cloud.iam_admin_v1 has no REST transport: google/iam/admin/v1/iam.proto has these.
_IAM_HOST = "iam.googleapis.com"
_IAM_SERVICE = "google.iam.admin.v1.IAM"
_ACCOUNT = "projects/*/serviceAccounts/*"
_IAM_ROUTES = (
    ("GET", "/v1/{name=projects/*}/serviceAccounts", "", "ListServiceAccounts"),
    ("GET", f"/v1/{{name={_ACCOUNT}}}", "", "GetServiceAccount"),
    ("POST", "/v1/{name=projects/*}/serviceAccounts", "*", "CreateServiceAccount"),
    ("PUT", f"/v1/{{name={_ACCOUNT}}}", "*", "UpdateServiceAccount"),
    ("PATCH", f"/v1/{{service_account.name={_ACCOUNT}}}", "*", "PatchServiceAccount"),
    ("DELETE", f"/v1/{{name={_ACCOUNT}}}", "", "DeleteServiceAccount"),
    ("POST", f"/v1/{{resource={_ACCOUNT}}}:getIamPolicy", "", "GetIamPolicy"),
    ("POST", f"/v1/{{resource={_ACCOUNT}}}:setIamPolicy", "*", "SetIamPolicy"),
    ("POST", f"/v1/{{resource={_ACCOUNT}}}:testIamPermissions", "*", "TestIamPermissions"),
    ("GET", "/v1/{name=projects/*/roles/*}", "", "GetRole"),
    ("POST", "/v1/{parent=projects/*}/roles", "*", "CreateRole"),
    ("GET", "/v1/{parent=projects/*}/roles", "", "ListRoles"),
    ("PATCH", "/v1/{name=projects/*/roles/*}", "role", "UpdateRole"),
    ("DELETE", "/v1/{name=projects/*/roles/*}", "", "DeleteRole"),
    ("POST", "/v1/{name=projects/*/roles/*}:undelete", "*", "UndeleteRole"),
)

# Neither has a client library: cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools.
_POOLS_SERVICE = "google.iam.v1.WorkloadIdentityPools"
_LOCATION = "projects/*/locations/*"
_POOL = f"{_LOCATION}/workloadIdentityPools/*"
_PROVIDER = f"{_POOL}/providers/*"
_POOLS_ROUTES = (
    ("POST", f"/v1/{{parent={_LOCATION}}}/workloadIdentityPools", "workload_identity_pool", "Create{}"),
    ("GET", f"/v1/{{parent={_LOCATION}}}/workloadIdentityPools", "", "List{}s"),
    ("GET", f"/v1/{{name={_POOL}}}", "", "Get{}"),
    ("PATCH", f"/v1/{{workload_identity_pool.name={_POOL}}}", "workload_identity_pool", "Update{}"),
    ("DELETE", f"/v1/{{name={_POOL}}}", "", "Delete{}"),
    ("POST", f"/v1/{{name={_POOL}}}:undelete", "*", "Undelete{}"),
    ("POST", f"/v1/{{parent={_POOL}}}/providers", "workload_identity_pool_provider", "Create{}Provider"),
    ("GET", f"/v1/{{parent={_POOL}}}/providers", "", "List{}Providers"),
    ("GET", f"/v1/{{name={_PROVIDER}}}", "", "Get{}Provider"),
    (
        "PATCH",
        f"/v1/{{workload_identity_pool_provider.name={_PROVIDER}}}",
        "workload_identity_pool_provider",
        "Update{}Provider",
    ),
    ("DELETE", f"/v1/{{name={_PROVIDER}}}", "", "Delete{}Provider"),
    ("POST", f"/v1/{{name={_PROVIDER}}}:undelete", "*", "Undelete{}Provider"),
)
_IDENTITY_ROUTE = (
    "POST",
    "/v1beta1/{parent=*/*/services/*}:generateServiceIdentity",
    "*",
    "google.api.serviceusage.v1beta1.ServiceUsage/GenerateServiceIdentity",
)

# Cloud Build's client library leaves these out: its service configuration, cloudbuild_v1.yaml, has them.
_OPERATION_TEMPLATES = ("/v1/{name=operations/**}", "/v1/{name=projects/*/locations/*/operations/*}")

_REASONS = {
    grpc.StatusCode.ABORTED: "aborted",
    grpc.StatusCode.ALREADY_EXISTS: "alreadyExists",
    grpc.StatusCode.FAILED_PRECONDITION: "failedPrecondition",
    grpc.StatusCode.INVALID_ARGUMENT: "badRequest",
    grpc.StatusCode.NOT_FOUND: "notFound",
    grpc.StatusCode.PERMISSION_DENIED: "forbidden",
    grpc.StatusCode.UNAUTHENTICATED: "authError",
}

_VARIABLE = re.compile(r"\{([\w.]+)(?:=([^}]*))?\}")
_WILDCARDS = {"**": ".+", "*": "[^/]+"}
_MASKS = {"updateMask", "update_mask"}
_INTEGER_ENUMS = "json;enum-encoding=int"
# Parameters for the whole of Google's HTTP APIs (https://cloud.google.com/apis/docs/system-parameters).
_SYSTEM_PARAMETERS = {"$alt", "alt", "prettyPrint", "key", "fields", "$prettyPrint", "$fields", "$key"}


@dataclass(frozen=True)
class Route:
    """One way to call a method over HTTP.

    :param http_method: ``GET``, ``POST``, ...
    :param path: matches the path; a group per path variable.
    :param variables: field path of each group.
    :param body: the field that the body is; ``*`` for the whole request; empty for none.
    :param rpc: full name of the method.
    """

    http_method: str
    path: re.Pattern[str]
    variables: tuple[str, ...]
    body: str
    rpc: str


@dataclass(frozen=True)
class Rest:
    """All routes, by API host.

    :param dispatcher: who answers.
    :param routes: the routes of each host, in the order in which they are tried.
    """

    dispatcher: Dispatcher
    routes: Mapping[str, Sequence[Route]]

    def answer(
        self, http_method: str, host: str, path: str, query: str, authorization: str | None, body: bytes
    ) -> dict[str, Any]:
        """The answer to a call as JSON.

        :param host: the API's, ``run.googleapis.com``.
        :param path: beginning with ``/``, still percent-encoded.
        :param query: without ``?``.
        :param authorization: the header of that name.
        :raises ApiError: whatever the service refuses it with; NOT_FOUND where nothing has this path.
        """
        route, match = self._find(http_method, host, path)
        parameters = urllib.parse.parse_qsl(query, keep_blank_values=True)

        def parse(method: Method) -> Any:
            fields = _fields(method.request_type, route, match, parameters, body)
            return _message(method.request_type, fields)

        answer = raw(self.dispatcher.answer(route.rpc, authorization, parse))
        return to_json(answer, integer_enums=("$alt", _INTEGER_ENUMS) in parameters)

    def _find(self, http_method: str, host: str, path: str) -> tuple[Route, re.Match[str]]:
        if host not in self.routes:
            raise unimplemented(f"The emulator does not implement {host}.")
        for route in self.routes[host]:
            match = route.path.fullmatch(path)
            if match is not None and route.http_method == http_method:
                return route, match
        raise not_found(f"The requested URL {path} was not found on this server.")


def build(dispatcher: Dispatcher) -> Rest:
    """The routes of all APIs, for the services of a dispatcher."""
    implemented = {method.name for method in dispatcher.methods}
    routes: dict[str, list[Route]] = {}
    for host, module, service in _APIS:
        routes.setdefault(host, []).extend(_library_routes(module, service, implemented))
    routes[_IAM_HOST] = [_route(*route[:3], f"{_IAM_SERVICE}/{route[3]}") for route in _IAM_ROUTES]
    routes[_IAM_HOST] += [
        _route(*route[:3], f"{_POOLS_SERVICE}/{route[3].format('WorkloadIdentityPool')}") for route in _POOLS_ROUTES
    ]
    operation = f"{_MIXINS[0]}/GetOperation"
    routes[_IAM_HOST] += [
        _route("GET", f"/v1/{{name={owner}/operations/*}}", "", operation) for owner in (_POOL, _PROVIDER)
    ]
    routes[_USAGE_HOST].append(_route(*_IDENTITY_ROUTE))
    routes[_USAGE_HOST] += [
        _route("GET", f"/{version}/{{name=operations/*}}", "", operation) for version in ("v1", "v1beta1")
    ]
    routes["cloudbuild.googleapis.com"] += [_route("GET", path, "", operation) for path in _OPERATION_TEMPLATES]
    # A template that ends in a verb goes before one whose last variable would swallow the verb.
    ordered = {host: sorted(found, key=lambda route: not _has_verb(route)) for host, found in routes.items()}
    return Rest(dispatcher, ordered)


def to_json(message: Message, *, integer_enums: bool = False) -> dict[str, Any]:
    """A message as Google writes it in JSON."""
    answer: dict[str, Any] = json_format.MessageToDict(message, use_integers_for_enums=integer_enums)
    return answer


def error_json(error: ApiError, host: str) -> dict[str, Any]:
    """A refusal as an API writes it in JSON.

    :param host: the API's; IAM's also has the list of errors of Google's older APIs.
    """
    content: dict[str, Any] = {
        "code": int(error.http_status),
        "message": error.message,
        "status": error.code.name,
    }
    if host == _IAM_HOST:
        reason = _REASONS.get(error.code, "backendError")
        content["errors"] = [{"domain": "global", "message": error.message, "reason": reason}]
    if error.details:
        content["details"] = to_json(error.status())["details"]
    return {"error": content}


def _library_routes(module: str, service: str, implemented: Container[str]) -> Iterator[Route]:
    transports = importlib.import_module(f"{module}.transports.rest_base")
    classes = (value for key, value in vars(transports).items() if re.fullmatch("_Base.*RestTransport", key))
    for transport in classes:
        bindings = {key: value for key, value in vars(transport).items() if hasattr(value, "_get_http_options")}
        for attribute, binding in bindings.items():
            rpc = attribute.removeprefix("_Base")
            own = f"{service}/{rpc}"
            shared = (f"{mixin}/{rpc}" for mixin in _MIXINS)
            name = next((name for name in (own, *shared) if name in implemented), own)
            for option in binding._get_http_options():
                yield _route(option["method"].upper(), option["uri"], option.get("body", ""), name)


def _route(http_method: str, template: str, body: str, rpc: str) -> Route:
    pattern, end, variables = "", 0, []
    for match in _VARIABLE.finditer(template):
        pattern += re.escape(template[end : match.start()]) + f"({_wildcards(match[2] or '*')})"
        variables.append(match[1])
        end = match.end()
    return Route(http_method, re.compile(pattern + re.escape(template[end:])), tuple(variables), body, rpc)


def _wildcards(template: str) -> str:
    return "".join(_WILDCARDS.get(part) or re.escape(part) for part in re.split(r"(\*\*|\*)", template))


def _has_verb(route: Route) -> bool:
    return re.search(r":\w+$", route.path.pattern) is not None


def _fields(
    request_type: type[Any],
    route: Route,
    match: re.Match[str],
    parameters: Sequence[tuple[str, str]],
    body: bytes,
) -> dict[str, Any]:
    descriptor = raw(request_type()).DESCRIPTOR
    fields: dict[str, Any] = {}
    if route.body:
        content = _parse_json(body)
        fields = content if route.body == "*" else {route.body: content}
    for name, value in parameters:
        if name not in _SYSTEM_PARAMETERS:
            _put(fields, descriptor, name, value)
    for variable, value in zip(route.variables, match.groups(), strict=True):
        _put(fields, descriptor, variable, urllib.parse.unquote(value))
    return fields


def _with_camel_case_masks(fields: Mapping[str, Any]) -> dict[str, Any]:
    """With field masks as the JSON mapping of protobuf wants them; Google takes the names of the fields too."""
    return {
        name: re.sub(r"_([a-z])", lambda match: match[1].upper(), value) if name in _MASKS else value
        for name, value in fields.items()
    }


def _parse_json(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body or b"{}")
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise invalid_argument("Invalid JSON payload received: expected an object.")
    return content


def _put(fields: dict[str, Any], descriptor: Any, path: str, value: str) -> None:
    """Set a field given by its path, ``service.name``, in JSON made for a message type."""
    first, _, rest = path.partition(".")
    field = descriptor.fields_by_name.get(first) or descriptor.fields_by_camelcase_name.get(first)
    if field is None:
        raise invalid_argument(f'Invalid JSON payload received. Unknown name "{path}": Cannot bind query parameter.')
    name = field.name if field.name in fields else field.json_name
    if rest:
        _put(fields.setdefault(name, {}), field.message_type, rest, value)
    elif field.is_repeated:
        fields.setdefault(name, []).append(value)
    else:
        fields[name] = value == "true" if field.type == FieldDescriptor.TYPE_BOOL else value


def _message(request_type: type[Any], fields: dict[str, Any]) -> Any:
    request = request_type()
    try:
        json_format.ParseDict(_with_camel_case_masks(fields), raw(request))
    except json_format.ParseError as error:
        raise invalid_argument(f"Invalid JSON payload received. {error}") from None
    return request
