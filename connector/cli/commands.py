"""All commands of `kontor` under one roof: the list that `kontor --help` shows."""

from __future__ import annotations

from typing import Annotated

import typer

from connector import __version__
from connector.cli import (
    acts,
    catalog,
    config,
    demo,
    describe,
    get,
    init,
    negotiate,
    policy,
    processes,
    protocol,
    publish,
    serve,
)

app = typer.Typer(
    help="Run a data space connector, publish data with its terms, and get data from others under a contract.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kontor {__version__}")
        raise typer.Exit


@app.callback()
def kontor(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """The options of `kontor` itself."""


for room in (init, serve, describe, publish, catalog, negotiate, get, acts, processes, config, policy, protocol, demo):
    room.register(app)
