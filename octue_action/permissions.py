"""What whoever deploys must be allowed in Google Cloud. Data alone."""

from __future__ import annotations

from collections.abc import Mapping

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
