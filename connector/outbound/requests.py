"""A request as it goes out to another machine: its head as bytes, its body as it comes.

What lives here: `Request`, `headed`. What does not: sending it (`connection.py`), and which addresses are lawful (`rules.py`).
Source: RFC 9112, sections 3 (request line), 5 (fields) and 6 (bodies).
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from typing import Final

from connector import __version__

_ALWAYS: Final = {
    "user-agent": f"User-Agent: kontor/{__version__}",
    "accept": "Accept: */*",
    "accept-encoding": "Accept-Encoding: identity",
}
"""What each request carries that says nothing else."""
Body = bytes | AsyncIterable[bytes | memoryview] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked."""

    method: str
    head: bytes
    """Request line and headers, and the empty line."""
    body: Body
    is_chunked: bool
    """Whether the body goes out in chunks, because its length is not known."""
    length: int | None
    """Of the body, where it is known."""
    silence_s: float
    """How long nothing may come of an answer."""


def headed(method: str, target: str, headers: Mapping[str, str], host: str, body: Body, silence_s: float) -> Request:
    """The request as it goes out; `headers` take the place of those that are always there, whatever their case.

    Raises: ValueError for a header that would end its line.
    """
    given = {name.lower() for name in headers}
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [line for name, line in _ALWAYS.items() if name not in given]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    length, is_chunked = None, False
    if body is not None:
        # what is empty has no type: EDC's endpoint for a completed transfer takes JSON or nothing
        if "content-type" not in given and body != b"":
            lines.append("Content-Type: application/octet-stream")
        if isinstance(body, bytes):
            if "content-length" not in given:
                lines.append(f"Content-Length: {len(body)}")
        elif "content-length" in given:
            length = int(next(value for name, value in headers.items() if name.lower() == "content-length"))
        else:
            is_chunked = True
            lines.append("Transfer-Encoding: chunked")
    text = "\r\n".join(lines)
    # INVARIANT: what a value says stays within its header
    if not text.count("\n") == text.count("\r") == len(lines) - 1 or "\0" in text:
        raise ValueError("a header has characters that would end its line")
    try:
        head = text.encode("latin-1")
    except UnicodeEncodeError:
        head = text.encode()
    return Request(method=method, head=head + b"\r\n\r\n", body=body, is_chunked=is_chunked, length=length, silence_s=silence_s)
