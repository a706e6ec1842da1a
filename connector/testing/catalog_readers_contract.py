"""What every record of the federated catalogue must do about what is not for everybody to see: more of the contract of
`connector.ports.catalog`, as tests to inherit beside `CatalogContract`, with the same fixture.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from connector.ports.catalog import MemberKind, Snapshot
from connector.testing.catalog_contract import LATER, NOW, Pair, entry, listed, snapshot


class ReadersContract:
    """Who sees what, and who ever has."""

    async def test_what_somebody_does_not_see_is_counted_for_others_alone(self, records: Pair) -> None:
        first, second = records
        await first.list_members([listed("a"), listed("b")], NOW)
        hidden = entry("b", "y", "hidden")
        await first.swap([snapshot("a", entry("a", "1"), entry("a", "2", "hidden")), snapshot("b", hidden)], NOW)
        seen = await second.totals(NOW, {"t-hidden"})
        assert (seen.products, seen.participants, seen.growth) == (1, 1, (("2026-11-22", 1),))
        assert [await second.entries(f"did:web:{name}", {"t-hidden"}) for name in ("a", "b")] == [1, 0]
        assert (await second.totals(NOW)).products == 3

    async def test_who_has_ever_been_able_to_see_a_product_is_kept_with_it(self, records: Pair) -> None:
        first, second = records

        def told(text: str, *readers: str, name: str = "a", via: tuple[str, ...] = ()) -> Snapshot:
            one = replace(entry("a", "1", text, via=via), readers=frozenset(readers) if readers else None)
            return snapshot(name, one)

        async def seen_by() -> list[str] | None:
            (change,) = await second.changes(0, 10)
            return sorted(change.readers) if change.readers is not None else None

        region = listed("region", kind=MemberKind.CATALOG)
        await first.list_members([listed("a"), region], NOW)
        await first.swap([told("for anna", "anna")], NOW)
        assert await seen_by() == ["anna"]
        # what is not shown was seen by nobody
        await first.swap([told("by the region", "dora", name="region", via=("did:web:region",))], NOW)
        assert await seen_by() == ["anna"]
        await second.swap([told("for boris", "boris")], NOW)
        await second.swap([told("for boris again", "boris")], NOW)
        assert await seen_by() == ["anna", "boris"]
        await first.swap([snapshot("a")], LATER)
        assert await seen_by() == ["anna", "boris"]
        # it is not in the order of changes any more: whoever has not read it by now begins anew
        await first.forget(LATER + timedelta(hours=1))
        await first.swap([told("for carla", "carla")], LATER)
        assert await seen_by() == ["carla"]
        # for everybody, and so it stays
        for one in (told("open"), told("for anna", "anna")):
            await first.swap([one], LATER)
            assert await seen_by() is None

    async def test_who_could_see_a_product_fills_no_record(self, records: Pair) -> None:
        first, _ = records
        await first.list_members([listed("a")], NOW)
        for number, many in ((0, 40), (1, 40), (2, 1)):
            names = frozenset(f"{number}-{'x' * 900}-{place}" for place in range(many))
            await first.swap([snapshot("a", replace(entry("a", "1", f"text {number}"), readers=names))], NOW)
            (change,) = await first.changes(0, 10)
            assert change.readers == (names if number == 0 else None)
