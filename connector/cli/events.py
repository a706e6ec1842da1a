"""`kontor events`: what happens to negotiations and transfers, as a list or as it happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.output import Output, note, spelled, tell

if TYPE_CHECKING:
    from connector.api.events import Event

_WAIT_S = 25.0
"""How long one question waits for news while events are followed."""


def register(app: typer.Typer) -> None:
    """Add it to the commands."""
    command(app, "events", events, example="kontor events --follow")


def events(
    access: Access,
    out: Output,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what happens next, until you stop it.")] = False,
    after: Annotated[str | None, typer.Option(help="Only what happened behind this position.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many transactions at most, when not following.")] = 100,
) -> None:
    """List what happened to negotiations and transfers, oldest first. JSON is one event a line."""
    with access.open() as (node, me):
        while True:
            page = node.send(me.events(after=after, limit=limit, wait_s=_WAIT_S if follow else None))
            for one in page.items:
                tell(spelled(one.model_dump_json()) if out.as_json else _line(one), flush=True)
            has_more = page.position != after and bool(page.items)
            after = page.position
            if not follow:
                break
    if not out.as_json:
        note(f"{'read on' if has_more else 'nothing new; later'} with --after {after}")


def _line(one: Event) -> str:
    why = f"  {one.note}" if one.note else ""
    return (
        f"{one.at:%Y-%m-%d %H:%M:%S}  {one.kind} {one.pid}  {one.event} by {one.by} -> {one.state or '-'}  {one.dataset}{why}"
    )
