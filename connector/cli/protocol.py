"""`kontor protocol diagram`: the state machines as they are in the tables that the node follows."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from connector.cli.command import command
from connector.cli.output import Output


def register(app: typer.Typer) -> None:
    """Add `protocol` to the commands."""
    group = typer.Typer(help="The protocol, as this node follows it.", no_args_is_help=True, rich_markup_mode=None)
    command(group, "diagram", diagram, example="kontor protocol diagram --kind negotiation")
    app.add_typer(group, name="protocol")


def diagram(
    out: Output,
    kind: Annotated[Literal["negotiation", "transfer"] | None, typer.Option(help="Which machine; both when left out.")] = None,
) -> None:
    """Print the state machines of the Dataspace Protocol as Mermaid diagrams, from the tables that the node follows."""
    from connector.dsp.tables import TABLES, Kind
    from connector.dsp.tables import diagram as drawn

    kinds = [Kind(kind)] if kind else list(TABLES)
    tree = {
        one.value: [
            {"from": state, "to": move.to, "by": move.sender, "event": move.event, "only_accepted": move.only_accepted}
            for state, moves in TABLES[one].items()
            for move in moves
        ]
        for one in kinds
    }
    out.lines(tree, "\n\n".join(drawn(one) for one in kinds))
