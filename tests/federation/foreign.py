"""Members that are not ours: whole connectors over a real socket, each as well or as badly behaved as a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from connector.controlplane.clock import SystemClock
from connector.controlplane.peers import Peers
from connector.errors import KontorError
from connector.federation.crawl import Crawler, Pace
from connector.federation.feed import Following
from connector.federation.judging import Judge
from connector.federation.looking import Bounds, Looking
from connector.federation.origins import Said, read
from connector.outbound.client import OutboundClient
from connector.outbound.rules import OutboundRules
from connector.ports.attesting import Prover
from connector.ports.catalog import ITSELF, Listed, MemberKind, MemberRow
from connector.storage.catalog import open_records
from connector.storage.catalog.records import CatalogRecords

CONTEXT = "https://w3id.org/dspace/2025/1/context.jsonld"
USE = {"@id": "o", "@type": "Offer", "permission": [{"action": "use"}]}
Reply = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]
"""A whole answer, or what writes one."""


def dataset(id_: str, **members: Any) -> dict[str, Any]:
    return {"@id": id_, "@type": "Dataset", "dct:title": f"Title of {id_}", "hasPolicy": [USE], "distribution": [], **members}


def catalog(participant: str, *datasets: Any, **members: Any) -> dict[str, Any]:
    tree = {"@context": [CONTEXT], "@id": f"urn:catalog:{participant}", "@type": "Catalog", "participantId": participant}
    service = {"@id": "s", "@type": "DataService", "endpointURL": f"https://{participant}.example/dsp"}
    return {**tree, "service": [service], "dataset": list(datasets), **members}


def answer(body: Any, status: int = 200, **headers: str) -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(data)}", "content-type: application/json", "connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


@dataclass(slots=True)
class Foreign:
    """A server for many members, each below its name; what is not told is 404."""

    port: int = 0
    replies: dict[str, Reply | list[Reply]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def address(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    def tell(self, path: str, *replies: Reply) -> None:
        """Answer a path so, one after another; the last one stays."""
        self.replies[path] = list(replies)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, path, _ = head.split(" ", 2)
            self.asked.append(f"{method} {path}")
            found = self.replies.get(unquote(path), b"")
            if isinstance(found, list):
                found = found.pop(0) if len(found) > 1 else found[0]
            if callable(found):
                await found(writer)
            else:
                writer.write(found or answer({}, 404))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


class NoTokens:
    """Nothing is to be proven here."""

    async def authorization(self, participant: str, peer: str, address: str) -> str | None:
        return None

    def claims_of(self, participant: str, peer: str) -> Mapping[str, Any]:
        return {}


class Roster:
    """A list of members that a test changes."""

    def __init__(self) -> None:
        self.now: tuple[Listed, ...] = ()
        self.changed: Callable[[], None] = lambda: None
        self.joining: tuple[Listed, ...] = ()
        """Who is on the list that whoever looks for their sake gets."""
        self.fault: KontorError | None = None

    async def listed(self, *, anew: bool = False, newcomer: str | None = None) -> tuple[Listed, ...]:
        if self.fault is not None:
            raise self.fault
        self.now += tuple(one for one in self.joining if one.id == newcomer)
        return self.now


@dataclass(slots=True)
class Scene:
    """A ledger's crawler over foreign members."""

    foreign: Foreign
    records: CatalogRecords
    crawler: Crawler
    roster: Roster
    looking: Looking
    judge: Judge
    following: Following

    async def list(self, *names: str, **kinds: str) -> None:
        every = {**dict.fromkeys(names, "connector"), **kinds}
        self.roster.now = tuple(
            Listed(id=name, address=self.foreign.address(name), kind=MemberKind(kind), title=name)
            for name, kind in every.items()
        )
        self.crawler.list_anew()
        await self.until(lambda: self._is_listed(set(every)))

    async def _is_listed(self, names: set[str]) -> bool:
        return {row.id for row in await self.records.members(None, 100)} == names

    async def until(self, fits: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(20):
            while not await fits():  # noqa: ASYNC110 - what is waited for lies behind a socket
                await asyncio.sleep(0.005)

    async def report(self, name: str, *, after: int = 0) -> MemberRow:
        """The member once a look at it has ended, good or bad."""
        row: MemberRow | None = None

        async def ended() -> bool:
            nonlocal row
            row = await self.records.member(name)
            return row is not None and row.report is not None and row.generation + row.failures > after

        await self.until(ended)
        assert row is not None
        return row

    async def look_again(self, name: str) -> MemberRow:
        """The member after one more look that was good and brought something, or that failed."""
        row = await self.report(name)
        await self.crawler.announced(name, ())
        return await self.report(name, after=row.generation + row.failures)

    async def shown(self) -> dict[str, str]:
        """Dataset ids with their origins."""
        return {c.key[1]: c.key[0] for c in await self.records.changes(0, 1000) if c.product is not None and not c.is_itself}

    async def said(self, origin: str) -> Said:
        """What an origin says of itself."""
        found = await self.records.product(origin, ITSELF)
        assert found is not None
        return read(found.entry)


@asynccontextmanager
async def scene(
    folder: Path,
    *,
    bounds: Bounds = Bounds(),  # noqa: B008
    within_s: float = 10,
    prover: Prover | None = None,
    most: int = 1000,
    at_once: int = 50_000,
) -> AsyncIterator[Scene]:
    """A scene, and a server that plays the members."""
    foreign = Foreign()
    async with AsyncExitStack() as stack:
        server = await asyncio.start_server(foreign.serve, "127.0.0.1", 0)
        stack.push_async_callback(server.wait_closed)
        stack.callback(server.close)
        foreign.port = server.sockets[0].getsockname()[1]
        rules = OutboundRules(allow_http=True, allow_loopback=True, read_s=0.5, total_s=2)
        outbound = await stack.enter_async_context(OutboundClient(rules))
        records = open_records("memory:", folder=folder, connections=1)
        await records.open()
        stack.push_async_callback(records.close)
        clock, roster = SystemClock(), Roster()
        peers = Peers(outbound, NoTokens(), clock)
        judge = Judge(prover)
        looking = Looking(peers, judge, participant="ledger", own_id="ledger", bounds=bounds)
        pace = Pace(
            interval=timedelta(hours=1), follow=timedelta(hours=1), parallel=8, per_host=8, within=timedelta(seconds=within_s)
        )
        following = Following(peers, judge, participant="ledger", own_id="ledger", most=most, at_once=at_once)
        crawler = Crawler(records, roster, looking, following, clock, pace)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        for work in (crawler.keep_list, crawler.run):
            stack.callback(tasks.create_task(work()).cancel)
        yield Scene(
            foreign=foreign,
            records=records,
            crawler=crawler,
            roster=roster,
            looking=looking,
            judge=judge,
            following=following,
        )
