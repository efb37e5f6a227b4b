"""What a project needs before the first deployment, as one list of resources. Pure: names, and the graph.

It is what the README's section "Before the first time" tells, and what ``examples/terraform`` makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from octue_action import names, permissions
from octue_action.preflight import AGENTS
from octue_action.resource import Resource
from octue_action.resources.artifact_repository import ArtifactRepository
from octue_action.resources.iam_member import Condition, IamMember
from octue_action.resources.iam_role import IamRole, grouped
from octue_action.resources.project_service import ProjectService
from octue_action.resources.service_account import ServiceAccount
from octue_action.resources.service_identity import ServiceIdentity
from octue_action.resources.workload_identity_pool import WorkloadIdentityPool
from octue_action.resources.workload_identity_provider import WorkloadIdentityProvider

APIS = (
    "artifactregistry.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "eventarc.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "logging.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "sts.googleapis.com",
)
"""What deployments, builds and the service itself use."""

POOL = "github"
PROVIDER = "octue"
DEPLOYER = "deployer"
BUILDER = "builder"
OCTUE_ROLE = "octue_service_user"

TAKEN = (BUILDER, "service-user")
"""What no deployer can be called: the builder is called so, or its role would be Octue's."""

ISSUER = "https://token.actions.githubusercontent.com"

ATTRIBUTE_MAPPING: Mapping[str, str] = {
    "google.subject": "assertion.sub",
    "attribute.repository_id": "assertion.repository_id",
}

BUILDER_ROLES = ("roles/artifactregistry.writer", "roles/logging.logWriter", "roles/run.developer")
"""To push images, to write the log of a build, and to update the service after a push."""

AGENT_DOMAINS: Mapping[str, str] = {"eventarc.googleapis.com": "gcp-sa-eventarc"}
"""Of the service identities that ``preflight.AGENTS`` names."""

ACTION = "octue/deploy-cloud-run-action@v0"

_IAM = "iam.googleapis.com"
_RESOURCE_MANAGER = "cloudresourcemanager.googleapis.com"
_ARTIFACT_REGISTRY = "artifactregistry.googleapis.com"


@dataclass(frozen=True, kw_only=True)
class ProjectSetup:
    """Which repository may deploy to which project.

    :param project_number: decimal digits.
    :param repository: ``owner/name``, for people.
    :param repository_id: GitHub's number of it, which survives renaming, and is never given to another one.
    :param owner_id: GitHub's number of its owner.
    :param region: where its services will be.
    :param branch: from which it may deploy.
    :param pull_requests: whether pull requests of its own branches are let in, too, for previews and plans.
    :param destroys: whether it may delete what it has made.
    :param octue_role: full name of a role that is there already; where empty, one is made.
    :param services: Cloud Run services whose image repositories are made already.
    :param provider_id: another one than usual where several repositories share the project.
    :param deployer_id: the same, of the account that it acts as.
    """

    project_id: str
    project_number: str
    repository: str
    repository_id: str
    owner_id: str
    region: str
    branch: str = "main"
    pull_requests: bool = False
    destroys: bool = True
    octue_role: str = ""
    services: tuple[str, ...] = ()
    provider_id: str = PROVIDER
    deployer_id: str = DEPLOYER

    @property
    def provider(self) -> str:
        """Full name of the provider, for workflows."""
        return f"{self._pool}/providers/{self.provider_id}"

    @property
    def deployer(self) -> str:
        """E-mail of the account that workflows act as."""
        return names.service_account_email(self.deployer_id, self.project_id)

    @property
    def deployer_role_id(self) -> str:
        """The role of that account alone: another repository's may be allowed more, or less."""
        return names.deployer_role_id(self.deployer_id)

    @property
    def builder(self) -> str:
        """E-mail of the account that Cloud Build runs as."""
        return names.service_account_email(BUILDER, self.project_id)

    @property
    def granted_role(self) -> str:
        """Full name of the role that services' accounts get."""
        return self.octue_role or names.octue_role(self.project_id)

    @property
    def identities(self) -> str:
        """All workflow runs of the repository that the provider lets in, as policies name them."""
        return f"principalSet://iam.googleapis.com/{self._pool}/attribute.repository_id/{self.repository_id}"

    @property
    def connect_url(self) -> str:
        """The page on which a person connects the repository to Cloud Build."""
        return (
            f"https://console.cloud.google.com/cloud-build/triggers;region={self.region}/connect"
            f"?project={self.project_id}"
        )

    @property
    def _pool(self) -> str:
        return f"projects/{self.project_number}/locations/global/workloadIdentityPools/{POOL}"


