"""A custom role of the project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from octue_action.resource import Mark, Permissions, Resource, as_description, from_description, is_ours

if TYPE_CHECKING:
    from google.cloud import iam_admin_v1

    from octue_action.google import Google


DELETED = "DELETED"


def grouped(permissions: Iterable[str]) -> dict[str, str]:
    """Permissions as people read them: ``{"run.services": "create, get"}``."""
    verbs: dict[str, list[str]] = {}
    for permission in sorted(permissions):
        of, _, verb = permission.rpartition(".")
        verbs.setdefault(of, []).append(verb)
    return {of: ", ".join(listed) for of, listed in verbs.items()}


def ungrouped(includes: Mapping[str, str]) -> list[str]:
    """Permissions as Google Cloud has them: ``["run.services.create", "run.services.get"]``."""
    return [f"{of}.{verb}" for of, verbs in includes.items() for verb in verbs.split(", ")]


@dataclass(frozen=True, kw_only=True)
class IamRole(Resource):
    """A custom role; roles have no labels, so its description says whose it is.

    A role that is deleted can be undeleted for seven days, and its id is taken for 37
    (cloud.google.com/iam/docs/creating-custom-roles).

    :param role_id: letters, digits, ``_`` and ``.``.
    :param role_title: what the console shows.
    :param owner: the labels that it would carry if it could.
    :param includes: the permissions, as ``grouped`` has them: these and no others.
    :param stage: of its launch, ``GA``; of an actual one also ``DISABLED``, when it grants nothing, or ``DELETED``.
    :param etag: of an actual one: which version of it was read.
    """

    kind: ClassVar[str] = "iam_role"
    title: ClassVar[str] = "Custom role"

    project_id: Annotated[str, Mark.IDENTITY]
    role_id: Annotated[str, Mark.IDENTITY]
    role_title: str
    owner: Annotated[Mapping[str, str], Mark.ADDITIVE]
    includes: Mapping[str, str]
    stage: str = "GA"
    etag: Annotated[bytes, Mark.OUTPUT] = b""

    @property
    def name(self) -> str:
        return self.role_id

    @property
    def role(self) -> str:
        """The name by which policies grant it."""
        return f"projects/{self.project_id}/roles/{self.role_id}"

    @property
    def console_url(self) -> str:
        path = self.role.replace("/", "<")
        return f"https://console.cloud.google.com/iam-admin/roles/details/{path}?project={self.project_id}"

    @property
    def permissions(self) -> Permissions:
        return Permissions(
            read=("iam.roles.get",),
            create=("iam.roles.create",),
            update=("iam.roles.update", "iam.roles.undelete"),
            delete=("iam.roles.delete",),
        )

    def read(self, google: Google) -> Self | None:
        from google.cloud import iam_admin_v1

        role = google.find(google.iam.get_role, iam_admin_v1.GetRoleRequest(name=self.role))
        return self._canonical(role) if role is not None else None

    def create(self, google: Google) -> Self:
        from google.cloud import iam_admin_v1

        request = iam_admin_v1.CreateRoleRequest(
            parent=f"projects/{self.project_id}", role_id=self.role_id, role=self._message(self.owner)
        )
        return self._canonical(google.write(google.iam.create_role, request))

    def update(self, google: Google, actual: Self) -> Self:
        from google.cloud import iam_admin_v1

        if not actual.is_there:
            undeletion = iam_admin_v1.UndeleteRoleRequest(name=self.role, etag=actual.etag)
            actual = self._canonical(google.write(google.iam.undelete_role, undeletion))
        # Written upon what was read: where somebody else has changed it since, Google refuses it with a conflict.
        request = iam_admin_v1.UpdateRoleRequest(
            name=self.role,
            role=self._message({**actual.owner, **self.owner}, actual.etag),
            update_mask={"paths": ["title", "description", "included_permissions", "stage"]},
        )
        return self._canonical(google.write(google.iam.update_role, request))

    def delete(self, google: Google) -> None:
        from google.cloud import iam_admin_v1

        actual = self.read(google)
        if actual is not None and actual.is_there:
            google.remove(google.iam.delete_role, iam_admin_v1.DeleteRoleRequest(name=self.role, etag=actual.etag))

    @property
    def is_there(self) -> bool:
        return self.stage != DELETED

    def _message(self, owner: Mapping[str, str], etag: bytes = b"") -> iam_admin_v1.Role:
        from google.cloud import iam_admin_v1

        return iam_admin_v1.Role(
            title=self.role_title,
            description=as_description(owner),
            included_permissions=sorted(ungrouped(self.includes)),
            stage=getattr(iam_admin_v1.Role.RoleLaunchStage, self.stage),
            etag=etag,
        )

    def _canonical(self, role: iam_admin_v1.Role) -> Self:
        owner = from_description(role.description)
        return replace(
            self,
            role_title=role.title,
            owner=owner,
            includes=grouped(role.included_permissions),
            stage=DELETED if role.deleted else role.stage.name,
            etag=role.etag,
            ours=is_ours(owner, self.owner),
        )
