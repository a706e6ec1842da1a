"""What can be asked of a node: each function gives back a `Call`, a value that says method, path, body and how to read the answer.

A call is nothing but a description; `client.py` sends it, in an event loop or without one. One place, no twins.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, Self, TypeVar
from urllib.parse import quote

from connector.api.agreements import Agreement, AgreementEnd, ImportedAgreement
from connector.api.catalog import (
    CatalogRequest,
    DatasetRequest,
    LedgerMembers,
    LedgerReport,
    LedgerSearch,
    PeerCatalog,
    PeerDataset,
    Visibility,
)
from connector.api.common import Asked, Listing
from connector.api.doctor import Examination, Findings
from connector.api.events import EventPage
from connector.api.identity import Credential, CredentialRequest, IdentityKey, NewIdentityKey, Requested
from connector.api.negotiations import Negotiation, NegotiationAct, NegotiationStep, NewNegotiation
from connector.api.offerings import Asset, ContractDefinition, Policy
from connector.api.participants import Participant, Rules
from connector.api.processes import Timeline
from connector.api.secrets import NewSecret, SecretName
from connector.api.spaces import JoinedSpace, SpaceWish
from connector.api.transfers import DataAddress, NewTransfer, Transfer, TransferAct, TransferStep

T = TypeVar("T")


class _Model(Protocol):
    """What every model of `api/` can: make itself of JSON."""

    @classmethod
    def model_validate_json(cls, json_data: bytes, /) -> Self: ...
    @classmethod
    def model_validate(cls, obj: object, /) -> Self: ...


M = TypeVar("M", bound=_Model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One request of the operator API, and how its answer is read."""

    method: str
    path: str
    """Escaped, below the node's address."""
    read: Callable[[bytes], T]
    """Makes the result of the answer's body."""
    body: bytes | None = None
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of one participant context, by its local name."""

    participant: str

    def context(self) -> Call[Participant]:
        """The participant itself: id, address, rules."""
        return get(Participant, *self._path())

    def examine(self, subject: str | None = None) -> Call[Findings]:
        """The participant as others see it, or a peer by its DID or address."""
        return written("POST", Findings, *self._path("doctor"), body=Examination(subject=subject))

    def set_rules(self, rules: Rules) -> Call[None]:
        """All automation rules, in order, instead of those there were."""
        return Call(method="PUT", path=_join(*self._path("rules")), read=_ignore, body=rules.model_dump_json().encode())

    # --- what is offered

    def assets(self, *, cursor: str | None = None, limit: int | None = None) -> Call[Listing[Asset]]:
        """Assets by id."""
        return get(Listing[Asset], *self._path("assets"), cursor=cursor, limit=limit)

    def asset(self, id_: str) -> Call[Asset]:
        """One asset, with digest and size where they are known."""
        return get(Asset, *self._path("assets", id_))

    def add_asset(self, asset: Asset) -> Call[Asset]:
        """A new asset; the node measures and digests a file."""
        return written("POST", Asset, *self._path("assets"), body=asset)

    def put_asset(self, asset: Asset) -> Call[Asset]:
        """An asset, new or instead of the one with its id."""
        return written("PUT", Asset, *self._path("assets", asset.id), body=asset)

    def delete_asset(self, id_: str) -> Call[None]:
        """Take an asset away."""
        return deleted(*self._path("assets", id_))

    def policies(self, *, cursor: str | None = None, limit: int | None = None) -> Call[Listing[Policy]]:
        """Policies by id."""
        return get(Listing[Policy], *self._path("policies"), cursor=cursor, limit=limit)

    def policy(self, id_: str) -> Call[Policy]:
        """One policy."""
        return get(Policy, *self._path("policies", id_))

    def add_policy(self, policy: Policy) -> Call[Policy]:
        """A new policy."""
        return written("POST", Policy, *self._path("policies"), body=policy)

    def put_policy(self, policy: Policy) -> Call[Policy]:
        """A policy, new or instead of the one with its id."""
        return written("PUT", Policy, *self._path("policies", policy.id), body=policy)

    def delete_policy(self, id_: str) -> Call[None]:
        """Take a policy away."""
        return deleted(*self._path("policies", id_))

    def definitions(self, *, cursor: str | None = None, limit: int | None = None) -> Call[Listing[ContractDefinition]]:
        """Contract definitions by id."""
        return get(Listing[ContractDefinition], *self._path("contract-definitions"), cursor=cursor, limit=limit)

    def definition(self, id_: str) -> Call[ContractDefinition]:
        """One contract definition."""
        return get(ContractDefinition, *self._path("contract-definitions", id_))

    def add_definition(self, definition: ContractDefinition) -> Call[ContractDefinition]:
        """A new contract definition: from now on its assets are offered."""
        return written("POST", ContractDefinition, *self._path("contract-definitions"), body=definition)

    def put_definition(self, definition: ContractDefinition) -> Call[ContractDefinition]:
        """A contract definition, new or instead of the one with its id."""
        return written("PUT", ContractDefinition, *self._path("contract-definitions", definition.id), body=definition)

    def delete_definition(self, id_: str) -> Call[None]:
        """Offer its assets no longer."""
        return deleted(*self._path("contract-definitions", id_))

    def secrets(self) -> Call[Listing[SecretName]]:
        """The names of the stored secrets; their values are never given back."""
        return get(Listing[SecretName], *self._path("secrets"))

    def put_secret(self, name: str, value: str) -> Call[None]:
        """Store a secret under a name, new or instead of the old one."""
        # a SecretStr dumps as stars: the one value that is written plainly is spelled here
        body = json.dumps({"value": NewSecret.model_validate({"value": value}).value.get_secret_value()}).encode()
        return Call(method="PUT", path=_join(*self._path("secrets", name)), read=_ignore, body=body)

    def delete_secret(self, name: str) -> Call[None]:
        """Forget a secret."""
        return deleted(*self._path("secrets", name))

    # --- catalogues

    def catalog(self) -> Call[dict[str, Any]]:
        """Our own catalogue, with all that we offer to anybody."""
        return Call(method="GET", path=_join(*self._path("catalog")), read=json.loads)

    def search(self, wanted: LedgerSearch) -> Call[dict[str, Any]]:
        """A page of what the participant's ledger of data products finds."""
        body = wanted.model_dump_json(exclude_defaults=True).encode()
        return Call(method="POST", path=_join(*self._path("catalog", "search")), read=json.loads, body=body)

    def report(self, wanted: LedgerReport) -> Call[dict[str, Any]]:
        """How the ledger's last look at a member went."""
        body = wanted.model_dump_json(exclude_defaults=True).encode()
        return Call(method="POST", path=_join(*self._path("catalog", "report")), read=json.loads, body=body)

    def ledger_members(self, wanted: LedgerMembers) -> Call[dict[str, Any]]:
        """A page of a ledger's members, and how its last looks at them went."""
        body = wanted.model_dump_json(exclude_defaults=True).encode()
        return Call(method="POST", path=_join(*self._path("catalog", "members")), read=json.loads, body=body)

    def visibility(self, dataset: str, party: str) -> Call[Visibility]:
        """Why `party` sees the offers of a dataset of ours, or does not."""
        return get(Visibility, *self._path("catalog", "visibility"), dataset=dataset, party=party)

    def catalog_of(self, wanted: CatalogRequest) -> Call[PeerCatalog]:
        """The catalogue of a peer, all pages put together."""
        return written("POST", PeerCatalog, *self._path("catalog", "request"), body=wanted)

    def dataset_of(self, wanted: DatasetRequest) -> Call[PeerDataset]:
        """One dataset of a peer."""
        return written("POST", PeerDataset, *self._path("catalog", "dataset"), body=wanted)

    # --- negotiations and agreements

    def negotiate(self, wanted: NewNegotiation) -> Call[Negotiation]:
        """A negotiation, begun."""
        return written("POST", Negotiation, *self._path("negotiations"), body=wanted)

    def negotiations(
        self, *, state: str | None = None, role: str | None = None, peer: str | None = None, is_held: bool | None = None,
        cursor: str | None = None, limit: int | None = None,
    ) -> Call[Listing[Negotiation]]:  # fmt: skip
        """Negotiations that fit, newest first; `is_held` picks those that wait for a person."""
        held = None if is_held is None else str(is_held).lower()
        narrowed = {"state": state, "role": role, "peer": peer, "held": held, "cursor": cursor, "limit": limit}
        return get(Listing[Negotiation], *self._path("negotiations"), **narrowed)

    def negotiation(self, pid: str) -> Call[Negotiation]:
        """One negotiation."""
        return get(Negotiation, *self._path("negotiations", pid))

    def act_in_negotiation(self, pid: str, act: NegotiationAct, step: NegotiationStep | None = None) -> Call[Negotiation]:
        """A negotiation after an act of ours, which may still be on its way to the peer."""
        return written("POST", Negotiation, *self._path("negotiations", pid, act), body=step or NegotiationStep())

    def agreements(
        self, *, role: str | None = None, peer: str | None = None, dataset: str | None = None,
        cursor: str | None = None, limit: int | None = None,
    ) -> Call[Listing[Agreement]]:  # fmt: skip
        """Agreements that fit, newest first."""
        narrowed = {"role": role, "peer": peer, "dataset": dataset, "cursor": cursor, "limit": limit}
        return get(Listing[Agreement], *self._path("agreements"), **narrowed)

    def agreement(self, id_: str) -> Call[Agreement]:
        """One agreement."""
        return get(Agreement, *self._path("agreements", id_))

    def import_agreement(self, agreement: ImportedAgreement) -> Call[Agreement]:
        """An agreement that was reached elsewhere, to be used here."""
        return written("POST", Agreement, *self._path("agreements"), body=agreement)

    def end_agreement(self, id_: str, reason: str) -> Call[Agreement]:
        """An agreement, ended now on this side."""
        return written("POST", Agreement, *self._path("agreements", id_, "end"), body=AgreementEnd(reason=reason))

    # --- transfers

    def transfer(self, pid: str) -> Call[Transfer]:
        """One transfer."""
        return get(Transfer, *self._path("transfers", pid))

    def begin_transfer(self, wanted: NewTransfer) -> Call[Transfer]:
        """A transfer, asked for."""
        return written("POST", Transfer, *self._path("transfers"), body=wanted)

    def transfers(
        self, *, state: str | None = None, role: str | None = None, peer: str | None = None, agreement: str | None = None,
        cursor: str | None = None, limit: int | None = None,
    ) -> Call[Listing[Transfer]]:  # fmt: skip
        """Transfers that fit, newest first."""
        narrowed = {"state": state, "role": role, "peer": peer, "agreement": agreement, "cursor": cursor, "limit": limit}
        return get(Listing[Transfer], *self._path("transfers"), **narrowed)

    def act_in_transfer(self, pid: str, act: TransferAct, step: TransferStep | None = None) -> Call[Transfer]:
        """A transfer after an act of ours, which may still be on its way to the peer."""
        return written("POST", Transfer, *self._path("transfers", pid, act), body=step or TransferStep())

    def data(self, pid: str, path: str = "") -> Call[bytes]:
        """The data of a transfer: what a pull fetches through our node, or what a push has delivered to it.

        `path` is a file below the root of a folder.
        """
        query = {"path": path} if path else {}
        return Call(method="GET", path=_join(*self._path("transfers", pid, "data")), read=bytes, query=query)

    def data_address(self, pid: str) -> Call[DataAddress]:
        """Where the data of a transfer is fetched, for a program that goes there itself."""
        return get(DataAddress, *self._path("transfers", pid, "data-address"))

    # --- identity

    def did_document(self) -> Call[dict[str, Any]]:
        """The participant's DID document."""
        return Call(method="GET", path=_join(*self._path("did")), read=json.loads)

    def keys(self) -> Call[Listing[IdentityKey]]:
        """All keys, in the order in which they begin to sign."""
        return get(Listing[IdentityKey], *self._path("keys"))

    def rotate_key(self, wanted: NewIdentityKey) -> Call[IdentityKey]:
        """A new key, in place of the one that is there for its purpose."""
        return written("POST", IdentityKey, *self._path("keys"), body=wanted)

    def revoke_key(self, name: str) -> Call[None]:
        """Take a key out of the document: what it signed counts no more."""
        return deleted(*self._path("keys", name))

    def credentials(self) -> Call[Listing[Credential]]:
        """The credentials that are held."""
        return get(Listing[Credential], *self._path("credentials"))

    def drop_credential(self, name: str) -> Call[None]:
        """Forget a credential."""
        return deleted(*self._path("credentials", name))

    def credential_requests(self) -> Call[Listing[Requested]]:
        """The requests for credentials."""
        return get(Listing[Requested], *self._path("credential-requests"))

    def request_credentials(self, wanted: CredentialRequest) -> Call[Requested]:
        """Credentials, asked for."""
        return written("POST", Requested, *self._path("credential-requests"), body=wanted)

    def spaces(self) -> Call[Listing[JoinedSpace]]:
        """The data spaces, and how the participant stands in each."""
        return get(Listing[JoinedSpace], *self._path("spaces"))

    def join_space(self, wanted: SpaceWish) -> Call[JoinedSpace]:
        """A data space, applied for."""
        return written("POST", JoinedSpace, *self._path("spaces"), body=wanted)

    def leave_space(self, space: str) -> Call[None]:
        """Take no part in a data space any more."""
        return deleted(*self._path("spaces"), space=space)

    def end_credential_request(self, name: str) -> Call[None]:
        """End a request for credentials."""
        return deleted(*self._path("credential-requests", name))

    # --- both kinds of process

    def timeline(self, pid: str) -> Call[Timeline]:
        """Everything kept about one process, oldest first."""
        return get(Timeline, *self._path("processes", pid))

    def events(self, *, after: str | None = None, limit: int | None = None, wait_s: float | None = None) -> Call[EventPage]:
        """What happened behind a position, oldest first; `wait_s` waits for what happens next, at most 30 s."""
        return get(EventPage, *self._path("events"), after=after, limit=limit, wait_s=wait_s)

    def _path(self, *parts: str) -> tuple[str, ...]:
        return ("participants", self.participant, *parts)


