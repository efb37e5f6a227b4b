"""Which APIs are on, how they are switched on and off, and when their agents are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import resourcemanager_v3, run_v2
from google.cloud import service_usage_v1 as usage_v1
from google.cloud.resourcemanager_v3.services.projects.transports import ProjectsGrpcTransport
from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport
from google.cloud.service_usage_v1.services.service_usage.transports import ServiceUsageGrpcTransport
from google.iam.v1 import policy_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from emulator import apis
from emulator.server import Emulator
from emulator.services.service_usage import ServiceUsage
from emulator.world import WorldSettings
from tests.emulator.calls import OWNER, Refused, caller

PROJECT = "projects/my-project"
RUN = f"{PROJECT}/services/run.googleapis.com"
EVENTARC_AGENT = "service-123456789012@gcp-sa-eventarc.iam.gserviceaccount.com"
RUN_AGENT = "service-123456789012@serverless-robot-prod.iam.gserviceaccount.com"
URL = "serviceusage.googleapis.com/v1"
IDENTITY = f"serviceusage.googleapis.com/v1beta1/{PROJECT}/services/{{}}:generateServiceIdentity"
State = usage_v1.State


@pytest.fixture
def settings(settings: WorldSettings) -> WorldSettings:
    return replace(settings, is_set_up=False)


@pytest.fixture
def emulator(settings: WorldSettings) -> Iterator[Emulator]:
    with Emulator(settings) as emulator:
        yield emulator


@pytest.fixture
def channel(emulator: Emulator, open_channel: Callable[[str], grpc.Channel]) -> grpc.Channel:
    return open_channel(emulator.world.tokens.issue_access_token(OWNER))


@pytest.fixture
def usage(channel: grpc.Channel) -> usage_v1.ServiceUsageClient:
    return usage_v1.ServiceUsageClient(transport=ServiceUsageGrpcTransport(channel=channel))


def enabled(usage: usage_v1.ServiceUsageClient) -> set[str]:
    found = usage.list_services(request={"parent": PROJECT, "filter": "state:ENABLED"})
    return {service.config.name for service in found}


def members(emulator: Emulator, role: str) -> frozenset[str]:
    return emulator.world.policies.members(PROJECT, role)


def test_a_new_project_has_the_apis_that_google_switches_on(usage: usage_v1.ServiceUsageClient) -> None:
    assert {"serviceusage.googleapis.com", "logging.googleapis.com"} <= enabled(usage)
    assert enabled(usage).isdisjoint(
        {"run.googleapis.com", "iam.googleapis.com", "cloudresourcemanager.googleapis.com"}
    )


def test_an_api_is_read_by_the_projects_id_and_named_by_its_number(usage: usage_v1.ServiceUsageClient) -> None:
    service = usage.get_service(request={"name": RUN})

    assert service.name == "projects/123456789012/services/run.googleapis.com"
    assert service.parent == "projects/123456789012"
    assert service.config.title == "Cloud Run Admin API"
    assert service.state == State.DISABLED


def test_an_api_that_is_switched_on_is_on(usage: usage_v1.ServiceUsageClient) -> None:
    answer = usage.enable_service(request={"name": RUN}).result(5)

    assert answer.service.state == State.ENABLED
    assert usage.get_service(request={"name": RUN}).state == State.ENABLED


def test_to_switch_on_what_is_on_is_done_at_once(usage: usage_v1.ServiceUsageClient) -> None:
    usage.enable_service(request={"name": RUN}).result(5)

    again = usage.enable_service(request={"name": RUN})

    assert again.operation.done
    assert again.operation.name == "operations/noop.DONE_OPERATION"


def test_many_apis_are_switched_on_together(usage: usage_v1.ServiceUsageClient) -> None:
    hosts = ["run.googleapis.com", "iam.googleapis.com"]

    operation = usage.batch_enable_services(request={"parent": PROJECT, "service_ids": hosts})

    assert [service.config.name for service in operation.result(5).services] == hosts
    assert set(hosts) <= enabled(usage)


def test_of_many_apis_none_is_switched_on_where_one_is_unknown(usage: usage_v1.ServiceUsageClient) -> None:
    hosts = ["run.googleapis.com", "gmail-api.googleapis.com"]

    with pytest.raises(exceptions.PermissionDenied, match=r"for service\(s\): gmail-api") as refusal:
        usage.batch_enable_services(request={"parent": PROJECT, "service_ids": hosts})

    assert refusal.value.reason == "SERVICE_CONFIG_NOT_FOUND_OR_PERMISSION_DENIED"
    assert "run.googleapis.com" not in enabled(usage)


def test_no_more_than_20_apis_are_switched_on_together(usage: usage_v1.ServiceUsageClient) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="At most 20"):
        usage.batch_enable_services(request={"parent": PROJECT, "service_ids": sorted(apis.APIS)[:21]})


def test_several_apis_are_read_together(usage: usage_v1.ServiceUsageClient) -> None:
    names = [RUN, f"{PROJECT}/services/logging.googleapis.com"]

    found = usage.batch_get_services(request={"parent": PROJECT, "names": names}).services

    assert [service.state for service in found] == [State.DISABLED, State.ENABLED]


def test_the_list_has_pages_and_a_filter(usage: usage_v1.ServiceUsageClient) -> None:
    listed = list(usage.list_services(request={"parent": PROJECT, "page_size": 3}))
    off = list(usage.list_services(request={"parent": PROJECT, "filter": "state:DISABLED"}))

    assert [service.config.name for service in listed] == sorted(apis.APIS)
    assert {service.config.name for service in off} == apis.APIS.keys() - enabled(usage)
    with pytest.raises(exceptions.InvalidArgument, match="Invalid filter"):
        list(usage.list_services(request={"parent": PROJECT, "filter": "name:run"}))


def test_what_is_switched_off_is_off_and_cannot_be_switched_off_again(usage: usage_v1.ServiceUsageClient) -> None:
    usage.enable_service(request={"name": RUN}).result(5)

    usage.disable_service(request={"name": RUN}).result(5)

    assert usage.get_service(request={"name": RUN}).state == State.DISABLED
    with pytest.raises(exceptions.FailedPrecondition, match="not enabled"):
        usage.disable_service(request={"name": RUN})


def test_another_project_may_not_exist(usage: usage_v1.ServiceUsageClient) -> None:
    with pytest.raises(exceptions.PermissionDenied):
        usage.get_service(request={"name": "projects/other/services/run.googleapis.com"})


def test_an_operation_is_asked_for_over_http(emulator: Emulator) -> None:
    call = caller(emulator)

    answer = call("POST", f"{URL}/{PROJECT}/services:batchEnable", {"serviceIds": ["run.googleapis.com"]})

    assert answer["services"][0]["state"] == "ENABLED"


@pytest.mark.parametrize("verb", ["enable", "disable"])
def test_who_may_only_look_switches_nothing(emulator: Emulator, verb: str) -> None:
    policy = emulator.world.policies.get(PROJECT)
    policy.bindings.add(role="roles/serviceusage.serviceUsageViewer", members=["user:anna@example.com"])
    emulator.world.policies.seed(PROJECT, policy)
    call = caller(emulator, "user:anna@example.com")

    assert call("GET", f"{URL}/{RUN}")["state"] == "DISABLED"
    with pytest.raises(Refused, match=rf"serviceusage\.services\.{verb}"):
        call("POST", f"{URL}/{RUN}:{verb}", {})


# An API that is off


def test_an_api_that_is_off_refuses_in_googles_words(channel: grpc.Channel) -> None:
    client = run_v2.ServicesClient(transport=ServicesGrpcTransport(channel=channel))
    url = "https://console.developers.google.com/apis/api/run.googleapis.com/overview?project=123456789012"

    with pytest.raises(exceptions.PermissionDenied) as refusal:
        client.get_service(name=f"{PROJECT}/locations/europe-west1/services/sum", retry=None)

    assert refusal.value.message == (
        "Cloud Run Admin API has not been used in project 123456789012 before or it is disabled. Enable it by visiting "
        f"{url} then retry. If you enabled this API recently, wait a few minutes for the action to propagate to our "
        "systems and retry."
    )
    assert refusal.value.reason == "SERVICE_DISABLED"
    assert refusal.value.domain == "googleapis.com"
    assert refusal.value.metadata == {
        "service": "run.googleapis.com",
        "consumer": "projects/123456789012",
        "activationUrl": url,
    }
    status = rpc_status.from_call(refusal.value.errors[0])
    assert status is not None
    shown = error_details_pb2.Help()
    assert status.details[-1].Unpack(shown)
    assert shown.links[0].url == url


def test_an_api_that_is_off_says_so_before_permissions_are_looked_at(emulator: Emulator) -> None:
    call = caller(emulator, "user:stranger@example.com")

    with pytest.raises(Refused, match="has not been used in project") as refusal:
        call("GET", f"pubsub.googleapis.com/v1/{PROJECT}/topics/t")

    assert refusal.value.status == 403
    emulator.world.service_usage.enable("pubsub.googleapis.com")
    with pytest.raises(Refused, match="User not authorized"):
        call("GET", f"pubsub.googleapis.com/v1/{PROJECT}/topics/t")


def test_a_token_that_is_none_is_refused_before_the_api_is_looked_at(
    open_channel: Callable[[str], grpc.Channel],
) -> None:
    client = resourcemanager_v3.ProjectsClient(transport=ProjectsGrpcTransport(channel=open_channel("nonsense")))

    with pytest.raises(exceptions.Unauthenticated):
        client.get_project(name=PROJECT, retry=None)


def test_an_api_can_be_switched_off_in_the_middle(emulator: Emulator) -> None:
    call = caller(emulator)
    emulator.world.service_usage.enable("pubsub.googleapis.com")
    call("PUT", f"pubsub.googleapis.com/v1/{PROJECT}/topics/topic-1", {})

    emulator.world.service_usage.disable("pubsub.googleapis.com")
    with pytest.raises(Refused, match="Cloud Pub/Sub API has not been used"):
        call("GET", f"pubsub.googleapis.com/v1/{PROJECT}/topics/topic-1:getIamPolicy")
    with pytest.raises(Refused, match="Cloud Pub/Sub API has not been used"):
        call("GET", f"pubsub.googleapis.com/v1/{PROJECT}/topics/topic-1")

    emulator.world.service_usage.enable("pubsub.googleapis.com")
    assert call("GET", f"pubsub.googleapis.com/v1/{PROJECT}/topics/topic-1")["name"] == f"{PROJECT}/topics/topic-1"


def test_each_method_that_is_answered_belongs_to_an_api(emulator: Emulator) -> None:
    shared = ("google.iam.v1.IAMPolicy/", "google.longrunning.Operations/")
    services = emulator.world.services
    names = {name for service in services for name in service.SERVICES}

    unknown = {name for name in names if apis.of_method(f"{name}/Get") is None and not f"{name}/".startswith(shared)}

    assert unknown == set()


@pytest.mark.parametrize(
    ("method", "about", "host"),
    [
        ("google.iam.v1.IAMPolicy/GetIamPolicy", {"resource": f"{PROJECT}/topics/t"}, "pubsub.googleapis.com"),
        ("google.iam.v1.IAMPolicy/SetIamPolicy", {"resource": "p/l/triggers/t"}, "eventarc.googleapis.com"),
        ("google.longrunning.Operations/GetOperation", {"operation": "cloud_run create"}, "run.googleapis.com"),
        ("google.longrunning.Operations/GetOperation", {"operation": "iam create"}, "iam.googleapis.com"),
        ("google.longrunning.Operations/GetOperation", {}, None),
        ("github.rest.Issues/CreateComment", {}, None),
    ],
)
def test_a_service_that_apis_share_belongs_to_what_it_is_asked_about(
    method: str, about: dict[str, str], host: str | None
) -> None:
    assert apis.of_method(method, **about) == host


# Agents


def test_an_agent_is_made_and_gets_its_role_when_its_api_is_switched_on(
    emulator: Emulator, usage: usage_v1.ServiceUsageClient
) -> None:
    assert not emulator.world.service_usage.knows_agent(RUN_AGENT)

    usage.enable_service(request={"name": RUN}).result(5)

    assert members(emulator, "roles/run.serviceAgent") == {f"serviceAccount:{RUN_AGENT}"}


def test_an_agent_of_the_other_kind_is_made_when_somebody_asks_for_it_and_gets_no_role(
    emulator: Emulator, usage: usage_v1.ServiceUsageClient
) -> None:
    usage.enable_service(request={"name": f"{PROJECT}/services/eventarc.googleapis.com"}).result(5)
    assert not emulator.world.service_usage.knows_agent(EVENTARC_AGENT)

    first, second = (caller(emulator)("POST", IDENTITY.format("eventarc.googleapis.com"), {}) for _ in range(2))

    assert first["@type"] == "type.googleapis.com/google.api.serviceusage.v1beta1.ServiceIdentity"
    assert first["email"] == EVENTARC_AGENT
    assert len(first["uniqueId"]) == 21
    assert second == first
    assert members(emulator, "roles/eventarc.serviceAgent") == frozenset()
    assert [request.writes for request in emulator.world.requests][-1]


def test_an_api_without_agent_gives_none(emulator: Emulator) -> None:
    answer = caller(emulator)("POST", IDENTITY.format("iam.googleapis.com"), {})

    assert "email" not in answer


def test_a_policy_names_no_agent_that_is_not_there(emulator: Emulator) -> None:
    policy = policy_pb2.Policy(
        bindings=[policy_pb2.Binding(role="roles/eventarc.serviceAgent", members=[f"serviceAccount:{EVENTARC_AGENT}"])]
    )

    with pytest.raises(Exception, match=f"Service account {EVENTARC_AGENT} does not exist"):
        emulator.world.policies.set(PROJECT, policy)

    emulator.world.service_usage.make_agent("eventarc.googleapis.com")
    emulator.world.policies.set(PROJECT, policy)


def test_the_agent_that_is_there_is_made_once(emulator: Emulator) -> None:
    usage: ServiceUsage = emulator.world.service_usage

    usage.use("pubsub.googleapis.com")
    usage.use("pubsub.googleapis.com")

    (binding,) = [b for b in emulator.world.policies.get(PROJECT).bindings if b.role == "roles/pubsub.serviceAgent"]
    assert len(binding.members) == 1


def test_an_api_that_has_no_agent_makes_none(emulator: Emulator) -> None:
    with pytest.raises(ValueError, match="has no agent"):
        emulator.world.service_usage.make_agent("iam.googleapis.com")
