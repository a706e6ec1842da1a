"""Catalogues: what callers see of ours, page by page, and what peers offer us.

Datasets are described one by one; one that cannot be described never breaks the rest. Who sees an offer is the access policy's
matter (`seeing.py`), and what a page is made of that of `pages.py`.
Source: Dataspace Protocol 2025-1, Catalog Protocol and its HTTPS binding.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

from connector.controlplane.describing import Describing
from connector.controlplane.offerings import Offerings
from connector.controlplane.pages import CatalogPage, Pages, described, everything, service_of, window_of
from connector.controlplane.participants import Participants
from connector.controlplane.peers import Peers
from connector.controlplane.policy import Judge
from connector.dsp import catalog as shapes
from connector.dsp import messages as m
from connector.dsp import wire
from connector.dsp.process import below
from connector.errors import BadMessage, NotFound, PeerAnswer, PeerMessage, TooLarge
from connector.odrl import explain
from connector.outbound.links import next_link
from connector.ports.clock import Clock
from connector.ports.identity import Caller

V = TypeVar("V", shapes.CatalogView, shapes.DatasetView)
_MOST_PAGES = 10_000
_MOST_BYTES = 256 << 20
"""Of all pages of a peer together: what is gathered is kept in memory as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerCatalog:
    """A peer's whole catalogue."""

    tree: dict[str, Any]
    """The peer's document, the datasets of all pages in one."""
    base: str
    """The base address that answered: what a negotiation goes to."""
    pages: int
    warnings: tuple[str, ...] = ()
    """Datasets that could not be read, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerDataset:
    """One dataset of a peer."""

    tree: dict[str, Any]
    """The description as the peer wrote it."""
    base: str
    """The base address that answered: what a negotiation goes to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visibility:
    """Whether somebody would see an offer, and why not."""

    offer: str
    definition: str
    access_policy: str | None
    """None: every proven caller sees it."""
    is_visible: bool
    reasons: tuple[str, ...]


