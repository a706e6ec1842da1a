"""Requests of all kinds, usual and rude, as bytes: what stands at each place of a pull's head, and what comes behind it.

`%p` stands for the path of the data, `%t` for the token that opens it, and `%r` for the same request once more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

METHODS: Final = (
    b"GET", b"get", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"PATCH", b"FOO", b"", b"GET ", b" GET",
)  # fmt: skip
TARGETS: Final = (
    b"%p", b"%p/", b"%p//", b"%p/.", b"%p/..", b"%p/a/../b", b"%p/%2e%2e", b"%p%2F", b"%p%", b"%p?", b"%p?a=1", b"%p#x", b"/%p",
    b"http://x%p", b"HTTP://y:1%p", b"*", b"x", b"", b"%p;a=1", b"%p/\xc3\xa9", b"%p\xff", b"%p/" + b"a" * 200, b"%p/" + b"a" * 201,
    b"%p/" + b"a" * 3000, b"%px", b"/acme/data/renew/urn:uuid:1", b"/acme/data/push/urn:uuid:1", b"/other/data/pull/urn:uuid:1",
    b"/acme/data/pull/", b"/acme/data/pull//", b"/acme/data/pull/a/b/c", b"/acme/data/nothing/at", b"%p\\", b"%p\t", b"%p\x01",
    b"/acme/data/PULL/urn:uuid:1", b"/./acme/data/pull/urn:uuid:1", b"/acme/../acme/data/pull/urn:uuid:1",
)  # fmt: skip
VERSIONS: Final = (b"HTTP/1.1", b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"http/1.1", b"HTTP/1.2", b"", b"HTTP/1.1 ")
TOKENS: Final = (
    b"Authorization: %t", b"authorization:Bearer  %t ", b"Authorization: Basic %t", b"Authorization: bearer %t", b"Authorization:",
    b"Authorization: %t\r\nAuthorization: %t", b"Authorization: wrong\r\nAuthorization: %t", b"Authorization: wrong", b"X: y",
    b"Authorization : %t", b"Authorization: %t\r\n  x", b"Authorization: \xff%t", b"Authorization: %t\x00", b"Authorization: %t, x",
    b"Authorization: Bearer Bearer %t", b"Authorization: \t%t\t",
)  # fmt: skip
_TRACE: Final = b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
FIELDS: Final = (
    b"Host: x", b"", b"Host: x\r\nHost: y", b"Host: ", b"Host: x y",
    b"Connection: close", b"Connection: keep-alive", b"Connection: close, keep-alive", b"Connection: upgrade",
    b"Connection: Upgrade, close\r\nUpgrade: h2c", b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: x",
    b"Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13",
    b"Expect: 100-continue", b"Expect: 200-ok", b"Expect: 100-continue\r\nContent-Length: 0",
    b"Content-Length: 0", b"Content-Length: 3", b"Content-Length: 3\r\nContent-Length: 3", b"Content-Length: 3\r\nContent-Length: 4",
    b"Content-Length: -1", b"Content-Length: +3", b"Content-Length: 0x3",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked, gzip", b"Transfer-Encoding: identity",
    b"Transfer-Encoding: chunked\r\nContent-Length: 3", b"Transfer-Encoding : chunked", b"Transfer-Encoding:\x0bchunked",
    b"Range: bytes=0-1", b"Range: bytes=9-", b"Range: bytes=0-0,2-3", b"Range: x", b"Range: bytes=0-1\r\nRange: bytes=2-3",
    b"If-Range: \"1\"\r\nRange: bytes=0-0", b"If-None-Match: \"1\"", b"If-None-Match: *", b"If-Match: \"2\"",
    b"If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT", b"Want-Content-Digest: sha-256=1", b"Want-Repr-Digest: sha-256=9",
    b"TE: trailers", b"Trailer: X", b"Accept: a\r\nAccept: b", b"Accept-Encoding: gzip", b"Cookie: a=b", b"Last-Event-Id: 3",
    b"X-Forwarded-For: 8.8.8.8", b"Forwarded: for=8.8.8.8", b"X: \xe9", b"X: a\x7fb", b"X: a\tb", b"X: a\x0bb", b"\xe9: x",
    b"Na me: x", b": x", b"noColon", b"X: " + b"a" * 9000, b"X: a\r\n folded", b"X: a\nY: b",
    _TRACE, b"traceparent: nonsense", _TRACE + b"\r\n" + _TRACE.replace(b"4736", b"4737"), b"tracestate: a=b",
    b"Proxy-Connection: close", b"Proxy-Authorization: x", b"Max-Forwards: 0", b"X-HTTP-Method-Override: DELETE",
)  # fmt: skip
BEHIND: Final = (
    b"", b"abc", b"3\r\nabc\r\n0\r\n\r\n", b"0\r\n\r\n", b"3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\n", b"\r\n", b"\r\n\r\n", b"\n",
    b"zzz\r\n\r\n", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"%r", b"%r%r%r",
)  # fmt: skip
_PLACES: Final = (METHODS, TARGETS, VERSIONS, TOKENS, FIELDS, BEHIND)
PAIRS: Final = (
    (b"POST", b"%p", b"HTTP/1.1", TOKENS[0], b"Content-Length: 3", b"abc"),
    (b"GET", b"%p", b"HTTP/1.1", TOKENS[0], b"Content-Length: 3", b"abc%r"),
    (b"GET", b"%p", b"HTTP/1.1", TOKENS[0], b"Transfer-Encoding: chunked", b"3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\n"),
    (b"POST", b"%p", b"HTTP/1.1", TOKENS[0], b"Transfer-Encoding: chunked", b"0\r\n\r\n%r"),
    (b"GET", b"%p", b"HTTP/1.0", TOKENS[0], b"Connection: keep-alive", b"%r"),
    (b"GET", b"%p", b"HTTP/1.1", TOKENS[0], b"Connection: close", b"%r"),
    (b"HEAD", b"%p", b"HTTP/1.1", TOKENS[0], b"Range: bytes=0-1", b"%r"),
    (b"GET", b"%p/..", b"HTTP/1.1", TOKENS[7], b"Host: x", b"%r"),
    (b"GET", b"%p?a=1", b"HTTP/1.1", TOKENS[0], b"Host: x", b"%r"),
)
"""Where two places go together."""


def requests(path: str, token: str) -> Iterator[bytes]:
    """The usual request with each thing that can stand at one place of it, and what goes together."""
    usual = tuple(place[0] for place in _PLACES)
    varied = [(*usual[:at], said, *usual[at + 1 :]) for at, place in enumerate(_PLACES) for said in place]
    for method, target, version, shown, fields, behind in (*varied, *PAIRS):
        lines = [b"%b %b %b" % (method, target, version), shown, *([fields] if fields else []), b"\r\n"]
        head = b"\r\n".join(lines).replace(b"%p", path.encode()).replace(b"%t", token.encode())
        yield head + behind.replace(b"%r", head)
