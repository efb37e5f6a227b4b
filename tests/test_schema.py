"""What is published of octue.yaml: it is what the action's table says now, and it accepts what the action accepts."""

from __future__ import annotations

import ast
import functools
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import regress
import ruamel.yaml
import yaml
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from jsonschema.validators import extend

from octue_action import configuration, octue_yaml, values
from octue_action.keys import KEYS, Schema
from octue_action.problems import InvalidSettings, Problem, Rejected
from octue_action.settings import load
from script import schema
from script.schema import ACROSS, CHECKOUT, MODELINE, WRITTEN, Beyond
from tests.runs import ROOT

BEYOND = (*ACROSS, *CHECKOUT, *WRITTEN)
BASE = {"name": "sum", "project_name": "my-project", "region": "europe-west1"}

PUBLISHED = schema.published()
SERVICE: Schema = PUBLISHED["$defs"]["service"]
COMMAND = "run script/schema, look at what it changed, and commit it"


@functools.cache
def ecmascript(pattern: str) -> regress.Regex:
    return regress.Regex(pattern, "u")


def _pattern(_: object, pattern: str, text: object, __: Schema) -> Iterator[jsonschema.ValidationError]:
    if isinstance(text, str) and ecmascript(pattern).find(text) is None:
        yield jsonschema.ValidationError(f"{text!r} does not match {pattern!r}")


# JSON Schema's patterns are ECMAScript's, as editors have them; the library would take them for Python's.
VALIDATOR = extend(jsonschema.Draft202012Validator, {"pattern": _pattern})(PUBLISHED)  # type: ignore[no-untyped-call]  # extend has no types


def in_an_editor(text: str) -> object:
    """The file as an editor reads it, with YAML 1.2; a tag or a key given twice does not hold it up."""
    reader = ruamel.yaml.YAML(typ="safe", pure=True)
    reader.allow_duplicate_keys = True
    return reader.load(text)


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Problem, ...]]:
    """What the action says of an octue.yaml, when no input helps it."""
    workspace = tmp_path_factory.mktemp("workspace")
    (workspace / "Dockerfile").touch()
    (workspace / "link-to-the-root").symlink_to("/")
    environment = {
        "GITHUB_WORKSPACE": str(workspace),
        "GITHUB_REPOSITORY": "my-org/sum-service",
        "GITHUB_REPOSITORY_ID": "1296269",
        "GITHUB_REPOSITORY_OWNER_ID": "583231",
        "GITHUB_SHA": "0123456789abcdef0123456789abcdef01234567",
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_RUN_ID": "42",
        "GITHUB_SERVER_URL": "https://github.com",
        "INPUT_WORKLOAD_IDENTITY_PROVIDER": (
            "projects/123456789012/locations/global/workloadIdentityPools/github/providers/github"
        ),
    }

    def find(text: str) -> tuple[Problem, ...]:
        (workspace / "octue.yaml").write_text(text)
        try:
            load(environment)
        except InvalidSettings as error:
            return error.problems
        return ()

    return find


# What is published is what the table says.


@pytest.mark.parametrize("file", schema.files(), ids=str)
def test_what_is_committed_is_what_the_script_writes(file: Path) -> None:
    committed = (ROOT / file).read_text() if (ROOT / file).exists() else ""

    assert committed == schema.files()[file], f"{file} is not what octue_action/keys.py says: {COMMAND}"


def test_the_script_can_be_run() -> None:
    assert os.access(ROOT / "script" / "schema", os.X_OK)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(PUBLISHED)

    assert [pattern for pattern in _patterns(PUBLISHED) if not _compiles(pattern)] == []


@pytest.mark.parametrize("name", KEYS)
def test_every_key_has_what_an_editor_shows_of_it(name: str) -> None:
    shown = SERVICE["properties"][name]

    assert shown["title"]
    assert shown["description"].startswith(KEYS[name].what)
    assert VALIDATOR.is_valid({**BASE, name: shown["examples"][0]})
    assert "default" not in shown or VALIDATOR.is_valid({**BASE, name: shown["default"]})


def test_no_two_descriptions_are_the_same() -> None:
    what = [key.what for key in KEYS.values() if key.user != "nobody"]

    assert len(set(what)) == len(what)


def test_a_key_with_its_default_is_as_good_as_none(refusals: Callable[[str], tuple[Problem, ...]]) -> None:
    defaults = {name: key.default for name, key in KEYS.items() if key.default is not None}

    assert set(defaults) >= {"memory", "cpus", "concurrency", "branch_pattern", "dockerfile_path"}
    assert refusals(json.dumps({**BASE, **defaults})) == ()


# What the repository has of octue.yaml is valid.


def test_the_example_is_valid_and_tells_editors_of_the_schema() -> None:
    for file in ROOT.glob("examples/*/octue.yaml"):
        text = file.read_text()

        assert text.splitlines()[0] == MODELINE
        VALIDATOR.validate(in_an_editor(text))


