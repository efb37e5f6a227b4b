"""From inputs, octue.yaml and GitHub's variables to what is to be deployed, with every problem reported at once."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from octue_action import configuration, github_context, inputs, names, values, workspace
from octue_action.configuration import Configuration, ServiceConfiguration
from octue_action.document import MAXIMUM_BYTES
from octue_action.github_context import GitHubContext
from octue_action.image_groups import image_groups, inputs_unknown_to_others
from octue_action.inputs import INPUTS, Input
from octue_action.keys import KEYS
from octue_action.problems import (
    MAXIMUM_PROBLEMS,
    Findings,
    Given,
    InvalidSettings,
    Problem,
    Rejected,
    listed,
    perhaps,
    rejection,
    shown,
)
from octue_action.pruned_imports import CREDENTIALS_VARIABLES
from octue_action.service_settings import ServiceReader, ServiceSettings
from octue_action.values import Mode, RegionPolicy, SecretReference

if TYPE_CHECKING:
    from octue_action.traps import Found

__all__ = [
    "INPUTS",
    "GitHubContext",
    "Input",
    "InvalidSettings",
    "Problem",
    "SecretReference",
    "ServiceSettings",
    "Settings",
    "load",
]

EMULATOR_VARIABLE = "GOOGLE_CLOUD_EMULATOR_HOST"

_OF_ONE_SERVICE = ("service_id", "image", "revision", "question")
_OF_MODES = {
    "revision": ("rollback",),
    "confirm": ("destroy",),
    "delete_topic": ("destroy",),
    "question": ("deploy", "rollback"),
    "rollback_on_failure": ("deploy",),
}
"""Inputs that have an effect in some modes only."""
_BUILDING = ("deploy", "plan")
"""Modes about what the repository builds now, of which Octue's traps are told."""
_SIGN_IN = (
    "input `workload_identity_provider: "
    "projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`, "
    "or a step with google-github-actions/auth before this one"
)
_NAMED = "names of services, with commas or lines between them; for all of them, leave the input out"
_KNOWN_BETTER = "(With `sdk_policy: any` this is a notice.)"
_NO_FILE = "octue.yaml with the service's name in it, or input `service_name` for a repository without octue.yaml"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that a run needs to know; nothing else is read from the environment later.

    :param workload_identity_provider: full resource name; ``None`` where a credentials file is used
    :param deployer_service_account: e-mail of the account to impersonate
    :param credentials_file: made by google-github-actions/auth; ``None`` where a provider is given
    :param caller_of_file: who that signs in, as IAM has it; empty where it does not say
    :param config: path of octue.yaml from the root of the repository; ``None`` where there is none
    :param services: those to act on, in the order of octue.yaml
    :param namesakes: all the services of octue.yaml after which images are called, by their Cloud Run names
    :param emulator: ``127.0.0.1:PORT`` in place of Google Cloud
    :param question: input values to ask the service with; ``None`` for no question
    :param question_timeout: seconds that the answer may take
    :param notices: what was read and has no effect, and what is good to know about regions and the SDK, for the log
    :param sdk_notices: those about the SDK
    """

    mode: Mode
    project_id: str
    workload_identity_provider: str | None
    deployer_service_account: str | None
    credentials_file: Path | None
    caller_of_file: str = ""
    octue_role: str
    adopt: bool
    config: str | None
    services: tuple[ServiceSettings, ...]
    namesakes: frozenset[str] = frozenset()
    github: GitHubContext
    emulator: str | None
    preview: str | None
    revision: str | None
    rollback_on_failure: bool
    confirm: str | None
    delete_topic: bool
    region_policy: RegionPolicy
    timeout_minutes: int
    github_token: str | None = field(repr=False)
    question: object | None
    question_timeout: int
    notices: tuple[Problem, ...] = ()
    sdk_notices: tuple[Problem, ...] = ()

    @property
    def caller(self) -> str:
        """Who deploys, as IAM has it: an account, or else the repository itself; empty where it is not known."""
        if self.deployer_service_account:
            return f"serviceAccount:{self.deployer_service_account}"
        if self.workload_identity_provider:
            return self.repository_principal
        return self.caller_of_file

    @property
    def repository_principal(self) -> str:
        """The repository, by its number, as IAM has it: what signs in where no account is impersonated."""
        return _principal(str(self.workload_identity_provider), self.github.repository_id)


def _principal(provider: str, repository_id: str) -> str:
    pool = provider.rpartition("/providers/")[0]
    return f"principalSet://iam.googleapis.com/{pool}/attribute.repository_id/{repository_id}"


def load(environment: Mapping[str, str], check: Callable[[], None] = lambda: None) -> Settings:
    """Read the settings of this run.

    :param environment: the process's; only inputs, GitHub's variables, those of a credentials file and the
        emulator's are read from it
    :param check: is called before each service is read, and may end that
    :raises InvalidSettings: with all problems, in the order of files and lines
    """
    findings = Findings()
    given = inputs.read(environment, findings)
    github = github_context.read(environment, findings)
    path, configured = _configuration(given, github, findings)
    chosen = _choose(given, configured, findings)
    _refuse_shared(given, chosen, findings)
    readers = [ServiceReader(given, it, github, findings) for it in chosen]
    findings.add(*inputs_unknown_to_others(configured.services if configured else (), chosen, given))
    groups = image_groups(configured.services if configured else (), chosen, given, github)
    services = tuple(groups.joined(it.read()) for it in _checked(readers, check))
    findings.add(*_collisions(services, readers))
    mode: Mode = findings.take(values.one_of(values.MODES), given.get("mode"), "deploy")
    if mode == "destroy":
        findings.add(*_unconfirmed(given.get("confirm"), services))
    sdk_policy = findings.take(values.one_of(values.SDK_POLICIES), given.get("sdk_policy"), "checked")
    found = list(_traps(services, _checked(readers, check), github.workspace, path)) if mode in _BUILDING else []
    sdk_notices = tuple(it.problem for it in found if it.severity == "notice" or sdk_policy == "any")
    refused = [it.problem for it in found if it.severity == "error" and sdk_policy == "checked"]
    findings.add(*(replace(it, message=f"{it.message} {_KNOWN_BETTER}") for it in refused))
    project_id = _project_id(readers, findings)
    credentials_file = _credentials_file(environment, given, findings)
    settings = Settings(
        mode=mode,
        project_id=project_id,
        workload_identity_provider=findings.take(
            values.identity_provider, given.get("workload_identity_provider"), None
        ),
        deployer_service_account=findings.take(values.service_account, given.get("deployer_service_account"), None),
        credentials_file=credentials_file,
        caller_of_file=_caller_of(credentials_file, github.repository_id) if credentials_file else "",
        octue_role=findings.take(values.role, given.get("octue_role"), names.octue_role(project_id)),
        adopt=findings.take(values.boolean, given.get("adopt"), False),
        config=path,
        services=services,
        namesakes=groups.namesakes,
        github=github,
        emulator=_emulator(environment, findings),
        preview=findings.take(values.name, given.get("preview"), None),
        revision=findings.take(values.revision, given.get("revision"), None),
        rollback_on_failure=findings.take(values.boolean, given.get("rollback_on_failure"), False),
        confirm=findings.take(str, given.get("confirm"), None),
        delete_topic=findings.take(values.boolean, given.get("delete_topic"), False),
        region_policy=findings.take(values.one_of(values.REGION_POLICIES), given.get("region_policy"), "any"),
        timeout_minutes=findings.take(values.whole_number(1, 350, "minutes"), given.get("timeout_minutes"), 60),
        github_token=findings.take(str, given.get("github_token"), None),
        question=findings.take(values.question, given.get("question"), None),
        question_timeout=findings.take(values.whole_number(1, 3600, "seconds"), given.get("question_timeout"), 600),
        notices=(
            *_without_effect(given, mode),
            *(notice for it in readers for notice in it.notices()),
            *_about_regions(services, readers),
            *sdk_notices,
        ),
        sdk_notices=sdk_notices,
    )
    findings.raise_if_any()
    return settings


def _configuration(
    given: Mapping[str, Given], github: GitHubContext, findings: Findings
) -> tuple[str | None, Configuration | None]:
    """octue.yaml and its path; none where there is no such file and the inputs are to do instead."""
    config = given.get("config") or Given(name="config", text=INPUTS["config"].default)
    try:
        path = workspace.existing_file(github.workspace, config.text, "octue.yaml")
        content = workspace.read(github.workspace, path, MAXIMUM_BYTES)
    except workspace.Missing as missing:
        if config.text != INPUTS["config"].default:
            findings.add(rejection(config, missing))
        elif "service_name" in given:
            return None, None
        else:
            findings.add(config.problem(f"There is no octue.yaml in the repository.{missing.hint}", _NO_FILE))
    except Rejected as rejected:
        findings.add(rejection(config, rejected))
    else:
        found = configuration.read(content, path)
        findings.add(*found.problems)
        return path, found
    return None, Configuration(is_whole=False)


def _choose(
    given: Mapping[str, Given], configured: Configuration | None, findings: Findings
) -> Sequence[ServiceConfiguration]:
    """The services to act on: those that the inputs name, or all.

    Where none can be made out there is one that says nothing, so that the inputs are still looked at.
    """
    if configured is None:
        alone = given["service_name"].text
        findings.add(*_unknown(given.get("services"), [alone]))
        return [ServiceConfiguration(settings={})]
    by_name = [(it.settings["name"].text if "name" in it.settings else "", it) for it in configured.services]
    known = [name for name, _ in by_name if name]
    wanted = values.name_list(given["services"].text) if "services" in given else ()
    meant = {word: _meant(word, configured.services, given.get("service_namespace")) for word in wanted}
    if "services" in given and not wanted:
        findings.add(given["services"].problem(f"{given['services'].subject} names none.", _NAMED))
    if configured.is_whole:
        findings.add(*_unknown(given.get("services"), [*known, *(word for word in wanted if meant[word])], known))
    if not wanted and len(by_name) > 1 and "service_name" in given:
        findings.add(*_unknown(given["service_name"], known))
        meant = {given["service_name"].text: [it for name, it in by_name if name == given["service_name"].text]}
    findings.add(*_ambiguous(given.get("services") or given.get("service_name"), meant, given.get("service_namespace")))
    chosen = [it for _, it in by_name if not meant or any(it is other for them in meant.values() for other in them)]
    return chosen or [ServiceConfiguration(settings={}, written_wrongly=frozenset(KEYS))]


def _meant(
    word: str, services: Sequence[ServiceConfiguration], given_namespace: Given | None
) -> Sequence[ServiceConfiguration]:
    """The services that a word in the input `services` means.

    Those that are called so in octue.yaml, or else those that are with their namespace, or in Cloud Run.
    """
    exact, others = [], []
    for service in services:
        if "name" not in service.settings:
            continue
        prefix, name = _names_of(service, given_namespace)
        if word == service.settings["name"].text:
            exact.append(service)
        elif word in {name, f"{prefix}/{name}", names.service(prefix, name)}:
            others.append(service)
    return exact or others


def _unknown(given: Given | None, known: Sequence[str], shown_as: Sequence[str] = ()) -> Iterator[Problem]:
    """Names in an input that no service has.

    :param shown_as: those that are said to be known; all of them unless given
    """
    unknown = [name for name in values.name_list(given.text) if name not in known] if given else []
    for name in unknown[:MAXIMUM_PROBLEMS]:
        if given:
            message = f"{given.subject}: there is no service {shown(name)}.{perhaps(name, shown_as or known)}"
            between = ", with commas or lines between several" if " " in name else ""
            yield given.problem(message, f"one of {listed(shown_as or known)}{between}")


def _names_of(service: ServiceConfiguration, given_namespace: Given | None) -> tuple[str, str]:
    """The namespace of a service, which may be none, and its name."""
    prefix, _, name = service.settings["name"].text.rpartition("/")
    namespace = given_namespace or service.settings.get("namespace")
    return namespace.text if namespace else prefix, name


def _ambiguous(
    given: Given | None, meant: Mapping[str, Sequence[ServiceConfiguration]], given_namespace: Given | None
) -> Iterator[Problem]:
    """Names in an input that several services have, each in a namespace of its own."""
    for word, services in meant.items():
        if given and len(services) > 1:
            ways = ["/".join(filter(None, _names_of(it, given_namespace))) for it in services]
            message = f"{given.subject}: there are {len(services)} services {shown(word)}."
            yield given.problem(message, f"input `services` with {listed(ways)}")


def _refuse_shared(given: Mapping[str, Given], chosen: Sequence[ServiceConfiguration], findings: Findings) -> None:
    """Refuse inputs that only one service can have where several are chosen."""
    if len(chosen) > 1:
        for name in _OF_ONE_SERVICE:
            if name in given:
                message = f"{given[name].subject} is for one service, but there are {len(chosen)}."
                findings.add(given[name].problem(message, "one service, chosen with input `services`"))


def _collisions(services: Sequence[ServiceSettings], readers: Sequence[ServiceReader]) -> Iterator[Problem]:
    """Services that would be one in Google Cloud."""
    first: dict[str, Given] = {}
    for service, reader in zip(services, readers, strict=True):
        given = reader.written("service_name")
        if not given or not service.service:
            continue
        earlier = first.setdefault(service.service, given)
        if earlier is not given:
            message = f"Two services would be called {shown(service.service)}: this one and {earlier.place}."
            yield given.problem(
                message,
                "a name or a namespace of its own for each; for a service in two regions, two files and two steps",
            )


def _about_regions(services: Sequence[ServiceSettings], readers: Sequence[ServiceReader]) -> Iterable[Problem]:
    """What is good to know about the services' regions, once, where the region first stands."""
    first: dict[str, Problem] = {}
    for service, reader in zip(services, readers, strict=True):
        for notice in reader.region_notices(service.region):
            first.setdefault(notice.message, notice)
    return first.values()


