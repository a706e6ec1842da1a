"""The keys of a participant: listed, replaced, revoked; and the DID document that publishes them."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.output import Output

Purpose = Literal["token", "presentation", "credential", "status-list", "access", "oauth2"]


def register(app: typer.Typer) -> None:
    """Add `kontor identity` to the commands."""
    group = typer.Typer(
        help="What a participant proves itself with: its keys, and the document that publishes them.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    command(group, "keys", keys, example="kontor identity keys --json")
    command(group, "rotate", rotate, example="kontor identity rotate token")
    command(group, "revoke", revoke, example="kontor identity revoke token-1")
    command(group, "document", document, example="kontor identity document --json")
    app.add_typer(group, name="identity")


def keys(access: Access, out: Output) -> None:
    """All keys with their purpose and state; private parts stay where they are."""
    with access.open() as (node, me):
        found = node.send(me.keys())
    rows = [[one.name, one.purpose, one.state, f"{one.begins:%Y-%m-%d %H:%M}", one.type] for one in found.items]
    out.rows(found.model_dump(mode="json"), ["name", "purpose", "state", "signs from", "type"], rows, empty="there is no key")


def rotate(
    access: Access,
    out: Output,
    purpose: Annotated[Purpose, typer.Argument(help="What the key is for.")],
    type: Annotated[Literal["P-256", "P-384", "Ed25519"], typer.Option(help="P-256 is what every connector reads.")] = "P-256",
) -> None:
    """Replace a key: the new one is published now and signs when everybody has seen it; nothing stops meanwhile."""
    from connector.api.identity import NewIdentityKey

    with access.open() as (node, me):
        made = node.send(me.rotate_key(NewIdentityKey(purpose=purpose, type=type)))
    out.lines(made.model_dump(mode="json"), f"{made.state}  {made.name} signs from {made.begins:%Y-%m-%d %H:%M:%S} UTC on")


def revoke(
    access: Access,
    out: Output,
    name: Annotated[str, typer.Argument(help="Name of the key, as `kontor identity keys` shows it.")],
) -> None:
    """Take a key out of the DID document at once: what it signed counts no more."""
    with access.open() as (node, me):
        node.send(me.revoke_key(name))
    out.lines({"revoked": name}, f"REVOKED  {name}")


def document(access: Access, out: Output) -> None:
    """The DID document, to be published elsewhere when the DID does not lead to this node."""
    import json

    with access.open() as (node, me):
        found = node.send(me.did_document())
    out.lines(found, json.dumps(found, indent=2))
