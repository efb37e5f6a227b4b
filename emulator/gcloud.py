"""The ``gcloud`` of the emulator's build steps: two commands, and a plain refusal of everything else.

It stands first on the path of steps that run in Cloud SDK images, and talks to the emulator over HTTP as the real one
talks to Google. Only the standard library is imported: every step starts it anew.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any, NoReturn

BASE_URL_VARIABLE = "EMULATOR_BASE_URL"
TOKEN_VARIABLE = "CLOUDSDK_AUTH_ACCESS_TOKEN"  # noqa: S105 - the name of a variable, which gcloud has too
PROJECT_VARIABLE = "CLOUDSDK_CORE_PROJECT"

_POLL_SECONDS = 0.05
_NOT_FOUND = 404
_FORMATS = {
    "none": "",
    "value(metadata.name)": "{name}",
    "value(status.url)": "{uri}",
    "value(spec.template.spec.containers[0].image)": "{image}",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        _fail(
            "gcloud",
            f"{message}. The emulator's gcloud knows 'run services describe NAME --region R' and "
            "'run services update NAME --image I --region R', with --project, --quiet and, for describe, --format "
            f"as one of {', '.join(_FORMATS)}.",
        )


def main(arguments: Sequence[str]) -> None:
    """Run one command.

    :param arguments: the words after ``gcloud``.
    :raises SystemExit: 1 where the command failed.
    """
    parser = _Parser(prog="gcloud", allow_abbrev=False, add_help=False)
    group = parser.add_subparsers(required=True, dest="group").add_parser("run", add_help=False, allow_abbrev=False)
    resource = group.add_subparsers(required=True, dest="resource").add_parser(
        "services", add_help=False, allow_abbrev=False
    )
    commands = resource.add_subparsers(required=True, dest="command")
    describe = commands.add_parser("describe", add_help=False, allow_abbrev=False)
    describe.add_argument("--format", choices=_FORMATS, default="value(status.url)")
    update = commands.add_parser("update", add_help=False, allow_abbrev=False)
    update.add_argument("--image", required=True)
    for command in (describe, update):
        command.add_argument("name")
        command.add_argument("--region", required=True)
        command.add_argument("--project", default=os.environ.get(PROJECT_VARIABLE, ""))
        command.add_argument("--quiet", "-q", action="store_true")
    options = parser.parse_args(arguments)
    name = f"projects/{options.project}/locations/{options.region}/services/{options.name}"
    if options.command == "describe":
        _describe(name, options.format)
    else:
        _update(name, options.image)


def _describe(name: str, output_format: str) -> None:
    service = _call("GET", name)
    if service is None:
        _fail("gcloud.run.services.describe", f"Cannot find service [{_short(name)}]")
    image = service["template"]["containers"][0]["image"]
    text = _FORMATS[output_format].format(name=_short(name), uri=service.get("uri", ""), image=image)
    if text:
        print(text)


def _update(name: str, image: str) -> None:
    service = _call("GET", name)
    if service is None:
        _fail("gcloud.run.services.update", f"Service [{_short(name)}] could not be found.")
    service["template"]["containers"][0]["image"] = image
    service["template"].pop("revision", None)
    operation = _call("PATCH", name, service) or {}
    while not operation.get("done"):
        time.sleep(_POLL_SECONDS)
        operation = _call("GET", operation["name"]) or {}
    if "error" in operation:
        _fail("gcloud.run.services.update", operation["error"]["message"])
    updated = operation["response"]
    revision = _short(updated["latestReadyRevision"])
    print(f"Service [{_short(name)}] revision [{revision}] has been deployed and is serving 100 percent of traffic.")
    print(f"Service URL: {updated['uri']}")


def _call(method: str, name: str, body: Any = None) -> dict[str, Any] | None:
    """One request to the emulator's Cloud Run; ``None`` for what is not there."""
    # The address is the emulator's own, which it puts into the environment of its build steps.
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{os.environ[BASE_URL_VARIABLE]}/run.googleapis.com/v2/{name}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {os.environ[TOKEN_VARIABLE]}", "Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
    except urllib.error.HTTPError as error:
        if error.code == _NOT_FOUND:
            return None
        message = json.load(error).get("error", {}).get("message", error.reason)
        _fail("gcloud.run.services", message)


def _short(name: str) -> str:
    return name.rpartition("/")[2]


def _fail(command: str, message: str) -> NoReturn:
    print(f"ERROR: ({command}) {message}", file=sys.stderr)
    raise SystemExit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
