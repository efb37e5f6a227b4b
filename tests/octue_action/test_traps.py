"""Repositories of Octue services with a trap in them each, and what is said before anything is changed."""

from __future__ import annotations

import itertools
import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octue_action import configuration, repository, traps
from octue_action import dockerfile as dockerfile_module
from octue_action import requirements as requirements_module
from octue_action import settings as settings_module
from octue_action.annotations import placed
from octue_action.problems import MAXIMUM_PROBLEMS, InvalidSettings, Problem
from octue_action.requirements import Requirement, of_text
from octue_action.settings import load
from octue_action.traps import Trap
from tests import wind_yield
from tests.octue_action.services import PROVIDER
from tests.octue_action.test_report import check
from tests.runs import SMALL_SERVICE, Job

OCTUE_YAML = """\
services:
  - name: sum
    project_name: my-project
    region: europe-west1
    memory: 512Mi
"""
DOCKERFILE = """\
FROM python:3.11-slim
WORKDIR /app
COPY . .
RUN pip install -r requirements.txt
CMD exec gunicorn --bind :$PORT --threads 8 --timeout 0 octue.cloud.deployment.google.cloud_run.flask_app:app
"""
REQUIREMENTS = "octue==0.39.0\nsetuptools<81\nwerkzeug==2.3.8\n"
GOOD = {"octue.yaml": OCTUE_YAML, "Dockerfile": DOCKERFILE, "requirements.txt": REQUIREMENTS, "twine.json": "{}"}
"""A service without a trap."""

FLAT_APP = DOCKERFILE.replace(".flask_app:app", ":app")


def started(command: str) -> str:
    """The Dockerfile with another start."""
    return DOCKERFILE[: DOCKERFILE.index("CMD")] + command


APP = "octue.cloud.deployment.google.cloud_run.flask_app:app"


@dataclass(frozen=True)
class Case:
    """A repository that differs from the good one, and the traps in it, with the lines where they are told.

    :param files: that differ; one without text is not there.
    """

    told: tuple[tuple[Trap, str], ...]
    files: Mapping[str, str | None]
    inputs: Mapping[str, str] = field(default_factory=dict)


def case(trap: Trap, place: str, files: Mapping[str, str | None] | None = None, **inputs: str) -> Case:
    return Case(((trap, place),), files or {}, inputs)


def requirements(text: str) -> dict[str, str | None]:
    return {"requirements.txt": text}


def dockerfile(text: str) -> dict[str, str | None]:
    return {"Dockerfile": text}


