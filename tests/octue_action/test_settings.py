from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from octue_action import github_context, settings
from octue_action.cancellation import Cancelled
from octue_action.pruned_imports import CREDENTIALS_VARIABLES
from octue_action.settings import INPUTS, Problem, SecretReference, load
from tests.octue_action.services import octue_yaml

Problems = Callable[[Mapping[str, str]], tuple[Problem, ...]]

PROVIDER = "projects/123456789012/locations/global/workloadIdentityPools/github/providers/github"
TWO_SERVICES = """\
services:
  - name: sum
    project_name: my-project
    region: europe-west1
  - name: product
    project_name: my-project
    region: europe-west2
"""


def given_input(environment: dict[str, str], **inputs: str) -> dict[str, str]:
    """An environment with inputs, as the runner makes it."""
    return environment | {f"INPUT_{name.upper()}": value for name, value in inputs.items()}


class RecordingEnvironment(Mapping[str, str]):
    """An environment that remembers which variables were read."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables, self.read = variables, set[str]()

    def __getitem__(self, name: str) -> str:
        self.read.add(name)
        return self.variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.variables)

    def __len__(self) -> int:
        return len(self.variables)


# What is read when all is well.


def test_octue_yaml_and_the_sdks_defaults_make_a_deployment(environment: dict[str, str]) -> None:
    loaded = load(environment)
    assert (loaded.mode, loaded.project_id, loaded.config) == ("deploy", "my-project", "octue.yaml")
    assert loaded.octue_role == "projects/my-project/roles/octue_service_user"
    assert (loaded.adopt, loaded.delete_topic, loaded.rollback_on_failure) == (False, False, False)
    assert loaded.workload_identity_provider == PROVIDER
    (service,) = loaded.services
    assert (service.service, service.region, service.namespace, service.name) == (
        "my-org-sum",
        "europe-west1",
        "my-org",
        "sum",
    )
    assert (service.memory, service.cpu, service.concurrency, service.timeout) == ("128Mi", "1", 10, 3600)
    assert (service.min_instances, service.max_instances, service.ingress) == (0, 10, "internal")
    assert (service.dockerfile, service.branch_pattern) == ("Dockerfile", "^main$")
    assert (service.build_trigger, service.service_id, service.image) == ("push", None, None)


def test_a_repository_without_octue_yaml_is_deployed_from_inputs_alone(
    environment: dict[str, str], workspace: Path
) -> None:
    (workspace / "octue.yaml").unlink()
    loaded = load(given_input(environment, service_name="sum", project_id="my-project", region="europe-west1"))
    assert loaded.config is None
    assert [service.service for service in loaded.services] == ["sum"]


def test_an_input_wins_over_octue_yaml(environment: dict[str, str], workspace: Path) -> None:
    with (workspace / "octue.yaml").open("a") as file:
        file.write("    memory: 1Gi\n    cpus: 1\n    maximum_instances: 3\n")
    (service,) = load(given_input(environment, memory="2Gi", cpu="2")).services
    assert (service.memory, service.cpu, service.max_instances) == ("2Gi", "2", 3)


def test_an_empty_input_is_not_given(environment: dict[str, str]) -> None:
    assert load(given_input(environment, **dict.fromkeys(set(INPUTS) - {"workload_identity_provider"}, ""))) == load(
        environment
    )


def test_github_says_which_run_it_is(environment: dict[str, str], workspace: Path) -> None:
    run = load(environment | {"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "never-shown", "GITHUB_EVENT_PATH": "/e.json"}).github
    assert run.run_url == "https://github.com/my-org/sum-service/actions/runs/42"
    assert (run.repository, run.repository_id, run.workspace) == ("my-org/sum-service", "1296269", workspace)
    assert run.event_path == Path("/e.json")
    assert run.id_token_request_token == "never-shown"
    assert "never-shown" not in repr(run)


def test_a_github_token_is_not_shown(environment: dict[str, str]) -> None:
    loaded = load(given_input(environment, github_token="never-shown"))
    assert loaded.github_token == "never-shown"
    assert "never-shown" not in repr(loaded)


def test_without_a_workspace_variable_the_current_folder_is_the_workspace(
    environment: dict[str, str], workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    del environment["GITHUB_WORKSPACE"]
    assert load(environment).github.workspace == workspace


def test_nothing_else_of_the_environment_is_read(environment: dict[str, str]) -> None:
    recording = RecordingEnvironment(environment | {"HOME": "/root", "AWS_SECRET_ACCESS_KEY": "x"})
    load(recording)
    allowed = {
        *(f"INPUT_{name.upper()}" for name in INPUTS),
        *github_context.VARIABLES,
        *CREDENTIALS_VARIABLES,
        settings.EMULATOR_VARIABLE,
    }
    assert recording.read <= allowed


def test_services_of_octue_yaml_are_chosen_by_name(environment: dict[str, str], workspace: Path) -> None:
    (workspace / "octue.yaml").write_text(TWO_SERVICES)
    assert [it.name for it in load(environment).services] == ["sum", "product"]
    assert [it.name for it in load(given_input(environment, services="product")).services] == ["product"]
    assert [it.name for it in load(given_input(environment, services="product,\n sum")).services] == ["sum", "product"]
    assert [it.name for it in load(given_input(environment, service_name="product")).services] == ["product"]


WITH_NAMESPACES = """\
services:
  - {name: sum, namespace: my-org, project_name: my-project, region: europe-west1}
  - {name: their-org/sum, project_name: my-project, region: europe-west1}
  - {name: my-org-sum, namespace: other, project_name: my-project, region: europe-west1}
