"""What Cloud Run fills into a service that leaves it open, and what it refuses: pure functions on messages."""

from __future__ import annotations

import re
from decimal import Decimal

from google.cloud import run_v2
from google.protobuf.duration_pb2 import Duration

from emulator.errors import invalid_argument

RESERVED_VARIABLES = {"K_CONFIGURATION", "K_REVISION", "K_SERVICE", "PORT"}
RESERVED_LABEL_DOMAINS = (
    "run.googleapis.com",
    "serving.knative.dev",
    "cloud.googleapis.com",
    "autoscaling.knative.dev",
)

_DEFAULT_PORT = 8080
_DEFAULT_TIMEOUT_SECONDS = 300
_LONGEST_TIMEOUT_SECONDS = 3600
_DEFAULT_CONCURRENCY = 80
_HIGHEST_CONCURRENCY = 1000
_DEFAULT_MAXIMUM = 100
_STARTUP_SECONDS = 240

_SERVICE_ID = re.compile(r"[a-z]([-a-z0-9]{0,47}[a-z0-9])?")
_LABEL_KEY = re.compile(r"[a-z][-_a-z0-9]{0,62}")
_LABEL_VALUE = re.compile(r"[-_a-z0-9]{0,63}")

_MEBIBYTE = 1024**2
_UNITS = {"": 1, "k": 1000, "M": 1000**2, "G": 1000**3, "Ki": 1024, "Mi": _MEBIBYTE, "Gi": 1024 * _MEBIBYTE}
# CPU: least and most memory, MiB. https://cloud.google.com/run/docs/configuring/services/memory-limits
_MEMORY_OF_CPU = {1: (128, 4096), 2: (128, 8192), 4: (2048, 16384), 6: (4096, 24576), 8: (4096, 32768)}
_LEAST_CPU = Decimal("0.08")
_LEAST_MEMORY_GEN2 = 512  # https://cloud.google.com/run/docs/about-execution-environments


def complete(template: run_v2.RevisionTemplate, default_service_account: str) -> None:
    """Fill in what the template leaves open, as the real Cloud Run answers show it.

    :param default_service_account: e-mail of the project's Compute Engine account.
    """
    template.scaling.max_instance_count = template.scaling.max_instance_count or _DEFAULT_MAXIMUM
    template.service_account = template.service_account or default_service_account
    template.max_instance_request_concurrency = template.max_instance_request_concurrency or _DEFAULT_CONCURRENCY
    if "timeout" not in template:
        run_v2.RevisionTemplate.pb(template).timeout.CopyFrom(Duration(seconds=_DEFAULT_TIMEOUT_SECONDS))
    for container in template.containers:
        _complete_container(container)


def _complete_container(container: run_v2.Container) -> None:
    if "resources" not in container:
        container.resources.cpu_idle = True  # a caller who gives resources says this too, or means false
    for name, limit in (("memory", "512Mi"), ("cpu", "1000m")):
        if name not in container.resources.limits:
            container.resources.limits[name] = limit
    if not container.ports:
        container.ports.append(run_v2.ContainerPort(name="http1", container_port=_DEFAULT_PORT))
    for port in container.ports:
        port.name = port.name or "http1"
    if "startup_probe" not in container:
        container.startup_probe = run_v2.Probe(
            timeout_seconds=_STARTUP_SECONDS,
            period_seconds=_STARTUP_SECONDS,
            failure_threshold=1,
            tcp_socket=run_v2.TCPSocketAction(port=container.ports[0].container_port),
        )


def timeout_seconds(template: run_v2.RevisionTemplate) -> float:
    """How long a request may take."""
    timeout: Duration = run_v2.RevisionTemplate.pb(template).timeout
    return timeout.ToTimedelta().total_seconds()


def startup_seconds(template: run_v2.RevisionTemplate) -> float:
    """How long a container may take until it listens."""
    probe = template.containers[0].startup_probe
    return float(probe.initial_delay_seconds + (probe.period_seconds or 10) * (probe.failure_threshold or 3))


def memory_bytes(template: run_v2.RevisionTemplate) -> int:
    """How much memory a container may use."""
    return int(_quantity("memory", template.containers[0].resources.limits["memory"]))


def check_service_id(service_id: str) -> None:
    """Refuse a name that Cloud Run does not take.

    :raises ApiError: INVALID_ARGUMENT.
    """
    if not _SERVICE_ID.fullmatch(service_id):
        raise invalid_argument(
            f"Violation in CreateServiceRequest.service_id: '{service_id}' must only contain lowercase alphanumeric "
            "characters and hyphens, begin with a letter, not end with a hyphen, and be less than 50 characters long."
        )


