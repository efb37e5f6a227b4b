"""Whoever writes a text that reaches the action - a workflow, a repository, a server - gets no more from it than words.

Every attack below ends the same way: the log has no command of the attacker's, the outputs none of their names, the
summary none of their markup; no secret is shown, nothing is asked of a stranger, nothing is written into the workspace.
"""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import grpc
import pytest
from google.cloud import artifactregistry_v1, eventarc_v1, run_v2
from google.cloud.devtools import cloudbuild_v1
from google.longrunning import operations_pb2
from google.rpc import status_pb2

from emulator.errors import ApiError
from emulator.rpc import Method, Methods
from emulator.world import World
from octue_action.github_context import VARIABLES
from octue_action.main import main
from octue_action.settings import INPUTS
from tests.resilience.attacks import (
    CONTENTS,
    GITHUB_TOKEN,
    IN_THE_CONTAINER,
    LINE,
    PASSWORD,
    POLYGLOT,
    ROOT,
    SERVICE,
    Left,
    hold_harmless,
)
from tests.rights import let

Attack = Callable[[Mapping[str, str]], Left]
AnswerWith = Callable[[str, Callable[[Any], Any]], None]
BuildSteps = Callable[[Mapping[str, str]], list[cloudbuild_v1.BuildStep]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts that were looked up; of these only this machine is found."""
    hosts: list[str] = []
    look_up = socket.getaddrinfo

    def record(host: Any, *arguments: Any, **named: Any) -> Any:
        hosts.append(str(host))
        if host not in {"127.0.0.1", "localhost"}:
            raise socket.gaierror(f"{host} is not to be asked")
        return look_up(host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", record)
    return hosts


@pytest.fixture
def attack(asked: list[str], capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Attack:
    """Runs the action and holds what it left behind to what is said above; the rest is for the test to look at."""

    def run(environment: Mapping[str, str]) -> Left:
        files = {"GITHUB_OUTPUT": tmp_path / "output", "GITHUB_STEP_SUMMARY": tmp_path / "summary"}
        for file in files.values():
            file.write_bytes(b"")
        workspace = Path(environment["GITHUB_WORKSPACE"])
        before = listing(workspace)
        stream = io.StringIO()
        start = time.monotonic()
        code = main({**environment, **{name: str(file) for name, file in files.items()}}, stream)
        seconds = time.monotonic() - start
        output, summary = (file.read_bytes() for file in files.values())
        left = Left(code, stream.getvalue(), capfd.readouterr().err, output, summary.decode(), seconds)
        assert listing(workspace) == before
        assert set(asked) <= {"127.0.0.1", "localhost"}
        hold_harmless(left, environment)
        return left

    return run


def listing(folder: Path) -> list[tuple[str, int, int]]:
    try:
        entries = sorted(folder.rglob("*"))
    except OSError:  # no name of a folder
        return []
    return [(str(it), it.lstat().st_mode, it.lstat().st_mtime_ns) for it in entries]


@pytest.fixture
def environment(run_environment: Callable[..., dict[str, str]]) -> dict[str, str]:
    """A run that plans, with debug logging on and secrets to lose."""
    return {
        **run_environment(),
        "INPUT_MODE": "plan",
        "INPUT_ENVIRONMENT_VARIABLES": f"DB_PASSWORD={PASSWORD}",
        "INPUT_GITHUB_TOKEN": GITHUB_TOKEN,
        "RUNNER_DEBUG": "1",
    }


def rename(environment: Mapping[str, str], name: str) -> None:
    """Gives the repository's service a name that nothing in the cloud has yet."""
    (workspace_of(environment) / "octue.yaml").write_text(SERVICE.replace("sum", name))


def workspace_of(environment: Mapping[str, str]) -> Path:
    return Path(environment["GITHUB_WORKSPACE"])


@pytest.fixture
def issued(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every access token, for a server that says it back."""
    tokens: list[str] = []
    issue = world.tokens.issue_access_token

    def keep(*arguments: Any, **named: Any) -> str:
        tokens.append(issue(*arguments, **named))
        return tokens[-1]

    monkeypatch.setattr(world.tokens, "issue_access_token", keep)
    return tokens


@pytest.fixture
def answer_with(monkeypatch: pytest.MonkeyPatch) -> AnswerWith:
    """Puts another answer in the place of a method's."""

    def put(name: str, answer: Callable[[Any], Any]) -> None:
        find = Methods.find

        def found(methods: Methods, full_name: str) -> Method:
            method = find(methods, full_name)
            return (
                replace(method, answer=lambda request, _: answer(request)) if full_name.endswith(f"/{name}") else method
            )

        monkeypatch.setattr(Methods, "find", found)

    return put


def refuse(message: str, code: grpc.StatusCode = grpc.StatusCode.PERMISSION_DENIED) -> NoReturn:
    raise ApiError(code, message)


@pytest.fixture
def build_steps(
    attack: Attack, answer_with: AnswerWith
) -> Callable[[Mapping[str, str]], list[cloudbuild_v1.BuildStep]]:
    """The steps of the build trigger that a run asks for."""
    requests: list[cloudbuild_v1.CreateBuildTriggerRequest] = []

    def keep(request: cloudbuild_v1.CreateBuildTriggerRequest) -> None:
        requests.append(request)
        refuse("That is enough.")

    answer_with("CreateBuildTrigger", keep)

    def run(environment: Mapping[str, str]) -> list[cloudbuild_v1.BuildStep]:
        attack({**environment, "INPUT_MODE": "deploy"})
        return list(requests[-1].trigger.build.steps)

    return run


def test_without_an_attack_the_run_plans(attack: Attack, environment: dict[str, str]) -> None:
    left = attack(environment)
    assert left.code == 0
    assert "environment[DB_PASSWORD]" not in left.errors


# Inputs


@pytest.mark.parametrize("name", INPUTS)
def test_an_input_of_commands_markup_and_delimiters_is_only_text(
    name: str, attack: Attack, environment: dict[str, str]
) -> None:
    expected = {0} if name in {"confirm", "github_token"} else {2}
    for text in (POLYGLOT, LINE, f'{{"{LINE.translate({34: None})}": "x"}}', f"A={LINE}", "::set-output name=pwned::1"):
        left = attack(environment | {f"INPUT_{name.upper()}": text})
        assert left.code in expected | ({0} if name in {"environment_variables", "branch_pattern"} else set())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("services", ",".join(f"name-{number}" for number in range(20_000))),
        ("services", "a\n" * 50_000),
        ("environment_variables", "A=1\n" * 25_000),
        ("environment_variables", "\n".join(f"-{number}=1" for number in range(12_000))),
        ("labels", "\n".join(f"-{number}=1" for number in range(12_000))),
        ("secrets", "\n".join(f"A{number}=:" for number in range(12_000))),
        ("question", "[" * 120_000),
        ("question", "1" * 120_000),
        ("environment_variables", '{"A":' * 20_000),
        ("branch_pattern", "(" * 120 + "a{1,60000}" + ")*" * 60),
        ("branch_pattern", "(" * 127 + ")*" * 64),
        ("branch_pattern", "[[a]&&[^b]||c--d~~e]"),
        ("image", "a-" * 60_000),
        ("project_id", "a" * 60_000 + ":"),
        ("service_account", "a-" * 60_000),
        ("deployer_service_account", "a@" + "a." * 60_000),
        ("identity_provider", "projects/" + "a-" * 60_000),
        ("service_name", "a-" * 60_000),
        ("repository_connection", "projects/my-project/locations/a/connections/" + "a" * 60_000),
        ("service_id", "{" * 60_000),
        ("config", "a/" * 60_000),
        ("dockerfile", "x" * 120_000),
    ],
)
def test_a_huge_or_tangled_input_is_refused_at_once_in_few_words(
    name: str, text: str, attack: Attack, environment: dict[str, str]
) -> None:
    left = attack(environment | {f"INPUT_{name.upper()}": text})
    assert len(left.stdout) < 100_000


