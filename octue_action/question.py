"""A question to a deployed service, asked over Pub/Sub as Octue's SDK asks it.

The asker makes a topic and a subscription, both named ``octue.services.<service>.answers.<question>``, and publishes
the question on the service's own topic. What the service has to say, it publishes on the topic of the answer: that it
has the question, what it logs, that it is still there, and in the end a result or an exception, all numbered from 0.

Whoever asks needs on the project ``pubsub.topics.create`` and ``pubsub.subscriptions.create``, on the service's topic
``pubsub.topics.publish``, and on what it has made ``pubsub.topics.attachSubscription``, ``pubsub.topics.delete``,
``pubsub.subscriptions.consume`` and ``pubsub.subscriptions.delete``. ``roles/pubsub.editor`` has them all.

Source of the format: octue/octue-sdk-python, ``octue/cloud/pub_sub`` of the versions 0.3.6 to 0.39.0, whose topics
are named after a UUID. One question is understood by all of them: ``input_values`` and ``input_manifest`` must be
there, and the attributes ``question_uuid`` and ``forward_logs``. Whatever else newer versions send may be left out;
``allow_save_diagnostics_data_on_crash`` must be, as its mere presence has the inputs stored, whatever its value.
"""

from __future__ import annotations

import bisect
import contextlib
import functools
import json
import math
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions

from octue_action import quirks
from octue_action.cancellation import SHORTEST_SECONDS, Cancelled
from octue_action.failure import Failure, GoogleError

if TYPE_CHECKING:
    from google.pubsub_v1.types import pubsub

    from octue_action.google import Google

LOG_LINES = 200
LINE_LENGTH = 2000
"""Characters of a log line, and of an error's message, that are kept."""

MOST_UNREADABLE = 100
"""Messages in no format of the SDK's that are passed over before there is no hope of an answer."""

STRAGGLER_SECONDS = 5.0
"""How long log lines that were sent before the answer are waited for after it: Pub/Sub keeps no order."""

LOOK_SECONDS = 0.1
"""How often it is looked whether something came, and so how soon the end of the run is noticed."""

DEATH_SECONDS = 15.0
"""How often it is looked whether a service of which nothing is heard is able to answer at all."""

LAST_SECONDS = 1.0
"""Deadline of a removal when the run is to end, which is about how long its connections then stay open."""

ACK_SECONDS = 10
"""The least that Pub/Sub takes: messages that were lost on their way are soon sent again."""

RETENTION_SECONDS = 10 * 60
EXPIRATION_SECONDS = 24 * 60 * 60
"""The least that Pub/Sub takes: so long lives a subscription that a killed run has left behind."""

DEEPEST = 100
"""Levels of JSON that are read: what is much deeper could be parsed, but by no means be written again."""

LABELS = {"managed-by": "octue-action"}
"""Of what is made for an answer: so a topic is found that a killed run has left behind."""

_LARGEST_PULL = 1000
_AN_HOUR = 3600.0  # which is as long as Cloud Run lets a service work

_WRONG_VERSION = "Install a version of octue from 0.3.6 to 0.39.0 in the image: others write their answers otherwise."
_CHECKS = (
    "Look whether it starts, and what it logs, with the command below; whether its account may publish on the "
    "project's topics; and whether its variable SERVICE_ID is the id of its topic. A trigger that is new may deliver "
    "nothing for two minutes. Before version 0.5 of octue a service only logs before it answers."
)

_PLACE = re.compile(r"%[-+# 0-9.]*[a-zA-Z%]")
"""A place in a log message that an argument fills."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a service answered; all of it is text and values from elsewhere.

    :param output_values: JSON, in which the SDK writes what JSON lacks as objects with ``_type``; numbers may be NaN.
    :param output_manifest: JSON; None where the service gives none.
    :param seconds: from the question to the answer.
    :param log: what the service logged meanwhile, the newest ``LOG_LINES``, each with its level.
    """

    output_values: object
    output_manifest: object | None
    seconds: float
    log: tuple[str, ...]