"""


@pytest.mark.parametrize(
    ("written", "chosen"),
    [
        ("my-org/sum", ["my-org-sum"]),
        ("their-org/sum", ["their-org-sum"]),
        ("their-org-sum", ["their-org-sum"]),
        ("my-org-sum", ["other-my-org-sum"]),  # which is called so in octue.yaml
        ("sum", ["my-org-sum"]),
        ("other/my-org-sum, their-org-sum", ["their-org-sum", "other-my-org-sum"]),
        ("sum\nsum,my-org/sum", ["my-org-sum"]),
        ("", ["my-org-sum", "their-org-sum", "other-my-org-sum"]),
    ],
)
def test_a_service_is_chosen_by_its_name_or_with_its_namespace_or_as_cloud_run_has_it(
    environment: dict[str, str], workspace: Path, written: str, chosen: list[str]
) -> None:
    (workspace / "octue.yaml").write_text(WITH_NAMESPACES)
    assert [it.service for it in load(given_input(environment, services=written)).services] == chosen


def test_a_namespace_in_an_input_counts_where_services_are_chosen(environment: dict[str, str], workspace: Path) -> None:
    (workspace / "octue.yaml").write_text(TWO_SERVICES)
    for written in ("my-org/product", "my-org-product"):
        given = given_input(environment, service_namespace="my-org", services=written)
        assert [it.service for it in load(given).services] == ["my-org-product"]


NAMESAKES = """\
services:
  - {name: sum, namespace: my-org, project_name: my-project, region: europe-west1}
  - {name: their-org/sum, project_name: my-project, region: europe-west1}
  - {name: sum, namespace: other, project_name: my-project, region: europe-west1}
"""


def test_a_name_that_several_services_have_chooses_none_of_them(
    environment: dict[str, str], workspace: Path, problems: Problems
) -> None:
    (workspace / "octue.yaml").write_text(NAMESAKES)
    for name in ("services", "service_name"):
        (problem,) = problems(given_input(environment, **{name: "sum"}))
        assert problem.message == f"Input `{name}`: there are 2 services 'sum'."
        assert problem.expected == "input `services` with my-org/sum, other/sum"


def test_a_name_that_several_services_have_confirms_the_end_of_none_of_them(
    environment: dict[str, str], workspace: Path, problems: Problems
) -> None:
    (workspace / "octue.yaml").write_text(NAMESAKES)
    chosen = "my-org/sum, other/sum"
    (problem,) = problems(confirmed(environment, "sum", services=chosen))
    assert problem.message.startswith("The services 'my-org-sum', 'other-sum' would be destroyed")
    assert len(load(confirmed(environment, "my-org/sum, other-sum", services=chosen)).services) == 2
    assert len(load(confirmed(environment, "sum", services="other/sum")).services) == 1


def test_what_confirms_the_end_of_one_service_confirms_that_of_no_other(
    environment: dict[str, str], workspace: Path, problems: Problems
) -> None:
    (workspace / "octue.yaml").write_text(WITH_NAMESPACES)
    chosen = "my-org/sum, other/my-org-sum"
    (problem,) = problems(confirmed(environment, "my-org-sum", services=chosen))
    assert problem.message.startswith("The service 'other-my-org-sum' would be destroyed")
    assert len(load(confirmed(environment, problem.expected.removeprefix("confirm: "), services=chosen)).services) == 2


@pytest.mark.parametrize("last", range(4))
def test_reading_can_be_ended_before_each_service(environment: dict[str, str], workspace: Path, last: int) -> None:
    """Two are read, and then looked at for what goes wrong with Octue's SDK."""
    (workspace / "octue.yaml").write_text(TWO_SERVICES)
    checks = itertools.count()

    def check() -> None:
        if next(checks) == last:
            raise Cancelled

    with pytest.raises(Cancelled):
        load(environment, check)
    assert next(checks) == last + 1


@pytest.mark.parametrize("written", [",", " , \n,"])
def test_separators_alone_do_not_choose_all(
    environment: dict[str, str], workspace: Path, problems: Problems, written: str
) -> None:
    (workspace / "octue.yaml").write_text(TWO_SERVICES)
    (problem,) = problems(given_input(environment, services=written))
    assert problem.message == "Input `services` names none."
    assert problem.expected.endswith("for all of them, leave the input out")


def test_a_service_that_there_is_not_is_said_with_some_of_those_there_are(
    environment: dict[str, str], workspace: Path, problems: Problems
) -> None:
    (workspace / "octue.yaml").write_text(octue_yaml([f"wind-{n:03}" for n in range(100)]))
    first, second = problems(given_input(environment, services="wind-007, vind-008, my-org/wind-009, solar"))
    assert first.message == "Input `services`: there is no service 'vind-008'. Perhaps you meant `wind-008`."
    assert second.message == "Input `services`: there is no service 'solar'."
    assert first.expected.startswith("one of wind-000, wind-001, ")
    assert first.expected.endswith("wind-019 and 80 others")


def test_previews_of_several_services_are_made_together(environment: dict[str, str], workspace: Path) -> None:
    (workspace / "octue.yaml").write_text(TWO_SERVICES)
    loaded = load(given_input(environment, preview="pr-7", services="sum,product"))
    assert [it.service for it in loaded.services] == ["sum-pr-7", "product-pr-7"]


