"""What could not be judged when it came is judged later, by a job that lasts; what came of it is told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from connector.controlplane.clock import SystemClock
from connector.describe import participant
from connector.errors import Overloaded
from connector.federation.rejudging import ATTEMPTS, CONTEXT, KIND, Rejudging
from connector.ports.jobs import Job
from connector.storage.memory import MemoryStore
from tests.federation.foreign import Scene, answer, catalog, dataset, scene
from tests.federation.test_crawl import speaks
from tests.federation.test_feed import ORIGIN, page, said, tells
from tests.federation.test_judging import Signatures, enveloped


@dataclass(frozen=True, slots=True)
class Later:
    """The jobs of a scene, done when a test says so."""

    here: Scene
    jobs: MemoryStore
    work: Rejudging

    @classmethod
    def of(cls, here: Scene) -> Later:
        store = MemoryStore(node="n", lease_s=30)
        work = Rejudging(here.records, store.jobs, here.judge, SystemClock())
        here.crawler.unjudged = work.put
        return cls(here, store, work)

    async def job(self, signer: str) -> Job:
        found: Job | None = None

        async def is_put() -> bool:
            nonlocal found
            found = await self.jobs.jobs.job(CONTEXT, KIND, f"?{signer}")
            return found is not None

        await self.here.until(is_put)
        assert found is not None
        return found


async def signed_by(here: Scene) -> list[str]:
    return [c.product.entry.signed for c in await here.records.changes(0, 9) if c.product is not None and not c.is_itself]


async def test_what_another_ledger_reports_is_judged_when_the_key_can_be_had(tmp_path: Path) -> None:
    prover = Signatures()
    prover.is_away = True
    async with scene(tmp_path, prover=prover) as here:
        later = Later.of(here)
        way = {"origin": ORIGIN, "endpoint": "https://o.example/dsp", "via": []}
        trees = [dataset("urn:good", proof=ORIGIN), dataset("urn:bad", proof=f"{ORIGIN} signature")]
        changes = tuple({**way, "id": tree["@id"], "dataset": tree} for tree in trees)
        tells(here, page(said(), changes=changes))
        await here.list(region="catalog")
        report = (await here.report("region")).report
        assert report is not None
        assert all(
            any(word in note for note in report.notes) for word in (f"`{ORIGIN}`: what", "`urn:good` could", "`urn:bad` could")
        )
        assert await signed_by(here) == [f"?{ORIGIN}"] * 2
        shown = await here.said(ORIGIN)
        assert (shown.state, shown.description) == ("unjudged", None)
        assert "cannot be judged now" in shown.reason
        job = await later.job(ORIGIN)
        with pytest.raises(Overloaded, match="3 of them cannot be judged yet"):
            await later.work.work(job)
        before = await here.records.sequence()
        prover.is_away = False
        await later.work.work(job)
        # whoever follows us hears of it, and the ledger that told it reads what came of it
        assert [c.key[1] for c in await here.records.changes(before, 9)] == ["", "urn:good", "urn:bad"]
        assert await signed_by(here) == [ORIGIN]
        assert (await here.said(ORIGIN)).state == "verified"
        row = await here.records.member("region")
        assert row is not None
        assert row.report is not None
        told = "\n".join(row.report.notes)
        assert "the signature of `urn:good` was judged at" in told
        assert f"it is that of `{ORIGIN}`" in told
        assert f"`{ORIGIN}`: what it says of itself was judged at" in told
        assert "could not be judged" not in told
        assert "the signature of `urn:bad` proves nothing" in row.report.left_out[0]
        assert (row.entries, await here.records.waiting()) == (1, [])


async def test_a_member_that_is_not_judged_is_not_asked_again_and_again(tmp_path: Path) -> None:
    prover = Signatures()
    prover.is_away = True
    async with scene(tmp_path, prover=prover) as here:
        later = Later.of(here)
        mine = {participant.PROPERTY: enveloped(f"a|{participant.CREDENTIAL_TYPE}")}
        first = answer(catalog("a", dataset("urn:x", proof="a"), **mine), etag='"1"')
        speaks(here, "a", first, answer(catalog("a", dataset("urn:x", proof="a"), dataset("urn:y"), **mine), etag='"2"'))
        await here.list("a")
        row = await here.report("a")
        assert "pages" in row.validators
        assert row.next_at is not None
        assert row.report is not None
        assert (row.next_at - row.report.at).total_seconds() > 3000
        job = await later.job("a")
        prover.is_away = False
        await later.work.work(job)
        assert await signed_by(here) == ["a"]
        # what was proven once is not thrown back when the key is away at a later look
        prover.is_away = True
        await here.look_again("a")
        assert await signed_by(here) == ["a", ""]
        assert (await here.said("a")).state == "verified"


async def test_what_is_given_up_is_told_and_what_nobody_noted_is_taken_up_at_a_start(tmp_path: Path) -> None:
    prover = Signatures()
    prover.is_away = True
    async with scene(tmp_path, prover=prover) as here:
        speaks(here, "a", answer(catalog("a", dataset("urn:x", proof="a"))))
        # the node died between taking over and putting the job
        await here.list("a")
        await here.report("a")
        later = Later.of(here)
        await later.work.take_up()
        job = await later.job("a")
        with pytest.raises(Overloaded):
            await later.work.work(replace(job, tries=ATTEMPTS))
        row = await here.records.member("a")
        assert row is not None
        assert row.report is not None
        (note,) = row.report.notes
        assert note.startswith("the signature of `urn:x` could not be judged: the document cannot be had; it was tried")
        assert await signed_by(here) == ["?a"]


class Slow(Signatures):
    """Keys whose machines hang, each for longer than a look has patience."""

    asked: list[str] = []  # noqa: RUF012 - of the one test below

    async def signer(self, tree: object, allowed: object) -> str:
        self.asked.append(str(tree["proof"]["verificationMethod"]))  # type: ignore[index]
        raise Overloaded("no answer in time")


async def test_keys_that_cannot_be_had_hold_up_no_look_for_long(tmp_path: Path) -> None:
    async with scene(tmp_path, prover=Slow()) as here:
        methods = ["did:web:k1#a", "did:web:k1#b", "did:web:k2#a"]
        products = [dataset(f"urn:{n}", proof={"verificationMethod": one}) for n, one in enumerate(methods)]
        speaks(here, "a", answer(catalog("a", *products)))
        await here.list("a")
        await here.report("a")
        assert Slow.asked == ["did:web:k1#a", "did:web:k2#a"]
        assert await here.records.waiting() == ["?did:web:k1", "?did:web:k2"]
