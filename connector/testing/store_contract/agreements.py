"""The contract of agreements: kept with the step that reaches them, or imported; nobody overwrites another's."""

from __future__ import annotations

import asyncio

import pytest

from connector.dsp.negotiation import Agreement
from connector.dsp.tables import Role, State
from connector.errors import BadMessage, Conflict
from connector.ports.store import Change, Filter, Page, Store
from connector.testing.store_contract.lists import all_pages
from connector.testing.store_contract.values import NOW, adding, agreement, always, negotiation, put


class AgreementContract:
    """Agreements of one context."""

    async def test_an_agreement_is_kept_with_the_step_that_reaches_it(self, store: Store) -> None:
        place = await put(store, negotiation("n-1"))
        agreed = negotiation("n-1", state=State.AGREED)
        await store.advance(place, always(Change(process=agreed, agreement=agreement("urn:a"))))
        assert await store.agreement("alice", "urn:a") == agreement("urn:a")

    async def test_a_new_version_takes_the_place_of_the_old_one(self, store: Store) -> None:
        place = await put(store, negotiation("n-1"), agreement=agreement("urn:a"))
        await store.advance(place, adding(agreement=agreement("urn:b")))
        ended = agreement("urn:a", ended_at=NOW, end_reason="over")
        await store.advance(place, adding(agreement=ended))
        assert await store.agreement("alice", "urn:a") == ended
        again = agreement("urn:b", ended_at=NOW, end_reason="over too")
        await store.put_agreement(again, is_new=False)
        page = await store.agreements("alice", Filter())
        assert page == Page(items=(again, ended), total=2, next_cursor=None)

    async def test_an_agreement_is_imported_once(self, store: Store) -> None:
        imported = agreement("urn:a", negotiation=None)
        await store.put_agreement(imported, is_new=True)
        with pytest.raises(Conflict):
            await store.put_agreement(imported, is_new=True)
        await store.put_agreement(agreement("urn:a", negotiation=None, end_reason="changed"), is_new=False)
        kept = await store.agreement("alice", "urn:a")
        assert kept is not None
        assert kept.end_reason == "changed"

    async def test_of_many_imports_at_once_one_wins(self, store: Store) -> None:
        texts = [f"import {number}" for number in range(8)]
        results = await asyncio.gather(
            *(store.put_agreement(agreement("urn:a", negotiation=None, purpose=text), is_new=True) for text in texts),
            return_exceptions=True,
        )
        (winner,) = [text for text, result in zip(texts, results, strict=True) if result is None]
        kept = await store.agreement("alice", "urn:a")
        assert kept is not None
        assert kept.purpose == winner
        assert all(result is None or isinstance(result, Conflict) for result in results)

    @pytest.mark.parametrize(
        "other",
        [
            agreement("urn:a", peer="urn:mallory"),
            agreement("urn:a", negotiation="n-2"),
            agreement("urn:a", role=Role.CONSUMER),
        ],
    )
    async def test_an_agreement_never_overwrites_one_with_somebody_else(self, store: Store, other: Agreement) -> None:
        await put(store, negotiation("n-1"), agreement=agreement("urn:a"))
        place = await put(store, negotiation("n-2", peer="urn:mallory"))
        agreed = negotiation("n-2", peer="urn:mallory", state=State.AGREED)
        with pytest.raises(Conflict):
            await store.advance(place, always(Change(process=agreed, agreement=other)), received="urn:m")
        with pytest.raises(Conflict):
            await store.put_agreement(other, is_new=False)
        assert await store.agreement("alice", "urn:a") == agreement("urn:a")
        assert await store.process(place) == negotiation("n-2", peer="urn:mallory")

    async def test_contexts_do_not_share_agreements(self, store: Store) -> None:
        await store.put_agreement(agreement("urn:a"), is_new=True)
        assert await store.agreement("carol", "urn:a") is None
        assert (await store.agreements("carol", Filter())).total == 0
        hers = agreement("urn:a", participant="carol", peer="urn:alice")
        await store.put_agreement(hers, is_new=True)
        assert await store.agreement("carol", "urn:a") == hers
        assert await store.agreement("alice", "urn:a") == agreement("urn:a")

    @pytest.mark.parametrize(
        ("filter_", "found"),
        [
            (Filter(), ["other", "dave", "consumer", "plain"]),
            (Filter(role=Role.CONSUMER), ["consumer"]),
            (Filter(peer="urn:dave"), ["dave"]),
            (Filter(dataset="urn:other"), ["other"]),
            (Filter(agreement_id="plain"), ["plain"]),
            (Filter(is_held=False, peer="urn:dave"), ["dave"]),
            # agreements have no state and are never held
            (Filter(is_held=True), []),
            (Filter(state=State.FINALIZED), []),
        ],
    )
    async def test_a_filter_narrows_agreements(self, store: Store, filter_: Filter, found: list[str]) -> None:
        for kept in (
            agreement("plain"),
            agreement("consumer", role=Role.CONSUMER),
            agreement("dave", peer="urn:dave"),
            agreement("other", dataset="urn:other"),
        ):
            await store.put_agreement(kept, is_new=True)
        page = await store.agreements("alice", filter_)
        assert ([kept.id for kept in page.items], page.total) == (found, len(found))

    async def test_agreements_come_in_pages_newest_first(self, store: Store) -> None:
        for number in range(5):
            await store.put_agreement(agreement(f"a{number}"), is_new=True)
        added = 0

        async def ask(cursor: str | None) -> Page[Agreement]:
            nonlocal added
            page = await store.agreements("alice", Filter(), cursor=cursor, limit=2)
            assert page.total == 5 + added
            await store.put_agreement(agreement(f"late{added}"), is_new=True)
            added += 1
            return page

        assert [kept.id for kept in await all_pages(ask)] == ["a4", "a3", "a2", "a1", "a0"]
        with pytest.raises(BadMessage):
            await store.agreements("alice", Filter(), cursor="no cursor")
