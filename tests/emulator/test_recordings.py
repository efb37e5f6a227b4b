"""The emulator's answers beside those of the real Google Cloud, field by field."""

from __future__ import annotations

import http.client
import itertools
import json
import re
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from google.cloud.artifactregistry_v1 import CreateRepositoryRequest, ListRepositoriesRequest
from google.iam.v1 import policy_pb2

from emulator.images import Image
from emulator.rpc import SYSTEM
from emulator.server import Emulator
from emulator.world import WorldSettings

RECORDINGS = Path(__file__).parent.parent / "recordings"
OPERATION_SECONDS = 20.0
CLOUD_BUILD = "/cloudbuild.googleapis.com"


@dataclass(frozen=True)
class Exchange:
    """One recorded request and answer; the answer is ``None`` where only its status was recorded."""

    method: str
    url: str
    request: Any
    status: int
    answer: Any

    @property
    def name(self) -> str:
        return f"{self.method} {self.url.partition('?')[0].removeprefix('https://')}"


@dataclass(frozen=True)
class Recording:
    """A sequence of exchanges, and what is known about it.

    :param exchanges: reads them.
    :param names: recorded text to the emulator's own.
    :param prepare: makes what was there before the recording began.
    :param skipped: pattern of exchanges that are not sent, to the reason.
    :param allowed: pattern of differences that stay, to the reason.
    """

    exchanges: Callable[[], Iterable[Exchange]]
    names: Mapping[str, str]
    prepare: Callable[[Emulator, Path], None] = lambda *_: None
    skipped: Mapping[str, str] = field(default_factory=dict)
    allowed: Mapping[str, str] = field(default_factory=dict)


# Values that are another in every project and at every time: only whether they are there is compared.
VARYING = re.compile(
    r"(^|\.)(\w*[tT]ime|etag|uid|uniqueId|oauth2ClientId|revisionId|revisionCreateTime|creator|lastModifier|uri)$"
)
OPERATION_NAME = re.compile(r"^projects/[^/]+/locations/[^/]+/operations/.+$")
DEFAULTS: tuple[Any, ...] = (None, False, "", 0, [])
SUBSCRIPTION_NUMBER = re.compile(r"-sub-\d+$")
REVISION_SUFFIX = re.compile(r"-00\d+-[a-z0-9]{3}$")

# Reading the recordings


def read_log(name: str) -> Iterator[Exchange]:
    """The exchanges of a ``_http.log``: request, blank line, answer, separated by ``---``."""
    for entry in (RECORDINGS / f"{name}.http.log").read_text().split("\n---\n"):
        lines = entry.strip("\n").split("\n")
        method, url = lines[0].split(" ", 1)
        status_line = next(index for index, line in enumerate(lines) if re.match(r"\d{3} ", line))
        yield Exchange(
            method,
            url,
            _json_after_headers(lines[1:status_line]),
            int(lines[status_line][:3]),
            _json_after_headers(lines[status_line + 1 :]),
        )


def _json_after_headers(lines: list[str]) -> Any:
    content = "\n".join(lines[lines.index("") :]).strip() if "" in lines else ""
    return json.loads(content) if content else None


def read_cassette(name: str) -> Iterator[Exchange]:
    for entry in json.loads((RECORDINGS / f"{name}.json").read_text()):
        yield Exchange(**entry)


def recorded_body(file: str) -> Any:
    return json.loads((RECORDINGS / "goblet" / f"{file}.json").read_text())["body"]


def goblet(file: str, method: str, url: str, request: Any = None) -> Exchange:
    answer = recorded_body(file)
    status = answer["error"]["code"] if "error" in answer else 200
    return Exchange(method, f"https://{url}", request, status, answer)


# Sending them again