def get(model: type[M], *parts: str, **query: object) -> Call[M]:
    """A call that reads a `model` below the API's address."""
    given = {key: str(value) for key, value in query.items() if value is not None}
    return Call(method="GET", path=_join(*parts), read=model.model_validate_json, query=given)


def several(model: type[M], *parts: str) -> Call[list[M]]:
    """A call that reads a plain list of `model`."""
    return Call(method="GET", path=_join(*parts), read=lambda body: [model.model_validate(one) for one in json.loads(body)])


def written(method: str, model: type[M], *parts: str, body: Asked) -> Call[M]:
    """A call that writes `body` and reads a `model`."""
    data = body.model_dump_json(exclude_none=True).encode()
    return Call(method=method, path=_join(*parts), read=model.model_validate_json, body=data)


def sent(method: str, *parts: str, body: Asked) -> Call[None]:
    """A call that writes `body`, and whose answer has nothing to read."""
    return Call(method=method, path=_join(*parts), read=_ignore, body=body.model_dump_json(exclude_none=True).encode())


def posted(model: type[M], *parts: str, **query: object) -> Call[M]:
    """A call that writes nothing but its address, and reads a `model`."""
    return replace(get(model, *parts, **query), method="POST")


def deleted(*parts: str, **query: object) -> Call[None]:
    """A call that takes something away."""
    given = {key: str(value) for key, value in query.items() if value is not None}
    return Call(method="DELETE", path=_join(*parts), read=_ignore, query=given)


def _ignore(body: bytes) -> None:
    """Nothing: the answer has no body worth reading."""


def _join(*parts: str) -> str:
    return "/api/v1/" + "/".join(quote(part, safe="") for part in parts)
