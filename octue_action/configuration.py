"""octue.yaml: the JSON Schema made of the table of its keys, and the services the file describes."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from octue_action.document import Node, Position, parse
from octue_action.keys import KEYS, Schema
from octue_action.octue_yaml import JsonSchemaValueException, validate
from octue_action.problems import Given, InvalidSettings, Problem, perhaps, shown

if TYPE_CHECKING:
    import jsonschema

MAXIMUM_PROBLEMS = 50
"""More than anybody corrects at a time; a file with more is not an octue.yaml."""

MAXIMUM_SERVICES = 100
"""Of one file: of a longer list, which is refused, no more are read."""

SERVICE_SCHEMA: Schema = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {name: key.schema for name, key in KEYS.items()},
    "description": "the keys of a service, beginning with `name`",
}


def file_schema(service: Schema) -> Schema:
    """JSON Schema of octue.yaml, in either of its forms.

    :param service: JSON Schema of one service's keys
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "octue.yaml",
        "description": "`services:` with a list of services, or one service's keys",
        "properties": {
            "services": {
                "type": "array",
                "minItems": 1,
                "maxItems": MAXIMUM_SERVICES,
                "items": service,
                "description": f"a list of 1 to {MAXIMUM_SERVICES} services, each beginning with `- name:`",
            }
        },
        "if": {"type": "object", "required": ["services"]},
        "then": {"properties": {"services": True}, "additionalProperties": False},
        "else": service,
    }


SCHEMA = file_schema(SERVICE_SCHEMA)


@functools.cache
def _validator() -> jsonschema.Draft202012Validator:
    import jsonschema

    return jsonschema.Draft202012Validator(SCHEMA)


def _refusal(plain: Any) -> JsonSchemaValueException | None:
    """What the quick check says of a file in which something is wrong; nothing of a right one."""
    try:
        validate(plain)  # type: ignore[no-untyped-call]  # it is made, without types
    except JsonSchemaValueException as refusal:
        return refusal
    return None


