"""`kontor webhooks`: programs of your own that are told what happens, signed and in order, and what was sent to them."""

from __future__ import annotations

from typing import Annotated

import typer

from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.groups import listing
from connector.cli.output import Output, note
from connector.cli.processes import Cursor, Limit, more

Name = Annotated[str, typer.Argument(help="Its name.")]


def register(app: typer.Typer) -> None:
    """Add `webhooks` to the commands."""
    group = listing(app, "webhooks", "Programs of your own that are told what happens: without a word, the list of them.")
    command(group, "list", list_, example="kontor webhooks list")
    command(group, "add", add, example="kontor webhooks add erp https://erp.example.org/kontor --event 'transfer.*'")
    command(group, "remove", remove, example="kontor webhooks remove erp")
    command(group, "deliveries", deliveries, example="kontor webhooks deliveries erp")


def list_(access: Access, out: Output, limit: Limit = 50, cursor: Cursor = None) -> None:
    """List the webhooks, by name."""
    from connector.client import operating

    with access.open() as (node, me):
        page = node.send(operating.webhooks(me.participant, limit=limit, cursor=cursor))
    rows = (
        (one.name, one.url, ", ".join(one.events) or "everything", one.secret, f"{one.created_at:%Y-%m-%d %H:%M:%S}")
        for one in page.items
    )
    out.rows(page.model_dump(mode="json"), ("NAME", "URL", "TOLD OF", "SECRET", "SINCE"), rows, empty="no webhooks")
    more(out, page)


def add(
    access: Access, out: Output, name: Name,
    address: Annotated[str, typer.Argument(metavar="URL", help="Where messages are posted to.")],
    event: Annotated[
        list[str] | None,
        typer.Option("--event", help="What it is told of, such as `negotiation.hold` or `transfer.*`; may be repeated."),
    ] = None,
    secret: Annotated[
        str | None, typer.Option("--secret", help="Name of a stored secret to sign with; without it one is made.")
    ] = None,
) -> None:  # fmt: skip
    """Have a program told of everything that happens from now on: CloudEvents, signed (Standard Webhooks), sent until they are taken."""
    from connector.api.webhooks import NewWebhook
    from connector.client import operating

    try:
        wanted = NewWebhook(name=name, url=address, events=tuple(event or ()), secret=secret)
    except ValueError as fault:
        raise typer.BadParameter(" ".join(str(fault).splitlines()[1:3]), param_hint="NAME, URL, --event") from fault
    with access.open() as (node, me):
        made = node.send(operating.add_webhook(me.participant, wanted))
    out.lines(made.model_dump(mode="json"), made.key or f"signed with the secret `{made.secret}`")
    if made.key:
        note(f"the key that `{made.name}` checks signatures with: it is shown this once, and kept as secret `{made.secret}`")


def remove(access: Access, out: Output, name: Name) -> None:
    """Tell a program nothing any more; what waits for it is dropped."""
    from connector.client import operating

    with access.open() as (node, me):
        node.send(operating.remove_webhook(me.participant, name))
    out.lines({"name": name}, f"removed: {name}")


def deliveries(access: Access, out: Output, name: Name, limit: Limit = 50, cursor: Cursor = None) -> None:
    """List what was sent to a webhook in the last month and what came of it, newest first; `kontor jobs` lists what still waits."""
    from connector.client import operating

    with access.open() as (node, me):
        page = node.send(operating.deliveries(me.participant, name, limit=limit, cursor=cursor))
    rows = (
        (
            f"{one.at:%Y-%m-%d %H:%M:%S}", one.type, one.pid, one.number, one.status or "no answer", f"{one.ms} ms",
            one.cause or "taken", one.event,
        )
        for one in page.items
    )  # fmt: skip
    head = ("AT", "TYPE", "PROCESS", "TRY", "STATUS", "TOOK", "OUTCOME", "MESSAGE")
    out.rows(page.model_dump(mode="json"), head, rows, empty="nothing was sent")
    more(out, page)
