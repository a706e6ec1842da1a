"""`kontor agreements`: the agreements, how each stands, and putting on record what only people know."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.groups import listing
from connector.cli.output import Output, table, tell
from connector.cli.processes import Cursor, Limit, Peer, Role, more

if TYPE_CHECKING:
    from connector.api.usage import DutyOf, Usage

Id = Annotated[str, typer.Argument(metavar="AGREEMENT", help="Its id.")]


def register(app: typer.Typer) -> None:
    """Add `agreements` to the commands."""
    group = listing(app, "agreements", "Contract agreements: without a word, the list of them.")
    example = 'kontor agreements list --end urn:uuid:4c7c... --reason "the project is over"'
    command(group, "list", list_, example=example)
    command(group, "usage", usage, example="kontor agreements usage urn:uuid:4c7c...")
    example = "kontor agreements record urn:uuid:4c7c... payment --amount 500 --currency EUR --key invoice-17"
    command(group, "record", record, example=example)


def list_(
    access: Access, out: Output, role: Role = None, peer: Peer = None, limit: Limit = 50, cursor: Cursor = None,
    end: Annotated[str | None, typer.Option("--end", metavar="ID", help="End this one, in place of the list.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why it ends, in words that the peer gets to read.")] = None,
) -> None:  # fmt: skip
    """List contract agreements, newest first; or end one: nothing begins under it any more, and what runs is terminated."""
    from connector.cli.offers import terms

    if (end is None) != (reason is None):
        raise typer.BadParameter("`--end` and `--reason` go together", param_hint="--reason" if end else "--end")
    with access.open() as (node, me):
        if end is not None and reason is not None:
            ended = node.send(me.end_agreement(end, reason))
            out.lines(ended.model_dump(mode="json"), f"{_ended(ended.ended_at, ended.end_reason)}  agreement {ended.id}")
            return
        page = node.send(me.agreements(role=role, peer=peer, cursor=cursor, limit=limit))
    rows = (
        (
            one.id,
            one.role,
            _second(one.signed_at),
            _ended(one.ended_at, one.end_reason),
            one.dataset,
            one.peer,
            terms(one.policy),
        )
        for one in page.items
    )
    head = ("AGREEMENT", "ROLE", "SIGNED", "STANDING", "DATASET", "PEER", "TERMS")
    out.rows(page.model_dump(mode="json"), head, rows, empty="no agreements")
    more(out, page)


def usage(
    access: Access, out: Output, agreement: Id,
    lines: Annotated[int, typer.Option("--lines", min=0, max=1000, help="So many of the last lines of its book, too.")] = 0,
) -> None:  # fmt: skip
    """Show how an agreement stands: uses, payments, duties with their deadlines, consents, and who sees to each clause."""
    from connector.client import records

    with access.open() as (node, me):
        found = node.send(records.usage(me.participant, agreement))
        book = node.send(records.postings(me.participant, agreement, limit=lines)).items if lines else []
    tree = found.model_dump(mode="json") | {"lines": [one.model_dump(mode="json") for one in book]}
    out.show(tree, lambda: _tell(found, [(one.number, _second(one.at), one.kind, _facts(one.facts)) for one in book]))


def record(
    access: Access, out: Output, agreement: Id,
    kind: Annotated[Literal["payment", "duty", "consent", "event"], typer.Argument(help="What to put on record.")],
    amount: Annotated[str | None, typer.Option("--amount", help="Of a payment.")] = None,
    currency: Annotated[str | None, typer.Option("--currency", help="Of a payment, such as EUR.")] = None,
    rule: Annotated[str | None, typer.Option("--rule", help="The rule that was paid for.")] = None,
    duty: Annotated[str | None, typer.Option("--duty", help="The duty, by its action or key.")] = None,
    state: Annotated[
        Literal["fulfilled", "waived", "violated"] | None, typer.Option("--state", help="How the duty stands; fulfilled by default.")
    ] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who consents.")] = None,
    withdrawn: Annotated[bool, typer.Option("--withdrawn", help="The consent is withdrawn.")] = False,
    event: Annotated[str | None, typer.Option("--event", help="The event's IRI.")] = None,
    over: Annotated[bool, typer.Option("--over", help="The event is over.")] = False,
    note: Annotated[str, typer.Option("--note", help="A word about it.")] = "",
    evidence: Annotated[str, typer.Option("--evidence", help="SHA-256 of a document that proves it.")] = "",
    key: Annotated[str | None, typer.Option("--key", help="Names this record: the same key again changes nothing.")] = None,
) -> None:  # fmt: skip
    """Put on record what only people know: a payment, a duty that was done or waived, a consent, an event.

    What runs under the agreement is decided about again at once."""
    from connector.api.usage import NewPosting
    from connector.client import records

    given = {
        "kind": kind, "amount": amount, "currency": currency, "rule": rule, "duty": duty, "state": state, "by": by,
        "withdrawn": withdrawn or None, "event": event, "over": over or None, "note": note, "evidence": evidence, "key": key,
    }  # fmt: skip
    try:
        wanted = NewPosting.model_validate(given)
    except ValueError as fault:
        said = str(fault).partition("Value error, ")[2].partition(" [")[0] or " ".join(str(fault).splitlines()[1:3])
        raise typer.BadParameter(said, param_hint=kind) from fault
    with access.open() as (node, me):
        found = node.send(records.post(me.participant, agreement, wanted))
    out.show(found.model_dump(mode="json"), lambda: _tell(found, []))


def _tell(found: Usage, lines: list[tuple[object, ...]]) -> None:
    total = found.total
    tell(f"agreement {found.agreement}")
    facts = {
        "uses": f"{total.count}, {total.moved_bytes} bytes, {total.metered_s:g} s",
        "first and last": f"{_second(total.first_at)} and {_second(total.last_at)}" if total.first_at and total.last_at else "",
        "paid": ", ".join(f"{amount} {currency}" for currency, amount in total.paid.items()),
        "running": ", ".join(one.transfer for one in found.open if one.running),
        "consents": ", ".join(f"{by or 'given'}{' (withdrawn)' if ended else ''}" for by, ended in found.consents.items()),
        "events": ", ".join(found.events),
    }
    for name, value in facts.items():
        if value:
            tell(f"  {name + ':':<20}{value}")
    if found.duties:
        tell("")
        table(("DUTY", "STATE", "FROM", "UNTIL", "KEY"), [_duty(one) for one in found.duties], empty="")
    if found.clauses:
        tell("")
        rows = [(one.text, " and ".join(one.enforced), one.why) for one in found.clauses]
        table(("CLAUSE", "ENFORCED", "WHY"), rows, empty="")
    if lines:
        tell("")
        table(("LINE", "AT", "KIND", "WHAT"), lines, empty="")


def _duty(one: DutyOf) -> tuple[str, ...]:
    due_at, deadline = (_second(at) if at else "" for at in (one.due_at, one.deadline))
    return f"{' and '.join(one.actions)} ({one.role})", one.state, due_at, deadline, one.key


def _facts(facts: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def _ended(at: datetime | None, reason: str | None) -> str:
    return f"ended {_second(at)} {reason or ''}".strip() if at else "in force"


def _second(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"
