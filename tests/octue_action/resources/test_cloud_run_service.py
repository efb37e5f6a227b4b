"""Cloud Run services: what Cloud Run fills in, what others add, and what becomes of revisions that are not ready."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from google.cloud import run_v2
from google.protobuf import duration_pb2

from emulator.known_failures import FAILURES
from emulator.world import World
from octue_action.apply import Outcome, Status, apply
from octue_action.cancellation import Cancellation, Cancelled
from octue_action.failure import GoogleError
from octue_action.google import Google
from octue_action.logs import RevisionLog
from octue_action.plan import make_plan
from octue_action.resource import diff
from octue_action.resources import cloud_run_service
from octue_action.resources.cloud_run_service import LATEST, CloudRunService, Memory, bytes_of, cpus_of
from tests.octue_action.resources.kinds import (
    ACCOUNTS,
    IMAGES,
    LABELS,
    LOCATION,
    OWNER,
    PARENT,
    PROJECT,
    edit_container,
    edit_service,
)

pytestmark = pytest.mark.usefixtures("ground")


@pytest.fixture
def service(name: str) -> CloudRunService:
    return CloudRunService(
        project_id=PROJECT,
        location=LOCATION,
        service=name,
        image=IMAGES[0],
        service_account=ACCOUNTS[0],
        ingress="internal",
        environment={"SERVICE_ID": "one", "COMPUTE_PROVIDER": "GOOGLE_CLOUD_RUN"},
        secrets={},
        memory=Memory(2**29),
        cpu=Decimal(1),
        concurrency=10,
        timeout=3600,
        min_instances=0,
        max_instances=10,
        labels=LABELS,
    )


@pytest.fixture
def made(service: CloudRunService, google: Google) -> CloudRunService:
    """The service, made."""
    service.create(google)
    return service


def reading(service: CloudRunService, google: Google) -> CloudRunService:
    actual = service.read(google)
    assert actual is not None
    return actual


def deploy(service: CloudRunService, google: Google) -> Outcome:
    (outcome,) = apply(make_plan([service], google, adopt=False), google, lambda _: None)
    return outcome


def message(service: CloudRunService, google: Google) -> run_v2.Service:
    return google.run.get_service(name=service.resource_name)


def revisions(service: CloudRunService, world: World) -> list[str]:
    return list(world.cloud_run.find(service.resource_name).revisions)


def test_what_cloud_run_fills_in_is_no_drift(service: CloudRunService, google: Google) -> None:
    """A service made with nothing but an image has Cloud Run's own values for all the rest."""
    bare = run_v2.Service(
        template={"containers": [{"image": IMAGES[0]}], "service_account": ACCOUNTS[0]}, labels=LABELS
    )
    google.run.create_service(parent=PARENT, service_id=service.service, service=bare).result(timeout=10)
    wanted = replace(service, environment={}, ingress="all", concurrency=80, timeout=300, max_instances=100)
    assert diff(wanted, reading(wanted, google)) == ()


def test_the_cpu_is_paid_for_only_while_a_question_is_answered(made: CloudRunService, google: Google) -> None:
    """Whoever sends limits must say so: Cloud Run's own default holds only where there are no resources at all."""
    assert message(made, google).template.containers[0].resources.cpu_idle


def test_an_execution_environment_that_is_not_ours_to_say_is_left_alone(made: CloudRunService, google: Google) -> None:
    generation = run_v2.ExecutionEnvironment(run_v2.ExecutionEnvironment.EXECUTION_ENVIRONMENT_GEN1)
    edit_service(lambda service: setattr(service.template, "execution_environment", generation))(google, made)
    assert deploy(made, google).status is Status.UNCHANGED
    assert deploy(replace(made, concurrency=5), google).status is Status.APPLIED
    assert message(made, google).template.execution_environment == generation


def test_its_url_is_its_own_also_where_revisions_have_tags(made: CloudRunService, google: Google) -> None:
    def tag(service: run_v2.Service) -> None:
        target = run_v2.TrafficTarget(
            type_=run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST, tag="preview"
        )
        service.traffic = [target, *service.traffic]

    untagged = reading(made, google).url
    edit_service(tag)(google, made)
    actual = reading(made, google)
    assert "---" in message(made, google).traffic_statuses[0].uri
    assert actual.url == untagged
    assert actual.url.startswith(f"https://{made.service}-")
    assert actual.traffic == LATEST, "a tag is no share of the traffic"


