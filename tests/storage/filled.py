"""A store with something of everything, for tests of archives and upgrades."""

from __future__ import annotations

from connector.dsp.tables import Kind, State
from connector.ports.jobs import Failure, NewJob
from connector.ports.journal import Line
from connector.ports.ledger import BookChange, PostingKind
from connector.ports.store import Change, Store
from connector.storage.archive import TABLES, Row, Source
from connector.testing.store_contract.ledger import FULL
from connector.testing.store_contract.values import (
    NOW,
    SECOND,
    agreement,
    always,
    attempt,
    document,
    due,
    full_negotiation,
    key,
    negotiation,
    outgoing,
    peer_key,
    put,
    record,
    transfer,
)


async def fill(store: Store) -> None:
    """Something in every table."""
    place = await put(
        store,
        full_negotiation("full"),
        outgoing=(outgoing("m1"), outgoing("m2")),
        due=(due("agree", NOW + SECOND),),
        records=(record("first"),),
        attempts=(attempt("m0"),),
        agreement=agreement("urn:a:1", negotiation="full"),
    )
    await store.advance(place, always(Change(answer=b'{"answer":"\xc3\xbc"}')), received="urn:peer:m")
    await store.advance(peer_key("theirs"), always(Change(process=negotiation("opened", peer_pid="theirs"))))
    await put(store, transfer("moved", participant="carol"), jobs=(NewJob(participant="carol", kind="push", id="1", body={}),))
    await put(store, transfer("ended", state=State.COMPLETED))
    assert await store.process(key("moved", participant="carol", kind=Kind.TRANSFER)) is not None
    await store.put_agreement(agreement("urn:a:2", participant="carol", negotiation=None), is_new=True)
    for id_ in ("zebra", "\u00e4pfel", "Apfel"):
        await store.put_document(document(id_))
    await store.put_document(document("key", kind="secret", body={"sealed": "AAAA"}))
    await store.delete_document("alice", "asset", "zebra")
    await store.journal.append("alice", "audit", [Line(at=NOW + n * SECOND, body={"n": n}) for n in range(5)])
    await store.journal.trim("alice", "audit", NOW + 2 * SECOND)
    await store.jobs.put(
        [NewJob(participant="alice", kind="k", id=str(n), body={"n": n}, order_key="o") for n in range(3)], NOW
    )
    (job,) = await store.jobs.claim(("k",), NOW)
    await store.jobs.give_up(job, Failure(at=NOW, cause="410"))
    assert await store.replay.use("alice", "urn:i", "1", NOW + SECOND, NOW)
    posted = BookChange(book=FULL, kind=PostingKind.OPENED, at=NOW, result="ok", next_at=NOW + SECOND)
    await store.ledger.post("alice", "urn:a:1", "opened", lambda book: posted)


async def rows_of(source: Source) -> dict[str, list[Row]]:
    """Everything in a store, by table."""
    async with source.reading() as rows:
        return {table.name: [row async for row in rows.rows(table)] for table in TABLES}
