"""The rounds: each measures every row once, in an order that is mixed anew each time and the same on every machine."""

from __future__ import annotations

import contextlib
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from script import measure_image
from script.benchmarking import gcloud
from script.benchmarking.cloud import PYTHON, Cloud, Unmeasurable, cloud, run
from script.benchmarking.figures import Measured, Row, Sample
from script.local_cloud import ESSENTIALS

SEED = 7
"""Of the order of the rows, and of the latencies of the first round."""

MANY = 100
"""Services that take long to deploy, so that fewer rounds of them may be asked for."""

LATER: Mapping[str, Callable[[Cloud], Sample]] = {"no-op": Cloud.deploy, "update": Cloud.update, "plan": Cloud.plan}
"""The rows of which each can come at any time after the first deployment."""

UNPRUNED = {"unpruned": Cloud.deploy_unpruned}
"""One more where the start is most of a run."""

TIMES_OF_LEAST = 3
"""How often in a round that is measured which is hardly more than its start: a busy moment is much of it."""

INTERPRETER, IMPORT = "pass", "import google.cloud.run_v2"


@dataclass(frozen=True)
class World:
    """Some rows that follow one another in a cloud of their own, the first deployment before the others.

    :param services: how many there are.
    :param latencies: whether calls and operations take their time.
    :param rounds: in how many rounds it is measured.
    :param later: the other rows, of ``no-op``, ``update`` and ``plan``.
    """

    services: int
    latencies: bool
    rounds: int
    later: tuple[str, ...] = tuple(LATER)

    @property
    def is_least(self) -> bool:
        """Whether a run is hardly more than its start: one service, and a server that answers at once."""
        return self.services == 1 and not self.latencies

    @property
    def runs(self) -> dict[str, Callable[[Cloud], Sample]]:
        """What is run in it after the first deployment, but for the container."""
        return {what: LATER[what] for what in self.later} | (UNPRUNED if self.is_least else {})

    @property
    def rows(self) -> list[Row]:
        """Its rows, but for the container's."""
        return [Row(self.latencies, self.services, what) for what in ("fresh", *self.runs)]

    def __str__(self) -> str:
        many = "s" if self.services > 1 else ""
        return f"{self.services} service{many}, {'recorded' if self.latencies else 'no'} latencies"


def all_worlds(services: Iterable[int], rounds: int, rounds_of_many: int | None = None) -> list[World]:
    """Those with every row.

    :param services: the numbers of services.
    :param rounds: how often each row is measured.
    :param rounds_of_many: how often those of ``MANY`` services and more are; as often as all others where it is None.
    """
    worlds = (
        World(number, latencies, rounds_of_many if rounds_of_many is not None and number >= MANY else rounds)
        for number in services
        for latencies in (False, True)
    )
    return [world for it in worlds for world in [it] * (TIMES_OF_LEAST if it.is_least else 1)]


def quick_worlds() -> list[World]:
    """Those that show a regression of any target in a minute or two."""
    some = ("no-op",)
    return [
        *[World(1, False, 2)] * TIMES_OF_LEAST,
        World(1, True, 1),
        World(10, False, 1, some),
        World(MANY, True, 1, some),
    ]


def measure(worlds: Sequence[World], *, with_gcloud: bool, say: Callable[[str], None]) -> Measured:
    """Measure every row.

    :param with_gcloud: whether gcloud's commands are measured, too.
    :param say: told what is being done.
    :raises Unmeasurable: where the action fails.
    """
    samples: dict[Row, list[Sample]] = {}
    interpreter: list[float] = []
    bare_import: list[float] = []
    of_gcloud: list[float] = []
    container: list[float] = []
    notes: list[str] = []
    mix = random.Random(SEED)  # noqa: S311 - mixes rows, hides nothing
    with tempfile.TemporaryDirectory(prefix="octue-benchmark-") as scratch, _image(notes, say) as image:
        folder = Path(scratch)
        for program in (INTERPRETER, IMPORT):  # once before it counts, so that the files have been read
            _python(program, folder)
        for number in range(rounds := max(world.rounds for world in worlds)):
            turn = [world for world in worlds if number < world.rounds]
            for world in mix.sample(turn, len(turn)):
                say(f"Round {number + 1} of {rounds}: {world}")
                for row, found in _rows(folder, world, SEED + number, mix, image):
                    samples.setdefault(row, []).append(found)
                    if not world.latencies:  # beside each that is held against them, so that a busy machine is in both
                        interpreter.append(_python(INTERPRETER, folder))
                        bare_import.append(_python(IMPORT, folder))
            if image:
                container.append(measure_image.run_base(measure_image.base_image()))
            if with_gcloud:
                of_gcloud += _gcloud(folder, notes, say)
    return Measured(
        where=_where(worlds),
        samples=dict(sorted(samples.items())),
        interpreter=interpreter,
        bare_import=bare_import,
        notes=tuple(dict.fromkeys(notes)),
        container=tuple(container),
        gcloud=tuple(of_gcloud),
    )


def _python(program: str, folder: Path) -> float:
    done = run([*PYTHON, "-c", program], ESSENTIALS, folder)
    if done.code:
        raise Unmeasurable(f"python -c {program!r} ended with {done.code}:\n{done.output}")
    return done.seconds


def _rows(scratch: Path, world: World, seed: int, mix: random.Random, image: str) -> Iterator[tuple[Row, Sample]]:
    """All rows of a world, and that of the container where the start is most of a run."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    with cloud(folder, world.services, latencies=world.latencies, seed=seed) as made:
        runs = world.runs
        if image and world.is_least:
            runs["container"] = lambda it: it.in_container(image)
        yield Row(world.latencies, world.services, "fresh"), made.deploy()
        for what in mix.sample(sorted(runs), len(runs)):
            yield Row(world.latencies, world.services, what), runs[what](made)
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _image(notes: list[str], say: Callable[[str], None]) -> Iterator[str]:
    """The action's image, where an engine is there to build and run it; else empty."""
    if not _has_engine():
        notes.append(
            "The container was not measured: no Docker engine answers here; `.ci/engine script/benchmark` makes one."
        )
        yield ""
        return
    say("Building the image")
    with measure_image.built(measure_image.base_image()) as image:
        yield image


def _has_engine() -> bool:
    try:
        return subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _gcloud(folder: Path, notes: list[str], say: Callable[[str], None]) -> list[float]:
    program = shutil.which("gcloud")
    if program is None:
        notes.append("gcloud was not measured: it is not on this machine.")
        return []
    say("The commands of gcloud")
    notes.append(gcloud.NOTE)
    return [gcloud.measure(program, Path(tempfile.mkdtemp(dir=folder)))]


def _where(worlds: Sequence[World]) -> str:
    machine = f"{os.cpu_count()} cores ({platform.machine()}, {sys.platform})"
    most = max(world.rounds for world in worlds)
    fewer = "".join(f"; of {world}: {world.rounds}" for world in worlds if world.rounds < most)
    return (
        f"Measured with Python {platform.python_version()} on {machine}, on which the emulator runs, too: whole "
        f"processes, from before they were started until they were gone, in {most} rounds{fewer}. The action's runs, "
        "and the bare imports between them, take turns; a row shows the median of its rounds."
    )
