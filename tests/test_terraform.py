"""The Terraform module makes what bootstrap makes, takes the same options, and checks them alike."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import hcl2
import pytest
from hcl2.utils import SerializationOptions

from octue_action import bootstrap, project_setup
from octue_action.project_setup import ProjectSetup
from octue_action.resource import Resource, as_description
from octue_action.resources.artifact_repository import ArtifactRepository
from octue_action.resources.iam_member import IamMember
from octue_action.resources.iam_role import IamRole, ungrouped
from octue_action.resources.project_service import ProjectService
from octue_action.resources.service_account import ServiceAccount
from octue_action.resources.service_identity import ServiceIdentity
from octue_action.resources.workload_identity_pool import WorkloadIdentityPool
from octue_action.resources.workload_identity_provider import WorkloadIdentityProvider

FOLDER = Path(__file__).parent.parent / "examples" / "terraform"
FILES = ("main.tf", "outputs.tf", "permissions.tf", "variables.tf", "versions.tf")
README = (FOLDER / "README.md").read_text()

USUAL = ProjectSetup(
    project_id="my-project",
    project_number="123456789012",
    repository="my-org/my-repository",
    repository_id="1234",
    owner_id="56",
    region="europe-west1",
)
SETUPS = {
    "as usual": USUAL,
    "with pull requests": dataclasses.replace(USUAL, pull_requests=True),
    "without destroying": dataclasses.replace(USUAL, destroys=False),
    "from another branch": dataclasses.replace(USUAL, branch="release/1.x", pull_requests=True),
    "with a role that is there": dataclasses.replace(USUAL, octue_role="organizations/78/roles/octue"),
    "with services": dataclasses.replace(USUAL, services=("wind-yield", "my-org-" + "long-" * 12 + "name")),
    "under other names": dataclasses.replace(USUAL, provider_id="another", deployer_id="another-deployer"),
    "elsewhere": dataclasses.replace(
        USUAL, project_id="elsewhere", region="us-central1", repository_id="9", owner_id="8"
    ),
}

Made = dict[str, dict[str, Any]]


# The module, read as far as it is written: what is not known here is refused, and not passed over.


def parsed(text: str) -> dict[str, Any]:
    return hcl2.loads(text, serialization_options=SerializationOptions(with_comments=False))


def blocks(kind: str) -> list[Any]:
    """All blocks of a kind, in all files."""
    return [block for file in FILES for block in parsed((FOLDER / file).read_text()).get(kind, [])]


def labelled(kind: str) -> dict[str, dict[str, Any]]:
    """The blocks of a kind that has one label, by it."""
    return {json.loads(label): body for block in blocks(kind) for label, body in block.items()}


def resource_blocks() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (json.loads(type_), json.loads(name), body)
        for block in blocks("resource")
        for type_, named in block.items()
        for name, body in named.items()
    ]


VARIABLES = labelled("variable")
OUTPUTS = labelled("output")
LOCALS = {name: value for block in blocks("locals") for name, value in block.items() if not name.startswith("__")}
RESOURCES = resource_blocks()

REFERENCE = r"[a-z_][\w-]*(?:\.[a-z_][\w-]*)+"


class Evaluation:
    """The module's values for one set-up.

    :param setup: what its variables are set to, and the project's number, which Google tells.
    """

    def __init__(self, setup: ProjectSetup) -> None:
        self._setup = setup
        self._blocks = {f"{type_}.{name}": (type_, body) for type_, name, body in RESOURCES}
        self._each: str | None = None

    def resources(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each resource with its type, once for each of what it is made for."""
        for type_, _, body in RESOURCES:
            told = {name: value for name, value in body.items() if name not in ("for_each", "count", "depends_on")}
            count = self.value(body.get("count", 1))
            for each in self.value(body["for_each"]) if "for_each" in body else [None] * count:
                self._each = each
                yield type_, self.value(told)

    def output(self, name: str) -> Any:
        return self.value(OUTPUTS[name]["value"])

    def value(self, written: Any) -> Any:
        """What something stands for that the parser has read."""
        match written:
            case dict():
                pairs = {key: value for key, value in written.items() if key != "__is_block__"}
                return {key.strip('"'): self.value(value) for key, value in pairs.items() if key != "provider"}
            case list():
                return [self.value(item) for item in written]
            case str() if written.startswith('"'):
                text = json.loads(written)
                return re.sub(rf"\$\{{({REFERENCE})\}}", lambda found: str(self._named(found[1])), text)
            case str() if written.startswith("${"):
                return self._expression(written[2:-1])
            case _:
                return written

    def _expression(self, text: str) -> Any:  # noqa: PLR0911 - one for each form that the module uses
        if parts := re.fullmatch(r"(.+) \? (.+) : (.+)", text):
            return self._expression(parts[2] if self._expression(parts[1]) else parts[3])
        if parts := re.fullmatch(r"(.+) == (.+)", text):
            return self._expression(parts[1]) == self._expression(parts[2])
        if parts := re.fullmatch(r"concat\((.+), (.+)\)", text):
            return [*self._expression(parts[1]), *self._expression(parts[2])]
        if parts := re.fullmatch(r"toset\((.+)\)", text):
            return sorted(set(self._expression(parts[1])))
        if parts := re.fullmatch(r'replace\((.+), "(.)", "(.)"\)', text):
            return self._expression(parts[1]).replace(parts[2], parts[3])
        if parts := re.fullmatch(r"substr\((.+), 0, (\d+)\)", text):
            return self._expression(parts[1])[: int(parts[2])]
        if re.fullmatch(REFERENCE, text):
            return self._named(text)
        return json.loads(text)

    def _named(self, reference: str) -> Any:
        first, _, rest = reference.partition(".")
        if first == "var":
            value = getattr(self._setup, rest)
            return list(value) if isinstance(value, tuple) else value
        if first == "local":
            return self.value(LOCALS[rest])
        if reference == "each.value":
            return self._each
        of, _, attribute = reference.rpartition(".")
        type_, body = self._blocks[of]
        return self._told_by_google(type_, body, attribute)

    def _told_by_google(self, type_: str, body: Mapping[str, Any], attribute: str) -> str:
        """An attribute of a resource, as the pages of Google's provider say that it reads."""
        if attribute in body:
            return str(self.value(body[attribute]))
        project = self.value(body["project"])
        pools = f"projects/{self._setup.project_number}/locations/global/workloadIdentityPools"
        match type_, attribute:
            case "google_project_iam_custom_role", "name":
                return f"projects/{project}/roles/{self.value(body['role_id'])}"
            case "google_service_account", _:
                email = f"{self.value(body['account_id'])}@{project}.iam.gserviceaccount.com"
                names = {"name": f"projects/{project}/serviceAccounts/{email}", "member": f"serviceAccount:{email}"}
                return {"email": email, **names}[attribute]
            case "google_iam_workload_identity_pool", "name":
                return f"{pools}/{self.value(body['workload_identity_pool_id'])}"
            case "google_iam_workload_identity_pool_provider", "name":
                pool = self.value(body["workload_identity_pool_id"])
                return f"{pools}/{pool}/providers/{self.value(body['workload_identity_pool_provider_id'])}"
            case "google_project_service_identity", "email":
                agent = project_setup.AGENT_DOMAINS[self.value(body["service"])]
                return f"service-{self._setup.project_number}@{agent}.iam.gserviceaccount.com"
        raise AssertionError(f"The test does not know {type_}.{attribute}.")


