"""What is made of the table of the keys of octue.yaml: a JSON Schema, a page to read, and a quick check."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import fastjsonschema

from octue_action import document, values
from octue_action.configuration import SERVICE_SCHEMA, file_schema
from octue_action.keys import KEYS, NAME_BESIDE_NAMESPACE, NO_EFFECT, Key, Schema
from script.releasing.checkout import ACTION, current_version

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = Path("docs/octue.schema.json")
PAGE = Path("docs/SCHEMA.md")
CHECK = Path("octue_action/octue_yaml.py")

ADDRESS = f"https://raw.githubusercontent.com/{ACTION}/{current_version(ROOT).major_tag}/{SCHEMA}"
"""Where the schema of this major version can be had."""

MODELINE = f"# yaml-language-server: $schema={ADDRESS}"
"""What tells editors with the YAML language server of it."""


@dataclass(frozen=True)
class Beyond:
    """What the action refuses in octue.yaml, and JSON Schema cannot say.

    :param rule: a sentence
    :param example: an octue.yaml that breaks this rule alone
    :param message: a part of what the action says of it, as a regular expression
    """

    rule: str
    example: str
    message: str


_SERVICE = "name: sum\nproject_name: my-project\nregion: europe-west1\n"

ACROSS = (
    Beyond(
        "`project_name` and `region` stand here, or the inputs `project_id` and `region` say them. Where both do, they "
        "agree.",
        "name: sum\nregion: europe-west1\n",
        r"^The (project id|region) is missing\.$",
    ),
    Beyond(
        "Memory, CPUs, concurrency, numbers of instances and execution environment go together, as Cloud Run has it.",
        f"{_SERVICE}cpus: 4\n",
        " does not go with ",
    ),
    Beyond(
        "The Cloud Run service's name, which is `namespace`, a hyphen and `name`, has at most 49 characters and begins "
        "with a letter.",
        f"namespace: 1-org\n{_SERVICE}",
        "^The Cloud Run service would be called ",
    ),
    Beyond(
        "No two services have the same namespace and name.",
        f"services: [{{{_SERVICE.strip().replace(chr(10), ', ')}}}, {{{_SERVICE.strip().replace(chr(10), ', ')}}}]\n",
        "^Two services would be called ",
    ),
    Beyond(
        "All services of a run are in one project.",
        "services:\n"
        "  - {name: sum, project_name: my-project, region: europe-west1}\n"
        "  - {name: product, project_name: other-project, region: europe-west1}\n",
        ", but another service's is ",
    ),
    Beyond(
        "An environment variable stands here once.",
        f"{_SERVICE}environment_variables: [{{name: A, value: 1}}, {{name: A, value: 2}}]\n",
        " stands twice in ",
    ),
    Beyond(
        "Cloud Run and Eventarc serve the region, and its name is no slip of one that there is.",
        "name: sum\nproject_name: my-project\nregion: us-east2\n",
        r"there is no such region|neither Cloud Run nor Eventarc serves|does not serve",
    ),
)
"""Rules about several values, and about what there is in Google Cloud."""

CHECKOUT = (
    Beyond(
        "The Dockerfile is there.",
        f"{_SERVICE}dockerfile_path: nowhere/Dockerfile\n",
        "there is no such file|it is not a regular file|it cannot be (read|followed)",
    ),
    Beyond(
        "No path leads out of the repository through a symbolic link.",
        f"{_SERVICE}twine_path: link-to-the-root/twine.json\n",
        "a symbolic link in it leads out of the repository",
    ),
)
"""Rules about what is in the repository."""

WRITTEN = (
    Beyond(
        "`branch_pattern` is a regular expression.", f"{_SERVICE}branch_pattern: (\n", "it is not a regular expression"
    ),
    Beyond(
        "Paths and `branch_pattern` have no character that cannot be seen.",
        f'{_SERVICE}twine_path: "a\\u00a0b"\n',
        "it has a character that does not belong in a path",
    ),
    Beyond(
        f"The value of an environment variable has at most {values.MAXIMUM_VARIABLE // 1024} KiB in UTF-8.",
        f"{_SERVICE}environment_variables: [{{name: A, value: {'é' * values.MAXIMUM_VARIABLE}}}]\n",
        "it is too long",
    ),
    Beyond("Whole numbers are digits alone.", f"{_SERVICE}maximum_instances: 2.0\n", "^`maximum_instances` is '2.0'"),
    Beyond("A part of a CPU has at most three decimals.", f"{_SERVICE}cpus: 0.1234\n", "^`cpus` is '0.1234'"),
    Beyond("A key stands once.", f"{_SERVICE}region: europe-west1\n", "stands here again"),
    Beyond("There are no anchors, aliases and tags.", f"{_SERVICE}memory: !!str 512Mi\n", "The tag .* is not allowed"),
    Beyond(
        "Nothing is written that YAML 1.1 and YAML 1.2 read differently, such as `yes` or `012` without quotes.",
        f"{_SERVICE}repository_owner: yes\n",
        "is not read alike by every YAML reader",
    ),
    Beyond(
        f"The file has at most {document.MAXIMUM_BYTES // 1024} KiB and {document.MAXIMUM_VALUES:,} values, which are "
        f"nested at most {document.MAXIMUM_DEPTH} deep.",
        f"{_SERVICE}service_registries: [{{a: {'[' * 18}{']' * 18}}}]\n",
        "^This is nested more than ",
    ),
)
"""Rules about how it is written."""


def published() -> Schema:
    """JSON Schema of octue.yaml for editors and other checkers: all that the action says of its form."""
    service = {
        **SERVICE_SCHEMA,
        "description": _sentence(SERVICE_SCHEMA["description"]),
        "properties": {name: _key_schema(name, key) for name, key in KEYS.items()},
        **NAME_BESIDE_NAMESPACE,
    }
    schema = _described(file_schema({"$ref": "#/$defs/service"}))
    dialect = schema.pop("$schema")
    return {"$schema": dialect, "$id": ADDRESS, **schema, "$defs": {"service": service}}


def _key_schema(name: str, key: Key) -> Schema:
    says = [key.what, key.note, _OF_USER[key.user], f"Expected: {key.schema['description']}."]
    default = {} if key.default is None else {"default": key.default}
    return {
        "title": name.replace("_", " ").capitalize().replace("Cpus", "CPUs"),
        **_described(_merged(key.schema, key.form), key.note),
        "description": " ".join(filter(None, says)),
        **default,
        "examples": [key.example],
    }


_OF_USER = {"action": "", "sdk": "Octue's SDK in the service reads it.", "nobody": f"It {NO_EFFECT}."}


def _merged(one: Schema, other: Schema) -> Schema:
    """Two schemas as one: what both have is a schema in both."""
    both = {word: _merged(one[word], other[word]) for word in one.keys() & other.keys() if isinstance(one[word], dict)}
    return {**one, **other, **both}


def _described(schema: Schema, note: str = "") -> Schema:
    """A schema whose phrases of what is expected are sentences, which editors also show where something else stands."""
    made = {word: _described(value) if isinstance(value, dict) else value for word, value in schema.items()}
    phrase = schema.get("description")
    if not isinstance(phrase, str):
        return made
    words = [_ERROR_MESSAGES[word] for word in schema if word in _ERROR_MESSAGES]
    return {**made, "description": _sentence(phrase), **dict.fromkeys(words, f"Expected: {phrase}. {note}".strip())}


_ERROR_MESSAGES = {"pattern": "patternErrorMessage", "not": "errorMessage", "anyOf": "errorMessage"}
"""Words of VS Code's and the YAML language server's, in place of "does not match the pattern"."""


def _sentence(phrase: str) -> str:
    return f"{phrase[0].upper()}{phrase[1:]}."


def page() -> str:
    """The page that people read."""
    users = ("action", "sdk", "nobody")
    of_action, of_sdk, of_nobody = ({name: key for name, key in KEYS.items() if key.user == user} for user in users)
    sections = (
        _INTRODUCTION,
        "## For the deployment\n\n" + _table(of_action),
        "## For Octue's SDK inside the service\n\n" + _table(of_sdk),
        f"## Without effect\n\nOctue's SDK knows these too. Each {NO_EFFECT}, which then says so.\n\n"
        + _table(of_nobody),
        "## What the schema cannot say\n\nThe action also refuses an octue.yaml that breaks one of these rules.\n\n"
        + "\n".join(f"- {it.rule}" for it in (*ACROSS, *CHECKOUT, *WRITTEN)),
    )
    return "\n\n".join(sections) + "\n"


_INTRODUCTION = f"""\
<!-- Written by script/schema from octue_action/keys.py: change it there. -->

