"""Cloud Run: services and revisions, and the containers behind them, which really run as processes."""

from __future__ import annotations

import base64
import functools
import hashlib
import http.client
import random
import secrets
import string
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar

import grpc
from google.cloud import run_v2
from google.iam.v1 import iam_policy_pb2, policy_pb2
from google.longrunning import operations_pb2
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from emulator import revision_template
from emulator.errors import (
    ApiError,
    aborted,
    already_exists,
    failed_precondition,
    invalid_argument,
    not_found,
    permission_denied,
)
from emulator.forwarding import Response, forward, page
from emulator.instances import Instances, NoRoomError, NotListeningError
from emulator.logs import Log, Severity
from emulator.operations import raw
from emulator.processes import Instance, Output
from emulator.rpc import Call

if TYPE_CHECKING:
    from emulator.world import World

_REAPER_SECONDS = 0.25
_INVOKER_ROLES = ("roles/run.invoker", "roles/run.admin", "roles/owner")
_LATEST = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
_PENDING = run_v2.Condition.State.CONDITION_PENDING
_INGRESS_ALL = run_v2.IngressTraffic(run_v2.IngressTraffic.INGRESS_TRAFFIC_ALL)
_SUCCEEDED = run_v2.Condition.State.CONDITION_SUCCEEDED
_FAILED = run_v2.Condition.State.CONDITION_FAILED

# What log entries are in, https://cloud.google.com/run/docs/logging#using-logs-viewer.
_STDOUT = "run.googleapis.com/stdout"
_STDERR = "run.googleapis.com/stderr"
_SYSTEM = "run.googleapis.com/varlog/system"
_REQUESTS = "run.googleapis.com/requests"

# What the probe of the port says that waits as long as a container may take to start.
_NOT_STARTED = (
    'Default STARTUP TCP probe failed 1 time consecutively for container "{container}" on port {port}. The instance '
    "was not started.\nConnection failed with status {status}."
)

_REVISION_MISSING = run_v2.Condition.CommonReason.REVISION_FAILED

# What people set in a service; everything else is Cloud Run's to say.
_SETTABLE = (
    "description",
    "labels",
    "annotations",
    "client",
    "client_version",
    "ingress",
    "launch_stage",
    "binary_authorization",
    "template",
    "traffic",
    "scaling",
    "invoker_iam_disabled",
    "default_uri_disabled",
    "custom_audiences",
)

# The short names of regions in addresses, as public *.a.run.app addresses show them.
_REGION_CODES = {
    "asia-east1": "de",
    "asia-northeast1": "an",
    "asia-southeast1": "as",
    "australia-southeast1": "ts",
    "europe-north1": "lz",
    "europe-west1": "ew",
    "europe-west2": "nw",
    "europe-west3": "ey",
    "europe-west4": "ez",
    "europe-west6": "oa",
    "us-central1": "uc",
    "us-east1": "ue",
    "us-east4": "uk",
    "us-west1": "uw",
}


class RevisionError(Exception):
    """Why a revision is not ready.

    :param message: the text for people.
    :param code: the code the operation ends with.
    :param condition: what the condition gives as reason.
    """

    def __init__(self, message: str, code: grpc.StatusCode, condition: run_v2.Condition) -> None:
        super().__init__(message)
        self.code = code
        self.condition = condition


@dataclass
class _Revision:
    message: run_v2.Revision
    template: run_v2.RevisionTemplate
    log: Log
    instances: Instances | None = None
    error: RevisionError | None = None


@dataclass
class _Record:
    """All there is of one service.

    :param rollout: held while a change is rolled out: one after the other.
    :param missing: why the traffic could not go where it should; empty where it could.
    """

    service: run_v2.Service
    revisions: dict[str, _Revision] = field(default_factory=dict)
    created_revisions: int = 0
    rollout: threading.Lock = field(default_factory=threading.Lock)
    missing: str = ""

    @property
    def short_name(self) -> str:
        return self.service.name.rpartition("/")[2]

    def latest_created(self) -> _Revision | None:
        return self.revisions.get(self.service.latest_created_revision.rpartition("/")[2])


