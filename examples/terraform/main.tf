# What a project needs before the first deployment: the same as `script/bootstrap` makes. Never both for one project.

data "google_project" "this" {
  project_id = var.project_id
}

locals {
  # By numbers, since names are given to others once they are free.
  from_repository = "assertion.repository_owner_id == '${var.owner_id}' && assertion.repository_id == '${var.repository_id}'"
  pushed          = "assertion.ref == 'refs/heads/${var.branch}' && assertion.event_name in ['push', 'schedule', 'workflow_dispatch']"
  with_pulls      = "${local.from_repository} && (assertion.event_name == 'pull_request' || (${local.pushed}))"
  condition       = var.pull_requests ? local.with_pulls : "${local.from_repository} && ${local.pushed}"

  octue_role = var.octue_role != "" ? var.octue_role : "projects/${var.project_id}/roles/octue_service_user"
}

resource "google_project_service" "this" {
  for_each = toset(local.apis)

  project            = var.project_id
  service            = each.value
  disable_on_destroy = false
}

# Who may come in.

resource "google_iam_workload_identity_pool" "github" {
  project                   = var.project_id
  workload_identity_pool_id = "github"
  display_name              = "GitHub"

  depends_on = [google_project_service.this]
}

resource "google_iam_workload_identity_pool_provider" "octue" {
  project                            = var.project_id
  workload_identity_pool_id          = google_iam_workload_identity_pool.github.workload_identity_pool_id
  workload_identity_pool_provider_id = var.provider_id
  display_name                       = "Octue services"
  attribute_condition                = local.condition

  attribute_mapping = {
    "google.subject"          = "assertion.sub"
    "attribute.repository_id" = "assertion.repository_id"
  }

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

# Whom it acts as, and what that account may do.

resource "google_service_account" "deployer" {
  project      = var.project_id
  account_id   = var.deployer_id
  display_name = "Deployer of Octue services"

  depends_on = [google_project_service.this]
}

resource "google_service_account_iam_member" "deployer" {
  service_account_id = google_service_account.deployer.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github.name}/attribute.repository_id/${var.repository_id}"
}

resource "google_project_iam_custom_role" "deployer" {
  project     = var.project_id
  role_id     = "octue_deployer"
  title       = "Octue deployer"
  permissions = concat(local.deployer_permissions, var.destroys ? local.destroyer_permissions : [])

  depends_on = [google_project_service.this]
}

resource "google_project_iam_member" "deployer" {
  project = var.project_id
  role    = google_project_iam_custom_role.deployer.name
  member  = "serviceAccount:${google_service_account.deployer.email}"
}

# It may also give Octue's role, and no other, to a service's account.
resource "google_project_iam_member" "deployer_grants" {
  project = var.project_id
  role    = "roles/resourcemanager.projectIamAdmin"
  member  = "serviceAccount:${google_service_account.deployer.email}"

  condition {
    title      = "only-octues-role"
    expression = "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(['${local.octue_role}'])"
  }
}

# As whom Cloud Build builds, pushes, and updates the service after a push.

resource "google_service_account" "builder" {
  project      = var.project_id
  account_id   = "builder"
  display_name = "Builder of Octue services"

  depends_on = [google_project_service.this]
}

resource "google_project_iam_member" "builder" {
  for_each = toset(local.builder_roles)

  project = var.project_id
  role    = each.value
  member  = "serviceAccount:${google_service_account.builder.email}"
}

# What a service needs to answer questions.

resource "google_project_iam_custom_role" "octue_service" {
  count = var.octue_role == "" ? 1 : 0

  project     = var.project_id
  role_id     = "octue_service_user"
  title       = "octue-service-user"
  permissions = local.octue_service_permissions

  depends_on = [google_project_service.this]
}

# Eventarc's own account, which else is made by the first trigger, and is not ready then.

resource "google_project_service_identity" "eventarc" {
  provider = google-beta

  project = var.project_id
  service = "eventarc.googleapis.com"

  depends_on = [google_project_service.this]
}

resource "google_project_iam_member" "eventarc" {
  project = var.project_id
  role    = "roles/eventarc.serviceAgent"
  member  = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-eventarc.iam.gserviceaccount.com"

  depends_on = [google_project_service_identity.eventarc]
}

# Image repositories, where they are wanted before the first deployment. It adds labels of its own.

resource "google_artifact_registry_repository" "this" {
  for_each = var.services

  project       = var.project_id
  location      = var.region
  repository_id = each.value
  format        = "DOCKER"

  labels = {
    managed-by           = "octue-action"
    octue-service        = each.value
    github-repository-id = var.repository_id
  }

  depends_on = [google_project_service.this]
}
