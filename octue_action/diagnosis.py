"""What is known of Google Cloud's refusals: what each means in plain words, and the one thing to do about it. Pure.

The table below is read from above: the first entry that matches, and all of whose places are known, is the diagnosis.
Where an entry comes from is said beside each failure in ``emulator/known_failures.json``.
"""

from __future__ import annotations

import re
import shlex
import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from octue_action.failure import ISSUES_URL, Failure, GoogleError

LONGEST_TEXT = 10_000
"""Characters of Google's text that are looked at."""

SETUP_URL = "https://github.com/octue/deploy-cloud-run-action#before-the-first-time"
STATUS_URL = "https://status.cloud.google.com"


@dataclass(frozen=True)
class Diagnosis:
    """What a failure means.

    :param cause: in plain words.
    :param remedy: one command or one link.
    :param known: the entry that says so.
    """

    cause: str
    remedy: str
    known: Known


@dataclass(frozen=True, kw_only=True)
class Known:
    """One known failure, and what to say of it; ``{names}`` in braces are places, filled from the failure.

    :param status: pattern of the canonical code's name.
    :param reason: pattern of ``ErrorInfo.reason``.
    :param method: pattern of the client's method; ``operation``, ``build`` and ``sign_in`` for how those end.
    :param says: pattern of something in Google's text; its named groups are places. Letters count alike, small
        or capital.
    :param cause: in plain words.
    :param remedy: a command, or a link.
    """

    status: str = ".*"
    reason: str = ".*"
    method: str = ".*"
    says: str = ""
    cause: str
    remedy: str

    def match(self, error: GoogleError, text: str) -> Mapping[str, str] | None:
        """The places that the text fills; None where this is another failure.

        :param text: Google's, without control characters.
        """
        told = ((self.status, error.status), (self.reason, error.reason), (self.method, error.method))
        if not all(re.fullmatch(pattern, value) for pattern, value in told):
            return None
        match = re.search(self.says, text, re.IGNORECASE)
        return match and {name: value for name, value in match.groupdict().items() if value}

    @cached_property
    def places(self) -> frozenset[str]:
        """What must be known for this to be said."""
        parsed = string.Formatter().parse(self.cause + self.remedy)
        return frozenset(name for _, name, _, _ in parsed if name)


def explain(
    error: GoogleError, *, project_id: str, region: str = "", caller: str = "", octue_role: str = ""
) -> Diagnosis | None:
    """What a refusal of Google's means; None where it is not known.

    :param project_id: of the project that is deployed to.
    :param region: that is deployed to; empty where it is not known.
    :param caller: who deploys, as IAM has it, ``serviceAccount:E``; empty where it is not known.
    :param octue_role: the role that services' accounts get on the project; the usual one where empty.
    """
    text = _printable(error.said)[:LONGEST_TEXT]
    lacking = _LACKING.search(text)
    given = {
        **(lacking.groupdict("") if lacking else {}),
        **{_OF_METADATA.get(name, name): value for name, value in error.metadata.items()},
        "project": project_id,
        "region": region,
        "caller": caller or f"serviceAccount:DEPLOYER@{project_id}.iam.gserviceaccount.com",
        "octue_role": octue_role or f"projects/{project_id}/roles/octue_service_user",
    }
    for known in KNOWN:
        found = known.match(error, text)
        places = _derived({**given, **(found or {})})
        if found is not None and known.places <= places.keys():
            is_link = known.remedy.startswith(("https://", "{log_url}"))
            quoted = places if is_link else {name: shlex.quote(value) for name, value in places.items()}
            return Diagnosis(known.cause.format_map(places), known.remedy.format_map(quoted), known)
    return None


