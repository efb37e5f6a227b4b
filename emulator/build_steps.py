"""The steps of a build, run one after the other in the folder that holds the source.

A step names the image of a builder. Two are known: Docker's, whose ``build``, ``push`` and ``tag`` are done by
``emulator.dockerfile`` and the local registry; and the Cloud SDK's, which runs ``bash`` or ``gcloud`` on this machine
with ``emulator.gcloud`` first on its path.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NoReturn, Protocol

from google.cloud.devtools import cloudbuild_v1

import emulator
from emulator import dockerfile, gcloud, images, processes
from emulator.errors import ApiError
from emulator.images import Image

_DOCKER = re.compile(r"gcr\.io/cloud-builders/docker(:.+)?")
_CLOUD_SDK = re.compile(r"gcr\.io/(google\.com/cloudsdktool/(google-)?cloud-(sdk|cli)|cloud-builders/gcloud)(:.+)?")
_WORKSPACE = PurePosixPath("/workspace")


class StepError(Exception):
    """A step failed.

    :param message: why, in one plain line: what its builder says last; empty where a program has said so itself.
    :param code: the exit code.
    """

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


class Registry(Protocol):
    """Where images are pushed to."""

    def push(self, reference: str, image: Image) -> str:
        """Store an image and give its reference by digest."""

    def pull(self, reference: str) -> Image:
        """The image of a reference."""


@dataclass
class Workspace:
    """What the steps of one build share.

    :param source: the folder with the source, ``/workspace`` to the steps.
    :param home: a folder for the steps' own files.
    :param cache: where built layers are kept.
    :param registry: the local Artifact Registry.
    :param variables: what Cloud SDK steps are told about the emulator.
    :param secrets: values of the build's secrets, by the environment variable that steps ask for.
    :param write: called with every line of output.
    :param stopped: set when the build is to end early.
    :param hollow: whether nothing is run: Docker builds empty images, and what the Cloud SDK would do is left out.
    :param images: what was built so far, by reference.
    """

    source: Path
    home: Path
    cache: Path
    registry: Registry
    variables: Mapping[str, str]
    secrets: Mapping[str, str]
    write: Callable[[str], None]
    stopped: threading.Event
    hollow: bool = False
    images: dict[str, Image] = field(default_factory=dict)

    def run(self, step: cloudbuild_v1.BuildStep) -> None:
        """Run one step.

        :raises StepError: where it fails.
        """
        if step.script:
            raise StepError("the emulator runs steps with args, not with a script")
        if _DOCKER.fullmatch(step.name):
            self._docker(step)
        elif _CLOUD_SDK.fullmatch(step.name):
            self._cloud_sdk(step)
        else:
            raise StepError(f"the emulator has no builder {step.name}; it knows Docker's and the Cloud SDK's")

    def push(self, reference: str) -> str:
        """Push an image that a step has built, and give its digest.

        :raises StepError: where there is no such image or the registry refuses it.
        """
        if reference not in self.images:
            raise StepError(f"An image does not exist locally with the tag: {reference}")
        try:
            pushed = self.registry.push(reference, self.images[reference])
        except ApiError as error:
            raise StepError(f"denied: {error.message}") from error
        digest = pushed.rpartition("@")[2]
        self.write(f"{reference}: digest: {digest}")
        return digest

    # Docker's builder

    def _docker(self, step: cloudbuild_v1.BuildStep) -> None:
        if step.entrypoint not in ("", "docker"):
            raise StepError(f"the emulator's Docker builder has no {step.entrypoint}: give docker's arguments")
        command, *arguments = list(step.args) or [""]
        if command == "build":
            self._docker_build(step, arguments)
        elif command == "push" and len(arguments) == 1:
            self.push(arguments[0])
        elif command == "tag" and len(arguments) == 2:  # noqa: PLR2004 - from and to
            self.images[arguments[1]] = self._image(arguments[0])
        elif command == "pull" and len(arguments) == 1:
            self.images[arguments[0]] = self._image(arguments[0])
        else:
            raise StepError(
                f"the emulator's Docker builder knows build, push, pull and tag, not: {shlex.join(step.args)}"
            )

    def _image(self, reference: str) -> Image:
        if reference in self.images:
            return self.images[reference]
        try:
            return self.registry.pull(reference)
        except ApiError as error:
            raise StepError(f"manifest for {reference} not found") from error

    def _docker_build(self, step: cloudbuild_v1.BuildStep, arguments: Sequence[str]) -> None:
        options = _build_options(arguments)
        if self.hollow:
            self.images |= dict.fromkeys(options.tag, images.empty(*options.tag))
            return
        directory = self._directory(step.dir_)
        context, file = directory / options.context, directory / (options.file or f"{options.context}/Dockerfile")
        if not context.is_dir() or not self._is_inside(context):
            raise StepError(f"unable to prepare context: path {options.context!r} not found")
        if not self._is_inside(file):
            raise StepError(f"the Dockerfile must be inside the source: {options.file}")
        variables = self._step_variables(step)
        given = (argument.partition("=") for argument in options.build_arg)
        try:
            image = dockerfile.build(
                context.resolve(),
                cache=self.cache,
                write=self.write,
                dockerfile=file,
                # An argument without a value takes it from the environment, as Docker does.
                arguments={name: value if sign else variables.get(name, "") for name, sign, value in given},
                stopped=self.stopped,
            )
        except dockerfile.BuildError as error:
            raise StepError(str(error)) from error
        for reference in options.tag:
            self.images[reference] = image
            self.write(f"Successfully tagged {reference}")

    # The Cloud SDK's builder

    def _cloud_sdk(self, step: cloudbuild_v1.BuildStep) -> None:
        default = ["gcloud"] if step.name.startswith("gcr.io/cloud-builders/") else []
        command = [*([step.entrypoint] if step.entrypoint else default), *step.args]
        if not command or command[0] not in ("bash", "gcloud", "sh"):
            raise StepError(f"the emulator's Cloud SDK has bash, sh and gcloud, not: {shlex.join(command)}")
        if self.hollow:
            return
        folder = self._install_gcloud()
        variables = {
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            **self._step_variables(step),
            **self.variables,
            "PATH": f"{folder}:{processes.SYSTEM_PATH}",
        }
        directory = self._directory(step.dir_)
        code = processes.run(command, directory=directory, variables=variables, write=self.write, stopped=self.stopped)
        if code is None:
            raise StepError("the step was stopped")
        if code:
            raise StepError("", code)

    def _install_gcloud(self) -> Path:
        folder = self.home / "bin"
        script = folder / "gcloud"
        if not script.exists():
            folder.mkdir(parents=True, exist_ok=True)
            root = Path(emulator.__file__).parent.parent
            words = ["env", f"PYTHONPATH={root}", sys.executable, "-m", gcloud.__name__]
            script.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
            script.chmod(0o755)
        return folder

    def _step_variables(self, step: cloudbuild_v1.BuildStep) -> dict[str, str]:
        given = (variable.partition("=") for variable in step.env)
        missing = [name for name in step.secret_env if name not in self.secrets]
        if missing:
            raise StepError(f"secret environment variables without a secret: {', '.join(missing)}")
        return {name: value for name, _, value in given} | {name: self.secrets[name] for name in step.secret_env}

    def _directory(self, name: str) -> Path:
        path = PurePosixPath(name)
        directory = self.source / (path.relative_to(_WORKSPACE) if path.is_relative_to(_WORKSPACE) else path)
        if not directory.is_dir() or not self._is_inside(directory):
            raise StepError(f"the step's dir {name!r} is not in the source")
        return directory

    def _is_inside(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self.source.resolve())


class _BuildOptions(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise StepError(f"docker build: the emulator's Docker builder does not understand this: {message}")


def _build_options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _BuildOptions(add_help=False, allow_abbrev=False)
    parser.add_argument("--tag", "-t", action="append", default=[])
    parser.add_argument("--file", "-f", default="")
    parser.add_argument("--build-arg", action="append", default=[])
    for ignored in ("--cache-from", "--label", "--network", "--platform", "--progress"):
        parser.add_argument(ignored, action="append")
    for ignored in ("--no-cache", "--pull", "--quiet", "-q"):
        parser.add_argument(ignored, action="store_true")
    parser.add_argument("context")
    return parser.parse_args(list(arguments))
