from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.github_runner import NotModelled, Refused
from tests.github_runner.expressions import Contexts, parse, parse_expression

ROOT = Path(__file__).parent.parent.parent
INPUTS = frozenset({"inputs"})
CONTEXTS: Contexts = {"inputs": {"region": "mars", "dry-run": "yes", "it's": "odd"}, "github": {"sha": "abc"}}

ALL = frozenset({"github", "inputs"})
EVENT: Contexts = {
    "github": {"event_name": "push", "event": {"number": 7, "head": {"repo": None, "Ref": "Main"}, "zero": 0}},
    "inputs": {"mode": "plan", "show": True, "quiet": False, "nothing": None, "empty": "", "false": "false"},
}
EXPRESSIONS = (
    "inputs.show && 'yes' || 'no'",
    "inputs.quiet && 'yes' || 'no'",
    "inputs.false && 'yes' || 'no'",  # a text, and no empty one
    "inputs.empty || inputs.mode || inputs.show",
    "inputs.show || inputs.quiet && inputs.quiet",
    "(inputs.show || inputs.quiet) && inputs.quiet",
    "inputs.nothing && 1",
    "!inputs.nothing",
    "!!github.event",
    "!github.event.zero",
    "inputs.mode == 'PLAN'",
    "inputs.mode != 'drift' == inputs.show",
    "inputs.show == 1",
    "inputs.show == 'true'",
    "inputs.nothing == 0",
    "inputs.nothing == ''",
    "inputs.nothing == inputs.quiet",
    "github.event.number == ' 7 '",
    "github.event.number == '7.0'",
    "github.event.number == 'seven'",
    "github.event.head.repo.full_name == github.event_name",
    "github.event.head.repo.full_name != github.event_name",
    "github.event.HEAD.ref",
    "github.event['head']['Ref'] == 'main'",
    "github.event.number.more",
    "inputs.mode == 'plan' && format('-{0}-{1}{{{0}}}', github.event.number, inputs.show) || ''",
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain { } }}", "plain { } }}"),
        ("${{ inputs.region }}", "mars"),
        ("<${{inputs.REGION}}|${{ Inputs['dry-run'] }}>", "<mars|yes>"),
        ("${{ inputs.dry-run }}", "yes"),
        ("${{ inputs['it''s'] }}", "odd"),
        ("${{ inputs.unknown }}", ""),
        ("${{ inputs.region.more }}", ""),
        ("${{ '{{ }} it''s' }}", "{{ }} it's"),
        ("${{ true }} ${{ null }} ${{ 42 }} ${{ -0 }}", "true  42 0"),
        ("${{ inputs.region }}}", "mars}"),
        ("${{ inputs.region == 'Mars' && format('to {0}', inputs.region) }}", "to mars"),
    ],
)
def test_expressions_in_a_text_are_replaced(text: str, expected: str) -> None:
    assert parse(text, INPUTS).evaluate(CONTEXTS) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${{ inputs.show }}", True),
        ("a ${{ inputs.show }}", "a true"),
        ("${{ github.event.number }}", 7),
        ("${{ inputs.nothing }}", None),
        ("", ""),
    ],
)
def test_an_expression_that_stands_alone_keeps_what_it_is(text: str, expected: Any) -> None:
    value = parse(text, ALL).value(EVENT)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    "text",
    [
        *("${{ github.sha }}", "${{ secrets.A }}", "${{ }}", "${{ inputs.a", "${{ 'a }}", "${{ insert }}"),
        *("${{ 'a' 'b' }}", "${{ inputs.a == }}", "${{ (inputs.a }}", "${{ inputs.a) }}", "${{ inputs. }}"),
        *("${{ shout('a') }}", "${{ inputs.a = 'b' }}", "${{ inputs['a' }}", "${{ format('a' }}", "${{ == 1 }}"),
    ],
)
def test_what_the_runner_does_not_accept_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        parse(text, INPUTS)


@pytest.mark.parametrize("text", ["${{ format('{1}', 'a') }}", "${{ format('{', 'a') }}", "${{ format('{a}', 'a') }}"])
def test_a_format_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        parse(text, INPUTS).evaluate(CONTEXTS)


@pytest.mark.parametrize(
    "text",
    [
        *("${{ inputs.* }}", "${{ 1.50 }}", "${{ 0xff }}", "${{ NaN }}", "${{ inputs }}", "${{ inputs.a < 1 }}"),
        *("${{ contains(inputs.a, 'b') }}", "${{ always() }}", "${{ inputs[inputs.a] }}", "${{ +1 }}"),
    ],
)
def test_other_expressions_are_not_guessed(text: str) -> None:
    with pytest.raises(NotModelled):
        parse(text, INPUTS)


@pytest.mark.parametrize("text", ["${{ github.event }}", "${{ github.event == 'a' }}", "${{ '0x1' == 1 }}"])
def test_values_that_are_not_modelled_are_not_guessed(text: str) -> None:
    with pytest.raises(NotModelled):
        parse(text, ALL).evaluate(EVENT)


def test_a_value_that_nobody_gave_is_not_guessed() -> None:
    allowed = frozenset({"github", "matrix"})
    assert parse("${{ github.sha }}", allowed).evaluate(CONTEXTS) == "abc"
    for text in ("${{ github.token }}", "${{ matrix.os }}"):
        with pytest.raises(NotModelled):
            parse(text, allowed).evaluate(CONTEXTS)


def test_githubs_own_evaluator_finds_the_same_values() -> None:
    ours = [parse_expression(text, ALL).value(EVENT) for text in EXPRESSIONS]
    theirs = _evaluated_by_github(EXPRESSIONS)

    # As texts, since in Python True is 1.
    assert dict(zip(EXPRESSIONS, map(repr, ours), strict=True)) == dict(
        zip(EXPRESSIONS, map(repr, theirs), strict=True)
    )


def _evaluated_by_github(expressions: tuple[str, ...]) -> list[Any]:
    if shutil.which("node") is None or not (ROOT / "node_modules/@actions/expressions").is_dir():
        pytest.skip("NOT COMPARED with GitHub's own evaluator: script/check-workflows has not brought it here")
    script = """
        import {readFileSync} from "node:fs";
        import {data, Evaluator, Lexer, Parser} from "@actions/expressions";
        const {contexts, expressions} = JSON.parse(readFileSync(0, "utf8"));
        const values = JSON.parse(JSON.stringify(contexts), data.reviver);
        const evaluate = text => {
          const expression = new Parser(new Lexer(text).lex().tokens, Object.keys(contexts), []).parse();
          return new Evaluator(expression, values).evaluate();
        };
        console.log(JSON.stringify(expressions.map(evaluate), data.replacer));
    """
    given = json.dumps({"contexts": EVENT, "expressions": expressions})
    command = ["node", "--input-type=module", "--eval", script]
    done = subprocess.run(command, input=given, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    values: list[Any] = json.loads(done.stdout)
    return values
