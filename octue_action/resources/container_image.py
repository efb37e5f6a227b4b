"""The container image of one commit: not built again where it is there, or being built, already."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from octue_action.failure import Failure, GoogleError
from octue_action.resource import Mark, Permissions, Resource
from octue_action.resources.build_trigger import UPDATES_SERVICE

if TYPE_CHECKING:
    from google.cloud.devtools import cloudbuild_v1

    from octue_action.google import Google

BUILD_SECONDS = 60 * 60.0
"""How long a build may take, queue included: Cloud Build's own default timeout."""

RECENT_BUILDS = 50
"""How many of the newest builds are looked through for one of this commit."""

APPEARANCE_SECONDS = 10.0
"""How long the build of a push may take to appear after the push that also started this workflow."""

LOST_SECONDS = 2 * 60.0
"""How long a build whose begin got no answer is looked for, before another one is begun, which costs more."""


@dataclass(frozen=True, kw_only=True)
class ContainerImage(Resource):
    """The image whose tag is the commit.

    :param location: of the repository and of the build trigger.
    :param repository_id: Artifact Registry repository.
    :param image_name: name within the repository.
    :param commit: full SHA, the tag.
    :param trigger: resource name of the build trigger that makes it.
    :param build_tag: tag of the builds that this trigger makes.
    :param trigger_stands: whether the trigger was there before this run, and so may have built already.
    :param pushed: whether the push that started this workflow also starts the trigger.
    :param may_be_begun: whether this run may have started the trigger already, without an answer.
    :param digest: of an actual image: ``sha256:...``.
    :param build_log_url: of an image that was built in this run: where its log is.
    """

    kind: ClassVar[str] = "container_image"
    title: ClassVar[str] = "Container image"

    project_id: Annotated[str, Mark.IDENTITY]
    location: Annotated[str, Mark.IDENTITY]
    repository_id: Annotated[str, Mark.IDENTITY]
    image_name: Annotated[str, Mark.IDENTITY]
    commit: Annotated[str, Mark.IDENTITY]
    trigger: Annotated[str, Mark.IDENTITY]
    build_tag: Annotated[str, Mark.IDENTITY]
    trigger_stands: Annotated[bool, Mark.IDENTITY] = True
    pushed: Annotated[bool, Mark.IDENTITY] = False
    may_be_begun: Annotated[bool, Mark.IDENTITY] = False
    digest: Annotated[str, Mark.OUTPUT] = ""
    build_log_url: Annotated[str, Mark.OUTPUT] = ""

    @property
    def name(self) -> str:
        return f"{self.image_name}:{self.commit[:12]}"

    @property
    def console_url(self) -> str:
        return (
            f"https://console.cloud.google.com/artifacts/docker/{self.project_id}/{self.location}/{self.repository_id}"
            f"/{self.image_name}?project={self.project_id}"
        )

    @property
    def origin(self) -> str:
        return f"built from commit {self.commit} by the build trigger {self.trigger.rpartition('/')[2]}"

    @property
    def permissions(self) -> Permissions:
        return Permissions(
            read=("artifactregistry.tags.get",),
            create=("cloudbuild.builds.create", "cloudbuild.builds.get", "cloudbuild.builds.list"),
        )

    def read(self, google: Google) -> Self | None:
        from google.cloud import artifactregistry_v1

        name = (
            f"projects/{self.project_id}/locations/{self.location}/repositories/{self.repository_id}"
            f"/packages/{self.image_name}/tags/{self.commit}"
        )
        tag = google.find(google.artifact_registry.get_tag, artifactregistry_v1.GetTagRequest(name=name))
        return replace(self, digest=tag.version.rpartition("/")[2]) if tag is not None else None

    def create(self, google: Google) -> Self:
        # The build of the commit may have ended since the image was looked for, or its image been deleted.
        for find in (self._build_of_commit, self._run_trigger) if self.trigger_stands else (self._run_trigger,):
            build = find(google)
            if build is None:
                continue
            build = self._wait(google, build)
            image = self.read(google)
            if image is not None:
                return replace(image, build_log_url=build.log_url)
        raise Failure(f"The build succeeded, but there is no image {self.image_name}:{self.commit}.")

    def update(self, google: Google, actual: Self) -> Self:
        return actual

    def retried(self) -> Self:
        return replace(self, trigger_stands=True, may_be_begun=True)

    def delete(self, google: Google) -> None:
        """Nothing: images go with their repository."""

    def _build_of_commit(self, google: Google) -> cloudbuild_v1.Build | None:
        """The build of this commit that runs or has succeeded, if any, waiting a little for one that has just begun."""
        seconds = LOST_SECONDS if self.may_be_begun else APPEARANCE_SECONDS if self.pushed else 0.0
        for _ in google.poll(seconds, begun=self.may_be_begun, first=1.0, growth=1.5):
            build = next(iter(self._builds(google)), None)
            if build is not None:
                return build
        return None

    def _builds(self, google: Google) -> list[cloudbuild_v1.Build]:
        from google.cloud.devtools import cloudbuild_v1

        request = cloudbuild_v1.ListBuildsRequest(
            parent=f"projects/{self.project_id}/locations/{self.location}",
            # Cloud Build can filter by tag, and is not known to filter by substitution.
            filter=f'tags="{self.build_tag}"',
            page_size=RECENT_BUILDS,
        )
        newest = next(iter(google.read(google.cloud_build.list_builds, request).pages))
        return [
            build
            for build in newest.builds
            if build.substitutions.get("COMMIT_SHA") == self.commit
            and (_is_under_way(build) or build.status == cloudbuild_v1.Build.Status.SUCCESS)
        ]

    def _run_trigger(self, google: Google) -> cloudbuild_v1.Build:
        from google.cloud.devtools import cloudbuild_v1

        source = cloudbuild_v1.RepoSource(commit_sha=self.commit, substitutions={UPDATES_SERVICE: "false"})
        request = cloudbuild_v1.RunBuildTriggerRequest(name=self.trigger, source=source)
        build: cloudbuild_v1.Build = google.write(google.cloud_build.run_build_trigger, request).metadata.build
        return build

    def _wait(self, google: Google, build: cloudbuild_v1.Build) -> cloudbuild_v1.Build:
        from google.cloud.devtools import cloudbuild_v1

        google.progress(f"Building {self.name}: {build.log_url}")
        request = cloudbuild_v1.GetBuildRequest(
            name=f"projects/{self.project_id}/locations/{self.location}/builds/{build.id}"
        )
        for _ in google.poll(BUILD_SECONDS, at_once=False):
            build = google.read(google.cloud_build.get_build, request)
            if build.status == cloudbuild_v1.Build.Status.SUCCESS:
                return build
            if not _is_under_way(build):
                if self.read(google) is not None:
                    # The build's last step updates the service, which this run does itself.
                    google.progress(f"The build pushed the image, and then ended with {build.status.name}.")
                    return build
                raise _build_failure(build, self.project_id)
        raise Failure(
            f"The build takes longer than {BUILD_SECONDS / 60:.0f} minutes.",
            f"Read its log, and see what it waits for:\n{build.log_url}",
            build.log_url,
        )


def _is_under_way(build: cloudbuild_v1.Build) -> bool:
    return build.status.name in {"PENDING", "QUEUED", "WORKING"}


def _build_failure(build: cloudbuild_v1.Build, project_id: str) -> GoogleError:
    from octue_action.logs import BuildLog

    failed = {n: s for n, s in enumerate(build.steps) if s.status.name in {"FAILURE", "INTERNAL_ERROR", "TIMEOUT"}}
    number, first = next(iter(failed.items()), (None, None))
    step = f" at the step `{first.id or first.name}`" if first is not None else ""
    detail = build.failure_info.detail or build.status_detail
    reason = build.failure_info.type_.name if build.failure_info.type_ else ""
    about = {"log_url": build.log_url, "account": build.service_account.rpartition("/")[2]}
    ended = GoogleError("build", build.status.name, detail, reason, metadata=about, is_of_operation=True)
    ended.message = f"The build of the image ended with {build.status.name}{step}{': ' + detail if detail else ''}."
    ended.log_url = build.log_url
    ended.log_source = BuildLog(project_id=project_id, build_id=build.id, shown_at=build.log_url, step=number)
    return ended
