"""What goes wrong with Octue's SDK on Cloud Run and can be seen in the repository before anything is changed.

The catalogue first, to be read through: each trap with what it looks for, what happens and why, what to paste instead,
and where that is from. Below it, what looks for each. Only repositories that install ``octue`` have such traps; another
container is its author's affair. Two services with one name, and sizes that Cloud Run refuses, are settings that do not
go together: ``settings`` and ``limits`` find these.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from octue_action import limits, versions
from octue_action.dockerfile import commands_of, only_installs
from octue_action.gunicorn import MODULE, Gunicorn, is_reached
from octue_action.problems import Given, Problem, shown
from octue_action.repository import Checkout, Repository
from octue_action.repository import installed as installed_by
from octue_action.requirements import Requirement
from octue_action.versions import Range, between

if TYPE_CHECKING:
    from octue_action.service_settings import ServiceSettings

Severity = Literal["error", "notice"]

Written = Callable[[str], Given | None]
"""Where a setting of a service is written, by the input's or the key's name; None where it is not."""

PIN = "0.39.0"
"""The newest SDK whose services have topics with UUIDs, which are those that the action makes."""


@dataclass(frozen=True, kw_only=True)
class Trap:
    """One thing that goes wrong; ``{names}`` in braces are places, filled from what is found.

    :param looks_for: as a phrase.
    :param severity: ``error`` where it certainly fails: nothing is to be changed then, unless ``sdk_policy`` says so.
    :param says: what is there, what happens, and why.
    :param remedy: what to paste.
    :param source: where this is from.
    """

    looks_for: str
    severity: Severity
    says: str
    remedy: str
    source: str


@dataclass(frozen=True)
class Found:
    """A trap in a repository, in words and at its place.

    :param is_certain: whether nothing else in the repository may see to it that all works after all.
    """

    trap: Trap
    problem: Problem
    is_certain: bool = True

    @property
    def severity(self) -> Severity:
        """That of the trap; where something is not certain, nothing is refused for it."""
        return self.trap.severity if self.is_certain else "notice"


_TRIED = "tried: Octue's Flask app of these versions, with Octue's `Child` and Google's Pub/Sub emulator"
_STARTS = (
    "CMD exec gunicorn --bind :$PORT --workers $GUNICORN_WORKERS --threads $GUNICORN_THREADS --timeout 0 {module}:app"
)
_VARIABLES = "ENV GUNICORN_WORKERS=1 GUNICORN_THREADS=8\n"
_NESTED = f"{MODULE}.flask_app"

# The SDK, by its version

NO_FLASK_APP = Trap(
    looks_for="octue 0.62.0 or later",
    severity="error",
    says="{said} is a version of Octue's SDK that does not run on Cloud Run: from 0.62.0 on its services run on "
    "Kubernetes with Kueue, and the Flask app that Cloud Run would start is gone.",
    remedy="{pin}",
    source="octue on PyPI: 0.61.2 has octue/cloud/deployment/google/cloud_run, 0.62.0 has not",
)
UNBUILDABLE = Trap(
    looks_for="octue 0.8.0 to 0.9.9",
    severity="error",
    says="{said} is a version of Octue's SDK that can no longer be installed: 0.8.0 to 0.9.9 need apache-beam, "
    "which does not build any more, so that the image is never made.",
    remedy="{pin}",
    source="tried: pip install of these versions with Python 3.11",
)
ENDLESS = Trap(
    looks_for="octue 0.5.0 to 0.6.10",
    severity="error",
    says="{said} is a version of Octue's SDK that answers no question on Cloud Run: 0.5.0 to 0.6.10 end in an "
    "error 500 (KeyError: 'deliveryAttempt'), and Pub/Sub delivers the question again, without end.",
    remedy="{pin}",
    source=_TRIED,
)
NAMED_TOPICS = Trap(
    looks_for="octue 0.40.0 to 0.52.2",
    severity="notice",
    says="{said} is a version of Octue's SDK that asks on topics named after namespace, name and revision tag. The "
    "action makes a topic with a UUID, as versions to 0.39.0 ask on: the service is deployed, and questions "
    "of its own version do not reach it.",
    remedy="{pin}",
    source=_TRIED,
)
SHARED_TOPIC = Trap(
    looks_for="octue 0.53.0 to 0.61.2",
    severity="notice",
    says="{said} is a version of Octue's SDK that asks on one topic for all services, `octue.services`, from which "
    "a push subscription of the service's name carries questions. The action makes an Eventarc trigger on a "
    "topic with a UUID, as versions to 0.39.0 ask on: the service is deployed, and questions of its own "
    "version do not reach it.",
    remedy="{pin}",
    source=_TRIED,
)
NO_VERSION = Trap(
    looks_for="octue without a version",
    severity="notice",
    says="{said} has no version: each build installs the newest of Octue's SDK, and from 0.62.0 on that does not "
    "run on Cloud Run.",
    remedy="{pin}",
    source="octue on PyPI: 0.61.2 has octue/cloud/deployment/google/cloud_run, 0.62.0 has not",
)
OPEN_RANGE = Trap(
    looks_for="a range of versions of octue whose newest is one of those that do not run",
    severity="notice",
    says="{said} allows versions of Octue's SDK that run on Cloud Run and such that do not: pip installs the "
    "newest, which is one of the latter.",
    remedy="{pin}",
    source="packaging.python.org/en/latest/specifications/version-specifiers",
)

# What the SDK needs beside it

WERKZEUG_3 = Trap(
    looks_for="octue 0.16.0 to 0.39.0 beside werkzeug 3",
    severity="error",
    says="{said} does not go with octue 0.16.0 to 0.39.0: their Flask 2.0.3 cannot be imported with Werkzeug 3, so "
    "that the container does not start.",
    remedy="{line}",
    source="octue on PyPI: Requires-Dist: Flask (==2.0.3); tried",
)
NO_WERKZEUG = Trap(
    looks_for="octue 0.16.0 to 0.39.0 with no version of werkzeug before 3",
    severity="notice",
    says="{said} brings Flask 2.0.3, which pip installs with the newest Werkzeug unless told otherwise, and which "
    "cannot be imported with Werkzeug 3: the container does not start, then.",
    remedy="{line}",
    source="octue on PyPI: Requires-Dist: Flask (==2.0.3); tried",
)
SETUPTOOLS_81 = Trap(
    looks_for="octue 0.16.0 to 0.46.3 beside setuptools 81 or later",
    severity="notice",
    says="{said} does not go with octue 0.16.0 to 0.46.3: their gunicorn 20 needs pkg_resources, which setuptools "
    "is giving up.",
    remedy="{line}",
    source="octue on PyPI: Requires-Dist: gunicorn (>=20.1,<21.0); tried",
)
NO_TWINED = Trap(
    looks_for="octue 0.3.6 to 0.4.11 without twined 0.0.20",
    severity="notice",
    says="{said} takes any later twined, and works with 0.0.20 only.",
    remedy="{line}",
    source="octue on PyPI: Requires-Dist: twined (>=0.0.20); tried",
)
PYTHON_312 = Trap(
    looks_for="octue 0.16.0 to 0.46.3 on an image of Python 3.12 or later",
    severity="error",
    says="{image} has Python 3.12 or later, on which octue 0.16.0 to 0.46.3 does not start; {requirement} is one "
    "of these.",
    remedy="FROM python:3.11-slim",
    source="tried: these versions with Python 3.11 and 3.12",
)

# What the SDK reads

NO_TWINE = Trap(
    looks_for="a repository without the twine",
    severity="error",
    says="There is no {path} in the repository: Octue's SDK reads the twine at every question, and answers each "
    "with an error without it. Add it with what is below, which allows anything: what goes in and comes out is yours "
    "to say.",
    remedy='{{\n  "input_values_schema": {{"type": "object"}},\n  "output_values_schema": {{"type": "object"}}\n}}',
    source="octue's runner.py and configuration.py: twine_path, by default twine.json",
)
NO_OCTUE_YAML = Trap(
    looks_for="octue 0.15.0 or later without an octue.yaml",
    severity="error",
    says="There is no octue.yaml in the repository: from 0.15.0 on Octue's SDK reads one of that name in the "
    "container, at every question, and answers none without it.",
    remedy="services:\n  - name: {name}",
    source="octue's answer_pub_sub_question.py: DEFAULT_SERVICE_CONFIGURATION_PATH",
)
FLAT_OCTUE_YAML = Trap(
    looks_for="octue 0.10.0 or later with an octue.yaml of the form before",
    severity="error",
    says="{path} has the keys of one service at its top: from 0.10.0 on Octue's SDK looks for a list under "
    "`services`, and answers no question without it.",
    remedy="services:\n  - name: {name}",
    source='octue\'s configuration.py: raw_service_configuration["services"][0]',
)
NOT_COPIED = Trap(
    looks_for="a Dockerfile that copies neither the folder of the twine or octue.yaml nor the file",
    severity="notice",
    says="The Dockerfile copies no {path} into the image, and Octue's SDK reads it there at every question.",
    remedy="COPY {path} .",
    source="octue's runner.py and answer_pub_sub_question.py",
)

# How the container starts

NO_START = Trap(
    looks_for="a container that does not start Octue's Flask app",
    severity="notice",
    says="{start} does not start Octue's Flask app, as far as can be seen: Pub/Sub delivers questions to it by HTTP.",
    remedy=_VARIABLES + _STARTS,
    source="octue's cloud_run/Dockerfile",
)
OTHER_MODULE = Trap(
    looks_for="the Flask app's module of another version of octue",
    severity="notice",
    says="The container starts `{started}:app`, and this version of Octue's SDK has its Flask app elsewhere: it is in "
    f"`{MODULE}` to 0.7.0, and in `{_NESTED}` from 0.8.0 on.",
    remedy=_VARIABLES + _STARTS,
    source="octue on PyPI: the files of 0.7.0 and 0.8.0",
)
VARIABLES_IN_EXEC_FORM = Trap(
    looks_for="variables in the exec form of CMD",
    severity="notice",
    says="Here `{word}` reaches gunicorn as it is written: the exec form, in brackets, has no shell that would put "
    "in the values of variables, so that the container does not start.",
    remedy=_VARIABLES + _STARTS,
    source="docs.docker.com/reference/dockerfile/#shell-and-exec-form",
)
OTHER_PORT = Trap(
    looks_for="gunicorn on another port than Cloud Run's, or on one address of the container's own",
    severity="notice",
    says="`--bind {bind}` is not where Cloud Run asks: it wants the container to listen on all addresses, on the "
    "port in PORT, and takes one that does not for one that has not started.",
    remedy=_VARIABLES + _STARTS,
    source="cloud.google.com/run/docs/container-contract#port",
)
WORKER_TIMEOUT = Trap(
    looks_for="gunicorn's sync workers with a timeout other than 0 and shorter than the request's",
    severity="notice",
    says="gunicorn ends a worker that works on one question for {seconds} s, {why}; Cloud Run would give it "
    "{timeout} s. Pub/Sub then delivers the question again, and the analysis begins anew.",
    remedy=_VARIABLES + _STARTS,
    source="docs.gunicorn.org/en/stable/settings.html#timeout",
)

# The service's settings

LITTLE_MEMORY = Trap(
    looks_for="less memory than the second generation of Cloud Run needs, and no generation chosen",
    severity="notice",
    says="The service has {memory} of memory{default}. Octue's default generation, gen2, needs 512Mi, so Cloud Run "
    "chooses one; and Octue's SDK alone takes some 85 MiB.",
    remedy="memory: 512Mi",
    source="cloud.google.com/run/docs/about-execution-environments; measured with octue 0.39.0",
)
SHORT_TIMEOUT = Trap(
    looks_for="a request timeout under the 600 s that Pub/Sub waits",
    severity="notice",
    says="Cloud Run ends an analysis after {timeout} s, and Pub/Sub then delivers the question again: one that "
    "takes longer begins again and again, and never ends.",
    remedy="timeout: 600",
    source="cloud.google.com/pubsub/docs/push; octue-sdk-python#223 and #446",
)
LONG_TIMEOUT = Trap(
    looks_for="a request timeout, asked for, over the 600 s that Pub/Sub waits",
    severity="notice",
    says="An analysis may take {timeout} s, but Pub/Sub waits at most 600 s for its end: one that takes longer may "
    "be started a second time beside the first.",
    remedy="Split the analysis, so that each question is answered within 600 s.",
    source="cloud.google.com/pubsub/docs/lease-management; tried: 25 s of analysis, 10 s to acknowledge, 5 times run",
)

CATALOGUE: tuple[Trap, ...] = (
    NO_FLASK_APP,
    UNBUILDABLE,
    ENDLESS,
    NAMED_TOPICS,
    SHARED_TOPIC,
    NO_VERSION,
    OPEN_RANGE,
    WERKZEUG_3,
    NO_WERKZEUG,
    SETUPTOOLS_81,
    NO_TWINED,
    PYTHON_312,
    NO_TWINE,
    NO_OCTUE_YAML,
    FLAT_OCTUE_YAML,
    NOT_COPIED,
    NO_START,
    OTHER_MODULE,
    VARIABLES_IN_EXEC_FORM,
    OTHER_PORT,
    WORKER_TIMEOUT,
    LITTLE_MEMORY,
    SHORT_TIMEOUT,
    LONG_TIMEOUT,
)

_BY_VERSION: tuple[tuple[Range, Trap], ...] = (
    (between((0, 62, 0), None), NO_FLASK_APP),
    (between((0, 8, 0), (0, 10, 0)), UNBUILDABLE),
    (between((0, 5, 0), (0, 6, 11)), ENDLESS),
    (between((0, 40, 0), (0, 53, 0)), NAMED_TOPICS),
    (between((0, 53, 0), (0, 62, 0)), SHARED_TOPIC),
)
_NOT_RUNNING = between((0, 62, 0), None) | between((0, 8, 0), (0, 10, 0)) | between((0, 5, 0), (0, 6, 11))
_FLASK_20 = between((0, 16, 0), (0, 40, 0))
_GUNICORN_20 = between((0, 16, 0), (0, 47, 0))
_OF_SERVER = {"flask": between((2, 0, 3), (2, 0, 4)), "gunicorn": between((20, 1, 0), (21, 0, 0))}
"""What octue 0.16.0 to 0.39.0 itself asks for (octue on PyPI: Requires-Dist)."""
_ANY_TWINED = between((0, 3, 6), (0, 5, 0))
_OCTUE_YAML = between((0, 15, 0), None)
_LISTED_SERVICES = between((0, 10, 0), None)
_FLAT_MODULE, _NESTED_MODULE = between((0, 0, 0), (0, 8, 0)), between((0, 8, 0), None)

_ACKNOWLEDGED = 600  # seconds: the longest that Pub/Sub waits


def found(root: Path, config: str | None, services: Iterable[tuple[ServiceSettings, Written]]) -> Iterator[Found]:
    """The traps that services would be deployed into: what several of them share is read once, and told once.

    :param root: the repository as it is checked out; nobody vouches for what is in it.
    :param config: the path of octue.yaml; None where there is none.
    :param services: what is to be deployed; those from a ready image have none of these traps.
    """
    checkout = Checkout(root, config)

    @functools.cache
    def image(dockerfile: str) -> _Image:
        return _Image(Repository(checkout, dockerfile))

    every = (_of_service(image(it.dockerfile), it, written) for it, written in services if it.image is None)
    return iter(dict.fromkeys(itertools.chain.from_iterable(every)))


def _of_service(image: _Image, service: ServiceSettings, written: Written) -> list[Found]:
    if image.sdk is None:
        return []
    look = _Look(image, image.sdk, service, written)
    return [
        *_certain(look.at_version(), image.starts_octue),
        *_certain(look.at_companions(), image.obeys_pip),
        *_certain(look.at_python(), image.obeys_pip and not image.dockerfile.has_other_pythons),
        *_certain(look.at_what_it_reads(), image.has_all_files),
        *look.at_the_start(),
        *look.at_settings(),
    ]


def _certain(found: Iterable[Found], is_certain: bool) -> Iterator[Found]:
    return (replace(it, is_certain=it.is_certain and is_certain) for it in found)


def _decisive(of_octue: Iterable[Requirement]) -> Requirement | None:
    """Of all that is said about the SDK, what says most; of several that say as much, the one that is least trouble.

    pip sees to it that all of it holds. Of conditions, as those behind a ``;``, it is not known which hold.
    """

    def trouble(it: Requirement) -> tuple[int, int]:
        vagueness = 1 if it.allowed is not None and not it.allowed.is_one else 0
        trap = _of_version(it.allowed)
        weight = 0 if trap is None else 1 if trap.severity == "notice" else 2
        return (2 if it.allowed == versions.EVERY else vagueness, weight)

    return min(of_octue, key=trouble, default=None)


def _of_version(allowed: Range | None) -> Trap | None:
    """What is wrong with these versions of the SDK."""
    if allowed is None:
        return None
    if allowed == versions.EVERY:
        return NO_VERSION
    newest = next((trap for those, trap in _BY_VERSION if those.has_newest_of(allowed)), None)
    if newest is None or newest.severity == "notice" or allowed.is_within(_NOT_RUNNING):
        return newest
    return OPEN_RANGE


_ADD = {"poetry.lock": "poetry add", "uv.lock": "uv add", "pdm.lock": "pdm add", "Pipfile.lock": "pipenv install"}
"""The commands that write a version into what a lock is made of."""


def _pinned(requirement: Requirement, *pins: str) -> str:
    """What to paste for these versions, in the way of the file where something is said about versions.

    :param pins: ``octue==0.39.0``.
    """
    path = PurePosixPath(requirement.file)
    if path.suffix in {".txt", ".in", ".cfg"}:
        return "\n".join(pins)
    if path.name in {"pyproject.toml", "setup.py"} and not requirement.is_poetrys:
        return "\n".join(f'"{pin}",' for pin in pins)
    command = "poetry add" if requirement.is_poetrys else _ADD.get(path.name, "pip install")
    return " ".join([command, *(f'"{pin}"' for pin in pins)])


class _Image:
    """What a Dockerfile makes, as far as it can be seen: the same for all the services that run it.

    :param repository: the Dockerfile's.
    """

    def __init__(self, repository: Repository) -> None:
        self.repository, self.dockerfile = repository, repository.dockerfile

    @cached_property
    def installed(self) -> list[Requirement]:
        """All that is said about packages."""
        return list(installed_by(self.repository))

    @cached_property
    def sdk(self) -> Requirement | None:
        """What says most about the SDK's version; None where that is not installed."""
        return _decisive([it for it in self.installed if it.package == "octue"])

    @cached_property
    def obeys_pip(self) -> bool:
        """Whether what does not go together is not installed, or the container does not start."""
        return self.starts_octue and not self._overrules_pip

    @property
    def _overrules_pip(self) -> bool:
        """Whether something installs what does not go together: another server than the SDK's, which may run all."""
        others = ((it, _OF_SERVER[it.package]) for it in self.installed if it.package in _OF_SERVER)
        is_another = any(it.allowed is not None and not it.allowed & wanted for it, wanted in others)
        return is_another or self.dockerfile.overrules_pip

    @cached_property
    def started(self) -> tuple[str, bool]:
        """What the container starts, with its scripts, and whether all of them could be read."""
        start = self.dockerfile.start
        return self.repository.with_scripts(start) if start is not None else ("", True)

    @cached_property
    def gunicorn(self) -> Gunicorn | None:
        """How gunicorn is started; None where it is not, or where something else tells it more."""
        gunicorn = Gunicorn.in_text(self.started[0])
        return gunicorn if gunicorn and not self.repository.configures_gunicorn(gunicorn) else None

    @cached_property
    def starts_octue(self) -> bool:
        """Whether the container starts Octue's Flask app; another program may do without what that needs.

        A base image that is not known may start anything, too.
        """
        if self.dockerfile.start is None:
            return self.dockerfile.python is not None
        return MODULE in self.started[0]

    @cached_property
    def has_all_files(self) -> bool:
        """Whether all the container's files are from the repository, by the time that Octue's Flask app reads them."""
        return self._starts_octue_alone and not self.dockerfile.has_other_sources

    @property
    def _starts_octue_alone(self) -> bool:
        """Whether the container starts Octue's Flask app, and no other program before, which might make files."""
        start = self.dockerfile.start
        if start is None or not self.starts_octue:
            return self.starts_octue
        said = start.text if MODULE in start.text else self.started[0].partition("\n")[2]
        server = re.compile(rf"\bgunicorn\b|{re.escape(MODULE)}")
        return all(only_installs(words) or server.search(" ".join(words)) for words in commands_of(said))


