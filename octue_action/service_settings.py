"""The settings of one service: each from its input or from octue.yaml, and then held against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from octue_action import limits, names, regions, values, workspace
from octue_action.configuration import ServiceConfiguration
from octue_action.github_context import GitHubContext
from octue_action.inputs import SECRET
from octue_action.keys import KEY_OF_INPUT, KEYS, MAXIMUM_INSTANCES, NO_EFFECT, default_of
from octue_action.problems import Findings, Given, Problem, shown
from octue_action.values import BuildTrigger, ExecutionEnvironment, Ingress, SecretReference

_Value = TypeVar("_Value")

_MISSING = {
    "project_id": "input `project_id`, or `project_name` in octue.yaml",
    "region": "input `region` such as europe-west1, or `region` in octue.yaml",
    "service_name": "input `service_name`, or `name` in octue.yaml",
}
_SIZES = ("memory", "cpu", "concurrency", "min_instances", "max_instances", "execution_environment")
_MAXIMUM_LABELS = 61  # cloud.google.com/resource-manager/docs/labels-overview says 64; three are the action's
_MAXIMUM_NAME = 49  # Cloud Run: under 50 characters


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How an image is built, as far as services of one repository can differ in it: those of one recipe share it."""

    project_id: str
    region: str
    dockerfile: str
    branch_pattern: str
    build_secrets: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """One service as it is to be deployed.

    :param name: the Octue service's name
    :param service: the Cloud Run service's name: namespace, name and preview
    :param preview: suffix of a preview deployment; ``None`` for the service itself
    :param real_service: the Cloud Run name without the preview: whose account a preview uses
    :param built_together: the services that run one image, this one among them, by their Cloud Run names without the
        preview, in the order of octue.yaml: the first lends its name to what makes the image
    :param service_id: the UUID of a topic to keep; ``None`` for the one found, or else derived
    :param runtime_service_account: e-mail of an account that exists; ``None`` for one of the service's own
    :param image: a ready image; ``None`` for the commit's
    :param dockerfile: path from the root of the repository, with ``/``
    :param build_trigger: ``none`` where an image is given
    :param build_secrets: names of secrets that the build reads
    :param memory: e.g. ``512Mi``
    :param cpu: e.g. ``1`` or ``0.5``
    :param timeout: seconds
    :param execution_environment: ``None`` leaves it to Cloud Run
    """

    name: str
    namespace: str | None
    service: str
    preview: str | None
    real_service: str
    built_together: tuple[str, ...]
    region: str
    service_id: str | None
    runtime_service_account: str | None
    image: str | None
    dockerfile: str
    branch_pattern: str
    build_trigger: BuildTrigger
    repository_connection: str | None
    build_service_account: str | None
    build_secrets: tuple[str, ...]
    memory: str
    cpu: str
    concurrency: int
    timeout: int
    min_instances: int
    max_instances: int
    environment_variables: Mapping[str, str]
    secrets: Mapping[str, SecretReference]
    labels: Mapping[str, str]
    ingress: Ingress
    execution_environment: ExecutionEnvironment | None

    @property
    def image_service(self) -> str:
        """The service after which the images that it runs, and their repository, are called."""
        return self.built_together[0]

    @property
    def built_services(self) -> tuple[str, ...]:
        """The services that a build trigger builds, by their Cloud Run names: it is called after the first of them."""
        return tuple(names.service(None, service, self.preview) for service in self.built_together)


