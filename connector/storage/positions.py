"""Positions of the feed as texts, and what a row of a step says in it; shared by the adapters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from connector.dsp.tables import Kind, Role
from connector.errors import BadMessage
from connector.ports.feed import Happening
from connector.storage import codec


def numbers(position: str | None, count: int) -> tuple[int, ...]:
    """The `count` numbers in a position; zeros for None.

    Raises: BadMessage when it is none of this store.
    """
    if position is None:
        return (0,) * count
    parts = position.split("-")
    if len(parts) != count or not all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts):
        raise BadMessage(
            "this is no position of this feed", where="after", mend="pass the id or position of an event, unchanged"
        )
    return tuple(map(int, parts))


def happenings(position: str, row: Iterable[Any]) -> tuple[Happening, ...]:
    """What the row of a step says: kind, participant, pid, role, peer, dataset, agreement id, records."""
    kind, participant, pid, role, peer, dataset, agreement_id, records = row
    return tuple(
        Happening(
            id=f"{position}.{number}",
            position=position,
            kind=Kind(kind),
            participant=participant,
            pid=pid,
            role=Role(role),
            peer=peer,
            dataset=dataset,
            agreement_id=agreement_id,
            record=record,
        )
        for number, record in enumerate(codec.decode_records(records))
    )
