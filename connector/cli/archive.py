"""`kontor backup`, `restore`, `export`, `import`: the whole store in a file, and a store from such a file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from connector.cli.command import ConfigFile, command
from connector.cli.output import Output
from connector.errors import ConfigurationError

File = Annotated[Path, typer.Argument(help="The archive, such as `kontor-2026-11-28.archive`.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "backup", backup, example="kontor backup kontor.archive --config kontor.toml")
    command(app, "restore", restore, example="kontor restore kontor.archive --config kontor.toml")
    command(app, "export", export, example="kontor export kontor.archive --config sqlite.toml")
    command(app, "import", import_, example="kontor import kontor.archive --config postgres.toml")


def backup(out: Output, file: File, config: ConfigFile = Path("kontor.toml")) -> None:
    """Write the whole store to a new file, as it is at one moment; the node may go on. Keep `secrets.key` and the data folder too."""
    from connector import app

    _done(out, app.backup, file, config, "written")


def restore(out: Output, file: File, config: ConfigFile = Path("kontor.toml")) -> None:
    """Fill the new, empty store of the configuration from a backup. Nothing is ever overwritten."""
    from connector import app

    _done(out, app.restore, file, config, "restored, each compared with the file")


def export(out: Output, file: File, config: ConfigFile = Path("kontor.toml")) -> None:
    """Write the whole store to a file for a store of another kind; stop the node first, so that nothing comes after it."""
    from connector import app

    _done(out, app.backup, file, config, "written")


def import_(out: Output, file: File, config: ConfigFile = Path("kontor.toml")) -> None:
    """Fill the new, empty store of the configuration, of whichever kind it is, and compare every field."""
    from connector import app

    _done(out, app.restore, file, config, "imported, each compared with the file")


def _done(
    out: Output, work: Callable[[Any, Path], Coroutine[Any, Any, Mapping[str, int]]], file: Path, config: Path, what: str
) -> None:
    from connector.settings import located, read

    try:
        counts = asyncio.run(work(read(config), file))
    except ConfigurationError as fault:
        raise located(fault, config) from fault
    out.lines({"file": str(file), "rows": dict(counts)}, f"{sum(counts.values())} rows {what}: `{file}`")
