from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests

from emulator.errors import ApiError
from emulator.server import Emulator
from emulator.services.github_repositories import numeric_id
from emulator.world import World, WorldSettings

AUDIENCE = "https://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x"


PULL_REQUEST = {"event_name": "pull_request", "ref": "refs/pull/7/merge"}


def payload_of(variables: dict[str, str]) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path(variables["GITHUB_EVENT_PATH"]).read_text())
    return content


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


class Repository:
    """A local git repository, whose branch is ``main``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
        self.main = self.commit()

    def commit(self, ref: str = "HEAD") -> str:
        """A new commit, at a ref."""
        self.git("commit", "-q", "--allow-empty", "-m", ref)
        sha = self.git("rev-parse", "HEAD")
        self.git("update-ref", ref, sha)
        return sha

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.folder), "-c", "user.name=a", "-c", "user.email=a@example.com", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def world(self, settings: WorldSettings) -> World:
        return World(replace(settings, repositories={"a/b": self.folder}))


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


def test_the_commit_is_the_one_in_the_local_repository(settings: WorldSettings, repository: Repository) -> None:
    world = repository.world(settings)

    assert world.github.start_run()["GITHUB_SHA"] == repository.main
    with pytest.raises(ApiError, match="a/b has no refs/heads/none"):
        world.github.start_run(ref="refs/heads/none")
    world.close()


def test_only_runs_of_pull_requests_have_a_payload(world: World) -> None:
    assert "GITHUB_EVENT_PATH" not in world.github.start_run()
    assert "GITHUB_EVENT_PATH" in world.github.start_run(**PULL_REQUEST)  # type: ignore[arg-type]  # all of these are texts


def test_the_payload_tells_of_the_pull_request(world: World) -> None:
    head = {"head_ref": "faster", "head_sha": "1" * 40}
    variables = world.github.start_run(**PULL_REQUEST, **head, action="opened", actor="ann")  # type: ignore[arg-type]  # all of these are texts
    payload = payload_of(variables)
    pull = payload["pull_request"]

    assert (payload["action"], payload["number"], pull["number"], pull["state"]) == ("opened", 7, 7, "open")
    assert (pull["head"]["ref"], pull["head"]["sha"], pull["base"]["ref"]) == ("faster", "1" * 40, "main")
    assert pull["head"]["repo"]["full_name"] == pull["base"]["repo"]["full_name"] == "my-org/my-repository"
    assert payload["repository"]["full_name"] == variables["GITHUB_REPOSITORY"]
    assert payload["sender"]["login"] == pull["user"]["login"] == "ann"
    assert (variables["GITHUB_HEAD_REF"], variables["GITHUB_BASE_REF"]) == ("faster", "main")


def test_a_run_for_a_pull_request_from_a_fork_has_no_tokens(world: World) -> None:
    variables = world.github.start_run(**PULL_REQUEST, head_repository="ann/fork")  # type: ignore[arg-type]  # all of these are texts
    pull = payload_of(variables)["pull_request"]

    assert (pull["head"]["repo"]["full_name"], pull["base"]["repo"]["full_name"]) == (
        "ann/fork",
        "my-org/my-repository",
    )
    assert not [name for name in variables if name.startswith("ACTIONS_ID_TOKEN")]


def test_a_pull_request_goes_on_from_run_to_run(world: World) -> None:
    runs = [("opened", "1"), ("synchronize", "2"), ("closed", None), ("reopened", None)]
    payloads = []
    for action, digit in runs:
        sha = None if digit is None else digit * 40
        payloads.append(payload_of(world.github.start_run(**PULL_REQUEST, action=action, head_sha=sha)))  # type: ignore[arg-type]  # all of these are texts

    pulls = [payload["pull_request"] for payload in payloads]
    assert [pull["state"] for pull in pulls] == ["open", "open", "closed", "open"]
    assert [pull["head"]["sha"][0] for pull in pulls] == ["1", "2", "2", "2"]
    assert len({pull["id"] for pull in pulls}) == 1


def test_the_commit_of_a_pull_request_is_its_merge_or_else_its_head(
    settings: WorldSettings, repository: Repository
) -> None:
    head = repository.commit("refs/heads/change")
    world = repository.world(settings)

    unmerged = world.github.start_run(**PULL_REQUEST)  # type: ignore[arg-type]  # all of these are texts
    merge = repository.commit("refs/pull/7/merge")
    merged = world.github.start_run(**PULL_REQUEST)  # type: ignore[arg-type]  # all of these are texts

    assert (unmerged["GITHUB_SHA"], merged["GITHUB_SHA"]) == (head, merge)
    assert payload_of(merged)["pull_request"]["head"]["sha"] == head
    world.close()


def test_an_issue_is_no_pull_request(emulator: Emulator) -> None:
    github = emulator.world.github
    api = github.start_run()["GITHUB_API_URL"]
    headers = {"Authorization": f"Bearer {github.personal_token()}"}
    requests.post(f"{api}/repos/my-org/my-repository/issues", json={"title": "x"}, headers=headers, timeout=5)

    with pytest.raises(ApiError, match="my-org/my-repository#1 is an issue"):
        github.start_run(event_name="pull_request", ref="refs/pull/1/merge")
    with pytest.raises(ApiError, match="has no pull request 1"):
        github.close_pull_request(1)
    with pytest.raises(ApiError, match="my-org/my-repository#1 exists"):
        github.open_pull_request(number=1)
    assert github.open_pull_request() == 2


def test_a_run_is_started_over_http(emulator: Emulator) -> None:
    response = requests.post(f"{emulator.world.base_url}/emulator/runs", json={**PULL_REQUEST}, timeout=5)

    assert payload_of(response.json())["number"] == 7


def test_tokens_tell_whose_they_are_by_their_beginning(world: World) -> None:
    assert world.github.job_token().startswith("ghs_")
    assert world.github.personal_token().startswith("ghp_")


def test_tokens_of_a_visibility_say_so(settings: WorldSettings) -> None:
    world = World(replace(settings, repository_visibility="private"))

    assert claims_of(world, world.github.start_run())["repository_visibility"] == "private"
    world.close()