class ServiceReader:
    """Reads one service's settings from the inputs and its part of octue.yaml.

    :param given: the inputs
    :param configured: the service in octue.yaml; empty where there is none
    :param findings: takes what is wrong, so that reading goes on
    """

    def __init__(
        self, given: Mapping[str, Given], configured: ServiceConfiguration, github: GitHubContext, findings: Findings
    ) -> None:
        self._inputs, self._configured, self._github, self._findings = given, configured, github, findings

    def read(self) -> ServiceSettings:
        """Everything about the service; what is wrong has been replaced by a default, and added to the findings."""
        namespace, name = self._identity()
        preview = self._preview()
        real_service = names.service(namespace, name)
        region = self.agreed("region", self._region)
        variables, secrets = self._environment()
        size, environment = self._size()
        trigger = self._build_trigger()
        for key in ("twine_path", "app_configuration_path"):
            self._take(key, self._inside(f"{key.removesuffix('_path')}.json"), "")
        self._take("app_source_path", self._inside("."), "")
        return ServiceSettings(
            name=name,
            namespace=namespace,
            service=self._cloud_run_name(namespace, name, preview),
            preview=preview,
            real_service=real_service,
            built_together=(real_service,),
            region=region,
            service_id=self._take("service_id", values.service_id, None),
            runtime_service_account=self._take("runtime_service_account", values.service_account, None),
            image=self._take("image", values.image, None),
            dockerfile=self._dockerfile(is_built=trigger != "none" and self._is_deployed()),
            branch_pattern=self._take_or_default("branch_pattern", values.branch_pattern),
            build_trigger=trigger,
            repository_connection=self._repository_connection(region),
            build_service_account=self._take("build_service_account", values.service_account, None),
            build_secrets=self._build_secrets(),
            memory=size.memory,
            cpu=size.cpu,
            concurrency=size.concurrency,
            timeout=self._take("timeout", values.whole_number(1, 3600, "seconds"), 3600),
            min_instances=0 if preview else size.min_instances,
            max_instances=size.max_instances,
            environment_variables=variables,
            secrets=secrets,
            labels=self._labels(),
            ingress=self._take("ingress", values.one_of(values.INGRESSES), "internal"),
            execution_environment=environment,
        )

    def recipe(self) -> tuple[str, Recipe | None]:
        """The service's Cloud Run name without the preview, and how its image is built.

        No problem of it is told: the name is empty where it cannot be read, and there is no recipe where that cannot.
        """
        findings = Findings()
        quiet = ServiceReader(self._inputs, self._configured, self._github, findings)
        service = quiet._cloud_run_name(*quiet._identity(), None)
        service = service if not findings.problems else ""
        recipe = Recipe(
            project_id=quiet.agreed("project_id", values.project_id),
            region=quiet.agreed("region", quiet._region),
            dockerfile=quiet._dockerfile(is_built=False),
            branch_pattern=quiet._take_or_default("branch_pattern", values.branch_pattern),
            build_secrets=quiet._build_secrets(),
        )
        is_known = not findings.problems and not self._configured.written_wrongly
        return service, recipe if is_known else None

    def written(self, name: str) -> Given | None:
        """Where a setting is written; an input wins over octue.yaml."""
        return self._inputs.get(name) or self._in_file(name)

    def agreed(self, name: str, parse: Callable[[str], str]) -> str:
        """A setting that has to be written, and the same wherever it is; empty where it is not."""
        given, in_file = self._inputs.get(name), self._in_file(name)
        if given and in_file and given.text != in_file.text:
            message = f"{in_file.subject} is {shown(in_file.text)}, but {given.place} is {shown(given.text)}."
            self._findings.add(in_file.problem(message, "the same in both, or only one of them"))
        if not given and not in_file and KEY_OF_INPUT.get(name, name) not in self._configured.written_wrongly:
            what = name.replace("_", " ")
            self._findings.add(Problem(message=f"The {what} is missing.", expected=_MISSING[name], title=name))
        return self._findings.take(parse, given or in_file, "")

    def notices(self) -> Iterator[Problem]:
        """What octue.yaml says about the service without any effect here."""
        for key, given in self._configured.settings.items():
            if KEYS[key].user == "nobody":
                yield given.problem(f"`{key}` {NO_EFFECT}.")
        owner, _, repository = self._github.repository.partition("/")
        for key, actual in (("repository_owner", owner), ("repository_name", repository)):
            expected = self._configured.settings.get(key)
            if expected and expected.text.lower() != actual.lower():
                yield expected.problem(f"`{key}` is {shown(expected.text)}, but this run is for {shown(actual)}.")

    def region_notices(self, region: str) -> Iterator[Problem]:
        """What is good to know about the region, where something is to be deployed to it.

        :param region: as it was read; empty where it cannot be used
        """
        given = self.written("region")
        if region and given and self._is_deployed():
            if newness := regions.newness(region):
                yield given.problem(newness)
            if advice := regions.advice(region):
                yield given.problem(f"{regions.described(region)}. {advice}")

    def _in_file(self, name: str) -> Given | None:
        return self._configured.settings.get(KEY_OF_INPUT.get(name, name))

    def _take(self, name: str, parse: Callable[[str], _Value], default: _Value) -> _Value:
        return self._findings.take(parse, self.written(name), default)

    def _take_or_default(self, name: str, parse: Callable[[str], _Value]) -> _Value:
        """A setting with a default that the table of keys has."""
        return self._take(name, parse, parse(default_of(KEY_OF_INPUT[name])))

    def _inside(self, example: str) -> Callable[[str], str]:
        return lambda text: workspace.relative(self._github.workspace, text, example)

    def _region(self, text: str) -> str:
        """The region. What was deployed before can be rolled back and destroyed wherever it is."""
        region = values.region(text)
        regions.refuse_misspelt(region)
        if self._is_deployed():
            regions.refuse_unserved(region)
            if self._take("region_policy", values.one_of(values.REGION_POLICIES), "any") == "low-carbon":
                regions.refuse_high_carbon(region)
        return region

    def _identity(self) -> tuple[str | None, str]:
        """Namespace and name. Before Octue had namespaces, people wrote ``namespace/name`` as the name."""
        namespace = self._inputs.get("service_namespace") or self._in_file("service_namespace")
        if namespace:
            return self.agreed("service_namespace", values.name) or None, self.agreed("service_name", values.name)
        prefix, _, name = self.agreed("service_name", values.name_with_namespace).rpartition("/")
        return prefix or None, name

    def _preview(self) -> str | None:
        preview = self._take("preview", values.name, None)
        given = self.written("service_id")
        if preview and given:
            self._findings.add(given.problem("A preview has a topic of its own.", "no `service_id` beside `preview`"))
        return preview

    def _cloud_run_name(self, namespace: str | None, name: str, preview: str | None) -> str:
        service = names.service(namespace, name, preview)
        given = self.written("service_name")
        if name and given and (len(service) > _MAXIMUM_NAME or service[0].isdigit()):
            message = f"The Cloud Run service would be called {shown(service)} ({len(service)} characters)."
            expected = f"at most {_MAXIMUM_NAME} characters, beginning with a letter"
            self._findings.add(given.problem(message, expected))
        return service

    def _build_trigger(self) -> BuildTrigger:
        """What starts a build; nothing does where an image is given."""
        trigger: BuildTrigger = self._take("build_trigger", values.one_of(values.BUILD_TRIGGERS), "push")
        if "image" in self._inputs:
            return "none"
        given = self.written("build_trigger")
        if trigger == "none" and given:
            self._findings.add(
                given.problem(f"{given.subject} is 'none', and no image is given.", "input `image`, too")
            )
        return trigger

    def _is_deployed(self) -> bool:
        """Whether this run is about what the repository says now, and not about what was deployed before."""
        mode = self._inputs.get("mode")
        return mode is None or mode.text not in {"destroy", "rollback"}

    def _dockerfile(self, *, is_built: bool) -> str:
        """The Dockerfile's path; it has to be there only when something is built."""
        default = default_of("dockerfile_path")
        given = self.written("dockerfile") or Given(name="dockerfile", text=default)
        is_known = "dockerfile_path" not in self._configured.written_wrongly or "dockerfile" in self._inputs
        check = workspace.existing_file if is_built and is_known else workspace.relative
        return self._findings.take(lambda text: check(self._github.workspace, text, default), given, default)

    def _repository_connection(self, region: str) -> str | None:
        connection = self._take("repository_connection", values.repository_connection, None)
        if connection and region and connection.split("/")[3] != region:
            message = f"Input `repository_connection` is in {connection.split('/')[3]}, but the service is in {region}."
            self._findings.add(self._inputs["repository_connection"].problem(message, "both in one region"))
        return connection

    def _build_secrets(self) -> tuple[str, ...]:
        return tuple(self._findings.take(values.secret_name, it, "") for it in self._configured.build_secrets)

    def _size(self) -> tuple[limits.Size, ExecutionEnvironment | None]:
        """The size of instances, and their execution environment: Octue's gen2 where it fits and nobody chose."""
        before = len(self._findings.problems)
        cpu = self._take_or_default("cpu", values.cpu)
        chosen = self._take("execution_environment", values.one_of(values.EXECUTION_ENVIRONMENTS), None)
        size = limits.Size(
            memory=self._take_or_default("memory", values.memory),
            cpu=cpu,
            concurrency=self._take("concurrency", values.whole_number(1, 1000), limits.default_concurrency(cpu)),
            min_instances=self._take_or_default("min_instances", values.whole_number(0, MAXIMUM_INSTANCES)),
            max_instances=self._take_or_default("max_instances", values.whole_number(1, MAXIMUM_INSTANCES)),
            execution_environment=chosen,
            given={name: given for name in _SIZES if (given := self.written(name))},
        )
        keys = {KEY_OF_INPUT.get(name, name) for name in _SIZES}
        if len(self._findings.problems) == before and not keys & self._configured.written_wrongly:
            self._findings.add(*limits.problems(size))
        return size, chosen or ("gen2" if limits.suits_gen2(size.memory, size.cpu) else None)

    def _environment(self) -> tuple[dict[str, str], dict[str, SecretReference]]:
        given = self._pairs("environment_variables")
        secrets = self._pairs("secrets")
        written_as_secrets = {key.text: key for key, _ in secrets}
        for key, _ in (*self._configured.environment_variables, *given):
            if other := written_as_secrets.get(key.text):
                message = f"{key.quoted} is both an environment variable ({key.place}) and a secret ({other.place})."
                self._findings.add(key.problem(message, "it once"))
        variables = self._mapping(self._configured.environment_variables, values.variable_name, values.variable_value)
        variables |= self._mapping(given, values.variable_name, values.variable_value)
        references = self._mapping(secrets, values.variable_name, values.secret)
        self._limit(len(variables) + len(references), values.MAXIMUM_VARIABLES, "environment_variables")
        return variables, references

    def _labels(self) -> dict[str, str]:
        labels = self._mapping(self._pairs("labels"), values.label_key, values.label_value)
        self._limit(len(labels), _MAXIMUM_LABELS, "labels")
        return labels

    def _limit(self, count: int, maximum: int, name: str) -> None:
        if count > maximum:
            message = f"There are {count:,} of `{name}`."
            self._findings.add(Problem(message=message, expected=f"at most {maximum}", title=name))

    def _pairs(self, name: str) -> list[tuple[Given, Given]]:
        """The names and values in an input, each told apart in messages.

        What cannot be a name may be half of a secret: GitHub hides ``postgres://user:password@host/?ssl=on`` as a
        whole only, and not what stands before its ``=``.
        """
        nothing: list[tuple[str, str]] = []
        keys_and_values = self._findings.take(values.pairs, self._inputs.get(name), nothing)
        keys = [
            Given(name=name, text=key, part="A name", secret=name in SECRET and not values.LIKE_A_NAME.fullmatch(key))
            for key, _ in keys_and_values
        ]
        return [
            (key, Given(name=name, text=value, part=f"The value of {key.quoted}", secret=name in SECRET))
            for key, (_, value) in zip(keys, keys_and_values, strict=True)
        ]

    def _mapping(
        self, pairs: Iterable[tuple[Given, Given]], parse_key: Callable[[str], str], parse: Callable[[str], _Value]
    ) -> dict[str, _Value]:
        mapping: dict[str, _Value] = {}
        seen: dict[str, Given] = {}
        for key, value in pairs:
            if key.text in seen:
                message = f"{key.quoted} stands twice in {seen[key.text].place}."
                self._findings.add(key.problem(message, "each name once"))
            seen.setdefault(key.text, key)
            name, parsed = self._findings.take(parse_key, key, ""), self._findings.take(parse, value, None)
            if name and parsed is not None:
                mapping[name] = parsed
        return mapping