class NoAnswer(Failure):
    """A question that was not answered: with an exception, not in time, or with something that makes no sense.

    :param message: what happened and why.
    :param remedy: one thing to do, which can be pasted; empty where none is known.
    :param log: what the service logged, as in ``Answer``, with the exception's traceback at the end.
    """

    def __init__(self, message: str, remedy: str = "", log: Sequence[str] = ()) -> None:
        super().__init__(message, remedy)
        self.log = tuple(log[-LOG_LINES:])


def ask(
    google: Google,
    *,
    project_id: str,
    service_id: str,
    input_values: object,
    seconds: float,
    is_lost: Callable[[], bool] = lambda: False,
) -> Answer:
    """Ask a service a question, and wait for its answer.

    :param google: the door to Google Cloud.
    :param project_id: of the service's topic, and of the answer's.
    :param service_id: UUID in the name of the service's topic.
    :param input_values: JSON.
    :param seconds: how long the answer may take.
    :param is_lost: whether the service is seen to be unable to answer, so that it is waited for no longer.
    :raises NoAnswer: where there is no answer, or none that makes sense.
    :raises GoogleError: where Google refuses something, or what was made for the answer could not be removed.
    :raises Cancelled: where the run is to end first.
    """
    google.cancellation.check()  # or what was never made would be removed
    question = _Question(project_id, service_id, str(uuid.uuid4()))
    # Where a pull is under way at the end, it ends as its subscription is removed, before its thread is waited for.
    with (
        ThreadPoolExecutor(1, "pull") as pool,
        _standing(google, _answer_topic(google, question)),
        _standing(google, _answer_subscription(google, question)),
    ):
        start = google.cancellation.now()
        unsure = _publish(google, question, input_values)
        said, end = _listen(google, question, pool, seconds, is_lost)
        if said.last is None:
            raise _silence(question, said, seconds, unsure)
        return _answer(said.last, said.log, end - start)


@dataclass(frozen=True)
class _Question:
    """The names of a question.

    :param uuid: new with every question, so that nothing of others can have the same names.
    """

    project_id: str
    service_id: str
    uuid: str

    @property
    def topic(self) -> str:
        """Where the service gets it."""
        return f"projects/{self.project_id}/topics/octue.services.{self.service_id}"

    @property
    def answer_topic(self) -> str:
        """Where the service answers it."""
        return f"{self.topic}.answers.{self.uuid}"

    @property
    def subscription(self) -> str:
        """Where the answer is read."""
        return self.answer_topic.replace("/topics/", "/subscriptions/")


@dataclass(frozen=True)
class _Temporary:
    """Something in Pub/Sub that stands for as long as one question.

    :param label: what it is, for people.
    :param create: the client's method that makes it.
    :param creation: the request for that.
    :param delete: the client's method that removes it.
    :param deletion: the request for that.
    """

    label: str
    create: Callable[..., Any]
    creation: Any
    delete: Callable[..., Any]
    deletion: Any

    def is_refused_by(self, error: BaseException) -> bool:
        """Whether an error says that it was never made."""
        if not isinstance(error, GoogleError) or error.method != self.create.__name__:
            return False
        return not quirks.OUTCOME_UNKNOWN.holds(error)


def _answer_topic(google: Google, question: _Question) -> _Temporary:
    from google.pubsub_v1.types import pubsub

    name = question.answer_topic
    return _Temporary(
        f"topic {name}",
        google.publisher.create_topic,
        pubsub.Topic(name=name, labels=LABELS),
        google.publisher.delete_topic,
        pubsub.DeleteTopicRequest(topic=name),
    )


