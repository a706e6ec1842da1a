"""The policy engine put to use: eligibility, the gate of a negotiation, access to data, each with its reasons.

What lives here: the questions the use cases ask, in their words, the compiled policies they are asked of, and the note that each
answer leaves in the decision log. What does not: the engine itself (`connector.odrl`), which act follows from an answer
(`decisions.py`), who sees an offer at all (`seeing.py`), and how uses are counted (`usage.py`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from connector import measures, tracing
from connector.controlplane import books, cases
from connector.controlplane.cases import EMPTY, USE, Answer, Asked, Case, question_of
from connector.controlplane.consuming import judged_offer, misdated
from connector.controlplane.decisions import AGREEMENT_ENDED, Judgement
from connector.controlplane.inheriting import NONE, Known, is_same, offered_with, read
from connector.controlplane.kept import Kept, ReadPolicies
from connector.controlplane.noting import Note, Notes
from connector.controlplane.participants import Context
from connector.controlplane.seeing import Seeing
from connector.controlplane.shelf import Terms
from connector.dsp.negotiation import Agreement, Negotiation, rules_of
from connector.dsp.tables import Role
from connector.dsp.transfer import Transfer
from connector.errors import PolicyError
from connector.odrl import enforce, explain, jsonld, wire
from connector.odrl.evaluate import decide
from connector.odrl.explain import Disclosure
from connector.odrl.model import AssetRef, PartyRef, Policy, Severity
from connector.odrl.truth import Decision, DutyMode, Request, Stage, World
from connector.odrl.vocabulary import Vocabulary
from connector.ports.decisions import Made, Question, Subject


class Judge:
    """Answers questions about policies; keeps what it has compiled, and tells `note` each decision."""

    def __init__(self, vocabulary: Vocabulary, note: Note | None = None) -> None:
        self.vocabulary = vocabulary
        self._notes = Notes(note)
        self._kept = ReadPolicies(vocabulary)
        self.seeing = Seeing(self._kept, self._notes)

    # --- negotiations

    def request(
        self,
        process: Negotiation,
        terms: Terms | None,
        claims: Mapping[str, Any],
        now: datetime,
        context: Context,
        known: Known = NONE,
    ) -> Judgement:
        """What a provider makes of the terms that a consumer asks for; they may inherit from policies that are `known`."""
        began = time.perf_counter_ns()
        if terms is None:
            gone = Judgement(is_acceptable=False, is_refused=True, reasons=("this dataset is no longer offered",))
            return self._notes.compared(
                Question.TERMS, process, gone, claims=claims, ours=None, theirs=process.offer, now=now, began=began, code="gone"
            )
        decision = self.on_offer(terms, process, claims, now, context)
        if not decision.is_permitted:
            return _refused(decision, context.disclosure)
        if rules_of(process.offer) == rules_of(terms.tree):
            return Judgement(is_acceptable=True)
        began = time.perf_counter_ns()
        found = self._compared(process, terms, context.disclosure, known)
        return self._notes.compared(
            Question.TERMS, process, found, claims=claims, ours=terms.tree, theirs=process.offer, now=now, began=began
        )

    def _compared(self, process: Negotiation, terms: Terms, told: Disclosure, known: Known) -> Judgement:
        """What a provider makes of terms that are not those it offers."""
        try:
            wanted = read(process.offer, "offer", offered_with(terms.definition.policy, known))
        except PolicyError as fault:
            return _told(told, is_refused=True, reasons=(str(fault),))
        # loaded when terms first differ: a node that never meets other terms starts sooner and smaller without it
        from connector.odrl import compare
        from connector.odrl.burdens import burdens

        # what comes of it is for this dataset and this peer: both name them, for what is narrower says less of prohibitions
        targets, assignees = (AssetRef(uid=terms.dataset),), (PartyRef(uid=process.peer),)
        own = terms.policy
        ours = replace(own, targets=own.targets or targets, assignees=own.assignees or assignees)
        asked = replace(wanted, targets=targets, assignees=assignees)
        bound = tuple(burdens(ours, asked, process.peer))
        if bound:
            # what would bind us is for a person to read, however little it permits
            return _told(told, reasons=bound)
        verdict = compare.within(ours, asked, self.vocabulary)
        match verdict.kind:
            case compare.VerdictKind.WITHIN:
                return Judgement(is_acceptable=True)
            case compare.VerdictKind.NEAR:
                counter = _counter(terms, verdict.counter)
                return _told(told, is_near=True, reasons=verdict.reasons, counter=counter)
            case compare.VerdictKind.OUTSIDE:
                return _told(told, is_refused=True, reasons=verdict.reasons)
            case _:
                return _told(told, reasons=verdict.reasons)

    def offer(
        self, process: Negotiation, own_id: str, claims: Mapping[str, Any], now: datetime, known: Known = NONE
    ) -> Judgement:
        """What a consumer makes of a provider's offer: is it what was asked for, or within it, or worth a concession?"""
        began = time.perf_counter_ns()
        found = judged_offer(process, own_id, self.vocabulary, World(now=now), known)
        return self._notes.compared(
            Question.OFFER, process, found, claims=claims, ours=process.wanted, theirs=process.offer, now=now, began=began
        )

    def agreement(
        self,
        process: Negotiation,
        own_id: str,
        claims: Mapping[str, Any],
        now: datetime,
        known: Known = NONE,
        *,
        is_id_taken: bool = False,
    ) -> Judgement:
        """What a consumer makes of the agreement: is it the terms on the table, between these parties, under an id of its own?"""
        began = time.perf_counter_ns()
        tree = process.agreement or {}
        faults: list[str] = [f"there is another agreement `{tree.get('@id')}`"] if is_id_taken else []
        for name, expected in (("target", process.dataset), ("assigner", process.peer), ("assignee", own_id)):
            if tree.get(name) != expected:
                faults.append(f"`{name}` of the agreement is `{tree.get(name)}`, expected `{expected}`")
        try:
            if not is_same(process.offer, tree, known):
                faults.append("the rules of the agreement are not those of the offer")
            if late := misdated(process, now, self.vocabulary):
                faults.append(late)
        except PolicyError as fault:
            faults.append(str(fault))
        found = Judgement(is_acceptable=not faults, reasons=tuple(faults))
        return self._notes.compared(
            Question.AGREE, process, found, claims=claims, ours=process.offer, theirs=tree, now=now, began=began, code="differs"
        )

    def on_offer(
        self,
        terms: Terms,
        process: Negotiation,
        claims: Mapping[str, Any],
        now: datetime,
        context: Context,
        *,
        is_noted: bool = True,
    ) -> Decision:
        """The engine's decision on an offer for the peer of a negotiation."""
        subject = Subject(
            participant=context.name,
            question=Question.NEGOTIATE,
            role=Role.PROVIDER,
            about=terms.offer_id,
            peer=process.peer,
            dataset=terms.dataset,
            process=process.pid,
            kept=context.kept_inputs,
        )
        params = {"purpose": process.purpose} if process.purpose is not None else {}
        request = Request(action=USE, target=terms.dataset, party=process.peer, params=params)
        law, theirs = terms.definition.legal_only, context.consumer_operands
        key = f"{terms.policy_key}:{','.join(sorted(law))}:{','.join(sorted(theirs))}" if law or theirs else terms.policy_key
        found = self._kept.compiled(key, terms.policy, law, theirs)
        world = World(now=now, claims=claims)
        return self._decide(found, request, world, Stage.NEGOTIATE, subject if is_noted else None, context.duty_mode)

    # --- data

    def terms_of(self, agreement: Agreement, known: frozenset[str] = enforce.SUPPLIED) -> Kept:
        """The agreement's policy, ready to be asked; `known` is what its consumer knows of its own use.

        Raises: PolicyError when it cannot be read.
        """
        key = f"agreement:{agreement.participant}:{agreement.id}:{agreement.signed_at.isoformat()}"
        if agreement.role is Role.CONSUMER:
            # INVARIANT: whoever asks without what is known of the use leaves nothing behind by which that is not judged
            key = f"{key}:{','.join(sorted(known))}"
        found = self._kept.found(key)
        if found is None:
            policy = jsonld.read(agreement.policy, "agreement")
            theirs = (
                enforce.left_to_others(policy, self.vocabulary, known)
                if agreement.role is Role.CONSUMER
                else frozenset(agreement.consumer_operands)
            )
            found = self._kept.compiled(key, policy, agreement.legal_only, theirs)
        return found

    def transfer(self, process: Transfer, case: Case, now: datetime, stage: Stage, *, also: int = 0) -> Answer:
        """Whether data may flow under the agreement; `also` is how many uses are counted in besides those on record."""
        agreement = case.agreement
        # our own people are told everything
        told = case.context.disclosure if agreement.role is Role.PROVIDER else Disclosure.FULL
        question = question_of(agreement, stage)
        if agreement.ended_at is not None:
            why = f"the agreement ended at {agreement.ended_at.isoformat()}" + (
                f": {agreement.end_reason}" if agreement.end_reason else ""
            )
            shown = why if told is Disclosure.FULL else "the agreement has ended"
            ended = Judgement(is_acceptable=False, is_refused=True, code=AGREEMENT_ENDED, reasons=(shown,), whole=(why,))
            noted = self._notes.refused(question, agreement, process, ended, claims=case.claims, now=now, code="ended")
            return Answer(judgement=noted)
        terms, asked = case.recalled.terms, case.recalled.asked
        if terms is None:
            try:
                terms = case.recalled.terms = self.terms_of(agreement, enforce.SUPPLIED.union(case.environment))
            except PolicyError as fault:
                unread = _told(told, is_refused=True, reasons=(str(fault),))
                noted = self._notes.refused(
                    question, agreement, process, unread, claims=case.claims, now=now, code="unreadable"
                )
                return Answer(judgement=noted)
        if asked is None or asked.process is not process or asked.stage is not stage:
            asked = case.recalled.asked = cases.asked(process, case, stage)
        is_plain = not also and case.book is EMPTY
        # INVARIANT: a case holds all that decides beside the clock, and none of it is ever changed in its place
        if is_plain and asked.answer is not None and (again := asked.again(case.claims, now)) is not None:
            self._notes.made(again)
            return asked.answer
        decision, made = self._on_agreement(terms, asked, case, now, also=also, is_noted=True)
        asked.steady = made if is_plain and decision.is_permitted and terms.is_steady else None
        if asked.answer is not None and asked.decision is decision:
            # decisions are values: the same one has the same answer
            return asked.answer
        if decision.is_permitted:
            answer = Answer(
                judgement=Judgement(is_acceptable=True), valid_until=decision.valid_until, used=terms.used(decision, USE)
            )
        else:
            answer = Answer(judgement=_refused(decision, told), valid_until=decision.valid_until)
        asked.decision, asked.answer = decision, answer
        return answer

    def on_agreement(
        self, terms: Kept, process: Transfer, case: Case, now: datetime, stage: Stage, *, also: int, is_noted: bool = True
    ) -> Decision:
        """The engine's decision on the use of an agreement's data."""
        return self._on_agreement(terms, cases.asked(process, case, stage), case, now, also=also, is_noted=is_noted)[0]

    def _on_agreement(
        self, terms: Kept, asked: Asked, case: Case, now: datetime, *, also: int, is_noted: bool
    ) -> tuple[Decision, Made | None]:
        stage = asked.stage
        world = books.world(
            case.book, terms, now, case.agreement.signed_at, case.claims, also=also, is_ongoing=stage is Stage.ONGOING
        )
        return self._decided(terms, asked.request, world, stage, asked.subject if is_noted else None, case.context.duty_mode)

    def would_permit(self, terms: Kept, request: Request, world: World, duty_mode: DutyMode) -> bool:
        """Whether one request would be permitted; nobody has asked, so nothing is noted."""
        return self._decide(terms, request, world, Stage.REQUEST, None, duty_mode).is_permitted

    # --- the engine

    def _decide(
        self, terms: Kept, request: Request, world: World, stage: Stage, subject: Subject | None, duty_mode: DutyMode
    ) -> Decision:
        return self._decided(terms, request, world, stage, subject, duty_mode)[0]

    def _decided(
        self, terms: Kept, request: Request, world: World, stage: Stage, subject: Subject | None, duty_mode: DutyMode
    ) -> tuple[Decision, Made | None]:
        """The engine's decision, and how it was noted; None where it was not."""
        began = time.perf_counter_ns()
        if tracing.are_made():
            with tracing.span("decide", "internal", **{"kontor.stage": stage.value}) as span:
                decision = decide(terms.compiled, request, world, stage=stage, duty_mode=duty_mode)
                span.note(**{"kontor.effect": decision.effect.value})
        else:
            decision = decide(terms.compiled, request, world, stage=stage, duty_mode=duty_mode)
        took_ns = time.perf_counter_ns() - began
        measures.DECISIONS.add(took_ns / 1e9, stage, decision.effect)
        if subject is None or not self._notes.are_kept:
            return decision, None
        made = Made(
            subject=subject,
            policy=terms.digest,
            request=request,
            world=world,
            decision=decision,
            duty_mode=duty_mode,
            micros=took_ns // 1000,
        )
        self._notes.made(made)
        return decision, made


