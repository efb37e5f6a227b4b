"""From plans and outcomes to what people read: log lines and the Markdown of the summary. Pure functions.

The summary is HTML inside Markdown: in it every text is escaped, so none can become markup, a link or a heading.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from octue_action import regions
from octue_action.annotations import GOES_ON, placed
from octue_action.apply import Outcome, Status
from octue_action.blocks import (
    CONSOLE,
    all_explained,
    explained,
    fold,
    folded_text,
    link,
    log_block,
    page,
    preformatted,
    row,
    table,
    text,
)
from octue_action.failure import Failure
from octue_action.plan import IN_THE_WAY, NOT_THERE, Action, Change, Plan

if TYPE_CHECKING:
    from octue_action.deployment import Deployment
    from octue_action.problems import Problem
    from octue_action.question import Answer
    from octue_action.resource import FieldChange, Resource

SIGNS = {Action.NO_OP: "=", Action.CREATE: "+", Action.UPDATE: "~", Action.REPLACE: "±", Action.DELETE: "-"}
"""What stands before a change in a table or in the log."""

WILL = {
    Action.NO_OP: "stays",
    Action.CREATE: "will be created",
    Action.UPDATE: "will be changed",
    Action.REPLACE: "will be replaced",
    Action.DELETE: "will be deleted",
}
"""What a plan says of a resource."""

IS = {
    Action.CREATE: "is missing",
    Action.UPDATE: "differs",
    Action.REPLACE: "differs, and can only be made anew",
}
"""What a look for drift says of it."""

WAS = {
    Action.NO_OP: "unchanged",
    Action.CREATE: "created",
    Action.UPDATE: "changed",
    Action.REPLACE: "replaced",
    Action.DELETE: "deleted",
}
"""What is said of it afterwards."""

_IS_BEING = {
    Action.NO_OP: "still being changed in Google Cloud",  # as what it is a part of was changed before
    Action.CREATE: "still being created in Google Cloud",
    Action.UPDATE: "still being changed in Google Cloud",
    Action.REPLACE: "not replaced yet, and may be deleted already",  # two steps, and the second may not have begun
    Action.DELETE: "still being deleted in Google Cloud",
}
ICONS = {
    Status.UNCHANGED: "▫️",
    Status.APPLIED: "✅",
    Status.FAILED: "❌",
    Status.SKIPPED: "⏭️",
    Status.UNFINISHED: "⏳",
    Status.NOT_BEGUN: "⏹️",
}
"""What stands before an outcome in a table."""

LEFT_ALONE = "left alone"
"""What is said of something to which nothing is done though it is not as it should be."""

GOES_ON_SERVING = "What served before goes on serving."

_MOST_UNCHANGED = 19
"""Resources that the log of a plan lists though nothing happens to them: those of one service, or of a project's set-up
by ``bootstrap``, and not those of three services."""

_MOST_NOTICES = 20
"""That are shown one below the other."""

_LONG_VALUE = 200
"""Characters from which on only that of a value is shown which changes."""

_AROUND = 30
"""Characters that are shown before and behind it."""

_LONGEST_ANSWER = 20_000
"""Characters of an answer that are shown."""

_MOST_LOG_LINES = 100
"""Lines of a service's log that are shown, of the last ones."""


@dataclass(frozen=True)
class Deed:
    """What a run does to a service, in words.

    :param noun: what "failed" or "was cancelled".
    :param done: what the service is afterwards.
    :param needless: what it is where there was nothing to do.
    """

    noun: str
    done: str
    needless: str


