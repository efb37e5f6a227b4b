"""What a project's owner sets up once, made through the same services that the owner calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.cloud import iam_admin_v1
from google.iam.v1 import policy_pb2
from google.type import expr_pb2

from emulator import apis, messages
from emulator.policies import CONDITIONS_VERSION
from emulator.rpc import SYSTEM
from emulator.services import github
from emulator.services.github_repositories import numeric_id

if TYPE_CHECKING:
    from emulator.world import World, WorldSettings

DEPLOYER = "deployer"
_POOL, _PROVIDER = "github", "octue"
_DEPLOYER_ROLE, _OCTUE_ROLE = "octue_deployer", "octue_service_user"
_ATTRIBUTES = ("actor", "event_name", "ref", "repository", "repository_id", "repository_owner_id")

# Beside those that are on in every project.
_APIS = (
    "artifactregistry.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "eventarc.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "sts.googleapis.com",
)

# What Octue's SDK does at run time, derived from its code.
_OCTUE_PERMISSIONS = (
    "pubsub.subscriptions.consume",
    "pubsub.subscriptions.create",
    "pubsub.subscriptions.delete",
    "pubsub.topics.attachSubscription",
    "pubsub.topics.create",
    "pubsub.topics.delete",
    "pubsub.topics.get",
    "pubsub.topics.publish",
    "secretmanager.versions.access",
)


# What a deployer does, to deploy, to take back, to ask, and to show logs.
_DEPLOYER_PERMISSIONS = (
    "artifactregistry.repositories.create",
    "artifactregistry.repositories.delete",
    "artifactregistry.repositories.downloadArtifacts",
    "artifactregistry.repositories.get",
    "artifactregistry.repositories.update",
    "artifactregistry.tags.get",
    "cloudbuild.builds.create",
    "cloudbuild.builds.get",
    "cloudbuild.builds.list",
    "eventarc.operations.get",
    "eventarc.triggers.create",
    "eventarc.triggers.delete",
    "eventarc.triggers.get",
    "eventarc.triggers.list",
    "eventarc.triggers.update",
    "iam.serviceAccounts.actAs",
    "iam.serviceAccounts.create",
    "iam.serviceAccounts.delete",
    "iam.serviceAccounts.get",
    "iam.serviceAccounts.update",
    "logging.logEntries.list",
    "pubsub.subscriptions.consume",
    "pubsub.subscriptions.create",
    "pubsub.subscriptions.delete",
    "pubsub.subscriptions.get",
    "pubsub.subscriptions.update",
    "pubsub.topics.attachSubscription",
    "pubsub.topics.create",
    "pubsub.topics.delete",
    "pubsub.topics.get",
    "pubsub.topics.list",
    "pubsub.topics.publish",
    "pubsub.topics.update",
    "resourcemanager.projects.getIamPolicy",
    "run.operations.get",
    "run.revisions.list",
    "run.services.create",
    "run.services.delete",
    "run.services.get",
    "run.services.getIamPolicy",
    "run.services.list",
    "run.services.setIamPolicy",
    "run.services.update",
)


def deployer(settings: WorldSettings) -> str:
    """E-mail address of the account that the trusted repository impersonates."""
    return f"{DEPLOYER}@{settings.project_id}.iam.gserviceaccount.com"


def set_up(world: World) -> None:
    """Let the trusted repository deploy; others have their part in the project's policy already."""
    project = world.projects.name
    world.policies.seed(project, _policy_of_others(world.policies.get(project), world.settings.project_number))
    world.service_usage.enable(*_APIS)
    for host in apis.APIS:
        world.service_usage.use(host)
    _let_in(world)
    _make_role(world, _OCTUE_ROLE, "octue-service-user", _OCTUE_PERMISSIONS)
    _make_role(world, _DEPLOYER_ROLE, "Octue deployer", _DEPLOYER_PERMISSIONS)
    _make_deployer(world)


