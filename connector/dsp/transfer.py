"""One transfer process: what it remembers, and the pure steps that messages, acts and the data plane make.

What lives here: `Transfer`, `Access`, `DataFlow`, `receive`, `act`, `renew`, `settle`, `give_up`.
What does not: the first messages (`transfer_opening.py`), moving bytes (`dataplane/`), and whether a start is allowed
(`controlplane/decisions.py`).
Source: Dataspace Protocol 2025-1, Transfer Process Protocol and its HTTPS binding.
"""

from __future__ import annotations

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
from connector.dsp.tables import Event, Kind, State
from connector.dsp.values import Value, replace
from connector.errors import BadMessage, IllegalTransition

KIND = Kind.TRANSFER
_STOPPING = frozenset({Event.SUSPEND, Event.COMPLETE, Event.TERMINATE})


class Access(Value, frozen=True, kw_only=True):
    """What opens the data of one transfer: the hash of a token that only the peer holds, and until when."""

    token_sha256: str
    expires_at: datetime


class DataFlow(Value, frozen=True, kw_only=True):
    """What is known of the flow of data that an external data plane moves for a transfer."""

    plane: str
    """Which data plane, by its id."""
    told: str = ""
    """The last call that it has taken, as `connector.dps.flow.Call` spells it; empty before the first."""
    state: str = ""
    """Where the flow is, as the data plane last said."""
    calls: int = 0
    """How many calls it has taken: each has a message id of its own."""
    is_wanted: bool = False
    """Whether it has been decided that data shall flow, and something of ours waits for the data plane to be ready."""
    since: datetime | None = None
    """Since when the data plane is getting there."""


class Transfer(Process, frozen=True, kw_only=True):
    """A transfer as one side sees it."""

    agreement_id: str
    dataset: str
    format: str
    """Transfer format of the distribution, such as `HttpData-PULL`."""
    destination: m.DataAddress | None = None
    """Push: where the consumer wants the data."""
    address: m.DataAddress | None = None
    """Pull: where the consumer fetches the data, as last sent or received."""
    access: Access | None = None
    """What opens the endpoint that this side serves: the provider's for pull, the consumer's for push."""
    has_resumed: bool = False
    """Consumer: our own start ended the last suspension, so the provider may send a start with a fresh address."""
    former: Access | None = None
    """What opened it before the start in `renewal`: good until the peer has acknowledged that, and again if it refuses it."""
    upcoming: Access | None = None
    """Provider: what a renewed token opens; it takes the place of `access` when it is first used, and that lives until then."""
    renewal: str | None = None
    """Provider: id of the start with a fresh address that follows the consumer's, while it may still be delivered."""
    moved_bytes: int = 0
    digest: str | None = None
    """SHA-256 of what was moved, hexadecimal; None until the data plane reports it."""
    mark: str = ""
    """Provider of a push: what its receiver calls the upload that was begun there, as the data plane reads it. Never shown."""
    callback: str = ""
    review_at: datetime | None = None
    """Provider: when the decision on it is made again, at the latest; a row waits for that moment."""
    flow: DataFlow | None = None
    """Set when an external data plane moves the data; None: the built-in one does."""

    @property
    def is_push(self) -> bool:
        return self.format.upper().endswith("-PUSH")

    @property
    def is_open(self) -> bool:
        """True while data may flow: started, and no message of ours that stops it is on its way; nothing is given out in doubt.

        A provider's start on its way opens too: whoever shows the token that travels with it has received it.
        """
        flight = self.in_flight.event if self.in_flight is not None else None
        if self.is_doubted:
            return False
        if self.state is State.STARTED:
            return flight not in _STOPPING
        return flight is Event.START and self.is_provider and not self.is_ended


Continuation = m.TransferStartMessage | m.TransferSuspensionMessage | m.TransferCompletionMessage | m.TransferTerminationMessage
"""Every transfer message but the first."""


def event_of(message: Continuation) -> Event:
    """The event that a transfer message stands for."""
    match message:
        case m.TransferStartMessage():
            return Event.START
        case m.TransferSuspensionMessage():
            return Event.SUSPEND
        case m.TransferCompletionMessage():
            return Event.COMPLETE
        case m.TransferTerminationMessage():
            return Event.TERMINATE


