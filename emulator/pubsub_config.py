"""What topics and subscriptions may look like: names, limits, defaults, and what an update may change.

Sources: https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names, the comments in pubsub.proto, and answers of
the real service; messages that no public recording shows are in plain words of our own.
"""

from __future__ import annotations

import math
import re
import unicodedata
import urllib.parse
from collections.abc import Collection, Mapping
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1.types import pubsub

from emulator.errors import ApiError, invalid_argument, unimplemented

DELETED_TOPIC = "_deleted-topic_"
LARGEST_ACK_DEADLINE_SECONDS = 600
_SMALLEST_ACK_DEADLINE_SECONDS = 10
_DAY_SECONDS = 86400
_DEFAULT_RETENTION_SECONDS = 7 * _DAY_SECONDS
_DEFAULT_EXPIRATION_SECONDS = 31 * _DAY_SECONDS
_SMALLEST_RETENTION_SECONDS = 600
_LARGEST_RETENTION_SECONDS = 31 * _DAY_SECONDS
_SMALLEST_EXPIRATION_SECONDS = _DAY_SECONDS
_LARGEST_BACKOFF_SECONDS = 600
_DELIVERY_ATTEMPTS = range(5, 101)
_LABELS_LIMIT = 64
_LARGEST_LABEL = 63
_LARGEST_PUBLISH_MESSAGES = 1000
_LARGEST_PUBLISH_BYTES = 10_000_000
_LARGEST_FILTER_BYTES = 256
_ATTRIBUTES_LIMIT = 100
_LARGEST_ATTRIBUTE_KEY_BYTES = 256
_LARGEST_ATTRIBUTE_BYTES = 1024
_LARGEST_ORDERING_KEY_BYTES = 1024

_NAME = re.compile(
    r"projects/(?P<project>[^/]+)/(?P<kind>topics|subscriptions)/(?P<id>[A-Za-z][A-Za-z0-9._~%+-]{2,254})"
)
_TOPIC_MUTABLE = {"labels", "message_retention_duration", "message_storage_policy", "kms_key_name"}
_SUBSCRIPTION_MUTABLE = {
    "ack_deadline_seconds",
    "dead_letter_policy",
    "enable_exactly_once_delivery",
    "expiration_policy",
    "labels",
    "message_retention_duration",
    "push_config",
    "retain_acked_messages",
    "retry_policy",
}


def invalid_name(name: str) -> ApiError:
    """The refusal of a name that no topic or subscription can have."""
    return invalid_argument(
        f"Invalid resource name given (name={name}). "
        "Refer to https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names for more information."
    )


def check_name(name: str, kind: str) -> str:
    """The project in the full name of a topic or subscription.

    :param kind: ``topics`` or ``subscriptions``.
    :raises ApiError: INVALID_ARGUMENT for any other name.
    """
    match = _NAME.fullmatch(name)
    if match is None or match["kind"] != kind or match["id"].startswith("goog"):
        raise invalid_name(name)
    return match["project"]


def short(name: str) -> str:
    """The last part of a name, by which real Pub/Sub calls a resource in its messages."""
    return name.rsplit("/", 1)[-1]


def check_topic(config: pubsub.Topic) -> None:
    """Check a topic's configuration.

    :raises ApiError: INVALID_ARGUMENT, or UNIMPLEMENTED for what the emulator does not have.
    """
    _refuse_unimplemented(config, ("schema_settings", "ingestion_data_source_settings", "message_transforms"))
    _check_labels(config.labels)
    settings: Any = pubsub.Topic.pb(config)
    if settings.HasField("message_retention_duration"):
        _check_retention(settings)


def completed(config: pubsub.Subscription) -> pubsub.Subscription:
    """A checked copy of a subscription's configuration in which the defaults are filled in.

    :raises ApiError: INVALID_ARGUMENT, or UNIMPLEMENTED for what the emulator does not have.
    """
    _refuse_unimplemented(config, ("bigquery_config", "cloud_storage_config", "bigtable_config", "message_transforms"))
    _check_labels(config.labels)
    _check_filter_size(config.filter)
    _check_push_endpoint(config.push_config.push_endpoint)
    complete = pubsub.Subscription(config)
    settings: Any = pubsub.Subscription.pb(complete)
    settings.state = pubsub.Subscription.State.ACTIVE
    settings.push_config.SetInParent()
    settings.ack_deadline_seconds = settings.ack_deadline_seconds or _SMALLEST_ACK_DEADLINE_SECONDS
    _check_ack_deadline(settings.ack_deadline_seconds, _SMALLEST_ACK_DEADLINE_SECONDS)
    if not settings.HasField("message_retention_duration"):
        settings.message_retention_duration.seconds = _DEFAULT_RETENTION_SECONDS
    _check_retention(settings)
    # A policy that is there but empty means that the subscription never expires.
    if not settings.HasField("expiration_policy"):
        settings.expiration_policy.ttl.seconds = _DEFAULT_EXPIRATION_SECONDS
    _check_expiration(settings.expiration_policy)
    _check_retry_policy(settings.retry_policy)
    if settings.HasField("dead_letter_policy"):
        _complete_dead_letter_policy(settings.dead_letter_policy)
    return complete


