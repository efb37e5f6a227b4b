"""The Cloud Run service that answers the questions."""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from octue_action.failure import Failure, GoogleError
from octue_action.quirks import CLOUD_RUN_AGENT_NOT_READY, SERVICE_ACCOUNT_NOT_YET_USABLE, Quirk
from octue_action.resource import Mark, Need, Permissions, Resource, diff, is_ours

if TYPE_CHECKING:
    import datetime

    from google.cloud import run_v2

    from octue_action.google import Google
    from octue_action.logs import RevisionLog

CLIENT = "octue-action"

RECONCILING_SECONDS = 5 * 60.0
"""How long a change that somebody else has begun is waited for."""

RETRIED = "octue-action/retried-generation"
"""Annotation of the revision that is changed to make Cloud Run try again what did not become ready."""

LATEST = "latest revision"

_TRAFFIC = "traffic"

_STORED_IMAGE = re.compile(r"(?P<location>[a-z0-9-]+)-docker\.pkg\.dev/(?P<project>[^/]+)/(?P<repository>[^/]+)/")
"""The reference of an image in Artifact Registry."""

_ALL = 100

_NOT_STARTED = re.compile(r"Image '|read the image|container import|[Ss]ecret", re.IGNORECASE)
"""Why a revision is not ready whose container has not been started, and so has no log."""

_BYTES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


class Memory(int):
    """An amount of memory in bytes, which people read as ``512Mi``."""

    def __str__(self) -> str:
        """The shortest quantity of whole units."""
        unit = next(unit for unit in ("Gi", "Mi", "Ki", "") if self % _BYTES[unit] == 0)
        return f"{self // _BYTES[unit]}{unit}"


