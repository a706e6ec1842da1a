"""An answer of the data plane that has a body of nothing is ended, however its source says that there is nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.types import Message

from connector.ports.dataplane import Served
from connector.web.data import relay


async def _of(chunks: tuple[bytes, ...]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def _never() -> Message:
    raise AssertionError("nobody asks for more of the request")


@pytest.mark.parametrize("chunks", [(), (b"",), (b"", b"")], ids=["no chunk", "an empty one", "two empty ones"])
async def test_an_empty_body_ends_whether_or_not_a_chunk_says_so(chunks: tuple[bytes, ...]) -> None:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Served]:
        yield Served(status=200, headers={"content-length": "0"}, chunks=_of(chunks), cut=lambda: None)

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await relay(opened(), {"type": "http", "method": "GET"}, _never, send)
    ends = [message for message in sent[1:] if not message.get("more_body", False)]
    assert ends == sent[1:2], "one message ends it, and none follows"