def check_service(service: run_v2.Service) -> None:
    """Refuse a service that Cloud Run does not take; defaults are filled in already.

    :raises ApiError: INVALID_ARGUMENT.
    """
    _check_labels("service.labels", dict(service.labels))
    _check_labels("service.template.labels", dict(service.template.labels))
    _check_traffic(service)
    template = service.template
    if not 1 <= timeout_seconds(template) <= _LONGEST_TIMEOUT_SECONDS:
        raise _refused("service.template.timeout", "the timeout must be between 1s and 3600s")
    if not 1 <= template.max_instance_request_concurrency <= _HIGHEST_CONCURRENCY:
        raise _refused("service.template.max_instance_request_concurrency", "must be between 1 and 1000")
    if template.scaling.min_instance_count > template.scaling.max_instance_count:
        raise _refused("service.template.scaling", "min_instance_count must not be greater than max_instance_count")
    if len(template.containers) != 1:
        raise _refused("service.template.containers", "the emulator runs services of exactly one container")
    _check_container(template)


def _check_container(template: run_v2.RevisionTemplate) -> None:
    container = template.containers[0]
    path = "service.template.containers[0]"
    if not container.image:
        raise _refused(f"{path}.image", "an image is required")
    names = [variable.name for variable in container.env]
    if reserved := sorted(RESERVED_VARIABLES.intersection(names)):
        raise _refused(
            f"{path}.env",
            f"The following reserved env names were provided: {', '.join(reserved)}. These values are automatically "
            "set by the system.",
        )
    if len(set(names)) != len(names):
        raise _refused(f"{path}.env", "an environment variable is given twice")
    _check_resources(template)


def _check_resources(template: run_v2.RevisionTemplate) -> None:
    limits = template.containers[0].resources.limits
    path = "service.template.containers[0].resources.limits"
    memory = _quantity(f"{path}.memory", limits["memory"]) / _MEBIBYTE
    cpu = _quantity(f"{path}.cpu", limits["cpu"])
    if template.execution_environment == run_v2.ExecutionEnvironment.EXECUTION_ENVIRONMENT_GEN2 and (
        memory < _LEAST_MEMORY_GEN2
    ):
        raise _refused(f"{path}.memory", "Total memory < 512 Mi is not supported with gen2 execution environment.")
    if cpu < 1:
        if cpu < _LEAST_CPU:
            raise _refused(f"{path}.cpu", "Invalid value specified for cpu. The minimum is 0.08.")
        if template.max_instance_request_concurrency != 1:
            raise _refused("service.template.max_instance_request_concurrency", "Total cpu < 1 needs concurrency 1.")
        least, most = 128, 512
    elif int(cpu) not in _MEMORY_OF_CPU or cpu != int(cpu):
        raise _refused(f"{path}.cpu", "Invalid value specified for cpu. It must be less than 1, or 1, 2, 4, 6 or 8.")
    else:
        least, most = _MEMORY_OF_CPU[int(cpu)]
    if not least <= memory <= most:
        raise _refused(
            f"{path}.memory",
            f"Invalid value specified for container memory. For {float(cpu)} CPU, memory must be between {least}Mi and "
            f"{most}Mi inclusive.",
        )


def _check_traffic(service: run_v2.Service) -> None:
    if sum(target.percent for target in service.traffic) != 100:  # noqa: PLR2004 - percent
        raise _refused("service.traffic", "Traffic percentages must add up to 100.")
    tags = [target.tag for target in service.traffic if target.tag]
    if len(set(tags)) != len(tags):
        raise _refused("service.traffic", "a tag is given twice")


def _check_labels(path: str, labels: dict[str, str]) -> None:
    for key, value in labels.items():
        if any(
            key == domain or key.endswith(f".{domain}") or key.startswith(f"{domain}/")
            for domain in RESERVED_LABEL_DOMAINS
        ):
            raise _refused(path, f"label '{key}' is in a reserved domain")
        if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
            raise _refused(
                path,
                f"label '{key}: {value}' is not valid. Label keys and values can be no longer than 63 characters, and "
                "can only contain lowercase letters, numeric characters, underscores and hyphens.",
            )


def _quantity(path: str, text: str) -> Decimal:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(m|k|[KMG]i?|)", text)
    if match is None or match[2] == "K":
        raise _refused(path, f"'{text}' is not a quantity, such as 512Mi or 1000m")
    if match[2] == "m":
        return Decimal(match[1]) / 1000
    return Decimal(match[1]) * _UNITS[match[2]]


def _refused(path: str, reason: str) -> Exception:
    return invalid_argument(f"Violation in {path}: {reason}")
