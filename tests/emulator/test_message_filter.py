import pytest

from emulator.message_filter import FilterError, parse_filter


@pytest.mark.parametrize(
    ("text", "attributes", "passes"),
    [
        ("", {}, True),
        ('attributes.type = "key"', {"type": "key"}, True),
        ('attributes.type = "key"', {"type": "other"}, False),
        ('attributes.type = "key"', {}, False),
        ('attributes.type != "key"', {"type": "other"}, True),
        ('attributes.type != "key"', {}, True),
        ('attributes.type != "key"', {"type": "key"}, False),
        ("attributes:type", {"type": ""}, True),
        ("attributes:type", {"kind": ""}, False),
        ('attributes:"iana.org/language"', {"iana.org/language": "en"}, True),
        ('hasPrefix(attributes.name, "co")', {"name": "company"}, True),
        ('hasPrefix(attributes.name, "co")', {"name": "person"}, False),
        ('hasPrefix(attributes.name, "")', {}, False),
        ("NOT attributes:a", {"b": ""}, True),
        ("-attributes:a", {"a": ""}, False),
        ("attributes:a AND attributes:b", {"a": "", "b": ""}, True),
        ("attributes:a AND attributes:b", {"a": ""}, False),
        ("attributes:a OR attributes:b OR attributes:c", {"c": ""}, True),
        ("attributes:a OR attributes:b", {}, False),
        ("attributes:a AND (attributes:b OR attributes:c)", {"a": "", "c": ""}, True),
        ("NOT (attributes:a OR attributes:b)", {"b": ""}, False),
        (r'attributes.quote = "\"yes\""', {"quote": '"yes"'}, True),
        (
            'attributes.recipient = "org/sum:1" AND attributes.sender_type = "PARENT"',
            {"recipient": "org/sum:1", "sender_type": "PARENT"},
            True,
        ),
    ],
)
def test_a_filter_lets_the_right_messages_through(text: str, attributes: dict[str, str], passes: bool) -> None:
    assert parse_filter(text)(attributes) is passes


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "attributes.type",
        "attributes.type = key",
        "attributes.type < 3",
        'attributes.type = "a" AND',
        "attributes:a AND attributes:b OR attributes:c",
        "(attributes:a",
        'hasPrefix(attributes.a "b")',
        "attributes:a attributes:b",
        'attributes.a-b = "c"',
        'attributes.a = "unclosed',
        r'attributes.a = "\x"',
    ],
)
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(FilterError):
        parse_filter(text)