def test_a_thousand_unknown_inputs_are_refused_at_once_in_few_words(
    attack: Attack, environment: dict[str, str]
) -> None:
    left = attack(environment | {f"INPUT_{'X' * (number % 60)}{number}{LINE}": "1" for number in range(5_000)})
    assert left.code == 2
    assert len(left.stdout) < 100_000


@pytest.mark.parametrize("name", ["environment_variables", "secrets"])
@pytest.mark.parametrize(
    "text",
    [
        f"postgres://user:{PASSWORD}@db.example/db?sslmode=require",
        f"A=1\n{PASSWORD}=\n{PASSWORD}=",
        f'{{"A": "{PASSWORD}", "{PASSWORD}": "1"}}',
        f'{{"A": "{PASSWORD}"',
        f'{{"{PASSWORD}": 1}}',
        f"A:{PASSWORD}",
        f"PORT={PASSWORD}",
        f"A=x:{PASSWORD}:y",
    ],
)
def test_a_secret_in_the_wrong_place_is_not_shown(
    name: str, text: str, attack: Attack, environment: dict[str, str]
) -> None:
    assert attack(environment | {f"INPUT_{name.upper()}": text}).code in {0, 2}


NAMES = [
    "../x",
    "x/../y",
    "x?y=z",
    "x%2fy",
    "*",
    "-",
    "--project=evil",
    "$(id)",
    "`id`",
    "a;id",
    "a b",
    "a\nb",
    "a&b",
    "é",
]


