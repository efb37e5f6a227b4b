"""The files of a repository that an image is built from, found as its Dockerfile names them, and read as data."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

from octue_action import requirements, workspace
from octue_action.dockerfile import Dockerfile, Start, split
from octue_action.dockerfile import parse as parse_dockerfile
from octue_action.document import MAXIMUM_BYTES, parse
from octue_action.gunicorn import Gunicorn
from octue_action.problems import InvalidSettings, Rejected
from octue_action.requirements import LOCKS, Reference, Requirement, normal

_MAXIMUM_LOCK_BYTES = 4 * 1024 * 1024
_MAXIMUM_FILES = 20
"""Files that others name, and folders that a Dockerfile copies: more than any service has."""

_MAXIMUM_NAMES = 200
"""Files and requirements that a Dockerfile installs: more than any has in its commands."""

_MAXIMUM_ENTRIES = 20_000
_MAXIMUM_LOOKS = 5_000
"""How often it is looked whether something is a file, in all: a Dockerfile can make for a great many."""

_PROJECT = ("pyproject.toml", "setup.cfg", "setup.py")
_OF_TOOLS = {
    "poetry": ("pyproject.toml", "poetry.lock"),
    "uv": ("pyproject.toml", "uv.lock"),
    "pdm": ("pyproject.toml", "pdm.lock"),
    "pipenv": ("Pipfile.lock",),
}
_ANYWHERE = ("requirements.txt", *_PROJECT, *LOCKS)
"""What is read where the Dockerfile does not say what it installs."""


class Checkout:
    """A repository as it is checked out: what its images share is read once for all of them.

    :param root: the folder.
    :param config: the path of octue.yaml from there; None where there is none.
    """

    def __init__(self, root: Path, config: str | None) -> None:
        self.root, self.config = root, config
        self._said: dict[str, list[Requirement | Reference]] = {}

    def data(self, path: str, maximum: int = MAXIMUM_BYTES) -> bytes | None:
        """The content of a file; None where there is none, or it is too large to be meant."""
        try:
            data = workspace.read(self.root, workspace.existing_file(self.root, path, ""), maximum)
        except Rejected:
            return None
        return data if len(data) <= maximum else None

    def text(self, path: str, maximum: int = MAXIMUM_BYTES) -> str | None:
        """The text of a file; None where there is none, or it is too large to be meant."""
        data = self.data(path, maximum)
        return data.decode("utf-8-sig", "replace") if data is not None else None

    def said_in(self, path: str) -> list[Requirement | Reference]:
        """What a file says about packages; nothing where there is none."""
        if path not in self._said:
            is_lock = PurePosixPath(path).name in LOCKS
            text = self.text(path, _MAXIMUM_LOCK_BYTES if is_lock else MAXIMUM_BYTES)
            self._said[path] = requirements.of_file(text or "", path)
        return self._said[path]

    def has_anywhere(self, path: str) -> bool:
        """Whether a file of that name is anywhere in the repository, or there is too much to be looked through."""
        return self._names is None or PurePosixPath(path).name in self._names

    @cached_property
    def _names(self) -> frozenset[str] | None:
        """The names of all files; None where there is too much to be looked through."""
        names, entries = set[str](), 0
        for _, folders, files in os.walk(self.root):
            folders[:] = [folder for folder in folders if folder != ".git"]
            entries += len(folders) + len(files)
            if entries > _MAXIMUM_ENTRIES:
                return None
            names.update(files)
        return frozenset(names)

    @cached_property
    def flat_configuration(self) -> int | None:
        """The line where an octue.yaml without ``services`` begins; None where it has that, or has another name."""
        is_read = self.config is not None and PurePosixPath(self.config).name == "octue.yaml"
        data = self.data(self.config) if self.config and is_read else None
        try:
            node = parse(data, "") if data is not None else None
        except InvalidSettings:
            return None
        return node.position.line if node and isinstance(node.value, dict) and "services" not in node.value else None


class Repository:
    """What there is in a repository for one of its images: where the paths of the Dockerfile are in it.

    :param checkout: the repository.
    :param dockerfile_path: from its root.
    """

    def __init__(self, checkout: Checkout, dockerfile_path: str) -> None:
        self.checkout, self.dockerfile_path = checkout, dockerfile_path
        self._is_there: dict[str, bool] = {}

    @cached_property
    def dockerfile(self) -> Dockerfile:
        """The Dockerfile."""
        return parse_dockerfile(self.checkout.data(self.dockerfile_path) or b"")

    @cached_property
    def copied(self) -> list[tuple[str, str]]:
        """What the Dockerfile copies from the repository, and where to."""
        pairs: list[tuple[str, str]] = []
        for it in self.dockerfile.all("COPY", "ADD"):
            words = it.listed or split(it.text.split("\n")[0])
            if not it.sources and len(words) > 1:
                pairs += [(str(PurePosixPath(source.lstrip("/") or ".")), words[-1]) for source in words[:-1]]
        return pairs[: _MAXIMUM_FILES * 5]

    @property
    def _written(self) -> Iterator[str]:
        """The files whose text stands in the Dockerfile itself."""
        for it in self.dockerfile.all("COPY", "ADD"):
            first, _, body = it.text.partition("\n")
            words = split(first)
            if body and words:
                yield words[-1]

    @cached_property
    def _folders(self) -> list[str]:
        """The folders that what the container has may be in: those that are copied first."""
        beside = [str(PurePosixPath(path).parent) for path in (self.checkout.config, self.dockerfile_path) if path]
        return list(dict.fromkeys([*self._copied_folders, ".", *self._worked_in, *beside]))

    @cached_property
    def _worked_in(self) -> list[str]:
        """The folders of the repository that those of the image may be in which the container works."""
        parts = [[part for part in PurePosixPath(path).parts if part != "/"] for path in self.dockerfile.folders]
        ends = ["/".join(it[start:]) for it in parts for start in range(1, len(it[:_MAXIMUM_FILES]))]
        below = [str(PurePosixPath(folder, end)) for end in ends for folder in (".", *self._copied_folders)]
        return [it for it in dict.fromkeys(below) if self._is_folder(it)][:_MAXIMUM_FILES]

    @cached_property
    def _copied_folders(self) -> list[str]:
        return [source for source, _ in self.copied if self._is_folder(source)][:_MAXIMUM_FILES]

    def locate(self, path: str) -> str | None:
        """The path in the repository of what the Dockerfile calls so; None where there is no such file."""
        parts = [part for part in PurePosixPath(path).parts if part != "/"]
        if not parts or ".." in parts or len(parts) > _MAXIMUM_FILES:
            return None
        same = [source for source, _ in self.copied if PurePosixPath(source).name == parts[-1]]
        ends = ["/".join(parts[start:]) for start in range(len(parts) if path.startswith("/") else 1)]
        below = [str(PurePosixPath(folder, end)) for end in ends for folder in self._folders]
        return next((it for it in dict.fromkeys([*same, *below]) if self._is_file(it)), None)

    def _is_file(self, path: str) -> bool:
        if path not in self._is_there:
            if self._has_looked_enough:
                return False
            self._is_there[path] = self._exists(path)
        return self._is_there[path]

    def _exists(self, path: str) -> bool:
        try:
            workspace.existing_file(self.checkout.root, path, "")
        except Rejected:
            return False
        return True

    @property
    def _has_looked_enough(self) -> bool:
        return len(self._is_there) >= _MAXIMUM_LOOKS

    def _is_folder(self, path: str) -> bool:
        try:
            return (self.checkout.root / workspace.relative(self.checkout.root, path, "")).is_dir()
        except (Rejected, OSError):  # a name may be too long
            return False

    def has(self, path: str) -> bool:
        """Whether the container may have that file: from the repository, or since the Dockerfile makes it."""
        return self.locate(path) is not None or self._is_made(path) or self._has_looked_enough

    def _is_made(self, path: str) -> bool:
        """Whether the Dockerfile seems to make that file: in a command, from another image, or under another name."""
        name = PurePosixPath(path).name
        return (
            any(name in it.text for it in self.dockerfile.all("RUN"))
            or any(name in it.text for it in self.dockerfile.all("COPY") if it.sources)
            or any(PurePosixPath(to).name == name != PurePosixPath(source).name for source, to in self.copied)
            or any(PurePosixPath(to).name == name for to in self._written)
        )

    def leaves_out(self, path: str) -> bool:
        """Whether a Dockerfile on Python's own image copies only single files, and not that one."""
        if self.dockerfile.python is None or self._is_made(path) or not self.copied:
            return False
        name = PurePosixPath(path).name
        others = [source for source, _ in self.copied]
        return all(self._is_file(source) and PurePosixPath(source).name != name for source in others)

    def with_scripts(self, start: Start) -> tuple[str, bool]:
        """What a container starts, with the text of the repository's scripts in it.

        :returns: the text, and whether each file that is named could be read.
        """
        texts, is_whole = [start.text if not start.is_exec else " ".join(start.words)], True
        for word in start.words[:_MAXIMUM_FILES]:
            if word.startswith("-") or not re.search(r"/|\.(sh|py)\Z", word):
                continue
            path = self.locate(word)
            text = self.checkout.text(path) if path else None
            if text is not None:
                texts.append(text)
            elif not re.match(r"/(usr/(local/)?)?bin/", word):
                is_whole = False
        return "\n".join(texts), is_whole

    def configures_gunicorn(self, gunicorn: Gunicorn) -> bool:
        """Whether gunicorn is told something elsewhere than on its command line."""
        variables = (it.text for it in self.dockerfile.all("ENV"))
        return (
            gunicorn.has_configuration
            or self.locate("gunicorn.conf.py") is not None
            or any("GUNICORN_CMD_ARGS" in text for text in variables)
        )