def explained(
    failure: Failure, *, project_id: str, region: str = "", caller: str = "", octue_role: str = ""
) -> Failure:
    """The failure as a person is told it: with cause and remedy where they are known, else as it is.

    The parameters are those of ``explain``.
    """
    diagnosis = None
    if isinstance(failure, GoogleError) and not failure.remedy:
        diagnosis = explain(failure, project_id=project_id, region=region, caller=caller, octue_role=octue_role)
    if diagnosis is None and not failure.aftermath:
        return failure
    cause = f"{diagnosis.cause}\nGoogle's answer: {failure.message}" if diagnosis else failure.message
    told = Failure(
        f"{failure.aftermath} {cause}".lstrip(), diagnosis.remedy if diagnosis else failure.remedy, failure.log_url
    )
    told.__cause__ = failure.__cause__
    return told


def _printable(text: str) -> str:
    """The text on one line, without control characters and those that change how others are read."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())


def _derived(places: Mapping[str, str]) -> dict[str, str]:
    """The places that look like what they are called, and those that follow from them."""
    sound = {name: value for name, value in places.items() if re.fullmatch(_SOUND.get(name, "(?!)"), value)}
    if "permission" not in sound:
        return sound
    sound["lacking"] = " on ".join(sound[name] for name in ("permission", "resource") if name in sound)
    role = next((role for pattern, role in ROLES if re.fullmatch(pattern, sound["permission"])), None)
    if role is not None:
        sound |= {"role": role, "condition": _CONDITIONS.get(role, "None").format_map(sound)}
    return sound


_ACCOUNT = r"\w[\w.-]*@[\w.-]+\w"
_NAME = r"\w[\w.-]*"

_SOUND: Mapping[str, str] = {
    "account": _ACCOUNT,
    "agent": r"service-\d+@[a-z-]+\.iam\.gserviceaccount\.com",
    "api": r"[a-z0-9-]+\.googleapis\.com",
    "caller": r"(serviceAccount|user|principal|principalSet):[\w./:@=~+%*-]+",
    "image": r"\w[\w./:@-]*",
    "issuer": r"https://[\w./:-]+",
    "location": _NAME,
    "log_url": r"https://console\.cloud\.google\.com/[!-~]*",
    "octue_role": r"(projects/[\w.:-]+/|organizations/\d+/)?roles/[\w.]+",
    "permission": r"[A-Za-z]+(\.[A-Za-z]+)+",
    "project": r"\w[\w.:-]*",
    "provider": r"projects/[\w./-]+",
    "region": _NAME,
    "repository": _NAME,
    "resource": r"\w[\w./:@-]*",
    "revision": _NAME,
    "service": _NAME,
    "image_project": r"\w[\w.:-]*",
    "topic": r"\w[\w./~+%-]*",
}
"""What each place looks like. What looks otherwise is taken for unknown: refusals repeat what others have named."""

_OF_METADATA = {"service": "api"}
"""Google's own names in ``ErrorInfo.metadata`` for what has another name here."""

ROLES = (
    (r"resourcemanager\.projects\.(get|getIamPolicy)", "roles/browser"),
    (r"resourcemanager\.projects\.setIamPolicy", "roles/resourcemanager.projectIamAdmin"),
    (r"serviceusage\.services\.(get|use)", "roles/serviceusage.serviceUsageConsumer"),
    (r"iam\.roles\.get", "roles/iam.roleViewer"),
    (r"iam\.serviceAccounts\.create", "roles/iam.serviceAccountCreator"),
    (r"iam\.serviceAccounts\.get", "roles/iam.serviceAccountViewer"),
    (r"pubsub\.\w+\.(get|list)", "roles/pubsub.viewer"),
    (r"pubsub\.(topics|subscriptions)\.(create|update)", "roles/pubsub.editor"),
    (r"run\.\w+\.(get|getIamPolicy|list)", "roles/run.viewer"),
    (r"run\.services\.(create|update)", "roles/run.developer"),
    (r"run\.services\.setIamPolicy", "roles/run.admin"),
    (r"eventarc\.\w+\.(get|list)", "roles/eventarc.viewer"),
    (r"eventarc\.triggers\.(create|update|delete)", "roles/eventarc.developer"),
    (r"cloudbuild\.(connections|repositories)\.get", "roles/cloudbuild.connectionViewer"),
    (r"cloudbuild\.\w+\.(get|list)", "roles/cloudbuild.builds.viewer"),
    (r"cloudbuild\.builds\.(create|update)", "roles/cloudbuild.builds.editor"),
    (r"artifactregistry\.(repositories\.(get|downloadArtifacts)|tags\.get)", "roles/artifactregistry.reader"),
    (r"artifactregistry\.repositories\.(create|update)", "roles/artifactregistry.admin"),
    (r"logging\.logEntries\.list", "roles/logging.viewer"),
)
"""The least of Google's own roles with each permission that a deployment needs. A permission that is not here is one
whose role would allow far more."""

