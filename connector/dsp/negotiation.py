"""One contract negotiation: what it remembers, and the pure steps that messages and acts make.

What lives here: `Negotiation`, `Agreement`, the first messages, `receive`, `act`, `settle`, `give_up`.
What does not: whether an act is wise (`controlplane/decisions.py`) and when it is sent (`controlplane/delivery.py`).
Source: Dataspace Protocol 2025-1, Contract Negotiation Protocol and its HTTPS binding.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from connector.dsp import messages as m
from connector.dsp import wire
from connector.dsp.acknowledging import learned
from connector.dsp.process import (
    By,
    Cargo,
    Cause,
    InFlight,
    Outgoing,
    Process,
    Record,
    Step,
    Words,
    acknowledged,
    arrived,
    below,
    end_here,
    enter,
    matching_pids,
    may_send,
    overtaken,
    spoken,
    spoken_code,
    undelivered,
    warned,
)
from connector.dsp.tables import Event, Kind, Role, State
from connector.dsp.values import Value, replace
from connector.errors import BadMessage, IllegalTransition

KIND = Kind.NEGOTIATION
_ENVELOPE = frozenset(
    prefix + name
    for prefix in ("", "odrl:", "dspace:", "http://www.w3.org/ns/odrl/2/", "https://w3id.org/dspace/2025/1/")
    for name in ("@id", "@type", "@context", "uid", "target", "assigner", "assignee", "timestamp")
)


class Negotiation(Process, frozen=True, kw_only=True):
    """A negotiation as one side sees it."""

    dataset: str
    """The id of the dataset: the target of every offer in it."""
    offer: Mapping[str, Any]
    """The terms on the table: the last offer that was sent and acknowledged, or received; a policy tree."""
    wanted: Mapping[str, Any] | None = None
    """Consumer: the terms it first asked for; a counter-request without terms repeats them."""
    agreement: Mapping[str, Any] | None = None
    """The agreement's policy tree as it was sent or received; None before AGREED."""
    callback: str = ""
    """Our own base address, as told to the peer."""
    definition: str | None = None
    """Provider: the contract definition whose terms apply."""

    @property
    def agreement_id(self) -> str | None:
        return str(self.agreement["@id"]) if self.agreement else None

    @property
    def offered_by(self) -> Role | None:
        """Who made the terms on the table, while they are on the table."""
        return {State.REQUESTED: Role.CONSUMER, State.OFFERED: Role.PROVIDER}.get(self.state) if self.state else None


class Agreement(Value, frozen=True, kw_only=True):
    """A contract agreement that was reached, or imported: what transfers happen under."""

    participant: str
    """The context that holds it."""
    id: str
    role: Role
    """Our role in it."""
    peer: str
    """The other participant's authenticated id."""
    peer_address: str
    """Base address of the other side when it was reached."""
    provider: str
    consumer: str
    dataset: str
    policy: Mapping[str, Any]
    """The agreement's policy tree, as it went over the wire."""
    purpose: str | None = None
    """What the consumer said at the negotiation."""
    negotiation: str | None = None
    """Our pid of the negotiation; None for an imported agreement."""
    signed_at: datetime
    ended_at: datetime | None = None
    """When it was ended before its own terms end it; None while it stands."""
    end_reason: str | None = None
    legal_only: tuple[str, ...] = ()
    """Left operands that were agreed and are not judged by anybody: the contract definition marks them so."""
    consumer_operands: tuple[str, ...] = ()
    """Left operands that the consumer's connector judges, and its provider does not."""


class Opening(Value, frozen=True, kw_only=True):
    """What both first messages need: who with, about what, on which terms."""

    participant: str
    pid: str
    message_id: str
    peer: str
    peer_address: str
    callback: str
    dataset: str
    offer: Mapping[str, Any]
    """Offer with `@id` and `target`."""
    purpose: str | None = None
    definition: str | None = None
    cause: Cause = Cause(by=By.OPERATOR)


