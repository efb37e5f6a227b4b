"""Programs that the local cloud runs: instances of services and steps of builds, none ever left behind.

Every program runs below a small supervisor in a session of its own. The supervisor holds the reading end of a pipe
whose other end only the emulator has: when the emulator is gone, however it ended, the pipe closes and the supervisor
kills the whole group.
"""

from __future__ import annotations

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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from emulator import memory
from emulator.images import Image
from emulator.logs import Severity

# Where programs look for certificates, and for the proxies that stand between this machine and the network.
CERTIFICATE_VARIABLES = (
    "CURL_CA_BUNDLE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
)
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_GRACE_SECONDS = 5.0
_LOOK_SECONDS = 0.1
_MEBIBYTE = 1024**2

# https://cloud.google.com/run/docs/troubleshooting#memory
_TOO_MUCH_MEMORY = (
    "Memory limit of {limit} MiB exceeded with {used} MiB used. Consider increasing the memory limit, see "
    "https://cloud.google.com/run/docs/configuring/memory-limits"
)

# SIGTERM reaches the whole group; the supervisor outlives it to end as the program does: with its exit code, or by the
# same signal. The handler is a function because an ignored signal would stay ignored in the program.
_SUPERVISOR = """
import os, resource, signal, subprocess, sys, threading

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
if code < 0:
    try:
        signal.signal(-code, signal.SIG_DFL)
    except OSError:
        pass
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.kill(os.getpid(), -code)
os._exit(code)
"""


class Process:
    """A running program and all it started.

    :param command: program and arguments.
    :param directory: where it runs.
    :param variables: its whole environment.
    :param write: called with every line of its output, from a thread of its own.
    :param write_error: the same for its standard error; with the output, in their order, where ``None``.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        directory: Path,
        variables: Mapping[str, str],
        write: Callable[[str], None],
        write_error: Callable[[str], None] | None = None,
    ) -> None:
        self._supervisor = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _SUPERVISOR, *command],
            cwd=directory,
            env=dict(variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if write_error else subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        outputs = ((self._supervisor.stdout, write), (self._supervisor.stderr, write_error))
        self._readers = [
            threading.Thread(target=_read, args=output, name=f"output of {command[0]}", daemon=True)
            for output in outputs
            if output[0]
        ]
        for reader in self._readers:
            reader.start()

    @property
    def running(self) -> bool:
        """Whether the program has not ended yet."""
        return self._supervisor.poll() is None

    @property
    def ended_by(self) -> int:
        """The number of the signal that ended the program; 0 where it runs, or has ended by itself."""
        return max(0, -(self._supervisor.poll() or 0))

    def wait(self, seconds: float | None = None) -> int | None:
        """The program's exit code as a shell gives it, or None where it still runs after that many seconds."""
        try:
            code = self._supervisor.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self._end()
        return code if code >= 0 else 128 - code

    def memory(self, worth_counting: int = 0) -> int:
        """Bytes of memory that the program and all it started use; 0 where this machine does not tell.

        :param worth_counting: bytes; more than that is counted with care.
        """
        return memory.used(self._supervisor.pid, worth_counting=worth_counting)

    def kill(self) -> None:
        """End the program with all it started at once."""
        self._signal(signal.SIGKILL)

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
        for reader in self._readers:
            reader.join(_GRACE_SECONDS)
        if self._supervisor.stdin:
            self._supervisor.stdin.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
            os.killpg(self._supervisor.pid, number)


def _read(output: IO[str], write: Callable[[str], None]) -> None:
    with output:
        for line in output:
            write(line.rstrip("\r\n"))


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


@dataclass(frozen=True)
class Output:
    """Where the lines of a container go.

    :param stdout: called with every line of its standard output.
    :param stderr: the same of its standard error.
    :param system: called with what Cloud Run says of it, and how grave that is.
    """

    stdout: Callable[[str], None]
    stderr: Callable[[str], None]
    system: Callable[[str, Severity], None]


class Instance:
    """A running container: an image's program that listens on the port it was given.

    :param image: what to run. Its files are copied, so that what an instance writes is gone with it.
    :param folder: where the copy goes; it must not exist yet.
    :param command: exec form; the image's own where empty.
    :param variables: environment beside the image's own.
    :param output: where its lines go.
    :param memory: bytes that it may use; it is killed when it uses more, where this machine tells.
    """

    def __init__(
        self,
        image: Image,
        *,
        folder: Path,
        command: Sequence[str],
        variables: Mapping[str, str],
        output: Output,
        memory: int,
    ) -> None:
        self.port = _free_port()
        self._folder = folder
        self._output = output
        self._memory = memory
        self._is_to_end = False
        shutil.copytree(image.files, folder, symlinks=True)
        directory = program_directory(image.working_directory, folder)
        directory.mkdir(parents=True, exist_ok=True)
        self._process = Process(
            program_command(command or image.command, folder),
            directory=directory,
            variables={**program_variables(image, folder), **variables, "PORT": str(self.port)},
            write=self._inside(output.stdout),
            write_error=self._inside(output.stderr),
        )
        self._watcher = threading.Thread(target=self._watch, name=f"end of {folder.name}", daemon=True)
        self._watcher.start()

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
        """End the program and remove its files; how it ended is told before, where it did so by itself."""
        self._is_to_end = self._is_to_end or self.running
        self._process.stop()
        self._watcher.join()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _inside(self, write: Callable[[str], None]) -> Callable[[str], None]:
        """Writes lines with the paths of this machine made paths inside the image again."""
        return lambda line: write(line.replace(str(self._folder), ""))

    def _watch(self) -> None:
        """Kill the program when it uses too much memory, and tell how it ends."""
        while (code := self._process.wait(_LOOK_SECONDS)) is None:
            used = self._process.memory(self._memory)
            if used > self._memory:
                text = _TOO_MUCH_MEMORY.format(limit=self._memory // _MEBIBYTE, used=used // _MEBIBYTE)
                self._output.system(text, Severity.ERROR)
                self._process.kill()
                code = self._process.wait()
                break
        if not self._is_to_end:
            signal_ = self._process.ended_by
            how = f"terminated on signal {signal_}." if signal_ else f"called exit({code})."
            self._output.system(f"Container {how}", Severity.WARNING)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
