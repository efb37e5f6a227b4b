"""Deployments in a cloud that has a canary in all that nobody should read: what they leave is searched for it."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import grpc
import pytest
from google.rpc import error_details_pb2

from emulator import grpc_server, http_server
from emulator.errors import ApiError
from emulator.faults import Fault
from tests.resilience.clouds import Cloud
from tests.resilience.rows import Row
from tests.resilience.worlds import Moment, Worlds
from tests.runs import Run

ROW = "secrets"

CANARY = "canary5eed"
HEADERS = (
    ("WWW-Authenticate", f'Bearer realm="x", error="invalid_token", error_description="{CANARY}-authenticate"'),
    ("X-Goog-Debug", f"{CANARY}-header"),
    ("Set-Cookie", f"session={CANARY}-cookie"),
)
METADATA = (("x-goog-debug", f"{CANARY}-metadata"), ("x-request-token", f"{CANARY}-token"))
INPUTS = {"environment_variables": f"API_KEY={CANARY}-variable", "github_token": f"ghp_{CANARY}"}
DEBUG = {"RUNNER_DEBUG": "1", "ACTIONS_STEP_DEBUG": "true"}


@dataclass(frozen=True)
class Refusal:
    """A call that is refused with an error full of secrets.

    :param moment: which call.
    :param code: with what.
    :param debug: whether the run is asked to say more.
    """

    moment: Moment
    code: grpc.StatusCode
    debug: bool

    def __str__(self) -> str:
        return f"{self.code.name} at {self.moment}{', debug logging' if self.debug else ''}"

    def fault(self) -> Fault:
        """The error, as long as it takes for the run to end with it."""
        details = (
            error_details_pb2.ErrorInfo(
                # A reason is one of the words of an API (https://google.aip.dev/193): what is not known yet is told.
                reason="REFUSED_HERE",
                domain=CANARY,
                metadata={"authorization": f"Bearer {CANARY}-info"},
            ),
            error_details_pb2.DebugInfo(stack_entries=[f"{CANARY}-stack"], detail=f"{CANARY}-detail"),
            error_details_pb2.RequestInfo(request_id=f"{CANARY}-request", serving_data=f"{CANARY}-data"),
        )
        # What looks like a token is one, wherever it stands.
        message = f"Refused. Authorization: Bearer ya29.{CANARY}-said and eyJ{CANARY}.eyJ{CANARY}.{CANARY}"
        error = ApiError(self.code, message, *details)
        return Fault(method=self.moment.method, error=error, skip=self.moment.occurrence - 1, times=None)


@pytest.mark.parametrize("debug", [False, True], ids=["", "debug logging"])
def test_a_good_run_leaves_no_secret(worlds: Worlds, row: Row, debug: bool) -> None:
    def check(world: str) -> None:
        with _singing(worlds, world) as (cloud, tokens):
            run = cloud.deploy(INPUTS, variables=DEBUG if debug else {})
            assert run.code == 0
            assert len(tokens) >= 3
            _search(cloud, run, tokens)

    row.each(["empty", "complete", "shared"], check, sample=1)


@pytest.mark.parametrize("debug", [False, True], ids=["", "debug logging"])
@pytest.mark.parametrize(
    "code",
    [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.INTERNAL],
    ids=lambda code: code.name,
)
def test_a_run_that_is_refused_tells_no_secret(
    worlds: Worlds,
    row: Row,
    code: grpc.StatusCode,
    debug: bool,
) -> None:
    def check(refusal: Refusal) -> None:
        with _singing(worlds, "empty") as (cloud, tokens):
            cloud.world.faults.add(refusal.fault())
            run = cloud.deploy(INPUTS, variables=DEBUG if refusal.debug else {})
            cloud.world.faults.check()
            _search(cloud, run, tokens)

    row.each([Refusal(moment, code, debug) for moment in worlds.undisturbed("empty").moments], check, sample=1)


@contextlib.contextmanager
def _singing(worlds: Worlds, world: str) -> Iterator[tuple[Cloud, list[str]]]:
    """A world whose answers carry the canary where no answer should be read aloud, and the tokens that it issues."""
    tokens: list[str] = []
    with (
        mock.patch.object(http_server.Site, "answer", _with_headers(http_server.Site.answer)),
        mock.patch.object(grpc_server._Handler, "_unary", _with_metadata(grpc_server._Handler._unary)),
        worlds.fresh(world) as cloud,
        mock.patch.object(
            cloud.world.tokens, "issue_access_token", _kept(cloud.world.tokens.issue_access_token, tokens)
        ),
        mock.patch.object(cloud.world.github, "id_token", _kept(cloud.world.github.id_token, tokens)),
    ):
        yield cloud, tokens


def _with_headers(answer: Callable[..., http_server.HttpResponse]) -> Callable[..., http_server.HttpResponse]:
    def answered(site: Any, request: Any) -> http_server.HttpResponse:
        response = answer(site, request)
        return replace(response, headers=(*response.headers, *HEADERS))

    return answered


def _with_metadata(unary: Callable[..., Any]) -> Callable[..., Any]:
    def made(*arguments: Any) -> Any:
        answer = unary(*arguments)

        def answered(data: bytes, context: grpc.ServicerContext) -> Any:
            context.send_initial_metadata(METADATA)
            context.set_trailing_metadata(METADATA)
            return answer(data, context)

        return answered

    return made


def _kept(issue: Callable[..., str], tokens: list[str]) -> Callable[..., str]:
    @functools.wraps(issue)
    def issued(*arguments: Any, **named: Any) -> str:
        tokens.append(issue(*arguments, **named))
        return tokens[-1]

    return issued


def _search(cloud: Cloud, run: Run, tokens: list[str]) -> None:
    """Search all that a run leaves for secrets.

    :raises AssertionError: with the lines that have one.
    """
    left = {
        "log, summary or outputs": run.readable,
        **{str(path): path.read_text(errors="replace") for path in _files(cloud)},
    }
    # The end of a token is its signature: nobody can make up the same one.
    secrets = [CANARY, CANARY.upper(), *tokens, *(token.rpartition(".")[2] for token in tokens)]
    found = [
        f"{where}: {line[:300]}"
        for where, text in left.items()
        for line in text.splitlines()
        if any(secret in line for secret in secrets) and not line.lstrip().startswith("::add-mask::")
    ]
    if found:
        raise AssertionError("\n".join(found))


def _files(cloud: Cloud) -> Iterator[Path]:
    for folder in (cloud.job.workspace, cloud.job.files, Path(tempfile.gettempdir())):
        depth = "*" if folder == Path(tempfile.gettempdir()) else "**/*"
        yield from (path for path in folder.glob(depth) if path.is_file())
