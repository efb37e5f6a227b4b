"""Everything over HTTP: the APIs under their host names, tokens, Cloud Run's services, and the emulator's own pages."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import socket
import threading
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc

from emulator import rest
from emulator.dispatch import Dispatcher, bearer_token
from emulator.errors import ApiError, BadGateway, ConnectionReset, invalid_argument, not_found
from emulator.front import LOOPBACK
from emulator.operations import raw
from emulator.rpc import ANONYMOUS, SYSTEM
from emulator.services import github, github_rest, sts
from emulator.world import World

logger = logging.getLogger(__name__)

_KEYS_HOST = "www.googleapis.com"
_RUN_DOMAIN = ".run.app"
_OWN_HOST = "emulator"
_HOP_HEADERS = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}

# What /emulator/world shows: the method that lists each kind, and where it looks.
_LISTS = {
    "service_accounts": ("google.iam.admin.v1.IAM/ListServiceAccounts", "name", "projects/{project}"),
    "roles": ("google.iam.admin.v1.IAM/ListRoles", "parent", "projects/{project}"),
    "image_repositories": (
        "google.devtools.artifactregistry.v1.ArtifactRegistry/ListRepositories",
        "parent",
        "projects/{project}/locations/{region}",
    ),
    "topics": ("google.pubsub.v1.Publisher/ListTopics", "project", "projects/{project}"),
    "subscriptions": ("google.pubsub.v1.Subscriber/ListSubscriptions", "project", "projects/{project}"),
    "services": ("google.cloud.run.v2.Services/ListServices", "parent", "projects/{project}/locations/{region}"),
    "event_triggers": (
        "google.cloud.eventarc.v1.Eventarc/ListTriggers",
        "parent",
        "projects/{project}/locations/{region}",
    ),
    "build_triggers": (
        "google.devtools.cloudbuild.v1.CloudBuild/ListBuildTriggers",
        "parent",
        "projects/{project}/locations/{region}",
    ),
    "builds": (
        "google.devtools.cloudbuild.v1.CloudBuild/ListBuilds",
        "parent",
        "projects/{project}/locations/{region}",
    ),
}


@dataclass(frozen=True)
class HttpRequest:
    """One HTTP request.

    :param method: ``GET``, ``POST``, ...
    :param host: the first part of the path: an API's host, a service's, or ``emulator``.
    :param path: the rest of the path, beginning with ``/``, still percent-encoded.
    :param query: without ``?``.
    """

    method: str
    host: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def authorization(self) -> str | None:
        """The header of that name."""
        return self.headers.get("authorization")

    def json(self) -> dict[str, Any]:
        """The body as a JSON object.

        :raises ApiError: INVALID_ARGUMENT for anything else.
        """
        try:
            content = json.loads(self.body or b"{}")
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise invalid_argument("Expected a JSON object.")
        return content


@dataclass(frozen=True)
class HttpResponse:
    """One HTTP response.

    :param headers: name and value, in order.
    """

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class HttpServer:
    """A HTTP server on a loopback port of its own.

    :param world: what it shows.
    :param dispatcher: who answers API calls.
    :param reset: resets a caller's connection, given the port that it comes from.
    """

    def __init__(self, world: World, dispatcher: Dispatcher, reset: Callable[[int], None]) -> None:
        site = Site(world, dispatcher)
        reset_connection = reset

        class Handler(_Handler):
            answer = staticmethod(site.answer)
            reset = staticmethod(reset_connection)

        self._server = _Server((LOOPBACK, 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="http", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the port."""
        # On Linux this wakes the server at once; elsewhere it is an error, and the server looks by itself in a moment.
        with contextlib.suppress(OSError):
            self._server.socket.shutdown(socket.SHUT_RDWR)
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Site:
    """From a request to its response."""

    def __init__(self, world: World, dispatcher: Dispatcher) -> None:
        self._world = world
        self._dispatcher = dispatcher
        self._rest = rest.build(dispatcher)
        self._github_rest = github_rest.GitHubRest(world, dispatcher)

    def answer(self, request: HttpRequest) -> HttpResponse:
        """The response to any request; a refusal is one too.

        :raises ConnectionReset: where there is none.
        """
        try:
            with self._world.clock.working():
                return self._place(request.host)(request)
        except ConnectionReset:
            raise
        except ApiError as error:
            refusal = error
        except Exception as error:  # a bug of the emulator is told to the caller, and ends no server
            logger.exception("%s /%s%s failed", request.method, request.host, request.path)
            refusal = ApiError(grpc.StatusCode.INTERNAL, f"emulator: {error!r}")
        return _refusal(refusal, request.host)

    def _place(self, host: str) -> Callable[[HttpRequest], HttpResponse]:
        if host.endswith(_RUN_DOMAIN):
            return self._cloud_run
        places: dict[str, Callable[[HttpRequest], HttpResponse]] = {
            sts.HOST: self._exchange,
            github.HOST: self._github,
            github_rest.HOST: self._github_api,
            _KEYS_HOST: self._google_keys,
            _OWN_HOST: self._own,
        }
        return places.get(host, self._api)

    def _api(self, request: HttpRequest) -> HttpResponse:
        return _json(
            self._rest.answer(
                request.method, request.host, request.path, request.query, request.authorization, request.body
            )
        )

    def _exchange(self, request: HttpRequest) -> HttpResponse:
        if (request.method, request.path) != ("POST", "/v1/token"):
            raise not_found(f"The requested URL {request.path} was not found on this server.")
        form = dict(urllib.parse.parse_qsl(request.body.decode()))
        return _json(
            self._dispatcher.noted(
                sts.METHOD, ANONYMOUS, lambda: self._world.sts.exchange(form), host=sts.HOST, verb="POST"
            )
        )

    def _github(self, request: HttpRequest) -> HttpResponse:
        if request.path == "/.well-known/jwks":
            return _json(self._world.github.key.key_set)
        if not request.path.endswith("/idtoken"):
            raise not_found(f"{request.path} was not found.")
        audience = dict(urllib.parse.parse_qsl(request.query)).get("audience")
        request_token = bearer_token(request.authorization) or ""
        token = self._dispatcher.noted(
            github.METHOD,
            ANONYMOUS,
            lambda: self._world.github.id_token(request_token, audience),
            host=github.HOST,
            verb="GET",
        )
        return _json({"count": 1, "value": token})

    def _github_api(self, request: HttpRequest) -> HttpResponse:
        asked = github_rest.Asked(
            verb=request.method, path=request.path, query=request.query, headers=request.headers, body=request.body
        )
        answer = self._github_rest.answer(asked)
        headers = tuple(answer.headers.items())
        if answer.content is None:
            return HttpResponse(answer.status, headers=headers)
        return _json(answer.content, answer.status, headers)

    def _google_keys(self, request: HttpRequest) -> HttpResponse:
        if request.path != "/oauth2/v3/certs":
            raise not_found(f"The requested URL {request.path} was not found on this server.")
        return _json(self._world.tokens.key.key_set)

    def _cloud_run(self, request: HttpRequest) -> HttpResponse:
        path = request.path + (f"?{request.query}" if request.query else "")
        response = self._world.cloud_run.request(
            request.host, request.method, path, request.headers, request.body, internal=False
        )
        return HttpResponse(response.status, response.body, tuple(response.headers))

    def _own(self, request: HttpRequest) -> HttpResponse:
        pages: dict[tuple[str, str], Callable[[HttpRequest], Any]] = {
            ("GET", "/requests"): lambda _: [dataclasses.asdict(each) for each in self._world.requests],
            ("GET", "/operations"): lambda _: [dataclasses.asdict(each) for each in self._world.operations.timings()],
            ("GET", "/world"): lambda _: self._snapshot(),
            ("POST", "/runs"): self._start_run,
            ("POST", "/github_token"): self._github_token,
            ("POST", "/access_token"): self._access_token,
            ("POST", "/push"): self._push,
            ("POST", "/connect"): self._connect,
        }
        page = pages.get((request.method, request.path))
        if page is None:
            raise not_found(f"The emulator has no page {request.method} {request.path}.")
        return _json(page(request))

    def _start_run(self, request: HttpRequest) -> dict[str, str]:
        try:
            return self._world.github.start_run(**request.json())
        except TypeError as error:
            raise invalid_argument(str(error)) from None

    def _github_token(self, request: HttpRequest) -> dict[str, str]:
        try:
            return {"token": self._world.github.job_token(**request.json())}
        except TypeError as error:
            raise invalid_argument(str(error)) from None

    def _access_token(self, request: HttpRequest) -> dict[str, str]:
        """A token as a person's gcloud has one, so that somebody can change things by hand."""
        person = request.json().get("person")
        if not isinstance(person, str) or not person.startswith("user:"):
            raise invalid_argument("Expected person, as IAM has it: user:E-MAIL.")
        return {"token": self._world.tokens.issue_access_token(person)}

    def _push(self, request: HttpRequest) -> dict[str, str]:
        pushed = request.json()
        if set(pushed) != {"repository", "ref", "sha"}:
            raise invalid_argument("Expected repository, ref and sha.")
        self._world.cloud_build.push(pushed["repository"], pushed["ref"], pushed["sha"])
        return {}

    def _connect(self, request: HttpRequest) -> dict[str, str]:
        """Connect a repository to Cloud Build, which only a person can do, on a page of the console."""
        repository = request.json().get("repository")
        if not isinstance(repository, str) or repository not in self._world.settings.repositories:
            raise invalid_argument("Expected repository, owner/name of one that there is.")
        self._world.cloud_build.connect(repository)
        return {}

    def _snapshot(self) -> dict[str, Any]:
        settings = self._world.settings
        places = {"project": settings.project_id, "region": settings.region}
        shown: dict[str, Any] = dict(places)
        methods = {method.name: method for method in self._dispatcher.methods}
        for kind, (name, parameter, place) in _LISTS.items():
            if name in methods:
                request = methods[name].request_type(**{parameter: place.format(**places)})
                shown[kind] = rest.to_json(raw(methods[name].answer(request, SYSTEM)))
        policies = self._world.policies
        shown["enabled_apis"] = self._world.service_usage.enabled()
        shown["workload_identity"] = [rest.to_json(raw(each)) for each in self._world.workload_identity]
        shown["github"] = self._world.github.snapshot()
        shown["policies"] = {name: rest.to_json(policies.get(name)) for name in policies.names()}
        return shown


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet for head and body
    answer: Callable[[HttpRequest], HttpResponse]
    reset: Callable[[int], None]

    def _serve(self) -> None:
        target = urllib.parse.urlsplit(self.path)
        host, _, path = target.path.removeprefix("/").partition("/")
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = HttpRequest(self.command, host, f"/{path}", target.query, headers, self._body())
        try:
            response = self.answer(request)
        except ConnectionReset:
            self.reset(self.client_address[1])
            self.close_connection = True
            return
        self.send_response(response.status)
        for name, value in response.headers:
            if name.lower() not in _HOP_HEADERS:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    do_DELETE = do_GET = do_HEAD = do_OPTIONS = do_PATCH = do_POST = do_PUT = _serve  # noqa: N815 - the names are http.server's

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing: the log of requests is at /emulator/requests."""

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            return b"".join(iter(self._chunk, b""))
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline().partition(b";")[0], 16)
        data = self.rfile.read(size)
        self.rfile.readline()
        return data


def _refusal(error: ApiError, host: str) -> HttpResponse:
    if isinstance(error, BadGateway):
        return HttpResponse(error.http_status, error.PAGE.encode(), (("Content-Type", "text/html; charset=UTF-8"),))
    if host == sts.HOST:
        return _json(sts.error_json(error), error.http_status)
    if host == github.HOST:
        return _json(github.error_json(error), error.http_status)
    return _json(rest.error_json(error, host), error.http_status)


def _json(content: Any, status: int = HTTPStatus.OK, headers: Sequence[tuple[str, str]] = ()) -> HttpResponse:
    body = json.dumps(content, indent=2).encode()
    return HttpResponse(status, body, (("Content-Type", "application/json; charset=UTF-8"), *headers))
