from __future__ import annotations

import grpc
import pytest
from google.iam.v1 import policy_pb2
from google.protobuf.field_mask_pb2 import FieldMask
from google.type import expr_pb2

from emulator.errors import ApiError
from emulator.policies import Policies
from emulator.world import World

TOPIC = "projects/my-project/topics/t"
OWNER = "user:owner@example.com"
GUEST = "user:guest@example.com"
CONDITION = expr_pb2.Expr(title="for-now", expression="request.time < timestamp('2030-01-01T00:00:00Z')")


@pytest.fixture
def policies(world: World) -> Policies:
    return world.policies


def policy(*bindings: policy_pb2.Binding, etag: bytes = b"", version: int = 0) -> policy_pb2.Policy:
    return policy_pb2.Policy(bindings=bindings, etag=etag, version=version)


def binding(role: str, *members: str, condition: expr_pb2.Expr | None = None) -> policy_pb2.Binding:
    return policy_pb2.Binding(role=role, members=members, condition=condition)


def test_a_policy_that_nobody_wrote_is_empty_and_has_an_etag(policies: Policies) -> None:
    assert policies.get(TOPIC) == policy_pb2.Policy(etag=b"\x00\x20\x01")


def test_what_was_written_is_read(policies: Policies) -> None:
    written = policies.set(TOPIC, policy(binding("roles/a", OWNER)))

    assert policies.get(TOPIC) == written
    assert policies.members(TOPIC, "roles/a") == {OWNER}
    assert policies.grants(TOPIC, ["roles/b", "roles/a"], [GUEST, OWNER])
    assert not policies.grants(TOPIC, ["roles/b"], [OWNER])


def test_every_write_gives_another_etag(policies: Policies) -> None:
    first = policies.set(TOPIC, policy(binding("roles/a", OWNER)))
    second = policies.set(TOPIC, policy(binding("roles/a", OWNER)))

    assert first.etag != second.etag


def test_a_write_from_an_older_policy_is_aborted(policies: Policies) -> None:
    old = policies.get(TOPIC).etag
    policies.set(TOPIC, policy(binding("roles/a", OWNER), etag=old))

    with pytest.raises(ApiError, match="There were concurrent policy changes") as refusal:
        policies.set(TOPIC, policy(binding("roles/a", GUEST), etag=old))

    assert refusal.value.code == grpc.StatusCode.ABORTED
    assert policies.members(TOPIC, "roles/a") == {OWNER}


def test_bindings_of_one_role_become_one_with_each_member_once(policies: Policies) -> None:
    written = policies.set(
        TOPIC, policy(binding("roles/a", OWNER, OWNER), binding("roles/a", GUEST, OWNER), binding("roles/b"))
    )

    assert list(written.bindings) == [binding("roles/a", OWNER, GUEST)]


def test_conditions_need_version_3(policies: Policies) -> None:
    conditional = binding("roles/a", OWNER, condition=CONDITION)
    with pytest.raises(ApiError, match="must be 3"):
        policies.set(TOPIC, policy(conditional, version=1))

    assert policies.set(TOPIC, policy(conditional, version=3)).version == 3


def test_a_policy_with_conditions_is_not_overwritten_by_one_of_version_1(policies: Policies) -> None:
    etag = policies.set(TOPIC, policy(binding("roles/a", OWNER, condition=CONDITION), version=3)).etag

    with pytest.raises(ApiError, match="must be 3"):
        policies.set(TOPIC, policy(binding("roles/b", OWNER), etag=etag, version=1))


def test_below_version_3_conditions_are_left_out_and_their_roles_marked(policies: Policies) -> None:
    policies.set(TOPIC, policy(binding("roles/a", OWNER, condition=CONDITION), version=3))

    read = policies.get(TOPIC, requested_version=1)

    assert read.version == 1
    assert read.bindings[0].role.startswith("roles/a_withcond_")
    assert not read.bindings[0].HasField("condition")
    with pytest.raises(ApiError, match="not supported"):
        policies.set(TOPIC, read)


def test_a_conditional_binding_grants_nothing_for_certain(policies: Policies) -> None:
    policies.set(TOPIC, policy(binding("roles/a", OWNER, condition=CONDITION), version=3))

    assert policies.members(TOPIC, "roles/a") == set()


@pytest.mark.parametrize(
    ("role", "member", "message"),
    [
        (
            "roles/a",
            "serviceAccount:nobody@my-project.iam.gserviceaccount.com",
            "Service account nobody@my-project.iam.gserviceaccount.com does not exist.",
        ),
        ("roles/a", "nobody", "Invalid member: nobody."),
        ("projects/my-project/roles/none", OWNER, "Role projects/my-project/roles/none does not exist"),
    ],
)
def test_who_or_what_does_not_exist_cannot_be_granted(policies: Policies, role: str, member: str, message: str) -> None:
    with pytest.raises(ApiError, match=message) as refusal:
        policies.set(TOPIC, policy(binding(role, member)))

    assert refusal.value.code == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "member",
    [
        "serviceAccount:deployer@my-project.iam.gserviceaccount.com",
        "serviceAccount:service-1@gcp-sa-pubsub.iam.gserviceaccount.com",
        "deleted:serviceAccount:gone@my-project.iam.gserviceaccount.com?uid=1",
        "allUsers",
    ],
)
def test_accounts_that_exist_and_those_of_others_can_be_granted(policies: Policies, member: str) -> None:
    policies.set(TOPIC, policy(binding("roles/a", member)))

    assert policies.members(TOPIC, "roles/a") == {member}


def test_audit_configuration_stays_unless_the_mask_names_it(policies: Policies) -> None:
    audited = policy_pb2.Policy(audit_configs=[policy_pb2.AuditConfig(service="allServices")])
    policies.set(TOPIC, audited, FieldMask(paths=["auditConfigs"]))
    policies.set(TOPIC, policy(binding("roles/a", OWNER)))

    assert policies.get(TOPIC).audit_configs[0].service == "allServices"
    assert policies.members(TOPIC, "roles/a") == {OWNER}


def test_a_deleted_account_is_named_as_deleted(policies: Policies) -> None:
    member = "serviceAccount:deployer@my-project.iam.gserviceaccount.com"
    policies.set(TOPIC, policy(binding("roles/a", member, OWNER)))
    policies.mark_deleted("deployer@my-project.iam.gserviceaccount.com", "123")

    assert policies.members(TOPIC, "roles/a") == {f"deleted:{member}?uid=123", OWNER}


def test_a_removed_policy_is_empty_again(policies: Policies) -> None:
    policies.set(TOPIC, policy(binding("roles/a", OWNER)))
    policies.remove(TOPIC)

    assert TOPIC not in policies.names()
    assert not policies.get(TOPIC).bindings
