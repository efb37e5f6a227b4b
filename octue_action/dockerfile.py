"""What a Dockerfile says, read as data: which Python the image has, what it installs and copies, what it starts.

docs.docker.com/reference/dockerfile/. What cannot be made out is not known; nothing is ever run.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

_MAXIMUM_INSTRUCTIONS = 1_000
_LONGEST_NAME = 512
"""Characters of an image's name: registries take fewer."""
_LONGEST_COMMAND = 20_000
"""Characters that are split as a shell does: that takes long for very long words."""
_MAXIMUM_FOLDERS = 20
_FLAG = re.compile(r"--[a-z-]+(=\S*)?\s+")
_FROM_FLAG = re.compile(r"(?:--|,)from=([^\s,]+)")
_INSTALLERS = re.compile(
    r"(pip[0-9.]*|apt|apt-get|apk|mkdir|chmod|chown|(user|group)add|add(user|group)|rm|echo|set|export|true)"
)
_TOOLS = frozenset({"poetry", "uv", "pipenv", "pdm"})
_OF_TOOLS = frozenset({"add", "config", "export", "install", "lock", "pip", "sync", "update", "venv"})
"""Of their commands those that install; ``run`` is none."""
_UNPACKED = re.compile(r"://|\.(tar|tgz|gz|bz2|xz|zst)\b|\bgit@")
_OTHER_PYTHON = re.compile(r"\b(uv|conda|mamba|micromamba|pyenv|asdf)\b|\bpython3\.[0-9]+\b")
_HEREDOC = re.compile(r"<<-?([\"']?)([A-Za-z_][A-Za-z0-9_]{0,63})\1")
_VARIABLE = re.compile(
    r"\$(?:\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^{}$]*))?\}|(?P<plain>[A-Za-z_][A-Za-z0-9_]*))"
)
_COMMAND_END = re.compile(r"&&|\|\||[;|\n]")
_PYTHON_TAG = re.compile(r"(?P<major>[0-9]{1,3})(?:\.(?P<minor>[0-9]{1,3}))?(?![0-9])")
_PYTHON_TAG_WITHOUT_NUMBER = re.compile(r"(latest|slim|alpine|bookworm|trixie|slim-bookworm|slim-trixie)\Z")

