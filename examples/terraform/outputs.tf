output "workload_identity_provider" {
  description = "Full name of the provider, for the workflow."
  value       = google_iam_workload_identity_pool_provider.octue.name
}

output "deployer_service_account" {
  description = "E-mail of the account that the workflow acts as."
  value       = google_service_account.deployer.email
}

output "build_service_account" {
  description = "E-mail of the account that Cloud Build runs as."
  value       = google_service_account.builder.email
}

output "connect_url" {
  description = "The page on which a person connects the repository to Cloud Build, once."
  value       = "https://console.cloud.google.com/cloud-build/triggers;region=${var.region}/connect?project=${var.project_id}"
}

output "step" {
  description = "The step of the workflow, to paste."
  value       = <<-EOT
    - uses: octue/deploy-cloud-run-action@v0
      with:
        workload_identity_provider: ${google_iam_workload_identity_pool_provider.octue.name}
        deployer_service_account: ${google_service_account.deployer.email}
        build_service_account: ${google_service_account.builder.email}
  EOT
}
