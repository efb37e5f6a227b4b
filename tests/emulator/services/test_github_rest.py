from __future__ import annotations

import datetime
import subprocess
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests

from emulator import faults
from emulator.faults import Moment
from emulator.propagation import Propagation
from emulator.server import Emulator
from emulator.services.github_rest import HOST
from emulator.world import WorldSettings

REPOSITORY = "my-org/my-repository"
INACCESSIBLE = "Resource not accessible by integration"
ISSUES = f"/repos/{REPOSITORY}/issues"
DEPLOYMENTS = f"/repos/{REPOSITORY}/deployments"
DEPLOYMENT = {"ref": "main", "environment": "preview", "required_contexts": []}


@dataclass(frozen=True)
class Client:
    """Asks as somebody, and follows nothing."""

    emulator: Emulator
    token: str | None

    def __call__(self, verb: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        url = path if path.startswith("http") else f"{self.emulator.world.base_url}/{HOST}{path}"
        authorization = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        return requests.request(verb, url, json=body, headers=authorization | headers, timeout=10)

    def make(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        response = self("POST", path, body)
        assert response.status_code == 201, response.text
        made: dict[str, Any] = response.json()
        return made


@pytest.fixture
def ask_as(emulator: Emulator) -> Callable[[str | None], Client]:
    return lambda token: Client(emulator, token)


@pytest.fixture
def job(emulator: Emulator) -> Client:
    """A job that may write what there is to write."""
    permissions = {"deployments": "write", "issues": "write", "pull-requests": "write"}
    return Client(emulator, emulator.world.github.job_token(permissions=permissions))


@pytest.fixture
def person(emulator: Emulator) -> Client:
    return Client(emulator, emulator.world.github.personal_token("ann"))


@pytest.fixture
def pull_request(emulator: Emulator) -> int:
    return emulator.world.github.open_pull_request(number=7)


@pytest.fixture
def private(settings: WorldSettings) -> Iterator[Emulator]:
    with Emulator(replace(settings, repository_visibility="private")) as emulator:
        yield emulator


def numbers(response: requests.Response) -> list[int]:
    return [each["number"] for each in response.json()]


def bodies(response: requests.Response) -> list[str]:
    return [each["body"] for each in response.json()]


def states(client: Client, deployment: Mapping[str, Any]) -> list[str]:
    """Newest first."""
    return [each["state"] for each in client("GET", deployment["statuses_url"]).json()]


def log(emulator: Emulator) -> list[tuple[str, str, str]]:
    return [(call.method.removeprefix("github.rest."), call.status, call.lost) for call in emulator.world.requests]


# Who may


@pytest.mark.parametrize("authorization", ["Bearer ghs_unknown", "token ", "Basic YTpi", "Bearer"])
def test_a_token_that_is_none_is_refused(emulator: Emulator, authorization: str) -> None:
    response = Client(emulator, None)("GET", f"/repos/{REPOSITORY}", Authorization=authorization)

    assert response.status_code == 401
    assert response.json()["message"] == "Bad credentials"
    assert response.json()["status"] == "401"
    assert log(emulator) == [("Repos/Get", "UNAUTHENTICATED", "")]


def test_a_token_may_be_called_either_way(emulator: Emulator) -> None:
    token = emulator.world.github.personal_token()

    for scheme in ("Bearer", "bearer", "token"):
        assert Client(emulator, None)("GET", "/user", Authorization=f"{scheme} {token}").ok


def test_a_token_ends_with_its_job(emulator: Emulator, job: Client) -> None:
    emulator.world.clock.advance(6 * 3600 - 1)
    before = job("GET", f"/repos/{REPOSITORY}").status_code
    emulator.world.clock.advance(1)

    assert (before, job("GET", f"/repos/{REPOSITORY}").status_code) == (200, 401)


def test_a_job_is_a_bot_that_may_not_ask_who_it_is(job: Client, pull_request: int) -> None:
    comment = job.make(f"{ISSUES}/{pull_request}/comments", {"body": "x"})
    response = job("GET", "/user")

    assert (comment["user"]["login"], comment["user"]["type"]) == ("github-actions[bot]", "Bot")
    assert (response.status_code, response.json()["message"]) == (403, INACCESSIBLE)


def test_a_person_is_a_user(person: Client) -> None:
    user = person("GET", "/user").json()

    assert (user["login"], user["type"]) == ("ann", "User")


WRITES = [
    ("POST", DEPLOYMENTS, {"ref": "main"}, "deployments=write"),
    ("POST", f"{DEPLOYMENTS}/1/statuses", {"state": "success"}, "deployments=write"),
    ("DELETE", f"{DEPLOYMENTS}/1", None, "deployments=write"),
    ("POST", ISSUES, {"title": "x"}, "issues=write"),
    ("PATCH", f"{ISSUES}/7", {"title": "x"}, "issues=write; pull_requests=write"),
    ("POST", f"{ISSUES}/7/comments", {"body": "x"}, "issues=write; pull_requests=write"),
    ("PATCH", f"{ISSUES}/comments/1", {"body": "x"}, "issues=write; pull_requests=write"),
    ("DELETE", f"{ISSUES}/comments/1", None, "issues=write; pull_requests=write"),
]


@pytest.mark.parametrize(("verb", "path", "body", "accepted"), WRITES)
@pytest.mark.parametrize("from_fork", [False, True], ids=["without permission", "from a fork"])
@pytest.mark.usefixtures("pull_request")
def test_who_may_not_write_is_told_what_is_missing(
    emulator: Emulator, verb: str, path: str, body: Any, accepted: str, *, from_fork: bool
) -> None:
    everything = {"deployments": "write", "issues": "write", "pull-requests": "write"}
    nothing = {"contents": "write"}
    token = emulator.world.github.job_token(permissions=everything if from_fork else nothing, from_fork=from_fork)

    response = Client(emulator, token)(verb, path, body)

    assert (response.status_code, response.json()["message"]) == (403, INACCESSIBLE)
    assert response.headers["X-Accepted-GitHub-Permissions"] == accepted


@pytest.mark.parametrize(
    ("permission", "on_pull_request", "on_issue"),
    [("issues", 201, 201), ("pull-requests", 201, 403), ("checks", 403, 403)],
)
def test_comments_on_pull_requests_need_one_of_two_permissions(
    emulator: Emulator, person: Client, pull_request: int, permission: str, on_pull_request: int, on_issue: int
) -> None:
    issue = person.make(ISSUES, {"title": "x"})["number"]
    job = Client(emulator, emulator.world.github.job_token(permissions={permission: "write"}))

    codes = [job("POST", f"{ISSUES}/{number}/comments", {"body": "x"}).status_code for number in (pull_request, issue)]

    assert codes == [on_pull_request, on_issue]


def test_whoever_may_read_may_not_write(emulator: Emulator, pull_request: int) -> None:
    job = Client(emulator, emulator.world.github.job_token(permissions={"pull-requests": "read"}))

    assert job("GET", f"{ISSUES}/{pull_request}/comments").status_code == 200
    assert job("POST", f"{ISSUES}/{pull_request}/comments", {"body": "x"}).status_code == 403


def test_a_job_may_do_nothing_in_another_repository(emulator: Emulator, job: Client) -> None:
    emulator.world.github.start_run(repository="else/where")

    assert job("GET", "/repos/else/where/issues").status_code == 200
    assert job("POST", "/repos/else/where/issues", {"title": "x"}).status_code == 403


@pytest.mark.parametrize("path", ["/repos/no/where", "/repos/no/where/issues", f"{ISSUES}/1000", f"{DEPLOYMENTS}/1000"])
def test_what_there_is_not_is_not_found(job: Client, path: str) -> None:
    response = job("GET", path)

    assert (response.status_code, response.json()["message"]) == (404, "Not Found")


@pytest.mark.parametrize("name", ["My-Org/Sums", "my-org/sums", "MY-ORG/SUMS"])
def test_names_of_repositories_are_the_same_in_capitals(emulator: Emulator, job: Client, name: str) -> None:
    emulator.world.github.start_run(repository="My-Org/Sums")

    assert job("GET", f"/repos/{name}").json()["full_name"] == "My-Org/Sums"


def test_what_is_public_is_read_by_anybody_and_written_by_nobody(ask_as: Callable[[None], Client]) -> None:
    nobody = ask_as(None)

    assert nobody("GET", DEPLOYMENTS).status_code == 200
    assert nobody("POST", DEPLOYMENTS, DEPLOYMENT).status_code == 401
    assert nobody("GET", "/user").status_code == 401


def test_what_is_private_needs_the_permission_to_read(private: Emulator) -> None:
    github = private.world.github
    github.start_run(repository="else/where")
    reader = Client(private, github.job_token(permissions={"deployments": "read"}))

    assert reader("GET", DEPLOYMENTS).status_code == 200
    assert reader("GET", f"/repos/{REPOSITORY}").json()["private"] is True
    assert reader("GET", ISSUES).status_code == 403
    assert reader("GET", "/repos/else/where").status_code == 404
    assert Client(private, None)("GET", DEPLOYMENTS).status_code == 404


def test_who_does_not_say_what_it_is_is_refused(job: Client) -> None:
    response = job("GET", f"/repos/{REPOSITORY}", **{"User-Agent": ""})

    assert response.status_code == 403
    assert "User-Agent" in response.json()["message"]


def test_only_a_job_is_told_of_permissions(job: Client, person: Client) -> None:
    assert job("GET", ISSUES).headers["X-Accepted-GitHub-Permissions"] == "issues=read"
    assert "X-Accepted-GitHub-Permissions" not in person("GET", ISSUES).headers


def test_authors_are_known_by_their_numbers_and_as_what_they_are(emulator: Emulator, job: Client) -> None:
    owner = Client(emulator, emulator.world.github.personal_token("my-org"))
    member = Client(emulator, emulator.world.github.personal_token("ann"))

    issues = [each.make(ISSUES, {"title": "x"}) for each in (job, owner, member)]

    assert [each["author_association"] for each in issues] == ["NONE", "OWNER", "MEMBER"]
    assert issues[0]["user"]["id"] == 41898282


# What is asked


@pytest.mark.parametrize(
    ("body", "message"), [(b"{", "Problems parsing JSON"), (b"[]", "Body should be a JSON object")]
)
def test_a_body_is_a_json_object(job: Client, body: bytes, message: str) -> None:
    url = f"{job.emulator.world.base_url}/{HOST}{ISSUES}"
    response = requests.post(url, data=body, headers={"Authorization": f"Bearer {job.token}"}, timeout=10)

    assert (response.status_code, response.json()["message"]) == (400, message)


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (ISSUES, {}, '"title" wasn\'t supplied.'),
        (ISSUES, {"title": None}, "For 'properties/title', nil is not a string or an integer."),
        (ISSUES, {"title": "x", "labels": [1]}, "For 'properties/labels', 1 is not a string."),
        (DEPLOYMENTS, {"ref": "main", "auto_merge": "no"}, "For 'properties/auto_merge', \"no\" is not a boolean."),
        (f"{DEPLOYMENTS}/1/statuses", {"state": "done"}, "For 'properties/state', \"done\" is not a member of ["),
    ],
)
def test_a_body_that_is_not_as_described_is_refused(job: Client, path: str, body: Any, message: str) -> None:
    response = job("POST", path, body)

    assert response.status_code == 422
    assert response.json()["message"].startswith(f"Invalid request.\n\n{message}")


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("GET", "/repos/my-org/my-repository/pulls", None),
        ("PUT", f"{ISSUES}/1/lock", None),
        ("GET", f"{ISSUES}?assignee=ann", None),
        ("POST", ISSUES, {"title": "x", "milestone": 1}),
    ],
)
def test_what_is_not_modelled_is_no_answer_of_githubs(job: Client, verb: str, path: str, body: Any) -> None:
    response = job(verb, path, body)

    assert response.status_code == 501
    assert response.json()["message"].startswith("The emulator does not model")


