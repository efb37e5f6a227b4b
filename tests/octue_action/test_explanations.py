"""Whole deployments that fail with real processes, each explained in the first line of its annotation."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.cloud import iam_admin_v1
from google.protobuf.field_mask_pb2 import FieldMask

from emulator.propagation import Propagation
from emulator.rpc import SYSTEM
from tests.runs import Job, Run, job_of_small_service

OTHER_PORT = """\
import socket, time
listener = socket.create_server(("127.0.0.1", 0))
print(f" * Running on http://0.0.0.0:{listener.getsockname()[1]}", flush=True)
time.sleep(600)
"""
TOO_LARGE = 'import time\nheld = bytearray(b"x") * (900 * 1024 * 1024)\ntime.sleep(600)\n'
SECRET = "open sesame 4711"
CRASH = f'import os\nprint("{SECRET}", flush=True)\nimport a_module_that_nobody_has\n'
DEAD_AFTER_ITS_START = """\
import os, socket, time
listener = socket.create_server(("", int(os.environ["PORT"])))
time.sleep(2)
raise ImportError("cannot import name 'url_quote' from 'werkzeug.urls' (/app/werkzeug/urls.py)")
"""
DYING_AGAIN_AND_AGAIN = DEAD_AFTER_ITS_START.replace("time.sleep(2)", "time.sleep(1)")
ALIVE_AND_SILENT = """\
import os, socket, sys, time
listener = socket.create_server(("", int(os.environ["PORT"])))
print("Traceback (most recent call last):\\nValueError: of a request", file=sys.stderr, flush=True)
time.sleep(600)
"""
OCTUE_WITHOUT_WERKZEUG = (
    "FROM python:3.11-slim\nRUN pip install octue==0.39.0\nCOPY server.py .\nCMD python server.py\n"
)
FAILING_STEP = "FROM python:3.11-slim\nWORKDIR /app\nCOPY server.py absent.txt ./\n"


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    with job_of_small_service(tmp_path, startup_seconds=5.0, propagation=Propagation(log_entries=1.0)) as job:
        yield job


def failed(job: Job, files: dict[str, str] | None = None, **inputs: str) -> tuple[Run, str]:
    """A deployment that fails, and the first line of its annotation."""
    if files:
        job.commit(files)
    run = job.deploy(inputs, event_name="workflow_dispatch")
    assert run.code == 1, run.stdout
    (error,) = run.errors
    return run, error.splitlines()[0]


def test_a_module_that_is_missing_is_named_and_secrets_that_were_printed_before_are_not_shown(job: Job) -> None:
    run, cause = failed(job, {"server.py": CRASH}, environment_variables=f"PASSWORD={SECRET}")

    assert cause.startswith(
        "The program ended at its start, with exit code 1: the Python module a_module_that_nobody_has is not in the "
    )
    assert "ModuleNotFoundError" in run.summary
    assert "(hidden)" in run.summary
    assert SECRET not in run.readable


def test_another_port_is_named_beside_the_right_one(job: Job) -> None:
    run, cause = failed(job, {"server.py": OTHER_PORT})

    assert cause.startswith("The program listens on port ")
    assert ", and Cloud Run sends questions to port 8080, " in cause
    assert "CMD exec gunicorn --bind :$PORT" in run.errors[0]
    assert "Running on http://0.0.0.0:" in run.summary


def test_too_little_memory_is_told_with_the_next_size(job: Job) -> None:
    run, cause = failed(job, {"server.py": TOO_LARGE})

    assert cause.startswith("The container ran out of memory when it started: it may use 128 MiB, and used ")
    assert run.errors[0].rpartition("What to do:\n")[2].startswith("memory: ")
    assert "Memory limit of 128 MiB exceeded" in run.summary


def test_an_image_that_does_not_exist_is_named(job: Job) -> None:
    image = "europe-west1-docker.pkg.dev/my-project/my-org-sum/absent:v1"

    run, cause = failed(job, image=image)

    assert cause.startswith(f"The image {image} is not there: ")
    assert f"gcloud artifacts docker images describe {image}" in run.summary


def test_a_step_of_a_build_that_fails_is_told_with_its_last_lines(job: Job) -> None:
    run, cause = failed(job, {"Dockerfile": FAILING_STEP})

    assert cause.startswith("The Dockerfile copies absent.txt, which is not in the repository at this commit,")
    assert "at the step `build`" in run.errors[0]
    assert run.outputs["build_log_url"] in run.errors[0]
    assert "absent.txt" in run.summary


def test_where_the_log_may_not_be_read_the_failure_says_who_allows_it_and_how(job: Job) -> None:
    name = "projects/my-project/roles/octue_deployer"
    role = job.world.iam.get_role(iam_admin_v1.GetRoleRequest(name=name), SYSTEM)
    role.included_permissions = [it for it in role.included_permissions if it != "logging.logEntries.list"]
    mask = FieldMask(paths=["included_permissions"])
    job.world.iam.update_role(iam_admin_v1.UpdateRoleRequest(name=name, role=role, update_mask=mask), SYSTEM)

    run, cause = failed(job, {"server.py": CRASH})

    assert cause.startswith("The container started and then did not listen on the port that Cloud Run gave it")
    assert "cannot be read by this workflow" in run.errors[0]
    assert "--role=roles/logging.viewer" in run.errors[0]
    assert "a_module_that_nobody_has" not in run.readable


def test_a_service_that_died_after_it_was_ready_is_told_with_its_log_when_it_is_asked(job: Job) -> None:
    """As gunicorn does, which listens before its workers import anything."""
    run, first = failed(job, {"server.py": DEAD_AFTER_ITS_START}, question="1", question_timeout="4")

    assert first == "The question was not answered within 4 s, and nothing shows that the service has it."
    assert "the version of Werkzeug in the image has no url_quote" in run.errors[0]
    assert run.errors[0].endswith("werkzeug<3")


def test_what_a_silent_service_logs_is_shown_and_taken_for_no_reason(job: Job) -> None:
    run, _ = failed(job, {"server.py": ALIVE_AND_SILENT}, question="1", question_timeout="2")

    assert "ValueError: of a request" in run.errors[0]
    assert "ended at its start" not in run.errors[0]
    assert "gcloud logging read" in run.errors[0]


def test_what_was_told_of_the_sdk_is_told_again_where_no_answer_comes(job: Job) -> None:
    files = {"server.py": ALIVE_AND_SILENT, "Dockerfile": OCTUE_WITHOUT_WERKZEUG, "twine.json": "{}"}
    run, _ = failed(job, files, question="1", question_timeout="2")

    assert "This was told before the deployment, and may be the reason:" in run.errors[0]
    assert "cannot be imported with Werkzeug 3" in run.errors[0]


def test_a_service_that_dies_again_and_again_is_not_waited_for_to_the_end(job: Job) -> None:
    """Each delivery of the question starts a container, and each ends."""
    start = time.monotonic()
    run, first = failed(job, {"server.py": DYING_AGAIN_AND_AGAIN}, question="1", question_timeout="600")

    assert time.monotonic() - start < 120
    assert (
        first == "The question was not answered: the service's container ends again and again, so no answer can come."
    )
    assert run.errors[0].endswith("werkzeug<3")


def test_what_was_told_of_the_sdk_is_told_again_where_the_container_does_not_start(job: Job) -> None:
    files = {"server.py": "raise SystemExit(1)\n", "Dockerfile": OCTUE_WITHOUT_WERKZEUG, "twine.json": "{}"}
    run, _ = failed(job, files)

    assert "This was told before the deployment, and may be the reason:" in run.errors[0]
    assert "cannot be imported with Werkzeug 3" in run.errors[0]
