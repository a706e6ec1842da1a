"""The state store: processes, agreements, documents, the outbox and what is due, in one transaction.

The one way to change a process is `advance`: a transaction that reads it, calls a pure function with what it found, and writes
what that function says, all or nothing. Adapters: memory, SQLite, PostgreSQL; `connector.testing.store_contract` is what they must pass.
Every row belongs to a participant context; no call reads or writes across contexts unless it says so (the workers' calls).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from connector.dsp.negotiation import Agreement, Negotiation
from connector.dsp.process import Due, Outgoing, Process, Record
from connector.dsp.tables import Kind, Role, State
from connector.dsp.transfer import Transfer
from connector.dsp.values import Value
from connector.ports.documents import Document as Document
from connector.ports.documents import Documents
from connector.ports.feed import Feed
from connector.ports.jobs import Jobs, NewJob
from connector.ports.journal import Journal
from connector.ports.keys import Key as Key
from connector.ports.keys import Opening as Opening
from connector.ports.keys import PeerKey as PeerKey
from connector.ports.ledger import UsageLedger
from connector.ports.page import Page as Page
from connector.ports.replay import ReplayStore

P = TypeVar("P", bound=Process)
PROCESS_TYPES: Mapping[Kind, type[Process]] = {Kind.NEGOTIATION: Negotiation, Kind.TRANSFER: Transfer}


class Snapshot(Value, Generic[P], frozen=True, kw_only=True):
    """What a transaction found."""

    process: P | None
    """None: there is no such process in this context."""
    answer: bytes | None = None
    """The answer that the received message got the first time; None when it is new."""


class Attempt(Value, frozen=True, kw_only=True):
    """One attempt to deliver a message."""

    at: datetime
    message_id: str
    event: str
    url: str
    status: int | None
    """The peer's HTTP status; None when there was no answer."""
    cause: str
    """In words; empty when it was delivered."""
    is_final: bool = True
    """False when it will be tried again."""


class Retry(Value, frozen=True, kw_only=True):
    """A message of the outbox that is to be tried again."""

    message_id: str
    not_before: datetime


class Change(Value, Generic[P], frozen=True, kw_only=True):
    """What a transaction writes."""

    process: P | None = None
    """The process after it; None leaves it untouched."""
    answer: bytes = b""
    """The body of our answer to the received message: kept with its id, and given again when it is repeated."""
    outgoing: tuple[Outgoing, ...] = ()
    """Put into the outbox, leased to the node that writes them; an id stands there once for each process.

    They are created, and their lease begins, at the latest moment that the change names: of its records, its attempts and
    the process's `updated_at`.
    """
    removed: tuple[str, ...] = ()
    """Ids of messages to take out of the outbox: delivered, given up, or without sense."""
    retries: tuple[Retry, ...] = ()
    """Leases given up, to try again later; those no longer in the outbox are passed over."""
    attempts: tuple[Attempt, ...] = ()
    records: tuple[Record, ...] = ()
    due: tuple[Due, ...] = ()
    """Acts that wait; those of an earlier state are dropped by whoever takes them.

    A process that ends has none any more: the change that ends it drops them all, and later ones are not kept.
    """
    agreement: Agreement | None = None
    """An agreement to keep, or the new version of one."""
    jobs: tuple[NewJob, ...] = ()
    """Background work of the process's context, put together with the rest as `Jobs.put` does."""
    repeated: bytes | None = None
    """The answer to give when the message was one already answered; not written."""

    @property
    def body(self) -> bytes:
        """What the sender of the received message gets."""
        return self.answer if self.repeated is None else self.repeated


Decide = Callable[[Snapshot[P]], Change[P]]


class Message(Value, frozen=True, kw_only=True):
    """A message of the outbox, ready to be posted."""

    key: Key
    peer: str
    outgoing: Outgoing
    tries: int
    """How often it was tried before."""
    created_at: datetime


class DueRow(Value, frozen=True, kw_only=True):
    """An act whose time has come."""

    id: int
    key: Key
    due: Due


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Everything kept about one process beside its state."""

    records: tuple[Record, ...]
    attempts: tuple[Attempt, ...]
    pending: tuple[Message, ...]
    """What stands in the outbox for it."""
    due: tuple[Due, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which processes or agreements to list; None does not narrow. Agreements have no state and are never held."""

    state: State | None = None
    role: Role | None = None
    peer: str | None = None
    dataset: str | None = None
    agreement_id: str | None = None
    is_held: bool | None = None


