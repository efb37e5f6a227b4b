"""The door to GitHub: the one comment, the one issue, deployments, and whatever may go wrong with them."""

from __future__ import annotations

import datetime
import http.server
import itertools
import json
import logging
import re
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest
import requests
import yaml

from emulator import faults
from emulator.faults import Fault, Moment
from emulator.propagation import Propagation
from emulator.services.github_access import BOT
from emulator.services.github_repositories import Comment, Deployment, Issue, Repository
from emulator.world import World
from octue_action import github_context
from octue_action.cancellation import Cancellation, Cancelled
from octue_action.github import CALL_SECONDS, LABEL, PAUSES, SHOWN_SECONDS, GitHub, GitHubError
from octue_action.github_context import GitHubContext
from octue_action.problems import Findings
from tests.clocks import SimulatedClock

TOKEN = "ghs_0123456789abcdefghijABCDEFGHIJ987654"
KEY = "0123456789abcdef"
MARKER = f"<!-- octue-action: {KEY} -->"
PAGE = "# The plan\n\nNothing changes.\n"

Call = Callable[[GitHub], object]

CALLS: dict[str, Call] = {
    "show_comment": lambda github: github.show_comment(12, KEY, PAGE),
    "open_issue": lambda github: github.open_issue(KEY, "Drift", PAGE),
    "close_issue": lambda github: github.close_issue(KEY, PAGE),
    "begin_deployment": lambda github: github.begin_deployment("sum", description="sum", is_preview=False),
    "end_deployment": lambda github: github.end_deployment(1, "success"),
    "retire_deployments": lambda github: github.retire_deployments("sum"),
}
"""Every method, in the order of the class."""

every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def context(environment: dict[str, str]) -> GitHubContext:
    return github_context.read(environment, Findings())


def refusal(call: Call, github: GitHub, *secrets: str) -> GitHubError:
    """How a call is refused; wherever it is looked at, there is no token in it."""
    with pytest.raises(GitHubError) as caught:
        call(github)
    error = caught.value
    shown = "\n".join([str(error), repr(error), repr(github), error.remedy, *traceback.format_exception(error)])
    assert not [secret for secret in (TOKEN, *secrets) if secret in shown]
    assert error.message
    assert error.remedy
    return error


def test_pygithub_is_not_loaded_before_it_is_needed() -> None:
    code = "import sys, octue_action.main; print('github' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# A server that says anything


@dataclass
class Answer:
    """What a server says, whatever it is asked."""

    status: int = 200
    body: str = "[]"
    headers: Mapping[str, str] = field(default_factory=dict)


class Anything:
    """A server that gives one answer to everything, and knows what it was asked."""

    def __init__(self) -> None:
        self.answer: Callable[[str], Answer] = lambda _: Answer()
        self.asked: list[tuple[str, str, str]] = []
        self.address = ""


@contextmanager
def anything(host: str = "127.0.0.1") -> Iterator[Anything]:
    said = Anything()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            said.asked.append((self.command, self.path, self.headers.get("Authorization", "")))
            answer = said.answer(self.command)
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Content-Length": str(len(answer.body.encode()))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body.encode())

        do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the names are http.server's

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        said.address = f"http://{host}:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield said
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def strange() -> Iterator[Anything]:
    with anything() as said:
        yield said


@pytest.fixture
def asking_strangers(strange: Anything, context: GitHubContext, clock: SimulatedClock) -> GitHub:
    """The door to that server."""
    return GitHub(replace(context, api_url=strange.address), TOKEN, Cancellation(clock))


GARBAGE = [
    *("", "<html>Bad Gateway</html>", "null", "[]", "{}", "0", '"text"', "\ufeff{}", "[" * 5000, "[[]]", "[{}]"),
    *(TOKEN, json.dumps(TOKEN), json.dumps({"message": TOKEN}), json.dumps({"message": {"a": [TOKEN]}})),
    *(json.dumps([{"id": "1", "body": MARKER, "user": {"type": "Bot"}}]), json.dumps([{"id": 1, "body": [MARKER]}])),
    *(json.dumps([{"id": 1, "body": MARKER, "user": user}]) for user in (None, "Bot", {"type": "Bot"}, {"type": 1})),
    *(
        json.dumps(it)
        for it in ({"id": 10**30, "url": TOKEN}, {"id": 1, "url": 5}, {"id": None}, {"id": 1, "login": 5})
    ),
    json.dumps([{"id": 1, "state": 5, "url": TOKEN, "payload": "text"}]),
]


