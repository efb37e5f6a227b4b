from __future__ import annotations

import csv
import hashlib
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import ApiError, invalid_argument, permission_denied
from emulator.faults import Fault
from octue_action import regions
from octue_action.problems import Problem, Rejected
from octue_action.regions import Region, distance, is_low_carbon, nearest, refuse_high_carbon, refuse_misspelt
from octue_action.settings import load
from tests.octue_action.test_report import check
from tests.runs import DOCKERFILE, OCTUE_YAML, Job, Run

Problems = Callable[[Mapping[str, str]], tuple[Problem, ...]]

REGIONS = tuple(regions.table().values())
SERVED = tuple(it for it in REGIONS if it.is_served)
NEWER = ("asia-southeast3", "us-west8", "us-east7", "europe-west15")
"""Regions that Google has opened since the year of the table."""

a_region = st.sampled_from(REGIONS)


def the(name: str) -> Region:
    known = regions.region(name)
    assert known is not None
    return known


# The table


def test_the_table_has_what_google_published_digit_by_digit() -> None:
    text = Path(regions.__file__).with_name("regions.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    published = "\n".join(f"{row['region']},{row['carbon_free']},{row['intensity']}" for row in rows)
    digest = hashlib.sha256(published.encode()).hexdigest()  # of these columns of Google's file
    assert digest == "da7926719b91db219081ce1729a33a3843eb6385c994f878be5933bd6ceaf5fb"


def test_the_table_says_of_which_year_it_is_and_where_it_is_from() -> None:
    head = Path(regions.__file__).with_name("regions.csv").read_text(encoding="utf-8").partition("region,")[0]
    assert f"of {regions.YEAR}," in head
    assert "github.com/GoogleCloudPlatform/region-carbon-info" in head
    assert "cloud.google.com/run/docs/locations" in head
    assert "cloud.google.com/eventarc/docs/locations" in head


@pytest.mark.parametrize(
    ("name", "carbon_free", "intensity"),
    [
        ("europe-north1", 0.98, 39.32),
        ("europe-west1", 0.84, 103.37),
        ("us-central1", 0.87, 412.72),
        ("asia-south1", 0.09, 678.76),
        ("me-central1", 0.01, 366.0),
    ],
)
def test_a_region_has_its_own_figures(name: str, carbon_free: float, intensity: float) -> None:
    assert (the(name).carbon_free, the(name).intensity) == (carbon_free, intensity)


def test_every_region_has_a_place_on_earth_of_its_own_and_figures_that_can_be() -> None:
    assert len(REGIONS) == 44
    assert len({(it.latitude, it.longitude) for it in REGIONS}) == 44
    for it in REGIONS:
        assert it.place
        assert -60 < it.latitude < 75
        assert -180 <= it.longitude <= 180
        assert it.carbon_free is not None
        assert 0 <= it.carbon_free <= 1
        assert 0 < it.intensity < 1000


def test_the_regions_that_no_service_can_run_in_are_those_that_googles_pages_do_not_have() -> None:
    assert {it.name for it in REGIONS if not it.is_served} == {"us-central2", "us-east2"}


def test_it_takes_both_cloud_run_and_eventarc() -> None:
    paris = the("europe-west9")
    assert paris.is_served
    assert not replace(paris, eventarc=False).is_served
    assert not replace(paris, cloud_run=False).is_served


def test_the_table_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    regions.table()
    monkeypatch.setattr(Path, "open", lambda *_, **__: pytest.fail("read again"))
    assert regions.region("europe-west1") is not None


# Low carbon


def test_low_carbon_is_what_google_labels_so() -> None:
    labelled = {  # "Low CO2" on cloud.google.com/eventarc/docs/locations, April 2026, with the figures of 2024
        "europe-north1",
        "europe-north2",
        "europe-southwest1",
        "europe-west1",
        "europe-west2",
        "europe-west4",
        "europe-west6",
        "europe-west9",
        "northamerica-northeast1",
        "northamerica-northeast2",
        "southamerica-east1",
        "southamerica-west1",
        "us-central1",
        "us-south1",
        "us-west1",
    }
    assert {it.name for it in SERVED if is_low_carbon(it)} == labelled


@given(
    st.one_of(st.none(), st.floats(0, 1), st.just(0.75)), st.one_of(st.floats(0, 1000), st.just(200.0), st.just(200.1))
)
def test_the_share_counts_and_the_grid_only_where_there_is_no_share(share: float | None, intensity: float) -> None:
    it = replace(the("europe-west1"), carbon_free=share, intensity=intensity)
    assert is_low_carbon(it) is (intensity <= 200 if share is None else share >= 0.75)


def test_a_region_without_a_share_is_described_by_its_grid_alone() -> None:
    assert replace(the("europe-north1"), carbon_free=None).described == (
        "europe-north1 (Hamina, Finland): 39 gCO2eq/kWh (2024)"
    )


# Near and far


@pytest.mark.parametrize(
    ("one", "other", "kilometres"),
    [
        ("europe-west2", "europe-west9", 344),  # London to Paris
        ("us-east4", "us-west2", 3690),  # Washington to Los Angeles
        ("australia-southeast1", "southamerica-west1", 11340),  # over the date line
    ],
)
def test_distances_are_those_of_the_globe(one: str, other: str, kilometres: float) -> None:
    assert distance(the(one), the(other)) == pytest.approx(kilometres, rel=0.02)


@given(a_region, a_region, a_region)
def test_distance_is_a_metric(one: Region, other: Region, third: Region) -> None:
    assert distance(one, other) == pytest.approx(distance(other, one))
    assert (distance(one, other) == 0) is (one == other)
    assert distance(one, third) <= distance(one, other) + distance(other, third) + 1e-6
    assert distance(one, other) <= 20_016  # half the way around


@given(a_region, st.sets(a_region), st.integers(0, 50))
def test_the_nearest_are_others_served_wanted_and_in_order_and_none_is_nearer(
    origin: Region, wanted: set[Region], count: int
) -> None:
    found = nearest(origin, lambda it: it in wanted, count)
    allowed = {it for it in wanted if it.is_served and it != origin}
    assert set(found) <= allowed
    assert len(found) == len(set(found)) == min(count, len(allowed))
    far = [distance(origin, it) for it in found]
    assert far == sorted(far)
    assert all(distance(origin, it) >= max(far, default=0) for it in allowed - set(found)) or not found


# Cleaner near by


@given(a_region)
def test_what_is_much_cleaner_is_low_carbon_near_by_and_at_most_half_as_dirty(origin: Region) -> None:
    cleaner = regions.cleaner_near_by(origin)
    all_of_them = [
        it
        for it in SERVED
        if is_low_carbon(it) and it.intensity <= origin.intensity / 2 and distance(origin, it) <= 1000
    ]
    assert set(cleaner) <= set(all_of_them)
    assert len(cleaner) == (0 if is_low_carbon(origin) else min(3, len(all_of_them)))
    assert bool(regions.advice(origin.name)) is bool(cleaner)


def test_a_region_that_google_calls_low_carbon_is_left_in_peace() -> None:
    assert the("europe-west9").intensity < the("europe-west1").intensity / 2
    assert regions.advice("europe-west1") == ""


def test_where_nothing_is_near_by_nothing_is_said() -> None:
    assert regions.advice("australia-southeast1") == ""
    assert regions.advice("asia-southeast3") == ""


def test_the_advice_says_where_what_to_change_and_what_that_means() -> None:
    check("cleaner_near_by.txt", regions.advice("europe-west3") + "\n")


# Names that are wrong, and names that are new


@pytest.mark.parametrize("name", [it.name for it in REGIONS] + list(NEWER))
def test_a_region_is_never_called_misspelt_whether_it_is_known_or_newer(name: str) -> None:
    refuse_misspelt(name)


@given(
    st.sampled_from(("africa", "asia", "australia", "europe", "me", "northamerica", "southamerica", "us", "oceania")),
    st.sampled_from(("central", "east", "north", "northeast", "northwest", "south", "southeast", "southwest", "west")),
    st.integers(13, 99),
)
def test_whatever_google_may_call_its_next_region_can_be_deployed_to(
    continent: str, direction: str, number: int
) -> None:
    name = f"{continent}-{direction}{number}"
    refuse_misspelt(name)
    regions.refuse_unserved(name)
    assert f"{name} is not among the regions of 2024" in regions.newness(name)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("euorpe-west1", "`europe-west1`"),
        ("europ-north2", "`europe-north2`"),
        ("eu-west1", "`europe-west1`"),
        ("us-wset1", "`us-west1`"),
        ("us-esat1", "`us-west1` or `us-east1`"),
        ("asai-east1", "`asia-east1`"),
        ("north-northeast1", "`northamerica-northeast1`"),
        ("eurpoe-west99", "`europe-west9`, `europe-west8` or `europe-west6`"),
    ],
)
def test_a_slip_is_refused_with_what_was_meant(written: str, meant: str) -> None:
    with pytest.raises(Rejected) as caught:
        refuse_misspelt(written)
    assert caught.value.hint == f" Perhaps you meant {meant}."


