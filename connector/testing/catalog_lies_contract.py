"""What a record of the federated catalogue holds out against: members that lie, floods of what is new, clocks that are set back.

A part of the contract of `connector.ports.catalog`, as `catalog_contract.py` says.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from connector.ports.catalog import ITSELF, Entry, MemberKind, Report
from connector.testing.catalog_contract import LATER, NOW, Pair, entry, itself, listed, snapshot

_MONTH = timedelta(days=31)


def _reported(place: str, *, by: str, **more: object) -> Entry:
    """A product of `x`, as the catalogue `by` reports it, under an address where it says that `x` answers."""
    found = entry("x", "1", by, via=(f"did:web:{by}",))
    return replace(found, endpoint=place, digest=f"{found.digest} {place}", **more)  # type: ignore[arg-type]


class LiesContract:
    """This part of the contract."""

    async def test_what_an_origin_has_signed_says_where_it_answers_and_that_way_is_shown(self, records: Pair) -> None:
        first, second = records
        good, moved = "https://x.example/dsp", "https://evil.example/dsp"
        catalogs = [listed(name, kind=MemberKind.CATALOG) for name in ("evil", "good")]
        await first.list_members(catalogs, NOW)

        async def shown() -> tuple[str, bool]:
            (change,) = [one for one in await second.changes(0, 9) if not one.is_itself]
            assert change.product is not None
            return change.product.entry.endpoint, change.product.entry.is_placed

        lie, truth = (_reported(place, by=by, signed="did:web:x") for place, by in ((moved, "evil"), (good, "good")))
        await first.swap([snapshot("evil", lie), snapshot("good", truth)], NOW)
        # of two ways that nothing tells apart, the first member's
        assert await shown() == (moved, False)
        said = replace(itself("x", "said", via=("did:web:good",)), signed="did:web:x", places=("https://x.example",))
        await first.swap([snapshot("good", said, is_partial=True)], NOW)
        assert await shown() == (good, True)
        # what comes later is held against it, too; what is not proven to be its own word says nothing
        await first.swap([snapshot("evil", replace(lie, digest="again"))], NOW)
        forged = replace(itself("x", "forged", via=("did:web:evil",)), signed="", places=("https://evil.example",))
        await first.swap([snapshot("evil", forged, is_partial=True)], NOW)
        assert await shown() == (good, True)
        await first.swap([snapshot("good", is_partial=True, gone=(("did:web:x", ITSELF),))], NOW)
        assert await shown() == (moved, False)
        # by the description of the product itself, which its origin has signed
        await first.swap([snapshot("good", replace(truth, names_endpoint=True, digest="named"), is_partial=True)], NOW)
        assert await shown() == (good, True)

    async def test_where_the_list_says_that_a_member_answers_it_answers(self, records: Pair) -> None:
        first, second = records
        await first.list_members([listed("x"), listed("good", kind=MemberKind.CATALOG)], NOW)
        await first.swap([snapshot("good", _reported("https://x.example/dsp", by="good"))], NOW)
        (product,) = (await second.products([1])).values()
        assert product.entry.is_placed

    async def test_who_would_be_due_when_nobody_ever_is_is_due(self, records: Pair) -> None:
        first, second = records
        await first.list_members([listed("a"), listed("b")], NOW + timedelta(days=400))
        await first.failed("did:web:b", Report(at=NOW, is_good=False), NOW + timedelta(hours=2), 0)
        assert await second.standing() == {"listed": 2, "failing": 1, "unseen": 2}
        assert await first.claim_due(NOW, LATER, 9) == []
        assert [one.id for one in await second.claim_due(NOW, LATER, 9, NOW + timedelta(days=1))] == ["did:web:a"]

    async def test_members_that_are_given_back_are_due_when_they_should_be(self, records: Pair) -> None:
        first, second = records
        await first.list_members([listed("a"), listed("b")], NOW)
        assert len(await first.claim_due(NOW, LATER, 9)) == 2
        soon = NOW + timedelta(seconds=1)
        await first.postpone(["did:web:b"], soon)
        assert await second.claim_due(NOW, LATER, 9) == []
        assert [one.id for one in await second.claim_due(soon, LATER, 9)] == ["did:web:b"]

    async def test_a_member_that_announces_rests_as_long_as_its_look_says(self, records: Pair) -> None:
        first, second = records
        await first.list_members([listed("a")], NOW)
        (row,) = await first.claim_due(NOW, LATER, 9)
        assert await second.hasten("did:web:a", NOW)
        rest = NOW + timedelta(minutes=2)
        await first.swap([snapshot("a", announced=row.announced, again_at=rest)], NOW)
        # announced again, it is due no later and no sooner
        assert await second.hasten("did:web:a", rest + timedelta(minutes=1))
        assert await second.next_due() == rest

    async def test_what_comes_and_goes_leaves_nothing_behind(self, records: Pair) -> None:
        first, second = records
        await first.list_members([listed("a"), listed("s", is_suspended=True), listed("c", kind=MemberKind.CATALOG)], NOW)
        for name in ("first", "second"):
            await first.swap([snapshot("a", entry("a", f"urn:{name}", name))], NOW)
            await first.swap([snapshot("c", entry("s", f"urn:{name}", name, via=("did:web:c",)))], NOW)
        await first.tidy()
        assert set(await second.terms()) == {"t-second"}
        assert set(await second.terms(["t-second", "t-none"])) == {"t-second"}
        assert await second.terms([]) == {}
        assert await first.forget(NOW + _MONTH) == 1
        # a number that is forgotten is that of no other product
        await first.swap([snapshot("a", entry("a", "urn:first"), entry("a", "urn:second", "second"))], LATER)
        numbers = {one.entry.id: one.number for one in await second.of_origin("did:web:a", 0, 9)}
        assert numbers["urn:second"] < 4 < numbers["urn:first"]

    async def test_the_longest_ids_that_are_taken_are_kept(self, records: Pair) -> None:
        first, second = records
        signs = "".join(chr(0x4E00 + (number * 7919) % 20_000) for number in range(341))
        await first.list_members([listed("c", kind=MemberKind.CATALOG)], NOW)
        long = replace(entry("x", signs, via=("did:web:c",)), origin=signs[::-1])
        assert await first.swap([snapshot("c", long)], NOW) == 1
        assert await second.product(signs[::-1], signs) is not None