NEWEST = 1_000
"""A minor version above every other, of an image that always has the newest Python 3."""


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    :param word: ``RUN``, in capitals.
    :param text: what follows, on one line but for heredocs, without its flags.
    :param flags: ``--from=build ``, as written.
    :param line: in the file, from 1.
    """

    word: str
    text: str
    flags: str
    line: int

    @property
    def listed(self) -> list[str] | None:
        """The words of the exec form, ``["gunicorn", "app"]``; None for the shell form."""
        if not self.text.startswith("["):
            return None
        try:
            words = json.loads(self.text)
        except (ValueError, RecursionError):  # as Docker has it, this is the shell form, then
            return None
        return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else None

    @property
    def sources(self) -> list[str]:
        """The stages or images that it copies from, or mounts."""
        return _FROM_FLAG.findall(self.flags)

    @cached_property
    def commands(self) -> list[list[str]]:
        """The commands of the shell form, or the one of the exec form, in words."""
        return [words] if (words := self.listed) is not None else commands_of(self.text)


@dataclass(frozen=True)
class Stage:
    """A stage: everything from one ``FROM`` to the next.

    :param image: what it is built on, with the arguments' defaults put in.
    :param name: as later stages call it.
    """

    image: str
    name: str
    line: int
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True)
class Start:
    """What a container starts: ``ENTRYPOINT`` and ``CMD`` together.

    :param text: all of it.
    :param words: the same, in words.
    :param is_exec: whether no shell is there to put in the values of variables.
    """

    text: str
    words: tuple[str, ...]
    is_exec: bool
    line: int


@dataclass(frozen=True)
class Dockerfile:
    """A Dockerfile.

    :param stages: in order; the last one is the image.
    """

    stages: tuple[Stage, ...]

    @cached_property
    def chain(self) -> tuple[Stage, ...]:
        """The stages that the image is made of: the last one, and those it is built on, beginning with the first."""
        chain: list[Stage] = []
        wanted, before = None, len(self.stages)
        while before:
            found = before - 1 if wanted is None else self._index(wanted, before)
            if found is None:
                break
            chain.insert(0, self.stages[found])
            wanted, before = self.stages[found].image, found
        return tuple(chain)

    def _index(self, name: str, before: int) -> int | None:
        """The stage of that name, ahead of another one."""
        indices = (i for i in reversed(range(before)) if self.stages[i].name == name.lower())
        return next(indices, None)

    @property
    def base(self) -> Stage | None:
        """The stage in whose ``FROM`` the image begins."""
        return self.chain[0] if self.chain else None

    @property
    def python(self) -> tuple[int, int] | None:
        """Major and minor version of an official Python image that the image is built on; None where it is not."""
        return python_of(self.base.image) if self.base else None

    @cached_property
    def used(self) -> tuple[Stage, ...]:
        """The stages that anything of the image comes from, in order: also those that others copy from, or mount."""
        if not self.stages:
            return ()
        waiting, used = [len(self.stages) - 1], set[int]()
        while waiting:
            place = waiting.pop()
            if place not in used:
                used.add(place)
                waiting += self._sources(place)
        return tuple(self.stages[place] for place in sorted(used))

    def _sources(self, place: int) -> list[int]:
        """The stages that a stage is built on, copies from or mounts."""
        stage = self.stages[place]
        named = [stage.image, *(name for it in stage.instructions for name in it.sources)]
        found = (int(name) if name.isdecimal() else self._index(name, place) for name in named)
        return [source for source in found if source is not None and source < place]

    @property
    def has_other_sources(self) -> bool:
        """Whether files may come from elsewhere: another image, an address, an archive or some program."""
        names = {stage.name for stage in self.stages} | {str(place) for place in range(len(self.stages))}
        foreign = any(source.lower() not in names for it in self.all("COPY", "RUN") for source in it.sources)
        made = any(not only_installs(words) for it in self.all("RUN") for words in it.commands)
        return self.python is None or foreign or made or any(_UNPACKED.search(it.text) for it in self.all("ADD"))

    @cached_property
    def has_other_pythons(self) -> bool:
        """Whether the Dockerfile seems to bring a Python of its own beside the base image's."""
        return any(_OTHER_PYTHON.search(it.text) for it in self.all("RUN", "COPY", "ENV"))

    @property
    def overrules_pip(self) -> bool:
        """Whether the Dockerfile has pip install what does not go together."""
        return any("--no-deps" in it.text for it in self.all("RUN"))

    @property
    def folders(self) -> list[str]:
        """The folders of the image that are worked in, the last one first."""
        named = [it.text.strip() for stage in self.chain for it in stage.instructions if it.word == "WORKDIR"]
        paths = itertools.accumulate(named[:_MAXIMUM_FOLDERS], lambda path, name: str(PurePosixPath(path, name)))
        return list(paths)[::-1]

    def all(self, *words: str) -> Iterator[Instruction]:
        """The instructions of the stages that are used that begin with one of these words."""
        return (it for stage in self.used for it in stage.instructions if it.word in words)

    @cached_property
    def start(self) -> Start | None:
        """What the container starts; None where that is the base image's affair."""
        entrypoint = command = None
        for instruction in itertools.chain.from_iterable(stage.instructions for stage in self.chain):
            if instruction.word == "CMD":
                command = instruction
            elif instruction.word == "ENTRYPOINT":
                entrypoint, command = instruction, None  # an ENTRYPOINT empties the CMD of a stage before
        parts = [it for it in (entrypoint, command) if it is not None and it.text.strip() not in {"", "[]"}]
        if not parts:
            return None
        words = [word for it in parts for word in (it.listed or split(it.text))]
        is_shell = any(it.listed is None for it in parts) or _is_shell(words)
        return Start(" ".join(it.text for it in parts), tuple(words), not is_shell, parts[-1].line)


def parse(data: bytes) -> Dockerfile:
    """What a Dockerfile says, whatever its bytes are."""
    defaults: dict[str, str] = {}
    heads: list[tuple[Instruction, list[Instruction]]] = []
    for instruction in itertools.islice(_instructions(data.decode("utf-8-sig", "replace")), _MAXIMUM_INSTRUCTIONS):
        if instruction.word == "FROM":
            heads.append((instruction, []))
        elif heads:
            heads[-1][1].append(instruction)
        elif instruction.word == "ARG":
            name, _, default = instruction.text.partition("=")
            defaults[name.strip()] = default.strip().strip("\"'")
    return Dockerfile(tuple(_stage(head, tuple(body), defaults) for head, body in heads))


