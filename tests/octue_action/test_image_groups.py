"""Several services of one repository, those of one Dockerfile built once, through all that becomes of them."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from google.cloud.devtools import cloudbuild_v1
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from emulator.rpc import SYSTEM
from emulator.world import World
from octue_action.deployment import desired
from octue_action.existing import Existing
from octue_action.problems import InvalidSettings
from octue_action.resource import Resource
from octue_action.resources.artifact_repository import ArtifactRepository
from octue_action.resources.build_trigger import BuildTrigger
from octue_action.resources.container_image import ContainerImage
from octue_action.settings import load
from tests.runs import DOCKERFILE, REPOSITORY, Job, Run

SUM, PRODUCT, MEAN = "sum", "product", "mean"
SERVICES = (SUM, PRODUCT, MEAN)
"""The first two of one Dockerfile, the third of its own."""

ENTRY = "  - name: {}\n    project_name: my-project\n    region: europe-west1\n"
OWN_DOCKERFILE = "    dockerfile_path: mean.Dockerfile\n"
BUILD = (ArtifactRepository, BuildTrigger, ContainerImage)
IMAGES = "europe-west1-docker.pkg.dev/my-project"


def octue_yaml(*names: str, own: tuple[str, ...] = (MEAN,)) -> str:
    """octue.yaml with these services, of which some have a Dockerfile of their own."""
    return "services:\n" + "".join(ENTRY.format(name) + OWN_DOCKERFILE * (name in own) for name in names)


@pytest.fixture
def three(job: Job) -> Job:
    """A repository with three services, two of one Dockerfile."""
    job.commit({"octue.yaml": octue_yaml(*SERVICES), "mean.Dockerfile": DOCKERFILE})
    return job


@pytest.fixture
def world(three: Job) -> World:
    return three.world


def run(job: Job, mode: str = "deploy", *services: str, **inputs: str) -> Run:
    """Run a mode for some of the services, or all, as a workflow that somebody started by hand."""
    confirm = {"confirm": ",".join(services or SERVICES), "delete_topic": "true"} if mode == "destroy" else {}
    given = {"mode": mode, "services": ",".join(services), **confirm, **inputs}
    return job.deploy(given, event_name="workflow_dispatch")


def succeeded(done: Run) -> Run:
    assert done.code == 0, done.stdout
    return done


def of_kind(job: Job, kind: str, listed: str = "triggers") -> dict[str, Any]:
    """The things of a kind, by their names."""
    things = job.look()[kind].get(listed, [])
    return {thing["name"].rpartition("/")[2]: thing for thing in things}


def images(job: Job) -> dict[str, str]:
    """What each Cloud Run service runs, without the commit."""
    services = of_kind(job, "services", "services")
    found = {name: it["template"]["containers"][0]["image"] for name, it in services.items()}
    return {name: image.removeprefix(f"{IMAGES}/").partition("/")[0] for name, image in found.items()}


def commits(job: Job) -> dict[str, str]:
    """The commit of the image that each Cloud Run service runs."""
    services = of_kind(job, "services", "services")
    return {name: it["template"]["containers"][0]["image"].rpartition(":")[2] for name, it in services.items()}


def things(job: Job) -> dict[str, Any]:
    """All that there is, but for what nothing takes back, and policies that say nothing."""
    seen = {kind: it for kind, it in job.look().items() if kind not in {"builds", "github"}}
    seen["policies"] = {name: it["bindings"] for name, it in seen["policies"].items() if it.get("bindings")}
    return seen


# Which are built together


@dataclass(frozen=True)
class Written:
    """A service as octue.yaml may have it."""

    region: str
    dockerfile: str
    branch_pattern: str
    secrets: tuple[str, ...]
    memory: str

    def entry(self, name: str) -> str:
        listed = "".join(f"\n        - {secret}" for secret in self.secrets)
        return (
            f"  - name: {name}\n    project_name: my-project\n    region: {self.region}\n    memory: {self.memory}\n"
            f"    dockerfile_path: {self.dockerfile}\n    branch_pattern: {self.branch_pattern}\n"
            + (f"    secrets:\n      build:{listed}\n" if listed else "")
        )

    @property
    def recipe(self) -> tuple[object, ...]:
        """What makes its image another one, or builds it at another place or time."""
        return self.region, self.dockerfile.removeprefix("./"), self.branch_pattern, self.secrets


services = st.builds(
    Written,
    region=st.sampled_from(["europe-west1", "europe-north1"]),
    dockerfile=st.sampled_from(["Dockerfile", "./Dockerfile", "mean.Dockerfile"]),
    branch_pattern=st.sampled_from(["^main$", "^main$", "^release/"]),
    secrets=st.sampled_from([(), (), ("token",)]),
    memory=st.sampled_from(["512Mi", "1Gi"]),
)
inputs = st.fixed_dictionaries(
    {},
    optional={
        "INPUT_PREVIEW": st.just("pr-7"),
        "INPUT_BUILD_TRIGGER": st.sampled_from(["manual", "push"]),
        "INPUT_BUILD_SERVICE_ACCOUNT": st.just("builder@my-project.iam.gserviceaccount.com"),
        "GITHUB_EVENT_NAME": st.just("push"),
    },
)


def built(environment: Mapping[str, str], *names: str, **given: str) -> dict[str, list[Resource]]:
    """What builds the image of each service that a run is about."""
    chosen = {"INPUT_SERVICES": ",".join(names), **{f"INPUT_{name.upper()}": it for name, it in given.items()}}
    settings = load({**environment, **chosen})
    nothing = Existing({}, {})
    return {
        service.name: [it for it in desired(settings, service, nothing).resources if isinstance(it, BUILD)]
        for service in settings.services
    }


def addresses(resources: Iterable[Resource]) -> list[str]:
    return [resource.address for resource in resources]


@pytest.fixture
def repository(environment: dict[str, str], workspace: Path) -> dict[str, str]:
    """The environment of a run for a repository with two Dockerfiles."""
    (workspace / "mean.Dockerfile").write_text("FROM scratch\n")
    return environment


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(written=st.lists(services, min_size=1, max_size=4), variables=inputs, data=st.data())
def test_whichever_services_a_run_is_about_the_same_builds_the_same_image(
    repository: dict[str, str],
    workspace: Path,
    written: list[Written],
    variables: dict[str, str],
    data: st.DataObject,
) -> None:
    of_name = {f"service-{number}": it for number, it in enumerate(written)}
    (workspace / "octue.yaml").write_text("services:\n" + "".join(it.entry(name) for name, it in of_name.items()))
    environment = repository | variables
    every = built(environment)

    chosen = data.draw(st.lists(st.sampled_from(sorted(of_name)), min_size=1, unique=True))

    assert built(environment, *chosen) == {name: every[name] for name in every if name in chosen}
    for one, other in itertools.combinations(of_name, 2):
        alike = of_name[one].recipe == of_name[other].recipe
        assert (every[one] == every[other]) is alike
        assert set(addresses(every[one])).isdisjoint(addresses(every[other])) is not alike


@pytest.mark.parametrize("given", [{}, {"preview": "pr-7"}, {"build_trigger": "manual"}])
def test_the_first_one_has_what_it_would_have_alone_and_a_push_updates_the_others_too(
    repository: dict[str, str], workspace: Path, given: dict[str, str]
) -> None:
    (workspace / "octue.yaml").write_text(octue_yaml(SUM, own=()))
    alone = built(repository, **given)[SUM]
    (workspace / "octue.yaml").write_text(octue_yaml(SUM, PRODUCT, own=()))

    together = built(repository, **given)[SUM]

    assert addresses(together) == addresses(alone)
    also = ("-".join([PRODUCT, *given.get("preview", "").split()]),)
    for before, after in zip(alone, together, strict=True):
        assert after == (replace(before, also_updated=also) if isinstance(before, BuildTrigger) else before)


def test_every_service_waits_for_the_one_image_that_it_runs(repository: dict[str, str], workspace: Path) -> None:
    (workspace / "octue.yaml").write_text(octue_yaml(SUM, PRODUCT, own=()))
    settings = load(repository)
    first, second = (desired(settings, service, Existing({}, {})) for service in settings.services)
    assert first.image is not None
    assert first.image == second.image
    assert first.image.address in set(first.service.depends_on) & set(second.service.depends_on)
    assert first.service.image == second.service.image
    assert first.service.needs("create")[-1].resource.endswith(f"/repositories/{SUM}")
    assert second.service.needs("create")[-1].resource.endswith(f"/repositories/{SUM}")


@pytest.mark.parametrize(
    "wrong",
    ["region: moon", "dockerfile_path: ../Dockerfile", "branch_pattern: '('", "project_name: other-project"],
)
def test_a_service_of_another_run_whose_build_is_wrong_or_another_projects_stands_alone(
    repository: dict[str, str], workspace: Path, wrong: str
) -> None:
    key = wrong.partition(":")[0]
    entry = "".join(it for it in ENTRY.format(SUM).splitlines(keepends=True) if key not in it) + f"    {wrong}\n"
    (workspace / "octue.yaml").write_text(f"services:\n{entry}{ENTRY.format(PRODUCT)}")
    (service,) = load(repository | {"INPUT_SERVICES": PRODUCT}).services
    assert service.built_together == (PRODUCT,)


def test_what_else_is_wrong_with_a_service_of_another_run_is_no_matter(
    repository: dict[str, str], workspace: Path
) -> None:
    wrong = "    memory: much\n    environment_variables:\n      - name: PORT\n        value: 1\n"
    (workspace / "octue.yaml").write_text(f"services:\n{ENTRY.format(SUM)}{wrong}{ENTRY.format(PRODUCT)}")
    (service,) = load(repository | {"INPUT_SERVICES": PRODUCT}).services
    assert service.built_together == (SUM, PRODUCT)


@pytest.mark.parametrize("chosen", [SUM, PRODUCT, f"{SUM},{PRODUCT}"])
@pytest.mark.parametrize(
    ("name", "text", "key"), [("dockerfile", "mean.Dockerfile", "dockerfile_path"), ("branch_pattern", "^x$", "")]
)
def test_how_some_services_are_built_stands_where_a_step_for_the_others_sees_it(
    repository: dict[str, str], workspace: Path, chosen: str, name: str, text: str, key: str
) -> None:
    (workspace / "octue.yaml").write_text(octue_yaml(*SERVICES, own=()))
    given = {f"INPUT_{name.upper()}": text}
    with pytest.raises(InvalidSettings) as refused:
        load(repository | given | {"INPUT_SERVICES": chosen})
    (problem,) = refused.value.problems
    assert problem.expected == f"`{key or name}` of these services in octue.yaml"


def test_an_input_that_says_what_octue_yaml_says_or_is_for_all_services_is_right(
    repository: dict[str, str], workspace: Path
) -> None:
    (workspace / "octue.yaml").write_text(octue_yaml(*SERVICES))
    assert built(repository, MEAN, dockerfile="mean.Dockerfile") == built(repository, MEAN)
    assert built(repository, SUM, dockerfile="Dockerfile") == built(repository, SUM)
    of_all = built(repository, dockerfile="mean.Dockerfile")
    assert of_all[SUM] == of_all[MEAN] == of_all[PRODUCT]


def test_one_service_of_several_can_be_chosen_by_its_name_alone(repository: dict[str, str], workspace: Path) -> None:
    (workspace / "octue.yaml").write_text(octue_yaml(SUM, PRODUCT, own=()))
    assert built(repository, service_name=PRODUCT) == built(repository, PRODUCT)


# Deployed, and destroyed


def test_services_of_one_dockerfile_are_built_once_and_a_run_for_any_of_them_changes_nothing(three: Job) -> None:
    made = succeeded(run(three))

    assert len(made.world["builds"]["builds"]) == 2
    assert images(three) == {SUM: SUM, PRODUCT: SUM, MEAN: MEAN}
    assert set(of_kind(three, "build_triggers")) == {SUM, MEAN}
    assert set(of_kind(three, "image_repositories", "repositories")) == {SUM, MEAN}
    outputs = json.loads(made.outputs["services"])
    assert outputs[PRODUCT]["image"] == outputs[SUM]["image"] != outputs[MEAN]["image"]
    assert outputs[PRODUCT]["build_log_url"] == outputs[SUM]["build_log_url"] != ""

    for number in range(len(SERVICES) + 1):
        for chosen in itertools.combinations(SERVICES, number):
            again = succeeded(run(three, "deploy", *chosen))
            assert again.writes == [], chosen
            assert run(three, "drift", *chosen).code == 0


@pytest.mark.parametrize("first", [SUM, PRODUCT])
def test_whichever_of_them_is_deployed_first_the_other_finds_its_image_there(three: Job, first: str) -> None:
    succeeded(run(three, "deploy", first))
    assert images(three) == {first: SUM}
    second = PRODUCT if first == SUM else SUM

    made = succeeded(run(three, "deploy", second))

    assert len(made.world["builds"]["builds"]) == 1
    assert images(three) == {SUM: SUM, PRODUCT: SUM}
    assert not any("cloudbuild" in method for method in made.writes)
    assert json.loads(made.outputs["services"])[second]["build_log_url"] == ""


def test_two_first_runs_at_once_each_for_one_of_them_do_not_get_in_each_others_way(three: Job) -> None:
    def deployed(service: str) -> Run:
        job = Job(three._emulator, three.workspace, three.workspace.parent / f"files-of-{service}")
        return job.step({"services": service}, event_name="workflow_dispatch")

    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(deployed, (SUM, PRODUCT)))

    assert [done.code for done in runs] == [0, 0], "\n".join(done.stdout for done in runs)
    assert images(three) == {SUM: SUM, PRODUCT: SUM}
    assert succeeded(run(three, "deploy", SUM, PRODUCT)).writes == []


def test_a_push_builds_once_and_updates_all_that_are_there(three: Job, world: World) -> None:
    succeeded(run(three, "deploy", SUM, PRODUCT))
    pushed = three.commit({"other.txt": "changed"})

    world.cloud_build.push(REPOSITORY, "refs/heads/main", pushed)
    builds = finished(three)

    assert [build["status"] for build in builds[:1]] == ["SUCCESS"]
    assert commits(three) == {SUM: pushed, PRODUCT: pushed}
    assert len(builds) == 2


def test_the_run_for_a_push_waits_for_its_build_and_finds_all_of_them_updated(three: Job, world: World) -> None:
    succeeded(run(three, "deploy", SUM, PRODUCT))
    pushed = three.commit({"other.txt": "changed"})
    before = len(world.requests)

    def tell_cloud_build() -> None:
        """As when the run is quicker: Cloud Build hears of the push when its build is being looked for already."""
        while not any(it.method.endswith("/ListBuilds") for it in list(world.requests)[before:]):
            time.sleep(0.02)
        world.cloud_build.push(REPOSITORY, "refs/heads/main", pushed)

    notice = threading.Thread(target=tell_cloud_build, daemon=True)
    notice.start()
    done = succeeded(three.deploy({"services": f"{SUM}, {PRODUCT}"}))

    assert done.writes == []
    assert len(done.world["builds"]["builds"]) == 2
    assert commits(three) == {SUM: pushed, PRODUCT: pushed}


def finished(job: Job) -> list[dict[str, Any]]:
    """All builds, the newest first, when none is under way any more."""
    for _ in range(600):
        builds: list[dict[str, Any]] = job.look()["builds"]["builds"]
        if not any(build["status"] in {"PENDING", "QUEUED", "WORKING"} for build in builds):
            return builds
        time.sleep(0.05)
    raise AssertionError("a build does not end")


def test_a_service_that_goes_leaves_the_others_what_they_share_and_the_last_takes_it(three: Job) -> None:
    before = things(three)
    succeeded(run(three))

    gone = succeeded(run(three, "destroy", SUM))

    assert f"= Image repository {SUM} left alone: {PRODUCT} uses it, too" in gone.log.text
    assert f"= Build trigger {SUM} left alone: {PRODUCT} uses it, too" in gone.log.text
    assert images(three) == {PRODUCT: SUM, MEAN: MEAN}
    assert succeeded(run(three, "deploy", PRODUCT)).writes == []

    succeeded(run(three, "destroy", PRODUCT, MEAN))
    assert things(three) == before


def test_all_of_them_destroyed_in_one_run_leave_the_project_as_it_was(three: Job) -> None:
    before = things(three)
    succeeded(run(three))

    gone = succeeded(run(three, "destroy"))

    assert "uses it, too" not in gone.log.text
    assert things(three) == before


def test_a_preview_of_them_is_built_once_and_stands_beside_them(three: Job) -> None:
    succeeded(run(three))
    before = things(three)

    made = succeeded(run(three, "deploy", SUM, PRODUCT, preview="pr-7"))

    assert len(made.world["builds"]["builds"]) == 2, "the image of the commit is there already"
    assert images(three) == {SUM: SUM, PRODUCT: SUM, MEAN: MEAN, f"{SUM}-pr-7": SUM, f"{PRODUCT}-pr-7": SUM}
    assert set(of_kind(three, "build_triggers")) == {SUM, MEAN, f"{SUM}-pr-7"}
    for chosen in ((SUM, PRODUCT), (SUM,), (PRODUCT,)):
        assert succeeded(run(three, "deploy", *chosen, preview="pr-7")).writes == []

    gone = destroy_preview(three, PRODUCT)
    assert f"= Build trigger {SUM}-pr-7 left alone: {SUM}-pr-7 uses it, too" in gone.log.text
    destroy_preview(three, SUM)
    assert things(three) == before


def destroy_preview(job: Job, service: str) -> Run:
    inputs = {"preview": "pr-7", "confirm": f"{service}-pr-7"}
    return succeeded(run(job, "destroy", service, **inputs))


def test_a_given_image_is_built_for_nobody_and_what_the_others_share_is_left_as_it_is(three: Job) -> None:
    made = succeeded(run(three, "deploy", SUM, PRODUCT))
    before = of_kind(three, "build_triggers"), of_kind(three, "image_repositories", "repositories")

    succeeded(run(three, "deploy", SUM, image=made.outputs["image"]))

    assert (of_kind(three, "build_triggers"), of_kind(three, "image_repositories", "repositories")) == before


# A service that is built with others from now on


@pytest.fixture
def apart(three: Job) -> Job:
    """The same, deployed when each had a Dockerfile of its own."""
    three.commit(
        {
            "octue.yaml": octue_yaml(*SERVICES, own=(PRODUCT, MEAN)).replace(
                OWN_DOCKERFILE, "    dockerfile_path: product.Dockerfile\n", 1
            ),
            "product.Dockerfile": DOCKERFILE,
        }
    )
    succeeded(run(three))
    assert images(three) == {name: name for name in SERVICES}
    return three


def test_its_trigger_of_before_is_switched_off_and_it_is_told_of_its_images_of_before(apart: Job, world: World) -> None:
    apart.commit({"octue.yaml": octue_yaml(*SERVICES)})
    drift = run(apart, "drift")

    moved = succeeded(run(apart))

    assert drift.code == 1
    assert f"Build trigger {PRODUCT} differs disabled: is no, wanted yes" in " ".join(drift.log.text.split())
    assert images(apart) == {SUM: SUM, PRODUCT: SUM, MEAN: MEAN}
    assert of_kind(apart, "build_triggers")[PRODUCT]["disabled"] is True
    (notice,) = [it.message for it in moved.log.of_kind("notice") if "repositories delete" in it.message]
    assert f"From now on the images of {PRODUCT} are in the repository {SUM}." in notice
    assert f"gcloud artifacts repositories delete {PRODUCT} --location=europe-west1 --project=my-project" in notice
    again = succeeded(run(apart))
    assert again.writes == []
    assert not any("repositories delete" in it.message for it in again.log.of_kind("notice"))

    pushed = apart.commit({"other.txt": "changed"})
    world.cloud_build.push(REPOSITORY, "refs/heads/main", pushed)
    finished(apart)
    assert set(commits(apart).values()) == {pushed}
    assert images(apart)[PRODUCT] == SUM


@pytest.mark.parametrize("edit", [{"tags": ["managed-by-somebody"]}, {"build": {"steps": [{"name": "mine"}]}}])
def test_a_trigger_of_before_that_is_not_ours_or_does_not_update_it_is_left_alone(
    apart: Job, world: World, edit: dict[str, Any]
) -> None:
    name = f"projects/my-project/locations/europe-west1/triggers/{PRODUCT}"
    request = cloudbuild_v1.UpdateBuildTriggerRequest(
        trigger={"resource_name": name, **edit}, update_mask=FieldMask(paths=[*edit])
    )
    world.cloud_build.update_build_trigger(request, SYSTEM)
    before = of_kind(apart, "build_triggers")[PRODUCT]
    apart.commit({"octue.yaml": octue_yaml(*SERVICES)})

    succeeded(run(apart))

    assert images(apart)[PRODUCT] == SUM
    assert of_kind(apart, "build_triggers")[PRODUCT] == before


def test_it_takes_what_it_had_before_along_when_it_goes(apart: Job) -> None:
    before = things(apart)
    apart.commit({"octue.yaml": octue_yaml(*SERVICES)})
    succeeded(run(apart))

    succeeded(run(apart, "destroy", PRODUCT))

    assert set(of_kind(apart, "build_triggers")) == set(of_kind(apart, "image_repositories", "repositories"))
    assert set(of_kind(apart, "build_triggers")) == {SUM, MEAN}
    assert before["services"] != things(apart)["services"]


def test_it_has_its_own_again_where_it_is_built_alone_again(apart: Job) -> None:
    own = (apart.workspace / "octue.yaml").read_text()
    apart.commit({"octue.yaml": octue_yaml(*SERVICES)})
    succeeded(run(apart))
    apart.commit({"octue.yaml": own})

    succeeded(run(apart))

    assert images(apart) == {name: name for name in SERVICES}
    assert not any(it.get("disabled") for it in of_kind(apart, "build_triggers").values())
    assert succeeded(run(apart)).writes == []


def test_where_the_first_of_them_is_no_more_the_next_one_takes_its_place(three: Job) -> None:
    succeeded(run(three))
    succeeded(run(three, "destroy", SUM))
    three.commit({"octue.yaml": octue_yaml(PRODUCT, MEAN)})

    succeeded(run(three))

    assert images(three) == {PRODUCT: PRODUCT, MEAN: MEAN}
    assert of_kind(three, "build_triggers")[SUM]["disabled"] is True
    assert succeeded(run(three)).writes == []


@pytest.mark.parametrize("is_deployed_again", [False, True])
def test_the_last_one_takes_along_what_is_called_after_one_that_is_no_more(
    three: Job, *, is_deployed_again: bool
) -> None:
    before = things(three)
    succeeded(run(three, "deploy", SUM, PRODUCT))
    succeeded(run(three, "destroy", SUM))
    three.commit({"octue.yaml": octue_yaml(PRODUCT, MEAN)})
    if is_deployed_again:
        (notice,) = succeeded(run(three, "deploy", PRODUCT)).log.of_kind("notice")
        where = "europe-west1 --project=my-project"
        assert f"gcloud artifacts repositories delete {SUM} --location={where}\n" in notice.message
        assert notice.message.endswith(f"gcloud builds triggers delete {SUM} --region={where}")

    succeeded(run(three, "destroy", PRODUCT))

    left = {kind: it for kind, it in things(three).items() if it != before[kind]}
    assert set(left) == ({"build_triggers", "image_repositories"} if is_deployed_again else set())


def test_a_trigger_that_others_still_need_is_not_switched_off(three: Job) -> None:
    succeeded(run(three))
    three.commit({"octue.yaml": octue_yaml(*SERVICES, own=(PRODUCT, MEAN))})

    moved = succeeded(run(three, "deploy", PRODUCT, MEAN))

    assert images(three) == {SUM: SUM, PRODUCT: PRODUCT, MEAN: PRODUCT}
    assert not of_kind(three, "build_triggers")[SUM].get("disabled")
    assert not any(f"delete {SUM}" in it.message for it in moved.log.of_kind("notice"))


def test_a_service_that_goes_before_it_has_moved_takes_its_own_along(apart: Job) -> None:
    apart.commit({"octue.yaml": octue_yaml(*SERVICES)})

    succeeded(run(apart, "destroy", PRODUCT))

    assert set(of_kind(apart, "build_triggers")) == {SUM, MEAN}
    assert set(of_kind(apart, "image_repositories", "repositories")) == {SUM, MEAN}


def test_a_rollback_to_an_image_of_before_is_shown_as_a_deployment_of_its_commit(apart: Job) -> None:
    first = commits(apart)[PRODUCT]
    apart.commit({"octue.yaml": octue_yaml(*SERVICES)})
    succeeded(run(apart))
    token = apart.world.github.job_token(permissions={"deployments": "write"})

    succeeded(run(apart, "rollback", PRODUCT, github_token=token))

    (shown,) = apart.look()["github"][REPOSITORY]["deployments"]
    assert shown["sha"] == first
