"""Steps in real containers, by a small action of the tests' own."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.github_runner import BuildFailed, NotModelled, Runner, Step
from tests.test_github_runner.conftest import MakeAction

SHOW = "import json, os; print(json.dumps({'cwd': os.getcwd(), 'uid': os.getuid(), **os.environ}))"
WAIT = """
import signal, sys, time

def stop(number, frame):
    open(OUTPUT, "a").write(f"signal={number}\\n")
    sys.exit(7)

import os
OUTPUT = os.environ["GITHUB_OUTPUT"]
signal.signal(signal.SIGINT, stop)
signal.signal(signal.SIGTERM, stop)
print("ready")
time.sleep(120)
"""


def shown(runner: Runner, action: Path, step: Step) -> dict[str, str]:
    environment: dict[str, str] = json.loads(runner.run(action, step).lines[-1].text)
    return environment


class TestEnvironment:
    def test_the_container_gets_what_the_runner_gives(
        self, runner: Runner, make_action: MakeAction, step: Step, workspace: Path
    ) -> None:
        head = "inputs:\n  region:\n    default: mars\n  dry-run: {}\n  a b: {}"
        step = dataclasses.replace(
            step,
            inputs={"dry-run": "yes", "A B": 'quo"te\nline', "unknown": "x"},
            env={
                "KEY_FILE": f"{workspace}/key.json",
                "HERE": str(workspace),
                "NEAR": f"{workspace}-other/x",
                "INSIDE": f"file={workspace}/x",
                "EMPTY": "",
            },
            variables={"GITHUB_SHA": "abc", "GITHUB_ACTIONS": "true", "CI": "true"},
        )
        environment = shown(runner, make_action(SHOW, head=head), step)
        expected = {
            "cwd": "/github/workspace",
            "uid": 0,
            "INPUT_REGION": "mars",
            "INPUT_DRY-RUN": "yes",
            "INPUT_A_B": 'quo"te\nline',
            "INPUT_UNKNOWN": "x",
            "KEY_FILE": "/github/workspace/key.json",
            "HERE": "/github/workspace",
            "NEAR": f"{workspace}-other/x",
            "INSIDE": f"file={workspace}/x",
            "EMPTY": "",
            "HOME": "/github/home",
            "GITHUB_WORKSPACE": "/github/workspace",
            "GITHUB_SHA": "abc",
            "GITHUB_ACTIONS": "true",
            "CI": "true",
            "RUNNER_TEMP": "/github/runner_temp",
            "RUNNER_OS": "Linux",
        }
        assert {name: environment.get(name) for name in expected} == expected
        assert environment["GITHUB_OUTPUT"].startswith("/github/file_commands/set_output_")
        assert "GITHUB_TOKEN" not in environment

    def test_arguments_and_environment_of_the_action_see_the_inputs(
        self, runner: Runner, make_action: MakeAction, step: Step
    ) -> None:
        runs = "  args: ['${{ inputs.who }}', '']\n  env:\n    WHO: ${{ inputs.who }}\n    MINE: action\n"
        script = "import os, sys; print(sys.argv[1:], os.environ['WHO'], os.environ['MINE'])"
        step = dataclasses.replace(step, inputs={"who": 'a "b" $c'}, env={"MINE": "step"})
        result = runner.run(make_action(script, head="inputs:\n  who: {}", runs=runs), step)
        assert result.log.lines == ["['a \"b\" $c', ''] a \"b\" $c step"]

    def test_the_event_of_the_workflow_is_a_file(
        self, runner: Runner, make_action: MakeAction, step: Step, tmp_path: Path
    ) -> None:
        event = tmp_path / "event.json"
        event.write_text('{"number": 7}')
        step = dataclasses.replace(step, variables={"GITHUB_EVENT_PATH": str(event)})
        script = "import os; print(os.environ['GITHUB_EVENT_PATH'], open(os.environ['GITHUB_EVENT_PATH']).read())"
        assert runner.run(make_action(script), step).log.text == '/github/workflow/event.json {"number": 7}'


class TestResult:
    def test_files_and_commands_arrive(self, runner: Runner, make_action: MakeAction, step: Step) -> None:
        script = """
import os, sys
def write(name, text):
    open(os.environ[name], "a").write(text)
