"""What the use cases about processes share: new ids, fingerprints of messages without one, holding, and putting acts off."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from connector.controlplane.decisions import Choice
from connector.dsp.process import By, Due, Process, Record, entry
from connector.ports.store import Change

P = TypeVar("P", bound=Process)


def new_urn() -> str:
    """A new id that nobody else has, for processes, messages and agreements."""
    return f"urn:uuid:{uuid.uuid4()}"


def digest_of(raw: bytes) -> str:
    """What tells a message without `@id` from the next one: SHA-256 of its bytes, hexadecimal."""
    return hashlib.sha256(raw).hexdigest()


def due_of(process: Process, choice: Choice, now: datetime) -> Due:
    """The row for an act that waits for `choice.delay_s` seconds."""
    assert choice.act is not None
    at = now + timedelta(seconds=choice.delay_s)
    return Due(at=at, act=choice.act.value, state=process.state, entry=entry(process), reason="; ".join(choice.cause.reasons))


def held(process: P, reason: str, now: datetime) -> Change[P]:
    """The change that keeps `process` from going on by itself."""
    record = Record(at=now, by=By.OPERATOR, event="hold", state=process.state, note=reason)
    return Change(process=replace(process, hold=reason, updated_at=now), records=(record,))
