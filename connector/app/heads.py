"""Bounds of a connection: a request's head has to be whole in time, and small; who is refused waits before the next; an answer is taken.

uvicorn bounds none of them: a sender that never ends its head would keep a connection, and grow the memory, without end. Bodies have
bounds of their own where they are read (`web/edge.py`, `dataplane/`). Idle connections between two requests are closed by uvicorn.
Source: RFC 9110, section 15.5.9 (408); RFC 6585, section 5 (431).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from connector.app.exchange import Client, Exchange, headers_in_front
from connector.app.passage import Passage
from connector.dataplane.kernel import IS_HERE
from connector.web.data import SOCKET
from connector.web.edge import REFUSED, WHOLE, full
from connector.web.ways import Front

WITHIN_S: Final = 20.0
"""Longest time from the connection, or a request's first byte, to the end of the request's head."""
TAKEN_WITHIN_S: Final = 60.0
"""Longest time in which a receiver takes no byte of an answer that waits for it."""
MOST_BYTES: Final = 64 << 10
"""Of a head: request line and headers; and of what stands around a body. What connectors send is below 10 KiB, large tokens included."""
PAUSE_S: Final = 0.25
"""After an answer that says to come again later nothing is read for so long: a sender that does not wait costs four answers a second,
and not all the time that is there."""
REFUSALS_PER_S: Final = 2000
"""Answers of that kind by the whole process: where more wait for the end of their pause, it is longer. What refusing costs is missing to
those who are served (measured on PostgreSQL, where a request waits for many turns of the loop: two to three times as many are)."""
MOST_WAITING: Final = 100
"""Requests that may wait on one connection for the answer to the one before. What comes behind them is not looked at, and the connection
closed once those are answered: whoever sends on without waiting would fill the memory (RFC 9112, section 9.3.2)."""
_TOO_LATE: Final = b"408 Request Timeout"
_TOO_LARGE: Final = b"431 Request Header Fields Too Large"


class BoundedHeads(HttpToolsProtocol):
    """A connection on which a head has bounds."""

    _read_bytes = 0
    """Since the head began; counted by what arrives at once, so the end of a request before it may be among them."""
    _around_bytes = 0
    """Since a head, or a piece of a body: what is neither, such as the extension of a chunk, and trailers."""
    _is_in_head = True
    _deadline: asyncio.TimerHandle | None = None
    _paused: ClassVar[int] = 0
    """Connections of this process that are not read."""
    _taking: asyncio.TimerHandle | None = None
    _untaken = 0
    """Bytes of answers that its receiver had not taken at the last look."""
    _under_way: RequestResponseCycle
    """Is being answered, or was the last to be."""
    _is_over = False
    """Whether nothing is read any more."""
    _idle_since = 0.0
    _idle: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, most: int, **kwargs: Any) -> None:
        """`most`: connections of the listener; requests on further ones are refused."""
        super().__init__(*args, **kwargs)
        self._most = most
        app: Any = self.app
        self._trusted = None
        if isinstance(app, ProxyHeadersMiddleware):
            app, self._trusted = app.app, app.trusted_hosts
        self._front = app if isinstance(app, Front) else None
        """Answers some requests in front of ASGI."""
        self._is_proxied = False
        """Whether it comes from a proxy that says who asks, and is believed."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._most:
            self.app, self._front = full, None
        self._is_proxied = self._trusted is not None and self.client is not None and self.client[0] in self._trusted
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        self._rest_taking()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_taking()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._rest_taking()

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        self._around_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and not self.transport.is_closing():
            self._read_bytes += len(data)
            if self._read_bytes > MOST_BYTES:
                self._refuse(_TOO_LARGE)
            elif self._deadline is None:
                # the usual head comes whole, and costs no timer
                self._watch()
        elif self._around_bytes > MOST_BYTES and not self.transport.is_closing():
            self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        self._is_in_head, self._read_bytes = not self._is_over, 0
        # the scope is made once it is wanted
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_headers_complete(self) -> None:
        self._is_in_head, self._around_bytes = False, 0
        self._rest()
        if self._is_over:
            return
        if len(self.pipeline) >= MOST_WAITING:
            # what has come of the same piece is of no consequence either
            self._is_over, self.cycle.keep_alive = True, False
            return
        before = self.cycle
        if self._front is not None and (before is None or before.response_complete) and self._is_in_front(self._front):
            return
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expects
        self.scope["headers"] = headers
        super().on_headers_complete()
        if self.cycle is not before:
            # its task has not begun yet
            self.cycle.scope["extensions"] = self.extensions(Passage(self.transport, self.flow, self.cycle))
            # what comes behind a body is no header, whatever it is called (RFC 9110, section 6.5.1)
            self.headers = []

    def on_body(self, body: bytes) -> None:
        self._around_bytes = 0
        if not self._is_over:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._is_over:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if not self.pipeline:
            # as the server, but by a timer that is set once for a connection and not with each of its requests
            self._idle_since = self.loop.time()
            if self._idle is None:
                self._idle = self.loop.call_later(self.timeout_keep_alive, self._look_idle)
        if REFUSED in self._under_way.scope:
            self.flow.pause_reading()
            BoundedHeads._paused += 1
            self.loop.call_later(max(PAUSE_S, BoundedHeads._paused / REFUSALS_PER_S), self._read_on)
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Answer the next request that is here; read on where there is none: not before, or ever more would wait."""
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self.flow.resume_reading()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._under_way = cycle
        super()._start_asgi_task(cycle, app)

    def _look_idle(self) -> None:
        """Close the connection when it was idle for long enough; look again when it would have been."""
        self._idle = None
        if self._is_in_head or not self.cycle.response_complete:
            # busy: the end of the answer sets the timer again, and a head has a bound of its own
            return
        left_s = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self._idle = self.loop.call_later(left_s, self._look_idle)
        else:
            self.timeout_keep_alive_handler()

    # --- in front of ASGI

    def _is_in_front(self, front: Front) -> bool:
        """Whether the request is answered in front of ASGI: it is under way then."""
        parser = self.parser
        found = front.found(self.url) if parser.get_method() == b"GET" else None
        if found is None or parser.get_http_version() != "1.1" or (headers := headers_in_front(self.headers)) is None:
            return False
        client = self._client_behind(headers) if self._is_proxied else self.client
        self.cycle = self._under_way = exchange = Exchange(
            self, found.path, self.headers, headers, client, keep_alive=parser.should_keep_alive()
        )
        exchange.task = task = self.loop.create_task(exchange.run(front.answer(exchange, found)))
        self.tasks.add(task)
        return True

    def _client_behind(self, headers: Mapping[str, str]) -> Client | None:
        """Who asks, as a proxy that is believed says it; by the rules of the server."""
        told = headers.get("x-forwarded-for")
        if told is None or self._trusted is None:
            return self.client
        host, port = self._trusted.get_trusted_client_address(told)
        return (host, port) if host else self.client

    def scope_of(self, path: str, headers: list[tuple[bytes, bytes]], client: Client | None) -> Any:
        """The scope of a GET of a plain path, as the server makes it."""
        kept = self.url, self.headers, self.expect_100_continue, self.scope
        super().on_message_begin()
        found: Any = self.scope
        self.url, self.headers, self.expect_100_continue, self.scope = kept
        return found | {
            "client": client,
            "headers": headers,
            "method": "GET",
            "path": self.root_path + path,
            "raw_path": (self.root_path + path).encode("ascii"),
            "query_string": b"",
        }

    def extensions(self, passage: Passage) -> Any:
        """What an answer on this connection may go by."""
        is_plain = IS_HERE and self.scheme == "http"
        return {WHOLE: passage, SOCKET: passage} if is_plain else {WHOLE: passage}

    # --- bounds

    def _read_on(self) -> None:
        BoundedHeads._paused -= 1
        if not self.transport.is_closing():
            self._go_on()

    def _watch(self) -> None:
        self._deadline = self.loop.call_later(WITHIN_S, self._look_late)

    def _look_late(self) -> None:
        """Refuse a head that is not whole in time; while an answer is under way nothing of it is read, by our own doing."""
        if self._is_answered():
            self._refuse(_TOO_LATE)
        else:
            self._watch()

    def _rest(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _watch_taking(self) -> None:
        self._untaken = self.transport.get_write_buffer_size()
        self._taking = self.loop.call_later(TAKEN_WITHIN_S, self._look_taking)

    def _rest_taking(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _look_taking(self) -> None:
        """Cut off a receiver that has taken no byte since the last look."""
        self._taking = None
        if self.transport.get_write_buffer_size() < self._untaken:
            self._watch_taking()
        else:
            self.transport.abort()

    def _refuse(self, status: bytes) -> None:
        self._rest()
        if not self.transport.is_closing():
            if self._read_bytes and self._is_answered():
                self.transport.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self.transport.close()

    def _is_answered(self) -> bool:
        """Whether no answer to an earlier request is under way, into which another one would run."""
        return self.cycle is None or self.cycle.response_complete
