"""YAML as the runner reads it: ``YamlObjectReader.cs``, plain scalars by the core schema of YAML 1.2."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias

import yaml

from tests.github_runner.errors import NotModelled, Refused

Node: TypeAlias = "str | list[Node] | dict[str, Node]"
Scalar: TypeAlias = bool | int | float | str | None
TypedNode: TypeAlias = "Scalar | list[TypedNode] | dict[str, TypedNode]"

_NULL = ("", "null", "Null", "NULL", "~")
_BOOLEAN = ("true", "True", "TRUE", "false", "False", "FALSE")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_ODD_NUMBER = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_SAME_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,13})(\.[0-9]{0,3}[1-9])?")


def read(text: str) -> Node:
    """The document with every scalar as the text that the runner makes of it: ``True`` is ``true``, ``~`` is empty.

    :raises Refused: where the runner does not accept it: no YAML, anchors, a key twice in a mapping.
    :raises NotModelled: for tags, and numbers that the runner would write differently.
    """
    node: Node = _value(_composed(text), _text)
    return node


def read_typed(text: str) -> TypedNode:
    """The document with every scalar as what it is to GitHub where it tells types apart: as in a workflow.

    :raises Refused: as ``read``.
    :raises NotModelled: as ``read``.
    """
    node: TypedNode = _value(_composed(text), _typed)
    return node


def _composed(text: str) -> yaml.Node:
    try:
        for event in yaml.parse(text, Loader=yaml.BaseLoader):
            _check(event)
        node = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise Refused(f"The file is no YAML: {error}") from error
    if node is None:
        raise Refused("The file is empty")
    return node


def _check(event: object) -> None:
    if getattr(event, "anchor", None) is not None:
        raise Refused(f"Anchors are not supported: {event}")
    if getattr(event, "tag", None) is not None:
        raise NotModelled(f"the tag of {event}")


def _value(node: yaml.Node, scalar: Callable[[yaml.ScalarNode], Any]) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, scalar)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, scalar) for item in node.value]
    if isinstance(node, yaml.ScalarNode):
        return scalar(node)
    raise NotModelled(f"a {type(node).__name__} in YAML")


def _mapping(node: yaml.MappingNode, scalar: Callable[[yaml.ScalarNode], Any]) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise Refused(f"A key must be a text:{node.start_mark}")
        key = _text(key_node)
        if key.lower() in (earlier.lower() for earlier in mapping):
            raise Refused(f"'{key}' is already defined:{key_node.start_mark}")
        mapping[key] = _value(value_node, scalar)
    return mapping


def _typed(node: yaml.ScalarNode) -> Scalar:
    text = _text(node)
    if node.style is not None:
        return text
    if str(node.value) in _NULL:
        return None
    if str(node.value) in _BOOLEAN:
        return text == "true"
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text


def _text(node: yaml.ScalarNode) -> str:
    text = str(node.value)
    if node.style is not None:  # quoted or a block: a text as it is
        return text
    if text in _NULL:
        return ""
    if text in _BOOLEAN:
        return text.lower()
    if _ODD_NUMBER.fullmatch(text) or (_NUMBER.fullmatch(text) and not _SAME_NUMBER.fullmatch(text)):
        raise NotModelled(f"the number {text}, which the runner would write in its own way; quote it")
    return text
