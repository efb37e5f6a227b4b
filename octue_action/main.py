"""One run, from the environment to the exit code: the pipeline, and the mode that picks its last step."""

from __future__ import annotations

import contextlib
import functools
import json
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TextIO

from octue_action import report
from octue_action.cancellation import Cancellation, Cancelled
from octue_action.failure import Failure, fault
from octue_action.problems import InvalidSettings, Problem
from octue_action.runner import Runner
from octue_action.settings import Settings, load

if TYPE_CHECKING:
    from octue_action.apply import Outcome
    from octue_action.deployment import Deployment
    from octue_action.google import Google
    from octue_action.plan import Plan

SUCCESS, FAILURE, BAD_INPUTS = 0, 1, 2

Explain = Callable[[Failure], Failure]


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
    cancellation.tell = lambda: _tell_ended(f"What was done is in the log. {report.GOES_ON}", runner, cancellation)
    try:
        settings = load(environment)
        cancellation.limit(settings.timeout_minutes * 60.0)
        _refuse_unavailable(settings)
        return _run(settings, runner, cancellation, start)
    except Cancelled:
        _tell_ended("Nothing was changed.", runner, cancellation)
        return cancellation.exit_code
    except InvalidSettings as invalid:
        return _report_problems(invalid.problems, runner)
    except Failure as failure:
        return _report_failures("Nothing was deployed", [failure], runner)
    except Exception as error:  # noqa: BLE001 - a fault of our own must still end in words that help
        return _report_failures("Fault of the action", [fault(error)], runner)
    finally:
        cancellation.tell = lambda: None  # all is told


def _refuse_unavailable(settings: Settings) -> None:
    """Refuse what the contract names and this version cannot do, rather than leave it out silently.

    :raises InvalidSettings: with a problem for each input that asks for it.
    """
    asked = {
        f"mode: {settings.mode}": settings.mode not in {"deploy", "plan"},
        "preview": settings.preview is not None,
        "question": settings.question is not None,
        "rollback_on_failure: true": settings.rollback_on_failure,
        "region_policy: low-carbon": settings.region_policy != "any",
    }
    problems = [
        Problem(
            message=f"`{what}` is not available yet in this version.",
            expected="`mode: deploy` or `mode: plan`" if what.startswith("mode") else "the input left out",
            title=what.partition(":")[0],
        )
        for what, is_asked in asked.items()
        if is_asked
    ]
    if problems:
        raise InvalidSettings(problems)


def _run(settings: Settings, runner: Runner, cancellation: Cancellation, start: float) -> int:
    from octue_action.auth import sign_in
    from octue_action.google import Google

    for notice in settings.notices:
        runner.notice(_told(notice), title=notice.title, file=notice.file, line=notice.line, column=notice.column)
    cancellation.check()
    with runner.group("Sign in to Google Cloud"):
        credentials = sign_in(settings, runner.mask, cancellation)
        runner.info(f"Signed in as {settings.deployer_service_account or 'this repository'}.")
    google = Google(credentials, settings.emulator, runner.info, cancellation)
    explain = _explain(settings)
    try:
        deployments, plan = _plan(settings, google, runner)
    except Failure as failure:
        raise explain(failure) from failure.__cause__
    if plan.refusals:
        return _report_refusals(plan, deployments, runner)
    if settings.mode == "plan":
        runner.set_outputs(_outputs(deployments, plan, ()))
        runner.write_summary(report.plan_summary(plan, deployments))
        return SUCCESS
    return _deploy(deployments, plan, google, runner, start, explain)


def _explain(settings: Settings) -> Explain:
    """What makes a failure of this run one that a person is told: with cause and remedy where they are known."""
    from octue_action.diagnosis import explained

    account = settings.deployer_service_account
    return functools.partial(
        explained,
        project_id=settings.project_id,
        region=settings.services[0].region,
        caller=f"serviceAccount:{account}" if account else settings.repository_principal,
        octue_role=settings.octue_role,
    )


def _plan(settings: Settings, google: Google, runner: Runner) -> tuple[list[Deployment], Plan]:
    """Work out what would be done for all services together, and log it."""
    from octue_action.deployment import Existing, desired, known
    from octue_action.plan import make_plan

    with runner.group("Plan"):
        existing = Existing.read(google, settings)
        deployments = [desired(settings, service, existing) for service in settings.services]
        read = {address: r for deployment in deployments for address, r in known(deployment, existing).items()}
        resources = {r.address: r for deployment in deployments for r in deployment.resources}
        plan = make_plan(tuple(resources.values()), google, adopt=settings.adopt, known=read)
        for line in report.plan_lines(plan):
            runner.info(line)
    return deployments, plan


