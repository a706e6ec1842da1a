"""Routes: what a participant leaves with the ledger of data products that it belongs to, and what it reads there beside searches.

Each question shows what proves the participant, to the address that the request may name: whoever may only look asks none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query

from connector.api import ledgers as api
from connector.api.common import Address, Id, Shown
from connector.dsp.process import below
from connector.errors import PeerMessage
from connector.web.operator.keys import Operated
from connector.web.operator.parts import Parts
from connector.web.operator.rooms import room

Catalog = Annotated[Address | None, Query(description="The ledger's address; without it the participant's first catalogue.")]
Peer = Annotated[Id | None, Query(description="The ledger's participant id, where its token depends on it.")]
Left = Annotated[str, Path(max_length=100, description="Its id.")]
Beginning = Annotated[str, Query(min_length=1, max_length=100, description="How the words begin.")]
After = Annotated[int, Query(ge=0, le=1 << 62, description="`sequence` of the news before; 0 for everything that fits.")]
_SEARCHES, _DEMANDS = "api/searches", "api/demands"
_OURS = {"createdAt": "created_at", "hasMore": "has_more"}
"""Names of the ledger, as this API spells them."""
_ONLY_ASKED = frozenset({"sort", "size", "cursor", "facets", "language"})
"""Fields of a search that say how its answer looks, and nothing of what fits."""

M = TypeVar("M", bound=Shown)


def routes(parts: Parts) -> APIRouter:
    """`/catalog/subscriptions` and `/catalog/demands`, below a participant."""
    router = room("catalog", "/participants/{participant}/catalog")

    @router.get("/suggestions")
    async def suggest_words(
        participant: Operated, beginning: Beginning, catalog: Catalog = None, peer: Peer = None
    ) -> api.Suggestions:
        """Words of the ledger that begin so."""
        path = "api/suggest?" + urlencode({"q": beginning})
        return _read(api.Suggestions, await parts.ledgers.asked(participant, "GET", path, address=catalog, peer=peer))

    @router.get("/subscriptions")
    async def list_subscriptions(participant: Operated, catalog: Catalog = None, peer: Peer = None) -> api.Subscriptions:
        """Our saved searches at a ledger."""
        found = await parts.ledgers.asked(participant, "GET", _SEARCHES, address=catalog, peer=peer)
        return _read(api.Subscriptions, found)

    @router.post("/subscriptions", status_code=201)
    async def subscribe(participant: Operated, wanted: api.NewSubscription) -> api.MadeSubscription:
        """Be told of each product that fits a search and comes or changes from now on: by webhook, or when the news are asked for."""
        fields = {name: values for name, values in wanted.fields().items() if name not in _ONLY_ASKED}
        body = {"fields": fields, "webhook": wanted.webhook}
        found = await parts.ledgers.asked(participant, "POST", _SEARCHES, body, address=wanted.catalog, peer=wanted.peer)
        return _read(api.MadeSubscription, found)

    @router.get("/subscriptions/{id}/news")
    async def read_news(participant: Operated, id: Left, after: After, catalog: Catalog = None, peer: Peer = None) -> api.News:
        """What fits a saved search and came or changed after a number."""
        path = f"{below(_SEARCHES, id, 'news')}?after={after}"
        return _read(api.News, await parts.ledgers.asked(participant, "GET", path, address=catalog, peer=peer))

    @router.delete("/subscriptions/{id}", status_code=204)
    async def unsubscribe(participant: Operated, id: Left, catalog: Catalog = None, peer: Peer = None) -> None:
        """Take a saved search away."""
        await parts.ledgers.asked(participant, "DELETE", below(_SEARCHES, id), address=catalog, peer=peer)

    @router.get("/demands")
    async def list_demands(participant: Operated, catalog: Catalog = None, peer: Peer = None) -> api.Demands:
        """What members want and we may see, the latest first: what our products fit says so."""
        found = await parts.ledgers.asked(participant, "GET", _DEMANDS, address=catalog, peer=peer)
        return _read(api.Demands, found)

    @router.post("/demands", status_code=201)
    async def post_demand(participant: Operated, wanted: api.NewDemand) -> api.Demand:
        """Say what we want and do not find, for ninety days: members whose products fit it see it."""
        body = wanted.model_dump(include={"title", "text", "readers"})
        found = await parts.ledgers.asked(participant, "POST", _DEMANDS, body, address=wanted.catalog, peer=wanted.peer)
        return _read(api.Demand, found)

    @router.delete("/demands/{id}", status_code=204)
    async def withdraw_demand(participant: Operated, id: Left, catalog: Catalog = None, peer: Peer = None) -> None:
        """Take a notice away."""
        await parts.ledgers.asked(participant, "DELETE", below(_DEMANDS, id), address=catalog, peer=peer)

    return router


def _read(model: type[M], tree: Mapping[str, Any]) -> M:
    """The ledger's answer in our words.

    Raises: PeerMessage when it is none.
    """
    items = tree.get("items")
    named = {_OURS.get(name, name): value for name, value in tree.items()}
    if isinstance(items, list) and model is not api.News:
        named["items"] = [{_OURS.get(n, n): v for n, v in one.items()} if isinstance(one, dict) else one for one in items]
    try:
        return model.model_validate(named)
    except ValueError as fault:
        raise PeerMessage(
            f"the ledger's answer cannot be read: {' '.join(str(fault).split())[:200]}", where="catalog"
        ) from fault
