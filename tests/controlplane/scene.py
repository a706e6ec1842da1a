"""One node's control plane over a memory store and a moved clock; peers are foreign and stand behind the outbound door."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from connector.app.parts import known_vocabulary
from connector.controlplane.access import DataAccess
from connector.controlplane.agreements import ENDING, ENDING_PACE, Agreements
from connector.controlplane.catalog import Catalogs
from connector.controlplane.decision_log import DecisionLog
from connector.controlplane.delivery import Delivery
from connector.controlplane.describing import Describing
from connector.controlplane.jobs import Workers
from connector.controlplane.limits import Limiter
from connector.controlplane.negotiation import Negotiations
from connector.controlplane.offerings import Offerings
from connector.controlplane.participants import Participants, Revisions
from connector.controlplane.peers import Peers
from connector.controlplane.policy import Judge
from connector.controlplane.pushes import PACE, Pushes
from connector.controlplane.pushes import PUSH as PUSH_JOB
from connector.controlplane.records import Records
from connector.controlplane.reviews import Reviews
from connector.controlplane.secrets import Secrets
from connector.controlplane.shelving import ASSET, DEFINITION, POLICY
from connector.controlplane.terms import NegotiationWish
from connector.controlplane.timers import Timers
from connector.controlplane.transfer import Transfers
from connector.controlplane.transfer_events import BuiltInEvents
from connector.controlplane.usage import Usages
from connector.controlplane.watch import Watch
from connector.dsp import messages as m
from connector.dsp import wire
from connector.dsp.negotiation import Negotiation
from connector.dsp.tables import Kind, Role, State
from connector.dsp.transfer import Access, Transfer
from connector.errors import Unreachable
from connector.identity.static import StaticTokens
from connector.outbound.client import Answer
from connector.outbound.rules import OutboundRules, Target
from connector.outbound.rules import vet as vetted
from connector.ports.dataplane import Endpoint, Source
from connector.ports.identity import Caller
from connector.ports.store import Key, Timeline
from connector.settings import Settings
from connector.storage.memory import Memory, MemoryStore
from connector.testing.clock import MovedClock
from tests.controlplane.wallets import without_wallets

NOW = datetime(2026, 3, 1, tzinfo=UTC)
BOB = Caller(id="urn:bob", claims={"membership": "active"})
EVE = Caller(id="urn:eve")
BASE = "https://bob.example/dsp"
USE: dict[str, Any] = {"permission": [{"action": "use"}]}
DATASET, OFFER_ID = "urn:d:1", "def:urn:d:1"
PULL, PUSH = "HttpData-PULL", "HttpData-PUSH"
VOCABULARY = known_vocabulary()


Reply = Answer | Exception | asyncio.Event


def only_for(purpose: str) -> dict[str, Any]:
    constraint = {"leftOperand": "purpose", "operator": "eq", "rightOperand": purpose}
    return {"permission": [{"action": "use", "constraint": [constraint]}]}


def before(moment: str, operator: str = "lt") -> dict[str, Any]:
    right = {"@value": moment, "@type": "xsd:dateTime"}
    return {
        "permission": [
            {"action": "use", "constraint": [{"leftOperand": "dateTime", "operator": operator, "rightOperand": right}]}
        ]
    }


def members_only() -> dict[str, Any]:
    constraint = {"leftOperand": "claim:membership", "operator": "eq", "rightOperand": "active"}
    return {"permission": [{"action": "use", "constraint": [constraint]}]}


@dataclass(frozen=True)
class Sent:
    """One request of ours, as a peer saw it."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.url.removeprefix(BASE)

    @property
    def tree(self) -> dict[str, Any]:
        import orjson

        found: dict[str, Any] = orjson.loads(self.body)
        return found


def answer(status: int, body: bytes = b"", **headers: str) -> Answer:
    return Answer(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()}, body=body)


