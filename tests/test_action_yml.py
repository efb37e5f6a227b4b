from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from octue_action.inputs import INPUTS

ROOT = Path(__file__).parent.parent
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
OUTPUTS = [
    *("service_url", "topic_name", "service_id", "service_account", "image", "revision", "build_log_url", "changed"),
    *("plan", "answer", "services"),
]


def test_the_inputs_are_those_that_the_code_reads() -> None:
    assert list(ACTION["inputs"]) == list(INPUTS)


@pytest.mark.parametrize("name", INPUTS)
def test_an_input_has_the_default_that_the_code_uses(name: str) -> None:
    assert ACTION["inputs"][name].get("default", "") == INPUTS[name].default


def test_the_outputs_are_those_that_others_build_on() -> None:
    assert list(ACTION["outputs"]) == OUTPUTS


@pytest.mark.parametrize("name", [*ACTION["inputs"], *ACTION["outputs"]])
def test_a_name_reaches_the_container_as_it_is(name: str) -> None:
    """The runner keeps hyphens in ``INPUT_<NAME>``, where no shell could read them."""
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)


@pytest.mark.parametrize("entry", [*ACTION["inputs"].values(), *ACTION["outputs"].values()])
def test_a_description_is_one_or_two_sentences(entry: dict[str, str]) -> None:
    sentences = re.split(r"\.\s+(?=[A-Z])", entry["description"])
    assert entry["description"].endswith(".")
    assert 1 <= len(sentences) <= 2


def test_the_container_takes_its_inputs_from_the_environment_alone() -> None:
    """Through ``args`` a quotation mark in an input could become another argument."""
    assert ACTION["runs"] == {"using": "docker", "image": "Dockerfile"}
