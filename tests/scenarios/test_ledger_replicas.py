"""Two search replicas on one PostgreSQL: whichever takes a change over, both find it; one that was away catches up."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from connector.controlplane.clock import SystemClock
from connector.federation.following import Indexer
from connector.federation.tantivy_index import TantivyIndex
from connector.ports.index import Index, Wanted
from connector.storage.catalog import open_records
from connector.storage.catalog.fulltext import FullText
from connector.storage.catalog.records import CatalogRecords
from connector.testing.catalog_contract import NOW, entry, listed, snapshot
from tests.servers.postgres import emptied


class Replica:
    """A node's part in the ledger: its way to the record, and an index of its own."""

    def __init__(self, url: str, folder: Path, index: Index) -> None:
        self.records: CatalogRecords = open_records(url, folder=folder, connections=4)
        self.index = index
        self.indexer = Indexer(self.records, index, SystemClock(), space="x")

    async def open(self, stack: AsyncExitStack) -> None:
        await self.records.open()
        stack.push_async_callback(self.records.close)
        await self.indexer.open()
        stack.push_async_callback(self.indexer.close)

    async def found(self, text: str) -> int:
        while await self.indexer.catch_up():
            pass
        return self.index.search(Wanted(text=text)).total


async def test_both_find_what_either_takes_over(postgres: str, tmp_path: Path) -> None:
    async with emptied(postgres) as url, AsyncExitStack() as stack:
        one = Replica(url, tmp_path, TantivyIndex(tmp_path / "one"))
        two = Replica(url, tmp_path, FullText(tmp_path / "two"))
        await one.open(stack)
        await two.open(stack)
        await one.records.list_members([listed("a"), listed("b")], NOW)
        await one.records.swap([snapshot("a", entry("a", "1", "whales"))], NOW)
        await two.records.swap([snapshot("b", entry("b", "2", "whales"), entry("b", "3", "waves"))], NOW)
        for replica in (one, two):
            assert [await replica.found(word) for word in ("whales", "waves")] == [2, 1]
        await one.records.swap([snapshot("b", entry("b", "2", "wind"))], NOW)
        await one.records.list_members([listed("b")], NOW)
        for replica in (one, two):
            assert [await replica.found(word) for word in ("whales", "waves", "wind")] == [0, 0, 1]
        # a third one begins with nothing
        late = Replica(url, tmp_path, TantivyIndex(tmp_path / "late"))
        await late.open(stack)
        assert await late.found("wind") == 1