_CONDITIONS = {
    "roles/resourcemanager.projectIamAdmin": "^:^title=only-octues-role:expression=api.getAttribute("
    "'iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(['{octue_role}'])"
}
"""Under which a role is granted that would else allow everything."""

_LACKING = re.compile(
    r"permission\W{1,2}(?P<permission>[a-z]+(?:\.[a-z]+)+)\W{1,2}denied on "
    r"(?:resource:? \W?(?P<resource>\w[\w./:@-]*/[\w./:@-]*))?",
    re.IGNORECASE,
)
"""How Google names a permission, and at times what it is lacking on."""

_BAD_REQUEST = "INVALID_ARGUMENT|FAILED_PRECONDITION|OUT_OF_RANGE|NOT_FOUND"
_OPERATION = "(get|wait)_operation|operation"
_GRANT = "gcloud projects add-iam-policy-binding {project} --condition=None"
_EVENTARC_IDENTITY = "gcloud beta services identity create --service=eventarc.googleapis.com --project={project}"
_CONNECT = "https://console.cloud.google.com/cloud-build/triggers;region={region}/connect?project={project}"
_QUOTAS = "https://console.cloud.google.com/iam-admin/quotas?project={project}"
_WHO_CHANGES = (
    "gcloud logging read 'logName:\"cloudaudit.googleapis.com%2Factivity\"' --project={project} --freshness=1h "
    "--limit=50 --format='table(timestamp, protoPayload.authenticationInfo.principalEmail, protoPayload.methodName)'"
)

_SWITCHED_OFF = (
    "A part of Google Cloud that a deployment needs, {api}, is switched off in the project {project}, or was switched "
    "on only a moment ago. Whoever owns the project switches it on with the command below; some minutes later run the "
    "job again."
)
_SWITCH_ON = "gcloud services enable {api} --project={project}"
_TOO_MANY_REQUESTS = (
    "For some minutes the project {project} has sent more requests than Google Cloud allows it. Whatever else works in "
    "the project counts, too. Run the job again later, or ask for more on the page below."
)

