"""The page of a run: of one service as ``report`` writes it, of several an overview before what is told of each.

The overview has a row for each service, those that ask for attention first. What several services share is told once,
and so is what failed in several for the same reason; what became of a single one is folded. Nothing is listed that is
as it was. Pure functions.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from octue_action import report
from octue_action.annotations import GOES_ON
from octue_action.apply import WORST_FIRST, Outcome, Status, in_all
from octue_action.blocks import all_explained, code, explained, fold, link, log_block, page, row, table, text
from octue_action.deployment import own_addresses
from octue_action.failure import Failure
from octue_action.plan import IN_THE_WAY, NOT_THERE, Action, Change, Plan
from octue_action.problems import listed

if TYPE_CHECKING:
    from octue_action.deployment import Deployment
    from octue_action.report import Asked, Deed

_MOST_OPEN = 5
"""Services that ask for attention whose details are shown without being opened."""

_MOST_IDS = 10
"""Services whose ids are shown without being opened."""

_MOST_REFUSALS = 10
"""That are shown without being opened."""

_LOG_CHARACTERS = 300_000
"""Of all logs on a page: the details of a hundred services need the rest of the 1 MiB."""

_SHARED = "<h3>What several services share</h3>"
_FAILED = "<h3>What failed</h3>"
_EACH = "<h3>Service by service</h3>"

Item = TypeVar("Item", Outcome, Change)


# Failures that say the same


@dataclass(frozen=True)
class Alike:
    """Failures that are told together, as they say the same but for the names of what they are about.

    :param outcomes: those that failed.
    :param services: Cloud Run names of the services that they are of, each once; none of what several share.
    :param is_same: whether they say the very same, names and all.
    """

    outcomes: tuple[Outcome, ...]
    services: tuple[str, ...]
    is_same: bool

    @property
    def failure(self) -> Failure:
        """The first of them, with what it stands for."""
        first = self.outcomes[0].failure or Failure("")
        if len(self.outcomes) == 1:
            return first
        told = Failure(f"{first.message}\n{self._of_whom()}", first.remedy, first.log_url)
        told.__cause__ = first.__cause__
        return told

    @property
    def title(self) -> str:
        """What failed, in a few words."""
        if len(self.services) <= 1:
            return self.outcomes[0].change.resource.label
        titles = dict.fromkeys(outcome.change.resource.title for outcome in self.outcomes)
        return f"{' and '.join(titles)} of {len(self.services)} services"

    def _of_whom(self) -> str:
        labels = [outcome.change.resource.label for outcome in self.outcomes]
        names = self.services if len(self.services) > 1 else labels
        if self.is_same:
            return f"All {len(names)} say so: {listed(names)}."
        return f"This is about {names[0]}. It is the same with {listed(names[1:])}."


def alike(deployments: Sequence[Deployment], outcomes: Sequence[Outcome]) -> list[Alike]:
    """What failed, with failures of one kind together."""
    groups: dict[tuple[str, str], list[tuple[Outcome, str]]] = {}
    split = _split(deployments, outcomes, _address_of_outcome)
    placed = {id(it): deployment for deployment, own in zip(deployments, split.own, strict=True) for it in own}
    for outcome in outcomes:
        if outcome.failure is None:
            continue
        deployment = placed.get(id(outcome))
        said = (outcome.failure.message, outcome.failure.remedy)
        message, remedy = map(_nameless(deployment), said) if deployment is not None else said
        name = deployment.service.service if deployment is not None else ""
        groups.setdefault((message, remedy), []).append((outcome, name))
    return [_alike(group) for group in groups.values()]


def _alike(group: Sequence[tuple[Outcome, str]]) -> Alike:
    said = {(outcome.failure.message, outcome.failure.remedy) for outcome, _ in group if outcome.failure is not None}
    services = tuple(dict.fromkeys(name for _, name in group if name))
    return Alike(tuple(outcome for outcome, _ in group), services, len(said) == 1)


def _nameless(deployment: Deployment) -> Callable[[str], str]:
    """A function that takes the names of what belongs to a service out of a text."""
    account = deployment.account
    names = {deployment.service.service, deployment.service_id, account, account.partition("@")[0]}
    either = "|".join(map(re.escape, sorted(filter(None, names), key=len, reverse=True)))
    pattern = re.compile(rf"(?<![\w-])(?:{either})(?![\w-])")
    return lambda said: pattern.sub("…", said)


def with_one_remedy(failures: Iterable[Failure]) -> list[Failure]:
    """The same failures, those of one remedy as one: what they say below each other."""
    said: dict[str, list[str]] = {}
    for failure in failures:
        said.setdefault(failure.remedy, []).append(failure.message)
    return [Failure("\n".join(dict.fromkeys(messages)), remedy) for remedy, messages in said.items()]


# Pages


def plan_page(plan: Plan, deployments: Sequence[Deployment]) -> str:
    """The page of a plan, in Markdown."""
    if len(deployments) <= 1:
        return report.plan_summary(plan, deployments)
    head = f"🔎 {len(deployments)} services: the plan"
    if plan.obstacles:
        blocked = sum(map(_is_blocked, _split(deployments, plan.changes, _address_of_change).own))
        head = f"❌ {_of(blocked, len(deployments))}: something is in the way"
    reasons, more = _reasons(plan)
    return page(
        f"<h2>{head}</h2>",
        *reasons,
        f"{text(report.plan_sentence(plan))} Nothing was changed.",
        *_planned(plan, deployments),
        *more,
    )


def refused_page(plan: Plan, deployments: Sequence[Deployment]) -> str:
    """The page of a plan that must not be applied, in Markdown: why, and what it would have done."""
    if len(deployments) <= 1:
        return report.refused_summary(plan, deployments)
    reasons, more = _reasons(plan)
    return page(
        f"<h2>❌ {len(deployments)} services: something is in the way</h2>",
        "Nothing was changed.",
        *reasons,
        f"What would be done: {text(report.plan_sentence(plan))}",
        *_planned(plan, deployments),
        *more,
    )


def drift_page(plan: Plan, deployments: Sequence[Deployment], commit: str) -> str:
    """The page of a look for drift, in Markdown.

    :param commit: what should stand.
    """
    if len(deployments) <= 1:
        return report.drift_summary(plan, deployments, commit)
    wanted = f"as octue.yaml and commit {code(commit[:12])} want"
    if not report.drifts(plan):
        return page(
            f"<h2>✅ {len(deployments)} services: no drift</h2>", f"All {len(plan.changes)} resources are {wanted}."
        )
    split = _split(deployments, report.drifted(plan), _address_of_change)
    parts = []
    for deployment, own in zip(deployments, split.own, strict=True):
        moved = map(text, report.moved(own))
        is_missing = any(it.action is Action.CREATE and it.resource is deployment.service for it in own)
        word = report.IS[Action.CREATE if is_missing else Action.UPDATE] if own else "no drift"
        icon = report.ICONS[Status.UNCHANGED] if not own else "⚠️"
        details = (*moved, report.drift_table(own)) if own else ()
        parts.append(_Part(deployment, 0 if own else 1, icon, word, details=details))
    reasons, more = _reasons(plan)
    return page(
        f"<h2>⚠️ {_of(sum(bool(own) for own in split.own), len(deployments))}: drift</h2>",
        f"This is not {wanted} it. Nothing was changed: a deployment changes it.",
        *reasons,
        _overview(("", "Service", "What is there"), parts),
        *((_SHARED, report.drift_table(split.shared)) if split.shared else ()),
        *_folds(parts, _EACH, may_be_open=True),
        *more,
    )


def deployment_page(
    deployments: Sequence[Deployment],
    outcomes: Sequence[Outcome],
    seconds: float,
    *,
    deed: Deed = report.DEPLOYMENT,
    asked: Asked | None = None,
    ended: str = "was cancelled",
) -> str:
    """The page of a deployment, in Markdown; arguments as for ``report.deployment_summary``.

    :param asked: of one service: several are not asked.
    """
    if len(deployments) <= 1:
        return report.deployment_summary(deployments, outcomes, seconds, deed=deed, asked=asked, ended=ended)
    split = _split(deployments, outcomes, _address_of_outcome)
    failures = alike(deployments, outcomes)
    together = [it for it in failures if len(it.outcomes) > 1]
    shared_failures = [it for it in failures if len(it.outcomes) == 1 and not it.services]
    told = {id(outcome) for it in together for outcome in (it.outcomes if it.is_same else it.outcomes[:1])}
    parts = [
        _part_of_deployment(deployment, own, outcomes, deed, told)
        for deployment, own in zip(deployments, split.own, strict=True)
    ]
    shown = [outcome for outcome in split.shared if _is_worth_telling(outcome)]
    stands = [it.deployment for it in parts if it.rank >= WORST_FIRST.index(Status.APPLIED)]
    is_cut_short = any(outcome.is_cut_short for outcome in outcomes)
    with_url = () if deed is report.DESTRUCTION else ("URL",)
    return page(
        _heading(deployments, outcomes, parts, deed, ended),
        GOES_ON if is_cut_short else "",
        _counted(parts),
        *(block for it in (*together, *shared_failures) for block in _told_together(it)),
        _overview(("", "Service", "What was done", *with_url, "Time"), parts),
        *_folds([part for part in parts if part.comes_first], _FAILED, may_be_open=True),
        *((_SHARED, report.outcome_table(shown)) if shown else ()),
        *(_how_to_ask(stands) if deed is not report.DESTRUCTION and stands else ()),
        *_folds([part for part in parts if not part.comes_first], _EACH, may_be_open=False),
        f"<sub>Whole run: {seconds:.1f} s.</sub>",
    )


# What becomes of each service


@dataclass(frozen=True)
class _Part:
    """One service on a page.

    :param rank: where it stands in the overview; the lower, the more it asks for attention.
    :param icon: how it is, at a glance.
    :param word: how it is, in a few words.
    :param cells: HTML behind these.
    :param details: blocks that are folded; none where there is nothing to tell.
    """

    deployment: Deployment
    rank: int
    icon: str
    word: str
    cells: tuple[str, ...] = ()
    details: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.deployment.service.service

    @property
    def comes_first(self) -> bool:
        return self.rank == 0


def _part_of_deployment(
    deployment: Deployment, own: Sequence[Outcome], outcomes: Sequence[Outcome], deed: Deed, told: set[int]
) -> _Part:
    """What became of one service.

    :param own: what became of what it shares with no other.
    :param outcomes: of all services.
    :param told: by ``id``, outcomes whose failure is told already.
    """
    status, word = _verdict(deployment, own, deed)
    service = report.service_of(deployment, own)
    shown = [outcome for outcome in own if _is_worth_telling(outcome)]
    rest = len(own) - len(shown)
    failed = [outcome for outcome in own if outcome.failure is not None]
    share = _LOG_CHARACTERS // max(1, sum(outcome.failure is not None for outcome in outcomes))
    blocks = [
        *(_failure_block(outcome, share, is_told=id(outcome) in told) for outcome in failed),
        report.GOES_ON_SERVING if report.goes_on_serving(deployment, own) else "",
        report.outcome_table(shown) if shown else "",
        f"{rest} {'other is as it was' if rest == 1 else 'others are as they were'}." if shown and rest else "",
        report.facts(deployment, service, with_region=False)
        if status is Status.APPLIED and deed is not report.DESTRUCTION
        else "",
    ]
    url = () if deed is report.DESTRUCTION else (code(getattr(service, "url", "")),)
    took = f"{_longest_chain(own):.1f} s" if any(outcome.seconds for outcome in shown) else ""
    details = tuple(block for block in blocks if block)
    return _Part(deployment, WORST_FIRST.index(status), report.ICONS[status], word, (*url, took), details)


def _verdict(deployment: Deployment, own: Sequence[Outcome], deed: Deed) -> tuple[Status, str]:
    """What became of a service in all, and in words."""
    status = in_all(own)
    of_status = [outcome for outcome in own if outcome.status is status]
    service = next((o for o in own if o.change.resource.address == deployment.service.address), None)
    if status is Status.FAILED:
        return status, f"failed: {' and '.join(dict.fromkeys(o.change.resource.title for o in of_status))}"
    if status is Status.SKIPPED:
        return status, f"skipped: {report.obstacle(of_status[0])}"
    if status in {Status.UNFINISHED, Status.NOT_BEGUN}:
        return status, "not finished" if status is Status.UNFINISHED else "not begun"
    if status is Status.UNCHANGED:
        is_gone = service is not None and service.change.reason == NOT_THERE
        return status, "not there" if is_gone else report.WAS[Action.NO_OP]
    if deed is not report.DEPLOYMENT:
        return status, deed.done
    action = service.change.action if service is not None and service.status is Status.APPLIED else Action.UPDATE
    return status, report.WAS[action if action is not Action.NO_OP else Action.UPDATE]


def _is_worth_telling(outcome: Outcome) -> bool:
    """Whether something became of it, or it was left alone for a reason."""
    is_left_alone = bool(outcome.change.reason) and outcome.change.reason != NOT_THERE
    return outcome.status is not Status.UNCHANGED or is_left_alone


def _longest_chain(own: Sequence[Outcome]) -> float:
    """Seconds that the changes of one service took, of which those that do not depend on each other went together."""
    by_address = {outcome.change.resource.address: outcome for outcome in own}
    known: dict[str, float] = {}

    def end(address: str) -> float:
        if address not in known:
            known[address] = 0.0  # a circle, which the walk would have refused, ends here
            outcome = by_address[address]
            before = [end(on) for on in outcome.change.resource.depends_on if on in by_address]
            known[address] = outcome.seconds + max(before, default=0.0)
        return known[address]

    return max(map(end, by_address), default=0.0)


def _planned(plan: Plan, deployments: Sequence[Deployment]) -> list[str]:
    """What a plan does, service by service."""
    split = _split(deployments, plan.changes, _address_of_change)
    parts = []
    for deployment, every in zip(deployments, split.own, strict=True):
        own, is_blocked = _changed(every), _is_blocked(every)
        of_service = next((it.action for it in own if it.resource.address == deployment.service.address), None)
        action = of_service or (Action.UPDATE if own else Action.NO_OP)
        icon = report.ICONS[Status.FAILED] if is_blocked else report.SIGNS[action]
        word = report.LEFT_ALONE if is_blocked else report.WILL[action]
        details = (report.plan_table(plan, own),) if own else ()
        rank = 0 if is_blocked else 1 if own else 2
        parts.append(_Part(deployment, rank, icon, word, (str(len(own)),), details))
    shared = _changed(split.shared)
    return [
        report.regions_table(deployments),
        _overview(("", "Service", "Plan", "Changes"), parts),
        *((_SHARED, report.plan_table(plan, shared)) if shared else ()),
        *_folds(parts, _EACH, may_be_open=True),
    ]


def _changed(changes: Iterable[Change]) -> list[Change]:
    return [change for change in changes if change.action is not Action.NO_OP]


def _is_blocked(own: Iterable[Change]) -> bool:
    """Whether something is in the way of a service, whose changes these are, and not of all."""
    return any(change.reason == IN_THE_WAY for change in own)


# Blocks


def _heading(
    deployments: Sequence[Deployment], outcomes: Sequence[Outcome], parts: Sequence[_Part], deed: Deed, ended: str
) -> str:
    every = len(deployments)
    if any(outcome.status is Status.FAILED for outcome in outcomes):
        touched = sum(
            part.rank in {WORST_FIRST.index(Status.FAILED), WORST_FIRST.index(Status.SKIPPED)} for part in parts
        )
        return f"<h2>❌ {_of(touched, every)}: the {deed.noun} failed</h2>"
    if any(outcome.is_cut_short for outcome in outcomes):
        return f"<h2>⏹️ {every} services: the {deed.noun} {ended}</h2>"
    if any(outcome.status is Status.APPLIED for outcome in outcomes):
        return f"<h2>✅ {every} services {deed.done}</h2>"
    return f"<h2>✅ {every} services: there was nothing to do</h2>"


def _of(some: int, every: int) -> str:
    """How many services something is about; where it is about none by itself, it is about what they share."""
    return f"{some} of {every} services" if some else f"What {every} services share"


def _counted(parts: Sequence[_Part]) -> str:
    """How many services came off how."""
    ordered = sorted(parts, key=lambda part: part.rank)
    counts = Counter(part.word.partition(":")[0] for part in ordered)
    return f"{', '.join(f'{count} {text(word)}' for word, count in counts.items())}."


def _overview(headings: Sequence[str], parts: Sequence[_Part]) -> str:
    """A row for each service, those that ask for attention first."""
    ordered = sorted(parts, key=lambda part: part.rank)
    rows = (
        row(part.icon, link(part.name, part.deployment.service.console_url), text(part.word), *part.cells)
        for part in ordered
    )
    return table(headings, rows)


def _folds(parts: Sequence[_Part], heading: str, *, may_be_open: bool) -> list[str]:
    """The details of each service that has any, those that ask for attention first.

    :param may_be_open: whether those of a few are shown without being opened.
    """
    ordered = [part for part in sorted(parts, key=lambda part: part.rank) if part.details]
    is_open = may_be_open and len(ordered) <= _MOST_OPEN
    folds = [fold(_title(part), *part.details, is_open=is_open) for part in ordered]
    return [heading, *folds] if folds else []


def _title(part: _Part) -> str:
    return f"{part.icon} <b>{text(part.name)}</b>: {text(part.word)}"


def _told_together(group: Alike) -> list[str]:
    """What failed in several, or what several share: of the very same failure the log, too."""
    failure = group.failure
    return [
        explained(f"{group.title}: {failure.message}", failure.remedy),
        log_block(group.outcomes[0].failure or failure) if len(group.outcomes) == 1 else "",
    ]


def _failure_block(outcome: Outcome, characters: int, *, is_told: bool) -> str:
    """Why a change failed, and as many of the last lines of its log as are not too long.

    :param is_told: whether the reason is told elsewhere on the page.
    """
    failure = outcome.failure or Failure("")
    lines: list[str] = []
    for line in reversed(failure.log):
        characters -= len(line) + 1
        if characters < 0 and lines:
            break
        lines.insert(0, line)
    return log_block(failure, lines) if is_told else report.failure_block(outcome, lines)


def _reasons(plan: Plan) -> tuple[list[str], list[str]]:
    """Why a plan must not be applied: the first reasons, and the others folded, for the end of the page."""
    first, others = plan.obstacles[:_MOST_REFUSALS], plan.obstacles[_MOST_REFUSALS:]
    more = [fold(f"{len(others)} more reasons why nothing was changed", *all_explained(others))] if others else []
    return all_explained(first), more


def _how_to_ask(stands: Sequence[Deployment]) -> list[str]:
    """How any of the services is asked, and by which id."""
    ids = table(
        ("Service", "<code>id</code>"),
        (row(text(it.service.service), code(it.service_id)) for it in stands),
    )
    return [
        report.regions_table(stands),
        "<h3>How to ask</h3>",
        f"This asks <b>{text(stands[0].service.service)}</b> a question. Each service has an id of its own:",
        report.asking_code(stands[0]),
        fold(f"The ids of {len(stands)} services", ids, is_open=len(stands) <= _MOST_IDS),
    ]


# What belongs to whom


@dataclass(frozen=True)
class _Split(Generic[Item]):
    """Outcomes or changes by whose they are.

    :param own: those of each service alone, in the order of the services.
    :param shared: those of several.
    """

    own: tuple[tuple[Item, ...], ...]
    shared: tuple[Item, ...]


def _split(deployments: Sequence[Deployment], items: Iterable[Item], address: Callable[[Item], str]) -> _Split[Item]:
    addresses = own_addresses(deployments)
    whose = {it: number for number, own in enumerate(addresses) for it in own}
    own: list[list[Item]] = [[] for _ in deployments]
    shared: list[Item] = []
    for item in items:
        number = whose.get(address(item))
        (shared if number is None else own[number]).append(item)
    return _Split(tuple(map(tuple, own)), tuple(shared))


def _address_of_outcome(outcome: Outcome) -> str:
    return outcome.change.resource.address


def _address_of_change(change: Change) -> str:
    return change.resource.address