@pytest.mark.parametrize("status", [200, 201, 204, 400, 401, 403, 404, 409, 410, 422, 429, 500, 502])
@every_call
def test_garbage_is_a_refusal_in_plain_words_and_no_token_is_in_it(
    call: Call, status: int, asking_strangers: GitHub, strange: Anything, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for body in GARBAGE:
        strange.answer = lambda _, body=body: Answer(status, body)  # type: ignore[misc]  # mypy knows no type of the default
        try:
            call(asking_strangers)
        except GitHubError:
            refusal(call, asking_strangers)
        else:
            assert status < 300, body
    assert TOKEN not in caplog.text.replace(repr(TOKEN), "")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@every_call
def test_a_redirect_elsewhere_is_not_followed(
    call: Call, status: int, asking_strangers: GitHub, strange: Anything
) -> None:
    with anything("localhost") as elsewhere:
        strange.answer = lambda _: Answer(status, "{}", {"Location": f"{elsewhere.address}/x"})
        refusal(call, asking_strangers)
        assert elsewhere.asked == []


PAGE_OF_OTHERS = json.dumps([{"id": 1, "body": "Nice", "url": "/x"}])


@pytest.mark.parametrize("name", ["show_comment", "open_issue", "close_issue", "retire_deployments"])
def test_a_next_page_elsewhere_is_not_asked_for(name: str, asking_strangers: GitHub, strange: Anything) -> None:
    with anything() as elsewhere:
        port = elsewhere.address.rpartition(":")[2]
        for origin in (elsewhere.address, f"http://api.127.0.0.1:{port}", "https://127.0.0.1", "http://example.com"):
            link = {"Link": f'<{origin}/x>; rel="next"'}
            strange.answer = lambda _, it=link: Answer(200, PAGE_OF_OTHERS, it)  # type: ignore[misc]  # mypy knows no type of the default
            strange.asked.clear()
            refusal(CALLS[name], asking_strangers)
            assert [verb for verb, _, _ in strange.asked] == ["GET"] * len(strange.asked)
        assert elsewhere.asked == []


def test_a_next_page_without_encryption_is_not_asked_for(
    context: GitHubContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def answer(_: requests.Session, __: str, url: str, **___: Any) -> requests.Response:
        asked.append(url)
        response = requests.Response()
        response.status_code, response._content = 200, PAGE_OF_OTHERS.encode()
        response.headers["Link"] = '<http://api.github.com/x>; rel="next"'
        return response

    monkeypatch.setattr(requests.Session, "request", answer)
    refusal(CALLS["show_comment"], GitHub(context, TOKEN, Cancellation()))
    assert [url.partition("/repos")[0] for url in asked] == ["https://api.github.com:443"]


def test_what_says_that_it_is_elsewhere_is_not_changed_there(asking_strangers: GitHub, strange: Anything) -> None:
    with anything() as elsewhere:
        comment = {"id": 1, "body": MARKER, "user": {"type": "Bot"}, "url": f"{elsewhere.address}/comments/1"}
        strange.answer = lambda _: Answer(200, json.dumps([comment]))
        refusal(CALLS["show_comment"], asking_strangers)
        assert elsewhere.asked == []


def test_pages_without_end_end(asking_strangers: GitHub, strange: Anything, clock: SimulatedClock) -> None:
    def answer(_: str) -> Answer:
        clock.time += 1.0
        return Answer(
            200, PAGE_OF_OTHERS, {"Link": f'<{strange.address}/repos/x?page={len(strange.asked)}>; rel="next"'}
        )

    strange.answer = answer
    assert f"takes over {CALL_SECONDS:.0f} s" in refusal(CALLS["show_comment"], asking_strangers).message
    assert clock.time < CALL_SECONDS + 2


@every_call
def test_a_server_in_trouble_is_asked_a_few_times_for_seconds(
    call: Call, asking_strangers: GitHub, strange: Anything, clock: SimulatedClock
) -> None:
    strange.answer = lambda _: Answer(503, "")
    assert "it answers 503" in refusal(call, asking_strangers).message
    assert 2 <= len(strange.asked) <= 1 + 2 * len(PAUSES)
    assert clock.time <= 2 * sum(PAUSES)


@every_call
def test_nobody_who_answers_is_told(call: Call, context: GitHubContext, clock: SimulatedClock) -> None:
    # Port 9 is nobody's on loopback.
    lost = GitHub(replace(context, api_url="http://127.0.0.1:9"), TOKEN, Cancellation(clock))
    error = refusal(call, lost)
    assert error.message == "GitHub does not answer: ConnectionError."
    assert "githubstatus.com" in error.remedy
    assert clock.time <= 2 * sum(PAUSES)


def test_no_proxy_stands_before_an_emulator(
    asking_strangers: GitHub, strange: Anything, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert asking_strangers.close_issue(KEY, PAGE) is None
    assert strange.asked[0][2] == f"token {TOKEN}"


@pytest.mark.parametrize(
    "address",
    [
        *("", "http://api.github.com", "http://127.0.0.1.example.com", "http://localhost@example.com/", "ftp://x.org"),
        *("https://", "https://user@api.github.com", "https://api.github.com\n", "https://api.github.com?x=", "/"),
        *("http://169.254.169.254", "https://api.github.com/#", "file:///etc/passwd", "//api.github.com"),
    ],
)
def test_the_token_is_sent_to_no_such_address(address: str, context: GitHubContext) -> None:
    with pytest.raises(GitHubError, match="GITHUB_API_URL is no address"):
        GitHub(replace(context, api_url=address), TOKEN, Cancellation())


@pytest.mark.parametrize(
    "address", ["https://api.github.com", "https://ghe.example.com:8443/api/v3/", "http://localhost"]
)
def test_it_may_be_sent_to_such_a_one(address: str, context: GitHubContext) -> None:
    assert TOKEN not in repr(GitHub(replace(context, api_url=address), TOKEN, Cancellation()))


@pytest.mark.parametrize("token", ["", "ghs_ab\ncd", "ghs_Grüße", "ghs_☃", " ghs_ab"])
@every_call
def test_a_token_that_is_none_is_refused(call: Call, token: str, context: GitHubContext, strange: Anything) -> None:
    github = GitHub(replace(context, api_url=strange.address), token, Cancellation(SimulatedClock()))
    strange.answer = lambda _: Answer(401, '{"message": "Bad credentials"}')
    refusal(call, github, *filter(None, [token.strip()]))


@every_call
def test_a_run_that_is_to_end_asks_nothing(call: Call, context: GitHubContext, strange: Anything) -> None:
    cancellation = Cancellation(SimulatedClock())
    cancellation.ask(signal.SIGTERM)
    with pytest.raises(Cancelled):
        call(GitHub(replace(context, api_url=strange.address), TOKEN, cancellation))
    assert strange.asked == []


@every_call
def test_a_run_that_is_cancelled_does_not_wait_for_a_server_in_trouble(
    call: Call, context: GitHubContext, strange: Anything
) -> None:
    cancellation = Cancellation()

    def answer(_: str) -> Answer:
        cancellation.ask()
        return Answer(503, "")

    strange.answer = answer
    with pytest.raises(Cancelled):
        call(GitHub(replace(context, api_url=strange.address), TOKEN, cancellation))
    assert len(strange.asked) == 1


@pytest.mark.parametrize("key", ["", "a b", "a-->", "--", "ä", "a" * 65, "a\n"])
def test_a_key_that_would_end_the_marker_is_a_mistake(key: str, asking_strangers: GitHub) -> None:
    with pytest.raises(ValueError, match="cannot be a key"):
        asking_strangers.show_comment(1, key, PAGE)


# GitHub as the emulator plays it

MAY_ALL = {"contents": "read", "deployments": "write", "issues": "write", "pull-requests": "write"}


class CloudClock(SimulatedClock):
    """The time of one run, which goes by waiting only; the emulator's goes with it."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def wait(self, event: threading.Event, seconds: float) -> bool:
        if not event.is_set():
            self._world.clock.advance(seconds)
        return super().wait(event, seconds)


class Place:
    """A repository that no other test uses, with a pull request, and a run in it.

    :param run: how the run was started, as ``start_run`` takes it.
    """

    def __init__(self, world: World, name: str, **run: Any) -> None:
        self.world = world
        self.name = f"org-of-{name}/{name}"  # GitHub counts the requests for each owner
        run = {"ref": "refs/pull/1/merge", "event_name": "pull_request", **run}
        variables = world.github.start_run(repository=self.name, **run)
        self.context = github_context.read({**variables, "GITHUB_WORKSPACE": "/"}, Findings())
        self._seen = len(world.requests)

    def github(self, token: str | None = None, **permissions: str) -> GitHub:
        """The door, for a job that may do everything unless permissions or another token are given."""
        granted = {name.replace("_", "-"): level for name, level in permissions.items()} or MAY_ALL
        token = token or self.world.github.job_token(self.name, granted)
        return GitHub(self.context, token, Cancellation(CloudClock(self.world)))

    @property
    def repository(self) -> Repository:
        return self.world.github.repositories.add(self.name)

    @property
    def comments(self) -> list[Comment]:
        """Those on the pull request."""
        return self.repository.comments_on(self.repository.issues[1])

    @property
    def issues(self) -> list[Issue]:
        """Those that are no pull requests, the oldest first."""
        return [issue for issue in self.repository.issues.values() if issue.pull_request is None]

    @property
    def open_issues(self) -> list[Issue]:
        return [issue for issue in self.issues if issue.state == "open"]

    @property
    def deployments(self) -> list[Deployment]:
        return list(self.repository.deployments.values())

    def requests(self) -> list[str]:
        """What GitHub was asked for since this was called last."""
        before, self._seen = self._seen, len(self.world.requests)
        return [request.method.rpartition(".")[2] for request in list(self.world.requests)[before:]]

    def comment(self, author: str, body: str) -> Comment:
        """Somebody writes a comment."""
        now = self.world.clock.time()
        number = self.world.github.repositories.new_id()
        comment = Comment(id=number, issue=1, author=author, body=body, created=now, updated=now)
        self.repository.comments[number] = comment
        return comment

    def issue(self, author: str, body: str | None) -> Issue:
        """Somebody opens an issue."""
        now = self.world.clock.time()
        number = self.repository.next_number
        issue = Issue(
            id=self.world.github.repositories.new_id(),
            number=number,
            title="An issue",
            author=author,
            body=body,
            created=now,
            updated=now,
            labels=[LABEL],
        )
        self.repository.issues[number] = issue
        return issue

    def fail(self, *faults: Fault) -> None:
        self.world.faults.add(*faults)


@pytest.fixture
def place(world: World, name: str) -> Iterator[Place]:
    yield Place(world, name)
    world.faults.clear()
    world.propagation = Propagation()


LIST, CREATE = "Issues/ListComments", "Issues/CreateComment"
UPDATE, DELETE = "Issues/UpdateComment", "Issues/DeleteComment"
LIST_ISSUES, OPEN, CHANGE = "Issues/ListForRepo", "Issues/Create", "Issues/Update"


# The comment


def test_a_comment_is_written_with_its_marker_on_the_first_line(place: Place) -> None:
    address = place.github().show_comment(1, KEY, PAGE)
    (comment,) = place.comments
    assert comment.body == f"{MARKER}\n{PAGE}"
    assert address == f"https://github.com/{place.name}/pull/1#issuecomment-{comment.id}"
    assert place.requests() == [LIST, CREATE, LIST]


def test_a_comment_that_says_the_same_is_not_written_again(place: Place) -> None:
    address = place.github().show_comment(1, KEY, PAGE)
    place.comments[0].body = place.comments[0].body.replace("\n", "\r\n")  # as GitHub's own editor saves it
    place.requests()
    assert place.github().show_comment(1, KEY, PAGE) == address
    assert place.requests() == [LIST]


def test_a_comment_that_says_something_else_is_changed_in_place(place: Place) -> None:
    address = place.github().show_comment(1, KEY, PAGE)
    place.requests()
    assert place.github().show_comment(1, KEY, "# Another plan\n") == address
    assert [comment.body for comment in place.comments] == [f"{MARKER}\n# Another plan\n"]
    assert place.requests() == [LIST, UPDATE]


def test_each_key_has_a_comment_of_its_own(place: Place) -> None:
    for key in ("one", "other", "one"):
        place.github().show_comment(1, key, PAGE)
    assert [comment.body.splitlines()[0] for comment in place.comments] == [
        "<!-- octue-action: one -->",
        "<!-- octue-action: other -->",
    ]


def test_a_comment_is_found_among_hundreds(place: Place) -> None:
    for number in range(250):
        place.comment("octocat", f"Comment {number}")
    place.github().show_comment(1, KEY, PAGE)
    place.requests()
    place.github().show_comment(1, KEY, "# Another plan\n")
    assert len(place.comments) == 251
    assert place.requests() == [LIST, LIST, LIST, UPDATE]


@pytest.mark.parametrize("author", ["mallory", "ghost", "github-actions"])
def test_a_comment_with_the_marker_that_a_person_planted_is_left_alone(place: Place, author: str) -> None:
    planted = place.comment(author, f"{MARKER}\nAll is well, trust me.")
    address = place.github().show_comment(1, KEY, PAGE)
    assert str(planted.id) not in address
    assert [comment.body for comment in place.comments] == [planted.body, f"{MARKER}\n{PAGE}"]
    assert planted.body.endswith("trust me.")


def test_the_marker_counts_on_the_first_line_only(place: Place) -> None:
    quoted = place.comment(BOT, f"> quoted:\n{MARKER}\n")
    place.github().show_comment(1, KEY, PAGE)
    assert quoted.body == f"> quoted:\n{MARKER}\n"
    assert len(place.comments) == 2


def test_with_a_persons_token_only_what_that_person_wrote_counts(place: Place) -> None:
    others = [place.comment(author, f"{MARKER}\nNot mine") for author in (BOT, "mallory")]
    github = place.github(place.world.github.personal_token("octocat"))
    address = github.show_comment(1, KEY, PAGE)
    assert place.requests() == [LIST, "Users/GetAuthenticated", CREATE, LIST]
    assert github.show_comment(1, KEY, "# Another plan\n") == address
    assert place.requests() == [LIST, UPDATE]
    assert [comment.author for comment in place.comments] == [BOT, "mallory", "octocat"]
    assert {comment.body for comment in others} == {f"{MARKER}\nNot mine"}


def test_of_several_comments_the_oldest_stays(place: Place) -> None:
    oldest, *_ = (place.comment(BOT, f"{MARKER}\nOne of three") for _ in range(3))
    address = place.github().show_comment(1, KEY, PAGE)
    assert [comment.id for comment in place.comments] == [oldest.id]
    assert str(oldest.id) in address
    assert oldest.body == f"{MARKER}\n{PAGE}"


def test_a_comment_that_another_run_deletes_meanwhile_is_gone_all_the_same(place: Place) -> None:
    for _ in range(2):
        place.comment(BOT, f"{MARKER}\nOne of two")
    place.fail(faults.connection_reset(f"*.{DELETE}", moment=Moment.AFTER))
    place.github().show_comment(1, KEY, PAGE)
    place.world.faults.check()
    assert len(place.comments) == 1
    assert place.requests() == [LIST, DELETE, DELETE, UPDATE]


LOST = [
    pytest.param(faults.connection_reset, id="a connection that is reset"),
    pytest.param(faults.bad_gateway, id="a gateway in trouble"),
    pytest.param(faults.internal, id="an error of the server"),
]


@pytest.mark.parametrize("lose", LOST)
@pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.AFTER])
@pytest.mark.parametrize("times", [1, 3])
def test_a_comment_whose_writing_nobody_answered_is_there_once(
    place: Place, lose: Callable[..., Fault], moment: Moment, times: int
) -> None:
    place.fail(lose(f"*.{CREATE}", moment=moment, times=times))
    place.github().show_comment(1, KEY, PAGE)
    assert len(place.comments) == 1
    requests = place.requests()
    assert requests.count(CREATE) == (1 if moment is Moment.AFTER else times + 1)
    assert {before for before, it in itertools.pairwise(requests) if it == CREATE} == {LIST}


@pytest.mark.parametrize("method", [LIST, UPDATE])
def test_what_may_be_repeated_is(place: Place, method: str) -> None:
    place.github().show_comment(1, KEY, PAGE)
    place.fail(faults.bad_gateway(f"*.{method}", times=2), faults.connection_reset(f"*.{method}", skip=2))
    place.github().show_comment(1, KEY, "# Another plan\n")
    place.world.faults.check()
    assert [comment.body for comment in place.comments] == [f"{MARKER}\n# Another plan\n"]


def test_a_list_that_shows_late_is_waited_for(place: Place) -> None:
    place.world.propagation = Propagation(github_lists=SHOWN_SECONDS / 2)
    place.fail(faults.connection_reset(f"*.{CREATE}", moment=Moment.AFTER))
    place.github().show_comment(1, KEY, PAGE)
    assert len(place.comments) == 1


def test_what_a_list_showed_too_late_is_cleared_up_by_the_next_run(place: Place) -> None:
    place.world.propagation = Propagation(github_lists=60)
    place.fail(faults.connection_reset(f"*.{CREATE}", moment=Moment.AFTER))
    place.github().show_comment(1, KEY, PAGE)
    oldest = place.comments[0]
    assert len(place.comments) == 2
    place.world.clock.advance(60)
    place.github().show_comment(1, KEY, PAGE)
    assert place.comments == [oldest]


def test_a_run_whose_answer_was_lost_does_not_take_anothers_comment_for_its_own(place: Place) -> None:
    place.world.propagation = Propagation(github_lists=3)

    def another_run_writes(answer: Any) -> Any:
        place.comment(BOT, f"{MARKER}\nAnother run").created -= 10
        return answer

    place.fail(Fault(method=f"*.{LIST}", change=another_run_writes))
    place.fail(faults.connection_reset(f"*.{CREATE}", moment=Moment.AFTER))
    place.github().show_comment(1, KEY, PAGE)
    assert place.requests().count(DELETE) == 1
    assert [comment.body for comment in place.comments] == [f"{MARKER}\n{PAGE}"]


def at_once(place: Place, method: str, *calls: Callable[[], str]) -> list[str]:
    """What two calls give that both look before either writes."""
    barrier = threading.Barrier(len(calls))

    def hold(answer: Any) -> Any:
        barrier.wait(10)
        return answer

    place.fail(Fault(method=f"*.{method}", change=hold, times=len(calls)))
    with ThreadPoolExecutor(len(calls)) as pool:
        given = [pool.submit(call) for call in calls]
        return [each.result() for each in given]


@pytest.mark.parametrize("late", [0, 1, 3])
def test_two_runs_at_once_leave_the_oldest_of_their_comments(place: Place, late: int) -> None:
    place.world.propagation = Propagation(github_lists=late)
    one, other = place.github(), place.github()
    addresses = at_once(
        place, LIST, lambda: one.show_comment(1, KEY, "One\n"), lambda: other.show_comment(1, KEY, "Other\n")
    )
    assert place.requests().count(CREATE) == 2
    (comment,) = place.comments
    assert comment.id == min(int(address.rpartition("-")[2]) for address in addresses)
    assert addresses[0] == addresses[1]


def adverse(random: Random) -> list[Fault]:
    """What may go wrong in one run, and pass."""
    makers: list[Callable[..., Fault]] = [faults.connection_reset, faults.bad_gateway, faults.gateway_timeout]
    return [
        random.choice(makers)(
            f"*.{method}", moment=random.choice(list(Moment)[:2]), skip=random.randint(0, 2), times=random.randint(1, 2)
        )
        for method in (LIST, CREATE, UPDATE, DELETE, LIST_ISSUES, OPEN, CHANGE)
        if random.random() < 0.5
    ]


def test_in_fifty_runs_with_faults_there_is_one_comment(place: Place) -> None:
    random = Random(7)
    for number in range(50):
        place.world.faults.clear()
        place.fail(*adverse(random))
        place.world.propagation = Propagation(github_lists=random.choice([0, 0, 1, 3]))
        if random.random() < 0.3:
            place.repository.comments.clear()
        texts = [f"Run {number}{letter}\n" for letter in "ab"[: random.randint(1, 2)]]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda text: place.github().show_comment(1, KEY, text), texts))
        (comment,) = place.comments
        assert comment.body in {f"{MARKER}\n{text}" for text in texts}
    assert place.requests().count(CREATE) > 10


@pytest.mark.parametrize("letter", ["x", "ü", "\U0001f600"])
def test_a_body_that_is_too_long_is_cut_with_its_markup_closed(place: Place, letter: str) -> None:
    body = "<details>\n" + "".join(f"{letter * 99}\n" for _ in range(1000)) + "</details>\n"
    place.github().show_comment(1, KEY, body)
    (comment,) = place.comments
    assert 60_000 < len(comment.body.encode()) <= 65_536
    assert comment.body.startswith(f"{MARKER}\n<details>\n{letter * 99}\n")
    assert comment.body.endswith(
        f"{letter}\n\n</details>\n\n_The rest is left out: GitHub takes no more than 65,536 characters._\n"
    )


def test_a_token_in_a_body_is_shown_to_nobody(place: Place) -> None:
    token = place.world.github.job_token(place.name, MAY_ALL)
    place.github(token).show_comment(1, KEY, f"{token} and ya29.secret")
    place.github(token).open_issue(KEY, f"With {token}", f"{token}")
    shown = place.comments[0].body + place.issues[0].title + str(place.issues[0].body)
    assert token not in shown
    assert "ya29.secret" not in shown


# The issue


def test_an_issue_is_opened_with_its_marker_on_the_first_line(place: Place) -> None:
    address = place.github().open_issue(KEY, "Drift: sum", PAGE)
    (issue,) = place.issues
    assert (issue.title, issue.body, issue.state) == ("Drift: sum", f"{MARKER}\n{PAGE}", "open")
    assert address == f"https://github.com/{place.name}/issues/{issue.number}"
    assert place.requests() == [LIST_ISSUES, OPEN, LIST_ISSUES]


def test_an_issue_that_says_the_same_is_not_written_again(place: Place) -> None:
    address = place.github().open_issue(KEY, "Drift: sum", PAGE)
    place.requests()
    assert place.github().open_issue(KEY, "Drift: sum", PAGE) == address
    assert place.requests() == [LIST_ISSUES]


@pytest.mark.parametrize(("title", "body"), [("Drift: other", PAGE), ("Drift: sum", "# More\n")])
def test_an_issue_that_says_something_else_is_changed_in_place(place: Place, title: str, body: str) -> None:
    address = place.github().open_issue(KEY, "Drift: sum", PAGE)
    place.requests()
    assert place.github().open_issue(KEY, title, body) == address
    assert [(issue.title, issue.body) for issue in place.issues] == [(title, f"{MARKER}\n{body}")]
    assert place.requests() == [LIST_ISSUES, CHANGE]


def test_an_issue_is_closed_as_completed_with_its_last_state(place: Place) -> None:
    address = place.github().open_issue(KEY, "Drift: sum", PAGE)
    place.requests()
    assert place.github().close_issue(KEY, "No drift any more.\n") == address
    (issue,) = place.issues
    assert (issue.state, issue.state_reason) == ("closed", "completed")
    assert issue.body == f"{MARKER}\nNo drift any more.\n"
    assert place.requests() == [LIST_ISSUES, CHANGE]


def test_where_no_issue_is_open_none_is_closed(place: Place) -> None:
    place.issue("octocat", None)
    assert place.github().close_issue(KEY, PAGE) is None
    assert place.requests() == [LIST_ISSUES]


def test_after_a_closed_issue_a_new_one_is_opened(place: Place) -> None:
    place.github().open_issue(KEY, "Drift: sum", PAGE)
    place.github().close_issue(KEY, PAGE)
    place.github().open_issue(KEY, "Drift: sum", PAGE)
    assert [issue.state for issue in place.issues] == ["closed", "open"]


def test_issues_of_others_and_pull_requests_are_left_alone(place: Place) -> None:
    planted = place.issue("mallory", f"{MARKER}\nAll is well.")
    pull_request = place.repository.issues[1]
    pull_request.author, pull_request.body = BOT, f"{MARKER}\nA pull request"
    assert place.github().close_issue(KEY, PAGE) is None
    place.github().open_issue(KEY, "Drift", PAGE)
    assert place.github().close_issue(KEY, PAGE) is not None
    assert (planted.state, pull_request.state) == ("open", "open")
    assert pull_request.body == f"{MARKER}\nA pull request"


def test_of_several_issues_the_oldest_stays_open(place: Place) -> None:
    oldest, *_ = (place.issue(BOT, f"{MARKER}\nOne of three") for _ in range(3))
    address = place.github().open_issue(KEY, "Drift", PAGE)
    assert place.open_issues == [oldest]
    assert address.endswith(f"/{oldest.number}")
    assert {issue.state_reason for issue in place.issues[1:]} == {"not_planned"}


def test_of_several_issues_all_are_closed(place: Place) -> None:
    oldest, *_ = (place.issue(BOT, f"{MARKER}\nOne of two") for _ in range(2))
    address = place.github().close_issue(KEY, PAGE)
    assert place.open_issues == []
    assert str(address).endswith(f"/{oldest.number}")


def test_two_runs_at_once_leave_the_oldest_of_their_issues_open(place: Place) -> None:
    one, other = place.github(), place.github()
    addresses = at_once(
        place, LIST_ISSUES, lambda: one.open_issue(KEY, "Drift", PAGE), lambda: other.open_issue(KEY, "Drift", PAGE)
    )
    assert place.requests().count(OPEN) == 2
    (issue,) = place.open_issues
    assert issue is place.issues[0]
    assert {address.rpartition("/")[2] for address in addresses} == {str(issue.number)}


def test_in_fifty_runs_with_faults_there_is_one_open_issue(place: Place) -> None:
    random = Random(11)
    for number in range(50):
        place.world.faults.clear()
        place.fail(*adverse(random))
        place.world.propagation = Propagation(github_lists=random.choice([0, 0, 1, 3]))
        title, runs = f"Drift of run {number}", random.randint(1, 2)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda title: place.github().open_issue(KEY, title, PAGE), [title] * runs))
        (issue,) = place.open_issues
        assert (issue.title, issue.body) == (title, f"{MARKER}\n{PAGE}")
        place.world.clock.advance(5)
        if random.random() < 0.4:
            assert place.github().close_issue(KEY, PAGE)
            assert place.open_issues == []
            place.world.clock.advance(5)
    assert len(place.issues) > 10


def test_a_title_is_one_line_that_github_takes(place: Place) -> None:
    place.github().open_issue(KEY, "Drift:\r\n\tsum \x1b[31m\u202e" + "x" * 300, PAGE)
    (issue,) = place.issues
    assert issue.title.startswith("Drift: sum [31m xxx")
    assert issue.title.endswith("x…")
    assert len(issue.title) == 256


# Deployments

DEPLOY, STATUS = "Repos/CreateDeployment", "Repos/CreateDeploymentStatus"
DEPLOYMENTS, STATUSES = "Repos/ListDeployments", "Repos/ListDeploymentStatuses"


def begin(place: Place, environment: str = "sum", *, is_preview: bool = False) -> int:
    return place.github().begin_deployment(environment, description="sum to Cloud Run", is_preview=is_preview)


@pytest.mark.parametrize("is_preview", [True, False])
def test_a_deployment_is_in_progress_when_it_begins(place: Place, is_preview: bool) -> None:
    number = begin(place, is_preview=is_preview)
    (deployment,) = place.deployments
    assert (deployment.id, deployment.sha, deployment.environment) == (number, place.context.commit, "sum")
    assert (deployment.transient, deployment.production) == (is_preview, False)
    assert deployment.description == "sum to Cloud Run"
    assert [(it.state, it.log_url) for it in deployment.statuses] == [("in_progress", place.context.run_url)]
    assert place.requests() == [DEPLOY, STATUS]


def test_a_deployment_ends_with_what_became_of_it(place: Place) -> None:
    number = begin(place)
    place.requests()
    place.github().end_deployment(number, "success", description="Done", environment_url="https://example.com/sum")
    (deployment,) = place.deployments
    newest = deployment.statuses[-1]
    assert (newest.state, newest.description, newest.log_url) == ("success", "Done", place.context.run_url)
    assert newest.environment_url == "https://example.com/sum"
    assert place.requests() == [STATUS]


def test_an_address_that_is_none_is_left_out(place: Place) -> None:
    number = begin(place)
    place.github().end_deployment(number, "success", environment_url="javascript:alert(1)")
    assert place.deployments[0].statuses[-1].environment_url == ""


def test_descriptions_and_environments_are_lines_that_github_takes(place: Place) -> None:
    number = place.github().begin_deployment("e\n" * 300, description="d\r\n" * 300, is_preview=False)
    place.github().end_deployment(number, "failure", description="It\nfailed: " + "x" * 300)
    (deployment,) = place.deployments
    assert len(deployment.environment) == 255
    assert len(str(deployment.description)) == len(deployment.statuses[-1].description) == 140
    assert deployment.statuses[-1].description.startswith("It failed: xxx")
    assert place.github().retire_deployments("e\n" * 300) == 1


def test_of_an_environment_only_the_newest_success_is_active(place: Place) -> None:
    for _ in range(3):
        place.github().end_deployment(begin(place), "success")
    assert [deployment.state for deployment in place.deployments] == ["inactive", "inactive", "success"]


@pytest.mark.parametrize("lose", LOST)
@pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.AFTER])
@pytest.mark.parametrize("method", [DEPLOY, STATUS])
def test_a_deployment_that_nobody_answered_for_is_there_once(
    place: Place, lose: Callable[..., Fault], moment: Moment, method: str
) -> None:
    begin(place)
    place.deployments[0].payload = "as somebody else gave it to one of the same commit"
    place.fail(lose(f"*.{method}", moment=moment, times=1))
    number = begin(place)
    place.world.faults.check()
    assert [deployment.id for deployment in place.deployments][1:] == [number]
    assert [status.state for status in place.deployments[1].statuses] == ["in_progress"]


def test_a_deployment_that_cannot_be_shown_in_progress_can_be_ended(place: Place) -> None:
    place.fail(faults.bad_gateway(f"*.{STATUS}", times=4))
    number = begin(place)
    place.world.faults.clear()
    place.github().end_deployment(number, "success")
    assert [status.state for status in place.deployments[0].statuses] == ["success"]


def test_all_deployments_of_an_environment_retire(place: Place) -> None:
    for state in ("success", "failure", "success"):
        place.github().end_deployment(begin(place, is_preview=True), state)
    begin(place)
    begin(place, "another")
    place.requests()
    assert place.github().retire_deployments("sum") == 4
    assert place.requests() == [DEPLOYMENTS] + [STATUSES, STATUS] * 4
    assert [deployment.state for deployment in place.deployments] == ["inactive"] * 4 + ["in_progress"]
    assert place.github().retire_deployments("sum") == 0
    assert place.requests() == [DEPLOYMENTS] + [STATUSES] * 4


# What GitHub refuses

NEEDED = {
    "show_comment": "pull-requests",
    "open_issue": "issues",
    "close_issue": "issues",
    "begin_deployment": "deployments",
    "end_deployment": "deployments",
    "retire_deployments": "deployments",
}


def ready(place: Place) -> dict[str, Call]:
    """Each call, and what it needs to have something to write."""
    number = begin(place)
    place.issue(BOT, f"{MARKER}\n")
    place.requests()
    return CALLS | {
        "show_comment": lambda github: github.show_comment(1, KEY, PAGE),
        "end_deployment": lambda github: github.end_deployment(number, "success"),
    }


@pytest.mark.parametrize("name_of_call", CALLS)
def test_a_missing_permission_is_named_with_what_to_paste(place: Place, name_of_call: str) -> None:
    call = ready(place)[name_of_call]
    error = refusal(call, place.github(contents="read"))
    needed = NEEDED[name_of_call]
    assert f"the permission `{needed}: write`" in error.message
    assert "Resource not accessible by integration" in error.message
    lines = sorted(["  contents: read", "  id-token: write", f"  {needed}: write"])
    assert error.remedy == "\n".join(["Add to the job in your workflow file:", "", "permissions:", *lines])


@pytest.mark.parametrize("name_of_call", CALLS)
def test_the_permission_that_is_named_is_enough(place: Place, name_of_call: str) -> None:
    ready(place)[name_of_call](place.github(**{NEEDED[name_of_call].replace("-", "_"): "write"}))


@pytest.mark.parametrize(
    ("accepted", "needed"),
    [
        ("pull_requests=write,contents=read; issues=write", {"contents": "read", "pull-requests": "write"}),
        ("issues=write; pull_requests=write", {"pull-requests": "write"}),
        ("discussions=write, metadata=read", {"discussions": "write"}),
        ("", {"pull-requests": "write"}),
        ("nonsense; =; x", {"pull-requests": "write"}),
    ],
)
def test_the_permissions_are_those_that_github_names(
    accepted: str, needed: Mapping[str, str], asking_strangers: GitHub, strange: Anything
) -> None:
    strange.answer = lambda _: Answer(403, '{"message": "no"}', {"X-Accepted-GitHub-Permissions": accepted})
    error = refusal(CALLS["show_comment"], asking_strangers)
    block = yaml.safe_load(error.remedy.partition("\n\n")[2])
    assert block == {"permissions": {"contents": "read", "id-token": "write"} | dict(needed)}


def test_a_fork_is_told_that_it_may_not_write(world: World, name: str) -> None:
    place = Place(world, name, head_repository="somebody/fork")
    token = world.github.job_token(place.name, MAY_ALL, from_fork=True)
    error = refusal(lambda github: github.show_comment(1, KEY, PAGE), place.github(token), token)
    assert "from a fork, whose runs may not write" in error.message
    assert "permissions:" not in error.remedy


@pytest.mark.parametrize("name_of_call", CALLS)
def test_a_token_that_has_expired_is_told(place: Place, name_of_call: str) -> None:
    call = ready(place)[name_of_call]
    token = place.world.github.job_token(place.name, MAY_ALL, seconds=1)
    github = place.github(token)
    place.world.clock.advance(2)
    error = refusal(call, github, token)
    assert error.message == "GitHub does not accept the token (401: Bad credentials)."
    assert error.remedy == "Give the step `github_token: ${{ github.token }}`."


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize("name_of_call", CALLS)
def test_a_rate_limit_is_told_with_its_end_and_not_waited_for(place: Place, name_of_call: str, status: int) -> None:
    call = ready(place)[name_of_call]
    token = place.world.github.job_token(place.name, MAY_ALL)
    place.world.github.use_up_requests(token, reset_seconds=1800, status=status)
    before = place.world.clock.time()
    error = refusal(call, place.github(token), token)
    end = re.fullmatch(r"GitHub's rate limit for this token is used up until (\S+ \S+) UTC\.", error.message)
    assert end is not None
    ends = datetime.datetime.fromisoformat(f"{end[1]}+00:00").timestamp()
    assert 1790 < ends - before < 1810
    assert len(place.requests()) == 1
    assert place.world.clock.time() - before < 2
    place.world.clock.advance(1800)


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize(("retry_after", "told"), [(60, " for 60 s."), (None, ".")])
def test_a_secondary_rate_limit_is_told(place: Place, status: int, retry_after: int | None, told: str) -> None:
    place.fail(faults.secondary_rate_limit(f"*.{CREATE}", retry_after=retry_after, status=status))
    error = refusal(lambda github: github.show_comment(1, KEY, PAGE), place.github())
    assert error.message.startswith("GitHub's rate limit for this token is used up")
    assert error.message.endswith(told) or " until " in error.message
    assert place.comments == []


def test_what_is_not_there_is_told(place: Place) -> None:
    error = refusal(lambda github: github.show_comment(99, KEY, PAGE), place.github())
    assert "(404: Not Found)" in error.message


def test_a_repository_without_issues_is_told_to_turn_them_on(asking_strangers: GitHub, strange: Anything) -> None:
    strange.answer = lambda _: Answer(410, '{"message": "Issues has been disabled in this repository."}')
    error = refusal(CALLS["open_issue"], asking_strangers)
    assert "Issues has been disabled" in error.message
    assert "Turn issues on" in error.remedy
