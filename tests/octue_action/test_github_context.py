"""What the event of a run says of its pull request, whatever is in it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from octue_action import github_context
from octue_action.github_context import GitHubContext, PullRequest, is_from_fork, pull_request_of
from octue_action.problems import Findings

SHA = "89abcdef0123456789abcdef0123456789abcdef"
REPOSITORY = "my-org/sum-service"


def event(number: Any = 12, sha: Any = SHA, repo: Any = None) -> dict[str, Any]:
    """As GitHub sends it for a pull request, the parts that are looked at."""
    head = {"sha": sha, "ref": "feature", "repo": {"full_name": REPOSITORY} if repo is None else repo}
    return {"action": "synchronize", "number": number, "pull_request": {"number": number, "head": head}}


DELETED = {"action": "opened", "pull_request": {"number": 12, "head": {"sha": SHA, "repo": None}}}


@pytest.fixture
def context(environment: dict[str, str], tmp_path: Path) -> GitHubContext:
    variables = {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(tmp_path / "event.json")}
    return github_context.read(environment | variables, Findings())


def of(payload: Any, context: GitHubContext) -> PullRequest | None:
    assert context.event_path is not None
    context.event_path.write_text(json.dumps(payload))
    return pull_request_of(context)


@pytest.mark.parametrize("name", ["pull_request", "pull_request_target"])
def test_a_pull_request_from_a_branch_is_no_fork(name: str, context: GitHubContext) -> None:
    found = of(event(), replace(context, event_name=name))
    assert found == PullRequest(number=12, head_sha=SHA, is_fork=False)


@pytest.mark.parametrize(
    "payload", [event(repo={"full_name": "somebody/sum-service"}), DELETED], ids=["a fork", "a fork that is gone"]
)
def test_a_pull_request_from_a_fork_is_one(payload: Mapping[str, Any], context: GitHubContext) -> None:
    assert of(payload, context) == PullRequest(number=12, head_sha=SHA, is_fork=True)
    assert is_from_fork(context)


@pytest.mark.parametrize("name", ["push", "schedule", "workflow_dispatch", ""])
def test_a_run_for_another_event_is_for_no_pull_request(name: str, context: GitHubContext) -> None:
    context = replace(context, event_name=name)
    assert of(event(), context) is None
    assert not is_from_fork(context)


STRANGE: list[Any] = ["my-org/sum-service", {}, [], 1]
PARTS: list[Any] = [None, [], "head", {"head": None}, {"number": 1, "head": []}]


@pytest.mark.parametrize(
    "payload",
    [
        *(event(number=number) for number in (0, -1, True, "12", 1.5, None, [12])),
        *(event(sha=sha) for sha in ("", "main", SHA.upper(), SHA + "\n", 5, None)),
        *(event(repo=repo) for repo in STRANGE),
        *({"pull_request": part} for part in PARTS),
        *([], {}, None, 0, "pull_request"),
    ],
    ids=repr,
)
def test_an_event_of_another_form_is_for_none(payload: Any, context: GitHubContext) -> None:
    assert of(payload, context) is None


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{", b"[" * 1_000_000, b"1" * 10_000_000])
def test_a_file_that_is_no_json_is_for_none(content: bytes, context: GitHubContext) -> None:
    assert context.event_path is not None
    context.event_path.write_bytes(content)
    assert pull_request_of(context) is None
    assert not is_from_fork(context)


def test_no_file_a_pipe_and_a_device_are_for_none(context: GitHubContext, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (None, tmp_path / "absent", tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        assert pull_request_of(replace(context, event_path=path)) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(SHA) | st.just(REPOSITORY),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["pull_request", "number", "head", "sha", "repo", "full_name"]) | st.text(), inner
        )
    ),
    max_leaves=12,
)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(number=JSON, sha=JSON, repo=JSON, whole=JSON)
@example(number=1, sha=SHA, repo=None, whole=None)
def test_nothing_in_an_event_is_an_error(number: Any, sha: Any, repo: Any, whole: Any, context: GitHubContext) -> None:
    for payload in (whole, {"pull_request": whole}, event(number, sha, repo)):
        found = of(payload, context)
        assert found is None or (found.number > 0 and len(found.head_sha) == 40)
        assert is_from_fork(context) in {True, False}