class _Look:
    """Looks for each trap of a service, once it is known that its image installs Octue's SDK.

    :param sdk: what says most about its version.
    """

    def __init__(self, image: _Image, sdk: Requirement, service: ServiceSettings, written: Written) -> None:
        self._image, self._sdk, self._service, self._written = image, sdk, service, written
        self._repository = image.repository

    def _is(self, those: Range) -> bool:
        """Whether the SDK is certainly one of those versions."""
        return self._sdk.allowed is not None and self._sdk.allowed.is_within(those)

    def at_version(self) -> Iterator[Found]:
        """What is wrong with the version of the SDK."""
        sdk = self._sdk
        if trap := _of_version(sdk.allowed):
            yield _at_requirement(trap, sdk, pin=_pinned(sdk, f"octue=={PIN}", "setuptools<81", "werkzeug<3"))

    def at_companions(self) -> Iterator[Found]:
        """What is wrong with what the SDK needs beside it."""
        if self._is(_FLASK_20):
            yield from self._companion("werkzeug", between((0, 0, 0), (3, 0, 0)), "werkzeug<3", WERKZEUG_3, NO_WERKZEUG)
        if self._is(_GUNICORN_20):
            yield from self._companion("setuptools", between((0, 0, 0), (81, 0, 0)), "setuptools<81", SETUPTOOLS_81)
        if self._is(_ANY_TWINED):
            yield from self._companion(
                "twined", between((0, 0, 20), (0, 0, 21)), "twined==0.0.20", NO_TWINED, NO_TWINED
            )

    def at_python(self) -> Iterator[Found]:
        """What is wrong with the version of Python."""
        file, sdk = self._repository.dockerfile, self._sdk
        if self._is(_GUNICORN_20) and file.base and (file.python or (0, 0)) >= (3, 12):
            image = f"The image {shown(file.base.image)}"
            place = Given(name="Python", text="", file=self._repository.dockerfile_path, line=file.base.line)
            yield _at(PYTHON_312, place, image=image, requirement=shown(sdk.text))

    def _companion(
        self, package: str, good: Range, pin: str, wrong: Trap, missing: Trap | None = None
    ) -> Iterator[Found]:
        """What is wrong with a package that the SDK needs in certain versions."""
        said = [it for it in self._image.installed if it.package == package]
        if any(it.allowed is None or good.has_newest_of(it.allowed) for it in said):
            return
        bad = next((it for it in said if it.allowed is not None and not it.allowed & good), None)
        if bad is not None:
            yield _at_requirement(wrong, bad, line=_pinned(bad, pin))
        elif missing is not None and not self._sdk.is_locked:
            yield _at_requirement(missing, self._sdk, line=_pinned(self._sdk, pin))

    def at_what_it_reads(self) -> Iterator[Found]:
        """Files that the SDK reads in the container, and that are not there."""
        repository, name = self._repository, self._service.name
        checkout = repository.checkout
        given = self._written("twine_path")
        twine = given.text if given else "twine.json"
        if not repository.has(twine):
            place = given or self._sdk_place("twine.json")
            yield self._missing(_at(NO_TWINE, place, path=shown(twine)[1:-1]), twine)
        elif repository.leaves_out(twine):
            yield _at(NOT_COPIED, self._last_copy("twine.json"), path=shown(twine)[1:-1])
        if self._is(_OCTUE_YAML) and not repository.has("octue.yaml"):
            yield self._missing(_at(NO_OCTUE_YAML, self._sdk_place("octue.yaml"), name=name), "octue.yaml")
        elif self._is(_OCTUE_YAML) and repository.leaves_out("octue.yaml"):
            yield _at(NOT_COPIED, self._last_copy("octue.yaml"), path="octue.yaml")
        if self._is(_LISTED_SERVICES) and checkout.config and (line := checkout.flat_configuration):
            place = Given(name="services", text="", file=checkout.config, line=line)
            yield _at(FLAT_OCTUE_YAML, place, path=shown(checkout.config)[1:-1], name=name)

    def _missing(self, found: Found, path: str) -> Found:
        """What is told of a missing file, which is not certain where one of its name is somewhere else."""
        return replace(found, is_certain=not self._repository.checkout.has_anywhere(path))

    def _sdk_place(self, title: str) -> Given:
        return Given(name=title, text="", file=self._sdk.file, line=self._sdk.line)

    def _last_copy(self, title: str) -> Given:
        """Where the Dockerfile copies something for the last time."""
        lines = [it.line for it in self._repository.dockerfile.all("COPY", "ADD")]
        return self._dockerfile_place(title, max(lines, default=1))

    def _dockerfile_place(self, title: str, line: int) -> Given:
        return Given(name=title, text="", file=self._repository.dockerfile_path, line=line)

    def at_the_start(self) -> Iterator[Found]:
        """What is wrong with how the container starts, as far as the repository says how."""
        file = self._repository.dockerfile
        start, module = file.start, MODULE if self._is(_FLAT_MODULE) else _NESTED
        if start is None:
            if file.python is not None and file.base is not None:
                place = self._dockerfile_place("CMD", file.base.line)
                yield _at(NO_START, place, start="The Dockerfile without CMD or ENTRYPOINT", module=module)
            return
        place = self._dockerfile_place("CMD", start.line)
        text, is_whole = self._image.started
        named = re.search(rf"{re.escape(MODULE)}(\.flask_app)?(?![\w.])", text)
        if named is None:
            if is_whole:
                yield _at(NO_START, place, start=f"Here {shown(start.text)}", module=module)
            return
        if self._is(_FLAT_MODULE if named[1] else _NESTED_MODULE):
            yield _at(OTHER_MODULE, place, started=named[0], module=module)
        variable = next((word for word in start.words if "$" in word), None)
        if start.is_exec and variable is not None:
            yield _at(VARIABLES_IN_EXEC_FORM, place, word=shown(variable)[1:-1], module=module)
        if gunicorn := self._image.gunicorn:
            yield from self._at_gunicorn(gunicorn, place, module)

    def _at_gunicorn(self, gunicorn: Gunicorn, place: Given, module: str) -> Iterator[Found]:
        if gunicorn.binds and not any(is_reached(bind) for bind in gunicorn.binds):
            yield _at(OTHER_PORT, place, bind=shown(gunicorn.binds[0])[1:-1], module=module)
        seconds = gunicorn.timeout
        if gunicorn.is_sync and seconds is not None and 0 < seconds < self._service.timeout:
            why = "as it is told here" if gunicorn.says_timeout else "its default"
            timeout = self._service.timeout
            yield _at(WORKER_TIMEOUT, place, seconds=str(seconds), why=why, timeout=str(timeout), module=module)

    def at_settings(self) -> Iterator[Found]:
        """Settings that are fine for Cloud Run, and not for an Octue service."""
        service = self._service
        if service.execution_environment is None and not limits.is_enough_for_gen2(service.memory):
            given = self._written("memory")
            place = given or self._written("service_name") or Given(name="memory", text="")
            yield _at(
                LITTLE_MEMORY, place, title="memory", memory=service.memory, default="" if given else ", by default"
            )
        if given := self._written("timeout"):
            if service.timeout < _ACKNOWLEDGED:
                yield _at(SHORT_TIMEOUT, given, timeout=str(service.timeout))
            elif service.timeout > _ACKNOWLEDGED:
                yield _at(LONG_TIMEOUT, given, timeout=str(service.timeout))


def _at(trap: Trap, place: Given, *, title: str = "", **places: str) -> Found:
    problem = Problem(
        message=trap.says.format(**places),
        remedy=trap.remedy.format(**places),
        file=place.file,
        line=place.line,
        column=place.column,
        title=title or place.name,
    )
    return Found(trap, problem)


def _at_requirement(trap: Trap, requirement: Requirement, **places: str) -> Found:
    place = Given(name=requirement.package, text="", file=requirement.file, line=requirement.line)
    return _at(trap, place, said=f"{shown(requirement.text)}", **places)
