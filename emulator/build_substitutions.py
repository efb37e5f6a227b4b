"""Substitutions of Cloud Build: ``$COMMIT_SHA``, ``${_MINE}``, put into a build before it runs.

https://cloud.google.com/build/docs/configuring-builds/substitute-variable-values
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from google.cloud.devtools import cloudbuild_v1

from emulator.errors import invalid_argument

_KEY = re.compile(r"_[A-Z0-9_]+")
_USE = re.compile(r"\$(?:(\$)|([A-Z_][A-Z0-9_]*)|\{([A-Z_][A-Z0-9_]*)\})")

# What a build that no trigger started has no value for.
_OPTIONAL = {
    "BASE_BRANCH",
    "BRANCH_NAME",
    "COMMIT_SHA",
    "HEAD_BRANCH",
    "REF_NAME",
    "REPO_FULL_NAME",
    "REPO_NAME",
    "REVISION_ID",
    "SHORT_SHA",
    "TAG_NAME",
    "TRIGGER_BUILD_CONFIG_PATH",
    "TRIGGER_NAME",
}


def check_keys(substitutions: Mapping[str, str]) -> None:
    """Refuse names that only Cloud Build may give.

    :raises ApiError: INVALID_ARGUMENT.
    """
    for key in substitutions:
        if not _KEY.fullmatch(key):
            raise invalid_argument(
                f'invalid value for "build.substitutions": key "{key}" must begin with an underscore and consist of '
                "capital letters, digits and underscores"
            )


def put_in(build: cloudbuild_v1.Build, values: Mapping[str, str]) -> None:
    """Replace the substitutions in a build's steps, images and tags.

    :param values: built-in and own ones; own ones that have no value are empty, as in builds that triggers start.
    :raises ApiError: INVALID_ARGUMENT for a built-in name that does not exist.
    """

    def value(match: re.Match[str]) -> str:
        dollar, plain, braced = match.groups()
        key = plain or braced
        if dollar:
            return "$"
        if not key.startswith("_") and key not in values and key not in _OPTIONAL:
            raise invalid_argument(
                f'invalid value for "build.substitutions": key in the template "{key}" is not a valid built-in '
                "substitution"
            )
        return values.get(key, "")

    def expanded(text: str) -> str:
        return _USE.sub(value, text)

    for step in build.steps:
        step.name, step.entrypoint, step.dir_ = expanded(step.name), expanded(step.entrypoint), expanded(step.dir_)
        step.args = [expanded(text) for text in step.args]
        step.env = [expanded(text) for text in step.env]
    build.images = [expanded(text) for text in build.images]
    build.tags = [expanded(text) for text in build.tags]
