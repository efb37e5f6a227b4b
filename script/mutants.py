"""Mutants: a program made wrong in one place, which its tests should notice.

The two libraries for this were tried first. mutmut changes what stands in functions only, and the refusals that pass by
themselves are constants of a module. cosmic-ray changes no texts, and codes and patterns are texts.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
NAMES = {"any": "all", "all": "any", "min": "max", "max": "min"}
NOT_RUN = {"annotation", "returns", "decorator_list"}
"""Parts of a program that say nothing about what it does, or are only for checkers."""


@dataclass(frozen=True)
class Mutant:
    """A program made wrong in one place.

    :param place: the function, class or constant that is wrong, ``Google.repeat``.
    :param line: where it begins to be wrong.
    :param before: what stood there.
    :param after: what stands there instead.
    :param number: which of several that read the same, from 1.
    :param code: all of the module, compiled.
    """

    place: str
    line: int
    before: str
    after: str
    number: int
    code: CodeType

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What names a mutant as long as its place in the program reads the same."""
        return self.place, self.before, self.after, self.number


def mutants(source: str, path: str, places: list[str]) -> Iterator[Mutant]:
    """Every mutant of a module.

    :param source: its text.
    :param path: its file, for traces.
    :param places: functions, classes and constants to be made wrong; all where there are none.
    """
    module = ast.parse(source)
    seen: dict[tuple[str, str, str], int] = {}
    for place, before, after in _mutated(module, ""):
        if places and not any(f"{place}.".startswith(f"{wanted}.") for wanted in places):
            continue
        key = place, ast.unparse(before), ast.unparse(after)
        seen[key] = seen.get(key, 0) + 1
        code = compile(ast.fix_missing_locations(module), path, "exec")
        yield Mutant(place, before.lineno, key[1], key[2], seen[key], code)


def _mutated(node: ast.AST, place: str) -> Iterator[tuple[str, Any, Any]]:
    """Make one part of a tree after the other wrong; it is so until the next one is asked for."""
    for field, value in ast.iter_fields(node):
        if field in NOT_RUN:
            continue
        for index, child in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(child, ast.stmt | ast.expr | ast.comprehension | ast.keyword | ast.arguments):
                if isinstance(child, ast.AST):
                    yield from _mutated(child, place)
                continue
            if isinstance(child, ast.Import | ast.ImportFrom) or _is_text_of_its_own(child):
                continue
            inner = _place(child, place)
            for variant in _variants(child, is_condition=field in {"test", "ifs"}, is_run_later=_is_function(node)):
                _put(node, field, index, variant)
                yield inner, child, variant
                _put(node, field, index, child)
            yield from _mutated(child, inner)


def _put(node: ast.AST, field: str, index: int, child: ast.AST) -> None:
    value = getattr(node, field)
    if isinstance(value, list):
        value[index] = child
    else:
        setattr(node, field, child)


def _place(node: ast.AST, place: str) -> str:
    name = getattr(node, "name", "") if isinstance(node, ast.FunctionDef | ast.ClassDef) else ""
    if isinstance(node, ast.Assign | ast.AnnAssign) and not place:
        name = ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
    return ".".join(filter(None, (place, name)))


def _is_text_of_its_own(node: ast.AST) -> bool:
    """Whether this is a docstring, or the text below a constant that says what it is."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.stmt | ast.excepthandler) and not isinstance(node, ast.ClassDef)


def _variants(node: Any, *, is_condition: bool, is_run_later: bool) -> Iterator[ast.AST]:
    """What may stand in the place of a part of a program.

    :param is_condition: whether something is done only where it is true.
    :param is_run_later: whether it is a part of a statement of a function; elsewhere nothing would work without it.
    """
    if is_condition:
        yield from (ast.Constant(truth) for truth in (True, False) if getattr(node, "value", None) is not truth)
    if isinstance(node, ast.stmt):
        yield from _other_statements(node) if is_run_later else ()
    elif isinstance(node, ast.Constant):
        yield from (ast.Constant(value) for value in _other_values(node.value))
    else:
        yield from _other_expressions(node)
        yield from _shortened(node)


def _other_statements(node: ast.stmt) -> Iterator[ast.AST]:
    if isinstance(node, ast.Expr | ast.Assign | ast.AugAssign | ast.Raise | ast.Delete | ast.Continue | ast.Break):
        yield ast.Pass()
    if isinstance(node, ast.Return) and node.value is not None and ast.unparse(node.value) != "None":
        yield ast.Return(ast.Constant(None))


def _other_expressions(node: Any) -> Iterator[ast.AST]:
    match node:
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand
        case ast.Name(id=str(name)) if name in NAMES:
            yield ast.Name(NAMES[name], ast.Load())
        case ast.Lambda():
            yield ast.Lambda(node.args, ast.Constant(None))
        case ast.BinOp() | ast.BoolOp() if type(node.op) in SWAPS:
            yield _with(node, op=SWAPS[type(node.op)]())
        case ast.Compare():
            for n, operator in enumerate(node.ops):
                yield _with(node, ops=[*node.ops[:n], SWAPS[type(operator)](), *node.ops[n + 1 :]])


def _other_values(value: Any) -> Iterator[Any]:
    """Other values of a constant; a text, which may be a pattern, also without one of its alternatives."""
    match value:
        case bool():
            yield not value
        case int() | float():
            yield from (value + 1, value - 1)
        case str():
            yield f"XX{value}XX"
            yield from [""] if value else []
            yield from ("|".join(rest) for rest in _without_one(value.split("|")) if rest)


def _shortened(node: Any) -> Iterator[ast.AST]:
    """The same without an operand, an argument or an element."""
    if isinstance(node, ast.BoolOp):
        yield from (_with(node, values=rest) if len(rest) > 1 else rest[0] for rest in _without_one(node.values))
    if isinstance(node, ast.Call):
        yield from (_with(node, args=rest) for rest in _without_one(node.args))
        yield from (_with(node, keywords=rest) for rest in _without_one(node.keywords))
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        yield from (_with(node, elts=rest) for rest in _without_one(node.elts))


def _without_one(parts: list[Any]) -> Iterator[list[Any]]:
    return ([*parts[:n], *parts[n + 1 :]] for n in range(len(parts)))


def _with(node: Any, **fields: Any) -> Any:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed
