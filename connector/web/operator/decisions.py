"""Routes: the decision log, and what the engine says of a process now."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from connector.api.common import Listing
from connector.api.decisions import Decision, EffectName, Explanation, LanguageName, QuestionName
from connector.errors import NotFound
from connector.odrl.phrases import Language
from connector.odrl.truth import Code
from connector.ports.journal import Entry
from connector.web.operator import views
from connector.web.operator.keys import Participant
from connector.web.operator.parts import Parts
from connector.web.operator.queries import Cursor, Limit
from connector.web.operator.rooms import room
from connector.web.operator.usage import clause

Wanted = Annotated[str | None, Query(max_length=512)]
Since = Annotated[datetime | None, Query(description="Not before this moment.")]
Until = Annotated[datetime | None, Query(description="Before this moment.")]


def routes(parts: Parts) -> APIRouter:
    """`/decisions`, and `/processes/{pid}/explanation`, below a participant."""
    router = room("decisions", "/participants/{participant}")

    @router.get("/decisions")
    async def list_decisions(
        participant: Participant, question: QuestionName | None = None, effect: EffectName | None = None,
        about: Wanted = None, process: Wanted = None, peer: Wanted = None, policy: Wanted = None, inputs: Wanted = None,
        since: Since = None, until: Until = None, cursor: Cursor = None, limit: Limit = 100,
    ) -> Listing[Decision]:  # fmt: skip
        """Logged decisions that fit, newest first; a page may be short while there is a next one."""
        await parts.participants.context(participant)
        given = {
            "question": question, "effect": effect, "about": about, "process": process, "peer": peer, "policy": policy,
            "inputs": inputs,
        }  # fmt: skip
        wanted = {name: value for name, value in given.items() if value is not None}
        page = await parts.decisions.found(participant, wanted, cursor=cursor, limit=limit, since=since, until=until)
        return views.listing(page, _decision)

    @router.get("/processes/{pid}/explanation")
    async def explain_process(participant: Participant, pid: str, language: LanguageName = "en") -> Explanation:
        """What the engine says of a process now, in one sentence, and who sees to each clause of its terms."""
        await parts.participants.context(participant)
        key = await parts.store.find(participant, pid)
        found = await parts.store.process(key) if key is not None else None
        if found is None:
            raise NotFound(f"there is no process `{pid}`", where=pid, mend="list negotiations or transfers to find its id")
        said = await parts.explaining.process(found, Language(language))
        return Explanation(
            sentence=said.sentence,
            deferred=said.named(Code.STAGE_DEFERRED),
            legal_only=said.named(Code.LEGAL_ONLY),
            missing=[one.how for one in said.decision.missing] if said.decision is not None else [],
            clauses=[clause(one) for one in said.clauses],
        )

    return router


def _decision(entry: Entry) -> Decision:
    return Decision.model_validate({**entry.body, "number": entry.number, "at": entry.at})
