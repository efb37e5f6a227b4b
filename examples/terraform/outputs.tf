locals {
  octue_role_line = "\n    octue_role: ${var.octue_role}"
  last_line       = var.octue_role == "" ? "" : local.octue_role_line

  connect_url = "https://console.cloud.google.com/cloud-build/triggers;region=${var.region}/connect?project=${var.project_id}"

  step = "- uses: octue/deploy-cloud-run-action@v0\n  with:\n    workload_identity_provider: ${google_iam_workload_identity_pool_provider.octue.name}\n    deployer_service_account: ${google_service_account.deployer.email}\n    build_service_account: ${google_service_account.builder.email}${local.last_line}"
}

output "workload_identity_provider" {
  description = "Full name of the provider, for workflows."
  value       = google_iam_workload_identity_pool_provider.octue.name
}

output "deployer_service_account" {
  description = "E-mail of the account that workflows act as."
  value       = google_service_account.deployer.email
}

output "build_service_account" {
  description = "E-mail of the account that Cloud Build runs as."
  value       = google_service_account.builder.email
}

output "connect_url" {
  description = "The page on which a person connects the repository to Cloud Build."
  value       = local.connect_url
}

output "step" {
  description = "The step of a workflow, to paste."
  value       = local.step
}

output "what_is_left" {
  description = "What a person does next."
  value       = "Connect ${var.repository} to Cloud Build: ${local.connect_url} . Then paste the step into a workflow of ${var.repository}."
}
