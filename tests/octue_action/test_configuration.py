from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octue_action import configuration
from octue_action.configuration import Configuration
from octue_action.keys import KEYS
from octue_action.octue_yaml import JsonSchemaValueException

EVERY_KEY = """\
services:
  - name: sum
    namespace: my-org
    organisation: My Organisation
    project_name: my-project
    region: europe-west1
    repository_name: sum-service
    repository_owner: my-org
    app_source_path: src
    twine_path: twine.json
    app_configuration_path: app_configuration.json
    dockerfile_path: docker/Dockerfile
    cloud_build_configuration_path: cloudbuild.yaml
    minimum_instances: 0
    maximum_instances: 10
    concurrency: 10
    memory: 128Mi
    cpus: 0.5
    branch_pattern: ^main$
    environment_variables:
      - name: LOREM
        value: 1.10
    secrets:
      build:
        - token
    crash_diagnostics_cloud_path: gs://my-bucket/diagnostics
    diagnostics_cloud_path: gs://my-bucket/diagnostics
    execution_environment: gen2
    service_registries:
      - name: registry
        endpoint: https://registry.example.com
    event_store_table_id: dataset.table
    delete_local_files: false
    temporary_files_location: gs://my-bucket/temporary
    setup_file_path: setup.py
    service_account_email: me@my-project.iam.gserviceaccount.com
    machine_type: e2-standard-2
"""


def read(text: str) -> Configuration:
    return configuration.read(text.encode(), "octue.yaml")


def test_every_key_of_octues_sdk_is_known() -> None:
    found = read(EVERY_KEY)
    assert found.problems == ()
    (service,) = found.services
    mentioned = {*service.settings, "environment_variables", "secrets", "service_registries"}
    assert mentioned == set(KEYS)


def test_values_are_kept_as_they_are_written() -> None:
    (service,) = read(EVERY_KEY).services
    assert service.settings["cpus"].text == "0.5"
    assert [(name.text, value.text) for name, value in service.environment_variables] == [("LOREM", "1.10")]
    assert [secret.text for secret in service.build_secrets] == ["token"]


def test_every_value_knows_its_line() -> None:
    (service,) = read(EVERY_KEY).services
    lines = EVERY_KEY.splitlines()
    for key, value in service.settings.items():
        assert value.line is not None
        assert lines[value.line - 1].split("- ")[-1].strip().startswith(f"{key}: ")


def test_the_flat_form_of_the_first_sdks_says_the_same() -> None:
    flat = "\n".join(line[4:] for line in EVERY_KEY.splitlines()[1:])
    (service,), (listed,) = read(flat).services, read(EVERY_KEY).services
    assert {key: it.text for key, it in service.settings.items()} == {
        key: it.text for key, it in listed.settings.items()
    }


def test_a_key_without_a_value_is_not_given() -> None:
    found = read("name: sum\nnamespace:\nenvironment_variables:\nsecrets: {}\n")
    assert found.problems == ()
    assert set(found.services[0].settings) == {"name"}


WRONG = [
    ("name: sum\ncpu: 1\n", 2, 1, "'cpu' is not a key of octue.yaml. Perhaps you meant `cpus`.", ""),
    ("name: sum\nmax-instances: 1\n", 2, 1, "Perhaps you meant `maximum_instances`.", ""),
    ("name: sum\nmemory: 512\n", 2, 9, "`memory` is the number 512. Perhaps you meant `512Mi`.", "such as 512Mi"),
    ("name: sum\nmemory:\n", 2, 8, "`memory` is empty.", "such as 512Mi"),
    ("name: 123\n", 1, 7, "`name` is the number 123. Perhaps you meant `'123'`, in quotes.", "a name"),
    ("name: My Sum\n", 1, 7, "`name` is the text 'My Sum'. Perhaps you meant `my-sum`.", "lower case"),
    ("name: sum\nmaximum_instances: '3'\n", 2, 20, "Perhaps you meant `3`, without quotes.", "a whole number"),
    ("name: sum\nmaximum_instances: 0\n", 2, 20, "`maximum_instances` is the number 0.", "from 1"),
    ("name: sum\nconcurrency: 1001\n", 2, 14, "`concurrency` is the number 1001.", "from 1 to 1000"),
    ("name: sum\nconcurrency: true\n", 2, 14, "`concurrency` is the word true.", "a whole number"),
    ("name: sum\nexecution_environment: gen3\n", 2, 24, "the text 'gen3'", "gen1 or gen2"),
    ("name: sum\ndelete_local_files: 'x'\n", 2, 21, "the text 'x'", "true or false"),
    ("name: sum\ndiagnostics_cloud_path: /tmp\n", 2, 25, "the text '/tmp'", "gs://my-bucket/diagnostics"),
    ("name: sum\nenvironment_variables:\n  A: b\n", 3, 3, "`environment_variables` is a mapping.", "a list"),
    ("name: sum\nenvironment_variables:\n  - name: A\n", 3, 5, "`value` is missing here.", "`value: ...`"),
    ("name: sum\nenvironment_variables: [A]\n", 2, 25, "An item of `environment_variables` is the text 'A'.", "value"),
    ("name: sum\nsecrets:\n  biuld: [a]\n", 3, 3, "'biuld' is not a key of octue.yaml. Only `build`", ""),
    ('name: "sum\\n"\n', 1, 7, "`name` is the text 'sum\\n'. Perhaps you meant `sum`.", "lower case"),
    ('name: sum\nnamespace: "org\\n"\n', 2, 12, "`namespace` is the text 'org\\n'.", "lower case"),
    ("region: europe-west1\n", 1, 1, "`name` is missing here.", "`name: ...`"),
    ("services: []\n", 1, 11, "`services` is an empty list.", "1 to 100 services"),
    ("services:\n", 1, 10, "`services` is empty.", "1 to 100 services"),
    ("services:\n  - sum\n", 2, 5, "An item of `services` is the text 'sum'.", "the keys of a service"),
    ("services:\n  - name: a\n  - nam: b\n", 3, 5, "`name` is missing here.", "`name: ...`"),
    ("services:\n  - name: a\nregion: x\n", 3, 1, "'region' is not a key of octue.yaml. Here it belongs to one", ""),
    ("- name: a\n", 1, 1, "octue.yaml is a list of 1.", "`services:`"),
    ("a name\n", 1, 1, "octue.yaml is the text 'a name'.", "`services:`"),
    ("", 1, None, "octue.yaml is empty.", "`services:`"),
]