def test_of_many_services_to_destroy_all_must_be_named_and_one_problem_says_so(
    environment: dict[str, str], workspace: Path, problems: Problems
) -> None:
    names = [f"wind-{n:03}" for n in range(100)]
    (workspace / "octue.yaml").write_text(octue_yaml(names))

    (problem,) = problems(confirmed(environment, "wind-000, my-org/wind-001, my-org-wind-002"))
    assert problem.message.startswith("The services 'my-org-wind-003', 'my-org-wind-004', ")
    assert problem.message.endswith(" and 77 others would be destroyed, and `confirm` does not name them.")
    assert problem.expected == f"confirm: {', '.join(f'my-org-{name}' for name in names)}"
    assert len(load(confirmed(environment, problem.expected.removeprefix("confirm: "))).services) == 100
    chosen = load(confirmed(environment, "wind-003\nwind-004", services="wind-004,wind-003"))
    assert [it.name for it in chosen.services] == ["wind-003", "wind-004"]


def test_a_name_with_a_slash_is_a_namespace_and_a_name(environment: dict[str, str], workspace: Path) -> None:
    (workspace / "octue.yaml").write_text("name: my-org/sum\nproject_name: my-project\nregion: europe-west1\n")
    (service,) = load(environment).services
    assert (service.namespace, service.name, service.service) == ("my-org", "sum", "my-org-sum")


def test_a_preview_is_a_service_of_its_own(environment: dict[str, str]) -> None:
    (service,) = load(given_input(environment, preview="pr-123")).services
    assert service.service == "my-org-sum-pr-123"


@pytest.mark.parametrize(
    ("memory", "cpus", "written", "environment_of_service"),
    [
        ("128Mi", "1", None, None),
        ("512Mi", "1", None, "gen2"),
        ("512Mi", "0.5", None, None),
        ("128Mi", "1", "gen1", "gen1"),
        ("1Gi", "1", "gen1", "gen1"),
    ],
)
def test_octues_gen2_is_chosen_where_it_fits(
    environment: dict[str, str],
    workspace: Path,
    memory: str,
    cpus: str,
    written: str | None,
    environment_of_service: str | None,
) -> None:
    lines = [
        f"    memory: {memory}",
        f"    cpus: {cpus}",
        *([f"    execution_environment: {written}"] if written else []),
    ]
    with (workspace / "octue.yaml").open("a") as file:
        file.write("\n".join(lines))
    (service,) = load(environment).services
    assert service.execution_environment == environment_of_service


def test_less_than_one_cpu_works_on_one_question_at_a_time(environment: dict[str, str]) -> None:
    (service,) = load(given_input(environment, cpu=".5")).services
    assert (service.cpu, service.concurrency) == ("0.5", 1)


def test_environment_variables_may_have_anything_in_their_values(environment: dict[str, str], workspace: Path) -> None:
    with (workspace / "octue.yaml").open("a") as file:
        file.write("    environment_variables:\n      - {name: A, value: 1.10}\n      - {name: B, value: old}\n")
    lines = "B=a=b,c # d\r\n\n  # a comment\n  C=\nD= é"
    (service,) = load(given_input(environment, environment_variables=lines)).services
    assert service.environment_variables == {"A": "1.10", "B": "a=b,c # d", "C": "", "D": " é"}


def test_environment_variables_with_line_ends_come_as_json(environment: dict[str, str]) -> None:
    variables = {"KEY": "first\nsecond", "OTHER": ""}
    (service,) = load(given_input(environment, environment_variables=json.dumps(variables))).services
    assert service.environment_variables == variables


def test_secrets_are_references_with_a_version(environment: dict[str, str]) -> None:
    lines = "A=token\nB=token:3\nC=projects/other/secrets/token/versions/latest\nD=projects/other/secrets/token"
    (service,) = load(given_input(environment, secrets=lines)).services
    assert service.secrets == {
        "A": SecretReference("token", "latest"),
        "B": SecretReference("token", "3"),
        "C": SecretReference("projects/other/secrets/token", "latest"),
        "D": SecretReference("projects/other/secrets/token", "latest"),
    }


def test_a_topics_id_is_taken_for_a_service_id(environment: dict[str, str]) -> None:
    identifier = "0df08f9f-30ad-4db3-8029-ea584b4290b7"
    for text in (identifier, identifier.upper(), f"octue.services.{identifier}"):
        (service,) = load(given_input(environment, service_id=text)).services
        assert service.service_id == identifier


def test_a_given_image_needs_nothing_to_build(environment: dict[str, str], workspace: Path) -> None:
    (workspace / "Dockerfile").unlink()
    (service,) = load(given_input(environment, image="europe-west1-docker.pkg.dev/p/r/sum@sha256:" + "0" * 64)).services
    assert service.build_trigger == "none"


POOL_OF_FILE = "projects/123456789012/locations/global/workloadIdentityPools/github"
PROVIDER_OF_FILE = f"{POOL_OF_FILE}/providers/octue"
ACCOUNT_OF_FILE = "deployer-2@my-project.iam.gserviceaccount.com"
OF_FILES: dict[str, tuple[object, str]] = {
    "an account": (
        {
            "service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/"
            f"{ACCOUNT_OF_FILE}:generateAccessToken"
        },
        f"serviceAccount:{ACCOUNT_OF_FILE}",
    ),
    "a key": ({"client_email": ACCOUNT_OF_FILE}, f"serviceAccount:{ACCOUNT_OF_FILE}"),
    "a repository": (
        {"audience": f"//iam.googleapis.com/{PROVIDER_OF_FILE}"},
        f"principalSet://iam.googleapis.com/{POOL_OF_FILE}/attribute.repository_id/1296269",
    ),
    "nobody": ({}, ""),
    "a command": ({"client_email": "$(id)"}, ""),
    "no JSON object": ([], ""),
}


