"""Messages of ``google.api.serviceusage.v1beta1.ServiceUsage``.

Fields are those of https://cloud.google.com/service-usage/docs/reference/rest/v1beta1/services/generateServiceIdentity.
"""

from __future__ import annotations

import proto

__protobuf__ = proto.module(package="google.api.serviceusage.v1beta1")


class GenerateServiceIdentityRequest(proto.Message):
    """Asks for the agent of an API in a project."""

    parent = proto.Field(proto.STRING, number=1)


class ServiceIdentity(proto.Message):
    """The agent of an API in a project."""

    email = proto.Field(proto.STRING, number=1)
    unique_id = proto.Field(proto.STRING, number=2)