def installed(repository: Repository) -> Iterator[Requirement]:
    """What is said about the packages that are looked for, in the files that the image is built from."""
    waiting, is_told = _named_by_dockerfile(repository)
    for it in waiting:
        if isinstance(it, Requirement):
            yield it
    files = [it for it in waiting if isinstance(it, str)]
    if not is_told:
        files = [path for name in _ANYWHERE if (path := repository.locate(name))]
    extras = _installed_extras(repository)
    read: set[str] = set()
    while files and len(read) < _MAXIMUM_FILES:
        file = files.pop(0)
        if file in read:
            continue
        read.add(file)
        for said in repository.checkout.said_in(file):
            if isinstance(said, Requirement):
                if not said.extra or extras is None or normal(said.extra) in extras:
                    yield said
            else:
                files += _referred(repository, file, said)


def _installed_extras(repository: Repository) -> set[str] | None:
    """The extras of the project that commands in the Dockerfile that install it name; None for all of them."""
    extras = set[str]()
    for instruction in repository.dockerfile.all("RUN"):
        for words in instruction.commands:
            tools = {re.sub(r"[0-9.]+\Z", "", word.rpartition("/")[2]) for word in words}
            if tools.isdisjoint({"pip", *_OF_TOOLS}):
                continue
            if "--all-extras" in words:
                return None
            extras.update(normal(name) for name in _extras(words))
    return extras


