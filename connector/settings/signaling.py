"""Data plane signaling: the listener that planes reach, data planes of others under our control plane, ours under that of others."""

from __future__ import annotations

import re
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from connector.settings.fields import File, ParticipantId, Secret, Section, untouched
from connector.settings.limits import Bounds
from connector.settings.node import Listener

_ID: Final = re.compile(r"[^\x00-\x20/?#\x7f]{1,200}")


def _base(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("an absolute http(s) address without user, query and fragment")
    return value.rstrip("/")


def _named(value: str) -> str:
    if not _ID.fullmatch(value):
        raise ValueError("up to 200 characters without blanks, `/`, `?` and `#`")
    return value


class Proof(Section):
    """How a plane and we prove ourselves to each other: a shared secret, or tokens of a server and the keys that sign them."""

    secret: Secret | None = Field(None, repr=False, description="Both planes hold it and send it as a bearer token.")
    jwks_uri: str | None = Field(
        None, description="Where the keys are that sign the tokens of the plane's calls, which name our id in `aud`."
    )
    token_endpoint: str | None = Field(None, description="Where we get the tokens of our calls to the plane.")
    client_id: str | None = Field(None, description="Who we are to `token_endpoint`.")
    client_secret: Secret | None = Field(None, repr=False, description="What proves us to `token_endpoint`.")
    token_exchange_endpoint: str | None = Field(
        None, description="The broker that gives us the tokens of our calls for what `signaling.workload_token` holds."
    )
    issuer: str | None = Field(None, description="What the tokens of the plane's calls must name in `iss`.")
    resource: str | None = Field(None, description="Whom we speak for, as the broker knows us.")
    scope: str = Field(
        "", description="What we ask of the broker, and what its tokens for the plane must grant, between blanks."
    )
    principal: str | None = Field(
        None, description="`sub` of the tokens of the plane's calls, where a server does not set it to the plane's id."
    )
    unsafe_unverified: bool = Field(
        False, description="Believe calls without proof: whoever reaches the listener can speak for this plane."
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Proof:
        tokens = (self.token_endpoint, self.client_id, self.client_secret)
        if any(tokens) and not all(tokens):
            raise ValueError("`token_endpoint`, `client_id` and `client_secret` go together; set all or none")
        if self.secret is None and self.jwks_uri is None and not self.unsafe_unverified:
            raise ValueError("nothing proves the plane's calls; set `secret` or `jwks_uri`")
        if self.token_exchange_endpoint is not None and (any(tokens) or not (self.issuer and self.jwks_uri and self.resource)):
            raise ValueError("`token_exchange_endpoint` needs `issuer`, `jwks_uri` and `resource`, and no other tokens")
        if self.secret is not None and (self.jwks_uri is not None or any(tokens)):
            raise ValueError("`secret` stands for itself; leave the tokens out")
        return self


class ExpectedPlane(Proof):
    """A data plane that may register itself; every other one is registered by an operator."""

    id: str = Field(description="Its id, as it registers.")
    participants: tuple[str, ...] = Field(min_length=1, description="Local names of the participants that it may serve.")
    hosts: tuple[str, ...] = Field(
        min_length=1, description="Hosts that its addresses may name, such as `dp.internal` or `*.internal`."
    )

    _id = field_validator("id")(_named)


class Signaling(Listener):
    """The listener that planes reach; without this section it does not exist. Never the public one."""

    port: int = Field(8182, ge=0, le=65535, description="Port that planes reach; keep it inside the organisation.")
    url: str | None = Field(
        None, description="Address under which planes reach it; when left out, host and port. Port 0 stands for the one given."
    )
    id: str | None = Field(None, description="Our id as a control plane and as a data plane; when left out, `node.id`.")
    patience_s: float = Field(600, gt=0, description="How long a data plane may take or be away before a transfer ends.")
    workload_token: File | None = Field(
        None, description="What proves this process where it runs, a JWT that is read anew each time; for brokers of planes."
    )
    planes: tuple[ExpectedPlane, ...] = Field((), description="Data planes that may register themselves.")
    unsafe_allow_http: bool = Field(False, description="Reach planes over plain http; for one machine, or a closed network.")

    _url = field_validator("url")(lambda value: value if value is None else _base(value))
    _id = field_validator("id")(lambda value: value if value is None else _named(value))


class ServedDataset(Section):
    """Data that our data plane serves under the control plane of others, by dataset id."""

    type: Literal["file", "folder", "http"] = Field(description="`file` and `folder` lie on the node, `http` is an upstream.")
    path: str | None = Field(None, pattern=r"^/", description="`file`, `folder`: absolute path.")
    url: str | None = Field(None, pattern=r"^https?://[^\s]+$", description="`http`: address of the upstream.")
    authorization: Secret | None = Field(None, repr=False, description="`http`: value of the `Authorization` header.")
    media_type: str | None = Field(None, description="Media type, where the name does not tell.")

    @model_validator(mode="after")
    def _has_its_place(self) -> ServedDataset:
        if (self.type == "http") != (self.url is not None) or (self.type != "http") != (self.path is not None):
            raise ValueError("`http` needs `url`, `file` and `folder` need `path`, and not the other")
        return self


class DrivingPlane(Proof):
    """A control plane that may drive our data plane."""

    id: str = Field(description="Its id.")
    endpoint: str = Field(description="Where it hears reports; those that it names itself must lie below.")
    dialect: Literal["dps", "edc-legacy"] = Field("dps", description="`edc-legacy`: EDC up to 0.17, Tractus-X.")
    hosts: tuple[str, ...] = Field((), description="Hosts that its addresses may name; when left out, that of `endpoint`.")

    _id = field_validator("id")(_named)
    _endpoint = field_validator("endpoint")(_base)


class Registration(Section):
    """A control plane at which our data plane registers itself at each start."""

    control_plane: str = Field(description="Id of one of `control_planes`.")
    url: str = Field(description="Where data planes register, such as `https://cp.internal:8182/acme/dataplanes`.")
    form: Literal["dps", "edc", "edc-legacy"] = Field(
        "dps", description="`edc`: as the management API of EDC from 0.17 on wants it; `edc-legacy`: as EDC's selector does."
    )
    api_key: Secret | None = Field(
        None, repr=False, description="Sent as `X-Api-Key`, in place of what proves us to the plane."
    )

    _url = field_validator("url")(_base)


class ServedPlane(Section):
    """The role `dataplane`: our data plane under the control plane of others."""

    datasets: dict[str, ServedDataset] = Field(
        default_factory=dict, description="What it serves, by dataset id, for control planes of the standard."
    )
    control_planes: tuple[DrivingPlane, ...] = Field((), description="Who may drive it.")
    register_at: tuple[Registration, ...] = Field((), description="Where it registers itself.")
    labels: tuple[str, ...] = Field((), description="What control planes may choose it by.")
    source_hosts: tuple[str, ...] = Field(
        (), description="`edc-legacy`: hosts of sources that a control plane may name; none by default."
    )
    limits: Bounds = untouched("Bounds of its streams, and of calls to it, where they differ from `limits.participant`.")
    peer_limits: dict[ParticipantId, Bounds] = Field(
        default_factory=dict,
        description="Streams of single participants of others, where their bounds differ from `limits.peer`.",
    )
    answer_within_s: float = Field(
        2, gt=0, le=25, description="Longest time to answer a start; what takes longer is reported when it is done."
    )

    @model_validator(mode="after")
    def _register_where_known(self) -> ServedPlane:
        known = {plane.id for plane in self.control_planes}
        for one in self.register_at:
            if one.control_plane not in known:
                raise ValueError(f"`{one.control_plane}` is none of `control_planes`")
        return self


def unsafe_in(signaling: Signaling | None, served: ServedPlane) -> list[str]:
    """The settings in force here that weaken a check."""
    found: list[str] = []
    if signaling is not None:
        found += ["signaling.unsafe_allow_http"] if signaling.unsafe_allow_http else []
        found += [f"signaling.planes.{plane.id}.unsafe_unverified" for plane in signaling.planes if plane.unsafe_unverified]
    found += [f"dataplane.control_planes.{one.id}.unsafe_unverified" for one in served.control_planes if one.unsafe_unverified]
    return found


def proof_tree(proof: Proof) -> dict[str, Any]:
    """A proof as the standard spells an authorization."""
    if proof.secret is not None:
        return {"type": "shared_secret", "secret": proof.secret}
    named = {
        "jwksUri": proof.jwks_uri,
        "issuer": proof.issuer,
        "tokenEndpoint": proof.token_endpoint,
        "clientId": proof.client_id,
        "clientSecret": proof.client_secret,
    }
    if proof.token_exchange_endpoint is not None:
        exchange = {
            "tokenExchangeEndpoint": proof.token_exchange_endpoint,
            "issuer": proof.issuer,
            "jwksUri": proof.jwks_uri,
            "resource": proof.resource,
        }
        return {"type": "oauth2_token_exchange", **exchange} | ({"scope": proof.scope} if proof.scope else {})
    found = {name: value for name, value in named.items() if value is not None}
    return {"type": "oauth2_client_credentials", **found} if found else {}
