"""Everything that is known of what goes wrong in Google Cloud, in builds and in containers: to be read through. Data.

Each table is read from above: the first entry that matches, and all of whose places are known, says what a person is
told; ``diagnosis`` reads them. Where the entries on Google's refusals are from is said beside each failure in
``emulator/known_failures.json``, and of those on logs beside them.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from octue_action.failure import ISSUES_URL, GoogleError
from octue_action.permissions import GRANT_CONDITION, GRANT_TITLE, OCTUE_SERVICE

ACCOUNT = r"\w[\w.-]*@[\w.-]+\w"
NAME = r"\w[\w.-]*"

SETUP_URL = "https://github.com/octue/deploy-cloud-run-action#before-the-first-time"
STATUS_URL = "https://status.cloud.google.com"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What to say of one failure; ``{names}`` in braces are places, filled from the failure.

    :param says: pattern of something in the text; its named groups are places.
    :param cause: in plain words.
    :param remedy: a command, a link, or something to paste.
    """

    says: str = ""
    cause: str
    remedy: str

    @cached_property
    def places(self) -> frozenset[str]:
        """What must be known for this to be said."""
        parsed = string.Formatter().parse(self.cause + self.remedy)
        return frozenset(name for _, name, _, _ in parsed if name)


@dataclass(frozen=True, kw_only=True)
class Known(Entry):
    """One refusal of Google's; letters of its text count alike, small or capital.

    :param status: pattern of the canonical code's name.
    :param reason: pattern of ``ErrorInfo.reason``.
    :param method: pattern of the client's method; ``operation``, ``build`` and ``sign_in`` for how those end.
    """

    status: str = ".*"
    reason: str = ".*"
    method: str = ".*"

    def match(self, error: GoogleError, text: str) -> Mapping[str, str] | None:
        """The places that the text fills; None where this is another failure.

        :param text: Google's, without control characters.
        """
        told = ((self.status, error.status), (self.reason, error.reason), (self.method, error.method))
        if not all(re.fullmatch(pattern, value) for pattern, value in told):
            return None
        match = re.search(self.says, text, re.IGNORECASE)
        return match and {name: value for name, value in match.groupdict().items() if value}


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

OWNERS_ROLES = (
    (r"iam\.roles\.\w+", "roles/iam.roleAdmin"),
    (r"iam\.serviceAccounts\.\w+", "roles/iam.serviceAccountAdmin"),
    (r"iam\.workloadIdentity\w+\.\w+", "roles/iam.workloadIdentityPoolAdmin"),
    (r"serviceusage\.services\.\w+", "roles/serviceusage.serviceUsageAdmin"),
    (r"artifactregistry\.repositories\.\w+", "roles/artifactregistry.admin"),
)
"""The same of those that whoever sets a project up needs, and a deployment does not, or needs less of."""