def test_a_tag_keeps_its_revision_and_loses_its_share(made: CloudRunService, google: Google) -> None:
    first = reading(made, google).revision
    kind = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION

    def pin(service: run_v2.Service) -> None:
        service.traffic = [run_v2.TrafficTarget(type_=kind, revision=first, percent=100, tag="safe")]

    edit_service(pin)(google, made)
    assert reading(made, google).traffic == first
    assert deploy(made, google).status is Status.APPLIED
    shares = [(t.revision, t.percent, t.tag) for t in message(made, google).traffic]
    assert shares == [("", 100, ""), (first, 0, "safe")]


def test_another_order_of_the_variables_makes_no_new_revision(
    made: CloudRunService, google: Google, world: World
) -> None:
    edit_container(lambda container: setattr(container, "env", [*reversed(container.env)]))(google, made)
    before = revisions(made, world)
    assert deploy(made, google).status is Status.UNCHANGED
    assert deploy(replace(made, ingress="all"), google).status is Status.APPLIED
    assert revisions(made, world) == before


def test_a_new_variable_comes_last(made: CloudRunService, google: Google) -> None:
    edit_container(lambda container: setattr(container, "env", [*reversed(container.env)]))(google, made)
    deploy(replace(made, environment={"A": "1", **made.environment}), google)
    names = [variable.name for variable in message(made, google).template.containers[0].env]
    assert names == ["COMPUTE_PROVIDER", "SERVICE_ID", "A"]