def _answer_subscription(google: Google, question: _Question) -> _Temporary:
    from google.protobuf.duration_pb2 import Duration
    from google.pubsub_v1.types import pubsub

    name = question.subscription
    subscription = pubsub.Subscription(
        name=name,
        topic=question.answer_topic,
        ack_deadline_seconds=ACK_SECONDS,
        message_retention_duration=Duration(seconds=RETENTION_SECONDS),
        expiration_policy=pubsub.ExpirationPolicy(ttl=Duration(seconds=EXPIRATION_SECONDS)),
        labels=LABELS,
    )
    return _Temporary(
        f"subscription {name}",
        google.subscriber.create_subscription,
        subscription,
        google.subscriber.delete_subscription,
        pubsub.DeleteSubscriptionRequest(subscription=name),
    )


@contextlib.contextmanager
def _standing(google: Google, thing: _Temporary) -> Iterator[None]:
    """Make something, and remove it at the end, however that comes.

    :raises GoogleError: where it cannot be made or, at an end without another failure, not removed.
    """
    try:
        google.repeat(lambda: _create(google, thing), (quirks.OUTAGE,))
        yield
    except BaseException as ending:  # however it ends, what was made to ask is removed
        if not thing.is_refused_by(ending):
            _remove_after(ending, google, thing)
        raise
    _remove(google, thing)


def _create(google: Google, thing: _Temporary) -> None:
    try:
        google.write(thing.create, thing.creation)
    except GoogleError as error:
        # Its name is new: it was made by the try before this one, whose answer was lost.
        if error.status != "ALREADY_EXISTS":
            raise


def _remove_after(ending: BaseException, google: Google, thing: _Temporary) -> None:
    """Remove it; where that is refused, what ends the question is still what is told, and that with it."""
    try:
        _remove(google, thing)
    except GoogleError as refusal:
        if isinstance(ending, Failure):
            ending.aftermath = f"{ending.aftermath} {refusal.aftermath}".lstrip()


def _remove(google: Google, thing: _Temporary) -> None:
    try:
        google.repeat(lambda: google.remove(thing.delete, thing.deletion), (quirks.OUTAGE,))
    except GoogleError as refusal:
        refusal.aftermath = f"The {thing.label} is left behind."
        raise
    except Cancelled:
        # The door lets no call begin any more; this one only puts away what the run has made.
        with contextlib.suppress(exceptions.GoogleAPICallError, ValueError):
            thing.delete(request=thing.deletion, timeout=LAST_SECONDS, retry=None)
        raise


def _publish(google: Google, question: _Question, input_values: object) -> GoogleError | None:
    """Publish the question; gives the error after which nobody knows whether it was published.

    :raises GoogleError: where it was not.
    """
    from google.pubsub_v1.types import pubsub

    content = json.dumps({"input_values": input_values, "input_manifest": None})
    attributes = {"question_uuid": question.uuid, "forward_logs": "1"}
    message = pubsub.PubsubMessage(data=content.encode(), attributes=attributes)
    try:
        google.write(google.publisher.publish, pubsub.PublishRequest(topic=question.topic, messages=[message]))
    except GoogleError as error:
        # It is not published again: the SDK before 0.24 runs the analysis once for each message, and so do later ones
        # whose second message goes to another instance, as each notes in a file of its own which questions it has had.
        # What an analysis costs, or does elsewhere, is not ours to double; that it was asked, its answer will show.
        if not quirks.OUTCOME_UNKNOWN.holds(error):
            raise
        return error
    return None


def _listen(
    google: Google, question: _Question, pool: Executor, seconds: float, is_lost: Callable[[], bool]
) -> tuple[_Said, float]:
    """Pull what the service says until it has said all, and give it with the time when the answer came.

    Another thread pulls, as a pull may take long and this one has to notice the end of the run.

    :raises GoogleError: where pulling is refused.
    """
    said, answered = _Said(), math.inf
    looked = google.cancellation.now()
    pull = functools.partial(_pull, google, question.subscription, google.cancellation.now() + seconds)
    pulling = pool.submit(pull, [])
    for _ in google.cancellation.poll(seconds, first=LOOK_SECONDS, growth=1.0):
        now = google.cancellation.now()
        if pulling.done():
            received = pulling.result()
            for each in received:
                said.hear(each.message.data)
            answered = min(answered, now) if said.last else math.inf
            if said.is_all:
                break
            pulling = pool.submit(pull, [each.ack_id for each in received])
        if now > answered + STRAGGLER_SECONDS:
            break
        if not said.is_anything and now > looked + DEATH_SECONDS:
            looked = now
            said.is_lost = is_lost()
            if said.is_lost:
                break
    return said, answered


