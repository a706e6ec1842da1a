"""How a transfer begins: what a consumer asks for, and what a provider makes of it.

What lives here: the first messages and the transfers that they make. What does not: every later step (`transfer.py`).
Source: Dataspace Protocol 2025-1, Transfer Process Protocol, "Transfer Request Message".
"""

from __future__ import annotations

from datetime import datetime

from connector.dsp import messages as m
from connector.dsp import wire
from connector.dsp.process import By, InFlight, Outgoing, Record, Step, below, enter
from connector.dsp.tables import Event, Role, State
from connector.dsp.transfer import Access, DataFlow, Transfer
from connector.dsp.values import Value, replace


class TransferOpening(Value, frozen=True, kw_only=True):
    """What a consumer's first message needs."""

    participant: str
    pid: str
    message_id: str
    peer: str
    peer_address: str
    callback: str
    agreement_id: str
    dataset: str
    format: str
    destination: m.DataAddress | None = None
    access: Access | None = None
    purpose: str | None = None


def begin(opening: TransferOpening, now: datetime) -> Step[Transfer]:
    """A transfer that we ask for as consumer; its request is in flight."""
    return request(_opened(opening, now), message_id=opening.message_id, now=now)


def intend(opening: TransferOpening, flow: DataFlow, now: datetime) -> Step[Transfer]:
    """A transfer that we shall ask for as soon as the data plane of `flow` is prepared; the provider has heard nothing yet."""
    process = replace(_opened(opening, now), flow=flow)
    record = Record(at=now, by=By.OPERATOR, event="prepare the data plane", state=None, note=flow.plane)
    return Step(process=process, records=(record,))


def request(transfer: Transfer, *, message_id: str, now: datetime) -> Step[Transfer]:
    """The transfer with its request in flight."""
    out = _request(transfer, message_id)
    flight = InFlight(message_id=message_id, event=Event.REQUEST, to=State.REQUESTED)
    return Step(
        process=replace(transfer, in_flight=flight, updated_at=now),
        outgoing=(out,),
        records=(Record(at=now, by=By.OPERATOR, event="send request", state=None),),
    )


def asked_again(transfer: Transfer, message_id: str) -> Outgoing:
    """The request of a transfer that the provider has begun already; a refusal of it changes nothing.

    Source: Dataspace Protocol 2025-1, "Transfer Request Message": the provider "should respond with an appropriate Transfer Start
    Message".
    """
    return replace(_request(transfer, message_id), is_harmless=True)


def _request(transfer: Transfer, message_id: str) -> Outgoing:
    message = m.TransferRequestMessage(
        id=message_id,
        consumer_pid=transfer.pid,
        agreement_id=transfer.agreement_id,
        format=transfer.format,
        callback_address=transfer.callback,
        data_address=transfer.destination,
        purpose=transfer.purpose,
    )
    url = below(transfer.peer_address, "transfers", "request")
    return Outgoing(message_id=message_id, event=Event.REQUEST, url=url, body=wire.encode(message))


def _opened(opening: TransferOpening, now: datetime) -> Transfer:
    return Transfer(
        participant=opening.participant,
        pid=opening.pid,
        role=Role.CONSUMER,
        peer=opening.peer,
        peer_address=opening.peer_address.rstrip("/"),
        agreement_id=opening.agreement_id,
        dataset=opening.dataset,
        format=opening.format,
        destination=opening.destination,
        access=opening.access,
        purpose=opening.purpose,
        callback=opening.callback,
        created_at=now,
        updated_at=now,
    )


def received_first(
    message: m.TransferRequestMessage,
    *,
    participant: str,
    pid: str,
    peer: str,
    dataset: str,
    callback: str,
    now: datetime,
    warnings: tuple[str, ...] = (),
    flow: DataFlow | None = None,
) -> Step[Transfer]:
    """A transfer that a consumer asks of us: REQUESTED. `flow` names the external data plane that will move the data."""
    process = Transfer(
        participant=participant,
        pid=pid,
        role=Role.PROVIDER,
        peer=peer,
        peer_address=message.callback_address.rstrip("/"),
        peer_pid=message.consumer_pid,
        agreement_id=message.agreement_id,
        dataset=dataset,
        format=message.format,
        destination=message.data_address,
        purpose=message.purpose,
        callback=callback,
        warnings=warnings,
        flow=flow,
        created_at=now,
        updated_at=now,
    )
    record = Record(at=now, by=By.PEER, event=Event.REQUEST.value, state=State.REQUESTED)
    return Step(process=enter(process, State.REQUESTED, now), records=(record,), entered=True)