@pytest.mark.parametrize("whose", OF_FILES)
def test_a_credentials_file_says_who_deploys(whose: str, environment: dict[str, str], tmp_path: Path) -> None:
    content, caller = OF_FILES[whose]
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps(content))
    del environment["INPUT_WORKLOAD_IDENTITY_PROVIDER"]
    environment.pop("INPUT_DEPLOYER_SERVICE_ACCOUNT", None)

    assert load(environment | {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}).caller == caller


def test_a_credentials_file_is_enough_to_sign_in(environment: dict[str, str], workspace: Path) -> None:
    credentials = workspace / "gha-creds.json"
    credentials.write_text("{}")
    del environment["INPUT_WORKLOAD_IDENTITY_PROVIDER"]
    for variable in CREDENTIALS_VARIABLES:
        loaded = load(environment | {variable: str(credentials)})
        assert (loaded.credentials_file, loaded.workload_identity_provider) == (credentials, None)


def confirmed(environment: dict[str, str], confirm: str, **inputs: str) -> dict[str, str]:
    return given_input(environment, mode="destroy", confirm=confirm, **inputs)


@pytest.mark.parametrize("confirm", ["sum", "my-org/sum", "my-org-sum", " my-org-sum ,"])
def test_what_is_destroyed_is_named_once_more(environment: dict[str, str], confirm: str) -> None:
    assert load(confirmed(environment, confirm)).mode == "destroy"


@pytest.mark.parametrize("confirm", ["my-org-sum-pr-7", "sum-pr-7", "my-org/sum-pr-7"])
def test_a_preview_is_named_once_more_by_its_own_name(environment: dict[str, str], confirm: str) -> None:
    assert load(confirmed(environment, confirm, preview="pr-7")).preview == "pr-7"


@pytest.mark.parametrize(("preview", "confirm"), [("", "sum-pr-7"), ("pr-7", "sum"), ("pr-7", "sum-pr-8")])
def test_a_preview_and_the_service_itself_are_never_taken_for_each_other(
    environment: dict[str, str], preview: str, confirm: str, problems: Problems
) -> None:
    assert "does not name it" in problems(confirmed(environment, confirm, preview=preview))[0].message


@pytest.mark.parametrize("confirm", ["", "yes", "true", "Sum", "my-org", "my-org-su"])
def test_nothing_is_destroyed_that_is_not_named_once_more(
    environment: dict[str, str], confirm: str, problems: Problems
) -> None:
    found = problems(confirmed(environment, confirm))
    assert found[0].message == "The service 'my-org-sum' would be destroyed, and `confirm` does not name it."
    assert found[0].expected == "confirm: my-org-sum"
    assert len(found) == 1


def test_what_is_named_and_not_destroyed_is_a_mistake(environment: dict[str, str], problems: Problems) -> None:
    (problem,) = problems(confirmed(environment, "sum, product"))
    assert "names 'product', which is not to be destroyed." in problem.message


def test_a_preview_keeps_no_topic_of_another_service(environment: dict[str, str], problems: Problems) -> None:
    service_id = "11111111-2222-4333-8444-555555555555"
    (problem,) = problems(given_input(environment, preview="pr-7", service_id=service_id))
    assert problem.message == "A preview has a topic of its own."


def test_a_preview_never_keeps_instances(environment: dict[str, str]) -> None:
    (service,) = load(given_input(environment, preview="pr-7", min_instances="3")).services
    assert service.min_instances == 0
    assert service.real_service == "my-org-sum"


@pytest.mark.parametrize(
    ("mode", "inputs"),
    [
        ("deploy", {"confirm": "sum"}),
        ("plan", {"question": "1"}),
        ("deploy", {"revision": "my-org-sum-00001-abc"}),
        ("drift", {"delete_topic": "true"}),
        ("rollback", {"rollback_on_failure": "true", "question": "1"}),
        ("deploy", {"rollback_on_failure": "true"}),
    ],
)
def test_an_input_without_effect_is_said_to_have_none(
    environment: dict[str, str], mode: str, inputs: dict[str, str]
) -> None:
    (notice,) = load(given_input(environment, mode=mode, **inputs)).notices
    assert "has no effect" in notice.message
    assert notice.title == next(iter(inputs))


def test_a_default_that_is_written_out_is_no_input_without_effect(environment: dict[str, str]) -> None:
    assert load(given_input(environment, delete_topic="false", rollback_on_failure="false")).notices == ()


@pytest.mark.parametrize("mode", ["destroy", "rollback"])
def test_what_was_deployed_before_needs_no_dockerfile_now(
    environment: dict[str, str], workspace: Path, mode: str
) -> None:
    (workspace / "Dockerfile").unlink()
    assert load(given_input(environment, mode=mode, confirm="sum" if mode == "destroy" else "")).mode == mode


def test_a_question_is_json(environment: dict[str, str]) -> None:
    assert load(given_input(environment, question='{"numbers": [1, 2.5]}')).question == {"numbers": [1, 2.5]}