def _extras(words: Sequence[str]) -> Iterator[str]:
    """The extras that a command names: ``.[a,b]``, ``--extra a``, ``--extras "a b"``, ``-E a``."""
    for word, following in itertools.zip_longest(words, words[1:], fillvalue=""):
        if bracketed := re.search(r"\[([^\[\]]*)\]", word):
            yield from re.split(r"[\s,]+", bracketed[1])
        if word in {"--extra", "--extras", "-E"}:
            yield from re.split(r"[\s,]+", following)
        elif match := re.match(r"--extras?=(.*)", word):
            yield from re.split(r"[\s,]+", match[1])


def _referred(repository: Repository, file: str, reference: Reference) -> list[str]:
    """The files that another one names: from its own folder on."""
    path = PurePosixPath(file).parent / reference.path
    named = [path / name for name in _PROJECT] if reference.is_project else [path]
    return [found for it in named if (found := repository.locate(str(it)))]


def _named_by_dockerfile(repository: Repository) -> tuple[list[str | Requirement], bool]:
    """The files and requirements that the Dockerfile installs, and whether it names any."""
    told: list[str | Requirement] = []
    named = (
        (name, instruction.line)
        for instruction in repository.dockerfile.all("RUN")
        for words in instruction.commands
        for name in _installs(words)
    )
    for name, line in itertools.islice(named, _MAXIMUM_NAMES):
        if requirement := requirements.of_text(name, repository.dockerfile_path, line):
            told.append(requirement)
        elif path := repository.locate(name):
            told.append(path)
    return told, bool(told)


def _installs(words: list[str]) -> Iterator[str]:
    """The files and requirements that a command installs."""
    last = max((place for place, word in enumerate(words) if word in {"install", "sync"}), default=-1)
    for place, word in enumerate(words):
        name = word.rpartition("/")[2]
        if place < last and re.fullmatch(r"pip[0-9.]*", name):
            yield from _pip_installs(itertools.islice(words, place + 1, None))
            return
        if name == "pip-sync":
            yield from (word for word in words[place + 1 :] if not word.startswith("-"))
            return
        if name in _OF_TOOLS and {"install", "sync", "export"}.intersection(words[place + 1 : place + 4]):
            yield from _OF_TOOLS[name]
            return


def _pip_installs(words: Iterator[str]) -> Iterator[str]:
    for word in words:
        if word in {"-r", "--requirement", "-c", "--constraint"}:
            yield next(words, "")
        elif match := re.match(r"(?:--requirement=|--constraint=|-[rc])(.+)", word):
            yield match[1]
        elif word.startswith((".", "/")):
            yield from _PROJECT
        elif not word.startswith("-"):
            yield word