def begin(opening: Opening, role: Role, now: datetime) -> Step[Negotiation]:
    """A negotiation of ours: the consumer's first request or the provider's first offer, in flight."""
    event, to = (Event.REQUEST, State.REQUESTED) if role is Role.CONSUMER else (Event.OFFER, State.OFFERED)
    process = Negotiation(
        participant=opening.participant,
        pid=opening.pid,
        role=role,
        peer=opening.peer,
        peer_address=opening.peer_address.rstrip("/"),
        dataset=opening.dataset,
        offer=opening.offer,
        wanted=opening.offer if role is Role.CONSUMER else None,
        callback=opening.callback,
        purpose=opening.purpose,
        definition=opening.definition,
        in_flight=InFlight(message_id=opening.message_id, event=event, to=to),
        created_at=now,
        updated_at=now,
    )
    message: m.Message
    if role is Role.CONSUMER:
        message = m.ContractRequestMessage(
            id=opening.message_id,
            consumer_pid=opening.pid,
            callback_address=opening.callback,
            offer=dict(opening.offer),
            purpose=opening.purpose,
        )
        url = below(process.peer_address, "negotiations", "request")
    else:
        message = m.ContractOfferMessage(
            id=opening.message_id, provider_pid=opening.pid, callback_address=opening.callback, offer=dict(opening.offer)
        )
        url = below(process.peer_address, "negotiations", "offers")
    out = Outgoing(message_id=opening.message_id, event=event, url=url, body=wire.encode(message))
    record = Record(at=now, by=opening.cause.by, event=f"send {event}", state=None, note=opening.cause.note)
    return Step(process=process, outgoing=(out,), records=(record,))


def received_first(
    message: m.ContractRequestMessage | m.ContractOfferMessage,
    *,
    participant: str,
    pid: str,
    peer: str,
    callback: str,
    now: datetime,
    definition: str | None = None,
    warnings: tuple[str, ...] = (),
) -> Step[Negotiation]:
    """A negotiation that the peer began: REQUESTED by a consumer, or OFFERED by a provider.

    Raises: BadMessage when the message continues a negotiation instead of beginning one.
    """
    if message.callback_address is None:
        raise BadMessage(
            "`callbackAddress` is missing", where="callbackAddress", mend="the first message of a negotiation carries it"
        )
    is_request = isinstance(message, m.ContractRequestMessage)
    event, state = (Event.REQUEST, State.REQUESTED) if is_request else (Event.OFFER, State.OFFERED)
    process = Negotiation(
        participant=participant,
        pid=pid,
        role=Role.PROVIDER if is_request else Role.CONSUMER,
        peer=peer,
        peer_address=message.callback_address.rstrip("/"),
        peer_pid=message.consumer_pid if is_request else message.provider_pid,
        dataset=str(message.offer["target"]),
        offer=message.offer,
        callback=callback,
        purpose=message.purpose if isinstance(message, m.ContractRequestMessage) else None,
        definition=definition,
        warnings=warnings,
        created_at=now,
        updated_at=now,
    )
    record = Record(at=now, by=By.PEER, event=event.value, state=state)
    return Step(process=enter(process, state, now), records=(record,), entered=True)


def event_of(message: m.NegotiationMessage) -> Event:
    """The event that a negotiation message stands for."""
    match message:
        case m.ContractRequestMessage():
            return Event.REQUEST
        case m.ContractOfferMessage():
            return Event.OFFER
        case m.ContractAgreementMessage():
            return Event.AGREE
        case m.ContractAgreementVerificationMessage():
            return Event.VERIFY
        case m.ContractNegotiationEventMessage():
            return Event.ACCEPT if message.event_type == "ACCEPTED" else Event.FINALIZE
        case m.ContractNegotiationTerminationMessage():
            return Event.TERMINATE


