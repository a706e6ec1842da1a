"""Processes, messages and moments for the tests of the store contract, each with every field that a store must keep."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from connector.dsp import messages as m
from connector.dsp.negotiation import Agreement, Negotiation
from connector.dsp.process import By, Cargo, Due, InFlight, Outgoing, Process, Record, Words
from connector.dsp.tables import Event, Kind, Role, State
from connector.dsp.transfer import Access, Transfer
from connector.dsp.values import replace
from connector.ports.store import Attempt, Change, Decide, Document, Key, PeerKey, Snapshot, Store

NewStore = Callable[[str], Store]
Nodes = Callable[[str], Awaitable[Store]]

LEASE_S = 30.0
NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
LEASE = timedelta(seconds=LEASE_S)
SECOND = timedelta(seconds=1)
OFFER: dict[str, Any] = {
    "@id": "urn:offer:1",
    "@type": "Offer",
    "target": "urn:data:wetter-büro",
    "permission": [{"action": "use", "constraint": [{"leftOperand": "count", "operator": "lteq", "rightOperand": 2.5}]}],
}


def key(pid: str, *, participant: str = "alice", kind: Kind = Kind.NEGOTIATION) -> Key:
    return Key(kind=kind, participant=participant, pid=pid)


def peer_key(peer_pid: str, *, participant: str = "alice", peer: str = "urn:bob", role: Role = Role.PROVIDER) -> PeerKey:
    return PeerKey(kind=Kind.NEGOTIATION, participant=participant, role=role, peer=peer, peer_pid=peer_pid)


def negotiation(pid: str, **fields: Any) -> Negotiation:
    """A negotiation in REQUESTED that a peer began with us."""
    plain = Negotiation(
        participant="alice",
        pid=pid,
        role=Role.PROVIDER,
        peer="urn:bob",
        peer_address="https://bob.example/dsp",
        peer_pid=f"{pid}-theirs",
        state=State.REQUESTED,
        entries={"REQUESTED": 1},
        dataset="urn:data:wetter-büro",
        offer=OFFER,
        callback="https://alice.example/alice/dsp/2025-1",
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(plain, **fields)


def full_negotiation(pid: str) -> Negotiation:
    """A negotiation with a value in every field."""
    cargo = Cargo(offer=OFFER, agreement={"@id": "urn:a"}, has_resumed=True, words=Words(code="c", reasons=("one", "two")))
    return negotiation(
        pid,
        in_flight=InFlight(message_id="urn:m", event=Event.AGREE, to=State.AGREED, cargo=cargo),
        last_received="0" * 64,
        hold="wait for a human",
        error="refused",
        code="no",
        reasons=("because", "of this"),
        warnings=("odd",),
        purpose="urn:research",
        wanted=OFFER,
        agreement={"@id": "urn:agreement:7", "nested": {"list": [1, 2.5, None, True, "ü"]}},
    )


def transfer(pid: str, **fields: Any) -> Transfer:
    """A transfer with a value in every field of its own."""
    address = m.DataAddress(
        endpoint_type="urn:http",
        endpoint="https://bob.example/data",
        endpoint_properties=(m.EndpointProperty(name="authorization", value="t"),),
    )
    full = Transfer(
        participant="alice",
        pid=pid,
        role=Role.PROVIDER,
        peer="urn:bob",
        peer_address="https://bob.example/dsp",
        peer_pid=f"{pid}-theirs",
        state=State.STARTED,
        agreement_id="urn:agreement:7",
        dataset="urn:data:wetter-büro",
        format="HttpData-PULL",
        destination=address,
        address=address,
        access=Access(token_sha256="f" * 64, expires_at=NOW + LEASE),
        has_resumed=True,
        moved_bytes=1 << 40,
        digest="d" * 64,
        callback="https://alice.example/alice/dsp/2025-1",
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(full, **fields)


def agreement(id_: str, **fields: Any) -> Agreement:
    plain = Agreement(
        participant="alice",
        id=id_,
        role=Role.PROVIDER,
        peer="urn:bob",
        peer_address="https://bob.example/dsp",
        provider="urn:alice",
        consumer="urn:bob",
        dataset="urn:data:wetter-büro",
        policy={"@id": id_, "@type": "Agreement", "permission": [{"action": "use"}]},
        purpose="urn:research",
        negotiation="n-1",
        signed_at=NOW,
    )
    return replace(plain, **fields)


def document(id_: str, **fields: Any) -> Document:
    plain = Document(participant="alice", kind="asset", id=id_, body={"title": "Wetter"}, created_at=NOW, updated_at=NOW)
    return replace(plain, **fields)


def outgoing(message_id: str) -> Outgoing:
    return Outgoing(
        message_id=message_id,
        event=Event.AGREE,
        url="https://bob.example/dsp/negotiations/1/agreement",
        body='{"grüße":1}'.encode(),
        is_harmless=True,
    )


def record(note: str, at: datetime = NOW) -> Record:
    return Record(at=at, by=By.PEER, event="request", state=State.REQUESTED, note=note)


def attempt(message_id: str, at: datetime = NOW) -> Attempt:
    return Attempt(
        at=at, message_id=message_id, event="agree", url="https://bob.example/", status=503, cause="busy", is_final=False
    )


def due(act: str, at: datetime) -> Due:
    return Due(at=at, act=act, state=State.REQUESTED, entry=1, reason="a rule")


def always(change: Change[Any]) -> Decide[Any]:
    """Decides on `change`, whatever is found."""
    return lambda snapshot: change


def adding(**parts: Any) -> Decide[Process]:
    """Leaves the process as it is found and adds `parts`."""
    return lambda snapshot: Change(process=snapshot.process, **parts)


async def put(store: Store, process: Process, **parts: Any) -> Key:
    """The key of `process`, which was written together with `parts`."""
    place = key(
        process.pid,
        participant=process.participant,
        kind=Kind.NEGOTIATION if isinstance(process, Negotiation) else Kind.TRANSFER,
    )
    await store.advance(place, always(Change(process=process, **parts)))
    return place


class Seen:
    """A decision that remembers what it was shown."""

    def __init__(self, decide: Decide[Any]) -> None:
        self._decide = decide
        self.snapshots: list[Snapshot[Any]] = []

    def __call__(self, snapshot: Snapshot[Any]) -> Change[Any]:
        self.snapshots.append(snapshot)
        return self._decide(snapshot)

    @property
    def last(self) -> Snapshot[Any]:
        return self.snapshots[-1]
