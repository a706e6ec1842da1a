"""Rows of the record, read and written: members, entries, products, reports.

What lives here: the form of values in columns. What does not: SQL (`sql/catalog`), and what a row means (`records.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final

import orjson

from connector.ports.catalog import Change, Entry, MemberKind, MemberRow, MemberState, Product, Report, Verdict
from connector.storage.catalog.engine import Row
from connector.storage.codec import micros, moment_of

NAMED: Final = 1
PLACED: Final = 2
"""Why an endpoint counts as that of its origin: its signed description names it, or it lies at one of the origin's places."""
_MOST_TOLD: Final = 100
_MOST_READERS: Final = 64 << 10
"""Characters. Whoever names somebody else again and again gives away that its own product is there, and fills no record."""


def entry_row(member: str, number: int, it: Entry) -> tuple[object, ...]:
    seen = micros(it.origin_seen_at) if it.origin_seen_at else None
    via = orjson.dumps(it.via).decode()
    places = orjson.dumps(it.places).decode() if it.places else ""
    return (
        *(member, number, len(it.via), it.digest, it.terms, it.endpoint, via, seen, it.tree, it.signed),
        *(places, NAMED if it.names_endpoint else 0),
    )


def entry_of(
    origin: str,
    id_: str,
    digest: str,
    terms: str,
    endpoint: str,
    via: str,
    seen: int | None,
    tree: bytes,
    signed: str,
    placed: int,
) -> Entry:
    return Entry(
        origin=origin,
        id=id_,
        endpoint=endpoint,
        tree=bytes(tree),
        digest=digest,
        terms=terms,
        # most come from their origin itself
        via=tuple(orjson.loads(via)) if via != "[]" else (),
        origin_seen_at=moment_of(seen) if seen is not None else None,
        signed=signed,
        names_endpoint=bool(placed & NAMED),
        is_placed=placed > 0,
    )


def product_of(row: Row) -> Product | None:
    number, origin, id_, member, added, changed, _, _, seen, *entry = row
    if member is None:
        return None
    return Product(
        number=number,
        entry=entry_of(origin, id_, *entry),
        member=member,
        added_at=moment_of(added),
        changed_at=moment_of(changed),
        seen_at=moment_of(seen if seen is not None else changed),
    )


def change_of(row: Row) -> Change:
    return Change(
        sequence=row[6],
        number=row[0],
        key=(row[1], row[2]),
        at=moment_of(row[5]),
        product=product_of(row),
        readers=frozenset(orjson.loads(row[7])) if row[7] is not None else None,
    )


def places_in(text: str) -> list[str]:
    """Addresses as the record keeps them: one, or a list in JSON."""
    return list(orjson.loads(text)) if text.startswith("[") else [text]


def readers_text(readers: frozenset[str] | None) -> str | None:
    return orjson.dumps(sorted(readers)).decode() if readers is not None else None


def widened(readers: str | None, more: str | None) -> str | None:
    """Those who could see something, with those who can now; None, everybody, when a text of them would be too long to be kept."""
    if readers is None or more is None or readers == more:
        return None if more is None else readers
    both = readers_text(frozenset(orjson.loads(readers)) | frozenset(orjson.loads(more)))
    return both if both is not None and len(both) <= _MOST_READERS else None


def member_of(row: Row) -> MemberRow:
    id_, address, kind, title, state, entries, generation, crawled, failures, next_at, report, validators, *more = row
    announced, agreements, agreements_at = more
    return MemberRow(
        id=id_,
        address=address,
        kind=MemberKind(kind),
        title=title,
        state=MemberState(state),
        entries=entries,
        generation=generation,
        crawled_at=moment_of(crawled) if crawled is not None else None,
        failures=failures,
        next_at=moment_of(next_at) if next_at is not None else None,
        report=_read_report(report) if report is not None else None,
        validators=orjson.loads(validators) if validators is not None else {},
        announced=announced,
        agreements=agreements,
        agreements_at=moment_of(agreements_at) if agreements_at is not None else None,
    )


def told(report: Report, verdicts: Sequence[Verdict]) -> Report:
    """The report with what came of judging again what could not be judged at the look: what is said of that there is over."""
    over = tuple(words for one in verdicts for words in one.over)
    notes = [note for note in report.notes if not note.startswith(over)]
    notes = [*(one.told for one in verdicts if one.entry is not None), *notes]
    left_out = [*(one.told for one in verdicts if one.entry is None), *report.left_out]
    return replace(report, left_out=tuple(left_out[:_MOST_TOLD]), notes=tuple(notes[:_MOST_TOLD]))


def ended(report: Report, next_at: datetime) -> tuple[int, int, bytes]:
    """When a look began, when the next one is due, and what is told of it."""
    return micros(report.at), micros(next_at), report_body(report)


def report_body(report: Report) -> bytes:
    return orjson.dumps(asdict(report) | {"at": report.at.isoformat()})


def _read_report(body: bytes) -> Report:
    tree: dict[str, Any] = orjson.loads(body)
    texts = {name: tuple(tree[name]) for name in ("left_out", "notes")}
    return Report(**(tree | texts | {"at": datetime.fromisoformat(tree["at"])}))
