"""What can be asked for on the command line: ``script/release --help``."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from script.releasing import checkout, github, image, sbom
from script.releasing.shell import Refusal, Shell
from script.releasing.version import Version

_Run = Callable[[Shell, argparse.Namespace], None]


def check(shell: Shell, given: argparse.Namespace) -> None:
    """Say what stands against releasing this checkout; without a version, what does not hold together in it."""
    checkout.check(shell, Version.of(given.version) if given.version else None)


def notes(shell: Shell, given: argparse.Namespace) -> None:
    """Print what the changelog says of a version."""
    print(checkout.notes(shell.root, Version.of(given.version)))


def build(shell: Shell, given: argparse.Namespace) -> None:
    """Build the image, save it in a folder, and print its name."""
    print(image.build(shell, Version.of(given.version), Path(given.folder), given.base_image))


def bill(shell: Shell, given: argparse.Namespace) -> None:
    """Write what is in an image to a file. Needs script/environment --sbom."""
    sbom.sbom(shell, given.image, Path(given.file))


def push(shell: Shell, given: argparse.Namespace) -> None:
    """Push the saved images and one index of them."""
    image.push(shell, Version.of(given.version), Path(given.folder))


def public(shell: Shell, given: argparse.Namespace) -> None:
    """See that everyone can pull the image."""
    image.see_that_it_is_public(shell, given.digest)


def tag(shell: Shell, given: argparse.Namespace) -> None:
    """Make the release commit and push its tag."""
    github.tag(shell, Version.of(given.version), given.digest)


def publish(shell: Shell, given: argparse.Namespace) -> None:
    """Make the release on GitHub, with files."""
    github.publish(shell, Version.of(given.version), given.files)


def major(shell: Shell, given: argparse.Namespace) -> None:
    """Move the tag of the major version to a release."""
    github.move_major(shell, Version.of(given.version))


def base(shell: Shell, _: argparse.Namespace) -> None:
    """See that the base image is the newest of its tag."""
    image.see_that_the_base_is_new(shell)


def arguments() -> argparse.ArgumentParser:
    """The commands, and what each is given."""
    parser = argparse.ArgumentParser(prog="script/release", description="Makes a release of the action, step by step.")
    parser.set_defaults(dry_run=False)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, run: _Run, *positional: str, changes: bool = False) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=run.__doc__, description=run.__doc__)
        added.set_defaults(run=run)
        for argument in positional:
            added.add_argument(argument)
        if changes:
            added.add_argument("--dry-run", action="store_true", help="print what would be changed, and change nothing")
        return added

    command("check", check).add_argument("version", nargs="?")
    command("notes", notes, "version")
    command("build", build, "version", "folder").add_argument("--base-image", help="instead of the Dockerfile's")
    command("sbom", bill, "image", "file")
    command("push", push, "version", "folder", changes=True)
    command("public", public, "digest")
    command("tag", tag, "version", "digest", changes=True)
    command("publish", publish, "version", changes=True).add_argument("files", nargs="*")
    command("major", major, "version", changes=True)
    command("base", base)
    return parser


def main(words: list[str]) -> int:
    """Do what was asked for in the current folder, a checkout; 1 where something stands against it."""
    given = arguments().parse_args(words)
    try:
        given.run(Shell(Path.cwd(), dry_run=given.dry_run), given)
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
    except subprocess.CalledProcessError as error:
        print(f"Failed with {error.returncode}: {shlex.join(str(word) for word in error.cmd)}", file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
