"""``python -m emulator``: serve the local cloud until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from emulator.errors import ApiError
from emulator.latencies import RECORDED, Latencies
from emulator.server import Emulator
from emulator.services.resource_manager import OWNER
from emulator.world import WorldSettings

_STOP_SECONDS = 1.8

# How long the real ones took, one observation each, from the timestamps in public recordings of 2022 to 2024. That of
# an image repository was not recorded.
_REAL_SECONDS = {
    "artifact_registry create": 0.0,
    "cloud_build build": 36.0,
    "cloud_run create": 21.0,
    "cloud_run update": 17.0,
    "eventarc create": 4.0,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve, and give the exit code.

    :param arguments: of the command line, without the program's name.
    """
    options = _parser().parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with contextlib.ExitStack() as stack:
        state = options.state or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="emulator-")))
        try:
            settings = _settings(options, state)
        except (OSError, ValueError) as error:
            print(error, file=sys.stderr)
            return 2
        try:
            emulator = stack.enter_context(Emulator(settings, options.port))
        except OSError as error:
            why = os.strerror(error.errno or 0)
            print(
                f"Port {options.port} of 127.0.0.1 cannot be had: {why}. Without --port it is any free one.",
                file=sys.stderr,
            )
            return 2
        try:
            variables = _variables(emulator, options.ref)
        except ApiError as error:
            print(error.message, file=sys.stderr)
            return 2
        for name, value in variables.items():
            print(f"export {name}={shlex.quote(value)}")
        print(f"# The emulator is ready at {emulator.address}.", flush=True)
        stop.wait()
        _exit_at_latest(_STOP_SECONDS)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m emulator", description="A local Google Cloud and GitHub on one port.")
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; any free one by default")
    parser.add_argument("--project", default=WorldSettings.project_id, help="id of the project")
    parser.add_argument("--region", default=WorldSettings.region)
    parser.add_argument(
        "--repository",
        action="append",
        default=[],
        type=_named_path,
        metavar="OWNER/NAME=PATH",
        help="local git repository that stands for one on GitHub; the first is trusted to deploy",
    )
    parser.add_argument(
        "--new-project",
        action="store_true",
        help="begin as a project that nobody has set up: APIs are off, only the owner is there, whose token is shown",
    )
    parser.add_argument(
        "--ref", default="refs/heads/main", help="the ref of the workflow run whose variables are shown"
    )
    parser.add_argument(
        "--state", type=Path, metavar="DIR", help="for images, builds and logs; a temporary one by default"
    )
    parser.add_argument("--cache", type=Path, metavar="DIR", help="for built layers; in the state's by default")
    parser.add_argument(
        "--duration-factor",
        type=float,
        default=0.0,
        metavar="FACTOR",
        help="how slow operations are: 1 is as slow as the real cloud, 0 at once (the default)",
    )
    parser.add_argument(
        "--latencies",
        type=Path,
        nargs="?",
        const=RECORDED,
        metavar="FILE",
        help="let calls take the time that a file says, drawn anew for each; without FILE what was recorded of the "
        "real cloud. They take no time by default",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the latencies: with the same one each call takes the same time again"
    )
    parser.add_argument(
        "--hollow",
        action="store_true",
        help="for measuring: images are empty, nothing is built and nothing is started",
    )
    parser.add_argument(
        "--operation-seconds",
        action="append",
        default=[],
        type=_named_seconds,
        metavar="KIND=SECONDS",
        help=f"how long one kind of operation takes; kinds: {', '.join(_REAL_SECONDS)}",
    )
    return parser


def _named_path(text: str) -> tuple[str, Path]:
    name, separator, path = text.partition("=")
    if not separator or name.count("/") != 1 or not Path(path).is_dir():
        raise argparse.ArgumentTypeError(f"expected OWNER/NAME=PATH of a folder, got {text!r}")
    return name, Path(path).resolve()


def _named_seconds(text: str) -> tuple[str, float]:
    kind, _, seconds = text.partition("=")
    if kind not in _REAL_SECONDS:
        raise argparse.ArgumentTypeError(f"expected one of {', '.join(_REAL_SECONDS)}, got {kind!r}")
    return kind, float(seconds)


def _settings(options: argparse.Namespace, state: Path) -> WorldSettings:
    seconds = {kind: real * options.duration_factor for kind, real in _REAL_SECONDS.items()}
    return WorldSettings(
        state=state.resolve(),
        cache=(options.cache or state / "cache").resolve(),
        project_id=options.project,
        region=options.region,
        repositories=dict(options.repository),
        seconds=seconds | dict(options.operation_seconds),
        is_set_up=not options.new_project,
        hollow=options.hollow,
        latencies=Latencies.load(options.latencies, options.seed) if options.latencies else Latencies(),
    )


def _variables(emulator: Emulator, ref: str) -> Mapping[str, str]:
    world = emulator.world
    if world.settings.is_set_up:
        signing_in = {
            "INPUT_WORKLOAD_IDENTITY_PROVIDER": world.sts.provider.name,
            "INPUT_DEPLOYER_SERVICE_ACCOUNT": world.iam.deployer,
        }
    else:
        token = world.tokens.issue_access_token(OWNER)
        signing_in = {"CLOUDSDK_AUTH_ACCESS_TOKEN": token, "GOOGLE_OAUTH_ACCESS_TOKEN": token}
    return {
        "GOOGLE_CLOUD_EMULATOR_HOST": emulator.address,
        "PUBSUB_EMULATOR_HOST": emulator.address,
        "INPUT_PROJECT_ID": world.settings.project_id,
        "INPUT_REGION": world.settings.region,
        **signing_in,
        **world.github.start_run(ref=ref),
    }


def _exit_at_latest(seconds: float) -> None:
    """End the process after that time, whatever still hangs."""
    timer = threading.Timer(seconds, os._exit, (1,))
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # gRPC's pool threads would be waited for, and a call that nobody hears any more may hold one.
    os._exit(code)