def test_what_is_not_modelled_is_in_the_log_as_it_would_be(emulator: Emulator, job: Client) -> None:
    job("GET", "/emojis")
    job("POST", "/markdown")

    assert [(call.method, call.writes) for call in emulator.world.requests] == [
        ("github.rest.NotModelled/Get", False),
        ("github.rest.NotModelled/Post", True),
    ]


# Issues and pull requests


def test_an_issue_is_opened_changed_and_closed(job: Client) -> None:
    issue = job.make(ISSUES, {"title": "No answer", "body": "Since today", "labels": ["drift"]})
    closed = job("PATCH", issue["url"], {"state": "closed", "body": "It answers"}).json()
    opened = job("PATCH", issue["url"], {"state": "open", "title": "Again"}).json()

    assert (issue["number"], issue["state"], issue["labels"][0]["name"]) == (1, "open", "drift")
    assert (closed["state"], closed["state_reason"], closed["closed_by"]["login"]) == (
        "closed",
        "completed",
        "github-actions[bot]",
    )
    assert (opened["state"], opened["state_reason"], opened["closed_at"]) == ("open", "reopened", None)
    assert (opened["title"], opened["body"]) == ("Again", "It answers")


def test_why_an_issue_is_closed_counts_only_when_it_is(job: Client) -> None:
    issue = job.make(ISSUES, {"title": "x"})

    still_open = job("PATCH", issue["url"], {"state_reason": "not_planned"}).json()
    closed = job("PATCH", issue["url"], {"state": "closed", "state_reason": "not_planned"}).json()

    assert (still_open["state_reason"], closed["state_reason"]) == (None, "not_planned")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"title": " "}, {"code": "missing_field", "field": "title"}),
        (
            {"title": "x" * 257},
            {"code": "custom", "field": "title", "message": "title is too long (maximum is 256 characters)"},
        ),
        (
            {"title": "x", "body": "x" * 65537},
            {"code": "custom", "field": "body", "message": "body is too long (maximum is 65536 characters)"},
        ),
    ],
)
def test_an_issue_that_cannot_be_is_refused(job: Client, body: Any, error: dict[str, str]) -> None:
    response = job("POST", ISSUES, body)

    assert (response.status_code, response.json()["message"]) == (422, "Validation Failed")
    assert response.json()["errors"] == [{"resource": "Issue", **error}]


