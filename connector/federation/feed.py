"""Change feeds between catalogues: what has changed since a number, so that a catalogue of catalogues follows instead of crawling.

What lives here: the page of a feed as we write it, and reading one of another catalogue, up to its end or a bound. What does not: the
record behind it, and the address it stands at (`web/catalog`).

    {"participantId": ID, "epoch": TEXT, "sequence": 7, "hasMore": false,
     "changes": [{"sequence": 7, "origin": ID, "id": ID, "endpoint": URL, "via": [ID], "seenAt": TIME, "dataset": {...}},
                 {"sequence": 6, "origin": ID, "id": ID, "gone": true}],
     "participants": [{"sequence": 5, "origin": ID, "via": [ID], "seenAt": TIME, "selfDescription": {...}, "attestations": [...]},
                      {"sequence": 4, "origin": ID, "gone": true}]}

A reader keeps the last number and asks for what follows it. One that was away for so long that removals are forgotten gets 410, and
begins again from 0; so does one that finds another `epoch`: the record was made anew, and its numbers mean other changes. The origin's
description comes unchanged, signatures in it too; each catalogue on the way adds its name to `via`, and leaves out what already names
it: so nothing goes round in a circle. `participants` is what origins say of themselves, as they said it (`origins.py`). A reader of
before it was told reads over it, and begins again from 0 when it knows it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from connector import strict
from connector.errors import BadMessage, Gone, PeerAnswer, PeerMessage, TooLarge
from connector.federation import origins
from connector.federation.judging import Judge, Round, judged
from connector.federation.looking import MOST_TOLD, Looked, vet_endpoint
from connector.federation.reading import MAX_ID, entry_of, moment_in, tree_of
from connector.ports.catalog import ITSELF, MAX_HOPS, Change, Entry, MemberRow, Part, Report
from connector.ports.peers import Peers

FEED_PROPERTY: Final = "https://w3id.org/kontor/ns/feed"
"""In a catalogue's own document: where its feed is."""
PAGE: Final = 500
_MOST_BYTES: Final = 16 << 20
_MOST_CHANGES: Final = 50_000
"""In one look; the next one goes on."""
_PAGE_BYTES: Final = 8 << 20
"""A page ends there: a reader takes twice as much."""
_MOST_HELD: Final = 2_000_000
"""Products and descriptions of one other catalogue. A feed that never ends would fill the record."""
_LIMITS: Final = strict.Limits(max_bytes=_MOST_BYTES)
_MOST_BEGUN: Final = 3
Key = tuple[str, str]


def page(
    own_id: str, epoch: str, changes: Sequence[Change], limit: int, after: int, silent: Collection[int] = frozenset()
) -> bytes:
    """A page of our feed; `changes` are at most `limit` and begin after the number `after`. Of the products `silent` nothing is told."""
    rows: list[bytes] = []
    themselves: list[bytes] = []
    size, last, is_cut = 0, after, False
    for change in changes:
        if change.number in silent:
            last = change.sequence
            continue
        row = orjson.dumps(_row(change))
        size += len(row)
        if size > _PAGE_BYTES and last != after:
            is_cut = True
            break
        (themselves if change.is_itself else rows).append(row)
        last = change.sequence
    tree = {"participantId": own_id, "epoch": epoch, "sequence": last, "hasMore": is_cut or len(changes) == limit}
    for name, found in (("changes", rows), ("participants", themselves)):
        tree[name] = [orjson.Fragment(row) for row in found]
    return orjson.dumps(tree)


def _row(change: Change) -> dict[str, Any]:
    origin, id_ = change.key
    row: dict[str, Any] = {"sequence": change.sequence, "origin": origin} | ({} if change.is_itself else {"id": id_})
    carried = origins.read(change.product.entry).carried if change.product is not None and change.is_itself else None
    if change.product is None or carried == {}:
        return {**row, "gone": True}
    entry = change.product.entry
    seen = entry.origin_seen_at or change.product.seen_at
    way = {**row, "via": entry.via, "seenAt": seen.isoformat()}
    return {**way, **carried} if carried else {**way, "endpoint": entry.endpoint, "dataset": tree_of(change.product)}


