"""``python -m octue_action.bootstrap``: sets a project up for deployments from a repository; its owner runs it once.

It is the same graph and the same comparison as a deployment's (docs/decisions/0023-bootstrap.md): what is there is
read, what differs is told, and changed when that is wanted.
"""

from __future__ import annotations

import argparse
import functools
import logging
import os
import re
import select
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, TextIO

from octue_action import permissions, preflight, project_setup, quirks, regions, report, values
from octue_action.apply import Outcome, Status, apply
from octue_action.cancellation import Cancellation, Cancelled
from octue_action.catalogue import OWNERS_ROLES, ROLES
from octue_action.diagnosis import explained
from octue_action.failure import Failure, GoogleError, fault
from octue_action.google import Google
from octue_action.plan import Action, Plan, make_plan
from octue_action.problems import Rejected
from octue_action.project_setup import ProjectSetup
from octue_action.resource import ADOPT, Resource
from octue_action.resources.iam_role import RoleIsGone
from octue_action.resources.project_service import project_number
from octue_action.runner import Runner
from octue_action.session import SCOPE, session_for
from octue_action.settings import EMULATOR_VARIABLE

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

SUCCESS, FAILURE, BAD_ARGUMENTS = 0, 1, 2

TOKEN_VARIABLE = "GOOGLE_OAUTH_ACCESS_TOKEN"  # noqa: S105 - the name of a variable, which Terraform has too
"""An access token to use in place of Application Default Credentials."""

GITHUB_SECONDS = 20.0

RESOURCE_MANAGER = "project_service.cloudresourcemanager.googleapis.com"
"""The API that tells which permissions somebody has, by its address in the plan."""

_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")
_BRANCH = re.compile(r"[\w./@+~#-]+", re.ASCII)
"""A branch that can stand in the condition as it is: Git allows more, and quotes among it."""
_NUMBER = re.compile(r"[0-9]{1,20}")
_DEPLOYER_ID = re.compile(rf"(?!({'|'.join(project_setup.TAKEN)})$)[a-z][a-z0-9-]{{4,28}}[a-z0-9]")
_TAKEN = ", ".join(project_setup.TAKEN)
_PROVIDER_ID = re.compile(r"(?!gcp-)[a-z0-9-]{4,32}")

Ask = Callable[[str], str]


def main(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    stream: TextIO | None = None,
    *,
    ask: Ask | None = None,
    cancellation: Cancellation | None = None,
) -> int:
    """Run the command once.

    :param arguments: of the command line.
    :param environment: where an emulator may stand, and a token.
    :param stream: what is written to; standard output where none is given.
    :param ask: puts a question to the person at the keyboard, and gives the answer.
    :param cancellation: ends the run before its time.
    :returns: 0 when all is as it should be, 1 when it is not, 2 when the arguments cannot be used, 128 and the signal's
        number when it was interrupted.
    """
    told = Runner({}, stream)
    cancellation = cancellation or Cancellation()
    try:
        given = _parser().parse_args(arguments)
    except SystemExit as end:
        return BAD_ARGUMENTS if end.code else SUCCESS
    command = _Command(given, environment, told, ask or _at_keyboard(cancellation), cancellation)
    cancellation.tell = lambda: told.info(command.interruption)
    try:
        return command.run()
    except (Cancelled, KeyboardInterrupt):
        if not cancellation.asked:
            cancellation.ask()
        told.info(command.interruption)
        return cancellation.exit_code
    except Failure as failure:
        _tell(failure, told)
        return FAILURE
    except Exception as error:  # noqa: BLE001 - a fault of our own must still end in words that help
        _tell(fault(error, mode="bootstrap"), told)
        return FAILURE


_NOTHING = "Nothing was changed."
_AGAIN = "Run the same command again: it goes on from what is there."


