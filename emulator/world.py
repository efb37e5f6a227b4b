"""Everything there is in the local cloud: its settings, its state and the services that work on it."""

from __future__ import annotations

import http.client
import urllib.parse
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from emulator import project_setup
from emulator.access import Access
from emulator.clock import Clock
from emulator.faults import Faults
from emulator.latencies import Delays, Latencies
from emulator.operations import Operations
from emulator.policies import Policies
from emulator.propagation import Propagation
from emulator.requests import Requests
from emulator.services.artifact_registry import ArtifactRegistry
from emulator.services.cloud_build import CloudBuild
from emulator.services.cloud_run import CloudRun
from emulator.services.eventarc import Eventarc
from emulator.services.github import GitHub
from emulator.services.iam import Iam
from emulator.services.iam_credentials import IamCredentials
from emulator.services.logging import Logging
from emulator.services.operations import OperationsApi
from emulator.services.pubsub import PubSub
from emulator.services.resource_manager import Projects
from emulator.services.service_usage import ServiceUsage
from emulator.services.sts import Sts
from emulator.services.workload_identity import WorkloadIdentity
from emulator.tokens import Tokens

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_DELIVERY_SECONDS = 3600.0


@dataclass(frozen=True, kw_only=True)
class WorldSettings:
    """What the local cloud is like.

    :param state: folder for images, builds and logs.
    :param cache: folder for built layers, kept between runs.
    :param project_id: the one project.
    :param project_number: its number, decimal digits.
    :param region: where people here work; other regions exist too.
    :param repositories: local git repository (bare or with a work tree) of each GitHub repository, ``owner/name``.
    :param trusted_repository: ``owner/name`` of the repository that may impersonate the deployer account; the first of
        ``repositories`` where empty.
    :param repository_visibility: of all repositories, ``public`` or ``private``; what is public can be read by anybody.
    :param seconds: how long each kind of operation takes, ``{"cloud_run create": 0.2}``.
    :param startup_seconds: how long a container may take until it listens, at most; as its start-up probe says, four
        minutes as a rule, where ``None``.
    :param idle_seconds: a Cloud Run instance without requests for that long is stopped.
    :param instance_pubsub_host: the ``PUBSUB_EMULATOR_HOST`` that Cloud Run's processes get; this emulator's own
        address where ``None``.
    :param hollow: whether nothing is built and started, for measuring: images are empty, builds run no program, and
        revisions are ready without a container and answer no request.
    :param latencies: how long calls from outside take on their way and back.
    :param leaps: whether time that everybody only waits through is skipped.
    :param propagation: how long it takes until what was made is seen.
    :param is_set_up: whether the project's owner has let the trusted repository in already: pool and provider, deployer
        with its role, Octue's role, APIs switched on, their agents there. Else only the owner is there,
        ``user:owner@example.com``, and the APIs are on that Google has on in every new project.
    :param connected_repositories: ``owner/name`` of those of ``repositories`` that Cloud Build knows; where ``None``,
        all of a project that is set up, and none of another.
    """

    state: Path
    cache: Path
    project_id: str = "my-project"
    project_number: str = "123456789012"
    region: str = "europe-west1"
    repositories: Mapping[str, Path] = field(default_factory=dict)
    trusted_repository: str = ""
    repository_visibility: str = "public"
    seconds: Mapping[str, float] = field(default_factory=dict)
    startup_seconds: float | None = None
    idle_seconds: float = 30.0
    instance_pubsub_host: str | None = None
    hollow: bool = False
    latencies: Latencies = field(default_factory=Latencies)
    leaps: bool = False
    propagation: Propagation = field(default_factory=Propagation)
    is_set_up: bool = True
    connected_repositories: Collection[str] | None = None

    @property
    def trusted(self) -> str:
        """``owner/name`` of the repository that the seeded provider and deployer account trust."""
        return self.trusted_repository or next(iter(self.repositories), "my-org/my-repository")

    @property
    def connected(self) -> Collection[str]:
        """``owner/name`` of the repositories that Cloud Build knows from the beginning."""
        if self.connected_repositories is not None:
            return self.connected_repositories
        return list(self.repositories) if self.is_set_up else ()


class World:
    """The local cloud, without the server in front of it.

    :param settings: what it is like.
    """

    def __init__(self, settings: WorldSettings) -> None:
        self.settings = settings
        self.address = ""
        self.clock = Clock(leaps=settings.leaps)
        self.propagation = settings.propagation
        self.operations = Operations(self.clock, settings.seconds)
        self.tokens = Tokens(self.clock)
        self.policies = Policies(self)
        self.access = Access(self)
        self.requests = Requests()
        self.faults = Faults(self)
        self.delays = Delays(self, settings.latencies)
        self.github = GitHub(self)
        self.service_usage = ServiceUsage(self)
        self.workload_identity = WorkloadIdentity(self)
        self.sts = Sts(self)
        self.iam_credentials = IamCredentials(self)
        self.iam = Iam(self)
        self.projects = Projects(self)
        self.operations_api = OperationsApi(self)
        self.logging = Logging(self)
        self.artifact_registry = ArtifactRegistry(self)
        self.pubsub = PubSub(self)
        self.eventarc = Eventarc(self)
        self.cloud_build = CloudBuild(self)
        self.cloud_run = CloudRun(self)
        if settings.is_set_up:
            project_setup.set_up(self)

    @property
    def base_url(self) -> str:
        """Where the emulator is reached over HTTP; known once it is served."""
        return f"http://{self.address}"

    @property
    def services(self) -> list[Any]:
        """The objects whose methods answer RPCs; an API of several gRPC services has one for each."""
        owners = (
            self.service_usage,
            self.workload_identity,
            self.iam_credentials,
            self.iam,
            self.projects,
            self.operations_api,
            self.logging,
            self.artifact_registry,
            self.pubsub,
            self.eventarc,
            self.cloud_build,
            self.cloud_run,
        )
        return [service for owner in owners for service in getattr(owner, "services", (owner,))]

    def deliver(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Post a message as Pub/Sub does and give the HTTP status; 502 where nobody answers.

        :param url: a Cloud Run service's, or one on this machine.
        """
        with self.clock.working():
            return self._deliver(url, headers, body)

    def _deliver(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        target = urllib.parse.urlsplit(url)
        host = target.hostname or ""
        path = urllib.parse.urlunsplit(("", "", target.path or "/", target.query, ""))
        if host.endswith(".run.app"):
            return self.cloud_run.request(host, "POST", path, headers, body, internal=True).status
        if target.scheme != "http" or host not in _LOOPBACK:
            return HTTPStatus.BAD_GATEWAY
        connection = http.client.HTTPConnection(host, target.port or 80, timeout=_DELIVERY_SECONDS)
        try:
            connection.request("POST", path, body, dict(headers))
            return connection.getresponse().status
        except OSError:
            return HTTPStatus.BAD_GATEWAY
        finally:
            connection.close()

    def close(self) -> None:
        """Stop every process and thread of the services."""
        self.faults.close()
        self.operations.close()
        self.pubsub.close()
        self.cloud_build.close()
        self.cloud_run.close()
        self.clock.close()
