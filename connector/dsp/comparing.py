"""What to make of the state in which a peer says that a process is, when ours may be older than what was said to each other.

A store that was restored has forgotten messages that both sides have acknowledged, and nobody sends those again. So the peer is asked
how each process stands. Its word can do no more than its messages could: what the peer alone could have led to from where we are is
followed, where nothing but the state is needed for it; everything else is said again, asked for again, or ended on both sides.

What lives here: `compared`, which judges, and `concluded`, the step that follows from it. What does not: asking (`controlplane/`).
Source: Dataspace Protocol 2025-1, Contract Negotiation Protocol, "Introduction" ("in case the states differ, the CN is terminated"),
Transfer Process Protocol, "Transfer Request Message" (asked again, a provider answers with a start).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, Final, TypeVar

from connector.dsp import messages as m
from connector.dsp import negotiation as negotiations
from connector.dsp import transfer as transfers
from connector.dsp import transfer_opening as openings
from connector.dsp import wire
from connector.dsp.negotiation import Negotiation
from connector.dsp.process import (
    By,
    Cause,
    Outgoing,
    Process,
    Record,
    Step,
    acknowledged,
    below,
    end_here,
    enter,
    overtaken,
)
from connector.dsp.tables import TABLES, Event, Kind, Role, State, follow
from connector.dsp.transfer import Transfer
from connector.dsp.values import Value, replace

P = TypeVar("P", bound=Process)
DIFFERS: Final = "states-differ"
"""The code with which a process is ended whose sides have come apart."""
UNKNOWN_THERE: Final = "unknown-to-peer"
"""The code with which a process is ended here that the peer does not know."""
ENDED_THERE: Final = "ended-at-peer"
_ASKED: Final = "as the peer says when asked"
_BARE: Final = frozenset({Event.VERIFY, Event.FINALIZE, Event.SUSPEND, Event.COMPLETE, Event.TERMINATE})
"""What carries nothing but itself: the state alone says all of it. (An acceptance is of terms that may have been others.)"""


class Finding(StrEnum):
    """What came of a comparison."""

    SAME = "same"
    UNDERWAY = "underway"
    """A message is on its way, or has just been: looked at again."""
    FOLLOWED = "followed"
    """The peer had gone on by itself; so have we."""
    TOLD = "told again"
    """The peer was behind; our last word was sent again."""
    ASKED = "asked again"
    """The peer is ahead by a message that it can send again, and was asked to."""
    ENDED = "ended"
    """Terminated here, and there, where it was not over."""
    REVOKED = "agreement ended"
    """The peer says that the negotiation came to nothing: its agreement is good for nothing here."""
    OPEN = "open"
    """For a person to decide: nothing was changed."""
    UNTOLD = "not told"
    """The peer does not say."""


class Verdict(Value, frozen=True, kw_only=True):
    """A judgement, and what there is to do."""

    finding: Finding
    words: str = ""
    """For our own people."""
    events: tuple[Event, ...] = ()
    """To follow, in this order; or the one to tell again."""
    is_landed: bool = False
    """True when the peer's state proves that our message in flight has arrived."""
    is_ours_too: bool = False
    """True when our own next act must follow for both sides to be alike: the peer has it already."""
    is_told: bool = True
    """False for an end that the peer need not, or cannot, be told of."""
    code: str = DIFFERS
    needs_person: bool = False


def compared(process: Process, kind: Kind, theirs: State | None, *, is_last: bool = False) -> Verdict:
    """What it means that the peer says `theirs`; None: it says that it does not know the process.

    `theirs` is a state of this kind. With `is_last` nothing is asked or told once more: what still differs is ended.
    """
    if theirs is None:
        return _unknown(process)
    ours, flight = process.state, process.in_flight
    if process.is_ended:
        return Verdict(finding=Finding.SAME) if ours is theirs else _over(process, theirs, is_last)
    if flight is None and ours is theirs:
        return Verdict(finding=Finding.SAME)
    if flight is not None:
        is_ending = flight.to.is_terminal and not theirs.is_terminal
        if ours is theirs or is_ending or (flight.event is Event.TERMINATE and theirs is not State.TERMINATED):
            # what it comes to is seen to by its delivery
            return Verdict(finding=Finding.UNDERWAY, words=f"our `{flight.event}` is on its way")
        landed = _followed(process, kind, flight.to, theirs, is_landed=True)
        if landed is not None:
            return landed
    return _followed(process, kind, ours, theirs) or _apart(process, theirs, is_last)


def _unknown(process: Process) -> Verdict:
    if not process.is_ended:
        words = "the peer does not know it"
        return Verdict(finding=Finding.ENDED, words=words, is_told=False, code=UNKNOWN_THERE)
    if process.state is State.FINALIZED:
        words = "the peer does not know the negotiation that led to this agreement: it may have lost the agreement, too"
        return Verdict(finding=Finding.OPEN, words=words, needs_person=True)
    return Verdict(finding=Finding.SAME, words="it has ended, and the peer has forgotten it")


