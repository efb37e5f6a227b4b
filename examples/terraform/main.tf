# What a project needs before the first deployment. It is the same that `python -m octue_action.bootstrap` makes, and a
# test holds it against octue_action/project_setup.py. All grants are additive: what others have is left alone.

locals {
  # What deployments, builds and the service itself use.
  apis = [
    "artifactregistry.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "eventarc.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "logging.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "sts.googleapis.com",
  ]

  # Whose a thing is, for what can have no labels.
  shared = "managed-by=octue-action"
  own    = "managed-by=octue-action github-repository-id=${var.repository_id}"

  # Which of GitHub's tokens are let in: by numbers, since names are given to others once they are free.
  # https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines#conditions
  from_repository = "assertion.repository_owner_id == '${var.owner_id}' && assertion.repository_id == '${var.repository_id}'"
  from_branch     = "assertion.ref == 'refs/heads/${var.branch}' && assertion.event_name in ['push', 'schedule', 'workflow_dispatch']"
  pushes          = "${local.from_repository} && ${local.from_branch}"
  pull_requests   = "${local.from_repository} && (assertion.event_name == 'pull_request' || (${local.from_branch}))"

  deployer_permissions = var.destroys ? concat(local.deploying, local.destroying) : local.deploying

  # The deployer's role is of its account alone: a role's id has no hyphens.
  role_suffix = replace(var.deployer_id, "-", "_")

  made_role  = "projects/${var.project_id}/roles/octue_service_user"
  octue_role = var.octue_role == "" ? local.made_role : var.octue_role

  # To push images, to write the log of a build, and to update the service after a push.
  builder_roles = [
    "roles/artifactregistry.writer",
    "roles/logging.logWriter",
    "roles/run.developer",
  ]
}

resource "google_project_service" "apis" {
  for_each = toset(local.apis)

  project            = var.project_id
  service            = each.value
  disable_on_destroy = false # others may use it by now
}

# Who may come in: one repository.

resource "google_iam_workload_identity_pool" "github" {
  project                   = var.project_id
  workload_identity_pool_id = "github"
  display_name              = "GitHub"
  description               = local.shared
  disabled                  = false

  depends_on = [google_project_service.apis]
}

resource "google_iam_workload_identity_pool_provider" "octue" {
  project                            = var.project_id
  workload_identity_pool_id          = google_iam_workload_identity_pool.github.workload_identity_pool_id
  workload_identity_pool_provider_id = var.provider_id
  display_name                       = "Octue services"
  description                        = local.own
  disabled                           = false
  attribute_condition                = var.pull_requests ? local.pull_requests : local.pushes

  attribute_mapping = {
    "google.subject"          = "assertion.sub"
    "attribute.repository_id" = "assertion.repository_id"
  }

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

# Whom it acts as, and what that account may do.

resource "google_project_iam_custom_role" "deployer" {
  project     = var.project_id
  role_id     = "octue_${local.role_suffix}"
  title       = "Octue deployer"
  description = local.own
  permissions = local.deployer_permissions
  stage       = "GA"

  depends_on = [google_project_service.apis]
}

resource "google_project_iam_custom_role" "octue" {
  count = var.octue_role == "" ? 1 : 0

  project     = var.project_id
  role_id     = "octue_service_user"
  title       = "octue-service-user"
  description = local.shared
  permissions = local.answering
  stage       = "GA"

  depends_on = [google_project_service.apis]
}

resource "google_service_account" "deployer" {
  project      = var.project_id
  account_id   = var.deployer_id
  display_name = "Deployer of Octue services"
  description  = local.own

  depends_on = [google_project_service.apis]
}

resource "google_service_account_iam_member" "github" {
  service_account_id = google_service_account.deployer.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github.name}/attribute.repository_id/${var.repository_id}"

  depends_on = [google_iam_workload_identity_pool_provider.octue]
}

resource "google_project_iam_member" "deployer" {
  project = var.project_id
  role    = google_project_iam_custom_role.deployer.name
  member  = google_service_account.deployer.member
}

# It may give Octue's role, and no other, to a service's account: without the condition it might do anything.
# https://cloud.google.com/iam/docs/setting-limits-on-granting-roles
resource "google_project_iam_member" "grants" {
  project = var.project_id
  role    = "roles/resourcemanager.projectIamAdmin"
  member  = google_service_account.deployer.member

  condition {
    title      = "only-octues-role"
    expression = "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(['${local.octue_role}'])"
  }

  depends_on = [google_project_iam_custom_role.octue]
}

# As whom Cloud Build builds.

resource "google_service_account" "builder" {
  project      = var.project_id
  account_id   = "builder"
  display_name = "Builder of Octue services"
  description  = local.shared

  depends_on = [google_project_service.apis]
}

resource "google_project_iam_member" "builder" {
  for_each = toset(local.builder_roles)

  project = var.project_id
  role    = each.value
  member  = google_service_account.builder.member
}

# Eventarc's own account, which Google else makes only when the first trigger is made, and then refuses the trigger.
# https://cloud.google.com/iam/docs/service-agents

resource "google_project_service_identity" "eventarc" {
  provider = google-beta

  project = var.project_id
  service = "eventarc.googleapis.com"

  depends_on = [google_project_service.apis]
}

resource "google_project_iam_member" "eventarc" {
  project = var.project_id
  role    = "roles/eventarc.serviceAgent"
  member  = "serviceAccount:${google_project_service_identity.eventarc.email}"
}

# The same as a deployment makes, which finds them there.

resource "google_artifact_registry_repository" "images" {
  for_each = var.services

  project       = var.project_id
  location      = var.region
  repository_id = each.value
  format        = "DOCKER"
  description   = "Images of an Octue service"

  labels = {
    managed-by           = "octue-action"
    octue-service        = substr(each.value, 0, 63)
    github-repository-id = var.repository_id
  }

  lifecycle {
    prevent_destroy = true # with it would go the images that services run
  }

  depends_on = [google_project_service.apis]
}
