"""One look at a member's catalogue: all its pages and what is nested in it, or the word that nothing has changed.

What lives here: `Looking`, its bounds, and what becomes of a description that cannot be taken. What does not: when a member is looked
at (`crawl.py`), change feeds of other catalogues (`feed.py`).

1. With entity tags of the last look: ask for each page whether it is still that one; when all are, nothing has changed.
2. Gather the pages, the first by the protocol's request, the others by their links.
3. Take each dataset, nested catalogues too; leave out what is beyond the bounds, with its place and reason.
4. Follow catalogues that are only linked, each address once, to a bounded depth. When one of them does not answer, the look is a
   partial one: it takes nothing away.
5. Judge signatures, and what the member says of itself.
A member that runs a connector speaks for itself alone; one that is listed as a catalogue speaks for others, and its name is kept on
the way.
Source: Dataspace Protocol 2025-1, Catalog Protocol; RFC 9110, sections 8.8 and 13; RFC 8288.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from connector.dsp import catalog as shapes
from connector.dsp import messages as m
from connector.dsp import wire
from connector.dsp.catalog import CatalogView, DatasetView
from connector.dsp.process import below
from connector.errors import BadMessage, KontorError, Overloaded, PeerAnswer, PeerMessage, TooLarge
from connector.federation import origins
from connector.federation.judging import Judge, Round, judged
from connector.federation.reading import MAX_ADDRESS, Tree, entry_of, kept
from connector.outbound.links import next_link
from connector.ports.catalog import ITSELF, Entry, MemberKind, MemberRow, Part, Report
from connector.ports.peers import Peers

MOST_TOLD: Final = 100
_IN_A_THREAD_BYTES: Final = 128 << 10
_NOT_CONDITIONAL: Final = frozenset({400, 404, 405, 501})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much one member may be."""

    page_bytes: int = 16 << 20
    whole_bytes: int = 256 << 20
    fair_bytes: int = 16 << 20
    """So much a member may always be, whatever is read of others at the moment."""
    together_bytes: int = 512 << 20
    """Of all looks that are under way; whoever is larger than fair comes again when there is more room."""
    pages: int = 2_000
    datasets: int = 200_000
    offers_bytes: int = 32 << 20
    """Of rules that differ, together: all of them are in memory for whoever asks what may be used."""
    nested: int = 500
    """Catalogues that are only linked."""
    depth: int = 4
    """Links from catalogue to catalogue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a look found."""

    entries: tuple[Entry, ...]
    report: Report
    validators: dict[str, Any]
    is_partial: bool
    gone: tuple[tuple[str, str], ...] = ()
    part: Part | None = None
    is_cut: bool = False
    """There is more: the next look goes on, at once."""


