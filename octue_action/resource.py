"""The words every kind of resource shares: what it is, how it is read and written, and how two of them differ."""

from __future__ import annotations

import enum
import functools
import re
import typing
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

from octue_action import names
from octue_action.failure import Failure

if TYPE_CHECKING:
    from octue_action.google import Google
    from octue_action.quirks import Quirk


ADOPT = (
    "Bring octue.yaml to what stands there first: memory, variables and secrets that it does not say are lost. "
    "Delete a build trigger that the console made for it. Then add to the step:\nadopt: true"
)

ACT_AS = "iam.serviceAccounts.actAs"

OWNERSHIP_LABELS = ("managed-by", "octue-service", "github-repository-id", "octue-preview")
"""The last one is there on what belongs to a preview, and only there."""


def is_ours(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether labels say that this action made the thing for this very service and repository.

    :param labels: those of the thing, as read.
    :param wanted: those it would get.
    """
    return all(labels.get(key) == wanted.get(key) for key in OWNERSHIP_LABELS)


def as_description(owner: Mapping[str, str]) -> str:
    """The labels as a description, for what cannot have labels; at most 256 characters, which Google Cloud allows."""
    return " ".join(f"{key}={value}" for key, value in owner.items())


def from_description(text: str) -> dict[str, str]:
    """The labels that a description says; whatever else it says is passed over."""
    return dict(word.split("=", 1) for word in text.split() if "=" in word)


class Mark(enum.Enum):
    """What a field is beside a setting that may be compared and changed: ``Annotated[str, Mark.IDENTITY]``."""

    IDENTITY = enum.auto()
    """Says which resource it is; never compared."""
    OUTPUT = enum.auto()
    """Told by Google Cloud; never compared."""
    IMMUTABLE = enum.auto()
    """Google Cloud cannot change it: a difference is a replacement."""
    ADDITIVE = enum.auto()
    """A map in which other people's keys are left alone."""
    SENSITIVE = enum.auto()
    """A map whose values are shown to nobody."""


@dataclass(frozen=True)
class FieldChange:
    """One field that differs.

    :param name: the field, or ``field[key]`` for one key of a map.
    :param before: the value that is there; None where there is none.
    :param after: the value that should be there; None where it is to be removed.
    :param immutable: whether the resource must be replaced to change it.
    :param sensitive: whether the values must not be shown.
    """

    name: str
    before: Any
    after: Any
    immutable: bool = False
    sensitive: bool = False


@dataclass(frozen=True)
class Need:
    """A permission that whoever deploys must have.

    :param permission: ``pubsub.topics.create``.
    :param resource: relative name of the thing on which it may be granted as well as on the project; empty for none.
    """

    permission: str
    resource: str = ""


@dataclass(frozen=True, kw_only=True)
class Permissions:
    """What reading and writing a resource take, as its API's reference says."""

    read: tuple[str, ...]
    create: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()

    def of(self, action: str) -> tuple[str, ...]:
        """All that an action takes; whatever is written is read, too.

        :param action: a ``plan.Action``.
        """
        written = {"create": self.create, "update": self.update, "delete": self.delete}
        return self.read + (self.delete + self.create if action == "replace" else written.get(action, ()))


@dataclass(frozen=True, kw_only=True)
class Resource(ABC):
    """A thing in Google Cloud: the same type says how it should be and how it is.

    ``None`` in a desired field means "not ours to say"; an empty value means "clear it".

    :param depends_on: addresses of the resources that must stand before this one is written.
    :param part_of: address of the resource without which this one cannot exist; then it is not even asked for, and it
        goes with that one.
    :param only: of a desired resource: names of the fields that it speaks of, where the others are not ours to say.
    :param owned_with: address of the resource that says whose this one is, where it cannot say so itself.
    :param ours: of an actual resource: whether this action made it for this service and repository.
    """

    kind: ClassVar[str]
    title: ClassVar[str]

    depends_on: typing.Annotated[tuple[str, ...], Mark.IDENTITY] = ()
    part_of: typing.Annotated[str | None, Mark.IDENTITY] = None
    only: typing.Annotated[frozenset[str] | None, Mark.IDENTITY] = None
    owned_with: typing.Annotated[str | None, Mark.IDENTITY] = None
    ours: typing.Annotated[bool, Mark.OUTPUT] = True

    @property
    @abstractmethod
    def name(self) -> str:
        """What people call it, without project and location."""

    @property
    @abstractmethod
    def console_url(self) -> str:
        """The page of Google's console that shows it."""

    @property
    def is_there(self) -> bool:
        """Of an actual resource: whether there is something to delete."""
        return True

    @property
    def address(self) -> str:
        """``kind.name``: unique within a deployment."""
        return f"{self.kind}.{self.name}"

    @property
    def label(self) -> str:
        """What it is and what it is called, for people: ``Pub/Sub topic octue.services.1``."""
        return f"{self.title} {self.name}"

    @property
    def origin(self) -> str:
        """What it will be made from, for people who read the plan; empty where its fields say it."""
        return ""

    @property
    @abstractmethod
    def permissions(self) -> Permissions:
        """What whoever reads and writes it must be allowed."""

    @property
    def own_policy(self) -> str:
        """Relative name by which its own IAM policy is asked; empty where only the project's counts."""
        return ""

    @property
    def acts_as(self) -> str:
        """E-mail of the account that it is made to act as; whoever does that must be allowed to act as it."""
        return ""

    def needs(self, action: str) -> tuple[Need, ...]:
        """The permissions that an action takes.

        :param action: a ``plan.Action``.
        """
        needed = tuple(Need(permission, self.own_policy) for permission in self.permissions.of(action))
        if not self.acts_as or action not in {"create", "update", "replace"}:
            return needed
        return (*needed, Need(ACT_AS, f"projects/{names.project_of(self.acts_as)}/serviceAccounts/{self.acts_as}"))

    @abstractmethod
    def read(self, google: Google) -> Self | None:
        """The resource as it is, in the same canonical form as the desired one; None where there is none."""

    @abstractmethod
    def create(self, google: Google) -> Self:
        """Make it, and give it as Google Cloud answers that it now is."""

    @abstractmethod
    def update(self, google: Google, actual: Self) -> Self:
        """Change what differs from ``actual``, and give it as Google Cloud answers that it now is."""

    @abstractmethod
    def delete(self, google: Google) -> None:
        """Remove it; one that is gone already is no error."""

    @property
    def passing(self) -> tuple[Quirk, ...]:
        """The refusals of this kind alone that pass by themselves; what all kinds share is ``quirks.OF_RESOURCES``."""
        return ()

    def retried(self) -> Self:
        """The same, to be made once more after an attempt that may have begun it."""
        return self

    def refusals(self, actual: Self, *, adopt: bool) -> tuple[Failure, ...]:
        """Why the resource, as it is, must not be touched: by default because it is not ours and ``adopt`` is off."""
        if actual.ours or adopt:
            return ()
        return (Failure(f"The {self.label} exists already, and this workflow did not make it.", ADOPT),)


class Entry(Resource):
    """A resource that is one entry of a thing with many, as a grant is of a policy.

    What there is of a thing is read in one request, and in one request entries of it are written or deleted: upon what
    was read last, and refused where that is old by now.
    """

    @property
    @abstractmethod
    def entry_of(self) -> str:
        """What it is an entry of, by a name that nothing else has."""

    @classmethod
    @abstractmethod
    def read_together(cls, google: Google, entries: Sequence[Self]) -> Sequence[Self]:
        """Each of the entries, which are of one thing, as it is, also where it ``is_there`` not."""

    @classmethod
    @abstractmethod
    def write_together(cls, google: Google, entries: Sequence[Self]) -> Sequence[Self]:
        """Make or change the entries, which are of one thing, and give each as Google Cloud answers that it now is."""

    @classmethod
    @abstractmethod
    def delete_together(cls, google: Google, entries: Sequence[Self]) -> None:
        """Remove the entries, which are of one thing."""

    @abstractmethod
    def is_named_in(self, failure: Failure) -> bool:
        """Whether entries that are written together are refused for what this one says, whatever the others say."""

    def read(self, google: Google) -> Self | None:
        """As for any resource, of one entry alone."""
        (actual,) = self.read_together(google, [self])
        return actual

    def create(self, google: Google) -> Self:
        """As for any resource, of one entry alone."""
        (written,) = self.write_together(google, [self])
        return written

    def update(self, google: Google, actual: Self) -> Self:  # noqa: ARG002 - what is written stands beside what is there
        """As for any resource, of one entry alone."""
        return self.create(google)

    def delete(self, google: Google) -> None:
        """As for any resource, of one entry alone."""
        self.delete_together(google, [self])


def diff(desired: Resource, actual: Resource | None) -> tuple[FieldChange, ...]:
    """The fields in which ``actual`` is not what ``desired`` says, in the order of the fields.

    :param desired: fields that are None are not compared.
    :param actual: the same kind of resource, as read; None where there is none, so that all that is wanted differs.
    """
    changes: list[FieldChange] = []
    for name, marks in _compared_fields(type(desired)).items():
        before, after = getattr(actual, name, None), getattr(desired, name)
        if actual is None and after == ():
            continue  # nothing is said of what is new
        if after is None or (desired.only is not None and name not in desired.only):
            continue
        if isinstance(after, Mapping):
            changes += _diff_map(name, marks, before or {}, after)
        elif before != after:
            changes.append(FieldChange(name, before, after, immutable=Mark.IMMUTABLE in marks))
    return tuple(changes)


def _diff_map(
    name: str, marks: frozenset[Mark], before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[FieldChange]:
    keys = after.keys() if Mark.ADDITIVE in marks else before.keys() | after.keys()
    return [
        FieldChange(f"{name}[{key}]", before.get(key), after.get(key), sensitive=Mark.SENSITIVE in marks)
        for key in sorted(keys)
        if before.get(key) != after.get(key)
    ]


_MARK = re.compile(r"\bMark\.([A-Z]+)\b")


@functools.cache
def _compared_fields(resource_type: type[Resource]) -> dict[str, frozenset[Mark]]:
    marks = {field.name: marks_of(field.type) for field in fields(resource_type)}
    return {name: m for name, m in marks.items() if not m & {Mark.IDENTITY, Mark.OUTPUT}}


def marks_of(annotation: object) -> frozenset[Mark]:
    """The marks in the annotation of a field, which is a text: to evaluate all of it takes thirty times as long."""
    return frozenset(Mark[name] for name in _MARK.findall(str(annotation)))
