"""Which versions of Octue's SDK a repository installs, read from its requirements and locks as data, with the places.

Only a few packages are looked for; nothing is resolved, downloaded or run. What cannot be read says nothing: pip,
Poetry and the others will say it better when the image is built.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from octue_action import versions
from octue_action.versions import Range

PACKAGES = frozenset({"flask", "gunicorn", "octue", "setuptools", "twined", "werkzeug"})
"""What is looked for: the SDK, and what some of its versions need, or bring, in certain versions."""

LOCKS = ("poetry.lock", "uv.lock", "pdm.lock", "Pipfile.lock")

_MOST = 200  # more than any file has of these few packages

_LONGEST_TEXT = 500
"""Characters of one requirement in which a tag is looked for."""
_MOST_DOTS, _LONGEST_CFG, _MOST_CFG_LINES, _LONGEST_CFG_LINE = 400, 65_536, 2_000, 1_000
"""Beyond these, Python's own readers of TOML and of INI take seconds: in a line, characters, lines, characters."""

_NAME = re.compile(r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]{0,80}[A-Za-z0-9])?)\s*(?:\[[^\[\]]{0,200}\])?\s*")
_GIT_TAG = re.compile(r"@\s*git\+\S+@v?([0-9]+\.[0-9]+\.[0-9]+)\s*(?:#\S*)?\Z")
_OPTION = re.compile(r"(?:-r|--requirement|-c|--constraint)(?:\s*=\s*|\s+|(?<=-[rc]))(?P<file>\S+)")
_EDITABLE = re.compile(r"(?:-e|--editable)(?:\s*=\s*|\s+)(?P<path>\S+)")
_LOCKED = re.compile(r"(name|version)\s*=\s*\"([^\"]{1,100})\"\s*\Z")
_QUOTED = re.compile(r"\"([^\"\n]{1,200})\"|'([^'\n]{1,200})'")


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """What a line says about one package.

    :param package: its normal name, ``octue``.
    :param allowed: the versions; None where they are not known.
    :param text: as somebody wrote it.
    :param is_locked: it stands in a lock, which has everything that is installed.
    :param is_poetrys: it is written in Poetry's own table.
    :param extra: of the project, for which alone it holds; empty where it always does.
    """

    package: str
    allowed: Range | None
    text: str
    file: str
    line: int
    is_locked: bool = False
    is_poetrys: bool = False
    extra: str = ""


@dataclass(frozen=True)
class Reference:
    """Another file, or a project's folder, that a file of requirements names.

    :param path: from the file's own folder.
    """

    path: str
    is_project: bool


def normal(name: str) -> str:
    """A name as packages and extras are compared: packaging.python.org/en/latest/specifications/name-normalization."""
    return re.sub(r"[-_.]+", "-", name).lower()


def of_text(text: str, file: str, line: int) -> Requirement | None:
    """What one requirement says, ``octue[hdf5]>=0.30; python_version < "3.12"``; None where it is for another package.

    packaging.python.org/en/latest/specifications/dependency-specifiers/
    """
    match = _NAME.match(text)
    package = normal(match["name"]) if match else ""
    if match is None or package not in PACKAGES:
        return None
    said, _, _ = text[match.end() :].partition(";")
    said = said.strip().removeprefix("(").removesuffix(")").strip()
    if said and said[0] not in "<>=!~@":
        return None  # a sentence, or a file's name
    tag = _GIT_TAG.match(said) if len(said) <= _LONGEST_TEXT else None
    shown = (
        f"{package} @ git+...{tag[1] if tag else ''}" if said.startswith("@") else text.strip()
    )  # it may hold a token
    allowed = versions.of_pip(f"=={tag[1]}" if tag else said)
    return Requirement(package=package, allowed=allowed, text=shown, file=file, line=line)


def of_requirements_txt(text: str, file: str) -> Iterator[Requirement | Reference]:
    """What a file for ``pip install -r`` says.

    pip.pypa.io/en/stable/reference/requirements-file-format/
    """
    for number, line in _joined(text):
        said = re.sub(r"(^|\s)#.*", "", line).strip()
        if match := _OPTION.match(said):
            yield Reference(match["file"], is_project=False)
        elif match := _EDITABLE.match(said):
            yield Reference(match["path"], is_project=True)
        elif said.startswith("."):
            yield Reference(said.split()[0], is_project=True)
        elif found := of_text(re.split(r"\s--", said)[0], file, number):
            yield found


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """The lines with the number each begins on; one that ends with a backslash goes on."""
    numbered = enumerate(text.splitlines(), start=1)
    for number, line in numbered:
        parts = [line]
        while parts[-1].endswith("\\"):
            parts[-1] = parts[-1][:-1]
            parts.append(next((it for _, it in numbered), ""))
        yield number, " ".join(parts)


