"""The Terraform module makes what ``octue_action.bootstrap`` makes: both are held against one list."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2
import pytest

from octue_action import permissions, project_setup
from octue_action.project_setup import ProjectSetup, attribute_condition, resources, step
from octue_action.resources.iam_member import IamMember
from octue_action.resources.iam_role import IamRole
from octue_action.resources.workload_identity_provider import WorkloadIdentityProvider
from tests.runs import ROOT

MODULE = ROOT / "examples" / "terraform"
OPTIONS = {
    "project_id": "my-project",
    "repository": "my-org/my-repository",
    "repository_id": "1296269",
    "owner_id": "583231",
    "region": "europe-west1",
}
SETUP = ProjectSetup(**OPTIONS, project_number="123456789012")  # type: ignore[arg-type]  # all of these are texts


def plain(value: Any) -> Any:
    """What a value says: texts without their quotes, lists and maps of such, without the parser's own notes."""
    if isinstance(value, str):
        return value[1:-1] if value.startswith('"') and value.endswith('"') else value
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items() if not key.startswith("__")}
    return value


def blocks(kind: str) -> Iterator[dict[str, Any]]:
    for file in sorted(MODULE.glob("*.tf")):
        with file.open() as stream:
            yield from map(plain, hcl2.load(stream).get(kind, ()))


@pytest.fixture(scope="module")
def made() -> dict[str, dict[str, Any]]:
    """What the module makes, by type and name with a dot between."""
    return {
        f"{kind}.{name}": body
        for block in blocks("resource")
        for kind, named in block.items()
        for name, body in named.items()
    }


@pytest.fixture(scope="module")
def listed() -> dict[str, Any]:
    """The module's locals."""
    return {name: value for block in blocks("locals") for name, value in block.items()}


def test_it_has_the_options_of_the_command_with_the_same_defaults() -> None:
    variables = {name: body for block in blocks("variable") for name, body in block.items()}
    fields = {it.name: it.default for it in ProjectSetup.__dataclass_fields__.values()}
    del fields["project_number"]  # which Terraform looks up
    assert variables.keys() == fields.keys()
    for name, body in variables.items():
        assert ("default" in body) == (name not in OPTIONS), name
        if "default" in body:
            assert body["default"] == ([] if name == "services" else fields[name]), name
        assert body["description"].endswith((".", "?")), name


def test_it_switches_on_the_same_apis(listed: dict[str, Any], made: dict[str, dict[str, Any]]) -> None:
    assert listed["apis"] == [*project_setup.APIS]
    assert made["google_project_service.this"]["disable_on_destroy"] is False


@pytest.mark.parametrize("destroys", [True, False])
def test_its_deployer_may_do_the_same(destroys: bool, listed: dict[str, Any]) -> None:
    may = {*listed["deployer_permissions"], *(listed["destroyer_permissions"] if destroys else ())}
    assert may == {*project_setup.deployers_permissions(destroys=destroys)}


def test_its_roles_are_the_same(listed: dict[str, Any], made: dict[str, dict[str, Any]]) -> None:
    roles = {it.role_id: it.role_title for it in resources(SETUP) if isinstance(it, IamRole)}
    own = [body for address, body in made.items() if address.startswith("google_project_iam_custom_role.")]
    assert {body["role_id"]: body["title"] for body in own} == roles
    assert listed["octue_service_permissions"] == [*permissions.OCTUE_SERVICE]
    assert listed["builder_roles"] == [*project_setup.BUILDER_ROLES]


def test_its_grants_are_the_same_and_replace_nobody_elses(made: dict[str, dict[str, Any]]) -> None:
    wanted = {it.role.rpartition("/")[2] for it in resources(SETUP) if isinstance(it, IamMember)}
    grants = {address: body for address, body in made.items() if "_iam_" in address and "custom_role" not in address}
    members = {address: body for address, body in grants.items() if "_iam_member." in address}
    pools = {address for address in grants if "_iam_workload_identity_pool" in address}
    assert grants.keys() == members.keys() | pools, "policies are added to, never replaced"
    given = {body["role"].rpartition("/")[2] for body in members.values()}
    of_locals = {"${google_project_iam_custom_role.deployer.name}", "${each.value}"}
    assert given - of_locals == wanted - {
        "octue_deployer",
        *(r.rpartition("/")[2] for r in project_setup.BUILDER_ROLES),
    }
    (condition,) = members["google_project_iam_member.deployer_grants"]["condition"]
    assert condition["title"] == permissions.GRANT_TITLE
    assert condition["expression"] == permissions.GRANT_CONDITION.format(octue_role="${local.octue_role}")


