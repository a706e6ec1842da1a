"""What the ledger shows follows the record, also where the index is a moment behind it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from connector.controlplane.clock import SystemClock
from connector.federation.ledger import Query
from connector.federation.reading import entry_of, tree_of
from connector.ports.catalog import Report, Snapshot
from connector.ports.identity import Caller
from tests.web.catalog.stand import stand


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