def _deploy(
    deployments: Sequence[Deployment], plan: Plan, google: Google, runner: Runner, start: float, explain: Explain
) -> int:
    """Carry the plan out, and tell what became of it."""
    from octue_action.apply import apply
    from octue_action.deployment import informed

    def told(outcome: Outcome) -> Outcome:
        return replace(outcome, failure=explain(outcome.failure)) if outcome.failure else outcome

    with runner.group("Apply") if plan.has_changes else contextlib.nullcontext():
        carried_out = apply(informed(plan), google, lambda it: _log(told(it), plan, runner))
    outcomes = [told(outcome) for outcome in carried_out]
    runner.set_outputs(_outputs(deployments, plan, outcomes))
    cancellation = google.cancellation
    runner.write_summary(
        report.deployment_summary(deployments, outcomes, cancellation.now() - start, ended=cancellation.ended)
    )
    failures = [(outcome.failure, outcome.change.resource) for outcome in outcomes if outcome.failure is not None]
    for failure, resource in failures:
        _annotate(failure, resource.label, runner)
    if any(outcome.is_cut_short for outcome in outcomes):
        _annotate_ended(report.GOES_ON, runner, cancellation)
        return cancellation.exit_code
    if failures:
        return FAILURE
    for deployment in deployments:
        runner.info(f"{deployment.service.service} answers questions on {deployment.topic.resource_name}.")
    return SUCCESS


def _log(outcome: Outcome, plan: Plan, runner: Runner) -> None:
    """Log what was done; also what was planned, and found to be done already when its turn came."""
    if outcome.status != "unchanged":
        runner.info(report.outcome_line(outcome))
    elif plan.by_address[outcome.change.resource.address].action != "no-op":
        runner.info(f"= {outcome.change.resource.label} is as planned already: it was changed meanwhile")


def _report_refusals(plan: Plan, deployments: Sequence[Deployment], runner: Runner) -> int:
    runner.set_outputs({"plan": json.dumps(plan.as_json()), "changed": "false"})
    for refusal in plan.refusals:
        _annotate(refusal, "Something is in the way", runner)
    runner.write_summary(report.refused_summary(plan, deployments))
    return FAILURE


def _outputs(deployments: Sequence[Deployment], plan: Plan, outcomes: Sequence[Outcome]) -> dict[str, str]:
    """The outputs of the contract: those of the first service by themselves, those of all as JSON."""
    stands: dict[str, Any] = {c.resource.address: c.actual for c in plan.changes}
    stands |= {o.change.resource.address: o.resource for o in outcomes if o.resource is not None}
    logs = {o.change.resource.address: o.failure.log_url for o in outcomes if o.failure is not None}
    each = {deployment.service.service: _outputs_of(deployment, stands, logs) for deployment in deployments}
    return {
        **next(iter(each.values())),
        "changed": "true" if any(o.has_written or o.status in {"applied", "unfinished"} for o in outcomes) else "false",
        "plan": json.dumps(plan.as_json()),
        "services": json.dumps(each),
    }


def _outputs_of(deployment: Deployment, stands: Mapping[str, Any], logs: Mapping[str, str]) -> dict[str, str]:
    service = stands.get(deployment.service.address)
    image_address = deployment.image.address if deployment.image is not None else ""
    return {
        "service_url": getattr(service, "url", ""),
        "topic_name": deployment.topic.resource_name,
        "service_id": deployment.service_id,
        "service_account": deployment.account,
        "image": deployment.service.image,
        "revision": getattr(service, "revision", ""),
        "build_log_url": logs.get(image_address) or getattr(stands.get(image_address), "build_log_url", ""),
    }


def _report_problems(problems: Sequence[Problem], runner: Runner) -> int:
    for problem in problems:
        runner.error(_told(problem), title=problem.title, file=problem.file, line=problem.line, column=problem.column)
    runner.write_summary(
        report.failure_summary("The inputs cannot be used", [Failure(_placed(problem)) for problem in problems])
    )
    return BAD_INPUTS


def _report_failures(title: str, failures: Sequence[Failure], runner: Runner) -> int:
    for failure in failures:
        _annotate(failure, title, runner)
    runner.write_summary(report.failure_summary(title, failures))
    return FAILURE


def _tell_ended(what: str, runner: Runner, cancellation: Cancellation) -> None:
    # The page first: the log is where a run gets stuck whose output nobody reads.
    runner.write_summary(report.ended_summary(what, cancellation.ended), replace=False)
    _annotate_ended(what, runner, cancellation)


def _annotate_ended(what: str, runner: Runner, cancellation: Cancellation) -> None:
    message = f"The run {cancellation.ended}. {what}"
    if cancellation.too_long:
        runner.error(f"{message} Where it needs more time, raise `timeout_minutes`.", title="Took too long")
    else:
        runner.warning(message, title="Cancelled")


def _annotate(failure: Failure, title: str, runner: Runner) -> None:
    runner.error(_with_remedy(failure), title=title)
    if failure.__cause__ is not None:
        runner.debug(_trace(failure.__cause__))


def _trace(error: BaseException | None) -> str:
    """Where an error comes from, and what it says; of one of Google's not the details, which hold the whole answer."""
    text = ""
    while error is not None:
        message = getattr(error, "message", None)
        text += "".join(traceback.format_tb(error.__traceback__)) + f"{type(error).__name__}: {message or error}\n"
        error = error.__cause__ if message is None else None  # beneath is what gRPC noted of the answer
    return text


def _told(problem: Problem) -> str:
    return f"{problem.message} Expected: {problem.expected}." if problem.expected else problem.message


def _placed(problem: Problem) -> str:
    return f"{problem.file}, line {problem.line}: {_told(problem)}" if problem.file else _told(problem)


def _with_remedy(failure: Failure) -> str:
    return f"{failure.message}\nWhat to do:\n{failure.remedy}" if failure.remedy else failure.message
