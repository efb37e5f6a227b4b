"""How long it takes until Google Cloud and GitHub see everywhere what was made a moment ago."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus

IAM_READ_FLAP = (
    *("GET 404", "POST 200", "GET 200", "GET 404", "GET 200", "GET 404"),
    *("POST 409", "GET 404", "POST 409", "GET 404", "POST 409", "GET 200"),
)
"""What IAM answered, in this order, about one new service account.

Source: GoogleCloudPlatform/k8s-config-connector@cdb85ec, composerenvironmentbasic/_http.log.
"""

_CREATION = "POST 200"
_ANSWER = re.compile(r"GET (200|403|404)|POST (200|409)")


@dataclass(frozen=True, kw_only=True)
class Propagation:
    """Seconds of the emulator's time until what was made is seen; where it is seen at once, they are 0.

    :param accounts_in_policies: from when a service account is made until policies may name it.
    :param accounts_in_cloud_run: until a Cloud Run service may run as it.
    :param accounts_in_eventarc: until an Eventarc trigger may be made that calls as it.
    :param topics: until a topic that was made is read and listed; its messages flow and it can be used by then.
    :param eventarc_agent: from the first request for a trigger, or for the agent itself, until Eventarc can make one.
    :param github_lists: until an issue, a comment, a deployment or a status is in GitHub's lists; by its own address it
        is read at once.
    :param log_entries: from when a log entry is written until it is listed.
    :param account_reads: until a service account that was made is read and listed; or the answers to requests for it
        in their order, as ``IAM_READ_FLAP``. Of these, those to reads after its creation count, which are ``GET 200``,
        ``GET 403`` or ``GET 404``, and after the last of them it is always read. Making it again is refused as ever.
    """

    accounts_in_policies: float = 0.0
    accounts_in_cloud_run: float = 0.0
    accounts_in_eventarc: float = 0.0
    topics: float = 0.0
    eventarc_agent: float = 0.0
    github_lists: float = 0.0
    log_entries: float = 0.0
    account_reads: tuple[str, ...] | float = 0.0

    def __post_init__(self) -> None:
        """Check the recorded answers.

        :raises ValueError: for what is none.
        """
        for answer in self._recorded:
            if not _ANSWER.fullmatch(answer):
                raise ValueError(f"{answer!r} is not of the form 'GET 404'.")

    def account_read(self, number: int, age: float) -> HTTPStatus:
        """The answer to a read of a service account that was made.

        :param number: how many reads there were since it was made.
        :param age: seconds since then.
        """
        if isinstance(self.account_reads, float | int):
            return HTTPStatus.OK if age >= self.account_reads else HTTPStatus.NOT_FOUND
        answers = self._reads_after_creation
        return HTTPStatus(int(answers[number].removeprefix("GET "))) if number < len(answers) else HTTPStatus.OK

    @property
    def _recorded(self) -> tuple[str, ...]:
        return self.account_reads if isinstance(self.account_reads, tuple) else ()

    @property
    def _reads_after_creation(self) -> list[str]:
        begin = self._recorded.index(_CREATION) if _CREATION in self._recorded else 0
        return [answer for answer in self._recorded[begin:] if answer.startswith("GET ")]