@pytest.mark.parametrize(
    "name", ["project_id", "region", "service_name", "service_namespace", "preview", "service_id", "revision", "image"]
)
def test_no_name_can_be_a_path_an_option_or_a_command_of_the_shell(
    name: str, attack: Attack, environment: dict[str, str]
) -> None:
    (workspace_of(environment) / "octue.yaml").unlink()
    alone = {"INPUT_PROJECT_ID": "my-project", "INPUT_REGION": "europe-west1", "INPUT_SERVICE_NAME": "sum"}
    for text in NAMES:
        assert attack(environment | alone | {f"INPUT_{name.upper()}": text}).code == 2, text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("repository_connection", "projects/my-project/locations/europe-west1/connections/../repositories/x"),
        ("repository_connection", "projects/my-project/locations/europe-west1/connections/x/repositories/.."),
        ("repository_connection", "projects/-/locations/europe-west1/connections/x/repositories/x"),
        ("project_id", "..:abcdef"),
        ("project_id", "-x:abcdef"),
        ("secrets", "A=projects/../secrets/x:1"),
        ("secrets", "A=projects/?x=/secrets/x:1"),
        ("runtime_service_account", "a@..gserviceaccount.com"),
        ("runtime_service_account", "a@-.gserviceaccount.com/x"),
        ("octue_role", "projects/my-project/roles/../x"),
        ("workload_identity_provider", "projects/1/locations/global/workloadIdentityPools/../../x/providers/github"),
        ("image", "europe-west1-docker.pkg.dev/../x"),
    ],
)
def test_no_resources_name_leads_elsewhere(name: str, text: str, attack: Attack, environment: dict[str, str]) -> None:
    (workspace_of(environment) / "octue.yaml").unlink()
    alone = {"INPUT_PROJECT_ID": "my-project", "INPUT_REGION": "europe-west1", "INPUT_SERVICE_NAME": "sum"}
    assert attack(environment | alone | {f"INPUT_{name.upper()}": text}).code == 2


# The repository's files


@pytest.mark.parametrize("content", CONTENTS)
def test_an_octue_yaml_of_any_content_is_refused_at_once_in_few_words(
    content: str, attack: Attack, environment: dict[str, str]
) -> None:
    text = CONTENTS[content]
    data = text.encode() if isinstance(text, str) else text
    (workspace_of(environment) / "octue.yaml").write_bytes(data)
    left = attack(environment)
    assert left.code == 2
    assert len(left.stdout) < 200_000
    assert not Path("pwned").exists()


