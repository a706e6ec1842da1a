"""Routes: what is on record under an agreement, and putting something on record. Views of it, too."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from fastapi import APIRouter

from connector.api import usage as api
from connector.api.common import Listing
from connector.controlplane.records import Account, Record
from connector.odrl.enforce import Clause
from connector.odrl.truth import DutyState
from connector.ports.ledger import Posting, PostingKind, Use
from connector.web.operator import views
from connector.web.operator.keys import Participant
from connector.web.operator.parts import Parts
from connector.web.operator.queries import Cursor, Limit
from connector.web.operator.rooms import room


def routes(parts: Parts) -> APIRouter:
    """`/agreements/{id}/usage` and `/agreements/{id}/postings`, below a participant."""
    router = room("agreements", "/participants/{participant}/agreements")

    @router.get("/{id:path}/usage")
    async def get_usage(participant: Participant, id: str) -> api.Usage:
        """How an agreement stands: uses, payments, duties with their deadlines, consents, and who sees to each clause."""
        return view(await parts.records.account(participant, id))

    @router.get("/{id:path}/postings")
    async def list_postings(
        participant: Participant, id: str, cursor: Cursor = None, limit: Limit = 100
    ) -> Listing[api.PostingLine]:
        """The lines of an agreement's book, newest first."""
        await parts.agreements.get(participant, id)
        page = await parts.store.ledger.postings(participant, id, cursor=cursor, limit=limit)
        return views.listing(page, _line)

    @router.post("/{id:path}/postings", status_code=201)
    async def add_posting(participant: Participant, id: str, wanted: api.NewPosting) -> api.Usage:
        """How an agreement stands after something was put on record; what runs under it was decided about again."""
        record = Record(
            kind=PostingKind(wanted.kind),
            key=wanted.key,
            amount=wanted.amount or Decimal(0),
            currency=wanted.currency or "",
            rule=wanted.rule,
            duty=wanted.duty or "",
            state=DutyState(wanted.state or "fulfilled"),
            by=wanted.by or "",
            is_withdrawn=bool(wanted.withdrawn),
            event=wanted.event or "",
            is_over=bool(wanted.over),
            note=wanted.note,
            evidence=wanted.evidence,
        )
        return view(await parts.records.record(participant, id, record))

    return router


def view(account: Account) -> api.Usage:
    """An account as the API shows it."""
    book = account.book
    return api.Usage(
        agreement=account.agreement.id,
        total=_use(book.total),
        rules={key: _use(use) for key, use in book.uses.items()},
        open=[api.OpenUseOf(transfer=one.process, running=one.has_begun, since=one.since) for one in book.open.values()],
        duties=[
            api.DutyOf(
                key=one.key,
                role=one.role.value,
                actions=list(one.actions),
                state=one.phase.value,
                due_at=one.due_at,
                deadline=one.deadline,
            )
            for one in account.duties
        ],
        consents={by: one.withdrawn_at for by, one in book.consents.items()},
        events={name: [one.began, one.ended] for name, one in book.events.items()},
        clauses=[clause(one) for one in account.clauses],
        postings=book.postings,
        evidence=book.evidence,
    )


def clause(one: Clause) -> api.ClauseOf:
    """A clause as the API shows it."""
    return api.ClauseOf(
        where=one.where, kind=one.kind, text=one.text, enforced=[each.value for each in one.enforced], why=one.why
    )


def _use(use: Use) -> api.UseOf:
    return api.UseOf(
        count=use.count,
        metered_s=use.metered / timedelta(seconds=1),
        moved_bytes=use.moved_bytes,
        first_at=use.first_at,
        last_at=use.last_at,
        paid={currency: str(amount) for currency, amount in use.paid.items()},
    )


def _line(one: Posting) -> api.PostingLine:
    return api.PostingLine(
        number=one.number, key=one.key, kind=one.kind.value, at=one.at, facts=dict(one.facts), evidence=one.evidence
    )
