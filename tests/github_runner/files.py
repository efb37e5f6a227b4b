"""The files that a step writes for the runner, as it reads them afterwards: ``FileCommandManager.cs``.

Each is read when the step has ended, also when it failed or was cancelled. What stands before a malformed place counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.github_runner.commands import Log, split_lines
from tests.github_runner.errors import MalformedFileError, NotModelled

OUTPUTS_SIZE = 1024 * 1024
SUMMARY_SIZE = 1024 * 1024
NOT_SETTABLE = "NODE_OPTIONS"


def pairs(content: bytes) -> Iterator[tuple[str, str]]:
    """The names and values in a file, ``name=value`` or ``name<<delimiter``, in their order.

    :raises MalformedFileError: at the first place that is neither, once what stands before it is given.
    """
    text = _decode(content)
    position = 0
    while position < len(text):
        line, position, _ = _read_line(text, position)
        if not line:
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if equals >= 0 and (heredoc < 0 or equals < heredoc):
            name, _, value = line.partition("=")
        elif heredoc >= 0:
            name, _, delimiter = line.partition("<<")
            if not name or not delimiter:
                raise MalformedFileError(
                    f"Invalid format '{line}'. Name must not be empty and delimiter must not be empty"
                )
            value, position = _read_heredoc(text, position, delimiter)
        else:
            raise MalformedFileError(f"Invalid format '{line}'")
        yield name, value


def read_outputs(content: bytes, log: Log | None = None) -> dict[str, str]:
    """The outputs in a file ``GITHUB_OUTPUT``, as the next step gets them.

    :param log: the step's log; where given, an output with something masked in it is dropped, as it is on the way to
        another job
    :raises MalformedFileError: as the runner does
    :raises NotModelled: for more than the 1 MB that a job's outputs may have
    """
    outputs: dict[str, str] = {}
    for name, value in pairs(content):
        set_output(outputs, name, value)
    _check_size(outputs)
    return {name: value for name, value in outputs.items() if log is None or log.mask(value) == value}


def set_output(outputs: dict[str, str], name: str, value: str) -> None:
    """Set an output of a step: names differ in more than case, the first one's case stays (``StepsContext.cs``).

    :raises MalformedFileError: for an empty name.
    """
    if not name:
        raise MalformedFileError("Value cannot be null. (Parameter 'name')")
    same = next((earlier for earlier in outputs if earlier.lower() == name.lower()), name)
    outputs[same] = value


def job_outputs(outputs: Mapping[str, str], log: Log) -> dict[str, str]:
    """The outputs as another job gets them, where the job hands each one on under its own name.

    An empty one is left out and so is one with a secret in it (``JobExtension.FinalizeJob``).

    :raises NotModelled: where they are over the 1 MB that GitHub documents; what happens then it does not say.
    """
    _check_size(outputs)
    return {name: value for name, value in outputs.items() if value and log.mask(value) == value}


def read_path(content: bytes) -> list[str]:
    """The folders in a file ``GITHUB_PATH``, the last one wins; of the same twice the later stays."""
    folders: list[str] = []
    for line in filter(None, split_lines(_decode(content))):
        folders = [folder for folder in folders if folder != line] + [line]
    return folders


def read_summary(content: bytes) -> str | None:
    """The summary in a file ``GITHUB_STEP_SUMMARY``, or None where it is too large to be shown."""
    return _decode(content) if len(content) <= SUMMARY_SIZE else None


def shown_summary(content: bytes, log: Log) -> str | None:
    """The summary as GitHub shows it, None where there is none; a dropped one is an error in the log.

    The runner masks it line by line and ends each with LF. The step stays as it was.
    """
    summary = read_summary(content)
    if summary is None:
        size = f"supports content up to a size of {SUMMARY_SIZE // 1024}k, got {len(content) // 1024}k"
        log.error(f"$GITHUB_STEP_SUMMARY upload aborted, {size}.")
        return None
    return "".join(f"{log.mask(line)}\n" for line in split_lines(summary)) or None


def _check_size(outputs: Mapping[str, str]) -> None:
    if sum(len((name + value).encode("utf-16-le")) for name, value in outputs.items()) > OUTPUTS_SIZE:
        raise NotModelled("outputs over 1 MB")


def _decode(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")):
        raise NotModelled("a file that is not UTF-8")
    return content.decode("utf-8-sig", "replace")


def _read_line(text: str, position: int) -> tuple[str, int, bool]:
    """The line at a position, where the next one begins, and whether LF ended it."""
    end = text.find("\n", position)
    return (text[position:], len(text), False) if end < 0 else (text[position:end], end + 1, True)


def _read_heredoc(text: str, position: int, delimiter: str) -> tuple[str, int]:
    start = end = position
    while position < len(text):
        line, position, ended = _read_line(text, position)
        if line == delimiter:
            return text[start:end], position
        if not ended:
            raise MalformedFileError("Invalid value. EOF marker missing new line.")
        end = position - 1
    raise MalformedFileError(f"Invalid value. Matching delimiter not found '{delimiter}'")
