"""Runs commands, and in a dry run only shows those that change something elsewhere."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path


class Refusal(Exception):
    """What stands against a release, as the maintainer is told it."""


class Shell:
    """Runs commands in a checkout.

    :param root: the checkout
    :param dry_run: whether commands that change something elsewhere are only printed
    """

    def __init__(self, root: Path, *, dry_run: bool = False) -> None:
        self.root = root
        self.dry_run = dry_run

    def read(self, *command: str | Path, given: str | None = None, environment: Mapping[str, str] | None = None) -> str:
        """What a command prints, as it is.

        :raises subprocess.CalledProcessError: where it fails, after it has said why
        """
        return subprocess.run(
            command,
            cwd=self.root,
            input=given,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout

    def line(self, *command: str | Path, given: str | None = None, environment: Mapping[str, str] | None = None) -> str:
        """The one line that a command prints."""
        return self.read(*command, given=given, environment=environment).strip()

    def succeeds(self, *command: str) -> bool:
        """Whether a command ends well; what it says is not shown."""
        return subprocess.run(command, cwd=self.root, capture_output=True, check=False).returncode == 0

    def change(self, *command: str, given: str | None = None) -> None:
        """Run a command that changes something elsewhere, or print it in a dry run."""
        print("$", shlex.join(command), flush=True)
        if not self.dry_run:
            subprocess.run(command, cwd=self.root, input=given, text=True, check=True)
