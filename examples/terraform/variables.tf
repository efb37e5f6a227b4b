variable "project_id" {
  description = "The project's id."
  type        = string
}

variable "repository" {
  description = "owner/name on GitHub, for people."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", var.repository))
    error_message = "Expected owner/name."
  }
}

variable "repository_id" {
  description = "GitHub's number of the repository, which survives renaming, and is never given to another one."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{1,20}$", var.repository_id))
    error_message = "Expected a number: gh api repos/OWNER/NAME --jq .id"
  }
}

variable "owner_id" {
  description = "GitHub's number of the repository's owner."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{1,20}$", var.owner_id))
    error_message = "Expected a number: gh api repos/OWNER/NAME --jq .owner.id"
  }
}

variable "region" {
  description = "Where its services will be, such as europe-west1."
  type        = string
}

variable "branch" {
  description = "From which it may deploy."
  type        = string
  default     = "main"

  validation {
    condition     = can(regex("^[A-Za-z0-9_./@+~#-]+$", var.branch))
    error_message = "Expected a branch without quotes and spaces: it stands in the condition as it is."
  }
}

variable "pull_requests" {
  description = "Whether pull requests of its own branches are let in, too, for previews and plans."
  type        = bool
  default     = false
}

variable "destroys" {
  description = "Whether it may delete what it has made."
  type        = bool
  default     = true
}

variable "octue_role" {
  description = "Full name of a role for services that is there already; where empty, one is made."
  type        = string
  default     = ""
}

variable "services" {
  description = "Cloud Run services whose image repositories are made already."
  type        = set(string)
  default     = []
}

variable "provider_id" {
  description = "The provider's name, of its own where several repositories share the project."
  type        = string
  default     = "octue"
}

variable "deployer_id" {
  description = "The name of the account that it acts as, the same."
  type        = string
  default     = "deployer"
}
