"""Google Cloud's regions: where they are, how clean their electricity is, and in which an Octue service can run.

The table is data, ``regions.csv``, of one year; its head says where it is from. Google adds regions: one that the table
does not know is not wrong, and is deployed to like any other.
"""

from __future__ import annotations

import csv
import difflib
import functools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from octue_action.problems import Rejected

YEAR = 2024
"""Of the shares and intensities in the table. A new table, with its year here, is all that a new year takes."""

LOW_CARBON_SHARE = 0.75
LOW_CARBON_INTENSITY = 200.0
"""What Google labels "Low CO2": a carbon-free share of at least 75 %, or, where no share is published, a grid of at
most 200 gCO2eq/kWh (cloud.google.com/sustainability/region-carbon#region-picker)."""

NEAR_BY = 1000.0
"""Kilometres within which a cleaner region is worth a word: about 10 ms of a question that takes seconds or minutes."""

MUCH_CLEANER = 0.5
"""The share of the grid's intensity that is left in a region that is called much cleaner."""

_CONTINENTS = frozenset({"africa", "asia", "australia", "europe", "me", "northamerica", "southamerica", "us"})
_DIRECTIONS = frozenset(
    {"central", "north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest"}
)
_NEARLY = 0.75
"""How like a known word another has to be, as difflib measures it, to be that word with a slip: one in four letters."""

_LONGEST = 64
"""Letters of a word that are compared: whoever writes more is not helped by it."""

_EARTH_RADIUS = 6371.0  # kilometres, on average


@dataclass(frozen=True, kw_only=True)
class Region:
    """A region as the table has it.

    :param name: such as ``europe-north1``
    :param place: such as ``Hamina, Finland``
    :param latitude: degrees
    :param longitude: degrees
    :param carbon_free: share of carbon-free energy ("CFE"), 0 to 1; ``None`` where none is published
    :param intensity: of the grid, gCO2eq/kWh
    :param cloud_run: whether Cloud Run serves it
    :param eventarc: whether Eventarc does
    """

    name: str
    place: str
    latitude: float
    longitude: float
    carbon_free: float | None
    intensity: float
    cloud_run: bool
    eventarc: bool

    @property
    def is_served(self) -> bool:
        """Whether an Octue service can run there: it takes Cloud Run, and Eventarc."""
        return self.cloud_run and self.eventarc

    @property
    def figures(self) -> str:
        """How clean its electricity is, in words."""
        share = "" if self.carbon_free is None else f"{100 * self.carbon_free:.0f} % carbon-free, "
        return f"{share}{self.intensity:.0f} gCO2eq/kWh"

    @property
    def described(self) -> str:
        """Its name, its place and how clean its electricity is."""
        return f"{self.name} ({self.place}): {self.figures} ({YEAR})"


