"""`kontor search`: what there is in the ledger of data products that we belong to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.output import Output, note
from connector.errors import CallerError

Catalog = Annotated[
    str | None, typer.Option("--catalog", help="Address of the ledger; else the participant's first catalogue.")
]
Peer = Annotated[str | None, typer.Option("--peer", help="The ledger's participant id, where its token depends on it.")]


def register(app: typer.Typer) -> None:
    """Add `search` to the commands."""
    command(app, "search", search, example="kontor search hourly weather --purpose research --only theme=environment")


def search(
    access: Access,
    out: Output,
    words: Annotated[
        list[str] | None, typer.Argument(help="Words to look for, in any language; none finds everything.")
    ] = None,
    purpose: Annotated[str | None, typer.Option(help="Only what we may use for this purpose.")] = None,
    action: Annotated[str | None, typer.Option(help="Only what we may do this with.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="FACET=VALUE, such as `format=text/csv`; may stand several times.")
    ] = None,
    count: Annotated[list[str] | None, typer.Option(help="A facet to count, such as `theme` or `purpose`.")] = None,
    price_at_most: Annotated[str | None, typer.Option(help="Highest price, such as `10.50`; with `--currency`.")] = None,
    currency: Annotated[
        str | None,
        typer.Option(help="Only what can be had for it, or for nothing: `EUR`. `--count currency` tells which there are."),
    ] = None,
    modified: Annotated[str | None, typer.Option(help="Only data that changed on this day or later: `2026-01-31`.")] = None,
    sort: Annotated[str, typer.Option(help="relevance, modified, added, cheapest (with `--currency`).")] = "relevance",
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many at most.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
    language: Annotated[str | None, typer.Option(help="Language of titles, such as `de`.")] = None,
    suggest: Annotated[bool, typer.Option("--suggest", help="Only say which words of the ledger begin so.")] = False,
    subscribe: Annotated[
        bool, typer.Option("--subscribe", help="Save the search, and be told of what is new: see `kontor subscriptions`.")
    ] = False,
    webhook: Annotated[str | None, typer.Option(help="With `--subscribe`: where the ledger posts what is new, signed.")] = None,
    catalog: Catalog = None,
    peer: Peer = None,
) -> None:
    """Search the ledger of data products, as the participant that asks may see and use them."""
    from connector.api.catalog import LedgerSearch
    from connector.api.ledgers import NewSubscription
    from connector.client import ledgers

    text = " ".join(words or ())
    if webhook is not None and not subscribe:
        raise typer.BadParameter("it goes with `--subscribe`", param_hint="--webhook")
    if suggest:
        with access.open() as (node, me):
            told = node.send(ledgers.suggestions(me.participant, text or " ", catalog=catalog, peer=peer))
        out.lines(told.model_dump(), *told.suggestions)
        return
    chosen: dict[str, tuple[str, ...]] = {}
    for pair in only or ():
        facet, equals, value = pair.partition("=")
        if not equals or not value:
            raise CallerError(f"`{pair}` is no choice", where="--only", mend="write FACET=VALUE, such as `theme=energy`")
        chosen[facet] = (*chosen.get(facet, ()), value)
    if currency is not None:
        chosen["currency"] = (currency.upper(),)
    wanted = NewSubscription(
        text=text, chosen=chosen, purpose=purpose, action=action, price_at_most=price_at_most, modified=modified, sort=sort,
        size=limit, cursor=cursor, facets=tuple(count or ()), language=language, catalog=catalog, peer=peer, webhook=webhook,
    )  # fmt: skip
    if subscribe:
        with access.open() as (node, me):
            made = node.send(ledgers.subscribe(me.participant, wanted))
        out.lines(made.model_dump(mode="json"), made.id, *([made.key] if made.key else []))
        if made.key:
            note("the key that your program checks signatures with is shown this once")
        return
    with access.open() as (node, me):
        found = node.send(me.search(LedgerSearch.model_validate(wanted.model_dump(exclude={"webhook"}))))
    rows = [
        (one["title"], _offered_by(one), ", ".join(one["mediaTypes"]), (one["modified"] or "")[:10], _price(one), one["id"])
        for one in found["items"]
    ]
    for name, values in found["facets"].items():
        note(f"{name}: " + ", ".join(f"{one['value']} ({one['count']})" for one in values))
    out.rows(
        found, ("TITLE", "OFFERED BY", "TYPE", "MODIFIED", "PRICE", "DATASET"), rows, empty="nothing fits; try fewer words"
    )
    if found["isRelaxed"]:
        note("nothing has all these words; this has some of them")
    if doubtful := [one for one in found["items"] if one.get("endpointProof") == "unproven"]:
        note(f"where {len(doubtful)} of these are fetched is told by a catalogue, and not signed by their providers")
    if found["next"]:
        note(f"{found['total']} in all; the next page: --cursor {found['next']}")


def _offered_by(one: Mapping[str, Any]) -> str:
    """Who offers it, as the list of members says, and whom its description names as publisher: anybody can name anybody."""
    by = str(one.get("offeredBy") or one["origin"])
    return f"{by} (publisher {one['publisher']})" if one["publisher"] not in (None, by) else by


def _price(one: Mapping[str, Any]) -> str:
    if one.get("price") is None:
        return ""
    return f"{one['price']:,} {one.get('currency') or ''}".strip() if one["price"] else "free"
