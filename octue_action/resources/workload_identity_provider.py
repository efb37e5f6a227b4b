"""Whose tokens a workload identity pool accepts: here GitHub's, under a condition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Self

from octue_action.resource import Mark
from octue_action.resources.workload_identity_pool import Federation


@dataclass(frozen=True, kw_only=True)
class WorkloadIdentityProvider(Federation):
    """An OIDC provider of a pool.

    :param provider_id: its id within the pool.
    :param issuer: whose tokens it accepts.
    :param attribute_mapping: an expression for ``google.subject``, and for each attribute that policies may name.
    :param attribute_condition: which of these tokens are let in.
    :param allowed_audiences: of these tokens; the provider's own name where there is none.
    :param keys: of an actual one: those with which tokens are signed, where they are not the issuer's own. Whoever has
        set some lets in whomever they like, so they are taken out.
    """

    kind: ClassVar[str] = "workload_identity_provider"
    title: ClassVar[str] = "Workload identity provider"
    id_parameter: ClassVar[str] = "workloadIdentityPoolProviderId"
    collection: ClassVar[str] = "workloadIdentityPoolProviders"

    provider_id: Annotated[str, Mark.IDENTITY]
    issuer: str
    attribute_mapping: Annotated[Mapping[str, str], Mark.ADDITIVE]
    attribute_condition: str
    allowed_audiences: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.provider_id} of {self.pool_id}"

    @property
    def resource_name(self) -> str:
        pool = f"projects/{self.project_id}/locations/global/workloadIdentityPools/{self.pool_id}"
        return f"{pool}/providers/{self.provider_id}"

    def _body(self, owner: Mapping[str, str], actual: Self | None = None) -> dict[str, Any]:
        oidc = {"issuerUri": self.issuer, "allowedAudiences": list(self.allowed_audiences)}
        return {
            **super()._body(owner, actual),
            "attributeMapping": {**(actual.attribute_mapping if actual else {}), **self.attribute_mapping},
            "attributeCondition": self.attribute_condition,
            "oidc": oidc,
        }

    def _canonical(self, message: Mapping[str, Any]) -> Self:
        oidc = message.get("oidc", {})
        return replace(
            super()._canonical(message),
            issuer=oidc.get("issuerUri", ""),
            attribute_mapping=message.get("attributeMapping", {}),
            attribute_condition=message.get("attributeCondition", ""),
            allowed_audiences=tuple(oidc.get("allowedAudiences", ())),
            keys=(oidc["jwksJson"],) if oidc.get("jwksJson") else (),
        )
