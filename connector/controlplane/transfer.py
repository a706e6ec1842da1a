"""Transfers, both roles: what comes from peers, what operators and the data plane do, what happens by itself.

The same three beats as negotiations. What the data plane has to do follows the commit: begin a push when STARTED is reached, cut
what runs as soon as a stop is decided. Who may read or write is asked of `access.py` with each request.
Source: Dataspace Protocol 2025-1, Transfer Process Protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector import observe, tracing
from connector.controlplane.agreements import Agreements
from connector.controlplane.choosing import consumer_flow, provider_flow
from connector.controlplane.decisions import AGREEMENT_ENDED, Choice, act_named
from connector.controlplane.delivery import Delivery
from connector.controlplane.limits import Limiter
from connector.controlplane.offerings import Offerings
from connector.controlplane.participants import Participants
from connector.controlplane.policy import Judge
from connector.controlplane.process import digest_of, held, new_urn, tell
from connector.controlplane.reviews import Reviews
from connector.controlplane.terms import TransferWish, destination_of
from connector.controlplane.transfer_course import Desk, TransferCourse, acknowledgement
from connector.controlplane.usage import Usages
from connector.controlplane.watch import is_stopped
from connector.dsp import messages as m
from connector.dsp import transfer as steps
from connector.dsp import transfer_opening as openings
from connector.dsp import wire
from connector.dsp.negotiation import Agreement
from connector.dsp.process import By, Cause
from connector.dsp.tables import Kind, Role, State
from connector.dsp.transfer import DataFlow, Transfer
from connector.dsp.transfer_opening import TransferOpening
from connector.dsp.values import replace
from connector.errors import BadMessage, CallerError, Conflict, KontorError, NotFound
from connector.outbound.client import OutboundClient
from connector.ports.clock import Clock
from connector.ports.dataplane import DataPlane
from connector.ports.identity import Caller, TokenSource
from connector.ports.ledger import Book
from connector.ports.signaling import Planes
from connector.ports.store import Attempt, Change, DueRow, Key, PeerKey, Snapshot, Store

KIND = Kind.TRANSFER


class Transfers:
    """The transfers of all contexts of this node."""

    def __init__(
        self,
        store: Store,
        participants: Participants,
        offerings: Offerings,
        agreements: Agreements,
        judge: Judge,
        delivery: Delivery,
        outbound: OutboundClient,
        tokens: TokenSource,
        data_plane: DataPlane,
        usages: Usages,
        reviews: Reviews,
        limiter: Limiter,
        clock: Clock,
        planes: Planes | None = None,
    ) -> None:
        """`planes` knows the external data planes; None: the built-in one moves everything."""
        self._limiter = limiter
        self._planes = planes
        self._store = store
        self._participants = participants
        self._offerings = offerings
        self._agreements = agreements
        self._delivery = delivery
        self._outbound = outbound
        self._tokens = tokens
        self._data_plane = data_plane
        self._usages = usages
        self._clock = clock
        self.course = TransferCourse(judge, data_plane, clock)
        delivery.connect(KIND, self)
        agreements.connect(self)
        reviews.connect(self)

    # --- from peers

    async def receive_first(self, participant: str, caller: Caller, received: wire.Received[m.TransferRequestMessage]) -> bytes:
        """The acknowledgement of a consumer's request; a repeated one gives the same transfer.

        Raises: NotFound for an agreement that the caller has not with us; BadMessage for a format that we cannot serve, or a push
        without an address; AddressRefused.
        """
        message = received.message
        agreement = await self._store.agreement(participant, message.agreement_id)
        if agreement is None or agreement.peer != caller.id or agreement.role is not Role.PROVIDER:
            await self._participants.context(participant)
            raise NotFound(
                "there is no such agreement", where="agreementId", mend="name an agreement that you have with this provider"
            )
        desk = Desk(
            context=await self._participants.context(participant),
            agreement=agreement,
            claims=caller.claims,
            book=await self._usages.book(agreement),
        )
        flow = await self._check_format(participant, agreement, message)
        self._outbound.vet(message.callback_address)
        pid, now = new_urn(), self._clock.now()
        key = PeerKey(kind=KIND, participant=participant, role=Role.PROVIDER, peer=caller.id, peer_pid=message.consumer_pid)

        def decide(snapshot: Snapshot[Transfer], full: KontorError | None) -> Change[Transfer]:
            if snapshot.answer is not None:
                return Change(repeated=snapshot.answer)
            if snapshot.process is not None:
                if snapshot.process.agreement_id != message.agreement_id:
                    raise BadMessage("this consumerPid belongs to another transfer", where="consumerPid", mend="use a new one")
                # "the provider should respond with an appropriate Transfer Start Message"
                step = self.course.said_again(snapshot.process)
                return self.course.change(step, desk, answer=acknowledgement(step.process))
            if full is not None:
                raise full
            step = openings.received_first(
                message,
                participant=participant,
                pid=pid,
                peer=caller.id,
                dataset=agreement.dataset,
                callback=desk.context.address,
                now=now,
                warnings=received.warnings,
                flow=flow,
            )
            return self.course.change(step, desk, answer=acknowledgement(step.process), is_first=True)

        async with self._limiter.transfer(participant, caller.id) as full:
            answer = await self._commit(key, lambda found: decide(found, full), received=received.message_id)
        await self._agreements.end_if_over(participant, agreement.id)
        return answer

    async def _check_format(self, participant: str, agreement: Agreement, message: m.TransferRequestMessage) -> DataFlow | None:
        """The flow of an external data plane, where one has to move what is asked for.

        Raises: BadMessage, AddressRefused.
        """
        item = (await self._offerings.shelf(participant)).items.get(agreement.dataset)
        url = destination_of(message, item)
        if url is not None:
            self._outbound.vet(url)
        return await provider_flow(self._planes, self._data_plane, participant, message.format, item)

    async def receive(self, participant: str, caller: Caller, pid: str, received: wire.Received[steps.Continuation]) -> bytes:
        """The acknowledgement of a later message; a repeated one gets its first answer.

        Raises: NotFound for an unknown pid and for somebody else's; BadMessage, IllegalTransition. Nothing has changed then.
        """
        now = self._clock.now()
        desk = await self.desk(_key(participant, pid), caller.claims)
        message_id = received.message_id
        fingerprint = None if message_id else digest_of(received.raw)

        def decide(snapshot: Snapshot[Transfer]) -> Change[Transfer]:
            process = snapshot.process
            if process is None or process.peer != caller.id:
                raise NotFound("there is no such transfer", where=pid)
            if snapshot.answer is not None:
                return Change(repeated=snapshot.answer)
            if fingerprint is not None and process.last_received == fingerprint:
                return Change(repeated=acknowledgement(process))
            step = steps.receive(process, received.message, now=now, warnings=received.warnings)
            step = replace(step, process=replace(step.process, last_received=fingerprint))
            return self.course.change(
                step, desk, answer=acknowledgement(step.process), resumed_by_peer=process.state is State.SUSPENDED
            )

        return await self._commit(_key(participant, pid), decide, received=message_id)

    async def answer(self, participant: str, caller: Caller, pid: str) -> bytes:
        """The state of a transfer for the peer in it.

        Raises: NotFound for an unknown pid and for somebody else's.
        """
        process = await self._store.process(_key(participant, pid))
        if not isinstance(process, Transfer) or process.peer != caller.id:
            raise NotFound("there is no such transfer", where=pid)
        return acknowledgement(process)

    # --- from operators

    async def get(self, participant: str, pid: str) -> Transfer:
        """The transfer.

        Raises: NotFound.
        """
        process = await self._store.process(_key(participant, pid))
        if not isinstance(process, Transfer):
            raise NotFound(f"there is no transfer `{pid}`", where=pid)
        return process

    async def start(self, participant: str, wish: TransferWish) -> Transfer:
        """A transfer that we ask for, its request on the way.

        Raises: NotFound for an unknown agreement; Conflict when it has ended or we are its provider; AddressRefused.
        """
        agreement = await self._agreements.get(participant, wish.agreement)
        if agreement.role is not Role.CONSUMER:
            raise Conflict(
                "we are the provider of this agreement", where="agreement", mend="the consumer asks for the transfer"
            )
        if agreement.ended_at is not None:
            raise Conflict("this agreement has ended", where="agreement", mend="negotiate a new one")
        if wish.destination is not None and wish.format.upper().endswith("-PULL"):
            # Dataspace Protocol 2025-1, "Transfer Request Message": an address must only be there for a push
            mend = "leave it out, or ask for a format that ends in `-PUSH`"
            raise CallerError("a pull has no destination: the provider says where the data is", where="destination", mend=mend)
        address = wish.address or agreement.peer_address
        if not address:
            raise CallerError("the address of the provider is not known", where="address", mend="give it with the transfer")
        self._outbound.vet(address)
        context = await self._participants.context(participant)
        pid = new_urn()
        flow = await consumer_flow(self._planes, self._data_plane, participant, wish)
        endpoint = None
        if flow is None and wish.format.upper().endswith("-PUSH") and wish.destination is None:
            endpoint = self._data_plane.endpoint(participant, pid, wish.format)
        opening = TransferOpening(
            participant=participant,
            pid=pid,
            message_id=new_urn(),
            peer=agreement.peer,
            peer_address=address,
            callback=context.address,
            agreement_id=agreement.id,
            dataset=agreement.dataset,
            format=wish.format,
            destination=endpoint.address if endpoint else wish.destination,
            access=endpoint.access if endpoint else None,
            purpose=wish.purpose or agreement.purpose,
        )
        desk = Desk(context=context, agreement=agreement, claims={})
        now = self._clock.now()

        def decide(snapshot: Snapshot[Transfer]) -> Change[Transfer]:
            step = openings.begin(opening, now) if flow is None else openings.intend(opening, flow, now)
            return self.course.change(step, desk, is_first=True)

        transfer = await self._transferred(_key(participant, pid), decide)
        await self._agreements.end_if_over(participant, agreement.id)
        return transfer

    async def act(
        self, participant: str, pid: str, act: str, *, code: str | None = None, reason: str | None = None
    ) -> Transfer:
        """The transfer after an operator's act; `resume` is a start out of SUSPENDED, `approve` whatever waits.

        Raises: NotFound, IllegalTransition, Conflict, CallerError for an unknown act.
        """
        await self.get(participant, pid)
        desk = await self.desk(_key(participant, pid), None)
        name = {"resume": "start", "approve": "start"}.get(act, act)
        cause = Cause(by=By.OPERATOR, code=code, reasons=(reason,) if reason else ())

        def decide(snapshot: Snapshot[Transfer]) -> Change[Transfer]:
            process = snapshot.process
            if process is None:
                raise NotFound(f"there is no transfer `{pid}`", where=pid)
            if act == "hold":
                return held(process, reason or "held by an operator", self._clock.now())
            return self.course.change(self.course.do(process, Choice(act=act_named(name, process.role), cause=cause)), desk)

        return await self._transferred(_key(participant, pid), decide)

    async def end(self, participant: str, pid: str, reason: str) -> None:
        """Terminate a transfer because its agreement has ended."""
        await self.act(participant, pid, "terminate", code=AGREEMENT_ENDED, reason=reason)

    # --- by itself

    async def settled(self, key: Key, attempt: Attempt, body: bytes) -> None:
        """A message of ours was acknowledged with `body`."""
        answer = wire.read_answer(body, m.TransferProcess)
        if answer is None and body.strip():
            observe.warning("transfer.odd_answer", pid=key.pid, cause="the peer acknowledged with a body that is no answer")
        desk, now, new_id = await self.desk(key, None), self._clock.now(), new_urn()

        def decide(snapshot: Snapshot[Transfer]) -> Change[Transfer]:
            if snapshot.process is None:
                return Change(removed=(attempt.message_id,))
            step = steps.settle(snapshot.process, attempt.message_id, answer, new_message_id=new_id, now=now)
            return self.course.change(step, desk, attempt=attempt)

        # the peer's next message is often on its way already, and goes to the disk together with this
        await self.advance(key, decide, can_wait=True)

    async def given_up(self, key: Key, attempt: Attempt) -> None:
        """A message of ours cannot be delivered."""
        desk, now, new_id = await self.desk(key, None), self._clock.now(), new_urn()

        def decide(snapshot: Snapshot[Transfer]) -> Change[Transfer]:
            if snapshot.process is None:
                return Change(removed=(attempt.message_id,))
            step = steps.give_up(snapshot.process, attempt.message_id, attempt.cause, new_message_id=new_id, now=now)
            return self.course.change(step, desk, attempt=attempt)

        await self.advance(key, decide)

    async def due(self, row: DueRow) -> None:
        """Carry out a delayed act, review a running transfer whose decision may have flipped, end one that nobody answers."""
        desk = await self.desk(row.key, None)

        def decide(snapshot: Snapshot[Transfer]) -> Change[Transfer]:
            return self.course.due(snapshot.process, row.due, desk) if snapshot.process is not None else Change()

        await self.advance(row.key, decide)

    async def review(self, participant: str, pid: str) -> None:
        """Decide about a running transfer again; one that is not permitted any more is terminated."""
        desk = await self.desk(_key(participant, pid), None)

        def decide(snapshot: Snapshot[Transfer]) -> Change[Transfer]:
            return self.course.review(snapshot.process, desk) if snapshot.process is not None else Change()

        await self.advance(_key(participant, pid), decide)

    # --- shared

    async def desk(self, key: Key, claims: Mapping[str, Any] | None) -> Desk:
        """What is known for the transfer `key`; `claims` None looks the peer's up."""
        context = await self._participants.context(key.participant)
        process = await self._store.process(key)
        if not isinstance(process, Transfer):
            return Desk(context=context, agreement=None, claims=claims or {})
        known = claims if claims is not None else await self._tokens.claims_of(key.participant, process.peer)
        agreement = await self._store.agreement(key.participant, process.agreement_id)
        book = await self._usages.book(agreement) if agreement is not None else Book()
        return Desk(context=context, agreement=agreement, claims=known, book=book)

    async def _transferred(self, key: Key, decide: Any) -> Transfer:
        change = await self.advance(key, decide)
        assert isinstance(change.process, Transfer)
        return change.process

    async def _commit(self, key: Key | PeerKey, decide: Any, *, received: str | None) -> bytes:
        change = await self.advance(key, decide, received=received)
        return change.body

    async def advance(
        self, key: Key | PeerKey, decide: Any, *, received: str | None = None, can_wait: bool = False
    ) -> Change[Any]:
        with tracing.span("commit"):
            change = await self._store.advance(key, tracing.carried(decide), received=received, can_wait=can_wait)
        process = change.process
        if isinstance(process, Transfer):
            self._delivery.handover(_key(process.participant, process.pid), process.peer, change)
            tell("transfer.step", process, change.records)
            if change.records:
                await self._drive(process)
        return change

    async def _drive(self, process: Transfer) -> None:
        """Cut what runs for a transfer that was stopped, here and elsewhere; what is to be pushed stands in the jobs."""
        if await is_stopped(self._store, process):
            await self._data_plane.stop(process.participant, process.pid)
            self._store.notice(_key(process.participant, process.pid))
            if process.is_provider and process.is_push:
                await self._usages.let_go(process)


def _key(participant: str, pid: str) -> Key:
    return Key(kind=KIND, participant=participant, pid=pid)
