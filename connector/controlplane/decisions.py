"""Which act follows when a state is entered: rules, approval and the usual course, behind the gate of the policy engine.

Decisions are data. The policy engine is the gate: it says which acts are allowed. Among the allowed acts the first decider with
an opinion wins: the participant's rules, the contract definition's rules, the approval inbox, the usual course.
Everything here is a pure function of values; what is asked of the engine comes in as `Gate`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from connector.dsp.negotiation import Negotiation
from connector.dsp.process import By, Cause, Process, entry
from connector.dsp.tables import TABLES, Event, Kind, Role, State, lawful
from connector.dsp.transfer import Transfer
from connector.dsp.values import Value
from connector.errors import CallerError
from connector.settings import Rule

AGREEMENT_ENDED = "agreement-ended"
"""The code with which a provider ends, or refuses, a transfer under an agreement that has ended: the Dataspace Protocol has no message
for that, and the consumer knows by it that a new one is needed."""
MAX_ROUNDS = 10
"""Requests in one negotiation before a provider that only repeats its terms ends it, and entries into one state before a rule
that leads there again waits for a human."""


MAX_CONCESSIONS = 3
"""Offers of a provider that a consumer answers by itself with what both permit, before a person is asked."""


class Choice(Value, frozen=True, kw_only=True):
    """What to do now: an act, nothing (the peer's turn), or hold for a human."""

    act: Event | None = None
    hold: str | None = None
    """Why a human is waited for; None when it is simply the peer's turn."""
    cause: Cause = Cause(by=By.POLICY)
    delay_s: float = 0
    offer: Mapping[str, Any] | None = None
    """Terms that go with `offer` or `request`; None takes those at hand."""


WAIT = Choice()


class Gate(Value, frozen=True, kw_only=True):
    """What the policy engine allows in the present state, and what it advises."""

    refused: Mapping[Event, tuple[str, ...]] = MappingProxyType({})
    """Acts that are not allowed, each with the reasons; what is not listed is allowed."""
    usual: Choice = WAIT
    """The usual course when nobody else has an opinion."""

    def allows(self, act: Event) -> bool:
        return act not in self.refused


def choose(
    process: Process,
    kind: Kind,
    *,
    participant_rules: tuple[Rule, ...],
    definition_rules: tuple[Rule, ...],
    gate: Gate,
    needs_approval: bool = False,
) -> Choice:
    """The first opinion among the allowed acts of `process` in the state it has entered."""
    rules = participant_rules + (definition_rules if process.is_provider else ())
    possible = frozenset(move.event for move in lawful(TABLES[kind], process.state, process.role, sending=True))
    for rule in rules:
        if not matches(rule, process, kind):
            continue
        if rule.do == "hold":
            return Choice(hold=rule.reason or "a rule says to hold", cause=Cause(by=By.RULE))
        act = act_named(rule.do, process.role)
        if act in _AGAIN_AND_AGAIN and entry(process) > MAX_ROUNDS and rule.nth is None:
            # two sides with such rules would go on without end
            return Choice(hold=f"a rule says `{rule.do}` for the {entry(process)}th time", cause=Cause(by=By.RULE))
        if act in possible and gate.allows(act):
            reasons = (rule.reason,) if rule.reason else ()
            return Choice(act=act, delay_s=rule.delay_s, cause=Cause(by=By.RULE, reasons=reasons))
    if needs_approval and gate.usual.act in _COMMITTING:
        return Choice(hold="waits for approval", cause=Cause(by=By.RULE))
    return gate.usual


_COMMITTING = frozenset({Event.AGREE, Event.ACCEPT, Event.START, Event.OFFER, Event.REQUEST})
_AGAIN_AND_AGAIN = frozenset({Event.OFFER, Event.REQUEST, Event.START, Event.SUSPEND})
"""Acts that lead to states from which one comes back."""


def matches(rule: Rule, process: Process, kind: Kind) -> bool:
    """True when `rule` speaks about `process` in its present state."""
    if rule.kind != kind.value or process.state is None or rule.on != process.state.value:
        return False
    if rule.role is not None and rule.role != process.role.value:
        return False
    if rule.party is not None and rule.party != process.peer:
        return False
    if rule.nth is not None and rule.nth != entry(process):
        return False
    if isinstance(process, Negotiation | Transfer) and rule.dataset is not None and rule.dataset != process.dataset:
        return False
    if isinstance(process, Transfer):
        if rule.agreement is not None and rule.agreement != process.agreement_id:
            return False
        return rule.format is None or rule.format == process.format
    return rule.agreement is None and rule.format is None


def act_named(name: str, role: Role) -> Event:
    """The event of an act's name: `counter` is a request by a consumer and an offer by a provider.

    Raises: CallerError when there is no such act.
    """
    if name == "counter":
        return Event.REQUEST if role is Role.CONSUMER else Event.OFFER
    try:
        return Event(name)
    except ValueError as fault:
        known = ", ".join(sorted({e.value for e in Event if e is not Event.REQUEST} | {"counter", "hold", "approve"}))
        raise CallerError(f"there is no act `{name}`", where="act", mend=f"one of: {known}") from fault


class Judgement(Value, frozen=True, kw_only=True):
    """What the engine says about the terms on the table."""

    is_acceptable: bool
    """Within what we would grant (provider) or what we asked for (consumer)."""
    is_near: bool = False
    """Not acceptable, but our own terms would be: worth a counter-offer."""
    is_refused: bool = False
    """Surely outside, or the party is not eligible: no use going on."""
    reasons: tuple[str, ...] = ()
    """What a peer may be told."""
    whole: tuple[str, ...] = ()
    """What our own operator is told, where that is more."""
    code: str | None = None
    """What the peer's program is told, where that is more than that it is not permitted."""
    counter: Mapping[str, Any] | None = None

    @property
    def for_operator(self) -> tuple[str, ...]:
        return self.whole or self.reasons


_REPEATED = Judgement(is_acceptable=False, reasons=(f"no agreement after {MAX_ROUNDS} requests",))


def negotiation_gate(process: Negotiation, judge: Callable[[Negotiation], Judgement]) -> Gate:
    """The gate of a negotiation in its present state; `judge` is asked only where terms are on the table."""
    match (process.role, process.state):
        case (Role.PROVIDER, State.REQUESTED):
            return _provider_requested(process, judge(process))
        case (Role.PROVIDER, State.ACCEPTED):
            return Gate(usual=Choice(act=Event.AGREE))
        case (Role.PROVIDER, State.VERIFIED):
            return Gate(usual=Choice(act=Event.FINALIZE))
        case (Role.CONSUMER, State.OFFERED):
            judgement = judge(process)
            if judgement.is_acceptable:
                return Gate(usual=Choice(act=Event.ACCEPT))
            refused = {Event.ACCEPT: judgement.reasons}
            if judgement.is_near and judgement.counter is not None and entry(process) <= MAX_CONCESSIONS:
                cause = Cause(by=By.POLICY, reasons=judgement.reasons)
                return Gate(refused=refused, usual=Choice(act=Event.REQUEST, offer=judgement.counter, cause=cause))
            return Gate(refused=refused, usual=_held(judgement))
        case (Role.CONSUMER, State.AGREED):
            judgement = judge(process)
            if judgement.is_acceptable:
                return Gate(usual=Choice(act=Event.VERIFY))
            return Gate(refused={Event.VERIFY: judgement.reasons}, usual=_ended("agreement-differs", judgement))
    return Gate()


def _provider_requested(process: Negotiation, judgement: Judgement) -> Gate:
    if judgement.is_acceptable:
        return Gate(usual=Choice(act=Event.AGREE))
    refused = {Event.AGREE: judgement.for_operator}
    if judgement.is_refused:
        return Gate(refused=refused | {Event.OFFER: judgement.for_operator}, usual=_ended("not-acceptable", judgement))
    if judgement.is_near and judgement.counter is not None:
        if entry(process) > MAX_ROUNDS:
            return Gate(refused=refused, usual=_ended("no-agreement", _REPEATED))
        cause = Cause(by=By.POLICY, reasons=judgement.reasons, whole=judgement.whole)
        return Gate(refused=refused, usual=Choice(act=Event.OFFER, offer=judgement.counter, cause=cause))
    return Gate(refused=refused, usual=_held(judgement))


def transfer_gate(process: Transfer, judge: Callable[[Transfer], Judgement]) -> Gate:
    """The gate of a transfer in its present state; `judge` is asked where data would begin to flow."""
    if process.role is Role.PROVIDER and process.state in (State.REQUESTED, State.SUSPENDED):
        judgement = judge(process)
        if not judgement.is_acceptable:
            refused = {Event.START: judgement.for_operator}
            return Gate(refused=refused, usual=_ended("not-permitted", judgement))
        if process.state is State.REQUESTED:
            return Gate(usual=Choice(act=Event.START))
    return Gate()


def _ended(code: str, judgement: Judgement) -> Choice:
    cause = Cause(by=By.POLICY, code=judgement.code or code, reasons=judgement.reasons, whole=judgement.whole)
    return Choice(act=Event.TERMINATE, cause=cause)


def _held(judgement: Judgement) -> Choice:
    reasons = judgement.for_operator
    return Choice(hold="; ".join(reasons) or "waits for approval", cause=Cause(by=By.POLICY, reasons=reasons))