@dataclass(slots=True, kw_only=True)
class _Look:
    """A look under way."""

    row: MemberRow
    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pages: list[list[str]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    size: int = 0
    terms: set[str] = field(default_factory=set)
    """Digests of the rules taken so far, which have so many bytes together."""
    offers_bytes: int = 0
    is_partial: bool = False
    signed: list[tuple[str, str]] = field(default_factory=list)
    """Keys of the entries whose descriptions carry a signature."""
    catalog: Tree | None = None
    """The member's own catalogue, its first page."""
    round_: Round = field(default_factory=Round)

    def note(self, text: str) -> None:
        if text and len(self.notes) < MOST_TOLD:
            self.notes.append(text)


class Looking:
    """Looks at members on behalf of the participant `participant`, whose id is `own_id`."""

    def __init__(self, peers: Peers, judge: Judge, *, participant: str, own_id: str, bounds: Bounds) -> None:
        self._peers = peers
        self._judge = judge
        self._participant = participant
        self._own_id = own_id
        self._bounds = bounds
        self._under_way_bytes = 0

    async def look(self, row: MemberRow, now: datetime) -> Looked | None:
        """What the member's catalogue holds; None when nothing has changed since the last good look.

        Raises: KontorError with the reason that goes into the member's report.
        """
        look = _Look(row=row)
        base = str(row.validators.get("base") or "") or await self._peers.base(row.address)
        # 1.
        if await self._is_unchanged(look, row.validators.get("pages") or []):
            return None
        # 2. to 4.
        try:
            await self._gather(look, base, row.id, 0)
        finally:
            self._under_way_bytes -= look.size
        # 5.
        await self._prove(look)
        await self._describe(look)
        report = Report(
            at=now,
            is_good=True,
            entries=sum(id_ != ITSELF for _, id_ in look.entries),
            left_out=tuple(look.left_out[:MOST_TOLD]),
            notes=tuple(look.notes[:MOST_TOLD]),
        )
        return Looked(
            entries=tuple(look.entries.values()),
            report=report,
            validators={"base": base} if look.is_partial else {"base": base, "pages": look.pages},
            is_partial=look.is_partial,
        )

    async def look_at(self, row: MemberRow, ids: Sequence[str], now: datetime) -> Looked:
        """What the member now says about these of its datasets.

        Raises: KontorError.
        """
        look = _Look(row=row)
        base = str(row.validators.get("base") or "") or await self._peers.base(row.address)
        gone: list[tuple[str, str]] = []
        for id_ in ids:
            url = below(base, "catalog", "datasets", id_)
            try:
                answer = await self._ask("GET", url, None, row.id)
            except PeerAnswer as fault:
                if fault.answer_status != 404:
                    raise
                gone.append((row.id, id_))
                continue
            view = await self._read(answer.body, url, shapes.read_dataset, shapes.read_foreign_dataset)
            if view.id != id_:
                raise PeerMessage("the member answered with another dataset", where=url)
            self._take(look, view, row.id, view.endpoint_url or base, "dataset")
        await self._prove(look)
        gone += [(row.id, id_) for id_ in ids if (row.id, id_) not in look.entries and (row.id, id_) not in gone]
        before = row.report or Report(at=now, is_good=True)
        report = Report(
            at=now,
            is_good=True,
            entries=before.entries,
            left_out=(*look.left_out, *before.left_out)[:MOST_TOLD],
            notes=(*look.notes, *before.notes)[:MOST_TOLD],
        )
        return Looked(
            entries=tuple(look.entries.values()),
            report=report,
            validators=dict(row.validators),
            is_partial=True,
            gone=tuple(gone),
        )

    async def _is_unchanged(self, look: _Look, pages: Sequence[Sequence[str]]) -> bool:
        """True when every page is still the one we know."""
        if not pages or not all(tag for _, tag, _ in pages):
            return False
        for url, tag, digest in pages:
            try:
                answer = await self._ask("GET", url, None, look.row.id, {"if-none-match": tag})
            except PeerAnswer as fault:
                if fault.answer_status == 304:
                    continue
                if fault.answer_status in _NOT_CONDITIONAL:
                    return False
                raise
            if hashlib.sha256(answer.body).hexdigest() != digest:
                return False
        return True

    async def _gather(self, look: _Look, base: str, participant: str, depth: int) -> None:
        """All pages of the catalogue at `base`, and what hangs on it."""
        url, method = f"{base}/catalog/request", "POST"
        body = wire.encode(m.CatalogRequestMessage())
        linked: list[tuple[str, str]] = []
        while True:
            if url in look.seen:
                look.notes.append(f"catalogue pages run in a circle at {url[:200]}")
                return
            look.seen.add(url)
            answer = await self._ask(method, url, body if method == "POST" else None, participant)
            self._weigh(look, len(answer.body))
            if look.size > self._bounds.whole_bytes or len(look.seen) > self._bounds.pages:
                raise PeerMessage(
                    f"the catalogue has more than {self._bounds.whole_bytes} bytes or {self._bounds.pages} pages",
                    where=url,
                    mend="offer less, or split it among several participants",
                )
            look.pages.append([url, answer.headers.get("etag", ""), hashlib.sha256(answer.body).hexdigest()])
            view = await self._read(answer.body, url, shapes.read_catalog, shapes.read_foreign_catalog)
            look.left_out += view.warnings
            look.catalog = look.catalog or view.tree
            linked += self._contents(look, view, participant, base)
            following = next_link(answer.headers.get("link", ""))
            if following is None:
                break
            before, url, method = url, urljoin(url, following), "GET"
            if urlsplit(url)[:2] != urlsplit(before)[:2]:
                look.left_out.append(f"the next page is at another host and was not asked for: {url[:200]}")
                look.is_partial = True
                break
        # 4.
        for address, of in linked:
            await self._follow(look, address, of, depth + 1)

    def _weigh(self, look: _Look, size: int) -> None:
        """Take a page into account.

        Raises: Overloaded when all members together are too much for the moment, and this one is more than its part.
        """
        look.size += size
        self._under_way_bytes += size
        if self._under_way_bytes > self._bounds.together_bytes and look.size > self._bounds.fair_bytes:
            raise Overloaded("other large catalogues are read at the moment", mend="this one is looked at again")

    async def _follow(self, look: _Look, address: str, participant: str, depth: int) -> None:
        if f"{address}/catalog/request" in look.seen:
            look.notes.append(f"a catalogue is linked in a circle: {address[:200]}")
            return
        if depth > self._bounds.depth or len(look.seen) > self._bounds.nested:
            look.left_out.append(f"catalogues are linked too deeply or too often; left out {address[:200]}")
            return
        try:
            await self._gather(look, await self._peers.base(address), participant, depth)
        except KontorError as fault:
            # what hangs on it may still be there: nothing is taken away for this
            look.is_partial = True
            look.left_out.append(f"a linked catalogue cannot be read: {fault}")

    def _contents(self, look: _Look, view: CatalogView, participant: str, base: str) -> Iterator[tuple[str, str]]:
        """Take the datasets of a catalogue and of those inside it; the addresses of those that are only linked, and whose they are."""
        speaks = view.participant_id or participant
        if speaks != look.row.id and look.row.kind is MemberKind.CONNECTOR:
            if view.datasets or view.catalogs or view.links:
                look.left_out.append(
                    f"the catalogue `{view.id[:200]}` speaks for `{speaks[:200]}`, and this member is listed as `{look.row.id}`;"
                    " only a member listed as a catalogue speaks for others"
                )
            return
        if speaks == self._own_id:
            return
        endpoint = view.endpoints[0] if view.endpoints else base
        for dataset in view.datasets:
            self._take(look, dataset, speaks, dataset.endpoint_url or endpoint, view.id)
        for inner in view.catalogs:
            yield from self._contents(look, inner, speaks, endpoint)
            if not inner.datasets and not inner.catalogs:
                for address in dict.fromkeys(inner.links or inner.endpoints):
                    if (inner.participant_id or speaks) != self._own_id:
                        yield address, inner.participant_id or speaks
        for address in dict.fromkeys(view.links):
            yield address, speaks

    def _take(self, look: _Look, view: DatasetView, origin: str, endpoint: str, where: str) -> None:
        """The dataset as an entry, or the reason why not."""
        if len(look.entries) >= self._bounds.datasets:
            raise PeerMessage(f"there are more than {self._bounds.datasets} datasets", where=where, mend="offer less")
        via = () if origin == look.row.id else (look.row.id,)
        try:
            vet_endpoint(endpoint, view.id)
            entry = entry_of(view.tree, origin=origin, endpoint=endpoint, via=via)
            notes = judged(view.tree)
        except BadMessage as fault:
            look.left_out.append(f"left out a data set: {fault}")
            return
        if entry.key in look.entries:
            look.left_out.append(f"`{view.id[:200]}` stands twice; the first one counts")
            return
        if entry.terms not in look.terms:
            if look.offers_bytes + len(entry.offers) > self._bounds.offers_bytes:
                mend = "offer under fewer different policies"
                look.left_out.append(f"left out `{view.id[:200]}`: there are too many different offers already; {mend}")
                return
            look.offers_bytes += len(entry.offers)
            look.terms.add(entry.terms)
        look.entries[entry.key] = entry
        if "proof" in view.tree:
            look.signed.append(entry.key)
        for note in notes:
            look.note(note)

    async def _prove(self, look: _Look) -> None:
        """Judge the signatures; a description with one that proves nothing is left out."""
        for key in look.signed:
            # the keys of a signer are at hand after the first one: others must have their turn all the same
            await asyncio.sleep(0)
            try:
                # read anew: the trees of a large catalogue would be many times as large as its text
                entry = look.entries[key]
                look.entries[key], note = await self._judge.proven(entry, kept(entry), look.round_)
            except BadMessage as fault:
                del look.entries[key]
                look.left_out.append(f"left out a data set: {fault}")
                continue
            look.note(note)

    async def _describe(self, look: _Look) -> None:
        """What the member says of itself."""
        carried, id_ = origins.carried_by(look.catalog or {}), look.row.id
        if not carried:
            return
        try:
            entry, notes, fault = await origins.entry_of(carried, id_, self._judge.prover, look.round_)
        except BadMessage as refused:
            look.left_out.append(f"left out what it says of itself: {refused}")
            return
        look.entries[entry.key] = entry
        if fault:
            look.left_out.append(f"left out what it says of itself: {fault}")
        for note in notes:
            look.note(note)

    async def _ask(self, method: str, url: str, body: bytes | None, peer: str, headers: dict[str, str] | None = None) -> Any:
        return await self._peers.ask(
            method, url, body, participant=self._participant, peer=peer, headers=headers, max_bytes=self._bounds.page_bytes
        )

    async def _read(self, body: bytes, url: str, read: Any, read_foreign: Any) -> Any:
        try:
            try:
                return await _off_the_loop(read, body)
            except wire.ForeignContext:
                return await asyncio.to_thread(read_foreign, body)
        except (BadMessage, TooLarge) as fault:
            raise PeerMessage(f"the catalogue cannot be read: {fault}", where=url) from fault


def vet_endpoint(endpoint: str, id_: str) -> None:
    """Nothing, when a negotiation about `id_` may go there.

    Raises: BadMessage.
    """
    try:
        parts = urlsplit(endpoint)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and len(endpoint) <= MAX_ADDRESS
    except ValueError:
        is_good = False
    if not is_good or not endpoint.isprintable() or " " in endpoint:
        raise BadMessage(f"the endpoint of `{id_[:100]}` is no http(s) address", where="endpoint", mend="name a base address")


async def _off_the_loop(read: Any, body: bytes) -> Any:
    """A large page is read in a thread, so that nobody waits for it."""
    return read(body) if len(body) < _IN_A_THREAD_BYTES else await asyncio.to_thread(read, body)
