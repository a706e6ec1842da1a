"""`kontor decisions`: what the policy engine decided, from what, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.output import Output
from connector.cli.processes import Cursor, Limit, more

if TYPE_CHECKING:
    from connector.api.decisions import Decision

Question = Annotated[
    Literal["catalog", "negotiate", "terms", "offer", "agree", "transfer", "ongoing", "request", "collect"] | None,
    typer.Option("--question", help="Only those in which this was asked."),
]
Effect = Annotated[Literal["permit", "deny", "void"] | None, typer.Option("--effect", help="Only those that came to this.")]


def register(app: typer.Typer) -> None:
    """Add `decisions` to the commands."""
    command(app, "decisions", decisions, example="kontor decisions --effect deny --question request")


def decisions(
    access: Access, out: Output, question: Question = None, effect: Effect = None,
    about: Annotated[str | None, typer.Option("--about", help="Only those about this offer or agreement.")] = None,
    process: Annotated[str | None, typer.Option("--process", help="Only those of this process of ours.")] = None,
    peer: Annotated[str | None, typer.Option("--peer", help="Only those about this participant.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="Not before this moment, such as 2026-11-01T00:00:00Z.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Before this moment.")] = None,
    limit: Limit = 50, cursor: Cursor = None,
) -> None:  # fmt: skip
    """List what the policy engine decided, newest first; `--json` has what each decision was made from, too."""
    from connector.client import records

    with access.open() as (node, me):
        call = records.decisions(
            me.participant,
            question=question,
            effect=effect,
            about=about,
            process=process,
            peer=peer,
            since=since,
            until=until,
            limit=limit,
            cursor=cursor,
        )
        page = node.send(call)
    head = ("NUMBER", "AT", "QUESTION", "EFFECT", "ABOUT", "PEER", "WHY")
    rows = [_row(one) for one in page.items]
    out.rows(page.model_dump(mode="json"), head, rows, empty="nothing was decided")
    more(out, page)


def _row(one: Decision) -> tuple[object, ...]:
    why = f"{one.lost} decisions were lost" if one.lost else "; ".join(_why(reason) for reason in one.because)
    return one.number, f"{one.at:%Y-%m-%d %H:%M:%S}", one.question, one.effect, one.about, one.peer, why


def _why(reason: dict[str, object]) -> str:
    return " ".join(str(reason[name]) for name in ("operand", "code", "text") if name in reason)
