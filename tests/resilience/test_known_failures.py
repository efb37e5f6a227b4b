"""Deployments that meet each failure that Google Cloud is known for: once, and again and again."""

from __future__ import annotations

from dataclasses import dataclass, replace

from emulator.known_failures import FAILURES, KnownFailure
from tests.resilience.clouds import Cloud, log, succeeded
from tests.resilience.rows import Row
from tests.resilience.worlds import Worlds, damage
from tests.runs import Run

ROW = "each of the 53 failures"

LONGEST_WAIT = 7 * 60.0
"""By the cloud's time, beside what a deployment takes that nothing disturbs."""

SWITCH_ON = "gcloud services enable {}.googleapis.com --project=my-project"
DESCRIBE_ACCOUNT = (
    "gcloud iam service-accounts describe my-org-sum@my-project.iam.gserviceaccount.com --project=my-project"
)
LIST_ACCOUNTS = "gcloud iam service-accounts list --project=my-project"
GRANT = "gcloud projects add-iam-policy-binding my-project --condition=None --member=serviceAccount:"
PROVIDER = "gcloud iam workload-identity-pools providers"
MAKE_IDENTITY = "gcloud beta services identity create --service=eventarc.googleapis.com --project=my-project"
QUOTAS = "https://console.cloud.google.com/iam-admin/quotas?project=my-project"
STATUS = "https://status.cloud.google.com"
CONNECT = "https://console.cloud.google.com/cloud-build/triggers;region=europe-west1/connect?project=my-project"
WHO_CHANGES = "gcloud logging read 'logName:"
BUILD_LOG = "https://console.cloud.google.com/cloud-build/builds;region=europe-west1/"
SERVICE_LOG = "https://console.cloud.google.com/run/detail/europe-west1/my-org-sum/logs?project=my-project"
TOPIC = "gcloud pubsub topics describe octue.services."


@dataclass(frozen=True)
class Case:
    """What a failure is to come to.

    :param remedy: how the one remedy begins.
    :param passes: whether a deployment overcomes it where it happens once.
    :param world: in which it is met.
    :param skip: how many calls pass before it.
    :param tried_again: whether trying again leaves another revision than an undisturbed deployment does.
    """

    remedy: str
    passes: bool = True
    world: str = "empty"
    skip: int = 0
    tried_again: bool = False


CASES = {
    "sts-attr-condition": Case(f"{PROVIDER} describe", passes=False),
    "sts-subject-127": Case(f"{PROVIDER} update-oidc", passes=False),
    "sts-issuer": Case(f"{PROVIDER} update-oidc", passes=False),
    "iamcred-lifetime": Case("sudo timedatectl", passes=False),
    "api-disabled-run": Case(SWITCH_ON.format("run"), passes=False),
    "api-disabled-eventarc": Case(SWITCH_ON.format("eventarc"), passes=False),
    "api-disabled-pubsub": Case(SWITCH_ON.format("pubsub"), passes=False),
    "api-disabled-cloudbuild": Case(SWITCH_ON.format("cloudbuild"), passes=False),
    "api-disabled-iam": Case(SWITCH_ON.format("iam"), passes=False),
    # The first of its calls asks for permissions, and what is not told of these stops nothing.
    "api-disabled-cloudresourcemanager": Case(SWITCH_ON.format("cloudresourcemanager"), passes=False, skip=1),
    "rate-403": Case(QUOTAS),
    "rate-429": Case(QUOTAS),
    "srv-500": Case(STATUS),
    "srv-502": Case(STATUS),
    "srv-503": Case(STATUS),
    "srv-504": Case(STATUS),
    "conn-reset": Case(STATUS),
    "eof": Case(STATUS),
    # What is there and reads as absent: each is made once more, and then looked for.
    "sa-404a": Case(LIST_ACCOUNTS, world="complete"),
    "sa-404b": Case(LIST_ACCOUNTS, world="complete"),
    "topic-404": Case(TOPIC, world="complete"),
    "run-404": Case("gcloud run services list", world="complete"),
    # The plan may read the account, so that it is forbidden later is not for want of a permission.
    "sa-403": Case(DESCRIBE_ACCOUNT, skip=1),
    "sa-409": Case(LIST_ACCOUNTS),
    "topic-409": Case(TOPIC),
    "run-409-exists": Case("gcloud run services list"),
    "policy-sa-400": Case(DESCRIBE_ACCOUNT),
    "policy-409": Case(WHO_CHANGES),
    "project-403": Case(f"{GRANT}deployer", passes=False),
    "topic-400-orgpolicy": Case("https://console.cloud.google.com/iam-admin/orgpolicies/gcp-resourceLocations"),
    "run-409-etag": Case(WHO_CHANGES, world="drifted"),
    "run-409-revision": Case("gcloud run revisions delete my-org-sum-00022-jot", passes=False, world="drifted"),
    "run-actas": Case("gcloud iam service-accounts add-iam-policy-binding my-org-sum@"),
    "run-agent-token": Case(f"{GRANT}service-123456789012@serverless-robot-prod"),
    # The revision that the failure names wrote nothing, so that its log is all there is to point at: what is said where
    # there are lines is in tests/octue_action/test_explanations.py.
    "run-port": Case(SERVICE_LOG, passes=False),
    "run-image-404": Case("gcloud artifacts docker images describe", passes=False),
    "run-image-403": Case("gcloud artifacts repositories add-iam-policy-binding my-org-sum", tried_again=True),
    "run-import": Case("https://cloud.google.com/run/docs/troubleshooting", tried_again=True),
    "op-404": Case(STATUS),
    "ea-agent-1": Case(MAKE_IDENTITY),
    "ea-agent-2": Case(MAKE_IDENTITY),
    "ea-receive": Case(f"{GRANT}my-org-sum@"),
    "ea-4x400": Case(MAKE_IDENTITY),
    "cb-mapping": Case(CONNECT, passes=False),
    "cb-global": Case(CONNECT, passes=False),
    "cb-region": Case(CONNECT, passes=False),
    "cb-quota": Case("https://cloud.google.com/build/docs/locations", passes=False),
    "cb-logging": Case("https://github.com/octue/deploy-cloud-run-action/issues/new", passes=False),
    "cb-failure": Case(BUILD_LOG, passes=False),
    "cb-internal_error": Case(STATUS, passes=False),
    "cb-timeout": Case(BUILD_LOG, passes=False),
    "cb-cancelled": Case(BUILD_LOG, passes=False),
    "cb-expired": Case(QUOTAS, passes=False),
}


