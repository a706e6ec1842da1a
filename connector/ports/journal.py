"""The journal: streams of entries that are only ever appended to, each chained to the one before by a digest.

Decisions and operators' acts are written here. An entry that is removed, changed or moved afterwards breaks the chain, and
`verify` says where. What the chain alone cannot show is that somebody wrote a whole stream anew: note a `Link` elsewhere now and
then, and give it to `verify`.
What lives here: the seam, the digest, the verification. What does not: what is worth an entry, and who may read it.

The digest of an entry is SHA-256 over five lines and the body: digest of the entry before (64 zeros for the first), participant,
stream, number, moment in whole microseconds since 1970, each ended by a line feed; then the body as canonical JSON (UTF-8, members
sorted by their names, no blanks).
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import orjson

from connector.dsp.values import Value
from connector.errors import BadMessage
from connector.ports.page import Page

_STREAM: Final = re.compile(r"[a-z][a-z0-9-]{0,63}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Link(Value, frozen=True, kw_only=True):
    """A place in a chain: an entry's number and digest."""

    number: int
    sha256: str


BEGINNING: Final = Link(number=0, sha256="0" * 64)
"""What the first entry of a stream is chained to."""


class Line(Value, frozen=True, kw_only=True):
    """Something to append."""

    at: datetime
    body: Mapping[str, Any] | bytes
    """A JSON tree; bytes are one that is canonical JSON already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something that was appended."""

    participant: str
    stream: str
    number: int
    """Counts from 1 within its stream, without gaps."""
    at: datetime
    body: Mapping[str, Any]
    previous: str
    """The digest of the entry before."""
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Where the kept part of a stream lies."""

    before: Link
    """The entry before the first that is kept: `BEGINNING` as long as nothing was trimmed."""
    last: Link
    """The last entry; the same as `before` when nothing is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a verification found."""

    checked: int
    """Entries that were looked at."""
    last: Link
    """The last entry that is in order; worth noting elsewhere."""
    fault: str = ""
    """What is wrong first, in words; empty when the chain is whole."""

    @property
    def is_whole(self) -> bool:
        """True when nothing was removed, changed or moved."""
        return not self.fault


class Journal(Protocol):
    """The streams of all participant contexts. Every call may raise StoreUnavailable: nothing was written then, or, when the
    connection to a server broke before its answer came, all of it (`holds` tells)."""

    async def append(self, participant: str, stream: str, lines: Sequence[Line], *, can_wait: bool = False) -> tuple[Link, ...]:
        """The entries that `lines` became, as numbers and digests: all of them in this order and without others between, or none.

        With `can_wait` they may be kept back for a moment, to share a commit with others.

        Of several replicas that append at once, each continues where another stopped.

        Raises: BadMessage for a stream's name other than lower-case letters, digits and `-`, and for a body that is no JSON.
        """
        ...

    async def page(
        self,
        participant: str,
        stream: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        cursor: str | None = None,
        limit: int = 100,
        is_newest_first: bool = False,
    ) -> Page[Entry]:
        """The entries by number whose moments are not before `since` and before `until`.

        Raises: BadMessage for a cursor that is none of this list.
        """
        ...

    async def chain(self, participant: str, stream: str) -> Chain | None:
        """Where the kept part lies; None when nothing was ever appended."""
        ...

    async def streams(self, participant: str) -> tuple[str, ...]:
        """The names of the streams of one context, sorted."""
        ...

    async def trim(self, participant: str, stream: str, before: datetime, *, limit: int = 10_000) -> int:
        """How many entries were forgotten, at most `limit`: the oldest, up to the first that is not older than `before`.

        The chain still shows where the kept part begins.
        """
        ...


async def holds(journal: Journal, participant: str, stream: str, lines: Sequence[Line]) -> bool:
    """Whether `lines` stand in the stream in this order and without others between: asked before an append is repeated whose
    answer was lost. One that its server is still at is not seen.
    """
    sought = [(line.at, canonical(line.body)) for line in lines]
    since, until = min(at for at, _ in sought), max(at for at, _ in sought) + _MICROSECOND
    last: deque[Entry] = deque(maxlen=len(sought))
    cursor: str | None = None
    while True:
        page = await journal.page(participant, stream, since=since, until=until, cursor=cursor, limit=1000)
        for entry in page.items:
            last.append(entry)
            if (
                len(last) == len(sought)
                and last[-1].number - last[0].number == len(sought) - 1
                and all(
                    entry.at == at and canonical(entry.body) == body for entry, (at, body) in zip(last, sought, strict=True)
                )
            ):
                return True
        cursor = page.next_cursor
        if cursor is None:
            return False


def canonical(body: Mapping[str, Any] | bytes) -> bytes:
    """`body` as canonical JSON; bytes are that already.

    Raises: BadMessage when it is no JSON tree.
    """
    if isinstance(body, bytes):
        return body
    try:
        return orjson.dumps(dict(body), option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError) as fault:
        raise BadMessage(
            f"this cannot be written to the journal: {fault}", mend="write JSON: texts, numbers, lists, objects"
        ) from fault


def vetted_stream(name: str) -> str:
    """`name`, when it can be a stream's.

    Raises: BadMessage.
    """
    if not _STREAM.fullmatch(name):
        raise BadMessage(
            f"`{name}` is no name of a journal's stream", mend="use lower-case letters, digits and `-`, at most 64"
        )
    return name


def digest(previous: str, participant: str, stream: str, number: int, at: datetime, body: bytes) -> str:
    """The digest of an entry with the canonical `body`."""
    micros = (at - _EPOCH) // _MICROSECOND
    head = f"{previous}\n{participant}\n{stream}\n{number}\n{micros}\n"
    return hashlib.sha256(head.encode("utf-8", "surrogatepass") + body).hexdigest()


async def verify(journal: Journal, participant: str, stream: str, *, noted: Link | None = None) -> Verdict:
    """Whether the stream is whole, entry by entry; `noted` is a link that somebody noted earlier and that must still be in it."""
    chain = await journal.chain(participant, stream)
    if chain is None:
        fault = "the stream is gone, and there was an entry once" if noted is not None and noted.number else ""
        return Verdict(checked=0, last=BEGINNING, fault=fault)
    last, checked, cursor = chain.before, 0, None
    fault = _differs(last, noted)
    while not fault and last.number < chain.last.number:
        page = await journal.page(participant, stream, cursor=cursor, limit=1000)
        for entry in page.items:
            if fault := _fault(entry, last, participant, stream):
                break
            last, checked = Link(number=entry.number, sha256=entry.sha256), checked + 1
            if fault := _differs(last, noted) or _differs(last, chain.last):
                break
        cursor = page.next_cursor
        if not fault and cursor is None and last.number < chain.last.number:
            fault = f"entry {last.number + 1} and what follows it up to {chain.last.number} are gone"
    if not fault and noted is not None and noted.number > last.number:
        fault = f"entry {noted.number} was noted, and the stream ends at {last.number}"
    return Verdict(checked=checked, last=last, fault=fault)


def _differs(found: Link, expected: Link | None) -> str:
    if expected is None or found.number != expected.number or found.sha256 == expected.sha256:
        return ""
    return f"entry {found.number} has the digest {found.sha256}, and {expected.sha256} was noted"


def _fault(entry: Entry, last: Link, participant: str, stream: str) -> str:
    """What is wrong with `entry` behind `last`; empty when nothing is."""
    if entry.number != last.number + 1:
        return f"entry {last.number + 1} is missing: entry {entry.number} stands in its place"
    if entry.previous != last.sha256:
        return f"entry {entry.number} does not follow the one before it"
    if entry.sha256 != digest(last.sha256, participant, stream, entry.number, entry.at, canonical(entry.body)):
        return f"entry {entry.number} is not what was written"
    return ""
