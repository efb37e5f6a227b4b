"""Members of IAM policies, which belong to everyone who works in a project."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.iam.v1 import policy_pb2
from google.type import expr_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.errors import ApiError
from emulator.faults import Fault
from emulator.world import World
from octue_action import quirks
from octue_action.apply import Status, apply
from octue_action.cancellation import Cancellation
from octue_action.failure import GoogleError
from octue_action.google import Google
from octue_action.plan import make_plan
from octue_action.resources.iam_member import IamMember, add_member, remove_member
from octue_action.resources.service_account import ServiceAccount
from tests.clocks import SimulatedClock
from tests.octue_action.resources.kinds import LABELS, OWNER, PROJECT, STANDING, policy_of, set_policy

ROLE = f"projects/{PROJECT}/roles/octue_service_user"
MEMBER = "serviceAccount:sum@my-project.iam.gserviceaccount.com"

Grant = tuple[str, str, str]

ROLES = st.sampled_from([ROLE, "roles/viewer", "roles/run.invoker"])
MEMBERS = st.sampled_from(
    [
        MEMBER,
        "user:owner@example.com",
        "group:scientists@example.com",
        "deleted:serviceAccount:sum@my-project.iam.gserviceaccount.com?uid=123456789012345678901",
        "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/attribute.actor/octocat",
    ]
)
CONDITIONS = st.sampled_from(["", "", "request.time < timestamp('2030-01-01T00:00:00Z')"])
GRANTED = settings(max_examples=1000, deadline=None, derandomize=True, database=None)


@st.composite
def policies(draw: st.DrawFn) -> policy_pb2.Policy:
    """Policies as Google gives them and worse: several bindings of one role, bindings without members."""
    policy = policy_pb2.Policy(version=3, etag=draw(st.binary(max_size=4)))
    for role, members, condition in draw(
        st.lists(st.tuples(ROLES, st.lists(MEMBERS, unique=True, max_size=4), CONDITIONS), max_size=6)
    ):
        binding = policy.bindings.add(role=role, members=members)
        if condition:
            binding.condition.CopyFrom(expr_pb2.Expr(title="for a while", expression=condition))
    for service in draw(st.lists(st.sampled_from(["allServices", "run.googleapis.com"]), unique=True)):
        policy.audit_configs.add(service=service).audit_log_configs.add(log_type="DATA_WRITE")
    return policy


def grants(policy: policy_pb2.Policy) -> set[Grant]:
    return {(b.role, b.condition.expression, member) for b in policy.bindings for member in b.members}


def without_ours(policy: policy_pb2.Policy) -> list[policy_pb2.Binding]:
    """The bindings with all that is not our grant, in order; those that held nothing else are left out."""
    kept = []
    for binding in policy.bindings:
        others = policy_pb2.Binding()
        others.CopyFrom(binding)
        if binding.role == ROLE and not binding.condition.expression and MEMBER in binding.members:
            others.members.remove(MEMBER)
            if not others.members:
                continue
        kept.append(others)
    return kept


def copy_of(policy: policy_pb2.Policy) -> policy_pb2.Policy:
    copy = policy_pb2.Policy()
    copy.CopyFrom(policy)
    return copy


@GRANTED
@given(before=policies())
def test_granting_adds_our_member_and_changes_nothing_else(before: policy_pb2.Policy) -> None:
    after = copy_of(before)
    changed = add_member(after, ROLE, MEMBER)
    ours = (ROLE, "", MEMBER)
    assert changed == (ours not in grants(before))
    assert grants(after) == grants(before) | {ours}
    assert after.audit_configs == before.audit_configs
    assert (after.etag, after.version) == (before.etag, before.version)
    if not changed:
        assert after == before
    assert not add_member(after, ROLE, MEMBER)


@GRANTED
@given(before=policies())
def test_revoking_takes_our_member_and_changes_nothing_else(before: policy_pb2.Policy) -> None:
    after = copy_of(before)
    changed = remove_member(after, ROLE, MEMBER)
    ours = (ROLE, "", MEMBER)
    assert changed == (ours in grants(before))
    assert grants(after) == grants(before) - {ours}
    assert list(after.bindings) == without_ours(before)
    assert after.audit_configs == before.audit_configs
    assert (after.etag, after.version) == (before.etag, before.version)


def policy_with(*members: str, title: str = "") -> policy_pb2.Policy:
    """One with a single binding of our role."""
    policy = policy_pb2.Policy()
    policy.bindings.add(role=ROLE, members=members, condition=expr_pb2.Expr(title=title) if title else None)
    return policy


def test_a_member_that_is_there_twice_is_revoked_as_a_whole() -> None:
    policy = policy_with(MEMBER, "user:owner@example.com", MEMBER)
    assert remove_member(policy, ROLE, MEMBER)
    assert policy == policy_with("user:owner@example.com")


def test_a_binding_with_the_title_of_a_condition_is_neither_the_role_nor_ours_to_change() -> None:
    policy = policy_with(MEMBER, title="for a while")
    assert not remove_member(policy, ROLE, MEMBER)
    assert add_member(policy, ROLE, MEMBER)
    assert list(policy.bindings) == [*policy_with(MEMBER, title="for a while").bindings, *policy_with(MEMBER).bindings]


def test_a_member_joins_those_who_have_the_role_already() -> None:
    policy = policy_with("user:owner@example.com")
    assert add_member(policy, ROLE, MEMBER)
    assert policy == policy_with("user:owner@example.com", MEMBER)


def test_a_binding_of_nobody_is_left_alone() -> None:
    policy = policy_with()
    add_member(policy, ROLE, MEMBER)
    assert remove_member(policy, ROLE, MEMBER)
    assert policy == policy_with()


def member(resource: str, name: str, **fields: Any) -> IamMember:
    return IamMember(resource=resource, role=ROLE, member=f"serviceAccount:{name}@elsewhere.example.com", **fields)


@pytest.mark.parametrize("resource", [f"projects/{PROJECT}", STANDING])
@pytest.mark.usefixtures("ground")
def test_grants_at_the_same_time_lose_nothing(resource: str, google: Google, name: str) -> None:
    wanted = [member(resource, f"{name}-{number}") for number in range(16)]
    before = policy_of(google, wanted[0])
    plan = make_plan(wanted, google, adopt=False)
    outcomes = apply(plan, google, lambda _: None)
    assert {outcome.status for outcome in outcomes} == {Status.APPLIED}
    assert grants(policy_of(google, wanted[0])) == grants(before) | {(m.role, "", m.member) for m in wanted}

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda resource: resource.delete(google), wanted))
    assert grants(policy_of(google, wanted[0])) == grants(before)


class Meddler:
    """Somebody who writes the policy after each of our readings, a few times.

    :param times: how often.
    """

    def __init__(self, google: Google, world: World, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
        self._policies = world.policies
        self._left = times
        self._read = google.projects.get_iam_policy
        monkeypatch.setattr(google.projects, "get_iam_policy", self._of_the_method())
        self.readings = 0

    def _of_the_method(self) -> Callable[..., policy_pb2.Policy]:
        @functools.wraps(self._read)
        def get_iam_policy(**arguments: Any) -> policy_pb2.Policy:
            return self._get_iam_policy(**arguments)

        return get_iam_policy

    def _get_iam_policy(self, **arguments: Any) -> policy_pb2.Policy:
        policy: policy_pb2.Policy = self._read(**arguments)
        self.readings += 1
        if self._left > 0:
            self._left -= 1
            changed = copy_of(policy)
            changed.bindings.add(role="roles/browser", members=[f"user:colleague-{self.readings}@example.com"])
            changed.version = 3
            self._policies.set(f"projects/{PROJECT}", changed)
        return policy


def test_what_somebody_grants_between_our_reading_and_our_writing_is_kept(
    google: Google, name: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = member(f"projects/{PROJECT}", name)
    before = grants(policy_of(google, wanted))
    with monkeypatch.context() as patch:
        meddler = Meddler(google, world, patch, times=4)
        (outcome,) = apply(make_plan([wanted], google, adopt=False), google, lambda _: None)
    assert outcome.status is Status.APPLIED
    colleagues = {("roles/browser", "", f"user:colleague-{n}@example.com") for n in range(1, 5)}
    assert grants(policy_of(google, wanted)) == before | colleagues | {(ROLE, "", wanted.member)}
    assert meddler.readings > 4


def test_a_policy_that_changes_without_pause_is_given_up(
    google: Google, name: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    google.policies.clear()  # the others of this module go by what they have read
    google = Google(google._credentials, google._emulator, cancellation=Cancellation(SimulatedClock()))
    with monkeypatch.context() as patch:
        meddler = Meddler(google, world, patch, times=1000)
        plan = make_plan([member(f"projects/{PROJECT}", name)], google, adopt=False)
        (outcome,) = apply(plan, google, lambda _: None)
    assert outcome.status is Status.FAILED
    assert isinstance(outcome.failure, GoogleError)
    assert outcome.failure.status == "ABORTED"
    assert google.cancellation.now() <= quirks.CHANGED_MEANWHILE.seconds
    assert meddler.readings < 200


def test_a_member_that_google_does_not_know_yet_is_waited_for(
    google: Google, name: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = ServiceAccount(
        project_id=PROJECT,
        account_id=name,
        email=f"{name}@{PROJECT}.iam.gserviceaccount.com",
        owner=LABELS,
        display_name="Sum",
    )
    account.create(google)
    known = threading.Event()
    knows_account = world.iam.knows_account
    monkeypatch.setattr(world.iam, "knows_account", lambda email: known.is_set() and knows_account(email))
    threading.Timer(0.3, known.set).start()
    wanted = IamMember(resource=f"projects/{PROJECT}", role=ROLE, member=f"serviceAccount:{account.email}")
    (outcome,) = apply(make_plan([wanted], google, adopt=False), google, lambda _: None)
    assert outcome.status is Status.APPLIED


NOT_THERE = "Role {} does not exist in the resource's hierarchy."
SET_POLICY = "google.cloud.resourcemanager.v3.Projects/SetIamPolicy"


@pytest.mark.parametrize(
    ("refused", "may_be_new", "status"),
    [
        (ROLE, True, Status.APPLIED),
        (ROLE, False, Status.FAILED),
        (f"{ROLE}_of_others", True, Status.FAILED),
    ],
)
def test_a_role_is_waited_for_where_it_may_be_new_and_is_the_one_that_is_not_there(
    google: Google, world: World, name: str, refused: str, may_be_new: bool, status: Status
) -> None:
    refusal = ApiError(grpc.StatusCode.INVALID_ARGUMENT, NOT_THERE.format(refused))
    world.faults.add(Fault(method=SET_POLICY, error=refusal, principal=OWNER))
    wanted = member(f"projects/{PROJECT}", name, role_may_be_new=may_be_new)
    (outcome,) = apply(make_plan([wanted], google, adopt=False), google, lambda _: None)
    assert outcome.status is status


def test_a_member_that_is_no_member_is_not_waited_for(google: Google) -> None:
    wanted = IamMember(resource=f"projects/{PROJECT}", role=ROLE, member="sum@example.com")
    with pytest.raises(GoogleError, match="INVALID_ARGUMENT"):
        wanted.create(google)


@pytest.mark.usefixtures("ground")
@pytest.mark.parametrize("everyone", ["allUsers", "allAuthenticatedUsers"])
def test_a_service_that_everyone_may_call_is_refused_with_the_way_to_take_it_back(
    everyone: str, google: Google
) -> None:
    wanted = replace(member(STANDING, "sum"), role="roles/run.invoker")
    public = replace(wanted, member=everyone)
    public.read(google)
    public.create(google)
    (refusal,) = make_plan([wanted], google, adopt=True).refusals
    assert "Everyone on the internet may call the service `standing`" in refusal.message
    assert refusal.remedy == (
        "gcloud run services remove-iam-policy-binding standing --region=europe-west1 --project=my-project "
        f"--member={everyone} --role=roles/run.invoker"
    )
    assert make_plan([replace(wanted, may_be_public=True)], google, adopt=False).refusals == ()
    public.delete(google)
    assert make_plan([wanted], google, adopt=False).refusals == ()


def test_conditions_of_others_survive(google: Google, name: str) -> None:
    wanted = member(f"projects/{PROJECT}", name)
    policy = policy_of(google, wanted)
    policy.bindings.add(role=ROLE, members=[wanted.member]).condition.CopyFrom(
        expr_pb2.Expr(title="never", expression="false")
    )
    set_policy(google, wanted, policy)
    conditional = (ROLE, "false", wanted.member)

    actual = wanted.read(google)
    assert actual is not None
    assert not actual.granted, "a role under a condition is not the role"
    assert wanted.create(google).granted
    assert conditional in grants(policy_of(google, wanted))
    wanted.delete(google)
    assert conditional in grants(policy_of(google, wanted))


def test_the_policy_of_a_service_that_is_not_there_is_an_error(google: Google) -> None:
    nowhere = STANDING.replace("standing", "nowhere")
    with pytest.raises(GoogleError, match="NOT_FOUND from get_iam_policy"):
        member(nowhere, "sum").read(google)


def test_names_say_the_role_the_thing_and_the_member() -> None:
    assert member(STANDING, "sum").address == (
        "iam_member.octue_service_user on standing for sum@elsewhere.example.com"
    )
