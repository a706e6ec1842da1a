"""The data plane's public addresses: pull and push over plain ASGI, bodies in streams.

What lives here: `routes`, and `relay`, which the operator's routes use for the same kind of answer.
What does not: rights, sources and files (`dataplane/`). A fault after the first byte cuts the connection: a body that is
properly ended is whole, always.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

import orjson
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connector import observe, tracing
from connector.dataplane.addresses import token_of
from connector.dataplane.receive import Receipt, Upload
from connector.errors import Forbidden, KontorError, MethodNotAllowed, Unreachable
from connector.ports.dataplane import DataRequest, Served
from connector.web import errors
from connector.web.edge import note
from connector.web.ways import InFront, ThroughAsgi, Way

SOCKET: Final = "kontor.socket"
"""The extension of the ASGI scope that is a `Passage`."""
_ONE_PIECE_BYTES: Final = 256 << 10


class _File(PathConvertor):
    """The name of a file in a folder: any, a line break in it included."""

    regex = "(?s:.*)"


register_url_convertor("file", _File())


class Passage(Protocol):
    """What a listener without TLS offers under `SOCKET`: the way into the receiver's socket."""

    def opened(self) -> AbstractAsyncContextManager[int]:
        """Its descriptor, once the head is out; leaving without a fault ends the answer, whose body is whole then."""
        ...


class Plane(Protocol):
    """What these routes need of a data plane."""

    def pull(self, participant: str, pid: str, request: DataRequest) -> AbstractAsyncContextManager[Served]: ...

    async def push(self, participant: str, pid: str, upload: Upload) -> Receipt: ...

    async def renew(self, participant: str, pid: str, token: str | None) -> Mapping[str, str]: ...


def routes(plane: Plane, participant: str | None = None) -> list[BaseRoute]:
    """The routes of the public listener under `/{participant}/data/`; of one participant alone where it is given."""
    table: list[tuple[str, ASGIApp]] = [
        ("pull/{pid}", _Pull(plane, participant)),
        ("pull/{pid}/{path:file}", _Pull(plane, participant)),
        ("renew/{pid}", _Renew(plane)),
        ("push/{pid}", _Push(plane)),
        ("push/{pid}/{path:file}", _Push(plane)),
    ]
    if participant is None:
        return [Route(f"/{{participant}}/data/{path}", app) for path, app in table]
    return [
        Route(f"/{participant}/data/{path}", app if isinstance(app, _Pull) else _Of(participant, app)) for path, app in table
    ]


class _Of:
    """An address whose participant does not stand in its pattern."""

    def __init__(self, participant: str, app: ASGIApp) -> None:
        self._participant = participant
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["path_params"] = {**scope["path_params"], "participant": self._participant}
        await self._app(scope, receive, send)


class _Pull:
    def __init__(self, plane: Plane, participant: str | None) -> None:
        """`participant`: where it does not stand in the pattern."""
        self._plane = plane
        self._participant = participant

    async def direct(self, way: InFront) -> None:
        """A pull in front of ASGI; it has no query and no body."""
        exchange, params = way.exchange, way.found.params
        participant, pid = self._participant or params["participant"], params["pid"]
        way.line["participant"], way.line["pid"] = participant, pid
        request = DataRequest(method=exchange.method, path=params.get("path", ""), headers=exchange.headers)
        await answer(self._plane.pull(participant, pid, request), way)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        at = scope["path_params"]
        if self._participant is not None:
            at = scope["path_params"] = {**at, "participant": self._participant}
        note(scope, participant=at["participant"], pid=at["pid"])
        upload = _Uploaded(receive)
        has_body = scope["method"] == "POST"
        request = DataRequest(
            method=scope["method"],
            path=at.get("path", ""),
            query=scope["query_string"].decode("latin-1"),
            headers=headers_of(scope),
            body=upload.chunks() if has_body else None,
        )
        opened = self._plane.pull(at["participant"], at["pid"], request)
        await answer(opened, ThroughAsgi(scope, upload.after if has_body else receive, send))


class _Push:
    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        at = scope["path_params"]
        note(scope, participant=at["participant"], pid=at["pid"])
        upload = Upload(method=scope["method"], path=at.get("path", ""), headers=headers_of(scope), chunks=_body(receive))
        try:
            receipt = await self._plane.push(at["participant"], at["pid"], upload)
        except KontorError as fault:
            await _refuse(fault, ThroughAsgi(scope, receive, send))
            return
        await _head(send, receipt.status, receipt.headers)
        await send({"type": "http.response.body", "body": b""})


class _Renew:
    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        at = scope["path_params"]
        try:
            if scope["method"] != "POST":
                raise MethodNotAllowed("a token is renewed by POST", allowed=("POST",))
            found = await self._plane.renew(at["participant"], at["pid"], token_of(headers_of(scope).get("authorization")))
        except KontorError as fault:
            await _refuse(fault, ThroughAsgi(scope, receive, send))
            return
        body = orjson.dumps(dict(found))
        headers = {"content-type": "application/json", "content-length": str(len(body)), "cache-control": "no-store"}
        await _head(send, 200, headers)
        await send({"type": "http.response.body", "body": body})


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers of a request, names in lower case, repeated ones joined (RFC 9110, section 5.3)."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


