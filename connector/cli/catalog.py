"""`kontor catalog`: what a peer offers us, what we offer, and how a ledger's last looks at its members went."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.output import Output, note
from connector.errors import CallerError


def register(app: typer.Typer) -> None:
    """Add `catalog` to the commands."""
    command(app, "catalog", catalog, example="kontor catalog https://data.example.org/weather/dsp/2025-1")


def catalog(
    access: Access,
    out: Output,
    address: Annotated[
        str | None,
        typer.Argument(help="Address of the peer's connector, or `report`, or `members`; our own catalogue when left out."),
    ] = None,
    member: Annotated[str | None, typer.Argument(help="With `report`: the member's participant id.")] = None,
    ledger: Annotated[str | None, typer.Option("--catalog", help="With `report` and `members`: the ledger's address.")] = None,
    peer: Annotated[str | None, typer.Option(help="The peer's participant id, where its token depends on it.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many datasets, or members.")] = None,
    failing: Annotated[bool, typer.Option("--failing", help="With `members`: those at which the last look failed.")] = False,
    after: Annotated[str | None, typer.Option(help="With `members`: the last one of the page before.")] = None,
) -> None:
    """Show the datasets and offers of a peer, or our own; with `report MEMBER` how a ledger's last look at a member went, with `members`
    how all of its members stand."""
    if address == "members" and member is None:
        _members(access, out, ledger, peer, failing=failing, after=after, limit=limit)
        return
    if failing or after is not None:
        raise CallerError("it goes with `members`", where="--failing, --after", mend="write `kontor catalog members --failing`")
    if address == "report" or member is not None:
        _report(access, out, address, member, ledger, peer)
        return
    from connector.api.catalog import CatalogRequest
    from connector.cli.offers import datasets, terms

    with access.open() as (node, me):
        if address is None:
            tree = node.send(me.catalog())
        else:
            answer = node.send(me.catalog_of(CatalogRequest(address=address, peer=peer, limit=limit)))
            tree = answer.catalog
            for warning in answer.warnings:
                note(f"warning: {warning}")
    rows = [
        (one.id, one.title, ", ".join(one.keywords), ", ".join(one.formats), offer.get("@id"), terms(offer))
        for one in datasets(tree)
        for offer in one.offers
    ]
    head = ("DATASET", "TITLE", "KEYWORDS", "FORMATS", "OFFER", "TERMS")
    out.rows(tree, head, rows, empty="nothing is offered here" if address else "nothing is offered yet; see `kontor publish`")


def _members(
    access: Access, out: Output, ledger: str | None, peer: str | None, *, failing: bool, after: str | None, limit: int | None
) -> None:
    from connector.api.catalog import LedgerMembers

    wanted = LedgerMembers(failing=failing, after=after, size=min(limit or 100, 100), catalog=ledger, peer=peer)
    with access.open() as (node, me):
        found = node.send(me.ledger_members(wanted))
    rows = [
        (
            one["id"],
            one["title"],
            one["entries"],
            (one["crawledAt"] or "never")[:16],
            one["failures"] or "",
            _how(one["report"]),
        )
        for one in found["items"]
    ]
    head = ("MEMBER", "NAME", "DATASETS", "CONFIRMED", "FAILED", "LAST LOOK")
    out.rows(found, head, rows, empty="the last look at every member was good" if failing else "the ledger has no members")
    if found["next"]:
        note(f"the next page: --after {found['next']}")


def _how(report: dict[str, Any] | None) -> str:
    if report is None:
        return "nobody has looked yet"
    return "good" if report["isGood"] else str(report["cause"])


def _report(access: Access, out: Output, word: str | None, member: str | None, ledger: str | None, peer: str | None) -> None:
    from connector.api.catalog import LedgerReport

    if word != "report" or member is None:
        raise CallerError("a report is one of a member", where="catalog", mend="write `kontor catalog report MEMBER`")
    with access.open() as (node, me):
        found = node.send(me.report(LedgerReport(member=member, catalog=ledger, peer=peer)))
    report = found["report"] or {"at": None, "isGood": None, "cause": "nobody has looked yet", "leftOut": [], "notes": []}
    shown = "an unknown number of" if found["entries"] is None else found["entries"]
    rows = [
        ("member", f"{found['id']} ({found['state']})"),
        ("address", found["address"]),
        ("shown", f"{shown} datasets, last confirmed {found['crawledAt'] or 'never'}"),
        ("last look", f"{report['at']}: {'good' if report['isGood'] else report['cause']}"),
        ("next look", found["nextAt"] or "none"),
        *(("left out", text) for text in report["leftOut"]),
        *(("note", text) for text in report["notes"]),
    ]
    out.rows(found, ("WHAT", "HOW IT STANDS"), rows, empty="")