@given(a_region, st.data())
def test_letters_swapped_or_lost_in_a_long_word_are_a_slip(it: Region, data: st.DataObject) -> None:
    continent, _, rest = it.name.partition("-")
    if len(continent) < 6:
        return
    at = data.draw(st.integers(0, len(continent) - 2))
    swapped = continent[:at] + continent[at + 1] + continent[at] + continent[at + 2 :]
    lost = continent[:at] + continent[at + 1 :]
    for written in {f"{swapped}-{rest}", f"{lost}-{rest}"} - {it.name}:
        with pytest.raises(Rejected):
            refuse_misspelt(written)


@pytest.mark.parametrize("name", NEWER)
def test_of_a_region_that_is_newer_than_the_table_it_is_said_that_it_is_not_known(name: str) -> None:
    assert f"{name} is not among the regions of 2024" in regions.newness(name)
    assert regions.described(name) == f"{name}: no figures of 2024"


# The policy


@given(a_region)
def test_the_policy_takes_what_is_low_carbon_and_nothing_else(it: Region) -> None:
    if is_low_carbon(it):
        refuse_high_carbon(it.name)
        return
    with pytest.raises(Rejected) as caught:
        refuse_high_carbon(it.name)
    near = nearest(it, is_low_carbon)
    assert len(near) == 3
    assert all(f"`region: {other.name}`" in caught.value.expected for other in near)


