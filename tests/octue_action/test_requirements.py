from __future__ import annotations

import pytest

from octue_action import requirements
from octue_action.requirements import Reference, Requirement


def said(text: str, file: str) -> list[tuple[str, int] | str]:
    """The requirements with their lines, and the files and projects that are named."""
    return [(it.text, it.line) if isinstance(it, Requirement) else it.path for it in requirements.of_file(text, file)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("octue==0.39.0", "octue==0.39.0"),
        ("  Octue [hdf5] >= 0.30, < 0.40  # why", "Octue [hdf5] >= 0.30, < 0.40"),
        ("octue (==0.39.0)", "octue (==0.39.0)"),
        ("octue==0.39.0 --hash=sha256:00", "octue==0.39.0"),
    ],
)
def test_a_requirement_is_read_as_pip_reads_it(line: str, expected: str) -> None:
    assert said(f"\n{line}\n", "requirements.txt") == [(expected, 2)]


@pytest.mark.parametrize(
    "line", ["octue-sdk==1", "# octue", "octue is good", "https://example.com/octue", "", "-i octue"]
)
def test_what_is_none_for_the_sdk_is_passed_over(line: str) -> None:
    assert said(line, "requirements.txt") == []


def test_other_files_and_projects_are_named() -> None:
    text = "-r base.txt\n--requirement=more.in\n-cconstraints.txt\n-e .\n./package\n"

    assert requirements.of_file(text, "requirements.txt") == [
        Reference("base.txt", is_project=False),
        Reference("more.in", is_project=False),
        Reference("constraints.txt", is_project=False),
        Reference(".", is_project=True),
        Reference("./package", is_project=True),
    ]


def test_a_project_says_it_in_its_dependencies_and_in_extras() -> None:
    text = '[project]\ndependencies = ["octue>=0.39"]\n[project.optional-dependencies]\nold = [\n  "twined==0.0.20"]\n'

    assert said(text, "a/pyproject.toml") == [("octue>=0.39", 2), ("twined==0.0.20", 5)]


def test_poetry_says_it_as_text_or_as_a_table() -> None:
    text = (
        '[tool.poetry.dependencies]\npython = "^3.11"\nwerkzeug = "<3"\n'
        'octue = {version = "^0.39", extras = ["hdf5"]}\n[tool.poetry.group.dev.dependencies]\nsetuptools = "*"\n'
    )

    assert said(text, "pyproject.toml") == [("werkzeug = <3", 3), ("octue = ^0.39", 4)]


def test_setup_py_says_it_in_the_list_and_nowhere_else() -> None:
    text = (
        'setup(name="octue", extras_require={"x": "octue==1"},\n  install_requires=[\n    # "octue==0.1",\n'
        "    'octue[hdf5]==0.39.0', f\"werkzeug\",\n  ], author='octue')\n"
    )

    assert said(text, "setup.py") == [("octue[hdf5]==0.39.0", 4), ("werkzeug", 4)]


@pytest.mark.parametrize("name", ["poetry.lock", "uv.lock", "pdm.lock"])
def test_a_lock_says_it_package_by_package(name: str) -> None:
    text = (
        '[[package]]\nname = "octue"\nversion = "0.39.0"\n\n[package.dependencies]\nversion = "1"\n\n'
        '[[package]]\nname = "numpy"\nversion = "2.0.0"\n'
    )

    assert said(text, name) == [("octue 0.39.0", 3)]


@pytest.mark.parametrize("name", ["pyproject.toml", "setup.cfg", "setup.py", "Pipfile.lock", "poetry.lock"])
@pytest.mark.parametrize(
    "text", ["[", "{" * 5_000, "[options]\ninstall_requires = ", '{"default": []}', " x\n[[package]]"]
)
def test_a_file_that_is_broken_says_nothing(name: str, text: str) -> None:
    assert said(text, name) == []
