"""`kontor backup`, `restore`, `export`, `import`, `compact`: the whole store in a file, a store from such a file, and its room."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from connector.cli.command import ConfigFile, command
from connector.cli.output import Output, note
from connector.errors import ConfigurationError

File = Annotated[Path, typer.Argument(help="The archive, such as `kontor-2026-11-28.archive`.")]

PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", help="File with a passphrase: the key that opens secrets is in the archive, sealed under it."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "backup", backup, example="kontor backup kontor.archive --config kontor.toml")
    command(app, "restore", restore, example="kontor restore kontor.archive --config kontor.toml")
    command(app, "export", export, example="kontor export kontor.archive --config sqlite.toml")
    command(app, "compact", compact, example="kontor compact --config kontor.toml")
    command(app, "import", import_, example="kontor import kontor.archive --config postgres.toml")


def backup(out: Output, file: File, config: ConfigFile = Path("kontor.toml"), passphrase_file: PassphraseFile = None) -> None:
    """Write the whole store to a new file, as it is at one moment; the node may go on. What is not in it is told."""
    _written(out, file, config, passphrase_file)


def restore(out: Output, file: File, config: ConfigFile = Path("kontor.toml"), passphrase_file: PassphraseFile = None) -> None:
    """Fill the new, empty store of the configuration from a backup, of an earlier release, too. Nothing is ever overwritten."""
    _filled(out, file, config, passphrase_file, is_behind=True)


def compact(
    out: Output,
    config: ConfigFile = Path("kontor.toml"),
    full: Annotated[
        bool, typer.Option("--full", help="Write the tables of a PostgreSQL database anew; stop its nodes first.")
    ] = False,
) -> None:
    """Give what is free in the store back to the disk; a running node does so by itself, but for a file of an earlier release.

    Stop the node for that one: it is written anew, once. A PostgreSQL server is asked to vacuum now, beside its nodes: that makes room
    for new rows, and gives back what is free at the end of a table; the rest with `--full`.
    """
    from connector.app import compacting
    from connector.settings import located, read

    try:
        found = asyncio.run(compacting.compact(read(config), is_full=full))
    except ConfigurationError as fault:
        raise located(fault, config) from fault
    tree = [{"where": one.where, "before_bytes": one.before_bytes, "after_bytes": one.after_bytes} for one in found]
    said = (
        f"{one.before_bytes / (1 << 20):.1f} MiB before, {one.after_bytes / (1 << 20):.1f} after: `{one.where}`"
        for one in found
    )
    out.lines(tree, *said)


def export(out: Output, file: File, config: ConfigFile = Path("kontor.toml"), passphrase_file: PassphraseFile = None) -> None:
    """Write the whole store to a file for a store of another kind; stop the node first, so that nothing comes after it."""
    _written(out, file, config, passphrase_file)


def import_(out: Output, file: File, config: ConfigFile = Path("kontor.toml"), passphrase_file: PassphraseFile = None) -> None:
    """Fill the new, empty store of the configuration, of whichever kind it is, and compare every field."""
    _filled(out, file, config, passphrase_file, is_behind=False)


def _written(out: Output, file: Path, config: Path, passphrase_file: Path | None) -> None:
    from connector.app import archives
    from connector.settings import located, read

    cleared = _cleared(file)
    try:
        settings = read(config)
        counts = asyncio.run(archives.backup(settings, file, _passphrase(passphrase_file)))
    except ConfigurationError as fault:
        raise located(fault, config) from fault
    missing = archives.left_out(settings, has_key=passphrase_file is not None)
    tree = {"file": str(file), "rows": dict(counts), "left_out": list(missing), "cleared": list(cleared)}
    out.lines(tree, f"{sum(counts.values())} rows written: `{file}`")
    if not out.as_json:
        for one in missing:
            note(f"not in it: {one}")


def _filled(out: Output, file: Path, config: Path, passphrase_file: Path | None, *, is_behind: bool) -> None:
    from connector.app import archives
    from connector.settings import located, read

    cleared = _cleared(file)
    try:
        counts = asyncio.run(archives.restore(read(config), file, _passphrase(passphrase_file), is_behind=is_behind))
        written_at = archives.written_at(file)
    except ConfigurationError as fault:
        raise located(fault, config) from fault
    tree = {"file": str(file), "rows": dict(counts), "written_at": written_at, "cleared": list(cleared)}
    what = "restored" if is_behind else "imported"
    out.lines(tree, f"{sum(counts.values())} rows {what}, each compared with the file: `{file}`")
    if is_behind and not out.as_json:
        note(
            f"not in it: what happened after {written_at}. When the node starts it asks the peers how each negotiation and transfer"
            " stands that had not ended, and gives nothing out under it before: `kontor reconcile --last` shows what came of it"
        )
        note(
            "what no peer can tell: agreements that were ended here after that moment (the API's `POST …/agreements/ID/end` ends them"
            " again), uses that were counted, and agreements that peers hold since (`POST …/agreements` takes them in)"
        )


def _cleared(file: Path) -> tuple[str, ...]:
    from connector.app import archives

    found = archives.cleared(file)
    for one in found:
        note(f"cleared away what a backup that was killed had left: {one}")
    return found


def _passphrase(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        what = f"the passphrase cannot be read: {getattr(fault, 'strerror', None) or fault}"
        raise ConfigurationError(what, where=str(file), mend="name a file with it in `--passphrase-file`") from fault
