"""Digests of the content of single messages: checked where a peer gives one, and given with parts of data.

`Content-Digest` is of the content of that very message: of a part, when it carries a part; `Repr-Digest` is of the whole, whatever part
of it is sent (`representation.py`). Both are looked at where both are given.
What does not live here: what follows from a wrong one, which is the matter of who received it.
Source: RFC 9530 (Digest Fields), sections 2, 4 and 5; 6.6 for the bounds.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Callable
from typing import Final

from connector.dataplane.manifests import Readable
from connector.dataplane.representation import Headers, Span, digest_field, digest_in
from connector.errors import KontorError

_ALGORITHMS: Final = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}
"""Those that are active in the registry; a message that has both is held against the first."""
_WANTED: Final = re.compile(r"(?:^|,)[ \t]*sha-256=(?:[1-9]|10)[ \t]*(?:$|,)")
_GIVEN_BYTES: Final = 1 << 20
"""A part up to this size has a digest unasked: it is read twice for it."""
_MOST_GIVEN_BYTES: Final = 64 << 20
"""Larger ones have none even where it is asked for: nobody would get a byte before all of it was read."""


class Check:
    """What the content of a message has to be, and what has come of it."""

    __slots__ = ("_hasher", "algorithm", "expected")

    def __init__(self, algorithm: str, expected: bytes) -> None:
        self.algorithm = algorithm
        self.expected = expected
        self._hasher = _ALGORITHMS[algorithm]()

    def add(self, data: bytes | memoryview) -> None:
        """This has come, too."""
        self._hasher.update(data)

    @property
    def is_right(self) -> bool:
        """Whether what has come is all of it, and nothing else."""
        return self._hasher.digest() == self.expected


def check_of(headers: Headers) -> Check | None:
    """What a message says its content is; None when it says nothing, or by other algorithms alone.

    Raises: BadMessage when it cannot be read: a digest that is ignored protects nobody.
    """
    for algorithm, kind in _ALGORITHMS.items():
        found = digest_in(headers, "content-digest", algorithm, kind().digest_size)
        if found is not None:
            return Check(algorithm, found)
    return None


async def checked(chunks: AsyncIterator[bytes], check: Check, wrong: Callable[[], KontorError]) -> AsyncIterator[bytes]:
    """`chunks`, the last of them once all are known to be right: whoever reads them never has a whole that is wrong.

    Raises: what `wrong` makes; what `chunks` raise.
    """
    held: bytes | None = None
    async for chunk in chunks:
        check.add(chunk)
        if held is not None:
            yield held
        held = chunk
    if not check.is_right:
        raise wrong()
    if held is not None:
        yield held


async def of_part(file: Readable, span: Span, name: str, wanted: str | None) -> str | None:
    """The `Content-Digest` of a part of `file`; None for one that is too large. `wanted` is what the receiver says it would like.

    What lies on another machine comes from there twice for it: that has to be asked for, and is bounded as what is given unasked.

    Raises: SourceError when the file has changed.
    """
    is_wanted = wanted is not None and _WANTED.search(wanted) is not None
    most = (_MOST_GIVEN_BYTES if is_wanted else _GIVEN_BYTES) if file.is_near else _GIVEN_BYTES if is_wanted else 0
    if span.length > most:
        return None
    hasher = hashlib.sha256()
    async for chunk in file.chunks(span.first, span.length, name):
        hasher.update(chunk)
    return digest_field(hasher.hexdigest())
