"""The five modes: one graph of resources, read, compared, and walked forwards or backwards or not at all."""

from __future__ import annotations

import contextlib
import datetime
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from octue_action import overview, preflight, report, retirement
from octue_action.annotations import GOES_ON, annotate, annotate_ended, placed
from octue_action.apply import Outcome, Status, apply
from octue_action.cancellation import Cancelled
from octue_action.deployment import Deployment, desired, destroyed, informed, known
from octue_action.existing import Existing
from octue_action.failure import Failure
from octue_action.graph import walk
from octue_action.outputs import outputs, refused_outputs
from octue_action.plan import Action, Known, Plan, make_destruction, make_plan, read_all
from octue_action.report import Asked, Deed
from octue_action.resources.cloud_run_service import CloudRunService

if TYPE_CHECKING:
    from octue_action.announcement import Announcement
    from octue_action.cancellation import Cancellation
    from octue_action.google import Google
    from octue_action.problems import Problem
    from octue_action.resource import Resource
    from octue_action.rollback import Choose
    from octue_action.runner import Runner
    from octue_action.settings import Settings

SUCCESS, FAILURE = 0, 1

_CLIENTS = ("run", "eventarc", "projects", "iam", "publisher", "subscriber")
_OF_BUILDS = ("cloud_build", "artifact_registry")

_CLOCKS_DIFFER = datetime.timedelta(minutes=1)
"""By how much the runner's clock may be ahead of Google's."""

_MOST_NOTICES = 10
"""That are told again with a failure: of many services there may be hundreds."""

Explain = Callable[[Failure], Failure]


@dataclass(frozen=True)
class Run:
    """A run that has signed in.

    :param start: when it began, on the clock of ``google.cancellation``.
    :param explain: makes a failure one that a person is told.
    """

    settings: Settings
    runner: Runner
    google: Google
    announcement: Announcement
    explain: Explain
    start: float

    @property
    def cancellation(self) -> Cancellation:
        """What ends it before its time."""
        return self.google.cancellation

    @property
    def date(self) -> datetime.datetime:
        """When it began, in UTC."""
        return self.cancellation.date() - datetime.timedelta(seconds=self.seconds)

    @property
    def seconds(self) -> float:
        """How long it has taken until now."""
        return self.cancellation.now() - self.start


def deploy(run: Run) -> int:
    """Make everything as the settings want it, and ask the question, if there is one."""
    deployments, plan = _planned(run, to_write=True)
    if plan.refusals:
        return _refuse(run, deployments, plan)
    return _carry_out(run, deployments, plan, report.DEPLOYMENT)


def plan(run: Run) -> int:
    """Say what ``deploy`` would do; where something is in the way of some services alone, also that fails the run."""
    deployments, made = _planned(run)
    if made.refusals:
        page = overview.refused_page(made, deployments)
        code = _refuse(run, deployments, made)
    else:
        page = report.with_notices(overview.plan_page(made, deployments), run.settings.notices)
        run.runner.set_outputs(outputs(deployments, made))
        run.runner.write_summary(page)
        _annotate_obstacles(run, deployments, made)
        code = FAILURE if made.obstacles else SUCCESS
    run.announcement.show_plan(page, deployments)
    return code


def drift(run: Run) -> int:
    """Say what is not as this commit wants it; that fails the run."""
    deployments, made = _planned(run)
    is_there = report.drifts(made)
    page = overview.drift_page(made, deployments, run.settings.github.commit)
    run.runner.set_outputs(outputs(deployments, made))
    run.runner.write_summary(page)
    run.announcement.show_drift(page, deployments, is_there=is_there)
    if is_there:
        run.runner.error("\n".join(report.drift_lines(made)), title="Drift")
    return FAILURE if is_there else SUCCESS


