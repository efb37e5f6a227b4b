"""Processes of the local cloud: their output, their end, and the emulator's."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from emulator.images import Image
from emulator.logs import Severity
from emulator.processes import Instance, Output, Process, run

VARIABLES = {"PATH": os.environ["PATH"]}


def python(code: str) -> list[str]:
    return [sys.executable, "-u", "-c", code]


def eventually(condition: Callable[[], bool], seconds: float = 5) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def is_alive(process_id: int) -> bool:
    stat = Path(f"/proc/{process_id}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to look at other processes")


def test_a_program_gives_its_lines_and_its_exit_code(tmp_path: Path) -> None:
    lines: list[str] = []
    code = python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert run(code, directory=tmp_path, variables=VARIABLES, write=lines.append) == 3
    assert lines == ["out", "err"]


def test_a_program_has_the_environment_it_was_given_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_HOST", "1")
    lines: list[str] = []
    code = python("import os; print('OF_THE_HOST' in os.environ, os.environ['GIVEN'])")
    run(code, directory=tmp_path, variables={**VARIABLES, "GIVEN": "2"}, write=lines.append)
    assert lines == ["False 2"]


def test_a_program_that_does_not_exist_ends_with_127(tmp_path: Path) -> None:
    lines: list[str] = []
    assert run(["no-such-program"], directory=tmp_path, variables=VARIABLES, write=lines.append) == 127
    assert lines == ["no-such-program: No such file or directory"]


def test_a_program_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    code = python("import time; time.sleep(60)")
    began = time.monotonic()
    assert run(code, directory=tmp_path, variables=VARIABLES, write=print, seconds=0.2) is None
    assert time.monotonic() - began < 5


@needs_proc
def test_a_program_that_ignores_the_signal_is_killed_with_its_children(tmp_path: Path) -> None:
    lines: list[str] = []
    code = python(
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid); time.sleep(60)"
    )
    process = Process(code, directory=tmp_path, variables=VARIABLES, write=lines.append)
    assert eventually(lambda: bool(lines))
    process.stop(grace=0.2)
    assert eventually(lambda: not is_alive(int(lines[0])))


@needs_proc
def test_nothing_is_left_when_the_emulator_is_killed() -> None:
    emulator = subprocess.Popen(
        python(
            "import time, pathlib, os\n"
            "from emulator.processes import Process\n"
            f"command = {python('import os, time; print(os.getpid()); time.sleep(60)')!r}\n"
            f"Process(command, directory=pathlib.Path('.'), variables={{'PATH': os.environ['PATH']}}, write=print)\n"
            "time.sleep(60)"
        ),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert emulator.stdout is not None
    program = int(emulator.stdout.readline())
    assert is_alive(program)
    emulator.send_signal(signal.SIGKILL)
    emulator.wait()
    emulator.stdout.close()
    assert eventually(lambda: not is_alive(program))


@pytest.fixture
def image(tmp_path: Path) -> Image:
    files, environment = tmp_path / "files", tmp_path / "environment"
    (files / "app").mkdir(parents=True)
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to(sys.executable)
    return Image("sha256:" + "0" * 64, files, environment, working_directory="/app")


LISTEN = """
import http.server, os, pathlib
pathlib.Path("written").touch()
address = ("127.0.0.1", int(os.environ["PORT"]))
http.server.HTTPServer(address, http.server.BaseHTTPRequestHandler).serve_forever()
"""


MEBIBYTE = 1024**2


class Lines:
    """What a container writes, and what is said of it."""

    def __init__(self) -> None:
        self.stdout: list[str] = []
        self.stderr: list[str] = []
        self.system: list[str] = []
        self.severities: list[Severity] = []

    def say(self, text: str, severity: Severity) -> None:
        self.system.append(text)
        self.severities.append(severity)

    @property
    def output(self) -> Output:
        return Output(self.stdout.append, self.stderr.append, self.say)


def start(image: Image, folder: Path, code: str, lines: Lines | None = None, memory: int = 512) -> Instance:
    output = (lines or Lines()).output
    command = ("python", "-c", code)
    return Instance(image, folder=folder, command=command, variables={}, output=output, memory=memory * MEBIBYTE)


def test_an_instance_listens_on_its_port_and_writes_to_its_own_files(image: Image, tmp_path: Path) -> None:
    lines = Lines()
    instance = start(image, tmp_path / "instance", LISTEN, lines)
    try:
        assert instance.wait_until_it_listens(5)
        assert (tmp_path / "instance" / "app" / "written").exists()
        assert not (image.files / "app" / "written").exists()
    finally:
        instance.stop()
    assert not instance.running
    assert not (tmp_path / "instance").exists()
    assert lines.system == []


def test_an_instance_that_never_listens_is_given_up(image: Image, tmp_path: Path) -> None:
    instance = start(image, tmp_path / "instance", "import time; time.sleep(60)")
    assert not instance.wait_until_it_listens(0.3)
    instance.stop()


def test_what_a_container_writes_is_kept_apart_and_its_end_is_told_last(image: Image, tmp_path: Path) -> None:
    lines = Lines()
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    instance = start(image, tmp_path / "instance", code, lines)
    began = time.monotonic()
    assert not instance.wait_until_it_listens(30)
    assert time.monotonic() - began < 10
    instance.stop()
    assert (lines.stdout, lines.stderr) == (["out"], ["err"])
    assert lines.system == ["Container called exit(3)."]
    assert lines.severities == [Severity.WARNING]


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGTERM])
def test_a_signal_that_ends_a_container_is_told(image: Image, tmp_path: Path, number: signal.Signals) -> None:
    lines = Lines()
    code = f"import os, time; os.kill(os.getpid(), {int(number)}); time.sleep(60)"
    instance = start(image, tmp_path / "instance", code, lines)
    assert not instance.wait_until_it_listens(30)
    instance.stop()
    assert lines.system == [f"Container terminated on signal {int(number)}."]


def test_a_program_that_a_signal_ends_has_the_exit_code_that_shells_give(tmp_path: Path) -> None:
    code = python(f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})")
    assert run(code, directory=tmp_path, variables=VARIABLES, write=print) == 128 + signal.SIGKILL


TAKE = "held = bytearray(b'x') * (96 * 1024 * 1024)\n"


@needs_proc
def test_a_container_that_takes_too_much_memory_is_killed_and_that_is_told_first(image: Image, tmp_path: Path) -> None:
    lines = Lines()
    instance = start(image, tmp_path / "instance", TAKE + "import time; time.sleep(60)", lines, memory=64)
    assert not instance.wait_until_it_listens(30)
    instance.stop()
    told, end = lines.system
    match = re.fullmatch(
        r"Memory limit of 64 MiB exceeded with (\d+) MiB used\. Consider increasing the memory limit, see "
        r"https://cloud\.google\.com/run/docs/configuring/memory-limits",
        told,
    )
    assert match
    assert 64 <= int(match[1]) < 200
    assert end == "Container terminated on signal 9."
    assert lines.severities == [Severity.ERROR, Severity.WARNING]


@needs_proc
def test_the_memory_of_the_processes_that_a_container_starts_counts(image: Image, tmp_path: Path) -> None:
    lines = Lines()
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {TAKE + 'import time; time.sleep(60)'!r}])"
    instance = start(image, tmp_path / "instance", code, lines, memory=64)
    assert not instance.wait_until_it_listens(30)
    instance.stop()
    assert lines.system[0].startswith("Memory limit of 64 MiB exceeded with ")


@needs_proc
def test_memory_that_processes_share_counts_once(image: Image, tmp_path: Path) -> None:
    lines = Lines()
    code = TAKE + "import os, time\nfor _ in range(3):\n    os.fork() or time.sleep(60)\ntime.sleep(60)"
    instance = start(image, tmp_path / "instance", code, lines, memory=200)
    assert not instance.wait_until_it_listens(1.5)
    assert instance.running
    instance.stop()
    assert lines.system == []
