"""`kontor search`: what there is in the ledger of data products that we belong to."""

from __future__ import annotations

from typing import Annotated

import typer

from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.output import Output, note
from connector.errors import CallerError


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
    sort: Annotated[str, typer.Option(help="relevance, modified, added, cheapest.")] = "relevance",
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many at most.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
    language: Annotated[str | None, typer.Option(help="Language of titles, such as `de`.")] = None,
    catalog: Annotated[str | None, typer.Option(help="Address of the ledger; else the participant's first catalogue.")] = None,
    peer: Annotated[str | None, typer.Option(help="The ledger's participant id, where its token depends on it.")] = None,
) -> None:
    """Search the ledger of data products, as the participant that asks may see and use them."""
    from connector.api.catalog import LedgerSearch

    chosen: dict[str, tuple[str, ...]] = {}
    for pair in only or ():
        facet, equals, value = pair.partition("=")
        if not equals or not value:
            raise CallerError(f"`{pair}` is no choice", where="--only", mend="write FACET=VALUE, such as `theme=energy`")
        chosen[facet] = (*chosen.get(facet, ()), value)
    wanted = LedgerSearch(
        text=" ".join(words or ()), chosen=chosen, purpose=purpose, action=action, sort=sort, size=limit, cursor=cursor,
        facets=tuple(count or ()), language=language, catalog=catalog, peer=peer,
    )  # fmt: skip
    with access.open() as (node, me):
        found = node.send(me.search(wanted))
    rows = [
        (one["title"], one["publisher"] or one["origin"], ", ".join(one["mediaTypes"]), (one["modified"] or "")[:10], one["id"])
        for one in found["items"]
    ]
    for name, values in found["facets"].items():
        note(f"{name}: " + ", ".join(f"{one['value']} ({one['count']})" for one in values))
    out.rows(found, ("TITLE", "PUBLISHER", "TYPE", "MODIFIED", "DATASET"), rows, empty="nothing fits; try fewer words")
    if found["isRelaxed"]:
        note("nothing has all these words; this has some of them")
    if found["next"]:
        note(f"{found['total']} in all; the next page: --cursor {found['next']}")
