"""The query language of Cloud Logging."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from google.api.monitored_resource_pb2 import MonitoredResource
from google.cloud.logging_v2 import types
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from emulator.log_filter import FilterError, Predicate, parse_filter

LOG = "projects/my-project/logs/run.googleapis.com%2Fstderr"


def entry(text: str = "Container called exit(1).", **fields: Any) -> Any:
    """An entry as a container writes it at noon."""
    moment = Timestamp()
    moment.FromJsonString("2031-05-06T12:00:00.5Z")
    given_fields: dict[str, Any] = {
        "log_name": LOG,
        "resource": MonitoredResource(type="cloud_run_revision", labels={"service_name": "sum", "location": "eu"}),
        "labels": {"instanceId": "0a1b", "k8s.io/app": "sum"},
        "severity": 400,
        "timestamp": moment,
        "insert_id": "1",
        "text_payload": text,
    }
    return type(types.LogEntry.pb(types.LogEntry()))(**given_fields | fields)


ENTRY = entry()
STRUCTURED = entry("", json_payload={"message": "Done", "seconds": 3.5, "where": {"step": "two"}, "last": True})


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("", True),
        ("  \n ", True),
        ("-- nothing but a comment", True),
        ('resource.type="cloud_run_revision"', True),
        ("resource.type=cloud_run_revision", True),
        ('resource.type="build"', False),
        ('resource.type = "CLOUD_RUN_REVISION"', True),
        ('resource.labels.service_name="sum"', True),
        ('resource.labels.service_name!="sum"', False),
        ('resource.labels.service_name:"u"', True),
        ('labels.instanceId="0a1b"', True),
        ('labels."k8s.io/app"="sum"', True),
        (f'logName="{LOG}"', True),
        ('logName:"stderr"', True),
        ('logName=("a" OR "b")', False),
        (f'logName=("a" OR "{LOG}")', True),
        ('textPayload:("container" AND "exit")', True),
        ('textPayload:("container" AND NOT "exit")', False),
        ("severity>=WARNING", True),
        ("severity>warning", False),
        ("severity=400", True),
        ("severity<ERROR", True),
        ('timestamp>="2031-05-06T12:00:00Z"', True),
        ('timestamp<="2031-05-06T12:00:00Z"', False),
        ('timestamp>"2031-05-06T13:00:00+02:00"', True),
        ('timestamp>="2031-05-07"', False),
        ('textPayload="container called EXIT(1)."', True),
        ('textPayload:"exit("', True),
        ('textPayload=~"exit\\(\\d\\)"', True),
        ('textPayload=~"EXIT"', False),
        ('textPayload!~"EXIT"', True),
        ("textPayload:*", True),
        ("trace:*", False),
        ('trace=""', True),
        ("labels.instanceId:*", True),
        ("labels.other:*", False),
        ("exit", True),
        ('"called exit"', True),
        ("0A1B", True),
        ("nowhere", False),
        ("NOT nowhere", True),
        ("-nowhere", True),
        ("not", False),
        ('severity=WARNING resource.type="build"', False),
        ('severity=WARNING\nresource.type="cloud_run_revision" -- as it should\n', True),
        ('severity=ERROR OR resource.type="cloud_run_revision"', True),
    ],
)
def test_a_filter_chooses_the_right_entries(text: str, passes: bool) -> None:
    assert parse_filter(text)(ENTRY) is passes


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ('jsonPayload.message="done"', True),
        ("jsonPayload.seconds>3", True),
        ("jsonPayload.seconds=3.5", True),
        ('jsonPayload.where.step="two"', True),
        ('jsonPayload.where.step="one"', False),
        ("jsonPayload.last=true", True),
        ("jsonPayload.absent:*", False),
        ("jsonPayload.absent=1", False),
        ("textPayload:*", False),
    ],
)
def test_fields_of_what_is_structured_are_compared(text: str, passes: bool) -> None:
    assert parse_filter(text)(STRUCTURED) is passes


@pytest.mark.parametrize("compared", ["=", "!=", ">", "<", ">=", "<=", ":", "=~", "!~"])
def test_no_comparison_with_a_missing_label_holds_and_its_negation_does(compared: str) -> None:
    assert not parse_filter(f'labels.absent{compared}"x"')(ENTRY)
    assert parse_filter(f'NOT labels.absent{compared}"x"')(ENTRY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('severity="ERROR" AND', "syntax error at line 1, column 21, token ''"),
        ("AND severity=ERROR", "syntax error at line 1, column 1, token 'AND'"),
        ("timestamp>=2031-05-06T12:00:00Z", "syntax error at line 1, column 25, token ':'"),
        ("severity=ERROR\nlogName=", "syntax error at line 2, column 9, token ''"),
        ("(severity=ERROR", "syntax error at line 1, column 16, token ''"),
        ("severity=ERROR)", "syntax error at line 1, column 15, token ')'"),
        ('textPayload="unclosed', "syntax error at line 1, column 13, token '\"'"),
        ('"textPayload"="x"', "syntax error at line 1, column 14, token '='"),
        ('sample(insertId, 0.5)="x"', "syntax error at line 1, column 16, token ','"),
        ('thud="x"', "Field not found: 'thud'."),
        ('textPayload.thud="x"', "Field not found: 'textPayload.thud'."),
        ('resource.thud="x"', "Field not found: 'resource.thud'."),
        ("severity=LOUD", "invalid severity: 'LOUD'"),
        ('timestamp>"noon"', "invalid timestamp: 'noon'"),
        ('textPayload=~"("', "invalid regular expression"),
    ],
)
def test_what_is_no_filter_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(FilterError) as refused:
        parse_filter(text)
    assert message in str(refused.value)


@given(text=st.text(max_size=40))
def test_every_text_is_a_filter_or_refused(text: str) -> None:
    with contextlib.suppress(FilterError):
        parse_filter(text)(ENTRY)


@given(text=st.text(max_size=20), other=st.text(max_size=20))
def test_a_quoted_text_is_equal_to_itself_alone(text: str, other: str) -> None:
    chooses = parse_filter(f"textPayload={json.dumps(text)}")

    assert chooses(entry(text))
    assert chooses(entry(other)) == (text.casefold() == other.casefold())


@given(text=st.text(min_size=1, max_size=20), before=st.text(max_size=5), after=st.text(max_size=5))
def test_a_colon_finds_a_text_wherever_it_stands(text: str, before: str, after: str) -> None:
    text = text if text != "*" else "a star alone asks for something else"
    assert parse_filter(f"textPayload:{json.dumps(text)}")(entry(before + text + after))


TERMS = st.sampled_from(
    ["severity=WARNING", "severity=ERROR", 'textPayload:"exit"', 'textPayload:"x y"', "labels.absent:*", "-exit"]
)
TEXTS = st.recursive(
    TERMS,
    lambda inner: st.one_of(
        st.builds("({} AND {})".format, inner, inner),
        st.builds("({} {})".format, inner, inner),
        st.builds("({} OR {})".format, inner, inner),
        st.builds("NOT {}".format, inner),
    ),
    max_leaves=8,
)


def chosen(text: str) -> tuple[bool, ...]:
    predicate: Predicate = parse_filter(text)
    others = entry("x y"), entry("x y", severity=500), entry("exit", severity=500)
    return tuple(predicate(each) for each in (ENTRY, STRUCTURED, *others))


@given(first=TEXTS, second=TEXTS, third=TEXTS)
def test_the_laws_of_logic_hold_and_or_binds_closer_than_and(first: str, second: str, third: str) -> None:
    assert chosen(f"NOT NOT {first}") == chosen(f"-(-({first}))") == chosen(first)
    assert chosen(f"{first} AND {second}") == chosen(f"{first} {second}") == chosen(f"{second}\n{first}")
    assert chosen(f"NOT ({first} AND {second})") == chosen(f"NOT ({first}) OR NOT ({second})")
    assert chosen(f"{first} AND {second} OR {third}") == chosen(f"{first} AND ({second} OR {third})")
    assert chosen(f"{first} OR {second} AND {third}") == chosen(f"({first} OR {second}) AND {third}")
    both = (one and other for one, other in zip(chosen(first), chosen(second), strict=True))
    assert chosen(f"{first} AND {second}") == tuple(both)