def _over(process: Process, theirs: State, is_last: bool) -> Verdict:
    """Ours has ended, in another state than theirs."""
    ours = process.state
    if ours is State.FINALIZED and theirs is State.TERMINATED:
        return Verdict(finding=Finding.REVOKED, words="the peer has terminated the negotiation that led to this agreement")
    if theirs is State.FINALIZED:
        words = "it was terminated here; the peer holds an agreement that is good for nothing here"
        return Verdict(finding=Finding.OPEN, words=words, needs_person=True)
    if theirs.is_terminal:
        return Verdict(finding=Finding.SAME, words=f"it is over on both sides, {theirs} at the peer")
    event = Event.TERMINATE
    if ours is State.COMPLETED and theirs is State.STARTED:
        event = Event.COMPLETE
    elif ours is State.FINALIZED:
        event = Event.FINALIZE
    may_tell = event is not Event.FINALIZE or (process.is_provider and theirs is State.VERIFIED)
    if is_last or not may_tell:
        return Verdict(finding=Finding.OPEN, words=f"it is {ours} here, and the peer stays {theirs}", needs_person=True)
    return Verdict(finding=Finding.TOLD, events=(event,), words=f"the peer had not heard of the `{event}`")


def _followed(process: Process, kind: Kind, ours: State | None, theirs: State, *, is_landed: bool = False) -> Verdict | None:
    """How the peer alone came from `ours` to where it is; None when it cannot have, or more than its state is needed to follow.

    INVARIANT: the peer's answer leads nowhere that its own messages, sent now, could not lead to.
    """
    words = "our message had arrived" if is_landed else ""
    events = led(kind, ours, theirs, process.role.other)
    if events is not None and (not events or _says_all(process, events[-1])):
        said = words or f"the peer had gone on to {theirs}"
        return Verdict(finding=Finding.FOLLOWED, events=events, is_landed=is_landed, words=said)
    if theirs is State.FINALIZED and process.is_provider:
        # a verification, and then our own finalisation, of an agreement whose text we hold
        verified = led(kind, ours, State.VERIFIED, Role.CONSUMER)
        if verified is not None and verified[-1:] in ((), (Event.VERIFY,)):
            said = "the consumer had verified the agreement, and has our finalisation"
            return Verdict(
                finding=Finding.FOLLOWED, events=verified, is_landed=is_landed, is_ours_too=True, words=words or said
            )
    return None


def _says_all(process: Process, event: Event) -> bool:
    if event is not Event.START:
        return event in _BARE
    # a provider's start of a push; of a suspension that we remember the peer is told again
    is_ours_to_say = process.state is State.SUSPENDED and not process.is_doubted
    return isinstance(process, Transfer) and process.is_push and not process.is_provider and not is_ours_to_say


def led(kind: Kind, ours: State | None, theirs: State, by: Role) -> tuple[Event, ...] | None:
    """The shortest way from `ours` to `theirs` by messages of `by` alone; None when there is none."""
    ways: dict[State | None, tuple[Event, ...]] = {ours: ()}
    new: list[State | None] = [ours]
    while new and theirs not in ways:
        found: list[State | None] = []
        for state in new:
            for move in TABLES[kind][state]:
                if move.sender is by and move.to not in ways:
                    ways[move.to] = (*ways[state], move.event)
                    found.append(move.to)
        new = found
    return ways.get(theirs)


def _apart(process: Process, theirs: State, is_last: bool) -> Verdict:
    """Neither side can have come from where the other is without something that we do not have."""
    ours = process.state
    if isinstance(process, Transfer) and not is_last:
        is_behind = ours is State.REQUESTED or (ours is State.SUSPENDED and process.is_doubted)
        if theirs is State.STARTED and is_behind and not process.is_provider and not process.is_push:
            return Verdict(finding=Finding.ASKED, words="the provider had started it, with an address that is lost here")
        if theirs is State.STARTED and ours is State.SUSPENDED:
            return Verdict(finding=Finding.TOLD, events=(Event.SUSPEND,), words="the peer did not hold it for suspended")
        if theirs is State.REQUESTED and ours is State.STARTED and process.is_provider:
            return Verdict(finding=Finding.TOLD, events=(Event.START,), words="the consumer had not heard of the start")
    if theirs is State.FINALIZED:
        words = (
            f"the peer says FINALIZED, and how it came there from {ours} is not known here: no agreement was kept; if you stand by"
            " the one that the peer holds, take it in with the API's `POST …/agreements`"
        )
        return Verdict(finding=Finding.ENDED, words=words, is_told=False, needs_person=True)
    words = f"it was {ours} here and {theirs} at the peer, and what lay between is not known here"
    return Verdict(finding=Finding.ENDED, words=words, is_told=not theirs.is_terminal)


