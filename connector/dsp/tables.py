"""The two state machines of the protocol, as literal tables, and one pure function that follows them.

What lives here: roles, states, events, the tables, `follow`, and the diagram printed from a table.
What does not: messages (`messages.py`) and what a process remembers (`negotiation.py`, `transfer.py`).
Source: Dataspace Protocol 2025-1, Contract Negotiation Protocol and Transfer Process Protocol, "State Machine".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from connector.errors import IllegalTransition

DELIVERY_FAILED: Final = "delivery-failed"
"""The code with which a process is ended whose message could not be delivered."""


class Kind(StrEnum):
    """The two kinds of process that the protocol knows."""

    NEGOTIATION = "negotiation"
    TRANSFER = "transfer"


class Role(StrEnum):
    """Who a participant is within one process."""

    CONSUMER = "consumer"
    PROVIDER = "provider"

    @property
    def other(self) -> Role:
        return Role.PROVIDER if self is Role.CONSUMER else Role.CONSUMER


class State(StrEnum):
    """Every state of both machines; which belongs to which is the table's matter."""

    REQUESTED = "REQUESTED"
    OFFERED = "OFFERED"
    ACCEPTED = "ACCEPTED"
    AGREED = "AGREED"
    VERIFIED = "VERIFIED"
    FINALIZED = "FINALIZED"
    STARTED = "STARTED"
    SUSPENDED = "SUSPENDED"
    COMPLETED = "COMPLETED"
    TERMINATED = "TERMINATED"

    @property
    def is_terminal(self) -> bool:
        return self in _TERMINAL


_TERMINAL = frozenset({State.FINALIZED, State.COMPLETED, State.TERMINATED})


class Event(StrEnum):
    """What a message makes happen, in the words of the acts of an operator."""

    REQUEST = "request"
    OFFER = "offer"
    ACCEPT = "accept"
    AGREE = "agree"
    VERIFY = "verify"
    FINALIZE = "finalize"
    START = "start"
    SUSPEND = "suspend"
    COMPLETE = "complete"
    TERMINATE = "terminate"


@dataclass(frozen=True, slots=True)
class Move:
    """One lawful step out of a state."""

    sender: Role
    event: Event
    to: State
    only_accepted: bool = False
    """The prose allows it and the diagram does not: understood from a peer, never sent by us."""


Table = Mapping[State | None, tuple[Move, ...]]
"""State before (None: no message yet) to the lawful moves. Total: each state has a row, terminal ones an empty row."""

_C, _P, _S, _E = Role.CONSUMER, Role.PROVIDER, State, Event

NEGOTIATION: Table = MappingProxyType(
    {
        None: (
            Move(_C, _E.REQUEST, _S.REQUESTED),
            Move(_P, _E.OFFER, _S.OFFERED),
        ),
        _S.REQUESTED: (
            Move(_P, _E.OFFER, _S.OFFERED),
            Move(_P, _E.AGREE, _S.AGREED),
            Move(_P, _E.TERMINATE, _S.TERMINATED),
            Move(_C, _E.TERMINATE, _S.TERMINATED),
        ),
        _S.OFFERED: (
            Move(_C, _E.REQUEST, _S.REQUESTED),
            Move(_C, _E.ACCEPT, _S.ACCEPTED),
            Move(_C, _E.TERMINATE, _S.TERMINATED),
            Move(_P, _E.TERMINATE, _S.TERMINATED),
        ),
        # "may be terminated by either party at any state" (text), though the diagram draws one side only in these three
        _S.ACCEPTED: (
            Move(_P, _E.AGREE, _S.AGREED),
            Move(_P, _E.TERMINATE, _S.TERMINATED),
            Move(_C, _E.TERMINATE, _S.TERMINATED, only_accepted=True),
        ),
        _S.AGREED: (
            Move(_C, _E.VERIFY, _S.VERIFIED),
            Move(_C, _E.TERMINATE, _S.TERMINATED),
            Move(_P, _E.TERMINATE, _S.TERMINATED, only_accepted=True),
        ),
        _S.VERIFIED: (
            Move(_P, _E.FINALIZE, _S.FINALIZED),
            Move(_P, _E.TERMINATE, _S.TERMINATED),
            Move(_C, _E.TERMINATE, _S.TERMINATED, only_accepted=True),
        ),
        _S.FINALIZED: (),
        _S.TERMINATED: (),
    }
)

TRANSFER: Table = MappingProxyType(
    {
        None: (Move(_C, _E.REQUEST, _S.REQUESTED),),
        _S.REQUESTED: (
            Move(_P, _E.START, _S.STARTED),
            Move(_P, _E.TERMINATE, _S.TERMINATED),
            Move(_C, _E.TERMINATE, _S.TERMINATED),
        ),
        _S.STARTED: (
            Move(_P, _E.SUSPEND, _S.SUSPENDED),
            Move(_C, _E.SUSPEND, _S.SUSPENDED),
            Move(_P, _E.COMPLETE, _S.COMPLETED),
            Move(_C, _E.COMPLETE, _S.COMPLETED),
            Move(_P, _E.TERMINATE, _S.TERMINATED),
            Move(_C, _E.TERMINATE, _S.TERMINATED),
        ),
        _S.SUSPENDED: (
            Move(_P, _E.START, _S.STARTED),
            Move(_C, _E.START, _S.STARTED),
            Move(_P, _E.TERMINATE, _S.TERMINATED),
            Move(_C, _E.TERMINATE, _S.TERMINATED),
        ),
        _S.COMPLETED: (),
        _S.TERMINATED: (),
    }
)

TABLES: Mapping[Kind, Table] = MappingProxyType({Kind.NEGOTIATION: NEGOTIATION, Kind.TRANSFER: TRANSFER})


def lawful(table: Table, state: State | None, sender: Role, *, sending: bool = False) -> tuple[Move, ...]:
    """The moves that `sender` may make out of `state`; with `sending` only those that we send ourselves."""
    return tuple(m for m in table[state] if m.sender is sender and not (sending and m.only_accepted))


def follow(table: Table, state: State | None, sender: Role, event: Event, *, sending: bool = False) -> State:
    """The state that `event`, sent by `sender`, leads to.

    `state` is None before the first message. `sending` narrows the table to what the diagram draws.

    Raises: IllegalTransition, listing what would have been legal. The state is unchanged; answer 400 and carry on.
    Source: Dataspace Protocol 2025-1, "State Machine" of both protocols.
    """
    for move in table[state]:
        if move.sender is sender and move.event is event and not (sending and move.only_accepted):
            return move.to
    options = sorted({m.event.value for m in lawful(table, state, sender, sending=sending)})
    here = state.value if state else "no state yet"
    raise IllegalTransition(
        f"a {sender} may not `{event.value}` in {here}",
        mend=f"lawful now for the {sender}: {', '.join(options)}" if options else f"nothing is lawful for the {sender} here",
    )


def diagram(kind: Kind) -> str:
    """The table of `kind` as a Mermaid state diagram, the same text every time."""
    lines = ["stateDiagram-v2"]
    for state, moves in TABLES[kind].items():
        here = state.value if state else "[*]"
        merged: dict[tuple[State, Event], list[Move]] = {}
        for move in moves:
            merged.setdefault((move.to, move.event), []).append(move)
        for (to, event), group in merged.items():
            senders = " or ".join(f"{m.sender}{' (accepted, never sent)' if m.only_accepted else ''}" for m in group)
            lines.append(f"    {here} --> {to.value}: {event.value} by {senders}")
        if not moves:
            lines.append(f"    {here} --> [*]")
    return "\n".join(lines)
