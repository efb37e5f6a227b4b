"""Google's own ``gcloud``, led through what an owner does once, against the emulator: it reads our answers as it reads
the real ones, and refuses what it does not understand.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emulator.server import Emulator
from emulator.world import WorldSettings
from tests.emulator.calls import OWNER

APIS = ("cloudresourcemanager", "iam", "iamcredentials", "serviceusage")
POOL = ["--location=global", "--workload-identity-pool=github"]
AGENT = "service-123456789012@gcp-sa-eventarc.iam.gserviceaccount.com"
CONDITION = "assertion.repository_id == '1'"


@pytest.fixture
def new(settings: WorldSettings) -> Iterator[Emulator]:
    with Emulator(replace(settings, is_set_up=False)) as emulator:
        yield emulator


@pytest.fixture
def gcloud(new: Emulator, tmp_path: Path) -> Callable[..., Any]:
    """Runs gcloud as the project's owner, and gives what it answers, or fails with what it says."""
    program = shutil.which("gcloud")
    if program is None:
        pytest.skip("NOT COMPARED with gcloud: it is not on this machine")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
        "CLOUDSDK_AUTH_ACCESS_TOKEN": new.world.tokens.issue_access_token(OWNER),
        "CLOUDSDK_CORE_PROJECT": "my-project",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
    } | {
        f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api.upper()}": f"{new.world.base_url}/{api}.googleapis.com/" for api in APIS
    }

    def run(*arguments: str) -> Any:
        ended = subprocess.run(
            [program, *arguments, "--format=json"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if ended.returncode:
            raise AssertionError(ended.stderr)
        return json.loads(ended.stdout or "null")

    return run


@pytest.mark.witness
def test_gcloud_sets_a_project_up(gcloud: Callable[..., Any], new: Emulator) -> None:
    world = new.world
    with pytest.raises(AssertionError, match="SERVICE_DISABLED"):
        gcloud("iam", "roles", "list", "--project=my-project")

    gcloud("services", "enable", *(f"{api}.googleapis.com" for api in (*APIS, "eventarc", "run", "sts")))
    listed = gcloud("services", "list", "--enabled")
    assert {service["config"]["name"] for service in listed} == set(world.service_usage.enabled())

    gcloud("beta", "services", "identity", "create", "--service=eventarc.googleapis.com")
    role = ["--role=roles/eventarc.serviceAgent", "--condition=None"]
    gcloud("projects", "add-iam-policy-binding", "my-project", f"--member=serviceAccount:{AGENT}", *role)
    assert world.service_usage.has_role("eventarc.googleapis.com")
    other = f"--member=serviceAccount:{AGENT.replace('eventarc', 'pubsub')}"
    with pytest.raises(AssertionError, match=r"gcp-sa-pubsub\S+ does not exist"):
        gcloud("projects", "add-iam-policy-binding", "my-project", other, *role)

    pools = ("iam", "workload-identity-pools")
    gcloud(*pools, "create", "github", "--location=global", "--display-name=GitHub")
    with pytest.raises(AssertionError, match="ALREADY_EXISTS"):
        gcloud(*pools, "create", "github", "--location=global")
    oidc = [*POOL, "--issuer-uri=https://token.actions.githubusercontent.com"]
    mapping = "google.subject=assertion.sub,attribute.repository_id=assertion.repository_id"
    with pytest.raises(AssertionError, match="The attribute condition must reference one of the provider's claims"):
        gcloud(*pools, "providers", "create-oidc", "octue", *oidc, f"--attribute-mapping={mapping}")
    gcloud(
        *(*pools, "providers", "create-oidc", "octue", *oidc),
        f"--attribute-mapping={mapping}",
        f"--attribute-condition={CONDITION}",
    )
    found = gcloud(*pools, "providers", "describe", "octue", *POOL)
    assert found["attributeCondition"] == CONDITION
    assert found["state"] == "ACTIVE"

    roles = ("iam", "roles")
    with pytest.raises(AssertionError, match=r"Permission run\.services\.gett is not valid\."):
        gcloud(*roles, "create", "mine", "--project=my-project", "--permissions=run.services.gett")
    gcloud(*roles, "create", "mine", "--project=my-project", "--permissions=run.services.get")
    gcloud(*roles, "update", "mine", "--project=my-project", "--add-permissions=run.services.list")
    described = gcloud(*roles, "describe", "mine", "--project=my-project")
    assert described["includedPermissions"] == ["run.services.get", "run.services.list"]


@pytest.mark.witness
def test_gcloud_takes_back_what_it_has_deleted(gcloud: Callable[..., Any], new: Emulator) -> None:
    new.world.service_usage.enable("iam.googleapis.com")
    pools = ("iam", "workload-identity-pools")
    gcloud(*pools, "create", "github", "--location=global")

    gcloud(*pools, "delete", "github", "--location=global")
    assert gcloud(*pools, "list", "--location=global") == []
    (deleted,) = gcloud(*pools, "list", "--location=global", "--show-deleted")
    assert deleted["state"] == "DELETED"
    gcloud(*pools, "undelete", "github", "--location=global")

    assert gcloud(*pools, "describe", "github", "--location=global")["state"] == "ACTIVE"
