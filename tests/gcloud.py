"""Google's own gcloud as a witness, where the machine has it: whether it understands the commands that people paste."""

from __future__ import annotations

import concurrent.futures
import os
import shutil
import subprocess
from pathlib import Path

import pytest


def understands(script: str, folder: Path) -> int:
    """How many different calls of gcloud a shell script has, each of which gcloud understands.

    Without an account it gets no further than its own check of a command.

    :param script: what is pasted.
    :param folder: an empty one.
    :raises AssertionError: with the call that it does not understand, and its answer.
    """
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        pytest.skip("SKIPPED LOUDLY: this machine has no gcloud, so nobody but us has read the commands")
    called = folder / "gcloud"
    called.write_text('#!/bin/sh\nprintf "%s\\0" "$@" >> calls; printf "\\n" >> calls; echo 1\n')
    called.chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "CLOUDSDK_CONFIG": str(folder / "config")}
    subprocess.run(["bash", "-e", "-c", script], cwd=folder, env=environment, check=True, capture_output=True)
    calls = [line.split("\0")[:-1] for line in (folder / "calls").read_text().split("\n") if line]
    different = {_form(call): call for call in calls}

    def ask(call: list[str]) -> str:
        asked = [gcloud, *call, "--quiet"]
        variables = {**os.environ, **environment, "PATH": os.environ["PATH"]}
        return subprocess.run(asked, env=variables, check=False, capture_output=True, text=True).stderr

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for call, answer in zip(different.values(), pool.map(ask, different.values()), strict=True):
            assert "You do not currently have an active account selected" in answer, (call, answer)
    return len(different)


def _form(call: list[str]) -> tuple[str, ...]:
    """What is the same in calls that gcloud reads in the same way: its words, and the names of its options."""
    return tuple(word.partition("=")[0] for word in call)
