"""From settings to the resources of a deployment: no cloud, no network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from google.cloud import eventarc_v1, run_v2
from google.pubsub_v1.types import pubsub

from octue_action.deployment import ORDER, Deployment, Destruction, desired, destroyed, informed, known
from octue_action.existing import Existing
from octue_action.plan import Action, Change, Plan
from octue_action.resource import Resource, is_ours
from octue_action.resources.artifact_repository import ArtifactRepository
from octue_action.resources.build_trigger import NEVER, BuildTrigger
from octue_action.resources.cloud_run_service import CloudRunService
from octue_action.resources.container_image import ContainerImage
from octue_action.resources.eventarc_trigger import EventarcTrigger
from octue_action.resources.iam_member import IamMember
from octue_action.resources.pubsub_subscription import PubsubSubscription
from octue_action.resources.pubsub_topic import PubsubTopic
from octue_action.resources.service_account import ServiceAccount
from octue_action.settings import load

LOCATION = "projects/my-project/locations/europe-west1"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ACCOUNT = "my-org-sum@my-project.iam.gserviceaccount.com"
OTHER_ACCOUNT = "somebody@other-project.iam.gserviceaccount.com"
OLD_ID = "11111111-2222-4333-8444-555555555555"
GIVEN_ID = "99999999-2222-4333-8444-555555555555"
READY_IMAGE = "europe-west1-docker.pkg.dev/other-project/images/sum:1.0"

Deploy = Callable[..., Deployment]


def trigger(
    name: str, topic: str = f"octue.services.{OLD_ID}", service: str = "my-org-sum", region: str = "europe-west1"
) -> eventarc_v1.Trigger:
    """A trigger as Eventarc lists it."""
    return eventarc_v1.Trigger(
        name=f"{LOCATION}/triggers/{name}",
        transport={"pubsub": {"topic": f"projects/my-project/topics/{topic}"}},
        destination={"cloud_run": {"service": service, "region": region}},
    )


@pytest.fixture
def deploy(environment: dict[str, str]) -> Deploy:
    """What should stand with these inputs, and these triggers there already."""

    def make(*triggers: eventarc_v1.Trigger, variables: dict[str, str] | None = None, **inputs: str) -> Deployment:
        given = {f"INPUT_{name.upper()}": value for name, value in inputs.items()}
        settings = load(environment | (variables or {}) | given)
        (service,) = settings.services
        return desired(settings, service, Existing({"europe-west1": triggers}, {}))

    return make


def kinds(deployment: Deployment) -> list[type[Resource]]:
    return [type(resource) for resource in deployment.resources]


def of(deployment: Deployment, kind: type[Resource]) -> list[Resource]:
    return [resource for resource in deployment.resources if isinstance(resource, kind)]


def build_trigger(deployment: Deployment) -> BuildTrigger:
    (found,) = of(deployment, BuildTrigger)
    assert isinstance(found, BuildTrigger)
    return found


def image(deployment: Deployment) -> ContainerImage:
    assert deployment.image is not None
    return deployment.image


def members(deployment: Deployment) -> dict[str, tuple[str, str]]:
    """On what which role is granted to whom."""
    found = [resource for resource in deployment.resources if isinstance(resource, IamMember)]
    return {each.resource: (each.role, each.member) for each in found}


def test_everything_of_the_guide_is_there_once_in_the_order_a_person_would_make_it(deploy: Deploy) -> None:
    made = kinds(deploy())
    assert set(made) == set(ORDER)
    assert [kind for kind in made if made.count(kind) > 1] == [IamMember, IamMember]
    assert made == sorted(made, key=ORDER.index)


def test_nothing_depends_on_what_comes_after_it(deploy: Deploy) -> None:
    before: set[str] = set()
    for resource in deploy().resources:
        assert set(resource.depends_on) <= before, resource.label
        assert resource.part_of is None or resource.part_of in before
        before.add(resource.address)


def test_what_would_break_if_made_too_early_waits(deploy: Deploy) -> None:
    deployment = deploy()
    by_kind = {type(resource): resource for resource in deployment.resources}
    for later, earlier in (
        (BuildTrigger, ArtifactRepository),
        (ContainerImage, BuildTrigger),
        (CloudRunService, ContainerImage),
        (CloudRunService, ServiceAccount),
        (EventarcTrigger, CloudRunService),
        (EventarcTrigger, PubsubTopic),
        (PubsubSubscription, EventarcTrigger),
    ):
        assert by_kind[earlier].address in by_kind[later].depends_on, (later, earlier)
    grants = {resource.address for resource in of(deployment, IamMember)}
    assert grants <= set(deployment.trigger.depends_on), "a question could come before the service may answer it"


def test_octues_variables_are_set_beside_ones_own(deploy: Deploy) -> None:
    deployment = deploy(environment_variables="MY_OWN=1")
    assert deployment.service.environment == {
        "MY_OWN": "1",
        "SERVICE_ID": deployment.service_id,
        "COMPUTE_PROVIDER": "GOOGLE_CLOUD_RUN",
        "USE_OCTUE_LOG_HANDLER": "1",
        "OCTUE_SERVICE_NAMESPACE": "my-org",
        "OCTUE_SERVICE_NAME": "sum",
    }


def test_a_service_without_a_namespace_is_told_of_none(deploy: Deploy, workspace: Path) -> None:
    config = workspace / "octue.yaml"
    config.write_text(config.read_text().replace("    namespace: my-org\n", ""))
    variables = deploy().service.environment
    assert not {"OCTUE_SERVICE_NAMESPACE", "OCTUE_SERVICE_NAME"} & variables.keys()


def test_the_same_service_has_the_same_topic_in_every_run_and_another_service_another(deploy: Deploy) -> None:
    first, again, preview = deploy(), deploy(), deploy(preview="pr-1")
    assert first.topic == again.topic
    assert first.topic.topic_id == f"octue.services.{first.service_id}"
    assert first.service_id != preview.service_id
    assert not first.topic.kept


@pytest.mark.parametrize("written", [GIVEN_ID, f"octue.services.{GIVEN_ID}"])
def test_a_given_service_id_wins_over_a_trigger_that_is_there(deploy: Deploy, written: str) -> None:
    deployment = deploy(trigger("made-by-hand"), service_id=written)
    assert deployment.service_id == deployment.service.environment["SERVICE_ID"] == GIVEN_ID
    assert deployment.topic.kept


def test_a_trigger_that_is_there_keeps_its_name_and_its_topic(deploy: Deploy) -> None:
    deployment = deploy(trigger("made-by-hand"))
    assert deployment.trigger.trigger_id == "made-by-hand"
    assert deployment.trigger.topic == f"projects/my-project/topics/octue.services.{OLD_ID}"
    assert deployment.service_id == OLD_ID
    assert deployment.topic.kept


def test_of_two_triggers_our_own_counts(deploy: Deploy) -> None:
    ours = trigger("my-org-sum", topic=f"octue.services.{GIVEN_ID}")
    assert deploy(trigger("made-by-hand"), ours).service_id == GIVEN_ID


@pytest.mark.parametrize(
    "other",
    [
        trigger("x", service="another"),
        trigger("x", region="us-central1"),
        trigger("x", topic="not-octues"),
    ],
    ids=["of another service", "of another region", "on another topic"],
)
def test_a_trigger_that_does_not_ask_the_service_is_none_of_its(deploy: Deploy, other: eventarc_v1.Trigger) -> None:
    assert deploy(other) == deploy()


def test_what_has_been_listed_is_not_read_again(deploy: Deploy) -> None:
    listed = trigger("my-org-sum")
    found = deploy(listed)
    there = known(found, Existing({"europe-west1": [listed]}, {}))[found.trigger.address]
    absent = known(found, Existing({"europe-west1": []}, {}))
    assert isinstance(there, EventarcTrigger)
    assert there.topic == f"projects/my-project/topics/octue.services.{OLD_ID}"
    assert absent[found.trigger.address] is None


def test_a_given_image_is_run_as_it_is_and_nothing_is_built(deploy: Deploy) -> None:
    deployment = deploy(image=READY_IMAGE)
    assert deployment.image is None
    assert deployment.service.image == READY_IMAGE
    assert not {ArtifactRepository, BuildTrigger, ContainerImage} & set(kinds(deployment))


def test_the_image_is_that_of_the_commit(deploy: Deploy) -> None:
    deployment = deploy()
    assert deployment.service.image == f"europe-west1-docker.pkg.dev/my-project/my-org-sum/my-org-sum:{COMMIT}"
    assert f"{build_trigger(deployment).image}:{image(deployment).commit}" == deployment.service.image
    assert image(deployment).trigger == build_trigger(deployment).resource_name
    assert image(deployment).build_tag in build_trigger(deployment).tags


@pytest.mark.parametrize(
    ("inputs", "pattern"),
    [
        ({}, "^main$"),
        ({"branch_pattern": "^release/"}, "^release/"),
        ({"build_trigger": "manual"}, NEVER),
    ],
)
def test_the_build_trigger_waits_for_pushes_only_where_it_is_told_to(
    deploy: Deploy, inputs: dict[str, str], pattern: str
) -> None:
    assert build_trigger(deploy(**inputs)).branch_pattern == pattern


@pytest.mark.parametrize(
    ("event", "ref", "inputs", "pushed"),
    [
        ("push", "refs/heads/main", {}, True),
        ("push", "refs/heads/maintenance", {}, False),
        ("push", "refs/tags/main", {}, False),
        ("workflow_dispatch", "refs/heads/main", {}, False),
        ("push", "refs/heads/main", {"build_trigger": "manual"}, False),
        ("push", "refs/heads/release/1", {"branch_pattern": "^release/"}, True),
    ],
)
def test_the_build_of_a_push_is_expected_only_where_there_is_one(
    deploy: Deploy, event: str, ref: str, inputs: dict[str, str], pushed: bool
) -> None:
    deployment = deploy(variables={"GITHUB_EVENT_NAME": event, "GITHUB_REF": ref}, **inputs)
    assert image(deployment).pushed is pushed


def test_a_build_trigger_that_this_run_makes_has_not_heard_of_the_push(deploy: Deploy) -> None:
    deployment = deploy(variables={"GITHUB_EVENT_NAME": "push"})
    for action, stands in ((Action.CREATE, False), (Action.UPDATE, True), (Action.NO_OP, True)):
        changes = (Change(build_trigger(deployment), action), Change(image(deployment), Action.CREATE))
        plan = informed(Plan(changes), [])
        assert plan.changes == (
            changes[0],
            replace(changes[1], resource=replace(image(deployment), trigger_stands=stands)),
        )


def test_a_new_build_trigger_comes_before_all_else_as_it_tells_whether_the_repository_is_connected(
    deploy: Deploy,
) -> None:
    deployment = deploy()
    trigger = build_trigger(deployment).address

    graph = dict(informed(Plan(tuple(Change(r, Action.CREATE) for r in deployment.resources)), [deployment]).graph)

    assert graph.pop(trigger) == set()
    assert all(trigger in before for before in graph.values())
    TopologicalSorter(graph).prepare()


def test_a_build_trigger_that_stands_holds_nothing_up(deploy: Deploy) -> None:
    deployment = deploy()
    actions = {build_trigger(deployment).address: Action.UPDATE}
    plan = Plan(tuple(Change(r, actions.get(r.address, Action.CREATE)) for r in deployment.resources))

    assert informed(plan, [deployment]).graph == plan.graph


@pytest.mark.parametrize(
    ("account", "service", "may_be_new"),
    [
        (Action.CREATE, Action.CREATE, True),
        (Action.CREATE, Action.UPDATE, True),
        (Action.NO_OP, Action.CREATE, True),
        (Action.NO_OP, Action.UPDATE, False),
    ],
)
def test_an_account_may_be_new_where_this_run_makes_it_or_the_first_thing_that_runs_as_it(
    deploy: Deploy, account: Action, service: Action, may_be_new: bool
) -> None:
    deployment = deploy()
    (made,) = of(deployment, ServiceAccount)
    changes = tuple(
        Change(resource, action)
        for resource, action in ((made, account), (deployment.service, service), (deployment.trigger, service))
    )
    told = informed(Plan(changes), [deployment])
    assert [getattr(change.resource, "account_may_be_new", None) for change in told.changes[1:]] == [may_be_new] * 2


def test_an_account_that_was_given_is_never_new(deploy: Deploy) -> None:
    deployment = deploy(runtime_service_account="mine@my-project.iam.gserviceaccount.com")
    told = informed(Plan((Change(deployment.service, Action.CREATE),)), [deployment])
    assert getattr(told.changes[0].resource, "account_may_be_new", None) is False


def test_the_account_is_made_and_is_the_triggers_too(deploy: Deploy) -> None:
    deployment = deploy()
    (account,) = of(deployment, ServiceAccount)
    assert account.name == deployment.account == ACCOUNT
    assert deployment.service.service_account == deployment.trigger.service_account == ACCOUNT


def test_a_given_account_is_used_and_not_made(deploy: Deploy) -> None:
    deployment = deploy(runtime_service_account=OTHER_ACCOUNT)
    assert of(deployment, ServiceAccount) == []
    assert deployment.service.service_account == deployment.trigger.service_account == OTHER_ACCOUNT
    assert {member for _, member in members(deployment).values()} == {f"serviceAccount:{OTHER_ACCOUNT}"}


def test_only_the_octue_role_is_granted_on_the_project_and_the_invoker_on_the_service(deploy: Deploy) -> None:
    member = f"serviceAccount:{ACCOUNT}"
    assert members(deploy()) == {
        "projects/my-project": ("projects/my-project/roles/octue_service_user", member),
        f"{LOCATION}/services/my-org-sum": ("roles/run.invoker", member),
    }
    assert members(deploy(octue_role="roles/pubsub.editor"))["projects/my-project"] == ("roles/pubsub.editor", member)


@pytest.mark.parametrize(("ingress", "may_be_public"), [("internal", False), ("all", True)])
def test_everyone_may_call_only_where_requests_may_come_from_anywhere(
    deploy: Deploy, ingress: str, may_be_public: bool
) -> None:
    deployment = deploy(ingress=ingress)
    (invoker,) = [it for it in of(deployment, IamMember) if isinstance(it, IamMember) and "/services/" in it.resource]
    assert invoker.may_be_public is may_be_public
    assert deployment.service.ingress == ingress


def test_the_actions_labels_stand_beside_ones_own(deploy: Deploy) -> None:
    assert deploy(labels="team=wind").service.labels == {
        "team": "wind",
        "managed-by": "octue-action",
        "octue-service": "my-org-sum",
        "github-repository-id": "1296269",
    }


@pytest.mark.parametrize("said", [OLD_ID, f"octue.services.{OLD_ID}"])
def test_the_topic_is_known_from_the_service_where_its_trigger_is_gone(environment: dict[str, str], said: str) -> None:
    settings = load(environment)
    service = run_v2.Service(
        name=f"{LOCATION}/services/my-org-sum",
        template={"containers": [{"env": [{"name": "SERVICE_ID", "value": said}]}]},
    )

    deployment = desired(settings, settings.services[0], Existing({}, {service.name: service}))

    assert deployment.service_id == OLD_ID
    assert deployment.service.environment["SERVICE_ID"] == OLD_ID


@pytest.mark.parametrize("said", ["", "nonsense", "../../x", f"{OLD_ID}/x"])
def test_what_is_no_service_id_is_not_taken_for_one(environment: dict[str, str], said: str, deploy: Deploy) -> None:
    settings = load(environment)
    service = run_v2.Service(
        name=f"{LOCATION}/services/my-org-sum",
        template={"containers": [{"env": [{"name": "SERVICE_ID", "value": said}]}]},
    )

    deployment = desired(settings, settings.services[0], Existing({}, {service.name: service}))

    assert deployment.service_id == deploy().service_id


def test_a_service_that_is_changing_at_the_moment_is_read_again(deploy: Deploy) -> None:
    deployment = deploy()
    name = deployment.service.resource_name

    changing = known(deployment, Existing({}, {name: run_v2.Service(name=name, reconciling=True)}))
    still = known(deployment, Existing({}, {name: run_v2.Service(name=name)}))

    assert deployment.service.address not in changing
    assert deployment.service.address in still


@pytest.mark.parametrize(
    ("inputs", "is_new"), [({}, True), ({"runtime_service_account": "own@my-project.iam.gserviceaccount.com"}, False)]
)
def test_only_an_account_that_this_deployment_makes_is_waited_for(
    deploy: Deploy, inputs: dict[str, str], is_new: bool
) -> None:
    deployment = deploy(**inputs)
    members = [resource for resource in deployment.resources if isinstance(resource, IamMember)]
    assert [member.member_may_be_new for member in members] == [is_new, is_new]
    assert deployment.service.account_may_be_new is is_new


# Previews


PREVIEW = "my-org-sum-pr-7"


def test_a_preview_shares_only_images_and_accounts_with_the_service(deploy: Deploy) -> None:
    real, preview = deploy(), deploy(preview="pr-7")
    shared = {r.address for r in real.resources} & {r.address for r in preview.resources}
    assert shared == {
        f"service_account.{ACCOUNT}",
        "artifact_repository.my-org-sum",
        f"iam_member.octue_service_user on my-project for {ACCOUNT}",
        f"container_image.my-org-sum:{COMMIT[:12]}",
    }
    assert {r.address for r in preview.shared} == shared - {f"container_image.my-org-sum:{COMMIT[:12]}"}
    assert {r.address for r in real.shared} == {r.address for r in preview.shared}


def test_what_a_preview_shares_is_made_just_as_the_service_makes_it(deploy: Deploy) -> None:
    real = {r.address: r for r in deploy().resources}
    for shared in deploy(preview="pr-7").shared:
        assert shared == real[shared.address]


def test_a_preview_has_a_topic_and_triggers_of_its_own_and_no_push_builds_it(deploy: Deploy) -> None:
    variables = {"GITHUB_EVENT_NAME": "push"}
    real, preview = deploy(variables=variables), deploy(variables=variables, preview="pr-7")
    assert preview.service.service == PREVIEW
    assert preview.topic.topic_id != real.topic.topic_id
    assert preview.service.environment["SERVICE_ID"] == preview.service_id
    assert preview.trigger.trigger_id == PREVIEW
    assert build_trigger(preview).trigger_name == PREVIEW
    assert build_trigger(preview).branch_pattern == NEVER
    assert image(real).pushed
    assert not image(preview).pushed
    assert image(preview).trigger == build_trigger(preview).resource_name


def test_a_preview_says_that_it_is_one_and_never_passes_for_a_service_of_that_name(
    deploy: Deploy, workspace: Path
) -> None:
    preview = deploy(preview="pr-7")
    (workspace / "octue.yaml").write_text(
        "services:\n  - name: sum-pr-7\n    namespace: my-org\n    project_name: my-project\n    region: europe-west1\n"
    )
    namesake = deploy()
    assert namesake.service.service == preview.service.service
    assert preview.service.labels["octue-preview"] == "pr-7"
    assert "octue-preview" not in namesake.service.labels
    found = namesake.topic.labels
    assert not is_ours(found, preview.topic.labels)
    assert not is_ours(preview.topic.labels, found)


def test_a_preview_keeps_no_instances(deploy: Deploy) -> None:
    assert deploy(min_instances="2").service.min_instances == 2
    assert deploy(min_instances="2", preview="pr-7").service.min_instances == 0


# Destroying


@pytest.fixture
def destroy(environment: dict[str, str]) -> Callable[..., Destruction]:
    """What goes with these inputs, and these triggers there already."""

    def make(
        *triggers: eventarc_v1.Trigger,
        neighbours: Iterable[run_v2.Service] = (),
        elsewhere: Mapping[str, Iterable[run_v2.Service]] | None = None,
        **inputs: str,
    ) -> Destruction:
        given = {f"INPUT_{name.upper()}": value for name, value in inputs.items()}
        confirm = "-".join(["my-org-sum", *([inputs["preview"]] if "preview" in inputs else [])])
        settings = load(environment | {"INPUT_MODE": "destroy", "INPUT_CONFIRM": confirm} | given)
        (service,) = settings.services
        existing = Existing(
            {"europe-west1": triggers}, {}, neighbours={"europe-west1": neighbours, **(elsewhere or {})}
        )
        return destroyed(settings, service, existing)[1]

    return make


def gone(destruction: Destruction) -> list[type[Resource]]:
    return [type(resource) for resource in destruction.resources if resource.address not in destruction.kept]


def test_all_but_the_topic_goes_unless_that_is_said_too(destroy: Callable[..., Destruction]) -> None:
    everything = [ServiceAccount, ArtifactRepository, BuildTrigger, PubsubTopic, CloudRunService, IamMember]
    assert gone(destroy(delete_topic="true")) == [*everything, EventarcTrigger]
    assert gone(destroy()) == [kind for kind in everything if kind is not PubsubTopic] + [EventarcTrigger]
    assert ["delete_topic: true" in why for why in destroy().kept.values()] == [True]


def running(name: str, preview: str = "", account: str = "", image: str = "") -> run_v2.Service:
    """A Cloud Run service, the suffix of the preview that it is, and the account that it runs as, if not the usual."""
    labels = {"octue-preview": preview} if preview else {}
    real = name.removesuffix(f"-{preview}") if preview else name
    template = {
        "service_account": account or f"{real}@my-project.iam.gserviceaccount.com",
        "containers": [{"image": image}],
    }
    return run_v2.Service(name=f"{LOCATION}/services/{name}", labels=labels, template=template)


ALONE = [BuildTrigger, PubsubTopic, CloudRunService, EventarcTrigger]
SHARED = [ServiceAccount, ArtifactRepository, IamMember]


@pytest.mark.parametrize(
    ("inputs", "neighbours", "users"),
    [
        ({"preview": "pr-7"}, [running("my-org-sum"), running(PREVIEW, "pr-7")], "my-org-sum"),
        ({"preview": "pr-7"}, [running("my-org-sum-pr-8", "pr-8")], "my-org-sum-pr-8"),
        ({}, [running("my-org-sum"), running(PREVIEW, "pr-7")], PREVIEW),
        ({}, [running(PREVIEW, "pr-7"), running("my-org-sum-b", "b")], f"my-org-sum-b and {PREVIEW}"),
    ],
)
def test_what_a_service_and_its_previews_share_stays_while_another_of_them_is_there(
    destroy: Callable[..., Destruction], inputs: dict[str, str], neighbours: list[run_v2.Service], users: str
) -> None:
    destruction = destroy(neighbours=neighbours, delete_topic="true", **inputs)
    verb = "use" if " and " in users else "uses"
    assert gone(destruction) == ALONE
    assert set(destruction.kept.values()) == {f"{users} {verb} it, too"}


REGISTRY = "europe-west1-docker.pkg.dev/my-project"


@pytest.mark.parametrize(
    "image",
    [f"{REGISTRY}/my-org-sum/my-org-sum:{COMMIT}", f"{REGISTRY}/my-org-sum/my-org-sum@sha256:{'0' * 64}"],
    ids=["by tag", "by digest"],
)
def test_a_service_that_runs_the_image_keeps_what_builds_it(destroy: Callable[..., Destruction], image: str) -> None:
    neighbours = [running("my-org-sum"), running("product", image=image)]
    destruction = destroy(neighbours=neighbours, delete_topic="true")
    kept = {kind: why for kind, why in whys(destruction).items() if kind in {ArtifactRepository, BuildTrigger}}
    assert kept == dict.fromkeys(kept, "product uses it, too")
    assert len(kept) == 2


def test_of_many_that_run_the_image_some_are_named(destroy: Callable[..., Destruction]) -> None:
    image = f"{REGISTRY}/my-org-sum/my-org-sum:{COMMIT}"
    neighbours = [running("my-org-sum"), *(running(f"other-{number}", image=image) for number in range(9))]
    destruction = destroy(neighbours=neighbours, delete_topic="true")
    assert whys(destruction)[BuildTrigger] == "other-0, other-1, other-2 and 6 more use it, too"


@pytest.mark.parametrize(
    "image",
    [
        f"{REGISTRY}/my-org-sum-b/my-org-sum-b:{COMMIT}",
        f"{REGISTRY}/images/my-org-sum:{COMMIT}",
        f"europe-north1-docker.pkg.dev/my-project/my-org-sum/my-org-sum:{COMMIT}",
        READY_IMAGE,
        "",
    ],
)
def test_a_service_that_runs_another_image_keeps_nothing(destroy: Callable[..., Destruction], image: str) -> None:
    neighbours = [running("my-org-sum"), running("product", image=image)]
    assert set(gone(destroy(neighbours=neighbours, delete_topic="true"))) == {*ALONE, *SHARED}


def test_a_preview_keeps_the_image_it_runs_and_not_the_trigger_of_another(destroy: Callable[..., Destruction]) -> None:
    image = f"{REGISTRY}/my-org-sum/my-org-sum:{COMMIT}"
    neighbours = [running("my-org-sum"), running("product-pr-7", "pr-7", image=image)]
    destruction = destroy(neighbours=neighbours, delete_topic="true")
    assert whys(destruction)[ArtifactRepository] == "product-pr-7 uses it, too"
    assert BuildTrigger in gone(destruction)
    of_preview = destroy(neighbours=[running(PREVIEW, "pr-7"), neighbours[1]], delete_topic="true", preview="pr-7")
    assert whys(of_preview)[BuildTrigger] == "product-pr-7 uses it, too"


def test_a_preview_that_was_built_with_another_service_is_no_user_by_its_name(
    destroy: Callable[..., Destruction],
) -> None:
    elsewhere = running(PREVIEW, "pr-7", image=f"{REGISTRY}/product/product:{COMMIT}")
    destruction = destroy(neighbours=[running("my-org-sum"), elsewhere], delete_topic="true")
    assert ArtifactRepository in gone(destruction)


def whys(destruction: Destruction) -> dict[type[Resource], str]:
    """Why something stays, by what it is."""
    return {type(it): destruction.kept[it.address] for it in destruction.resources if it.address in destruction.kept}


def test_services_that_go_together_do_not_keep_from_each_other_what_they_share(
    environment: dict[str, str], workspace: Path
) -> None:
    entry = "  - name: {}\n    project_name: my-project\n    region: europe-west1\n"
    (workspace / "octue.yaml").write_text("services:\n" + "".join(entry.format(it) for it in ("sum", "product")))
    image = f"{REGISTRY}/sum/sum:{COMMIT}"
    neighbours = [running("sum", image=image), running("product", image=image)]
    there = Existing({}, {}, neighbours={"europe-west1": neighbours})
    both = load(environment | {"INPUT_MODE": "destroy", "INPUT_CONFIRM": "sum, product"})
    one = load(environment | {"INPUT_MODE": "destroy", "INPUT_CONFIRM": "product", "INPUT_SERVICES": "product"})

    together = [destroyed(both, service, there)[1] for service in both.services]
    alone = destroyed(one, one.services[0], there)[1]

    for destruction in together:
        assert {ArtifactRepository, BuildTrigger} <= set(gone(destruction))
    assert whys(alone)[ArtifactRepository] == whys(alone)[BuildTrigger] == "sum uses it, too"
    own = {"artifact_repository.product", "build_trigger.product"}
    assert alone.earlier == own, "what it may have had before goes, if it is there"
    assert own.isdisjoint(alone.kept)
    preview = load(
        environment
        | {
            "INPUT_MODE": "destroy",
            "INPUT_CONFIRM": "product-pr-7",
            "INPUT_PREVIEW": "pr-7",
            "INPUT_SERVICES": "product",
        }
    )
    of_preview = destroyed(preview, preview.services[0], there)[1]
    assert of_preview.earlier == {"build_trigger.product-pr-7"}, "earlier revisions of product may run its images"
    run = next(it for it in alone.resources if isinstance(it, CloudRunService))
    assert own <= set(run.depends_on), "not before the service that may still run it"


def test_an_account_stays_while_any_service_runs_as_it(destroy: Callable[..., Destruction]) -> None:
    another = running("product", account="my-org-sum@my-project.iam.gserviceaccount.com")
    destruction = destroy(neighbours=[running("my-org-sum"), another], delete_topic="true")
    assert [ServiceAccount, IamMember] == [kind for kind in SHARED if kind not in gone(destruction)]
    assert set(destruction.kept.values()) == {"product uses it, too"}


@pytest.mark.parametrize(
    ("account", "is_kept"), [("", True), ("other@my-project.iam.gserviceaccount.com", False)], ids=["same", "another"]
)
def test_a_service_of_the_same_name_in_another_region_keeps_the_account_that_it_runs_as(
    destroy: Callable[..., Destruction], account: str, *, is_kept: bool
) -> None:
    elsewhere = {"europe-north1": [running("my-org-sum", account=account)]}
    destruction = destroy(neighbours=[running("my-org-sum")], elsewhere=elsewhere, delete_topic="true")
    assert (ServiceAccount not in gone(destruction)) is is_kept
    assert ArtifactRepository in gone(destruction)


@pytest.mark.parametrize(
    ("inputs", "neighbours"),
    [
        ({"preview": "pr-7"}, [running(PREVIEW, "pr-7")]),
        ({}, [running("my-org-sum"), running("my-org-sum-pr-7"), running("other"), running("other-pr-7", "pr-7")]),
    ],
)
def test_the_last_one_takes_it_along_whoever_has_names_that_are_alike(
    destroy: Callable[..., Destruction], inputs: dict[str, str], neighbours: list[run_v2.Service]
) -> None:
    destruction = destroy(neighbours=neighbours, delete_topic="true", **inputs)
    assert set(gone(destruction)) == {*ALONE, *SHARED}


def test_the_role_of_an_account_that_was_given_stays(destroy: Callable[..., Destruction]) -> None:
    destruction = destroy(runtime_service_account=OTHER_ACCOUNT)
    assert IamMember not in gone(destruction)
    assert ServiceAccount not in gone(destruction)
    assert any("given to the service" in why for why in destruction.kept.values())


def topic(service_id: str, **labels: str) -> pubsub.Topic:
    ours = {"managed-by": "octue-action", "octue-service": "my-org-sum", "github-repository-id": "1296269"}
    return pubsub.Topic(name=f"projects/my-project/topics/octue.services.{service_id}", labels=ours | labels)


@pytest.mark.parametrize(
    ("topics", "found"),
    [
        ([topic(OLD_ID)], True),
        ([topic(OLD_ID, **{"octue-service": "other"}), topic(GIVEN_ID, **{"octue-preview": "pr-7"})], False),
        ([topic(OLD_ID), topic(f"{OLD_ID}.answers.{GIVEN_ID}")], True),
        ([topic(OLD_ID), topic(GIVEN_ID)], False),
    ],
)
def test_where_nothing_else_says_it_the_topic_with_our_labels_is_the_services(
    environment: dict[str, str], topics: list[pubsub.Topic], *, found: bool
) -> None:
    settings = load(environment)
    deployment = desired(settings, settings.services[0], Existing({}, {}, topics))
    assert (deployment.service_id == OLD_ID) is found


def test_what_was_built_goes_also_where_a_ready_image_is_named(destroy: Callable[..., Destruction]) -> None:
    assert {ArtifactRepository, BuildTrigger} <= set(gone(destroy(image=READY_IMAGE)))


def test_the_topic_goes_before_the_service_that_says_which_it_is(destroy: Callable[..., Destruction]) -> None:
    by_kind = {type(resource): resource for resource in destroy(delete_topic="true").resources}
    assert by_kind[CloudRunService].address in by_kind[PubsubTopic].depends_on


def test_a_topic_that_was_kept_goes_only_where_its_own_labels_say_that_it_is_ours(
    destroy: Callable[..., Destruction],
) -> None:
    (topic,) = (r for r in destroy(trigger("by-hand"), delete_topic="true").resources if isinstance(r, PubsubTopic))
    assert topic.topic_id == f"octue.services.{OLD_ID}"
    assert not topic.kept