# Both sides in the words of Google's provider.


def in_terraforms_words(resource: Resource) -> tuple[str, dict[str, Any]]:  # noqa: PLR0911 - one for each kind
    """What of bootstrap's would be which resource of Google's provider."""
    match resource:
        case ProjectService():
            return "google_project_service", {
                "project": resource.project_id,
                "service": resource.api,
                "disable_on_destroy": False,
            }
        case WorkloadIdentityProvider():
            return "google_iam_workload_identity_pool_provider", {
                "project": resource.project_id,
                "workload_identity_pool_id": resource.pool_id,
                "workload_identity_pool_provider_id": resource.provider_id,
                "display_name": resource.display_name,
                "description": as_description(resource.owner),
                "disabled": False,
                "attribute_condition": resource.attribute_condition,
                "attribute_mapping": dict(resource.attribute_mapping),
                "oidc": [{"issuer_uri": resource.issuer}],
            }
        case WorkloadIdentityPool():
            return "google_iam_workload_identity_pool", {
                "project": resource.project_id,
                "workload_identity_pool_id": resource.pool_id,
                "display_name": resource.display_name,
                "description": as_description(resource.owner),
                "disabled": False,
            }
        case IamRole():
            return "google_project_iam_custom_role", {
                "project": resource.project_id,
                "role_id": resource.role_id,
                "title": resource.role_title,
                "description": as_description(resource.owner),
                "permissions": sorted(ungrouped(resource.includes)),
                "stage": resource.stage,
            }
        case ServiceAccount():
            return "google_service_account", {
                "project": resource.project_id,
                "account_id": resource.account_id,
                "display_name": resource.display_name,
                "description": resource.description,
            }
        case IamMember():
            return in_terraforms_words_granted(resource)
        case ServiceIdentity():
            return "google_project_service_identity", {"project": resource.project_id, "service": resource.api}
        case ArtifactRepository():
            return "google_artifact_registry_repository", {
                "project": resource.project_id,
                "location": resource.location,
                "repository_id": resource.repository_id,
                "format": resource.format,
                "description": "Images of an Octue service",
                "labels": dict(resource.labels),
                "lifecycle": [{"prevent_destroy": True}],
            }
    raise AssertionError(f"The module has nothing for a {resource.kind} yet: {resource.address}.")


