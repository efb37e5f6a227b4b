"""Google's own roles, of the permissions that the emulator knows (https://cloud.google.com/iam/docs/roles-permissions)."""

from __future__ import annotations

import re
from collections.abc import Mapping

_READ = r"\.(get|list|getIamPolicy)$"
_POLICY = r"\.(get|set)IamPolicy$"

PATTERNS: Mapping[str, str] = {
    "roles/owner": r"^(?!iam\.serviceAccounts\.(getAccessToken|getOpenIdToken)$)",
    "roles/editor": (
        r"^(?!.*\.setIamPolicy$)(?!iam\.(roles|workloadIdentity\w*)\.(create|update|delete|undelete)$)"
        r"(?!iam\.serviceAccounts\.(getAccessToken|getOpenIdToken)$)"
    ),
    "roles/viewer": r"\.(get|list)$",
    "roles/browser": r"^resourcemanager\.projects\.(get|getIamPolicy)$",
    "roles/resourcemanager.projectIamAdmin": r"^resourcemanager\.projects\.(get|getIamPolicy|setIamPolicy)$",
    "roles/run.admin": r"^run\.",
    "roles/run.developer": r"^run\.(?!.*setIamPolicy$)",
    "roles/run.viewer": rf"^run\..*{_READ}",
    "roles/run.invoker": r"^run\.routes\.invoke$",
    "roles/run.serviceAgent": r"^(artifactregistry\..*\.(get|list|downloadArtifacts)|iam\.serviceAccounts\.get.*)$",
    "roles/pubsub.admin": r"^pubsub\.",
    "roles/pubsub.editor": rf"^pubsub\.(?!.*{_POLICY})",
    "roles/pubsub.viewer": r"^pubsub\..*\.(get|list)$",
    "roles/pubsub.publisher": r"^pubsub\.topics\.publish$",
    "roles/pubsub.subscriber": r"^pubsub\.(subscriptions\.consume|topics\.attachSubscription)$",
    "roles/eventarc.admin": r"^eventarc\.",
    "roles/eventarc.developer": rf"^eventarc\.(?!.*{_POLICY})",
    "roles/eventarc.viewer": rf"^eventarc\..*{_READ}",
    "roles/eventarc.eventReceiver": r"^eventarc\.events\.receiveEvent$",
    "roles/cloudbuild.builds.editor": r"^cloudbuild\.builds\.",
    "roles/cloudbuild.builds.viewer": r"^cloudbuild\.builds\.(get|list)$",
    "roles/cloudbuild.builds.builder": (
        r"^(cloudbuild\.builds\.|artifactregistry\..*\.(get|list|downloadArtifacts|uploadArtifacts)$|logging\."
        r"logEntries\.(create|list)$|pubsub\.topics\.(create|publish)$)"
    ),
    "roles/cloudbuild.connectionViewer": r"^cloudbuild\.(connections|repositories)\.(get|list)$",
    "roles/artifactregistry.admin": r"^artifactregistry\.",
    "roles/artifactregistry.writer": r"^artifactregistry\..*\.(get|list|downloadArtifacts|uploadArtifacts)$",
    "roles/artifactregistry.reader": r"^artifactregistry\..*\.(get|list|downloadArtifacts)$",
    "roles/iam.serviceAccountAdmin": r"^iam\.serviceAccounts\.(create|delete|get|list|update|\w+IamPolicy)$",
    "roles/iam.serviceAccountCreator": r"^iam\.serviceAccounts\.(create|get|list)$",
    "roles/iam.serviceAccountUser": r"^iam\.serviceAccounts\.(actAs|get|list)$",
    "roles/iam.serviceAccountViewer": rf"^iam\.serviceAccounts{_READ}",
    "roles/iam.serviceAccountTokenCreator": r"^iam\.serviceAccounts\.(get|list|getAccessToken|getOpenIdToken)$",
    "roles/iam.workloadIdentityUser": r"^iam\.serviceAccounts\.(get|list|getAccessToken|getOpenIdToken)$",
    "roles/iam.workloadIdentityPoolAdmin": r"^iam\.workloadIdentity\w*\.",
    "roles/iam.roleAdmin": r"^iam\.roles\.",
    "roles/iam.roleViewer": r"^iam\.roles\.(get|list)$",
    "roles/iam.securityReviewer": r"\.(list|getIamPolicy)$",
    "roles/serviceusage.serviceUsageAdmin": r"^serviceusage\.",
    "roles/serviceusage.serviceUsageConsumer": r"^serviceusage\.services\.(get|list|use)$",
    "roles/serviceusage.serviceUsageViewer": r"^serviceusage\.services\.(get|list)$",
    "roles/logging.viewer": r"^logging\.\w+\.(get|list)$",
    "roles/logging.logWriter": r"^logging\.logEntries\.create$",
}
"""Of each role the permissions that it includes, as a pattern. A role that is not here includes none."""


def includes(role: str, permission: str) -> bool:
    """Whether one of Google's own roles includes a permission."""
    pattern = PATTERNS.get(role)
    return pattern is not None and re.search(pattern, permission) is not None