def destroy(run: Run) -> int:
    """Delete what deployments have made, last made first, and nothing of anybody else's."""
    with _planning(run):
        readings = _read(run)
        existing, held = readings.existing, readings.held
        parts = [destroyed(run.settings, service, existing) for service in run.settings.services]
        deployments = [deployment for deployment, _ in parts]
        resources = {r.address: r for _, destruction in parts for r in destruction.resources}
        kept = {address: why for _, destruction in parts for address, why in destruction.kept.items()}
        read = _known(deployments, existing)
        earlier = frozenset(address for _, destruction in parts for address in destruction.earlier)
        made = make_destruction(tuple(resources.values()), run.google, kept=kept, known=read, earlier=earlier)
        foreign = tuple(refusal for _, it in parts for refusal in it.refusals)
        made = _checked(run, replace(made, refusals=foreign), held)
        _log_plan(run, made)
    if made.refusals:
        return _refuse(run, deployments, made)
    code = _carry_out(run, deployments, made, report.DESTRUCTION)
    if code == SUCCESS:
        run.announcement.retire([deployment.service.service for deployment in deployments])
    return code


def rollback(run: Run) -> int:
    """Give the traffic back to an earlier revision, and change nothing else."""
    from octue_action.rollback import named, previous

    with _planning(run):
        readings = _read(run)
        wanted = [desired(run.settings, service, readings.existing) for service in run.settings.services]
        revision = run.settings.revision
        deployments, made = _planned_back(run, wanted, named(revision) if revision else previous)
        made = _checked(run, made, readings.held)
        _log_plan(run, made)
    if made.refusals:
        return _refuse(run, deployments, made)
    return _carry_out(run, deployments, made, report.ROLLBACK)


MODES: Mapping[str, Callable[[Run], int]] = {
    "deploy": deploy,
    "plan": plan,
    "drift": drift,
    "destroy": destroy,
    "rollback": rollback,
}


def clients(settings: Settings) -> tuple[str, ...]:
    """The clients of ``Google`` that a run is known to need, those first that it needs first."""
    if settings.mode == "rollback":
        return ("run", "revisions", "eventarc", "projects")
    builds = settings.mode == "destroy" or any(service.image is None for service in settings.services)
    return (*_CLIENTS, *_OF_BUILDS) if builds else _CLIENTS


# Planning


@contextlib.contextmanager
def _planning(run: Run) -> Iterator[None]:
    """Whatever goes wrong while nothing has been changed yet is told as a person understands it."""
    try:
        with run.runner.group("Plan"):
            yield
    except Failure as failure:
        missing = preflight.unreadable(failure, run.google, run.settings, _concerned(run))
        raise (missing or run.explain(failure)) from failure.__cause__


def _provisional(settings: Settings) -> list[Deployment]:
    """What should stand, as far as the settings alone say."""
    return [desired(settings, service, Existing({}, {})) for service in settings.services]


def _certain(settings: Settings) -> list[Resource]:
    """The resources that are the same whatever there is of the services, and part of nothing else."""
    return [
        resource
        for deployment in _provisional(settings)
        for resource in (*deployment.others, deployment.image)
        if resource is not None and resource.part_of is None
    ]


def _concerned(run: Run) -> list[Resource]:
    """What a run is about, as far as the settings alone say."""
    deployments = _provisional(run.settings)
    if run.settings.mode == "rollback":
        return [deployment.service for deployment in deployments]
    return [resource for deployment in deployments for resource in deployment.resources]


@dataclass(frozen=True)
class _Readings:
    """What is read together, before anything is planned.

    :param existing: what there is of the services.
    :param held: the permissions that the caller has in the project; None where that is not known, or not asked.
    :param known: resources, by address, as ``plan.Known``.
    """

    existing: Existing
    held: frozenset[str] | None
    known: Known


def _read(run: Run, resources: Iterable[Resource] = (), *, to_write: bool = True) -> _Readings:
    """Read what there is of the services, and what can be read beside it.

    :param resources: those that are the same whatever there is.
    :param to_write: whether the caller's permissions are asked for, too.
    """
    asked: dict[str, Callable[[], Any]] = {
        "existing": lambda: Existing.read(run.google, run.settings),
        "known": lambda: read_all(resources, run.google),
    }
    if to_write:
        asked["held"] = lambda: preflight.held(run.google, run.settings)
    answers = walk({name: set() for name in asked}, lambda name: asked[name]())
    return _Readings(answers["existing"], answers.get("held"), answers["known"])


