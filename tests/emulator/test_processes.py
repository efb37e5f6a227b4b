"""Processes of the local cloud: their output, their end, and the emulator's."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from emulator.images import Image
from emulator.processes import Instance, Log, Process, run

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
    log = Log()
    code = python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert run(code, directory=tmp_path, variables=VARIABLES, write=log.write) == 3
    assert log.text() == "out\nerr\n"


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


def start(image: Image, folder: Path, code: str) -> Instance:
    return Instance(image, folder=folder, command=("python", "-c", code), variables={}, write=print)


def test_an_instance_listens_on_its_port_and_writes_to_its_own_files(image: Image, tmp_path: Path) -> None:
    instance = start(image, tmp_path / "instance", LISTEN)
    try:
        assert instance.wait_until_it_listens(5)
        assert (tmp_path / "instance" / "app" / "written").exists()
        assert not (image.files / "app" / "written").exists()
    finally:
        instance.stop()
    assert not instance.running
    assert not (tmp_path / "instance").exists()


def test_an_instance_that_ends_is_not_waited_for(image: Image, tmp_path: Path) -> None:
    instance = start(image, tmp_path / "instance", "raise SystemExit(1)")
    began = time.monotonic()
    assert not instance.wait_until_it_listens(30)
    assert time.monotonic() - began < 10
    instance.stop()


def test_an_instance_that_never_listens_is_given_up(image: Image, tmp_path: Path) -> None:
    instance = start(image, tmp_path / "instance", "import time; time.sleep(60)")
    assert not instance.wait_until_it_listens(0.3)
    instance.stop()
