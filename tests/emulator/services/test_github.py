from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests

from emulator.errors import ApiError
from emulator.server import Emulator
from emulator.services.github import numeric_id
from emulator.world import World, WorldSettings

AUDIENCE = "https://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x"


def claims_of(world: World, variables: dict[str, str], audience: str | None = AUDIENCE) -> dict[str, Any]:
    return world.github.key.claims(world.github.id_token(variables["ACTIONS_ID_TOKEN_REQUEST_TOKEN"], audience))


def test_numeric_ids_follow_from_names() -> None:
    assert numeric_id("octue/example") == numeric_id("octue/example")
    assert numeric_id("octue/example") != numeric_id("octue/other")
    assert numeric_id("octue/example").isdecimal()


def test_a_token_is_fetched_as_the_toolkit_fetches_it(emulator: Emulator) -> None:
    variables = emulator.world.github.start_run()
    response = requests.get(
        f"{variables['ACTIONS_ID_TOKEN_REQUEST_URL']}&audience={AUDIENCE}",
        headers={"Authorization": f"bearer {variables['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"},
        timeout=5,
    )
    keys = requests.get(
        f"{emulator.world.base_url}/token.actions.githubusercontent.com/.well-known/jwks", timeout=5
    ).json()

    token = response.json()["value"]
    key = jwt.PyJWKSet.from_dict(keys)[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["RS256"], audience=AUDIENCE)
    assert claims["iss"] == "https://token.actions.githubusercontent.com"
    assert claims["repository"] == "my-org/my-repository"


def test_a_token_has_the_claims_of_its_run(world: World) -> None:
    variables = world.github.start_run(repository="a/b", sha="0" * 40, event_name="workflow_dispatch", actor="ann")
    claims = claims_of(world, variables)

    assert claims["sub"] == "repo:a/b:ref:refs/heads/main"
    assert claims["aud"] == AUDIENCE
    assert claims["repository_id"] == variables["GITHUB_REPOSITORY_ID"] == numeric_id("a/b")
    assert claims["repository_owner_id"] == numeric_id("a")
    assert claims["sha"] == variables["GITHUB_SHA"] == "0" * 40
    assert claims["event_name"] == "workflow_dispatch"
    assert claims["actor"] == variables["GITHUB_ACTOR"] == "ann"
    assert claims["exp"] - claims["iat"] == 300


@pytest.mark.parametrize(
    ("run", "subject"),
    [
        ({"ref": "refs/tags/v1"}, "repo:a/b:ref:refs/tags/v1"),
        ({"ref": "refs/pull/1/merge", "event_name": "pull_request"}, "repo:a/b:pull_request"),
        ({"environment": "production"}, "repo:a/b:environment:production"),
    ],
)
def test_the_subject_says_what_kind_of_run_it_is(world: World, run: dict[str, str], subject: str) -> None:
    assert claims_of(world, world.github.start_run(repository="a/b", **run))["sub"] == subject  # type: ignore[arg-type]  # all of these are texts


def test_without_an_audience_the_token_is_for_the_owner(world: World) -> None:
    assert claims_of(world, world.github.start_run(repository="a/b"), None)["aud"] == "https://github.com/a"


def test_a_run_without_permission_has_no_variables_for_tokens(world: World) -> None:
    variables = world.github.start_run(id_token_permission=False)

    assert not [name for name in variables if name.startswith("ACTIONS_ID_TOKEN")]


@pytest.mark.parametrize("token", ["", "x", "a.b.c"])
def test_without_the_runs_request_token_there_is_no_token(world: World, token: str) -> None:
    with pytest.raises(ApiError, match="UNAUTHENTICATED"):
        world.github.id_token(token, AUDIENCE)


def test_an_id_token_is_no_request_token(world: World) -> None:
    variables = world.github.start_run()
    token = world.github.id_token(variables["ACTIONS_ID_TOKEN_REQUEST_TOKEN"], AUDIENCE)

    with pytest.raises(ApiError, match="UNAUTHENTICATED"):
        world.github.id_token(token, AUDIENCE)


def test_a_request_token_ends_with_its_job(world: World) -> None:
    variables = world.github.start_run()
    world.clock.advance(6 * 3600)

    with pytest.raises(ApiError, match="expired"):
        world.github.id_token(variables["ACTIONS_ID_TOKEN_REQUEST_TOKEN"], AUDIENCE)


def test_runs_are_numbered(world: World) -> None:
    first, second = world.github.start_run(), world.github.start_run()

    assert (first["GITHUB_RUN_NUMBER"], second["GITHUB_RUN_NUMBER"]) == ("1", "2")
    assert first["GITHUB_RUN_ID"] != second["GITHUB_RUN_ID"]


def test_the_commit_is_the_one_in_the_local_repository(settings: WorldSettings, tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    world = World(replace(settings, repositories={"a/b": folder}))

    assert world.github.start_run()["GITHUB_SHA"] == head
    with pytest.raises(ApiError, match="a/b has no refs/heads/none"):
        world.github.start_run(ref="refs/heads/none")
    world.close()