def receive(transfer: Transfer, message: Continuation, *, now: datetime, warnings: tuple[str, ...] = ()) -> Step[Transfer]:
    """The transfer after a message of the peer.

    A start of the provider in STARTED that follows our own resume renews the address and is no error.

    Raises: BadMessage for foreign pids; IllegalTransition. Nothing has changed then.
    """
    peer_pid = matching_pids(transfer, provider_pid=message.provider_pid, consumer_pid=message.consumer_pid)
    event = event_of(message)
    if isinstance(message, m.TransferStartMessage) and _is_renewal(transfer, message):
        return _renewed(transfer, message, now)
    ready, to = arrived(transfer, KIND, event, now)
    changes: dict[str, Any] = {"peer_pid": peer_pid, "error": None}
    notes: tuple[str, ...] = ()
    if isinstance(message, m.TransferStartMessage):
        if message.data_address is not None:
            if transfer.is_provider:
                raise BadMessage(
                    "a consumer's start carries no data address",
                    where="dataAddress",
                    mend="leave it out; the provider sends one",
                )
            changes["address"] = message.data_address
        changes |= {"code": None, "reasons": (), "has_resumed": False}
    elif isinstance(message, m.TransferSuspensionMessage | m.TransferTerminationMessage):
        notes = spoken(message.reason)
        changes |= {"code": spoken_code(message.code), "reasons": notes}
    if warnings:
        changes["warnings"] = warned(transfer, warnings)
    process, cancelled = overtaken(ready.process) if to.is_terminal else (ready.process, ())
    process, outdated = _without_renewal(process)
    return Step(
        process=enter(process, to, now, **changes),
        cancelled=ready.cancelled + cancelled + outdated,
        records=(*ready.records, Record(at=now, by=By.PEER, event=event.value, state=to, note="; ".join(notes))),
        entered=True,
    )


def _is_renewal(transfer: Transfer, message: m.TransferStartMessage) -> bool:
    if transfer.is_provider or message.data_address is None or transfer.is_ended:
        return False
    if transfer.state is State.STARTED:
        return transfer.has_resumed
    flight = transfer.in_flight
    return transfer.state is State.SUSPENDED and flight is not None and flight.event is Event.START


def _renewed(transfer: Transfer, message: m.TransferStartMessage, now: datetime) -> Step[Transfer]:
    """The transfer with the fresh address that the provider sends after our resume, which that proves delivered."""
    cancelled: tuple[str, ...] = ()
    records: tuple[Record, ...] = ()
    entered = False
    if transfer.state is State.SUSPENDED and transfer.in_flight is not None:
        cancelled = (transfer.in_flight.message_id,)
        landed = acknowledged(transfer, now)
        transfer, records, entered = landed.process, landed.records, True
    record = Record(at=now, by=By.PEER, event=Event.START.value, state=State.STARTED, note="fresh data address")
    fresh = replace(transfer, address=message.data_address, has_resumed=False, updated_at=now)
    return Step(process=fresh, cancelled=cancelled, records=(*records, record), entered=entered)


def act(
    transfer: Transfer,
    event: Event,
    *,
    message_id: str,
    now: datetime,
    cause: Cause,
    address: m.DataAddress | None = None,
    access: Access | None = None,
) -> Step[Transfer]:
    """The transfer with `event` of ours on its way to the peer.

    `address` and `access` go with the provider's start of a pull. A transfer whose request the peer never acknowledged ends
    here and nothing is sent.

    Raises: IllegalTransition, Conflict.
    """
    if event is Event.TERMINATE and transfer.peer_pid is None:
        return end_here(transfer, now, cause)
    to = may_send(transfer, KIND, event)
    cargo = Cargo()
    message, part = _message(transfer, event, message_id, cause, address)
    cleared, cancelled = overtaken(transfer)
    cleared, outdated = _without_renewal(cleared)
    if event is Event.START:
        cargo = Cargo(words=Words(), has_resumed=not transfer.is_provider)
        if address is not None:
            # access opens at once, so that a peer quicker than its own acknowledgement is not turned away
            cleared = replace(cleared, address=address, access=access, former=None, upcoming=None)
    elif event in (Event.SUSPEND, Event.TERMINATE):
        cargo = Cargo(words=Words(code=cause.code, reasons=cause.reasons))
    flight = InFlight(message_id=message_id, event=event, to=to, cargo=cargo)
    url = below(transfer.peer_address, "transfers", transfer.peer_pid or "", part)
    return Step(
        process=replace(cleared, in_flight=flight, hold=None, is_doubted=False, updated_at=now),
        outgoing=(Outgoing(message_id=message_id, event=event, url=url, body=wire.encode(message)),),
        cancelled=cancelled + outdated,
        records=(Record(at=now, by=cause.by, event=f"send {event}", state=transfer.state, note=cause.note),),
    )


def _without_renewal(transfer: Transfer) -> tuple[Transfer, tuple[str, ...]]:
    """`transfer` without the start that only brings an address: in any later state the peer would take it for a resume."""
    if transfer.renewal is None:
        return transfer, ()
    return replace(transfer, renewal=None), (transfer.renewal,)