def receive(
    negotiation: Negotiation, message: m.NegotiationMessage, *, now: datetime, warnings: tuple[str, ...] = ()
) -> Step[Negotiation]:
    """The negotiation after a message of the peer.

    Raises: BadMessage for foreign pids or another dataset; IllegalTransition. Nothing has changed then.
    """
    peer_pid = matching_pids(negotiation, provider_pid=message.provider_pid, consumer_pid=message.consumer_pid)
    event = event_of(message)
    ready, to = arrived(negotiation, KIND, event, now)
    changes: dict[str, Any] = {"peer_pid": peer_pid, "error": None}
    if isinstance(message, m.ContractRequestMessage | m.ContractOfferMessage):
        if message.offer.get("target") != negotiation.dataset:
            raise BadMessage(
                "a counter-offer about another dataset",
                where="offer.target",
                mend=f"this negotiation is about `{negotiation.dataset}`",
            )
        changes["offer"] = message.offer
        if isinstance(message, m.ContractRequestMessage) and message.purpose is not None:
            changes["purpose"] = message.purpose
    elif isinstance(message, m.ContractAgreementMessage):
        changes["agreement"] = message.agreement
    elif isinstance(message, m.ContractNegotiationTerminationMessage):
        changes |= {"code": spoken_code(message.code), "reasons": spoken(message.reason)}
    if warnings:
        changes["warnings"] = warned(negotiation, warnings)
    process, cancelled = overtaken(ready.process) if to.is_terminal else (ready.process, ())
    note = "; ".join(spoken(message.reason)) if isinstance(message, m.ContractNegotiationTerminationMessage) else ""
    return Step(
        process=enter(process, to, now, **changes),
        cancelled=ready.cancelled + cancelled,
        records=(*ready.records, Record(at=now, by=By.PEER, event=event.value, state=to, note=note)),
        entered=True,
    )


def act(
    negotiation: Negotiation,
    event: Event,
    *,
    message_id: str,
    now: datetime,
    cause: Cause,
    offer: Mapping[str, Any] | None = None,
    agreement: Mapping[str, Any] | None = None,
) -> Step[Negotiation]:
    """The negotiation with `event` of ours on its way to the peer.

    `offer` goes with `request` (counter) and `offer`; `agreement` with `agree`. A negotiation whose first message the peer
    never acknowledged ends here and nothing is sent: the peer does not know it.

    Raises: IllegalTransition, Conflict.
    """
    if event is Event.TERMINATE and negotiation.peer_pid is None:
        return end_here(negotiation, now, cause)
    to = may_send(negotiation, KIND, event)
    to_provider = negotiation.role is Role.CONSUMER
    pids = {"provider_pid": negotiation.provider_pid or "", "consumer_pid": negotiation.consumer_pid or ""}
    cargo = Cargo()
    message: m.Message
    match event:
        case Event.REQUEST:
            terms = dict(offer or negotiation.wanted or negotiation.offer)
            cargo = Cargo(offer=terms)
            message = m.ContractRequestMessage(id=message_id, **pids, offer=terms)
            path: tuple[str, ...] = ("request",)
        case Event.OFFER:
            terms = dict(offer or negotiation.offer)
            cargo = Cargo(offer=terms)
            message = m.ContractOfferMessage(id=message_id, **pids, offer=terms)
            path = ("offers",)
        case Event.AGREE:
            assert agreement is not None
            cargo = Cargo(agreement=agreement)
            message = m.ContractAgreementMessage(id=message_id, **pids, agreement=dict(agreement))
            path = ("agreement",)
        case Event.VERIFY:
            message = m.ContractAgreementVerificationMessage(id=message_id, **pids)
            path = ("agreement", "verification")
        case Event.ACCEPT | Event.FINALIZE:
            message = m.ContractNegotiationEventMessage(
                id=message_id, **pids, event_type="ACCEPTED" if event is Event.ACCEPT else "FINALIZED"
            )
            path = ("events",)
        case Event.TERMINATE:
            cargo = Cargo(words=Words(code=cause.code, reasons=cause.reasons))
            message = m.ContractNegotiationTerminationMessage(id=message_id, **pids, code=cause.code, reason=cause.reasons)
            path = ("termination",)
        case _:
            raise IllegalTransition(f"`{event.value}` is no act of a negotiation", mend="see `kontor protocol diagram`")
    cleared, cancelled = overtaken(negotiation)
    flight = InFlight(message_id=message_id, event=event, to=to, cargo=cargo)
    url = below(negotiation.peer_address, "negotiations", pids["provider_pid" if to_provider else "consumer_pid"], *path)
    return Step(
        process=replace(cleared, in_flight=flight, hold=None, is_doubted=False, updated_at=now),
        outgoing=(Outgoing(message_id=message_id, event=event, url=url, body=wire.encode(message)),),
        cancelled=cancelled,
        records=(Record(at=now, by=cause.by, event=f"send {event}", state=negotiation.state, note=cause.note),),
    )


