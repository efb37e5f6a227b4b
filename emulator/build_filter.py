"""The filter of ``ListBuilds``: comparisons joined by ``AND``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from google.cloud.devtools import cloudbuild_v1

from emulator.errors import invalid_argument

_TERM = re.compile(r'\s*([\w.]+)\s*(!=|=)\s*(?:"([^"]*)"|([^\s"]+))\s*')

# The fields that gcloud sends to the server (googlecloudsdk/api_lib/cloudbuild, filter_rewrite), and substitutions.
_FIELDS: dict[str, Callable[[cloudbuild_v1.Build], Iterable[str]]] = {
    "build_id": lambda build: [build.id],
    "images": lambda build: build.images,
    "project_id": lambda build: [build.project_id],
    "results.images.digest": lambda build: [image.digest for image in build.results.images],
    "results.images.name": lambda build: [image.name for image in build.results.images],
    "source.repo_source.branch_name": lambda build: [build.source.repo_source.branch_name],
    "source.repo_source.commit_sha": lambda build: [build.source.repo_source.commit_sha],
    "source.repo_source.repo_name": lambda build: [build.source.repo_source.repo_name],
    "source_provenance.resolved_repo_source.commit_sha": lambda build: [
        build.source_provenance.resolved_repo_source.commit_sha
    ],
    "status": lambda build: [build.status.name],
    "tags": lambda build: build.tags,
    "trigger_id": lambda build: [build.build_trigger_id],
}
_SUBSTITUTIONS = "substitutions."


def parse(text: str) -> Callable[[cloudbuild_v1.Build], bool]:
    """What tells whether a build passes the filter.

    :param text: ``trigger_id="..." AND status!="SUCCESS"``; everything passes where empty.
    :raises ApiError: INVALID_ARGUMENT for what is not such a filter.
    """
    terms = [_term(part) for part in re.split(r"\s+AND\s+", text.strip()) if part]
    return lambda build: all(term(build) for term in terms)


def _term(text: str) -> Callable[[cloudbuild_v1.Build], bool]:
    match = _TERM.fullmatch(text)
    if match is None:
        raise invalid_argument(f"invalid list filter: {text}")
    name, operator, quoted, bare = match.groups()
    wanted = bare if quoted is None else quoted
    values = _values(name)
    return lambda build: (wanted in values(build)) == (operator == "=")


def _values(name: str) -> Callable[[cloudbuild_v1.Build], Iterable[str]]:
    if name.startswith(_SUBSTITUTIONS):
        key = name.removeprefix(_SUBSTITUTIONS)
        return lambda build: [build.substitutions[key]] if key in build.substitutions else []
    if name not in _FIELDS:
        raise invalid_argument(f"invalid list filter: unknown field {name}")
    return _FIELDS[name]