class Replay:
    """Sends recorded requests to the emulator, with its own ids in place of the recorded ones."""

    def __init__(self, emulator: Emulator, names: Mapping[str, str]) -> None:
        self._emulator = emulator
        self._token = emulator.world.tokens.issue_access_token(f"serviceAccount:{emulator.world.iam.deployer}")
        self._names = dict(names)
        self._etags: dict[str, str] = {}

    def differences(self, exchange: Exchange) -> list[str]:
        status, answer = self._send(exchange)
        self._learn(exchange, answer)
        if status != exchange.status:
            return [f"{exchange.name} status: recorded {exchange.status}, emulator {status} {answer}"]
        if exchange.answer is None:
            return []
        recorded = flat(self._renamed(exchange.answer))
        return [f"{exchange.name} {difference}" for difference in compare(recorded, flat(answer))]

    def _send(self, exchange: Exchange) -> tuple[int, Any]:
        url = urllib.parse.urlsplit(self._renamed(exchange.url))
        body = self._with_etag(self._renamed(exchange.request), exchange)
        path = f"/{url.netloc}{url.path}?{url.query}"
        end = time.monotonic() + OPERATION_SECONDS
        while True:
            status, answer = self.send(exchange.method, path, body)
            recorded_done = isinstance(exchange.answer, dict) and exchange.answer.get("done")
            if not recorded_done or answer.get("done") or time.monotonic() > end:
                return status, answer
            time.sleep(0.02)

    def send(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(self._emulator.address, timeout=10)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body).encode() if body is not None else None, headers)
        response = connection.getresponse()
        answer = json.loads(response.read() or b"{}")
        connection.close()
        return response.status, answer

    def _renamed(self, content: Any) -> Any:
        text = json.dumps(content)
        for recorded, own in self._names.items():
            text = text.replace(recorded, own)
        return json.loads(text)

    def _with_etag(self, body: Any, exchange: Exchange) -> Any:
        """The body with the etag that the emulator gave for this resource in place of the recorded one."""
        etag = self._etags.get(_resource(exchange.url))
        if not isinstance(body, dict):
            return body
        return {
            key: etag if key == "etag" else self._with_etag(value, exchange)
            for key, value in body.items()
            if key != "etag" or etag is not None
        }

    def _learn(self, exchange: Exchange, answer: Any) -> None:
        if "etag" in answer:
            self._etags[_resource(exchange.url)] = answer["etag"]
        own = str(answer.get("name", ""))
        recorded = str((exchange.answer or {}).get("name", ""))
        if OPERATION_NAME.match(own):
            self._names[recorded.rpartition("/")[2]] = own.rpartition("/")[2]


def _resource(url: str) -> str:
    path = url.partition("?")[0]
    return re.sub(r":[a-zA-Z]+$", "", path.removeprefix("https://"))


def flat(content: Any, path: str = "") -> dict[str, Any]:
    """The leaves of a JSON value by their path."""
    if isinstance(content, dict) and content:
        return {
            inner: leaf
            for key, value in content.items()
            for inner, leaf in flat(value, f"{path}.{key}" if path else key).items()
        }
    if isinstance(content, list) and content:
        return {
            inner: leaf
            for index, value in enumerate(content)
            for inner, leaf in flat(value, f"{path}[{index}]").items()
        }
    return {path: content} if path else {}


def compare(recorded: Mapping[str, Any], own: Mapping[str, Any]) -> Iterator[str]:
    """The differences; a field that has its default may be there or not, as in the JSON mapping of protobuf."""
    for path in sorted(recorded.keys() | own.keys()):
        before, now = recorded.get(path), own.get(path)
        if _stable(before) == _stable(now) or (before in DEFAULTS and now in DEFAULTS):
            continue
        if path not in own:
            yield f"{path}: only recorded, {before!r}"
        elif path not in recorded:
            yield f"{path}: only in the emulator, {now!r}"
        elif not VARYING.search(path):
            yield f"{path}: recorded {before!r}, emulator {now!r}"


