"""The journal in this process's memory, for the memory store. Calls run on the event loop without waiting, so each is a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from connector.ports.journal import BEGINNING, Chain, Entry, Line, Link, canonical, digest, vetted_stream
from connector.ports.page import Page
from connector.storage import codec


@dataclass(slots=True)
class _Stream:
    before: Link = BEGINNING
    last: Link = BEGINNING
    entries: list[tuple[int, datetime, str, str, bytes]] = field(default_factory=list)


class MemoryJournal:
    """A `Journal` in a dictionary, shared by all nodes of one memory."""

    def __init__(self) -> None:
        self._streams: dict[tuple[str, str], _Stream] = {}

    async def append(self, participant: str, stream: str, lines: Sequence[Line], *, can_wait: bool = False) -> tuple[Link, ...]:
        bodies = [canonical(line.body) for line in lines]
        vetted_stream(stream)
        if not bodies:
            return ()
        kept = self._streams.setdefault((participant, stream), _Stream())
        added = []
        for line, body in zip(lines, bodies, strict=True):
            number, previous = kept.last.number + 1, kept.last.sha256
            sha256 = digest(previous, participant, stream, number, line.at, body)
            kept.last = Link(number=number, sha256=sha256)
            added.append((number, line.at, previous, sha256, body))
        kept.entries += added
        return tuple(Link(number=row[0], sha256=row[3]) for row in added)

    async def page(
        self,
        participant: str,
        stream: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        cursor: str | None = None,
        limit: int = 100,
        is_newest_first: bool = False,
    ) -> Page[Entry]:
        kept = self._streams.get((participant, stream), _Stream())
        fitting = [
            row
            for row in (reversed(kept.entries) if is_newest_first else kept.entries)
            if (since is None or row[1] >= since) and (until is None or row[1] < until)
        ]
        behind = fitting
        if cursor is not None:
            last = codec.number_after(cursor)
            behind = [row for row in fitting if (row[0] < last if is_newest_first else row[0] > last)]
        return Page(
            items=tuple(_entry(participant, stream, row) for row in behind[:limit]),
            total=len(fitting),
            next_cursor=codec.cursor(behind[limit - 1][0]) if len(behind) > limit else None,
        )

    async def chain(self, participant: str, stream: str) -> Chain | None:
        kept = self._streams.get((participant, stream))
        return Chain(before=kept.before, last=kept.last) if kept is not None else None

    async def streams(self, participant: str) -> tuple[str, ...]:
        return tuple(sorted(name for owner, name in self._streams if owner == participant))

    async def trim(self, participant: str, stream: str, before: datetime, *, limit: int = 10_000) -> int:
        kept = self._streams.get((participant, stream), _Stream())
        count = 0
        while count < min(limit, len(kept.entries)) and kept.entries[count][1] < before:
            count += 1
        if count:
            kept.before = Link(number=kept.entries[count - 1][0], sha256=kept.entries[count - 1][3])
            del kept.entries[:count]
        return count


def _entry(participant: str, stream: str, row: tuple[int, datetime, str, str, bytes]) -> Entry:
    number, at, previous, sha256, body = row
    return codec.entry_of(participant, stream, (number, codec.micros(at), previous, sha256, body))
