"""Why the runner would not go on, and where this one would have to guess."""

from __future__ import annotations


class NotModelled(Exception):
    """GitHub's runner has an answer to this and this harness does not: nothing can be concluded from the run."""


class Refused(Exception):
    """The runner does not accept an ``action.yml``, or GitHub a workflow, so that nothing of it starts."""


class MalformedFileError(Exception):
    """A file the runner cannot read: it fails the step, whatever its exit code."""


class BuildFailed(Exception):
    """The action's image could not be built or pulled, so that the step fails before it starts.

    :param output: what the Docker client wrote.
    """

    def __init__(self, message: str, output: str) -> None:
        super().__init__(f"{message}\n{output}")
        self.output = output