@dataclass(frozen=True)
class Scenario:
    """A failure of one method."""

    known: KnownFailure
    method: str

    def __str__(self) -> str:
        return f"{self.known.id} of {self.method}"

    @property
    def case(self) -> Case:
        return CASES[self.known.id]

    def begin(self, cloud: Cloud, *, times: int | None) -> None:
        """Let the failure happen so many times, or for ever."""
        known = replace(self.known, methods=(self.method,))
        cloud.world.faults.add(*known.faults(times=times, skip=self.case.skip))


SCENARIOS = [Scenario(known, method) for known in FAILURES.values() for method in known.methods]


def test_there_is_a_case_for_each_failure() -> None:
    assert CASES.keys() == FAILURES.keys()


def test_what_happens_once_is_overcome_or_told_with_one_remedy(worlds: Worlds, row: Row) -> None:
    def check(scenario: Scenario) -> None:
        with worlds.fresh(scenario.case.world) as cloud:
            scenario.begin(cloud, times=1)
            run = cloud.deploy()
            cloud.world.faults.check()
            if not scenario.case.passes:
                is_told(run, scenario)
                cloud.world.faults.clear()
                cloud.settle()
                run = cloud.deploy()
            converged(run, scenario, worlds, cloud)

    row.each(SCENARIOS, check, sample=6)


def test_what_does_not_end_is_told_with_one_remedy_in_time(worlds: Worlds, row: Row) -> None:
    def check(scenario: Scenario) -> None:
        with worlds.fresh(scenario.case.world) as cloud:
            begin = cloud.world.clock.time()
            scenario.begin(cloud, times=None)
            run = cloud.deploy()
            seconds = cloud.world.clock.time() - begin
            cloud.world.faults.check()
            is_told(run, scenario)
            assert seconds < LONGEST_WAIT + UNDISTURBED, f"It took {seconds:.0f} s"
            cloud.world.faults.clear()
            cloud.settle()
            converged(cloud.deploy(), scenario, worlds, cloud)

    row.each(SCENARIOS, check, sample=6)


def converged(run: Run, scenario: Scenario, worlds: Worlds, cloud: Cloud) -> None:
    """Check that a run succeeded, and has left things as they are to be."""
    succeeded(run)
    if not scenario.case.tried_again:
        worlds.check(scenario.case.world, cloud)
        return
    cloud.settle()
    assert damage(cloud) == []
    again = cloud.deploy()
    succeeded(again)
    assert again.writes == []


UNDISTURBED = 120.0
"""Seconds by the cloud's time that a deployment takes at most that nothing disturbs."""


def is_told(run: Run, scenario: Scenario) -> None:
    """Check that a run says what happened, and what to do; what it touches in several places has one remedy, too."""
    assert run.code == 1, log(run)
    assert run.errors, log(run)
    for error in run.errors:
        message, _, remedy = error.partition("\nWhat to do:\n")
        assert remedy.startswith(scenario.case.remedy), log(run)
        assert len(remedy.splitlines()) == 1, log(run)
        assert message.splitlines()[0].endswith("."), log(run)
    assert "Traceback" not in run.readable, log(run)
    assert "This is a fault of the action" not in run.readable, log(run)
