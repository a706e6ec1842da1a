"""What every record of the federated catalogue must do: the contract of `connector.ports.catalog`, as tests to inherit.

A subclass provides the fixture `records`: two records that share their data, as two search replicas do. What is not for everybody:
`catalog_readers_contract.py`.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connector.errors import Gone
from connector.ports.catalog import ITSELF, Entry, Listed, MemberKind, MemberState, Part, Records, Report, Snapshot, Verdict

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
Pair = tuple[Records, Records]


def listed(name: str, **more: object) -> Listed:
    return Listed(id=f"did:web:{name}", address=f"https://{name}.example", title=name, **more)  # type: ignore[arg-type]


def entry(name: str, id_: str, text: str = "first", *, via: tuple[str, ...] = ()) -> Entry:
    body = f'{{"@id":"{id_}","dct:title":"{text}"}}'.encode()
    digest = hashlib.sha256(body + repr(via).encode()).hexdigest()
    return Entry(
        origin=f"did:web:{name}",
        id=id_,
        endpoint=f"https://{name}.example/dsp",
        tree=body,
        digest=digest,
        terms=f"t-{text}",
        offers=b'[{"permission":[{"action":"use"}]}]',
        via=via,
    )


def itself(name: str, text: str, *, via: tuple[str, ...] = ()) -> Entry:
    """What an origin says of itself."""
    return replace(entry(name, "x", text, via=via), id=ITSELF, terms="", offers=b"[]", endpoint="")


def snapshot(name: str, *entries: Entry, at: datetime = NOW, **more: object) -> Snapshot:
    report = Report(at=at, is_good=True, entries=len(entries), notes=("odd",))
    return Snapshot(member=f"did:web:{name}", entries=entries, report=report, next_at=at + timedelta(hours=1), **more)  # type: ignore[arg-type]


async def _shown(records: Records) -> dict[tuple[str, str], str]:
    """What the feed says is there, by its keys, with the title."""
    return {c.key: c.product.entry.tree.decode().split('"')[-2] for c in await records.changes(0, 100) if c.product}


class CatalogContract:
    """All of the contract."""

    async def test_a_list_brings_members_in_and_takes_them_out_with_all_they_had(self, records: Pair) -> None:
        first, second = records
        fresh = await first.list_members([listed("a"), listed("b", kind=MemberKind.CATALOG)], NOW)
        assert sorted(fresh) == ["did:web:a", "did:web:b"]
        assert await second.list_members([listed("a"), listed("b", kind=MemberKind.CATALOG)], NOW) == []
        await first.swap([snapshot("a", entry("a", "1")), snapshot("b", entry("b", "2"))], NOW)
        assert await second.list_members([listed("a", is_suspended=True)], LATER) == []
        assert await _shown(first) == {}
        suspended, left = await first.member("did:web:a"), await first.member("did:web:b")
        assert suspended is not None
        assert left is not None
        assert (suspended.state, left.state) == (MemberState.SUSPENDED, MemberState.LEFT)
        assert await first.claim_due(LATER, LATER, 10) == []
        # whoever comes back is looked at at once, and its products have the numbers they had
        assert await first.list_members([listed("a")], LATER) == ["did:web:a"]
        assert [m.id for m in await second.claim_due(LATER, LATER + timedelta(minutes=1), 10)] == ["did:web:a"]
        await first.swap([snapshot("a", entry("a", "1"))], LATER)
        assert [c.number for c in await first.changes(0, 100) if c.product] == [1]

    async def test_a_snapshot_is_swapped_in_whole_and_only_differences_are_changes(self, records: Pair) -> None:
        first, second = records
        await first.list_members([listed("a")], NOW)
        assert await first.swap([snapshot("a", entry("a", "1"), entry("a", "2"))], NOW) == 2
        before = await second.sequence()
        assert await first.swap([snapshot("a", entry("a", "1"), entry("a", "2"))], NOW) == 0
        assert await first.swap([snapshot("a", entry("a", "2", "second"), entry("a", "3"))], LATER) == 3
        assert await _shown(second) == {("did:web:a", "2"): "second", ("did:web:a", "3"): "first"}
        after = await second.changes(before, 100)
        assert [(c.key[1], c.product is None) for c in after] == [("1", True), ("2", False), ("3", False)]
        assert [c.sequence for c in after] == [before + 1, before + 2, before + 3]
        member = await second.member("did:web:a")
        assert member is not None
        assert (member.entries, member.generation, member.report and member.report.notes) == (2, 3, ("odd",))

    async def test_what_has_changed_alone_may_come_and_leaves_the_rest(self, records: Pair) -> None:
        first, _ = records
        await first.list_members([listed("a")], NOW)
        await first.swap([snapshot("a", entry("a", "1"), entry("a", "2"))], NOW)
        part = snapshot("a", entry("a", "3"), is_partial=True, gone=(("did:web:a", "1"), ("did:web:a", "9")))
        assert await first.swap([part], LATER) == 2
        assert sorted(key[1] for key in await _shown(first)) == ["2", "3"]

    async def test_the_shortest_way_to_a_product_is_shown_and_the_next_one_when_it_goes(self, records: Pair) -> None:
        first, second = records
        region = listed("region", kind=MemberKind.CATALOG)
        await first.list_members([listed("a"), region], NOW)
        far = entry("a", "1", "by the region", via=("did:web:region",))
        await first.swap([snapshot("region", far)], NOW)
        assert await _shown(second) == {("did:web:a", "1"): "by the region"}
        await first.swap([snapshot("a", entry("a", "1", "by itself"))], NOW)
        assert await _shown(second) == {("did:web:a", "1"): "by itself"}
        # a change on the longer way changes nothing that is shown
        assert await second.swap([snapshot("region", entry("a", "1", "again", via=("did:web:region",)))], NOW) == 0
        await first.list_members([region], LATER)
        assert await _shown(second) == {("did:web:a", "1"): "again"}
        (change,) = await first.changes(0, 10)
        assert change.product is not None
        assert (change.number, change.product.member, change.product.entry.via) == (1, "did:web:region", ("did:web:region",))

    async def test_what_its_origin_has_signed_comes_before_what_others_only_report(self, records: Pair) -> None:
        first, second = records
        await first.list_members([listed(name, kind=MemberKind.CATALOG) for name in ("liar", "region")], NOW)
        forged = entry("b", "1", "forged", via=("did:web:liar",))
        signed = replace(entry("b", "1", "signed", via=("did:web:town", "did:web:region")), signed="did:web:b")
        await first.swap([snapshot("liar", forged), snapshot("region", signed)], NOW)
        assert await _shown(second) == {("did:web:b", "1"): "signed"}
        # a signature that could not be judged proves nothing
        await first.swap([snapshot("region", replace(signed, signed="?did:web:b", digest="waits"))], NOW)
        assert await _shown(second) == {("did:web:b", "1"): "forged"}
        # and whatever was signed once, the origin's own word is newer
        await first.swap([snapshot("region", signed)], NOW)
        await first.list_members([*(listed(one, kind=MemberKind.CATALOG) for one in ("liar", "region")), listed("b")], NOW)
        await first.swap([snapshot("b", entry("b", "1", "own"))], NOW)
        assert await _shown(second) == {("did:web:b", "1"): "own"}

    async def test_nobody_offers_anything_in_the_name_of_a_member(self, records: Pair) -> None:
        first, second = records
        region = listed("region", kind=MemberKind.CATALOG)
        reported = [entry("a", id_, "reported", via=("did:web:region",)) for id_ in ("1", "2")]
        await first.list_members([region], NOW)
        await first.swap([snapshot("region", *reported)], NOW)
        # until a member is looked at for the first time, what was shown stays
        await first.list_members([region, listed("a")], NOW)
        assert sorted(id_ for _, id_ in await _shown(second)) == ["1", "2"]
        await first.swap([snapshot("a", entry("a", "1", "own"))], NOW)
        assert await _shown(second) == {("did:web:a", "1"): "own"}
        await first.swap([snapshot("region", *reported, entry("a", "3", via=("did:web:region",)))], NOW)
        assert await _shown(second) == {("did:web:a", "1"): "own"}
        # what it takes back is gone at once, whoever has not noticed yet
        await first.swap([snapshot("a")], NOW)
        assert await _shown(second) == {}
        await first.list_members([region], LATER)
        assert sorted(id_ for _, id_ in await _shown(second)) == ["1", "2", "3"]

    async def test_a_snapshot_of_someone_who_has_left_meanwhile_is_dropped(self, records: Pair) -> None:
        first, _ = records
        await first.list_members([listed("a")], NOW)
        await first.list_members([], NOW)
        assert await first.swap([snapshot("a", entry("a", "1"))], NOW) == 0
        assert await _shown(first) == {}

    async def test_one_replica_at_a_time_looks_at_a_member_and_another_when_it_dies(self, records: Pair) -> None:
        first, second = records
        await first.list_members([listed(name) for name in "abcdef"], NOW)
        until = NOW + timedelta(minutes=5)
        both = await asyncio.gather(first.claim_due(NOW, until, 3), second.claim_due(NOW, until, 3))
        assert sorted(m.id for part in both for m in part) == [f"did:web:{name}" for name in "abcdef"]
        assert await second.claim_due(NOW, until, 3) == []
        assert await second.next_due() == until
        assert len(await second.claim_due(until, LATER, 9)) == 6
        # a node that begins takes up at once what nobody has ended
        await first.take_up(NOW)
        assert len(await second.claim_due(NOW, LATER, 9)) == 6
        assert not await first.hasten("did:web:x", NOW)

    async def test_what_is_announced_while_another_replica_looks_makes_the_member_due_again(self, records: Pair) -> None:
        first, second = records
        await first.list_members([listed("a")], NOW)
        until = NOW + timedelta(minutes=5)
        (row,) = await first.claim_due(NOW, until, 9)
        assert await second.hasten("did:web:a", NOW + timedelta(seconds=1))
        # not looked at twice at a time: the older of two looks could end last
        assert await second.claim_due(NOW + timedelta(seconds=2), until, 9) == []
        for end in ("swap", "confirm", "failed"):
            at = NOW + timedelta(seconds=3)
            report = Report(at=NOW, is_good=end != "failed")
            if end == "swap":
                await first.swap([snapshot("a", entry("a", "1"), announced=row.announced)], at)
            else:
                await getattr(first, end)("did:web:a", report, LATER, row.announced)
            (row,) = await second.claim_due(at, until, 9)
            assert await first.hasten("did:web:a", at)
        await first.confirm("did:web:a", Report(at=NOW, is_good=True), LATER, row.announced + 1)
        assert await second.claim_due(until, LATER, 9) == []
        assert await first.hasten("did:web:a", until)
        assert [m.id for m in await second.claim_due(until, LATER, 9)] == ["did:web:a"]

    async def test_what_a_member_reports_of_its_agreements_stays_until_it_leaves(self, records: Pair) -> None:
        first, second = records
        await first.list_members([listed("a"), listed("b")], NOW)
        await first.swap([snapshot("a", entry("a", "1"))], NOW)
        assert await first.report_agreements("did:web:a", 7, LATER)
        assert not await first.report_agreements("did:web:x", 7, LATER)
        member, totals = await second.member("did:web:a"), await second.totals(NOW)
        assert member is not None
        assert (member.agreements, member.agreements_at) == (7, LATER)
        assert (totals.agreements, totals.reporting) == (7, 1)
        await first.list_members([listed("b")], NOW)
        assert (await second.totals(NOW)).reporting == 0

    async def test_what_an_origin_says_of_itself_comes_the_ways_of_its_products_and_is_none(self, records: Pair) -> None:
        first, second = records
        region, town = listed("region", kind=MemberKind.CATALOG), listed("town", kind=MemberKind.CATALOG)
        await first.list_members([region, town], NOW)
        far = itself("a", "by the town", via=("did:web:b", "did:web:town"))
        near = itself("a", "by the region", via=("did:web:region",))
        assert await first.swap([snapshot("region", near, entry("a", "1")), snapshot("town", far)], NOW) == 2
        assert await _shown(second) == {("did:web:a", ""): "by the region", ("did:web:a", "1"): "first"}
        said = await second.product("did:web:a", ITSELF)
        assert said is not None
        assert (said.member, said.entry.via) == ("did:web:region", ("did:web:region",))
        # it is counted and listed nowhere among products
        totals, member = await second.totals(NOW), await second.member("did:web:region")
        assert (totals.products, totals.participants, totals.growth) == (1, 1, (("2026-11-22", 1),))
        assert member is not None
        assert member.entries == 1
        assert [p.entry.id for p in await second.of_origin("did:web:a", 0, 9)] == ["1"]
        assert set(await second.terms()) == {"t-first"}
        # one way ends, and the other; the origin's word is in the order of changes as anything else is
        before = await second.sequence()
        await first.swap([snapshot("region", is_partial=True, gone=(("did:web:a", ""),))], NOW)
        assert [(c.key, c.is_itself, c.product is None) for c in await second.changes(before, 9)] == [
            (("did:web:a", ""), True, False)
        ]
        await first.list_members([region], NOW)
        assert await second.product("did:web:a", ITSELF) is None
        assert await first.forget(LATER) == 1

    async def test_the_own_word_of_a_member_counts_and_its_silence_too(self, records: Pair) -> None:
        first, second = records
        region = listed("region", kind=MemberKind.CATALOG)
        reported = itself("a", "reported", via=("did:web:region",))
        await first.list_members([region], NOW)
        await first.swap([snapshot("region", reported)], NOW)
        # until a member is looked at for the first time, what was shown stays
        await first.list_members([region, listed("a")], NOW)
        assert await _shown(second) == {("did:web:a", ""): "reported"}
        await first.swap([snapshot("a")], NOW)
        assert await _shown(second) == {}
        await first.swap([snapshot("a", itself("a", "own"))], NOW)
        await first.swap([snapshot("region", itself("a", "again", via=("did:web:region",)))], NOW)
        assert await _shown(second) == {("did:web:a", ""): "own"}
        await first.list_members([region], NOW)
        assert await _shown(second) == {("did:web:a", ""): "again"}

    async def test_of_one_that_is_suspended_here_nothing_is_shown_whoever_reports_it(self, records: Pair) -> None:
        first, second = records
        region = listed("region", kind=MemberKind.CATALOG)
        reported = [entry("a", "1", via=("did:web:region",)), itself("a", "reported", via=("did:web:region",))]
        await first.list_members([region, listed("a")], NOW)
        await first.swap([snapshot("region", *reported), snapshot("a", entry("a", "2"))], NOW)
        await first.list_members([region, listed("a", is_suspended=True)], NOW)
        assert await _shown(second) == {}
        await first.swap([snapshot("region", *reported, entry("a", "3", via=("did:web:region",)))], NOW)
        assert await _shown(second) == {}
        await first.list_members([region, listed("a")], NOW)
        # as of anybody who was not looked at yet
        assert sorted(id_ for _, id_ in await _shown(second)) == ["", "1", "3"]
        # one that was never a member before
        await first.list_members([region], NOW)
        await first.swap([snapshot("region", entry("b", "1", via=("did:web:region",)))], NOW)
        assert await first.list_members([region, listed("b", is_suspended=True)], NOW) == []
        assert await _shown(second) == {}

    async def test_what_could_not_be_judged_is_judged_later_if_it_is_still_the_same(self, records: Pair) -> None:
        first, second = records
        await first.list_members([listed("a")], NOW)
        waits, gone, kept = (
            replace(entry("a", name), signed="?did:web:k", digest=name, as_proven=(f"{name}!",)) for name in ("1", "2", "3")
        )
        note = "the signature of `1` could not be judged: the key is away"
        told = replace(snapshot("a").report, notes=(note, "odd"))
        await first.swap([replace(snapshot("a", waits, gone, kept), report=told)], NOW)
        assert await second.waiting() == ["?did:web:k"]
        one, two, three = await second.unjudged("?did:web:k", (0, ""), 9)
        assert [held.entry.id for held in await first.unjudged("?did:web:k", (one.number, one.member), 9)] == ["2", "3"]
        await first.swap([snapshot("a", replace(entry("a", "3"), digest="new"), is_partial=True)], NOW)
        proven = replace(waits, signed="did:web:k", digest="1!")
        verdicts = [
            Verdict(held=one, entry=proven, told="it was judged", over=("the signature of `1` could not be judged",)),
            Verdict(held=two, entry=None, told="it proves nothing"),
            Verdict(held=three, entry=None, told="never said"),
        ]
        before = await second.sequence()
        assert await second.judge(verdicts, LATER) == 2
        assert [(c.key[1], c.product and c.product.entry.signed) for c in await first.changes(before, 9)] == [
            ("1", "did:web:k"), ("2", None),
        ]  # fmt: skip
        member = await first.member("did:web:a")
        assert member is not None
        assert member.report is not None
        assert (member.entries, member.report.left_out) == (2, ("it proves nothing",))
        assert member.report.notes[0] == "it was judged"
        assert note not in member.report.notes
        # what was proven once stays so when the key is away at the next look
        assert await first.swap([snapshot("a", waits, is_partial=True)], LATER) == 0
        assert await second.waiting() == []

    async def test_what_origins_say_of_themselves_is_gone_through_in_pages(self, records: Pair) -> None:
        first, second = records
        names = ("b", "c", "region")
        await first.list_members([listed(name) for name in names], NOW)
        waits = replace(itself("c", "waits"), signed="?did:web:c")
        mine = [itself("b", "far", via=("did:web:region",)), itself("d", "far", via=("did:web:region",))]
        await first.swap(
            [snapshot("region", *mine), snapshot("b", itself("b", "own"), entry("b", "1")), snapshot("c", waits)], NOW
        )
        one, two = await second.themselves((0, ""), 2)
        assert [(one.member, one.entry.origin), two.member] == [("did:web:b", "did:web:b"), "did:web:region"]
        assert [it.entry.origin for it in await second.themselves((two.number, two.member), 2)] == ["did:web:d"]

    async def test_a_look_that_fails_leaves_what_was_shown_and_tells_its_cause(self, records: Pair) -> None:
        first, second = records
        await first.list_members([listed("a")], NOW)
        await first.swap([snapshot("a", entry("a", "1"), validators={"pages": [["u", "e"]]})], NOW)
        for _ in range(2):
            await first.failed("did:web:a", Report(at=LATER, is_good=False, cause="it hangs"), LATER, 0)
        member = await second.member("did:web:a")
        assert member is not None
        assert member.report is not None
        assert (member.failures, member.report.cause, member.crawled_at) == (2, "it hangs", NOW)
        assert len(await _shown(second)) == 1
        await first.confirm("did:web:a", Report(at=LATER, is_good=True, entries=1), LATER, 0)
        member = await second.member("did:web:a")
        assert member is not None
        assert (member.failures, member.crawled_at, member.validators) == (0, LATER, {"pages": [["u", "e"]]})
        (product,) = (await second.products([1])).values()
        assert product.seen_at == LATER

    async def test_removals_can_be_forgotten_and_a_reader_who_missed_them_is_told(self, records: Pair) -> None:
        first, second = records
        await first.list_members([listed("a")], NOW)
        await first.swap([snapshot("a", entry("a", "1"), entry("a", "2"))], NOW)
        seen = await second.sequence()
        await first.swap([snapshot("a", entry("a", "2"))], NOW)
        assert await first.forget(NOW) == 0
        assert [c.key[1] for c in await second.changes(seen, 10)] == ["1"]
        assert await first.forget(LATER) == 1
        with pytest.raises(Gone):
            await second.changes(seen, 10)
        assert [c.key[1] for c in await second.changes(0, 10)] == ["2"]
        assert await second.changes(seen + 1, 10) == []

    async def test_products_are_found_by_number_origin_and_name(self, records: Pair) -> None:
        first, second = records
        await first.list_members([listed("a"), listed("b")], NOW)
        await first.swap([snapshot("a", entry("a", "1"), entry("a", "x")), snapshot("b", entry("b", "x"))], NOW)
        found = await second.product("did:web:b", "x")
        assert found is not None
        assert (found.entry.endpoint, found.added_at, found.seen_at) == ("https://b.example/dsp", NOW, NOW)
        assert {p.entry.origin for p in await second.named("x")} == {"did:web:a", "did:web:b"}
        assert [p.entry.id for p in await second.of_origin("did:web:a", 0, 10)] == ["1", "x"]
        assert await second.product("did:web:c", "x") is None
        assert dict(await second.products([99])) == {}
        assert dict(await second.terms()) == {"t-first": b'[{"permission":[{"action":"use"}]}]'}
        totals = await second.totals(NOW)
        assert (totals.products, totals.participants, dict(totals.members)) == (3, 2, {"listed": 2})
        assert totals.growth == (("2026-11-22", 3),)
        assert [m.id for m in await second.members(None, 1)] == ["did:web:a"]
        assert [m.id for m in await second.members("did:web:a", 5)] == ["did:web:b"]

    async def test_a_member_is_read_anew_in_parts_and_what_none_of_them_had_is_gone_at_the_end(self, records: Pair) -> None:
        first, second = records
        await first.list_members([listed("a"), listed("b")], NOW)
        await first.swap([snapshot("a", *(entry("a", str(n)) for n in range(4))), snapshot("b", entry("b", "1"))], NOW)
        for reading in (7, 8):
            part = Part(reading=reading, is_last=False)
            await first.swap([snapshot("a", entry("a", "0"), entry("a", "new"), is_partial=True, part=part)], NOW)
            assert len(await _shown(second)) == 6
            if reading == 7:
                # nobody came to the end of this one
                await second.swap([snapshot("a", entry("a", "1"), is_partial=True, part=part)], NOW)
        last = Part(reading=8, is_last=True)
        await second.swap([snapshot("a", entry("a", "2"), is_partial=True, part=last)], NOW)
        assert sorted(id_ for origin, id_ in await _shown(first) if origin == "did:web:a") == ["0", "2", "new"]
        member = await first.member("did:web:a")
        assert member is not None
        assert (member.entries, len(await _shown(first))) == (3, 4)

    async def test_a_record_has_a_name_of_its_own(self, records: Pair) -> None:
        first, second = records
        assert len(await first.epoch()) == 32
        assert await second.epoch() == await first.epoch()

    async def test_two_that_swap_at_once_both_count(self, records: Pair) -> None:
        names = [f"m{n}" for n in range(20)]
        await records[0].list_members([listed(name) for name in names], NOW)
        await asyncio.gather(*(records[n % 2].swap([snapshot(name, entry(name, "1"))], NOW) for n, name in enumerate(names)))
        changes = await records[1].changes(0, 100)
        assert [c.sequence for c in changes] == list(range(1, 21))
