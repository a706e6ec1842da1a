"""A contract about a dataset of a peer: the one that there is, or a new one.

What lives here: `Obtaining`. A live agreement for the same dataset, peer, purpose and, where terms are named, the same terms is given
back; else a negotiation about it that is under way is joined; else one begins. So whoever asks again, or twice at once, asks for the
same thing; of several replicas that are asked at once each may begin one. What does not: negotiating (`negotiation.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final
from weakref import WeakValueDictionary

from connector.controlplane.cases import Case
from connector.controlplane.catalog import Catalogs
from connector.controlplane.decisions import AGREEMENT_ENDED
from connector.controlplane.events import Events
from connector.controlplane.negotiation import Negotiations
from connector.controlplane.participants import Participants
from connector.controlplane.policy import Judge
from connector.controlplane.process import new_urn
from connector.controlplane.terms import NegotiationWish
from connector.controlplane.usage import Usages
from connector.dsp import transfer_opening as openings
from connector.dsp.negotiation import Agreement, Negotiation
from connector.dsp.tables import Kind, Role, State
from connector.dsp.transfer_opening import TransferOpening
from connector.errors import AddressRefused, NotFound, PeerError, PolicyError, Unreachable
from connector.odrl import canonical, jsonld
from connector.odrl.enforce import SUPPLIED
from connector.odrl.truth import Stage
from connector.ports.clock import Clock
from connector.ports.store import Filter, Store

_LOOK_AGAIN: Final = timedelta(seconds=1)
_SETTLED: Final = (State.FINALIZED, State.TERMINATED)
_RECENT: Final = 100
"""Negotiations among which one under way is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Obtained:
    """What came of it."""

    agreement: Agreement | None
    """None as long as there is none."""
    negotiation: Negotiation | None
    """The negotiation that was begun or joined; None when there was an agreement already."""