PLACES: dict[str, Callable[[Path], object]] = {
    "a link to the accounts of the machine": lambda path: path.symlink_to("/etc/passwd"),
    "a link to the variables of the process": lambda path: path.symlink_to("/proc/self/environ"),
    "a link to endless zeros": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link through the folder's own name": lambda path: path.symlink_to("../../" + path.name),
    "a pipe that nobody writes to": os.mkfifo,
    "a folder": Path.mkdir,
}


@pytest.mark.parametrize("file", ["octue.yaml", "Dockerfile"])
@pytest.mark.parametrize("place", PLACES)
def test_in_a_files_place_nothing_else_will_do(
    place: str, file: str, attack: Attack, environment: dict[str, str]
) -> None:
    path = workspace_of(environment) / file
    path.unlink()
    PLACES[place](path)
    assert attack(environment).code == 2


@pytest.mark.parametrize(
    "path",
    [
        *("../octue.yaml", "/etc/passwd", "a/../../etc/passwd", "..", ".", "-", "--help", "./-", "~/.ssh/id_rsa"),
        *("$PROJECT_ID", "${_X}", "$(id)", "a$$b"),
        *("..\\octue.yaml", "file:///etc/passwd", "octue.yaml\0", "octue.yaml/", "/proc/self/fd/0", "a\nb", "\u202e"),
    ],
)
@pytest.mark.parametrize("name", ["config", "dockerfile"])
def test_a_path_out_of_the_repository_is_not_followed(
    name: str, path: str, attack: Attack, environment: dict[str, str]
) -> None:
    assert attack(environment | {f"INPUT_{name.upper()}": path}).code == (0 if path == "octue.yaml/" else 2)


@pytest.mark.parametrize("path", ["git@pwned.example:x", "github.com/pwned/x", "#x:y", "a=b", "a b", "a;b"])
def test_a_files_name_is_no_option_no_address_and_no_variable_to_the_build(
    path: str, environment: dict[str, str], build_steps: BuildSteps
) -> None:
    file = workspace_of(environment) / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("FROM scratch\n")
    (step, *_) = build_steps(environment | {"INPUT_DOCKERFILE": path})
    assert step.args[step.args.index("--file") + 1 :] == [path, "."]


def test_the_builds_script_has_only_names_in_it(environment: dict[str, str], build_steps: BuildSteps) -> None:
    (*_, step) = build_steps(environment | {"GITHUB_REF": "refs/heads/$(id)", "INPUT_BRANCH_PATTERN": "$(id)"})
    assert step.entrypoint == "bash"
    assert "id)" not in step.args[1]


def test_a_module_in_the_repository_is_not_run(environment: dict[str, str]) -> None:
    workspace = workspace_of(environment)
    for name in ("sitecustomize", "usercustomize", "yaml", "google/__init__", "octue_action/__init__", "encodings"):
        file = workspace / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text("print('pwned', flush=True)\n")
    variables = {name: str(workspace) for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "HOME")}
    command = [sys.executable, *IN_THE_CONTAINER, str(ROOT / "entrypoint.py")]
    wrong = environment | variables | {"INPUT_MODE": "pwn"}
    done = subprocess.run(command, env=wrong, cwd=workspace, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (2, "")
    assert "pwned" not in done.stdout


# GitHub's variables, and the files they name


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_of_commands_markup_and_delimiters_is_only_text(
    name: str, attack: Attack, environment: dict[str, str]
) -> None:
    for text in (POLYGLOT, LINE, "\ud800\0", "../../etc", "$(id)"):
        attack(environment | {name: text})


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "a*a*a*a*a*a*a*a*b", "(a?){60}a{60}", r"^main\z", r"\pL+"])
def test_no_branch_takes_long_to_be_held_against_a_pattern(
    pattern: str, attack: Attack, environment: dict[str, str]
) -> None:
    branch = f"refs/heads/{'a' * 200}!"
    left = attack(environment | {"INPUT_BRANCH_PATTERN": pattern, "GITHUB_REF": branch})
    assert left.code == 0


