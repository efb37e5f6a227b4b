"""Takes out of an installation what the action never uses, while its image is built: less to pull on every run.

    python prune.py ROOT    ROOT: where pip has installed to, with --root

What is named here and is not there ends the build: a new version of a library may have moved it. That nothing is taken
that is needed, the tests of the image see to.
"""

import importlib.metadata
import shutil
import sys
from pathlib import Path

DISTRIBUTIONS = {
    "opentelemetry-sdk": "Pub/Sub's client could trace its calls with it, which the action does not",
    "opentelemetry-semantic-conventions": "the same",
    "pyasn1": "google-auth uses it where there is no cryptography",
    "pyasn1-modules": "the same",
    "pycparser": "cffi reads C with it, when something is compiled",
}

PATTERNS = {
    "google/cloud/artifactregistry": "Google's libraries bring every version of an API: others than the action uses",
    "google/cloud/artifactregistry_v1beta2": "the same",
    "google/cloud/devtools/cloudbuild": "the same",
    "google/cloud/devtools/cloudbuild_v2": "the same",
    "google/cloud/iam": "the same",
    "google/cloud/iam_credentials": "the same",
    "google/cloud/iam_credentials_v1": "the same",
    "google/cloud/iam_v*": "the same",
    "google/cloud/logging": "the same",
    "google/cloud/service_usage": "the same",
    "google/cloud/pubsub": "the layer for those who publish and subscribe: the action manages topics, below it",
    "google/cloud/pubsub_v1": "the same",
    "google/api_core/resumable_transfer": "uploads to Cloud Storage",
    "grpc/beta": "an interface from before gRPC 1.0",
    "jsonschema/benchmarks": "measurements of the library itself",
    "jsonschema/tests": "tests of the library itself",
    "referencing/tests": "the same",
    "tests": "tests of actions-toolkit itself",
    "**/*.proto": "sources from which the libraries were made",
    "**/*.pyi": "types, for checkers",
}


def prune(packages: Path) -> None:
    """Take out of a folder of installed packages what is named above.

    :raises LookupError: where something of it is not there.
    """
    for name in DISTRIBUTIONS:
        (distribution,) = importlib.metadata.distributions(name=name, path=[str(packages)])
        for file in distribution.files or ():
            Path(str(file.locate())).unlink(missing_ok=True)
    for pattern in PATTERNS:
        found = sorted(packages.glob(pattern))
        if not found:
            raise LookupError(f"{packages} has no {pattern}")
        for path in found:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for folder in sorted((path for path in packages.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


if __name__ == "__main__":
    (folder,) = Path(sys.argv[1]).rglob("*-packages")
    prune(folder)
