"""What script/workflow_checks finds, and that nothing else in script/check-workflows would."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path

import pytest

from script.workflow_checks.__main__ import findings, main
from script.workflow_checks.document import Finding

ROOT = Path(__file__).parent.parent
ACTION = Path("action.yml")
WORKFLOW = Path(".github/workflows/example.yml")
CALLED = Path(".github/workflows/called.yml")
CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1"
OWN = "octue/deploy-cloud-run-action"

# An action.yml with what this one does without, and two workflows in which there is nothing to find.
MORE_OF_THE_ACTION = """\
  env:
    ENDPOINT: ${{ inputs.region }}
  args:
    - ${{ inputs.mode }}
"""
RIGHT = {
    WORKFLOW: f"""\
name: Example

on:
  workflow_dispatch:
    inputs:
      count:
        description: How many
        type: number
        default: 3
      where:
        description: Where to
        type: choice
        options: [here, there]
        default: here

permissions: {{}}

concurrency:
  group: example

jobs:
  deploy:
    name: Deploy
    runs-on: ubuntu-24.04
    permissions:
      contents: read # to check the code out
      id-token: write # to sign in
    outputs:
      address: ${{{{ steps.deploy.outputs.service_url }}}}
    steps:
      - name: Check the code out
        id: code
        uses: {CHECKOUT} # v7.0.1
        with:
          persist-credentials: false
      - name: Deploy
        id: deploy
        uses: $/.
        with:
          workload_identity_provider: projects/1/locations/global/workloadIdentityPools/github/providers/octue
          timeout: 600
          adopt: false
          labels: team=wind
      - name: Say so
        if: steps.deploy.outputs.changed == 'true'
        run: |
          echo "Deployed $COMMIT" >> "$GITHUB_STEP_SUMMARY"
          echo sent
        env:
          COMMIT: ${{{{ steps.code.outputs.commit }}}}

  again:
    name: Again
    needs: deploy
    permissions:
      contents: read # to check the code out
      id-token: write # to sign in
    uses: {OWN}/.github/workflows/deploy.yml@v0
    with:
      workload_identity_provider: projects/1/locations/global/workloadIdentityPools/github/providers/octue
      delete_topic: false
      min_instances: 1

  call:
    name: Call
    needs: deploy
    permissions:
      issues: write # to tell
    uses: $/.github/workflows/called.yml
    with:
      times: 3
      loud: true
""",
    CALLED: """\
name: Called

on:
  workflow_call:
    inputs:
      times:
        description: How often
        type: number
        default: 1
      loud:
        description: With a bell
        type: boolean
        default: false

permissions: {}

concurrency:
  group: called

jobs:
  tell:
    name: Tell
    runs-on: ubuntu-24.04
    permissions:
      issues: write # to tell
    steps:
      - name: Tell
        run: echo "$TIMES"
        env:
          TIMES: ${{ inputs.times }}