@pytest.mark.parametrize(("text", "line", "column", "message", "expected"), WRONG)
def test_what_is_wrong_is_shown_where_it_stands(
    text: str, line: int, column: int | None, message: str, expected: str
) -> None:
    found = read(text).problems
    (problem,) = [it for it in found if message in it.message]
    assert (problem.file, problem.line, problem.column) == ("octue.yaml", line, column)
    assert expected in problem.expected


def test_all_that_is_wrong_comes_together_and_the_rest_is_read() -> None:
    found = read("name: sum\nmemory: 512\ncpu: 1\nconcurrency: x\nregion: europe-west1\n")
    assert sorted(problem.line or 0 for problem in found.problems) == [2, 3, 4]
    (service,) = found.services
    assert set(service.settings) == {"name", "region"}
    assert service.written_wrongly == {"memory", "concurrency"}


def test_a_flood_of_unknown_keys_is_counted() -> None:
    found = read("name: sum\n" + "".join(f"k{number}: 1\n" for number in range(3000)))
    assert len(found.problems) == configuration.MAXIMUM_PROBLEMS + 1
    assert found.problems[-1].message == "2,950 more keys here are unknown."


def test_a_file_that_is_no_yaml_has_no_services() -> None:
    found = read("name: [\n")
    assert not found.is_whole
    assert found.services == ()
    assert found.problems[0].line == 1


def test_the_schema_is_a_json_schema_that_can_be_published() -> None:
    jsonschema.Draft202012Validator.check_schema(configuration.SCHEMA)
    assert configuration.SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["services", "name", "secrets", "build", "environment_variables", "x"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_a_file_of_any_shape_is_read_or_has_problems(value: object) -> None:
    # JSON is YAML, and every problem has a place.
    text = json.dumps(value, ensure_ascii=True)
    found = read(text)
    assert all(problem.line == 1 for problem in found.problems)
    assert found.problems or found.services


def test_of_a_list_that_is_too_long_no_more_services_are_read_than_there_may_be() -> None:
    found = read("services:\n" + "".join(f"  - name: s{number}\n" for number in range(3300)))

    (problem,) = found.problems
    assert problem.message == "`services` is a list of 3300."
    assert len(found.services) == 100
    assert not found.is_whole, "a service that is not among them may be there"


def test_a_file_that_the_quick_check_refuses_is_refused_although_the_schema_finds_nothing_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: object) -> None:
        raise JsonSchemaValueException("data.name must match pattern ^a$")

    monkeypatch.setattr("octue_action.configuration.validate", refuse)

    (problem,) = read("name: sum\n").problems

    assert problem.message == "octue.yaml is not as its schema says: 'data.name must match pattern ^a$'."
    assert (problem.file, problem.line) == ("octue.yaml", 1)


def test_a_service_that_is_not_chosen_is_refused_as_well_where_its_name_ends_with_a_line_end() -> None:
    (problem,) = read('services:\n  - name: sum\n  - name: "product\\n"\n').problems

    assert problem.line == 3
