"""Builds the image, saves it, and pushes what was saved: between these it is tested."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from script.releasing.checkout import ACTION, IMAGE, committed_at, valid_digest
from script.releasing.shell import Refusal, Shell
from script.releasing.version import Version

ARCHITECTURES = ("amd64", "arm64")

_BASE = re.compile(r"^ARG BASE_IMAGE=(?P<tag>\S+?)@(?P<digest>sha256:[0-9a-f]{64})$", re.MULTILINE)


def build(shell: Shell, version: Version, folder: Path, base_image: str | None) -> str:
    """Build the image of the checkout for the architecture of the Docker engine, and save it.

    :param folder: where ``image-<architecture>.tar`` is written
    :param base_image: instead of the one that the Dockerfile names
    :returns: the image's name, such as ``ghcr.io/octue/deploy-cloud-run-action:1.2.3-amd64``
    """
    architecture = shell.line("docker", "version", "--format", "{{.Server.Arch}}")
    name = f"{IMAGE}:{version}-{architecture}"
    labels = {
        "created": committed_at(shell, "HEAD"),
        "revision": shell.line("git", "rev-parse", "HEAD"),
        "source": f"https://github.com/{ACTION}",
        "version": str(version),
    }
    command = ["docker", "build", "--tag", name, str(shell.root)]
    command += [f"--label=org.opencontainers.image.{key}={value}" for key, value in labels.items()]
    command += [f"--build-arg=BASE_IMAGE={base_image}"] if base_image else []
    # Without attestations of its own, docker makes one plain manifest: GitHub's attestations are of that.
    environment = {**os.environ, "DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    subprocess.run(command, env=environment, stdout=sys.stderr, check=True)
    folder.mkdir(parents=True, exist_ok=True)
    shell.read("docker", "save", "--output", str(folder.absolute() / f"image-{architecture}.tar"), name)
    return name


def push(shell: Shell, version: Version, folder: Path) -> None:
    """Push the saved images of all architectures and one index of them, and tell the workflow their digests.

    Writes the outputs ``digest``, of the index, and ``digest_amd64`` and ``digest_arm64``.

    :param folder: with ``image-<architecture>.tar`` of each architecture
    """
    digests = {}
    for architecture in ARCHITECTURES:
        name = f"{IMAGE}:{version}-{architecture}"
        shell.change("docker", "load", "--input", str(folder.absolute() / f"image-{architecture}.tar"))
        shell.change("docker", "push", name)
        digests[f"digest_{architecture}"] = "<its digest>" if shell.dry_run else _pushed_digest(shell, name)
    index = f"{IMAGE}:{version}"
    parts = [f"{IMAGE}@{digest}" for digest in digests.values()]
    shell.change("docker", "buildx", "imagetools", "create", "--tag", index, *parts)
    if not shell.dry_run:
        _write_outputs({"digest": _registry_digest(shell, index), **digests})


def see_that_it_is_public(shell: Shell, digest: str) -> None:
    """See that the image can be had without signing in, as everyone's runners have to.

    :raises Refusal: where it can not
    """
    if not shell.succeeds("docker", "buildx", "imagetools", "inspect", f"{IMAGE}@{valid_digest(digest)}"):
        raise Refusal(
            f"{IMAGE}@{digest} cannot be had without signing in. Make the package public (on GitHub, among the "
            "packages of the organisation: Package settings, Change visibility), then re-run the failed job."
        )


def see_that_the_base_is_new(shell: Shell) -> None:
    """See that the Dockerfile's base image is the newest of its tag.

    :raises Refusal: where it is not
    """
    if not (base := _BASE.search((shell.root / "Dockerfile").read_text())):
        raise Refusal("The Dockerfile has no line `ARG BASE_IMAGE=<name>:<tag>@sha256:<digest>`.")
    if (newest := _registry_digest(shell, base["tag"])) != base["digest"]:
        raise Refusal(f"There is a newer base image. In the Dockerfile: ARG BASE_IMAGE={base['tag']}@{newest}")


def _pushed_digest(shell: Shell, name: str) -> str:
    references = json.loads(shell.read("docker", "image", "inspect", "--format", "{{json .RepoDigests}}", name))
    (digest,) = {reference.partition("@")[2] for reference in references if reference.startswith(f"{IMAGE}@")}
    return valid_digest(digest)


def _registry_digest(shell: Shell, name: str) -> str:
    # As JSON, since buildx takes a format that begins with `{{.Manifest` for a wish to see everything
    # (github.com/docker/buildx, pull request 4006).
    command = ("docker", "buildx", "imagetools", "inspect", "--format", "{{json .Manifest.Digest}}", name)
    return valid_digest(json.loads(shell.read(*command)))


def _write_outputs(outputs: Mapping[str, str]) -> None:
    lines = "".join(f"{name}={value}\n" for name, value in outputs.items())
    print(lines, end="")
    if file := os.environ.get("GITHUB_OUTPUT"):
        with Path(file).open("a") as output:
            output.write(lines)
