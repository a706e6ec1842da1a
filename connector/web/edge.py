"""What both listeners do with every request: read a body within its bounds, answer bytes, write one line to the log.

Plain ASGI, without request objects: these run for each protocol message. What a fault looks like as a response is in `errors.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from types import TracebackType
from typing import Any, Final, Protocol

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connector import measures, observe, tracing
from connector.errors import BadMessage, Overloaded, TooLarge
from connector.ports.asker import ASKER
from connector.web import errors
from connector.web.purposes import purpose_of

JSON: Final = b"application/json"
Headers = Iterable[tuple[bytes, bytes]]

_BODY_WITHIN_S: Final = 30.0
"""Longest time for a whole body; the listener has no other bound for a sender that dawdles."""
_BODY_BEGINS_WITHIN_S: Final = 1.0
"""How long a request whose body has not begun keeps its place among those who wait for an answer."""
_DRAINED_BYTES: Final = 16 << 20
"""How much of a body that is too large is still taken, so that its sender reads our answer instead of a broken connection."""
CLIENT_LEFT: Final = 499
"""The status of a request whose sender has left before there was an answer."""
_CLASSES: Final = ("4xx", "1xx", "2xx", "3xx", "4xx", "5xx")
"""Of statuses, by their hundreds; whoever left before an answer began has none."""
LINE: Final = "kontor.line"
"""Where in the scope the fields of a request's line are."""
WHOLE: Final = "kontor.whole"
"""The type of a message that is a whole answer (`status`, `headers` as texts by name, `body`), where the scope has an extension of this
name: a `Whole`."""
REFUSED: Final = "kontor.refused"
"""Set in the scope of a request that was told to come again later: its listener does not read the next one at once."""


def header(scope: Scope, name: bytes) -> str | None:
    """The value of the header `name` (lower case) as it was sent, the first if it came twice, or None."""
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("utf-8", "surrogateescape")
            return text
    return None


def trace_of(scope: Scope) -> str | None:
    """The `traceparent` of a request; None where there is none, or more than one, which says nothing."""
    found = [value for name, value in scope["headers"] if name == b"traceparent"]
    return found[0].decode("latin-1") if len(found) == 1 else None


def note(scope: Scope, **fields: object) -> None:
    """Add fields to the one line that is written about this request."""
    scope.setdefault(LINE, {}).update(fields)


def noted(scope: Scope) -> Mapping[str, Any]:
    """The fields that were noted about this request so far."""
    found: Mapping[str, Any] = scope.get(LINE, {})
    return found


async def read_body(scope: Scope, receive: Receive, max_bytes: int) -> bytes:
    """The whole body.

    Raises: TooLarge as soon as it is known to be; BadMessage when it does not arrive in time; ClientDisconnect.
    """
    announced = header(scope, b"content-length")
    try:
        # also for its first part: whoever sends a head alone waits with us for what never comes
        async with asyncio.timeout(_BODY_WITHIN_S):
            if announced is not None and announced.isdigit() and int(announced) > max_bytes:
                if int(announced) <= _DRAINED_BYTES:
                    await _drain(receive)
                raise _too_large(max_bytes)
            parts: list[bytes] = []
            size, has_more = 0, True
            while has_more:
                body, has_more = await _part(receive)
                parts.append(body)
                size += len(body)
                if size > max_bytes:
                    if has_more:
                        await _drain(receive)
                    raise _too_large(max_bytes)
    except TimeoutError:
        raise BadMessage("the body did not arrive in time", mend=f"send it within {_BODY_WITHIN_S:.0f} s") from None
    return b"".join(parts)


async def _part(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message.get("body", b""), message.get("more_body", False)


async def _drain(receive: Receive) -> None:
    """Take the rest of a body and forget it, up to a bound."""
    taken, has_more = 0, True
    while has_more and taken < _DRAINED_BYTES:
        body, has_more = await _part(receive)
        taken += len(body)


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"the body is larger than {max_bytes} bytes", mend="send less; the operator of this node sets the limit")