def in_terraforms_words_granted(grant: IamMember) -> tuple[str, dict[str, Any]]:
    told: dict[str, Any] = {"role": grant.role, "member": grant.member}
    if grant.condition:
        told["condition"] = [{"title": grant.condition.title, "expression": grant.condition.expression}]
    if "/serviceAccounts/" in grant.resource:
        return "google_service_account_iam_member", {"service_account_id": grant.resource, **told}
    return "google_project_iam_member", {"project": grant.resource.removeprefix("projects/"), **told}


NAMED_BY = ("service", "workload_identity_pool_provider_id", "workload_identity_pool_id", "role_id", "account_id")
ALSO_NAMED_BY = ("repository_id", "role")


def by_name(resources: Iterator[tuple[str, dict[str, Any]]]) -> Made:
    """Resources under names that do not depend on what they are set to."""
    made: Made = {}
    for type_, told in resources:
        name = next(told[attribute] for attribute in (*NAMED_BY, *ALSO_NAMED_BY) if attribute in told)
        address = f"{type_} {name}"
        assert address not in made, f"There are two of {address}."
        made[address] = {**told, "permissions": sorted(told["permissions"])} if "permissions" in told else told
    return made


def differences(module: Made, bootstrap_s: Made) -> list[str]:
    """What one side has and the other one has not, in words."""
    told = [f"only octue_action/project_setup.py has {name}" for name in sorted(bootstrap_s.keys() - module.keys())]
    told += [f"only examples/terraform has {name}" for name in sorted(module.keys() - bootstrap_s.keys())]
    for name in sorted(module.keys() & bootstrap_s.keys()):
        for attribute in sorted(module[name].keys() | bootstrap_s[name].keys()):
            here, there = module[name].get(attribute), bootstrap_s[name].get(attribute)
            if here != there:
                told.append(f"{name}: {attribute} {_difference(here, there)}")
    return told


def _difference(here: Any, there: Any) -> str:
    if isinstance(here, list) and isinstance(there, list) and all(isinstance(item, str) for item in [*here, *there]):
        more, less = sorted(set(here) - set(there)), sorted(set(there) - set(here))
        return f"has in examples/terraform alone {more}, in octue_action alone {less}"
    return f"is in examples/terraform {here!r}, in octue_action {there!r}"


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS.keys())
def test_it_makes_what_bootstrap_makes(setup: ProjectSetup) -> None:
    module = by_name(Evaluation(setup).resources())
    made = by_name(in_terraforms_words(resource) for resource in project_setup.resources(setup))

    told = differences(module, made)
    assert not told, "The module and bootstrap differ. Change the other one, too:\n" + "\n".join(told)