class Obtaining:
    """Gets or negotiates contracts, as consumer."""

    def __init__(
        self,
        store: Store,
        participants: Participants,
        catalogs: Catalogs,
        negotiations: Negotiations,
        judge: Judge,
        usages: Usages,
        events: Events,
        clock: Clock,
    ) -> None:
        self._store = store
        self._participants = participants
        self._catalogs = catalogs
        self._negotiations = negotiations
        self._judge = judge
        self._usages = usages
        self._events = events
        self._clock = clock
        self._beginning: WeakValueDictionary[tuple[str, str, str], asyncio.Lock] = WeakValueDictionary()
        """By participant, peer and dataset: kept as long as somebody begins there."""

    async def obtain(self, participant: str, wish: NegotiationWish, *, wait: timedelta) -> Obtained:
        """The agreement, as soon as there is one; what there is when `wait` is over, or nothing further happens by itself.

        Raises: as `Negotiations.start`; NotFound when the peer does not offer the dataset to us, or several offers and none is named.
        """
        if (found := await self.live(participant, wish)) is not None:
            return Obtained(agreement=found, negotiation=None)
        begun = await self._under_way(participant, wish) or await self._begun(participant, wish)
        if isinstance(begun, Agreement):
            return Obtained(agreement=begun, negotiation=None)
        negotiation = await self._settled(participant, begun, wait)
        agreement = None
        if negotiation.state is State.FINALIZED and negotiation.agreement_id is not None:
            agreement = await self._store.agreement(participant, negotiation.agreement_id)
        return Obtained(agreement=agreement, negotiation=negotiation)

    async def _begun(self, participant: str, wish: NegotiationWish) -> Negotiation | Agreement:
        """A new negotiation, unless another call has begun one since we looked, or got its agreement already."""
        terms = wish.offer if wish.offer is not None else await self._offer(participant, wish)
        place = participant, wish.peer, wish.dataset
        async with self._beginning.setdefault(place, asyncio.Lock()):
            # INVARIANT: what is under way is looked for before what it ends in: one that ends meanwhile is found as its agreement
            found = await self._under_way(participant, wish) or await self.live(participant, wish)
            return found or await self._negotiations.start(participant, replace(wish, offer=terms))

    async def live(self, participant: str, wish: NegotiationWish) -> Agreement | None:
        """The newest agreement that fits, has not ended, and whose own terms would let a transfer begin now; None when there is none."""
        context = await self._participants.context(participant)
        filter_ = Filter(role=Role.CONSUMER, peer=wish.peer, dataset=wish.dataset)
        cursor: str | None = None
        while True:
            page = await self._store.agreements(participant, filter_, cursor=cursor)
            for one in page.items:
                if one.ended_at is None and one.purpose == wish.purpose and _same(one.policy, wish.offer):
                    case = Case(context=context, agreement=one, claims={}, book=await self._usages.book(one))
                    if self._is_good(case) and not await self._ended_there(one):
                        return one
            cursor = page.next_cursor
            if cursor is None:
                return None

    async def _ended_there(self, agreement: Agreement) -> bool:
        """Whether the provider has said with the last transfer that it has ended the agreement."""
        page = await self._store.processes(Kind.TRANSFER, agreement.participant, Filter(agreement_id=agreement.id), limit=1)
        return any(one.state is State.TERMINATED and one.code == AGREEMENT_ENDED for one in page.items)

    def _is_good(self, case: Case) -> bool:
        agreement, now = case.agreement, self._clock.now()
        opening = TransferOpening(
            participant=agreement.participant,
            pid=new_urn(),
            message_id=new_urn(),
            peer=agreement.peer,
            peer_address=agreement.peer_address,
            callback=case.context.address,
            agreement_id=agreement.id,
            dataset=agreement.dataset,
            format="HttpData-PULL",
            purpose=agreement.purpose,
        )
        try:
            terms = self._judge.terms_of(agreement, SUPPLIED.union(case.context.environment))
        except PolicyError:
            return False
        process = openings.begin(opening, now).process
        return self._judge.on_agreement(terms, process, case, now, Stage.TRANSFER, also=1, is_noted=False).is_permitted

    async def _under_way(self, participant: str, wish: NegotiationWish) -> Negotiation | None:
        filter_ = Filter(role=Role.CONSUMER, peer=wish.peer, dataset=wish.dataset)
        page = await self._store.processes(Kind.NEGOTIATION, participant, filter_, limit=_RECENT)
        for one in page.items:
            if (
                isinstance(one, Negotiation)
                and not one.is_ended
                and one.purpose == wish.purpose
                and _same(one.offer, wish.offer)
            ):
                return one
        return None

    async def _offer(self, participant: str, wish: NegotiationWish) -> Mapping[str, Any]:
        offers = [one for one in _many(await self._described(participant, wish), "hasPolicy") if isinstance(one, Mapping)]
        fitting = [one for one in offers if wish.offer_id in (None, one.get("@id"))]
        if len(fitting) == 1:
            return fitting[0]
        named = ", ".join(f"`{one.get('@id')}`" for one in offers) or "none"
        raise NotFound(
            f"the dataset has {len(fitting)} offers that fit", where="offer_id", mend=f"name one of its offers: {named}"
        )

    async def _described(self, participant: str, wish: NegotiationWish) -> Mapping[str, Any]:
        """The dataset as the peer describes it to us now."""
        try:
            found = await self._catalogs.dataset_of_peer(participant, address=wish.address, peer=wish.peer, id_=wish.dataset)
            return found.tree
        except (Unreachable, AddressRefused):
            raise
        except (NotFound, PeerError):
            # not every connector answers for one dataset
            whole = await self._catalogs.of_peer(participant, address=wish.address, peer=wish.peer)
        for tree in _many(whole.tree, "dataset"):
            if isinstance(tree, Mapping) and tree.get("@id") == wish.dataset:
                return tree
        raise NotFound(f"the peer does not offer `{wish.dataset}` to us", where="dataset", mend="take ids from its catalogue")

    async def _settled(self, participant: str, negotiation: Negotiation, wait: timedelta) -> Negotiation:
        began = self._clock.now()
        until = began + wait
        with self._events.bell() as bell:
            while True:
                negotiation = await self._negotiations.get(participant, negotiation.pid)
                now = self._clock.now()
                if negotiation.state in _SETTLED or negotiation.hold is not None or not began <= now < until:
                    return negotiation
                await self._clock.wait_until(min(until, now + _LOOK_AGAIN), bell)


def _same(policy: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> bool:
    """Whether the rules of two policies are the same; without wanted terms any are."""
    if wanted is None:
        return True
    try:
        return canonical.same(jsonld.read(policy, "agreement"), jsonld.read(wanted, "offer"))
    except PolicyError:
        return False


def _many(tree: Mapping[str, Any], name: str) -> list[Any]:
    """The values of a property, under its bare name or with the prefix that the standard's context gives it."""
    prefix = {"hasPolicy": "odrl", "dataset": "dcat"}[name]
    found = tree.get(name, tree.get(f"{prefix}:{name}", []))
    return found if isinstance(found, list) else [found]