def settle(
    negotiation: Negotiation, message_id: str, answer: m.ContractNegotiation | None, *, new_message_id: str, now: datetime
) -> Step[Negotiation]:
    """The negotiation after the peer acknowledged `message_id`; unchanged when that message is in flight no more.

    A first message that is acknowledged after we gave the negotiation up: the peer knows us now and is told of the end.
    """
    flight = negotiation.in_flight
    known = learned(negotiation, answer)
    if flight is None or flight.message_id != message_id:
        if negotiation.state is State.TERMINATED and negotiation.peer_pid is None and known.peer_pid is not None:
            return tell_the_end(known, new_message_id, now, "acknowledged after the end")
        return Step(process=known)
    return acknowledged(known, now)


def give_up(negotiation: Negotiation, message_id: str, cause: str, *, new_message_id: str, now: datetime) -> Step[Negotiation]:
    """The negotiation after `message_id` could not be delivered for good: terminated, and the peer told if it knows us."""

    def terminate(failed: Negotiation, told: Cause) -> Step[Negotiation]:
        return act(failed, Event.TERMINATE, message_id=new_message_id, now=now, cause=told)

    return undelivered(negotiation, KIND, message_id, cause, now=now, terminate=terminate)


def expire(negotiation: Negotiation, *, message_id: str, now: datetime, cause: Cause) -> Step[Negotiation]:
    """The negotiation after it stood still for too long: terminated, and the peer told.

    Where the diagram leaves the termination to the peer alone it ends here at once: the text lets either side end it in any
    state, and nobody needs to be waited for.

    Raises: IllegalTransition when it has ended; Conflict when a message of ours that ends it is on its way.
    """
    try:
        return act(negotiation, Event.TERMINATE, message_id=message_id, now=now, cause=cause)
    except IllegalTransition:
        return end_here(negotiation, now, cause).then(lambda ended: tell_the_end(ended, message_id, now, "it waited too long"))


def tell_the_end(negotiation: Negotiation, message_id: str, now: datetime, note: str) -> Step[Negotiation]:
    """A termination for a peer that knows a negotiation which has ended here already."""
    message = m.ContractNegotiationTerminationMessage(
        id=message_id,
        provider_pid=negotiation.provider_pid or "",
        consumer_pid=negotiation.consumer_pid or "",
        code=negotiation.code,
        reason=negotiation.reasons,
    )
    url = below(negotiation.peer_address, "negotiations", negotiation.peer_pid or "", "termination")
    out = Outgoing(message_id=message_id, event=Event.TERMINATE, url=url, body=wire.encode(message), is_harmless=True)
    record = Record(at=now, by=By.DELIVERY, event="send terminate", state=negotiation.state, note=note)
    return Step(process=negotiation, outgoing=(out,), records=(record,))


def rules_of(tree: Mapping[str, Any]) -> dict[str, Any]:
    """What an offer and the agreement made of it have in common: everything but id, type, parties, target and time."""
    return {name: value for name, value in tree.items() if name not in _ENVELOPE}