def test_the_policy_takes_nothing_on_trust() -> None:
    with pytest.raises(Rejected, match="no figures of 2024") as caught:
        refuse_high_carbon("asia-southeast3")
    assert "`region_policy: any`" in caught.value.expected


# As settings


def written_in_file(workspace: Path, region: str) -> None:
    (workspace / "octue.yaml").write_text(OCTUE_YAML.replace("europe-west1", region))


def test_an_unserved_region_is_a_problem_at_its_line_with_the_nearest_that_are_served(
    environment: dict[str, str], workspace: Path, problems: Problems
) -> None:
    written_in_file(workspace, "us-east2")
    (problem,) = problems(environment)
    assert (problem.file, problem.line, problem.column, problem.title) == ("octue.yaml", 5, 13, "region")
    assert problem.message == "`region` is 'us-east2': neither Cloud Run nor Eventarc serves Georgia."
    assert problem.expected == (
        "one of the nearest that both serve, `region: us-east1` (Moncks Corner, South Carolina, 436 km), "
        "`region: us-east5` (Columbus, Ohio, 702 km) or `region: us-east4` (Ashburn, Virginia, 867 km)"
    )


@pytest.mark.parametrize(
    ("cloud_run", "eventarc", "reason"),
    [
        (True, False, "Eventarc does not serve Paris, France"),
        (False, True, "Cloud Run does not serve Paris, France"),
        (False, False, "neither Cloud Run nor Eventarc serves Paris, France"),
    ],
)
def test_it_is_said_which_of_the_two_does_not_serve_a_region(
    monkeypatch: pytest.MonkeyPatch, cloud_run: bool, eventarc: bool, reason: str
) -> None:
    paris = replace(the("europe-west9"), cloud_run=cloud_run, eventarc=eventarc)
    changed = {**regions.table(), paris.name: paris}
    monkeypatch.setattr(regions, "table", lambda: changed)
    with pytest.raises(Rejected) as caught:
        regions.refuse_unserved("europe-west9")
    assert caught.value.reason == reason
    assert "`region: europe-west1`" in caught.value.expected


