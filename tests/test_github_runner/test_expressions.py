from __future__ import annotations

import pytest

from tests.github_runner import ActionRefused, NotModelled
from tests.github_runner.expressions import parse

INPUTS = frozenset({"inputs"})
CONTEXTS = {"inputs": {"region": "mars", "dry-run": "yes", "it's": "odd"}, "github": {"sha": "abc"}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain { } }}", "plain { } }}"),
        ("${{ inputs.region }}", "mars"),
        ("<${{inputs.REGION}}|${{ Inputs['dry-run'] }}>", "<mars|yes>"),
        ("${{ inputs.dry-run }}", "yes"),
        ("${{ inputs['it''s'] }}", "odd"),
        ("${{ inputs.unknown }}", ""),
        ("${{ '{{ }} it''s' }}", "{{ }} it's"),
        ("${{ true }} ${{ null }} ${{ 42 }} ${{ -0 }}", "true  42 0"),
        ("${{ inputs.region }}}", "mars}"),
    ],
)
def test_literals_and_properties_are_replaced(text: str, expected: str) -> None:
    assert parse(text, INPUTS).evaluate(CONTEXTS) == expected


@pytest.mark.parametrize("text", ["${{ github.sha }}", "${{ secrets.A }}", "${{ }}", "${{ inputs.a", "${{ 'a }}"])
def test_what_the_runner_does_not_accept_is_refused(text: str) -> None:
    with pytest.raises(ActionRefused):
        parse(text, INPUTS)


@pytest.mark.parametrize(
    "text",
    [
        *("${{ inputs.a || 'b' }}", "${{ format('{0}', inputs.a) }}", "${{ inputs.a.b }}", "${{ inputs.* }}"),
        *("${{ 1.50 }}", "${{ 0xff }}", "${{ !inputs.a }}", "${{ inputs }}", "${{ insert }}", "${{ 'a' 'b' }}"),
    ],
)
def test_other_expressions_are_not_guessed(text: str) -> None:
    with pytest.raises(NotModelled):
        parse(text, INPUTS)


def test_a_value_that_nobody_gave_is_not_guessed() -> None:
    allowed = frozenset({"github", "matrix"})
    assert parse("${{ github.sha }}", allowed).evaluate(CONTEXTS) == "abc"
    for text in ("${{ github.token }}", "${{ matrix.os }}"):
        with pytest.raises(NotModelled):
            parse(text, allowed).evaluate(CONTEXTS)