class _Command:
    """One run of the command.

    :param given: its arguments.
    :param told: where it is told what is done.
    """

    def __init__(
        self,
        given: argparse.Namespace,
        environment: Mapping[str, str],
        told: Runner,
        ask: Ask,
        cancellation: Cancellation,
    ) -> None:
        self._given = given
        self._environment = environment
        self._told = told
        self._ask = ask
        self._cancellation = cancellation
        self._has_begun = False

    @property
    def interruption(self) -> str:
        """What is told where it is ended before its time."""
        return f"\nInterrupted. {_AGAIN if self._has_begun else _NOTHING}"

    @functools.cached_property
    def _google(self) -> Google:
        emulator = self._environment.get(EMULATOR_VARIABLE) or None
        if emulator is not None:
            emulator = _checked(EMULATOR_VARIABLE, values.emulator, emulator)
        credentials = _credentials(self._environment, self._given.project)
        patience = (quirks.API_NOT_YET_ON,)
        return Google(credentials, emulator, self._told.info, self._cancellation, patience)

    def run(self) -> int:
        """Read, tell, ask, and do it."""
        setup = self._setup()
        wanted = project_setup.resources(setup)
        plan = self._planned(setup, wanted)
        for line in report.plan_lines(plan):
            self._told.info(line)
        if plan.refusals:
            for refusal in plan.refusals:
                _tell(refusal, self._told)
            return FAILURE
        if plan.has_changes and self._given.dry_run:
            self._told.info("This was a dry run: nothing was changed. Without --dry-run the command does it.")
            return SUCCESS
        if plan.has_changes and not self._is_confirmed():
            self._told.info(_NOTHING)
            return FAILURE
        if plan.has_changes and not self._done(plan, setup):
            return FAILURE
        self._told.info(_ending(setup))
        return SUCCESS

    def _setup(self) -> ProjectSetup:
        given = self._given
        repository_id, owner_id = given.repository_id, given.owner_id
        if not (repository_id and owner_id):
            numbers = repository_numbers(given.repository, self._environment)
            repository_id, owner_id = repository_id or numbers[0], owner_id or numbers[1]
        try:
            number = project_number(self._google, given.project)
        except GoogleError as error:
            raise self._unseen(error) from error
        return ProjectSetup(
            project_id=given.project,
            project_number=number,
            repository=given.repository,
            repository_id=repository_id,
            owner_id=owner_id,
            region=given.region,
            branch=given.branch,
            pull_requests=given.pull_requests,
            destroys=not given.no_destroy,
            octue_role=given.octue_role or "",
            services=tuple(given.service),
            provider_id=given.provider,
            deployer_id=given.deployer,
        )

    def _planned(self, setup: ProjectSetup, wanted: Sequence[Resource]) -> Plan:
        """What there is to do, refused where whoever runs this may not do it, or what is there is somebody else's."""
        try:
            plan = make_plan(wanted, self._google, adopt=self._given.adopt)
        except GoogleError as error:
            raise self._explained(error) from error
        foreign = tuple(_with_way_out(refusal, setup) for refusal in plan.refusals)
        # As long as Resource Manager is off nobody can be asked; then Google Cloud refuses what may not be done.
        is_asked = plan.by_address[RESOURCE_MANAGER].action is Action.NO_OP
        lacking = self._lacking(plan) if is_asked and plan.has_changes else ()
        return replace(plan, refusals=(*foreign, *lacking))

    def _lacking(self, plan: Plan) -> tuple[Failure, ...]:
        asked = {need.permission for change in plan.changes for need in change.resource.needs(change.action)}
        try:
            held = self._google.held(f"projects/{self._given.project}", sorted(asked))
        except GoogleError as error:
            raise self._explained(error) from error
        lacks = preflight.lacks(plan, self._google, held)
        needed = {lack.need.permission: lack.purpose for lack in lacks}
        return (missing_permissions(needed, self._given.project),) if needed else ()

    def _is_confirmed(self) -> bool:
        if self._given.yes:
            return True
        try:
            return self._ask("Shall this be done? [y/N] ").strip().lower() in {"y", "yes"}
        except EOFError:
            self._told.info("Nobody is there to ask: --yes does it without asking.")
            return False

    def _done(self, plan: Plan, setup: ProjectSetup) -> bool:
        """Whether all of the plan has been carried out."""
        self._has_begun = True
        outcomes = apply(plan, self._google, self._tell_outcome)
        if any(outcome.is_cut_short for outcome in outcomes):
            raise Cancelled
        failures = [outcome.failure for outcome in outcomes if outcome.failure is not None]
        for failure in failures:
            _tell(_with_way_out(self._explained(failure), setup), self._told)
        if failures:
            self._told.info(f"\nNot everything was done. {_AGAIN}")
        return not failures

    def _tell_outcome(self, outcome: Outcome) -> None:
        if outcome.status is not Status.UNCHANGED:
            self._told.info(report.outcome_line(outcome))

    def _unseen(self, failure: GoogleError) -> Failure:
        """The same of the first question, which a project that is not there is refused like one of somebody else's."""
        is_of_project = failure.reason not in {*_OF_CREDENTIALS, "SERVICE_DISABLED"}
        if not is_of_project or failure.status not in {"PERMISSION_DENIED", "NOT_FOUND"}:
            return self._explained(failure)
        return Failure(
            f"There is no project {self._given.project}, or you may not see it.\nGoogle's answer: {failure.message}",
            "Look which ones you may see; it is the id that counts, not the name:\ngcloud projects list",
        )

    def _explained(self, failure: Failure) -> Failure:
        """The failure as the owner of a project is told it."""
        if not isinstance(failure, GoogleError):
            return failure
        project = self._given.project
        if failure.status == "UNAUTHENTICATED":
            return Failure(
                "Google Cloud does not accept your credentials: they are wrong, or have expired.",
                f"Sign in again, or give a new token in {TOKEN_VARIABLE}:\ngcloud auth application-default login",
            )
        if "billing" in failure.said.lower():
            message = f"The project {project} has no billing account, without which these APIs cannot be switched on."
            url = f"https://console.cloud.google.com/billing/linkedaccount?project={project}"
            return Failure(f"{message}\nGoogle's answer: {failure.message}", f"Link one, and run this again:\n{url}")
        permission = failure.metadata.get("permission", "")
        if failure.status == "PERMISSION_DENIED" and failure.reason != "SERVICE_DISABLED":
            told = missing_permissions({permission: "which was refused"} if permission else {}, project)
            return Failure(f"{told.message}\nGoogle's answer: {failure.message}", told.remedy)
        return explained(failure, project_id=project, region=self._given.region, mode="bootstrap")


