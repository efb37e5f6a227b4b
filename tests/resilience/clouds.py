"""Fresh local clouds in which time leaps, and runs of the action that live by the same time."""

from __future__ import annotations

import contextlib
import functools
import itertools
import shutil
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from cryptography.hazmat.primitives.asymmetric import rsa

from emulator.server import Emulator
from emulator.world import World, WorldSettings
from octue_action.cancellation import Cancellation
from octue_action.clock import Clock
from tests.runs import LAYERS, OCTUE_YAML, REPOSITORY, SMALL_SERVICE, Job, Run

SECONDS = {
    "artifact_registry create": 3.0,
    "cloud_build build": 36.0,
    "cloud_run create": 21.0,
    "cloud_run update": 17.0,
    "cloud_run delete": 5.0,
    "eventarc create": 4.0,
    "eventarc update": 4.0,
    "eventarc delete": 4.0,
}
"""How long operations take by the cloud's clock, about as long as the real ones."""

SERVICES = [f"services/{number:02}.yaml" for number in range(1, 21)]
"""Configurations of further services in the same repository."""

SETTLING_SECONDS = 120.0
"""After so long, whatever a run has begun has ended."""


class CloudTime(Clock):
    """The time of a cloud, for the runs in it.

    :param world: the cloud.
    """

    def __init__(self, world: World) -> None:
        self._clock = world.clock

    def now(self) -> float:
        return self._clock.time()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        if not event.is_set():
            self._clock.sleep(seconds)
        return event.is_set()


class Cloud:
    """A fresh cloud, and a repository whose workflow deploys into it.

    :param emulator: the cloud.
    :param repository: with one commit.
    :param commit: its SHA.
    :param folder: for the files of the runs.

    ``inputs`` are those of every run, beside those that sign in; ``others`` is what was not ours when it was made.
    """

    def __init__(self, emulator: Emulator, repository: Path, commit: str, folder: Path) -> None:
        self._emulator = emulator
        self._repository = repository
        self._folder = folder
        self._jobs = itertools.count(1)
        self.commit = commit
        self.inputs: dict[str, str] = {}
        self.others: dict[str, Any] = {}
        self.job = self.new_job()

    @property
    def world(self) -> World:
        """The cloud itself."""
        return self._emulator.world

    def new_job(self) -> Job:
        """A job whose runs have files of their own, so that it can run beside another."""
        return Job(self._emulator, self._repository, self._folder / f"job-{next(self._jobs)}")

    def cancellation(self) -> Cancellation:
        """For a run that lives by the cloud's time."""
        return Cancellation(CloudTime(self.world))

    def environment(self, inputs: Mapping[str, str] | None = None, job: Job | None = None) -> dict[str, str]:
        """The variables of a step that deploys the commit."""
        given = {**self.inputs, **(inputs or {})}
        return (job or self.job).environment(given, sha=self.commit, event_name="workflow_dispatch")

    def deploy(
        self,
        inputs: Mapping[str, str] | None = None,
        *,
        cancellation: Cancellation | None = None,
        job: Job | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> Run:
        """Run the action in this process.

        :param inputs: beside those of the cloud.
        :param cancellation: ends the run before its time.
        :param job: whose step it is; the cloud's own where none is given.
        :param variables: beside those of the runner.
        """
        job, cancellation = job or self.job, cancellation or self.cancellation()
        try:
            return job.here({**self.environment(inputs, job), **(variables or {})}, cancellation)
        finally:
            # What ends with its process otherwise: connections, and what they keep from being forgotten.
            cancellation.cut()
            cancellation.cut = lambda: None

    def settle(self) -> None:
        """Let whatever was begun end."""
        self.world.clock.sleep(SETTLING_SECONDS)


def succeeded(run: Run) -> None:
    """Check that a run did what it should.

    :raises AssertionError: with its log, so that it is told only once and without the tokens that it hides.
    """
    if run.code != 0:
        raise AssertionError(f"The run ended with {run.code}:\n{log(run)}")


def log(run: Run) -> str:
    """What a person reads of a run."""
    return "\n".join(line for line in run.stdout.splitlines() if not line.lstrip().startswith("::add-mask::"))


class Clouds:
    """Makes clouds.

    :param folder: for all their files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self._making = threading.Lock()

    @functools.cached_property
    def _commit(self) -> tuple[Path, str]:
        """The repository with one commit, for all clouds: they only read it."""
        repository = self._folder / "repository"
        (repository / "services").mkdir(parents=True)
        further = {path: OCTUE_YAML.replace("sum", f"sum-{path[-7:-5]}") for path in SERVICES}
        with Emulator(WorldSettings(state=self._folder / "none", cache=LAYERS)) as emulator:
            sha = Job(emulator, repository).commit(SMALL_SERVICE | further)
        return repository, sha

    @contextlib.contextmanager
    def fresh(self, **settings: Any) -> Iterator[Cloud]:
        """A cloud with nothing in it.

        :param settings: of its world, beside those that make it quick.
        """
        repository, commit = self._commit
        folder = self._folder / str(next(self._numbers))
        given: dict[str, Any] = {
            "state": folder / "state",
            "cache": LAYERS,
            "repositories": {REPOSITORY: repository},
            "seconds": SECONDS,
            "leaps": True,
            **settings,
        }
        with self._making, mock.patch("emulator.tokens.rsa.generate_private_key", _key):
            emulator = Emulator(WorldSettings(**given))
        try:
            with emulator:
                yield Cloud(emulator, repository, commit, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


_generate = rsa.generate_private_key


@functools.cache
def _key(public_exponent: int, key_size: int) -> rsa.RSAPrivateKey:
    """One key for all clouds: making one takes longer than a deployment does here."""
    return _generate(public_exponent=public_exponent, key_size=key_size)