def test_an_issue_may_be_as_long_as_can_be(job: Client) -> None:
    assert job("POST", ISSUES, {"title": "x" * 256, "body": "ö" * 65536}).status_code == 201


def test_issues_are_found_by_state_author_and_labels(job: Client, person: Client, pull_request: int) -> None:
    first = job.make(ISSUES, {"title": "a", "labels": ["x", "y"]})
    second = person.make(ISSUES, {"title": "b", "labels": ["x"]})
    job("PATCH", first["url"], {"state": "closed"})

    assert numbers(job("GET", ISSUES)) == [second["number"], pull_request]
    assert numbers(job("GET", f"{ISSUES}?state=all")) == [9, 8, 7]
    assert numbers(job("GET", f"{ISSUES}?state=closed")) == [8]
    assert numbers(job("GET", f"{ISSUES}?state=all&creator=github-actions[bot]")) == [8]
    assert numbers(job("GET", f"{ISSUES}?state=all&labels=x,y")) == [8]
    assert numbers(job("GET", f"{ISSUES}?labels=x")) == [9]


def test_issues_come_in_the_order_that_is_asked_for(emulator: Emulator, job: Client) -> None:
    issues = []
    for title in "abc":
        issues.append(job.make(ISSUES, {"title": title}))
        emulator.world.clock.advance(10)
    job.make(f"{ISSUES}/2/comments", {"body": "x"})
    emulator.world.clock.advance(10)
    job("PATCH", issues[0]["url"], {"title": "d"})

    assert numbers(job("GET", ISSUES)) == [3, 2, 1]
    assert numbers(job("GET", f"{ISSUES}?direction=asc")) == [1, 2, 3]
    assert numbers(job("GET", f"{ISSUES}?sort=updated")) == [1, 2, 3]
    assert numbers(job("GET", f"{ISSUES}?sort=comments"))[0] == 2
    assert numbers(job("GET", f"{ISSUES}?since={issues[2]['created_at']}")) == [3, 2, 1]
    assert numbers(job("GET", f"{ISSUES}?since=2100-01-01T00:00:00Z")) == []


