"""What people read is held by golden files; ``REWRITE_GOLDEN=1`` writes them anew, to be read before they land."""

from __future__ import annotations

import html
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from octue_action import report
from octue_action.apply import Outcome, Status
from octue_action.deployment import Deployment, desired
from octue_action.existing import Existing
from octue_action.failure import Failure
from octue_action.plan import Action, Change, Plan, compare, deletion
from octue_action.question import Answer
from octue_action.resource import FieldChange, Resource
from octue_action.settings import load
from tests.octue_action.fakes import Thing

GOLDEN = Path(__file__).parent / "golden"

CREATED = Outcome(Change(Thing(thing_id="topic"), Action.CREATE), Status.APPLIED, 0.42, Thing(thing_id="topic"))
UNCHANGED = Outcome(Change(Thing(thing_id="account"), Action.NO_OP), Status.UNCHANGED, 0.0, Thing(thing_id="account"))
CHANGED = Outcome(
    Change(
        Thing(thing_id="service"),
        Action.UPDATE,
        (FieldChange("memory", "512Mi", "1Gi"), FieldChange("environment[KEY]", "old", "new", sensitive=True)),
    ),
    Status.APPLIED,
    17.3,
    Thing(thing_id="service"),
)
FAILED = Outcome(
    Change(Thing(thing_id="service"), Action.CREATE),
    Status.FAILED,
    3.14,
    failure=Failure("PERMISSION_DENIED from create_service: no", "gcloud projects add-iam-policy-binding my-project"),
)
SKIPPED = Outcome(Change(Thing(thing_id="trigger"), Action.CREATE), Status.SKIPPED, waited_on=("Thing service",))