async def reply(send: Send, status: int, body: bytes, headers: Headers = (), content_type: bytes = JSON) -> None:
    """Send a whole answer; without a body where the status forbids one."""
    if status in (204, 304):
        await send({"type": "http.response.start", "status": status, "headers": [*headers]})
        await send({"type": "http.response.body", "body": b""})
        return
    head = [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


async def reply_at_once(scope: Scope, send: Send, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    """Send a whole answer in JSON, by one write where the listener offers that: its reader wakes up once."""
    head = {"content-type": JSON.decode(), "content-length": str(len(body)), **headers}
    if WHOLE in scope.get("extensions", ()):
        await send({"type": WHOLE, "status": status, "headers": head, "body": body})
    else:
        await reply(send, status, body, tuple((name.encode(), value.encode()) for name, value in headers.items()))


async def full(scope: Scope, receive: Receive, send: Send) -> None:
    """The application of a connection too many."""
    observe.count("requests_refused", code=Overloaded.code)
    verdict = errors.judge(Overloaded("there are too many connections", mend="come again in a moment"))
    await errors.send_problem(send, replace(verdict, headers=(*verdict.headers, (b"connection", b"close"))))


class Bounded:
    """An application that is asked no more at once than it can answer soon; the others are told to come again.

    Streams have bounds of their own.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.enter()
        turn = Turn(self.free, receive, send)
        try:
            await self._app(scope, turn.received, turn.answered)
        finally:
            turn.let_go()

    def enter(self) -> None:
        """One more waits for its answer; `free` when it begins.

        Raises: Overloaded.
        """
        if self._waiting >= self._most:
            observe.count("requests_refused", code=Overloaded.code)
            raise Overloaded("too much is asked at once", mend="come again in a moment")
        self._waiting += 1

    def free(self) -> None:
        """One less."""
        self._waiting -= 1


class Turn:
    """One place among those who wait for their answer: free again when that begins, or when a body turns out to be long in coming."""

    __slots__ = ("_free", "_is_held", "_receive", "_send")

    def __init__(self, free: Callable[[], None], receive: Receive, send: Send) -> None:
        self._free = free
        self._receive = receive
        self._send = send
        self._is_held = True

    def let_go(self) -> None:
        """Free it, once."""
        if self._is_held:
            self._is_held = False
            self._free()

    async def received(self) -> Message:
        """As `receive`."""
        if not self._is_held:
            return await self._receive()
        late = asyncio.get_running_loop().call_later(_BODY_BEGINS_WITHIN_S, self.let_go)
        try:
            message = await self._receive()
        finally:
            late.cancel()
        if message.get("more_body", False):
            self.let_go()
        return message

    async def answered(self, message: Message) -> None:
        """As `send`."""
        self.let_go()
        await self._send(message)


class Whole(Protocol):
    """What a listener offers under `WHOLE`: an answer in one piece."""

    def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> bool:
        """Send it by one write. False when it cannot be sent so, and nothing was: it goes out as two messages then."""
        ...


class Attended:
    """One request at a listener: entered when its head is here; when it is left its line is written, and it is counted.

    Inside all lines carry its trace. The application answers every fault; what else ends it leaves no line.
    """

    __slots__ = ("_at", "_begun", "_bound", "_client", "_line", "_method", "_path", "_request", "route", "status")

    def __init__(
        self, at: str, client: str | None, method: str, path: str, traceparent: str | None, line: dict[str, Any]
    ) -> None:
        """`at`: the listener's name; `line`: the fields that are noted about it."""
        self._at = at
        self._client = client
        self._method = method
        self._path = path
        self._line = line
        self._request = tracing.received(f"{method} {at}", traceparent)
        self.status = 0
        """Of its answer, once that is known; 0: there was none."""
        self.route = "none"
        """What its address is for, as `measures.ROUTES` says it, once that is known."""

    def __enter__(self) -> Attended:
        self._begun = time.perf_counter()
        ASKER.set(self._client or "")
        self._bound = observe.bound(trace=self._request.__enter__())
        self._bound.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._written()
        self._bound.__exit__()
        self._request.__exit__(kind, fault, trace)

    def _written(self) -> None:
        took_s, status = time.perf_counter() - self._begun, self.status
        if self._request.is_kept:
            said: dict[str, str | int] = {"http.response.status_code": status, "url.path": self._path}
            self._request.note(**said, **_said_of(self._line))
        observe.info(
            "http.request",
            listener=self._at,
            client=self._client,
            method=self._method,
            path=self._path,
            status=status or CLIENT_LEFT,
            ms=int(took_s * 100_000) / 100,
            **self._line,
        )
        observe.counted("http_requests", _answered(self._at, status // 100))
        measures.REQUESTS.add(took_s, self._at, self.route, _CLASSES[status // 100])


@lru_cache
def _answered(at: str, hundreds: int) -> observe.Series:
    """The labels of a listener's answers."""
    return ("listener", at), ("status", f"{hundreds}xx")


class Observed:
    """An application, with one line and one count for each request, and an answer to faults that nobody else caught."""

    def __init__(self, app: ASGIApp, listener: str) -> None:
        self._app = app
        self._at = listener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        client = scope.get("client")
        watched = Watched(scope, send)
        line: dict[str, Any] = scope.setdefault(LINE, {})
        asker = client[0] if client else None
        with Attended(self._at, asker, scope["method"], scope["path"], trace_of(scope), line) as attended:
            try:
                await self._app(scope, receive, watched.sent)
            except ClientDisconnect:
                watched.status = CLIENT_LEFT
            except Exception as fault:  # noqa: BLE001 - the outermost door: whatever it is becomes an answer and a line
                verdict = verdict_on(fault, line)
                if verdict is not None and watched.status == 0:
                    await errors.send_problem(watched.sent, verdict)
            attended.status, attended.route = watched.status, purpose_of(scope, self._at)


def verdict_on(fault: Exception, line: dict[str, Any]) -> errors.Verdict | None:
    """What is said about a fault that nobody has caught, noted in the line about the request; None when one was told already."""
    if "error_id" in line:
        return None
    verdict = errors.judge(fault)
    line |= {"error_id": verdict.error_id, "cause": verdict.text}
    return verdict


class Watched:
    """The way out of one request, and the status that went there."""

    __slots__ = ("_scope", "_send", "status")

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self.status = 0

    async def sent(self, message: Message) -> None:
        """As `send`; and it takes answers in one piece."""
        kind = message["type"]
        if kind in (WHOLE, "http.response.start"):
            self.status = status = message["status"]
            if status in (429, 503):
                self._scope[REFUSED] = True
        if kind == WHOLE:
            await self._whole(message)
        else:
            await self._send(message)

    async def _whole(self, message: Message) -> None:
        status, headers, body = message["status"], message["headers"], message["body"]
        way: Whole | None = self._scope.get("extensions", {}).get(WHOLE)
        if way is None or not way.whole(status, headers, body):
            # headers that cannot be written are a fault to answer: nothing is out yet
            self.status = 0
            raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
            await self.sent({"type": "http.response.start", "status": status, "headers": raw})
            await self._send({"type": "http.response.body", "body": body})


def _said_of(line: Mapping[str, Any]) -> dict[str, str]:
    """What a span says of a request: ids, as the log line does."""
    return {f"kontor.{name}": str(line[name]) for name in ("participant", "pid", "peer", "message") if line.get(name)}