def test_a_difference_is_told_with_the_side_that_has_it() -> None:
    module: Made = {"role a": {"permissions": ["x.get", "x.list"], "title": "A"}, "account b": {}}
    made: Made = {"role a": {"permissions": ["x.get"], "title": "B"}, "account c": {}}

    assert differences(module, made) == [
        "only octue_action/project_setup.py has account c",
        "only examples/terraform has account b",
        "role a: permissions has in examples/terraform alone ['x.list'], in octue_action alone []",
        "role a: title is in examples/terraform 'A', in octue_action 'B'",
    ]


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS.keys())
def test_it_tells_what_bootstrap_tells(setup: ProjectSetup) -> None:
    told = Evaluation(setup)

    assert {name: told.output(name) for name in OUTPUTS if name != "what_is_left"} == {
        "workload_identity_provider": setup.provider,
        "deployer_service_account": setup.deployer,
        "build_service_account": setup.builder,
        "connect_url": setup.connect_url,
        "step": project_setup.step(setup),
    }
    assert setup.connect_url in told.output("what_is_left")
    assert setup.repository in told.output("what_is_left")


def test_nothing_in_it_takes_away_what_others_were_granted() -> None:
    policies = {type_ for type_, _, _ in RESOURCES if "_iam_" in type_ and type_.startswith("google_")}
    written = "".join((FOLDER / file).read_text() for file in FILES)

    assert not re.findall(r"\w+_iam_(?:policy|binding|audit_config)\b", written), (
        "only *_iam_member is additive: _iam_policy and _iam_binding take away what others were granted"
    )
    assert policies - {"google_iam_workload_identity_pool", "google_iam_workload_identity_pool_provider"} == {
        "google_project_iam_custom_role",
        "google_project_iam_member",
        "google_service_account_iam_member",
    }


def test_it_keeps_no_state_or_secret_of_its_own_and_configures_no_provider() -> None:
    (settings,) = blocks("terraform")

    assert "backend" not in settings
    assert "cloud" not in settings
    assert blocks("provider") == [], "a module with a provider block can have no depends_on, for_each or count"
    assert {type_ for type_, _, _ in RESOURCES if type_.endswith("_key")} == set(), "a key would stand in the state"


def test_its_providers_are_pinned_to_one_major_version() -> None:
    (settings,) = blocks("terraform")
    (required,) = settings["required_providers"]

    pins = {name: json.loads(pin["version"]) for name, pin in required.items() if not name.startswith("__")}

    assert pins.keys() == {"google", "google-beta"}
    assert all(re.fullmatch(r"~> \d+\.\d+", pin) for pin in pins.values())
    assert len(set(pins.values())) == 1


def test_only_what_is_in_beta_is_made_with_the_beta_provider() -> None:
    assert [type_ for type_, _, body in RESOURCES if "google-beta" in body.get("provider", "")] == [
        "google_project_service_identity"
    ]


def test_everything_waits_for_the_apis_and_the_grant_for_the_role_that_it_names() -> None:
    """A resource that refers to another one waits for it; one that refers to none has to say so."""
    waiting = {f"{type_}.{name}": body.get("depends_on", []) for type_, name, body in RESOURCES}
    free = {
        f"{type_}.{name}"
        for type_, name, body in RESOURCES
        if not re.search(r"\bgoogle_\w+\.\w+", json.dumps({**body, "depends_on": []}))
    }
    for address in free - {"google_project_service.apis"} - {"google_project_iam_member.grants"}:
        assert waiting[address] == ["${google_project_service.apis}"], f"{address} may come before its API is on"
    assert waiting["google_project_iam_member.grants"] == ["${google_project_iam_custom_role.octue}"]


# Options


NOT_VARIABLES = {"project_number"}
"""Google tells it."""


def test_its_variables_are_the_options_of_a_set_up_with_the_same_defaults() -> None:
    options = {field.name: field.default for field in dataclasses.fields(ProjectSetup)}
    evaluation = Evaluation(USUAL)
    defaults = {
        name: evaluation.value(body["default"]) if "default" in body else dataclasses.MISSING
        for name, body in VARIABLES.items()
    }

    assert defaults == {
        name: list(default) if isinstance(default, tuple) else default
        for name, default in options.items()
        if name not in NOT_VARIABLES
    }


def test_a_variable_with_a_default_cannot_be_null() -> None:
    assert [name for name, body in VARIABLES.items() if "default" in body and body.get("nullable") is not False] == []


