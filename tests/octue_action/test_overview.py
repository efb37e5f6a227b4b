"""The page of several services: readable, and never longer than GitHub shows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from octue_action import overview, report
from octue_action.apply import Outcome, Status
from octue_action.deployment import Deployment
from octue_action.failure import Failure
from octue_action.markdown import fitted
from octue_action.plan import Action, Change, Plan, compare, deletion, refusals_of
from octue_action.resources.build_trigger import BuildTrigger
from octue_action.resources.cloud_run_service import CloudRunService, Memory
from octue_action.resources.container_image import ContainerImage
from octue_action.resources.pubsub_topic import PubsubTopic
from octue_action.runner import Runner
from tests.octue_action.services import COMMIT, crash, each, outcome, outcomes_of, plan_of, resources_of
from tests.octue_action.test_report import check, hostile

MIB = 1024 * 1024
COMMENT = 65_536


def test_the_page_of_three_services_of_which_one_failed(three: list[Deployment]) -> None:
    outcomes = each(three, ["created", "failed", "unchanged"])

    check("three_deployed_one_failed.md", overview.deployment_page(three, outcomes, 42.5))


def test_the_page_of_three_services_is_that_of_a_plan(three: list[Deployment]) -> None:
    changed = replace(three[1].service, memory=Memory(1024**3))
    standing = {it.address: it for it in three[2].resources} | {
        it.address: changed if it is three[1].service else it for it in three[1].resources
    }
    plan = Plan(tuple(compare(it, standing.get(it.address)) for it in resources_of(three)))

    check("three_planned.md", overview.plan_page(plan, three))
    check("three_drifted.md", overview.drift_page(plan, three, COMMIT))


def test_the_page_of_three_services_that_are_destroyed(three: list[Deployment]) -> None:
    outcomes = []
    for resource in reversed(resources_of(three)):
        if resource.part_of is not None or isinstance(resource, ContainerImage):
            continue
        is_gone = resource in three[2].resources and resource not in three[0].resources
        change = deletion(resource, None if is_gone else resource)
        if isinstance(resource, PubsubTopic):
            change = Change(resource, Action.NO_OP, reason="its askers know it; `delete_topic: true` deletes it")
        is_deleted = change.action is Action.DELETE
        status = Status.APPLIED if is_deleted else Status.UNCHANGED
        outcomes.append(Outcome(change, status, 1.25 if is_deleted else 0.0))

    check("three_destroyed.md", overview.deployment_page(three, outcomes, 9.0, deed=report.DESTRUCTION))


def test_three_services_that_must_not_be_changed(three: list[Deployment]) -> None:
    theirs = [replace(it, ours=False) for deployment in three for it in deployment.resources]
    changes = tuple(compare(it, actual) for d in three for it, actual in zip(d.resources, theirs, strict=False))
    refusals = tuple(refusal for change in changes for refusal in refusals_of(change, change.resource, adopt=False))
    plan = Plan(changes, (Failure("The Cloud Run service my-org-sun exists already.", "adopt: true"), *refusals))

    page = overview.refused_page(plan, three)

    assert page.startswith("<h2>❌ 3 services: something is in the way</h2>\n\nNothing was changed.\n\n<blockquote>")
    assert "<td>stays</td>" in page


def test_what_several_services_share_is_told_once_and_before_each_of_them(three: list[Deployment]) -> None:
    sharing = [replace(it, image=three[0].image) for it in three]
    outcomes = list({it.change.resource.address: it for it in each(sharing, ["created"] * 3)}.values())

    page = overview.deployment_page(sharing, outcomes, 1.0)

    (image,) = re.finditer("<td>Container image</td>", page)
    assert page.index("What several services share") < image.start() < page.index("Service by service")


def test_of_a_service_that_is_as_it_was_only_a_row_is_shown(hundred: list[Deployment]) -> None:
    page = overview.deployment_page(hundred, each(hundred, ["unchanged"] * 99 + ["created"]), 1.0)

    assert page.count("Service account") == 1
    assert page.startswith("<h2>✅ 100 services deployed</h2>\n\n1 created, 99 unchanged.\n\n<table>")
    assert len(page) < 70_000


def test_where_nothing_was_to_do_the_page_says_so(hundred: list[Deployment]) -> None:
    page = overview.deployment_page(hundred, each(hundred, ["unchanged"] * 100), 1.0)

    assert "there was nothing to do" in page
    assert page.count("Child(") == 1
    assert "Service by service" not in page


def test_a_failure_of_many_services_is_told_once_with_their_names(hundred: list[Deployment]) -> None:
    failure = Failure("The quota of Cloud Run services is used up.", "Ask for more.")
    outcomes = [it for deployment in hundred for it in outcomes_of(deployment, "failed", failure)]

    (group,) = overview.alike(hundred, outcomes)
    page = overview.deployment_page(hundred, outcomes, 1.0)

    assert group.title == "Cloud Run service of 100 services"
    assert group.failure.message.startswith("The quota of Cloud Run services is used up.\nAll 100 say so: my-org-")
    assert group.failure.message.endswith(" and 80 others.")
    assert page.count("quota") == page.count("Ask for more.") == 1


def test_failures_that_differ_only_in_the_services_names_are_told_once_and_in_full_in_each(
    three: list[Deployment],
) -> None:
    outcomes = each(three, ["failed", "failed", "created"])

    (group,) = overview.alike(three, outcomes)
    page = overview.deployment_page(three, outcomes, 1.0)

    assert group.failure.message == (
        "The container of my-org-wind ended at its start, with exit code 1.\n"
        "This is about my-org-wind. It is the same with my-org-sun."
    )
    assert page.count("The container of my-org-wind ended") == page.count("The container of my-org-sun ended") == 1
    assert page.count("The last 2 lines of its log") == 2


def test_failures_of_different_kinds_are_told_one_by_one(three: list[Deployment]) -> None:
    outcomes = each(three, ["created"] * 3)
    failures = [Failure("There is no quota left."), Failure("The image is not there.")]
    at = [position for position, it in enumerate(outcomes) if isinstance(it.change.resource, CloudRunService)]
    for position, failure in zip(at, failures, strict=False):
        outcomes[position] = outcome(outcomes[position].change.resource, Action.CREATE, Status.FAILED, failure)

    groups = overview.alike(three, outcomes)

    assert [group.failure for group in groups] == failures
    assert [group.title for group in groups] == ["Cloud Run service my-org-wind", "Cloud Run service my-org-sun"]


def hundred_failed(deployments: Sequence[Deployment]) -> str:
    outcomes = {
        it.change.resource.address: it
        for number, deployment in enumerate(deployments)
        for it in outcomes_of(deployment, "failed", crash(f"{number}", lines=50, width=1_000))
    }
    return overview.deployment_page(deployments, list(outcomes.values()), 1.0)


PAGES: dict[str, Callable[[list[Deployment]], str]] = {
    "deployed": lambda them: overview.deployment_page(them, each(them, ["created"] * len(them)), 1.0),
    "up to date": lambda them: overview.deployment_page(them, each(them, ["unchanged"] * len(them)), 1.0),
    "failed": hundred_failed,
    "cancelled": lambda them: overview.deployment_page(them, each(them, ["cut"] * len(them)), 1.0),
    "destroyed": lambda them: overview.deployment_page(
        them, each(them, ["created"] * len(them)), 1.0, deed=report.DESTRUCTION
    ),
    "rolled back": lambda them: overview.deployment_page(
        them, each(them, ["created"] * len(them)), 1.0, deed=report.ROLLBACK
    ),
    "plan": lambda them: overview.plan_page(plan_of(them), them),
    "refused": lambda them: overview.refused_page(plan_of(them, refused=True), them),
    "drift": lambda them: overview.drift_page(plan_of(them), them, COMMIT),
}


@pytest.mark.parametrize("name", PAGES)
def test_of_a_hundred_services_every_row_and_every_fold_is_shown(hundred: list[Deployment], name: str) -> None:
    page = PAGES[name](hundred)

    assert len(page.encode()) < MIB
    assert all(f">{deployment.service.service}</a>" in page for deployment in hundred)
    assert is_balanced(page)


@pytest.mark.parametrize("name", PAGES)
def test_on_a_pull_request_the_last_folds_are_left_out_and_the_overview_stays(
    hundred: list[Deployment], name: str
) -> None:
    page = PAGES[name](hundred)

    shown = fitted(page, COMMENT, "(cut)", "\n_{count} left out_\n\n").decode()

    assert len(shown.encode()) <= COMMENT
    assert is_balanced(shown)
    assert "(cut)" not in shown
    assert all(f">{deployment.service.service}</a>" in shown for deployment in hundred)
    if len(page.encode()) > COMMENT:
        assert f"_{folds(page) - folds(shown)} left out_" in shown
        assert shown.rstrip().splitlines()[-1] == page.rstrip().splitlines()[-1] or name in {"plan", "drift", "refused"}


def folds(page: str) -> int:
    """How many parts are folded, those within others left alone."""
    return len(re.findall("^<details(?: open)?><summary>(?!The last)", page, re.MULTILINE))


def is_balanced(page: str) -> bool:
    """Whether each tag is closed before what it stands in, as a browser needs it; and nothing is read as Markdown."""
    rendered = MarkdownIt("gfm-like", {"linkify": False}).render(page)
    open_tags: list[str] = []
    for closes, name in re.findall(r"<(/?)([a-z][a-z0-9]*)\b[^<>]*>", rendered):
        if name == "br":
            continue
        if not closes:
            open_tags.append(name)
        elif not open_tags or open_tags.pop() != name:
            return False
    return not open_tags


kinds = st.lists(st.sampled_from(["created", "failed", "unchanged", "cut"]), min_size=2, max_size=100)


@settings(max_examples=25, deadline=None)
@given(kinds=kinds, lines=st.integers(0, 60), width=st.integers(0, 2_000), size=st.integers(2_000, 200_000))
def test_whatever_becomes_of_however_many_services_the_page_fits_and_is_whole(
    hundred: list[Deployment], kinds: list[str], lines: int, width: int, size: int
) -> None:
    deployments = hundred[: len(kinds)]
    outcomes = [
        it
        for deployment, kind in zip(deployments, kinds, strict=True)
        for it in outcomes_of(deployment, kind, crash(deployment.service.service, lines, width))
    ]
    page = overview.deployment_page(deployments, outcomes, 1.0)

    shown = fitted(page, size, "\n\n_(cut)_\n", "\n_{count} left out_\n\n").decode()

    assert len(page.encode()) < MIB
    assert len(shown.encode()) <= size
    assert is_balanced(page)
    assert is_balanced(shown)
    counts = Counter(kinds)
    words = {"created": "created", "failed": "failed", "unchanged": "unchanged", "cut": "not begun"}
    for kind, count in counts.items():
        assert re.search(rf"\b{count} {words[kind]}\b", page.split("<table>")[0])


def test_the_summary_of_too_many_details_says_how_many_are_left_out_and_where_they_are(tmp_path: Path) -> None:
    summary = tmp_path / "summary"
    page = "".join(f"<details><summary>{n}</summary>\n\n<pre>{'x' * 20_000}</pre>\n\n</details>\n\n" for n in range(99))

    Runner({"GITHUB_STEP_SUMMARY": str(summary)}).write_summary(f"# Page\n\n{page}<sub>Whole run: 1.0 s.</sub>\n")

    shown = summary.read_text()
    assert len(shown.encode()) <= MIB
    assert "_47 folded parts are left out here: GitHub shows no more than 1 MiB. What was done is in the log" in shown
    assert shown.endswith("<sub>Whole run: 1.0 s.</sub>\n")


@settings(max_examples=50, deadline=None)
@given(said=hostile)
def test_no_text_from_elsewhere_becomes_markup_among_several_services(three: list[Deployment], said: str) -> None:
    def tags(said: str) -> list[str]:
        failure = Failure(said, said, said)
        failure.log = (said,)
        outcomes = [it for deployment in three for it in outcomes_of(deployment, "failed", failure)]
        outcomes = [replace(it, waited_on=(said,) if it.waited_on else ()) for it in outcomes]
        plan = Plan(tuple(Change(it.change.resource, Action.DELETE, reason=said) for it in outcomes), (failure,))
        pages = [overview.deployment_page(three, outcomes, 1.0), overview.refused_page(plan, three)]
        rendered = MarkdownIt("gfm-like", {"linkify": False}).render("\n\n".join(pages))
        return [part.split(">")[0].split(" ")[0] for part in rendered.split("<")[1:]]

    assert [tag for tag in tags(said) if tag != "br"] == [tag for tag in tags("x") if tag != "br"]


def test_a_service_of_which_something_was_made_before_the_run_ended_is_not_finished(three: list[Deployment]) -> None:
    begun, *rest = outcomes_of(three[0], "cut")
    outcomes = [replace(begun, status=Status.APPLIED), *rest, *each(three[1:], ["cut", "unchanged"])]

    page = overview.deployment_page(three, outcomes, 1.0)

    assert page.startswith(
        "<h2>⏹️ 3 services: the deployment was cancelled</h2>\n\nWhat Google Cloud has begun goes on there."
    )
    assert "\n\n1 not finished, 1 not begun, 1 unchanged.\n\n" in page


def test_the_longest_chain_of_its_changes_is_how_long_a_service_took(three: list[Deployment]) -> None:
    page = overview.deployment_page(three, each(three, ["created", "unchanged", "unchanged"]), 1.0)

    # The account, the service, its invoker, the carrier and its subscription; the image is not this service's alone.
    assert "<td>6.2 s</td>" in page


def test_of_a_service_that_was_changed_in_part_the_rest_is_counted(three: list[Deployment]) -> None:
    outcomes = each(three, ["unchanged"] * 3)
    at = next(n for n, it in enumerate(outcomes) if isinstance(it.change.resource, CloudRunService))
    outcomes[at] = outcome(outcomes[at].change.resource, Action.UPDATE, Status.APPLIED)

    page = overview.deployment_page(three, outcomes, 1.0)

    assert "1 changed, 2 unchanged." in page
    assert "\n\n6 others are as they were.\n\n" in page


def test_a_service_whose_own_things_were_skipped_is_counted_among_those_that_failed(three: list[Deployment]) -> None:
    sharing = [replace(it, image=three[0].image) for it in three[:2]]
    shared = three[0].image
    assert shared is not None
    skipped = [outcome(it.service, Action.CREATE, Status.SKIPPED) for it in sharing]
    outcomes = [outcome(shared, Action.CREATE, Status.FAILED, Failure("The build failed.", "Mend it.")), *skipped]

    page = overview.deployment_page(sharing, outcomes, 1.0)

    assert page.startswith("<h2>❌ 2 of 2 services: the deployment failed</h2>\n\n2 skipped.\n\n<blockquote>")
    assert page.count("The build failed.") == 1


def test_drift_and_failures_of_what_services_share_are_not_told_of_no_service(three: list[Deployment]) -> None:
    trigger = next(it for it in resources_of(three) if isinstance(it, BuildTrigger))
    standing = {it.address: it for it in resources_of(three)} | {trigger.address: replace(trigger, disabled=True)}
    plan = Plan(tuple(compare(it, standing[it.address]) for it in resources_of(three)))
    outcomes = each(three, ["unchanged"] * 3)
    at = next(n for n, it in enumerate(outcomes) if it.change.resource.address == trigger.address)
    outcomes[at] = outcome(trigger, Action.UPDATE, Status.FAILED, Failure("It cannot be switched on."))

    assert overview.drift_page(plan, three, COMMIT).startswith("<h2>⚠️ What 3 services share: drift</h2>")
    page = overview.deployment_page(three, outcomes, 1.0)
    assert page.startswith("<h2>❌ What 3 services share: the deployment failed</h2>")