def _at_keyboard(cancellation: Cancellation) -> Ask:
    """What asks at the keyboard for as long as the run is not to end, which ``input`` would not know of.

    It raises ``EOFError`` where nobody is there.
    """

    def ask(question: str) -> str:
        if sys.stdin is None or sys.stdin.closed:
            raise EOFError
        sys.stdout.write(question)
        sys.stdout.flush()
        while not select.select([sys.stdin], [], [], _KEYBOARD_SECONDS)[0]:
            cancellation.check()
        answer = sys.stdin.readline()
        if not answer:
            raise EOFError
        return answer

    return ask


_KEYBOARD_SECONDS = 0.1

_OF_CREDENTIALS = ("USER_PROJECT_DENIED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT")
"""Reasons for which Google refuses whoever asks, whatever they ask for (google.api.ErrorReason)."""


def missing_permissions(lacking: Mapping[str, str], project_id: str) -> Failure:
    """That whoever runs this may not do all of it, and what the owner can do about it.

    :param lacking: the permissions, each with what it is for.
    """
    listed = "".join(f"\n- {permission}, {purpose}" for permission, purpose in sorted(lacking.items()))
    said = f"You may not do all that this needs in the project {project_id}." + (
        f" You lack:{listed}" if listed else ""
    )
    roles = sorted({_role_with(permission) for permission in lacking}) or ["roles/owner"]
    commands = "\n".join(
        f"gcloud projects add-iam-policy-binding {project_id} --member=user:YOUR-EMAIL --role={role} --condition=None"
        for role in roles
    )
    return Failure(said, f"Let whoever owns the project run this command, or give you what you lack:\n{commands}")


