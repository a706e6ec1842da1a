"""Contract negotiations, both roles: what comes from peers, what operators do, what happens by itself.

Every use case has three beats: gather what is needed, decide with pure functions, commit in one transaction. What was decided in
the same transaction as the message that caused it goes out at once; a delayed act is a persisted row, decided again when due.
Source: Dataspace Protocol 2025-1, Contract Negotiation Protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from connector import observe, tracing
from connector.controlplane.agreements import Agreements, lost_agreement
from connector.controlplane.decisions import Choice, act_named
from connector.controlplane.delivery import Delivery
from connector.controlplane.negotiation_course import Desk, NegotiationCourse
from connector.controlplane.offerings import Offerings
from connector.controlplane.participants import Participants
from connector.controlplane.peers import Peers
from connector.controlplane.policy import Judge
from connector.controlplane.process import digest_of, held, new_urn, tell
from connector.controlplane.shelf import Terms
from connector.controlplane.terms import NegotiationWish, named_terms, opening_terms
from connector.dsp import messages as m
from connector.dsp import negotiation as steps
from connector.dsp import wire
from connector.dsp.negotiation import Negotiation, Opening
from connector.dsp.process import By, Cause
from connector.dsp.tables import Event, Kind, Role, State
from connector.dsp.values import replace
from connector.errors import BadMessage, IllegalTransition, NotFound, TooMany
from connector.outbound.client import OutboundClient
from connector.ports.clock import Clock
from connector.ports.identity import Caller, TokenSource
from connector.ports.store import Attempt, Change, Decide, DueRow, Key, PeerKey, Snapshot, Store

KIND = Kind.NEGOTIATION
_HELD_RETRY_S = 60
_NOTHING_KNOWN: Final[Mapping[str, Any]] = MappingProxyType({})
# INVARIANT: a message of ours leads to no state in which terms are judged: what is known of the peer is not looked up for it


class _Held(Exception):
    """A message would be held: whether there is room for that has to be looked up."""


class Negotiations:
    """The negotiations of all contexts of this node."""

    def __init__(
        self,
        store: Store,
        participants: Participants,
        offerings: Offerings,
        agreements: Agreements,
        judge: Judge,
        delivery: Delivery,
        outbound: OutboundClient,
        peers: Peers,
        tokens: TokenSource,
        clock: Clock,
    ) -> None:
        self._store = store
        self._participants = participants
        self._offerings = offerings
        self._agreements = agreements
        self._judge = judge
        self._delivery = delivery
        self._outbound = outbound
        self._peers = peers
        self._tokens = tokens
        self._clock = clock
        self.course = NegotiationCourse(judge, clock)
        delivery.connect(KIND, self)

    # --- from peers

    async def receive_first(
        self,
        participant: str,
        caller: Caller,
        received: wire.Received[m.ContractRequestMessage] | wire.Received[m.ContractOfferMessage],
    ) -> bytes:
        """The acknowledgement of a peer's first message; a repeated one gives the same process.

        Raises: BadMessage for an offer that is not ours, AddressRefused for a callback that we may not reach, NotFound.
        """
        message = received.message
        desk = await self._desk(participant, caller.claims)
        is_request = isinstance(message, m.ContractRequestMessage)
        peer_pid = message.consumer_pid if isinstance(message, m.ContractRequestMessage) else message.provider_pid
        terms = self._terms(desk, message.offer, caller) if isinstance(message, m.ContractRequestMessage) else None
        if message.callback_address is not None:
            self._outbound.vet(message.callback_address)
        pid, now = new_urn(), self._clock.now()
        role = Role.PROVIDER if is_request else Role.CONSUMER
        assert peer_pid is not None
        key = PeerKey(kind=KIND, participant=participant, role=role, peer=caller.id, peer_pid=peer_pid)

        def decide(snapshot: Snapshot[Negotiation]) -> Change[Negotiation]:
            if snapshot.answer is not None:
                return Change(repeated=snapshot.answer)
            if snapshot.process is not None:
                # "initial requests are keyed": the same process, as it stands; kept as the answer to this message
                if snapshot.process.dataset != message.offer["target"]:
                    name = "consumerPid" if is_request else "providerPid"
                    raise BadMessage(f"this `{name}` belongs to another negotiation", where=name, mend="use a new one")
                return Change(answer=_answer(snapshot.process))
            step = steps.received_first(
                message,
                participant=participant,
                pid=pid,
                peer=caller.id,
                callback=desk.context.address,
                now=now,
                definition=terms.definition.id if terms else None,
                warnings=received.warnings,
            )
            return self.course.change(step, desk, answer=_answer(step.process), is_first=True)

        return await self._received(key, decide, desk, caller.id, received.message_id)

    async def _received(
        self, key: Key | PeerKey, decide: Decide[Negotiation], desk: Desk, peer: str, message_id: str | None
    ) -> bytes:
        """The acknowledgement of a message, unless a human would have to look at it and too much of the peer's waits already.

        Raises: TooMany; what `decide` raises.
        """
        may_hold = False

        def bounded(snapshot: Snapshot[Negotiation]) -> Change[Negotiation]:
            change = decide(snapshot)
            was_held = snapshot.process is not None and snapshot.process.hold is not None
            if not (may_hold or was_held) and change.process is not None and change.process.hold is not None:
                raise _Held
            return change

        try:
            return await self._commit(key, bounded, received=message_id)
        except _Held:
            # counted only for what a human has to look at, and not for the many that nobody has
            most = desk.context.most_held_per_peer
            if await self._store.held(KIND, desk.context.name, peer) >= most:
                raise TooMany(
                    f"{most} negotiations of yours wait for a human here",
                    mend="wait until they are decided, or end some of them",
                    retry_after_s=_HELD_RETRY_S,
                ) from None
            may_hold = True
            return await self._commit(key, bounded, received=message_id)

    def _terms(self, desk: Desk, offer: Mapping[str, Any], caller: Caller) -> Terms:
        terms = desk.shelf.offer(str(offer.get("target")), str(offer.get("@id")))
        now = self._clock.now()
        if terms is None or (
            terms.access is not None and not self._judge.seeing.visible((terms,), caller.id, caller.claims, now, desk.context)
        ):
            raise BadMessage(
                "there is no such offer for this dataset",
                where="offer.@id",
                mend="take offer and target from a fresh catalogue",
            )
        return terms

    async def receive(self, participant: str, caller: Caller, pid: str, received: wire.Received[m.NegotiationMessage]) -> bytes:
        """The acknowledgement of a later message; a repeated one gets its first answer.

        Raises: NotFound for an unknown pid and for somebody else's; BadMessage, IllegalTransition. Nothing has changed then.
        """
        desk = await self._desk(participant, caller.claims)
        if isinstance(received.message, m.ContractAgreementMessage):
            kept = await self._store.agreement(participant, str(received.message.agreement["@id"]))
            desk = replace(desk, is_id_taken=kept is not None and kept.negotiation != pid)
        now = self._clock.now()
        message_id = received.message_id
        fingerprint = None if message_id else digest_of(received.raw)

        def decide(snapshot: Snapshot[Negotiation]) -> Change[Negotiation]:
            process = _of(snapshot, caller.id, pid)
            if snapshot.answer is not None:
                return Change(repeated=snapshot.answer)
            if fingerprint is not None and process.last_received == fingerprint:
                return Change(repeated=_answer(process))
            step = steps.receive(process, received.message, now=now, warnings=received.warnings)
            step = replace(step, process=replace(step.process, last_received=fingerprint))
            change = self.course.change(step, desk, answer=_answer(step.process))
            lost = lost_agreement(process, step.process, "the consumer ended the negotiation before it was final", now)
            return replace(change, agreement=lost) if lost is not None else change

        return await self._received(_key(participant, pid), decide, desk, caller.id, message_id)

    async def answer(self, participant: str, caller: Caller, pid: str) -> bytes:
        """The state of a negotiation for the peer in it.

        Raises: NotFound for an unknown pid and for somebody else's.
        """
        process = await self._store.process(_key(participant, pid))
        if not isinstance(process, Negotiation) or process.peer != caller.id:
            raise NotFound("there is no such negotiation", where=pid)
        return _answer(process)

    # --- from operators

    async def get(self, participant: str, pid: str) -> Negotiation:
        """The negotiation.

        Raises: NotFound.
        """
        process = await self._store.process(_key(participant, pid))
        if not isinstance(process, Negotiation):
            raise NotFound(f"there is no negotiation `{pid}`", where=pid)
        return process

    async def start(self, participant: str, wish: NegotiationWish) -> Negotiation:
        """A negotiation of ours, its first message on the way.

        Raises: AddressRefused, CallerError when neither terms nor an offer id are given, NotFound for a dataset that we do
        not offer (provider).
        """
        desk = await self._desk(participant, await self._tokens.claims_of(participant, wish.peer))
        address = await self._peers.base(wish.address)
        offer, definition = opening_terms(desk.shelf, wish)
        opening = Opening(
            participant=participant,
            pid=new_urn(),
            message_id=new_urn(),
            peer=wish.peer,
            peer_address=address,
            callback=desk.context.address,
            dataset=wish.dataset,
            offer=offer,
            purpose=wish.purpose,
            definition=definition,
        )
        now = self._clock.now()

        def decide(snapshot: Snapshot[Negotiation]) -> Change[Negotiation]:
            return self.course.change(steps.begin(opening, wish.role, now), desk, is_first=True)

        change = await self.advance(_key(participant, opening.pid), decide)
        assert isinstance(change.process, Negotiation)
        return change.process

    async def act(
        self,
        participant: str,
        pid: str,
        act: str,
        *,
        offer: Mapping[str, Any] | None = None,
        code: str | None = None,
        reason: str | None = None,
    ) -> Negotiation:
        """The negotiation after an operator's act.

        `approve` is whatever the usual course would be if nobody waited for approval; `hold` stops what would go on by itself.

        Raises: NotFound, IllegalTransition, Conflict, CallerError for an unknown act.
        """
        known = await self.get(participant, pid)
        desk = await self._desk(participant, await self._tokens.claims_of(participant, known.peer))
        cause = Cause(by=By.OPERATOR, code=code, reasons=(reason,) if reason else ())

        def decide(snapshot: Snapshot[Negotiation]) -> Change[Negotiation]:
            process = snapshot.process
            if process is None:
                raise NotFound(f"there is no negotiation `{pid}`", where=pid)
            if act == "hold":
                return held(process, reason or "held by an operator", self._clock.now())
            event = self._approved(process) if act == "approve" else act_named(act, process.role)
            terms = named_terms(offer, process, desk.shelf.known)
            choice = Choice(act=event, cause=cause, offer=terms)
            return self.course.change(self.course.do(process, choice, desk), desk)

        change = await self.advance(_key(participant, pid), decide)
        assert isinstance(change.process, Negotiation)
        return change.process

    def _approved(self, process: Negotiation) -> Event:
        found = (
            {
                (Role.PROVIDER, State.REQUESTED): Event.AGREE,
                (Role.PROVIDER, State.ACCEPTED): Event.AGREE,
                (Role.PROVIDER, State.VERIFIED): Event.FINALIZE,
                (Role.CONSUMER, State.OFFERED): Event.ACCEPT,
                (Role.CONSUMER, State.AGREED): Event.VERIFY,
            }.get((process.role, process.state))
            if process.state
            else None
        )
        if found is None or process.in_flight is not None:
            raise IllegalTransition(
                f"nothing waits for approval in {process.state or 'this negotiation'}",
                mend="`kontor negotiations --held` lists what waits",
            )
        return found

    # --- by itself

    async def settled(self, key: Key, attempt: Attempt, body: bytes) -> None:
        """A message of ours was acknowledged with `body`."""
        answer = wire.read_answer(body, m.ContractNegotiation)
        if answer is None and body.strip():
            observe.warning("negotiation.odd_answer", pid=key.pid, cause="the peer acknowledged with a body that is no answer")
        now, new_id = self._clock.now(), new_urn()
        desk = await self._desk(key.participant, _NOTHING_KNOWN)

        def decide(snapshot: Snapshot[Negotiation]) -> Change[Negotiation]:
            process = snapshot.process
            if process is None:
                return Change(removed=(attempt.message_id,))
            step = steps.settle(process, attempt.message_id, answer, new_message_id=new_id, now=now)
            return self.course.change(step, desk, attempt=attempt)

        # the peer's next message is often on its way already, and goes to the disk together with this
        await self.advance(key, decide, can_wait=True)

    async def given_up(self, key: Key, attempt: Attempt) -> None:
        """A message of ours cannot be delivered."""
        now, new_id = self._clock.now(), new_urn()
        desk = await self._desk(key.participant, _NOTHING_KNOWN)

        def decide(snapshot: Snapshot[Negotiation]) -> Change[Negotiation]:
            process = snapshot.process
            if process is None:
                return Change(removed=(attempt.message_id,))
            step = steps.give_up(process, attempt.message_id, attempt.cause, new_message_id=new_id, now=now)
            change = self.course.change(step, desk, attempt=attempt)
            lost = lost_agreement(process, step.process, "the finalisation could not be delivered", now)
            return replace(change, agreement=lost) if lost is not None else change

        await self.advance(key, decide)

    async def due(self, row: DueRow) -> None:
        """Carry out a delayed act, unless the negotiation has moved on since; end it when it has stood still for too long."""
        desk = await self.desk(row.key)

        def decide(snapshot: Snapshot[Negotiation]) -> Change[Negotiation]:
            return self.course.due(snapshot.process, row.due, desk) if snapshot.process is not None else Change()

        await self.advance(row.key, decide)

    # --- shared

    async def _desk(self, participant: str, claims: Mapping[str, Any]) -> Desk:
        return Desk(
            context=await self._participants.context(participant), shelf=await self._offerings.shelf(participant), claims=claims
        )

    async def desk(self, key: Key) -> Desk:
        """The desk for what no message set off: what is known of the peer is looked up, since something may be judged by it."""
        process = await self._store.process(key)
        known = await self._tokens.claims_of(key.participant, process.peer) if process is not None else _NOTHING_KNOWN
        return await self._desk(key.participant, known)

    async def advance(
        self, key: Key | PeerKey, decide: Any, *, received: str | None = None, can_wait: bool = False
    ) -> Change[Any]:
        with tracing.span("commit"):
            change = await self._store.advance(key, tracing.carried(decide), received=received, can_wait=can_wait)
        process = change.process
        if isinstance(process, Negotiation):
            self._delivery.handover(_key(process.participant, process.pid), process.peer, change)
            tell("negotiation.step", process, change.records)
            if change.agreement is not None and change.agreement.ended_at is not None:
                await self._agreements.end_transfers(change.agreement)
            elif change.agreement is not None:
                await self._agreements.begun(change.agreement)
        return change

    async def _commit(self, key: Key | PeerKey, decide: Any, *, received: str | None) -> bytes:
        change = await self.advance(key, decide, received=received)
        return change.body


def _key(participant: str, pid: str) -> Key:
    return Key(kind=KIND, participant=participant, pid=pid)


def _of(snapshot: Snapshot[Negotiation], caller: str, pid: str) -> Negotiation:
    """The negotiation, when the caller is the one it is with; otherwise it does not exist for them."""
    process = snapshot.process
    if process is None or process.peer != caller:
        raise NotFound("there is no such negotiation", where=pid)
    return process


def _answer(process: Negotiation) -> bytes:
    """The acknowledgement with the state as it is; a peer that asks before our own first message is settled has received it."""
    state = process.state or (process.in_flight.to if process.in_flight else State.TERMINATED)
    return wire.encode(
        m.ContractNegotiation(
            provider_pid=process.provider_pid or wire.NIL, consumer_pid=process.consumer_pid or wire.NIL, state=state
        )
    )
