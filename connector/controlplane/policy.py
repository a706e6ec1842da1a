"""The policy engine put to use: eligibility, the gate of a negotiation, access to offers and data, each with its reasons.

What lives here: the questions the use cases ask, in their words, and the compiled policies they are asked of.
What does not: the engine itself (`connector.odrl`) and which act follows from an answer (`decisions.py`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from connector.controlplane.decisions import Judgement
from connector.controlplane.offerings import Terms
from connector.dsp.negotiation import Agreement, Negotiation, rules_of
from connector.dsp.transfer import Transfer
from connector.errors import PolicyError
from connector.odrl import canonical, explain, jsonld, wire
from connector.odrl.compile import Compiled
from connector.odrl.compile import compile as compile_policy
from connector.odrl.evaluate import decide
from connector.odrl.explain import Disclosure
from connector.odrl.model import Policy, PolicyType
from connector.odrl.truth import Decision, Request, Stage, World
from connector.odrl.vocabulary import Vocabulary

_KEPT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who wants to do what, and what is known of them."""

    party: str
    target: str
    claims: Mapping[str, Any]
    purpose: str | None = None
    action: str = "use"


class Judge:
    """Answers questions about policies; keeps what it has compiled."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._compiled: OrderedDict[str, Compiled] = OrderedDict()

    # --- negotiations

    def request(
        self, process: Negotiation, terms: Terms | None, claims: Mapping[str, Any], now: datetime, told: Disclosure
    ) -> Judgement:
        """What a provider makes of the terms that a consumer asks for; `told` is how much of a refusal a peer learns."""
        if terms is None:
            return Judgement(is_acceptable=False, is_refused=True, reasons=("this dataset is no longer offered",))
        asked = Asked(party=process.peer, target=process.dataset, claims=claims, purpose=process.purpose)
        decision = self.decide(terms.policy_key, terms.policy, asked, Stage.NEGOTIATE, now)
        if not decision.is_permitted:
            return _refused(decision, told)
        if rules_of(process.offer) == rules_of(terms.tree):
            return Judgement(is_acceptable=True)
        try:
            wanted = jsonld.read(process.offer, "offer")
        except PolicyError as fault:
            return Judgement(is_acceptable=False, is_refused=True, reasons=(str(fault),))
        # loaded when terms first differ: a node that never meets other terms starts sooner and smaller without it
        from connector.odrl import compare

        verdict = compare.within(terms.policy, wanted, self.vocabulary)
        match verdict.kind:
            case compare.VerdictKind.WITHIN:
                return Judgement(is_acceptable=True)
            case compare.VerdictKind.NEAR:
                return Judgement(
                    is_acceptable=False, is_near=True, reasons=verdict.reasons, counter=_counter(terms, verdict.counter)
                )
            case compare.VerdictKind.OUTSIDE:
                return Judgement(is_acceptable=False, is_refused=True, reasons=verdict.reasons)
            case _:
                return Judgement(is_acceptable=False, reasons=verdict.reasons)

    def offer(self, process: Negotiation, own_id: str) -> Judgement:
        """What a consumer makes of a provider's offer: does it grant at least what was asked for?"""
        if process.wanted is None:
            return Judgement(is_acceptable=False, reasons=("the provider began this negotiation",))
        try:
            # what we asked for was asked of this peer and for us, whether or not the request said so
            parties = {"assigner": process.peer, "assignee": own_id}
            offered, wanted = jsonld.read(process.offer, "offer"), jsonld.read({**process.wanted, **parties}, "offer")
        except PolicyError as fault:
            return Judgement(is_acceptable=False, reasons=(str(fault),))
        from connector.odrl import compare

        verdict = compare.within(offered, wanted, self.vocabulary)
        if verdict.kind is compare.VerdictKind.WITHIN:
            return Judgement(is_acceptable=True)
        return Judgement(is_acceptable=False, reasons=verdict.reasons or ("the offer is not what was asked for",))

    def agreement(self, process: Negotiation, own_id: str) -> Judgement:
        """What a consumer makes of the agreement: is it the terms on the table, between these parties?"""
        tree = process.agreement or {}
        faults: list[str] = []
        for name, expected in (("target", process.dataset), ("assigner", process.peer), ("assignee", own_id)):
            if tree.get(name) != expected:
                faults.append(f"`{name}` of the agreement is `{tree.get(name)}`, expected `{expected}`")
        try:
            if rules_of(process.offer) != rules_of(tree) and not canonical.same(process.offer, tree):
                faults.append("the rules of the agreement are not those of the offer")
        except PolicyError as fault:
            faults.append(str(fault))
        return Judgement(is_acceptable=not faults, reasons=tuple(faults))

    # --- the catalogue

    def may_see(self, terms: Terms, party: str, claims: Mapping[str, Any], now: datetime) -> bool:
        """True when `party` may see an offer at all; without an access policy every proven caller may."""
        if terms.access is None:
            return True
        asked = Asked(party=party, target=terms.dataset, claims=claims)
        # an access policy is about this very moment: nothing of it is left for a later stage
        return self.decide(terms.access_key, terms.access, asked, Stage.REQUEST, now).is_permitted

    # --- transfers

    def transfer(
        self, process: Transfer, agreement: Agreement, claims: Mapping[str, Any], now: datetime, stage: Stage, told: Disclosure
    ) -> tuple[Judgement, datetime | None]:
        """Whether data may flow under `agreement`, and the first instant at which that can change by the clock alone."""
        if agreement.ended_at is not None:
            why = f"the agreement ended at {agreement.ended_at.isoformat()}" + (
                f": {agreement.end_reason}" if agreement.end_reason else ""
            )
            return Judgement(is_acceptable=False, is_refused=True, reasons=(why,)), None
        asked = Asked(
            party=agreement.consumer,
            target=agreement.dataset,
            claims=claims,
            purpose=process.purpose or agreement.purpose,
        )
        key = f"agreement:{agreement.participant}:{agreement.id}:{agreement.signed_at.isoformat()}"
        try:
            policy = self._compiled[key].policy if key in self._compiled else jsonld.read(agreement.policy, "agreement")
        except PolicyError as fault:
            return Judgement(is_acceptable=False, is_refused=True, reasons=(str(fault),)), None
        decision = self.decide(key, policy, asked, stage, now, agreed_at=agreement.signed_at)
        if decision.is_permitted:
            return Judgement(is_acceptable=True), decision.valid_until
        return _refused(decision, told), decision.valid_until

    # --- the engine

    def decide(
        self, key: str, policy: Policy, asked: Asked, stage: Stage, now: datetime, *, agreed_at: datetime | None = None
    ) -> Decision:
        """The engine's decision on `policy`, compiled once for each `key`."""
        compiled = self._compiled.get(key)
        if compiled is None:
            # an offer grants nothing by itself: the question is what it would grant once agreed
            compiled = compile_policy(replace(policy, type=PolicyType.AGREEMENT), self.vocabulary)
            self._compiled[key] = compiled
            if len(self._compiled) > _KEPT:
                self._compiled.popitem(last=False)
        params = {"purpose": asked.purpose} if asked.purpose is not None else {}
        request = Request(action=asked.action, target=asked.target, party=asked.party, params=params)
        world = World(now=now, claims=asked.claims, agreed_at=agreed_at)
        return decide(compiled, request, world, stage=stage)


def _counter(terms: Terms, meet: Policy | None) -> dict[str, Any]:
    """The offer that both sides can accept; our own terms when the engine found none, or none that can travel."""
    if meet is None or wire.cannot_travel(meet):
        return terms.offer()
    return {**rules_of(jsonld.write(meet)), "@id": f"{terms.offer_id}#counter", "@type": "Offer", "target": terms.dataset}


def _refused(decision: Decision, told: Disclosure) -> Judgement:
    """A refusal, with its reasons for the peer and for our own operator."""
    whole = explain.reasons(decision)
    reasons = whole if told is Disclosure.FULL else explain.reasons(decision, told)
    return Judgement(is_acceptable=False, is_refused=True, reasons=reasons, whole=whole)
