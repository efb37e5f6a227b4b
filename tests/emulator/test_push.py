import json

import pytest
from google.pubsub_v1.types import pubsub

from emulator.delivery import Delivery
from emulator.push import cloud_event_headers, envelope

MESSAGE = pubsub.PubsubMessage(
    data=b"a", message_id="7", publish_time={"seconds": 1, "nanos": 250_000_000}, ordering_key="k"
)


def test_the_envelope_has_both_spellings_and_the_key() -> None:
    body = json.loads(envelope(Delivery("id", MESSAGE, 2), "projects/p/subscriptions/s", shows_attempts=True))
    assert body == {
        "message": {
            "data": "YQ==",
            "messageId": "7",
            "message_id": "7",
            "publishTime": "1970-01-01T00:00:01.250Z",
            "publish_time": "1970-01-01T00:00:01.250Z",
            "orderingKey": "k",
        },
        "subscription": "projects/p/subscriptions/s",
        "deliveryAttempt": 2,
    }


def test_without_dead_letter_policy_the_envelope_tells_no_attempt() -> None:
    assert b"deliveryAttempt" not in envelope(Delivery("id", MESSAGE, 2), "s", shows_attempts=False)


@pytest.mark.parametrize("url", ["https://x.run.app/", "https://x.run.app/?__GCP_CloudEventsMode=GCS_NOTIFICATION"])
def test_other_endpoints_get_no_cloud_event(url: str) -> None:
    assert cloud_event_headers(url, MESSAGE) == {}


def test_the_endpoint_of_a_trigger_gets_a_cloud_event() -> None:
    url = "https://x.run.app/?__GCP_CloudEventsMode=CUSTOM_PUBSUB_projects%2Fp%2Ftopics%2Ft"
    assert cloud_event_headers(url, MESSAGE)["ce-source"] == "//pubsub.googleapis.com/projects/p/topics/t"
