"""From plans and outcomes to what people read: log lines and the Markdown of the summary. Pure functions.

The summary is HTML inside Markdown: in it every text is escaped, so none can become markup, a link or a heading.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from octue_action.apply import Outcome, Status
from octue_action.plan import Action, Plan
from octue_action.runner import visible

if TYPE_CHECKING:
    from octue_action.deployment import Deployment
    from octue_action.failure import Failure
    from octue_action.resource import FieldChange, Resource

CONSOLE = "https://console.cloud.google.com/"
"""Where all links lead: an address from elsewhere that is another is shown, and not made a link."""

_REFERENCE = re.compile(r"(?<!\w)@(?=\w)|#(?=\d)|\bGH-(?=\d)", re.IGNORECASE)
"""The beginning of what GitHub would make a link of: a mention, or the number of an issue."""

_SIGNS = {Action.NO_OP: "=", Action.CREATE: "+", Action.UPDATE: "~", Action.REPLACE: "±"}
_WILL = {
    Action.NO_OP: "stays",
    Action.CREATE: "will be created",
    Action.UPDATE: "will be changed",
    Action.REPLACE: "will be replaced",
}
_WAS = {
    Action.NO_OP: "unchanged",
    Action.CREATE: "created",
    Action.UPDATE: "changed",
    Action.REPLACE: "replaced",
}
_IS_BEING = {
    Action.NO_OP: "still being changed in Google Cloud",  # as what it is a part of was changed before
    Action.CREATE: "still being created in Google Cloud",
    Action.UPDATE: "still being changed in Google Cloud",
    Action.REPLACE: "not replaced yet, and may be deleted already",  # two steps, and the second may not have begun
}
_ICONS = {
    Status.UNCHANGED: "▫️",
    Status.APPLIED: "✅",
    Status.FAILED: "❌",
    Status.SKIPPED: "⏭️",
    Status.UNFINISHED: "⏳",
    Status.NOT_BEGUN: "⏹️",
}

GOES_ON = "What Google Cloud has begun goes on there. Run the job again: it finishes the rest."
"""What to know, and to do, after a run that ended before its time."""


def plan_lines(plan: Plan) -> list[str]:
    """The plan for the log: a line for each resource, and one for each field that differs."""
    lines = []
    for change in plan.changes:
        lines.append(f"{_SIGNS[change.action]} {change.resource.label} {_WILL[change.action]}")
        lines += [f"    {_field_text(field)}" for field in change.fields]
    return [*lines, plan_sentence(plan)]


def plan_sentence(plan: Plan) -> str:
    """How many resources the plan creates, changes, replaces and leaves alone."""
    counts = {action: sum(change.action is action for change in plan.changes) for action in Action}
    if not plan.has_changes:
        return f"Nothing to do: all {len(plan.changes)} resources are as they should be."
    return (
        f"Plan: {counts[Action.CREATE]} to create, {counts[Action.UPDATE]} to change, "
        f"{counts[Action.REPLACE]} to replace, {counts[Action.NO_OP]} unchanged."
    )


def outcome_line(outcome: Outcome) -> str:
    """One outcome for the log."""
    label = outcome.change.resource.label
    if outcome.status is Status.SKIPPED:
        return f"- {label} skipped, because it needs {' and '.join(outcome.waited_on)}"
    if outcome.status is Status.FAILED:
        return f"! {label} failed after {outcome.seconds:.1f} s: {outcome.failure}"
    if outcome.is_cut_short:
        return f"- {label} {_cut_short(outcome)}"
    sign = _SIGNS[outcome.change.action]
    took = f" in {outcome.seconds:.1f} s" if outcome.status is Status.APPLIED else ""
    return f"{sign} {label} {_WAS[outcome.change.action]}{took}"


def plan_summary(plan: Plan, deployments: Sequence[Deployment]) -> str:
    """The summary of a plan, in Markdown."""
    return _page(
        f"<h2>🔎 {_services(deployments)}: the plan</h2>",
        f"{_text(plan_sentence(plan))} Nothing was changed.",
        _plan_table(plan),
    )


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
    deployments: Sequence[Deployment], outcomes: Sequence[Outcome], seconds: float, *, ended: str = "was cancelled"
) -> str:
    """The summary of a deployment, in Markdown: at a glance whether it worked, how to ask, and what was done.

    :param deployments: the services.
    :param outcomes: what became of all their resources.
    :param seconds: how long the run took in all.
    :param ended: of one that ended before its time: how, as ``Cancellation.ended`` says.
    """
    failed = [outcome for outcome in outcomes if outcome.status is Status.FAILED]
    names = _services(deployments)
    cut_short = any(outcome.is_cut_short for outcome in outcomes)
    if failed:
        head = f"<h2>❌ {names}: the deployment failed</h2>"
    elif cut_short:
        head = f"<h2>⏹️ {names}: the deployment {ended}</h2>"
    elif any(outcome.status is Status.APPLIED for outcome in outcomes):
        head = f"<h2>✅ {names} deployed</h2>"
    else:
        head = f"<h2>✅ {names} is up to date</h2>"
    answers = [] if failed or cut_short else [_how_to_ask(deployment, outcomes) for deployment in deployments]
    rows = [_outcome_row(outcome) for outcome in outcomes]
    return _page(
        head,
        GOES_ON if cut_short else "",
        *(_failure_block(outcome) for outcome in failed),
        *answers,
        _table(("", "Resource", "Name", "What was done", "Time"), rows),
        f"<sub>Whole run: {seconds:.1f} s.</sub>",
    )


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
        _row(_SIGNS[change.action], change.resource, f"{_WILL[change.action]}{_details(change.fields)}")
        for change in plan.changes
    ]
    return _table(("", "Resource", "Name", "Plan"), rows)


def _how_to_ask(deployment: Deployment, outcomes: Sequence[Outcome]) -> str:
    service = next((o.resource for o in outcomes if o.change.resource.address == deployment.service.address), None)
    url = getattr(service, "url", "")
    project = deployment.service.project_id
    code = (
        "from octue.resources import Child\n\n"
        "child = Child(\n"
        f'    id="{deployment.service_id}",\n'
        f'    backend={{"name": "GCPPubSubBackend", "project_name": "{project}"}},\n'
        ")\n"
        "answer = child.ask(input_values={...})"
    )
    rows = [
        f"<tr><th>Topic</th><td><code>{_text(deployment.topic.resource_name)}</code></td></tr>",
        f"<tr><th>Service URL</th><td><code>{_text(url)}</code></td></tr>",
        f"<tr><th>Runs as</th><td><code>{_text(deployment.account)}</code></td></tr>",
        f"<tr><th>Image</th><td><code>{_text(deployment.service.image)}</code></td></tr>",
    ]
    return (
        f"<table>\n{chr(10).join(rows)}\n</table>\n\n"
        f"Ask <b>{_text(deployment.service.service)}</b> a question from Python:\n\n"
        f'<pre lang="python"><code>{_preformatted(code)}</code></pre>'
    )


def _outcome_row(outcome: Outcome) -> str:
    if outcome.status is Status.SKIPPED:
        done, took = f"skipped: needs {_text(' and '.join(outcome.waited_on))}", ""
    elif outcome.status is Status.FAILED:
        done, took = "failed", f"{outcome.seconds:.1f} s"
    elif outcome.is_cut_short:
        done, took = _cut_short(outcome), ""
    else:
        done = f"{_WAS[outcome.change.action]}{_details(outcome.change.fields)}"
        took = f"{outcome.seconds:.1f} s" if outcome.status is Status.APPLIED else ""
    log_url = outcome.failure.log_url if outcome.failure else getattr(outcome.resource, "build_log_url", "")
    if log_url.startswith(CONSOLE):
        done += f' (<a href="{_text(log_url)}">log of the build</a>)'
    elif log_url:
        done += f" (log of the build: <code>{_text(log_url)}</code>)"
    return _row(_ICONS[outcome.status], outcome.resource or outcome.change.resource, done, took)


def _cut_short(outcome: Outcome) -> str:
    """How far a change came before the run was cancelled."""
    if outcome.status is Status.NOT_BEGUN:
        return "not begun"
    return _IS_BEING[outcome.change.action]


def _failure_block(outcome: Outcome) -> str:
    failure = outcome.failure
    if failure is None:
        return ""
    return _explained(f"{outcome.change.resource.label}: {failure.message}", failure.remedy)


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
    return f"<blockquote>{_text(message, keep_lines=True)}</blockquote>{what_to_do}"


def _row(sign: str, resource: Resource, *cells_behind: str) -> str:
    name = f'<a href="{_text(resource.console_url)}">{_text(resource.name)}</a>'
    cells = [sign, _text(resource.title), name, *cells_behind]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _table(headings: Sequence[str], rows: Iterable[str]) -> str:
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    return f"<table>\n<tr>{head}</tr>\n" + "\n".join(rows) + "\n</table>"


def _details(fields: Sequence[FieldChange]) -> str:
    return "".join(f"<br><code>{_text(_field_text(field))}</code>" for field in fields)


def _field_text(field: FieldChange) -> str:
    reason = " (forces a replacement)" if field.immutable else ""
    if field.sensitive:
        verb = "added" if field.before is None else "removed" if field.after is None else "changed"
        return f"{field.name}: {verb}{reason}"
    return f"{field.name}: {_value_text(field.before)} → {_value_text(field.after)}{reason}"


def _value_text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
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
