"""The contract of what operators write: versions that catch lost updates, and a number that tells caches of any change."""

from __future__ import annotations

import asyncio

import pytest

from connector.errors import BadMessage, Conflict
from connector.ports.documents import MOST_BEHIND, Changes
from connector.ports.store import Document, Page, Store
from connector.testing.store_contract.lists import all_pages
from connector.testing.store_contract.values import NOW, SECOND, Nodes, document


class DocumentContract:
    """Documents of one context."""

    async def test_a_document_is_read_as_it_was_written(self, store: Store) -> None:
        full = document("urn:x/1?ü", body={"title": "Wetter", "list": [1, 2.5, None, True], "empty": {}})
        written = await store.put_document(full)
        assert written == full
        assert await store.document("alice", "asset", "urn:x/1?ü") == full

    async def test_a_new_version_keeps_the_day_of_creation(self, store: Store) -> None:
        await store.put_document(document("one"))
        later = NOW + SECOND
        written = await store.put_document(document("one", body={"title": "new"}, created_at=later, updated_at=later))
        assert written == document("one", body={"title": "new"}, version=2, updated_at=later)
        assert await store.document("alice", "asset", "one") == written

    async def test_what_was_read_or_written_can_be_changed_without_changing_the_store(self, store: Store) -> None:
        body = {"title": "Wetter", "list": [1]}
        await store.put_document(document("one", body=body))
        body["list"] = [2]
        read = await store.document("alice", "asset", "one")
        assert read is not None
        read.body["list"].append(3)
        assert await store.document("alice", "asset", "one") == document("one", body={"title": "Wetter", "list": [1]})

    async def test_what_is_not_there_is_none(self, store: Store) -> None:
        await store.put_document(document("one"))
        for place in (("alice", "asset", "two"), ("alice", "policy", "one"), ("carol", "asset", "one")):
            assert await store.document(*place) is None
            assert await store.delete_document(*place) is False
        assert await store.document("alice", "asset", "one") == document("one")

    async def test_a_document_that_must_be_new_is_not_overwritten(self, store: Store) -> None:
        await store.put_document(document("one"), expect=0)
        with pytest.raises(Conflict, match="exists already"):
            await store.put_document(document("one", body={}), expect=0)
        assert await store.document("alice", "asset", "one") == document("one")

    async def test_an_outdated_version_is_not_written(self, store: Store) -> None:
        await store.put_document(document("one"))
        await store.put_document(document("one"), expect=1)
        for expected in (1, 3):
            with pytest.raises(Conflict, match="version 2"):
                await store.put_document(document("one", body={}), expect=expected)
        with pytest.raises(Conflict, match="does not exist"):
            await store.put_document(document("two"), expect=1)
        assert await store.document("alice", "asset", "one") == document("one", version=2)
        assert await store.document("alice", "asset", "two") is None

    @pytest.mark.parametrize("version", [0, 1])
    async def test_of_many_writers_on_one_version_one_wins(self, nodes: Nodes, version: int) -> None:
        stores = [await nodes("here"), await nodes("there")]
        if version:
            await stores[0].put_document(document("one"))
        results = await asyncio.gather(
            *(stores[n % 2].put_document(document("one", body={"n": n}), expect=version) for n in range(20)),
            return_exceptions=True,
        )
        (winner,) = [result for result in results if isinstance(result, Document)]
        assert winner.version == version + 1
        assert await stores[1].document("alice", "asset", "one") == winner
        assert sum(isinstance(result, Conflict) for result in results) == 19

    async def test_a_deleted_document_is_gone(self, store: Store) -> None:
        await store.put_document(document("one"))
        assert await store.delete_document("alice", "asset", "one") is True
        assert await store.document("alice", "asset", "one") is None
        assert await store.delete_document("alice", "asset", "one") is False
        assert (await store.put_document(document("one"), expect=0)).version == 1

    async def test_documents_are_listed_by_id(self, store: Store) -> None:
        for id_ in ("b", "a", "B", "ä", "𐍈", "ﬀ", "a/1"):
            await store.put_document(document(id_))
        await store.put_document(document("c", kind="policy"))
        await store.put_document(document("d", participant="carol"))
        page = await store.documents("alice", "asset")
        assert [kept.id for kept in page.items] == ["B", "a", "a/1", "b", "ä", "ﬀ", "𐍈"]
        assert (page.total, page.next_cursor) == (7, None)
        assert page.items[0] == document("B")

    async def test_pages_of_documents_stay_right_while_some_are_added(self, store: Store) -> None:
        for id_ in ("a", "c", "e", "g", "ü"):
            await store.put_document(document(id_))
        late = iter(("d", "b", "x"))

        async def ask(cursor: str | None) -> Page[Document]:
            page = await store.documents("alice", "asset", cursor=cursor, limit=2)
            await store.put_document(document(next(late)))
            return page

        # what comes in before the cursor is not seen, what comes in behind it is, and nothing twice
        assert [kept.id for kept in await all_pages(ask)] == ["a", "c", "d", "e", "g", "ü"]
        with pytest.raises(BadMessage):
            await store.documents("alice", "asset", cursor="?")

    async def test_an_empty_list_of_documents_is_one_empty_page(self, store: Store) -> None:
        assert await store.documents("alice", "asset") == Page(items=(), total=0, next_cursor=None)

    async def test_the_revision_grows_with_every_change_of_the_context(self, store: Store) -> None:
        revisions = [await store.revision("alice")]

        async def look() -> bool:
            revisions.append(await store.revision("alice"))
            return revisions[-1] > revisions[-2]

        await store.put_document(document("one"))
        assert await look()
        await store.put_document(document("one"))
        assert await look()
        await store.put_document(document("one", kind="policy"))
        assert await look()
        await store.delete_document("alice", "asset", "one")
        assert await look()
        await store.delete_document("alice", "asset", "one")
        with pytest.raises(Conflict):
            await store.put_document(document("one"), expect=7)
        await store.put_document(document("one", participant="carol"))
        assert not await look()
        assert await store.revision("carol") > 0
        assert await store.revision("nobody") == 0

    async def test_what_was_written_since_a_revision_is_told(self, nodes: Nodes) -> None:
        here, there = await nodes("here"), await nodes("there")
        await here.put_document(document("one"))
        await here.put_document(document("two", kind="policy"))
        before = await here.revision("alice")
        assert await here.documents_since("alice", before) == Changes()
        new, changed = document("three"), document("one", body={"title": "new"})
        await there.put_document(new)
        changed = await there.put_document(changed)
        await there.put_document(document("four", participant="carol"))
        found = await here.documents_since("alice", before)
        assert found is not None
        assert (sorted(found.written, key=lambda one: one.id), found.deleted) == ([changed, new], ())
        assert await here.documents_since("alice", await here.revision("alice")) == Changes()
        assert await here.documents_since("nobody", 0) == Changes()

    async def test_what_was_deleted_since_a_revision_is_told_until_it_is_there_again(self, store: Store) -> None:
        await store.put_document(document("one"))
        before = await store.revision("alice")
        await store.put_document(document("two", kind="policy"))
        for kind, id_ in (("asset", "one"), ("policy", "two")):
            assert await store.delete_document("alice", kind, id_)
        found = await store.documents_since("alice", before)
        assert found is not None
        assert (found.written, set(found.deleted)) == ((), {("asset", "one"), ("policy", "two")})
        await store.put_document(document("one"))
        assert await store.documents_since("alice", before) == Changes(written=(document("one"),), deleted=(("policy", "two"),))

    async def test_of_much_or_long_ago_it_is_said_that_all_must_be_looked_at(self, store: Store) -> None:
        before = await store.revision("alice")
        for id_ in ("one", "two", "three"):
            await store.put_document(document(id_))
        assert await store.documents_since("alice", before, limit=2) is None
        assert await store.documents_since("alice", before, limit=3) is not None
        await store.delete_document("alice", "asset", "one")
        # of all these but the last deletion is known
        for _ in range(MOST_BEHIND // 2):
            await store.put_document(document("four"))
            await store.delete_document("alice", "asset", "four")
        assert await store.documents_since("alice", before) is None
        late = await store.revision("alice") - 2
        assert await store.documents_since("alice", late) == Changes(deleted=(("asset", "four"),))

    async def test_documents_are_there_after_a_restart(self, nodes: Nodes) -> None:
        before = await nodes("here")
        await before.put_document(document("one"))
        revision = await before.revision("alice")
        await before.close()
        after = await nodes("here")
        assert await after.document("alice", "asset", "one") == document("one")
        assert await after.revision("alice") == revision
