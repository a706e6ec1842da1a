"""What a negotiation and a transfer have in common: who, where, which state, what is in flight, and how a step changes it.

What lives here: the values `Process`, `InFlight`, `Outgoing`, `Record`, `Due`, `Step`, and the rules of both machines: a state
is reached when the message is acknowledged, and a message that is legal only after ours proves that ours arrived.
What does not: the contents of offers and addresses (`negotiation.py`, `transfer.py`) and delivery (`controlplane/delivery.py`).
Source: Dataspace Protocol 2025-1, "State Machine" of both protocols, and its HTTPS bindings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

import msgspec

from connector.dsp.tables import DELIVERY_FAILED, TABLES, Event, Kind, Role, State, follow
from connector.dsp.values import Value, replace
from connector.errors import BadMessage, Conflict, IllegalTransition


class By(StrEnum):
    """Who caused an entry of the timeline."""

    PEER = "peer"
    OPERATOR = "operator"
    RULE = "rule"
    POLICY = "policy"
    DELIVERY = "delivery"
    DATA_PLANE = "data-plane"


class Cause(Value, frozen=True, kw_only=True):
    """Who acts, and the words that go with the act to the peer and into the timeline."""

    by: By
    code: str | None = None
    reasons: tuple[str, ...] = ()
    """What the peer is told."""
    whole: tuple[str, ...] = ()
    """What our own operator is told, where that is more."""

    @property
    def note(self) -> str:
        return "; ".join(([self.code] if self.code else []) + list(self.whole or self.reasons))


class Words(Value, frozen=True, kw_only=True):
    """Why a process was suspended or terminated, as said to the peer; empty words wipe older ones out."""

    code: str | None = None
    reasons: tuple[str, ...] = ()


class Cargo(Value, frozen=True, kw_only=True):
    """What becomes part of a process when the message that carries it is acknowledged; None leaves as it was."""

    offer: Mapping[str, Any] | None = None
    agreement: Mapping[str, Any] | None = None
    has_resumed: bool | None = None
    words: Words | None = None

    def changes(self) -> dict[str, Any]:
        """The fields of the process to replace."""
        found: dict[str, Any] = {}
        for name in ("offer", "agreement", "has_resumed"):
            value = getattr(self, name)
            if value is not None:
                found[name] = value
        if self.words is not None:
            found |= {"code": self.words.code, "reasons": self.words.reasons}
        return found


class InFlight(Value, frozen=True, kw_only=True):
    """Our message that the peer has not acknowledged yet; at most one a process."""

    message_id: str
    event: Event
    to: State
    cargo: Cargo = Cargo()


class Outgoing(Value, frozen=True, kw_only=True):
    """One message for the outbox."""

    message_id: str
    event: Event
    url: str
    """Absolute address it is posted to."""
    body: bytes
    is_harmless: bool = False
    """True when a refusal changes nothing (the provider's own start after a consumer's resume)."""


class Record(Value, frozen=True, kw_only=True):
    """One line of a process's timeline."""

    at: datetime
    by: By
    event: str
    state: State | None
    """The state after it."""
    note: str = ""


class Process(Value, frozen=True, kw_only=True):
    """What both kinds of process remember."""

    participant: str
    """The context that this process belongs to: the local name, as in our addresses."""
    pid: str
    """Our own process id; the path below our base address."""
    role: Role
    """Our role."""
    peer: str
    """The other participant's authenticated id."""
    peer_address: str
    """Base address below which the peer takes our messages, without a trailing slash."""
    peer_pid: str | None = None
    """The peer's process id; None until it is known."""
    state: State | None = None
    """None until our own first message is acknowledged."""
    entries: Mapping[str, int] = msgspec.field(default_factory=dict)
    """How many times each state was entered."""
    in_flight: InFlight | None = None
    last_received: str | None = None
    """Digest of the last message accepted from the peer that carried no id of its own."""
    hold: str | None = None
    """Why nothing goes on by itself: the reason of the decider that said `hold`."""
    is_doubted: bool = False
    """True since the store was restored, until the peer has said how it stands, or one of us has moved it since."""
    error: str | None = None
    """The last failure, in words; None when the last thing went well."""
    code: str | None = None
    """The code of the termination or suspension, by whoever sent it."""
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    """What the peer did that is lawful to accept and worth a look."""
    purpose: str | None = None
    """What the consumer says it wants the data for."""
    trace: str = ""  # `traceparent` of what caused our latest message: who posts it later, or again, goes on in the same trace
    created_at: datetime
    updated_at: datetime

    @property
    def is_provider(self) -> bool:
        return self.role is Role.PROVIDER

    @property
    def is_ended(self) -> bool:
        return self.state is not None and self.state.is_terminal

    @property
    def provider_pid(self) -> str | None:
        return self.pid if self.is_provider else self.peer_pid

    @property
    def consumer_pid(self) -> str | None:
        return self.peer_pid if self.is_provider else self.pid


P = TypeVar("P", bound=Process)


