from __future__ import annotations

import pytest

from tests.github_runner import NotModelled, Refused
from tests.github_runner.workflow import load

WORKFLOW = """\
name: Small
on:
  push:
permissions: {}
jobs:
  work:
    runs-on: ubuntu-24.04
    permissions: {contents: read}
    concurrency: one-${{ github.ref }}
    steps:
      - uses: owner/action@v1
        with: {mode: "${{ github.event_name }}"}
"""


def test_what_a_file_says_is_read() -> None:
    workflow = load(WORKFLOW)
    job = workflow.jobs["work"]
    assert (workflow.name, workflow.permissions, job.permissions) == ("Small", {}, {"contents": "read"})
    assert job.concurrency is not None
    assert job.concurrency.evaluate({"github": {"ref": "main"}}) == "one-main"
    assert job.steps[0].inputs["mode"].evaluate({"github": {"event_name": "push"}}) == "push"


@pytest.mark.parametrize("condition", ["github.ref == 'main'", "${{ github.ref == 'main' }}"])
def test_a_condition_is_an_expression_with_or_without_braces(condition: str) -> None:
    job = load(WORKFLOW.replace("runs-on:", f"if: {condition}\n    runs-on:")).jobs["work"]
    assert job.condition is not None
    assert job.condition.value({"github": {"ref": "main"}}) is True
    assert job.condition.value({"github": {"ref": "other"}}) is False


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("contents: read", "contents: admin"),
        ("github.ref", "secrets.A"),  # not in a concurrency group
        ("github.ref", "steps.a.outputs.b"),
        ("github.event_name", "jobs.a.outputs.b"),
        ("runs-on:", "if: secrets.A\n    runs-on:"),
        ("steps:", "outputs: [a]\n    steps:"),
        ("push:", "push: main"),
    ],
)
def test_what_github_does_not_accept_is_refused(old: str, new: str) -> None:
    assert old in WORKFLOW
    with pytest.raises(Refused):
        load(WORKFLOW.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("permissions: {}", "env: {A: b}"),
        ("permissions: {}", "permissions: read-all"),
        ("on:\n  push:", "on: push"),
        ("runs-on:", "needs: other\n    runs-on:"),
        ("runs-on:", "strategy: {matrix: {a: [1]}}\n    runs-on:"),
        ("ubuntu-24.04", "windows-2025"),
        ("runs-on:", "if: always()\n    runs-on:"),
        ("runs-on:", "if: is ${{ github.ref }}\n    runs-on:"),
        ("concurrency: one-${{ github.ref }}", "concurrency: {group: a, cancel-in-progress: true}"),
        ("- uses:", "- if: github.ref\n        uses:"),
        ("- uses: owner/action@v1", "- run: echo"),
        ("- uses:", "- continue-on-error: true\n        uses:"),
    ],
)
def test_what_is_not_modelled_is_not_passed_over(old: str, new: str) -> None:
    assert old in WORKFLOW
    with pytest.raises(NotModelled):
        load(WORKFLOW.replace(old, new))