@dataclass(frozen=True, kw_only=True)
class CloudRunService(Resource):
    """A service and the template of its revisions.

    What Cloud Run fills in by itself, and what other people add beside it, is left alone.

    :param service: its name within project and location.
    :param ingress: ``internal`` or ``all``.
    :param service_account: e-mail of the account it runs as.
    :param image: the container image.
    :param command: what the container starts in place of what the image says.
    :param args: what it is started with.
    :param environment: the container's variables, all of them.
    :param secrets: variable -> ``secret:version`` of Secret Manager, all of them.
    :param memory: in bytes.
    :param cpu: number of CPUs as a decimal number, ``1`` or ``0.5``.
    :param concurrency: questions that one instance answers at a time.
    :param timeout: seconds one question may take.
    :param execution_environment: ``gen1`` or ``gen2``; None leaves the choice to Cloud Run.
    :param traffic: which revision serves: ``latest revision``, the name of one, or how it is split among several.
    :param needs_token: whether callers must prove who they are.
    :param ready: whether the newest revision is ready.
    :param account_may_be_new: whether the account that it runs as may have been made a moment ago.
    :param url: of an actual service: its own URL, also where revisions have tags.
    :param revision: of an actual service: name of the revision that serves.
    :param message: of an actual service: as Cloud Run gave it, with what is not ours.
    """

    kind: ClassVar[str] = "cloud_run_service"
    title: ClassVar[str] = "Cloud Run service"

    project_id: Annotated[str, Mark.IDENTITY]
    location: Annotated[str, Mark.IDENTITY]
    service: Annotated[str, Mark.IDENTITY]
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    service_account: str
    ingress: str
    needs_token: bool = True
    environment: Annotated[Mapping[str, str], Mark.SENSITIVE]
    secrets: Mapping[str, str]
    memory: Memory
    cpu: Decimal
    concurrency: int
    timeout: int
    min_instances: int
    max_instances: int
    execution_environment: str | None = None
    traffic: str = LATEST
    ready: bool = True
    labels: Annotated[Mapping[str, str], Mark.ADDITIVE]
    account_may_be_new: Annotated[bool, Mark.IDENTITY] = False
    url: Annotated[str, Mark.OUTPUT] = ""
    revision: Annotated[str, Mark.OUTPUT] = ""
    message: Annotated[Any, Mark.OUTPUT] = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        return self.service

    @property
    def resource_name(self) -> str:
        """``projects/P/locations/R/services/S``."""
        return f"projects/{self.project_id}/locations/{self.location}/services/{self.service}"

    @property
    def console_url(self) -> str:
        where = f"{self.location}/{self.service}/metrics?project={self.project_id}"
        return f"https://console.cloud.google.com/run/detail/{where}"

    @property
    def permissions(self) -> Permissions:
        return Permissions(
            read=("run.services.get",),
            create=("run.services.create", "run.operations.get"),
            update=("run.services.update", "run.operations.get"),
            delete=("run.services.delete", "run.operations.get"),
        )

    @property
    def own_policy(self) -> str:
        return self.resource_name

    @property
    def acts_as(self) -> str:
        return self.service_account

    def needs(self, action: str) -> tuple[Need, ...]:
        """Whoever deploys an image must be allowed to read it, says cloud.google.com/run/docs/deploying."""
        stored = _STORED_IMAGE.match(self.image)
        if stored is None or stored["project"] != self.project_id or action not in {"create", "update"}:
            return super().needs(action)
        repository = f"projects/{self.project_id}/locations/{stored['location']}/repositories/{stored['repository']}"
        return (*super().needs(action), Need("artifactregistry.repositories.downloadArtifacts", repository))

    def read(self, google: Google) -> Self | None:
        from google.cloud import run_v2

        request = run_v2.GetServiceRequest(name=self.resource_name)
        message = None
        for _ in google.poll(RECONCILING_SECONDS, begun=False):
            message = google.find(google.run.get_service, request)
            if message is None or not is_changing(message):
                break
        return self.canonical(message) if message is not None else None

    def create(self, google: Google) -> Self:
        from google.cloud import run_v2

        request = run_v2.CreateServiceRequest(
            parent=self.resource_name.partition("/services/")[0],
            service_id=self.service,
            service=self._write_into(run_v2.Service()),
        )
        return self._finished(google, google.write(google.run.create_service, request))

    def update(self, google: Google, actual: Self) -> Self:
        """The settings, and then the traffic: where it is pinned, as after a rollback, it stays so until all is ready.

        Else a new revision that does not become ready would give the traffic to the one that was rolled back.
        """
        changed = {field.name for field in diff(self, actual)}
        if changed != {_TRAFFIC}:
            actual = self._update_settings(google, actual)
        return self._move_traffic(google, actual) if _TRAFFIC in changed else actual

    def _update_settings(self, google: Google, actual: Self) -> Self:
        from google.cloud import run_v2

        traffic = list(actual.message.traffic)
        service = self._write_into(copy.deepcopy(actual.message))
        service.traffic = traffic
        if not actual.ready:
            # An unchanged template makes no new revision, and one that failed stays failed.
            service.template.annotations[RETRIED] = str(service.generation)
        operation = google.write(google.run.update_service, run_v2.UpdateServiceRequest(service=service))
        return self._finished(google, operation, serving=_serving(actual.message))

    def _move_traffic(self, google: Google, actual: Self) -> Self:
        from google.cloud import run_v2
        from google.protobuf import field_mask_pb2

        service = run_v2.Service(
            name=self.resource_name, etag=actual.message.etag, traffic=self._targets(actual.message.traffic)
        )
        request = run_v2.UpdateServiceRequest(service=service, update_mask=field_mask_pb2.FieldMask(paths=[_TRAFFIC]))
        operation = google.write(google.run.update_service, request)
        try:
            return self._finished(google, operation)
        except GoogleError as error:
            # The newest revision may have failed long ago, and the operation then say so, though the traffic has moved.
            moved = self.read(google) if error.is_of_operation else None
            if moved is None or _serving(moved.message) != self.traffic:
                raise
            return moved

    def delete(self, google: Google) -> None:
        from google.cloud import run_v2

        operation = google.remove(google.run.delete_service, run_v2.DeleteServiceRequest(name=self.resource_name))
        if operation is not None:
            google.finish(google.run, operation, run_v2.Service)

    def _finished(self, google: Google, operation: Any, *, serving: str = "") -> Self:
        """The service when the operation is done.

        :param serving: the revisions that have served until now, and go on where the new one does not become ready.
        """
        from google.cloud import run_v2

        try:
            return self.canonical(google.finish(google.run, operation, run_v2.Service))
        except GoogleError as error:
            if serving and error.is_of_operation and error.status != "DEADLINE_EXCEEDED":
                error.aftermath = f"What served before goes on serving: {serving}."
            if error.is_of_operation and not _NOT_STARTED.search(error.said):
                error.log_source = self.log_source(self._failed_revision(google, error.said))
                error.metadata["log_url"] = error.log_url = error.log_source.url
            raise

    def log_source(self, revision: str, since: datetime.datetime | None = None) -> RevisionLog:
        """The log of a revision; of all of them where it is empty.

        :param since: as of every log.
        """
        from octue_action.logs import RevisionLog

        return RevisionLog(
            project_id=self.project_id, location=self.location, service=self.service, revision=revision, since=since
        )

    def _failed_revision(self, google: Google, said: str) -> str:
        """The revision that did not become ready; empty where that cannot be seen.

        :param said: Cloud Run's words, which name it as a rule.
        """
        from google.cloud import run_v2

        if named := re.search(r"Revision '([\w-]+)'", said):
            return named[1]
        with contextlib.suppress(Failure):
            service = google.find(google.run.get_service, run_v2.GetServiceRequest(name=self.resource_name))
            return str(service.latest_created_revision).rpartition("/")[2] if service is not None else ""
        return ""

    @property
    def passing(self) -> tuple[Quirk, ...]:
        new = (SERVICE_ACCOUNT_NOT_YET_USABLE,) if self.account_may_be_new else ()
        return (CLOUD_RUN_AGENT_NOT_READY, *new)

    def canonical(self, service: run_v2.Service) -> Self:
        """The service as Cloud Run gives it, in the form of this one."""
        template, container = service.template, next(iter(service.template.containers), None)
        variables = list(container.env) if container else []
        limits = dict(container.resources.limits) if container else {}
        generation = template.execution_environment.name.removeprefix("EXECUTION_ENVIRONMENT_").lower()
        return replace(
            self,
            image=container.image if container else "",
            command=tuple(container.command) if container else (),
            args=tuple(container.args) if container else (),
            service_account=template.service_account,
            ingress=_INGRESS_NAMES.get(service.ingress.name, str(service.ingress.name)),
            needs_token=not service.invoker_iam_disabled,
            environment={v.name: v.value for v in variables if not v.value_source.secret_key_ref.secret},
            secrets={
                v.name: f"{ref.secret}:{ref.version}"
                for v in variables
                if (ref := v.value_source.secret_key_ref).secret
            },
            memory=bytes_of(limits.get("memory", "512Mi")),
            cpu=cpus_of(limits.get("cpu", "1000m")),
            concurrency=template.max_instance_request_concurrency,
            timeout=_seconds(template.timeout),
            min_instances=template.scaling.min_instance_count,
            max_instances=template.scaling.max_instance_count,
            execution_environment=generation if generation != "unspecified" else None,
            traffic=_traffic_of(service),
            ready=_is_ready(service),
            labels=(labels := dict(service.labels)),
            url=service.uri,
            revision=_serving(service),
            ours=is_ours(labels, self.labels),
            message=service,
        )

    def _write_into(self, service: run_v2.Service) -> run_v2.Service:
        """Set what is ours in a service, and leave what is not."""
        from google.cloud import run_v2
        from google.protobuf import duration_pb2

        service.name = self.resource_name if service.uid else ""
        service.client = CLIENT
        service.labels = {**service.labels, **self.labels}
        service.ingress = getattr(run_v2.IngressTraffic, f"INGRESS_TRAFFIC_{_INGRESS[self.ingress]}")
        service.invoker_iam_disabled = not self.needs_token
        service.traffic = self._targets(service.traffic)
        template = service.template
        template.revision = ""  # sent back, it would name a revision that exists already
        template.service_account = self.service_account
        template.timeout = duration_pb2.Duration(seconds=self.timeout)
        template.max_instance_request_concurrency = self.concurrency
        template.scaling.min_instance_count = self.min_instances
        template.scaling.max_instance_count = self.max_instances
        if self.execution_environment:
            template.execution_environment = getattr(
                run_v2.ExecutionEnvironment, f"EXECUTION_ENVIRONMENT_{self.execution_environment.upper()}"
            )
        if not template.containers:
            # Cloud Run's own default, which it drops where limits are given (run_v2.ResourceRequirements.cpu_idle):
            # the CPU is there, and paid for, while a question is answered.
            template.containers = [run_v2.Container(resources=run_v2.ResourceRequirements(cpu_idle=True))]
        self._write_into_container(template.containers[0])
        return service

    def _targets(self, existing: Iterable[run_v2.TrafficTarget]) -> list[run_v2.TrafficTarget]:
        """All traffic to where it belongs, and the tags that are there without any."""
        from google.cloud import run_v2

        kind = "LATEST" if self.traffic == LATEST else "REVISION"
        target = run_v2.TrafficTarget(
            type_=getattr(run_v2.TrafficTargetAllocationType, f"TRAFFIC_TARGET_ALLOCATION_TYPE_{kind}"),
            revision="" if self.traffic == LATEST else self.traffic,
            percent=100,
        )
        return [target, *(_without_share(target) for target in existing if target.tag)]

    def _write_into_container(self, container: run_v2.Container) -> None:
        from google.cloud import run_v2

        container.image = self.image
        container.command, container.args = list(self.command), list(self.args)
        variables = [
            *(run_v2.EnvVar(name=name, value=value) for name, value in self.environment.items()),
            *(_secret_variable(name, secret) for name, secret in self.secrets.items()),
        ]
        # In the order that is there: another order alone would make a new revision.
        order = {variable.name: position for position, variable in enumerate(container.env)}
        container.env = sorted(variables, key=lambda variable: order.get(variable.name, len(order)))
        limits = dict(container.resources.limits)
        if bytes_of(limits.get("memory", "0")) != self.memory:
            limits["memory"] = str(self.memory)
        if cpus_of(limits.get("cpu", "0")) != self.cpu:
            limits["cpu"] = f"{int(self.cpu * 1000)}m"
        container.resources.limits = limits


