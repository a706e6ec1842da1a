"""The logic of the record: whose entry of a product is shown, and what counts as a change. The same on every engine.

What lives here: `CatalogRecords`, the port `Records`. What does not: SQL (`sql/catalog`), transactions (`sqlite`, `postgres`).

Whoever changes something first locks the row that holds the number of the last change, so that numbers become visible in their
order: a reader that has seen number n never misses one below it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import orjson

from connector.errors import Gone
from connector.ports.catalog import (
    ITSELF,
    Change,
    Held,
    Listed,
    MemberRow,
    MemberState,
    Product,
    Report,
    Snapshot,
    Totals,
    Verdict,
)
from connector.storage.catalog import taking
from connector.storage.catalog.engine import Engine, Row, Work
from connector.storage.catalog.rows import (
    change_of,
    ended,
    entry_of,
    member_of,
    product_of,
    readers_text,
    report_body,
    told,
)
from connector.storage.codec import micros, moment_of

_GROWTH: Final = timedelta(days=90)


class CatalogRecords:
    """The record over an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def open(self) -> None:
        await self._engine.open()

    async def close(self) -> None:
        await self._engine.close()

    # --- members

    async def list_members(self, listed: Sequence[Listed], now: datetime) -> Sequence[str]:
        at = micros(now)
        async with self._engine.changing() as work:
            await work.rows("lock_feed")
            known = {row[0]: row for row in await work.rows("all_members")}
            fresh, renamed, ended, back = [], [], [], []
            for one in listed:
                state = MemberState.SUSPENDED if one.is_suspended else MemberState.LISTED
                row = known.pop(one.id, None)
                if row is not None and row[4] == state and row[1:3] == (one.address, one.kind):
                    if row[3] != one.title:
                        renamed.append((one.id, one.title))
                elif one.is_suspended and row is not None:
                    ended.append((one.id, state))
                else:
                    # one that is suspended from the start is known too: nothing that others report of it is shown
                    fresh.append((one.id, one.address, one.kind, one.title, state, None if one.is_suspended else at))
                    back += [one.id] if one.is_suspended or (row is not None and row[4] == MemberState.SUSPENDED) else []
            ended += [(id_, MemberState.LEFT) for id_, row in known.items() if row[4] != MemberState.LEFT]
            await work.many("put_member", fresh)
            await work.many("name_member", renamed)
            await self._end(work, ended, back, at)
        return [row[0] for row in fresh if row[5] is not None]

    async def _end(self, work: Work, ended: Sequence[tuple[str, MemberState]], back: Sequence[str], at: int) -> None:
        """Show nothing of those that have `ended` any more, and look at what others report of them and of those in `back`."""
        if not ended and not back:
            return
        entries = await work.rows("entries_of", [id_ for id_, _ in ended])
        reported = await work.rows("numbers_of_origins", [*(id_ for id_, _ in ended), *back])
        before = await taking.shown(work, [*(row[3] for row in entries), *(row[0] for row in reported)])
        await work.many("drop_entry", [(row[0], row[3]) for row in entries])
        await work.many("set_state", ended)
        await taking.settle(work, before, at)

    async def claim_due(
        self, now: datetime, until: datetime, limit: int, latest: datetime | None = None
    ) -> Sequence[MemberRow]:
        async with self._engine.changing() as work:
            if latest is not None:
                await work.rows("bring_forward", micros(now), micros(latest))
            return [member_of(row) for row in await work.rows("claim_due", micros(now), micros(until), limit)]

    async def postpone(self, members: Sequence[str], until: datetime) -> None:
        async with self._engine.changing() as work:
            await work.rows("postpone", list(members), micros(until))

    async def take_up(self, now: datetime) -> None:
        async with self._engine.changing() as work:
            await work.rows("take_up", micros(now))

    async def next_due(self) -> datetime | None:
        row = await self._row("next_due")
        return moment_of(row[0]) if row and row[0] is not None else None

    async def hasten(self, member: str, now: datetime) -> bool:
        async with self._engine.changing() as work:
            return bool(await work.rows("hasten", member, micros(now)))

    async def member(self, id_: str) -> MemberRow | None:
        row = await self._row("member", id_)
        return member_of(row) if row else None

    async def entries(self, member: str, without: Collection[str]) -> int:
        row = await self._row("entries_seen", member, list(without))
        return int(row[0]) if row else 0

    async def members(self, after: str | None, limit: int, *, failing: bool = False) -> Sequence[MemberRow]:
        return [member_of(row) for row in await self._engine.one("members", after or "", limit, int(failing))]

    async def standing(self) -> Mapping[str, int]:
        row = await self._row("standing")
        return dict(zip(("listed", "failing", "unseen"), row or (0, 0, 0), strict=True))

    # --- looks at members

    async def swap(self, snapshots: Sequence[Snapshot], now: datetime) -> int:
        """One transaction: 1. who is still listed 2. numbers for what is new 3. entries in and out 4. what is shown now.

        With the first look at a member nothing counts any more that others report of it.
        """
        at = micros(now)
        async with self._engine.changing() as work:
            await work.rows("lock_feed")
            # 1.
            names = [snapshot.member for snapshot in snapshots]
            listed = {row[0]: row[1] for row in await work.rows("members_in_state", names)}
            taken = [snapshot for snapshot in snapshots if snapshot.member in listed]
            held = await taking.held(work, taken)
            # 2.
            numbers = await taking.numbered(work, taken, held, at)
            # 3.
            puts: list[taking.Put] = []
            drops: list[tuple[str, int]] = []
            moved: set[str] = set()
            terms: dict[str, tuple[bytes, str | None]] = {}
            for snapshot in taken:
                mine = held[snapshot.member]
                kept = set()
                for entry in snapshot.entries:
                    kept.add(entry.key)
                    if mine.get(entry.key, (0, ""))[1] not in (entry.digest, *entry.as_proven):
                        puts.append((snapshot.member, numbers[entry.key], entry))
                        if entry.id != ITSELF:
                            terms[entry.terms] = (entry.offers, readers_text(entry.readers))
                gone = (
                    [key for key in snapshot.gone if key in mine] if snapshot.is_partial else [k for k in mine if k not in kept]
                )
                moved |= {origin for origin, id_ in gone if id_ == ITSELF}
                drops += [(snapshot.member, mine[key][0]) for key in gone]
            for snapshot in taken:
                drops += await taking.unread(work, snapshot, numbers, drops)
            others = await work.rows("numbers_of_origins", [s.member for s in taken if not listed[s.member]])
            await work.many("put_terms", [(digest, *row) for digest, row in terms.items()])
            before = await taking.put(work, puts, drops, moved, [row[0] for row in others])
            await work.many(
                "mark_entry", [(s.member, numbers[it.key], s.part.reading) for s in taken if s.part for it in s.entries]
            )
            await work.many(
                "good_look",
                [
                    (
                        s.member,
                        *ended(s.report, s.next_at),
                        orjson.dumps(dict(s.validators)),
                        s.announced,
                        micros(s.again_at or s.report.at),
                    )
                    for s in taken
                ],
            )
            # 4.
            return await taking.settle(work, before, at)

    async def confirm(self, member: str, report: Report, next_at: datetime, announced: int) -> None:
        async with self._engine.changing() as work:
            await work.rows("same_look", member, *ended(report, next_at), announced)

    async def failed(self, member: str, report: Report, next_at: datetime, announced: int) -> None:
        async with self._engine.changing() as work:
            await work.rows("bad_look", member, *ended(report, next_at), announced)

    async def report_agreements(self, member: str, count: int, at: datetime) -> bool:
        async with self._engine.changing() as work:
            return bool(await work.rows("report_agreements", member, count, micros(at)))

    # --- products

    async def products(self, numbers: Sequence[int]) -> Mapping[int, Product]:
        rows = await self._engine.one("products", list(numbers))
        return {row[0]: found for row in rows if (found := product_of(row)) is not None}

    async def product(self, origin: str, id_: str) -> Product | None:
        row = await self._row("number_of", origin, id_)
        return (await self.products([row[0]])).get(row[0]) if row else None

    async def named(self, id_: str) -> Sequence[Product]:
        return await self._listed("numbers_named", id_)

    async def of_origin(self, origin: str, after: int, limit: int) -> Sequence[Product]:
        return await self._listed("numbers_of_origin", origin, after, limit)

    async def _listed(self, name: str, *values: object) -> Sequence[Product]:
        async with self._engine.reading() as work:
            numbers = [row[0] for row in await work.rows(name, *values)]
            rows = await work.rows("products", numbers)
        return sorted((found for row in rows if (found := product_of(row)) is not None), key=lambda found: found.number)

    async def changes(self, after: int, limit: int) -> Sequence[Change]:
        async with self._engine.reading() as work:
            ((_, forgotten),) = await work.rows("sequence")
            if 0 < after < forgotten:
                raise Gone(f"changes up to number {forgotten} are forgotten", where="after", mend="begin again without `after`")
            numbers = [row[0] for row in await work.rows("numbers_changed", after, limit)]
            rows = await work.rows("products", numbers)
        return sorted((change_of(row) for row in rows), key=lambda change: change.sequence)

    async def sequence(self) -> int:
        row = await self._row("sequence")
        return int(row[0]) if row else 0

    async def waiting(self) -> Sequence[str]:
        async with self._engine.reading() as work:
            return [row[0] for row in await work.rows("waiting")]

    async def unjudged(self, signed: str, after: tuple[int, str], limit: int) -> Sequence[Held]:
        async with self._engine.reading() as work:
            rows = await work.rows("unjudged", signed, *after, limit)
        return [Held(member=row[0], number=row[1], entry=entry_of(*row[2:])) for row in rows]

    async def themselves(self, after: tuple[int, str], limit: int) -> Sequence[Held]:
        async with self._engine.reading() as work:
            rows = await work.rows("themselves", *after, limit)
        return [Held(member=row[0], number=row[1], entry=entry_of(*row[2:])) for row in rows]

    async def judge(self, verdicts: Sequence[Verdict], now: datetime) -> int:
        async with self._engine.changing() as work:
            await work.rows("lock_feed")
            held = {(m, n): d for m, n, d in await work.rows("digests", sorted({one.held.number for one in verdicts}))}
            good = [one for one in verdicts if held.get((one.held.member, one.held.number)) == one.held.entry.digest]
            puts = [(one.held.member, one.held.number, one.entry) for one in good if one.entry is not None]
            drops = [(one.held.member, one.held.number) for one in good if one.entry is None]
            moved = {one.held.entry.origin for one in good if one.entry is None and one.held.entry.id == ITSELF}
            before = await taking.put(work, puts, drops, moved, ())
            for id_ in sorted({one.held.member for one in good}):
                (row,) = await work.rows("member", id_)
                before_this = member_of(row).report or Report(at=now, is_good=True)
                await work.rows("tell", id_, report_body(told(before_this, [v for v in good if v.held.member == id_])))
            await taking.settle(work, before, micros(now))
        return len(good)

    async def epoch(self) -> str:
        row = await self._row("epoch")
        return str(row[0]) if row else ""

    async def forget(self, before: datetime) -> int:
        async with self._engine.changing() as work:
            await work.rows("lock_feed")
            ((last,),) = await work.rows("forgettable", micros(before))
            if last is None:
                return 0
            # what is gone keeps its number while others report it: it may be shown again at any time
            forgotten = [*await work.rows("forget_gone", micros(before)), *await work.rows("forget", micros(before))]
            await work.rows("set_forgotten", last)
        return len(forgotten)

    async def tidy(self) -> None:
        async with self._engine.changing() as work:
            await work.rows("lock_feed")
            await work.rows("forget_terms")

    async def give_back(self) -> int:
        return await self._engine.give_back()

    async def terms(self, among: Sequence[str] | None = None) -> Mapping[str, bytes]:
        rows = await (self._engine.one("terms") if among is None else self._engine.one("terms_among", list(among)))
        return {digest: bytes(offers) for digest, offers in rows}

    async def totals(self, now: datetime, without: Collection[str] = ()) -> Totals:
        since, hidden = micros(now - _GROWTH), [list(without)] if without else []
        async with self._engine.reading() as work:
            ((products, participants),) = await work.rows("count_seen" if hidden else "count_products", *hidden)
            members = {str(state): int(count) for state, count in await work.rows("count_members")}
            ((sequence, _),) = await work.rows("sequence")
            days = await work.rows("growth_seen" if hidden else "growth", since, *hidden)
            ((agreements, reporting, failing),) = await work.rows("count_listed")
        growth = tuple((moment_of(day * 86_400_000_000).date().isoformat(), count) for day, count in days)
        return Totals(
            products=products, participants=participants, members=members, sequence=sequence, growth=growth,
            agreements=int(agreements or 0), reporting=reporting, failing=failing,
        )  # fmt: skip

    async def _row(self, name: str, *values: object) -> Row | None:
        found = await self._engine.one(name, *values)
        return found[0] if found else None
