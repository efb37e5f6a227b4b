"""The mutants that script/mutate makes, and what it tells of them."""

from __future__ import annotations

import pytest

from script.mutants import Mutant, mutants
from script.mutate import Result, Target, main, targets, told

CODE = compile("", "", "exec")
SURVIVOR = Mutant(place="f", line=3, before="a < b", after="a <= b", number=1, code=CODE)


def changes(source: str) -> list[tuple[str, str]]:
    return [(mutant.before, mutant.after) for mutant in mutants(source, "program.py", [])]


def in_function(statement: str) -> list[tuple[str, str]]:
    return changes(f"def f(a, b):\n    {statement}")


@pytest.mark.parametrize(
    ("expression", "others"),
    [
        ("a < b", {"a <= b"}),
        ("a is b", {"a is not b"}),
        ("a in b", {"a not in b"}),
        ("not a", {"a"}),
        ("a and b", {"a or b", "a", "b"}),
        ("a + b", {"a - b"}),
        ("a(b, c=d)", {"a(c=d)", "a(b)"}),
        ("(a, b)", {"(a,)", "(b,)"}),
        ("any(a)", {"all", "any()"}),
        ("True", {"False"}),
        ("7", {"6", "8"}),
        ("'get_|wait_'", {"'XXget_|wait_XX'", "''", "'get_'", "'wait_'"}),
        ("''", {"'XXXX'"}),
        ("lambda: a", {"lambda: None"}),
        ("a if b else c", {"True", "False"}),
        ("[x for x in a if x.b]", {"True", "False"}),
    ],
)
def test_an_expression_is_made_wrong(expression: str, others: set[str]) -> None:
    assert {after for _, after in changes(f"x = {expression}")} == others


def test_what_a_function_gives_and_does_is_left_out() -> None:
    assert in_function("return a") == [("return a", "return None")]
    assert in_function("a(b)") == [("a(b)", "pass"), ("a(b)", "a()")]
    assert in_function("raise a") == [("raise a", "pass")]


@pytest.mark.parametrize(
    "text", ["def f() -> 'text': ...", "x: int", "import a", "'A docstring.'", "@a(1)\nclass C: ..."]
)
def test_what_is_not_run_is_left_alone(text: str) -> None:
    assert changes(text) in ([], [("...", "pass")])


def test_a_mutant_is_wrong_in_one_place_only_and_the_next_one_in_another() -> None:
    found: list[tuple[int, int]] = []
    for mutant in mutants("x = 1\ny = 5", "program.py", []):
        names: dict[str, int] = {}
        exec(mutant.code, names)  # noqa: S102 - a program of two lines
        found.append((names["x"], names["y"]))
    assert found == [(2, 5), (0, 5), (1, 6), (1, 4)]


def test_a_mutant_is_named_by_its_place_and_by_which_it_is_of_several_that_read_the_same() -> None:
    source = "class A:\n    def f(self):\n        g(1)\n        g(1)\n\ndef h(): return 1"
    keys = [mutant.key for mutant in mutants(source, "program.py", ["A.f"])]
    assert ("A.f", "g(1)", "pass", 1) in keys
    assert ("A.f", "g(1)", "pass", 2) in keys
    assert {place for place, *_ in keys} == {"A.f"}


def target(explained: dict[tuple[str, str, str, int], str]) -> Target:
    return Target("octue_action/names.py", [], [], explained)


def test_a_survivor_is_shown_unless_it_is_explained() -> None:
    open_result = Result(target({}), 9, [SURVIVOR])
    explained = Result(target({SURVIVOR.key: "They are never equal."}), 9, [SURVIVOR])

    assert "Survived: octue_action/names.py:3 f\n  - a < b\n  + a <= b" in "\n".join(told([open_result]))
    assert list(told([explained]))[1:] == [f"{'octue_action/names.py':<44}{9:>9}{8:>9}{1:>10}{1:>11}"]


def test_an_explanation_of_what_no_longer_survives_is_one_too_many() -> None:
    result = Result(target({SURVIVOR.key: "They are never equal."}), 9, [])
    assert result.stale == [SURVIVOR.key]
    assert "Explained without need" in "\n".join(told([result]))


def test_a_file_that_is_not_in_the_list_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["octue_action/nowhere.py"])
    assert "octue_action/nowhere.py" in capsys.readouterr().err


@pytest.mark.parametrize("target", targets(), ids=lambda target: target.file)
def test_the_list_names_places_and_mutants_that_there_are(target: Target) -> None:
    keys = {mutant.key for mutant in target.mutants()}
    found = {place for place, *_ in keys}
    assert target.explained.keys() <= keys
    assert all(any(f"{place}.".startswith(f"{wanted}.") for place in found) for wanted in target.places)
    assert all(target.explained.values())
