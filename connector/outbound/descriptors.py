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
    """The socket that the rest comes from; it does not block. -1 when nothing is left."""
    left_bytes: int
    """How much of the body comes from there."""


def is_plain(answer: StreamedAnswer) -> bool:
    """Whether the body comes as it is, in plain bytes whose number is known: without TLS, chunks or a coding; and is not here yet."""
    return answer.length is not None and answer.connection.is_plain and not answer.connection.is_whole


@contextmanager
def rest_of(answer: StreamedAnswer) -> Iterator[Rest]:
    """The rest of a plain body of which nothing was read; from then on nothing else may read it.

    Raises: Unreachable when the connection is gone.
    """
    connection, length = answer.connection, answer.length
    if connection.is_whole:
        # all of it came since; the connection may be closed already
        yield Rest(here=connection.taken(), fd=-1, left_bytes=0)
        return
    if connection.is_lost:
        raise Unreachable("the connection was closed", where=shown(answer.where), mend="try again later")
    # nothing is awaited here: what was read is in the buffer, and from then on nothing is read
    here = connection.taken()
    fd = os.dup(connection.transport.get_extra_info("socket").fileno())
    try:
        yield Rest(here=here, fd=fd, left_bytes=(length or 0) - len(here))
    finally:
        os.close(fd)