def _checked(run: Run, made: Plan, held: frozenset[str] | None) -> Plan:
    """The plan, refused where whoever runs it may not carry it out.

    :param held: the permissions that it has in the project; None where that is not known.
    """
    for notice in preflight.notices(made, run.google, run.settings, held):
        run.runner.notice(notice)
    lacking = preflight.refusals(made, run.google, run.settings, held) if not made.refusals else ()
    return replace(made, refusals=(*made.refusals, *lacking))


def _planned(run: Run, *, to_write: bool = False) -> tuple[list[Deployment], Plan]:
    """Work out what would be done for all services together, and log it.

    :param to_write: whether it is to be done.
    """
    with _planning(run):
        readings = _read(run, _certain(run.settings), to_write=to_write)
        existing = readings.existing
        for notice in existing.notices(run.settings):
            run.runner.notice(notice)
        deployments = [desired(run.settings, service, existing) for service in run.settings.services]
        resources = {r.address: r for deployment in deployments for r in deployment.resources}
        made = make_plan(
            tuple(resources.values()),
            run.google,
            adopt=run.settings.adopt,
            known={**readings.known, **_known(deployments, existing)},
            parts=_parts(run.settings, deployments),
        )
        retired = retirement.retired(run.settings, existing, run.google)
        for notice in retirement.notices(run.settings, existing, retired):
            run.runner.notice(notice)
        made = _explained(run, replace(made, changes=(*made.changes, *retired)))
        made = _checked(run, made, readings.held) if to_write else made
        _log_plan(run, made)
    return deployments, made


def _parts(settings: Settings, deployments: Iterable[Deployment]) -> list[set[str]]:
    """What may be left out of a plan where something is in its way: not of a look for drift, which is to see all."""
    if settings.mode == "drift":
        return []
    return [{resource.address for resource in deployment.resources} for deployment in deployments]


def _explained(run: Run, made: Plan) -> Plan:
    """The plan in which each thing that is in the way of some services is told as a person understands it."""
    changes = (replace(it, refusal=run.explain(it.refusal)) if it.refusal is not None else it for it in made.changes)
    return replace(made, changes=tuple(changes))


def _planned_back(run: Run, deployments: Sequence[Deployment], choose: Choose) -> tuple[list[Deployment], Plan]:
    """Work out where the traffic of each service goes back to."""
    from octue_action.rollback import target

    wanted = {d.service.address: d.service for d in deployments}
    found = walk({address: set() for address in wanted}, lambda it: target(wanted[it], run.google, choose))
    targets = [found[address] for address in wanted]
    back = [
        replace(d, service=t.service, image=None, others=(), serving_image=t.image)
        for d, t in zip(deployments, targets, strict=True)
    ]
    known_services = {t.service.address: t.actual for t in targets}
    services = tuple(t.service for t in targets)
    return back, make_plan(services, run.google, adopt=run.settings.adopt, known=known_services, purpose="rollback")


def _known(deployments: Sequence[Deployment], existing: Existing) -> Known:
    return {address: r for deployment in deployments for address, r in known(deployment, existing).items()}


def _log_plan(run: Run, made: Plan) -> None:
    for line in report.plan_lines(made):
        run.runner.info(line)


def _refuse(run: Run, deployments: Sequence[Deployment], made: Plan) -> int:
    run.runner.set_outputs(refused_outputs(made))
    _annotate_obstacles(run, deployments, made)
    run.runner.write_summary(overview.refused_page(made, deployments))
    return FAILURE


def _annotate_obstacles(run: Run, deployments: Sequence[Deployment], made: Plan) -> None:
    for obstacle in made.obstacles if len(deployments) == 1 else overview.with_one_remedy(made.obstacles):
        annotate(obstacle, "Something is in the way", run.runner)


# Carrying out


