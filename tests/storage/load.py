"""A program that changes processes in a store as fast as it can, and says what was acknowledged: `load.py URL NODE PIDS`.

Each line on standard output is `PID N`: the N-th change of that process is durable. It runs until it is killed.
"""

from __future__ import annotations

import asyncio
import os
import sys

from connector.dsp.process import Process
from connector.dsp.values import replace
from connector.ports.store import Change, Key, Snapshot, Store
from connector.storage import open_store
from connector.testing.store_contract.values import agreement, key, negotiation, outgoing, record


def nth_change(snapshot: Snapshot[Process], pid: str) -> Change[Process]:
    """One more: every part of the change carries its number, so that half a change shows."""
    process = snapshot.process or negotiation(pid, entries={"n": 0})
    n = process.entries["n"] + 1
    return Change(
        process=replace(process, entries={"n": n}),
        answer=str(n).encode(),
        outgoing=(outgoing(f"m{n}"),),
        removed=(f"m{n - 1}",),
        records=(record(str(n)),),
        agreement=agreement(f"a-{pid}", purpose=str(n)),
    )


async def change_for_ever(store: Store, place: Key) -> None:
    while True:
        change = await store.advance(
            place, lambda snapshot: nth_change(snapshot, place.pid), received=f"r{os.urandom(8).hex()}"
        )
        os.write(1, f"{place.pid} {change.process.entries['n']}\n".encode())


async def main(url: str, node: str, pids: list[str]) -> None:
    store = open_store(url, node=node, lease_s=30)
    await store.open()
    async with asyncio.TaskGroup() as tasks:
        for pid in pids:
            tasks.create_task(change_for_ever(store, key(pid)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3].split(",")))
