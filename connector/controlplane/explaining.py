"""What the engine says of a process at this moment, for its operator: in one sentence, with every clause and who sees to it."""

from __future__ import annotations

from dataclasses import dataclass

from connector.controlplane.cases import Case
from connector.controlplane.offerings import Offerings
from connector.controlplane.participants import Participants
from connector.controlplane.policy import Judge
from connector.controlplane.publishing import agreed, clauses
from connector.controlplane.usage import Usages
from connector.dsp.negotiation import Negotiation
from connector.dsp.process import Process
from connector.dsp.tables import State
from connector.dsp.transfer import Transfer
from connector.errors import PolicyError
from connector.odrl import explain, jsonld
from connector.odrl.enforce import SUPPLIED, Clause
from connector.odrl.phrases import Language
from connector.odrl.truth import Code, Decision, Stage
from connector.ports.clock import Clock
from connector.ports.identity import TokenSource
from connector.ports.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A decision and its terms, for people."""

    decision: Decision | None
    """None: there is nothing to decide on this side."""
    sentence: str
    clauses: tuple[Clause, ...]

    def named(self, code: Code) -> list[str]:
        """The operands that the decision has put off with `code`."""
        if self.decision is None:
            return []
        return [one.label or one.operand for one in self.decision.deferred if one.code is code]


class Explaining:
    """Explains processes of all contexts."""

    def __init__(
        self,
        store: Store,
        participants: Participants,
        offerings: Offerings,
        judge: Judge,
        usages: Usages,
        tokens: TokenSource,
        clock: Clock,
    ) -> None:
        self._store = store
        self._participants = participants
        self._offerings = offerings
        self._judge = judge
        self._usages = usages
        self._tokens = tokens
        self._clock = clock

    async def process(self, process: Process, language: Language) -> Explained:
        """What the engine says of `process` now. Nothing is decided by it, nor noted."""
        try:
            if isinstance(process, Transfer):
                return await self._transfer(process, language)
            if isinstance(process, Negotiation):
                return await self._negotiation(process, language)
        except PolicyError as fault:
            return Explained(decision=None, sentence=str(fault), clauses=())
        return Explained(decision=None, sentence="", clauses=())

    async def _transfer(self, process: Transfer, language: Language) -> Explained:
        agreement = await self._store.agreement(process.participant, process.agreement_id)
        if agreement is None:
            return Explained(decision=None, sentence="", clauses=())
        context = await self._participants.context(process.participant)
        claims = await self._tokens.claims_of(process.participant, process.peer) if process.is_provider else {}
        case = Case(context=context, agreement=agreement, claims=claims, book=await self._usages.book(agreement))
        known = SUPPLIED if process.is_provider else SUPPLIED.union(context.environment)
        terms = self._judge.terms_of(agreement, known)
        stage = Stage.ONGOING if process.state is State.STARTED else Stage.TRANSFER
        also = 0 if stage is Stage.ONGOING else 1
        decision = self._judge.on_agreement(terms, process, case, self._clock.now(), stage, also=also, is_noted=False)
        found = agreed(terms.policy, self._judge.vocabulary, agreement, known)
        return Explained(decision=decision, sentence=explain.sentence(decision, language=language), clauses=found)

    async def _negotiation(self, process: Negotiation, language: Language) -> Explained:
        context = await self._participants.context(process.participant)
        shelf = await self._offerings.shelf(process.participant)
        terms = shelf.terms_of(process.dataset, process.definition) if process.is_provider else None
        if terms is None:
            policy = jsonld.read(process.agreement or process.offer, "offer")
            return Explained(decision=None, sentence="", clauses=clauses(policy, self._judge.vocabulary, context, ()))
        claims = await self._tokens.claims_of(process.participant, process.peer)
        decision = self._judge.on_offer(terms, process, claims, self._clock.now(), context, is_noted=False)
        found = clauses(terms.policy, self._judge.vocabulary, context, terms.definition.legal_only)
        return Explained(decision=decision, sentence=explain.sentence(decision, language=language), clauses=found)
