"""Onboarding: members that apply, prove their DID, are taken in and get their credential, into one authority with a durable store.

Both sides run in this process, over real sockets; what is told is the time of a whole onboarding, applicant's work included. These
members take no notices: each that does is told of everybody who joins, which is work of another kind (members times members).
Called by `identity.py`.
"""

from __future__ import annotations

import asyncio
import time

from connector.identity.authority import applications
from connector.identity.authority.members import State
from connector.identity.authority.signedlists import Listing
from connector.outbound.client import OutboundClient
from connector.storage.sqlite.store import SqliteStore
from tests.bench import figures
from tests.bench.asked import Asked
from tests.identity.authority.scene import Scene, Someone
from tests.identity.hosts import LOCAL, host

_MEMBERS = 1_000
_AT_ONCE = 25


async def measured(asked: Asked) -> list[figures.Figure]:
    """The figures: members a second by the clock, CPU of one, and the signed list of them all."""
    count = asked.of(_MEMBERS)
    store = SqliteStore(path=asked.folder / "onboarding.db", node="bench", lease_s=30)
    await store.open()
    try:
        async with host() as served, OutboundClient(LOCAL) as outbound:
            scene = Scene(served, outbound, store=store)  # type: ignore[arg-type]
            await scene.office.ready()
            members = [scene.someone(f"m{number}") for number in range(count)]
            begun, cpu = time.perf_counter(), time.process_time()
            for first in range(0, count, _AT_ONCE):
                await asyncio.gather(*(_joined(one) for one in members[first : first + _AT_ONCE]))
                faults = await scene.work()
                assert not faults, faults
            took, used = time.perf_counter() - begun, time.process_time() - cpu
            active = len(await scene.office.registry.members(State.ACTIVE))
            assert active == count, f"{active} of {count} are active"
            begun = time.perf_counter()
            listed = await scene.office.lists.served(Listing.PARTICIPANTS)
            signing = time.perf_counter() - begun
    finally:
        await store.close()
    asked.tell(f"{count} members in {took:.1f} s, a list of {len(listed.body)} bytes in {signing * 1000:.0f} ms")
    return [
        figures.plain(18, f"members onboarded, {count} in all", [count / took], unit="/s", is_larger_better=True),
        figures.plain(18, "the CPU time of one, both sides", [used / count * 1e3], unit="ms"),
        figures.plain(18, f"signed list of {count} participants", [signing * 1e3], unit="ms"),
    ]


async def _joined(one: Someone) -> None:
    application = applications.written(
        one.did, address=f"https://{one.name}.example", notices="", attributes={"name": one.name}
    )
    await one.prove(await one.scene.office.registry.apply(application))
    await one.scene.office.registry.approve(one.did, by="bench")
    await one.request()