def test_a_time_may_be_of_any_zone(emulator: Emulator, job: Client) -> None:
    job.make(ISSUES, {"title": "x"})
    hour_ago = emulator.world.clock.now() - datetime.timedelta(hours=1)
    zones = [datetime.timezone(datetime.timedelta(hours=hours)) for hours in (-9, 0, 9)]

    queries = [urllib.parse.urlencode({"since": hour_ago.astimezone(zone).isoformat()}) for zone in zones]

    assert [numbers(job("GET", f"{ISSUES}?{query}")) for query in queries] == [[1], [1], [1]]


@pytest.mark.parametrize("query", ["state=done", "sort=title", "direction=up", "since=yesterday"])
def test_a_filter_that_makes_no_sense_is_refused(job: Client, query: str) -> None:
    assert job("GET", f"{ISSUES}?{query}").status_code == 422


def test_a_pull_request_is_an_issue_too(emulator: Emulator, job: Client, pull_request: int) -> None:
    issue = job("GET", f"{ISSUES}/{pull_request}").json()
    emulator.world.github.close_pull_request(pull_request, merged=True)
    merged = job("GET", f"{ISSUES}/{pull_request}").json()

    assert issue["pull_request"]["html_url"] == issue["html_url"] == f"https://github.com/{REPOSITORY}/pull/7"
    assert issue["pull_request"]["merged_at"] is None
    assert (merged["state"], merged["state_reason"]) == ("closed", None)
    assert merged["pull_request"]["merged_at"] == merged["closed_at"]


def test_a_pull_request_that_is_closed_is_not_merged_by_that(
    emulator: Emulator, job: Client, pull_request: int
) -> None:
    emulator.world.github.close_pull_request(pull_request)
    closed = job("GET", f"{ISSUES}/{pull_request}").json()
    opened = job("PATCH", f"{ISSUES}/{pull_request}", {"state": "open"}).json()

    assert (closed["state"], closed["pull_request"]["merged_at"]) == ("closed", None)
    assert (opened["state"], opened["state_reason"]) == ("open", None)


# Comments


def test_a_comment_is_written_changed_and_deleted(job: Client, pull_request: int) -> None:
    comments = f"{ISSUES}/{pull_request}/comments"
    comment = job.make(comments, {"body": "a"})
    changed = job("PATCH", comment["url"], {"body": "b"}).json()
    listed = bodies(job("GET", comments))
    deleted = job("DELETE", comment["url"])

    assert (changed["id"], changed["body"], listed) == (comment["id"], "b", ["b"])
    assert comment["html_url"] == f"https://github.com/{REPOSITORY}/pull/7#issuecomment-{comment['id']}"
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert job("GET", comment["url"]).status_code == 404
    assert bodies(job("GET", comments)) == []


def test_comments_are_listed_and_counted_with_their_issue(job: Client, pull_request: int) -> None:
    other = job.make(ISSUES, {"title": "x"})
    for body in "ab":
        job.make(f"{ISSUES}/{pull_request}/comments", {"body": body})
    job.make(f"{ISSUES}/{other['number']}/comments", {"body": "c"})

    assert bodies(job("GET", f"{ISSUES}/{pull_request}/comments")) == ["a", "b"]
    assert job("GET", f"{ISSUES}/{pull_request}").json()["comments"] == 2