CASES: dict[str, Case] = {
    "an SDK for Kubernetes": case(traps.NO_FLASK_APP, "requirements.txt:2", requirements("flask\noctue==0.65.0\n")),
    "only such SDKs": case(traps.NO_FLASK_APP, "requirements.txt:1", requirements("octue>=0.62\n")),
    "an SDK for Kubernetes, locked by Poetry": case(
        traps.NO_FLASK_APP,
        "poetry.lock:3",
        {
            "Dockerfile": DOCKERFILE.replace("pip install -r requirements.txt", "poetry install --only main"),
            "pyproject.toml": '[tool.poetry.dependencies]\noctue = "*"\n',
            "poetry.lock": '[[package]]\nname = "octue"\nversion = "0.65.0"\n',
        },
    ),
    "an SDK for Kubernetes, in Poetry's own table": case(
        traps.NO_FLASK_APP,
        "pyproject.toml:2",
        {
            "Dockerfile": DOCKERFILE.replace("-r requirements.txt", "."),
            "pyproject.toml": '[tool.poetry.dependencies]\noctue = "^0.65"\n',
        },
    ),
    "an SDK for Kubernetes, in pyproject.toml": case(
        traps.NO_FLASK_APP,
        "pyproject.toml:4",
        {
            "Dockerfile": DOCKERFILE.replace("-r requirements.txt", "."),
            "pyproject.toml": '[project]\nname = "sum"\ndependencies = [\n  "octue~=0.65.0",\n]\n',
        },
    ),
    "an SDK for Kubernetes, locked by Pipenv": case(
        traps.NO_FLASK_APP,
        "Pipfile.lock:3",
        {
            "Dockerfile": DOCKERFILE.replace("pip install -r requirements.txt", "pipenv sync --system"),
            "Pipfile.lock": '{\n  "default": {\n    "octue": {"version": "==0.65.0"}\n  }\n}\n',
        },
    ),
    "an SDK for Kubernetes, in setup.py": case(
        traps.NO_FLASK_APP,
        "setup.py:4",
        {
            "Dockerfile": DOCKERFILE.replace("-r requirements.txt", "."),
            "setup.py": 'from setuptools import setup\nsetup(\n  name="octue-sum", author="octue", install_requires=[\n'
            '    "octue[hdf5]==0.65.0",\n  ],\n)\n',
        },
    ),
    "an SDK for Kubernetes, in setup.cfg": case(
        traps.NO_FLASK_APP,
        "setup.cfg:4",
        {
            "Dockerfile": DOCKERFILE.replace("-r requirements.txt", "."),
            "setup.cfg": "[metadata]\nname = sum\n[options]\ninstall_requires = octue==0.65.0\n",
        },
    ),
    "an SDK for Kubernetes, in the Dockerfile": case(
        traps.NO_FLASK_APP,
        "Dockerfile:4",
        {"Dockerfile": DOCKERFILE.replace("-r requirements.txt", '"octue==0.65.0"'), "requirements.txt": None},
    ),
    "a companion in an extra of a longer name": case(
        traps.WERKZEUG_3,
        "pyproject.toml:4",
        {
            "Dockerfile": DOCKERFILE.replace("pip install -r requirements.txt", 'poetry install --extras "a web_app"'),
            "pyproject.toml": '[project]\ndependencies = ["octue==0.39.0"]\n[project.optional-dependencies]\n'
            'web-app = ["werkzeug>=3"]\n',
        },
    ),
    "a companion in an extra that is installed": case(
        traps.WERKZEUG_3,
        "pyproject.toml:4",
        {
            "Dockerfile": DOCKERFILE.replace("-r requirements.txt", "'.[browser]'"),
            "pyproject.toml": '[project]\ndependencies = ["octue==0.39.0"]\n[project.optional-dependencies]\n'
            'browser = ["werkzeug>=3"]\n',
        },
    ),
    "an SDK for Kubernetes beside a server": case(
        traps.NO_FLASK_APP, "requirements.txt:2", requirements("gunicorn>=21\noctue==0.65.0\n")
    ),
    "Python 3.12 beside the server of the SDK": case(
        traps.PYTHON_312,
        "Dockerfile:1",
        requirements(REQUIREMENTS + "gunicorn\nflask==2.0.3\n") | dockerfile(DOCKERFILE.replace("3.11", "3.12")),
    ),
    "no twine beside a script that only starts": case(
        traps.NO_TWINE,
        "requirements.txt:1",
        {
            "twine.json": None,
            "Dockerfile": started('CMD ["/app/start.sh"]\n'),
            "start.sh": f"#!/bin/sh\nset -e\n# It starts.\nexec gunicorn --bind :$PORT \\\n  --timeout 0 {APP}\n",
        },
    ),
    "a version in a stage that is copied from": case(
        traps.NO_FLASK_APP,
        "Dockerfile:2",
        dockerfile(
            "FROM python:3.11 AS wheels\nRUN pip install --prefix=/install octue==0.65.0\n"
            + DOCKERFILE.replace("RUN pip install -r requirements.txt", "COPY --from=wheels /install /usr/local")
        ),
    ),
    "an SDK that does not build": case(
        traps.UNBUILDABLE, "requirements.txt:1", requirements("octue==0.9.2\n") | {"Dockerfile": DOCKERFILE}
    ),
    "an SDK that loops": case(
        traps.ENDLESS, "requirements.txt:1", requirements("octue==0.6.10\n") | {"Dockerfile": FLAT_APP}
    ),
    "an SDK with topics by name": case(traps.NAMED_TOPICS, "requirements.txt:1", requirements("octue==0.50.1\n")),
    "an SDK with one topic": case(traps.SHARED_TOPIC, "requirements.txt:1", requirements("octue==0.61.2\n")),
    "no version": case(traps.NO_VERSION, "requirements.txt:1", requirements("octue\nwerkzeug<3\n")),
    "an open range": case(traps.OPEN_RANGE, "requirements.txt:1", requirements("octue>=0.30\nwerkzeug<3\n")),
    "Werkzeug 3": case(traps.WERKZEUG_3, "requirements.txt:2", requirements("octue==0.39.0\nWerkzeug==3.0.1\n")),
    "no Werkzeug": case(traps.NO_WERKZEUG, "requirements.txt:1", requirements("octue==0.39.0\n")),
    "setuptools 82": case(
        traps.SETUPTOOLS_81, "requirements.txt:3", requirements("octue==0.39.0\nwerkzeug<3\nsetuptools>=82\n")
    ),
    "no twined": case(
        traps.NO_TWINED, "requirements.txt:1", requirements("octue==0.4.11\n") | {"Dockerfile": FLAT_APP}
    ),
    "Python 3.12": case(
        traps.PYTHON_312, "Dockerfile:1", {"Dockerfile": DOCKERFILE.replace("3.11-slim", "3.12.4-slim-bookworm")}
    ),
    "the newest Python": case(traps.PYTHON_312, "Dockerfile:1", {"Dockerfile": DOCKERFILE.replace("3.11-slim", "3")}),
    "Python 3.13 as an argument": case(
        traps.PYTHON_312,
        "Dockerfile:2",
        {
            "Dockerfile": "ARG VERSION=3.13\nFROM python:${VERSION}-slim AS base\nFROM base\n"
            + DOCKERFILE.partition("\n")[2]
        },
    ),
    "no twine": case(traps.NO_TWINE, "requirements.txt:1", {"twine.json": None}),
    "no twine where octue.yaml says": case(
        traps.NO_TWINE,
        "octue.yaml:6",
        {"octue.yaml": OCTUE_YAML + "    twine_path: schemas/twine.json\n", "twine.json": None},
    ),
    "no octue.yaml": case(
        traps.NO_OCTUE_YAML,
        "requirements.txt:1",
        {"octue.yaml": None},
        service_name="sum",
        project_id="my-project",
        region="europe-west1",
        memory="512Mi",
    ),
    "an octue.yaml of another name": case(
        traps.NO_OCTUE_YAML,
        "requirements.txt:1",
        {"octue.yaml": None, "sum.yaml": OCTUE_YAML},
        config="sum.yaml",
    ),
    "an octue.yaml of the first form": case(
        traps.FLAT_OCTUE_YAML,
        "octue.yaml:1",
        {"octue.yaml": "name: sum\nproject_name: my-project\nregion: europe-west1\nmemory: 512Mi\n"},
    ),
    "a twine that is not copied": case(
        traps.NOT_COPIED,
        "Dockerfile:3",
        {"Dockerfile": DOCKERFILE.replace("COPY . .", "COPY octue.yaml requirements.txt /app/")},
    ),
    "no start": case(traps.NO_START, "Dockerfile:1", {"Dockerfile": started("")}),
    "another start": case(
        traps.NO_START,
        "Dockerfile:5",
        {"Dockerfile": started('CMD ["python", "app.py"]\n'), "app.py": "print('hello')\n"},
    ),
    "the Flask app of another version": case(traps.OTHER_MODULE, "Dockerfile:5", {"Dockerfile": FLAT_APP}),
    "variables without a shell": case(
        traps.VARIABLES_IN_EXEC_FORM,
        "Dockerfile:5",
        {"Dockerfile": started(f'CMD ["gunicorn", "--bind", ":$PORT", "--threads", "8", "{APP}"]\n')},
    ),
    "another port": case(
        traps.OTHER_PORT, "Dockerfile:5", {"Dockerfile": DOCKERFILE.replace(":$PORT", "0.0.0.0:5000")}
    ),
    "only for the container itself": case(
        traps.OTHER_PORT, "Dockerfile:5", {"Dockerfile": DOCKERFILE.replace("--bind :$PORT", "-b 127.0.0.1:8080")}
    ),
    "a worker's timeout": case(
        traps.WORKER_TIMEOUT, "Dockerfile:5", {"Dockerfile": DOCKERFILE.replace("--threads 8 --timeout 0", "-t 600")}
    ),
    "a worker's timeout by default, in a script": case(
        traps.WORKER_TIMEOUT,
        "Dockerfile:5",
        {
            "Dockerfile": started('ENTRYPOINT ["/app/scripts/start.sh"]\n'),
            "scripts/start.sh": f"#!/bin/sh\nexec gunicorn --bind :$PORT \\\n  {APP}\n",
        },
    ),
    "little memory by default": case(
        traps.LITTLE_MEMORY, "octue.yaml:2", {"octue.yaml": OCTUE_YAML.replace("    memory: 512Mi\n", "")}
    ),
    "little memory": case(traps.LITTLE_MEMORY, "octue.yaml:5", {"octue.yaml": OCTUE_YAML.replace("512Mi", "256Mi")}),
    "a short timeout": case(traps.SHORT_TIMEOUT, "input", timeout="300"),
    "a long timeout": case(traps.LONG_TIMEOUT, "input", timeout="1800"),
    "several at once": Case(
        (
            (traps.NO_FLASK_APP, "requirements.txt:1"),
            (traps.NO_TWINE, "requirements.txt:1"),
            (traps.NO_START, "Dockerfile:1"),
        ),
        {**requirements("octue==0.69.1\n"), "twine.json": None, "Dockerfile": started("")},
    ),
}