def attribute_condition(owner_id: str, repository_id: str, branch: str = "main", *, pull_requests: bool = False) -> str:
    """Which of GitHub's tokens are let in: by numbers, since names are given to others once they are free.

    https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines#conditions.
    """
    repository = f"assertion.repository_owner_id == '{owner_id}' && assertion.repository_id == '{repository_id}'"
    listed = ", ".join(f"'{event}'" for event in permissions.EVENTS)
    pushed = f"assertion.ref == 'refs/heads/{branch}' && assertion.event_name in [{listed}]"
    if pull_requests:
        return f"{repository} && (assertion.event_name == 'pull_request' || ({pushed}))"
    return f"{repository} && {pushed}"


def deployers_permissions(*, destroys: bool) -> tuple[str, ...]:
    """What the deployer's role includes."""
    if destroys:
        return permissions.DEPLOYER
    kept = {*permissions.DEPLOY, *permissions.ROLL_BACK, *permissions.ASK, *permissions.EXPLAIN}
    return tuple(permission for permission in permissions.DEPLOYER if permission in kept)


def resources(setup: ProjectSetup) -> tuple[Resource, ...]:
    """All that the project needs, in the order in which a person would make it."""
    apis = {api: ProjectService(project_id=setup.project_id, api=api) for api in APIS}
    roles = _roles(setup, apis)
    accounts = _accounts(setup, apis)
    federation = _federation(setup, apis)
    agents = _agents(setup, apis)
    return (
        *apis.values(),
        *federation,
        *roles,
        *accounts.values(),
        *_images(setup, apis),
        *(identity for identity, _ in agents),
        *_members(setup, apis, accounts, federation, roles),
        *(member for _, member in agents),
    )


def step(setup: ProjectSetup) -> str:
    """The step of a workflow, with its values filled in."""
    given = {
        "workload_identity_provider": setup.provider,
        "deployer_service_account": setup.deployer,
        "build_service_account": setup.builder,
        **({"octue_role": setup.octue_role} if setup.octue_role else {}),
    }
    lines = "\n".join(f"    {name}: {value}" for name, value in given.items())
    return f"- uses: {ACTION}\n  with:\n{lines}"


def _shared() -> dict[str, str]:
    """Whose that is which several repositories of a project share."""
    return {"managed-by": "octue-action"}


def _own(setup: ProjectSetup) -> dict[str, str]:
    return {**_shared(), "github-repository-id": names.label_value(setup.repository_id)}


def _federation(
    setup: ProjectSetup, apis: Mapping[str, ProjectService]
) -> tuple[WorkloadIdentityPool, WorkloadIdentityProvider]:
    pool = WorkloadIdentityPool(
        project_id=setup.project_id,
        pool_id=POOL,
        display_name="GitHub",
        owner=_shared(),
        part_of=apis[_IAM].address,
        depends_on=_addresses([apis[_IAM]]),
    )
    provider = WorkloadIdentityProvider(
        project_id=setup.project_id,
        pool_id=POOL,
        provider_id=setup.provider_id,
        display_name="Octue services",
        owner=_own(setup),
        issuer=ISSUER,
        attribute_mapping=ATTRIBUTE_MAPPING,
        attribute_condition=attribute_condition(
            setup.owner_id, setup.repository_id, setup.branch, pull_requests=setup.pull_requests
        ),
        part_of=pool.address,
        depends_on=_addresses([pool]),
    )
    return pool, provider


