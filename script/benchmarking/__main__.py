"""``script/benchmark``: measure, and tell."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from script.benchmarking import growth
from script.benchmarking.cloud import Unmeasurable
from script.benchmarking.measuring import all_worlds, measure, quick_worlds
from script.benchmarking.table import as_json, as_markdown
from script.benchmarking.targets import verdicts


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and tell.

    :param arguments: of the command line, without the program's name.
    :returns: 0, or with ``--check`` 1 where a limit is broken or a target not measured, or 2 where nothing could be.
    """
    given = _parser().parse_args(arguments)
    worlds = quick_worlds() if given.quick else all_worlds(given.services, given.rounds, given.rounds_of_many)
    try:
        if given.growth:
            print(growth.as_markdown(list(growth.measure(given.rounds, _say))))
            return 0
        measured = measure(worlds, with_gcloud=given.gcloud, say=_say)
    except (Unmeasurable, OSError, subprocess.SubprocessError) as error:
        print(error, file=sys.stderr)
        return 2
    found = verdicts(measured, given.check or 1.0)
    print(as_markdown(measured, found))
    if given.json:
        given.json.write_text(as_json(measured, found) + "\n")
    if given.check is None:
        return 0
    complaints = [verdict.complaint for verdict in found if verdict.complaint]
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="script/benchmark", description="Measures how long the action takes, beside what it cannot do without."
    )
    parser.add_argument("--rounds", type=_number, default=5, help="how often each row is measured (%(default)s)")
    parser.add_argument(
        "--rounds-of-many", type=_number, help="how often each row of 100 services and more is (as often as the others)"
    )
    parser.add_argument("--services", type=_numbers, default=[1, 10, 100], metavar="N,N", help="how many (1,10,100)")
    parser.add_argument("--quick", action="store_true", help="each target, in few rounds: two minutes")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write every single figure there, in seconds and bytes"
    )
    parser.add_argument(
        "--check",
        type=float,
        metavar="MARGIN",
        help="exit with 1 where a target was not measured or its limit is broken; limits of times are multiplied by "
        "MARGIN before, but by no more than each one's noise asks for",
    )
    parser.add_argument(
        "--growth", action="store_true", help="measure what grows with the project's policy and with revisions, alone"
    )
    parser.add_argument("--gcloud", action="store_true", help="measure gcloud's commands for the same, too")
    return parser


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("expected a number from 1")
    return number


def _numbers(text: str) -> list[int]:
    return sorted({_number(each) for each in text.split(",")})


if __name__ == "__main__":
    sys.exit(main())