@pytest.mark.parametrize("address", ["127.0.0.1:8085", "127.1.2.3:1", "localhost:65535", "[::1]:8085"])
def test_an_emulator_on_this_machine_is_accepted(environment: dict[str, str], address: str) -> None:
    assert load(environment | {"GOOGLE_CLOUD_EMULATOR_HOST": address}).emulator == address


def test_what_has_no_effect_is_said_and_does_no_harm(environment: dict[str, str], workspace: Path) -> None:
    with (workspace / "octue.yaml").open("a") as file:
        file.write(
            "    machine_type: e2-standard-2\n    repository_owner: someone-else\n    repository_name: Sum-Service\n"
        )
    notices = load(environment).notices
    assert [(notice.file, notice.line) for notice in notices] == [("octue.yaml", 6), ("octue.yaml", 7)]
    assert "no effect" in notices[0].message
    assert "someone-else" in notices[1].message


# What is refused.

WRONG_INPUTS = [
    ("mode", "deplpy", "Perhaps you meant `deploy`.", "rollback"),
    ("adopt", "yes", "Perhaps you meant `true`.", "true or false"),
    ("delete_topic", "maybe", "Input `delete_topic` is 'maybe'.", "true or false"),
    ("project_id", "123456789012", "it is a project's number", "the project's id"),
    ("project_id", "My Project", "Input `project_id` is 'My Project'.", "lower case"),
    ("region", "europe-west1-b", "it is a zone. Perhaps you meant `europe-west1`.", "a region"),
    ("region", "global", "Input `region` is 'global'.", "europe-west1"),
    ("workload_identity_provider", PROVIDER.replace("123456789012", "my-project"), "wants the number", "NUMBER"),
    ("workload_identity_provider", f"https://iam.googleapis.com/{PROVIDER}", f"meant `{PROVIDER}`", "NUMBER"),
    ("workload_identity_provider", f"//iam.googleapis.com/{PROVIDER}", f"meant `{PROVIDER}`", "NUMBER"),
    ("workload_identity_provider", "github", "Input `workload_identity_provider` is 'github'.", "POOL"),
    ("deployer_service_account", "me@gmail.com", "'me@gmail.com'", "gserviceaccount.com"),
    ("runtime_service_account", "serviceAccount:a@b.iam.gserviceaccount.com", "Perhaps you meant `a@b.iam", "alone"),
    ("octue_role", "projects/my-project/roles/octue-service-user", "roles/octue_service_user`", "PROJECT"),
    ("octue_role", "octue_service_user", "'octue_service_user'", "projects/PROJECT/roles/ROLE"),
    ("service_id", "sum", "Input `service_id` is 'sum'.", "a UUID"),
    ("image", "https://example.com/sum", "Leave out", "an image"),
    ("image", "Sum:1.0", "Input `image` is 'Sum:1.0'.", "an image"),
    ("branch_pattern", "(main", "it is not a regular expression", "^main$"),
    ("branch_pattern", "^(?!main)", "Cloud Build knows no look-ahead", "^main$"),
    ("build_trigger", "none", "Input `build_trigger` is 'none', and no image is given.", "input `image`, too"),
    ("build_trigger", "pull", "Input `build_trigger` is 'pull'.", "push, manual or none"),
    ("repository_connection", "github/sum", "'github/sum'", "projects/PROJECT/locations/REGION/connections"),
    (
        "repository_connection",
        "projects/my-project/locations/europe-west2/connections/github/repositories/sum",
        "is in europe-west2, but the service is in europe-west1",
        "one region",
    ),
    ("build_service_account", "sum", "Input `build_service_account` is 'sum'.", "e-mail"),
    ("memory", "512", "it has no unit. Perhaps you meant `512Mi`.", "such as 512Mi"),
    ("memory", "2GB", "Perhaps you meant `2Gi`.", "such as 512Mi"),
    ("memory", "64Mi", "no instance of that size", "from 128Mi to 32Gi"),
    ("memory", "8Gi", "memory 8Gi (input `memory`) does not go with cpu 1 (the default).", "from 128Mi to 4Gi"),
    ("cpu", "3", "Input `cpu` is '3'.", "1, 2, 4, 6 or 8"),
    ("cpu", "0.05", "Input `cpu` is '0.05'.", "from 0.08"),
    ("cpu", "1000m", "Perhaps you meant `1`.", "1, 2, 4"),
    ("cpu", "NaN", "Input `cpu` is 'NaN'.", "1, 2, 4"),
    ("cpu", "4", "cpu 4 (input `cpu`) does not go with memory 128Mi (the default).", "from 2Gi to 16Gi"),
    ("concurrency", "0", "Input `concurrency` is '0'.", "from 1 to 1000"),
    ("timeout", "3601", "Input `timeout` is '3601'.", "seconds from 1 to 3600"),
    ("timeout", "1h", "Input `timeout` is '1h'.", "seconds"),
    ("min_instances", "11", "does not go with max_instances 10 (the default)", "no more instances"),
    ("max_instances", "many", "Input `max_instances` is 'many'.", "from 1"),
    ("environment_variables", "A=1\nB", "its line 2 has no `=`", "NAME=value"),
    ("environment_variables", "1A=1", "A name in input `environment_variables` is '1A'.", "letters"),
    ("environment_variables", "PORT=1", "Cloud Run sets it", "another name"),
    ("environment_variables", "X_GOOGLE_A=1", "Cloud Run keeps it", "another name"),
    ("environment_variables", "SERVICE_ID=1", "the action sets it from the topic", "another name"),
    ("environment_variables", "OCTUE_SERVICE_NAME=1", "the action sets it", "another name"),
    ("environment_variables", "A=1\nA=2", "'A' stands twice in input `environment_variables`.", "once"),
    ("environment_variables", '{"A": "1", "A": "2"}', "'A' stands twice", "once"),
    ("environment_variables", '{"A": 1}', "the value of 'A' is not text", "texts"),
    ("environment_variables", '{"A": "1"', "it is not JSON", "a JSON object"),
    ("environment_variables", "A=" + "x" * 33_000, "The value of 'A' in input `environment_variables`", "32 KiB"),
    ("environment_variables", "\n".join(f"A{i}=1" for i in range(1001)), "There are 1,001", "at most 1000"),
    ("secrets", "A=hunter 2", "The value of 'A' in input `secrets` is not right.", "secret-name:version"),
    ("labels", "Team=a", "A name in input `labels` is 'Team'.", "lower case"),
    ("labels", "team=A", "The value of 'team' in input `labels` is 'A'.", "lower case"),
    ("labels", "managed-by=me", "the action sets this label itself", "another key"),
    ("labels", "\n".join(f"a{i}=1" for i in range(62)), "There are 62", "at most 61"),
    ("ingress", "external", "Input `ingress` is 'external'.", "internal or all"),
    ("preview", "PR 1", "Perhaps you meant `pr-1`.", "lower case"),
    ("preview", "a-preview-with-a-name-far-too-long-for-cloud-run", "characters).", "at most 49"),
    ("revision", "Sum", "Input `revision` is 'Sum'.", "my-service-00003-abc"),
    ("region_policy", "low_carbon", "Perhaps you meant `low-carbon`.", "any or low-carbon"),
    ("sdk_policy", "check", "Perhaps you meant `checked`.", "checked or any"),
    ("question", "{numbers: 1}", "it is not JSON", "JSON"),
    ("question", "[" * 100_000, "it is not JSON", "JSON"),
    ("question", "1" * 5000, "it is not JSON", "JSON"),
    ("question", "NaN", "it is not JSON", "JSON"),
    ("question", "null", "it asks nothing", "JSON"),
    ("service_name", "product", "`name` is 'sum', but input `service_name` is 'product'.", "the same in both"),
    ("service_namespace", "other", "`namespace` is 'my-org', but input `service_namespace`", "the same in both"),
    ("services", "summ", "there is no service 'summ'. Perhaps you meant `sum`.", "one of sum"),
    ("services", "sum sun", "there is no service 'sum sun'.", "one of sum, with commas or lines between several"),
    (
        "dockerfile",
        "docker/Dockerfile",
        "there is no such file. Is it committed, and the repository checked out",
        "inside",
    ),
    ("dockerfile", "/etc/passwd", "it leads out of the repository", "inside the repository"),
    ("dockerfile", "../Dockerfile", "it leads out of the repository", "inside the repository"),
    ("dockerfile", "docker\\Dockerfile", "does not belong in a path", "inside the repository"),
    ("dockerfile", ".", "it is not a regular file", "inside the repository"),
    ("dockerfile", "a" * 5000, "cannot be", "inside the repository"),
    ("config", "../octue.yaml", "it leads out of the repository", "inside the repository"),
    ("config", "service.yaml", "there is no such file", "inside the repository"),
    ("memmory", "1Gi", "The action has no input 'memmory'. Perhaps you meant `memory`.", "README"),
    ("PROJECT-ID", "my-project", "Perhaps you meant `project_id`.", "README"),
]


