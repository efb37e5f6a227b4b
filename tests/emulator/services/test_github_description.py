"""The emulated REST API against GitHub's own description of it, the npm package @octokit/openapi."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests

from emulator.server import Emulator
from emulator.services.github_operations import Operation
from emulator.services.github_rest import HOST, OPERATIONS
from emulator.world import WorldSettings

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ROOT / "node_modules"
REPOSITORY = "my-org/my-repository"
IDS = [operation.id for operation in OPERATIONS]


def install() -> None:
    """Have the package there, as script/check-workflows has its own."""
    if shutil.which("npm") is None:
        pytest.skip("NOT COMPARED with GitHub's description of its REST API: this machine has no Node with npm")
    subprocess.run([ROOT / "script" / "node-modules"], check=True, capture_output=True, timeout=240)


def _unless_null(check: Callable[..., Any]) -> Callable[..., Any]:
    def checked(validator: Any, value: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
        if instance is not None or not schema.get("nullable"):
            yield from check(validator, value, instance, schema) or ()

    return checked


# OpenAPI 3.0 has a keyword of its own for what may be null.
Validator: Any = jsonschema.validators.extend(  # type: ignore[no-untyped-call]  # jsonschema leaves it without types
    jsonschema.Draft202012Validator,
    {name: _unless_null(check) for name, check in jsonschema.Draft202012Validator.VALIDATORS.items()},
)
ValidatorOfParts: Any = jsonschema.validators.extend(  # type: ignore[no-untyped-call]  # as above
    Validator, {"required": lambda *_: ()}
)


class Description:
    """GitHub's description of its REST API, in OpenAPI 3.0."""

    def __init__(self) -> None:
        path = PACKAGES / "@octokit" / "openapi" / "generated" / "api.github.com.json"
        self._content: dict[str, Any] = json.loads(path.read_text())

    def operation(self, operation: Operation) -> dict[str, Any]:
        described: dict[str, Any] = self._content["paths"][operation.path][operation.verb.lower()]
        return described

    def parameters(self, operation: Operation) -> set[str]:
        described = self.operation(operation).get("parameters", [])
        return {parameter["name"] for parameter in map(self.resolved, described) if parameter["in"] == "query"}

    def body(self, operation: Operation) -> dict[str, Any]:
        described = self.operation(operation).get("requestBody", {})
        schema: dict[str, Any] = described.get("content", {}).get("application/json", {}).get("schema", {})
        return schema

    def answer(self, operation: Operation, status: int) -> dict[str, Any] | None:
        """The schema of an answer; ``None`` where it has no content."""
        described = self.resolved(self.operation(operation)["responses"][str(status)])
        content = described.get("content")
        return None if content is None else content["application/json"]["schema"]

    def event(self, name: str) -> dict[str, Any]:
        described = self._content["x-webhooks"][name]["post"]["requestBody"]["content"]["application/json"]["schema"]
        return self.resolved(described)

    def resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            _, *names = node["$ref"].split("/")
            node = self._content
            for name in names:
                node = node[name]
        return node

    def errors(self, schema: dict[str, Any], instance: Any, kind: Any = Validator) -> list[str]:
        """What is wrong with something, one line each."""
        whole = {**schema, "components": self._content["components"]}
        return [f"{error.json_path}: {error.message[:200]}" for error in kind(whole).iter_errors(instance)]

    def properties(self, schema: dict[str, Any]) -> set[str]:
        """The fields that an object may have."""
        schema = self.resolved(schema)
        parts = [*schema.get("allOf", []), *schema.get("oneOf", [])]
        own = set(schema.get("properties", {}))
        return own.union(*map(self.properties, parts)) if parts else own


@pytest.fixture(scope="module")
def description() -> Description:
    install()
    return Description()


@dataclass
class Exchange:
    """One call and its answer."""

    status: int
    sent: Any
    received: Any


@dataclass
class Recorder:
    """Calls operations, each by its id, and notes what comes of it."""

    api: str
    headers: Mapping[str, str]
    exchanges: dict[str, list[Exchange]] = field(default_factory=dict)

    def __call__(self, name: str, sent: Any = None, query: str = "", **numbers: int) -> Any:
        operation = next(each for each in OPERATIONS if each.id == name)
        owner, _, repo = REPOSITORY.partition("/")
        url = self.api + operation.path.format(owner=owner, repo=repo, **numbers) + query
        response = requests.request(operation.verb, url, json=sent, headers=self.headers, timeout=10)
        received = response.json() if response.content else None
        self.exchanges.setdefault(name, []).append(Exchange(response.status_code, sent, received))
        return received


