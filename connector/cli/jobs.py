"""`kontor jobs`: background work that waits, that failed, that was given up; and taking it up again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from connector.cli.access import Access, has_participants
from connector.cli.command import command
from connector.cli.groups import listing
from connector.cli.output import Output
from connector.cli.processes import Cursor, Limit, more

if TYPE_CHECKING:
    from connector.api.jobs import Job
    from connector.client import Client

Kind = Annotated[str, typer.Argument(help="Its kind.")]
Id = Annotated[str, typer.Argument(help="Its id.")]
Of = Annotated[
    Literal["node", "authority", "catalog"] | None,
    typer.Option(
        "--of",
        help="Work that belongs to no participant: the node's own, or that of a role. Without participants the node's is meant.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add `jobs` to the commands."""
    group = listing(app, "jobs", "Background work: without a word, the list of it.")
    command(group, "list", list_, example="kontor jobs list --given-up")
    command(group, "retry", retry, example="kontor jobs retry webhook 'erp 17-0.0'")
    command(group, "drop", drop, example="kontor jobs drop webhook 'erp 17-0.0'")


def list_(
    access: Access, out: Output,
    given_up: Annotated[bool, typer.Option("--given-up", help="Only what was given up.")] = False,
    kind: Annotated[str | None, typer.Option("--kind", help="Only work of this kind.")] = None,
    of: Of = None, limit: Limit = 50, cursor: Cursor = None,
) -> None:  # fmt: skip
    """List background work, newest first: what waits, how often it was tried, and why that failed."""
    from connector.client import operating

    with _opened(access, of) as (node, whose):
        page = node.send(operating.jobs(whose, of=of, kind=kind, is_given_up=given_up or None, cursor=cursor, limit=limit))
    head = ("KIND", "ID", "SINCE", "TRIES", "STANDING", "LAST FAILURE")
    out.rows(page.model_dump(mode="json"), head, [_row(one) for one in page.items], empty="no work waits")
    more(out, page)


def retry(access: Access, out: Output, kind: Kind, id_: Id, of: Of = None) -> None:
    """Take up work again that was given up."""
    from connector.client import operating

    with _opened(access, of) as (node, whose):
        found = node.send(operating.retry_job(kind, id_, whose, of=of))
    out.lines(found.model_dump(mode="json"), f"taken up again: {found.kind} {found.id}")


def drop(access: Access, out: Output, kind: Kind, id_: Id, of: Of = None) -> None:
    """Have work never done: it is forgotten, whatever it is at."""
    from connector.client import operating

    with _opened(access, of) as (node, whose):
        node.send(operating.drop_job(kind, id_, whose, of=of))
    out.lines({"kind": kind, "id": id_}, f"dropped: {kind} {id_}")


@contextlib.contextmanager
def _opened(access: Access, of: str | None) -> Iterator[tuple[Client, str | None]]:
    """The node, and the participant whose work is meant; None for the work of no participant.

    That is meant, too, where a node without participants is asked and none is named.
    """
    with access.node() as (node, _):
        if of is not None or (access.participant is None and not has_participants(node)):
            yield node, None
            return
    with access.open() as (node, me):
        yield node, me.participant


def _row(one: Job) -> tuple[object, ...]:
    if one.given_up_at is not None:
        standing = f"given up {one.given_up_at:%Y-%m-%d %H:%M:%S}"
    elif one.node is not None:
        standing = f"at it: {one.node}"
    else:
        standing = f"not before {one.not_before:%Y-%m-%d %H:%M:%S}"
    last = one.failures[-1].cause if one.failures else ""
    return one.kind, one.id, f"{one.created_at:%Y-%m-%d %H:%M:%S}", one.tries, standing, last
