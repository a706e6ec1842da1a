"""What the use cases' decisions look like in the decision log: who is named, and what is hashed.

What lives here: the notes themselves. What does not: deciding (`policy.py`), writing (`decision_log.py`), the entries' form
(`connector.ports.decisions`).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import orjson

from connector.controlplane.decisions import Judgement
from connector.dsp.negotiation import Agreement, Negotiation, rules_of
from connector.dsp.transfer import Transfer
from connector.errors import PolicyError
from connector.odrl import canonical
from connector.ports.decisions import Again, Made, Question, Ruled, Subject, grounds_in

_KEPT = 1_000
Note = Callable[[Made | Again | Ruled], None]


class Notes:
    """Notes for a log; keeps the digests of the terms that it has met."""

    def __init__(self, note: Note | None) -> None:
        self._note = note
        self._digests: OrderedDict[bytes, str | None] = OrderedDict()

    @property
    def are_kept(self) -> bool:
        """False when nobody reads them."""
        return self._note is not None

    def made(self, made: Made | Again) -> None:
        """Note a decision of the evaluator."""
        if self._note is not None:
            self._note(made)

    def compared(
        self,
        question: Question,
        process: Negotiation,
        judgement: Judgement,
        *,
        claims: Mapping[str, Any],
        ours: Mapping[str, Any] | None,
        theirs: Mapping[str, Any],
        now: datetime,
        began: int,
        code: str = "",
    ) -> Judgement:
        """`judgement` itself, once it is noted what came of comparing two trees; `claims` are the peer's, `began` is of
        `time.perf_counter_ns`."""
        if self._note is None:
            return judgement
        micros = (time.perf_counter_ns() - began) // 1000
        subject = Subject(
            participant=process.participant,
            question=question,
            role=process.role,
            about=str((ours or theirs).get("@id") or process.dataset),
            peer=process.peer,
            dataset=process.dataset,
            process=process.pid,
        )
        self._note(
            Ruled(
                subject=subject,
                at=now,
                policy=self._digest(ours) if ours is not None else None,
                against=self._digest(theirs),
                inputs={"ours": ours, "theirs": theirs, "purpose": process.purpose, "dataset": process.dataset},
                grounds=grounds_in(claims),
                is_permitted=judgement.is_acceptable,
                code=code or ("near" if judgement.is_near else "outside" if judgement.is_refused else "unknown"),
                reasons=judgement.for_operator,
                micros=micros,
            )
        )
        return judgement

    def refused(
        self,
        question: Question,
        agreement: Agreement,
        process: Transfer,
        judgement: Judgement,
        *,
        claims: Mapping[str, Any],
        now: datetime,
        code: str,
    ) -> Judgement:
        """`judgement` itself, once it is noted that data was refused for a fact about the agreement, without asking its terms."""
        if self._note is None:
            return judgement
        subject = Subject(
            participant=agreement.participant,
            question=question,
            role=agreement.role,
            about=agreement.id,
            peer=agreement.peer,
            dataset=agreement.dataset,
            process=process.pid,
        )
        ended = agreement.ended_at.isoformat() if agreement.ended_at is not None else None
        self._note(
            Ruled(
                subject=subject,
                at=now,
                policy=self._digest(agreement.policy),
                against=None,
                inputs={"agreement": agreement.id, "ended_at": ended, "reason": agreement.end_reason},
                grounds=grounds_in(claims),
                is_permitted=False,
                code=code,
                reasons=judgement.for_operator,
                micros=0,
            )
        )
        return judgement

    def _digest(self, tree: Mapping[str, Any]) -> str | None:
        """The digest of the rules of `tree`, worked out once for equal rules; None when they cannot be read."""
        rules = rules_of(tree)
        key = orjson.dumps(rules, option=orjson.OPT_SORT_KEYS)
        if key not in self._digests:
            try:
                self._digests[key] = canonical.digest(rules, canonical.OFFER_TO_AGREEMENT)
            except PolicyError:
                self._digests[key] = None
            if len(self._digests) > _KEPT:
                self._digests.popitem(last=False)
        return self._digests[key]
