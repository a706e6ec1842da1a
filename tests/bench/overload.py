"""Overload: a node is asked more than it can answer, at all its doors at once. Is everybody answered, and does it recover?

One participant with the limits that a node has by itself. A peer floods it with contract requests and pulls small data, a program
with a key of its own lists and writes at the operator API, each at a pace that does not wait for answers. Beside them a well-behaved
peer, a node of its own, goes on negotiating to the end; another operator lists, and `/health` is asked as a cluster does. Strangers flood,
too, with tokens that nobody knows: they get a 401 and nothing more.

1. at rest: what each door answers in a second when it is asked within its limits, how long the well-behaved wait
2. the flood: what is answered, how much memory it takes, how the well-behaved fare
3. afterwards: how long until they wait as they did before

python -m tests.bench overload [--store postgres] [--workers 1] --json
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from tests.bench import agreed, figures
from tests.bench.asked import Asked
from tests.bench.flood import Hose, Tally
from tests.bench.load import Sink, connections, flood, on_loop, post
from tests.bench.nodes import PARTICIPANT, PURPOSE, Node, participant_id, token
from tests.bench.processes import ServerError, free_port
from tests.bench.reading import Readable
from tests.bench.requests import contract_request
from tests.servers.postgres import running

_TIMES: Final = 6.0
_LOAD: Final = 1.25
"""Less than this shows nothing: whoever floods shares the processors with the node and does not come up to `_TIMES`."""
_FLOOD_S: Final = 6.0
_REST_S: Final = 2.0
_WITHIN_S: Final = 15.0
"""Whoever has no answer then was left hanging."""
_CONNECTIONS: Final = 800
"""To each door: more than it takes of one peer or key at once."""
_MB: Final = 0.04
"""Of memory for each connection, with what it has sent and waits for."""
_AT_ONCE: Final = 32
_CALM_S: Final = 1.0
"""So long the well-behaved must wait as before, for the node to count as recovered."""
_EVERY_S: Final = 0.1
_FLOODER: Final = "flooder"
_STRANGER: Final = "stranger"


def run(asked: Asked) -> list[figures.Figure]:
    """What was promised to whom."""
    more = f"""\
