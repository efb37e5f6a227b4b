from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from emulator.__main__ import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--repository", "octue/example"], "expected OWNER/NAME=PATH of a folder, got 'octue/example'"),
        (["--repository", "example=."], "expected OWNER/NAME=PATH of a folder"),
        (["--repository", "octue/example=/no/such/folder"], "expected OWNER/NAME=PATH of a folder"),
        (["--operation-seconds", "tea make=1"], "expected one of artifact_registry create, cloud_build build"),
        (["--operation-seconds", "cloud_run create=soon"], "invalid"),
    ],
)
def test_wrong_options_are_explained(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_ref_that_the_repository_does_not_have_is_explained(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    options = ["--repository", f"octue/example={tmp_path}", "--ref", "refs/heads/none"]
    program = subprocess.run([sys.executable, "-m", "emulator", *options], check=False, capture_output=True, text=True)

    assert program.returncode == 2
    assert "octue/example has no refs/heads/none" in program.stderr


def test_a_port_that_is_taken_is_explained() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "emulator", "--port", str(port)]
        program = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)

    assert program.returncode == 2
    assert program.stderr == (
        f"Port {port} of 127.0.0.1 cannot be had: Address already in use. Without --port it is any free one.\n"
    )


def test_of_a_new_project_the_owners_token_is_shown_and_no_provider(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "emulator", "--new-project", "--state", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        shown = {}
        for line in program.stdout:
            if line.startswith("#"):
                break
            name, _, value = line.removeprefix("export ").strip().partition("=")
            shown[name] = value
        url = (
            f"http://{shown['GOOGLE_CLOUD_EMULATOR_HOST']}/serviceusage.googleapis.com/v1/projects/my-project/services"
        )
        token = shown["CLOUDSDK_AUTH_ACCESS_TOKEN"]
        found = requests.get(
            f"{url}?filter=state:ENABLED", headers={"Authorization": f"Bearer {token}"}, timeout=5
        ).json()
        program.terminate()

    assert "INPUT_WORKLOAD_IDENTITY_PROVIDER" not in shown
    assert "run.googleapis.com" not in {service["config"]["name"] for service in found["services"]}