def _stable(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return REVISION_SUFFIX.sub("-00000-xxx", SUBSCRIPTION_NUMBER.sub("-sub-000", value))


# The recordings


LOG_NAMES = {
    "project-${uniqueId}": "my-project",
    "${projectId}": "my-project",
    "${projectNumber}": "123456789012",
    "${uniqueId}": "abcdef",
}
CASSETTE_NAMES = {
    "123456789-compute": "123456789012-compute",
    "example-project": "my-project",
    "gcr.io/cloudrun/hello": "us-central1-docker.pkg.dev/my-project/cloudrun/hello",
}
GOBLET_NAMES = {
    '"projectId": "goblet"': '"projectId": "my-project"',
    "projects/goblet": "projects/my-project",
    "@goblet.": "@my-project.",
}

READ_BEFORE_ITS_WRITE = "the real read came before its write had spread; the emulator's reads never go backwards"
SCHEMAS = "Octue's topics have no schema, and the emulator has none"
PROJECTS = "making and deleting projects is not emulated, and nothing here speaks version 1 of Resource Manager"
GOBLET_PAST = "recorded in 2022 or 2023, when the API had other fields than in 2024 and later"


def logged(name: str) -> Callable[[], Iterable[Exchange]]:
    return lambda: read_log(name)


def policies_at_version_3(name: str) -> Callable[[], Iterable[Exchange]]:
    """The log with the policy's methods at version 3 of Resource Manager, which has the same policy."""
    return lambda: (
        replace(exchange, url=exchange.url.replace(".com/v1/", ".com/v3/")) if "IamPolicy" in exchange.url else exchange
        for exchange in read_log(name)
    )


def without(field_name: str, exchanges: Callable[[], Iterable[Exchange]]) -> Callable[[], Iterable[Exchange]]:
    def removed(content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        return {key: removed(value) for key, value in content.items() if key != field_name}

    return lambda: (
        replace(exchange, request=removed(exchange.request), answer=removed(exchange.answer))
        for exchange in exchanges()
    )


def no_policy(emulator: Emulator, folder: Path) -> None:  # noqa: ARG001 - every preparation has a folder
    emulator.world.policies.remove("projects/my-project")


def emptied_policy(emulator: Emulator, folder: Path) -> None:  # noqa: ARG001 - every preparation has a folder
    emulator.world.policies.seed("projects/my-project", policy_pb2.Policy(version=1))


def a_server_image(emulator: Emulator, folder: Path) -> None:
    """An image that answers, in the place of Google's hello."""
    environment = folder / "environment" / "bin"
    environment.mkdir(parents=True)
    (environment / "python").symlink_to(sys.executable)
    (folder / "files").mkdir()
    serve = "import os, http.server as h; h.test(h.SimpleHTTPRequestHandler, port=int(os.environ['PORT']))"
    image = Image("sha256:" + "0" * 64, folder / "files", folder / "environment", "/", ("python", "-c", serve))
    an_image_repository(emulator, "cloudrun")
    emulator.world.artifact_registry.push(CASSETTE_NAMES["gcr.io/cloudrun/hello"], image)


def an_image_repository(emulator: Emulator, repository_id: str) -> None:
    location = "projects/my-project/locations/us-central1"
    registry = emulator.world.artifact_registry
    registry.create_repository(
        CreateRepositoryRequest(parent=location, repository_id=repository_id, repository={"format_": "DOCKER"}), SYSTEM
    )
    wait_until(lambda: registry.list_repositories(ListRepositoriesRequest(parent=location), SYSTEM).repositories)


def a_trigger(emulator: Emulator, folder: Path) -> None:
    """The trigger of the cassette, under the name that goblet's has."""
    a_server_image(emulator, folder)
    replay = Replay(emulator, CASSETTE_NAMES | {"eventarctrigger-2ubz1ejdpwb22": "test-eventarc-bucket-get"})
    for exchange in itertools.takewhile(lambda exchange: exchange.method != "PATCH", read_cassette("eventarc_trigger")):
        replay.differences(exchange)


def wait_until(is_so: Callable[[], Any]) -> None:
    end = time.monotonic() + OPERATION_SECONDS
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def goblet_permissions() -> Iterator[Exchange]:
    folder = "permissions-create-service-account"
    role = f"{folder}/post-v1-projects-goblet-roles_1"
    account = f"{folder}/post-v1-projects-goblet-serviceAccounts_1"
    policy = f"{folder}/post-v3-projects-goblet-setIamPolicy_1"
    account_answer, policy_answer = recorded_body(account), recorded_body(policy)
    yield goblet(
        role,
        "POST",
        "iam.googleapis.com/v1/projects/goblet/roles",
        {"roleId": recorded_body(role)["name"].rpartition("/")[2], "role": recorded_body(role)},
    )
    yield goblet(
        account,
        "POST",
        "iam.googleapis.com/v1/projects/goblet/serviceAccounts",
        {
            "accountId": account_answer["email"].partition("@")[0],
            "serviceAccount": {key: account_answer[key] for key in ("displayName", "description")},
        },
    )
    resource = "cloudresourcemanager.googleapis.com/v3/projects/goblet"
    yield goblet(f"{folder}/post-v3-projects-goblet-getIamPolicy_1", "POST", f"{resource}:getIamPolicy", {})
    yield goblet(policy, "POST", f"{resource}:setIamPolicy", {"policy": policy_answer})


def goblet_repository() -> Iterator[Exchange]:
    folder = "no-default-registry"
    location = "artifactregistry.googleapis.com/v1/projects/goblet/locations/us-east1"
    operation = "49614f5f-2233-46fa-ad8f-483ed27b761c"
    repository = "repositories-cloud-run-source-deploy"
    start = f"{folder}/get-v1-projects-goblet-locations-us-east1"
    yield goblet(f"{start}-{repository}_1", "GET", f"{location}/repositories/cloud-run-source-deploy")
    yield goblet(
        f"{folder}/post-v1-projects-goblet-locations-us-east1-repositories_1",
        "POST",
        f"{location}/repositories?repositoryId=cloud-run-source-deploy",
        {"format": "DOCKER"},
    )
    yield goblet(f"{start}-operations-{operation}_1", "GET", f"{location}/operations/{operation}")


def goblet_eventarc() -> Iterator[Exchange]:
    url = "eventarc.googleapis.com/v1/projects/goblet/locations/us-central1/triggers?triggerId=test-eventarc-bucket-get"
    created = next(each.request for each in read_cassette("eventarc_trigger") if "/triggers?" in each.url)
    asked = created | {"name": "projects/goblet/locations/us-central1/triggers/test-eventarc-bucket-get"}
    yield goblet("eventarc-update/post-v1-projects-goblet-locations-us-central1-triggers_1", "POST", url, asked)


def goblet_pubsub() -> Iterator[Exchange]:
    project = "pubsub.googleapis.com/v1/projects/goblet"
    subscription = f"{project}/subscriptions/goblet-test"
    put = "pubsub-deploy-cloudrun/put-v1-projects-goblet-subscriptions-goblet-test_1"
    delete = "pubsub-destroy-cloudrun/delete-v1-projects-goblet-subscriptions-goblet-test_1"
    topic = {"name": "projects/goblet/topics/test", "messageRetentionDuration": "3600s"}
    yield goblet("pubsub-update/put-v1-projects-goblet-topics-test_1", "PUT", f"{project}/topics/test", {})
    yield goblet(
        "pubsub-update/patch-v1-projects-goblet-topics-test_1",
        "PATCH",
        f"{project}/topics/test",
        {"topic": topic, "updateMask": "messageRetentionDuration"},
    )
    asked = {key: recorded_body(put)[key] for key in ("topic", "pushConfig")}
    yield goblet(put, "PUT", subscription, asked)
    yield goblet(delete, "DELETE", subscription)


RECORDED = {
    "service_account": Recording(logged("service_account"), LOG_NAMES),
    "artifact_repository": Recording(logged("artifact_repository"), LOG_NAMES),
    "topic": Recording(without("schemaSettings", logged("topic")), LOG_NAMES, skipped={r"/schemas": SCHEMAS}),
    "subscription": Recording(
        logged("subscription"),
        LOG_NAMES,
        allowed={r"^GET \S+/subscriptions/\S+ status: recorded 404, emulator 200": READ_BEFORE_ITS_WRITE},
    ),
    "subscription_push": Recording(
        logged("subscription_push"),
        LOG_NAMES,
        allowed={r"^GET \S+/subscriptions/\S+ status: recorded 404, emulator 200": READ_BEFORE_ITS_WRITE},
    ),
    "project_policy_project": Recording(
        policies_at_version_3("project_policy_project"),
        LOG_NAMES,
        no_policy,
        skipped={r"com/v1/(projects|operations)": PROJECTS},
    ),
    "project_policy_project-conditions": Recording(
        policies_at_version_3("project_policy_project-conditions"),
        LOG_NAMES,
        no_policy,
        skipped={r"com/v1/(projects|operations)": PROJECTS},
    ),
    "eventarc_trigger": Recording(
        lambda: read_cassette("eventarc_trigger"),
        CASSETTE_NAMES,
        a_server_image,
        allowed={
            r"run\S+ (\w+\.)?urls\[\d\]: only in the emulator": "services have had a second address since late 2024",
            r"eventarc\S+ (response\.)?etag: only in the emulator": "triggers were recorded before they had an etag",
            r"^POST run\S+ metadata\.ingress: only in the emulator": "it is there in every later answer",
            r"run\S+ \w+\.expireTime: only recorded": "a deleted service is not kept for thirty days",
            r"^DELETE run\S+ metadata\.terminalCondition\.state:": "a service that goes has nothing to wait for",
            r"^GET run\S+ \w+\.observedGeneration: recorded '2'": "a service that has gone observes nothing",
        },
    ),
    "goblet eventarc": Recording(goblet_eventarc, GOBLET_NAMES | CASSETTE_NAMES, a_trigger),
    "goblet permissions": Recording(goblet_permissions, GOBLET_NAMES, emptied_policy),
    "goblet repository": Recording(
        goblet_repository, GOBLET_NAMES, allowed={r"response\.(satisfiesPzi|vulnerability\S+|sbomConfig):": GOBLET_PAST}
    ),
    "goblet pubsub": Recording(goblet_pubsub, GOBLET_NAMES, allowed={r"/subscriptions/\S+ state:": GOBLET_PAST}),
}


@pytest.mark.parametrize("name", RECORDED)
def test_the_emulator_answers_as_the_real_cloud_was_recorded_to(
    name: str, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = RECORDED[name]
    recording.prepare(emulator, tmp_path)
    # The policies in the recordings are without whoever made them, whose rights came from above the project.
    monkeypatch.setattr(emulator.world.access, "check", lambda *_: None)
    replay = Replay(emulator, recording.names)
    unused = set(recording.skipped) | set(recording.allowed)
    differences = []
    for exchange in recording.exchanges():
        skipped = {pattern for pattern in recording.skipped if re.search(pattern, exchange.name)}
        unused -= skipped
        for difference in [] if skipped else replay.differences(exchange):
            allowed = {pattern for pattern in recording.allowed if re.search(pattern, difference)}
            unused -= allowed
            differences += [] if allowed else [difference]

    assert differences == []
    assert not unused, "these reasons explain nothing any more"


BUILD = "deployer-cloudrun-deploy/get-v1-projects-goblet-builds-54972740-00fd-4296-aaf3-3c4c7f7aea44_1"
BY_A_TRIGGER = "recorded of a build that no trigger began"
OF_A_COMMIT = "recorded of a build of an uploaded archive, here it is a commit"
OF_ITS_OWN = "every build and every project has its own"
BUILD_ALLOWED = {
    r"^(buildTriggerId|substitutions\.\w+|tags\[0\]|options\.substitutionOption): only in the emulator": BY_A_TRIGGER,
    r"^source\.": OF_A_COMMIT,
    r"^sourceProvenance\.": OF_A_COMMIT,
    r"^(id|logUrl|logsBucket|name|results\.images\[\d\]\.digest): recorded": OF_ITS_OWN,
    r"^results\.buildStepImages\[0\]: recorded": "a step's image is a program of the emulator and has no digest",
    r"^serviceAccount: only in the emulator": "recorded in 2022, when a build did not say it",
}


def test_a_build_that_has_ended_is_told_as_it_was_recorded(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository")
    settings = WorldSettings(
        state=tmp_path / "state", cache=tmp_path / "cache", repositories={"my-org/my-repository": repository}
    )
    with Emulator(settings) as emulator:
        an_image_repository(emulator, "cloud-run-source-deploy")
        differences = list(compare(flat(recorded_build()), flat(ended_build(emulator))))

    unused = {
        pattern for pattern in BUILD_ALLOWED if not any(re.search(pattern, difference) for difference in differences)
    }
    assert [each for each in differences if not any(re.search(pattern, each) for pattern in BUILD_ALLOWED)] == []
    assert not unused, "these reasons explain nothing any more"


def a_repository(folder: Path) -> Path:
    folder.mkdir()
    (folder / "Dockerfile").write_text('FROM python:3.11-slim\nCMD ["python"]\n')
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *command], check=True)
    return folder


def recorded_build() -> Any:
    text = json.dumps(recorded_body(BUILD))
    return json.loads(text.replace("goblet/", "my-project/").replace('"goblet"', '"my-project"'))


def ended_build(emulator: Emulator) -> Any:
    """The same step as in the recording, on a commit of a repository."""
    recorded = recorded_build()
    location = f"{CLOUD_BUILD}/v1/projects/my-project/locations/us-central1"
    trigger = {
        "name": "build",
        "github": {"owner": "my-org", "name": "my-repository", "push": {"branch": "^main$"}},
        "build": {
            "steps": [{key: recorded["steps"][0][key] for key in ("name", "args")}],
            "images": recorded["images"],
        },
    }
    replay = Replay(emulator, {})
    replay.send("POST", f"{location}/triggers", trigger)
    _, operation = replay.send("POST", f"{location}/triggers/build:run", {"source": {"branchName": "main"}})
    build = operation["metadata"]["build"]
    while build["status"] in {"QUEUED", "PENDING", "WORKING"}:
        time.sleep(0.05)
        _, build = replay.send("GET", f"{CLOUD_BUILD}/v1/{build['name']}", None)
    return build


@pytest.mark.parametrize(
    ("recorded", "own", "difference"),
    [
        ({"a": 1}, {"a": 2}, "a: recorded 1, emulator 2"),
        ({"a": {"b": "x"}}, {}, "a.b: only recorded, 'x'"),
        ({}, {"a": ["x"]}, "a[0]: only in the emulator, 'x'"),
        ({"createTime": "2024"}, {}, "createTime: only recorded, '2024'"),
    ],
)
def test_a_field_that_differs_is_named(recorded: Any, own: Any, difference: str) -> None:
    assert list(compare(flat(recorded), flat(own))) == [difference]


@pytest.mark.parametrize(
    ("recorded", "own"),
    [
        ({"done": False}, {}),
        ({"etag": "x"}, {"etag": "y"}),
        ({"subscription": "a-sub-373"}, {"subscription": "a-sub-1"}),
    ],
)
def test_what_is_another_every_time_is_no_difference(recorded: Any, own: Any) -> None:
    assert list(compare(flat(recorded), flat(own))) == []