ARGUMENTS = {
    "project_id": "--project",
    "repository": "--repository",
    "repository_id": "--repository-id",
    "owner_id": "--owner-id",
    "region": "--region",
    "branch": "--branch",
    "octue_role": "--octue-role",
    "services": "--service",
    "provider_id": "--provider",
    "deployer_id": "--deployer",
}
SAMPLES = {
    "project_id": ["my-project", "example.com:my-project", "123456", "short", "My-project", "my-project-", "a" * 31],
    "repository": ["my-org/my_repo.x", "my-org", "my-org/", "a/b/c", "my org/x", "o'rg/x"],
    "repository_id": ["1", "12345678901234567890", "123456789012345678901", "-1", "1.0", "x", "1'"],
    "owner_id": ["1", "12345678901234567890", "123456789012345678901", "-1", "1.0", "x", "1'"],
    "region": ["europe-west1", "us-east10", "europe-west1-b", "europe", "Europe-west1", "europe-west100"],
    "branch": ["main", "release/1.x", "a@b+c~d#e_f-g", "it's", "a b", "a\nb", "a\\b", "ä", "$(x)", "${x}"],
    "octue_role": [
        "roles/pubsub.editor",
        "projects/my-project/roles/octue_service_user",
        "projects/example.com:my-project/roles/octue",
        "organizations/1/roles/octue",
        "projects/my-project/roles/octue-service-user",
        "roles/ab",
        f"roles/{'a' * 65}",
        "organizations/x/roles/octue",
        "octue_service_user",
        "roles/o'ctue",
    ],
    "services": ["wind-yield", "a", "a--b", "-a", "a-", "A", "a_b", "a'"],
    "provider_id": ["octue", "abcd", "abc", "a" * 32, "a" * 33, "gcp-octue", "my-gcp-octue", "Octue", "a_bc"],
    "deployer_id": [
        "deployer",
        "builder",
        "builder-2",
        "service-user",
        "short",
        "a" * 30,
        "a" * 31,
        "1deployer",
        "deployer-",
        "Deployer",
        "de_ployer",
    ],
}


def is_let_through_by_module(variable: str, text: str) -> bool:
    """What its checks say: each is of a pattern that Go and Python read alike, or of a beginning."""
    return all(_holds(validation["condition"], text) for validation in VARIABLES[variable]["validation"])


def _holds(condition: str, text: str) -> bool:
    if pattern := re.search(r'can\(regex\((".+"), \w', condition):
        expression = json.loads(pattern[1])
        assert (expression[0], expression[-1]) == ("^", "$"), (
            f"{expression} would let through what it is only a part of"
        )
        return bool(re.fullmatch(expression[1:-1], text, re.ASCII))
    if beginning := re.search(r'!startswith\(var\.\w+, (".+")\)', condition):
        return not text.startswith(json.loads(beginning[1]))
    if taken := re.search(r"!contains\((\[.+\]), var\.\w+\)", condition):
        return text not in json.loads(taken[1])
    raise AssertionError(f"The test cannot read this check: {condition}")


def is_let_through_by_bootstrap(variable: str, text: str) -> bool:
    needed = {"--project": "my-project", "--repository": "my-org/my-repository", "--region": "europe-west1"}
    given = {**needed, ARGUMENTS[variable]: text}
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            bootstrap._parser().parse_args([f"{name}={value}" for name, value in given.items()])
    except SystemExit:
        return False
    return True


@pytest.mark.parametrize(("variable", "text"), [(name, text) for name, texts in SAMPLES.items() for text in texts])
def test_a_variable_is_checked_like_bootstraps_argument(variable: str, text: str) -> None:
    assert is_let_through_by_module(variable, text) == is_let_through_by_bootstrap(variable, text), (
        f"examples/terraform/variables.tf and bootstrap disagree on the {variable} {text!r}"
    )


@pytest.mark.parametrize("variable", SAMPLES)
def test_the_samples_of_a_variable_have_good_ones_and_bad_ones(variable: str) -> None:
    assert {is_let_through_by_bootstrap(variable, text) for text in SAMPLES[variable]} == {True, False}


def test_every_variable_of_text_is_checked() -> None:
    assert {name for name, body in VARIABLES.items() if "validation" in body} == SAMPLES.keys() == ARGUMENTS.keys()


# Its page


def test_its_page_names_every_variable_and_every_output() -> None:
    assert [name for name in (*VARIABLES, *OUTPUTS) if f"`{name}`" not in README] == []