@functools.cache
def table() -> Mapping[str, Region]:
    """All regions that are known, by name; read when first asked for."""
    with Path(__file__).with_name("regions.csv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return {row["region"]: _region(row) for row in rows}


def _region(row: Mapping[str, str]) -> Region:
    return Region(
        name=row["region"],
        place=row["place"],
        latitude=float(row["latitude"]),
        longitude=float(row["longitude"]),
        carbon_free=float(row["carbon_free"]) if row["carbon_free"] else None,
        intensity=float(row["intensity"]),
        cloud_run=row["cloud_run"] == "yes",
        eventarc=row["eventarc"] == "yes",
    )


def region(name: str) -> Region | None:
    """The region of that name; ``None`` where the table has none."""
    return table().get(name)


def described(name: str) -> str:
    """A region's name, its place and how clean its electricity is, as far as that is known."""
    known = region(name)
    return known.described if known else f"{name}: no figures of {YEAR}"


def is_low_carbon(it: Region) -> bool:
    """Whether Google labels a region "Low CO2"."""
    if it.carbon_free is None:
        return it.intensity <= LOW_CARBON_INTENSITY
    return it.carbon_free >= LOW_CARBON_SHARE


def distance(one: Region, other: Region) -> float:
    """Kilometres between two regions along the great circle (the haversine formula)."""
    a, b = math.radians(one.latitude), math.radians(other.latitude)
    across = math.radians(other.longitude - one.longitude)
    haversine = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(across / 2) ** 2
    return 2 * _EARTH_RADIUS * math.asin(min(1.0, math.sqrt(haversine)))


def nearest(origin: Region, wanted: Callable[[Region], bool], count: int = 3) -> tuple[Region, ...]:
    """The nearest other regions that can be deployed to and are wanted, the nearest first.

    :param count: at most so many.
    """
    others = [it for it in table().values() if it.name != origin.name and it.is_served and wanted(it)]
    return tuple(sorted(others, key=lambda it: (distance(origin, it), it.name))[:count])


def cleaner_near_by(origin: Region) -> tuple[Region, ...]:
    """The nearest low-carbon regions that are near by and much cleaner; none for a region that is low-carbon itself."""
    if is_low_carbon(origin):
        return ()

    def is_much_cleaner(it: Region) -> bool:
        is_cleaner = is_low_carbon(it) and it.intensity <= MUCH_CLEANER * origin.intensity
        return is_cleaner and distance(origin, it) <= NEAR_BY

    return nearest(origin, is_much_cleaner)


# What is told


def advice(name: str) -> str:
    """Sentences on much cleaner regions near by; empty where there are none."""
    origin = region(name)
    cleaner = cleaner_near_by(origin) if origin else ()
    if not origin or not cleaner:
        return ""
    listed = "; ".join(f"{it.name} ({it.place}, {_far(origin, it)}): {it.figures}" for it in cleaner)
    return (
        f"Much cleaner than {name}, and near by: {listed}. To deploy there: `region: {cleaner[0].name}`, and connect "
        "the repository to Cloud Build there. Mind where your data may be kept. A service that is deployed already "
        f"does not move: this makes a new one, on a topic of its own. So destroy the one in {name} first: the new one "
        "then goes on with its topic, which its askers know."
    )


def newness(name: str) -> str:
    """Sentences on a region that the table does not know; empty where it does."""
    if region(name) is not None:
        return ""
    alike = _alike(name)
    meant = f" If it is a slip, perhaps you meant {_choice(alike)}." if alike else ""
    return (
        f"{name} is not among the regions of {YEAR}, which are all that this version of the action knows. Google may "
        f"have added it since, so it is deployed to all the same.{meant}"
    )


# What is refused


def refuse_misspelt(name: str) -> None:
    """Refuse a name with a word in it that is a slip of one that Google uses, as in ``euorpe-west1``.

    A word that is like none may be one of a region that came after the table.

    :param name: of a region's form
    :raises Rejected: with the names that were perhaps meant
    """
    continent, _, rest = name.partition("-")
    direction = rest.rstrip("0123456789")
    number = rest.removeprefix(direction)
    continents, directions = _meant(continent, _CONTINENTS), _meant(direction, _DIRECTIONS)
    if name in table() or (continents == [continent] and directions == [direction]):
        return
    alike = [f"{c}-{d}{number}" for c in continents for d in directions]
    alike = [it for it in alike if it in table()] or _alike(name)
    hint = f" Perhaps you meant {_choice(alike)}." if alike else ""
    raise Rejected("there is no such region", "a region such as europe-west1", hint)


def refuse_unserved(name: str) -> None:
    """Refuse a region in which no Octue service can run.

    :raises Rejected: with the nearest regions in which one can
    """
    known = region(name)
    if known is None or known.is_served:
        return
    missing = [service for service, has in (("Cloud Run", known.cloud_run), ("Eventarc", known.eventarc)) if not has]
    who = f"neither {' nor '.join(missing)} serves" if len(missing) > 1 else f"{missing[0]} does not serve"
    nearest_served = _lines(known, nearest(known, lambda _: True))
    raise Rejected(f"{who} {known.place}", f"one of the nearest that both serve, {nearest_served}")


def refuse_high_carbon(name: str) -> None:
    """Refuse a region that Google does not label "Low CO2", and one that there are no figures of.

    :raises Rejected: with the nearest regions that it does label so
    """
    known = region(name)
    policy = "`region_policy` is low-carbon"
    share = f"a region with at least {100 * LOW_CARBON_SHARE:.0f} % carbon-free energy"
    if known is None:
        example = "such as `region: europe-north1`, or `region_policy: any`"
        raise Rejected(f"there are no figures of {YEAR} for it, and {policy}", f"{share}, {example}")
    if not is_low_carbon(known):
        nearest_clean = _lines(known, nearest(known, is_low_carbon))
        reason = f"{known.place} is {known.figures} ({YEAR}), and {policy}"
        raise Rejected(reason, f"{share}; the nearest are {nearest_clean}")


def _meant(word: str, known: frozenset[str]) -> list[str]:
    """The known words that a word is, or is a slip of, or the beginning of, as in ``eu-west1``; itself if of none."""
    if word in known:
        return [word]
    alike = difflib.get_close_matches(word[:_LONGEST], known, cutoff=_NEARLY)
    return alike or sorted(it for it in known if it.startswith(word)) or [word]


def _alike(name: str) -> list[str]:
    """The names of served regions that are most like a name."""
    return difflib.get_close_matches(name[:_LONGEST], [it.name for it in table().values() if it.is_served], n=3)


def _lines(origin: Region, them: Iterable[Region]) -> str:
    """Regions as lines to paste."""
    return _listed(f"`region: {it.name}` ({it.place}, {_far(origin, it)})" for it in them)


def _choice(names: Iterable[str]) -> str:
    return _listed(f"`{name}`" for name in names)


def _far(origin: Region, it: Region) -> str:
    return f"{distance(origin, it):,.0f} km"


def _listed(words: Iterable[str]) -> str:
    """Words as a choice: ``a, b or c``."""
    *before, last = words
    return f"{', '.join(before)} or {last}" if before else last
