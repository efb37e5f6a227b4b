"""Dockerfiles built without a container engine, as far as Octue's services use them.

An image is a folder of files and a Python environment (``emulator.images``). ``FROM python:...`` makes the environment,
``COPY`` fills the folder and ``RUN`` runs on this machine with both. There is no root directory of its own and no
second user, so a ``RUN`` that would change the machine is refused before it starts. That check is there for honest
Dockerfiles: whoever writes the Dockerfile may run code here anyway.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import itertools
import json
import os
import re
import shlex
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from dockerfile_parse import DockerfileParser

from emulator import processes
from emulator.images import Image

Write = Callable[[str], None]

_COMPLETE = "complete"
_IGNORED = {"EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "STOPSIGNAL", "USER", "VOLUME"}
_PATTERN = re.compile(r"[*?\[]")
_VARIABLE = re.compile(r"\\(\$)|\$(\w+)|\$\{(\w+)(?::([-+])([^}]*))?\}")

# Nothing of the machine's environment reaches RUN but these, the certificates and what pip is told.
_HOST_VARIABLES = ("HOME", "LANG")

# Users and owners do not exist in the emulator's images: to set them does nothing.
_NO_EFFECT = {"addgroup", "adduser", "chgrp", "chown", "groupadd", "useradd", "usermod"}
_SHELL_WORDS = {"!", "do", "done", "elif", "else", "fi", "if", "in", "then", "until", "while", "{", "}"}
_HARMLESS = {
    ":",
    "[",
    "cat",
    "cd",
    "echo",
    "env",
    "exit",
    "export",
    "false",
    "ls",
    "printf",
    "pwd",
    "set",
    "test",
    "true",
}
_ON_FILES = {"chmod", "cp", "ln", "mkdir", "mv", "rm", "touch"}


class BuildError(Exception):
    """A Dockerfile that cannot be built, in one plain line."""


@dataclass(frozen=True)
class _Layer:
    """What the instructions so far have made.

    :param key: hash of these instructions and of all they read.
    :param files: the folder that stands for the root directory.
    :param environment: the Python environment.
    """

    key: str
    files: Path
    environment: Path


@dataclass
class _Configuration:
    """What the instructions so far have set."""

    arguments: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    working_directory: str = "/"
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()

    def expand(self, text: str) -> str:
        """The text with variables put in, as Docker does outside of RUN."""
        known = {"PATH": processes.SYSTEM_PATH, **self.arguments, **self.variables}

        def value(match: re.Match[str]) -> str:
            dollar, plain, braced, operator, word = match.groups()
            current = known.get(plain or braced, "")
            if operator == "+":
                return word if current else ""
            return dollar or current or word or ""

        return _VARIABLE.sub(value, text)


def build(
    context: Path,
    *,
    cache: Path,
    write: Write,
    dockerfile: Path | None = None,
    arguments: Mapping[str, str] | None = None,
    stopped: threading.Event | None = None,
) -> Image:
    """Build an image; layers that were built before, by whatever process, are taken from the cache.

    :param context: the folder with the source.
    :param cache: where layers are kept.
    :param write: called with every line of the build's output.
    :param dockerfile: ``Dockerfile`` of the context where not given.
    :param arguments: values for ``ARG``.
    :param stopped: set by whoever wants the build stopped.
    :raises BuildError: for what Docker would refuse and for what this builder does not do.
    """
    path = dockerfile or _below(context, "Dockerfile")
    if not path.is_file():
        raise BuildError(f"failed to read dockerfile: open {path.name}: no such file or directory")
    # The parser keeps its file as an attribute and writes to it when asked: it gets a copy.
    instructions = [
        (item["instruction"], item["value"])
        for item in DockerfileParser(fileobj=io.BytesIO(path.read_bytes())).structure
        if item["instruction"] != "COMMENT"
    ]
    return _Build(context, cache, write, arguments or {}, stopped or threading.Event()).run(instructions)


class _Build:
    def __init__(
        self, context: Path, cache: Path, write: Write, arguments: Mapping[str, str], stopped: threading.Event
    ) -> None:
        self._stopped = stopped
        self._context = context
        self._cache = cache
        self._write = write
        self._given = arguments
        self._configuration = _Configuration()
        self._layer: _Layer | None = None

    def run(self, instructions: Sequence[tuple[str, str]]) -> Image:
        for number, (instruction, value) in enumerate(instructions, 1):
            if self._stopped.is_set():
                raise BuildError("the build was stopped")
            self._write(f"Step {number}/{len(instructions)} : {instruction} {value}")
            self._follow(instruction, value)
        layer, configuration = self._current(), self._configuration
        command = (*configuration.entrypoint, *configuration.command)
        image = Image(
            digest=_digest(layer, configuration),
            files=layer.files,
            environment=layer.environment,
            working_directory=configuration.working_directory,
            command=command,
            variables=dict(configuration.variables),
        )
        self._write(f"Successfully built {image.digest.removeprefix('sha256:')[:12]}")
        return image

    def _follow(self, instruction: str, value: str) -> None:
        follow: dict[str, Callable[[str], None]] = {
            "ADD": self._add,
            "ARG": self._arg,
            "CMD": self._cmd,
            "COPY": self._copy,
            "ENTRYPOINT": self._entrypoint,
            "ENV": self._env,
            "FROM": self._from,
            "RUN": self._run,
            "WORKDIR": self._workdir,
        }
        if instruction in _IGNORED:
            return
        if instruction not in follow:
            raise BuildError(f"the emulator does not build {instruction}")
        if self._layer is None and instruction not in {"ARG", "FROM"}:
            raise BuildError(f"no build stage in current context: {instruction} stands before FROM")
        follow[instruction](value)

    def _current(self) -> _Layer:
        if self._layer is None:
            raise BuildError("file with no instructions")
        return self._layer

    # Instructions

    def _from(self, value: str) -> None:
        if self._layer is not None:
            raise BuildError("the emulator builds Dockerfiles of one stage: there is a second FROM")
        words = [word for word in self._configuration.expand(value).split() if not word.startswith("--")]
        interpreter = _interpreter(words[0] if words else "")
        self._configuration.arguments.clear()  # an ARG before FROM is for FROM only
        version = f"{interpreter.resolve()} {sys.version if interpreter == _running_interpreter() else ''}"

        def make(layer: _Layer) -> None:
            layer.files.mkdir()
            self._execute([str(interpreter), "-m", "venv", str(layer.environment)], layer, directory=layer.files)

        self._layer = self._cached(_hash("FROM", version), make)

    def _arg(self, value: str) -> None:
        for word in shlex.split(value):
            name, separator, default = word.partition("=")
            if name in self._given:
                self._configuration.arguments[name] = self._given[name]
            elif separator:
                self._configuration.arguments[name] = self._configuration.expand(default)

    def _env(self, value: str) -> None:
        words = shlex.split(value)
        if words and "=" not in words[0]:
            name, _, rest = value.strip().partition(" ")
            words = [f"{name}={rest.strip()}"]
        assigned = (word.partition("=") for word in words)
        new = {name: self._configuration.expand(text) for name, _, text in assigned}
        self._configuration.variables.update(new)

    def _workdir(self, value: str) -> None:
        directory = PurePosixPath(self._configuration.working_directory) / self._configuration.expand(
            value.strip("\"'")
        )
        self._configuration.working_directory = os.path.normpath(directory)

    def _cmd(self, value: str) -> None:
        self._configuration.command = _exec_form(value)

    def _entrypoint(self, value: str) -> None:
        self._configuration.entrypoint = _exec_form(value)
        self._configuration.command = ()

    def _add(self, value: str) -> None:
        if re.search(r"\b\w+://|\.(tar|tgz|gz|bz2|xz|zip)\b", value):
            raise BuildError("the emulator's ADD takes files and folders only, no address and no archive")
        self._copy(value)

    def _copy(self, value: str) -> None:
        *sources, target = self._copy_words(value)
        found = [path for source in sources for path in self._sources(source)]
        pairs = list(_targets(found, target, self._context, self._configuration.working_directory))
        before = self._current()

        def make(layer: _Layer) -> None:
            shutil.copytree(before.files, layer.files, symlinks=True)
            for source, inside in pairs:
                _copy_file(source, layer.files, inside)

        contents = [f"{inside} {_file_hash(source)}" for source, inside in pairs]
        self._layer = self._cached(_hash(before.key, "COPY", *contents), make, environment=before.environment)

    def _copy_words(self, value: str) -> list[str]:
        flags = re.match(r"((?:--\S+\s+)*)(.*)", value, re.DOTALL)
        assert flags is not None  # noqa: S101 - every part of the pattern may be empty
        if "--from" in flags[1]:
            raise BuildError("the emulator builds Dockerfiles of one stage: COPY --from has nothing to copy from")
        words = _json_words(flags[2]) or shlex.split(flags[2])
        if len(words) < 2 or any(word.startswith("<<") for word in words):  # noqa: PLR2004 - a source and a target
            raise BuildError(f"COPY needs files and a target: {value}")
        return [self._configuration.expand(word) for word in words]

    def _sources(self, source: str) -> Iterator[Path]:
        below = _below(self._context, source)
        paths = sorted(self._context.glob(source.lstrip("/"))) if _PATTERN.search(source) else [below]
        if not paths or not all(path.exists() for path in paths):
            raise _not_in_context(source)
        ignored = _Ignored.read(self._context)
        for path in paths:
            if not path.is_dir() and ignored(path.relative_to(self._context).as_posix()):
                raise _not_in_context(source)
            yield path

    def _run(self, value: str) -> None:
        for flag in re.findall(r"^((?:--\S+\s+)+)", value):
            if not all(word.startswith(("--mount=type=cache", "--network")) for word in flag.split()):
                raise BuildError(f"the emulator does not know RUN {flag.strip()}")
        words = re.sub(r"^(--\S+\s+)+", "", value)
        if words.lstrip().startswith("<<"):
            raise BuildError("the emulator does not know RUN with text that follows it (<<)")
        command = _exec_form(words)
        before, configuration = self._current(), self._configuration
        line = command[-1] if command[:2] == ("/bin/sh", "-c") else shlex.join(command)
        programs = list(_programs(line))
        for program, arguments in programs:
            _check_program(program, arguments, before.environment)
        if all(program in _NO_EFFECT for program, _ in programs):
            return

        def make(layer: _Layer) -> None:
            shutil.copytree(before.files, layer.files, symlinks=True)
            _copy_environment(before.environment, layer.environment)
            directory = processes.program_directory(configuration.working_directory, layer.files)
            directory.mkdir(parents=True, exist_ok=True)
            nothing = "".join(f"{name}() {{ :; }}; " for name in sorted(_NO_EFFECT))
            shell = ["/bin/sh", "-c", nothing + line]
            self._execute(shell, layer, directory=directory, shown=f"/bin/sh -c {line}")

        variables = json.dumps({**configuration.arguments, **configuration.variables}, sort_keys=True)
        key = _hash(before.key, "RUN", line, configuration.working_directory, variables)
        self._layer = self._cached(key, make)

    def _execute(self, command: Sequence[str], layer: _Layer, *, directory: Path, shown: str = "") -> None:
        image = Image("", layer.files, layer.environment, variables=self._configuration.variables)
        variables = {
            **processes.program_variables(image, layer.files),
            **{name: os.environ[name] for name in _HOST_VARIABLES if name in os.environ},
            **{name: value for name, value in os.environ.items() if name.startswith("PIP_")},
            **self._configuration.arguments,
            "VIRTUAL_ENV": str(layer.environment),
        }
        code = processes.run(
            command, directory=directory, variables=variables, write=self._write, stopped=self._stopped
        )
        if code is None:
            raise BuildError("the build was stopped")
        if code:
            raise BuildError(f"The command '{shown or shlex.join(command)}' returned a non-zero code: {code}")

    def _cached(self, key: str, make: Callable[[_Layer], None], *, environment: Path | None = None) -> _Layer:
        """The layer of that key, made where no earlier build has made it.

        Scripts of Python environments name their folder, so a layer is made where it will stay: under a lock that a
        process which dies gives back, and marked when it is whole.
        """
        folder = self._cache / "layers" / key[:20]
        layer = _Layer(key, folder / "files", environment or folder / "environment")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_suffix(".lock")):
            if (folder / _COMPLETE).exists():
                self._write(" ---> Using cache")
                return layer
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            try:
                make(layer)
            except BaseException:  # whatever it is, half a layer must not stay
                shutil.rmtree(folder, ignore_errors=True)
                raise
            (folder / _COMPLETE).touch()
        self._write(f" ---> {key[:12]}")
        return layer


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# Interpreters and environments


def _running_interpreter() -> Path:
    return Path(sys.executable)


def _interpreter(image: str) -> Path:
    """The Python of this machine that stands for a base image.

    :raises BuildError: where there is none.
    """
    name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    if name != "python":
        raise BuildError(f"the emulator builds Python images only (FROM python:3.11-slim), not FROM {image}")
    version = re.match(r"3\.(\d+)", tag)
    if version is None or int(version[1]) == sys.version_info.minor:
        return _running_interpreter()
    found = shutil.which(f"python{version[0]}")
    if found is None:
        raise BuildError(f"FROM {image} needs python{version[0]} on this machine, and there is none")
    return Path(found)


def _copy_environment(source: Path, target: Path) -> None:
    """Copy a Python environment; its scripts and path files name the folder they are in."""
    shutil.copytree(source, target, symlinks=True)
    # Packages installed "editable" name the files beside the environment, so both are replaced by their common folder.
    old, new = str(source.parent).encode(), str(target.parent).encode()
    texts = ["bin/*", "lib/*/site-packages/*.pth", "lib/*/site-packages/__editable__*", "pyvenv.cfg"]
    for path in (path for pattern in texts for path in target.glob(pattern)):
        if path.is_file() and not path.is_symlink() and old in (content := path.read_bytes()):
            path.write_bytes(content.replace(old, new))


# RUN


def _programs(line: str) -> Iterator[tuple[str, list[str]]]:
    """The programs that a shell line starts, each with its arguments."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        tokens = list(lexer)
    except ValueError as error:
        raise BuildError(f"RUN {line}: {error}") from error
    program: str | None = None
    arguments: list[str] = []
    for token in [*tokens, ";"]:
        if set(token) <= set(";|&()"):
            if program is not None:
                yield program, arguments
            program, arguments = None, []
        elif program is not None:
            arguments.append(token)
        elif token not in _SHELL_WORDS and not re.match(r"\w+=", token):
            program = token