def _pull(google: Google, subscription: str, end: float, ack_ids: Sequence[str]) -> Sequence[pubsub.ReceivedMessage]:
    """Acknowledge the messages of before, and wait for more; perhaps there are none.

    :param end: when nobody waits for them any longer.
    """
    from google.pubsub_v1.types import pubsub

    @functools.wraps(google.subscriber.pull)
    def pull(*, request: pubsub.PullRequest, timeout: float, retry: None) -> pubsub.PullResponse:
        left = max(SHORTEST_SECONDS, min(timeout, end - google.cancellation.now()))
        try:
            return google.subscriber.pull(request=request, timeout=left, retry=retry)
        except exceptions.DeadlineExceeded:
            return pubsub.PullResponse()  # which is no trouble: there was nothing

    if ack_ids:
        acknowledgement = pubsub.AcknowledgeRequest(subscription=subscription, ack_ids=ack_ids)
        google.repeat(lambda: google.write(google.subscriber.acknowledge, acknowledgement), (quirks.OUTAGE,))
    request = pubsub.PullRequest(subscription=subscription, max_messages=_LARGEST_PULL)
    return google.read(pull, request).received_messages


@dataclass(frozen=True)
class _Message:
    """One message of a service.

    :param number: its place among all of them.
    :param kind: ``result``, ``exception``, ``log_record``, ``delivery_acknowledgement``, ``heartbeat``,
        ``monitor_message``, or what only newer versions say.
    :param content: all that is in it; nothing where that is deeper than ``DEEPEST``.
    """

    number: int
    kind: str
    content: Mapping[str, Any]

    @classmethod
    def read(cls, data: bytes) -> _Message | None:
        """The message in the data of one of Pub/Sub's; None where it is none of the SDK's."""
        try:
            content = json.loads(data)
            number, kind = int(content["message_number"]), content["type"]
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return None
        if not isinstance(kind, str):
            return None
        return cls(number, kind, content if _is_shallow(content) else {})


class _Said:
    """What a service has said so far, the same in whatever order and however often its messages come.

    ``last`` is the result, or the exception, that it ended with; None until that has come. ``is_lost`` is set where
    nothing more is to be expected.
    """

    def __init__(self) -> None:
        self.last: _Message | None = None
        self.is_anything = False
        self.is_lost = False
        self.unreadable = 0
        self._lines: list[tuple[int, str]] = []
        self._ahead: set[int] = set()
        self._next = 0

    @property
    def log(self) -> list[str]:
        """The log lines that are kept, in the service's order."""
        return [line for _, line in self._lines]

    @property
    def is_all(self) -> bool:
        """Whether nothing more is to be waited for."""
        is_whole = self.last is not None and self._next >= self.last.number
        return is_whole or self.unreadable >= MOST_UNREADABLE

    def hear(self, data: bytes) -> None:
        """Take in one more message."""
        message = _Message.read(data)
        if message is None:
            self.unreadable += 1
            return
        self.is_anything = True
        self._count(message.number)
        if message.kind == "log_record":
            self._keep((message.number, _line(message.content.get("log_record"))))
        elif message.kind in {"result", "exception"} and (self.last is None or message.number < self.last.number):
            self.last = message  # of two, as a failed analysis sends them, the one that was sent first

    def _count(self, number: int) -> None:
        """Find up to which number all messages have come."""
        if number >= self._next:
            self._ahead.add(number)
        while self._next in self._ahead:
            self._ahead.remove(self._next)
            self._next += 1

    def _keep(self, line: tuple[int, str]) -> None:
        # Two lines may have one number, where an app logs from several threads.
        if line not in self._lines:
            bisect.insort(self._lines, line)
            del self._lines[:-LOG_LINES]


