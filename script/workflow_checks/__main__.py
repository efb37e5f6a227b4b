"""Reads action.yml and workflow files, prints what it finds, and exits with 1 then.

python -m script.workflow_checks FILE...    paths from the root of the repository, which is the current folder
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from script.workflow_checks import input_values, permissions, shell, undeclared
from script.workflow_checks.document import Finding, read

_CHECKS = (
    undeclared.inputs_of_an_action,
    undeclared.outputs_of_steps,
    shell.scripts,
    permissions.of_called_workflows,
    permissions.of_steps,
    input_values.defaults,
    input_values.of_called_workflows,
    input_values.of_this_action,
)


def findings(file: Path) -> Iterator[Finding]:
    """All that is wrong in one file, by its lines."""
    document = read(file)
    yield from sorted({finding for check in _CHECKS for finding in check(document)})


def main(files: list[str]) -> int:
    """Print what is wrong in these files; 1 where anything is."""
    found = [finding for file in files for finding in findings(Path(file))]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
