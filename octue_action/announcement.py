"""What is shown on GitHub: the plan on the pull request, drift as an issue, and deployments.

None of it decides about a run: what GitHub refuses or does not answer is a warning that says what is missing.
"""

from __future__ import annotations

import concurrent.futures
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from octue_action import names
from octue_action.annotations import warn
from octue_action.cancellation import Cancellation, Cancelled
from octue_action.github_context import pull_request_of

if TYPE_CHECKING:
    from octue_action.deployment import Deployment
    from octue_action.github import GitHub
    from octue_action.runner import Runner
    from octue_action.settings import Settings

TITLE = "Not shown on GitHub"

LAST_SECONDS = 2.0
"""How long telling GitHub how a cancelled run ended may take."""

MOST_ENVIRONMENTS = 5
"""Services that have a deployment on GitHub each; more have one together.

Each takes three requests that create something, one after the other as GitHub wants it, and it allows 80 of them in a
minute and 500 in an hour (docs.github.com/en/rest, "Rate limits for the REST API").
"""

_MOST_IN_TITLE = 3
"""Services that the title of an issue names."""

_CONSOLE = "https://console.cloud.google.com/run?project="

_COMMIT = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True)
class _Shown:
    """A deployment on GitHub: of one service, or of all that a run has where they are many.

    :param environment: its name on GitHub.
    :param commit: the full SHA of what is deployed.
    :param services: Cloud Run names.
    """

    environment: str
    commit: str
    services: tuple[str, ...]

    @property
    def label(self) -> str:
        """What it is of, in a sentence."""
        return self.services[0] if len(self.services) == 1 else f"{len(self.services)} services"