async def relay(
    opened: AbstractAsyncContextManager[Served], scope: Scope, receive: Receive, send: Send, *, is_operator: bool = False
) -> None:
    """As `answer`, through ASGI."""
    await answer(opened, ThroughAsgi(scope, receive, send), is_operator=is_operator)


async def answer(opened: AbstractAsyncContextManager[Served], way: Way, *, is_operator: bool = False) -> None:
    """Answer with what `opened` serves, at the receiver's pace; the source is closed when the receiver is gone.

    A fault before the first byte is answered, an operator is told the whole of it; after the first byte the connection is cut,
    by leaving the answer unfinished.
    """
    has_begun = False
    try:
        async with opened as served:
            if served.body is not None:
                has_begun = True
                with _Stream() as stream:
                    if not await way.whole(served.status, served.headers, served.body):
                        _, _, send = way.asgi()
                        await _head(send, served.status, served.headers)
                        await send({"type": "http.response.body", "body": served.body})
                    stream.sent_bytes = len(served.body)
                return
            scope, receive, send = way.asgi()
            await _head(send, served.status, served.headers)
            has_begun = True
            if served.chunks is None:
                await send({"type": "http.response.body", "body": b""})
                return
            length = int(served.headers.get("content-length", "-1"))
            if 0 <= length <= _ONE_PIECE_BYTES:  # over before anybody could notice that the receiver is gone
                await _flow(served.chunks, length, send)
                return
            fault: KontorError | None = None
            passage: Passage | None = scope.get("extensions", {}).get(SOCKET)
            async with asyncio.TaskGroup() as group:
                watcher = group.create_task(_cut_when_gone(served, receive))
                try:
                    if served.direct is not None and passage is not None:
                        await _fill(served.direct, passage)
                    else:
                        await _flow(served.chunks, length, send)
                except KontorError as broken:
                    fault = broken
                watcher.cancel()
            if fault is not None:
                raise fault
    except KontorError as fault:
        if not has_begun:
            await _refuse(fault, way, is_operator=is_operator)
            return
        way.note(cut=fault.what)
        observe.debug("data.cut", cause=str(fault))


async def _fill(direct: Callable[[int], AsyncIterator[int]], passage: Passage) -> None:
    """Have the kernel send the whole body."""
    with _Stream() as stream:
        async with passage.opened() as receiver:
            async for count in direct(receiver):
                stream.sent_bytes += count


async def _flow(chunks: AsyncIterator[bytes], length: int, send: Send) -> None:
    """Send `chunks`; `length` of them are the end, or the end itself where it is negative."""
    is_over = False
    with _Stream() as stream:
        async for chunk in chunks:
            if is_over and not chunk:
                continue
            stream.sent_bytes += len(chunk)
            is_over = stream.sent_bytes == length
            await send({"type": "http.response.body", "body": chunk, "more_body": not is_over})
        # of an empty body there may be no chunk at all
        if length <= 0 and not is_over:
            await send({"type": "http.response.body", "body": b""})


class _Stream:
    """A body that is sent: a part of the trace, and counted however it ends."""

    __slots__ = ("_span", "sent_bytes")

    def __init__(self) -> None:
        self._span = tracing.span("stream") if tracing.are_made() else None
        self.sent_bytes = 0

    def __enter__(self) -> _Stream:
        if self._span is not None:
            self._span.__enter__()
        return self

    def __exit__(self, *ended: Any) -> None:
        if self._span is not None:
            self._span.note(**{"kontor.bytes": self.sent_bytes})
            self._span.__exit__(*ended)
        observe.counted("data_sent_bytes", (), self.sent_bytes)


async def _cut_when_gone(served: Served, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    served.cut()


class _Uploaded:
    """The body of a request, and what comes behind it: whoever watches for the sender to leave must not take from the body."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._over = asyncio.Event()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes; raises as `_body`."""
        try:
            async for chunk in _body(self._receive):
                yield chunk
        finally:
            self._over.set()

    async def after(self) -> Message:
        """What comes when the body is over."""
        await self._over.wait()
        return await self._receive()


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Unreachable("the sender broke off", mend="take up the transfer again")
        body = message.get("body", b"")
        if body:
            observe.count("data_received_bytes", by=len(body))
            yield body
        if not message.get("more_body", False):
            return


async def _refuse(fault: KontorError, way: Way, *, is_operator: bool = False) -> None:
    """Say what is wrong to who holds a token: unlike strangers, they may know that there is something they may not read now."""
    verdict = errors.judge(fault, is_operator=is_operator or isinstance(fault, Forbidden))
    way.note(code=fault.code, error_id=verdict.error_id)
    _, _, send = way.asgi()
    await errors.send_problem(send, verdict)


async def _head(send: Send, status: int, headers: Mapping[str, str]) -> None:
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