def test_comments_are_found_by_when_they_changed(emulator: Emulator, job: Client, pull_request: int) -> None:
    comments = f"{ISSUES}/{pull_request}/comments"
    first, _ = (job.make(comments, {"body": body}) for body in "ab")
    emulator.world.clock.advance(60)
    job("PATCH", first["url"], {"body": "c"})
    emulator.world.clock.advance(60)
    third = job.make(comments, {"body": "d"})

    changed = job("GET", first["url"]).json()["updated_at"]

    assert bodies(job("GET", f"{comments}?since={changed}")) == ["c", "d"]
    assert bodies(job("GET", f"{comments}?since={third['updated_at']}")) == ["d"]


@pytest.mark.parametrize(
    ("body", "message"),
    [(" \n", "Body cannot be blank"), ("x" * 65537, "Body is too long (maximum is 65536 characters)")],
)
def test_a_comment_that_cannot_be_is_refused(job: Client, pull_request: int, body: str, message: str) -> None:
    comment = job.make(f"{ISSUES}/{pull_request}/comments", {"body": "é" * 65536})

    for response in (
        job("POST", f"{ISSUES}/{pull_request}/comments", {"body": body}),
        job("PATCH", comment["url"], {"body": body}),
    ):
        assert response.status_code == 422
        assert response.json()["errors"] == [
            {"resource": "IssueComment", "code": "unprocessable", "field": "data", "message": message}
        ]


def test_a_comment_may_be_seen_late_in_lists(settings: WorldSettings) -> None:
    with Emulator(replace(settings, propagation=Propagation(github_lists=3))) as emulator:
        job = Client(emulator, emulator.world.github.job_token())
        number = emulator.world.github.open_pull_request()
        emulator.world.clock.advance(10)
        comment = job.make(f"{ISSUES}/{number}/comments", {"body": "a"})

        early = bodies(job("GET", f"{ISSUES}/{number}/comments"))
        directly = job("GET", comment["url"]).status_code
        emulator.world.clock.advance(3)

        assert (early, directly) == ([], 200)
        assert bodies(job("GET", f"{ISSUES}/{number}/comments")) == ["a"]


# Pages


def test_a_list_comes_in_pages_that_lead_to_each_other(job: Client, pull_request: int) -> None:
    for number in range(5):
        job.make(f"{ISSUES}/{pull_request}/comments", {"body": str(number)})
    first = job("GET", f"{ISSUES}/{pull_request}/comments?per_page=2")
    second = job("GET", first.links["next"]["url"])
    last = job("GET", first.links["last"]["url"])

    assert [bodies(first), bodies(second), bodies(last)] == [["0", "1"], ["2", "3"], ["4"]]
    assert [set(each.links) for each in (first, second, last)] == [
        {"next", "last"},
        {"prev", "next", "last", "first"},
        {"prev", "first"},
    ]
    assert (
        bodies(job("GET", second.links["prev"]["url"])) == bodies(job("GET", last.links["first"]["url"])) == ["0", "1"]
    )


@pytest.mark.parametrize(
    ("query", "length"), [("", 30), ("per_page=100", 100), ("per_page=1000", 100), ("per_page=0", 30), ("page=99", 0)]
)
def test_pages_have_a_size(job: Client, query: str, length: int) -> None:
    for number in range(101):
        job.make(DEPLOYMENTS, {**DEPLOYMENT, "description": str(number)})

    assert len(job("GET", f"{DEPLOYMENTS}?{query}").json()) == length


def test_a_list_of_one_page_leads_nowhere(job: Client) -> None:
    assert "Link" not in job("GET", ISSUES).headers


# Deployments


def test_a_deployment_is_made_and_found(job: Client) -> None:
    commit = "1" * 40
    first = job.make(DEPLOYMENTS, {**DEPLOYMENT, "ref": commit, "payload": {"run": 1}, "description": "x"})
    second = job.make(DEPLOYMENTS, {"ref": "main", "task": "test", "required_contexts": []})

    def found(query: str) -> list[int]:
        return [each["id"] for each in job("GET", f"{DEPLOYMENTS}?{query}").json()]

    assert (first["sha"], first["ref"], first["payload"]) == (commit, commit, {"run": 1})
    assert (second["environment"], second["production_environment"], second["description"]) == ("production", True, "")
    assert (first["production_environment"], first["transient_environment"]) == (False, False)
    assert job("GET", first["url"]).json() == first
    assert found("") == [second["id"], first["id"]]
    assert found(f"sha={commit}") == found("environment=preview") == found(f"ref={commit}") == [first["id"]]
    assert found("task=test") == found("environment=production") == [second["id"]]
    assert found("task=test&environment=preview") == []


