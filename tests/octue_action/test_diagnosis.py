"""What people read of each known failure is held by a golden file; ``REWRITE_GOLDEN=1`` writes it anew."""

from __future__ import annotations

import os
import re
import shlex
import urllib.parse
from pathlib import Path

import pytest
from google.rpc import error_details_pb2
from hypothesis import given
from hypothesis import strategies as st

from emulator.known_failures import FAILURES, KnownFailure, Sort
from octue_action.catalogue import KNOWN, OF_BUILDS, OF_CONTAINERS, Known, Sign
from octue_action.diagnosis import Diagnosis, explain, explained
from octue_action.failure import LONGEST_URL, Failure, Fault, GoogleError, fault
from octue_action.logs import Log
from octue_action.permissions import ALL
from tests.gcloud import understands
from tests.octue_action.failed_logs import BUILDS, CONTAINERS, SERVICE_LOG, failed_build, not_ready

GOLDEN = Path(__file__).parent / "golden" / "diagnosis.md"
PROVIDER = "projects/123456789012/locations/global/workloadIdentityPools/github/providers/octue"
DEPLOYER = "serviceAccount:deployer@my-project.iam.gserviceaccount.com"
LOG_URL = "https://console.cloud.google.com/cloud-build/builds;region=europe-west1/6c1b?project=123456789012"
ACCOUNT = "my-org-sum@my-project.iam.gserviceaccount.com"


def as_the_action_sees_it(known: KnownFailure) -> GoogleError:
    """The error that the action makes of a known failure."""
    if known.sort is Sort.BUILD:
        kind = (known.details or {}).get("failureInfo", {}).get("type", "")
        return GoogleError("build", known.status, "", kind, metadata={"log_url": LOG_URL, "account": ACCOUNT})
    if known.sort is Sort.SIGN_IN or known.id == "iamcred-lifetime":
        return GoogleError("sign_in", known.status, known.text(), metadata={"provider": PROVIDER})
    if known.sort is Sort.CONNECTION:
        return GoogleError("create_topic", known.status, known.text())
    error = known.error()
    info = next((detail for detail in error.details if isinstance(detail, error_details_pb2.ErrorInfo)), None)
    return GoogleError(
        "operation" if known.sort is Sort.OPERATION else client_method(known.methods[0]),
        error.code.name,
        error.message,
        info.reason if info else "",
        metadata=dict(info.metadata) if info else {},
    )


def client_method(rpc: str) -> str:
    """``create_topic`` of ``google.pubsub.v1.Publisher/CreateTopic``; of a pattern, one that it is a pattern of."""
    example = {
        "google.cloud.run.v2.*": "GetService",
        "google.cloud.run.v2.Services/[CU]*teService": "CreateService",
        "google.cloud.eventarc.v1.Eventarc/*": "GetTrigger",
        "google.pubsub.v1.*": "GetTopic",
        "google.devtools.cloudbuild.v1.CloudBuild/*": "GetBuildTrigger",
        "google.iam.admin.v1.IAM/*": "GetServiceAccount",
        "google.cloud.resourcemanager.v3.Projects/*": "GetIamPolicy",
        "google.cloud.resourcemanager.v3.Projects/Get*": "GetIamPolicy",
        "google.longrunning.Operations/*": "GetOperation",
    }
    return re.sub(r"(?<=.)([A-Z])", r"_\1", example.get(rpc, rpc.rpartition("/")[2])).lower()


def diagnose(error: GoogleError, caller: str = DEPLOYER) -> Diagnosis | None:
    return explain(error, project_id="my-project", region="europe-west1", caller=caller)


def remedy(error: GoogleError) -> str:
    diagnosis = diagnose(error)
    assert diagnosis is not None
    return diagnosis.remedy


def denied(text: str, method: str = "create_service", **metadata: str) -> GoogleError:
    return GoogleError(method, "PERMISSION_DENIED", text, metadata=metadata)


