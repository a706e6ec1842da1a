"""The socket under an answer, for whoever moves the rest of its body by other means than reading it here (`dataplane/kernel.py`).

What lives here: `rest_of`. What does not: the connection itself, which was judged and opened by `client.py`, and which is closed
when the answer's context is left: whoever took something from below cannot give the connection back for another request.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from connector.errors import Unreachable
from connector.outbound.client import StreamedAnswer
from connector.outbound.rules import shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What of a body is still to come."""

    here: bytes = field(repr=False)
    """What was read of it already."""
    fd: int
    """The socket that the rest comes from; it does not block."""
    left_bytes: int
    """How much of the body comes from there."""


def is_plain(answer: StreamedAnswer) -> bool:
    """Whether the body comes as it is, in plain bytes whose number is known: without TLS, chunks or a coding."""
    response = answer.response
    connection = response.connection
    transport = connection.transport if connection is not None else None
    return (
        transport is not None
        and transport.get_extra_info("ssl_object") is None
        and response.content_length is not None
        and "transfer-encoding" not in answer.headers
    )


@contextmanager
def rest_of(answer: StreamedAnswer) -> Iterator[Rest]:
    """The rest of a plain body of which nothing was read; from then on nothing else may read it.

    Raises: Unreachable when the connection is gone.
    """
    response = answer.response
    connection = response.connection
    protocol = connection.protocol if connection is not None else None
    transport = protocol.transport if protocol is not None else None
    if protocol is None or transport is None or transport.is_closing():
        raise Unreachable("the connection was closed", where=shown(answer.where), mend="try again later")
    # nothing is awaited here: what was read is in the buffer, and while that is emptied nothing is read
    here = b""
    while piece := response.content.read_nowait(-1):
        here += piece
    # emptying the buffer lets the library read on, as soon as the loop turns: not any more
    protocol.pause_reading()
    fd = os.dup(transport.get_extra_info("socket").fileno())
    try:
        yield Rest(here=here, fd=fd, left_bytes=(response.content_length or 0) - len(here))
    finally:
        os.close(fd)
