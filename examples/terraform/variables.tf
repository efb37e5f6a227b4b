# The options of `python -m octue_action.bootstrap`, with its checks. What is let through here stands in conditions of
# IAM, so no quote may be in it.

variable "project_id" {
  description = "The Google Cloud project's id."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "Expected: the project's id, such as my-project, and not its number."
  }
}

variable "repository" {
  description = "The GitHub repository that may deploy, owner/name. It is for people: what counts are the numbers."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", var.repository))
    error_message = "Expected: owner/name."
  }
}

variable "repository_id" {
  description = "GitHub's number of the repository, which survives renaming."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{1,20}$", var.repository_id))
    error_message = "Expected: a number. This tells it: gh api repos/OWNER/NAME --jq .id"
  }
}

variable "owner_id" {
  description = "GitHub's number of the repository's owner."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{1,20}$", var.owner_id))
    error_message = "Expected: a number. This tells it: gh api repos/OWNER/NAME --jq .owner.id"
  }
}

variable "region" {
  description = "Where its services will be, such as europe-west1."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]{1,2}$", var.region))
    error_message = "Expected: a region such as europe-west1, and not a zone."
  }
}

variable "branch" {
  description = "The branch from which it may deploy."
  type        = string
  default     = "main"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_./@+~#-]+$", var.branch))
    error_message = "Expected: a branch, of letters, digits and _ . / @ + ~ # -"
  }
}

variable "pull_requests" {
  description = "Whether pull requests of its own branches are let in, for previews and plans. Everybody who may push a branch may then act as the deployer."
  type        = bool
  default     = false
  nullable    = false
}

variable "destroys" {
  description = "Whether it may delete what it has made."
  type        = bool
  default     = true
  nullable    = false
}

variable "octue_role" {
  description = "Full name of a role for services that is there already. Where empty, one is made."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(((projects/([a-z0-9][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9]|organizations/[0-9]+)/)?roles/[A-Za-z0-9_.]{3,64})?$", var.octue_role))
    error_message = "Expected: projects/PROJECT/roles/ROLE, organizations/NUMBER/roles/ROLE or roles/ROLE. A role's id has no hyphens."
  }
}

variable "services" {
  description = "Cloud Run services whose image repositories are made already. A deployment makes its own where there is none."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for service in var.services : can(regex("^[a-z0-9]+(-[a-z0-9]+)*$", service))])
    error_message = "Expected: names of lower case letters, digits and single hyphens."
  }
}

variable "provider_id" {
  description = "The provider's name, where the usual one is taken: that of a deleted one is for 30 days."
  type        = string
  default     = "octue"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9-]{4,32}$", var.provider_id))
    error_message = "Expected: 4 to 32 lower case letters, digits and hyphens."
  }

  validation {
    condition     = !startswith(var.provider_id, "gcp-")
    error_message = "Google keeps names that begin with gcp- for itself."
  }
}

variable "deployer_id" {
  description = "The name of the account that workflows act as, where the usual one is taken."
  type        = string
  default     = "deployer"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.deployer_id))
    error_message = "Expected: 6 to 30 lower case letters, digits and hyphens."
  }

  validation {
    condition     = !contains(["builder", "service-user"], var.deployer_id)
    error_message = "The builder is called so, or the role of this account would be Octue's."
  }
}
