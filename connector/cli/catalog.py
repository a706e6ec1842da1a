"""`kontor catalog`: what a peer offers us, or what we offer."""

from __future__ import annotations

from typing import Annotated

import typer

from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.output import Output, note


def register(app: typer.Typer) -> None:
    """Add `catalog` to the commands."""
    command(app, "catalog", catalog, example="kontor catalog https://data.example.org/weather/dsp/2025-1")


def catalog(
    access: Access,
    out: Output,
    address: Annotated[
        str | None, typer.Argument(help="Address of the peer's connector; our own catalogue when left out.")
    ] = None,
    peer: Annotated[str | None, typer.Option(help="The peer's participant id, where its token depends on it.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many datasets.")] = None,
) -> None:
    """Show the datasets and offers of a peer, or our own."""
    from connector.api.catalog import CatalogRequest
    from connector.cli.offers import datasets, terms

    with access.open() as (node, me):
        if address is None:
            tree = node.send(me.catalog())
        else:
            answer = node.send(me.catalog_of(CatalogRequest(address=address, peer=peer, limit=limit)))
            tree = answer.catalog
            for warning in answer.warnings:
                note(f"warning: {warning}")
    rows = [
        (one.id, one.title, ", ".join(one.keywords), ", ".join(one.formats), offer.get("@id"), terms(offer))
        for one in datasets(tree)
        for offer in one.offers
    ]
    head = ("DATASET", "TITLE", "KEYWORDS", "FORMATS", "OFFER", "TERMS")
    out.rows(tree, head, rows, empty="nothing is offered here" if address else "nothing is offered yet; see `kontor publish`")