DEPLOYMENT = Deed("deployment", "deployed", "is up to date")
ROLLBACK = Deed("rollback", "rolled back", "serves that revision already")
DESTRUCTION = Deed("deletion", "deleted", "is gone already")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question that was put to a service, and what became of it.

    :param question: its input values.
    :param answer: None where there was none.
    :param failure: why there was none.
    :param log: what the service logged, as far as is known.
    :param aftermath: what was done since there was none, as a sentence.
    """

    question: object
    answer: Answer | None = None
    failure: Failure | None = None
    log: tuple[str, ...] = ()
    aftermath: str = ""


def with_aftermath(asked: Asked) -> Failure:
    """Why a question was not answered, and what was done about it."""
    failure = asked.failure or Failure("")
    return Failure(f"{failure.message}\n{asked.aftermath}".rstrip(), failure.remedy)


def plan_lines(plan: Plan) -> list[str]:
    """The plan for the log: a line for each resource, and one for each field that differs.

    Of many that nothing happens to it is only said how many they are.
    """
    counts = Counter(_will(change, plan) for change in plan.changes if _is_countable(change))
    lists_unchanged = counts.total() <= _MOST_UNCHANGED
    lines = []
    for change in plan.changes:
        if lists_unchanged or not _is_countable(change):
            lines.append(f"{SIGNS[change.action]} {change.resource.label} {_will(change, plan)}")
            lines += [f"    {line}" for line in _field_texts(change)]
    if not lists_unchanged:
        stay = WILL[Action.NO_OP].removesuffix("s")
        for will, count in counts.items():
            which = f"{SIGNS[Action.NO_OP]} {count} of {len(plan.changes)} resources"
            lines.append(f"{which} {stay if will == WILL[Action.NO_OP] else will}")
    return [*lines, plan_sentence(plan)]


def _is_countable(change: Change) -> bool:
    """Whether nothing happens to something, and the reason for it is not found with it."""
    return change.action is Action.NO_OP and change.refusal is None


def plan_sentence(plan: Plan) -> str:
    """How many resources the plan creates, changes, replaces, deletes and leaves alone."""
    counts = {action: sum(change.action is action for change in plan.changes) for action in Action}
    if plan.purpose == "destroy":
        absent = sum(change.reason == NOT_THERE for change in plan.changes)
        left = f"{counts[Action.NO_OP] - absent} left alone, {absent} not there"
        return f"Plan: {counts[Action.DELETE]} to delete, {left}. What is part of them goes with them."
    if not plan.has_changes:
        which = f"all {len(plan.changes)} resources are as they" if len(plan.changes) > 1 else "the resource is as it"
        return f"Nothing to do: {which} should be."
    stopped = sum(change.reason == IN_THE_WAY for change in plan.changes)
    return (
        f"Plan: {counts[Action.CREATE]} to create, {counts[Action.UPDATE]} to change, "
        f"{counts[Action.REPLACE]} to replace, {counts[Action.NO_OP] - stopped} unchanged"
        f"{f', {stopped} {LEFT_ALONE}' if stopped else ''}."
    )


def outcome_line(outcome: Outcome) -> str:
    """One outcome for the log."""
    label = outcome.change.resource.label
    if outcome.status is Status.SKIPPED:
        return f"- {label} skipped, because {obstacle(outcome)}"
    if outcome.status is Status.FAILED:
        return f"! {label} failed after {outcome.seconds:.1f} s: {outcome.failure}"
    if outcome.is_cut_short:
        return f"- {label} {_cut_short(outcome)}"
    sign = SIGNS[outcome.change.action]
    took = f" in {outcome.seconds:.1f} s" if outcome.status is Status.APPLIED else ""
    return f"{sign} {label} {_was(outcome.change)}{took}"


def plan_summary(plan: Plan, deployments: Sequence[Deployment]) -> str:
    """The summary of a plan, in Markdown."""
    return page(
        f"<h2>🔎 {_services(deployments)}: the plan</h2>",
        f"{text(plan_sentence(plan))} Nothing was changed.",
        regions_table(deployments),
        plan_table(plan, plan.changes),
    )


def drift_lines(plan: Plan) -> list[str]:
    """What is not as it should be, for the log: only that."""
    lines = [refusal.message for refusal in plan.refusals]
    for change in drifted(plan):
        lines.append(f"{change.resource.label} {IS[change.action]}")
        lines += [f"    {line}" for line in _drift_texts(change)]
    return [*lines, *moved(drifted(plan))]


def drift_summary(plan: Plan, deployments: Sequence[Deployment], commit: str) -> str:
    """The summary of a look for drift, in Markdown.

    :param commit: what should stand.
    """
    names = _services(deployments)
    if not drifts(plan):
        return page(
            f"<h2>✅ {names}: no drift</h2>",
            f"All {len(plan.changes)} resources are as octue.yaml and commit <code>{text(commit[:12])}</code> want.",
        )
    return page(
        f"<h2>⚠️ {names}: drift</h2>",
        f"This is not as octue.yaml and commit <code>{text(commit[:12])}</code> want it. Nothing was changed: a "
        "deployment changes it.",
        *map(text, moved(drifted(plan))),
        *all_explained(plan.refusals),
        drift_table(drifted(plan)),
    )


def drift_table(changes: Iterable[Change]) -> str:
    """What is not as it should be, one resource in each row."""
    return table(("Resource", "Name", "What differs"), [_drift_row(change) for change in changes])


def drifted(plan: Plan) -> list[Change]:
    """What is not as the plan wants it."""
    return [change for change in plan.changes if change.action is not Action.NO_OP]


def _drift_row(change: Change) -> str:
    details = "".join(f"<br><code>{text(line)}</code>" for line in _drift_texts(change))
    return _row(change.actual or change.resource, f"{IS[change.action]}{details}")


def _drift_texts(change: Change) -> list[str]:
    """The fields in which something is not as it is wanted; of what is missing none."""
    return [_drift_text(field) for field in change.fields] if change.action is not Action.CREATE else []


def _drift_text(field: FieldChange) -> str:
    if field.after is None:
        return f"{field.name}: not wanted"
    if field.before is None:
        return f"{field.name}: missing"
    if field.sensitive:
        return f"{field.name}: differs"
    actual, wanted = _differing(_value_text(field.before), _value_text(field.after))
    return f"{field.name}: is {actual}, wanted {wanted}"


def moved(changes: Iterable[Change]) -> list[str]:
    """What to know of services whose traffic is pinned, as a rollback leaves it."""
    return [
        f"{change.resource.name} is rolled back, or somebody has moved its traffic: {field.before} serves. The next "
        "deployment goes forward again: mend the commit first."
        for change in changes
        for field in change.fields
        if field.name == "traffic" and field.before is not None
    ]


def drifts(plan: Plan) -> bool:
    """Whether something is not as the plan wants it."""
    return plan.has_changes or bool(plan.refusals)


def refused_summary(plan: Plan, deployments: Sequence[Deployment]) -> str:
    """The summary of a plan that must not be applied, in Markdown: why, and what it would have done."""
    return page(
        f"<h2>❌ {_services(deployments)}: something is in the way</h2>",
        "Nothing was changed.",
        *all_explained(plan.refusals),
        f"What would be done: {text(plan_sentence(plan))}",
        plan_table(plan, plan.changes),
    )


def deployment_summary(
    deployments: Sequence[Deployment],
    outcomes: Sequence[Outcome],
    seconds: float,
    *,
    deed: Deed = DEPLOYMENT,
    asked: Asked | None = None,
    ended: str = "was cancelled",
) -> str:
    """The summary of a deployment, in Markdown: at a glance whether it worked, how to ask, and what was done.

    :param deployments: the services.
    :param outcomes: what became of all their resources.
    :param seconds: how long the run took in all.
    :param deed: what was done to the services.
    :param asked: the question that was asked afterwards, if any.
    :param ended: of one that ended before its time: how, as ``Cancellation.ended`` says.
    """
    failed = [outcome for outcome in outcomes if outcome.status is Status.FAILED]
    names = _services(deployments)
    cut_short = any(outcome.is_cut_short for outcome in outcomes)
    if failed:
        head = f"<h2>❌ {names}: the {deed.noun} failed</h2>"
    elif cut_short:
        head = f"<h2>⏹️ {names}: the {deed.noun} {ended}</h2>"
    elif asked is not None and asked.failure is not None:
        head = f"<h2>❌ {names} {deed.done}, but the question was not answered</h2>"
    elif any(outcome.status is Status.APPLIED for outcome in outcomes):
        head = f"<h2>✅ {names} {deed.done}</h2>"
    else:
        head = f"<h2>✅ {names} {deed.needless}</h2>"
    stands = not failed and not cut_short and deed is not DESTRUCTION
    return page(
        head,
        GOES_ON if cut_short else "",
        *(failure_block(outcome) for outcome in failed),
        *(GOES_ON_SERVING for deployment in deployments if goes_on_serving(deployment, outcomes)),
        *(_asked_blocks(asked) if asked is not None else ()),
        *(_how_to_ask(deployment, outcomes) for deployment in deployments if stands),
        outcome_table(outcomes),
        f"<sub>Whole run: {seconds:.1f} s.</sub>",
    )


def with_notices(summary: str, notices: Sequence[Problem]) -> str:
    """A summary with what is good to know below it, each with the place where it stands; many are folded."""
    if not notices:
        return summary
    told = all_explained(Failure(placed(notice), notice.remedy) for notice in notices)
    title = "<h3>Good to know</h3>"
    if len(told) > _MOST_NOTICES:
        return page(summary.rstrip("\n"), title, fold(f"{len(told)} notices", *told))
    return page(summary.rstrip("\n"), title, *told)


def failure_summary(title: str, failures: Iterable[Failure]) -> str:
    """The summary of a run that ended before its plan was carried out, in Markdown."""
    return page(f"<h2>❌ {text(title)}</h2>", *all_explained(failures))


def ended_summary(what: str, ended: str) -> str:
    """The summary of a run that ended before its time, and before it carried its plan out, in Markdown.

    :param what: was done until then.
    :param ended: how, as ``Cancellation.ended`` says.
    """
    return page(f"<h2>⏹️ The run {ended}</h2>", what)


def _services(deployments: Sequence[Deployment]) -> str:
    return text(", ".join(deployment.service.service for deployment in deployments))


def plan_table(plan: Plan, changes: Iterable[Change]) -> str:
    """What a plan does to resources, one in each row.

    :param changes: those of the plan that are shown.
    """
    rows = [
        _row(change.actual or change.resource, _plan_cell(change, plan), sign=SIGNS[change.action])
        for change in changes
    ]
    return table(("", "Resource", "Name", "Plan"), rows)


def _plan_cell(change: Change, plan: Plan) -> str:
    """What will be done; all that is said of what is new is folded."""
    will, details = text(_will(change, plan)), _details(change)
    if change.action is Action.CREATE and details:
        return f"<details><summary>{will}</summary>{details.removeprefix('<br>')}</details>"
    return f"{will}{details}"


def _will(change: Change, plan: Plan) -> str:
    """What will be done to a resource, and why, or why nothing is."""
    words = f"{LEFT_ALONE}: {change.reason}" if change.reason else WILL[change.action]
    if change.action is Action.CREATE and change.resource.origin:
        words += f": {change.resource.origin}"
    if change.is_foreign and plan.purpose != "destroy":
        words += "; this workflow did not make it" + (", and adopts it" if plan.adopt else "")
    return words


def _was(change: Change) -> str:
    return f"{LEFT_ALONE}: {change.reason}" if change.reason else WAS[change.action]


def obstacle(outcome: Outcome) -> str:
    """Why a change was skipped, as a clause."""
    others = " and ".join(outcome.waited_on)
    return f"there is still {others}" if outcome.change.action is Action.DELETE else f"it needs {others}"


def _asked_blocks(asked: Asked) -> list[str]:
    """The question, the answer or why there is none, and what the service logged."""
    log = "\n".join(asked.log[-_MOST_LOG_LINES:])
    answer = asked.answer
    return [
        f"Asked:\n\n<pre>{preformatted(_json(asked.question))}</pre>",
        *(all_explained([with_aftermath(asked)]) if asked.failure is not None else ()),
        f"Answered in {answer.seconds:.1f} s:\n\n<pre>{preformatted(_json(answer.output_values))}</pre>"
        if answer
        else "",
        folded_text("What the service logged", log) if log else "",
    ]


def _json(value: object) -> str:
    whole = json.dumps(value, indent=2, ensure_ascii=False)
    if len(whole) <= _LONGEST_ANSWER:
        return whole
    return f"{whole[:_LONGEST_ANSWER]}\n… ({len(whole):,} characters in all)"


def regions_table(deployments: Iterable[Deployment]) -> str:
    """The services' regions, each once, and how clean their electricity is."""
    names = dict.fromkeys(deployment.service.location for deployment in deployments)
    return f"<table>\n{chr(10).join(map(_region_row, names))}\n</table>"