class Due(Value, frozen=True, kw_only=True):
    """An act that waits: decided again when its time has come, dropped when the process has moved on."""

    at: datetime
    act: str
    state: State | None
    """The state in which it was decided."""
    entry: int
    """The n-th entry into that state in which it was decided."""
    reason: str = ""


class Step(Value, Generic[P], frozen=True, kw_only=True):
    """What one message or act changes: the process after it, what goes out, what is no longer worth sending."""

    process: P
    outgoing: tuple[Outgoing, ...] = ()
    cancelled: tuple[str, ...] = ()
    """Ids of messages in the outbox that lost their sense."""
    records: tuple[Record, ...] = ()
    entered: bool = False
    """True when a state was entered, so that deciders are asked."""

    def then(self, act: Callable[[P], Step[P]]) -> Step[P]:
        """This step and, on its result, the next one, as one."""
        following = act(self.process)
        gone = frozenset(following.cancelled)
        return Step(
            process=following.process,
            outgoing=tuple(o for o in self.outgoing if o.message_id not in gone) + following.outgoing,
            cancelled=self.cancelled + following.cancelled,
            records=self.records + following.records,
            entered=self.entered or following.entered,
        )


def enter(process: P, state: State, now: datetime, **changes: Any) -> P:
    """`process` in `state`, with the entry counted."""
    entries = dict(process.entries)
    entries[state.value] = entries.get(state.value, 0) + 1
    return replace(process, state=state, entries=entries, updated_at=now, hold=None, is_doubted=False, **changes)


def entry(process: Process) -> int:
    """The how-manieth stay in the present state this is; 0 before the first."""
    return process.entries.get(process.state.value, 0) if process.state else 0


def matching_pids(process: Process, *, provider_pid: str | None, consumer_pid: str | None) -> str:
    """The peer's pid, when both pids of a message are those of `process`.

    Raises: BadMessage when one differs: the path was right and the body is somebody else's.
    """
    own, foreign = (provider_pid, consumer_pid) if process.is_provider else (consumer_pid, provider_pid)
    own_name, foreign_name = ("providerPid", "consumerPid") if process.is_provider else ("consumerPid", "providerPid")
    if own != process.pid:
        raise BadMessage(
            f"`{own_name}` is not the process that the path names", where=own_name, mend="send the pid of the path"
        )
    if foreign is None or (process.peer_pid is not None and foreign != process.peer_pid):
        raise BadMessage(
            f"`{foreign_name}` is not the one this process began with", where=foreign_name, mend="send the pids of one process"
        )
    return foreign


def acknowledged(process: P, now: datetime) -> Step[P]:
    """What follows from the peer having our message in flight: the state it leads to, and its cargo.

    A final state stays what it is: of two messages that crossed, the one that ends the process wins.
    """
    flight = process.in_flight
    assert flight is not None
    # the peer answers what it has: a message of its own that looks like its last one is a new one now, unless all is over
    last = process.last_received if process.is_ended or flight.to.is_terminal else None
    landed = replace(process, in_flight=None, error=None, last_received=last, updated_at=now, **flight.cargo.changes())
    if process.is_ended:
        return Step(process=landed)
    # what was sent before a restore is answered as it was then: that says nothing of where the peer is now
    entered = replace(enter(landed, flight.to, now), is_doubted=process.is_doubted and not flight.to.is_terminal)
    record = Record(at=now, by=By.DELIVERY, event=flight.event.value, state=flight.to)
    return Step(process=entered, records=(record,), entered=True)


def arrived(process: P, kind: Kind, event: Event, now: datetime) -> tuple[Step[P], State]:
    """The process ready for a message `event` of the peer, and the state that message leads to.

    A message that is lawful only after our message in flight proves that ours arrived: settle, then follow.

    Where both sides may lead to one state (suspended, started), messages of that kind can cross: until we know what became of
    ours, a message that leads on from there would be ambiguous, and is put off with a conflict that the peer tries again.

    Raises: IllegalTransition, Conflict; nothing has changed.
    """
    table, sender, flight = TABLES[kind], process.role.other, process.in_flight
    if flight is not None and flight.to is process.state and event is not Event.TERMINATE:
        raise Conflict(
            f"our own `{flight.event}` is still on its way to you",
            where=process.pid,
            mend="send this message again in a moment",
        )
    if flight is not None and flight.event is Event.TERMINATE and event in (Event.COMPLETE, Event.FINALIZE):
        # two ends that cross: the termination wins on both sides
        raise IllegalTransition("a termination of ours is on its way to you", where=process.pid, mend="wait for it")
    try:
        if process.state is not None:
            return Step(process=process), follow(table, process.state, sender, event)
        # our own first message is on its way: whoever knows the process has received it
        raise IllegalTransition("the process has not begun")
    except IllegalTransition:
        if flight is None or process.is_ended:
            raise
        settled = acknowledged(process, now)
        to = follow(table, settled.process.state, sender, event)
        proven = replace(settled, cancelled=(flight.message_id,))
        return proven, to