""",
}

# Of each kind that the language service, the schemas and zizmor let pass: the file, what is right, what is wrong, the
# line with the mistake, and what is said about it.
MISTAKES = {
    "an input in runs.env that the action does not declare": (
        *(ACTION, "inputs.region }}", "inputs.regoin }}", "ENDPOINT: ${{ inputs.regoin }}"),
        "`inputs.regoin` is not declared: add it to `inputs`, or correct it. Perhaps you meant `region`.",
    ),
    "an input in runs.args that the action does not declare": (
        *(ACTION, "- ${{ inputs.mode }}", "- --mode=${{ inputs['moode'] }}", "moode"),
        "`inputs.moode` is not declared",
    ),
    "an output that this action does not have": (
        *(WORKFLOW, "steps.deploy.outputs.service_url", "steps.deploy.outputs.service_uri", "address:"),
        "`$/.` has no output `service_uri`: take one that its action.yml declares. Perhaps you meant `service_ur",
    ),
    "an output that this action does not have, in a condition": (
        *(WORKFLOW, "if: steps.deploy.outputs.changed", "if: steps.deploy.outputs.change", "if:"),
        "`$/.` has no output `change`",
    ),
    "an output that another action does not have": (
        *(WORKFLOW, "steps.code.outputs.commit", "steps.code.outputs.sha", "COMMIT:"),
        f"`{CHECKOUT}` has no output `sha`",
    ),
    "a variable without quotes in a script": (
        *(WORKFLOW, '>> "$GITHUB_STEP_SUMMARY"', ">> $GITHUB_STEP_SUMMARY", "echo"),
        "Double quote to prevent globbing and word splitting. (SC2086, https://www.shellcheck.net/wiki/SC2086)",
    ),
    "a variable in a script that nobody sets": (
        *(WORKFLOW, "Deployed $COMMIT", "Deployed $COMIT", "echo"),
        "COMIT is referenced but not assigned",
    ),
    "a script that is no script": (*(WORKFLOW, "          echo sent", "          if true; then", "if true"), "SC1"),
    "a script of one line": (*(CALLED, 'echo "$TIMES"', "echo $TIMES", "run:"), "SC2086"),
    "a calling job with fewer permissions than the called one": (
        *(WORKFLOW, "      issues: write # to tell\n", "      issues: read # to tell\n", "  call:"),
        "called.yml, where job `tell` needs `issues: write`: add it to the `permissions` of `call`.",
    ),
    "a calling job with the permissions of its workflow": (
        *(WORKFLOW, "    permissions:\n      issues: write # to tell\n", "", "  call:"),
        "needs `issues: write`",
    ),
    "a job that signs in to Google Cloud without the permission": (
        *(WORKFLOW, "      id-token: write # to sign in\n    outputs", "    outputs", "- name: Deploy"),
        "$/. needs `id-token: write`: add it to the `permissions` of the job.",
    ),
    "a job that calls this repository's workflow and may not sign in": (
        *(WORKFLOW, "      id-token: write # to sign in\n    uses", "    uses", "  again:"),
        "where job `deploy` needs `id-token: write`",
    ),
    "a text for a number": (
        *(WORKFLOW, "times: 3", "times: often", "times:"),
        "`times` is 'often', which is a string and must be a number: give a number without quotes, or an expression",
    ),
    "a number in quotes": (*(WORKFLOW, "times: 3", 'times: "3"', "times:"), "which is a string and must be a number"),
    "an output, which is a text, for a number": (
        *(WORKFLOW, "times: 3", "times: ${{ needs.deploy.outputs.address }}", "times:"),
        "which is a string and must be a number",
    ),
    "an input of another type for a boolean": (
        *(WORKFLOW, "loud: true", "loud: ${{ inputs.count }}", "loud:"),
        "which is a number and must be a boolean: give true or false, without quotes",
    ),
    "YAML 1.1's yes for a boolean": (*(WORKFLOW, "loud: true", "loud: yes", "loud:"), "'yes', which is a string"),
    "a default that is no number": (
        *(CALLED, "default: 1", "default: once", "default: once"),
        "the default of `times` is 'once', which is a string and must be a number",
    ),
    "a default that is no number, of a workflow started by hand": (
        *(WORKFLOW, "default: 3", "default: three", "default:"),
        "the default of `count` is 'three'",
    ),
    "a default that is none of the options": (
        *(WORKFLOW, "default: here", "default: hare", "default: hare"),
        "the default of `where` is 'hare': make it one of its options, here, there.",
    ),
    "a number that this action refuses": (
        *(WORKFLOW, "timeout: 600", "timeout: 4000", "timeout:"),
        "Input `timeout` is '4000'",
    ),
    "a boolean that this action refuses": (
        *(WORKFLOW, "adopt: false", "adopt: maybe", "adopt:"),
        "Input `adopt` is 'maybe'. Expected: true or false.",
    ),
    "a number that this action refuses, through its workflow": (
        *(WORKFLOW, "min_instances: 1", "min_instances: few", "min_instances:"),
        "Input `min_instances` is 'few'",
    ),
}


def write_what_is_right() -> None:
    """Make the current folder a checkout in which there is nothing to find."""
    CALLED.parent.mkdir(parents=True)
    shutil.copy(ROOT / ".github/workflows/deploy.yml", CALLED.parent)
    ACTION.write_text((ROOT / ACTION).read_text() + MORE_OF_THE_ACTION)
    for file, text in RIGHT.items():
        file.write_text(text)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_what_is_right()


def replace(file: Path, right: str, wrong: str) -> None:
    text = file.read_text()
    assert text.count(right) == 1, right
    file.write_text(text.replace(right, wrong))


def everything() -> list[Finding]:
    return [it for file in (ACTION, *sorted(Path(".github/workflows").glob("*.yml"))) for it in findings(file)]


@pytest.mark.usefixtures("checkout")
class TestFindings:
    def test_there_are_none_where_all_is_right(self) -> None:
        assert everything() == []

    @pytest.mark.parametrize("mistake", MISTAKES)
    def test_there_is_one_of(self, mistake: str) -> None:
        file, right, wrong, line, message = MISTAKES[mistake]
        replace(file, right, wrong)

        found = everything()

        assert found
        assert {it.file for it in found} == {file}
        assert any(message in it.message and line in file.read_text().splitlines()[it.line - 1] for it in found), found

    def test_are_printed_with_their_places(self, capsys: pytest.CaptureFixture[str]) -> None:
        replace(WORKFLOW, "default: here", "default: hare")

        assert main([str(WORKFLOW)]) == 1

        assert capsys.readouterr().out == (
            ".github/workflows/example.yml:14: the default of `where` is 'hare': "
            "make it one of its options, here, there.\n"
        )

    def test_a_workflow_that_is_no_yaml_is_left_to_the_schemas(self) -> None:
        WORKFLOW.write_text("jobs: [")

        assert list(findings(WORKFLOW)) == []


@pytest.mark.usefixtures("checkout")
class TestScripts:
    def test_a_script_for_no_shell_is_not_passed_over(self) -> None:
        replace(CALLED, 'run: echo "$TIMES"', 'run: print("tell")\n        shell: python')

        (finding,) = findings(CALLED)

        assert "nothing here checks a script for 'python'" in finding.message

    @pytest.mark.parametrize(
        "default", ["defaults: {run: {shell: sh}}\njobs:\n", "jobs:\n  # here\n"], ids=["for all", "none"]
    )
    def test_what_only_bash_has_is_a_mistake_in_sh_alone(self, default: str) -> None:
        replace(CALLED, "jobs:\n", default)
        replace(CALLED, 'run: echo "$TIMES"', "run: '[[ $TIMES = 1 ]]'")

        assert any("SC3010" in it.message for it in findings(CALLED)) == ("sh" in default)

    def test_an_expression_is_neither_a_mistake_nor_a_constant(self) -> None:
        replace(CALLED, 'run: echo "$TIMES"', "run: if [ '${{ inputs.loud }}' = true ]; then echo \"$TIMES\"; fi")

        assert list(findings(CALLED)) == []

    def test_those_of_a_composite_action_are_checked_too(self) -> None:
        action = Path("action/action.yml")
        action.parent.mkdir()
        action.write_text(
            "runs:\n  using: composite\n  steps:\n    - shell: bash\n      run: |\n        echo\n        cd $1\n"
        )

        assert {it.line for it in findings(action)} == {7}


@pytest.mark.usefixtures("checkout")
class TestPermissions:
    @pytest.mark.parametrize(("asked", "found"), [("issues: write", 1), ("contents: write", 1), ("contents: read", 0)])
    def test_where_nothing_is_said_the_called_workflow_can_only_read(self, asked: str, found: int) -> None:
        """What GitHub gives to a new repository's workflows: contents and packages, to read."""
        replace(WORKFLOW, "permissions: {}\n", "")
        replace(WORKFLOW, "    permissions:\n      issues: write # to tell\n", "")
        replace(CALLED, "issues: write", asked)

        assert len(list(findings(WORKFLOW))) == found

    def test_a_workflow_that_a_called_one_calls_has_no_more(self) -> None:
        middle = Path(".github/workflows/middle.yml")
        middle.write_text("on: {workflow_call: {}}\njobs:\n  pass:\n    uses: $/.github/workflows/called.yml\n")
        replace(WORKFLOW, "called.yml", "middle.yml")
        assert list(findings(WORKFLOW)) == []

        replace(WORKFLOW, "issues: write", "issues: none")
        assert ["job `tell` needs `issues: write`" in it.message for it in findings(WORKFLOW)] == [True]

    @pytest.mark.parametrize(("granted", "found"), [("write-all", 0), ("read-all", 1)])
    def test_all_of_them_are_each_of_them(self, granted: str, found: int) -> None:
        replace(WORKFLOW, "    permissions:\n      issues: write # to tell\n", f"    permissions: {granted}\n")

        assert len(list(findings(WORKFLOW))) == found


def together(names: list[str]) -> tuple[list[str], list[str]]:
    """Make as many of these mistakes as do not touch each other; those that are made, and the others."""
    made: list[str] = []
    others: list[str] = []
    for name in names:
        file, right, wrong, _line, _message = MISTAKES[name]
        text = file.read_text()
        file.write_text(text.replace(right, wrong))
        (made if right in text else others).append(name)
    return made, others


@pytest.mark.skipif(shutil.which("npm") is None, reason="NOT CHECKED: this machine has no Node with npm")
def test_the_other_checkers_find_none_of_these(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were it otherwise they could be left to them."""
    others = list(MISTAKES)
    for number in itertools.count():
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        write_what_is_right()
        made, others = together(others)
        assert made

        result = subprocess.run([ROOT / "script/check-workflows", folder], capture_output=True, text=True, check=False)

        assert result.stdout.splitlines() == ["No findings to report. Good job! (2 ignored)", *map(str, everything())]
        assert result.stderr == ""
        if not others:
            break
