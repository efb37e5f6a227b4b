"""The keys of octue.yaml: one table, and everything that is said of them is made from it.

The reader (``configuration``), the inputs that say the same (``inputs``), the published JSON Schema and the page for
people (``script/schema``). The keys and defaults are those of ``octue.configuration.ServiceConfiguration`` in Octue's
SDK, 0.9 to 0.61.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from octue_action import limits, values

Schema = dict[str, Any]  # JSON Schema is data whose shape only the validator knows

NO_EFFECT = "has no effect on a deployment to Cloud Run by this action"

MAXIMUM_INSTANCES = 2**31 - 1  # the API's int32; what the region has is less, and differs


@dataclass(frozen=True)
class Key:
    """A key of octue.yaml.

    :param schema: JSON Schema of its value as the reader looks at it first; the description is a phrase that says what
        is expected
    :param what: what the value is for, in a sentence
    :param example: a good value
    :param form: JSON Schema of what the value's parser refuses besides (``values``, ``workspace``)
    :param default: what holds where the key is not there; ``None`` where nothing or ``otherwise`` does
    :param otherwise: what holds then, in words
    :param note: what else there is to know, in sentences
    :param input: the action's input that says the same
    :param user: who makes use of it: this action, Octue's SDK inside the service, or nobody on Cloud Run
    """

    schema: Schema
    what: str
    example: object
    form: Schema = field(default_factory=dict, kw_only=True)
    default: str | int | None = field(default=None, kw_only=True)
    otherwise: str = field(default="", kw_only=True)
    note: str = field(default="", kw_only=True)
    input: str = field(default="", kw_only=True)
    user: Literal["action", "sdk", "nobody"] = field(default="action", kw_only=True)


def _text(description: str, *, optional: bool = False, **more: object) -> Schema:
    kinds = ["string", "null"] if optional else "string"
    return {"type": kinds, "minLength": 1, "maxLength": 1024, "description": description, **more}


def _count(description: str, minimum: int, maximum: int) -> Schema:
    return {"type": "integer", "minimum": minimum, "maximum": maximum, "description": description}


def _list(description: str, items: Schema, *, optional: bool = True) -> Schema:
    return {"type": ["array", "null"] if optional else "array", "items": items, "description": description}


def _listed(words: Iterable[str]) -> str:
    *others, last = [f"`{word}`" for word in words]
    return f"{', '.join(others)} or {last}"


def _whole(pattern: str) -> str:
    """A pattern for all of a text; in JSON Schema one is content with a part."""
    return f"^(?:{pattern})$"


# To ECMAScript `$` is the end of a text, as JSON Schema has it; to Python it is before a last line end, too. This says
# so in words that both read alike, and RE2 as well, which knows no look-ahead.
_ONE_LINE: Schema = {"not": {"type": "string", "pattern": r"\n"}}

_ENVIRONMENT_VARIABLE: Schema = {
    "type": "object",
    "required": ["name", "value"],
    "additionalProperties": False,
    "properties": {
        "name": _text("the variable's name"),
        "value": {"type": ["string", "number", "boolean"], "description": "the variable's value"},
    },
    "description": "`name` and `value` of a variable",
}

_FREE_VARIABLE: Schema = {
    "description": "a variable's name that is free to be set: letters, digits and _, not beginning with a digit",
    "pattern": _whole(values.VARIABLE),
    "not": {"anyOf": [{"enum": [*values.RESERVED]}, {"pattern": f"^({'|'.join(values.RESERVED_PREFIXES)})"}]},
}

_SECRETS: Schema = {
    "type": ["object", "null"],
    "additionalProperties": False,
    "properties": {"build": _list("a list of the names of secrets that the build reads", _text("a secret's name"))},
    "description": "`build` with a list of names of secrets",
}

_CPUS: Schema = {
    "anyOf": [
        {"enum": [1, 2, 4, 6, 8]},
        {"type": "number", "minimum": 0.08, "exclusiveMaximum": 1},
        {"type": "string", "pattern": _whole(r"[12468](\.0)?|0?\.(0[89][0-9]?|[1-9][0-9]{0,2})")},
    ]
}

# From 128Mi to 32Gi in each of the units: a pattern has no other way to say it.
_MEMORY = _whole(
    "([1-9]|[12][0-9]|3[0-2])Gi"
    "|([1-9]|[12][0-9]|3[0-4])G"
    "|(12[89]|1[3-9][0-9]|[2-9][0-9]{2}|[1-9][0-9]{3}|[12][0-9]{4}|3[01][0-9]{3}|32[0-6][0-9]{2}|327[0-5][0-9]|3276[0-8])Mi"
    "|(13[5-9]|1[4-9][0-9]|[2-9][0-9]{2}|[1-9][0-9]{3}|[12][0-9]{4}|3[0-3][0-9]{3}|34[0-2][0-9]{2}|343[0-5][0-9])M"
)

_PATH = "a path inside the repository"
# Absolute, out of the folder it is in, or like an option; and what Cloud Build or Windows takes for something else.
_INSIDE: Schema = {"not": {"type": "string", "pattern": r"^/|(^|/)\.\.(/|$)|^(\./+)*-|[\\$\u0000-\u001f\u007f-\u009f]"}}
_DIAGNOSTICS = _text("a Cloud Storage folder such as gs://my-bucket/diagnostics", optional=True, pattern="^gs://")
_DATAFLOW = "For services on Dataflow."

KEYS: Mapping[str, Key] = {
    "name": Key(
        _text(
            "a name of lower case letters, digits and single hyphens",
            pattern=f"^({values.NAME}/)?{values.NAME}$",
            **_ONE_LINE,
        ),
        "The Octue service's name.",
        "wind-yield",
        note="Its namespace may stand before it with a slash, as was usual before there was a key for it.",
        input="service_name",
    ),
    "namespace": Key(
        _text("lower case letters, digits and single hyphens", optional=True, pattern=f"^{values.NAME}$", **_ONE_LINE),
        "The Octue service's namespace.",
        "my-org",
        input="service_namespace",
    ),
    "organisation": Key(
        _text("the organisation's name", optional=True),
        "The organisation that the service belongs to, for Octue's SDK 0.26 to 0.39.",
        "My Organisation",
        user="sdk",
    ),
    "project_name": Key(
        _text("the Google Cloud project's id, such as my-project", optional=True),
        "The id of the Google Cloud project to deploy to.",
        "my-project",
        otherwise="the input `project_id`",
        form={"pattern": _whole(values.PROJECT)},
        input="project_id",
    ),
    "region": Key(
        _text("a region such as europe-west1", optional=True),
        "The Google Cloud region to deploy to, such as `europe-west1`.",
        "europe-west1",
        otherwise="the input `region`",
        form={"pattern": _whole(values.REGION)},
        input="region",
    ),
    "repository_name": Key(
        _text("the GitHub repository's name, without its owner", optional=True),
        "The name of the service's repository.",
        "my-repository",
        note="A run for a repository of another name warns of it.",
    ),
    "repository_owner": Key(
        _text("the GitHub repository's owner", optional=True),
        "The owner of the service's repository.",
        "my-org",
        note="A run for a repository of another owner warns of it.",
    ),
    "app_source_path": Key(
        _text(f"{_PATH}, such as `.`"),
        "The folder that the app's code is in.",
        "src",
        form=_INSIDE,
        default=".",
        user="sdk",
    ),
    "twine_path": Key(
        _text(f"{_PATH}, such as twine.json"),
        "The file that says what the service is asked and what it answers.",
        "twine.json",
        form=_INSIDE,
        default="twine.json",
        user="sdk",
    ),
    "app_configuration_path": Key(
        _text(f"{_PATH}, such as app_configuration.json", optional=True),
        "The file with the app's configuration.",
        "app_configuration.json",
        form=_INSIDE,
        user="sdk",
    ),
    "dockerfile_path": Key(
        _text(f"{_PATH}, such as Dockerfile", optional=True),
        "The path of the Dockerfile inside the repository.",
        "docker/Dockerfile",
        form=_INSIDE,
        default="Dockerfile",
        input="dockerfile",
    ),
    "cloud_build_configuration_path": Key(
        _text(_PATH, optional=True), "The configuration of a build of one's own.", "cloudbuild.yaml", user="nobody"
    ),
    "minimum_instances": Key(
        _count("a whole number from 0", 0, MAXIMUM_INSTANCES),
        "The number of instances that are always kept running.",
        1,
        default=0,
        input="min_instances",
    ),
    "maximum_instances": Key(
        _count("a whole number from 1", 1, MAXIMUM_INSTANCES),
        "The number of instances that may run at the same time.",
        2,
        default=10,
        input="max_instances",
    ),
    "concurrency": Key(
        _count("a whole number from 1 to 1000", 1, 1000),
        "The number of questions that one instance works on at a time.",
        1,
        default=limits.default_concurrency("1"),
        note=f"With less than one CPU it can only be {limits.default_concurrency('0.5')}, and then is.",
        input="concurrency",
    ),
    "memory": Key(
        _text("a quantity with its unit, such as 512Mi or 2Gi"),
        "The memory of an instance, such as `512Mi` or `2Gi`.",
        "512Mi",
        form={"pattern": _MEMORY},
        default="128Mi",
        note=f"From {values.LEAST_MEMORY} to {values.MOST_MEMORY}.",
        input="memory",
    ),
    "cpus": Key(
        {"type": ["number", "string"], "description": "1, 2, 4, 6 or 8, or from 0.08 to less than 1"},
        "The CPUs of an instance: 1, 2, 4, 6, 8, or 0.08 to less than 1.",
        2,
        form=_CPUS,
        default=1,
        input="cpu",
    ),
    "branch_pattern": Key(
        _text("a regular expression for branch names, such as ^main$"),
        "A regular expression for the branches whose pushes are built.",
        "^main$",
        form={
            "maxLength": values.MAXIMUM_PATTERN,
            "not": {"pattern": rf"{values.NOT_RE2}|[\u0000-\u001f\u007f-\u009f]"},
        },
        default="^main$",
        input="branch_pattern",
    ),
    "environment_variables": Key(
        _list("a list of `name` and `value`", _ENVIRONMENT_VARIABLE),
        "The service's environment variables.",
        [{"name": "LOG_LEVEL", "value": "debug"}],
        form={
            "maxItems": values.MAXIMUM_VARIABLES,
            "items": {"properties": {"name": _FREE_VARIABLE, "value": {"maxLength": values.MAXIMUM_VARIABLE}}},
        },
        note=f"Not {_listed(values.RESERVED)}, nor one that begins with {_listed(values.RESERVED_PREFIXES)}.",
        input="environment_variables",
    ),
    "secrets": Key(
        _SECRETS,
        "The secrets of Secret Manager that the build reads.",
        {"build": ["package-index-token"]},
        form={"properties": {"build": {"items": {"pattern": _whole(values.SECRET_NAME)}}}},
        note="Those of the service itself are for the input `secrets`.",
    ),
    "crash_diagnostics_cloud_path": Key(
        _DIAGNOSTICS,
        "Where the service keeps what it was asked when an analysis failed.",
        "gs://my-bucket/diagnostics",
        user="sdk",
    ),
    "diagnostics_cloud_path": Key(
        _DIAGNOSTICS, "Where the service keeps what it was asked.", "gs://my-bucket/diagnostics", user="sdk"
    ),
    "execution_environment": Key(
        {"enum": ["gen1", "gen2"], "description": "gen1 or gen2"},
        "The generation of Cloud Run's execution environment.",
        "gen2",
        otherwise=f"gen2 with {limits.GEN2_MEMORY} of memory and 1 CPU or more, else what Cloud Run chooses",
    ),
    "service_registries": Key(
        _list("a list of registries", {"type": "object"}),
        "The registries in which the service looks for others that it asks.",
        [{"name": "registry", "endpoint": "https://registry.example.com"}],
        user="sdk",
    ),
    "event_store_table_id": Key(
        _text("a BigQuery table's id", optional=True),
        "The table that keeps the service's events.",
        "my-project.octue.events",
        user="sdk",
    ),
    "delete_local_files": Key(
        {"type": "boolean", "description": "true or false"},
        "Whether files that an analysis has downloaded are deleted after it.",
        example=False,
        user="sdk",
    ),
    "temporary_files_location": Key(
        _text("a Cloud Storage path", optional=True), _DATAFLOW, "gs://my-bucket/temporary", user="nobody"
    ),
    "setup_file_path": Key(_text(_PATH, optional=True), _DATAFLOW, "setup.py", user="nobody"),
    "service_account_email": Key(
        _text("an e-mail", optional=True),
        _DATAFLOW,
        "wind-yield@my-project.iam.gserviceaccount.com",
        note="On Cloud Run the input `runtime_service_account` says it.",
        user="nobody",
    ),
    "machine_type": Key(_text("a machine type", optional=True), _DATAFLOW, "e2-standard-2", user="nobody"),
}

KEY_OF_INPUT: Mapping[str, str] = {key.input: name for name, key in KEYS.items() if key.input}
"""What octue.yaml calls what an input says, too."""

NAME_BESIDE_NAMESPACE: Schema = {
    "if": {"required": ["namespace"], "properties": {"namespace": {"type": "string"}}},
    "then": {"properties": {"name": {"pattern": f"^{values.NAME}$"}}},
}
"""JSON Schema of what is refused of a service's keys together: a name has no namespace before it that has a key."""


def default_of(name: str) -> str:
    """What holds where a key is not there, as it would be written.

    :param name: of a key that has a default
    """
    return str(KEYS[name].default)
