"""Many members at once, some of them hostile: a ledger stays polite, bounded, and at everybody's service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connector.federation import crawl
from connector.federation.looking import Bounds
from connector.ports.catalog import Listed
from connector.storage.catalog import taking
from tests.federation.foreign import Scene, answer, catalog, dataset, scene
from tests.federation.test_crawl import silent, speaks


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene(tmp_path, within_s=3) as found:
        yield found


async def test_many_members_at_a_host_that_hangs_hold_up_nobody_at_another(
    here: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crawl, "_MOST_AT_HOST", 50)
    names = [f"hangs{number:02}" for number in range(60)]
    for name in names:
        here.foreign.tell(f"/{name}/.well-known/dspace-version", silent)
    async with await asyncio.start_server(here.foreign.serve, "127.0.0.2", 0) as server:
        other = f"http://127.0.0.2:{server.sockets[0].getsockname()[1]}/good"
        listed = [Listed(id=name, address=here.foreign.address(name)) for name in names]
        here.roster.now = (*listed, Listed(id="zoo", address=other))
        speaks(here, "good", answer(catalog("zoo", dataset("urn:good"))))
        here.crawler.list_anew()
        assert (await here.report("zoo")).entries == 1
        rows = [row for row in await here.records.members(None, 100) if row.report is not None]
        # before the first of them was given up, and not after forty of them
        assert len(rows) < 20


async def test_who_announces_again_and_again_rests_as_long_as_it_took(here: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crawl, "_LONG", timedelta(0))

    async def slow(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.write(answer(catalog("a", dataset("urn:a"))))
        await writer.drain()

    speaks(here, "a", slow)
    await here.list("a")
    report = (await here.report("a")).report
    await here.crawler.announced("a", ())
    row = await here.records.member("a")
    assert report is not None
    assert row is not None
    assert row.next_at is not None
    assert timedelta(seconds=0.6) <= row.next_at - report.at < timedelta(minutes=1)


async def test_of_many_that_cannot_be_reached_few_are_asked_again_at_once(here: Scene) -> None:
    names = [f"gone{number}" for number in range(40)]
    await here.list(*names)
    rows = [await here.report(name) for name in names]
    again = sorted(row.next_at for row in rows if row.next_at is not None)
    assert len(again) == 40
    # one after another, and not all in half a second
    assert (again[-1] - again[0]).total_seconds() > 3


async def test_large_catalogues_that_are_together_too_much_are_read_one_after_another(tmp_path: Path) -> None:
    """Thirty-two members of 256 MB each, read at once, would be more than any ledger has."""
    bounds = Bounds(fair_bytes=40_000, together_bytes=100_000)
    async with scene(tmp_path, bounds=bounds) as here:
        held = asyncio.Event()

        async def waits(writer: asyncio.StreamWriter) -> None:
            await held.wait()
            writer.write(answer(catalog("large", dataset("urn:large2"))))
            await writer.drain()

        first = answer(catalog("large", dataset("urn:large", more="x" * 80_000)), link="</large/more>; rel=next")
        speaks(here, "large", first)
        here.foreign.tell("/large/more", waits)
        for name in ("other", "small"):
            speaks(here, name, answer(catalog(name, dataset(f"urn:{name}", more="x" * (50_000 if name == "other" else 9)))))
        await here.list("large")
        await here.until(lambda: _asked(here, "GET /large/more"))
        await here.list("large", "other", "small")
        refused, small = [await here.report(name) for name in ("other", "small")]
        assert refused.report is not None
        assert "other large catalogues are read at the moment" in refused.report.cause
        assert small.entries == 1
        held.set()
        await here.crawler.announced("other", ())

        async def all_shown() -> bool:
            return set(await here.shown()) == {"urn:large", "urn:large2", "urn:other", "urn:small"}

        await here.until(all_shown)


async def _asked(here: Scene, line: str) -> bool:
    return line in here.foreign.asked


async def test_one_that_cannot_be_kept_keeps_nobody_else_out(here: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    put = taking.put

    async def failing(work: Any, puts: Any, *more: Any) -> Any:
        if any(member == "odd" for member, _, _ in puts):
            raise ValueError("a column has no room for it")
        return await put(work, puts, *more)

    monkeypatch.setattr(taking, "put", failing)
    for name in ("odd", "good"):
        speaks(here, name, answer(catalog(name, dataset(f"urn:{name}"))))
    await here.list("odd", "good")
    odd, good = [await here.report(name) for name in ("odd", "good")]
    assert good.entries == 1
    assert odd.report is not None
    assert "cannot be kept (ValueError)" in odd.report.cause
