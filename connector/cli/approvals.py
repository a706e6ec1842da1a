"""`kontor approvals`: what waits for a person, with what it is about; and the person's word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from connector.cli.access import Access
from connector.cli.acts import Code, Pid
from connector.cli.command import command
from connector.cli.groups import listing
from connector.cli.output import Output, note
from connector.cli.processes import Cursor, Limit, more

if TYPE_CHECKING:
    from connector.api.approvals import Approval
    from connector.api.processes import Process

Kind = Annotated[Literal["negotiation", "transfer"], typer.Option("--kind", help="Of which processes.")]


def register(app: typer.Typer) -> None:
    """Add `approvals` to the commands."""
    group = listing(app, "approvals", "What waits for a person: without a word, the list of it.")
    command(group, "list", list_, example="kontor approvals list")
    command(group, "approve", approve, example="kontor approvals approve urn:uuid:4c7c7c3e-2f9c-4d0e-8b57-5d3c1d1e7a10")
    command(group, "reject", reject, example='kontor approvals reject urn:uuid:4c7c... --reason "not in this quarter"')


def list_(access: Access, out: Output, kind: Kind = "negotiation", limit: Limit = 50, cursor: Cursor = None) -> None:
    """List what waits for a person, newest first: who wants what for which purpose, under which terms, and why it waits."""
    from connector.client import operating

    with access.open() as (node, me):
        page = node.send(operating.approvals(me.participant, kind=kind, limit=limit, cursor=cursor))
    head = ("PROCESS", "PEER", "DATASET", "PURPOSE", "TERMS", "SINCE", "WHY")
    out.rows(page.model_dump(mode="json"), head, [_row(one) for one in page.items], empty="nothing waits for a person")
    if page.items and not out.as_json:
        note("`kontor approvals approve PROCESS`, `reject PROCESS --reason TEXT`, or `kontor counter PROCESS --terms FILE`")
    more(out, page)


def approve(access: Access, out: Output, process: Pid) -> None:
    """Let go on what waits for a person, as it would have without one."""
    from connector.client import operating

    with access.open() as (node, me):
        _show(out, node.send(operating.approve(me.participant, process)))


def reject(
    access: Access, out: Output, process: Pid,
    reason: Annotated[str, typer.Option("--reason", help="Why, in words that the peer gets to read.")],
    code: Code = None,
) -> None:  # fmt: skip
    """End what waits for a person, and tell the peer why."""
    from connector.api.approvals import Rejection
    from connector.client import operating

    with access.open() as (node, me):
        _show(out, node.send(operating.reject(me.participant, process, Rejection(reason=reason, code=code))))


def _show(out: Output, process: Process) -> None:
    way = f"  `{process.in_flight}` is on its way to the peer" if process.in_flight else ""
    out.lines(process.model_dump(mode="json"), f"{process.state}  {process.kind} {process.pid}{way}")


def _row(one: Approval) -> tuple[object, ...]:
    from connector.cli.offers import terms

    process = one.process
    said = terms(process.offer) if process.kind == "negotiation" else f"agreement {process.agreement_id}"
    return process.pid, process.peer, process.dataset, process.purpose or "-", said, f"{one.since:%Y-%m-%d %H:%M}", one.why
