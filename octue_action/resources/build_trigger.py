"""The Cloud Build trigger: a push to the branch builds and pushes the image, and updates the services that exist."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple, Self

from octue_action.resource import OWNERSHIP_LABELS, Mark, Permissions, Resource

if TYPE_CHECKING:
    from google.cloud.devtools import cloudbuild_v1

    from octue_action.google import Google

UPDATES_SERVICE = "_UPDATE_SERVICE"
"""Substitution that is ``true`` in builds of a push; this action's own builds leave the service to the action."""

DOCKER = "gcr.io/cloud-builders/docker"
GCLOUD = "gcr.io/google.com/cloudsdktool/cloud-sdk:slim"

CONTEXT = "."
"""What the Dockerfile's COPY refers to: the whole repository, as for Octue's own deployer; octue.yaml is in it."""

OF_PREVIEW = "octue-preview-"
"""How the tag of a preview's trigger begins."""

AT_ONCE = 8
"""How many services a build updates at a time: the gcloud of each takes some 100 MB of the build's 4 GB or more."""

LOGGING = "CLOUD_LOGGING_ONLY"

_IMAGE = "value(spec.template.spec.containers[0].image)"
"""What gcloud is to show of a service: the image that it runs."""

NEVER = "^$"
"""A branch pattern that matches no branch: a trigger that only the action runs."""


