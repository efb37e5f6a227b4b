"""Questions put to deployed services: a small one that says whatever it is asked to say, and one with Octue's SDK."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.oauth2.credentials import Credentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator import faults
from emulator.faults import Moment
from emulator.server import Emulator
from emulator.world import World, WorldSettings
from octue_action import question
from octue_action.cancellation import Cancellation, Cancelled
from octue_action.failure import GoogleError
from octue_action.google import Google
from octue_action.question import Answer, NoAnswer
from tests import wind_yield
from tests.runs import LAYERS, REPOSITORY, SMALL_SERVICE, Job

PLAYER = '''\
import base64, http.server, json, os, time, urllib.error, urllib.request

class Player(http.server.BaseHTTPRequestHandler):
    """Plays an Octue service: the input values say what it says, and when."""

    def do_POST(self):
        envelope = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = envelope["message"]
        asked["data"] = json.loads(base64.b64decode(asked["data"]))
        for act in asked["data"]["input_values"]:
            time.sleep(act.get("pause", 0))
            texts = [text.replace("PADDING", "x" * act.get("padding", 0)) for text in act.get("say", [])]
            if "echo" in act:
                texts.append(json.dumps({"type": "result", "output_values": asked, "message_number": 0}))
            if texts and not self.publish(envelope, texts):
                break
        self.send_response(204)
        self.end_headers()

    def publish(self, envelope, texts):
        project = envelope["subscription"].split("/")[1]
        uuid = envelope["message"]["attributes"]["question_uuid"]
        topic = f"projects/{project}/topics/octue.services.{os.environ['SERVICE_ID']}.answers.{uuid}"
        url = f"http://{os.environ['PUBSUB_EMULATOR_HOST']}/pubsub.googleapis.com/v1/{topic}:publish"
        messages = [{"data": base64.b64encode(text.encode("latin-1")).decode()} for text in texts]
        try:
            urllib.request.urlopen(urllib.request.Request(url, json.dumps({"messages": messages}).encode()))
            return True
        except urllib.error.HTTPError:
            return False

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Player).serve_forever()
'''
PUBSUB = "google.pubsub.v1"
CREATE_TOPIC, CREATE_SUBSCRIPTION = f"{PUBSUB}.Publisher/CreateTopic", f"{PUBSUB}.Subscriber/CreateSubscription"
DELETE_TOPIC, DELETE_SUBSCRIPTION = f"{PUBSUB}.Publisher/DeleteTopic", f"{PUBSUB}.Subscriber/DeleteSubscription"
PUBLISH, PULL = f"{PUBSUB}.Publisher/Publish", f"{PUBSUB}.Subscriber/Pull"
ACKNOWLEDGE = f"{PUBSUB}.Subscriber/Acknowledge"

Ask = Callable[..., Answer]


# What a service says


def message(number: int, kind: str, **content: Any) -> str:
    return json.dumps({"type": kind, "message_number": number, **content})


def received(number: int = 0) -> str:
    return message(number, "delivery_acknowledgement", delivery_time="2026-01-01 00:00:00")


def logged(number: int, text: Any, **record: Any) -> str:
    return message(number, "log_record", log_record={"levelname": "INFO", "msg": text, **record}, analysis_id="a")


def result(number: int, values: Any = None, manifest: Any = None) -> str:
    return message(number, "result", output_values=values, output_manifest=manifest)


def failed(number: int, kind: Any = "ValueError", said: Any = "no wind", traceback: Any = ()) -> str:
    return message(number, "exception", exception_type=kind, exception_message=said, traceback=traceback)


def says(*texts: str, **when: float) -> dict[str, Any]:
    return {"say": list(texts), **when}


DEEP = "[" * 300 + "]" * 300
"""JSON that can be read, but not written again."""


# Who asks, and whom


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    folder = tmp_path_factory.mktemp("player")
    (folder / "repository").mkdir()
    repositories = {REPOSITORY: folder / "repository"}
    with Emulator(WorldSettings(state=folder / "state", cache=LAYERS, repositories=repositories)) as emulator:
        yield emulator


def door(emulator: Emulator) -> Google:
    """The door to a local cloud, for the deployer."""
    token = emulator.world.tokens.issue_access_token(f"serviceAccount:{emulator.world.iam.deployer}")
    return Google(Credentials(token), emulator.address)


@pytest.fixture(scope="module")
def google(emulator: Emulator) -> Google:
    return door(emulator)


@pytest.fixture(scope="module")
def service_id(emulator: Emulator) -> str:
    """Of a small program, deployed by the action."""
    job = Job(emulator, emulator.world.settings.repositories[REPOSITORY])
    job.commit({**SMALL_SERVICE, "server.py": PLAYER})
    run = job.deploy()
    assert run.code == 0, run.stdout
    return run.outputs["service_id"]


def made_for_answers(world: World) -> list[str]:
    """The topics and subscriptions of answers that there are."""
    subscriptions = [subscription.config.name for subscription in world.pubsub.live_subscriptions()]
    return [name for name in [*world.pubsub.topics, *subscriptions] if ".answers." in name]


@pytest.fixture
def nothing_stays(world: World) -> Iterator[None]:
    """After the test all is in the cloud that was there before, and nothing else; every fault has hit."""
    before = world.pubsub.topics.keys() | {each.config.name for each in world.pubsub.live_subscriptions()}
    yield
    world.faults.check()
    world.faults.clear()
    assert world.pubsub.topics.keys() | {each.config.name for each in world.pubsub.live_subscriptions()} == before


@pytest.fixture
def ask(google: Google, service_id: str, nothing_stays: None) -> Ask:  # noqa: ARG001 - holds it
    """Ask the small service to say something."""

    def put(*acts: dict[str, Any], seconds: float = 20.0, by: Google = google) -> Answer:
        return question.ask(
            by, project_id="my-project", service_id=service_id, input_values=list(acts), seconds=seconds
        )

    return put


@pytest.fixture
def requests(world: World) -> Callable[[], list[str]]:
    """Gives the methods that have been called since the test began, but those of the service."""
    before = len(world.requests)

    def made() -> list[str]:
        return [each.method for each in list(world.requests)[before:] if each.principal != "anonymous"]

    return made


# The question


@pytest.mark.usefixtures("nothing_stays")
def test_the_question_is_one_that_every_version_of_the_sdk_understands(google: Google, service_id: str) -> None:
    values = [{"echo": True}, {"wind": "ü\ud800", "speeds": [1.5, None, True]}]
    asked = [
        question.ask(google, project_id="my-project", service_id=service_id, input_values=values, seconds=20)
        for _ in range(2)
    ]
    first, second = (answer.output_values for answer in asked)
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert first["data"] == {"input_values": values, "input_manifest": None}
    assert first["attributes"].keys() == {"question_uuid", "forward_logs"}
    assert first["attributes"]["forward_logs"] == "1"
    assert first["attributes"]["question_uuid"] != second["attributes"]["question_uuid"]


def test_what_hears_the_answer_is_there_before_the_question_and_gone_after_it(
    ask: Ask, requests: Callable[[], list[str]]
) -> None:
    ask(says(received(), result(1)))
    expected = [CREATE_TOPIC, CREATE_SUBSCRIPTION, PUBLISH, PULL, DELETE_SUBSCRIPTION, DELETE_TOPIC]
    assert requests() == expected


def test_a_subscription_that_a_killed_run_leaves_behind_ends_by_itself(ask: Ask, world: World) -> None:
    made: list[Any] = []

    def note(answer: Any) -> Any:
        made.append(answer)
        return answer

    world.faults.add(faults.Fault(method=CREATE_SUBSCRIPTION, change=note))
    ask(says(result(0)))
    (subscription,) = made
    assert subscription.expiration_policy.ttl.total_seconds() == 24 * 3600
    assert subscription.labels["managed-by"] == "octue-action"
    assert subscription.ack_deadline_seconds == 10
    assert subscription.name.replace("/subscriptions/", "/topics/") == subscription.topic


# The answer


def test_the_output_values_are_the_answer_with_all_that_was_logged(ask: Ask) -> None:
    answer = ask(
        says(received(), logged(1, "It begins.")),
        says(message(2, "heartbeat"), message(3, "monitor_message", data="{}"), message(4, "news"), pause=0.3),
        says(logged(5, "It is late.", levelname="WARNING"), result(6, {"energy": [1.5, None]}), pause=0.3),
    )
    assert answer.output_values == {"energy": [1.5, None]}
    assert answer.output_manifest is None
    assert answer.log == ("INFO It begins.", "WARNING It is late.")
    assert 0.6 <= answer.seconds < 10


@pytest.mark.parametrize("values", [None, 0, "", [], {"a": float("inf")}])
def test_anything_can_be_an_answer(values: object, ask: Ask) -> None:
    assert ask(says(result(0, values))).output_values == values


@pytest.mark.parametrize(
    ("sent", "manifest"),
    [
        (None, None),
        ('{"id": "a", "datasets": {}}', {"id": "a", "datasets": {}}),
        ({"id": "a"}, {"id": "a"}),
        ("?", "?"),
        (DEEP, DEEP),
    ],
)
def test_a_manifest_comes_as_text_and_is_given_as_json(sent: object, manifest: object, ask: Ask) -> None:
    assert ask(says(result(0, 1, sent))).output_manifest == manifest


SAID = [received(), logged(1, "a"), logged(2, "b"), message(3, "heartbeat"), logged(4, "b"), result(5, {"n": 1})]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(SAID), st.lists(st.sampled_from(SAID), max_size=6), st.randoms(use_true_random=False))
def test_the_answer_is_the_same_in_whatever_order_and_however_often_its_messages_come(
    ask: Ask, once: list[str], again: list[str], chance: random.Random
) -> None:
    texts = [*once, *again]
    chance.shuffle(texts)
    half = chance.randrange(len(texts))
    answer = ask(says(*texts[:half]), says(*texts[half:]))
    assert (answer.output_values, answer.log) == ({"n": 1}, ("INFO a", "INFO b", "INFO b"))


def test_two_lines_with_one_number_are_two_lines(ask: Ask) -> None:
    assert ask(says(logged(0, "a"), logged(0, "b"), result(1))).log == ("INFO a", "INFO b")


def test_of_two_ends_the_one_that_was_sent_first_counts(ask: Ask) -> None:
    with pytest.raises(NoAnswer, match="TypeError: the first"):
        ask(says(failed(1, "OSError", "the second"), failed(0, "TypeError", "the first")))


def test_log_lines_that_come_after_the_answer_are_waited_for(ask: Ask) -> None:
    answer = ask(says(result(2, 1)), says(logged(1, "late"), received(), pause=0.7))
    assert answer.log == ("INFO late",)
    assert answer.seconds < 0.7


def test_a_message_that_never_comes_is_not_waited_for_long(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(question, "STRAGGLER_SECONDS", 0.5)
    start = time.monotonic()
    assert ask(says(received(), result(7, 1))).output_values == 1
    assert 0.5 < time.monotonic() - start < 4


# What is odd, or large


def test_garbage_is_passed_over(ask: Ask) -> None:
    garbage = [
        "",
        "\xff\x00",
        "{",
        "[]",
        "7",
        '"type"',
        "{}",
        '{"type": "result"}',
        '{"message_number": 0}',
        '{"message_number": 0, "type": []}',
        "[" * 99_999,
    ]
    numbers = [
        f'{{"type": "result", "message_number": {number}}}' for number in ("null", "[]", '"a"', "NaN", "Infinity")
    ]
    assert ask(says(*filter(None, garbage), *numbers), says(result(0, "a"))).output_values == "a"


def test_nothing_but_garbage_makes_no_sense_before_the_time_is_over(ask: Ask) -> None:
    with pytest.raises(NoAnswer, match=r"makes no sense: \d+ of its messages cannot be read") as caught:
        ask(says(*["garbage"] * question.MOST_UNREADABLE), seconds=60)
    assert "from 0.3.6 to 0.39.0" in caught.value.remedy


def test_a_little_garbage_and_nothing_more_makes_no_sense_in_the_end(ask: Ask) -> None:
    with pytest.raises(NoAnswer, match="makes no sense: 1 of its messages cannot be read"):
        ask(says("garbage"), seconds=1.0)


@pytest.mark.parametrize("end", [message(0, "result"), result(0, json.loads(DEEP))])
def test_a_result_without_values_that_can_be_read_makes_no_sense(end: str, ask: Ask) -> None:
    with pytest.raises(NoAnswer, match="makes no sense: it has no output values"):
        ask(says(end))


def test_the_newest_log_lines_are_kept_and_long_ones_cut(ask: Ask) -> None:
    lines = [logged(number, f"line {number}") for number in range(300)]
    answer = ask(
        says(*lines),
        says(
            logged(
                300,
                "PADDING",
            ),
            result(301),
            padding=5000,
        ),
    )
    assert len(answer.log) == question.LOG_LINES
    assert answer.log[:2] == ("INFO line 101", "INFO line 102")
    assert len(answer.log[-1]) == question.LINE_LENGTH
    assert answer.log[-1].endswith("x…")


def test_an_answer_may_be_as_large_as_a_message_may_be(ask: Ask) -> None:
    assert ask(says(result(0, "PADDING"), padding=9_900_000)).output_values == "x" * 9_900_000


@pytest.mark.parametrize(
    ("record", "line"),
    [
        ({"levelname": "INFO", "msg": "%s of %d%%, %5.2f", "args": ["a", 3, 1.5]}, "INFO a of 3%, 1.5"),
        ({"levelname": "INFO", "msg": "%s of %s", "args": ["a"]}, "INFO a of %s"),
        ({"levelname": "INFO", "msg": "%s", "args": None}, "INFO %s"),
        ({"levelname": "INFO", "msg": "%(a)s", "args": {"a": 1}}, "INFO %(a)s"),
        ({"levelname": "INFO", "msg": "%999999999d", "args": [1]}, "INFO 1"),
        ({"levelname": None, "msg": {"a": [1]}}, "None {'a': [1]}"),
        ({}, ""),
        ("text", "text"),
        (None, "None"),
    ],
)
def test_a_log_record_becomes_a_line_whatever_is_in_it(record: object, line: str, ask: Ask) -> None:
    assert ask(says(message(0, "log_record", log_record=record), result(1))).log == (line,)


# No answer


def test_an_exception_is_told_with_its_traceback_behind_the_log(ask: Ask) -> None:
    traceback = ['  File "app.py", line 7, in run\n    raise ValueError\n', '  File "b.py", line 1, in b\n']
    with pytest.raises(NoAnswer) as caught:
        ask(says(received(), logged(1, "It begins."), failed(2, "ValueError", "Error in <S>: no wind", traceback)))
    assert str(caught.value) == "The service answered with an error, ValueError: Error in <S>: no wind"
    assert caught.value.aftermath == ""
    assert caught.value.log == (
        "INFO It begins.",
        "Traceback (most recent call last):",
        '  File "app.py", line 7, in run\n    raise ValueError',
        '  File "b.py", line 1, in b',
    )


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (message(0, "exception"), "of no type: without a message"),
        (failed(0, 7, ["a"], "no list"), r"7: \['a'\]"),
        (failed(0, "E" * 3000, "m" * 3000, ["t" * 3000] * 300), "E{1999}…: m{1999}…$"),
    ],
)
def test_an_exception_may_be_odd_and_large(end: str, told: str, ask: Ask) -> None:
    with pytest.raises(NoAnswer, match=told) as caught:
        ask(says(end))
    assert len(caught.value.log) in {0, question.LOG_LINES}
    assert all(len(line) <= question.LINE_LENGTH for line in caught.value.log)


def test_silence_is_told_with_what_to_look_at(ask: Ask, requests: Callable[[], list[str]]) -> None:
    start = time.monotonic()
    with pytest.raises(NoAnswer, match="not answered within 1 s, and nothing shows that the service has it") as caught:
        ask(seconds=1.0)
    assert 0.9 <= time.monotonic() - start < 3
    checks, command = caught.value.remedy.splitlines()
    assert "SERVICE_ID" in checks
    assert command.startswith("gcloud logging read ")
    assert caught.value.log == ()
    assert requests()[-2:] == [DELETE_SUBSCRIPTION, DELETE_TOPIC]


def test_a_service_that_has_the_question_may_need_more_time(ask: Ask) -> None:
    with pytest.raises(NoAnswer, match="within 1 s, but the service has it and may still be at work") as caught:
        ask(says(received(), logged(1, "It begins.")), seconds=1.0)
    assert caught.value.remedy.endswith("question_timeout: 2")
    assert caught.value.log == ("INFO It begins.",)


def test_an_answer_that_comes_too_late_reaches_nobody(ask: Ask, world: World) -> None:
    before = len(world.requests)
    with pytest.raises(NoAnswer):
        ask(says(result(0, 1), pause=1.5), seconds=0.6)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        statuses = [each.status for each in list(world.requests)[before:] if each.method == PUBLISH]
        if len(statuses) == 2 and statuses[1]:
            break
        time.sleep(0.05)
    assert statuses == ["OK", "NOT_FOUND"]


# What Google refuses, or does not answer


@pytest.mark.parametrize(
    ("method", "called"),
    [
        (CREATE_TOPIC, [CREATE_TOPIC]),
        (CREATE_SUBSCRIPTION, [CREATE_TOPIC, CREATE_SUBSCRIPTION, DELETE_TOPIC]),
        (PUBLISH, [CREATE_TOPIC, CREATE_SUBSCRIPTION, PUBLISH, DELETE_SUBSCRIPTION, DELETE_TOPIC]),
        (PULL, [CREATE_TOPIC, CREATE_SUBSCRIPTION, PUBLISH, PULL, DELETE_SUBSCRIPTION, DELETE_TOPIC]),
    ],
)
def test_a_refusal_is_told_as_it_is_and_what_was_made_is_removed(
    method: str, called: list[str], ask: Ask, world: World, requests: Callable[[], list[str]]
) -> None:
    world.faults.add(faults.denied(method, permission="pubsub.topics.it"))
    with pytest.raises(GoogleError) as caught:
        ask(says(result(0)))
    assert caught.value.status == "PERMISSION_DENIED"
    assert caught.value.metadata["permission"] == "pubsub.topics.it"
    assert caught.value.aftermath == ""
    assert requests() == called


@pytest.mark.usefixtures("nothing_stays")
def test_a_service_without_a_topic_cannot_be_asked(google: Google) -> None:
    with pytest.raises(GoogleError, match="NOT_FOUND from publish"):
        question.ask(google, project_id="my-project", service_id="nobody", input_values={}, seconds=5)


@pytest.mark.parametrize("method", [DELETE_SUBSCRIPTION, DELETE_TOPIC])
def test_what_cannot_be_removed_is_an_error_that_names_it(method: str, ask: Ask, world: World, google: Google) -> None:
    world.faults.add(faults.denied(method))
    with pytest.raises(GoogleError, match="PERMISSION_DENIED from delete") as caught:
        ask(says(result(0, 1)))
    (left,) = made_for_answers(world)
    assert caught.value.aftermath == f"The {left.split('/')[2][:-1]} {left} is left behind."
    clear(google, left)


def test_why_there_is_no_answer_is_told_even_where_nothing_can_be_removed(
    ask: Ask, world: World, google: Google
) -> None:
    world.faults.add(faults.denied(DELETE_SUBSCRIPTION), faults.denied(DELETE_TOPIC))
    with pytest.raises(NoAnswer, match="no wind") as caught:
        ask(says(failed(0)))
    topic, subscription = made_for_answers(world)
    assert caught.value.aftermath == (
        f"The subscription {subscription} is left behind. The topic {topic} is left behind."
    )
    clear(google, topic, subscription)


def clear(google: Google, *names: str) -> None:
    for name in names:
        if "/topics/" in name:
            google.publisher.delete_topic(topic=name)
        else:
            google.subscriber.delete_subscription(subscription=name)


@pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.AFTER])
@pytest.mark.parametrize(
    "method", [CREATE_TOPIC, CREATE_SUBSCRIPTION, PULL, ACKNOWLEDGE, DELETE_SUBSCRIPTION, DELETE_TOPIC]
)
def test_an_outage_that_passes_is_waited_out(method: str, moment: Moment, ask: Ask, world: World) -> None:
    world.faults.add(faults.unavailable(method, moment=moment, times=2))
    acts = says(received()), says(result(1, "a"), pause=0.7)
    assert ask(*acts).output_values == "a"


def test_a_pull_that_nothing_comes_of_is_no_trouble(ask: Ask, world: World) -> None:
    world.faults.add(faults.gateway_timeout(PULL, times=3))
    assert ask(says(result(0, "a"))).output_values == "a"


def test_a_question_that_may_have_been_published_is_not_published_again_and_its_answer_counts(
    ask: Ask, world: World, requests: Callable[[], list[str]]
) -> None:
    world.faults.add(faults.unavailable(PUBLISH, moment=Moment.AFTER))
    assert ask(says(result(0, "a"))).output_values == "a"
    assert requests().count(PUBLISH) == 1


def test_a_question_that_was_perhaps_not_published_is_told_as_that(
    ask: Ask, world: World, requests: Callable[[], list[str]]
) -> None:
    world.faults.add(faults.unavailable(PUBLISH, moment=Moment.BEFORE))
    with pytest.raises(NoAnswer, match="Google did not say whether it took the question: UNAVAILABLE from publish"):
        ask(says(result(0)), seconds=1.0)
    assert requests().count(PUBLISH) == 1


# The end of the run


def of_a_run_that_can_end(google: Google) -> tuple[Google, Cancellation]:
    cancellation = Cancellation()
    return Google(google._credentials, google._emulator, cancellation=cancellation), cancellation


def test_a_cancelled_run_stops_waiting_at_once_and_removes_what_it_made(ask: Ask, google: Google) -> None:
    ending, cancellation = of_a_run_that_can_end(google)
    threading.Timer(0.6, cancellation.ask).start()
    start = time.monotonic()
    with pytest.raises(Cancelled):
        ask(says(received()), says(result(1), pause=3.0), by=ending)
    assert time.monotonic() - start < 2


def test_a_run_that_is_cancelled_already_asks_for_nothing(
    ask: Ask, google: Google, requests: Callable[[], list[str]]
) -> None:
    ending, cancellation = of_a_run_that_can_end(google)
    cancellation.ask()
    with pytest.raises(Cancelled):
        ask(says(result(0)), by=ending)
    assert requests() == []


def test_the_runs_own_limit_counts(ask: Ask, google: Google) -> None:
    ending, cancellation = of_a_run_that_can_end(google)
    cancellation.limit(0.6)
    with pytest.raises(Cancelled):
        ask(says(received()), says(result(1), pause=3.0), by=ending)
    assert cancellation.too_long


def test_a_run_whose_connections_are_cut_ends_though_it_can_remove_nothing(
    ask: Ask, google: Google, world: World
) -> None:
    ending, cancellation = of_a_run_that_can_end(google)

    def end() -> None:
        cancellation.cut()
        cancellation.ask()

    threading.Timer(0.6, end).start()
    start = time.monotonic()
    with pytest.raises((Cancelled, GoogleError)):
        ask(says(received()), says(result(1), pause=3.0), by=ending)
    assert time.monotonic() - start < 3
    clear(google, *made_for_answers(world))


# Octue's own SDK


@pytest.fixture(scope="module")
def wind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Google, World, str]]:
    """The example, which fails where the rated power is 13 MW, and the door of who asks it."""
    folder = tmp_path_factory.mktemp("wind-yield")
    wind_yield.check_out(folder / "repository")
    app = folder / "repository" / "app.py"
    limit = '    if rated_power == 13:\n        raise ValueError("no such turbine")\n\n    full_load_hours'
    app.write_text(app.read_text().replace("    full_load_hours", limit, 1))
    repositories = {REPOSITORY: folder / "repository"}
    with Emulator(WorldSettings(state=folder / "state", cache=LAYERS, repositories=repositories)) as emulator:
        job = Job(emulator, folder / "repository")
        job.commit()
        run = job.deploy()
        assert run.code == 0, run.stdout
        yield door(emulator), emulator.world, run.outputs["service_id"]


def ask_for_wind(wind: tuple[Google, World, str], rated_power: float) -> Answer:
    google, world, service_id = wind
    values = {"hourly_wind_speeds": wind_yield.WIND_SPEEDS, "rated_power": rated_power}
    try:
        return question.ask(google, project_id="my-project", service_id=service_id, input_values=values, seconds=120)
    finally:
        assert made_for_answers(world) == []


def test_a_service_with_octues_sdk_answers(wind: tuple[Google, World, str]) -> None:
    answer = ask_for_wind(wind, wind_yield.RATED_POWER)
    assert answer.output_values == wind_yield.answer()
    assert answer.output_manifest is None
    assert any("Validated output values" in line for line in answer.log)


def test_an_analysis_with_octues_sdk_that_fails_says_why(wind: tuple[Google, World, str]) -> None:
    with pytest.raises(NoAnswer, match=r"ValueError: .*no such turbine") as caught:
        ask_for_wind(wind, 13)
    assert 'raise ValueError("no such turbine")' in caught.value.log[-1]


def test_a_question_that_octues_sdk_does_not_take_says_why(wind: tuple[Google, World, str]) -> None:
    with pytest.raises(NoAnswer, match="InvalidValuesContents"):
        ask_for_wind(wind, -1)
