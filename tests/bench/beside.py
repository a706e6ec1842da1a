"""Figures 11 and 12: the control plane while four streams run, and how fast a running stream stops.

The control plane is asked at an even pace, as peers and operators ask it: a contract request that is verified, judged and made
durable, and the state of a negotiation; what counts is the time from the moment at which a request was due. Idle and busy seconds
take turns. The streams are read, as fast as the processors that are left let it, by a process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import threading
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.bench import agreed, figures, growth, reading
from tests.bench.asked import Asked
from tests.bench.load import Connection, Sink, connections, on_loop, post
from tests.bench.nodes import PARTICIPANT, Node, command, token
from tests.bench.processes import ServerError, free_port
from tests.bench.reading import Readable
from tests.bench.requests import contract_request

_STREAMS = 4
_BYTES = 1_000_000_000
_ENDLESS = 1_000_000_000_000
_EVERY_S = 0.01
_ASKED = 600
_CONNECTIONS = 256
"""At the pace of the benchmark: an answer may take two seconds and more, and is measured."""
_FLOWS_S = 0.3
_LIVES_S = 3.0
"""How long an agreement lasts that is to end by itself: long enough to be made."""
_STOPS = ("terminate", "suspend", "expiry")


def run(asked: Asked) -> list[figures.Figure]:
    """Both figures, with streams in processes of their own and in that of the node."""
    found: list[figures.Figure] = []
    for workers in (1, 0):
        words = f"{workers} data worker" if workers else "one process"
        part, port = asked.below(words.replace(" ", "-")), free_port()
        more = f'[data]\nworkers = {workers}\npublic_url = "http://127.0.0.1:{port}"\nlistener = {{ port = {port} }}\n'
        with Node(part, "provider", "consumer", more=more if workers else "") as provider:
            if asked.wants(11):
                # beside streams in its own process a node gives no promise: that is what workers are for
                found.append(_latency(part, provider, words, must=3.0 if workers else None))
            if asked.wants(12):
                found += _stops(part, provider, words)
    return found


# --- figure 11


def _latency(asked: Asked, provider: Node, words: str, must: float | None) -> figures.Figure:
    """p99 of both kinds of request, idle and beside four streams."""
    with Node(asked, "consumer", "provider") as consumer:
        source = agreed.sparse(asked.folder, _BYTES)
        large = agreed.address(consumer, agreed.opened(provider, consumer, "stream", source))
        known = str(provider.api("GET", "/negotiations?limit=1")["items"][0]["pid"])
        offer = provider.offer("asked-for")

        async def measured() -> tuple[list[float], list[float]]:
            idle, busy = [], []
            async with AsyncExitStack() as stack:
                sink = await stack.enter_async_context(Sink())
                asking = _Asking(provider, offer, known, sink.port)
                await asking.p99_ms(100)
                for number in range(asked.rounds):
                    idle.append(await asking.p99_ms(asked.of(_ASKED)))
                    reader = await asyncio.to_thread(_Reader, large)
                    try:
                        busy.append(await asking.p99_ms(asked.of(_ASKED)))
                    finally:
                        reader.stop()
                    asked.tell(f"{words}, round {number + 1}: p99 idle {idle[-1]:.1f} ms, busy {busy[-1]:.1f} ms")
            return idle, busy

        idle, busy = on_loop(measured)
    what = f"control plane p99 beside {_STREAMS} streams, {words}"
    return figures.ratio(11, what, busy, idle, unit="ms", must=must, ambition=1.5 if must else None)


class _Asking:
    """Requests to a provider, one every so many milliseconds, over whichever connection is free."""

    def __init__(self, provider: Node, offer: dict[str, Any], pid: str, port: int) -> None:
        self._provider = provider
        self._offer = offer
        self._pid = pid
        self._callback = f"http://127.0.0.1:{port}/consumer/dsp/2025-1"
        self._free: list[Connection] = []

    def _requests(self, count: int) -> list[bytes]:
        port, base = self._provider.public_port, f"/{PARTICIPANT}/dsp/2025-1/negotiations"
        shown = token("consumer", self._provider.name)
        look = (f"GET {base}/{self._pid} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: {shown}\r\n\r\n").encode()
        return [
            post(port, f"{base}/request", contract_request(self._callback, self._offer), Authorization=shown) if n % 2 else look
            for n in range(count)
        ]

    async def p99_ms(self, count: int) -> float:
        """p99 of so many requests, each from the moment at which it was due."""
        took: list[float] = []

        async def ask(request: bytes, due: float) -> None:
            if not self._free:
                raise ServerError("the node answers too slowly for the pace of the benchmark")
            connection = self._free.pop()
            await connection.ask_well(request)
            took.append(time.perf_counter() - due)
            self._free.append(connection)

        requests = self._requests(count)
        # new ones each time: the node closes what was idle for a minute
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            self._free = await connections(stack, self._provider.public_port, _CONNECTIONS)
            begin = time.perf_counter()
            for number, request in enumerate(requests):
                due = begin + number * _EVERY_S
                await asyncio.sleep(due - time.perf_counter())
                tasks.create_task(ask(request, due))
        return figures.percentile(took, 99) * 1000


class _Reader:
    """A process that reads four streams until it is stopped."""

    def __init__(self, at: Readable) -> None:
        self._process = subprocess.Popen(
            command("tests.bench.reading", at.url, at.header, str(_STREAMS)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise ServerError("the reader did not start")

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


# --- figure 12


def _stops(asked: Asked, provider: Node, words: str) -> list[figures.Figure]:
    """Seconds from the act, or the instant of expiry, to the end of a running stream at its reader."""
    took: dict[str, list[float]] = {act: [] for act in _STOPS}
    with growth.upstream(_ENDLESS) as url, Node(asked, "consumer", "provider") as consumer:
        source: dict[str, object] = {"type": "http", "url": url}
        for number in range(asked.rounds):
            for act in _STOPS:
                took[act].append(_stopped(provider, consumer, f"{act}-{number}", act, source))
            asked.tell(f"{words}, round {number + 1}: " + ", ".join(f"{act} {took[act][-1]:.3f} s" for act in _STOPS))
    return [
        figures.plain(12, f"stop of a running stream, {act}, {words}", took[act], unit="s", must=1.0, ambition=0.1)
        for act in _STOPS
    ]


def _stopped(provider: Node, consumer: Node, dataset: str, act: str, source: dict[str, object]) -> float:
    ends_at = datetime.now(UTC) + timedelta(seconds=_LIVES_S) if act == "expiry" else None
    pid = agreed.opened(provider, consumer, dataset, source, ends_at=ends_at)
    peer = str(provider.api("GET", "/transfers?limit=1&state=STARTED")["items"][0]["pid"])
    connection, length, taken = reading.opened(agreed.address(consumer, pid))
    ended: list[float] = []

    def read() -> None:
        nonlocal taken
        buffer = memoryview(bytearray(1 << 20))
        with connection, contextlib.suppress(ConnectionError):
            while count := connection.recv_into(buffer):
                taken += count
        ended.append(time.time())

    reader = threading.Thread(target=read)
    reader.start()
    if ends_at is None:
        time.sleep(_FLOWS_S)
        begun = time.time()
        provider.api("POST", f"/transfers/{peer}/{act}", {"code": "bench", "reason": "measured"})
    else:
        begun = ends_at.timestamp()
    reader.join(agreed.WITHIN_S)
    if not ended:
        raise ServerError(f"the stream still runs after {act}\n{provider.log_tail()}")
    if taken >= length or ended[0] < begun:
        raise ServerError(f"the stream ended by itself and not by {act}: {taken} bytes of {length}")
    if act == "suspend":
        provider.api("POST", f"/transfers/{peer}/terminate", {"code": "bench", "reason": "over"})
    return ended[0] - begun
