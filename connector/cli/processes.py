"""Lists of negotiations and transfers, and the whole story of one process."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.output import Output, note, table, tell

if TYPE_CHECKING:
    from connector.api.common import Listing
    from connector.api.decisions import Explanation
    from connector.api.processes import Timeline

State = Annotated[str | None, typer.Option("--state", help="Only those in this state.")]
Role = Annotated[Literal["consumer", "provider"] | None, typer.Option("--role", help="Only those in which this is our role.")]
Peer = Annotated[str | None, typer.Option("--peer", help="Only those with this participant.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="So many on a page.")]
Cursor = Annotated[str | None, typer.Option("--cursor", help="Where the last page ended.")]


def register(app: typer.Typer) -> None:
    """Add the lists and `show` to the commands."""
    command(app, "negotiations", negotiations, example="kontor negotiations --held")
    command(app, "transfers", transfers, example="kontor transfers --state STARTED")
    command(app, "show", show, example="kontor show urn:uuid:4c7c7c3e-2f9c-4d0e-8b57-5d3c1d1e7a10")


def negotiations(
    access: Access, out: Output, state: State = None, role: Role = None, peer: Peer = None,
    held: Annotated[bool, typer.Option("--held", help="Only those that wait for a person here.")] = False,
    limit: Limit = 50, cursor: Cursor = None,
) -> None:  # fmt: skip
    """List negotiations, newest first."""
    with access.open() as (node, me):
        call = me.negotiations(state=state, role=role, peer=peer, is_held=held or None, cursor=cursor, limit=limit)
        page = node.send(call)
    rows = (
        (one.pid, one.role, one.state or "-", one.dataset, one.peer, _worth(one.hold, one.error, one.reasons))
        for one in page.items
    )
    out.rows(_tree(page), ("PROCESS", "ROLE", "STATE", "DATASET", "PEER", "NOTE"), rows, empty="no negotiations")
    more(out, page)


def transfers(
    access: Access, out: Output, state: State = None, role: Role = None, peer: Peer = None,
    limit: Limit = 50, cursor: Cursor = None,
) -> None:  # fmt: skip
    """List transfers, newest first."""
    with access.open() as (node, me):
        page = node.send(me.transfers(state=state, role=role, peer=peer, cursor=cursor, limit=limit))
    rows = (
        (one.pid, one.role, one.state or "-", one.format, one.dataset, one.peer, _worth(one.hold, one.error, one.reasons))
        for one in page.items
    )
    out.rows(_tree(page), ("PROCESS", "ROLE", "STATE", "FORMAT", "DATASET", "PEER", "NOTE"), rows, empty="no transfers")
    more(out, page)


def show(
    access: Access,
    out: Output,
    process: Annotated[str, typer.Argument(help="Our process id, as the lists show it.")],
    language: Annotated[Literal["en", "de", "zh"], typer.Option("--language", help="Of the sentence about its terms.")] = "en",
) -> None:
    """Tell the whole story of a process: every step, who caused it, every delivery attempt and why it failed; and what its terms
    say of it now, with every clause and who sees to it."""
    from connector.client import records

    with access.open() as (node, me):
        story = node.send(me.timeline(process))
        said = node.send(records.explanation(me.participant, process, language))
    out.show({**story.model_dump(mode="json"), "terms": said.model_dump(mode="json")}, lambda: _tell(story, said))


def _tell(story: Timeline, said: Explanation) -> None:
    one = story.process
    tell(f"{one.kind} {one.pid}")
    facts = {
        "state": one.state or "-",
        "role": one.role,
        "peer": f"{one.peer} at {one.peer_address}",
        "peer's process": one.peer_pid,
        "dataset": one.dataset,
        "purpose": one.purpose,
        "on its way": one.in_flight,
        "waits for a person": one.hold,
        "in doubt": "the store was restored, and the peer has not said yet how it stands" if one.in_doubt else None,
        "last failure": one.error,
        "code": one.code,
        "reasons": "; ".join(one.reasons),
        "warnings": "; ".join(one.warnings),
    }
    for name, value in facts.items():
        if value:
            tell(f"  {name + ':':<20}{value}")
    if said.sentence:
        tell(f"  {'terms:':<20}{said.sentence}")
    for clause in said.clauses:
        tell(f"  {'':<20}{' and '.join(clause.enforced)}: {clause.text}")
    tell(f"\ntimes in UTC, {one.created_at:%Y-%m-%d}")
    table(("TIME", "BY", "WHAT", "STATE", "NOTE"), _steps(story), empty="nothing has happened yet")


def _steps(story: Timeline) -> list[tuple[str, ...]]:
    """Everything that happened and is going to, in the order of time."""
    lines: list[tuple[datetime, tuple[str, ...]]] = [
        (one.at, (one.by, one.event, one.state or "", one.note)) for one in story.records
    ]
    for try_ in story.attempts:
        outcome = f"{try_.status}" if try_.status is not None else "no answer"
        again = "" if try_.is_final else "; it is tried again"
        by, what = ("delivery", f"post {try_.event}") if try_.message_id else ("data-plane", f"move {try_.event}")
        lines.append((try_.at, (by, what, "", f"{try_.url}: {try_.cause or outcome}{again}")))
    lines += [(one.at, ("stranger", "refused", "", f"{one.check}: {one.words} (from {one.source})")) for one in story.refused]
    lines.sort(key=lambda line: line[0])
    shown = [(_moment(at), *cells) for at, cells in lines]
    shown += [("waits", "delivery", f"post {one.event}", "", f"{one.url}: tried {one.tries} times") for one in story.pending]
    shown += [(_moment(one.at), "rule", f"due: {one.act}", one.state or "", one.reason) for one in story.due]
    return shown


def _tree(page: Listing[Any]) -> dict[str, Any]:
    return page.model_dump(mode="json")


def more(out: Output, page: Listing[Any]) -> None:
    """Say on stderr that a list goes on."""
    # a list that ends early says so: nobody should take a page for the whole
    if page.next_cursor and not out.as_json:
        note(f"{len(page.items)} of {page.total}; the next with --cursor {page.next_cursor}")


def _worth(hold: str | None, error: str | None, reasons: list[str]) -> str:
    return "; ".join(_said(hold, error, reasons))


def _said(hold: str | None, error: str | None, reasons: list[str]) -> Iterator[str]:
    if hold:
        yield f"waits for a person: {hold}"
    if error:
        yield error
    yield from reasons


def _moment(at: datetime) -> str:
    return f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}"