def test_a_region_in_an_input_is_a_problem_of_the_input(environment: dict[str, str], problems: Problems) -> None:
    (Path(environment["GITHUB_WORKSPACE"]) / "octue.yaml").unlink()
    alone = {"INPUT_SERVICE_NAME": "sum", "INPUT_PROJECT_ID": "my-project", "INPUT_REGION": "euorpe-west1"}
    (problem,) = problems(environment | alone)
    assert (problem.file, problem.title) == (None, "region")
    assert problem.message == (
        "Input `region` is 'euorpe-west1': there is no such region. Perhaps you meant `europe-west1`."
    )


def test_the_policy_is_held_where_the_region_stands(
    environment: dict[str, str], workspace: Path, problems: Problems
) -> None:
    written_in_file(workspace, "europe-west3")
    (problem,) = problems(environment | {"INPUT_REGION_POLICY": "low-carbon"})
    assert (problem.file, problem.line, problem.title) == ("octue.yaml", 5, "region")
    assert problem.message == (
        "`region` is 'europe-west3': Frankfurt, Germany is 68 % carbon-free, 276 gCO2eq/kWh (2024), "
        "and `region_policy` is low-carbon."
    )
    assert "`region: europe-west6` (Zurich, Switzerland, 305 km)" in problem.expected


@pytest.mark.parametrize("mode", ["plan", "drift"])
def test_the_policy_holds_in_the_modes_that_say_what_should_be(
    environment: dict[str, str], workspace: Path, problems: Problems, mode: str
) -> None:
    written_in_file(workspace, "europe-west3")
    (problem,) = problems(environment | {"INPUT_REGION_POLICY": "low-carbon", "INPUT_MODE": mode})
    assert problem.title == "region"


@pytest.mark.parametrize(("mode", "more"), [("destroy", {"INPUT_CONFIRM": "my-org-sum"}), ("rollback", {})])
@pytest.mark.parametrize("region", ["europe-west3", "us-central2", "asia-southeast3"])
def test_what_stands_anywhere_can_be_rolled_back_and_destroyed(
    environment: dict[str, str], workspace: Path, mode: str, more: dict[str, str], region: str
) -> None:
    written_in_file(workspace, region)
    loaded = load(environment | {"INPUT_REGION_POLICY": "low-carbon", "INPUT_MODE": mode, **more})
    assert loaded.services[0].region == region
    assert loaded.notices == ()


def test_a_slip_is_no_region_to_destroy_in_either_where_nothing_would_be_found(
    environment: dict[str, str], workspace: Path, problems: Problems
) -> None:
    written_in_file(workspace, "euorpe-west1")
    (problem,) = problems(environment | {"INPUT_MODE": "destroy", "INPUT_CONFIRM": "my-org-sum"})
    assert "Perhaps you meant `europe-west1`." in problem.message


def test_the_notice_is_given_once_for_all_the_services_in_a_region(
    environment: dict[str, str], workspace: Path
) -> None:
    several = itertools.chain.from_iterable(
        (f"  - name: {name}", "    project_name: my-project", f"    region: {region}")
        for name, region in (("a", "europe-west3"), ("b", "europe-west3"), ("c", "europe-west1"), ("d", "us-west3"))
    )
    (workspace / "octue.yaml").write_text("\n".join(["services:", *several]) + "\n")
    notices = load(environment).notices
    assert [(it.file, it.line, it.title) for it in notices] == [
        ("octue.yaml", 4, "region"),
        ("octue.yaml", 13, "region"),
    ]
    assert notices[0].message.startswith(
        "europe-west3 (Frankfurt, Germany): 68 % carbon-free, 276 gCO2eq/kWh (2024). Much cleaner than europe-west3"
    )


# Whole runs


def run(job: Job, region: str, **inputs: str) -> Run:
    """A run of the service in that region."""
    files = {"octue.yaml": OCTUE_YAML.replace("europe-west1", region), "Dockerfile": DOCKERFILE}
    if {name: (job.workspace / name).read_text() for name in files if (job.workspace / name).exists()} != files:
        job.commit(files)
    return job.deploy(inputs, event_name="workflow_dispatch")


def test_a_deployment_says_how_clean_its_region_is(job: Job) -> None:
    done = run(job, "europe-north1", region_policy="low-carbon")
    assert done.code == 0
    assert done.log.of_kind("notice") == []
    assert "<th>Region</th><td>europe-north1 (Hamina, Finland): 98 % carbon-free, 39 gCO2eq/kWh (2024)<" in done.summary