def test_a_commit_whose_job_still_runs_is_deployed_only_without_its_checks(emulator: Emulator, job: Client) -> None:
    commit = emulator.world.github.start_run()["GITHUB_SHA"]

    refused = job("POST", DEPLOYMENTS, {"ref": commit})
    made = job("POST", DEPLOYMENTS, {"ref": commit, "required_contexts": []})

    assert (refused.status_code, made.status_code) == (409, 201)
    assert refused.json()["message"] == f"Conflict: Commit status checks failed for {commit}."
    assert refused.json()["errors"][0]["contexts"] == [{"context": "deploy", "state": "pending"}]


def test_a_check_that_never_was_has_not_passed(job: Client) -> None:
    assert job("POST", DEPLOYMENTS, {"ref": "main", "required_contexts": ["test"]}).status_code == 409
    assert job("POST", DEPLOYMENTS, {"ref": "main"}).status_code == 201


def test_a_pull_requests_checks_are_those_of_its_head(emulator: Emulator, job: Client) -> None:
    run = {"event_name": "pull_request", "ref": "refs/pull/7/merge"}
    merge = emulator.world.github.start_run(**run, head_sha="1" * 40)["GITHUB_SHA"]  # type: ignore[arg-type]  # all of these are texts

    codes = [job("POST", DEPLOYMENTS, {"ref": ref}).status_code for ref in (merge, "1" * 40)]

    assert codes == [201, 409]


def test_what_is_deployed_is_in_the_repository(settings: WorldSettings, tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    with Emulator(replace(settings, repositories={REPOSITORY: folder})) as emulator:
        job = Client(emulator, emulator.world.github.job_token())

        for ref in ("main", "refs/heads/main", head):
            assert job.make(DEPLOYMENTS, {"ref": ref})["sha"] == head
        emulator.world.github.open_pull_request(head_repository="ann/fork", head_sha="1" * 40)
        assert job.make(DEPLOYMENTS, {"ref": "1" * 40})["sha"] == "1" * 40
        for ref in ("none", "2" * 40, "--all"):
            response = job("POST", DEPLOYMENTS, {"ref": ref})
            assert (response.status_code, response.json()["message"]) == (422, f"No ref found for: {ref}")


def test_statuses_tell_what_became_of_a_deployment(job: Client) -> None:
    deployment = job.make(DEPLOYMENTS, DEPLOYMENT)
    job.make(f"{deployment['url']}/statuses", {"state": "in_progress"})
    where = {"log_url": "https://example.com/log", "environment_url": "https://example.com"}
    job.emulator.world.clock.advance(60)
    status = job.make(f"{deployment['url']}/statuses", {"state": "success", "description": "x" * 140, **where})

    assert job("GET", deployment["url"]).json()["updated_at"] == status["created_at"] > deployment["updated_at"]
    assert states(job, deployment) == ["success", "in_progress"]
    assert status["target_url"] == status["log_url"] == "https://example.com/log"
    assert (status["environment_url"], status["environment"]) == ("https://example.com", "preview")
    assert job("GET", status["url"]).json() == status


def test_an_environment_can_change_with_a_status(job: Client) -> None:
    deployment = job.make(DEPLOYMENTS, DEPLOYMENT)

    status = job.make(f"{deployment['url']}/statuses", {"state": "success", "environment": "staging"})
    later = job.make(f"{deployment['url']}/statuses", {"state": "success"})

    assert status["environment"] == later["environment"] == "staging"
    assert job("GET", deployment["url"]).json()["environment"] == "staging"
    assert job("GET", deployment["url"]).json()["original_environment"] == "preview"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"description": "x" * 141}, "description is too long (maximum is 140 characters)"),
        ({"log_url": "example.com"}, "log_url must use http(s) scheme"),
        ({"environment_url": "ftp://example.com"}, "environment_url must use http(s) scheme"),
    ],
)
def test_a_status_that_cannot_be_is_refused(job: Client, body: Mapping[str, str], message: str) -> None:
    deployment = job.make(DEPLOYMENTS, DEPLOYMENT)

    response = job("POST", f"{deployment['url']}/statuses", {"state": "success", **body})

    error = {"resource": "DeploymentStatus", "code": "custom", "field": next(iter(body)), "message": message}
    assert (response.status_code, response.json()["errors"]) == (422, [error])
    assert states(job, deployment) == []


@pytest.mark.parametrize(
    ("earlier", "later", "after"),
    [
        ({}, {}, ["inactive", "success"]),
        ({}, {"auto_inactive": False}, ["success"]),
        ({}, {"state": "failure"}, ["success"]),
        ({"environment": "other"}, {}, ["success"]),
        ({"transient_environment": True}, {}, ["success"]),
        ({"production_environment": True}, {}, ["success"]),
    ],
    ids=["the same environment", "not wanted", "not well", "another environment", "transient", "production"],
)
def test_a_success_lets_earlier_ones_be_inactive(
    job: Client, earlier: Mapping[str, Any], later: Mapping[str, Any], after: list[str]
) -> None:
    first, second = job.make(DEPLOYMENTS, {**DEPLOYMENT, **earlier}), job.make(DEPLOYMENTS, DEPLOYMENT)
    job.make(f"{first['url']}/statuses", {"state": "success"})

    job.make(f"{second['url']}/statuses", {"state": "success", **later})

    assert states(job, first) == after


