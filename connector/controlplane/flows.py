"""What the external data plane of a transfer has to be told next, and what follows from its answer.

Told by level and not by event: the transfer says where the flow should be, `DataFlow` where the plane was last, and the next call
leads from one to the other. So a call that was lost, overtaken or answered before a crash needs no rule of its own.
Pure. What does not live here: calling (`signals.py`), planes (`signaling/`).
Source: Data Plane Signaling v1.0-RC3, "Interactions"; the order of calls at each event of a transfer.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from connector.dps.flow import Call, FlowState
from connector.dps.messages import Status
from connector.dsp.process import Process
from connector.dsp.tables import Event, Kind, State
from connector.dsp.transfer import DataFlow, Transfer
from connector.dsp.values import replace
from connector.ports.jobs import NewJob
from connector.ports.store import Key

SIGNAL: Final = "signal"
"""The kind of the jobs that tell a data plane something."""
LOOK: Final = "signal-look"
"""The kind of the jobs that ask how a flow stands which is getting there."""
FIRST_LOOK: Final = timedelta(seconds=2)
_ENDS: Final = frozenset({Call.COMPLETED.value, Call.TERMINATE.value})
_RUNNING: Final = frozenset({Call.START.value, Call.STARTED.value, Call.RESUME.value})


def next_call(transfer: Transfer) -> Call | None:
    """The next thing to tell the data plane; None when it knows everything, or is getting there."""
    flow = transfer.flow
    if flow is None or flow.told in _ENDS:
        return None
    if transfer.is_ended:
        if not flow.told and not flow.is_wanted:
            return None
        return Call.COMPLETED if transfer.state is State.COMPLETED and flow.told in _RUNNING else Call.TERMINATE
    if flow.state and FlowState(flow.state).is_underway:
        return None
    if not flow.told:
        if not transfer.is_provider:
            return Call.PREPARE
        return Call.START if flow.is_wanted else None
    if flow.told in _RUNNING:
        return Call.SUSPEND if _pauses(transfer) else None
    if flow.told == Call.PREPARE:
        return Call.STARTED if transfer.is_open else None
    # suspended
    if transfer.is_provider:
        return Call.RESUME if flow.is_wanted or transfer.is_open else None
    is_stale = transfer.has_resumed and not transfer.is_push
    return Call.RESUME if transfer.is_open and not is_stale else None


def _pauses(transfer: Transfer) -> bool:
    """True when data may not flow for the moment, by whoever's word."""
    flight = transfer.in_flight.event if transfer.in_flight is not None else None
    return flight is Event.SUSPEND or (transfer.state is State.SUSPENDED and not transfer.is_open)


def taken(transfer: Transfer, call: Call, status: Status, now: datetime) -> Transfer:
    """The transfer after its data plane has taken `call` and said `status`."""
    flow = transfer.flow
    assert flow is not None
    return replace(
        transfer,
        flow=replace(
            flow,
            told=call.value,
            state=status.state.value,
            calls=flow.calls + 1,
            since=now if status.state.is_underway else None,
        ),
    )


def arrived(transfer: Transfer, state: FlowState) -> Transfer:
    """The transfer after its data plane has said by itself that the flow is in `state`."""
    flow = transfer.flow
    assert flow is not None
    told = Call.COMPLETED.value if state is FlowState.COMPLETED else flow.told
    return replace(transfer, flow=replace(flow, state=state.value, told=told, since=None))


def again(transfer: Transfer) -> Transfer:
    """The transfer before its first call: the older dialect starts anew once it has provisioned."""
    flow = transfer.flow
    assert flow is not None
    return replace(transfer, flow=replace(flow, told="", state="", since=None))


def jobs_of(process: Process | None, now: datetime) -> tuple[NewJob, ...]:
    """The jobs that lead the flow of `process` to where it should be; none for what the built-in data plane moves."""
    if not isinstance(process, Transfer) or process.flow is None:
        return ()
    flow, body = process.flow, {"pid": process.pid}
    found: list[NewJob] = []
    if (call := next_call(process)) is not None:
        name = f"{process.pid}#{flow.calls}#{call}"
        found.append(NewJob(participant=process.participant, kind=SIGNAL, id=name, body=body, order_key=process.pid))
    if flow.since is not None:
        name = f"{process.pid}#{flow.calls}"
        found.append(NewJob(participant=process.participant, kind=LOOK, id=name, body=body, not_before=now + FIRST_LOOK))
    return tuple(found)


def waits(process: Transfer, flow: DataFlow) -> bool:
    """True while the data plane of `process` is at the same as when `flow` was read."""
    return process.flow is not None and process.flow.calls == flow.calls and process.flow.state == flow.state


def key_of(participant: str, pid: str) -> Key:
    """The transfer's key."""
    return Key(kind=Kind.TRANSFER, participant=participant, pid=pid)
