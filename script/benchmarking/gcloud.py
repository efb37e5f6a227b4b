"""The same job by hand: the commands of gcloud that make what the action makes, one after the other.

Those for Cloud Run itself, ``run deploy`` and ``run services add-iam-policy-binding``, call version 1 of its API, which
the emulator does not have: the service is made for them, and its time is not counted. So gcloud is measured too short.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from script.benchmarking.cloud import REPOSITORY, Cloud, Unmeasurable, cloud, run
from script.local_cloud import ESSENTIALS

NOTE = (
    "gcloud is measured too short: of its nine commands the two for Cloud Run call version 1 of its API, which the "
    "emulator does not have, and the service is made for them at no cost."
)

_APIS = ("artifactregistry", "cloudbuild", "cloudresourcemanager", "eventarc", "iam", "pubsub", "run", "serviceusage")
_OWNER, _, _REPOSITORY = REPOSITORY.partition("/")
_PROJECT, _REGION, _NAME, _TOPIC = "my-project", "europe-west1", "wind-yield", "octue.services.1"
_IMAGE = f"{_REGION}-docker.pkg.dev/{_PROJECT}/{_NAME}/{_NAME}"
_ACCOUNT = f"{_NAME}@{_PROJECT}.iam.gserviceaccount.com"

BEFORE = f"""\
iam service-accounts create {_NAME}

projects add-iam-policy-binding {_PROJECT} --member=serviceAccount:{_ACCOUNT} --condition=None
  --role=projects/{_PROJECT}/roles/octue_service_user

artifacts repositories create {_NAME} --repository-format=docker --location={_REGION}

builds triggers create github --name={_NAME} --region={_REGION} --repo-owner={_OWNER} --repo-name={_REPOSITORY}
  --branch-pattern=^main$ --dockerfile=Dockerfile --dockerfile-image={_IMAGE}:$COMMIT_SHA

builds triggers run {_NAME} --region={_REGION} --branch=main

pubsub topics create {_TOPIC}
"""
AFTER = f"""\
eventarc triggers create {_NAME} --location={_REGION} --destination-run-service={_NAME}
  --destination-run-region={_REGION} --event-filters=type=google.cloud.pubsub.topic.v1.messagePublished
  --transport-topic=projects/{_PROJECT}/topics/{_TOPIC} --service-account={_ACCOUNT}
"""
"""What comes before the service and after it, each without the word ``gcloud``."""


def measure(program: str, folder: Path) -> float:
    """Seconds of the commands together, in a cloud that answers at once.

    :param program: gcloud.
    :param folder: an empty one.
    :raises Unmeasurable: where a command fails.
    """
    with cloud(folder, 1, latencies=False, seed=0) as made:
        environment = _environment(made, folder)
        seconds = sum(_seconds(program, BEFORE, environment, folder))
        _make_service(made)
        return seconds + sum(_seconds(program, AFTER, environment, folder))


def _environment(made: Cloud, folder: Path) -> dict[str, str]:
    endpoints = {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api.upper()}": f"{made.url}/{api}.googleapis.com/" for api in _APIS}
    return {
        **ESSENTIALS,
        **endpoints,
        "CLOUDSDK_CONFIG": str(folder / "configuration"),
        "CLOUDSDK_AUTH_ACCESS_TOKEN": made.owners_token,
        "CLOUDSDK_CORE_PROJECT": _PROJECT,
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
    }


def _seconds(program: str, commands: str, environment: dict[str, str], folder: Path) -> Iterator[float]:
    for command in commands.split("\n\n"):
        done = run([program, *command.split()], environment, folder)
        if done.code:
            raise Unmeasurable(f"gcloud {command} ended with {done.code}:\n{done.output}")
        yield done.seconds


def _make_service(made: Cloud) -> None:
    commit = made.git("rev-parse", "HEAD")
    template = {"containers": [{"image": f"{_IMAGE}:{commit}"}], "serviceAccount": _ACCOUNT}
    path = f"run.googleapis.com/v2/projects/{_PROJECT}/locations/{_REGION}/services?serviceId={_NAME}"
    made.ask(path, {"template": template}, made.owners_token)