def _roles(setup: ProjectSetup, apis: Mapping[str, ProjectService]) -> tuple[IamRole, ...]:
    included = deployers_permissions(destroys=setup.destroys)
    made = {setup.deployer_role_id: ("Octue deployer", _own(setup), included)}
    if not setup.octue_role:
        made[OCTUE_ROLE] = ("octue-service-user", _shared(), permissions.OCTUE_SERVICE)
    return tuple(
        IamRole(
            project_id=setup.project_id,
            role_id=role_id,
            role_title=title,
            owner=owner,
            includes=grouped(included),
            part_of=apis[_IAM].address,
            depends_on=_addresses([apis[_IAM]]),
        )
        for role_id, (title, owner, included) in made.items()
    )


def _accounts(setup: ProjectSetup, apis: Mapping[str, ProjectService]) -> dict[str, ServiceAccount]:
    """The accounts by their e-mails."""
    described = {
        setup.deployer: (setup.deployer_id, "Deployer of Octue services", _own(setup)),
        setup.builder: (BUILDER, "Builder of Octue services", _shared()),
    }
    return {
        email: ServiceAccount(
            project_id=setup.project_id,
            account_id=account_id,
            email=email,
            owner=owner,
            display_name=display_name,
            part_of=apis[_IAM].address,
            depends_on=_addresses([apis[_IAM]]),
        )
        for email, (account_id, display_name, owner) in described.items()
    }


def _images(setup: ProjectSetup, apis: Mapping[str, ProjectService]) -> list[ArtifactRepository]:
    """The same as a deployment would make, which finds them there."""
    return [
        ArtifactRepository(
            project_id=setup.project_id,
            location=setup.region,
            repository_id=names.artifact_repository(service),
            labels=names.labels(service, setup.repository_id),
            part_of=apis[_ARTIFACT_REGISTRY].address,
            depends_on=_addresses([apis[_ARTIFACT_REGISTRY]]),
        )
        for service in setup.services
    ]


def _members(
    setup: ProjectSetup,
    apis: Mapping[str, ProjectService],
    accounts: Mapping[str, ServiceAccount],
    federation: Iterable[Resource],
    roles: Iterable[IamRole],
) -> list[IamMember]:
    """Who may act as the deployer, and what the deployer and the builder may do."""
    deployer, project = accounts[setup.deployer], f"projects/{setup.project_id}"
    only = Condition(permissions.GRANT_TITLE, permissions.GRANT_CONDITION.format(octue_role=setup.granted_role))
    made = {role.role for role in roles}
    grants = [
        (f"{project}/roles/{setup.deployer_role_id}", deployer, None),
        ("roles/resourcemanager.projectIamAdmin", deployer, only),
        *((role, accounts[setup.builder], None) for role in BUILDER_ROLES),
    ]
    return [
        IamMember(
            resource=f"{project}/serviceAccounts/{setup.deployer}",
            role="roles/iam.workloadIdentityUser",
            member=setup.identities,
            part_of=deployer.address,
            depends_on=_addresses([deployer, *federation]),
        ),
        *(
            IamMember(
                resource=project,
                role=role,
                member=f"serviceAccount:{account.email}",
                condition=condition,
                role_may_be_new=role in made,
                part_of=apis[_RESOURCE_MANAGER].address,
                depends_on=_addresses([apis[_RESOURCE_MANAGER], account, *roles]),
            )
            for role, account, condition in grants
        ),
    ]


def _agents(setup: ProjectSetup, apis: Mapping[str, ProjectService]) -> list[tuple[ServiceIdentity, IamMember]]:
    """The accounts by which APIs act in the project, each with the role that it has there."""
    made = []
    for api, role in AGENTS.items():
        needed = _addresses([apis[api], apis[_RESOURCE_MANAGER]])
        email = f"service-{setup.project_number}@{AGENT_DOMAINS[api]}.iam.gserviceaccount.com"
        identity = ServiceIdentity(
            project_id=setup.project_id,
            api=api,
            email=email,
            part_of=apis[_RESOURCE_MANAGER].address,
            depends_on=needed,
        )
        member = IamMember(
            resource=f"projects/{setup.project_id}",
            role=role,
            member=f"serviceAccount:{email}",
            part_of=apis[_RESOURCE_MANAGER].address,
            depends_on=(*needed, identity.address),
        )
        made.append((identity, member))
    return made


def _addresses(resources: Iterable[Resource]) -> tuple[str, ...]:
    return tuple(resource.address for resource in resources)