EVENTS: dict[str, Callable[[Path], object]] = {
    "a pipe that nobody writes to": os.mkfifo,
    "a folder": Path.mkdir,
    "endless zeros": lambda path: path.symlink_to("/dev/zero"),
    "no text": lambda path: path.write_bytes(b"\xff\xfe\0"),
    "no JSON": lambda path: path.write_text(POLYGLOT),
    "nested without end": lambda path: path.write_text("[" * 1_000_000),
    "a long number": lambda path: path.write_text("1" * 10_000_000),
    "commands": lambda path: path.write_text(json.dumps({"pull_request": {"head": {"repo": {"full_name": POLYGLOT}}}})),
}


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_of_any_content_is_only_looked_at(
    event: str, attack: Attack, environment: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "event.json"
    EVENTS[event](path)
    del environment["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
    left = attack(environment | {"GITHUB_EVENT_PATH": str(path), "GITHUB_EVENT_NAME": "pull_request"})
    assert left.code == 1
    assert "`id-token: write`" in left.errors or "fork" in left.errors


# Credentials files


def credentials(environment: Mapping[str, str], world: World, **changes: Any) -> dict[str, Any]:
    """What google-github-actions/auth writes, changed."""
    return {
        "type": "external_account",
        "audience": f"//iam.googleapis.com/{world.sts.provider.name}",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{world.base_url}/sts.googleapis.com/v1/token",
        "credential_source": {
            "url": f"{environment['ACTIONS_ID_TOKEN_REQUEST_URL']}&audience=https://iam.googleapis.com/{world.sts.provider.name}",
            "headers": {"Authorization": f"Bearer {environment['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"},
            "format": {"type": "json", "subject_token_field_name": "value"},
        },
    } | changes


FILES: dict[str, dict[str, Any]] = {
    "STS elsewhere": {"token_url": "https://pwned.example/v1/token"},
    "STS by another name": {"token_url": "https://sts.googleapis.com.pwned.example/v1/token"},
    "STS behind a name": {"token_url": "https://sts.googleapis.com@pwned.example/v1/token"},
    "STS behind a password": {"token_url": "https://sts.googleapis.com:x@pwned.example/v1/token"},
    "accounts elsewhere": {"service_account_impersonation_url": "https://pwned.example/a@b:generateAccessToken"},
    "GitHub elsewhere": {"credential_source": {"url": "https://pwned.example/", "headers": {"A": PASSWORD}}},
    "a file of the machine": {"credential_source": {"file": "/etc/passwd"}},
    "the variables of the process": {"credential_source": {"file": "/proc/self/environ"}},
    "a pipe": {"credential_source": {"file": "/proc/self/fd/0"}},
    "a program": {"credential_source": {"executable": {"command": "touch pwned", "timeout_millis": 5000}}},
    "a cloud of others": {"credential_source": {"environment_id": "aws1", "region_url": "https://pwned.example/"}},
    "a certificate": {"credential_source": {"certificate": {"certificate_config_location": "/etc/passwd"}}},
    "another universe": {"universe_domain": "pwned.example", "token_url": "https://sts.pwned.example/v1/token"},
    "another kind": {"type": LINE},
    "a person's": {"type": "authorized_user", "client_id": "a", "client_secret": PASSWORD, "refresh_token": "b"},
    "a key with its server elsewhere": {
        "type": "service_account",
        "client_email": "a@b.iam.gserviceaccount.com",
        "private_key": PASSWORD,
        "token_uri": "https://pwned.example/token",
    },
    "no address": {"token_url": 1, "credential_source": POLYGLOT},
    "commands": {"token_url": LINE, "audience": POLYGLOT},
}


@pytest.mark.parametrize("change", FILES)
def test_a_credentials_file_leads_nowhere_else(
    change: str,
    attack: Attack,
    environment: dict[str, str],
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1")
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "gha-creds-0123456789abcdef.json"
    file.write_text(json.dumps(credentials(environment, world, **FILES[change])))
    del environment["INPUT_WORKLOAD_IDENTITY_PROVIDER"], environment["INPUT_DEPLOYER_SERVICE_ACCOUNT"]
    left = attack(environment | {"GOOGLE_APPLICATION_CREDENTIALS": str(file)})
    assert left.code == 1
    assert not (tmp_path / "pwned").exists()


def test_without_a_change_that_credentials_file_will_do(
    attack: Attack, environment: dict[str, str], world: World, tmp_path: Path
) -> None:
    let(world, world.sts.principal_set("ref", "refs/heads/main"))
    file = tmp_path / "gha-creds-0123456789abcdef.json"
    file.write_text(json.dumps(credentials(environment, world)))
    del environment["INPUT_WORKLOAD_IDENTITY_PROVIDER"], environment["INPUT_DEPLOYER_SERVICE_ACCOUNT"]
    left = attack(environment | {"GOOGLE_APPLICATION_CREDENTIALS": str(file)})
    assert left.code == 0, left.stdout


def test_with_an_emulator_no_proxy_and_no_other_github_is_asked(
    attack: Attack, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://pwned.example:1")
    assert attack(environment).code == 0
    left = attack(environment | {"ACTIONS_ID_TOKEN_REQUEST_URL": "https://pwned.example/?a=b"})
    assert "no emulator is given a token of GitHub itself" in left.errors


# Servers


READS = [
    "ListTriggers",
    "GetService",
    "GetServiceAccount",
    "GetIamPolicy",
    "GetRepository",
    "GetBuildTrigger",
    "GetTag",
    "ListTopics",
]
WRITES = [
    "CreateServiceAccount",
    "CreateRepository",
    "CreateBuildTrigger",
    "RunBuildTrigger",
    "CreateTopic",
]


@pytest.mark.parametrize("method", [*READS, *WRITES])
def test_a_servers_refusal_of_commands_markup_and_tokens_is_only_text(
    method: str, name: str, attack: Attack, environment: dict[str, str], answer_with: AnswerWith, issued: list[str]
) -> None:
    rename(environment, name)
    answer_with("CreateBuildTrigger", lambda request: request.trigger)
    answer_with(method, lambda _: refuse(f"{POLYGLOT} {issued[-1]} {POLYGLOT}"))
    left = attack(environment | {"INPUT_MODE": "deploy", "GITHUB_EVENT_NAME": "workflow_dispatch"})
    assert left.code == 1
    assert "PERMISSION_DENIED" in left.errors


@pytest.mark.parametrize("code", [0, 5, 7, 99, -1])
def test_an_operations_end_of_commands_and_markup_is_only_text(
    code: int, attack: Attack, environment: dict[str, str], answer_with: AnswerWith, issued: list[str]
) -> None:
    def fail(_: Any) -> operations_pb2.Operation:
        error = status_pb2.Status(code=code, message=f"{POLYGLOT} {issued[-1]}")
        return operations_pb2.Operation(name=f"operations/{LINE}", done=True, error=error)

    for method in ("CreateRepository", "CreateService", "CreateTrigger"):
        answer_with(method, fail)
    answer_with("GetTag", lambda request: artifactregistry_v1.Tag(name=request.name, version="x/sha256:0"))
    left = attack(environment | {"INPUT_MODE": "deploy"})
    assert left.code == 1


def test_a_service_and_a_trigger_full_of_commands_and_markup_are_only_text(
    attack: Attack, environment: dict[str, str], answer_with: AnswerWith
) -> None:
    service = run_v2.Service(
        name=POLYGLOT,
        uid=POLYGLOT,
        uri="javascript:pwned()//" + POLYGLOT,
        labels={"managed-by": POLYGLOT, POLYGLOT: POLYGLOT},
        latest_ready_revision=POLYGLOT,
        traffic=[run_v2.TrafficTarget(percent=1, revision=POLYGLOT, tag=POLYGLOT)],
        template=run_v2.RevisionTemplate(
            service_account=POLYGLOT,
            timeout={"seconds": 1},
            containers=[
                run_v2.Container(
                    image=POLYGLOT,
                    env=[
                        run_v2.EnvVar(name=POLYGLOT, value=PASSWORD),
                        run_v2.EnvVar(
                            name=LINE,
                            value_source=run_v2.EnvVarSource(
                                secret_key_ref=run_v2.SecretKeySelector(secret=POLYGLOT, version=POLYGLOT)
                            ),
                        ),
                    ],
                )
            ],
        ),
    )
    trigger = eventarc_v1.Trigger(
        name=f"projects/my-project/locations/europe-west1/triggers/{LINE}",
        service_account=POLYGLOT,
        labels={POLYGLOT: POLYGLOT},
        destination=eventarc_v1.Destination(
            cloud_run=eventarc_v1.CloudRun(service="my-org-sum", region="europe-west1", path=POLYGLOT)
        ),
        transport=eventarc_v1.Transport(
            pubsub=eventarc_v1.Pubsub(topic=f"projects/my-project/topics/octue.services.{LINE}", subscription=POLYGLOT)
        ),
    )
    answer_with("GetService", lambda _: service)
    answer_with("ListTriggers", lambda _: eventarc_v1.ListTriggersResponse(triggers=[trigger]))
    for inputs in ({}, {"INPUT_ADOPT": "true"}):
        left = attack(environment | inputs)
        assert left.code in {0, 1}


@pytest.mark.parametrize("memory", ["", "1Ti", "x", LINE, "9" * 100_000])
def test_a_service_of_another_size_is_no_fault_of_the_action(
    memory: str, attack: Attack, environment: dict[str, str], answer_with: AnswerWith
) -> None:
    limits = {"memory": memory, "cpu": memory}
    container = run_v2.Container(resources=run_v2.ResourceRequirements(limits=limits))
    answer_with("GetService", lambda _: run_v2.Service(template=run_v2.RevisionTemplate(containers=[container])))
    attack(environment)


@pytest.mark.parametrize("status", ["SUCCESS", "FAILURE", "WORKING"])
@pytest.mark.parametrize("url", ["javascript:pwned()", f"https://pwned.example/{POLYGLOT}", POLYGLOT, ""])
def test_a_build_of_commands_and_markup_is_only_text(
    status: str,
    url: str,
    name: str,
    attack: Attack,
    environment: dict[str, str],
    answer_with: AnswerWith,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rename(environment, name)
    build = cloudbuild_v1.Build(
        id="1",
        status=getattr(cloudbuild_v1.Build.Status, status),
        status_detail=POLYGLOT,
        log_url=url,
        steps=[cloudbuild_v1.BuildStep(id=POLYGLOT, status=cloudbuild_v1.Build.Status.FAILURE)],
        substitutions={"COMMIT_SHA": environment["GITHUB_SHA"], POLYGLOT: POLYGLOT},
    )
    monkeypatch.setattr("octue_action.google.Google.poll", lambda *_, **__: iter([None, None]))
    asked_for: list[str] = []

    def tell(request: cloudbuild_v1.GetBuildRequest) -> cloudbuild_v1.Build:
        asked_for.append(request.name)
        return build

    def find(request: artifactregistry_v1.GetTagRequest) -> artifactregistry_v1.Tag:
        if not asked_for or status != "SUCCESS":
            refuse("no", grpc.StatusCode.NOT_FOUND)
        return artifactregistry_v1.Tag(name=request.name)

    metadata = cloudbuild_v1.BuildOperationMetadata(build=build)
    operation = operations_pb2.Operation(name="x")
    operation.metadata.Pack(cloudbuild_v1.BuildOperationMetadata.pb(metadata))
    answer_with("CreateBuildTrigger", lambda request: request.trigger)
    answer_with("RunBuildTrigger", lambda _: operation)
    answer_with("GetBuild", tell)
    answer_with("GetTag", find)
    answer_with("CreateService", lambda _: refuse(POLYGLOT))
    left = attack(environment | {"INPUT_MODE": "deploy", "GITHUB_EVENT_NAME": "workflow_dispatch"})
    assert left.code == 1
    assert asked_for
    assert ("log of the build" in left.summary) == (url != "")
