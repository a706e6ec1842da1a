"""`kontor reconcile`: negotiations and transfers compared with what the peers hold them for; what differs is brought together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.output import Output, note, table
from connector.errors import ConfigurationError

if TYPE_CHECKING:
    from connector.api.reconciliation import Reconciliation

_HEAD = ("KIND", "PROCESS", "ROLE", "PEER", "HERE", "THERE", "FINDING", "NOTE")


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(
        app, "reconcile", reconcile, example="kontor reconcile --dry-run\nkontor reconcile --peer did:web:other.example --json"
    )


def reconcile(
    access: Access,
    out: Output,
    peer: Annotated[str | None, typer.Option("--peer", help="Only what we have with this participant.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what differs and what would be done.")] = False,
    last: Annotated[bool, typer.Option("--last", help="Begin nothing: show the latest, such as that of a restore.")] = False,
    wait_s: Annotated[float, typer.Option("--wait", min=0, help="Longest wait for what comes of it, seconds.")] = 60,
) -> None:
    """Ask the peers how each process stands that has not ended, or ended within a week, and bring together what differs.

    What a peer went on with is followed, what it missed is told again, and what cannot be told any more is ended on both sides. A
    restored node does so by itself when it starts. Exit code: 0 when all is settled, 1 when somebody must decide or a peer is silent.
    """
    from connector.api.reconciliation import ReconciliationWish
    from connector.client import operating

    if last and (dry_run or peer is not None):
        raise ConfigurationError("`--last` begins nothing", where="--last", mend="leave `--peer` and `--dry-run` out")
    with access.open() as (node, me):
        if last:
            found = node.send(operating.reconciliation(me.participant))
        else:
            begun = node.send(operating.reconcile(me.participant, ReconciliationWish(peer=peer, dry_run=dry_run)))
            call = operating.reconciliation(me.participant, begun.run)
            found = node.wait(call, lambda one: one.is_done, within_s=wait_s)
    out.show(found.model_dump(mode="json"), lambda: _tell(found))
    if not found.is_done or found.waiting or any(one.needs_person for one in found.findings):
        raise typer.Exit(1)


def _tell(found: Reconciliation) -> None:
    rows = (
        (one.kind, one.pid, one.role, one.peer, one.ours or "-", one.theirs or "-", one.finding, one.words)
        for one in found.findings
    )
    table(_HEAD, rows, empty="no process differs")
    whole = sum(found.peers.values())
    print(
        f"{whole} compared with {len(found.peers)} peers{' (dry run)' if found.dry_run else ''}, {found.same} alike; {found.cause}"
    )
    if found.waiting:
        note("not compared yet:")
        late = (
            (one.peer, one.processes, "given up" if one.given_up_at else f"{one.not_before:%Y-%m-%d %H:%M:%S}", one.failure)
            for one in found.waiting
        )
        table(("PEER", "PROCESSES", "AGAIN", "WHY"), late, empty="")
    if found.strays:
        note("not known here, and spoken of by peers:")
        strays = ((one.kind, one.id, one.peer, f"{one.at:%Y-%m-%d %H:%M:%S}") for one in found.strays)
        table(("KIND", "ID", "PEER", "WHEN"), strays, empty="")
    if any(one.needs_person for one in found.findings):
        note("somebody should decide: see the notes above, and `kontor show PROCESS`")