def _let_in(world: World) -> None:
    """The pool, and its provider, which lets the trusted repository's main branch in."""
    trusted = world.settings.trusted
    pool = f"projects/{world.settings.project_number}/locations/global/workloadIdentityPools/{_POOL}"
    world.workload_identity.add(pool, messages.WorkloadIdentityPool(display_name="GitHub"))
    condition = (
        f"assertion.repository_owner_id == '{numeric_id(trusted.partition('/')[0])}' "
        f"&& assertion.repository_id == '{numeric_id(trusted)}' "
        "&& assertion.ref == 'refs/heads/main' "
        "&& assertion.event_name in ['push', 'schedule', 'workflow_dispatch']"
    )
    mapping = {"google.subject": "assertion.sub"} | {f"attribute.{name}": f"assertion.{name}" for name in _ATTRIBUTES}
    provider = messages.WorkloadIdentityPoolProvider(
        display_name="Octue",
        attribute_mapping=mapping,
        attribute_condition=condition,
        oidc=messages.Oidc(issuer_uri=github.ISSUER),
    )
    world.workload_identity.add(f"{pool}/providers/{_PROVIDER}", provider)


def _make_role(world: World, role_id: str, title: str, included: tuple[str, ...]) -> None:
    role = iam_admin_v1.Role(title=title, included_permissions=included, stage=iam_admin_v1.Role.RoleLaunchStage.GA)
    world.iam.create_role(
        iam_admin_v1.CreateRoleRequest(parent=world.projects.name, role_id=role_id, role=role), SYSTEM
    )


def _make_deployer(world: World) -> None:
    """The account, whom it lets act as it, and what it may do itself: its own role, and to give Octue's role."""
    project = world.projects.name
    account = world.iam.create_service_account(
        iam_admin_v1.CreateServiceAccountRequest(
            name=project,
            account_id=DEPLOYER,
            service_account=iam_admin_v1.ServiceAccount(
                display_name="Deployer of Octue services", description="Impersonated by the trusted repository."
            ),
        ),
        SYSTEM,
    )
    trusted = world.sts.principal_set("repository_id", numeric_id(world.settings.trusted))
    users = policy_pb2.Binding(role="roles/iam.workloadIdentityUser", members=[trusted])
    world.policies.set(account.name, policy_pb2.Policy(version=1, bindings=[users]))
    only = expr_pb2.Expr(
        title="only-octues-role",
        expression=(
            "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', [])"
            f".hasOnly(['{project}/roles/{_OCTUE_ROLE}'])"
        ),
    )
    member = f"serviceAccount:{account.email}"
    policy = world.policies.get(project)
    policy.bindings.add(role=f"{project}/roles/{_DEPLOYER_ROLE}", members=[member])
    policy.bindings.add(role="roles/resourcemanager.projectIamAdmin", members=[member], condition=only)
    world.policies.set(project, policy)


def _policy_of_others(policy: policy_pb2.Policy, number: str) -> policy_pb2.Policy:
    """The project's policy, with what people and products do in a project that has been there for a while."""
    others = [
        policy_pb2.Binding(
            role="roles/editor",
            members=[
                f"serviceAccount:{number}-compute@developer.gserviceaccount.com",
                f"serviceAccount:{number}@cloudservices.gserviceaccount.com",
            ],
        ),
        policy_pb2.Binding(
            role="roles/viewer",
            members=["deleted:user:former@example.com?uid=123456789012345678901", "group:scientists@example.com"],
        ),
        policy_pb2.Binding(
            role="roles/storage.objectViewer",
            members=["user:guest@example.com"],
            condition=expr_pb2.Expr(
                title="until-2030",
                description="A guest's access ends with the project.",
                expression='request.time < timestamp("2030-01-01T00:00:00Z")',
            ),
        ),
    ]
    logged = policy_pb2.AuditLogConfig(log_type=policy_pb2.AuditLogConfig.DATA_WRITE)
    return policy_pb2.Policy(
        version=CONDITIONS_VERSION,
        bindings=[*policy.bindings, *others],
        audit_configs=[policy_pb2.AuditConfig(service="allServices", audit_log_configs=[logged])],
    )
