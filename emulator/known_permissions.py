"""The permissions that a custom role of a project may include, of the APIs that are known here.

From the pages below https://cloud.google.com/iam/docs/roles-permissions; those that no custom role of a project may
include, such as ``resourcemanager.projects.list``, are not here (https://cloud.google.com/iam/docs/custom-roles-permissions-support).
"""

from __future__ import annotations

from collections.abc import Mapping

_POLICY = "getIamPolicy setIamPolicy"
_ALL = "create delete get list update"

_VERBS: Mapping[str, str] = {
    "artifactregistry.dockerimages": "get list",
    "artifactregistry.files": "delete download get list update upload",
    "artifactregistry.locations": "get list",
    "artifactregistry.packages": "delete get list update",
    "artifactregistry.repositories": (
        f"{_ALL} {_POLICY} createTagBinding deleteArtifacts deleteTagBinding downloadArtifacts listEffectiveTags "
        "listTagBindings readViaVirtualRepository uploadArtifacts"
    ),
    "artifactregistry.tags": _ALL,
    "artifactregistry.versions": "delete get list update",
    "cloudbuild.builds": f"approve {_ALL}",
    "cloudbuild.connections": f"{_ALL} {_POLICY} fetchLinkableRepositories",
    "cloudbuild.integrations": _ALL,
    "cloudbuild.operations": "get list",
    "cloudbuild.repositories": "accessReadToken accessReadWriteToken create delete fetchGitRefs get list",
    "cloudbuild.workerpools": f"{_ALL} use",
    "cloudfunctions.functions": f"{_ALL} {_POLICY} invoke sourceCodeGet sourceCodeSet",
    "cloudfunctions.operations": "get list",
    "eventarc.channels": f"{_ALL} {_POLICY} attach publish undelete",
    "eventarc.events": "receiveAuditLogWritten receiveEvent",
    "eventarc.locations": "get list",
    "eventarc.operations": "cancel delete get list",
    "eventarc.providers": "get list",
    "eventarc.triggers": f"{_ALL} {_POLICY} undelete",
    "iam.roles": f"{_ALL} undelete",
    "iam.serviceAccountKeys": "create delete disable enable get list upload",
    "iam.serviceAccounts": (
        f"{_ALL} {_POLICY} actAs disable enable getAccessToken getOpenIdToken implicitDelegation signBlob signJwt "
        "undelete"
    ),
    "iam.workloadIdentityPoolProviders": f"{_ALL} undelete",
    "iam.workloadIdentityPools": f"{_ALL} undelete",
    "logging.buckets": "get list",
    "logging.logEntries": "create download list route",
    "logging.logs": "delete list",
    "logging.views": "access get list",
    "pubsub.snapshots": f"{_ALL} {_POLICY} seek",
    "pubsub.subscriptions": f"{_ALL} {_POLICY} consume",
    "pubsub.topics": f"{_ALL} {_POLICY} attachSubscription detachSubscription publish updateTag",
    "resourcemanager.projects": f"delete get {_POLICY} undelete update",
    "run.jobs": f"{_ALL} {_POLICY} run runWithOverrides",
    "run.locations": "list",
    "run.operations": "delete get list",
    "run.revisions": "delete get list",
    "run.routes": "get invoke list",
    "run.services": f"{_ALL} {_POLICY} createTagBinding deleteTagBinding listEffectiveTags listTagBindings",
    "secretmanager.secrets": f"{_ALL} {_POLICY}",
    "secretmanager.versions": "access add destroy disable enable get list",
    "serviceusage.operations": "cancel delete get list",
    "serviceusage.quotas": "get update",
    "serviceusage.services": "disable enable get list use",
    "storage.buckets": f"{_ALL} {_POLICY}",
    "storage.objects": f"{_ALL} {_POLICY}",
}

KNOWN = frozenset(f"{kind}.{verb}" for kind, verbs in _VERBS.items() for verb in verbs.split())
"""Full names, ``run.services.get``."""
