"""A custom role of the project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from octue_action.failure import Failure, GoogleError
from octue_action.resource import Mark, Permissions, Resource, as_description, from_description, is_ours

if TYPE_CHECKING:
    from google.cloud import iam_admin_v1

    from octue_action.google import Google


DELETED = "DELETED"


class RoleIsGone(Failure):
    """A role was deleted too long ago to be undeleted, and not long enough for another one to be called so.

    :param role: which it is.
    :param said: what Google Cloud says of it.
    """

    def __init__(self, role: IamRole, said: str) -> None:
        super().__init__(
            f"The {role.label} was deleted more than seven days ago: Google Cloud cannot bring it back any more, and "
            f"lets no other be called so before 37 days have passed.\nGoogle's answer: {said}"
        )
        self.role_id = role.role_id


_REFUSED = ("FAILED_PRECONDITION", "ALREADY_EXISTS", "NOT_FOUND")
"""With which Google Cloud refuses what is to be done with a role that is deleted."""


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

    A role that is deleted can be undeleted for seven days; then it is not seen any more, and yet its id is taken until
    37 have passed (cloud.google.com/iam/docs/creating-custom-roles).

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
        try:
            return self._canonical(google.write(google.iam.create_role, request))
        except GoogleError as error:
            # So it says while it keeps the id; of a role that can be undeleted it says it, too, which is then seen.
            if error.status not in _REFUSED or "delet" not in error.said.lower() or self.read(google) is not None:
                raise
            raise RoleIsGone(self, error.message) from error

    def update(self, google: Google, actual: Self) -> Self:
        from google.cloud import iam_admin_v1

        if not actual.is_there:
            actual = self._undelete(google, actual)
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

    def _undelete(self, google: Google, actual: Self) -> Self:
        from google.cloud import iam_admin_v1

        request = iam_admin_v1.UndeleteRoleRequest(name=self.role, etag=actual.etag)
        try:
            return self._canonical(google.write(google.iam.undelete_role, request))
        except GoogleError as error:
            # Where somebody else was faster, it is refused with a conflict.
            if error.status not in _REFUSED:
                raise
            raise RoleIsGone(self, error.message) from error

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
