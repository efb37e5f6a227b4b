"""The action's inputs: the table that action.yml and the README are held against, and how they arrive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from octue_action.keys import KEYS
from octue_action.problems import MAXIMUM_PROBLEMS, UNPRINTABLE, Findings, Given, Problem, perhaps, shown

_PREFIX = "INPUT_"
SECRET = frozenset({"github_token", "environment_variables", "secrets"})
"""Inputs that hold something that does not belong in a log, or do so by mistake."""


@dataclass(frozen=True)
class Input:
    """An input of the action.

    :param name: as a workflow writes it
    :param default: what action.yml says; empty where octue.yaml may say it, since an input wins over the file
    :param otherwise: what holds when the input is not given, in words; empty where ``default`` says it
    :param description: one sentence
    """

    name: str
    default: str
    otherwise: str
    description: str


def _also_in_octue_yaml(key: str) -> Input:
    """An input that says the same as a key of octue.yaml, and wins over it."""
    said = KEYS[key]
    default = "" if said.default is None else f", then `{said.default}`"
    return Input(said.input, "", f"`{key}` of octue.yaml{default}", said.what)


_TABLE = (
    _also_in_octue_yaml("project_name"),
    _also_in_octue_yaml("region"),
    Input(
        "workload_identity_provider",
        "",
        "a credentials file of google-github-actions/auth",
        "The full name of the Workload Identity Federation provider, with the project's number.",
    ),
    Input(
        "deployer_service_account",
        "",
        "none: direct federation",
        "The e-mail of the service account that the action acts as.",
    ),
    Input("mode", "deploy", "", "What to do: `deploy`, `plan`, `drift`, `destroy` or `rollback`."),
    Input("config", "octue.yaml", "", "The path of the service configuration inside the repository."),
    Input(
        "services", "", "all", "The names of the services in octue.yaml to act on, with commas or lines between them."
    ),
    _also_in_octue_yaml("namespace"),
    Input("service_name", "", "`name` of octue.yaml", "The Octue service's name, for a repository without octue.yaml."),
    Input("service_id", "", "derived from the name", "The UUID of an existing topic to keep."),
    Input(
        "runtime_service_account",
        "",
        "created, with a name derived from the service's",
        "The e-mail of an existing service account for the service to run as.",
    ),
    Input(
        "octue_role",
        "",
        "`projects/<project_id>/roles/octue_service_user`",
        "The role on the project that lets the service ask and answer questions.",
    ),
    Input("image", "", "built from the commit", "A ready container image to deploy instead of building one."),
    _also_in_octue_yaml("dockerfile_path"),
    _also_in_octue_yaml("branch_pattern"),
    Input("build_trigger", "push", "", "What starts a build: `push`, `manual` (only this action) or `none`."),
    Input(
        "repository_connection",
        "",
        "the first-generation GitHub app",
        "The full name of a repository connected to Cloud Build the second-generation way.",
    ),
    Input("build_service_account", "", "the project's default", "The e-mail of the account that Cloud Build runs as."),
    _also_in_octue_yaml("memory"),
    _also_in_octue_yaml("cpus"),
    _also_in_octue_yaml("concurrency"),
    Input("timeout", "", "`3600`", "The seconds that a question may take, at most 3600."),
    _also_in_octue_yaml("minimum_instances"),
    _also_in_octue_yaml("maximum_instances"),
    Input(
        "environment_variables",
        "",
        "those of octue.yaml, to which these are added",
        "The service's environment variables: `NAME=value` lines, or one JSON object.",
    ),
    Input(
        "secrets",
        "",
        "none",
        "Environment variables from Secret Manager: `NAME=secret:version` lines, or one JSON object.",
    ),
    Input("labels", "", "only the action's own", "Labels of the service: `key=value` lines, or one JSON object."),
    Input("ingress", "internal", "", "Where requests may come from: `internal` or `all`."),
    Input("adopt", "false", "", "Whether to take over what exists already and was not made by this action."),
    Input("preview", "", "none", "A suffix that makes this a deployment of its own, such as `pr-123`."),
    Input("revision", "", "the previous ready one", "The revision that the mode `rollback` goes back to."),
    Input("rollback_on_failure", "false", "", "Whether to roll back when the question asked afterwards fails."),
    Input("confirm", "", "none", "The names of the services once more, for the mode `destroy`."),
    Input("delete_topic", "false", "", "Whether the mode `destroy` deletes the topic too."),
    Input("region_policy", "any", "", "Which regions are accepted: `any` or `low-carbon`."),
    Input(
        "sdk_policy",
        "checked",
        "",
        "Whether what is seen not to work with Octue's SDK ends the run, `checked`, or is a notice, `any`.",
    ),
    Input(
        "timeout_minutes",
        "60",
        "",
        "The minutes that the whole run may take, 1 to 350: a few less than the job's `timeout-minutes`.",
    ),
    Input("github_token", "", "none", "A GitHub token for deployments and comments on pull requests."),
    Input("question", "", "none", "JSON input values of a question to ask after the deployment."),
    Input("question_timeout", "600", "", "The seconds that the answer to that question may take, 1 to 3600."),
)

INPUTS: Mapping[str, Input] = {it.name: it for it in _TABLE}


def read(environment: Mapping[str, str], findings: Findings) -> dict[str, Given]:
    """The inputs that are given, with their defaults; an empty one is not given.

    The runner makes ``INPUT_<NAME>`` of an input's name, and only warns about names it does not know.
    """
    unknown = [name for name in environment if name.startswith(_PREFIX) and not _is_known(name)]
    findings.add(*map(_unknown, unknown[:MAXIMUM_PROBLEMS]))
    given = {}
    for name, declared in INPUTS.items():
        text = environment.get(_PREFIX + name.upper(), "").strip() or declared.default
        value = Given(name=name, text=text, secret=name in SECRET)
        if UNPRINTABLE.search(text):
            findings.add(value.problem(f"{value.subject} has a character that cannot be used.", "text in UTF-8"))
        elif text:
            given[name] = value
    return given


def _is_known(variable: str) -> bool:
    name = variable.removeprefix(_PREFIX)
    return name.isupper() and name.lower() in INPUTS


def _unknown(variable: str) -> Problem:
    name = variable.removeprefix(_PREFIX).lower()
    message = f"The action has no input {shown(name)}.{perhaps(name, INPUTS)}"
    return Problem(message=message, expected="one of the inputs in the README", title=shown(name)[1:-1])
