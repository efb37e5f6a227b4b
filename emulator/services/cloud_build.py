"""Cloud Build: triggers, and builds of the commits of local git repositories."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import grpc
import yaml
from google.cloud.devtools import cloudbuild_v1
from google.longrunning import operations_pb2
from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from emulator import build_filter, build_substitutions, gcloud
from emulator.build_steps import StepError, Workspace
from emulator.errors import (
    ApiError,
    already_exists,
    failed_precondition,
    invalid_argument,
    not_found,
    permission_denied,
    unimplemented,
)
from emulator.logs import Log
from emulator.operations import raw
from emulator.processes import certificate_variables
from emulator.rpc import Call

if TYPE_CHECKING:
    from emulator.world import World

Status = cloudbuild_v1.Build.Status
FailureType = cloudbuild_v1.Build.FailureInfo.FailureType
Logging = cloudbuild_v1.BuildOptions.LoggingMode
Substitution = cloudbuild_v1.BuildOptions.SubstitutionOption

# The values themselves: to type checkers an attribute of these enumerations is a plain number.
PENDING, QUEUED, WORKING = Status(Status.PENDING), Status(Status.QUEUED), Status(Status.WORKING)
SUCCESS, FAILURE = Status(Status.SUCCESS), Status(Status.FAILURE)
TIMEOUT, CANCELLED = Status(Status.TIMEOUT), Status(Status.CANCELLED)
INTERNAL_ERROR = Status(Status.INTERNAL_ERROR)
FETCH_SOURCE_FAILED, USER_BUILD_STEP = (
    FailureType(FailureType.FETCH_SOURCE_FAILED),
    FailureType(FailureType.USER_BUILD_STEP),
)
PUSH_FAILED, PUSH_IMAGE_NOT_FOUND = (
    FailureType(FailureType.PUSH_FAILED),
    FailureType(FailureType.PUSH_IMAGE_NOT_FOUND),
)
CLOUD_LOGGING_ONLY, LEGACY, GCS_ONLY, NO_LOGGING = (
    Logging(Logging.CLOUD_LOGGING_ONLY),
    Logging(Logging.LEGACY),
    Logging(Logging.GCS_ONLY),
    Logging(Logging.NONE),
)
ALLOW_LOOSE = Substitution(Substitution.ALLOW_LOOSE)

_LOG_ID = "cloudbuild"
_TRIGGER_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,62}[A-Za-z0-9])?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TIMEOUT_SECONDS = 600
_OUTPUT_ONLY = ("id", "create_time", "resource_name")
_UNFINISHED = (PENDING, QUEUED, WORKING)

# Code and message with which the operation of a build ends that did not succeed.
_OUTCOMES = {
    CANCELLED: (grpc.StatusCode.CANCELLED, "Build cancelled"),
    TIMEOUT: (grpc.StatusCode.DEADLINE_EXCEEDED, "Build timed out"),
}
_FAILED = (grpc.StatusCode.UNKNOWN, "Build failed; check build logs for details")


class SourceError(Exception):
    """A commit that the repository does not have."""


@dataclass
class _Record:
    """A build with what it takes to run it.

    :param repository: the local git repository.
    :param commit: full SHA.
    """

    build: cloudbuild_v1.Build
    repository: Path
    commit: str
    log: Log
    operation: str = ""
    stopped: threading.Event = field(default_factory=threading.Event)
    ends_as: cloudbuild_v1.Build.Status = SUCCESS

    def say(self, line: str, step: str = "MAIN") -> None:
        """Log a line.

        :param step: which wrote it.
        """
        labels = {"build_step": step, "build_tags": ",".join(self.build.tags)}
        self.log.write(_LOG_ID, line, labels=labels)


class CloudBuild:
    """``google.devtools.cloudbuild.v1.CloudBuild``.

    The project's GitHub repositories that are connected are so in both generations: by the app, and as repositories of
    the connection ``github`` in the world's region, named ``owner-name``.

    :param world: the local cloud.
    """

    SERVICES: ClassVar[tuple[str, ...]] = ("google.devtools.cloudbuild.v1.CloudBuild",)

    def __init__(self, world: World) -> None:
        self._world = world
        self._triggers: dict[str, cloudbuild_v1.BuildTrigger] = {}
        self._builds: dict[str, _Record] = {}
        self._lock = threading.RLock()
        self.connected: dict[str, str] = {}
        for repository in world.settings.connected:
            self.connect(repository)

    def close(self) -> None:
        """Stop every build."""
        with self._lock:
            records = list(self._builds.values())
        for record in records:
            self._stop(record, CANCELLED)
        for record in records:
            self._world.operations.wait(record.operation)

    def log(self, build_id: str) -> str:
        """What a build wrote."""
        with self._lock:
            return "".join(f"{line}\n" for line in self._builds[build_id].log.lines())

    def push(self, repository: str, ref: str, sha: str) -> list[str]:
        """Tell of a push to GitHub: starts the builds of the triggers that wait for it, and gives their ids.

        :param repository: ``owner/name``.
        :param ref: ``refs/heads/main``.
        :param sha: the commit now at that ref.
        """
        with self._lock:
            triggers = [trigger for trigger in self._triggers.values() if self._is_started_by(trigger, repository, ref)]
        source = cloudbuild_v1.RepoSource(commit_sha=sha)
        if ref.startswith("refs/tags/"):
            source.tag_name = ref.removeprefix("refs/tags/")
            source.commit_sha = sha
        return [self._start_for(trigger, source, ref).build.id for trigger in triggers]

    def connect(self, repository: str) -> None:
        """Connect a repository, as a person does it in the console.

        :param repository: ``owner/name``.
        """
        settings = self._world.settings
        connection = f"projects/{settings.project_id}/locations/{settings.region}/connections/github"
        with self._lock:
            self.connected[f"{connection}/repositories/{repository.replace('/', '-')}"] = repository

    # Triggers

    def create_build_trigger(
        self,
        request: cloudbuild_v1.CreateBuildTriggerRequest,
        call: Call,
    ) -> cloudbuild_v1.BuildTrigger:
        """Make a trigger."""
        parent = self._parent(request.parent, request.project_id)
        trigger = cloudbuild_v1.BuildTrigger(request.trigger)
        trigger.name = trigger.name or f"trigger-{uuid.uuid4().hex[:8]}"
        self._check_trigger(trigger, parent)
        trigger.id = str(uuid.uuid4())
        trigger.resource_name = f"{parent}/triggers/{trigger.id}"
        with self._lock:
            if self._find_trigger(f"{parent}/triggers/{trigger.name}") is not None:
                raise already_exists(f"trigger with name {trigger.name} already exists in {parent}")
            trigger.create_time = self._world.clock.timestamp()
            self._triggers[trigger.resource_name] = trigger
            return cloudbuild_v1.BuildTrigger(trigger)

    def get_build_trigger(
        self,
        request: cloudbuild_v1.GetBuildTriggerRequest,
        call: Call,
    ) -> cloudbuild_v1.BuildTrigger:
        """One trigger, by its id or name."""
        return cloudbuild_v1.BuildTrigger(self._trigger(request.name, request.project_id, request.trigger_id))

    def list_build_triggers(
        self,
        request: cloudbuild_v1.ListBuildTriggersRequest,
        call: Call,
    ) -> cloudbuild_v1.ListBuildTriggersResponse:
        """All triggers of a location, on one page."""
        parent = self._parent(request.parent, request.project_id)
        with self._lock:
            found = [trigger for name, trigger in self._triggers.items() if name.startswith(f"{parent}/")]
            return cloudbuild_v1.ListBuildTriggersResponse(triggers=found)

    def update_build_trigger(
        self,
        request: cloudbuild_v1.UpdateBuildTriggerRequest,
        call: Call,
    ) -> cloudbuild_v1.BuildTrigger:
        """Change a trigger: the fields of the mask, or all of it."""
        mask: FieldMask = cloudbuild_v1.UpdateBuildTriggerRequest.pb(request).update_mask
        with self._lock:
            current = self._trigger(request.trigger.resource_name, request.project_id, request.trigger_id)
            changed = cloudbuild_v1.BuildTrigger(current if mask.paths else request.trigger)
            if mask.paths:
                source, target = (cloudbuild_v1.BuildTrigger.pb(trigger) for trigger in (request.trigger, changed))
                mask.MergeMessage(source, target, replace_message_field=True, replace_repeated_field=True)
            for name in _OUTPUT_ONLY:
                setattr(changed, name, getattr(current, name))
            changed.name = changed.name or current.name
            self._check_trigger(changed, current.resource_name.partition("/triggers/")[0])
            self._triggers[changed.resource_name] = changed
            return cloudbuild_v1.BuildTrigger(changed)

    def delete_build_trigger(self, request: cloudbuild_v1.DeleteBuildTriggerRequest, call: Call) -> Empty:
        """Delete a trigger; its builds stay."""
        with self._lock:
            trigger = self._trigger(request.name, request.project_id, request.trigger_id)
            del self._triggers[trigger.resource_name]
        return Empty()

    def run_build_trigger(self, request: cloudbuild_v1.RunBuildTriggerRequest, call: Call) -> operations_pb2.Operation:
        """Build a commit, tag or branch with a trigger, as an operation that ends with the build."""
        trigger = self._trigger(request.name, request.project_id, request.trigger_id)
        record = self._start_for(trigger, request.source)
        return self._world.operations.get(record.operation)

    # Builds

    def get_build(self, request: cloudbuild_v1.GetBuildRequest, call: Call) -> cloudbuild_v1.Build:
        """One build."""
        with self._lock:
            return cloudbuild_v1.Build(self._build(request.name, request.project_id, request.id).build)

    def list_builds(self, request: cloudbuild_v1.ListBuildsRequest, call: Call) -> cloudbuild_v1.ListBuildsResponse:
        """The builds of a location that pass the filter, the newest first, on one page."""
        parent = self._parent(request.parent, request.project_id)
        passes = build_filter.parse(request.filter)
        with self._lock:
            builds = [record.build for record in self._builds.values() if record.build.name.startswith(f"{parent}/")]
            return cloudbuild_v1.ListBuildsResponse(builds=[build for build in reversed(builds) if passes(build)])

    def cancel_build(self, request: cloudbuild_v1.CancelBuildRequest, call: Call) -> cloudbuild_v1.Build:
        """Stop a build that has not ended."""
        record = self._build(request.name, request.project_id, request.id)
        with self._lock:
            if record.build.status not in _UNFINISHED:
                raise failed_precondition(f"cannot cancel a build whose status is {record.build.status.name}")
        self._stop(record, CANCELLED)
        self._world.operations.wait(record.operation)
        with self._lock:
            return cloudbuild_v1.Build(record.build)

    # Finding

    def _parent(self, parent: str, project: str) -> str:
        """The location; without one, the global one of the project."""
        parent = parent or f"projects/{project}/locations/global"
        settings = self._world.settings
        _, name, *_ = parent.split("/")
        if name not in (settings.project_id, settings.project_number):
            raise permission_denied("The caller does not have permission")
        return parent.replace(f"projects/{name}/", f"projects/{settings.project_id}/")

    def _find_trigger(self, name: str) -> cloudbuild_v1.BuildTrigger | None:
        parent, _, short = name.partition("/triggers/")
        for resource_name, trigger in self._triggers.items():
            if resource_name.startswith(f"{parent}/triggers/") and short in (trigger.id, trigger.name):
                return trigger
        return None

    def _trigger(self, name: str, project: str, trigger_id: str) -> cloudbuild_v1.BuildTrigger:
        parent = self._parent(name.partition("/triggers/")[0], project)
        with self._lock:
            trigger = self._find_trigger(f"{parent}/triggers/{name.rpartition('/')[2] or trigger_id}")
        if trigger is None:
            raise not_found("Requested entity was not found.")
        return trigger

    def _build(self, name: str, project: str, build_id: str) -> _Record:
        parent = self._parent(name.partition("/builds/")[0], project)
        with self._lock:
            record = self._builds.get(name.rpartition("/")[2] or build_id)
        if record is None or not record.build.name.startswith(f"{parent}/"):
            raise not_found("Requested entity was not found.")
        return record

    # What a trigger is made of

    def _check_trigger(self, trigger: cloudbuild_v1.BuildTrigger, parent: str) -> None:
        if not _TRIGGER_NAME.fullmatch(trigger.name):
            raise invalid_argument(
                f'invalid trigger name "{trigger.name}": names are 1 to 64 letters, digits and dashes, and begin and '
                "end with a letter or digit"
            )
        build_substitutions.check_keys(dict(trigger.substitutions))
        self._check_repository(trigger, parent)
        for pattern in (trigger.github.push.branch, trigger.repository_event_config.push.branch):
            try:
                re.compile(pattern)
            except re.error as error:
                raise invalid_argument(f'invalid branch pattern "{pattern}": {error}') from error
        if not trigger.filename and not trigger.build.steps:
            raise invalid_argument("invalid build: must have at least one build step")

    def _check_repository(self, trigger: cloudbuild_v1.BuildTrigger, parent: str) -> None:
        event = trigger.repository_event_config
        region = parent.rpartition("/")[2]
        if event.repository:
            if region == "global":
                raise invalid_argument('triggers with repository resources cannot be created in the "global" region')
            if event.repository.split("/")[3:4] != [region]:
                raise invalid_argument(
                    f"location of the repository: {event.repository} does not match the current region: {region}"
                )
            if event.repository not in self.connected:
                raise not_found(f"repository {event.repository} not found")
        elif not trigger.github.name:
            raise unimplemented("The emulator has triggers for pushes to GitHub only.")
        elif self._repository(trigger) not in self.connected.values():
            number = self._world.settings.project_number
            raise failed_precondition(
                "Repository mapping does not exist. Please visit "
                f"https://console.cloud.google.com/cloud-build/triggers/connect?project={number} to connect a "
                "repository to your project"
            )

    def _repository(self, trigger: cloudbuild_v1.BuildTrigger) -> str:
        """``owner/name`` on GitHub."""
        resource = trigger.repository_event_config.repository
        return self.connected[resource] if resource else f"{trigger.github.owner}/{trigger.github.name}"

    def _is_started_by(self, trigger: cloudbuild_v1.BuildTrigger, repository: str, ref: str) -> bool:
        if trigger.disabled or self._repository(trigger) != repository:
            return False
        push = (
            trigger.repository_event_config.push if trigger.repository_event_config.repository else trigger.github.push
        )
        kind, _, name = ref.removeprefix("refs/").partition("/")
        pattern = {"heads": push.branch, "tags": push.tag}.get(kind, "")
        return bool(pattern) and (re.search(pattern, name) is None) == push.invert_regex

    # Starting

    def _start_for(
        self, trigger: cloudbuild_v1.BuildTrigger, source: cloudbuild_v1.RepoSource, ref: str = ""
    ) -> _Record:
        """Start the build of a trigger.

        :param ref: the pushed ref, where a push starts it.
        """
        full_name = self._repository(trigger)
        repository = self._world.settings.repositories[full_name]
        ref = ref or next((f"refs/{kind}/{name}" for kind, name in _names(source) if name), "")
        commit = source.commit_sha or _resolve(repository, ref)
        build = self._template(trigger, repository, commit)
        _, _, location, *_ = (*trigger.resource_name.split("/")[1:4], "")
        self._fill_in(build, trigger, location)
        own = {**dict(build.substitutions), **dict(trigger.substitutions), **dict(source.substitutions)}
        build_substitutions.check_keys(own)
        build.substitutions = {
            **own,
            "COMMIT_SHA": commit,
            "REVISION_ID": commit,
            "SHORT_SHA": commit[:7],
            "REPO_NAME": full_name.partition("/")[2],
            "REPO_FULL_NAME": full_name,
            "TRIGGER_NAME": trigger.name,
            **_ref_substitutions(ref),
        }
        build_substitutions.put_in(build, {**dict(build.substitutions), **self._built_in(build, location)})
        self._set_source(build, trigger, full_name, commit)
        log = self._world.logging.log(
            "build",
            {"build_id": build.id, "build_trigger_id": trigger.id},
            shown=build.options.logging not in (GCS_ONLY, NO_LOGGING),
        )
        return self._start(_Record(build, repository, commit, log))

    def _template(self, trigger: cloudbuild_v1.BuildTrigger, repository: Path, commit: str) -> cloudbuild_v1.Build:
        if not trigger.filename:
            return cloudbuild_v1.Build(trigger.build)
        try:
            content = yaml.safe_load(_git(repository, "show", f"{commit}:{trigger.filename}"))
            message = json_format.ParseDict(content, cloudbuild_v1.Build.pb(cloudbuild_v1.Build()))
        except (SourceError, yaml.YAMLError, json_format.ParseError, AttributeError) as error:
            raise failed_precondition(f"failed to read build config {trigger.filename}: {error}") from error
        return cloudbuild_v1.Build(message)

    def _fill_in(self, build: cloudbuild_v1.Build, trigger: cloudbuild_v1.BuildTrigger, location: str) -> None:
        settings = self._world.settings
        account = trigger.service_account or build.service_account
        logged_elsewhere = build.options.logging in (CLOUD_LOGGING_ONLY, NO_LOGGING)
        if account and not (build.logs_bucket or build.options.default_logs_bucket_behavior or logged_elsewhere):
            raise invalid_argument(
                "if 'build.service_account' is specified, the build must either (a) specify 'build.logs_bucket', (b) "
                "use the REGIONAL_USER_OWNED_BUCKET build.options.default_logs_bucket_behavior option, or (c) use "
                "either CLOUD_LOGGING_ONLY / NONE logging options: invalid argument"
            )
        email = account.rpartition("/")[2]
        if email and not self._world.iam.knows_account(email):
            raise permission_denied(
                f"Permission 'iam.serviceaccounts.actAs' denied on service account {email} (or it may not exist)."
            )
        build.service_account = account or (
            f"projects/{settings.project_id}/serviceAccounts/{settings.project_number}-compute@developer.gserviceaccount.com"
        )
        build.id = str(uuid.uuid4())
        build.name = f"projects/{settings.project_id}/locations/{location}/builds/{build.id}"
        build.project_id = settings.project_id
        build.build_trigger_id = trigger.id
        build.tags = [*trigger.tags, *(tag for tag in build.tags if tag not in trigger.tags), f"trigger-{trigger.id}"]
        build.status = QUEUED
        build.create_time = self._world.clock.timestamp()
        pb = cloudbuild_v1.Build.pb(build)
        if not pb.HasField("timeout"):
            pb.timeout.CopyFrom(Duration(seconds=_TIMEOUT_SECONDS))
        pb.queue_ttl.CopyFrom(Duration(seconds=3600))
        build.options.substitution_option = ALLOW_LOOSE
        build.options.pool = cloudbuild_v1.BuildOptions.PoolOption()
        if not build.options.logging:
            build.options.logging = LEGACY
        if not build.logs_bucket and not logged_elsewhere:
            build.logs_bucket = f"gs://{settings.project_number}.cloudbuild-logs.googleusercontent.com"
        if build.images:
            build.artifacts.images = build.images
        where = "builds" if location == "global" else f"builds;region={location}"
        build.log_url = (
            f"https://console.cloud.google.com/cloud-build/{where}/{build.id}?project={settings.project_number}"
        )

    def _built_in(self, build: cloudbuild_v1.Build, location: str) -> dict[str, str]:
        settings = self._world.settings
        return {
            "BUILD_ID": build.id,
            "LOCATION": location,
            "PROJECT_ID": settings.project_id,
            "PROJECT_NUMBER": settings.project_number,
            "SERVICE_ACCOUNT": build.service_account,
            "SERVICE_ACCOUNT_EMAIL": build.service_account.rpartition("/")[2],
        }

    @staticmethod
    def _set_source(
        build: cloudbuild_v1.Build, trigger: cloudbuild_v1.BuildTrigger, full_name: str, commit: str
    ) -> None:
        resource = trigger.repository_event_config.repository
        if resource:
            connected = cloudbuild_v1.ConnectedRepository(repository=resource, revision=commit)
            build.source.connected_repository = connected
            build.source_provenance.resolved_connected_repository = connected
        else:
            git = cloudbuild_v1.GitSource(url=f"https://github.com/{full_name}.git", revision=commit)
            build.source.git_source = git
            build.source_provenance.resolved_git_source = git

    def _start(self, record: _Record) -> _Record:
        encoded = base64.b64encode(record.build.id.encode()).decode()
        record.operation = f"operations/build/{record.build.project_id}/{encoded}"

        def metadata() -> Message:
            with self._lock:
                return raw(cloudbuild_v1.BuildOperationMetadata(build=record.build))

        def work() -> Message:
            self._run(record)
            with self._lock:
                if record.build.status != SUCCESS:
                    code, message = _OUTCOMES.get(record.build.status, _FAILED)
                    raise ApiError(code, message)
                return raw(cloudbuild_v1.Build(record.build))

        self._world.operations.start(record.operation, "cloud_build build", work, metadata=metadata)
        with self._lock:
            self._builds[record.build.id] = record
        return record

    # Running

    def _stop(self, record: _Record, status: cloudbuild_v1.Build.Status) -> None:
        with self._lock:
            if not record.stopped.is_set() and record.build.status in _UNFINISHED:
                record.ends_as = status
                record.stopped.set()

    def _run(self, record: _Record) -> None:
        """Run a build to its end, whatever end that is."""
        build = record.build
        with self._lock:
            build.status = WORKING
            build.start_time = self._world.clock.timestamp()
        seconds = cloudbuild_v1.Build.pb(build).timeout.ToTimedelta().total_seconds()
        timer = threading.Timer(seconds, self._stop, (record, TIMEOUT))
        timer.daemon = True
        timer.start()
        folder = self._world.settings.state / "builds" / build.id
        try:
            self._run_in(record, folder)
        except Exception:  # a bug of the emulator must not leave a build that everybody waits for
            with self._lock:
                build.status = INTERNAL_ERROR
            raise
        finally:
            timer.cancel()
            shutil.rmtree(folder, ignore_errors=True)
        with self._lock:
            if record.stopped.is_set():
                build.status = record.ends_as
                cloudbuild_v1.Build.pb(build).ClearField("failure_info")
            else:
                build.status = FAILURE if "failure_info" in build else SUCCESS
            build.finish_time = self._world.clock.timestamp()
        if build.status != FAILURE:
            record.say("DONE" if build.status == SUCCESS else str(build.status.name))

    def _run_in(self, record: _Record, folder: Path) -> None:
        build = record.build
        record.say(f'starting build "{build.id}"')
        record.say("FETCHSOURCE")
        with self._timed(build, "FETCHSOURCE"):
            try:
                if not self._world.settings.hollow:
                    _check_out(record.repository, record.commit, folder / "source")
            except SourceError as error:
                self._fail(record, FETCH_SOURCE_FAILED, str(error))
                return
        record.say("BUILD")
        workspace = self._workspace(record, folder)
        with self._timed(build, "BUILD"):
            succeeded = self._run_steps(record, workspace)
        if succeeded and build.images:
            record.say("PUSH")
            with self._timed(build, "PUSH"):
                self._push_images(record, workspace)

    def _workspace(self, record: _Record, folder: Path) -> Workspace:
        settings = self._world.settings
        email = record.build.service_account.rpartition("/")[2]
        principal = f"serviceAccount:{email}"
        return Workspace(
            source=folder / "source",
            home=folder / "home",
            cache=settings.cache,
            registry=self._world.artifact_registry,
            variables={
                **certificate_variables(),
                gcloud.BASE_URL_VARIABLE: self._world.base_url,
                gcloud.PROJECT_VARIABLE: settings.project_id,
                gcloud.TOKEN_VARIABLE: self._world.tokens.issue_access_token(principal, frozenset({principal})),
            },
            secrets=self._secrets(record.build),
            write=record.say,
            stopped=record.stopped,
            hollow=settings.hollow,
        )

    def _secrets(self, build: cloudbuild_v1.Build) -> dict[str, str]:
        """The build's secrets that exist, by their environment variable; a step that asks for another fails."""
        stored: Mapping[tuple[str, str], str] = self._world.cloud_run.secrets
        wanted = {
            secret.env: (secret.version_name.split("/")[3], secret.version_name.rpartition("/")[2])
            for secret in build.available_secrets.secret_manager
        }
        return {variable: stored[key] for variable, key in wanted.items() if key in stored}

    def _run_steps(self, record: _Record, workspace: Workspace) -> bool:
        """Run the steps in their order up to the first that fails; whether none did."""
        for number, step in enumerate(record.build.steps):
            if record.stopped.is_set():
                return False
            error = self._run_step(record, workspace, number)
            if error and not step.allow_failure:
                reason = f'build step {number} "{step.name}" failed: step exited with non-zero status: {error.code}'
                self._fail(record, USER_BUILD_STEP, reason)
                return False
        return True

    def _run_step(self, record: _Record, workspace: Workspace, number: int) -> StepError | None:
        """Run a step, and give why it failed. Where there are several, the log tells their lines apart."""
        step = record.build.steps[number]
        name = f"Step #{number}" + (f' - "{step.id}"' if step.id else "")
        is_only_one = len(record.build.steps) == 1

        def say(line: str) -> None:
            record.say(line if is_only_one else f"{name}: {line}", step=name)

        began = self._world.clock.timestamp()
        with self._lock:
            step.status = WORKING
            step.pull_timing = cloudbuild_v1.TimeSpan(start_time=began, end_time=began)
        workspace.write = say
        error = None
        if not is_only_one:
            record.say(f"Starting {name}")
        try:
            workspace.run(step)
        except StepError as found:
            error = found
            if str(error):
                say(str(error))
        if not is_only_one:
            record.say(f"Finished {name}")
        with self._lock:
            self._end_step(record, step, error, began)
        workspace.write = record.say
        return error

    def _end_step(self, record: _Record, step: cloudbuild_v1.BuildStep, error: StepError | None, began: object) -> None:
        step.timing = cloudbuild_v1.TimeSpan(start_time=began, end_time=self._world.clock.timestamp())
        step.exit_code = error.code if error else 0
        if error is None:
            step.status = SUCCESS
        else:
            step.status = record.ends_as if record.stopped.is_set() else FAILURE
        record.build.results.build_step_images.append("")
        record.build.results.build_step_outputs.append(b"")

    def _push_images(self, record: _Record, workspace: Workspace) -> None:
        for reference in record.build.images:
            began = self._world.clock.timestamp()
            try:
                digest = workspace.push(reference)
            except StepError as error:
                kind = PUSH_FAILED
                if reference not in workspace.images:
                    kind = PUSH_IMAGE_NOT_FOUND
                self._fail(record, kind, str(error))
                return
            span = cloudbuild_v1.TimeSpan(start_time=began, end_time=self._world.clock.timestamp())
            # An image without a tag is listed a second time with the tag that it got.
            tagged = ":" in reference.rpartition("/")[2]
            names = [reference] if tagged else [reference, f"{reference}:latest"]
            with self._lock:
                for name in names:
                    built = cloudbuild_v1.BuiltImage(name=name, digest=digest, push_timing=span)
                    record.build.results.images.append(built)

    def _fail(self, record: _Record, kind: cloudbuild_v1.Build.FailureInfo.FailureType, detail: str) -> None:
        record.say("ERROR")
        record.say(f"ERROR: {detail}")
        with self._lock:
            record.build.failure_info = cloudbuild_v1.Build.FailureInfo(type_=kind, detail=detail)

    @contextmanager
    def _timed(self, build: cloudbuild_v1.Build, phase: str) -> Iterator[None]:
        began = self._world.clock.timestamp()
        try:
            yield
        finally:
            with self._lock:
                build.timing[phase] = cloudbuild_v1.TimeSpan(start_time=began, end_time=self._world.clock.timestamp())


