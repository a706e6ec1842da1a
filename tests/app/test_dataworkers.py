"""Data workers: processes that move bytes at an address of their own, while the node decides, cuts, and sees when one dies."""

from __future__ import annotations

import asyncio
import os
import pathlib
import signal
from collections.abc import AsyncIterator

import aiohttp
import httpx
import pytest

from connector.app import crew
from connector.app import node as node_of_ours
from connector.testing.dataspace import PUSH, DataSpace
from tests.app.conftest import until

WORKERS = {"data": {"workers": 1, "public_url": "http://127.0.0.1:0", "listener": {"port": 0}}}


@pytest.fixture
async def space() -> AsyncIterator[DataSpace]:
    async with DataSpace() as found:
        yield found


def _workers(of: int) -> list[int]:
    """The process ids of the data workers that `of` has started."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == of and b"connector.app.dataworker" in words:
                found.append(int(entry.name))
    return found


@pytest.mark.skipif(not pathlib.Path("/proc/self/stat").exists(), reason="looks for processes as Linux shows them")
async def test_a_worker_serves_receives_is_cut_and_is_started_again(
    space: DataSpace, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_of_ours, "_RESTART_AFTER_S", 0.05)
    provider, consumer = space.join("provider", sections=WORKERS), space.join("consumer")
    data = bytes(range(256)) * 4096
    agreed = agreed_on_small = await consumer.negotiate(await provider.publish("small", content=data))

    # what is announced is the workers' address, and they serve it: whole, in part, and to nobody else
    async def is_ready() -> bool:
        async with httpx.AsyncClient(trust_env=False) as http:
            return (await http.get(f"{provider.app.operator_url}/ready")).status_code == 200

    async def is_unready() -> bool:
        return not await is_ready()

    await until(is_ready)
    transfer = await consumer.transfer(agreed)
    address = await consumer.send(consumer.calls.data_address(transfer.pid))
    url, token = address.endpoint or "", address.properties["authorization"]
    assert not url.startswith(provider.app.public_url)
    async with aiohttp.ClientSession() as client:
        async with client.get(url, headers={"Authorization": token}) as answer:
            assert (answer.status, await answer.read()) == (200, data)
        async with client.get(url, headers={"Authorization": token, "Range": "bytes=1-3"}) as answer:
            assert (answer.status, await answer.read()) == (206, data[1:4])
        async with client.get(url, headers={"Authorization": "wrong"}) as answer:
            assert (answer.status, answer.content_type) == (401, "application/problem+json")

        # a stream that runs in a worker is cut by a suspension, wherever that comes from
        large = tmp_path / "large"
        with large.open("wb") as made:
            made.truncate(1 << 28)
        source = {"type": "file", "path": str(large)}
        agreed = await consumer.negotiate(await provider.publish("large", source=source))
        running = await consumer.transfer(agreed)
        found = await consumer.send(consumer.calls.data_address(running.pid))
        async with client.get(found.endpoint or "", headers={"Authorization": found.properties["authorization"]}) as answer:
            await answer.content.readexactly(1000)
            await consumer.steer(running.pid, "suspend", reason="enough for today")
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()

        # one is killed: the node says so, starts another, and everything is served again
        before = _workers(os.getpid())
        assert len(before) == 1
        os.kill(before[0], signal.SIGKILL)
        await until(is_unready)
        await until(is_ready)
        assert _workers(os.getpid()) not in ([], before)
        async with client.get(url, headers={"Authorization": token}) as answer:
            assert await answer.read() == data
    assert await consumer.get(transfer) == data

    # its pushes are moved by a worker, too
    pushed = await consumer.transfer(agreed_on_small, format=PUSH)
    await consumer.until_transfer(pushed.pid, "COMPLETED")
    assert await consumer.get(pushed) == data

    # what others push to its participant arrives at the workers, too
    offer = await consumer.publish("to-provider", content=data)
    pushed = await provider.transfer(await provider.negotiate(offer), format=PUSH)
    await provider.until_transfer(pushed.pid, "COMPLETED")
    assert await provider.get(pushed) == data


async def test_who_is_cancelled_while_a_worker_ends_is_cancelled_once_it_has() -> None:
    end = asyncio.Event()
    ending = asyncio.create_task(_waited(end))
    employing = asyncio.create_task(crew._surely(ending))
    await asyncio.sleep(0)
    employing.cancel()
    await asyncio.sleep(0)
    assert not employing.done()
    end.set()
    with pytest.raises(asyncio.CancelledError):
        await employing


async def _waited(end: asyncio.Event) -> None:
    await end.wait()