def _carry_out(run: Run, deployments: Sequence[Deployment], made: Plan, deed: Deed) -> int:
    """Carry a plan out, ask, and tell what became of it."""
    if deed is not report.DESTRUCTION:
        run.announcement.begin(deployments)
    story = _Story(run, deployments, made, deed)
    try:
        story.apply(made)
        code = story.tell()
        if code == SUCCESS and run.settings.question is not None and deed is not report.DESTRUCTION:
            story.ask()
            code = story.tell()
    finally:
        if deed is not report.DESTRUCTION:
            story.announce()
    return code


class _Story:
    """What a run has done so far, told from its beginning each time, as it may be cut off at any moment.

    :param deployments: the services.
    :param made: the plan.
    :param deed: what it does to them.
    """

    def __init__(self, run: Run, deployments: Sequence[Deployment], made: Plan, deed: Deed) -> None:
        self._run = run
        self._deployments = list(deployments)
        self._made = made
        self._deed = deed
        self._outcomes: list[Outcome] = []
        self._asked: Asked | None = None
        self._annotated: list[Failure] = []

    def apply(self, made: Plan) -> None:
        """Make the changes of a plan."""
        run = self._run

        @functools.cache  # a log may be read for it
        def explained(failure: Failure) -> Failure:
            return run.explain(failure)

        def told(outcome: Outcome) -> Outcome:
            if outcome.failure is None:
                return outcome
            is_of_container = isinstance(outcome.change.resource, CloudRunService)
            notices = run.settings.sdk_notices if is_of_container else ()
            return replace(outcome, failure=_with_notices(explained(outcome.failure), notices))

        with run.runner.group("Apply") if made.has_changes else contextlib.nullcontext():
            carried_out = apply(
                informed(made, self._deployments), run.google, lambda it: _log(told(it), made, run.runner)
            )
        self._outcomes += [told(outcome) for outcome in carried_out]

    def ask(self) -> None:
        """Ask the service the question, and give the traffic back where it does not answer and that is wanted."""
        run, (deployment,) = self._run, self._deployments
        question = run.settings.question
        with run.runner.group("Question"):
            self._asked = _answer(run, self._serving(deployment), question)
        if self._asked.failure is not None and not run.cancellation.asked and run.settings.rollback_on_failure:
            self._asked = replace(self._asked, aftermath=self._roll_back())

    def _serving(self, deployment: Deployment) -> Deployment:
        """The deployment with the service as it is now."""
        address = deployment.service.address
        service = next((o.resource for o in reversed(self._outcomes) if o.change.resource.address == address), None)
        return replace(deployment, service=service) if isinstance(service, CloudRunService) else deployment

    def _roll_back(self) -> str:
        """Give the traffic back to what served before, and say what became of that."""
        from octue_action.rollback import before_failure

        (deployment,) = self._deployments
        actual = self._made.by_address[deployment.service.address].actual
        choose = before_failure(getattr(actual, "revision", ""), deployment.service.image)
        try:
            back, made = _planned_back(self._run, [deployment], choose)
        except Failure as failure:
            told = self._run.explain(failure)
            return f"It was not rolled back. {told.message} {told.remedy}"
        except Cancelled:
            return "It was not rolled back, as the run was to end."
        _log_plan(self._run, made)
        self.apply(made)
        if self._outcomes[-1].status not in _GOOD:
            return "It could not be rolled back."
        self._deployments = back
        return f"So the traffic is back on {back[0].service.traffic}, which served before."

    def tell(self) -> int:
        """Set the outputs, write the summary, annotate what failed, and give the exit code."""
        run, asked, cancellation = self._run, self._asked, self._run.cancellation
        answer = asked.answer if asked is not None else None
        run.runner.set_outputs(outputs(self._deployments, self._made, self._outcomes, answer))
        page = overview.deployment_page(
            self._deployments, self._outcomes, run.seconds, deed=self._deed, asked=asked, ended=cancellation.ended
        )
        run.runner.write_summary(report.with_notices(page, run.settings.notices))
        failures = self._failures()
        if asked is not None and asked.failure is not None:
            failures.append((report.with_aftermath(asked), "The question was not answered"))
        for failure, title in failures:
            if failure not in self._annotated:
                self._annotated.append(failure)
                annotate(failure, title, run.runner)
        is_unanswered = asked is not None and asked.failure is not None and cancellation.asked
        if is_unanswered or any(outcome.is_cut_short for outcome in self._outcomes):
            annotate_ended(GOES_ON, run.runner, cancellation)
            return cancellation.exit_code
        if not failures and asked is None:
            self._log_success()
        return FAILURE if failures else SUCCESS

    def _failures(self) -> list[tuple[Failure, str]]:
        """What failed, with a title; of several services what failed in them for one reason together."""
        if len(self._deployments) > 1:
            return [(it.failure, it.title) for it in overview.alike(self._deployments, self._outcomes)]
        return [(o.failure, o.change.resource.label) for o in self._outcomes if o.failure is not None]

    def announce(self) -> None:
        """Show on GitHub how it ended."""
        failed = {o.change.resource.address for o in self._outcomes if o.status not in _GOOD}
        urls = {
            deployment.service.service: deployment.service.console_url
            for deployment in self._deployments
            if not failed.intersection(r.address for r in deployment.resources)
            and (self._asked is None or self._asked.failure is None)
        }
        ended = f"The run {self._run.cancellation.ended}" if self._run.cancellation.asked else ""
        why = ended or (f"The {self._deed.noun} failed" if failed else "The question was not answered")
        self._run.announcement.end(urls, why)

    def _log_success(self) -> None:
        for deployment in self._deployments:
            name = deployment.service.service
            if self._deed is report.DESTRUCTION:
                self._run.runner.info(f"{name} is gone.")
            else:
                self._run.runner.info(f"{name} is there, and questions go to {deployment.topic.resource_name}.")


