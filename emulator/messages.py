"""Messages of the methods that are called over HTTP alone: for these there is no client library that has them.

Fields are those of https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools,
of the providers below it, and of
https://cloud.google.com/service-usage/docs/reference/rest/v1beta1/services/generateServiceIdentity.
"""

from __future__ import annotations

import proto
from google.protobuf.field_mask_pb2 import FieldMask

__protobuf__ = proto.module(package="google.iam.v1")

PAGE = 50
"""The most pools or providers on a page where the caller names no number."""


class State(proto.Enum):
    """Whether a pool or a provider is there, or was deleted and can be taken back."""

    STATE_UNSPECIFIED = 0
    ACTIVE = 1
    DELETED = 2


class WorkloadIdentityPool(proto.Message):
    """A pool of identities from outside."""

    name = proto.Field(proto.STRING, number=1)
    display_name = proto.Field(proto.STRING, number=2)
    description = proto.Field(proto.STRING, number=3)
    state = proto.Field(proto.ENUM, number=4, enum=State)
    disabled = proto.Field(proto.BOOL, number=5)
    expire_time = proto.Field(proto.STRING, number=6)


class Oidc(proto.Message):
    """An issuer of OIDC tokens."""

    issuer_uri = proto.Field(proto.STRING, number=1)
    allowed_audiences = proto.RepeatedField(proto.STRING, number=2)
    jwks_json = proto.Field(proto.STRING, number=3)


class WorkloadIdentityPoolProvider(proto.Message):
    """Whose tokens a pool accepts, and what of them is taken over."""

    name = proto.Field(proto.STRING, number=1)
    display_name = proto.Field(proto.STRING, number=2)
    description = proto.Field(proto.STRING, number=3)
    state = proto.Field(proto.ENUM, number=4, enum=State)
    disabled = proto.Field(proto.BOOL, number=5)
    attribute_mapping = proto.MapField(proto.STRING, proto.STRING, number=6)
    attribute_condition = proto.Field(proto.STRING, number=7)
    oidc = proto.Field(Oidc, number=8)
    expire_time = proto.Field(proto.STRING, number=9)


class GetRequest(proto.Message):
    """Reads, deletes or takes back a pool or a provider."""

    name = proto.Field(proto.STRING, number=1)


class ListRequest(proto.Message):
    """Lists pools or providers."""

    parent = proto.Field(proto.STRING, number=1)
    page_size = proto.Field(proto.INT32, number=2)
    page_token = proto.Field(proto.STRING, number=3)
    show_deleted = proto.Field(proto.BOOL, number=4)


class ListPoolsResponse(proto.Message):
    """A page of pools."""

    workload_identity_pools = proto.RepeatedField(WorkloadIdentityPool, number=1)
    next_page_token = proto.Field(proto.STRING, number=2)


class ListProvidersResponse(proto.Message):
    """A page of providers."""

    workload_identity_pool_providers = proto.RepeatedField(WorkloadIdentityPoolProvider, number=1)
    next_page_token = proto.Field(proto.STRING, number=2)


class CreatePoolRequest(proto.Message):
    """Makes a pool."""

    parent = proto.Field(proto.STRING, number=1)
    workload_identity_pool = proto.Field(WorkloadIdentityPool, number=2)
    workload_identity_pool_id = proto.Field(proto.STRING, number=3)


class CreateProviderRequest(proto.Message):
    """Makes a provider."""

    parent = proto.Field(proto.STRING, number=1)
    workload_identity_pool_provider = proto.Field(WorkloadIdentityPoolProvider, number=2)
    workload_identity_pool_provider_id = proto.Field(proto.STRING, number=3)


class UpdatePoolRequest(proto.Message):
    """Changes fields of a pool."""

    workload_identity_pool = proto.Field(WorkloadIdentityPool, number=1)
    update_mask = proto.Field(FieldMask, number=2)


class UpdateProviderRequest(proto.Message):
    """Changes fields of a provider."""

    workload_identity_pool_provider = proto.Field(WorkloadIdentityPoolProvider, number=1)
    update_mask = proto.Field(FieldMask, number=2)


class OperationMetadata(proto.Message):
    """Of an operation, of which nothing more is said."""


class GenerateServiceIdentityRequest(proto.Message):
    """Asks for the agent of an API in a project."""

    parent = proto.Field(proto.STRING, number=1)


class ServiceIdentity(proto.Message):
    """The agent of an API in a project."""

    email = proto.Field(proto.STRING, number=1)
    unique_id = proto.Field(proto.STRING, number=2)
