"""What whoever deploys must be allowed in Google Cloud: the whole of it, to be read by those who allow it. Data alone.

Where a permission is from: the page of each method in Google's references, and the pages below
https://cloud.google.com/iam/docs/roles-permissions. What each kind of resource needs, it says itself (``needs``); the
tests hold both against each other, and against what the emulator asks for.
"""

from __future__ import annotations

from collections.abc import Mapping

EVENTS = ("push", "schedule", "workflow_dispatch")
"""The events of GitHub's, on the main branch, whose runs are let in."""

PLAN = (
    "artifactregistry.repositories.get",
    "artifactregistry.tags.get",
    "cloudbuild.builds.get",
    "eventarc.triggers.get",
    "eventarc.triggers.list",
    "iam.serviceAccounts.get",
    "pubsub.subscriptions.get",
    "pubsub.topics.get",
    "pubsub.topics.list",
    "resourcemanager.projects.getIamPolicy",
    "run.services.get",
    "run.services.getIamPolicy",
)
"""To say what a deployment would do, or what has drifted: to read."""

DEPLOY = (
    *PLAN,
    "artifactregistry.repositories.create",
    "artifactregistry.repositories.downloadArtifacts",
    "artifactregistry.repositories.update",
    "cloudbuild.builds.create",
    "cloudbuild.builds.list",
    "eventarc.operations.get",
    "eventarc.triggers.create",
    "eventarc.triggers.delete",
    "eventarc.triggers.update",
    "iam.serviceAccounts.actAs",
    "iam.serviceAccounts.create",
    "iam.serviceAccounts.update",
    "pubsub.subscriptions.update",
    "pubsub.topics.create",
    "pubsub.topics.update",
    "run.operations.get",
    "run.services.create",
    "run.services.setIamPolicy",
    "run.services.update",
)
"""To deploy. Beside it there is ``GRANT``, which is given under a condition."""

GRANT = "resourcemanager.projects.setIamPolicy"
"""To give Octue's role to the account of a service. Without the condition below it would allow everything."""

GRANT_TITLE = "only-octues-role"
GRANT_CONDITION = "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(['{octue_role}'])"
"""Under which that is given (cloud.google.com/iam/docs/setting-limits-on-granting-roles)."""

ROLL_BACK = ("run.revisions.list",)
"""Beside ``DEPLOY``, to find the revision that the traffic goes back to."""

DESTROY = (
    "artifactregistry.repositories.delete",
    "iam.serviceAccounts.delete",
    "pubsub.topics.delete",
    "run.services.delete",
    "run.services.list",
)
"""Beside ``DEPLOY``, to take a deployment back."""

ASK = (
    "pubsub.subscriptions.consume",
    "pubsub.subscriptions.create",
    "pubsub.subscriptions.delete",
    "pubsub.topics.attachSubscription",
    "pubsub.topics.create",
    "pubsub.topics.delete",
    "pubsub.topics.publish",
)
"""To ask a service, and to be answered."""

EXPLAIN = ("logging.logEntries.list",)
"""To show the log of a build or a container that failed; without it all works, and less is said."""

ALL = tuple(sorted({*DEPLOY, GRANT, *ROLL_BACK, *DESTROY, *ASK, *EXPLAIN}))
"""Fewer than the 100 that Google Cloud tests at a time."""

DEPLOYER = tuple(sorted({*DEPLOY, *ROLL_BACK, *DESTROY, *ASK, *EXPLAIN} - {"resourcemanager.projects.getIamPolicy"}))
"""What the deployer's own role includes, for all modes. To read the project's policy comes with ``GRANT``."""

OCTUE_SERVICE = (
    "pubsub.subscriptions.consume",
    "pubsub.subscriptions.create",
    "pubsub.subscriptions.delete",
    "pubsub.topics.attachSubscription",
    "pubsub.topics.create",
    "pubsub.topics.delete",
    "pubsub.topics.get",
    "pubsub.topics.publish",
)
"""What Octue's role includes: what its SDK does in a service that answers questions, and asks others."""

OF_METHODS: Mapping[str, str] = {
    "acknowledge": "pubsub.subscriptions.consume",
    "create_build_trigger": "cloudbuild.builds.create",
    "create_repository": "artifactregistry.repositories.create",
    "create_service": "run.services.create",
    "create_service_account": "iam.serviceAccounts.create",
    "create_subscription": "pubsub.subscriptions.create",
    "create_topic": "pubsub.topics.create",
    "create_trigger": "eventarc.triggers.create",
    "delete_build_trigger": "cloudbuild.builds.create",
    "delete_repository": "artifactregistry.repositories.delete",
    "delete_service": "run.services.delete",
    "delete_service_account": "iam.serviceAccounts.delete",
    "delete_subscription": "pubsub.subscriptions.delete",
    "delete_topic": "pubsub.topics.delete",
    "delete_trigger": "eventarc.triggers.delete",
    "get_build": "cloudbuild.builds.get",
    "get_build_trigger": "cloudbuild.builds.get",
    "get_repository": "artifactregistry.repositories.get",
    "get_service": "run.services.get",
    "get_service_account": "iam.serviceAccounts.get",
    "get_subscription": "pubsub.subscriptions.get",
    "get_tag": "artifactregistry.tags.get",
    "get_topic": "pubsub.topics.get",
    "get_trigger": "eventarc.triggers.get",
    "list_builds": "cloudbuild.builds.list",
    "list_log_entries": "logging.logEntries.list",
    "list_revisions": "run.revisions.list",
    "list_services": "run.services.list",
    "list_topic_subscriptions": "pubsub.topics.get",
    "list_topics": "pubsub.topics.list",
    "list_triggers": "eventarc.triggers.list",
    "patch_service_account": "iam.serviceAccounts.update",
    "publish": "pubsub.topics.publish",
    "pull": "pubsub.subscriptions.consume",
    "run_build_trigger": "cloudbuild.builds.create",
    "update_build_trigger": "cloudbuild.builds.create",
    "update_repository": "artifactregistry.repositories.update",
    "update_service": "run.services.update",
    "update_subscription": "pubsub.subscriptions.update",
    "update_topic": "pubsub.topics.update",
    "update_trigger": "eventarc.triggers.update",
}
"""The permission that a method of a client asks for: some APIs refuse without naming it."""