def _is_shallow(content: object) -> bool:
    level = [content]
    for _ in range(DEEPEST):
        inner = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        level = [item for items in inner for item in items]
    return not level


def _line(record: object) -> str:
    """A log record as one text, its level first; up to 0.10 its arguments stand beside the message."""
    if not isinstance(record, Mapping):
        return _cut(record)
    text, arguments = _cut(record.get("msg", "")), record.get("args")
    if isinstance(arguments, list):
        values = iter(arguments)
        text = _PLACE.sub(lambda place: "%" if place[0] == "%%" else str(next(values, place[0])), text)
    return _cut(f"{record.get('levelname', '')} {text}".lstrip())


def _cut(value: object) -> str:
    """A text as it is, and anything else as Python shows it, of bearable length."""
    text = str(value)
    return text if len(text) <= LINE_LENGTH else f"{text[: LINE_LENGTH - 1]}…"


def _answer(last: _Message, log: Sequence[str], seconds: float) -> Answer:
    """The answer in the message that the service ended with.

    :raises NoAnswer: where there is none in it.
    """
    if last.kind == "exception":
        raise _failed(last.content, log)
    if "output_values" not in last.content:
        raise NoAnswer(
            "The service's answer makes no sense: it has no output values that could be read.", _WRONG_VERSION, log
        )
    manifest = _manifest(last.content.get("output_manifest"))
    values = last.content["output_values"]
    return Answer(output_values=values, output_manifest=manifest, seconds=seconds, log=tuple(log))


def _manifest(encoded: object) -> object | None:
    """A manifest as JSON; the SDK sends it as a text of JSON."""
    if not isinstance(encoded, str):
        return encoded
    try:
        manifest: object = json.loads(encoded)
    except (ValueError, RecursionError):
        return encoded
    return manifest if _is_shallow(manifest) else encoded


def _failed(exception: Mapping[str, Any], log: Sequence[str]) -> NoAnswer:
    kind, said = (_cut(exception.get(f"exception_{part}", "")) for part in ("type", "message"))
    traceback = exception.get("traceback")
    entries = [_cut(entry).rstrip() for entry in traceback[-LOG_LINES:]] if isinstance(traceback, list) else []
    heading = ["Traceback (most recent call last):"] if entries else []
    return NoAnswer(
        f"The service answered with an error, {kind or 'of no type'}: {said or 'without a message'}",
        "",
        [*log, *heading, *entries],
    )


def _silence(question: _Question, said: _Said, seconds: float, unsure: GoogleError | None) -> NoAnswer:
    """Why a service has not answered in time, as far as what it has said shows that."""
    if said.unreadable:
        message = f"The service's answer makes no sense: {said.unreadable} of its messages cannot be read."
        return NoAnswer(message, _WRONG_VERSION, said.log)
    late = f"The question was not answered within {seconds:g} s"
    if said.is_anything:
        remedy = f"If it takes longer than that, add to the step:\nquestion_timeout: {min(2 * seconds, _AN_HOUR):.0f}"
        return NoAnswer(f"{late}, but the service has it and may still be at work.", remedy, said.log)
    doubt = f"Google did not say whether it took the question: {unsure}\n" if unsure else ""
    logs = f"gcloud logging read 'resource.type=\"cloud_run_revision\"' --project={question.project_id} --freshness=1h"
    if said.is_lost:
        lost = "The question was not answered: the service's container ends again and again, so no answer can come."
        return NoAnswer(f"{doubt}{lost}", f"{_CHECKS}\n{logs}")
    return NoAnswer(f"{doubt}{late}, and nothing shows that the service has it.", f"{_CHECKS}\n{logs}")