def _checked(readers: Iterable[ServiceReader], check: Callable[[], None]) -> Iterator[ServiceReader]:
    """The readers, with a check before each."""
    for reader in readers:
        check()
        yield reader


def _traps(
    services: Sequence[ServiceSettings], readers: Iterable[ServiceReader], root: Path, config: str | None
) -> Iterator[Found]:
    """What would go wrong with Octue's SDK in these services."""
    from octue_action import traps  # not every mode looks for them

    return traps.found(root, config, ((it, reader.written) for it, reader in zip(services, readers, strict=True)))


def _unconfirmed(confirm: Given | None, services: Sequence[ServiceSettings]) -> Iterator[Problem]:
    """What is to be destroyed, and has not been named once more; and what has been named, and is not."""
    given = confirm or Given(name="confirm", text="")
    said = values.name_list(given.text)
    allowed = _ways_to_name(services)
    unnamed = [it for it, ways in zip(services, allowed, strict=True) if it.service and not ways.intersection(said)]
    known = [it.service for it in services]
    if unnamed:
        which = listed([shown(it.service) for it in unnamed])
        what, them = (f"The service {which}", "it") if len(unnamed) == 1 else (f"The services {which}", "them")
        message = f"{what} would be destroyed, and `confirm` does not name {them}."
        yield given.problem(message, f"confirm: {', '.join(known)}")
        return
    unmeant = [name for name in said if not any(name in ways for ways in allowed)]
    for name in unmeant[:MAXIMUM_PROBLEMS]:
        message = f"{given.subject} names {shown(name)}, which is not to be destroyed.{perhaps(name, known)}"
        yield given.problem(message, f"confirm: {listed(known)}")