def check(name: str, text: str) -> None:
    file = GOLDEN / name
    if os.environ.get("REWRITE_GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()


CRASHED = Failure(
    "The program ended at its start, with exit code 1: the Python module numpy is not in the image.",
    "https://console.cloud.google.com/run/detail/r/s/logs?project=p",
    "https://console.cloud.google.com/run/detail/r/s/logs?project=p",
)
CRASHED.log = ("Traceback (most recent call last):", "<img src=x> @octocat", "", "ModuleNotFoundError: \x1b[31mnumpy")


def test_the_log_of_a_plan() -> None:
    plan = Plan(tuple(outcome.change for outcome in (UNCHANGED, CHANGED, CREATED)))

    check("plan.log", "\n".join(report.plan_lines(plan)) + "\n")


def test_the_log_of_a_plan_of_what_is_new_and_of_what_is_not_ours() -> None:
    theirs = Thing(thing_id="service", size=2, ours=False)
    changes = (
        compare(Thing(thing_id="topic", tags={"a": "b"}, secrets={"KEY": "secret"}), None),
        compare(Thing(thing_id="service"), theirs),
        compare(Thing(thing_id="trigger"), Thing(thing_id="trigger", colour="blue")),
    )

    lines = [*report.plan_lines(Plan(changes)), "", *report.plan_lines(Plan(changes, adopt=True))]

    check("plan_in_full.log", "\n".join(lines) + "\n")


def test_the_log_of_a_plan_to_destroy() -> None:
    there, theirs = Thing(thing_id="service"), Thing(thing_id="trigger", ours=False)
    kept = Change(Thing(thing_id="topic"), Action.NO_OP, reason="its askers know it; `delete_topic: true` deletes it")
    changes = (deletion(there, there), deletion(theirs, theirs), deletion(Thing(thing_id="image"), None), kept)
    plan = Plan(changes, purpose="destroy")
    outcomes = [Outcome(change, Status.UNCHANGED) for change in changes[1:]]
    gone = Outcome(changes[0], Status.APPLIED, 1.5)
    skipped = Outcome(changes[0], Status.SKIPPED, waited_on=("Thing trigger",))

    lines = [*report.plan_lines(plan), "", *map(report.outcome_line, [gone, skipped, *outcomes])]

    check("destroy.log", "\n".join(lines) + "\n")


def test_of_long_values_only_that_is_shown_which_differs_with_a_little_around_it() -> None:
    script = "gcloud run services update {} --quiet".format
    names = [f"wind-{number:03}" for number in range(100)]
    before, after = script(" ".join(names)), script(" ".join([*names[:60], "hydro-yield", *names[60:]]))
    plan = Plan((Change(Thing(thing_id="trigger"), Action.UPDATE, (FieldChange("update", before, after),)),))

    assert report.plan_lines(plan)[1] == (
        "    update: …56 wind-057 wind-058 wind-059 wind-060 wind-061 wind-062 wi… → "
        "…56 wind-057 wind-058 wind-059 hydro-yield wind-060 wind-061 wind-062 wi…"
    )


@given(st.text(max_size=400), st.text(max_size=40), st.text(max_size=40), st.text(max_size=400))
def test_what_is_left_out_of_long_values_is_the_same_in_both(start: str, old: str, new: str, end: str) -> None:
    before, after = f"{start}{old}{end}", f"{start}{new}{end}"

    told = report._differing(before, after)

    assert max(len(it) for it in told) <= 200
    shown = [it.removeprefix("…").removesuffix("…") for it in told]
    assert (shown[0] == shown[1]) == (before == after)


def test_the_log_of_a_plan_with_nothing_to_do() -> None:
    assert report.plan_lines(Plan((UNCHANGED.change,))) == [
        "= Thing account stays",
        "Nothing to do: the resource is as it should be.",
    ]


def test_the_log_of_a_deployment() -> None:
    unfinished, not_begun = (replace(CREATED, status=s) for s in (Status.UNFINISHED, Status.NOT_BEGUN))
    outcomes = [UNCHANGED, CREATED, CHANGED, FAILED, SKIPPED, unfinished, not_begun]

    check("deployment.log", "\n".join(map(report.outcome_line, outcomes)) + "\n")


def test_a_replacement_that_was_cut_short_is_not_said_to_go_on_since_it_takes_two_steps() -> None:
    replacing = replace(CREATED, change=replace(CREATED.change, action=Action.REPLACE), status=Status.UNFINISHED)

    assert report.outcome_line(replacing).endswith("not replaced yet, and may be deleted already")


@pytest.fixture
def deployment(environment: dict[str, str]) -> Deployment:
    settings = load(environment)
    return desired(settings, settings.services[0], Existing({}, {}))


def outcomes_of(deployment: Deployment, action: Action, status: Status) -> list[Outcome]:
    return [
        Outcome(
            Change(resource, action),
            status,
            1.25,
            replace(resource, url="https://my-org-sum-abc-ew.a.run.app")
            if resource is deployment.service
            else resource,
        )
        for resource in deployment.resources
    ]


def test_the_summary_of_a_deployment(deployment: Deployment) -> None:
    outcomes = outcomes_of(deployment, Action.CREATE, Status.APPLIED)

    check("deployed.md", report.deployment_summary([deployment], outcomes, 42.5))


def test_the_summary_of_a_deployment_that_had_nothing_to_do(deployment: Deployment) -> None:
    outcomes = outcomes_of(deployment, Action.NO_OP, Status.UNCHANGED)

    check("up_to_date.md", report.deployment_summary([deployment], outcomes, 0.8))


def test_the_summary_of_a_plan(deployment: Deployment) -> None:
    plan = Plan(tuple(compare(resource, None) for resource in deployment.resources))

    check("plan.md", report.plan_summary(plan, [deployment]))


def test_the_summary_of_a_deployment_whose_container_did_not_start_has_its_last_lines_folded(
    deployment: Deployment,
) -> None:
    outcome = replace(FAILED, failure=CRASHED)

    check("crashed.md", report.deployment_summary([deployment], [outcome], 42.5))


def drifted(deployment: Deployment) -> Plan:
    def actual(resource: Resource) -> Resource:
        if resource is not deployment.service:
            return resource
        return replace(deployment.service, concurrency=3, environment={**deployment.service.environment, "MINE": "x"})

    return Plan(tuple(compare(resource, actual(resource)) for resource in deployment.resources))


def test_the_summary_of_a_look_for_drift(deployment: Deployment) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    none = Plan(tuple(compare(resource, resource) for resource in deployment.resources))

    check("drift.md", report.drift_summary(drifted(deployment), [deployment], commit))
    check("no_drift.md", report.drift_summary(none, [deployment], commit))


def test_the_lines_about_drift_name_only_what_differs(deployment: Deployment) -> None:
    assert report.drift_lines(drifted(deployment)) == [
        "Cloud Run service my-org-sum differs",
        "    environment[MINE]: not wanted",
        "    concurrency: is 3, wanted 10",
    ]


def test_the_summary_of_a_rollback(deployment: Deployment) -> None:
    before = replace(deployment.service, revision="my-org-sum-00002-abc", url="https://my-org-sum-abc-ew.a.run.app")
    wanted = replace(before, traffic="my-org-sum-00001-xyz", only=frozenset({"traffic"}))
    change = compare(wanted, before)
    outcome = Outcome(change, Status.APPLIED, 2.5, replace(before, revision="my-org-sum-00001-xyz"))
    back = replace(deployment, service=wanted, serving_image="europe-west1-docker.pkg.dev/p/r/my-org-sum:before")

    check("rolled_back.md", report.deployment_summary([back], [outcome], 3.0, deed=report.ROLLBACK))


def test_the_summary_of_a_destruction(deployment: Deployment) -> None:
    kept = {deployment.topic.address: "its askers know it; `delete_topic: true` deletes it"}
    outcomes = [
        Outcome(Change(resource, Action.NO_OP, reason=kept[resource.address]), Status.UNCHANGED)
        if resource.address in kept
        else Outcome(Change(resource, Action.DELETE), Status.APPLIED, 1.25)
        for resource in reversed(deployment.resources)
        if resource.part_of is None and resource is not deployment.image
    ]

    check("destroyed.md", report.deployment_summary([deployment], outcomes, 9.0, deed=report.DESTRUCTION))


def test_the_summary_of_a_question_that_was_answered(deployment: Deployment) -> None:
    answer = Answer(output_values={"sum": 3}, output_manifest=None, seconds=1.234, log=())
    asked = report.Asked(question={"numbers": [1, 2]}, answer=answer, log=("INFO It begins.", "INFO It ends."))
    outcomes = outcomes_of(deployment, Action.NO_OP, Status.UNCHANGED)

    check("answered.md", report.deployment_summary([deployment], outcomes, 3.0, asked=asked))


def test_the_summary_of_a_question_that_was_not_answered(deployment: Deployment) -> None:
    asked = report.Asked(
        question={"numbers": [1, 2]},
        failure=Failure("The service answered with an error, ValueError: no wind", "Look."),
        log=("INFO It begins.", "Traceback (most recent call last):", '  File "app.py", line 1'),
        aftermath="So the traffic is back on my-org-sum-00001-xyz.",
    )
    outcomes = outcomes_of(deployment, Action.NO_OP, Status.UNCHANGED)

    check("not_answered.md", report.deployment_summary([deployment], outcomes, 3.0, asked=asked))


def test_a_long_answer_and_a_long_log_are_shortened(deployment: Deployment) -> None:
    answer = Answer(output_values="x" * 9_000_000, output_manifest=None, seconds=1.0, log=())
    asked = report.Asked(question=1, answer=answer, log=tuple(f"line {number}" for number in range(200)))

    page = report.deployment_summary([deployment], [], 3.0, asked=asked)

    assert len(page) < 30_000
    assert "9,000,002 characters in all" in page
    assert "line 99\n" not in page
    assert "line 100\n" in page


def test_the_summary_of_a_failed_deployment(deployment: Deployment) -> None:
    check("failed.md", report.deployment_summary([deployment], [UNCHANGED, CREATED, FAILED, SKIPPED], 21.0))


def test_the_summary_of_a_cancelled_deployment(deployment: Deployment) -> None:
    cut_short = outcomes_of(deployment, Action.CREATE, Status.UNFINISHED)
    begun = next(position for position, o in enumerate(cut_short) if o.change.resource is deployment.service)
    outcomes = [
        replace(outcome, status=status)
        for outcome, status in zip(
            cut_short,
            [Status.APPLIED] * begun + [Status.UNFINISHED] + [Status.NOT_BEGUN] * (len(cut_short) - begun - 1),
            strict=True,
        )
    ]

    check("cancelled.md", report.deployment_summary([deployment], outcomes, 3.5))


def test_the_summary_of_a_run_that_was_cancelled_before_it_deployed() -> None:
    check("cancelled_early.md", report.ended_summary("Nothing was changed.", "was cancelled"))


def test_the_summary_of_wrong_inputs() -> None:
    failures = [
        Failure("octue.yaml, line 3: `memory` is 'lots'. Expected: an amount such as 512Mi."),
        Failure("No.", "x"),
    ]

    check("wrong_inputs.md", report.failure_summary("The inputs cannot be used", failures))


def test_a_sensitive_value_is_shown_nowhere() -> None:
    plan = Plan((CHANGED.change,))

    shown = "\n".join([*report.plan_lines(plan), report.plan_summary(plan, [])])

    assert "environment[KEY]: changed" in shown
    assert "old" not in shown
    assert "new" not in shown


hostile = st.one_of(
    st.text(max_size=60).filter(lambda text: bool(text.strip())),
    st.sampled_from(
        [
            "</td></table><script>alert(1)</script>",
            "\n\n# heading\n\n[link](https://evil.example)",
            "![image](https://evil.example/x.png)",
            "<img src=x onerror=alert(1)>",
            "`code` **bold** | cell | \n|---|---|",
            '"><a href="javascript:alert(1)">x</a>',
            "\x85\u2028\u2029<h1>",
            "~~~\n</pre>\n\n<h1>",
        ]
    ),
)


@given(text=hostile)
def test_no_text_from_elsewhere_becomes_markup(text: str) -> None:
    outcome = Outcome(
        Change(Thing(thing_id=text), Action.UPDATE, (FieldChange(text, text, text),)),
        Status.FAILED,
        failure=Failure(text, text),
    )
    plain = Outcome(
        Change(Thing(thing_id="x"), Action.UPDATE, (FieldChange("x", "x", "x"),)),
        Status.FAILED,
        failure=Failure("x", "x"),
    )

    def tags(outcome: Outcome) -> list[str]:
        said = outcome.change.resource.name
        asked = report.Asked(question=said, failure=Failure(said, said), log=(said,), aftermath=said)
        page = report.deployment_summary([], [outcome], 1.0, asked=asked)
        page += report.plan_summary(Plan((compare(Thing(thing_id=said, tags={said: said}), None),)), [])
        page += report.plan_summary(Plan((Change(Thing(thing_id=said), Action.NO_OP, reason=said),)), [])
        rendered = MarkdownIt("gfm-like", {"linkify": False}).render(page)
        return [part.split(">")[0].split(" ")[0] for part in rendered.split("<")[1:]]

    assert [t for t in tags(outcome) if t != "br"] == [t for t in tags(plain) if t != "br"]


@pytest.mark.parametrize("text", ["see @octocat", "@octocat/team", "a (@x)", "-@octocat", "a.@octocat"])
def test_nobody_is_mentioned(text: str) -> None:
    assert "@\u200c" in report.failure_summary("x", [Failure(text)])


@pytest.mark.parametrize("text", ["#1", "octocat/hello-world#1", "(GH-1)", "gh-1"])
def test_no_issue_is_linked(text: str) -> None:
    assert "\u200c1" in report.failure_summary("x", [Failure(text)])


def test_a_character_that_nobody_sees_is_written_out() -> None:
    text = "a\x1b[31m\u202eb\u2028c\rd\r\ne"

    summary = report.failure_summary("x", [Failure(text, text)])

    seen = r"a\x1b[31m\u202eb\u2028c\rd"
    assert f"{seen}<br>e<" in summary
    assert f"{seen}\ne<" in summary


def test_an_e_mail_address_stays_as_it_is() -> None:
    summary = report.failure_summary("x", [Failure("deployer@my-project.iam.gserviceaccount.com <is> & 'was'")])

    assert html.escape("deployer@my-project.iam.gserviceaccount.com <is> & 'was'") in summary