def _check_program(program: str, arguments: Sequence[str], environment: Path) -> None:
    """Refuse what would change this machine instead of the image.

    :raises BuildError: saying what is refused and why.
    """
    name = PurePosixPath(program).name
    if re.fullmatch(r"(python|pip)[\d.]*", name) or name in _NO_EFFECT | _HARMLESS:
        written = _redirected(arguments)
    elif name in _ON_FILES:
        written = list(arguments)
    elif (environment / "bin" / name).exists():
        return
    else:
        raise BuildError(
            f"RUN {program}: the emulator has no container, so RUN is for Python, pip and what pip installed"
        )
    for word in written:
        if word.startswith(("/", "~")) and word != os.devnull:
            raise BuildError(f"RUN {program} {word}: the emulator has no container; write the path relative to WORKDIR")


def _redirected(arguments: Sequence[str]) -> list[str]:
    return [after for sign, after in itertools.pairwise(arguments) if sign.startswith(">")]


def _exec_form(value: str) -> tuple[str, ...]:
    """A command as program and arguments; one written as plain text is the shell's."""
    return tuple(_json_words(value)) or ("/bin/sh", "-c", value)


def _json_words(value: str) -> list[str]:
    try:
        words = json.loads(value)
    except ValueError:
        return []
    return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else []


