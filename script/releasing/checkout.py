"""What has to hold together in a checkout: version, changelog, image and what people are told to use."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from script.releasing.shell import Refusal, Shell
from script.releasing.version import NUMBER, Version

ACTION = "octue/deploy-cloud-run-action"
IMAGE = f"ghcr.io/{ACTION}"

_HEADING = re.compile(r"^## (.*)\n", re.MULTILINE)
_DATED = re.compile(rf"({NUMBER}\.{NUMBER}\.{NUMBER}) - \d{{4}}-\d\d-\d\d")
_IMAGE_LINE = re.compile(r"^  image: (.*)$", re.MULTILINE)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_USE = re.compile(rf"(?:uses: {ACTION}(?:/\S*)?@|\$schema=https://raw\.githubusercontent\.com/{ACTION}/)([^\s/]+)")


def check(shell: Shell, version: Version | None) -> None:
    """See whether everything holds together, and this checkout can become a version, where one is given.

    :raises Refusal: where it does not, with all there is to do
    """
    found = list(inconsistencies(shell.root))
    if version is not None:
        found += obstacles(shell, version)
    if found:
        raise Refusal("\n".join(found))


def current_version(root: Path) -> Version:
    """The version in pyproject.toml: of the newest release or the one that is being made; 0.0.0 before the first."""
    return Version.of(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])


def changelog(root: Path) -> dict[str, str]:
    """The sections of the changelog, the newest first: their text by their heading."""
    _, *parts = _HEADING.split((root / "CHANGELOG.md").read_text())
    return {heading: body.strip() for heading, body in zip(parts[::2], parts[1::2], strict=True)}


def notes(root: Path, version: Version) -> str:
    """What the changelog says of a version.

    :raises Refusal: where it says nothing
    """
    for heading, body in changelog(root).items():
        if heading.startswith(f"{version} - ") and body:
            return body
    raise Refusal(f"CHANGELOG.md has no section `## {version} - <year>-<month>-<day>`, or nothing in it.")


def inconsistencies(root: Path) -> Iterator[str]:
    """What does not hold together, whether a release is near or not."""
    version = current_version(root)
    yield from _of_the_changelog(root, version)
    if (images := _IMAGE_LINE.findall((root / "action.yml").read_text())) != ["Dockerfile"]:
        yield f"action.yml: the image is {', '.join(images) or 'missing'}: make it `Dockerfile` outside releases."
    examples = (*root.glob("examples/*/.github/workflows/*.yml"), *root.glob("examples/*/octue.yaml"))
    for file in (root / "README.md", *sorted(examples)):
        for used in sorted(set(_USE.findall(file.read_text())) - {version.major_tag}):
            yield f"{file.relative_to(root)} uses @{used}: make it @{version.major_tag}, as the version is {version}."


def _of_the_changelog(root: Path, version: Version) -> Iterator[str]:
    headings = list(changelog(root))
    released = headings[1:] if headings[:1] == ["Unreleased"] else headings
    for heading in released:
        if not _DATED.fullmatch(heading):
            yield f"CHANGELOG.md: `## {heading}` is not like `## 1.2.3 - 2026-01-31`. `Unreleased` may come first."
    versions = [Version.of(match[1]) for heading in released if (match := _DATED.fullmatch(heading))]
    if versions != sorted(set(versions), reverse=True):
        yield "CHANGELOG.md: put each version once, and the newest first."
    if (newest := max(versions, default=Version(0, 0, 0))) != version:
        yield f"The version is {version} in pyproject.toml, but the newest in CHANGELOG.md is {newest}."


def obstacles(shell: Shell, version: Version) -> Iterator[str]:
    """What stands against making this very checkout a release."""
    if (current := current_version(shell.root)) != version:
        yield f"The tag is for {version}, but the version in pyproject.toml is {current}."
    try:
        notes(shell.root, version)
    except Refusal as refusal:
        yield str(refusal)
    if changelog(shell.root).get("Unreleased"):
        yield f"CHANGELOG.md has something under `Unreleased`: put it under {version}."
    head = shell.line("git", "rev-parse", "HEAD")
    if not shell.succeeds("git", "rev-parse", "--verify", f"refs/tags/{version.source}"):
        yield f"There is no tag {version.source}."
    elif shell.line("git", "rev-parse", f"refs/tags/{version.source}^{{commit}}") != head:
        yield f"The tag {version.source} is on another commit than this checkout."
    if not shell.succeeds("git", "merge-base", "--is-ancestor", head, "refs/remotes/origin/main"):
        yield "This commit is not on the branch main: merge it, then tag it."
    if not shell.succeeds("git", "ls-remote", "origin"):
        yield "The repository on GitHub, which git knows as `origin`, does not answer."
    elif remote_tags(shell, version.tag):
        yield f"{version.tag} is there already. To finish a release, re-run its failed jobs alone, not all of them."


def valid_digest(text: str) -> str:
    """A digest as it was given.

    :raises Refusal: where it is none
    """
    if not _DIGEST.fullmatch(text):
        raise Refusal(f"{text!r} is no digest: it is sha256: and 64 digits of 0 to 9 and a to f.")
    return text


def pinned(action: str, digest: str) -> str:
    """The text of action.yml with the image that has this digest.

    :raises Refusal: where the digest is none, or where the text has not exactly one image, built from the Dockerfile
    """
    if (images := _IMAGE_LINE.findall(action)) != ["Dockerfile"]:
        raise Refusal(f"action.yml has to have the one line `  image: Dockerfile`, but has {images}.")
    return _IMAGE_LINE.sub(f"  image: docker://{IMAGE}@{valid_digest(digest)}", action)


def committed_at(shell: Shell, revision: str) -> str:
    """When a commit was made, in ISO 8601 and UTC."""
    seconds = int(shell.line("git", "show", "--no-patch", "--format=%ct", revision))
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def remote_tags(shell: Shell, pattern: str) -> dict[str, str]:
    """The tags of the repository on GitHub, with what they point to."""
    lines = shell.read("git", "ls-remote", "--refs", "origin", f"refs/tags/{pattern}").splitlines()
    return {name.removeprefix("refs/tags/"): commit for commit, name in (line.split("\t") for line in lines)}