def test_the_readme_has_the_line_for_editors() -> None:
    assert f"```yaml\n{MODELINE}\n" in (ROOT / "README.md").read_text()


def test_every_octue_yaml_of_the_tests_that_the_action_accepts_is_valid(
    refusals: Callable[[str], tuple[Problem, ...]],
) -> None:
    texts = {text for file in (ROOT / "tests").rglob("*.py") for text in _strings(file) if "name: " in text}
    accepted = [text for text in texts if refusals(text) == ()]

    assert len(accepted) >= 5
    for text in accepted:
        VALIDATOR.validate(in_an_editor(text))


# The law: but for what is listed, the schema and the action say the same.


@pytest.mark.parametrize("beyond", BEYOND, ids=lambda it: it.rule)
def test_what_the_schema_cannot_say_is_refused_by_the_action_alone(
    beyond: Beyond, refusals: Callable[[str], tuple[Problem, ...]]
) -> None:
    VALIDATOR.validate(in_an_editor(beyond.example))

    assert [it.message for it in refusals(beyond.example) if not re.search(beyond.message, it.message)] == []
    assert refusals(beyond.example)


PRINTABLE = st.characters(exclude_categories=("C", "Z")) | st.sampled_from(" \n")
WORDS = st.text(PRINTABLE, max_size=12) | st.text("a-/.$\\1( ^:*?=!", max_size=6)
# As they are written alike in JSON and in YAML; without what the rules about writing are for.
NUMBERS = st.integers(-(10**17), 10**17) | (
    st.integers(-9999, 9999).filter(lambda it: it % 1000 != 0).map(lambda it: it / 1000)
)
SCALARS = st.none() | st.booleans() | NUMBERS | WORDS
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2), max_leaves=4
)


