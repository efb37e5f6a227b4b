"""What a project needs, as a list: who is let in, and what they may do."""

from __future__ import annotations

import graphlib
import itertools
from collections.abc import Mapping
from typing import Any

import celpy
from celpy.adapter import json_to_cel

from octue_action import auth, names, permissions, project_setup
from octue_action.github_context import GitHubContext
from octue_action.project_setup import ProjectSetup, attribute_condition, resources
from octue_action.resources.artifact_repository import ArtifactRepository
from octue_action.resources.iam_member import IamMember
from octue_action.resources.iam_role import IamRole, ungrouped

CLAIMS = {
    "repository_owner_id": "583231",
    "repository_id": "1296269",
    "ref": "refs/heads/main",
    "event_name": "push",
}


def setup(**given: Any) -> ProjectSetup:
    return ProjectSetup(
        **{
            "project_id": "my-project",
            "project_number": "123456789012",
            "repository": "my-org/my-repository",
            "repository_id": "1296269",
            "owner_id": "583231",
            "region": "europe-west1",
            **given,
        }
    )


def lets_in(condition: str, claims: Mapping[str, str]) -> bool:
    environment = celpy.Environment()
    program = environment.program(environment.compile(condition))
    return bool(program.evaluate({"assertion": json_to_cel(dict(claims))}))


def roles(given: ProjectSetup) -> dict[str, set[str]]:
    return {r.role_id: set(ungrouped(r.includes)) for r in resources(given) if isinstance(r, IamRole)}


def members(given: ProjectSetup) -> list[IamMember]:
    return [r for r in resources(given) if isinstance(r, IamMember)]


def test_the_condition_lets_in_just_what_the_readme_recommends() -> None:
    recommended = auth._recommended(
        GitHubContext(
            repository="my-org/my-repository",
            repository_id="1296269",
            repository_owner_id="583231",
            commit="0" * 40,
            ref="refs/heads/main",
            event_name="push",
            actor="octocat",
            run_url="",
            api_url="",
            workspace=None,  # type: ignore[arg-type]  # not looked at
        )
    )
    condition = attribute_condition("583231", "1296269")
    others = {"ref": "refs/heads/other", "event_name": "pull_request", "repository_id": "1", "repository_owner_id": "1"}

    assert all(lets_in(condition, CLAIMS | {name: v}) for name, listed in recommended.items() for v in listed)
    assert not any(lets_in(condition, CLAIMS | {name: value}) for name, value in others.items())
    assert recommended.keys() == others.keys()


def test_pull_requests_of_the_repository_are_let_in_where_that_is_wanted() -> None:
    condition = attribute_condition("583231", "1296269", pull_requests=True)
    merged = CLAIMS | {"ref": "refs/pull/7/merge", "event_name": "pull_request"}

    assert lets_in(condition, CLAIMS)
    assert lets_in(condition, merged)
    assert not lets_in(condition, merged | {"repository_id": "1"})
    assert not lets_in(condition, merged | {"event_name": "pull_request_target"})
    assert not lets_in(attribute_condition("583231", "1296269"), merged)


def test_the_deployers_role_is_what_all_modes_need_but_for_what_is_granted_under_a_condition() -> None:
    of_condition = {permissions.GRANT, "resourcemanager.projects.getIamPolicy"}

    assert roles(setup())["octue_deployer"] == set(permissions.ALL) - of_condition
    assert set(permissions.DESTROY) - set(permissions.ASK) == (
        roles(setup())["octue_deployer"] - roles(setup(destroys=False))["octue_deployer"]
    )


def test_a_role_that_is_there_already_is_granted_and_not_made() -> None:
    given = setup(octue_role="organizations/1/roles/asker")

    assert roles(given).keys() == {"octue_deployer"}
    assert "    octue_role: organizations/1/roles/asker" in project_setup.step(given)
    assert any(
        "hasOnly(['organizations/1/roles/asker'])" in m.condition.expression for m in members(given) if m.condition
    )


def test_the_right_to_grant_is_never_given_without_its_condition() -> None:
    admin = [m for m in members(setup()) if m.role == "roles/resourcemanager.projectIamAdmin"]

    assert [m.condition.expression if m.condition else "" for m in admin] == [
        permissions.GRANT_CONDITION.format(octue_role=names.octue_role("my-project"))
    ]


def test_only_the_identities_of_the_repository_may_act_as_the_deployer() -> None:
    (acting,) = [m for m in members(setup()) if m.role == "roles/iam.workloadIdentityUser"]

    assert acting.resource == "projects/my-project/serviceAccounts/deployer@my-project.iam.gserviceaccount.com"
    assert acting.member.endswith("/workloadIdentityPools/github/attribute.repository_id/1296269")


def test_of_the_roles_that_are_granted_only_those_that_it_makes_itself_may_be_new() -> None:
    assert {m.role for m in members(setup()) if m.role_may_be_new} == {"projects/my-project/roles/octue_deployer"}


def test_the_graph_has_an_order_in_which_everything_stands_that_something_needs() -> None:
    made = resources(setup(services=("sum",)))
    addresses = [resource.address for resource in made]
    graph = {resource.address: {*resource.depends_on} for resource in made}

    assert len(set(addresses)) == len(addresses)
    assert set(itertools.chain(*graph.values())) <= set(addresses)
    assert list(graphlib.TopologicalSorter(graph).static_order())
    assert all(resource.part_of in resource.depends_on for resource in made if resource.part_of)


def test_the_images_of_a_service_are_where_its_deployment_looks_for_them() -> None:
    (images,) = [r for r in resources(setup(services=("my-org-sum",))) if isinstance(r, ArtifactRepository)]

    assert images.repository_id == "my-org-sum"
    assert images.labels == names.labels("my-org-sum", "1296269")


def test_a_second_repository_has_a_provider_and_a_deployer_with_its_role_of_its_own_beside_what_is_shared() -> None:
    first = {r.address for r in resources(setup())}
    second = {r.address for r in resources(setup(repository_id="2", provider_id="octue-2", deployer_id="deployer-2"))}

    assert {address for address in second - first if not address.startswith("iam_member")} == {
        "workload_identity_provider.octue-2 of github",
        "iam_role.octue_deployer_2",
        "service_account.deployer-2@my-project.iam.gserviceaccount.com",
    }


def test_what_repositories_share_says_of_none_that_it_is_its_and_what_one_has_says_so() -> None:
    owners = {r.address: dict(getattr(r, "owner", {})) for r in resources(setup())}
    shared = {"managed-by": "octue-action"}

    assert {address: owner for address, owner in owners.items() if owner} == {
        "workload_identity_pool.github": shared,
        "workload_identity_provider.octue of github": {**shared, "github-repository-id": "1296269"},
        "iam_role.octue_deployer": {**shared, "github-repository-id": "1296269"},
        "iam_role.octue_service_user": shared,
        "service_account.deployer@my-project.iam.gserviceaccount.com": {**shared, "github-repository-id": "1296269"},
        "service_account.builder@my-project.iam.gserviceaccount.com": shared,
    }


def test_no_deployer_can_have_the_builders_account_or_octues_role() -> None:
    own = {project_setup.BUILDER, project_setup.OCTUE_ROLE}
    taken = {it for name in project_setup.TAKEN for it in (name, names.deployer_role_id(name))}

    assert own <= taken