def overtaken(process: P) -> tuple[P, tuple[str, ...]]:
    """`process` without the message in flight, which a message of the peer made senseless."""
    if process.in_flight is None:
        return process, ()
    return replace(process, in_flight=None), (process.in_flight.message_id,)


def has_crossed(process: Process, kind: Kind) -> bool:
    """True when the message in flight could not be sent in the present state: a message of the peer came between.

    A refusal of such a message is no failure: the peer had moved on before it arrived.
    """
    assert process.in_flight is not None
    try:
        follow(TABLES[kind], process.state, process.role, process.in_flight.event, sending=True)
    except IllegalTransition:
        return True
    return False


def may_send(process: Process, kind: Kind, event: Event) -> State:
    """The state that `event`, sent by us now, leads to once it is acknowledged.

    Raises: IllegalTransition when the machine forbids it; Conflict when another message of ours is in flight
    (a termination may overtake it, but for one that ends the process itself: the peer may have taken that already).
    """
    to = follow(TABLES[kind], process.state, process.role, event, sending=True)
    if process.in_flight is not None and (event is not Event.TERMINATE or process.in_flight.to.is_terminal):
        raise Conflict(
            f"`{process.in_flight.event}` of this process is still on its way to the peer",
            where=process.pid,
            mend="wait until the peer has acknowledged it, or terminate",
        )
    return to


def end_here(process: P, now: datetime, cause: Cause) -> Step[P]:
    """Terminated on our side alone; a first message that may have arrived stays in the outbox, and its answer says whom to tell.

    Raises: IllegalTransition when it has ended already.
    """
    if process.is_ended:
        raise IllegalTransition(f"a process in {process.state} has ended", mend="nothing is lawful here")
    ended = enter(process, State.TERMINATED, now, code=cause.code, reasons=cause.reasons, in_flight=None)
    record = Record(at=now, by=cause.by, event=Event.TERMINATE.value, state=State.TERMINATED, note=cause.note)
    return Step(process=ended, records=(record,), entered=True)


def undelivered(
    process: P, kind: Kind, message_id: str, cause: str, *, now: datetime, terminate: Callable[[P, Cause], Step[P]]
) -> Step[P]:
    """The process after `message_id` could not be delivered for good: terminated, by `terminate` if the peer knows us."""
    flight = process.in_flight
    if flight is None or flight.message_id != message_id:
        return Step(process=process)
    failed = replace(process, error=cause, in_flight=None, updated_at=now)
    if has_crossed(process, kind):
        record = Record(at=now, by=By.DELIVERY, event=f"drop {flight.event}", state=process.state, note=cause)
        return Step(process=failed, records=(record,))
    why = f"`{flight.event}` could not be delivered: {cause}"
    if flight.event is Event.TERMINATE:
        # whoever ended it keeps the last word
        words = flight.cargo.words or Words()
        return end_here(failed, now, Cause(by=By.DELIVERY, code=words.code, reasons=words.reasons, whole=(why,)))
    told = Cause(by=By.DELIVERY, code=DELIVERY_FAILED, reasons=(why,))
    return end_here(failed, now, told) if process.peer_pid is None else terminate(failed, told)


_MOST_REASONS, _MOST_OF_A_REASON, _MOST_OF_A_CODE, _MOST_WARNINGS = 20, 2000, 200, 50


def spoken(reason: tuple[Any, ...]) -> tuple[str, ...]:
    """A peer's reasons as texts (the standard leaves open what an item is), neither many nor long: they stay with the process."""
    texts = (item if isinstance(item, str) else msgspec.json.encode(item).decode() for item in reason[:_MOST_REASONS])
    return tuple(cut(text, _MOST_OF_A_REASON) for text in texts)


def spoken_code(code: str | None) -> str | None:
    """A peer's code, as long as a code may be."""
    return cut(code, _MOST_OF_A_CODE) if code is not None else None


def warned(process: Process, warnings: tuple[str, ...]) -> tuple[str, ...]:
    """The warnings of `process` and new ones: each once, and the first ones when there are too many."""
    return tuple(dict.fromkeys(process.warnings + warnings))[:_MOST_WARNINGS]


def cut(text: str, most: int) -> str:
    """`text`, or its beginning."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def dump(process: Process) -> bytes:
    """`process` as JSON, for a store."""
    return msgspec.json.encode(process)


def load(type_: type[P], data: bytes) -> P:
    """The process that `dump` wrote.

    Raises: msgspec.ValidationError when a store's row is not one of ours.
    """
    return msgspec.json.decode(data, type=type_)


_SAFE: Final = ":@!$&'()*+,;=-._~"
_AS_IT_IS: Final = re.compile(r"[A-Za-z0-9:._-]*", re.ASCII)


def below(address: str, *parts: str) -> str:
    """An address below a peer's base; pids are escaped, slashes of either side never double."""
    escaped = [part if _AS_IT_IS.fullmatch(part) else quote(part, safe=_SAFE) for part in parts]
    return "/".join((address.rstrip("/"), *escaped))
