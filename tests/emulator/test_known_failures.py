"""The known failures are data: whole, said where they are from, and shown by the emulator as by Google Cloud."""

from __future__ import annotations

import fnmatch
import json
import urllib.error
import urllib.request
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import eventarc_v1, run_v2
from google.cloud.devtools import cloudbuild_v1
from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport
from google.longrunning import operations_pb2

from emulator.dispatch import Dispatcher
from emulator.known_failures import FAILURES, KnownFailure, Sort
from emulator.server import Emulator
from emulator.services import sts
from emulator.world import World

OF_CALLS = [known for known in FAILURES.values() if known.sort not in {Sort.BUILD, Sort.CONNECTION, Sort.PAGE}]


def test_there_are_53_known_failures() -> None:
    assert len(FAILURES) == 53


@pytest.mark.parametrize("known", FAILURES.values(), ids=FAILURES)
def test_each_says_where_it_is_known_from_and_leaves_no_place_open(known: KnownFailure) -> None:
    assert known.source
    assert known.evidence
    assert known.kind
    assert "{" not in known.text()


@pytest.mark.parametrize("known", FAILURES.values(), ids=FAILURES)
def test_each_hits_methods_that_the_emulator_answers(known: KnownFailure, world: World) -> None:
    answered = {method.name for method in Dispatcher(world).methods} | {sts.METHOD}

    for fault in known.faults():
        assert fnmatch.filter(answered, fault.method)


@pytest.mark.parametrize("known", OF_CALLS, ids=[known.id for known in OF_CALLS])
def test_each_refusal_can_be_sent(known: KnownFailure) -> None:
    error = known.error()

    assert error.name == known.status
    assert error.status().message == known.text()


def test_a_text_names_what_it_is_told_to() -> None:
    assert FAILURES["cb-region"].text(repository="projects/p/locations/r/connections/c/repositories/n", region="x") == (
        "location of the repository: projects/p/locations/r/connections/c/repositories/n does not match the current "
        "region: x"
    )


def test_details_reach_the_official_client(emulator: Emulator, channel: grpc.Channel) -> None:
    emulator.world.faults.add(*FAILURES["api-disabled-run"].faults())
    client = run_v2.ServicesClient(transport=ServicesGrpcTransport(channel=channel))

    with pytest.raises(exceptions.PermissionDenied) as refusal:
        client.get_service(name="projects/my-project/locations/europe-west1/services/sum", retry=None)

    assert refusal.value.reason == "SERVICE_DISABLED"
    assert refusal.value.metadata["service"] == "run.googleapis.com"


def test_a_sign_in_is_refused_in_a_form_of_its_own(emulator: Emulator) -> None:
    emulator.world.faults.add(*FAILURES["sts-attr-condition"].faults())

    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(f"http://{emulator.address}/sts.googleapis.com/v1/token", data=b"")

    assert refusal.value.code == 400
    assert json.load(refusal.value) == FAILURES["sts-attr-condition"].details["body"]


def test_there_is_no_error_where_no_call_is_refused() -> None:
    with pytest.raises(ValueError, match="cb-timeout"):
        FAILURES["cb-timeout"].error()


def test_an_operation_of_cloud_run_ends_as_one_whose_revision_is_not_ready() -> None:
    operation = operations_pb2.Operation(name="operations/1")
    operation.metadata.Pack(run_v2.Service.pb(run_v2.Service()))

    ended = change(FAILURES["run-image-404"], operation)

    assert ended.done
    assert ended.error.code == grpc.StatusCode.NOT_FOUND.value[0]
    assert ended.error.message == FAILURES["run-image-404"].text()


def test_a_service_whose_revision_is_not_ready_says_so_until_it_is_changed_again() -> None:
    end, show = (fault.change for fault in FAILURES["run-port"].faults())
    service = run_v2.Service(name="services/sum", generation=1)
    operation = operations_pb2.Operation(name="operations/1")
    operation.metadata.Pack(run_v2.Service.pb(service))
    assert end is not None
    assert show is not None

    before = show(run_v2.Service(service))
    end(operation)
    after, changed = show(run_v2.Service(service)), show(run_v2.Service(service, generation=2))

    assert before == service
    assert after.terminal_condition.state == run_v2.Condition.State.CONDITION_FAILED
    assert after.terminal_condition.revision_reason == (run_v2.Condition.RevisionReason.HEALTH_CHECK_CONTAINER_ERROR)
    assert changed.terminal_condition == run_v2.Condition()


def test_operations_of_others_go_on() -> None:
    operation = operations_pb2.Operation(name="operations/1")
    operation.metadata.Pack(eventarc_v1.Trigger.pb(eventarc_v1.Trigger()))

    assert not change(FAILURES["run-port"], operation).done


@pytest.mark.parametrize(
    "known", [known for known in FAILURES.values() if known.sort is Sort.BUILD], ids=lambda k: k.id
)
def test_a_build_ends_with_the_status(known: KnownFailure) -> None:
    build = change(known, cloudbuild_v1.Build(status=cloudbuild_v1.Build.Status.SUCCESS))

    assert build.status.name == known.status
    assert bool(build.failure_info.type_) == (known.id == "cb-failure")


def test_a_fault_hits_as_often_and_as_late_as_it_is_told_to() -> None:
    for known in FAILURES.values():
        first = known.faults(times=3, skip=2)[0]

        assert (first.times, first.skip) == (3, 2)


def change(known: KnownFailure, answer: Any) -> Any:
    fault = known.faults()[0]
    assert fault.change is not None
    return fault.change(answer)