@dataclass
class PeerHost:
    """Every other connector: records what comes, answers what it was told to, else as a good peer does."""

    sent: list[Sent] = field(default_factory=list)
    replies: deque[Reply] = field(default_factory=deque)
    """What comes back for the next posts; an event is a peer that hangs until it is set."""
    documents: dict[str, Answer | Exception] = field(default_factory=dict)
    """What is found with GET, by address."""
    always: Callable[[Sent], Reply | None] = lambda sent: None
    count: int = 0

    def vet(self, url: str) -> Target:
        return vetted(url, OutboundRules())

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, within_s: float | None = None, **_: Any
    ) -> Answer:
        sent = Sent("POST", url, headers, body)
        self.sent.append(sent)
        reply = self.always(sent) or (self.replies.popleft() if self.replies else None)
        if isinstance(reply, asyncio.Event):
            try:
                reply = None if await asyncio.wait_for(reply.wait(), within_s) else reply
            except TimeoutError:
                reply = Unreachable("no whole answer in time", where=url)
        if isinstance(reply, Exception):
            raise reply
        return reply if reply is not None else self.good(sent)

    async def get(self, url: str, headers: Mapping[str, str], *, max_bytes: int | None = None) -> Answer:
        self.sent.append(Sent("GET", url, headers, b""))
        found = self.documents.get(url)
        if isinstance(found, Exception):
            raise found
        return found or answer(404)

    async def request(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], **more: Any) -> Answer:
        return await (self.get(url, headers, **more) if method == "GET" else self.post(url, body or b"", headers, **more))

    def good(self, sent: Sent) -> Answer:
        tree, self.count = sent.tree, self.count + 1
        named = {"provider_pid": "providerPid", "consumer_pid": "consumerPid"}
        pids = {name: tree.get(spelled) or f"urn:theirs:{self.count}" for name, spelled in named.items()}
        kind = m.TransferProcess if tree["@type"].startswith("Transfer") else m.ContractNegotiation
        return answer(200, wire.encode(kind(**pids, state=State.REQUESTED)))

    def of(self, kind: str) -> list[Sent]:
        """What was sent of one type."""
        return [sent for sent in self.sent if sent.body and sent.tree["@type"] == kind]


@dataclass
class Plane:
    """A data plane that only notes what it is told."""

    told: list[tuple[str, str]] = field(default_factory=list)
    count: int = 0
    moving: dict[tuple[str, str], asyncio.Event] = field(default_factory=dict)
    """Each push that was started and not stopped, and its end."""

    def formats(self, source: Source) -> tuple[str, ...]:
        return () if source.type == "none" else (PULL, PUSH)

    def token(self, number: int) -> str:
        return f"token-{number}"

    def endpoint(self, participant: str, pid: str, format_: str) -> Endpoint | None:
        import hashlib

        self.count += 1
        token = self.token(self.count)
        properties = (m.EndpointProperty(name="authorization", value=token),)
        address = m.DataAddress(endpoint_type="urn:http", endpoint=f"https://own.example/{pid}", endpoint_properties=properties)
        digest = hashlib.sha256(token.encode()).hexdigest()
        return Endpoint(address=address, access=Access(token_sha256=digest, expires_at=NOW + timedelta(days=365)))

    async def start(self, transfer: Transfer, source: Source) -> None:
        self.told.append(("start", transfer.pid))
        self.moving.setdefault((transfer.participant, transfer.pid), asyncio.Event())

    async def over(self, participant: str, pid: str) -> None:
        if (participant, pid) in self.moving:
            await self.moving[participant, pid].wait()

    def running(self) -> tuple[tuple[str, str], ...]:
        return tuple(self.moving)

    async def stop(self, participant: str, pid: str) -> None:
        self.told.append(("stop", pid))
        if (end := self.moving.pop((participant, pid), None)) is not None:
            end.set()

    async def describe(self, source: Source, *, with_digest: bool = True) -> Any:
        raise AssertionError("nothing here asks for a description")

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


