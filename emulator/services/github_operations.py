"""What an operation of GitHub's REST API is, what it is called with, and what it answers."""

from __future__ import annotations

import math
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from emulator.services.github_access import Caller
from emulator.services.github_errors import DOCS, GitHubError, malformed
from emulator.services.github_json import Documents
from emulator.services.github_repositories import Repository

if TYPE_CHECKING:
    from emulator.world import World

_PER_PAGE = 30
_MOST_PER_PAGE = 100
_TYPES: Mapping[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    list: "an array",
    dict: "an object",
}

PAGING = ("per_page", "page")
"""The parameters of every list."""


@dataclass(frozen=True)
class Field:
    """A field of a request's body.

    :param types: what its value may be.
    :param required: whether there must be one.
    :param choices: all values that there are; any where empty.
    """

    types: tuple[type, ...]
    required: bool = False
    choices: tuple[str, ...] = ()

    def check(self, name: str, value: Any) -> None:
        """See that a value is right.

        :raises GitHubError: 422 where it is not.
        """
        if type(value) not in self.types:
            wanted = " or ".join(_TYPES[each] for each in self.types if each in _TYPES)
            raise malformed(f"For 'properties/{name}', {_shown(value)} is not {wanted}.")
        if self.choices and value is not None and value not in self.choices:
            raise malformed(f"For 'properties/{name}', {_shown(value)} is not a member of {list(self.choices)}.")


TEXT = Field((str,))
NULLABLE_TEXT = Field((str, type(None)))
FLAG = Field((bool,))


@dataclass(frozen=True)
class Answer:
    """What is answered.

    :param content: JSON; nothing at all where ``None``.
    """

    status: HTTPStatus
    content: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of an operation in a repository, which may be made.

    :param url: without its query.
    :param numbers: what stands in the path: ``{"issue_number": 1}``.
    :param query: its parameters.
    :param body: the JSON, checked.
    """

    world: World
    caller: Caller
    repository: Repository
    url: str
    numbers: Mapping[str, int]
    query: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return self.world.clock.time()

    @property
    def documents(self) -> Documents:
        """What shows everything as JSON."""
        return self.world.github.documents

    def new_id(self) -> int:
        """A number that nothing has yet."""
        return self.world.github.repositories.new_id()


class Dated(Protocol):
    """Something that was made once."""

    @property
    def created(self) -> float:
        """Seconds since the epoch."""


Listed = TypeVar("Listed", bound=Dated)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation.

    :param id: as GitHub's description has it, ``issues/create-comment``.
    :param verb: of HTTP.
    :param path: with names in braces: ``{owner}``, ``{repo}``, others are numbers.
    :param docs: its page below https://docs.github.com/rest/.
    :param answer: carries it out.
    :param permissions: any one of these is enough, for reading or writing; none is needed where empty.
    :param query: names of the parameters.
    :param body: its fields by name.
    """

    id: str
    verb: str
    path: str
    docs: str
    answer: Callable[[Call], Answer]
    permissions: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    body: Mapping[str, Field] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """What the log of requests calls it, ``github.rest.Issues/CreateComment``."""
        group, _, name = self.id.partition("/")
        return f"github.rest.{_camel(group)}/{_camel(name)}"

    @property
    def level(self) -> str:
        """What a permission must allow: ``read`` or ``write``."""
        return "read" if self.verb == "GET" else "write"

    @property
    def documentation_url(self) -> str:
        """Its page."""
        return f"{DOCS}/{self.docs}"

    @property
    def accepted_permissions(self) -> str:
        """The permissions as a response's header has them."""
        return "; ".join(f"{name}={self.level}" for name in self.permissions)

    def check_query(self, query: Mapping[str, str]) -> None:
        """See that nothing is asked for that is not modelled.

        :raises GitHubError: 501 where it is, which GitHub itself would answer otherwise.
        """
        self._check_names(query, self.query)

    def check_body(self, body: Mapping[str, Any]) -> None:
        """See that every field is there that must be, and has a value that it can have.

        :raises GitHubError: 422 where it is otherwise; 501 for a field that is not modelled.
        """
        self._check_names(body, self.body)
        for name, known in self.body.items():
            if name in body:
                known.check(name, body[name])
            elif known.required:
                raise malformed(f'"{name}" wasn\'t supplied.')

    def _check_names(self, given: Mapping[str, Any], known: Mapping[str, Field] | Sequence[str]) -> None:
        for name in given:
            if name not in known:
                raise GitHubError(HTTPStatus.NOT_IMPLEMENTED, f"The emulator does not model {name!r} of {self.id}.")


def page(call: Call, items: Sequence[Listed], show: Callable[[Listed], Any]) -> Answer:
    """The page of a list that is asked for, without what is too new to be seen.

    :param items: all of them, in order.
    :param show: gives the JSON of one.
    """
    latest = call.now - call.world.propagation.github_lists
    seen = [item for item in items if item.created <= latest]
    size = min(_positive(call.query.get("per_page"), _PER_PAGE), _MOST_PER_PAGE)
    number = _positive(call.query.get("page"), 1)
    last = max(1, math.ceil(len(seen) / size))
    shown = seen[(number - 1) * size : number * size]
    return Answer(HTTPStatus.OK, [show(item) for item in shown], _links(call, number, last))


def choice(call: Call, name: str, choices: Sequence[str]) -> str:
    """A parameter's value, the first choice where none is given.

    :raises GitHubError: 422 for what is no choice.
    """
    value = call.query.get(name, choices[0])
    if value not in choices:
        raise malformed(f"For 'properties/{name}', {_shown(value)} is not a member of {list(choices)}.")
    return value


def _links(call: Call, number: int, last: int) -> dict[str, str]:
    """Where the other pages are: https://docs.github.com/rest/using-the-rest-api/using-pagination-in-the-rest-api."""
    others = {"prev": number - 1, "next": number + 1, "last": last, "first": 1}
    missing = {"prev", "first"} if number == 1 else set()
    missing |= {"next", "last"} if number >= last else set()
    links = [f'<{_page_url(call, other)}>; rel="{name}"' for name, other in others.items() if name not in missing]
    return {"Link": ", ".join(links)} if links else {}


def _page_url(call: Call, number: int) -> str:
    return f"{call.url}?{urllib.parse.urlencode({**call.query, 'page': number})}"


def _positive(text: str | None, otherwise: int) -> int:
    number = int(text) if text is not None and text.isdecimal() else 0
    return number or otherwise


def _camel(text: str) -> str:
    return text.replace("-", " ").title().replace(" ", "")


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return "nil" if value is None else str(value)