def test_only_what_was_well_and_came_before_becomes_inactive(job: Client) -> None:
    deployments = [job.make(DEPLOYMENTS, DEPLOYMENT) for _ in range(3)]
    for deployment, state in zip(deployments, ("failure", "success", "success"), strict=True):
        job.make(f"{deployment['url']}/statuses", {"state": state, "auto_inactive": False})

    job.make(f"{deployments[1]['url']}/statuses", {"state": "success"})

    assert [states(job, each)[0] for each in deployments] == ["failure", "success", "success"]


def test_a_deployment_that_is_active_is_deleted_only_where_it_is_the_only_one(job: Client) -> None:
    first, second = job.make(DEPLOYMENTS, DEPLOYMENT), job.make(DEPLOYMENTS, DEPLOYMENT)
    refused = job("DELETE", first["url"]).status_code
    job.make(f"{first['url']}/statuses", {"state": "inactive"})

    assert [refused, job("DELETE", first["url"]).status_code, job("DELETE", second["url"]).status_code] == [
        422,
        204,
        204,
    ]
    assert job("GET", DEPLOYMENTS).json() == []


# Rate limits


def test_every_answer_tells_how_many_requests_are_left(job: Client) -> None:
    answers = [job("GET", path) for path in (ISSUES, "/user", f"{ISSUES}/1000")]

    assert [each.headers["X-RateLimit-Remaining"] for each in answers] == ["999", "998", "997"]
    assert {each.headers["X-RateLimit-Limit"] for each in answers} == {"1000"}
    assert {each.headers["X-RateLimit-Resource"] for each in answers} == {"core"}


def test_asking_for_the_rate_limit_does_not_count(job: Client, person: Client) -> None:
    job("GET", ISSUES)

    rates = [job("GET", "/rate_limit").json()["rate"] for _ in range(2)]

    assert [(rate["limit"], rate["used"], rate["remaining"]) for rate in rates] == 2 * [(1000, 1, 999)]
    assert person("GET", "/rate_limit").json()["resources"]["core"]["limit"] == 5000


def test_who_has_no_token_soon_has_no_requests_left(emulator: Emulator) -> None:
    nobody = Client(emulator, None)

    codes = [nobody("GET", ISSUES).status_code for _ in range(61)]

    assert codes == [*(60 * [200]), 403]


def test_tokens_of_one_repository_share_its_requests(emulator: Emulator, job: Client) -> None:
    job("GET", ISSUES)

    other = Client(emulator, emulator.world.github.job_token())

    assert other("GET", ISSUES).headers["X-RateLimit-Used"] == "2"


@pytest.mark.parametrize("status", [403, 429])
def test_requests_can_be_used_up_until_a_time(emulator: Emulator, job: Client, person: Client, status: int) -> None:
    assert job.token is not None
    emulator.world.github.use_up_requests(job.token, reset_seconds=600, status=status)
    refused = job("POST", ISSUES, {"title": "x"})
    reset = int(refused.headers["X-RateLimit-Reset"])

    assert refused.status_code == status
    assert refused.json()["message"].startswith("API rate limit exceeded for installation ID ")
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert abs(reset - emulator.world.clock.time() - 600) < 5
    assert person("GET", ISSUES).json() == []
    emulator.world.clock.advance(600)
    assert job("POST", ISSUES, {"title": "x"}).status_code == 201


# Faults


@pytest.mark.parametrize(("retry_after", "status"), [(60, 403), (None, 429)])
def test_a_job_can_be_too_fast(emulator: Emulator, job: Client, retry_after: int | None, status: int) -> None:
    emulator.world.faults.add(
        faults.secondary_rate_limit("github.rest.Issues/Create", retry_after=retry_after, status=status)
    )
    refused = job("POST", ISSUES, {"title": "x"})

    assert refused.status_code == status
    assert refused.json()["message"].startswith("You have exceeded a secondary rate limit.")
    assert refused.headers.get("Retry-After") == (None if retry_after is None else "60")
    assert refused.headers["X-RateLimit-Remaining"] != "0"
    assert job("GET", ISSUES).json() == []
    assert job("POST", ISSUES, {"title": "x"}).status_code == 201


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        (faults.unavailable, 503, "The service is currently unavailable."),
        (faults.internal, 500, "Internal error encountered."),
        (faults.inaccessible_to_job, 403, INACCESSIBLE),
        (faults.issues_disabled_in_repository, 410, "Issues has been disabled in this repository."),
    ],
)
def test_a_fault_looks_like_githubs(emulator: Emulator, job: Client, kind: Any, status: int, message: str) -> None:
    emulator.world.faults.add(kind("github.rest.*"))

    response = job("GET", ISSUES)

    assert (response.status_code, response.json()["message"]) == (status, message)
    assert response.json()["documentation_url"].startswith("https://docs.github.com/rest/issues/issues#")
    assert "X-RateLimit-Limit" in response.headers