def write(folder: Path, files: Mapping[str, str | None]) -> None:
    for name, text in files.items():
        if text is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)


def environment_of(folder: Path, inputs: Mapping[str, str] | None = None) -> dict[str, str]:
    return {
        "GITHUB_WORKSPACE": str(folder),
        "GITHUB_REPOSITORY": "my-org/sum-service",
        "GITHUB_REPOSITORY_ID": "1296269",
        "GITHUB_REPOSITORY_OWNER_ID": "583231",
        "GITHUB_SHA": "0123456789abcdef0123456789abcdef01234567",
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_RUN_ID": "42",
        "GITHUB_SERVER_URL": "https://github.com",
        "INPUT_WORKLOAD_IDENTITY_PROVIDER": PROVIDER,
        **{f"INPUT_{name.upper()}": value for name, value in (inputs or {}).items()},
    }


def told(folder: Path, inputs: Mapping[str, str] | None = None) -> tuple[list[Problem], list[Problem]]:
    """The errors and the notices about a repository."""
    try:
        return [], list(load(environment_of(folder, inputs)).notices)
    except InvalidSettings as invalid:
        return list(invalid.problems), []


def place(problem: Problem) -> str:
    return f"{problem.file}:{problem.line}" if problem.file else "input"


def beginning(trap: Trap) -> str:
    """The words of a trap's text that are the same wherever it is."""
    return max(trap.says.replace("{", "}").split("}")[::2], key=len)


