"""How much memory programs use, as this machine's ``/proc`` shows it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_SHARE = re.compile(rb"^Pss:\s+(\d+) kB$", re.MULTILINE)


def used(session: int, *, worth_counting: int = 0) -> int:
    """Bytes of memory that the programs of a session use, without the one that leads it; 0 without ``/proc``.

    :param session: its number, which is that of the process that leads it.
    :param worth_counting: bytes. Where what several processes share, counted as often as there are of them, makes more
        than that, it is counted once, which takes longer.
    """
    members = [number for number in _members(session) if number != session]
    resident = sum(map(_resident, members))
    return resident if resident <= worth_counting else sum(map(_proportional, members))


def _members(session: int) -> Iterator[int]:
    try:
        names = os.listdir(_PROC)  # noqa: PTH208 - the names are enough, and this is done often
    except OSError:
        return
    for number in (int(name) for name in names if name.isdecimal()):
        with contextlib.suppress(OSError):  # it has ended
            if os.getsid(number) == session:
                yield number


def _resident(process: int) -> int:
    try:
        return int((_PROC / str(process) / "statm").read_bytes().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0  # it has ended


def _proportional(process: int) -> int:
    """With its share of what it has together with others."""
    try:
        match = _SHARE.search((_PROC / str(process) / "smaps_rollup").read_bytes())
    except OSError:
        match = None
    return int(match[1]) * 1024 if match else _resident(process)
