"""An action: what its ``action.yml`` says, read as ``ActionManifestManager.cs`` does by ``action_yaml.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.github_runner import expressions, yaml_reader
from tests.github_runner.errors import NotModelled, Refused
from tests.github_runner.expressions import Contexts, Template
from tests.github_runner.yaml_reader import Node

ALWAYS_ACCEPTED = ("entryPoint", "args")
"""Inputs that every container action has: they stand in for what its ``action.yml`` does not say."""

_IN_A_DEFAULT = frozenset({"github", "strategy", "matrix", "job", "runner"})
_IN_RUNS = frozenset({"inputs"})
_RUNS = frozenset({"using", "image", "entrypoint", "args", "env"})
_NOT_MODELLED = frozenset({"pre-entrypoint", "pre-if", "post-entrypoint", "post-if"})
_OTHER_KINDS = frozenset({"composite", "node12", "node16", "node20", "node24"})


@dataclass(frozen=True)
class Action:
    """A container action.

    :param folder: where its ``action.yml`` is.
    :param name: for people.
    :param defaults: of every input that is declared; an input without one has the default ''.
    :param deprecated: what to tell who uses an input that is deprecated.
    :param outputs: names of those that are declared, which is for people alone: the step may set others too.
    :param image: path of a Dockerfile in the folder, or ``docker://`` and the name of an image.
    :param entrypoint: takes the place of the image's own.
    :param arguments: for the entrypoint; None where action.yml has none, so that the step's input ``args`` counts.
    :param environment: that the step's own ``env`` takes precedence over.
    """

    folder: Path
    name: str
    defaults: Mapping[str, Template]
    deprecated: Mapping[str, str]
    outputs: frozenset[str]
    image: str
    entrypoint: str
    arguments: tuple[Template, ...] | None
    environment: Mapping[str, Template]

    @property
    def dockerfile(self) -> Path | None:
        """What the image is built from; None where it is a ready one."""
        return None if self.image.lower().startswith("docker://") else self.folder / self.image

    def inputs(self, given: Mapping[str, str], contexts: Contexts) -> dict[str, str]:
        """The inputs of a step: those that are given, whether declared or not, and the defaults of the others.

        Whether one is required is not looked at. After ``ActionRunner.RunAsync``.
        """
        inputs = dict(given)
        names = {name.lower() for name in given}
        for name, default in self.defaults.items():
            if name.lower() not in names:
                inputs[name] = default.evaluate(contexts)
        return inputs

    def warnings(self, given: Mapping[str, str]) -> list[str]:
        """What the runner warns of in a step with these inputs."""
        deprecated = [
            f"Input '{name}' has been deprecated with message: {message}"
            for name in given
            for other, message in self.deprecated.items()
            if name == other
        ]
        valid = [*ALWAYS_ACCEPTED, *self.defaults]
        unexpected = [name for name in given if name.lower() not in {known.lower() for known in valid}]
        if not unexpected:
            return deprecated
        lists = "', '".join(unexpected), "', '".join(valid)
        return [*deprecated, f"Unexpected input(s) '{lists[0]}', valid inputs are ['{lists[1]}']"]


def load(folder: Path) -> Action:
    """Read the action in a folder.

    :raises Refused: where the runner does not accept it.
    :raises NotModelled: for what is no container action, or has a ``pre-`` or ``post-entrypoint``.
    """
    file = next((folder / name for name in ("action.yml", "action.yaml") if (folder / name).is_file()), None)
    if file is None:
        raise NotModelled(f"an action without action.yml, as in {folder}")
    root = _mapping(yaml_reader.read(file.read_text(encoding="utf-8-sig")), "action.yml")
    if "runs" not in root:
        raise Refused("Top level 'runs:' section is required")
    _text(root.get("description", ""), "description")
    inputs = {name: _mapping(value, name) for name, value in _mapping(root.get("inputs", {}), "inputs").items()}
    runs = _runs(_mapping(root["runs"], "runs"))
    return Action(
        folder=folder,
        name=_text(root.get("name", ""), "name"),
        defaults={name: _default(value) for name, value in inputs.items()},
        deprecated={
            name: _text(value, "deprecationMessage")
            for name, properties in inputs.items()
            for key, value in properties.items()
            if key.lower() == "deprecationmessage"
        },
        outputs=frozenset(_outputs(_mapping(root.get("outputs", {}), "outputs"))),
        image=_image(runs, folder),
        entrypoint=_not_empty(runs["entrypoint"], "entrypoint") if "entrypoint" in runs else "",
        arguments=_arguments(runs["args"]) if "args" in runs else None,
        environment={
            _not_expression(name): expressions.parse(_text(value, name), _IN_RUNS)
            for name, value in _mapping(runs.get("env", {}), "env").items()
        },
    )


def is_dockerfile(image: str) -> bool:
    """Whether an ``image`` names a file to build: ``DockerUtil.IsDockerfile``."""
    name = image.rpartition("/")[2].lower()
    return not image.lower().startswith("docker://") and (name.startswith("dockerfile.") or name.endswith("dockerfile"))


def _runs(runs: dict[str, Node]) -> dict[str, Node]:
    using = _not_empty(runs.get("using", ""), "using").lower()
    if using in _OTHER_KINDS:
        raise NotModelled(f"an action with `using: {using}`")
    if using != "docker":
        raise Refused(f"'using: {using}' is not supported")
    if modelled_not := _NOT_MODELLED & {key.lower() for key in runs}:
        raise NotModelled(f"an action with {', '.join(sorted(modelled_not))}")
    if unexpected := set(runs) - _RUNS:
        raise Refused(f"Unexpected value '{', '.join(sorted(unexpected))}'")
    return runs


def _default(properties: dict[str, Node]) -> Template:
    found = next((value for key, value in properties.items() if key == "default"), "")
    if any(key.lower() == "default" and key != "default" for key in properties):
        raise NotModelled("`default` in other letters")
    return expressions.parse(_text(found, "default"), _IN_A_DEFAULT)


def _outputs(outputs: dict[str, Node]) -> dict[str, Node]:
    for name, value in outputs.items():
        if unexpected := set(_mapping(value, name)) - {"description", "value"}:
            raise Refused(f"Unexpected value '{', '.join(sorted(unexpected))}'")
    return outputs


def _image(runs: dict[str, Node], folder: Path) -> str:
    image = _not_empty(runs.get("image", ""), "image")
    if image.lower().startswith("docker://"):
        return image
    if not is_dockerfile(image):
        raise Refused(f"'{image}' should be either '[path]/Dockerfile' or 'docker://image[:tag]'.")
    if not (folder / image).is_file():
        raise Refused(f"File not found: '{folder / image}'")
    return image


def _arguments(node: Node) -> tuple[Template, ...]:
    if not isinstance(node, list):
        raise Refused("A sequence was expected as 'args'")
    return tuple(expressions.parse(_text(item, "args"), _IN_RUNS) for item in node)


def _mapping(node: Node, name: str) -> dict[str, Node]:
    if not isinstance(node, dict):
        raise Refused(f"A mapping was expected as '{name}'")
    return node


def _text(node: Node, name: str) -> str:
    if not isinstance(node, str):
        raise Refused(f"A text was expected as '{name}'")
    return node


def _not_empty(node: Node, name: str) -> str:
    text = _not_expression(_text(node, name))
    if not text:
        raise Refused(f"'{name}' must not be empty")
    return text


def _not_expression(text: str) -> str:
    if "${{" in text:
        raise Refused(f"A template expression is not allowed in this context: {text!r}")
    return text