@dataclass(slots=True, kw_only=True)
class _Read:
    """A feed under way."""

    member: str
    now: datetime
    entries: dict[Key, Entry] = field(default_factory=dict)
    gone: dict[Key, None] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    round_: Round = field(default_factory=Round)

    def drop(self, key: Key) -> None:
        self.entries.pop(key, None)
        self.gone[key] = None

    def take(self, entry: Entry) -> None:
        self.entries[entry.key] = entry
        self.gone.pop(entry.key, None)

    def seen_at(self, text: Any) -> datetime | None:
        """When the first catalogue on the way saw something; not later than now, whatever the clocks on the way say."""
        found = moment_in(text) if isinstance(text, str) else None
        return min(found, self.now) if found is not None else None

    def tell(self, text: str) -> None:
        if len(self.told) < MOST_TOLD:
            self.told.append(text)

    def note(self, text: str) -> None:
        if len(self.notes) < MOST_TOLD:
            self.notes.append(text)


class Following:
    """Follows the feeds of other catalogues on behalf of `participant`, whose id is `own_id`."""

    def __init__(
        self, peers: Peers, judge: Judge, *, participant: str, own_id: str, most: int = _MOST_HELD, at_once: int = _MOST_CHANGES
    ) -> None:
        """At most so many entries are taken of one catalogue, and about so many in one look."""
        self._at_once = at_once
        self._most = most
        self._peers = peers
        self._judge = judge
        self._participant = participant
        self._own_id = own_id

    async def look(self, row: MemberRow, now: datetime) -> Looked | None:
        """What has changed in the catalogue; None when nothing has.

        Raises: KontorError; PeerAnswer with 404 where there is no feed: it is no catalogue of ours, and can be looked at as others are.
        """
        epoch: str | None = row.validators.get("epoch")
        after = int(row.validators.get("sequence") or 0) if epoch is not None else 0
        reading: int | None = row.validators.get("reading") if after else None
        is_whole, begun = after == 0, 0
        read = _Read(member=row.id, now=now)
        while True:
            url = f"{row.address.rstrip('/')}/feed?after={after}&limit={PAGE}"
            try:
                answer = await self._peers.ask(
                    "GET", url, None, participant=self._participant, peer=row.id, max_bytes=_MOST_BYTES
                )
            except PeerAnswer as fault:
                if fault.answer_status != Gone.status or not after:
                    raise
                tree = {}
            else:
                tree = _page(answer.body, url, row.id)
                epoch, before = str(tree.get("epoch", ""))[:100], epoch
            if not tree or (after and epoch != before):
                begun += 1
                if begun > _MOST_BEGUN:
                    raise PeerMessage("the feed begins anew again and again", where=url, mend="ask its operator why")
                read, after, is_whole, reading = _Read(member=row.id, now=now), 0, True, None
                continue
            await self._take_page(tree, read)
            held = len(read.entries) + (0 if is_whole else row.entries)
            if held > self._most:
                raise PeerMessage(f"the feed brings more than {self._most:,} entries", where=url, mend="ask its operator why")
            is_end = not tree["hasMore"] or tree["sequence"] <= after
            after = max(after, tree["sequence"])
            if is_end:
                break
            if len(read.entries) + len(read.gone) >= self._at_once:
                # the rest comes with the next looks; what is held and in none of them is there no more
                reading = reading or (int(now.timestamp() * 1e6) if is_whole and row.generation else None)
                is_whole = False
                break
        if not read.entries and not read.gone and not is_whole and not read.told and reading is None:
            return None
        count = sum(id_ != ITSELF for _, id_ in read.entries)
        return Looked(
            entries=tuple(read.entries.values()),
            report=Report(at=now, is_good=True, entries=count, left_out=tuple(read.told), notes=tuple(read.notes)),
            validators={"sequence": after, "epoch": epoch or ""} | ({} if is_end or not reading else {"reading": reading}),
            is_partial=not is_whole,
            gone=tuple(read.gone),
            part=Part(reading=reading, is_last=is_end) if reading else None,
            is_cut=not is_end,
        )

    async def _take_page(self, tree: dict[str, Any], read: _Read) -> None:
        # what origins say of themselves comes first: their products are found under their names
        for row in tree.get("participants", ()):
            try:
                await self._take_itself(row, read)
            except BadMessage as fault:
                read.tell(f"left out what a participant says of itself: {fault}")
        for change in tree["changes"]:
            try:
                await self._take(change, read)
            except BadMessage as fault:
                read.tell(f"left out a change: {fault}")
            # large pages of others must not hold up what is asked here
            await asyncio.sleep(0)

    async def _take(self, change: Any, read: _Read) -> None:
        key, way = self._named(change, read.member, is_itself=False)
        dataset, endpoint = change.get("dataset"), change.get("endpoint")
        if way is not None and (not isinstance(dataset, dict) or not isinstance(endpoint, str) or dataset.get("@id") != key[1]):
            raise BadMessage(f"`{key[1][:100]}` has no dataset or endpoint", where="changes")
        # whatever comes of it: what was good before it changed is not what is offered now
        read.drop(key)
        if way is None:
            return
        seen = read.seen_at(change.get("seenAt")) if way else None
        vet_endpoint(endpoint, key[1])
        entry = entry_of(dataset, origin=key[0], endpoint=endpoint, via=way, origin_seen_at=seen)
        judged(dataset)
        # the signature is that of the origin, which no catalogue on the way can have made
        entry, note = await self._judge.proven(entry, dataset, read.round_)
        if note:
            read.note(note)
        read.take(entry)

    async def _take_itself(self, row: Any, read: _Read) -> None:
        key, way = self._named(row, read.member, is_itself=True)
        read.drop(key)
        if way is None:
            return
        seen = read.seen_at(row.get("seenAt")) if way else None
        entry, notes, fault = await origins.entry_of(row, key[0], self._judge.prover, read.round_, via=way, origin_seen_at=seen)
        read.take(entry)
        for note in notes:
            read.note(f"`{key[0][:100]}`: {note}")
        if fault:
            raise BadMessage(f"`{key[0][:200]}`: {fault}")

    def _named(self, row: Any, member: str, *, is_itself: bool) -> tuple[Key, tuple[str, ...] | None]:
        """What a row is about, and the way that it came; None for the way when it is gone, or none of our business.

        Raises: BadMessage.
        """
        id_ = ITSELF if is_itself else row.get("id") if isinstance(row, dict) else None
        if not isinstance(row, dict) or not isinstance(row.get("origin"), str) or not isinstance(id_, str):
            raise BadMessage("a change names no `origin` and `id`", where="changes", mend="send both as texts")
        key, via = (row["origin"], id_), row.get("via")
        if not row["origin"] or len(row["origin"].encode()) > MAX_ID or bool(id_) == is_itself:
            raise BadMessage("an `origin` or `id` is empty or too long", where="changes")
        if row.get("gone"):
            return key, None
        if not isinstance(via, list) or not all(isinstance(one, str) and 0 < len(one) <= MAX_ID for one in via):
            raise BadMessage(f"`via` of `{(id_ or key[0])[:100]}` is no list of ids", where="changes")
        way = tuple(via) if key[0] == member else (*via, member)
        # what came from us, or through us, is not news to us
        return key, way if self._own_id not in (*way, key[0]) and len(way) <= MAX_HOPS else None


def _page(body: bytes, url: str, member: str) -> dict[str, Any]:
    try:
        tree = strict.scan(body, _LIMITS)
    except (BadMessage, TooLarge) as fault:
        raise PeerMessage(f"the feed cannot be read: {fault}", where=url) from fault
    is_feed = isinstance(tree, dict) and isinstance(tree.get("changes"), list) and type(tree.get("sequence")) is int
    is_feed = is_feed and isinstance(tree.get("participants", []), list)
    if not is_feed or type(tree.get("hasMore")) is not bool:
        raise PeerMessage("this is no change feed", where=url, mend="list the member as a connector, or mend its address")
    if tree.get("participantId") != member:
        said = strict.shown(tree.get("participantId"))
        raise PeerMessage(f"the feed is that of {said}, and the member is `{member}`", where=url)
    return {**tree}
