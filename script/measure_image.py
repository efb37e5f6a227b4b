"""Measures the action's image: how large it is over its base, what takes the room, and how soon it says something.

A run is one as GitHub's runner starts it, with the variables of a step in a job that lacks the permission
`id-token: write`: the action reads the example's octue.yaml, loads its libraries, says that it signs in, and ends
there, without a call of any server.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "wind-yield"
MARKS = ("<!-- measured: written by script/measure-image -->", "<!-- measured: end -->")

MOST_MB = 75.0
"""The most that the image may have over its base, in 10^6 bytes, as Docker counts."""
MOST_SECONDS = 0.6
"""The most that the first line of the log may come after the base image is done with ``python -c pass``."""

REST = "The rest"
GROUPS: Mapping[str, tuple[str, str]] = {
    "gRPC": (r"grpcio(-status)?", "how Google's APIs are called; nearly all of it is one compiled library"),
    "cryptography": (r"cryptography|cffi", "signs in with a service account's key; brings OpenSSL, compiled"),
    "Google's API clients": (r"google-cloud-.*|googleapis-.*|grpc-google-.*", "the messages and calls of seven APIs"),
    "Google's common libraries": (r"google-auth|google-api-core|proto-plus", "signing in, retries, errors"),
    "protobuf": (r"protobuf", "the messages on the wire"),
    "PyYAML": (r"pyyaml", "reads `octue.yaml`; brings LibYAML, compiled"),
    "jsonschema": (r"jsonschema.*|referencing|rpds-py|attrs", "checks `octue.yaml`"),
    "requests": (
        r"requests|urllib3|certifi|charset-normalizer|idna",
        "signs in over HTTP; brings the certificates of authorities",
    ),
    "PyGithub": (r"pygithub|pyjwt|pynacl", "shows runs on GitHub; brings libsodium, compiled, which it does not use"),
    "The action itself": (r"action", "sources and bytecode"),
}
"""What may be in the image: which distributions, as a pattern of their names, and what they are for."""

STEP = {
    "CI": "true",
    "GITHUB_ACTIONS": "true",
    "GITHUB_API_URL": "https://api.github.com",
    "GITHUB_EVENT_NAME": "push",
    "GITHUB_REF": "refs/heads/main",
    "GITHUB_REPOSITORY": "octue/wind-yield",
    "GITHUB_REPOSITORY_ID": "1",
    "GITHUB_REPOSITORY_OWNER_ID": "2",
    "GITHUB_RUN_ID": "3",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_SHA": "1" * 40,
    "GITHUB_WORKSPACE": "/github/workspace",
    "INPUT_DEPLOYER_SERVICE_ACCOUNT": "deployer@my-project.iam.gserviceaccount.com",
    "INPUT_WORKLOAD_IDENTITY_PROVIDER": "projects/1/locations/global/workloadIdentityPools/github/providers/github",
}
"""The variables that GitHub's runner gives to the container of a step."""


class Unmeasurable(Exception):
    """The action did not do what is measured."""


@dataclass(frozen=True)
class Spread:
    """How long several runs took.

    :param least: seconds, as the others.
    """

    least: float
    median: float
    most: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Spread:
        """The spread of these."""
        return cls(min(seconds), statistics.median(seconds), max(seconds))


@dataclass(frozen=True)
class Start:
    """How long the containers took, from ``docker run`` on.

    :param base: the base image, ``python -c pass``, to its end.
    :param first_line: the action, to the first line of its log.
    :param whole: the same run, to its end.
    """

    base: Spread
    first_line: Spread
    whole: Spread

    @property
    def first_line_later(self) -> float:
        """Seconds between the end of the base's run and the action's first line."""
        return self.first_line.median - self.base.median

    @property
    def whole_later(self) -> float:
        """Seconds between the ends of both."""
        return self.whole.median - self.base.median


