"""What is pruned from Google's libraries, held against the versions that are pinned."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import google.api_core
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from octue_action.pruned_imports import CREDENTIALS_VARIABLES, LEFT_OUT, OF_KEYS

ROOT = Path(__file__).parent.parent.parent
CLIENTS = {
    "google.cloud.artifactregistry_v1": "ArtifactRegistryClient",
    "google.cloud.devtools.cloudbuild_v1": "CloudBuildClient",
    "google.cloud.eventarc_v1": "EventarcClient",
    "google.cloud.iam_admin_v1": "IAMClient",
    "google.cloud.logging_v2.services.logging_service_v2": "LoggingServiceV2Client",
    "google.cloud.resourcemanager_v3": "ProjectsClient",
    "google.cloud.run_v2": "ServicesClient",
    "google.cloud.service_usage_v1": "ServiceUsageClient",
    "google.pubsub_v1": "PublisherClient",
}
"""The client of each package that the action uses."""

PACKAGES = [package for package in CLIENTS if not package.startswith("google.cloud.logging_v2")]

PRUNED = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from octue_action import pruned_imports
pruned_imports.install({{}})
"""


def run(program: str) -> str:
    """What a program prints that is run as the action is, in a process of its own."""
    command = [sys.executable, "-E", "-s", "-c", PRUNED + program]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def installed() -> set[str]:
    """The names of all modules of Google's and gRPC's libraries."""
    site = Path(google.api_core.__file__).parent.parent.parent
    files = (file for top in ("google", "grpc", "grpc_status") for file in (site / top).rglob("*.py"))
    return {".".join(file.relative_to(site).with_suffix("").parts).removesuffix(".__init__") for file in files}


@pytest.mark.parametrize("pattern", [*LEFT_OUT, *OF_KEYS])
def test_each_thing_that_is_left_out_is_there_to_be_imported(pattern: str) -> None:
    assert any(re.fullmatch(pattern, module) for module in installed() | sys.stdlib_module_names)


@pytest.mark.parametrize("package", CLIENTS)
def test_each_client_can_be_made_and_calls_by_grpc(package: str) -> None:
    program = f"""
import grpc
from {package} import {CLIENTS[package]} as Client
Transport = Client.get_transport_class("grpc")
client = Client(transport=Transport(channel=grpc.insecure_channel("127.0.0.1:1")))
print(client.transport.kind)
"""
    assert run(program) == "grpc\n"


@pytest.mark.parametrize("package", PACKAGES)
def test_each_name_of_a_package_is_there_when_it_is_asked_for(package: str) -> None:
    program = f"""
import {package} as package
missing = [name for name in package.__all__ if getattr(package, name, None) is None]
other = [n for n in package.__all__ if isinstance(v := getattr(package, n), type) and v.__name__ != n]
print(missing, other, hasattr(package, "no_such_name"))
"""
    assert run(program) == "[] [] False\n"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_message_that_nobody_asks_for_is_not_imported(package: str) -> None:
    program = f"""
import {package}
print([name for name in sys.modules if name.startswith("{package}.services")])
"""
    assert run(program) == "[]\n"


def test_nothing_of_what_is_left_out_is_loaded_by_all_that_a_run_imports() -> None:
    imports = "\n".join(f"from {package} import {client}" for package, client in CLIENTS.items())
    program = f"""
import octue_action.main, octue_action.auth, octue_action.modes, octue_action.google
{imports}
loaded = [name for name, module in sys.modules.items() if getattr(module, "__file__", None)]
print([name for name in loaded if name.endswith(("async_client", "grpc_asyncio", "transports.rest", "_async"))])
print("cryptography" in sys.modules)
"""
    assert run(program) == "[]\nFalse\n"


@pytest.mark.parametrize("variable", CREDENTIALS_VARIABLES)
def test_a_key_in_a_credentials_file_can_still_sign(variable: str) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    info = {
        "client_email": "me@my-project.iam.gserviceaccount.com",
        "private_key": key.decode(),
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    with_file = PRUNED.replace("install({})", f"install({{{variable!r}: 'key.json'}})")
    program = f"""
from google.oauth2 import service_account
print(len(service_account.Credentials.from_service_account_info({info!r}).sign_bytes(b"text")))
"""
    command = [sys.executable, "-E", "-s", "-c", with_file + program]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "256\n"


def test_nothing_is_imported_before_it_can_be_pruned() -> None:
    assert run("print([name for name in sys.modules if name.startswith(('google.', 'grpc', 'asyncio'))])") == "[]\n"


def test_garbage_is_collected_again_once_all_is_imported() -> None:
    assert run("import gc; print(gc.isenabled()); pruned_imports.settle(); print(gc.isenabled())") == "False\nTrue\n"