def _region_row(name: str) -> str:
    """A region and how clean its electricity is."""
    return f"<tr><th>Region</th><td>{text(regions.described(name))}</td></tr>"


def _how_to_ask(deployment: Deployment, outcomes: Sequence[Outcome]) -> str:
    asking = f"Ask <b>{text(deployment.service.service)}</b> a question from Python:\n\n{asking_code(deployment)}"
    return f"{facts(deployment, service_of(deployment, outcomes), with_region=True)}\n\n{asking}"


def service_of(deployment: Deployment, outcomes: Sequence[Outcome]) -> Resource | None:
    """The Cloud Run service of a deployment as it stands after these outcomes, as far as that is known."""
    of_service = [o for o in outcomes if o.change.resource.address == deployment.service.address]
    return (of_service[-1].resource or of_service[-1].change.actual) if of_service else None


def goes_on_serving(deployment: Deployment, outcomes: Sequence[Outcome]) -> bool:
    """Whether a service that is there was not touched, as what it needs has failed."""
    address = deployment.service.address
    skipped = (o for o in outcomes if o.change.resource.address == address and o.status is Status.SKIPPED)
    return any(o.change.actual is not None and o.change.action is not Action.DELETE for o in skipped)


def facts(deployment: Deployment, service: Resource | None, *, with_region: bool) -> str:
    """A table of where a service is and what it runs.

    :param service: as it stands.
    :param with_region: whether its region is told, too.
    """
    url, revision = getattr(service, "url", ""), getattr(service, "revision", "")
    rows = [
        f"<tr><th>Topic</th><td><code>{text(deployment.topic.resource_name)}</code></td></tr>",
        f"<tr><th>Service URL</th><td><code>{text(url)}</code></td></tr>",
        *([_region_row(deployment.service.location)] if with_region else []),
        f"<tr><th>Revision</th><td><code>{text(revision)}</code></td></tr>",
        f"<tr><th>Runs as</th><td><code>{text(deployment.account)}</code></td></tr>",
        f"<tr><th>Image</th><td><code>{text(deployment.serving_image or deployment.service.image)}</code></td></tr>",
    ]
    return f"<table>\n{chr(10).join(rows)}\n</table>"