class Store(Documents, Protocol):
    """The durable memory of a node.

    Every call may raise StoreUnavailable (disk full, connection lost): nothing was written then, or, when the connection to a
    server broke before its answer came, all of it.
    `node` is the id of the running node; what it has leased and not finished is free for others when the lease ends, and for
    itself when it starts anew.
    """

    @property
    def journal(self) -> Journal:
        """The streams that are only appended to."""
        ...

    @property
    def jobs(self) -> Jobs:
        """The background work."""
        ...

    @property
    def replay(self) -> ReplayStore:
        """The tokens that were used."""
        ...

    @property
    def ledger(self) -> UsageLedger:
        """The books of use."""
        ...

    @property
    def feed(self) -> Feed:
        """What has happened to processes, in one order."""
        ...

    async def open(self) -> None:
        """Ready the store: files, connections, schema check.

        Raises: SchemaTooNew, ConfigurationError.
        """
        ...

    async def close(self) -> None:
        """Finish what was begun and let go of files and connections; closing twice is harmless."""
        ...

    async def migrate(self) -> tuple[int, int]:
        """Bring the schema up to this release; the versions before and after."""
        ...

    async def pulse(self, now: datetime) -> timedelta:
        """Write something without meaning, durably; more of it after a write was refused, so that success says there is room.

        Gives back how far `now` is ahead of the clock of the server that nodes share, zero without one: leases go by the clocks of
        the nodes, and one that is ahead takes what others are still at.

        Raises: StoreUnavailable when writes are refused.
        """
        ...

    # --- processes

    async def advance(
        self, key: Key | PeerKey, decide: Decide[Any], *, received: str | None = None, can_wait: bool = False
    ) -> Change[Any]:
        """Read a process, call `decide`, write what it says: one transaction.

        `received` is the id of the peer's message that sets it off; its first answer comes in the snapshot, and the change's
        `answer` is kept under it. `decide` is pure and may be called more than once. Whatever it raises goes to the caller
        and nothing is written. With a PeerKey, two concurrent first messages give one process: the loser decides again, on
        what the winner has written. Message ids belong to their process; a message that was refused is not remembered.

        `can_wait` says that nobody waits for this one: it may be kept back for some milliseconds, to go to the disk together
        with what comes meanwhile.

        Raises: Conflict when the pid of a new process is taken in this context, or the agreement's id belongs to one with
        another peer, role or negotiation; InternalError for a change that is none of the process it decides on (another pid,
        peer, role, dataset or context; a message id twice). Nothing is written then.
        """
        ...

    async def process(self, key: Key) -> Process | None:
        """The process, or None."""
        ...

    async def opening(self, participant: str, pid: str) -> Opening | None:
        """A transfer with its agreement, both as they are committed at this moment, by whichever node; or None.

        As long as neither has changed the same object may be given again: what was worked out about it still holds then.
        """
        ...

    async def processes(
        self, kind: Kind, participant: str, filter_: Filter, *, cursor: str | None = None, limit: int = 100
    ) -> Page[Process]:
        """The processes of one context that fit, newest first.

        Raises: BadMessage for a cursor that is none of this list; so do the other lists.
        """
        ...

    async def find(self, participant: str, pid: str) -> Key | None:
        """The key of the process with our pid `pid`, whichever kind it is."""
        ...

    async def timeline(self, key: Key) -> Timeline:
        """All records and attempts of a process, oldest first."""
        ...

    # --- the workers' calls: across contexts

    async def claim(self, now: datetime, *, limit: int = 100) -> tuple[Message, ...]:
        """Messages whose time has come and that no living node has: leased to this node from now on."""
        ...

    async def release(self) -> None:
        """Free what an earlier run of this node had leased: called once at its start."""
        ...

    async def claim_due(self, now: datetime, *, limit: int = 100) -> tuple[DueRow, ...]:
        """Acts whose time has come, leased to this node until `drop_due`."""
        ...

    async def drop_due(self, ids: tuple[int, ...]) -> None:
        """Forget acts that were carried out or have lost their sense."""
        ...

    async def next_moment(self) -> datetime | None:
        """When `claim` or `claim_due` has something next, which may be past; None when nothing waits.

        Ends of leases count, of this node's too. What another node writes later is not foreseen: `listen` tells of it.
        """
        ...

    def listen(self, wake: Callable[[], None]) -> None:
        """Have `wake` called, on the event loop, when another node may have left something to claim; one listener at a time.

        It may be called without need, and is not called by a store that nodes do not share.
        """
        ...

    def notice(self, key: Key) -> None:
        """Let the other nodes know, soon, that a process was stopped. It may be lost: they must look from time to time."""
        ...

    def heed(self, noticed: Callable[[Key], None]) -> None:
        """Have `noticed` called, on the event loop, with what other nodes notice; one listener at a time."""
        ...

    async def held(self, kind: Kind, participant: str, peer: str) -> int:
        """How many processes with a peer are held."""
        ...

    async def several(self, kind: Kind, places: Sequence[tuple[str, str]]) -> tuple[Process, ...]:
        """Those of the processes with these participants and pids that exist, in no order."""
        ...

    async def running(self, kind: Kind, states: tuple[State | None, ...]) -> tuple[Key, ...]:
        """Keys of the processes of all contexts in one of `states`: what a start takes up again; None is the state before the first."""
        ...

    # --- what is over: across contexts

    async def ended(
        self, kind: Kind, states: tuple[State, ...], before: datetime, *, after: int = 0, limit: int = 200
    ) -> tuple[tuple[Process, ...], int]:
        """Processes in one of the final `states`, created before `before`, oldest first; and `after` for the next, 0 at the end."""
        ...

    async def forget(self, kind: Kind, places: Sequence[tuple[str, str]]) -> int:
        """Remove ended processes with these participants and pids, and all that belongs to them; how many there were.

        One that has not ended, or in whose outbox something stands, is passed over.
        """
        ...

    async def compact(self, kind: Kind, places: Sequence[tuple[str, str]]) -> int:
        """Remove answers for repetitions and attempts of ended processes; how many had any. Their records stay."""
        ...

    async def give_back(self) -> int:
        """How many bytes of what is free were given back to the disk: in small steps, while others go on, and only where it is much.

        A store whose server does that by itself, and one that cannot, give back nothing. Raises: StoreUnavailable; what was given back
        until then is.
        """
        ...

    # --- agreements

    async def agreement(self, participant: str, id_: str) -> Agreement | None:
        """The agreement, or None."""
        ...

    async def agreements(
        self, participant: str, filter_: Filter, *, cursor: str | None = None, limit: int = 100
    ) -> Page[Agreement]:
        """The agreements of one context that fit, newest first."""
        ...

    async def put_agreement(self, agreement: Agreement, *, is_new: bool) -> None:
        """Keep an imported agreement, or a new version of one.

        Raises: Conflict when `is_new` and the context has one with that id, or it is one with another peer, role or negotiation.
        """
        ...
