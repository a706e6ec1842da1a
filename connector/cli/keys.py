"""`kontor keys`: who may use the operator API, with which role, for which participants, how long."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.output import Output
from connector.cli.processes import Cursor, Limit, more


def register(app: typer.Typer) -> None:
    """Add `keys` to the commands."""
    group = typer.Typer(help="Keys of the operator API.", no_args_is_help=True, rich_markup_mode=None)
    command(group, "list", list_, example="kontor keys list")
    command(group, "create", create, example="kontor keys create ci-publisher --role operate --for acme --days 30")
    command(group, "revoke", revoke, example="kontor keys revoke ci-publisher")
    app.add_typer(group, name="keys")


def list_(access: Access, out: Output, limit: Limit = 1000, cursor: Cursor = None) -> None:
    """Show the keys that you administer: names, roles and ends, never the keys themselves."""
    from connector.client import api_keys

    with access.node() as (node, _):
        page = node.send(api_keys(limit=limit, cursor=cursor))
    rows = [
        (
            key.name,
            key.role,
            ", ".join(key.participants),
            f"{key.expires:%Y-%m-%d %H:%M}" if key.expires else "never",
            "settings" if key.is_configured else key.created_by,
        )
        for key in page.items
    ]
    tree = [key.model_dump(mode="json") for key in page.items]
    out.rows(tree, ("NAME", "ROLE", "PARTICIPANTS", "EXPIRES", "MADE BY"), rows, empty="there is none that you administer")
    more(out, page)


def create(
    access: Access,
    out: Output,
    name: Annotated[str, typer.Argument(help="Who holds it; it stands in the log and in the audit trail.")],
    role: Annotated[
        Literal["read", "operate", "admin"], typer.Option(help="`read` looks, `operate` acts, `admin` gives access.")
    ] = "read",
    for_: Annotated[
        list[str] | None, typer.Option("--for", help="A context that it is good for; again for more. `*` is all, the default.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long it is good.")] = 90,
) -> None:
    """Make a key and print it, once: it is kept nowhere."""
    from connector.api.access import NewKey
    from connector.client import create_api_key

    with access.node() as (node, _):
        wanted = NewKey(name=name, role=role, participants=tuple(for_ or ["*"]), days=days)
        made = node.send(create_api_key(wanted))
    out.lines(made.model_dump(mode="json"), made.key)


def revoke(access: Access, out: Output, name: Annotated[str, typer.Argument(help="Name of the key.")]) -> None:
    """Make a key good for nothing, at once."""
    from connector.client import revoke_api_key

    with access.node() as (node, _):
        node.send(revoke_api_key(name))
    out.lines({"name": name, "revoked": True}, f"key `{name}` is good for nothing any more")
