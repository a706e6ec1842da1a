"""`kontor authority keys`: the keys of a data space's authority, listed, replaced and revoked without a gap."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.output import Output

Purpose = Literal["token", "credential", "status-list", "trust-list"]


def register(app: typer.Typer) -> None:
    """Add `keys` to the commands of the authority."""
    group = typer.Typer(
        help="Keys of the authority: for its messages, credentials, status lists, and lists of the space.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    command(group, "list", list_, example="kontor authority keys list")
    command(group, "rotate", rotate, example="kontor authority keys rotate credential")
    command(group, "revoke", revoke, example="kontor authority keys revoke credential-1")
    app.add_typer(group, name="keys")


def list_(access: Access, out: Output) -> None:
    """List the keys with their purpose and state; private parts stay where they are."""
    from connector.client import authority

    with access.node() as (node, _):
        found = node.send(authority.keys())
    rows = [[one.name, one.purpose, one.state, f"{one.begins:%Y-%m-%d %H:%M}", one.type] for one in found.items]
    out.rows(found.model_dump(mode="json"), ["name", "purpose", "state", "signs from", "type"], rows, empty="there is no key")


def rotate(
    access: Access,
    out: Output,
    purpose: Annotated[Purpose, typer.Argument(help="What the key is for.")],
    type: Annotated[Literal["P-256", "P-384", "Ed25519"], typer.Option(help="P-256 is what every connector reads.")] = "P-256",
) -> None:
    """Replace a key: the new one is published now and signs when everybody has seen it.

    What the old one has signed holds as long as that stays published: revoke it when the last credential that it signed is over.
    """
    from connector.api.identity import NewAuthorityKey
    from connector.client import authority

    with access.node() as (node, _):
        made = node.send(authority.rotate_key(NewAuthorityKey(purpose=purpose, type=type)))
    out.lines(made.model_dump(mode="json"), f"{made.state}  {made.name} signs from {made.begins:%Y-%m-%d %H:%M:%S} UTC on")


def revoke(
    access: Access,
    out: Output,
    name: Annotated[str, typer.Argument(help="Name of the key, as `kontor authority keys list` shows it.")],
) -> None:
    """Take a key out of the authority's document at once: what it signed counts no more.

    Where it signed credentials, every active member is offered new ones.
    """
    from connector.client import authority

    with access.node() as (node, _):
        done = node.send(authority.revoke_key(name))
    out.lines(done.model_dump(mode="json"), f"REVOKED  {name}", *([f"offered to {done.offers} members"] if done.offers else []))