def _ways_to_name(services: Sequence[ServiceSettings]) -> list[set[str]]:
    """How each of several services may be named: by its name alone only where no other one can be meant.

    A preview is named with its suffix: a step in which `preview` turns out to be empty must not destroy the real one.
    """
    suffixes = [f"-{it.preview}" if it.preview else "" for it in services]
    alone = [f"{it.name}{suffix}" for it, suffix in zip(services, suffixes, strict=True)]
    whole = [
        {it.service, f"{it.namespace}/{name}" if it.namespace else it.service}
        for it, name in zip(services, alone, strict=True)
    ]
    count = Counter([*alone, *itertools.chain.from_iterable(whole)])
    return [ways | {name} if count[name] == 1 else ways for name, ways in zip(alone, whole, strict=True)]


def _without_effect(given: Mapping[str, Given], mode: Mode) -> Iterator[Problem]:
    """Inputs that this mode does not look at."""
    for name, modes in _OF_MODES.items():
        if name in given and given[name].text != INPUTS[name].default and mode not in modes:
            yield given[name].problem(f"`{name}` has no effect with `mode: {mode}`, only with {' or '.join(modes)}.")
    rolls_back = given.get("rollback_on_failure")
    if rolls_back and rolls_back.text == "true" and "question" not in given:
        yield rolls_back.problem("`rollback_on_failure` has no effect without a `question`.")