def test_it_lets_in_the_same(made: dict[str, dict[str, Any]]) -> None:
    provider = made["google_iam_workload_identity_pool_provider.octue"]
    (wanted,) = (it for it in resources(SETUP) if isinstance(it, WorkloadIdentityProvider))
    assert provider["attribute_mapping"] == wanted.attribute_mapping
    assert provider["oidc"] == [{"issuer_uri": wanted.issuer}]
    assert made["google_iam_workload_identity_pool.github"]["workload_identity_pool_id"] == project_setup.POOL
    (account,) = (body for address, body in made.items() if address == "google_service_account.builder")
    assert account["account_id"] == project_setup.BUILDER


def test_its_step_is_the_same() -> None:
    (output,) = (block["step"] for block in blocks("output") if "step" in block)
    inputs = re.compile(r"^ +(\w+):", re.MULTILINE)
    assert inputs.findall(output["value"]) == inputs.findall(step(SETUP))
    assert f"- uses: {project_setup.ACTION}" in output["value"]


@pytest.fixture(scope="module")
def terraform() -> str:
    found = shutil.which("terraform")
    if found is None:
        pytest.skip("SKIPPED LOUDLY: this machine has no Terraform, so only a parser has read the module")
    return found


def run(terraform: str, folder: Path, *arguments: str) -> str:
    command = [terraform, *arguments]
    variables = {**os.environ, "TF_CLI_ARGS_init": "-no-color"}
    done = subprocess.run(command, cwd=folder, env=variables, check=True, capture_output=True, text=True, timeout=120)
    return done.stdout


@pytest.mark.witness
def test_terraform_finds_it_formatted(terraform: str) -> None:
    assert run(terraform, MODULE, "fmt", "-check", "-recursive") == ""


@pytest.mark.witness
@pytest.mark.parametrize(
    ("pull_requests", "branch", "octue_role"),
    [*itertools.product([False, True], ["main", "release/v1"], ["", "organizations/1/roles/asker"])],
)
def test_terraform_evaluates_the_same_condition(
    terraform: str, tmp_path: Path, pull_requests: bool, branch: str, octue_role: str
) -> None:
    """Terraform itself, with all of the module that needs no provider."""
    main = (MODULE / "main.tf").read_text()
    values = re.search(r"^locals \{.*?^\}", main, re.MULTILINE | re.DOTALL)
    assert values is not None
    (tmp_path / "main.tf").write_text(
        f'{values.group()}\noutput "found" {{\n  value = [local.condition, local.octue_role]\n}}\n'
    )
    shutil.copy(MODULE / "variables.tf", tmp_path)
    given = {**OPTIONS, "pull_requests": pull_requests, "branch": branch, "octue_role": octue_role}
    (tmp_path / "terraform.tfvars.json").write_text(json.dumps(given))
    run(terraform, tmp_path, "init", "-backend=false", "-input=false")
    run(terraform, tmp_path, "apply", "-auto-approve", "-input=false")
    found = json.loads(run(terraform, tmp_path, "output", "-json", "found"))
    condition = attribute_condition(OPTIONS["owner_id"], OPTIONS["repository_id"], branch, pull_requests=pull_requests)
    assert found == [condition, octue_role or SETUP.granted_role]


@pytest.mark.witness
def test_terraform_finds_it_valid(terraform: str, tmp_path: Path) -> None:
    for file in MODULE.glob("*.tf"):
        shutil.copy(file, tmp_path)
    try:
        run(terraform, tmp_path, "init", "-backend=false", "-input=false")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"SKIPPED LOUDLY: Google's provider cannot be had here: {' '.join(error.stderr.split())[:200]}")
    assert "The configuration is valid" in run(terraform, tmp_path, "validate")
