"""Deploys Octue services to Google Cloud Run, as one step of a GitHub workflow.

The pipeline, in order: ``settings`` (inputs and octue.yaml, every problem at once) -> ``auth`` (GitHub's token for
Google's) -> ``deployment`` (the resources that should exist) -> ``plan`` (what exists, and what differs) -> ``apply``
(change the difference) -> ``question`` (ask the service) -> ``report``, ``outputs`` and ``runner`` (summary, outputs,
log). ``main`` runs it, and ``modes`` says which part of it each mode takes; each kind of resource is one module of
``resources``; ``google`` is the only door to Google Cloud, ``github`` the only one to GitHub's API.
"""
