"""Bodies within bounds, one line for each request, an answer to every fault: plain ASGI, driven by hand."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from connector import measures, observe
from connector.errors import BadMessage, NotFound, Overloaded, TooLarge
from connector.web import edge
from connector.web.purposes import purpose_of


def scope_of(**headers: str) -> dict[str, Any]:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": "POST", "path": "/x", "headers": raw, "query_string": b"", "client": ("127.0.0.1", 1)}


def sending(parts: Iterable[bytes | None]) -> Any:
    """A `receive` that gives the parts of a body; None: the client leaves."""
    left = list(parts)

    async def receive() -> dict[str, Any]:
        part = left.pop(0)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    return receive


def dawdling(*parts: bytes) -> Any:
    """A `receive` that gives `parts`, and never any more."""
    left = list(parts)

    async def receive() -> dict[str, Any]:
        if not left:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": left.pop(0), "more_body": True}

    return receive


class Sent:
    """A `send` that remembers."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    async def __call__(self, message: Any) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)


@pytest.mark.parametrize("parts", [[b"12345"], [b"123", b"45"], [b"", b"12345", b""]])
async def test_a_body_within_the_limit_is_read_whole(parts: list[bytes]) -> None:
    assert await edge.read_body(scope_of(), sending(parts), 5) == b"12345"


@pytest.mark.parametrize(
    ("headers", "parts"),
    [
        ({}, [b"123456"]),
        ({}, [b"123", b"456", b"789"]),
        ({"content_length": "6"}, [b"123456"]),
        ({"content_length": str(1 << 40)}, []),
    ],
)
async def test_a_body_beyond_the_limit_is_refused(headers: dict[str, str], parts: list[bytes]) -> None:
    with pytest.raises(TooLarge, match="larger than 5 bytes"):
        await edge.read_body(scope_of(**headers), sending(parts), 5)


async def test_a_client_that_leaves_is_noticed() -> None:
    with pytest.raises(ClientDisconnect):
        await edge.read_body(scope_of(), sending([b"123", None]), 5)


@pytest.mark.parametrize("announced", ["4", "6"])
@pytest.mark.parametrize("begins", [(), (b"1",)])
async def test_a_body_that_dawdles_is_given_up(
    begins: tuple[bytes, ...], announced: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "_BODY_WITHIN_S", 0.01)
    with pytest.raises(BadMessage, match="in time"):
        await edge.read_body(scope_of(content_length=announced), dawdling(*begins), 5)


async def test_every_request_is_one_line_with_its_trace_and_what_was_noted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="kontor")
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        edge.note(scope, participant="acme")
        assert observe.context()["trace"] == trace
        await edge.reply(send, 201, b"{}")

    sent = Sent()
    scope = scope_of(traceparent=f"00-{trace}-00f067aa0ba902b7-01", authorization="Bearer hush")
    await edge.Observed(app, "public")(scope, sending([b""]), sent)
    assert (sent.status, sent.body) == (201, b"{}")
    (record,) = caplog.records
    fields = record.__dict__["fields"]
    assert record.getMessage() == "http.request"
    assert {name: fields[name] for name in ("trace", "method", "path", "status", "participant")} == {
        "trace": trace, "method": "POST", "path": "/x", "status": 201, "participant": "acme",
    }  # fmt: skip
    assert "hush" not in str(fields)


@pytest.mark.parametrize(
    ("pattern", "rest", "purpose"),
    [
        ("/{participant}/dsp/2025-1/{rest:path}", "negotiations/urn:x/events", "negotiations"),
        ("/{participant}/dsp/2025-1/{rest:path}", "catalog/request", "catalog"),
        ("/{participant}/dsp/2025-1/{rest:path}", "made/up", "none"),
        ("/catalog/dsp/2025-1/{rest:path}", "catalog/request", "ledger"),
        ("/{participant}/.well-known/dspace-version", "", "version"),
        ("/{participant}/data/pull/{pid}/{path:file}", "", "pull"),
        ("/dataplane/data/renew/{pid}", "", "renew"),
        ("/api/v1/participants/{participant}/transfers/{pid}/data", "", "api"),
        ("/api/v1/participants/{participant}/events/stream", "", "events"),
        ("/catalog/api/participants/{id:path}", "", "ledger"),
        ("/authority/issuer/credentials", "", "authority"),
        ("/{participant}/did.json", "", "identity"),
        ("/metrics", "", "watch"),
    ],
)
def test_what_an_address_is_for_is_one_of_a_few_words(pattern: str, rest: str, purpose: str) -> None:
    scope = scope_of() | {"route": SimpleNamespace(path=pattern), "path_params": {"rest": rest}}
    assert purpose_of(scope, "public") == purpose
    assert purpose in measures.ROUTES
    assert purpose_of(scope_of(), "public") == "none"


