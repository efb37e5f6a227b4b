"""Texts of others that are made to take long, and names that are made to be commands: neither has any effect."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from octue_action import diagnosis, dockerfile, logs, quirks, requirements
from octue_action.failure import GoogleError, report_url
from octue_action.google import Google
from octue_action.logs import BuildLog, RevisionLog
from octue_action.markdown import fitted
from octue_action.repository import Checkout, Repository, installed
from tests.octue_action.test_logs import CloudLogging, entries

SECONDS = 2.0
"""In which each is done on a machine that has other things to do; without a limit they take from four to no end."""

REVISION = RevisionLog(project_id="my-project", location="europe-west1", service="sum", revision="sum-00001-abc")
BUILD = BuildLog(project_id="my-project", build_id="6c1b", shown_at="https://console.cloud.google.com/b", step=1)
KIB = 1024


@pytest.fixture(autouse=True)
def in_time() -> Iterable[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < SECONDS


def explained(line: str, *, is_build: bool = False) -> object:
    """What is said of a failure whose log is fifty lines like this one, read as a run reads them."""
    source = BUILD if is_build else REVISION
    door = cast(Google, CloudLogging([entries(*[line] * 50)]))
    lines = logs.read(door, source).lines
    error = GoogleError("build" if is_build else "create_service", "FAILURE", "It failed.", is_of_operation=True)
    return diagnosis.explain(error, project_id="my-project", log=lines)


@pytest.mark.parametrize(
    "line",
    [
        "/" * 250 * KIB,
        "a/" * 125 * KIB,
        " " * 250 * KIB,
        "Listening at: http://" + "a:1" * 80 * KIB,
        "Traceback (most recent call last):" * 7 * KIB,
    ],
    ids=["slashes", "folders", "spaces", "addresses", "tracebacks"],
)
def test_no_line_of_a_container_takes_long(line: str) -> None:
    explained(line)


@pytest.mark.parametrize(
    "line",
    [
        "open " + "Dockerfile" * 25 * KIB,
        "The command '" * 19 * KIB,
        'process "' * 28 * KIB,
        "failed to compute cache key" * 9 * KIB,
        "Step #" + "9" * 5000 + ": x",
    ],
    ids=["file", "command", "process", "key", "step"],
)
def test_no_line_of_a_build_takes_long(line: str) -> None:
    explained(line, is_build=True)


@pytest.mark.parametrize(
    "line",
    [
        "Memory limit of 1.2.3 MiB exceeded with 2 MiB used",
        "Container terminated on signal " + "9" * 5000,
        "Container called exit(" + "9" * 5000 + ")",
    ],
)
def test_numbers_that_are_none_are_not_counted_with(line: str) -> None:
    explained(line)
    about = {"limit": "1.2.3M", "used": "1M"}
    diagnosis.explain(GoogleError("x", "INTERNAL", line, metadata=about), project_id="my-project")


@dataclass(frozen=True)
class File:
    name: str
    text: Callable[[], str]


FILES = [
    File("requirements.txt", lambda: "octue @git+x" + "@0.0.0#" * 35 * KIB + " x"),
    File("setup.cfg", lambda: "[options]\na" + " " * 250 * KIB + "b"),
    File("setup.cfg", lambda: "[options]\n" + "a\n" * 125 * KIB),
    File("pyproject.toml", lambda: "a." * 125 * KIB + "a = 1"),
    File("pyproject.toml", lambda: "[" + "a." * 125 * KIB + "a]"),
    File("pyproject.toml", lambda: "[project]\ndependencies = [" + '"other",' * 30 * KIB + "]"),
    File("setup.py", lambda: "install_requires=[" + '"other",' * 30 * KIB + "]"),
    File("setup.cfg", lambda: "[options]\ninstall_requires =" + "\n  other" * 30 * KIB),
    File("Pipfile.lock", lambda: '{"default": {' + ",".join(_cased()) + "}}" + " " * 3 * KIB * KIB),
]


def _cased() -> Iterable[str]:
    """The same name in two hundred ways."""
    letters = "setuptools"
    for n in range(200):
        name = "".join(c.upper() if n >> place & 1 else c for place, c in enumerate(letters))
        yield f'"{name}": {{"version": "==1.0.0"}}'


@pytest.mark.parametrize("file", FILES, ids=[f"{file.name} {n}" for n, file in enumerate(FILES)])
def test_no_file_of_requirements_takes_long(file: File) -> None:
    requirements.of_file(file.text(), file.name)


@pytest.mark.parametrize(
    "text",
    [
        "ARG A=" + "x" * 100_000 + "\nFROM " + "$A" * 70_000,
        "FROM python:3.11\nCMD " + "x" * 250_000,
        "FROM python:3.11\nRUN pip install " + "-r /a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r.txt " * 500,
        "FROM python:3.11\nRUN pip install " + "a " * 120_000,
        "FROM python:3.11\nRUN " + "'\" " * 85_000,
        "FROM python:3.11\nRUN " + "pip " * 65_000,
        "FROM python:3.11\nRUN " + "uv " * 85_000,
    ],
    ids=["variables", "one word", "files", "names", "quotes", "pips", "tools"],
)
def test_no_dockerfile_takes_long_or_much(text: str, tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"folder{number}").mkdir()
    copies = "\nCOPY " + " ".join(f"folder{number}" for number in range(20)) + " /app/\n"
    (tmp_path / "Dockerfile").write_text(text + copies)
    repository = Repository(Checkout(tmp_path, None), "Dockerfile")

    list(installed(repository))
    found = dockerfile.parse((text + copies).encode())

    assert found.start is None or len(found.start.words) == 1
    assert all(len(stage.image) < len(text) for stage in found.stages)


def test_no_command_is_read_again_for_each_extra_of_the_project(tmp_path: Path) -> None:
    extras = "".join(f"a{number} = ['octue']\n" for number in range(5_000))
    (tmp_path / "pyproject.toml").write_text(f"[project]\n[project.optional-dependencies]\n{extras}")
    (tmp_path / "Dockerfile").write_text("FROM python:3.11\nRUN pip install .[a4] " + "'\" " * 80_000)

    found = list(installed(Repository(Checkout(tmp_path, None), "Dockerfile")))

    assert [it.extra for it in found if it.extra] == ["a4"]


@pytest.mark.parametrize(
    "said", ["a" * 100_000, "service account " * 60_000, "quota exceeded for quota metric '' and " * 2_000]
)
def test_no_words_of_googles_take_long(said: str) -> None:
    error = GoogleError("create_service", "PERMISSION_DENIED", said)
    report_url("Not explained", {"Text": said})
    for quirk in vars(quirks).values():
        if isinstance(quirk, quirks.Quirk):
            quirk.holds(error)


@pytest.mark.parametrize("line", ["`" * 60_000 + "a" * 190_000, " ".join("`" * n for n in range(1, 700))])
def test_no_line_of_markdown_takes_long(line: str) -> None:
    fitted(f"{line}\n" * 5, 5 * len(line) - 1, "cut")