def asking_code(deployment: Deployment) -> str:
    """What asks a service a question, in Python."""
    project = deployment.service.project_id
    code = (
        "from octue.resources import Child\n\n"
        "child = Child(\n"
        f"    id={json.dumps(deployment.service_id)},\n"
        f'    backend={{"name": "GCPPubSubBackend", "project_name": {json.dumps(project)}}},\n'
        ")\n"
        "answer = child.ask(input_values={...})"
    )
    return f'<pre lang="python"><code>{preformatted(code)}</code></pre>'


def outcome_table(outcomes: Iterable[Outcome]) -> str:
    """What became of resources, one in each row."""
    return table(("", "Resource", "Name", "What was done", "Time"), map(_outcome_row, outcomes))


def _outcome_row(outcome: Outcome) -> str:
    if outcome.status is Status.SKIPPED:
        done, took = f"skipped: {text(obstacle(outcome))}", ""
    elif outcome.status is Status.FAILED:
        done, took = "failed", f"{outcome.seconds:.1f} s"
    elif outcome.is_cut_short:
        done, took = _cut_short(outcome), ""
    else:
        details = _details(outcome.change) if outcome.change.action is not Action.CREATE else ""
        done = f"{text(_was(outcome.change))}{details}"
        took = f"{outcome.seconds:.1f} s" if outcome.status is Status.APPLIED else ""
    log_url = outcome.failure.log_url if outcome.failure else getattr(outcome.resource, "build_log_url", "")
    log = "log of the build" if outcome.change.resource.kind == "container_image" else "log"
    if log_url.startswith(CONSOLE):
        done += f' (<a href="{text(log_url)}">{log}</a>)'
    elif log_url:
        done += f" ({log}: <code>{text(log_url)}</code>)"
    return _row(outcome.resource or outcome.change.resource, done, took, sign=ICONS[outcome.status])


