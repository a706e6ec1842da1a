"""`kontor serve` and `kontor migrate`: run a node, and bring its store up to this release."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from connector.cli.command import ConfigFile, command
from connector.cli.output import Output
from connector.errors import ConfigurationError


def register(app: typer.Typer) -> None:
    """Add `serve` and `migrate` to the commands."""
    command(app, "serve", serve, example="kontor serve --config kontor.toml")
    command(app, "migrate", migrate, example="kontor migrate --config kontor.toml")


def serve(
    config: ConfigFile = Path("kontor.toml"),
    until_stdin_ends: Annotated[
        bool, typer.Option("--until-stdin-ends", help="Stop when whoever started it is gone: its end of our input closes.")
    ] = False,
) -> None:
    """Run the node that the configuration describes, until it is told to stop (Ctrl-C, SIGTERM)."""
    from connector import app
    from connector.settings import located, read

    settings = read(config)
    if until_stdin_ends:
        threading.Thread(target=_stop_with_stdin, daemon=True).start()
    try:
        # what is wrong with the file is said before anything is opened, whatever else stands in the way
        app.check(settings)
        app.serve(settings)
    except ConfigurationError as fault:
        raise located(fault, config) from fault


def migrate(out: Output, config: ConfigFile = Path("kontor.toml")) -> None:
    """Bring the store of the node up to this release. Stop the node first; back the store up."""
    import asyncio

    from connector import app
    from connector.settings import located, read

    try:
        before, after = asyncio.run(app.migrate(read(config)))
    except ConfigurationError as fault:
        raise located(fault, config) from fault
    said = f"the store is at version {after} already" if before == after else f"the store went from version {before} to {after}"
    out.lines({"before": before, "after": after}, said)


def _stop_with_stdin() -> None:
    # not through `sys.stdin`: its lock, held by a waiting thread, aborts the interpreter when it ends for another reason
    while os.read(0, 1 << 16):
        continue
    os.kill(os.getpid(), signal.SIGTERM)