@dataclass(frozen=True)
class Measured:
    """An image and its base.

    :param where: on what it was measured, as a sentence.
    :param base_bytes: the size of the base.
    :param image_bytes: the size of the image.
    :param contents: what is in the image and not in its base: bytes of each of ``GROUPS``.
    :param start: how long it takes.
    """

    where: str
    base_bytes: int
    image_bytes: int
    contents: Mapping[str, int]
    start: Start

    @property
    def over_base(self) -> int:
        """Bytes that the image has over its base."""
        return self.image_bytes - self.base_bytes

    @property
    def rest(self) -> int:
        """Bytes over the base that are of none of ``GROUPS``."""
        return self.over_base - sum(self.contents.values())

    @property
    def broken(self) -> list[str]:
        """The limits that do not hold."""
        megabytes, seconds = self.over_base / 1e6, self.start.first_line_later
        return [
            *([f"The image has {megabytes:.1f} MB over its base, more than {MOST_MB:g}."] * (megabytes > MOST_MB)),
            *([f"The first line comes {seconds:.2f} s later, more than {MOST_SECONDS:g}."] * (seconds > MOST_SECONDS)),
        ]


def as_json(measured: Measured) -> str:
    """All of it for programs: bytes and seconds."""
    start = measured.start
    return json.dumps(
        {
            "where": measured.where,
            "bytes": {
                "base": measured.base_bytes,
                "image": measured.image_bytes,
                "over_base": measured.over_base,
                "contents": {**measured.contents, REST: measured.rest},
            },
            "seconds": {
                "base": vars(start.base),
                "first_line": vars(start.first_line),
                "whole": vars(start.whole),
                "first_line_later": start.first_line_later,
                "whole_later": start.whole_later,
            },
            "broken": measured.broken,
        },
        indent=2,
    )


def as_markdown(measured: Measured) -> str:
    """All of it for people: a sentence and three tables."""
    start = measured.start
    contents = sorted(measured.contents.items(), key=lambda item: item[1], reverse=True)
    return "\n\n".join(
        [
            measured.where,
            _table(
                ("Size", "MB"),
                ("The base", _mb(measured.base_bytes)),
                ("The image", _mb(measured.image_bytes)),
                (f"**The image over the base**, at most {MOST_MB:g}", f"**{_mb(measured.over_base)}**"),
            ),
            _table(
                ("What takes it", "MB", "What for"),
                *((name, _mb(size), GROUPS[name][1]) for name, size in contents),
                (REST, _mb(measured.rest), "smaller libraries"),
            ),
            _table(
                ("Start", "Median, s", "Least to most, s"),
                ("The base, `docker run` of `python -c pass` to its end", *_seconds(start.base)),
                ("The image, `docker run` to the first line of its log", *_seconds(start.first_line)),
                ("The image, `docker run` to its end", *_seconds(start.whole)),
                (
                    f"**The first line later than the base**, at most {MOST_SECONDS:g}",
                    f"**{start.first_line_later:.2f}**",
                    "",
                ),
                ("The end later than the base", f"{start.whole_later:.2f}", ""),
            ),
        ]
    )


def _table(head: tuple[str, ...], *rows: tuple[str, ...]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f}"


def _seconds(spread: Spread) -> tuple[str, str]:
    return f"{spread.median:.2f}", f"{spread.least:.2f} to {spread.most:.2f}"


def measure(runs: int) -> Measured:
    """Build the image and measure it.

    :param runs: how often each container is run; those of base and image take turns.
    :raises Unmeasurable: where the action does not get as far as signing in.
    """
    base = base_image()
    with built(base) as image:
        return Measured(
            where=_where(base, _declared_base(), runs),
            base_bytes=_size(base),
            image_bytes=_size(image),
            contents=grouped(_installed(image)),
            start=_start(base, image, runs),
        )


def base_image() -> str:
    """What the image is built on: the Dockerfile's base, or what stands in for it."""
    return os.environ.get("ACTION_BASE_IMAGE") or _declared_base()


