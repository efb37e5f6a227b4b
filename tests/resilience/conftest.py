"""The suite that disturbs deployments in every way: its options, its rows, and fresh clouds for its scenarios."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.resilience.clouds import Clouds
from tests.resilience.rows import PROPERTY, Choice, Row, Table
from tests.resilience.worlds import Worlds

_TABLE = pytest.StashKey[Table]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("resilience")
    group.addoption("--full", action="store_true", help="try all scenarios, and not a sample of each row")
    group.addoption("--seed", type=int, default=1, help="of the sample, and of the schedules of concurrent runs")
    group.addoption("--scenario", default="", metavar="TEXT", help="try only scenarios with this text in their name")
    group.addoption("--report", type=Path, metavar="PATH", help="write the rows to this file, as JSON")
    group.addoption("--page", type=Path, metavar="PATH", help="put the rows into this page, docs/resilience.md")


def _choice(config: pytest.Config) -> Choice:
    return Choice(
        full=bool(config.getoption("full", default=False)),
        seed=int(config.getoption("seed", default=1)),
        only=str(config.getoption("scenario", default="")),
    )


def _table(config: pytest.Config) -> Table:
    return config.stash.setdefault(_TABLE, Table())


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Iterator[Row]:
    """The row of the test's module, whose ``ROW`` is its name."""
    row = Row(request.module.ROW, request.node.nodeid, _choice(request.config))
    yield row
    request.node.user_properties.append((PROPERTY, row.as_json()))


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Of schedules."""
    return _choice(request.config).seed


@pytest.fixture(scope="session")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Worlds:
    """Makes fresh worlds, in which the same small service is deployed."""
    return Worlds(Clouds(tmp_path_factory.mktemp("clouds")))


class _Rows:
    """Adds the rows up where the tests are reported, which with several processes is another one."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            for name, value in report.user_properties:
                if name == PROPERTY:
                    part: Any = value
                    _table(self._config).add(part)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        table, choice = _table(self._config), _choice(self._config)
        if not table.rows:
            return
        which = "all scenarios" if choice.full else "a sample"
        terminalreporter.section(f"resilience: {which}, seed {choice.seed}")
        for line in table.lines():
            terminalreporter.write_line(line)
        path: Path | None = self._config.getoption("report", default=None)
        page: Path | None = self._config.getoption("page", default=None)
        if page is not None:
            page.write_text(table.as_page(page.read_text()))
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            content = {"full": choice.full, "seed": choice.seed, "rows": table.as_json()}
            path.write_text(json.dumps(content, indent=2) + "\n")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # a process of several reports to the one that shows
        config.pluginmanager.register(_Rows(config), "resilience rows")
