"""Entries in and out within one transaction, and what is shown of products then.

What lives here: what the record holds of members, numbers of new products, puts and drops, the best entry of each product, and places
where origins have signed that they answer. What does not: whose look it was (`records.py`), and the form of values in columns (`rows.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from connector.dsp.places import covers
from connector.ports.catalog import ITSELF, Entry, Snapshot
from connector.storage.catalog.engine import Work
from connector.storage.catalog.rows import NAMED, PLACED, entry_row, places_in, widened

_AT_ONCE: Final = 5_000
T = TypeVar("T")
Put = tuple[str, int, Entry]
"""An entry of a member, under a product's number."""
Best = tuple[str, str]
"""Whose entry is shown, and its digest."""
Shown = tuple[Best | None, str | None]
"""What is shown of a product, and who has ever been able to see it."""


async def held(work: Work, taken: Sequence[Snapshot]) -> dict[str, dict[tuple[str, str], tuple[int, str]]]:
    """What the record holds of each member, by key: all of it, or where a part comes what that part names."""
    found: dict[str, dict[tuple[str, str], tuple[int, str]]] = {snapshot.member: {} for snapshot in taken}
    whole = [snapshot.member for snapshot in taken if not snapshot.is_partial]
    for member, origin, id_, number, digest in await work.rows("entries_of", whole):
        found[member][origin, id_] = (number, digest)
    named = {s.member: {*s.gone, *(entry.key for entry in s.entries)} for s in taken if s.is_partial}
    for ids in _parts(sorted({id_ for keys in named.values() for _, id_ in keys})):
        keys = {number: (origin, id_) for origin, id_, number in await work.rows("find_products", ids)}
        for numbers in _parts(sorted(keys)):
            for member, number, digest in await work.rows("digests", numbers):
                if keys[number] in named.get(member, ()):
                    found[member][keys[number]] = (number, digest)
    return found


async def put(
    work: Work, puts: Sequence[Put], drops: Sequence[tuple[str, int]], moved: Collection[str], touched: Sequence[int]
) -> dict[int, Shown]:
    """Entries in and out; what was shown before of all that has to do with it.

    What others report of an origin is held against the places where it has signed that it answers, again when those are others:
    of those in `moved`, and of those that now say something of themselves.
    """
    speaking = sorted({*moved, *(entry.origin for _, _, entry in puts if entry.id == ITSELF)})
    reported = {
        (m, n): (origin, endpoint, placed) for m, n, origin, endpoint, placed in await work.rows("reported_of", speaking)
    }
    reported |= {
        (m, n): (it.origin, it.endpoint, NAMED if it.names_endpoint else 0) for m, n, it in puts if it.via and it.id != ITSELF
    }
    numbers = {*touched, *(n for _, n, _ in puts), *(n for _, n in drops), *(n for _, n in reported)}
    before = await shown(work, numbers)
    await work.many("put_entry", [entry_row(*one) for one in puts])
    await work.many("drop_entry", drops)
    places: dict[str, list[str]] = {}
    for origins in _parts(sorted({origin for origin, _, _ in reported.values()})):
        for origin, said in await work.rows("places_of", origins):
            places.setdefault(origin, []).extend(places_in(said))
    placed = [
        (*key, now, was)
        for key, (origin, endpoint, was) in reported.items()
        for now in ((was & NAMED) | (PLACED if covers(places.get(origin, ()), endpoint) else 0),)
    ]
    await work.many("set_placed", [row[:3] for row in placed if row[2] != row[3]])
    return before


async def unread(
    work: Work, snapshot: Snapshot, numbers: Mapping[tuple[str, str], int], drops: Sequence[tuple[str, int]]
) -> list[tuple[str, int]]:
    """What the last part of a reading leaves behind: entries that neither it nor a part before it had."""
    if snapshot.part is None or not snapshot.part.is_last:
        return []
    now = {numbers[entry.key] for entry in snapshot.entries} | {number for _, number in drops}
    rows = await work.rows("unmarked", snapshot.member, snapshot.part.reading)
    return [(snapshot.member, row[0]) for row in rows if row[0] not in now]


async def numbered(
    work: Work, taken: Sequence[Snapshot], held: Mapping[str, Mapping[tuple[str, str], tuple[int, str]]], at: int
) -> dict[tuple[str, str], int]:
    """The numbers of all that the record holds of them, and of what comes, new ones where it is new."""
    numbers = {key: number for mine in held.values() for key, (number, _) in mine.items()}
    unknown = list({entry.key: None for s in taken for entry in s.entries if entry.key not in numbers})
    for start in range(0, len(unknown), _AT_ONCE):
        part = unknown[start : start + _AT_ONCE]
        await work.many("add_product", [(*key, at) for key in part])
        for origin, id_, number in await work.rows("find_products", [id_ for _, id_ in part]):
            numbers[origin, id_] = number
    return numbers


async def settle(work: Work, before: Mapping[int, Shown], at: int) -> int:
    """Show the best entry of each product that something happened to; the number of those that look different now.

    Only with what is shown do those grow who have been able to see it: what a longer way has was seen by nobody here.
    """
    best: dict[int, Best] = {}
    readers: dict[int, str | None] = {}
    reported: dict[int, None] = {}
    for numbers in _parts(sorted(before)):
        for number, member, digest, hops, named in await work.rows("best_entries", numbers):
            if best.setdefault(number, (member, digest)) == (member, digest):
                readers[number] = named
                if hops:
                    reported[number] = None
    for numbers in _parts(list(reported)):
        for (number,) in await work.rows("withheld", numbers):
            del best[number]
    changed = [number for number in sorted(before) if best.get(number) != before[number][0]]
    # whatever was never shown to anybody, and is reported by nobody now, was nothing
    await work.many("drop_unseen", [(n,) for n, (was, _) in before.items() if was is None and n not in readers])
    if changed:
        ((sequence,),) = await work.rows("lock_feed")
        rows = []
        for place, number in enumerate(changed, start=sequence + 1):
            found, seen_by = best.get(number), before[number][1]
            if found:
                seen_by = widened(seen_by, readers[number])
            rows.append((number, found[0] if found else None, at, place, seen_by))
        await work.many("show_product", rows)
        await work.rows("set_sequence", sequence + len(changed))
    return len(changed)


async def shown(work: Work, numbers: Iterable[int]) -> dict[int, Shown]:
    """What is shown of these products at the moment."""
    found: dict[int, Shown] = {}
    for part in _parts(sorted(set(numbers))):
        for number, member, digest, readers in await work.rows("shown", part):
            found[number] = ((member, digest) if member is not None else None, readers)
    return found


def _parts(values: list[T]) -> Iterable[list[T]]:
    return (values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE))