def split(text: str) -> list[str]:
    """The words of a command, as a shell splits them; where quotes do not match, or it is very long, at spaces."""
    if len(text) > _LONGEST_COMMAND:
        return text.split()
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def commands_of(text: str) -> list[list[str]]:
    """The commands of a shell's script, in words, without comments."""
    joined = re.sub(r"\\\r?\n", " ", text)
    commands = (it.strip() for it in _COMMAND_END.split(joined))
    return [split(it) for it in commands if it and not it.startswith("#")]


def only_installs(words: list[str]) -> bool:
    """Whether a command installs packages, or makes no files that a service reads."""
    words = list(itertools.dropwhile(lambda word: "=" in word, words))  # variables for this command alone
    if len(words) > 2 and re.fullmatch(r"python[0-9.]*", words[0].rpartition("/")[2]) and words[1] == "-m":  # noqa: PLR2004 - python -m pip
        words = words[2:]
    if not words:
        return True
    name = words[0].rpartition("/")[2]
    if name in _TOOLS:
        return next((word for word in words[1:] if not word.startswith("-")), "") in _OF_TOOLS
    return _INSTALLERS.fullmatch(name) is not None


def python_of(image: str) -> tuple[int, int] | None:
    """Major and minor version of an official Python image, ``python:3.11-slim``; None for another image.

    The tag behind a digest is only a name, and may be any.
    """
    repository, _, tag = image.rpartition(":") if ":" in image.rpartition("/")[2] else (image, "", "latest")
    if "@" in image or repository.rpartition("/")[2] != "python":
        return None
    if _PYTHON_TAG_WITHOUT_NUMBER.match(tag):
        return 3, NEWEST
    match = _PYTHON_TAG.match(tag)
    return (int(match["major"]), int(match["minor"] or NEWEST)) if match else None


def _stage(head: Instruction, body: tuple[Instruction, ...], defaults: Mapping[str, str]) -> Stage:
    words = head.text.split()
    image = _substituted(words[0], defaults) if words else ""
    match [word.lower() for word in words]:
        case [_, "as", name]:
            return Stage(image, name, head.line, body)
    return Stage(image, "", head.line, body)


def _substituted(text: str, values: Mapping[str, str]) -> str:
    """The text with the values of variables; one without a value stays as it stands, as does what gets too long."""

    def value(match: re.Match[str]) -> str:
        name = match["braced"] or match["plain"]
        return values.get(name) or match["default"] or match[0]

    if len(text) > _LONGEST_NAME or any(len(it) > _LONGEST_NAME for it in values.values()):
        return text
    filled = _VARIABLE.sub(value, text)
    return filled if len(filled) <= _LONGEST_NAME else text


def _is_shell(words: list[str]) -> bool:
    return bool(words) and words[0].rpartition("/")[2] in {"sh", "bash", "ash", "dash"}


def _instructions(text: str) -> Iterator[Instruction]:
    lines = [line.rstrip("\r") for line in text.split("\n")]
    escape = "`" if re.match(r"#\s*escape\s*=\s*`", lines[0].strip()) else "\\"
    numbered = iter(enumerate(lines, start=1))
    for number, line in numbered:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        parts = [line.strip()]
        while parts[-1].endswith(escape):
            parts[-1] = parts[-1][:-1].rstrip()
            following = next((it.strip() for _, it in numbered if it.strip() and not it.lstrip().startswith("#")), "")
            parts.append(following)
        word, _, rest = " ".join(parts).strip().partition(" ")
        flags = "".join(_leading_flags(rest.lstrip()))
        rest = rest.lstrip()[len(flags) :]
        if word.upper() in {"RUN", "COPY", "ADD"} and (heredoc := _HEREDOC.search(rest)):
            body = itertools.takewhile(lambda it: it[1].strip() != heredoc[2], numbered)
            rest = "\n".join([f"{rest[: heredoc.start()]} {rest[heredoc.end() :]}", *(it for _, it in body)])
        yield Instruction(word.upper(), rest.strip(), flags, number)


def _leading_flags(text: str) -> Iterator[str]:
    place = 0
    while match := _FLAG.match(text, place):
        yield match[0]
        place = match.end()