def duration(settings: Any, field: str, default: float) -> float:
    """A duration field of a protobuf message in seconds.

    :param settings: the protobuf message, not the proto-plus one around it.
    :param default: for a field that is not set.
    """
    return float(getattr(settings, field).ToTimedelta().total_seconds()) if settings.HasField(field) else default


def updated_topic(current: pubsub.Topic, request: pubsub.UpdateTopicRequest) -> pubsub.Topic:
    """A copy of a topic with what the request changes.

    :raises ApiError: INVALID_ARGUMENT for a mask without paths, with unknown or immutable fields.
    """
    changed = pubsub.Topic(current)
    _apply_mask(changed, request.topic, request.update_mask, _TOPIC_MUTABLE)
    check_topic(changed)
    return changed


def updated_subscription(
    current: pubsub.Subscription, request: pubsub.UpdateSubscriptionRequest
) -> pubsub.Subscription:
    """A copy of a subscription with what the request changes; what it clears goes back to the default.

    :raises ApiError: INVALID_ARGUMENT for a mask without paths, with unknown or immutable fields.
    """
    changed = pubsub.Subscription(current)
    _apply_mask(changed, request.subscription, request.update_mask, _SUBSCRIPTION_MUTABLE)
    return completed(changed)


def check_publish(request: pubsub.PublishRequest) -> None:
    """Check what is to be published.

    :raises ApiError: INVALID_ARGUMENT for no messages, too many, too large ones or empty ones.
    """
    count = len(request.messages)
    if count == 0:
        raise invalid_argument(
            "The value for message_count is too small. You passed 0 in the request, but the minimum value is 1."
        )
    if count > _LARGEST_PUBLISH_MESSAGES:
        raise _too_large("message_count", count, _LARGEST_PUBLISH_MESSAGES)
    size = pubsub.PublishRequest.pb(request).ByteSize()
    if size > _LARGEST_PUBLISH_BYTES:
        raise _too_large("request_size", size, _LARGEST_PUBLISH_BYTES)
    for message in request.messages:
        if not message.data and not message.attributes:
            raise invalid_argument(
                "One or more messages in the publish request is empty. "
                "Each message must contain either non-empty data, or at least one attribute."
            )
        _check_attributes(message)


def check_lease_seconds(seconds: int) -> None:
    """Check the deadline that a puller asks for; 0 gives the message back at once.

    :raises ApiError: INVALID_ARGUMENT outside 0 to 600 seconds.
    """
    _check_ack_deadline(seconds, 0)


def _apply_mask(target: Any, source: Any, mask: FieldMask, mutable: Collection[str]) -> None:
    kind = type(target).__name__
    if not mask.paths:
        raise invalid_argument(
            f"The update_mask in the Update{kind}Request must be set, and must contain a non-empty paths list."
        )
    into, given = type(target).pb(target), type(target).pb(source)
    problem = f"Invalid update_mask provided in the Update{kind}Request: "
    for path in mask.paths:
        field = path.partition(".")[0]
        if not FieldMask(paths=[path]).IsValidForDescriptor(into.DESCRIPTOR):
            raise invalid_argument(
                f"{problem}'{path}' is not a known {kind} field. "
                "Note that field paths must be of the form 'push_config' rather than 'pushConfig'."
            )
        if field not in mutable:
            raise invalid_argument(f"{problem}the '{field}' field in the {kind} is not mutable.")
    mask.MergeMessage(given, into, replace_message_field=True, replace_repeated_field=True)
    # Merging an empty message leaves no trace, but an empty expiration policy means something.
    for path in set(mask.paths) & {"expiration_policy", "retry_policy"}:
        if given.HasField(path):
            getattr(into, path).SetInParent()


def _check_attributes(message: pubsub.PubsubMessage) -> None:
    # https://cloud.google.com/pubsub/quotas#resource_limits and the rules for attributes in the publisher's guide
    if len(message.attributes) > _ATTRIBUTES_LIMIT:
        raise _too_large("num_attributes", len(message.attributes), _ATTRIBUTES_LIMIT)
    for key, value in message.attributes.items():
        if not key or key.startswith("goog"):
            raise invalid_argument(f"Invalid attribute key '{key}': it must not be empty nor begin with 'goog'.")
        if len(key.encode()) > _LARGEST_ATTRIBUTE_KEY_BYTES:
            raise _too_large("attribute_key_size", len(key.encode()), _LARGEST_ATTRIBUTE_KEY_BYTES)
        if len(value.encode()) > _LARGEST_ATTRIBUTE_BYTES:
            raise _too_large("attribute_value_size", len(value.encode()), _LARGEST_ATTRIBUTE_BYTES)
    if len(message.ordering_key.encode()) > _LARGEST_ORDERING_KEY_BYTES:
        raise _too_large("ordering_key_size", len(message.ordering_key.encode()), _LARGEST_ORDERING_KEY_BYTES)


