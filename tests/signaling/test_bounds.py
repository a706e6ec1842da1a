"""Bounds of our data plane under others: streams of its data, and calls to its listener."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import AsyncIterator
from typing import Any

import httpx

from tests.signaling.foreign import Plane, listening
from tests.signaling.kit import DATASET, Kit, properties_of, running

LARGE_BYTES = 1 << 27
OTHER = "did:web:localhost:other"


async def _pull(kit: Kit, **members: Any) -> tuple[str, dict[str, str]]:
    """Where a pull is read, and by what."""
    _, started = await kit.begin("start", "HttpData-PULL", **members)
    address = started["dataAddress"]
    return address["endpoint"], {"authorization": properties_of(address)["authorization"]}


async def test_what_is_too_much_at_once_is_refused_with_a_time_to_come_again(tmp_path: pathlib.Path) -> None:
    with (tmp_path / "large").open("wb") as made:
        made.truncate(LARGE_BYTES)
    datasets = {DATASET: {"type": "file", "path": str(tmp_path / "large")}}
    bounds = {"limits": {"streams_at_once": 2, "requests_at_once": 1}, "peer_limits": {OTHER: {"streams_at_once": 1}}}
    async with (
        listening(Plane()) as control,
        running(tmp_path, control, datasets=datasets, **bounds) as kit,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        url, token = await _pull(kit)
        theirs, their_token = await _pull(kit, counterPartyId=OTHER)
        async with http.stream("GET", theirs, headers=their_token) as first:
            assert first.status_code == 200
            refused = await http.get(theirs, headers=their_token)
            assert (refused.status_code, "retry-after" in refused.headers) == (429, True)
            async with http.stream("GET", url, headers=token) as second:
                assert second.status_code == 200
                refused = await http.get(url, headers=token)
                assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
        # what has ended makes room, as soon as it is noticed
        async with asyncio.timeout(10):
            while (await http.get(theirs, headers={**their_token, "range": "bytes=0-0"})).status_code != 206:  # noqa: ASYNC110 - the server notices
                await asyncio.sleep(0.01)

        # one call at once: while one dawdles another is told to come again, and then it is answered
        may_end = asyncio.Event()

        async def dawdling() -> AsyncIterator[bytes]:
            yield b"{"
            await may_end.wait()

        slow = asyncio.create_task(http.post(f"{kit.url}/dataflows/start", content=dawdling()))
        async with asyncio.timeout(10):
            while (answer := await kit.post("/dataflows/none/status", method="GET")).status_code != 503:  # noqa: ASYNC110 - it is on its way
                await asyncio.sleep(0)
            assert "retry-after" in answer.headers
            may_end.set()
            assert (await slow).status_code == 401
            assert (await kit.post("/dataflows/none/status", method="GET")).status_code == 404