class CloudRun:
    """The services of the project, and the two gRPC services that show them.

    :param world: the local cloud.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._records: dict[str, _Record] = {}
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._reaper = threading.Thread(target=self._stop_idle_instances, name="cloud_run idle instances", daemon=True)
        self._reaper.start()
        self.secrets: dict[tuple[str, str], str] = {}
        self.services = (Services(self, world), Revisions(self))

    def close(self) -> None:
        """Stop every instance."""
        self._closed.set()
        self._reaper.join()
        with self._lock:
            revisions = [revision for record in self._records.values() for revision in record.revisions.values()]
        for revision in revisions:
            if revision.instances is not None:
                revision.instances.close()

    def service_uri(self, project: str, region: str, service: str) -> str:
        """The address of a service, with the hash that all services of a project share."""
        digest = hashlib.sha256(project.encode()).digest()
        project_hash = base64.b32encode(digest).decode().lower()[:10]
        return f"https://{service}-{project_hash}-{_region_code(region)}.a.run.app"

    def logs(self, service: str) -> list[str]:
        """What the containers of a service wrote, all revisions one after the other.

        :param service: full resource name.
        """
        with self._lock:
            record = self._records.get(service)
            revisions = list(record.revisions.values()) if record else []
        return [line for revision in revisions for line in revision.log.lines()]

    # What the API does

    def find(self, name: str) -> _Record:
        """The record of a service.

        :raises ApiError: NOT_FOUND.
        """
        with self._lock:
            if name not in self._records:
                raise not_found(f'service "{name}" not found')
            return self._records[name]

    def find_revision(self, name: str) -> _Revision:
        """A revision by its full resource name.

        :raises ApiError: NOT_FOUND.
        """
        service, _, short = name.partition("/revisions/")
        self.check_project(name, "run.revisions.get")
        with self._lock:
            record = self._records.get(service)
            if record is None or short not in record.revisions:
                raise not_found(f'revision "{name}" not found')
            return record.revisions[short]

    def delete_revision(self, name: str) -> operations_pb2.Operation:
        """Delete a revision.

        :raises ApiError: NOT_FOUND; FAILED_PRECONDITION where it gets requests.
        """
        revision = self.find_revision(name)
        service, _, short = name.partition("/revisions/")
        record = self.find(service)
        with self._lock:
            if short in {self._target(record, target) for target in record.service.traffic}:
                raise failed_precondition(f"Revision '{short}' is serving traffic and cannot be deleted.")

        def work() -> Message:
            with self._lock:
                record.revisions.pop(short, None)
            if revision.instances is not None:
                revision.instances.close()
            return raw(revision.message)

        return self._operation(record, "cloud_run delete revision", work)

    def check_project(self, name: str, permission: str) -> None:
        """Refuse what is not in the project.

        :raises ApiError: PERMISSION_DENIED, as Google says of projects one cannot see.
        """
        settings = self._world.settings
        if name.split("/")[1:2] not in ([settings.project_id], [settings.project_number]):
            raise permission_denied(
                f"Permission '{permission}' denied on resource '{name}' (or resource may not exist)."
            )

    def create(self, parent: str, service_id: str, wanted: run_v2.Service, call: Call) -> operations_pb2.Operation:
        """Make a service and roll out its first revision."""
        name = f"{parent}/services/{service_id}"
        service = self._prepared(name, wanted)
        now = self._world.clock.timestamp()
        service.uid = str(uuid.uuid4())
        service.generation = 1
        service.create_time = service.update_time = now
        service.creator = service.last_modifier = _principal(call)
        service.terminal_condition = run_v2.Condition(state=_PENDING)
        service.reconciling = True
        service.etag = _etag(service)
        with self._lock:
            if name in self._records:
                raise already_exists("Resource already exists.")
            record = self._records[name] = _Record(service)
        return self._start_rollout(record, "cloud_run create")

    def update(self, record: _Record, wanted: run_v2.Service, call: Call) -> operations_pb2.Operation:
        """Change a service; a new template makes a new revision."""
        with self._lock:
            current = record.service
            if _settings(wanted) == _settings(current):
                return self._operation(record, "cloud_run unchanged", lambda: _outcome(record))
            service = run_v2.Service(wanted)
            service.generation = current.generation + 1
            service.update_time = self._world.clock.timestamp()
            service.last_modifier = _principal(call)
            service.terminal_condition = run_v2.Condition(service.terminal_condition, state=_PENDING)
            service.reconciling = True
            service.etag = _etag(service)
            record.service = service
        return self._start_rollout(record, "cloud_run update")

    def merged(self, record: _Record, wanted: run_v2.Service, mask: FieldMask) -> run_v2.Service:
        """The service as it would be after an update, checked.

        :param mask: the paths to take from ``wanted``; all that can be set where empty.
        :raises ApiError: for what Cloud Run refuses.
        """
        with self._lock:
            service = run_v2.Service(record.service)
        if wanted.etag and wanted.etag != service.etag:
            raise _changed_in_between(record.short_name, wanted.etag, service.etag)
        paths = [path for path in mask.paths if path != "*"] or [
            name for name in _SETTABLE if name not in ("ingress", "launch_stage") or getattr(wanted, name)
        ]
        target, source = run_v2.Service.pb(service), run_v2.Service.pb(wanted)
        for path in paths:
            if not FieldMask(paths=[path]).IsValidForDescriptor(source.DESCRIPTOR):
                raise invalid_argument(f"Invalid update_mask: there is no field '{path}'")
        settable = FieldMask(paths=[path for path in paths if path.partition(".")[0] in _SETTABLE])
        settable.MergeMessage(source, target, replace_message_field=True, replace_repeated_field=True)
        return self._prepared(service.name, service, record)

    def delete(self, record: _Record) -> operations_pb2.Operation:
        """Delete a service; it is still there until the operation is done."""
        with self._lock:
            record.service.delete_time = self._world.clock.timestamp()
            record.service.generation += 1
            record.service.reconciling = True

        def work() -> Message:
            with record.rollout, self._lock:
                self._records.pop(record.service.name, None)
                self._world.policies.remove(record.service.name)
                record.service.reconciling = False
                gone = run_v2.Service(record.service)
            for revision in record.revisions.values():
                if revision.instances is not None:
                    revision.instances.close()
            return raw(gone)

        return self._operation(record, "cloud_run delete", work)

    def validated(self, name: str, wanted: run_v2.Service) -> operations_pb2.Operation:
        """The operation of a request that only asks whether it would be accepted."""
        service = self._prepared(name, wanted)
        return self._operation(_Record(service), "cloud_run validate", lambda: raw(service))

    def all_services(self, parent: str) -> list[run_v2.Service]:
        """The services of a location, or of all with ``locations/-``, by name."""
        prefix = parent.removesuffix("-") if parent.endswith("/locations/-") else f"{parent}/"
        with self._lock:
            return [
                run_v2.Service(record.service)
                for name, record in sorted(self._records.items())
                if name.startswith(prefix)
            ]

    def _prepared(self, name: str, wanted: run_v2.Service, record: _Record | None = None) -> run_v2.Service:
        service = run_v2.Service(wanted) if record else _only_settable(wanted)
        service.name = name
        service.launch_stage = service.launch_stage or "GA"
        if not service.traffic:
            service.traffic.append(run_v2.TrafficTarget(type_=_LATEST, percent=100))
        default_account = f"{self._world.settings.project_number}-compute@developer.gserviceaccount.com"
        revision_template.complete(service.template, default_account)
        revision_template.check_service(service)
        account = service.template.service_account
        iam, seconds = self._world.iam, self._world.propagation.accounts_in_cloud_run
        if not (iam.knows_account(account) and iam.is_older(account, seconds)):
            raise permission_denied(
                f"Permission 'iam.serviceaccounts.actAs' denied on service account {account} (or it may not exist)."
            )
        if record:
            _check_revision_name(service, record)
        return service

    # Rollouts

    def _operation(self, record: _Record, kind: str, work: Callable[[], Message]) -> operations_pb2.Operation:
        location = record.service.name.partition("/services/")[0]
        last: list[Message] = []

        def worked() -> Message:
            last.append(work())
            return last[0]

        def metadata() -> Message:
            with self._lock:
                return last[0] if last else raw(run_v2.Service(record.service))

        name = f"{location}/operations/{uuid.uuid4()}"
        return self._world.operations.start(name, kind, worked, metadata=metadata)

    def _start_rollout(self, record: _Record, kind: str) -> operations_pb2.Operation:
        generation = record.service.generation

        def work() -> Message:
            with record.rollout:
                self._roll_out(record, generation)
            with self._lock:
                return _outcome(record)

        return self._operation(record, kind, work)

    def _roll_out(self, record: _Record, generation: int) -> None:
        """Bring a service to what it should be; what fails leaves the previous ready revision serving."""
        with self._lock:
            wanted = run_v2.Service(record.service)
        if wanted.generation != generation:
            return  # a later change is waiting, and brings this one along
        latest = record.latest_created()
        if latest is None or _without_name(latest.template) != _without_name(wanted.template):
            latest = self._create_revision(record, wanted)
            latest.error = self._make_ready(record, latest)
        with self._lock:
            self._complete(record, latest)
        self._retire_revisions(record)

    def _create_revision(self, record: _Record, service: run_v2.Service) -> _Revision:
        template = run_v2.RevisionTemplate(service.template)
        with self._lock:
            record.created_revisions += 1
            letters = "".join(secrets.choice(string.ascii_lowercase) for _ in range(3))
            short = template.revision or f"{record.short_name}-{record.created_revisions:05}-{letters}"
            now = self._world.clock.timestamp()
            message = run_v2.Revision(
                name=f"{service.name}/revisions/{short}",
                uid=str(uuid.uuid4()),
                generation=1,
                create_time=now,
                update_time=now,
                launch_stage=service.launch_stage,
                service=record.short_name,
                scaling=template.scaling,
                max_instance_request_concurrency=template.max_instance_request_concurrency,
                timeout=template.timeout,
                service_account=template.service_account,
                containers=template.containers,
                volumes=template.volumes,
                execution_environment=template.execution_environment,
                labels=dict(template.labels),
                annotations=dict(template.annotations),
                reconciling=True,
                observed_generation=1,
                creator=service.last_modifier,
                etag=_etag(service),
            )
            revision = _Revision(message, template, self._log(service, short))
            record.revisions[short] = revision
            record.service.latest_created_revision = message.name
        return revision

    def _log(self, service: run_v2.Service, revision: str) -> Log:
        _, _, _, location, _, name = service.name.split("/")
        labels = {"service_name": name, "revision_name": revision, "location": location, "configuration_name": name}
        return self._world.logging.log("cloud_run_revision", labels)

    def _make_ready(self, record: _Record, revision: _Revision) -> RevisionError | None:
        """Start the container once, as Cloud Run does before a revision serves; the error where it does not listen.

        Where the world is hollow nothing is started: image and secrets have to be there all the same.
        """
        try:
            instances = self._instances(record, revision)
            if not self._world.settings.hollow:
                revision.instances = instances
                if self._closed.is_set():
                    instances.close()
                instances.keep(revision.template.scaling.min_instance_count)
                instances.check()
        except (NotListeningError, NoRoomError):  # there is no room where the emulator is stopping
            port = revision.template.containers[0].ports[0].container_port
            error = _revision_error(
                revision,
                "The user-provided container failed to start and listen on the port defined provided by the "
                f"PORT={port} environment variable.",
                grpc.StatusCode.FAILED_PRECONDITION,
                run_v2.Condition(revision_reason=run_v2.Condition.RevisionReason.HEALTH_CHECK_CONTAINER_ERROR),
            )
        except RevisionError as found:
            error = found
        else:
            self._settle(revision, run_v2.Condition(state=_SUCCEEDED))
            return None
        self._settle(revision, error.condition)
        return error

    def _settle(self, revision: _Revision, condition: run_v2.Condition) -> None:
        condition = run_v2.Condition(condition, last_transition_time=self._world.clock.timestamp())
        with self._lock:
            types = ("Ready", "ContainerReady", "ResourcesAvailable", "Active")
            revision.message.conditions = [run_v2.Condition(condition, type_=name) for name in types]
            revision.message.reconciling = False

    def _complete(self, record: _Record, latest: _Revision) -> None:
        service, error = record.service, latest.error
        record.missing = "" if error else self._missing(record, latest)
        condition = run_v2.Condition(error.condition) if error else run_v2.Condition(state=_SUCCEEDED)
        condition.last_transition_time = self._world.clock.timestamp()
        if error is None:
            service.latest_ready_revision = latest.message.name
            service.latest_created_revision = latest.message.name
        if record.missing:
            condition = run_v2.Condition(condition, state=_FAILED, message=record.missing, reason=_REVISION_MISSING)
        routes = condition if error is None or not service.latest_ready_revision else run_v2.Condition(state=_SUCCEEDED)
        service.terminal_condition = run_v2.Condition(condition, type_="Ready")
        service.conditions = [
            run_v2.Condition(routes, type_="RoutesReady", last_transition_time=condition.last_transition_time),
            run_v2.Condition(condition, type_="ConfigurationsReady"),
        ]
        if not service.ingress:
            service.ingress = _INGRESS_ALL
        service.observed_generation = service.generation
        service.reconciling = False
        if service.latest_ready_revision and not record.missing:
            self._set_addresses(service)

    def _missing(self, record: _Record, latest: _Revision) -> str:
        """Why the traffic cannot go where it should, empty where it can: a route to a revision that is not there fails.

        It stays then where it is (Knative's serving specification, "Route", condition RevisionMissing).
        """
        named = {target.revision for target in record.service.traffic if target.type_ != _LATEST and target.revision}
        ready = {name for name, revision in record.revisions.items() if revision.error is None}
        missing = sorted(named - ready - {latest.message.name.rpartition("/")[2]})
        return f"Revision '{missing[0]}' is not ready or does not exist, and cannot serve traffic." if missing else ""

    def _set_addresses(self, service: run_v2.Service) -> None:
        _, project, _, region, _, short = service.name.split("/")
        service.uri = self.service_uri(project, region, short)
        service.urls = [f"https://{short}-{self._world.settings.project_number}.{region}.run.app", service.uri]
        service.traffic_statuses = [
            run_v2.TrafficTargetStatus(
                type_=target.type_,
                revision=target.revision,
                percent=target.percent,
                tag=target.tag,
                uri=service.uri.replace("https://", f"https://{target.tag}---") if target.tag else "",
            )
            for target in service.traffic
        ]

    def _retire_revisions(self, record: _Record) -> None:
        """Stop the instances of the revisions that no address leads to."""
        with self._lock:
            serving = {self._target(record, status) for status in record.service.traffic_statuses}
            retired = [revision for name, revision in record.revisions.items() if name not in serving]
        for revision in retired:
            if revision.instances is not None:
                revision.instances.retire()

    def _instances(self, record: _Record, revision: _Revision) -> Instances:
        template = revision.template
        container = template.containers[0]
        try:
            image = self._world.artifact_registry.pull(container.image)
        except ApiError:
            raise _revision_error(
                revision,
                f"Image '{container.image}' not found.",
                grpc.StatusCode.NOT_FOUND,
                run_v2.Condition(reason=run_v2.Condition.CommonReason.CONTAINER_MISSING),
            ) from None
        variables = self._variables(record, revision)
        command = (*container.command, *container.args)

        memory = revision_template.memory_bytes(template)

        def start() -> Instance:
            folder = self._world.settings.state / "instances" / uuid.uuid4().hex
            folder.parent.mkdir(parents=True, exist_ok=True)
            output = _output(revision.log, folder.name)
            return Instance(image, folder=folder, command=command, variables=variables, output=output, memory=memory)

        def not_listening(is_late: bool) -> None:
            text = _NOT_STARTED.format(
                container=container.name or f"{record.short_name}-1",
                port=container.ports[0].container_port,
                status="DEADLINE_EXCEEDED" if is_late else "CANCELLED",
            )
            revision.log.write(_SYSTEM, text, severity=Severity.ERROR)

        longest = revision_template.startup_seconds(template)
        return Instances(
            start,
            self._world.clock,
            not_listening=not_listening,
            concurrency=template.max_instance_request_concurrency,
            maximum=template.scaling.max_instance_count,
            startup_seconds=min(longest, self._world.settings.startup_seconds or longest),
            idle_seconds=self._world.settings.idle_seconds,
        )

    def _variables(self, record: _Record, revision: _Revision) -> dict[str, str]:
        settings = self._world.settings
        return {
            "GOOGLE_CLOUD_PROJECT": settings.project_id,
            "PUBSUB_EMULATOR_HOST": settings.instance_pubsub_host or self._world.address,
            **{variable.name: self._value(revision, variable) for variable in revision.template.containers[0].env},
            "K_SERVICE": record.short_name,
            "K_REVISION": revision.message.name.rpartition("/")[2],
            "K_CONFIGURATION": record.short_name,
        }

    def _value(self, revision: _Revision, variable: run_v2.EnvVar) -> str:
        if "value_source" not in variable:
            return variable.value
        reference = variable.value_source.secret_key_ref
        name, version = reference.secret.rpartition("/")[2], reference.version or "latest"
        if (name, version) not in self.secrets:
            number = self._world.settings.project_number
            raise _revision_error(
                revision,
                f"Secret projects/{number}/secrets/{name}/versions/{version} was not found",
                grpc.StatusCode.NOT_FOUND,
                run_v2.Condition(reason=run_v2.Condition.CommonReason.SECRETS_ACCESS_CHECK_FAILED),
            )
        return self.secrets[name, version]

    def _stop_idle_instances(self) -> None:
        while not self._closed.wait(_REAPER_SECONDS):
            with self._lock:
                revisions = [revision for record in self._records.values() for revision in record.revisions.values()]
            for revision in revisions:
                if revision.instances is not None:
                    revision.instances.stop_idle()

    # Requests to services

    def request(
        self, hostname: str, method: str, target: str, headers: Mapping[str, str], body: bytes, *, internal: bool
    ) -> Response:
        """Send a HTTP request to a service, as Cloud Run's front end does.

        :param hostname: of the service or of one of its tags.
        :param target: path and query.
        :param internal: whether it comes from inside Google Cloud, as Pub/Sub's and Eventarc's do.
        """
        found = self._find_by_hostname(hostname)
        if found is None:
            return page(HTTPStatus.NOT_FOUND, "Page not found")
        record, tag = found
        refusal = self._refusal(record, headers, internal=internal)
        if refusal:
            return refusal
        revision = self._choose_revision(record, tag)
        if revision is None or revision.instances is None:
            return page(HTTPStatus.SERVICE_UNAVAILABLE, "Service Unavailable")
        seconds = revision_template.timeout_seconds(revision.template)
        try:
            with revision.instances.instance() as instance:
                return forward(instance.port, hostname, method, target, headers, body, seconds)
        except NoRoomError as error:
            reason, answer = str(error), page(HTTPStatus.TOO_MANY_REQUESTS, "Rate exceeded.")
        except TimeoutError:
            reason = "The request has been terminated because it has reached the maximum request timeout."
            answer = Response(HTTPStatus.GATEWAY_TIMEOUT, body=b"upstream request timeout")
        except (NotListeningError, OSError, http.client.HTTPException) as error:
            reason = f"The request failed because the instance could not start or ended: {error}"
            answer = page(HTTPStatus.SERVICE_UNAVAILABLE, "Service Unavailable")
        revision.log.write(_REQUESTS, reason, severity=Severity.ERROR)
        return answer

    def _find_by_hostname(self, hostname: str) -> tuple[_Record, str] | None:
        tag, separator, rest = hostname.partition("---")
        host = rest if separator else hostname
        with self._lock:
            for record in self._records.values():
                if f"https://{host}" in record.service.urls:
                    return record, tag if separator else ""
        return None

    def _refusal(self, record: _Record, headers: Mapping[str, str], *, internal: bool) -> Response | None:
        """What the caller is told where it may not call."""
        with self._lock:
            service = run_v2.Service(record.service)
        if service.ingress == run_v2.IngressTraffic.INGRESS_TRAFFIC_INTERNAL_ONLY and not internal:
            return page(HTTPStatus.NOT_FOUND, "Page not found")
        project = "/".join(service.name.split("/")[:2])
        if service.invoker_iam_disabled or "allUsers" in self._world.policies.members(service.name, _INVOKER_ROLES[0]):
            return None
        authorization = next((value for name, value in headers.items() if name.lower() == "authorization"), "")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return page(HTTPStatus.FORBIDDEN, "Your client does not have permission to get URL from this server.")
        audiences = [*service.urls, *(f"{url}/" for url in service.urls), *service.custom_audiences]
        try:
            email = self._world.tokens.check_id_token(token, audiences)
        except ApiError:
            return page(HTTPStatus.UNAUTHORIZED, "Your client does not have permission to the requested URL.")
        members = {f"serviceAccount:{email}", "allAuthenticatedUsers"}
        if any(self._world.policies.grants(resource, _INVOKER_ROLES, members) for resource in (service.name, project)):
            return None
        return page(HTTPStatus.FORBIDDEN, "Your client does not have permission to get URL from this server.")

    def _choose_revision(self, record: _Record, tag: str) -> _Revision | None:
        with self._lock:
            statuses = record.service.traffic_statuses
            targets = [status for status in statuses if (status.tag == tag if tag else status.percent)]
            if not targets:
                return None
            weights = [1 if tag else target.percent for target in targets]
            # Only where a request goes depends on this choice, nothing secret does.
            chosen = random.choices(targets, weights)[0]  # noqa: S311 - shares traffic, hides nothing
            return record.revisions.get(self._target(record, chosen))

    @staticmethod
    def _target(record: _Record, target: run_v2.TrafficTarget | run_v2.TrafficTargetStatus) -> str:
        """The revision that a traffic target means, by its short name."""
        latest = record.service.latest_ready_revision.rpartition("/")[2]
        return latest if target.type_ == _LATEST or not target.revision else target.revision


class Services:
    """``google.cloud.run.v2.Services``."""

    SERVICES: ClassVar[tuple[str, ...]] = ("google.cloud.run.v2.Services",)

    def __init__(self, cloud_run: CloudRun, world: World) -> None:
        self._run = cloud_run
        self._policies, self._access = world.policies, world.access

    def create_service(self, request: run_v2.CreateServiceRequest, call: Call) -> operations_pb2.Operation:
        """Make a service, as an operation that ends when it serves or has failed."""
        self._run.check_project(request.parent, "run.services.create")
        revision_template.check_service_id(request.service_id)
        if request.validate_only:
            return self._run.validated(f"{request.parent}/services/{request.service_id}", request.service)
        return self._run.create(request.parent, request.service_id, request.service, call)

    def get_service(self, request: run_v2.GetServiceRequest, call: Call) -> run_v2.Service:
        """One service."""
        self._run.check_project(request.name, "run.services.get")
        return run_v2.Service(self._run.find(request.name).service)

    def list_services(self, request: run_v2.ListServicesRequest, call: Call) -> run_v2.ListServicesResponse:
        """All services of a location, on one page."""
        self._run.check_project(request.parent, "run.services.list")
        return run_v2.ListServicesResponse(services=self._run.all_services(request.parent))

    def update_service(self, request: run_v2.UpdateServiceRequest, call: Call) -> operations_pb2.Operation:
        """Change a service, as an operation that ends when the change serves or has failed."""
        name = request.service.name
        self._run.check_project(name, "run.services.update")
        try:
            record = self._run.find(name)
        except ApiError:
            if not request.allow_missing:
                raise
            parent, _, service_id = name.partition("/services/")
            creation = run_v2.CreateServiceRequest(
                parent=parent, service_id=service_id, service=request.service, validate_only=request.validate_only
            )
            return self.create_service(creation, call)
        mask: FieldMask = run_v2.UpdateServiceRequest.pb(request).update_mask
        wanted = self._run.merged(record, request.service, mask)
        if request.validate_only:
            return self._run.validated(name, wanted)
        return self._run.update(record, wanted, call)

    def delete_service(self, request: run_v2.DeleteServiceRequest, call: Call) -> operations_pb2.Operation:
        """Delete a service with its revisions and its policy."""
        self._run.check_project(request.name, "run.services.delete")
        record = self._run.find(request.name)
        if request.etag and request.etag != record.service.etag:
            raise _changed_in_between(record.short_name, request.etag, record.service.etag)
        if request.validate_only:
            return self._run.validated(request.name, record.service)
        return self._run.delete(record)

    def get_iam_policy(self, request: iam_policy_pb2.GetIamPolicyRequest, call: Call) -> policy_pb2.Policy:
        """Who may call the service."""
        self._check_resource(request.resource)
        return self._policies.get(request.resource, request.options.requested_policy_version)

    def set_iam_policy(self, request: iam_policy_pb2.SetIamPolicyRequest, call: Call) -> policy_pb2.Policy:
        """Say who may call the service."""
        self._check_resource(request.resource)
        return self._policies.set(request.resource, request.policy, request.update_mask)

    def test_iam_permissions(
        self,
        request: iam_policy_pb2.TestIamPermissionsRequest,
        call: Call,
    ) -> iam_policy_pb2.TestIamPermissionsResponse:
        """The permissions the caller has of those asked for."""
        self._check_resource(request.resource)
        held = self._access.held(call, request.resource, request.permissions)
        return iam_policy_pb2.TestIamPermissionsResponse(permissions=held)

    def _check_resource(self, name: str) -> None:
        self._run.check_project(name, "run.services.getIamPolicy")
        try:
            self._run.find(name)
        except ApiError:
            _, project, _, region, _, short = name.split("/")
            raise not_found(
                f"Resource '{short}' of kind 'SERVICE' in region '{region}' in project '{project}' does not exist."
            ) from None


class Revisions:
    """``google.cloud.run.v2.Revisions``."""

    SERVICES: ClassVar[tuple[str, ...]] = ("google.cloud.run.v2.Revisions",)

    def __init__(self, cloud_run: CloudRun) -> None:
        self._run = cloud_run

    def get_revision(self, request: run_v2.GetRevisionRequest, call: Call) -> run_v2.Revision:
        """One revision."""
        return run_v2.Revision(self._run.find_revision(request.name).message)

    def list_revisions(self, request: run_v2.ListRevisionsRequest, call: Call) -> run_v2.ListRevisionsResponse:
        """All revisions of a service, the newest first, on one page."""
        revisions = reversed(self._run.find(request.parent).revisions.values())
        return run_v2.ListRevisionsResponse(revisions=[run_v2.Revision(revision.message) for revision in revisions])

    def delete_revision(self, request: run_v2.DeleteRevisionRequest, call: Call) -> operations_pb2.Operation:
        """Delete a revision that gets no requests."""
        return self._run.delete_revision(request.name)


def _outcome(record: _Record) -> Message:
    """The service as an operation ends with it; a revision that is not ready stays so until the template changes."""
    latest = record.latest_created()
    if latest and latest.error:
        raise ApiError(latest.error.code, str(latest.error))
    if record.missing:
        raise failed_precondition(record.missing)
    return raw(run_v2.Service(record.service))


def _output(log: Log, instance_id: str) -> Output:
    """Where the lines of an instance go."""
    labels = {"instanceId": instance_id}

    def system(text: str, severity: Severity) -> None:
        log.write(_SYSTEM, text, severity=severity, labels=labels)

    return Output(
        stdout=functools.partial(log.write_output, _STDOUT, labels=labels),
        stderr=functools.partial(log.write_output, _STDERR, labels=labels),
        system=system,
    )


def _region_code(region: str) -> str:
    return _REGION_CODES.get(region, "".join(part[0] for part in region.split("-")))


def _principal(call: Call) -> str:
    return (
        call.principal.rpartition(":")[2] if call.principal.startswith(("serviceAccount:", "user:")) else call.principal
    )


def _etag(service: run_v2.Service) -> str:
    """An etag that carries the version, which Cloud Run names when it refuses another."""
    version = f"{_version(service)}/{service.name}"
    return f'"{base64.b64encode(version.encode()).decode()}"'


def _version(service: run_v2.Service) -> int:
    stamp: Timestamp = run_v2.Service.pb(service).update_time
    return stamp.ToMicroseconds()


def _changed_in_between(name: str, given: str, current: str) -> ApiError:
    def version(etag: str) -> str:
        try:
            return base64.b64decode(etag.strip('"'), validate=True).decode().partition("/")[0]
        except ValueError:
            return etag

    return aborted(
        f"Conflict for resource '{name}': version '{version(given)}' was specified but current version is "
        f"'{version(current)}'."
    )


def _check_revision_name(service: run_v2.Service, record: _Record) -> None:
    name = service.template.revision
    if not name:
        return
    if not name.startswith(f"{record.short_name}-"):
        raise invalid_argument(f"Violation in service.template.revision: must begin with '{record.short_name}-'")
    existing = record.revisions.get(name)
    if existing and _without_name(existing.template) != _without_name(service.template):
        raise already_exists(f"Revision named '{name}' with different configuration already exists.")


def _without_name(template: run_v2.RevisionTemplate) -> run_v2.RevisionTemplate:
    copy = run_v2.RevisionTemplate(template)
    copy.revision = ""
    return copy


def _only_settable(service: run_v2.Service) -> run_v2.Service:
    return run_v2.Service(
        {name: getattr(service, name) for name in _SETTABLE if name in service or getattr(service, name)}
    )


def _settings(service: run_v2.Service) -> run_v2.Service:
    settings = _only_settable(service)
    settings.template.revision = ""
    return settings


def _revision_error(
    revision: _Revision, reason: str, code: grpc.StatusCode, condition: run_v2.Condition
) -> RevisionError:
    name = revision.message.name.rpartition("/")[2]
    message = f"Revision '{name}' is not ready and cannot serve traffic. {reason}"
    return RevisionError(message, code, run_v2.Condition(condition, state=_FAILED, message=message))
