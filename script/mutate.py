"""Runs the tests against each mutant of the action, and says which ones survive: script/mutate.

Each mutant has a process of its own, split off from one that has loaded the libraries already.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import os
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType
from typing import Any

import hypothesis
import pytest

from script.mutants import Mutant, mutants

ROOT = Path(__file__).resolve().parent.parent
MUTATIONS = Path(__file__).with_name("mutations.toml")
LIBRARIES = (
    "emulator.server",
    "google.cloud.artifactregistry_v1",
    "google.cloud.devtools.cloudbuild_v1",
    "google.cloud.eventarc_v1",
    "google.cloud.iam_admin_v1",
    "google.cloud.resourcemanager_v3",
    "google.cloud.run_v2",
    "google.iam.v1.iam_policy_pb2",
    "google.pubsub_v1",
    "grpc",
)
"""Loaded once: what the tests need beside the action and themselves."""

MOST_SECONDS = 60
"""A mutant that takes longer, as it waits or runs in circles for ever, has been noticed."""

PHASES = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
"""What Hypothesis does: a smaller example of a failure is of no use here, and takes long to find."""

Key = tuple[str, str, str, int]


@dataclass(frozen=True)
class Target:
    """A file to be made wrong.

    :param file: relative to the checkout.
    :param places: functions, classes and constants in it; all where there are none.
    :param tests: what should notice it, as arguments of pytest.
    :param explained: mutants that no test can tell from the program, by why.
    """

    file: str
    places: list[str]
    tests: list[str]
    explained: dict[Key, str]

    @property
    def module(self) -> str:
        """The name by which it is imported."""
        return self.file.removesuffix(".py").replace("/", ".")

    def mutants(self) -> Iterator[Mutant]:
        """All that it has."""
        return mutants((ROOT / self.file).read_text(), self.file, self.places)


@dataclass(frozen=True)
class Result:
    """What became of the mutants of a target.

    :param target: the file.
    :param count: how many there were.
    :param survivors: those that no test noticed.
    """

    target: Target
    count: int
    survivors: list[Mutant]

    @property
    def unexplained(self) -> list[Mutant]:
        """Survivors of which nobody has said why no test can notice them."""
        return [mutant for mutant in self.survivors if mutant.key not in self.target.explained]

    @property
    def stale(self) -> list[Key]:
        """Mutants that are explained, and are noticed, or are there no more."""
        return [key for key in self.target.explained if key not in {mutant.key for mutant in self.survivors}]


def targets() -> list[Target]:
    """Those of the list."""
    return [
        Target(
            file=entry["file"],
            places=entry.get("places", []),
            tests=entry["tests"],
            explained={
                (one["place"], one["before"], one["after"], one.get("number", 1)): one["why"]
                for one in entry.get("explained", [])
            },
        )
        for entry in tomllib.loads(MUTATIONS.read_text())["target"]
    ]


def run(target: Target, processes: int) -> Result:
    """Run the tests against each mutant of a target.

    :raises SystemExit: where they do not pass without one.
    """
    with tempfile.TemporaryDirectory() as folder:
        _split_off(target, None, Path(folder, "program"))
        if os.wait()[1]:
            sys.exit(f"The tests of {target.file} fail without any mutant: pytest {' '.join(target.tests)}")
        count, survivors, running = 0, list[Mutant](), dict[int, Mutant]()
        for mutant in itertools.chain(target.mutants(), itertools.repeat(None)):
            while running and (mutant is None or len(running) == processes):
                process, status = os.wait()
                ended = running.pop(process)
                if status == 0:
                    survivors.append(ended)
            if mutant is None:
                break
            count += 1
            running[_split_off(target, mutant.code, Path(folder, str(count)))] = mutant
    return Result(target, count, sorted(survivors, key=lambda mutant: mutant.line))


def _split_off(target: Target, code: CodeType | None, folder: Path) -> int:
    """Run the tests in another process, which ends with 0 where they pass, and give its number."""
    process = os.fork()
    if process:
        return process
    threading.Timer(MOST_SECONDS, os._exit, (2,)).start()
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    if code is not None:
        sys.meta_path.insert(0, _Finder(target, code))
    os._exit(pytest.main(["-qx", "-pno:cacheprovider", f"--basetemp={folder}", *target.tests]))


class _Finder:
    """Has one module imported as a mutant."""

    def __init__(self, target: Target, code: CodeType) -> None:
        self._target = target
        self._code = code

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        """Where a module comes from; None for all but the one."""
        if name != self._target.module:
            return None
        path = str(ROOT / self._target.file)
        return spec_from_file_location(name, path, loader=_Loader(name, path, self._code))


class _Loader(SourceFileLoader):
    """Gives a mutant in the place of the file.

    :param code: of the mutant, compiled.
    """

    def __init__(self, name: str, path: str, code: CodeType) -> None:
        super().__init__(name, path)
        self._code = code

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - importlib's
        """What is run when the module is imported."""
        return self._code


def told(results: list[Result]) -> Iterator[str]:
    """What came of it, for people."""
    yield f"{'Target':<44}{'Mutants':>9}{'Killed':>9}{'Survived':>10}{'Explained':>11}"
    for result in results:
        survived, left = len(result.survivors), len(result.unexplained)
        numbers = f"{result.count:>9}{result.count - survived:>9}{survived:>10}{survived - left:>11}"
        yield f"{result.target.file:<44}{numbers}"
    for result in results:
        for mutant in result.unexplained:
            number = f" (number {mutant.number})" if mutant.number > 1 else ""
            yield f"\nSurvived: {result.target.file}:{mutant.line} {mutant.place}{number}"
            yield f"  - {mutant.before}\n  + {mutant.after}"
        for key in result.stale:
            yield f"\nExplained without need: {result.target.file} {key}"


def main(arguments: list[str]) -> int:
    """Run the command.

    :returns: its exit code.
    """
    parser = argparse.ArgumentParser(prog="script/mutate", description=__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE")
    parser.add_argument("-n", type=int, default=os.cpu_count() or 1, dest="processes")
    given = parser.parse_args(arguments)
    listed = {target.file: target for target in targets()}
    for file in given.files:
        if file not in listed:
            parser.error(f"{file} is none of {', '.join(listed)}")
    os.chdir(ROOT)
    hypothesis.settings.register_profile("mutants", derandomize=True, database=None, phases=PHASES)
    hypothesis.settings.load_profile("mutants")
    for library in LIBRARIES:
        importlib.import_module(library)
    results = []
    for file in given.files or listed:
        began = time.monotonic()
        results.append(run(listed[file], given.processes))
        print(f"{file}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    print("\n".join(told(results)))
    return 1 if any(result.unexplained or result.stale for result in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
