"""Commits in the repository that is built from."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path


def git(repository: Path, *arguments: str) -> str:
    """Run git in a repository, and give what it writes."""
    command = ["git", "-C", str(repository), "-c", "user.name=octocat", "-c", "user.email=o@example.com", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(repository: Path, files: Mapping[str, str]) -> str:
    """Commit some files, and give the full SHA.

    :param files: content by name.
    """
    for name, content in files.items():
        (repository / name).write_text(content)
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "A change")
    return git(repository, "rev-parse", "HEAD")
