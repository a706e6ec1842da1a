"""`kontor subscriptions` and `kontor demands`: what we leave with the ledger of data products that we belong to."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.groups import listing
from connector.cli.output import Output, note
from connector.cli.search import Catalog, Peer

Id = Annotated[str, typer.Argument(help="Its id, as the list shows it.")]


def register(app: typer.Typer) -> None:
    """Add `subscriptions` and `demands` to the commands."""
    about = "Saved searches that tell what is new (`kontor search --subscribe`): without a word, the list of them."
    saved = listing(app, "subscriptions", about)
    command(saved, "list", list_subscriptions, example="kontor subscriptions list")
    command(saved, "news", news, example="kontor subscriptions news 7b0c... --after 120")
    command(saved, "remove", remove_subscription, example="kontor subscriptions remove 7b0c...")
    about = "The demand board: what members look for and do not find. Without a word, the notices that we see."
    wanted = listing(app, "demands", about)
    command(wanted, "list", list_demands, example="kontor demands list")
    command(wanted, "add", add_demand, example='kontor demands add "Hourly pollen counts" --text "For a study, 2027."')
    command(wanted, "remove", remove_demand, example="kontor demands remove 7b0c...")


def list_subscriptions(access: Access, out: Output, catalog: Catalog = None, peer: Peer = None) -> None:
    """List the searches that we have saved."""
    from connector.client import ledgers

    with access.open() as (node, me):
        found = node.send(ledgers.subscriptions(me.participant, catalog=catalog, peer=peer))
    rows = [
        (one.id, "; ".join(f"{name}={', '.join(values)}" for name, values in one.fields.items()) or "everything",
         one.webhook or "the news", f"{one.created_at:%Y-%m-%d %H:%M}")
        for one in found.items
    ]  # fmt: skip
    empty = "nothing is saved; see `kontor search --subscribe`"
    out.rows(found.model_dump(mode="json"), ("ID", "SEARCH", "TOLD BY", "SINCE"), rows, empty=empty)


def news(
    access: Access, out: Output, id: Id,
    after: Annotated[int, typer.Option(min=0, help="The number that the news before ended with; 0 for everything that fits.")] = 0,
    catalog: Catalog = None, peer: Peer = None,
) -> None:  # fmt: skip
    """Show what fits a saved search and came or changed since."""
    from connector.client import ledgers

    with access.open() as (node, me):
        found = node.send(ledgers.news(me.participant, id, after, catalog=catalog, peer=peer))
    rows = [
        (str(one.get("title", "")), str(one.get("publisher") or one.get("origin", "")), str(one.get("id", "")))
        for one in found.items
    ]
    out.rows(found.model_dump(mode="json"), ("TITLE", "PUBLISHER", "DATASET"), rows, empty="nothing new")
    note(f"the next news: --after {found.sequence}" + (", at once: there is more" if found.has_more else ""))


def remove_subscription(access: Access, out: Output, id: Id, catalog: Catalog = None, peer: Peer = None) -> None:
    """Take a saved search away; nothing is told of it any more."""
    from connector.client import ledgers

    with access.open() as (node, me):
        node.send(ledgers.unsubscribe(me.participant, id, catalog=catalog, peer=peer))
    out.lines({"id": id}, f"removed: {id}")


def list_demands(access: Access, out: Output, catalog: Catalog = None, peer: Peer = None) -> None:
    """List what members want: all that something of ours fits, and what everybody may read."""
    from connector.client import ledgers

    with access.open() as (node, me):
        found = node.send(ledgers.demands(me.participant, catalog=catalog, peer=peer))
    rows = [
        (one.title, "ours fits" if one.fits else "", one.owner, f"{one.created_at:%Y-%m-%d}", one.text[:60], one.id)
        for one in found.items
    ]
    head = ("WANTED", "FITS", "BY", "SINCE", "MORE", "ID")
    out.rows(found.model_dump(mode="json"), head, rows, empty="nobody looks for anything that you have")


def add_demand(
    access: Access, out: Output,
    title: Annotated[str, typer.Argument(help="What you look for, in the words of those who may have it.")],
    text: Annotated[str, typer.Option(help="More about it, and whom to answer.")] = "",
    readers: Annotated[
        Literal["matching", "everybody"], typer.Option(help="Who sees it: members whose products fit, or whoever may ask the ledger.")
    ] = "matching",
    catalog: Catalog = None, peer: Peer = None,
) -> None:  # fmt: skip
    """Say what you want and do not find, for ninety days."""
    from connector.api.ledgers import NewDemand
    from connector.client import ledgers

    try:
        wanted = NewDemand(title=title, text=text, readers=readers, catalog=catalog, peer=peer)
    except ValueError as fault:
        raise typer.BadParameter(" ".join(str(fault).splitlines()[1:3]), param_hint="TITLE, --text, --catalog") from fault
    with access.open() as (node, me):
        made = node.send(ledgers.post_demand(me.participant, wanted))
    out.lines(made.model_dump(mode="json"), made.id)


def remove_demand(access: Access, out: Output, id: Id, catalog: Catalog = None, peer: Peer = None) -> None:
    """Take a notice away."""
    from connector.client import ledgers

    with access.open() as (node, me):
        node.send(ledgers.withdraw_demand(me.participant, id, catalog=catalog, peer=peer))
    out.lines({"id": id}, f"removed: {id}")
