"""Figures 6, 7 and 25: an HTTP upstream relayed to a consumer, beside nginx that relays the same upstream to the same reader.

The upstream is nginx too, in a process of its own that is not counted. Each request of ours is authorised: token, state of the
transfer, agreement, terms. CPU is that of the whole relaying process (user and system), the same for both.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TypeVar

from tests.bench import agreed, figures, nginx, reading
from tests.bench.asked import Asked
from tests.bench.load import connections, flood, on_loop
from tests.bench.nodes import Node
from tests.bench.processes import Server
from tests.bench.reading import Readable

T = TypeVar("T")
_GB = 1_000_000_000
_LARGE = 1 * _GB
_SMALL_BYTES = 1024
_PULLS = 8000
_AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One relay to the same data."""

    server: Server
    at: Readable


def run(asked: Asked) -> list[figures.Figure]:
    """The figures that are wanted."""
    size = asked.of(_LARGE)
    folder = asked.folder / "upstream"
    folder.mkdir()
    agreed.sparse(folder, size)
    (folder / "small.bin").write_bytes(bytes(range(256)) * (_SMALL_BYTES // 256))
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(nginx.origin(asked, folder))
        proxy = stack.enter_context(nginx.proxy(asked, origin.port))
        provider = stack.enter_context(Node(asked, "provider", "consumer"))
        with Node(asked, "consumer", "provider") as consumer:
            large, small = (
                agreed.address(consumer, agreed.opened(provider, consumer, name, {"type": "http", "url": _at(origin, name)}))
                for name in (f"{size}.bin", "small.bin")
            )
        found: list[figures.Figure] = []
        if asked.wants(6, 7):
            ours = Way(server=provider, at=large)
            ways = [Way(server=proxy, at=Readable(url=_at(proxy, f"{word}/{size}.bin"))) for word in ("64k", "plain")]
            found += _streams(asked, ours, *ways)
        if asked.wants(25):
            ours = Way(server=provider, at=small)
            ways = [Way(server=proxy, at=Readable(url=_at(proxy, f"{word}/small.bin"))) for word in ("plain", "kept")]
            found += _pulls(asked, ours, *ways)
        return found


def _at(server: Server, path: str) -> str:
    return f"http://127.0.0.1:{server.port}/{path}"


def _streams(asked: Asked, ours: Way, wide: Way, plain: Way) -> list[figures.Figure]:
    """One stream after the other, each way in turn."""
    found: dict[Way, list[tuple[float, float]]] = {way: [] for way in (ours, wide, plain)}
    turns(asked, found, one_stream)
    cpu, wall = ({way: [value[n] for value in values] for way, values in found.items()} for n in (0, 1))
    return [
        figures.ratio(6, "HTTP pull relay, CPU; nginx with 64 KiB", cpu[ours], cpu[wide], unit="s/GB", must=2.0, ambition=0.8),
        figures.ratio(6, "the same; nginx with its defaults", cpu[ours], cpu[plain], unit="s/GB"),
        figures.ratio(
            7, "HTTP pull relay, one stream, wall; nginx with its defaults", wall[ours], wall[plain],
            unit="MB/s", must=1.0, ambition=1.4, is_larger_better=True,
        ),
        figures.ratio(7, "the same; nginx with 64 KiB", wall[ours], wall[wide], unit="MB/s", is_larger_better=True),
    ]  # fmt: skip


def one_stream(way: Way) -> tuple[float, float]:
    """CPU seconds for each GB, and MB a second by the clock."""
    way.server.settle()
    before = way.server.cpu_s()
    taken, took = reading.read(way.at)
    return (way.server.cpu_s() - before) * _GB / taken, taken / took / 1_000_000


def _pulls(asked: Asked, ours: Way, plain: Way, kept: Way) -> list[figures.Figure]:
    """1 KiB each, 16 connections that are kept."""
    found: dict[Way, list[float]] = {way: [] for way in (ours, plain, kept)}
    count = asked.of(_PULLS)
    turns(asked, found, lambda way: _pulled(way, count))
    words = "1 KiB pulls for each CPU second, 16 connections"
    return [
        figures.ratio(
            25,
            f"{words}; nginx proxy_pass",
            found[ours],
            found[plain],
            unit="/s",
            must=0.3,
            ambition=0.5,
            is_larger_better=True,
        ),
        figures.ratio(
            25, "the same; nginx that keeps its connections", found[ours], found[kept], unit="/s", is_larger_better=True
        ),
    ]


def _pulled(way: Way, count: int) -> float:
    request = way.at.request(is_last=False)

    async def work() -> float:
        async with AsyncExitStack() as stack:
            over = await connections(stack, way.at.port, _AT_ONCE)
            await flood(over, (request for _ in range(_AT_ONCE)))
            before = way.server.cpu_s()
            await flood(over, (request for _ in range(count)))
            return count / (way.server.cpu_s() - before)

    way.server.settle()
    return on_loop(work)


def turns(asked: Asked, found: dict[Way, list[T]], measured: Callable[[Way], T]) -> None:
    """All ways in turn, round by round, after one of each that does not count."""
    for number in range(-1, asked.rounds):
        begin = time.perf_counter()
        for way, values in found.items():
            value = measured(way)
            if number >= 0:
                values.append(value)
        asked.tell(
            f"round {number + 1}, {time.perf_counter() - begin:.1f} s: "
            + "; ".join(f"{way.server.log.stem} {values[-1] if values else '(first)'}" for way, values in found.items())
        )
