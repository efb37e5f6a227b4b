"""Container images as the emulator has them: a folder of files and a Python environment instead of layers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Image:
    """What a build made and a revision runs.

    :param digest: ``sha256:`` and 64 hexadecimal digits, derived from the content.
    :param files: the folder that stands for the image's root directory.
    :param environment: folder of the Python environment that stands for the image's interpreter and packages.
    :param working_directory: absolute path inside the image.
    :param command: ``ENTRYPOINT`` and ``CMD`` together, exec form.
    :param variables: ``ENV`` of the image.
    """

    digest: str
    files: Path
    environment: Path
    working_directory: str = "/"
    command: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


def empty(*references: str) -> Image:
    """An image without a file, whose digest is that of its references."""
    digest = hashlib.sha256("\n".join(references).encode()).hexdigest()
    return Image(f"sha256:{digest}", files=Path(), environment=Path())