def _check_labels(labels: Mapping[str, str]) -> None:
    if len(labels) > _LABELS_LIMIT:
        raise invalid_argument(f"Too many labels: {len(labels)}, but at most {_LABELS_LIMIT} are possible.")
    for key, value in labels.items():
        if not 0 < len(key) <= _LARGEST_LABEL or not _is_label_text(key) or not _is_letter(key[0]):
            raise _invalid_label(f'key "{key}"', r"[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}")
        if len(value) > _LARGEST_LABEL or not _is_label_text(value):
            raise _invalid_label(f'value "{value}"', r"[\p{Ll}\p{Lo}\p{N}_-]{0,63}")


def _invalid_label(what: str, pattern: str) -> ApiError:
    return invalid_argument(
        "You have passed an invalid argument to the service (argument=Invalid labels: "
        f'Invalid field "labels"; {what} does not conform to regular expression "{pattern}").'
    )


def _is_letter(character: str) -> bool:
    return unicodedata.category(character) in {"Ll", "Lo"}


def _is_label_text(text: str) -> bool:
    return all(_is_letter(c) or c in "_-" or unicodedata.category(c).startswith("N") for c in text)


def _check_filter_size(text: str) -> None:
    if len(text.encode()) > _LARGEST_FILTER_BYTES:
        raise _too_large("filter", len(text.encode()), _LARGEST_FILTER_BYTES)


def _check_push_endpoint(endpoint: str) -> None:
    url = urllib.parse.urlsplit(endpoint)
    # The real service wants https; a test's own server on this machine may do without.
    if endpoint and not (url.hostname and (url.scheme == "https" or (url.scheme == "http" and _is_loopback(url)))):
        raise invalid_argument(f"Invalid push endpoint given (endpoint={endpoint}).")


def _is_loopback(url: urllib.parse.SplitResult) -> bool:
    return url.hostname in {"127.0.0.1", "localhost", "::1"}


def _check_ack_deadline(seconds: int, smallest: int) -> None:
    if not smallest <= seconds <= LARGEST_ACK_DEADLINE_SECONDS:
        raise invalid_argument(
            f"Invalid ack deadline given (ack_deadline={seconds}). "
            f"The ack deadline must be between {smallest} and {LARGEST_ACK_DEADLINE_SECONDS} seconds."
        )


def _check_retention(settings: Any) -> None:
    seconds = duration(settings, "message_retention_duration", 0)
    if not _SMALLEST_RETENTION_SECONDS <= seconds <= _LARGEST_RETENTION_SECONDS:
        raise invalid_argument(
            f"The value for message retention duration is out of bounds. You passed {_span(seconds)} in the request, "
            f"but the value must be between {_span(_SMALLEST_RETENTION_SECONDS)} and "
            f"{_span(_LARGEST_RETENTION_SECONDS)}."
        )


def _check_expiration(policy: Any) -> None:
    seconds = duration(policy, "ttl", math.inf)
    if seconds < _SMALLEST_EXPIRATION_SECONDS:
        raise invalid_argument(
            f"The value for expiration duration is too small. You passed {_span(seconds)} in the request, "
            f"but the minimum value is {_span(_SMALLEST_EXPIRATION_SECONDS)}."
        )


def _check_retry_policy(policy: Any) -> None:
    for field in ("minimum_backoff", "maximum_backoff"):
        seconds = duration(policy, field, 0)
        if not 0 <= seconds <= _LARGEST_BACKOFF_SECONDS:
            raise invalid_argument(
                f"Invalid {field} {_span(seconds)} in the retry policy: "
                f"it must be between 0s and {_span(_LARGEST_BACKOFF_SECONDS)}."
            )


def _complete_dead_letter_policy(policy: Any) -> None:
    check_name(policy.dead_letter_topic, "topics")
    policy.max_delivery_attempts = policy.max_delivery_attempts or _DELIVERY_ATTEMPTS.start
    if policy.max_delivery_attempts not in _DELIVERY_ATTEMPTS:
        raise invalid_argument(
            f"Invalid max_delivery_attempts {policy.max_delivery_attempts}: it must be between 5 and 100."
        )


def _refuse_unimplemented(config: Any, fields: Collection[str]) -> None:
    for field in fields:
        if field in config and getattr(config, field):
            raise unimplemented(f"The emulator's Pub/Sub has no {field}.")


def _too_large(what: str, value: int, largest: int) -> ApiError:
    return invalid_argument(
        f"The value for {what} is too large. You passed {value} in the request, but the maximum value is {largest}."
    )


def _span(seconds: float) -> str:
    """A duration as the service writes it: ``9m59s``, ``744h``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{value}{unit}" for value, unit in ((hours, "h"), (minutes, "m"), (rest, "s")) if value]
    return "".join(parts) or "0s"