class Catalogs:
    """The catalogues of all contexts."""

    def __init__(
        self, participants: Participants, offerings: Offerings, describing: Describing, judge: Judge, peers: Peers, clock: Clock
    ) -> None:
        self._participants = participants
        self._offerings = offerings
        self._describing = describing
        self._judge = judge
        self._peers = peers
        self._clock = clock
        self._pages = Pages()

    # --- ours

    async def answer(
        self, participant: str, caller: Caller, message: m.CatalogRequestMessage, *, cursor: str | None = None
    ) -> CatalogPage:
        """The page of the catalogue that `caller` may see.

        Raises: NotFound, UnsupportedFilter, BadMessage for a cursor that is none of ours.
        """
        context = await self._participants.context(participant)
        shelf = await self._offerings.shelf(participant)
        about = await self._describing.published(participant)
        window = window_of(message, cursor, context.page_size)
        outcomes = self._judge.seeing.outcomes(shelf.by_access, caller.id, caller.claims, self._clock.now(), context)
        return self._pages.page(context, shelf, outcomes, window, about)

    async def dataset(self, participant: str, caller: Caller, id_: str) -> bytes:
        """The description of one dataset, with the offers that `caller` may see.

        Raises: NotFound, also when there is no offer for the caller.
        """
        context = await self._participants.context(participant)
        item = (await self._offerings.shelf(participant)).items.get(id_)
        offers = item.terms if item is not None else ()
        terms = self._judge.seeing.visible(offers, caller.id, caller.claims, self._clock.now(), context)
        if item is None or not terms:
            raise NotFound("there is no such dataset", where=id_, mend="take ids from a fresh catalogue")
        return shapes.encode(shapes.dataset(service_of(context), described(item, terms)))

    async def own(self, participant: str) -> dict[str, Any]:
        """The whole catalogue as its operator sees it: every offer, whoever may see it."""
        context = await self._participants.context(participant)
        shelf = await self._offerings.shelf(participant)
        datasets = [described(item, terms) for item, terms in everything(shelf)]
        about = await self._describing.published(participant)
        return {**shapes.catalog(service_of(context), datasets), **(about.members if about is not None else {})}

    async def visibility(self, participant: str, dataset: str, party: str) -> tuple[Visibility, ...]:
        """For each offer of a dataset: whether `party` would see it now, by what is known of it, and the reasons where not.

        Raises: NotFound, with what keeps the dataset from being offered where that is the reason.
        """
        context = await self._participants.context(participant)
        shelf = await self._offerings.shelf(participant)
        item = shelf.items.get(dataset)
        if item is None:
            named = [fault for fault in shelf.faults if f"`{dataset}`" in fault]
            known = "no contract definition offers it" if dataset in shelf.assets else "there is no asset of this id"
            raise NotFound("; ".join(named) or known, where=dataset, mend="see the asset and the contract definitions")
        claims, now = await self._peers.claims_of(participant, party), self._clock.now()
        found: list[Visibility] = []
        for terms in item.terms:
            decision = self._judge.seeing.access(terms, party, claims, now, context)
            is_visible = decision is None or decision.is_permitted
            reasons = explain.reasons(decision) if decision is not None and not is_visible else ()
            definition = terms.definition
            found.append(
                Visibility(
                    offer=terms.offer_id,
                    definition=definition.id,
                    access_policy=definition.access_policy,
                    is_visible=is_visible,
                    reasons=reasons,
                )
            )
        return tuple(found)

    # --- theirs

    async def of_peer(
        self, participant: str, *, address: str, peer: str | None, filter_: tuple[Any, ...] = (), limit: int | None = None
    ) -> PeerCatalog:
        """A peer's catalogue, all pages of it, or the first `limit` datasets.

        Raises: PeerError of every kind, AddressRefused, NotFound for an unknown participant.
        """
        await self._participants.context(participant)
        base = await self._peers.base(address)
        body = wire.encode(m.CatalogRequestMessage(filter=filter_))
        url, method = f"{base}/catalog/request", "POST"
        tree: dict[str, Any] = {}
        datasets: list[Any] = []
        warnings: list[str] = []
        seen: set[str] = set()
        pages = size = 0
        while True:
            seen.add(url)
            try:
                answer = await self._peers.ask(method, url, body, participant=participant, peer=peer)
            except PeerAnswer as fault:
                if method != "GET" or fault.answer_status not in (404, 405, 501):
                    raise
                # the standard leaves the method of following pages open
                answer = await self._peers.ask("POST", url, body, participant=participant, peer=peer)
            view = await _read(answer.body, url, "catalogue", shapes.read_catalog, shapes.read_foreign_catalog)
            pages, size = pages + 1, size + len(answer.body)
            tree = tree or dict(view.tree)
            datasets += [dataset.tree for dataset in view.datasets]
            warnings += view.warnings
            following = next_link(answer.headers.get("link", ""))
            if following is None or (limit is not None and len(datasets) >= limit):
                break
            if pages >= _MOST_PAGES or size >= _MOST_BYTES:
                warnings.append(f"there are more datasets: this is what {pages} pages of {size} bytes hold")
                break
            before, url, method = url, urljoin(url, following), "GET"
            if url in seen:
                warnings.append(f"the peer's pages run in a circle at {url}")
                break
            if urlsplit(url)[:2] != urlsplit(before)[:2]:
                # what we show this peer to prove ourselves is for its host alone
                warnings.append(f"the next page is elsewhere and was not asked for: {url}")
                break
        tree["dataset"] = datasets if limit is None else datasets[:limit]
        return PeerCatalog(tree=tree, base=base, pages=pages, warnings=tuple(warnings))

    async def dataset_of_peer(self, participant: str, *, address: str, peer: str | None, id_: str) -> PeerDataset:
        """One dataset of a peer, asked for by its id.

        Raises: as `of_peer`; NotFound when the peer does not offer it to us.
        """
        await self._participants.context(participant)
        base = await self._peers.base(address)
        url = below(base, "catalog", "datasets", id_)
        try:
            answer = await self._peers.ask("GET", url, None, participant=participant, peer=peer)
        except PeerAnswer as fault:
            if fault.answer_status != 404:
                raise
            raise NotFound(f"the peer does not offer `{id_}` to us", where=url, mend="take ids from its catalogue") from fault
        view = await _read(answer.body, url, "dataset", shapes.read_dataset, shapes.read_foreign_dataset)
        if view.id != id_:
            raise PeerMessage(f"the peer answered with the dataset `{view.id}`", where=url, mend="tell the peer")
        return PeerDataset(tree=view.tree, base=base)


async def _read(body: bytes, url: str, what: str, read: Callable[[bytes], V], read_foreign: Callable[[bytes], V]) -> V:
    try:
        try:
            return read(body)
        except wire.ForeignContext:
            # expansion is slow: not in the event loop
            return await asyncio.to_thread(read_foreign, body)
    except (BadMessage, TooLarge) as fault:
        raise PeerMessage(f"the peer's {what} cannot be read: {fault}", where=url) from fault
