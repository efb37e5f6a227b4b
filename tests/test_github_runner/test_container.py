from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.github_runner import NotModelled, Step, load
from tests.github_runner.container import Folders, container_name, environment, input_variable, run_arguments
from tests.test_github_runner.conftest import MakeAction


@pytest.fixture
def folders(tmp_path: Path, workspace: Path) -> Folders:
    return Folders(tmp_path / "runner", workspace, "0")


class TestPaths:
    def test_a_value_that_is_a_mounted_path_or_begins_with_one_is_translated(self, folders: Folders) -> None:
        for value, expected in {
            f"{folders.workspace}": "/github/workspace",
            f"{folders.workspace}/key.json": "/github/workspace/key.json",
            f"{folders.temporary}/x": "/github/runner_temp/x",
            f"{folders.home}/x": "/github/home/x",  # also in the temporary folder, but this is the nearer one
            f"{folders.file_commands}/x": "/github/file_commands/x",
        }.items():
            assert folders.to_container(value) == expected
            assert folders.to_host(expected) == value

    def test_another_value_is_not(self, folders: Folders) -> None:
        for value in (f"{folders.workspace}x", f"a:{folders.workspace}", "", "/__w/repository", "/github/workspace"):
            assert folders.to_container(value) == value

    def test_the_file_of_an_annotation_is_shown_relative_to_the_repository(self, folders: Folders) -> None:
        assert folders.in_repository("/github/workspace/a/b.py") == "a/b.py"
        assert folders.in_repository("a.py") == "a.py"
        assert folders.in_repository("/etc/passwd") == "/etc/passwd"


class TestEnvironment:
    @pytest.mark.parametrize(
        ("name", "variable"), [("region", "INPUT_REGION"), ("a b", "INPUT_A_B"), ("dry-run", "INPUT_DRY-RUN")]
    )
    def test_the_variable_of_an_input_keeps_hyphens(self, name: str, variable: str) -> None:
        assert input_variable(name) == variable

    def test_what_the_runner_sets_wins_over_the_workflow_and_that_over_the_action(
        self, make_action: MakeAction, step: Step, folders: Folders
    ) -> None:
        action = load(make_action(head="inputs: {a: {}}", runs="  env: {A: action, B: action}\n"))
        step = dataclasses.replace(
            step,
            env={"A": "workflow", "INPUT_A": "workflow", "HOME": "/root", "GITHUB_SHA": "0", "RUNNER_OS": "Plan 9"},
            variables={"GITHUB_SHA": "abc", "GITHUB_OUTPUT": "/elsewhere"},
        )
        variables = environment(action, step, folders)
        expected = {"A": "workflow", "B": "action", "INPUT_A": "", "HOME": "/github/home", "GITHUB_SHA": "abc"}
        assert expected.items() <= variables.items()
        assert variables["RUNNER_OS"] == "Linux"
        assert variables["GITHUB_OUTPUT"] == "/github/file_commands/set_output_0"

    def test_the_token_reaches_the_action_through_an_input_alone(
        self, make_action: MakeAction, step: Step, folders: Folders
    ) -> None:
        action = load(make_action(head="inputs: {token: {default: '${{ github.token }}'}}"))
        variables = environment(action, dataclasses.replace(step, token="t0k3n"), folders)
        assert [name for name, value in variables.items() if value == "t0k3n"] == ["INPUT_TOKEN"]

    def test_the_token_for_identity_is_there_only_where_the_job_may(
        self, make_action: MakeAction, step: Step, folders: Folders
    ) -> None:
        assert "ACTIONS_ID_TOKEN_REQUEST_TOKEN" not in environment(load(make_action()), step, folders)

    @pytest.mark.parametrize("name", ["GITHUB_TOKEN", "GITHUB_EVENT", "GOOGLE_CLOUD_EMULATOR_HOST", "ACTIONS_OTHER"])
    def test_a_variable_that_the_runner_does_not_set_is_raised(
        self, make_action: MakeAction, step: Step, folders: Folders, name: str
    ) -> None:
        with pytest.raises(NotModelled, match=name):
            environment(load(make_action()), dataclasses.replace(step, variables={name: "x"}), folders)

    def test_unsafe_commands_are_not_guessed(self, make_action: MakeAction, step: Step, folders: Folders) -> None:
        step = dataclasses.replace(step, env={"ACTIONS_ALLOW_UNSECURE_COMMANDS": "true"})
        with pytest.raises(NotModelled):
            environment(load(make_action()), step, folders)


class TestArguments:
    def arguments(self, action: Path, step: Step, folders: Folders, variables: dict[str, str]) -> list[str]:
        return run_arguments(
            load(action),
            step,
            folders,
            image="image",
            name="name",
            label="label",
            socket="/run/engine",
            options=["--network", "host"],
            variables=variables,
        )

    def test_they_are_those_of_the_runner_in_its_order(
        self, make_action: MakeAction, step: Step, folders: Folders
    ) -> None:
        step = dataclasses.replace(step, inputs={"args": "one 'two three'", "ENTRYPOINT": "/start"})
        root = folders.root
        assert self.arguments(make_action(), step, folders, {"A": "1", "b c": "2"}) == [
            *("run", "--name", "name", "--label", "label", "--workdir", "/github/workspace", "--rm"),
            *("-e", "A", "-e", "b c", "-e", "GITHUB_ACTIONS=true", "-e", "CI=true", "--entrypoint", "/start"),
            *("-v", "/run/engine:/var/run/docker.sock"),
            *("-v", f"{root}/_temp:/github/runner_temp"),
            *("-v", f"{root}/_temp/_github_home:/github/home"),
            *("-v", f"{root}/_temp/_github_workflow:/github/workflow"),
            *("-v", f"{root}/_temp/_runner_file_commands:/github/file_commands"),
            *("-v", f"{folders.workspace}:/github/workspace"),
            *("--network", "host", "image", "one", "'two", "three'"),
        ]

    def test_what_action_yml_says_wins_over_the_inputs(
        self, make_action: MakeAction, step: Step, folders: Folders
    ) -> None:
        step = dataclasses.replace(step, inputs={"args": "no", "entryPoint": "/no"})
        arguments = self.arguments(make_action(runs="  entrypoint: /yes\n  args: [a b]\n"), step, folders, {"CI": "1"})
        assert arguments[arguments.index("--entrypoint") + 1] == "/yes"
        assert arguments[-1] == "a b"
        assert "CI=true" not in arguments


def test_the_name_of_a_container_has_only_letters_digits_and_underscores() -> None:
    assert container_name("123abc:0f-9/x", "5") == "abc0f9x_5"