KNOWN: tuple[Known, ...] = (
    # Signing in
    Known(
        method="sign_in",
        says="rejected by the attribute condition",
        cause="The project does not let this workflow in: its repository, branch or event is not what the condition "
        "of the workload identity provider asks for. The command below shows the condition.",
        remedy="gcloud iam workload-identity-pools providers describe {provider} --format='value(attributeCondition)'",
    ),
    Known(
        method="sign_in",
        says="mapped attribute exceeds the 127 bytes limit",
        cause="GitHub's name for this job, made of repository, branch or environment, is longer than the 127 bytes "
        "that Google Cloud takes. The command below has the repository's number used instead. It replaces the "
        "provider's mapping: add what else is in yours.",
        remedy="gcloud iam workload-identity-pools providers update-oidc {provider} --attribute-mapping="
        "'google.subject=assertion.repository_id,attribute.repository_id=assertion.repository_id'",
    ),
    Known(
        method="sign_in",
        says=r"issuer in ID Token (?P<issuer>\S+) does not match",
        cause="The workload identity provider trusts another GitHub than {issuer}, where this job runs. If that one "
        "is to be trusted, the command below says so.",
        remedy="gcloud iam workload-identity-pools providers update-oidc {provider} --issuer-uri={issuer}",
    ),
    Known(
        method="sign_in",
        says="token lifetime cannot exceed",
        cause="Google Cloud would not let this run in for as long as it asked, 55 minutes. Where the job runs on a "
        "machine of your own, that machine's clock is probably wrong, and the command below sets it.",
        remedy="sudo timedatectl set-ntp true",
    ),
    # What is switched off, before anything is called a missing permission
    Known(
        status="PERMISSION_DENIED",
        reason="SERVICE_DISABLED",
        cause=_SWITCHED_OFF,
        remedy=_SWITCH_ON,
    ),
    Known(
        status="PERMISSION_DENIED",
        says=r"before or it is disabled.*apis/api/(?P<api>[a-z0-9.-]+)/",
        cause=_SWITCHED_OFF,
        remedy=_SWITCH_ON,
    ),
    # Limits
    Known(
        status="PERMISSION_DENIED",
        says="quota exceeded for quota metric",
        cause=_TOO_MANY_REQUESTS,
        remedy=_QUOTAS,
    ),
    Known(
        status="RESOURCE_EXHAUSTED",
        reason="RATE_LIMIT_EXCEEDED",
        cause=_TOO_MANY_REQUESTS,
        remedy=_QUOTAS,
    ),
    Known(
        status="RESOURCE_EXHAUSTED",
        cause="The project {project} has as many of these things as Google Cloud allows it. Delete what nobody needs, "
        "or ask for more on the page below.",
        remedy=_QUOTAS,
    ),
    # The agents by which Google Cloud's services act
    Known(
        says=r"get access tokens for the service account.*give (?P<agent>service-\d+@serverless-robot-prod\S+?\.com)",
        cause="Cloud Run's own account in your project, {agent}, lacks the role that it is born with, or Cloud Run "
        "was switched on only a moment ago. Whoever owns the project gives it back with the command below; then run "
        "the job again.",
        remedy=_GRANT + " --member=serviceAccount:{agent} --role=roles/run.serviceAgent",
    ),
    Known(
        method="create_trigger|update_trigger",
        says="permission denied while using the eventarc service agent",
        cause="Eventarc's own account in the project {project} is not ready. Some minutes after its first use it is; "
        "where it is not, whoever owns the project makes it with the command below. Then run the job again.",
        remedy=_EVENTARC_IDENTITY,
    ),
    Known(
        status=_BAD_REQUEST,
        method="create_trigger",
        says="^$",
        cause="Eventarc refuses the trigger and does not say why, as it does while its own account in the project "
        "{project} is not ready. Whoever owns the project makes that account with the command below; then run the job "
        "again.",
        remedy=_EVENTARC_IDENTITY,
    ),
    Known(
        status="PERMISSION_DENIED",
        says=rf"eventarc\.events\.receiveEvent\W+denied on \W?(?P<account>{_ACCOUNT})",
        cause="The service's account, {account}, may not take events from Eventarc. Whoever owns the project allows "
        "it with the command below; some minutes later run the job again.",
        remedy=_GRANT + " --member=serviceAccount:{account} --role=roles/eventarc.eventReceiver",
    ),
    # Revisions of Cloud Run that do not become ready
    Known(
        says=r"(?P<agent>service-\d+@serverless-robot-prod\S+?\.com) must have permission to read the image, "
        r"(?P<image>(?P<location>[\w-]+)-docker\.pkg\.dev/(?P<image_project>[^/\s]+)/(?P<repository>[^/\s]+)/\S+)\. E",
        cause="Cloud Run's own account in your project, {agent}, may not read the image {image}. Whoever owns the "
        "image repository allows it with the command below; some minutes later run the job again.",
        remedy="gcloud artifacts repositories add-iam-policy-binding {repository} --location={location} "
        "--project={image_project} --member=serviceAccount:{agent} --role=roles/artifactregistry.reader",
    ),
    Known(
        says=r"(?P<agent>service-\d+@serverless-robot-prod\S+?\.com) must have permission to read the image",
        cause="Cloud Run's own account in your project, {agent}, may not read the image. Whoever owns the project "
        "allows it with the command below; some minutes later run the job again.",
        remedy=_GRANT + " --member=serviceAccount:{agent} --role=roles/artifactregistry.reader",
    ),
    Known(
        says=r"Image '(?P<image>\S+)' not found",
        cause="The image {image} is not there: its build did not push it, somebody has deleted it, or its name is not "
        "right. The command below looks for it.",
        remedy="gcloud artifacts docker images describe {image}",
    ),
    Known(
        says=r"Revision '(?P<service>[\w-]+)-\d{5}-\w{3}'.*failed to start and listen on the port",
        cause="The container started and then did not listen on the port that Cloud Run gave it, in $PORT: the "
        "program ended with an error, took too long, or listens elsewhere. Its last words are in the log of the "
        "service.",
        remedy="https://console.cloud.google.com/run/detail/{region}/{service}/logs?project={project}",
    ),
    Known(
        says="error during container import",
        cause="Cloud Run did not get the image unpacked in time, not in a second try either. Run the job again; if it "
        "stays, look at the page below, and make the image smaller.",
        remedy="https://cloud.google.com/run/docs/troubleshooting",
    ),
    Known(
        says=r"Revision '(?P<service>[\w-]+)-\d{5}-\w{3}' is not ready",
        cause="The new revision of the service did not become ready. Why is in the service's log.",
        remedy="https://console.cloud.google.com/run/detail/{region}/{service}/logs?project={project}",
    ),
    # Service accounts
    Known(
        status="PERMISSION_DENIED",
        says=rf"iam\.serviceaccounts\.actas\W+denied on service account (?P<account>{_ACCOUNT})",
        cause="This workflow may not deploy what runs as {account}, or there is no such account. If its name is "
        "right, its owner allows it with the command below; some minutes later run the job again.",
        remedy="gcloud iam service-accounts add-iam-policy-binding {account} --project={project} --member={caller} "
        "--role=roles/iam.serviceAccountUser",
    ),
    Known(
        status=_BAD_REQUEST,
        says=rf"service\s?accounts?[ /]\W?(?P<account>{_ACCOUNT})\W? does not exist",
        cause="There is no service account {account}, or it was made so recently that not all of Google Cloud knows "
        "of it. If the command below finds it, run the job again; else its name is not right, or it has to be made "
        "first.",
        remedy="gcloud iam service-accounts describe {account} --project={project}",
    ),
    Known(
        status="NOT_FOUND",
        method="(get|patch)_service_account",
        cause="Google Cloud does not show the service account. If it is in the list that the command below gives, run "
        "the job again.",
        remedy="gcloud iam service-accounts list --project={project}",
    ),
    Known(
        status="ALREADY_EXISTS",
        method="create_service_account",
        cause="A service account of this name is there already, but Google Cloud has not shown it for some minutes. "
        "If it is in the list that the command below gives, run the job again.",
        remedy="gcloud iam service-accounts list --project={project}",
    ),
    # Somebody else
    Known(
        status="ABORTED",
        cause="Somebody else, or a program such as Terraform, changed the same thing each time when this run was "
        "about to. The command below shows who changed what within the last hour; run the job again when they are "
        "done.",
        remedy=_WHO_CHANGES,
    ),
    # Pub/Sub
    Known(
        says="cannot be created or updated due to an organization policy|retry this operation",
        cause="Your organisation's rules do not let Pub/Sub keep messages anywhere. In a new project they may just "
        "not have arrived: run the job again in some minutes. If it stays, whoever looks after these rules allows a "
        "region on the page below.",
        remedy="https://console.cloud.google.com/iam-admin/orgpolicies/gcp-resourceLocations?project={project}",
    ),
    Known(
        status="NOT_FOUND|ALREADY_EXISTS",
        method="(get|create|update)_topic",
        says=r"\(resource=(?P<topic>\S+?)\)",
        cause="Pub/Sub has contradicted itself for some minutes on whether there is a topic {topic}. If the command "
        "below finds it, run the job again.",
        remedy="gcloud pubsub topics describe {topic} --project={project}",
    ),
    # Cloud Run
    Known(
        status="NOT_FOUND",
        says=r'service "\S+/services/(?P<service>[\w-]+)" not found',
        cause="The Cloud Run service {service} is not there: somebody has deleted it meanwhile, or it does not show "
        "yet. If the command below finds it, run the job again.",
        remedy="gcloud run services describe {service} --region={region} --project={project}",
    ),
    Known(
        says=rf"Revision named '(?P<revision>{_NAME})' with different configuration already exists",
        cause="Somebody has given the service's revision a fixed name, {revision}, and there can be only one of that "
        "name. The command below deletes it, unless it serves; then run the job again.",
        remedy="gcloud run revisions delete {revision} --region={region} --project={project}",
    ),
    Known(
        status="ALREADY_EXISTS",
        method="create_service",
        cause="A Cloud Run service of this name is there already and does not show, as while it is being deleted. Run "
        "the job again when the list that the command below gives is without it.",
        remedy="gcloud run services list --region={region} --project={project}",
    ),
    # Operations
    Known(
        status="NOT_FOUND",
        method=_OPERATION,
        cause="Google Cloud has lost sight of something that it had begun for this run, and may have finished. Run "
        "the job again: it goes on from what is there. If it stays, the page below says whether Google Cloud is in "
        "trouble.",
        remedy=STATUS_URL,
    ),
    Known(
        status="DEADLINE_EXCEEDED",
        method=_OPERATION,
        cause="Google Cloud has begun something for this run, and did not finish it in time. Run the job again: it "
        "goes on from what is there. If it stays, the page below says whether Google Cloud is in trouble.",
        remedy=STATUS_URL,
    ),
    # Cloud Build
    Known(
        says="repository mapping does not exist",
        cause="This GitHub repository is not connected to Cloud Build in the region {region}, which only a person can "
        "do, on the page below. Then run the job again.",
        remedy=_CONNECT,
    ),
    Known(
        says='repository resources cannot be created in the "global" region',
        cause="The repository that `repository_connection` names belongs to one region, and can be built only there. "
        "Connect it in {region} on the page below, and give its new name to `repository_connection`.",
        remedy=_CONNECT,
    ),
    Known(
        says=r"location of the repository: \S+/locations/(?P<location>[\w-]+)/\S+ does not match",
        cause="The repository that `repository_connection` names is connected in {location}, and the service is "
        "deployed to {region}. Connect it in {region}, too, on the page below, and give its new name to "
        "`repository_connection`.",
        remedy=_CONNECT,
    ),
    Known(
        says="location of the repository: .* does not match",
        cause="The repository that `repository_connection` names is connected in another region than {region}, where "
        "the service is deployed. Connect it there, too, on the page below, and give its new name to "
        "`repository_connection`.",
        remedy=_CONNECT,
    ),
    Known(
        says="due to quota restrictions, cannot run builds in this region",
        cause="Google does not let this project build in {region}, as it does not let new projects in some regions. "
        "The page below lists regions without that limit, to take as `region`, and says how to ask for this one.",
        remedy="https://cloud.google.com/build/docs/locations#restricted_regions_for_some_projects",
    ),
    Known(
        says=r"if 'build\.service_account' is specified, the build must",
        cause="The build would not say where its log goes. This action always does, so somebody has changed the build "
        "trigger: run the job again, and it is put right. If it stays, it is a fault of the action: please report it.",
        remedy=ISSUES_URL,
    ),
    # How builds end
    Known(
        method="build",
        reason="PUSH_NOT_AUTHORIZED",
        cause="The image was built, but the account that builds, {account}, may not push it. Whoever owns the project "
        "allows it with the command below; then run the job again.",
        remedy=_GRANT + " --member=serviceAccount:{account} --role=roles/artifactregistry.writer",
    ),
    Known(
        method="build",
        reason="LOGGING_FAILURE",
        cause="The account that builds, {account}, may not write the build's log. Whoever owns the project allows it "
        "with the command below; then run the job again.",
        remedy=_GRANT + " --member=serviceAccount:{account} --role=roles/logging.logWriter",
    ),
    Known(
        method="build",
        reason="FETCH_SOURCE_FAILED",
        cause="Cloud Build could not get this commit from GitHub. If the repository is not connected any more, "
        "connect it anew on the page below; then run the job again.",
        remedy=_CONNECT,
    ),
    Known(
        method="build",
        reason="USER_BUILD_STEP",
        cause="A step of the build ended with an error. Its log says which, and why: mend that, and push again.",
        remedy="{log_url}",
    ),
    Known(
        method="build",
        reason="PUSH_FAILED|PUSH_IMAGE_NOT_FOUND|PUSH_NOT_AUTHORIZED",
        cause="The build made no image that could be pushed. Its log says why: mend that, and push again.",
        remedy="{log_url}",
    ),
    Known(
        method="build",
        status="TIMEOUT",
        cause="The build took longer than it may. Its log says what took so long: mend that, and push again.",
        remedy="{log_url}",
    ),
    Known(
        method="build",
        status="CANCELLED",
        cause="Somebody has cancelled the build. Run the job again, unless it was for a reason.",
        remedy="{log_url}",
    ),
    Known(
        method="build",
        status="EXPIRED",
        cause="The build waited in the queue for so long that Cloud Build dropped it: too many others were before it. "
        "Run the job again when there are fewer, or ask for more at a time on the page below.",
        remedy=_QUOTAS,
    ),
    Known(
        method="build",
        status="INTERNAL_ERROR",
        cause="Cloud Build itself failed, not your Dockerfile. Run the job again; if it stays, the page below says "
        "whether Google Cloud is in trouble.",
        remedy=STATUS_URL,
    ),
    Known(
        method="build",
        cause="The build failed. Its log says why: mend that, and push again.",
        remedy="{log_url}",
    ),
    # Missing permissions
    Known(
        status="PERMISSION_DENIED",
        cause="This workflow lacks the permission {lacking}, or what it is needed for does not exist. Whoever owns "
        "the project grants it with the command below; some minutes later run the job again.",
        remedy="gcloud projects add-iam-policy-binding {project} --condition={condition} --member={caller} "
        "--role={role}",
    ),
    Known(
        status="PERMISSION_DENIED",
        cause="This workflow lacks the permission {lacking}, or what it is needed for does not exist. Whoever owns "
        "the project adds it to the deployer's role with the command below; some minutes later run the job again.",
        remedy="gcloud iam roles update octue_deployer --project={project} --add-permissions={permission}",
    ),
    Known(
        status="PERMISSION_DENIED",
        method="get_project|get_iam_policy",
        cause="There is no project {project}, or this workflow may not see it. If its name is right, whoever owns it "
        "allows it with the command below; some minutes later run the job again.",
        remedy=_GRANT + " --member={caller} --role=roles/browser",
    ),
    Known(
        status="PERMISSION_DENIED",
        cause="This workflow lacks a permission in the project {project}, and Google Cloud does not say which. The "
        "page below has the commands that give it all that it needs, for whoever owns the project.",
        remedy=SETUP_URL,
    ),
    # Google Cloud in trouble
    Known(
        status="UNAVAILABLE",
        says="connect|reset|eof|socket|handshake|resol",
        cause="The connection to Google Cloud broke, again and again. Run the job again; if it stays, the page below "
        "says whether Google Cloud is in trouble, and else it is the network of the machine where the job runs.",
        remedy=STATUS_URL,
    ),
    Known(
        status="UNAVAILABLE|INTERNAL|UNKNOWN|DEADLINE_EXCEEDED|CANCELLED",
        cause="Google Cloud gave no proper answer, however often it was asked. The page below says whether it is in "
        "trouble; run the job again when it is over.",
        remedy=STATUS_URL,
    ),
)
