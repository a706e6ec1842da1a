"""A body that flows while it is read, to whoever asked for it, and is cut when it breaks off."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AbstractAsyncContextManager

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from connector.errors import KontorError
from connector.ports.dataplane import Served
from connector.web import edge, errors


class Flowing(Response):
    """Sends what a data plane serves. Opened only when it is sent, so that nothing runs for a caller who has left."""

    def __init__(self, opened: AbstractAsyncContextManager[Served]) -> None:
        super().__init__()
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False
        try:
            async with self._opened as served:
                has_begun = True
                await _send(served, receive, send)
        except KontorError as fault:
            # before the first byte an answer; after it the connection ends without an end of the body, so the receiver notices
            verdict = errors.judge(fault, is_operator=True)
            edge.note(scope, error_id=verdict.error_id, cause=verdict.text)
            if not has_begun:
                await errors.send_problem(send, verdict)


async def _send(served: Served, receive: Receive, send: Send) -> None:
    head = [(name.encode(), value.encode("latin-1")) for name, value in served.headers.items()]
    await send({"type": "http.response.start", "status": served.status, "headers": head})
    if served.chunks is None:
        await send({"type": "http.response.body", "body": b""})
        return
    watch = asyncio.create_task(_cut_when_left(served, receive))
    try:
        async for chunk in served.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError, ClientDisconnect):
            await watch


async def _cut_when_left(served: Served, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
    served.cut()