_INGRESS = {"internal": "INTERNAL_ONLY", "all": "ALL"}
_INGRESS_NAMES = {f"INGRESS_TRAFFIC_{value}": name for name, value in _INGRESS.items()}


def is_changing(service: run_v2.Service) -> bool:
    """Whether somebody's change, or deletion, is not done yet."""
    return bool(service.reconciling or service.delete_time)


def bytes_of(quantity: str) -> Memory:
    """A Kubernetes quantity such as ``512Mi`` as the amount of memory that it is.

    :raises ValueError: for anything else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(|[kMG]|[KMG]i)", quantity)
    if match is None:
        raise ValueError(f"{quantity!r} is no amount of memory")
    return Memory(Decimal(match[1]) * _BYTES[match[2]])


def cpus_of(quantity: str) -> Decimal:
    """A Kubernetes quantity such as ``1000m`` or ``1`` in CPUs."""
    return Decimal(quantity.removesuffix("m")) / (1000 if quantity.endswith("m") else 1)


def _secret_variable(name: str, secret: str) -> run_v2.EnvVar:
    from google.cloud import run_v2

    path, _, version = secret.rpartition(":")
    reference = run_v2.SecretKeySelector(secret=path, version=version)
    return run_v2.EnvVar(name=name, value_source=run_v2.EnvVarSource(secret_key_ref=reference))


def _without_share(target: run_v2.TrafficTarget) -> run_v2.TrafficTarget:
    kept = copy.deepcopy(target)
    kept.percent = 0
    return kept


def _seconds(duration: Any) -> int:
    """proto-plus gives a ``timedelta`` where the client library declares a protobuf ``Duration``."""
    return int(duration.total_seconds())


def _traffic_of(service: run_v2.Service) -> str:
    """Where the traffic goes; tags that get none of it do not count."""
    shares = [(t.revision.rpartition("/")[2] or LATEST, t.percent) for t in service.traffic if t.percent]
    if not shares:
        return LATEST
    if shares[0][1] == _ALL:
        return shares[0][0]
    return ", ".join(f"{percent} % {revision}" for revision, percent in shares)


def _serving(service: run_v2.Service | None) -> str:
    """The revisions that get traffic; a share for the latest names none, and is the latest ready one's."""
    if service is None:
        return ""
    shares = [status for status in service.traffic_statuses if status.percent]
    revisions = [status.revision or service.latest_ready_revision for status in shares]
    return ", ".join(dict.fromkeys(revision.rpartition("/")[2] for revision in revisions if revision))


def _is_ready(service: run_v2.Service) -> bool:
    return (
        service.terminal_condition.state.name == "CONDITION_SUCCEEDED"
        and not service.reconciling
        and service.observed_generation == service.generation
    )
