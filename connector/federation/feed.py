"""Change feeds between catalogues: what has changed since a number, so that a catalogue of catalogues follows instead of crawling.

What lives here: the page of a feed as we write it, and reading one of another catalogue, up to its end or a bound. What does not: the
record behind it, and the address it stands at (`web/catalog`).

    {"participantId": ID, "sequence": 7, "hasMore": false,
     "changes": [{"sequence": 7, "origin": ID, "id": ID, "endpoint": URL, "via": [ID], "seenAt": TIME, "dataset": {...}},
                 {"sequence": 6, "origin": ID, "id": ID, "gone": true}]}

A reader keeps the last number and asks for what follows it. One that was away for so long that removals are forgotten gets 410, and
begins again from 0. The origin's description comes unchanged, signatures in it too; each catalogue on the way adds its name to `via`,
and leaves out what already names it: so nothing goes round in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from connector import strict
from connector.errors import BadMessage, Gone, PeerAnswer, PeerMessage, TooLarge
from connector.federation.judging import Judge, judged
from connector.federation.looking import MOST_TOLD, Looked
from connector.federation.reading import entry_of, tree_of
from connector.ports.catalog import MAX_HOPS, Change, Entry, MemberRow, Report
from connector.ports.peers import Peers

FEED_PROPERTY: Final = "https://w3id.org/kontor/ns/feed"
"""In a catalogue's own document: where its feed is."""
PAGE: Final = 500
_MOST_BYTES: Final = 16 << 20
_MOST_CHANGES: Final = 50_000
"""In one look; the next one goes on."""
_LIMITS: Final = strict.Limits(max_bytes=_MOST_BYTES)


def page(own_id: str, changes: Sequence[Change], limit: int, after: int) -> bytes:
    """A page of our feed; `changes` are at most `limit` and begin after the number `after`."""
    rows: list[dict[str, Any]] = []
    for change in changes:
        origin, id_ = change.key
        row: dict[str, Any] = {"sequence": change.sequence, "origin": origin, "id": id_}
        if change.product is None:
            rows.append({**row, "gone": True})
            continue
        entry = change.product.entry
        seen = entry.origin_seen_at or change.product.seen_at
        more = {"endpoint": entry.endpoint, "via": entry.via, "seenAt": seen.isoformat(), "dataset": tree_of(change.product)}
        rows.append({**row, **more})
    last = changes[-1].sequence if changes else after
    return orjson.dumps({"participantId": own_id, "sequence": last, "hasMore": len(changes) == limit, "changes": rows})


class Following:
    """Follows the feeds of other catalogues on behalf of `participant`, whose id is `own_id`."""

    def __init__(self, peers: Peers, judge: Judge, *, participant: str, own_id: str) -> None:
        self._peers = peers
        self._judge = judge
        self._participant = participant
        self._own_id = own_id

    async def look(self, row: MemberRow, now: datetime) -> Looked | None:
        """What has changed in the catalogue; None when nothing has.

        Raises: KontorError; PeerAnswer with 404 where there is no feed: it is no catalogue of ours, and can be looked at as others are.
        """
        after = int(row.validators.get("sequence") or 0)
        is_whole = after == 0
        entries: dict[tuple[str, str], Entry] = {}
        gone: dict[tuple[str, str], None] = {}
        left_out: list[str] = []
        while True:
            url = f"{row.address.rstrip('/')}/feed?after={after}&limit={PAGE}"
            try:
                answer = await self._peers.ask(
                    "GET", url, None, participant=self._participant, peer=row.id, max_bytes=_MOST_BYTES
                )
            except PeerAnswer as fault:
                if fault.answer_status == Gone.status and after:
                    entries, gone, after, is_whole = {}, {}, 0, True
                    continue
                raise
            tree = _page(answer.body, url, row.id)
            for change in tree["changes"]:
                try:
                    self._take(change, row.id, entries, gone)
                    await self._prove(change, entries, gone)
                except BadMessage as fault:
                    left_out.append(f"left out a change: {fault}")
            if not tree["hasMore"] or tree["sequence"] <= after:
                after = max(after, tree["sequence"])
                break
            after = tree["sequence"]
            if len(entries) + len(gone) >= _MOST_CHANGES:
                is_whole = False
                break
        if not entries and not gone and not is_whole and not left_out:
            return None
        report = Report(at=now, is_good=True, entries=len(entries), left_out=tuple(left_out[:MOST_TOLD]))
        return Looked(
            entries=tuple(entries.values()),
            report=report,
            validators={"sequence": after},
            is_partial=not is_whole,
            gone=tuple(gone),
        )

    def _take(self, change: Any, member: str, entries: dict[tuple[str, str], Entry], gone: dict[tuple[str, str], None]) -> None:
        if not isinstance(change, dict) or not isinstance(change.get("origin"), str) or not isinstance(change.get("id"), str):
            raise BadMessage("a change names no `origin` and `id`", where="changes", mend="send both as texts")
        key = (change["origin"], change["id"])
        via, dataset, endpoint = change.get("via"), change.get("dataset"), change.get("endpoint")
        if not change.get("gone"):
            if not isinstance(via, list) or not all(isinstance(one, str) for one in via):
                raise BadMessage(f"`via` of `{key[1][:100]}` is no list of texts", where="changes")
            if not isinstance(dataset, dict) or not isinstance(endpoint, str) or dataset.get("@id") != key[1]:
                raise BadMessage(f"`{key[1][:100]}` has no dataset or endpoint", where="changes")
            way = tuple(via) if key[0] == member else (*via, member)
            # what came from us, or through us, is not news to us
            if self._own_id not in (*way, key[0]) and len(way) <= MAX_HOPS:
                seen = change.get("seenAt")
                entries[key] = entry_of(
                    dataset, origin=key[0], endpoint=endpoint, via=way, origin_seen_at=_moment(seen) if way else None
                )
                try:
                    judged(dataset)
                except BadMessage:
                    # what was good before it changed is not what is offered now
                    _drop(key, entries, gone)
                    raise
                gone.pop(key, None)
                return
        _drop(key, entries, gone)

    async def _prove(self, change: Any, entries: dict[tuple[str, str], Entry], gone: dict[tuple[str, str], None]) -> None:
        """Judge the signature of the origin, which no catalogue on the way can have made."""
        key, dataset = (change["origin"], change["id"]), change.get("dataset")
        if key not in entries or not isinstance(dataset, dict):
            return
        try:
            entries[key], _ = await self._judge.proven(entries[key], dataset)
        except BadMessage:
            _drop(key, entries, gone)
            raise


def _drop(key: tuple[str, str], entries: dict[tuple[str, str], Entry], gone: dict[tuple[str, str], None]) -> None:
    entries.pop(key, None)
    gone[key] = None


def _moment(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def _page(body: bytes, url: str, member: str) -> dict[str, Any]:
    try:
        tree = strict.scan(body, _LIMITS)
    except (BadMessage, TooLarge) as fault:
        raise PeerMessage(f"the feed cannot be read: {fault}", where=url) from fault
    is_feed = isinstance(tree, dict) and isinstance(tree.get("changes"), list) and type(tree.get("sequence")) is int
    if not is_feed or type(tree.get("hasMore")) is not bool:
        raise PeerMessage("this is no change feed", where=url, mend="list the member as a connector, or mend its address")
    if tree.get("participantId") != member:
        said = strict.shown(tree.get("participantId"))
        raise PeerMessage(f"the feed is that of {said}, and the member is `{member}`", where=url)
    return {**tree}
