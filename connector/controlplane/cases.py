"""What is asked about data: everything a decision looks at, gathered before, and what was worked out about it the last time.

What lives here: `Case` and the question, as values. What does not: deciding (`policy.py`), and where the facts come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from connector.controlplane import books
from connector.controlplane.decisions import Judgement
from connector.controlplane.kept import Kept
from connector.controlplane.participants import Context
from connector.dsp.negotiation import Agreement
from connector.dsp.tables import Role
from connector.dsp.transfer import Transfer
from connector.odrl.truth import Decision, Request, Stage
from connector.ports.decisions import Again, Made, Question, Subject
from connector.ports.ledger import Book

_QUESTIONS: Mapping[Stage, Question] = {
    Stage.TRANSFER: Question.TRANSFER,
    Stage.ONGOING: Question.ONGOING,
    Stage.REQUEST: Question.REQUEST,
}
EMPTY = books.EMPTY
_ELSEWHERE: Mapping[str, str] = MappingProxyType({})
USE = "use"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything that a decision about a transfer looks at, gathered before."""

    context: Context
    agreement: Agreement
    claims: Mapping[str, Any]
    """What is attested about the consumer."""
    book: Book = EMPTY
    """Under the agreement, as it was when this was gathered."""
    recalled: Recalled = field(default_factory=lambda: Recalled(), repr=False, compare=False)
    """What the judge has worked out about it."""

    @property
    def environment(self) -> Mapping[str, str]:
        """What is known of where the use happens: of our own alone."""
        return self.context.environment if self.agreement.role is Role.CONSUMER else _ELSEWHERE


@dataclass(slots=True)
class Recalled:
    """What does not change from one question about a case to the next."""

    terms: Kept | None = None
    asked: Asked | None = None


@dataclass(slots=True, eq=False)
class Asked:
    """A question that is asked of the same case again and again, and the last answer to it."""

    process: Transfer
    stage: Stage
    subject: Subject
    request: Request
    decision: Decision | None = None
    answer: Answer | None = None
    steady: Made | None = None
    """The decision as it was noted, where nothing but the clock can change it as long as the case is the same."""

    def again(self, claims: Mapping[str, Any], now: datetime) -> Again | None:
        """The same decision, asked for at another moment at which it is the same; None when the engine is to be asked."""
        made = self.steady
        if made is None or made.world.claims is not claims or now < made.at:
            return None
        until = made.decision.valid_until
        return Again(made, now) if until is None or now < until else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a question about data."""

    judgement: Judgement
    valid_until: datetime | None = None
    """The first instant at which it can change by the clock alone."""
    used: tuple[str, ...] = ()
    """Keys of the rules that the act is a use of, when it is permitted."""


def asked(process: Transfer, case: Case, stage: Stage) -> Asked:
    """The question whether data of `process` may flow."""
    agreement = case.agreement
    return Asked(
        process=process,
        stage=stage,
        subject=Subject(
            participant=agreement.participant,
            question=question_of(agreement, stage),
            role=agreement.role,
            about=agreement.id,
            peer=agreement.peer,
            dataset=agreement.dataset,
            process=process.pid,
            kept=case.context.kept_inputs,
        ),
        request=use_of(agreement, process, case.environment),
    )


def question_of(agreement: Agreement, stage: Stage) -> Question:
    """How the decision log calls what is asked at a stage."""
    return Question.COLLECT if agreement.role is Role.CONSUMER else _QUESTIONS[stage]


def use_of(agreement: Agreement, process: Transfer | None = None, environment: Mapping[str, str] = _ELSEWHERE) -> Request:
    """The use of the agreement's data, with what the node knows of it: purpose, by which way the data goes, and for our own use
    what is so where it happens."""
    params: dict[str, object] = dict(environment)
    purpose = (process.purpose if process is not None else None) or agreement.purpose
    if purpose is not None:
        params["purpose"] = purpose
    if process is not None:
        params["deliveryChannel"] = process.format
    return Request(action=USE, target=agreement.dataset, party=agreement.consumer, params=params)