def concluded(process: P, verdict: Verdict, *, message_id: str, now: datetime) -> Step[P]:
    """The step that `verdict` asks for; the process is sure of itself again where there is nothing left to wait for.

    Raises: IllegalTransition, Conflict when the process is not what was compared.
    """
    step: Step[P]
    match verdict.finding:
        case Finding.SAME if process.is_doubted:
            step = _sure(process, message_id, now, verdict.words)
        case Finding.FOLLOWED:
            step = _gone_along(process, verdict, now)
        case Finding.TOLD:
            step = _told(process, verdict.events[0], message_id, now, verdict.words)
        case Finding.ASKED if isinstance(process, Transfer):
            step = _sent(process, openings.asked_again(process, message_id), now, "request", verdict.words)
        case Finding.ENDED:
            step = _ended(process, verdict, message_id, now)
        case _:
            step = Step(process=process)
    return step


def _sure(process: P, message_id: str, now: datetime, words: str) -> Step[P]:
    record = Record(at=now, by=By.PEER, event="compare", state=process.state, note=words or _ASKED)
    step = Step(process=replace(process, is_doubted=False, updated_at=now), records=(record,))
    if not isinstance(process, Transfer) or process.state is not State.STARTED or process.flow is not None:
        return step
    if process.is_provider or process.is_push:
        return step
    # what opens the data may have been renewed since: a provider that is asked again says it anew
    return step.then(partial(_readdressed, message_id=message_id, now=now))


def _readdressed(transfer: Any, message_id: str, now: datetime) -> Step[Any]:
    out = openings.asked_again(transfer, message_id)
    return _sent(replace(transfer, has_resumed=True), out, now, "request", "for a fresh data address")


def _gone_along(process: P, verdict: Verdict, now: datetime) -> Step[P]:
    step = Step(process=process)
    if verdict.is_landed and process.in_flight is not None:
        step = replace(acknowledged(process, now), cancelled=(process.in_flight.message_id,))
    kind = Kind.TRANSFER if isinstance(process, Transfer) else Kind.NEGOTIATION
    for event in verdict.events:
        step = step.then(partial(_entered, kind=kind, event=event, now=now))
    return replace(step, process=replace(step.process, is_doubted=False))


def _entered(process: P, kind: Kind, event: Event, now: datetime) -> Step[P]:
    to = follow(TABLES[kind], process.state, process.role.other, event)
    changes: dict[str, Any] = {"code": None, "reasons": (_ASKED,)} if event in (Event.SUSPEND, Event.TERMINATE) else {}
    if to is State.TERMINATED:
        changes["code"] = ENDED_THERE
    cleared, cancelled = overtaken(process)
    if isinstance(cleared, Transfer) and cleared.renewal is not None:
        cancelled = (*cancelled, cleared.renewal)
        cleared = replace(cleared, renewal=None)
    record = Record(at=now, by=By.PEER, event=event.value, state=to, note=_ASKED)
    return Step(process=enter(cleared, to, now, error=None, **changes), cancelled=cancelled, records=(record,), entered=True)


def _told(process: Process, event: Event, message_id: str, now: datetime, words: str) -> Step[Any]:
    """Our last word, said again; a refusal of it changes nothing. (A provider's start is `transfer.renew`: it brings an address.)"""
    cause = Cause(by=By.RULE, code=process.code, reasons=process.reasons)
    if isinstance(process, Transfer):
        return _sent(process, transfers.said_again(process, event, message_id, cause), now, event.value, words)
    assert isinstance(process, Negotiation)
    if event is Event.TERMINATE:
        return negotiations.tell_the_end(process, message_id, now, words)
    message = m.ContractNegotiationEventMessage(
        id=message_id, provider_pid=process.pid, consumer_pid=process.peer_pid or "", event_type="FINALIZED"
    )
    url = below(process.peer_address, "negotiations", process.peer_pid or "", "events")
    out = Outgoing(message_id=message_id, event=event, url=url, body=wire.encode(message), is_harmless=True)
    return _sent(process, out, now, event.value, words)


def _sent(process: P, out: Outgoing, now: datetime, what: str, words: str) -> Step[P]:
    record = Record(at=now, by=By.RULE, event=f"send {what}", state=process.state, note=words)
    return Step(process=process, outgoing=(out,), records=(record,))


def _ended(process: Process, verdict: Verdict, message_id: str, now: datetime) -> Step[Any]:
    cause = Cause(by=By.RULE, code=verdict.code, reasons=(verdict.words,))
    if verdict.is_told and isinstance(process, Negotiation):
        return negotiations.expire(process, message_id=message_id, now=now, cause=cause)
    if verdict.is_told and isinstance(process, Transfer):
        return transfers.act(process, Event.TERMINATE, message_id=message_id, now=now, cause=cause)
    cleared, cancelled = overtaken(process)
    ended = end_here(cleared, now, cause)
    return replace(ended, cancelled=cancelled)