@pytest.mark.parametrize("name", CASES)
def test_each_trap_is_told_with_its_place_and_alone(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    write(tmp_path, GOOD | dict(case.files))

    errors, notices = told(tmp_path, case.inputs)

    severity = "error" if errors else "notice"
    expected = [(trap, where) for trap, where in case.told if trap.severity == severity]
    assert sorted(place(it) for it in errors or notices) == sorted(where for _, where in expected)
    for trap, where in expected:
        assert any(place(it) == where and beginning(trap) in it.message for it in errors or notices), trap.looks_for


def test_every_trap_of_the_catalogue_has_a_case() -> None:
    assert {trap.looks_for for case in CASES.values() for trap, _ in case.told} == {
        trap.looks_for for trap in traps.CATALOGUE
    }


def test_what_is_said_of_each_trap(tmp_path: Path) -> None:
    blocks = ["# Octue's traps: what is looked for, and what is said"]
    for number, (name, case) in enumerate(CASES.items()):
        folder = tmp_path / str(number)
        write(folder, GOOD | dict(case.files))
        errors, notices = told(folder, case.inputs)
        blocks.append(f"## {name[0].upper()}{name[1:]}")
        for kind, problems in (("Error", errors), ("Notice", notices)):
            blocks += [
                f"{kind} “{it.title}”: {placed(it)}" + (f"\n\n```\n{it.remedy}\n```" if it.remedy else "")
                for it in problems
            ]
    blocks.append("## Sources")
    blocks.append("\n".join(f"- {trap.looks_for} ({trap.severity}): {trap.source}" for trap in traps.CATALOGUE))

    check("traps.md", "\n\n".join(blocks) + "\n")


NO_TRAP: dict[str, Mapping[str, str | None]] = {
    "the good one": {},
    "no octue": {**requirements("flask\noctue-sdk\n"), "twine.json": None, "Dockerfile": "FROM python:3.13\n"},
    "a range whose newest is good": requirements("octue<0.40\nwerkzeug<3\n"),
    "the first that works again after the loops": requirements("octue==0.6.11\n") | dockerfile(FLAT_APP),
    "the first without apache-beam": requirements("octue==0.10.0\n"),
    "the last without Flask 2.0.3": requirements("octue==0.15.9\n") | dockerfile(DOCKERFILE.replace("3.11", "3.12")),
    "a range in requirements.in that a lock decides": {
        "Dockerfile": DOCKERFILE.replace("pip install -r requirements.txt", "uv sync"),
        "pyproject.toml": '[project]\ndependencies = ["octue>=0.30"]\n',
        "uv.lock": '[[package]]\nname = "octue"\nversion = "0.39.0"\n\n'
        '[[package]]\nname = "werkzeug"\nversion = "2.3.8"\n',
    },
    "a constraint that decides": {
        "Dockerfile": DOCKERFILE.replace("-r requirements.txt", "-r requirements.txt -c constraints.txt"),
        "requirements.txt": "octue\n",
        "constraints.txt": REQUIREMENTS,
    },
    "requirements in a file that another names": {
        "requirements.txt": "-r requirements/base.txt\n",
        "requirements/base.txt": REQUIREMENTS,
    },
    "other requirements that are not installed": {"requirements-dev.txt": "octue==0.69.1\n", "setup.py": "octue"},
    "one of two conditions": requirements(
        'octue==0.39.0; python_version < "3.12"\noctue==0.61.2; python_version >= "3.12"\nwerkzeug<3\n'
    ),
    "an SDK from a place that is not known": requirements("octue @ https://example.com/octue.whl\n"),
    "an SDK from git": requirements("octue @ git+https://github.com/octue/octue-sdk-python@0.39.0\nwerkzeug<3\n"),
    "hashes": requirements("octue==0.39.0 \\\n    --hash=sha256:00 \\\n    --hash=sha256:01\nwerkzeug==2.3.8\n"),
    "another image than Python's": dockerfile(
        "FROM ghcr.io/my-org/base:3.13\nCOPY . .\nRUN pip install -r requirements.txt\n"
    ),
    "a Python by digest": dockerfile(DOCKERFILE.replace("3.11-slim", "3@sha256:" + "0" * 64)),
    "Python 3.12 in a stage that is left behind": dockerfile("FROM python:3.12 AS docs\nRUN make\n" + DOCKERFILE),
    "a twine that the build makes": dockerfile(DOCKERFILE + "RUN python make_twine.py > twine.json\n")
    | {"twine.json": None},
    "a twine that stands in the Dockerfile": dockerfile(
        DOCKERFILE.replace("CMD", "COPY <<EOF /app/twine.json\n{}\nEOF\nCMD")
    )
    | {"twine.json": None},
    "a twine in the folder that is copied": {
        "Dockerfile": DOCKERFILE.replace("COPY . .", "COPY service /app"),
        "twine.json": None,
        "requirements.txt": None,
        "service/requirements.txt": REQUIREMENTS,
        "service/twine.json": "{}",
        "service/octue.yaml": OCTUE_YAML,
    },
    "single files that are copied, all of them": dockerfile(
        DOCKERFILE.replace("COPY . .", "COPY octue.yaml twine.json requirements.txt app.py ./")
    ),
    "the exec form with a shell": dockerfile(
        started(f'CMD ["sh", "-c", "exec gunicorn --bind :$PORT --threads 8 --timeout 0 {APP}"]\n')
    ),
    "the port that gunicorn takes by itself": dockerfile(started(f"CMD gunicorn --threads 8 {APP}\n")),
    "Cloud Run's usual port": dockerfile(started(f'CMD ["gunicorn", "-b", "0.0.0.0:8080", "--threads=8", "{APP}"]\n')),
    "threads, which gunicorn's timeout does not end": dockerfile(DOCKERFILE.replace("--timeout 0", "--timeout 60")),
    "a timeout as long as the request's": dockerfile(DOCKERFILE.replace("--threads 8 --timeout 0", "-t 3600")),
    "gunicorn told elsewhere": dockerfile(started(f"CMD gunicorn {APP}\n")) | {"gunicorn.conf.py": "timeout = 0\n"},
    "a script that nobody can read": dockerfile(started('CMD ["/opt/start.sh"]\n')),
    "a program of the service's own that runs the app": dockerfile(started('CMD ["python", "main.py"]\n'))
    | {"main.py": "from octue.cloud.deployment.google.cloud_run.flask_app import app\napp.run()\n"},
    "a version in a stage that is left behind": dockerfile(
        "FROM python:3.11 AS tests\nRUN pip install octue==0.65.0\n" + DOCKERFILE
    ),
    "an extra of a system's package": {
        "Dockerfile": DOCKERFILE.replace("-r requirements.txt", ".").replace(
            "RUN", "RUN apt-get install libx,dev\nRUN"
        ),
        "pyproject.toml": '[project]\ndependencies = ["octue==0.39.0", "werkzeug<3"]\n'
        '[project.optional-dependencies]\ndev = ["werkzeug>=3"]\n',
    },
    "an extra that is not installed": {
        "Dockerfile": DOCKERFILE.replace("-r requirements.txt", "."),
        "pyproject.toml": '[project]\ndependencies = ["octue==0.39.0", "werkzeug<3"]\n'
        '[project.optional-dependencies]\nbrowser = ["werkzeug>=3"]\n',
    },
    "a twine where the container works": dockerfile(DOCKERFILE.replace("CMD", "WORKDIR analysis\nCMD"))
    | {"twine.json": None, "analysis/twine.json": "{}"},
    "memory for the first generation": {
        "octue.yaml": OCTUE_YAML.replace("512Mi", "256Mi") + "    execution_environment: gen1\n"
    },
}


@pytest.mark.parametrize("name", NO_TRAP)
def test_what_is_no_trap_is_not_told_as_one(name: str, tmp_path: Path) -> None:
    write(tmp_path, GOOD | dict(NO_TRAP[name]))

    assert told(tmp_path) == ([], [])


WITHOUT_TWINE: dict[str, str | None] = {"twine.json": None}
OF_KUBERNETES = requirements("octue==0.65.0\n")

UNCERTAIN: dict[str, tuple[Trap, Mapping[str, str | None]]] = {
    "a program of the service's own": (
        traps.NO_FLASK_APP,
        OF_KUBERNETES | dockerfile(started("CMD python main.py\n")) | {"main.py": "serve()\n"},
    ),
    "a program that nobody can read": (
        traps.NO_FLASK_APP,
        OF_KUBERNETES | dockerfile(started('CMD ["/opt/start.sh"]\n')),
    ),
    "a base image that may start anything": (
        traps.NO_FLASK_APP,
        OF_KUBERNETES | dockerfile("FROM my-org/base\nCOPY . .\nRUN pip install -r requirements.txt\n"),
    ),
    "a base image that may have a twine": (
        traps.NO_TWINE,
        WITHOUT_TWINE | dockerfile(DOCKERFILE.replace("python:3.11-slim", "my-org/base")),
    ),
    "an archive that may have a twine": (
        traps.NO_TWINE,
        WITHOUT_TWINE | dockerfile(DOCKERFILE.replace("COPY . .", "COPY . .\nADD model.tar.gz /app")),
    ),
    "an address that may give a twine": (
        traps.NO_TWINE,
        WITHOUT_TWINE | dockerfile(DOCKERFILE.replace("COPY . .", "COPY . .\nADD https://example.com/model /app/")),
    ),
    "another repository that may have a twine": (
        traps.NO_TWINE,
        WITHOUT_TWINE | dockerfile(DOCKERFILE.replace("COPY . .", "COPY . .\nRUN git clone https://example.com/m .")),
    ),
    "another image that may have a twine": (
        traps.NO_TWINE,
        WITHOUT_TWINE | dockerfile(DOCKERFILE.replace("COPY . .", "COPY . .\nCOPY --from=my-org/model /model/ ./")),
    ),
    "files of one kind that are copied": (
        traps.NO_TWINE,
        {
            "twine.json": None,
            "config/twine.json": "{}",
            "Dockerfile": DOCKERFILE.replace("COPY . .", "COPY requirements.txt octue.yaml config/*.json ./"),
        },
    ),
    "a start in a folder": (
        traps.NO_TWINE,
        {
            "twine.json": None,
            "service/twine.json": "{}",
            "Dockerfile": DOCKERFILE.replace("exec gunicorn", "cd service && exec gunicorn"),
        },
    ),
    "a program that may make a twine": (
        traps.NO_TWINE,
        WITHOUT_TWINE | dockerfile(DOCKERFILE.replace("CMD", "RUN make schema\nCMD")),
    ),
    "a program of a tool's environment": (
        traps.NO_TWINE,
        WITHOUT_TWINE | dockerfile(DOCKERFILE.replace("CMD", "RUN poetry run make-schema\nCMD")),
    ),
    "a program that is started first": (
        traps.NO_TWINE,
        WITHOUT_TWINE | dockerfile(DOCKERFILE.replace("exec", "curl -o twine.json https://example.com && exec")),
    ),
    "a program that a script starts first": (
        traps.NO_TWINE,
        WITHOUT_TWINE
        | dockerfile(started('CMD ["/app/start.sh"]\n'))
        | {"start.sh": f"#!/bin/sh\npython fetch.py\nexec gunicorn --bind :$PORT \\\n  --timeout 0 {APP}\n"},
    ),
    "a program that may fetch a twine": (
        traps.NO_TWINE,
        WITHOUT_TWINE | dockerfile(DOCKERFILE.replace("CMD", "RUN pip install dvc && dvc pull\nCMD")),
    ),
    "a server of another version": (
        traps.PYTHON_312,
        dockerfile(DOCKERFILE.replace("3.11", "3.12").replace("CMD", "RUN pip install -U 'gunicorn>=21'\nCMD")),
    ),
    "a server of another version, in a file": (
        traps.PYTHON_312,
        dockerfile(DOCKERFILE.replace("3.11", "3.12").replace("CMD", "RUN pip install -U -r server.txt\nCMD"))
        | {"server.txt": "gunicorn>=21\n"},
    ),
    "what pip would not install": (
        traps.WERKZEUG_3,
        requirements("octue==0.39.0\nwerkzeug==3.0.1\n")
        | dockerfile(DOCKERFILE.replace("CMD", "RUN pip install --no-deps blinker flask\nCMD")),
    ),
    "a Python that uv brings": (
        traps.PYTHON_312,
        dockerfile(DOCKERFILE.replace("3.11", "3.12").replace("RUN", "RUN uv venv --python 3.11\nRUN")),
    ),
    "a Python that conda brings": (
        traps.PYTHON_312,
        dockerfile(DOCKERFILE.replace("3.11", "3.12").replace("RUN", "RUN conda create -n a python=3.11\nRUN")),
    ),
}


@pytest.mark.parametrize("name", UNCERTAIN)
def test_what_may_work_after_all_is_told_and_refuses_nothing(name: str, tmp_path: Path) -> None:
    trap, files = UNCERTAIN[name]
    write(tmp_path, GOOD | dict(files))

    errors, notices = told(tmp_path)

    assert trap.severity == "error"
    assert errors == []
    assert any(beginning(trap) in it.message for it in notices)


def test_whatever_is_certain_can_be_turned_into_a_notice_by_who_knows_better(tmp_path: Path) -> None:
    write(tmp_path, GOOD | OF_KUBERNETES)

    refused, _ = told(tmp_path)
    errors, notices = told(tmp_path, {"sdk_policy": "any"})

    assert errors == []
    assert [it.message for it in refused] == [
        f"{it.message} (With `sdk_policy: any` this is a notice.)" for it in notices
    ]


def test_a_flat_file_of_another_name_is_not_what_octue_reads(tmp_path: Path) -> None:
    flat = "name: sum\nproject_name: my-project\nregion: europe-west1\nmemory: 512Mi\n"
    write(tmp_path, GOOD | {"deployment.yaml": flat})

    assert told(tmp_path, {"config": "deployment.yaml"}) == ([], [])


def test_the_example_has_no_trap(tmp_path: Path) -> None:
    wind_yield.check_out(tmp_path / "repository")

    assert told(tmp_path / "repository") == ([], [])


def test_a_small_service_without_octue_has_no_trap(tmp_path: Path) -> None:
    write(tmp_path, SMALL_SERVICE)

    assert told(tmp_path) == ([], [])


@pytest.mark.parametrize(
    "inputs",
    [
        {"image": "europe-docker.pkg.dev/my-project/images/sum:1"},
        {"mode": "destroy", "confirm": "sum"},
        {"mode": "rollback"},
        {"mode": "drift"},
    ],
)
def test_where_nothing_is_built_nothing_is_said_of_what_would_be(inputs: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path, GOOD | requirements("octue==0.69.1\n") | {"twine.json": None})

    assert told(tmp_path, inputs) == ([], [])


@pytest.mark.parametrize("inputs", [{"mode": "plan"}, {"preview": "pr-7"}])
def test_plans_and_previews_are_told_as_well(inputs: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path, GOOD | requirements("octue==0.69.1\n"))

    (error,), _ = told(tmp_path, inputs)

    assert "does not run on Cloud Run" in error.message


def test_two_services_share_what_is_said_of_both(tmp_path: Path) -> None:
    two = OCTUE_YAML + OCTUE_YAML.removeprefix("services:\n").replace("sum", "product")
    write(tmp_path, GOOD | requirements("octue==0.69.1\n") | {"octue.yaml": two})

    assert len(told(tmp_path)[0]) == 1


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often something is read that costs time, by what it is."""
    counted: Counter[str] = Counter()

    def count(module: ModuleType, name: str) -> None:
        read = getattr(module, name)

        def counting(*arguments: object) -> object:
            counted[f"{module.__name__}.{name}"] += 1
            return read(*arguments)

        monkeypatch.setattr(module, name, counting)

    count(configuration, "parse")
    count(repository, "parse")
    count(repository, "parse_dockerfile")
    count(requirements_module, "of_file")
    count(os, "walk")
    count(dockerfile_module, "commands_of")
    count(settings_module, "ServiceReader")
    return counted


def many_services(number: int) -> dict[str, str | None]:
    services = "".join(f"  - name: s{n}\n    twine_path: twine-{n}.json\n" for n in range(number))
    return GOOD | {"octue.yaml": f"services:\n{services}", "twine.json": None}


ONE_PLACE = {"mode": "plan", "project_id": "my-project", "region": "europe-west1"}


def test_what_services_share_is_read_as_often_for_a_hundred_as_for_two(readings: Counter[str], tmp_path: Path) -> None:
    read: list[Counter[str]] = []
    for number in (2, 100):
        write(tmp_path / str(number), many_services(number))
        readings.clear()

        errors, _ = told(tmp_path / str(number), ONE_PLACE)

        assert len([it for it in errors if "no twine" in it.message]) == min(number, MAXIMUM_PROBLEMS)
        read.append(Counter(readings))
    for each in read:
        del each["octue_action.settings.ServiceReader"]
    assert len(read[0]) == 6, "each of them is read"
    assert read[0] == read[1]


def test_of_a_list_that_is_too_long_no_more_services_are_looked_at_than_there_may_be(
    readings: Counter[str], tmp_path: Path
) -> None:
    write(tmp_path, GOOD | {"octue.yaml": "services:\n" + "".join(f"  - name: s{n}\n" for n in range(3300))})

    (error,), _ = told(tmp_path, ONE_PLACE)

    assert error.message == "`services` is a list of 3300."
    assert readings["octue_action.settings.ServiceReader"] == 100


def test_a_token_in_an_address_is_not_shown(tmp_path: Path) -> None:
    secret = "octue @ git+https://user:hunter2@example.com/octue@0.65.0\n"
    write(tmp_path, GOOD | requirements(secret))

    (error,), _ = told(tmp_path)

    assert "hunter2" not in placed(error)
    assert "0.65.0" in placed(error)


_FAULTY = [((0, 5, 0), (0, 6, 10)), ((0, 8, 0), (0, 9, 9)), ((0, 62, 0), (999, 0, 0))]
_TOLD = [*_FAULTY, ((0, 40, 0), (0, 61, 99))]


@given(st.tuples(st.integers(0, 1), st.integers(0, 80), st.integers(0, 30)))
def test_a_version_is_refused_where_it_is_known_not_to_run_and_nowhere_else(release: tuple[int, int, int]) -> None:
    version = ".".join(map(str, release))
    in_band = [any(first <= release < (*end[:2], end[2] + 1) for first, end in bands) for bands in (_FAULTY, _TOLD)]
    # Between the last release of a faulty series and the next one there is none.
    gaps = [((0, 9, 9), (0, 10, 0)), ((0, 6, 10), (0, 6, 11))]
    if any(first < release < end for first, end in gaps):
        return
    requirement = requirement_of(f"octue=={version}")
    trap = traps._of_version(requirement.allowed)

    severity = "error" if in_band[0] else "notice" if in_band[1] else None
    assert (trap.severity if trap else None) == severity


def requirement_of(text: str) -> Requirement:
    found = of_text(text, "requirements.txt", 1)
    assert found is not None
    return found


_FILES = (
    "Dockerfile",
    "requirements.txt",
    "pyproject.toml",
    "poetry.lock",
    "uv.lock",
    "Pipfile.lock",
    "setup.cfg",
    "setup.py",
    "start.sh",
    "twine.json",
)
_FRAGMENTS = st.sampled_from(
    [
        b"octue", b"==0.39.0", b">=", b"0.65", b"werkzeug", b"\n", b"[[package]]\n", b'name = "octue"\n',
        b'version = "', b"FROM ", b"python:3", b" AS a", b"COPY ", b"RUN ", b"pip install ", b"-r ",
        b"requirements.txt", b"CMD ", b"[", b"]", b'"', b"'", b"\\\n", b"$PORT", b"gunicorn --bind ",
        b"octue.cloud.deployment.google.cloud_run", b"start.sh", b"<<E", b"install_requires", b"=",
        b"[options]\n", b"[tool.poetry.dependencies]\n", b"{", b"}", b"/", b"../", b"\x00", b"\xff",
        b"# escape=`\n", b"; ", b",", b"@ git+https://", b"a" * 300, b"\\ud800", b"default", b":",
        b"ENTRYPOINT ", b" -e .",
    ]
)  # fmt: skip
_CONTENT = st.binary(max_size=200) | st.lists(_FRAGMENTS, max_size=40).map(b"".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.dictionaries(st.sampled_from(_FILES), _CONTENT))
def test_whatever_is_in_the_files_is_read_or_passed_over(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("repository")
    write(folder, GOOD)
    for name, content in files.items():
        (folder / name).write_bytes(content)

    for problem in itertools.chain.from_iterable(told(folder)):
        assert problem.message.isprintable() or "\n" in problem.message
        problem.message.encode()
        problem.remedy.encode()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\n" * 250_000, id="lines"),
        pytest.param(b" " * 250_000, id="spaces"),
        pytest.param(b"[" * 250_000, id="brackets"),
        pytest.param(b"octue\\\n" * 30_000, id="lines that go on"),
        pytest.param(b"install_requires=[" * 14_000, id="lists"),
        pytest.param(b"octue==0.39.0\n" * 18_000, id="requirements"),
        pytest.param(b"RUN pip install octue && \n" * 9_000, id="commands"),
        pytest.param(b"COPY a b\n" * 27_000, id="copies"),
        pytest.param(b"FROM a AS b\n" * 20_000, id="stages"),
        pytest.param(b'"' * 250_000, id="quotes"),
        pytest.param(b"RUN <<E\n" * 30_000, id="heredocs"),
    ],
)
@pytest.mark.timeout(60)
def test_no_file_takes_long_to_read(content: bytes, tmp_path: Path) -> None:
    for name in _FILES:
        folder = tmp_path / name
        write(folder, GOOD)
        (folder / name).write_bytes((b"FROM python:3.11\n" if name == "Dockerfile" else b"") + content)
        begun = time.process_time()

        told(folder)

        assert time.process_time() - begun < 5, name


def test_links_out_of_the_repository_are_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    write(folder, GOOD | {"requirements.txt": None})
    (tmp_path / "outside.txt").write_text("octue==0.69.1\n")
    (folder / "requirements.txt").symlink_to(tmp_path / "outside.txt")

    assert told(folder) == ([], [])


def test_a_run_that_would_not_work_is_refused_before_anything_is_asked_for(job: Job) -> None:
    before = job.look()
    job.commit(
        {name: text for name, text in GOOD.items() if name != "twine.json"} | {"requirements.txt": "octue==0.65.0\n"}
    )

    run = job.deploy()

    assert run.code == 2
    assert not run.requests
    assert run.world == before
    places = {(it.file, it.line) for it in run.log.of_kind("error")}
    assert places == {("requirements.txt", 1)}
    assert any("does not run on Cloud Run" in error for error in run.errors)
    assert any("no twine.json" in error for error in run.errors)
    assert "octue==0.39.0\nsetuptools" in run.summary


def test_a_run_with_notices_only_deploys_and_shows_them_in_the_log_and_the_summary(job: Job) -> None:
    job.commit({"requirements.txt": "flask\noctue>=0.30\nwerkzeug<3\n", "twine.json": "{}"})

    plan, run = job.deploy({"mode": "plan"}), job.deploy()

    assert (plan.code, run.code) == (0, 0)
    for one in (plan, run):
        notices = {(it.file, it.line): it.message for it in one.log.of_kind("notice") if it.file}
        assert set(notices) == {("requirements.txt", 2), ("Dockerfile", 3), ("Dockerfile", 4), ("octue.yaml", 2)}
        assert "pip installs the newest" in notices["requirements.txt", 2]
        assert "octue==0.39.0" in notices["requirements.txt", 2]
        assert "Good to know" in one.summary
        assert "requirements.txt, line 2" in one.summary
    assert run.outputs["changed"] == "true"
