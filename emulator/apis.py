"""Google's APIs that the local cloud knows: which methods are theirs, and the agent that works for each.

Titles are those of https://cloud.google.com/apis; agents and their roles of
https://cloud.google.com/iam/docs/service-agents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Agent:
    """The account with which an API works in a project.

    :param domain: the part of its address after ``@`` and before ``.iam.gserviceaccount.com``.
    :param role: what it has on the project where Google grants it.
    :param made_when_enabled: whether it is there as soon as the API is switched on; else from its first use.
    """

    domain: str
    role: str
    made_when_enabled: bool = True

    def email(self, project_number: str) -> str:
        """Its address in a project."""
        return f"service-{project_number}@{self.domain}.iam.gserviceaccount.com"


@dataclass(frozen=True, kw_only=True)
class Api:
    """One API.

    :param title: how its product is called in messages.
    :param packages: how the full names of its methods begin.
    :param operations: first word of the kinds of its operations, as ``Operations.start`` gets them.
    :param policies: kinds of resources whose policies it has that are asked for through ``google.iam.v1.IAMPolicy``.
    :param agent: its own account; ``None`` where nothing here needs it.
    :param on_by_default: whether it is on in a new project.
    """

    title: str
    packages: tuple[str, ...] = ()
    operations: str = ""
    policies: tuple[str, ...] = ()
    agent: Agent | None = None
    on_by_default: bool = False


_POLICIES = "google.iam.v1.IAMPolicy/"
_OPERATIONS = "google.longrunning.Operations/"

# On by default: https://cloud.google.com/service-usage/docs/enabled-service#default. The page has more, of products
# that nothing here uses.
APIS: Mapping[str, Api] = {
    "artifactregistry.googleapis.com": Api(
        title="Artifact Registry API",
        packages=("google.devtools.artifactregistry.",),
        operations="artifact_registry",
        agent=Agent(domain="gcp-sa-artifactregistry", role="roles/artifactregistry.serviceAgent"),
    ),
    "bigquery.googleapis.com": Api(title="BigQuery API", on_by_default=True),
    "cloudapis.googleapis.com": Api(title="Google Cloud APIs", on_by_default=True),
    "cloudbuild.googleapis.com": Api(
        title="Cloud Build API",
        packages=("google.devtools.cloudbuild.",),
        operations="cloud_build",
        agent=Agent(domain="gcp-sa-cloudbuild", role="roles/cloudbuild.serviceAgent"),
    ),
    "cloudresourcemanager.googleapis.com": Api(
        title="Cloud Resource Manager API", packages=("google.cloud.resourcemanager.",)
    ),
    "cloudtrace.googleapis.com": Api(title="Cloud Trace API", on_by_default=True),
    "datastore.googleapis.com": Api(title="Cloud Datastore API", on_by_default=True),
    "eventarc.googleapis.com": Api(
        title="Eventarc API",
        packages=("google.cloud.eventarc.",),
        operations="eventarc",
        policies=("triggers", "channels"),
        agent=Agent(domain="gcp-sa-eventarc", role="roles/eventarc.serviceAgent", made_when_enabled=False),
    ),
    "iam.googleapis.com": Api(
        title="Identity and Access Management (IAM) API",
        packages=("google.iam.admin.", "google.iam.v1.WorkloadIdentityPools/"),
        operations="iam",
    ),
    "iamcredentials.googleapis.com": Api(
        title="IAM Service Account Credentials API", packages=("google.iam.credentials.",)
    ),
    "logging.googleapis.com": Api(title="Cloud Logging API", packages=("google.logging.",), on_by_default=True),
    "monitoring.googleapis.com": Api(title="Cloud Monitoring API", on_by_default=True),
    "pubsub.googleapis.com": Api(
        title="Cloud Pub/Sub API",
        packages=("google.pubsub.",),
        policies=("topics", "subscriptions"),
        agent=Agent(domain="gcp-sa-pubsub", role="roles/pubsub.serviceAgent", made_when_enabled=False),
    ),
    "run.googleapis.com": Api(
        title="Cloud Run Admin API",
        packages=("google.cloud.run.",),
        operations="cloud_run",
        agent=Agent(domain="serverless-robot-prod", role="roles/run.serviceAgent"),
    ),
    "secretmanager.googleapis.com": Api(title="Secret Manager API"),
    "servicemanagement.googleapis.com": Api(title="Service Management API", on_by_default=True),
    "serviceusage.googleapis.com": Api(
        title="Service Usage API",
        packages=("google.api.serviceusage.",),
        operations="service_usage",
        on_by_default=True,
    ),
    "sql-component.googleapis.com": Api(title="Cloud SQL", on_by_default=True),
    "storage-api.googleapis.com": Api(title="Google Cloud Storage JSON API", on_by_default=True),
    "storage-component.googleapis.com": Api(title="Cloud Storage", on_by_default=True),
    "storage.googleapis.com": Api(title="Cloud Storage API", on_by_default=True),
    "sts.googleapis.com": Api(title="Security Token Service API", packages=("google.identity.sts.",)),
}
"""The APIs by the name under which they are switched on, which is also their host."""


def of_method(name: str, resource: str = "", operation: str = "") -> str | None:
    """The API that a method belongs to; ``None`` where that is not known.

    :param name: the method's full name.
    :param resource: relative name of what a policy is asked for, of which several APIs have some.
    :param operation: the kind of an operation that is asked for, the same.
    """
    if name.startswith(_POLICIES):
        kind = resource.split("/")[-2:-1]
        return next((host for host, api in APIS.items() if set(kind) & set(api.policies)), None)
    if name.startswith(_OPERATIONS):
        word = operation.partition(" ")[0]
        return next((host for host, api in APIS.items() if word and word == api.operations), None)
    return next((host for host, api in APIS.items() if name.startswith(api.packages or ("-",))), None)
