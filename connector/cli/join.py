"""`kontor join`: take part in a data space, with one command; and the spaces that a participant takes part in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.output import Output, note
from connector.errors import PeerError

if TYPE_CHECKING:
    from connector.api.spaces import JoinedSpace

_OVER = ("ACTIVE", "REVOKED")


def register(app: typer.Typer) -> None:
    """Add `join`, `leave` and `spaces` to the commands."""
    command(app, "join", join, example="kontor join https://authority.example.org --attribute region=EU")
    command(app, "spaces", spaces, example="kontor spaces --json")
    command(app, "leave", leave, example="kontor leave urn:space:example")


def join(
    access: Access,
    out: Output,
    authority: Annotated[
        str, typer.Argument(metavar="AUTHORITY_URL", help="Address of the authority, as the alliance gave it.")
    ],
    attribute: Annotated[
        list[str] | None,
        typer.Option(
            "--attribute", metavar="NAME=VALUE", help="What to say of yourself; the authority confirms or corrects it."
        ),
    ] = None,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Longest wait for the credential, in seconds.")] = 60,
) -> None:
    """Join a data space: apply, prove who you are, wait to be taken in, get the credential and the lists.

    The node goes on by itself when the command ends earlier; `kontor spaces` tells how far it is.
    """
    from connector.api.spaces import SpaceWish
    from connector.cli.authority import pairs

    with access.open() as (node, me):
        one = node.send(me.join_space(SpaceWish(authority=authority, attributes=pairs(attribute))))
        if not out.as_json:
            note(f"applied to {one.title or one.space} ({one.authority}): {_state(one)}")
        found = node.wait(me.spaces(), lambda all_: _is_over(_of(all_.items, one)), within_s=wait)
    now = _of(found.items, one)
    out.lines(now.model_dump(mode="json"), f"{_state(now)}  {now.space}")
    if now.state != "ACTIVE" and (now.error or now.state == "REVOKED"):
        raise PeerError(now.error or "the authority has refused", where=now.authority, mend="ask the authority")
    if now.state != "ACTIVE" and wait:
        note("not yet; the node goes on by itself, `kontor spaces` tells how far it is")
        raise typer.Exit(1)


def spaces(access: Access, out: Output) -> None:
    """List the data spaces of a participant, and how it stands in each."""
    with access.open() as (node, me):
        found = node.send(me.spaces()).items
    rows = [(one.space, one.state, one.authority, ", ".join(one.types), one.error) for one in found]
    tree = [one.model_dump(mode="json") for one in found]
    out.rows(tree, ("SPACE", "STATE", "AUTHORITY", "CREDENTIALS", "NOTE"), rows, empty="none; `kontor join` joins one")


def leave(access: Access, out: Output, space: Annotated[str, typer.Argument(help="The space's id.")]) -> None:
    """Take no part in a data space any more; its authority is told, and withdraws what it gave."""
    with access.open() as (node, me):
        node.send(me.leave_space(space))
    out.lines({"space": space, "left": True}, f"left {space}")


def _of(all_: list[JoinedSpace], wanted: JoinedSpace) -> JoinedSpace:
    return next((one for one in all_ if one.space == wanted.space), wanted)


def _is_over(one: JoinedSpace) -> bool:
    return one.state in _OVER or bool(one.error)


def _state(one: JoinedSpace) -> str:
    words = {"VERIFIED": "VERIFIED (the authority decides)", "APPROVED": "APPROVED (the credential is on its way)"}
    return words.get(one.state, one.state)