def test_a_container_beside_ours_stays(made: CloudRunService, google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.revision_template.check_service", lambda _: None)  # it runs one container only
    proxy = run_v2.Container(name="proxy", image="gcr.io/somebody/proxy:1", args=["--verbose"])
    edit_service(lambda service: service.template.containers.append(proxy))(google, made)
    assert deploy(made, google).status is Status.UNCHANGED
    assert deploy(replace(made, image=IMAGES[1]), google).status is Status.APPLIED
    ours, beside = message(made, google).template.containers
    assert ours.image == IMAGES[1]
    assert (beside.name, beside.image, list(beside.args)) == ("proxy", "gcr.io/somebody/proxy:1", ["--verbose"])


def test_the_name_that_somebody_gave_a_revision_is_not_sent_back(made: CloudRunService, google: Google) -> None:
    def name(service: run_v2.Service) -> None:
        service.template.revision = f"{made.service}-by-hand"
        service.template.max_instance_request_concurrency = 3

    edit_service(name)(google, made)
    assert message(made, google).template.revision == f"{made.service}-by-hand"
    assert deploy(made, google).status is Status.APPLIED
    assert message(made, google).template.revision == ""


def test_a_service_that_could_not_start_is_drift_and_the_next_run_makes_a_new_revision(
    service: CloudRunService, google: Google, world: World
) -> None:
    waiting = replace(service, secrets={"KEY": f"{service.service}:1"})
    outcome = deploy(waiting, google)
    assert outcome.status is Status.FAILED
    assert outcome.failure is not None
    assert f"Secret projects/123456789012/secrets/{service.service}/versions/1 was not found" in str(outcome.failure)

    world.cloud_run.secrets[service.service, "1"] = "a secret"
    actual = reading(waiting, google)
    assert [(field.name, field.before, field.after) for field in diff(waiting, actual)] == [("ready", False, True)]
    assert actual.ours
    assert deploy(waiting, google).status is Status.APPLIED
    assert len(revisions(waiting, world)) == 2
    assert deploy(waiting, google).status is Status.UNCHANGED


def test_a_revision_that_fails_again_is_a_failure_again(service: CloudRunService, google: Google) -> None:
    waiting = replace(service, secrets={"KEY": f"{service.service}:1"})
    assert [deploy(waiting, google).status for _ in range(3)] == [Status.FAILED] * 3


def test_a_service_that_somebody_is_changing_is_waited_for(made: CloudRunService, google: Google, world: World) -> None:
    record = world.cloud_run.find(made.resource_name)
    record.service.reconciling = True
    threading.Timer(0.4, setattr, (record.service, "reconciling", False)).start()
    assert reading(made, google).ready


def test_a_run_that_is_cancelled_while_somebody_else_changes_the_service_has_begun_nothing(
    made: CloudRunService, google: Google, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.cloud_run.find(made.resource_name).service.reconciling = True
    monkeypatch.setattr(google, "cancellation", Cancellation())
    threading.Timer(0.3, google.cancellation.ask).start()
    with pytest.raises(Cancelled) as caught:
        made.read(google)
    assert not caught.value.begun


def test_a_service_that_is_changing_for_too_long_is_not_ready(
    made: CloudRunService, google: Google, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.cloud_run.find(made.resource_name).service.reconciling = True
    monkeypatch.setattr(cloud_run_service, "RECONCILING_SECONDS", 0.1)
    assert not reading(made, google).ready


def test_what_somebody_changes_between_our_reading_and_our_writing_is_kept(
    made: CloudRunService, google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = google.run.get_service
    wanted = replace(made, concurrency=7)
    plan = make_plan([wanted], google, adopt=False)
    readings = []

    @functools.wraps(read)
    def read_and_be_overtaken(**arguments: Any) -> run_v2.Service:
        answer = read(**arguments)
        readings.append(answer)
        if len(readings) == 1:
            changed = run_v2.Service(answer)
            changed.labels = {**changed.labels, "team": "science"}
            google.run.update_service(service=changed).result(timeout=10)
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(google.run, "get_service", read_and_be_overtaken)
        (outcome,) = apply(plan, google, lambda _: None)
    assert outcome.status is Status.APPLIED
    assert len(readings) == 2
    service = message(made, google)
    assert service.labels["team"] == "science"
    assert service.template.max_instance_request_concurrency == 7


@pytest.fixture
def seen(world: World, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when Cloud Run sees the accounts."""
    seen = threading.Event()
    knows_account = world.iam.knows_account
    monkeypatch.setattr(world.iam, "knows_account", lambda email: seen.is_set() and knows_account(email))
    return seen


def test_an_account_of_this_deployment_that_cloud_run_does_not_see_yet_is_waited_for(
    service: CloudRunService, google: Google, seen: threading.Event
) -> None:
    threading.Timer(0.3, seen.set).start()
    new = replace(service, account_may_be_new=True)
    (outcome,) = apply(make_plan([new], google, adopt=False), google, lambda _: None)
    assert outcome.status is Status.APPLIED


@pytest.mark.usefixtures("seen")
def test_an_account_that_was_given_is_not_waited_for(service: CloudRunService, google: Google) -> None:
    (outcome,) = apply(make_plan([service], google, adopt=False), google, lambda _: None)
    assert "PERMISSION_DENIED from create_service" in str(outcome.failure)
    assert "actAs" in str(outcome.failure)


@pytest.mark.parametrize(("failure", "has_log"), [("run-port", True), ("run-image-404", False)])
def test_a_revision_whose_container_was_started_names_its_log(
    failure: str, has_log: bool, service: CloudRunService, google: Google, world: World
) -> None:
    world.faults.add(*(replace(fault, principal=OWNER) for fault in FAILURES[failure].faults()))
    with pytest.raises(GoogleError) as caught:
        service.create(google)
    world.faults.clear()
    source = caught.value.log_source
    assert (source is not None) == has_log
    if source is not None:
        revision = "my-org-sum-00001-abc"
        assert source == RevisionLog(project_id=PROJECT, location=LOCATION, service=service.service, revision=revision)
        assert caught.value.log_url == source.url


def test_a_revision_that_cloud_run_does_not_name_is_the_newest(made: CloudRunService, google: Google) -> None:
    revision = made._failed_revision(google, "The service is not ready.")
    assert revision == message(made, google).latest_created_revision.rpartition("/")[2]


def test_what_cloud_run_refuses_is_an_error_with_its_words(service: CloudRunService, google: Google) -> None:
    with pytest.raises(GoogleError, match=r"INVALID_ARGUMENT from create_service: .*memory must be between"):
        replace(service, memory=Memory(2**40)).create(google)


@pytest.mark.parametrize(
    ("quantity", "size"),
    [
        *(("512Mi", 2**29), ("0.5Gi", 2**29), ("1Gi", 2**30), ("1024Mi", 2**30), ("524288Ki", 2**29)),
        *(("500M", 500_000_000), ("1G", 10**9), ("128k", 128_000), ("536870912", 2**29)),
    ],
)
def test_amounts_of_memory_are_read_as_kubernetes_writes_them(quantity: str, size: int) -> None:
    assert bytes_of(quantity) == size


@pytest.mark.parametrize("quantity", ["", "Mi", "512MiB", "512 Mi", "-1Gi", "1e9", "1,5Gi", "512mi", "1Ti", "٣Gi?"])
def test_anything_else_is_no_amount_of_memory(quantity: str) -> None:
    with pytest.raises(ValueError, match="is no amount of memory"):
        bytes_of(quantity)


@pytest.mark.parametrize(
    ("quantity", "cpus"), [("1", "1"), ("1000m", "1"), ("500m", "0.5"), ("0.5", "0.5"), ("80m", "0.08"), ("4", "4")]
)
def test_numbers_of_cpus_are_read_as_kubernetes_writes_them(quantity: str, cpus: str) -> None:
    assert cpus_of(quantity) == Decimal(cpus)


@pytest.mark.parametrize(
    ("memory", "cpu", "limits"),
    [
        (2**29, "1", {"memory": "512Mi", "cpu": "1000m"}),
        (2**30, "2", {"memory": "1Gi", "cpu": "2000m"}),
        (500_000_000, "1", {"memory": "500000000", "cpu": "1000m"}),
        (2**28, "0.5", {"memory": "256Mi", "cpu": "500m"}),
        (2**27, "0.08", {"memory": "128Mi", "cpu": "80m"}),
    ],
)
def test_limits_are_written_so_that_they_read_the_same(
    memory: int, cpu: str, limits: Mapping[str, str], service: CloudRunService, google: Google
) -> None:
    sized = replace(service, memory=Memory(memory), cpu=Decimal(cpu), concurrency=1)
    assert diff(sized, sized.create(google)) == ()
    assert dict(message(sized, google).template.containers[0].resources.limits) == limits


def test_the_same_size_in_other_words_is_neither_drift_nor_rewritten(made: CloudRunService, google: Google) -> None:
    larger = replace(made, memory=Memory(2**30))
    words = {"memory": "1Gi", "cpu": "1"}
    edit_container(lambda container: container.resources.limits.update(words))(google, made)
    assert deploy(larger, google).status is Status.UNCHANGED
    assert deploy(replace(larger, concurrency=3), google).status is Status.APPLIED
    assert dict(message(made, google).template.containers[0].resources.limits) == words


def test_part_of_a_second_is_no_drift(made: CloudRunService, google: Google) -> None:
    timeout = duration_pb2.Duration(seconds=3599, nanos=500_000_000)
    edit_service(lambda service: setattr(service.template, "timeout", timeout))(google, made)
    assert reading(made, google).timeout == 3599


@pytest.mark.parametrize(
    ("edit", "shown"),
    [
        (lambda s: setattr(s, "ingress", run_v2.IngressTraffic.INGRESS_TRAFFIC_ALL), "all"),
        (
            lambda s: setattr(s, "ingress", run_v2.IngressTraffic.INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER),
            "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
        ),
    ],
)
def test_an_ingress_that_cannot_be_asked_for_is_shown_by_its_own_name(
    edit: Callable[[run_v2.Service], object], shown: str, made: CloudRunService, google: Google
) -> None:
    edit_service(edit)(google, made)
    assert reading(made, google).ingress == shown


def test_values_of_variables_are_shown_to_nobody(made: CloudRunService, google: Google) -> None:
    changed = replace(made, environment={**made.environment, "PASSWORD": "correct horse"})
    plan = make_plan([changed], google, adopt=False)
    assert "correct horse" not in str(plan.as_json())
    assert "environment[PASSWORD]" in str(plan.as_json())