def _names(source: cloudbuild_v1.RepoSource) -> list[tuple[str, str]]:
    return [("heads", source.branch_name), ("tags", source.tag_name)]


def _ref_substitutions(ref: str) -> dict[str, str]:
    kind, _, name = ref.removeprefix("refs/").partition("/")
    key = {"heads": "BRANCH_NAME", "tags": "TAG_NAME"}.get(kind)
    return {"REF_NAME": name, key: name} if key else {}


def _resolve(repository: Path, ref: str) -> str:
    """The commit a ref is at.

    :raises ApiError: INVALID_ARGUMENT without a ref, FAILED_PRECONDITION for one that is not there.
    """
    if not ref:
        raise invalid_argument("source must name a branch, a tag or a commit")
    try:
        return _git(repository, "rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}").decode().strip()
    except SourceError:
        raise failed_precondition("Couldn't read commit") from None


def _check_out(repository: Path, commit: str, target: Path) -> None:
    """Put the files of a commit into a folder.

    :raises SourceError: where the repository does not have it.
    """
    if not _COMMIT.fullmatch(commit):
        raise SourceError(f"fatal: couldn't find remote ref {commit}")
    try:
        # By way of an index of its own: the repository's work tree, and what is staged there, are somebody's.
        elsewhere = {"GIT_INDEX_FILE": str(target.parent / "index"), "GIT_WORK_TREE": str(target)}
        target.mkdir(parents=True)
        _git(repository, "read-tree", commit, variables=elsewhere)
        _git(repository, "checkout-index", "--all", variables=elsewhere)
    except SourceError:
        raise SourceError(f"fatal: couldn't find remote ref {commit}") from None


def _git(repository: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> bytes:
    # Variables such as GIT_DIR, set where the emulator is started from a hook, would lead to another repository.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        return subprocess.run(
            ["git", "-C", str(repository), *arguments],
            check=True,
            capture_output=True,
            env=kept | dict(variables or {}),
        ).stdout
    except subprocess.CalledProcessError as error:
        raise SourceError(error.stderr.decode(errors="replace").strip()) from error