def test_something_before_github_can_fail(emulator: Emulator, job: Client) -> None:
    emulator.world.faults.add(faults.bad_gateway("github.rest.*"))

    response = job("GET", ISSUES)

    assert (response.status_code, response.headers["Content-Type"]) == (502, "text/html; charset=UTF-8")


@pytest.mark.parametrize(("moment", "made"), [(Moment.BEFORE, []), (Moment.AFTER, ["x"])])
def test_a_connection_can_be_lost_before_or_after(
    emulator: Emulator, job: Client, pull_request: int, moment: Moment, made: list[str]
) -> None:
    emulator.world.faults.add(faults.connection_reset("github.rest.Issues/CreateComment", moment=moment))

    with pytest.raises(requests.ConnectionError):
        job("POST", f"{ISSUES}/{pull_request}/comments", {"body": "x"})

    assert bodies(job("GET", f"{ISSUES}/{pull_request}/comments")) == made
    assert log(emulator)[0] == ("Issues/CreateComment", "CONNECTION_RESET", "OK" if made else "")


def test_an_answer_can_be_late(emulator: Emulator, job: Client) -> None:
    emulator.world.faults.add(faults.late("github.rest.Issues/Create", late_seconds=0.2))

    response = job("POST", ISSUES, {"title": "x"})

    assert response.status_code == 201
    assert response.elapsed.total_seconds() >= 0.2


def test_a_job_that_is_dead_does_nothing_on_github(emulator: Emulator, job: Client, person: Client) -> None:
    emulator.world.faults.kill("github.rest.Issues/Create", moment=Moment.ANSWERED)

    codes = [job("POST", ISSUES, {"title": "x"}).status_code for _ in range(2)]

    assert codes == [201, 403]
    assert numbers(person("GET", ISSUES)) == [1]


def test_people_are_not_hit(emulator: Emulator, person: Client) -> None:
    emulator.world.faults.add(faults.unavailable("*", times=None))

    assert person("GET", ISSUES).ok


# What is seen of it


def test_every_call_is_in_the_log(emulator: Emulator, job: Client, pull_request: int) -> None:
    comment = job.make(f"{ISSUES}/{pull_request}/comments", {"body": "x"})
    job("GET", f"{ISSUES}/{pull_request}/comments")
    job("PATCH", comment["url"], {"body": ""})
    job("DELETE", comment["url"])

    assert [(call.method, call.writes, call.status) for call in emulator.world.requests] == [
        ("github.rest.Issues/CreateComment", True, "OK"),
        ("github.rest.Issues/ListComments", False, "OK"),
        ("github.rest.Issues/UpdateComment", True, "INVALID_ARGUMENT"),
        ("github.rest.Issues/DeleteComment", True, "OK"),
    ]
    assert {call.principal for call in emulator.world.requests} == {"github-actions[bot]"}


def test_the_world_shows_what_was_made(emulator: Emulator, job: Client, pull_request: int) -> None:
    def look() -> Any:
        return requests.get(f"{emulator.world.base_url}/emulator/world", timeout=10).json()["github"]

    job.make(f"{ISSUES}/{pull_request}/comments", {"body": "x"})
    deployment = job.make(DEPLOYMENTS, DEPLOYMENT)
    job.make(f"{deployment['url']}/statuses", {"state": "success"})
    shown = look()[REPOSITORY]

    assert [comment["body"] for comment in shown["issues"][0]["comments"]] == ["x"]
    assert [status["state"] for status in shown["deployments"][0]["statuses"]] == ["success"]


def test_a_world_in_which_nothing_happened_shows_nothing(emulator: Emulator) -> None:
    emulator.world.github.start_run()

    assert requests.get(f"{emulator.world.base_url}/emulator/world", timeout=10).json()["github"] == {}


@pytest.mark.parametrize(
    ("body", "code"), [({"permissions": {"deployments": "write"}}, 201), ({"permissions": {}}, 403), ({}, 201)]
)
def test_a_page_gives_the_token_of_a_job(emulator: Emulator, body: Any, code: int) -> None:
    url = f"{emulator.world.base_url}/emulator/github_token"
    token = requests.post(url, json={"repository": REPOSITORY, **body}, timeout=10).json()["token"]

    assert token.startswith("ghs_")
    assert Client(emulator, token)("POST", DEPLOYMENTS, DEPLOYMENT).status_code == code


@pytest.mark.parametrize("body", [{"permissions": {"issues": "all"}}, {"repo": "a/b"}])
def test_a_page_refuses_a_token_that_cannot_be(emulator: Emulator, body: Any) -> None:
    assert requests.post(f"{emulator.world.base_url}/emulator/github_token", json=body, timeout=10).status_code == 400
