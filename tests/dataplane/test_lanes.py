"""Bounds of streams: one too many is told when to come again, bytes wait for each other, and all of it recovers."""

from __future__ import annotations

import asyncio
import pathlib

import aiohttp
import pytest

from connector.dataplane.lanes import Lanes, Turns
from connector.errors import Overloaded, TooMany
from connector.ports.dataplane import Source
from connector.settings import Bounds
from tests.dataplane.conftest import SAMPLE, RawConnection, Start, file, raw_server, whole


def _bounds(participant: Bounds | None = None, peer: Bounds | None = None) -> Lanes:
    elapsed = [0.0]

    async def sleep(seconds: float) -> None:
        elapsed[0] += seconds

    return Lanes(lambda _, of: (peer if of else participant) or Bounds(), now=lambda: elapsed[0], sleep=sleep)


def test_a_peer_is_refused_beyond_its_own_bound_and_all_beyond_that_of_the_participant() -> None:
    lanes = _bounds(Bounds(streams_at_once=3), Bounds(streams_at_once=2))
    with lanes.taken("acme", "a"), lanes.taken("acme", "b"):
        with lanes.taken("acme", "a"):
            with pytest.raises(TooMany, match="yours") as refused, lanes.taken("acme", "a"):
                pass
            assert refused.value.retry_after_s > 0
            with pytest.raises(Overloaded), lanes.taken("acme", "c"):
                pass
            # another participant has bounds of its own, and what we send ourselves is refused to nobody
            with lanes.taken("other", "c"), lanes.ours("acme", "c"):
                pass
        with lanes.taken("acme", "c"):
            pass


async def test_streams_share_what_may_go_in_a_second() -> None:
    lanes, shown = _bounds(Bounds(bytes_per_s=1_000_000)), []
    with lanes.taken("acme", "a") as one, lanes.taken("acme", "b") as two:
        for lane in (one, two, one, two):
            await lane.pace(1_000_000, lambda: shown.append(1))
    # 4 MB at 1 MB a second, of which a quarter of a second's worth need not wait
    assert lanes.now() == pytest.approx(3.75)
    assert len(shown) >= 3
    with lanes.taken("other", "a") as lane:
        await lane.pace(2_000_000_000, lambda: None)
    assert lanes.now() > 1000, "bounds hold for each participant that has them"


def test_more_than_can_be_looked_up_soon_are_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.dataplane.lanes._MOST_ASKING", 1)
    lanes = _bounds(Bounds())
    with lanes.asking(), pytest.raises(Overloaded), lanes.asking():
        pass
    with lanes.asking():
        pass


async def test_one_stream_too_many_is_429_and_served_when_another_has_ended(start: Start, sample: pathlib.Path) -> None:
    node = await start(bounds=lambda participant, peer: Bounds(streams_at_once=1) if peer else Bounds())
    large = sample.with_name("large")
    with large.open("wb") as made:
        made.truncate(100_000_000)
    (busy, token), (url, shown) = node.offer(file(large), "urn:uuid:1"), node.offer(file(sample), "urn:uuid:2")
    running = await RawConnection.to(busy)
    assert (await running.ask("GET", busy, token))[0] == 200
    async with aiohttp.ClientSession() as client:
        async with client.get(url, headers={"Authorization": shown}) as answer:
            assert (answer.status, answer.headers["retry-after"]) == (429, "5")
        # a push into us is a stream, too
        address = node.expect("urn:uuid:3")
        connection = await RawConnection.to(address.endpoint or "")
        headers = whole()
        status, _ = await connection.ask(
            "PUT", address.endpoint or "", address.property("authorization") or "", SAMPLE, **headers
        )
        assert status == 429
        running.abort()
        await node.plane.stop("acme", "urn:uuid:1")
        async with client.get(url, headers={"Authorization": shown}) as answer:
            assert await answer.read() == SAMPLE


async def test_a_slow_pace_moves_the_same_bytes(start: Start, sample: pathlib.Path) -> None:
    node = await start(bounds=lambda participant, peer: Bounds(bytes_per_s=10_000_000))
    url, token = node.offer(file(sample))
    async with aiohttp.ClientSession() as client, client.get(url, headers={"Authorization": token}) as answer:
        assert await answer.read() == SAMPLE


async def test_a_peer_that_takes_nothing_of_what_it_is_sent_has_half_of_the_turns_at_most() -> None:
    turns, begun, over = Turns(4), list[str](), asyncio.Event()

    async def push(peer: str) -> None:
        async with turns.taken("acme", peer):
            begun.append(peer)
            await over.wait()

    async with asyncio.TaskGroup() as tasks:
        for peer in ("slow",) * 9 + ("quick",):
            tasks.create_task(push(peer))
        for _ in range(3):
            await asyncio.sleep(0)
        assert begun == ["slow", "slow", "quick"]
        over.set()
    assert sorted(begun) == ["quick"] + ["slow"] * 9


async def test_whoever_asks_for_little_again_and_again_waits_before_the_next_answer(start: Start) -> None:
    node = await start(bounds=lambda participant, peer: Bounds(bytes_per_s=65_536))
    asked, waiting = [0], asyncio.Semaphore(0)

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked[0] += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + b"x" * 20000)

    async def sleep(seconds: float) -> None:
        waiting.release()
        await asyncio.Event().wait()

    node.plane._lanes.sleep = sleep
    async with raw_server(handle) as upstream:
        url, token = node.offer(Source(type="http", url=f"{upstream}/d"))
        connection = await RawConnection.to(url)
        async with asyncio.timeout(5):
            for _ in range(2):
                await connection.send("GET", url, token)
                await waiting.acquire()
        assert asked == [1]
        await node.plane.stop("acme", "urn:uuid:1")
