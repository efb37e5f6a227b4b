"""Paths that somebody wrote, kept inside the checked-out repository whatever they and its symbolic links say."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath

from octue_action.problems import Rejected

_EXPECTED = "a path inside the repository, such as {example}"
_CHECKOUT = " Is it committed, and the repository checked out (actions/checkout) in a step before this one?"


class Missing(Rejected):
    """There is no file of that name."""


def relative(workspace: Path, text: str, example: str) -> str:
    """A path as it stands in the repository, with ``/`` and without ``.``.

    :param text: the path as it was written
    :param example: a good path, for the message
    :raises Rejected: when the path leads out of the workspace, by itself or through a symbolic link
    """
    expected = _EXPECTED.format(example=example)
    if not text.isprintable() or "\\" in text or "$" in text:  # Cloud Build puts values in the place of $NAMES
        raise Rejected("it has a character that does not belong in a path", expected)
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts:
        raise Rejected("it leads out of the repository", expected)
    if str(path).startswith("-"):
        raise Rejected("it begins like an option of a command", expected)
    try:
        root = workspace.resolve()
        resolved = (root / path).resolve()
    except (OSError, RuntimeError):  # a link to itself, or a name too long
        raise Rejected("it cannot be followed", expected) from None
    if not resolved.is_relative_to(root):
        raise Rejected("a symbolic link in it leads out of the repository", expected)
    return str(path)


def existing_file(workspace: Path, text: str, example: str) -> str:
    """A path like ``relative`` gives it, to a regular file that is there.

    :raises Missing: when there is none
    :raises Rejected: when it is something else, or outside
    """
    path = relative(workspace, text, example)
    expected = _EXPECTED.format(example=example)
    try:
        mode = (workspace / path).stat().st_mode
    except FileNotFoundError:
        raise Missing("there is no such file", expected, _CHECKOUT) from None
    except OSError:
        raise Rejected("it cannot be read", expected) from None
    if not stat.S_ISREG(mode):
        raise Rejected("it is not a regular file", expected)
    return path


def read(workspace: Path, path: str, maximum: int) -> bytes:
    """The content of a file, one byte more than the maximum at most.

    :param path: one that ``existing_file`` gave
    :raises Rejected: when it cannot be read, or has become something else than a regular file
    """
    try:
        # Without O_NONBLOCK, opening a pipe put in the file's place would wait for ever.
        descriptor = os.open(workspace / path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Rejected("it is not a regular file")
            return file.read(maximum + 1)
    except OSError:
        raise Rejected("it cannot be read") from None
