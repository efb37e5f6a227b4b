"""Lists what is in an image, as one CycloneDX 1.6 document: a software bill of materials (SBOM)."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tarfile
import tempfile
import uuid
from pathlib import Path
from typing import Any

from script.releasing.checkout import IMAGE
from script.releasing.shell import Shell

_TOOLS = Path(".cache") / "sbom" / "bin"

# Where pip puts what says of a package what it is: site-packages, or dist-packages where Debian made the Python.
_METADATA = re.compile(r"usr/local/lib/python3[.]\d+/(?:site|dist)-packages/([^/]+[.]dist-info/[^/]+)")

_VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
sys.exit(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()))
"""


def sbom(shell: Shell, image: str, file: Path) -> None:
    """Write what is in an image; the same image always gives the same document.

    debsbom lists the Debian packages and cyclonedx-py those of Python, both from the image's files and not from what
    was to be installed. Python itself is in neither list, as the base image compiles it, and is added here.

    :param file: such as ``sbom-amd64.cdx.json``
    """
    (about,) = json.loads(shell.read("docker", "image", "inspect", image))
    with tempfile.TemporaryDirectory() as scratch:
        files = Path(scratch) / "files.tar"
        _export(shell, image, files)
        parts = [_debian_packages(shell, files, Path(scratch)), _python_packages(shell, files, Path(scratch))]
    text = json.dumps(_merged(about, [_python_itself(shell, image)], parts), indent=2, sort_keys=True) + "\n"
    shell.read(shell.root / _TOOLS / "python", "-c", _VALIDATE, given=text)
    file.write_text(text)


def _merged(about: dict[str, Any], further: list[dict[str, str]], parts: list[dict[str, Any]]) -> dict[str, Any]:
    labels = about["Config"]["Labels"] or {}
    components = [*further, *(component for part in parts for component in part["components"])]
    references = {component["bom-ref"] for component in components}
    root = {"bom-ref": "image", "type": "container", "name": IMAGE}
    if version := labels.get("org.opencontainers.image.version"):
        root["version"] = version
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, about['Id'])}",
        "version": 1,
        "metadata": {
            "timestamp": labels.get("org.opencontainers.image.created", about["Created"]),
            "tools": {"components": [tool for part in parts for tool in part["metadata"]["tools"]["components"]]},
            "component": root,
        },
        "components": components,
        "dependencies": [
            {"ref": "image", "dependsOn": sorted(references)},
            *(entry for part in parts for entry in part["dependencies"] if entry["ref"] in references),
        ],
    }


def _export(shell: Shell, image: str, file: Path) -> None:
    container = shell.line("docker", "create", image)
    try:
        shell.read("docker", "export", "--output", file, container)
    finally:
        shell.read("docker", "rm", container)


def _debian_packages(shell: Shell, files: Path, scratch: Path) -> dict[str, Any]:
    subprocess.run(
        [
            *(shell.root / _TOOLS / "debsbom", "generate", "--sbom-type=cdx", "--cdx-schema-version=1.6"),
            *("--with-licenses", f"--root={files}", f"--out={scratch / 'debian'}"),
        ],
        stderr=subprocess.DEVNULL,  # a warning for every package whose maintainer is not named
        check=True,
    )
    return _read(scratch / "debian.cdx.json")


def _python_packages(shell: Shell, files: Path, scratch: Path) -> dict[str, Any]:
    packages = scratch / "packages"
    with tarfile.open(files) as archive:
        for member in archive:
            if (match := _METADATA.fullmatch(member.name)) and (content := archive.extractfile(member)):
                metadata = packages / match[1]
                metadata.parent.mkdir(parents=True, exist_ok=True)
                metadata.write_bytes(content.read())
    # cyclonedx-py asks a Python where its packages are. The image's cannot be asked from here: this one answers for it.
    python = scratch / "python"
    python.write_text(f"#!/bin/sh\necho {shlex.quote(json.dumps([str(packages)]))}\n")
    python.chmod(0o755)
    listed = scratch / "python.cdx.json"
    options = ("--sv=1.6", "--output-reproducible", f"--output-file={listed}")
    shell.read(shell.root / _TOOLS / "cyclonedx-py", "environment", *options, python)
    return _read(listed)


def _python_itself(shell: Shell, image: str) -> dict[str, str]:
    ask = "import platform; print(platform.python_version())"
    version = shell.line("docker", "run", "--rm", "--entrypoint", "python", image, "-c", ask)
    reference = f"pkg:generic/python@{version}"
    return {
        "bom-ref": reference,
        "type": "platform",
        "name": "python",
        "version": version,
        "purl": reference,
        "cpe": f"cpe:2.3:a:python:python:{version}:*:*:*:*:*:*:*",
    }


def _read(file: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(file.read_text())
    return value