def of_pyproject(text: str, file: str) -> Iterator[Requirement]:
    """What a pyproject.toml says, in PEP 621's table or in Poetry's."""
    import tomllib

    if any(line.count(".") > _MOST_DOTS for line in text.splitlines()):
        return
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        return
    project = _table(content.get("project"))
    extras = _table(project.get("optional-dependencies"))
    for extra, it in {"": project.get("dependencies"), **extras}.items():
        for said in it if isinstance(it, list) else ():
            if isinstance(said, str) and (found := of_text(said, file, 1)):
                yield replace(found, line=_line_of(text, said), extra=extra)
    poetry = _table(_table(_table(content.get("tool")).get("poetry")).get("dependencies"))
    for name, constraint in poetry.items():
        yield from _of_poetry(name, constraint, text, file)


def _of_poetry(name: str, constraint: object, text: str, file: str) -> Iterator[Requirement]:
    package = normal(name)
    if package not in PACKAGES:
        return
    line = _line_matching(text, rf"[\"']?{re.escape(name)}[\"']?\s*=|\[tool\.poetry\.dependencies\.{re.escape(name)}\]")
    several = constraint if isinstance(constraint, list) else [constraint]
    for it in several:
        said = it.get("version", it.get("tag", "")) if isinstance(it, dict) else it
        if isinstance(said, str):
            yield Requirement(
                package=package,
                allowed=versions.of_poetry(said.removeprefix("v")) if said else None,
                text=f"{name} = {said}",
                file=file,
                line=line,
                is_poetrys=True,
            )


def of_setup_cfg(text: str, file: str) -> Iterator[Requirement]:
    """What a setup.cfg says under ``install_requires``."""
    import configparser

    lines = text.splitlines()
    if len(text) > _LONGEST_CFG or len(lines) > _MOST_CFG_LINES or any(len(it) > _LONGEST_CFG_LINE for it in lines):
        return
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
        lines = parser.get("options", "install_requires", fallback="").splitlines()
    except (configparser.Error, ValueError, AttributeError, TypeError):  # it stumbles over lines that go on from none
        return
    for line in lines:
        said = line.partition("#")[0].strip()
        if found := of_text(said, file, 1):
            yield replace(found, line=_line_of(text, said))


def of_setup_py(text: str, file: str) -> Iterator[Requirement]:
    """What a setup.py says in a list under ``install_requires``: the strings in it, and nothing that it computes."""
    start = text.find("install_requires")
    if start < 0:
        return
    opened = re.compile(r"install_requires\s{0,20}=\s{0,20}\[").match(text, start)
    place = opened.end() if opened else len(text)
    inside = re.compile(r"(?:[^\]\"'#]|\"[^\"\n]*\"|'[^'\n]*'|#[^\n]*)*").match(text, place)
    body = re.sub(r"(?m)^[ \t]*#[^\n]*$", "", inside[0]) if inside else ""
    for said in _QUOTED.finditer(body):
        text_of_it = said[1] or said[2] or ""
        if found := of_text(text_of_it, file, 1):
            yield replace(found, line=_line_of(text, text_of_it, start))


def of_lock(text: str, file: str) -> Iterator[Requirement]:
    """What a lock in TOML says: a table ``[[package]]`` for each package, with ``name`` and ``version``."""
    name = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("["):
            name = "" if line.strip() != "[[package]]" else "?"
        elif name and (match := _LOCKED.match(line)):
            if match[1] == "name":
                name = match[2].lower()
            elif name in PACKAGES:
                yield _locked(name, match[2], file, number)


def of_pipfile_lock(text: str, file: str) -> Iterator[Requirement]:
    """What a Pipfile.lock says."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return
    for name, entry in _table(_table(content).get("default")).items():
        said = _table(entry).get("version")
        if name in PACKAGES and isinstance(said, str):
            line = _line_matching(text, rf"\"{re.escape(name)}\"\s*:")
            yield _locked(name, said.removeprefix("=="), file, line)


def _locked(package: str, version: str, file: str, line: int) -> Requirement:
    allowed = versions.of_pip(f"=={version}")
    return Requirement(
        package=package, allowed=allowed, text=f"{package} {version}", file=file, line=line, is_locked=True
    )


_READERS: Mapping[str, Callable[[str, str], Iterator[Requirement]]] = {
    "pyproject.toml": of_pyproject,
    "setup.cfg": of_setup_cfg,
    "setup.py": of_setup_py,
    "Pipfile.lock": of_pipfile_lock,
    **{name: of_lock for name in LOCKS if name != "Pipfile.lock"},
}


def of_file(text: str, file: str) -> list[Requirement | Reference]:
    """What a file says, by its name; one with another name is taken for a list of requirements.

    :param file: its path from the root of the repository.
    """
    reader = _READERS.get(PurePosixPath(file).name, of_requirements_txt)
    return list(itertools.islice(reader(text, file), _MOST))


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _line_of(text: str, said: str, start: int = 0) -> int:
    """The line on which something stands; the first where it is written otherwise there."""
    place = text.find(said, start)
    return text.count("\n", 0, place) + 1 if place >= 0 else 1


def _line_matching(text: str, pattern: str) -> int:
    match = re.search(rf"(?m)^[ \t]*(?:{pattern})", text)
    return text.count("\n", 0, match.end()) + 1 if match else 1
