"""YAML as GitHub reads it, each value with the place where it stands, and the expressions in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

EXPRESSION = re.compile(r"\$\{\{((?:'[^']*'|(?!\}\}).)*)\}\}", re.DOTALL)
_INDEX = re.compile(r"\[\s*'([\w-]+)'\s*\]")
_STRING = re.compile(r"'[^']*'")

# Of what is not in quotes, GitHub takes these for something else than text, and YAML 1.1's yes and no for text
# (actions/runner, src/Sdk/WorkflowParser/ObjectTemplating/YamlObjectReader.cs).
_BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
_NUMBER = re.compile(
    r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?|0x[0-9a-fA-F]+|0o[0-7]+|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)


@dataclass(frozen=True, order=True)
class Finding:
    """A mistake: where it stands, and what to do about it."""

    file: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


@dataclass(frozen=True)
class Value:
    """A value in a YAML file; one that is not there can be asked like any other.

    :param node: ``None`` where there is no such value
    :param line: from 1; that of what it would stand in, where it is not there
    """

    file: Path
    node: yaml.Node | None
    line: int

    def __getitem__(self, key: str) -> Value:
        return dict(self.items()).get(key, Value(self.file, None, self.line))

    def __iter__(self) -> Iterator[Value]:
        """The elements of a list; a single text stands for a list of it, as GitHub takes it."""
        if isinstance(self.node, yaml.SequenceNode):
            yield from map(self._at, self.node.value)
        elif self.text:
            yield self

    @property
    def exists(self) -> bool:
        """Whether there is such a value in the file."""
        return self.node is not None

    @property
    def text(self) -> str:
        """As it is written, without quotes; empty for what is no scalar."""
        return str(self.node.value) if isinstance(self.node, yaml.ScalarNode) else ""

    @property
    def is_block(self) -> bool:
        """Whether the text begins on the line after its ``|``."""
        return isinstance(self.node, yaml.ScalarNode) and self.node.style == "|"

    @property
    def type(self) -> str:
        """What GitHub takes a text without expressions for: boolean, number or string."""
        if isinstance(self.node, yaml.ScalarNode) and not self.node.style:
            if _BOOLEAN.fullmatch(self.text):
                return "boolean"
            if _NUMBER.fullmatch(self.text):
                return "number"
        return "string"

    def items(self) -> Iterator[tuple[str, Value]]:
        """The keys of a mapping with their values."""
        if isinstance(self.node, yaml.MappingNode):
            for key, value in self.node.value:
                yield str(key.value), Value(self.file, value, key.start_mark.line + 1)

    def expressions(self, key: str = "") -> Iterator[tuple[Value, str]]:
        """Every expression at any depth, with the value it stands in; an ``if`` is one even without the braces."""
        for name, value in self.items():
            yield from value.expressions(name)
        if isinstance(self.node, yaml.SequenceNode):
            for value in self:
                yield from value.expressions()
        found = EXPRESSION.findall(self.text) or ([self.text] if key == "if" else [])
        yield from ((self, expression) for expression in found)

    def finding(self, message: str) -> Finding:
        """A mistake in this value."""
        return Finding(self.file, self.line, message)

    def _at(self, node: yaml.Node) -> Value:
        return Value(self.file, node, node.start_mark.line + 1)


def read(file: Path) -> Value:
    """The whole file; what is no YAML is left to the schema to report."""
    try:
        return Value(file, yaml.compose(file.read_text(), yaml.SafeLoader), 1)
    except yaml.YAMLError:
        return Value(file, None, 1)


def references(expression: str, *path: str) -> Iterator[tuple[str, ...]]:
    """What an expression takes from a context: of ``steps.a.outputs.b`` it is ``("a", "b")``, in lower case.

    :param path: the names that are looked for, with ``*`` for any, such as ``steps``, ``*``, ``outputs``, ``*``
    """
    plain = _STRING.sub("''", _INDEX.sub(r".\1", expression))
    steps = [r"([\w-]+)" if name == "*" else re.escape(name) for name in path]
    for match in re.finditer(r"(?<![\w.-])" + r"\s*\.\s*".join(steps) + r"(?![\w-])", plain, re.IGNORECASE):
        yield tuple(name.lower() for name in match.groups())