CONDITIONS = {"roles/resourcemanager.projectIamAdmin": f"^:^title={GRANT_TITLE}:expression={GRANT_CONDITION}"}
"""Under which a role is granted that would else allow everything."""

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
        "of the workload identity provider asks for. That condition cannot be read by a run that was not let in; "
        "whoever owns the project sees it with the command below.",
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
    Known(
        method="sign_in",
        status="invalid_target",
        cause="There is no workload identity provider {provider}, or it is switched off. The command below lists what "
        "there is: copy the full name, which has the project's number in it, to `workload_identity_provider`.",
        remedy="gcloud iam workload-identity-pools providers list --location=global --workload-identity-pool={pool} "
        "--project={project} --format='value(name)'",
    ),
    Known(
        method="sign_in",
        status="invalid_grant",
        cause="The provider {provider} does not accept GitHub's token. It has to trust the issuer "
        "https://token.actions.githubusercontent.com, and to take nothing as `google.subject` that is longer than 127 "
        "bytes; the command below shows what it does.",
        remedy="gcloud iam workload-identity-pools providers describe {provider}",
    ),
    Known(
        method="sign_in",
        says="Gaia id not found",
        cause="There is no service account {deployer}: its name is not right, or somebody has deleted it. The command "
        "below lists those that there are, for `deployer_service_account`.",
        remedy="gcloud iam service-accounts list --project={project}",
    ),
    Known(
        method="sign_in",
        status="PERMISSION_DENIED",
        says="^(?!.* has not been used in project )",
        cause="This repository may not act as {deployer}, or there is no such account. It comes as {caller}, and "
        "whoever owns the account lets that in with the command below; some minutes later run the job again.",
        remedy="gcloud iam service-accounts add-iam-policy-binding {deployer} --project={project} "
        "--role=roles/iam.workloadIdentityUser --member={caller}",
    ),
    # What is switched off, before anything is called a missing permission
    Known(
        status="PERMISSION_DENIED",
        reason="SERVICE_DISABLED",
        cause=_SWITCHED_OFF,
        remedy=_SWITCH_ON,
    ),
    Known(
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
        says=rf"eventarc\.events\.receiveEvent\W+denied on \W?(?P<account>{ACCOUNT})",
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
        says=r"Revision '(?P<service>[\w-]+)-\d{5}-\w{3}'.*(failed to start and listen on the port|startup probe)",
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
        says=rf"iam\.serviceaccounts\.actas\W+denied on service account (?P<account>{ACCOUNT})",
        cause="This workflow may not deploy what runs as {account}, or there is no such account. If its name is "
        "right, its owner allows it with the command below; some minutes later run the job again.",
        remedy="gcloud iam service-accounts add-iam-policy-binding {account} --project={project} --member={caller} "
        "--role=roles/iam.serviceAccountUser",
    ),
    Known(
        status=_BAD_REQUEST,
        says=rf"service\s?accounts?[ /]\W?(?P<account>{ACCOUNT})\W? does not exist",
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
    Known(
        status="INVALID_ARGUMENT|NOT_FOUND",
        method="set_iam_policy",
        says=r"role \W?(?P<octue_role>projects/[\w.:-]+/roles/(?P<role_id>[\w.]+))\W? does not exist",
        cause="The role {octue_role}, which lets a service ask and answer questions, is not there. Whoever owns the "
        "project makes it with the command below, or gives the name of another one in the input `octue_role`.",
        remedy="gcloud iam roles create {role_id} --project={project} --title=octue-service-user --permissions="
        + ",".join(OCTUE_SERVICE),
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
        says=rf"Revision named '(?P<revision>{NAME})' with different configuration already exists",
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
        cause="{who} lacks the permission {lacking}, or what it is needed for does not exist. Whoever owns the project "
        "grants it with the command below; some minutes later run the job again.",
        remedy="gcloud projects add-iam-policy-binding {project} --condition={condition} --member={caller} "
        "--role={role}",
    ),
    Known(
        status="PERMISSION_DENIED",
        cause="{who} lacks the permission {lacking}, or what it is needed for does not exist. Whoever owns the project "
        "adds it with the command below; if it has another role there than the one named, put that one's name in. Some "
        "minutes later run the job again.",
        remedy="gcloud iam roles update {deployer_role} --project={project} --add-permissions={permission}",
    ),
    Known(
        status="PERMISSION_DENIED",
        method="get_project|get_iam_policy",
        cause="There is no project {project}, or {who} may not see it. If its name is right, whoever owns it allows it "
        "with the command below; some minutes later run the job again.",
        remedy=_GRANT + " --member={caller} --role=roles/browser",
    ),
    Known(
        status="PERMISSION_DENIED",
        cause="{who} lacks a permission in the project {project}, and Google Cloud does not say which. The page "
        "below has the commands that give it all that it needs, for whoever owns the project.",
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

OWN_START = (
    "CMD exec gunicorn --bind :$PORT --workers 1 --threads 8 --timeout 0 "
    "octue.cloud.deployment.google.cloud_run.flask_app:app"
)
"""How a service of octue 0.8.0 to 0.61.x starts. No worker timeout: Cloud Run ends requests that take too long."""


@dataclass(frozen=True, kw_only=True)
class Sign(Entry):
    """What the lines of a log show to whoever knows it; of several such lines the last one counts."""

    def match(self, log: str) -> re.Match[str] | None:
        """Where the log says so; its lines are told apart, and their beginnings and ends matched by ``^`` and ``$``."""
        found = None
        for found in re.finditer(self.says, log, re.MULTILINE):  # noqa: B007 - the last one is wanted
            pass
        return found


_TRACEBACK = r"^[^\n]*Traceback \(most recent call last\):$(?:\n(?:[ \t].*)?$)+\n"
"""A traceback of Python up to the line that names the exception, which alone is not indented."""

OF_CONTAINERS: tuple[Sign, ...] = (
    # Source: cloud.google.com/run/docs/configuring/memory-limits, and dart-lang/pub-dev#9554.
    Sign(
        says=r"Memory limit of (?P<limit>[\d.]+ ?[KMG]i?B?) exceeded with (?P<used>[\d.]+ ?[KMG]i?B?) used",
        cause="The container ran out of memory when it started: it may use {limit}, and used {used}. Give it more in "
        "octue.yaml, or with the inputs of the same names; then push.",
        remedy="{more_memory}",
    ),
    # Sources: GoogleCloudPlatform/jit-groups#270; Unstructured-IO/unstructured-api#354, for a script.
    Sign(
        says=r"(?<!\S)(?=\S*/)(?P<program>\S+\.(?:sh|py|bash)): exec format error",
        cause="Cloud Run could not start {program}: the script's first line does not name the program that runs it, or "
        "the image is made for another kind of processor than Cloud Run's. Put this above everything else in "
        "the script:",
        remedy="#!/bin/sh",
    ),
    Sign(
        says=r"(?<!\S)(?=\S*/)(?P<program>\S+): exec format error",
        cause="Cloud Run could not start {program}: the image is made for another kind of processor, as on a Mac with "
        "an Apple chip or on an ARM machine. Build it for Cloud Run's, and push it again.",
        remedy="docker build --platform=linux/amd64 --tag=IMAGE .",
    ),
    Sign(
        says=r"exec format error",
        cause="Cloud Run could not start the program: the image is made for another kind of processor, as on a Mac "
        "with an Apple chip or on an ARM machine. Build it for Cloud Run's, and push it again.",
        remedy="docker build --platform=linux/amd64 --tag=IMAGE .",
    ),
    # What happens to Octue's own packages: tried with the versions named.
    Sign(
        says=r"^ModuleNotFoundError: No module named '(?P<module>octue\.cloud\.deployment[\w.]*)'",
        cause="The program ended at its start{exit}: the version of octue in the image has no {module}. Versions "
        "0.8.0 to 0.61.x have octue.cloud.deployment.google.cloud_run.flask_app, older ones the same without "
        "`.flask_app`, and later ones do not run on Cloud Run. Name the right one in the requirements, and push.",
        remedy="octue==0.39.0",
    ),
    Sign(
        says=r"^ModuleNotFoundError: No module named '(?P<module>pkg_resources)'",
        cause="The program ended at its start{exit}: the Python module {module} is not in the image. Setuptools has "
        "it before version 81. Add this line to the requirements, and push.",
        remedy="setuptools<81",
    ),
    Sign(
        says=r"^ImportError: cannot import name '(?P<name>\w+)' from 'werkzeug[\w.]*'",
        cause="The program ended at its start{exit}: the version of Werkzeug in the image has no {name}. Octue's "
        "older versions bring a Flask that needs Werkzeug before version 3. Add this line to the requirements, and "
        "push.",
        remedy="werkzeug<3",
    ),
    Sign(
        says=r"^ModuleNotFoundError: No module named '(?P<module>[\w.]+)'",
        cause="The program ended at its start{exit}: the Python module {module} is not in the image. Add the "
        "package that has it to the requirements, or copy the file in the Dockerfile, and push.",
        remedy="{log_url}",
    ),
    Sign(
        says=_TRACEBACK + r"(?P<exception>\S.*)$",
        cause="The program ended at its start{exit}: {exception}",
        remedy="{log_url}",
    ),
    Sign(
        says=r"^(?P<exception>(?:SyntaxError|IndentationError|TabError): .*)$",
        cause="The program ended at its start{exit}: {exception}",
        remedy="{log_url}",
    ),
    # What gunicorn, Flask and uvicorn say when they listen.
    Sign(
        says=r"(?:Listening at:|[Rr]unning on) https?://(?P<host>[\w.:\[\]]+):(?P<port>\d+)",
        cause="The program listens on port {other_port}, and Cloud Run sends questions to port {asked}, whose number "
        "it gives in the variable PORT. End the Dockerfile like this, and push.",
        remedy=OWN_START,
    ),
    Sign(
        says=r"(?:Listening at:|[Rr]unning on) https?://(?P<host>[\w.:\[\]]+):(?P<port>\d+)",
        cause="The program listens on {loopback}, where only the container itself reaches it, and not Cloud Run. End "
        "the Dockerfile like this, and push.",
        remedy=OWN_START,
    ),
    # How the container ended, says Cloud Run; what the numbers mean is from the shells' manuals and signal(7).
    Sign(
        says=r"^(?:\S+: )?(?:\d+: |line \d+: )?(?:exec: )?(?P<program>[\w./-]+): (?:command )?not found$",
        cause="The program {program} is not in the image{code_127}. Have the Dockerfile install it, or start "
        "something else, and push.",
        remedy="{log_url}",
    ),
    Sign(
        says=r"Application failed to start: (?P<exception>.*)$",
        cause="Cloud Run could not start the program: {exception}",
        remedy="{log_url}",
    ),
    Sign(
        cause="The program that the image starts is not in it{code_127}: command not found. Have the Dockerfile "
        "install it, or start something else, and push.",
        remedy="{log_url}",
    ),
    Sign(
        cause="The program that the image starts may not be executed{code_126}. Have the Dockerfile make it "
        "executable, and push.",
        remedy="RUN chmod +x FILE",
    ),
    Sign(
        cause="The program was killed when it started{code_137}, most often for want of memory: look at what it needs, "
        "and give it more with `memory` in octue.yaml.",
        remedy="{log_url}",
    ),
    Sign(
        cause="The program ended at its start{code_132}: it is made for another kind of processor than Cloud Run "
        "has. Build the image, and what is in it, for linux/amd64.",
        remedy="docker build --platform=linux/amd64 --tag=IMAGE .",
    ),
    Sign(
        cause="The program broke down when it started{code_139}, as libraries do that are made for another version of "
        "Python or of each other. The end of its log says what it did last.",
        remedy="{log_url}",
    ),
    Sign(
        cause="The program ended by itself and without an error{code_0}. A service has to go on running, and to listen "
        "on $PORT: end the Dockerfile like this, and push.",
        remedy=OWN_START,
    ),
    Sign(
        cause="The program ended at its start, with exit code {code}. Its last words are below, and all of them in "
        "its log.",
        remedy="{log_url}",
    ),
    # Source: 1Password/scim-examples#309.
    Sign(
        says=r"STARTUP \w+ probe failed",
        cause="The program runs, but did not listen on port {asked} in time, whose number Cloud Run gives in the "
        "variable PORT. If it is not only slow to start, end the Dockerfile like this, and push.",
        remedy=OWN_START,
    ),
)
"""Why a container does not become ready, as its log shows: the program's lines, and Cloud Run's own."""

OF_BUILDS: tuple[Sign, ...] = (
    # Docker's own words: cainenielsen/plex-cloud#1, and those of BuildKit in MicrosoftDocs/azure-devops-docs#13543.
    Sign(
        says=r"(?:COPY|ADD) failed: (?:file not found in build context or excluded by \.dockerignore: )?"
        r"stat (?P<path>\S+?):? (?:file does not exist|no such file or directory)",
        cause="The Dockerfile copies {path}, which is not in the repository at this commit, or which .dockerignore "
        "leaves out. Commit it, or mend the name, and push.",
        remedy="{log_url}",
    ),
    Sign(
        says=r"failed to (?:calculate checksum|compute cache key)[^\n]*\"/?(?P<path>[^\"\n]+)\": not found",
        cause="The Dockerfile copies {path}, which is not in the repository at this commit, or which .dockerignore "
        "leaves out. Commit it, or mend the name, and push.",
        remedy="{log_url}",
    ),
    Sign(
        says=r"(?:lstat|open) (?:/workspace/)?(?P<path>\S*Dockerfile\S*): no such file or directory",
        cause="There is no {path} in the repository at this commit. Add it, or say with `dockerfile` where it is, and "
        "push.",
        remedy="dockerfile: PATH/Dockerfile",
    ),
    Sign(
        says=r"No matching distribution found for (?P<package>[^\s(]+)",
        cause="pip finds no {package} for the image's version of Python: its name or its number is not right, or it "
        "needs another Python. The command below lists the versions that there are. Mend the requirements, and push.",
        remedy="python -m pip index versions {package_name}",
    ),
    Sign(
        says=r"Could not find a version that satisfies the requirement (?P<package>[^\s(]+)",
        cause="pip finds no {package} for the image's version of Python: its name or its number is not right, or it "
        "needs another Python. The command below lists the versions that there are. Mend the requirements, and push.",
        remedy="python -m pip index versions {package_name}",
    ),
    Sign(
        says=r"ResolutionImpossible|conflicting dependencies",
        cause="pip cannot fulfil all requirements at once: some need different versions of the same package, as the "
        "lines below say. Mend the requirements, and push.",
        remedy="{log_url}",
    ),
    Sign(
        says=r"(?:manifest for|pull access denied for) (?P<image>[\w./:@-]+?),? (?:not found|repository)",
        cause="The image {image}, which the Dockerfile begins with, is not there, or not for everybody. Mend its name "
        "after FROM, and push.",
        remedy="docker pull {image}",
    ),
    Sign(
        says=r"[Nn]o space left on device",
        cause="The build's disk is full. Copy and install less: a .dockerignore file leaves out what the image does "
        "not need, such as data.",
        remedy="{log_url}",
    ),
    Sign(
        says=r"Temporary failure in name resolution|Connection timed out|Read timed out|Could not resolve host",
        cause="The build did not reach something on the internet that it needs. Run the job again; if it stays, the "
        "lines below say what that is.",
        remedy="{log_url}",
    ),
    Sign(
        says=r"The command '(?:/bin/sh -c )?(?P<command>[^\n]*)' returned a non-zero code: (?P<code>\d+)",
        cause="A command in the Dockerfile ended with exit code {code}: {command}. The lines below say why: mend it, "
        "and push again.",
        remedy="{log_url}",
    ),
    Sign(
        says=r'process "(?:/bin/sh -c )?(?P<command>[^\n]*)" did not complete successfully: exit code: (?P<code>\d+)',
        cause="A command in the Dockerfile ended with exit code {code}: {command}. The lines below say why: mend it, "
        "and push again.",
        remedy="{log_url}",
    ),
)
"""Why a build fails, as the log of the step that failed shows."""