def tell_a_story(record: Recorder) -> None:
    """Call everything, in every way that has another answer."""
    record("repos/get")
    record("users/get-authenticated")
    record("rate-limit/get")
    issue = record("issues/create", {"title": "No answer", "body": "Since today", "labels": ["bug", {"name": "a"}]})
    number = {"issue_number": issue["number"]}
    comment = {"comment_id": record("issues/create-comment", {"body": "Found it"}, **number)["id"]}
    record("issues/create-comment", {"body": ""}, **number)
    record("issues/create-comment", {}, **number)
    record("issues/update-comment", {"body": "Found it, really"}, **comment)
    record("issues/get-comment", **comment)
    record("issues/list-comments", query="?since=2020-01-01T00:00:00Z&per_page=100", **number)
    record("issues/delete-comment", **comment)
    record("issues/get-comment", **comment)
    record("issues/update", {"state": "closed", "state_reason": "completed", "body": None}, **number)
    record("issues/update", {"state": "open", "title": "An answer", "labels": []}, **number)
    record("issues/get", issue_number=7)
    record("issues/get", issue_number=1000)
    record("issues/update", {"state": "closed"}, issue_number=7)
    record("issues/list-for-repo", query="?state=all&creator=octocat&sort=comments&direction=asc")
    kind = {"environment": "preview", "description": "Of a pull request", "transient_environment": True}
    first = record("repos/create-deployment", {"ref": "main", "auto_merge": False, "payload": {"run": "1"}, **kind})
    one = {"deployment_id": first["id"]}
    where = {"log_url": "https://example.com/log", "environment_url": "https://example.com"}
    status = record("repos/create-deployment-status", {"state": "success", "description": "Done", **where}, **one)
    other = record("repos/create-deployment", {"ref": "main", "required_contexts": [], "payload": "text"})
    record("repos/create-deployment", {"ref": "main", "required_contexts": ["test"]})
    record("repos/create-deployment", {})
    record("repos/create-deployment-status", {"state": "in_progress"}, deployment_id=other["id"])
    record("repos/create-deployment-status", {"state": "running"}, deployment_id=other["id"])
    record("repos/get-deployment", **one)
    record("repos/get-deployment", deployment_id=1)
    record("repos/get-deployment-status", status_id=status["id"], **one)
    record("repos/list-deployments", query="?environment=preview&page=1")
    record("repos/list-deployment-statuses", **one)
    record("repos/delete-deployment", **one)
    record("repos/create-deployment-status", {"state": "inactive"}, **one)
    record("repos/delete-deployment", **one)


@pytest.fixture(scope="module")
def exchanges(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Exchange]]:
    folder = tmp_path_factory.mktemp("emulator")
    with Emulator(WorldSettings(state=folder / "state", cache=folder / "cache")) as emulator:
        github = emulator.world.github
        github.open_pull_request(number=7)
        headers = {"Authorization": f"Bearer {github.personal_token()}"}
        record = Recorder(f"{emulator.world.base_url}/{HOST}", headers)
        tell_a_story(record)
        return record.exchanges


@pytest.mark.parametrize("operation", OPERATIONS, ids=IDS)
def test_every_operation_is_one_of_githubs(description: Description, operation: Operation) -> None:
    described = description.operation(operation)

    assert described["operationId"] == operation.id
    assert described["externalDocs"]["url"] == operation.documentation_url
    assert set(operation.query) <= description.parameters(operation)


@pytest.mark.parametrize("operation", OPERATIONS, ids=IDS)
def test_what_can_be_sent_is_what_github_takes(description: Description, operation: Operation) -> None:
    schema = description.body(operation)

    assert set(operation.body) <= set(schema.get("properties", {}))
    assert {name for name, known in operation.body.items() if known.required} == set(schema.get("required", []))
    for name, known in operation.body.items():
        assert sorted(known.choices) == sorted(schema["properties"][name].get("enum", []))


@pytest.mark.parametrize("operation", OPERATIONS, ids=IDS)
def test_what_is_accepted_is_as_described_and_what_is_not_is_malformed(
    description: Description, exchanges: dict[str, list[Exchange]], operation: Operation
) -> None:
    schema = description.body(operation)
    for exchange in exchanges[operation.id]:
        if exchange.sent is not None:
            is_malformed = exchange.status == 422 and exchange.received["message"].startswith("Invalid request.")
            assert bool(description.errors(schema, exchange.sent)) == is_malformed


@pytest.mark.parametrize("operation", OPERATIONS, ids=IDS)
def test_every_answer_is_as_described(
    description: Description, exchanges: dict[str, list[Exchange]], operation: Operation
) -> None:
    assert any(exchange.status < 300 for exchange in exchanges[operation.id])
    for exchange in exchanges[operation.id]:
        schema = description.answer(operation, exchange.status)
        if schema is None:
            assert exchange.status in {204, 409}
            continue
        assert description.errors(schema, exchange.received) == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=IDS)
def test_no_answer_has_a_field_that_github_has_not(
    description: Description, exchanges: dict[str, list[Exchange]], operation: Operation
) -> None:
    for exchange in exchanges[operation.id]:
        schema = description.answer(operation, exchange.status) if exchange.status < 300 else None
        if schema is not None:
            schema = description.resolved(schema)
            found = exchange.received if schema.get("type") == "array" else [exchange.received]
            allowed = description.properties(schema.get("items", schema))
            assert all(set(each) <= allowed for each in found)


@pytest.mark.parametrize("action", ["opened", "synchronize", "closed", "reopened"])
def test_what_is_in_a_payload_is_as_described(description: Description, emulator: Emulator, action: str) -> None:
    variables = emulator.world.github.start_run(
        event_name="pull_request", ref="refs/pull/7/merge", action=action, head_repository="ann/fork"
    )
    payload = json.loads(Path(variables["GITHUB_EVENT_PATH"]).read_text())

    schema = description.event(f"pull-request-{action}")

    assert description.errors(schema, payload, ValidatorOfParts) == []
    assert set(payload) <= description.properties(schema)
    assert set(payload["pull_request"]) <= description.properties(schema["properties"]["pull_request"])


def test_the_comparison_finds_what_is_wrong(description: Description) -> None:
    schema = {"$ref": "#/components/schemas/deployment-status"}

    errors = description.errors(schema, {"state": "running", "creator": None, "id": "1"})

    assert any("'running' is not one of" in error for error in errors)
    assert any("'url' is a required property" in error for error in errors)
    assert any(error.startswith("$.id:") for error in errors)
    assert not any(error.startswith("$.creator:") for error in errors)
