"""The emulated REST API as PyGithub sees it, the client library that the action uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import github
import pytest
from github import Auth, Github
from github.Repository import Repository

from emulator import faults
from emulator.faults import Moment
from emulator.server import Emulator

REPOSITORY = "my-org/my-repository"

Open = Callable[[str], Github]


@pytest.fixture
def open_client(emulator: Emulator) -> Iterator[Open]:
    """Opens a client with a token, which neither waits nor tries again by itself."""
    url = emulator.world.github.start_run()["GITHUB_API_URL"]
    clients = []

    def open_client(token: str) -> Github:
        client = Github(
            auth=Auth.Token(token),
            base_url=url,
            retry=None,
            timeout=10,
            seconds_between_requests=0,
            seconds_between_writes=0,
        )
        clients.append(client)
        return client

    yield open_client
    for client in clients:
        client.close()


@pytest.fixture
def repository(emulator: Emulator, open_client: Open) -> Repository:
    permissions = {"deployments": "write", "issues": "write", "pull-requests": "write"}
    return open_client(emulator.world.github.job_token(permissions=permissions)).get_repo(REPOSITORY)


def test_a_comment_on_a_pull_request_is_found_again_and_changed(emulator: Emulator, repository: Repository) -> None:
    issue = repository.get_issue(emulator.world.github.open_pull_request())
    for number in range(35):
        issue.create_comment(f"comment {number}")

    found = [each for each in issue.get_comments() if each.body == "comment 34"]
    found[0].edit("changed")

    assert len(found) == 1
    assert (found[0].user.login, found[0].user.type) == ("github-actions[bot]", "Bot")
    assert [each.body for each in issue.get_comments()].count("changed") == 1
    assert issue.get_comments().totalCount == 35
    assert issue.pull_request is not None
    found[0].delete()
    assert issue.get_comments().totalCount == 34


def test_an_issue_is_opened_found_and_closed(repository: Repository) -> None:
    issue = repository.create_issue("No answer", body="Since today", labels=["drift"])

    found = list(repository.get_issues(state="open", labels=["drift"]))
    found[0].edit(state="closed", state_reason="completed")

    assert [each.number for each in found] == [issue.number]
    assert list(repository.get_issues(state="open")) == []
    closed_by = repository.get_issue(issue.number).closed_by
    assert closed_by is not None
    assert closed_by.login == "github-actions[bot]"


def test_a_deployment_goes_its_way(emulator: Emulator, repository: Repository) -> None:
    commit = emulator.world.github.start_run()["GITHUB_SHA"]
    deployment = repository.create_deployment(
        commit,
        auto_merge=False,
        required_contexts=[],
        environment="preview",
        payload={"run": "1"},
        description="Of a pull request",
        transient_environment=True,
        production_environment=False,
    )
    deployment.create_status("in_progress", target_url="https://example.com/log")
    deployment.create_status("success", environment_url="https://example.com")

    found = repository.get_deployments(sha=commit, environment="preview")[0]

    assert (found.id, found.payload, found.transient_environment) == (deployment.id, {"run": "1"}, True)
    assert [each.state for each in found.get_statuses()] == ["success", "in_progress"]
    assert repository.get_deployment(deployment.id).creator.type == "Bot"


def test_refusals_are_those_that_the_library_knows(emulator: Emulator, open_client: Open) -> None:
    world = emulator.world
    token = world.github.job_token(permissions={})
    client = open_client(token)
    repository = client.get_repo(REPOSITORY)

    with pytest.raises(github.GithubException, match="Resource not accessible by integration"):
        repository.create_issue("x")
    with pytest.raises(github.UnknownObjectException):
        repository.get_issue(1000)
    with pytest.raises(github.BadCredentialsException):
        open_client("ghs_unknown").get_repo(REPOSITORY)
    world.faults.add(faults.secondary_rate_limit("github.rest.Issues/Get"))
    with pytest.raises(github.RateLimitExceededException, match="secondary rate limit"):
        repository.get_issue(1)
    world.github.use_up_requests(token)
    with pytest.raises(github.RateLimitExceededException, match="API rate limit exceeded for installation"):
        repository.get_issue(1)
    assert client.get_rate_limit().rate.remaining == 0


def test_an_answer_that_is_lost_leaves_what_was_made(emulator: Emulator, repository: Repository) -> None:
    emulator.world.faults.add(faults.unavailable("github.rest.Repos/CreateDeployment", moment=Moment.AFTER))

    with pytest.raises(github.GithubException) as lost:
        repository.create_deployment("main", required_contexts=[])

    assert lost.value.status == 503
    assert repository.get_deployments().totalCount == 1


def test_only_people_learn_who_they_are(emulator: Emulator, open_client: Open) -> None:
    person = open_client(emulator.world.github.personal_token("ann")).get_user()

    assert (person.login, person.type) == ("ann", "User")
    with pytest.raises(github.GithubException, match="Resource not accessible by integration"):
        _ = open_client(emulator.world.github.job_token()).get_user().login