def _counter(terms: Terms, meet: Policy | None) -> dict[str, Any]:
    """The offer that both sides can accept; our own terms when the engine found none, or none that can travel."""
    if meet is None or any(found.severity is Severity.ERROR for found in wire.cannot_travel(meet)):
        return terms.offer()
    return {**rules_of(jsonld.write(meet)), "@id": f"{terms.offer_id}#counter", "@type": "Offer", "target": terms.dataset}


def _refused(decision: Decision, told: Disclosure) -> Judgement:
    """A refusal, with its reasons for the peer and for our own operator."""
    whole = explain.reasons(decision)
    reasons = whole if told is Disclosure.FULL else explain.reasons(decision, told)
    return Judgement(is_acceptable=False, is_refused=True, reasons=reasons, whole=whole)


_SHORT = "the terms do not allow it"


def _told(
    told: Disclosure,
    *,
    reasons: tuple[str, ...],
    is_near: bool = False,
    is_refused: bool = False,
    counter: Mapping[str, Any] | None = None,
) -> Judgement:
    """A judgement whose reasons are whole sentences about policies: a peer that may not learn names gets none of them."""
    shown = reasons if told is Disclosure.FULL else (_SHORT,)
    return Judgement(is_acceptable=False, is_near=is_near, is_refused=is_refused, reasons=shown, whole=reasons, counter=counter)
