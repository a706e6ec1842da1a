"""`kontor visible`: why somebody sees an offer of ours, or does not."""

from __future__ import annotations

from typing import Annotated

import typer

from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.output import Output


def register(app: typer.Typer) -> None:
    """Add `visible` to the commands."""
    command(app, "visible", visible, example="kontor visible urn:example:weather did:web:consumer.example")


def visible(
    access: Access,
    out: Output,
    dataset: Annotated[str, typer.Argument(help="Id of a dataset of ours.")],
    party: Annotated[str, typer.Argument(help="Participant id of whoever looks.")],
) -> None:
    """Say for each offer of a dataset whether a participant sees it, by what is known of it now, and why not."""
    with access.open() as (node, me):
        found = node.send(me.visibility(dataset, party))
    rows = (
        (one.offer, one.definition, "yes" if one.is_visible else "no", one.access_policy or "-", "; ".join(one.reasons))
        for one in found.offers
    )
    out.rows(
        found.model_dump(mode="json"), ("OFFER", "DEFINITION", "SEEN", "ACCESS POLICY", "WHY NOT"), rows, empty="no offers"
    )
