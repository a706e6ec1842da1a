"""What a consumer makes of a provider's offer: is it good enough, worth a concession, or a matter for a person?

1. An offer that grants at least what we asked for is accepted.
2. So is one that lies within what we asked for, asks nothing new of us (no duty, no obligation, no payment that we did not name
   ourselves) and permits our purpose: less than we wished, and all of it wished for.
3. Where the offer and our wish overlap, what both permit is asked for, a bounded number of times.
4. Everything else waits for a person: who agrees to more than was meant is bound by it.

And of its agreement: whether it is dated when it was made, where its terms count from there.
Pure. What follows from the answer is in `decisions.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from connector.controlplane.agreements import moment
from connector.controlplane.decisions import Judgement
from connector.controlplane.inheriting import NONE, Known, read
from connector.controlplane.kept import kept
from connector.dsp.negotiation import Negotiation, rules_of
from connector.errors import PolicyError
from connector.odrl import enforce, jsonld, wire
from connector.odrl.canonical import rule_text
from connector.odrl.evaluate import decide
from connector.odrl.model import Policy, Prohibition, Severity
from connector.odrl.standing import standing
from connector.odrl.truth import Request, Stage, World
from connector.odrl.vocabulary import SourceKind, Vocabulary

_CLOCKS = timedelta(hours=1)
"""So far apart the clocks of two connectors may be."""
_NO_WISH = Judgement(is_acceptable=False, reasons=("the provider began this negotiation",))


def judged_offer(process: Negotiation, own_id: str, vocabulary: Vocabulary, world: World, known: Known = NONE) -> Judgement:
    """What a consumer makes of the offer on the table; it may inherit from policies that are `known`."""
    if process.wanted is None:
        return _NO_WISH
    try:
        # what we asked for was asked of this peer and for us, whether or not the request said so
        parties = {"assigner": process.peer, "assignee": own_id}
        offered, wanted = read(process.offer, "offer", known), read({**process.wanted, **parties}, "offer", known)
    except PolicyError as fault:
        return Judgement(is_acceptable=False, reasons=(str(fault),))
    # loaded when an offer first comes that was not simply agreed to
    from connector.odrl import compare
    from connector.odrl.analyse.counter import counter_offer

    # 1
    verdict = compare.within(offered, wanted, vocabulary)
    if verdict.kind is compare.VerdictKind.WITHIN:
        return Judgement(is_acceptable=True)
    # 2
    for_us = read({**process.offer, **parties}, "offer", known)
    if compare.within(wanted, for_us, vocabulary).kind is compare.VerdictKind.WITHIN:
        news = tuple(_news(offered, wanted, vocabulary))
        if not news and _serves(process, for_us, own_id, vocabulary, world):
            return Judgement(is_acceptable=True)
        if news:
            return Judgement(is_acceptable=False, reasons=tuple(f"the offer adds {one}" for one in news))
    # 3
    if verdict.kind is compare.VerdictKind.NEAR:
        found = counter_offer(for_us, wanted, vocabulary)
        counter = (
            _sent(found.policy, process) if found.is_common and not tuple(_news(found.policy, wanted, vocabulary)) else None
        )
        if counter is not None and _serves(process, found.policy, own_id, vocabulary, world):
            return Judgement(is_acceptable=False, is_near=True, reasons=verdict.reasons, counter=counter)
    # 4
    return Judgement(is_acceptable=False, reasons=verdict.reasons or ("the offer is not what was asked for",))


def misdated(process: Negotiation, now: datetime, vocabulary: Vocabulary) -> str | None:
    """Why the date of an agreement cannot be the one that its terms count from, such as `contractAgreement+30d`; None when it can, or
    when they count from nothing of the kind. A provider that dates it back takes away what it agreed to."""
    try:
        policy = standing(jsonld.read(process.agreement or {}, "agreement"), vocabulary)
    except PolicyError:
        return None  # whoever compares it says so
    asked = (vocabulary.operand(name) for name in enforce.operands_of(policy))
    if not any(one is not None and (one.is_relative or one.name == "delayPeriod") for one in asked):
        return None
    dated = moment(policy.timestamp)
    if dated is not None and process.created_at - _CLOCKS <= dated <= now + _CLOCKS:
        return None
    return f"the agreement is dated `{policy.timestamp}`, from which its terms count, and it was not made then"


def _news(offered: Policy, wanted: Policy, vocabulary: Vocabulary) -> Iterator[str]:
    """What `offered` asks of us that `wanted` does not."""
    known = set(_demands(wanted))
    for text, words in _demands(offered).items():
        if text not in known:
            yield words
    mine = {_named(name, vocabulary) for name in enforce.operands_of(wanted)}
    for name in sorted(enforce.operands_of(offered)):
        operand = vocabulary.operand(name)
        if _named(name, vocabulary) in mine:
            continue
        if operand is None or operand.is_legal_only:
            yield f"a condition on `{name}`, which nobody here can judge"
        elif operand.sources[0].kind is SourceKind.LEDGER and operand.name == "payAmount":
            yield "a price"


def _demands(policy: Policy) -> dict[str, str]:
    """The duties, obligations and remedies of a policy, by their canonical text."""
    duties = [*policy.obligations, *(duty for rule in policy.permissions for duty in rule.duties)]
    duties += [remedy for rule in policy.prohibitions if isinstance(rule, Prohibition) for remedy in rule.remedies]
    return {rule_text(duty): f"the duty to {' and '.join(action.name for action in duty.actions) or 'act'}" for duty in duties}


def _named(name: str, vocabulary: Vocabulary) -> str:
    operand = vocabulary.operand(name)
    return operand.name if operand is not None else name


def _serves(process: Negotiation, policy: Policy, own_id: str, vocabulary: Vocabulary, world: World) -> bool:
    """Whether `policy` permits what we want the data for, as far as we can judge it ourselves."""
    words = enforce.marked(vocabulary, (), enforce.left_to_others(policy, vocabulary))
    params = {"purpose": process.purpose} if process.purpose is not None else {}
    request = Request(target=process.dataset, party=own_id, params=params)
    return decide(kept(policy, words).compiled, request, world, stage=Stage.NEGOTIATE).is_permitted


def _sent(policy: Policy, process: Negotiation) -> dict[str, Any] | None:
    """`policy` as a request carries it; None when it cannot travel whole."""
    if any(found.severity is Severity.ERROR for found in wire.cannot_travel(policy)):
        return None
    return {**rules_of(jsonld.write(policy)), "@id": process.offer.get("@id"), "@type": "Offer", "target": process.dataset}