print("::add-mask::s3cr3t")
print("::error file=/github/workspace/octue.yaml,line=2::s3cr3t is wrong")
print("::set-output name=old::1")
print("on stderr", file=sys.stderr, flush=True)
write("GITHUB_OUTPUT", "plan<<EOF\\nline 1\\n'quoted' 100%\\nEOF\\nhidden=s3cr3t\\n")
write("GITHUB_STEP_SUMMARY", "# Page s3cr3t\\r\\nend")
write("GITHUB_ENV", "A=1\\n")
write("GITHUB_PATH", "/bin\\n")
write("GITHUB_STATE", "when=now\\n")
sys.exit(3)
"""
        result = runner.run(make_action(script), step)
        assert (result.exit_code, result.conclusion) == (3, "failure")
        assert result.outputs == {"old": "1", "plan": "line 1\n'quoted' 100%", "hidden": "s3cr3t"}
        assert result.job_outputs == {"old": "1", "plan": "line 1\n'quoted' 100%"}
        assert (result.summary, result.env, result.path) == ("# Page ***\nend\n", {"A": "1"}, ("/bin",))
        assert result.state == {"when": "now"}
        assert result.files["GITHUB_ENV"] == b"A=1\n"
        (error,) = result.log.of_kind("error")
        assert (error.message, error.file, error.line) == ("*** is wrong", "octue.yaml", 2)
        assert [line.text for line in result.lines if line.stream == "stderr"] == ["on stderr"]
        assert 0 < (result.seconds_to_first_line or 0) < result.seconds
        assert not result.container_remains

    def test_a_malformed_file_fails_a_step_that_ends_well(
        self, runner: Runner, make_action: MakeAction, step: Step
    ) -> None:
        script = "import os; open(os.environ['GITHUB_OUTPUT'], 'w').write('a=1\\nb<<END\\nnever')"
        result = runner.run(make_action(script), step)
        assert (result.exit_code, result.conclusion, result.outputs) == (0, "failure", {"a": "1"})
        assert result.annotations[0].message == "Unable to process file command 'output' successfully."

    def test_a_summary_over_the_limit_is_dropped_and_the_step_succeeds(
        self, runner: Runner, make_action: MakeAction, step: Step
    ) -> None:
        script = "import os; open(os.environ['GITHUB_STEP_SUMMARY'], 'w').write('x' * (1024 * 1024 + 1))"
        result = runner.run(make_action(script), step)
        assert (result.conclusion, result.summary) == ("success", None)
        assert "supports content up to a size of 1024k, got 1024k" in result.annotations[0].message

    def test_what_is_not_modelled_is_raised_and_not_guessed(
        self, runner: Runner, make_action: MakeAction, step: Step
    ) -> None:
        with pytest.raises(NotModelled, match="problem matchers"):
            runner.run(make_action("print('::add-matcher::x.json')"), step)

    def test_an_image_that_does_not_build_says_why(self, runner: Runner, make_action: MakeAction, step: Step) -> None:
        action = make_action(entrypoint="COPY nothing.txt /")
        with pytest.raises(BuildFailed, match=r"nothing\.txt"):
            runner.run(action, step)

    def test_an_image_of_a_registry_may_have_a_stand_in(
        self, engine: str, tmp_path: Path, make_action: MakeAction, step: Step
    ) -> None:
        action = make_action(runs="  entrypoint: python\n  args: ['-c', 'print(1)']\n")
        manifest = action / "action.yml"
        manifest.write_text(manifest.read_text().replace("image: Dockerfile", "image: docker://ghcr.io/a/b@sha256:0"))
        with Runner(tmp_path / "runner", stand_ins={"ghcr.io/a/b@sha256:0": engine}) as runner:
            assert runner.run(action, step).log.lines == ["1"]


class TestCancel:
    def test_an_exec_form_entrypoint_gets_the_first_signal_and_its_files_are_read(
        self, runner: Runner, make_action: MakeAction, step: Step
    ) -> None:
        running = runner.start(make_action(WAIT), step)
        running.wait_for("ready")
        running.cancel()
        result = running.wait()
        assert (result.conclusion, result.outputs) == ("cancelled", {"signal": str(int(signal.SIGINT))})
        assert result.exit_code == 7
        assert result.cancellation is not None
        assert result.cancellation.signal == "SIGINT"
        assert result.cancellation.seconds < 5
        assert not result.container_remains
        assert result.annotations[-1].message == "The operation was canceled."

    def test_a_shell_form_entrypoint_outlives_the_docker_client(
        self, runner: Runner, make_action: MakeAction, step: Step
    ) -> None:
        running = runner.start(make_action(entrypoint="ENTRYPOINT echo ready; sleep 120; true"), step)
        running.wait_for("ready")
        running.cancel()
        result = running.wait()
        assert result.cancellation is not None
        assert result.cancellation.signal == "SIGKILL"
        assert 10 <= result.cancellation.seconds < 12
        assert (result.exit_code, result.conclusion) == (-signal.SIGKILL, "cancelled")
        assert result.container_remains
        runner.close()
        assert not runner.container_exists(result.container)

    def test_a_single_signal_is_handed_on_to_the_action(
        self, runner: Runner, make_action: MakeAction, step: Step
    ) -> None:
        running = runner.start(make_action(WAIT), step)
        running.wait_for("ready")
        running.send(signal.SIGTERM)
        result = running.wait()
        assert (result.exit_code, result.conclusion, result.cancellation) == (7, "failure", None)
        assert result.outputs == {"signal": str(int(signal.SIGTERM))}

    def test_a_step_that_takes_too_long_is_cancelled_and_fails(
        self, runner: Runner, make_action: MakeAction, step: Step
    ) -> None:
        result = runner.run(make_action(WAIT), dataclasses.replace(step, timeout_minutes=0.05))
        assert result.conclusion == "failure"
        assert result.annotations[-1].message == "The action 'Run ./' has timed out after 0.05 minutes."
        assert result.cancellation is not None


def test_it_leaves_no_image_and_no_container(engine: str, tmp_path: Path, make_action: MakeAction, step: Step) -> None:
    with Runner(tmp_path / "runner", build_arguments={"BASE_IMAGE": engine}) as runner:
        result = runner.run(make_action("print(1)"), step)
        image = next(argument for argument in result.command if argument.startswith(result.command[5] + ":"))
        assert subprocess.run(["docker", "inspect", image], capture_output=True, check=False).returncode == 0
    assert subprocess.run(["docker", "inspect", image], capture_output=True, check=False).returncode == 1
    assert not runner.container_exists(result.container)