# The keys of octue.yaml

Editors that know YAML, such as VS Code with Red Hat's YAML extension, complete and check octue.yaml with
[octue.schema.json](octue.schema.json) where it begins with this line:

```yaml
{MODELINE}
```

The keys stand in a list under `services:`, or by themselves where there is one service. Only `name` has to be there.
Other keys than these are refused.

```yaml
services:
  - name: {KEYS["name"].example}
    project_name: {KEYS["project_name"].example}
    region: {KEYS["region"].example}
```

Where an input of the action says the same, it is named, and wins. But `name`, `namespace`, `project_name` and `region`
have to be the same in both, and environment variables are added to those here."""


def _table(keys: dict[str, Key]) -> str:
    return "\n".join(_rows(("key", "what", "form", "default", "example", "input"), keys))


def _rows(heads: Sequence[str], keys: dict[str, Key]) -> Iterator[str]:
    has_inputs = any(key.input for key in keys.values())
    width = len(heads) if has_inputs else len(heads) - 1
    yield _row(heads[:width])
    yield f"|{'---|' * width}"
    for name, key in keys.items():
        cells = (
            f"`{name}`",
            f"{key.what} {key.note}".strip(),
            key.schema["description"],
            _default(name, key),
            f"`{_written(key.example)}`",
            f"`{key.input}`" if key.input else "",
        )
        yield _row(cells[:width])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _default(name: str, key: Key) -> str:
    if name in SERVICE_SCHEMA["required"]:
        return "has to be there"
    return key.otherwise or ("none" if key.default is None else f"`{key.default}`")


def _written(value: object) -> str:
    """A value as YAML, on one line."""
    return value if isinstance(value, str) else json.dumps(value)


_CHECK = '''\
"""Whether octue.yaml is as its schema says. Made by script/schema of octue_action/keys.py: not to be edited.

To import jsonschema, which can say what is wrong, takes a tenth of a run that has nothing to do.
"""


class JsonSchemaValueException(ValueError):
    """The file is not as its schema says."""


class JsonSchemaValuesException(JsonSchemaValueException):
    """The same, for several reasons."""


'''


def check() -> str:
    """A module whose ``validate`` raises where an octue.yaml is not as the schema of the action says."""
    # The keywords of that schema mean the same in the draft that the generator knows.
    service = {"$ref": "#/definitions/service"}
    draft = {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"service": SERVICE_SCHEMA}}
    schema = {**file_schema(service), **draft}
    made = str(fastjsonschema.compile_to_code(schema, use_default=False, use_formats=False, detailed_exceptions=False))
    return _CHECK + re.sub(r"^(VERSION = .*|from fastjsonschema import .*)\n", "", made, flags=re.MULTILINE)


def files() -> dict[Path, str]:
    """What is made, by the place in the repository."""
    return {SCHEMA: json.dumps(published(), indent=2, ensure_ascii=False) + "\n", PAGE: page(), CHECK: check()}


def main() -> None:
    """Write it."""
    for path, content in files().items():
        (ROOT / path).write_text(content)
        print(f"{path} is written.")


if __name__ == "__main__":
    main()
