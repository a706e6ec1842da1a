"""`kontor participants`: who this node speaks for, added and taken off while it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.groups import listing
from connector.cli.output import Output
from connector.cli.processes import Cursor, Limit, more

Name = Annotated[str, typer.Argument(help="Its local name, as in addresses.")]


def register(app: typer.Typer) -> None:
    """Add `participants` to the commands."""
    group = listing(app, "participants", "The participants that this node speaks for: without a word, the list of them.")
    command(group, "list", list_, example="kontor participants list")
    command(group, "add", add, example='kontor participants add acme did:web:data.example.org:acme --title "Acme"')
    command(group, "remove", remove, example="kontor participants remove acme --end")


def list_(access: Access, out: Output, limit: Limit = 50, cursor: Cursor = None) -> None:
    """List the participants, by name."""
    from connector.client import participants

    with access.node() as (node, _):
        page = node.send(participants(limit=limit, cursor=cursor))
    rows = ((one.name, one.id, one.title, one.address, one.approval) for one in page.items)
    out.rows(page.model_dump(mode="json"), ("NAME", "ID", "TITLE", "ADDRESS", "APPROVAL"), rows, empty="no participants")
    more(out, page)


def add(
    access: Access, out: Output, name: Name,
    id_: Annotated[str, typer.Argument(metavar="ID", help="Participant id as in agreements: a DID or another URI.")],
    title: Annotated[str, typer.Option("--title", help="Name for people.")] = "",
) -> None:  # fmt: skip
    """Speak for one more participant, from now on."""
    from connector.api.participants import NewParticipant
    from connector.client import add_participant

    try:
        wanted = NewParticipant(name=name, id=id_, title=title)
    except ValueError as fault:
        raise typer.BadParameter(" ".join(str(fault).splitlines()[1:3]), param_hint="NAME, ID") from fault
    with access.node() as (node, _):
        made = node.send(add_participant(wanted))
    out.lines(made.model_dump(mode="json"), f"{made.name}  {made.id}  {made.address}")


def remove(
    access: Access, out: Output, name: Name,
    end: Annotated[bool, typer.Option("--end", help="End what it has open, and tell the peers, before.")] = False,
) -> None:  # fmt: skip
    """Speak for a participant no longer; its agreements and the trail of what was done stay."""
    from connector.client import remove_participant

    with access.node() as (node, _):
        node.send(remove_participant(name, is_ending=end))
    out.lines({"name": name}, f"removed: {name}")
