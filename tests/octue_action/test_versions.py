from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from octue_action import versions
from octue_action.versions import Range, Release, between

_RELEASES = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))


@st.composite
def _clauses(draw: st.DrawFn) -> str:
    operator = draw(st.sampled_from(["==", "!=", "<=", ">=", "<", ">", "~=", "==.*", "!=.*"]))
    least = 2 if operator == "~=" else 1
    numbers = draw(st.lists(st.integers(0, 3), min_size=least, max_size=3))
    suffix = ".*" if operator.endswith(".*") else ""
    return operator.removesuffix(".*") + ".".join(map(str, numbers)) + suffix


_RANGES = st.lists(_clauses(), max_size=4).map(lambda clauses: versions.of_pip(",".join(clauses)) or Range(()))


@given(st.lists(_clauses(), max_size=4), _RELEASES)
def test_what_a_specifier_allows_is_what_pip_allows(clauses: list[str], release: Release) -> None:
    text = ",".join(clauses)

    allowed = versions.of_pip(text)

    assert allowed is not None
    assert (release in allowed) == SpecifierSet(text).contains(".".join(map(str, release)))


@given(_RANGES, _RANGES, _RELEASES)
def test_ranges_are_sets(one: Range, other: Range, release: Release) -> None:
    assert (release in ~one) == (release not in one)
    assert (release in one | other) == (release in one or release in other)
    assert (release in one & other) == (release in one and release in other)
    if one.is_within(other):
        assert release not in one or release in other


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.39.0", between((0, 39, 0), (0, 39, 1))),
        ("=0.39.0", between((0, 39, 0), (0, 39, 1))),
        ("0.39.*", between((0, 39, 0), (0, 40, 0))),
        ("^0.39", between((0, 39, 0), (0, 40, 0))),
        ("^0.39.1", between((0, 39, 1), (0, 40, 0))),
        ("^0.0.3", between((0, 0, 3), (0, 0, 4))),
        ("^0.0", between((0, 0, 0), (0, 1, 0))),
        ("^0", between((0, 0, 0), (1, 0, 0))),
        ("^1.2.3", between((1, 2, 3), (2, 0, 0))),
        ("~0.39.1", between((0, 39, 1), (0, 40, 0))),
        ("~0.39", between((0, 39, 0), (0, 40, 0))),
        ("~1", between((1, 0, 0), (2, 0, 0))),
        (">=0.30 <0.40", between((0, 30, 0), (0, 40, 0))),
        (">=0.30,<0.40", between((0, 30, 0), (0, 40, 0))),
        ("0.1.* || 0.2.*", between((0, 1, 0), (0, 3, 0))),
        ("*", versions.EVERY),
    ],
)
def test_what_a_constraint_of_poetrys_allows(text: str, expected: Range) -> None:
    assert versions.of_poetry(text) == expected


@given(st.text() | st.text("0123456789.*<>=!~^, |v", max_size=300))
def test_whatever_stands_there_is_read_or_not_known(text: str) -> None:
    for allowed in (versions.of_pip(text), versions.of_poetry(text)):
        assert allowed is None or list(allowed.intervals) == sorted(allowed.intervals, key=lambda it: it[0])


@pytest.mark.parametrize("text", ["==0.39.0rc1", "==1!0.39.0", "@ https://example.com/octue.whl", "==1.2.3.4", "=>1"])
def test_what_is_written_otherwise_is_not_known(text: str) -> None:
    assert versions.of_pip(text) is None


@pytest.mark.parametrize(
    ("allowed", "is_newest"),
    [("<0.40", True), ("<=0.39.0", True), ("==0.39.0", True), ("<0.40.1", False), (">=0.30", False), ("", False)],
)
def test_the_newest_release_that_is_allowed_is_what_pip_installs(allowed: str, is_newest: bool) -> None:
    before = between((0, 16, 0), (0, 40, 0))

    assert before.has_newest_of(versions.of_pip(allowed) or Range(())) is is_newest


def test_nothing_has_the_newest_of_nothing() -> None:
    assert not versions.EVERY.has_newest_of(Range(()))
    assert not Range(()).is_within(versions.EVERY)


@pytest.mark.parametrize(("text", "expected"), [("==1.2", True), ("==1.2.*", False), (">=1", False), ("<0.0.1", True)])
def test_a_single_release_is_told_from_a_range(text: str, expected: bool) -> None:
    assert (versions.of_pip(text) or Range(())).is_one is expected