_GOOD = frozenset({Status.APPLIED, Status.UNCHANGED})


def _answer(run: Run, deployment: Deployment, question: object) -> Asked:
    """Ask, and wait for the answer."""
    from octue_action import logs
    from octue_action.diagnosis import keeps_dying
    from octue_action.question import NoAnswer, ask

    service, seconds = deployment.service, run.settings.question_timeout
    source = service.log_source(service.revision, run.date - _CLOCKS_DIFFER)
    run.runner.info(f"Asking {service.service}, and waiting at most {seconds} s for the answer.")
    try:
        answer = ask(
            run.google,
            project_id=service.project_id,
            service_id=deployment.service_id,
            input_values=question,
            seconds=seconds,
            is_lost=lambda: keeps_dying(logs.glance(run.google, source)),
        )
    except NoAnswer as failure:
        if failure.log:
            return Asked(question=question, failure=failure, log=failure.log)
        failure.log_source = source
        told = run.explain(failure)
        is_explained = told.remedy != failure.remedy
        notices = () if is_explained else run.settings.sdk_notices
        return Asked(question=question, failure=_with_notices(told, notices), log=told.log)
    except Failure as failure:
        return Asked(question=question, failure=run.explain(failure))
    except Cancelled:
        return Asked(question=question, failure=Failure(f"The run {run.cancellation.ended} before the answer came."))
    run.runner.info(f"It answered in {answer.seconds:.1f} s.")
    return Asked(question=question, answer=answer, log=answer.log)


def _with_notices(failure: Failure, notices: Sequence[Problem]) -> Failure:
    """Why a service does not work, with what was told beforehand, which may be the reason."""
    if not notices:
        return failure
    listed = "\n".join(f"- {placed(notice)}" for notice in notices[:_MOST_NOTICES])
    why = f"This was told before the deployment, and may be the reason:\n{listed}"
    told = Failure(f"{failure.message}\n{why}", failure.remedy, failure.log_url)
    told.log = failure.log
    told.__cause__ = failure.__cause__
    return told


def _log(outcome: Outcome, made: Plan, runner: Runner) -> None:
    """Log what was done; also what was planned, and found to be done already when its turn came."""
    if outcome.status is not Status.UNCHANGED:
        runner.info(report.outcome_line(outcome))
    elif made.by_address[outcome.change.resource.address].action is not Action.NO_OP:
        runner.info(f"= {outcome.change.resource.label} is as planned already: it was changed meanwhile")
