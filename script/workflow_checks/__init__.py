"""Finds in action.yml and workflow files what GitHub's language service, the schemas and zizmor let pass."""
