"""Figures 2, 3 and 24: whole negotiations between two nodes, each durable in SQLite.

Each begins with a call of the consumer's operator API and ends when the consumer's log says FINALIZED, which it says once that is
on the disk; reading the log costs the nodes nothing, where asking them would. In between go request, agreement, verification and
finalisation. In each round: echo posts; negotiations with 16 in flight; then, at half the rate that this gave, negotiations and
groups of eight echo posts one after another, both at the same moments.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from tests.bench import figures
from tests.bench.asked import Asked
from tests.bench.load import Connection, connections, flood, on_loop, post
from tests.bench.nodes import PURPOSE, Echo, Node, participant_id
from tests.bench.processes import Server, ServerError, total_cpu_s
from tests.bench.requests import contract_request

_IN_FLIGHT = 16
_POSTS = 8
_LOST_AFTER_S = 60.0


def run(asked: Asked) -> list[figures.Figure]:
    """All three figures."""
    with Echo(asked) as echo, Node(asked, "provider", "consumer") as provider, Node(asked, "consumer", "provider") as consumer:
        return on_loop(lambda: _measured(asked, echo, provider, consumer))


async def _measured(asked: Asked, echo: Server, provider: Node, consumer: Node) -> list[figures.Figure]:
    offer = provider.offer("data")
    asking = json.dumps(
        {
            "address": provider.address,
            "peer": participant_id("provider"),
            "dataset": "data",
            "offer": offer,
            "purpose": PURPOSE,
        }
    ).encode()
    request = post(consumer.port, consumer.path("/negotiations"), asking, X_Api_Key=consumer.key)
    message = post(echo.port, "/echo", contract_request("http://127.0.0.1:9999/peer/dsp/2025-1", offer))
    echo_cpu, cpu, rate, p50, p99, posts_p50, posts_p99 = [], [], [], [], [], [], []
    async with AsyncExitStack() as stack:
        finished = await stack.enter_async_context(_finished(consumer.log))
        to_echo = await connections(stack, echo.port, _IN_FLIGHT)
        to_consumer = await connections(stack, consumer.port, 4 * _IN_FLIGHT)
        begun = 0

        async def negotiate(connection: Connection) -> float:
            begin = time.perf_counter()
            pid = json.loads(await connection.ask_well(request))["pid"]
            return await finished.at(pid) - begin

        async def in_flight(count: int) -> tuple[float, float]:
            """Negotiations per second, and the CPU seconds of one."""
            nonlocal begun
            begun += count
            left = iter(range(count))

            async def work(connection: Connection) -> None:
                for _ in left:
                    await negotiate(connection)

            begin, before = time.perf_counter(), total_cpu_s((provider, consumer))
            async with asyncio.TaskGroup() as tasks:
                for connection in to_consumer[:_IN_FLIGHT]:
                    tasks.create_task(work(connection))
            took = time.perf_counter() - begin
            await _rested(provider, consumer)
            return count / took, (total_cpu_s((provider, consumer)) - before) / count

        async def eight_posts(connection: Connection) -> float:
            begin = time.perf_counter()
            for _ in range(_POSTS):
                await connection.ask_well(message)
            return time.perf_counter() - begin

        await flood(to_echo, [message] * 300)
        await in_flight(100)
        for number in range(asked.rounds):
            before = echo.cpu_s()
            count = asked.of(3000)
            await flood(to_echo, [message] * count)
            echo_cpu.append((echo.cpu_s() - before) / count)
            per_second, one = await in_flight(asked.of(400))
            rate.append(per_second)
            cpu.append(one)
            count = asked.of(300)
            begun += count
            took = await _spread(count, per_second / 2, to_consumer, negotiate)
            await _rested(provider, consumer)
            posts = await _spread(count, per_second / 2, to_echo, eight_posts)
            p50.append(figures.percentile(took, 50) * 1000)
            p99.append(figures.percentile(took, 99) * 1000)
            posts_p50.append(figures.percentile(posts, 50) * 1000)
            posts_p99.append(figures.percentile(posts, 99) * 1000)
            asked.tell(
                f"round {number + 1}: {per_second:.0f}/s, {one * 1e3:.2f} ms CPU, p50 {p50[-1]:.1f} ms, p99 {p99[-1]:.1f} ms; "
                f"echo {echo_cpu[-1] * 1e6:.0f} µs, {_POSTS} posts p50 {posts_p50[-1]:.1f} ms, p99 {posts_p99[-1]:.1f} ms"
            )
        many = asked.of(10_000)
        many_per_second, _ = await in_flight(many)
        lost = begun - await _finalised(provider, consumer, begun)
    return [
        figures.ratio(
            2,
            "finalised negotiation, both sides: CPU",
            [value * 1e6 for value in cpu],
            [value * 1e6 for value in echo_cpu],
            unit="µs",
            must=30,
            ambition=18,
        ),
        figures.plain(3, "negotiation at half load: wall, p50", p50, unit="ms", must=60, ambition=25),
        figures.ratio(
            3, f"negotiation at half load: wall, p99, to {_POSTS} echo posts", p99, posts_p99, unit="ms", must=10, ambition=5
        ),
        figures.ratio(3, f"p50, to {_POSTS} echo posts", p50, posts_p50, unit="ms"),
        figures.plain(
            24, "negotiations per second, 16 in flight", rate, unit="/s", must=100, ambition=250, is_larger_better=True
        ),
        figures.plain(
            24, f"{many:,} of them, per second", [many_per_second], unit="/s", must=100, ambition=250, is_larger_better=True
        ),
        figures.plain(24, f"lost, of {begun:,}", [float(lost)], unit="", must=0, ambition=0),
    ]


class _Finished:
    """Which negotiations the log says are finalised, and when it said so."""

    def __init__(self) -> None:
        self._known: dict[str, float] = {}
        self._awaited: dict[str, asyncio.Future[float]] = {}

    async def at(self, pid: str) -> float:
        """When the negotiation was finalised, waiting for it.

        Raises: TimeoutError.
        """
        if pid in self._known:
            return self._known.pop(pid)
        self._awaited[pid] = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(_LOST_AFTER_S):
            return await self._awaited[pid]

    def said(self, line: bytes) -> None:
        """Take note of a line."""
        if b'"negotiation.step"' not in line or b'"FINALIZED"' not in line:
            return
        pid, now = json.loads(line)["pid"], time.perf_counter()
        awaited = self._awaited.pop(pid, None)
        if awaited is None:
            self._known[pid] = now
        elif not awaited.done():
            awaited.set_result(now)

    async def follow(self, log: Path) -> None:
        """Read the log as it grows, a thousand times a second."""
        file = os.open(log, os.O_RDONLY)
        rest = b""
        try:
            while True:
                data = os.read(file, 1 << 20)
                if not data:
                    await asyncio.sleep(0.001)
                    continue
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self.said(line)
        finally:
            os.close(file)


@asynccontextmanager
async def _finished(log: Path) -> AsyncIterator[_Finished]:
    found = _Finished()
    following = asyncio.create_task(found.follow(log))
    try:
        yield found
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


async def _rested(*nodes: Node) -> None:
    for node in nodes:
        await asyncio.to_thread(node.settle)


async def _spread(
    count: int, per_second: float, over: list[Connection], work: Callable[[Connection], Awaitable[Any]]
) -> list[float]:
    """How long each of `count` works took, begun at even distances whether or not earlier ones have ended."""
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for connection in over:
        free.put_nowait(connection)
    took: list[float] = []

    async def one() -> None:
        begin = time.perf_counter()
        connection = await free.get()
        await work(connection)
        took.append(time.perf_counter() - begin)
        free.put_nowait(connection)

    start = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            await asyncio.sleep(max(0.0, start + number / per_second - time.perf_counter()))
            tasks.create_task(one())
    return took


async def _finalised(provider: Node, consumer: Node, expected: int) -> int:
    """How many negotiations both sides hold for finalised; waits a moment for the last acknowledgements."""
    for _ in range(50):
        counts = [await asyncio.to_thread(node.count, "negotiations", state="FINALIZED") for node in (provider, consumer)]
        if min(counts) >= expected:
            break
        await asyncio.sleep(0.2)
    if max(counts) > expected:
        raise ServerError(f"{max(counts)} negotiations are finalised, only {expected} were begun")
    return min(counts)
