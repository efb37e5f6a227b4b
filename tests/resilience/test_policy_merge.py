"""A policy belongs to everybody who works in a project: of any policy, only our own member is added or taken away."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from google.iam.v1 import policy_pb2
from google.type import expr_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.server import Emulator
from emulator.world import World, WorldSettings
from octue_action.auth import sign_in
from octue_action.google import Google
from octue_action.resources.iam_member import IamMember, add_member, remove_member
from octue_action.settings import load
from tests.resilience.rows import Row
from tests.rights import everything_to
from tests.runs import OCTUE_YAML

ROW = "policy merge"

PROJECT = "projects/my-project"
ROLE = f"{PROJECT}/roles/octue_service_user"
ACCOUNT = "sum@elsewhere.iam.gserviceaccount.com"
MEMBER = f"serviceAccount:{ACCOUNT}"
POOL = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool"

Grant = tuple[str, bytes, str]

OURS: Grant = (ROLE, b"", MEMBER)

ROLES = (
    ROLE,
    f"{ROLE}s",
    ROLE.upper(),
    ROLE.removesuffix("r"),
    "roles/owner",
    "roles/run.invoker",
    "organizations/1/roles/octue_service_user",
)
MEMBERS = (
    MEMBER,
    f"serviceAccount:{ACCOUNT.upper()}",
    MEMBER.lower().replace("serviceaccount", "serviceAccount:x"),
    f"{MEMBER}.example",
    MEMBER.removesuffix("m"),
    f"deleted:{MEMBER}?uid=123456789012345678901",
    f"user:{ACCOUNT}",
    "user:owner@example.com",
    "group:scientists@example.com",
    "domain:example.com",
    "projectOwner:my-project",
    f"principal:{POOL}/subject/octocat",
    f"principalSet:{POOL}/attribute.actor/octocat",
    "allAuthenticatedUsers",
    "allUsers",
)
ON_SERVICES_ONLY = ("allUsers", "allAuthenticatedUsers")
CONDITIONS = (
    None,
    expr_pb2.Expr(),
    expr_pb2.Expr(title="a title alone"),
    expr_pb2.Expr(description="a description alone"),
    expr_pb2.Expr(expression="true"),
    expr_pb2.Expr(expression="true", title="always"),
    expr_pb2.Expr(expression='request.time < timestamp("2030-01-01T00:00:00Z")', title="for a while", location="x"),
)
OF_TOMORROW = (b"", b"\xa2\x06\x03new", b"\xa8\x06\x01")
"""Fields that Google may add one day, and that this version does not know."""

POLICIES, POLICIES_IN_A_SAMPLE = 10_000, 300
IN_THE_CLOUD, IN_THE_CLOUD_IN_A_SAMPLE = 1_000, 50


@st.composite
def policies(
    draw: st.DrawFn,
    roles: tuple[str, ...] = ROLES,
    members: tuple[str, ...] = MEMBERS,
    unknown: tuple[bytes, ...] = OF_TOMORROW,
) -> policy_pb2.Policy:
    """Policies as Google gives them and worse: a role in several bindings, a member twice in one, or none in it."""
    policy = policy_pb2.Policy(version=draw(st.sampled_from((0, 1, 3))), etag=draw(st.binary(max_size=8)))
    # Weighted towards what is ours, or nearly: a policy of strangers alone teaches little.
    role, member = st.sampled_from((ROLE, ROLE, *roles)), st.sampled_from((MEMBER, *members))
    binding = st.tuples(
        role, st.lists(member, max_size=5), st.sampled_from((None, *CONDITIONS)), st.sampled_from(unknown)
    )
    count = draw(st.integers(0, 40))
    for name, names, condition, more in draw(st.lists(binding, min_size=count // 2, max_size=count)):
        added = policy.bindings.add(role=name, members=names)
        added.MergeFromString(more)
        if condition is not None:
            added.condition.CopyFrom(condition)
    for service in draw(st.lists(st.sampled_from(("allServices", "run.googleapis.com")), max_size=3)):
        logged = policy.audit_configs.add(service=service).audit_log_configs
        logged.add(log_type="DATA_WRITE", exempted_members=draw(st.lists(member, max_size=2)))
    policy.MergeFromString(draw(st.sampled_from(unknown)))
    return policy


def grants(policy: policy_pb2.Policy) -> Counter[Grant]:
    """Who has which role under which condition, and how often it is written there."""
    return Counter((b.role, b.condition.SerializeToString(), member) for b in policy.bindings for member in b.members)


def copy_of(policy: policy_pb2.Policy) -> policy_pb2.Policy:
    copy = policy_pb2.Policy()
    copy.CopyFrom(policy)
    return copy


def without_ours(policy: policy_pb2.Policy) -> bytes:
    """All of a policy, in its order, but our grant and a binding that has nothing else."""
    rest = copy_of(policy)
    del rest.bindings[:]
    for binding in policy.bindings:
        others = rest.bindings.add()
        others.CopyFrom(binding)
        if (binding.role, binding.condition.SerializeToString()) == OURS[:2]:
            others.members[:] = [member for member in binding.members if member != MEMBER]
            if binding.members and not others.members:
                del rest.bindings[-1]
    return bytes(rest.SerializeToString(deterministic=True))


def hold_adding(before: policy_pb2.Policy) -> None:
    after = copy_of(before)
    changed = add_member(after, ROLE, MEMBER)
    added, taken = grants(after) - grants(before), grants(before) - grants(after)
    assert changed == (OURS not in grants(before))
    assert (added, taken) == (Counter({OURS: 1}) if changed else Counter(), Counter())
    assert without_ours(after) == without_ours(before)
    if not changed:
        assert after == before
    once = copy_of(after)
    assert not add_member(after, ROLE, MEMBER)
    assert after == once
    if changed:
        remove_member(after, ROLE, MEMBER)
        assert after.SerializeToString(deterministic=True) == before.SerializeToString(deterministic=True)


def hold_taking(before: policy_pb2.Policy) -> None:
    after = copy_of(before)
    changed = remove_member(after, ROLE, MEMBER)
    assert changed == (OURS in grants(before))
    assert grants(after) == Counter({grant: count for grant, count in grants(before).items() if grant != OURS})
    assert after.SerializeToString(deterministic=True) == without_ours(before)
    assert not remove_member(after, ROLE, MEMBER)


def hold_for_all(
    drawn: st.SearchStrategy[policy_pb2.Policy], check: Callable[[policy_pb2.Policy], None], row: Row, examples: int
) -> None:
    """Check as many policies, the same ones each time, and count them."""

    @settings(max_examples=examples, deadline=None, derandomize=True, database=None)
    @given(policy=drawn)
    def law(policy: policy_pb2.Policy) -> None:
        row.scenarios += 1
        check(policy)

    begin = time.perf_counter()
    try:
        law()
    except Exception as error:  # whatever it is, the row counts it, and the test fails with it
        row.failures.append(f"{type(error).__name__}: {error}")
        raise
    finally:
        row.seconds += time.perf_counter() - begin


def test_of_any_policy_only_our_member_is_added_or_taken_away(row: Row) -> None:
    seen: Counter[bool] = Counter()

    def check(before: policy_pb2.Policy) -> None:
        seen[OURS in grants(before)] += 1
        hold_adding(before)
        hold_taking(before)

    hold_for_all(policies(), check, row, POLICIES if row.choice.full else POLICIES_IN_A_SAMPLE)
    assert min(seen[True], seen[False]) > row.scenarios / 10, "both kinds of policy are tried"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("policies")
    with Emulator(WorldSettings(state=folder / "state", cache=folder / "cache")) as emulator:
        yield emulator.world


@pytest.fixture(scope="module")
def google(world: World, tmp_path_factory: pytest.TempPathFactory) -> Google:
    workspace = tmp_path_factory.mktemp("workspace")
    (workspace / "octue.yaml").write_text(OCTUE_YAML)
    (workspace / "Dockerfile").write_text("FROM scratch\n")
    settings = load(
        world.github.start_run()
        | {
            "GITHUB_WORKSPACE": str(workspace),
            "GOOGLE_CLOUD_EMULATOR_HOST": world.address,
            "INPUT_WORKLOAD_IDENTITY_PROVIDER": world.sts.provider.name,
            "INPUT_DEPLOYER_SERVICE_ACCOUNT": world.iam.deployer,
        }
    )
    return Google(sign_in(settings, mask=lambda _: None), settings.emulator)


def written(world: World, before: int) -> int:
    """How often the policy has been written since there were so many requests."""
    return sum(request.method.endswith("/SetIamPolicy") for request in list(world.requests)[before:])


def hold_in_the_cloud(seeded: policy_pb2.Policy, world: World, google: Google) -> None:
    ours = IamMember(resource=PROJECT, role=ROLE, member=MEMBER, member_may_be_new=False)
    seeded.bindings.append(everything_to(world))
    world.policies.seed(PROJECT, seeded)
    before, requests = world.policies.get(PROJECT), len(world.requests)
    actual = ours.read(google)
    assert actual is not None
    assert actual.granted == (OURS in grants(before))

    assert ours.create(google).granted
    assert written(world, requests) == (not actual.granted)
    granted = world.policies.get(PROJECT)
    assert set(grants(granted)) == {*grants(before), OURS}
    assert list(granted.audit_configs) == list(before.audit_configs)
    if actual.granted:
        assert granted == before

    ours.delete(google)
    taken = world.policies.get(PROJECT)
    assert set(grants(taken)) == {*grants(before)} - {OURS}
    assert list(taken.audit_configs) == list(before.audit_configs)


def test_of_any_policy_in_the_cloud_only_our_member_is_added_or_taken_away(
    world: World, google: Google, row: Row
) -> None:
    roles = tuple(role for role in ROLES if role == ROLE or not role.startswith(PROJECT))
    members = tuple(member for member in MEMBERS if member not in ON_SERVICES_ONLY)

    hold_for_all(
        policies(roles, members, unknown=(b"",)),
        lambda seeded: hold_in_the_cloud(seeded, world, google),
        row,
        IN_THE_CLOUD if row.choice.full else IN_THE_CLOUD_IN_A_SAMPLE,
    )
