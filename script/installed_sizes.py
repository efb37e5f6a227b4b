"""Prints what is installed in an image as JSON: the bytes of the action, and of each distribution by its name.

Runs within the image, with the image's own Python and nothing else.
"""

import csv
import importlib.metadata
import json
import sysconfig
from collections import Counter
from pathlib import Path

ACTION = Path("/action")


def owners(packages: Path) -> dict[str, str]:
    """Which distribution each file is from, by its path in the folder of packages.

    The lists of files are read as they are: ``Distribution.files`` passes over the sources, which the image has as
    bytecode only.
    """
    return {
        file: distribution.name
        for distribution in importlib.metadata.distributions(path=[str(packages)])
        for file, *_ in csv.reader((distribution.read_text("RECORD") or "").splitlines())
    }


def sizes(packages: Path) -> Counter[str]:
    """The bytes of each distribution; those of files that are of none are left out."""
    owner = owners(packages)
    found: Counter[str] = Counter()
    for path in packages.rglob("*"):
        file = str(path.relative_to(packages))
        name = owner.get(file) or owner.get(file.removesuffix("c"))
        if name is not None and path.is_file():
            found[name] += path.stat().st_size
    return found


if __name__ == "__main__":
    action = sum(path.stat().st_size for path in ACTION.rglob("*") if path.is_file())
    print(json.dumps({"action": action, **sizes(Path(sysconfig.get_path("purelib")))}))
