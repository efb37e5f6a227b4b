from __future__ import annotations

from pathlib import Path

import pytest

from tests.github_runner import NotModelled, Refused, is_dockerfile, load
from tests.test_github_runner.conftest import MakeAction

INPUTS = """
inputs:
  region:
    default: europe
    required: true
  Two Words: {}
  sha:
    default: ${{ github.sha }}
  old:
    deprecationMessage: Use region.
"""


class TestInputs:
    def test_defaults_fill_what_is_not_given_and_what_is_unexpected_stays(self, make_action: MakeAction) -> None:
        action = load(make_action(head=INPUTS))
        inputs = action.inputs({"two words": "", "unknown": "x"}, {"github": {"sha": "abc"}})
        assert inputs == {"two words": "", "unknown": "x", "region": "europe", "sha": "abc", "old": ""}

    def test_a_default_that_is_not_needed_is_not_evaluated(self, make_action: MakeAction) -> None:
        assert load(make_action(head=INPUTS)).inputs({"SHA": "mine"}, {})["SHA"] == "mine"

    def test_unexpected_and_deprecated_ones_are_warned_of(self, make_action: MakeAction) -> None:
        action = load(make_action(head=INPUTS))
        assert action.warnings({"REGION": "x", "args": "y", "entrypoint": "z"}) == []
        assert action.warnings({"colour": "red", "old": "x"}) == [
            "Input 'old' has been deprecated with message: Use region.",
            (
                "Unexpected input(s) 'colour', valid inputs are"
                " ['entryPoint', 'args', 'region', 'Two Words', 'sha', 'old']"
            ),
        ]


class TestRuns:
    def test_the_dockerfile_is_in_the_folder_of_the_action(self, make_action: MakeAction) -> None:
        folder = make_action(runs="  entrypoint: /start\n")
        action = load(folder)
        assert (action.dockerfile, action.entrypoint, action.arguments) == (folder / "Dockerfile", "/start", None)

    def test_a_ready_image_has_no_dockerfile(self, tmp_path: Path) -> None:
        (tmp_path / "action.yml").write_text("runs: {using: Docker, image: 'docker://ghcr.io/a/b@sha256:0'}")
        assert load(tmp_path).dockerfile is None

    @pytest.mark.parametrize(
        ("image", "expected"),
        [("Dockerfile", True), ("a/Dockerfile.slim", True), ("my.dockerfile", True), ("docker://Dockerfile", False)],
    )
    def test_the_name_of_a_file_says_whether_it_is_a_dockerfile(self, image: str, expected: bool) -> None:
        assert is_dockerfile(image) is expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("runs:", "run:"),
        ("using: docker", "using: podman"),
        ("using: docker", "using: ''"),
        ("image: Dockerfile", "image: python"),
        ("image: Dockerfile", "image: Dockerfile.other"),
        ("image: Dockerfile", "image: ${{ inputs.image }}"),
        ("image: Dockerfile", "image: Dockerfile\n  main: index.js"),
        ("image: Dockerfile", "image: Dockerfile\n  args: text"),
        ("image: Dockerfile", "image: Dockerfile\n  args: ['${{ github.sha }}']"),
        ("image: Dockerfile", "image: Dockerfile\n  env: {A: '${{ secrets.A }}'}"),
        ("name: Small", "name: Small\ninputs:"),
        ("name: Small", "name: Small\ninputs: {region: }"),
        ("name: Small", "name: Small\ninputs: {region: {}, Region: {}}"),
        ("name: Small", "name: Small\ninputs: {region: {default: '${{ secrets.A }}'}}"),
        ("name: Small", "name: Small\noutputs: {url: {descripton: x}}"),
    ],
)
def test_an_action_that_the_runner_does_not_accept_is_refused(make_action: MakeAction, old: str, new: str) -> None:
    folder = make_action()
    manifest = (folder / "action.yml").read_text()
    assert old in manifest
    load(folder)
    (folder / "action.yml").write_text(manifest.replace(old, new))
    with pytest.raises(Refused):
        load(folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("using: docker", "using: composite"),
        ("using: docker", "using: node24"),
        ("image: Dockerfile", "image: Dockerfile\n  pre-entrypoint: /before"),
        ("image: Dockerfile", "image: Dockerfile\n  post-if: always()"),
        ("name: Small", "name: Small\ninputs: {region: {default: \"${{ hashFiles('a') }}\"}}"),
        ("name: Small", "name: Small\ninputs: {region: {Default: x}}"),
    ],
)
def test_another_kind_of_action_is_not_guessed(make_action: MakeAction, old: str, new: str) -> None:
    folder = make_action()
    (folder / "action.yml").write_text((folder / "action.yml").read_text().replace(old, new))
    with pytest.raises(NotModelled):
        load(folder)


def test_a_folder_without_a_manifest_is_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(NotModelled):
        load(tmp_path)
