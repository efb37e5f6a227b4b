from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octue_action import values
from octue_action.problems import Rejected

PARSERS: list[Callable[[str], object]] = [
    values.boolean,
    values.branch_pattern,
    values.cpu,
    values.emulator,
    values.identity_provider,
    values.image,
    values.json_value,
    values.label_key,
    values.label_value,
    values.memory,
    values.name,
    values.name_with_namespace,
    values.pairs,
    values.project_id,
    values.region,
    values.repository_connection,
    values.revision,
    values.role,
    values.secret,
    values.secret_name,
    values.service_account,
    values.service_id,
    values.variable_name,
    values.variable_value,
    values.one_of(values.MODES),
    values.whole_number(0, 10),
]

ACCEPTED = [
    (values.boolean, "TRUE", True),
    (values.boolean, "False", False),
    (values.branch_pattern, r"^release/\d+(\.\d+)*$", r"^release/\d+(\.\d+)*$"),
    (values.branch_pattern, r"^\pL+\z", r"^\pL+\z"),  # RE2 knows these, Python does not
    (values.cpu, "1.0", "1"),
    (values.cpu, ".5", "0.5"),
    (values.cpu, "0.500", "0.5"),
    (values.cpu, "0.08", "0.08"),
    (values.cpu, "8", "8"),
    (values.image, "localhost:5000/a/b_c/d--e:1.0", "localhost:5000/a/b_c/d--e:1.0"),
    (values.image, "sum", "sum"),
    (values.memory, "32Gi", "32Gi"),
    (values.memory, "128Mi", "128Mi"),
    (values.memory, "512M", "512M"),
    (values.name_with_namespace, "my-org/sum", "my-org/sum"),
    (values.project_id, "example.com:my-project", "example.com:my-project"),
    (values.region, "northamerica-northeast1", "northamerica-northeast1"),
    (values.repository_connection, "projects/1/locations/a-b1/connections/c/repositories/r", None),
    (values.revision, "my-org-sum-00003-abc", "my-org-sum-00003-abc"),
    (values.role, "roles/pubsub.editor", "roles/pubsub.editor"),
    (values.role, "organizations/1/roles/octue", "organizations/1/roles/octue"),
    (values.secret_name, "my_Secret-1", "my_Secret-1"),
    (values.service_account, "1-compute@developer.gserviceaccount.com", None),
    (values.service_account, "a-b@proj.example.com.iam.gserviceaccount.com", None),
]


@pytest.mark.parametrize(("parse", "text", "value"), ACCEPTED)
def test_what_google_takes_is_accepted(parse: Callable[[str], object], text: str, value: object) -> None:
    assert parse(text) == (text if value is None else value)


REJECTED = [
    (values.cpu, "sNaN"),
    (values.cpu, "1e1"),
    (values.cpu, "٣"),
    (values.memory, "33Gi"),
    (values.memory, "127Mi"),
    (values.memory, "1.5Gi"),
    (values.memory, "512Mi\n"),
    (values.name, "sum\n"),
    (values.name, "a--b"),
    (values.name_with_namespace, "a/b/c"),
    (values.secret_name, "a b"),
    (values.service_id, "é" * 36),
    (values.variable_value, "a\x00b"),
    (values.variable_name, "A\n"),
    (values.branch_pattern, "(" * 200),
    (values.branch_pattern, "a" * 257),
    (values.whole_number(0, 10), "٣"),
    (values.whole_number(0, 10), "1" * 5000),
]


@pytest.mark.parametrize(("parse", "text"), REJECTED)
def test_what_google_would_refuse_is_rejected(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(Rejected):
        parse(text)


@pytest.mark.parametrize("parse", PARSERS)
@given(text=st.text(max_size=100) | st.from_regex(r"\A[a-z0-9:/@.=\[\]{}\"-]{0,80}\Z"))
def test_any_text_is_accepted_or_rejected(parse: Callable[[str], object], text: str) -> None:
    try:
        parse(text)
    except Rejected as rejected:
        hint = rejected.hint
    else:
        hint = ""
    assert hint.isprintable()


@given(st.integers(1, 99999), st.sampled_from(["Mi", "Gi", "M", "G"]))
def test_memory_is_counted_in_bytes(number: int, unit: str) -> None:
    per_unit = {"Mi": 1024**2, "Gi": 1024**3, "M": 1000**2, "G": 1000**3}[unit]
    assert values.memory_bytes(f"{number}{unit}") == number * per_unit
