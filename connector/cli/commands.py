"""All commands of `kontor` under one roof: the list that `kontor --help` shows."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated

import typer

from connector import __version__

_SUBJECTS = (
    "init", "serve", "describe", "publish", "visible", "catalog", "search", "ledgers", "negotiate", "get", "acts", "processes",
    "agreements", "reconcile", "participants", "dataplanes", "decisions", "approvals", "events", "jobs", "webhooks", "identity",
    "credentials", "join", "authority", "keys", "audit", "archive", "doctor", "config", "policy", "protocol", "demo",
)  # fmt: skip
"""The modules of this room that have commands, in the order of the help."""
_ALONE = {"serve": ("serve",), "migrate": ("serve",)}
"""Commands that load nothing but their own subject: a node starts sooner without the others."""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kontor {__version__}")
        raise typer.Exit


def _kontor(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """The options of `kontor` itself."""


def roof(first_word: str = "") -> typer.Typer:
    """All commands; only those of one subject where `first_word`, the command line's first, asks for it alone."""
    app = typer.Typer(
        help="Run a data space connector, publish data with its terms, and get data from others under a contract.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_kontor)
    for subject in _ALONE.get(first_word, _SUBJECTS):
        import_module(f"connector.cli.{subject}").register(app)
    return app