def _cut_short(outcome: Outcome) -> str:
    """How far a change came before the run was cancelled."""
    if outcome.status is Status.NOT_BEGUN:
        return "not begun"
    return _IS_BEING[outcome.change.action]


def failure_block(outcome: Outcome, log: Sequence[str] | None = None) -> str:
    """Why a change failed, what to do, and its log.

    :param log: the lines of it that are shown; all that are known unless given.
    """
    failure = outcome.failure
    if failure is None:
        return ""
    told = explained(f"{outcome.change.resource.label}: {failure.message}", failure.remedy)
    return page(told, log_block(failure, log)).rstrip("\n")


def _row(resource: Resource, *cells_behind: str, sign: str = "") -> str:
    name = link(resource.name, resource.console_url)
    return row(*([sign] if sign else []), text(resource.title), name, *cells_behind)


def _details(change: Change) -> str:
    return "".join(f"<br><code>{text(line)}</code>" for line in _field_texts(change))


def _field_texts(change: Change) -> list[str]:
    """The fields that differ; none of what is not there and is not made."""
    if change.action is Action.NO_OP and change.actual is None:
        return []
    return [_field_text(field, is_new=change.action is Action.CREATE) for field in change.fields]


def _field_text(field: FieldChange, *, is_new: bool) -> str:
    reason = " (forces a replacement)" if field.immutable and field.before is not None else ""
    if field.sensitive:
        verb = "added" if field.before is None else "removed" if field.after is None else "changed"
        return f"{field.name}: {verb}{reason}"
    if is_new:
        return f"{field.name}: {_value_text(field.after)}"
    before, after = _differing(_value_text(field.before), _value_text(field.after))
    return f"{field.name}: {before} → {after}{reason}"


def _differing(before: str, after: str) -> tuple[str, str]:
    """Two texts; of long ones what differs in them, with some characters around it."""
    if max(len(before), len(after)) <= _LONG_VALUE:
        return before, after
    start = max(0, _alike_from_start(before, after) - _AROUND)
    end = max(0, _alike_from_start(before[:start:-1], after[:start:-1]) - _AROUND)

    def part(whole: str) -> str:
        return f"{'…' if start else ''}{whole[start : len(whole) - end]}{'…' if end else ''}"

    return part(before), part(after)


def _alike_from_start(one: str, other: str) -> int:
    """Characters in which two texts begin alike."""
    return next(
        (number for number, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def _value_text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value)
