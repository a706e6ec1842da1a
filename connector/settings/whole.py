"""A node's whole configuration: the sections and what holds between them."""

from __future__ import annotations

import re
from typing import Final

from pydantic import Field, field_validator, model_validator

from connector.settings.authority import Authority
from connector.settings.catalog import Catalog
from connector.settings.fields import File, Secret, Section, untouched
from connector.settings.identity import Identity
from connector.settings.limits import Bounds, Limits
from connector.settings.node import Data, Delivery, Node, Outbound, Public, StoreSettings
from connector.settings.oauth2 import DAPS_AUDIENCE, OAuth2Provider
from connector.settings.operator import Operator
from connector.settings.participant import Participant
from connector.settings.retention import Retention
from connector.settings.signaling import ServedPlane, Signaling, unsafe_in
from connector.settings.telemetry import Telemetry

_RESERVED: Final = frozenset({"api", "health", "metrics", "authority", "catalog", "dataplane"})
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?")


class Settings(Section):
    """A node's whole configuration."""

    node: Node
    public: Public = untouched()
    operator: Operator = untouched()
    store: StoreSettings = untouched()
    outbound: Outbound = untouched()
    delivery: Delivery = untouched()
    data: Data = untouched()
    retention: Retention = untouched()
    limits: Limits = untouched()
    telemetry: Telemetry = untouched()
    identity: Identity = untouched()
    authority: Authority = untouched()
    catalog: Catalog = untouched()
    oauth2: OAuth2Provider | None = Field(
        None, description="The OAuth2 provider of a space, run by this node; none by default."
    )
    signaling: Signaling | None = Field(None, description="Data plane signaling; none by default, and nothing of it is loaded.")
    dataplane: ServedPlane = untouched()
    participants: dict[str, Participant] = Field(default_factory=dict, description="Contexts by local name, as in addresses.")
    secrets_key: Secret | None = Field(
        None,
        repr=False,
        description="Key that seals stored secrets (32 bytes, base64); `kontor init` writes one to `data_dir/secrets.key`.",
    )
    profiles: tuple[File, ...] = Field(
        (),
        description="Profiles of your own (JSON, as in `vocab/profiles`): words that policies may use, and how they are judged.",
    )
    plugins: tuple[str, ...] = Field((), description="Entry points that may be loaded; being installed is not consent.")

    @field_validator("participants")
    @classmethod
    def _local_names(cls, value: dict[str, Participant]) -> dict[str, Participant]:
        for name in value:
            if fault := Settings.local_name_fault(name):
                raise ValueError(fault)
        # a token is good once with whom it names: with two of one id it would be good twice, and agreements would be nobody's
        names = {one.id: name for name, one in value.items()}
        for name, one in value.items():
            if names[one.id] != name:
                raise ValueError(f"`{name}` and `{names[one.id]}` have the same id `{one.id}`: one participant, one context")
        return value

    @model_validator(mode="after")
    def _audiences(self) -> Settings:
        """INVARIANT: a token of a provider opens one participant, or the operator API, and nothing else of this node."""
        oidc = self.operator.oidc
        taken = {(oidc.issuer, oidc.audience): "operator.oidc"} if oidc is not None else {}
        for name, one in self.participants.items():
            if one.oauth2 is None or one.oauth2.audience == DAPS_AUDIENCE:
                continue
            place, audience = f"participants.{name}.oauth2", one.oauth2.audience or one.id
            other = taken.setdefault((one.oauth2.issuer, audience), place)
            if other != place:
                raise ValueError(f"`{place}` and `{other}` take the same tokens: give each an `audience` of its own")
        return self

    def bounds(self, participant: str, peer: str | None = None) -> Bounds:
        """The bounds of a participant, or of a peer of it; of what our data plane serves for others under the name `dataplane`."""
        own = self.participants.get(participant) if participant != "dataplane" else self.dataplane
        if peer is None:
            return own.limits.over(self.limits.participant) if own is not None else self.limits.participant
        said = own.peer_limits.get(peer) if own is not None else None
        return said.over(self.limits.peer) if said is not None else self.limits.peer

    @staticmethod
    def local_name_fault(name: str) -> str | None:
        """Why `name` cannot be a participant's local name; None when it can."""
        if _NAME.fullmatch(name) and name not in _RESERVED:
            return None
        reserved = ", ".join(sorted(_RESERVED))
        return f"`{name}` is no local name: lower-case letters, digits, `.`, `_`, `-`, at most 64, and none of {reserved}"

    def unsafe(self) -> tuple[str, ...]:
        """The settings in force that weaken a check: each start warns about them."""
        found = [
            f"outbound.{n}" for n in type(self.outbound).model_fields if n.startswith("unsafe_") and getattr(self.outbound, n)
        ]
        shared = [("identity.membership", self.identity.membership)]
        own = [(f"participants.{n}.identity", p.identity) for n, p in self.participants.items() if p.identity is not None]
        found += [
            f"{where}.trusted_issuers.unsafe_unsigned_lists"
            for where, part in shared + own
            if any(one.unsafe_unsigned_lists for one in part.trusted_issuers)
        ]
        if self.oauth2 is not None and self.oauth2.unsafe_daps_audience:
            found.append("oauth2.unsafe_daps_audience")
        everybody = [n for n, p in self.participants.items() if p.oauth2 is not None and p.oauth2.audience == DAPS_AUDIENCE]
        found += [f"participants.{n}.oauth2.audience" for n in everybody]
        found += [f"participants.{n}.unsafe_static_tokens" for n, p in self.participants.items() if p.unsafe_static_tokens]
        return tuple(found + unsafe_in(self.signaling, self.dataplane))
