"""What the use cases about processes share: new ids, fingerprints of messages, holding, putting acts off, telling what happened."""

from __future__ import annotations

import hashlib
import time
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from connector import measures, observe
from connector.controlplane.decisions import Choice
from connector.dsp.process import By, Cause, Due, Process, Record, Step, entry
from connector.dsp.tables import Event
from connector.dsp.transfer import Transfer
from connector.dsp.values import replace
from connector.errors import IllegalTransition
from connector.observe import new_id
from connector.ports.store import Change

P = TypeVar("P", bound=Process)
_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))

_LOOK_AGAIN = timedelta(seconds=10)
_ENDS: Final = frozenset({Event.FINALIZE, Event.COMPLETE, Event.TERMINATE})
DEADLINE = "deadline"
"""The one due row that a process has from its beginning: when it has stood still for too long."""


def new_urn() -> str:
    """A new id that nobody else has, for processes, messages and agreements.

    It begins with the time, so that rows which are written together lie together in the store's indexes.
    Source: RFC 9562, 5.7 (version 7).
    """
    digits = f"{time.time_ns() // 1_000_000:012x}{new_id()[:20]}"
    return f"urn:uuid:{digits[:8]}-{digits[8:12]}-7{digits[13:16]}-{_VARIANTS[digits[16]]}{digits[17:20]}-{digits[20:]}"


def digest_of(raw: bytes) -> str:
    """What tells a message without `@id` from the next one: SHA-256 of its bytes, hexadecimal."""
    return hashlib.sha256(raw).hexdigest()


def tell(event: str, process: Process, records: tuple[Record, ...]) -> None:
    """Write a line about each of `records` that is worth one, and measure how long `process` took when one of them is its end.

    What was only put on its way is told when it has arrived, or was put off.
    """
    for record in records:
        if record.event.startswith("send "):
            continue
        observe.info(event, pid=process.pid, peer=process.peer, act=record.event, state=record.state)
        if record.state is None or not record.state.is_terminal or record.event not in _ENDS:
            continue
        # clocks may have been set meanwhile
        took_s = max(0.0, (record.at - process.created_at).total_seconds())
        if not isinstance(process, Transfer):
            measures.NEGOTIATIONS.add(took_s, process.role, record.state)
            continue
        measures.TRANSFERS.add(took_s, process.role, process.format, record.state)
        if process.moved_bytes:
            measures.TRANSFER_BYTES.add(process.moved_bytes, process.role, process.format)


def due_of(process: Process, choice: Choice, now: datetime) -> Due:
    """The row for an act that waits for `choice.delay_s` seconds."""
    assert choice.act is not None
    at = now + timedelta(seconds=choice.delay_s)
    return Due(at=at, act=choice.act.value, state=process.state, entry=entry(process), reason="; ".join(choice.cause.reasons))


def in_doubt(row: Due, now: datetime) -> Change[Any]:
    """The change of a delayed act of a process that is not known to stand where its peer holds it: the act waits a little longer."""
    return Change(due=(replace(row, at=now + _LOOK_AGAIN),))


def deadline_of(process: Process, longest_wait: timedelta) -> Due:
    """The row for the moment at which `process` has stood still for `longest_wait`, unless something moves it before."""
    return Due(at=process.updated_at + longest_wait, act=DEADLINE, state=None, entry=0)


def waited_too_long(process: Process, longest_wait: timedelta) -> Cause:
    """Why a process ends at its deadline."""
    whom = "us" if process.hold is not None else "the other side"
    told = f"nothing has happened since {process.updated_at.isoformat(timespec='seconds')}: {longest_wait} is too long"
    return Cause(
        by=By.RULE, code="waited-too-long", reasons=(told,), whole=(f"{told}; `longest_wait_s`; it waited for {whom}",)
    )


def waiting(step: Step[P], reason: str, by: By, now: datetime) -> Step[P]:
    """`step`, after which the process waits for a person; its timeline says so."""
    process = replace(step.process, hold=reason)
    return replace(
        step, process=process, records=(*step.records, Record(at=now, by=by, event="hold", state=process.state, note=reason))
    )


def held(process: P, reason: str, now: datetime) -> Change[P]:
    """The change that keeps `process` from going on by itself.

    Raises: IllegalTransition when it has ended: nothing would go on.
    """
    if process.is_ended:
        raise IllegalTransition(f"a process in {process.state} has ended", mend="nothing is lawful here")
    record = Record(at=now, by=By.OPERATOR, event="hold", state=process.state, note=reason)
    return Change(process=replace(process, hold=reason, updated_at=now), records=(record,))