[[participants.{PARTICIPANT}.unsafe_static_tokens]]
id = "{participant_id(_FLOODER)}"
theirs = "{token(_FLOODER, "provider")}"
ours = "{token("provider", _FLOODER)}"
claims = {{ membership = "active" }}
"""
    small = asked.folder / "small.bin"
    small.write_bytes(bytes(1024))
    with ExitStack() as stack:
        if asked.store == "postgres":
            more += f'[store]\nurl = "{stack.enter_context(running(is_durable=True)).url}"\n'
        if asked.workers:
            port = free_port()
            more += (
                f'[data]\nworkers = {asked.workers}\npublic_url = "http://127.0.0.1:{port}"\nlistener = {{ port = {port} }}\n'
            )
        provider = stack.enter_context(Node(asked, "provider", "consumer", limits="", more=more))
        consumer = stack.enter_context(Node(asked, "consumer", "provider"))
        pid = agreed.opened(provider, consumer, "small", {"type": "file", "path": str(small)})
        scene = _Scene(asked, provider, consumer, agreed.address(consumer, pid))
        return on_loop(scene.played)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Door:
    name: str
    port: int
    requests: Iterator[bytes]
    answer: int | None = None
    """The status that each should get; None for any success."""


@dataclass(slots=True)
class _Waits:
    """How long somebody well-behaved waited, each time, and what went wrong."""

    took: list[tuple[float, float]] = field(default_factory=list)
    """When it was asked for, and seconds."""
    faults: list[str] = field(default_factory=list)

    def p50_ms(self, since: float, until: float) -> float:
        return figures.percentile(self._between(since, until), 50) * 1000

    def most_ms(self, since: float, until: float) -> float:
        return max(self._between(since, until)) * 1000

    def _between(self, since: float, until: float) -> list[float]:
        found = [took for at, took in self.took if since <= at < until]
        if not found:
            raise ServerError(f"somebody well-behaved was served nothing at all: {self.faults[:3]}")
        return found

    def calm_after(self, since: float, most_s: float) -> float:
        """Seconds from `since` to the first of those that waited no longer than `most_s` for `_CALM_S` on end."""
        begin: float | None = None
        for at, took in self.took:
            if at + took < since:
                continue
            begin = None if took > most_s else at if begin is None else begin
            if begin is not None and at + took - begin >= _CALM_S:
                return max(0.0, begin - since)
        return float("inf")


class _Scene:
    def __init__(self, asked: Asked, provider: Node, consumer: Node, pull: Readable) -> None:
        self._asked = asked
        self._provider = provider
        self._consumer = consumer
        self._pull = pull
        self._offer = provider.offer("data")
        self._other_key = self._new_key()
        self._is_over = False
        self._waits = {"a peer's negotiation": _Waits(), "an operator's list": _Waits(), "/health": _Waits()}

    def _new_key(self) -> str:
        answer = httpx.post(
            f"http://127.0.0.1:{self._provider.port}/api/v1/keys",
            json={"name": "calm", "role": "read", "participants": [PARTICIPANT]},
            headers={"X-Api-Key": self._provider.key},
            trust_env=False,
        )
        if answer.is_error:
            raise ServerError(f"no second key: {answer.text[:300]}")
        return str(answer.json()["key"])

    async def played(self) -> list[figures.Figure]:
        """All three acts."""
        node = self._provider
        async with AsyncExitStack() as stack:
            sink = await stack.enter_async_context(Sink())
            doors = [
                _Door(name="protocol", port=node.public_port, requests=self._contracts(sink.port, _FLOODER)),
                _Door(name="operator", port=node.port, requests=self._operations()),
                _Door(name="data", port=self._pull.port, requests=itertools.repeat(self._pull.request(is_last=False))),
                _Door(name="strangers", port=node.public_port, requests=self._contracts(sink.port, _STRANGER), answer=401),
            ]
            # 1. at rest
            able = [await self._able(door) for door in doors]
            await asyncio.to_thread(node.settle)
            calm = asyncio.create_task(self._well_behaved())
            begin = time.perf_counter()
            await asyncio.sleep(_REST_S)
            memory_mb = node.memory_mb()
            node.forget_peak()
            # 2. the flood
            flooded = time.perf_counter()
            pace = [_TIMES / len(doors) * each for each in able]
            async with asyncio.TaskGroup() as tasks:
                tallies = [tasks.create_task(self._flooded(door, rate)) for door, rate in zip(doors, pace, strict=True)]
            over = time.perf_counter()
            # 3. afterwards
            for _ in range(round(_WITHIN_S / _EVERY_S)):
                if self._recovered_s(begin, flooded, over) <= _WITHIN_S:
                    break
                await asyncio.sleep(_EVERY_S)
            self._is_over = True
            await calm
        found = dict(zip((door.name for door in doors), (task.result() for task in tallies), strict=True))
        times = sum(tally.sent / _FLOOD_S / each for tally, each in zip(found.values(), able, strict=True))
        return self._told(found, times, node.peak_mb() - memory_mb, (begin, flooded, over))

    # --- who floods

    def _contracts(self, sink: int, sender: str) -> Iterator[bytes]:
        body = json.loads(contract_request(f"http://127.0.0.1:{sink}/peer/dsp/2025-1", self._offer))
        body["@id"], body["consumerPid"] = "urn:flood:message:@@@@@@@@@@@@", "urn:flood:process:@@@@@@@@@@@@"
        shown = token(sender, self._provider.name)
        path = f"/{PARTICIPANT}/dsp/2025-1/negotiations/request"
        whole = post(self._provider.public_port, path, json.dumps(body).encode(), Authorization=shown)
        for number in itertools.count():
            yield whole.replace(b"@@@@@@@@@@@@", b"%012d" % number)

    def _operations(self) -> Iterator[bytes]:
        """Lists, and now and then a description that changes."""
        node = self._provider
        path = node.path("/negotiations?limit=20")
        look = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Api-Key: {node.key}\r\n\r\n".encode()
        asset = {"id": "changing", "title": "changing", "source": {"type": "none"}, "formats": ["HttpData-PULL"]}
        write = post(node.port, node.path("/assets/changing"), json.dumps(asset).encode(), X_Api_Key=node.key)
        write = write.replace(b"POST ", b"PUT ", 1)
        for number in itertools.count():
            yield look if number % 4 else write

    async def _able(self, door: _Door) -> float:
        """Requests that a door answers in a second, when it is asked within its limits."""
        count = self._asked.of(1000)
        async with AsyncExitStack() as stack:
            over = await connections(stack, door.port, _AT_ONCE)
            await flood(over, itertools.islice(door.requests, _AT_ONCE * 2), door.answer)
            begin = time.perf_counter()
            await flood(over, itertools.islice(door.requests, count), door.answer)
            return count / (time.perf_counter() - begin)

    async def _flooded(self, door: _Door, per_second: float) -> Tally:
        hose = Hose(door.port, door.requests, most=_CONNECTIONS, within_s=_WITHIN_S, answer=door.answer)
        tally = await hose.run(per_second, _FLOOD_S)
        refused = ", ".join(f"{count} times {status}" for status, count in sorted(tally.refused.items()))
        self._asked.tell(
            f"{door.name}: {tally.sent} sent, {tally.unsent} more were due; {len(tally.served)} served, refused {refused or 'none'};"
            f" slowest answer {tally.slowest_s:.2f} s"
        )
        for what, count in tally.faults.most_common(3):
            self._asked.tell(f"{door.name}: {count} times {what}")
        return tally

    # --- who behaves

    async def _well_behaved(self) -> None:
        node = self._provider
        async with httpx.AsyncClient(trust_env=False, timeout=_WITHIN_S) as http, asyncio.TaskGroup() as tasks:

            async def listed() -> None:
                url = f"http://127.0.0.1:{node.port}{node.path('/negotiations?limit=5')}"
                (await http.get(url, headers={"X-Api-Key": self._other_key})).raise_for_status()

            async def healthy() -> None:
                (await http.get(f"http://127.0.0.1:{node.port}/health")).raise_for_status()

            acts = (lambda: self._negotiated(http), listed, healthy)
            for waits, act in zip(self._waits.values(), acts, strict=True):
                tasks.create_task(self._again(waits, act))

    async def _again(self, waits: _Waits, act: Callable[[], Awaitable[None]]) -> None:
        while not self._is_over:
            at = time.perf_counter()
            try:
                await act()
            except (httpx.HTTPError, ServerError) as fault:
                waits.faults.append(f"{type(fault).__name__}: {fault}")
            else:
                waits.took.append((at, time.perf_counter() - at))
            await asyncio.sleep(_EVERY_S)

    async def _negotiated(self, http: httpx.AsyncClient) -> None:
        base, key = f"http://127.0.0.1:{self._consumer.port}{self._consumer.path('')}", {"X-Api-Key": self._consumer.key}
        peer = participant_id("provider")
        wish = {"address": self._provider.address, "peer": peer, "dataset": "data", "offer": self._offer, "purpose": PURPOSE}
        pid = (await http.post(f"{base}/negotiations", json=wish, headers=key)).raise_for_status().json()["pid"]
        until = time.perf_counter() + _WITHIN_S
        while time.perf_counter() < until:
            found: dict[str, Any] = (await http.get(f"{base}/negotiations/{pid}", headers=key)).raise_for_status().json()
            if found["state"] == "FINALIZED":
                return
            if found["state"] == "TERMINATED":
                raise ServerError(f"a negotiation was ended: {found.get('error')}")
            await asyncio.sleep(0.01)
        raise ServerError(f"a negotiation is {found['state']} after {_WITHIN_S:.0f} s: {found.get('error')}")

    # --- what it shows

    def _recovered_s(self, begin: float, flooded: float, over: float) -> float:
        """Seconds from the end of the flood until nobody waits longer than at rest, give or take a twentieth of a second."""
        return max(waits.calm_after(over, 2 * waits.most_ms(begin, flooded) / 1000 + 0.05) for waits in self._waits.values())

    def _told(
        self, tallies: dict[str, Tally], times: float, grown_mb: float, moments: tuple[float, float, float]
    ) -> list[figures.Figure]:
        begin, flooded, over = moments
        faults = [text for waits in self._waits.values() for text in waits.faults]
        for text in faults[:5]:
            self._asked.tell(f"well-behaved: {text}")
        unkept = float(sum(sum(tally.faults.values()) + tally.closed for tally in tallies.values()))
        found = [
            figures.plain(
                0, "load, in times of what the node can answer", [times], unit="x", must=_LOAD, is_larger_better=True
            ),
            figures.plain(0, "answers other than 2xx, or 429 and 503 with Retry-After, or none", [unkept], unit="", must=0.0),
            figures.plain(0, "growth of memory at its peak", [grown_mb], unit="MB", must=len(tallies) * _CONNECTIONS * _MB),
            figures.plain(0, "failures of the well-behaved", [float(len(faults))], unit="", must=0.0),
        ]
        for name, waits in self._waits.items():
            rest, flood_ = waits.p50_ms(begin, flooded), waits.p50_ms(flooded, over)
            self._asked.tell(f"{name}: {rest:.0f} ms at rest, {flood_:.0f} ms in the flood")
            found.append(
                figures.plain(
                    0, f"{name}, longest in the flood", [waits.most_ms(flooded, over)], unit="ms", must=_MUST_MS[name]
                )
            )
        recovered = self._recovered_s(begin, flooded, over)
        return [*found, figures.plain(0, "until all is as fast as before", [recovered], unit="s", must=5.0)]


_MUST_MS: Final = {"a peer's negotiation": 10_000.0, "an operator's list": 5_000.0, "/health": 2_000.0}
"""Three delivered messages and their answers; one answer; the patience of probes."""