def test_a_much_cleaner_region_is_told_once_in_the_log_and_on_the_page_and_the_deployment_goes_on(job: Job) -> None:
    done = run(job, "europe-central2")
    (notice,) = done.log.of_kind("notice")
    assert done.code == 0
    assert (notice.file, notice.line, notice.title) == ("octue.yaml", 5, "region")
    assert notice.message.startswith("europe-central2 (Warsaw, Poland): 40 % carbon-free, 643 gCO2eq/kWh (2024).")
    assert "`region: europe-north2`" in notice.message
    assert done.summary.count("Much cleaner than europe-central2") == 1
    assert "europe-central2 (Warsaw, Poland): 40 % carbon-free" in done.summary


def test_a_plan_tells_it_before_anything_is_made(job: Job) -> None:
    planned = run(job, "europe-central2", mode="plan")
    assert planned.code == 0
    assert planned.writes == []
    assert "europe-central2 (Warsaw, Poland): 40 % carbon-free" in planned.summary
    assert planned.summary.count("Much cleaner than europe-central2") == 1


def test_the_policy_ends_the_run_before_any_request(job: Job) -> None:
    before = job.look()
    refused = run(job, "europe-central2", region_policy="low-carbon")
    (error,) = refused.log.of_kind("error")
    assert (refused.code, refused.requests) == (2, ())
    assert (error.file, error.line, error.title) == ("octue.yaml", 5, "region")
    assert "`region: europe-north2`" in error.message
    assert "octue.yaml, line 5" in refused.summary
    assert job.look() == before


def test_an_unserved_region_ends_the_run_before_any_request(job: Job) -> None:
    refused = run(job, "us-central2")
    (error,) = refused.log.of_kind("error")
    assert (refused.code, refused.requests) == (2, ())
    assert (error.file, error.line, error.title) == ("octue.yaml", 5, "region")
    assert "`region: us-south1` (Dallas, Texas, 415 km)" in error.message


def test_a_region_that_google_added_after_the_table_is_deployed_to_with_a_notice(job: Job) -> None:
    done = run(job, "asia-southeast3")
    (notice,) = done.log.of_kind("notice")
    assert done.code == 0
    assert (notice.file, notice.line, notice.title) == ("octue.yaml", 5, "region")
    assert "asia-southeast3 is not among the regions of 2024" in notice.message
    assert "asia-southeast3: no figures of 2024" in done.summary


def regions_that_hear(world: Mapping[str, Any], topic: str) -> list[str]:
    """The regions whose Eventarc has a subscription to a topic, from the names it gives them."""
    hearing = [it["name"] for it in world["subscriptions"]["subscriptions"] if it["topic"] == topic]
    return sorted(name.split("/eventarc-")[1].partition("-my-")[0] for name in hearing)


A, B, C = "europe-central2", "europe-north1", "europe-west1"


def destroy(job: Job, region: str, **inputs: str) -> Run:
    return run(job, region, mode="destroy", confirm="my-org-sum", **inputs)


def test_a_service_does_not_move_with_its_region_and_beside_the_first_one_it_has_a_topic_of_its_own(job: Job) -> None:
    """On one topic both would answer every question."""
    first, second, again = run(job, A), run(job, B), run(job, A)
    assert (first.code, second.code, again.code) == (0, 0, 0)
    assert regions_that_hear(again.world, first.outputs["topic_name"]) == [A]
    assert regions_that_hear(again.world, second.outputs["topic_name"]) == [B]
    assert again.outputs["topic_name"] == first.outputs["topic_name"]


def methods(writes: Iterable[str]) -> set[str]:
    return {write.rpartition("/")[2] for write in writes}


def one_hears_each(job: Job, *regions: str) -> bool:
    """Whether each region's service has a topic to itself, also after another deployment."""
    runs = [run(job, region) for region in regions]
    return all(it.code == 0 for it in runs) and [
        regions_that_hear(runs[-1].world, it.outputs["topic_name"]) for it in runs
    ] == [[region] for region in regions]


def test_a_topic_that_another_region_has_taken_over_is_not_taken_back(job: Job) -> None:
    first = run(job, A)
    destroy(job, A)
    second = run(job, B)

    assert second.outputs["topic_name"] == first.outputs["topic_name"]
    assert run(job, A).code == 0
    assert one_hears_each(job, A, B)


