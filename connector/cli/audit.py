"""`kontor audit`: who did what with the node, and whether the trail of it is whole."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.output import Output, note
from connector.errors import KontorError

if TYPE_CHECKING:
    from connector.api.audit import AuditEntry


def register(app: typer.Typer) -> None:
    """Add `audit` to the commands."""
    command(
        app,
        "audit",
        audit,
        example="kontor audit --node --since 2026-11-01T00:00:00Z\nkontor audit --verify --noted 117:9f86d0…",
    )


def audit(
    access: Access,
    out: Output,
    node: Annotated[bool, typer.Option("--node", help="Acts on the node itself, instead of those for a participant.")] = False,
    since: Annotated[str | None, typer.Option(help="Not before this moment, such as 2026-11-01T00:00:00Z.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this moment.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many entries at most.")] = 100,
    cursor: Annotated[str | None, typer.Option(help="Go on where the last part ended.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Check that nothing was removed, changed or moved.")] = False,
    noted: Annotated[str | None, typer.Option(help="With `--verify`: an entry written down earlier, as NUMBER:DIGEST.")] = None,
) -> None:
    """Show the acts of operators, newest first: who, what, from where, and how it ended."""
    from connector import client

    parts = re.fullmatch(r"([1-9]\d{0,15}):([0-9a-f]{64})", noted) if noted else None
    if noted and (parts is None or not verify):
        raise typer.BadParameter("NUMBER:DIGEST of an entry, together with `--verify`", param_hint="--noted")
    with access.open() if not node else access.node() as (running, place):
        whose = None if node else getattr(place, "participant", None)
        if not verify:
            page = running.send(client.audit(whose, since=since, until=until, cursor=cursor, limit=limit))
        else:
            number, sha256 = (int(parts[1]), parts[2]) if parts else (None, None)
            verdict = running.send(client.verify_audit(whose, number=number, sha256=sha256))
    if verify:
        said = f"whole: {verdict.checked} entries; note {verdict.last_number}:{verdict.last_sha256}"
        out.lines(verdict.model_dump(mode="json"), said if verdict.is_whole else f"broken: {verdict.fault}")
        if not verdict.is_whole:
            raise KontorError(
                "the audit trail is not whole", where=whose or "node", mend="compare it with a backup of the store"
            )
        return
    head = ("NUMBER", "AT", "WHO", "FROM", "WHAT", "RESULT")
    out.rows(page.model_dump(mode="json"), head, _rows(page.items), empty="nothing was done yet")
    if page.next_cursor and not out.as_json:
        note(f"more: --cursor {page.next_cursor}")


def _rows(entries: list[AuditEntry]) -> list[tuple[object, ...]]:
    """One row an act: its two entries put together where both are here."""
    results = {entry.act: entry for entry in entries if entry.stage == "answered"}
    acts = {entry.act for entry in entries if entry.stage != "answered"}
    rows: list[tuple[object, ...]] = []
    for entry in entries:
        if entry.stage == "answered" and entry.act in acts:
            continue
        ended = results.get(entry.act, entry)
        result = " ".join(str(one) for one in (ended.status, ended.object, ended.cause) if one) or "cut off"
        rows.append((entry.number, f"{entry.at:%Y-%m-%d %H:%M:%S}", entry.who, entry.source, entry.what, result))
    return rows
