"""What is withdrawn after it was proven is shown no more, though nobody says anything new; who follows us and the member hear of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from connector.controlplane.clock import SystemClock
from connector.describe import participant
from connector.federation import feed, reproving
from connector.federation.rejudging import CONTEXT
from connector.federation.reproving import FIRST, KIND, Reproving
from connector.ports.jobs import Job
from connector.storage.memory import MemoryStore
from tests.federation.foreign import Scene, scene
from tests.federation.test_feed import ORIGIN, page, said, tells
from tests.federation.test_judging import Signatures, enveloped

HOUR = timedelta(hours=1)


async def claimed(store: MemoryStore) -> Job:
    """The one job that waits, when its moment has come."""
    (job,) = await store.jobs.claim([KIND], SystemClock().now() + 2 * HOUR)
    return job


async def fed(here: Scene, after: int) -> list[dict[str, object]]:
    """What the next ledger reads of origins."""
    found: list[dict[str, object]] = orjson.loads(feed.page("nation", "e", await here.records.changes(after, 9), 9, after))[
        "participants"
    ]
    return found


async def test_what_is_revoked_after_it_was_proven_is_shown_no_more_and_told(tmp_path: Path) -> None:
    prover = Signatures()
    async with scene(tmp_path, prover=prover) as here:
        store = MemoryStore(node="n", lease_s=30)
        work = Reproving(here.records, store.jobs, here.judge, SystemClock(), HOUR)
        woken = []
        work.changed = lambda: woken.append(1)
        tells(here, page(said()))
        await here.list(region="catalog")
        await here.report("region")
        await work.take_up()
        await work.take_up()
        job = await claimed(store)
        before = await here.records.sequence()

        # nothing is withdrawn, or it cannot be told: all stays as it is
        for is_away in (False, True):
            prover.is_away = is_away
            prover.withdrawn = frozenset({"did:web:authority|Gold"} if is_away else ())
            assert await work.work(job) is not None
            assert (await here.records.sequence(), woken) == (before, [])

        prover.is_away = False
        await work.work(job)
        shown = await here.said(ORIGIN)
        assert (shown.state, shown.attestations, woken) == ("verified", (), [1])
        assert [row["origin"] for row in await fed(here, before)] == [ORIGIN]
        row = await here.records.member("region")
        assert row is not None
        assert row.report is not None
        assert "an attestation is left out: it is revoked" in row.report.notes[0]

        # its own word too, and back when that was a mistake
        before = await here.records.sequence()
        prover.withdrawn = frozenset({f"{ORIGIN}|{participant.CREDENTIAL_TYPE}"})
        await work.work(job)
        assert (await here.said(ORIGIN)).state == "refused"
        assert [(row["origin"], row["gone"]) for row in await fed(here, before)] == [(ORIGIN, True)]
        prover.withdrawn = frozenset()
        await work.work(job)
        shown = await here.said(ORIGIN)
        assert (shown.state, len(shown.attestations)) == ("verified", 1)
        row = await here.records.member("region")
        assert row is not None
        assert row.report is not None
        assert [note.partition(" UTC: ")[2] for note in row.report.notes if "judged again" in note] == ["verified"]


async def test_a_round_goes_on_by_a_job_of_its_own_before_the_page_that_may_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reproving, "_PAGE", 2)
    prover = Signatures()
    async with scene(tmp_path, prover=prover) as here:
        store = MemoryStore(node="n", lease_s=30)
        work = Reproving(here.records, store.jobs, here.judge, SystemClock(), HOUR)
        tells(here, page(*(said(f"did:web:{n}", enveloped(f"did:web:{n}|{participant.CREDENTIAL_TYPE}")) for n in range(3))))
        await here.list(region="catalog")
        await here.report("region")
        await work.take_up()
        first = await claimed(store)
        assert await work.work(first) is not None
        second = await claimed(store)
        assert (first.id, second.body["number"], second.participant) == (FIRST, 2, CONTEXT)
        prover.withdrawn = frozenset({f"did:web:{n}|{participant.CREDENTIAL_TYPE}" for n in range(3)})
        # the second page alone, and nothing after it
        assert await work.work(second) is None
        assert [(await here.said(f"did:web:{n}")).state for n in range(3)] == ["verified", "verified", "refused"]