@dataclass
class Node:
    """One node's control plane."""

    clock: MovedClock
    store: MemoryStore
    host: PeerHost
    plane: Plane
    settings: Settings
    participants: Participants
    offerings: Offerings
    agreements: Agreements
    judge: Judge
    secrets: Secrets
    peers: Peers
    delivery: Delivery
    timers: Timers
    negotiations: Negotiations
    transfers: Transfers
    events: BuiltInEvents
    access: DataAccess
    usages: Usages
    reviews: Reviews
    records: Records
    log: DecisionLog
    catalogs: Catalogs
    pushes: Workers
    watch: Watch

    async def rest(self) -> None:
        """Until nothing is under way any more but what hangs."""
        for _ in range(200):
            await asyncio.sleep(0)

    async def pass_time(self, **units: float) -> None:
        """Move the clock, and let what is due then happen."""
        self.clock.move(**units)
        await self.timers.work()
        await self.rest()

    # --- as an operator

    async def publish(
        self, policy: Mapping[str, Any] = USE, *, id_: str = DATASET, name: str = "def", **definition: Any
    ) -> None:
        asset = {"id": id_, "title": id_, "source": {"type": "file", "path": "/d"}, "digest": "0" * 64, "byte_size": 1}
        await self.offerings.put("alice", ASSET, id_, asset)
        await self.offerings.put("alice", POLICY, f"{name}-terms", {"id": f"{name}-terms", "policy": dict(policy)})
        body = {"id": name, "assets": [id_], "policy": f"{name}-terms", **definition}
        await self.offerings.put("alice", DEFINITION, name, body)

    async def begin(self, **wanted: Any) -> Negotiation:
        """A negotiation of ours as consumer, acknowledged."""
        given: dict[str, Any] = {"peer": BOB.id, "address": BASE, "dataset": DATASET, "offer_id": "urn:o:1", **wanted}
        found = await self.negotiations.start("alice", NegotiationWish(**given))
        await self.rest()
        return await self.negotiations.get("alice", found.pid)

    async def negotiation(self, pid: str) -> Negotiation:
        return await self.negotiations.get("alice", pid)

    async def transfer(self, pid: str) -> Transfer:
        return await self.transfers.get("alice", pid)

    async def timeline(self, pid: str) -> Timeline:
        key = await self.store.find("alice", pid)
        assert key is not None
        return await self.store.timeline(key)

    # --- as a peer

    async def tell(self, message: Any, pid: str | None = None, caller: Caller = BOB) -> Any:
        """Our answer to a message of a peer, settled down afterwards; the first of a process without `pid`."""
        use: Any = self.transfers if type(message).__name__.startswith("Transfer") else self.negotiations
        received = wire.decode(wire.encode(message), type(message))
        if pid is None:
            body = await use.receive_first("alice", caller, received)
        else:
            body = await use.receive("alice", caller, pid, received)
        await self.rest()
        return wire.decode(body, m.TransferProcess if use is self.transfers else m.ContractNegotiation).message

    async def requested(self, consumer_pid: str = "urn:c:1", *, terms: Mapping[str, Any] = USE, **members: Any) -> str:
        """Our pid of a negotiation that a consumer has asked for."""
        acknowledged = await self.tell(request(consumer_pid, terms=terms, **members))
        return str(acknowledged.provider_pid)

    async def agreed(self, **members: Any) -> str:
        """The id of an agreement of ours as provider, final on both sides."""
        pid = await self.requested(**members)
        process = await self.negotiation(pid)
        assert process.state is State.AGREED, process
        await self.tell(verification(process), pid)
        assert (await self.negotiation(pid)).state is State.FINALIZED
        assert process.agreement_id is not None
        return process.agreement_id

    async def started(self, format_: str = PULL, consumer_pid: str = "urn:t:1") -> Transfer:
        """A transfer of ours as provider, STARTED."""
        agreement = await self.agreed(consumer_pid=f"{consumer_pid}:n")
        acknowledged = await self.tell(transfer_request(agreement, format_, consumer_pid))
        found = await self.transfer(acknowledged.provider_pid)
        assert found.state is State.STARTED, found
        return found


def request(
    consumer_pid: str = "urn:c:1",
    *,
    terms: Mapping[str, Any] = USE,
    dataset: str = DATASET,
    offer_id: str = OFFER_ID,
    **members: Any,
) -> m.ContractRequestMessage:
    offer = {"@id": offer_id, "@type": "Offer", "target": dataset, **terms}
    return m.ContractRequestMessage(
        consumer_pid=consumer_pid, callback_address=members.pop("callback", BASE), offer=offer, **members
    )


def counter(process: Negotiation, terms: Mapping[str, Any] = USE, **members: Any) -> m.ContractRequestMessage:
    offer = {"@id": OFFER_ID, "@type": "Offer", "target": process.dataset, **terms}
    return m.ContractRequestMessage(**pids(process), offer=offer, **members)


def verification(process: Negotiation, **members: Any) -> m.ContractAgreementVerificationMessage:
    return m.ContractAgreementVerificationMessage(**pids(process), **members)


def agreement_tree(process: Negotiation, terms: Mapping[str, Any] = USE, *, id_: str = "urn:a:1") -> dict[str, Any]:
    parties = {"assigner": BOB.id, "assignee": "urn:alice", "timestamp": "2026-03-01T00:00:00Z"}
    return {"@id": id_, "@type": "Agreement", "target": process.dataset, **parties, **terms}


def transfer_request(
    agreement: str, format_: str = PULL, consumer_pid: str = "urn:t:1", **members: Any
) -> m.TransferRequestMessage:
    if format_ == PUSH:
        members.setdefault("data_address", m.DataAddress(endpoint_type="urn:http", endpoint="https://bob.example/sink"))
    members |= {"consumer_pid": consumer_pid, "agreement_id": agreement, "format": format_, "callback_address": BASE}
    return m.TransferRequestMessage(**members)