def _role_with(permission: str) -> str:
    """One of Google's own roles with a permission that setting a project up takes."""
    roles = (*OWNERS_ROLES, *ROLES)
    return next((role for pattern, role in roles if re.fullmatch(pattern, permission)), "roles/owner")


def repository_numbers(repository: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """GitHub's numbers of a public repository and of its owner.

    :param repository: ``owner/name``.
    :param environment: ``GITHUB_API_URL`` is read, for GitHub Enterprise Server.
    :raises Failure: where GitHub does not tell them, with the way to find them.
    """
    import requests

    api = environment.get("GITHUB_API_URL") or "https://api.github.com"
    try:
        answer = session_for(emulator=EMULATOR_VARIABLE in environment).get(
            f"{api}/repos/{repository}", timeout=GITHUB_SECONDS
        )
        answer.raise_for_status()
        found = answer.json()
        return str(int(found["id"])), str(int(found["owner"]["id"]))
    except Exception as error:  # whatever it is, the person can look the numbers up
        is_hidden = isinstance(error, requests.HTTPError) and error.response.status_code == HTTPStatus.NOT_FOUND
        why = "private repositories it shows only to those who are signed in" if is_hidden else type(error).__name__
        raise Failure(
            f"GitHub at {api} does not tell the numbers of {repository}: {why}.",
            f"Look them up with the first command, and add them to this one:\n"
            f"gh api repos/{repository} --jq '\"--repository-id=\\(.id) --owner-id=\\(.owner.id)\"'",
        ) from error


def _credentials(environment: Mapping[str, str], project_id: str) -> Credentials:
    """Those of whoever is at the keyboard: a token, or Application Default Credentials."""
    import google.auth
    import google.auth.exceptions
    from google.oauth2 import credentials

    if token := environment.get(TOKEN_VARIABLE):
        return credentials.Credentials(token, quota_project_id=project_id)
    try:
        found, _ = google.auth.default(scopes=[SCOPE], quota_project_id=project_id)
    except google.auth.exceptions.DefaultCredentialsError:
        raise Failure(
            "There are no credentials of Google Cloud here.",
            "Run this in Cloud Shell, https://shell.cloud.google.com , or sign in first:\n"
            "gcloud auth application-default login",
        ) from None
    signed_in: Credentials = found
    return signed_in


def _with_way_out(refusal: Failure, setup: ProjectSetup) -> Failure:
    """The refusal of what somebody else has made, or deleted for good, with what can be done about it here."""
    if isinstance(refusal, RoleIsGone):
        return Failure(refusal.message, _another_role(refusal.role_id, setup))
    if refusal.remedy != ADOPT:
        return refusal
    return Failure(
        refusal.message.replace("this workflow", "this command"),
        "If it was made by hand for the same purpose, take it over: what differs is shown above, and is changed.\n"
        "--adopt\n"
        f"If it is for another repository, give {setup.repository} its own:\n"
        "--provider=ANOTHER-NAME --deployer=ANOTHER-NAME",
    )


def _another_role(role_id: str, setup: ProjectSetup) -> str:
    """What to do where a role cannot be called so."""
    if role_id == setup.deployer_role_id:
        return "Give the deployer another name, after which its role is called, too:\n--deployer=ANOTHER-NAME"
    another = f"{role_id}_2"
    return (
        "Make the role under another name, and add the last line to this command:\n"
        f"gcloud iam roles create {another} --project={setup.project_id} --title=octue-service-user "
        f"--permissions={','.join(permissions.OCTUE_SERVICE)}\n"
        f"--octue-role=projects/{setup.project_id}/roles/{another}"
    )


def _ending(setup: ProjectSetup) -> str:
    """What is left to do, and the step to paste."""
    indented = "\n".join(f"      {line}" for line in project_setup.step(setup).splitlines())
    return (
        f"\nThe project {setup.project_id} is ready for {setup.repository}.\n\n"
        "One thing only a person can do: connect the repository to Cloud Build, in the region of the service:\n"
        f"{setup.connect_url}\n\n"
        f"Then this step deploys it, in a workflow of {setup.repository} (the README has the whole of one):\n\n"
        f"{indented}\n\n"
        "And these are the first lines of its service in octue.yaml:\n\n"
        f"    project_name: {setup.project_id}\n    region: {setup.region}"
    )


def _tell(failure: Failure, told: Runner) -> None:
    remedy = f"\nWhat to do:\n{failure.remedy}" if failure.remedy else ""
    told.info(f"\n{failure.message}{remedy}")


def _checked(what: str, check: Callable[[str], str], text: str) -> str:
    try:
        return check(text)
    except Rejected as rejected:
        raise Failure(f"{what} is {text!r}: {rejected.reason}.", f"Expected: {rejected.expected}.") from None


def _argument(check: Callable[[str], str]) -> Callable[[str], str]:
    """An argument that is checked like the input that it will be."""

    def read(text: str) -> str:
        try:
            return check(text)
        except Rejected as rejected:
            told = f"{text!r} is not {rejected.expected}.{rejected.hint}"
            if rejected.reason:
                told = f"{text!r}: {rejected.reason}. Expected: {rejected.expected}.{rejected.hint}"
            raise argparse.ArgumentTypeError(told) from None

    return read


def _region(text: str) -> str:
    """A region in which an Octue service can run, as far as is known."""
    region = values.region(text)
    try:
        regions.refuse_misspelt(region)
        regions.refuse_unserved(region)
    except Rejected as rejected:
        expected = rejected.expected.replace("`region: ", "`--region=")
        raise Rejected(rejected.reason, expected, rejected.hint) from None
    return region


def _like(pattern: re.Pattern[str], expected: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not pattern.fullmatch(text):
            raise argparse.ArgumentTypeError(f"{text!r} is not {expected}")
        return text

    return read


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m octue_action.bootstrap",
        description="Sets a Google Cloud project up for deployments of Octue services from one GitHub repository. "
        "It reads what is there, says what it would change, and asks. Safe to run again.",
        allow_abbrev=False,
    )
    parser.add_argument("--project", required=True, type=_argument(values.project_id), help="the project's id")
    parser.add_argument(
        "--repository", required=True, type=_like(_REPOSITORY, "owner/name"), help="owner/name on GitHub"
    )
    parser.add_argument(
        "--region", required=True, type=_argument(_region), help="where its services will be: europe-west1"
    )
    numbers = _like(_NUMBER, "a number")
    parser.add_argument("--repository-id", type=numbers, help="GitHub's number of a repository that is private")
    parser.add_argument("--owner-id", type=numbers, help="GitHub's number of its owner")
    parser.add_argument(
        "--branch", default="main", type=_like(_BRANCH, "a branch"), help="from which it may deploy (default: main)"
    )
    parser.add_argument(
        "--pull-requests", action="store_true", help="let in pull requests of its own branches, for previews and plans"
    )
    parser.add_argument("--no-destroy", action="store_true", help="do not let it delete what it has made")
    parser.add_argument("--octue-role", type=_argument(values.role), help="full name of a role that is there already")
    parser.add_argument(
        "--service", action="append", default=[], type=_argument(values.name), help="make its image repository now"
    )
    parser.add_argument(
        "--provider",
        default=project_setup.PROVIDER,
        type=_like(_PROVIDER_ID, "4 to 32 lower case letters, digits and hyphens"),
        help="the provider's name, of its own where several repositories share the project (default: octue)",
    )
    parser.add_argument(
        "--deployer",
        default=project_setup.DEPLOYER,
        type=_like(_DEPLOYER_ID, f"6 to 30 lower case letters, digits and hyphens, and none of {_TAKEN}"),
        help="the name of the account that it acts as, the same (default: deployer)",
    )
    parser.add_argument("--adopt", action="store_true", help="take over what was made by hand")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--yes", action="store_true", help="do it without asking")
    return parser


if __name__ == "__main__":
    stop = Cancellation.by_signals()
    logging.getLogger().addHandler(logging.NullHandler())  # what libraries log may have tokens in it
    sys.exit(main(sys.argv[1:], os.environ, cancellation=stop))