@pytest.mark.parametrize("known", FAILURES.values(), ids=FAILURES)
def test_each_known_failure_has_a_cause_and_one_remedy_that_can_be_pasted(known: KnownFailure) -> None:
    diagnosis = diagnose(as_the_action_sees_it(known))

    assert diagnosis is not None
    assert diagnosis.cause.endswith(".")
    assert "{" not in diagnosis.cause + diagnosis.remedy
    assert re.fullmatch(r"https://[!-~]+|(gcloud|sudo) [ -~]+", diagnosis.remedy)
    shlex.split(diagnosis.remedy)


@pytest.mark.witness
def test_gcloud_understands_every_remedy(tmp_path: Path) -> None:
    commands = re.findall(r"^    (gcloud .*)$", GOLDEN.read_text(), re.MULTILINE)
    assert understands("\n".join(commands), tmp_path) > 15


def test_what_people_read_of_each_known_failure() -> None:
    parts = ["# What people read of each known failure\n"]
    for known in FAILURES.values():
        failure = explained(
            as_the_action_sees_it(known), project_id="my-project", region="europe-west1", caller=DEPLOYER
        )
        parts.append(section(known.id, failure))
    parts.append("# And of others\n")
    parts += [section(f"{error.status} from {error.method}", tell(error)) for error in FURTHER]
    parts += [section(f"{error.status} from {error.method}", tell(error, caller=REPOSITORY)) for error in SIGNING_IN]
    parts.append("# Of containers that do not start\n")
    parts += [section(name, tell(not_ready(), lines)) for name, lines in CONTAINERS.items()]
    parts.append("# Of builds that fail\n")
    parts += [section(name, tell(failed_build(), lines)) for name, lines in BUILDS.items()]
    parts.append("# Where the log cannot be read\n")
    refusal = denied("Permission denied for all log views", "list_log_entries")
    parts.append(section("no permission", tell(not_ready(), refusal=refusal)))
    parts.append(section("nothing in time", tell(not_ready())))
    parts.append("# What nobody has met yet\n")
    parts.append(section("a refusal", tell(UNKNOWN)))
    parts.append(section("a fault", fault(broken(), "v1.2.3", "deploy")))
    text = "\n".join(parts)

    if os.environ.get("REWRITE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def section(title: str, failure: Failure) -> str:
    remedy = "\n".join(f"    {line}" for line in failure.remedy.splitlines())
    return f"## {title}\n\n{failure.message}\n\n{remedy}\n"


def tell(
    error: GoogleError, lines: tuple[str, ...] = (), refusal: GoogleError | None = None, caller: str = DEPLOYER
) -> Failure:
    return explained(
        error,
        project_id="my-project",
        region="europe-west1",
        caller=caller,
        log=Log(error.log_url, lines, refusal),
        version="v1.2.3",
        mode="deploy",
    )


def broken() -> Exception:
    try:
        raise KeyError("my-secret-input")
    except KeyError as error:
        return error


def refused_sign_in(status: str, said: str = "") -> GoogleError:
    about = {"provider": PROVIDER, "deployer": DEPLOYER.partition(":")[2]}
    return GoogleError("sign_in", status, said, metadata=about)


REPOSITORY = f"principalSet://iam.googleapis.com/{PROVIDER.partition('/providers/')[0]}/attribute.repository_id/1296269"
SIGNING_IN = [
    refused_sign_in("invalid_target"),
    refused_sign_in("invalid_grant", "invalid_grant: Error"),
    refused_sign_in("NOT_FOUND", "Not found; Gaia id not found for email deployer@my-project.iam.gserviceaccount.com"),
    refused_sign_in(
        "PERMISSION_DENIED", "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist)."
    ),
]
UNKNOWN = GoogleError(
    "create_topic",
    "INVALID_ARGUMENT",
    "Message ordering for projects/my-project/topics/a of a@b.example is 123456789012 ya29.token",
    "ODD",
    metadata={"field": "ordering"},
)
AGENT = "service-123456789012@serverless-robot-prod.iam.gserviceaccount.com"
FURTHER = [
    GoogleError(
        "set_iam_policy",
        "INVALID_ARGUMENT",
        "Role projects/my-project/roles/octue_service_user does not exist in the resource's hierarchy.",
    ),
    GoogleError("create_topic", "RESOURCE_EXHAUSTED", "Quota exceeded for total allowable count of topics."),
    GoogleError("operation", "FAILED_PRECONDITION", "Revision 'sum-00002-xyz' is not ready and cannot serve traffic."),
    GoogleError(
        "operation", "PERMISSION_DENIED", f"{AGENT} must have permission to read the image, gcr.io/p/i. Ensure"
    ),
    GoogleError("operation", "DEADLINE_EXCEEDED", "operations/1 took over 900 s."),
    GoogleError("create_build_trigger", "INVALID_ARGUMENT", "location of the repository: x does not match y"),
    *(
        GoogleError("build", "FAILURE", "", kind, metadata={"log_url": LOG_URL, "account": ACCOUNT})
        for kind in ("PUSH_NOT_AUTHORIZED", "LOGGING_FAILURE", "FETCH_SOURCE_FAILED", "PUSH_FAILED", "")
    ),
    denied("Permission 'iam.serviceAccounts.update' denied on resource (or it may not exist)."),
    denied("", permission="pubsub.topics.create"),
    denied(FAILURES["api-disabled-run"].text()),
    denied("User not authorized to perform this action.", "publish_all"),
    denied("User not authorized to perform this action.", "create_topic"),
]


@pytest.mark.parametrize("known", KNOWN, ids=range(len(KNOWN)))
def test_no_entry_is_hidden_behind_those_before_it(known: Known) -> None:
    errors = [as_the_action_sees_it(failure) for failure in FAILURES.values()] + SIGNING_IN + FURTHER

    assert any(diagnosis.known is known for error in errors if (diagnosis := diagnose(error)) is not None)


def test_an_api_that_is_switched_off_is_no_missing_permission() -> None:
    text = "Permission 'run.services.get' denied on resource 'projects/my-project' (or it may not exist)."
    error = GoogleError(
        "get_service", "PERMISSION_DENIED", text, "SERVICE_DISABLED", metadata={"service": "run.googleapis.com"}
    )

    assert remedy(error) == "gcloud services enable run.googleapis.com --project=my-project"


def test_an_api_that_is_switched_off_is_told_from_the_text_where_details_were_lost() -> None:
    error = GoogleError("create_trigger", "PERMISSION_DENIED", FAILURES["api-disabled-eventarc"].text())

    assert remedy(error) == "gcloud services enable eventarc.googleapis.com --project=my-project"


def test_a_missing_permission_is_named_with_what_it_is_missing_on() -> None:
    text = (
        "Permission 'run.services.create' denied on resource 'projects/my-project/locations/r' (or it may not exist)."
    )

    diagnosis = diagnose(denied(text))

    assert diagnosis is not None
    assert "run.services.create on projects/my-project/locations/r," in diagnosis.cause


def test_a_missing_permission_may_be_named_in_the_details_alone() -> None:
    details = {"permission": "eventarc.triggers.create", "resource": "projects/my-project/locations/europe-west1"}

    assert remedy(denied("The caller does not have permission", **details)) == (
        "gcloud projects add-iam-policy-binding my-project --condition=None "
        f"--member={DEPLOYER} --role=roles/eventarc.developer"
    )


def test_the_right_to_change_the_projects_policy_is_granted_for_octues_role_alone() -> None:
    command = shlex.split(remedy(denied("", permission="resourcemanager.projects.setIamPolicy")))

    assert "--role=roles/resourcemanager.projectIamAdmin" in command
    assert (
        "--condition=^:^title=only-octues-role:expression="
        "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', [])"
        ".hasOnly(['projects/my-project/roles/octue_service_user'])"
    ) in command


def test_another_octue_role_is_the_one_that_may_be_granted() -> None:
    diagnosis = explain(
        denied("", permission="resourcemanager.projects.setIamPolicy"),
        project_id="my-project",
        octue_role="organizations/1/roles/asker",
    )

    assert diagnosis is not None
    assert "hasOnly(['organizations/1/roles/asker'])" in " ".join(shlex.split(diagnosis.remedy))


def test_what_needs_a_region_is_not_said_without_one() -> None:
    error = GoogleError("create_build_trigger", "FAILED_PRECONDITION", FAILURES["cb-mapping"].text())

    assert explain(error, project_id="my-project") is None


def test_a_permission_whose_role_would_allow_far_more_is_granted_by_itself() -> None:
    assert remedy(denied("", permission="iam.serviceAccounts.update")) == (
        "gcloud iam roles update octue_deployer --project=my-project --add-permissions=iam.serviceAccounts.update"
    )


def test_a_permission_is_added_to_the_role_of_the_account_that_lacks_it() -> None:
    lacking = denied("", permission="iam.serviceAccounts.update")
    another = diagnose(lacking, caller="serviceAccount:deployer-2@my-project.iam.gserviceaccount.com")

    assert another is not None
    assert another.remedy.startswith("gcloud iam roles update octue_deployer_2 --project=my-project ")


def test_every_permission_that_a_deployer_needs_has_a_remedy_that_names_it_or_its_role() -> None:
    remedies = {permission: remedy(denied("", permission=permission)) for permission in ALL}

    assert len(remedies) > 30
    assert all("--role=roles/" in r or r.endswith(p) for p, r in remedies.items())


def test_a_direct_federations_member_is_who_gets_a_role() -> None:
    member = f"principalSet://iam.googleapis.com/{PROVIDER.partition('/providers/')[0]}/attribute.repository_id/1296269"

    diagnosis = diagnose(denied("", permission="pubsub.topics.create"), caller=member)

    assert diagnosis is not None
    assert f"--member={member} " in diagnosis.remedy


def test_without_a_caller_the_command_says_where_the_deployer_stands() -> None:
    diagnosis = explain(denied("", permission="pubsub.topics.create"), project_id="my-project", region="europe-west1")

    assert diagnosis is not None
    assert "--member=serviceAccount:DEPLOYER@my-project.iam.gserviceaccount.com" in diagnosis.remedy


def test_what_is_no_refusal_of_googles_is_left_as_it_is() -> None:
    failure = Failure("No")

    assert explained(failure, project_id="p", region="r") is failure


def test_what_is_not_known_is_told_in_full_with_a_report_that_names_nobody() -> None:
    told = tell(UNKNOWN)

    assert "Status: INVALID_ARGUMENT, reason: ODD, method: create_topic, field: ordering\n" in told.message
    assert UNKNOWN.message in told.message
    title, body = report(told.remedy)
    assert title == "Not explained: INVALID_ARGUMENT from create_topic"
    assert body == (
        "Version: v1.2.3\nMode: deploy\nError: GoogleError\nStatus: INVALID_ARGUMENT\nReason: ODD\n"
        "Method: create_topic\nText: Message ordering for projects/NAME/topics/NAME of EMAIL is NUMBER (token)"
    )


def report(url: str) -> tuple[str, str]:
    """Title and body of the report that a link has written."""
    address, _, query = url.splitlines()[-1].partition("?")
    assert address == "https://github.com/octue/deploy-cloud-run-action/issues/new"
    fields = dict(urllib.parse.parse_qsl(query, strict_parsing=True))
    return fields["title"], fields["body"]


@given(text=st.text(max_size=3000))
def test_a_report_is_no_longer_than_what_a_browser_takes(text: str) -> None:
    error = GoogleError("create_topic", "INVALID_ARGUMENT", text)

    told = tell(error)

    if told.remedy.startswith("https://github.com"):
        assert len(told.remedy) <= LONGEST_URL
        report(told.remedy)
    assert len(told.message) + len(told.remedy) < 4096


def test_a_fault_says_where_it_is_and_not_with_which_values() -> None:
    told = explained(fault(broken()), project_id="p", version="v1.2.3", mode="plan")

    title, body = report(told.remedy)
    assert isinstance(told, Fault)
    assert title == "Fault: KeyError"
    assert "Version: v1.2.3\nMode: plan\nError: KeyError\nWhere: test_diagnosis.py:" in body
    assert "my-secret-input" not in told.remedy


@pytest.mark.parametrize(
    ("name", "cause"),
    {
        "import": "The program ended at its start, with exit code 1: the Python module numpy is not in the image.",
        "exception": "The program ended at its start, with exit code 1: FileNotFoundError: [Errno 2] No such file",
        "port-gunicorn": "The program listens on port 5000, and Cloud Run sends questions to port 8080,",
        "port-flask": "The program listens on port 5000, and Cloud Run sends questions to port 8080,",
        "memory": "The container ran out of memory when it started: it may use 512 MiB, and used 530 MiB.",
        "processor": "Cloud Run could not start /usr/local/bin/python: the image is made for another kind of processor",
        "exit-127-named": "The program gunicorn is not in the image (exit code 127).",
        "exit-137": "The program was killed when it started (exit code 137), most often for want of memory:",
        "exit-78": "The program ended at its start, with exit code 78.",
        "late": "The program runs, but did not listen on port 8080 in time,",
        "silent": "The program runs, but did not listen on port 8080 in time,",
    }.items(),
)
def test_why_a_container_does_not_start_is_in_the_first_line(name: str, cause: str) -> None:
    told = tell(not_ready(), CONTAINERS[name])

    assert told.message.splitlines()[0].startswith(cause)


def test_a_container_without_enough_memory_is_given_the_next_size() -> None:
    said = "Memory limit of {} exceeded with {} used. Consider increasing the memory limit"
    sizes = [("512 MiB", "530 MiB"), ("1024 MiB", "2000 MiB"), ("4096 MiB", "4200 MiB"), ("953M", "967M")]

    assert [tell(not_ready(), (said.format(*size),)).remedy for size in sizes] == [
        "memory: 1Gi",
        "memory: 4Gi",
        "memory: 8Gi\ncpus: 2",
        "memory: 2Gi",
    ]


def test_the_lines_that_show_it_are_under_the_cause_and_all_of_them_are_kept() -> None:
    told = tell(not_ready(), CONTAINERS["exception"])

    assert (
        "From its log:\n"
        "  Traceback (most recent call last):\n"
        '    File "/app/app.py", line 12, in <module>\n'
        '      TABLE = open("coefficients.csv")\n'
        "  FileNotFoundError: [Errno 2] No such file or directory: 'coefficients.csv'\n"
    ) in told.message
    assert told.log == CONTAINERS["exception"]
    assert told.log_url == SERVICE_LOG


def test_a_log_that_may_not_be_read_is_linked_with_the_command_that_allows_it() -> None:
    refusal = denied("Permission denied for all log views", "list_log_entries")

    told = tell(not_ready(), refusal=refusal)

    assert SERVICE_LOG in told.message
    assert told.message.endswith(
        "\ngcloud projects add-iam-policy-binding my-project --condition=None "
        f"--member={DEPLOYER} --role=roles/logging.viewer"
    )


def test_what_served_before_is_told_behind_the_cause() -> None:
    error = not_ready()
    error.aftermath = "What served before goes on serving: my-org-sum-00001-abc."

    first, second, *_ = tell(error, CONTAINERS["import"]).message.splitlines()

    assert first.startswith("The program ended at its start")
    assert second == error.aftermath


@pytest.mark.parametrize("sign", OF_CONTAINERS, ids=range(len(OF_CONTAINERS)))
def test_no_sign_of_a_container_is_hidden_behind_those_before_it(sign: Sign) -> None:
    diagnoses = [explain(not_ready(), project_id="p", log=lines) for lines in CONTAINERS.values()]

    assert any(diagnosis is not None and diagnosis.known is sign for diagnosis in diagnoses)


@pytest.mark.parametrize("sign", OF_BUILDS, ids=range(len(OF_BUILDS)))
def test_no_sign_of_a_build_is_hidden_behind_those_before_it(sign: Sign) -> None:
    diagnoses = [explain(failed_build(), project_id="p", log=lines) for lines in BUILDS.values()]

    assert any(diagnosis is not None and diagnosis.known is sign for diagnosis in diagnoses)


def test_a_failure_with_a_remedy_of_its_own_keeps_it() -> None:
    error = GoogleError("create_topic", "UNAVAILABLE", "", remedy="Knock again.")

    assert explained(error, project_id="p", region="r") is error


def test_googles_own_words_and_the_log_stay_with_the_cause() -> None:
    error = GoogleError("create_topic", "UNAVAILABLE", "The service is currently unavailable.")
    error.log_url = LOG_URL

    told = explained(error, project_id="p", region="r")

    assert told.message.endswith(
        "\nGoogle's answer: UNAVAILABLE from create_topic: The service is currently unavailable."
        f"\nAll of its log: {LOG_URL}"
    )
    assert told.log_url == LOG_URL


def test_a_role_of_cloud_runs_own_account_is_given_to_no_other() -> None:
    text = FAILURES["run-agent-token"].text().replace("service-123456789012@serverless-robot-prod", "mallory@evil")

    diagnosis = diagnose(denied(text))

    assert diagnosis is not None
    assert "mallory" not in diagnosis.remedy


PIECES = [
    *"'\"`$(){};&|<>\\ \n\r\t\0\x1b\u202e\u2028@/:.-=#!*?~a0é",
    "{api}",
    "$(id)",
    "https://evil.example/",
    "x@y.z",
]
HOSTILE = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@given(hostile=HOSTILE, known=st.sampled_from([*FAILURES.values()]))
def test_no_name_in_googles_text_becomes_more_than_a_word_of_the_command(hostile: str, known: KnownFailure) -> None:
    places = dict.fromkeys(("account", "service", "topic", "image", "repository", "issuer", "api"), hostile)
    error = as_the_action_sees_it(known)
    error.said = known.text(**places)
    error.metadata = dict.fromkeys((*error.metadata, "service", "permission", "resource"), hostile)

    diagnosis = diagnose(error)

    if diagnosis is not None:
        assert diagnosis.cause.isprintable()
        outside_quotes = re.sub(r"'[^']*'", "", diagnosis.remedy.replace("'\"'\"'", ""))
        assert re.fullmatch(
            r"(gcloud|sudo) [\w ./:@=,%+-]+"
            r"|https://((console|status)?\.?cloud\.google\.com|github\.com/octue)[\w./:;=?#-]*",
            outside_quotes,
            re.ASCII,
        )


STARTED = "[INFO] Listening at: http://0.0.0.0:8080 (1)"
ENDED = ("Container called exit(3).", "ImportError: cannot import name 'url_quote' from 'werkzeug.urls' (/a)")


@pytest.mark.parametrize(
    ("lines", "is_known"),
    [
        ((STARTED, ENDED[1], ENDED[0]), True),
        ((ENDED[1], ENDED[0], STARTED), False),
        ((STARTED, ENDED[1], ENDED[0], STARTED, ENDED[1], ENDED[0], STARTED), True),
        (("[INFO] Shutting down: Master", "Container called exit(0)."), False),
        (("Memory limit of 512 MiB exceeded with 530 MiB used.", "Container terminated on signal 9."), True),
        ((ENDED[1],), False),
    ],
    ids=["died", "came again", "dies again and again", "was ended", "was killed", "goes on"],
)
def test_of_a_service_that_does_not_answer_a_log_says_why_only_where_it_has_died(
    lines: tuple[str, ...], is_known: bool
) -> None:
    failure = Failure("The question was not answered.", "gcloud logging read")

    told = explained(failure, project_id="my-project", log=Log("https://console.cloud.google.com/l", lines))

    assert told.message.startswith("The question was not answered.")
    assert "From its log:" in told.message
    assert (told.remedy != failure.remedy) is is_known