def test_a_topic_that_another_region_has_taken_over_is_not_taken_by_a_third(job: Job) -> None:
    run(job, A)
    destroy(job, A)
    run(job, B)

    assert run(job, C).code == 0
    assert one_hears_each(job, B, C)


def test_a_topic_that_was_named_is_not_taken_by_another_region(job: Job) -> None:
    named = run(job, A, service_id="11111111-2222-4333-8444-555555555555")
    assert named.code == 0

    assert run(job, B).code == 0
    assert one_hears_each(job, A, B)


def test_a_topic_whose_service_never_came_is_left_to_who_has_taken_it(job: Job) -> None:
    refusal = Fault(method="*Services/CreateService", error=invalid_argument("Not today."), times=1)
    job.world.faults.add(refusal)
    assert run(job, A).code == 1

    assert run(job, B).code == 0
    assert run(job, A).code == 0
    assert one_hears_each(job, A, B)


def test_what_another_region_still_uses_stays_when_a_service_is_destroyed(job: Job) -> None:
    run(job, A)
    run(job, B)

    destroyed = destroy(job, A)

    assert destroyed.code == 0
    assert f"my-org-sum in {B} uses it, too" in destroyed.readable
    assert methods(destroyed.writes) == {"DeleteBuildTrigger", "DeleteRepository", "DeleteService", "DeleteTrigger"}


def test_a_second_region_is_told_which_topic_stays_with_the_first(job: Job) -> None:
    first = run(job, A)
    second = run(job, B)

    (notice,) = [it.message for it in second.log.of_kind("notice") if "topic of its own" in it.message]
    assert first.outputs["topic_name"].rpartition("/")[2] in notice
    assert f"eventarc-{A}-my-org-sum-sub-" in notice
    assert notice.endswith(f"service_id: {first.outputs['service_id']}")
    assert "topic of its own" not in run(job, B).readable


LISTING = "google.cloud.run.v2.Services/ListServices"


@pytest.mark.parametrize(
    "error",
    [
        permission_denied("Permission 'run.services.list' denied on resource."),
        ApiError(grpc.StatusCode.UNAVAILABLE, "No answer."),
    ],
    ids=["refused", "in trouble"],
)
def test_regions_that_do_not_answer_keep_the_account_and_hinder_nothing(job: Job, error: ApiError) -> None:
    run(job, A)
    # The first listing is that of the service's own region.
    job.world.faults.add(Fault(method=LISTING, error=error, skip=1, times=None))

    destroyed = destroy(job, A)

    assert destroyed.code == 0
    assert "DeleteService" in methods(destroyed.writes)
    assert "DeleteServiceAccount" not in methods(destroyed.writes)
    assert "Google Cloud does not tell whether a service in " in destroyed.readable
    assert "and others uses it" in destroyed.readable


def test_other_regions_are_asked_only_where_an_account_would_go(job: Job) -> None:
    run(job, A)
    preview = run(job, A, preview="pr-7")
    assert preview.code == 0

    of_preview = run(job, A, mode="destroy", preview="pr-7", confirm="my-org-sum-pr-7")
    of_last = destroy(job, A)

    def listings(it: Run) -> int:
        return sum(request.method == LISTING for request in it.requests)

    assert (of_preview.code, of_last.code) == (0, 0)
    assert listings(of_preview) == 1
    assert listings(of_last) > 30


def test_a_topic_that_another_region_has_taken_over_is_not_deleted_from_the_first(job: Job) -> None:
    run(job, A)
    destroy(job, A)
    moved = run(job, B)

    cleaned = destroy(job, A, delete_topic="true")

    assert cleaned.code == 0
    assert regions_that_hear(cleaned.world, moved.outputs["topic_name"]) == [B]
    assert methods(cleaned.writes) == set()


def test_destroyed_first_it_is_in_the_new_region_alone_and_on_the_same_topic(job: Job) -> None:
    first = run(job, A)
    destroyed = job.deploy({"mode": "destroy", "confirm": "my-org-sum", "region_policy": "low-carbon"})
    second = run(job, B, region_policy="low-carbon")
    assert (first.code, destroyed.code, second.code) == (0, 0, 0)
    assert regions_that_hear(second.world, first.outputs["topic_name"]) == [B]
