"""Service Usage: which APIs are switched on in the project, and the agents with which they work.

Reference: https://cloud.google.com/service-usage/docs/reference/rest and, of agents,
https://cloud.google.com/iam/docs/create-service-agents.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from google.cloud import service_usage_v1
from google.longrunning import operations_pb2
from google.rpc import error_details_pb2

from emulator import apis
from emulator.errors import failed_precondition, invalid_argument, permission_denied, service_disabled
from emulator.messages import GenerateServiceIdentityRequest, OperationMetadata, ServiceIdentity
from emulator.operations import raw
from emulator.rpc import Call

if TYPE_CHECKING:
    from emulator.world import World

State = service_usage_v1.State

_MOST_ENABLED_AT_ONCE = 20
_MOST_READ_AT_ONCE = 30
_LARGEST_PAGE = 200
_USUAL_PAGE = 50
_FILTERS = {
    "": {State.ENABLED, State.DISABLED},
    "state:ENABLED": {State.ENABLED},
    "state:DISABLED": {State.DISABLED},
}
_NOOP = "operations/noop.DONE_OPERATION"


class ServiceUsage:
    """``google.api.serviceusage.v1.ServiceUsage``; begins with the APIs that are on in every new project.

    :param world: the local cloud.
    """

    SERVICES: ClassVar[tuple[str, ...]] = ("google.api.serviceusage.v1.ServiceUsage",)

    def __init__(self, world: World) -> None:
        self._world = world
        self._enabled = {name for name, api in apis.APIS.items() if api.on_by_default}
        self._agents: dict[str, ServiceIdentity] = {}
        self._lock = threading.RLock()
        self.services = (self, ServiceIdentities(world, self))

    # What others ask

    def check(self, name: str, called_for: Any) -> None:
        """Refuse a call of an API that is switched off.

        :param name: full name of the method.
        :param called_for: its request.
        :raises ApiError: PERMISSION_DENIED, SERVICE_DISABLED.
        """
        operation = self._world.operations.kind(getattr(called_for, "name", ""))
        host = apis.of_method(name, resource=getattr(called_for, "resource", ""), operation=operation)
        if host is not None and not self.is_enabled(host):
            raise service_disabled(host, apis.APIS[host].title, self._world.settings.project_number)

    def is_enabled(self, host: str) -> bool:
        """Whether an API is switched on.

        :param host: its name, ``run.googleapis.com``.
        """
        with self._lock:
            return host in self._enabled

    def enable(self, *hosts: str) -> None:
        """Switch APIs on; the agents of those that have theirs from then on are made, and get their roles."""
        with self._lock:
            self._enabled.update(hosts)
        for host in hosts:
            agent = apis.APIS[host].agent
            if agent is not None and agent.made_when_enabled:
                self.use(host)

    def disable(self, *hosts: str) -> None:
        """Switch APIs off; their agents stay."""
        with self._lock:
            self._enabled.difference_update(hosts)

    def use(self, host: str) -> None:
        """Begin to use an API: its agent is made and gets its role, where it is not there yet."""
        agent = apis.APIS[host].agent
        if agent is None or self.knows_agent(agent.email(self._world.settings.project_number)):
            return
        project = self._world.projects.name
        policy = self._world.policies.get(project)
        policy.bindings.add(role=agent.role, members=[f"serviceAccount:{self.make_agent(host).email}"])
        self._world.policies.seed(project, policy)

    def make_agent(self, host: str) -> ServiceIdentity:
        """The agent of an API, made where it is not there yet; it gets no role by this.

        :param host: of an API that has one.
        """
        agent = apis.APIS[host].agent
        if agent is None:
            raise ValueError(f"{host} has no agent")
        email = agent.email(self._world.settings.project_number)
        unique_id = "1" + "".join(secrets.choice("0123456789") for _ in range(20))
        with self._lock:
            return self._agents.setdefault(email, ServiceIdentity(email=email, unique_id=unique_id))

    def knows_agent(self, email: str) -> bool:
        """Whether the agent of an API is there."""
        with self._lock:
            return email in self._agents

    def is_agent(self, email: str) -> bool:
        """Whether an address is that of an API's agent in this project, be it there or not."""
        number = self._world.settings.project_number
        return any(api.agent is not None and api.agent.email(number) == email for api in apis.APIS.values())

    # Methods

    def get_service(self, request: service_usage_v1.GetServiceRequest, call: Call) -> service_usage_v1.Service:
        """One API, and whether it is on."""
        (host,) = self.known([request.name])
        return self._service(host)

    def batch_get_services(
        self, request: service_usage_v1.BatchGetServicesRequest, call: Call
    ) -> service_usage_v1.BatchGetServicesResponse:
        """Up to 30 APIs."""
        self._check_project(request.parent)
        if len(request.names) > _MOST_READ_AT_ONCE:
            raise invalid_argument(f"At most {_MOST_READ_AT_ONCE} services can be read at once.")
        hosts = self.known(request.names)
        return service_usage_v1.BatchGetServicesResponse(services=[self._service(host) for host in hosts])

    def list_services(
        self, request: service_usage_v1.ListServicesRequest, call: Call
    ) -> service_usage_v1.ListServicesResponse:
        """The APIs, those that are on or off where the filter says so."""
        self._check_project(request.parent)
        if request.filter not in _FILTERS:
            raise invalid_argument(f"Invalid filter '{request.filter}': state:ENABLED or state:DISABLED are allowed.")
        if request.page_size > _LARGEST_PAGE:
            raise invalid_argument(f"The page size may not be larger than {_LARGEST_PAGE}.")
        listed = [self._service(host) for host in sorted(apis.APIS)]
        found = [service for service in listed if service.state in _FILTERS[request.filter]]
        first = int(request.page_token or 0)
        end = first + (request.page_size or _USUAL_PAGE)
        return service_usage_v1.ListServicesResponse(
            services=found[first:end], next_page_token=str(end) if end < len(found) else ""
        )

    def enable_service(self, request: service_usage_v1.EnableServiceRequest, call: Call) -> operations_pb2.Operation:
        """Switch one API on."""
        (host,) = self.known([request.name])

        def answer() -> Any:
            return service_usage_v1.EnableServiceResponse(service=self._service(host))

        return self._enable([host], answer)

    def batch_enable_services(
        self, request: service_usage_v1.BatchEnableServicesRequest, call: Call
    ) -> operations_pb2.Operation:
        """Switch up to 20 APIs on, all or none."""
        self._check_project(request.parent)
        if not request.service_ids:
            raise invalid_argument("At least one service must be named.")
        if len(request.service_ids) > _MOST_ENABLED_AT_ONCE:
            raise invalid_argument(f"At most {_MOST_ENABLED_AT_ONCE} services can be enabled at once.")
        hosts = self.known([f"{request.parent}/services/{host}" for host in request.service_ids])

        def answer() -> Any:
            return service_usage_v1.BatchEnableServicesResponse(services=[self._service(host) for host in hosts])

        return self._enable(hosts, answer)

    def disable_service(self, request: service_usage_v1.DisableServiceRequest, call: Call) -> operations_pb2.Operation:
        """Switch one API off."""
        (host,) = self.known([request.name])
        if not self.is_enabled(host):
            raise failed_precondition(f"Service {host} is not enabled for the consumer {self._consumer}.")

        def work() -> Any:
            self.disable(host)
            return raw(service_usage_v1.DisableServiceResponse(service=self._service(host)))

        return self._world.operations.start(
            _operation("acf"), "service_usage disable", work, metadata=lambda: self._metadata([host])
        )

    # Parts

    @property
    def _consumer(self) -> str:
        return f"projects/{self._world.settings.project_number}"

    def _enable(self, hosts: list[str], answer: Any) -> operations_pb2.Operation:
        if all(map(self.is_enabled, hosts)):
            done = operations_pb2.Operation(name=_NOOP, done=True)
            done.response.Pack(raw(answer()))
            return done

        def work() -> Any:
            self.enable(*hosts)
            return raw(answer())

        return self._world.operations.start(
            _operation("acat"), "service_usage enable", work, metadata=lambda: self._metadata(hosts)
        )

    def _metadata(self, hosts: Iterable[str]) -> Any:
        return raw(
            service_usage_v1.OperationMetadata(resource_names=[f"services/{host}/{self._consumer}" for host in hosts])
        )

    def _service(self, host: str) -> service_usage_v1.Service:
        return service_usage_v1.Service(
            name=f"{self._consumer}/services/{host}",
            parent=self._consumer,
            config=service_usage_v1.ServiceConfig(name=host, title=apis.APIS[host].title),
            state=State.ENABLED if self.is_enabled(host) else State.DISABLED,
        )

    def _check_project(self, parent: str) -> None:
        if parent not in {self._consumer, f"projects/{self._world.settings.project_id}"}:
            raise permission_denied("The caller does not have permission")

    def known(self, names: Iterable[str]) -> list[str]:
        """The APIs that are named, ``projects/P/services/S``.

        :raises ApiError: PERMISSION_DENIED where one of them is not there.
        """
        hosts = []
        for name in names:
            parent, _, host = name.partition("/services/")
            self._check_project(parent)
            hosts.append(host)
        unknown = [host for host in hosts if host not in apis.APIS]
        if unknown:
            services = ",".join(unknown)
            raise permission_denied(
                f"Not found or permission denied for service(s): {services}.",
                error_details_pb2.ErrorInfo(
                    reason="SERVICE_CONFIG_NOT_FOUND_OR_PERMISSION_DENIED",
                    domain="serviceusage.googleapis.com",
                    metadata={"services": services},
                ),
            )
        return hosts


class ServiceIdentities:
    """``google.api.serviceusage.v1beta1.ServiceUsage``, of which people need one method.

    :param world: the local cloud.
    :param usage: who has the agents.
    """

    SERVICES: ClassVar[tuple[str, ...]] = ("google.api.serviceusage.v1beta1.ServiceUsage",)

    def __init__(self, world: World, usage: ServiceUsage) -> None:
        self._world = world
        self._usage = usage

    def generate_service_identity(
        self, request: GenerateServiceIdentityRequest, call: Call
    ) -> operations_pb2.Operation:
        """The agent of an API, made where it is not there yet; Google grants it nothing then."""
        (host,) = self._usage.known([request.parent])
        if apis.APIS[host].agent is None:
            raise invalid_argument(f"Service {host} does not have a service identity.")

        def work() -> Any:
            return raw(self._usage.make_agent(host))

        return self._world.operations.start(
            _operation("finished.DONE_OPERATION"),
            "service_usage identity",
            work,
            metadata=lambda: raw(OperationMetadata()),
        )


def _operation(prefix: str) -> str:
    return f"operations/{prefix}.{secrets.token_hex(12)}"