class Announcement:
    """Shows on GitHub what a run does, where there is a token for it.

    :param settings: with the token, if any.
    :param runner: told what could not be shown.
    :param cancellation: after which GitHub is not asked any more.
    """

    def __init__(self, settings: Settings, runner: Runner, cancellation: Cancellation) -> None:
        self._settings = settings
        self._runner = runner
        self._cancellation = cancellation
        # One thread: what is begun is ended after it, and the deployment does not wait for either.
        self._pool = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="github")
        self._begun: dict[_Shown, int] = {}
        self._is_refused = False

    def show_plan(self, page: str, deployments: Sequence[Deployment]) -> None:
        """Show a plan as the one comment on the pull request that this run is for, if it is for one."""
        pull_request = pull_request_of(self._settings.github)
        if pull_request is None:
            return
        if pull_request.is_fork:
            reason = "it is from a fork, whose runs may not write to this repository"
        elif self._settings.github_token is None:
            reason = "the step has no `github_token`"
        else:
            with self._warning("The plan is not shown on the pull request"):
                url = self._github().show_comment(pull_request.number, self._key(deployments), self._signed(page))
                self._runner.info(f"The plan is shown on the pull request: {url}")
            return
        self._runner.info(f"No comment on the pull request, since {reason}. The plan is in the summary of this run.")

    def show_drift(self, page: str, deployments: Sequence[Deployment], *, is_there: bool) -> None:
        """Open or update the one issue about drift; close it where there is none any more."""
        if self._settings.github_token is None:
            if is_there:
                self._runner.info("No issue is opened, since the step has no `github_token`.")
            return
        key, body = self._key(deployments), self._signed(page)
        what = (
            "The drift is not shown as an issue" if is_there else "The issue about drift, if there is one, stays open"
        )
        with self._warning(what):
            if is_there:
                services = [deployment.service.service for deployment in deployments]
                named = ", ".join(services) if len(services) <= _MOST_IN_TITLE else f"{len(services)} services"
                url = self._github().open_issue(key, f"Drift: {named} in {self._settings.project_id}", body)
                self._runner.info(f"The drift is shown in {url}")
            elif closed := self._github().close_issue(key, body):
                self._runner.info(f"There is no drift any more: closed {closed}")

    def begin(self, deployments: Sequence[Deployment]) -> None:
        """Show deployments that are in progress, while they are."""
        if self._settings.github_token is not None:
            self._pool.submit(self._begin, self._shown(deployments))

    def end(self, urls: Mapping[str, str], description: str) -> None:
        """Show how the deployments that were begun have ended.

        :param urls: the service's page in the console, by Cloud Run name, of those that succeeded.
        :param description: of those that failed.
        """
        if self._settings.github_token is not None:
            with suppress(Cancelled):
                self._pool.submit(self._end, urls, description).result()

    def retire(self, services: Sequence[str]) -> None:
        """Show that services are gone.

        :param services: by Cloud Run name.
        """
        if self._settings.github_token is None:
            return
        for environment in self._environments(services):
            if self._is_refused:
                return
            with suppress(Cancelled), self._warning(f"That {environment} is gone is not shown among the deployments"):
                self._github().retire_deployments(environment)

    def _begin(self, shown: Sequence[_Shown]) -> None:
        for it in shown:
            if self._is_refused:  # what GitHub refuses for one it refuses for all, and each takes its time
                return
            with self._warning(f"The deployment of {it.label} is not shown"):
                self._begun[it] = self._github(it.commit).begin_deployment(
                    it.environment,
                    description=f"{it.label} to Cloud Run",
                    is_preview=self._settings.preview is not None,
                )

    def _end(self, urls: Mapping[str, str], description: str) -> None:
        for it, deployment in self._begun.items():
            if self._is_refused:
                return
            with self._warning(f"How the deployment of {it.label} ended is not shown"):
                bad = [service for service in it.services if service not in urls]
                if not bad:
                    url = urls[it.services[0]] if len(it.services) == 1 else f"{_CONSOLE}{self._settings.project_id}"
                    self._github().end_deployment(deployment, "success", environment_url=url)
                    if self._settings.preview is not None:  # GitHub itself sees to others than what does not last
                        self._github().retire_deployments(it.environment, but=deployment)
                else:
                    which = f"{len(bad)} of {it.label}: " if len(it.services) > 1 else ""
                    self._github().end_deployment(deployment, "failure", description=f"{which}{description}")

    def _github(self, commit: str | None = None) -> GitHub:
        from octue_action.github import GitHub

        context, cancellation = self._settings.github, self._cancellation
        if cancellation.asked:
            # What is shown as in progress must not stay so: there are still a few seconds to say how it ended.
            cancellation = Cancellation()
            cancellation.limit(LAST_SECONDS)
        return GitHub(replace(context, commit=commit or context.commit), str(self._settings.github_token), cancellation)

    def _commit_of(self, deployment: Deployment) -> str:
        """The commit of what serves in the end: after a rollback an earlier one, whose image has it as its tag."""
        image = deployment.serving_image or deployment.service.image
        tag = image.rpartition(":")[2]
        project = self._settings.project_id
        # It may have been called after itself, or after another of those that it is built with.
        own = {
            names.image(it.region, project, name, tag) for it in self._settings.services for name in it.built_together
        }
        return tag if _COMMIT.fullmatch(tag) and image in own else self._settings.github.commit

    @contextmanager
    def _warning(self, what: str) -> Iterator[None]:
        from octue_action.github import GitHubError

        try:
            yield
        except GitHubError as error:
            self._is_refused = True
            error.message = f"{what}: {error.message}"
            warn(error, TITLE, self._runner)

    def _shown(self, deployments: Sequence[Deployment]) -> list[_Shown]:
        """The deployments on GitHub that show what a run does."""
        services = [deployment.service.service for deployment in deployments]
        commits = [self._commit_of(deployment) for deployment in deployments]
        environments = self._environments(services)
        if len(environments) == len(services):
            every = zip(environments, commits, services, strict=True)
            return [_Shown(environment, commit, (service,)) for environment, commit, service in every]
        commit = commits[0] if len(set(commits)) == 1 else self._settings.github.commit
        return [_Shown(environments[0], commit, tuple(services))]

    def _environments(self, services: Sequence[str]) -> list[str]:
        """GitHub's names of what services are deployed to: one for each, or one for all of octue.yaml's."""
        if len(services) <= MOST_ENVIRONMENTS:
            return [f"{service} ({self._settings.project_id})" for service in services]
        of = " ".join(filter(None, [self._settings.config, self._settings.preview]))
        return [f"{of} ({self._settings.project_id})"]

    def _key(self, deployments: Sequence[Deployment]) -> str:
        return names.key(deployment.service.resource_name for deployment in deployments)

    def _signed(self, page: str) -> str:
        return f'{page}\n<sub><a href="{self._settings.github.run_url}">The run that says so</a></sub>\n'
