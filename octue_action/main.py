"""One run, from the environment to the exit code: settings, signing in, and the mode that does the rest.

What is imported here is what signing in takes; the rest is imported while the token is being fetched.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TextIO

from octue_action.annotations import GOES_ON, annotate, annotate_ended, annotate_problem, placed, told
from octue_action.cancellation import Cancellation, Cancelled
from octue_action.failure import Failure, fault
from octue_action.problems import InvalidSettings, Problem
from octue_action.redaction import is_token
from octue_action.runner import OutputsNotWritten, Runner
from octue_action.settings import Settings, load
from octue_action.values import MODES

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

    from octue_action.google import Google
    from octue_action.logs import Log, LogSource

FAILURE, BAD_INPUTS = 1, 2

MOST_LOGS = 10
"""Logs that one run reads: a project may ask for entries 60 times in a minute, and one log takes some readings."""

_NO_ROOM = "See whether the runner's disk is full. Then run the job again: it goes on from what is there."

_NOTHING = "Nothing was changed."

_VERSION = "GITHUB_ACTION_REF"
"""The variable that says which version of this action the workflow names."""


def main(
    environment: Mapping[str, str], stream: TextIO | None = None, *, cancellation: Cancellation | None = None
) -> int:
    """Run the action once.

    :param environment: inputs and GitHub's variables, as the runner gives them.
    :param stream: the log; the process's standard output where none is given.
    :param cancellation: ends the run before its time.
    :returns: 0 when all is as it should be, 1 when something failed or took too long, 2 when the inputs cannot be used,
        128 and the signal's number when the run was cancelled.
    """
    runner = Runner(environment, stream)
    cancellation = cancellation or Cancellation()
    start = cancellation.now()
    cancellation.tell = lambda: _tell_ended(_NOTHING, runner, cancellation)
    try:
        settings = load(environment, cancellation.check)
        cancellation.tell = lambda: _tell_ended(f"What was done is in the log. {GOES_ON}", runner, cancellation)
        cancellation.limit(settings.timeout_minutes * 60.0)
        return _run(settings, runner, cancellation, start, environment.get(_VERSION, ""))
    except Cancelled:
        _tell_ended(_NOTHING, runner, cancellation)
        return cancellation.exit_code
    except InvalidSettings as invalid:
        return _report_problems(invalid.problems, runner)
    except Failure as failure:
        return _report_failures("Nothing was changed", [failure], runner)
    except OutputsNotWritten as error:
        not_written = Failure(f"{error}\nWhat was done is in the log, and stands.", _NO_ROOM)
        return _report_failures("The outputs were not written", [not_written], runner)
    except Exception as error:  # noqa: BLE001 - a fault of our own must still end in words that help
        given = environment.get("INPUT_MODE", "")
        mode = given if given in MODES else ""
        return _report_failures("Fault of the action", [fault(error, environment.get(_VERSION, ""), mode)], runner)
    finally:
        cancellation.tell = lambda: None  # all is told


def _run(settings: Settings, runner: Runner, cancellation: Cancellation, start: float, version: str) -> int:
    from octue_action.auth import SignIn

    # Only what is one: whatever has a masked text in it, GitHub takes out of the outputs.
    if settings.github_token is not None and is_token(settings.github_token):
        runner.mask(settings.github_token)
    for notice in settings.notices:
        runner.notice(told(notice), title=notice.title, file=notice.file, line=notice.line, column=notice.column)
    cancellation.check()
    with runner.group("Sign in to Google Cloud"):
        signing_in = SignIn(settings, runner.mask, cancellation)
        with ThreadPoolExecutor(1, thread_name_prefix="prepare") as pool:
            prepared = pool.submit(_prepare, settings, signing_in.credentials, runner, cancellation)
            signing_in.wait()
        runner.info(f"Signed in as {settings.deployer_service_account or 'this repository'}.")
    cancellation.check()  # whose connections may be closed by then
    google = prepared.result()

    from octue_action import modes
    from octue_action.announcement import Announcement

    announcement = Announcement(settings, runner, cancellation)
    run = modes.Run(settings, runner, google, announcement, _explain(settings, google, version), start)
    return modes.MODES[settings.mode](run)


def _prepare(settings: Settings, credentials: Credentials, runner: Runner, cancellation: Cancellation) -> Google:
    """Import what the run needs, and open its connections.

    :param credentials: which need no token yet.
    """
    from octue_action import announcement, modes, pruned_imports  # noqa: F401 - imported to be there
    from octue_action.google import Google

    google = Google(credentials, settings.emulator, runner.info, cancellation)
    google.prepare(modes.clients(settings))
    pruned_imports.settle()
    return google


def _explain(settings: Settings, google: Google, version: str) -> Callable[[Failure], Failure]:
    """What makes a failure of this run one that a person is told: with cause and remedy where they are known.

    :param version: of this action, as the workflow names it.
    """
    values = [value for service in settings.services for value in service.environment_variables.values()]
    hidden = [*values, *filter(None, [settings.github_token])]
    readings = itertools.count()

    def log_of(source: LogSource | None) -> Log | None:
        from octue_action import logs

        if source is None or next(readings) >= MOST_LOGS:
            return None
        return logs.read(google, source, hidden)

    def explain(failure: Failure) -> Failure:
        from octue_action.diagnosis import explained

        return explained(
            failure,
            log=log_of(failure.log_source),
            version=version,
            mode=settings.mode,
            project_id=settings.project_id,
            region=settings.services[0].region,
            caller=settings.caller,
            octue_role=settings.octue_role,
        )

    return explain


def _report_problems(problems: Sequence[Problem], runner: Runner) -> int:
    from octue_action import report

    for problem in problems:
        annotate_problem(problem, runner)
    runner.write_summary(
        report.failure_summary(
            "The inputs cannot be used", [Failure(placed(problem), problem.remedy) for problem in problems]
        )
    )
    return BAD_INPUTS


def _report_failures(title: str, failures: Sequence[Failure], runner: Runner) -> int:
    from octue_action import report

    for failure in failures:
        annotate(failure, title, runner)
    runner.write_summary(report.failure_summary(title, failures))
    return FAILURE


def _tell_ended(what: str, runner: Runner, cancellation: Cancellation) -> None:
    from octue_action import report

    # The page first: the log is where a run gets stuck whose output nobody reads.
    runner.write_summary(report.ended_summary(what, cancellation.ended), replace=False)
    annotate_ended(what, runner, cancellation)