async def test_a_fault_that_nobody_caught_is_answered_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise KeyError("/srv/private")

    sent = Sent()
    await edge.Observed(app, "public")(scope_of(), sending([b""]), sent)
    assert sent.status == 500
    assert b"private" not in sent.body
    error_id = json.loads(sent.body)["error_id"]
    assert error_id in str([record.__dict__["fields"] for record in caplog.records])


async def test_a_fault_after_the_first_byte_leaves_the_answer_unfinished() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise NotFound("the rest")

    sent = Sent()
    await edge.Observed(app, "public")(scope_of(), sending([b""]), sent)
    assert [message["type"] for message in sent.messages] == ["http.response.start"]


async def test_a_client_that_has_left_is_no_fault_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="kontor")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ClientDisconnect

    sent = Sent()
    await edge.Observed(app, "public")(scope_of(), sending([b""]), sent)
    assert sent.messages == []
    assert [(r.levelname, r.__dict__["fields"]["status"]) for r in caplog.records] == [("INFO", 499)]


async def test_a_websocket_is_closed() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    sent = Sent()
    await edge.Observed(app, "public")({"type": "websocket"}, sending([]), sent)
    assert sent.messages == [{"type": "websocket.close", "code": 1000}]


async def test_an_answer_that_may_have_no_body_has_none() -> None:
    sent = Sent()
    await edge.reply(sent, 304, b"something", ((b"etag", b'"1"'),))
    assert sent.body == b""
    assert sent.messages[0]["headers"] == [(b"etag", b'"1"')]


async def test_a_header_is_the_bytes_that_were_sent() -> None:
    scope = {"headers": [(b"authorization", "Bearer é".encode()), (b"authorization", b"second")]}
    assert edge.header(scope, b"authorization") == "Bearer é"
    assert edge.header(scope, b"cookie") is None


async def test_more_than_can_wait_for_an_answer_are_told_to_come_again() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/stream":
            await send({"type": "http.response.start", "status": 200, "headers": []})
        elif scope["path"] == "/upload":
            await receive()
        begun.set()
        await go_on.wait()

    bounded = edge.Bounded(app, 1)

    async def asked(path: str) -> asyncio.Task[None]:
        begun.clear()
        task = asyncio.create_task(bounded(scope_of() | {"path": path}, sending([b"1", b"2"]), Sent()))
        await asyncio.wait([task, asyncio.create_task(begun.wait())], return_when=asyncio.FIRST_COMPLETED)
        return task

    # neither counts: an answer that has begun, a body that is long in coming
    under_way = [await asked("/stream"), await asked("/upload"), await asked("/x")]
    with pytest.raises(Overloaded):
        await bounded(scope_of(), sending([b""]), Sent())
    go_on.set()
    await asyncio.gather(*under_way)
    await bounded(scope_of(), sending([b""]), Sent())


async def test_a_body_that_never_begins_keeps_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await edge.reply(send, 200, await edge.read_body(scope, receive, 5))

    monkeypatch.setattr(edge, "_BODY_BEGINS_WITHIN_S", 0.0)
    bounded = edge.Bounded(app, 1)
    silent = asyncio.create_task(bounded(scope_of(), dawdling(), Sent()))
    for _ in range(3):
        await asyncio.sleep(0)
    sent = Sent()
    await bounded(scope_of(), sending([b"1"]), sent)
    assert sent.status == 200
    silent.cancel()


async def test_an_answer_in_one_piece_whose_headers_cannot_be_written_is_a_fault_that_is_answered() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": edge.WHOLE, "status": 200, "headers": {"content-type": "text/\u0101"}, "body": b"x"})

    sent = Sent()
    await edge.Observed(app, "public")(scope_of(), sending([b""]), sent)
    assert sent.status == 500
    assert json.loads(sent.body)["error_id"]