@dataclass(frozen=True, kw_only=True)
class BuildTrigger(Resource):
    """A trigger with its build steps inline, so that a repository needs no file of its own for them.

    :param trigger_name: its name within project and location.
    :param repository: ``owner/name`` where the GitHub app of the first generation is connected, or the resource name of
        a repository of the second generation, ``projects/P/locations/R/connections/C/repositories/N``.
    :param branch_pattern: RE2 pattern of the branches whose pushes start it.
    :param image: reference of the image without its tag; the tag is the commit.
    :param dockerfile: path in the repository.
    :param cloud_run_service: the service that a push updates, in the trigger's location.
    :param also_updated: the other services that run the image, and that a push updates, too.
    :param build_service_account: e-mail of the account Cloud Build runs as; None leaves it as it is.
    :param build_secrets: names of secrets in Secret Manager, given to the Dockerfile as build arguments.
    :param tags: say whose it is, since triggers have no labels.
    :param other_tags: of an actual trigger: those that others have put there.
    :param build: each step of the build as a text, by its id, and what else is said of it.
    """

    kind: ClassVar[str] = "build_trigger"
    title: ClassVar[str] = "Build trigger"

    project_id: Annotated[str, Mark.IDENTITY]
    location: Annotated[str, Mark.IDENTITY]
    trigger_name: Annotated[str, Mark.IDENTITY]
    image: Annotated[str, Mark.IDENTITY]
    dockerfile: Annotated[str, Mark.IDENTITY]
    build_secrets: Annotated[tuple[str, ...], Mark.IDENTITY] = ()
    tags: tuple[str, ...]
    other_tags: Annotated[tuple[str, ...], Mark.OUTPUT] = ()
    cloud_run_service: Annotated[str, Mark.IDENTITY]
    also_updated: Annotated[tuple[str, ...], Mark.IDENTITY] = ()
    repository: str
    branch_pattern: str
    build_service_account: str | None
    disabled: bool = False
    build: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        """Say what the parameters make of the build."""
        said = {step.id: step.text for step in self._steps()}
        self._set_build(said | _others(LOGGING, {secret: secret for secret in self.build_secrets}, "true"))

    @property
    def name(self) -> str:
        return self.trigger_name

    @property
    def resource_name(self) -> str:
        """``projects/P/locations/R/triggers/T``; Cloud Build takes the name in place of the id."""
        return f"projects/{self.project_id}/locations/{self.location}/triggers/{self.trigger_name}"

    @property
    def console_url(self) -> str:
        return f"https://console.cloud.google.com/cloud-build/triggers;region={self.location}?project={self.project_id}"

    @property
    def permissions(self) -> Permissions:
        return Permissions(
            read=("cloudbuild.builds.get",),
            create=("cloudbuild.builds.create",),
            update=("cloudbuild.builds.create",),
            delete=("cloudbuild.builds.create",),
        )

    @property
    def acts_as(self) -> str:
        return self.build_service_account or ""

    def read(self, google: Google) -> Self | None:
        trigger = self._find(google)
        return self._canonical(trigger) if trigger is not None else None

    def create(self, google: Google) -> Self:
        from google.cloud.devtools import cloudbuild_v1

        request = cloudbuild_v1.CreateBuildTriggerRequest(parent=self._parent, trigger=self._message())
        return self._canonical(google.write(google.cloud_build.create_build_trigger, request))

    def update(self, google: Google, actual: Self) -> Self:
        from google.cloud.devtools import cloudbuild_v1
        from google.protobuf import field_mask_pb2

        trigger = self._message()
        # Tags that say whose it is go where it is taken over: it cannot be somebody else's, too.
        trigger.tags.extend(tag for tag in actual.other_tags if not tag.startswith(_OWNERSHIP))
        trigger.resource_name = self.resource_name
        sources = ["github", "repository_event_config"]  # the one that is not set is cleared
        account = ["service_account"] if self.build_service_account else []
        paths = ["description", "tags", "build", "substitutions", "disabled", *sources, *account]
        # Only the resource name: with a project id the request would go to the global location. And a mask: without one
        # all that somebody else has set, an approval or a filter of files, would be cleared.
        request = cloudbuild_v1.UpdateBuildTriggerRequest(
            trigger=trigger,
            trigger_id=self.trigger_name,
            update_mask=field_mask_pb2.FieldMask(paths=[it for it in paths if self.only is None or it in self.only]),
        )
        return self._canonical(google.write(google.cloud_build.update_build_trigger, request))

    def delete(self, google: Google) -> None:
        from google.cloud.devtools import cloudbuild_v1

        google.remove(
            google.cloud_build.delete_build_trigger, cloudbuild_v1.DeleteBuildTriggerRequest(name=self.resource_name)
        )

    def updates(self, service: str) -> bool:
        """Whether, as the trigger's steps say, a push updates that service."""
        named = rf"(services update |echo ([a-z0-9-]+ )*){re.escape(service)} "
        return re.search(named, self.build.get("update", "")) is not None

    @property
    def _parent(self) -> str:
        return f"projects/{self.project_id}/locations/{self.location}"

    def _find(self, google: Google) -> cloudbuild_v1.BuildTrigger | None:
        from google.cloud.devtools import cloudbuild_v1

        return google.find(
            google.cloud_build.get_build_trigger, cloudbuild_v1.GetBuildTriggerRequest(name=self.resource_name)
        )

    def _canonical(self, trigger: cloudbuild_v1.BuildTrigger) -> Self:
        event = trigger.repository_event_config
        actual = replace(
            self,
            repository=event.repository or f"{trigger.github.owner}/{trigger.github.name}",
            branch_pattern=(event.push if event.repository else trigger.github.push).branch,
            build_service_account=trigger.service_account.rpartition("/")[2] or None,
            disabled=trigger.disabled,
            tags=self.tags if (ours := self._is_ours(trigger.tags)) else tuple(trigger.tags),
            other_tags=tuple(tag for tag in trigger.tags if tag not in self.tags),
            ours=ours,
        )
        actual._set_build(_texts(trigger))
        return actual

    def _set_build(self, build: Mapping[str, str]) -> None:
        object.__setattr__(self, "build", build)  # the class is frozen for everybody else

    def _is_ours(self, tags: Iterable[str]) -> bool:
        """Whether it has our tags, and is not that of a preview which happens to be called like this service."""
        others = set(tags) - set(self.tags)
        return set(self.tags) <= set(tags) and not any(tag.startswith(OF_PREVIEW) for tag in others)

    def _message(self) -> cloudbuild_v1.BuildTrigger:
        from google.cloud.devtools import cloudbuild_v1

        push = cloudbuild_v1.PushFilter(branch=self.branch_pattern)
        trigger = cloudbuild_v1.BuildTrigger(
            name=self.trigger_name,
            description=self._description(),
            tags=list(self.tags),
            build=self._build(),
            substitutions={UPDATES_SERVICE: "true"},
            disabled=self.disabled,
        )
        if self.repository.startswith("projects/"):
            trigger.repository_event_config = cloudbuild_v1.RepositoryEventConfig(repository=self.repository, push=push)
        else:
            owner, _, name = self.repository.partition("/")
            trigger.github = cloudbuild_v1.GitHubEventsConfig(owner=owner, name=name, push=push)
        if self.build_service_account:
            trigger.service_account = f"projects/{self.project_id}/serviceAccounts/{self.build_service_account}"
        return trigger

    def _description(self) -> str:
        others = len(self.also_updated)
        if not others:
            return f"Builds the Octue service {self.cloud_run_service}"
        return f"Builds the Octue service {self.cloud_run_service} and {others} other{'s' if others > 1 else ''}"

    def _steps(self) -> tuple[_Step, ...]:
        tagged = f"{self.image}:$COMMIT_SHA"
        arguments = [f"--build-arg={secret}" for secret in self.build_secrets]
        build = ("build", "--tag", tagged, "--file", self.dockerfile, *arguments, CONTEXT)
        return (
            _Step("build", DOCKER, build, secrets=self.build_secrets),
            _Step("push", DOCKER, ("push", tagged)),
            _Step("update", GCLOUD, ("-c", self._update_script(tagged)), entrypoint="bash"),
        )

    def _build(self) -> cloudbuild_v1.Build:
        from google.cloud.devtools import cloudbuild_v1

        build = cloudbuild_v1.Build(
            steps=[
                cloudbuild_v1.BuildStep(
                    id=step.id,
                    name=step.image,
                    entrypoint=step.entrypoint,
                    args=list(step.args),
                    secret_env=list(step.secrets),
                )
                for step in self._steps()
            ],
            # A build with an account of its own is refused without it, and it needs no bucket.
            options=cloudbuild_v1.BuildOptions(logging=getattr(cloudbuild_v1.BuildOptions.LoggingMode, LOGGING)),
            tags=list(self.tags),
        )
        if self.build_secrets:
            build.available_secrets = cloudbuild_v1.Secrets(
                secret_manager=[
                    cloudbuild_v1.SecretManagerSecret(
                        version_name=f"projects/{self.project_id}/secrets/{secret}/versions/latest", env=secret
                    )
                    for secret in self.build_secrets
                ]
            )
        return build

    def _update_script(self, tagged: str) -> str:
        return self._update_script_for_all(tagged) if self.also_updated else self._update_script_for_one(tagged)

    def _update_script_for_all(self, tagged: str) -> str:
        """What updates several services, some at a time; those behind one that fails are tried all the same.

        One that runs another image was given that by a step of its own, or has yet to be moved by the next deployment.
        """
        where = f'"$$1" --region={self.location} --project={self.project_id}'
        return (
            f'if [ "${{{UPDATES_SERVICE}}}" != "true" ]; then\n'
            '  echo "The deployment that runs this build updates the services."; exit 0\n'
            "fi\n"
            "update() {\n"
            f"  if found=$$(gcloud run services describe {where} --format='{_IMAGE}' --quiet 2>&1); then\n"
            f'    if [[ "$$found" == *"{self.image}"[:@]* ]]; then\n'
            f"      gcloud run services update {where} --image={tagged} --quiet\n"
            "    else\n"
            '      echo "$$1 runs another image, and keeps it: $$found"\n'
            "    fi\n"
            '  elif [[ "$$found" == *"Cannot find service"* ]]; then\n'
            '    echo "There is no service $$1 yet: the first deployment makes it."\n'
            "  else\n"
            '    echo "$$found" >&2; false\n'
            "  fi\n"
            "}\n"
            "export -f update\n"
            f"echo {' '.join([self.cloud_run_service, *self.also_updated])} | xargs -n 1 -P {AT_ONCE} bash -c "
            """'update "$$0" || { echo "Not updated: $$0" >&2; exit 1; }'\n"""
        )

    def _update_script_for_one(self, tagged: str) -> str:
        where = f"{self.cloud_run_service} --region={self.location} --project={self.project_id}"
        return (
            f'if [ "${{{UPDATES_SERVICE}}}" != "true" ]; then\n'
            '  echo "The deployment that runs this build updates the service."\n'
            f"elif found=$$(gcloud run services describe {where} --quiet 2>&1); then\n"
            f"  gcloud run services update {where} --image={tagged} --quiet\n"
            'elif [[ "$$found" == *"Cannot find service"* ]]; then\n'
            '  echo "There is no such service yet: the first deployment makes it."\n'
            "else\n"
            '  echo "$$found" >&2; exit 1\n'
            "fi\n"
        )


