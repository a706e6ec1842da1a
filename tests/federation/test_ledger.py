"""What the ledger shows follows the record, also where the index is a moment behind it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connector.controlplane.clock import SystemClock
from connector.errors import NotFound
from connector.federation.answers import Audience
from connector.federation.query import Query
from connector.federation.reading import addressees, entry_of, tree_of
from connector.federation.tantivy_index import TantivyIndex
from connector.ports.catalog import Report, Snapshot
from connector.ports.identity import Caller
from connector.ports.index import Found, Wanted
from connector.storage.catalog.records import CatalogRecords
from tests.web.catalog.stand import Stand, stand


async def test_an_offer_that_now_names_somebody_else_is_shown_no_more_before_the_index_knows(tmp_path: Path) -> None:
    async with stand(tmp_path, members=2) as it:
        now = SystemClock().now()
        found = (await it.ledger.search(Query(), None)).products
        before = found[0]
        tree = {**tree_of(before), "hasPolicy": [{"@id": "o", "permission": [{"action": "use"}], "assignee": "did:web:member"}]}
        entry = entry_of(tree, origin=before.entry.origin, endpoint=before.entry.endpoint)
        report = Report(at=now, is_good=True, entries=1)
        changed = Snapshot(
            member=before.member, entries=(entry,), report=report, next_at=now + timedelta(days=1), is_partial=True
        )
        assert await it.records.swap([changed], now) == 1
        # the index has not followed yet
        assert [one.number for one in (await it.ledger.search(Query(), None)).products] == [one.number for one in found[1:]]
        named = (await it.ledger.search(Query(), Caller(id="did:web:member"))).products
        assert [one.number for one in named] == [one.number for one in found]


ANNA, BORIS = Caller(id="did:web:anna"), Caller(id="did:web:boris")
FOR_ALL = {"@id": "all", "permission": [{"action": "use"}]}
FOR_ANNA = {
    "@id": "anna",
    "assignee": ANNA.id,
    "permission": [{"action": "distribute", "constraint": [
        {"leftOperand": "purpose", "operator": "eq", "rightOperand": "tell-anna-alone"}]}],
}  # fmt: skip


async def _offered(it: Stand, **offers: list[dict[str, Any]]) -> None:
    """One more participant, known through a member, with a product of each name under the offers given."""
    now = SystemClock().now()
    entries = []
    for name, policies in offers.items():
        tree = {"@id": f"urn:{name}", "dct:title": f"{name} census", "dcat:keyword": [name], "hasPolicy": policies, "proof": {}}
        entries.append(entry_of(tree, origin="did:web:zoo", endpoint="https://zoo.example/dsp", via=("did:web:evil",)))
    report, after = Report(at=now, is_good=True), now + timedelta(days=1)
    one = Snapshot(member="did:web:evil", entries=tuple(entries), report=report, next_at=after, is_partial=True)
    await it.records.swap([one], now)
    while await it.indexer.catch_up():
        pass


async def test_what_is_for_one_alone_is_in_no_count_suggestion_list_or_feed_of_others(tmp_path: Path) -> None:
    async with stand(tmp_path, members=2) as it:
        before = (await it.ledger.statistics(BORIS)).totals
        await _offered(it, platypus=[FOR_ANNA])
        for viewer, more in ((ANNA, 1), (BORIS, 0), (None, 0)):
            totals = (await it.ledger.statistics(viewer)).totals
            assert totals.products - before.products == more
            assert totals.participants - before.participants == more
            assert sum(count for _, count in totals.growth) == totals.products
            assert await it.ledger.suggest("platy", 5, viewer) == ("platypus",) * more
            found = await it.ledger.search(Query(text="platypus", facets=("publisher", "action", "purpose")), viewer)
            assert (found.total, len(found.facets["publisher"])) == (more, more)
            listed = (await it.ledger.search(Query(facets=("purpose",)), viewer)).facets["purpose"]
            # what may be done for any purpose may be done for this one, which others have not heard of
            assert ("tell-anna-alone" in dict(listed)) == bool(more)
            feed = json.loads(await it.ledger.feed(0, 500, viewer))
            assert ("platypus" in json.dumps(feed)) == bool(more)
            later = json.loads(await it.ledger.feed(feed["sequence"] - 1, 500, viewer))
            assert ("platypus" in json.dumps(later), later["sequence"]) == (bool(more), feed["sequence"])
            if more:
                assert len((await it.ledger.participant("did:web:zoo", 0, 5, viewer)).products) == 1
            else:
                with pytest.raises(NotFound):
                    await it.ledger.participant("did:web:zoo", 0, 5, viewer)


async def test_a_report_counts_what_its_reader_sees(tmp_path: Path) -> None:
    async with stand(tmp_path, members=2) as it:
        await _offered(it, platypus=[FOR_ANNA])
        evil = Caller(id="did:web:evil")
        assert [(await it.ledger.report("did:web:evil", one)).entries for one in (evil, BORIS, None)] == [2, 1, 1]


async def test_what_was_left_out_is_told_to_the_member_itself_and_to_who_runs_the_ledger(tmp_path: Path) -> None:
    """It names products, and of one that was left out nobody knows for whom it was offered."""
    evil, own = Caller(id="did:web:evil"), Caller(id="did:web:ledger")
    async with stand(tmp_path, members=2, audience=Audience.MEMBERS) as it:
        reports = [(await it.ledger.report("did:web:evil", one)).member.report for one in (evil, own, BORIS, None)]
        assert [len(one.left_out) for one in reports if one is not None] == [1, 1, 0, 0]
        assert [one.notes for one in reports if one is not None][2:] == [
            ("what was left out, and what is unusual, is told to the member itself",)
        ] * 2


async def test_of_several_offers_each_viewer_sees_those_that_are_for_it(tmp_path: Path) -> None:
    async with stand(tmp_path, members=2) as it:
        await _offered(it, wombat=[FOR_ALL, FOR_ANNA])
        for viewer, offers in ((ANNA, ["all", "anna"]), (BORIS, ["all"]), (None, ["all"])):
            (product,) = (await it.ledger.search(Query(text="wombat"), viewer)).products
            (named,) = await it.ledger.named("urn:wombat", viewer)
            one = await it.ledger.product(product.number, viewer)
            (of_it,) = (await it.ledger.participant("did:web:zoo", 0, 5, viewer)).products
            changes = json.loads(await it.ledger.feed(0, 500, viewer))["changes"]
            (fed,) = [change["dataset"] for change in changes if change["id"] == "urn:wombat"]
            for tree in (tree_of(product), tree_of(named), tree_of(one), tree_of(of_it), fed):
                assert [offer["@id"] for offer in tree["hasPolicy"]] == offers
                # of a part nothing is proven
                assert ("proof" in tree) == (viewer is ANNA)
            assert len(it.ledger.offers(product, viewer)) == len(offers)


async def test_pages_of_a_participant_go_on_over_what_their_reader_does_not_see(tmp_path: Path) -> None:
    async with stand(tmp_path, members=2) as it:
        await _offered(it, a=[FOR_ANNA], b=[FOR_ANNA], c=[FOR_ALL], d=[FOR_ANNA], e=[FOR_ALL])
        seen: list[str] = []
        after: int | None = 0
        while after is not None:
            page = await it.ledger.participant("did:web:zoo", after, 2, BORIS)
            seen += [one.entry.id for one in page.products]
            after = page.after
        assert seen == ["urn:c", "urn:e"]


@pytest.mark.parametrize(
    ("offer", "who"),
    [
        (FOR_ALL, set()),
        (FOR_ANNA, {ANNA.id}),
        ({"odrl:assignee": {"@id": "urn:a"}}, {"urn:a"}),
        ({"http://www.w3.org/ns/odrl/2/assignee": [{"@id": "urn:a"}, "urn:b"]}, {"urn:a", "urn:b"}),
        ({"permission": [{"assignee": "urn:a"}, {"assignee": "urn:b"}]}, {"urn:a", "urn:b"}),
        # one of its permissions is for everybody
        ({"permission": [{"assignee": "urn:a"}, {"action": "use"}]}, set()),
        # it is for somebody, and nobody is known by that
        ({"assignee": {"partOf": "urn:group"}}, {""}),
    ],
)
def test_an_offer_is_for_those_whom_it_names(offer: dict[str, Any], who: set[str]) -> None:
    assert addressees(offer) == who


async def test_a_reader_of_the_feed_that_had_a_product_is_told_when_it_is_for_somebody_else(tmp_path: Path) -> None:
    async with stand(tmp_path, members=2) as it:
        await _offered(it, wombat=[FOR_ALL])
        before = json.loads(await it.ledger.feed(0, 500, BORIS))["sequence"]
        await _offered(it, wombat=[FOR_ANNA])
        (row,) = json.loads(await it.ledger.feed(before, 500, BORIS))["changes"]
        assert (row["id"], row["gone"], "dataset" in row) == ("urn:wombat", True, False)


async def test_a_reader_of_the_feed_hears_of_what_it_could_see_once_and_of_nothing_else(tmp_path: Path) -> None:
    async with stand(tmp_path, members=2) as it:
        for_boris = {**FOR_ANNA, "@id": "boris", "assignee": BORIS.id}
        await _offered(it, platypus=[FOR_ANNA], quoll=[FOR_ANNA, for_boris])
        before = await it.records.sequence()

        async def told(viewer: Caller | None) -> set[tuple[str, bool]]:
            page = json.loads(await it.ledger.feed(before, 500, viewer))
            assert page["sequence"] == await it.records.sequence()
            return {(row["id"], "gone" in row) for row in page["changes"]}

        # a change of what is still for her alone
        await _offered(it, platypus=[{**FOR_ANNA, "@id": "anna-2"}], quoll=[FOR_ANNA])
        assert await told(ANNA) == {("urn:platypus", False), ("urn:quoll", False)}
        assert (await told(BORIS), await told(None)) == ({("urn:quoll", True)}, set())
        # and then all of it leaves
        await it.records.list_members([], SystemClock().now())
        mine = {"urn:platypus", "urn:quoll"}
        left = [{id_ for id_, is_gone in await told(viewer) if is_gone} & mine for viewer in (ANNA, BORIS, None)]
        assert left == [mine, {"urn:quoll"}, set()]
        # who begins anew has nothing that could be gone
        assert json.loads(await it.ledger.feed(0, 500, ANNA))["changes"] == []


async def test_however_many_offers_differ_a_search_is_asked_with_few_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A set of 40,000 terms took more than a second, for whoever did not see one product of one member."""
    asked: list[Wanted] = []
    search = TantivyIndex.search

    def counted(self: TantivyIndex, wanted: Wanted) -> Found:
        asked.append(wanted)
        return search(self, wanted)

    monkeypatch.setattr(TantivyIndex, "search", counted)
    async with stand(tmp_path, members=2) as it:
        ends = [
            {**FOR_ALL, "permission": [{"action": "use", "duty": [{"action": f"urn:act:{number}"}]}]} for number in range(30)
        ]
        await _offered(it, platypus=[FOR_ANNA], **{f"one{number}": [offer] for number, offer in enumerate(ends)})
        for viewer, named in ((ANNA, 1), (BORIS, 0)):
            for query in (Query(), Query(action="use"), Query(action="distribute")):
                await it.ledger.search(query, viewer)
                wanted = asked.pop()
                assert len(wanted.named or ()) == named
                assert len(wanted.terms or ()) + len(wanted.without) < 16, query


async def test_of_what_changes_only_new_terms_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int | None] = []
    terms = CatalogRecords.terms

    async def counted(self: CatalogRecords, among: Sequence[str] | None = None) -> Mapping[str, bytes]:
        read.append(None if among is None else len(among))
        return await terms(self, among)

    monkeypatch.setattr(CatalogRecords, "terms", counted)
    async with stand(tmp_path, members=2) as it:
        await it.ledger.search(Query(), None)
        await _offered(it, platypus=[FOR_ANNA])
        assert (await it.ledger.search(Query(text="platypus"), ANNA)).total == 1
        await _offered(it, wombat=[FOR_ALL])
        await it.ledger.search(Query(), None)
        # everything once, then what is new, and nothing for the terms of others
        assert (read[0], sum(one or 0 for one in read[1:]) <= 2, None in read[1:]) == (None, True, False)
