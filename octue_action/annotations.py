"""Failures and problems as annotations of the workflow run: what happened, why, and what to do."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from octue_action.cancellation import Cancellation
    from octue_action.failure import Failure
    from octue_action.problems import Problem
    from octue_action.runner import Runner


GOES_ON = "What Google Cloud has begun goes on there. Run the job again: it finishes the rest."


def annotate(failure: Failure, title: str, runner: Runner) -> None:
    """Annotate the run with a failure; for who debugs, log where it comes from."""
    runner.error(_with_remedy(failure), title=title)
    if failure.__cause__ is not None:
        runner.debug(_trace(failure.__cause__))


def annotate_problem(problem: Problem, runner: Runner) -> None:
    """Annotate the run with what is wrong with its settings, on the line where it stands."""
    runner.error(told(problem), title=problem.title, file=problem.file, line=problem.line, column=problem.column)


def annotate_ended(what: str, runner: Runner, cancellation: Cancellation) -> None:
    """Annotate a run that ended before its time.

    :param what: was done until then.
    """
    message = f"The run {cancellation.ended}. {what}"
    if cancellation.too_long:
        runner.error(f"{message} Where it needs more time, raise `timeout_minutes`.", title="Took too long")
    else:
        runner.warning(message, title="Cancelled")


def warn(failure: Failure, title: str, runner: Runner) -> None:
    """Annotate the run with what is missing in an otherwise good end."""
    runner.warning(_with_remedy(failure), title=title)


def told(problem: Problem) -> str:
    """A problem in words."""
    return f"{_said(problem)}\nWhat to do:\n{problem.remedy}" if problem.remedy else _said(problem)


def placed(problem: Problem) -> str:
    """A problem in words, with the place where it stands; without its remedy."""
    return f"{problem.file}, line {problem.line}: {_said(problem)}" if problem.file else _said(problem)


def _said(problem: Problem) -> str:
    return f"{problem.message} Expected: {problem.expected}." if problem.expected else problem.message


def _trace(error: BaseException | None) -> str:
    """Where an error comes from, and what it says; of one of Google's not the details, which hold the whole answer."""
    text = ""
    while error is not None:
        message = getattr(error, "message", None)
        text += "".join(traceback.format_tb(error.__traceback__)) + f"{type(error).__name__}: {message or error}\n"
        error = error.__cause__ if message is None else None  # beneath is what gRPC noted of the answer
    return text


def _with_remedy(failure: Failure) -> str:
    return f"{failure.message}\nWhat to do:\n{failure.remedy}" if failure.remedy else failure.message
