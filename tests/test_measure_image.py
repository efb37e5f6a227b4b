"""The page on the image says what the script measures, and the image keeps within its limits."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from script import measure_image
from script.installed_sizes import sizes
from script.measure_image import (
    GROUPS,
    MARKS,
    REST,
    Measured,
    Spread,
    Start,
    Unmeasurable,
    as_json,
    as_markdown,
    grouped,
    rewritten,
)

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "image.md").read_text()
MEASURED = Measured(
    where="Measured on a machine.",
    base_bytes=130_000_000,
    image_bytes=180_000_000,
    contents=dict.fromkeys(GROUPS, 5_000_000),
    start=Start(Spread(0.4, 0.5, 0.6), Spread(0.6, 0.7, 0.8), Spread(0.8, 0.9, 1.0)),
)


def rows(markdown: str) -> list[str]:
    """The first cell of each row of each table."""
    return sorted(line.split(" | ")[0] for line in markdown.splitlines() if line.startswith("| "))


def with_first_line_later(seconds: float) -> Measured:
    start = dataclasses.replace(MEASURED.start, base=Spread.of([0.0]), first_line=Spread.of([seconds]))
    return dataclasses.replace(MEASURED, start=start)


def test_the_page_has_the_rows_that_the_script_prints() -> None:
    assert rows(PAGE) == rows(as_markdown(MEASURED))


def test_the_page_names_a_measured_size_within_the_limit() -> None:
    (size,) = (line.split("**")[3] for line in PAGE.splitlines() if line.startswith("| **The image over the base**"))

    assert 0 < float(size) <= 75


def test_the_parts_add_up_to_the_size_over_the_base() -> None:
    parts = json.loads(as_json(MEASURED))["bytes"]["contents"]

    assert list(parts) == [*GROUPS, REST]
    assert sum(parts.values()) == MEASURED.over_base


def test_every_library_is_in_one_group() -> None:
    installed = {"grpcio": 1, "grpcio-status": 2, "grpc-google-iam-v1": 4, "PyYAML": 8, "google-auth": 16, "action": 32}

    assert {name: size for name, size in grouped(installed).items() if size} == {
        "gRPC": 3,
        "Google's API clients": 4,
        "PyYAML": 8,
        "Google's common libraries": 16,
        "The action itself": 32,
    }


def test_an_image_at_its_limits_breaks_none() -> None:
    assert dataclasses.replace(MEASURED, image_bytes=205_000_000).broken == []
    assert with_first_line_later(0.6).broken == []


def test_an_image_that_is_too_large_says_so() -> None:
    (broken,) = dataclasses.replace(MEASURED, image_bytes=205_100_000).broken

    assert broken == "The image has 75.1 MB over its base, more than 75."


def test_a_first_line_that_comes_too_late_says_so() -> None:
    (broken,) = with_first_line_later(0.7).broken

    assert broken == "The first line comes 0.70 s later, more than 0.6."


def test_the_script_fails_where_a_limit_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    large = dataclasses.replace(MEASURED, image_bytes=206_000_000)
    monkeypatch.setattr(measure_image, "measure", lambda _: large)
    monkeypatch.setattr(sys, "argv", ["measure-image"])

    assert measure_image.main() == 1

    shown = capsys.readouterr()
    assert shown.out == f"{as_markdown(large)}\n"
    assert shown.err == "The image has 76.0 MB over its base, more than 75.\n"


def test_the_script_passes_where_all_limits_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure_image, "measure", lambda _: MEASURED)
    monkeypatch.setattr(sys, "argv", ["measure-image"])

    assert measure_image.main() == 0


def test_new_figures_take_the_place_of_the_old_ones_alone() -> None:
    page = f"Before.\n\n{MARKS[0]}\nold\n{MARKS[1]}\n\nAfter.\n"

    new = rewritten(page, MEASURED)

    assert new == f"Before.\n\n{MARKS[0]}\n\n{as_markdown(MEASURED)}\n\n{MARKS[1]}\n\nAfter.\n"
    assert rewritten(new, MEASURED) == new


def test_a_page_without_a_place_for_figures_is_left_alone() -> None:
    with pytest.raises(Unmeasurable, match="no place"):
        rewritten(f"{MARKS[0]} only", MEASURED)


def test_bytecode_counts_for_the_library_whose_source_it_replaces(tmp_path: Path) -> None:
    (tmp_path / "sun-1.0.dist-info").mkdir()
    (tmp_path / "sun-1.0.dist-info" / "METADATA").write_text("Name: sun\n")
    (tmp_path / "sun-1.0.dist-info" / "RECORD").write_text('sun.py,sha256=1,9\n"a,b.so",,\n')
    (tmp_path / "sun.pyc").write_bytes(b"1234")
    (tmp_path / "a,b.so").write_bytes(b"12")
    (tmp_path / "README.txt").write_bytes(b"of the base image")

    assert sizes(tmp_path) == {"sun": 6}


def test_the_image_is_small_and_quick(engine: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("\n".join(MARKS))

    done = subprocess.run(
        [ROOT / "script" / "measure-image", "--runs", "3", "--json", "--write", page],
        env={**os.environ, "ACTION_BASE_IMAGE": engine},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["broken"] == []
    assert 0 < figures["bytes"]["over_base"] < 75_000_000
    assert figures["bytes"]["over_base"] == figures["bytes"]["image"] - figures["bytes"]["base"]
    assert all(size > 0 for size in figures["bytes"]["contents"].values())
    assert figures["bytes"]["contents"][REST] < 1_000_000
    assert 0 < figures["seconds"]["first_line"]["median"] < figures["seconds"]["whole"]["median"]
    assert figures["seconds"]["first_line_later"] < 0.6
    assert rows(page.read_text()) == rows(PAGE)