_Path = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class ServiceConfiguration:
    """One service of octue.yaml, each value with its place.

    :param settings: the single values by key; a key without a value is not there
    :param written_wrongly: keys that are there, but whose value is a problem already
    """

    settings: Mapping[str, Given]
    environment_variables: tuple[tuple[Given, Given], ...] = ()
    build_secrets: tuple[Given, ...] = ()
    written_wrongly: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What octue.yaml says, as far as it can be read.

    :param is_whole: every service's name could be read, so one that is not there is really missing
    """

    services: tuple[ServiceConfiguration, ...] = ()
    problems: tuple[Problem, ...] = ()
    is_whole: bool = True


def read(data: bytes, file: str) -> Configuration:
    """Read octue.yaml.

    :param data: the file's content, which nobody vouches for
    :param file: its path, for problems
    """
    try:
        root = parse(data, file)
    except InvalidSettings as error:
        return Configuration(problems=error.problems, is_whole=False)
    if root is None or root.value is None:
        empty = Problem(message=f"{file} is empty.", expected=SCHEMA["description"], file=file, line=1, title="YAML")
        return Configuration(problems=(empty,), is_whole=False)
    problems: list[Problem] = []
    wrong: set[_Path] = set()
    plain = root.plain()
    if refusal := _refusal(plain):
        # Only now is the library imported that can say all that is wrong, and where.
        for violation in itertools.islice(_validator().iter_errors(plain), MAXIMUM_PROBLEMS):
            path = tuple(violation.absolute_path)
            wrong.add(path)
            problems.extend(_problems(violation, path, root, file))
        if not problems:  # the two checks should agree, and a refusal must not be lost where they do not
            message = f"{file} is not as its schema says: {shown(str(refusal))}."
            problems.append(_problem(root.position, message, SCHEMA["description"], "octue.yaml", file))
    entries = _entries(root)
    services = tuple(_service(node, _keys_below(path, wrong), file) for path, node in entries[:MAXIMUM_SERVICES])
    is_whole = bool(services) and len(services) == len(entries) and all("name" in it.settings for it in services)
    return Configuration(services=services, problems=tuple(dict.fromkeys(problems)), is_whole=is_whole)


def _entries(root: Node) -> list[tuple[_Path, Node]]:
    """The services of the file, in either form, with their paths."""
    if not isinstance(root.value, dict):
        return []
    if (listed := root.value.get("services")) is None:
        return [((), root)]
    nodes = listed.value if isinstance(listed.value, list) else []
    return [(("services", number), node) for number, node in enumerate(nodes) if isinstance(node.value, dict)]


def _keys_below(path: _Path, wrong: Iterable[_Path]) -> frozenset[str]:
    depth = len(path)
    return frozenset(str(it[depth]) for it in wrong if len(it) > depth and it[:depth] == path)


def _service(node: Node, wrong: frozenset[str], file: str) -> ServiceConfiguration:
    nodes = node.value if isinstance(node.value, dict) else {}
    usable = {key: it for key, it in nodes.items() if key in KEYS and key not in wrong and it.value is not None}
    variables, secrets = usable.get("environment_variables"), usable.get("secrets")
    build = secrets.value.get("build") if secrets and isinstance(secrets.value, dict) else None
    return ServiceConfiguration(
        settings={key: _given(key, it, file) for key, it in usable.items() if not isinstance(it.value, dict | list)},
        environment_variables=tuple(
            (
                _given("environment_variables", name, file, part="A name"),
                _given("environment_variables", value, file, part=f"The value of {shown(name.text)}"),
            )
            for name, value in ((it.at(["name"]), it.at(["value"])) for it in _items(variables))
        ),
        build_secrets=tuple(_given("secrets", it, file, part="A name") for it in _items(build)),
        written_wrongly=wrong,
    )


def _items(node: Node | None) -> list[Node]:
    return node.value if node is not None and isinstance(node.value, list) else []


def _given(name: str, node: Node, file: str, part: str = "") -> Given:
    place = node.position
    return Given(name=name, text=node.text, part=part, file=file, line=place.line, column=place.column)


def _problems(violation: jsonschema.ValidationError, path: _Path, root: Node, file: str) -> list[Problem]:
    node = root.at(list(path))
    schema: Schema = dict(violation.schema) if isinstance(violation.schema, Mapping) else {}
    if violation.validator == "additionalProperties":
        return _unknown_keys(list(schema["properties"]), node, file)
    if violation.validator == "required":
        missing = [key for key in schema["required"] if key not in node.keys]
        return [_problem(node.position, f"`{key}` is missing here.", f"`{key}: ...`", key, file) for key in missing]
    name = next((step for step in reversed(path) if isinstance(step, str)), "")
    expected = schema.get("description", "") if path else SCHEMA["description"]
    hint = _hint(name, node, wants_text="string" in schema.get("type", ""))
    return [_problem(node.position, f"{_subject(path, file)} is {_found(node)}.{hint}", expected, name, file)]


def _subject(path: _Path, file: str) -> str:
    match path:
        case (*_, str(key)):
            return f"`{key}`"
        case (*_, str(key), int()):
            return f"An item of `{key}`"
        case _:
            return file


def _unknown_keys(known: list[str], node: Node, file: str) -> list[Problem]:
    candidates = [*known, "services"] if known == list(KEYS) else known
    unknown = [key for key in node.keys if key not in known]
    problems = [
        _problem(node.keys[key], f"{shown(key)} is not a key of octue.yaml.{_meant(key, candidates)}", "", key, file)
        for key in unknown[:MAXIMUM_PROBLEMS]
    ]
    if rest := len(unknown) - len(problems):
        problems.append(_problem(node.position, f"{rest:,} more keys here are unknown.", "", "unknown keys", file))
    return problems


def _meant(key: str, candidates: list[str]) -> str:
    if candidates == ["services"] and key in KEYS:
        return " Here it belongs to one of the services: move it below `- name:`."
    if candidates in (["name", "value"], ["build"]):
        return f" Only {' and '.join(f'`{it}`' for it in candidates)} can stand here."
    return perhaps(key, candidates)


def _problem(position: Position, message: str, expected: str, title: str, file: str) -> Problem:
    return Problem(
        message=message,
        expected=expected,
        file=file,
        line=position.line,
        column=position.column,
        title=shown(title)[1:-1],
    )


def _found(node: Node) -> str:
    match node.value:
        case None:
            return "empty"
        case dict():
            return "a mapping"
        case list():
            return f"a list of {len(node.value)}" if node.value else "an empty list"
        case bool():
            return f"the word {node.text}"
        case int() | float():
            return f"the number {node.text}"
        case _:
            return f"the text {shown(node.text)}"


def _hint(name: str, node: Node, *, wants_text: bool) -> str:
    """What was perhaps meant by a value of the wrong kind."""
    if name == "memory" and isinstance(node.value, int):
        return f" Perhaps you meant `{node.text}Mi`."
    if name in {"name", "namespace"} and isinstance(node.value, str):
        legal = re.sub("[^a-z0-9]+", "-", node.text[:64].lower()).strip("-")
        return f" Perhaps you meant `{legal}`." if legal else ""
    if isinstance(node.value, str) and re.fullmatch("[0-9]{1,9}", node.text):
        return f" Perhaps you meant `{node.text}`, without quotes."
    if isinstance(node.value, bool | int | float) and wants_text:
        return f" Perhaps you meant `'{node.text}'`, in quotes."
    return ""