def tags_of(labels: Mapping[str, str]) -> tuple[str, ...]:
    """The tags that say what labels say of others."""
    return tuple(f"{key}-{value}" for key, value in labels.items())


_OWNERSHIP = tuple(f"{key}-" for key in OWNERSHIP_LABELS)
"""How the tags begin that say whose a trigger is."""

_VALUE = re.compile(r"(--(?:build-arg|set-env-vars|update-env-vars)[= ]\w+=)\S+")
"""The value of a variable in an argument, which in a step that others have written may be a secret."""


class _Step(NamedTuple):
    """A step of a build.

    :param image: of the container that it runs in.
    :param secrets: names of the secrets that it gets.
    """

    id: str
    image: str
    args: tuple[str, ...]
    entrypoint: str = ""
    secrets: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All of it on one line, without values of variables."""
        secrets = f" (secrets: {', '.join(self.secrets)})" if self.secrets else ""
        words = " ".join(" ".join([self.image, self.entrypoint, *self.args]).split())
        return _VALUE.sub(r"\1…", words) + secrets


def _others(logging: str, secrets: Mapping[str, str], updates: str) -> dict[str, str]:
    """What is said of a build beside its steps.

    :param secrets: variable -> the secret's name.
    :param updates: the value of the substitution ``UPDATES_SERVICE``.
    """
    texts = {f"secret {variable}": secret for variable, secret in secrets.items()}
    return {"logging": logging, f"substitution {UPDATES_SERVICE}": updates, **texts}


def _texts(trigger: cloudbuild_v1.BuildTrigger) -> dict[str, str]:
    """What a trigger says of its builds, without what Cloud Build fills in."""
    build = trigger.build
    steps = [
        _Step(step.id or f"step {number}", step.name, tuple(step.args), step.entrypoint, tuple(step.secret_env))
        for number, step in enumerate(build.steps, start=1)
    ]
    secrets = {it.env: _secret_name(it.version_name) for it in build.available_secrets.secret_manager}
    others = _others(build.options.logging.name, secrets, trigger.substitutions.get(UPDATES_SERVICE, ""))
    return {step.id: step.text for step in steps} | others


def _secret_name(version_name: str) -> str:
    """The secret's name where its newest version is meant, and else all that is said."""
    match = re.fullmatch("projects/[^/]+/secrets/([^/]+)/versions/latest", version_name)
    return match[1] if match else version_name