def _declared_base() -> str:
    declared = re.search(r"^ARG BASE_IMAGE=(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert declared is not None  # noqa: S101 - the Dockerfile is beside this file
    return declared[1]


@contextlib.contextmanager
def built(base: str) -> Iterator[str]:
    """The name of the image, while it is there; its layers stay with the engine, which builds it sooner then."""
    if subprocess.run(["docker", "image", "inspect", base], capture_output=True, check=False).returncode:
        _docker("pull", "--quiet", base)  # a build alone would keep it where it cannot be looked at
    image = f"octue-action:measured-{os.getpid()}"
    print("Building the image ...", file=sys.stderr)
    _docker("build", "--quiet", "--tag", image, "--build-arg", f"BASE_IMAGE={base}", str(ROOT))
    try:
        yield image
    finally:
        _docker("image", "rm", image)


def _size(image: str) -> int:
    return int(_docker("image", "inspect", "--format", "{{.Size}}", image))


def _installed(image: str) -> dict[str, int]:
    """The bytes of each distribution in the image, by its name, and of the action."""
    program = (ROOT / "script" / "installed_sizes.py").read_text()
    command = ("run", "--rm", "--interactive", "--entrypoint", "/usr/local/bin/python", image, "-E", "-s", "-")
    found: dict[str, int] = json.loads(_docker(*command, given=program))
    return found


def grouped(installed: Mapping[str, int]) -> dict[str, int]:
    """The bytes of each of ``GROUPS``.

    :param installed: bytes by the name of a distribution, with ``action`` among them.
    """
    return {
        group: sum(size for name, size in installed.items() if re.fullmatch(names, name, re.IGNORECASE))
        for group, (names, _) in GROUPS.items()
    }


def _where(base: str, declared: str, runs: int) -> str:
    cores = _docker("info", "--format", "{{.NCPU}}")
    engine = _docker("version", "--format", "{{.Server.Version}}")
    look = "import platform as p; print(f\"{p.freedesktop_os_release()['PRETTY_NAME']}, Python {p.python_version()}\")"
    base_is = _docker("run", "--rm", base, "python", "-c", look)
    stand_in = f",\nwhich stands in for `{declared}`" if base != declared else ""
    return (
        f"Measured on {cores} cores with Docker {engine}, {runs} runs of each container in turn.\n"
        f"The base is `{base}` ({base_is}){stand_in}."
    )


def _start(base: str, image: str, runs: int) -> Start:
    print("Starting containers ...", file=sys.stderr)
    run_base(base)  # once before it counts, so that the files have been read
    _run_image(image)
    turns = [(run_base(base), *_run_image(image)) for _ in range(runs)]
    return Start(*(Spread.of(seconds) for seconds in zip(*turns, strict=True)))


def run_base(base: str) -> float:
    """Seconds to the end of ``python -c pass``."""
    start = time.perf_counter()
    _docker("run", "--rm", base, "python", "-c", "pass")
    return time.perf_counter() - start


def _run_image(image: str) -> tuple[float, float]:
    """Seconds to the first line of the action's log, and to its end.

    :raises Unmeasurable: where the action ends otherwise than for want of a token.
    """
    workspace = STEP["GITHUB_WORKSPACE"]
    command = ["docker", "run", "--rm", "--workdir", workspace, "--volume", f"{EXAMPLE}:{workspace}:ro"]
    variables = [word for name, value in STEP.items() for word in ("--env", f"{name}={value}")]
    start = time.perf_counter()
    with subprocess.Popen([*command, *variables, image], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - asked for above
        line = process.stdout.readline()
        first_line = time.perf_counter() - start
        log = line + process.stdout.read()
    whole = time.perf_counter() - start
    if not line.startswith("::group::Sign in") or "id-token: write" not in log:
        raise Unmeasurable(f"The action ended with {process.returncode}, and said otherwise than expected:\n{log}")
    return first_line, whole


def _docker(*words: str, given: str | None = None) -> str:
    """What a command of Docker prints.

    :param given: its standard input.
    """
    done = subprocess.run(["docker", *words], input=given, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


def rewritten(page: str, measured: Measured) -> str:
    """A page with these figures between its marks.

    :raises Unmeasurable: where the marks are not there.
    """
    before, begin, inside = page.partition(MARKS[0])
    _, end, after = inside.partition(MARKS[1])
    if not (begin and end):
        raise Unmeasurable(f"The page has no place for the figures: {' and '.join(MARKS)}")
    return f"{before}{begin}\n\n{as_markdown(measured)}\n\n{end}{after}"


def main() -> int:
    """Measure, and tell; 1 where a limit is broken, 2 where nothing could be measured."""
    parser = argparse.ArgumentParser(prog="script/measure-image", description="Measures the action's image.")
    parser.add_argument("--runs", type=int, default=11, help="how often each container is run (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON, in bytes and seconds")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the figures into a page, docs/image.md")
    given = parser.parse_args()
    try:
        measured = measure(given.runs)
        if given.write:
            given.write.write_text(rewritten(given.write.read_text(), measured))
    except (Unmeasurable, subprocess.CalledProcessError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(as_json(measured) if given.json else as_markdown(measured))
    for limit in measured.broken:
        print(limit, file=sys.stderr)
    return 1 if measured.broken else 0


if __name__ == "__main__":
    sys.exit(main())
