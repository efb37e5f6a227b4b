"""What was measured, for people and for programs."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Callable, Iterable, Sequence

from script.benchmarking.figures import Measured, Row, Sample, Spread
from script.benchmarking.targets import MB, Target, Verdict

_WHAT = {
    "fresh": "Fresh deployment",
    "no-op": "The same commit again",
    "unpruned": "The same commit again, with nothing pruned",
    "update": "One field changed",
    "plan": "Plan of that change",
    "container": "The same commit again, `docker run` to exit",
}


def as_markdown(measured: Measured, found: Iterable[Verdict]) -> str:
    """All of it for people."""
    rows = sorted(measured.samples, key=lambda row: (row.latencies, row.services, [*_WHAT].index(row.what)))
    quick, slow = ([row for row in rows if row.latencies is latencies] for latencies in (False, True))
    parts = [measured.where, *measured.notes, _floors(measured)]
    parts += [_quick(measured, quick)] * bool(quick) + [_slow(measured, slow)] * bool(slow)
    return "\n\n".join([*parts, _counts(measured, rows), _verdicts(found)])


def _floors(measured: Measured) -> str:
    lists: list[tuple[str, Sequence[float]]] = [
        ("The bare interpreter, `python -E -s -c pass`", measured.interpreter),
        ("The bare import of `google.cloud.run_v2`", measured.bare_import),
        ("The container's base, `docker run` of `python -c pass`", measured.container),
        ("gcloud for one service, seven of its nine commands", measured.gcloud),
    ]
    rows = [(what, *in_seconds(Spread.of(values)), str(len(values))) for what, values in lists if values]
    return table(("Beside it", "median, s", "least to most, s", "runs"), *rows)


def _quick(measured: Measured, rows: Iterable[Row]) -> str:
    head = (
        "A server that answers at once",
        "services",
        "median, s",
        "least to most, s",
        "times the bare import",
        "own CPU, s",
        "runs",
    )
    return table(head, *(_quick_row(measured, row) for row in rows))


def _quick_row(measured: Measured, row: Row) -> tuple[str, ...]:
    spread, cpu = measured.seconds(row), measured.cpu_seconds(row)
    ratio, own = f"{measured.over_import(row):.2f}", f"{cpu:.2f}"
    if row.what == "container":
        ratio, own = "", ""  # its Python is another, and the engine's client has no part in what it takes
    return _WHAT[row.what], str(row.services), *in_seconds(spread), ratio, own, str(spread.runs)


def _slow(measured: Measured, rows: Iterable[Row]) -> str:
    head = (
        "Recorded latencies",
        "services",
        "median, s",
        "least to most, s",
        "critical path, s",
        "signing in + reading + writing",
        "times the critical path",
        "round trip, ms",
        "whole process, round trips",
        "first call to last answer, round trips",
        "critical path, round trips",
        "depth, calls",
        "runs",
    )
    return table(head, *(_slow_row(measured, row) for row in rows))


def _slow_row(measured: Measured, row: Row) -> tuple[str, ...]:
    def median(of: Callable[[Sample], float]) -> float:
        return _median(measured, row, of)

    spread = measured.seconds(row)
    parts = (median(lambda it: it.sign_in), median(lambda it: it.reading), median(lambda it: it.writing))
    return (
        _WHAT[row.what],
        str(row.services),
        *in_seconds(spread),
        f"{median(lambda it: it.critical_path):.2f}",
        " + ".join(f"{part:.2f}" for part in parts),
        f"{measured.over_critical_path(row):.2f}",
        f"{median(lambda it: it.round_trip) * 1000:.0f}",
        f"{measured.whole_round_trips(row):.1f}",
        f"{measured.round_trips(row):.1f}",
        f"{median(lambda it: it.critical_path / it.round_trip):.1f}",
        f"{median(lambda it: it.depth):.0f}",
        str(spread.runs),
    )


def _counts(measured: Measured, rows: Iterable[Row]) -> str:
    head = (
        "Counted in each run, and peak memory",
        "services",
        "latencies",
        "requests",
        "writes",
        "of the project's policy",
        "builds",
        "conflicts",
        "memory, MB",
    )
    return table(head, *(_count_row(measured, row) for row in rows))


def _count_row(measured: Measured, row: Row) -> tuple[str, ...]:
    counted = ("requests", "writes", "policy_writes", "builds", "conflicts")
    samples = measured.samples[row]
    counts = [_range([getattr(sample, name) for sample in samples]) for name in counted]
    memory = f"{max(sample.memory for sample in samples) / MB:.0f}" if row.what != "container" else ""
    return _WHAT[row.what], str(row.services), "recorded" if row.latencies else "none", *counts, memory


def _range(values: Sequence[int]) -> str:
    return str(values[0]) if min(values) == max(values) else f"{min(values)} to {max(values)}"


def _verdicts(found: Iterable[Verdict]) -> str:
    rows = [(it.what, _number(it.figure, it.target), _number(it.target.most, it.target), _word(it)) for it in found]
    return table(("Target", "measured", "at most", ""), *rows)


def _word(verdict: Verdict) -> str:
    return "not measured" if verdict.figure is None else "reached" if verdict.is_reached else "**missed**"


def _number(figure: float | None, target: Target) -> str:
    if figure is None:
        return ""
    return f"{figure:g} {target.unit}".rstrip() if figure == int(figure) else f"{figure:.2f} {target.unit}".rstrip()


def _median(measured: Measured, row: Row, of: Callable[[Sample], float]) -> float:
    return statistics.median(of(sample) for sample in measured.samples[row])


def in_seconds(spread: Spread) -> tuple[str, str]:
    """The median, and the least to the most, as two cells."""
    return f"{spread.median:.2f}", f"{spread.least:.2f} to {spread.most:.2f}"


def table(head: tuple[str, ...], *rows: tuple[str, ...]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def as_json(measured: Measured, found: Iterable[Verdict]) -> str:
    """All of it for programs: every single run, in seconds and bytes, and what became of the targets."""
    return json.dumps(
        {
            "where": measured.where,
            "notes": measured.notes,
            "interpreter": measured.interpreter,
            "bare_import": measured.bare_import,
            "container": measured.container,
            "gcloud": measured.gcloud,
            "rows": [
                {
                    **dataclasses.asdict(row),
                    "samples": [
                        {**dataclasses.asdict(sample), "critical_path": sample.critical_path} for sample in samples
                    ],
                }
                for row, samples in measured.samples.items()
            ],
            "targets": [
                {
                    "what": it.what,
                    "figure": it.figure,
                    "most": it.target.most,
                    "allowed": it.allowed,
                    "reached": it.is_reached,
                }
                for it in found
            ],
        },
        indent=2,
    )