def test_the_module_of_its_page_can_be_read_gives_all_that_is_needed_and_is_pinned() -> None:
    (example,) = re.findall(r"```terraform\n(module .+?)```", README, re.DOTALL)
    ((module),) = parsed(example)["module"]
    ((body),) = module.values()
    needed = {name for name, variable in VARIABLES.items() if "default" not in variable}

    assert needed <= body.keys() - {"source"} <= VARIABLES.keys() | {"__is_block__"}
    assert re.search(r"//examples/terraform\?ref=\S+\"$", body["source"])


# Terraform itself


needs_terraform = pytest.mark.skipif(
    shutil.which("terraform") is None, reason="NOT CHECKED: the Terraform module, as this machine has no terraform"
)


def terraform(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["terraform", f"-chdir={folder}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)


@needs_terraform
def test_it_is_formatted_as_terraform_formats() -> None:
    formatted = terraform(FOLDER, "fmt", "-check", "-diff")

    assert formatted.returncode == 0, formatted.stdout + formatted.stderr


@needs_terraform
def test_terraform_finds_it_valid(tmp_path: Path) -> None:
    for file in FILES:
        shutil.copy(FOLDER / file, tmp_path)
    fetched = terraform(tmp_path, "init", "-backend=false", "-input=false", "-no-color")
    if "could not connect" in fetched.stderr:
        pytest.skip("NOT CHECKED: the Terraform module, as Google's provider cannot be fetched here")
    assert fetched.returncode == 0, fetched.stderr

    checked = terraform(tmp_path, "validate", "-no-color")

    assert checked.returncode == 0, checked.stdout + checked.stderr


WITHOUT_PROVIDER = ("deployer_permissions", "octue_role", "pushes", "pull_requests", "connect_url")


@pytest.fixture
def values_alone(tmp_path: Path) -> Path:
    """The module's variables and those values that take no provider, which Terraform can work out anywhere."""
    for file in ("variables.tf", "permissions.tf"):
        shutil.copy(FOLDER / file, tmp_path)
    main = (FOLDER / "main.tf").read_text()
    (tmp_path / "main.tf").write_text(main[: main.index('\nresource "')])
    shown = {name: {"value": f"${{local.{name}}}"} for name in WITHOUT_PROVIDER if name != "connect_url"}
    url = re.search(r"connect_url = (\".+\")", (FOLDER / "outputs.tf").read_text())
    assert url
    shown["connect_url"] = {"value": json.loads(url[1])}
    (tmp_path / "shown.tf.json").write_text(json.dumps({"output": shown}))
    return tmp_path


def given_to(folder: Path, setup: ProjectSetup) -> None:
    told = {name: value for name, value in dataclasses.asdict(setup).items() if name in VARIABLES}
    (folder / "terraform.tfvars.json").write_text(json.dumps(told))


@needs_terraform
@pytest.mark.parametrize("setup", [USUAL, SETUPS["from another branch"], SETUPS["with a role that is there"]])
def test_terraform_works_its_values_out_as_this_test_does(setup: ProjectSetup, values_alone: Path) -> None:
    given_to(values_alone, setup)

    applied = terraform(values_alone, "apply", "-auto-approve", "-input=false", "-no-color")
    assert applied.returncode == 0, applied.stderr
    told = json.loads(terraform(values_alone, "output", "-json").stdout)

    evaluation = Evaluation(setup)
    assert {name: output["value"] for name, output in told.items()} == {
        name: evaluation.value(f"${{local.{name}}}") for name in WITHOUT_PROVIDER
    }


@needs_terraform
@pytest.mark.parametrize("nth", range(max(map(len, SAMPLES.values()))))
def test_terraform_refuses_what_bootstrap_refuses(nth: int, values_alone: Path) -> None:
    """The same samples once more, with Terraform's own reading of the patterns: one of each variable at a time."""
    given = {name: texts[nth % len(texts)] for name, texts in SAMPLES.items()}
    expected = {name for name, text in given.items() if not is_let_through_by_bootstrap(name, text)}
    (values_alone / "terraform.tfvars.json").write_text(json.dumps({**given, "services": [given["services"]]}))

    planned = terraform(values_alone, "plan", "-input=false", "-no-color")

    assert set(re.findall(r"\bvar\.(\w+) is ", planned.stderr)) == expected, planned.stderr
    assert planned.returncode == (1 if expected else 0)