# COPY


def _below(context: Path, name: str) -> Path:
    """A path inside the build context.

    :raises BuildError: for one outside of it.
    """
    path = context / os.path.normpath("/" + name).lstrip("/")
    if ".." in PurePosixPath(name).parts or not path.resolve().is_relative_to(context.resolve()):
        raise BuildError(f"forbidden path outside the build context: {name}")
    return path


def _targets(found: Sequence[Path], target: str, context: Path, directory: str) -> Iterator[tuple[Path, str]]:
    """Each file to copy with its path inside the image; a folder gives what is in it."""
    inside = PurePosixPath(directory) / target
    into_folder = target.endswith(("/", ".")) or len(found) > 1 or found[0].is_dir()
    ignored = _Ignored.read(context)
    for path in found:
        if not path.is_dir():
            yield path, os.path.normpath(inside / path.name if into_folder else inside)
            continue
        for file in sorted(path.rglob("*")):
            if not file.is_dir() and not ignored(file.relative_to(context).as_posix()):
                yield file, os.path.normpath(inside / file.relative_to(path).as_posix())


def _copy_file(source: Path, files: Path, inside: str) -> None:
    target = files / inside.lstrip("/")
    if target.is_dir():
        target /= source.name
    if not target.parent.resolve().is_relative_to(files.resolve()):
        raise BuildError(f"COPY would write outside the image: {inside}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    shutil.copy(source, target, follow_symlinks=False)


def _not_in_context(source: str) -> BuildError:
    return BuildError(
        f"COPY failed: file not found in build context or excluded by .dockerignore: stat {source}: file does not exist"
    )


class _Ignored:
    """Which files of a build context ``.dockerignore`` leaves out: the last pattern that matches decides.

    :param patterns: the lines of the file.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = [(line.startswith("!"), _ignore_pattern(line.lstrip("!"))) for line in patterns]

    @classmethod
    def read(cls, context: Path) -> _Ignored:
        """The patterns of a context; none where it has no ``.dockerignore``."""
        path = context / ".dockerignore"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        return cls([line.strip() for line in lines if line.strip() and not line.startswith("#")])

    def __call__(self, name: str) -> bool:
        """Whether the file of that name, relative to the context, is left out."""
        ignored = False
        for negative, pattern in self._patterns:
            if pattern.match(name):
                ignored = not negative
        return ignored


def _ignore_pattern(line: str) -> re.Pattern[str]:
    """One line as a pattern of the file itself and of all below it."""
    expression = ""
    for part in re.split(r"(\*\*/?|\*|\?)", os.path.normpath("/" + line).lstrip("/")):
        expression += {"**/": "(.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part))
    return re.compile(f"{expression}(/.*)?$")


# Hashes


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _file_hash(path: Path) -> str:
    if path.is_symlink():
        return f"link {path.readlink()}"
    return f"{path.stat().st_mode & 0o111:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"


def _digest(layer: _Layer, configuration: _Configuration) -> str:
    """``sha256:`` of the image's files, packages and configuration."""
    files = [
        f"{path.relative_to(layer.files).as_posix()} {_file_hash(path)}"
        for path in sorted(layer.files.rglob("*"))
        if path.is_symlink() or path.is_file()
    ]
    packages = sorted(path.name for path in layer.environment.glob("lib/*/site-packages/*.dist-info"))
    settings = (configuration.working_directory, configuration.entrypoint, configuration.command)
    return "sha256:" + _hash(*files, *packages, repr(settings), json.dumps(configuration.variables, sort_keys=True))
