"""From plans and outcomes to what people read: log lines and the Markdown of the summary. Pure functions.

The summary is HTML inside Markdown: in it every text is escaped, so none can become markup, a link or a heading.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from octue_action import regions
from octue_action.annotations import GOES_ON, placed
from octue_action.apply import Outcome, Status
from octue_action.failure import Failure
from octue_action.plan import NOT_THERE, Action, Change, Plan
from octue_action.runner import visible

if TYPE_CHECKING:
    from octue_action.deployment import Deployment
    from octue_action.problems import Problem
    from octue_action.question import Answer
    from octue_action.resource import FieldChange, Resource

CONSOLE = "https://console.cloud.google.com/"
"""Where all links lead: an address from elsewhere that is another is shown, and not made a link."""

_REFERENCE = re.compile(r"(?<!\w)@(?=\w)|#(?=\d)|\bGH-(?=\d)", re.IGNORECASE)
"""The beginning of what GitHub would make a link of: a mention, or the number of an issue."""

_SIGNS = {Action.NO_OP: "=", Action.CREATE: "+", Action.UPDATE: "~", Action.REPLACE: "±", Action.DELETE: "-"}
_WILL = {
    Action.NO_OP: "stays",
    Action.CREATE: "will be created",
    Action.UPDATE: "will be changed",
    Action.REPLACE: "will be replaced",
    Action.DELETE: "will be deleted",
}
_IS = {
    Action.CREATE: "is missing",
    Action.UPDATE: "differs",
    Action.REPLACE: "differs, and can only be made anew",
}
_WAS = {
    Action.NO_OP: "unchanged",
    Action.CREATE: "created",
    Action.UPDATE: "changed",
    Action.REPLACE: "replaced",
    Action.DELETE: "deleted",
}
_IS_BEING = {
    Action.NO_OP: "still being changed in Google Cloud",  # as what it is a part of was changed before
    Action.CREATE: "still being created in Google Cloud",
    Action.UPDATE: "still being changed in Google Cloud",
    Action.REPLACE: "not replaced yet, and may be deleted already",  # two steps, and the second may not have begun
    Action.DELETE: "still being deleted in Google Cloud",
}
_ICONS = {
    Status.UNCHANGED: "▫️",
    Status.APPLIED: "✅",
    Status.FAILED: "❌",
    Status.SKIPPED: "⏭️",
    Status.UNFINISHED: "⏳",
    Status.NOT_BEGUN: "⏹️",
}

"""What to know, and to do, after a run that ended before its time."""

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
    """The plan for the log: a line for each resource, and one for each field that differs."""
    lines = []
    for change in plan.changes:
        lines.append(f"{_SIGNS[change.action]} {change.resource.label} {_will(change, plan)}")
        lines += [f"    {line}" for line in _field_texts(change)]
    return [*lines, plan_sentence(plan)]


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
    return (
        f"Plan: {counts[Action.CREATE]} to create, {counts[Action.UPDATE]} to change, "
        f"{counts[Action.REPLACE]} to replace, {counts[Action.NO_OP]} unchanged."
    )


def outcome_line(outcome: Outcome) -> str:
    """One outcome for the log."""
    label = outcome.change.resource.label
    if outcome.status is Status.SKIPPED:
        return f"- {label} skipped, because {_obstacle(outcome)}"
    if outcome.status is Status.FAILED:
        return f"! {label} failed after {outcome.seconds:.1f} s: {outcome.failure}"
    if outcome.is_cut_short:
        return f"- {label} {_cut_short(outcome)}"
    sign = _SIGNS[outcome.change.action]
    took = f" in {outcome.seconds:.1f} s" if outcome.status is Status.APPLIED else ""
    return f"{sign} {label} {_was(outcome.change)}{took}"


def plan_summary(plan: Plan, deployments: Sequence[Deployment]) -> str:
    """The summary of a plan, in Markdown."""
    return _page(
        f"<h2>🔎 {_services(deployments)}: the plan</h2>",
        f"{_text(plan_sentence(plan))} Nothing was changed.",
        _regions_table(deployments),
        _plan_table(plan),
    )


def drift_lines(plan: Plan) -> list[str]:
    """What is not as it should be, for the log: only that."""
    lines = [refusal.message for refusal in plan.refusals]
    for change in _drifted(plan):
        lines.append(f"{change.resource.label} {_IS[change.action]}")
        lines += [f"    {line}" for line in _drift_texts(change)]
    return [*lines, *_moved(plan)]


def drift_summary(plan: Plan, deployments: Sequence[Deployment], commit: str) -> str:
    """The summary of a look for drift, in Markdown.

    :param commit: what should stand.
    """
    names = _services(deployments)
    if not drifts(plan):
        return _page(
            f"<h2>✅ {names}: no drift</h2>",
            f"All {len(plan.changes)} resources are as octue.yaml and commit <code>{_text(commit[:12])}</code> want.",
        )
    return _page(
        f"<h2>⚠️ {names}: drift</h2>",
        f"This is not as octue.yaml and commit <code>{_text(commit[:12])}</code> want it. Nothing was changed: a "
        "deployment changes it.",
        *map(_text, _moved(plan)),
        *_all_explained(plan.refusals),
        _table(("Resource", "Name", "What differs"), [_drift_row(change) for change in _drifted(plan)]),
    )


def _drifted(plan: Plan) -> list[Change]:
    return [change for change in plan.changes if change.action is not Action.NO_OP]


def _drift_row(change: Change) -> str:
    details = "".join(f"<br><code>{_text(line)}</code>" for line in _drift_texts(change))
    return _row(change.actual or change.resource, f"{_IS[change.action]}{details}")


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
    return f"{field.name}: is {_value_text(field.before)}, wanted {_value_text(field.after)}"


def _moved(plan: Plan) -> list[str]:
    """What to know of services whose traffic is pinned, as a rollback leaves it."""
    return [
        f"{change.resource.name} is rolled back, or somebody has moved its traffic: {field.before} serves. The next "
        "deployment goes forward again: mend the commit first."
        for change in _drifted(plan)
        for field in change.fields
        if field.name == "traffic" and field.before is not None
    ]


def drifts(plan: Plan) -> bool:
    """Whether something is not as the plan wants it."""
    return plan.has_changes or bool(plan.refusals)


def refused_summary(plan: Plan, deployments: Sequence[Deployment]) -> str:
    """The summary of a plan that must not be applied, in Markdown: why, and what it would have done."""
    return _page(
        f"<h2>❌ {_services(deployments)}: something is in the way</h2>",
        "Nothing was changed.",
        *_all_explained(plan.refusals),
        f"What would be done: {_text(plan_sentence(plan))}",
        _plan_table(plan),
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
    rows = [_outcome_row(outcome) for outcome in outcomes]
    return _page(
        head,
        GOES_ON if cut_short else "",
        *(_failure_block(outcome) for outcome in failed),
        *(_asked_blocks(asked) if asked is not None else ()),
        *(_how_to_ask(deployment, outcomes) for deployment in deployments if stands),
        _table(("", "Resource", "Name", "What was done", "Time"), rows),
        f"<sub>Whole run: {seconds:.1f} s.</sub>",
    )


def with_notices(page: str, notices: Sequence[Problem]) -> str:
    """A summary with what is good to know below it, each with the place where it stands."""
    if not notices:
        return page
    told = _all_explained(Failure(placed(notice), notice.remedy) for notice in notices)
    return _page(page.rstrip("\n"), "<h3>Good to know</h3>", *told)


def failure_summary(title: str, failures: Iterable[Failure]) -> str:
    """The summary of a run that ended before its plan was carried out, in Markdown."""
    return _page(f"<h2>❌ {_text(title)}</h2>", *_all_explained(failures))


def ended_summary(what: str, ended: str) -> str:
    """The summary of a run that ended before its time, and before it carried its plan out, in Markdown.

    :param what: was done until then.
    :param ended: how, as ``Cancellation.ended`` says.
    """
    return _page(f"<h2>⏹️ The run {ended}</h2>", what)


def _services(deployments: Sequence[Deployment]) -> str:
    return _text(", ".join(deployment.service.service for deployment in deployments))


def _plan_table(plan: Plan) -> str:
    rows = [
        _row(change.actual or change.resource, _plan_cell(change, plan), sign=_SIGNS[change.action])
        for change in plan.changes
    ]
    return _table(("", "Resource", "Name", "Plan"), rows)


def _plan_cell(change: Change, plan: Plan) -> str:
    """What will be done; all that is said of what is new is folded."""
    will, details = _text(_will(change, plan)), _details(change)
    if change.action is Action.CREATE and details:
        return f"<details><summary>{will}</summary>{details.removeprefix('<br>')}</details>"
    return f"{will}{details}"


def _will(change: Change, plan: Plan) -> str:
    """What will be done to a resource, and why, or why nothing is."""
    words = f"left alone: {change.reason}" if change.reason else _WILL[change.action]
    if change.action is Action.CREATE and change.resource.origin:
        words += f": {change.resource.origin}"
    if change.is_foreign and plan.purpose != "destroy":
        words += "; this workflow did not make it" + (", and adopts it" if plan.adopt else "")
    return words


def _was(change: Change) -> str:
    return f"left alone: {change.reason}" if change.reason else _WAS[change.action]


def _obstacle(outcome: Outcome) -> str:
    """Why a change was skipped, as a clause."""
    others = " and ".join(outcome.waited_on)
    return f"there is still {others}" if outcome.change.action is Action.DELETE else f"it needs {others}"


def _asked_blocks(asked: Asked) -> list[str]:
    """The question, the answer or why there is none, and what the service logged."""
    log = "\n".join(asked.log[-_MOST_LOG_LINES:])
    answer = asked.answer
    return [
        f"Asked:\n\n<pre>{_preformatted(_json(asked.question))}</pre>",
        *(_all_explained([with_aftermath(asked)]) if asked.failure is not None else ()),
        f"Answered in {answer.seconds:.1f} s:\n\n<pre>{_preformatted(_json(answer.output_values))}</pre>"
        if answer
        else "",
        _folded("What the service logged", log) if log else "",
    ]


def _folded(title: str, text: str) -> str:
    """A text that is shown when somebody opens it; at the beginning of a line ``<pre>`` lasts over blank ones, too."""
    return f"<details><summary>{_text(title)}</summary>\n\n<pre>{_preformatted(text)}</pre>\n\n</details>"


def _json(value: object) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return text if len(text) <= _LONGEST_ANSWER else f"{text[:_LONGEST_ANSWER]}\n… ({len(text):,} characters in all)"


def _regions_table(deployments: Sequence[Deployment]) -> str:
    names = dict.fromkeys(deployment.service.location for deployment in deployments)
    return f"<table>\n{chr(10).join(map(_region_row, names))}\n</table>"


def _region_row(name: str) -> str:
    """A region and how clean its electricity is."""
    return f"<tr><th>Region</th><td>{_text(regions.described(name))}</td></tr>"


def _how_to_ask(deployment: Deployment, outcomes: Sequence[Outcome]) -> str:
    of_service = [o.resource for o in outcomes if o.change.resource.address == deployment.service.address]
    service = next(iter(reversed(of_service)), None)
    url, revision = getattr(service, "url", ""), getattr(service, "revision", "")
    project = deployment.service.project_id
    code = (
        "from octue.resources import Child\n\n"
        "child = Child(\n"
        f"    id={json.dumps(deployment.service_id)},\n"
        f'    backend={{"name": "GCPPubSubBackend", "project_name": {json.dumps(project)}}},\n'
        ")\n"
        "answer = child.ask(input_values={...})"
    )
    rows = [
        f"<tr><th>Topic</th><td><code>{_text(deployment.topic.resource_name)}</code></td></tr>",
        f"<tr><th>Service URL</th><td><code>{_text(url)}</code></td></tr>",
        _region_row(deployment.service.location),
        f"<tr><th>Revision</th><td><code>{_text(revision)}</code></td></tr>",
        f"<tr><th>Runs as</th><td><code>{_text(deployment.account)}</code></td></tr>",
        f"<tr><th>Image</th><td><code>{_text(deployment.serving_image or deployment.service.image)}</code></td></tr>",
    ]
    return (
        f"<table>\n{chr(10).join(rows)}\n</table>\n\n"
        f"Ask <b>{_text(deployment.service.service)}</b> a question from Python:\n\n"
        f'<pre lang="python"><code>{_preformatted(code)}</code></pre>'
    )


def _outcome_row(outcome: Outcome) -> str:
    if outcome.status is Status.SKIPPED:
        done, took = f"skipped: {_text(_obstacle(outcome))}", ""
    elif outcome.status is Status.FAILED:
        done, took = "failed", f"{outcome.seconds:.1f} s"
    elif outcome.is_cut_short:
        done, took = _cut_short(outcome), ""
    else:
        details = _details(outcome.change) if outcome.change.action is not Action.CREATE else ""
        done = f"{_text(_was(outcome.change))}{details}"
        took = f"{outcome.seconds:.1f} s" if outcome.status is Status.APPLIED else ""
    log_url = outcome.failure.log_url if outcome.failure else getattr(outcome.resource, "build_log_url", "")
    log = "log of the build" if outcome.change.resource.kind == "container_image" else "log"
    if log_url.startswith(CONSOLE):
        done += f' (<a href="{_text(log_url)}">{log}</a>)'
    elif log_url:
        done += f" ({log}: <code>{_text(log_url)}</code>)"
    return _row(outcome.resource or outcome.change.resource, done, took, sign=_ICONS[outcome.status])


def _cut_short(outcome: Outcome) -> str:
    """How far a change came before the run was cancelled."""
    if outcome.status is Status.NOT_BEGUN:
        return "not begun"
    return _IS_BEING[outcome.change.action]


def _failure_block(outcome: Outcome) -> str:
    failure = outcome.failure
    if failure is None:
        return ""
    explained = _explained(f"{outcome.change.resource.label}: {failure.message}", failure.remedy)
    return _page(explained, _log_block(failure)).rstrip("\n")


def _log_block(failure: Failure) -> str:
    """The last lines of the log that tells more, folded, and where the rest is."""
    if not failure.log:
        return ""
    rest = (
        f'\n\n<p><a href="{_text(failure.log_url)}">The whole log</a></p>'
        if failure.log_url.startswith(CONSOLE)
        else ""
    )
    return _folded(f"The last {len(failure.log)} lines of its log", "\n".join(failure.log)) + rest


def _all_explained(failures: Iterable[Failure]) -> list[str]:
    """Each failure, and a remedy that several share only behind the last of them."""
    listed = list(failures)
    remedies = [failure.remedy for failure in listed]
    return [
        _explained(failure.message, "" if failure.remedy in remedies[position + 1 :] else failure.remedy)
        for position, failure in enumerate(listed)
    ]


def _explained(message: str, remedy: str) -> str:
    what_to_do = f"\n\nWhat to do:\n\n<pre>{_preformatted(remedy)}</pre>" if remedy else ""
    if remedy.startswith(CONSOLE) and "\n" not in remedy:
        what_to_do = f'\n\n<p>What to do: look at <a href="{_text(remedy)}">{_text(remedy)}</a></p>'
    return f"<blockquote>{_text(message, keep_lines=True)}</blockquote>{what_to_do}"


def _row(resource: Resource, *cells_behind: str, sign: str = "") -> str:
    name = f'<a href="{_text(resource.console_url)}">{_text(resource.name)}</a>'
    cells = [*([sign] if sign else []), _text(resource.title), name, *cells_behind]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _table(headings: Sequence[str], rows: Iterable[str]) -> str:
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    return f"<table>\n<tr>{head}</tr>\n" + "\n".join(rows) + "\n</table>"


def _details(change: Change) -> str:
    return "".join(f"<br><code>{_text(line)}</code>" for line in _field_texts(change))


def _field_texts(change: Change) -> list[str]:
    return [_field_text(field, is_new=change.action is Action.CREATE) for field in change.fields]


def _field_text(field: FieldChange, *, is_new: bool) -> str:
    reason = " (forces a replacement)" if field.immutable and field.before is not None else ""
    if field.sensitive:
        verb = "added" if field.before is None else "removed" if field.after is None else "changed"
        return f"{field.name}: {verb}{reason}"
    if is_new:
        return f"{field.name}: {_value_text(field.after)}"
    return f"{field.name}: {_value_text(field.before)} → {_value_text(field.after)}{reason}"


def _value_text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value)


def _page(*blocks: str) -> str:
    return "\n\n".join(block for block in blocks if block) + "\n"


def _preformatted(text: str) -> str:
    """Text as it stands with its lines, for ``<pre>``, which only its own end ends."""
    return html.escape("\n".join(_lines(text)))


def _text(text: str, *, keep_lines: bool = False) -> str:
    """Text as it stands, in HTML; without blank lines, since one would end the HTML and begin Markdown.

    A zero-width character keeps GitHub from making a link of ``@name`` and ``#1``.
    """
    escaped = [html.escape(_REFERENCE.sub("\\g<0>\u200c", line)) for line in _lines(text)]
    return "<br>".join(escaped) if keep_lines else " ".join(" ".join(escaped).split())


def _lines(text: str) -> list[str]:
    """The lines of a text, in which nothing is hidden from who reads them."""
    return [visible(line) for line in text.replace("\r\n", "\n").removesuffix("\n").split("\n")]