def of(form: Schema) -> st.SearchStrategy[Any]:
    """What a schema of this file accepts, or nearly so, and sometimes anything else."""
    good: list[st.SearchStrategy[Any]] = [st.sampled_from(form["examples"])] if "examples" in form else []
    good += [of(part) for part in form.get("anyOf", ())]
    if "enum" in form:
        good.append(st.sampled_from(form["enum"]))
    kinds = form.get("type", ())
    good += [_OF_KIND[kind](form) for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    return st.one_of(*good, *good, SCALARS, ANYTHING) if good else ANYTHING


def _texts(form: Schema) -> st.SearchStrategy[str]:
    if "pattern" not in form:
        return WORDS.filter(bool) | _of_lengths(form)
    right = st.from_regex(form["pattern"], alphabet=st.characters(min_codepoint=32, max_codepoint=126))
    right = right.map(lambda it: it.removesuffix("\n"))
    return right | st.tuples(right, st.integers(0, 12), WORDS).map(lambda it: it[0][: it[1]] + it[2] + it[0][it[1] :])


def _of_lengths(form: Schema) -> st.SearchStrategy[str]:
    return st.sampled_from([form.get("minLength", 0), form.get("maxLength", 1), form.get("maxLength", 1) + 1]).map(
        lambda it: "a" * it
    )


def _objects(form: Schema) -> st.SearchStrategy[dict[str, Any]]:
    parts: dict[str, Any] = {name: of(part) for name, part in form.get("properties", {}).items()}
    required = {name: parts[name] for name in form.get("required", ())}
    return st.fixed_dictionaries(required, optional={name: it for name, it in parts.items() if name not in required})


_OF_KIND: dict[str, Callable[[Schema], st.SearchStrategy[Any]]] = {
    "string": _texts,
    "null": lambda _: st.none(),
    "boolean": lambda _: st.booleans(),
    "number": lambda _: NUMBERS | st.integers(70, 1010).filter(lambda it: it != 1000).map(lambda it: it / 1000),
    "integer": lambda form: st.sampled_from([*_around(form.get("minimum", 0)), *_around(form.get("maximum", 0))]),
    "array": lambda form: st.lists(of(form.get("items", {})), max_size=2),
    "object": _objects,
}


def _around(number: int) -> tuple[int, int, int]:
    return number - 1, number, number + 1


KEYS_AND_VALUES = st.sampled_from(list(KEYS)).flatmap(
    lambda name: st.tuples(st.just(name), of(SERVICE["properties"][name]))
)
SERVICES = st.lists(KEYS_AND_VALUES | st.tuples(WORDS, ANYTHING), max_size=3).map(lambda it: {**BASE, **dict(it)})
FILES = (
    SERVICES
    | SERVICES.map(lambda it: {"services": [it]})
    | st.lists(SERVICES | ANYTHING, max_size=2).map(lambda it: {"services": it})
    | st.fixed_dictionaries({"services": ANYTHING}, optional={"name": st.just("sum"), "nmae": SCALARS})
    | SERVICES.map(lambda it: {key: value for key, value in it.items() if key != "name"})
    | ANYTHING
)


# To Python, `$` in a pattern is before a last line end, too: to JSON Schema it is not.
PATTERNED = [name for name, key in KEYS.items() if "pattern" in key.schema]
LINES = st.sampled_from(PATTERNED).flatmap(
    lambda name: _texts(KEYS[name].schema).map(lambda text: {**BASE, name: f"{text}\n"})
)


@given(FILES | LINES | LINES.map(lambda it: {"services": [BASE, it]}))
@example({**BASE, "name": "sum\n"})
@example({**BASE, "namespace": "my-org\n"})
@example({"services": [BASE, {**BASE, "name": "my-org/sum\n"}]})
@example({**BASE, "diagnostics_cloud_path": "gs://my-bucket\n"})
@example({**BASE, "cpus": True})
@example({**BASE, "minimum_instances": 1.0})
@example({**BASE, "execution_environment": ["gen2"]})
@hypothesis_settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_quick_check_refuses_the_files_that_the_schema_refuses_and_no_others(content: object) -> None:
    is_refused = False
    try:
        octue_yaml.validate(content)  # type: ignore[no-untyped-call]  # it is made, without types
    except octue_yaml.JsonSchemaValueException:
        is_refused = True

    assert is_refused != jsonschema.Draft202012Validator(configuration.SCHEMA).is_valid(content)


@pytest.mark.parametrize("content", [BASE, {"services": [BASE] * 100}, {**BASE, "cpus": 0.5, "memory": "1Gi"}])
def test_a_right_file_is_known_to_be_without_the_library_that_can_say_what_is_wrong(content: object) -> None:
    octue_yaml.validate(content)  # type: ignore[no-untyped-call]  # it is made, without types


@given(FILES)
@example({**BASE, "name": "my-org/sum"})
@example({**BASE, "name": "my-org/sum", "namespace": None})
@example({**BASE, "name": "my-org/sum", "namespace": "my-org"})
@example({**BASE, "app_configuration_path": None, "dockerfile_path": None})
@example({**BASE, "twine_path": "./-x"})
@example({**BASE, "twine_path": "a/../b"})
@example({**BASE, "environment_variables": [{"name": f"A{number}", "value": 1} for number in range(1000)]})
@example({**BASE, "environment_variables": [{"name": f"A{number}", "value": 1} for number in range(1001)]})
@example({"services": [{**BASE, "name": f"a{number}"} for number in range(100)]})
@example({"services": [{**BASE, "name": f"a{number}"} for number in range(101)]})
@hypothesis_settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_schema_accepts_what_the_action_accepts_and_nothing_else(
    refusals: Callable[[str], tuple[Problem, ...]], content: object
) -> None:
    excused = re.compile("|".join(it.message for it in (*ACROSS, *CHECKOUT, WRITTEN[0])))
    text = json.dumps(content, ensure_ascii=False)
    refused = [it.message for it in refusals(text) if not excused.search(it.message)]

    assert (refused == []) == VALIDATOR.is_valid(in_an_editor(text)), refused


@pytest.mark.parametrize("unit", ["Mi", "Gi", "M", "G"])
def test_the_schema_accepts_every_quantity_of_memory_that_the_action_accepts(unit: str) -> None:
    form = jsonschema.Draft202012Validator(SERVICE["properties"]["memory"])

    for number in range(40_000):
        assert form.is_valid(f"{number}{unit}") == _parses(values.memory, f"{number}{unit}")


@pytest.mark.parametrize("written", ["{}", "{}0", ".{:03}", "0.{:03}", "{}.0", "0.{:02}", ".{}"])
def test_the_schema_accepts_every_part_of_a_cpu_that_the_action_accepts(written: str) -> None:
    form = jsonschema.Draft202012Validator(SERVICE["properties"]["cpus"])

    for number in range(1100):
        text = written.format(number)
        assert form.is_valid(text) == _parses(values.cpu, text), text
        if not re.search(r"\.[0-9]{4}", text):
            assert form.is_valid(float(text)) == _parses(values.cpu, f"{float(text):g}"), text


@given(FILES)
@hypothesis_settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_yaml_1_1_and_1_2_read_alike_what_the_action_accepts(
    refusals: Callable[[str], tuple[Problem, ...]], content: object
) -> None:
    text = yaml.safe_dump(content, allow_unicode=True)

    if refusals(text) == ():
        assert in_an_editor(text) == yaml.safe_load(text)


def _parses(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except Rejected:
        return False
    return True


def _patterns(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("pattern"), str):
            yield part["pattern"]
        for inner in part.values():
            yield from _patterns(inner)
    if isinstance(part, list):
        for inner in part:
            yield from _patterns(inner)


def _compiles(pattern: str) -> bool:
    try:
        ecmascript(pattern)
    except regress.RegressError:
        return False
    return True


def _strings(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
