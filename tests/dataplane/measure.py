"""How much memory and processor time a flow takes: `python -m tests.dataplane.measure [megabytes]` prints JSON.

A data plane runs in a process of its own (uvicorn, uvloop) and serves a sparse file, relays an upstream, sends and receives a
push; each small and large. Memory is by how much the largest resident set of the large flow exceeds that of the small one.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import pathlib
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import aiohttp
import uvloop

from connector.dataplane.addresses import PUSH, S3_PUSH
from connector.dataplane.plane import BuiltInDataPlane, DataPlaneConfig
from connector.dsp.messages import DataAddress
from connector.dsp.values import replace
from connector.outbound.client import OutboundClient
from connector.outbound.rules import OutboundRules
from connector.ports.dataplane import Source
from connector.web import data
from connector.web.public import public_app
from tests.dataplane.buckets import Bucket
from tests.dataplane.conftest import Desk, LeapingClock, Node, listening, outgoing

Ask = Callable[..., Any]


def _peak_bytes() -> int:
    """The largest resident set since this was asked the last time."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    found = {name: rest for name, _, rest in (line.partition(":") for line in lines)}
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew at what is resident now
    return int(found["VmHWM"].split()[0]) * 1024


async def _node(pipe: Any, folder: str) -> None:
    """A data plane that does what comes through `pipe`, until None comes."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(OutboundClient(OutboundRules(allow_http=True, allow_loopback=True)))
        late: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await late[0](scope, receive, send)

        url = await stack.enter_async_context(listening(app))
        config = DataPlaneConfig(
            public_url=url, data_dir=pathlib.Path(folder), allowed_object_endpoints=("http://127.0.0.1:*",)
        )
        desk, clock = Desk(), LeapingClock(datetime.now(UTC))
        plane = BuiltInDataPlane(config, peers=client, upstreams=client, clock=clock)
        plane.connect(desk, desk)
        late.append(public_app(data.routes(plane), most=1000))
        await stack.enter_async_context(plane)
        node = Node(plane=plane, desk=desk, clock=clock, url=url, data_dir=config.data_dir)
        loop = asyncio.get_running_loop()
        while (order := await loop.run_in_executor(None, pipe.recv)) is not None:
            what, argument = order
            match what:
                case "offer":
                    pipe.send(node.offer(argument))
                case "expect":
                    address = node.expect(argument)
                    pipe.send((address.endpoint, address.property("authorization"), address))
                case "push":
                    destination, source, pid, format_ = argument
                    node.desk.told.clear()
                    await node.plane.start(replace(outgoing(destination, pid), format=format_), source)
                    pipe.send(await node.desk.until("completed"))
                case "figures":
                    used = resource.getrusage(resource.RUSAGE_SELF)
                    pipe.send((_peak_bytes(), used.ru_utime + used.ru_stime))


def _process(pipe: Any, folder: str) -> None:
    uvloop.run(_node(pipe, folder))


class Remote:
    """A node in a process of its own."""

    def __init__(self, folder: str) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(target=_process, args=(theirs, folder))
        self._process.start()

    def __call__(self, what: str, argument: object = None) -> Any:
        self._pipe.send((what, argument))
        return self._pipe.recv()

    def close(self) -> None:
        self._pipe.send(None)
        self._process.join()


def _figures(
    nodes: dict[str, Remote], small: int, large: int, flow: Callable[[int], Coroutine[Any, Any, None]]
) -> dict[str, object]:
    asyncio.run(flow(small))
    for node in nodes.values():
        node("figures")
    asyncio.run(flow(small))
    before = {name: node("figures") for name, node in nodes.items()}
    begun = time.perf_counter()
    asyncio.run(flow(large))
    wall = time.perf_counter() - begun
    result: dict[str, object] = {"mb_per_s": round((large - small) / wall / 1e6)}
    for name, node in nodes.items():
        peak, cpu = node("figures")
        result[f"{name}_growth_mb"] = round((peak - before[name][0]) / 1e6, 1)
        result[f"{name}_cpu_s_per_gb"] = round((cpu - before[name][1]) / (large / 1e9), 2)
    return result


async def _drain(url: str, token: str, byte_size: int) -> None:
    async with aiohttp.ClientSession(read_bufsize=1 << 18) as client, client.get(url, headers={"Authorization": token}) as got:
        assert got.status == 200, await got.text()
        assert sum([len(chunk) async for chunk in got.content.iter_any()]) == byte_size


def _sparse(folder: pathlib.Path, byte_size: int) -> Source:
    path = folder / f"{byte_size}.bin"
    with path.open("wb") as out:
        out.truncate(byte_size)
    return Source(type="file", path=str(path), digest="0" * 64)


def measure(small: int = 10_000_000, large: int = 1_000_000_000) -> dict[str, dict[str, object]]:
    """Growth of memory and processor time for each kind of flow."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        one, other = Remote(str(root / "one")), Remote(str(root / "other"))
        pushed = 0

        async def pull(byte_size: int) -> None:
            await _drain(*one("offer", _sparse(root, byte_size)), byte_size)

        async def relay(byte_size: int) -> None:
            url, token = one("offer", _sparse(root, byte_size))
            source = Source(type="http", url=url, headers={"Authorization": token})
            await _drain(*other("offer", source), byte_size)

        async def push(byte_size: int) -> None:
            nonlocal pushed
            pushed += 1
            address: DataAddress = other("expect", f"urn:uuid:{pushed}")[2]
            source = _sparse(root, byte_size)
            told = one("push", (address, Source(type="file", path=source.path), f"urn:uuid:p{pushed}", PUSH))
            assert told[2] == byte_size

        try:
            return {
                "file": _figures({"provider": one}, small, large, pull),
                "relay": _figures({"upstream": one, "provider": other}, small, large, relay),
                "push": _figures({"provider": one, "consumer": other}, small, large, push),
            }
        finally:
            one.close()
            other.close()


def measure_objects(url: str, small: int = 10_000_000, large: int = 200_000_000) -> dict[str, dict[str, object]]:
    """As `measure`, for objects of the S3 server at `url`: pulled through a node, and put there."""
    import obstore

    bucket = Bucket(url)
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        node = Remote(str(root / "one"))
        for byte_size in (small, large):
            obstore.put(bucket.store, bucket.root + str(byte_size), pathlib.Path(_sparse(root, byte_size).path or ""))

        async def pull(byte_size: int) -> None:
            await _drain(*node("offer", bucket.source(str(byte_size), digest="0" * 64)), byte_size)

        async def deposit(byte_size: int) -> None:
            source = Source(type="file", path=_sparse(root, byte_size).path)
            told = node("push", (bucket.destination("deposit"), source, f"urn:uuid:{byte_size}", S3_PUSH))
            assert told[2] == byte_size

        try:
            return {
                "object": _figures({"provider": node}, small, large, pull),
                "deposit": _figures({"provider": node}, small, large, deposit),
            }
        finally:
            node.close()


if __name__ == "__main__":
    print(json.dumps(measure(large=int(sys.argv[1]) * 1_000_000 if len(sys.argv) > 1 else 1_000_000_000), indent=1))
    sys.exit(os.EX_OK)