def _project_id(readers: Sequence[ServiceReader], findings: Findings) -> str:
    """The project, which all the services share."""
    found = ""
    for reader in readers:
        project_id = reader.agreed("project_id", values.project_id)
        given = reader.written("project_id")
        if found and project_id and project_id != found and given:
            message = f"{given.subject} is {shown(project_id)}, but another service's is {shown(found)}."
            findings.add(given.problem(message, "one project in a run: choose its services with input `services`"))
        found = found or project_id
    return found


def _credentials_file(environment: Mapping[str, str], given: Mapping[str, Given], findings: Findings) -> Path | None:
    """The credentials file, where no provider is given; one of the two has to be there."""
    if "workload_identity_provider" in given:
        return None
    for variable in CREDENTIALS_VARIABLES:
        if text := environment.get(variable):
            return _file(Given(name=variable, text=text), findings)
    message = "There is nothing to sign in to Google Cloud with."
    findings.add(Problem(message=message, expected=_SIGN_IN, title="workload_identity_provider"))
    return None


def _caller_of(file: Path, repository_id: str) -> str:
    """Who a credentials file signs in, as IAM has it; empty where it does not say."""
    try:
        content = github_context.json_file(file)
        url = str(content.get("service_account_impersonation_url", ""))
        account = content.get("client_email") or url.rpartition("/")[2].partition(":")[0]
        if account:
            return f"serviceAccount:{values.service_account(account)}"
        audience = str(content.get("audience", "")).removeprefix("//iam.googleapis.com/")
        return _principal(values.identity_provider(audience), repository_id)
    except (Rejected, *github_context.GARBAGE):
        return ""


def _file(given: Given, findings: Findings) -> Path:
    path = Path(given.text)
    try:
        exists = path.is_file()
    except (OSError, ValueError):  # too long for a path, or not one at all
        exists = False
    if not exists:
        message = f"The variable {given.name} is {shown(given.text)}, and there is no such file."
        findings.add(given.problem(message, "a credentials file made by google-github-actions/auth"))
    return path


def _emulator(environment: Mapping[str, str], findings: Findings) -> str | None:
    text = environment.get(EMULATOR_VARIABLE)
    if not text:
        return None
    try:
        return values.emulator(text)
    except Rejected as rejected:
        message = f"The variable {EMULATOR_VARIABLE} is {shown(text)}: {rejected.reason}."
        findings.add(Problem(message=message, expected=rejected.expected, title=EMULATOR_VARIABLE))
        return None