def imported_tree(**members: Any) -> dict[str, Any]:
    found = {"@id": "urn:a:9", "@type": "Agreement", "target": "urn:d:9", "assigner": BOB.id, "assignee": "urn:alice"}
    return found | USE | members


async def imported(node: Node, role: Role = Role.CONSUMER, **members: Any) -> str:
    if role is Role.PROVIDER:
        members = {"assigner": "urn:alice", "assignee": BOB.id, **members}
    found = await node.agreements.import_("alice", role=role, peer=BOB.id, address=f"{BASE}/", tree=imported_tree(**members))
    return found.id


def pids(process: Negotiation | Transfer) -> dict[str, Any]:
    return {"provider_pid": process.provider_pid, "consumer_pid": process.consumer_pid}


def settings_of(sections: Mapping[str, Any]) -> Settings:
    tokens = [{"id": c.id, "theirs": f"from {c.id}", "ours": f"to {c.id}", "claims": dict(c.claims)} for c in (BOB, EVE)]
    participant = {"id": "urn:alice", "unsafe_static_tokens": tokens, **sections.get("alice", {})}
    rest = {name: section for name, section in sections.items() if name != "alice"}
    node = {"public_url": "https://own.example"}
    return Settings.model_validate({"node": node, "participants": {"alice": participant}, **rest})


def assembled(sections: Mapping[str, Any], *, memory: Memory, clock: MovedClock, host: PeerHost, node: str = "here") -> Node:
    """The parts of a node; several share a memory and a clock as replicas do."""
    settings = settings_of(sections)
    store, plane = MemoryStore(node=node, lease_s=settings.store.lease_s, memory=memory), Plane()
    outbound: Any = host
    tokens, bounds = StaticTokens(settings.participants), Limiter(settings, store)
    peers, revisions = Peers(outbound, tokens, clock), Revisions(store, clock)
    participants = Participants(store, settings, revisions, clock, "https://own.example")
    log = DecisionLog(store.journal, clock)
    secrets, judge, reviews = Secrets(store, b"k" * 32, clock), Judge(VOCABULARY, log.note), Reviews(store, clock)
    usages = Usages(store, judge, reviews, clock)
    usages.connect(plane.stop)
    delivery = Delivery(store, outbound, tokens, clock, settings.delivery, lease_s=settings.store.lease_s)
    given: Any = plane
    describing = Describing(store, participants, revisions, without_wallets(clock), given, VOCABULARY, clock)
    offerings = Offerings(store, participants, revisions, given, secrets, VOCABULARY, clock)
    agreements = Agreements(store, participants, offerings, clock)
    records = Records(store, participants, agreements, judge, reviews, clock)
    negotiations = Negotiations(store, participants, offerings, agreements, judge, delivery, outbound, peers, tokens, clock)
    transfers = Transfers(
        store, participants, offerings, agreements, judge, delivery, outbound, tokens, given, usages, reviews, bounds, clock
    )
    access = DataAccess(store, participants, offerings, judge, usages, tokens, clock)
    events = BuiltInEvents(store, transfers, usages, clock)
    pushes = Workers(store.jobs, clock, lease_s=settings.store.lease_s)
    pushes.register(PUSH_JOB, Pushes(store, offerings, given, access, events).push, PACE)
    pushes.register(ENDING, agreements.ending, ENDING_PACE)
    return Node(
        clock=clock,
        store=store,
        host=host,
        plane=plane,
        settings=settings,
        participants=participants,
        offerings=offerings,
        agreements=agreements,
        judge=judge,
        secrets=secrets,
        peers=peers,
        delivery=delivery,
        timers=Timers(store, delivery, clock, {Kind.NEGOTIATION: negotiations, Kind.TRANSFER: transfers}),
        negotiations=negotiations,
        transfers=transfers,
        events=events,
        access=access,
        usages=usages,
        reviews=reviews,
        records=records,
        log=log,
        catalogs=Catalogs(participants, offerings, describing, judge, peers, clock),
        pushes=pushes,
        watch=Watch(store, given, clock, lease_s=settings.store.lease_s),
    )


@asynccontextmanager
async def running(node: Node) -> AsyncIterator[Node]:
    """`node` with its deliveries at work."""
    tasks = [asyncio.create_task(work()) for work in (node.delivery.run, node.pushes.run, node.watch.run)]
    try:
        yield node
        assert not any(task.done() for task in tasks), "something has stopped"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def key(pid: str, kind: Kind = Kind.NEGOTIATION) -> Key:
    return Key(kind=kind, participant="alice", pid=pid)
