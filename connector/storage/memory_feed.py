"""The feed of the memory store: the steps of all transactions, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from connector.dsp.process import Process
from connector.ports.feed import Happening, Stretch
from connector.ports.store import Key
from connector.storage import codec
from connector.storage.positions import happenings, numbers


class MemoryFeed:
    """`Feed`, over the records that each transaction added to a process; `process_of` finds the process."""

    def __init__(self, steps: Sequence[tuple[Key, list[bytes]]], process_of: Callable[[Key], Process]) -> None:
        self._steps = steps
        self._process_of = process_of

    async def after(self, participant: str, position: str | None, *, limit: int = 100) -> Stretch:
        found: list[Happening] = []
        (at,) = numbers(position, 1)
        at = min(at, len(self._steps))
        while at < len(self._steps) and limit:
            key, records = self._steps[at]
            at += 1
            if key.participant == participant:
                process = self._process_of(key)
                row = (process.role, process.peer, codec.dataset(process), codec.agreement_id(process))
                body = b"[" + b",".join(records) + b"]"
                found += happenings(str(at), (key.kind, key.participant, key.pid, *row, body))
                limit -= 1
        return Stretch(happenings=tuple(found), position=str(at))

    async def end(self) -> str:
        return str(len(self._steps))
