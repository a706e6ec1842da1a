"""Figures 1 and 5: what an inbound message costs, and what reading one costs.

Figure 1: first contract requests over 32 kept connections to a node: caller proven by its token, message scanned, decoded and
judged, negotiation written durably together with the agreement message in the outbox, answered 201. While they come the peer
keeps the node's own messages waiting, so that their delivery is not in the figure; what it costs as well is told beside it, when
the peer takes them all afterwards. The baseline reads the same bodies with pydantic models and gives them back.
Figure 5: in this process, on the same message; the baseline expands and compacts it with contexts in memory.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from tests.bench import figures
from tests.bench.asked import Asked
from tests.bench.load import Sink, connections, flood, on_loop, post
from tests.bench.nodes import PARTICIPANT, Echo, Node, token
from tests.bench.processes import Server, ServerError
from tests.bench.requests import contract_request

_AT_ONCE = 32
_PEER = "peer"


def run(asked: Asked) -> list[figures.Figure]:
    """Both figures."""
    with Echo(asked) as echo, Node(asked, "provider", _PEER) as node:
        offer = node.offer("data")
        inbound = on_loop(lambda: _inbound(asked, echo, node, offer))
    return [*inbound, _reading(asked, contract_request("http://127.0.0.1:9999/peer/dsp/2025-1", offer))]


async def _inbound(asked: Asked, echo: Server, node: Node, offer: dict[str, Any]) -> list[figures.Figure]:
    path = f"/{PARTICIPANT}/dsp/2025-1/negotiations/request"
    shown = token(_PEER, node.name)
    baseline, ours, delivered, wall = [], [], [], []
    async with AsyncExitStack() as stack:
        sink = await stack.enter_async_context(Sink())
        to_echo = await connections(stack, echo.port, _AT_ONCE)
        to_node = await connections(stack, node.public_port, _AT_ONCE)

        def bodies(count: int) -> list[bytes]:
            return [contract_request(f"http://127.0.0.1:{sink.port}/peer/dsp/2025-1", offer) for _ in range(count)]

        async def echoed(count: int) -> float:
            requests = [post(echo.port, "/echo", body) for body in bodies(count)]
            return await _cpu(echo, lambda: flood(to_echo, requests)) / count

        async def received(count: int) -> tuple[float, float, float]:
            requests = [post(node.public_port, path, body, Authorization=shown) for body in bodies(count)]
            sink.holds = True
            expected = sink.answered + count
            begin = time.perf_counter()
            inbound = await _cpu(node, lambda: flood(to_node, requests))
            took = time.perf_counter() - begin
            outbound = await _cpu(node, lambda: _drained(sink, expected))
            return inbound / count, outbound / count, count / took

        await echoed(500)
        await received(200)
        for number in range(asked.rounds):
            baseline.append(await echoed(asked.of(4000)))
            inbound, outbound, rate = await received(asked.of(800))
            ours.append(inbound)
            delivered.append(inbound + outbound)
            wall.append(rate)
            asked.tell(f"round {number + 1}: echo {baseline[-1] * 1e6:.0f} µs, message {inbound * 1e6:.0f} µs CPU")
        agreed = await asyncio.to_thread(node.count, "negotiations", state="AGREED")
        if agreed != sink.answered:
            raise ServerError(f"{agreed} negotiations are AGREED, {sink.answered} were begun")
    per_second = [[1 / value for value in values] for values in (ours, delivered, baseline)]
    return [
        figures.ratio(
            1,
            "inbound message, outbox written: per CPU second",
            per_second[0],
            per_second[2],
            unit="/s",
            must=0.35,
            ambition=0.6,
            is_larger_better=True,
        ),
        figures.ratio(
            1, "the same with the answer delivered and settled", per_second[1], per_second[2], unit="/s", is_larger_better=True
        ),
        figures.plain(1, "the same by the clock, 32 connections", wall, unit="/s", is_larger_better=True),
    ]


async def _cpu(server: Server, work: Callable[[], Any]) -> float:
    """CPU seconds of `server` for `work`, until it has come to rest."""
    begin = server.cpu_s()
    await work()
    await asyncio.to_thread(server.settle)
    return server.cpu_s() - begin


async def _drained(sink: Sink, expected: int) -> None:
    sink.let_go()
    await sink.until(expected)


def _reading(asked: Asked, body: bytes) -> figures.Figure:
    from connector import jsonld, strict
    from connector.dsp import messages, wire

    tree = strict.scan(body)

    def read() -> None:
        wire.decode(body, messages.ContractRequestMessage)

    def processed() -> None:
        jsonld.compact(jsonld.expand(tree), jsonld.DSP_CONTEXT)

    ours, baseline = [], []
    _timed(processed, 3)
    for _ in range(asked.rounds):
        ours.append(_timed(read, asked.of(20_000)))
        baseline.append(_timed(processed, asked.of(100)))
    return figures.ratio(
        5,
        "message scanned, decoded, checked: per CPU second",
        [1 / value for value in ours],
        [1 / value for value in baseline],
        unit="/s",
        must=300,
        ambition=500,
        is_larger_better=True,
    )


def _timed(work: Callable[[], None], count: int) -> float:
    """CPU seconds of one call."""
    begin = time.process_time()
    for _ in range(count):
        work()
    return (time.process_time() - begin) / count