@pytest.mark.parametrize(("name", "value", "message", "expected"), WRONG_INPUTS)
def test_a_wrong_input_is_said_with_what_was_expected(
    environment: dict[str, str], problems: Problems, name: str, value: str, message: str, expected: str
) -> None:
    found = [it for it in problems(given_input(environment, **{name: value})) if message in it.message]
    assert len(found) == 1
    assert expected in found[0].expected
    assert found[0].title


WRONG_VARIABLES = [
    ("GITHUB_REPOSITORY", "", "GITHUB_REPOSITORY is not set"),
    ("GITHUB_REPOSITORY_ID", "x", "GITHUB_REPOSITORY_ID is 'x'"),
    ("GITHUB_SHA", "main", "GITHUB_SHA is 'main'"),
    ("GITHUB_WORKSPACE", "/nowhere", "GITHUB_WORKSPACE is '/nowhere'"),
    ("GITHUB_WORKSPACE", "x" * 5000, "GITHUB_WORKSPACE is 'xxx"),
    ("GITHUB_REF", "\udcff", "GITHUB_REF has a character"),
    ("GOOGLE_CLOUD_EMULATOR_HOST", "10.0.0.1:8085", "only an emulator on this machine"),
    ("GOOGLE_CLOUD_EMULATOR_HOST", "127.0.0.1", "only an emulator on this machine"),
    ("GOOGLE_CLOUD_EMULATOR_HOST", "localhost.example.com:80", "only an emulator on this machine"),
    ("GOOGLE_CLOUD_EMULATOR_HOST", "127.0.0.999:80", "only an emulator on this machine"),
    ("GOOGLE_CLOUD_EMULATOR_HOST", "127.0.0.1:80@example.com:80", "only an emulator on this machine"),
    ("GOOGLE_CLOUD_EMULATOR_HOST", "127.0.0.1:0", "only an emulator on this machine"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG_VARIABLES)
def test_a_wrong_variable_of_the_environment_is_said(
    environment: dict[str, str], problems: Problems, name: str, value: str, message: str
) -> None:
    assert any(message in problem.message for problem in problems(environment | {name: value}))


def test_all_problems_come_together_in_the_order_of_the_file(
    environment: dict[str, str], workspace: Path, problems: Problems
) -> None:
    (workspace / "octue.yaml").write_text(
        "services:\n  - name: sum\n    memory: 512\n    cpus: 3\n    regoin: europe-west1\n    timeout: 1\n"
    )
    found = problems(given_input(environment, mode="deplpy", concurrency="0", dockerfile="/etc/passwd"))
    inputs = [problem for problem in found if problem.file is None]
    in_file = [problem for problem in found if problem.file]
    assert list(found) == inputs + in_file
    assert [problem.line for problem in in_file] == [3, 4, 5, 6]
    assert {problem.title for problem in inputs} == {"mode", "concurrency", "dockerfile", "project_id", "region"}


def test_inputs_are_looked_at_although_octue_yaml_cannot_be_read(
    environment: dict[str, str], workspace: Path, problems: Problems
) -> None:
    (workspace / "octue.yaml").write_text("services: [\n")
    found = problems(given_input(environment, memory="512"))
    assert [(problem.file, problem.title) for problem in found] == [(None, "memory"), ("octue.yaml", "YAML")]


def test_a_value_that_differs_is_shown_where_it_stands_in_the_file(
    environment: dict[str, str], problems: Problems
) -> None:
    (problem,) = problems(given_input(environment, region="europe-west2"))
    assert (problem.file, problem.line, problem.column) == ("octue.yaml", 5, 13)
    assert problem.message == "`region` is 'europe-west1', but input `region` is 'europe-west2'."


def test_gen2_with_too_little_memory_names_both_lines(
    environment: dict[str, str], workspace: Path, problems: Problems
) -> None:
    with (workspace / "octue.yaml").open("a") as file:
        file.write("    memory: 256Mi\n    execution_environment: gen2\n")
    (problem,) = problems(environment)
    assert problem.line == 7
    assert "octue.yaml, line 6" in problem.message
    assert "octue.yaml, line 7" in problem.message
    assert "at least 512Mi" in problem.expected


def test_many_questions_at_a_time_do_not_go_with_less_than_one_cpu(
    environment: dict[str, str], problems: Problems
) -> None:
    (problem,) = problems(given_input(environment, cpu="0.5", concurrency="2"))
    assert "concurrency 2 (input `concurrency`) does not go with cpu 0.5 (input `cpu`)" in problem.message


def test_a_name_cannot_be_a_variable_and_a_secret(
    environment: dict[str, str], workspace: Path, problems: Problems
) -> None:
    with (workspace / "octue.yaml").open("a") as file:
        file.write("    environment_variables:\n      - name: TOKEN\n        value: x\n")
    (problem,) = problems(given_input(environment, secrets="TOKEN=token:1"))
    assert (problem.line, problem.column) == (7, 15)
    assert "input `secrets`" in problem.message


def test_a_secret_pasted_by_mistake_is_not_shown(environment: dict[str, str], problems: Problems) -> None:
    for name in ("secrets", "environment_variables"):
        for value in ("hunter 2\nhunter 3", '{"A": "hunter 2"', '{"hunter 2": 1}', "A=hunter 2\nB=hunter 3\nhunter 4"):
            found = problems(given_input(environment, **{name: value}))
            assert found
            assert "hunter" not in str(found)


def test_no_octue_yaml_and_no_name_tells_both_ways(
    environment: dict[str, str], workspace: Path, problems: Problems
) -> None:
    (workspace / "octue.yaml").unlink()
    (problem,) = problems(environment)
    assert problem.message.startswith("There is no octue.yaml in the repository.")
    assert "service_name" in problem.expected


def test_no_way_to_sign_in_says_what_to_paste(environment: dict[str, str], problems: Problems) -> None:
    del environment["INPUT_WORKLOAD_IDENTITY_PROVIDER"]
    (problem,) = problems(environment)
    assert "projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER" in problem.expected
    assert "google-github-actions/auth" in problem.expected


def test_a_credentials_file_that_is_not_there_is_a_problem(environment: dict[str, str], problems: Problems) -> None:
    del environment["INPUT_WORKLOAD_IDENTITY_PROVIDER"]
    for path in ("/nowhere.json", "a\x00b", "x" * 5000):
        (problem,) = problems(environment | {"GOOGLE_APPLICATION_CREDENTIALS": path})
        assert "no such file" in problem.message


@pytest.mark.parametrize("name", ["service_id", "image", "revision", "question"])
def test_what_only_one_service_can_have_is_refused_for_two(
    environment: dict[str, str], workspace: Path, problems: Problems, name: str
) -> None:
    (workspace / "octue.yaml").write_text(TWO_SERVICES)
    value = {
        "service_id": "0df08f9f-30ad-4db3-8029-ea584b4290b7",
        "image": "sum:1",
        "revision": "sum-1",
        "question": "1",
    }[name]
    (problem,) = problems(given_input(environment, **{name: value}))
    assert problem.message == f"Input `{name}` is for one service, but there are 2."


def test_two_services_cannot_be_called_alike(environment: dict[str, str], workspace: Path, problems: Problems) -> None:
    (workspace / "octue.yaml").write_text(
        "services:\n"
        "  - {name: a-b, namespace: c, region: europe-west1, project_name: my-project}\n"
        "  - {name: b, namespace: c-a, region: europe-west1, project_name: my-project}\n"
    )
    (problem,) = problems(environment)
    assert problem.line == 3
    assert "'c-a-b'" in problem.message
    assert "line 2" in problem.message


def test_services_of_two_projects_need_two_runs(
    environment: dict[str, str], workspace: Path, problems: Problems
) -> None:
    (workspace / "octue.yaml").write_text(TWO_SERVICES.replace("my-project", "other-project", 1))
    (problem,) = problems(environment)
    assert problem.line == 6
    assert "'other-project'" in problem.message


def test_a_name_too_long_for_cloud_run_is_shown_where_it_stands(
    environment: dict[str, str], workspace: Path, problems: Problems
) -> None:
    text = (workspace / "octue.yaml").read_text()
    (workspace / "octue.yaml").write_text(text.replace("name: sum", "name: " + "s" * 43))
    (problem,) = problems(environment)
    assert (problem.line, problem.column) == (2, 11)
    assert "(50 characters)" in problem.message


# What leads out of the repository, or is no file.


@pytest.mark.parametrize("name", ["config", "dockerfile"])
def test_a_symbolic_link_does_not_lead_out(
    environment: dict[str, str], workspace: Path, problems: Problems, name: str
) -> None:
    (workspace.parent / "outside.yaml").write_text("name: outside\n")
    (workspace / "link").symlink_to("../outside.yaml")
    (workspace / "folder").symlink_to("..")
    for path in ("link", "folder/outside.yaml", "folder/nowhere/../outside.yaml"):
        messages = [it.message for it in problems(given_input(environment, **{name: path}))]
        assert any(f"Input `{name}`" in it and "leads out of the repository" in it for it in messages)


def test_a_symbolic_link_inside_the_repository_is_followed(environment: dict[str, str], workspace: Path) -> None:
    (workspace / "docker").mkdir()
    (workspace / "docker" / "Dockerfile").symlink_to("../Dockerfile")
    (service,) = load(given_input(environment, dockerfile="./docker/Dockerfile")).services
    assert service.dockerfile == "docker/Dockerfile"


@pytest.mark.parametrize("name", ["config", "dockerfile"])
def test_a_link_to_itself_is_refused(
    environment: dict[str, str], workspace: Path, problems: Problems, name: str
) -> None:
    (workspace / "loop").symlink_to("loop")
    assert any("cannot be" in it.message for it in problems(given_input(environment, **{name: "loop"})))


@pytest.mark.parametrize("name", ["config", "dockerfile"])
def test_a_pipe_is_refused_and_not_waited_for(
    environment: dict[str, str], workspace: Path, problems: Problems, name: str
) -> None:
    os.mkfifo(workspace / "pipe")
    assert any("not a regular file" in it.message for it in problems(given_input(environment, **{name: "pipe"})))


@pytest.mark.parametrize("key", ["app_source_path", "twine_path", "app_configuration_path", "dockerfile_path"])
def test_paths_of_octue_yaml_stay_inside_too(
    environment: dict[str, str], workspace: Path, problems: Problems, key: str
) -> None:
    with (workspace / "octue.yaml").open("a") as file:
        file.write(f"    {key}: ../elsewhere\n")
    (problem,) = problems(environment)
    assert (problem.line, problem.title) == (6, key)
    assert "leads out of the repository" in problem.message


# Whatever comes.

any_text = st.text(alphabet=st.characters(), max_size=60)  # lone surrogates too: bytes that are not UTF-8


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=2000)
@given(inputs=st.dictionaries(st.sampled_from(sorted(INPUTS)), any_text, max_size=8))
def test_any_inputs_are_read_or_have_problems(
    environment: dict[str, str], problems: Problems, inputs: dict[str, str]
) -> None:
    assert all(problem.message.isprintable() for problem in problems(given_input(environment, **inputs)))


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=2000)
@given(
    lines=st.lists(
        st.sampled_from(["services:", "- name: sum", "  name: sum", "  memory: ", "  cpus: 0.5", "  - ", "  secrets:"])
        | any_text,
        max_size=8,
    )
)
def test_any_octue_yaml_is_read_or_has_problems(
    environment: dict[str, str], workspace: Path, problems: Problems, lines: list[str]
) -> None:
    content = "\n".join(lines).encode("utf-8", "surrogatepass")
    (workspace / "octue.yaml").write_bytes(content)
    last = content.count(b"\n") + 1
    assert all(it.line and it.line <= last for it in problems(environment) if it.file)


def test_a_large_hostile_octue_yaml_is_refused_at_once(
    environment: dict[str, str], workspace: Path, problems: Problems
) -> None:
    (workspace / "octue.yaml").write_bytes(b"".join(b"k%d: 1\n" % number for number in range(100_000)))
    start = time.monotonic()
    (problem,) = problems(environment)
    assert time.monotonic() - start < 1
    assert "larger than 256 KiB" in problem.message


def test_every_input_has_a_sentence_of_description() -> None:
    for declared in INPUTS.values():
        assert declared.description[0].isupper()
        assert declared.description.endswith(".")
        assert not (declared.default and declared.otherwise)