def _message(
    transfer: Transfer, event: Event, message_id: str, cause: Cause, address: m.DataAddress | None
) -> tuple[m.Message, str]:
    pids = {"provider_pid": transfer.provider_pid or "", "consumer_pid": transfer.consumer_pid or ""}
    match event:
        case Event.START:
            return m.TransferStartMessage(id=message_id, **pids, data_address=address), "start"
        case Event.SUSPEND:
            return m.TransferSuspensionMessage(id=message_id, **pids, code=cause.code, reason=cause.reasons), "suspension"
        case Event.COMPLETE:
            return m.TransferCompletionMessage(id=message_id, **pids), "completion"
        case Event.TERMINATE:
            return m.TransferTerminationMessage(id=message_id, **pids, code=cause.code, reason=cause.reasons), "termination"
        case _:
            raise IllegalTransition(f"`{event.value}` is no act of a transfer", mend="see `kontor protocol diagram`")


def renew(
    transfer: Transfer, address: m.DataAddress, access: Access | None, *, message_id: str, now: datetime
) -> Step[Transfer]:
    """The provider's own start after a consumer's resume: a fresh address; a refusal of it is harmless.

    `access` None: an external data plane knows what opens it.

    Source: facts of the field (no message of the standard carries a new token back after a consumer's start).
    """
    message, part = _message(transfer, Event.START, message_id, Cause(by=By.RULE), address)
    url = below(transfer.peer_address, "transfers", transfer.peer_pid or "", part)
    out = Outgoing(message_id=message_id, event=Event.START, url=url, body=wire.encode(message), is_harmless=True)
    record = Record(at=now, by=By.RULE, event="send start", state=transfer.state, note="fresh data address")
    cleared, outdated = _without_renewal(transfer)
    fresh = replace(
        cleared,
        address=address,
        access=access,
        former=transfer.former or transfer.access,
        upcoming=None,
        renewal=message_id,
        updated_at=now,
    )
    return Step(process=fresh, outgoing=(out,), cancelled=outdated, records=(record,))


def promoted(transfer: Transfer, token_sha256: str) -> Transfer:
    """The transfer after a token was shown: a renewed one becomes current, and what it renewed opens nothing any more."""
    upcoming = transfer.upcoming
    if upcoming is None or upcoming.token_sha256 != token_sha256:
        return transfer
    return replace(transfer, access=upcoming, former=None, upcoming=None)


def settle(
    transfer: Transfer, message_id: str, answer: m.TransferProcess | None, *, new_message_id: str, now: datetime
) -> Step[Transfer]:
    """The transfer after the peer acknowledged `message_id`; unchanged when that message is in flight no more.

    A request that is acknowledged after we gave the transfer up: the provider knows us now and is told of the end.
    """
    flight = transfer.in_flight
    known = learned(transfer, answer)
    if message_id == transfer.renewal:
        return Step(process=replace(known, renewal=None, former=None))
    if flight is None or flight.message_id != message_id:
        if transfer.state is State.TERMINATED and transfer.peer_pid is None and known.peer_pid is not None:
            return _tell_the_end(known, new_message_id, now, "acknowledged after the end")
        return Step(process=known)
    return acknowledged(known, now)


def give_up(transfer: Transfer, message_id: str, cause: str, *, new_message_id: str, now: datetime) -> Step[Transfer]:
    """The transfer after `message_id` could not be delivered for good: terminated, and the peer told if it knows us."""
    if message_id == transfer.renewal:
        return Step(process=replace(transfer, renewal=None, access=transfer.former, former=None))

    def terminate(failed: Transfer, told: Cause) -> Step[Transfer]:
        return act(failed, Event.TERMINATE, message_id=new_message_id, now=now, cause=told)

    return undelivered(transfer, KIND, message_id, cause, now=now, terminate=terminate)


def moved(transfer: Transfer, moved_bytes: int, digest: str | None, now: datetime) -> Transfer:
    """The transfer with what the data plane reports of it."""
    return replace(transfer, moved_bytes=moved_bytes, digest=digest or transfer.digest, updated_at=now)


def said_again(transfer: Transfer, event: Event, message_id: str, cause: Cause) -> Outgoing:
    """A message of ours that says once more what the transfer has come to; a refusal of it changes nothing."""
    message, part = _message(transfer, event, message_id, cause, None)
    url = below(transfer.peer_address, "transfers", transfer.peer_pid or "", part)
    return Outgoing(message_id=message_id, event=event, url=url, body=wire.encode(message), is_harmless=True)


def _tell_the_end(transfer: Transfer, message_id: str, now: datetime, note: str) -> Step[Transfer]:
    """A termination for a provider that came to know a transfer which has ended here already."""
    cause = Cause(by=By.DELIVERY, code=transfer.code, reasons=transfer.reasons)
    out = said_again(transfer, Event.TERMINATE, message_id, cause)
    record = Record(at=now, by=By.DELIVERY, event="send terminate", state=transfer.state, note=note)
    return Step(process=transfer, outgoing=(out,), records=(record,))
