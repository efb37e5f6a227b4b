"""Programs that the local cloud runs: instances of services and steps of builds, none ever left behind.

Every program runs below a small supervisor in a session of its own. The supervisor holds the reading end of a pipe
whose other end only the emulator has: when the emulator is gone, however it ended, the pipe closes and the supervisor
kills the whole group.
"""

from __future__ import annotations

import collections
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emulator.images import Image

# Where programs look for certificates, and for the proxies that stand between this machine and the network.
CERTIFICATE_VARIABLES = (
    "CURL_CA_BUNDLE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
)
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_KEPT_LINES = 10_000
_GRACE_SECONDS = 5.0
_LOOK_SECONDS = 0.1

# SIGTERM reaches the whole group; the supervisor outlives it to give the program's own exit code. The handler is a
# function because an ignored signal would stay ignored in the program.
_SUPERVISOR = """
import os, signal, subprocess, sys, threading

def end_with_the_emulator():
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)

signal.signal(signal.SIGTERM, lambda number, frame: None)
threading.Thread(target=end_with_the_emulator, daemon=True).start()
try:
    program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
except OSError as error:
    print(f"{sys.argv[1]}: {error.strerror}", flush=True)
    os._exit(127)
code = program.wait()
os._exit(code if code >= 0 else 128 - code)
"""


@dataclass(frozen=True)
class LogLine:
    """One line that a program wrote.

    :param time: seconds since the epoch.
    :param text: without the line's end.
    """

    time: float
    text: str


class Log:
    """The newest lines of one or several programs.

    :param clock: gives the time of a line, seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lines: collections.deque[LogLine] = collections.deque(maxlen=_KEPT_LINES)

    def write(self, text: str) -> None:
        """Keep a line; the oldest gives way when there are too many."""
        self._lines.append(LogLine(self._clock(), text))

    def __iter__(self) -> Iterator[LogLine]:
        return iter(tuple(self._lines))

    def text(self) -> str:
        """All lines that were kept, joined."""
        return "".join(f"{line.text}\n" for line in self)


class Process:
    """A running program and all it started.

    :param command: program and arguments.
    :param directory: where it runs.
    :param variables: its whole environment.
    :param write: called with every line of its output, standard and error together, from a thread of its own.
    """

    def __init__(
        self, command: Sequence[str], *, directory: Path, variables: Mapping[str, str], write: Callable[[str], None]
    ) -> None:
        self._supervisor = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _SUPERVISOR, *command],
            cwd=directory,
            env=dict(variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._write = write
        self._reader = threading.Thread(target=self._read, name=f"output of {command[0]}", daemon=True)
        self._reader.start()

    @property
    def running(self) -> bool:
        """Whether the program has not ended yet."""
        return self._supervisor.poll() is None

    def wait(self, seconds: float | None = None) -> int | None:
        """The program's exit code, or None where it still runs after that many seconds."""
        try:
            code = self._supervisor.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self._end()
        return code

    def stop(self, grace: float = _GRACE_SECONDS) -> None:
        """Ask the program to end, and kill it with all it started when that takes longer than ``grace`` seconds."""
        if self.running:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._supervisor.wait(grace)
        self._end()

    def _end(self) -> None:
        # Children that outlived the program go too; they would otherwise hold its output open.
        self._signal(signal.SIGKILL)
        self._supervisor.wait()
        self._reader.join(_GRACE_SECONDS)
        if self._supervisor.stdin:
            self._supervisor.stdin.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
            os.killpg(self._supervisor.pid, number)

    def _read(self) -> None:
        assert self._supervisor.stdout is not None  # noqa: S101 - Popen was told to make a pipe
        with self._supervisor.stdout as output:
            for line in output:
                self._write(line.rstrip("\r\n"))


def run(
    command: Sequence[str],
    *,
    directory: Path,
    variables: Mapping[str, str],
    write: Callable[[str], None],
    seconds: float | None = None,
    stopped: threading.Event | None = None,
) -> int | None:
    """Run a program to its end.

    :param command: program and arguments.
    :param directory: where it runs.
    :param variables: its whole environment.
    :param write: called with every line of its output.
    :param seconds: how long it may take.
    :param stopped: set by whoever wants it stopped earlier.
    :returns: its exit code, or None where it was stopped.
    """
    end = None if seconds is None else time.monotonic() + seconds
    process = Process(command, directory=directory, variables=variables, write=write)
    try:
        while (code := process.wait(_LOOK_SECONDS)) is None:
            if (stopped and stopped.is_set()) or (end and time.monotonic() > end):
                return None
        return code
    finally:
        process.stop()


def certificate_variables() -> dict[str, str]:
    """What programs need of this machine's environment to check certificates."""
    return {name: os.environ[name] for name in CERTIFICATE_VARIABLES if name in os.environ}


def program_variables(image: Image, files: Path) -> dict[str, str]:
    """The environment an image gives its programs, with the paths inside the image made paths of this machine.

    :param image: whose ``ENV`` is meant.
    :param files: the folder that stands for the image's root directory.
    """
    variables = {name: _outside(value, files) for name, value in image.variables.items()}
    path = variables.get("PATH", SYSTEM_PATH)
    return {
        "HOME": str(files),
        "LANG": "C.UTF-8",
        **certificate_variables(),
        **variables,
        "PATH": f"{image.environment / 'bin'}:{path}",
    }


def program_command(command: Sequence[str], files: Path) -> list[str]:
    """A command of an image with the paths inside the image made paths of this machine.

    :param command: exec form.
    :param files: the folder that stands for the image's root directory.
    """
    return [_outside(word, files) for word in command]


def program_directory(working_directory: str, files: Path) -> Path:
    """The folder of this machine that stands for a directory inside an image."""
    return files / working_directory.lstrip("/")


def _outside(value: str, files: Path) -> str:
    """Each of the colon-separated absolute paths that exist inside the image, as a path of this machine."""

    def mapped(match: re.Match[str]) -> str:
        inside = files / match[0].lstrip("/")
        return str(inside) if match[0].strip("/") and inside.exists() else match[0]

    return ":".join(re.sub(r"^/.*", mapped, part) for part in value.split(":"))


class Instance:
    """A running container: an image's program that listens on the port it was given.

    :param image: what to run. Its files are copied, so that what an instance writes is gone with it.
    :param folder: where the copy goes; it must not exist yet.
    :param command: exec form; the image's own where empty.
    :param variables: environment beside the image's own.
    :param write: called with every line the program writes.
    """

    def __init__(
        self,
        image: Image,
        *,
        folder: Path,
        command: Sequence[str],
        variables: Mapping[str, str],
        write: Callable[[str], None],
    ) -> None:
        self.port = _free_port()
        self._folder = folder
        shutil.copytree(image.files, folder, symlinks=True)
        directory = program_directory(image.working_directory, folder)
        directory.mkdir(parents=True, exist_ok=True)
        self._process = Process(
            program_command(command or image.command, folder),
            directory=directory,
            variables={**program_variables(image, folder), **variables, "PORT": str(self.port)},
            write=write,
        )

    @property
    def running(self) -> bool:
        """Whether the program has not ended."""
        return self._process.running

    def wait_until_it_listens(self, seconds: float) -> bool:
        """Whether the program took a connection on its port before it ended or that many seconds were over."""
        end = time.monotonic() + seconds
        while self.running and time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return self.running
            time.sleep(0.02)
        return False

    def stop(self) -> None:
        """End the program and remove its files."""
        self._process.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
