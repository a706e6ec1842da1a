"""What the nodes of one memory store share: rows as dictionaries keep them, each as the bytes that a durable store would keep."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from connector.dsp.process import Process
from connector.dsp.tables import Kind, State
from connector.ports.store import Document, Key, Message, Opening, PeerKey
from connector.storage import codec
from connector.storage.jobs import MemoryJobRows
from connector.storage.journal import MemoryJournal
from connector.storage.memory_ledger import Books
from connector.storage.replay import MemoryReplay


@dataclass(slots=True)
class Waiting:
    """A row of the outbox, or a due row: what it says, and who may take it when."""

    row: int
    body: bytes
    not_before: datetime
    free_at: datetime
    node: str | None
    created_at: datetime
    tries: int = 0


@dataclass(slots=True)
class KeptProcess:
    """A process with everything that belongs to it."""

    key: Key
    peer: str
    body: bytes
    state: State | None
    received: dict[str, bytes] = field(default_factory=dict)
    records: list[bytes] = field(default_factory=list)
    attempts: list[bytes] = field(default_factory=list)
    outbox: dict[str, Waiting] = field(default_factory=dict)
    due: dict[int, Waiting] = field(default_factory=dict)

    def load(self) -> Process:
        return codec.decode_process(self.key.kind, self.body)

    def message(self, waiting: Waiting) -> Message:
        return Message(
            key=self.key,
            peer=self.peer,
            outgoing=codec.decode_outgoing(waiting.body),
            tries=waiting.tries,
            created_at=waiting.created_at,
        )


@dataclass(slots=True)
class Memory:
    """What the nodes of one memory store share."""

    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    processes: dict[int, KeptProcess] = field(default_factory=dict)
    pids: dict[tuple[str, str], int] = field(default_factory=dict)
    opened: dict[PeerKey, int] = field(default_factory=dict)
    agreements: dict[tuple[str, str], tuple[int, bytes]] = field(default_factory=dict)
    documents: dict[tuple[str, str], dict[str, tuple[Document, bytes]]] = field(default_factory=dict)
    revisions: dict[str, int] = field(default_factory=dict)
    changed: dict[str, dict[tuple[str, str], int]] = field(default_factory=dict)
    """The revision at which each document of a context was written or deleted, by kind and id; the latest last."""
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    jobs: MemoryJobRows = field(default_factory=MemoryJobRows)
    heeding: dict[str, Callable[[Key], None]] = field(default_factory=dict)
    replay: MemoryReplay = field(default_factory=MemoryReplay)
    books: Books = field(default_factory=dict)
    steps: list[tuple[Key, list[bytes]]] = field(default_factory=list)
    """What each transaction added to a timeline, in order."""
    openings: codec.Openings = field(default_factory=codec.Openings)

    def opening(self, participant: str, pid: str) -> Opening | None:
        """The transfer with its agreement, or None."""
        number = self.pids.get((participant, pid))
        kept = self.processes[number] if number is not None else None
        if kept is None or kept.key.kind is not Kind.TRANSFER:
            return None
        agreed = self.agreements.get((participant, codec.agreement_id(kept.load()) or ""))
        return self.openings.of(participant, pid, kept.body, agreed[1] if agreed is not None else None)

    def changed_since(self, participant: str, revision: int) -> list[tuple[str, str]]:
        """Kinds and ids of the documents that were written or deleted after a revision, the latest first."""
        changed = self.changed.get(participant, {})
        return list(itertools.takewhile(lambda at: changed[at] > revision, reversed(changed)))
